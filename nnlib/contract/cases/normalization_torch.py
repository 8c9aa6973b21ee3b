"""Cases for the PyTorch notebook of chapter 11; models are keys of torch_normalization_drivers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases.normalization import CHAPTER
from nnlib.contract.registry import register

TORCH = ("torch",)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _statistics(rng: np.random.Generator, d: int, dtype: type = np.float64
                ) -> dict[str, np.ndarray]:
    """Draw a batch norm's parameters and running statistics."""
    drawn: dict[str, np.ndarray] = {
        "weight": rng.normal(size=d), "bias": rng.normal(size=d),
        "running_mean": rng.normal(size=d), "running_var": rng.uniform(0.5, 2.0, size=d)}
    return {name: value.astype(dtype) for name, value in drawn.items()}


def _module(rng: np.random.Generator, name: str, prop: str, shapes: Sequence[tuple[int, ...]],
            numbers: dict[str, np.ndarray] | None, *, dtype: type = np.float64,
            shift: float = 2.0, init: dict[str, Any], **more: Any) -> Case:
    """Make a case of a normalization's class; the last shape is that of the evaluation."""
    drawn: list[np.ndarray] = [
        (2 * rng.normal(size=shape) + shift).astype(dtype) for shape in shapes]
    options: dict[str, Any] = {"init": init} | ({"numbers": numbers} if numbers else {})
    return Case(name, prop, (drawn[:-1], drawn[-1]), options, drive="torch_norm_module",
                seed=_seed(rng), **more)


def _batch_norm(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, sizes: Sequence[int], d: int = 3, *, fresh: bool = False,
             dtype: type = np.float64, shift: float = 2.0, **init: Any) -> Case:
        numbers = None if fresh else _statistics(rng, d, dtype)
        return _module(rng, name, prop, [(n, d) for n in sizes], numbers, dtype=dtype,
                       shift=shift, init={"num_features": d, **init})

    return [
        case("a batch of 6, then evaluation", "values", (6, 5)),
        case("three batches of different sizes", "values", (6, 3, 4, 5)),
        case("4 rows, 4 columns", "values", (4, 4), 4),
        case("as it is made, float32", "values", (5, 4), fresh=True, dtype=np.float32),
        case("float32", "values", (6, 6, 4), dtype=np.float32),
        case("eps=0.1", "options", (5, 4), eps=0.1),
        case("momentum=0.7", "options", (6, 4, 5), momentum=0.7),
        case("momentum=0", "options", (6, 5), momentum=0.0),
        case("batches of two", "edge sizes", (2, 2, 2)),
        case("one column", "edge sizes", (4, 3), 1),
        case("evaluation of one row", "edge sizes", (4, 1)),
        case("evaluation alone", "edge sizes", (5,)),
        case("mean 1e4", "stability", (6, 4), shift=1e4),
        _module(rng, "one row in training", "errors", [(1, 3), (4, 3)], None, dtype=np.float32,
                init={"num_features": 3}, raises=ValueError),
    ]


def _layer_norm(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, size: int | tuple[int, ...], *shapes: tuple[int, ...],
             fresh: bool = False, dtype: type = np.float64, shift: float = 2.0,
             **init: Any) -> Case:
        affine = init.get("elementwise_affine", True)
        numbers: dict[str, np.ndarray] | None = None if fresh or not affine else {
            "weight": rng.normal(size=size).astype(dtype),
            "bias": rng.normal(size=size).astype(dtype)}
        return _module(rng, name, prop, shapes, numbers, dtype=dtype, shift=shift,
                       init={"normalized_shape": size, **init})

    return [
        case("rows of 5", "values", 5, (4, 5), (3, 5)),
        # Square on purpose: here the wrong axis gives a right shape and wrong numbers.
        case("4 rows of 4", "values", 4, (4, 4), (4, 4)),
        case("sequences, the last axis", "values", 5, (2, 3, 5), (2, 3, 5)),
        case("sequences, the last two axes", "values", (3, 5), (2, 3, 5), (4, 3, 5)),
        case("as it is made, float32", "values", (4,), (3, 4), (2, 4), fresh=True,
             dtype=np.float32),
        case("whole images", "options", (2, 3, 3), (4, 2, 3, 3), (1, 2, 3, 3)),
        case("eps=0.1", "options", 5, (4, 5), (2, 5), eps=0.1),
        case("elementwise_affine=False", "options", 5, (4, 5), (2, 5), elementwise_affine=False),
        case("a batch of one", "edge sizes", 5, (1, 5), (1, 5)),
        case("one feature", "edge sizes", 1, (4, 1), (2, 1)),
        case("mean 1e4", "stability", 5, (4, 5), (2, 5), shift=1e4),
    ]


def _recalibrate(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, sizes: Sequence[int], shape: tuple[int, ...] = (3,),
             **options: Any) -> Case:
        batches = [2 * rng.normal(size=(n, *shape)) + 1 for n in sizes]
        return Case(name, prop, (key, batches), options, drive="torch_recalibrate",
                    seed=_seed(rng))

    return [
        case("a perceptron, 3 batches", "values", "perceptron", (6, 6, 6)),
        case("batches of different sizes", "values", "perceptron", (8, 5, 3, 2)),
        case("norms in layers in layers", "values", "nested", (6, 4, 5)),
        case("images", "values", "images", (4, 5), (2, 3, 3)),
        case("a dropout before the norm", "PyTorch rules", "dropout", (6, 4)),
        case("a model in evaluation", "PyTorch rules", "nested", (5, 6), training=False),
        case("a part in evaluation", "PyTorch rules", "nested", (5, 6), still="0"),
        case("one batch", "edge sizes", "perceptron", (5,)),
        case("a norm alone", "edge sizes", "norm alone", (5, 4)),
        case("no norm at all", "edge sizes", "no norms", (5,)),
    ]


def _fold(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, ...], x: tuple[int, ...], *,
             bias: bool = True, dtype: type = np.float64, **options: Any) -> Case:
        weight: np.ndarray = rng.normal(size=shape).astype(dtype)
        drawn: np.ndarray | None = rng.normal(size=shape[0]).astype(dtype) if bias else None
        return Case(name, prop, (weight, drawn, _statistics(rng, shape[0], dtype),
                                 rng.normal(size=x).astype(dtype)),
                    options, drive="torch_fold")

    return [
        case("linear, 3 to 4", "values", (4, 3), (5, 3)),
        # Square: a factor on the inputs instead of the outputs gives a right shape.
        case("linear, 3 to 3", "values", (3, 3), (5, 3)),
        case("filters", "values", (4, 2, 3, 3), (2, 2, 5, 5)),
        case("filters, as many as they are wide", "values", (3, 3, 3, 3), (2, 3, 4, 4)),
        case("linear, float32", "values", (2, 5), (4, 5), dtype=np.float32),
        case("linear without a bias", "options", (4, 3), (5, 3), bias=False),
        case("filters without a bias", "options", (3, 2, 2, 2), (2, 2, 4, 4), bias=False),
        case("stride and padding", "options", (3, 2, 3, 3), (2, 2, 5, 5), stride=2, padding=1),
        case("filters in 2 groups, dilated", "options", (4, 1, 2, 2), (2, 2, 5, 5), groups=2,
             dilation=2),
        case("a norm with eps=0.5", "options", (4, 3), (5, 3), eps=0.5),
        case("a norm in training mode", "PyTorch rules", (4, 3), (5, 3), training=True),
        case("one unit", "edge sizes", (1, 3), (2, 3)),
    ]


def _freeze(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, **options: Any) -> Case:
        return Case(name, prop, (key,), options, drive="torch_freeze", seed=_seed(rng))

    return [
        case("a perceptron", "values", "perceptron"),
        case("norms in layers in layers", "values", "nested", training=False),
        case("images", "values", "images", training=False),
        case("layer norm, group norm, dropout", "PyTorch rules", "other norms", training=False),
        case("volumes", "PyTorch rules", "volumes"),
        case("a layer that is frozen already", "PyTorch rules", "a frozen layer"),
        case("a norm alone", "edge sizes", "norm alone"),
        case("no norm at all", "edge sizes", "no norms", training=False),
    ]


_PARTS = ("outputs", "gradients", "state", "evaluation")

register(
    Operation("BatchNorm1d", "Module(num_features, eps=1e-5, momentum=0.1); forward(x) -> y",
              CHAPTER, "normalization-pytorch", _PARTS, _batch_norm, tracks=TORCH, kind="class",
              weights={"options": 2.0}),
    Operation("LayerNorm", "Module(normalized_shape, eps=1e-5, elementwise_affine=True); "
              "forward(x) -> y", CHAPTER, "layer-norm-forward", _PARTS, _layer_norm,
              tracks=TORCH, kind="class", weights={"options": 3.0}),
    Operation("recalibrate", "(model, batches) -> None", CHAPTER, "recalibrate",
              ("statistics", "rest"), _recalibrate, tracks=TORCH,
              output_weights={"statistics": 3.0}),
    Operation("fold_batch_norm", "(layer, norm) -> layer", CHAPTER, "fold-batch-norm",
              ("y", "parameters", "given"), _fold, tracks=TORCH, weights={"options": 3.0},
              output_weights={"y": 3.0}),
    Operation("freeze_norms", "(model) -> None", CHAPTER, "freeze-norms",
              ("norms", "others", "trained"), _freeze, tracks=TORCH,
              output_weights={"norms": 2.0, "trained": 2.0}),
)
