"""Cases for the optimizers."""

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "08-optimizers"
Arrays = dict[str, np.ndarray]


def _draw(rng: np.random.Generator, dtype: type = np.float64) -> Arrays:
    return {"w": rng.normal(size=(3, 2)).astype(dtype), "b": rng.normal(size=2).astype(dtype)}


def _sgd_init(rng: np.random.Generator) -> list[Case]:
    return [
        Case("weights and bias", "values", (_draw(rng),)),
        error_case("no parameters", ({},), ValueError, "sgd_init: params must not be empty"),
        error_case("a list", ([np.zeros(2)],), DtypeError, "sgd_init: params must be a dict"),
        error_case("integers", ({"w": np.arange(3)},), DtypeError,
                   r"sgd_init: params\['w'\] must hold floats"),
    ]


def _sgd_update(rng: np.random.Generator) -> list[Case]:
    params, grads = _draw(rng), _draw(rng)
    name = "sgd_update"
    return [
        Case("default learning rate", "values", (_draw(rng), _draw(rng), {})),
        Case("float32", "values", (_draw(rng, np.float32), _draw(rng, np.float32), {})),
        Case("learning_rate=0.5", "options", (params, grads, {}), {"learning_rate": 0.5}),
        Case("weight_decay=0.1", "options", (params, grads, {}),
             {"learning_rate": 0.5, "weight_decay": 0.1}),
        Case("a single number", "edge sizes",
             ({"w": np.array(rng.normal())}, {"w": np.array(rng.normal())}, {})),
        error_case("no parameters", ({}, {}, {}), ValueError,
                   f"{name}: params must not be empty"),
        error_case("a gradient is missing", (params, {"w": grads["w"]}, {}), ValueError,
                   rf"{name}: grads must have the keys of params\. Missing: \['b'\]"),
        error_case("a gradient too many", ({"w": params["w"]}, grads, {}), ValueError,
                   rf"{name}: grads must have the keys .* not in params: \['b'\]"),
        error_case("transposed gradient",
                   (params, {"w": grads["w"].T.copy(), "b": grads["b"]}, {}), ShapeError,
                   rf"{name}: grads\['w'\] must have shape \(3, 2\), got \(2, 3\)"),
        error_case("two dtypes", (params, _draw(rng, np.float32), {}), DtypeError,
                   rf"{name}: params\['w'\] and grads\['w'\] must have one dtype"),
        error_case("grads as a list", (params, [grads["w"]], {}), DtypeError,
                   f"{name}: grads must be a dict"),
        error_case("learning_rate=0", (params, grads, {}), ValueError,
                   f"{name}: learning_rate must be a finite number > 0, got 0",
                   {"learning_rate": 0}),
        error_case("weight_decay=-1", (params, grads, {}), ValueError,
                   f"{name}: weight_decay must be", {"weight_decay": -1.0}),
    ]


register(
    Operation("sgd_init", "(params) -> state", CHAPTER, "sgd", ("state",), _sgd_init),
    Operation("sgd_update",
              "(params, grads, state, *, learning_rate=1e-2, weight_decay=0.0) "
              "-> (params, state)", CHAPTER, "sgd", ("params", "state"), _sgd_update),
)
