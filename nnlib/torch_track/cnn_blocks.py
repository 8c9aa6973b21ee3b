"""Blocks of convolutional networks as modules, and two ways to see where a network looks."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nnlib.errors import ShapeError, check_count, check_shape

__all__ = ["InceptionBlock", "grad_cam_with_hooks", "saliency_map", "small_resnet", "vgg_block"]


def vgg_block(c_in: int, c_out: int, num_convs: int) -> nn.Sequential:
    """Build 3x3 convolutions with ReLU, one after the other, and a max pooling that halves.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input, and of every convolution's output.
    num_convs : int
        At least 1.

    Returns
    -------
    nn.Sequential
        Convolution, ReLU, convolution, ReLU, …, `nn.MaxPool2d(2)`. Padding 1 keeps the size.

    References
    ----------
    Chapter 14, "Convolutional networks". K. Simonyan, A. Zisserman, "Very deep convolutional
    networks for large-scale image recognition", ICLR 2015.

    Examples
    --------
    >>> vgg_block(3, 8, 2)(torch.zeros((1, 3, 28, 28))).shape
    torch.Size([1, 8, 14, 14])
    """
    for name, size in (("c_in", c_in), ("c_out", c_out), ("num_convs", num_convs)):
        check_count("vgg_block", name, size, minimum=1)
    layers: list[nn.Module] = []
    for place in range(num_convs):
        layers += [nn.Conv2d(c_out if place else c_in, c_out, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


class InceptionBlock(nn.Module):
    """Four branches that see the same image, side by side: 1x1, 3x3, 5x5, and pooling.

    Parameters
    ----------
    c_in : int
    c1 : int
        Channels of the 1x1 branch.
    c3, c5 : pair of int
        Channels of the 1x1 convolution that comes first, and of the 3x3 or 5x5 one behind it.
    c_pool : int
        Channels of the 1x1 convolution behind the pooling.

    Notes
    -----
    A ReLU follows each convolution. The outputs are concatenated along the channels, in the order
    ``branch1``, ``branch3``, ``branch5``, ``branch_pool``.

    References
    ----------
    Chapter 14, "Convolutional networks". C. Szegedy et al., "Going deeper with convolutions",
    CVPR 2015.

    Examples
    --------
    >>> InceptionBlock(8, 4, (2, 6), (2, 3), 5)(torch.zeros((1, 8, 14, 14))).shape
    torch.Size([1, 18, 14, 14])
    """

    def __init__(
        self, c_in: int, c1: int, c3: tuple[int, int], c5: tuple[int, int], c_pool: int
    ) -> None:
        super().__init__()
        for name, size in (("c_in", c_in), ("c1", c1), ("c_pool", c_pool)):
            check_count("InceptionBlock", name, size, minimum=1)
        self.branch1 = nn.Sequential(nn.Conv2d(c_in, c1, 1), nn.ReLU())
        self.branch3 = nn.Sequential(
            nn.Conv2d(c_in, c3[0], 1), nn.ReLU(),
            nn.Conv2d(c3[0], c3[1], 3, padding=1), nn.ReLU(),
        )
        self.branch5 = nn.Sequential(
            nn.Conv2d(c_in, c5[0], 1), nn.ReLU(),
            nn.Conv2d(c5[0], c5[1], 5, padding=2), nn.ReLU(),
        )
        self.branch_pool = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(c_in, c_pool, 1), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (n, c_in, h, w)`` to ``(n, c1 + c3[1] + c5[1] + c_pool, h, w)``."""
        branches = (self.branch1, self.branch3, self.branch5, self.branch_pool)
        return torch.cat([branch(x) for branch in branches], dim=1)


def small_resnet(
    block: Callable[..., nn.Module], *, c_in: int, widths: Sequence[int], blocks: int,
    num_classes: int,
) -> nn.Sequential:
    """Build a residual network: a stem, one stage for each width, global average pooling, scores.

    Parameters
    ----------
    block : callable
        ``block(c_in, c_out, stride=1)`` builds a residual block.
    c_in : int
        Channels of the images.
    widths : sequence of int
        Channels of each stage; at least one.
    blocks : int
        Blocks in each stage; at least 1. The first block of every stage but the first has stride
        2.
    num_classes : int

    Returns
    -------
    nn.Sequential
        3x3 convolution without bias, batch norm, ReLU; the blocks; average pooling to one pixel,
        flattening, a linear layer.

    Raises
    ------
    ShapeError
        If there is no width.

    References
    ----------
    Chapter 14, "Convolutional networks". K. He et al., "Deep residual learning for image
    recognition", CVPR 2016.

    Examples
    --------
    >>> from nnlib.torch_track.modules import ResidualBlock
    >>> net = small_resnet(ResidualBlock, c_in=1, widths=(8, 16), blocks=1, num_classes=10)
    >>> net(torch.zeros((2, 1, 28, 28))).shape
    torch.Size([2, 10])
    """
    if not len(widths):
        raise ShapeError("small_resnet: widths must hold at least one number, got none.")
    check_count("small_resnet", "blocks", blocks, minimum=1)
    layers: list[nn.Module] = [
        nn.Conv2d(c_in, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
    ]
    channels = widths[0]
    for stage, width in enumerate(widths):
        for place in range(blocks):
            stride = 2 if stage and not place else 1
            layers.append(block(channels, width, stride=stride))
            channels = width
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes)
    )


def saliency_map(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """Compute how strongly each pixel moves the score of a class: ``max_c |d score / dx|``.

    Parameters
    ----------
    model : nn.Module
        ``model(x)`` gives scores ``(n, k)``. Evaluated in evaluation mode; afterwards in the mode
        it had, and its parameters keep their ``.grad``.
    x : tensor (n, c, h, w) of floats
        Left as it is.
    labels : tensor (n,) of int64
        The class to explain, for each image.

    Returns
    -------
    maps : tensor (n, h, w)
        At least 0; records no gradients.

    References
    ----------
    Chapter 14, "Convolutional networks". K. Simonyan, A. Vedaldi, A. Zisserman, "Deep inside
    convolutional networks", ICLR Workshop 2014.

    Examples
    --------
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(8, 2, bias=False))
    >>> with torch.no_grad():
    ...     _ = model[1].weight.copy_(torch.tensor([[0.0] * 8, [1, 2, 3, 4, -5, 1, 1, 1]]))
    >>> saliency_map(model, torch.zeros((1, 2, 2, 2)), torch.tensor([1])).tolist()
    [[[5.0, 2.0], [3.0, 4.0]]]
    """
    check_shape("saliency_map", "x", x, ("n", "c", "h", "w"))
    check_shape("saliency_map", "labels", labels, (len(x),))
    was_training = model.training
    model.eval()
    try:
        pixels = x.detach().clone().requires_grad_()
        with torch.enable_grad():
            scores = model(pixels).gather(1, labels[:, None])
            (grads,) = torch.autograd.grad(scores.sum(), pixels)
    finally:
        model.train(was_training)
    return grads.abs().amax(dim=1)


def grad_cam_with_hooks(model: nn.Module, layer: str, x: Tensor, labels: Tensor) -> Tensor:
    """Compute Grad-CAM at one layer: ``relu(sum_c a_c features_c)``, ``a_c`` the mean gradient.

    Parameters
    ----------
    model : nn.Module
        ``model(x)`` gives scores ``(n, k)``. Evaluated in evaluation mode; afterwards in the mode
        it had, without the hook, and its parameters keep their ``.grad``.
    layer : str
        Name of the submodule whose output ``(n, c, h, w)`` is looked at.
    x : tensor (n, c, h, w) of floats
    labels : tensor (n,) of int64
        The class to explain, for each image.

    Returns
    -------
    maps : tensor (n, h, w)
        At least 0, in the size of the layer's output; records no gradients.

    References
    ----------
    Chapter 14, "Convolutional networks". R. R. Selvaraju et al., "Grad-CAM: visual explanations
    from deep networks via gradient-based localization", ICCV 2017.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    >>> grad_cam_with_hooks(model, "1", torch.ones((2, 1, 8, 8)), torch.tensor([0, 2])).shape
    torch.Size([2, 6, 6])
    """
    check_shape("grad_cam_with_hooks", "labels", labels, (len(x),))
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append(output)

    handle, was_training = model.get_submodule(layer).register_forward_hook(keep), model.training
    model.eval()
    try:
        with torch.enable_grad():
            # Even where all parameters are frozen, there is something to derive for.
            scores = model(x.detach().clone().requires_grad_()).gather(1, labels[:, None])
    finally:
        handle.remove()
        model.train(was_training)
    (features,) = seen
    (grads,) = torch.autograd.grad(scores.sum(), features)
    weights = grads.mean(dim=(2, 3), keepdim=True)  # (n, c, 1, 1)
    return torch.relu((weights * features.detach()).sum(dim=1))
