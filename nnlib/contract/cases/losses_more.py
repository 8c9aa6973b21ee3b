"""Cases for the losses that compare element by element."""

from collections.abc import Callable

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "04-losses"
Pair = tuple[np.ndarray, np.ndarray]


def _shared(
    rng: np.random.Generator, name: str, second: str, draw: Callable[..., Pair]
) -> list[Case]:
    """Return the cases that every one of them has."""
    first, other = draw(4, 1)
    single = tuple(a.astype(np.float32) for a in draw(4, 3))
    empty = np.zeros((0, 2))
    called = "logits" if second == "targets" else "pred"
    return [
        Case("4 rows, 3 columns", "values", draw(4, 3)),
        Case("one axis", "values", draw(5)),
        Case("float32", "values", single),
        Case("a single element", "edge sizes", draw(1, 1)),
        Case("reduction='sum'", "options", draw(4, 3), {"reduction": "sum"}),
        Case("reduction='none'", "options", draw(4, 3), {"reduction": "none"}),
        Case("no rows, sum", "edge sizes", (empty, empty), {"reduction": "sum"}),
        Case("no rows, none", "edge sizes", (empty, empty), {"reduction": "none"}),
        error_case("a column against a row", (first, other[:, 0].copy()), ShapeError,
                   rf"{name}: {called} and {second} must have the same shape, "
                   r"got \(4, 1\) and \(4,\)"),
        error_case("nothing to average", (empty, empty), ShapeError, f"{name}: the mean needs"),
        error_case("integers", (first, np.ones((4, 1), int)), DtypeError,
                   f"{name}: {second} must hold floats, got int"),
        error_case("complex numbers", (first.astype(complex), other), DtypeError,
                   f"{name}: {called} must hold floats, got complex128"),
        error_case("two dtypes", (first, other.astype(np.float32)), DtypeError,
                   f"{name}: {called} and {second} must have one dtype"),
        error_case("unknown reduction", (first, other), ValueError,
                   f"{name}: reduction must be 'mean', 'sum' or 'none', got 'average'",
                   {"reduction": "average"}),
    ]


def _regression(rng: np.random.Generator) -> Callable[..., Pair]:
    return lambda *shape: (2 * rng.normal(size=shape), 2 * rng.normal(size=shape))


def _mae(rng: np.random.Generator) -> list[Case]:
    draw = _regression(rng)
    pred, target = draw(4, 3)
    equal = target.copy()
    equal[1:] = pred[1:]
    return [
        *_shared(rng, "mae", "target", draw),
        Case("no error in three of four rows", "kinks", (pred, equal)),
        Case("up to 1e4", "stability", (1e4 * pred, 1e4 * target)),
    ]


def _huber(rng: np.random.Generator) -> list[Case]:
    draw = _regression(rng)
    pred, target = draw(4, 3)
    edge = np.array([[-1.0, 0.0, 1.0]])
    edge_delta = np.array([[-0.5, 0.0, 0.5]])
    zero = np.zeros((1, 3))
    return [
        *_shared(rng, "huber", "target", draw),
        Case("an error of delta", "kinks", (edge, zero)),
        Case("an error of delta, delta=0.5", "kinks", (edge_delta, zero), {"delta": 0.5}),
        Case("delta=0.3", "options", draw(5, 4), {"delta": 0.3}),
        Case("delta=2.5, sum", "options", draw(5, 4), {"delta": 2.5, "reduction": "sum"}),
        Case("up to 1e4", "stability", (1e4 * pred, 1e4 * target)),
        Case("up to 1e4, float32, delta=1e4", "stability",
             ((1e4 * pred).astype(np.float32), (1e4 * target).astype(np.float32)),
             {"delta": 1e4}),
        error_case("delta=0", (pred, target), ValueError,
                   "huber: delta must be a finite number > 0, got 0", {"delta": 0.0}),
        error_case("delta=inf", (pred, target), ValueError, "huber: delta must be a finite",
                   {"delta": float("inf")}),
    ]


def _binary(rng: np.random.Generator) -> list[Case]:
    def draw(*shape: int) -> Pair:
        return 2 * rng.normal(size=shape), rng.uniform(size=shape)

    name = "binary_cross_entropy_with_logits"
    logits, targets = draw(4, 3)
    hard = (rng.uniform(size=(5, 3)) < 0.5).astype(np.float64)
    large = np.array([[1e4, -1e4, 1e4], [-1e4, 0.0, 30.0]])
    goal = np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
    nan = targets.copy()
    nan[2, 1] = np.nan
    return [
        *_shared(rng, name, "targets", draw),
        Case("targets 0 and 1", "options", (3 * rng.normal(size=(5, 3)), hard)),
        Case("logits 0", "kinks", (np.zeros((2, 3)), goal)),
        Case("up to 1e4", "stability", (large, goal)),
        Case("up to 1e4, float32", "stability",
             (large.astype(np.float32), goal.astype(np.float32)), {"reduction": "none"}),
        error_case("a target of 2", (logits, 2 * np.ones((4, 3))), ValueError,
                   rf"{name}: targets must lie from 0 to 1, got 2\.0"),
        error_case("a target of -1", (logits, -np.ones((4, 3))), ValueError,
                   rf"{name}: targets must lie from 0 to 1, got -1\.0"),
        error_case("a target of nan", (logits, nan), ValueError,
                   f"{name}: targets must lie from 0 to 1, got nan"),
    ]


register(
    Operation("mae", '(pred, target, *, reduction="mean") -> (loss, dpred)', CHAPTER, "mae",
              ("loss", "dpred"), _mae),
    Operation("huber", '(pred, target, *, delta=1.0, reduction="mean") -> (loss, dpred)', CHAPTER,
              "huber", ("loss", "dpred"), _huber),
    Operation("binary_cross_entropy_with_logits",
              '(logits, targets, *, reduction="mean") -> (loss, dlogits)', CHAPTER,
              "binary-cross-entropy", ("loss", "dlogits"), _binary, weights={"stability": 4.0}),
)
