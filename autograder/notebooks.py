"""Notebooks as data: read the author's text, write canonical bytes, look into cells."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.course import hash_text, write_atomic

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
ROLES = ("setup", "solution", "check", "graded")


@dataclass(frozen=True)
class ScoreCall:
    """The call that a graded cell ends in: ``score("name", name, ..., points=3)``."""

    exercise: str
    impl: str
    points: float
    track: str


def parse_cell(source: str) -> ast.Module | None:
    """Syntax tree of a code cell, None where it isn't plain Python."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return None


def last_call(source: str, function: str) -> ast.Call | None:
    """The cell's last expression if it is a visible call of `function`, else None."""
    tree = parse_cell(source)
    # IPython doesn't display a last expression that a semicolon follows.
    code_lines = [line for line in source.splitlines() if line.strip() and line.strip()[0] != "#"]
    if tree is None or not tree.body or code_lines[-1].split("#")[0].rstrip().endswith(";"):
        return None
    node = tree.body[-1]
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return None
    call = node.value
    if not isinstance(call.func, ast.Name) or call.func.id != function:
        return None
    return call


def score_call(source: str) -> ScoreCall | None:
    """Parse a graded cell's last expression; None unless it has the one accepted form."""
    call = last_call(source, "score")
    if call is None or len(call.args) != 2:
        return None
    name, impl = call.args
    keywords = {k.arg: k.value for k in call.keywords}
    points, track = keywords.get("points"), keywords.get("track")
    if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
        return None
    if not isinstance(impl, ast.Name) or not isinstance(points, ast.Constant):
        return None
    if isinstance(points.value, bool) or not isinstance(points.value, int | float):
        return None
    label = track.value if isinstance(track, ast.Constant) else "numpy"
    return ScoreCall(name.value, impl.id, float(points.value), str(label))


def ends_in_score(source: str) -> bool:
    """Whether the cell's verdict is what `score` returns."""
    return last_call(source, "score") is not None


def nbgrader_meta(cell: Any) -> dict[str, Any]:
    """A cell's nbgrader metadata, {} where it has none or it is damaged."""
    meta = cell.get("metadata", {}).get("nbgrader")
    return meta if isinstance(meta, dict) else {}


def grade_id(cell: Any) -> str:
    """A cell's grade id, "" where it has none."""
    value = nbgrader_meta(cell).get("grade_id", "")
    return value if isinstance(value, str) else ""


def cell_label(cells: list[Any], index: int) -> str:
    """How messages name a cell: by its grade id, else by number and first line."""
    identifier = grade_id(cells[index])
    if identifier:
        return f"cell {identifier}"
    number = sum(1 for c in cells[: index + 1] if c["cell_type"] == "code")
    lines = [line.strip() for line in cells[index]["source"].splitlines() if line.strip()]
    first = f" ({lines[0][:40]!r})" if lines else ""
    return f"code cell {number}{first}"


def read_myst(path: Path) -> list[dict[str, Any]]:
    """Read a MyST text notebook into plain cells (cell_type, source, metadata)."""
    import jupytext

    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="md:myst")
    return [
        {
            "cell_type": cell["cell_type"],
            "source": cell["source"].replace("\r\n", "\n"),
            "metadata": json.loads(json.dumps(cell["metadata"])),
        }
        for cell in notebook["cells"]
    ]


def stable_ids(anchors: list[str]) -> list[str]:
    """Cell ids that survive edits elsewhere in the notebook.

    Parameters
    ----------
    anchors : list of str
        One entry a cell: its grade id, or "" for a plain cell.

    Returns
    -------
    list of str
        A plain cell is named after the last cell with a grade id before it.

    Examples
    --------
    >>> stable_ids(["", "setup", "", ""])
    ['start-1', 'setup', 'setup-1', 'setup-2']
    """
    ids: list[str] = []
    seen: set[str] = set()
    anchor, count = "start", 0
    for name in anchors:
        if name:
            anchor, count = re.sub(r"[^A-Za-z0-9_-]", "-", name), 0
            label = anchor
        else:
            count += 1
            label = f"{anchor}-{count}"
        if len(label) > 60 or label in seen:
            label = f"{label[:44]}-{hash_text(label, str(len(ids)))[:12]}"
        seen.add(label)
        ids.append(label)
    return ids


def canonical(notebook: dict[str, Any]) -> str:
    """The one text form of a notebook, the same on every machine.

    It is byte for byte what nbformat writes: indent 1, sorted keys, lines of source as a list.
    """
    import nbformat

    node = nbformat.from_dict(notebook)
    return str(nbformat.writes(node, version=4)).rstrip("\n") + "\n"


def write_notebook(path: Path, notebook: dict[str, Any]) -> None:
    """Write a notebook in its canonical form."""
    write_atomic(path, canonical(notebook))


def read_notebook(path: Path) -> Any:
    """Read a notebook that is known to be well formed, as nbformat 4."""
    import nbformat

    return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)


def join_text(value: Any) -> str:
    """Notebook files hold text as a string or as a list of lines."""
    return "".join(str(part) for part in value) if isinstance(value, list) else str(value or "")


def output_text(cell: Any) -> str:
    """All text that a cell printed or displayed, in order, without its final value."""
    parts: list[str] = []
    for output in cell.get("outputs", []):
        kind = output.get("output_type")
        if kind == "stream":
            parts.append(join_text(output.get("text")))
        elif kind == "display_data":
            parts.append(join_text(output.get("data", {}).get("text/plain")))
        elif kind == "error":
            parts.append(f"{output.get('ename')}: {output.get('evalue')}")
    return "\n".join(part.rstrip("\n") for part in parts if part)
