"""Dropout: noise against co-adaptation, by switching units off at random while training."""

import torch
from torch import Tensor

from nnlib.contract.caches_normalization import DropoutCache
from nnlib.errors import DtypeError, check_flag, check_floats, check_number, check_upstream

__all__ = ["dropout_backward", "dropout_forward"]


def dropout_forward(
    x: Tensor, *, drop_prob: float, training: bool, rng: torch.Generator | None
) -> tuple[Tensor, DropoutCache]:
    """Set each entry to 0 with probability ``drop_prob``, and divide the rest by the other.

    Parameters
    ----------
    x : tensor of floats, any shape
    drop_prob : float, at least 0 and less than 1
        The probability to drop, not to keep.
    training : bool
        False returns ``x`` itself, not a copy.
    rng : torch.Generator
        Draws which entries to drop, each by itself; on the device of ``x``. May be None in
        evaluation.

    Returns
    -------
    y : tensor, shape and dtype of ``x``
    cache : DropoutCache

    Raises
    ------
    DtypeError
        If ``x`` is not a tensor of floats, or ``rng`` no generator.
    ValueError
        If ``drop_prob`` is out of range (with 1 nothing would be left to learn from), or the
        generator belongs to another device.

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
    >>> rng = torch.Generator().manual_seed(0)
    >>> y, cache = dropout_forward(torch.ones(6), drop_prob=0.5, training=True, rng=rng)
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """
    caller = "dropout_forward"
    check_floats(caller, x=x)
    check_number(caller, "drop_prob", drop_prob, low=0, below=1)
    check_flag(caller, "training", training)
    if not training:
        return x, DropoutCache(None)
    if not isinstance(rng, torch.Generator):
        raise DtypeError(
            f"{caller}: rng must be a torch.Generator in training, got "
            f"{type(rng).__name__}. Make one with torch.Generator().manual_seed(seed)."
        )
    if rng.device.type != x.device.type:
        raise ValueError(
            f"{caller}: rng must be on the device of x, got {rng.device} and {x.device}. "
            f"Make one with torch.Generator(device=x.device)."
        )
    keep_prob = 1 - float(drop_prob)
    # float32 draws give one mask for every dtype of x.
    kept = torch.rand(x.shape, generator=rng, dtype=torch.float32, device=x.device) < keep_prob
    mask = kept.to(x.dtype) / keep_prob
    return x * mask, DropoutCache(mask)


def dropout_backward(dy: Tensor, cache: DropoutCache) -> Tensor:
    """Compute ``dx = dy * mask``: dropped entries get no gradient, the rest the same factor.

    Parameters
    ----------
    dy : tensor, shape and dtype of the output
    cache : DropoutCache

    Returns
    -------
    dx : tensor, shape and dtype of ``dy``
        ``dy`` itself in evaluation.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Examples
    --------
    >>> dropout_backward(torch.tensor([1.0, 3.0]), DropoutCache(torch.tensor([0.0, 2.0]))).tolist()
    [0.0, 6.0]
    """
    if cache.mask is None:
        check_floats("dropout_backward", dy=dy)
        return dy
    check_upstream("dropout_backward", dy, cache.mask)
    return dy * cache.mask
