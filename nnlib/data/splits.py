"""Cut a data set into training, validation and test parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnlib.data._checks import require_rng, require_same_length
from nnlib.errors import ShapeError

_CALLER = "train_validation_test_split"


class Part(NamedTuple):
    """One part of a split data set.

    Attributes
    ----------
    x : ndarray, shape (m, ...)
    y : ndarray, shape (m, ...)
    rows : ndarray of int64, shape (m,)
        Where these examples stood in the arrays that were split.

    Examples
    --------
    >>> Part(np.zeros((2, 3)), np.zeros(2), np.array([4, 1])).rows.tolist()
    [4, 1]
    """

    x: NDArray[Any]
    y: NDArray[Any]
    rows: NDArray[np.int64]


class Split(NamedTuple):
    """Three parts with no example in common.

    Attributes
    ----------
    train, validation, test : Part

    Examples
    --------
    >>> part = Part(np.zeros((2, 3)), np.zeros(2), np.array([4, 1]))
    >>> Split(part, part, part)._fields
    ('train', 'validation', 'test')
    """

    train: Part
    validation: Part
    test: Part


def train_validation_test_split(
    x: NDArray[Any],
    y: NDArray[Any],
    *,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    rng: np.random.Generator,
    stratify: bool = False,
) -> Split:
    """Split the rows of `x` and `y` at random into training, validation and test parts.

    Every row lands in exactly one part. The sizes are ``fractions * n`` rounded so that they
    add up to n.

    Parameters
    ----------
    x : ndarray, shape (n, ...)
        Examples in rows.
    y : ndarray, shape (n, ...)
        Labels or targets.
    fractions : three floats
        Shares of training, validation and test; none negative, sum 1. A share of 0 gives an
        empty part.
    rng : numpy.random.Generator
        Draws the assignment of rows to parts.
    stratify : bool
        True gives each part the class proportions of `y`, as closely as whole examples allow.
        `y` must then be one-dimensional class labels.

    Returns
    -------
    Split
        Named tuple ``(train, validation, test)``; each is a `Part` ``(x, y, rows)`` of copies.

    Raises
    ------
    ShapeError
        If `x` and `y` differ in their number of rows, or `y` is not (n,) with `stratify`.
    DtypeError
        If `rng` is not a numpy.random.Generator.
    ValueError
        If `fractions` are not three shares of 1, or a part with a share would get no example.

    References
    ----------
    Chapter 06-training.

    Examples
    --------
    >>> x, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    >>> rng = np.random.default_rng(0)
    >>> train, validation, test = train_validation_test_split(
    ...     x, y, fractions=(0.6, 0.2, 0.2), rng=rng
    ... )
    >>> train.x.shape, validation.x.shape, test.y.shape
    ((6, 2), (2, 2), (2,))
    """
    if y is None:
        raise ShapeError(
            f"{_CALLER}: y must be an array with one row per example, got None. "
            "Without labels, split x alone by passing it as y too."
        )
    n = require_same_length(_CALLER, x, y)
    require_rng(_CALLER, rng)
    sizes = _part_sizes(n, fractions)
    order = _stratified_order(rng, y) if stratify else rng.permutation(n)
    ends = np.cumsum(sizes)
    # A stratified order runs through the classes in turn: shuffle inside each part.
    rows = [rng.permutation(order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    return Split(*(Part(x[part], y[part], part) for part in rows))


def _part_sizes(n: int, fractions: Sequence[float]) -> NDArray[np.int64]:
    """Round ``fractions * n`` to whole numbers that add up to n (largest remainder first)."""
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.shape != (3,):
        raise ValueError(
            f"{_CALLER}: fractions must be three numbers (train, validation, test), got "
            f"{fractions!r}. Use 0.0 for a part that you don't need."
        )
    if not np.isfinite(shares).all() or (shares < 0).any() or abs(shares.sum() - 1.0) > 1e-9:
        raise ValueError(
            f"{_CALLER}: fractions must be non-negative and add up to 1, got {fractions!r} with "
            f"sum {shares.sum():g}. Did you pass counts or percentages?"
        )
    exact = shares * n
    sizes = np.floor(exact + 1e-9).astype(np.int64)
    by_remainder = np.argsort(sizes - exact, kind="stable")
    sizes[by_remainder[: n - sizes.sum()]] += 1
    if ((sizes == 0) & (shares > 0)).any():
        raise ValueError(
            f"{_CALLER}: every part with a share needs an example, got n = {n} rows for "
            f"fractions {fractions!r}, which makes parts of {sizes.tolist()}. "
            "Use more data or larger shares."
        )
    return sizes


def _stratified_order(rng: np.random.Generator, y: NDArray[Any]) -> NDArray[np.int64]:
    """Order the rows so that every contiguous piece has about the class proportions of `y`."""
    if y.ndim != 1:
        raise ShapeError(
            f"{_CALLER}: y must have shape (n,) when stratify=True, got {y.shape}. "
            "Pass class labels, not one-hot rows."
        )
    # Row j of a class with m members, in random order, stands at (j + 1/2) / m: sorting by that
    # place spreads each class evenly over the whole order.
    order = rng.permutation(y.shape[0])
    place = np.empty(y.shape[0])
    for label in np.unique(y):
        members = np.flatnonzero(y[order] == label)
        place[members] = (np.arange(members.size) + 0.5) / members.size
    return order[np.argsort(place, kind="stable")]
