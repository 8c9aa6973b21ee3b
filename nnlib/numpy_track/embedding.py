"""Embeddings: one learned row of numbers for each symbol of a vocabulary."""

import numpy as np

from nnlib.contract.caches_sequences import EmbeddingCache
from nnlib.errors import check_floats, check_indices, check_shape
from nnlib.numpy_track._types import Array

__all__ = ["embedding_backward", "embedding_forward"]


def embedding_forward(ids: Array, w: Array) -> tuple[Array, EmbeddingCache]:
    """Look up row ``ids`` of ``w``: the product of a one-hot row and ``w``, without the product.

    Parameters
    ----------
    ids : array of integers from 0 to v - 1, any shape
    w : array (v, d) of floats
        One row for each symbol.

    Returns
    -------
    y : array (..., d), the shape of ``ids`` and one more axis
        A copy of the rows.
    cache : EmbeddingCache

    Raises
    ------
    ShapeError
        If ``w`` does not have two axes.
    DtypeError
        If ``ids`` does not hold integers or ``w`` no floats.
    ValueError
        If an id is negative or too large.

    References
    ----------
    Chapter 17, "Sequences". Y. Bengio et al., "A neural probabilistic language model", Journal
    of Machine Learning Research 3 (2003).

    Examples
    --------
    >>> w = np.array([[0.0, 1.0], [10.0, 11.0], [20.0, 21.0]])
    >>> y, cache = embedding_forward(np.array([2, 0]), w)
    >>> y.tolist()
    [[20.0, 21.0], [0.0, 1.0]]
    """
    caller = "embedding_forward"
    check_floats(caller, w=w)
    check_shape(caller, "w", w, ("v", "d"), "One row for each symbol.")
    check_indices(caller, "ids", ids, w.shape[0], "w has one row for each symbol, from 0.")
    return np.take(w, ids, axis=0), EmbeddingCache(ids, w)


def embedding_backward(dy: Array, cache: EmbeddingCache) -> Array:
    """Add each row of ``dy`` to the row of ``dw`` that its id names.

    Parameters
    ----------
    dy : array (..., d)
    cache : EmbeddingCache

    Returns
    -------
    dw : array (v, d)
        Rows that no id names are 0. An id that occurs twice gets the sum of both gradients.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Notes
    -----
    ``dw[ids] += dy`` would keep only one of the gradients of a repeated id. ``np.add.at`` adds
    them all. It is several times faster on one axis than on rows, so each entry ``(id, j)``
    gets its place ``id * d + j`` in the flattened ``dw``.

    Examples
    --------
    >>> _, cache = embedding_forward(np.array([1, 1]), np.zeros((3, 2)))
    >>> embedding_backward(np.array([[1.0, 2.0], [10.0, 20.0]]), cache).tolist()
    [[0.0, 0.0], [11.0, 22.0], [0.0, 0.0]]
    """
    ids, w = cache
    d = w.shape[1]
    check_floats("embedding_backward", dy=dy, w=w)
    check_shape("embedding_backward", "dy", dy, (*ids.shape, d))
    dw = np.zeros(w.size, w.dtype)
    places = ids.reshape(-1, 1).astype(np.int64) * d + np.arange(d)
    np.add.at(dw, places.reshape(-1), dy.reshape(-1))
    return dw.reshape(w.shape)
