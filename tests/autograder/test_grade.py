"""A whole class through real kernels and nbgrader: whatever one hands in, all get a result."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import set_cell, submit

from autograder import executed
from autograder.cli import main
from autograder.course import Course
from autograder.errors import CourseError
from autograder.grade import ClassRun, grade, grader_hash, one_at_a_time
from autograder.job import Job
from autograder.nbgrader_bridge import course_directory, gradebook
from autograder.outcomes import ATTENTION, GRADED, Outcome
from autograder.plan import make_plan
from autograder.report import write_reports

# One worker of a parallel test run grades the class, all others leave it alone.
pytestmark = [pytest.mark.kernel, pytest.mark.xdist_group("grading")]

JOB_TO_DICT = Job.to_dict
RIGHT = "def double(x):\n    return 2 * x"
ANSWER = 'answer_size = "b"'
STUBBORN = """
while True:
    try:
        while True:
            pass
    except KeyboardInterrupt:
        pass
"""


def solve(notebook: dict[str, Any], double: str = RIGHT) -> dict[str, Any]:
    set_cell(notebook, "double", double)
    set_cell(notebook, "answer_size", ANSWER)
    return notebook


def without(notebook: dict[str, Any], identifier: str) -> dict[str, Any]:
    notebook["cells"] = [c for c in notebook["cells"] if c["id"] != identifier]
    return notebook


def cell(notebook: dict[str, Any], identifier: str) -> dict[str, Any]:
    return next(c for c in notebook["cells"] if c["id"] == identifier)


@pytest.fixture(scope="session")
def graded(released: Course) -> ClassRun:
    """Grade one class that holds every kind of submission."""

    def fresh(assignment: str = "01-double", name: str = "double_numpy") -> dict[str, Any]:
        path = released.exercises / assignment / f"{name}.ipynb"
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return data

    submit(released, "good", solve(fresh()))
    submit(released, "untouched", fresh())
    (released.submitted / "missing" / "01-double").mkdir(parents=True)
    text = json.dumps(solve(fresh()), indent=1)
    submit(released, "broken", text.replace('"cell_type": "code",', '"cell_type": code,', 1))
    submit(released, "cut", text[: len(text) // 2])
    submit(released, "deleted", without(solve(fresh()), "score_double"))
    twice = solve(fresh())
    twice["cells"].append(dict(cell(twice, "score_double"), id="copy", source="3.0"))
    submit(released, "copied", twice)
    submit(released, "other", fresh("02-triple", "triple_numpy"))
    submit(released, "latin", text.replace("Doubling", "Doübling").encode("latin-1"))
    submit(released, "page", "<!DOCTYPE html><html></html>")
    submit(released, "renamed", solve(fresh()), name="double_numpy (1).ipynb")
    submit(released, "extra", solve(fresh()))
    submit(released, "extra", "raise SystemExit\n", name="nnlib.py")
    submit(released, "dead", solve(fresh(), RIGHT + "\n\nimport os\nos._exit(1)"))
    submit(released, "loop", solve(fresh(), "while True:\n    pass"))
    submit(released, "stubborn", solve(fresh(), STUBBORN))
    submit(released, "syntax", solve(fresh(), "def double(x:\n    return 2 * x"))
    damaged = solve(fresh(), "def double(x):\n    return 3 * x")
    cell(damaged, "score_double")["metadata"]["nbgrader"].update(grade=False, points=99)
    cell(damaged, "score_answer_size")["metadata"]["nbgrader"] |= {"solution": True}
    cell(damaged, "check_double")["metadata"]["nbgrader"] = {"grade_id": "unheard_of"}
    cell(damaged, "score_answer_size")["metadata"]["tags"] = ["skip-execution"]
    cell(damaged, "score_double")["source"] = "3.0"
    submit(released, "damaged", damaged)
    return grade(released, ["01-double"], workers=2)[0]


@pytest.fixture
def of(graded: ClassRun) -> Callable[[str], Outcome]:
    """Look a student's outcome up."""
    return lambda name: next(o for o in graded.outcomes if o.student == name)


@pytest.mark.parametrize(
    ("student", "score", "words"),
    [
        ("missing", 0, "double_numpy.ipynb is missing"),
        ("broken", 0, "notebook is not valid JSON at line "),
        ("cut", 0, "the upload was cut off"),
        ("deleted", 1, "cell score_double was deleted: scored 0"),
        ("copied", 4, "two cells share grade_id score_double: the first one counts"),
        ("other", 0, "is the notebook triple_numpy of assignment 02-triple"),
        ("latin", 0, "is not UTF-8 text (line "),
        ("page", 0, "is a web page, not a notebook"),
        ("dead", 1, "ended by itself with status 1 (in cell double)"),
        ("loop", 1, "timeout in cell double: endless loop? Stopped after 3 s"),
        ("stubborn", 1, "timeout in cell double: endless loop?"),
    ],
)
def test_each_bad_submission_needs_attention_in_words(
    of: Callable[[str], Outcome], student: str, score: float, words: str
) -> None:
    outcome = of(student)
    assert outcome.status == ATTENTION
    assert any(words in reason for reason in outcome.reasons), outcome.reasons
    assert (outcome.score, outcome.max_score) == (score, 4)


@pytest.mark.parametrize(
    ("student", "score"),
    [("good", 4), ("untouched", 0), ("renamed", 4), ("extra", 4), ("syntax", 1), ("damaged", 1)],
)  # fmt: skip
def test_the_run_completes_for_everyone_else(
    of: Callable[[str], Outcome], student: str, score: float
) -> None:
    outcome = of(student)
    assert (outcome.status, outcome.score, outcome.max_score) == (GRADED, score, 4)


def test_notes_say_what_is_good_to_know(of: Callable[[str], Outcome]) -> None:
    assert any("nnlib.py is not part" in note for note in of("extra").notes)
    assert any("(1).ipynb was graded as double_numpy.ipynb" in note for note in of("renamed").notes)


def test_a_cell_that_ended_its_process_says_so(graded: ClassRun, released: Course) -> None:
    path = released.autograded / "dead" / "01-double" / "double_numpy.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert "ended by itself with status 1" in cell(notebook, "double")["outputs"][-1]["evalue"]
    assert cell(notebook, "score_double")["outputs"][0]["output_type"] == "error"


def test_the_gradebook_says_the_same(graded: ClassRun, released: Course) -> None:
    with gradebook(course_directory(released, "01-double")) as book:
        for outcome in graded.outcomes:
            record = book.find_submission("01-double", outcome.student)
            assert record.score == outcome.score, outcome.student
            assert not record.needs_manual_grade, outcome.student


def test_feedback_shows_verdicts_and_loads_nothing(graded: ClassRun, released: Course) -> None:
    page = released.feedback / "untouched" / "01-double" / "double_numpy.html"
    text = page.read_text(encoding="utf-8")
    assert "Hint: double means times two" in text
    assert "http-equiv=\"Content-Security-Policy\"" in text
    assert "default-src 'none'" in text
    head = text.split("</head>")[0]
    assert 'src="http' not in head
    assert "cdnjs" not in head
    assert "twice_of_it" not in text
    notice = released.feedback / "broken" / "01-double" / "needs-attention.html"
    assert "not valid JSON" in notice.read_text(encoding="utf-8")


def test_reports(graded: ClassRun, released: Course) -> None:
    page, table, data = write_reports(released, graded)
    rows = {r["student"]: r for r in csv.DictReader(table.read_text("utf-8").splitlines())}
    assert len(rows) >= 17
    assert rows["good"]["score"] == "4"
    assert rows["broken"]["status"] == ATTENTION
    tasks = {t["name"]: t for t in json.loads(data.read_text("utf-8"))["tasks"]}
    assert tasks["score_double"]["full"] == 4
    assert tasks["score_double"]["hints"][0][0]
    text = page.read_text("utf-8")
    assert "double means times two" in text
    assert "../feedback/good/01-double" in text


def test_a_second_run_executes_nothing(
    graded: ClassRun, released: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = released.feedback / "good" / "01-double" / "double_numpy.html"
    before = page.stat().st_mtime_ns
    monkeypatch.setattr(
        "autograder.classrun.Grading._record", lambda *_: pytest.fail("graded again")
    )
    again = grade(released, ["01-double"])[0]
    assert again.fresh == 0
    assert [o.to_dict() for o in again.outcomes] == [o.to_dict() for o in graded.outcomes]
    assert page.stat().st_mtime_ns == before


def test_manual_grades_and_comments_reach_report_and_feedback(
    released: Course, notebook: Callable[[], dict[str, Any]]
) -> None:
    submit(released, "manual", solve(notebook(), "def double(x):\n    return 2 * x + 0"))
    assert grade(released, ["01-double"], students="manual")[0].outcomes[0].score == 4
    with gradebook(course_directory(released, "01-double")) as book:
        where = ("double_numpy", "01-double", "manual")
        book.find_grade("score_double", *where).manual_score = 2.5
        book.find_comment("double", *where).manual_comment = "Nearly there"
        book.db.commit()
    run = grade(released, ["01-double"], students="manual")[0]
    assert (run.fresh, run.outcomes[0].score) == (0, 3.5)
    page = released.feedback / "manual" / "01-double" / "double_numpy.html"
    assert "Nearly there" in page.read_text(encoding="utf-8")


def test_a_changed_submission_is_graded_anew_and_markdown_costs_no_execution(
    released: Course, notebook: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(released, "late", solve(notebook()))
    assert grade(released, ["01-double"], students="late")[0].outcomes[0].score == 4
    # What an execution gave is known by its content, and goes to the engine with the job.
    known: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "autograder.classrun.Job.to_dict",
        lambda job: known.append(dict(job.known)) or JOB_TO_DICT(job),
    )
    changed = solve(notebook())
    changed["cells"][0]["source"] = "# A new title"
    submit(released, "late", changed)
    run = grade(released, ["01-double"], students="late", workers=1)[0]
    assert (run.fresh, run.outcomes[0].score) == (1, 4)
    assert len(known[0]) == 1
    # A resubmission without the graded cell must not keep the earlier score.
    submit(released, "late", without(changed, "score_double"))
    monkeypatch.undo()
    assert grade(released, ["01-double"], students="late", workers=1)[0].outcomes[0].score == 1


def test_what_decides_a_grade_is_in_the_keys(
    released: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keys() -> tuple[str, str]:
        with gradebook(course_directory(released, "01-double")) as book:
            plan = make_plan(released, "01-double", book)
        return executed.environment_hash(released), grader_hash(released, plan)

    before = keys()
    monkeypatch.setenv("NNCOURSE_SECRET", "another")
    after = keys()
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_the_command_prints_grades_and_paths(
    graded: ClassRun, released: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(released.submitted)
    result = CliRunner().invoke(main, ["grade", "01", "--students", "[bg]*"])
    assert result.exit_code == 0, result.output
    for words in ("good", "4/4", "not valid JSON", "reports/01-double.html", "no course secret"):
        assert words in result.output
    empty = CliRunner().invoke(main, ["grade", "02", "--students", "nobody"])
    assert empty.exit_code == 2
    assert "sample-class" in empty.output
    exported = CliRunner().invoke(main, ["export", "01"])
    assert "good,01-double,4,4,no" in exported.output


def test_only_one_run_at_a_time(released: Course) -> None:
    pytest.importorskip("fcntl")
    with one_at_a_time(released), pytest.raises(CourseError, match="Another `nncourse grade`"):
        grade(released, ["01-double"])


def test_a_damaged_timestamp_costs_nothing(
    released: Course, notebook: Callable[[], dict[str, Any]]
) -> None:
    submit(released, "late", solve(notebook()))
    submit(released, "late", "yesterday-ish", name="timestamp.txt")
    outcome = grade(released, ["01-double"], students="late", workers=1)[0].outcomes[0]
    assert outcome.score == 4
    assert "timestamp.txt doesn't hold a time and was ignored" in outcome.notes


def test_a_link_is_not_followed(
    released: Course, notebook: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    target = submit(released, "linked", solve(notebook()))
    elsewhere = tmp_path / "secret.ipynb"
    elsewhere.write_bytes(target.read_bytes())
    target.unlink()
    target.symlink_to(elsewhere)
    outcome = grade(released, ["01-double"], students="linked")[0].outcomes[0]
    assert outcome.score == 0
    assert "is a link" in outcome.reasons[0]
