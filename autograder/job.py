"""From a submission's bytes to its scores: a pure function, without a database or a shared disk.

`run_job` looks at a submission, restores what was released, has each notebook executed, and reads
the scores as nbgrader does. Everything in and out is plain data, so that it runs in this process,
in another, or on another machine; only the function that executes knows about confinement.
"""

from __future__ import annotations

import ast
import base64
import copy
import functools
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autograder import executed
from autograder.course import hash_text
from autograder.errors import CourseError
from autograder.executed import INCIDENTS
from autograder.intake import look_at
from autograder.notebooks import grade_id, nbgrader_meta, output_text
from autograder.plan import Plan, parse_plan
from autograder.restore import Template, restore
from autograder.result import Cell, Result, Sheet
from autograder.submission import Submission
from autograder.verdicts import NO_VERDICT, enforce_verdicts, hints

MILD = ("note",)
ENDED = ("kernel", "notebook-timeout")
"""Incidents after which nothing of the notebook is executed."""
REFUSED = "refused"
REST_UNEXECUTED = "the cells after it were not executed and score 0"
AGAIN = "the process was started again without that cell, and the rest was graded"

Execute = Callable[[dict[str, Any]], dict[str, Any]]


class RefusedError(CourseError):
    """Confinement isn't available here, and nobody said that the submissions are trusted."""


@dataclass(frozen=True)
class Job:
    """One submission to grade.

    Attributes
    ----------
    plan : str
        The assignment, as `Plan.text`.
    plan_key : str
        Its key.
    submission : Submission
        What was handed in.
    known : mapping
        Executions of this student's earlier submission, by content: they aren't repeated.
    """

    plan: str
    plan_key: str
    submission: Submission
    known: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Hash of everything that decides about the result."""
        return hash_text("1", self.plan_key, self.submission.key)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        files = self.submission.files
        return {
            "plan": self.plan, "plan_key": self.plan_key, "known": dict(self.known),
            "submission": {
                "files": {n: base64.b64encode(files[n]).decode("ascii") for n in sorted(files)},
                "refused": dict(self.submission.refused),
                "ignored": list(self.submission.ignored),
                "trouble": self.submission.trouble,
            },
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """Rebuild from `to_dict`."""
        given = data["submission"]
        files = {name: base64.b64decode(text) for name, text in given["files"].items()}
        submission = Submission(
            files, given["refused"], tuple(given["ignored"]), given["trouble"]
        )
        return cls(data["plan"], data["plan_key"], submission, data["known"])


def failed(plan: Plan, reason: str) -> Result:
    """The result of a submission whose grading broke down; it isn't kept."""
    sheets = tuple(_zero(template, plan) for template in plan.templates)
    return Result(
        plan.assignment, sheets, (f"{reason}. Scored 0",), isolation=plan.isolation, lasting=False
    )


def _zero(template: Template, plan: Plan) -> Sheet:
    names = _ordered(template, plan)
    known = template.by_name()
    return Sheet(template.notebook, cells=tuple(Cell(n, 0.0, known[n].points) for n in names))


def _ordered(template: Template, plan: Plan) -> list[str]:
    """Graded ids of a notebook in their order there."""
    names = [cell.name for cell in template.cells if cell.grade or cell.task]
    order = {name: i for i, name in enumerate(plan.order().get(template.notebook, ()))}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def run_job(job: Job, execute: Execute) -> Result:
    """Grade one submission.

    Parameters
    ----------
    job : Job
        What to grade.
    execute : callable
        Runs one notebook: request in, record out, as in `autograder.executed`.

    Raises
    ------
    RefusedError
        Where code can't be confined and the submissions aren't trusted.
    """
    plan = parse_plan(job.plan)
    intake = look_at(job.submission, plan.assignment, list(plan.expected))
    reasons, notes = list(intake.attention), list(intake.notes)
    sheets = []
    for template in plan.templates:
        name = template.notebook
        sheet = None
        if name in intake.staged:
            try:
                sheet = _grade(plan, template, intake.staged[name], job.known, execute,
                               reasons, notes)  # fmt: skip
            except CourseError:
                raise
            except Exception as error:
                reasons.append(
                    f"{name}.ipynb: grading failed: {type(error).__name__}: "
                    f"{str(error)[:300]}. Scored 0"
                )
        sheets.append(sheet or _zero(template, plan))
    return Result(
        plan.assignment, tuple(sheets), tuple(dict.fromkeys(reasons)), tuple(notes),
        intake.timestamp, plan.isolation,
    )  # fmt: skip


def _grade(
    plan: Plan, template: Template, data: dict[str, Any], known: Mapping[str, Any],
    execute: Execute, reasons: list[str], notes: list[str],
) -> Sheet:  # fmt: skip
    """Grade one notebook; appends to `reasons` and `notes` what happened."""
    import nbformat

    from autograder.sanitize_html import clean_outputs

    restored, deleted = restore(copy.deepcopy(data), template)
    notebook = nbformat.from_dict(restored)
    settings = plan.settings(template.notebook)
    key = executed.content_key(notebook["cells"], plan.beside, settings, plan.environment)
    record = known.get(key) or execute(_request(plan, settings, restored["cells"]))
    for incident in record["incidents"]:
        if incident["kind"] == REFUSED:
            raise RefusedError(incident["text"])
    executed.apply(record, notebook["cells"])
    clean_outputs(notebook["cells"])
    sentences = enforce_verdicts(notebook["cells"], set(record["executed"]), record["why_not"])
    notebook["metadata"][INCIDENTS] = {
        "incidents": record["incidents"], "no_verdict": sentences, "isolation": plan.isolation,
    }  # fmt: skip
    notebook["metadata"]["language_info"] = {"name": "python"}
    notebook = _cleaned(notebook, template.notebook, plan)
    _report(f"{template.notebook}.ipynb", notebook, reasons, notes)
    cells = {grade_id(c): c for c in notebook["cells"] if grade_id(c)}
    graded = tuple(
        _cell(template.by_name()[name].points, name, cells.get(name))
        for name in _ordered(template, plan)
    )
    text = str(nbformat.writes(notebook, version=4)).rstrip("\n") + "\n"
    return Sheet(template.notebook, text, graded, tuple(deleted), key, record)


def _request(plan: Plan, settings: Mapping[str, Any], cells: list[Any]) -> dict[str, Any]:
    files = {n: base64.b64encode(plan.files[n]).decode("ascii") for n in sorted(plan.files)}
    return {
        "do": "execute", "cells": cells, "files": files, "given": files,
        "secret": plan.secret, **settings,
    }  # fmt: skip


@functools.lru_cache(maxsize=16)
def _preprocessor(path: str, settings: tuple[tuple[str, str], ...]) -> Any:
    module, _, name = path.partition(":")
    kind = getattr(importlib.import_module(module), name)
    return kind(**{key: ast.literal_eval(text) for key, text in settings})


def _cleaned(notebook: Any, name: str, plan: Plan) -> Any:
    """Apply nbgrader's own preprocessors that follow execution."""
    resources: dict[str, Any] = {
        "unique_key": name, "metadata": {"path": ""},
        "nbgrader": {"notebook": name, "assignment": plan.assignment},
    }  # fmt: skip
    for item in plan.cleanup:
        settings = tuple(sorted(item["settings"].items()))
        notebook, resources = _preprocessor(item["class"], settings)(notebook, resources)
    return notebook


def _report(file: str, notebook: Any, reasons: list[str], notes: list[str]) -> None:
    """Put what happened during execution into words."""
    record = notebook["metadata"].get(INCIDENTS, {})
    serious = False
    for incident in record.get("incidents", []):
        sentence = f"{file}: {incident['text']}"
        if incident["kind"] in MILD:
            notes.append(sentence)
        else:
            serious = True
            more = "; " + REST_UNEXECUTED if incident["kind"] in ENDED else ""
            more = "; " + AGAIN if incident["kind"] == "killed" else more
            reasons.append(sentence + more)
    if not serious:
        notes += [f"{file}: {sentence}" for sentence in record.get("no_verdict", [])]


def _cell(points: float, name: str, cell: Any) -> Cell:
    """Read one graded cell's score as nbgrader does."""
    if cell is None:
        return Cell(name, 0.0, points, ("the cell was deleted",))
    score = _score(cell)
    full = score is not None and score >= points
    message = output_text(cell)[:20_000]
    found = () if full or score is None else tuple(hints(cell) or _error_line(cell))
    return Cell(name, score, points, found, message)


def _score(cell: Any) -> float | None:
    from nbgrader.utils import determine_grade

    if not nbgrader_meta(cell).get("grade"):
        return None  # a task, which a person grades
    score = determine_grade(cell)[0]
    return None if score is None else float(score)


def _error_line(cell: Any) -> list[str]:
    errors = [o for o in cell.get("outputs", []) if o["output_type"] == "error"]
    if not errors:
        return []
    last = errors[-1]
    if last["ename"] == NO_VERDICT:
        return [str(last["evalue"])]
    evalue = str(last["evalue"]).splitlines()[0][:120] if last["evalue"] else ""
    return [f"{last['ename']}: {evalue}".rstrip(": ")]


def grade_request(request: Mapping[str, Any], execute: Execute) -> dict[str, Any]:
    """Answer ``{"do": "grade", "job": …}`` with a result as plain data."""
    return json_ready(run_job(Job.from_dict(request["job"]), execute).to_dict())


def json_ready(value: dict[str, Any]) -> dict[str, Any]:
    """The same value with only what JSON knows, as it comes back from a file."""
    plain: dict[str, Any] = json.loads(json.dumps(value))
    return plain


def _grade_handler(request: Mapping[str, Any]) -> dict[str, Any]:
    from autograder.engine import execute

    return grade_request(request, execute)


def _feedback_handler(request: Mapping[str, Any]) -> dict[str, Any]:
    from autograder.feedback import feedback_request

    return feedback_request(request)


HANDLERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "grade": _grade_handler,
    "feedback": _feedback_handler,
}
"""What an engine does beside executing: request -> answer."""
