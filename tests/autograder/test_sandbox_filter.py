"""The filter of system calls, as a program: also for the machine that this one is not."""

# ruff: noqa: F401, F811 (fixtures are found by name)

from __future__ import annotations

import errno
import os
import re
import signal
from pathlib import Path

import pytest

from autograder import sandbox
from autograder.confine import seccomp
from tests.autograder.sandboxed import (
    LINUX_ROOT,
    Probe,
    Raised,
    make_zygote,
    probe,
    sandbox_library,
    zygote,
)

pytestmark = pytest.mark.skipif(
    not LINUX_ROOT and bool(sandbox.available()), reason=f"no sandbox: {sandbox.available()}"
)


def verdict(machine: str, number: int, arguments: tuple[int, ...] = (), audit: int = 0) -> int:
    """Run the filter as the kernel would; 0 if it allows, else the error."""
    audit = audit or seccomp.MACHINES[machine].audit
    data = {0: number, 4: audit, **{16 + 8 * i: a & 0xFFFFFFFF for i, a in enumerate(arguments)}}
    steps = seccomp.filter_program(seccomp.MACHINES[machine])
    accumulator = position = 0
    while True:
        step = steps[position]
        position += 1
        if step.code == 0x20:
            accumulator = data.get(step.constant, 0)
        elif step.code == 0x54:
            accumulator &= step.constant
        elif step.code == 0x06:
            return 0 if step.constant == 0x7FFF0000 else step.constant & 0xFFFF
        else:
            holds = {
                0x15: accumulator == step.constant,
                0x25: accumulator > step.constant,
                0x45: bool(accumulator & step.constant),
            }[step.code]
            position += step.yes if holds else step.no


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_filter_refuses(machine: str) -> None:
    column = seccomp.MACHINES[machine].column
    for name, numbers in seccomp.FORBIDDEN.items():
        if numbers[column] >= 0:
            assert verdict(machine, numbers[column]) == errno.EPERM, name
    clone, ioctl, mmap = seccomp.CLONE[column], seccomp.IOCTL[column], seccomp.MMAP[column]
    for bit in (17, 25, 26, 27, 28, 29, 30):
        assert verdict(machine, clone, (1 << bit | signal.SIGCHLD,)) == errno.EPERM
    assert verdict(machine, seccomp.CLONE3[column]) == errno.ENOSYS
    assert verdict(machine, ioctl, (0, 0x5412)) == errno.EPERM
    assert verdict(machine, ioctl, (0, 0x541C)) == errno.EPERM
    assert verdict(machine, mmap, (0, 4096, 3, 0x21)) == errno.EPERM
    assert verdict(machine, mmap, (0, 4096, 3, 0x23)) == errno.EPERM  # MAP_SHARED_VALIDATE
    assert verdict(machine, mmap, (0, 4096, 3, 0x40022)) == errno.EPERM
    for domain in (2, 10, 16, 17, 40):  # internet, netlink, packets, virtual machines
        assert verdict(machine, seccomp.SOCKET[column], (domain, 1, 0)) == errno.EPERM
    assert verdict(machine, 470) == errno.ENOSYS
    assert verdict(machine, 0x40000000 | 41) == errno.ENOSYS  # x32's socket
    assert verdict(machine, 1, audit=0x40000003) == errno.ENOSYS  # 32-bit


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_filter_allows_ordinary_work(machine: str) -> None:
    column = seccomp.MACHINES[machine].column
    threads = 0x3D0F00  # what the C library passes for a thread
    assert verdict(machine, seccomp.CLONE[column], (threads,)) == 0
    assert verdict(machine, seccomp.CLONE[column], (0x1200000 | signal.SIGCHLD,)) == 0
    assert verdict(machine, seccomp.IOCTL[column], (1, 0x5401)) == 0
    assert verdict(machine, seccomp.MMAP[column], (0, 4096, 3, 0x22)) == 0  # private anonymous
    assert verdict(machine, seccomp.MMAP[column], (0, 4096, 3, 0x01)) == 0  # shared file
    assert verdict(machine, seccomp.SOCKET[column], (1, 1, 0)) == 0
    for number in ((0, 1, 39, 57, 59, 60, 231), (56, 63, 64, 93, 172, 221))[column]:
        assert verdict(machine, number) == 0


HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", r"#define __NR_(\w+) (\d+)"),
    "aarch64": ("/usr/include/asm-generic/unistd.h", r"#define __NR(?:3264)?_(\w+) (\d+)"),
}


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_numbers_are_the_kernel_s(machine: str) -> None:
    path, pattern = HEADERS[machine]
    if not os.path.exists(path):
        pytest.skip(f"{path} is not installed")
    known: dict[str, int] = {}
    for name, number in re.findall(pattern, Path(path).read_text("utf-8")):
        known.setdefault(name, int(number))
    table = seccomp.FORBIDDEN | {
        "clone": seccomp.CLONE, "clone3": seccomp.CLONE3, "socket": seccomp.SOCKET,
        "ioctl": seccomp.IOCTL, "mmap": seccomp.MMAP,
    }  # fmt: skip
    column = seccomp.MACHINES[machine].column
    for name, numbers in table.items():
        if name in known:
            assert numbers[column] == known[name], name


def test_forbidden_calls_fail_inside(probe: Probe) -> None:
    machine = seccomp.MACHINES[os.uname().machine]
    numbers = {n: c[machine.column] for n, c in seccomp.FORBIDDEN.items() if c[machine.column] >= 0}
    code = f"result = {{name: system_call(n, 0, 0, 0, 0, 0, 0) for name, n in {numbers!r}.items()}}"
    assert set(probe(code).values()) == {-errno.EPERM}
    assert probe("result = system_call(56, 0x10000011, 0, 0, 0, 0)") == -errno.EPERM
    assert probe("result = system_call(435, 0, 88)") == -errno.ENOSYS
    assert probe("result = system_call(0x40000000 + 41, 2, 1, 0)") == -errno.ENOSYS


def test_privileges_do_not_come_back(probe: Probe) -> None:
    for call in (
        "os.setuid(0)",
        "os.setgid(0)",
        "os.setgroups([0])",
        "os.nice(-5)",
        "os.chroot('/tmp')",
        "os.mknod('x', 0o60600, os.makedev(8, 0))",
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
        "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (99, 99))",
    ):
        with pytest.raises(Raised, match="Error"):
            probe(call)
    # A program that its owner's rights come with gets none here.
    probe("open('x', 'w').write('#!/bin/sh\\nid -u'); os.chmod('x', 0o6755)")
    assert probe("import subprocess; result = subprocess.check_output('./x').decode()") == "1000\n"
