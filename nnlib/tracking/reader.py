"""Reading recorded runs back: as data, as a table, as a plot."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nnlib.tracking.recorder import METRICS, SETTINGS

__all__ = ["RecordedRun", "Runs", "read_runs"]


class RecordedRun(NamedTuple):
    """Name, settings and lines of one run."""

    name: str
    settings: dict[str, Any]
    lines: list[dict[str, Any]]

    def series(self, metric: str) -> tuple[list[int], list[float]]:
        """Return the steps and values of a metric, in the order in which they were logged."""
        pairs = [(line["step"], float(line[metric])) for line in self.lines if metric in line]
        return [step for step, _ in pairs], [value for _, value in pairs]

    def value(self, column: str) -> Any:
        """Return the last value of a metric, or else a setting, or else ""."""
        _, values = self.series(column)
        return values[-1] if values else self.settings.get(column, "")


class Runs(list[RecordedRun]):
    """All runs of a folder."""

    def table(self, columns: Sequence[str], *, sort_by: str | None = None) -> str:
        """Return a table with a row for each run: settings, and the last value of metrics.

        Parameters
        ----------
        columns : sequence of str
        sort_by : str, optional
            A column; the smallest first.
        """
        runs = sorted(self, key=lambda run: run.value(sort_by)) if sort_by else list(self)
        rows = [["run", *columns]]
        rows += [[run.name, *(_text(run.value(column)) for column in columns)] for run in runs]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0]),
                       *(cell.rjust(width)
                         for cell, width in zip(row[1:], widths[1:], strict=True))]).rstrip()
            for row in rows)

    def plot(self, metric: str, *, ax: Any = None) -> Any:
        """Draw a metric of all runs over the steps; returns the axes."""
        import matplotlib.pyplot as plt

        from nnlib import viz

        ax = plt.gca() if ax is None else ax
        for k, run in enumerate(self):
            steps, values = run.series(metric)
            ax.plot(steps, values, label=run.name, color=viz.CYCLE[k % len(viz.CYCLE)],
                    linestyle=viz.LINESTYLES[k % len(viz.LINESTYLES)])
        ax.set(xlabel="step", ylabel=metric)
        ax.legend()
        return ax


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read_runs(folder: str | os.PathLike[str]) -> Runs:
    """Read all runs of a folder, in the order of their names.

    Parameters
    ----------
    folder : path

    Returns
    -------
    Runs

    Notes
    -----
    A last line that a killed process left unfinished is skipped.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     len(read_runs(folder))
    0
    """
    runs = Runs()
    for path in sorted(Path(folder).glob(f"*/{SETTINGS}")):
        lines = []
        file = path.with_name(METRICS)
        for text in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:
                break
        runs.append(RecordedRun(path.parent.name, json.loads(path.read_text("utf-8")), lines))
    return runs
