"""Mini-batches: every example exactly once per epoch, x and y always together."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from nnlib.data._checks import require_same_length
from nnlib.errors import DtypeError, check_count

__all__ = ["iterate_batches"]


def iterate_batches(
    x: Tensor,
    y: Tensor | None,
    *,
    batch_size: int,
    rng: torch.Generator | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
) -> Iterator[tuple[Tensor, Any]]:
    """Yield one epoch of mini-batches ``(x[rows], y[rows])``.

    The examples themselves are shuffled, not only the order of fixed batches, and the same
    row order is used for ``x`` and ``y``. Each example appears exactly once.

    Parameters
    ----------
    x : tensor (n, ...)
        Examples in rows, on any device.
    y : tensor (n, ...) or None
        Labels or targets. With None the second member of each pair is None.
    batch_size : int
        Rows in a batch, at least 1. The last batch may be smaller.
    rng : torch.Generator, optional
        Needed when ``shuffle`` is True. Passing the same generator again gives the next epoch a
        new order.
    shuffle : bool
        False keeps the order of the rows, as for evaluation.
    drop_last : bool
        True leaves out a last batch that has fewer than ``batch_size`` rows.

    Yields
    ------
    x_batch : tensor (m, ...)
        A copy, with ``m <= batch_size``.
    y_batch : tensor (m, ...) or None
        The rows of ``y`` that belong to ``x_batch``.

    Raises
    ------
    ShapeError
        If ``x`` and ``y`` differ in their number of rows.
    DtypeError
        If ``batch_size`` is no integer, ``rng`` no Generator, or ``x`` or ``y`` no tensor.
    ValueError
        If ``batch_size`` < 1, or ``shuffle`` is asked for without an ``rng``.

    Notes
    -----
    Arguments are checked when the function is called, not when the first batch is drawn.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> x, y = torch.arange(10).reshape(5, 2), torch.arange(5)
    >>> [len(xb) for xb, yb in iterate_batches(x, y, batch_size=2, shuffle=False)]
    [2, 2, 1]
    >>> rng = torch.Generator().manual_seed(0)
    >>> all((xb[:, 0] == 2 * yb).all() for xb, yb in iterate_batches(x, y, batch_size=2, rng=rng))
    True
    """
    caller = "iterate_batches"
    n = require_same_length(caller, x, y)
    check_count(caller, "batch_size", batch_size, minimum=1)
    if shuffle and rng is None:
        raise ValueError(
            f"{caller}: rng must be given when shuffle=True, got None. "
            f"Pass rng=torch.Generator().manual_seed(0), or shuffle=False to keep the order."
        )
    if shuffle:
        check_rng(caller, rng)
        assert rng is not None
        order = torch.randperm(n, generator=rng, device=rng.device).to(x.device)
    else:
        order = torch.arange(n, device=x.device)
    stop = n - n % batch_size if drop_last else n
    # A nested generator: the checks above run at the call, not at the first batch.
    return (
        (x[rows], None if y is None else y[rows.to(y.device)])
        for rows in (order[start : start + batch_size] for start in range(0, stop, batch_size))
    )


def check_rng(caller: str, rng: Any) -> None:
    """Require a generator of this library."""
    if not isinstance(rng, torch.Generator):
        raise DtypeError(
            f"{caller}: rng must be a torch.Generator, got {type(rng).__name__}. "
            f"Use torch.Generator().manual_seed(0)."
        )
