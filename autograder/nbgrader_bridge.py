"""How the course drives nbgrader: the committed configuration, converters, the gradebook."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autograder.course import CONFIG_NAME, Course
from autograder.errors import CourseError

LOGGER = logging.getLogger("autograder.nbgrader")


def find_own_programs() -> None:
    """Let nbgrader find ``alembic``, which it starts by name, without an activated environment."""
    folder = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "")
    if folder not in path.split(os.pathsep):
        os.environ["PATH"] = folder + os.pathsep + path


class LogTail(logging.Handler):
    """Keeps the last warnings of a converter, to put a reason into words."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Store one record."""
        self.lines.append(record.getMessage())
        del self.lines[:-50]

    def reason(self) -> str:
        """The last line of the last traceback, else the last message."""
        for message in reversed(self.lines):
            if message.startswith("Traceback"):
                return message.strip().splitlines()[-1]
        return self.lines[-1].strip() if self.lines else "no reason given"


@contextlib.contextmanager
def quiet_nbgrader(course: Course) -> Iterator[LogTail]:
    """Send nbgrader's log to .cache/logs/nbgrader.log instead of the terminal."""
    folder = course.cache / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(folder / "nbgrader.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    tail = LogTail()
    before = LOGGER.propagate, LOGGER.level
    LOGGER.propagate = False
    LOGGER.setLevel(logging.INFO)
    LOGGER.addHandler(handler)
    LOGGER.addHandler(tail)
    try:
        with warnings.catch_warnings():
            # nbgrader's use of SQLAlchemy warns about its own sessions.
            warnings.simplefilter("ignore")
            yield tail
    finally:
        LOGGER.removeHandler(tail)
        LOGGER.removeHandler(handler)
        LOGGER.propagate, level = before
        LOGGER.setLevel(level)
        handler.close()


def load_config(course: Course) -> Any:
    """The course's nbgrader configuration, as stock nbgrader reads it."""
    from traitlets.config.loader import PyFileConfigLoader

    find_own_programs()
    path = course.root / CONFIG_NAME
    if not path.is_file():
        raise CourseError(f"{path} is missing: restore it from the repository.")
    return PyFileConfigLoader(CONFIG_NAME, path=str(course.root)).load_config()


def course_directory(course: Course, assignment: str, student: str = ".", **traits: Any) -> Any:
    """An nbgrader CourseDirectory for one assignment (and one student)."""
    from nbgrader.coursedir import CourseDirectory

    directory = CourseDirectory(config=load_config(course))
    for name, value in {"root": str(course.root), **traits}.items():
        setattr(directory, name, value)
    directory.assignment_id = assignment
    directory.student_id = student
    return directory


def run_converter(
    kind: str, course: Course, directory: Any, extra: dict[str, dict[str, Any]] | None = None
) -> None:
    """Run one of nbgrader's converters under the committed configuration.

    Parameters
    ----------
    kind : {"GenerateAssignment", "Autograde", "GenerateFeedback"}
        Converter class.
    course : Course
        The course.
    directory : CourseDirectory
        What to convert.
    extra : dict
        Configuration on top, by class and trait.

    Raises
    ------
    nbgrader.converters.base.NbGraderException
        When the conversion failed.
    """
    from nbgrader import converters
    from traitlets.config import Config

    config = load_config(course)
    config.merge(Config(extra or {}))
    converter = getattr(converters, kind)(
        coursedir=directory, config=config, log=LOGGER, force=True
    )
    # The converters print nothing of their own; what student code prints is in the notebook.
    with contextlib.redirect_stdout(io.StringIO()):
        converter.start()


def database_path(directory: Any) -> Path | None:
    """The gradebook's file, None where it isn't SQLite."""
    url = str(directory.db_url)
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


@contextlib.contextmanager
def gradebook(directory: Any) -> Iterator[Any]:
    """The gradebook, open."""
    from nbgrader.api import Gradebook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Gradebook(directory.db_url, directory.course_id) as book:
            yield book


def students_of(directory: Any, assignment: str) -> set[str] | None:
    """Students with a submission in the gradebook; None where the assignment isn't in it."""
    path = database_path(directory)
    if path is not None and not path.is_file():
        return None
    from nbgrader.api import MissingEntry

    with gradebook(directory) as book:
        try:
            return {s.student.id for s in book.find_assignment(assignment).submissions}
        except MissingEntry:
            return None
