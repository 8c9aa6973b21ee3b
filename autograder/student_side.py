"""The grader's view of the student's process: start it, talk to it, end it, start it again.

A cell or call that can't be interrupted costs the process; then another one is started, and the
student's other cells run again in it, so that the rest of the notebook is still graded.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from autograder.bounds import Bounds
from autograder.channel import Channel
from autograder.errors import CourseError
from autograder.lent import SERVED
from autograder.peer import Peer, RemoteStopped
from autograder.shell import merge
from autograder.wire import WireError

GRACE = 2.0
"""Seconds beyond a limit in which the student's process can still stop itself."""
START_SECONDS = 60.0
START_TRIES = 3
MAX_RESTARTS = 5
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,100}")
TRUSTED_MODULES = frozenset((
    "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools",
    "itertools", "json", "math", "matplotlib", "nnlib", "numpy", "operator", "pandas", "random",
    "re", "scipy", "sklearn", "statistics", "string", "sympy", "time", "torch", "typing", "pytest",
    "unittest", "textwrap", "warnings", "pprint", "heapq", "bisect", "abc", "inspect", "io",
    "collections.abc", "matplotlib.pyplot", "nnlib.contract", "nnlib.data", "nnlib.errors",
    "nnlib.viz", "numpy.fft", "numpy.linalg", "numpy.random", "numpy.testing", "scipy.linalg",
    "scipy.optimize", "scipy.special", "scipy.stats", "sklearn.datasets", "sklearn.linear_model",
    "sklearn.metrics", "sklearn.model_selection", "sklearn.preprocessing", "torch.autograd",
    "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.optim", "torch.utils.data",
))  # fmt: skip
"""Modules that a locked cell may use although only the student's cells import them.

In full: importing some others runs a program (``unittest.__main__``) or shows the grader's own
(``nnlib.numpy_track``).
"""


class Process(Protocol):
    """A started student's side: `sandbox.Child`, or a plain process for trusted submissions."""

    socket: Any

    def kill(self) -> None:
        """End it at once."""

    def wait(self, timeout: float | None) -> Any:
        """How it ended, None while it runs."""


class StudentSide:
    """One notebook's student process, with what is needed to start it again.

    Parameters
    ----------
    spawn : callable
        ``spawn() -> Process``.
    bounds : Bounds
        Limits.
    """

    def __init__(self, spawn: Callable[[], Process], bounds: Bounds) -> None:
        self._spawn = spawn
        self._bounds = bounds
        self._process: Process | None = None
        self.peer: Peer | None = None
        self.deadline = time.monotonic() + bounds.notebook_seconds
        self.restarts = 0
        self.on_output: Callable[[dict[str, Any]], None] = lambda output: None
        self._history: list[str] = []

    # --- life -------------------------------------------------------------------------------

    def ready(self) -> Peer:
        """The connection, to a process in which all earlier cells have run.

        Raises
        ------
        RemoteStopped
            When the process can't be had any more.
        """
        if self.peer is not None and not self.peer.broken:
            return self.peer
        if self._process is not None:
            self.restarts += 1
            self.end()
        if self.restarts > MAX_RESTARTS:
            raise RemoteStopped(f"the notebook's process had to be stopped {self.restarts} times")
        peer = self._start()
        self.peer = peer
        show, self.on_output = self.on_output, lambda output: None
        try:
            for source in self._history:
                self._run(source)
        finally:
            self.on_output = show
        return peer

    def _start(self) -> Peer:
        """Start a process, in which nothing of the student's has run yet.

        If it ends before it has begun, that is this machine's doing, so it must not cost points.
        """
        purpose = os.environ.get("NBGRADER_EXECUTION", "autograde")
        for attempt in range(1, START_TRIES + 1):
            self._process = self._spawn()
            channel = Channel(self._process.socket, self._bounds.array_bytes)
            peer = Peer(channel, SERVED, trusted=True)
            peer.deadline = self.deadline
            peer.find_module = find_trusted_module  # type: ignore[method-assign]
            peer.on_event = self._event
            limits = (self._bounds.output_bytes, self._bounds.call_seconds)
            try:
                peer.ask("start", *limits, purpose, seconds=START_SECONDS)
            except RemoteStopped as error:
                if time.monotonic() > self.deadline:
                    raise
                how = self.end() or str(error)
                if attempt == START_TRIES:
                    raise CourseError(f"Student code can't be started here: {how}.") from error
            else:
                return peer
        raise AssertionError("unreachable")

    def end(self) -> str:
        """End the process; returns in words how it ended by itself, or ""."""
        process, self._process = self._process, None
        self.peer = None
        if process is None:
            return ""
        with contextlib.suppress(OSError):
            process.socket.close()
        found = process.wait(0.2)
        process.kill()
        return "" if found is None else str(found.text)

    def why_gone(self) -> str:
        """In words, why the process is gone or had to be stopped."""
        reason = self.peer.broken if self.peer is not None else ""
        if self._process is not None:
            found = self._process.wait(1.0 if reason == "the process ended" else 0.0)
            if found is not None:
                return str(found.text)
        return reason or "the process ended"

    # --- cells and values -------------------------------------------------------------------

    def run(self, source: str) -> tuple[str, list[dict[str, Any]]]:
        """Run a cell of the student's.

        Returns
        -------
        tuple
            ``("", "error", "timeout" or "gone", outputs)``. A cell that was "gone" took the
            process with it: it is left out when the process is started again.
        """
        outputs: list[dict[str, Any]] = []
        room = [int(self._bounds.output_bytes * 1.5) + 10_000, 2000]

        def collect(output: dict[str, Any]) -> None:
            good = checked_output(output)
            if good is None or output_fits(good, room):
                merge(outputs, good or {"output_type": "clear"})

        self.ready()
        self.on_output = collect
        try:
            status = self._run(source)
        finally:
            self.on_output = lambda output: None
        if status != "gone":
            self._history.append(source)
        return status, outputs

    def _run(self, source: str) -> str:
        assert self.peer is not None
        seconds = self._bounds.cell_seconds
        try:
            status = self.peer.ask("cell", source, seconds, seconds=seconds + GRACE)
        except (RemoteStopped, WireError) as error:
            self.peer.broken = self.peer.broken or str(error)
            return "gone"
        except Exception:
            return "error"
        return status if status in ("", "error", "timeout") else "error"

    def names(self, names: Iterable[str]) -> dict[str, Any]:
        """Values that the student's notebook has for names."""
        wanted = list(names)
        if not wanted:
            return {}
        peer = self.ready()
        try:
            pairs = peer.ask("names", tuple(wanted), seconds=self._bounds.call_seconds + GRACE)
            asked = frozenset(wanted)
            return {name: value for name, value in pairs if name in asked}
        except (RemoteStopped, WireError):
            raise
        except Exception:  # whatever the student's side says that it raised
            raise WireError("the notebook's names can't be read") from None

    def files(self) -> dict[str, str]:
        """Files that the notebook wrote into its folder: plain name to base64."""
        try:
            found = self.ready().ask("files", self._bounds.file_bytes, seconds=GRACE * 5)
            pairs = [(str(name), bytes(data)) for name, data in found]
        except Exception:  # whatever the student's side says that it raised
            return {}
        return {
            name: base64.b64encode(data).decode("ascii")
            for name, data in pairs[:100] if PLAIN_NAME.fullmatch(name)
        }  # fmt: skip

    def forget(self) -> None:
        """End of a locked cell: what it handed out is taken back."""
        if self.peer is None or self.peer.broken:
            return
        try:
            self.peer.ask("forget", seconds=GRACE)
        except Exception as error:  # whatever the student's side says that it raised
            self.peer.broken = self.peer.broken or str(error) or "it broke the protocol"
        self.peer.forget()

    def _event(self, event: Any) -> None:
        if isinstance(event, dict):
            self.on_output(event)


def find_trusted_module(name: Any) -> Any:
    """A module for a name that the student's notebook bound to it: only well-known ones."""
    import importlib

    text = str(name)
    if text not in TRUSTED_MODULES:
        raise WireError(
            f"the module {text[:60]!r} is used by a locked cell but imported only in the student's "
            "part: import it in a locked cell"
        )
    return importlib.import_module(text)


def output_fits(output: dict[str, Any], room: list[int]) -> bool:
    """Count an output against what is left; False when there is no room."""
    room[0] -= len(str(output))
    room[1] -= 1
    return room[0] >= 0 and room[1] >= 0


def checked_output(output: Any) -> dict[str, Any] | None:
    """An output of the student's side as valid nbformat, whatever came; None clears the cell."""
    kind = output.get("output_type") if isinstance(output, dict) else None
    if kind == "clear":
        return None
    if kind in ("stream", "printed"):
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return {"output_type": "stream", "name": name, "text": str(output.get("text", ""))}
    if kind == "error":
        lines = output.get("traceback")
        return {
            "output_type": "error", "ename": str(output.get("ename", ""))[:200],
            "evalue": str(output.get("evalue", ""))[:20_000],
            "traceback": [str(line)[:20_000] for line in lines[:200]]
            if isinstance(lines, list) else [],
        }  # fmt: skip
    if kind in ("display_data", "execute_result"):
        data = output.get("data")
        shown: dict[str, Any] = {
            "output_type": kind,
            "data": {str(mime)[:100]: _text(value) for mime, value in data.items()}
            if isinstance(data, dict) else {},
            "metadata": {},
        }  # fmt: skip
        if kind == "execute_result":
            count = output.get("execution_count")
            shown["execution_count"] = count if type(count) is int else None
        return shown
    return {"output_type": "stream", "name": "stdout", "text": ""}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "".join(str(part) for part in value)
    return value if isinstance(value, str) else str(value)
