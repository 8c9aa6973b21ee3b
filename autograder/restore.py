"""Put a submission's released parts back, from plain data instead of a database.

A `Template` is what the gradebook records of one released notebook. `restore` does to a submission
what the preprocessors of `autograder.sanitize` do (nbgrader's and the course's), without a
connection to the gradebook, so that it can run anywhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autograder.notebooks import grade_id, nbgrader_meta

# What nbconvert's ClearOutput drops with the outputs.
OUTPUT_METADATA = ("collapsed", "scrolled")


@dataclass(frozen=True)
class TemplateCell:
    """One cell of a released notebook, as the gradebook records it.

    Attributes
    ----------
    name : str
        Its grade id.
    cell_type : str
        "code", "markdown" or "raw".
    source, checksum : str
        Text as released to the gradebook, hidden tests included, and nbgrader's hash of it.
    locked, grade, solution, task : bool
        What nbgrader does with it.
    points : float
        Most that it earns, for graded cells and tasks.
    """

    name: str
    cell_type: str
    source: str
    checksum: str
    locked: bool
    grade: bool
    solution: bool
    task: bool
    points: float = 0.0

    def metadata(self) -> dict[str, Any]:
        """Nbgrader's metadata of this cell, without the checksum."""
        meta: dict[str, Any] = {
            "grade": self.grade,
            "grade_id": self.name,
            "locked": self.locked,
            "schema_version": 3,
            "solution": self.solution,
            "task": self.task,
        }
        if self.grade or self.task:
            meta["points"] = self.points
        return meta


@dataclass(frozen=True)
class Template:
    """One released notebook: its cells with ids, in no particular order, and its kernel."""

    notebook: str
    cells: tuple[TemplateCell, ...]
    kernelspec: dict[str, Any] | None = None

    def by_name(self) -> dict[str, TemplateCell]:
        """Cells by grade id."""
        return {cell.name: cell for cell in self.cells}

    @property
    def max_score(self) -> float:
        """Most that the notebook earns."""
        return sum(cell.points for cell in self.cells if cell.grade or cell.task)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Template:
        """Rebuild from `to_dict`."""
        cells = tuple(TemplateCell(**cell) for cell in data["cells"])
        return cls(data["notebook"], cells, data["kernelspec"])


def template_of(record: Any) -> Template:
    """Read a notebook's template from the gradebook.

    Parameters
    ----------
    record : nbgrader.api.Notebook
        From ``Gradebook.find_notebook``.
    """
    graded = {cell.name: float(cell.max_score) for cell in record.grade_cells}
    tasks = {cell.name: float(cell.max_score) for cell in record.task_cells}
    solutions = {cell.name for cell in record.solution_cells}
    cells = [
        TemplateCell(
            str(cell.name), str(cell.cell_type), str(cell.source or ""), str(cell.checksum or ""),
            bool(cell.locked), cell.name in graded, cell.name in solutions, cell.name in tasks,
            graded.get(cell.name, tasks.get(cell.name, 0.0)),
        )
        for cell in record.source_cells
    ]  # fmt: skip
    # The database gives no order; a fixed one makes the template's hash mean something.
    cells.sort(key=lambda cell: cell.name)
    kernelspec = json.loads(record.kernelspec) if record.kernelspec is not None else None
    return Template(str(record.name), tuple(cells), kernelspec)


def templates_of(book: Any, assignment: str) -> list[Template]:
    """All templates of an assignment, by name."""
    notebooks = book.find_assignment(assignment).notebooks
    return sorted((template_of(record) for record in notebooks), key=lambda t: t.notebook)


def template_from_notebook(path: Path, config: Any = None) -> Template:
    """Read a template from an instructor notebook, without a gradebook.

    The notebook goes through nbgrader's release up to the point where it is recorded.
    """
    import nbformat
    from nbgrader.converters import GenerateAssignment
    from nbgrader.preprocessors import ClearOutput, IncludeHeaderFooter, SaveCells

    notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    where = {"notebook": path.stem, "assignment": "", "student": "."}
    resources: dict[str, Any] = {"nbgrader": where}
    chain = (config or {}).get("GenerateAssignment", {}).get("preprocessors")
    for kind in chain or GenerateAssignment.preprocessors.default():
        if kind is SaveCells or (isinstance(kind, type) and issubclass(kind, SaveCells)):
            break
        if kind in (IncludeHeaderFooter, ClearOutput) or getattr(kind, "__name__", "") == (
            "InstantiateTests"
        ):
            continue
        preprocessor = kind(config=config) if config is not None else kind()
        notebook, resources = preprocessor(notebook, resources)
    cells = [
        TemplateCell(
            grade_id(cell), cell["cell_type"], cell["source"], str(meta.get("checksum", "")),
            is_locked(meta), bool(meta.get("grade")), bool(meta.get("solution")),
            bool(meta.get("task")), float(meta.get("points") or 0.0),
        )
        for cell in notebook["cells"]
        if grade_id(cell) and (meta := nbgrader_meta(cell))
        and any(meta.get(key) for key in ("grade", "solution", "task", "locked"))
    ]  # fmt: skip
    cells.sort(key=lambda cell: cell.name)
    return Template(path.stem, tuple(cells), notebook["metadata"].get("kernelspec", {}))


def is_locked(meta: dict[str, Any]) -> bool:
    """Nbgrader's rule for which cells are put back to their released text."""
    if meta.get("solution"):
        return False
    return bool(meta.get("grade") or meta.get("locked"))


def checksum(cell: Any) -> str:
    """Nbgrader's hash of a cell, the same as ``nbgrader.utils.compute_checksum``."""
    meta = nbgrader_meta(cell)
    digest = hashlib.md5(usedforsecurity=False)
    for part in (
        cell["source"], cell["cell_type"],
        str(meta.get("grade", False)), str(meta.get("solution", False)), str(is_locked(meta)),
        meta["grade_id"],
        *([str(float(meta["points"]))] if meta.get("grade") else []),
    ):  # fmt: skip
        digest.update(part.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def restore_metadata(cells: list[Any], template: Template) -> list[str]:
    """Rewrite nbgrader's metadata in place; the first cell with an id counts.

    Returns
    -------
    list of str
        Ids of graded cells that are gone.
    """
    known = template.by_name()
    seen: set[str] = set()
    for cell in cells:
        name = grade_id(cell)
        cell["metadata"].pop("nbgrader", None)
        if name in known and name not in seen:
            seen.add(name)
            cell["metadata"]["nbgrader"] = type(cell["metadata"])(known[name].metadata())
    return sorted(cell.name for cell in template.cells if cell.grade and cell.name not in seen)


def _retype(cell: Any, kind: str) -> None:
    """Give a cell its released type, and what nbformat demands of that type."""
    cell["cell_type"] = kind
    if kind == "code":
        cell["outputs"], cell["execution_count"] = [], None
        cell.pop("attachments", None)
    else:
        cell.pop("outputs", None)
        cell.pop("execution_count", None)


def restore(notebook: Any, template: Template) -> tuple[Any, list[str]]:
    """Put everything released back to what it was; what the student may edit stays.

    Parameters
    ----------
    notebook : dict
        A valid notebook, changed in place.
    template : Template
        Of the notebook that was released.

    Returns
    -------
    tuple
        The notebook, and the ids of its deleted graded cells.
    """
    cells = notebook["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
            for name in OUTPUT_METADATA:
                cell["metadata"].pop(name, None)
    deleted = restore_metadata(cells, template)
    if template.kernelspec:
        notebook["metadata"]["kernelspec"] = type(notebook["metadata"])(template.kernelspec)
    known = template.by_name()
    for cell in cells:
        released = known.get(grade_id(cell))
        if released is None:
            continue
        if cell["cell_type"] != released.cell_type:
            _retype(cell, released.cell_type)
        cell["metadata"]["nbgrader"]["checksum"] = released.checksum
        if released.locked and checksum(cell) != released.checksum:
            cell["source"] = released.source
            if checksum(cell) != released.checksum:
                raise RuntimeError(f"Inconsistent checksums for cell {released.name}")
    return notebook, deleted
