"""From judged cases to partial credit and a table that a student reads."""

import builtins
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nnlib.checks.run import Result
from nnlib.contract import Operation

#: Share of the points per property, before normalising. "values" is divided among the
#: outputs, so that a right dw earns its part beside a wrong db.
WEIGHTS: Mapping[str, float] = {
    "values": 6.0,
    "kinks": 1.0,
    "edge sizes": 1.0,
    "stability": 2.0,
    "options": 1.0,
    "integers in": 1.0,
    "PyTorch rules": 2.0,
    "own memory": 1.0,
    "errors": 1.0,
    "repeatable": 1.0,
    "dtype kept": 0.5,
    "inputs kept": 0.5,
}


@dataclass(frozen=True)
class Row:
    """One line of the table: a property of one output (or of the whole call)."""

    property: str
    output: str
    passed: bool
    cases: int
    message: str
    weight: float

    @builtins.property  # the field above hides the short name
    def label(self) -> str:
        """The property, with the output's name where there are several."""
        return f"{self.property} {self.output}".strip()


@dataclass(frozen=True)
class Report:
    """What `grade` found out about one implementation.

    Parameters
    ----------
    exercise, track
        What was probed.
    rows
        One per property and output.
    points_fraction
        Earned share, in [0, 1].
    hint
        What to look at next; "" when everything is right.
    mistake
        Name of the recognised mistake, or None.
    chapter, anchor
        Where the hint points.
    """

    exercise: str
    track: str
    rows: tuple[Row, ...]
    points_fraction: float
    hint: str = ""
    mistake: str | None = None
    chapter: str = ""
    anchor: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything is right."""
        return self.points_fraction == 1.0

    def __str__(self) -> str:
        """Return the table and the hint as plain text."""
        right = sum(row.passed for row in self.rows)
        lines = [f"{self.exercise}: {right} of {len(self.rows)} properties right"]
        width = max((len(row.label) for row in self.rows), default=0)
        shown: set[str] = set()
        for row in self.rows:
            mark = "pass" if row.passed else "FAIL"
            count = f"{row.cases} case{'s' if row.cases != 1 else ''}" if row.cases else ""
            # One exception often spoils every case: its text once is enough.
            fault = row.message.split(": ", 1)[-1]
            message = "as above" if fault in shown else row.message[:140]
            shown |= {fault} if fault else set()
            lines.append(f"  {mark}  {row.label:<{width}}  {message or count}".rstrip())
        if self.hint:
            lines += textwrap.wrap(f"Hint: {self.hint}", 96, break_on_hyphens=False)
            if self.chapter:
                lines.append(f"Reread: chapter {self.chapter}, section {self.anchor}")
        return "\n".join(lines)


def tabulate(operation: Operation, results: Iterable[Result]) -> tuple[tuple[Row, ...], float]:
    """Group judged cases into rows and return them with the earned share.

    A property other than "values" earns only where the ordinary values of that output are
    right: a function that returns zeros keeps every dtype and handles every size, and has
    earned nothing.
    """
    results = list(results)
    rows: list[Row] = []
    several = len(operation.outputs) > 1
    right_values: dict[str, bool] = {}
    properties = list(dict.fromkeys(result.case.property for result in results))
    properties.sort(key=lambda name: name != "values")
    for prop in properties:
        group = [result for result in results if result.case.property == prop]
        names = ("",) if prop == "errors" else operation.outputs
        for name in names:
            output = name or operation.outputs[0]
            misses = [result for result in group if output in result.differences]
            if prop == "values":
                right_values[output] = not misses
            passed = not misses and (prop == "values" or right_values.get(output, True)
                                     or prop == "errors")
            message = _message(misses, output) if misses else (
                "" if passed else "counts once the ordinary values are right")
            shares = {n: operation.output_weights.get(n, 1.0) for n in names}
            weight = _weight(operation, prop) * shares[name] / sum(shares.values())
            rows.append(Row(prop, output if several and name else "", passed, len(group),
                            message, weight))
    rows += _conduct(operation, results, any(right_values.values()))
    if not any(right_values.values()):
        return tuple(rows), 0.0
    total = sum(row.weight for row in rows)
    earned = sum(row.weight for row in rows if row.passed)
    return tuple(rows), 1.0 if all(row.passed for row in rows) else earned / total


def _conduct(operation: Operation, results: list[Result], credible: bool) -> list[Row]:
    """Rows that every call contributes to: types kept, inputs kept."""
    done = [result for result in results if result.case.raises is None]
    if operation.kind == "value" or not done:
        return []
    types = [result for result in done if result.dtype]
    modified = [result for result in done if result.trial.modified]
    returned = [result for result in done if result.trial.error is None]
    rows = []
    for prop, faults, text in (
        ("dtype kept", types, types[0].dtype if types else ""),
        ("inputs kept", modified,
         f"your code changed {', '.join(modified[0].trial.modified)}" if modified else ""),
    ):
        passed = credible and not faults and bool(returned)
        message = text or ("" if passed else "counts once the ordinary values are right")
        rows.append(Row(prop, "", passed, len(returned), message, _weight(operation, prop)))
    return rows


def _weight(operation: Operation, prop: str) -> float:
    return operation.weights.get(prop, WEIGHTS[prop])


def _message(misses: list[Result], output: str) -> str:
    """Show the first miss on a public case; of a hidden one only its kind."""
    for result in misses:
        if not result.hidden:
            return f"{result.case.name}: {result.differences[output].message}"
    kinds = {"error": "raised an error", "nan": "gave nan", "inf": "gave inf",
             "shape": "had a wrong shape"}
    kind = kinds.get(misses[0].differences[output].code, "were wrong")
    return f"{misses[0].case.name}: right on the shown inputs, but results {kind} on hidden ones"
