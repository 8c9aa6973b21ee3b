"""Edit solution cells by name: put another implementation where the reference stands."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from autograder.notebooks import parse_cell

ALTERNATIVE = re.compile(
    r"(?P<exercise>[A-Za-z]\w*?)__(?:(?P<torch>torch)__)?(?P<word>[a-z0-9]\w*)"
)
Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Alternative:
    """A valid alternative, as text that stands alone in a notebook.

    Attributes
    ----------
    exercise, track, name : str
        What it implements, where, and its full name in alternatives.py.
    source : str
        Its code with the helpers that it uses, renamed to the exercise.
    """

    exercise: str
    track: str
    name: str
    source: str


def without_markers(source: str) -> str:
    """A solution cell as a student would have written it."""
    lines = [line for line in source.splitlines() if not re.search(r"(BEGIN|END) SOLUTION", line)]
    return "\n".join(lines)


def rename(source: str, old: str, new: str) -> str:
    """Rename every use of a name."""
    return re.sub(rf"\b{re.escape(old)}\b", new, source)


def definition(source: str, name: str) -> Definition | None:
    """The cell's top-level function or class of that name."""
    tree = parse_cell(source)
    for node in tree.body if tree else []:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
    return None


def assigns(source: str, name: str) -> bool:
    """Whether the cell assigns a variable of that name at its top level."""
    tree = parse_cell(source)
    return any(
        isinstance(target, ast.Name) and target.id == name
        for node in (tree.body if tree else [])
        if isinstance(node, ast.Assign)
        for target in node.targets
    )


def replace_definition(source: str, name: str, new: str) -> str:
    """Put `new` where the cell defines `name`; the rest of the cell stays."""
    node = definition(source, name)
    if node is None:
        return source.rstrip() + "\n\n\n" + new.strip()
    lines = source.splitlines()
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    lines[first - 1 : node.end_lineno] = new.strip().splitlines()
    return "\n".join(lines)


def replace_body(source: str, name: str, body: str) -> str:
    """Replace what the function `name` does by other statements; its docstring goes too."""
    node = definition(source, name)
    if node is None:
        return source
    lines = source.splitlines()
    start = node.body[0].lineno - 1
    indent = " " * node.body[0].col_offset
    lines[start : node.end_lineno] = textwrap.indent(body, indent).splitlines()
    return "\n".join(lines)


def prepend_to_body(source: str, name: str, statement: str) -> str:
    """Put a statement at the start of the function `name`, after its docstring."""
    node = definition(source, name)
    if not isinstance(node, ast.FunctionDef):
        return source
    first = node.body[0]
    is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    if is_doc and len(node.body) == 1:
        return source
    target = node.body[1] if is_doc else first
    lines = source.splitlines()
    lines.insert(target.lineno - 1, " " * target.col_offset + statement)
    return "\n".join(lines)


def read_alternatives(path: Path) -> list[Alternative]:
    """All alternatives of an alternatives.py, in the order of the file; [] if there is none."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    helpers: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.startswith("_"):
            helpers[node.name] = node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id.startswith("_"):
                    helpers[target.id] = node
    found = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        match = ALTERNATIVE.fullmatch(node.name)
        if match is None or node.name.startswith("_"):
            continue
        parts = [_text(text, helper) for helper in _needed(node, helpers)]
        own = rename(_text(text, node), node.name, match["exercise"])
        track = "torch" if match["torch"] else "numpy"
        found.append(
            Alternative(match["exercise"], track, node.name, "\n\n\n".join([*parts, own]))
        )
    return found


def _text(text: str, node: ast.stmt) -> str:
    return textwrap.dedent("\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno]))


def _needed(node: ast.stmt, helpers: dict[str, ast.stmt]) -> list[ast.stmt]:
    """Helpers that a definition uses, directly or not, in the order of the file."""
    wanted: set[str] = set()
    queue = [node]
    while queue:
        names = {n.id for n in ast.walk(queue.pop()) if isinstance(n, ast.Name)}
        for name in sorted(names & helpers.keys() - wanted):
            wanted.add(name)
            queue.append(helpers[name])
    nodes = {id(helpers[name]): helpers[name] for name in wanted}
    return sorted(nodes.values(), key=lambda n: n.lineno)
