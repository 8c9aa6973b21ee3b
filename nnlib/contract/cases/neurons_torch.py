"""Cases for the PyTorch notebook of chapter 1; the drivers are in torch_neuron_drivers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.cases.perceptron import CHAPTER, CORNERS, rows_along, separable
from nnlib.contract.registry import register

TORCH = ("torch",)


def _append_ones(rng: np.random.Generator) -> Sequence[Case]:
    def case(name: str, prop: str, shape: tuple[int, int], dtype: type = np.float64) -> Case:
        return Case(name, prop, (rng.normal(size=shape).astype(dtype),), drive="gradient",
                    seed=int(rng.integers(2**31)))

    return [
        case("4 rows, 3 columns", "values", (4, 3)),
        case("3 rows, 3 columns", "values", (3, 3)),
        case("float32", "values", (5, 2), np.float32),
        case("float16", "values", (5, 2), np.float16),
        case("one row, one column", "edge sizes", (1, 1)),
        case("no rows", "edge sizes", (0, 3)),
        Case("x on another device", "PyTorch rules", (rng.normal(size=(4, 3)),),
             drive="follows_x"),
    ]


def _parameters(
    rng: np.random.Generator, d: int, dtype: type = np.float64
) -> Mapping[str, np.ndarray]:
    return {"weight": rng.normal(size=d).astype(dtype), "bias": np.array(rng.normal(), dtype)}


def _linear_neuron(rng: np.random.Generator) -> Sequence[Case]:
    def case(name: str, prop: str, n: int, d: int, dtype: type = np.float64) -> Case:
        options = {"init": {"in_features": d}, "parameters": _parameters(rng, d, dtype)}
        return Case(name, prop, (rng.normal(size=(n, d)).astype(dtype),), options, drive="module",
                    seed=int(rng.integers(2**31)))

    fresh = {"init": {"in_features": 3}}
    return [
        case("5 rows, 3 inputs", "values", 5, 3),
        case("2 rows, 2 inputs", "values", 2, 2),
        case("float32", "values", 6, 4, np.float32),
        case("one row", "edge sizes", 1, 3),
        case("one input", "edge sizes", 4, 1),
        Case("a new neuron starts at 0", "options",
             (rng.normal(size=(4, 3)).astype(np.float32),), fresh, drive="module"),
    ]


def _one_sum(rng: np.random.Generator, n: int, dtype: type = np.float64
             ) -> tuple[np.ndarray, dict[str, Any]]:
    places = rng.permutation(np.linspace(-1.2, 1.2, n)) - 0.5
    x, w = rows_along(rng, places, 3, dtype)
    bias: np.ndarray = np.array(0.5 * np.linalg.norm(w), dtype)
    return x, {"weight": w, "bias": bias}


def _several_sums(rng: np.random.Generator, n: int, k: int) -> tuple[np.ndarray, dict[str, Any]]:
    x = rng.normal(size=(n, 3))
    return x, {"weight": rng.normal(size=(3, k)), "bias": rng.normal(size=k)}


def _predict_classes(rng: np.random.Generator) -> Sequence[Case]:
    def case(name: str, prop: str, drawn: tuple[np.ndarray, dict[str, Any]], **more: Any) -> Case:
        x, options = drawn
        return Case(name, prop, (x,), options | more, drive="predict")

    whole = np.array([[1.0, 2.0], [2.0, 4.0], [1.0, 0.0], [0.0, 1.0]])
    on_the_line = whole, {"weight": np.array([2.0, -1.0]), "bias": np.array(0.0)}
    return [
        case("one output, 12 rows", "values", _one_sum(rng, 12)),
        case("one output, float32", "values", _one_sum(rng, 8, np.float32)),
        case("4 classes, 9 rows", "values", _several_sums(rng, 9, 4)),
        case("3 classes, 3 rows", "values", _several_sums(rng, 3, 3)),
        case("sums that are exactly 0", "kinks", on_the_line),
        case("one row", "edge sizes", _one_sum(rng, 1)),
        case("one row, 3 classes", "edge sizes", _several_sums(rng, 1, 3)),
        case("no gradients recorded", "PyTorch rules", _one_sum(rng, 6), watch=True),
    ]


def _perceptron_step(rng: np.random.Generator) -> Sequence[Case]:
    def case(name: str, prop: str, t: int, place: float, *, d: int = 3,
             dtype: type = np.float64, **more: float) -> Case:
        x, w = rows_along(rng, np.array([place - 0.4]), d, dtype)
        options = {"weight": w, "bias": np.array(0.4 * np.linalg.norm(w), dtype)}
        return Case(name, prop, (x[0], t), options | more, drive="module_step")

    on = {"weight": np.array([2.0, -1.0]), "bias": np.array(0.0)}
    return [
        case("a missed 1", "values", 1, -0.8),
        case("a false 1", "values", 0, 0.8),
        case("an output that is right, target 1", "values", 1, 0.8),
        case("an output that is right, target 0", "values", 0, -0.8),
        case("float32", "values", 1, -0.8, d=5, dtype=np.float32),
        Case("weighted sum exactly 0", "kinks", (np.array([1.0, 2.0]), 0), on,
             drive="module_step"),
        case("one input", "edge sizes", 1, -0.8, d=1),
        case("learning_rate 0.25", "options", 0, 0.8, learning_rate=0.25),
    ]


def _xor_net(rng: np.random.Generator) -> Sequence[Case]:
    many = CORNERS[rng.permutation(np.arange(9) % 4)]

    def case(name: str, prop: str, x: np.ndarray, **options: bool) -> Case:
        return Case(name, prop, (x,), options, drive="fixed_module")

    return [
        case("the four corners, float32", "values", CORNERS.astype(np.float32)),
        case("9 rows in random order", "values", many.astype(np.float32)),
        case("one row", "edge sizes", CORNERS[1:2].astype(np.float32)),
        case("no rows", "edge sizes", CORNERS[:0].astype(np.float32)),
        case("converted to float64", "PyTorch rules", many),
        case("weights saved, not trained", "PyTorch rules", CORNERS.astype(np.float32),
             rules=True),
    ]


def _train_logistic_neuron(rng: np.random.Generator) -> Sequence[Case]:
    def case(name: str, prop: str, drawn: tuple[np.ndarray, np.ndarray], steps: int,
             learning_rate: float = 0.5) -> Case:
        return Case(name, prop, drawn, {"steps": steps, "learning_rate": learning_rate},
                    rtol=1e-6)

    mixed = rng.normal(size=(9, 2)), rng.permutation(np.arange(9) % 2)
    return [
        case("12 rows, 3 inputs, 20 steps", "values", separable(rng, 12, 3), 20),
        case("classes that overlap, 15 steps", "values", mixed, 15),
        case("float32", "values", separable(rng, 10, 2, np.float32), 10),
        case("one step", "edge sizes", separable(rng, 6, 2), 1),
        case("no steps", "edge sizes", separable(rng, 6, 2), 0),
        case("one row", "edge sizes", separable(rng, 1, 3), 5),
        case("learning_rate 0.05", "options", separable(rng, 8, 2), 8, 0.05),
    ]


register(
    Operation("append_ones", "(x) -> tensor (n, d + 1)", CHAPTER, "perceptron-fit",
              ("y", "gradient"), _append_ones, tracks=TORCH),
    Operation("LinearNeuron", "(in_features); forward(x) -> z", CHAPTER, "neuron-pytorch",
              ("z", "gradients"), _linear_neuron, tracks=TORCH, kind="class"),
    Operation("predict_classes", "(model, x) -> classes", CHAPTER, "output-by-task",
              ("classes",), _predict_classes, tracks=TORCH),
    Operation("perceptron_step", "(neuron, x, t, *, learning_rate=1.0) -> bool", CHAPTER,
              "perceptron-rule", ("weight", "bias", "returned"), _perceptron_step, tracks=TORCH),
    Operation("XorNet", "(); forward(x) -> y", CHAPTER, "xor-two-layers", ("y",), _xor_net,
              tracks=TORCH, kind="class"),
    Operation("train_logistic_neuron", "(x, t, *, steps, learning_rate) -> (w, b, losses)",
              CHAPTER, "logistic-neuron", ("w", "b", "losses"), _train_logistic_neuron,
              tracks=TORCH),
    Question(
        "answer_linear_numbers",
        "How many numbers does torch.nn.Linear(10, 3) learn?",
        33,
        {"30": "Those are the weights, 10 for each of 3 neurons. Each neuron has a bias too.",
         "13": "Sizes multiply: each of the 3 neurons has its own 10 weights.",
         "31": "One bias is too few: each of the 3 neurons has its own.",
         "40": "There is one bias for each output neuron, not one for each input."},
        CHAPTER, "layers", tracks=TORCH),
    Question(
        "answer_plain_tensor",
        "In a module's __init__ you write self.weight = torch.zeros(3) instead of "
        "self.weight = nn.Parameter(torch.zeros(3)). What happens?",
        "b",
        {"a": "Assigning an attribute is ordinary Python. PyTorch objects only where a "
              "parameter's name gets something else.",
         "c": "requires_grad is False for a plain tensor, so no gradient is computed for it.",
         "d": "to() and double() walk over parameters and buffers. A plain attribute is neither."},
        CHAPTER, "neuron-pytorch",
        {"a": "PyTorch raises an error in __init__.",
         "b": "The forward pass works, but parameters() and state_dict() don't contain weight.",
         "c": "Gradients are computed, but the optimiser ignores them.",
         "d": "Nothing changes, except that weight starts at 0."},
        tracks=TORCH),
)
