"""What became of each submission: the record behind every report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from autograder.course import Course, hash_text
from autograder.execute import INCIDENTS
from autograder.notebooks import read_notebook
from autograder.verdicts import NO_VERDICT, hints, scored_cells

GRADED = "graded"
ATTENTION = "needs attention"
# A loop that was stopped is the student's; these leave cells unexecuted, so a person looks.
SERIOUS = ("kernel", "kernel-died", "unresponsive", "notebook-timeout")


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


def gradebook_state(book: Any, assignment: str, student: str) -> str:
    """Hash of what the gradebook holds for a submission: scores, manual ones too, and comments."""
    submission = book.find_submission(assignment, student)
    parts: list[str] = []
    for notebook in sorted(submission.notebooks, key=lambda n: str(n.name)):
        rows = [
            f"{g.name} {g.auto_score} {g.manual_score} {g.extra_credit}" for g in notebook.grades
        ]
        rows += [f"{c.name} {c.comment}" for c in notebook.comments]
        parts += [str(notebook.name), *sorted(rows)]
    return hash_text(*parts)


def read_execution(path: Path, outcome: Outcome) -> dict[str, list[str]]:
    """Take incidents and hints out of an autograded notebook.

    Returns
    -------
    dict
        Grade id -> hints.
    """
    notebook = read_notebook(path)
    record = notebook["metadata"].get(INCIDENTS, {})
    for incident in record.get("incidents", []):
        sentence = f"{path.name}: {incident['text']}"
        if incident["kind"] in SERIOUS:
            outcome.attend(f"{sentence}; the cells after it were not executed and score 0")
        else:
            outcome.notes.append(sentence)
    serious = any(i["kind"] in SERIOUS for i in record.get("incidents", []))
    found: dict[str, list[str]] = {}
    for name, cell in scored_cells(notebook["cells"]):
        found[name] = hints(cell) or _error_line(cell)
    if not serious:
        for sentence in record.get("no_verdict", []):
            outcome.notes.append(f"{path.name}: {sentence}")
    return found


def _error_line(cell: Any) -> list[str]:
    errors = [o for o in cell["outputs"] if o["output_type"] == "error"]
    if not errors:
        return []
    last = errors[-1]
    if last["ename"] == NO_VERDICT:
        return [str(last["evalue"])]
    evalue = str(last["evalue"]).splitlines()[0][:120] if last["evalue"] else ""
    return [f"{last['ename']}: {evalue}".rstrip(": ")]


def collect(
    course: Course, directory: Any, outcome: Outcome, order: dict[str, tuple[str, ...]]
) -> None:
    """Fill in scores from the gradebook and hints from the autograded notebooks.

    Parameters
    ----------
    course : Course
        The course.
    directory : CourseDirectory
        Where the gradebook is.
    outcome : Outcome
        Filled in.
    order : dict
        Graded ids of each notebook in the order in which they stand there.
    """
    from autograder.nbgrader_bridge import gradebook

    outcome.tasks = []
    folder = course.autograded / outcome.student / outcome.assignment
    with gradebook(directory) as book:
        submission = book.find_submission(outcome.assignment, outcome.student)
        outcome.score, outcome.max_score = submission.score, submission.max_score
        for record in sorted(submission.notebooks, key=lambda n: str(n.name)):
            path = folder / f"{record.name}.ipynb"
            found = read_execution(path, outcome) if path.is_file() else {}
            grades = {str(grade.name): grade for grade in record.grades}
            known = [name for name in order.get(str(record.name), ()) if name in grades]
            for name in [*known, *sorted(grades.keys() - set(known))]:
                grade = grades[name]
                full = grade.score >= grade.max_score
                outcome.tasks.append(
                    Task(record.name, grade.name, grade.score, grade.max_score,
                         [] if full else found.get(grade.name, []))
                )  # fmt: skip
