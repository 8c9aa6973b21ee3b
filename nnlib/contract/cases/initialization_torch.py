"""Cases for the PyTorch exercises of chapter 7.

Models and losses are named by keys of `nnlib.checks.torch_init_drivers`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases.init import CHAPTER
from nnlib.contract.registry import register

TORCH = ("torch",)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _init_model(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str) -> Case:
        return Case(name, prop, (key,), drive="torch_init_model", judge="model_draws",
                    seed=_seed(rng))

    return [
        case("two linear layers", "values", "linear layers"),
        case("filters and batch normalization", "values", "filters"),
        case("layers in layers", "values", "nested"),
        case("modules that are to stay as they are", "values", "others"),
        case("filters in 4 groups", "options", "grouped filters"),
        case("a layer alone", "edge sizes", "alone"),
        case("no bias, no scale", "edge sizes", "absent"),
        Case("twice with one seed", "repeatable", ("small",), drive="torch_repeat_init",
             seed=_seed(rng)),
    ]


def _mean_squares(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, shape: tuple[int, ...], dtype: type = np.float64,
             **options: Any) -> Case:
        x: np.ndarray = rng.normal(0.3, 1.0, size=shape).astype(dtype)
        # A float of Python's does not show that it was computed in float32.
        rtol, atol = (2e-4, 2e-6) if dtype is np.float32 else (None, None)
        return Case(name, prop, (key, x), options, drive="torch_mean_squares", seed=_seed(rng),
                    rtol=rtol, atol=atol)

    return [
        case("two layers", "values", "two layers", (7, 3)),
        case("layers in layers", "values", "deep and nested", (5, 3)),
        case("filters", "values", "convolutional", (4, 2, 4, 4)),
        case("float32", "values", "two layers", (6, 3), np.float32),
        case("evaluation mode", "options", "deep and nested", (4, 3), training=False),
        case("one row", "edge sizes", "two layers", (1, 3)),
        case("a model that fails half-way", "PyTorch rules", "convolutional", (4, 2, 6, 6),
             fails=True),
    ]


def _weight_gradients(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, loss: str, x: tuple[int, ...], out: int,
             **options: Any) -> Case:
        return Case(name, prop, (key, loss, rng.normal(size=x), rng.normal(size=(x[0], out))),
                    options, drive="torch_weight_gradients", seed=_seed(rng))

    return [
        case("two layers", "values", "two layers", "mse", (6, 3), 4),
        case("layers in layers", "values", "deep and nested", "sum of squares", (5, 3), 2),
        case("filters", "values", "convolutional", "mse", (4, 2, 4, 4), 4),
        case("a layer that is frozen", "options", "frozen", "mse", (6, 3), 2),
        case("a layer that the loss does not depend on", "options", "two heads", "mse", (5, 3), 2),
        case("one row", "edge sizes", "two layers", "mse", (1, 3), 4),
        case("gradients are there already", "PyTorch rules", "two layers", "mse", (6, 3), 4,
             used=True),
    ]


def _twins(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, copies: Sequence[int], d_in: int, d_out: int, *,
             bias: bool = True, differ: str = "", swap: bool = False) -> Case:
        """``copies``: how often each different unit occurs; ``differ`` parts the copies."""
        units = np.repeat(np.arange(len(copies)), copies)
        m, order = len(units), rng.permutation(len(units))
        parts = {"incoming": rng.normal(size=(len(copies), d_in))[units],
                 "bias": rng.normal(size=len(copies))[units],
                 "outgoing": rng.normal(size=(len(copies), d_out))[units]}
        if differ:
            parts[differ] = rng.normal(size=parts[differ].shape)
        if swap:  # other units share a bias, or incoming weights: neither makes twins
            parts["bias"] = np.full(m, 0.5)
        return Case(name, prop, (parts["incoming"][order], parts["bias"][order] if bias else None,
                                 parts["outgoing"][order].T.copy()), drive="torch_twins")

    return [
        case("3 alike, 2 alike, 2 others", "values", (3, 2, 1, 1), 4, 3),
        case("4 alike and 1 other", "values", (4, 1), 3, 5),
        case("as many units as inputs and outputs", "values", (2, 2, 1), 5, 5, swap=True),
        case("alike but for the outgoing weights", "values", (3, 2), 4, 3, differ="outgoing"),
        case("alike but for the bias", "values", (3, 2), 4, 3, differ="bias"),
        case("alike but for the incoming weights", "values", (2, 4), 4, 3, differ="incoming"),
        case("no bias", "options", (3, 1, 2), 4, 2, bias=False),
        case("all alike", "edge sizes", (6,), 3, 2),
        case("no two alike", "edge sizes", (1, 1, 1, 1), 3, 2),
        case("one unit", "edge sizes", (1,), 3, 2),
    ]


def _scale(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, sizes: Sequence[int], activation: str = "relu", *,
             scale: float = 1.0, bias: bool = True) -> Case:
        layers = [(scale * rng.normal(0.2, 1.0, size=(d_out, d_in)),
                   rng.normal(1.0, 1.0, size=d_out) if bias else None)
                  for d_in, d_out in pairwise(sizes)]
        x = rng.normal(0.5, 1.5, size=(64, sizes[0]))
        # Divided by n or by n - 1: both variances are fine.
        return Case(name, prop, (x, activation, layers), drive="torch_scale", rtol=1e-2, atol=1e-4)

    return [
        case("3 layers of ReLU", "values", (20, 30, 25, 20)),
        case("4 layers of tanh", "values", (16, 24, 24, 30, 20), "tanh"),
        case("weights much too small", "values", (20, 20, 20, 20), scale=0.01),
        case("weights much too large", "options", (12, 20, 16), "tanh", scale=30.0),
        case("no biases", "options", (12, 20, 16), bias=False),
        case("one layer", "edge sizes", (10, 24)),
    ]


def _orthogonal(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, ...], **options: float) -> Case:
        return Case(name, prop, (shape,), options, drive="torch_orthogonal", seed=_seed(rng),
                    rtol=1e-4, atol=1e-4)

    return [
        case("square", "values", (12, 12)),
        case("more rows than columns", "values", (20, 8)),
        case("more columns than rows", "values", (6, 15)),
        case("filters", "values", (8, 3, 3, 3)),
        case("more filters than numbers in one", "values", (24, 2, 3, 2)),
        case("gain=1.5", "options", (10, 14), gain=1.5),
        case("gain=0.5", "options", (9, 4), gain=0.5),
        case("one row", "edge sizes", (1, 7)),
        case("one column", "edge sizes", (5, 1)),
        Case("twice with one seed", "repeatable", ((4, 6),), drive="torch_repeat_orthogonal",
             seed=_seed(rng)),
    ]


register(
    Operation("init_model", "(model, *, generator) -> None", CHAPTER, "initialization-pytorch",
              ("draws", "rest", "trains"), _init_model, tracks=TORCH,
              output_weights={"draws": 6.0, "rest": 3.0},
              weights={"repeatable": 2.0}),
    Operation("output_mean_squares", "(model, x) -> dict of layer name to float", CHAPTER,
              "torch-hooks", ("mean_squares", "left_behind"), _mean_squares, tracks=TORCH,
              output_weights={"mean_squares": 3.0}),
    Operation("weight_gradient_norms", "(model, loss_fn, x, y) -> dict of name to float", CHAPTER,
              "vanishing-exploding", ("norms", "grads_kept"), _weight_gradients, tracks=TORCH,
              output_weights={"norms": 3.0}),
    Operation("count_twins", "(first, second) -> int", CHAPTER, "symmetry", ("twins",), _twins,
              tracks=TORCH),
    Operation("scale_to_unit_variance", "(model, x) -> None", CHAPTER, "data-dependent",
              ("weights", "biases", "trains"), _scale, tracks=TORCH,
              output_weights={"weights": 6.0, "biases": 2.0}),
    Operation("orthogonal", "(shape, *, gain=1.0, generator) -> w", CHAPTER,
              "orthogonal-initialization", ("products",), _orthogonal, tracks=TORCH,
              weights={"options": 3.0, "repeatable": 4.0}),
)
