"""How much memory a child's processes take together, seen from outside of them.

RLIMIT_DATA bounds each process, and control groups, which could bound all, are rarely writable
where grading runs. So the guard adds up, several times a second.
"""

from __future__ import annotations

import os
import re

from .child import read_at

_FIELDS = re.compile(rb"^(PPid|RssAnon|VmSwap|VmPTE):\s+(\d+)", re.MULTILINE)
_SHARES = re.compile(rb"^(?:Pss_Anon|SwapPss):\s+(\d+) kB", re.MULTILINE)
_SOCKETS = re.compile(rb"sockets: used (\d+)")
SOCKET_KIB = 208
"""What a socket can hold unread (net.core.wmem_default): no process's memory shows it."""


class MemoryWatch:
    """Adds up the memory of all descendants of one process.

    Parameters
    ----------
    proc : int
        Descriptor of a ``/proc`` that shows them.
    init : int
        The process, as that ``/proc`` numbers it.
    limit : int
        Bytes that they may take beyond what `init` has now: the pages it shares with the zygote,
        which writing to them turns into its own.
    folder : str
        A folder on the child's private file system, which lies in memory.
    """

    def __init__(self, proc: int, init: int, limit: int, folder: str) -> None:
        self.proc = proc
        self.init = init
        self.folder = folder
        fields = self._fields(str(init)) or {}
        self.limit = limit // 1024 + fields.get(b"RssAnon", 0)

    def exceeded(self) -> bool:
        """Whether the child takes more than its limit now."""
        members = self._members()
        beside = self._files() + self._sockets()
        # Resident sizes count a page once for each process that shares it: never too little. Only
        # where that is too much, the exact but slow way decides.
        if beside + sum(_resident(fields) for fields in members.values()) <= self.limit:
            return False
        exact = (self._share(pid, fields) for pid, fields in members.items())
        return beside + sum(exact) > self.limit

    def _members(self) -> dict[str, dict[bytes, int]]:
        """Fields of ``status`` in KiB for each process of the child.

        An orphan's parent becomes process 1 of its namespace, so all of them descend from it.
        """
        everything: dict[str, dict[bytes, int]] = {}
        children: dict[int, list[str]] = {}
        for name in os.listdir(self.proc):
            if name.isdigit() and (fields := self._fields(name)):
                everything[name] = fields
                children.setdefault(fields.get(b"PPid", 0), []).append(name)
        members = {}
        waiting = [str(self.init)]
        while waiting:
            name = waiting.pop()
            if name in everything:
                members[name] = everything.pop(name)
                waiting += children.get(int(name), [])
        return members

    def _fields(self, pid: str) -> dict[bytes, int] | None:
        try:
            text = read_at(self.proc, f"{pid}/status")
        except OSError:  # it has just ended
            return None
        return {name: int(value) for name, value in _FIELDS.findall(text)}

    def _share(self, pid: str, fields: dict[bytes, int]) -> int:
        """Memory of a process where a page shared by n processes counts as 1/n for each."""
        try:
            shares = _SHARES.findall(read_at(self.proc, f"{pid}/smaps_rollup"))
        except OSError:  # ended, or it made itself unreadable
            shares = []
        if not shares:
            return _resident(fields)
        return sum(map(int, shares)) + fields.get(b"VmPTE", 0)

    def _files(self) -> int:
        used = os.statvfs(self.folder)
        return (used.f_blocks - used.f_bfree) * used.f_frsize // 1024

    def _sockets(self) -> int:
        try:
            match = _SOCKETS.search(read_at(self.proc, "self/net/sockstat"))
        except OSError:
            return 0
        return int(match[1]) * SOCKET_KIB if match else 0


def _resident(fields: dict[bytes, int]) -> int:
    return fields.get(b"RssAnon", 0) + fields.get(b"VmSwap", 0) + fields.get(b"VmPTE", 0)
