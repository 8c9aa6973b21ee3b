"""Dropout: noise against co-adaptation, by switching units off at random while training."""

import numpy as np

from nnlib.contract.caches_normalization import DropoutCache
from nnlib.errors import DtypeError, check_flag, check_floats, check_number, check_upstream
from nnlib.numpy_track._types import Array

__all__ = ["dropout_backward", "dropout_forward"]


def dropout_forward(
    x: Array, *, drop_prob: float, training: bool, rng: np.random.Generator | None
) -> tuple[Array, DropoutCache]:
    """Set each entry to 0 with probability ``drop_prob``, and divide the rest by the other.

    Parameters
    ----------
    x : array of floats, any shape
    drop_prob : float, at least 0 and less than 1
        The probability to drop, not to keep.
    training : bool
        False returns ``x`` itself, not a copy.
    rng : numpy.random.Generator
        Draws which entries to drop, each by itself. May be None in evaluation.

    Returns
    -------
    y : array, shape and dtype of ``x``
    cache : DropoutCache

    Raises
    ------
    DtypeError
        If ``x`` is not an array of floats, or ``rng`` no generator.
    ValueError
        If ``drop_prob`` is out of range. With 1 nothing would be left to learn from.

    Notes
    -----
    Dividing what stays by ``1 - drop_prob`` keeps each entry's expectation, so that evaluation
    needs no factor ("inverted" dropout).

    References
    ----------
    Chapter 10, "Regularization". N. Srivastava et al., "Dropout: A simple way to prevent neural
    networks from overfitting", Journal of Machine Learning Research 15 (2014).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, cache = dropout_forward(np.ones(6), drop_prob=0.5, training=True, rng=rng)
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """
    caller = "dropout_forward"
    check_floats(caller, x=x)
    check_number(caller, "drop_prob", drop_prob, low=0, below=1)
    check_flag(caller, "training", training)
    if not training:
        return x, DropoutCache(None)
    if not isinstance(rng, np.random.Generator):
        raise DtypeError(
            f"{caller}: rng must be a numpy.random.Generator in training, got "
            f"{type(rng).__name__}. Make one with np.random.default_rng(seed)."
        )
    keep_prob = 1 - float(drop_prob)
    # float32 draws cost half as much, and give one mask for every dtype of x.
    kept = rng.random(x.shape, dtype=np.float32) < keep_prob
    mask = np.multiply(kept, 1 / keep_prob, dtype=x.dtype)
    return x * mask, DropoutCache(mask)


def dropout_backward(dy: Array, cache: DropoutCache) -> Array:
    """Compute ``dx = dy * mask``: dropped entries get no gradient, the rest the same factor.

    Parameters
    ----------
    dy : array, shape and dtype of the output
    cache : DropoutCache

    Returns
    -------
    dx : array, shape and dtype of ``dy``
        ``dy`` itself in evaluation.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Examples
    --------
    >>> dropout_backward(np.array([1.0, 3.0]), DropoutCache(np.array([0.0, 2.0]))).tolist()
    [0.0, 6.0]
    """
    if cache.mask is None:
        check_floats("dropout_backward", dy=dy)
        return dy
    check_upstream("dropout_backward", dy, cache.mask)
    return dy * cache.mask
