"""Initialisers: the random numbers that a network starts from.

All take ``(rng, shape)``. A scheme's scale depends on the fans of the shape: how many inputs
one output sums over (``fan_in``), and how many outputs one input reaches (``fan_out``).
"""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from nnlib.errors import ShapeError, check_choice, check_count, check_number, format_shape
from nnlib.numpy_track._types import Array

__all__ = [
    "fans",
    "he_normal",
    "he_uniform",
    "init_params",
    "normal",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return ``(fan_in, fan_out)`` of a weight array.

    Parameters
    ----------
    shape : sequence of int
        ``(d_in, d_out)`` for a linear layer, or ``(c_out, c_in / groups, kh, kw)`` for filters,
        whose fans count every position of the kernel.

    Returns
    -------
    fan_in, fan_out : int

    Raises
    ------
    ShapeError
        If the shape has fewer than 2 axes.

    References
    ----------
    Chapter 7, "Initialization".

    Examples
    --------
    >>> fans((784, 128)), fans((16, 3, 5, 5))
    ((784, 128), (75, 400))
    """
    if len(shape) < 2:
        raise ShapeError(
            f"fans: shape must have at least 2 axes, got {format_shape(shape)}. "
            f"Biases have no fans: use zeros or normal."
        )
    if len(shape) == 2:
        return shape[0], shape[1]
    positions = math.prod(shape[2:])
    return shape[1] * positions, shape[0] * positions


def zeros(
    rng: np.random.Generator | None,
    shape: Sequence[int],
    *,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Return zeros: right for biases, wrong for weights, which would all stay equal.

    Parameters
    ----------
    rng : numpy.random.Generator or None
        Not used; here so that all initialisers are called alike.
    shape : sequence of int
    dtype : dtype of the result

    Returns
    -------
    w : array of the given shape

    Examples
    --------
    >>> zeros(None, (2,)).tolist()
    [0.0, 0.0]
    """
    return np.zeros(shape, dtype=dtype)


def normal(
    rng: np.random.Generator,
    shape: Sequence[int],
    *,
    mean: float = 0.0,
    std: float = 0.01,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw from the normal distribution with the given mean and standard deviation.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : sequence of int
    mean : float
    std : float
        At least 0.
    dtype : dtype of the result

    Returns
    -------
    w : array of the given shape

    Raises
    ------
    ValueError
        If ``std`` is negative.

    Examples
    --------
    >>> normal(np.random.default_rng(0), (3, 4), std=0.1).shape
    (3, 4)
    """
    check_number("normal", "mean", mean)
    check_number("normal", "std", std, low=0)
    return rng.normal(mean, std, size=tuple(shape)).astype(dtype)


def xavier_uniform(
    rng: np.random.Generator,
    shape: Sequence[int],
    *,
    gain: float = 1.0,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw uniformly with standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : sequence of int
        At least 2 axes, see `fans`.
    gain : float
        Positive.
    dtype : dtype of the result

    Returns
    -------
    w : array of the given shape

    Raises
    ------
    ShapeError
        If the shape has fewer than 2 axes.
    ValueError
        If ``gain`` is not positive.

    Notes
    -----
    A uniform distribution on ``(-a, a)`` has standard deviation ``a / sqrt(3)``, so the bound is
    ``sqrt(3)`` times the standard deviation.

    References
    ----------
    Chapter 7, "Initialization". X. Glorot and Y. Bengio, "Understanding the difficulty of
    training deep feedforward neural networks", AISTATS 2010.

    Examples
    --------
    >>> w = xavier_uniform(np.random.default_rng(0), (2, 4))
    >>> w.shape, bool((abs(w) <= 1).all())
    ((2, 4), True)
    """
    return _uniform(rng, shape, _xavier_std("xavier_uniform", shape, gain), dtype)


def xavier_normal(
    rng: np.random.Generator,
    shape: Sequence[int],
    *,
    gain: float = 1.0,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw from a normal distribution with variance ``gain^2 * 2 / (fan_in + fan_out)``.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : sequence of int
        At least 2 axes, see `fans`.
    gain : float
        Positive.
    dtype : dtype of the result

    Returns
    -------
    w : array of the given shape

    Raises
    ------
    ShapeError
        If the shape has fewer than 2 axes.
    ValueError
        If ``gain`` is not positive.

    Notes
    -----
    The sum is a compromise: ``1 / fan_in`` would keep the variance of activations on the way
    forward, ``1 / fan_out`` that of gradients on the way back.

    References
    ----------
    Chapter 7, "Initialization". X. Glorot and Y. Bengio, "Understanding the difficulty of
    training deep feedforward neural networks", AISTATS 2010.

    Examples
    --------
    >>> xavier_normal(np.random.default_rng(0), (2, 4)).shape
    (2, 4)
    """
    std = _xavier_std("xavier_normal", shape, gain)
    return normal(rng, shape, std=std, dtype=dtype)


def he_uniform(
    rng: np.random.Generator,
    shape: Sequence[int],
    *,
    negative_slope: float = 0.0,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw uniformly with standard deviation ``sqrt(2 / ((1 + negative_slope^2) fan_in))``.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : sequence of int
        At least 2 axes, see `fans`.
    negative_slope : float
        Of the leaky ReLU that follows; 0 for ReLU.
    dtype : dtype of the result

    Returns
    -------
    w : array of the given shape

    Raises
    ------
    ShapeError
        If the shape has fewer than 2 axes.

    References
    ----------
    Chapter 7, "Initialization". K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into
    rectifiers", ICCV 2015.

    Examples
    --------
    >>> he_uniform(np.random.default_rng(0), (2, 4)).shape
    (2, 4)
    """
    return _uniform(rng, shape, _he_std("he_uniform", shape, negative_slope), dtype)


def he_normal(
    rng: np.random.Generator,
    shape: Sequence[int],
    *,
    negative_slope: float = 0.0,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw from a normal distribution with variance ``2 / ((1 + negative_slope^2) fan_in)``.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : sequence of int
        At least 2 axes, see `fans`.
    negative_slope : float
        Of the leaky ReLU that follows; 0 for ReLU.
    dtype : dtype of the result

    Returns
    -------
    w : array of the given shape

    Raises
    ------
    ShapeError
        If the shape has fewer than 2 axes.

    Notes
    -----
    ReLU sets half of its inputs to 0 and so halves their mean square; the factor 2 makes up for
    it.

    References
    ----------
    Chapter 7, "Initialization". K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into
    rectifiers", ICCV 2015.

    Examples
    --------
    >>> he_normal(np.random.default_rng(0), (2, 4)).shape
    (2, 4)
    """
    std = _he_std("he_normal", shape, negative_slope)
    return normal(rng, shape, std=std, dtype=dtype)


SCHEMES: dict[str, Callable[..., Array]] = {
    "he": he_normal,
    "xavier": xavier_uniform,
    "zeros": zeros,
    "normal": normal,
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
}


def init_params(
    rng: np.random.Generator,
    sizes: Sequence[int],
    *,
    scheme: str = "he",
    dtype: npt.DTypeLike = np.float64,
) -> list[tuple[Array, Array]]:
    """Draw the weights of a multi-layer perceptron; its biases start at 0.

    Parameters
    ----------
    rng : numpy.random.Generator
    sizes : sequence of int
        Number of inputs, of units in each hidden layer, and of outputs: ``(784, 128, 10)``.
    scheme : str
        Name of an initialiser, or "he" for `he_normal`, "xavier" for `xavier_uniform`.
    dtype : dtype of the result

    Returns
    -------
    params : list of (w (d_in, d_out), b (d_out,))
        One pair a layer, as `mlp_forward` takes them.

    Raises
    ------
    ShapeError
        If there are fewer than 2 sizes.
    ValueError
        If a size is below 1 or the scheme unknown.

    References
    ----------
    Chapter 7, "Initialization".

    Examples
    --------
    >>> params = init_params(np.random.default_rng(0), (4, 3, 2))
    >>> [(w.shape, b.shape) for w, b in params]
    [((4, 3), (3,)), ((3, 2), (2,))]
    """
    check_choice("init_params", "scheme", scheme, tuple(SCHEMES))
    if len(sizes) < 2:
        raise ShapeError(
            f"init_params: sizes must hold at least inputs and outputs, got {list(sizes)}."
        )
    for size in sizes:
        check_count("init_params", "each of sizes", size, minimum=1)
    return [
        (SCHEMES[scheme](rng, (d_in, d_out), dtype=dtype), zeros(rng, (d_out,), dtype=dtype))
        for d_in, d_out in itertools.pairwise(sizes)
    ]


def _xavier_std(caller: str, shape: Sequence[int], gain: float) -> float:
    check_number(caller, "gain", gain, above=0)
    fan_in, fan_out = fans(shape)
    return float(gain) * math.sqrt(2 / max(1, fan_in + fan_out))


def _he_std(caller: str, shape: Sequence[int], negative_slope: float) -> float:
    check_number(caller, "negative_slope", negative_slope)
    fan_in, _ = fans(shape)
    return math.sqrt(2 / ((1 + float(negative_slope) ** 2) * max(1, fan_in)))


def _uniform(
    rng: np.random.Generator, shape: Sequence[int], std: float, dtype: npt.DTypeLike
) -> Array:
    bound = math.sqrt(3) * std
    return rng.uniform(-bound, bound, size=tuple(shape)).astype(dtype)
