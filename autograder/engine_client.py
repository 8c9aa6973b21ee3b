"""A handle on an engine: the trusted process that grades, one request at a time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from autograder.errors import CourseError

LENGTH = struct.Struct("<Q")
START_SECONDS = 120.0
GRACE = 30.0
"""Seconds beyond a notebook's limit before an engine that doesn't answer is killed."""


class EngineDied(CourseError):  # noqa: N818 - what happened, not what is wrong
    """The engine ended in the middle of a request."""


def send(sock: socket.socket, message: Any) -> None:
    """Send one JSON message."""
    data = json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    sock.sendall(LENGTH.pack(len(data)) + data)


def receive(sock: socket.socket) -> Any:
    """Wait for one JSON message; EOFError where the other side hung up."""
    return json.loads(_exactly(sock, LENGTH.unpack(_exactly(sock, LENGTH.size))[0]))


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = sock.recv(min(count - len(data), 2**20))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


class Engine:
    """Starts an engine process when it is needed, and another one where that died.

    Parameters
    ----------
    log : Path
        File for what the engine writes to stderr; nothing is kept where it is None.
    path : str
        Folder that comes first on the engine's module path (the course's root).

    Examples
    --------
    >>> with Engine() as engine:
    ...     engine.request({"do": "ping"})
    {'pong': True}
    """

    def __init__(self, log: Path | None = None, path: str = "") -> None:
        self._log = log
        self._path = path
        self._errors: Any = None
        self._greeted = False
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process if there is none; its imports then run beside the caller's work."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        ours, theirs = socket.socketpair()
        environment = {
            **os.environ,
            "PYTHONPATH": self._module_path(),
            "PYTHONHASHSEED": "0",
            "PYTHONUTF8": "1",
            # Notebooks run side by side: more threads than cores only get in each other's way.
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MPLBACKEND": "agg",
        }
        environment.pop("NNCOURSE_SECRET", None)
        self._greeted = False
        with contextlib.ExitStack() as stack:
            if self._log is not None:
                self._log.parent.mkdir(parents=True, exist_ok=True)
                error: Any = stack.enter_context(self._log.open("ab"))
            else:
                error = self._errors = tempfile.TemporaryFile()  # noqa: SIM115
            self._process = subprocess.Popen(
                # -P: modules in the working directory must not be found before the course's.
                [sys.executable, "-P", "-m", "autograder.engine", str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=error,
                pass_fds=(theirs.fileno(),), env=environment, start_new_session=True,
            )  # fmt: skip
        theirs.close()
        self._socket = ours

    def request(self, message: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Parameters
        ----------
        message : dict
            What to do; see `autograder.engine`.
        seconds : float
            How long to wait; None waits as long as it takes.

        Raises
        ------
        EngineDied
            When the process ended or had to be killed. The next request starts another one.
        CourseError
            When the engine refused, with its reason.
        """
        with self._lock:
            self.start()
            self._greet()
            assert self._socket is not None
            try:
                self._socket.settimeout(seconds)
                send(self._socket, message)
                answer = receive(self._socket)
            except TimeoutError:
                self.kill()
                raise EngineDied(f"the grader's process gave no answer in {seconds:g} s") from None
            except (EOFError, OSError):
                reason = self._reason()
                self.kill()
                raise EngineDied(f"the grader's process died{reason}") from None
            except BaseException:
                self.kill()  # an answer may still come, and nobody would read it
                raise
        if "refused" in answer:
            raise CourseError(str(answer["refused"]))
        if "failed" in answer:
            raise EngineDied(str(answer["failed"]))
        return dict(answer)

    def _greet(self) -> None:
        """Wait for a new engine's first word; one that can't start is the machine's failure.

        It must end the run, never cost a submission its points.
        """
        if self._greeted:
            return
        assert self._socket is not None
        try:
            self._socket.settimeout(START_SECONDS)
            receive(self._socket)
        except (EOFError, OSError):
            said = self._last_words()
            self.kill()
            raise CourseError(
                f"The grader's process doesn't start: {said}. Run `nncourse doctor`, or install "
                "the course again (`make setup`)."
            ) from None
        self._greeted = True

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            if self._log is not None:
                text = self._log.read_text(encoding="utf-8", errors="replace")
            else:
                self._errors.seek(0)
                text = self._errors.read().decode("utf-8", "replace")
            lines = text.strip().splitlines()
            if lines:
                return lines[-1][:300]
        return "it gave no reason"

    def _module_path(self) -> str:
        own = str(Path(__file__).resolve().parents[1])
        return os.pathsep.join(filter(None, (self._path, own, os.environ.get("PYTHONPATH", ""))))

    def _reason(self) -> str:
        if self._process is None:
            return ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(2)
            return f" (signal {-code})" if code < 0 else f" (status {code})"
        return ""

    def kill(self) -> None:
        """End the process and everything below it, at once."""
        # Taken away first: the waiting thread, once woken, calls this too.
        process, self._process = self._process, None
        connection, self._socket = self._socket, None
        if connection is not None:
            # Closing alone would leave a thread that waits for an answer waiting.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        """Let the process end by itself; kill it if it doesn't."""
        process = self._process
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if process is not None:
            limit = time.monotonic() + 2
            while process.poll() is None and time.monotonic() < limit:
                time.sleep(0.01)
        self.kill()
