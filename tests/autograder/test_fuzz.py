"""Three hundred damaged notebooks in one run: each ends in an outcome, none harms another's."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fuzz
import pytest
from conftest import REPOSITORY
from robust import Ended, launch

from autograder.course import Course
from autograder.nbgrader_bridge import course_directory, gradebook
from autograder.outcomes import ATTENTION, GRADED
from autograder.release import release
from autograder.sample_class import load_sheets
from autograder.sandbox import available
from autograder.submission import name_trouble, shown

pytestmark = [
    pytest.mark.xdist_group("grading"),
    pytest.mark.skipif(bool(available()), reason="student code can't be confined here"),
]

COUNT = int(os.environ.get("NNCOURSE_FUZZED", "300"))
SEED = int(os.environ.get("NNCOURSE_FUZZ_SEED", "4"))
HONEST = 12
ASSIGNMENT, FILE = "00-start-here", "start_here_numpy.ipynb"
LIMITS = """
c.ConfinedExecute.cell_seconds = 4
c.ConfinedExecute.call_seconds = 4
c.ConfinedExecute.notebook_seconds = 25
"""
# What a person who doesn't write Python can't read.
INTERNAL = re.compile(
    r"Traceback|\b(Key|Type|Attribute|Index|Name|Value|Assertion|Recursion|Unicode\w*|OS|Runtime)"
    r"Error\b|object has no|not subscriptable|indices must be|grading failed"
    r"|grader failed|grader's process|could not be recorded|0x[0-9a-f]{6}"
)


@dataclass
class Fuzzed:
    """A graded class of damaged notebooks."""

    course: Course
    students: list[str]
    honest: list[str]
    ended: Ended
    outcomes: dict[str, dict[str, Any]]


def real_course(root: Path) -> Course:
    """A course with one notebook of this repository's."""
    folder = root / "solutions" / ASSIGNMENT
    folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / "nbgrader_config.py", root)
    shutil.copy(REPOSITORY / "solutions" / ASSIGNMENT / FILE.replace(".ipynb", ".md"), folder)
    course = Course(root)
    release(course, [ASSIGNMENT])
    return course


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Fuzzed:
    """Grade all of it, in one run of the command."""
    course = real_course(tmp_path_factory.mktemp("fuzz") / "course")
    with (course.root / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write(LIMITS)
    release(course, [ASSIGNMENT])
    sheet = load_sheets(course, ASSIGNMENT)[0]
    solved = json.loads(sheet.fill(sheet.solved))
    rng = random.Random(SEED)
    students = fuzz.write(rng, solved, course.submitted, ASSIGNMENT, FILE, COUNT)
    honest = [f"{number * COUNT // HONEST:03d}-a-honest" for number in range(HONEST)]
    for student in honest:
        folder = course.submitted / student / ASSIGNMENT
        folder.mkdir(parents=True)
        (folder / FILE).write_text(json.dumps(solved), encoding="utf-8")
    ended = launch(course, ASSIGNMENT, "--workers", "2")
    path = course.reports / f"{ASSIGNMENT}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["students"] if path.is_file() else []
    return Fuzzed(course, students, honest, ended, {row["student"]: row for row in rows})


@pytest.mark.timeout(600)
def test_the_run_ends_well(fuzzed: Fuzzed) -> None:
    assert fuzzed.ended.code == 0, fuzzed.ended.output[-3000:]
    assert "Traceback" not in fuzzed.ended.output
    assert not fuzzed.ended.left
    log = fuzzed.course.cache / "logs" / "engine.log"
    assert "Traceback" not in (log.read_text("utf-8") if log.is_file() else "")


def test_everyone_has_an_outcome(fuzzed: Fuzzed) -> None:
    assert len(fuzzed.students) == COUNT == len(set(fuzzed.students))
    assert set(fuzzed.outcomes) == {shown(s) for s in [*fuzzed.students, *fuzzed.honest]}
    for name, row in fuzzed.outcomes.items():
        assert row["status"] in (GRADED, ATTENTION), name
        assert 0 <= row["score"] <= row["max_score"], name
        assert bool(row["reasons"]) == (row["status"] == ATTENTION), name


def test_reasons_are_for_people(fuzzed: Fuzzed) -> None:
    for name, row in fuzzed.outcomes.items():
        for sentence in [*row["reasons"], *row["notes"]]:
            # "no verdict, NameError: …" tells which error of the student's own it was.
            assert "no verdict" in sentence or not INTERNAL.search(sentence), (name, sentence)
            assert 15 < len(sentence) < 400, (name, sentence)
            assert sentence.isprintable(), (name, sentence)


def test_honest_submissions_keep_full_points(fuzzed: Fuzzed) -> None:
    for name in fuzzed.honest:
        row = fuzzed.outcomes[name]
        assert row["score"] == row["max_score"] > 0
        assert (row["status"], row["reasons"]) == (GRADED, [])


def test_the_gradebook_and_the_pages_say_the_same(fuzzed: Fuzzed) -> None:
    course = fuzzed.course
    with gradebook(course_directory(course, ASSIGNMENT)) as book:
        scores = {s.student.id: s.score for s in book.find_assignment(ASSIGNMENT).submissions}
    named = {s for s in [*fuzzed.students, *fuzzed.honest] if not name_trouble(s)}
    assert scores.keys() == named
    for student in named:
        row = fuzzed.outcomes[shown(student)]
        assert scores[student] == row["score"], student
        assert row["feedback"], student
        for page in row["feedback"]:
            assert (course.root / page).is_file(), page


def test_the_class_was_as_bad_as_it_should_be(fuzzed: Fuzzed) -> None:
    rows = [fuzzed.outcomes[shown(s)] for s in fuzzed.students]
    counts = Counter((row["status"], row["score"] == row["max_score"]) for row in rows)
    assert counts[ATTENTION, False] > COUNT / 5
    assert counts[GRADED, True] > COUNT / 10
    assert counts[GRADED, False] > COUNT / 30
    reasons = {re.sub(r"[\d\W_]+", " ", r)[:60] for row in rows for r in row["reasons"]}
    assert len(reasons) >= 20, "they are damaged in many ways"
