"""Judging a random split of rows, where many answers are right.

A split of n rows is right if it is *some* partition of the right sizes, so the result is not
compared with the reference's. What the generator is for is judged separately: the same seed
must give the same split, another seed another one.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from nnlib.checks.compare import Difference, compare, describe
from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.judges import judge
from nnlib.checks.tracks import to_track
from nnlib.contract import Case, Rng


def _pair(result: Any) -> tuple[Any, ...]:
    """Keep the two parts together: neither can be judged without the other."""
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise TypeError("the function must return the pair (train, test)")
    return (tuple(result),)


@driver("split")
def split(implementation: Any, case: Case, track: str) -> Trial:
    """Call ``implementation(n, test_fraction=..., rng=...)``; the pair is one output."""
    options = to_track(dict(case.options), track)
    return guarded(implementation, tuple(case.args), options, _pair)


@driver("split_by_seed")
def split_by_seed(implementation: Any, case: Case, track: str) -> Trial:
    """Split with one seed, with the same seed again, and with three others.

    The one output is the tuple of the five splits.
    """
    found = []
    for step in (0, 0, 1, 2, 3):
        seeded = Rng(case.options["rng"].seed + step)
        trial = split(implementation, replace(case, options={**case.options, "rng": seeded}),
                      track)
        if trial.error is not None:
            return trial
        found.append(trial.outputs[0])
    return Trial(outputs=(tuple(found),), modified=trial.modified)


@judge("partition", free_form=True)
def partition(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """Two disjoint arrays of row numbers, together all rows, of the reference's sizes."""
    fault = _not_row_numbers(got)
    if fault:
        return fault
    train, test = (np.asarray(part) for part in got)
    n, n_test = int(case.args[0]), len(expected[1])
    for name, rows in (("train", train), ("test", test)):
        if rows.size and not 0 <= rows.min() <= rows.max() < n:
            outside = rows.max() if rows.max() >= n else rows.min()
            return Difference("range", f"{name} holds row {outside}, but the {n} rows are "
                                       f"numbered 0 to {n - 1}")
        repeats = rows.size - np.unique(rows).size
        if repeats:
            return Difference("repeated", f"{name} holds {repeats} of its rows more than once")
    both = np.intersect1d(train, test)
    if both.size:
        return Difference("overlap", f"{both.size} of {n} rows are in both parts, "
                                     f"for example row {both[0]}")
    if test.size != n_test:
        return Difference("size", f"the test part of {n} rows must have {n_test}, "
                                  f"got {test.size}")
    missing = n - train.size - test.size
    if missing:
        return Difference("missing", f"{missing} of {n} rows are in neither part")
    return None


@judge("drawn_by_rng", free_form=True)
def drawn_by_rng(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """The generator that was passed in, and nothing else, decides which rows are tested."""
    if not isinstance(got, tuple | list) or len(got) != len(expected):
        return Difference("type", f"expected {len(expected)} splits, got {describe(got)}")
    for one in got:
        fault = _not_row_numbers(one)
        if fault:
            return fault
    tests = [np.asarray(one[1]) for one in got]
    if compare(list(got[0]), list(got[1])) is not None:
        return Difference("not repeatable", "two generators with the same seed gave different "
                                            "splits")
    rows = [np.sort(test) for test in tests]
    if all(np.array_equal(rows[0], other) for other in rows[1:]):
        block = rows[0].size and np.array_equal(
            rows[0], np.arange(rows[0][0], rows[0][0] + rows[0].size))
        if block:
            return Difference("not shuffled", f"every seed tests rows {rows[0][0]} to "
                                              f"{rows[0][-1]}")
        return Difference("fixed", "every seed gives the same test rows")
    return None


def _not_row_numbers(pair: Any) -> Difference | None:
    """Say why a pair is not two one-dimensional arrays of integers, or return None."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        return Difference("type", f"expected the pair (train, test), got {describe(pair)}")
    for name, rows in zip(("train", "test"), pair, strict=True):
        if not isinstance(rows, np.ndarray):
            return Difference("type", f"{name} must be an array of row numbers, "
                                      f"got {describe(rows)}")
        if rows.dtype == bool:
            return Difference("mask", f"{name} must hold row numbers, got a mask of True and "
                                      "False")
        if rows.ndim != 1:
            return Difference("shape", f"{name} must have one axis, got shape {rows.shape}")
        if rows.size and rows.dtype.kind not in "iu":
            return Difference("type", f"{name} must hold integers, got {rows.dtype}")
    return None
