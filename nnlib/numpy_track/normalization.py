"""Normalization: batch norm over the examples, layer norm over the features of each example.

Both bring values to mean 0 and variance 1, then scale by ``gamma`` and shift by ``beta``, which
are learned. They differ in what the mean is taken over.
"""

import math

import numpy as np

from nnlib.contract.caches_normalization import (
    BatchNormCache,
    BatchNormGrads,
    LayerNormCache,
    LayerNormGrads,
)
from nnlib.errors import (
    ShapeError,
    check_flag,
    check_floats,
    check_min_axes,
    check_number,
    check_shape,
    check_upstream,
    format_shape,
)
from nnlib.numpy_track._types import Array

__all__ = [
    "batch_norm_backward",
    "batch_norm_forward",
    "layer_norm_backward",
    "layer_norm_forward",
]


def batch_norm_forward(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, tuple[Array, Array], BatchNormCache]:
    """Compute ``y = gamma * (x - mean) / sqrt(var + eps) + beta`` for each column or channel.

    Parameters
    ----------
    x : array (n, d) or (n, c, h, w) of floats
    gamma, beta : arrays (d,)
        Scale and shift; ``d = c`` for images, whose channels are normalized over examples and
        positions together.
    running_mean, running_var : arrays (d,)
        Averages over past batches. Not modified.
    training : bool
        True takes mean and variance from the batch, and moves the running statistics towards
        them; False takes the running statistics, so that an example's output depends on no
        other example.
    momentum : float from 0 to 1
        The weight of the batch in the running statistics, as in PyTorch:
        ``new = (1 - momentum) * old + momentum * batch``.
    eps : float
        Positive; keeps the root away from 0.

    Returns
    -------
    y : array, shape and dtype of ``x``
    (new_running_mean, new_running_var) : arrays (d,)
        The old ones in evaluation, and for an empty batch.
    cache : BatchNormCache

    Raises
    ------
    ShapeError
        If the shapes do not fit, or training has a single value for each channel: its variance
        is 0, and the output would not depend on ``x``.
    DtypeError
        If an array does not hold floats, or the dtypes differ.
    ValueError
        If an option is out of range.

    Notes
    -----
    The batch is normalized with the variance that divides by the number of values ``m``; the
    running variance estimates that of all data and divides by ``m - 1``. The deviations are
    squared after the mean is subtracted: ``E[x^2] - mean^2`` would cancel for a large mean.

    References
    ----------
    Chapter 11, "Normalization". S. Ioffe and C. Szegedy, "Batch normalization: Accelerating
    deep network training by reducing internal covariate shift", ICML 2015.

    Examples
    --------
    >>> x, one, zero = np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1)
    >>> y, (mean, var), cache = batch_norm_forward(
    ...     x, one, zero, zero, one, training=True, momentum=0.5)
    >>> y.round().tolist(), mean.tolist(), var.tolist()
    ([[-1.0], [1.0]], [1.0], [1.5])
    """
    caller = "batch_norm_forward"
    check_floats(
        caller, x=x, gamma=gamma, beta=beta, running_mean=running_mean, running_var=running_var
    )
    if x.ndim not in (2, 4):
        raise ShapeError(
            f"{caller}: x must have shape (n, d) or (n, c, h, w), got {format_shape(x.shape)}."
        )
    d = x.shape[1]
    for name, parameter in (("gamma", gamma), ("beta", beta),
                            ("running_mean", running_mean), ("running_var", running_var)):
        check_shape(caller, name, parameter, (d,), "One entry for each column or channel of x.")
    check_flag(caller, "training", training)
    check_number(caller, "momentum", momentum, low=0, high=1)
    check_number(caller, "eps", eps, above=0)
    weight, eps = float(momentum), float(eps)

    count = x.shape[0] * math.prod(x.shape[2:])  # values in each channel
    if training and count == 1:
        raise ShapeError(
            f"{caller}: training needs more than one value for each channel, got x of shape "
            f"{format_shape(x.shape)}. Use a larger batch, or training=False."
        )
    learns = training and count > 0
    mean = _channel_sum(x) / count if learns else running_mean
    centred = x - _beside(x, mean)
    var = _channel_sum(centred, centred) / count if learns else running_var
    inv_std = 1 / np.sqrt(var + eps)
    y = centred * _beside(x, gamma * inv_std)
    y += _beside(x, beta)

    if learns:
        unbiased = var * (count / (count - 1))
        running_mean = (1 - weight) * running_mean + weight * mean
        running_var = (1 - weight) * running_var + weight * unbiased
    cache = BatchNormCache(centred, inv_std, gamma, bool(training))
    return y, (running_mean, running_var), cache


def batch_norm_backward(dy: Array, cache: BatchNormCache) -> BatchNormGrads:
    """Compute the gradients of batch norm, in training through mean and variance too.

    With ``x_hat = centred * inv_std``, the normalized input, ``dgamma`` is the sum of
    ``dy * x_hat``. In training, ``dx = gamma * inv_std * (dy - mean(dy) - x_hat * mean(dy *
    x_hat))``; in evaluation mean and variance are constants, and ``dx = gamma * inv_std * dy``.

    Parameters
    ----------
    dy : array (n, d) or (n, c, h, w)
    cache : BatchNormCache

    Returns
    -------
    BatchNormGrads
        ``dx`` of the shape of ``x``, ``dgamma (d,)``, ``dbeta (d,)``.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Notes
    -----
    In training the output does not change when all values of a channel move together or grow
    together. So ``dx`` has no part along the constant and none along ``x_hat``: the two terms
    that are subtracted.

    Examples
    --------
    >>> x, one, zero = np.array([[1.0], [2.0], [3.0]]), np.ones(1), np.zeros(1)
    >>> _, _, cache = batch_norm_forward(x, one, zero, zero, one, training=True)
    >>> dx, dgamma, dbeta = batch_norm_backward(np.array([[5.0], [0.0], [0.0]]), cache)
    >>> dx.round().tolist(), dgamma.round().tolist(), dbeta.tolist()
    ([[1.0], [-2.0], [1.0]], [-6.0], [5.0])
    """
    centred, inv_std, gamma, training = cache
    check_upstream("batch_norm_backward", dy, centred)
    dbeta = _channel_sum(dy)
    dgamma = _channel_sum(dy, centred) * inv_std
    scale = _beside(dy, gamma * inv_std)
    count = dy.shape[0] * math.prod(dy.shape[2:])
    if not training or count == 0:
        return BatchNormGrads(dy * scale, dgamma, dbeta)
    dx = centred * _beside(dy, inv_std * dgamma / -count)
    dx += dy
    dx -= _beside(dy, dbeta / count)
    dx *= scale
    return BatchNormGrads(dx, dgamma, dbeta)


def layer_norm_forward(
    x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5
) -> tuple[Array, LayerNormCache]:
    """Compute ``y = gamma * (x - mean) / sqrt(var + eps) + beta`` along the last axis.

    Parameters
    ----------
    x : array (..., d) of floats
        Each row of ``d`` features is normalized by itself, in training and evaluation alike.
    gamma, beta : arrays (d,)
        Scale and shift.
    eps : float
        Positive; keeps the root away from 0.

    Returns
    -------
    y : array, shape and dtype of ``x``
    cache : LayerNormCache

    Raises
    ------
    ShapeError
        If the shapes do not fit, or the last axis is empty.
    DtypeError
        If an array does not hold floats, or the dtypes differ.
    ValueError
        If ``eps`` is not positive.

    References
    ----------
    Chapter 11, "Normalization"; chapter 18, "Attention". J. Ba, J. Kiros and G. Hinton, "Layer
    normalization", arXiv:1607.06450 (2016).

    Examples
    --------
    >>> y, cache = layer_norm_forward(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2))
    >>> y.round().tolist()
    [[-1.0, 1.0]]
    """
    caller = "layer_norm_forward"
    check_floats(caller, x=x, gamma=gamma, beta=beta)
    check_min_axes(caller, "x", x, 1)
    d = x.shape[-1]
    if d == 0:
        raise ShapeError(
            f"{caller}: x must have at least one feature, got shape {format_shape(x.shape)}."
        )
    check_shape(caller, "gamma", gamma, (d,), "One entry for each feature of x.")
    check_shape(caller, "beta", beta, (d,), "One entry for each feature of x.")
    check_number(caller, "eps", eps, above=0)

    x_hat = x - _row_mean(x)
    var = _row_mean(x_hat, x_hat)
    inv_std = 1 / np.sqrt(var + float(eps))
    x_hat *= inv_std
    y = x_hat * gamma
    y += beta
    return y, LayerNormCache(x_hat, inv_std, gamma)


def layer_norm_backward(dy: Array, cache: LayerNormCache) -> LayerNormGrads:
    """Compute the gradients of layer norm, through mean and variance too.

    With ``g = dy * gamma``, ``dx = inv_std * (g - mean(g) - x_hat * mean(g * x_hat))``, the
    means along the last axis.

    Parameters
    ----------
    dy : array (..., d)
    cache : LayerNormCache

    Returns
    -------
    LayerNormGrads
        ``dx (..., d)``, ``dgamma (d,)``, ``dbeta (d,)``.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Examples
    --------
    >>> x = np.array([[1.0, 2.0, 3.0]])
    >>> _, cache = layer_norm_forward(x, np.ones(3), np.zeros(3))
    >>> dx, dgamma, dbeta = layer_norm_backward(np.array([[5.0, 0.0, 0.0]]), cache)
    >>> dx.round().tolist(), dgamma.round().tolist(), dbeta.tolist()
    ([[1.0, -2.0, 1.0]], [-6.0, 0.0, 0.0], [5.0, 0.0, 0.0])
    """
    x_hat, inv_std, gamma = cache
    check_upstream("layer_norm_backward", dy, x_hat)
    dx = dy * gamma
    along = _row_mean(dx, x_hat)
    dx -= _row_mean(dx)
    dx -= x_hat * along
    dx *= inv_std
    rows = dy.reshape(-1, dy.shape[-1])
    return LayerNormGrads(dx, _channel_sum(rows, x_hat.reshape(rows.shape)), _channel_sum(rows))


def _beside(x: Array, parameter: Array) -> Array:
    """Give a parameter of the channels the axes it needs to stand beside ``x``."""
    return parameter if x.ndim == 2 else parameter[:, np.newaxis, np.newaxis]


def _channel_sum(a: Array, b: Array | None = None) -> Array:
    """Sum ``a``, or ``a * b``, over everything but the channels: ``(d,)``.

    Sums are products with a vector of ones, which BLAS computes, and products go into the sums
    as they are formed, without an array of their own: on images three times as fast as
    ``(a * b).sum(axis=(0, 2, 3))``.
    """
    if a.ndim == 2:
        return np.ones(len(a), a.dtype) @ a if b is None else np.einsum("nd,nd->d", a, b)
    n, c, h, w = a.shape
    a = a.reshape(n, c, h * w)
    per_example = a @ np.ones(h * w, a.dtype) if b is None else np.vecdot(a, b.reshape(a.shape))
    return per_example.sum(axis=0)


def _row_mean(a: Array, b: Array | None = None) -> Array:
    """Average ``a``, or ``a * b``, along the last axis: ``(..., 1)``; see `_channel_sum`."""
    d = a.shape[-1]
    total = a @ np.ones(d, a.dtype) if b is None else np.vecdot(a, b)
    return np.asarray(total / d)[..., np.newaxis]
