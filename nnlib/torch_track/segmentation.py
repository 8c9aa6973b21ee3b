"""One class for each pixel: a small U-Net, and how good its masks are."""

import torch
from torch import Tensor, nn

from nnlib.errors import (
    check_count,
    check_indices,
    check_same_shape,
)

__all__ = ["UNet", "class_iou"]


def class_iou(predicted: Tensor, target: Tensor, *, classes: int) -> Tensor:
    """Measure masks: intersection over union of the pixels of each class.

    Parameters
    ----------
    predicted, target : tensors of int64 and of one shape, such as (n, h, w)
        The class of each pixel, from 0 to classes - 1. All pixels of all images count together.
    classes : int

    Returns
    -------
    iou : tensor (classes,) of float32
        nan for a class that is in neither.

    Raises
    ------
    DtypeError, ShapeError, ValueError
        If the tensors hold no integers, differ in shape or hold other classes.

    References
    ----------
    Chapter 15, "Transfer".

    Examples
    --------
    >>> target = torch.tensor([[0, 0, 1, 1]])
    >>> class_iou(torch.tensor([[0, 1, 1, 1]]), target, classes=3)
    tensor([0.5000, 0.6667,    nan])
    """
    check_count("class_iou", "classes", classes, minimum=1)
    check_indices("class_iou", "predicted", predicted, classes, "Classes are counted from 0.")
    check_indices("class_iou", "target", target, classes, "Classes are counted from 0.")
    check_same_shape("class_iou", predicted=predicted, target=target)
    pairs = target.flatten() * classes + predicted.flatten()
    table = torch.bincount(pairs, minlength=classes**2).view(classes, classes)  # rows: target
    intersection = table.diagonal()
    union = table.sum(dim=0) + table.sum(dim=1) - intersection
    return intersection.float() / union.float()


def _double_convolution(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(),
        nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())


def _doubled(c_in: int, c_out: int) -> nn.Sequential:
    """Twice the height and width: each pixel four times, then a mixture of channels."""
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(c_in, c_out, 1))


class UNet(nn.Module):
    """A small U-Net: down to see widely, up to say where, bridges to stay sharp.

    Parameters
    ----------
    channels : int
        Of the image.
    classes : int
        Scores for each pixel.
    width : int
        Channels of the first level; each level below has twice as many.
    bridges : bool
        Whether each level on the way up also sees the features of the same size on the way down.

    Notes
    -----
    ``forward`` maps ``x (n, channels, h, w)`` to scores ``(n, classes, h, w)``; h and w must be
    multiples of 4.

    References
    ----------
    Chapter 15, "Transfer". O. Ronneberger, P. Fischer and T. Brox, "U-Net: Convolutional networks
    for biomedical image segmentation", 2015.

    Examples
    --------
    >>> UNet(1, 4)(torch.zeros(2, 1, 32, 24)).shape
    torch.Size([2, 4, 32, 24])
    """

    def __init__(
        self, channels: int, classes: int, *, width: int = 8, bridges: bool = True
    ) -> None:
        super().__init__()
        for name, value in (("channels", channels), ("classes", classes), ("width", width)):
            check_count("UNet", name, value, minimum=1)
        self.bridges = bridges
        self.down1 = _double_convolution(channels, width)
        self.down2 = _double_convolution(width, 2 * width)
        self.bottom = _double_convolution(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.grow2 = _doubled(4 * width, 2 * width)
        self.grow1 = _doubled(2 * width, width)
        self.up2 = _double_convolution(4 * width if bridges else 2 * width, 2 * width)
        self.up1 = _double_convolution(2 * width if bridges else width, width)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (n, channels, h, w)`` to scores ``(n, classes, h, w)``."""
        fine = self.down1(x)  # (n, width, h, w)
        middle = self.down2(self.pool(fine))  # (n, 2 width, h / 2, w / 2)
        coarse = self.bottom(self.pool(middle))  # (n, 4 width, h / 4, w / 4)
        y = self.up2(self._joined(self.grow2(coarse), middle))
        y = self.up1(self._joined(self.grow1(y), fine))
        scores: Tensor = self.head(y)
        return scores

    def _joined(self, y: Tensor, bridge: Tensor) -> Tensor:
        return torch.cat([y, bridge], dim=1) if self.bridges else y
