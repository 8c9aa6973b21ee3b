"""Measuring a classifier: how often it is right, and what it takes for what."""

import torch
from torch import Tensor

from nnlib.errors import (
    DtypeError,
    ShapeError,
    check_array,
    check_count,
    check_integers,
    check_labels,
    check_shape,
    dtype_name,
    format_shape,
)

__all__ = ["accuracy", "confusion_matrix"]


def accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Return the share of examples whose class is predicted right.

    Parameters
    ----------
    predictions : tensor (n, k) of floats, or (n,) of integers
        Scores or probabilities, of which the largest in a row counts; or class numbers.
    labels : tensor (n,) of integers

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or there is no example.
    DtypeError
        If the labels are not integers, or one score a row is given instead of a class.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> accuracy(torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), torch.tensor([0, 1, 1]))
    0.6666666666666666
    """
    classes = _classes("accuracy", predictions, labels)
    if len(labels) == 0:
        raise ShapeError("accuracy: labels must hold at least one example, got none.")
    return float((classes == labels).double().mean())


def confusion_matrix(predictions: Tensor, labels: Tensor, *, num_classes: int) -> Tensor:
    """Count how often class ``i`` was taken for class ``j``.

    Parameters
    ----------
    predictions : tensor (n, k) of floats, or (n,) of integers
        Scores or probabilities, of which the largest in a row counts; or class numbers.
    labels : tensor (n,) of integers from 0 to num_classes - 1
    num_classes : int

    Returns
    -------
    counts : tensor (num_classes, num_classes) of int64
        Row ``i`` holds the examples of class ``i``; column ``j`` those predicted as ``j``.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    DtypeError
        If the labels are not integers, or one score a row is given instead of a class.
    ValueError
        If a class is out of range.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> confusion_matrix(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), num_classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    caller = "confusion_matrix"
    check_count(caller, "num_classes", num_classes, minimum=1)
    classes = _classes(caller, predictions, labels)
    check_labels(caller, labels, num_classes)
    check_labels(caller, classes, num_classes, name="predictions")
    cells = labels.long() * num_classes + classes.long()
    counts = torch.bincount(cells, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes)


def _classes(caller: str, predictions: Tensor, labels: Tensor) -> Tensor:
    """Turn scores into class numbers, and require one for each label."""
    check_array(caller, "predictions", predictions)
    shape = tuple(predictions.shape)
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] == 0):
        raise ShapeError(
            f"{caller}: predictions must have shape (n, k) or (n,), got {format_shape(shape)}."
        )
    if len(shape) == 1 and "int" not in dtype_name(predictions):
        raise DtypeError(
            f"{caller}: predictions of shape (n,) must be class numbers, got "
            f"{dtype_name(predictions)}. One score a row: pass (scores > 0).long()."
        )
    classes = predictions.argmax(dim=1) if len(shape) == 2 else predictions
    check_array(caller, "labels", labels)
    check_shape(caller, "labels", labels, (shape[0],), "Give one class number for each row.")
    check_integers(caller, "labels", labels)
    return classes
