"""Losses the PyTorch way: by task, with class weights, with rows left out, by class."""

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from nnlib.errors import (
    ShapeError,
    check_choice,
    check_floats,
    check_labels,
    check_number,
    check_same_shape,
    check_shape,
)

__all__ = [
    "BalancedCrossEntropy",
    "binary_focal_loss",
    "loss_by_class",
    "masked_cross_entropy",
    "task_loss",
]

_TASKS = ("regression", "binary", "one class", "several classes")


def task_loss(task: str, output: Tensor, target: Tensor) -> Tensor:
    """Compute the mean loss that fits a task, from raw outputs and targets as data sets hold them.

    Parameters
    ----------
    task : "regression", "binary", "one class" or "several classes"
    output : tensor of floats
        ``(n, 1)`` for the first two, ``(n, k)`` for the others. Logits where classes are meant.
    target : tensor
        Floats ``(n,)``; 0 and 1 of any type ``(n,)``; class numbers of any integer type ``(n,)``;
        0 and 1 of any type ``(n, k)``.

    Returns
    -------
    loss : tensor ()

    Raises
    ------
    ValueError
        If the task is unknown.
    ShapeError, DtypeError
        If the output does not hold floats, or the target does not fit.

    References
    ----------
    Chapter 4, "Losses".

    Examples
    --------
    >>> round(task_loss("binary", torch.zeros(3, 1), torch.tensor([1, 0, 1])).item(), 4)
    0.6931
    """
    check_choice("task_loss", "task", task, _TASKS)
    check_floats("task_loss", output=output)
    n, k = output.shape
    shape = (n, k) if task == "several classes" else (n,)
    check_shape("task_loss", "target", target, shape)
    if task == "one class":
        return F.cross_entropy(output, target.long())
    target = target.to(output.dtype)
    if task == "several classes":
        return F.binary_cross_entropy_with_logits(output, target)
    if task == "binary":
        return F.binary_cross_entropy_with_logits(output.squeeze(1), target)
    return F.mse_loss(output.squeeze(1), target)


class BalancedCrossEntropy(nn.Module):
    """Cross-entropy in which every class has the same say, however often it occurs.

    Parameters
    ----------
    counts : tensor (k,)
        How many training examples each class has, all at least 1.

    Attributes
    ----------
    weight : buffer (k,)
        ``n / (k counts)`` with ``n`` the sum of the counts.

    References
    ----------
    Chapter 4, "Losses".

    Examples
    --------
    >>> loss = BalancedCrossEntropy(torch.tensor([3, 1]))
    >>> loss.weight.tolist(), list(loss.parameters())
    ([0.6666666865348816, 2.0], [])
    """

    weight: Tensor

    def __init__(self, counts: Tensor) -> None:
        super().__init__()
        check_shape("BalancedCrossEntropy", "counts", counts, ("k",))
        if not bool((counts > 0).all()):
            raise ValueError("BalancedCrossEntropy: counts must be at least 1, "
                             f"got {counts.min().item()}. Leave out a class without examples.")
        weight = counts.sum() / (len(counts) * counts)
        self.register_buffer("weight", weight.to(torch.get_default_dtype()))

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the weighted mean over the rows of logits ``(n, k)`` and labels ``(n,)``.

        It is divided by the sum of the rows' weights.
        """
        return F.cross_entropy(logits, labels, weight=self.weight)


def masked_cross_entropy(logits: Tensor, labels: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Compute the mean cross-entropy over the positions whose label counts.

    Parameters
    ----------
    logits : tensor (n, t, k) of floats
        Scores for each of ``t`` positions in ``n`` sequences.
    labels : tensor (n, t) of integers
        Class numbers, or ``ignore_index`` where there is nothing to predict.
    ignore_index : int

    Returns
    -------
    loss : tensor ()
        0 where no position counts.

    Raises
    ------
    ShapeError, DtypeError
        If the shapes do not fit, or ``logits`` does not hold floats.

    References
    ----------
    Chapter 4, "Losses".

    Examples
    --------
    >>> masked_cross_entropy(torch.zeros(1, 2, 2), torch.tensor([[1, -100]])).item()
    0.6931471824645996
    """
    check_floats("masked_cross_entropy", logits=logits)
    check_shape("masked_cross_entropy", "logits", logits, ("n", "t", "k"))
    check_shape("masked_cross_entropy", "labels", labels, tuple(logits.shape[:2]))
    total = F.cross_entropy(logits.flatten(0, 1), labels.flatten().long(),
                            ignore_index=ignore_index, reduction="sum")
    return total / (labels != ignore_index).sum().clamp(min=1)


def binary_focal_loss(logits: Tensor, targets: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Compute the mean of ``-(1 - p_t)^gamma log p_t``, ``p_t`` the probability of the target.

    Parameters
    ----------
    logits : tensor of floats, any shape
    targets : tensor, shape and dtype of ``logits``
        0 or 1.
    gamma : float
        At least 0; 0 gives binary cross-entropy.

    Returns
    -------
    loss : tensor ()

    Raises
    ------
    ShapeError, DtypeError, ValueError
        If shapes, dtypes or gamma do not fit.

    Notes
    -----
    With ``s = z`` for target 0 and ``s = -z`` for target 1, ``1 - p_t = sigmoid(s)`` and
    ``-log p_t = log(1 + e^s)``: neither loses digits when the other is close to 0.

    References
    ----------
    Chapter 4, "Losses". T.-Y. Lin et al., "Focal loss for dense object detection", ICCV 2017.

    Examples
    --------
    >>> round(binary_focal_loss(torch.zeros(2), torch.tensor([0.0, 1.0])).item(), 4)
    0.1733
    """
    check_floats("binary_focal_loss", logits=logits, targets=targets)
    check_same_shape("binary_focal_loss", logits=logits, targets=targets)
    check_number("binary_focal_loss", "gamma", gamma, low=0)
    signed = logits * (1 - 2 * targets)
    return (torch.sigmoid(signed) ** gamma * -F.logsigmoid(-signed)).mean()


def loss_by_class(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean cross-entropy of the rows of each class; records no gradients.

    Parameters
    ----------
    logits : tensor (n, k) of floats
    labels : tensor (n,) of integers from 0 to k - 1

    Returns
    -------
    losses : tensor (k,)
        NaN for a class that does not occur.

    Raises
    ------
    ShapeError, DtypeError, ValueError
        If shapes, dtypes or labels do not fit.

    References
    ----------
    Chapter 4, "Losses".

    Examples
    --------
    >>> losses = loss_by_class(torch.zeros(2, 2), torch.tensor([1, 1]))
    >>> [round(v, 4) for v in losses.tolist()]
    [nan, 0.6931]
    """
    check_floats("loss_by_class", logits=logits)
    check_shape("loss_by_class", "logits", logits, ("n", "k"))
    n, k = logits.shape
    if k == 0:
        raise ShapeError("loss_by_class: logits must have at least one column, got none.")
    check_labels("loss_by_class", labels, k, n=n)
    with torch.no_grad():
        each = F.cross_entropy(logits, labels.long(), reduction="none")
        sums = each.new_zeros(k).index_add(0, labels.long(), each)
        return sums / torch.bincount(labels.long(), minlength=k)
