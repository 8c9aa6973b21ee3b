"""Cases for the PyTorch exercises of chapter 6.

Losses and transforms are named by keys of `nnlib.checks.torch_training_drivers`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.registry import register

CHAPTER = "06-training"
TORCH = ("torch",)


def _grey_images(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, h: int, w: int, indices: tuple[int, ...],
             **options: str) -> Case:
        images = rng.integers(0, 256, size=(n, h, w), dtype=np.uint8)
        return Case(name, prop, (images, rng.integers(1, 10, size=n)),
                    {"indices": indices, **options}, drive="torch_dataset")

    return [
        case("6 images of 8 x 8", "values", 6, 8, 8, (0, 3, 5)),
        case("5 images of 4 x 7", "values", 5, 4, 7, (4, 1)),
        case("an image twice", "values", 3, 5, 5, (2, 2, 0)),
        case("a transform that mirrors", "options", 4, 3, 6, (1, 2), transform="mirror"),
        case("a transform that brightens", "options", 4, 3, 4, (0, 3), transform="brighter"),
        case("one image", "edge sizes", 1, 4, 4, (0,)),
        case("no images", "edge sizes", 0, 4, 4, ()),
    ]


def _shuffled_epochs(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, n: int, batch_size: int, **options: Any) -> Case:
        x = rng.normal(size=(n, 2))
        return Case(name, prop, (x, x[:, 0].copy()),
                    {"batch_size": batch_size, "epochs": 3, **options},
                    drive="torch_shuffled_epochs", seed=int(rng.integers(1000)))

    return [
        case("40 rows in batches of 10, 3 epochs", "values", 40, 10),
        case("43 rows in batches of 10, 3 epochs", "values", 43, 10),
        case("drop_last", "options", 43, 10, drop_last=True),
        case("drop_last with nothing to drop", "options", 40, 8, drop_last=True),
        case("batches of one", "edge sizes", 12, 1),
        case("fewer rows than a batch", "edge sizes", 12, 50),
        case("one epoch", "edge sizes", 15, 4, epochs=1),
    ]


def _collate(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, lengths: tuple[int, ...], d: int,
             dtype: Any = np.float32) -> Case:
        batch = [(rng.normal(size=(t, d)).astype(dtype), int(label))
                 for t, label in zip(lengths, rng.permutation(20), strict=False)]
        return Case(name, prop, (batch,))

    return [
        case("lengths 2, 5 and 3", "values", (2, 5, 3), 4),
        # Square: time and batch can be exchanged without a change of shape.
        case("lengths 1, 3 and 2", "values", (1, 3, 2), 3),
        case("float64", "values", (3, 1, 2, 4), 2, np.float64),
        case("equal lengths", "edge sizes", (4, 4), 3),
        case("one sequence", "edge sizes", (3,), 2),
        case("an empty sequence among others", "edge sizes", (2, 0), 3),
    ]


def _move(rng: np.random.Generator) -> list[Case]:
    def floats(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    def case(name: str, prop: str, batch: Any, device: str = "meta") -> Case:
        return Case(name, prop, (batch,), {"device": device}, drive="torch_move")

    labels = rng.integers(10, size=4)
    nested = {"views": [floats(2, 3), (floats(3), "left")], "more": {"mask": labels > 4}}
    return [
        case("a pair, to a device that holds no numbers", "values", (floats(4, 3), labels)),
        case("a dict, to a device that holds no numbers", "values",
             {"image": floats(4, 2, 2), "label": labels, "file": ["a.png", "b.png"]}),
        case("numbers stay the same", "values", [floats(4, 3), {"label": labels}, 0.5], "cpu"),
        case("lists and tuples in dicts", "options", nested),
        case("a tensor alone", "edge sizes", floats(2, 2)),
        case("nothing to move", "edge sizes", {"file": "a.png", "size": None, "scale": 2}),
        case("empty", "edge sizes", ()),
    ]


def _network(rng: np.random.Generator, hidden: bool = True) -> dict[str, np.ndarray]:
    if not hidden:
        return {"w": rng.normal(size=(3, 1))}
    return {"v": rng.normal(size=(3, 4)), "w": rng.normal(size=(4, 3))}


def _batches(rng: np.random.Generator, sizes: tuple[int, ...], *, classes: bool
             ) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw inputs that are not standardised, so that both modes of a normalization differ."""
    return [(2 * rng.normal(size=(n, 3)) + 1,
             rng.integers(3, size=n) if classes else rng.normal(size=(n, 3))) for n in sizes]


def _train_epoch(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, sizes: tuple[int, ...], *, classes: bool = False,
             rate: float = 0.1, **options: Any) -> Case:
        key = "cross entropy" if classes else "mse"
        return Case(name, prop, (key, _network(rng), _batches(rng, sizes, classes=classes)),
                    {"learning_rate": rate, **options}, drive="torch_train_epoch")

    return [
        case("batches of 4, 4 and 2, squared error", "values", (4, 4, 2)),
        case("batches of 5 and 3, cross-entropy", "values", (5, 3), classes=True, rate=0.3),
        case("gradients are there already, evaluation mode", "PyTorch rules", (4, 3), used=True),
        case("learning_rate=0.5", "options", (4, 2), rate=0.5),
        case("one batch", "edge sizes", (6,)),
    ]


def _evaluate(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, sizes: tuple[int, ...], **options: bool) -> Case:
        network, batches = _network(rng), _batches(rng, sizes, classes=True)
        for _, labels in batches:  # every class occurs, so no constant answer is right
            labels[: 3] = np.arange(3)[: len(labels)]
        return Case(name, prop, (network, batches), options, drive="torch_evaluate")

    return [
        case("batches of 6, 6 and 3", "values", (6, 6, 3)),
        case("batches of 5 and 2", "values", (5, 2)),
        case("a model in evaluation mode", "options", (5, 4), training=False),
        case("gradients that nobody needs", "PyTorch rules", (5, 4), watch=True),
        case("a batch of one", "edge sizes", (4, 1)),
    ]


def _fit_best(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, sizes: tuple[int, ...], valid: tuple[int, ...], *,
             epochs: int, part: float, rate: float = 0.005) -> Case:
        """The validation targets lie on the way to the training targets: part of the way."""
        start: np.ndarray = rng.uniform(-0.1, 0.1, size=(3, 1))
        goal = rng.uniform(1.0, 2.0, size=(3, 1)) * rng.choice([-1.0, 1.0], size=(3, 1))

        def batches(sizes: tuple[int, ...], share: float) -> list[tuple[np.ndarray, np.ndarray]]:
            xs = [rng.normal(size=(n, 3)) + 0.5 for n in sizes]
            return [(x, share * (x - 0.5) @ goal + 0.2 * rng.normal(size=(len(x), 1))) for x in xs]

        return Case(name, prop, ({"w": start}, batches(sizes, 1.0), batches(valid, part)),
                    {"epochs": epochs, "learning_rate": rate}, drive="torch_fit_best")

    return [
        case("8 epochs, best on the way", "values", (12, 12, 7), (16, 9), epochs=8, part=0.4),
        case("12 epochs, best on the way", "values", (12, 8), (20, 7), epochs=12, part=0.3),
        case("learning_rate=0.01", "options", (14, 9), (20, 9), epochs=8, part=0.4, rate=0.01),
        case("one epoch", "edge sizes", (5, 4), (6,), epochs=1, part=1.0),
    ]


def _operation(name: str, signature: str, anchor: str, outputs: tuple[str, ...],
               make_cases: object, **more: object) -> Operation:
    return Operation(name, signature, CHAPTER, anchor, outputs, make_cases,  # type: ignore[arg-type]
                     tracks=TORCH, **more)  # type: ignore[arg-type]


OPERATIONS: Sequence[Operation] = (
    _operation("GreyImages", "Dataset(images, labels, *, transform=None): index -> (image, label)",
               "datasets-and-loaders", ("length", "images", "labels"), _grey_images, kind="class",
               weights={"options": 3.0}, output_weights={"images": 2.0}),
    _operation("shuffled_epochs",
               "(x, y, *, batch_size, epochs, seed, drop_last=False) -> list of epochs",
               "datasets-and-loaders", ("sizes", "rows", "order", "x_and_y_together"),
               _shuffled_epochs),
    _operation("collate_sequences", "(batch) -> (padded, lengths, labels)",
               "datasets-and-loaders", ("padded", "lengths", "labels"), _collate),
    _operation("move_to_device", "(batch, device) -> batch", "devices",
               ("structure", "values", "given"), _move, weights={"options": 3.0}),
    _operation("train_epoch", "(model, batches, loss_fn, *, learning_rate) -> float",
               "training-pytorch", ("loss", "state"), _train_epoch,
               output_weights={"state": 2.0}),
    _operation("evaluate_classifier", "(model, batches) -> (loss, accuracy)", "evaluate",
               ("loss", "accuracy", "state", "mode"), _evaluate),
    _operation("fit_best",
               "(model, train_batches, validation_batches, loss_fn, *, epochs, learning_rate) "
               "-> history", "early-stopping", ("loss", "validation_loss", "state", "mode"),
               _fit_best, output_weights={"state": 2.0}),
)

register(*OPERATIONS)
