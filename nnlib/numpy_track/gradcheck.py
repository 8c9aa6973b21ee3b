"""Gradients by finite differences: slow, independent of any derivation, and so a good judge."""

from collections.abc import Callable

import numpy as np

from nnlib.errors import (
    DtypeError,
    check_floats,
    check_number,
    check_same_shape,
    check_shape,
    dtype_name,
)
from nnlib.numpy_track._types import Array

__all__ = ["numerical_vjp", "relative_error"]


def numerical_vjp(
    f: Callable[[Array], Array | float], x: Array, dy: Array | float, *, eps: float = 1e-6
) -> Array:
    """Compute ``dx_i = sum(dy * (f(x + eps e_i) - f(x - eps e_i))) / (2 eps)``.

    Parameters
    ----------
    f : callable
        Takes an array of the shape of ``x``; returns an array, or a number.
    x : array of float64, any shape
    dy : array of the shape of ``f(x)``, or a number
        The upstream gradient. Draw it at random: an all-ones ``dy`` hides mistakes that cancel
        in a sum.
    eps : float
        Step. The error of the formula grows with ``eps^2``, that of rounding with ``1 / eps``;
        about 1e-5 or 1e-6 is best in float64 for values near 1.

    Returns
    -------
    dx : array of float64, shape of ``x``
        The gradient of ``sum(f(x) * dy)``.

    Raises
    ------
    DtypeError
        If ``x`` is not float64: in float32 the difference would be mostly rounding.
    ShapeError
        If ``dy`` has another shape than ``f(x)``.
    ValueError
        If ``eps`` is not positive.

    Notes
    -----
    Calls ``f`` twice for each element of ``x``, each time with a fresh array, so ``x`` is never
    modified. Near a kink the two sides differ and the result is their average.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> dx = numerical_vjp(lambda x: x**2, np.array([1.0, 3.0]), np.array([1.0, 10.0]))
    >>> dx.round(6).tolist()
    [2.0, 60.0]
    """
    check_floats("numerical_vjp", x=x)
    if dtype_name(x) != "float64":
        raise DtypeError(
            f"numerical_vjp: x must be float64, got {dtype_name(x)}. "
            f"The difference of two close values needs the digits."
        )
    check_number("numerical_vjp", "eps", eps, above=0)
    dy = np.asarray(dy, dtype=np.float64)
    dx = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = eps
        difference = np.asarray(f(x + step)) - np.asarray(f(x - step))
        check_shape("numerical_vjp", "dy", dy, tuple(difference.shape), "It must fit f(x).")
        dx[index] = np.sum(difference * dy) / (2 * eps)
    return dx


def relative_error(a: Array, b: Array, *, floor: float = 1e-8) -> float:
    """Compute the largest ``|a - b| / max(floor, |a| + |b|)`` over the elements.

    Parameters
    ----------
    a, b : arrays of floats, same shape
    floor : float
        Keeps two values near 0 from counting as different: below it the error is absolute.

    Returns
    -------
    float
        Between 0 and 1; 0 for empty arrays, NaN if an element is NaN.

    Raises
    ------
    ShapeError
        If the shapes differ.
    DtypeError
        If an array does not hold floats, or the dtypes differ.
    ValueError
        If ``floor`` is not positive.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> relative_error(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    0.2
    """
    check_floats("relative_error", a=a, b=b)
    check_same_shape("relative_error", a=a, b=b)
    check_number("relative_error", "floor", floor, above=0)
    if a.size == 0:
        return 0.0
    return float(np.max(np.abs(a - b) / np.maximum(floor, np.abs(a) + np.abs(b))))
