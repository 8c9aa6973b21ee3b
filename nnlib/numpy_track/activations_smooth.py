"""Smooth relatives of ReLU: ELU, softplus, SiLU and GELU, element by element on any shape."""

import math

import numpy as np

from nnlib.contract.caches import EluCache, GeluCache, SiluCache, SoftplusCache
from nnlib.errors import check_choice, check_floats, check_number, check_upstream
from nnlib.numpy_track._erf import erf
from nnlib.numpy_track._types import Array

_GELU_CUBIC = 0.044715
# Beyond |x| = 40 the normal density is 0 and its integral 0 or 1 to the last bit of float64,
# so powers of x may be taken of the clipped value: nothing overflows, nothing changes.
_GELU_FLAT = 40.0


def elu_forward(x: Array, *, alpha: float = 1.0) -> tuple[Array, EluCache]:
    """Compute ``y = x`` where ``x > 0`` and ``alpha * (exp(x) - 1)`` elsewhere.

    Parameters
    ----------
    x : array of floats, any shape
    alpha : float
        The output tends to ``-alpha`` for large negative inputs.

    Returns
    -------
    y : array, shape and dtype of ``x``
    cache : EluCache

    Raises
    ------
    DtypeError
        If ``x`` is not an array of floats.
    ValueError
        If ``alpha`` is not finite.

    Notes
    -----
    ``expm1`` keeps the digits that ``exp(x) - 1`` loses near 0. Both branches are computed
    everywhere, so the exponential gets ``min(x, 0)``, which cannot overflow.

    References
    ----------
    Chapter 2, "Activations". D.-A. Clevert, T. Unterthiner and S. Hochreiter, "Fast and accurate
    deep network learning by exponential linear units", ICLR 2016.

    Examples
    --------
    >>> y, cache = elu_forward(np.array([-1e4, 0.0, 3.0]))
    >>> y.tolist()
    [-1.0, 0.0, 3.0]
    """
    check_floats("elu_forward", x=x)
    check_number("elu_forward", "alpha", alpha)
    y = np.where(x > 0, x, float(alpha) * np.expm1(np.minimum(x, 0)))
    return y, EluCache(x, alpha)


def elu_backward(dy: Array, cache: EluCache) -> Array:
    """Compute ``dx = dy`` where ``x > 0`` and ``dy * alpha * exp(x)`` elsewhere.

    Parameters
    ----------
    dy : array, shape and dtype of the output
    cache : EluCache
        Holds the input ``x`` and ``alpha``.

    Returns
    -------
    dx : array, shape and dtype of ``dy``

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` differs from ``x`` in shape or dtype.

    Notes
    -----
    With ``alpha = 1`` there is no kink at 0; else the slope there is ``alpha``, as in PyTorch.

    Examples
    --------
    >>> _, cache = elu_forward(np.array([0.0, 3.0]), alpha=0.5)
    >>> elu_backward(np.array([1.0, 1.0]), cache).tolist()
    [0.5, 1.0]
    """
    check_upstream("elu_backward", dy, cache.x)
    slope = float(cache.alpha) * np.exp(np.minimum(cache.x, 0))
    return np.where(cache.x > 0, dy, dy * slope)


def softplus_forward(x: Array, *, beta: float = 1.0) -> tuple[Array, SoftplusCache]:
    """Compute ``y = log(1 + exp(beta * x)) / beta``, a smooth ReLU.

    Parameters
    ----------
    x : array of floats, any shape
    beta : float
        Sharpness, positive; for large ``beta`` this is ReLU.

    Returns
    -------
    y : array, shape and dtype of ``x``
    cache : SoftplusCache

    Raises
    ------
    DtypeError
        If ``x`` is not an array of floats.
    ValueError
        If ``beta`` is not positive and finite.

    Notes
    -----
    ``log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))`` overflows nowhere, and ``log1p`` keeps
    the digits for large negative ``z``. PyTorch returns ``x`` where ``beta * x > 20``; the
    difference is below 3e-9.

    References
    ----------
    Chapter 2, "Activations".

    Examples
    --------
    >>> y, cache = softplus_forward(np.array([-1e4, 0.0, 1e4]))
    >>> y.round(4).tolist()
    [0.0, 0.6931, 10000.0]
    """
    check_floats("softplus_forward", x=x)
    check_number("softplus_forward", "beta", beta, above=0)
    z = float(beta) * x
    y = (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))) / float(beta)
    return y, SoftplusCache(x, beta)


def softplus_backward(dy: Array, cache: SoftplusCache) -> Array:
    """Compute ``dx = dy * sigmoid(beta * x)``.

    Parameters
    ----------
    dy : array, shape and dtype of the output
    cache : SoftplusCache
        Holds the input ``x`` and ``beta``.

    Returns
    -------
    dx : array, shape and dtype of ``dy``

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` differs from ``x`` in shape or dtype.

    Examples
    --------
    >>> _, cache = softplus_forward(np.array([0.0]))
    >>> softplus_backward(np.array([2.0]), cache).tolist()
    [1.0]
    """
    check_upstream("softplus_backward", dy, cache.x)
    return dy * _sigmoid(float(cache.beta) * cache.x)


def silu_forward(x: Array) -> tuple[Array, SiluCache]:
    """Compute ``y = x * sigmoid(x)``, also called swish.

    Parameters
    ----------
    x : array of floats, any shape

    Returns
    -------
    y : array, shape and dtype of ``x``
    cache : SiluCache

    Raises
    ------
    DtypeError
        If ``x`` is not an array of floats.

    References
    ----------
    Chapter 2, "Activations". S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-weighted linear units
    for neural network function approximation in reinforcement learning", Neural Networks 107
    (2018).

    Examples
    --------
    >>> y, cache = silu_forward(np.array([-1.0, 0.0, 1.0]))
    >>> y.round(4).tolist()
    [-0.2689, 0.0, 0.7311]
    """
    check_floats("silu_forward", x=x)
    return x * _sigmoid(x), SiluCache(x)


def silu_backward(dy: Array, cache: SiluCache) -> Array:
    """Compute ``dx = dy * s * (1 + x * (1 - s))`` with ``s = sigmoid(x)``.

    Parameters
    ----------
    dy : array, shape and dtype of the output
    cache : SiluCache
        Holds the input ``x``.

    Returns
    -------
    dx : array, shape and dtype of ``dy``

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` differs from ``x`` in shape or dtype.

    Examples
    --------
    >>> _, cache = silu_forward(np.array([0.0]))
    >>> silu_backward(np.array([2.0]), cache).tolist()
    [1.0]
    """
    check_upstream("silu_backward", dy, cache.x)
    s = _sigmoid(cache.x)
    return dy * s * (1 + cache.x * (1 - s))


def gelu_forward(x: Array, *, approximate: str = "none") -> tuple[Array, GeluCache]:
    """Compute ``y = x * P(Z <= x)`` with a standard normal ``Z``.

    Parameters
    ----------
    x : array of floats, any shape
    approximate : "none" or "tanh"
        ``"none"``: ``x * (1 + erf(x / sqrt(2))) / 2``. ``"tanh"``:
        ``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2``, up to 5e-4 off.

    Returns
    -------
    y : array, shape and dtype of ``x``
    cache : GeluCache

    Raises
    ------
    DtypeError
        If ``x`` is not an array of floats.
    ValueError
        If ``approximate`` is neither of the two.

    References
    ----------
    Chapter 2, "Activations". D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)",
    2016.

    Examples
    --------
    >>> y, cache = gelu_forward(np.array([-1.0, 0.0, 1.0]))
    >>> y.round(4).tolist()
    [-0.1587, 0.0, 0.8413]
    """
    check_floats("gelu_forward", x=x)
    check_choice("gelu_forward", "approximate", approximate, ("none", "tanh"))
    if approximate == "tanh":
        y = 0.5 * x * (1 + np.tanh(_gelu_inner(x)))
    else:
        y = 0.5 * x * (1 + erf(x / math.sqrt(2)))
    return y, GeluCache(x, approximate)


def gelu_backward(dy: Array, cache: GeluCache) -> Array:
    """Compute ``dx = dy * (P(Z <= x) + x * p(x))`` with the normal density ``p``.

    Parameters
    ----------
    dy : array, shape and dtype of the output
    cache : GeluCache
        Holds the input ``x`` and which formula was used; the derivative is of that formula.

    Returns
    -------
    dx : array, shape and dtype of ``dy``

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` differs from ``x`` in shape or dtype.

    Examples
    --------
    >>> _, cache = gelu_forward(np.array([0.0]))
    >>> gelu_backward(np.array([2.0]), cache).tolist()
    [1.0]
    """
    check_upstream("gelu_backward", dy, cache.x)
    x = np.clip(cache.x, -_GELU_FLAT, _GELU_FLAT)
    if cache.approximate == "tanh":
        t = np.tanh(_gelu_inner(x))
        probability = 0.5 * (1 + t)
        inner_slope = math.sqrt(2 / math.pi) * (1 + 3 * _GELU_CUBIC * x * x)
        density = 0.5 * (1 - t * t) * inner_slope
    else:
        probability = 0.5 * (1 + erf(x / math.sqrt(2)))
        density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return dy * (probability + x * density)


def _gelu_inner(x: Array) -> Array:
    """Return the argument of the tanh in the approximate GELU."""
    x = np.clip(x, -_GELU_FLAT, _GELU_FLAT)
    return math.sqrt(2 / math.pi) * (x + _GELU_CUBIC * x * x * x)


def _sigmoid(x: Array) -> Array:
    """Return the stable logistic sigmoid; `activations.sigmoid_forward` explains it."""
    z = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, z) / (1 + z)
