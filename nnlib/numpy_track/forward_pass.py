"""From scores to answers, in batches; and a network that is built instead of trained."""

from collections.abc import Callable

import numpy as np

from nnlib.errors import (
    ShapeError,
    check_count,
    check_floats,
    check_min_axes,
    check_same_shape,
    check_shape,
    format_shape,
)
from nnlib.numpy_track._types import Array
from nnlib.numpy_track.activations import sigmoid_forward
from nnlib.numpy_track.softmax import softmax_forward

__all__ = ["interpolation_params", "predict", "predict_in_batches", "predict_proba"]


def predict_proba(logits: Array) -> Array:
    """Turn scores into one probability for each class: softmax, or sigmoid for a single column.

    Parameters
    ----------
    logits : array (n, k) of floats
        One score for each class. With ``k = 1`` it is the score of class 1 against class 0.

    Returns
    -------
    p : array (n, k); (n, 2) where ``k = 1``
        Every row sums to 1. Column ``j`` belongs to class ``j``.

    Raises
    ------
    ShapeError
        If ``logits`` does not have two axes with at least one column.
    DtypeError
        If it does not hold floats.

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> predict_proba(np.array([[0.0, 0.0, 0.0, 0.0]])).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    >>> predict_proba(np.array([[0.0], [-1e4]])).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    _check_logits("predict_proba", logits)
    if logits.shape[1] == 1:
        return np.concatenate([sigmoid_forward(-logits)[0], sigmoid_forward(logits)[0]], axis=1)
    return softmax_forward(logits)[0]


def predict(logits: Array) -> Array:
    """Turn scores into class numbers: the largest score wins; a single column by its sign.

    Parameters
    ----------
    logits : array (n, k) of floats
        One score for each class. With ``k = 1`` class 1 where the score is at least 0.

    Returns
    -------
    labels : array (n,) of int64
        Not ``(n, 1)``: compared with targets ``(n,)`` that would broadcast to ``(n, n)``.

    Raises
    ------
    ShapeError
        If ``logits`` does not have two axes with at least one column.
    DtypeError
        If it does not hold floats.

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> predict(np.array([[0.1, 2.0, -1.0], [3.0, 2.0, 1.0]])).tolist()
    [1, 0]
    >>> predict(np.array([[0.2], [-0.2]])).tolist()
    [1, 0]
    """
    _check_logits("predict", logits)
    if logits.shape[1] == 1:
        return (logits[:, 0] >= 0).astype(np.int64)
    return logits.argmax(axis=1)


def predict_in_batches(forward: Callable[[Array], Array], x: Array, *, batch_size: int) -> Array:
    """Run ``forward`` over all rows, at most ``batch_size`` at a time, and join the results.

    Parameters
    ----------
    forward : callable
        Maps rows ``(m, ...)`` to ``(m, ...)``, each row by itself; ``m = 0`` is allowed.
    x : array (n, ...)
    batch_size : int
        The last batch may be smaller.

    Returns
    -------
    y : array (n, ...)
        What ``forward(x)`` would give, in bounded memory.

    Raises
    ------
    ShapeError
        If ``x`` has no axis of rows.
    ValueError
        If ``batch_size`` is below 1.

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> predict_in_batches(lambda rows: 2 * rows, np.arange(5.0)[:, np.newaxis], batch_size=2).T
    array([[0., 2., 4., 6., 8.]])
    """
    check_floats("predict_in_batches", x=x)
    check_min_axes("predict_in_batches", "x", x, 1, "The first axis counts the examples.")
    check_count("predict_in_batches", "batch_size", batch_size, minimum=1)
    # One call even without rows: only forward knows how many columns the result has.
    starts = range(0, max(len(x), 1), batch_size)
    return np.concatenate([forward(x[start : start + batch_size]) for start in starts])


def interpolation_params(knots: Array, values: Array) -> list[tuple[Array, Array]]:
    """Build a ReLU network that passes through given points, without training.

    Hidden unit ``j`` is ``relu(x - knots[j])``: it switches on at its knot. Its output weight
    is the *change* of slope there, so the sum is straight between the knots.

    Parameters
    ----------
    knots : array (m + 1,) of floats
        Strictly increasing, ``m >= 1``.
    values : array (m + 1,)
        The heights at the knots.

    Returns
    -------
    params : list of two ``(w, b)``
        ``w (1, m)``, ``b (m,)`` and ``w (m, 1)``, ``b (1,)``, for `mlp_forward` on ``x (n, 1)``.
        Between the first and the last knot it equals linear interpolation.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are fewer than two knots.
    DtypeError
        If an array does not hold floats, or the dtypes differ.
    ValueError
        If the knots don't increase.

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> from nnlib.numpy_track import mlp_forward
    >>> tent = interpolation_params(np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 0.0]))
    >>> mlp_forward(np.array([[0.5], [1.0], [2.0]]), tent)[0].T.tolist()
    [[1.0, 2.0, 1.0]]
    """
    name = "interpolation_params"
    check_floats(name, knots=knots, values=values)
    check_shape(name, "knots", knots, ("m + 1",))
    check_same_shape(name, knots=knots, values=values)
    if len(knots) < 2:
        raise ShapeError(f"{name}: knots must hold at least 2 numbers, got {len(knots)}.")
    widths = np.diff(knots)
    if not (widths > 0).all():
        raise ValueError(f"{name}: knots must be strictly increasing, got {knots.tolist()}. "
                         "Sort them, and drop repeated ones.")
    slopes = np.diff(values) / widths  # (m,)
    changes = slopes.copy()
    changes[1:] -= slopes[:-1]  # before the first knot the slope is 0
    hidden = (np.ones((1, len(slopes)), dtype=knots.dtype), -knots[:-1])
    return [hidden, (changes[:, np.newaxis], values[:1].copy())]


def _check_logits(caller: str, logits: Array) -> None:
    check_floats(caller, logits=logits)
    check_shape(caller, "logits", logits, ("n", "k"), "One row for each example.")
    if logits.shape[1] == 0:
        raise ShapeError(f"{caller}: logits must have at least one column, got "
                         f"{format_shape(logits.shape)}.")
