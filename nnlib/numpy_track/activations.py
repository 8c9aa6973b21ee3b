"""Activations: the functions between the layers, and their derivatives.

All act element by element on arrays of any shape, except softmax and log-softmax, which act
along one axis. `<name>_forward` returns ``(y, cache)``; `<name>_backward` turns the gradient
``dy`` with respect to ``y`` into the gradient ``dx`` with respect to ``x``: ``dx = dy * f'(x)``.

This file holds the functions with a corner or two flat ends, `activations_smooth` ELU,
softplus, SiLU and GELU, `softmax` the two that give probabilities.
"""

import numpy as np

from nnlib.contract.caches import (
    IdentityCache,
    LeakyReluCache,
    ReluCache,
    SigmoidCache,
    TanhCache,
)
from nnlib.errors import check_floats, check_number, check_upstream
from nnlib.numpy_track._types import Array
from nnlib.numpy_track.activations_smooth import (
    elu_backward,
    elu_forward,
    gelu_backward,
    gelu_forward,
    silu_backward,
    silu_forward,
    softplus_backward,
    softplus_forward,
)
from nnlib.numpy_track.softmax import (
    log_softmax_backward,
    log_softmax_forward,
    softmax_backward,
    softmax_forward,
)

__all__ = [
    "elu_backward",
    "elu_forward",
    "gelu_backward",
    "gelu_forward",
    "identity_backward",
    "identity_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "log_softmax_backward",
    "log_softmax_forward",
    "relu_backward",
    "relu_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "silu_backward",
    "silu_forward",
    "softmax_backward",
    "softmax_forward",
    "softplus_backward",
    "softplus_forward",
    "tanh_backward",
    "tanh_forward",
]


def identity_forward(x: Array) -> tuple[Array, IdentityCache]:
    """Return ``y = x``, the activation of a linear output.

    Parameters
    ----------
    x : array of floats, any shape

    Returns
    -------
    y : array
        ``x`` itself, not a copy.
    cache : IdentityCache

    Raises
    ------
    DtypeError
        If ``x`` is not an array of floats.

    References
    ----------
    Chapter 2, "Activations".

    Examples
    --------
    >>> y, cache = identity_forward(np.array([-1.0, 2.0]))
    >>> y.tolist()
    [-1.0, 2.0]
    """
    check_floats("identity_forward", x=x)
    return x, IdentityCache()


def identity_backward(dy: Array, cache: IdentityCache) -> Array:
    """Return ``dx = dy``: the derivative is 1 everywhere.

    Parameters
    ----------
    dy : array of floats, any shape
    cache : IdentityCache

    Returns
    -------
    dx : array
        ``dy`` itself, not a copy.

    Examples
    --------
    >>> identity_backward(np.array([3.0]), IdentityCache()).tolist()
    [3.0]
    """
    check_floats("identity_backward", dy=dy)
    return dy


def sigmoid_forward(x: Array) -> tuple[Array, SigmoidCache]:
    """Compute the logistic sigmoid ``y = 1 / (1 + exp(-x))``, between 0 and 1.

    Parameters
    ----------
    x : array of floats, any shape

    Returns
    -------
    y : array, shape and dtype of ``x``
    cache : SigmoidCache

    Raises
    ------
    DtypeError
        If ``x`` is not an array of floats.

    Notes
    -----
    ``exp(-x)`` overflows for large negative ``x``. With ``z = exp(-|x|)``, which lies between
    0 and 1, the value is ``1 / (1 + z)`` on the right and ``z / (1 + z)`` on the left.

    References
    ----------
    Chapter 2, "Activations".

    Examples
    --------
    >>> y, cache = sigmoid_forward(np.array([-1e4, 0.0, 1e4]))
    >>> y.tolist()
    [0.0, 0.5, 1.0]
    """
    check_floats("sigmoid_forward", x=x)
    z = np.exp(-np.abs(x))
    y = np.where(x >= 0, 1, z) / (1 + z)
    return y, SigmoidCache(y)


def sigmoid_backward(dy: Array, cache: SigmoidCache) -> Array:
    """Compute ``dx = dy * y * (1 - y)``.

    Parameters
    ----------
    dy : array, shape and dtype of the output
    cache : SigmoidCache
        Holds the output ``y``.

    Returns
    -------
    dx : array, shape and dtype of ``dy``

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` differs from ``y`` in shape or dtype.

    Notes
    -----
    The derivative is at most 1/4, at ``x = 0``, and vanishes at both ends: the sigmoid
    saturates.

    Examples
    --------
    >>> _, cache = sigmoid_forward(np.array([0.0]))
    >>> sigmoid_backward(np.array([2.0]), cache).tolist()
    [0.5]
    """
    check_upstream("sigmoid_backward", dy, cache.y)
    return dy * cache.y * (1 - cache.y)


def tanh_forward(x: Array) -> tuple[Array, TanhCache]:
    """Compute ``y = tanh(x)``, between -1 and 1 and centred on 0.

    Parameters
    ----------
    x : array of floats, any shape

    Returns
    -------
    y : array, shape and dtype of ``x``
    cache : TanhCache

    Raises
    ------
    DtypeError
        If ``x`` is not an array of floats.

    References
    ----------
    Chapter 2, "Activations".

    Examples
    --------
    >>> y, cache = tanh_forward(np.array([-1e4, 0.0, 1e4]))
    >>> y.tolist()
    [-1.0, 0.0, 1.0]
    """
    check_floats("tanh_forward", x=x)
    y = np.tanh(x)
    return y, TanhCache(y)


def tanh_backward(dy: Array, cache: TanhCache) -> Array:
    """Compute ``dx = dy * (1 - y^2)``.

    Parameters
    ----------
    dy : array, shape and dtype of the output
    cache : TanhCache
        Holds the output ``y``.

    Returns
    -------
    dx : array, shape and dtype of ``dy``

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` differs from ``y`` in shape or dtype.

    Examples
    --------
    >>> _, cache = tanh_forward(np.array([0.0]))
    >>> tanh_backward(np.array([2.0]), cache).tolist()
    [2.0]
    """
    check_upstream("tanh_backward", dy, cache.y)
    return dy * (1 - cache.y * cache.y)


def relu_forward(x: Array) -> tuple[Array, ReluCache]:
    """Compute the rectified linear unit ``y = max(x, 0)``.

    Parameters
    ----------
    x : array of floats, any shape

    Returns
    -------
    y : array, shape and dtype of ``x``
    cache : ReluCache

    Raises
    ------
    DtypeError
        If ``x`` is not an array of floats.

    References
    ----------
    Chapter 2, "Activations". V. Nair and G. Hinton, "Rectified linear units improve restricted
    Boltzmann machines", ICML 2010.

    Examples
    --------
    >>> y, cache = relu_forward(np.array([-1.0, 0.0, 2.0]))
    >>> y.tolist()
    [0.0, 0.0, 2.0]
    """
    check_floats("relu_forward", x=x)
    return np.maximum(x, 0), ReluCache(x)


def relu_backward(dy: Array, cache: ReluCache) -> Array:
    """Compute ``dx = dy`` where ``x > 0`` and 0 elsewhere.

    Parameters
    ----------
    dy : array, shape and dtype of the output
    cache : ReluCache
        Holds the input ``x``.

    Returns
    -------
    dx : array, shape and dtype of ``dy``

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` differs from ``x`` in shape or dtype.

    Notes
    -----
    At the kink ``x = 0`` any slope from 0 to 1 would do; the course takes 0, as PyTorch does.

    Examples
    --------
    >>> _, cache = relu_forward(np.array([-1.0, 0.0, 2.0]))
    >>> relu_backward(np.array([5.0, 5.0, 5.0]), cache).tolist()
    [0.0, 0.0, 5.0]
    """
    check_upstream("relu_backward", dy, cache.x)
    # Not np.where: it guesses which way each entry goes, and on a random mask guesses wrong.
    dx = dy * (cache.x > 0)
    dx += 0  # a product with 0 can be -0.0
    return dx


def leaky_relu_forward(
    x: Array, *, negative_slope: float = 0.01
) -> tuple[Array, LeakyReluCache]:
    """Compute ``y = x`` where ``x > 0`` and ``negative_slope * x`` elsewhere.

    Parameters
    ----------
    x : array of floats, any shape
    negative_slope : float
        Slope for negative inputs; with 0 this is ReLU.

    Returns
    -------
    y : array, shape and dtype of ``x``
    cache : LeakyReluCache

    Raises
    ------
    DtypeError
        If ``x`` is not an array of floats.
    ValueError
        If ``negative_slope`` is not finite.

    References
    ----------
    Chapter 2, "Activations". A. Maas, A. Hannun and A. Ng, "Rectifier nonlinearities improve
    neural network acoustic models", ICML 2013.

    Examples
    --------
    >>> y, cache = leaky_relu_forward(np.array([-2.0, 3.0]), negative_slope=0.5)
    >>> y.tolist()
    [-1.0, 3.0]
    """
    check_floats("leaky_relu_forward", x=x)
    check_number("leaky_relu_forward", "negative_slope", negative_slope)
    # float() because a NumPy float64 scalar would turn a float32 array into float64.
    return np.where(x > 0, x, float(negative_slope) * x), LeakyReluCache(x, negative_slope)


def leaky_relu_backward(dy: Array, cache: LeakyReluCache) -> Array:
    """Compute ``dx = dy`` where ``x > 0`` and ``negative_slope * dy`` elsewhere.

    Parameters
    ----------
    dy : array, shape and dtype of the output
    cache : LeakyReluCache
        Holds the input ``x`` and the slope.

    Returns
    -------
    dx : array, shape and dtype of ``dy``

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` differs from ``x`` in shape or dtype.

    Notes
    -----
    At the kink ``x = 0`` the slope is the negative side's, as in PyTorch.

    Examples
    --------
    >>> _, cache = leaky_relu_forward(np.array([-2.0, 3.0]), negative_slope=0.5)
    >>> leaky_relu_backward(np.array([1.0, 1.0]), cache).tolist()
    [0.5, 1.0]
    """
    check_upstream("leaky_relu_backward", dy, cache.x)
    return np.where(cache.x > 0, dy, float(cache.negative_slope) * dy)
