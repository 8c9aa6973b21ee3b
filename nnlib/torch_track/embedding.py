"""Embeddings: one learned row of numbers for each symbol of a vocabulary."""

import torch
from torch import Tensor

from nnlib.contract.caches_sequences import EmbeddingCache
from nnlib.errors import check_floats, check_indices, check_integers, check_shape

__all__ = ["embedding_backward", "embedding_forward"]


def embedding_forward(ids: Tensor, w: Tensor) -> tuple[Tensor, EmbeddingCache]:
    """Look up row ``ids`` of ``w``: the product of a one-hot row and ``w``, without the product.

    Parameters
    ----------
    ids : tensor of integers from 0 to v - 1, any shape
    w : tensor (v, d) of floats
        One row for each symbol.

    Returns
    -------
    y : tensor (..., d), the shape of ``ids`` and one more axis
        A copy of the rows.
    cache : EmbeddingCache

    Raises
    ------
    ShapeError
        If ``w`` does not have two axes.
    DtypeError
        If ``ids`` does not hold integers or ``w`` no floats.
    ValueError
        If an id is negative or too large, or the devices differ.

    References
    ----------
    Chapter 17, "Sequences". Y. Bengio et al., "A neural probabilistic language model", Journal
    of Machine Learning Research 3 (2003).

    Examples
    --------
    >>> w = torch.tensor([[0.0, 1.0], [10.0, 11.0], [20.0, 21.0]])
    >>> y, cache = embedding_forward(torch.tensor([2, 0]), w)
    >>> y.tolist()
    [[20.0, 21.0], [0.0, 1.0]]
    """
    caller = "embedding_forward"
    check_floats(caller, w=w)
    check_shape(caller, "w", w, ("v", "d"), "One row for each symbol.")
    check_integers(caller, "ids", ids)
    if ids.device != w.device:
        raise ValueError(
            f"{caller}: ids and w must be on one device, got {ids.device} and {w.device}. "
            f"Move one of them with .to(device)."
        )
    ids = ids.long()  # PyTorch indexes with int64, and compares few of the other types
    check_indices(caller, "ids", ids, w.shape[0], "w has one row for each symbol, from 0.")
    return w[ids], EmbeddingCache(ids, w)


def embedding_backward(dy: Tensor, cache: EmbeddingCache) -> Tensor:
    """Add each row of ``dy`` to the row of ``dw`` that its id names.

    Parameters
    ----------
    dy : tensor (..., d)
    cache : EmbeddingCache

    Returns
    -------
    dw : tensor (v, d)
        Rows that no id names are 0. An id that occurs twice gets the sum of both gradients.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Notes
    -----
    ``dw[ids] += dy`` would keep only one of the gradients of a repeated id; ``index_add_`` adds
    them all. On a GPU the order of the sum, and so its last bit, can differ between runs.

    Examples
    --------
    >>> _, cache = embedding_forward(torch.tensor([1, 1]), torch.zeros((3, 2)))
    >>> embedding_backward(torch.tensor([[1.0, 2.0], [10.0, 20.0]]), cache).tolist()
    [[0.0, 0.0], [11.0, 22.0], [0.0, 0.0]]
    """
    ids, w = cache
    d = w.shape[1]
    check_floats("embedding_backward", dy=dy, w=w)
    check_shape("embedding_backward", "dy", dy, (*ids.shape, d))
    return torch.zeros_like(w).index_add_(0, ids.reshape(-1), dy.reshape(ids.numel(), d))
