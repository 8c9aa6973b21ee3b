"""Group norm: between layer norm, with one group, and instance norm, a group for each channel."""

import numpy as np

from nnlib.errors import (
    ShapeError,
    check_count,
    check_floats,
    check_number,
    check_shape,
    format_shape,
)
from nnlib.numpy_track._types import Array

__all__ = ["group_norm"]


def group_norm(
    x: Array, gamma: Array, beta: Array, *, groups: int, eps: float = 1e-5
) -> Array:
    """Normalise each image by itself, in groups of neighbouring channels.

    Parameters
    ----------
    x : array (n, c, h, w) of floats
        Mean and variance are taken over the ``c / groups`` channels of a group and over all
        positions, for each image and each group.
    gamma, beta : arrays (c,)
        Scale and shift of each channel.
    groups : int
        Divides ``c``. The first group holds the first ``c / groups`` channels.
    eps : float
        Positive; keeps the root away from 0.

    Returns
    -------
    y : array, shape and dtype of ``x``

    Raises
    ------
    ShapeError
        If the shapes do not fit, or an image is empty.
    DtypeError
        If an array does not hold floats, or the dtypes differ.
    ValueError
        If ``groups`` does not divide ``c``, or ``eps`` is not positive.

    References
    ----------
    Chapter 11, "Normalization". Y. Wu and K. He, "Group normalization", ECCV 2018.

    Examples
    --------
    >>> x = np.array([1.0, 3.0, 10.0, 30.0]).reshape(1, 4, 1, 1)
    >>> group_norm(x, np.ones(4), np.zeros(4), groups=2).ravel().round().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """
    caller = "group_norm"
    check_floats(caller, x=x, gamma=gamma, beta=beta)
    check_shape(caller, "x", x, ("n", "c", "h", "w"))
    n, c, h, w = x.shape
    if c * h * w == 0:
        raise ShapeError(
            f"{caller}: the images must not be empty, got x of shape {format_shape(x.shape)}."
        )
    check_shape(caller, "gamma", gamma, (c,), "One entry for each channel of x.")
    check_shape(caller, "beta", beta, (c,), "One entry for each channel of x.")
    check_count(caller, "groups", groups, minimum=1)
    check_number(caller, "eps", eps, above=0)
    if c % groups:
        raise ValueError(f"{caller}: groups must divide the {c} channels, got {groups}.")

    together = x.reshape(n, groups, c // groups * h * w)  # the values of a group in one row
    centred = together - together.mean(axis=-1, keepdims=True)
    var = np.square(centred).mean(axis=-1, keepdims=True)
    x_hat = (centred / np.sqrt(var + float(eps))).reshape(x.shape)
    y: Array = x_hat * gamma[:, None, None] + beta[:, None, None]
    return y
