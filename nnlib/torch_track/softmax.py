"""Softmax and its logarithm: scores become probabilities along one axis."""

import torch
from torch import Tensor

from nnlib.contract.caches import LogSoftmaxCache, SoftmaxCache
from nnlib.errors import check_axis, check_floats, check_upstream


def softmax_forward(x: Tensor, *, axis: int = -1) -> tuple[Tensor, SoftmaxCache]:
    """Compute ``y_i = exp(x_i) / sum_j exp(x_j)`` along one axis.

    Parameters
    ----------
    x : tensor of floats, at least one axis
    axis : int
        The axis along which the probabilities sum to 1.

    Returns
    -------
    y : tensor, shape and dtype of ``x``
    cache : SoftmaxCache

    Raises
    ------
    DtypeError
        If ``x`` is not a tensor of floats.
    ShapeError, ValueError
        If the axis does not exist or is empty.

    Notes
    -----
    A constant added to all scores cancels. Subtracting the largest score leaves exponents of at
    most 0, so nothing overflows, and at least one term of the sum is 1.

    References
    ----------
    Chapter 2, "Activations".

    Examples
    --------
    >>> y, cache = softmax_forward(torch.tensor([[1e4, 1e4], [0.0, -1e4]]))
    >>> y.tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    check_floats("softmax_forward", x=x)
    check_axis("softmax_forward", x, axis)
    exponentials = torch.exp(x - x.amax(dim=axis, keepdim=True))
    y = exponentials / exponentials.sum(dim=axis, keepdim=True)
    return y, SoftmaxCache(y, axis)


def softmax_backward(dy: Tensor, cache: SoftmaxCache) -> Tensor:
    """Compute ``dx_i = y_i * (dy_i - sum_j dy_j y_j)``.

    Parameters
    ----------
    dy : tensor, shape and dtype of the output
    cache : SoftmaxCache
        Holds the output ``y`` and the axis.

    Returns
    -------
    dx : tensor, shape and dtype of ``dy``

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` differs from ``y`` in shape or dtype.

    Notes
    -----
    Each output depends on every input of its group, so the derivative is a matrix,
    ``dy_i/dx_j = y_i (1 if i == j else 0) - y_i y_j``. The formula is its product with ``dy``,
    without building the matrix. For a constant ``dy`` it is 0: the sum of the outputs is
    always 1.

    Examples
    --------
    >>> _, cache = softmax_forward(torch.tensor([0.0, 0.0]))
    >>> softmax_backward(torch.tensor([1.0, 0.0]), cache).tolist()
    [0.25, -0.25]
    """
    check_upstream("softmax_backward", dy, cache.y)
    weighted = dy * cache.y
    return weighted - cache.y * weighted.sum(dim=cache.axis, keepdim=True)


def log_softmax_forward(x: Tensor, *, axis: int = -1) -> tuple[Tensor, LogSoftmaxCache]:
    """Compute ``y_i = x_i - log(sum_j exp(x_j))`` along one axis.

    Parameters
    ----------
    x : tensor of floats, at least one axis
    axis : int
        The axis along which the probabilities ``exp(y)`` sum to 1.

    Returns
    -------
    y : tensor, shape and dtype of ``x``
    cache : LogSoftmaxCache

    Raises
    ------
    DtypeError
        If ``x`` is not a tensor of floats.
    ShapeError, ValueError
        If the axis does not exist or is empty.

    Notes
    -----
    The logarithm of a softmax that has rounded to 0 would be ``-inf``. Here no probability is
    formed: with ``m = max(x)``, ``log(sum exp(x)) = m + log(sum exp(x - m))``.

    References
    ----------
    Chapter 4, "Losses".

    Examples
    --------
    >>> y, cache = log_softmax_forward(torch.tensor([0.0, -1e4]))
    >>> y.tolist()
    [0.0, -10000.0]
    """
    check_floats("log_softmax_forward", x=x)
    check_axis("log_softmax_forward", x, axis)
    shifted = x - x.amax(dim=axis, keepdim=True)
    y = shifted - torch.log(torch.exp(shifted).sum(dim=axis, keepdim=True))
    return y, LogSoftmaxCache(y, axis)


def log_softmax_backward(dy: Tensor, cache: LogSoftmaxCache) -> Tensor:
    """Compute ``dx_i = dy_i - exp(y_i) * sum_j dy_j``.

    Parameters
    ----------
    dy : tensor, shape and dtype of the output
    cache : LogSoftmaxCache
        Holds the output ``y`` and the axis.

    Returns
    -------
    dx : tensor, shape and dtype of ``dy``

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` differs from ``y`` in shape or dtype.

    Examples
    --------
    >>> _, cache = log_softmax_forward(torch.tensor([0.0, 0.0]))
    >>> log_softmax_backward(torch.tensor([1.0, 0.0]), cache).tolist()
    [0.5, -0.5]
    """
    check_upstream("log_softmax_backward", dy, cache.y)
    return dy - torch.exp(cache.y) * dy.sum(dim=cache.axis, keepdim=True)
