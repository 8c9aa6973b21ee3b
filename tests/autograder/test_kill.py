"""Whenever and however a run is stopped, the next one ends as if it had never been.

The runs here are the real command with real engines and sandboxes, killed from outside.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import make_course, set_cell, submit
from fake_engine import FakeEngine
from launcher import command_line, descendants
from robust import Ended, Nursery, copy_of, differing, everything, launch

from autograder import grade as grading
from autograder.cli import main
from autograder.course import Course
from autograder.engine_client import Engine
from autograder.grade import ClassRun, grade
from autograder.outcomes import ATTENTION, GRADED
from autograder.record import Recorder
from autograder.release import release
from autograder.report import write_reports
from autograder.sandbox import available

pytestmark = [
    pytest.mark.xdist_group("grading"),
    pytest.mark.skipif(bool(available()), reason="student code can't be confined here"),
]

MOMENTS = int(os.environ.get("NNCOURSE_KILLS", "30"))
"""How many times the whole test kills a run."""
CHAIN = 3
"""How many of these befall one class before it may come to its end."""
SEED = 20
CLASS = 8
NAMES = ("anna", "bert", "carl", "dora", "emil", "fine", "gone", "hugo")
TITLE = 1  # "01-double: 8 submissions" comes before the first of these


def prepare(course: Course) -> None:
    """A class of eight: five that can be graded, three that can't."""
    with (course.root / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write("\nc.ConfinedExecute.cell_seconds = 3\nc.ConfinedExecute.call_seconds = 3\n")
    release(course, ["01-double"])
    path = course.exercises / "01-double" / "double_numpy.ipynb"

    def solved(double: str) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        set_cell(data, "double", double)
        set_cell(data, "answer_size", 'answer_size = "b"')
        return data

    right = solved("def double(x):\n    return 2 * x")
    deleted = json.loads(json.dumps(right))
    deleted["cells"] = [c for c in deleted["cells"] if c["id"] != "score_double"]
    submit(course, "anna", right)
    submit(course, "bert", solved("def double(x):\n    return 3 * x"))
    submit(course, "carl", json.dumps(right)[:700])
    submit(course, "dora", deleted)
    submit(course, "dora", "2026-01-10 01:00:00 UTC", name="timestamp.txt")
    submit(course, "emil", path.read_bytes())
    submit(course, "fine", solved("import os\nos._exit(3)"))
    (course.submitted / "gone" / "01-double").mkdir(parents=True)
    submit(course, "hugo", solved("def double(x:\n    pass"))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A class that was never graded."""
    course = make_course(tmp_path_factory.mktemp("kill") / "course")
    prepare(course)
    return course


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    found = Nursery(tmp_path_factory.mktemp("n"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def whole(pristine: Course, tmp_path_factory: pytest.TempPathFactory) -> tuple[Course, Ended]:
    """The class graded without interruption, by a new process."""
    course = copy_of(pristine, tmp_path_factory.mktemp("whole") / "course")
    ended = launch(course, "01", "--workers", "2")
    assert ended.code == 0, ended.output
    assert not ended.left
    return course, ended


@pytest.fixture(scope="module")
def expected(whole: tuple[Course, Ended]) -> dict[str, Any]:
    """All that an uninterrupted run leaves."""
    found = everything(whole[0])
    assert len(found["submitted_assignment"]) == CLASS
    assert len([name for name in found if name.startswith("feedback/")]) >= CLASS
    assert {"reports/01-double.html", "reports/index.html"} <= found.keys()
    return found


@pytest.fixture
def course(pristine: Course, tmp_path: Path) -> Course:
    return copy_of(pristine, tmp_path / "course")


Moment = tuple[int, float]
"""When to kill: after so many lines of output, and so many seconds."""


def pick_moments(whole: Ended, rng: random.Random) -> list[Moment]:
    """Moments to kill the runs of one class, one after the other.

    They are spread over a run's life: while it starts, between any two submissions, in the middle
    of one, and while it writes reports. A slow machine changes none of that.
    """
    start = whole.times[0]
    first = whole.times[TITLE] - start
    pace = (whole.times[TITLE + CLASS - 1] - whole.times[TITLE]) / (CLASS - 1)
    end = whole.seconds - whole.times[TITLE + CLASS - 1]
    moments: list[Moment] = []
    done = 0
    for place in sorted(rng.sample(range(CLASS + 1), CHAIN)):
        if place == CLASS:
            moments.append((TITLE + CLASS - done, rng.random() * end))
        elif place == done or rng.random() < 0.25:
            # Before or after the title: imports, release, lock, gradebook, engines, sandboxes.
            began = rng.random() < 0.7
            moments.append((int(began), rng.random() * (first if began else start)))
            continue
        else:
            moments.append((TITLE + place - done, rng.random() * pace))
        done = place
    return moments


@pytest.mark.timeout(900)
def test_killed_at_random_moments_and_resumed(
    pristine: Course, whole: tuple[Course, Ended], expected: dict[str, Any], nursery: Nursery,
    tmp_path: Path,
) -> None:  # fmt: skip
    chains = max(1, MOMENTS // CHAIN)
    warm = copy_of(pristine, tmp_path / "warm")
    timed = launch(warm, "01", "--workers", "1", nursery=nursery)
    assert timed.code == 0, timed.output
    assert differing(everything(warm), expected) == {}

    def suffer(number: int) -> list[Ended]:
        course = copy_of(pristine, tmp_path / f"course-{number}")
        # One class with all imports each time, the others without.
        where, model = (nursery, timed) if number else (None, whole[1])
        options = ["01", "--workers", str(1 + number % 2)]
        moments = pick_moments(model, random.Random(SEED + number))
        ends: list[Ended] = []
        for lines, delay in moments:
            ends.append(launch(course, *options, lines=lines, delay=delay, nursery=where))
            if "--resume" not in options:
                options.append("--resume")
        last = launch(course, *options, nursery=where)
        assert last.code == 0, last.output
        assert "Traceback" not in last.output
        assert differing(everything(course), expected) == {}, (number, moments)
        return [*ends, last]

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(suffer, range(chains)))
    killed = [end for ends in results for end in ends[:-1] if not end.finished]
    assert {end.code for end in killed} == {-signal.SIGKILL}
    # Where the machine speeds up meanwhile, some runs end before their moment.
    assert len(killed) >= 0.7 * chains * CHAIN
    assert [end.left for ends in results for end in ends if end.left] == []
    below = {line for end in killed for line in end.below}
    assert any("engine" in line for line in below), "engines were at work when they lost it"
    assert any("confine.zygote" in line for line in below), "so were sandboxes"
    graded = {end.output.count("/4 ") for end in killed}
    assert len(graded) >= min(4, chains), "they were killed at different stages"


LONG = "\nc.ConfinedExecute.cell_seconds = 120\nc.ConfinedExecute.call_seconds = 120\n"


def configure(course: Course, lines: str) -> None:
    with (course.root / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write(lines)


def only(course: Course, double: str, student: str = "late") -> None:
    """Hand in a notebook with this cell for one more student."""
    path = course.exercises / "01-double" / "double_numpy.ipynb"
    data = json.loads(path.read_text(encoding="utf-8"))
    set_cell(data, "double", double)
    set_cell(data, "answer_size", 'answer_size = "b"')
    submit(course, student, data)


def test_an_endless_loop_does_not_outlive_a_killed_run(course: Course) -> None:
    configure(course, LONG)
    only(course, "import os\nwhile True:\n    pass", "aaron")
    # Two finish while the first one loops.
    ended = launch(course, "01", "--workers", "2", "--students", "a*", lines=TITLE + 1,
                   delay=1.0, patience=60.0)  # fmt: skip
    assert not ended.finished, ended.output
    assert any("confine.zygote" in line for line in ended.below)
    assert ended.left == []
    assert ended.lingered < 60


def test_ctrl_c_ends_everything_and_the_next_run_goes_on(
    pristine: Course, tmp_path: Path, expected: dict[str, Any], nursery: Nursery
) -> None:
    for attempt in range(3):
        course = copy_of(pristine, tmp_path / f"course-{attempt}")
        ended = launch(course, "01", "--workers", "1", lines=TITLE + 2, sent=signal.SIGINT,
                       nursery=nursery)  # fmt: skip
        if ended.code != 0:  # on a starved machine the key may come when all is done
            break
    assert (ended.code, ended.left) == (130, [])
    assert "Run the command again to continue" in ended.output
    assert "Traceback" not in ended.output
    again = launch(course, "01", "--workers", "1", nursery=nursery)
    assert (again.code, again.left) == (0, [])
    assert "of them unchanged" in again.output
    assert differing(everything(course), expected) == {}


SLOW = "import time\ntime.sleep(0.7)\ndef double(x):\n    return 2 * x"


class Struck(Engine):
    """An engine that loses a process in the middle of its second submission.

    `which` picks the processes; the engine itself by default.
    """

    strikes = 0
    which = staticmethod(lambda engine: [engine])

    def __init__(self, log: Path, path: str, strikes: int = 1) -> None:
        super().__init__(log, path)
        self.graded, self.to_come = 0, strikes

    def request(self, message: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
        self.graded += message["do"] == "grade"
        if message["do"] == "grade" and self.graded > 1 and self.to_come:
            self.to_come -= 1
            self.start()
            self._greet()
            assert self._process is not None
            before = set(descendants(self._process.pid))
            done = threading.Event()
            threading.Thread(target=self._strike, args=(self._process.pid, before, done)).start()
            try:
                return super().request(message, seconds)
            finally:
                done.wait(60)
        return super().request(message, seconds)

    def _strike(self, engine: int, before: set[int], done: threading.Event) -> None:
        # A new process below the engine: the student's, so the notebook is being executed.
        limit = time.monotonic() + 30
        while time.monotonic() < limit and not set(descendants(engine)) - before:
            time.sleep(0.005)
        for process in type(self).which(engine):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        type(self).strikes += 1
        done.set()


class LosesZygote(Struck):
    which = staticmethod(lambda engine: [
        p for p in descendants(engine) if "confine.zygote" in command_line(p)
    ][:1])  # fmt: skip


class LosesSandbox(Struck):
    which = staticmethod(descendants)


def run_here(course: Course, engine: Callable[[], Any], **options: Any) -> ClassRun:
    """Grade in this process; the class takes its time, so that a strike hits an execution."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNCOURSE_SECRET", "a secret")
        found = grade(course, ["01-double"], workers=1, engine=engine, **options)[0]
        write_reports(course, found)
    return found


@pytest.mark.parametrize("kind", [Struck, LosesZygote])
def test_a_killed_helper_costs_nothing(
    course: Course, expected: dict[str, Any], kind: type[Struck]
) -> None:
    for student in NAMES:
        shutil.rmtree(course.submitted / student)
    for student in ("anna", "bert", "carl"):
        only(course, f"{SLOW}  # {student}", student)
    reference = copy_of(course, course.root.with_name("reference"))
    log = course.cache / "logs" / "engine.log"
    assert [o.score for o in run_here(reference, lambda: Engine(log, str(reference.root))).outcomes
            ] == [4, 4, 4]  # fmt: skip
    kind.strikes = 0
    found = run_here(course, lambda: kind(log, str(course.root)))
    assert kind.strikes == 1
    assert [(o.score, o.reasons) for o in found.outcomes] == [(4, [])] * 3
    assert differing(everything(course), everything(reference)) == {}


def test_a_killed_sandbox_is_said_and_costs_no_other_submission(course: Course) -> None:
    for student in NAMES:
        shutil.rmtree(course.submitted / student)
    for student in ("anna", "bert", "carl"):
        only(course, f"{SLOW}  # {student}", student)
    LosesSandbox.strikes = 0
    log = course.cache / "logs" / "engine.log"
    found = run_here(course, lambda: LosesSandbox(log, str(course.root)))
    assert LosesSandbox.strikes == 1
    anna, bert, carl = found.outcomes
    assert [(o.score, o.reasons) for o in (anna, carl)] == [(4, [])] * 2
    # Before the student's code has begun, another sandbox takes its place.
    assert bert.score == 4 or "killed: its sandbox ended" in bert.reasons[0]
    assert bert.status == (ATTENTION if bert.reasons else GRADED)


def test_an_engine_that_always_dies_costs_one_submission_until_the_next_run(
    course: Course, expected: dict[str, Any]
) -> None:
    log = course.cache / "logs" / "engine.log"
    for student in ("zoe", "zora"):
        only(course, f"{SLOW}  # {student}", student)
    Struck.strikes = 0
    found = run_here(course, lambda: Struck(log, str(course.root), 2), students="z*")
    assert Struck.strikes == 2
    zoe, zora = found.outcomes
    assert (zoe.score, zora.score) == (4, 0)
    assert "the grader's process failed: the grader's process died (signal 9)" in zora.reasons[0]
    again = run_here(course, lambda: Engine(log, str(course.root)), students="z*")
    assert (again.fresh, [o.score for o in again.outcomes]) == (1, [4, 4])


# What the machine refuses: with an engine that needs no process, every step fails once


@pytest.fixture
def _fake_engines(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(course.submitted / "fine")  # it ends its process, which is this one here
    monkeypatch.setattr(grading, "local_engine", lambda *_: lambda: FakeEngine(course.root))
    monkeypatch.setenv("NNCOURSE_SECRET", "a secret")
    monkeypatch.chdir(course.root)


def command(*options: str) -> Result:
    return CliRunner().invoke(main, ["grade", "01", "--workers", "1", *options])


def in_words(found: Result, words: str) -> None:
    assert isinstance(found.exception, SystemExit), found.exception
    assert found.exit_code == 2, found.output
    for part in (words, "Nothing is lost", "--resume"):
        assert part in found.output


@pytest.mark.usefixtures("_fake_engines")
@pytest.mark.parametrize("step", [1, 2, 5, 9, 20, -2, -1])
def test_a_full_disk_ends_the_run_in_words_and_costs_nothing(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    reference = copy_of(course, tmp_path / "reference")
    count = 0
    mkstemp = tempfile.mkstemp

    def full(*args: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a file")
        return mkstemp(*args, **options)

    monkeypatch.setattr("autograder.course.tempfile.mkstemp", full)
    at = 0
    monkeypatch.chdir(reference.root)
    assert command().exit_code == 0
    at = count + 1 + step if step < 0 else step
    count = 0
    monkeypatch.chdir(course.root)
    found = command()
    assert count == at
    in_words(found, "No space left on device")
    assert command("--resume").exit_code == 0
    assert differing(everything(course), everything(reference)) == {}


@pytest.mark.usefixtures("_fake_engines")
def test_a_locked_gradebook_ends_the_run_in_words_and_costs_nothing(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = copy_of(course, tmp_path / "reference")
    monkeypatch.chdir(reference.root)
    assert command().exit_code == 0
    monkeypatch.chdir(course.root)
    # SQLite's own patience of five seconds is not what is tested.
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3.dbapi2, "connect", lambda *args, **more: connect(*args, **more | {"timeout": 0})
    )
    taken: list[str] = []
    record = Recorder.record

    def locked(recorder: Recorder, student: str, result: Any) -> Any:
        taken.append(student)
        with closing(connect(course.root / "gradebook.db")) as other:
            if len(taken) == 4:
                other.execute("begin exclusive")
            return record(recorder, student, result)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "record", locked)
        found = command()
    in_words(found, "database is locked")
    assert len(taken) == 4, "the submission did not get 0 points instead"
    # Locked from the start.
    with closing(connect(course.root / "gradebook.db")) as other:
        other.execute("begin exclusive")
        in_words(command(), "database is locked")
    assert command("--resume").exit_code == 0
    assert differing(everything(course), everything(reference)) == {}
