"""The half of a child that stays outside its process namespace: it watches, kills and reports.

A guard is forked from the zygote for each child, makes the child's namespaces, and waits. The
leash, a socket to the grader's side, tells it when to kill: when its other end is closed, on
purpose or because the grader died.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
import traceback
from typing import Any, NoReturn

from . import linux
from .child import Entry, enter_namespaces, run_init
from .memory import MemoryWatch
from .order import Order, read_order

WATCH_SECONDS = 0.1
"""How often memory is added up."""


def run_guard(leash: socket.socket, student: socket.socket, files: int, entry: Entry) -> NoReturn:
    """Make a child from an order, watch it to its end, report the end on the leash.

    Parameters
    ----------
    leash : socket.socket
        Packets with one JSON object each go out; nothing comes in but the end.
    student : socket.socket
        The connection that the student side serves.
    files : int
        Descriptor of the order.
    entry : callable
        What the student side runs.
    """
    try:
        report = _guard(leash, student, files, entry)
    except BaseException:
        report = {"failed": traceback.format_exc(limit=-2)}
    _send(leash, report)
    os._exit(0)


def _guard(
    leash: socket.socket, student: socket.socket, files: int, entry: Entry
) -> dict[str, Any]:
    # A process that may not be read doesn't own its files in /proc either.
    linux.prctl(linux.PR_SET_DUMPABLE, 1)
    order = read_order(files)
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    enter_namespaces(proc, order.without)
    verdict, verdict_writer = os.pipe()
    init = os.fork()
    if init == 0:
        leash.close()
        os.close(verdict)
        run_init(order, files, proc, verdict_writer, student, entry)
    os.close(verdict_writer)
    os.close(files)
    # The connection must end when the student side does.
    student.close()
    linux.drop_capabilities()
    try:
        return _watch(order, init, proc, verdict, leash)
    finally:
        # The end of process 1 is the end of all in its namespace, stopped or not.
        os.kill(init, signal.SIGKILL)
        os.waitpid(init, 0)


def _watch(
    order: Order, init: int, proc: int, verdict: int, leash: socket.socket
) -> dict[str, Any]:
    """Wait for the child's end, or a reason to end it; return what to report."""
    watch: MemoryWatch | None = None
    poll = select.poll()
    poll.register(verdict, select.POLLIN)
    poll.register(leash, select.POLLIN)
    due = time.monotonic() + WATCH_SECONDS
    unread = b""
    while True:
        events = dict(poll.poll(max(0.0, due - time.monotonic()) * 1000))
        if verdict in events:
            piece = os.read(verdict, 1 << 16)
            unread += piece
            while b"\n" in unread:
                line, unread = unread.split(b"\n", 1)
                message = json.loads(line)
                if "ready" not in message:
                    return message  # type: ignore[no-any-return]
                if "memory-watch" not in order.without:
                    watch = MemoryWatch(proc, init, order.limits.memory_bytes, "/tmp")
                _send(leash, message)
            if not piece:  # process 1 ended without a word
                return {"lost": True}
        if leash.fileno() in events and not leash.recv(1):
            return {"stopped": True}
        if time.monotonic() >= due:
            due = time.monotonic() + WATCH_SECONDS
            if watch is not None and watch.exceeded():
                return {"memory": True}


def _send(leash: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # if nobody is there to read it
        leash.send(json.dumps(message).encode(), socket.MSG_NOSIGNAL)
