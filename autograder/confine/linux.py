"""The few system calls that confinement needs and Python's `os` lacks, by way of the C library."""

from __future__ import annotations

import ctypes
import os
from typing import Any

# Namespaces (linux/sched.h).
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# Mounts (linux/mount.h).
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

# prctl (linux/prctl.h).
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2

SECUREBITS = 0b11101111
"""NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE, KEEP_CAPS off; all four locked."""

_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.mount.argtypes = [
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
]


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilitySets(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def _checked(what: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, second: int = 0, third: int = 0) -> int:
    """Call ``prctl(option, second, third, 0, 0)``."""
    return _checked(f"prctl({option})", _libc.prctl(option, second, third, 0, 0))


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    _checked(f"unshare({flags:#x})", _libc.unshare(ctypes.c_int(flags)))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Call ``mount(2)``."""
    arguments = [source.encode(), target.encode(), kind.encode(), flags, options.encode()]
    _checked(f"mount {kind or source} on {target}", _libc.mount(*arguments))


def install_filter(program: Any) -> None:
    """Install a seccomp filter, a ``struct sock_fprog``, on this process and its children."""
    pointer = ctypes.addressof(program)
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, pointer)


def drop_capabilities() -> None:
    """Give up every capability in this user namespace, and every way to get one back.

    The order matters: emptying the bounding set and locking the securebits take capabilities,
    which the last call gives away.
    """
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_READ, capability)
        except OSError:  # one past the last capability that this kernel knows
            break
        prctl(PR_CAPBSET_DROP, capability)
    prctl(PR_SET_SECUREBITS, SECUREBITS)
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    nothing = (_CapabilitySets * 2)()
    _checked("capset", _libc.capset(ctypes.byref(header), ctypes.byref(nothing)))


def become_unprivileged(uid: int, gid: int) -> None:
    """Turn from root into an ordinary user for good. Supplementary groups go first."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
