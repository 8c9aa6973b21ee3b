"""Cases for penalties, clipping and early stopping."""

from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import DtypeError

CHAPTER = "10-regularization"
Arrays = dict[str, np.ndarray]


def _draw(rng: np.random.Generator, dtype: type = np.float64, scale: float = 1.0) -> Arrays:
    return {"w": (scale * rng.normal(size=(3, 2))).astype(dtype),
            "b": (scale * rng.normal(size=2)).astype(dtype)}


def _penalty(rng: np.random.Generator, name: str) -> list[Case]:
    params = _draw(rng)
    holes = _draw(rng)
    holes["w"][1] = 0.0
    half = {"strength": 0.5}
    return [
        Case("weights and bias", "values", (_draw(rng),), {"strength": 0.1}),
        Case("float32", "values", (_draw(rng, np.float32),), half),
        Case("one parameter", "edge sizes", ({"w": rng.normal(size=(1, 1))},), half),
        Case("a single number", "edge sizes", ({"w": np.array(rng.normal())},), half),
        Case("a parameter without elements", "edge sizes",
             ({"w": np.zeros((0, 2)), "b": params["b"]},), half),
        Case("strength=0", "options", (_draw(rng),), {"strength": 0.0}),
        Case("zeros among the weights", "kinks", (holes,), half),
        Case("up to 1e4", "stability", (_draw(rng, np.float32, 1e4),), half),
        error_case("no parameters", ({},), ValueError, f"{name}: params must not be empty", half),
        error_case("a list", ([params["w"]],), DtypeError, f"{name}: params must be a dict", half),
        error_case("integers", ({"w": np.arange(3)},), DtypeError,
                   rf"{name}: params\['w'\] must hold floats", half),
        error_case("strength=-1", (params,), ValueError,
                   f"{name}: strength must be a finite number >= 0, got -1", {"strength": -1.0}),
    ]


def _clip(rng: np.random.Generator) -> list[Case]:
    name = "clip_grad_norm"
    grads = _draw(rng)
    norm = float(np.sqrt(sum(np.square(g).sum() for g in grads.values())))
    infinite = {"w": np.array([np.inf, 1.0])}
    # Without PyTorch's 1e-6 beside the norm the result is as good.
    near = 3e-6
    return [
        Case("too long", "values", (_draw(rng, scale=3.0),), {"max_norm": 0.5}, rtol=near),
        Case("float32, too long", "values", (_draw(rng, np.float32, 3.0),), {"max_norm": 1.0}),
        # One array is far longer: clipping each by itself would turn the direction.
        Case("one long, one short", "values",
             ({"w": 10 * rng.normal(size=(3, 2)), "b": 0.1 * rng.normal(size=2)},),
             {"max_norm": 1.0}, rtol=near),
        Case("short enough: never scaled up", "values", (grads,), {"max_norm": 100.0}),
        Case("just long enough", "edge sizes", (grads,), {"max_norm": norm + 1e-6}),
        Case("all 0", "edge sizes", ({"w": np.zeros((2, 2))},), {"max_norm": 1.0}),
        Case("a single number", "edge sizes", ({"w": np.array(3.0)},), {"max_norm": 1.0},
             rtol=near),
        Case("up to 1e4", "stability", (_draw(rng, np.float32, 1e4),), {"max_norm": 1.0}),
        error_case("no gradients", ({},), ValueError, f"{name}: grads must not be empty",
                   {"max_norm": 1.0}),
        error_case("integers", ({"w": np.arange(3)},), DtypeError,
                   rf"{name}: grads\['w'\] must hold floats", {"max_norm": 1.0}),
        error_case("max_norm=0", (grads,), ValueError,
                   f"{name}: max_norm must be a finite number > 0, got 0", {"max_norm": 0.0}),
        error_case("an infinite gradient", (infinite,), ValueError,
                   f"{name}: the norm of grads must be finite, got inf",
                   {"max_norm": 1.0, "error_if_nonfinite": True}),
    ]


def _early_stopping(rng: np.random.Generator) -> list[Case]:
    losses = [1.0, 0.7, 0.71, 0.5, 0.52, 0.51, 0.49, 0.6, 0.6, 0.6, 0.6]
    losses = [value + 0.001 * float(rng.uniform()) for value in losses]

    def run(label: str, prop: str, values: list[float], **options: Any) -> Case:
        weights = [rng.normal(size=(2, 2)) for _ in values]
        return Case(label, prop, (values, weights), options, drive="early_stopping")

    nan = float("nan")
    return [
        run("patience=3", "values", losses, patience=3),
        run("patience=2", "values", losses, patience=2),
        run("patience=1: the first worse value ends it", "edge sizes", losses, patience=1),
        run("one epoch", "edge sizes", losses[:1], patience=2),
        run("equal values are not better", "edge sizes", [0.5, 0.5, 0.5, 0.5], patience=2),
        run("always better: the last weights are the best", "edge sizes", [3.0, 2.0, 1.0],
            patience=1),
        run("min_delta=0.05", "options", losses, patience=3, min_delta=0.05),
        run("mode='max'", "options", [1 - value for value in losses], patience=2, mode="max"),
        run("nan is never better", "stability", [1.0, nan, 0.9, nan, nan, nan], patience=2),
    ]


register(
    Operation("l1_penalty", "(params, *, strength) -> (value, grads)", CHAPTER, "l1",
              ("value", "grads"), lambda rng: _penalty(rng, "l1_penalty")),
    Operation("l2_penalty", "(params, *, strength) -> (value, grads)", CHAPTER, "l2",
              ("value", "grads"), lambda rng: _penalty(rng, "l2_penalty")),
    Operation("clip_grad_norm", "(grads, *, max_norm) -> (grads, norm)", "09-schedules",
              "gradient-clipping", ("grads", "norm"), _clip, weights={"inputs kept": 2.0}),
    Operation("EarlyStopping",
              '(*, patience=10, min_delta=0.0, mode="min"): observe(value, model) -> bool, '
              "restore(model), best", CHAPTER, "stop-in-time", ("stops", "best", "weights"),
              _early_stopping, kind="class"),
)
