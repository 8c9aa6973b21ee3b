"""The gradebook's only writer: nbgrader's own code, one session, one transaction a submission.

Stock nbgrader opens the gradebook six times for a submission and commits after every cell. Here its
functions are handed the session that is open: `Gradebook` creates students and submissions,
`SaveAutoGrades` decides about scores and comments, the configured plug-in about late penalties.
Their commits become flushes, and one commit at the end makes the submission count as a whole.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from autograder.course import Course, hash_text
from autograder.nbgrader_bridge import LOGGER, course_directory, gradebook, load_config
from autograder.result import Result, Sheet


@dataclass(frozen=True)
class Graded:
    """A task as the gradebook has it, manual grades included."""

    score: float
    max_score: float


@dataclass(frozen=True)
class View:
    """What the gradebook holds for one notebook of a submission."""

    name: str
    score: float
    max_score: float
    late_penalty: float
    grades: dict[str, Graded] = field(default_factory=dict)
    comments: dict[str, str | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: what a feedback page needs."""
        return {
            "score": self.score, "max_score": self.max_score, "late_penalty": self.late_penalty,
            "grades": {name: [g.score, g.max_score] for name, g in self.grades.items()},
            "comments": dict(self.comments),
        }  # fmt: skip


@dataclass(frozen=True)
class SubmissionView:
    """What the gradebook holds for one submission.

    Attributes
    ----------
    score, max_score : float
        As nbgrader sums them up; a late penalty is not taken off.
    notebooks : dict
        By name.
    state : str
        Hash of all of it.
    """

    score: float
    max_score: float
    notebooks: dict[str, View]
    state: str


class Recorder:
    """Writes results into the gradebook and reads back what counts.

    Parameters
    ----------
    course : Course
        The course.
    assignment : str
        A released assignment.

    Examples
    --------
    ``with Recorder(course, "01-neurons") as recorder: recorder.record("alice", result)``
    """

    def __init__(self, course: Course, assignment: str) -> None:
        self.course, self.assignment = course, assignment
        self._stack = contextlib.ExitStack()
        self.book: Any = None
        self._saver: Any = None
        self._penalties: Any = None
        self._cells: dict[str, dict[str, str]] | None = None

    def __enter__(self) -> Recorder:
        directory = course_directory(self.course, self.assignment)
        self.book = self._stack.enter_context(gradebook(directory))
        # Objects stay as they were read: a commit must not make the assignment's cells be read
        # again, one by one, for every submission.
        self.book.db().expire_on_commit = False
        self._saver, self._penalties = _nbgraders_own(load_config(self.course))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def exists(self) -> bool:
        """Whether the gradebook has the assignment."""
        from nbgrader.api import MissingEntry

        try:
            self.book.find_assignment(self.assignment)
        except MissingEntry:
            return False
        return True

    def record(self, student: str, result: Result) -> SubmissionView:
        """Record one submission; all of it is in the gradebook afterwards, or nothing.

        Parameters
        ----------
        student : str
            Id of the student, who is created where need be.
        result : Result
            What `run_job` gave.
        """
        try:
            with _commits_as_flushes(self.book):
                self._record(student, result)
            view = self.view(student)
            self.book.db.commit()
            assert view is not None, "what was just written can be read"
        except BaseException:
            self.book.db.rollback()
            raise
        finally:
            self._forget()
        return view

    def _record(self, student: str, result: Result) -> None:
        from nbgrader import api

        self.book.update_or_create_student(student)
        stamp = {"timestamp": result.timestamp} if result.timestamp else {}
        submission = self.book.update_or_create_submission(self.assignment, student, **stamp)
        sheets = {sheet.name: sheet for sheet in result.sheets}
        for record in self._notebooks(submission.id):
            sheet = sheets.get(str(record.name))
            grades = self._by_name(api.Grade, record)
            if sheet is None or not sheet.text:
                _score_zero(grades.values())
                continue
            _score_zero(grades[name] for name in sheet.deleted if name in grades)
            self._save(student, sheet, record, grades)
            self.book.db.flush()
            # The sum is the database's: it must be asked anew.
            self.book.db.expire(record, ["score"])
            self._penalise(student, submission, record)

    def _save(self, student: str, sheet: Sheet, record: Any, grades: dict[str, Any]) -> None:
        """Let nbgrader's SaveAutoGrades go through the cells."""
        import nbformat
        from nbformat.v4.rwbase import rejoin_lines
        from nbgrader import api

        comments = self._by_name(api.Comment, record)
        self._saver.notebook_id, self._saver.assignment_id = sheet.name, self.assignment
        self._saver.student_id = student
        self._saver.gradebook = SimpleNamespace(
            find_grade=lambda name, *_: grades[name],
            find_comment=lambda name, *_: comments[name],
            db=SimpleNamespace(commit=lambda: None),
        )
        # Not nbformat.reads, which validates: this text is our own.
        notebook = rejoin_lines(nbformat.from_dict(json.loads(sheet.text)))
        for index, cell in enumerate(notebook.cells):
            if "nbgrader" in cell.metadata:
                self._saver.preprocess_cell(cell, {}, index)

    def _penalise(self, student: str, submission: Any, record: Any) -> None:
        """What nbgrader's AssignLatePenalties does, with its plug-in and its limits."""
        record.late_submission_penalty = None
        late = submission.total_seconds_late
        if late > 0:
            penalty = self._penalties.plugin_inst.late_submission_penalty(
                student, record.score, late
            )
            if penalty is not None:
                penalty = self._penalties._check_late_penalty(record, penalty)
                record.late_submission_penalty = penalty
        self.book.db.flush()

    def _forget(self) -> None:
        """Drop what belongs to one submission, so that a class of any size costs the same."""
        from nbgrader import api

        session = self.book.db()
        keep = (api.Assignment, api.Notebook, api.BaseCell, api.SourceCell, api.Course)
        for item in list(session.identity_map.values()):
            if not isinstance(item, keep):
                session.expunge(item)
            elif isinstance(item, api.Assignment | api.Notebook):
                # These lists grow with the class; nothing here reads them.
                session.expire(item, ["submissions"])
            elif isinstance(item, api.BaseCell):
                session.expire(item, [n for n in ("grades", "comments") if n in item.__dict__])

    def students(self) -> set[str]:
        """Students with a submission of this assignment."""
        from nbgrader import api

        rows = (
            self.book.db.query(api.SubmittedAssignment.student_id)
            .join(api.Assignment, api.Assignment.id == api.SubmittedAssignment.assignment_id)
            .filter(api.Assignment.name == self.assignment)
        )
        return {str(row[0]) for row in rows}

    # nbgrader's tables have no index on the notebook alone: a query by it reads the rows of the
    # whole class. These go by cell and notebook, which have one together.

    def _known_cells(self) -> dict[str, dict[str, str]]:
        """The assignment's cells with grades or comments: notebook id -> cell id -> name."""
        from nbgrader import api

        if self._cells is None:
            rows = (
                self.book.db.query(api.Notebook.id, api.BaseCell.id, api.BaseCell.name)
                .join(api.Assignment, api.Assignment.id == api.Notebook.assignment_id)
                .join(api.BaseCell, api.BaseCell.notebook_id == api.Notebook.id)
                .filter(api.Assignment.name == self.assignment)
            )
            self._cells = {}
            for notebook, cell, name in rows:
                self._cells.setdefault(notebook, {})[cell] = str(name)
        return self._cells

    def _notebooks(self, submission: str) -> list[Any]:
        from nbgrader import api

        table = api.SubmittedNotebook
        rows = self.book.db.query(table).filter(
            table.notebook_id.in_(self._notebook_ids()), table.assignment_id == submission
        )
        return sorted(rows, key=lambda record: str(record.name))

    def _notebook_ids(self) -> list[str]:
        assignment = self.book.find_assignment(self.assignment)
        return [str(notebook.id) for notebook in assignment.notebooks]

    def _by_name(self, table: Any, record: Any) -> dict[str, Any]:
        """A submitted notebook's grades or comments by grade id."""
        cells = self._known_cells().get(record.notebook_id, {})
        rows = self.book.db.query(table).filter(
            table.cell_id.in_(list(cells)), table.notebook_id == record.id
        )
        return {cells[row.cell_id]: row for row in rows}

    def view(self, student: str) -> SubmissionView | None:
        """What the gradebook holds for a student's submission; None where there is none."""
        from nbgrader import api

        query = self.book.db.query
        row = (
            query(api.SubmittedAssignment.id, api.SubmittedAssignment.timestamp,
                  api.SubmittedAssignment.extension, api.Assignment.duedate)
            .join(api.Assignment, api.Assignment.id == api.SubmittedAssignment.assignment_id)
            .filter(api.Assignment.name == self.assignment,
                    api.SubmittedAssignment.student_id == student)
            .one_or_none()
        )  # fmt: skip
        if row is None:
            return None
        parts = [str(value) for value in row[1:]]
        found = [self._view(record) for record in self._notebooks(row[0])]
        parts += [repr(item) for item in found]
        return SubmissionView(
            sum(item.score for item in found), sum(item.max_score for item in found),
            {item.name: item for item in found}, hash_text(*parts),
        )  # fmt: skip

    def _view(self, record: Any) -> View:
        from nbgrader import api

        cells = self._known_cells().get(record.notebook_id, {})
        grade, comment = api.Grade, api.Comment
        query = self.book.db.query
        grades = {
            cells[row[0]]: Graded(float(row[1]), float(row[2]))
            for row in query(grade.cell_id, grade.score, grade.max_score)
            .filter(grade.cell_id.in_(list(cells)), grade.notebook_id == record.id)
        }
        comments = {
            cells[row[0]]: row[1]
            for row in query(comment.cell_id, comment.comment)
            .filter(comment.cell_id.in_(list(cells)), comment.notebook_id == record.id)
        }
        return View(
            str(record.name),
            sum(item.score for item in grades.values()),
            sum(item.max_score for item in grades.values()),
            float(record.late_submission_penalty or 0.0),
            dict(sorted(grades.items())), dict(sorted(comments.items())),
        )  # fmt: skip


def _score_zero(grades: Any) -> None:
    for grade in grades:
        grade.auto_score = 0
        grade.needs_manual_grade = False


@contextlib.contextmanager
def _commits_as_flushes(book: Any) -> Iterator[None]:
    """Within, what nbgrader commits is only written to the open transaction."""
    book.db.commit = book.db.flush
    try:
        yield
    finally:
        del book.db.commit


def _nbgraders_own(config: Any) -> tuple[Any, Any]:
    """The configured preprocessors that save scores and assign penalties."""
    from nbgrader.converters import Autograde
    from nbgrader.preprocessors import AssignLatePenalties, SaveAutoGrades

    chain = config.get("Autograde", {}).get("autograde_preprocessors")
    chain = chain or Autograde.autograde_preprocessors.default()

    def own(base: Any) -> Any:
        kind = next((k for k in chain if isinstance(k, type) and issubclass(k, base)), base)
        made = kind(config=config)
        made.log = LOGGER
        return made

    saver, penalties = own(SaveAutoGrades), own(AssignLatePenalties)
    penalties.init_plugin()
    return saver, penalties
