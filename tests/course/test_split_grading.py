"""Grading across two processes gives what it gives within one: same points, same name, same hint.

The candidates run in another process, where only plain data, tensors and handles reach them; every
mistake must still be caught and named, and every alternative must still earn full points. (That
process is not confined here, because it must hold the mistakes, which the sandbox hides.)
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nnlib.checks import grade
from nnlib.checks.diagnose import candidate
from nnlib.contract import find
from nnlib.mistakes import Mistake
from tests.course.test_exercises import ALTERNATIVES, MISTAKES, ROOT

MAKE = """
from nnlib.checks.diagnose import candidate as _make
from nnlib.contract import find as _find
from nnlib.mistakes import for_exercise as _known
candidate = _make(
    next(m for m in _known({exercise!r}, {track!r}) if m.name == {name!r}),
    _find({exercise!r}), {track!r})
"""


@pytest.fixture(scope="module")
def student() -> Iterator[Any]:
    """A student's side that holds the whole library."""
    from autograder import wire_errors
    from autograder.bounds import Bounds
    from autograder.engine import PlainProcess, known_exceptions
    from autograder.student_side import StudentSide

    wire_errors.KNOWN_EXCEPTIONS.update(known_exceptions())
    bounds = Bounds(notebook_seconds=3600.0, cell_seconds=120.0)
    side = StudentSide(lambda: PlainProcess(ROOT, {}), bounds)
    yield side
    side.end()


def define(side: Any, source: str) -> Any:
    """Run a cell on the student's side; returns the proxy of its `candidate`."""
    status, outputs = side.run(source)
    assert status == "", outputs
    return side.names(["candidate"])["candidate"]


@pytest.mark.parametrize(("mistake", "track"), MISTAKES)
def test_a_mistake_is_judged_as_in_one_process(mistake: Mistake, track: str, student: Any) -> None:
    operation = find(mistake.exercise)
    here = grade(mistake.exercise, candidate(mistake, operation, track), track=track)
    proxy = define(student, MAKE.format(exercise=mistake.exercise, track=track,
                                        name=mistake.name))  # fmt: skip
    there = grade(mistake.exercise, proxy, track=track)
    student.forget()
    assert (there.points_fraction, there.mistake, there.hint) == (
        here.points_fraction, here.mistake, here.hint), f"{here}\n\n{there}"  # fmt: skip


@pytest.mark.parametrize(("name", "track", "key"), ALTERNATIVES)
def test_an_alternative_scores_full_across_processes(
    name: str, track: str, key: str, student: Any
) -> None:
    chapter = find(name).chapter
    source = Path(ROOT, "solutions", chapter, "alternatives.py").read_text(encoding="utf-8")
    is_value = getattr(find(name), "kind", "") == "value"
    proxy = define(student, f"{source}\ncandidate = {key}{'()' if is_value else ''}\n")
    report = grade(name, proxy, track=track)
    student.forget()
    assert report.points_fraction == 1.0, str(report)
