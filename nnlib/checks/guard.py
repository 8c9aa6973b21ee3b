"""Calling code that is not ours: bounded in time, silent, and never fatal.

This protects a *table of verdicts* from prints, warnings, exceptions and endless loops. It is no
sandbox: code that wants to do harm can.
"""

import contextlib
import io
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

#: Seconds that one call of a student's function may take.
CALL_SECONDS = float(os.environ.get("NNCOURSE_CALL_SECONDS", "10"))


class CallTimeout(BaseException):
    """Raised inside a call that takes too long.

    A BaseException, so that ``except Exception`` in the called code does not swallow it.
    """


@dataclass(frozen=True)
class Outcome:
    """What a guarded call did: a value, or the exception that it raised."""

    value: Any = None
    error: BaseException | None = None

    @property
    def timed_out(self) -> bool:
        """Whether the call was stopped because it took too long."""
        return isinstance(self.error, CallTimeout)


def call(function: Callable[[], Any], *, seconds: float | None = None) -> Outcome:
    """Call ``function()`` and return its outcome, whatever it does.

    Printed text and warnings are dropped: nbgrader gives 0 for any text on stderr, and a
    warning is no error of the student's. KeyboardInterrupt passes through, so that the stop
    button of a notebook works.
    """
    limit = CALL_SECONDS if seconds is None else seconds
    sink = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
            warnings.catch_warnings(),
            _time_limit(limit),
        ):
            warnings.simplefilter("ignore")
            return Outcome(value=function())
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Outcome(error=error)


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Interrupt the block after ``seconds`` where the platform can (main thread, Unix)."""
    can_interrupt = (
        hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    )
    if not can_interrupt or seconds <= 0:
        yield
        return

    def stop(signum: int, frame: Any) -> None:
        raise CallTimeout(f"no result after {seconds:g} seconds")

    previous = signal.signal(signal.SIGALRM, stop)
    # The interval repeats the alarm: a bare ``except:`` around the loop swallows only the first.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
