"""The vocabulary of the contract: a case, an operation, a question. Data only.

A case says what to call and what it probes; it holds no expected value. The runner in
`nnlib.checks` calls the reference and the candidate in the same way and compares.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: What a case can probe. The first kind earns most; the runner derives the last two from
#: every call, so that no author can forget them.
PROPERTIES = (
    "values",  # right numbers on ordinary inputs
    "kinks",  # right where the derivative jumps
    "edge sizes",  # one row, no rows, not square
    "stability",  # right for inputs up to 1e4
    "options",  # keyword arguments other than the defaults
    "integers in",  # whole numbers are accepted and give floats
    "PyTorch rules",  # registered, on the right device, no gradients that nobody needs
    "own memory",  # the result shares no memory with the inputs
    "errors",  # the stated error for bad input
    "repeatable",  # same rng, same result
    "dtype kept",  # float32 stays float32 (derived)
    "inputs kept",  # the caller's arrays are not modified (derived)
)


@dataclass(frozen=True)
class Rng:
    """Stands for a seeded generator: the runner makes the track's own kind from it."""

    seed: int


@dataclass(frozen=True)
class Case:
    """One call of one operation.

    Parameters
    ----------
    name
        What is special about this call, in plain words: "a batch of one".
    property
        Which of `PROPERTIES` it probes.
    args, options
        Positional and keyword arguments as plain data: NumPy arrays, numbers, strings,
        tuples, dicts, `Rng`. The runner turns arrays into tensors for the PyTorch track.
        For a backward (``forward`` set) these are the arguments of the *forward*.
    forward
        Name of the forward that makes the cache. The candidate then gets ``(dy, cache)``
        with ``dy`` drawn from ``seed``: never all ones, since some true gradients
        (softmax) vanish there.
    drive
        Name of the driver in `nnlib.checks.drivers` that performs the call.
    judge
        Name of the judge in `nnlib.checks.judges` that compares the results.
    rtol, atol
        Tolerances; None takes the default of the coarser dtype involved.
    raises, match
        For the property "errors": the type and a regular expression for its message.
    library
        Whether the case binds the library alone: an option that no assignment asks for.
    """

    name: str
    property: str
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    forward: str = ""
    drive: str = "call"
    judge: str = "close"
    seed: int = 0
    rtol: float | None = None
    atol: float | None = None
    raises: type[Exception] | None = None
    match: str = ""
    library: bool = False

    def __post_init__(self) -> None:
        if self.property not in PROPERTIES:
            raise ValueError(f"Case {self.name!r}: property must be one of {PROPERTIES}, "
                             f"got {self.property!r}.")


@dataclass(frozen=True)
class Operation:
    """A name that implementations provide, and how to probe it.

    Parameters
    ----------
    name, signature
        As the reader sees them: ``"linear_backward"``, ``"(dy, cache) -> LinearGrads"``.
    chapter, anchor
        Book page and section that teach it; hints point there.
    outputs
        Names of the results in order; one name for a single result. Each earns its own
        partial credit.
    make_cases
        ``make_cases(rng) -> list[Case]``: the same shapes and properties for every
        generator, other numbers. The public cases come from a fixed seed, the hidden ones
        from the course secret.
    tracks
        Which tracks provide it.
    weights
        Share of the points per property where it differs from the defaults of
        `nnlib.checks.report`.
    output_weights
        How a property's share is divided among the outputs, 1 each unless given: the output
        that an exercise is about can count for more.
    kind
        ``"function"``, ``"class"``, or ``"value"`` where the student hands in data.
    """

    name: str
    signature: str
    chapter: str
    anchor: str
    outputs: tuple[str, ...]
    make_cases: Callable[[np.random.Generator], Sequence[Case]]
    tracks: tuple[str, ...] = ("numpy", "torch")
    weights: Mapping[str, float] = field(default_factory=dict)
    output_weights: Mapping[str, float] = field(default_factory=dict)
    kind: str = "function"


@dataclass(frozen=True)
class Question:
    """A prediction with one right answer and, for every wrong one, what it reveals.

    Parameters
    ----------
    options
        Letter to option text, for a choice; empty for a number.
    answer
        The right letter, or the right number.
    why
        For each wrong letter the hint that names the misconception. For a number the key
        is the wrong number as text (``"64"``).
    tolerance
        Relative tolerance for numbers.
    """

    name: str
    prompt: str
    answer: str | float
    why: Mapping[str, str]
    chapter: str
    anchor: str
    options: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 1e-6
    tracks: tuple[str, ...] = ("numpy", "torch")
