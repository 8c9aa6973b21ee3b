"""Cases for the learning-rate schedules."""

from typing import Any

import numpy as np

from nnlib.contract.caches_train import PlateauState
from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import DtypeError

CHAPTER = "09-schedules"


def _errors(name: str, options: dict[str, Any], refused: dict[str, Any]) -> list[Case]:
    """Return the cases of bad input: those that all schedules share, and ``refused``."""
    cases = [
        error_case("step=-1", (-1,), ValueError, f"{name}: step must be an integer >= 0, got -1",
                   options),
        error_case("step=1.5", (1.5,), DtypeError, f"{name}: step must be an integer", options),
        error_case("learning_rate=0", (1,), ValueError,
                   f"{name}: learning_rate must be a finite number > 0, got 0",
                   {**options, "learning_rate": 0.0}),
    ]
    for key, value in refused.items():
        cases.append(error_case(f"{key}={value!r}", (1,), ValueError, f"{name}: {key} must be",
                                {**options, key: value}))
    return cases


def _steps(
    options: dict[str, Any], steps: dict[str, tuple[int, ...]]
) -> list[Case]:
    """Return one case for each step, by property."""
    return [Case(f"step {step}", prop, (step,), dict(options))
            for prop, several in steps.items() for step in several]


def _constant(rng: np.random.Generator) -> list[Case]:
    options = {"learning_rate": float(rng.uniform(0.1, 0.5))}
    return [*_steps(options, {"edge sizes": (0,), "values": (7, 1000)}),
            *_errors("constant", options, {})]


def _step_decay(rng: np.random.Generator) -> list[Case]:
    options = {"learning_rate": float(rng.uniform(0.1, 0.5)), "step_size": 5,
               "gamma": float(rng.uniform(0.3, 0.8))}
    default = {key: options[key] for key in ("learning_rate", "step_size")}
    return [
        *_steps(options, {"values": (3, 7, 23), "edge sizes": (0, 4, 5, 9, 10)}),
        Case("gamma by default", "options", (12,), default),
        *_errors("step_decay", options, {"step_size": 0, "gamma": 0.0}),
    ]


def _exponential(rng: np.random.Generator) -> list[Case]:
    options = {"learning_rate": float(rng.uniform(0.1, 0.5)),
               "gamma": float(rng.uniform(0.8, 0.99))}
    return [*_steps(options, {"values": (1, 6, 40), "edge sizes": (0,)}),
            *_errors("exponential_decay", options, {"gamma": 1.5})]


def _cosine(rng: np.random.Generator) -> list[Case]:
    options = {"learning_rate": float(rng.uniform(0.1, 0.5)), "total_steps": 20}
    lowest = {**options, "min_learning_rate": 0.01}
    return [
        *_steps(options, {"values": (3, 10, 17), "edge sizes": (0, 1, 19, 20, 21, 35)}),
        Case("min_learning_rate=0.01, on the way", "options", (13,), lowest),
        Case("min_learning_rate=0.01, at the end", "options", (20,), lowest),
        Case("min_learning_rate=0.01, after the end", "options", (50,), lowest),
        *_errors("cosine", options, {"total_steps": 0, "min_learning_rate": 1.0}),
    ]


def _warmup(rng: np.random.Generator) -> list[Case]:
    options = {"learning_rate": float(rng.uniform(0.1, 0.5)), "warmup_steps": 4,
               "total_steps": 20}
    lowest = {**options, "min_learning_rate": 0.01}
    return [
        *_steps(options, {"values": (2, 9, 15), "edge sizes": (0, 3, 4, 5, 19, 20, 21)}),
        Case("no warm-up", "edge sizes", (0,), {**options, "warmup_steps": 0}),
        Case("min_learning_rate=0.01", "options", (14,), lowest),
        Case("min_learning_rate=0.01, after the end", "options", (50,), lowest),
        *_errors("warmup_cosine", options, {"warmup_steps": -1, "total_steps": 4}),
    ]


def _plateau(rng: np.random.Generator) -> list[Case]:
    name = "reduce_on_plateau"
    rate = float(rng.uniform(0.1, 0.5))
    losses = [1.0, 0.8, 0.85, 0.9, 0.81, 0.82, 0.7, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75]
    losses = [value + 0.001 * float(rng.uniform()) for value in losses]

    def run(label: str, prop: str, values: list[float], **options: Any) -> Case:
        return Case(label, prop, (values, rate), options, drive="plateau")

    state = PlateauState(rate)
    return [
        run("patience=2", "values", losses, patience=2),
        run("patience=2, factor=0.5", "values", losses, patience=2, factor=0.5),
        run("patience=0", "edge sizes", losses, patience=0, factor=0.9),
        run("nothing better for longer than the default patience", "options", [1.0] * 25),
        run("mode='max'", "options", [-v for v in losses], patience=1, mode="max"),
        run("positive values, mode='max'", "options", [2 - v for v in losses], patience=1,
            mode="max", threshold=0.01),
        run("threshold=0.1", "options", losses, patience=1, threshold=0.1),
        run("threshold_mode='abs'", "options", losses, patience=1, threshold=0.15,
            threshold_mode="abs"),
        run("cooldown=2", "options", losses, patience=1, cooldown=2),
        run("min_learning_rate=0.05", "options", losses, patience=0, min_learning_rate=0.05),
        run("eps=0.2", "options", losses, patience=0, eps=0.2),
        run("nan on the way", "stability", [1.0, float("nan"), float("nan"), 0.9, 0.9], patience=1),
        error_case("mode='least'", (1.0, state), ValueError,
                   f"{name}: mode must be 'min' or 'max', got 'least'", {"mode": "least"}),
        error_case("factor=1", (1.0, state), ValueError, f"{name}: factor must be",
                   {"factor": 1.0}),
        error_case("a number for the state", (1.0, 0.1), TypeError,
                   f"{name}: state must be a PlateauState, got float"),
    ]


_LOW = "min_learning_rate=0.0"
register(
    Operation("constant", "(step, *, learning_rate) -> float", CHAPTER, "constant", ("rate",),
              _constant),
    Operation("step_decay", "(step, *, learning_rate, step_size, gamma=0.1) -> float", CHAPTER,
              "step-decay", ("rate",), _step_decay, weights={"edge sizes": 3.0}),
    Operation("exponential_decay", "(step, *, learning_rate, gamma) -> float", CHAPTER,
              "exponential-decay", ("rate",), _exponential),
    Operation("cosine", f"(step, *, learning_rate, total_steps, {_LOW}) -> float", CHAPTER,
              "cosine", ("rate",), _cosine),
    Operation("warmup_cosine",
              f"(step, *, learning_rate, warmup_steps, total_steps, {_LOW}) -> float", CHAPTER,
              "warm-up", ("rate",), _warmup,
              weights={"edge sizes": 3.0}),
    Operation("reduce_on_plateau",
              '(value, state, *, mode="min", factor=0.1, patience=10, threshold=1e-4, '
              'threshold_mode="rel", cooldown=0, min_learning_rate=0.0, eps=1e-8) '
              "-> PlateauState", CHAPTER, "plateau", ("rates",), _plateau),
)
