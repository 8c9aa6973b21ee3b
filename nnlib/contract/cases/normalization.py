"""Cases for batch norm and layer norm."""

from dataclasses import replace
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import Inputs, backward_cases, error_case, forward_cases
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "11-normalization"
TRAIN, EVAL = {"training": True}, {"training": False}


def batch(
    rng: np.random.Generator, *shape: int, dtype: type = np.float64
) -> tuple[np.ndarray, ...]:
    """Draw x, gamma, beta, running mean and running variance; no mean 0, no scale 1."""
    d = shape[1]
    x = rng.normal(size=shape) + rng.normal(size=(d,) + (1,) * (len(shape) - 2))
    drawn = (x, rng.normal(size=d), rng.normal(size=d), rng.normal(size=d),
             rng.uniform(0.5, 2.0, size=d))
    return tuple(np.asarray(a, dtype=dtype) for a in drawn)


def _batch_norm(rng: np.random.Generator) -> list[Inputs]:
    large = batch(rng, 6, 3)
    large = (1e4 * large[0], *large[1:])
    far = batch(rng, 6, 3)
    far = (far[0] + 1e4, *far[1:])
    constant = batch(rng, 5, 2)
    constant[0][:, 0] = 0.5
    options: dict[str, Any] = {**TRAIN, "momentum": 0.7}
    return [
        Inputs("6 rows, 3 columns, training", "values", batch(rng, 6, 3), TRAIN),
        # As many rows as columns: here the wrong axis gives right shapes and wrong numbers.
        Inputs("4 rows, 4 columns, training", "values", batch(rng, 4, 4), TRAIN),
        Inputs("images, training", "values", batch(rng, 4, 3, 2, 5), TRAIN),
        Inputs("6 rows, 3 columns, evaluation", "values", batch(rng, 6, 3), EVAL),
        Inputs("images, evaluation", "values", batch(rng, 4, 3, 2, 5), EVAL),
        Inputs("float32, training", "values", batch(rng, 6, 3, dtype=np.float32), TRAIN),
        Inputs("float32 images, evaluation", "values",
               batch(rng, 4, 3, 2, 5, dtype=np.float32), EVAL),
        Inputs("momentum=0.7", "options", batch(rng, 6, 3), options),
        Inputs("momentum=0", "options", batch(rng, 6, 3), {**TRAIN, "momentum": 0.0}),
        Inputs("eps=0.1, training", "options", batch(rng, 6, 3), {**TRAIN, "eps": 0.1}),
        Inputs("eps=0.1, evaluation", "options", batch(rng, 6, 3), {**EVAL, "eps": 0.1}),
        Inputs("one image", "edge sizes", batch(rng, 1, 3, 2, 5), TRAIN),
        Inputs("a batch of one, evaluation", "edge sizes", batch(rng, 1, 3), EVAL),
        Inputs("one column", "edge sizes", batch(rng, 5, 1), TRAIN),
        Inputs("no rows, training", "edge sizes", batch(rng, 0, 3), TRAIN),
        Inputs("no images, evaluation", "edge sizes", batch(rng, 0, 3, 2, 2), EVAL),
        Inputs("up to 1e4", "stability", large, TRAIN),
        Inputs("up to 1e4, float32", "stability",
               tuple(a.astype(np.float32) for a in large), TRAIN),
        Inputs("mean 1e4, variance 1", "stability", far, TRAIN),
        Inputs("a constant column", "stability", constant, TRAIN),
    ]


def _batch_norm_forward(rng: np.random.Generator) -> list[Case]:
    name = "batch_norm_forward"
    x, gamma, beta, mean, var = args = batch(rng, 6, 3)
    cases = [replace(case, drive="forward_parts") for case in forward_cases(rng, _batch_norm)]
    return [
        *cases,
        error_case("one row, training", (x[:1].copy(), *args[1:]), ShapeError,
                   rf"{name}: training needs more than one value .* \(1, 3\)", TRAIN),
        error_case("three axes", (x[np.newaxis], *args[1:]), ShapeError,
                   rf"{name}: x must have shape \(n, d\) or .*, got \(1, 6, 3\)", TRAIN),
        error_case("x transposed", (x.T.copy(), *args[1:]), ShapeError,
                   rf"{name}: gamma must have shape \(6,\), got \(3,\)", TRAIN),
        error_case("gamma of size 1", (x, gamma[:1].copy(), beta, mean, var), ShapeError,
                   rf"{name}: gamma must have shape \(3,\), got \(1,\)", TRAIN),
        error_case("running_var as a row", (*args[:4], var[np.newaxis]), ShapeError,
                   rf"{name}: running_var must have shape \(3,\), got \(1, 3\)", TRAIN),
        error_case("integers", (np.ones((6, 3), int), *args[1:]), DtypeError,
                   f"{name}: x must hold floats, got int", TRAIN),
        error_case("two dtypes", (x, gamma.astype(np.float32), *args[2:]), DtypeError,
                   f"{name}: x and gamma must have one dtype", TRAIN),
        error_case("momentum=2", args, ValueError,
                   f"{name}: momentum must be a finite number >= 0 and <= 1, got 2",
                   {**TRAIN, "momentum": 2.0}),
        error_case("eps=0", args, ValueError, f"{name}: eps must be a finite number > 0, got 0",
                   {**TRAIN, "eps": 0.0}),
        error_case("training=1", args, DtypeError,
                   f"{name}: training must be True or False, got 1", {"training": 1}),
    ]


def _batch_norm_backward(rng: np.random.Generator) -> list[Case]:
    cases = backward_cases(rng, _batch_norm, "batch_norm_forward")
    return [replace(case, drive="backward_parts") for case in cases
            if "momentum" not in case.options]  # which the backward does not see


def rows(
    rng: np.random.Generator, *shape: int, dtype: type = np.float64
) -> tuple[np.ndarray, ...]:
    """Draw x, gamma, beta for layer norm."""
    d = shape[-1]
    drawn = (rng.normal(size=shape) + 2.0, rng.normal(size=d), rng.normal(size=d))
    return tuple(np.asarray(a, dtype=dtype) for a in drawn)


def _layer_norm(rng: np.random.Generator) -> list[Inputs]:
    x, gamma, beta = rows(rng, 4, 5)
    return [
        Inputs("4 rows, 5 features", "values", rows(rng, 4, 5)),
        # Square on purpose: here the wrong axis gives a right shape and wrong numbers.
        Inputs("4 rows, 4 features", "values", rows(rng, 4, 4)),
        Inputs("2 sequences of 3 positions", "values", rows(rng, 2, 3, 5)),
        Inputs("float32", "values", rows(rng, 4, 5, dtype=np.float32)),
        Inputs("eps=0.1", "options", rows(rng, 4, 5), {"eps": 0.1}),
        Inputs("a batch of one", "edge sizes", rows(rng, 1, 5)),
        Inputs("one axis", "edge sizes", rows(rng, 5)),
        Inputs("one feature", "edge sizes", rows(rng, 4, 1)),
        Inputs("no rows", "edge sizes", rows(rng, 0, 5)),
        Inputs("up to 1e4", "stability", (1e4 * x, gamma, beta)),
        Inputs("up to 1e4, float32", "stability",
               tuple(a.astype(np.float32) for a in (1e4 * x, gamma, beta))),
        Inputs("mean 1e4, variance 1", "stability", (1e4 + x, gamma, beta)),
    ]


def _layer_norm_forward(rng: np.random.Generator) -> list[Case]:
    name = "layer_norm_forward"
    x, gamma, beta = args = rows(rng, 4, 5)
    return [
        *forward_cases(rng, _layer_norm),
        error_case("no axis", (np.array(1.0), gamma, beta), ShapeError,
                   f"{name}: x must have at least 1 axis"),
        error_case("no features", (np.zeros((4, 0)), np.zeros(0), np.zeros(0)), ShapeError,
                   f"{name}: x must have at least one feature"),
        error_case("gamma for the rows", (x, np.ones(4), beta), ShapeError,
                   rf"{name}: gamma must have shape \(5,\), got \(4,\)"),
        error_case("beta of size 1", (x, gamma, beta[:1].copy()), ShapeError,
                   rf"{name}: beta must have shape \(5,\), got \(1,\)"),
        error_case("integers", (np.ones((4, 5), int), gamma, beta), DtypeError,
                   f"{name}: x must hold floats, got int"),
        error_case("two dtypes", (x, gamma, beta.astype(np.float32)), DtypeError,
                   f"{name}: x and beta must have one dtype"),
        error_case("eps=-1", args, ValueError, f"{name}: eps must be a finite number > 0",
                   {"eps": -1.0}),
    ]


def _layer_norm_backward(rng: np.random.Generator) -> list[Case]:
    return backward_cases(rng, _layer_norm, "layer_norm_forward")


register(
    Operation("batch_norm_forward",
              "(x, gamma, beta, running_mean, running_var, *, training, momentum=0.1, eps=1e-5) "
              "-> (y, (new_running_mean, new_running_var), cache)", CHAPTER, "batch-norm-forward",
              ("y", "new_running_mean", "new_running_var"), _batch_norm_forward,
              output_weights={"y": 3.0}),
    Operation("batch_norm_backward", "(dy, cache) -> BatchNormGrads", CHAPTER,
              "batch-norm-backward", ("dx", "dgamma", "dbeta"), _batch_norm_backward,
              output_weights={"dx": 4.0}),
    Operation("layer_norm_forward", "(x, gamma, beta, *, eps=1e-5) -> (y, cache)", CHAPTER,
              "layer-norm-forward", ("y",), _layer_norm_forward),
    Operation("layer_norm_backward", "(dy, cache) -> LayerNormGrads", CHAPTER,
              "layer-norm-backward", ("dx", "dgamma", "dbeta"), _layer_norm_backward,
              output_weights={"dx": 4.0}),
)
