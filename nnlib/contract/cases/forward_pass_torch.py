"""Cases for the PyTorch notebook of chapter 3; the drivers are in torch_forward_drivers."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.cases.dense import linear_inputs, mlp_inputs
from nnlib.contract.cases.forward_pass import CHAPTER
from nnlib.contract.registry import register

TORCH = ("torch",)


def _apply_linear(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, ...], d_out: int, *,
             bias: bool = True, dtype: type = np.float64) -> Case:
        x: np.ndarray = rng.normal(size=shape).astype(dtype)
        weight: np.ndarray = rng.normal(size=(d_out, shape[-1])).astype(dtype)
        b: np.ndarray = rng.normal(size=d_out).astype(dtype)
        return Case(name, prop, (x, weight, b if bias else None), drive="torch_linear",
                    seed=int(rng.integers(2**31)))

    return [
        case("4 rows, 3 inputs, 2 outputs", "values", (4, 3), 2),
        case("all sizes 3", "values", (3, 3), 3),
        case("2 sequences of 5 rows", "values", (2, 5, 3), 2),
        case("float32", "values", (4, 3), 2, dtype=np.float32),
        case("one example without a batch axis", "edge sizes", (3,), 2),
        case("no rows", "edge sizes", (0, 3), 2),
        case("one output", "edge sizes", (4, 3), 1),
        case("no bias", "options", (4, 3), 2, bias=False),
    ]


def _numpy_to_state_dict(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, sizes: Sequence[int], **more: Any) -> Case:
        return Case(name, prop, (mlp_inputs(rng, 0, sizes, **more)[1],),
                    drive="torch_from_numpy")

    return [
        case("two layers", "values", (4, 5, 2)),
        case("four layers", "values", (2, 3, 5, 4, 3)),
        case("all sizes 3", "values", (3, 3, 3)),
        case("float32", "values", (4, 5, 2), dtype=np.float32),
        case("one layer", "edge sizes", (4, 2)),
        case("no biases", "options", (4, 5, 2), bias=False),
    ]


def _deep_net(rng: np.random.Generator) -> list[Case]:
    def parameters(sizes: Sequence[int], dtype: type) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for layer, (d_in, d_out) in enumerate(pairwise(sizes)):
            _, w, b = linear_inputs(rng, 0, d_in, d_out, dtype)
            found |= {f"layers.{layer}.weight": w.T.copy(), f"layers.{layer}.bias": b}
        return found

    def case(name: str, prop: str, leading: tuple[int, ...], sizes: tuple[int, ...],
             dtype: type = np.float64) -> Case:
        options = {"init": {"sizes": sizes}, "parameters": parameters(sizes, dtype)}
        x: np.ndarray = rng.normal(size=(*leading, sizes[0])).astype(dtype)
        return Case(name, prop, (x,), options, drive="module", seed=int(rng.integers(2**31)))

    return [
        case("one hidden layer", "values", (6,), (3, 5, 2)),
        case("three hidden layers", "values", (5,), (3, 6, 4, 5, 2)),
        case("float32", "values", (6,), (3, 5, 2), np.float32),
        case("2 sequences of 4 rows", "edge sizes", (2, 4), (3, 5, 2)),
        case("no hidden layer", "edge sizes", (4,), (3, 2)),
        Case("moved to another device", "PyTorch rules",
             (rng.normal(size=(4, 3)).astype(np.float32),), {"init": {"sizes": (3, 5, 2)}},
             drive="torch_on_meta"),
    ]


def _count_trainable(rng: np.random.Generator) -> list[Case]:
    def case(key: str, prop: str) -> Case:
        a, b, c = (int(size) for size in rng.permutation(np.arange(4, 12))[:3])
        return Case(key, prop, (key, (a, b, c)), drive="torch_count")

    return [
        case("one layer", "values"),
        case("two layers", "values"),
        case("a network in a network", "values"),
        case("no biases", "options"),
        case("first layer frozen", "PyTorch rules"),
        case("batch norm, which has buffers", "PyTorch rules"),
        case("nothing to train", "edge sizes"),
        case("all frozen", "edge sizes"),
    ]


def _class_probabilities(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, ...], k: int, *, training: bool = True,
             dtype: type = np.float64, scale: float = 1.0, **more: bool) -> Case:
        x: np.ndarray = (scale * rng.normal(size=shape)).astype(dtype)
        weight: np.ndarray = rng.normal(size=(shape[-1], k)).astype(dtype)
        return Case(name, prop, (x, weight, rng.normal(size=k).astype(dtype)),
                    {"training": training, **more}, drive="torch_probabilities")

    return [
        case("5 rows, 3 classes, model in training mode", "values", (5, 4), 3),
        case("4 rows, 4 classes, model in evaluation mode", "values", (4, 3), 4, training=False),
        case("float32", "values", (5, 4), 3, dtype=np.float32),
        case("one row", "edge sizes", (1, 4), 3),
        case("2 sequences of 5 rows", "edge sizes", (2, 5, 4), 3),
        case("logits up to 1e4", "stability", (5, 4), 3, scale=5e3),
        case("no gradients recorded", "PyTorch rules", (5, 4), 3, watch=True),
    ]


register(
    Operation("apply_linear", "(x, weight, bias=None) -> y", CHAPTER, "forward-pytorch",
              ("y", "gradients"), _apply_linear, tracks=TORCH),
    Operation("numpy_to_state_dict", "(params) -> state", CHAPTER, "forward-pytorch",
              ("state",), _numpy_to_state_dict, tracks=TORCH),
    Operation("DeepNet", "(sizes); forward(x) -> y", CHAPTER, "module-list",
              ("y", "gradients"), _deep_net, tracks=TORCH, kind="class"),
    Operation("count_trainable", "(model) -> int", CHAPTER, "count-parameters", ("count",),
              _count_trainable, tracks=TORCH),
    Operation("class_probabilities", "(model, x) -> p", CHAPTER, "probabilities-pytorch",
              ("p", "mode"), _class_probabilities, tracks=TORCH,
              output_weights={"p": 3.0}),
    Question(
        "answer_linear_shape",
        "layer = nn.Linear(20, 5); x has shape (8, 10, 20). Which shapes have layer.weight and "
        "layer(x)?",
        "b",
        {"a": "That is the course's layout of the weights. nn.Linear keeps one row for each "
              "output.",
         "c": "The weight is right. Linear acts on the last axis and leaves the others as they "
              "are.",
         "d": "Two things: how nn.Linear lays out its weights, and that leading axes stay.",
         "e": "nn.Linear takes any number of leading axes: only the last one must be 20."},
        CHAPTER, "forward-pytorch",
        {"a": "(20, 5) and (8, 10, 5)", "b": "(5, 20) and (8, 10, 5)", "c": "(5, 20) and (80, 5)",
         "d": "(20, 5) and (80, 5)", "e": "(5, 20), and layer(x) raises an error"},
        tracks=TORCH),
    Question(
        "answer_no_grad",
        "A model with dropout is in training mode. You call model(x) twice inside one "
        "torch.no_grad() block. What do you see?",
        "c",
        {"a": "no_grad stops the recording of a graph. Which mode dropout is in is another "
              "switch.",
         "b": "no_grad changes no number: it only stops recording. Who switches dropout off?",
         "d": "Forward passes are allowed under no_grad in either mode. Only backward() has "
              "nothing to walk."},
        CHAPTER, "probabilities-pytorch",
        {"a": "The same result twice: no_grad switches dropout off.",
         "b": "The same result twice, scaled differently from evaluation mode.",
         "c": "Two different results: dropout is still on, only no graph is recorded.",
         "d": "An error: no_grad requires evaluation mode."},
        tracks=TORCH),
)
