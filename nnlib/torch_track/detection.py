"""Boxes: how much two overlap, and which of many that overlap to keep."""

import torch
from torch import Tensor

from nnlib.errors import (
    check_floats,
    check_integers,
    check_number,
    check_shape,
)

__all__ = ["box_iou", "non_maximum_suppression"]


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Measure how much each box overlaps each other one: intersection over union.

    Parameters
    ----------
    boxes : tensor (n, 4) of floats
        Rows ``(x1, y1, x2, y2)``: left, top, right, bottom, with x1 <= x2 and y1 <= y2. A box is a
        region of the plane, ``(x2 - x1) * (y2 - y1)`` large.
    others : tensor (m, 4) of floats

    Returns
    -------
    iou : tensor (n, m)
        From 0 (apart) to 1 (equal). 0 where both boxes are empty.

    Raises
    ------
    DtypeError, ShapeError
        If a tensor holds no floats or has no four columns.

    References
    ----------
    Chapter 15, "Transfer".

    Examples
    --------
    >>> one = torch.tensor([[0.0, 0.0, 4.0, 2.0]])
    >>> box_iou(one, torch.tensor([[0.0, 0, 4, 2], [2, 0, 6, 2], [9, 9, 9.5, 10]]))
    tensor([[1.0000, 0.3333, 0.0000]])
    """
    check_floats("box_iou", boxes=boxes, others=others)
    check_shape("box_iou", "boxes", boxes, ("n", 4), "A row is (x1, y1, x2, y2).")
    check_shape("box_iou", "others", others, ("m", 4), "A row is (x1, y1, x2, y2).")
    top_left = torch.maximum(boxes[:, None, :2], others[None, :, :2])  # (n, m, 2)
    bottom_right = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    # Before the product: two negative sides would make a positive area.
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)  # (n, m)
    areas, other_areas = ((b[:, 2:] - b[:, :2]).prod(dim=-1) for b in (boxes, others))
    union = areas[:, None] + other_areas[None, :] - intersection
    return torch.where(union > 0, intersection / union, torch.zeros_like(union))


def non_maximum_suppression(
    iou: Tensor, scores: Tensor, classes: Tensor, *, threshold: float = 0.5
) -> Tensor:
    """Keep one box of each heap: the best first, then those that overlap no kept one too much.

    Parameters
    ----------
    iou : tensor (n, n) of floats
        How much the boxes overlap, from `box_iou`.
    scores : tensor (n,) of floats
        How sure the detector is of each.
    classes : tensor (n,) of int64
        Boxes of different classes never suppress each other.
    threshold : float
        A box goes if its IoU with a kept box of its class is *greater*.

    Returns
    -------
    keep : tensor (k,) of int64
        Numbers of the kept boxes, those with the highest scores first.

    Raises
    ------
    DtypeError, ShapeError, ValueError
        If a tensor has the wrong type or shape, or the threshold is not from 0 to 1.

    References
    ----------
    Chapter 15, "Transfer".

    Examples
    --------
    >>> iou = torch.tensor([[1.0, 0.8, 0.1], [0.8, 1.0, 0.2], [0.1, 0.2, 1.0]])
    >>> one_class = torch.zeros(3, dtype=torch.int64)
    >>> non_maximum_suppression(iou, torch.tensor([0.6, 0.9, 0.7]), one_class).tolist()
    [1, 2]
    """
    caller = "non_maximum_suppression"
    check_floats(caller, scores=scores)
    check_floats(caller, iou=iou)
    check_integers(caller, "classes", classes)
    check_shape(caller, "scores", scores, ("n",))
    check_shape(caller, "classes", classes, tuple(scores.shape))
    check_shape(caller, "iou", iou, (len(scores), len(scores)))
    check_number(caller, "threshold", threshold, low=0, high=1)
    clash = (iou > threshold) & (classes[:, None] == classes[None, :])  # (n, n)
    keep: list[int] = []
    for index in scores.argsort(descending=True, stable=True).tolist():
        if not clash[index, keep].any():
            keep.append(index)
    return torch.tensor(keep, dtype=torch.int64, device=scores.device)
