"""Comparing a result with the expected one, and saying in words how they differ."""

from dataclasses import dataclass
from typing import Any

import numpy as np

#: (rtol, atol) by the expected floating type. Wide enough for another order of summation or an
#: equivalent formula, far narrower than any mistake.
TOLERANCES = {"float64": (1e-7, 1e-9), "float32": (2e-4, 2e-5), "float16": (1e-2, 1e-2)}
#: For a float32 result where float64 is expected: rounding, and no more.
ROUNDED_TO_FLOAT32 = (1e-6, 1e-7)


@dataclass(frozen=True)
class Difference:
    """How a result misses: a machine-readable code and a sentence."""

    code: str
    message: str


def compare(
    got: Any, expected: Any, *, rtol: float | None = None, atol: float | None = None
) -> Difference | None:
    """Return None where ``got`` equals ``expected`` within tolerance, else the difference.

    Parameters
    ----------
    got, expected
        Plain values (`nnlib.checks.tracks.to_plain`): arrays, numbers, strings, None, and
        tuples, lists or dicts of them. A tuple and a list of the same items are equal.
    rtol, atol
        ``|got - expected| <= atol + rtol * |expected|`` must hold everywhere. None takes
        `TOLERANCES`.
    """
    if got is None and expected is not None:
        return Difference("none", "got None: is the `return` missing?")
    if expected is None:
        return None if got is None else Difference("type", f"expected None, got {describe(got)}")
    if isinstance(expected, dict):
        return _compare_dicts(got, expected, rtol, atol)
    if isinstance(expected, tuple | list):
        return _compare_sequences(got, expected, rtol, atol)
    if isinstance(expected, str):
        same = isinstance(got, str) and got == expected
        return None if same else Difference("values", f"expected {expected!r}, got {got!r}")
    return _compare_arrays(got, expected, rtol, atol)


def _compare_dicts(got: Any, expected: dict, rtol: float | None, atol: float | None
                   ) -> Difference | None:
    if not isinstance(got, dict):
        return Difference("type", f"expected a dict, got {describe(got)}")
    if set(got) != set(expected):
        return Difference("keys", f"expected the keys {sorted(map(str, expected))}, "
                                  f"got {sorted(map(str, got))}")
    for key, value in expected.items():
        difference = compare(got[key], value, rtol=rtol, atol=atol)
        if difference:
            return Difference(difference.code, f"[{key!r}]: {difference.message}")
    return None


def _compare_sequences(got: Any, expected: tuple | list, rtol: float | None, atol: float | None
                       ) -> Difference | None:
    if not isinstance(got, tuple | list):
        return Difference("type", f"expected {len(expected)} results, got {describe(got)}")
    if len(got) != len(expected):
        return Difference("length", f"expected {len(expected)} items, got {len(got)}")
    for index, (one, other) in enumerate(zip(got, expected, strict=True)):
        difference = compare(one, other, rtol=rtol, atol=atol)
        if difference:
            return Difference(difference.code, f"item {index}: {difference.message}")
    return None


def _compare_arrays(got: Any, expected: Any, rtol: float | None, atol: float | None
                    ) -> Difference | None:
    want = np.asarray(expected)
    if not isinstance(got, np.ndarray | bool | int | float | complex | np.generic):
        return Difference("type", f"expected {describe(want)}, got {describe(got)}")
    have = np.asarray(got)
    if have.dtype == object:
        return Difference("type", f"expected {describe(want)}, got {describe(got)}")
    if have.shape != want.shape:
        return Difference("shape", f"expected shape {want.shape}, got {have.shape}")
    if want.size == 0:
        return None
    if want.dtype.kind in "biu":
        wrong = have != want
    else:
        if have.dtype.kind == "c":
            return Difference("type", "expected real numbers, got complex ones")
        close = np.isclose(have.astype(np.float64), want.astype(np.float64),
                           *_tolerance(have, want, rtol, atol), equal_nan=True)
        wrong = ~close
    if not wrong.any():
        return None
    if have.dtype.kind == "f" and not np.isfinite(have).all() and np.isfinite(want).all():
        kind = "nan" if np.isnan(have).any() else "inf"
        return Difference(kind, f"{kind} in {int((~np.isfinite(have)).sum())} of {have.size} "
                                f"places, first at {_first(~np.isfinite(have))}")
    return Difference("values", _values_message(have, want, wrong))


def _tolerance(have: np.ndarray, want: np.ndarray, rtol: float | None, atol: float | None
               ) -> tuple[float, float]:
    """Take the tolerance of the expected type: a coarse result must not buy itself a wide one.

    Only the rounding of a right float64 result to float32 is forgiven, since its type is judged
    elsewhere. Tolerances that a case states are binding, unless the expected type is too coarse
    to keep them.
    """
    default = TOLERANCES.get(want.dtype.name, TOLERANCES["float64"])
    if want.dtype.name in ("float32", "float16"):
        return (max(rtol or 0.0, default[0]), max(atol or 0.0, default[1]))
    if have.dtype.name == "float32":
        default = ROUNDED_TO_FLOAT32
    return (default[0] if rtol is None else rtol, default[1] if atol is None else atol)


def _values_message(have: np.ndarray, want: np.ndarray, wrong: np.ndarray) -> str:
    if have.size == 1:
        return _got_and_expected(have.item(), want.item())
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.where(wrong, np.abs(have.astype(np.float64) - want.astype(np.float64)), -1.0)
    # A gap to nan counts as the largest: it also occurs where a mistake's result is nan.
    place = np.unravel_index(int(np.argmax(np.where(np.isnan(gap), np.inf, gap))), have.shape)
    where = ", ".join(str(int(i)) for i in place)
    return (f"{int(wrong.sum())} of {have.size} numbers differ, most at [{where}]: "
            + _got_and_expected(have[place], want[place]))


def _got_and_expected(got: Any, expected: Any) -> str:
    """Show two numbers with as many digits as it takes to tell them apart."""
    texts = (str(got), str(expected))
    for digits in (5, 8, 12, 17):
        texts = tuple(f"{value:.{digits}g}" if isinstance(value, float | np.floating)
                      else str(value) for value in (got, expected))  # type: ignore[assignment]
        if texts[0] != texts[1]:
            break
    return f"got {texts[0]}, expected {texts[1]}"


def _first(mask: np.ndarray) -> str:
    place = np.unravel_index(int(np.argmax(mask)), mask.shape)
    return "[" + ", ".join(str(int(i)) for i in place) + "]"


def describe(value: Any) -> str:
    """Name a value's type, shape and dtype in a few words."""
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return f"a number ({value.dtype})"
        return f"an array of shape {value.shape} and type {value.dtype}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, bool | int | float | complex):
        return f"the {type(value).__name__} {value}"
    if value is None:
        return "None"
    return f"a value of type {type(value).__name__}"
