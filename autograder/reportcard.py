"""The grader's own report card: what it does with answers that are known to be right or wrong.

Untouched release 0 points, reference all points, every known mistake caught and named, every valid
alternative accepted. The tests assert it and the book shows it, from this one function.
"""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from autograder import edits, executed
from autograder.course import (
    Course,
    find_course,
    hash_files,
    hash_package,
    hash_text,
    read_json,
    write_json,
)
from autograder.errors import CourseError
from autograder.notebooks import join_text, score_call
from autograder.verdicts import NO_VERDICT, is_graded_code, parse_verdict


@dataclass
class Row:
    """One notebook's line.

    Attributes
    ----------
    assignment, track, notebook : str
        Which.
    functions : int
        Graded exercises, questions not counted.
    points : float
        Most that can be earned.
    untouched, reference : float
        Points of the notebook as released, and of the reference.
    mistakes, caught, named : int
        Known mistakes: defined, scored below full, recognised by name.
    alternatives, accepted : int
        Valid alternatives: defined, scored full.
    problems : list of str
        Every exception, in words.
    """

    assignment: str
    track: str
    notebook: str
    functions: int = 0
    points: float = 0.0
    untouched: float = 0.0
    reference: float = 0.0
    mistakes: int = 0
    caught: int = 0
    named: int = 0
    alternatives: int = 0
    accepted: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def perfect(self) -> bool:
        """Whether there is no exception."""
        return not self.problems


def report_card(course: Course | None = None) -> list[Row]:
    """Compute the report card of all assignments; what has not changed comes from the cache.

    Returns
    -------
    list of Row
        One a notebook, in the order of the course.
    """
    from autograder.release import prepare_sources

    if course is None:
        try:
            course = find_course()
        except CourseError:
            course = Course(Path(__file__).resolve().parents[1])
    prepare_sources(course)
    rows: list[Row] = []
    for assignment in course.assignments():
        for name in course.notebooks(assignment):
            rows.append(_cached_row(course, assignment, name))
    return rows


def _cached_row(course: Course, assignment: str, name: str) -> Row:
    solutions = course.solutions / assignment
    key = hash_text(
        executed.environment_hash(course),
        hash_package("autograder", course, ["edits.py", "reportcard.py"]),
        hash_files((p for p in solutions.glob("*") if p.is_file()), solutions),
        hash_files([p for p in _paths(course, assignment, name) if p.is_file()], course.root),
    )
    path = course.cache / "reportcard" / assignment / f"{name}.json"
    record = read_json(path)
    if record and record.get("key") == key:
        return Row(**record["row"])
    row = _row(course, assignment, name)
    write_json(path, {"key": key, "row": asdict(row)})
    return row


def _paths(course: Course, assignment: str, name: str) -> tuple[Path, Path]:
    file = f"{name}.ipynb"
    return course.source / assignment / file, course.exercises / assignment / file


def _row(course: Course, assignment: str, name: str) -> Row:
    reference, released = _paths(course, assignment, name)
    if not released.is_file():
        raise CourseError(f"{course.relative(released)} is missing: run `nncourse release`.")
    solved = _execute(course, reference)
    calls = [call for cell in solved if (call := score_call(cell["source"]))]
    track = "torch" if any(call.track == "torch" for call in calls) else "numpy"
    row = Row(assignment, track, name)
    graded = filter(is_graded_code, solved)
    row.points = sum(float(cell["metadata"]["nbgrader"]["points"]) for cell in graded)
    row.reference = _points(solved, row, "the reference", full=True)
    row.untouched = _points(_execute(course, released), row, "the untouched release", full=False)
    exercises = list(dict.fromkeys(call.exercise for call in calls))
    functions = [e for e in exercises if _kind(e) != "question"]
    row.functions = len(functions)
    for exercise in functions:
        _try_mistakes(row, exercise)
    _try_alternatives(course, row, functions)
    return row


def _execute(course: Course, path: Path) -> list[Any]:
    """Execute a notebook as grading does; returns its cells."""
    from autograder.execute import ConfinedExecute
    from autograder.nbgrader_bridge import load_config
    from autograder.notebooks import read_notebook

    empty = course.cache / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    executor = ConfinedExecute(config=load_config(course), course_root=str(course.root))
    where = {"assignment": path.parent.name, "notebook": path.stem, "student": "."}
    resources = {"metadata": {"path": str(empty)}, "nbgrader": where}
    notebook, _ = executor.preprocess(read_notebook(path), resources)
    return list(notebook["cells"])


def _points(cells: list[Any], row: Row, what: str, *, full: bool) -> float:
    """Points of an executed notebook; notes each cell that should have scored otherwise."""
    total = 0.0
    for cell in filter(is_graded_code, cells):
        meta = cell["metadata"]["nbgrader"]
        values = [o for o in cell["outputs"] if o["output_type"] == "execute_result"]
        errors = [o for o in cell["outputs"] if o["output_type"] == "error"]
        text = join_text(values[0]["data"].get("text/plain")) if values and not errors else "0.0"
        earned = parse_verdict(text, float(meta["points"]))[0] or 0.0
        total += earned
        if earned != (float(meta["points"]) if full else 0.0):
            why = f" ({errors[-1]['ename']}: {errors[-1]['evalue']})" if errors else ""
            row.problems.append(
                f"{what} earns {earned:g} of {float(meta['points']):g} in {meta['grade_id']}{why}"
            )
        elif errors and errors[-1]["ename"] == NO_VERDICT:
            row.problems.append(f"{what}: {meta['grade_id']} has no verdict")
    return total


def _kind(exercise: str) -> str:
    """The contract's kind of an exercise: "function", "class", "value" or "question"."""
    from nnlib.contract import Question, find

    entry = find(exercise)
    return "question" if isinstance(entry, Question) else str(entry.kind)


def _implementation(exercise: str, function: Any) -> Any:
    """What `grade` is given: for a value, what the function returns."""
    return function() if _kind(exercise) == "value" else function


def _candidate(mistake: Any, exercise: str, track: str) -> Any:
    """A mistake as something that can be graded in this track."""
    from nnlib.checks.diagnose import candidate
    from nnlib.contract import Operation, find

    entry = find(exercise)
    assert isinstance(entry, Operation), f"{exercise} is a question"
    return candidate(mistake, entry, track)


def _try_mistakes(row: Row, exercise: str) -> None:
    from nnlib import checks
    from nnlib.mistakes import for_exercise

    for mistake in for_exercise(exercise, row.track):
        row.mistakes += 1
        candidate = _candidate(mistake, exercise, row.track)
        report = checks.grade(exercise, candidate, track=row.track)
        caught = report.points_fraction < 1.0
        named = report.mistake == mistake.name
        row.caught += caught
        row.named += named
        if not caught:
            row.problems.append(f"{exercise}: the mistake {mistake.name} scores full points")
        elif not named:
            row.problems.append(
                f"{exercise}: the mistake {mistake.name} is taken for {report.mistake}"
            )


def _try_alternatives(course: Course, row: Row, functions: list[str]) -> None:
    from nnlib import checks

    path = course.solutions / row.assignment / "alternatives.py"
    known = [
        a for a in edits.read_alternatives(path)
        if a.track == row.track and a.exercise in functions
    ]  # fmt: skip
    module = _load(path) if known else None
    for item in known:
        row.alternatives += 1
        function = getattr(module, item.name)
        report = checks.grade(
            item.exercise, _implementation(item.exercise, function), track=row.track
        )
        row.accepted += report.points_fraction == 1.0
        if report.points_fraction < 1.0:
            row.problems.append(
                f"{item.exercise}: the alternative {item.name} is refused: {report.hint}"
            )


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"_alternatives_{hash_text(str(path))[:8]}", path)
    if spec is None or spec.loader is None:
        raise CourseError(f"{path} can't be imported.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


