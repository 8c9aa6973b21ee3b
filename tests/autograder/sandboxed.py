"""What the tests of the sandbox share: a student side that does what it is told, and counts."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.bounds import MEBI, Bounds
from autograder.sandbox import Child, Zygote

ROOT = Path(__file__).parents[2]
LINUX_ROOT = sys.platform == "linux" and os.geteuid() == 0

PROBE = '''
import json, os, sys, time, errno, signal, socket, ctypes, mmap, threading, traceback

libc = ctypes.CDLL(None, use_errno=True)

def system_call(number, *arguments):
    """0 or more, else minus the error."""
    arguments = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *arguments)
    return result if result >= 0 else -ctypes.get_errno()

def fork_until_refused(most):
    """How many sleeping processes could be started."""
    for count in range(most):
        try:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
        except OSError:
            return count
    return most

def serve(connection):
    space = dict(globals(), connection=connection)
    stream = connection.makefile("rwb")
    for line in stream:
        space["result"] = None
        try:
            exec(json.loads(line), space)
            answer = {"result": space["result"]}
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        stream.write(json.dumps(answer, default=str).encode() + b"\\n")
        stream.flush()
'''

SMALL = Bounds(
    memory_bytes=192 * MEBI, processes=20, open_files=64, file_bytes=8 * MEBI, notebook_seconds=20
)


class Raised(Exception):  # noqa: N818
    """What the code in the sandbox raised."""


class Probe:
    """Runs code in a child."""

    def __init__(self, child: Child) -> None:
        self.child = child
        child.socket.settimeout(20)
        self.stream = child.socket.makefile("rwb")

    def __call__(self, code: str) -> Any:
        self.send(code)
        return self.answer()

    def send(self, code: str) -> None:
        self.stream.write(json.dumps(textwrap.dedent(code)).encode() + b"\n")
        self.stream.flush()

    def answer(self) -> Any:
        line = self.stream.readline()
        if not line:
            raise EOFError
        answer = json.loads(line)
        if "error" in answer:
            raise Raised(answer["error"])
        return answer["result"]


@pytest.fixture(scope="module")
def sandbox_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    (folder / "probe.py").write_text(PROBE, encoding="utf-8")
    (folder / "secret.txt").write_text("for root", encoding="utf-8")
    (folder / "secret.txt").chmod(0o600)
    # Anybody could write here, so that only the read-only mount keeps student code from it.
    folder.chmod(0o777)
    return folder


Make = Callable[..., Zygote]


@pytest.fixture(scope="module")
def make_zygote(sandbox_library: Path) -> Make:
    def make(without: str = "", **options: Any) -> Zygote:
        """Start a zygote; `without`: names of defences, with spaces between them."""
        settings = {"library": sandbox_library, "bounds": SMALL, "entry": "probe:serve", **options}
        return Zygote(**settings, _without=frozenset(without.split()))

    return make


@pytest.fixture(scope="module")
def zygote(make_zygote: Make) -> Iterator[Zygote]:
    with make_zygote() as zygote:
        yield zygote


@pytest.fixture
def probe(zygote: Zygote) -> Iterator[Probe]:
    with zygote.spawn({}) as child:
        yield Probe(child)


def processes_below(pid: int) -> set[int]:
    """Running descendants of a process on this machine, whatever their namespaces."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = Path("/proc", entry, "stat").read_text("utf-8").rpartition(")")[2].split()
                if fields[0] != "Z":
                    parents.setdefault(int(fields[1]), []).append(int(entry))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found |= set(children)
        waiting += children
    return found


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    due = time.monotonic() + seconds
    while time.monotonic() < due:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def alone(zygote: Zygote) -> bool:
    """Whether nothing but the zygote runs in its sandbox, or soon will: guards end last."""
    return eventually(lambda: len(processes_below(zygote._process.pid)) == 1, 2.0)


def below_zygote(zygote: Zygote) -> set[int]:
    """Processes below the zygote."""
    return {p for q in processes_below(zygote._process.pid) for p in processes_below(q)}


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
