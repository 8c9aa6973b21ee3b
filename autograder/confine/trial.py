"""One rehearsal of what every child does: it shows whether this machine lets it."""

from __future__ import annotations

import os
from typing import NoReturn

from . import linux
from .child import UNPRIVILEGED, confine, enter_namespaces
from .order import Limits, Order

LIMITS = Limits(
    memory_bytes=1 << 30, processes=64, open_files=64, file_bytes=1 << 20, processor_seconds=60
)


UNREADABLE = "can't read"


def main(folders: list[str]) -> NoReturn:
    """Confine a child that does nothing; what fails is said on standard error.

    Parameters
    ----------
    folders : list of str
        What the zygote must be able to read.
    """
    if os.getuid() == 0:
        linux.become_unprivileged(UNPRIVILEGED, UNPRIVILEGED)
    for folder in folders:
        if not os.access(folder, os.R_OK | os.X_OK):
            os.write(2, f"{UNREADABLE} {folder}".encode())
            os._exit(1)
    linux.prctl(linux.PR_SET_DUMPABLE, 1)
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    enter_namespaces(proc, frozenset())
    init = os.fork()
    if init == 0:
        status = 1
        try:
            confine(Order(LIMITS), -1, proc, (2,))
            status = 0
        except OSError as error:
            os.write(2, str(error).encode())
        finally:
            os._exit(status)
    _, status = os.waitpid(init, 0)
    os._exit(0 if status == 0 else 1)
