"""What became of each submission: the record behind every report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from autograder.result import ATTENTION, GRADED, Result

__all__ = ["ATTENTION", "GRADED", "SHARED", "Outcome", "Task", "hints_of", "outcome_of"]

SHARED = (
    "Some cells of this assignment ran in one process with the submission's code: its grades are "
    "not tamper-proof."
)


@dataclass
class Task:
    """One graded cell of one student."""

    notebook: str
    name: str
    score: float
    max_score: float
    hints: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """One student's result for one assignment."""

    student: str
    assignment: str
    status: str = GRADED
    score: float = 0.0
    max_score: float = 0.0
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    feedback: list[str] = field(default_factory=list)
    isolation: str = "split"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Outcome:
        """Rebuild from `to_dict`."""
        return cls(**{**data, "tasks": [Task(**task) for task in data["tasks"]]})

    def attend(self, reason: str) -> None:
        """Record something that a person has to look at."""
        self.status = ATTENTION
        if reason not in self.reasons:
            self.reasons.append(reason)

    def fill(self, view: Any, order: Mapping[str, tuple[str, ...]], hints: Hints) -> None:
        """Take scores from the gradebook, which knows of manual grades, and add the hints.

        Parameters
        ----------
        view : autograder.record.SubmissionView
            What the gradebook holds.
        order : mapping
            Graded ids of each notebook in the order in which they stand there.
        hints : mapping
            ``(notebook, grade id)`` -> hints.
        """
        self.score, self.max_score = view.score, view.max_score
        self.tasks = []
        for notebook in sorted(view.notebooks.values(), key=lambda n: str(n.name)):
            grades = notebook.grades
            known = [name for name in order.get(notebook.name, ()) if name in grades]
            for name in [*known, *sorted(grades.keys() - set(known))]:
                grade = grades[name]
                full = grade.score >= grade.max_score
                found = [] if full else list(hints.get((notebook.name, name), ()))
                self.tasks.append(
                    Task(notebook.name, name, grade.score, grade.max_score, found)
                )


Hints = Mapping[tuple[str, str], tuple[str, ...] | list[str]]


def outcome_of(student: str, result: Result) -> Outcome:
    """An outcome without scores yet."""
    outcome = Outcome(
        student, result.assignment, notes=list(result.notes), isolation=result.isolation
    )
    for reason in result.reasons:
        outcome.attend(reason)
    return outcome


def hints_of(result: Result) -> dict[tuple[str, str], tuple[str, ...]]:
    """The hints of every graded cell, by notebook and grade id."""
    return {
        (sheet.name, cell.name): cell.hints for sheet in result.sheets for cell in sheet.cells
    }
