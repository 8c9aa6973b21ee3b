"""What `grading.py` measured, as Markdown."""

from __future__ import annotations

import statistics
from typing import Any

STOCK, PAGES = "stock", "stock, feedback pages"
BOTH = "stock with feedback pages"
OURS, OURS_PAGES = "nncourse", "nncourse with feedback"
CONFINED = "stock with ConfinedExecute"
NAMES = {
    STOCK: "stock `nbgrader autograde`",
    OURS: "`nncourse grade --workers 2 --no-feedback`",
    CONFINED: "`nbgrader autograde` with ConfinedExecute",
    BOTH: "stock `autograde`, then `generate_feedback`",
    OURS_PAGES: "`nncourse grade --workers 2`",
}
# What each method's time is compared with.
PEER = {OURS: STOCK, CONFINED: STOCK, OURS_PAGES: BOTH}
SMALL = 0.5
"""Milliseconds below which a phase has no row of its own."""


def seconds_of(result: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds by method and round; stock's two commands also together."""
    found = {name: [run["seconds"] for run in runs] for name, runs in result["runs"].items()}
    if PAGES in found:
        found[BOTH] = [a + b for a, b in zip(found[STOCK], found.pop(PAGES), strict=True)]
    return found


def ratios(result: dict[str, Any], name: str) -> list[float]:
    """How many times faster than its peer a method was, round by round."""
    seconds = seconds_of(result)
    if name not in PEER or name not in seconds or PEER[name] not in seconds:
        return []
    return [a / b for a, b in zip(seconds[PEER[name]], seconds[name], strict=True)]


def _spread(values: list[float]) -> str:
    middle = f"{statistics.median(values):.1f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.1f} to {max(values):.1f})"


def _verdict(value: float, bar: float, *, least: bool) -> str:
    reached = value >= bar if least else value <= bar
    return "reached" if reached else "missed"


def main_table(run: dict[str, Any]) -> list[str]:
    """Rates and ratios of all methods and notebooks."""
    lines = [
        "| notebook | graded by | submissions a minute | seconds a submission "
        "| times faster, median (least to most) | bar | |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for result in run["notebooks"]:
        count, seconds = result["submissions"], seconds_of(result)
        for name in (n for n in NAMES if n in seconds):
            middle = statistics.median(seconds[name])
            found = ratios(result, name)
            bar = verdict = ""
            if name == OURS:
                bar = f"{result['bar']:g}"
                verdict = _verdict(statistics.median(found), result["bar"], least=True)
            lines.append(
                f"| {result['notebook']} | {NAMES[name]} | {60 * count / middle:.0f} "
                f"| {middle / count:.2f} | {_spread(found) if found else ''} | {bar} | {verdict} |"
            )
        lines.append(_otter_row(result))
        for name, values in result["cold"].items():
            middle = statistics.median(values)
            verdict = _verdict(middle, result["cold_bar"], least=False)
            lines.append(
                f"| {result['notebook']} | one notebook, cold: `{name}` | | {_spread(values)} | "
                f"| {result['cold_bar']:g} s | {verdict} |"
            )
    return lines


def _otter_row(result: dict[str, Any]) -> str:
    found = result["otter"]
    row = f"| {result['notebook']} | `otter run` | "
    if "why_not" in found:
        return row + f"| | {found['why_not']} | | |"
    each = found["median"]
    own = statistics.median(seconds_of(result)[OURS]) / result["submissions"]
    return row + (
        f"{60 / each:.0f} | {each:.2f} | nncourse is {each / own:.1f} times faster | | |"
    )


def phase_table(result: dict[str, Any]) -> list[str]:
    """Where time goes in one run, by process and phase."""
    lines = [
        "| process | phase | wall, ms a submission | of it computing | calls a submission |",
        "|---|---|--:|--:|--:|",
    ]
    for row in result["phases"]:
        if row["wall"] >= SMALL:
            computing = f"{row['cpu']:.1f}" if row["cpu"] else ""
            calls = f"{row['calls']:.1f}" if row["calls"] else ""
            lines.append(f"| {row['process']} | {row['phase']} | {row['wall']:.1f} | {computing} "
                         f"| {calls} |")  # fmt: skip
    return lines


def limits(result: dict[str, Any]) -> str:
    """In one sentence, the largest parts of the engines' time."""
    rows = [r for r in result["phases"] if r["process"].startswith("engine") and r["phase"] not in
            ("idle", "other")]  # fmt: skip
    total = sum(r["wall"] for r in rows) or 1.0
    largest = sorted(rows, key=lambda r: -r["wall"])[:4]
    parts = ", ".join(f"{r['phase']} {100 * r['wall'] / total:.0f} %" for r in largest)
    return f"Of the engines' time: {parts}."


def report(run: dict[str, Any]) -> str:
    """Everything about a run."""
    m = run["machine"]
    lines = [
        "# Grading a class, beside stock nbgrader and otter-grader", "",
        "Made by `python benchmarks/grading.py`. All methods grade the same submissions, no two of "
        "them alike, in turn, from empty caches. A ratio compares two runs of one round. Cold: a "
        "new process, the course released, nothing graded.", "",
        f"{m['processor']}, {m['cores']} cores of which {run['used_cores']} are used, "
        f"{run['rounds']} round{'s' * (run['rounds'] != 1)}; Python {m['python']}, "
        f"NumPy {m['numpy']}, PyTorch {m['torch']}, "
        f"nbgrader {m['nbgrader']}, ipykernel {m['ipykernel']}"
        + (f", otter-grader {m['otter']}" if m.get("otter") else "")
        + f". Load before and after: {m['load']}, {m['load_after']}.", "",
        *main_table(run),
    ]  # fmt: skip
    for result in run["notebooks"]:
        differ = result["differ"]
        lines += [
            "", f"## Where time goes: {result['notebook']}", "",
            "One traced run of `nncourse grade --workers 2`, with feedback pages. Times are "
            "exclusive, summed over both engines and divided by the number of submissions; wall "
            "time includes waiting for a processor, computing is this process's own. What the "
            "student's process computes is waited for in `student cells` and `locked cells: the "
            "student's functions`.", "",
            *phase_table(result), "", limits(result),
            "Scores are those of stock nbgrader"
            + (f", but for {len(differ)}: " + "; ".join(
                f"{s} {a} here, {b} there" for s, (a, b) in sorted(differ.items()))
               if differ else "") + ".",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"
