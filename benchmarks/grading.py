"""How fast a class is graded, beside stock nbgrader and otter-grader.

For one real notebook at a time, the same submissions, all different, are graded by each in turn, on
two cores, from empty caches:

- ``stock``: ``nbgrader autograde`` as it comes, and then ``nbgrader generate_feedback``;
- ``nncourse``: ``nncourse grade --workers 2``, confined, without and with feedback pages;
- ``confined``: stock nbgrader with `autograder.execute.PREPROCESSORS` in it, one after the other;
- ``otter``: ``otter run`` on some of the notebooks, with a test for each graded cell;
- one notebook from a cold start.

A ratio is stock's time divided by ours within one round. Writes ``benchmarks/results/grading.json``
and ``grading.md``.

    python benchmarks/grading.py --otter-env /tmp/otter
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from benchmarks import grading_otter as otter  # noqa: E402
from benchmarks import measure, phases  # noqa: E402
from benchmarks.grading_course import BIN, Bench, RunFailed, command, make_bench  # noqa: E402
from benchmarks.grading_table import report  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
NOTEBOOKS = ("neurons_numpy", "neurons_torch", "backprop_numpy", "backprop_torch")
QUICK_NOTEBOOKS = ("neurons_numpy",)
BARS = {"torch": 10.0, "numpy": 4.0}
COLD_BAR = 3.0
CORES = 2

# What is measured: name -> course, and the commands whose times count separately.
NBGRADER, NNCOURSE = str(BIN / "nbgrader"), str(BIN / "nncourse")
GRADE = (NNCOURSE, "grade", "{assignment}", "--workers", str(CORES))
METHODS: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "stock": ("stock", {
        "stock": (NBGRADER, "autograde", "{assignment}"),
        "stock, feedback pages": (NBGRADER, "generate_feedback", "{assignment}"),
    }),
    "nncourse": ("ours", {"nncourse": (*GRADE, "--no-feedback")}),
    "confined": ("confined", {
        "stock with ConfinedExecute": (NBGRADER, "autograde", "{assignment}"),
    }),
    "nncourse with feedback": ("ours", {"nncourse with feedback": GRADE}),
}  # fmt: skip
TRACED = "nncourse with feedback"
ONE = (
    "import sys, autograder; "
    "print(autograder.grade_notebook(sys.argv[1], sys.argv[2]).score)"
)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--submissions", type=int, default=0, help="default: 40; quick: 6")
    parser.add_argument("--rounds", type=int, default=0, help="default: 3; quick: 1")
    parser.add_argument("--notebooks", nargs="*", default=None, metavar="NAME",
                        help=f"default: {' '.join(NOTEBOOKS)}")  # fmt: skip
    parser.add_argument("--quick", action="store_true",
                        help=f"a smoke test: {' '.join(QUICK_NOTEBOOKS)} only, without "
                        "ConfinedExecute; writes nothing unless --output says where")  # fmt: skip
    parser.add_argument("--otter-env", type=Path, help="virtual environment for otter-grader; "
                        "made and filled from the package index where there is none")
    parser.add_argument("--otter-notebooks", type=int, default=5)
    parser.add_argument("--work", type=Path, help="keep the courses in this folder")
    parser.add_argument("--output", type=Path, help="JSON; the table goes beside it as .md")
    wanted = parser.parse_args(words)
    wanted.submissions = wanted.submissions or (6 if wanted.quick else 40)
    wanted.rounds = wanted.rounds or (1 if wanted.quick else 3)
    wanted.notebooks = wanted.notebooks or list(QUICK_NOTEBOOKS if wanted.quick else NOTEBOOKS)
    if wanted.output is None and not wanted.quick:
        wanted.output = RESULTS / "grading.json"
    return wanted


def timed(folder: Path, words: tuple[str, ...], **extra: Any) -> dict[str, float]:
    """Run a command; its seconds, and the processor seconds of all that it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = command(folder, *words, **extra)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu, "load": os.getloadavg()[0]}


def run_method(
    bench: Bench, name: str, extra: dict[str, str] | None = None
) -> dict[str, dict[str, float]]:
    """Grade the class once, from empty caches."""
    course, commands = METHODS[name]
    bench.clear(course)
    found = {}
    for row, words in commands.items():
        filled = tuple(word.format(assignment=bench.assignment) for word in words)
        found[row] = timed(bench.folder(course), filled, extra=extra)
    graded = bench.graded(course)
    if graded != len(bench.students):
        raise RunFailed(f"{name}: {graded} of {len(bench.students)} submissions were graded")
    return found


def take_turns(bench: Bench, names: list[str], rounds: int) -> dict[str, list[dict[str, float]]]:
    """Run all methods, round after round, each round from another beginning."""
    times: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            for row, found in run_method(bench, name).items():
                times.setdefault(row, []).append(found)
                print(f"{bench.notebook}, round {number + 1}: {row}: {found['seconds']:.1f} s",
                      flush=True)  # fmt: skip
    return times


def cold(bench: Bench, repeats: int) -> dict[str, list[float]]:
    """One notebook, from command to result, from empty caches."""
    student = bench.students[0]
    path = str(bench.submission("ours", student))
    ways = {
        "grade_notebook": (sys.executable, "-c", ONE, path, bench.assignment),
        "nncourse grade": (NNCOURSE, "grade", bench.assignment, "--students", student),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, words in ways.items():
            bench.clear("ours")
            times[name].append(command(bench.folder("ours"), *words))
    return times


def where_time_goes(bench: Bench) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """Trace a run with feedback pages; its phases and its time."""
    with phases.traced(bench.root) as variables:
        found = run_method(bench, TRACED, variables)
    return phases.summarise(phases.read(bench.root), len(bench.students)), found


def measure_notebook(name: str, folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Measure everything for one notebook."""
    names = [m for m in METHODS if not (wanted.quick and m in ("confined", TRACED))]
    courses = tuple(dict.fromkeys(METHODS[m][0] for m in names))
    print(f"{name}: release, and {wanted.submissions} submissions", flush=True)
    bench = make_bench(folder, name, wanted.submissions, courses)
    times = take_turns(bench, names, wanted.rounds)
    where, traced = where_time_goes(bench)
    if TRACED not in names:  # where nobody reads the numbers, the traced run is enough
        times |= {row: [found] for row, found in traced.items()}
    ours, stock = bench.scores("ours"), bench.scores("stock")
    result: dict[str, Any] = {
        "notebook": name, "assignment": bench.assignment, "track": bench.track,
        "submissions": len(bench.students), "bar": BARS[bench.track], "runs": times,
        "differ": {s: [ours[s], stock.get(s)] for s in ours if ours[s] != stock.get(s)},
        "cold": cold(bench, 1 if wanted.quick else 5), "cold_bar": COLD_BAR,
        "phases": where,
    }  # fmt: skip
    if wanted.otter_env is None:
        result["otter"] = {"why_not": "not measured: no --otter-env"}
    else:
        why_not = otter.install(wanted.otter_env)
        chosen = list(bench.students[: wanted.otter_notebooks])
        result["otter"] = (
            {"why_not": why_not} if why_not else otter.run(bench, wanted.otter_env, chosen)
        )
    return result


def main(words: list[str] | None = None) -> None:
    """Measure, print, write."""
    wanted = arguments(words)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:CORES]))
    run: dict[str, Any] = {
        "machine": measure.machine() | {
            name: measure.version(name) for name in ("nbgrader", "ipykernel", "nbclient")
        },
        "used_cores": CORES, "rounds": wanted.rounds, "notebooks": [],
    }  # fmt: skip
    work = wanted.work or Path(tempfile.mkdtemp(prefix="grading-"))
    try:
        for name in wanted.notebooks:
            folder = work / name
            shutil.rmtree(folder, ignore_errors=True)
            run["notebooks"].append(measure_notebook(name, folder, wanted))
    finally:
        if wanted.work is None:
            shutil.rmtree(work, ignore_errors=True)
    if wanted.otter_env is not None and (wanted.otter_env / "bin" / "otter").exists():
        run["machine"]["otter"] = otter.version(wanted.otter_env)
    run["machine"]["load_after"] = measure.machine()["load"]
    text = report(run)
    print(text)
    if wanted.output is not None:
        wanted.output.parent.mkdir(parents=True, exist_ok=True)
        wanted.output.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        wanted.output.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
