"""Losses that compare element by element: absolute, Huber, binary cross-entropy.

Each returns ``(loss, gradient)``; ``reduction`` means what it means in `losses`.
"""

import torch
from torch import Tensor

from nnlib.errors import check_choice, check_floats, check_number, check_same_shape
from nnlib.torch_track.losses import _REDUCTIONS, _reduce

__all__ = ["binary_cross_entropy_with_logits", "huber", "mae"]

_HINT = "Reshape one of them: (n, 1) is not (n,)."


def mae(pred: Tensor, target: Tensor, *, reduction: str = "mean") -> tuple[Tensor, Tensor]:
    """Compute the absolute error ``|pred - target|`` and its gradient ``sign(pred - target)``.

    Parameters
    ----------
    pred : tensor of floats, any shape
    target : tensor, shape and dtype of ``pred``
    reduction : "mean", "sum" or "none"
        Over all elements.

    Returns
    -------
    loss : scalar tensor of the dtype of ``pred``; shape of ``pred`` with ``"none"``
    dpred : tensor, shape of ``pred``
        With ``"mean"`` it is divided by the number of elements, as the loss is.

    Raises
    ------
    ShapeError
        If the shapes differ (``(n, 1)`` against ``(n,)`` too), or there is nothing to average.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.
    ValueError
        If ``reduction`` is unknown.

    Notes
    -----
    At the kink, where the error is 0, the gradient is 0.

    References
    ----------
    Chapter 4, "Losses".

    Examples
    --------
    >>> loss, dpred = mae(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    >>> float(loss), dpred.tolist()
    (1.0, [0.0, 0.5])
    """
    check_choice("mae", "reduction", reduction, _REDUCTIONS)
    check_floats("mae", pred=pred, target=target)
    check_same_shape("mae", pred=pred, target=target, hint=_HINT)
    error = pred - target
    return _reduce("mae", torch.abs(error), torch.sign(error), reduction)


def huber(
    pred: Tensor, target: Tensor, *, delta: float = 1.0, reduction: str = "mean"
) -> tuple[Tensor, Tensor]:
    """Compute ``e^2 / 2`` for errors up to ``delta`` and ``delta (|e| - delta / 2)`` beyond.

    Here ``e = pred - target``; the gradient is ``e``, cut off at ``-delta`` and ``delta``.

    Parameters
    ----------
    pred : tensor of floats, any shape
    target : tensor, shape and dtype of ``pred``
    delta : float
        Positive. Where the parabola goes over into straight lines.
    reduction : "mean", "sum" or "none"
        Over all elements.

    Returns
    -------
    loss : scalar tensor of the dtype of ``pred``; shape of ``pred`` with ``"none"``
    dpred : tensor, shape of ``pred``
        With ``"mean"`` it is divided by the number of elements, as the loss is.

    Raises
    ------
    ShapeError
        If the shapes differ (``(n, 1)`` against ``(n,)`` too), or there is nothing to average.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.
    ValueError
        If an option is unknown or out of range.

    Notes
    -----
    With ``c`` for the size of the cut-off error, both pieces are ``c (|e| - c / 2)``: the pieces
    join without a jump, in the value and in the slope.

    References
    ----------
    Chapter 4, "Losses". P. Huber, "Robust estimation of a location parameter", Annals of
    Mathematical Statistics 35 (1964).

    Examples
    --------
    >>> loss, dpred = huber(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
    >>> loss.tolist(), dpred.tolist()
    ([0.125, 2.5], [0.5, 1.0])
    """
    check_choice("huber", "reduction", reduction, _REDUCTIONS)
    check_number("huber", "delta", delta, above=0)
    check_floats("huber", pred=pred, target=target)
    check_same_shape("huber", pred=pred, target=target, hint=_HINT)
    error = pred - target
    size = torch.abs(error)
    inside = torch.clamp(size, max=float(delta))
    slope = torch.clamp(error, -float(delta), float(delta))
    return _reduce("huber", inside * (size - 0.5 * inside), slope, reduction)


def binary_cross_entropy_with_logits(
    logits: Tensor, targets: Tensor, *, reduction: str = "mean"
) -> tuple[Tensor, Tensor]:
    """Compute ``-t log p - (1 - t) log(1 - p)`` with ``p = sigmoid(z)``; its gradient is ``p - t``.

    Parameters
    ----------
    logits : tensor of floats, any shape
        Scores ``z``; not probabilities.
    targets : tensor, shape and dtype of ``logits``
        0 or 1, or a probability between them.
    reduction : "mean", "sum" or "none"
        Over all elements.

    Returns
    -------
    loss : scalar tensor of the dtype of ``logits``; shape of ``logits`` with ``"none"``
    dlogits : tensor, shape of ``logits``
        With ``"mean"`` it is divided by the number of elements, as the loss is.

    Raises
    ------
    ShapeError
        If the shapes differ (``(n, 1)`` against ``(n,)`` too), or there is nothing to average.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.
    ValueError
        If a target is not from 0 to 1, or ``reduction`` is unknown.

    Notes
    -----
    The logarithm of the sigmoid is never taken of a rounded probability. From
    ``log(1 + e^z) = max(z, 0) + log(1 + e^-|z|)`` follows
    ``loss = max(z, 0) - z t + log(1 + e^-|z|)``, in which no exponential can overflow.

    References
    ----------
    Chapter 4, "Losses".

    Examples
    --------
    >>> loss, dlogits = binary_cross_entropy_with_logits(torch.tensor([0.0]), torch.tensor([1.0]))
    >>> round(float(loss), 4), dlogits.tolist()
    (0.6931, [-0.5])
    """
    caller = "binary_cross_entropy_with_logits"
    check_choice(caller, "reduction", reduction, _REDUCTIONS)
    check_floats(caller, logits=logits, targets=targets)
    check_same_shape(caller, logits=logits, targets=targets, hint=_HINT)
    _check_probabilities(caller, targets)
    decay = torch.exp(-torch.abs(logits))
    loss = torch.clamp(logits, min=0) - logits * targets + torch.log1p(decay)
    # sigmoid(z) is 1 / (1 + e^-z), and 1 minus that on the other side of 0.
    probability = torch.where(logits >= 0, 1, decay) / (1 + decay)
    return _reduce(caller, loss, probability - targets, reduction)


def _check_probabilities(caller: str, targets: Tensor) -> None:
    """Require targets from 0 to 1; nan is outside."""
    outside = ~((targets >= 0) & (targets <= 1))
    if outside.any():
        raise ValueError(
            f"{caller}: targets must lie from 0 to 1, got {float(targets[outside][0])!r}. "
            f"A target is the probability of class 1."
        )
