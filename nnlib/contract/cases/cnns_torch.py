"""Cases for the PyTorch notebook of chapter 14; the drivers are in torch_cnn_drivers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.cases.cnns import CHAPTER
from nnlib.contract.registry import register

TORCH = ("torch",)


def _images(rng: np.random.Generator, shape: Sequence[int], dtype: Any) -> np.ndarray:
    return np.asarray(rng.normal(size=tuple(shape)), dtype=dtype)


def _vgg_block(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, c_in: int, c_out: int, num_convs: int,
             size: tuple[int, int] = (6, 4), *, n: int = 2, dtype: Any = np.float64) -> Case:
        return Case(name, prop, (_images(rng, (n, c_in, *size), dtype),),
                    {"args": (c_in, c_out, num_convs)}, drive="torch_built",
                    seed=int(rng.integers(2**31)))

    return [
        case("2 convolutions, 2 channels to 3", "values", 2, 3, 2),
        case("3 convolutions, 3 channels to 2", "values", 3, 2, 3),
        case("as many channels as before", "values", 3, 3, 2),
        case("float32", "values", 2, 3, 2, dtype=np.float32),
        case("one convolution", "edge sizes", 2, 4, 1),
        case("one image, odd sizes", "edge sizes", 1, 2, 2, (7, 5), n=1),
    ]


def _residual_block(rng: np.random.Generator) -> list[Case]:
    def parameters(c_in: int, c_out: int, projection: bool, dtype: Any) -> dict[str, np.ndarray]:
        shapes: dict[str, tuple[int, ...]] = {
            "body.0.weight": (c_out, c_in, 3, 3), "body.3.weight": (c_out, c_out, 3, 3)}
        norms = ["body.1", "body.4"]
        if projection:
            shapes["shortcut.0.weight"] = (c_out, c_in, 1, 1)
            norms.append("shortcut.1")
        found: dict[str, np.ndarray] = {
            name: rng.normal(size=shape, scale=float(np.prod(shape[1:])) ** -0.5).astype(dtype)
            for name, shape in shapes.items()}
        for norm in norms:
            found |= {f"{norm}.weight": rng.uniform(0.5, 1.5, c_out).astype(dtype),
                      f"{norm}.bias": rng.normal(size=c_out).astype(dtype),
                      f"{norm}.running_mean": rng.normal(size=c_out).astype(dtype),
                      f"{norm}.running_var": rng.uniform(0.5, 2.0, c_out).astype(dtype)}
        return found

    def case(name: str, prop: str, c_in: int, c_out: int, stride: int | None = 1,
             size: tuple[int, int] = (4, 6), *, n: int = 3, training: bool = True,
             dtype: Any = np.float64) -> Case:
        init = {"c_in": c_in, "c_out": c_out, **({} if stride is None else {"stride": stride})}
        projection = stride not in (None, 1) or c_in != c_out
        return Case(name, prop, (_images(rng, (n, c_in, *size), dtype),),
                    {"init": init, "training": training,
                     "parameters": parameters(c_in, c_out, projection, dtype)},
                    drive="torch_block", seed=int(rng.integers(2**31)))

    return [
        case("identity as shortcut", "values", 3, 3),
        case("2 channels to 4", "values", 2, 4),
        case("stride 2, 2 channels to 3", "values", 2, 3, 2),
        case("float32", "values", 2, 3, 2, dtype=np.float32),
        case("evaluation mode", "PyTorch rules", 2, 3, training=False),
        case("evaluation mode, one image", "PyTorch rules", 3, 3, n=1, training=False),
        case("no stride given", "options", 3, 3, None),
        case("stride 2, as many channels as before", "options", 3, 3, 2),
        case("odd sizes", "edge sizes", 2, 3, 2, (5, 7)),
    ]


def _inception_block(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, c_in: int, widths: tuple[Any, ...],
             size: tuple[int, int] = (4, 5), *, n: int = 2, dtype: Any = np.float64) -> Case:
        c1, c3, c5, c_pool = widths
        shapes: dict[str, tuple[int, ...]] = {
            "branch1.0": (c1, c_in, 1, 1),
            "branch3.0": (c3[0], c_in, 1, 1), "branch3.2": (c3[1], c3[0], 3, 3),
            "branch5.0": (c5[0], c_in, 1, 1), "branch5.2": (c5[1], c5[0], 5, 5),
            "branch_pool.1": (c_pool, c_in, 1, 1),
        }
        parameters: dict[str, np.ndarray] = {}
        for layer, shape in shapes.items():
            scale = float(np.prod(shape[1:])) ** -0.5
            parameters[f"{layer}.weight"] = rng.normal(size=shape, scale=scale).astype(dtype)
            parameters[f"{layer}.bias"] = rng.normal(size=shape[0]).astype(dtype)
        init = {"c_in": c_in, "c1": c1, "c3": c3, "c5": c5, "c_pool": c_pool}
        return Case(name, prop, (_images(rng, (n, c_in, *size), dtype),),
                    {"init": init, "parameters": parameters}, drive="torch_block",
                    seed=int(rng.integers(2**31)))

    return [
        case("3 channels to 2 + 4 + 3 + 5", "values", 3, (2, (2, 4), (3, 3), 5)),
        case("every width 2", "values", 2, (2, (2, 2), (2, 2), 2)),
        # As many images as channels: joined along the wrong axis, no shape differs.
        case("as many images as channels", "values", 3, (3, (3, 3), (3, 3), 3), n=3),
        case("float32", "values", 3, (2, (2, 4), (3, 3), 5), dtype=np.float32),
        case("one image of one pixel", "edge sizes", 2, (1, (1, 2), (1, 1), 2), (1, 1), n=1),
        case("one channel", "edge sizes", 1, (1, (1, 1), (1, 1), 1)),
    ]


def _small_resnet(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, widths: Sequence[int], blocks: int, *, c_in: int = 1,
             num_classes: int = 3, size: tuple[int, int] = (8, 6), n: int = 3,
             training: bool = True, dtype: Any = np.float64) -> Case:
        options = {"widths": tuple(widths), "blocks": blocks, "c_in": c_in,
                   "num_classes": num_classes, "training": training}
        return Case(name, prop, (_images(rng, (n, c_in, *size), dtype),), options,
                    drive="torch_small_resnet", seed=int(rng.integers(2**31)))

    return [
        case("2 stages of 1 block", "values", (2, 3), 1),
        case("3 stages of 3 blocks", "values", (2, 3, 4), 3),
        case("stages of one width", "values", (3, 3), 2),
        case("float32", "values", (2, 3), 1, dtype=np.float32),
        case("evaluation mode", "PyTorch rules", (2, 3), 1, training=False),
        case("3 channels, 5 classes", "options", (3, 2), 1, c_in=3, num_classes=5),
        case("one stage", "edge sizes", (3,), 3),
        case("odd sizes", "edge sizes", (2, 3), 1, size=(7, 5)),
    ]


def _looks(rng: np.random.Generator, keys: Sequence[tuple[str, str]], drive: str) -> list[Case]:
    def case(name: str, prop: str, key: str, n: int = 3, *, dtype: Any = np.float64,
             **options: Any) -> Case:
        labels = rng.permutation(np.arange(max(n, 4)) % 4)[:n]
        return Case(name, prop, (dict(keys)[key], _images(rng, (n, 2, 6, 6), dtype), labels),
                    options, drive=drive, seed=int(rng.integers(2**31)))

    return [
        case("3 images", "values", "plain"),
        case("4 images, a pooled network", "values", "pooled", 4),
        case("float32", "values", "plain", dtype=np.float32),
        case("a model in training mode, with batch norm", "PyTorch rules", "normed"),
        case("a model in evaluation mode, with batch norm", "PyTorch rules", "normed",
             training=False),
        case("parameters that have gradients already", "PyTorch rules", "plain", used=True),
        case("a model that is frozen", "PyTorch rules", "plain", frozen=True),
        case("one image", "edge sizes", "plain", 1),
    ]


def _saliency_map(rng: np.random.Generator) -> list[Case]:
    return _looks(rng, [("plain", "plain"), ("pooled", "pooled"), ("normed", "normed")],
                  "torch_saliency")


def _grad_cam_with_hooks(rng: np.random.Generator) -> list[Case]:
    return _looks(rng, [("plain", "plain 1"), ("pooled", "pooled 3"), ("normed", "normed 2")],
                  "torch_grad_cam")


register(
    Operation("vgg_block", "(c_in, c_out, num_convs) -> nn.Sequential", CHAPTER, "vgg-block",
              ("y", "gradients"), _vgg_block, tracks=TORCH),
    Operation("ResidualBlock", "(c_in, c_out, *, stride=1); forward(x) -> y", CHAPTER,
              "residual-block", ("y", "gradients", "buffers"), _residual_block, tracks=TORCH,
              kind="class", weights={"options": 2.0}, output_weights={"y": 3.0}),
    Operation("InceptionBlock", "(c_in, c1, c3, c5, c_pool); forward(x) -> y", CHAPTER,
              "inception-block", ("y", "gradients", "buffers"), _inception_block, tracks=TORCH,
              kind="class", output_weights={"y": 3.0}),
    Operation("small_resnet", "(block, *, c_in, widths, blocks, num_classes) -> nn.Sequential",
              CHAPTER, "cnns-pytorch", ("blocks", "y", "gradients"), _small_resnet, tracks=TORCH,
              output_weights={"y": 2.0}),
    Operation("saliency_map", "(model, x, labels) -> maps (n, h, w)", CHAPTER, "saliency",
              ("maps", "left_behind"), _saliency_map, tracks=TORCH,
              output_weights={"maps": 4.0}, weights={"PyTorch rules": 3.0}),
    Operation("grad_cam_with_hooks", "(model, layer, x, labels) -> maps (n, h, w)", CHAPTER,
              "grad-cam", ("maps", "left_behind"), _grad_cam_with_hooks, tracks=TORCH,
              output_weights={"maps": 4.0}, weights={"PyTorch rules": 3.0}),
    Question(
        "bottleneck_weights",
        "256 channels go in, 256 come out. A 3x3 convolution does it at once. Or a 1x1 "
        "convolution first reduces to 64, a 3x3 works on 64, and a 1x1 brings them back to 256. "
        "How many weights has the second way? Without biases.",
        69632.0,
        {
            "589824": "That is the first way: 256 times 256 times 9.",
            "36864": "That is the 3x3 convolution alone. The two 1x1 convolutions have weights, "
                     "too.",
            "53248": "One of the two 1x1 convolutions is missing.",
            "331776": "The two 1x1 convolutions have one weight for each pair of channels, not "
                      "nine.",
        },
        CHAPTER, "inception-block", tracks=TORCH),
    Question(
        "moody_network",
        "A small ResNet with batch norm reads 99 % of the validation images in batches of 256. In "
        "the finished program images come one at a time, and it gets most of them wrong. The "
        "weights are the same. What is most likely?",
        "c",
        {
            "a": "Then the validation images would be read wrong, too.",
            "b": "A convolution treats every image by itself: the size of the batch changes "
                 "nothing there.",
            "d": "Dropout left on costs some accuracy, in batches of any size. This depends on "
                 "the size of the batch.",
        },
        CHAPTER, "cnn-batch-norm",
        {"a": "it has overfitted the training images",
         "b": "convolutions need batches of a certain size",
         "c": "model.eval() was not called: batch norm takes the statistics of the single image",
         "d": "dropout was left on"},
        tracks=TORCH),
)
