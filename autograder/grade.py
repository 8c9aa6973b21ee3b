"""Grade a class: intake, parallel execution, nbgrader's converters, feedback, reports.

The parent process is the only writer of the gradebook, through nbgrader's own code. Whatever one
submission does, the run goes on, and the submission ends as ``graded`` or ``needs attention``.
"""

from __future__ import annotations

import contextlib
import fnmatch
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.course import (
    Course,
    hash_files,
    hash_package,
    hash_text,
    package_version,
    read_json,
    write_atomic,
    write_json,
)
from autograder.errors import CourseError
from autograder.executed import environment_hash
from autograder.feedback import install_mathjax, write_notice
from autograder.intake import STAGED, Intake, expected_notebooks, look_at
from autograder.outcomes import ATTENTION, Outcome, collect, gradebook_state
from autograder.pool import SCRATCH, Job, execute_all
from autograder.progress import Progress

GRADERS = (
    "execute.py", "executed.py", "feedback.py", "grade.py", "intake.py", "nbgrader_bridge.py",
    "notebooks.py", "outcomes.py", "sanitize.py", "verdicts.py",
)  # fmt: skip
NOTICE = "needs-attention.html"


@dataclass
class ClassRun:
    """One assignment graded for a class."""

    assignment: str
    outcomes: list[Outcome] = field(default_factory=list)
    fresh: int = 0

    @property
    def attention(self) -> list[Outcome]:
        """Submissions that a person has to look at."""
        return [o for o in self.outcomes if o.status == ATTENTION]


def students_with(course: Course, assignment: str, pattern: str) -> list[str]:
    """Students who handed something in for an assignment, sorted."""
    if not course.submitted.is_dir():
        return []
    return sorted(
        folder.name
        for folder in course.submitted.iterdir()
        if (folder / assignment).is_dir() and fnmatch.fnmatchcase(folder.name, pattern)
    )


def grader_hash(course: Course, assignment: str) -> str:
    """Hash of all that decides about a grade, other than the submission."""
    source = course.source / assignment
    return hash_text(
        environment_hash(course),
        hash_package("autograder", course, GRADERS),
        hash_files([course.root / "nbgrader_config.py"], course.root),
        hash_files(source.glob("*"), source),
        package_version("nbgrader"),
    )


def grade(
    course: Course,
    assignments: list[str],
    *,
    students: str = "*",
    workers: int = 2,
    force: bool = False,
) -> list[ClassRun]:
    """Grade assignments for all students whose name matches `students`.

    Parameters
    ----------
    course : Course
        The course.
    assignments : list of str
        Names of released assignments.
    students : str
        Glob over student names.
    workers : int
        Processes that execute notebooks side by side.
    force : bool
        Grade again even what has not changed.

    Returns
    -------
    list of ClassRun
        One an assignment, with an outcome for every submission.
    """
    runs = []
    with one_at_a_time(course):
        for assignment in assignments:
            names = students_with(course, assignment, students)
            run = ClassRun(assignment)
            if names:
                _grade_assignment(course, run, names, max(1, workers), force)
            runs.append(run)
    if not any(run.outcomes for run in runs):
        raise CourseError(
            f"Nothing to grade: no submitted/<student>/<assignment>/ matches {students!r} and "
            f"{', '.join(assignments)}. Collect submissions, or make a sample class with "
            "`nncourse sample-class`."
        )
    install_mathjax(course)
    return runs


@contextlib.contextmanager
def one_at_a_time(course: Course) -> Iterator[None]:
    """Hold the course's lock: the gradebook has one writer.

    The system drops the lock with the process, so that a killed run leaves nothing behind.
    """
    course.cache.mkdir(parents=True, exist_ok=True)
    with (course.cache / "grade.lock").open("w", encoding="utf-8") as lock:
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CourseError(
                "Another `nncourse grade` is running in this course. Wait for it to end."
            ) from error
        for scratch in course.cache.glob(f"{SCRATCH}*"):
            shutil.rmtree(scratch, ignore_errors=True)
        yield


def _grade_assignment(
    course: Course, run: ClassRun, names: list[str], workers: int, force: bool
) -> None:
    from autograder.nbgrader_bridge import course_directory, students_of

    directory = course_directory(course, run.assignment)
    recorded = students_of(directory, run.assignment)
    if recorded is None:
        raise CourseError(
            f"{run.assignment} is not in the gradebook: run `nncourse release {run.assignment}`."
        )
    expected = expected_notebooks(course)
    order = {e.name: e.graded for e in expected if e.assignment == run.assignment}
    version = grader_hash(course, run.assignment)
    intakes = {name: look_at(course, name, run.assignment, expected) for name in names}
    done: dict[str, Outcome] = {}
    for name, intake in intakes.items():
        kept = None if force or name not in recorded else _kept(course, intake, version)
        if kept is not None:
            done[name] = kept
    _refresh(course, directory, intakes, done, order)
    todo = [name for name in names if name not in done]
    run.fresh = len(todo)
    with Progress(run.assignment, len(names), reused=len(done)) as progress:
        for name in _in_order_of_execution(course, directory, run.assignment, intakes, todo,
                                           workers, force):  # fmt: skip
            outcome = _grade_one(course, intakes[name], order)
            done[name] = outcome
            _keep(course, directory, intakes[name], version, outcome)
            progress.advance(name, f"{outcome.score:g}/{outcome.max_score:g} {outcome.status}")
    run.outcomes = [done[name] for name in names]


def _in_order_of_execution(
    course: Course, directory: Any, assignment: str, intakes: dict[str, Intake],
    todo: list[str], workers: int, force: bool,
) -> Any:  # fmt: skip
    """Yield students as their notebooks are executed; those without notebooks first."""
    from autograder.nbgrader_bridge import copy_database, database_path

    ready = [name for name in todo if not _notebooks(intakes[name])]
    yield from ready
    rest = [name for name in todo if name not in ready]
    path = database_path(directory)
    if not rest:
        return
    template = course.cache / "templates" / f"{assignment}.db"
    if path is None:
        # Another database can't be copied: the parent executes, one after the other.
        yield from rest
        return
    copy_database(path, template)
    # With one worker the parent executes by itself, so it must be told to do it anew.
    if workers == 1 and force:
        _forget_executions(course, intakes, rest, template, assignment)
    jobs = [Job(str(course.root), assignment, name, str(template), force) for name in rest]
    for job in execute_all(jobs, workers):
        yield job.student


def _forget_executions(
    course: Course, intakes: dict[str, Intake], names: list[str], template: Path, assignment: str
) -> None:
    from autograder.pool import execute

    for name in names:
        if intakes[name].staged:
            execute(Job(str(course.root), assignment, name, str(template), True))


def _notebooks(intake: Intake) -> list[str]:
    return [name for name in intake.staged if name != "timestamp.txt"]


def _grade_one(course: Course, intake: Intake, order: dict[str, tuple[str, ...]]) -> Outcome:
    """Grade one submission in the parent; nothing that it does stops the run."""
    from nbgrader.converters.base import NbGraderException

    from autograder.nbgrader_bridge import course_directory, quiet_nbgrader, run_converter

    outcome = Outcome(intake.student, intake.assignment, notes=list(intake.notes))
    for reason in intake.attention:
        outcome.attend(reason)
    directory = course_directory(
        course, intake.assignment, intake.student, submitted_directory=STAGED
    )
    _clear(course, intake)
    usable = _notebooks(intake)
    with quiet_nbgrader(course) as tail:
        try:
            if usable:
                run_converter("Autograde", course, directory)
            else:
                _record_zero(directory, intake)
        except NbGraderException:
            outcome.attend(f"nbgrader could not grade it: {tail.reason()}. Scored 0")
            usable = []
            _record_zero(directory, intake)
        except Exception as error:
            outcome.attend(f"grading failed: {type(error).__name__}: {error}. Scored 0")
            usable = []
            _record_zero(directory, intake)
    if usable:
        _make_feedback(course, directory, outcome)
    collect(course, directory, outcome, order)
    _finish_feedback(course, outcome)
    return outcome


def _clear(course: Course, intake: Intake) -> None:
    """Remove what an earlier grading wrote, so that nothing stale is left beside the new."""
    for base in (course.autograded, course.feedback):
        folder = base / intake.student / intake.assignment
        if folder.is_dir():
            for path in folder.rglob("*"):
                if path.is_file():
                    path.chmod(0o644)
            shutil.rmtree(folder)


def _record_zero(directory: Any, intake: Intake) -> None:
    """Record a submission without any usable notebook: every task scores 0."""
    from autograder.nbgrader_bridge import gradebook

    with gradebook(directory) as book:
        book.update_or_create_student(intake.student)
        submission = book.update_or_create_submission(intake.assignment, intake.student)
        for notebook in submission.notebooks:
            for item in notebook.grades:
                item.auto_score = 0
                item.needs_manual_grade = False
        book.db.commit()


def _finish_feedback(course: Course, outcome: Outcome) -> None:
    folder = course.feedback / outcome.student / outcome.assignment
    pages = sorted(folder.glob("*.html"))
    if outcome.status == ATTENTION:
        notice = folder / NOTICE
        title = f"{outcome.assignment}: please look at your submission"
        write_notice(notice, title, outcome.reasons)
        pages.append(notice)
    outcome.feedback = [course.relative(page) for page in pages]


def _refresh(
    course: Course, directory: Any, intakes: dict[str, Intake], done: dict[str, Outcome],
    order: dict[str, tuple[str, ...]],
) -> None:  # fmt: skip
    """Bring kept outcomes up to date with grades and comments that a person has given since."""
    from autograder.nbgrader_bridge import course_directory, gradebook

    changed = []
    with gradebook(directory) as book:
        for name, outcome in done.items():
            record = read_json(_stamp(course, intakes[name]))
            state = gradebook_state(book, outcome.assignment, name)
            if state != record["gradebook"]:
                changed.append((name, outcome, {**record, "gradebook": state}))
    for name, outcome, record in changed:
        notes, reasons = list(outcome.notes), list(outcome.reasons)
        if record["autograded"]:
            _make_feedback(course, course_directory(course, outcome.assignment, name), outcome)
        collect(course, directory, outcome, order)
        outcome.notes, outcome.reasons = notes, reasons
        write_json(_stamp(course, intakes[name]), {**record, "outcome": outcome.to_dict()})


def _make_feedback(course: Course, directory: Any, outcome: Outcome) -> None:
    from autograder.nbgrader_bridge import quiet_nbgrader, run_converter

    notice = course.feedback / outcome.student / outcome.assignment / NOTICE
    before = notice.read_text(encoding="utf-8") if notice.is_file() else None
    with quiet_nbgrader(course) as tail:
        try:
            run_converter("GenerateFeedback", course, directory)
        except Exception as error:
            outcome.attend(f"the feedback page could not be made: {tail.reason() or error}")
    if before is not None:
        write_atomic(notice, before)


def _stamp(course: Course, intake: Intake) -> Path:
    return course.cache / "graded" / intake.assignment / f"{intake.student}.json"


def _kept(course: Course, intake: Intake, version: str) -> Outcome | None:
    """The outcome of an earlier run, if nothing has changed since and its files are there."""
    record = read_json(_stamp(course, intake))
    if not record or record.get("version") != version or record.get("submission") != intake.key:
        return None
    folder = course.autograded / intake.student / intake.assignment
    outcome = Outcome.from_dict(record["outcome"])
    files = [folder / f"{name}.ipynb" for name in record["autograded"]]
    files += [course.root / page for page in outcome.feedback]
    return outcome if all(path.is_file() for path in files) else None


def _keep(
    course: Course, directory: Any, intake: Intake, version: str, outcome: Outcome
) -> None:
    from autograder.nbgrader_bridge import gradebook

    with gradebook(directory) as book:
        state = gradebook_state(book, intake.assignment, intake.student)
    folder = course.autograded / intake.student / intake.assignment
    write_json(
        _stamp(course, intake),
        {
            "version": version,
            "submission": intake.key,
            "gradebook": state,
            "autograded": sorted(path.stem for path in folder.glob("*.ipynb")),
            "outcome": outcome.to_dict(),
        },
    )
