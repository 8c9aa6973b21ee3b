"""Spread requests over engines: processes on this machine, or the workers of a Dask cluster.

Requests are taken one by one as there is room, so that a class of any size needs the same memory.
On this machine, one thread for each engine waits for its answers. On a cluster, Dask's scheduler
does everything: placement, retries, lost workers.
"""

from __future__ import annotations

import functools
import json
import queue
import threading
import zlib
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from autograder.errors import CourseError

AHEAD = 2
"""Requests in flight for each engine: one that runs, one that waits."""
TRIES = 2
"""How often a request is tried whose engine died. It is the same for every submission: nothing in
a submission can make the grader try it again."""

CONNECT_SECONDS = 20.0


@dataclass(frozen=True)
class Task:
    """A request to an engine.

    Attributes
    ----------
    tag : object
        What the caller knows it by.
    request : dict
        Plain data for `autograder.engine`.
    seconds : float
        How long an answer may take.
    """

    tag: Any
    request: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Failure:
    """No answer: the engine died, twice."""

    text: str


Answer = dict[str, Any] | Failure


class Client(Protocol):
    """What a local worker needs of an engine."""

    def request(self, message: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
        """Ask and wait."""

    def kill(self) -> None:
        """End it at once."""

    def close(self) -> None:
        """Let it end."""


def run_all(
    tasks: Iterable[Task | None],
    *,
    workers: int = 2,
    cluster: str = "",
    engine: Callable[[], Client] | None = None,
    code: str = "",
) -> Generator[tuple[Task, Answer], None, None]:
    """Run requests side by side; yields each as its answer comes, in any order.

    Parameters
    ----------
    tasks : iterable of Task or None
        Taken as there is room. None says that there is nothing to do before the next answer.
    workers : int
        Engines on this machine.
    cluster : str
        Address of a Dask scheduler, which is used instead.
    engine : callable
        Makes an engine client; the default starts a process.
    code : str
        Hash of the code that must run there, see `autograder.executed.code_hash`.

    Raises
    ------
    CourseError
        Where an engine refuses to work, or the cluster can't be used.
    """
    pool = DaskPool(cluster, code) if cluster else LocalPool(workers, engine or local_engine())
    iterator = iter(tasks)
    in_flight, more = 0, True
    try:
        while True:
            while more and in_flight < pool.room():
                try:
                    task = next(iterator)
                except StopIteration:
                    more = False
                    break
                if task is None:
                    break
                pool.submit(task)
                in_flight += 1
            if in_flight == 0:
                if not more:
                    break
                raise RuntimeError("the requests wait for an answer, and none is under way")
            task, answer = pool.wait()
            in_flight -= 1
            yield task, answer
        pool.close()
    except BaseException:
        pool.kill()
        raise


def local_engine(log: Path | None = None, path: str = "") -> Callable[[], Client]:
    """Make engines that are processes on this machine."""

    def make() -> Client:
        from autograder.engine_client import Engine

        return Engine(log, path)

    return make


class Shelf:
    """Keeps engines for the next assignment: their imports and sandboxes stay warm.

    Parameters
    ----------
    make : callable
        Makes an engine client.
    """

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._idle: list[Client] = []

    def __enter__(self) -> Shelf:
        return self

    def __exit__(self, *error: object) -> None:
        while self._idle:
            self._idle.pop().close()

    def take(self) -> Client:
        """An engine, to be closed as if it were one's own."""
        return _Borrowed(self, self._idle.pop() if self._idle else self._make())

    def give_back(self, client: Client) -> None:
        """Keep an engine."""
        self._idle.append(client)


class _Borrowed:
    """An engine from a shelf."""

    def __init__(self, shelf: Shelf, client: Client) -> None:
        self._shelf, self._client = shelf, client
        self.request = client.request
        self.kill = client.kill

    def close(self) -> None:
        """Put it back."""
        self._shelf.give_back(self._client)


class LocalPool:
    """Threads, each with an engine of its own."""

    def __init__(self, workers: int, engine: Callable[[], Client]) -> None:
        self._count = max(1, workers)
        self._make = engine
        self._asked: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._answered: queue.SimpleQueue[tuple[Task, Any]] = queue.SimpleQueue()
        self._engines: list[Client] = []
        self._threads: list[threading.Thread] = []
        self._stopped = False
        self._waiting = 0

    def room(self) -> int:
        """How many requests to have in flight."""
        return self._count * AHEAD

    def submit(self, task: Task) -> None:
        """Hand a request over; a further engine starts when there is work for it."""
        self._waiting += 1
        if len(self._threads) < min(self._count, self._waiting):
            client = self._make()
            self._engines.append(client)
            thread = threading.Thread(
                target=self._work, args=(client,), daemon=True, name=f"engine_work-{id(client)}"
            )
            self._threads.append(thread)
            thread.start()
        self._asked.put(task)

    def wait(self) -> tuple[Task, Answer]:
        """The next answer; raises what an engine refused with."""
        task, answer = self._answered.get()
        self._waiting -= 1
        if isinstance(answer, BaseException):
            raise answer
        return task, answer

    def _work(self, client: Client) -> None:
        while (task := self._asked.get()) is not None and not self._stopped:
            try:
                self._answered.put((task, _ask(client, task, lambda: self._stopped)))
            except BaseException as error:  # the waiting thread raises it
                self._answered.put((task, error))

    def close(self) -> None:
        """End all engines."""
        for _ in self._threads:
            self._asked.put(None)
        for thread in self._threads:
            thread.join(10)
        for client in self._engines:
            client.close()

    def kill(self) -> None:
        """End all engines at once, whatever they do."""
        self._stopped = True
        for _ in self._threads:
            self._asked.put(None)
        for client in self._engines:
            client.kill()
        for thread in self._threads:  # so that none is left to print over the next message
            thread.join(10)


def _ask(client: Client, task: Task, stopped: Callable[[], bool]) -> Answer:
    """Ask an engine; where it dies, ask the one that takes its place once more."""
    from autograder.engine_client import EngineDied

    error: Exception | None = None
    for _ in range(TRIES):
        try:
            return client.request(task.request, task.seconds)
        except EngineDied as died:
            error = died
            if stopped():
                break
    return Failure(str(error))


class DaskPool:
    """A Dask cluster, by the address of its scheduler."""

    def __init__(self, address: str, code: str) -> None:
        try:
            from distributed import Client, as_completed
        except ModuleNotFoundError as error:
            raise CourseError(
                "--cluster needs the package distributed: pip install 'nncourse[cluster]'"
            ) from error
        self._code = code
        try:
            self._client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise CourseError(f"No Dask scheduler answers at {address}: {error}") from error
        try:
            _check_versions(self._client, code)
        except BaseException:
            self._client.close()
            raise
        self._done = as_completed(loop=self._client.loop)
        self._tasks: dict[Any, tuple[Any, Task]] = {}

    def room(self) -> int:
        """How many requests to have in flight; a cluster may grow and shrink."""
        return AHEAD * max(1, sum(self._client.nthreads().values()))

    def submit(self, task: Task) -> None:
        """Hand a request over, as bytes."""
        future = self._client.submit(
            on_worker, pack(task.request), task.seconds, self._code, pure=False,
            retries=TRIES - 1,
        )  # fmt: skip
        self._tasks[future.key] = future, task
        self._done.add(future)

    def wait(self) -> tuple[Task, Answer]:
        """The next answer; raises what an engine refused with."""
        from autograder.engine_client import EngineDied

        future = next(self._done)
        _, task = self._tasks.pop(future.key)
        error = future.exception()
        if error is None:
            return task, unpack(future.result())
        if isinstance(error, CourseError) and not isinstance(error, EngineDied):
            raise error
        return task, Failure(str(error) or type(error).__name__)

    def close(self) -> None:
        """Disconnect; the cluster goes on."""
        self._client.close()

    def kill(self) -> None:
        """Take back what is under way, and disconnect."""
        self._client.cancel([future for future, _ in self._tasks.values()])
        self._client.close()


def pack(value: dict[str, Any]) -> bytes:
    """Plain data as bytes; most of it is the plan, which packs well."""
    return zlib.compress(json.dumps(value).encode("ascii"), 1)


def unpack(data: bytes) -> dict[str, Any]:
    """Undo `pack`."""
    value: dict[str, Any] = json.loads(zlib.decompress(data))
    return value


_IDLE: queue.SimpleQueue[Client] = queue.SimpleQueue()
"""Engines of this Dask worker process that wait for work."""


def on_worker(data: bytes, seconds: float, code: str) -> bytes:
    """Answer one request in a Dask worker, with an engine that stays for the next one."""
    _check_code(code, installed_code())
    try:
        client = _IDLE.get_nowait()
    except queue.Empty:
        client = local_engine()()
    try:
        return pack(client.request(unpack(data), seconds))
    finally:
        _IDLE.put(client)


@functools.cache
def installed_code() -> str:
    """Hash of the code that is installed on this machine."""
    from autograder.course import Course
    from autograder.executed import code_hash

    root = Path(__file__).resolve().parents[1]
    return code_hash(Course(root))


def _check_code(wanted: str, found: str) -> None:
    if wanted and wanted != found:
        raise CourseError(
            "the workers of the cluster have another version of nnlib, autograder, Python or a "
            "library than this machine, so grades could differ. Install the same checkout and "
            "constraints.txt there, and restart the workers."
        )


def _check_versions(client: Any, code: str) -> None:
    """Refuse a cluster that would grade differently."""
    try:
        found = client.run(installed_code)
    except Exception as error:
        raise CourseError(
            f"The workers of the cluster can't grade: {type(error).__name__}: {error}. They need "
            "pip install 'nncourse[grade,torch,cluster]' of the same checkout."
        ) from error
    for worker, version in sorted(found.items()):
        try:
            _check_code(code, version)
        except CourseError as error:
            raise CourseError(f"Worker {worker}: {error}") from error
