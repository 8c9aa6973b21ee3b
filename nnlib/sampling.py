"""What a search draws from: ranges of numbers and lists of choices.

Every kind turns a number from 0 to 1 into a value. A search therefore needs nothing but uniform
draws, from the generator of either track, and can take a small step from a value to a neighbour.
Calling a kind with the number gives the value, too: ``LogUniform(0.001, 0.1)(0.5)``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nnlib.errors import DtypeError, check_count, check_number

__all__ = [
    "Choice",
    "IntUniform",
    "LogIntUniform",
    "LogUniform",
    "Uniform",
    "draw_settings",
    "mutate_settings",
    "unit_draws",
]

#: Returns the next number from 0 to 1, 1 excluded.
Draw = Callable[[], float]


class Distribution(Protocol):
    """What the search needs of a range."""

    def at(self, place: float) -> Any:
        """Return the value at a place from 0 to 1."""

    def place(self, value: Any) -> float | None:
        """Return the place of a value; None where neighbours mean nothing."""


class _Callable:
    """Lets a range be called: ``kind(place)`` is ``kind.at(place)``."""

    def __call__(self, place: float) -> Any:
        """Return the value at a place from 0 to 1."""
        return self.at(place)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Uniform(_Callable):
    """Numbers from ``low`` to ``high``, all equally likely.

    Examples
    --------
    >>> Uniform(-1.0, 3.0).at(0.25)
    0.0
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_ends("Uniform", self.low, self.high)

    def at(self, place: float) -> float:
        """Return the value at a place from 0 to 1."""
        return self.low + place * (self.high - self.low)

    def place(self, value: float) -> float:
        """Return the place of a value."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class LogUniform(_Callable):
    """Positive numbers from ``low`` to ``high`` whose logarithms are all equally likely.

    As many draws fall between 0.001 and 0.01 as between 0.01 and 0.1: right for learning rates
    and strengths, of which only the order of magnitude matters at first.

    Examples
    --------
    >>> round(LogUniform(0.001, 0.1).at(0.5), 6)
    0.01
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        check_number("LogUniform", "low", self.low, above=0)
        _check_ends("LogUniform", self.low, self.high)

    def at(self, place: float) -> float:
        """Return the value at a place from 0 to 1."""
        value = self.low * math.exp(place * math.log(self.high / self.low))
        return min(max(value, self.low), self.high)

    def place(self, value: float) -> float:
        """Return the place of a value."""
        return math.log(value / self.low) / math.log(self.high / self.low)


@dataclass(frozen=True)
class IntUniform(_Callable):
    """Integers from ``low`` to ``high``, both included, all equally likely.

    Examples
    --------
    >>> [IntUniform(1, 3).at(place) for place in (0.0, 0.5, 0.99)]
    [1, 2, 3]
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        _check_int_ends("IntUniform", self.low, self.high)

    def at(self, place: float) -> int:
        """Return the value at a place from 0 to 1."""
        return min(self.low + int(place * (self.high - self.low + 1)), self.high)

    def place(self, value: int) -> float:
        """Return the middle of the places of a value."""
        return (value - self.low + 0.5) / (self.high - self.low + 1)


@dataclass(frozen=True)
class LogIntUniform(_Callable):
    """Positive integers from ``low`` to ``high``, both included, by order of magnitude.

    For widths and batch sizes: 16 to 32 is as likely as 128 to 256.

    Examples
    --------
    >>> [LogIntUniform(1, 100).at(place) for place in (0.0, 0.5, 0.999)]
    [1, 7, 100]
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        check_count("LogIntUniform", "low", self.low, minimum=1)
        _check_int_ends("LogIntUniform", self.low, self.high)

    def at(self, place: float) -> int:
        """Return the value at a place from 0 to 1."""
        # Half a unit more at each end, so that low and high get a whole interval.
        low, high = self.low - 0.5, self.high + 0.5
        value = round(low * math.exp(place * math.log(high / low)))
        return min(max(value, self.low), self.high)

    def place(self, value: int) -> float:
        """Return the place of a value."""
        low, high = self.low - 0.5, self.high + 0.5
        return math.log(value / low) / math.log(high / low)


@dataclass(frozen=True, init=False)
class Choice(_Callable):
    """One of several options, all equally likely.

    Examples
    --------
    >>> Choice(["relu", "tanh"]).at(0.7)
    'tanh'
    """

    options: tuple[Any, ...]

    def __init__(self, options: Sequence[Any]) -> None:
        if len(options) == 0:
            raise ValueError("Choice: options must hold at least one, got none.")
        object.__setattr__(self, "options", tuple(options))

    def at(self, place: float) -> Any:
        """Return the option at a place from 0 to 1."""
        return self.options[min(int(place * len(self.options)), len(self.options) - 1)]

    def place(self, value: Any) -> None:
        """Return None: options have no order, so none is the neighbour of another."""
        return None


def unit_draws(caller: str, rng: Any) -> Draw:
    """Return a function that draws numbers from 0 to 1 from the generator of either track.

    Examples
    --------
    >>> import numpy as np
    >>> draw = unit_draws("random_search", np.random.default_rng(0))
    >>> 0 <= draw() < 1
    True
    """
    kind = f"{type(rng).__module__}.{type(rng).__name__}"
    if kind.startswith("torch") and kind.endswith("Generator"):
        import torch

        return lambda: float(
            torch.rand((), generator=rng, dtype=torch.float64, device=rng.device)
        )
    if kind.startswith("numpy.random") and kind.endswith("Generator"):
        return lambda: float(rng.random())
    raise DtypeError(
        f"{caller}: rng must be a numpy.random.Generator or a torch.Generator, got "
        f"{type(rng).__name__}. Use np.random.default_rng(0)."
    )


def draw_settings(space: Mapping[str, Distribution], draw: Draw) -> dict[str, Any]:
    """Draw one value for every name, in the order of the names in ``space``."""
    return {name: kind.at(draw()) for name, kind in space.items()}


def mutate_settings(
    space: Mapping[str, Distribution],
    settings: Mapping[str, Any],
    draw: Draw,
    *,
    mutation_prob: float,
    mutation_scale: float,
) -> dict[str, Any]:
    """Change each value with some probability: by a normal step in place, or drawn anew."""
    changed = dict(settings)
    for name, kind in space.items():
        if draw() >= mutation_prob:
            continue
        place = kind.place(settings[name])
        if place is None:
            changed[name] = kind.at(draw())
            continue
        # Two uniform numbers give a normal one (Box and Muller). The ends reflect.
        normal = math.sqrt(-2 * math.log(1 - draw())) * math.cos(2 * math.pi * draw())
        place = abs(place + mutation_scale * normal) % 2
        changed[name] = kind.at(min(place, 2 - place))
    return changed


def check_space(caller: str, space: Any) -> None:
    """Require a dict from names to something to draw from."""
    if not isinstance(space, Mapping):
        raise DtypeError(f"{caller}: space must be a dict, got {type(space).__name__}.")
    if not space:
        raise ValueError(f"{caller}: space must not be empty. There is nothing to search.")
    for name, kind in space.items():
        if not (hasattr(kind, "at") and hasattr(kind, "place")):
            raise DtypeError(
                f"{caller}: space[{name!r}] must be a Uniform, LogUniform, IntUniform, "
                f"LogIntUniform or Choice, got {type(kind).__name__}."
            )


def _check_ends(caller: str, low: float, high: float) -> None:
    check_number(caller, "low", low)
    check_number(caller, "high", high, above=low)


def _check_int_ends(caller: str, low: int, high: int) -> None:
    check_count(caller, "low", low, minimum=-(2**62))
    check_count(caller, "high", high, minimum=low + 1)
