"""Known mistakes of chapter 13: pooling."""

import numpy as np

from nnlib.contract import MaxPool2dCache
from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- max_pool2d_forward


@mistake("max_pool2d_forward", hint="""
    Your padding is made of zeros, and a zero wins wherever the pixels are negative. What number
    can never be the largest?""")
def zeros_take_part(x, *, kernel_size, stride=None, padding=0):
    stride = kernel_size if stride is None else stride
    (kh, kw), (sh, sw), (ph, pw) = (
        v if isinstance(v, tuple) else (v, v) for v in (kernel_size, stride, padding))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(2, 3))
    y = windows[:, :, ::sh, ::sw].max(axis=(4, 5))
    return y, MaxPool2dCache(x, y, (kh, kw), (sh, sw), (ph, pw))


@mistake("max_pool2d_forward", hint="""
    Without a stride your windows are one pixel apart. In pooling the default is the size of the
    window, so that they stand side by side.""")
def default_stride_of_one(x, *, kernel_size, stride=None, padding=0):
    stride = 1 if stride is None else stride
    (kh, kw), (sh, sw), (ph, pw) = (
        v if isinstance(v, tuple) else (v, v) for v in (kernel_size, stride, padding))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(2, 3))
    y = windows[:, :, ::sh, ::sw].max(axis=(4, 5))
    return y, MaxPool2dCache(x, y, (kh, kw), (sh, sw), (ph, pw))


@mistake("max_pool2d_forward", hint="""
    Your windows always stand side by side. With a stride of its own they may overlap, or leave
    pixels out.""", anchor="stride")
def stride_is_the_kernel(x, *, kernel_size, stride=None, padding=0):
    (kh, kw), (ph, pw) = (
        v if isinstance(v, tuple) else (v, v) for v in (kernel_size, padding))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(2, 3))
    y = windows[:, :, ::kh, ::kw].max(axis=(4, 5))
    return y, MaxPool2dCache(x, y, (kh, kw), (kh, kw), (ph, pw))


@mistake("max_pool2d_forward", hint="""
    The last window reaches past the edge, so your output is one larger where a rest remains. A
    window must fit whole; the rest is left out.""", anchor="output-size")
def windows_cut_at_the_edge(x, *, kernel_size, stride=None, padding=0):
    stride = kernel_size if stride is None else stride
    (kh, kw), (sh, sw), (ph, pw) = (
        v if isinstance(v, tuple) else (v, v) for v in (kernel_size, stride, padding))
    h, w = x.shape[2] + 2 * ph, x.shape[3] + 2 * pw
    more = -(h - kh) % sh, -(w - kw) % sw
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph + more[0]), (pw, pw + more[1])),
                    constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(2, 3))
    y = windows[:, :, ::sh, ::sw].max(axis=(4, 5))
    return y, MaxPool2dCache(x, y, (kh, kw), (sh, sw), (ph, pw))


@mistake("max_pool2d_forward", hint="""
    Height and width of the window are swapped. Pairs are (rows, columns).""")
def window_turned(x, *, kernel_size, stride=None, padding=0):
    stride = kernel_size if stride is None else stride
    (kh, kw), (sh, sw), (ph, pw) = (
        v if isinstance(v, tuple) else (v, v) for v in (kernel_size, stride, padding))
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kw, kh), axis=(2, 3))
    y = windows[:, :, ::sh, ::sw].max(axis=(4, 5))
    return y, MaxPool2dCache(x, y, (kh, kw), (sh, sw), (ph, pw))


# ---------------------------------------------------------------- max_pool2d_backward


@mistake("max_pool2d_backward", hint="""
    Where several pixels of a window share the maximum, each of them gets all of dy. It must
    arrive once: at the first one, in reading order.""", anchor="max-pool-ties")
def every_winner_gets_all(dy, cache):
    x, y, (kh, kw), (sh, sw), (ph, pw) = cache
    oh, ow = y.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-np.inf)
    dpadded = np.zeros_like(padded)
    for i, j in np.ndindex(kh, kw):
        met = np.s_[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw]
        dpadded[met] += dy * (padded[met] == y)
    return dpadded[:, :, ph:ph + x.shape[2], pw:pw + x.shape[3]]


@mistake("max_pool2d_backward", hint="""
    Where several pixels of a window share the maximum, you divide dy among them. That is a
    gradient, too, but not the one asked for: the first one, in reading order, gets all.""",
         anchor="max-pool-ties")
def winners_share(dy, cache):
    x, y, (kh, kw), (sh, sw), (ph, pw) = cache
    oh, ow = y.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-np.inf)
    dpadded, winners = np.zeros_like(padded), np.zeros_like(y)
    for i, j in np.ndindex(kh, kw):
        winners += padded[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw] == y
    for i, j in np.ndindex(kh, kw):
        met = np.s_[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw]
        dpadded[met] += dy / winners * (padded[met] == y)
    return dpadded[:, :, ph:ph + x.shape[2], pw:pw + x.shape[3]]


@mistake("max_pool2d_backward", hint="""
    Where several pixels of a window share the maximum, your gradient goes to the last of them. As
    in PyTorch it goes to the first, in reading order.""", anchor="max-pool-ties")
def last_winner(dy, cache):
    x, y, (kh, kw), (sh, sw), (ph, pw) = cache
    oh, ow = y.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-np.inf)
    dpadded, waiting = np.zeros_like(padded), np.ones(y.shape, bool)
    for i, j in reversed(list(np.ndindex(kh, kw))):
        met = np.s_[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw]
        found = waiting & (padded[met] == y)
        dpadded[met] += dy * found
        waiting &= ~found
    return dpadded[:, :, ph:ph + x.shape[2], pw:pw + x.shape[3]]


@mistake("max_pool2d_backward", hint="""
    A pixel that wins in several windows gets the gradient of one of them. Where windows overlap,
    add.""", anchor="col2im")
def overlap_overwritten(dy, cache):
    x, y, (kh, kw), (sh, sw), (ph, pw) = cache
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-np.inf)
    dpadded = np.zeros_like(padded)
    for e, c, p, q in np.ndindex(*y.shape):
        window = padded[e, c, p * sh:p * sh + kh, q * sw:q * sw + kw]
        i, j = np.unravel_index(window.argmax(), window.shape)
        dpadded[e, c, p * sh + i, q * sw + j] = dy[e, c, p, q]
    return dpadded[:, :, ph:ph + x.shape[2], pw:pw + x.shape[3]]


@mistake("max_pool2d_backward", hint="""
    You mark the winners with 1. They get what flows in: the entry of dy of their window.""")
def winners_marked(dy, cache):
    x, y, (kh, kw), (sh, sw), (ph, pw) = cache
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-np.inf)
    dpadded = np.zeros_like(padded)
    for e, c, p, q in np.ndindex(*y.shape):
        window = padded[e, c, p * sh:p * sh + kh, q * sw:q * sw + kw]
        i, j = np.unravel_index(window.argmax(), window.shape)
        dpadded[e, c, p * sh + i, q * sw + j] = 1
    return dpadded[:, :, ph:ph + x.shape[2], pw:pw + x.shape[3]]


# ---------------------------------------------------------------- avg_pool2d_backward


@mistake("avg_pool2d_backward", hint="""
    Every pixel of a window gets all of dy. The forward divided by the size of the window; each
    pixel has that share of the mean.""")
def share_not_divided(dy, cache):
    (n, c, h, w), (kh, kw), (sh, sw), (ph, pw), _ = cache
    oh, ow = dy.shape[2:]
    dpadded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), dy.dtype)
    for i, j in np.ndindex(kh, kw):
        dpadded[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw] += dy
    return dpadded[:, :, ph:ph + h, pw:pw + w]


@mistake("avg_pool2d_backward", hint="""
    Where windows overlap, the last one wins. A pixel has a share in each window that holds it:
    add them.""", anchor="col2im")
def overlaps_overwritten(dy, cache):
    (n, c, h, w), (kh, kw), (sh, sw), (ph, pw), _ = cache
    oh, ow = dy.shape[2:]
    dpadded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), dy.dtype)
    for i, j in np.ndindex(kh, kw):
        dpadded[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw] = dy / (kh * kw)
    return dpadded[:, :, ph:ph + h, pw:pw + w]


@mistake("avg_pool2d_backward", hint="""
    At the border you divide by the number of pixels inside. This mean counts the zeros of the
    padding: it divides by the whole window everywhere.""")
def padding_not_counted(dy, cache):
    (n, c, h, w), (kh, kw), (sh, sw), (ph, pw), _ = cache
    oh, ow = dy.shape[2:]
    inside = np.pad(np.ones((h, w), dy.dtype), ((ph, ph), (pw, pw)))
    counts = np.zeros((oh, ow), dy.dtype)
    dpadded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), dy.dtype)
    for i, j in np.ndindex(kh, kw):
        counts += inside[i:i + sh * oh:sh, j:j + sw * ow:sw]
    for i, j in np.ndindex(kh, kw):
        dpadded[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw] += dy / counts
    return dpadded[:, :, ph:ph + h, pw:pw + w]


@mistake("avg_pool2d_backward", hint="""
    `dx` begins with the shares of the padding. Cut the padding off on both sides: pixel (0, 0)
    lies behind the zeros.""")
def padding_cut_off_at_the_end(dy, cache):
    (n, c, h, w), (kh, kw), (sh, sw), (ph, pw), _ = cache
    oh, ow = dy.shape[2:]
    dpadded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), dy.dtype)
    for i, j in np.ndindex(kh, kw):
        dpadded[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw] += dy / (kh * kw)
    return dpadded[:, :, :h, :w]


@mistake("avg_pool2d_backward", hint="""
    You step one pixel from window to window. The forward stepped by the stride.""",
         anchor="stride")
def stride_forgotten(dy, cache):
    (n, c, h, w), (kh, kw), _, (ph, pw), _ = cache
    oh, ow = dy.shape[2:]
    dpadded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), dy.dtype)
    for i, j in np.ndindex(kh, kw):
        dpadded[:, :, i:i + oh, j:j + ow] += dy / (kh * kw)
    return dpadded[:, :, ph:ph + h, pw:pw + w]
