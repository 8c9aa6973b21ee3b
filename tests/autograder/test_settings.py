"""Limits and isolation: for all assignments, for one, and what is said about mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from autograder.bounds import Bounds
from autograder.course import Course
from autograder.errors import CourseError
from autograder.settings import combine, for_assignment

KNOWN = ["01-double", "02-triple"]


def test_defaults() -> None:
    assert combine({}, "01-double", KNOWN) == (Bounds(), "split")


def test_one_assignment_differs() -> None:
    section = {
        "call_seconds": 5, "isolation": "split",
        "per_assignment": {"02-triple": {"isolation": "shared", "call_seconds": 20}},
    }  # fmt: skip
    assert combine(section, "01-double", KNOWN) == (Bounds(call_seconds=5), "split")
    assert combine(section, "02-triple", KNOWN) == (Bounds(call_seconds=20), "shared")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"per_assignment": {"01-double": {"cal_seconds": 1}}}, "unknown setting 'cal_seconds'"),
        ({"per_assignment": {"01-dubble": {}}}, "'01-dubble', which is no assignment"),
        ({"per_assignment": {"01-double": 3}}, "must be a dict, got 3"),
        ({"per_assignment": []}, "must be a dict of dicts"),
        ({"per_assignment": {"01-double": {"isolation": "none"}}}, "'split' or 'shared'"),
        ({"per_assignment": {"01-double": {"memory_bytes": -1}}}, "memory_bytes must be a posit"),
    ],
)
def test_mistakes_are_named(section: dict[str, Any], words: str) -> None:
    with pytest.raises(CourseError, match=words):
        combine(section, "01-double", KNOWN)


def test_the_courses_configuration_is_read(course: Course) -> None:
    with (course.root / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write(
            '\nc.ConfinedExecute.cell_seconds = 7\nc.ConfinedExecute.per_assignment = '
            '{"02-triple": {"isolation": "shared", "memory_bytes": 2**20}}\n'
        )
    bounds, isolation = for_assignment(course, "01-double")
    assert (bounds.cell_seconds, bounds.memory_bytes, isolation) == (7, 2**31, "split")
    bounds, isolation = for_assignment(course, "02-triple")
    assert (bounds.cell_seconds, bounds.memory_bytes, isolation) == (7, 2**20, "shared")
    with (course.root / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write('\nc.ConfinedExecute.isolation = "sheared"\n')
    with pytest.raises(CourseError, match="sheared"):
        for_assignment(course, "01-double")
