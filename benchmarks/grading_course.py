"""Courses to measure on: one assignment with one notebook, a class, and stock nbgrader's copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

STOCK_CONFIG = """c = get_config()
c.CourseDirectory.course_id = "nncourse"
"""
CONFINED_CONFIG = """c = get_config()
c.CourseDirectory.course_id = "nncourse"
import autograder.execute
c.Autograde.autograde_preprocessors = autograder.execute.PREPROCESSORS
"""
# What a run leaves behind; the released notebooks and their stamps stay.
LEFT = ("autograded", "feedback", "reports")
CACHES = ("results", "graded", "executed", "logs")


class RunFailed(RuntimeError):  # noqa: N818 - what happened
    """A measured command failed, so that its time means nothing."""


@dataclass(frozen=True)
class Bench:
    """One assignment that holds one notebook, in three courses with the same submissions.

    Attributes
    ----------
    root : Path
        Folder that holds the courses ``ours``, ``stock`` and ``confined``.
    assignment, notebook : str
        What is graded.
    students : tuple of str
        Who handed in.
    """

    root: Path
    assignment: str
    notebook: str
    students: tuple[str, ...]

    @property
    def track(self) -> str:
        """``"numpy"`` or ``"torch"``."""
        return self.notebook.rpartition("_")[2]

    def folder(self, course: str) -> Path:
        """Root of a course."""
        return self.root / course

    def submission(self, course: str, student: str) -> Path:
        """A student's notebook."""
        return (
            self.folder(course) / "submitted" / student / self.assignment / f"{self.notebook}.ipynb"
        )

    def clear(self, course: str) -> None:
        """Bring a course back to where nothing is graded."""
        folder = self.folder(course)
        for name in LEFT:
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in CACHES:
            shutil.rmtree(folder / ".cache" / name, ignore_errors=True)
        for stale in folder.glob("gradebook.db*"):
            stale.unlink()
        shutil.copy(folder / "released.db", folder / "gradebook.db")

    def graded(self, course: str) -> int:
        """How many submissions have an autograded notebook."""
        found = self.folder(course).glob(f"autograded/*/{self.assignment}/{self.notebook}.ipynb")
        return len(list(found))

    def scores(self, course: str) -> dict[str, float]:
        """Each student's points in a course's gradebook."""
        from nbgrader.api import Gradebook

        with Gradebook(f"sqlite:///{self.folder(course) / 'gradebook.db'}") as book:
            return {s.student.id: float(s.score) for s in book.assignment_submissions(
                self.assignment)}  # fmt: skip


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables for a command: this Python's programs first, and no secret."""
    values = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    for name in ("NNCOURSE_SECRET", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        values.pop(name, None)
    return values | dict(extra or {})


def command(
    folder: Path, *words: str, extra: Mapping[str, str] | None = None, limit: float = 7200
) -> float:
    """Run a command in a course; returns its seconds.

    Raises
    ------
    RunFailed
        With the end of its output.
    """
    start = time.perf_counter()
    done = subprocess.run(
        words, cwd=folder, env=environment(extra), capture_output=True, timeout=limit, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    if done.returncode:
        tail = (done.stdout + done.stderr).decode("utf-8", "replace")[-1500:]
        raise RunFailed(f"{' '.join(words)[:200]} ended with status {done.returncode}:\n{tail}")
    return seconds


def find_notebook(notebook: str) -> str:
    """The assignment that a notebook belongs to."""
    found = sorted((ROOT / "solutions").glob(f"*/{notebook}.md"))
    if len(found) != 1:
        raise SystemExit(f"no single notebook is called {notebook}")
    return found[0].parent.name


def make_bench(root: Path, notebook: str, submissions: int, courses: tuple[str, ...]) -> Bench:
    """Make the courses, release the assignment, write the class.

    Parameters
    ----------
    root : Path
        An empty folder.
    notebook : str
        One of the course's notebooks, such as ``backprop_torch``.
    submissions : int
        How many students.
    courses : tuple of str
        ``"ours"`` and those of stock nbgrader's: ``"stock"``, ``"confined"``.
    """
    assignment = find_notebook(notebook)
    ours = root / "ours"
    solutions = ours / "solutions" / assignment
    solutions.mkdir(parents=True)
    for name in (f"{notebook}.md", "alternatives.py"):
        shutil.copy(ROOT / "solutions" / assignment / name, solutions / name)
    shutil.copy(ROOT / "nbgrader_config.py", ours)
    command(ours, str(BIN / "nncourse"), "release", assignment)
    texts = class_of(ours, assignment, notebook, submissions)
    bench = Bench(root, assignment, notebook, tuple(texts))
    for course in courses:
        if course != "ours":
            _make_stock(bench, course)
        folder = bench.folder(course)
        shutil.move(folder / "gradebook.db", folder / "released.db")
        for student, text in texts.items():
            path = bench.submission(course, student)
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="utf-8")
    return bench


def _make_stock(bench: Bench, course: str) -> None:
    """The same assignment in a course of stock nbgrader's, released by its own commands."""
    folder = bench.folder(course)
    source = folder / "source" / bench.assignment
    source.mkdir(parents=True)
    shutil.copy(
        bench.folder("ours") / "source" / bench.assignment / f"{bench.notebook}.ipynb", source
    )
    config = STOCK_CONFIG if course == "stock" else CONFINED_CONFIG
    (folder / "nbgrader_config.py").write_text(config, encoding="utf-8")
    command(folder, str(BIN / "nbgrader"), "generate_assignment", bench.assignment)


def class_of(ours: Path, assignment: str, notebook: str, count: int) -> dict[str, str]:
    """Submissions, no two alike: student -> notebook as text.

    They cycle through the sample class (right answers, other right answers, known mistakes, half
    done, a syntax error, chatter on stderr), without the two that would say nothing about speed:
    the empty notebook and the endless loop, which takes as long as its time limit. Each has a
    remark of its own in every cell that the student writes.
    """
    from autograder.course import Course
    from autograder.sample_class import load_sheets, students

    course = Course(ours)
    (sheet,) = load_sheets(course, assignment)
    assert sheet.name == notebook
    kinds = {
        name: edit for name, edit in students(course, assignment).items()
        if name not in ("untouched", "endless-loop")
    }  # fmt: skip
    names = list(kinds)
    found = {}
    for number in range(count):
        kind = names[number % len(names)]
        student = f"s{number + 1:04d}-{kind}"
        text = sheet.fill(kinds[kind](sheet))
        found[student] = _signed(text, set(sheet.solved), student)
    if len(set(found.values())) != count:
        raise RuntimeError("two submissions are alike")
    return found


def _signed(text: str, written: set[str], student: str) -> str:
    notebook: dict[str, Any] = json.loads(text)
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") in written:
            cell["source"] = "".join(cell["source"]) + f"\n# written by {student}"
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
