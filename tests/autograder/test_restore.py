"""Restoring from plain data gives what nbgrader's sanitizers give from the gradebook."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbgrader.utils import compute_checksum

from autograder import sanitize
from autograder.course import Course
from autograder.intake import normalise
from autograder.nbgrader_bridge import course_directory, gradebook, load_config
from autograder.restore import (
    Template,
    checksum,
    restore,
    template_from_notebook,
    templates_of,
)

pytestmark = pytest.mark.xdist_group("grading")



def changed(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    """A released notebook as a careless or a cunning student returns it."""
    cells = notebook["cells"]
    ids = {c["metadata"].get("nbgrader", {}).get("grade_id", ""): c for c in cells}
    score, setup = ids["score_double"], ids["setup"]
    match name:
        case "deleted":
            cells.remove(score)
        case "all deleted":
            cells[:] = [c for c in cells if "nbgrader" not in c["metadata"]]
        case "duplicated":
            cells.append(copy.deepcopy(score) | {"source": "3.0", "id": "copy"})
        case "duplicated before":
            cells.insert(0, copy.deepcopy(score) | {"source": "3.0", "id": "copy"})
        case "retyped":
            score["cell_type"] = "markdown"
            ids["double"]["cell_type"] = "raw"
        case "edited":
            score["source"] = "3.0"
            setup["source"] += "\nscore = lambda *a, **k: 3.0"
            ids["double"]["source"] = "def double(x): return 2 * x"
        case "reordered":
            cells.reverse()
        case "points":
            score["metadata"]["nbgrader"] |= {"points": 99, "grade": False, "checksum": "0"}
        case "swapped":
            for one, other in (("score_double", "score_answer_size"),):
                first = ids[one]["metadata"]["nbgrader"]
                first["grade_id"] = other
        case "unlocked":
            setup["metadata"]["nbgrader"] |= {"locked": False, "solution": True}
        case "renamed":
            score["metadata"]["nbgrader"]["grade_id"] = "another"
        case "old schema":
            score["metadata"]["nbgrader"] = {"grade_id": "score_double", "schema_version": 1}
        case "outputs":
            score["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "3.0"}]
            score["metadata"] |= {"collapsed": True, "scrolled": False}
        case "empty":
            cells.clear()
        case _:
            assert name == "untouched"
    return notebook


CHANGES = ("untouched", "deleted", "all deleted", "duplicated", "duplicated before", "retyped",
           "edited", "reordered", "points", "swapped", "unlocked", "renamed", "old schema",
           "outputs", "empty")  # fmt: skip


def by_nbgrader(course: Course, data: dict[str, Any]) -> Any:
    """Run the chain of nbgrader_config.py."""
    config = load_config(course)
    directory = course_directory(course, "01-double")
    where = {"notebook": "double_numpy", "assignment": "01-double", "student": "nobody",
             "db_url": directory.db_url}  # fmt: skip
    node, resources = nbformat.from_dict(data), {"nbgrader": where}
    for kind in sanitize.SANITIZERS:
        node, resources = kind(config=config)(node, resources)
    return node


@pytest.fixture(scope="module")
def template(released: Course) -> Template:
    with gradebook(course_directory(released, "01-double")) as book:
        (found,) = templates_of(book, "01-double")
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_bytes_as_the_chain(
    released: Course, notebook: Callable[[], dict[str, Any]], template: Template, change: str
) -> None:
    data = normalise(changed(notebook(), change))
    ours, deleted = restore(copy.deepcopy(data), template)
    theirs = by_nbgrader(released, copy.deepcopy(data))
    assert nbformat.writes(nbformat.from_dict(ours)) == nbformat.writes(theirs)
    gone = {"deleted": ["score_double"], "renamed": ["score_double"],
            "swapped": ["score_double"]}  # fmt: skip
    everything = ["score_answer_size", "score_double"]
    expected = everything if change in ("all deleted", "empty") else gone.get(change, [])
    assert deleted == expected


def test_what_the_student_may_edit_stays(
    notebook: Callable[[], dict[str, Any]], template: Template
) -> None:
    restored, _ = restore(normalise(changed(notebook(), "edited")), template)
    sources = [c["source"] for c in restored["cells"]]
    assert "def double(x): return 2 * x" in sources
    assert "3.0" not in sources
    assert not any("lambda" in source for source in sources)


def test_the_template_from_the_source_is_the_gradebooks(
    released: Course, template: Template
) -> None:
    path = released.source / "01-double" / "double_numpy.ipynb"
    assert template_from_notebook(path, load_config(released)) == template
    assert Template.from_dict(json.loads(json.dumps(template.to_dict()))) == template
    assert template.max_score == 4


def test_checksums_are_nbgraders(released: Course) -> None:
    path = released.source / "01-double" / "double_numpy.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    graded = [c for c in cells if "nbgrader" in c.metadata]
    assert len(graded) > 4
    for cell in graded:
        assert checksum(cell) == compute_checksum(cell)


def task(name: str) -> Any:
    meta = {"grade": False, "grade_id": name, "locked": True, "points": 5, "schema_version": 3,
            "solution": False, "task": True}  # fmt: skip
    return nbformat.v4.new_markdown_cell("Write an essay.", metadata={"nbgrader": meta})


def test_a_task_keeps_its_points_whatever_its_metadata_say(tmp_path: Path) -> None:
    path = tmp_path / "essay.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[task("essay")]), path)
    template = template_from_notebook(path)
    data = json.loads(path.read_text(encoding="utf-8"))
    data["cells"][0]["metadata"]["nbgrader"] |= {"points": 99, "grade": True}
    restored, deleted = restore(normalise(data), template)
    meta = restored["cells"][0]["metadata"]["nbgrader"]
    assert (meta["points"], meta["grade"], meta["task"], deleted) == (5, False, True, [])
