"""The system calls that student code may not make, as a seccomp filter.

Namespaces, mounts and limits already bound what a child can reach. The filter takes away the
parts of the kernel that could undo them (new namespaces), that count against no limit (memory
without a mapping), or that have a history of faults which let code escape. A forbidden call fails
with an error that Python reports; nothing is killed for it.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import NamedTuple

from . import linux

# Numbers per machine: x86-64, AArch64; -1 where a machine lacks the call.
FORBIDDEN: dict[str, tuple[int, int]] = {
    # New or other namespaces (clone and clone3 are handled below).
    "unshare": (272, 97), "setns": (308, 268),
    # The file system tree.
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "swapon": (167, 224), "swapoff": (168, 225),
    "quotactl": (179, 60), "quotactl_fd": (443, 443),
    # Looking into other processes.
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "perf_event_open": (298, 241), "bpf": (321, 280),
    # Keyrings: they belong to the user, not to a namespace.
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # Asynchronous input and output: large, often faulty; io_setup uses up a system-wide count.
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_setup": (206, 0), "io_submit": (209, 2),
    # Memory that no limit counts, since it lives without being mapped.
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194),
    "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    # Memory tricks that exploits need and notebooks don't.
    "userfaultfd": (323, 282), "move_pages": (279, 239), "migrate_pages": (256, 238),
    "remap_file_pages": (216, 234),
    # Files past the names that are visible here.
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    # The kernel and the machine.
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "syslog": (103, 116), "acct": (163, 89), "personality": (135, 92), "vhangup": (153, 58),
    "sethostname": (170, 161), "setdomainname": (171, 162), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "iopl": (172, -1), "ioperm": (173, -1), "modify_ldt": (154, -1), "uselib": (134, -1),
    "ustat": (136, -1), "sysfs": (139, -1), "_sysctl": (156, -1),
    "nfsservctl": (180, 42), "lookup_dcookie": (212, 18),
    # The kernel shares processors fairly between sessions (autogroup): with a session for each of
    # its processes, a child would take time from the other submissions.
    "setsid": (112, 157),
}  # fmt: skip

CLONE = (56, 220)
CLONE3 = (435, 435)
SOCKET = (41, 198)
IOCTL = (16, 29)
MMAP = (9, 222)

LAST_KNOWN = 456
"""Calls with higher numbers are newer than this table: they don't exist inside."""

NAMESPACE_FLAGS = (
    linux.CLONE_NEWNS
    | linux.CLONE_NEWCGROUP
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUSER
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWNET
)

AF_UNIX = 1
TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX: they type into the terminal, as if a person did."""
SHARED_ANONYMOUS = 0x01 | 0x20
MAP_HUGETLB = 0x40000

# Classic BPF (linux/bpf_common.h).
_LOAD = 0x20  # A = 32 bits of struct seccomp_data
_AND = 0x54  # A &= constant
_IF_EQUAL = 0x15
_IF_GREATER = 0x25
_IF_ANY_BIT = 0x45
_RETURN = 0x06
# struct seccomp_data: nr, arch, instruction pointer, then six 64-bit arguments (little endian).
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_ALLOW = 0x7FFF0000
_ERROR = 0x00050000
_REFUSE = _ERROR | errno.EPERM
_UNKNOWN = _ERROR | errno.ENOSYS


class Machine(NamedTuple):
    """A kind of processor: its column in the tables, and its number in ``linux/audit.h``."""

    column: int
    audit: int


MACHINES = {"x86_64": Machine(0, 0xC000003E), "aarch64": Machine(1, 0xC00000B7)}


class Instruction(NamedTuple):
    """One step of the filter; a comparison skips `yes` or `no` of the steps that follow."""

    code: int
    constant: int
    yes: int = 0
    no: int = 0


class _SockFilter(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    ]


class _SockProgram(ctypes.Structure):
    _fields_ = [("len", ctypes.c_uint16), ("filter", ctypes.POINTER(_SockFilter))]


def filter_program(machine: Machine, *, network: bool = False) -> list[Instruction]:
    """Return the filter for one kind of processor.

    Parameters
    ----------
    machine : Machine
        One of `MACHINES`.
    network : bool
        Whether sockets other than local ones are allowed (for tests of the network namespace).

    Returns
    -------
    list of Instruction
        Every path through it ends in a verdict; what no rule names is allowed.
    """
    column = machine.column
    program = [
        Instruction(_LOAD, _ARCHITECTURE),
        # Another architecture's numbers (32-bit calls on a 64-bit machine) mean other calls.
        Instruction(_IF_EQUAL, machine.audit, 1, 0),
        Instruction(_RETURN, _UNKNOWN),
        Instruction(_LOAD, _NUMBER),
        # Also true of x86's x32 calls, whose numbers have bit 30 set.
        Instruction(_IF_GREATER, LAST_KNOWN, 0, 1),
        Instruction(_RETURN, _UNKNOWN),
    ]
    for numbers in FORBIDDEN.values():
        if numbers[column] >= 0:
            program += _on(numbers[column], [Instruction(_RETURN, _REFUSE)])
    # The C library falls back to clone, whose flags a filter can see.
    program += _on(CLONE3[column], [Instruction(_RETURN, _UNKNOWN)])
    program += _on(
        CLONE[column],
        [
            _load_argument(0),
            Instruction(_IF_ANY_BIT, NAMESPACE_FLAGS, 0, 1),
            Instruction(_RETURN, _REFUSE),
            Instruction(_RETURN, _ALLOW),
        ],
    )
    program += _on(
        IOCTL[column],
        [
            _load_argument(1),
            Instruction(_IF_EQUAL, TERMINAL_INPUT[0], 1, 0),
            Instruction(_IF_EQUAL, TERMINAL_INPUT[1], 0, 1),
            Instruction(_RETURN, _REFUSE),
            Instruction(_RETURN, _ALLOW),
        ],
    )
    # Shared anonymous memory stays when its pages leave the mapping, where nothing counts it.
    program += _on(
        MMAP[column],
        [
            _load_argument(3),
            Instruction(_IF_ANY_BIT, MAP_HUGETLB, 2, 0),
            Instruction(_AND, SHARED_ANONYMOUS),
            Instruction(_IF_EQUAL, SHARED_ANONYMOUS, 0, 1),
            Instruction(_RETURN, _REFUSE),
            Instruction(_RETURN, _ALLOW),
        ],
    )
    if not network:
        program += _on(
            SOCKET[column],
            [
                _load_argument(0),
                Instruction(_IF_EQUAL, AF_UNIX, 1, 0),
                Instruction(_RETURN, _REFUSE),
                Instruction(_RETURN, _ALLOW),
            ],
        )
    program.append(Instruction(_RETURN, _ALLOW))
    return program


def supported() -> bool:
    """Whether there is a filter for this machine."""
    return os.uname().machine in MACHINES


def install(*, network: bool = False) -> None:
    """Put the filter on this process and on all that it starts, for good."""
    steps = filter_program(MACHINES[os.uname().machine], network=network)
    array = (_SockFilter * len(steps))(
        *(_SockFilter(step.code, step.yes, step.no, step.constant) for step in steps)
    )
    linux.install_filter(_SockProgram(len(steps), array))


def _on(number: int, steps: list[Instruction]) -> list[Instruction]:
    """Take `steps`, which end in a verdict, for one call; all others skip them."""
    return [Instruction(_IF_EQUAL, number, 0, len(steps)), *steps]


def _load_argument(index: int) -> Instruction:
    """Load the low 32 bits of an argument: all that the arguments compared here have."""
    return Instruction(_LOAD, _ARGUMENTS + 8 * index)
