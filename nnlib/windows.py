"""Where a kernel meets an image: sizes, receptive fields, and which pixel belongs to which output.

Only integers live here, no arrays, so both tracks use this file.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from numbers import Integral
from typing import Any, NamedTuple, TypeAlias

from nnlib.errors import DtypeError, ShapeError, check_count

__all__ = ["Pair", "Windows", "lay_windows", "output_size", "receptive_field"]

#: A number for rows and columns alike, or one for each.
Pair: TypeAlias = int | tuple[int, int]
Index: TypeAlias = tuple[Any, ...]


def output_size(
    size: int, *, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """Count the places of a kernel along one axis: ``(size + 2 padding - span) // stride + 1``.

    The kernel spans ``dilation * (kernel_size - 1) + 1`` entries.

    Parameters
    ----------
    size : int
        Entries of the input along the axis.
    kernel_size, stride, dilation : int >= 1
    padding : int >= 0
        Zeros added at either end.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ShapeError
        If the kernel spans more than the padded input.
    DtypeError, ValueError
        If an argument is not an integer, or too small.

    References
    ----------
    Chapter 13, "Convolution". V. Dumoulin and F. Visin, "A guide to convolution arithmetic for
    deep learning", 2016.

    Examples
    --------
    >>> output_size(28, kernel_size=5), output_size(28, kernel_size=5, padding=2)
    (24, 28)
    >>> output_size(7, kernel_size=3, stride=2), output_size(7, kernel_size=3, dilation=3)
    (3, 1)
    """
    caller = "output_size"
    check_count(caller, "size", size)
    for name, value in (("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation)):
        check_count(caller, name, value, minimum=1)
    check_count(caller, "padding", padding)
    return _places(caller, "an axis", *map(int, (size, kernel_size, stride, padding, dilation)))


def receptive_field(layers: Sequence[tuple[int, ...]]) -> int:
    """Count the input pixels along one axis that one output of a stack of layers depends on.

    A layer widens the field by ``dilation * (kernel_size - 1)`` steps, and a step is as many
    pixels as the product of the strides below it.

    Parameters
    ----------
    layers : sequence of (kernel_size, stride) or (kernel_size, stride, dilation)
        From the input to the output; convolution and pooling alike.

    Returns
    -------
    int
        1 without layers.

    Raises
    ------
    ShapeError
        If a layer does not have two or three numbers.
    DtypeError, ValueError
        If one of them is not an integer, or below 1.

    References
    ----------
    Chapter 13, "Convolution".

    Examples
    --------
    >>> receptive_field([(3, 1), (3, 1)]), receptive_field([(3, 2), (3, 1)])
    (5, 7)
    >>> receptive_field([(5, 1), (2, 2), (5, 1), (2, 2)])
    16
    """
    field, step = 1, 1
    for place, layer in enumerate(layers):
        if not isinstance(layer, Sequence) or isinstance(layer, str) or len(layer) not in (2, 3):
            raise ShapeError(
                f"receptive_field: layer {place} must be (kernel_size, stride) or (kernel_size, "
                f"stride, dilation), got {layer!r}."
            )
        kernel_size, stride, dilation = (*layer, 1)[:3]
        for name, value in (
            ("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation)
        ):
            check_count("receptive_field", f"{name} of layer {place}", value, minimum=1)
        field += int(dilation) * (int(kernel_size) - 1) * step
        step *= int(stride)
    return field


class Windows(NamedTuple):
    """All places of a kernel on an image; every entry is a pair (rows, columns).

    ``image (h, w)`` without padding, ``output (oh, ow)`` counts the places.
    """

    image: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    output: tuple[int, int]

    def meetings(self) -> Iterator[tuple[Index, Index]]:
        """For each kernel entry in reading order: the pixels it meets, and at which outputs.

        Both are indices of the last two axes. Outputs at which the entry lies on the padding
        are left out, so nothing needs to be padded.

        Examples
        --------
        >>> windows = lay_windows("example", (4, 4), kernel_size=2, stride=2)
        >>> next(windows.meetings())
        ((Ellipsis, slice(0, 3, 2), slice(0, 3, 2)), (Ellipsis, slice(0, 2, 1), slice(0, 2, 1)))
        """
        rows, columns = (
            [
                _meeting(self.image[axis], self.output[axis], self.stride[axis],
                         entry * self.dilation[axis] - self.padding[axis])
                for entry in range(self.kernel[axis])
            ]
            for axis in (0, 1)
        )
        for (row_pixels, row_outputs), (column_pixels, column_outputs) in product(rows, columns):
            yield (..., row_pixels, column_pixels), (..., row_outputs, column_outputs)


def lay_windows(
    caller: str,
    image: Sequence[int],
    *,
    kernel_size: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    most_padding: bool = False,
) -> Windows:
    """Check the options of a convolution or pooling and lay its windows on an image ``(h, w)``.

    ``most_padding`` refuses padding of more than half the kernel, as pooling does: a window
    could lie on padding alone.

    Examples
    --------
    >>> lay_windows("conv2d_forward", (28, 20), kernel_size=5, stride=(1, 2), padding=2).output
    (28, 10)
    """
    kernel = _pair(caller, "kernel_size", kernel_size, 1)
    strides = _pair(caller, "stride", stride, 1)
    pads = _pair(caller, "padding", padding, 0)
    dilations = _pair(caller, "dilation", dilation, 1)
    if most_padding and any(2 * pad > size for pad, size in zip(pads, kernel, strict=True)):
        raise ValueError(
            f"{caller}: padding must be at most half of kernel_size {kernel}, got {pads}. "
            f"A window must meet at least one pixel."
        )
    height, width = (int(size) for size in image)
    output = tuple(
        _places(caller, axis, size, kernel[i], strides[i], pads[i], dilations[i])
        for i, (axis, size) in enumerate((("a height", height), ("a width", width)))
    )
    return Windows((height, width), kernel, strides, pads, dilations, (output[0], output[1]))


def _places(
    caller: str, axis: str, size: int, kernel_size: int, stride: int, padding: int, dilation: int
) -> int:
    """Count the places along one axis; no place at all is an error."""
    span = dilation * (kernel_size - 1) + 1
    padded = size + 2 * padding
    if span > padded:
        raise ShapeError(
            f"{caller}: the kernel must fit into the padded input, got a kernel that spans {span} "
            f"entries on {axis} of {size} + 2 * {padding} = {padded}. "
            f"Add padding or use a smaller kernel."
        )
    return (padded - span) // stride + 1


def _meeting(size: int, places: int, stride: int, shift: int) -> tuple[slice, slice]:
    """Slice the pixels ``stride * place + shift`` inside ``0 .. size - 1``, and their places."""
    first = max(0, -(shift // stride))  # smallest place with stride * place + shift >= 0
    end = min(places, (size - 1 - shift) // stride + 1)
    if end <= first:
        return slice(0, 0), slice(0, 0)
    pixels = slice(stride * first + shift, stride * (end - 1) + shift + 1, stride)
    return pixels, slice(first, end, 1)


def _pair(caller: str, name: str, value: Any, minimum: int) -> tuple[int, int]:
    """Turn one integer or a pair of integers into a pair."""
    entries = tuple(value) if isinstance(value, tuple | list) else (value, value)
    rule = f"{name} must be an integer >= {minimum} or a pair of them"
    if len(entries) != 2 or any(
        isinstance(entry, bool) or not isinstance(entry, Integral) for entry in entries
    ):
        raise DtypeError(f"{caller}: {rule}, got {value!r} of type {type(value).__name__}.")
    if min(entries) < minimum:
        raise ValueError(f"{caller}: {rule}, got {value!r}.")
    return int(entries[0]), int(entries[1])
