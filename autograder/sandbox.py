"""How student code is confined: a zygote in a sandbox, and a child of it for each submission.

Bubblewrap starts the zygote once, with a file system that shows nothing but the system, Python and
the library for student code. The zygote imports what notebooks need. `Zygote.spawn` forks a child,
which moves into namespaces of its own, limits itself and gives up every privilege before it runs
student code (see `autograder.confine`). What student code may do is decided there, in the kernel;
nothing is asked of the student's process.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from autograder.bounds import Bounds
from autograder.confine import zygote
from autograder.confine.order import Order, check_name, write_order
from autograder.errors import CourseError
from autograder.sandbox_available import available
from autograder.sandbox_exit import Exit, describe, limits_of
from autograder.sandbox_view import BUBBLEWRAP, CONFINE, View, isolation_arguments, placed

__all__ = ["Child", "Exit", "SandboxError", "Zygote", "available"]

ENTRY = "autograder.worker:serve"
DEFENCES = frozenset({
    # The zygote's: what it shows, and who it is.
    "view", "read-only", "hidden", "environment", "user",
    # A child's own namespaces, and what they leave over.
    "network", "mounts", "proc", "pids", "session", "descriptors",
    # Limits.
    "processes", "data", "memory-watch", "disk", "file-size", "open-files", "processor",
    # The kernel's interface.
    "capabilities", "seccomp",
})  # fmt: skip
"""What tests leave out one by one, to show that each is needed."""

START_SECONDS = 120.0
SPAWN_SECONDS = 30.0
CLOSE_SECONDS = 5.0

_RUN = (
    "import sys; sys.path.insert(0, {path!r}); "
    "from confine.zygote import main; main({control}, {parent})"
)


class SandboxError(CourseError):
    """A sandbox couldn't be started, or has ended; the message says why."""


class Child:
    """One confined process tree that runs one submission's code.

    Attributes
    ----------
    socket : socket.socket
        The stream connection to what serves inside.
    """

    def __init__(self, connection: socket.socket, leash: socket.socket, bounds: Bounds) -> None:
        self.socket = connection
        self.bounds = bounds
        self._leash = leash
        self._lock = threading.Lock()
        self._exit: Exit | None = None

    def kill(self) -> None:
        """End every process of the child at once, whatever it does. `wait` tells when it is done.

        May be called at any time, from any thread, repeatedly.
        """
        with contextlib.suppress(OSError):  # if it has ended, or was closed
            self._leash.shutdown(socket.SHUT_WR)

    def wait(self, timeout: float | None = None) -> Exit | None:
        """Wait for the end of every process of the child.

        Parameters
        ----------
        timeout : float, optional
            Seconds; forever by default.

        Returns
        -------
        Exit or None
            None if it still runs.
        """
        due = None if timeout is None else time.monotonic() + timeout
        while self._exit is None:
            rest = None if due is None else max(0.0, due - time.monotonic())
            # Readable for every thread that waits here; the first one reads it.
            if self._leash.fileno() < 0 or not _readable(self._leash, rest):
                break
            with self._lock:
                if self._exit is None and _readable(self._leash, 0):
                    self._exit = describe(_receive(self._leash), self.bounds)
        return self._exit

    def close(self) -> None:
        """Kill the child, wait for its end and close the connection."""
        self.kill()
        if self.wait(CLOSE_SECONDS) is None:
            self._exit = Exit("lost", "killed: it could not be stopped in time")
        self._leash.close()
        self.socket.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Zygote:
    """A sandboxed process with everything imported, from which children are forked.

    Parameters
    ----------
    library : Path
        Folder shown at ``/library`` and first on ``sys.path``: what student code may import
        besides the installed packages. `autograder.sandbox_library` builds it.
    bounds : Bounds
        What a child may use, unless `spawn` is told otherwise.
    hidden : sequence of str
        Installed packages that must not be importable inside.
    preload : sequence of str
        Modules to import before any fork.
    covered : sequence of Path
        Folders to cover should they lie within one that the sandbox shows (``/usr``, the
        environment's ``lib``): the course.
    entry : str
        ``module:function`` in the library; called in each child with its connection. If the
        module has a function ``warm``, it is called once, before any fork; a function ``later``
        is called once after the first fork, when nothing waits.

    Raises
    ------
    SandboxError
        If it doesn't start.
    """

    def __init__(
        self,
        *,
        library: Path,
        bounds: Bounds,
        hidden: Sequence[str] = (),
        preload: Sequence[str] = (),
        covered: Sequence[Path] = (),
        entry: str = ENTRY,
        _without: frozenset[str] = frozenset(),
    ) -> None:
        if unknown := _without - DEFENCES:
            raise ValueError(f"there are no defences called {', '.join(sorted(unknown))}")
        self.bounds = bounds
        self._without = _without
        self._lock = threading.Lock()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        view = View(library, hidden, covered, _without)
        parent = _process_descriptor()
        try:
            self._process = self._start(view, control, parent)
        except OSError as error:
            self._control.close()
            self._errors.close()
            raise SandboxError(f"The sandbox can't start: {error}") from error
        finally:
            control.close()
            view.close()
            if parent >= 0:
                os.close(parent)
        try:
            self._prepare(preload, entry)
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether the zygote still runs."""
        return self._process.poll() is None

    def spawn(self, files: Mapping[str, bytes], bounds: Bounds | None = None) -> Child:
        """Fork a confined child, which then serves its connection.

        Parameters
        ----------
        files : mapping of str to bytes
            What it finds in its working directory; names may contain folders.
        bounds : Bounds, optional
            What it may use; the zygote's by default.

        Returns
        -------
        Child
            Running, with all limits in force.

        Raises
        ------
        SandboxError
            If the zygote has ended (start another one), or the child couldn't be confined.
        ValueError
            If a file's name leads out of the working directory.
        """
        bounds = bounds or self.bounds
        names = tuple((check_name(name), len(data)) for name, data in files.items())
        descriptor = write_order(Order(limits_of(bounds), names, self._without), files)
        leash, their_leash = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection, their_connection = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            try:
                rights = [their_leash.fileno(), their_connection.fileno(), descriptor]
                with self._lock:
                    socket.send_fds(self._control, [zygote.REQUEST], rights)
            finally:
                os.close(descriptor)
                their_leash.close()
                their_connection.close()
            if not _readable(leash, SPAWN_SECONDS):
                raise SandboxError(f"The sandbox didn't answer for {SPAWN_SECONDS:g} s.")
            answer = _receive(leash)
            if answer is None:
                raise SandboxError(f"The sandbox has ended. {self._reason()}")
            if "ready" not in answer:
                raise SandboxError(f"A child couldn't be confined: {answer.get('failed', answer)}")
        except OSError as error:
            leash.close()
            connection.close()
            raise SandboxError(f"The sandbox has ended. {self._reason()}") from error
        except BaseException:
            leash.close()
            connection.close()
            raise
        return Child(connection, leash, bounds)

    def close(self) -> None:
        """End the zygote and every child of it."""
        self._control.close()
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            # The zygote asked the kernel to die with bubblewrap, and its namespace dies with it.
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def __enter__(self) -> Zygote:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, view: View, control: socket.socket, parent: int) -> subprocess.Popen[bytes]:
        run = _RUN.format(path=CONFINE, control=control.fileno(), parent=parent)
        command = [
            BUBBLEWRAP,
            *isolation_arguments(self._without),
            *view.arguments,
            *("--chdir", "/", "--"),
            # No user site, no current directory on the path, no bytecode written.
            *(str(placed(Path(sys.executable))), "-s", "-P", "-B", "-c", run),
        ]
        inherited = [control.fileno(), *view.descriptors, *([parent] if parent >= 0 else [])]
        return subprocess.Popen(
            command,
            # What the zygote writes is not for the terminal; why it ended is in `_errors`.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            # Bubblewrap's own environment can be read from outside; it needs none of ours.
            env=dict(os.environ) if "environment" in self._without else {"PATH": os.defpath},
            pass_fds=inherited,
            # Keys of the terminal (Ctrl-C) go to the grader, which ends the sandbox in order.
            start_new_session=True,
        )

    def _prepare(self, preload: Sequence[str], entry: str) -> None:
        settings = {
            "preload": list(preload),
            "entry": entry,
            "own_path": CONFINE,
            "drop": "user" not in self._without,
        }
        try:
            self._control.send(json.dumps(settings).encode())
            answer = _receive(self._control) if _readable(self._control, START_SECONDS) else {}
        except OSError:
            answer = None
        if answer == {}:
            raise SandboxError(f"The sandbox didn't start within {START_SECONDS:g} s.")
        if answer is None:
            raise SandboxError(f"The sandbox can't start. {self._reason()}")
        if "ready" not in answer:
            raise SandboxError(f"The sandbox can't start: {answer['failed'].strip()}")

    def _reason(self) -> str:
        """Return what is known of why the zygote ended."""
        if self._errors.closed:
            return "It was closed."
        try:
            status = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "Why is not known."
        self._errors.seek(0)
        said = self._errors.read()[-2000:].decode("utf-8", "replace").strip()
        return f"Bubblewrap ended with status {status}: {said or 'it said nothing'}"


def _process_descriptor() -> int:
    """Return a descriptor that becomes readable when this process has ended, or -1."""
    try:
        return os.pidfd_open(os.getpid())
    except (OSError, AttributeError):  # Linux before 5.3
        return -1


def _readable(connection: socket.socket, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))


def _receive(connection: socket.socket) -> dict[str, Any] | None:
    """Read one packet; None at the end."""
    try:
        data = connection.recv(1 << 16)
    except OSError:
        return None
    return json.loads(data) if data else None
