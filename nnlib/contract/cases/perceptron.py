"""Cases for chapter 1: one neuron, its line, the perceptron rule, gates and XOR."""

from collections.abc import Sequence

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.registry import register

CHAPTER = "01-neurons"
CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def rows_along(
    rng: np.random.Generator, places: np.ndarray, d: int, dtype: type = np.float64
) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``w (d,)`` and rows ``x (n, d)`` with ``x @ w / norm(w) = places``.

    So the order of the rows along w is known, whatever the numbers are. The length of w stays
    away from 1, where a forgotten division by it would not show.
    """
    w = rng.normal(size=d)
    w *= rng.uniform(1.8, 3.0) / np.linalg.norm(w)
    unit = w / np.linalg.norm(w)
    noise = rng.normal(size=(len(places), d))
    x = noise + (places - noise @ unit)[:, None] * unit
    return x.astype(dtype), w.astype(dtype)


def _neuron_rows(
    rng: np.random.Generator, n: int, d: int, *, shift: float, spread: float = 1.2,
    dtype: type = np.float64,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Draw ``x, w, b`` with the line at ``-shift`` along w and rows evenly on both sides."""
    places = rng.permutation(np.linspace(-spread, spread, n)) - shift
    x, w = rows_along(rng, places, d, dtype)
    return x, w, float(shift * np.linalg.norm(w))


def _on_the_line(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Small whole numbers, so that ``z = 0`` holds exactly for the first three rows."""
    w = rng.choice([-2.0, -1.0, 1.0, 2.0], size=2)
    start = rng.integers(-3, 4, size=2).astype(np.float64)
    along = np.array([-w[1], w[0]])
    on = start + np.array([0.0, 1.0, -2.0])[:, None] * along
    off = start + np.stack([w, -w, 3 * w])
    return np.concatenate([on, off]), w, float(-(start @ w))


def _neuron_forward(rng: np.random.Generator) -> Sequence[Case]:
    x, w, b = _neuron_rows(rng, 4, 3, shift=0.4)
    return [
        Case("12 rows, 3 inputs, negative bias", "values", _neuron_rows(rng, 12, 3, shift=-3.0)),
        Case("12 rows, 3 inputs, positive bias", "values", _neuron_rows(rng, 12, 3, shift=0.5)),
        Case("float32", "values", _neuron_rows(rng, 12, 4, shift=0.5, dtype=np.float32)),
        Case("rows exactly on the line", "kinks", _on_the_line(rng)),
        Case("one row", "edge sizes", (x[:1], w, b)),
        Case("no rows", "edge sizes", (x[:0], w, b)),
        Case("one input", "edge sizes", _neuron_rows(rng, 6, 1, shift=0.5)),
    ]


def _signed_distance(rng: np.random.Generator) -> Sequence[Case]:
    x, w, b = _neuron_rows(rng, 4, 3, shift=0.4)
    return [
        Case("6 rows in the plane", "values", _neuron_rows(rng, 6, 2, shift=0.5)),
        Case("6 rows, 4 inputs", "values", _neuron_rows(rng, 6, 4, shift=-0.7)),
        Case("float32", "values", _neuron_rows(rng, 6, 3, shift=0.5, dtype=np.float32)),
        Case("rows exactly on the line", "kinks", _on_the_line(rng)),
        Case("one row", "edge sizes", (x[:1], w, b)),
        Case("no rows", "edge sizes", (x[:0], w, b)),
        Case("one input, negative weight", "edge sizes", (rng.normal(size=(3, 1)),
                                                          np.array([-2.5]), 1.0)),
    ]


def _example(
    rng: np.random.Generator, z: float, *, d: int = 3, bias: float = 0.0,
    dtype: type = np.float64,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Draw ``x (d,), w (d,)`` and b with ``x @ w + b = z``; ``bias`` is b's share of it."""
    x, w = rows_along(rng, np.zeros(1), d, np.float64)
    length = float(np.linalg.norm(w))
    x = x + (z - bias) * w / length**2
    return x[0].astype(dtype), w.astype(dtype), bias


def _perceptron_update(rng: np.random.Generator) -> Sequence[Case]:
    def case(name: str, prop: str, t: int, drawn: tuple, **options: float) -> Case:
        x, w, b = drawn
        return Case(name, prop, (x, t, w, b), options)

    on = np.array([1.0, 2.0]), np.array([2.0, -1.0]), 0.0
    return [
        case("a missed 1", "values", 1, _example(rng, -1.5, bias=0.4)),
        case("a false 1", "values", 0, _example(rng, 1.5, bias=0.4)),
        case("an output that is right, target 1", "values", 1, _example(rng, 1.5, bias=0.4)),
        case("an output that is right, target 0", "values", 0, _example(rng, -1.5, bias=0.4)),
        case("wrong only because of the bias", "values", 0, _example(rng, 0.8, bias=2.0)),
        case("float32", "values", 1, _example(rng, -1.5, d=4, bias=0.4, dtype=np.float32)),
        case("weighted sum exactly 0, target 0", "kinks", 0, on),
        case("weighted sum exactly 0, target 1", "kinks", 1, on),
        case("one input", "edge sizes", 1, _example(rng, -1.0, d=1, bias=0.3)),
        case("learning_rate 0.25", "options", 0, _example(rng, 1.2, bias=0.4),
             learning_rate=0.25),
    ]


def separable(
    rng: np.random.Generator, n: int, d: int, dtype: type = np.float64
) -> tuple[np.ndarray, np.ndarray]:
    """Draw two classes with a narrow gap, off the origin: several epochs, and a bias, needed."""
    side = rng.permutation(np.arange(n) % 2)
    places = (2 * side - 1) * rng.uniform(0.15, 1.0, size=n) + 1.5
    x, _ = rows_along(rng, places, d, dtype)
    return x, side.astype(np.int64)


def _perceptron_fit(rng: np.random.Generator) -> Sequence[Case]:
    order = rng.permutation(4)
    small = separable(rng, 8, 2)
    ones = rng.normal(size=(3, 2))
    return [
        Case("12 rows, 2 inputs", "values", separable(rng, 12, 2), {"epochs": 400}),
        Case("10 rows, 3 inputs", "values", separable(rng, 10, 3), {"epochs": 400}),
        Case("AND, rows in random order", "values", (CORNERS[order], order // 3)),
        Case("float32", "values", separable(rng, 10, 2, np.float32), {"epochs": 400}),
        Case("one row", "edge sizes", (rng.normal(size=(1, 3)), np.array([0]))),
        Case("every row right from the start", "edge sizes", (ones, np.ones(3, dtype=np.int64))),
        Case("learning_rate 0.5", "options", small, {"epochs": 50, "learning_rate": 0.5}),
        Case("XOR, 6 epochs: no line separates it", "options",
             (CORNERS, np.array([0, 1, 1, 0])), {"epochs": 6}),
    ]


def _gate_neurons(rng: np.random.Generator) -> Sequence[Case]:
    return [Case("all four inputs", "values", drive="gates", judge="truth table")]


def _xor_forward(rng: np.random.Generator) -> Sequence[Case]:
    many = CORNERS[rng.permutation(np.arange(9) % 4)]
    return [
        Case("the four corners", "values", (CORNERS,)),
        Case("9 rows in random order", "values", (many,)),
        Case("float32", "values", (many[::-1].astype(np.float32),)),
        Case("one row", "edge sizes", (CORNERS[3:],)),
        Case("no rows", "edge sizes", (CORNERS[:0],)),
    ]


register(
    Operation("neuron_forward", "(x, w, b) -> y", CHAPTER, "neuron-forward", ("y",),
              _neuron_forward),
    Operation("signed_distance", "(x, w, b) -> r", CHAPTER, "decision-line", ("r",),
              _signed_distance),
    Operation("perceptron_update", "(x, t, w, b, *, learning_rate=1.0) -> (w, b)", CHAPTER,
              "perceptron-rule", ("w", "b"), _perceptron_update),
    Operation("perceptron_fit",
              "(x, t, *, epochs=100, learning_rate=1.0) -> PerceptronFit(w, b, errors)", CHAPTER,
              "perceptron-fit", ("w", "b", "errors"), _perceptron_fit),
    Operation("gate_neurons", '{"and": (w, b), "or": (w, b), "nand": (w, b)}', CHAPTER,
              "logic-gates", ("and", "or", "nand"), _gate_neurons, tracks=("numpy",),
              kind="value"),
    Operation("xor_forward", "(x) -> y", CHAPTER, "xor-two-layers", ("y",), _xor_forward),
    Question(
        "answer_update_change",
        "x = (3, -1, 1) has target 0 and z = 1.5. What is its z after one perceptron update with "
        "learning rate 0.5?",
        -4.5,
        {"7.5": "You moved z up. The target is 0 and the output 1, so t - y = -1 and z must fall.",
         "-4.0": "That counts norm(x)^2 = 11 alone. The bias moves too and adds 1 to the step.",
         "7.0": "Two things: the sign of t - y, and the bias, which moves as well.",
         "-10.5": "That is the step for learning rate 1. Here it is half as long.",
         "-6.0": "That is the change of z. The question asks where z ends.",
         "1.0": "Only the bias moved in your count. The weights move by a multiple of x, and "
                "that changes z by a multiple of norm(x)^2."},
        CHAPTER, "perceptron-rule", tracks=("numpy",)),
    Question(
        "answer_xor_epochs",
        "You run perceptron_fit on the four XOR points with epochs=1000. What does errors show?",
        "c",
        {"a": "Four inequalities contradict each other: no line gets all four right, so no epoch "
              "can pass without an update.",
         "b": "The rule keeps no memory of its best line. It changes the weights at every mistake, "
              "and each epoch has at least one.",
         "d": "An early stop needs an epoch without updates. Some point is wrong in every epoch."},
        CHAPTER, "xor-proof",
        {"a": "It reaches 0, only later than for AND.",
         "b": "It falls to 1, since a line can get three of four points right, and stays there.",
         "c": "1000 numbers, none of them 0.",
         "d": "It stops early, at the best possible line."},
        tracks=("numpy",)),
)
