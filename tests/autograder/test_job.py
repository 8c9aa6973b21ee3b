"""A submission's bytes in, its result out: no database, no disk, every time the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import set_cell
from fake_engine import FakeEngine, Notebook

import autograder
from autograder.course import Course
from autograder.errors import CourseError
from autograder.job import Job, RefusedError, failed, grade_request, run_job
from autograder.nbgrader_bridge import course_directory, gradebook
from autograder.plan import Plan, make_plan, parse_plan
from autograder.result import Result
from autograder.submission import Submission

pytestmark = pytest.mark.xdist_group("grading")

NAME = "double_numpy.ipynb"
RIGHT = "def double(x):\n    return 2 * x"


@pytest.fixture(scope="module")
def plan(released: Course) -> Plan:
    with gradebook(course_directory(released, "01-double")) as book:
        return make_plan(released, "01-double", book)


@pytest.fixture
def grade(
    released: Course, plan: Plan, notebook: Callable[[], dict[str, Any]]
) -> Callable[..., Result]:
    """Grade the released notebook with one answer."""

    def run(double: str = RIGHT, execute: Any = None, **more: Any) -> Result:
        data = notebook()
        set_cell(data, "double", double)
        set_cell(data, "answer_size", 'answer_size = "b"')
        files = more.pop("files", {NAME: json.dumps(data).encode()})
        job = Job(plan.text, plan.key, Submission(files, **more))
        return run_job(job, execute or Notebook(released.root))

    return run


def test_a_right_and_a_wrong_answer(grade: Callable[..., Result]) -> None:
    right, wrong = grade(), grade("def double(x):\n    return x")
    assert (right.status, right.score, right.max_score) == ("graded", 4, 4)
    assert (wrong.status, wrong.score) == ("graded", 1)
    assert [c.name for c in wrong.tasks] == ["score_double", "score_answer_size"]
    task = wrong.tasks[0]
    assert task.hints == ("double means times two",)
    assert "double: FAIL" in task.message
    assert "hint: double means times two" in str(wrong)
    assert "score_double: 0 of 3" in str(wrong)


def test_everything_survives_the_way_through_json(grade: Callable[..., Result], plan: Plan) -> None:
    result = grade()
    assert Result.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert parse_plan(plan.text) == plan
    assert parse_plan(plan.text).key == plan.key
    job = Job(plan.text, plan.key, Submission({"a.ipynb": b"\xff\x00"}, {"b": "c"}, ("d",), "e"))
    again = Job.from_dict(json.loads(json.dumps(job.to_dict())))
    assert (again, again.key) == (job, job.key)


def test_three_gradings_are_the_same_bytes(grade: Callable[..., Result]) -> None:
    texts = {json.dumps(grade().to_dict()) for _ in range(3)}
    assert len(texts) == 1


def test_what_is_known_is_not_executed_again(
    grade: Callable[..., Result], released: Course, plan: Plan,
    notebook: Callable[[], dict[str, Any]],
) -> None:  # fmt: skip
    first = grade().sheets[0]
    known = {first.execution: dict(first.record)}

    def again(change: Callable[[dict[str, Any]], Any], plan: Plan = plan) -> int:
        data = notebook()
        set_cell(data, "double", RIGHT)
        set_cell(data, "answer_size", 'answer_size = "b"')
        change(data)
        execute = Notebook(released.root)
        handed_in = Submission({NAME: json.dumps(data).encode()})
        result = run_job(Job(plan.text, plan.key, handed_in, known), execute)
        assert result.score == 4
        return execute.count

    assert again(lambda data: data["cells"][0].update(source="# A new title")) == 0
    assert again(lambda data: set_cell(data, "double", RIGHT + "\n")) == 1
    for change in ({"secret": "x"}, {"code": "x"}, {"files": {"a.csv": b"1"}},
                   {"bounds": {**plan.bounds, "call_seconds": 3}}):  # fmt: skip
        other = Plan.from_dict({**plan.to_dict(), **json.loads(json.dumps(
            {k: v for k, v in change.items() if k != "files"}))})  # fmt: skip
        if "files" in change:
            other = Plan.from_dict({**plan.to_dict(), "files": {"a.csv": "MQ=="}})
        assert other.key != plan.key
        assert again(lambda data: None, other) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", f"{NAME}: notebook is empty"),
        (b'{"cells": [\n{"cell_type": code}]}', f"{NAME}: notebook is not valid JSON at line 2"),
        (b'{"cells": [', f"{NAME}: notebook is not valid JSON at line 1: it ends there"),
        (b"PK\x03\x04....", "is a zip archive"),
        (b"[1, 2]", "is JSON, but no Jupyter notebook"),
        (b'{"cells": 3}', "no Jupyter notebook"),
        (b'{"cells": [3], "nbformat": 4}', "no. 1 of its cells is no cell"),
        (b'{"cells": ' + b"[" * 100_000, "is "),
        (b'{"x": ' + b"9" * 5000 + b', "cells": []}', "holds a number too long to be read"),
        ("{\"cells\": [], \"a\": \"ü\"}".encode("latin-1"), "is not UTF-8 text"),
    ],
)
def test_what_is_no_notebook_scores_0_with_a_reason(
    grade: Callable[..., Result], content: bytes, words: str
) -> None:
    result = grade(files={NAME: content})
    assert (result.status, result.score, result.max_score) == ("needs attention", 0, 4)
    assert any(words in reason for reason in result.reasons), result.reasons


def test_wording_of_deleted_and_copied_cells(
    grade: Callable[..., Result], notebook: Callable[[], dict[str, Any]]
) -> None:
    data = notebook()
    set_cell(data, "double", RIGHT)
    gone = copy.deepcopy(data)
    gone["cells"] = [c for c in gone["cells"] if c["id"] != "score_double"]
    result = grade(files={NAME: json.dumps(gone).encode()})
    assert "cell score_double was deleted: scored 0" in result.reasons[0]
    assert result.sheets[0].deleted == ("score_double",)
    data["cells"].append(
        next(copy.deepcopy(c) for c in data["cells"] if c["id"] == "score_double")
        | {"id": "copy", "source": "3.0"}
    )
    result = grade(files={NAME: json.dumps(data).encode()})
    assert "two cells share grade_id score_double: the first one counts" in result.reasons[0]
    assert result.tasks[0].score == 3


def test_what_goes_wrong_in_the_grader_is_said_and_scores_0(grade: Callable[..., Result]) -> None:
    def broken(request: dict[str, Any]) -> dict[str, Any]:
        raise ZeroDivisionError("oh")

    result = grade(execute=broken)
    assert result.reasons == (f"{NAME}: grading failed: ZeroDivisionError: oh. Scored 0",)
    assert (result.score, result.max_score) == (0, 4)


@pytest.mark.parametrize(
    ("kind", "serious"),
    [("note", False), ("timeout", True), ("killed", True), ("notebook-timeout", True)],
)
def test_incidents_become_notes_or_reasons(
    grade: Callable[..., Result], released: Course, kind: str, serious: bool
) -> None:
    def execute(request: dict[str, Any]) -> dict[str, Any]:
        record = Notebook(released.root)(request)
        text = "killed: memory limit 2 GiB"
        return {**record, "incidents": [{"kind": kind, "text": text}]}

    result = grade(execute=execute)
    found = result.reasons if serious else result.notes
    assert any("killed: memory limit 2 GiB" in sentence for sentence in found)
    assert (result.status == "needs attention") is serious


def test_a_refusal_is_no_result(grade: Callable[..., Result]) -> None:
    def execute(request: dict[str, Any]) -> dict[str, Any]:
        return {"incidents": [{"kind": "refused", "text": "no sandbox"}]}

    with pytest.raises(RefusedError, match="no sandbox"):
        grade(execute=execute)
    assert issubclass(RefusedError, CourseError)


def test_dangerous_outputs_do_not_reach_the_notebook(grade: Callable[..., Result]) -> None:
    show = '\n\n\n{"mime": {"text/html": "<b onclick=steal()>x</b>", "text/plain": "x"}}'
    result = grade(RIGHT + show)
    assert "steal()" not in "".join(
        json.dumps(c.get("outputs", [])) for c in json.loads(result.sheets[0].text)["cells"]
    )
    assert "<b>x</b>" in result.sheets[0].text
    assert result.score == 4


def test_a_failed_job_has_every_task(plan: Plan) -> None:
    result = failed(plan, "the grader's process died")
    assert (result.score, result.max_score, result.lasting) == (0, 4, False)
    assert result.reasons == ("the grader's process died. Scored 0",)


def test_grading_one_notebook_needs_no_database(
    released: Course, notebook: Callable[[], dict[str, Any]], tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(released.root)
    data = notebook()
    set_cell(data, "double", RIGHT)
    path = tmp_path / "my answer.ipynb"
    path.write_text(json.dumps(data), encoding="utf-8")
    engine = FakeEngine(released.root)
    before = (released.root / "gradebook.db").stat().st_mtime_ns
    source = released.source / "01-double" / NAME
    for assignment in ("01", "01-double", "double_numpy", source):
        result = autograder.grade_notebook(path, assignment, engine=engine)
        assert isinstance(result, autograder.Result)
        assert (result.assignment, result.score, result.max_score) == ("01-double", 3, 4)
    assert (released.root / "gradebook.db").stat().st_mtime_ns == before
    missing = autograder.grade_notebook(tmp_path / "nowhere.ipynb", "01", engine=engine)
    assert "can't be opened" in missing.reasons[0]
    with pytest.raises(CourseError, match="no single assignment"):
        autograder.grade_notebook(path, "09", engine=engine)


def test_a_request_is_answered_with_plain_data(
    released: Course, plan: Plan, notebook: Callable[[], dict[str, Any]]
) -> None:
    job = Job(plan.text, plan.key, Submission({NAME: json.dumps(notebook()).encode()}))
    answer = grade_request({"do": "grade", "job": job.to_dict()}, Notebook(released.root))
    assert json.loads(json.dumps(answer)) == answer
    assert Result.from_dict(answer).score == 0
