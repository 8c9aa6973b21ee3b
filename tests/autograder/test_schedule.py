"""Requests reach engines, answers come back, and a dead engine costs one more try."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from autograder import schedule
from autograder.engine_client import EngineDied
from autograder.errors import CourseError
from autograder.schedule import AHEAD, Failure, Shelf, Task, run_all


class Echo:
    """An engine that answers with what it was asked."""

    made: list[Echo] = []

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.killed = self.closed = False
        Echo.made.append(self)

    def request(self, message: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
        self.asked.append(message["x"])
        match message:
            case {"die": times} if self.asked.count(message["x"]) <= times:
                raise EngineDied("the grader's process died (signal 9)")
            case {"refuse": reason}:
                raise CourseError(reason)
            case {"sleep": delay}:
                time.sleep(delay)
        return {"x": message["x"]}

    def kill(self) -> None:
        self.killed = True

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _none_made() -> None:
    Echo.made = []


def task(number: int, **more: Any) -> Task:
    return Task(number, {"x": number, **more}, 5.0)


def test_every_request_is_answered_once() -> None:
    answers = {
        t.tag: a for t, a in run_all(map(task, range(50)), workers=3, engine=Echo)
    }
    assert answers == {n: {"x": n} for n in range(50)}
    assert 1 <= len(Echo.made) <= 3
    assert all(engine.closed for engine in Echo.made)


def test_requests_are_taken_as_there_is_room() -> None:
    taken: list[int] = []

    def tasks() -> Iterator[Task]:
        for number in range(100):
            taken.append(number)
            yield task(number)

    answered = 0
    for _ in run_all(tasks(), workers=2, engine=Echo):
        answered += 1
        assert len(taken) <= answered + 2 * AHEAD
    assert answered == 100


def test_one_request_starts_one_engine() -> None:
    list(run_all([task(1)], workers=8, engine=Echo))
    assert len(Echo.made) == 1


def test_none_waits_for_the_next_answer() -> None:
    seen: list[int] = []

    def tasks() -> Iterator[Task | None]:
        yield task(1)
        while not seen:
            yield None
        yield task(2)

    for done, _ in run_all(tasks(), workers=2, engine=Echo):
        seen.append(done.tag)
    assert seen == [1, 2]


def test_a_dead_engine_is_tried_once_more_and_never_again() -> None:
    tasks = [task(1, die=1), task(2, die=10**9), task(3)]
    answers = {t.tag: a for t, a in run_all(tasks, workers=1, engine=Echo)}
    assert answers[1] == {"x": 1}
    assert answers[2] == Failure("the grader's process died (signal 9)")
    assert answers[3] == {"x": 3}
    assert Echo.made[0].asked == [1, 1, 2, 2, 3]


def test_a_refusal_ends_the_run() -> None:
    with pytest.raises(CourseError, match="no sandbox here"):
        list(run_all([task(1, refuse="no sandbox here")], engine=Echo))
    assert all(engine.killed for engine in Echo.made)


def test_leaving_kills_what_is_under_way() -> None:
    answers = run_all((task(n, sleep=0.01) for n in range(100)), workers=2, engine=Echo)
    next(answers)
    answers.close()
    assert all(engine.killed for engine in Echo.made)
    # At once: a thread that goes on could print over the message that ends the run.
    assert not [t.name for t in threading.enumerate() if "_work" in t.name]


def test_a_shelf_keeps_engines_for_the_next_assignment() -> None:
    with Shelf(Echo) as shelf:
        for _ in range(3):
            list(run_all(map(task, range(5)), workers=1, engine=shelf.take))
        assert len(Echo.made) == 1
        assert not Echo.made[0].closed
    assert Echo.made[0].closed


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Dask scheduler with threads of this process as its workers."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(schedule, "local_engine", lambda *_: Echo)
    while not schedule._IDLE.empty():
        schedule._IDLE.get()
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None,
    ) as made:  # fmt: skip
        yield made
    while not schedule._IDLE.empty():
        schedule._IDLE.get()


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_same_answers(cluster: Any) -> None:
    tasks = [*map(task, range(20)), task(20, die=1), task(21, die=10**9)]
    code = schedule.installed_code()
    found = {
        t.tag: a for t, a in run_all(tasks, cluster=cluster.scheduler_address, code=code)
    }
    assert {n: found[n] for n in range(20)} == {n: {"x": n} for n in range(20)}
    assert isinstance(found[21], Failure)
    assert "the grader's process died" in found[21].text
    assert len(Echo.made) <= 3
    with pytest.raises(CourseError, match="another version of nnlib"):
        list(run_all(tasks, cluster=cluster.scheduler_address, code="other"))


def test_no_scheduler_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(schedule, "CONNECT_SECONDS", 0.2)
    with pytest.raises(CourseError, match="No Dask scheduler answers at"):
        list(run_all([task(1)], cluster="tcp://127.0.0.1:9"))
