"""Pooling: each channel of an image summed up window by window, without weights."""

from typing import Any

import torch
from torch import Tensor

from nnlib.contract.caches_convolution import (
    AvgPool2dCache,
    GlobalAvgPool2dCache,
    MaxPool2dCache,
)
from nnlib.errors import ShapeError, check_flag, check_floats, check_shape, check_upstream
from nnlib.windows import Pair, Windows, lay_windows

__all__ = [
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "global_avg_pool2d_backward",
    "global_avg_pool2d_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
]


def max_pool2d_forward(
    x: Tensor, *, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0
) -> tuple[Tensor, MaxPool2dCache]:
    """Compute the largest entry of each window, ``y[n,c,p,q] = max_ij x[n,c,p*s+i,q*s+j]``.

    Parameters
    ----------
    x : tensor (n, c, h, w) of floats
    kernel_size : int or pair, at least 1
        Size of a window; a pair is (rows, columns).
    stride : int, pair or None
        Step from one window to the next; None means `kernel_size`, so that windows do not
        overlap.
    padding : int or pair, at most half of `kernel_size`
        Entries around the image, on each side, that are never the largest.

    Returns
    -------
    y : tensor (n, c, oh, ow)
    cache : MaxPool2dCache

    Raises
    ------
    ShapeError
        If ``x`` is not a batch of images, or a window is larger than the padded image.
    DtypeError
        If ``x`` does not hold floats, or an option is not an integer.
    ValueError
        If an option is out of range.

    Notes
    -----
    The loop runs over the entries of a window, not over the windows: step ``(i, j)`` compares
    entry ``(i, j)`` of all windows at once.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> x = torch.tensor([[[[1.0, 2.0, 7.0, 0.0], [3.0, 4.0, 5.0, 6.0]]]])
    >>> y, cache = max_pool2d_forward(x, kernel_size=2)
    >>> y.tolist()
    [[[[4.0, 7.0]]]]
    """
    windows = _check("max_pool2d_forward", x, kernel_size, stride, padding)
    y = x.new_full((*x.shape[:2], *windows.output), -torch.inf)
    for pixels, outputs in windows.meetings():
        y[outputs] = torch.maximum(y[outputs], x[pixels])
    return y, MaxPool2dCache(x, y, windows.kernel, windows.stride, windows.padding)


def max_pool2d_backward(dy: Tensor, cache: MaxPool2dCache) -> Tensor:
    """Send each ``dy`` to the entry that was the largest of its window, the first of equal ones.

    Parameters
    ----------
    dy : tensor (n, c, oh, ow)
    cache : MaxPool2dCache

    Returns
    -------
    dx : tensor (n, c, h, w)
        0 where no window had its largest entry; a sum where several windows had.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Notes
    -----
    Where entries tie, the maximum has a kink. Like PyTorch we choose the slope that sends all
    of ``dy`` to the first, in reading order. Sending it to each of them would count it twice.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> x = torch.tensor([[[[1.0, 4.0], [4.0, 2.0]]]])
    >>> _, cache = max_pool2d_forward(x, kernel_size=2)
    >>> max_pool2d_backward(torch.tensor([[[[10.0]]]]), cache).tolist()
    [[[[0.0, 10.0], [0.0, 0.0]]]]
    """
    x, y, kernel_size, stride, padding = cache
    check_upstream("max_pool2d_backward", dy, y)
    windows = _check("max_pool2d_backward", x, kernel_size, stride, padding)
    dx = torch.zeros_like(x)
    waiting = torch.ones_like(y, dtype=torch.bool)  # windows whose largest entry is still to come
    for pixels, outputs in windows.meetings():
        below = x[pixels] < y[outputs]
        found = waiting[outputs] & ~below
        waiting[outputs] &= below
        dx[pixels] += dy[outputs] * found
    return dx


def avg_pool2d_forward(
    x: Tensor,
    *,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    count_include_pad: bool = True,
) -> tuple[Tensor, AvgPool2dCache]:
    """Compute the mean of each window, ``y[n,c,p,q] = sum_ij x[n,c,p*s+i,q*s+j] / (kh kw)``.

    Parameters
    ----------
    x : tensor (n, c, h, w) of floats
    kernel_size, stride : int or pair
        As in `max_pool2d_forward`.
    padding : int or pair, at most half of `kernel_size`
        Zeros around the image, on each side.
    count_include_pad : bool
        Whether the mean counts the zeros of the padding. If not, a window at the border is
        divided by the number of its pixels.

    Returns
    -------
    y : tensor (n, c, oh, ow)
    cache : AvgPool2dCache

    Raises
    ------
    ShapeError
        If ``x`` is not a batch of images, or a window is larger than the padded image.
    DtypeError
        If ``x`` does not hold floats, or an option is not an integer.
    ValueError
        If an option is out of range.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> x = torch.tensor([[[[1.0, 2.0, 7.0, 0.0], [3.0, 4.0, 5.0, 6.0]]]])
    >>> y, cache = avg_pool2d_forward(x, kernel_size=2)
    >>> y.tolist()
    [[[[2.5, 4.5]]]]
    """
    check_flag("avg_pool2d_forward", "count_include_pad", count_include_pad)
    windows = _check("avg_pool2d_forward", x, kernel_size, stride, padding)
    y = x.new_zeros((*x.shape[:2], *windows.output))
    for pixels, outputs in windows.meetings():
        y[outputs] += x[pixels]
    y = y / _counts(windows, count_include_pad, x)
    return y, AvgPool2dCache(
        tuple(x.shape), windows.kernel, windows.stride, windows.padding, count_include_pad
    )


def avg_pool2d_backward(dy: Tensor, cache: AvgPool2dCache) -> Tensor:
    """Give every entry of a window the same share of its ``dy``: ``dy / (kh kw)``.

    Parameters
    ----------
    dy : tensor (n, c, oh, ow)
    cache : AvgPool2dCache

    Returns
    -------
    dx : tensor (n, c, h, w)
        Where windows overlap, the sum of the shares.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> _, cache = avg_pool2d_forward(torch.ones((1, 1, 1, 3)), kernel_size=(1, 2), stride=1)
    >>> avg_pool2d_backward(torch.tensor([[[[2.0, 20.0]]]]), cache).tolist()
    [[[[1.0, 11.0, 10.0]]]]
    """
    shape, kernel_size, stride, padding, count_include_pad = cache
    check_floats("avg_pool2d_backward", dy=dy)
    windows = lay_windows(
        "avg_pool2d_backward", shape[2:], kernel_size=kernel_size, stride=stride, padding=padding
    )
    check_shape("avg_pool2d_backward", "dy", dy, (*shape[:2], *windows.output))
    share = dy / _counts(windows, count_include_pad, dy)
    dx = dy.new_zeros(shape)
    for pixels, outputs in windows.meetings():
        dx[pixels] += share[outputs]
    return dx


def global_avg_pool2d_forward(x: Tensor) -> tuple[Tensor, GlobalAvgPool2dCache]:
    """Compute the mean of each channel over the whole image: ``(n, c, h, w) -> (n, c)``.

    Parameters
    ----------
    x : tensor (n, c, h, w) of floats

    Returns
    -------
    y : tensor (n, c)
    cache : GlobalAvgPool2dCache

    Raises
    ------
    ShapeError
        If ``x`` is not a batch of images, or the images have no pixel.
    DtypeError
        If ``x`` does not hold floats.

    References
    ----------
    Chapter 13, "Convolution". M. Lin, Q. Chen, S. Yan, "Network in network", ICLR 2014.

    Examples
    --------
    >>> y, cache = global_avg_pool2d_forward(torch.tensor([[[[1.0, 3.0]], [[10.0, 30.0]]]]))
    >>> y.tolist()
    [[2.0, 20.0]]
    """
    _check_images("global_avg_pool2d_forward", x)
    if 0 in x.shape[2:]:
        raise ShapeError(
            f"global_avg_pool2d_forward: x must have at least one pixel, got shape "
            f"{tuple(x.shape)}."
        )
    return x.mean(dim=(2, 3)), GlobalAvgPool2dCache(tuple(x.shape))


def global_avg_pool2d_backward(dy: Tensor, cache: GlobalAvgPool2dCache) -> Tensor:
    """Give every pixel of a channel the same share of its ``dy``: ``dy / (h w)``.

    Parameters
    ----------
    dy : tensor (n, c)
    cache : GlobalAvgPool2dCache

    Returns
    -------
    dx : tensor (n, c, h, w)

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> _, cache = global_avg_pool2d_forward(torch.ones((1, 1, 2, 2)))
    >>> global_avg_pool2d_backward(torch.tensor([[8.0]]), cache).tolist()
    [[[[2.0, 2.0], [2.0, 2.0]]]]
    """
    n, c, h, w = cache.shape
    check_floats("global_avg_pool2d_backward", dy=dy)
    check_shape("global_avg_pool2d_backward", "dy", dy, (n, c))
    return (dy / (h * w))[:, :, None, None].repeat(1, 1, h, w)


def _counts(windows: Windows, count_include_pad: bool, like: Tensor) -> Tensor:
    """Count what each mean divides by, ``(oh, ow)``, in the dtype and on the device of `like`."""
    kh, kw = windows.kernel
    if count_include_pad:
        return like.new_full(windows.output, kh * kw)
    counts = like.new_zeros(windows.output)
    for _, outputs in windows.meetings():
        counts[outputs] += 1
    return counts


def _check(caller: str, x: Tensor, kernel_size: Any, stride: Any, padding: Any) -> Windows:
    """Check the arguments of a pooling and lay its windows."""
    _check_images(caller, x)
    return lay_windows(
        caller, x.shape[2:],
        kernel_size=kernel_size, stride=kernel_size if stride is None else stride,
        padding=padding, most_padding=True,
    )


def _check_images(caller: str, x: Tensor) -> None:
    check_floats(caller, x=x)
    check_shape(caller, "x", x, ("n", "c", "h", "w"), "One image needs its batch axis too.")
