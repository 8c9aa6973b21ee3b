"""Cases for the linear layer, flattening, and the multi-layer perceptron built from them."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import Inputs, backward_cases, error_case, forward_cases
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError


def linear_inputs(
    rng: np.random.Generator, n: int, d_in: int, d_out: int, dtype: type = np.float64
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw ``x (n, d_in)``, ``w (d_in, d_out)``, ``b (d_out,)``."""
    x: np.ndarray = rng.normal(size=(n, d_in)).astype(dtype)
    w: np.ndarray = rng.normal(size=(d_in, d_out)).astype(dtype)
    b: np.ndarray = rng.normal(size=d_out).astype(dtype)
    return x, w, b


def _linear(rng: np.random.Generator) -> list[Inputs]:
    x, w, _ = linear_inputs(rng, 4, 3, 2)
    return [
        Inputs("4 rows, 3 inputs, 2 outputs", "values", linear_inputs(rng, 4, 3, 2)),
        # Square on purpose: here a forgotten transpose gives a right shape and wrong numbers.
        Inputs("all sizes 3", "values", linear_inputs(rng, 3, 3, 3)),
        Inputs("float32", "values", linear_inputs(rng, 4, 3, 2, np.float32)),
        Inputs("a batch of one", "edge sizes", linear_inputs(rng, 1, 3, 2)),
        Inputs("no rows", "edge sizes", linear_inputs(rng, 0, 3, 2)),
        Inputs("one input, one output", "edge sizes", linear_inputs(rng, 5, 1, 1)),
        Inputs("no bias (b is None)", "options", (x, w, None)),
    ]


def _linear_forward(rng: np.random.Generator) -> list[Case]:
    x, w, b = linear_inputs(rng, 4, 3, 2)
    name = "linear_forward"
    return [
        *forward_cases(rng, _linear),
        error_case("x transposed", (x.T.copy(), w, b), ShapeError,
                   rf"{name}: x must have shape \(n, 3\), got \(3, 4\)\. Rows are examples"),
        error_case("one example without its axis", (x[0], w, b), ShapeError,
                   rf"{name}: x must have shape \(n, 3\), got \(3,\)"),
        error_case("w with one axis", (x, w[:, 0].copy(), b), ShapeError,
                   rf"{name}: w must have shape \(d_in, d_out\)"),
        error_case("b as a column", (x, w, b[:, np.newaxis]), ShapeError,
                   rf"{name}: b must have shape \(2,\), got \(2, 1\)"),
        error_case("b of size 1", (x, w, b[:1].copy()), ShapeError,
                   rf"{name}: b must have shape \(2,\), got \(1,\)"),
        error_case("integers", (np.ones((4, 3), int), w, b), DtypeError,
                   f"{name}: x must hold floats, got int"),
        error_case("two dtypes", (x.astype(np.float32), w, b), DtypeError,
                   f"{name}: x and w must have one dtype"),
    ]


def _flatten(rng: np.random.Generator) -> list[Inputs]:
    image = rng.normal(size=(2, 3, 4, 5))
    return [
        Inputs("images", "values", (image,)),
        Inputs("float32", "values", (image.astype(np.float32),)),
        Inputs("rows stay rows", "edge sizes", (rng.normal(size=(4, 3)),)),
        Inputs("a batch of one", "edge sizes", (rng.normal(size=(1, 2, 3)),)),
        Inputs("no rows", "edge sizes", (np.zeros((0, 2, 3)),)),
    ]


def _flatten_forward(rng: np.random.Generator) -> list[Case]:
    return [
        *forward_cases(rng, _flatten),
        error_case("one axis", (rng.normal(size=3),), ShapeError,
                   "flatten_forward: x must have at least 2 axes"),
        error_case("integers", (np.ones((2, 3), int),), DtypeError,
                   "flatten_forward: x must hold floats"),
    ]


def mlp_inputs(
    rng: np.random.Generator,
    n: int,
    sizes: Sequence[int],
    dtype: type = np.float64,
    *,
    bias: bool = True,
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray | None]]]:
    """Draw ``x (n, sizes[0])`` and one ``(w, b)`` for each layer."""
    x: np.ndarray = rng.normal(size=(n, sizes[0])).astype(dtype)
    params: list[tuple[np.ndarray, np.ndarray | None]] = []
    for d_in, d_out in pairwise(sizes):
        _, w, b = linear_inputs(rng, 0, d_in, d_out, dtype)
        params.append((w, b if bias else None))
    return x, params


def _mlp(rng: np.random.Generator) -> list[Inputs]:
    return [
        Inputs("one hidden layer", "values", mlp_inputs(rng, 4, (3, 5, 2))),
        Inputs("three hidden layers", "values", mlp_inputs(rng, 5, (3, 6, 4, 5, 2))),
        Inputs("all sizes 3", "values", mlp_inputs(rng, 3, (3, 3, 3))),
        Inputs("float32", "values", mlp_inputs(rng, 4, (3, 5, 2), np.float32)),
        Inputs("no hidden layer", "edge sizes", mlp_inputs(rng, 4, (3, 2))),
        Inputs("a batch of one", "edge sizes", mlp_inputs(rng, 1, (3, 5, 2))),
        Inputs("no biases", "options", mlp_inputs(rng, 4, (3, 5, 2), bias=False)),
    ]


def _mlp_forward(rng: np.random.Generator) -> list[Case]:
    x, params = mlp_inputs(rng, 4, (3, 5, 2))
    (w, b), last = params
    return [
        *forward_cases(rng, _mlp),
        error_case("no layers", (x, []), ShapeError, "mlp_forward: params must hold at least"),
        error_case("layers that do not fit", (x, [(w, b), (w, b)]), ShapeError,
                   r"mlp_forward: w of layer 1 must have shape \(5, d_out\), got \(3, 5\)"),
        error_case("x that does not fit", (x[:, :2].copy(), [(w, b), last]), ShapeError,
                   r"linear_forward: x must have shape \(n, 3\), got \(4, 2\)"),
    ]


def _mlp_backward(rng: np.random.Generator) -> list[Case]:
    return [
        Case(i.name, i.property, i.args, drive="mlp_backward", seed=int(rng.integers(2**31)))
        for i in _mlp(rng)
    ]


def _count_parameters(rng: np.random.Generator) -> list[Case]:
    return [
        Case("one layer", "values", (mlp_inputs(rng, 0, (4, 3))[1],)),
        Case("three layers", "values", (mlp_inputs(rng, 0, (4, 7, 5, 2))[1],)),
        Case("no biases", "options", (mlp_inputs(rng, 0, (4, 7, 2), bias=False)[1],)),
        error_case("no layers", ([],), ShapeError, "count_parameters: params must hold at least"),
    ]


FORWARD, BACKPROP = "03-forward-pass", "05-backprop"

register(
    Operation("linear_forward", "(x, w, b) -> (y, cache)", FORWARD, "linear-forward", ("y",),
              _linear_forward),
    Operation("linear_backward", "(dy, cache) -> LinearGrads(dx, dw, db)", BACKPROP,
              "linear-backward", ("dx", "dw", "db"),
              lambda rng: backward_cases(rng, _linear, "linear_forward")),
    Operation("flatten_forward", "(x) -> (y, cache)", FORWARD, "flatten", ("y",),
              _flatten_forward),
    Operation("flatten_backward", "(dy, cache) -> dx", FORWARD, "flatten", ("dx",),
              lambda rng: backward_cases(rng, _flatten, "flatten_forward")),
    Operation("mlp_forward", "(x, params) -> (logits, cache)", FORWARD, "mlp-forward",
              ("logits",), _mlp_forward),
    Operation("mlp_backward", "(dlogits, cache, *, linear_backward, relu_backward) -> grads",
              BACKPROP, "mlp-backward", ("grads",), _mlp_backward),
    Operation("count_parameters", "(params) -> int", FORWARD, "count-parameters", ("count",),
              _count_parameters),
)
