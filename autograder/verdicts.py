"""What a graded cell is worth, decided so that nbgrader can't misread it.

nbgrader gives full points to a graded code cell without output and to one whose value isn't a
number (``False``, ``nan``, ``-1``, ``tensor(1.)``, ``np.float64(0.5)``), none for one that wrote a
word to stderr, and it stops at a value above the maximum. A cell that was never executed, because
the kernel died before it, has no output. So after execution every graded cell passes through
`enforce_verdicts`: a verdict is exactly a finite built-in float between 0 and the cell's points;
where there is none, the cell gets an error that says why, which nbgrader counts as 0.
"""

from __future__ import annotations

import math
import re
from typing import Any

from autograder.notebooks import (
    cell_label,
    ends_in_score,
    grade_id,
    join_text,
    nbgrader_meta,
    output_text,
)

FLOAT = re.compile(r"\d+\.\d+(e[+-]\d+)?|\d+e[+-]\d+")
NO_VERDICT = "NoVerdict"
# A hint can go over several lines; what follows it in a report starts with a word and a colon.
HINT = re.compile(
    r"^Hint:\s*(.+?)\s*(?=^(?:Hint|Reread|Score):|^\s*$|\Z)", re.MULTILINE | re.DOTALL
)


def no_verdict(reason: str, ename: str = NO_VERDICT) -> Any:
    """An error output that people can read."""
    import nbformat

    return nbformat.from_dict({
        "output_type": "error",
        "ename": ename,
        "evalue": reason,
        "traceback": [f"{ename}: {reason}"],
    })  # fmt: skip


def parse_verdict(text: str, points: float) -> tuple[float | None, str]:
    """Read the text of a cell's value as a verdict.

    Returns
    -------
    tuple
        ``(score, "")``, or ``(None, why not)``.

    Examples
    --------
    >>> parse_verdict("1.5", 3)
    (1.5, '')
    >>> parse_verdict("np.float64(0.5)", 3)[0] is None
    True
    """
    text = text.strip()
    shown = text if len(text) <= 60 else text[:57] + "..."
    if not FLOAT.fullmatch(text) or not math.isfinite(float(text)):
        return None, f"its value is {shown}, not a finite float from 0 to {points:g}"
    value = float(text)
    if value > points:
        return None, f"its value is {shown}, above the cell's maximum of {points:g}"
    return value, ""


def is_graded_code(cell: Any) -> bool:
    """Whether nbgrader scores this cell by its outputs."""
    meta = nbgrader_meta(cell)
    return cell["cell_type"] == "code" and bool(meta.get("grade")) and not meta.get("solution")


def enforce_verdicts(cells: list[Any], executed: set[int], why_not: str) -> list[str]:
    """Give every graded code cell outputs that nbgrader scores as meant.

    Parameters
    ----------
    cells : list
        The notebook's cells, changed in place.
    executed : set of int
        Indices of the cells that ran to their end.
    why_not : str
        Why the others did not, as the end of a sentence.

    Returns
    -------
    list of str
        A sentence for each graded cell without a verdict.
    """
    sentences: list[str] = []
    for index, cell in enumerate(cells):
        if not is_graded_code(cell):
            continue
        points = float(nbgrader_meta(cell).get("points", 0))
        if index not in executed:
            reason = f"the cell was never executed because {why_not}"
            cell["outputs"] = [no_verdict(f"no verdict: {reason}")]
        elif ends_in_score(cell["source"]):
            reason = _settle_score(cell, points)
        else:
            reason = _settle_assertions(cell, points)
        if reason:
            sentences.append(f"{cell_label(cells, index)}: no verdict, {reason}; scored 0")
    return sentences


def _values(cell: Any) -> list[Any]:
    return [o for o in cell["outputs"] if o["output_type"] == "execute_result"]


def _settle_score(cell: Any, points: float) -> str:
    """One cell that ends in ``score(...)``; returns why it has no verdict, or ""."""
    errors = [o for o in cell["outputs"] if o["output_type"] == "error"]
    values = _values(cell)
    for output in cell["outputs"]:
        # A student's warning is no reason for 0 points: only the verdict counts.
        if output["output_type"] == "stream" and output["name"] == "stderr":
            output["name"] = "stdout"
    if errors:
        # nbgrader goes by the first of a value and an error; an error must win.
        cell["outputs"] = [o for o in cell["outputs"] if o["output_type"] != "execute_result"]
        last = errors[-1]
        return "" if last["ename"] == NO_VERDICT else f"{last['ename']}: {last['evalue']}"[:200]
    if len(values) == 1:
        text = join_text(values[0].get("data", {}).get("text/plain"))
        verdict, reason = parse_verdict(text, points)
        if verdict is not None:
            return ""
    else:
        count = "no value" if not values else f"{len(values)} values"
        reason = f"the cell gave {count}, a graded cell gives exactly one: score()'s float"
    cell["outputs"] = [o for o in cell["outputs"] if o["output_type"] != "execute_result"]
    cell["outputs"].append(no_verdict(f"no verdict: {reason}"))
    return reason


def _settle_assertions(cell: Any, points: float) -> str:
    """A cell of plain assertions: nbgrader's rules, but never a score above the maximum."""
    for output in _values(cell):
        text = join_text(output.get("data", {}).get("text/plain")).strip()
        try:
            too_much = float(text) > points
        except ValueError:
            continue
        if too_much:
            reason = f"its value is {text}, above the cell's maximum of {points:g}"
            cell["outputs"] = [no_verdict(f"no verdict: {reason}")]
            return reason
    return ""


def hints(cell: Any) -> list[str]:
    """The hints that a scored or checked cell shows, each as one line without its label."""
    found = HINT.findall(output_text(cell))
    return list(dict.fromkeys(" ".join(text.split()) for text in found))


def scored_cells(cells: list[Any]) -> list[tuple[str, Any]]:
    """Graded code cells by grade id, in order."""
    return [(grade_id(c), c) for c in cells if is_graded_code(c)]
