"""Grade one notebook from Python: no database, no folders of a class.

``autograder.grade_notebook("backprop_numpy.ipynb", "05-backprop")`` gives a `Result`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autograder.course import Course, find_course
from autograder.errors import CourseError
from autograder.intake import expect, parse
from autograder.job import Job
from autograder.lean import skip_slow_imports
from autograder.notebooks import read_notebook
from autograder.plan import Plan, cleanup_of, files_beside, graders_hash, own_settings
from autograder.result import Result
from autograder.submission import Submission, UnreadableError, read_file


def grade_notebook(
    path: str | Path,
    assignment: str | Path,
    *,
    trust_submissions: bool = False,
    engine: Any = None,
) -> Result:
    """Grade one notebook, confined, and say what it earned.

    Parameters
    ----------
    path : str or Path
        The student's notebook.
    assignment : str or Path
        The instructor notebook that it is a copy of (``.ipynb``), or an assignment or notebook of
        the course in or above the working directory: ``"05-backprop"``, ``"backprop_numpy"``.
    trust_submissions : bool
        Run the notebook without confinement where there is none. Only for notebooks that you trust.
    engine : autograder.engine_client.Engine, optional
        An engine to use again for several notebooks; otherwise one is started and stopped.

    Returns
    -------
    Result
        Score, tasks with hints, and what a person should know; ``str(result)`` is readable.

    Raises
    ------
    CourseError
        Where the assignment isn't found, or code can't be confined here.
    """
    from autograder.engine_client import GRACE, Engine

    skip_slow_imports()
    path = Path(path)
    client = engine if engine is not None else Engine()
    try:
        if engine is None:
            client.start()  # its imports run beside what follows
        plan, name = _plan(path, assignment, trust_submissions)
        submission = _submission(path, name)
        request = {"do": "grade", "job": Job(plan.text, plan.key, submission).to_dict()}
        seconds = plan.bounds["notebook_seconds"] + 2 * GRACE
        return Result.from_dict(client.request(request, seconds))
    finally:
        if engine is None:
            client.close()


def _submission(path: Path, name: str) -> Submission:
    file = f"{name}.ipynb"
    try:
        return Submission({file: read_file(path)})
    except UnreadableError as error:
        return Submission(refused={file: str(error)})


def _plan(path: Path, assignment: str | Path, trust: bool) -> tuple[Plan, str]:
    """The plan for one notebook, and the name of that notebook."""
    source = Path(assignment)
    if source.suffix == ".ipynb" and source.is_file():
        course = _course_of(source)
        config = _config(course)
        return _one(source, source.resolve().parent.name, course, config, trust), source.stem
    course = find_course()
    folder, names = _find(course, str(assignment))
    name = path.stem if path.stem in names else _most_alike(course, folder, names, path)
    config = _config(course)
    return _one(course.source / folder / f"{name}.ipynb", folder, course, config, trust), name


def _course_of(path: Path) -> Course | None:
    try:
        return find_course(path.resolve().parent)
    except CourseError:
        return None


def _config(course: Course | None) -> Any:
    from traitlets.config import Config

    from autograder.nbgrader_bridge import load_config

    return load_config(course) if course is not None else Config()


def _one(source: Path, assignment: str, course: Course | None, config: Any, trust: bool) -> Plan:
    from autograder.executed import code_hash
    from autograder.restore import template_from_notebook
    from autograder.settings import from_config

    here = course or Course(Path(__file__).resolve().parents[1])
    bounds, isolation = from_config(config, assignment)
    template = template_from_notebook(source, config)
    files = {}
    if course is not None and course.source / assignment == source.resolve().parent:
        files = files_beside(course, assignment)
    return Plan(
        assignment, (template,),
        (expect(assignment, source.stem, read_notebook(source)["cells"]),),
        files, bounds.to_dict(), isolation,
        {source.stem: own_settings(config, template, source)},
        here.secret() if course else "", trust,
        code_hash(here), graders_hash(here), cleanup_of(config),
    )  # fmt: skip


def _find(course: Course, wanted: str) -> tuple[str, list[str]]:
    """An assignment and those of its notebooks that are meant."""
    from autograder.release import prepare_sources

    stem = Path(wanted).name.removesuffix(".ipynb").removesuffix(".md")
    for assignment in course.assignments():
        if stem in course.notebooks(assignment):
            prepare_sources(course, [assignment])
            return assignment, [stem]
    (assignment,) = course.resolve([wanted])
    prepare_sources(course, [assignment])
    return assignment, course.notebooks(assignment)


def _most_alike(course: Course, assignment: str, names: list[str], path: Path) -> str:
    """The notebook of an assignment that a file with another name is a copy of."""
    if len(names) == 1:
        return names[0]
    try:
        data = parse(read_file(path))
        cells = [c for c in data["cells"] if isinstance(c, dict) and "source" in c]
    except (UnreadableError, KeyError):
        return names[0]
    known = {
        name: expect(
            assignment, name, read_notebook(course.source / assignment / f"{name}.ipynb")["cells"]
        )
        for name in names
    }
    return max(names, key=lambda name: known[name].fit({"cells": cells}))
