"""Mini-batches: every example exactly once per epoch, x and y always together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlib.data._checks import require_rng, require_same_length
from nnlib.errors import check_count


def iterate_batches(
    x: NDArray[Any],
    y: NDArray[Any] | None,
    *,
    batch_size: int,
    rng: np.random.Generator | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
) -> Iterator[tuple[NDArray[Any], NDArray[Any] | None]]:
    """Yield one epoch of mini-batches ``(x[rows], y[rows])``.

    The examples themselves are shuffled, not only the order of fixed batches, and the same
    row order is used for `x` and `y`. Each example appears exactly once.

    Parameters
    ----------
    x : ndarray, shape (n, ...)
        Examples in rows.
    y : ndarray, shape (n, ...), or None
        Labels or targets. With None the second member of each pair is None.
    batch_size : int
        Rows per batch, at least 1. The last batch may be smaller.
    rng : numpy.random.Generator, optional
        Needed when `shuffle` is True. Passing the same generator again gives the next epoch a
        new order.
    shuffle : bool
        False keeps the order of the rows, as for evaluation.
    drop_last : bool
        True leaves out a last batch that has fewer than `batch_size` rows.

    Yields
    ------
    x_batch : ndarray, shape (m, ...)
        A copy, so that changing it in place does not change `x`; m <= batch_size.
    y_batch : ndarray, shape (m, ...), or None
        The rows of `y` that belong to `x_batch`.

    Raises
    ------
    ShapeError
        If `x` and `y` differ in their number of rows.
    DtypeError
        If `batch_size` is no int, `rng` no Generator, or `x` or `y` no array.
    ValueError
        If `batch_size` < 1, or `shuffle` is asked for without an `rng`.

    Notes
    -----
    Arguments are checked when the function is called, not when the first batch is drawn.

    References
    ----------
    Chapter 06-training.

    Examples
    --------
    >>> x = np.arange(10).reshape(5, 2)
    >>> y = np.arange(5)
    >>> [len(xb) for xb, yb in iterate_batches(x, y, batch_size=2, shuffle=False)]
    [2, 2, 1]
    >>> rng = np.random.default_rng(0)
    >>> all((xb[:, 0] == 2 * yb).all() for xb, yb in iterate_batches(x, y, batch_size=2, rng=rng))
    True
    """
    n = require_same_length("iterate_batches", x, y)
    check_count("iterate_batches", "batch_size", batch_size, minimum=1)
    if shuffle:
        if rng is None:
            raise ValueError(
                "iterate_batches: rng must be given when shuffle=True, got None. "
                "Pass rng=np.random.default_rng(0), or shuffle=False to keep the order."
            )
        require_rng("iterate_batches", rng)
        order = rng.permutation(n)
    else:
        order = np.arange(n)
    stop = n - n % batch_size if drop_last else n
    # A nested generator: the checks above run at the call, not at the first batch.
    return (
        (x[rows], None if y is None else y[rows])
        for rows in (order[start : start + batch_size] for start in range(0, stop, batch_size))
    )
