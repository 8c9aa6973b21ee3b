"""A gradebook made by the recorder can't be told from one that stock nbgrader made."""

from __future__ import annotations

import copy
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import make_course, set_cell, write_source
from fake_engine import Notebook
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades

from autograder import executed
from autograder.course import Course
from autograder.feedback import feedback_settings, render_feedback
from autograder.intake import expect, normalise
from autograder.job import Job, run_job
from autograder.nbgrader_bridge import (
    course_directory,
    gradebook,
    load_config,
    quiet_nbgrader,
    run_converter,
)
from autograder.plan import Plan, cleanup_of, make_plan
from autograder.record import Recorder
from autograder.release import release
from autograder.restore import templates_of
from autograder.result import Result
from autograder.sanitize_html import clean_outputs
from autograder.submission import STAMP, Submission
from autograder.verdicts import enforce_verdicts

pytestmark = pytest.mark.xdist_group("grading")

ASSIGNMENT = "01-double"
LATE = """
c.AssignLatePenalties.plugin_class = "nbgrader.plugins.LateSubmissionPlugin"
c.LateSubmissionPlugin.penalty_method = "zero"
"""


class FakeExecute(NbGraderPreprocessor):  # type: ignore[misc]
    """In stock nbgrader's chain, what `run_job` does with its execute function."""

    root = Path()

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        cells = json.loads(json.dumps(nb))["cells"]
        record = Notebook(self.root)({"cells": cells})
        executed.apply(record, nb.cells)
        clean_outputs(nb.cells)
        sentences = enforce_verdicts(nb.cells, set(record["executed"]), record["why_not"])
        nb.metadata["nncourse"] = {"incidents": record["incidents"], "no_verdict": sentences,
                                   "isolation": "split"}  # fmt: skip
        nb.metadata["language_info"] = {"name": "python"}
        return nb, resources


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A released course with two notebooks in one assignment, a hand-graded cell and a deadline."""
    course = make_course(tmp_path_factory.mktemp("record") / "course")
    with (course.root / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write(LATE)
    write_source(course, ASSIGNMENT, "second_numpy", (
        course.solutions / "02-triple" / "triple_numpy.md"
    ).read_text(encoding="utf-8").split("---\n", 2)[2])  # fmt: skip
    release(course, [ASSIGNMENT])
    with gradebook(course_directory(course, ASSIGNMENT)) as book:
        book.update_or_create_assignment(ASSIGNMENT, duedate="2026-01-10 00:00:00 UTC")
    return course


def submissions(course: Course) -> dict[str, dict[str, str]]:
    """A small class: student -> files."""

    def fresh(name: str = "double_numpy") -> Any:
        path = course.exercises / ASSIGNMENT / f"{name}.ipynb"
        return json.loads(path.read_text(encoding="utf-8"))

    def solved(double: str = "def double(x):\n    return 2 * x") -> Any:
        notebook = fresh()
        set_cell(notebook, "double", double)
        set_cell(notebook, "answer_size", 'answer_size = "b"')
        return notebook

    second = fresh("second_numpy")
    set_cell(second, "triple", "def triple(x):\n    return 2 * x")
    deleted = solved()
    deleted["cells"] = [c for c in deleted["cells"] if c["id"] != "score_double"]
    copied = solved()
    copied["cells"] += [copy.deepcopy(c) | {"id": "copy"} for c in copied["cells"]
                        if c["id"] == "score_double"]  # fmt: skip
    noisy = solved('import sys\nprint("x", file=sys.stderr)\ndef double(x):\n    return 2 * x')
    both = {"double_numpy.ipynb": solved(), "second_numpy.ipynb": second}
    classes: dict[str, dict[str, Any]] = {
        "good": both,
        "untouched": {n: fresh(n.removesuffix(".ipynb")) for n in both},
        "one": {"double_numpy.ipynb": solved()},
        "wrong": {**both, "double_numpy.ipynb": solved("def double(x):\n    return x")},
        "broken": {**both, "double_numpy.ipynb": solved("def double(x:")},
        "deleted": {**both, "double_numpy.ipynb": deleted},
        "copied": {**both, "double_numpy.ipynb": copied},
        "noisy": {**both, "double_numpy.ipynb": noisy},
        "late": {**both, STAMP: "2026-01-10 01:00:00 UTC"},
        "early": {**both, STAMP: "2026-01-09 01:00:00 UTC"},
    }
    return {
        student: {n: c if isinstance(c, str) else json.dumps(c) for n, c in files.items()}
        for student, files in classes.items()
    }


def results(course: Course, plan: Plan) -> Iterator[tuple[str, Result]]:
    for student, files in submissions(course).items():
        handed_in = Submission({name: text.encode() for name, text in files.items()})
        yield student, run_job(Job(plan.text, plan.key, handed_in), Notebook(course.root))


def copy_of(course: Course, target: Path) -> Course:
    shutil.copytree(course.root, target)
    return Course(target)


@pytest.fixture(scope="module")
def ours(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The class graded by `run_job` and `Recorder`."""
    mine = copy_of(course, tmp_path_factory.mktemp("ours") / "course")
    with Recorder(mine, ASSIGNMENT) as recorder:
        plan = make_plan(mine, ASSIGNMENT, recorder.book)
        for student, result in results(mine, plan):
            recorder.record(student, result)
            folder = mine.autograded / student / ASSIGNMENT
            folder.mkdir(parents=True)
            for sheet in result.sheets:
                if sheet.text:
                    (folder / f"{sheet.name}.ipynb").write_text(sheet.text, encoding="utf-8")
    return mine


@pytest.fixture(scope="module")
def stock(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The same class graded by nbgrader's own Autograde."""
    theirs = copy_of(course, tmp_path_factory.mktemp("stock") / "course")
    for student, files in submissions(course).items():
        folder = theirs.submitted / student / ASSIGNMENT
        folder.mkdir(parents=True)
        for name, text in files.items():
            if name.endswith(".ipynb"):
                text = nbformat.writes(nbformat.from_dict(normalise(json.loads(text))))
            (folder / name).write_text(text, encoding="utf-8")
    from nbgrader.preprocessors import (
        AssignLatePenalties,
        CheckCellMetadata,
        LimitOutput,
    )

    FakeExecute.root = theirs.root
    chain = [FakeExecute, LimitOutput, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]
    directory = course_directory(theirs, ASSIGNMENT, "*")
    with quiet_nbgrader(theirs):
        run_converter("Autograde", theirs, directory,
                      {"Autograde": {"autograde_preprocessors": chain}})  # fmt: skip
    return theirs


TABLES = ("assignment", "notebook", "base_cell", "grade_cells", "solution_cells", "task_cells",
          "source_cell", "student", "submitted_assignment", "submitted_notebook", "grade",
          "comment", "course", "alembic_version")  # fmt: skip


def dump(course: Course) -> dict[str, list[str]]:
    """Every table, with ids replaced by what they stand for."""
    tables: dict[str, list[dict[str, Any]]] = {}
    with closing(sqlite3.connect(course.root / "gradebook.db")) as base:
        base.row_factory = sqlite3.Row
        found = {r[0] for r in base.execute("select name from sqlite_master where type='table'")}
        assert found == set(TABLES)
        for table in TABLES:
            tables[table] = [dict(r) for r in base.execute(f"select * from {table}")]
    names: dict[str, str] = {}
    for table in TABLES:
        for row in tables[table]:
            if table != "student" and len(str(row.get("id", ""))) == 32:
                label = row.get("name") or row.get("student_id") or ""
                above = [names.get(row.get(k), "") for k in ("assignment_id", "notebook_id",
                                                            "cell_id")]  # fmt: skip
                names.setdefault(row["id"], "/".join([table, *above, str(label)]))
    return {
        table: sorted(
            str({k: names.get(v, v) if isinstance(v, str) else v for k, v in row.items()})
            for row in rows
        )
        for table, rows in tables.items()
    }


def test_all_tables_are_equal(ours: Course, stock: Course) -> None:
    mine, theirs = dump(ours), dump(stock)
    for table in TABLES:
        assert mine[table] == theirs[table], table
    assert len(mine["grade"]) == 10 * 3
    assert any("No response." in row for row in mine["comment"])
    penalties = [row for row in mine["submitted_notebook"] if "'late_submission_penalty': N" in row]
    assert len(penalties) == 10 * 2 - 2, "late loses both notebooks' points"


def test_autograded_notebooks_are_equal(ours: Course, stock: Course) -> None:
    paths = sorted(stock.autograded.glob("*/*/*.ipynb"))
    assert len(paths) == 19
    for path in paths:
        mine = ours.root / path.relative_to(stock.root)
        assert mine.read_text("utf-8") == path.read_text("utf-8"), path


def test_formgrader_and_export_read_both_alike(ours: Course, stock: Course) -> None:
    seen = []
    for course in (ours, stock):
        seen.append([_api(course), _export(course)])
    assert seen[0] == seen[1]
    assert len(seen[0][1]) == 11


def _api(course: Course) -> Any:
    from nbgrader.apps import NbGraderAPI

    api = NbGraderAPI(course_directory(course, ASSIGNMENT, "*"))
    # The order of notebooks follows their random ids; submissions are counted in submitted/.
    drop = ("id", "index", "num_submissions", "timestamp", "display_timestamp")
    rows = [*api.get_submissions(ASSIGNMENT), *api.get_students(), api.get_assignment(ASSIGNMENT)]
    rows += api.get_notebook_submissions(ASSIGNMENT, "double_numpy")
    return sorted(sorted((k, str(v)) for k, v in row.items() if k not in drop) for row in rows)


def _export(course: Course) -> list[str]:
    from nbgrader.plugins import CsvExportPlugin

    target = course.root / "grades.csv"
    plugin = CsvExportPlugin()
    plugin.to = str(target)
    with gradebook(course_directory(course, ASSIGNMENT)) as book:
        plugin.export(book)
    return sorted(target.read_text(encoding="utf-8").splitlines())


def test_grading_again_changes_nothing(ours: Course) -> None:
    before = dump(ours)
    with Recorder(ours, ASSIGNMENT) as recorder:
        plan = make_plan(ours, ASSIGNMENT, recorder.book)
        for student, result in results(ours, plan):
            recorder.record(student, result)
    assert dump(ours) == before


def test_a_failure_in_the_middle_leaves_the_gradebook_as_it_was(
    ours: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(ours)
    with Recorder(ours, ASSIGNMENT) as recorder:
        plan = make_plan(ours, ASSIGNMENT, recorder.book)
        _, result = next(results(ours, plan))
        monkeypatch.setattr(recorder, "_penalise", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            recorder.record("new", result)
        monkeypatch.undo()
        assert dump(ours) == before
        assert recorder.view("new") is None
        recorder.record("good", result)
    assert dump(ours) == before


def test_manual_grades_survive_and_ask_to_be_looked_at(course: Course, tmp_path: Path) -> None:
    mine = copy_of(course, tmp_path / "course")
    with Recorder(mine, ASSIGNMENT) as recorder:
        plan = make_plan(mine, ASSIGNMENT, recorder.book)
        _, result = next(results(mine, plan))
        first = recorder.record("good", result)
        where = ("double_numpy", ASSIGNMENT, "good")
        recorder.book.find_grade("score_double", *where).manual_score = 2.5
        recorder.book.find_comment("double", *where).manual_comment = "Nearly"
        recorder.book.db.commit()
        second = recorder.record("good", result)
    assert (first.score, second.score) == (6, 5.5)
    assert first.state != second.state
    assert second.notebooks["double_numpy"].comments["double"] == "Nearly"
    with gradebook(course_directory(mine, ASSIGNMENT)) as book:
        assert book.find_grade("score_double", *where).needs_manual_grade


def test_another_address_of_a_database_works(course: Course, tmp_path: Path) -> None:
    mine = copy_of(course, tmp_path / "course")
    with (mine.root / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write(
            f'\nc.CourseDirectory.db_url = "sqlite+pysqlite:///{mine.root}/elsewhere.db"\n'
        )
    shutil.move(mine.root / "gradebook.db", mine.root / "elsewhere.db")
    with Recorder(mine, ASSIGNMENT) as recorder:
        plan = make_plan(mine, ASSIGNMENT, recorder.book)
        student, result = next(results(mine, plan))
        assert recorder.record(student, result).score == 6
        assert recorder.students() == {"good"}
    assert not (mine.root / "gradebook.db").exists()


def test_cost_does_not_grow_with_the_class(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import event

    mine = copy_of(course, tmp_path / "course")
    counts: list[int] = []
    with Recorder(mine, ASSIGNMENT) as recorder:
        plan = make_plan(mine, ASSIGNMENT, recorder.book)
        _, result = next(results(mine, plan))
        asked: list[str] = []
        event.listen(recorder.book.engine, "before_cursor_execute",
                     lambda *a: asked.append(a[2]))  # fmt: skip
        objects = []
        for number in range(30):
            asked.clear()
            recorder.record(f"s{number}", result)
            counts.append(len(asked))
            objects.append(len(recorder.book.db().identity_map))
    assert len(set(counts[1:])) == 1, counts
    assert len(set(objects[1:])) == 1, objects
    assert counts[-1] < 60


def test_feedback_pages_are_those_of_generate_feedback(ours: Course, tmp_path: Path) -> None:
    mine = copy_of(ours, tmp_path / "course")
    with gradebook(course_directory(mine, ASSIGNMENT)) as book:
        where = ("double_numpy", ASSIGNMENT, "good")
        book.find_grade("score_double", *where).manual_score = 1.5
        book.find_comment("double", *where).manual_comment = "**Nearly** <script>x</script>"
        book.db.commit()
    directory = course_directory(mine, ASSIGNMENT, "*")
    with quiet_nbgrader(mine):
        run_converter("GenerateFeedback", mine, directory)
    settings = feedback_settings(load_config(mine))
    count = 0
    with Recorder(mine, ASSIGNMENT) as recorder:
        for path in sorted(mine.autograded.glob("*/*/*.ipynb")):
            student = path.parent.parent.name
            view = recorder.view(student)
            assert view is not None
            page = render_feedback(
                path.read_text(encoding="utf-8"), path.stem,
                view.notebooks[path.stem].to_dict(), settings=settings,
            )  # fmt: skip
            theirs = mine.feedback / student / ASSIGNMENT / f"{path.stem}.html"
            assert page == theirs.read_text(encoding="utf-8"), path
            count += 1
            if student == "good" and path.stem == "double_numpy":
                assert "<strong>Nearly</strong>" in page
                assert "Score: 2.5 / 4.0" in page
            if student == "late":
                assert "Late submission penalty" in page
    assert count == 19


def test_cells_that_a_person_grades(course: Course, tmp_path: Path) -> None:
    """An answer in Markdown and a task: no automatic score, and "No response." where due."""
    mine = copy_of(course, tmp_path / "course")
    meta = {"schema_version": 3, "points": 4, "locked": False, "grade": True, "solution": True,
            "task": False, "grade_id": "essay"}  # fmt: skip
    task = {**meta, "locked": True, "grade": False, "solution": False, "task": True,
            "grade_id": "task"}  # fmt: skip
    cells = [nbformat.v4.new_markdown_cell("Write.", metadata={"nbgrader": meta}),
             nbformat.v4.new_markdown_cell("Do.", metadata={"nbgrader": task})]  # fmt: skip
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python",
                                       "display_name": "Python 3"}  # fmt: skip
    source = mine.source / "hand" / "essay.ipynb"
    source.parent.mkdir()
    nbformat.write(notebook, source)
    with quiet_nbgrader(mine):
        run_converter("GenerateAssignment", mine, course_directory(mine, "hand"))
    released = mine.exercises / "hand" / "essay.ipynb"
    text = released.read_text(encoding="utf-8")
    plan_of = expect("hand", "essay", json.loads(text)["cells"])
    answers = {"silent": text, "wordy": text.replace("YOUR ANSWER HERE", "An essay.")}
    views = {}
    with Recorder(mine, "hand") as recorder:
        plan = Plan("hand", tuple(templates_of(recorder.book, "hand")), (plan_of,),
                    cleanup=cleanup_of(load_config(mine)))  # fmt: skip
        for student, answer in answers.items():
            handed_in = Submission({"essay.ipynb": answer.encode()})
            result = run_job(Job(plan.text, plan.key, handed_in), Notebook(mine.root))
            views[student] = recorder.record(student, result)
        folder = mine.submitted / "stock" / "hand"
        folder.mkdir(parents=True)
        (folder / "essay.ipynb").write_text(answers["wordy"], encoding="utf-8")
    with quiet_nbgrader(mine):
        run_converter("Autograde", mine, course_directory(mine, "hand", "stock"),
                      {"Autograde": {"autograde_preprocessors": [SaveAutoGrades]}})  # fmt: skip
    with gradebook(course_directory(mine, "hand")) as book:
        def state(student: str) -> list[tuple[Any, ...]]:
            record = book.find_submission("hand", student)
            (sheet,) = record.notebooks
            rows: list[tuple[Any, ...]] = [
                (g.name, g.auto_score, g.needs_manual_grade) for g in sheet.grades
            ]
            return sorted([*rows, *((c.name, c.comment, None) for c in sheet.comments)], key=str)

        assert state("wordy") == state("stock")
        assert ("essay", None, True) in state("wordy")
        assert ("essay", 0.0, False) in state("silent")
        assert ("essay", "No response.", None) in state("silent")
    assert views["wordy"].max_score == 8
