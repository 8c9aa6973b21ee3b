"""No graded answer depends on another: leave one out, and every other still gets full points."""

import ast
import contextlib
import io
from pathlib import Path
from typing import Any

import jupytext
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "solutions").glob("*/*_*.md"))
STUB = "raise NotImplementedError"


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]


def solution_ids(path: Path) -> list[str]:
    return [cell.metadata["nn"]["id"] for cell in code_cells(path)
            if cell.metadata.get("nn", {}).get("role") == "solution"]


def without_solution(cell: Any) -> str:
    """What the student finds: the stub in place of the lines between the markers."""
    lines, inside = [], False
    for line in cell.source.splitlines():
        if "### BEGIN SOLUTION" in line:
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(indent + cell.metadata["nn"].get("stub", STUB))
            inside = True
        elif "### END SOLUTION" in line:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


def run(path: Path, left_out: str | None) -> dict[str, float]:
    """Execute the notebook's cells and return the share of points by graded cell."""
    names: dict[str, Any] = {"__name__": "__main__"}
    shares = {}
    for cell in code_cells(path):
        role = cell.metadata.get("nn", {})
        source = cell.source
        if role.get("role") == "solution" and role["id"] == left_out:
            source = without_solution(cell)
        if role.get("role") == "graded":
            expression = ast.Expression(ast.parse(source).body[-1].value)  # type: ignore[attr-defined]
            with contextlib.redirect_stdout(io.StringIO()):
                earned = eval(compile(expression, path.name, "eval"), names)
            shares[role["id"]] = earned / role["points"]
        elif role.get("role") != "check":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(source, path.name, "exec"), names)
    return shares


CASES = [pytest.param(path, name, id=f"{path.stem}-{name}")
         for path in NOTEBOOKS for name in solution_ids(path)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_whole_solution_is_full(path: Path) -> None:
    shares = run(path, None)
    assert shares
    assert all(share == 1.0 for share in shares.values())


@pytest.mark.parametrize(("path", "left_out"), CASES)
def test_one_left_out_costs_only_its_own_points(path: Path, left_out: str) -> None:
    lost = {name for name, share in run(path, left_out).items() if share < 1.0}
    assert len(lost) == 1
    assert lost <= {f"score_{left_out}", f"score_{left_out.removeprefix('answer_')}"}
