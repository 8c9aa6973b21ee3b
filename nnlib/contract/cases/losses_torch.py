"""Cases for the PyTorch notebook of chapter 4; the drivers are in torch_loss_drivers."""

from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.registry import register

CHAPTER = "04-losses"
TORCH = ("torch",)
IGNORED = -100


def _drive(rng: np.random.Generator, drive: str, name: str, prop: str, args: tuple[Any, ...],
           **options: Any) -> Case:
    return Case(name, prop, args, options, drive=drive, seed=int(rng.integers(2**31)))


def _balanced(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Draw 0 and 1, both present where there is room for them."""
    size = int(np.prod(shape))
    return rng.permutation(np.arange(size) % 2).reshape(shape)


def _task_loss(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, task: str, output: np.ndarray, target: np.ndarray) -> Case:
        return _drive(rng, "loss_gradient", name, prop, (task, output, target))

    def scores(n: int, k: int, dtype: type = np.float64) -> np.ndarray:
        return (2 * rng.normal(size=(n, k))).astype(dtype)

    large = np.array([[1e4], [-1e4], [-1e4], [30.0]]) + rng.normal(size=(4, 1))
    return [
        case("regression, 6 rows", "values", "regression", scores(6, 1), rng.normal(size=6)),
        case("binary, 7 rows", "options", "binary", scores(7, 1), _balanced(rng, 7)),
        case("one of 3 classes, 5 rows", "values", "one class", scores(5, 3),
             rng.integers(3, size=5)),
        case("several of 3 classes, 4 rows", "options", "several classes", scores(4, 3),
             _balanced(rng, 4, 3)),
        case("several of 3 classes, 3 rows", "options", "several classes", scores(3, 3),
             _balanced(rng, 3, 3)),
        case("regression, float32", "values", "regression", scores(4, 1, np.float32),
             rng.normal(size=4).astype(np.float32)),
        case("binary, targets True and False", "integers in", "binary",
             scores(6, 1, np.float32), _balanced(rng, 6) == 1),
        case("class numbers as int32", "integers in", "one class", scores(5, 4, np.float32),
             rng.integers(4, size=5).astype(np.int32)),
        case("several classes, targets as uint8", "integers in", "several classes",
             scores(4, 2, np.float32), _balanced(rng, 4, 2).astype(np.uint8)),
        case("regression, one row", "edge sizes", "regression", scores(1, 1), rng.normal(size=1)),
        case("binary, one row", "edge sizes", "binary", scores(1, 1), np.array([1])),
        case("one of 3 classes, one row", "edge sizes", "one class", scores(1, 3), np.array([2])),
        case("binary, logits up to 1e4", "stability", "binary", large, np.array([0, 1, 0, 1])),
    ]


def _balanced_cross_entropy(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, k: int, dtype: type = np.float32,
             scale: float = 2.0) -> Case:
        counts = rng.permutation(np.array([40, 7, 3, 19, 11])[:k])
        labels = rng.permutation(np.arange(n) % k)
        logits: np.ndarray = (scale * rng.normal(size=(n, k))).astype(dtype)
        return Case(name, prop, (logits, labels), {"init": {"counts": counts}},
                    drive="loss_module", seed=int(rng.integers(2**31)), rtol=1e-5, atol=1e-6)

    return [
        case("7 rows, 3 classes", "values", 7, 3),
        case("8 rows, 5 classes", "values", 8, 5),
        case("3 rows, 2 classes", "values", 3, 2),
        case("one row", "edge sizes", 1, 3),
        case("logits up to 1e4", "stability", 6, 3, scale=5e3),
        case("converted to float64", "PyTorch rules", 7, 3, np.float64),
    ]


def _masked(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, t: int, k: int, *, ignored: tuple[int, ...],
             dtype: type = np.float64, scale: float = 2.0, **options: int) -> Case:
        # ``ignored``: for each sequence how many positions at its end do not count.
        index = options.get("ignore_index", IGNORED)
        labels = rng.integers(1 if index == 0 else 0, k, size=(n, t))
        for row, length in enumerate(ignored):
            labels[row, t - length:] = index
        logits: np.ndarray = (scale * rng.normal(size=(n, t, k))).astype(dtype)
        return _drive(rng, "loss_gradient", name, prop, (logits, labels), **options)

    return [
        case("2 sequences of 4, 3 classes", "values", 2, 4, 3, ignored=(1, 2)),
        # As many positions as classes: here a swapped axis has the right shape.
        case("3 sequences of 3, 3 classes", "values", 3, 3, 3, ignored=(0, 2, 1)),
        case("every position counts", "values", 2, 3, 4, ignored=(0, 0)),
        case("float32", "values", 2, 5, 3, ignored=(3, 1), dtype=np.float32),
        case("a sequence without labels", "edge sizes", 2, 3, 3, ignored=(3, 1)),
        case("no position counts", "edge sizes", 2, 2, 3, ignored=(2, 2)),
        case("one position", "edge sizes", 1, 1, 3, ignored=(0,)),
        case("ignore_index=0", "options", 2, 4, 3, ignored=(1, 2), ignore_index=0),
        case("ignore_index=-1", "options", 3, 2, 4, ignored=(1, 0, 1), ignore_index=-1),
        case("logits up to 1e4", "stability", 2, 3, 3, ignored=(1, 0), scale=5e3),
    ]


def _focal(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, *shape: int, dtype: type = np.float64,
             **options: float) -> Case:
        logits: np.ndarray = (2 * rng.normal(size=shape)).astype(dtype)
        targets: np.ndarray = _balanced(rng, *shape).astype(dtype)
        return _drive(rng, "loss_gradient", name, prop, (logits, targets), **options)

    large = np.array([1e4, -1e4, 1e4, -1e4, 40.0, -40.0]) * rng.uniform(0.9, 1, size=6)
    goal = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 1.0])
    return [
        case("8 numbers", "values", 8),
        case("4 rows, 3 columns", "values", 4, 3),
        case("float32", "values", 4, 2, dtype=np.float32),
        case("a single number", "edge sizes", 1),
        case("gamma=0", "options", 6, gamma=0.0),
        case("gamma=1", "options", 6, gamma=1.0),
        case("gamma=3.5", "options", 6, gamma=3.5),
        _drive(rng, "loss_gradient", "up to 1e4", "stability", (large, goal)),
        _drive(rng, "loss_gradient", "up to 1e4, float32", "stability",
               (large.astype(np.float32), goal.astype(np.float32))),
    ]


def _by_class(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, k: int, labels: list[int], dtype: type = np.float64,
             scale: float = 2.0) -> Case:
        shuffled = rng.permutation(np.array(labels))
        logits: np.ndarray = (scale * rng.normal(size=(len(labels), k))).astype(dtype)
        return _drive(rng, "loss_report", name, prop, (logits, shuffled))

    return [
        case("9 rows, 3 classes", "values", 3, [0, 0, 0, 0, 0, 1, 1, 2, 2]),
        case("8 rows, 4 classes", "values", 4, [0, 1, 1, 1, 2, 2, 3, 3]),
        case("float32", "values", 2, [0, 0, 0, 1, 1], np.float32),
        case("classes that do not occur", "edge sizes", 4, [0, 2, 2, 0, 2]),
        case("one row", "edge sizes", 3, [1]),
        case("logits up to 1e4", "stability", 3, [0, 1, 2, 2, 1], scale=5e3),
    ]


register(
    Operation("task_loss", "(task, output, target) -> loss", CHAPTER, "loss-by-task",
              ("loss", "doutput"), _task_loss, tracks=TORCH, weights={"options": 4.0}),
    Operation("BalancedCrossEntropy", "(counts); forward(logits, labels) -> loss", CHAPTER,
              "class-imbalance", ("loss", "dlogits", "buffers", "trained"),
              _balanced_cross_entropy, tracks=TORCH, kind="class"),
    Operation("masked_cross_entropy", "(logits, labels, *, ignore_index=-100) -> loss", CHAPTER,
              "losses-pytorch", ("loss", "dlogits"), _masked, tracks=TORCH,
              weights={"edge sizes": 2.0}),
    Operation("binary_focal_loss", "(logits, targets, *, gamma=2.0) -> loss", CHAPTER,
              "focal-loss", ("loss", "dlogits"), _focal, tracks=TORCH),
    Operation("loss_by_class", "(logits, labels) -> losses (k,)", CHAPTER,
              "metric-versus-loss", ("losses", "graph"), _by_class, tracks=TORCH,
              output_weights={"losses": 3.0}),
    Question(
        "softmax_twice",
        "A network ends in softmax, and its output goes into F.cross_entropy. With 3 classes, what "
        "is the smallest loss that it can reach?",
        "c",
        {
            "a": "0 would need logits that differ without bound. What goes in here are "
                 "probabilities, and they differ by 1 at most.",
            "b": "The perfect output (1, 0, 0) is taken for logits. Apply softmax to it: the right "
                 "class gets e / (e + 2), less than 1.",
            "d": "That is the loss of equal logits, ln 3. Training can still get below it, though "
                 "not far.",
        },
        CHAPTER, "loss-failures",
        {"a": "0, like any cross-entropy",
         "b": "close to 0, it only takes longer",
         "c": "ln(e + 2) - 1, about 0.55",
         "d": "ln 3, about 1.10"},
        tracks=TORCH),
    Question(
        "pos_weight_shift",
        "One target in ten is 1, and the input says nothing about which. You train with "
        "BCEWithLogitsLoss(pos_weight=torch.tensor(9.0)). To which number does sigmoid(output) go?",
        0.5,
        {
            "0.1": "That is the answer without pos_weight. Weighted by 9, the ones weigh as much "
                   "as all the zeros.",
            "0.9": "9 is the weight of one positive example, not of all. One positive with weight "
                   "9 stands against nine negatives with weight 1.",
            "1": "The zeros still pull down: nine of them, with weight 1 each.",
            "0.9878": "That adds ln 9 to a logit of ln 9. The logit without weights is negative: "
                      "one in ten is ln(1/9).",
        },
        CHAPTER, "class-imbalance", tolerance=1e-2, tracks=TORCH),
)
