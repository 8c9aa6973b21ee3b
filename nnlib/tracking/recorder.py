"""Recording one run: its settings once, its numbers line by line."""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from nnlib.errors import DtypeError, check_count
from nnlib.tracking.sinks import Sink

__all__ = ["METRICS", "SETTINGS", "Recorder"]

#: Names of the two files of a run.
SETTINGS, METRICS = "settings.json", "metrics.jsonl"


class Recorder:
    """Writes a run to a folder of its own, and passes it on to others.

    Parameters
    ----------
    folder : path
        Holds all runs; is made where it is missing.
    name : str
        Of the run: a plain name for a folder.
    settings : mapping
        Everything that was chosen: plain data for JSON.
    also : sequence of Sink
        Who else gets everything: `TensorBoard`, `WeightsAndBiases`, or your own.
    resume : bool
        Whether to go on with a run of this name. Otherwise its name must be new.

    Raises
    ------
    ValueError
        If the name is no plain name.
    FileExistsError
        If there is such a run already.
    DtypeError
        If the settings are no plain data.

    Notes
    -----
    ``settings.json`` is written once. ``metrics.jsonl`` gets one line of JSON for each call of
    `log`, flushed at once, so that a run that is killed keeps what it has logged. nan and the
    infinities, which JSON lacks, are written as text.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> import tempfile
    >>> from nnlib.tracking import read_runs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Recorder(folder, name="first", settings={"rate": 0.1}) as run:
    ...         run.log({"loss": 0.5}, step=0)
    ...         run.log({"loss": 0.25}, step=1)
    ...     print(read_runs(folder).table(["rate", "loss"]))
    run    rate  loss
    first   0.1  0.25
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        name: str,
        settings: Mapping[str, Any],
        also: Sequence[Sink] = (),
        resume: bool = False,
    ) -> None:
        if not name or name in (".", "..") or set(name) & set('/\\:*?"<>|'):
            raise ValueError(f"Recorder: name must be a plain name for a folder, got {name!r}.")
        try:
            text = json.dumps(dict(settings), indent=1)
        except (TypeError, ValueError) as error:
            raise DtypeError(
                f"Recorder: settings must be plain data (numbers, text, lists, dicts): {error}."
            ) from None
        self.folder = Path(folder) / name
        try:
            self.folder.mkdir(parents=True, exist_ok=resume)
        except FileExistsError:
            raise FileExistsError(
                f"Recorder: there is a run {name!r} in {os.fspath(folder)} already. Choose "
                f"another name, or resume=True."
            ) from None
        (self.folder / SETTINGS).write_text(text, encoding="utf-8")
        # Line by line: whatever happens to this process, the lines before stay.
        self._file = (self.folder / METRICS).open("a", encoding="utf-8", buffering=1)
        self._also = list(also)
        for sink in self._also:
            sink.start(name, dict(settings))

    def log(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Note some numbers of one step."""
        check_count("log", "step", step)
        numbers = {key: float(value) for key, value in metrics.items()}
        plain = {key: value if math.isfinite(value) else str(value)
                 for key, value in numbers.items()}
        entry = {"step": int(step), "time": round(time.time(), 3), **plain}
        self._file.write(json.dumps(entry) + "\n")
        for sink in self._also:
            sink.log(numbers, int(step))

    def __call__(self, run: Any) -> None:
        """Note the last entry of each list of a `History`: a callback for `fit`."""
        self.log({name: run.history[name][-1] for name in run.history.names}, step=run.epoch)

    def finish(self) -> None:
        """Close everything."""
        if not self._file.closed:
            self._file.close()
            for sink in self._also:
                sink.finish()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish()
