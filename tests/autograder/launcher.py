"""Run the command, end it at a chosen moment, and watch everything that it started die.

A program for `robust`. For each run there is a keeper: a process that makes itself the one that
inherits orphans, so that nothing that the command started gets away unseen, neither by leaving its
process group nor by losing its parent.

``launcher.py ORDER`` keeps one run, of a new Python process. ``launcher.py --serve SOCKET`` has all
imports done once, and then forks a keeper, the command and its engines for each order: a run then
takes a second instead of five.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
WARM = (
    "nbconvert", "nbformat.v4", "nbgrader.apps.baseapp", "nbgrader.converters",
    "nbgrader.preprocessors", "rich.table", "rich.progress", "numpy", "IPython",
    "autograder.classrun", "autograder.cli", "autograder.console", "autograder.engine",
    "autograder.execute", "autograder.feedback", "autograder.grade", "autograder.job",
    "autograder.nbgrader_bridge", "autograder.own_limits", "autograder.proxies",
    "autograder.record", "autograder.release", "autograder.report", "autograder.sanitize",
    "autograder.sanitize_html", "autograder.sandbox", "autograder.sandbox_library",
    "autograder.schedule", "autograder.wire_errors", "autograder.wire_modules",
)  # fmt: skip


class LateError(Exception):
    """Something still lives."""


def children(pid: int) -> list[int]:
    """Process ids of all threads' children."""
    found = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(
                f"/proc/{pid}/task/{thread}/children", encoding="ascii"
            ) as file:
                found += [int(word) for word in file.read().split()]
    return found


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    below = children(pid)
    return below + [p for child in below for p in descendants(child)]


def command_line(pid: int) -> str:
    """What a process was started as; "engine" for one that was forked to be one."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            name = file.read().strip()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
    return name if name == "engine" else words[-160:]


def name_process(name: str) -> None:
    """What `command_line` shows of a forked process."""
    with open("/proc/self/comm", "w", encoding="utf-8") as file:
        file.write(name)


# A run: start, end, look


def new_process(order: dict[str, Any], output: int) -> int:
    """Start the command in a new interpreter; returns its process id."""
    return subprocess.Popen(
        [sys.executable, "-m", "autograder", *order["arguments"]], cwd=order["cwd"],
        stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        env=order["environment"],
    ).pid  # fmt: skip


def keep(order: dict[str, Any], start: Callable[[dict[str, Any], int], int]) -> dict[str, Any]:
    """Start a run, end it as ordered, wait for everything below it; what `robust.Ended` says."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    pipe, theirs = os.pipe()
    began = time.monotonic()
    pid = start(order, theirs)
    os.close(theirs)
    output: list[bytes] = []
    times: list[float] = []
    limit = began + order["deadline"]

    def read(until: float) -> bool:
        """Take in what comes; False when the output has ended."""
        rest = until - time.monotonic()
        if rest <= 0 or not select.select([pipe], [], [], rest)[0]:
            return True
        part = os.read(pipe, 65536)
        output.append(part)
        times.extend([time.monotonic() - began] * part.count(b"\n"))
        return bool(part)

    alive, finished, below = True, False, []
    if order["lines"] is not None:
        while alive and len(times) < order["lines"] and time.monotonic() < limit:
            alive = read(limit)
        moment = time.monotonic() + order["delay"]
        while alive and time.monotonic() < moment:
            alive = read(moment)
        below = [command_line(process) for process in descendants(pid)]
        finished = not alive
        if alive:
            os.kill(pid, order["signal"])
    while alive and time.monotonic() < limit:
        alive = read(limit)
    if alive:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ended = time.monotonic()
    left = wait_for_the_rest(order["patience"])
    return {
        "code": code, "output": b"".join(output).decode("utf-8", "replace"), "times": times,
        "seconds": ended - began, "finished": finished, "hung": alive, "below": below,
        "left": left, "lingered": time.monotonic() - ended,
    }  # fmt: skip


def wait_for_the_rest(seconds: float) -> list[str]:
    """Wait for all orphans; those that live too long are named and killed."""

    def late(*_: object) -> None:
        raise LateError

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    left = []
    try:
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except LateError:
        for process in descendants(os.getpid()):
            left.append(command_line(process))
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    return left


# Runs that are forked, imports done


class ForkedEngine:
    """Stands in for the `Popen` that starts an engine."""

    def __init__(self, command: list[str], *, pass_fds: tuple[int], env: dict[str, str],
                 stderr: Any, **_: Any) -> None:  # fmt: skip
        assert command[1:4] == ["-P", "-m", "autograder.engine"], command
        self.returncode: int | None = None
        errors = stderr if isinstance(stderr, int) else stderr.fileno()
        self.pid = os.fork()
        if self.pid == 0:
            as_engine(pass_fds[0], errors, env)

    def poll(self) -> int | None:
        """Status, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        if self.returncode is None:
            descriptor = os.pidfd_open(self.pid)
            try:
                if not select.select([descriptor], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired("engine", timeout or 0)
            finally:
                os.close(descriptor)
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def as_engine(descriptor: int, errors: int, environment: dict[str, str]) -> None:
    """Become an engine."""
    try:
        os.setsid()
        name_process("engine")
        nowhere = os.open(os.devnull, os.O_RDWR)
        for target, source in enumerate((nowhere, nowhere, errors if errors >= 0 else nowhere)):
            os.dup2(source, target)
        kept = os.dup(descriptor)
        os.dup2(kept, 3)
        os.closerange(4, 1024)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
        from autograder import engine

        engine.main(3)
    finally:
        os._exit(1)


def forked(order: dict[str, Any], output: int) -> int:
    """Start the command in a fork of this process; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        name_process("grade")
        os.chdir(order["cwd"])
        for target in (1, 2):
            os.dup2(output, target)
        os.closerange(3, 1024)
        os.environ.clear()
        os.environ.update(order["environment"])
        from types import SimpleNamespace

        from autograder import engine_client
        from autograder.cli import main

        engine_client.subprocess = SimpleNamespace(  # type: ignore[assignment]
            Popen=ForkedEngine, DEVNULL=-1, TimeoutExpired=subprocess.TimeoutExpired
        )
        sys.argv = ["nncourse", *order["arguments"]]
        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    finally:
        sys.stdout.flush()
        os._exit(code)


def serve(path: str) -> None:
    """Answer orders until standard input ends."""
    from autograder.lean import skip_slow_imports

    skip_slow_imports()
    for name in WARM:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("ready", flush=True)
    while True:
        if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            with connection, connection.makefile("rw", encoding="utf-8") as stream:
                json.dump(keep(json.loads(stream.readline()), forked), stream)
            os._exit(0)
        connection.close()


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(sys.argv[2])
    else:
        json.dump(keep(json.loads(sys.argv[1]), new_process), sys.stdout)
