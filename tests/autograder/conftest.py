"""A tiny course in a temporary directory: real nbgrader, real kernels, a fake check library."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.course import Course

REPOSITORY = Path(__file__).resolve().parents[2]

# Stands in for nnlib: one exercise, right or wrong, and the value of a cell on demand.
FAKE_CHECKS = '''
import sys


def verdict(impl):
    try:
        return bool(impl(3) == 6)
    except Exception:
        return False


def check(name, impl, *, track="numpy"):
    print(f"{name}: {'pass' if verdict(impl) else 'FAIL'}")
    if not verdict(impl):
        print("Hint: double means times two")


def score(name, impl, *, points, track="numpy"):
    check(name, impl)
    value = impl if not callable(impl) else (float(points) if verdict(impl) else 0.0)
    if name == "answer_size":
        return float(points) if impl == "b" else 0.0
    if name == "noisy":
        print("a warning", file=sys.stderr)
        return float(points)
    return value
'''

DOUBLE = '''
# Doubling

The smallest exercise.

```{code-cell} ipython3
---
nn: {role: setup, id: setup}
---
from nnlib.checks import check, score
```

```{code-cell} ipython3
---
nn: {role: solution, id: double}
---
def double(x):
    """Return twice x."""
    ### BEGIN SOLUTION
    twice_of_it = x + x + 0
    return twice_of_it
    ### END SOLUTION
```

```{code-cell} ipython3
---
nn: {role: check, id: check_double}
---
check("double", double)
```

```{code-cell} ipython3
---
nn: {role: graded, id: score_double, points: 3}
---
score("double", double, points=3)
```

Which size?

```{code-cell} ipython3
---
nn: {role: solution, id: answer_size, stub: "answer_size = None"}
---
### BEGIN SOLUTION
answer_size = "b"
### END SOLUTION
```

```{code-cell} ipython3
---
nn: {role: graded, id: score_answer_size, points: 1}
---
score("answer_size", answer_size, points=1)
```
'''

TRIPLE = '''
# Another assignment

```{code-cell} ipython3
---
nn: {role: solution, id: triple}
---
def triple(x):
    ### BEGIN SOLUTION
    return x * 3
    ### END SOLUTION
```

```{code-cell} ipython3
---
nn: {role: setup, id: setup_triple}
---
from nnlib.checks import check, score
```

```{code-cell} ipython3
---
nn: {role: graded, id: score_triple, points: 2}
---
score("triple", triple, points=2)
```
'''

HEADER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""


def write_source(course: Course, assignment: str, name: str, body: str) -> Path:
    """Write one MyST instructor notebook."""
    path = course.solutions / assignment / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + body, encoding="utf-8")
    return path


def make_course(root: Path) -> Course:
    """Make a course with two tiny assignments."""
    (root / "nnlib").mkdir(parents=True)
    (root / "nnlib" / "__init__.py").write_text("", encoding="utf-8")
    (root / "nnlib" / "checks.py").write_text(FAKE_CHECKS, encoding="utf-8")
    shutil.copy(REPOSITORY / "nbgrader_config.py", root / "nbgrader_config.py")
    course = Course(root)
    write_source(course, "01-double", "double_numpy", DOUBLE)
    write_source(course, "02-triple", "triple_numpy", TRIPLE)
    return course


@pytest.fixture(scope="session", autouse=True)
def _one_alembic_call() -> Iterator[None]:
    """Ask alembic for its version once: it costs seconds for each new gradebook."""
    import functools

    from nbgrader import api

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "get_alembic_version", functools.cache(api.get_alembic_version))
        yield


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A fresh course, nothing released."""
    return make_course(tmp_path / "course")


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course with both assignments released; tests add students of their own to it."""
    from autograder.release import release

    course = make_course(tmp_path_factory.mktemp("released") / "course")
    # Endless loops must not make the tests wait.
    with (course.root / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write("\nc.ConfinedExecute.cell_seconds = 3\nc.ConfinedExecute.call_seconds = 3\n")
    release(course, course.assignments())
    return course


@pytest.fixture
def notebook(released: Course) -> Callable[[], dict[str, Any]]:
    """The released notebook of the first assignment, as data."""

    def load() -> dict[str, Any]:
        path = released.exercises / "01-double" / "double_numpy.ipynb"
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return data

    return load


def set_cell(notebook: dict[str, Any], grade_id: str, source: str) -> None:
    """Replace the source of the cell with that id."""
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id:
            cell["source"] = source
            return
    raise KeyError(grade_id)


def submit(
    course: Course, student: str, content: str | bytes | dict[str, Any],
    assignment: str = "01-double", name: str = "double_numpy.ipynb",
) -> Path:  # fmt: skip
    """Put a file into a student's submission."""
    path = course.submitted / student / assignment / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, dict):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


@pytest.fixture(autouse=True)
def _no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNCOURSE_SECRET", raising=False)
