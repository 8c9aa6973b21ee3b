"""Cases and questions of chapter 15, which is in PyTorch only.

Models are named by keys of `nnlib.checks.torch_transfer_drivers`, because case tables import no
torch.
"""

from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Question
from nnlib.contract.registry import register

CHAPTER = "15-transfer"
TORCH = ("torch",)
RGB = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def _preprocess(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, ...], size: int, **options: Any) -> Case:
        images = rng.integers(0, 256, size=shape, dtype=np.uint8)
        return Case(name, prop, (images,), {**RGB, "size": size, **options})

    one = {"mean": (0.13,), "std": (0.31,)}
    return [
        case("2 photographs, made smaller", "values", (2, 8, 12, 3), 4),
        case("3 photographs, made larger", "values", (3, 5, 4, 3), 7),
        case("the size that they have", "values", (2, 6, 6, 3), 6),
        case("other statistics", "options", (2, 6, 5, 3), 4, mean=(0.5, 0.4, 0.3),
             std=(0.5, 0.25, 0.2)),
        case("one channel", "options", (4, 8, 8, 1), 16, **one),
        case("one photograph", "edge sizes", (1, 9, 7, 3), 5),
        case("a single pixel", "edge sizes", (2, 1, 1, 3), 3),
    ]


def _freeze(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, **options: bool) -> Case:
        return Case(name, prop, (key,), options, drive="torch_freeze_body",
                    seed=int(rng.integers(2**31)))

    return [
        case("layers and a normalization", "values", "plain"),
        case("blocks in blocks, with dropout", "values", "nested"),
        case("filters and image normalization", "values", "images"),
        case("gradients from an earlier step", "PyTorch rules", "plain", used=True),
        case("partly frozen already", "PyTorch rules", "half frozen", used=True),
        case("no parameters", "edge sizes", "no parameters"),
    ]


def _replace_head(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, head: str, classes: int, dtype: str = "float32"
             ) -> Case:
        return Case(name, prop, (key, head, classes), {"dtype": dtype},
                    drive="torch_replace_head", seed=int(rng.integers(2**31)))

    return [
        case("a head called fc", "values", "named", "fc", 5),
        case("a head called classifier.2", "values", "classifier", "classifier.2", 3),
        case("the last of a Sequential", "values", "sequence", "4", 6),
        case("a head that was frozen", "PyTorch rules", "frozen", "fc", 4),
        case("a network in float64", "PyTorch rules", "named", "fc", 4, "float64"),
        case("one class", "edge sizes", "classifier", "classifier.2", 1),
        case("as many classes as before", "edge sizes", "named", "fc", 7),
    ]


def _discriminative_groups(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, learning_rate: float, factor: float) -> Case:
        return Case(name, prop, (key,), {"learning_rate": learning_rate, "factor": factor},
                    drive="torch_discriminative_groups", seed=int(rng.integers(2**31)))

    return [
        case("three parts", "values", "three parts", 0.01, 0.5),
        case("activations between four layers", "values", "sequence", 0.1, 1 / 2.6),
        case("blocks in blocks", "values", "nested", 1e-3, 0.25),
        case("the first parts frozen", "PyTorch rules", "first frozen", 0.01, 0.5),
        case("one vector of a part frozen", "PyTorch rules", "partly frozen", 0.2, 0.1),
        case("factor=1", "options", "three parts", 0.02, 1.0),
        case("a head alone", "edge sizes", "head alone", 0.05, 0.1),
    ]


def _fine_tune_step(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, key: str, n: int, **options: Any) -> Case:
        dtype = options.get("dtype", "float64")
        shape = (n, 2, 4, 4) if key == "images" else (n, 3)
        # Far from mean 0 and variance 1, so that both modes of a normalization differ.
        x = (2 * rng.normal(size=shape) + 1).astype(dtype)
        return Case(name, prop, (key, x, rng.integers(3, size=n)), options,
                    drive="torch_fine_tune_step", seed=int(rng.integers(2**31)),
                    rtol=1e-4 if dtype == "float32" else None)

    return [
        case("all learns, evaluation mode before", "values", "all learns", 6),
        case("a frozen body with batch norm", "values", "frozen body", 5),
        case("one batch norm frozen, one not", "values", "two norms", 6),
        case("frozen filters", "values", "images", 4),
        case("gradients from an earlier step", "PyTorch rules", "all learns", 5, used=True),
        case("weight decay and momentum, two steps", "PyTorch rules", "frozen body", 6,
             weight_decay=0.3, momentum=0.9, steps=2),
        case("float32", "values", "two norms", 4, dtype="float32"),
        case("a batch of two", "edge sizes", "frozen body", 2),
        case("a batch of one, all norms frozen", "edge sizes", "frozen body", 1),
    ]


def _boxes(rng: np.random.Generator, n: int, dtype: Any = np.float64) -> np.ndarray:
    corner = rng.uniform(-4, 4, size=(n, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 6, size=(n, 2))], axis=1).astype(dtype)


def _box_iou(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, boxes: Any, others: Any) -> Case:
        return Case(name, prop, (np.asarray(boxes), np.asarray(others)))

    boxes = _boxes(rng, 4)
    far = rng.uniform(20, 30, size=4)
    apart = boxes + np.stack([far, -far, far, -far], axis=1)  # right of and above all of them
    right = boxes + far[:, None] * np.array([1.0, 0, 1, 0])  # apart in x alone
    inner = boxes + (boxes[:, [2, 3, 0, 1]] - boxes) * rng.uniform(0.1, 0.4)
    points = boxes.copy()
    points[:, 2:] = points[:, :2]
    return [
        case("4 boxes against 3", "values", boxes, _boxes(rng, 3)),
        case("5 boxes against 5", "values", _boxes(rng, 5), _boxes(rng, 5)),
        case("apart in both directions", "values", boxes, apart),
        case("apart in one direction", "values", boxes, right),
        case("one inside the other, and equal ones", "values", boxes, np.concatenate(
            [inner, boxes])),
        case("float32", "values", _boxes(rng, 3, np.float32), _boxes(rng, 2, np.float32)),
        case("a common side", "edge sizes", boxes, boxes + np.array([1, 0, 1, 0]) * (
            boxes[:, 2:3] - boxes[:, :1])),
        case("empty boxes", "edge sizes", points, np.concatenate([points, boxes])),
        case("no boxes against 2", "edge sizes", np.zeros((0, 4)), _boxes(rng, 2)),
    ]


def _overlaps(rng: np.random.Generator, n: int, dtype: Any = np.float64) -> np.ndarray:
    """Draw a symmetric matrix of overlaps; many are exactly one half."""
    drawn = np.triu(rng.choice([0.0, 0.125, 0.25, 0.5, 0.625, 0.75], size=(n, n)), 1)
    iou: np.ndarray = (drawn + drawn.T + np.eye(n)).astype(dtype)
    return iou


def _suppression(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, iou: np.ndarray, classes: Any, **options: float) -> Case:
        scores = (rng.permutation(len(iou)) + rng.uniform(0.1, 0.9, len(iou))) / (len(iou) + 1)
        return Case(name, prop, (iou, scores.astype(iou.dtype),
                                 np.asarray(classes, dtype=np.int64)), options)

    def chain(n: int) -> np.ndarray:
        """Each box overlaps its neighbours: the second goes, the third must stay."""
        iou = np.eye(n)
        for k in range(n - 1):
            iou[k, k + 1] = iou[k + 1, k] = 0.75
        return iou

    heap = np.full((5, 5), 0.75) + 0.25 * np.eye(5)
    falling = Case("a chain: the first suppresses the second alone", "values",
                   (chain(6), np.linspace(0.95, 0.2, 6) + rng.uniform(0, 0.01),
                    np.zeros(6, dtype=np.int64)))
    return [
        case("12 boxes of one class", "values", _overlaps(rng, 12), np.zeros(12)),
        case("12 boxes of three classes", "values", _overlaps(rng, 12), rng.permutation(12) % 3),
        falling,
        case("two heaps, one of each class", "values", heap, [0, 1, 0, 1, 1]),
        case("overlaps of exactly the threshold", "values", np.where(np.eye(6) > 0, 1.0, 0.5),
             np.zeros(6)),
        case("threshold=0.2, float32", "options", _overlaps(rng, 9, np.float32), np.zeros(9),
             threshold=0.2),
        case("threshold=0.7", "options", _overlaps(rng, 9), rng.permutation(9) % 2, threshold=0.7),
        case("nothing overlaps", "edge sizes", np.eye(5), np.zeros(5)),
        case("one box", "edge sizes", np.eye(1), [2]),
        case("no boxes", "edge sizes", np.zeros((0, 0)), []),
    ]


def _class_iou(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, shape: tuple[int, ...], classes: int,
             present: int | None = None) -> Case:
        target = rng.integers(classes if present is None else present, size=shape)
        wrong = rng.uniform(size=shape) < 0.4
        other = rng.integers(classes if present is None else present, size=shape)
        return Case(name, prop, (np.where(wrong, other, target), target), {"classes": classes})

    target = rng.integers(1, 4, size=(3, 6, 6))
    target[0] = 1  # the images hold different classes, so that a mean over images differs
    shifted = np.roll(target, 1, axis=-1)
    stray = np.where(rng.uniform(size=(2, 5, 5)) < 0.3, 2, 0)
    return [
        case("3 images of 8 x 6, 4 classes", "values", (3, 8, 6), 4),
        Case("images that hold different classes", "values", (shifted, target), {"classes": 4}),
        case("two classes", "values", (2, 7, 7), 2),
        Case("a class that is only predicted", "values", (stray, np.zeros_like(stray)),
             {"classes": 3}),
        case("classes that are nowhere", "edge sizes", (2, 6, 6), 5, present=3),
        Case("all right", "edge sizes", (target, target.copy()), {"classes": 4}),
        case("one image", "edge sizes", (1, 5, 4), 3),
    ]


register(
    Operation("preprocess", "(images, *, mean, std, size) -> x (n, c, size, size)", CHAPTER,
              "preprocess", ("x",), _preprocess, tracks=TORCH, weights={"options": 2.0}),
    Operation("freeze", "(module) -> None", CHAPTER, "freezing",
              ("requires_grad", "modes", "gradients"), _freeze, tracks=TORCH,
              output_weights={"requires_grad": 2.0, "modes": 2.0}),
    Operation("replace_head", "(model, name, classes) -> None", CHAPTER, "replace-head",
              ("head", "rest"), _replace_head, tracks=TORCH, output_weights={"head": 4.0}),
    Operation("discriminative_groups", "(model, *, learning_rate, factor) -> groups", CHAPTER,
              "discriminative-rates", ("params", "rates"), _discriminative_groups, tracks=TORCH),
    Operation("fine_tune_step", "(model, optimizer, x, labels) -> float", CHAPTER,
              "fine-tune-step", ("loss", "parameters", "statistics", "modes"), _fine_tune_step,
              tracks=TORCH, output_weights={"parameters": 3.0, "statistics": 2.0}),
    Operation("box_iou", "(boxes, others) -> iou (n, m)", CHAPTER, "box-iou", ("iou",), _box_iou,
              tracks=TORCH),
    Operation("non_maximum_suppression", "(iou, scores, classes, *, threshold=0.5) -> keep",
              CHAPTER, "non-maximum-suppression", ("keep",), _suppression, tracks=TORCH),
    Operation("class_iou", "(predicted, target, *, classes) -> iou (classes,)", CHAPTER,
              "mask-iou", ("iou",), _class_iou, tracks=TORCH),
    Question(
        "frozen_but_training",
        "All parameters of a pre-trained body have requires_grad=False. Before each epoch you call "
        "model.train(), as always, and train the head on 50 images in batches of 5. The body "
        "contains batch normalization. What becomes of the body's features for one fixed image?",
        "c",
        {
            "a": "No parameter changes, that is right. But running means and variances are "
                 "buffers: no gradient is needed to change them.",
            "b": "They do depend on the batch while training. And when you measure in evaluation "
                 "mode, the running statistics count: are these still the old ones?",
            "d": "Weight decay acts through the optimizer, and that skips parameters without a "
                 "gradient. Something else in a batch normalization moves.",
        },
        CHAPTER, "freezing",
        {"a": "they stay exactly as they were: nothing in the body learns",
         "b": "they depend on the other images of the batch during training, but are the old ones "
              "again in evaluation mode",
         "c": "they depend on the batch during training, and in evaluation mode they are no "
              "longer the old ones either",
         "d": "they change only if the optimizer uses weight decay"},
        tracks=TORCH),
)
