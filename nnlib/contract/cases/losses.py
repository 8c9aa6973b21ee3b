"""Cases for the losses."""

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "04-losses"


def _mse(rng: np.random.Generator) -> list[Case]:
    def draw(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(size=shape), rng.normal(size=shape)

    pred, target = draw(4, 1)
    single = tuple(a.astype(np.float32) for a in draw(4, 3))
    empty = np.zeros((0, 2))
    return [
        Case("4 rows, 3 columns", "values", draw(4, 3)),
        Case("one axis", "values", draw(5)),
        Case("float32", "values", single),
        Case("a single element", "edge sizes", draw(1, 1)),
        Case("up to 1e4", "stability", (1e4 * pred, 1e4 * target)),
        Case("reduction='sum'", "options", draw(4, 3), {"reduction": "sum"}),
        Case("reduction='none'", "options", draw(4, 3), {"reduction": "none"}),
        Case("no rows, sum", "edge sizes", (empty, empty), {"reduction": "sum"}),
        Case("no rows, none", "edge sizes", (empty, empty), {"reduction": "none"}),
        error_case("a column against a row", (pred, target[:, 0].copy()), ShapeError,
                   r"mse: pred and target must have the same shape, got \(4, 1\) and \(4,\)"),
        error_case("nothing to average", (empty, empty), ShapeError, "mse: the mean needs"),
        error_case("integers", (pred, np.ones((4, 1), int)), DtypeError,
                   "mse: target must hold floats, got int"),
        error_case("two dtypes", (pred, target.astype(np.float32)), DtypeError,
                   "mse: pred and target must have one dtype"),
        error_case("unknown reduction", (pred, target), ValueError,
                   "mse: reduction must be 'mean', 'sum' or 'none', got 'average'",
                   {"reduction": "average"}),
    ]


def _cross_entropy(rng: np.random.Generator) -> list[Case]:
    def draw(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        return 2 * rng.normal(size=(n, k)), rng.integers(k, size=n)

    name = "softmax_cross_entropy"
    logits, labels = draw(4, 3)
    single, single_labels = draw(4, 3)
    large = np.array([[1e4, 0.0, -1e4], [-1e4, 1e4, 0.0], [1e4, 1e4, 1e4]])
    large = large + rng.normal(size=large.shape)
    empty = (np.zeros((0, 3)), np.zeros(0, int))
    return [
        Case("4 rows, 3 classes", "values", draw(4, 3)),
        Case("3 rows, 3 classes", "values", draw(3, 3)),
        Case("7 rows, 2 classes", "values", draw(7, 2)),
        Case("float32", "values", (single.astype(np.float32), single_labels)),
        Case("a batch of one", "edge sizes", draw(1, 3)),
        Case("one class", "edge sizes", draw(4, 1)),
        Case("up to 1e4", "stability", (large, np.array([2, 1, 0]))),
        # float32 numbers near 1e4 are 0.001 apart: log-sum-exp minus logit is as right as that.
        Case("up to 1e4, float32", "stability", (large.astype(np.float32), np.array([0, 2, 1])),
             atol=2e-3),
        Case("reduction='sum'", "options", draw(4, 3), {"reduction": "sum"}),
        Case("reduction='none'", "options", draw(4, 3), {"reduction": "none"}),
        Case("label_smoothing=0.1", "options", draw(4, 3), {"label_smoothing": 0.1}),
        Case("label_smoothing=1, sum", "options", draw(4, 3),
             {"label_smoothing": 1.0, "reduction": "sum"}),
        Case("no rows, sum", "edge sizes", empty, {"reduction": "sum"}),
        Case("no rows, none", "edge sizes", empty, {"reduction": "none"}),
        error_case("label too large", (logits, np.array([0, 1, 2, 3])), ValueError,
                   f"{name}: labels must lie from 0 to 2, got 3"),
        error_case("negative label", (logits, np.array([0, -1, 2, 1])), ValueError,
                   f"{name}: labels must lie from 0 to 2, got -1"),
        error_case("labels as floats", (logits, labels.astype(float)), DtypeError,
                   f"{name}: labels must hold integers, got float64"),
        error_case("one-hot labels", (logits, np.eye(3)[labels]), ShapeError,
                   rf"{name}: labels must have shape \(4,\), got \(4, 3\)"),
        error_case("too few labels", (logits, labels[:3].copy()), ShapeError,
                   rf"{name}: labels must have shape \(4,\), got \(3,\)"),
        error_case("one axis", (logits[0], labels), ShapeError,
                   rf"{name}: logits must have shape \(n, k\)"),
        error_case("nothing to average", empty, ShapeError, f"{name}: the mean needs"),
        error_case("integers", (np.ones((4, 3), int), labels), DtypeError,
                   f"{name}: logits must hold floats"),
        error_case("unknown reduction", (logits, labels), ValueError,
                   f"{name}: reduction must be 'mean', 'sum' or 'none', got None",
                   {"reduction": None}),
        error_case("label_smoothing above 1", (logits, labels), ValueError,
                   f"{name}: label_smoothing must be", {"label_smoothing": 1.5}),
    ]


register(
    Operation("mse", '(pred, target, *, reduction="mean") -> (loss, dpred)', CHAPTER, "mse",
              ("loss", "dpred"), _mse),
    Operation("softmax_cross_entropy",
              '(logits, labels, *, reduction="mean", label_smoothing=0.0) -> (loss, dlogits)',
              CHAPTER, "softmax-cross-entropy", ("loss", "dlogits"), _cross_entropy,
              weights={"stability": 4.0}),
)
