"""Cases for chapter 0: encode, scale, measure, split, and what broadcasting does."""

from collections.abc import Sequence

import numpy as np

from nnlib.contract.case import Case, Operation, Question, Rng
from nnlib.contract.registry import register

CHAPTER = "00-start-here"


def _labels(rng: np.random.Generator, n: int, num_classes: int) -> np.ndarray:
    """Draw n labels among which the first and the last class occur."""
    labels = rng.integers(num_classes, size=n)
    labels[:2] = 0, num_classes - 1
    return rng.permutation(labels)


def _one_hot(rng: np.random.Generator) -> Sequence[Case]:
    low = rng.integers(3, size=4)
    return [
        Case("6 labels, 4 classes", "values", (_labels(rng, 6, 4), 4)),
        # Square, so that a transposed answer has the right shape.
        Case("5 labels, 5 classes", "values", (rng.permutation(5), 5)),
        Case("the last classes do not occur", "values", (low, 6)),
        Case("one label", "edge sizes", (np.array([2]), 4)),
        Case("no labels", "edge sizes", (np.array([], dtype=np.int64), 3)),
        Case("one class", "edge sizes", (np.zeros(3, dtype=np.int64), 1)),
    ]


def _table(
    rng: np.random.Generator, n: int, d: int, dtype: type = np.float64, *, center: float = 0.0
) -> np.ndarray:
    """Draw ``(n, d)`` whose columns differ in mean and spread, as real features do."""
    mean, std = center + rng.uniform(-3, 3, size=d), rng.uniform(0.5, 4, size=d)
    return (mean + std * rng.normal(size=(n, d))).astype(dtype)


def _standardize(rng: np.random.Generator) -> Sequence[Case]:
    # Train and test have different means, so that a leak of test statistics shows.
    constant = _table(rng, 4, 3)
    constant[:, 1] = 7.0
    whole = rng.integers(0, 20, size=(6, 3)), rng.integers(0, 20, size=(4, 3))
    far = 1e4 + 0.01 * rng.normal(size=(8, 2)), 1e4 + 0.01 * rng.normal(size=(3, 2))
    return [
        Case("6 training rows, 3 test rows, 4 columns", "values",
             (_table(rng, 6, 4), _table(rng, 3, 4))),
        # Square on purpose: here the wrong axis gives a right shape.
        Case("all sizes 5", "values", (_table(rng, 5, 5), _table(rng, 5, 5))),
        Case("float32", "values", (_table(rng, 6, 3, np.float32), _table(rng, 4, 3, np.float32))),
        Case("one test row", "edge sizes", (_table(rng, 5, 3), _table(rng, 1, 3))),
        Case("no test rows", "edge sizes", (_table(rng, 5, 3), np.zeros((0, 3)))),
        Case("a constant column", "edge sizes", (constant, _table(rng, 2, 3))),
        Case("one training row", "edge sizes", (_table(rng, 1, 3), _table(rng, 2, 3))),
        Case("whole numbers", "integers in", whole),
        Case("values near 10000 that differ by 0.01", "stability", far, rtol=1e-6, atol=1e-6),
    ]


def _distances(rng: np.random.Generator) -> Sequence[Case]:
    def normal(*shape: int, dtype: type = np.float64) -> np.ndarray:
        return rng.normal(size=shape).astype(dtype)

    far = 1e3 + normal(12, 16)
    return [
        Case("4 rows against 3 rows, 5 columns", "values", (normal(4, 5), normal(3, 5))),
        # Square on purpose: here swapped rows and a wrong axis give a right shape.
        Case("all sizes 4", "values", (normal(4, 4), normal(4, 4))),
        Case("float32", "values", (normal(5, 3, dtype=np.float32), normal(2, 3, dtype=np.float32))),
        Case("one row against one row", "edge sizes", (normal(1, 3), normal(1, 3))),
        Case("one column", "edge sizes", (normal(4, 1), normal(3, 1))),
        Case("no rows in b", "edge sizes", (normal(3, 2), normal(0, 2))),
        Case("rows near 1000 against themselves", "stability", (far, far.copy()),
             judge="never_negative", rtol=1e-6, atol=1e-6),
    ]


def _split(rng: np.random.Generator) -> Sequence[Case]:
    seeds = [Rng(int(seed)) for seed in rng.integers(2**31, size=6)]

    def case(name: str, prop: str, n: int, fraction: float, seed: Rng) -> Case:
        by_seed = prop == "repeatable"
        return Case(name, prop, (n,), {"test_fraction": fraction, "rng": seed},
                    drive="split_by_seed" if by_seed else "split",
                    judge="drawn_by_rng" if by_seed else "partition")

    return [
        # Many rows, so that two parts drawn separately meet and sizes left to chance miss.
        case("200 rows, a quarter for testing", "values", 200, 0.25, seeds[0]),
        case("300 rows, 0.4 for testing", "values", 300, 0.4, seeds[1]),
        case("203 rows, 0.25 for testing: 50.75 is rounded to 51", "edge sizes", 203, 0.25,
             seeds[2]),
        case("nothing for testing", "edge sizes", 5, 0.0, seeds[3]),
        case("everything for testing", "edge sizes", 6, 1.0, seeds[4]),
        case("40 rows, several seeds", "repeatable", 40, 0.25, seeds[5]),
    ]


def _model_input(rng: np.random.Generator) -> Sequence[Case]:
    def pixels(*shape: int) -> np.ndarray:
        return rng.integers(1, 250, size=shape, dtype=np.uint8)

    full = pixels(2, 3, 3)
    full[:, 0, :2] = 0, 255
    shades = rng.uniform(size=(3, 4, 2))
    return [
        Case("3 images of 4 x 5 bytes", "values", (pixels(3, 4, 5),), drive="array"),
        Case("black and white pixels", "values", (full,), drive="array"),
        Case("one image", "edge sizes", (pixels(1, 2, 6),), drive="array"),
        Case("no images", "edge sizes", (pixels(0, 4, 4),), drive="array"),
        Case("float64 from 0 to 1", "options", (shades,), drive="array"),
        Case("the float32 array is overwritten later", "own memory",
             (shades.astype(np.float32),), drive="array_then_overwritten"),
    ]


register(
    Operation(
        "one_hot", "(labels, num_classes) -> y", CHAPTER, "one-hot", ("y",), _one_hot,
        weights={"dtype kept": 2.0},
    ),
    Operation(
        "standardize", "(x_train, x_test) -> Standardized(x_train, x_test, mean, std)", CHAPTER,
        "standardise", ("x_train", "x_test", "mean", "std"), _standardize,
        weights={"edge sizes": 2.0, "stability": 1.0},
        # The leak shows in the test part alone: it must not cost a fifth of one property.
        output_weights={"x_test": 3.0},
    ),
    Operation(
        "pairwise_squared_distances", "(a, b) -> distances", CHAPTER, "pairwise-distances",
        ("distances",), _distances,
    ),
    Operation(
        "split_indices", "(n, *, test_fraction, rng) -> SplitIndices(train, test)", CHAPTER,
        "split-rows", ("split",), _split,
        # Half a split is drawing it: the sizes alone are the smaller part of the work.
        weights={"repeatable": 5.0},
    ),
    Operation(
        "as_model_input", "(images) -> x", CHAPTER, "in-pytorch", ("x",), _model_input,
        tracks=("torch",), weights={"dtype kept": 2.0, "own memory": 2.0},
    ),
)

register(
    Question(
        "shape_of_difference",
        "a has shape (5,), b has shape (5, 1). What is a - b?",
        answer="c",
        options={
            "a": "an array of shape (5,)",
            "b": "an array of shape (5, 1)",
            "c": "an array of shape (5, 5)",
            "d": "an error, because the shapes differ",
        },
        why={
            "a": "That would need two arrays of shape (5,). Write the shapes under each other, "
                 "aligned on the right, and fill the missing place with 1.",
            "b": "a has one axis, and a missing axis is added on the left, not on the right: a "
                 "counts as (1, 5). Now compare it with (5, 1) axis by axis.",
            "d": "Different shapes are no error where each pair of sizes is equal or holds a 1. "
                 "Align (5,) and (5, 1) on the right and compare.",
        },
        chapter=CHAPTER, anchor="column-trap", tracks=("numpy",),
    ),
    Question(
        "megabytes_of_differences",
        "a has shape (1000, 64), b has shape (500, 64), both float32. How many megabytes "
        "(10^6 bytes) does a[:, None, :] - b[None, :, :] take?",
        answer=128.0,
        why={
            "32": "That is the number of entries, in millions. How many bytes does one float32 "
                  "take?",
            "256": "That is the size in float64. A float32 takes half as many bytes.",
            "2": "That is the size of the (1000, 500) table of distances. The differences still "
                 "have their last axis.",
            "0.256": "That is the size of a alone. What is the shape of the difference?",
            "0.384": "That is the size of a and b together. What is the shape of the difference?",
            "128000000": "Right in bytes. The question asks for megabytes.",
        },
        chapter=CHAPTER, anchor="pairwise-distances", tracks=("numpy",),
    ),
    Question(
        "shared_by_from_numpy",
        "a = np.ones(3); t = torch.from_numpy(a); t.mul_(5). What does a hold now?",
        answer="b",
        options={
            "a": "[1, 1, 1]",
            "b": "[5, 5, 5]",
            "c": "nothing: t has taken its memory over",
            "d": "this is an error, because a is float64 and t is float32",
        },
        why={
            "a": "torch.from_numpy copies nothing: array and tensor are two views of one block of "
                 "memory, and mul_ writes into it.",
            "c": "Both stay valid. They are two views of one block of memory.",
            "d": "torch.from_numpy keeps the dtype: t is float64 too. Nothing is converted, which "
                 "is why nothing needs to be copied.",
        },
        chapter=CHAPTER, anchor="in-pytorch", tracks=("torch",),
    ),
    Question(
        "mean_without_keepdim",
        "x has shape (4, 4). What does x - x.mean(dim=1) compute?",
        answer="c",
        options={
            "a": "every row minus its own mean",
            "b": "every column minus its own mean",
            "c": "from column j, the mean of row j",
            "d": "an error, because x.mean(dim=1) has lost an axis",
        },
        why={
            "a": "That was the intention. But x.mean(dim=1) has shape (4,), which is aligned on "
                 "the right: its entries run along the columns. keepdim=True would give (4, 1).",
            "b": "dim=1 averages over the columns, so these are the means of the rows. Where do "
                 "they land when (4,) is aligned on the right with (4, 4)?",
            "d": "With x of shape (4, 3) it would be one. In a square array (4,) fits the last "
                 "axis by accident, and nothing warns.",
        },
        chapter=CHAPTER, anchor="rows-are-examples", tracks=("torch",),
    ),
)
