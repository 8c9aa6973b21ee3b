"""The same class graded three times from nothing gives the same, to the byte."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY
from robust import copy_of, differing, everything

from autograder.classrun import Grading
from autograder.course import Course
from autograder.grade import ClassRun, grade
from autograder.outcomes import ATTENTION, GRADED
from autograder.release import release
from autograder.report import write_reports
from autograder.sample_class import write_class
from autograder.sandbox import available

pytestmark = [
    pytest.mark.xdist_group("grading"),
    pytest.mark.skipif(bool(available()), reason="student code can't be confined here"),
]

ASSIGNMENT = "01-neurons"
# The sample class has an endless loop; waiting for it is not what is tested.
LIMITS = "\nc.ConfinedExecute.cell_seconds = 20\nc.ConfinedExecute.call_seconds = 5\n"


def graded(course: Course, workers: int) -> ClassRun:
    run = grade(course, [ASSIGNMENT], workers=workers)[0]
    write_reports(course, run)
    return run


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course with two real notebooks, one of each track, and their sample class."""
    root = tmp_path_factory.mktemp("repeat") / "course"
    shutil.copytree(REPOSITORY / "solutions" / ASSIGNMENT, root / "solutions" / ASSIGNMENT)
    shutil.copy(REPOSITORY / "nbgrader_config.py", root)
    with (root / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write(LIMITS)
    course = Course(root)
    release(course, [ASSIGNMENT])
    assert len(write_class(course, ASSIGNMENT).students) == 12
    return course


def shuffle(seed: int) -> Any:
    """Hand a class over in another order."""
    ordered = Grading.tasks

    def tasks(grading: Grading, todo: list[str]) -> Iterator[Any]:
        todo = random.Random(seed).sample(todo, len(todo))
        assert todo != sorted(todo)
        return ordered(grading, todo)

    return tasks


@pytest.mark.timeout(900)
def test_three_gradings_from_nothing(
    pristine: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[dict[str, Any]] = []
    outcomes: list[Any] = []
    for number, workers in enumerate((1, 2, 2)):
        course = copy_of(pristine, tmp_path / f"course-{number}")
        assert not (course.cache / "results").exists()
        if number:
            monkeypatch.setattr(Grading, "tasks", shuffle(number))
        run = graded(course, workers)
        assert run.fresh == 12
        outcomes.append([outcome.to_dict() for outcome in run.outcomes])
        found.append(everything(course))
        monkeypatch.undo()
    scores = {o["student"]: o["score"] for o in outcomes[0]}
    full = outcomes[0][0]["max_score"]
    assert scores["sample-perfect"] == scores["sample-noisy"] == full
    assert scores["sample-untouched"] == 0
    assert len(set(scores.values())) >= 5, "the class is a mixed one"
    assert {o["status"] for o in outcomes[0]} <= {GRADED, ATTENTION}
    assert len([name for name in found[0] if name.endswith("_torch.html")]) == 12
    for other in found[1:]:
        assert differing(other, found[0]) == {}
    assert outcomes[1:] == outcomes[:1] * 2
