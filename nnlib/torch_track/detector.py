"""A small detector: each cell of a grid says whether an object has its centre there, and which.

One network, one forward pass, all boxes at once: the idea of YOLO, without its refinements.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from nnlib.errors import check_count, check_number
from nnlib.torch_track.detection import box_iou, non_maximum_suppression

__all__ = [
    "Detections",
    "GridDetector",
    "average_precision",
    "detect",
    "detection_loss",
    "encode_boxes",
]

#: Pixels to a cell, in both directions.
STRIDE = 4


class Detections(NamedTuple):
    """What is in one image: boxes (k, 4), classes (k,), scores (k,)."""

    boxes: Tensor
    classes: Tensor
    scores: Tensor


class GridDetector(nn.Module):
    """Map images to ``5 + classes`` numbers for each cell of 4 by 4 pixels.

    Parameters
    ----------
    channels, classes : int
        Of the images, and kinds of objects.
    width : int
        Channels of the first layer.

    Notes
    -----
    ``forward`` maps ``x (n, channels, h, w)`` to ``(n, 5 + classes, h / 4, w / 4)``: a score for
    "an object's centre lies here", its offset within the cell (2), the logarithm of its sides in
    cells (2), and a score for each class.

    References
    ----------
    Chapter 15, "Transfer". J. Redmon et al., "You only look once", 2016.

    Examples
    --------
    >>> GridDetector(1, 3)(torch.zeros(2, 1, 32, 24)).shape
    torch.Size([2, 8, 8, 6])
    """

    def __init__(self, channels: int, classes: int, *, width: int = 16) -> None:
        super().__init__()
        for name, value in (("channels", channels), ("classes", classes), ("width", width)):
            check_count("GridDetector", name, value, minimum=1)

        def block(c_in: int, c_out: int, dilation: int = 1) -> list[nn.Module]:
            return [nn.Conv2d(c_in, c_out, 3, padding=dilation, dilation=dilation, bias=False),
                    nn.BatchNorm2d(c_out), nn.ReLU()]

        self.body = nn.Sequential(
            *block(channels, width), nn.MaxPool2d(2),
            *block(width, 2 * width), nn.MaxPool2d(2),
            *block(2 * width, 4 * width),
            *block(4 * width, 4 * width, 2))  # wide enough to see a whole object
        self.head = nn.Conv2d(4 * width, 5 + classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (n, channels, h, w)`` to ``(n, 5 + classes, h / 4, w / 4)``."""
        y: Tensor = self.head(self.body(x))
        return y


def encode_boxes(
    boxes: Sequence[Tensor], classes: Sequence[Tensor], *, grid: int
) -> tuple[Tensor, Tensor]:
    """Write the objects of n images as what each cell should say.

    Parameters
    ----------
    boxes, classes : sequences of n tensors, (m, 4) and (m,)
        The objects of each image; rows ``(x1, y1, x2, y2)`` in pixels.
    grid : int
        Cells in each direction.

    Returns
    -------
    numbers : tensor (n, 4, grid, grid)
        Offset of the centre within its cell, and logarithm of the sides in cells; 0 elsewhere.
    labels : tensor (n, grid, grid) of int64
        The class of the object whose centre lies in the cell, -1 where there is none. Of two in one
        cell the later one counts.

    Examples
    --------
    >>> numbers, labels = encode_boxes([torch.tensor([[2.0, 4.0, 6.0, 12.0]])], [torch.tensor([2])],
    ...                                grid=4)
    >>> labels[0, 2, 1].item(), (labels >= 0).sum().item(), numbers[0, :, 2, 1].round(decimals=3)
    (2, 1, tensor([0.0000, 0.0000, 0.0000, 0.6930]))
    """
    check_count("encode_boxes", "grid", grid, minimum=1)
    numbers = torch.zeros(len(boxes), 4, grid, grid)
    labels = torch.full((len(boxes), grid, grid), -1, dtype=torch.int64)
    for image, (own, kinds) in enumerate(zip(boxes, classes, strict=True)):
        centre = (own[:, :2] + own[:, 2:]) / 2 / STRIDE  # (m, 2), in cells
        cell = centre.long().clamp(0, grid - 1)
        sides = ((own[:, 2:] - own[:, :2]) / STRIDE).log()
        for k, (column, row) in enumerate(cell.tolist()):
            numbers[image, :2, row, column] = centre[k] - cell[k]
            numbers[image, 2:, row, column] = sides[k]
            labels[image, row, column] = kinds[k]
    return numbers, labels


def detection_loss(raw: Tensor, numbers: Tensor, labels: Tensor) -> Tensor:
    """Add up three losses: is there an object, where exactly, and of which class.

    Parameters
    ----------
    raw : tensor (n, 5 + classes, g, g)
        From `GridDetector`.
    numbers, labels : tensors (n, 4, g, g) and (n, g, g)
        From `encode_boxes`.

    Returns
    -------
    loss : tensor ()
        Every cell answers for the first; only cells that hold an object answer for the others.
        All are divided by the number of objects.
    """
    there = labels >= 0  # (n, g, g)
    count = there.sum().clamp(min=1)
    objectness = F.binary_cross_entropy_with_logits(raw[:, 0], there.float(), reduction="sum")
    places = raw[:, 1:5].permute(0, 2, 3, 1)[there]  # (objects, 4)
    wanted = numbers.permute(0, 2, 3, 1)[there]
    where = F.smooth_l1_loss(places, wanted, reduction="sum", beta=0.1)
    what = F.cross_entropy(raw[:, 5:].permute(0, 2, 3, 1)[there], labels[there], reduction="sum")
    return (objectness + where + what) / count


def detect(raw: Tensor, *, score: float = 0.05, threshold: float | None = 0.4) -> list[Detections]:
    """Read the boxes off a detector's output, and thin them out.

    Parameters
    ----------
    raw : tensor (n, 5 + classes, g, g)
    score : float
        Cells that are less sure than this say nothing.
    threshold : float or None
        For `non_maximum_suppression`; None keeps all.

    Returns
    -------
    list of n `Detections`
        Sorted by score, which is the probability of an object times that of its class.
    """
    check_number("detect", "score", score, low=0, high=1)
    found = []
    for image in raw:
        probability, kinds = image[5:].softmax(dim=0).max(dim=0)  # (g, g)
        sure = image[0].sigmoid() * probability
        row, column = (sure >= score).nonzero(as_tuple=True)
        cell = torch.stack([column, row], dim=1)  # (k, 2), as (x, y)
        numbers = image[1:5, row, column].T  # (k, 4)
        centre, half = cell + numbers[:, :2], numbers[:, 2:].exp() / 2
        boxes = STRIDE * torch.cat([centre - half, centre + half], dim=1)
        scores, classes = sure[row, column], kinds[row, column]
        if threshold is None:
            keep = scores.argsort(descending=True)
        else:
            keep = non_maximum_suppression(box_iou(boxes, boxes), scores, classes,
                                           threshold=threshold)
        found.append(Detections(boxes[keep], classes[keep], scores[keep]))
    return found


def average_precision(
    found: Sequence[Detections], boxes: Sequence[Tensor], classes: Sequence[Tensor], *,
    threshold: float = 0.5,
) -> float:
    """Measure a detector: mean precision over all recalls, and over the classes.

    Parameters
    ----------
    found : sequence of n `Detections`
    boxes, classes : sequences of n tensors, (m, 4) and (m,)
        What is there.
    threshold : float
        A detection is right if its IoU with an object of its class is at least this and no
        detection with a higher score has taken that object.

    Returns
    -------
    float
        From 0 to 1: the area under the curve of precision against recall, where precision counts
        as the best that any higher recall still reaches; the mean over the classes that are there.

    References
    ----------
    Chapter 15, "Transfer".

    Examples
    --------
    >>> box, kind = torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([0])
    >>> seen = Detections(torch.cat([box, box + 9]), torch.tensor([0, 0]), torch.tensor([0.5, 0.9]))
    >>> average_precision([seen], [box], [kind])
    0.5
    """
    check_number("average_precision", "threshold", threshold, above=0, high=1)
    kinds = torch.cat(list(classes)).unique().tolist()
    areas = [_area(*_hits(found, boxes, classes, kind, threshold)) for kind in kinds]
    return sum(areas) / len(areas)


def _hits(
    found: Sequence[Detections], boxes: Sequence[Tensor], classes: Sequence[Tensor], kind: int,
    threshold: float,
) -> tuple[list[tuple[float, bool]], int]:
    """Return (score, right) for each detection of a class, and how many objects there are."""
    hits: list[tuple[float, bool]] = []
    total = 0
    for seen, own, labels in zip(found, boxes, classes, strict=True):
        targets = own[labels == kind]
        total += len(targets)
        mine = seen.classes == kind
        scores = seen.scores[mine]
        iou = box_iou(seen.boxes[mine].to(targets.dtype), targets)  # (k, m)
        for k in scores.argsort(descending=True).tolist():
            best = iou[k].max(dim=0) if len(targets) else None
            right = best is not None and bool(best.values >= threshold)
            if right and best is not None:
                iou[:, best.indices] = -1.0  # taken
            hits.append((float(scores[k]), right))
    return hits, total


def _area(hits: list[tuple[float, bool]], total: int) -> float:
    """Area under precision against recall."""
    hits = sorted(hits, key=lambda hit: -hit[0])
    right = torch.tensor([hit[1] for hit in hits], dtype=torch.float64)
    count = right.cumsum(dim=0)
    precision = count / torch.arange(1, len(hits) + 1)
    best_later = precision.flip(0).cummax(dim=0).values.flip(0) if len(hits) else precision
    return float((best_later * right).sum() / total)
