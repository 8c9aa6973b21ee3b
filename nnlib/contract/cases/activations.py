"""Cases for the activations."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import Inputs, backward_cases, error_case, forward_cases
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "02-activations"


class Elementwise(NamedTuple):
    """An activation, its options besides the defaults, and options that must be refused."""

    name: str
    options: Sequence[dict[str, Any]] = ()
    refused: Sequence[tuple[dict[str, Any], type[Exception], str]] = ()
    signature: str = "(x)"


ELEMENTWISE = (
    Elementwise("identity"),
    Elementwise("sigmoid"),
    Elementwise("tanh"),
    Elementwise("relu"),
    Elementwise(
        "softplus",
        ({"beta": 0.5}, {"beta": 4.0}),
        (({"beta": 0.0}, ValueError, "beta must be"), ({"beta": "1"}, TypeError, "beta must be")),
        "(x, *, beta=1.0)",
    ),
    Elementwise("silu"),
    Elementwise(
        "gelu",
        ({"approximate": "tanh"},),
        (({"approximate": "erf"}, ValueError, "approximate must be 'none' or 'tanh'"),),
        '(x, *, approximate="none")',
    ),
    Elementwise(
        "leaky_relu",
        ({"negative_slope": 0.3}, {"negative_slope": 0.0}),
        (({"negative_slope": float("inf")}, ValueError, "negative_slope must be"),),
        "(x, *, negative_slope=0.01)",
    ),
    Elementwise(
        "elu",
        ({"alpha": 0.5}, {"alpha": 2.0}),
        (({"alpha": float("inf")}, ValueError, "alpha must be"),),
        "(x, *, alpha=1.0)",
    ),
)


def away_from_zero(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: type = np.float64
) -> np.ndarray:
    """Draw numbers of both signs, at least 0.1 away from the kink at 0."""
    x = np.asarray(rng.normal(size=shape))
    # The first two get one sign each: a draw of one sign only would test half a function.
    x.flat[:2] = np.abs(x.flat[:2]) * np.array([1.0, -1.0])[: x.size]
    return np.asarray(np.where(x < 0, x - 0.1, x + 0.1), dtype=dtype)


def _elementwise_inputs(activation: Elementwise) -> Callable[..., list[Inputs]]:
    def make(rng: np.random.Generator) -> list[Inputs]:
        wide = np.array([-1e4, -1e3, -50.0, -5.0, 5.0, 50.0, 1e3, 1e4])
        wide = wide * rng.uniform(0.9, 1.0, size=wide.shape)
        inputs = [
            Inputs("4 rows, 3 columns", "values", (away_from_zero(rng, (4, 3)),)),
            Inputs("one axis", "values", (away_from_zero(rng, (7,)),)),
            Inputs("four axes", "values", (away_from_zero(rng, (2, 3, 2, 2)),)),
            Inputs("float32", "values", (away_from_zero(rng, (4, 3), np.float32),)),
            Inputs("close to 0", "values", (1e-8 * away_from_zero(rng, (5,)),)),
            Inputs("exactly 0", "kinks", (np.array([-1.0, 0.0, -0.0, 1.0]),)),
            Inputs("a batch of one", "edge sizes", (away_from_zero(rng, (1, 3)),)),
            Inputs("no rows", "edge sizes", (np.zeros((0, 3)),)),
            Inputs("a single number", "edge sizes", (away_from_zero(rng, ()),)),
            Inputs("up to 1e4", "stability", (wide,)),
            Inputs("up to 1e4, float32", "stability", (wide.astype(np.float32),)),
        ]
        for options in activation.options:
            x = np.concatenate([away_from_zero(rng, (6,)), [0.0]])
            name = ", ".join(f"{key}={value!r}" for key, value in options.items())
            inputs.append(Inputs(name, "options", (x,), options))
            inputs.append(Inputs(f"{name}, up to 1e4", "stability", (wide,), options))
        return inputs

    return make


def _input_errors(name: str) -> list[Case]:
    """Make the cases of bad arrays that every forward refuses."""
    floats = f"{name}: x must hold floats, got"
    return [
        error_case("integers", (np.arange(3),), DtypeError, f"{floats} int"),
        error_case("complex", (np.zeros(3, complex),), DtypeError, f"{floats} complex"),
        error_case("a list", ([1.0, 2.0],), DtypeError, f"{name}: x must be an array, got list"),
    ]


def _register_elementwise(activation: Elementwise) -> None:
    forward, backward = f"{activation.name}_forward", f"{activation.name}_backward"
    make_inputs = _elementwise_inputs(activation)

    def make_forward(rng: np.random.Generator) -> list[Case]:
        cases = forward_cases(rng, make_inputs) + _input_errors(forward)
        for options, error, match in activation.refused:
            x = away_from_zero(rng, (2, 3))
            text = ", ".join(f"{key}={value!r}" for key, value in options.items())
            cases.append(error_case(text, (x,), error, f"{forward}: {match}", options))
        return cases

    def make_backward(rng: np.random.Generator) -> list[Case]:
        return backward_cases(rng, make_inputs, forward)

    # ReLU's backward is the one that chapter 5 asks for.
    chapter, anchor = (
        ("05-backprop", "relu-backward") if backward == "relu_backward"
        else (CHAPTER, activation.name.replace("_", "-"))
    )
    register(
        Operation(
            forward, f"{activation.signature} -> (y, cache)", CHAPTER,
            activation.name.replace("_", "-"), ("y",), make_forward,
        ),
        Operation(backward, "(dy, cache) -> dx", chapter, anchor, ("dx",), make_backward),
    )


def _axis_inputs(rng: np.random.Generator) -> list[Inputs]:
    large = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4], [800.0, 801.0, 799.0]])
    large = large + rng.normal(size=large.shape)
    return [
        Inputs("4 rows, 3 classes", "values", (rng.normal(size=(4, 3)),)),
        # Square on purpose: here the wrong axis gives a right shape and wrong numbers.
        Inputs("3 rows, 3 classes", "values", (rng.normal(size=(3, 3)),)),
        Inputs("one axis", "values", (rng.normal(size=5),)),
        Inputs("float32", "values", (rng.normal(size=(4, 3)).astype(np.float32),)),
        Inputs("axis=0", "options", (rng.normal(size=(3, 3)),), {"axis": 0}),
        Inputs("axis=1 of three", "options", (rng.normal(size=(2, 4, 3)),), {"axis": 1}),
        Inputs("a batch of one", "edge sizes", (rng.normal(size=(1, 3)),)),
        Inputs("one class", "edge sizes", (rng.normal(size=(4, 1)),)),
        Inputs("no rows", "edge sizes", (np.zeros((0, 3)),)),
        Inputs("up to 1e4", "stability", (large,)),
        Inputs("up to 1e4, float32", "stability", (large.astype(np.float32),)),
    ]


def _register_axis(name: str) -> None:
    forward, backward = f"{name}_forward", f"{name}_backward"

    def make_forward(rng: np.random.Generator) -> list[Case]:
        x = rng.normal(size=(2, 3))
        return [
            *forward_cases(rng, _axis_inputs),
            *_input_errors(forward),
            error_case("no axis", (np.array(1.0),), ShapeError,
                       f"{forward}: x must have at least 1 axis"),
            error_case("no classes", (np.zeros((2, 0)),), ShapeError,
                       f"{forward}: x must have at least one entry along axis -1"),
            error_case("axis=2", (x,), ValueError, f"{forward}: axis must be an integer from -2",
                       {"axis": 2}),
            error_case("axis=None", (x,), ValueError, f"{forward}: axis must be an integer",
                       {"axis": None}),
        ]

    def make_backward(rng: np.random.Generator) -> list[Case]:
        return backward_cases(rng, _axis_inputs, forward)

    anchor = name.replace("_", "-")
    register(
        Operation(forward, "(x, *, axis=-1) -> (y, cache)", CHAPTER, anchor, ("y",),
                  make_forward),
        Operation(backward, "(dy, cache) -> dx", CHAPTER, anchor, ("dx",), make_backward),
    )


for _activation in ELEMENTWISE:
    _register_elementwise(_activation)
for _name in ("softmax", "log_softmax"):
    _register_axis(_name)
