"""Cases for the PyTorch notebook of chapter 2, and the questions of both its notebooks.

The drivers are in `nnlib.checks.torch_drivers` and `torch_activation_drivers`.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.cases.activations import CHAPTER, away_from_zero
from nnlib.contract.registry import register

TORCH = ("torch",)
#: (rtol, atol) by the dtype of the computation: a norm comes back as a Python float, which does
#: not show that it was computed in float32.
TOLERANCES: dict[type, tuple[float, float]] = {
    np.float64: (1e-7, 1e-12), np.float32: (2e-4, 2e-6)}


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _learnable_swish(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, ...], dtype: type = np.float64) -> Case:
        beta: np.ndarray = rng.uniform(0.3, 2.0, size=shape[-1]).astype(dtype)
        options = {"init": {"num_features": shape[-1]}, "parameters": {"beta": beta}}
        return Case(name, prop, (rng.normal(size=shape).astype(dtype),), options, drive="module",
                    seed=_seed(rng))

    wide = np.array([[-1e4, 50.0, 1e4], [-50.0, -1e3, 1e3]]) * rng.uniform(0.9, 1.0, size=(2, 3))
    beta: np.ndarray = rng.uniform(0.3, 2.0, size=3)
    return [
        case("5 rows, 3 features", "values", (5, 3)),
        # Square on purpose: a beta for each row would have the right shape here.
        case("4 rows, 4 features", "values", (4, 4)),
        case("three axes", "values", (2, 3, 4)),
        case("float32", "values", (6, 2), np.float32),
        case("one row", "edge sizes", (1, 3)),
        case("one feature", "edge sizes", (4, 1)),
        case("no rows", "edge sizes", (0, 3)),
        Case("up to 1e4", "stability", (wide,),
             {"init": {"num_features": 3}, "parameters": {"beta": beta}}, drive="module",
             seed=_seed(rng)),
        Case("a new module starts at 1", "options",
             (rng.normal(size=(4, 3)).astype(np.float32),), {"init": {"num_features": 3}},
             drive="module", seed=_seed(rng)),
    ]


def _stable_elu(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, x: np.ndarray, **options: float) -> Case:
        return Case(name, prop, (x,), options, drive="gradient", seed=_seed(rng))

    wide = np.array([-1e4, -1e3, -50.0, -5.0, 5.0, 50.0, 1e3, 1e4])
    wide = wide * rng.uniform(0.9, 1.0, size=wide.shape)
    return [
        case("4 rows, 3 columns", "values", away_from_zero(rng, (4, 3))),
        case("one axis", "values", away_from_zero(rng, (7,))),
        case("float32", "values", away_from_zero(rng, (4, 3), np.float32)),
        case("a batch of one", "edge sizes", away_from_zero(rng, (1, 3))),
        case("no rows", "edge sizes", np.zeros((0, 3))),
        case("a single number", "edge sizes", away_from_zero(rng, ())),
        case("up to 1e4", "stability", wide),
        case("up to 1e4, float32", "stability", wide.astype(np.float32)),
        case("alpha=0.5", "options", away_from_zero(rng, (6,)), alpha=0.5),
        case("alpha=2.0", "options", away_from_zero(rng, (6,)), alpha=2.0),
    ]


def _gradient_norms(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, layers: Sequence[tuple[str, int]], n: int = 4,
             dtype: type = np.float64) -> Case:
        """``layers``: activation and number of outputs of each layer; 3 inputs."""
        sizes = [3, *(size for _, size in layers)]
        weights: tuple[np.ndarray, ...] = tuple(
            np.asarray(rng.normal(size=pair), dtype) for pair in pairwise(sizes))
        keys = tuple(key for key, _ in layers)
        x: np.ndarray = np.asarray(rng.normal(size=(n, 3)), dtype)
        dy: np.ndarray = np.asarray(rng.normal(size=(n, sizes[-1])), dtype)
        rtol, atol = TOLERANCES[dtype]
        return Case(name, prop, (keys, weights, x, dy), drive="torch_gradient_norms", rtol=rtol,
                    atol=atol)

    deep = [("tanh", 4)] * 12
    return [
        case("3 layers", "values", [("tanh", 5), ("sigmoid", 4), ("identity", 2)]),
        case("4 layers of one width", "values", [("sigmoid", 3)] * 4),
        case("12 layers", "values", deep),
        case("float32", "values", [("tanh", 5), ("softplus", 4)], dtype=np.float32),
        case("softmax at the end", "values", [("tanh", 4), ("softmax", 3)]),
        case("one layer", "edge sizes", [("tanh", 2)]),
        case("one row", "edge sizes", [("tanh", 2), ("tanh", 3)], n=1),
    ]


def _activity_monitor(rng: np.random.Generator) -> list[Case]:
    def batches(dtype: type = np.float64, *, below: float = 0.0) -> tuple[np.ndarray, ...]:
        """Three batches of 6 rows, 5 units: one fires always, two rarely, two never."""
        drawn: list[np.ndarray] = []
        for step in range(3):
            h = np.full((6, 5), -below) * rng.uniform(0.5, 1.0, size=(6, 5))
            h[:, 0] = rng.uniform(0.5, 2.0, size=6)
            if step == 0:
                h[2, 1] = rng.uniform(0.5, 2.0)
            if step == 2:
                h[4, 3] = rng.uniform(0.5, 2.0)
            drawn.append(h.astype(dtype))
        return tuple(drawn)

    def case(name: str, prop: str, given: tuple[np.ndarray, ...], **options: int) -> Case:
        return Case(name, prop, (given,), options, drive="torch_monitor", seed=_seed(rng))

    return [
        case("3 batches", "values", batches()),
        case("one batch", "values", batches()[:1]),
        case("float32", "values", batches(np.float32)),
        case("negative outputs", "values", batches(below=0.1)),
        case("one row", "edge sizes", (batches()[0][2:3],)),
        case("no rows", "edge sizes", (np.zeros((0, 5)),)),
        case("reset after two batches", "options", batches(), reset_after=2),
        case("saved with the model, not trained", "PyTorch rules", batches(), rules=True),
    ]


def _log_probability(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, ...], dtype: type = np.float64,
             scale: float = 1.0) -> Case:
        scores = scale * rng.normal(size=shape)
        labels = rng.integers(0, shape[1], size=(shape[0], *shape[2:]))
        return Case(name, prop, (scores.astype(dtype), labels), drive="gradient", seed=_seed(rng))

    return [
        case("4 rows, 3 classes", "values", (4, 3)),
        case("3 rows, 3 classes", "values", (3, 3)),
        # Every axis has 3 entries: only the numbers tell which one was taken.
        case("3 images of 3 x 3 pixels", "values", (3, 3, 3, 3)),
        case("2 images of 4 x 3 pixels", "values", (2, 5, 4, 3)),
        case("float32", "values", (4, 3), np.float32),
        case("one row", "edge sizes", (1, 3)),
        case("one class", "edge sizes", (4, 1)),
        case("no rows", "edge sizes", (0, 3)),
        case("up to 1e4", "stability", (6, 4), scale=4e3),
        case("up to 1e4, float32", "stability", (6, 4), np.float32, scale=4e3),
    ]


register(
    Operation("LearnableSwish", "(num_features); forward(x) -> x * sigmoid(beta * x)", CHAPTER,
              "learnable-activation", ("y", "gradients"), _learnable_swish, tracks=TORCH,
              kind="class"),
    Operation("stable_elu", "(x, *, alpha=1.0) -> y", CHAPTER, "where-trap", ("y", "dx"),
              _stable_elu, tracks=TORCH, output_weights={"y": 1.0, "dx": 2.0},
              weights={"stability": 5.0}),
    Operation("gradient_norms", "(layers, x, dy) -> list of float", CHAPTER,
              "gradient-through-depth", ("norms",), _gradient_norms, tracks=TORCH),
    Operation("ActivityMonitor", "(num_features); forward(h) -> h; dead() -> int; reset()",
              CHAPTER, "dead-units", ("y", "dh", "dead", "buffers"), _activity_monitor,
              tracks=TORCH, kind="class",
              output_weights={"y": 0.5, "dh": 0.5, "dead": 2.0, "buffers": 1.0}),
    Operation("log_probability", "(scores, labels) -> log probabilities", CHAPTER, "log-softmax",
              ("y", "dscores"), _log_probability, tracks=TORCH),
    Question(
        "slope_of_ten_sigmoids",
        "Ten units with a sigmoid in a row, every weight 1. A gradient of 1 arrives at the last. "
        "What is the largest gradient that can come out at the first?",
        0.25**10,
        {"2.5": "The slopes of a chain multiply. You added ten of them.",
         "0.25": "That is one sigmoid. Ten of them multiply.",
         "1": "That would need a slope of 1. How steep is the sigmoid where it is steepest?",
         "0.0009765625": "That is one half to the power of ten. One half is the *value* at 0; the "
                         "slope there is smaller.",
         "0": "Small, but not 0: the slope of a sigmoid is positive everywhere."},
        CHAPTER, "sigmoid", tolerance=0.02, tracks=("numpy",),
    ),
    Question(
        "output_for_tags",
        "A network tags photographs with any of 5 words; several can fit one photograph, or "
        "none. Which output layer?",
        "b",
        {"a": "A softmax divides one unit of probability among the words: two that both fit "
              "would have to share it, and none at all cannot be said.",
         "c": "The sign of a tanh could be read as yes or no, but it is no probability.",
         "d": "Plain numbers suit quantities. Here each output should be a probability.",
         "e": "One output can say one thing. There are 5 independent questions."},
        CHAPTER, "output-layers",
        {"a": "5 outputs with one softmax over them",
         "b": "5 outputs, a sigmoid on each",
         "c": "5 outputs, a tanh on each",
         "d": "5 outputs, no activation",
         "e": "1 output with a sigmoid"},
        tracks=("numpy",),
    ),
    Question(
        "sigmoid_in_place",
        "z = layer(x); s = torch.sigmoid(z); s.mul_(2); s.sum().backward(). What happens?",
        "c",
        {"a": "In-place operations are recorded too. That is not the trouble here.",
         "b": "PyTorch notices: every tensor counts how often it was written to, and backward "
              "compares the counts.",
         "d": "Forward runs: nothing is wrong until the saved value is needed."},
        CHAPTER, "in-place",
        {"a": "The right gradient: mul_(2) is recorded like any other operation.",
         "b": "A wrong gradient, without a word.",
         "c": "An error in backward: sigmoid had saved s for its own backward.",
         "d": "An error at mul_, in the forward pass."},
        tracks=TORCH,
    ),
    Question(
        "one_prelu_twice",
        "act = nn.PReLU(); net = nn.Sequential(nn.Linear(4, 8), act, nn.Linear(8, 8), act, "
        "nn.Linear(8, 2)). How many numbers does net learn for its activations?",
        1,
        {"2": "The same module stands in the network twice. Its parameter is one tensor, and "
              "parameters() lists it once.",
         "16": "nn.PReLU() learns a single slope for all units, unless you give it their number.",
         "8": "nn.PReLU() learns a single slope for all units, unless you give it their number.",
         "0": "ReLU learns nothing. PReLU learns the slope of its negative side."},
        CHAPTER, "learnable-activation", tracks=TORCH,
    ),
)
