"""A class of any size costs the same per submission: time, memory, queries."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import make_course, set_cell, submit
from launcher import descendants
from robust import copy_of
from sqlalchemy import event
from sqlalchemy.engine import Engine as Database

from autograder.course import Course
from autograder.engine_client import Engine
from autograder.grade import grade
from autograder.progress import Progress
from autograder.record import Recorder
from autograder.release import release
from autograder.sandbox import available

pytestmark = [
    pytest.mark.xdist_group("grading"),
    pytest.mark.skipif(bool(available()), reason="student code can't be confined here"),
    pytest.mark.timeout(900),
]

CLASS = 150
START = 10
"""Submissions after which everything is imported and cached."""
THIRD = 45
TRIES = 3
"""Processor time depends on what else the machine does, too: one quiet run is enough."""
MEBI = 2**20
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Sample:
    """What had been used when a submission was finished."""

    own_seconds: float
    engine_seconds: float
    own_bytes: int
    engine_bytes: int


@dataclass
class Measured:
    """A run, measured after each submission."""

    samples: list[Sample] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)
    commits: list[int] = field(default_factory=list)

    def per_submission(self, name: str, start: int, count: int) -> float:
        """Mean of what was used by each of so many submissions."""
        first, last = self.samples[start - 1], self.samples[start + count - 1]
        return float(getattr(last, name) - getattr(first, name)) / count


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A class of 150, all different."""
    course = make_course(tmp_path_factory.mktemp("scale") / "course")
    release(course, ["01-double"])
    text = (course.exercises / "01-double" / "double_numpy.ipynb").read_text(encoding="utf-8")
    for number in range(CLASS):
        data = json.loads(text)
        set_cell(data, "double", f"def double(x):\n    return {number % 3 + 1} * x  # {number}")
        set_cell(data, "answer_size", 'answer_size = "b"')
        submit(course, f"student-{number:03d}", data)
    return course


def seconds_of(pid: int) -> float:
    """Processor time of a process and of those below it that have ended."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return sum(map(int, text.rsplit(")", 1)[1].split()[11:15])) / TICKS


def bytes_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * PAGE


@contextmanager
def counted(measured: Measured) -> Iterator[None]:
    """Count statements and commits of each submission's record."""
    count = {"queries": 0, "commits": 0}

    def statement(*_: Any) -> None:
        count["queries"] += 1

    def commit(*_: Any) -> None:
        count["commits"] += 1

    record = Recorder.record

    def recorded(recorder: Recorder, *args: Any) -> Any:
        before = dict(count)
        view = record(recorder, *args)
        measured.queries.append(count["queries"] - before["queries"])
        measured.commits.append(count["commits"] - before["commits"])
        return view

    event.listen(Database, "before_cursor_execute", statement)
    event.listen(Database, "commit", commit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "record", recorded)
        try:
            yield
        finally:
            event.remove(Database, "before_cursor_execute", statement)
            event.remove(Database, "commit", commit)


def measure(course: Course) -> Measured:
    """Grade the class with one engine."""
    found = Measured()
    engines: list[Engine] = []

    def engine() -> Engine:
        engines.append(Engine(course.cache / "logs" / "engine.log", str(course.root)))
        return engines[-1]

    def advance(progress: Progress, *args: Any, **more: Any) -> None:
        number = len(found.samples)
        if number % 10 == 0:
            gc.collect()
        process = engines[0]._process
        assert process is not None
        below = [process.pid, *descendants(process.pid)]
        times = os.times()
        found.samples.append(Sample(
            times.user + times.system, sum(map(_gone_is_zero, below)),
            bytes_of(os.getpid()), bytes_of(process.pid),
        ))  # fmt: skip

    with counted(found), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "advance", advance)
        run = grade(course, ["01-double"], workers=1, engine=engine)[0]
    assert len(engines) == 1, "the same engine graded the whole class"
    assert len(found.samples) == len(found.queries) == run.fresh == CLASS
    assert {outcome.score for outcome in run.outcomes} == {1.0, 4.0}
    return found


def _gone_is_zero(pid: int) -> float:
    try:
        return seconds_of(pid)
    except (OSError, IndexError):
        return 0.0


@pytest.fixture(scope="module")
def runs(pristine: Course, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    """Further measurements, each of a class that was never graded."""

    def more() -> Iterator[Measured]:
        for _ in range(TRIES):
            yield measure(copy_of(pristine, tmp_path_factory.mktemp("run") / "course"))

    return more()


@pytest.fixture(scope="module")
def measured(runs: Iterator[Measured]) -> Measured:
    """The first one."""
    return next(runs)


def test_queries_per_submission_are_constant(measured: Measured) -> None:
    assert len(set(measured.queries[START:])) == 1, measured.queries
    assert 10 < measured.queries[-1] < 100
    assert set(measured.commits) == {1}, "one transaction for each submission"


def test_memory_is_flat(measured: Measured) -> None:
    for name, limit in (("own_bytes", 6 * MEBI), ("engine_bytes", 12 * MEBI)):
        start, end = (getattr(measured.samples[i], name) for i in (THIRD, CLASS - 1))
        grown = end - start
        assert grown < limit, f"{name} grew by {grown / MEBI:.1f} MiB in {CLASS - THIRD}"


def test_time_per_submission_is_constant(measured: Measured, runs: Iterator[Measured]) -> None:
    seen = []
    while True:
        ratios = []
        for name in ("own_seconds", "engine_seconds"):
            first = measured.per_submission(name, START, THIRD)
            last = measured.per_submission(name, CLASS - THIRD, THIRD)
            assert first > 0.001, f"{name} is measured"
            ratios.append(last / first)
        seen.append(ratios)
        if max(ratios) < 1.25:
            return
        again = next(runs, None)
        assert again is not None, f"the last third takes longer than the first: {seen}"
        measured = again
