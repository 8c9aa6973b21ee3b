"""The table of a model: what each layer makes of its input, what it holds, and what it costs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from nnlib.errors import DtypeError, ShapeError, check_count, format_shape


class SummaryRow(NamedTuple):
    """One layer in the table; ``parameters`` and ``multiply_adds`` are None for a container."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int | None
    multiply_adds: int | None


def check_input_shape(caller: str, shape: Any) -> tuple[int, ...]:
    """Require the shape of one example as a tuple of positive integers.

    Examples
    --------
    >>> check_input_shape("Linear.summary", [1, 28, 28])
    (1, 28, 28)
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise DtypeError(
            f"{caller}: input_shape must be a tuple, the shape of one example without the batch "
            f"axis, got {shape!r}. For example (784,) or (1, 28, 28)."
        )
    for size in shape:
        check_count(caller, "each of input_shape", size, minimum=1)
    return tuple(int(size) for size in shape)


def require_axes(
    caller: str, shape: tuple[int, ...], pattern: Sequence[int | str], hint: str = ""
) -> None:
    """Require the shape of one example; a string in the pattern stands for any size."""
    if len(shape) != len(pattern) or any(
        want != size for want, size in zip(pattern, shape, strict=True) if isinstance(want, int)
    ):
        raise ShapeError(
            f"{caller}: one example must have shape {format_shape(pattern)}, got "
            f"{format_shape(shape)}. {hint}".rstrip()
        )


def require_last(caller: str, shape: tuple[int, ...], size: int, hint: str = "") -> None:
    """Require the size of the last axis of one example."""
    if not shape or shape[-1] != size:
        raise ShapeError(
            f"{caller}: one example must have shape (..., {size}), got {format_shape(shape)}. "
            f"{hint}".rstrip()
        )


def format_summary(rows: Sequence[SummaryRow], input_shape: tuple[int, ...]) -> str:
    """Write the table with a first line for the input and a last one for the totals.

    Examples
    --------
    >>> rows = [SummaryRow("0", "Linear", (10,), 7850, 7840)]
    >>> print(format_summary(rows, (784,)))
    layer     output shape  parameters  multiply-adds
    -------------------------------------------------
    input     (n, 784)
    0 Linear  (n, 10)            7,850          7,840
    -------------------------------------------------
    total                        7,850          7,840
    """
    table: list[tuple[str, ...]] = [("input", format_shape(("n", *input_shape)), "", "")]
    for row in rows:
        name = f"{'  ' * row.name.count('.')}{row.name} {row.kind}".rstrip()
        counts = ("" if count is None else f"{count:,}"
                  for count in (row.parameters, row.multiply_adds))
        table.append((name, format_shape(("n", *row.output_shape)), *counts))
    parameters = sum(row.parameters or 0 for row in rows)
    multiply_adds = sum(row.multiply_adds or 0 for row in rows)
    head = ("layer", "output shape", "parameters", "multiply-adds")
    foot = ("total", "", f"{parameters:,}", f"{multiply_adds:,}")
    widths = [max(len(line[place]) for line in (head, *table, foot)) for place in range(4)]

    def write(line: tuple[str, ...]) -> str:
        left = (line[place].ljust(widths[place]) for place in (0, 1))
        right = (line[place].rjust(widths[place]) for place in (2, 3))
        return "  ".join((*left, *right)).rstrip()

    rule = "-" * (sum(widths) + 6)
    return "\n".join([write(head), rule, *map(write, table), rule, write(foot)])

