"""Cases for the optimizers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

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
              "-> (params, state)", CHAPTER, "sgd", ("params", "state"), _sgd_update,
              weights={"options": 3.0}, output_weights={"params": 15.0}),
)


class _Rule(NamedTuple):
    """An optimizer with memories: their names, which stay positive, and its options.

    ``taught`` are the options that the assignment's docstring names; cases with others bind the
    library alone.
    """

    name: str
    memories: tuple[str, ...]
    positive: tuple[str, ...]
    signature: str
    options: Sequence[dict[str, Any]]
    refused: Sequence[tuple[dict[str, Any], str]]
    taught: frozenset[str]


_BETAS = ({"beta1": 1.0}, "beta1 must be a finite number >= 0 and < 1, got 1"), (
    {"beta2": -0.1}, "beta2 must be a finite number >= 0 and < 1")
_EPS = ({"eps": -1e-8}, "eps must be a finite number >= 0")
_ADAM_OPTIONS: Sequence[dict[str, Any]] = (
    {"learning_rate": 0.5}, {"beta1": 0.5}, {"beta2": 0.9}, {"beta1": 0.0, "beta2": 0.0},
    {"eps": 0.1}, {"weight_decay": 0.3}, {"learning_rate": 0.5, "weight_decay": 0.3},
    {"amsgrad": True}, {"amsgrad": True, "weight_decay": 0.2, "learning_rate": 0.1},
)
_ADAM_TAUGHT = frozenset({"learning_rate", "beta1", "beta2", "eps", "weight_decay"})
_ADAM_SIGNATURE = ("learning_rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay={}, "
                   "amsgrad=False")
_RULES = (
    _Rule("momentum", ("velocity",), (),
          "learning_rate=1e-2, momentum=0.9, dampening=0.0, weight_decay=0.0, nesterov=False",
          ({"learning_rate": 0.5}, {"momentum": 0.5}, {"momentum": 0.0}, {"dampening": 0.3},
           {"weight_decay": 0.1}, {"nesterov": True}, {"nesterov": True, "momentum": 0.3},
           {"nesterov": True, "momentum": 0.3, "weight_decay": 0.2}),
          (({"momentum": 1.0}, "momentum must be a finite number >= 0 and < 1, got 1"),
           ({"dampening": 2.0}, "dampening must be"),
           ({"nesterov": True, "dampening": 0.1}, "nesterov must go with momentum > 0"),
           ({"nesterov": True, "momentum": 0.0}, "nesterov must go with momentum > 0"),
           ({"nesterov": "yes"}, "nesterov must be True or False")),
          frozenset({"learning_rate", "momentum", "nesterov"})),
    _Rule("adagrad", ("square_sum",), ("square_sum",),
          "learning_rate=1e-2, learning_rate_decay=0.0, weight_decay=0.0, eps=1e-10",
          ({"learning_rate": 0.5}, {"learning_rate_decay": 0.5}, {"weight_decay": 0.1},
           {"eps": 0.1}),
          (({"learning_rate_decay": -1.0}, "learning_rate_decay must be"), _EPS),
          frozenset({"learning_rate", "eps"})),
    _Rule("rmsprop", ("square_mean",), ("square_mean",),
          "learning_rate=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, "
          "centered=False",
          ({"learning_rate": 0.5}, {"alpha": 0.5}, {"eps": 0.1}, {"weight_decay": 0.1},
           {"momentum": 0.7}, {"centered": True},
           {"centered": True, "momentum": 0.4, "alpha": 0.8}),
          (({"alpha": 1.0}, "alpha must be"), ({"momentum": 1.0}, "momentum must be"),
           ({"centered": 1}, "centered must be True or False"), _EPS),
          frozenset({"learning_rate", "alpha", "eps"})),
    _Rule("adam", ("m", "v"), ("v",), _ADAM_SIGNATURE.format("0.0"), _ADAM_OPTIONS,
          (*_BETAS, _EPS, ({"amsgrad": None}, "amsgrad must be True or False")), _ADAM_TAUGHT),
    _Rule("adamw", ("m", "v"), ("v",), _ADAM_SIGNATURE.format("1e-2"), _ADAM_OPTIONS,
          (*_BETAS, _EPS), _ADAM_TAUGHT),
)


def _text(options: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in options.items())


def _init_cases(rng: np.random.Generator, rule: _Rule) -> list[Case]:
    name = f"{rule.name}_init"
    cases = [
        Case("weights and bias", "values", (_draw(rng),)),
        Case("float32", "values", (_draw(rng, np.float32),)),
        Case("a single number", "edge sizes", ({"w": np.array(rng.normal())},)),
        Case("a parameter without elements", "edge sizes", ({"w": np.zeros((0, 3))},)),
        error_case("no parameters", ({},), ValueError, f"{name}: params must not be empty"),
        error_case("a list", ([np.zeros(2)],), DtypeError, f"{name}: params must be a dict"),
        error_case("integers", ({"w": np.arange(3)},), DtypeError,
                   rf"{name}: params\['w'\] must hold floats"),
    ]
    if rule.name == "adagrad":
        cases += [
            Case("initial_accumulator_value=0.5", "options", (_draw(rng),),
                 {"initial_accumulator_value": 0.5}),
            error_case("a negative start", (_draw(rng),), ValueError,
                       f"{name}: initial_accumulator_value must be",
                       {"initial_accumulator_value": -1.0}),
        ]
    return cases


def _update_cases(rng: np.random.Generator, rule: _Rule) -> list[Case]:
    name = f"{rule.name}_update"

    def state(like: Arrays, step: int) -> dict[str, Any]:
        """Draw what a correct rule could remember after some steps; nothing before the first."""
        found: dict[str, Any] = {"step": step}
        for memory in rule.memories:
            drawn = {key: np.asarray(rng.normal(size=p.shape), dtype=p.dtype)
                     for key, p in like.items()}
            if memory in rule.positive:
                drawn = {key: np.asarray(np.square(value)) for key, value in drawn.items()}
            found[memory] = {key: value if step else np.zeros_like(value)
                             for key, value in drawn.items()}
        return found

    def case(label: str, prop: str, params: Arrays, grads: Arrays, step: int,
             options: dict[str, Any] | None = None) -> Case:
        return Case(label, prop, (params, grads, state(params, step)), options or {},
                    library=not rule.taught.issuperset(options or {}))

    def draw() -> tuple[Arrays, Arrays]:
        return _draw(rng), _draw(rng)

    params, grads = draw()
    good = state(params, 2)
    single = _draw(rng, np.float32), _draw(rng, np.float32)
    number = {"w": np.array(rng.normal())}, {"w": np.array(rng.normal())}
    big = {"w": 1e4 * rng.normal(size=(3, 2))}
    # A gradient of exactly 0 must leave the parameter where it is, and give no nan.
    still = {"w": np.zeros((3, 2)), "b": grads["b"]}
    cases = [
        case("first step", "edge sizes", *draw(), 0),
        case("fourth step", "values", *draw(), 3),
        case("float32", "values", *single, 3),
        case("a single number", "edge sizes", *number, 2),
        case("no elements", "edge sizes", {"w": np.zeros((0, 2))}, {"w": np.zeros((0, 2))}, 1),
        case("gradients of 0 at the first step", "edge sizes", params, still, 0,
             {"weight_decay": 0.0} if rule.name == "adamw" else {}),
        case("gradients up to 1e4", "stability", {"w": big["w"] / 1e4}, big, 1),
    ]
    for options in rule.options:
        cases.append(case(_text(options), "options", *draw(), 3, options))
    cases.append(case(f"first step, {_text(rule.options[-1])}", "options", *draw(), 0,
                      rule.options[-1]))
    if rule.name == "momentum":
        cases.append(case("first step, dampening=0.3", "options", *draw(), 0, {"dampening": 0.3}))
    refused: list[tuple[dict[str, Any], str]] = [
        ({"learning_rate": 0}, "learning_rate must be a finite number > 0"),
        ({"learning_rate": -0.1}, "learning_rate must be"),
        ({"weight_decay": -1.0}, "weight_decay must be"), *rule.refused,
    ]
    for options, message in refused:
        raises = DtypeError if "True or False" in message else ValueError
        cases.append(error_case(_text(options), (params, grads, good), raises,
                                f"{name}: {message}", options))
    first = rule.memories[0]
    return [
        *cases,
        error_case("no parameters", ({}, {}, {}), ValueError,
                   f"{name}: params must not be empty"),
        error_case("a gradient is missing", (params, {"w": grads["w"]}, good), ValueError,
                   rf"{name}: grads must have the keys of params\. Missing: \['b'\]"),
        error_case("transposed gradient",
                   (params, {"w": grads["w"].T.copy(), "b": grads["b"]}, good), ShapeError,
                   rf"{name}: grads\['w'\] must have shape \(3, 2\), got \(2, 3\)"),
        error_case("two dtypes", (params, single[1], good), DtypeError,
                   rf"{name}: params\['w'\] and grads\['w'\] must have one dtype"),
        error_case("an empty state", (params, grads, {}), ValueError,
                   rf"{name}: state must be a dict with .* Start with {rule.name}_init"),
        error_case("a state of other parameters", (params, grads, {**good, first: {}}),
                   ValueError, rf"{name}: state\['{first}'\] must have the keys of params"),
        error_case("a state of other shapes",
                   (params, grads, {**good, first: {"w": grads["b"], "b": grads["b"]}}),
                   ShapeError, rf"{name}: state\['{first}'\]\['w'\] must have shape \(3, 2\)"),
        error_case("a step of -1", (params, grads, {**good, "step": -1}), ValueError,
                   rf"{name}: state\['step'\] must be an integer >= 0"),
    ]


def _register(rule: _Rule) -> None:
    start = ", *, initial_accumulator_value=0.0" if rule.name == "adagrad" else ""
    register(
        Operation(f"{rule.name}_init", f"(params{start}) -> state", CHAPTER, rule.name,
                  ("state",), lambda rng: _init_cases(rng, rule)),
        Operation(f"{rule.name}_update",
                  f"(params, grads, state, *, {rule.signature}) -> (params, state)", CHAPTER,
                  rule.name, ("params", "state"), lambda rng: _update_cases(rng, rule),
                  weights={"options": 3.0}, output_weights={"params": 2.0}),
    )


for _rule in _RULES:
    _register(_rule)
