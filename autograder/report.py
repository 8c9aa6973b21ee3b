"""The class summary of an assignment, for a person (HTML) and for programs (CSV, JSON)."""

from __future__ import annotations

import csv
import html
import io
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.course import Course, read_json, write_atomic, write_json
from autograder.grade import ClassRun
from autograder.outcomes import ATTENTION, SHARED, Outcome

STYLE = """
:root{color-scheme:light dark;--line:#8884;--bar:#2a78b8;--warn:#b5541c}
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}.wide{overflow-x:auto}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.attention{color:var(--warn);font-weight:600}.small{font-size:.875rem}ul{margin:0;padding-left:1.1rem}
meter{width:4rem}th:last-child{min-width:16rem}
"""


@dataclass(frozen=True)
class TaskSummary:
    """How a class did in one graded cell."""

    notebook: str
    name: str
    max_score: float
    mean: float
    full: int
    students: int
    hints: tuple[tuple[str, int], ...]


def summarise_tasks(outcomes: list[Outcome], keep: int = 3) -> list[TaskSummary]:
    """Per task: mean, how many have full points, the most frequent hints."""
    order: dict[tuple[str, str], list[Any]] = {}
    for outcome in outcomes:
        for task in outcome.tasks:
            order.setdefault((task.notebook, task.name), []).append(task)
    rows = []
    for (notebook, name), tasks in order.items():
        counts = Counter(hint for task in tasks for hint in dict.fromkeys(task.hints))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        rows.append(TaskSummary(
            notebook, name, tasks[0].max_score,
            sum(t.score for t in tasks) / len(tasks),
            sum(t.score >= t.max_score for t in tasks), len(tasks), tuple(ranked[:keep]),
        ))  # fmt: skip
    return sorted(rows, key=lambda row: row.notebook)


def write_reports(course: Course, run: ClassRun) -> list[Path]:
    """Write ``reports/<assignment>.html``, ``.csv`` and ``.json``; returns their paths."""
    base = course.reports / run.assignment
    paths = [base.with_name(f"{base.name}.{suffix}") for suffix in ("html", "csv", "json")]
    write_atomic(paths[0], render(course, run))
    write_atomic(paths[1], to_csv(run))
    write_json(
        paths[2],
        {
            "assignment": run.assignment,
            "isolation": run.isolation,
            "students": [outcome.to_dict() for outcome in run.outcomes],
            "tasks": [vars(row) for row in summarise_tasks(run.outcomes)],
        },
    )
    write_index(course)
    return paths


def write_index(course: Course) -> Path:
    """Write ``reports/index.html``, which links every summary that there is."""
    rows = []
    for path in sorted(course.reports.glob("*.json")):
        data = read_json(path) or {}
        students = data.get("students", [])
        if not students:
            continue
        mean = sum(s["score"] for s in students) / len(students)
        attention = sum(s["status"] == ATTENTION for s in students)
        rows.append(
            f'<tr><td><a href="{_e(path.stem)}.html">{_e(path.stem)}</a></td>'
            f'<td class="n">{len(students)}</td>'
            f'<td class="n">{mean:.1f} / {max(s["max_score"] for s in students):g}</td>'
            f'<td class="n">{attention}</td></tr>'
        )
    page = course.reports / "index.html"
    body = (
        '<h1>Class summaries</h1><div class="wide"><table><thead><tr><th>Assignment</th>'
        '<th class="n">Submissions</th><th class="n">Mean</th><th class="n">Need attention</th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
    write_atomic(page, _page("Class summaries", body))
    return page


def to_csv(run: ClassRun) -> str:
    """One line a student."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = list(dict.fromkeys((t.notebook, t.name) for o in run.outcomes for t in o.tasks))
    writer.writerow(
        ["student", "score", "max_score", "status", "reasons"]
        + [f"{notebook}.{name}" for notebook, name in columns]
    )
    for outcome in run.outcomes:
        scores = {(t.notebook, t.name): t.score for t in outcome.tasks}
        writer.writerow(
            [spreadsheet_safe(outcome.student), f"{outcome.score:g}", f"{outcome.max_score:g}",
             outcome.status, spreadsheet_safe(" | ".join(outcome.reasons))]
            + [f"{scores[c]:g}" if c in scores else "" for c in columns]
        )  # fmt: skip
    return buffer.getvalue()


def spreadsheet_safe(text: str) -> str:
    """A spreadsheet must not take a name for a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def render(course: Course, run: ClassRun) -> str:
    """The summary as a page that needs nothing else."""
    outcomes = run.outcomes
    scores = [o.score for o in outcomes]
    top = max((o.max_score for o in outcomes), default=0.0)
    mean = sum(scores) / len(scores) if scores else 0.0
    attention = [o for o in outcomes if o.status == ATTENTION]
    parts = [
        f"<h1>{_e(run.assignment)}</h1>",
        f"<p>{len(outcomes)} submissions, mean {mean:.1f} of {top:g} points, "
        f"{len(attention)} need attention.</p>",
        *([f'<p class="attention">{_e(SHARED)}</p>'] if run.isolation == "shared" else []),
        "<h2>Tasks</h2>", _task_table(outcomes), "<h2>Students</h2>",
        _student_table(course, outcomes),
    ]  # fmt: skip
    return _page(f"{run.assignment}: class summary", "\n".join(parts))


def _page(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "style-src 'unsafe-inline'\"/>\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f"<title>{_e(title)}</title>\n<style>{STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _task_table(outcomes: list[Outcome]) -> str:
    rows = []
    for row in summarise_tasks(outcomes):
        hints = "".join(f"<li>{_e(text)} ({count})</li>" for text, count in row.hints)
        share = row.full / row.students if row.students else 0.0
        rows.append(
            f"<tr><td>{_e(row.notebook)}</td><td><code>{_e(row.name)}</code></td>"
            f'<td class="n">{row.mean:.2f} / {row.max_score:g}</td>'
            f'<td class="n">{share:.0%} <meter value="{share:.3f}" '
            f'aria-label="share with full points"></meter></td>'
            f'<td class="small"><ul>{hints}</ul></td></tr>'
        )
    return (
        '<div class="wide"><table><thead><tr><th>Notebook</th><th>Task</th><th class="n">Mean</th>'
        '<th class="n">Full points</th><th>Most frequent hints (submissions)</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _student_table(course: Course, outcomes: list[Outcome]) -> str:
    rows = []
    for outcome in outcomes:
        words = [f'<li class="attention">{_e(r)}</li>' for r in outcome.reasons]
        words += [f"<li>{_e(note)}</li>" for note in outcome.notes]
        links = " ".join(
            f'<a href="{_e(_link(course, page))}">{_e(Path(page).stem)}</a>'
            for page in outcome.feedback
        )
        style = ' class="attention"' if outcome.status == ATTENTION else ""
        rows.append(
            f"<tr><td>{_e(outcome.student)}</td>"
            f'<td class="n">{outcome.score:g} / {outcome.max_score:g}</td>'
            f"<td{style}>{_e(outcome.status)}</td>"
            f'<td class="small"><ul>{"".join(words)}</ul></td><td class="small">{links}</td></tr>'
        )
    return (
        '<div class="wide"><table><thead><tr><th>Student</th><th class="n">Score</th>'
        "<th>Status</th><th>What to know</th><th>Feedback</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _link(course: Course, page: str) -> str:
    from urllib.parse import quote

    relative = os.path.relpath(course.root / page, course.reports)
    return quote(Path(relative).as_posix())


def _e(text: str) -> str:
    return html.escape(str(text), quote=True)
