"""Cases for the parts of losses, and the questions of the NumPy notebook of chapter 4."""

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "04-losses"


def _log_sum_exp(rng: np.random.Generator) -> list[Case]:
    def draw(*shape: int) -> np.ndarray:
        return 2 * rng.normal(size=shape)

    # Each row lies elsewhere: one largest entry for all of them helps only its own row.
    offsets = np.array([[1e4], [-1e4], [0.0], [700.0]])
    name = "log_sum_exp"
    return [
        Case("4 rows, 3 columns", "values", (draw(4, 3),)),
        Case("all sizes 3", "values", (draw(3, 3),)),
        Case("three axes", "values", (draw(2, 3, 4),)),
        Case("float32", "values", (draw(5, 4).astype(np.float32),)),
        Case("axis=0", "options", (draw(4, 3),), {"axis": 0}),
        Case("three axes, axis=1", "options", (draw(2, 3, 4),), {"axis": 1}),
        Case("one row, given by its number", "edge sizes", (draw(1, 3),), {"axis": 1}),
        Case("one column", "edge sizes", (draw(4, 1),)),
        Case("one axis", "edge sizes", (draw(5),)),
        Case("near 1e4 and near -1e4", "stability", (draw(4, 3) + offsets,)),
        Case("up to 1e4 in one row", "stability", (1e4 * draw(2, 3),)),
        Case("near 1e4 and near -1e4, float32", "stability",
             ((draw(4, 3) + offsets).astype(np.float32),)),
        error_case("integers", (np.arange(3),), DtypeError, f"{name}: x must hold floats, got int"),
        error_case("axis=2", (draw(2, 3),), ValueError,
                   f"{name}: axis must be an integer from -2", {"axis": 2}),
        error_case("nothing to sum", (np.zeros((2, 0)),), ShapeError, name),
    ]


def _class_weights(rng: np.random.Generator) -> list[Case]:
    def draw(*counts: int) -> np.ndarray:
        return rng.permutation(np.repeat(np.arange(len(counts)), counts))

    def counts(k: int) -> list[int]:
        return [int(c) for c in rng.permutation(np.array([1, 3, 5, 9, 14])[:k])]

    name = "balanced_class_weights"
    labels = draw(3, 2)
    return [
        Case("9 labels, 3 classes", "values", (draw(*counts(3)),), {"num_classes": 3}),
        Case("32 labels, 5 classes", "values", (draw(*counts(5)),), {"num_classes": 5}),
        Case("4 labels, 2 classes", "values", (draw(*counts(2)),), {"num_classes": 2}),
        Case("the last class does not occur", "edge sizes", (draw(4, 2),), {"num_classes": 3}),
        Case("a class between does not occur", "edge sizes", (draw(1, 0, 4),), {"num_classes": 3}),
        Case("one label", "edge sizes", (np.array([1]),), {"num_classes": 2}),
        error_case("label too large", (labels,), ValueError,
                   f"{name}: labels must lie from 0 to 0, got 1", {"num_classes": 1}),
        error_case("no labels", (labels[:0],), ShapeError, f"{name}: labels must hold at least",
                   {"num_classes": 2}),
        error_case("labels as floats", (labels.astype(float),), DtypeError,
                   f"{name}: labels must hold integers, got float64", {"num_classes": 2}),
    ]


register(
    Operation("log_sum_exp", "(x, *, axis=-1) -> y", CHAPTER, "log-sum-exp", ("y",), _log_sum_exp,
              weights={"stability": 3.0}),
    Operation("balanced_class_weights", "(labels, *, num_classes) -> w (num_classes,)", CHAPTER,
              "class-imbalance", ("w",), _class_weights),
    Question(
        "best_constant",
        "Five measurements: 1, 2, 3, 4, 90. Which one number c has the smallest mean absolute "
        "error from them?",
        3.0,
        {
            "20": "That is the mean. It minimises the squared error, and one far value drags it "
                  "along. The absolute error counts only on which side of c a value lies.",
            "2.5": "That is the mean of the four near values. The far one is not left out: it "
                   "counts like any other value above c.",
            "45.5": "That is the middle of the range. Count how many values lie on each side of "
                    "it, and where c would have to go to balance them.",
            "2": "Three values lie above 2 and one below: moving up by a little gains three times "
                 "and costs twice at most.",
            "4": "Three values lie below 4 and one above. Balance the sides.",
        },
        CHAPTER, "best-constant", tracks=("numpy",)),
    Question(
        "untrained_loss",
        "A classifier with 10 classes has logits 0 everywhere. What is its mean cross-entropy, "
        "whatever the labels are?",
        2.302585,
        {
            "0.1": "That is the probability of the right class. The loss is minus its logarithm.",
            "-2.302585": "The logarithm of a probability is negative, the loss is minus that.",
            "1": "That takes the logarithm to base 10. The loss takes the natural one.",
            "3.321928": "That is in bits, the logarithm to base 2. The loss takes the natural one.",
            "0.2302585": "That divides by the number of classes too. The mean is over the rows.",
            "0.9": "That is the share of wrong answers, a metric. The loss looks at the "
                   "probability of the right class.",
            "0": "A loss of 0 needs probability 1 for the right class. Equal logits give each of "
                 "the 10 classes the same probability.",
        },
        CHAPTER, "multiclass-cross-entropy", tolerance=2e-3, tracks=("numpy",)),
)
