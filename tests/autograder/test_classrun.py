"""A class on its way through gradebook and files, with an engine that needs no process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import make_course, set_cell, submit
from fake_engine import FakeEngine
from test_record import dump

from autograder import grade as grading
from autograder.cli import main
from autograder.course import Course
from autograder.errors import CourseError
from autograder.grade import ClassRun, grade
from autograder.outcomes import ATTENTION
from autograder.release import release
from autograder.report import write_reports
from autograder.schedule import AHEAD

pytestmark = pytest.mark.xdist_group("grading")

NAMES = ("anna", "bert", "carl", "dora")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A released course with four submissions, never graded."""
    course = make_course(tmp_path_factory.mktemp("classrun") / "course")
    release(course, ["01-double"])
    path = course.exercises / "01-double" / "double_numpy.ipynb"
    for number, name in enumerate(NAMES):
        data = json.loads(path.read_text(encoding="utf-8"))
        set_cell(data, "double", f"def double(x):\n    return {number + 1} * x")
        set_cell(data, "answer_size", 'answer_size = "b"')
        submit(course, name, data)
    submit(course, "carl", "half a notebo")
    return course


@pytest.fixture
def course(pristine: Course, tmp_path: Path) -> Course:
    shutil.copytree(pristine.root, tmp_path / "course")
    return Course(tmp_path / "course")


@pytest.fixture
def engine(course: Course) -> FakeEngine:
    return FakeEngine(course.root)


def run(course: Course, engine: FakeEngine, **options: Any) -> ClassRun:
    found = grade(course, ["01-double"], workers=1, engine=lambda: engine, **options)[0]
    write_reports(course, found)
    return found


def tree(course: Course) -> dict[str, str]:
    """Hash of every file that a run writes for people."""
    return {
        path.relative_to(course.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for base in (course.autograded, course.feedback, course.reports)
        for path in sorted(base.rglob("*"))
        if path.is_file()
    }


def everything(course: Course) -> tuple[Any, Any]:
    return dump(course), tree(course)


def test_grades_files_and_reports(course: Course, engine: FakeEngine) -> None:
    found = run(course, engine)
    assert [o.score for o in found.outcomes] == [1, 4, 0, 1]
    assert found.fresh == 4
    carl = found.outcomes[2]
    assert carl.status == ATTENTION
    assert "double_numpy.ipynb: notebook is not valid JSON at line 1" in carl.reasons[0]
    files = {Path(name).name for name in tree(course) if name.startswith("feedback/carl")}
    assert files == {"needs-attention.html"}
    path = course.autograded / "anna" / "01-double" / "double_numpy.ipynb"
    assert oct(path.stat().st_mode & 0o777) == "0o444"


def test_three_gradings_write_the_same_bytes(course: Course, engine: FakeEngine) -> None:
    run(course, engine)
    first = everything(course)
    for _ in range(2):
        assert run(course, engine, force=True).fresh == 4
        assert everything(course) == first
    assert engine.execute.count == 9, "force executes all three readable notebooks each time"


def test_workers_do_not_change_what_is_written(course: Course, engine: FakeEngine) -> None:
    run(course, engine)
    first = everything(course)
    grade(course, ["01-double"], workers=3, engine=lambda: FakeEngine(course.root), force=True)
    assert everything(course) == first


class KilledError(BaseException):
    """What a test does to a run."""


def steps_of(monkeypatch: pytest.MonkeyPatch, stop_at: int) -> list[str]:
    """Count what a run does that lasts, and kill the run before one such step."""
    done: list[str] = []

    def counted(real: Callable[..., Any], label: str) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            done.append(label)
            if len(done) == stop_at:
                raise KilledError
            return real(*args, **kwargs)

        return step

    from sqlalchemy.orm import Session

    monkeypatch.setattr("autograder.course.os.replace", counted(os.replace, "file"))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink, "unlink"))
    monkeypatch.setattr(Session, "commit", counted(Session.commit, "commit"))
    return done


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_killed_before_any_step_ends_as_if_it_had_not_been(
    pristine: Course, tmp_path: Path, resume: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(pristine.root, tmp_path / "whole")
    whole = Course(tmp_path / "whole")
    with monkeypatch.context() as patch:
        done = steps_of(patch, 0)
        run(whole, FakeEngine(whole.root))
    expected, total = everything(whole), len(done)
    assert total > 20
    assert {"file", "commit"} <= set(done)
    for stop_at in range(1 + resume, total + 1, 2):
        folder = tmp_path / f"killed-{stop_at}"
        shutil.copytree(pristine.root, folder)
        course = Course(folder)
        first, second = FakeEngine(course.root), FakeEngine(course.root)
        with monkeypatch.context() as patch:
            steps_of(patch, stop_at)
            with pytest.raises(KilledError):
                run(course, first)
        run(course, second, resume=resume)
        found = everything(course)
        assert dict(found[1].items() ^ expected[1].items()) == {}, stop_at
        assert found == expected, (stop_at, done[stop_at - 1])
        # Three notebooks can be executed; only what was under way is done twice.
        assert first.execute.count + second.execute.count <= 3 + AHEAD
        shutil.rmtree(folder)


def test_a_fixed_test_executes_only_what_changed(course: Course, engine: FakeEngine) -> None:
    run(course, engine)
    path = course.solutions / "01-double" / "double_numpy.md"
    text = path.read_text(encoding="utf-8")
    # A sentence in Markdown is part of the release, not of the execution.
    path.write_text(text.replace("Which size?", "Which size do you need?"), encoding="utf-8")
    release(course, ["01-double"])
    before = engine.execute.count
    assert [o.score for o in run(course, engine).outcomes] == [1, 4, 0, 1]
    assert engine.execute.count == before
    call = 'score("double", double, points=3)'
    path.write_text(text.replace(call, f"_ = 1\n{call}"), encoding="utf-8")
    release(course, ["01-double"])
    run(course, engine)
    assert engine.execute.count == before + 3


def test_old_results_are_not_kept(course: Course, engine: FakeEngine) -> None:
    run(course, engine)
    kept = len(list((course.cache / "results").glob("*.json")))
    for number in range(3):
        path = course.submitted / "anna" / "01-double" / "double_numpy.ipynb"
        data = json.loads(path.read_text(encoding="utf-8"))
        set_cell(data, "double", f"def double(x):\n    return {number} + x")
        submit(course, "anna", data)
        run(course, engine)
    assert len(list((course.cache / "results").glob("*.json"))) == kept


def test_resume_believes_stamps_and_the_default_looks(course: Course, engine: FakeEngine) -> None:
    run(course, engine)
    submit(course, "anna", "changed")
    assert run(course, engine, resume=True).fresh == 0
    assert run(course, engine).fresh == 1


def test_a_dead_engine_costs_its_submission_only(course: Course) -> None:
    engine = FakeEngine(course.root, die_on="return 2 * x")
    found = run(course, engine)
    bert = found.outcomes[1]
    assert (bert.status, bert.score, bert.max_score) == (ATTENTION, 0, 4)
    assert "the grader's process failed: the grader's process died (signal 9)" in bert.reasons[0]
    assert engine.deaths == 2
    assert [o.score for o in found.outcomes] == [1, 0, 0, 1]
    # The next run tries again.
    engine = FakeEngine(course.root)
    again = run(course, engine)
    assert (again.fresh, again.outcomes[1].score) == (1, 4)


def test_without_feedback_and_then_with(course: Course, engine: FakeEngine) -> None:
    run(course, engine, feedback=False)
    assert not [name for name in tree(course) if name.startswith("feedback/")]
    before = engine.execute.count
    run(course, engine)
    assert engine.execute.count == before
    assert len([name for name in tree(course) if name.startswith("feedback/")]) >= 4


def test_shared_isolation_is_said_wherever_grades_are_shown(
    course: Course, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    with (course.root / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write('\nc.ConfinedExecute.per_assignment = {"01-double": {"isolation": "shared"}}')
    found = run(course, engine)
    page = course.feedback / "anna" / "01-double" / "double_numpy.html"
    for path in (page, course.reports / "01-double.html"):
        assert "not tamper-proof" in path.read_text(encoding="utf-8")
    from autograder.console import show_runs

    show_runs(course, [found], [])
    assert "not tamper-proof" in capsys.readouterr().out


def test_odd_folders_of_students_end_in_an_outcome(course: Course, engine: FakeEngine) -> None:
    odd = course.submitted / os.fsdecode(b"caf\xe9")
    (odd / "01-double").mkdir(parents=True)
    (course.submitted / "a\nb" / "01-double").mkdir(parents=True)
    (course.submitted / "link").symlink_to(course.submitted / "anna")
    (course.submitted / "file").write_text("x", encoding="utf-8")
    (course.submitted / ".hidden" / "01-double").mkdir(parents=True)
    found = {o.student: o for o in run(course, engine).outcomes}
    assert set(found) == {*NAMES, "a\\nb", "caf\\udce9", "link"}
    assert "its name is not UTF-8" in found["caf\\udce9"].reasons[0]
    assert "can't be printed" in found["a\\nb"].reasons[0]
    assert "is a link: it was not followed" in found["link"].reasons[0]
    assert found["link"].score == 0
    assert found["anna"].status == "graded"


def test_progress_counts(
    course: Course, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    run(course, engine)
    out = capsys.readouterr().out
    assert "01-double: 4 submissions" in out
    assert "4/4" in out
    assert "1 need attention" in out
    assert "a minute, about" in out


def test_options_of_the_command(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def fake(course: Course, names: list[str], **options: Any) -> list[ClassRun]:
        seen.update(options, names=names)
        return [ClassRun(name) for name in names]

    monkeypatch.setattr(grading, "grade", fake)
    monkeypatch.chdir(course.root)
    arguments = ["grade", "01", "--cluster", "tcp://x:1", "--resume", "--trust-submissions",
                 "--no-feedback", "--workers", "3", "--students", "a*"]  # fmt: skip
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert seen == {
        "names": ["01-double"], "students": "a*", "workers": 3, "cluster": "tcp://x:1",
        "resume": True, "trust": True, "force": False, "feedback": False,
    }  # fmt: skip
    result = CliRunner().invoke(main, ["grade", "01", "--force", "--resume"])
    assert (result.exit_code, "choose one" in result.output) == (2, True)


def test_a_refusal_ends_the_run_with_its_reason(course: Course) -> None:
    class Refusing(FakeEngine):
        def request(self, message: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
            raise CourseError("Student code can't be confined: add --trust-submissions.")

    with pytest.raises(CourseError, match="--trust-submissions"):
        run(course, Refusing(course.root))
