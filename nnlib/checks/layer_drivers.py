"""Drivers for forwards that return more than ``(y, cache)``, and the judge of dropout.

Batch norm returns its running statistics beside ``y``, an LSTM two states. Dropout draws from a
generator, so many answers are right: what counts is that every entry is 0 or the input times
the factor, that the right share is dropped, and that entries fall by themselves.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from nnlib.checks.compare import Difference, compare
from nnlib.checks.drivers import Trial, driver, guarded, spread, to_plain_tuple, upstream
from nnlib.checks.judges import judge
from nnlib.checks.tracks import reference, to_track
from nnlib.contract import Case, Rng


def _parts(result: Any) -> tuple[Any, ...]:
    """Lay out everything but the cache: ``(y, (mean, var), cache)`` gives y, mean, var."""
    if not isinstance(result, tuple) or len(result) < 2:
        raise TypeError("the function must return its results and the cache, as one tuple")
    flat: list[Any] = []
    for part in result[:-1]:
        flat.extend(part if isinstance(part, tuple) else (part,))
    return tuple(flat)


@driver("forward_parts")
def forward_parts(implementation: Any, case: Case, track: str) -> Trial:
    """A forward with several results beside the cache: every one is compared."""
    args, options = to_track(tuple(case.args), track), to_track(dict(case.options), track)
    return guarded(implementation, args, options, _parts)


@driver("backward_parts")
def backward_parts(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(dy, cache)`` where ``dy`` is a pair if the forward's first result is."""
    run_forward = getattr(reference(track), case.forward)
    args, options = to_track(tuple(case.args), track), to_track(dict(case.options), track)
    result = run_forward(*args, **options)
    y, cache = result[0], result[-1]
    if isinstance(y, tuple):
        dy: Any = tuple(upstream(part, replace(case, seed=case.seed + place), track)
                        for place, part in enumerate(y))
    else:
        dy = upstream(y, case, track)
    return guarded(implementation, (dy, cache), {}, spread)


@driver("dropout_by_seed")
def dropout_by_seed(implementation: Any, case: Case, track: str) -> Trial:
    """Drop with one seed, with the same seed again, and with another.

    The one output is the tuple of the three results.
    """
    seed = case.options["rng"].seed
    found = []
    for one in (seed, seed, seed + 1):
        options = to_track({**case.options, "rng": Rng(one)}, track)
        trial = guarded(implementation, to_track(tuple(case.args), track), options, _parts)
        if trial.error is not None:
            return trial
        found.append(trial.outputs[0])
    return Trial(outputs=to_plain_tuple((tuple(found),), tuple), modified=trial.modified)


@judge("own cache", free_form=True)
def own_cache(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """Equal within tolerance, where the cache holds random draws that differ between tracks."""
    wrong = compare(got, expected, rtol=case.rtol, atol=case.atol)
    if wrong is None or wrong.code != "values":
        return wrong
    if got[expected == 0].any():
        return Difference("dropped entries", wrong.message)
    return Difference(_factor(got, expected, 1 - case.options["drop_prob"]), wrong.message)


def _factor(got: np.ndarray, want: np.ndarray, keep_prob: float) -> str:
    """Name the one factor by which results miss, as far as it is one."""
    ratios = got[want != 0] / want[want != 0]
    for name, factor in (("not rescaled", keep_prob), ("rescaled twice", 1 / keep_prob)):
        if np.allclose(ratios, factor, rtol=1e-4):
            return name
    return "values"


@judge("dropout", free_form=True)
def dropout(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """Each entry dropped or rescaled, the right share, each entry by itself."""
    x, drop_prob = np.asarray(case.args[0]), float(case.options["drop_prob"])
    if not isinstance(got, np.ndarray) or got.shape != x.shape:
        return compare(got, x) or Difference("type", "expected an array")
    kept = got != 0
    want = np.where(kept, x / (1 - drop_prob), 0).astype(x.dtype)
    wrong = compare(got, want)
    if wrong and wrong.code == "values":
        return Difference(_factor(got, want, 1 - drop_prob), wrong.message)
    if wrong:
        return wrong
    spread_of_coins = np.sqrt(drop_prob * (1 - drop_prob))
    for axis in range(x.ndim):
        shares = np.mean(~kept, axis=axis)
        expected_spread = spread_of_coins / np.sqrt(x.shape[axis])
        if shares.size < 30 or not expected_spread:
            continue
        ratio = shares.std() / expected_spread
        if not 0.5 < ratio < 2:
            # Along axis 0 whole columns differ too much, or whole rows leave no difference.
            return Difference(f"dependent {axis} {ratio > 1}",
                              "entries must be dropped one by one, each by itself: here whole rows "
                              "or columns go together")
    # Five standard errors: a right answer fails once in a million draws.
    share = float(np.mean(~kept))
    if abs(share - drop_prob) > 5 * spread_of_coins / np.sqrt(x.size):
        return Difference("share", f"expected a share of {drop_prob:g} to be dropped, "
                                   f"got {share:.3g}")
    return None


@judge("dropout by seed", free_form=True)
def dropout_seeds(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """Same seed, same entries; another seed, others."""
    first, same, other = got
    if not all(isinstance(y, np.ndarray) and y.shape == np.shape(first) for y in got):
        return Difference("type", "expected an array")
    if not np.array_equal(first, same):
        return Difference("seed", "the same seed must drop the same entries: draw from rng alone")
    if np.array_equal(first, other):
        return Difference("seed", "another seed must drop other entries: draw from rng")
    return None
