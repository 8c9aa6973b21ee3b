"""Convolution of images: small filters slide over them, the same weights at every place.

As in every framework, the filters are not flipped: strictly this is cross-correlation.
"""

from itertools import product
from typing import Any

import numpy as np

from nnlib.contract.caches_convolution import Conv2dCache, Conv2dGrads
from nnlib.errors import ShapeError, check_count, check_floats, check_shape
from nnlib.numpy_track._columns import column_blocks
from nnlib.numpy_track._types import Array
from nnlib.windows import Pair, Windows, lay_windows, output_size, receptive_field

__all__ = ["conv2d_backward", "conv2d_forward", "conv2d_naive", "output_size", "receptive_field"]


def conv2d_naive(
    x: Array,
    w: Array,
    b: Array | None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Compute `conv2d_forward` as its definition reads: one window, one filter, one number.

    Parameters
    ----------
    x : array (n, c_in, h, w) of floats
    w : array (c_out, c_in/groups, kh, kw)
    b : array (c_out,) or None
    stride, padding, dilation, groups
        As in `conv2d_forward`.

    Returns
    -------
    y : array (n, c_out, oh, ow)

    Raises
    ------
    ShapeError, DtypeError, ValueError
        As `conv2d_forward`.

    Notes
    -----
    Thousands of times slower than `conv2d_forward`: for reading and for checking.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d_naive(x, np.array([[[[1.0, 0.0], [0.0, -1.0]]]]), None).tolist()
    [[[[-4.0, -4.0], [-4.0, -4.0]]]]
    """
    options: dict[str, Any] = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups
    }
    windows = _check("conv2d_naive", x, w, b, **options)
    (sh, sw), (ph, pw), (dh, dw) = windows.stride, windows.padding, windows.dilation
    (kh, kw), (oh, ow) = windows.kernel, windows.output
    n, c_out, c_group = len(x), len(w), w.shape[1]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y = np.zeros((n, c_out, oh, ow), x.dtype)
    for example, o, row, column in product(range(n), range(c_out), range(oh), range(ow)):
        first = o // (c_out // groups) * c_group  # filter o sees the channels of its group
        top, left = row * sh, column * sw
        window = padded[
            example, first : first + c_group, top : top + dh * kh : dh, left : left + dw * kw : dw
        ]
        y[example, o, row, column] = np.sum(window * w[o])
        if b is not None:
            y[example, o, row, column] += b[o]
    return y


def conv2d_forward(
    x: Array,
    w: Array,
    b: Array | None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> tuple[Array, Conv2dCache]:
    """Compute ``y[n,o,p,q] = b[o] + sum_{c,i,j} w[o,c,i,j] x[n,c,p*s+i*d-pad,q*s+j*d-pad]``.

    Parameters
    ----------
    x : array (n, c_in, h, w) of floats
        Images; pixels outside count as 0.
    w : array (c_out, c_in/groups, kh, kw)
        One filter for each output channel.
    b : array (c_out,) or None
        None leaves the bias out.
    stride : int or pair, at least 1
        Step ``s`` from one window to the next, in pixels; a pair is (rows, columns).
    padding : int or pair, at least 0
        Zeros ``pad`` around the image, on each side.
    dilation : int or pair, at least 1
        Distance ``d`` of the pixels that neighbouring weights meet.
    groups : int, at least 1
        Channels are split into so many groups that do not see each other; ``groups = c_in``
        is a depthwise convolution.

    Returns
    -------
    y : array (n, c_out, oh, ow)
        `output_size` tells ``oh`` and ``ow``.
    cache : Conv2dCache

    Raises
    ------
    ShapeError
        If the shapes do not fit together, or the kernel is larger than the padded image.
    DtypeError
        If an array does not hold floats, the dtypes differ, or an option is not an integer.
    ValueError
        If an option is out of range, or `groups` does not divide the channels.

    Notes
    -----
    Each window, laid out as a column, meets each filter, laid out as a row: all sums together
    are one matrix product. It takes ``2 n oh ow c_out c_in/groups kh kw`` operations.

    References
    ----------
    Chapter 13, "Convolution". Y. LeCun et al., "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE, 1998.

    Examples
    --------
    >>> x = np.array([[[[1.0, 2.0, 3.0, 4.0]]]])
    >>> y, cache = conv2d_forward(x, np.array([[[[-1.0, 1.0]]]]), np.array([10.0]), padding=(0, 1))
    >>> y.tolist()
    [[[[11.0, 11.0, 11.0, 11.0, 6.0]]]]
    """
    options: dict[str, Any] = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups
    }
    windows = _check("conv2d_forward", x, w, b, **options)
    y = np.empty((len(x), len(w), *windows.output), x.dtype)
    filters = _filter_rows(w, b, groups)
    for block, columns in column_blocks(x, windows, groups):
        columns.store(filters @ columns.matrix, y[block])
    return y, Conv2dCache(x, w, b, windows.stride, windows.padding, windows.dilation, int(groups))


def conv2d_backward(
    dy: Array, cache: Conv2dCache, *, input_grad: bool = True
) -> Conv2dGrads:
    """Compute the gradients of `conv2d_forward`.

    With ``x'`` for the pixel ``x[n,c,p*s+i*d-pad,q*s+j*d-pad]`` that ``w[o,c,i,j]`` meets at
    ``(p, q)``: ``dw[o,c,i,j] = sum_{n,p,q} dy[n,o,p,q] x'``, ``dx' += sum_o w[o,c,i,j]
    dy[n,o,p,q]`` over all windows that hold the pixel, and ``db[o] = sum_{n,p,q} dy[n,o,p,q]``.

    Parameters
    ----------
    dy : array (n, c_out, oh, ow)
    cache : Conv2dCache
    input_grad : bool
        False leaves ``dx`` out: nobody learns the input of a network's first layer.

    Returns
    -------
    Conv2dGrads
        ``dx (n, c_in, h, w)``, ``dw (c_out, c_in/groups, kh, kw)``, ``db (c_out,)``; ``db`` is
        None without a bias, ``dx`` is None without `input_grad`.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Notes
    -----
    A filter serves every window of every example, so its gradient is a sum over all of them.
    A pixel lies in several windows where these overlap, so its gradient is a sum, too.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> x, w = np.array([[[[1.0, 2.0, 3.0]]]]), np.array([[[[-1.0, 1.0]]]])
    >>> _, cache = conv2d_forward(x, w, np.zeros(1))
    >>> dx, dw, db = conv2d_backward(np.array([[[[1.0, 10.0]]]]), cache)
    >>> dx.tolist(), dw.tolist(), db.tolist()
    ([[[[-1.0, -9.0, 10.0]]]], [[[[21.0, 32.0]]]], [11.0])
    """
    x, w, b, stride, padding, dilation, groups = cache
    windows = lay_windows(
        "conv2d_backward", x.shape[2:],
        kernel_size=w.shape[2:], stride=stride, padding=padding, dilation=dilation,
    )
    check_floats("conv2d_backward", dy=dy, x=x, w=w)
    check_shape("conv2d_backward", "dy", dy, (len(x), len(w), *windows.output))

    dx = np.empty(x.shape, x.dtype) if input_grad else None
    filters = _filter_rows(w, None, groups)
    dfilters = np.zeros_like(filters.transpose(0, 2, 1))
    for block, columns in column_blocks(x, windows, groups):
        dproducts = columns.spread(dy[block])
        dfilters += columns.matrix @ dproducts.transpose(0, 2, 1)
        if dx is not None:
            columns.add_back(filters, dproducts, dx[block])
    dw = np.ascontiguousarray(dfilters[:, :-1].transpose(0, 2, 1)).reshape(w.shape)
    return Conv2dGrads(dx, dw, None if b is None else dfilters[:, -1].reshape(len(w)))


def _filter_rows(w: Array, b: Array | None, groups: int) -> Array:
    """Lay filters out as rows ``(groups, c_out/groups, k + 1)``; the last column is the bias."""
    c_out = len(w)
    bias = np.zeros(c_out, w.dtype) if b is None else b
    rows = np.concatenate([w.reshape(c_out, -1), bias[:, np.newaxis]], axis=1)
    return rows.reshape(groups, c_out // groups, -1)


def _check(
    caller: str, x: Array, w: Array, b: Array | None, *, groups: int, **options: Any
) -> Windows:
    """Check the arguments of a convolution and lay its windows."""
    check_floats(caller, x=x, w=w, b=b)
    check_shape(caller, "x", x, ("n", "c_in", "h", "w"), "One image needs its batch axis too.")
    check_shape(caller, "w", w, ("c_out", "c_in/groups", "kh", "kw"))
    check_count(caller, "groups", groups, minimum=1)
    c_in, c_out = x.shape[1], w.shape[0]
    if c_in % groups or c_out % groups:
        raise ValueError(
            f"{caller}: groups must divide c_in {c_in} and c_out {c_out}, got {groups}."
        )
    check_shape(
        caller, "w", w, ("c_out", c_in // groups, "kh", "kw"),
        "Filters have c_in/groups channels, and come as (c_out, c_in/groups, kh, kw).",
    )
    if b is not None:
        check_shape(caller, "b", b, (c_out,), "One bias for each output channel.")
    if 0 in w.shape:
        raise ShapeError(f"{caller}: w must not be empty, got shape {tuple(w.shape)}.")
    return lay_windows(caller, x.shape[2:], kernel_size=w.shape[2:], **options)
