"""Limits of the grader's process on itself, while it handles what a student's code sends it.

Messages are bounded one by one, but a locked cell can collect many: ``list(f())`` of large arrays,
or arithmetic on a number of a million digits.
"""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


class GraderTimeoutError(BaseException):
    """The grader's own part of a cell computed for too long."""

    def __str__(self) -> str:
        return "the grader computed for too long"


@contextmanager
def computing_limit(seconds: float) -> Iterator[None]:
    """Bound this process's own computing; waiting for the student's side has its own limit.

    The virtual timer counts processor time and is independent of the real one, which the checks
    use for single calls. Limits can be nested: the outer one is set again afterwards.
    """

    def stop(signum: int, frame: Any) -> None:
        raise GraderTimeoutError

    previous = signal.signal(signal.SIGVTALRM, stop)
    before = signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, *before)
        signal.signal(signal.SIGVTALRM, previous)


@contextmanager
def memory_limit(more: int) -> Iterator[None]:
    """Let this process take some more memory, and raise MemoryError beyond it."""
    found = None
    if resource is not None:
        with contextlib.suppress(OSError):
            status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
            found = re.search(r"^VmData:\s+(\d+) kB", status, re.MULTILINE)
    if found is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = int(found[1]) * 1024 + more
    for other in (soft, hard):
        limit = limit if other == resource.RLIM_INFINITY else min(limit, other)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
