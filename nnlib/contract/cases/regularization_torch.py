"""Cases for the PyTorch notebook of chapter 10; drivers in torch_regularization_drivers."""

import itertools
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.registry import register

CHAPTER = "10-regularization"
TORCH = ("torch",)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _dropout_module(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, ...], drop_prob: float, *,
             training: bool = True, dtype: type = np.float64) -> Case:
        size: np.ndarray = rng.uniform(0.5, 2.0, shape)
        x = (size * rng.choice([-1.0, 1.0], shape)).astype(dtype)
        return Case(name, prop, (x,), {"drop_prob": drop_prob, "training": training},
                    drive="torch_dropout_module", judge="dropout module" if training else "close",
                    seed=_seed(rng))

    return [
        case("a half", "values", (60, 80), 0.5),
        case("a fifth", "values", (60, 80), 0.2),
        case("float32", "values", (60, 80), 0.3, dtype=np.float32),
        case("images", "values", (40, 3, 6, 6), 0.4),
        case("evaluation mode", "options", (6, 8), 0.5, training=False),
        case("evaluation mode, float32", "options", (6, 8), 0.2, training=False,
             dtype=np.float32),
        case("nothing", "edge sizes", (6, 8), 0.0),
        Case("several calls", "repeatable", (rng.uniform(1.0, 2.0, (20, 30)), 0.5),
             {"outputs": 2}, drive="torch_module_calls", seed=_seed(rng)),
    ]


def _random_shift(rng: np.random.Generator) -> list[Case]:
    def images(*shape: int) -> np.ndarray:
        return 0.1 + rng.uniform(size=shape)

    def case(name: str, prop: str, batch: np.ndarray, max_shift: int, *, training: bool = True,
             judge: str = "shifted") -> Case:
        return Case(name, prop, (batch,), {"max_shift": max_shift, "training": training},
                    drive="torch_random_shift", judge=judge, seed=_seed(rng))

    return [
        case("200 images, by up to 2 pixels", "values", images(200, 1, 6, 6), 2),
        case("three channels, not square", "values", images(200, 3, 5, 7), 1),
        case("float32", "values", images(150, 1, 5, 5).astype(np.float32), 2),
        case("evaluation mode", "options", images(30, 1, 5, 5), 2, training=False, judge="close"),
        case("one image", "edge sizes", images(1, 2, 4, 5), 1),
        case("max_shift=0", "edge sizes", images(4, 1, 4, 4), 0, judge="close"),
        Case("several calls", "repeatable", (images(40, 1, 5, 5), 2), {"outputs": 1},
             drive="torch_module_calls", seed=_seed(rng)),
    ]


def _weight_penalty(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, **options: Any) -> Case:
        return Case(name, prop, (key,), options, drive="torch_weight_penalty", seed=_seed(rng))

    return [
        case("L2 of layers and a normalization", "values", "perceptron", l2=0.3),
        case("L1 of layers and a normalization", "values", "perceptron", l1=0.2),
        case("both", "values", "perceptron", l1=0.1, l2=0.4),
        case("filters", "values", "images", l2=0.3, l1=0.1),
        case("an embedding and a normalization", "values", "words", l2=0.2),
        case("float32", "edge sizes", "perceptron", l1=0.1, l2=0.1, single=True),
        case("one matrix", "edge sizes", "weights alone", l1=0.5),
        case("a layer that is not trained", "PyTorch rules", "frozen", l2=0.5, l1=0.1),
        case("one matrix in two places", "PyTorch rules", "tied", l2=0.5),
    ]


def _mixup_loss(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, k: int, *, scale: float = 1.0,
             dtype: type = np.float64, shares: list[float] | None = None) -> Case:
        labels = rng.integers(k, size=n)
        partners = (labels + rng.integers(1, k, size=n)) % k
        own: Any = rng.uniform(0.05, 0.95, size=n) if shares is None else np.array(shares)
        logits: np.ndarray = (scale * rng.normal(size=(n, k))).astype(dtype)
        return Case(name, prop, (logits, labels, partners, own.astype(dtype)),
                    drive="torch_mixup_loss")

    alike = case("both of one class", "values", 5, 3)
    return [
        case("6 rows, 4 classes", "values", 6, 4),
        case("9 rows, 3 classes", "values", 9, 3, scale=3.0),
        case("float32", "values", 5, 3, dtype=np.float32),
        Case(alike.name, alike.property, (*alike.args[:2], alike.args[1], alike.args[3]),
             drive=alike.drive),
        case("shares of 0, a half and 1", "edge sizes", 3, 3, shares=[0.0, 0.5, 1.0]),
        case("one row", "edge sizes", 1, 2),
        case("large logits", "stability", 4, 3, scale=1e4),
    ]


def _fit_with_patience(rng: np.random.Generator) -> list[Case]:
    cube = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))  # uncorrelated columns
    scales = np.sqrt([19.0, 1.0, 0.5])

    def batch(weights: np.ndarray, rows: np.ndarray, spread: float) -> tuple[Any, Any]:
        """Targets that are right for these weights; spread turns rows into model inputs."""
        own: np.ndarray = rng.permutation(rows)
        return own + shift, (spread * own * scales) @ weights[:, None] + offset

    shift, offset = rng.uniform(0.5, 1.5, size=3), float(rng.uniform(0.4, 0.6))

    def case(name: str, prop: str, part: float, *, patience: int, max_epochs: int = 40,
             rate: float = 0.05, decay: float = 0.02, batches: int = 1, wobble: float = 0.05
             ) -> Case:
        """One direction jumps from side to side, so that the loss does, the others creep.

        The validation targets lie part of the way to those of the training.
        """
        signs = rng.choice([-1.0, 1.0], size=3)
        goal = signs * [0.15, 2.0, 0.5]
        near = signs * [0.15 + wobble, 2.0 * part, 0.5]
        train = [batch(goal, cube, 1.0) for _ in range(batches)]
        # Running variances are unbiased: 8 / 7 of the batch's own.
        validation = [batch(near, rows, np.sqrt(7 / 8)) for rows in (cube, cube[[0, 3, 5, 6]])]
        return Case(name, prop, (scales, train, validation),
                    {"max_epochs": max_epochs, "patience": patience, "learning_rate": rate,
                     "weight_decay": decay}, drive="torch_fit_with_patience")

    return [
        case("patience=2, a loss that jumps", "values", 0.5, patience=2),
        case("patience=3, a loss that jumps", "values", 0.6, patience=3),
        case("two batches an epoch", "values", 0.5, patience=4, rate=0.02, batches=2),
        case("weight_decay=0.5", "options", 0.5, patience=3, decay=0.5),
        case("patience=1", "edge sizes", 0.6, patience=1, rate=0.02, wobble=0.0),
        case("it gets better to the end", "edge sizes", 1.0, patience=3, max_epochs=6, rate=0.02,
             decay=0.0, wobble=0.0),
        case("one epoch", "edge sizes", 0.5, patience=3, max_epochs=1),
    ]


register(
    Operation("DropoutModule", "nn.Module(drop_prob=0.5, *, generator): x -> y", CHAPTER,
              "dropout-module", ("y", "gradient"), _dropout_module, tracks=TORCH, kind="class",
              weights={"options": 3.0, "repeatable": 2.0}, output_weights={"y": 2.0}),
    Operation("RandomShift", "nn.Module(max_shift, *, generator): images -> images", CHAPTER,
              "augmentation-pytorch", ("images",), _random_shift, tracks=TORCH, kind="class",
              weights={"options": 3.0, "repeatable": 2.0}),
    Operation("weight_penalty", "(model, *, l1=0.0, l2=0.0) -> tensor ()", CHAPTER,
              "weight-decay", ("value", "gradients"), _weight_penalty, tracks=TORCH),
    Operation("mixup_loss", "(logits, labels, partner_labels, shares) -> tensor ()", CHAPTER,
              "mixup", ("loss", "dlogits"), _mixup_loss, tracks=TORCH,
              output_weights={"loss": 2.0}),
    Operation("fit_with_patience",
              "(model, train_batches, validation_batches, loss_fn, *, max_epochs, patience, "
              "learning_rate, weight_decay) -> losses", CHAPTER, "stop-in-time",
              ("losses", "state", "mode"), _fit_with_patience, tracks=TORCH,
              output_weights={"losses": 2.0, "state": 3.0}),
)
