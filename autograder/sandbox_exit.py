"""What a child may use, and how it ended, in words for people."""

from __future__ import annotations

import math
import os
import signal
from dataclasses import dataclass
from typing import Any

from autograder.bounds import Bounds, size_text
from autograder.confine.order import Limits


@dataclass(frozen=True)
class Exit:
    """How a child ended.

    Attributes
    ----------
    kind : str
        ``"exited"``, ``"signal"``, ``"memory"``, ``"processor"``, ``"stopped"`` (by `Child.kill`)
        or ``"lost"`` (with its zygote, or without a word).
    text : str
        The same for people: ``killed: memory limit 2 GiB``.
    number : int
        The exit status, or the number of the signal; 0 otherwise.
    """

    kind: str
    text: str
    number: int = 0


def limits_of(bounds: Bounds) -> Limits:
    """The part of the bounds that the kernel enforces."""
    return Limits(
        memory_bytes=int(bounds.memory_bytes),
        processes=int(bounds.processes),
        open_files=int(bounds.open_files),
        file_bytes=int(bounds.file_bytes),
        # One process may use several processors; the wall clock is the grader's.
        processor_seconds=math.ceil(2 * bounds.notebook_seconds) + 10,
    )


def describe(report: dict[str, Any] | None, bounds: Bounds) -> Exit:
    """Say what a guard's report means; None if the guard didn't come to report."""
    if report is None:
        return Exit("lost", "killed: its sandbox ended")
    if "memory" in report:
        return Exit("memory", f"killed: memory limit {size_text(bounds.memory_bytes)}")
    if "stopped" in report:
        return Exit("stopped", "killed: stopped by the grader")
    if "status" in report:
        return describe_status(report["status"], bounds)
    return Exit("lost", "killed: it ended without a word. Did this machine run out of memory?")


def describe_status(status: int, bounds: Bounds) -> Exit:
    """Say what a process's wait status means."""
    if os.WIFEXITED(status):
        code = os.WEXITSTATUS(status)
        return Exit("exited", f"ended by itself with status {code}", code)
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        seconds = limits_of(bounds).processor_seconds
        return Exit("processor", f"killed: more than {seconds} s of processor time", number)
    name = (signal.strsignal(number) or "unknown").lower()
    return Exit("signal", f"killed by signal {number} ({name})", number)
