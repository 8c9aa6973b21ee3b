"""Progress that people can watch: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Any


def duration(seconds: float) -> str:
    """A time to wait, as people say it.

    Examples
    --------
    >>> duration(42.3), duration(150), duration(7500)
    ('42 s', '2.5 min', '2.1 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5940 else f"{seconds / 3600:.1f} h"


class Progress:
    """Counts submissions, with rate and time left.

    Parameters
    ----------
    title : str
        What is being worked on.
    total : int
        Number of items.
    reused : int
        Items that were done before.
    """

    def __init__(self, title: str, total: int, *, reused: int = 0) -> None:
        self.title, self.total, self.reused = title, total, reused
        self.done = reused
        self.attention = 0
        self.started = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        from rich.console import Console

        console = Console()
        if console.is_terminal and self.total > self.reused:
            from rich import progress

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[counts]}"),
                progress.TextColumn("{task.fields[last]}", markup=False),
                console=console,
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self.title, total=self.total, completed=self.reused, counts=self._counts(),
                last="",
            )  # fmt: skip
        elif self.total == self.reused:
            print(f"{self.title}: {self.total} submissions, unchanged since the last run")
        else:
            more = f", {self.reused} of them unchanged" if self.reused else ""
            print(f"{self.title}: {self.total} submissions{more}", flush=True)
        return self

    def _counts(self) -> str:
        fresh = self.done - self.reused
        parts = [f"{self.reused} unchanged"] if self.reused else []
        if self.attention:
            parts.append(f"{self.attention} need attention")
        if fresh:
            rate = fresh / max(time.monotonic() - self.started, 1e-9)
            left = (self.total - self.done) / rate
            parts += [f"{60 * rate:.0f} a minute", f"about {duration(left)} left"]
        return ", ".join(parts)

    def advance(self, name: str, result: str, *, attention: bool = False) -> None:
        """One more item is done."""
        self.done += 1
        self.attention += attention
        if self._bar is not None:
            self._bar.update(
                self._task, advance=1, counts=self._counts(), last=f"{name} {result}"
            )
            return
        print(f"  {self.done}/{self.total} {name}: {result} ({self._counts()})", flush=True)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
