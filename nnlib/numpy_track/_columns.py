"""The trick behind a fast convolution: windows laid out as the columns of a matrix (im2col).

With one window in each column, a convolution is one matrix product. `Columns` does the copying
in both directions; the mathematics is in `convolution`.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nnlib.numpy_track._types import Array
from nnlib.windows import Windows

#: Bytes of columns that are built and used at a time: about what the caches of two cores hold.
BLOCK_BYTES = 2**21

#: Up to so many columns for each window that exists, long runs pay.
WASTE = 1.5


def copied_places(windows: Windows) -> tuple[int, int]:
    """Choose how many windows to copy from an image, ``(rows, columns)``: see `Columns`.

    Examples
    --------
    >>> from nnlib.windows import lay_windows
    >>> copied_places(lay_windows("example", (14, 14), kernel_size=3, padding=1))  # of (14, 14)
    (15, 15)
    >>> copied_places(lay_windows("example", (14, 14), kernel_size=5))  # of (10, 10)
    (10, 14)
    >>> copied_places(lay_windows("example", (14, 14), kernel_size=3, stride=2))
    (6, 6)
    """
    oh, ow = windows.output
    hp, wp = (size + pad for size, pad in zip(windows.image, windows.padding, strict=True))
    if windows.stride[1] == 1 and ow <= wp <= WASTE * ow:
        if windows.stride[0] == 1 and oh <= hp and hp * wp <= WASTE * oh * ow:
            return hp, wp
        return oh, wp
    return oh, ow


class Columns:
    """Buffers for the windows of ``n`` images of ``c`` channels, and copying to and from them.

    ``matrix (groups, k + 1, m)`` has a row for each of the ``k = c/groups * kh * kw`` entries
    of a window and one row of ones, so that the bias is the weight of a constant input. It has
    a column for each window, example by example.

    Three things make it fast.

    *Whole images.* All padded pixels of a channel stand in one row of memory, ``wp`` to a row of
    the image. For stride 1 the window to the right of another begins one pixel later, the one
    below it ``wp`` pixels later. So kernel entry ``(i, j)`` of all windows is one long run of
    that memory, shifted by ``i * wp + j``. The run also holds a few windows that do not exist,
    wrapped around into the next row or image: nobody reads their outputs, and their gradients
    are 0. Where they would be many, the run is one image's windows, wrapped from row to row;
    where these would be many too, or the stride is larger, only windows that exist are copied.

    *No index arrays.* A strided view shows the padded images as windows, so that one `copyto`
    builds all columns, and one ``+=`` for each kernel entry adds overlapping windows back.

    *Blocks.* A few examples at a time, so that the columns never leave the processor's caches
    and memory does not grow with the batch; see `column_blocks`.
    """

    def __init__(self, n: int, c: int, windows: Windows, groups: int, dtype: np.dtype) -> None:
        (h, w), (kh, kw), (oh, ow) = windows.image, windows.kernel, windows.output
        (sh, sw), (ph, pw), (dh, dw) = windows.stride, windows.padding, windows.dilation
        # The zeros after a row of pixels are also those before the next, and so for images.
        hp, wp = h + ph, w + pw
        height, width = copied_places(windows)

        # The last window reads on after the last image: up to here, counted from its start.
        reach = ((height - 1) * sh + (kh - 1) * dh) * wp + (width - 1) * sw + (kw - 1) * dw + 1
        self._pixels = np.zeros((c, (n - 1) * hp * wp + max(reach, hp * wp)), dtype)
        self._images = self._pixels[:, : n * hp * wp].reshape(c, n, hp, wp)[:, :, ph:, pw:]
        channel, item = self._pixels.strides
        row = wp * item
        self._windows = as_strided(
            self._pixels,
            (groups, c // groups, kh, kw, n, height, width),
            (c // groups * channel, channel, dh * row, dw * item, hp * row, sh * row, sw * item),
        )
        entries = c // groups * kh * kw
        self.matrix = np.empty((groups, entries + 1, n * height * width), dtype)
        self.matrix[:, -1] = 1
        self._entries = self.matrix[:, :-1].reshape(self._windows.shape)
        self._places = (n, height, width)
        self._exist = np.s_[..., :oh, :ow]

    def load(self, x: Array) -> None:
        """Copy the windows of ``x (n, c, h, w)`` into ``matrix``."""
        self._pixels[...] = 0
        self._images[...] = x.transpose(1, 0, 2, 3)
        np.copyto(self._entries, self._windows)

    def store(self, products: Array, y: Array) -> None:
        """Copy ``products (groups, c_out/groups, m)`` into ``y (n, c_out, oh, ow)``."""
        products = products.reshape(-1, *self._places)
        y.transpose(1, 0, 2, 3)[...] = products[self._exist]

    def spread(self, dy: Array) -> Array:
        """Lay ``dy (n, c_out, oh, ow)`` out as ``(groups, c_out/groups, m)``, zeros in extras."""
        columns = np.zeros((dy.shape[1], *self._places), dy.dtype)
        columns[self._exist] = dy.transpose(1, 0, 2, 3)
        groups, _, m = self.matrix.shape
        return columns.reshape(groups, -1, m)

    def add_back(self, filters: Array, dproducts: Array, dx: Array) -> None:
        """Add the gradients of all windows, ``filters.T @ dproducts``, up to ``dx (n, c, h, w)``.

        They take the place of the windows in ``matrix``.
        """
        np.matmul(filters[..., :-1].transpose(0, 2, 1), dproducts, out=self.matrix[:, :-1])
        self._pixels[...] = 0
        kh, kw = self._windows.shape[2:4]
        for i, j in product(range(kh), range(kw)):
            self._windows[:, :, i, j] += self._entries[:, :, i, j]
        dx[...] = self._images.transpose(1, 0, 2, 3)


def column_blocks(
    x: Array, windows: Windows, groups: int
) -> Iterator[tuple[slice, Columns]]:
    """Split the examples of ``x (n, c, h, w)`` into blocks and load the columns of each in turn.

    Yields the examples of a block and its `Columns`, whose buffers the next block uses again.
    """
    n, c = x.shape[:2]
    kh, kw = windows.kernel
    (oh, ow), item = windows.output, x.dtype.itemsize
    size = max(1, min(n, BLOCK_BYTES // max(1, c * kh * kw * oh * ow * item)))
    for start in range(0, n, size):
        block = slice(start, min(start + size, n))
        if start == 0 or block.stop - start < size:
            columns = Columns(block.stop - start, c, windows, groups, x.dtype)
        columns.load(x[block])
        yield block, columns
