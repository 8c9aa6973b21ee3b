"""A kernel that dies before the first cell is the machine's failure, never the student's."""

from pathlib import Path
from typing import Any

import nbformat
import pytest

from autograder.course import Course
from autograder.execute import START_TRIES, CourseExecute

pytestmark = pytest.mark.kernel


def graded_notebook() -> Any:
    cell = nbformat.v4.new_code_cell("def score(*a, **k): return 2.0\nscore('x', None, points=2)")
    cell.metadata["nbgrader"] = {"grade": True, "solution": False, "locked": True, "points": 2,
                                 "grade_id": "score_x", "schema_version": 3, "task": False}
    return nbformat.v4.new_notebook(cells=[cell])


class Flaky(CourseExecute):  # type: ignore[misc]
    """Fails to start a given number of times."""

    failures = 0

    def setup_kernel(self, **kwargs: Any) -> Any:
        if self.failures > 0:
            self.failures -= 1
            raise RuntimeError("Kernel died before replying to kernel_info")
        return super().setup_kernel(**kwargs)


def run(course: Course, failures: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("autograder.execute.time.sleep", lambda seconds: None)
    executor = Flaky(course_root=str(course.root))
    executor.failures = failures
    resources = {"metadata": {"path": str(course.root)}}
    return executor.preprocess(graded_notebook(), resources)[0]


def test_a_second_start_saves_the_grade(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = run(course, START_TRIES - 1, monkeypatch)
    assert notebook.metadata["nncourse"]["incidents"] == []
    assert notebook.cells[0].outputs[-1]["data"]["text/plain"] == "2.0"


def test_when_no_kernel_starts_it_is_said_and_not_kept(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = run(course, START_TRIES, monkeypatch)
    assert "kernel failed" in notebook.metadata["nncourse"]["incidents"][0]["text"]
    assert notebook.cells[0].outputs[-1]["output_type"] == "error"
    kept = list(Path(course.cache).glob("executed/*.json"))
    assert kept == []
    assert run(course, 0, monkeypatch).metadata["nncourse"]["incidents"] == []
