"""Progress that people can watch: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Any


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
                progress.TextColumn("{task.fields[rate]}"),
                progress.TimeRemainingColumn(),
                progress.TextColumn("{task.fields[last]}"),
                console=console,
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self.title, total=self.total, completed=self.reused, rate="", last=""
            )
        elif self.total == self.reused:
            print(f"{self.title}: {self.total} submissions, unchanged since the last run")
        else:
            more = f", {self.reused} of them unchanged" if self.reused else ""
            print(f"{self.title}: {self.total} submissions{more}", flush=True)
        return self

    def advance(self, name: str, result: str) -> None:
        """One more item is done."""
        self.done += 1
        seconds = max(time.monotonic() - self.started, 1e-9)
        rate = (self.done - self.reused) / seconds
        if self._bar is not None:
            self._bar.update(self._task, advance=1, rate=f"{rate:.1f}/s", last=f"{name} {result}")
            return
        left = (self.total - self.done) / rate
        print(
            f"  {self.done}/{self.total} {name}: {result} "
            f"({rate:.1f}/s, about {left:.0f} s left)",
            flush=True,
        )

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
