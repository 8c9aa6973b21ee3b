"""Losses: how wrong predictions are, and the gradient with respect to them.

Each returns ``(loss, gradient)``. ``reduction`` says what becomes of the losses of the single
elements (rows for cross-entropy): their ``"mean"``, their ``"sum"``, or ``"none"``, which
returns them all; the gradient is then that of their sum.
"""

import torch
from torch import Tensor

from nnlib.errors import (
    ShapeError,
    check_choice,
    check_floats,
    check_labels,
    check_number,
    check_same_shape,
    check_shape,
)
from nnlib.torch_track.softmax import log_softmax_forward

__all__ = ["mse", "softmax_cross_entropy"]

_REDUCTIONS = ("mean", "sum", "none")


def mse(pred: Tensor, target: Tensor, *, reduction: str = "mean") -> tuple[Tensor, Tensor]:
    """Compute the squared error ``(pred - target)^2`` and its gradient ``2 (pred - target)``.

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

    References
    ----------
    Chapter 4, "Losses".

    Examples
    --------
    >>> loss, dpred = mse(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    >>> float(loss), dpred.tolist()
    (2.0, [0.0, 2.0])
    """
    check_choice("mse", "reduction", reduction, _REDUCTIONS)
    check_floats("mse", pred=pred, target=target)
    check_same_shape(
        "mse", pred=pred, target=target, hint="Reshape one of them: (n, 1) is not (n,)."
    )
    error = pred - target
    return _reduce("mse", error * error, 2 * error, reduction)


def softmax_cross_entropy(
    logits: Tensor, labels: Tensor, *, reduction: str = "mean", label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Compute ``-sum_k q_k log p_k`` with ``p = softmax(logits)``, and its gradient ``p - q``.

    Parameters
    ----------
    logits : tensor (n, k) of floats
        Scores, one row for each example; not probabilities.
    labels : tensor (n,) of integers from 0 to k - 1
    reduction : "mean", "sum" or "none"
        Over the rows.
    label_smoothing : float from 0 to 1
        The target ``q`` is ``1 - label_smoothing`` on the label plus ``label_smoothing / k``
        on every class.

    Returns
    -------
    loss : scalar tensor of the dtype of ``logits``; shape ``(n,)`` with ``"none"``
    dlogits : tensor (n, k)
        With ``"mean"`` it is divided by ``n``, as the loss is.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or there is no row to average.
    DtypeError
        If ``logits`` does not hold floats or ``labels`` no integers.
    ValueError
        If a label is out of range, or an option is unknown or out of range.

    Notes
    -----
    The logarithm of the softmax is formed directly (`log_softmax_forward`), so a class whose
    probability rounds to 0 costs a finite amount.

    References
    ----------
    Chapter 4, "Losses". C. Szegedy et al., "Rethinking the Inception architecture for computer
    vision", CVPR 2016, for label smoothing.

    Examples
    --------
    >>> loss, dlogits = softmax_cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    >>> round(float(loss), 4), dlogits.tolist()
    (0.6931, [[0.5, -0.5]])
    """
    caller = "softmax_cross_entropy"
    check_choice(caller, "reduction", reduction, _REDUCTIONS)
    check_number(caller, "label_smoothing", label_smoothing, low=0, high=1)
    check_floats(caller, logits=logits)
    check_shape(caller, "logits", logits, ("n", "k"), "Rows are examples, columns are classes.")
    n, k = logits.shape
    if k == 0:
        raise ShapeError(f"{caller}: logits must have at least one column, got shape ({n}, 0).")
    check_labels(caller, labels, k, n=n)

    smoothing = float(label_smoothing)
    target = torch.full_like(logits, smoothing / k)
    target[torch.arange(n, device=logits.device), labels.long()] += 1 - smoothing
    log_p, _ = log_softmax_forward(logits, axis=1)
    loss = -(target * log_p).sum(dim=1)
    return _reduce(caller, loss, torch.exp(log_p) - target, reduction)


def _reduce(caller: str, loss: Tensor, gradient: Tensor, reduction: str) -> tuple[Tensor, Tensor]:
    """Reduce the losses, and scale the gradient of their sum to match."""
    if reduction == "none":
        return loss, gradient
    if reduction == "sum":
        return loss.sum(), gradient
    if loss.numel() == 0:
        raise ShapeError(
            f"{caller}: the mean needs at least one element, got none. "
            f"Skip the empty batch or use reduction='sum'."
        )
    return loss.mean(), gradient / loss.numel()
