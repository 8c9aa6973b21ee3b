"""Losses: how wrong predictions are, and the gradient with respect to them.

Each returns ``(loss, gradient)``. ``reduction`` says what becomes of the losses of the single
elements (rows for cross-entropy): their ``"mean"``, their ``"sum"``, or ``"none"``, which
returns them all; the gradient is then that of their sum.
"""

import numpy as np

from nnlib.errors import (
    ShapeError,
    check_choice,
    check_floats,
    check_labels,
    check_number,
    check_same_shape,
    check_shape,
)
from nnlib.numpy_track._types import Array

__all__ = ["mse", "softmax_cross_entropy"]

_REDUCTIONS = ("mean", "sum", "none")


def mse(pred: Array, target: Array, *, reduction: str = "mean") -> tuple[Array, Array]:
    """Compute the squared error ``(pred - target)^2`` and its gradient ``2 (pred - target)``.

    Parameters
    ----------
    pred : array of floats, any shape
    target : array, shape and dtype of ``pred``
    reduction : "mean", "sum" or "none"
        Over all elements.

    Returns
    -------
    loss : scalar array of the dtype of ``pred``; shape of ``pred`` with ``"none"``
    dpred : array, shape of ``pred``
        With ``"mean"`` it is divided by the number of elements, as the loss is.

    Raises
    ------
    ShapeError
        If the shapes differ (``(n, 1)`` against ``(n,)`` too), or there is nothing to average.
    DtypeError
        If an array does not hold floats, or the dtypes differ.
    ValueError
        If ``reduction`` is unknown.

    References
    ----------
    Chapter 4, "Losses".

    Examples
    --------
    >>> loss, dpred = mse(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
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
    logits: Array, labels: Array, *, reduction: str = "mean", label_smoothing: float = 0.0
) -> tuple[Array, Array]:
    """Compute ``-sum_k q_k log p_k`` with ``p = softmax(logits)``, and its gradient ``p - q``.

    Parameters
    ----------
    logits : array (n, k) of floats
        Scores, one row for each example; not probabilities.
    labels : array (n,) of integers from 0 to k - 1
    reduction : "mean", "sum" or "none"
        Over the rows.
    label_smoothing : float from 0 to 1
        The target ``q`` is ``1 - label_smoothing`` on the label plus ``label_smoothing / k``
        on every class.

    Returns
    -------
    loss : scalar array of the dtype of ``logits``; shape ``(n,)`` with ``"none"``
    dlogits : array (n, k)
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
    The logarithm of the softmax is formed directly, as in `log_softmax_forward`, so a class
    whose probability rounds to 0 costs a finite amount. Scores, exponentials, probabilities and
    gradient follow each other in one array, and no one-hot target is built: with many classes
    the time goes into moving memory.

    References
    ----------
    Chapter 4, "Losses". C. Szegedy et al., "Rethinking the Inception architecture for computer
    vision", CVPR 2016, for label smoothing.

    Examples
    --------
    >>> loss, dlogits = softmax_cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))
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

    rows, smoothing = np.arange(n), float(label_smoothing)
    # log p = shifted - log(sum(exp(shifted))); the largest entry of a row becomes 0.
    shifted = logits - logits.max(axis=1, keepdims=True)
    loss = -(1 - smoothing) * shifted[rows, labels]
    if smoothing:
        loss -= smoothing * shifted.mean(axis=1)
    p = np.exp(shifted, out=shifted)
    total = p.sum(axis=1, keepdims=True)
    loss += np.log(total[:, 0])
    # One pass divides by the sum, and by n for the mean.
    weight = 1 / n if reduction == "mean" and n > 0 else 1.0
    p *= weight / total
    p[rows, labels] -= weight * (1 - smoothing)
    if smoothing:
        p -= weight * smoothing / k
    loss, _ = _reduce(caller, loss, loss, reduction)
    return loss, p


def _reduce(caller: str, loss: Array, gradient: Array, reduction: str) -> tuple[Array, Array]:
    """Reduce the losses, and scale the gradient of their sum to match."""
    if reduction == "none":
        return loss, gradient
    if reduction == "sum":
        return loss.sum(), gradient
    if loss.size == 0:
        raise ShapeError(
            f"{caller}: the mean needs at least one element, got none. "
            f"Skip the empty batch or use reduction='sum'."
        )
    return loss.mean(), gradient / loss.size
