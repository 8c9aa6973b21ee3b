"""Release: the same bytes everywhere, and a clear refusal of everything unfit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import DOUBLE, make_course, write_source

from autograder import notebooks
from autograder import release as releasing
from autograder.cli import main
from autograder.course import Course
from autograder.errors import ReleaseError


def released_bytes(course: Course) -> dict[str, bytes]:
    return {
        p.relative_to(course.exercises).as_posix(): p.read_bytes()
        for p in course.exercises.rglob("*.ipynb")
    }


def rules(course: Course, body: str) -> set[str]:
    """Names of the rules that a notebook breaks."""
    write_source(course, "01-double", "double_numpy", body)
    with pytest.raises(ReleaseError) as caught:
        releasing.check_release(course, ["01-double"])
    return {problem.rule for problem in caught.value.problems}


def test_the_student_notebook_is_complete_and_holds_no_solution(released: Course) -> None:
    path = released.exercises / "01-double" / "double_numpy.ipynb"
    text = path.read_text(encoding="utf-8")
    data = json.loads(text)
    by_id = {c["metadata"].get("nbgrader", {}).get("grade_id", ""): c for c in data["cells"]}
    assert "twice_of_it" not in text
    assert '"nn"' not in text
    assert "".join(by_id["double"]["source"]).endswith("    raise NotImplementedError")
    assert by_id["answer_size"]["source"] == ["answer_size = None"]
    assert by_id["setup"]["metadata"]["tags"] == ["setup"]
    assert by_id["score_double"]["metadata"]["nbgrader"]["points"] == 3
    assert by_id["score_double"]["metadata"]["editable"] is False
    assert data["metadata"]["language_info"] == {"name": "python"}
    assert [c["id"] for c in data["cells"]][:3] == ["start-1", "setup", "double"]
    assert all(c["metadata"]["nbgrader"]["schema_version"] == 3 for k, c in by_id.items() if k)


def test_bytes_are_the_same_elsewhere_and_with_stock_nbgrader(
    released: Course, tmp_path: Path
) -> None:
    other = make_course(tmp_path / "some where else")
    command = [str(Path(sys.executable).parent / "nbgrader"), "generate_assignment", "01-double"]
    subprocess.run(command, cwd=other.root, check=True, capture_output=True)
    name = "01-double/double_numpy.ipynb"
    ours = released_bytes(released)[name]
    assert released_bytes(other)[name] == ours
    assert b"\r" not in ours
    assert ours.endswith(b"}\n")
    assert ours.decode() == notebooks.canonical(json.loads(ours))


def test_release_is_skipped_when_nothing_changed_and_repaired_when_edited(course: Course) -> None:
    assert not releasing.release(course, ["02-triple"])[0].reused
    assert releasing.release(course, ["02-triple"])[0].reused
    path = course.exercises / "02-triple" / "triple_numpy.ipynb"
    before = path.read_bytes()
    path.write_bytes(before.replace(b"Another", b"Different"))
    found = "\n".join(releasing.check_release(course, ["02-triple"]))
    assert "triple_numpy.ipynb: differs" in found
    assert "Different" in found
    assert releasing.release(course, ["02-triple"])[0].changed == ["triple_numpy.ipynb"]
    assert path.read_bytes() == before


def test_check_reports_missing_and_stray_notebooks(released: Course, tmp_path: Path) -> None:
    course = make_course(tmp_path / "c")
    shutil.copytree(released.exercises, course.exercises)
    assert releasing.check_release(course, course.assignments()) == []
    (course.exercises / "01-double" / "double_numpy.ipynb").unlink()
    (course.exercises / "09-gone").mkdir()
    found = releasing.check_release(course, course.assignments())
    assert any("01-double/double_numpy.ipynb: missing" in line for line in found)
    assert any(line.startswith("09-gone") for line in found)


def test_the_command_refuses_differences_with_status_2(
    released: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(released.solutions)
    good = CliRunner().invoke(main, ["release", "--check"])
    assert good.exit_code == 0, good.output
    path = released.exercises / "02-triple" / "triple_numpy.ipynb"
    before = path.read_bytes()
    try:
        path.write_bytes(before + b"\n")
        bad = CliRunner().invoke(main, ["release", "02", "--check"])
    finally:
        path.write_bytes(before)
    assert bad.exit_code == 2
    assert "triple_numpy.ipynb" in bad.output
    assert "Traceback" not in bad.output


def test_extra_files_stay_with_the_author(released: Course, tmp_path: Path) -> None:
    course = make_course(tmp_path / "c")
    (course.solutions / "02-triple" / "alternatives.py").write_text("x = 1\n", encoding="utf-8")
    releasing.release(course, ["02-triple"])
    names = sorted(p.name for p in (course.exercises / "02-triple").iterdir())
    assert names == ["triple_numpy.ipynb"]


BODY = "    twice_of_it = x + x + 0\n    return twice_of_it\n"
BEGIN, END = "    ### BEGIN SOLUTION\n", "    ### END SOLUTION\n"
CHECK = 'check("double", double)'
SCORE = 'score("double", double, points=3)'
IMPORT = "from nnlib.checks import check, score"
TEXT = "The smallest exercise."


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("unbalanced-marker", BODY + END, BODY),
        ("unbalanced-marker", BEGIN + BODY, BODY),
        ("nested-marker", BEGIN + BODY, BEGIN + BEGIN + BODY),
        ("stray-marker", TEXT, "Write between BEGIN SOLUTION and the end."),
        ("stray-marker", CHECK, f"### BEGIN SOLUTION\n### END SOLUTION\n{CHECK}"),
        ("stray-marker", BODY, f"    ### BEGIN HIDDEN TESTS\n{BODY}"),
        ("no-solution-markers", BEGIN + BODY + END, "    return x\n"),
        ("missing-id", "role: check, id: check_double", "role: check"),
        ("repeated-id", "id: check_double", "id: double"),
        ("bad-id", "id: check_double", 'id: "check double"'),
        ("unknown-role", "role: check, id", "role: chekc, id"),
        ("no-score", SCORE, f"{SCORE};"),
        ("no-score", SCORE, f"result = {SCORE}"),
        ("no-score", SCORE, "assert double(1) == 2"),
        ("no-score", SCORE, "score(name, double, points=3)"),
        ("no-score", SCORE, 'score("double", double(3), points=3)'),
        ("no-score", SCORE, 'score("double", double, points=True)'),
        ("no-points", "id: score_double, points: 3", "id: score_double"),
        ("points-mismatch", "id: score_double, points: 3", "id: score_double, points: 2"),
        ("unknown-name", SCORE, 'score("double", duoble, points=3)'),
        ("no-check", CHECK, 'print("double")'),
        ("syntax", CHECK, 'check("double", double'),
        ("bad-stub", 'stub: "answer_size = None"', 'stub: "answer_size ="'),
        ("leak-solution", TEXT, "Hint: write `twice_of_it = x + x + 0` there."),
        ("leak-solution", CHECK, f"twice_of_it = x  + x + 0\n{CHECK}"),
        ("leak-import", IMPORT, f"{IMPORT}\nfrom nnlib import numpy_track"),
        ("leak-import", IMPORT, f"import nnlib.mistakes\n{IMPORT}"),
        ("leak-secret", TEXT, "It uses the course_secret."),
    ],
)
def test_every_rule_refuses(course: Course, rule: str, old: str, new: str) -> None:
    assert DOUBLE.count(old) >= 1, "the edit must apply"
    assert rule in rules(course, DOUBLE.replace(old, new, 1))


def test_hidden_tests_in_a_graded_cell_are_removed_from_the_release(course: Course) -> None:
    marked = "### BEGIN HIDDEN TESTS\nassert double(21) == 42\n### END HIDDEN TESTS\nscore"
    body = DOUBLE.replace('score("double"', f'{marked}("double"', 1)
    write_source(course, "01-double", "double_numpy", body)
    releasing.release(course, ["01-double"])
    path = course.exercises / "01-double" / "double_numpy.ipynb"
    assert "HIDDEN" not in path.read_text(encoding="utf-8")
    assert "42" not in path.read_text(encoding="utf-8")


def test_all_problems_are_reported_with_place_and_fix(course: Course) -> None:
    body = DOUBLE.replace("id: score_double, points: 3", "id: score_double, points: 2")
    body = body.replace("role: check", "role: chekc")
    write_source(course, "01-double", "double_numpy", body)
    write_source(course, "02-triple", "broken_numpy", "### BEGIN SOLUTION\n")
    with pytest.raises(ReleaseError) as caught:
        releasing.release(course, course.assignments())
    text = str(caught.value)
    assert "solutions/01-double/double_numpy.md: cell 5 (score_double), line" in text
    assert "metadata says 2 points, score() says 3" in text
    assert "fix:" in text
    assert "role 'chekc'" in text
    assert "broken_numpy.md" in text
    assert not (course.exercises / "01-double").exists()


def test_may_show_lets_an_author_show_a_line(course: Course) -> None:
    body = DOUBLE.replace("Which size?", "Like `twice_of_it = x + x + 0`.").replace(
        "nn: {role: solution, id: double}",
        'nn: {role: solution, id: double, may_show: ["twice_of_it = x + x + 0"]}',
    )
    write_source(course, "01-double", "double_numpy", body)
    releasing.release(course, ["01-double"])


def test_names_may_be_short_and_wrong_ones_get_a_suggestion(
    released: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(released.root)
    assert released.resolve(["02", "exercises/01-double"]) == ["02-triple", "01-double"]
    result = CliRunner().invoke(main, ["release", "02-tripel"])
    assert result.exit_code == 2
    assert "Did you mean 02-triple?" in result.output


def test_outside_a_course_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["release"])
    assert result.exit_code == 2
    assert "not inside a course" in result.output


def test_real_submissions_stop_a_change_of_cells_until_told(course: Course) -> None:
    from autograder.errors import CourseError
    from autograder.nbgrader_bridge import course_directory, gradebook, students_of

    releasing.release(course, ["02-triple"])
    directory = course_directory(course, "02-triple")
    with gradebook(directory) as book:
        for name in ("sample-perfect", "ada"):
            book.update_or_create_student(name)
            book.update_or_create_submission("02-triple", name)
    path = course.solutions / "02-triple" / "triple_numpy.md"
    text = path.read_text(encoding="utf-8").replace("id: setup_triple", "id: start_triple")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CourseError, match=r"ada.*--replace"):
        releasing.release(course, ["02-triple"])
    releasing.release(course, ["02-triple"], replace=True)
    assert students_of(directory, "02-triple") == set()
