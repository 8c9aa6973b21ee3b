"""Cases for the PyTorch notebook of chapter 8; the drivers are in torch_optimizer_drivers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.registry import register

CHAPTER = "08-optimizers"
TORCH = ("torch",)
SHAPES = ((3, 2), (2,), (4,))


def _steps(rng: np.random.Generator, shapes: Sequence[tuple[int, ...]], count: int,
           dtype: type, missing: Sequence[int]) -> list[list[np.ndarray | None]]:
    """Draw gradients; the last parameter has none in the steps that ``missing`` names."""
    steps: list[list[np.ndarray | None]] = []
    for step in range(count):
        grads: list[np.ndarray | None] = [
            np.asarray(rng.normal(size=shape), dtype=dtype) for shape in shapes]
        if step in missing:
            grads[-1] = None
        steps.append(grads)
    return steps


def _optimizer(own: Sequence[dict[str, Any]], groups: Sequence[dict[str, Any]]
               ) -> Callable[[np.random.Generator], list[Case]]:
    """Make the cases of one class: its own options, and options of two groups."""

    def make(rng: np.random.Generator) -> list[Case]:
        def case(name: str, prop: str, shapes: Sequence[tuple[int, ...]], count: int = 3,
                 dtype: type = np.float64, missing: Sequence[int] = (), **options: Any) -> Case:
            arrays: list[np.ndarray] = [
                np.asarray(rng.normal(size=shape), dtype=dtype) for shape in shapes]
            return Case(name, prop, (arrays, _steps(rng, shapes, count, dtype, missing)), options,
                        drive="torch_optimizer")

        still = case("gradients of 0", "edge sizes", SHAPES[:2])
        for grads in still.args[1]:
            grads[:] = [np.zeros_like(grad) for grad in grads]
        # Wide apart: a memory that the two share cannot be right by chance.
        twins = case("two parameters of one shape", "values", ((2,), (2,)), 4)
        for grads in twins.args[1]:
            grads[1] = 10 * np.abs(grads[1])
        return [
            case("weights and bias, 4 steps", "values", SHAPES[:2], 4),
            twins,
            case("float32", "values", SHAPES, 3, np.float32),
            case("a single number", "edge sizes", ((),)),
            case("no elements", "edge sizes", ((0, 2), (2,))),
            still,
            *(case(", ".join(f"{key}={value!r}" for key, value in init.items()), "options",
                   SHAPES[:2], init=init) for init in own),
            case("a parameter without a gradient", "PyTorch rules", SHAPES, missing=(0, 1, 2)),
            case("a gradient that comes in step 3", "PyTorch rules", SHAPES, 4, missing=(0, 1)),
            case("two groups, the first with options of its own", "PyTorch rules", SHAPES,
                 groups=[((0, 2), groups[0]), ((1,), {})]),
            case("two groups, both with options", "PyTorch rules", SHAPES, init=groups[0],
                 groups=[((0,), groups[1]), ((1, 2), groups[2])]),
            case("zero_grad, then a step", "PyTorch rules", SHAPES[:2], 2, cleared=True),
        ]

    return make


_MOMENTUM = _optimizer(
    [{"lr": 0.5}, {"momentum": 0.5}, {"momentum": 0.0}, {"lr": 0.1, "nesterov": True},
     {"momentum": 0.3, "nesterov": True}],
    [{"lr": 0.2}, {"lr": 0.1, "momentum": 0.5}, {"nesterov": True}])
_ADAM = _optimizer(
    [{"lr": 0.5}, {"betas": (0.5, 0.9)}, {"betas": (0.0, 0.0)}, {"eps": 0.1, "lr": 0.1},
     {"weight_decay": 0.3}, {"weight_decay": 0.3, "lr": 0.5}],
    [{"lr": 0.2}, {"lr": 0.1, "betas": (0.5, 0.8), "eps": 0.01},
     {"lr": 0.3, "weight_decay": 0.5}])


def _parameter_groups(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, weight_decay: float = 0.1) -> Case:
        return Case(name, prop, (key, weight_decay), drive="torch_parameter_groups",
                    seed=int(rng.integers(2**31)))

    return [
        case("layers and a normalization", "values", "perceptron"),
        case("convolution, image normalization", "values", "images"),
        case("embedding, a vector and a number", "values", "words"),
        case("weight_decay=0.02", "options", "perceptron", 0.02),
        case("a layer that is not trained", "PyTorch rules", "frozen"),
        case("one matrix in two places", "PyTorch rules", "tied"),
        case("no vectors at all", "edge sizes", "weights alone"),
    ]


def _descent(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, optimizer: str, steps: int,
             dtype: type = np.float64, **options: Any) -> Case:
        size = 3 if key == "ravine" else 2
        start: np.ndarray = (rng.choice([-1.0, 1.0], size) * rng.uniform(0.5, 1.5, size)
                             ).astype(dtype)
        return Case(name, prop, (key, start), {"optimizer": optimizer, "steps": steps, **options},
                    drive="torch_descent")

    return [
        case("SGD in a ravine", "values", "ravine", "SGD", 5, lr=0.2),
        case("SGD with momentum in a curved valley", "values", "curved valley", "SGD", 6,
             lr=0.02, momentum=0.8),
        case("Adam on a saddle, float32", "values", "saddle", "Adam", 5, np.float32, lr=0.1),
        case("AdamW, weight_decay=0.5", "options", "ravine", "AdamW", 4, lr=0.05,
             weight_decay=0.5),
        case("RMSprop, alpha=0.8", "options", "curved valley", "RMSprop", 4, lr=0.01, alpha=0.8),
        case("a start that requires gradients", "PyTorch rules", "ravine", "SGD", 4, lr=0.1,
             momentum=0.5, watched=True),
        case("no steps", "edge sizes", "ravine", "Adam", 0, lr=0.1),
        case("one step", "edge sizes", "saddle", "Adagrad", 1, lr=0.1),
    ]


def _class(name: str, signature: str, anchor: str,
           make_cases: Callable[[np.random.Generator], list[Case]]) -> Operation:
    return Operation(name, signature, CHAPTER, anchor, ("first_step", "later_steps"), make_cases,
                     tracks=TORCH, kind="class", weights={"options": 3.0, "PyTorch rules": 3.0})


_ADAM_SIGNATURE = ("Optimizer(params, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8, weight_decay={}); "
                   "step()")

register(
    _class("Momentum", "Optimizer(params, lr=1e-3, *, momentum=0.9, nesterov=False); step()",
           "optimizers-pytorch", _MOMENTUM),
    _class("Adam", _ADAM_SIGNATURE.format("0.0"), "adam", _ADAM),
    _class("AdamW", _ADAM_SIGNATURE.format("1e-2"), "adamw", _ADAM),
    Operation("parameter_groups", "(model, *, weight_decay) -> groups", CHAPTER,
              "parameter-groups", ("decayed", "others", "weight_decay"), _parameter_groups,
              tracks=TORCH, output_weights={"decayed": 3.0, "others": 3.0}),
    Operation("descent_path", "(f, start, *, optimizer, steps, **options) -> path (steps + 1, d)",
              CHAPTER, "optimizers-pytorch", ("path", "graph"), _descent, tracks=TORCH,
              output_weights={"path": 8.0}),
)
