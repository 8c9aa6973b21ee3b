"""Cases for convolution and for the arithmetic of its sizes."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import Inputs, backward_cases, error_case, forward_cases
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "13-convolution"


def without(cases: Iterable[Case], *options: str) -> list[Case]:
    """Leave cases with one of these options to the library: no assignment asks for them."""
    return [replace(case, library=any(option in case.options for option in options))
            for case in cases]


def conv2d_inputs(
    rng: np.random.Generator,
    x_shape: tuple[int, int, int, int],
    w_shape: tuple[int, int, int, int],
    dtype: type = np.float64,
    *,
    bias: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Draw ``x (n, c_in, h, w)``, ``w (c_out, c_in/groups, kh, kw)``, ``b (c_out,)`` or None."""
    x: np.ndarray = rng.normal(size=x_shape).astype(dtype)
    w: np.ndarray = rng.normal(size=w_shape).astype(dtype)
    b: np.ndarray = rng.normal(size=w_shape[0]).astype(dtype)
    return x, w, b if bias else None


def _conv2d(rng: np.random.Generator) -> list[Inputs]:
    def draw(*shapes: Any, **more: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        return conv2d_inputs(rng, *shapes, **more)

    images, filters = (2, 3, 6, 5), (4, 3, 3, 3)
    x, w, b = draw(images, filters)
    return [
        Inputs("2 images, 3 channels, 4 filters 3x3", "values", draw(images, filters)),
        # Square in every way: here swapped axes give a right shape and wrong numbers.
        Inputs("all sizes 3", "values", draw((3, 3, 3, 3), (3, 3, 3, 3)), {"padding": 1}),
        Inputs("overlapping windows, stride 2", "values", draw((2, 2, 7, 7), (3, 2, 3, 3)),
               {"stride": 2}),
        Inputs("float32", "values", draw(images, filters, dtype=np.float32)),
        Inputs("a batch of one", "edge sizes", draw((1, 3, 6, 5), filters)),
        Inputs("no images", "edge sizes", draw((0, 3, 6, 5), filters)),
        Inputs("one pixel, one weight", "edge sizes", draw((2, 1, 1, 1), (1, 1, 1, 1))),
        Inputs("a filter as large as the image", "edge sizes", draw((2, 3, 4, 5), (2, 3, 4, 5))),
        Inputs("one row of pixels", "edge sizes", draw((2, 3, 1, 8), (4, 3, 1, 3))),
        Inputs("up to 1e4", "stability", (1e4 * x, w, b), {"padding": 1}),
        Inputs("no bias (b is None)", "options", draw(images, filters, bias=False)),
        Inputs("padding=1", "options", draw(images, filters), {"padding": 1}),
        Inputs("padding larger than the kernel", "options", draw((2, 2, 3, 4), (3, 2, 2, 2)),
               {"padding": (3, 4)}),
        Inputs("stride=(2, 1)", "options", draw(images, filters), {"stride": (2, 1)}),
        Inputs("stride larger than the kernel", "options", draw((2, 2, 8, 9), (3, 2, 2, 2)),
               {"stride": (4, 3)}),
        Inputs("pixels that no window meets", "options", draw((2, 2, 6, 6), (3, 2, 3, 3)),
               {"stride": 2}),
        Inputs("stride=(2, 3), padding=(2, 1)", "options", draw((2, 2, 7, 6), (3, 2, 3, 2)),
               {"stride": (2, 3), "padding": (2, 1)}),
        Inputs("a kernel 2x4", "options", draw((2, 3, 6, 5), (4, 3, 2, 4)), {"padding": (0, 2)}),
        Inputs("dilation=(2, 1)", "options", draw((2, 3, 7, 6), filters),
               {"dilation": (2, 1), "padding": 1}),
        Inputs("groups=2", "options", draw((2, 4, 5, 6), (6, 2, 3, 3)), {"groups": 2}),
        Inputs("depthwise, 2 filters a channel", "options", draw((2, 3, 5, 6), (6, 1, 3, 3)),
               {"groups": 3, "padding": 1}),
        Inputs("all options", "options", draw((2, 4, 9, 8), (6, 2, 3, 2)),
               {"stride": (2, 3), "padding": (2, 1), "dilation": (2, 3), "groups": 2}),
    ]


def _errors(rng: np.random.Generator, name: str) -> list[Case]:
    x, w, b = conv2d_inputs(rng, (2, 3, 6, 5), (4, 3, 3, 3))
    assert b is not None
    return [
        error_case("an image without its batch axis", (x[0], w, b), ShapeError,
                   rf"{name}: x must have shape \(n, c_in, h, w\), got \(3, 6, 5\)"),
        error_case("channels last", (x.transpose(0, 2, 3, 1).copy(), w, b), ShapeError,
                   rf"{name}: w must have shape \(c_out, 6, kh, kw\), got \(4, 3, 3, 3\)"),
        error_case("filters with one axis too few", (x, w[0], b), ShapeError,
                   rf"{name}: w must have shape \(c_out, c_in/groups, kh, kw\), got \(3, 3, 3\)"),
        error_case("no filters", (x, w[:0], b[:0]), ShapeError, f"{name}: w must not be empty"),
        error_case("b of size 1", (x, w, b[:1].copy()), ShapeError,
                   rf"{name}: b must have shape \(4,\), got \(1,\)"),
        error_case("a kernel larger than the image", (x[:, :, :2].copy(), w, b), ShapeError,
                   f"{name}: the kernel must fit into the padded input, got a kernel that spans 3"),
        error_case("a dilated kernel larger than the image", (x, w, b), ShapeError,
                   f"{name}: the kernel must fit into the padded input, got a kernel that spans 7",
                   {"dilation": (1, 3)}),
        error_case("integers", (np.ones((2, 3, 6, 5), int), w, b), DtypeError,
                   f"{name}: x must hold floats, got int"),
        error_case("two dtypes", (x.astype(np.float32), w, b), DtypeError,
                   f"{name}: x and w must have one dtype"),
        error_case("negative stride", (x, w, b), ValueError,
                   f"{name}: stride must be an integer >= 1 or a pair of them, got -1",
                   {"stride": -1}),
        error_case("stride 0 along one axis", (x, w, b), ValueError,
                   rf"{name}: stride must be .*, got \(1, 0\)", {"stride": (1, 0)}),
        error_case("negative padding", (x, w, b), ValueError,
                   f"{name}: padding must be an integer >= 0 or a pair of them, got -1",
                   {"padding": -1}),
        error_case("padding as a word", (x, w, b), DtypeError,
                   f"{name}: padding must be .*, got 'same' of type str", {"padding": "same"}),
        error_case("three dilations", (x, w, b), DtypeError,
                   f"{name}: dilation must be an integer >= 1 or a pair", {"dilation": (1, 1, 1)}),
        error_case("groups that do not divide the channels", (x, w, b), ValueError,
                   f"{name}: groups must divide c_in 3 and c_out 4, got 2", {"groups": 2}),
        error_case("no groups", (x, w, b), ValueError,
                   f"{name}: groups must be an integer >= 1, got 0", {"groups": 0}),
    ]


def _conv2d_forward(rng: np.random.Generator) -> list[Case]:
    cases = without(forward_cases(rng, _conv2d), "dilation", "groups")
    return [*cases, *_errors(rng, "conv2d_forward")]


def _conv2d_backward(rng: np.random.Generator) -> list[Case]:
    return without(backward_cases(rng, _conv2d, "conv2d_forward"), "dilation", "groups")


def _conv2d_naive(rng: np.random.Generator) -> list[Case]:
    return [
        *(Case(i.name, i.property, i.args, i.options) for i in _conv2d(rng)),
        *_errors(rng, "conv2d_naive"),
    ]


def _output_size(rng: np.random.Generator) -> list[Case]:
    size = int(rng.integers(20, 40))
    drawn = {"kernel_size": int(rng.integers(2, 6)), "stride": int(rng.integers(2, 5)),
             "padding": int(rng.integers(1, 4)), "dilation": int(rng.integers(1, 4))}
    name = "output_size"
    return [
        Case("a kernel of 3", "values", (size,), {"kernel_size": 3}),
        Case("all options", "values", (size,), drawn),
        Case("padding that keeps the size", "options", (size,), {"kernel_size": 5, "padding": 2}),
        Case("a stride that leaves a rest", "options", (7,), {"kernel_size": 2, "stride": 2}),
        Case("a stride larger than the kernel", "options", (10,), {"kernel_size": 2, "stride": 5}),
        Case("dilation", "options", (size,), {"kernel_size": 3, "dilation": 4}),
        Case("the kernel just fits", "edge sizes", (5,), {"kernel_size": 5, "stride": 3}),
        error_case("the kernel is too large", (4,), ShapeError,
                   f"{name}: the kernel must fit into the padded input", {"kernel_size": 5}),
        error_case("negative stride", (4,), ValueError, f"{name}: stride must be an integer >= 1",
                   {"kernel_size": 2, "stride": -1}),
        error_case("negative padding", (4,), ValueError, f"{name}: padding must be an integer",
                   {"kernel_size": 2, "padding": -1}),
        error_case("a size that is no integer", (4.0,), DtypeError,
                   f"{name}: size must be an integer", {"kernel_size": 2}),
    ]


def _receptive_field(rng: np.random.Generator) -> list[Case]:
    drawn = [(int(k), int(s)) for k, s in rng.integers(1, 6, size=(4, 2))]
    name = "receptive_field"
    return [
        Case("one layer", "values", ([(int(rng.integers(2, 9)), 1)],)),
        Case("four layers", "values", (drawn,)),
        Case("strides of 2 and 3", "values", ([(3, 2), (2, 3), (4, 1)],)),
        Case("LeNet", "values", ([(5, 1), (2, 2), (5, 1), (2, 2)],)),
        Case("the last stride does not matter", "values", ([(3, 2), (3, 4)],)),
        Case("dilation", "options", ([(3, 1, 1), (3, 2, 2), (3, 1, 4)],)),
        Case("no layers", "edge sizes", ([],)),
        Case("1x1 filters", "edge sizes", ([(1, 1), (1, 1)],)),
        error_case("a layer of one number", ([(3,)],), ShapeError,
                   rf"{name}: layer 0 must be \(kernel_size, stride\)"),
        error_case("stride 0", ([(3, 1), (3, 0)],), ValueError,
                   f"{name}: stride of layer 1 must be an integer >= 1, got 0"),
        error_case("a kernel that is no integer", ([(3.0, 1)],), DtypeError,
                   f"{name}: kernel_size of layer 0 must be an integer"),
    ]


_OPTIONS = "*, stride=1, padding=0, dilation=1, groups=1"

register(
    Operation("conv2d_naive", f"(x, w, b, {_OPTIONS}) -> y", CHAPTER, "conv2d-naive", ("y",),
              _conv2d_naive, weights={"options": 4.0}),
    Operation("conv2d_forward", f"(x, w, b, {_OPTIONS}) -> (y, cache)", CHAPTER,
              "conv2d-forward", ("y",), _conv2d_forward, weights={"options": 3.0}),
    Operation("conv2d_backward", "(dy, cache) -> Conv2dGrads(dx, dw, db)", CHAPTER,
              "conv2d-backward", ("dx", "dw", "db"), _conv2d_backward,
              weights={"options": 3.0}, output_weights={"dx": 3.0, "dw": 3.0}),
    Operation("output_size", "(size, *, kernel_size, stride=1, padding=0, dilation=1) -> int",
              CHAPTER, "output-size", ("size",), _output_size, weights={"options": 6.0}),
    Operation("receptive_field", "(layers) -> int", CHAPTER, "receptive-field", ("size",),
              _receptive_field, weights={"options": 3.0}),
)
