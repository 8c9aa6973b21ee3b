"""Cases for training: batches, steps, epochs, measures."""

from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Rng
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "06-training"


def _data(rng: np.random.Generator, n: int, *, classes: bool = False) -> tuple[Any, ...]:
    """Draw x (n, 3), whose first column numbers the rows, targets, and a linear model."""
    x = rng.normal(size=(n, 3))
    x[:, 0] = (np.arange(n) + rng.uniform(0, 0.1)) / max(n, 1)
    y = rng.integers(2, size=n) if classes else rng.normal(size=(n, 2))
    return x, y, {"w": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}


def _batches(rng: np.random.Generator) -> list[Case]:
    def numbered(n: int, columns: int = 2) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, columns))
        return x, x[:, 0].copy()

    def case(label: str, prop: str, n: int, **options: Any) -> Case:
        return Case(label, prop, numbered(n), options, drive="batches")

    x, y = numbered(6)
    name = "iterate_batches"
    shuffled = {"batch_size": 2, "rng": Rng(0)}
    return [
        case("40 rows in batches of 10", "values", 40, batch_size=10, rng=Rng(0)),
        case("43 rows in batches of 10", "values", 43, batch_size=10, rng=Rng(1)),
        case("in order", "options", 23, batch_size=5, shuffle=False),
        case("in order, drop_last", "options", 23, batch_size=5, shuffle=False, drop_last=True),
        case("drop_last", "options", 43, batch_size=10, rng=Rng(2), drop_last=True),
        case("batches of one", "edge sizes", 12, batch_size=1, rng=Rng(3)),
        case("one batch", "edge sizes", 12, batch_size=50, rng=Rng(4)),
        case("no rows", "edge sizes", 0, batch_size=4, shuffle=False),
        error_case("no rng", (x, y), ValueError, f"{name}: rng must be given when shuffle=True",
                   {"batch_size": 2}),
        error_case("batch_size=0", (x, y), ValueError, f"{name}: batch_size must be an integer",
                   {**shuffled, "batch_size": 0}),
        error_case("a seed for the rng", (x, y), DtypeError, f"{name}: rng must be a",
                   {**shuffled, "rng": 7}),
        error_case("x and y of different length", (x, y[:5].copy()), ShapeError,
                   f"{name}: x and y must have the same number of rows", shuffled),
    ]


def _train_step(rng: np.random.Generator) -> list[Case]:
    def case(label: str, prop: str, n: int, *, classes: bool = False, **options: Any) -> Case:
        given = {"loss": "softmax_cross_entropy" if classes else "mse", "optimizer": "sgd",
                 "learning_rate": 0.1, **options}
        return Case(label, prop, _data(rng, n, classes=classes), given, drive="train_step")

    return [
        case("mean squared error, sgd", "values", 5),
        case("cross-entropy, adam", "values", 6, classes=True, optimizer="adam"),
        case("momentum", "values", 4, optimizer="momentum", learning_rate=0.05),
        case("one example", "edge sizes", 1),
        case("max_grad_norm=0.1", "options", 5, max_grad_norm=0.1),
        case("max_grad_norm=1000: never scaled up", "options", 5, max_grad_norm=1e3),
        case("a penalty", "options", 5, penalty=_weights_only),
    ]


def _weights_only(params: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Penalise the weights but not the biases."""
    return 0.05 * (params["w"] ** 2).sum(), {"w": 0.1 * params["w"]}


def _fit(rng: np.random.Generator) -> list[Case]:
    def whole(label: str, prop: str, n: int, *, classes: bool = False, **options: Any) -> Case:
        given = {"loss": "softmax_cross_entropy" if classes else "mse", "optimizer": "sgd",
                 "learning_rate": 0.1, "epochs": 4, "batch_size": 100, **options}
        return Case(label, prop, _data(rng, n, classes=classes), given, drive="fit")

    return [
        whole("full batches, sgd", "values", 12),
        whole("full batches, adam", "values", 12, optimizer="adam", epochs=7),
        whole("full batches, accuracy", "values", 15, classes=True, metrics=["accuracy"]),
        whole("a validation part", "values", 12, validation=_data(rng, 7)[:2]),
        whole("a schedule", "options", 12, learning_rate=lambda step: 0.2 / (1 + step)),
        whole("max_grad_norm=0.1", "options", 12, max_grad_norm=0.1),
        whole("a penalty", "options", 12, penalty=_weights_only),
        whole("a callback that ends it", "options", 12,
              callbacks=[lambda run: run.epoch == 1]),
        whole("one example", "edge sizes", 1),
        whole("no epochs", "edge sizes", 5, epochs=0),
    ]


def _fit_batches(rng: np.random.Generator) -> list[Case]:
    def case(label: str, prop: str, n: int, **options: Any) -> Case:
        given = {"loss": "mse", "optimizer": "sgd", "learning_rate": 0.01, "epochs": 3, **options}
        return Case(label, prop, _data(rng, n), given, drive="fit_batches")

    return [
        case("43 rows in batches of 10", "repeatable", 43, batch_size=10),
        case("batches of 16, a validation part", "repeatable", 40, batch_size=16,
             validation=_data(rng, 9)[:2]),
    ]


def _fit_errors(rng: np.random.Generator) -> list[Case]:
    x, y, params = _data(rng, 6)
    good = {"loss": "mse", "optimizer": "sgd", "learning_rate": 0.1, "epochs": 1}

    def case(label: str, raises: type[Exception], match: str, *, x: Any = x, y: Any = y,
             **options: Any) -> Case:
        return Case(label, "errors", (x, y, params), {**good, **options}, drive="fit",
                    raises=raises, match=f"fit: {match}")

    return [
        case("learning_rate=0", ValueError, "learning_rate must be a finite number > 0",
             learning_rate=0.0),
        case("a schedule that ends at 0", ValueError, "the schedule must return a number > 0",
             learning_rate=lambda step: 0.0),
        case("epochs=-1", ValueError, "epochs must be an integer >= 0", epochs=-1),
        case("batch_size=0", ValueError, "batch_size must be an integer >= 1", batch_size=0),
        case("no rows", ShapeError, "x must have at least one row", x=x[:0], y=y[:0]),
        case("x and y of different length", ShapeError, "x and y must have the same", y=y[:4]),
        case("half a validation part", DtypeError, r"validation must be the pair \(x, y\)",
             validation=x),
        case("max_grad_norm=0", ValueError, "max_grad_norm must be", max_grad_norm=0.0),
    ]


def _evaluate(rng: np.random.Generator) -> list[Case]:
    def case(label: str, prop: str, n: int, *, classes: bool = False, **options: Any) -> Case:
        given = {"loss": "softmax_cross_entropy" if classes else "mse", **options}
        return Case(label, prop, _data(rng, n, classes=classes), given, drive="evaluate")

    x, y, params = _data(rng, 6)
    return [
        case("mean squared error", "values", 9),
        case("accuracy", "values", 11, classes=True, metrics=["accuracy"]),
        # The mean over batches is not the mean over examples where the last batch is smaller.
        case("batches of 4, the last of 1", "values", 9, classes=True, metrics=["accuracy"],
             batch_size=4),
        case("one example", "edge sizes", 1),
        Case("no rows", "errors", (x[:0], y[:0], params), {"loss": "mse"}, drive="evaluate",
             raises=ShapeError, match="evaluate: x must have at least one row"),
    ]


def _scores(rng: np.random.Generator, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw scores and labels; about half of the labels are right."""
    scores = rng.normal(size=(n, k))
    labels = np.where(rng.uniform(size=n) < 0.5, scores.argmax(axis=1), rng.integers(k, size=n))
    return scores, labels


def _accuracy(rng: np.random.Generator) -> list[Case]:
    name = "accuracy"
    scores, labels = _scores(rng, 8, 3)
    return [
        Case("30 rows, 4 classes", "values", _scores(rng, 30, 4)),
        Case("3 rows, 3 classes", "values", _scores(rng, 3, 3)),
        Case("float32", "values", (scores.astype(np.float32), labels)),
        Case("class numbers", "options", (scores.argmax(axis=1), labels)),
        Case("one row", "edge sizes", _scores(rng, 1, 3)),
        error_case("no rows", (np.zeros((0, 3)), np.zeros(0, int)), ShapeError,
                   f"{name}: labels must hold at least one example"),
        error_case("one score a row", (scores[:, 0].copy(), labels), DtypeError,
                   rf"{name}: predictions of shape \(n,\) must be class numbers, got float64"),
        error_case("a column of labels", (scores, labels[:, None]), ShapeError,
                   rf"{name}: labels must have shape \(8,\), got \(8, 1\)"),
        error_case("labels as floats", (scores, labels.astype(float)), DtypeError,
                   f"{name}: labels must hold integers"),
    ]


def _confusion(rng: np.random.Generator) -> list[Case]:
    name = "confusion_matrix"
    scores, labels = _scores(rng, 8, 3)
    three, four = {"num_classes": 3}, {"num_classes": 4}
    return [
        Case("30 rows, 4 classes", "values", _scores(rng, 30, 4), four),
        Case("float32", "values", (scores.astype(np.float32), labels), three),
        Case("class numbers", "options", (scores.argmax(axis=1), labels), three),
        Case("a class that does not occur", "options", (scores, labels), {"num_classes": 5}),
        Case("one row", "edge sizes", _scores(rng, 1, 3), three),
        Case("no rows", "edge sizes", (np.zeros((0, 3)), np.zeros(0, int)), three),
        error_case("a label too large", (scores, labels + 3), ValueError,
                   f"{name}: labels must lie from 0 to 2", three),
        error_case("a prediction too large", (np.full(8, 3), labels), ValueError,
                   f"{name}: predictions must lie from 0 to 2, got 3", three),
        error_case("num_classes=0", (scores, labels), ValueError,
                   f"{name}: num_classes must be an integer >= 1", {"num_classes": 0}),
    ]


register(
    Operation("iterate_batches",
              "(x, y, *, batch_size, rng=None, shuffle=True, drop_last=False) -> batches",
              CHAPTER, "mini-batches", ("sizes", "rows", "order", "x_and_y_together"), _batches),
    Operation("train_step",
              "(model, x, y, *, loss, optimizer, state, learning_rate, penalty=None, "
              "max_grad_norm=None) -> StepResult(loss, predictions, state)", CHAPTER,
              "training-step", ("loss", "predictions", "state", "params"), _train_step),
    Operation("fit",
              '(model, x, y, *, loss, optimizer="adam", learning_rate=1e-3, epochs, '
              "batch_size=32, rng, validation=None, ...) -> History", CHAPTER, "fit",
              ("history", "params"),
              lambda rng: [*_fit(rng), *_fit_batches(rng), *_fit_errors(rng)]),
    Operation("evaluate", "(model, x, y, *, loss, metrics=None, batch_size=256) -> dict", CHAPTER,
              "evaluate", ("numbers", "modes"), _evaluate),
    Operation("accuracy", "(predictions, labels) -> float", CHAPTER, "accuracy", ("accuracy",),
              _accuracy),
    Operation("confusion_matrix", "(predictions, labels, *, num_classes) -> counts", CHAPTER,
              "confusion-matrix", ("counts",), _confusion),
)
