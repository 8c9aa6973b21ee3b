"""Cases for what chapter 3 adds to the layers of `dense`: answers, batches, a built network."""

from collections.abc import Sequence

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "03-forward-pass"


def _column(rng: np.random.Generator, n: int, dtype: type = np.float64) -> np.ndarray:
    """Draw ``(n, 1)`` scores of both signs, some between 0 and 1/2."""
    size = rng.permutation(np.linspace(0.1, 3.0, n))
    sign = rng.permutation(np.arange(n) % 2) * 2 - 1
    scores = (size * sign)[:, np.newaxis]
    # One small positive score: the sign decides, not a threshold of 1/2.
    scores[0, 0] = rng.uniform(0.1, 0.4)
    return np.asarray(scores, dtype)


def _logits_errors(name: str) -> list[Case]:
    return [
        error_case("one row without its axis", (np.ones(3),), ShapeError,
                   rf"{name}: logits must have shape \(n, k\), got \(3,\)"),
        error_case("no columns", (np.ones((3, 0)),), ShapeError,
                   f"{name}: logits must have at least one column"),
        error_case("integers", (np.ones((3, 2), int),), DtypeError,
                   f"{name}: logits must hold floats"),
    ]


def _predict_proba(rng: np.random.Generator) -> list[Case]:
    wide = rng.permuted(np.linspace(-1e4, 1e4, 12).reshape(4, 3), axis=1)
    return [
        Case("4 rows, 3 classes", "values", (2 * rng.normal(size=(4, 3)),)),
        Case("3 rows, 3 classes", "values", (2 * rng.normal(size=(3, 3)),)),
        Case("2 classes", "values", (rng.normal(size=(5, 2)),)),
        Case("one column: class 1 against class 0", "options", (_column(rng, 5),)),
        Case("float32", "values", (rng.normal(size=(4, 3)).astype(np.float32),)),
        Case("one row", "edge sizes", (rng.normal(size=(1, 4)),)),
        Case("one row, one column", "edge sizes", (_column(rng, 1),)),
        Case("no rows", "edge sizes", (np.zeros((0, 3)),)),
        Case("up to 1e4", "stability", (wide,)),
        Case("one column up to 1e4", "stability", (wide[:, :1].copy(),)),
        *_logits_errors("predict_proba"),
    ]


def _predict(rng: np.random.Generator) -> list[Case]:
    return [
        Case("7 rows, 4 classes", "values", (rng.normal(size=(7, 4)),)),
        Case("3 rows, 3 classes", "values", (rng.normal(size=(3, 3)),)),
        Case("one column: class 1 against class 0", "options", (_column(rng, 8),)),
        Case("float32", "values", (rng.normal(size=(5, 3)).astype(np.float32),)),
        Case("one column, a score of exactly 0", "kinks", (np.array([[-1.0], [0.0], [1.0]]),)),
        Case("one row", "edge sizes", (rng.normal(size=(1, 4)),)),
        Case("one row, one column", "edge sizes", (_column(rng, 1),)),
        Case("no rows", "edge sizes", (np.zeros((0, 3)),)),
        *_logits_errors("predict"),
    ]


def _predict_in_batches(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, batch_size: int, dtype: type = np.float64) -> Case:
        args: tuple[np.ndarray, ...] = (rng.normal(size=(n, 3)).astype(dtype),
                                        rng.normal(size=(3, 2)).astype(dtype))
        return Case(name, prop, args, {"batch_size": batch_size}, drive="in_batches")

    return [
        case("6 rows, 3 at a time", "values", 6, 3),
        case("7 rows, 3 at a time", "values", 7, 3),
        case("float32", "values", 5, 2, np.float32),
        case("fewer rows than a batch", "edge sizes", 3, 8),
        case("one row at a time", "edge sizes", 4, 1),
        case("no rows", "edge sizes", 0, 4),
    ]


def _interpolation_params(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, intervals: int, dtype: type = np.float64,
             start: float = -1.5) -> Case:
        # Uneven on purpose: with equal spacing 1 a forgotten division would not show.
        knots: np.ndarray = start + np.cumsum([0.0, *rng.uniform(0.4, 1.3, size=intervals)])
        values: np.ndarray = rng.normal(size=intervals + 1) + 0.5
        inside = knots[0] + (knots[-1] - knots[0]) * rng.uniform(size=2 * intervals)
        points = np.concatenate([knots, inside])[:, np.newaxis]
        args: tuple[np.ndarray, ...] = tuple(
            array.astype(dtype) for array in (knots, values, points))
        return Case(name, prop, args, drive="network_on_points")

    return [
        case("4 intervals", "values", 4),
        case("7 intervals", "values", 7),
        case("knots far from 0", "values", 3, start=2.0),
        case("float32", "values", 4, np.float32),
        case("one interval", "edge sizes", 1),
    ]


QUESTIONS: Sequence[Question] = (
    Question(
        "answer_parameter_count",
        "How many numbers does a network with the sizes 784, 128, 10 learn?",
        101770,
        {"101632": "Those are the weights. Each hidden unit and each output has a bias too.",
         "100480": "That is the first layer alone. The second one learns numbers as well.",
         "138": "That counts units. Each unit has a weight for every unit of the layer before.",
         "922": "Sizes of neighbouring layers multiply: every unit is joined to every unit of "
                "the layer before.",
         "102554": "The inputs have no biases: 784 too many.",
         "101760": "The ten outputs have biases too.",
         "101642": "The 128 hidden units have biases too."},
        CHAPTER, "count-parameters", tracks=("numpy",)),
    Question(
        "answer_double_width",
        "A network has 20 inputs, five hidden layers of 300 units and 10 outputs. You double the "
        "width of every hidden layer. What happens to the number of parameters?",
        "c",
        {"a": "The inputs and outputs stay, but they are a small part. Between two hidden layers "
              "both sizes of the matrix double.",
         "b": "Twice the units would mean twice the parameters if each unit kept its number of "
              "inputs. It sees the layer before, which has doubled too.",
         "d": "Width enters a weight matrix twice, as d_in and as d_out, not once for each layer. "
              "The number of layers does not change."},
        CHAPTER, "depth-against-width",
        {"a": "It stays almost the same.", "b": "It about doubles.", "c": "It about quadruples.",
         "d": "It grows about 32 times, by 2 for each of five layers."},
        tracks=("numpy",)),
)

register(
    Operation("predict_proba", "(logits) -> p", CHAPTER, "predict-proba", ("p",),
              _predict_proba, weights={"options": 3.0}),
    Operation("predict", "(logits) -> labels", CHAPTER, "predict", ("labels",), _predict,
              weights={"options": 3.0}),
    Operation("predict_in_batches", "(forward, x, *, batch_size) -> y", CHAPTER, "batches",
              ("y", "memory", "calls"), _predict_in_batches,
              output_weights={"y": 3.0}),
    Operation("interpolation_params", "(knots, values) -> [(w, b), (w, b)]", CHAPTER,
              "universal-approximation", ("y",), _interpolation_params),
    *QUESTIONS,
)
