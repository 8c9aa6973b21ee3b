"""Caches of convolution and pooling, and the gradients of a convolution."""

from typing import Any, NamedTuple

Array = Any


class Conv2dCache(NamedTuple):
    """Inputs of `conv2d_forward` and its options; all options but `groups` as pairs.

    ``x (n, c_in, h, w)``, ``w (c_out, c_in/groups, kh, kw)``, ``b (c_out,)`` or None.
    """

    x: Array
    w: Array
    b: Array | None
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


class Conv2dGrads(NamedTuple):
    """Gradients of a convolution, each in the shape of its array.

    ``dx (n, c_in, h, w)``, ``dw (c_out, c_in/groups, kh, kw)``, ``db (c_out,)``; ``db`` is None
    where the layer had no bias.
    """

    dx: Array
    dw: Array
    db: Array | None


class MaxPool2dCache(NamedTuple):
    """Input ``x (n, c, h, w)``, its maxima ``y (n, c, oh, ow)``, and the options as pairs."""

    x: Array
    y: Array
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


class AvgPool2dCache(NamedTuple):
    """Shape ``(n, c, h, w)`` of the input, the options as pairs, and what a mean divides by."""

    shape: tuple[int, ...]
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    count_include_pad: bool


class GlobalAvgPool2dCache(NamedTuple):
    """Shape ``(n, c, h, w)`` of the input."""

    shape: tuple[int, ...]
