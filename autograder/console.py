"""Tables on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autograder.course import Course
from autograder.grade import ClassRun
from autograder.outcomes import ATTENTION, SHARED


def _console() -> Any:
    from rich.console import Console

    console = Console()
    # Where the output goes to a file, a narrow default width would fold the tables.
    return console if console.is_terminal else Console(width=140)


def show_runs(course: Course, runs: list[ClassRun], reports: list[Path]) -> None:
    """Print the grades, what needs attention, and the paths to open."""
    from rich.markup import escape
    from rich.table import Table

    console = _console()
    graded = [run for run in runs if run.outcomes]
    table = Table(title="Grades")
    table.add_column("student")
    for run in graded:
        table.add_column(run.assignment, justify="right")
    names = sorted({o.student for run in graded for o in run.outcomes})
    for name in names:
        cells = []
        for run in graded:
            outcome = next((o for o in run.outcomes if o.student == name), None)
            mark = " !" if outcome and outcome.status == ATTENTION else ""
            cells.append(
                f"{outcome.score:g}/{outcome.max_score:g}{mark}" if outcome else ""
            )
        table.add_row(escape(name), *cells)
    console.print(table)
    for run in graded:
        for outcome in run.attention:
            for reason in outcome.reasons:
                line = f"! {outcome.student} {run.assignment}: {reason}"
                console.print(escape(line), style="yellow", soft_wrap=True, highlight=False)
    for run in graded:
        if run.isolation == "shared":
            console.print(f"! {run.assignment}: {SHARED}", style="yellow", soft_wrap=True)
    if any(run.attention for run in graded):
        console.print("! needs attention")
    console.print("Open:")
    for path in reports:
        if path.suffix == ".html":
            console.print(f"  {course.relative(path)}", highlight=False, soft_wrap=True)
    console.print(f"  {course.relative(course.feedback)}/<student>/<assignment>/*.html",
                  highlight=False, soft_wrap=True)  # fmt: skip


def show_report_card(rows: list[Any]) -> bool:
    """Print the report card; True if it has no exception."""
    from rich.table import Table

    table = Table(title="Report card of the grader")
    for name in ("assignment", "track", "functions", "points", "untouched", "reference",
                 "mistakes", "caught", "named", "alternatives", "accepted"):  # fmt: skip
        table.add_column(name, justify="left" if name in ("assignment", "track") else "right")
    for row in rows:
        table.add_row(
            row.assignment, row.track, str(row.functions), f"{row.points:g}",
            f"{row.untouched:g}", f"{row.reference:g}", str(row.mistakes), str(row.caught),
            str(row.named), str(row.alternatives), str(row.accepted),
        )  # fmt: skip
    console = _console()
    console.print(table)
    for row in rows:
        for problem in row.problems:
            console.print(f"! {row.assignment} {row.track}: {problem}", markup=False)
    return all(row.perfect for row in rows)
