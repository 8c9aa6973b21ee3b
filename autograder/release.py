"""solutions/*.md -> nbgrader's source notebooks -> the student notebooks in exercises/.

Everything that decides about bytes is here or in preprocessors that `nbgrader_config.py` names,
so that ``nncourse release`` and stock ``nbgrader generate_assignment`` write the same files.
"""

from __future__ import annotations

import difflib
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder import lint, notebooks
from autograder.course import (
    SAMPLE_PREFIX,
    Course,
    hash_files,
    hash_package,
    hash_text,
    package_version,
    read_json,
    write_json,
)
from autograder.errors import CourseError, Problem, ReleaseError

GENERATOR = ("course.py", "lint.py", "nbgrader_bridge.py", "notebooks.py", "release.py", "stubs.py")


@dataclass
class Released:
    """What `release` did to one assignment."""

    assignment: str
    changed: list[str] = field(default_factory=list)
    reused: bool = False


def source_notebook(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Expand the author's shorthand to an nbgrader instructor notebook."""
    ids = notebooks.stable_ids([str(lint.role_of(c).get("id", "")) for c in cells])
    return {
        "cells": [_source_cell(cell, name) for cell, name in zip(cells, ids, strict=True)],
        "metadata": {
            "kernelspec": dict(notebooks.KERNELSPEC),
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _source_cell(cell: dict[str, Any], cell_id: str) -> dict[str, Any]:
    block = lint.role_of(cell)
    metadata = {k: v for k, v in cell["metadata"].items() if k not in ("nn", "nbgrader")}
    role = block.get("role")
    if role:
        metadata["nbgrader"] = {
            "grade": role == "graded",
            "grade_id": str(block["id"]),
            "locked": role != "solution",
            "schema_version": 3,
            "solution": role == "solution",
            "task": False,
        }
    if role == "graded":
        metadata["nbgrader"]["points"] = block["points"]
    if role == "setup":
        metadata["tags"] = sorted({*metadata.get("tags", []), "setup"})
    if role == "solution" and "stub" in block:
        # Read, then dropped, by autograder.stubs.ClearCourseSolutions.
        metadata["nn"] = {"stub": str(block["stub"])}
    new = {
        "cell_type": cell["cell_type"],
        "id": cell_id,
        "metadata": metadata,
        "source": cell["source"],
    }
    if cell["cell_type"] == "code":
        new |= {"execution_count": None, "outputs": []}
    return new


def read_sources(course: Course, assignment: str) -> dict[str, list[dict[str, Any]]]:
    """Read and lint an assignment's text notebooks: name -> cells.

    Raises
    ------
    ReleaseError
        With every problem of every notebook.
    """
    problems: list[Problem] = []
    result: dict[str, list[dict[str, Any]]] = {}
    for name in course.notebooks(assignment):
        path = course.solutions / assignment / f"{name}.md"
        file = course.relative(path)
        try:
            cells = notebooks.read_myst(path)
        except UnicodeDecodeError as error:
            problems.append(Problem(file, "", "encoding", f"not UTF-8: {error}", "save as UTF-8"))
            continue
        except Exception as error:
            problems.append(Problem(
                file, "", "unreadable", f"jupytext can't read it: {error}",
                "check the ```{code-cell} fences and the YAML blocks",
            ))  # fmt: skip
            continue
        problems += lint.lint_source(file, cells, path.read_text(encoding="utf-8"))
        result[name] = cells
    if problems:
        raise ReleaseError(problems)
    return result


def source_hash(course: Course, assignment: str) -> str:
    """Hash of everything that an assignment's student notebooks depend on."""
    folder = course.solutions / assignment
    return hash_text(
        hash_files(folder.glob("*.md"), folder),
        hash_package("autograder", course, GENERATOR),
        hash_files([course.root / "nbgrader_config.py"], course.root),
        package_version("nbgrader"),
        package_version("nbformat"),
        package_version("jupytext"),
    )


def write_sources(course: Course, assignment: str, target: Path) -> dict[str, Any]:
    """Write an assignment's instructor notebooks into `target`; returns name -> cells."""
    cells = read_sources(course, assignment)
    keep = {f"{name}.ipynb" for name in cells}
    for stale in target.glob("*"):
        if stale.name not in keep:
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    for name, content in cells.items():
        notebooks.write_notebook(target / f"{name}.ipynb", source_notebook(content))
    return cells


def prepare_sources(course: Course, assignments: list[str] | None = None) -> None:
    """Bring source/ up to date; cheap when it is.

    Stock nbgrader reads source/, which isn't committed. `nbgrader_config.py` calls this.
    """
    problems: list[Problem] = []
    for assignment in assignments or course.assignments():
        target = course.source / assignment
        stamp = course.cache / "source" / f"{assignment}.json"
        names = course.notebooks(assignment)
        paths = [target / f"{name}.ipynb" for name in names]
        if all(path.is_file() for path in paths) and read_json(stamp) == {
            "source": source_hash(course, assignment),
            "files": hash_files(paths, target),
        }:
            continue
        try:
            write_sources(course, assignment, target)
        except ReleaseError as error:
            problems += error.problems
            continue
        write_json(
            stamp,
            {"source": source_hash(course, assignment), "files": hash_files(paths, target)},
        )
    if problems:
        raise ReleaseError(problems)


def normalise_newlines(folder: Path) -> None:
    """Undo the platform's newlines: released notebooks have line feeds everywhere."""
    for path in folder.glob("*.ipynb"):
        data = path.read_bytes()
        if b"\r\n" in data:
            path.write_bytes(data.replace(b"\r\n", b"\n"))


def generate(course: Course, assignment: str, root: Path, *, database: bool) -> Path:
    """Run nbgrader's GenerateAssignment on source/ under `root`; returns the output folder."""
    from nbgrader.converters.base import NbGraderException

    from autograder.nbgrader_bridge import course_directory, quiet_nbgrader, run_converter

    directory = course_directory(course, assignment, root=str(root))
    if not database:
        directory.db_url = "sqlite://"
    extra = {} if database else {
        "GenerateAssignment": {"no_database": True}, "SaveCells": {"enabled": False},
    }  # fmt: skip
    with quiet_nbgrader(course) as tail:
        try:
            run_converter("GenerateAssignment", course, directory, extra)
        except (NbGraderException, RuntimeError) as error:
            raise CourseError(f"nbgrader couldn't release {assignment}: {tail.reason()}") from error
    folder = root / directory.release_directory / assignment
    normalise_newlines(folder)
    return folder


def build_release(course: Course, assignment: str, root: Path) -> Path:
    """Generate and lint an assignment in a scratch `root`; returns the folder of notebooks."""
    cells = write_sources(course, assignment, root / "source" / assignment)
    folder = generate(course, assignment, root, database=False)
    problems: list[Problem] = []
    for name, content in cells.items():
        released = notebooks.read_notebook(folder / f"{name}.ipynb")
        file = course.relative(course.solutions / assignment / f"{name}.md")
        problems += lint.lint_release(file, content, released["cells"])
    if problems:
        raise ReleaseError(problems)
    return folder


def differences(old: Path, new: Path, limit: int = 12) -> list[str]:
    """Readable summary of how two folders of notebooks differ, [] when they don't."""
    names = sorted({p.name for p in old.glob("*")} | {p.name for p in new.glob("*")})
    lines: list[str] = []
    for name in names:
        before, after = old / name, new / name
        if name.startswith("."):
            continue
        if not before.is_file() or not after.is_file():
            lines.append(f"{name}: {'missing from' if after.is_file() else 'should not be in'} "
                         "exercises/")  # fmt: skip
        elif before.read_bytes() != after.read_bytes():
            diff = list(difflib.unified_diff(
                before.read_text(encoding="utf-8", errors="replace").splitlines(),
                after.read_text(encoding="utf-8").splitlines(),
                "committed", "regenerated", lineterm="", n=0,
            ))  # fmt: skip
            more = f"    ... {len(diff) - limit} more lines" if len(diff) > limit else ""
            shown = [f"    {line[:120]}" for line in diff[:limit]]
            lines += [f"{name}: differs", *shown, *([more] if more else [])]
            if not diff:
                lines.append("    only in newlines or the end of the file")
    return lines


def check_release(course: Course, assignments: list[str]) -> list[str]:
    """Regenerate into a scratch folder and compare; returns lines that describe differences."""
    report: list[str] = []
    problems: list[Problem] = []
    with tempfile.TemporaryDirectory() as scratch:
        for assignment in assignments:
            try:
                folder = build_release(course, assignment, Path(scratch))
            except ReleaseError as error:
                problems += error.problems
                continue
            found = differences(course.exercises / assignment, folder)
            report += [f"{assignment}/{line}" if line[0] != " " else line for line in found]
    if problems:
        raise ReleaseError(problems)
    known = set(course.assignments())
    stray = [p.name for p in sorted(course.exercises.glob("*")) if p.is_dir()]
    report += [f"{name}: has no sources in solutions/" for name in stray if name not in known]
    return report


def release(course: Course, assignments: list[str], *, replace: bool = False) -> list[Released]:
    """Release assignments: source/, exercises/ and the gradebook's entry for each.

    Parameters
    ----------
    course : Course
        The course.
    assignments : list of str
        Names of assignments.
    replace : bool
        Drop an older version's submissions from the gradebook where they stand in the way.

    Raises
    ------
    ReleaseError
        With the problems of all assignments; those without problems are released all the same.
    """
    results: list[Released] = []
    problems: list[Problem] = []
    for assignment in assignments:
        try:
            results.append(_release_one(course, assignment, replace=replace))
        except ReleaseError as error:
            problems += error.problems
    if problems:
        raise ReleaseError(problems)
    return results


def _release_one(course: Course, assignment: str, *, replace: bool) -> Released:
    stamp = course.cache / "release" / f"{assignment}.json"
    target = course.exercises / assignment
    if not replace and read_json(stamp) == _state(course, assignment):
        return Released(assignment, reused=True)
    with tempfile.TemporaryDirectory() as scratch:
        fresh = build_release(course, assignment, Path(scratch))
        # A directory that is there but empty differs in the names of its notebooks.
        changed = [line.split(":")[0] for line in differences(target, fresh) if line[0] != " "]
    prepare_sources(course, [assignment])
    _make_room(course, assignment, replace=replace)
    generate(course, assignment, course.root, database=True)
    write_json(stamp, _state(course, assignment))
    return Released(assignment, changed)


def _state(course: Course, assignment: str) -> dict[str, Any]:
    """What must be unchanged for a release to be up to date."""
    from autograder.nbgrader_bridge import course_directory, database_path

    database = database_path(course_directory(course, assignment))
    target, source = course.exercises / assignment, course.source / assignment
    return {
        "inputs": source_hash(course, assignment),
        "exercises": hash_files((p for p in target.glob("*") if p.is_file()), target),
        "source": hash_files((p for p in source.glob("*") if p.is_file()), source),
        "gradebook": database is None or _in_gradebook(database, assignment),
    }


def _in_gradebook(path: Path, assignment: str) -> bool:
    import contextlib
    import sqlite3

    if not path.is_file():
        return False
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("select 1 from assignment where name = ?", (assignment,))
            return rows.fetchone() is not None
    except sqlite3.Error:
        return False


def _make_room(course: Course, assignment: str, *, replace: bool) -> None:
    """Nbgrader refuses to change the cells of an assignment that has submissions."""
    from autograder.nbgrader_bridge import course_directory, gradebook, students_of

    directory = course_directory(course, assignment)
    students = students_of(directory, assignment)
    if not students or not _cells_changed(course, directory, assignment):
        return
    real = sorted(s for s in students if not s.startswith(SAMPLE_PREFIX))
    if real and not replace:
        raise CourseError(
            f"The gradebook holds submissions of {len(real)} students ({', '.join(real[:3])}"
            f"{', ...' if len(real) > 3 else ''}) for an older version of {assignment} with other "
            "cells. To grade them against the new version, run "
            f"`nncourse release {assignment} --replace` and then `nncourse grade {assignment}`; "
            "manual grades and comments of this assignment are lost."
        )
    with gradebook(directory) as book:
        book.remove_assignment(assignment)


def _cells_changed(course: Course, directory: Any, assignment: str) -> bool:
    from autograder.nbgrader_bridge import gradebook

    with gradebook(directory) as book:
        recorded = {
            (notebook.name, cell.name)
            for notebook in book.find_assignment(assignment).notebooks
            for cell in notebook.source_cells
        }
    wanted = set()
    for name in course.notebooks(assignment):
        notebook = notebooks.read_notebook(course.source / assignment / f"{name}.ipynb")
        wanted |= {(name, notebooks.grade_id(c)) for c in notebook["cells"]}
    return recorded != {pair for pair in wanted if pair[1]}


def after_generate_assignment(**_: Any) -> None:
    """Hook of `nbgrader_config.py`; nbgrader runs it in the course's root."""
    for folder in (Path.cwd() / "exercises").glob("*"):
        normalise_newlines(folder)


def wants_sources(argv: list[str]) -> bool:
    """Whether this process is an nbgrader command (or server) that reads source/."""
    program = Path(argv[0]).name if argv else ""
    if program.startswith(("jupyter", "pytest")) and "nbgrader" not in argv:
        return any(word in argv for word in ("lab", "notebook", "server")) or program in (
            "jupyter-lab", "jupyter-notebook", "jupyter-server",
        )  # fmt: skip
    return any(word in ("generate_assignment", "assign", "generate_solution") for word in argv)


def prepare_for_nbgrader(root: str) -> None:
    """Hook of `nbgrader_config.py`: source/ is there when stock nbgrader looks for it."""
    if not wants_sources(sys.argv):
        return
    try:
        prepare_sources(Course(Path(root)))
    except CourseError as error:
        print(error, file=sys.stderr)
        if "generate_assignment" in sys.argv or "assign" in sys.argv:
            raise SystemExit(1) from error
