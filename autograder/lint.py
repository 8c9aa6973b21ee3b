"""What makes an assignment unfit for release, found before a student sees it.

`lint_source` looks at the author's cells, `lint_release` at the notebook that students would get.
Both return every problem that they find.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from autograder.errors import Problem
from autograder.notebooks import ROLES, last_call, parse_cell, score_call

MARKER = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)")
IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
FORBIDDEN_IMPORT = re.compile(
    r"nnlib\s*\.\s*(numpy_track|torch_track|mistakes)"
    r"|from\s+nnlib\s+import\s[^#\n]*\b(numpy_track|torch_track|mistakes)\b"
)
SECRET_WORDS = re.compile(r"course_secret|NNCOURSE_SECRET", re.IGNORECASE)
# Lines that any two programs share say nothing about the solution.
TRIVIAL_START = (
    "import ", "from ", "def ", "class ", "@", "for ", "while ", "if ", "elif ", "else", "try",
    "except", "finally", "with ", "raise ", "pass", "#", '"', "'", "assert ", "print(",
)  # fmt: skip
MIN_LEAK_LENGTH = 14


@dataclass(frozen=True)
class Place:
    """Where a cell is, for messages."""

    file: str
    number: int
    identifier: str
    line: int

    def words(self) -> str:
        """Read as ``cell 4 (relu_forward), line 31``."""
        name = f" ({self.identifier})" if self.identifier else ""
        line = f", line {self.line}" if self.line else ""
        return f"cell {self.number}{name}{line}"


def role_of(cell: dict[str, Any]) -> dict[str, Any]:
    """The author's ``nn`` block of a cell, {} where there is none."""
    block = cell["metadata"].get("nn", {})
    return block if isinstance(block, dict) else {"role": repr(block)}


def locate(raw: str, cell: dict[str, Any]) -> int:
    """1-based line of a cell's first text in its file; 0 where it can't be told."""
    first = next((line for line in cell["source"].splitlines() if line.strip()), None)
    if first is None:
        return 0
    lines = raw.splitlines()
    hits = [i for i, line in enumerate(lines, start=1) if line.rstrip() == first.rstrip()]
    if len(hits) == 1:
        return hits[0]
    identifier = role_of(cell).get("id")
    for number, line in enumerate(lines, start=1):
        if identifier and re.search(rf"\bid:\s*{re.escape(str(identifier))}\b", line):
            return number
    return hits[0] if hits else 0


def solution_lines(source: str) -> list[str]:
    """The lines between solution markers, stripped."""
    lines: list[str] = []
    inside = False
    for line in source.splitlines():
        if "BEGIN SOLUTION" in line:
            inside = True
        elif "END SOLUTION" in line:
            inside = False
        elif inside:
            lines.append(line.strip())
    return lines


def lint_source(file: str, cells: list[dict[str, Any]], raw: str = "") -> list[Problem]:
    """Check the author's cells of one notebook.

    Parameters
    ----------
    file : str
        Path for messages.
    cells : list of dict
        Cells as `autograder.notebooks.read_myst` returns them.
    raw : str
        The file's text, for line numbers.
    """
    problems: list[Problem] = []
    identifiers = Counter(str(role_of(c).get("id", "")) for c in cells if role_of(c))
    defined: set[str] = set()
    for number, cell in enumerate(cells, start=1):
        block = role_of(cell)
        place = Place(file, number, str(block.get("id", "")), locate(raw, cell)).words()

        def add(rule: str, text: str, fix: str, place: str = place) -> None:
            problems.append(Problem(file, place, rule, text, fix))

        _lint_identity(cell, block, identifiers, add)
        _lint_markers(cell, block, add)
        if cell["cell_type"] == "code" and not _lint_syntax(cell, add):
            continue
        _lint_role(cell, block, defined, add)
        defined |= _defined_names(cell)
    return problems


def _lint_identity(
    cell: dict[str, Any], block: dict[str, Any], identifiers: Counter[str], add: Any
) -> None:
    if "nbgrader" in cell["metadata"]:
        add(
            "raw-nbgrader",
            "the cell carries nbgrader metadata of its own",
            "write `nn: {role: ..., id: ...}` instead, release expands it",
        )
    if not block:
        return
    role, identifier = block.get("role"), block.get("id")
    if role not in ROLES:
        add(
            "unknown-role",
            f"role {role!r} is none of {', '.join(ROLES)}",
            "correct the role, or drop `nn` if this is a plain cell",
        )
    if cell["cell_type"] != "code":
        add("role-on-text", "only code cells can have a role", "drop `nn` from this text cell")
    if not identifier:
        add("missing-id", "the cell has a role but no id", "add `id: <name>` to its `nn` block")
    elif not IDENTIFIER.fullmatch(str(identifier)):
        add(
            "bad-id",
            f"id {identifier!r} isn't letters, digits, _ or - starting with a letter",
            "use the exercise's name, with check_ or score_ in front for those cells",
        )
    elif identifiers[str(identifier)] > 1:
        add(
            "repeated-id",
            f"id {identifier!r} is used by {identifiers[str(identifier)]} cells",
            "give each cell of a notebook its own id",
        )


def _lint_markers(cell: dict[str, Any], block: dict[str, Any], add: Any) -> None:
    role = block.get("role")
    allowed = {"solution": ["SOLUTION"], "graded": ["HIDDEN TESTS"]}.get(str(role), [])
    opened: str | None = None
    regions = 0
    for line in cell["source"].splitlines():
        found = MARKER.search(line)
        if not found:
            continue
        edge, kind = found.groups()
        marker = f"### {edge} {kind}"
        if kind not in allowed:
            where = f"a {role} cell" if role else "a cell without a role"
            add(
                "stray-marker",
                f"`{marker}` stands in {where}",
                "only solution cells hold solutions: set `role: solution` or remove the marker",
            )
        elif edge == "BEGIN" and opened:
            add("nested-marker", f"`{marker}` inside an open {opened} region", "close it first")
        elif edge == "END" and opened != kind:
            add("unbalanced-marker", f"`{marker}` without its BEGIN", f"add `### BEGIN {kind}`")
        opened = kind if edge == "BEGIN" else None
        regions += edge == "BEGIN" and kind == "SOLUTION"
    if opened and opened in allowed:
        add("unbalanced-marker", f"`### BEGIN {opened}` is never closed", f"add `### END {opened}`")
    if role == "solution" and not regions:
        add(
            "no-solution-markers",
            "a solution cell without `### BEGIN SOLUTION`: all of it would be replaced",
            "put the markers around what the student writes",
        )


def _lint_syntax(cell: dict[str, Any], add: Any) -> bool:
    if cell["source"].lstrip().startswith("%") or parse_cell(cell["source"]) is not None:
        return True
    try:
        ast.parse(cell["source"])
    except (SyntaxError, ValueError) as error:
        add("syntax", f"the cell isn't valid Python: {error}", "correct it")
    return False


def _lint_role(
    cell: dict[str, Any], block: dict[str, Any], defined: set[str], add: Any
) -> None:
    role, source = block.get("role"), cell["source"]
    if role == "check" and last_call(source, "check") is None:
        add(
            "no-check",
            "a check cell must end in `check(...)`",
            'end it with `check("<exercise>", <exercise>)`',
        )
    if role == "solution" and "stub" in block and parse_cell(str(block["stub"])) is None:
        add("bad-stub", f"the stub {block['stub']!r} isn't valid Python", "correct the stub")
    if role != "graded":
        return
    call = score_call(source)
    if call is None:
        add(
            "no-score",
            "a graded cell's last expression must be `score(<str>, <name>, ..., points=N)`",
            'end it with `score("<exercise>", <exercise>, points=N)`, without a semicolon',
        )
        return
    points = block.get("points")
    if isinstance(points, bool) or not isinstance(points, int | float) or points <= 0:
        add("no-points", f"points is {points!r}", f"add `points: {call.points:g}` to `nn`")
    elif float(points) != call.points:
        add(
            "points-mismatch",
            f"metadata says {points:g} points, score() says {call.points:g}",
            "make both the same number",
        )
    if call.impl not in defined:
        add(
            "unknown-name",
            f"`{call.impl}` isn't defined in any cell before this one",
            "score what the solution cell defines",
        )


def _defined_names(cell: dict[str, Any]) -> set[str]:
    tree = parse_cell(cell["source"]) if cell["cell_type"] == "code" else None
    names: set[str] = set()
    for node in tree.body if tree else []:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        names |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)
                  and isinstance(n.ctx, ast.Store)}  # fmt: skip
    return names


def is_telling(line: str) -> bool:
    """Whether a solution line, seen elsewhere, would give something away."""
    code = line.split("  #")[0].strip()
    if code.startswith(TRIVIAL_START) or re.fullmatch(r"return [\w, .()]*", code):
        return False
    return len(_squeeze(code)) >= MIN_LEAK_LENGTH and bool(re.search(r"[-+*/@(\[]", code))


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text)


def lint_release(
    file: str, cells: list[dict[str, Any]], released: list[Any]
) -> list[Problem]:
    """Check the notebook that students would get against the solutions it came from.

    Parameters
    ----------
    file : str
        Path of the source, for messages.
    cells : list of dict
        The author's cells.
    released : list of cells
        The cells after nbgrader's conversion.
    """
    problems: list[Problem] = []
    telling: dict[str, str] = {}
    for cell in cells:
        block = role_of(cell)
        if block.get("role") == "solution":
            shown = {_squeeze(str(line)) for line in block.get("may_show", [])}
            for line in filter(is_telling, solution_lines(cell["source"])):
                squeezed = _squeeze(line.split("  #")[0])
                if squeezed not in shown:
                    telling[squeezed] = str(block.get("id", ""))
    for number, cell in enumerate(released, start=1):
        name = str(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))
        place = f"released {Place(file, number, name, 0).words()}"
        if MARKER.search(cell["source"]):
            problems.append(Problem(
                file, place, "leak-marker", "a solution or hidden-test region is still there",
                "write the markers as `### BEGIN SOLUTION` and `### END SOLUTION`",
            ))  # fmt: skip
        if SECRET_WORDS.search(cell["source"]):
            problems.append(Problem(
                file, place, "leak-secret", "the cell speaks of the course secret",
                "students must not see it: leave it to score()",
            ))  # fmt: skip
        if cell["cell_type"] == "code" and FORBIDDEN_IMPORT.search(cell["source"]):
            problems.append(Problem(
                file, place, "leak-import",
                "the cell uses the reference tracks or the list of mistakes",
                "give what the task needs in its setup cell",
            ))  # fmt: skip
        for line in cell["source"].splitlines():
            if (hit := _leaked(line, cell["cell_type"], telling)) is not None:
                problems.append(Problem(
                    file, place, "leak-solution",
                    f"a line of the solution of {hit} stands here: {line.strip()!r}",
                    "reword it, or list the line under `may_show` in the solution's `nn` block",
                ))  # fmt: skip
    return problems


def _leaked(line: str, cell_type: str, telling: dict[str, str]) -> str | None:
    squeezed = _squeeze(line.split("  #")[0])
    if cell_type == "code":
        return telling.get(squeezed)
    return next((name for text, name in telling.items() if text in squeezed), None)
