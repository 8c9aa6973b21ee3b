"""Known mistakes of chapter 13: convolution as a matrix product, forward and backward."""

import numpy as np

from nnlib.contract import Conv2dCache, Conv2dGrads
from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- conv2d_forward


@mistake("conv2d_forward", hint="""
    Your kernel is turned by 180 degrees. That is the convolution of the mathematicians; networks
    use cross-correlation and leave the kernel as it is.""", anchor="cross-correlation")
def kernel_flipped(x, w, b, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))
    y = np.einsum("ncpqij,ocij->nopq", windows[:, :, ::sh, ::sw], w[:, :, ::-1, ::-1])
    y = y if b is None else y + b[:, None, None]
    return y, Conv2dCache(x, w, b, (sh, sw), (ph, pw), (1, 1), 1)


@mistake("conv2d_forward", hint="""
    All zeros of the padding stand before the first pixel, none after the last. They belong on
    both sides, equally many.""", anchor="padding")
def padding_on_one_side(x, w, b, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding))
    padded = np.pad(x, ((0, 0), (0, 0), (2 * ph, 0), (2 * pw, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))
    y = np.einsum("ncpqij,ocij->nopq", windows[:, :, ::sh, ::sw], w)
    y = y if b is None else y + b[:, None, None]
    return y, Conv2dCache(x, w, b, (sh, sw), (ph, pw), (1, 1), 1)


@mistake("conv2d_forward", hint="""
    The bias is added once for each input channel. A window, all its channels together, makes one
    number, and gets the bias once.""")
def bias_for_each_channel(x, w, b, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))
    y = np.einsum("ncpqij,ocij->nopq", windows[:, :, ::sh, ::sw], w)
    y = y if b is None else y + x.shape[1] * b[:, None, None]
    return y, Conv2dCache(x, w, b, (sh, sw), (ph, pw), (1, 1), 1)


@mistake("conv2d_forward", hint="""
    Columns and filters are laid out in different orders: one with the channels first, the other
    with the channels last. Each weight then meets the pixel of another.""")
def layouts_differ(x, w, b, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))
    rows = w.transpose(0, 2, 3, 1).reshape(w.shape)
    y = np.einsum("ncpqij,ocij->nopq", windows[:, :, ::sh, ::sw], rows)
    y = y if b is None else y + b[:, None, None]
    return y, Conv2dCache(x, w, b, (sh, sw), (ph, pw), (1, 1), 1)


@mistake("conv2d_forward", hint="""
    The product has the filters in front and the examples behind, and you reshape it as if it were
    the other way round. `reshape` keeps the order in memory; changing the order of axes is
    another operation.""")
def reshaped_for_transposed(x, w, b, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))
    windows = windows[:, :, ::sh, ::sw]
    y = np.einsum("ncpqij,ocij->onpq", windows, w)
    y = y.reshape(len(x), len(w), *windows.shape[2:4])
    y = y if b is None else y + b[:, None, None]
    return y, Conv2dCache(x, w, b, (sh, sw), (ph, pw), (1, 1), 1)


@mistake("conv2d_forward", hint="""
    Rows and columns of the filters are swapped: weight (i, j) meets pixel (j, i) of its window.
    A filter that is not square shows it at once.""")
def filters_transposed(x, w, b, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))
    y = np.einsum("ncpqij,ocji->nopq", windows[:, :, ::sh, ::sw], w)
    y = y if b is None else y + b[:, None, None]
    return y, Conv2dCache(x, w, b, (sh, sw), (ph, pw), (1, 1), 1)


@mistake("conv2d_forward", hint="""
    One step serves both axes: the columns go along with the stride of the rows, or the padding
    of the rows. Options come as pairs, rows first.""", anchor="stride")
def one_stride_for_both(x, w, b, *, stride=1, padding=0):
    (sh, sw), (ph, pw) = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (ph, ph)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))
    y = np.einsum("ncpqij,ocij->nopq", windows[:, :, ::sh, ::sh], w)
    y = y if b is None else y + b[:, None, None]
    return y, Conv2dCache(x, w, b, (sh, sw), (ph, pw), (1, 1), 1)


# ---------------------------------------------------------------- conv2d_backward


@mistake("conv2d_backward", hint="""
    Where windows overlap, `dx` keeps the last gradient and forgets the others. A pixel that
    several windows met gets the sum of what they say. At a stride as large as the kernel nobody
    would notice.""", anchor="col2im")
def overlap_overwritten(dy, cache):
    x, w, b, (sh, sw), (ph, pw), _, _ = cache
    (oh, ow), (h, wd) = dy.shape[2:], x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, j in np.ndindex(*w.shape[2:]):
        met = np.s_[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw]
        dw[:, :, i, j] = np.einsum("nopq,ncpq->oc", dy, padded[met])
        dpadded[met] = np.einsum("nopq,oc->ncpq", dy, w[:, :, i, j])
    dx = dpadded[:, :, ph:ph + h, pw:pw + wd]
    return Conv2dGrads(dx, dw, None if b is None else dy.sum(axis=(0, 2, 3)))


@mistake("conv2d_backward", hint="""
    `db` is averaged over the places. The bias was added at every place of every example, so its
    gradient is a sum over all of them.""", anchor="conv2d-bias")
def bias_gradient_averaged(dy, cache):
    x, w, b, (sh, sw), (ph, pw), _, _ = cache
    (oh, ow), (h, wd) = dy.shape[2:], x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, j in np.ndindex(*w.shape[2:]):
        met = np.s_[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw]
        dw[:, :, i, j] = np.einsum("nopq,ncpq->oc", dy, padded[met])
        dpadded[met] += np.einsum("nopq,oc->ncpq", dy, w[:, :, i, j])
    dx = dpadded[:, :, ph:ph + h, pw:pw + wd]
    return Conv2dGrads(dx, dw, None if b is None else dy.mean(axis=(2, 3)).sum(axis=0))


@mistake("conv2d_backward", hint="""
    `dx` uses the filters turned by 180 degrees. They turn when you write it as a convolution of
    dy; when you send each gradient back to the pixel that the weight met, they don't.""",
         anchor="conv2d-dx")
def filters_flipped_on_the_way_back(dy, cache):
    x, w, b, (sh, sw), (ph, pw), _, _ = cache
    (oh, ow), (h, wd) = dy.shape[2:], x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, j in np.ndindex(*w.shape[2:]):
        met = np.s_[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw]
        dw[:, :, i, j] = np.einsum("nopq,ncpq->oc", dy, padded[met])
        dpadded[met] += np.einsum("nopq,oc->ncpq", dy, w[:, :, -1 - i, -1 - j])
    dx = dpadded[:, :, ph:ph + h, pw:pw + wd]
    return Conv2dGrads(dx, dw, None if b is None else dy.sum(axis=(0, 2, 3)))


@mistake("conv2d_backward", hint="""
    The backward steps one pixel from window to window. The forward stepped by the stride: weight
    (i, j) met pixel (p, q) times the stride, plus (i, j).""", anchor="conv2d-dw")
def stride_forgotten(dy, cache):
    x, w, b, _, (ph, pw), _, _ = cache
    (oh, ow), (h, wd) = dy.shape[2:], x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, j in np.ndindex(*w.shape[2:]):
        met = np.s_[:, :, i:i + oh, j:j + ow]
        dw[:, :, i, j] = np.einsum("nopq,ncpq->oc", dy, padded[met])
        dpadded[met] += np.einsum("nopq,oc->ncpq", dy, w[:, :, i, j])
    dx = dpadded[:, :, ph:ph + h, pw:pw + wd]
    return Conv2dGrads(dx, dw, None if b is None else dy.sum(axis=(0, 2, 3)))


@mistake("conv2d_backward", hint="""
    `dx` begins with the gradients of the padding. Cut the padding off on both sides: pixel (0, 0)
    lies behind the zeros.""", anchor="conv2d-dx")
def padding_cut_off_at_the_end(dy, cache):
    x, w, b, (sh, sw), (ph, pw), _, _ = cache
    (oh, ow), (h, wd) = dy.shape[2:], x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, j in np.ndindex(*w.shape[2:]):
        met = np.s_[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw]
        dw[:, :, i, j] = np.einsum("nopq,ncpq->oc", dy, padded[met])
        dpadded[met] += np.einsum("nopq,oc->ncpq", dy, w[:, :, i, j])
    return Conv2dGrads(dpadded[:, :, :h, :wd], dw, None if b is None else dy.sum(axis=(0, 2, 3)))


@mistake("conv2d_backward", hint="""
    `dw` is divided by the number of examples. If the loss is a mean, dy holds that factor
    already; a backward only sums over the examples.""", anchor="conv2d-dw")
def weight_gradient_averaged(dy, cache):
    x, w, b, (sh, sw), (ph, pw), _, _ = cache
    (oh, ow), (h, wd) = dy.shape[2:], x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, j in np.ndindex(*w.shape[2:]):
        met = np.s_[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw]
        dw[:, :, i, j] = np.einsum("nopq,ncpq->oc", dy, padded[met]) / max(len(x), 1)
        dpadded[met] += np.einsum("nopq,oc->ncpq", dy, w[:, :, i, j])
    dx = dpadded[:, :, ph:ph + h, pw:pw + wd]
    return Conv2dGrads(dx, dw, None if b is None else dy.sum(axis=(0, 2, 3)))
