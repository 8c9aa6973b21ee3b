"""A class of made-up students, generated from the solutions and named edits.

Nobody has to commit notebooks: ``nncourse sample-class`` writes the same submissions everywhere.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder import edits
from autograder.course import (
    SAMPLE_PREFIX,
    Course,
    hash_files,
    hash_package,
    hash_text,
    read_json,
    write_atomic,
    write_json,
)
from autograder.errors import CourseError
from autograder.notebooks import ScoreCall, grade_id, nbgrader_meta, read_notebook, score_call

MISTAKEN = 4


@dataclass
class SampleClass:
    """What `write_class` wrote for one assignment."""

    assignment: str
    students: list[str]
    reused: bool = False


@dataclass
class Sheet:
    """One notebook of an assignment, from which submissions are made.

    Attributes
    ----------
    name, track : str
        Notebook and track.
    released : dict
        The student notebook.
    solved : dict
        Solution id -> source of the cell as a perfect student wrote it.
    tasks : list of ScoreCall
        The graded exercises in order.
    """

    name: str
    track: str
    released: dict[str, Any]
    solved: dict[str, str]
    tasks: list[ScoreCall]

    def cell_of(self, task: ScoreCall) -> str:
        """Id of the solution cell that defines what a task scores."""
        for identifier, source in self.solved.items():
            if edits.definition(source, task.impl) or edits.assigns(source, task.impl):
                return identifier
        return ""

    def functions(self) -> list[tuple[ScoreCall, str]]:
        """Tasks that are functions or classes, each with its solution cell, once per exercise."""
        found: dict[str, tuple[ScoreCall, str]] = {}
        for task in self.tasks:
            identifier = self.cell_of(task)
            if identifier and edits.definition(self.solved[identifier], task.impl):
                found.setdefault(task.impl, (task, identifier))
        return list(found.values())

    def fill(self, cells: dict[str, str]) -> str:
        """The released notebook with these solution cells, as text."""
        notebook = copy.deepcopy(self.released)
        for cell in notebook["cells"]:
            if grade_id(cell) in cells:
                cell["source"] = cells[grade_id(cell)]
        return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def load_sheets(course: Course, assignment: str) -> list[Sheet]:
    """Read an assignment's instructor and student notebooks."""
    sheets = []
    for name in course.notebooks(assignment):
        path = course.exercises / assignment / f"{name}.ipynb"
        if not path.is_file():
            raise CourseError(f"{course.relative(path)} is missing: run `nncourse release`.")
        solved, tasks = {}, []
        for cell in read_notebook(course.source / assignment / path.name)["cells"]:
            if nbgrader_meta(cell).get("solution"):
                solved[grade_id(cell)] = edits.without_markers(cell["source"])
            elif (call := score_call(cell["source"])) is not None:
                tasks.append(call)
        track = "torch" if any(t.track == "torch" for t in tasks) else "numpy"
        sheets.append(Sheet(name, track, read_notebook(path), solved, tasks))
    return sheets


Edit = Callable[[Sheet], dict[str, str]]


def perfect(sheet: Sheet) -> dict[str, str]:
    """Everything as in the solutions."""
    return dict(sheet.solved)


def untouched(sheet: Sheet) -> dict[str, str]:
    """The notebook as released."""
    return {}


def half_done(sheet: Sheet) -> dict[str, str]:
    """The first half of the cells is solved."""
    names = list(sheet.solved)
    return {name: sheet.solved[name] for name in names[: (len(names) + 1) // 2]}


def syntax_error(sheet: Sheet) -> dict[str, str]:
    """One cell has a missing bracket."""
    cells = dict(sheet.solved)
    for task, identifier in sheet.functions()[:1]:
        cells[identifier] += f"\n\n\nprint({task.impl}("
    return cells


def endless_loop(sheet: Sheet) -> dict[str, str]:
    """One function of the NumPy notebook never returns."""
    cells = dict(sheet.solved)
    for task, identifier in sheet.functions():
        if sheet.track == "numpy" and "def " in cells[identifier].splitlines()[0]:
            cells[identifier] = edits.replace_body(
                cells[identifier], task.impl, "while True:\n    pass"
            )
            break
    return cells


def noisy(sheet: Sheet) -> dict[str, str]:
    """Right, but every function prints to stderr and warns; must still score full."""
    cells = dict(sheet.solved)
    for task, identifier in sheet.functions():
        shout = 'import sys; print("debug: called", file=sys.stderr)'
        source = edits.prepend_to_body(cells[identifier], task.impl, shout)
        cells[identifier] = (
            f'{source}\n\n\nimport warnings\n\nwarnings.warn("{task.impl} is not finished")'
        )
    return cells


def alternative(number: int, course: Course, assignment: str) -> Edit:
    """Functions replaced by the alternatives of alternatives.py."""
    known = edits.read_alternatives(course.solutions / assignment / "alternatives.py")

    def edit(sheet: Sheet) -> dict[str, str]:
        cells = dict(sheet.solved)
        for task, identifier in sheet.functions():
            fits = [a for a in known if a.exercise == task.exercise and a.track == sheet.track]
            if fits:
                source = fits[number % len(fits)].source
                cells[identifier] = edits.replace_definition(
                    cells[identifier], task.impl, edits.rename(source, task.exercise, task.impl)
                )
        return cells

    return edit


def mistaken(number: int) -> Edit:
    """Every fourth exercise done wrong, each in one of the ways that nnlib.mistakes knows."""

    def edit(sheet: Sheet) -> dict[str, str]:
        cells = dict(sheet.solved)
        candidates = [
            (task, identifier, options)
            for task, identifier in _editable(sheet)
            if (options := _mistakes(task.exercise, sheet.track))
        ]
        step = min(MISTAKEN, len(candidates)) or 1
        for place, (task, identifier, options) in enumerate(candidates):
            if place % step == number % step:
                source = options[number % len(options)]
                cells[identifier] = _paste(cells[identifier], task, source)
        return cells

    return edit


def _editable(sheet: Sheet) -> list[tuple[ScoreCall, str]]:
    found = {t.impl: (t, i) for t in sheet.tasks if (i := sheet.cell_of(t))}
    return list(found.values())


def _mistakes(exercise: str, track: str) -> list[str]:
    """Sources of the known mistakes that can be pasted into a notebook of this track."""
    try:
        from nnlib.mistakes import for_exercise
    except ImportError:
        return []
    return [m.source() for m in for_exercise(exercise, track) if track in m.source_tracks]


def _paste(cell: str, task: ScoreCall, source: str) -> str:
    if edits.definition(cell, task.impl):
        renamed = edits.rename(source, task.exercise, task.impl)
        return edits.replace_definition(cell, task.impl, renamed)
    # A value: the mistake is a function that returns the wrong one.
    maker = f"_make_{task.impl}"
    return f"{edits.rename(source, task.exercise, maker)}\n\n\n{task.impl} = {maker}()"


def students(course: Course, assignment: str) -> dict[str, Edit]:
    """The class: name -> what this student does with a notebook."""
    return {
        "perfect": perfect,
        "alternative-1": alternative(0, course, assignment),
        "alternative-2": alternative(1, course, assignment),
        **{f"mistaken-{k + 1}": mistaken(k) for k in range(MISTAKEN)},
        "untouched": untouched,
        "half-done": half_done,
        "syntax-error": syntax_error,
        "endless-loop": endless_loop,
        "noisy": noisy,
    }


def write_class(course: Course, assignment: str) -> SampleClass:
    """Write ``submitted/sample-*/<assignment>/``, unless nothing has changed."""
    inputs = hash_text(
        hash_package("nnlib", course),
        hash_package("autograder", course, ["edits.py", "notebooks.py", "sample_class.py"]),
        *(
            hash_files((p for p in base.glob("*") if p.is_file()), base)
            for base in (
                course.exercises / assignment, course.source / assignment,
                course.solutions / assignment,
            )
        ),
    )  # fmt: skip
    plan = students(course, assignment)
    names = [f"{SAMPLE_PREFIX}{name}" for name in plan]
    stamp = course.cache / "sample" / f"{assignment}.json"
    if read_json(stamp) == {"inputs": inputs, "files": _files_hash(course, assignment, names)}:
        return SampleClass(assignment, names, reused=True)
    sheets = load_sheets(course, assignment)
    for name, edit in zip(names, plan.values(), strict=True):
        folder = course.submitted / name / assignment
        shutil.rmtree(folder, ignore_errors=True)
        for sheet in sheets:
            write_atomic(folder / f"{sheet.name}.ipynb", sheet.fill(edit(sheet)))
    for stale in course.submitted.glob(f"{SAMPLE_PREFIX}*/{assignment}"):
        if stale.parent.name not in names:
            shutil.rmtree(stale)
    write_json(stamp, {"inputs": inputs, "files": _files_hash(course, assignment, names)})
    return SampleClass(assignment, names)


def _files_hash(course: Course, assignment: str, names: list[str]) -> str:
    paths: list[Path] = []
    for name in names:
        paths += (course.submitted / name / assignment).glob("*")
    return hash_files((p for p in paths if p.is_file()), course.submitted)
