"""The student's side: runs the student's cells and answers calls with plain data.

This runs in the sandbox, in one process with the student's code, and nothing here is trusted by
the grader: a student can rewrite all of it and gains nothing but wrong answers.
"""

from __future__ import annotations

import base64
import contextlib
import io
import operator
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from autograder.channel import Channel
from autograder.peer import Peer
from autograder.wire import WireError

TEXT_LIMIT = 200_000
SEEDS = {"random": "seed", "numpy.random": "seed", "torch": "manual_seed"}
"""Modules with a generator of their own, and the function that seeds it."""


class CallTimeout(BaseException):
    """Raised in student code that takes too long.

    A BaseException, so that ``except Exception`` in the code does not swallow it.
    """


class CellTimeoutError(BaseException):
    """The same, for a cell."""


@contextlib.contextmanager
def time_limit(seconds: float, error: Callable[[], BaseException]) -> Iterator[None]:
    """Interrupt the block after some seconds, again and again until it gives up."""

    def stop(signum: int, frame: Any) -> None:
        raise error()

    previous = signal.signal(signal.SIGALRM, stop)
    # The interval repeats the alarm: a bare ``except:`` around the loop swallows only the first.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


class BoundedText(io.StringIO):
    """Keeps the beginning of what is printed."""

    def write(self, text: str) -> int:
        """Keep text while there is room."""
        room = TEXT_LIMIT - self.tell()
        if room > 0:
            super().write(text[:room])
        return len(text)


class Student:
    """State of one notebook's student side."""

    def __init__(self, sock: socket.socket, array_bytes: int) -> None:
        self.peer = Peer(Channel(sock, array_bytes), OPERATIONS, trusted=False)
        self.peer.student = self  # type: ignore[attr-defined]
        self.shell: Any = None
        self.call_seconds = 10.0
        self.given: frozenset[str] = frozenset()
        self._collector: Any = None
        self._seeded: set[str] = set()

    def start(self, output_bytes: int, call_seconds: float) -> None:
        """Make the shell."""
        from autograder import warm
        from autograder.shell import Collector

        self.call_seconds = call_seconds
        self._collector = Collector(output_bytes, self._emit)
        self.shell = warm.shell()
        self.shell.collector = self._collector
        # The notebook is the main module, as in a kernel.
        sys.modules["__main__"] = self.shell.user_module

    def seed(self) -> None:
        """Let a notebook that draws without a seed draw the same in every grading."""
        for name, function in SEEDS.items():
            if name in sys.modules and name not in self._seeded:
                self._seeded.add(name)
                with contextlib.suppress(Exception):  # another module under this name
                    getattr(sys.modules[name], function)(0)

    def _emit(self, output: dict[str, Any]) -> None:
        self.peer.event(_plain_output(output))


def _plain_output(output: dict[str, Any]) -> Any:
    """An output as JSON: pictures as base64 text, as in a notebook file."""
    data = output.get("data")
    if isinstance(data, dict):
        output = {**output, "data": {
            str(kind): base64.b64encode(part).decode("ascii") if isinstance(part, bytes) else part
            for kind, part in data.items()
        }}  # fmt: skip
    return output


def op_start(peer: Any, output_bytes: int, call_seconds: float, purpose: str) -> None:
    """Prepare the shell; notebooks may ask for the purpose in nbgrader's variable."""
    os.environ["NBGRADER_EXECUTION"] = purpose
    peer.student.given = frozenset(os.listdir("."))
    # Last: a file beside the notebook must not take the place of a library.
    sys.path.append(os.getcwd())
    peer.student.start(output_bytes, call_seconds)


def op_cell(peer: Any, source: str, seconds: float) -> Any:
    """Run one cell; outputs go ahead as events. Returns "", "error" or "timeout"."""
    from autograder.shell import run_cell

    peer.student.seed()
    late = CellTimeoutError(f"the cell ran longer than {seconds:g} s: does a loop never end?")
    try:
        with time_limit(seconds, lambda: late):
            error = run_cell(peer.student.shell, source)
    except CellTimeoutError:
        return "timeout"
    return "timeout" if error is late else "error" if error is not None else ""


def op_files(peer: Any, limit: int) -> Any:
    """Plain files that the notebook wrote into its folder, as pairs of name and bytes."""
    found = []
    for name in sorted(os.listdir("."))[:1000]:
        path = Path(name)
        if name in peer.student.given or path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        limit -= len(data)
        if limit < 0:
            break
        found.append((name, data))
    return tuple(found)


def op_names(peer: Any, names: Any) -> Any:
    """Values of those names that the notebook has defined, as pairs."""
    space = peer.student.shell.user_ns
    hidden = peer.student.shell.user_ns_hidden
    return tuple(
        (name, space[name])
        for name in names
        if name in space and not (name in hidden and space[name] is hidden[name])
    )


def op_call(peer: Any, target: Any, args: Any, kwargs: Any, records: Any = None) -> Any:
    """Call a function, a class or an instance."""
    keywords = dict(kwargs)
    if records is not None and "torch" in sys.modules:
        from autograder import wire_torch

        return _limited(peer, lambda: wire_torch.serve_call(peer, target, args, keywords, records))
    return _limited(peer, lambda: target(*args, **keywords))


def _limited(peer: Any, function: Callable[[], Any]) -> Any:
    """Run student code under the call's time limit; what it prints goes along as an event."""
    student = peer.student
    if peer._depth > 1:  # within another call: that one's limit holds
        return function()
    text = BoundedText()
    seconds = student.call_seconds
    try:
        with (
            contextlib.redirect_stdout(text),
            contextlib.redirect_stderr(text),
            time_limit(seconds, lambda: CallTimeout(f"no result after {seconds:g} seconds")),
        ):
            return function()
    finally:
        shown = text.getvalue()
        if shown:
            peer.event({"output_type": "printed", "text": shown})


def op_next(peer: Any, target: Any) -> Any:
    """``(done, value)`` of an iterator."""
    try:
        return False, _limited(peer, lambda: next(target))
    except StopIteration:
        return True, None


def op_setattr(peer: Any, target: Any, name: str, value: Any) -> None:
    """Set an attribute."""
    _limited(peer, lambda: setattr(target, name, value))


def op_setitem(peer: Any, target: Any, key: Any, value: Any) -> None:
    """Set an item."""
    _limited(peer, lambda: operator.setitem(target, key, value))


def op_operator(peer: Any, target: Any, name: str, other: Any) -> Any:
    """A binary operator, with Python's rules for which side answers."""
    turned = name.startswith("__r") and name != "__rshift__"
    plain = name.replace("__r", "__", 1) if turned else name
    function = getattr(operator, {"__and__": "and_", "__or__": "or_"}.get(plain, plain.strip("_")))
    pair = (other, target) if plain != name else (target, other)
    return _limited(peer, lambda: function(*pair))


def op_unary(peer: Any, target: Any, name: str) -> Any:
    """A unary operator."""
    return _limited(peer, lambda: getattr(operator, name)(target))


def op_vjp(peer: Any, number: int, keys: Any, dy: Any, again: bool) -> Any:
    """Gradients of a result, for the tensors that went in."""
    from autograder import wire_torch

    return _limited(peer, lambda: wire_torch.serve_vjp(peer, number, keys, dy, again))


def _simple(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda peer, *args: _limited(peer, lambda: function(*args))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "start": op_start,
    "cell": op_cell,
    "names": op_names,
    "files": op_files,
    "call": op_call,
    "next": op_next,
    "setattr": op_setattr,
    "setitem": op_setitem,
    "operator": op_operator,
    "unary": op_unary,
    "vjp": op_vjp,
    "attr": _simple(getattr),
    "item": _simple(operator.getitem),
    "delitem": _simple(operator.delitem),
    "len": _simple(len),
    "iter": _simple(iter),
    "contains": _simple(operator.contains),
    "isinstance": lambda peer, cls, obj: isinstance(obj, cls),
    "enter": _simple(lambda target: target.__enter__()),
    "exit": _simple(lambda target: bool(target.__exit__(None, None, None))),
    "forget": lambda peer: peer.forget(),
}


def later() -> None:
    """Load what the first use of a tensor without storage takes a second for."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.cat([torch.empty(1, device="meta")] * 2)


def serve(sock: socket.socket, array_bytes: int = 256 * 2**20) -> None:
    """Answer the grader on this socket until it hangs up (the sandbox's entry point)."""
    student = Student(sock, array_bytes)
    with contextlib.suppress(WireError):
        student.peer.serve_forever()


if __name__ == "__main__":  # without a sandbox, for submissions that an instructor trusts
    serve(socket.socket(fileno=int(sys.argv[1])))
