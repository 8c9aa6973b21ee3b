"""Convolution the PyTorch way: unfold, an autograd function, modules, a field that is measured."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from nnlib.errors import ShapeError, check_count, check_floats, check_shape
from nnlib.windows import Pair

__all__ = [
    "ConvFunction",
    "FixedFilter",
    "SeparableConv2d",
    "conv_by_unfold",
    "measure_receptive_field",
    "pad_same",
]


def conv_by_unfold(
    x: Tensor, w: Tensor, b: Tensor | None, *, stride: int = 1, padding: int = 0
) -> Tensor:
    """Compute a convolution as one matrix product for each image; autograd finds the gradients.

    Parameters
    ----------
    x : tensor (n, c_in, h, w) of floats
    w : tensor (c_out, c_in, kh, kw)
    b : tensor (c_out,) or None
    stride, padding : int

    Returns
    -------
    y : tensor (n, c_out, oh, ow)

    Raises
    ------
    ShapeError, DtypeError
        If ``x`` and ``w`` are no images and filters of floats.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> x, w = torch.tensor([[[[1.0, 2.0, 4.0]]]]), torch.tensor([[[[-1.0, 1.0]]]])
    >>> conv_by_unfold(x, w, None).tolist()
    [[[[1.0, 2.0]]]]
    """
    check_floats("conv_by_unfold", x=x, w=w, b=b)
    check_shape("conv_by_unfold", "x", x, ("n", "c_in", "h", "w"))
    check_shape("conv_by_unfold", "w", w, ("c_out", x.shape[1], "kh", "kw"))
    c_out, _, kh, kw = w.shape
    columns = F.unfold(x, (kh, kw), stride=stride, padding=padding)  # (n, c_in kh kw, oh ow)
    oh = (x.shape[2] + 2 * padding - kh) // stride + 1
    ow = (x.shape[3] + 2 * padding - kw) // stride + 1
    y = (w.reshape(c_out, -1) @ columns).reshape(len(x), c_out, oh, ow)
    return y if b is None else y + b[:, None, None]


class ConvFunction(torch.autograd.Function):
    """A convolution with its own backward: ``ConvFunction.apply(x, w, b, stride, padding)``.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> x = torch.tensor([[[[1.0, 2.0, 4.0]]]])
    >>> w = torch.tensor([[[[-1.0, 1.0]]]], requires_grad=True)
    >>> ConvFunction.apply(x, w, None, 1, 0).sum().backward()
    >>> w.grad.tolist()
    [[[[3.0, 6.0]]]]
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w: Tensor, b: Tensor | None, stride: int, padding: int
    ) -> Tensor:
        """Compute the convolution."""
        ctx.save_for_backward(x, w)
        ctx.options = {"stride": stride, "padding": padding}
        ctx.has_bias = b is not None
        return F.conv2d(x, w, b, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Turn the gradient of the output into those of images, filters and biases."""
        (dy,) = grads
        x, w = ctx.saved_tensors
        rows, kernel = w.reshape(len(w), -1), w.shape[2:]  # (c_out, k)
        dproducts = dy.flatten(2)  # (n, c_out, places)
        columns = F.unfold(x, kernel, **ctx.options)  # (n, k, places)
        dx = F.fold(rows.T @ dproducts, x.shape[2:], kernel, **ctx.options)
        dw = torch.einsum("nop,nkp->ok", dproducts, columns).reshape(w.shape)
        return dx, dw, dy.sum((0, 2, 3)) if ctx.has_bias else None, None, None


class SeparableConv2d(nn.Module):
    """A depthwise convolution, then a pointwise one: space first, channels afterwards.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding : int or pair
        Of ``depthwise``, which has one filter for each channel and no bias. ``pointwise`` mixes
        the channels with filters of 1 x 1 and has a bias.

    References
    ----------
    Chapter 13, "Convolution". A. Howard et al., "MobileNets: efficient convolutional neural
    networks for mobile vision applications", 2017.

    Examples
    --------
    >>> layer = SeparableConv2d(16, 32, 3, padding=1)
    >>> sum(p.numel() for p in layer.parameters())
    688
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
    ) -> None:
        super().__init__()
        for name, value in (("in_channels", in_channels), ("out_channels", out_channels)):
            check_count("SeparableConv2d", name, value, minimum=1)
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, kernel_size,
            stride=stride, padding=padding, groups=in_channels, bias=False,
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``y (n, out_channels, oh, ow)``."""
        y: Tensor = self.pointwise(self.depthwise(x))
        return y


def measure_receptive_field(model: nn.Module, x: Tensor) -> tuple[int, int]:
    """Measure by gradients how many pixels one output of a model can depend on.

    Parameters
    ----------
    model : nn.Module
        From images to images. Its mode and its parameters' gradients are left as they are.
    x : tensor (n, c, h, w)
        Some images; of several, each may show other pixels.

    Returns
    -------
    rows, columns : int
        Size of the smallest box that holds every pixel with a gradient, of the output in the
        middle, ``[:, :, oh // 2, ow // 2]``.

    Raises
    ------
    ShapeError, DtypeError
        If ``x`` holds no images of floats, or the model does not return images.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> layer, x = nn.Conv2d(1, 1, (3, 5)), torch.ones(1, 1, 9, 9)
    >>> measure_receptive_field(layer, x)
    (3, 5)
    """
    check_floats("measure_receptive_field", x=x)
    check_shape("measure_receptive_field", "x", x, ("n", "c", "h", "w"))
    training = model.training
    model.eval()  # in training mode batch norm ties all pixels together
    try:
        pixels = x.detach().clone().requires_grad_()
        with torch.enable_grad():
            y = model(pixels)
            check_shape("measure_receptive_field", "the output", y, ("n", "c", "oh", "ow"))
            middle = y[:, :, y.shape[2] // 2, y.shape[3] // 2]
            (dx,) = torch.autograd.grad(middle.sum(), pixels)
    finally:
        model.train(training)
    met = (dx != 0).any(0).any(0)  # (h, w)
    rows, columns = (met.any(axis).nonzero().flatten() for axis in (1, 0))
    if not len(rows):
        raise ShapeError("measure_receptive_field: the output must depend on a pixel of x.")
    return int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1


def pad_same(
    x: Tensor,
    *,
    kernel_size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> Tensor:
    """Pad images with zeros so that a convolution of stride ``s`` returns ``ceil(size / s)``.

    Parameters
    ----------
    x : tensor (n, c, h, w)
    kernel_size, stride, dilation : pairs of int, (rows, columns)
        Of the convolution that follows.

    Returns
    -------
    tensor (n, c, h + more, w + more)
        An odd number of zeros puts the extra one at the bottom or on the right.

    Raises
    ------
    ShapeError, DtypeError, ValueError
        If ``x`` holds no images, or a number is no integer of at least 1.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> pad_same(torch.ones(1, 1, 1, 3), kernel_size=(1, 4)).tolist()
    [[[[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]]]]
    """
    check_shape("pad_same", "x", x, ("n", "c", "h", "w"))
    pads: list[int] = []
    for axis in (1, 0):  # F.pad begins with the last axis
        for name, pair in (
            ("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation)
        ):
            check_count("pad_same", name, pair[axis], minimum=1)
        size, step = x.shape[2 + axis], stride[axis]
        span = dilation[axis] * (kernel_size[axis] - 1) + 1
        more = max((-(-size // step) - 1) * step + span - size, 0)
        pads += [more // 2, more - more // 2]
    return F.pad(x, pads)


class FixedFilter(nn.Module):
    """Filter each channel of images with one given kernel that no optimizer changes.

    Parameters
    ----------
    kernel : tensor (kh, kw) of floats
        Kept as the buffer ``kernel``: saved with the model, moved with it, not trained.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> blur = FixedFilter(torch.full((1, 2), 0.5))
    >>> blur(torch.tensor([[[[1.0, 3.0, 7.0]]]])).tolist(), list(blur.state_dict())
    ([[[[2.0, 5.0]]]], ['kernel'])
    """

    kernel: Tensor

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        check_floats("FixedFilter", kernel=kernel)
        check_shape("FixedFilter", "kernel", kernel, ("kh", "kw"))
        self.register_buffer("kernel", kernel.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return ``y (n, c, h - kh + 1, w - kw + 1)`` for ``x (n, c, h, w)``."""
        channels = x.shape[1]
        return F.conv2d(x, self.kernel.expand(channels, 1, -1, -1), groups=channels)
