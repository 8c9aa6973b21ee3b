"""Cases for how signals travel through deep networks, and the questions of chapter 7."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.cases.init import CHAPTER
from nnlib.contract.registry import register
from nnlib.errors import ShapeError


def _statistics(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, sizes: Sequence[int], n: int = 6, *,
             activation: str = "relu", dead: int = 0, dtype: type = np.float64) -> Case:
        """With ``dead`` that many units of each layer get a bias that switches them off."""
        params: list[tuple[np.ndarray, np.ndarray]] = []
        for d_in, d_out in pairwise(sizes):
            w = rng.normal(0.3, 1.0, size=(d_in, d_out)) / np.sqrt(d_in)
            b = rng.normal(0.2, 0.3, size=d_out)
            b[:dead] = -rng.uniform(20.0, 30.0, size=dead)
            params.append((w.astype(dtype), b.astype(dtype)))
        x: np.ndarray = rng.normal(0.3, 1.0, size=(n, sizes[0])).astype(dtype)
        dy: np.ndarray = rng.normal(0.1, 1.0, size=(n, sizes[-1])).astype(dtype)
        return Case(name, prop, (x, params, dy), {"activation": activation})

    x, dy = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    layer = (rng.normal(size=(3, 2)), np.zeros(2))
    return [
        case("3 layers of ReLU, 2 dead units each", "values", (5, 8, 6, 5), dead=2),
        case("4 layers of ReLU, one width", "values", (6, 6, 6, 6, 6), n=9, dead=1),
        case("3 layers of tanh", "values", (4, 7, 5, 6), activation="tanh"),
        case("float32", "values", (4, 8, 5), dead=1, dtype=np.float32),
        case("no activation", "options", (4, 5, 3), activation="identity"),
        case("one layer", "edge sizes", (4, 6), dead=1),
        case("one row", "edge sizes", (4, 9, 7), n=1),
        error_case("no layer", (x, [], x), ShapeError, "layer_statistics: there must be at least"),
        error_case("no row", (x[:0], [layer], dy[:0]), ShapeError,
                   "layer_statistics: there must be at least one layer and one row"),
        error_case("dy of another shape", (x, [layer], dy.T), ShapeError,
                   r"layer_statistics: dy must have shape \(4, 2\)"),
        error_case("unknown activation", (x, [layer], dy), ValueError,
                   "layer_statistics: activation must be", {"activation": "step"}),
    ]


def _predict(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, activation: str, sizes: tuple[int, ...], gain: float,
             q: float | None = None) -> Case:
        start = float(rng.uniform(0.5, 2.0)) if q is None else q
        # The grid of a quadrature is free, so a thousandth is close enough.
        variances = tuple(float(rng.uniform(0.8, 1.2)) * gain / d_in for d_in in sizes[:-1])
        return Case(name, prop, (activation, start, sizes, variances), drive="predicted_squares",
                    rtol=1e-3, atol=1e-9)

    drive = "predicted_squares"
    wrong = Case("a variance too few", "errors", ("relu", 1.0, (3, 4, 5), (0.1,)), drive=drive,
                 raises=ShapeError, match="predict_mean_squares: sizes must hold one more")
    negative = Case("a negative variance", "errors", ("relu", 1.0, (3, 4), (-0.1,)), drive=drive,
                    raises=ValueError, match="predict_mean_squares: each of weight_variances")
    return [
        case("ReLU, 4 layers of different width", "values", "relu", (30, 60, 20, 40, 10), 2.0),
        case("tanh, 5 layers", "values", "tanh", (50, 50, 80, 40, 40, 20), 1.5),
        case("no activation", "values", "identity", (10, 20, 30), 1.0),
        case("sigmoid, whose mean is not 0", "values", "sigmoid", (40, 30, 20, 10), 1.0),
        case("GELU", "options", "gelu", (20, 30, 30), 2.0),
        case("one layer", "edge sizes", "tanh", (7, 3), 1.0),
        case("an input of zeros", "edge sizes", "sigmoid", (5, 6, 7), 1.0, q=0.0),
        wrong, negative,
    ]


register(
    Operation("layer_statistics", '(x, params, dy, *, activation="relu") -> LayerStatistics',
              CHAPTER, "layer-statistics",
              ("variance", "mean_square", "dead", "gradient_mean_square"), _statistics,
              output_weights={"gradient_mean_square": 2.0}),
    Operation("predict_mean_squares",
              "(activation, mean_square, sizes, weight_variances) -> q (layers,)", CHAPTER,
              "mean-field", ("q",), _predict),
    Question(
        "halved_ten_times",
        "Ten ReLU layers, 256 units each, weights with variance 1/256. The inputs have mean "
        "square 1. What is the expected mean square of the tenth layer's outputs?",
        0.5**10,
        {"1": "That holds without an activation, or with variance 2/256. What does ReLU do to the "
              "mean square?",
         "0.5": "That is one layer. Ten of them multiply.",
         "0.03125": "That is the root: one half to the power of five. The question asks for the "
                    "mean square.",
         "5": "The factors of the layers multiply, they don't add.",
         "0.05": "The factors of the layers multiply: one half, ten times.",
         "1024": "The right number, upside down: variance 1/256 is too small for ReLU, so the "
                 "signal shrinks."},
        CHAPTER, "half-of-relu", tolerance=0.02, tracks=("numpy",),
    ),
    Question(
        "constant_start",
        "A network 64-100-10 with ReLU starts with every weight 0.1 and every bias 0. It is "
        "trained with gradient descent, in exact arithmetic, until the loss stands still. How "
        "many different functions do its 100 hidden units compute then?",
        1,
        {"100": "They start alike and get the same gradient at every step. What could part them?",
         "10": "The ten outputs differ, and their weights learn to differ. But for each output, "
               "all hidden units have the same outgoing weight, at every step.",
         "64": "Each unit's 64 incoming weights can learn to differ from each other. From unit to "
               "unit they stay the same.",
         "0": "All units compute the same function; that is one, not none. They do learn: the "
              "gradient is not 0."},
        CHAPTER, "symmetry", tracks=("numpy",),
    ),
    Question(
        "default_linear",
        "A stack of nn.Linear(512, 512), each followed by nn.ReLU, as PyTorch makes it. The "
        "mean square of the signal is multiplied by about which factor in each layer?",
        "c",
        {"a": "That would need variance 2/512. The default of nn.Linear is smaller.",
         "b": "That would be variance 1/512 with ReLU. The default is a uniform distribution on "
              "(-1/sqrt(512), 1/sqrt(512)): what is its variance?",
         "d": "1/3 is what the weights alone do. ReLU halves the mean square once more."},
        CHAPTER, "torch-default",
        {"a": "1", "b": "1/2", "c": "1/6", "d": "1/3"},
        tracks=("torch",),
    ),
    Question(
        "kaiming_on_our_layout",
        "A weight in this course's layout, (d_in, d_out) = (100, 400), is filled by "
        'nn.init.kaiming_normal_(w, nonlinearity="relu"). What is the variance of its entries?',
        2 / 400,
        {"0.02": "That would be right: 2 / d_in. But PyTorch expects (d_out, d_in) and takes the "
                 "number of inputs from axis 1.",
         "0.01": "ReLU has the gain sqrt(2), so the variance is 2 / fan_in. And which axis does "
                 "PyTorch take for the fan?",
         "0.0025": "The right fan. ReLU has the gain sqrt(2), so the variance is twice that.",
         "0.004": "That is Glorot's compromise, 2 / (d_in + d_out). Kaiming's scheme takes one "
                  "fan alone.",
         "0.0707": "That is the standard deviation. The question asks for the variance."},
        CHAPTER, "initialization-pytorch", tolerance=0.01, tracks=("torch",),
    ),
)
