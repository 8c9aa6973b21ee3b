"""The zygote: one process that has imported everything, and forks a child for each submission.

It stays single-threaded and calls no linear algebra, since neither locks nor thread pools survive
a fork. It never reads a submission, so nothing of one is in the memory of the next.
"""

from __future__ import annotations

import array
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from . import linux
from .child import HOME, UNPRIVILEGED, Entry
from .guard import run_guard

Later = Callable[[], None]
LIBRARY = "/library"
REQUEST = b"spawn"
IDLE_MILLISECONDS = 500
QUIET_MILLISECONDS = 20


def main(control_number: int, parent: int) -> NoReturn:
    """Import, then serve requests until the grader's side ends.

    Parameters
    ----------
    control_number : int
        Descriptor of the connection to the grader's side.
    parent : int
        Descriptor that stands for the grader's process, or -1.
    """
    control = socket.socket(fileno=control_number)
    try:
        settings = json.loads(control.recv(1 << 16))
        entry, later = _prepare(settings)
    except BaseException:
        # The last lines name the error; the first ones are those of the import system.
        control.send(json.dumps({"failed": traceback.format_exc()[-8000:]}).encode())
        os._exit(1)
    control.send(json.dumps({"ready": True}).encode())
    _serve(control, parent, entry, later)


def _prepare(settings: dict[str, Any]) -> tuple[Entry, Later | None]:
    # Student code's processes are forks of this one: what root could do ends here.
    if settings["drop"] and os.getuid() == 0:
        linux.become_unprivileged(UNPRIVILEGED, UNPRIVILEGED)
    # Nor may they read this one. Changing the user resets both of these.
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    sys.path[:] = [LIBRARY, *(path for path in sys.path if path != settings["own_path"])]
    sys.argv = [""]
    for name in settings["preload"]:
        importlib.import_module(name)
    module_name, _, function = settings["entry"].partition(":")
    module = importlib.import_module(module_name)
    entry: Entry = getattr(module, function)
    if "matplotlib" not in sys.modules:
        # A child that imports it needs a folder that it may write to.
        os.environ["MPLCONFIGDIR"] = f"{HOME}/.config/matplotlib"
    if warm := getattr(module, "warm", None):
        warm()
    if (threads := len(os.listdir("/proc/self/task"))) > 1:
        raise RuntimeError(
            f"{threads - 1} threads run after importing {', '.join(settings['preload'])}: "
            "a process with threads can't be forked safely"
        )
    gc.collect()
    # Collections in a child would write to, and so copy, every page that it shares with this one.
    gc.freeze()
    later: Later | None = getattr(module, "later", None)
    return entry, later


def _serve(
    control: socket.socket, parent: int, entry: Entry, later: Later | None
) -> NoReturn:
    poll = select.poll()
    poll.register(control, select.POLLIN)
    if parent >= 0:
        poll.register(parent, select.POLLIN)
    forked = False
    while True:
        wait = QUIET_MILLISECONDS if forked and later is not None else IDLE_MILLISECONDS
        events = dict(poll.poll(wait))
        if forked and later is not None and not events:
            # The first child is at work: a good time for what only further ones will need.
            later()
            later = None
            gc.freeze()
        _reap()
        if parent in events:  # the grader's process has ended
            os._exit(0)
        if control.fileno() in events:
            descriptors = _receive(control)
            if descriptors is None:
                os._exit(0)
            _fork_guard(control, parent, descriptors, entry)
            forked = True


def _receive(control: socket.socket) -> list[int] | None:
    """Read one request: the descriptors of the leash, the student's connection, the order."""
    descriptors = array.array("i")
    data, ancillary, _, _ = control.recvmsg(64, socket.CMSG_SPACE(3 * descriptors.itemsize))
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            usable = len(content) - len(content) % descriptors.itemsize
            descriptors.frombytes(content[:usable])
    if not data:
        return None
    if data != REQUEST or len(descriptors) != 3:
        raise RuntimeError(f"a request of {len(descriptors)} descriptors: {data!r}")
    return list(descriptors)


def _fork_guard(
    control: socket.socket, parent: int, descriptors: list[int], entry: Entry
) -> None:
    leash_number, student_number, order = descriptors
    try:
        pid = os.fork()
    except OSError as error:
        os.write(leash_number, json.dumps({"failed": f"fork: {error}"}).encode())
        pid = -1
    if pid == 0:
        control.close()
        if parent >= 0:
            os.close(parent)
        leash = socket.socket(fileno=leash_number)
        run_guard(leash, socket.socket(fileno=student_number), order, entry)
    for descriptor in descriptors:
        os.close(descriptor)


def _reap() -> None:
    """Collect what has ended: guards, and as process 1 also their orphans."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
