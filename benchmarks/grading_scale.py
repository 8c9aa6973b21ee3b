"""Whether grading stays as fast and as small for a class of any size, and on a cluster.

Generates a class for a small NumPy notebook, no two submissions alike, and grades it with
``nncourse grade``: the time for each hundred submissions must stay the same, and the memory of the
process that records them must not grow. Then it grades one class twice, with local engines and
through a Dask scheduler with two worker processes on this machine: the gradebooks must be equal.

    python benchmarks/grading_scale.py
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from benchmarks import measure, phases  # noqa: E402
from benchmarks.grading_course import BIN, Bench, command  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
ASSIGNMENT, NOTEBOOK = "01-small", "small_numpy"
MIB = 2**20
STEADY = 0.15
"""How far the time for a submission may move from the first hundred to the last."""
FLAT = 5.0
"""MiB by which the parent may grow over a thousand submissions."""

SOURCE = '''---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A small assignment

```{code-cell} ipython3
---
nn: {role: setup, id: setup}
---
import numpy as np

from nnlib.checks import check, score
```

```{code-cell} ipython3
---
nn: {role: solution, id: one_hot}
---
def one_hot(labels, n_classes):
    """Return a row of zeros with a one for each label."""
    ### BEGIN SOLUTION
    rows = np.zeros((len(labels), n_classes))
    rows[np.arange(len(labels)), labels] = 1.0
    return rows
    ### END SOLUTION
```

```{code-cell} ipython3
---
nn: {role: check, id: check_one_hot}
---
check("one_hot", one_hot)
```

```{code-cell} ipython3
---
nn: {role: graded, id: score_one_hot, points: 2}
---
score("one_hot", one_hot, points=2)
```
'''
# Right and wrong answers in turn; every submission has a number of its own in it.
ANSWERS = (
    "rows = np.zeros((len(labels), n_classes))\n"
    "    rows[np.arange(len(labels)), labels] = 1.0\n    return rows",
    "return np.eye(n_classes)[labels]",
    "return np.zeros((len(labels), n_classes))",
    "return np.eye(n_classes)",
    "return (np.asarray(labels)[:, None] == np.arange(n_classes)).astype(float)",
)
ANSWER = """def one_hot(labels, n_classes):
    seed = {number}
    {body}"""


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--submissions", type=int, default=2000)
    parser.add_argument("--group", type=int, default=100, help="submissions for each row")
    parser.add_argument("--cluster-submissions", type=int, default=60)
    parser.add_argument("--feedback", action="store_true", help="write feedback pages, too")
    parser.add_argument("--work", type=Path, help="keep the courses in this folder")
    parser.add_argument("--output", type=Path, default=RESULTS / "grading-scale.json")
    return parser.parse_args(words)


def make_class(root: Path, count: int) -> Bench:
    """A released course and its submissions."""
    ours = root / "ours"
    solutions = ours / "solutions" / ASSIGNMENT
    solutions.mkdir(parents=True)
    (solutions / f"{NOTEBOOK}.md").write_text(SOURCE, encoding="utf-8")
    shutil.copy(ROOT / "nbgrader_config.py", ours)
    command(ours, str(BIN / "nncourse"), "release", ASSIGNMENT)
    shutil.move(ours / "gradebook.db", ours / "released.db")
    released = json.loads(
        (ours / "exercises" / ASSIGNMENT / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8")
    )
    students = tuple(f"s{number:05d}" for number in range(1, count + 1))
    bench = Bench(root, ASSIGNMENT, NOTEBOOK, students)
    for number, student in enumerate(students):
        for cell in released["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == "one_hot":
                cell["source"] = ANSWER.format(number=number, body=ANSWERS[number % len(ANSWERS)])
        path = bench.submission("ours", student)
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(released), encoding="utf-8")
    return bench


def grade(bench: Bench, *words: str, extra: dict[str, str] | None = None) -> float:
    """Grade from empty caches; returns seconds."""
    bench.clear("ours")
    return command(bench.folder("ours"), str(BIN / "nncourse"), "grade", ASSIGNMENT, *words,
                   extra=extra)  # fmt: skip


def slope(values: list[float]) -> float:
    """Change from the first value to the last along the least-squares line, as a share."""
    middle = (len(values) - 1) / 2
    mean = statistics.fmean(values)
    spread = sum((k - middle) ** 2 for k in range(len(values)))
    rise = sum((k - middle) * (v - mean) for k, v in enumerate(values)) / spread if spread else 0.0
    return rise * (len(values) - 1) / mean


def groups_of(marks: list[list[float]], size: int) -> list[dict[str, float]]:
    """Milliseconds a submission and memory in MiB at the end, for each group of submissions.

    The first group's time starts when the first submission is finished, without the start-up.
    """
    found = []
    for start in range(0, len(marks) - size + 1, size):
        begin = max(start - 1, 0)
        end = start + size - 1
        seconds = marks[end][0] - marks[begin][0]
        found.append({
            "last": end + 1, "ms": 1e3 * seconds / (end - begin), "memory": marks[end][1] / MIB,
        })  # fmt: skip
    return found


def growth(groups: list[dict[str, float]]) -> float:
    """MiB for a thousand submissions, by least squares; the first group warms up."""
    later = groups[1:] if len(groups) > 2 else groups
    values = [g["memory"] for g in later]
    if len(values) < 2:
        return 0.0
    share = slope(values) * statistics.fmean(values)
    return 1e3 * share / (later[-1]["last"] - later[0]["last"])


def scale(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Grade the large class and see what changes on the way."""
    print(f"{wanted.submissions} submissions are made", flush=True)
    bench = make_class(folder, wanted.submissions)
    words = ["--workers", "2", *([] if wanted.feedback else ["--no-feedback"])]
    with phases.traced(folder) as variables:
        seconds = grade(bench, *words, extra=variables)
    processes = phases.read(folder)
    (parent,) = [p for p in processes if p["role"] == "nncourse"]
    if len(parent["marks"]) != wanted.submissions:
        raise SystemExit(f"{len(parent['marks'])} of {wanted.submissions} were finished")
    groups = groups_of(parent["marks"], wanted.group)
    times = [g["ms"] for g in groups]
    engines = [
        [m[1] / MIB for m in p["marks"]] for p in processes if p["role"] == "engine" and p["marks"]
    ]
    return {
        "submissions": wanted.submissions, "seconds": seconds, "feedback": wanted.feedback,
        "groups": groups, "slope": slope(times), "largest_to_smallest": max(times) / min(times),
        "growth": growth(groups),
        "engines": [{"first": e[len(e) // 10], "last": e[-1]} for e in engines],
    }  # fmt: skip


def grades_of(bench: Bench) -> list[tuple[Any, ...]]:
    """All that a gradebook says about submissions, without its internal ids."""
    with contextlib.closing(sqlite3.connect(bench.folder("ours") / "gradebook.db")) as book:
        rows = book.execute(
            "SELECT s.student_id, s.timestamp, n.late_submission_penalty, base.name, "
            "g.auto_score, g.manual_score, g.extra_credit, g.needs_manual_grade, "
            "c.auto_comment, c.manual_comment "
            "FROM submitted_assignment s JOIN submitted_notebook n ON n.assignment_id = s.id "
            "LEFT JOIN grade g ON g.notebook_id = n.id "
            "LEFT JOIN base_cell base ON base.id = g.cell_id "
            "LEFT JOIN comment c ON c.notebook_id = n.id ORDER BY 1, 4"
        ).fetchall()
    return [tuple(row) for row in rows]


@contextlib.contextmanager
def cluster(folder: Path, workers: int = 2) -> Iterator[str]:
    """A Dask scheduler and worker processes on loopback; gives the scheduler's address."""
    folder.mkdir(parents=True, exist_ok=True)
    information = folder / "scheduler.json"
    quiet: dict[str, Any] = {
        "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder,
    }
    python = [sys.executable, "-m"]
    running = [subprocess.Popen(
        [*python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
         "--no-dashboard", "--scheduler-file", str(information)], **quiet,
    )]  # fmt: skip
    try:
        limit = time.monotonic() + 60
        while not information.exists() and time.monotonic() < limit:
            time.sleep(0.1)
        address = str(json.loads(information.read_text(encoding="utf-8"))["address"])
        running += [subprocess.Popen(
            [*python, "distributed.cli.dask_worker", address, "--host", "127.0.0.1",
             "--nthreads", "1", "--nworkers", "1", "--no-dashboard",
             "--local-directory", str(folder)], **quiet,
        ) for _ in range(workers)]  # fmt: skip
        from distributed import Client

        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=120)
        yield address
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def compare_cluster(folder: Path, count: int) -> dict[str, Any]:
    """Grade one class with local engines and with a cluster's."""
    bench = make_class(folder, count)
    local_seconds = grade(bench, "--workers", "2")
    local = grades_of(bench)
    with cluster(folder / "dask") as address:
        cluster_seconds = grade(bench, "--cluster", address)
    remote = grades_of(bench)
    return {
        "submissions": count, "rows": len(local), "equal": local == remote and len(local) >= count,
        "local_seconds": local_seconds, "cluster_seconds": cluster_seconds,
    }  # fmt: skip


def report(run: dict[str, Any]) -> str:
    """Everything as Markdown."""
    m, found, both = run["machine"], run["scale"], run["cluster"]
    steady = abs(found["slope"]) <= STEADY
    flat = found["growth"] <= FLAT
    lines = [
        "# Grading a large class", "", "Made by `python benchmarks/grading_scale.py`.", "",
        f"{m['processor']}, {m['cores']} cores; Python {m['python']}, NumPy {m['numpy']}, nbgrader "
        f"{m['nbgrader']}, distributed {m['distributed']}. Load before: {m['load']}.", "",
        f"{found['submissions']} submissions of a small NumPy notebook, all different, two "
        f"engines, {'with' if found['feedback'] else 'without'} feedback pages: "
        f"{found['seconds']:.0f} s.", "",
        "| up to submission | ms a submission | memory of the parent, MiB |", "|--:|--:|--:|",
        *(f"| {g['last']} | {g['ms']:.1f} | {g['memory']:.1f} |" for g in found["groups"]), "",
        "| what | measured | bar | |", "|---|--:|--:|---|",
        f"| time a submission, first group to last (least squares) | {100 * found['slope']:+.1f} % "
        f"| ±{100 * STEADY:.0f} % | {'reached' if steady else 'missed'} |",
        f"| slowest group to fastest | {found['largest_to_smallest']:.2f} | | |",
        f"| growth of the parent for 1,000 submissions | {found['growth']:+.1f} MiB "
        f"| {FLAT:g} MiB | {'reached' if flat else 'missed'} |",
    ]  # fmt: skip
    lines += [
        f"| engine {k + 1}: memory early and at the end | {e['first']:.0f}, {e['last']:.0f} MiB "
        "| | |" for k, e in enumerate(found["engines"])
    ]  # fmt: skip
    if both is not None:
        lines.append(
            f"| {both['submissions']} submissions, local ({both['local_seconds']:.0f} s) and "
            f"through Dask ({both['cluster_seconds']:.0f} s) | {both['rows']} grades "
            f"| equal | {'equal' if both['equal'] else 'different'} |"
        )
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> None:
    """Measure, print, write."""
    wanted = arguments(words)
    machine = measure.machine() | {
        name: measure.version(name) for name in ("nbgrader", "distributed")
    }
    work = wanted.work or Path(tempfile.mkdtemp(prefix="grading-scale-"))
    try:
        for name in ("scale", "cluster"):
            shutil.rmtree(work / name, ignore_errors=True)
        run = {
            "machine": machine, "scale": scale(work / "scale", wanted),
            "cluster": compare_cluster(work / "cluster", wanted.cluster_submissions)
            if wanted.cluster_submissions else None,
        }  # fmt: skip
    finally:
        if wanted.work is None:
            shutil.rmtree(work, ignore_errors=True)
    text = report(run)
    print(text)
    wanted.output.parent.mkdir(parents=True, exist_ok=True)
    wanted.output.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    wanted.output.with_suffix(".md").write_text(text, encoding="utf-8")
    if run["cluster"] and not run["cluster"]["equal"]:
        raise SystemExit("the gradebooks differ")


if __name__ == "__main__":
    main()
