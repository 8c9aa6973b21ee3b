"""What the case tables share: one table of inputs serves a forward and its backward."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnlib.contract.case import Case


class Inputs(NamedTuple):
    """Arguments of a forward, what is special about them, and the property they probe."""

    name: str
    property: str
    args: tuple[Any, ...]
    options: dict[str, Any] = {}


MakeInputs = Callable[[np.random.Generator], Sequence[Inputs]]


def forward_cases(rng: np.random.Generator, make_inputs: MakeInputs) -> list[Case]:
    """Turn inputs into cases for the forward."""
    return [
        Case(i.name, i.property, i.args, i.options, drive="forward") for i in make_inputs(rng)
    ]


def backward_cases(
    rng: np.random.Generator, make_inputs: MakeInputs, forward: str
) -> list[Case]:
    """Turn the same inputs into cases for the backward of ``forward``."""
    return [
        Case(
            i.name, i.property, i.args, i.options,
            forward=forward, drive="backward", seed=int(rng.integers(2**31)),
        )
        for i in make_inputs(rng)
    ]


def error_case(
    name: str,
    args: tuple[Any, ...],
    raises: type[Exception],
    match: str,
    options: dict[str, Any] | None = None,
) -> Case:
    """Make a case that must raise ``raises`` with a message that matches ``match``."""
    return Case(name, "errors", args, options or {}, raises=raises, match=match)
