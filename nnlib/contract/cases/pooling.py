"""Cases for max, average and global average pooling."""

from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import Inputs, backward_cases, error_case, forward_cases
from nnlib.contract.cases.convolution import CHAPTER, without
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError


def _pool2d(rng: np.random.Generator) -> list[Inputs]:
    def draw(*shape: int) -> tuple[np.ndarray]:
        return (rng.normal(size=shape),)

    (x,) = draw(2, 3, 4, 6)
    two: dict[str, Any] = {"kernel_size": 2}
    return [
        Inputs("windows 2x2", "values", draw(2, 3, 4, 6), two),
        Inputs("overlapping windows", "values", draw(2, 2, 5, 6), {"kernel_size": 3, "stride": 1}),
        Inputs("float32", "values", (draw(2, 3, 4, 6)[0].astype(np.float32),), two),
        Inputs("a batch of one", "edge sizes", draw(1, 3, 4, 6), two),
        Inputs("no images", "edge sizes", draw(0, 3, 4, 6), two),
        Inputs("one pixel", "edge sizes", draw(2, 3, 1, 1), {"kernel_size": 1}),
        Inputs("one window", "edge sizes", draw(2, 3, 4, 5), {"kernel_size": (4, 5)}),
        Inputs("a rest that no window meets", "edge sizes", draw(2, 2, 5, 7), two),
        Inputs("up to 1e4", "stability", (1e4 * x,), two),
        Inputs("windows 3x2", "options", draw(2, 2, 6, 6), {"kernel_size": (3, 2)}),
        Inputs("stride=(1, 2)", "options", draw(2, 2, 5, 6),
               {"kernel_size": 3, "stride": (1, 2)}),
        Inputs("stride larger than the kernel", "options", draw(2, 2, 7, 8),
               {"kernel_size": 2, "stride": 3}),
        Inputs("padding=1", "options", draw(2, 2, 5, 6),
               {"kernel_size": 3, "stride": 2, "padding": 1}),
        Inputs("padding=(0, 1)", "options", draw(2, 2, 5, 6),
               {"kernel_size": 2, "padding": (0, 1)}),
        # Where the padding counts as 0, it wins.
        Inputs("negative pixels at the padding", "options", (-1 - np.abs(x),),
               {"kernel_size": 3, "stride": 2, "padding": 1}),
    ]


def _max_pool2d(rng: np.random.Generator) -> list[Inputs]:
    ties = rng.integers(0, 2, size=(2, 3, 4, 6)).astype(float)
    return [
        *_pool2d(rng),
        Inputs("equal pixels: the first one", "kinks", (ties,), {"kernel_size": 2}),
        Inputs("equal pixels, overlapping windows", "kinks", (ties,),
               {"kernel_size": 3, "stride": 1, "padding": 1}),
    ]


def _avg_pool2d(rng: np.random.Generator) -> list[Inputs]:
    uncounted = {"stride": 2, "padding": 1, "count_include_pad": False}
    return [
        *_pool2d(rng),
        Inputs("count_include_pad=False", "options", (rng.normal(size=(2, 2, 5, 6)),),
               {"kernel_size": 3, **uncounted}),
        Inputs("count_include_pad=False, windows 2x4", "options", (rng.normal(size=(2, 2, 5, 7)),),
               {"kernel_size": (2, 4), **uncounted}),
    ]


def _global_avg_pool2d(rng: np.random.Generator) -> list[Inputs]:
    x = rng.normal(size=(2, 3, 4, 5))
    return [
        Inputs("2 images of 3 channels", "values", (x,)),
        Inputs("as many channels as images and rows", "values", (rng.normal(size=(3, 3, 3, 4)),)),
        Inputs("float32", "values", (rng.normal(size=(2, 3, 4, 5)).astype(np.float32),)),
        Inputs("a batch of one", "edge sizes", (rng.normal(size=(1, 3, 4, 5)),)),
        Inputs("no images", "edge sizes", (np.zeros((0, 3, 4, 5)),)),
        Inputs("one pixel", "edge sizes", (rng.normal(size=(2, 3, 1, 1)),)),
        Inputs("up to 1e4", "stability", (1e4 * x,)),
    ]


def _errors(rng: np.random.Generator, name: str) -> list[Case]:
    x, two = rng.normal(size=(2, 3, 4, 6)), {"kernel_size": 2}
    return [
        error_case("an image without its batch axis", (x[0],), ShapeError,
                   rf"{name}: x must have shape \(n, c, h, w\), got \(3, 4, 6\)", two),
        error_case("integers", (np.ones((2, 3, 4, 6), int),), DtypeError,
                   f"{name}: x must hold floats, got int", two),
        error_case("a window larger than the image", (x,), ShapeError,
                   f"{name}: the kernel must fit into the padded input, got a kernel that spans 5 "
                   f"entries on a height of 4", {"kernel_size": 5}),
        error_case("padding of more than half the kernel", (x,), ValueError,
                   rf"{name}: padding must be at most half of kernel_size \(3, 3\), got \(2, 2\)",
                   {"kernel_size": 3, "padding": 2}),
        error_case("negative padding", (x,), ValueError,
                   f"{name}: padding must be an integer >= 0", {"kernel_size": 2, "padding": -1}),
        error_case("a kernel of 0", (x,), ValueError,
                   f"{name}: kernel_size must be an integer >= 1", {"kernel_size": 0}),
        error_case("negative stride", (x,), ValueError,
                   f"{name}: stride must be an integer >= 1", {"kernel_size": 2, "stride": -2}),
        error_case("a stride that is no integer", (x,), DtypeError,
                   f"{name}: stride must be an integer >= 1 or a pair of them, got 1.5",
                   {"kernel_size": 2, "stride": 1.5}),
    ]


def _max_pool2d_forward(rng: np.random.Generator) -> list[Case]:
    return [*forward_cases(rng, _max_pool2d), *_errors(rng, "max_pool2d_forward")]


def _avg_pool2d_forward(rng: np.random.Generator) -> list[Case]:
    name, x = "avg_pool2d_forward", rng.normal(size=(2, 3, 4, 6))
    return [
        *forward_cases(rng, _avg_pool2d),
        *_errors(rng, name),
        error_case("count_include_pad is no flag", (x,), DtypeError,
                   f"{name}: count_include_pad must be True or False, got 'no'",
                   {"kernel_size": 2, "count_include_pad": "no"}),
    ]


def _avg_pool2d_backward(rng: np.random.Generator) -> list[Case]:
    return without(backward_cases(rng, _avg_pool2d, "avg_pool2d_forward"), "count_include_pad")


def _global_avg_pool2d_forward(rng: np.random.Generator) -> list[Case]:
    name, x = "global_avg_pool2d_forward", rng.normal(size=(2, 3, 4, 6))
    return [
        *forward_cases(rng, _global_avg_pool2d),
        error_case("an image without its batch axis", (x[0],), ShapeError,
                   rf"{name}: x must have shape \(n, c, h, w\), got \(3, 4, 6\)"),
        error_case("no pixels", (x[:, :, :0].copy(),), ShapeError,
                   f"{name}: x must have at least one pixel"),
        error_case("integers", (np.ones((2, 3, 4, 6), int),), DtypeError,
                   f"{name}: x must hold floats, got int"),
    ]


register(
    Operation("max_pool2d_forward", "(x, *, kernel_size, stride=None, padding=0) -> (y, cache)",
              CHAPTER, "max-pool2d", ("y",), _max_pool2d_forward, weights={"options": 4.0}),
    Operation("max_pool2d_backward", "(dy, cache) -> dx", CHAPTER, "max-pool2d", ("dx",),
              lambda rng: backward_cases(rng, _max_pool2d, "max_pool2d_forward"),
              weights={"options": 3.0, "kinks": 4.0}),
    Operation("avg_pool2d_forward",
              "(x, *, kernel_size, stride=None, padding=0, count_include_pad=True) -> (y, cache)",
              CHAPTER, "avg-pool2d", ("y",), _avg_pool2d_forward),
    Operation("avg_pool2d_backward", "(dy, cache) -> dx", CHAPTER, "avg-pool2d", ("dx",),
              _avg_pool2d_backward, weights={"options": 4.0}),
    Operation("global_avg_pool2d_forward", "(x) -> (y, cache)", CHAPTER, "global-avg-pool2d",
              ("y",), _global_avg_pool2d_forward),
    Operation("global_avg_pool2d_backward", "(dy, cache) -> dx", CHAPTER, "global-avg-pool2d",
              ("dx",),
              lambda rng: backward_cases(rng, _global_avg_pool2d, "global_avg_pool2d_forward")),
)
