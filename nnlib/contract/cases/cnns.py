"""Cases for the NumPy notebook of chapter 14: LeNet, a residual block, maps, a training step."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import ShapeError

CHAPTER = "14-cnns"
NUMPY = ("numpy",)


def _lenet_params(rng: np.random.Generator, c_in: int, places: int, widths: Sequence[int],
                  dtype: type) -> dict[str, np.ndarray]:
    """Draw the parameters of a LeNet whose last maps have ``places`` places."""
    c1, c2, d1, d2, k = widths
    shapes = {"conv1": (c1, c_in, 5, 5), "conv2": (c2, c1, 5, 5), "fc1": (places * c2, d1),
              "fc2": (d1, d2), "fc3": (d2, k)}
    params: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        fan_in = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
        params[f"{name}.w"] = rng.normal(size=shape, scale=fan_in**-0.5).astype(dtype)
        params[f"{name}.b"] = rng.normal(size=shape["fc" in name]).astype(dtype)
    return params


def _lenet(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, int, int, int],
             widths: Sequence[int] = (3, 4, 6, 5, 3), *, dtype: Any = np.float64,
             scale: float = 1.0) -> Case:
        height, width = (size // 2 - 4 for size in shape[2:])
        places = (height // 2) * (width // 2)
        x: np.ndarray = (scale * rng.normal(size=shape)).astype(dtype)
        params = _lenet_params(rng, shape[1], places, widths, dtype)
        return Case(name, prop, (x, params), drive="lenet_scores")

    return [
        case("3 images of 16 by 16 pixels", "values", (3, 1, 16, 16)),
        case("wider than high", "values", (2, 1, 16, 20)),
        # As many channels as places: a wrong order of the axes changes no shape.
        case("4 maps of 2 by 2", "values", (4, 1, 16, 16), (4, 4, 4, 4, 4)),
        case("float32", "values", (3, 1, 16, 16), dtype=np.float32),
        case("one image", "edge sizes", (1, 1, 16, 16)),
        case("no images", "edge sizes", (0, 1, 16, 16)),
        case("pixels up to 1e4", "stability", (2, 1, 16, 16), scale=3e3),
        case("3 channels, 7 classes", "options", (2, 3, 16, 16), (2, 3, 5, 4, 7)),
    ]


def _block_cases(rng: np.random.Generator, drive: str) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, int, int, int], c_out: int, *,
             stride: int = 1, skip: bool = True, dtype: Any = np.float64,
             scale: float = 1.0) -> Case:
        c_in = shape[1]
        arrays: list[Any] = [
            scale * rng.normal(size=shape),
            rng.normal(size=(c_out, c_in, 3, 3)) / (3 * c_in**0.5), rng.normal(size=c_out),
            rng.normal(size=(c_out, c_out, 3, 3)) / (3 * c_out**0.5), rng.normal(size=c_out),
            rng.normal(size=(c_out, c_in, 1, 1)) / c_in**0.5,
        ]
        args = tuple(array.astype(dtype) for array in arrays[: 6 if skip else 5])
        return Case(name, prop, args if skip else (*args, None), {"stride": stride}, drive=drive,
                    seed=int(rng.integers(2**31)))

    return [
        case("identity as shortcut", "values", (2, 3, 5, 6), 3, skip=False),
        case("2 channels to 3", "values", (2, 2, 5, 4), 3),
        case("stride 2, 2 channels to 4", "values", (2, 2, 6, 6), 4, stride=2),
        case("float32", "values", (2, 2, 4, 4), 3, dtype=np.float32),
        case("a projection that the shape does not ask for", "options", (2, 3, 4, 4), 3),
        case("stride 2 on odd sizes", "options", (2, 2, 7, 5), 3, stride=2),
        case("stride 3", "options", (2, 2, 8, 7), 2, stride=3),
        case("one image", "edge sizes", (1, 2, 4, 4), 2, skip=False),
        case("one pixel", "edge sizes", (3, 2, 1, 1), 3),
        case("no images", "edge sizes", (0, 2, 4, 4), 3, stride=2),
        case("up to 1e4", "stability", (2, 2, 4, 4), 2, skip=False, scale=3e3),
    ]


def _block_forward(rng: np.random.Generator) -> list[Case]:
    return _block_cases(rng, "residual_block_forward")


def _block_backward(rng: np.random.Generator) -> list[Case]:
    return _block_cases(rng, "residual_block_backward")


def _class_activation_maps(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, int, int, int], k: int, *,
             dtype: Any = np.float64, scale: float = 1.0) -> Case:
        features: np.ndarray = np.abs(scale * rng.normal(size=shape)).astype(dtype)
        w: np.ndarray = rng.normal(size=(shape[1], k)).astype(dtype)
        # Not 0, 1, 2, …: an example's number must not do for its class.
        labels = (rng.integers(k, size=shape[0]) if shape[0] < 3
                  else rng.permutation(np.arange(shape[0]) % k))
        if shape[0] >= 3 and (labels == np.arange(shape[0])).all():
            labels = labels[::-1].copy()
        return Case(name, prop, (features, w, labels))

    x = rng.normal(size=(2, 3, 2, 2))
    name = "class_activation_maps"
    return [
        case("4 images, 3 channels, 5 classes", "values", (4, 3, 2, 4), 5),
        case("all sizes 3", "values", (3, 3, 3, 3), 3),
        case("float32", "values", (4, 3, 2, 4), 5, dtype=np.float32),
        case("one image", "edge sizes", (1, 3, 4, 2), 4),
        case("no images", "edge sizes", (0, 3, 4, 2), 4),
        case("one pixel", "edge sizes", (3, 4, 1, 1), 3),
        case("up to 1e4", "stability", (4, 3, 2, 3), 5, scale=3e3),
        error_case("weights of a layer for flattened maps", (x, np.ones((12, 4)), np.array([0, 1])),
                   ShapeError, rf"{name}: w must have shape \(3, k\), got \(12, 4\)"),
    ]


def _grad_cam(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, int, int, int], *, dtype: Any = np.float64,
             scale: float = 1.0, sign: float = 0.0) -> Case:
        features: np.ndarray = np.abs(scale * rng.normal(size=shape)).astype(dtype)
        grads: np.ndarray = (sign + rng.normal(size=shape)).astype(dtype)
        return Case(name, prop, (features, grads))

    x = rng.normal(size=(2, 3, 2, 2))
    return [
        case("3 images, 4 channels", "values", (3, 4, 2, 5)),
        case("all sizes 3", "values", (3, 3, 3, 3)),
        case("all for the class", "values", (2, 3, 3, 2), sign=5.0),
        case("all against the class", "values", (2, 3, 3, 2), sign=-5.0),
        case("float32", "values", (3, 4, 2, 5), dtype=np.float32),
        case("one image", "edge sizes", (1, 4, 3, 2)),
        case("no images", "edge sizes", (0, 4, 3, 2)),
        case("one channel", "edge sizes", (3, 1, 3, 2)),
        case("up to 1e4", "stability", (3, 4, 2, 5), scale=3e3),
        error_case("gradients of another layer", (x, x[:, :2].copy()), ShapeError,
                   "grad_cam: features and grads must have the same shape"),
    ]


def _bars(rng: np.random.Generator, n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw images of a horizontal, a vertical or a diagonal bar, with noise."""
    labels = rng.permutation(np.arange(n) % 3)
    x = 0.1 * rng.normal(size=(n, 1, size, size))
    for image, label in zip(x[:, 0], labels, strict=True):
        place = int(rng.integers(1, size - 1))
        if label == 0:
            image[place] += 1.0
        elif label == 1:
            image[:, place] += 1.0
        else:
            image += np.eye(size, k=int(rng.integers(-1, 2)))
    return x, labels


def _cnn_train_step(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, c_in: int = 1, c: int = 4, k: int = 3, *,
             size: tuple[int, int] = (5, 4), rate: float = 0.1, dtype: Any = np.float64) -> Case:
        params = {"conv.w": rng.normal(size=(c, c_in, 3, 3)), "conv.b": rng.normal(size=c),
                  "head.w": rng.normal(size=(c, k)), "head.b": rng.normal(size=k)}
        params = {name: p.astype(dtype) for name, p in params.items()}
        x: np.ndarray = rng.normal(size=(n, c_in, *size)).astype(dtype)
        return Case(name, prop, (params, x, rng.integers(k, size=n)), {"learning_rate": rate},
                    drive="cnn_train_step")

    params = {"conv.w": rng.normal(size=(24, 1, 3, 3)), "conv.b": np.zeros(24),
              "head.w": rng.normal(scale=0.5, size=(24, 3)), "head.b": np.zeros(3)}
    return [
        case("6 images", "values", 6, rate=0.7),
        case("3 channels, 5 classes", "values", 4, 3, 6, 5),
        case("float32", "values", 5, dtype=np.float32),
        Case("25 steps on bars: horizontal, vertical, diagonal", "values",
             (params, *_bars(rng, 30, 8)), {"learning_rate": 2.0, "steps": 25},
             drive="cnn_train_step"),
        case("learning_rate=0.01", "options", 6, rate=0.01),
        case("one image", "edge sizes", 1),
        case("one pixel", "edge sizes", 4, size=(1, 1)),
    ]


register(
    Operation("lenet_scores", "(x, params, *, conv2d, max_pool2d) -> scores (n, k)", CHAPTER,
              "lenet", ("scores",), _lenet, tracks=NUMPY),
    Operation("residual_block_forward",
              "(x, w1, b1, w2, b2, w_skip=None, *, stride=1, conv2d_forward) -> (y, cache)",
              CHAPTER, "residual-block", ("y",), _block_forward, tracks=NUMPY,
              weights={"options": 2.0}),
    Operation("residual_block_backward",
              "(dy, cache, *, conv2d_backward) -> ResidualBlockGrads", CHAPTER,
              "residual-backward", ("dx", "dw1", "db1", "dw2", "db2", "dw_skip"),
              _block_backward, tracks=NUMPY, output_weights={"dx": 3.0}),
    Operation("class_activation_maps", "(features, w, labels) -> maps (n, h, w)", CHAPTER,
              "class-activation-maps", ("maps",), _class_activation_maps, tracks=NUMPY),
    Operation("grad_cam", "(features, grads) -> maps (n, h, w)", CHAPTER, "grad-cam", ("maps",),
              _grad_cam, tracks=NUMPY),
    Operation("cnn_train_step",
              "(params, x, labels, *, learning_rate, conv2d_forward, conv2d_backward, "
              "softmax_cross_entropy) -> (loss, params)",
              CHAPTER, "lenet-training", ("loss", "params", "reads"), _cnn_train_step,
              tracks=NUMPY, output_weights={"params": 3.0}, weights={"inputs kept": 2.0}),
    Question(
        "lenet_flattened",
        "The LeNet of this notebook gets images of 32 by 32 pixels instead of 28 by 28, with 16 "
        "filters in its second convolution. How many inputs does its first linear layer need?",
        576.0,
        {
            "400": "That is for 28 by 28 pixels. Follow 32 through: padding 2 keeps it, pooling "
                   "halves it, a 5 by 5 filter takes 4 away.",
            "36": "That is one map. The flattened row holds those of all 16 channels.",
            "1024": "As if the second convolution kept the size. It has no padding.",
            "784": "That is 7 by 7 maps, as if the second convolution took 2 pixels away. A 5 by 5 "
                   "filter without padding takes 2 on each side.",
            "2304": "That is 12 by 12 maps: the second pooling is still to come.",
        },
        CHAPTER, "lenet", tracks=NUMPY),
    Question(
        "dead_body",
        "In a residual network all filters and biases of one block's body are set to 0. Its "
        "shortcut is the identity, its input comes from another block's ReLU. What does the "
        "block do?",
        "b",
        {
            "a": "Only the body gives 0. Its output is added to something.",
            "c": "The ReLU comes after the addition, and what comes in is the output of a ReLU: "
                 "it has no negative entries to lose.",
            "d": "The shortcut has no filters: there is nothing by which it could halve.",
        },
        CHAPTER, "residual-block",
        {"a": "it puts out 0 everywhere, and nothing behind it gets a signal",
         "b": "it passes its input on unchanged, and the gradient wherever the input is not 0",
         "c": "it passes on a part of its input: what its ReLU leaves",
         "d": "it passes on half of its input"},
        tracks=NUMPY),
)
