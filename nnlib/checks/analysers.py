"""Hints for what no known mistake explains: factor, sign, transpose, shape, nan, errors."""

from collections.abc import Callable, Sequence

import numpy as np

from nnlib.checks.run import Result
from nnlib.contract import Operation

#: Pairs ``(got, expected)`` of float arrays, one for each failing case.
Pairs = list[tuple[np.ndarray, np.ndarray]]


def analyse(operation: Operation, results: Sequence[Result]) -> str:
    """Return the most specific general hint for a set of judged cases."""
    for output in operation.outputs:
        failing = [result for result in results if output in result.differences]
        if not failing:
            continue
        name = f"`{output}`" if len(operation.outputs) > 1 else "The result"
        hint = _error(failing) or _kind(failing, output)
        if hint:
            return hint
        pairs = _pairs(failing, output)
        for analyser in ARRAY_ANALYSERS if pairs else ():
            hint = analyser(pairs, name)
            if hint:
                return hint
        return _by_property(failing, name)
    for result in results:
        if result.trial.modified:
            return ("Your function changes the caller's array. Compute into a new one: `a = a + b` "
                    "makes a new array, `a += b` writes into the old.")
        if result.dtype:
            return (f"The numbers are right, their type is not: {result.dtype}. Check where an "
                    "integer, a Python list or a fixed dtype enters the computation.")
    return ""


def _error(failing: Sequence[Result]) -> str:
    for result in failing:
        error = result.trial.error
        if error is None:
            continue
        if isinstance(error, NotImplementedError):
            return "Not written yet: replace `raise NotImplementedError` by your code."
        if type(error).__name__ == "CallTimeout":
            return ("Your function did not finish in time. Does a loop change its condition? "
                    "Does it go over single numbers where an array operation would do?")
        if isinstance(error, NameError):
            return (f"A name is unknown: {error}. Is it spelled as in the signature, and did you "
                    "run the cell that defines it?")
        if isinstance(error, TypeError) and "argument" in str(error):
            return f"The arguments don't fit the signature: {error}."
        text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return f"Your function raised an error on the case '{result.case.name}': {text}"
    return ""


def _kind(failing: Sequence[Result], output: str) -> str:
    """Hint at results of the wrong kind: None, a wrong number of them, no array."""
    for result in failing:
        difference = result.differences[output]
        if difference.code == "none":
            return "Your function returned None. Does every path end in a `return`?"
        if difference.code in ("length", "type", "keys"):
            return (f"The kind of result is not the one in the docstring. Case "
                    f"'{result.case.name}': {difference.message}.")
    return ""


def _pairs(failing: Sequence[Result], output: str) -> Pairs:
    """Collect what can be compared as numbers; nothing where a result holds something else."""
    pairs: Pairs = []
    for result in failing:
        if output not in result.outputs:
            continue
        index = list(result.outputs).index(output)
        pair = []
        for value in (result.outputs[output], result.expected.outputs[index]):
            if not isinstance(value, np.ndarray | int | float):
                return []
            array = np.asarray(value)
            if array.dtype.kind not in "biuf":
                return []
            pair.append(array.astype(np.float64))
        pairs.append((pair[0], pair[1]))
    return pairs


def _finite(pairs: Pairs, name: str) -> str:
    for got, want in pairs:
        if not np.isfinite(got).all() and np.isfinite(want).all():
            what = "nan" if np.isnan(got).any() else "inf"
            return (f"{name} contains {what}. Look for exp of a large number, log of 0, or a "
                    "division by 0, and rearrange the formula so that it cannot happen.")
    return ""


def _shape(pairs: Pairs, name: str) -> str:
    for got, want in pairs:
        if got.shape == want.shape:
            continue
        if got.shape == want.shape[::-1]:
            return f"{name} has the shape of the transpose: {got.shape} instead of {want.shape}."
        if got.size == want.size:
            return (f"{name} has the right number of elements in the wrong shape: {got.shape} "
                    f"instead of {want.shape}. A sum over one axis drops that axis.")
        if got.ndim > want.ndim:
            return (f"{name} has shape {got.shape} instead of {want.shape}: is a sum or mean over "
                    "an axis missing?")
        return (f"{name} has shape {got.shape} instead of {want.shape}: is a sum or mean taken "
                "over too many axes, or did broadcasting stretch an array?")
    return ""


def _transposed(pairs: Pairs, name: str) -> str:
    square = [(got, want) for got, want in pairs if got.ndim == 2 and got.shape[0] == got.shape[1]]
    if square and all(np.allclose(got, want.T, rtol=1e-4) and got.shape[0] > 1
                      for got, want in square):
        return f"{name} is the transpose of what it should be."
    return ""


def _factor(pairs: Pairs, name: str) -> str:
    ratios = []
    for got, want in pairs:
        if got.shape != want.shape or not want.size or not np.abs(want).max():
            return ""
        ratio = float((got * want).sum() / (want * want).sum())
        if not np.allclose(got, ratio * want, rtol=1e-4, atol=1e-7) or ratio == 0.0:
            return ""
        ratios.append((ratio, want.shape[0] if want.ndim else 1))
    values = [ratio for ratio, _ in ratios]
    if np.allclose(values, values[0], rtol=1e-4):
        if np.isclose(values[0], -1.0):
            return f"{name} has the wrong sign."
        return (f"{name} is {values[0]:.4g} times what it should be. Look for a factor that is "
                "missing or stands there twice.")
    return (f"{name} is off by a factor that changes with the input, here "
            f"{', '.join(f'{v:.4g}' for v in values[:3])}: is a sum taken where the mean is "
            "meant, or the mean taken twice?")


def _offset(pairs: Pairs, name: str) -> str:
    gaps = []
    for got, want in pairs:
        if got.shape != want.shape:
            return ""
        gap = got - want
        if gap.size and np.ptp(gap) > 1e-4 * np.abs(gap).max():
            return ""
        gaps += [float(gap.mean())] if gap.size else []
    if not gaps or not np.allclose(gaps, gaps[0], rtol=1e-4):
        return ""
    return f"{name} is off by the same constant everywhere, here {gaps[0]:.4g}."


#: In this order; the first that has something to say wins.
ARRAY_ANALYSERS: tuple[Callable[[Pairs, str], str], ...] = (
    _finite, _shape, _transposed, _factor, _offset)


def _by_property(failing: Sequence[Result], name: str) -> str:
    """Say on which kind of input it fails, when the numbers themselves tell nothing."""
    advice = {
        "kinks": "only where the function has a kink. Which side does the docstring give it?",
        "edge sizes": "only for unusual sizes. Try it by hand with one row, or one column.",
        "stability": "only for large inputs. Which intermediate number grows too big?",
        "options": "only with an optional argument. Is it used everywhere that it matters?",
        "errors": "on bad input: read the docstring's Raises section.",
        "repeatable": "when called twice with the same seed. Use the rng passed in, and only it.",
    }
    properties = {result.case.property for result in failing}
    if len(properties) == 1 and (prop := properties.pop()) in advice:
        return f"{name} is wrong {advice[prop]}"
    case = failing[0].case.name
    return (f"{name} is wrong. Take the case '{case}', work it out by hand, and compare line by "
            "line.")
