"""The report card counts what it should, and names every exception."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import make_course

import nnlib.checks
import nnlib.mistakes
from autograder import reportcard
from autograder.course import Course
from autograder.release import release

ALTERNATIVES = """
def double__sum(x):
    return x + x


def double__wrong(x):
    return x


def triple__sum(x):
    return x + x + x


def double__torch__add(x):
    return x + x
"""


@dataclass
class Known:
    name: str
    function: Any


MISTAKES = [
    Known("named", lambda x: 3 * x),
    Known("misnamed", lambda x: 4 * x),
    Known("missed", lambda x: 2 * x),
]


def fake_grade(name: str, function: Any, *, track: str = "numpy") -> SimpleNamespace:
    value = function(3)
    return SimpleNamespace(
        points_fraction=1.0 if value == 6 else 0.0, mistake={9: "named"}.get(value), hint="a hint"
    )


@pytest.fixture
def card(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> tuple[Course, list[str]]:
    """A course whose execution and checks are doubles; the list names what was executed."""
    course = make_course(tmp_path_factory.mktemp("card") / "course")
    path = course.solutions / "01-double" / "alternatives.py"
    path.write_text(ALTERNATIVES, encoding="utf-8")
    for name in ("02-triple/triple_numpy.md",):
        (course.solutions / name).unlink()
    release(course, ["01-double"])
    ran: list[str] = []

    def execute(_: Course, path: Any) -> list[Any]:
        ran.append(path.parent.parent.name)
        cells = list(reportcard_cells(path))
        full = path.parent.parent.name == "source"
        for cell in cells:
            points = cell["metadata"].get("nbgrader", {}).get("points")
            if points:
                value = float(points) if full else 0.0
                cell["outputs"] = [
                    {"output_type": "execute_result", "data": {"text/plain": repr(value)}}
                ]
        return cells

    monkeypatch.setattr(reportcard, "_execute", execute)
    monkeypatch.setattr(
        reportcard, "_kind", lambda name: "question" if "answer" in name else "function"
    )
    monkeypatch.setattr(reportcard, "_candidate", lambda mistake, *_: mistake.function)
    monkeypatch.setattr(nnlib.checks, "grade", fake_grade)
    monkeypatch.setattr(nnlib.mistakes, "for_exercise", lambda name, track: MISTAKES)
    return course, ran


def reportcard_cells(path: Any) -> Any:
    from autograder.notebooks import read_notebook

    return read_notebook(path)["cells"]


def test_counts_and_exceptions(card: tuple[Course, list[str]]) -> None:
    course, ran = card
    (row,) = reportcard.report_card(course)
    assert (row.assignment, row.track, row.functions) == ("01-double", "numpy", 1)
    assert (row.points, row.untouched, row.reference) == (4, 0, 4)
    assert (row.mistakes, row.caught, row.named) == (3, 2, 1)
    assert (row.alternatives, row.accepted) == (2, 1)
    text = "\n".join(row.problems)
    assert "mistake missed scores full points" in text
    assert "mistake misnamed is taken for None" in text
    assert "alternative double__wrong is refused: a hint" in text
    assert len(row.problems) == 3
    assert not row.perfect
    assert sorted(ran) == ["exercises", "source"]
    assert reportcard.report_card(course) == [row]
    assert len(ran) == 2, "the second card must come from the cache"


def test_points_where_none_are_due_are_exceptions(
    card: tuple[Course, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    course, _ = card
    execute = reportcard._execute

    def generous(where: Course, path: Any) -> list[Any]:
        cells = execute(where, path)
        for cell in cells:
            for output in cell.get("outputs", []):
                output["data"]["text/plain"] = "1.0"
        return cells

    monkeypatch.setattr(reportcard, "_execute", generous)
    (row,) = reportcard.report_card(course)
    text = "\n".join(row.problems)
    assert "the untouched release earns 1 of 3 in score_double" in text
    assert "the reference earns 1 of 3 in score_double" in text
