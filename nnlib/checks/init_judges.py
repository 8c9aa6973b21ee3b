"""Judging random draws by what they have in common, and drivers for chapter 7's exercises.

A known mistake in a scale is recognised by the factor, so the judge's code holds that factor on a
coarse grid: two wrong implementations are alike when they miss by the same factor in every case.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnlib.checks.compare import Difference, compare
from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.judges import judge
from nnlib.checks.tracks import reference, to_track
from nnlib.contract import Case


def draws_difference(got: Any, want: np.ndarray) -> Difference | None:
    """Compare draws by shape, mean, spread and range; meant for some thousands of numbers.

    The bounds are about five standard errors of the mean, ten per cent of the spread and half of
    the range, so that a right implementation with another order of draws passes for every seed in
    practice.
    """
    if not isinstance(got, np.ndarray) or got.shape != want.shape:
        return compare(got, want) or Difference("type", "expected an array")
    if not np.isfinite(got).all():
        return Difference("nan", "nan or inf among the draws")
    spread, found = float(want.std()), float(got.std())
    if spread == 0.0:
        return compare(got, want)
    if found <= 1e-6 * spread:
        return Difference("constant", f"expected random numbers, got {got.flat[0]:.3g} everywhere")
    ratio = found / spread
    if abs(float(got.mean() - want.mean())) > 7.5 * max(spread, found) / math.sqrt(want.size):
        return Difference("mean", f"expected a mean near {want.mean():.3g}, got {got.mean():.3g}")
    if abs(ratio - 1.0) > 0.1:
        return Difference(f"spread {round(4 * math.log2(ratio))}",
                          f"expected a standard deviation near {spread:.3g}, got {found:.3g}, "
                          f"{ratio:.3g} times as much")
    ends = float(np.abs(want).max())
    if abs(float(np.abs(got).max()) / ends - 1.0) > 0.5:
        return Difference("range", f"expected values up to about {ends:.3g}, "
                                   f"got up to {np.abs(got).max():.3g}")
    return None


@judge("draws", free_form=True)
def draws(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """One array of random numbers."""
    return draws_difference(got, np.asarray(expected))


@judge("network_draws", free_form=True)
def network_draws(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """Parameters of a network: random weights, constant biases, no two layers alike."""
    if not isinstance(got, tuple | list) or len(got) != len(expected):
        return compare(got, expected) or Difference("type", "expected a list of pairs")
    for k, (layer, (w, b)) in enumerate(zip(got, expected, strict=True), start=1):
        if not isinstance(layer, tuple | list) or len(layer) != 2:
            return Difference("type", f"layer {k}: expected a pair (w, b)")
        for name, found in (("w", draws_difference(layer[0], w)), ("b", compare(layer[1], b))):
            if found:
                return Difference(f"{name} {found.code}", f"layer {k}, {name}: {found.message}")
    weights = [layer[0] for layer in got]
    for k, w in enumerate(weights):
        for j, other in enumerate(weights[:k]):
            if w.shape == other.shape and np.array_equal(w, other):
                return Difference("twins", f"layers {j + 1} and {k + 1} have the same weights")
    return None


def same_draws(one: Any, other: Any) -> bool:
    """Whether two results hold the same numbers."""
    return compare(one, other, rtol=1e-6, atol=0.0) is None


def draw_facts(draw: Callable[[int], Any], seed: int) -> dict[str, bool]:
    """Say whether equal seeds give equal draws, and different seeds different ones."""
    first, again, other = draw(seed), draw(seed), draw(seed + 1)
    return {"the same seed gives the same numbers": same_draws(first, again),
            "another seed gives the same numbers": same_draws(first, other)}


@driver("repeat_draws")
def repeat_draws(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(rng, *case.args, **options)`` with one seed twice, and with another."""
    from nnlib.checks.tracks import to_plain
    from nnlib.contract import Rng

    def draw(seed: int) -> Any:
        rng = to_track(Rng(seed), track)
        return to_plain(implementation(rng, *to_track(tuple(case.args), track), **case.options))

    return guarded(lambda: draw_facts(draw, case.seed), (), {})


@driver("predicted_squares")
def predicted_squares(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(activation, *rest)``; the case names the activation."""
    ops = reference(track)
    name, *rest = case.args

    def activation(z: Any) -> Any:
        return z * z if name == "square" else getattr(ops, f"{name}_forward")(z)[0]

    def run(*args: Any) -> Any:
        return _as_array(implementation(activation, *args))

    return guarded(run, to_track(tuple(rest), track), dict(case.options))


def _as_array(value: Any) -> Any:
    """Take a list of numbers for an array: the docstring's array is what counts."""
    if isinstance(value, Sequence) and all(isinstance(v, int | float | np.floating)
                                           for v in value):
        return np.array(value, dtype=np.float64)
    return value
