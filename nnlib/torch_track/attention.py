"""Attention: each position takes a weighted average of the values of other positions."""

import math

import torch
from torch import Tensor

from nnlib.contract.caches_sequences import AttentionCache, AttentionGrads
from nnlib.errors import (
    ShapeError,
    check_flag,
    check_floats,
    check_min_axes,
    check_shape,
    format_shape,
)

__all__ = ["attention_backward", "attention_forward"]


def attention_forward(
    q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False
) -> tuple[Tensor, AttentionCache]:
    """Compute ``y = softmax(q @ k.T / sqrt(d)) @ v``, the softmax along each row of scores.

    Parameters
    ----------
    q : tensor (..., t, d) of floats
        Queries: what each of ``t`` positions looks for.
    k : tensor (..., s, d)
        Keys: what each of ``s`` positions offers. Self-attention has ``s = t``.
    v : tensor (..., s, d_v)
        Values: what a position gives. The leading axes (examples, heads) are those of ``q``.
    causal : bool
        True lets position ``i`` see the positions ``0 … i`` only, never the future.

    Returns
    -------
    y : tensor (..., t, d_v)
    cache : AttentionCache

    Raises
    ------
    ShapeError
        If the shapes do not fit, or there is no position to attend to.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.

    Notes
    -----
    A product of ``d`` random terms has a spread of ``sqrt(d)``; the division keeps the softmax
    from saturating. It is done on ``q``, which is smaller than the scores where ``s > d``. The
    mask sets scores to ``-inf`` *before* the softmax, so that the weights left still sum to 1.

    References
    ----------
    Chapter 18, "Attention". A. Vaswani et al., "Attention is all you need", NeurIPS 2017.

    Examples
    --------
    >>> q = k = torch.zeros((2, 4))
    >>> y, cache = attention_forward(q, k, torch.tensor([[1.0], [3.0]]), causal=True)
    >>> y.tolist(), cache.weights.tolist()
    ([[1.0], [2.0]], [[1.0, 0.0], [0.5, 0.5]])
    """
    caller = "attention_forward"
    check_floats(caller, q=q, k=k, v=v)
    check_min_axes(caller, "q", q, 2, "Positions are rows: (..., t, d).")
    *leading, t, d = q.shape
    check_shape(caller, "k", k, (*leading, "s", d), "Keys are compared with queries.")
    s = k.shape[-2]
    check_shape(caller, "v", v, (*leading, s, "d_v"), "One value for each key.")
    check_flag(caller, "causal", causal)
    if s == 0 or d == 0:
        raise ShapeError(
            f"{caller}: k must have at least one position and one feature, got shape "
            f"{format_shape(k.shape)}."
        )
    weights = (q / math.sqrt(d)) @ k.transpose(-1, -2)  # scores, (..., t, s)
    if causal:
        future = ~torch.ones((t, s), dtype=torch.bool, device=q.device).tril()
        weights = weights.masked_fill(future, -math.inf)
    # The stable softmax of softmax_forward.
    weights = torch.exp(weights - weights.amax(dim=-1, keepdim=True))
    weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights @ v, AttentionCache(q, k, v, weights)


def attention_backward(dy: Tensor, cache: AttentionCache) -> AttentionGrads:
    """Compute the gradients of attention: two matrix products for each one of the forward.

    With the weights ``p`` and ``dp = dy @ v.T``, the softmax gives
    ``ds = p * (dp - sum(dp * p))``, and the scores ``dq = ds @ k / sqrt(d)``,
    ``dk = ds.T @ q / sqrt(d)``. The values get ``dv = p.T @ dy``.

    Parameters
    ----------
    dy : tensor (..., t, d_v)
    cache : AttentionCache

    Returns
    -------
    AttentionGrads
        ``dq (..., t, d)``, ``dk (..., s, d)``, ``dv (..., s, d_v)``.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Notes
    -----
    Where the mask was, ``p`` is 0, and so is ``ds``: the backward needs no mask.

    Examples
    --------
    >>> q, k, v = torch.zeros((1, 1)), torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0], [3.0]])
    >>> _, cache = attention_forward(q, k, v)
    >>> dq, dk, dv = attention_backward(torch.tensor([[2.0]]), cache)
    >>> dq.tolist(), dk.tolist(), dv.tolist()
    ([[-2.0]], [[0.0], [0.0]], [[1.0], [1.0]])
    """
    q, k, v, weights = cache
    check_floats("attention_backward", dy=dy, q=q)
    check_shape("attention_backward", "dy", dy, (*q.shape[:-1], v.shape[-1]))
    scale = 1 / math.sqrt(q.shape[-1])
    dscores = dy @ v.transpose(-1, -2)
    dscores -= (dscores * weights).sum(dim=-1, keepdim=True)
    dscores *= weights
    dq = dscores @ k
    dq *= scale
    dk = dscores.transpose(-1, -2) @ q
    dk *= scale
    return AttentionGrads(dq, dk, weights.transpose(-1, -2) @ dy)
