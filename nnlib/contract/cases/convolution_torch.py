"""Cases for the PyTorch notebook of chapter 13, and the questions of both its notebooks.

The drivers are in torch_convolution_drivers.
"""

from typing import Any, TypeAlias

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.cases.convolution import CHAPTER, conv2d_inputs
from nnlib.contract.registry import register

TORCH = ("torch",)
Shape: TypeAlias = tuple[int, int, int, int]


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _by_unfold(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, x_shape: Shape, w_shape: Shape, *, bias: bool = True,
             dtype: type = np.float64, scale: float = 1.0, **options: int) -> Case:
        x, w, b = conv2d_inputs(rng, x_shape, w_shape, dtype, bias=bias)
        return Case(name, prop, (scale * x, w, b), options, drive="torch_convolution",
                    seed=_seed(rng))

    images, filters = (2, 3, 6, 5), (4, 3, 3, 3)
    return [
        case("2 images, 3 channels, 4 filters 3x3", "values", images, filters),
        # Square in every way: here swapped axes give a right shape and wrong numbers.
        case("all sizes 3", "values", (3, 3, 3, 3), (3, 3, 3, 3), padding=1),
        case("overlapping windows, stride 2", "values", (2, 2, 7, 5), (3, 2, 3, 3), stride=2),
        case("float32", "values", images, filters, dtype=np.float32),
        case("one image", "edge sizes", (1, 3, 6, 5), filters),
        case("a filter as large as the image", "edge sizes", (2, 3, 4, 5), (2, 3, 4, 5)),
        case("one pixel, one weight", "edge sizes", (2, 1, 1, 1), (1, 1, 1, 1)),
        case("up to 1e4", "stability", images, filters, scale=1e4),
        case("no bias (b is None)", "options", images, filters, bias=False),
        case("padding=2", "options", images, filters, padding=2),
        case("a kernel 2x4", "options", images, (4, 3, 2, 4), padding=1),
        case("pixels that no window meets", "options", (2, 2, 8, 6), (3, 2, 3, 3), stride=2,
             padding=1),
    ]


def _function(rng: np.random.Generator) -> list[Case]:
    return [Case(c.name, c.property, c.args,
                 {"apply": (c.options.get("stride", 1), c.options.get("padding", 0))},
                 drive=c.drive, seed=c.seed) for c in _by_unfold(rng)]


def _separable(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, channels: tuple[int, int], kernel_size: int,
             image: tuple[int, int, int] = (2, 6, 5), dtype: type = np.float64,
             **options: int) -> Case:
        c_in, c_out = channels
        n, h, w = image
        shapes = {"depthwise.weight": (c_in, 1, kernel_size, kernel_size),
                  "pointwise.weight": (c_out, c_in, 1, 1), "pointwise.bias": (c_out,)}
        drawn: dict[str, np.ndarray] = {
            key: rng.normal(size=shape).astype(dtype) for key, shape in shapes.items()}
        return Case(name, prop, (rng.normal(size=(n, c_in, h, w)).astype(dtype),),
                    {"init": ((c_in, c_out, kernel_size), options), "parameters": drawn},
                    drive="torch_separable", seed=_seed(rng))

    return [
        case("3 to 4 channels", "values", (3, 4), 3),
        case("3 to 3 channels, padding=1", "values", (3, 3), 3, padding=1),
        case("float32", "values", (2, 3), 3, dtype=np.float32),
        case("1 to 2 channels", "edge sizes", (1, 2), 2),
        case("filters 1x1", "edge sizes", (2, 3), 1),
        case("stride=2", "options", (2, 3), 3, (2, 7, 8), stride=2),
        case("stride=2, padding=2", "options", (3, 2), 4, (1, 7, 6), stride=2, padding=2),
    ]


def _field(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, n: int = 12, dtype: type = np.float64,
             size: tuple[int, int] = (15, 14), **options: bool) -> Case:
        x: np.ndarray = rng.normal(size=(n, 2, *size)).astype(dtype)
        return Case(name, prop, (key, x), options, drive="torch_receptive_field", seed=_seed(rng))

    return [
        case("one layer", "values", "one filter"),
        case("two layers", "values", "two layers"),
        case("max pooling", "values", "max pooling", 24),
        case("wide windows of a maximum", "values", "wide pooling", 30),
        case("filters with holes", "values", "dilation"),
        case("rows and columns", "values", "wide filters"),
        case("stride 2", "options", "stride"),
        case("float32", "options", "two layers", dtype=np.float32),
        case("one pixel", "edge sizes", "1x1 filters"),
        case("one image", "edge sizes", "two layers", 1),
        case("a small image", "edge sizes", "two layers", size=(5, 6)),
        case("batch norm and dropout, training mode", "PyTorch rules", "batch norm and dropout",
             24, training=True),
    ]


def _pad_same(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, ...], dtype: type = np.float64,
             **pairs: tuple[int, int]) -> Case:
        return Case(name, prop, (rng.normal(size=shape).astype(dtype),), pairs, drive="gradient",
                    seed=_seed(rng))

    return [
        case("kernel 3x3", "values", (2, 3, 5, 6), kernel_size=(3, 3)),
        case("kernel 4x4", "values", (2, 3, 5, 6), kernel_size=(4, 4)),
        case("kernel 3x5", "values", (2, 1, 5, 5), kernel_size=(3, 5)),
        case("float32", "values", (2, 3, 5, 4), np.float32, kernel_size=(2, 3)),
        case("dilation", "options", (2, 2, 6, 6), kernel_size=(3, 2), dilation=(2, 3)),
        case("stride 2, sizes 7 and 8", "options", (2, 2, 7, 8), kernel_size=(3, 3),
             stride=(2, 2)),
        case("stride 3 and 2", "options", (2, 2, 9, 10), kernel_size=(5, 4), stride=(3, 2)),
        case("stride larger than the kernel", "options", (2, 2, 10, 12), kernel_size=(1, 2),
             stride=(2, 4)),
        case("kernel 1x1", "edge sizes", (2, 2, 4, 5), kernel_size=(1, 1)),
        case("one pixel", "edge sizes", (1, 1, 1, 1), kernel_size=(3, 2)),
        case("no images", "edge sizes", (0, 2, 4, 5), kernel_size=(3, 3)),
    ]


def _fixed_filter(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, kernel: tuple[int, int], shape: tuple[int, ...],
             dtype: type = np.float64, **options: Any) -> Case:
        arrays: list[np.ndarray] = [rng.normal(size=s).astype(dtype) for s in (kernel, shape)]
        return Case(name, prop, tuple(arrays), options, drive="torch_fixed_filter",
                    seed=_seed(rng))

    return [
        case("3 channels, kernel 3x3", "values", (3, 3), (2, 3, 6, 5)),
        case("kernel 2x4", "values", (2, 4), (2, 2, 5, 6)),
        case("float32", "values", (3, 3), (2, 3, 6, 5), np.float32),
        case("one channel", "edge sizes", (3, 3), (2, 1, 5, 5)),
        case("one image, one place", "edge sizes", (3, 2), (1, 2, 3, 2)),
        case("no images", "edge sizes", (2, 2), (0, 2, 4, 5)),
        case("another kernel is loaded", "PyTorch rules", (3, 3), (2, 3, 6, 5),
             loaded=rng.normal(size=(3, 3))),
        Case("moved to float64", "PyTorch rules",
             (np.array([[0.5, -0.25], [2.0, 1.0]]), rng.normal(size=(2, 2, 4, 5))),
             {"double": True}, drive="torch_fixed_filter", seed=_seed(rng)),
    ]


register(
    Operation("conv_by_unfold", "(x, w, b, *, stride=1, padding=0) -> y", CHAPTER, "unfold-fold",
              ("y", "dx", "dw", "db"), _by_unfold, tracks=TORCH, output_weights={"y": 3.0}),
    Operation("ConvFunction", "apply(x, w, b, stride, padding) -> y", CHAPTER,
              "convolution-function", ("y", "dx", "dw", "db"), _function, tracks=TORCH,
              kind="class", output_weights={"y": 0.5, "dx": 2.0, "dw": 2.0}),
    Operation("SeparableConv2d",
              "(in_channels, out_channels, kernel_size, *, stride=1, padding=0); forward(x) -> y",
              CHAPTER, "separable-convolution", ("y", "gradients"), _separable, tracks=TORCH,
              kind="class", weights={"options": 3.0}),
    Operation("measure_receptive_field", "(model, x) -> (rows, columns)", CHAPTER,
              "receptive-field-measured", ("size", "model"), _field, tracks=TORCH,
              output_weights={"size": 4.0}, weights={"PyTorch rules": 4.0}),
    Operation("pad_same", "(x, *, kernel_size, stride=(1, 1), dilation=(1, 1)) -> padded x",
              CHAPTER, "same-padding", ("y", "dx"), _pad_same, tracks=TORCH,
              output_weights={"y": 3.0}, weights={"options": 4.0}),
    Operation("FixedFilter", "(kernel); forward(x) -> y", CHAPTER, "fixed-filters",
              ("y", "dx", "stored"), _fixed_filter, tracks=TORCH, kind="class",
              weights={"PyTorch rules": 4.0}, output_weights={"y": 3.0, "stored": 2.0}),
    Question(
        "convolution_parameters",
        "A convolution takes 16 channels to 32 with filters of 3 x 3, and has biases. How many "
        "numbers does it learn?",
        4640,
        {"4608": "The weights are right. Each of the 32 filters has a bias, too.",
         "320": "A filter reaches through all 16 channels of its input, so it has 16 times as "
                "many weights.",
         "288": "A filter reaches through all 16 channels of its input, and has a bias.",
         "4624": "16 biases: one for each input channel. A bias belongs to an output channel.",
         "160": "That is 16 filters of 3 x 3 with a bias each. There is a filter for every output "
                "channel, and it reaches through all input channels."},
        CHAPTER, "parameter-sharing", tracks=("numpy",), tolerance=1e-9,
    ),
    Question(
        "separable_parameters",
        "Depthwise 3 x 3 on 64 channels, then pointwise 1 x 1 to 128 channels, both without "
        "biases. How many weights do the two have together?",
        8768,
        {"73728": "That is an ordinary convolution, 64 * 128 * 9. A depthwise filter sees one "
                  "channel alone.",
         "576": "That is the depthwise part. The pointwise part mixes 64 channels into 128.",
         "8192": "That is the pointwise part. The depthwise part has 9 weights for each channel.",
         "9344": "The depthwise part keeps the number of channels: 64 filters, not 128.",
         "4718592": "The numbers of weights of the two layers add up; you multiplied them."},
        CHAPTER, "separable-convolution", tracks=TORCH, tolerance=1e-9,
    ),
    Question(
        "same_with_stride",
        "nn.Conv2d(3, 8, 3, stride=2, padding='same') and an image of 32 x 32: what happens?",
        "c",
        {"a": "Two windows whose places are 2 pixels apart cannot fill 32 places.",
         "b": "TensorFlow would do that. PyTorch has another opinion of the word: does an output "
              "of 16 have the same size?",
         "d": "PyTorch needs no image to see that the two options contradict each other."},
        CHAPTER, "same-padding",
        {"a": "An output of 32 x 32: that is what 'same' means.",
         "b": "An output of 16 x 16.",
         "c": "An error when the layer is made.",
         "d": "An error when the layer is called."},
        tracks=TORCH,
    ),
)
