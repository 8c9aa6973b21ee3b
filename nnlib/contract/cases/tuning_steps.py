"""Cases for the scores of folds and for checkpoints as bytes."""

from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Rng
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register

CHAPTER = "12-tuning"


def _cross_validate(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, d: int, k: int, *, sizes: bool = False,
             constant: bool = False, labels: bool = False) -> Case:
        x = rng.normal(size=(n, d)) * 10 ** rng.uniform(-1, 1, size=d) + rng.normal(size=d)
        y = rng.integers(0, 2, size=n) if labels else rng.normal(size=n)
        order = rng.permutation(n)
        tests = [order[:2], order[2:]] if sizes else [order[fold::k] for fold in range(k)]
        folds = [(np.setdiff1d(order, test), test) for test in tests]
        if constant:
            x[:, 0] = 0.0
            x[folds[0][1], 0] = rng.normal(size=len(folds[0][1]))
        return Case(name, prop, (x, y, folds), drive="cross_validate")

    return [
        case("12 rows, 3 folds", "values", 12, 3, 3),
        case("20 rows, 5 folds", "values", 20, 2, 5),
        case("folds of different sizes", "values", 9, 2, 2, sizes=True),
        case("labels", "options", 12, 2, 4, labels=True),
        case("a feature that is constant in one training part", "stability", 10, 2, 5,
             constant=True),
        case("one row in each test part", "edge sizes", 6, 2, 6),
        case("one feature", "edge sizes", 8, 1, 2),
        error_case("no folds", (np.zeros((4, 1)), np.zeros(4), [], len), ValueError,
                   "cross_validate: folds must hold at least one pair"),
        error_case("a list for x", ([[1.0]], np.zeros(1), [], len), TypeError,
                   "cross_validate: x must be"),
    ]


def _training(rng: np.random.Generator, drive: str) -> list[Case]:
    def draw(shapes: dict[str, tuple[int, ...]], dtype: type = np.float64) -> dict[str, Any]:
        return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}

    def case(name: str, prop: str, params: dict[str, Any], state: dict[str, Any], step: int
             ) -> Case:
        return Case(name, prop, (params, state, Rng(int(rng.integers(100)) + 1)), {"step": step},
                    drive=drive, rtol=0, atol=0)

    layer = {"0.w": (3, 2), "0.b": (2,)}
    return [
        case("Adam", "values", draw(layer), {"step": 12, "m": draw(layer), "v": draw(layer)}, 12),
        case("momentum", "values", draw(layer), {"step": 7, "velocity": draw(layer)}, 40),
        case("float32", "values", draw(layer, np.float32),
             {"step": 3, "velocity": draw(layer, np.float32)}, 3),
        case("no memory, first step", "edge sizes", draw(layer), {}, 0),
        case("names with a slash", "options", draw({"head/w": (2, 2), "body/w": (2,)}),
             {"step": 5, "m": draw({"head/w": (2, 2), "body/w": (2,)}), "decay": 0.25}, 5),
        case("a single number, no elements", "edge sizes", draw({"a": (), "b": (0, 3)}),
             {"step": 1, "velocity": draw({"a": (), "b": (0, 3)})}, 1),
    ]


def _to_bytes(rng: np.random.Generator) -> list[Case]:
    name = "checkpoint_to_bytes"
    params = {"w": np.zeros(2)}
    return [
        *_training(rng, "checkpoint_bytes"),
        error_case("step=-1", (params, {}, Rng(0)), ValueError,
                   f"{name}: step must be an integer >= 0", {"step": -1}),
        error_case("no parameters", ({}, {}, Rng(0)), ValueError,
                   f"{name}: params must not be empty", {"step": 0}),
        error_case("a seed for the rng", (params, {}, 7), TypeError,
                   f"{name}: rng must be a", {"step": 0}),
    ]


def _from_bytes(rng: np.random.Generator) -> list[Case]:
    return [
        *_training(rng, "checkpoint_read"),
        Case("an array that only pickle can read", "errors", (), {}, drive="checkpoint_pickled",
             raises=ValueError),
    ]


_OUTPUTS = ("params", "state", "rng", "step")

register(
    Operation("cross_validate", "(x, y, folds, evaluate) -> scores (k,)", CHAPTER, "leak-in-folds",
              ("scores",), _cross_validate, weights={"values": 4.0}),
    Operation("checkpoint_to_bytes", "(params, state, rng, *, step) -> bytes", CHAPTER,
              "checkpoints", _OUTPUTS, _to_bytes,
              output_weights={"state": 2.0, "rng": 2.0}),
    Operation("checkpoint_from_bytes", "(data) -> Checkpoint(params, state, rng, step, metadata)",
              CHAPTER, "checkpoints", _OUTPUTS, _from_bytes,
              output_weights={"state": 2.0, "rng": 2.0}),
)
