"""nbgrader's scoring traps, each through a real ``nbgrader autograde`` from the shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import set_cell, submit, write_source

from autograder.course import Course
from autograder.nbgrader_bridge import course_directory, gradebook
from autograder.release import release
from autograder.verdicts import enforce_verdicts, hints, parse_verdict

pytestmark = pytest.mark.xdist_group("grading")

# What score() would return (its double hands plain values through) -> points that it must earn.
TRAPS = {
    "false": ("double = False", 0.0),
    "true": ("double = True", 0.0),
    "nan": ('double = float("nan")', 0.0),
    "infinite": ('double = float("inf")', 0.0),
    "negative": ("double = -1.0", 0.0),
    "negative-int": ("double = -1", 0.0),
    "nothing": ("double = None", 0.0),
    "text": ('double = "3.0"', 0.0),
    "numpy": ("import numpy\ndouble = numpy.float64(0.5)", 0.0),
    "tensor": (
        "class Tensor:\n    def __repr__(self):\n        return 'tensor(1.)'\ndouble = Tensor()",
        0.0,
    ),
    "too-much": ("double = 3.5", 0.0),
    "partial": ("double = 1.5", 1.5),
    "stderr": (
        "import sys\ndef double(x):\n    print('a warning', file=sys.stderr)\n    return 2 * x",
        3.0,
    ),
    "stderr-wrong": (
        "import sys\ndef double(x):\n    print('3.0', file=sys.stderr)\n    return x",
        0.0,
    ),
}



CELLS = """
```{{code-cell}} ipython3
---
nn: {{role: solution, id: "{name}", stub: "double = None"}}
---
### BEGIN SOLUTION
double = None
### END SOLUTION
```

```{{code-cell}} ipython3
---
nn: {{role: graded, id: "score_{name}", points: 3}}
---
score("{name}", double, points=3)
```
"""
SETUP = """
```{code-cell} ipython3
---
nn: {role: setup, id: setup}
---
from nnlib.checks import check, score
```
"""


@pytest.fixture(scope="module")
def scores(released: Course) -> dict[str, float]:
    """Grade a notebook of traps with the stock command; trap -> points."""
    body = SETUP + "\n".join(CELLS.format(name=name) for name in TRAPS)
    write_source(released, "03-traps", "traps_numpy", body)
    release(released, ["03-traps"])
    path = released.exercises / "03-traps" / "traps_numpy.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for name, (source, _) in TRAPS.items():
        set_cell(notebook, name, source)
    submit(released, "trapper", notebook, "03-traps", "traps_numpy.ipynb")
    done = stock(released, "autograde", "03-traps", "--student=trapper")
    assert done.returncode == 0, done.stderr
    with gradebook(course_directory(released, "03-traps")) as book:
        return {
            name: book.find_grade(
                f"score_{name}", "traps_numpy", "03-traps", "trapper"
            ).auto_score
            for name in TRAPS
        }


def stock(course: Course, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run nbgrader's own command in the course's root."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "nbgrader"), *arguments], cwd=course.root,
        env={**os.environ, "PYTHONPATH": str(course.root)}, capture_output=True, text=True,
        encoding="utf-8",
    )  # fmt: skip


@pytest.mark.kernel
@pytest.mark.parametrize("name", TRAPS)
def test_trap(scores: dict[str, float], name: str) -> None:
    assert scores[name] == TRAPS[name][1]


@pytest.mark.kernel
def test_stock_feedback_and_validate_work_from_the_root(
    scores: dict[str, float], released: Course
) -> None:
    done = stock(released, "generate_feedback", "03-traps", "--student=trapper")
    assert done.returncode == 0, done.stderr
    page = released.feedback / "trapper" / "03-traps" / "traps_numpy.html"
    assert "not a finite float from 0 to 3" in page.read_text(encoding="utf-8")
    source = released.source / "01-double" / "double_numpy.ipynb"
    done = stock(released, "validate", str(source))
    assert "Success" in done.stdout, done.stdout + done.stderr


def graded_cell(source: str, outputs: list[dict[str, Any]], points: float = 3) -> Any:
    meta = {"grade": True, "solution": False, "locked": True, "grade_id": "score_x",
            "points": points, "schema_version": 3, "task": False}  # fmt: skip
    cell = nbformat.v4.new_code_cell(source, metadata={"nbgrader": meta})
    cell.outputs = [nbformat.from_dict(output) for output in outputs]
    return cell


def value(text: str) -> dict[str, Any]:
    return {"output_type": "execute_result", "execution_count": 1, "metadata": {},
            "data": {"text/plain": text}}  # fmt: skip


ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}
SCORE = 'score("x", x, points=3)'


def nbgrader_grade(cell: Any) -> float:
    from nbgrader.utils import determine_grade

    return float(determine_grade(cell)[0] or 0.0)


@pytest.mark.parametrize("text", ["False", "nan", "-1", "tensor(1.)", "np.float64(0.5)"])
def test_the_traps_are_real_without_enforcement(text: str) -> None:
    cell = graded_cell(SCORE, [value(text)])
    assert nbgrader_grade(cell) == 3
    enforce_verdicts([cell], {0}, "")
    assert nbgrader_grade(cell) == 0


@pytest.mark.parametrize(
    ("source", "outputs", "executed", "score"),
    [
        (SCORE, [value("2.0"), ERROR], True, 0.0),
        (SCORE, [value("2.0"), value("3.0")], True, 0.0),
        (SCORE, [], True, 0.0),
        (SCORE, [value("2.0")], False, 0.0),
        (SCORE, [value("1e-05")], True, 1e-05),
        ("assert x", [], True, 3.0),
        ("assert x", [], False, 0.0),
        ("assert x", [ERROR], True, 0.0),
        ("quality(x)", [value("2.0")], True, 2.0),
        ("quality(x)", [value("4.0")], True, 0.0),
        ("", [], False, 0.0),
    ],
)
def test_every_graded_cell_ends_with_what_it_earned(
    source: str, outputs: list[dict[str, Any]], executed: bool, score: float
) -> None:
    cell = graded_cell(source, outputs)
    enforce_verdicts([cell], {0} if executed else set(), "the kernel died in cell x")
    assert nbgrader_grade(cell) == score


@pytest.mark.parametrize("text", ["1", "1.0 ", "0.0", "3.0"])
def test_what_counts_as_a_verdict(text: str) -> None:
    assert (parse_verdict(text, 3)[0] is None) == (text == "1")


def test_hints_over_several_lines_become_one() -> None:
    text = (
        "one_hot: 0 of 4 properties right\n  FAIL  values\nHint: Your result is the\ntranspose.\n"
        "Reread: chapter 0\nScore: 0 of 2 points\n"
    )
    outputs = [{"output_type": "stream", "name": "stdout", "text": text}]
    assert hints(graded_cell(SCORE, outputs)) == ["Your result is the transpose."]
    outputs[0]["text"] = "Hint: a last line"
    assert hints(graded_cell(SCORE, outputs)) == ["a last line"]


def test_a_deleted_kernel_is_named(notebook: Callable[[], dict[str, Any]]) -> None:
    cell = graded_cell(SCORE, [])
    sentences = enforce_verdicts([cell], set(), "the kernel died in cell 4")
    assert sentences == [
        "cell score_x: no verdict, the cell was never executed because the kernel died in cell 4; "
        "scored 0"
    ]
