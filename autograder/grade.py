"""Grade a class: read, execute side by side, record by one writer, feedback, reports.

This process is the only writer of the gradebook. A submission goes from bytes to a `Result` in an
engine, the result is kept and recorded here, an engine renders the feedback pages, and a stamp says
that all of it is done. Whatever one submission does, the run goes on, and the submission ends as
``graded`` or ``needs attention``. Whenever the run is killed, the next one continues.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from autograder.course import (
    Course,
    hash_files,
    hash_package,
    hash_text,
    package_version,
)
from autograder.errors import CourseError
from autograder.outcomes import ATTENTION, Outcome
from autograder.plan import Plan, make_plan
from autograder.progress import Progress
from autograder.schedule import Shelf, local_engine
from autograder.submission import name_trouble, shown

RECORDERS = ("classrun.py", "feedback.py", "grade.py", "outcomes.py", "record.py", "store.py")


@dataclass(frozen=True)
class Options:
    """How a run is made.

    Attributes
    ----------
    workers : int
        Engines on this machine.
    cluster : str
        Address of a Dask scheduler to use instead.
    force : bool
        Grade again even what has not changed.
    resume : bool
        Believe the stamps of an interrupted run: what is finished isn't read again.
    feedback : bool
        Whether to write feedback pages.
    trust : bool
        Whether to run submissions without confinement where there is none.
    engine : callable or None
        Makes an engine client; for tests.
    """

    workers: int = 2
    cluster: str = ""
    force: bool = False
    resume: bool = False
    feedback: bool = True
    trust: bool = False
    engine: Callable[[], Any] | None = None


@dataclass
class ClassRun:
    """One assignment graded for a class."""

    assignment: str
    outcomes: list[Outcome] = field(default_factory=list)
    fresh: int = 0
    isolation: str = "split"

    @property
    def attention(self) -> list[Outcome]:
        """Submissions that a person has to look at."""
        return [o for o in self.outcomes if o.status == ATTENTION]


def students_with(course: Course, assignment: str, pattern: str) -> list[str]:
    """Students who handed something in for an assignment, sorted; no link is followed."""
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(course.submitted) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not fnmatch.fnmatchcase(entry.name, pattern):
                continue
            if entry.is_symlink() or entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    os.lstat(os.path.join(entry.path, assignment))
                    found.append(entry.name)
    return sorted(found)


def grader_hash(course: Course, plan: Plan) -> str:
    """Hash of all that decides about what a run writes, other than the submission."""
    return hash_text(
        plan.key,
        hash_package("autograder", course, RECORDERS),
        hash_files([course.root / "nbgrader_config.py"], course.root),
        package_version("nbgrader"),
    )


def grade(
    course: Course, assignments: list[str], *, students: str = "*", **options: Any
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
    **options
        See `Options`.

    Returns
    -------
    list of ClassRun
        One an assignment, with an outcome for every submission.
    """
    chosen = Options(**options)
    runs = []
    engine = chosen.engine or local_engine(course.cache / "logs" / "engine.log", str(course.root))
    with one_at_a_time(course), Shelf(engine) as shelf:
        for assignment in assignments:
            names = students_with(course, assignment, students)
            run = ClassRun(assignment)
            if names:
                _grade_assignment(course, run, names, chosen, shelf)
            runs.append(run)
    if not any(run.outcomes for run in runs):
        raise CourseError(
            f"Nothing to grade: no submitted/<student>/<assignment>/ matches {students!r} and "
            f"{', '.join(assignments)}. Collect submissions, or make a sample class with "
            "`nncourse sample-class`."
        )
    if chosen.feedback:
        from autograder.feedback import install_mathjax

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
        yield


def _grade_assignment(
    course: Course, run: ClassRun, names: list[str], options: Options, shelf: Shelf
) -> None:
    from autograder.classrun import Grading
    from autograder.nbgrader_bridge import course_directory, database_path, quiet_nbgrader
    from autograder.record import Recorder
    from autograder.schedule import run_all

    missing = CourseError(
        f"{run.assignment} is not in the gradebook: run `nncourse release {run.assignment}`."
    )
    path = database_path(course_directory(course, run.assignment))
    if path is not None and not path.is_file():
        raise missing
    with quiet_nbgrader(course), Recorder(course, run.assignment) as recorder:
        if not recorder.exists:
            raise missing
        plan = make_plan(course, run.assignment, recorder.book, trust=options.trust)
        run.isolation = plan.isolation
        grading = Grading(course, plan, grader_hash(course, plan), recorder, options)
        done = {n: _unnamed(n, plan) for n in names if name_trouble(n)}
        todo = grading.look(sorted(set(names) - set(done)))
        run.fresh = len(todo)
        kept = len(names) - len(todo) - len(done)
        with Progress(run.assignment, len(names) - len(done), reused=kept) as progress:
            grading.progress = progress
            answers = run_all(
                grading.tasks(todo), workers=options.workers, cluster=options.cluster,
                engine=shelf.take, code=plan.code,
            )  # fmt: skip
            # Closed at once where recording fails: the engines end before the message is shown.
            with contextlib.closing(answers):
                for task, answer in answers:
                    grading.take(task, answer)
        done |= grading.done
    run.outcomes = [done[name] for name in names]


def _unnamed(name: str, plan: Plan) -> Outcome:
    """The outcome of a folder that can't stand in the gradebook."""
    outcome = Outcome(shown(name), plan.assignment, max_score=plan.max_score)
    outcome.attend(
        f"the folder submitted/{shown(name)} was not graded: {name_trouble(name)}. Rename it to "
        "the student's id and grade again"
    )
    return outcome
