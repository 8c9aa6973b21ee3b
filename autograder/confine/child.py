"""The student side of a child: from a fork of the zygote to confined student code.

`run_init` is process 1 of the child's own pid namespace. It confines itself, then starts the
worker, which inherits everything and runs student code, and reaps what dies. Its end is the end of
every process of the child, whatever those did to escape it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from . import linux, seccomp
from .order import Limits, Order, write_files

UNPRIVILEGED = 65534
"""Whom root becomes outside: "nobody", the one number that is mapped in containers too."""
UID = GID = 1000
"""What the student's processes see as their user: the one above, or who grades."""

HOME = "/student"
WORK = "/student/work"
PRIVATE = (HOME, "/tmp", "/dev/shm")
"""The folders that a child can write to: its own, empty at first, gone with it."""
CACHE = "/cache"
"""What the zygote's imports wrote (Matplotlib's list of fonts): to read only."""

INODES = 16384
"""How many files a child may have: each takes kernel memory, even an empty one."""
PAGE = 4096
STACK_BYTES = 8 << 20
LOCKED_BYTES = 1 << 20
PENDING_SIGNALS = 1024

NAMESPACES = (
    linux.CLONE_NEWUSER
    | linux.CLONE_NEWNS
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWCGROUP
)

Entry = Callable[[socket.socket], Any]


def enter_namespaces(proc: int, without: frozenset[str]) -> None:
    """Move this process into namespaces of its own; its next child is process 1 there.

    Parameters
    ----------
    proc : int
        Descriptor of the zygote's ``/proc``.
    without : frozenset of str
        ``"network"`` keeps the zygote's network, ``"pids"`` its processes.
    """
    flags = NAMESPACES
    if "network" in without:
        flags &= ~linux.CLONE_NEWNET
    if "pids" in without:
        flags &= ~linux.CLONE_NEWPID
    uid, gid = os.getuid(), os.getgid()
    linux.unshare(flags)
    # In this order: without privilege, groups must be given up before they are mapped.
    write_at(proc, "self/setgroups", "deny")
    write_at(proc, "self/uid_map", f"{UID} {uid} 1")
    write_at(proc, "self/gid_map", f"{GID} {gid} 1")


def run_init(
    order: Order, files: int, proc: int, verdict: int, student: socket.socket, entry: Entry
) -> NoReturn:
    """Confine this process, start the worker, reap until it ends, and report how it ended.

    Parameters
    ----------
    order : Order
        Limits and names of files.
    files : int
        Descriptor with the contents of the files.
    proc : int
        Descriptor of the zygote's ``/proc``; closed before student code runs.
    verdict : int
        Pipe to the guard: one JSON object a line.
    student : socket.socket
        The connection to the grader's side: all that the worker inherits.
    entry : callable
        What the worker runs.
    """
    try:
        confine(order, files, proc, (verdict, student.fileno()))
        say(verdict, {"ready": True})
        worker = os.fork()
    except BaseException:
        say(verdict, {"failed": traceback.format_exc(limit=-2)})
        os._exit(1)
    if worker == 0:
        os.close(verdict)
        run_worker(order, student, entry)
    student.close()
    # Without handlers, the kernel lets nothing inside this namespace signal process 1.
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    while True:
        pid, status = os.wait()
        if pid == worker:
            say(verdict, {"status": status})
            os._exit(0)


def run_worker(order: Order, student: socket.socket, entry: Entry) -> NoReturn:
    """Run student code: the last step, in a process of its own."""
    status = 1
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        entry(student)
        status = 0
    except SystemExit as request:
        status = request.code if isinstance(request.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        # Not sys.exit: what student code left to run at exit is no part of the work.
        os._exit(status & 0xFF)


def confine(order: Order, files: int, proc: int, keep: tuple[int, ...]) -> None:
    """Take from this process all that student code must not have."""
    without = order.without
    base = data_bytes(proc)
    # Should memory run out on this machine, the kernel picks this child, not the grader.
    write_at(proc, "self/oom_score_adj", "1000")
    if "mounts" not in without:
        mount_private(order, hide_processes="proc" not in without)
    os.makedirs(WORK, exist_ok=True)
    os.chdir(WORK)
    write_files(order, files, WORK)
    if "descriptors" not in without:
        close_all_but(keep)
    if "session" not in without:
        os.setsid()
    set_limits(order.limits, base, without)
    if "capabilities" not in without:
        linux.drop_capabilities()
    # From here on, no program that is executed gets more rights than its parent.
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    # Giving up capabilities resets this: if the guard dies, so does this namespace.
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if "seccomp" not in without:
        seccomp.install(network="network" in without)


def mount_private(order: Order, *, hide_processes: bool) -> None:
    """Give this mount namespace its own empty folders, and hide ``/proc``.

    One file system of limited size lies behind all of the folders.
    """
    linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
    size = order.limits.file_bytes + sum(
        count + PAGE - count % PAGE for _, count in order.files
    )
    options = f"size={size},nr_inodes={INODES},mode=0700"
    if "disk" in order.without:
        options = "mode=0700"
    flags = linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("tmpfs", "/tmp", "tmpfs", flags, options)
    for number, folder in enumerate(PRIVATE):
        os.mkdir(f"/tmp/{number}", 0o700)
        if folder != "/tmp":
            linux.mount(f"/tmp/{number}", folder, "", linux.MS_BIND)
    # Last, since it covers the others where they lie.
    linux.mount(f"/tmp/{PRIVATE.index('/tmp')}", "/tmp", "", linux.MS_BIND)
    read_only = linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | flags
    linux.mount("none", CACHE, "", read_only)
    if hide_processes:
        # A fresh procfs can't be mounted here, and the zygote's shows the zygote.
        linux.mount("none", "/proc", "tmpfs", flags | linux.MS_RDONLY | linux.MS_NOEXEC, "size=4k")


def set_limits(limits: Limits, base: int, without: frozenset[str]) -> None:
    """Set the kernel's limits on each process of the child.

    Parameters
    ----------
    limits : Limits
        The bounds.
    base : int
        Bytes of data that the child was born with, which don't count.
    without : frozenset of str
        ``"data"``, ``"processes"``, ``"open-files"``, ``"file-size"`` leave one out.
    """
    bounds: dict[str, tuple[int, int]] = {
        # RLIMIT_AS would count the libraries too, and breaks PyTorch.
        "data": (resource.RLIMIT_DATA, base + limits.memory_bytes),
        # Besides the student's processes, the guard and process 1 are counted.
        "processes": (resource.RLIMIT_NPROC, limits.processes + 2),
        "open-files": (resource.RLIMIT_NOFILE, limits.open_files),
        "file-size": (resource.RLIMIT_FSIZE, limits.file_bytes),
        # Only a backstop: the grader's clock stops a child long before.
        "processor": (resource.RLIMIT_CPU, limits.processor_seconds),
        # 0 would still feed a crash to a program of this machine, where one collects crashes.
        "core": (resource.RLIMIT_CORE, 1),
        "stack": (resource.RLIMIT_STACK, STACK_BYTES),
        "locked": (resource.RLIMIT_MEMLOCK, LOCKED_BYTES),
        "queues": (resource.RLIMIT_MSGQUEUE, 0),
        "signals": (resource.RLIMIT_SIGPENDING, PENDING_SIGNALS),
        "realtime": (resource.RLIMIT_RTPRIO, 0),
    }
    for name, (kind, value) in bounds.items():
        if name in without:
            continue
        hard = resource.getrlimit(kind)[1]
        # At its hard limit of processor time a process is killed without a sign of why; the soft
        # one comes first, with a signal of its own.
        own = value + 1 if kind == resource.RLIMIT_CPU else value
        if hard != resource.RLIM_INFINITY:
            own, value = min(own, hard), min(value, hard)
        resource.setrlimit(kind, (value, own))


def close_all_but(keep: tuple[int, ...]) -> None:
    """Close every descriptor but `keep`; standard input, output and error lead nowhere."""
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    first = 3
    for number in sorted(keep):
        os.closerange(first, number)
        first = number + 1
    os.closerange(first, resource.getrlimit(resource.RLIMIT_NOFILE)[1] % (1 << 30))


def data_bytes(proc: int) -> int:
    """Size of this process's data, as RLIMIT_DATA counts it."""
    for line in read_at(proc, "self/status").splitlines():
        if line.startswith(b"VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def say(pipe: int, message: dict[str, Any]) -> None:
    """Write one message to the guard."""
    os.write(pipe, json.dumps(message).encode() + b"\n")


def read_at(folder: int, name: str) -> bytes:
    """Read a small file below an open folder."""
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


def write_at(folder: int, name: str, text: str) -> None:
    """Write a small file below an open folder, in one piece."""
    descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
