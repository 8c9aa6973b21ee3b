"""What students and instructors run beside grading: check, doctor, the sample class."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import make_course, set_cell, write_source

from autograder import doctor, edits, sample_class
from autograder.cli import main
from autograder.course import Course
from autograder.errors import CourseError
from autograder.release import release
from autograder.studentcheck import check_notebook

ALTERNATIVES = '''
"""Valid alternatives."""

import numpy as np

_TWO = 2


def _times(x):
    return _TWO * x


def double__helper(x):
    """By a helper."""
    return _times(x)


def double__sum(x):
    return sum([x, x])


def double__torch__add(x):
    return x + x


def _unused():
    return None
'''


@pytest.fixture
def filled(
    released: Course, tmp_path: Path, notebook: Callable[[], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Path]:  # fmt: skip
    """Write a notebook with one answer for `nncourse check`."""
    monkeypatch.setenv("PYTHONPATH", str(released.root))

    def write(double: str) -> Path:
        data = notebook()
        set_cell(data, "double", double)
        set_cell(data, "answer_size", 'answer_size = "b"')
        path = tmp_path / "double_numpy.ipynb"
        path.write_text(json.dumps(data), encoding="utf-8")
        return path

    return write


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("double", "fine", "words"),
    [
        ("def double(x): return x + x", True, "4 of 4 points"),
        ("def double(x): return x", False, "Hint: double means times two"),
        ("def double(x: return", False, "SyntaxError"),
        ("import os; os._exit(1)", False, "the kernel died in cell double"),
    ],
)
def test_check_shows_verdicts(
    filled: Callable[..., Path], double: str, fine: bool, words: str
) -> None:
    lines: list[str] = []
    assert check_notebook(filled(double), say=lines.append) is fine
    assert words in "\n".join(lines)


def test_check_explains_a_file_that_is_no_notebook(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text('{"cells": [1,}', encoding="utf-8")
    result = CliRunner().invoke(main, ["check", str(path)])
    assert result.exit_code == 2
    assert "not valid JSON at line 1" in result.output
    with pytest.raises(CourseError, match="There is no file"):
        check_notebook(tmp_path / "nowhere.ipynb")


def test_doctor_finds_what_is_here(released: Course) -> None:
    findings = {f.what: f for f in doctor.examine(released)}
    assert findings["numpy"].found
    assert findings["Python >= 3.11"].found
    assert findings["gradebook writable"].found.endswith("gradebook.db")
    assert findings["exercises"].found
    assert not findings["course secret"].found
    assert all(f.found or f.how for f in findings.values())


def test_doctor_fails_when_something_required_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        doctor, "PACKAGES", (("absent", "absent_module", doctor.STUDENT, "learn", True),)
    )
    assert doctor.show(doctor.examine(None)) is False
    assert "Student work needs: absent." in capsys.readouterr().out


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    for command in ("check", "doctor", "release", "sample-class", "grade", "export"):
        assert f"  {command} " in result.output


def test_importing_the_package_is_cheap() -> None:
    code = (
        "import sys, autograder.cli; "
        "print([m for m in ('nbgrader', 'nbformat', 'numpy', 'jupytext', 'rich', 'torch') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_alternatives_come_with_their_helpers(tmp_path: Path) -> None:
    path = tmp_path / "alternatives.py"
    path.write_text(ALTERNATIVES, encoding="utf-8")
    found = edits.read_alternatives(path)
    assert [(a.exercise, a.track, a.name) for a in found] == [
        ("double", "numpy", "double__helper"),
        ("double", "numpy", "double__sum"),
        ("double", "torch", "double__torch__add"),
    ]
    space: dict[str, Any] = {}
    exec(found[0].source, space)
    assert space["double"](21) == 42
    assert "_unused" not in found[0].source


def test_edits_keep_the_rest_of_a_cell() -> None:
    cell = "import math\n\ndef f(x):\n    '''Doc.'''\n    return x\n\ny = 1"
    swapped = edits.replace_definition(cell, "f", "def f(x):\n    return 2 * x\n")
    assert swapped == "import math\n\ndef f(x):\n    return 2 * x\n\ny = 1"
    assert edits.replace_body(cell, "f", "while True:\n    pass").count("    while True:") == 1
    assert "'''Doc.'''\n    print(1)\n    return x" in edits.prepend_to_body(cell, "f", "print(1)")


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course with a sample class of its own."""
    course = make_course(tmp_path_factory.mktemp("classroom") / "course")
    path = course.solutions / "01-double" / "alternatives.py"
    path.write_text(ALTERNATIVES, encoding="utf-8")
    write_source(course, "01-double", "second_numpy", (
        course.solutions / "02-triple" / "triple_numpy.md"
    ).read_text(encoding="utf-8").split("---\n", 2)[2])  # fmt: skip
    release(course, ["01-double"])
    return course


def test_the_sample_class(classroom: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = [f"def double(x):\n    return {k} * x" for k in (3, 4, 5, 6)]
    monkeypatch.setattr(
        sample_class, "_mistakes", lambda name, track: wrong if name == "double" else []
    )
    made = sample_class.write_class(classroom, "01-double")
    assert len(made.students) >= 10
    assert not made.reused
    sources = {}
    for name in made.students:
        folder = classroom.submitted / name / "01-double"
        assert {p.name for p in folder.iterdir()} == {"double_numpy.ipynb", "second_numpy.ipynb"}
        data = json.loads((folder / "double_numpy.ipynb").read_text(encoding="utf-8"))
        sources[name.removeprefix("sample-")] = next(
            "".join(c["source"]) for c in data["cells"] if c["id"] == "double"
        )
    assert "twice_of_it" in sources["perfect"]
    assert "SOLUTION" not in sources["perfect"]
    assert "_times" in sources["alternative-1"]
    assert "sum([x, x])" in sources["alternative-2"]
    assert [sources[f"mistaken-{k}"][-5] for k in (1, 2, 3, 4)] == ["3", "4", "5", "6"]
    assert sources["untouched"].endswith("raise NotImplementedError")
    assert "while True" in sources["endless-loop"]
    assert "sys.stderr" in sources["noisy"]
    with pytest.raises(SyntaxError):
        compile(sources["syntax-error"], "cell", "exec")
    assert sample_class.write_class(classroom, "01-double").reused
    path = classroom.submitted / "sample-perfect" / "01-double" / "double_numpy.ipynb"
    before = path.read_bytes()
    path.unlink()
    stale = classroom.submitted / "sample-gone" / "01-double"
    stale.mkdir(parents=True)
    assert not sample_class.write_class(classroom, "01-double").reused
    assert path.read_bytes() == before
    assert not stale.exists()
