"""The engine: a trusted process that grades notebooks, one request after the other.

It keeps what is slow to make: the imports, the sandboxes' zygotes, the references' results. Start
it with `engine_client.Engine`; a request is a JSON object whose ``do`` names a handler.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.bounds import Bounds
from autograder.engine_client import receive, send
from autograder.errors import CourseError
from autograder.roles import NOTHING, STUDENT, role_of, usual_imports
from autograder.split import Run
from autograder.student_side import Process

SECRET_ENV = "NNCOURSE_SECRET"
PRELOADABLE = ("torch", "matplotlib.pyplot", "pandas", "scipy", "sklearn")
ZYGOTES_KEPT = 3
HANG_UP_SECONDS = 1.0
REFUSED = (
    "{reason} To grade all the same, only where you trust every submission, add "
    "--trust-submissions."
)


@dataclass
class Ended:
    """How a plain process ended."""

    text: str


class PlainProcess:
    """A student's side without confinement, for submissions that an instructor trusts."""

    def __init__(self, library: Path, files: Mapping[str, bytes]) -> None:
        self._folder = tempfile.mkdtemp(prefix="nncourse-")
        for name, content in files.items():
            target = Path(self._folder) / Path(name).name
            target.write_bytes(content)
        self.socket, theirs = socket.socketpair()
        keep = ("PATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "autograder.worker", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),), cwd=self._folder, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in keep if name in os.environ}
            | {"PYTHONPATH": str(library), "PYTHONHASHSEED": "0", "PYTHONUTF8": "1",
               "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"},
        )  # fmt: skip
        theirs.close()

    def kill(self) -> None:
        """End the process and its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, 9)
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def wait(self, timeout: float | None) -> Ended | None:
        """How it ended, None while it runs."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        return Ended(f"killed by signal {-code}" if code < 0
                     else f"the process ended by itself with status {code}")  # fmt: skip


class Confinement:
    """Starts student sides, from zygotes that are kept warm."""

    def __init__(self) -> None:
        self._zygotes: OrderedDict[Any, Any] = OrderedDict()
        self._library: Path | None = None

    def library(self) -> Path:
        """The folder of what student code may import from the course."""
        if self._library is None:
            from autograder.sandbox_library import build_library

            base = Path(tempfile.mkdtemp(prefix="nncourse-library-"))
            self._library = build_library(Path(__file__).resolve().parents[1], base)
        return self._library

    def spawn(
        self, files: Mapping[str, bytes], bounds: Bounds, hidden: tuple[str, ...],
        preload: tuple[str, ...], trust: bool,
    ) -> Process:  # fmt: skip
        """Start one student's side.

        Raises
        ------
        CourseError
            Where this machine can't confine it and nobody said that it is trusted.
        """
        from autograder import sandbox

        reason = sandbox.available()
        if reason:
            if not trust:
                raise CourseError(REFUSED.format(reason=reason))
            return PlainProcess(self.library(), files)
        key = (hidden, preload, bounds)
        for attempt in (1, 2):
            zygote = self._zygotes.pop(key, None)
            if zygote is None:
                # Both sides import the same at the same time. (No daemon: a process that ends in
                # the middle of such an import aborts.)
                threading.Thread(target=import_all, args=(preload,)).start()
                zygote = sandbox.Zygote(
                    library=self.library(), bounds=bounds, hidden=hidden, preload=preload
                )
            try:
                child = zygote.spawn(files, bounds)
            except sandbox.SandboxError:
                zygote.close()
                if attempt == 2:
                    raise
                continue
            self._zygotes[key] = zygote
            while len(self._zygotes) > ZYGOTES_KEPT:
                self._zygotes.popitem(last=False)[1].close()
            return child  # type: ignore[no-any-return]
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End all zygotes."""
        while self._zygotes:
            self._zygotes.popitem()[1].close()
        self.drop_library()

    def drop_library(self) -> None:
        """Remove the folder of what student code may import."""
        if self._library is not None:
            shutil.rmtree(self._library.parent, ignore_errors=True)
            self._library = None


def import_all(names: tuple[str, ...]) -> None:
    """Import modules that exist; the locked cells will want them."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from autograder import worker

    worker.later()


CONFINEMENT = Confinement()


def preload_for(cells: list[Any], hidden: tuple[str, ...]) -> tuple[str, ...]:
    """Modules worth importing before the processes divide: those that locked cells import."""
    text = "\n".join(c["source"] for c in cells if role_of(c) not in (STUDENT, NOTHING))
    wanted = ["autograder.worker", "autograder.warm", "numpy"]
    for name in PRELOADABLE:
        top = name.split(".")[0]
        if top not in hidden and re.search(rf"^\s*(import|from)\s+{top}\b", text, re.MULTILINE):
            wanted.append(name)
    if re.search(r"^\s*(import|from)\s+nnlib\b", text, re.MULTILINE):
        wanted += ["nnlib.contract", "nnlib.checks"]
    return tuple(wanted)


def execute(request: Mapping[str, Any]) -> dict[str, Any]:
    """Run one notebook; see the module's description for the record that comes back."""
    from autograder import wire_errors

    cells = request["cells"]
    bounds = Bounds.from_dict(request.get("bounds", {}))
    hidden = tuple(sorted(request.get("hidden", ())))
    preload = preload_for(cells, hidden)
    files, given = (
        {name: base64.b64decode(data) for name, data in request.get(key, {}).items()}
        for key in ("files", "given")
    )
    trust = bool(request.get("trust", False))
    os.environ[SECRET_ENV] = str(request.get("secret", ""))
    # The checks' own limit is the backstop behind the student side's.
    os.environ["NNCOURSE_CALL_SECONDS"] = str(bounds.call_seconds + 3)
    guard = sys.modules.get("nnlib.checks.guard")
    if guard is not None:
        guard.CALL_SECONDS = bounds.call_seconds + 3  # type: ignore[attr-defined]
    if not wire_errors.KNOWN_EXCEPTIONS:
        wire_errors.KNOWN_EXCEPTIONS.update(known_exceptions())
    run = Run(
        cells, lambda: CONFINEMENT.spawn(files, bounds, hidden, preload, trust), bounds,
        isolation=request.get("isolation", "split"),
        student_names=frozenset(request.get("student_names", ())),
        locked_names=frozenset(request.get("locked_names", ())),
        imports=tuple(request.get("imports", usual_imports(cells))),
        keep_files=bool(request.get("keep_files", False)),
    )  # fmt: skip
    with beside(given):
        return run.record()


@contextlib.contextmanager
def beside(files: Mapping[str, bytes]) -> Iterator[None]:
    """Work in a folder with the instructor's files, whose modules a locked cell can import."""
    if not files:
        yield
        return
    here, known = os.getcwd(), set(sys.modules)
    folder = tempfile.mkdtemp(prefix="nncourse-given-")
    try:
        for name, content in files.items():
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        os.chdir(folder)
        sys.path.append(folder)
        yield
    finally:
        os.chdir(here)
        sys.path[:] = [path for path in sys.path if path != folder]
        for name in set(sys.modules) - known:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(folder):
                del sys.modules[name]
        shutil.rmtree(folder, ignore_errors=True)


def known_exceptions() -> dict[str, type[Exception]]:
    """Exception classes that keep their type when they cross, by qualified name."""
    import numpy as np

    found: dict[str, type[Exception]] = {
        "numpy.linalg.LinAlgError": np.linalg.LinAlgError,
        "numpy.exceptions.AxisError": np.exceptions.AxisError,
    }
    with contextlib.suppress(ImportError):
        import nnlib.errors

        for name, value in vars(nnlib.errors).items():
            if isinstance(value, type) and issubclass(value, Exception):
                found[f"nnlib.errors.{name}"] = value
    return found


def ping(request: Mapping[str, Any]) -> dict[str, Any]:
    """Tell that the engine lives."""
    return {"pong": True}


HANDLERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "ping": ping,
    "execute": execute,
}


def handler(name: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The function behind a request; those of `job` are loaded when they are asked for."""
    if name not in HANDLERS:
        from autograder import job

        HANDLERS.update(job.HANDLERS)
    return HANDLERS[name]


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one request; an error is an answer, too."""
    try:
        return handler(str(request["do"]))(request)
    except CourseError as error:
        return {"refused": str(error)}
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"the grader failed: {type(error).__name__}: {error}"}


def end_with_client(sock: socket.socket) -> None:
    """End this process soon after the client hung up, whatever it is doing.

    A client that was killed would otherwise leave an endless loop running to its limit.
    """
    if not hasattr(select, "poll"):  # Windows
        return
    poll = select.poll()
    poll.register(sock, getattr(select, "POLLRDHUP", 0))
    poll.poll()
    # Enough for the main thread to end in order, if it is idle.
    time.sleep(HANG_UP_SECONDS)
    CONFINEMENT.drop_library()
    os._exit(1)


def main(descriptor: int) -> None:
    """Serve requests until the client hangs up."""
    import gc

    from autograder.lean import skip_slow_imports

    skip_slow_imports()
    sock = socket.socket(fileno=descriptor)
    # What is kept for the whole class is large and never garbage: look for that less often.
    gc.set_threshold(20_000, 20, 50)
    threading.Thread(target=end_with_client, args=(sock,), daemon=True).start()
    send(sock, {"ready": True})
    try:
        while True:
            send(sock, answer(receive(sock)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    finally:
        CONFINEMENT.close()


if __name__ == "__main__":
    # Not this module's own main: handlers import `autograder.engine`, which must be the same one.
    from autograder import engine

    engine.main(int(sys.argv[1]))
    os._exit(0)  # all is closed; tearing down an interpreter with PyTorch takes a second
