"""What losses are made of: the logarithm of a sum of exponentials, and weights of classes."""

import numpy as np

from nnlib.errors import ShapeError, check_axis, check_count, check_floats, check_labels
from nnlib.numpy_track._types import Array

__all__ = ["balanced_class_weights", "log_sum_exp"]


def log_sum_exp(x: Array, *, axis: int = -1) -> Array:
    """Compute ``log(sum_j exp(x_j))`` along one axis, without overflow.

    Parameters
    ----------
    x : array of floats, at least one axis
    axis : int
        The axis that is summed over.

    Returns
    -------
    y : array, shape of ``x`` without that axis, dtype of ``x``

    Raises
    ------
    DtypeError
        If ``x`` is not an array of floats.
    ShapeError, ValueError
        If the axis does not exist or is empty.

    Notes
    -----
    With ``m = max(x)`` the sum is ``m + log(sum exp(x - m))``: no exponent is above 0, and one is
    0, so the sum lies between 1 and the number of terms. Where all entries are ``-inf`` the
    result is ``-inf``.

    References
    ----------
    Chapter 4, "Losses".

    Examples
    --------
    >>> log_sum_exp(np.array([[0.0, 0.0], [1e4, 0.0]])).round(4).tolist()
    [0.6931, 10000.0]
    """
    check_floats("log_sum_exp", x=x)
    check_axis("log_sum_exp", x, axis)
    largest = x.max(axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, np.zeros_like(largest))
    with np.errstate(divide="ignore"):
        rest = np.log(np.exp(x - largest).sum(axis=axis))
    return largest.squeeze(axis) + rest


def balanced_class_weights(labels: Array, *, num_classes: int) -> Array:
    """Compute ``w_c = n / (m n_c)``: rare classes count as much as frequent ones.

    Parameters
    ----------
    labels : array (n,) of integers from 0 to num_classes - 1
        ``n_c`` of them are ``c``; ``m`` classes occur.
    num_classes : int

    Returns
    -------
    w : array (num_classes,) of float64
        0 for a class that does not occur.

    Raises
    ------
    ShapeError
        If ``labels`` has not one axis, or is empty.
    DtypeError
        If ``labels`` does not hold integers.
    ValueError
        If a label is out of range.

    Notes
    -----
    The weights of the ``n`` labels sum to ``n``, so a weighted loss keeps the size of the plain
    one.

    References
    ----------
    Chapter 4, "Losses".

    Examples
    --------
    >>> balanced_class_weights(np.array([0, 0, 0, 1]), num_classes=2).round(4).tolist()
    [0.6667, 2.0]
    """
    check_count("balanced_class_weights", "num_classes", num_classes, minimum=1)
    check_labels("balanced_class_weights", labels, num_classes)
    if len(labels) == 0:
        raise ShapeError("balanced_class_weights: labels must hold at least one label, got none.")
    counts = np.bincount(labels, minlength=num_classes)
    weights = np.zeros(num_classes)
    occurs = counts > 0
    weights[occurs] = len(labels) / (occurs.sum() * counts[occurs])
    return weights
