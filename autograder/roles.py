"""Which cells run where, and whom a name belongs to."""

from __future__ import annotations

import ast
import builtins
import re
from typing import Any

from autograder.notebooks import nbgrader_meta, parse_cell

STUDENT, GRADER, BOTH, NOTHING = "student", "grader", "both", ""
SETUP_TAG = "setup"


def role_of(cell: Any) -> str:
    """Where a cell runs when grading is split.

    A graded cell runs on the grader's side only, whatever its tags say: tags come from the
    submission. A locked cell without points runs on both sides where it defines something
    (imports, given data, helpers), and on the grader's side where it only shows something.
    """
    if cell["cell_type"] != "code" or not cell["source"].strip():
        return NOTHING
    meta = nbgrader_meta(cell)
    if meta.get("grade") and not meta.get("solution"):
        return GRADER
    if not meta.get("locked") or meta.get("solution"):
        return STUDENT
    if SETUP_TAG in cell.get("metadata", {}).get("tags", []) or bound_names(cell["source"]):
        return BOTH
    return GRADER


def bound_names(source: str) -> set[str]:
    """Names that a cell binds at its top level, also within its ``if``, ``for``, ``with``."""
    tree = parse_cell(source)
    if tree is None:
        # Magics: the cell may define anything.
        magic = any(line.lstrip().startswith("%") for line in source.splitlines())
        return {"%"} if magic else set()
    found: set[str] = set()
    _collect_bound(tree.body, found)
    return found


def _collect_bound(body: list[ast.stmt], found: set[str]) -> None:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.update((a.asname or a.name.split(".")[0]) for a in node.names)
            continue
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                found.update(
                    name.id for name in ast.walk(part)
                    if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
                )  # fmt: skip
        for field in ("body", "orelse", "finalbody"):
            inner = getattr(node, field, None)
            if isinstance(inner, list):
                _collect_bound(inner, found)
        for handler in getattr(node, "handlers", []):
            _collect_bound(handler.body, found)


def used_names(source: str) -> set[str]:
    """All names that a cell's code reads, in functions too."""
    tree = parse_cell(source)
    if tree is None:
        return set()
    return {node.id for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}  # fmt: skip


def asked_of_student(
    source: str, owned: dict[str, Any], student_names: frozenset[str],
    locked_names: frozenset[str] = frozenset(),
) -> list[str]:  # fmt: skip
    """Names that a locked cell takes from the student's notebook.

    What a locked cell bound or will bind, and Python's own functions, a student can't replace, not
    by deleting the locked cell either; except names that the instructor's solution cells define,
    and a locked placeholder that is None.
    """
    asked = []
    for name in sorted(used_names(source)):
        if name.startswith("__") or name in ("get_ipython", "In", "Out", "exit", "quit"):
            continue
        if name in student_names:
            asked.append(name)
        elif name in owned:
            if owned[name] is None:
                asked.append(name)
        elif not hasattr(builtins, name) and name not in locked_names:
            asked.append(name)
    return asked


USUAL = {
    "np": "import numpy as np", "numpy": "import numpy", "math": "import math",
    "pd": "import pandas as pd", "torch": "import torch", "pytest": "import pytest",
    "plt": "import matplotlib.pyplot as plt", "scipy": "import scipy",
    **{name: f"from numpy.testing import {name}" for name in (
        "assert_allclose", "assert_almost_equal", "assert_array_almost_equal", "assert_array_equal",
        "assert_array_less", "assert_equal", "assert_raises")},
    **{name: f"from nnlib.checks import {name}" for name in ("check", "score")},
}  # fmt: skip
"""What everybody means by some names."""


def usual_imports(cells: list[Any]) -> list[str]:
    """Imports that the locked cells surely rely on, where the instructor's version isn't known."""
    used: set[str] = set()
    for cell in cells:
        if role_of(cell) in (GRADER, BOTH):
            used |= used_names(cell["source"])
    return [line for name, line in USUAL.items() if name in used]


SHELL_NAMES = re.compile(r"_+|_i+|_i?\d+|_[iod]h")
"""Names that the shell itself binds."""


def instructors_parts(cells: list[Any]) -> dict[str, list[str]]:
    """What the instructor's own version of a notebook says about names.

    Parameters
    ----------
    cells : list of dict
        Cells of the source notebook, with their nbgrader metadata.

    Returns
    -------
    dict
        ``student_names``: bound by solution cells. ``locked_names``: bound by locked cells, even
        where a submission lacks them. ``imports``: import statements outside of solutions, which
        also hold on the grader's side, whatever a student binds to ``np``.
    """
    locked: set[str] = set()
    imports: list[str] = []
    for cell in cells:
        meta = nbgrader_meta(cell)
        if cell["cell_type"] != "code" or meta.get("solution"):
            continue
        if meta.get("locked") or meta.get("grade"):
            locked |= bound_names(cell["source"])
        imports += imports_of(cell["source"])
    return {
        "student_names": sorted(names_of_solutions(cells)),
        "locked_names": sorted(locked - {"%"}),
        "imports": list(dict.fromkeys(imports)),
    }


def imports_of(source: str) -> list[str]:
    """Import statements at a cell's top level."""
    tree = parse_cell(source)
    body = tree.body if tree is not None else []
    return [ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom)]


def names_of_solutions(cells: list[Any]) -> set[str]:
    """Names that the instructor's own solution cells bind: those belong to the student."""
    found: set[str] = set()
    for cell in cells:
        if cell["cell_type"] == "code" and nbgrader_meta(cell).get("solution"):
            found |= bound_names(cell["source"])
    return found - {"%"}
