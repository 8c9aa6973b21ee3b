"""Cases for shifted and blended examples."""

from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Rng
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "10-regularization"


def _random_shift(rng: np.random.Generator) -> list[Case]:
    name = "random_shift"

    def options(max_shift: int, training: bool = True) -> dict[str, Any]:
        return {"max_shift": max_shift, "training": training, "rng": Rng(int(rng.integers(2**31)))}

    def images(*shape: int, dtype: type = np.float64) -> np.ndarray:
        return (0.1 + rng.uniform(size=shape)).astype(dtype)

    small = images(2, 1, 3, 3)
    return [
        Case("200 images, by up to 2 pixels", "values", (images(200, 1, 6, 6),), options(2),
             judge="shifted"),
        Case("three channels, not square", "values", (images(200, 3, 5, 7),), options(1),
             judge="shifted"),
        Case("float32", "values", (images(150, 1, 5, 5, dtype=np.float32),), options(2),
             judge="shifted"),
        Case("evaluation", "options", (images(30, 1, 5, 5),), options(2, False)),
        Case("evaluation without a generator", "options", (images(5, 2, 4, 4),),
             {"max_shift": 1, "training": False, "rng": None}),
        Case("one image", "edge sizes", (images(1, 2, 4, 5),), options(1), judge="shifted"),
        Case("max_shift=0", "edge sizes", (images(4, 1, 4, 4),), options(0)),
        Case("no images", "edge sizes", (images(0, 1, 4, 4),), options(1)),
        Case("one seed, one result", "repeatable", (images(20, 1, 4, 4),), options(1),
             drive="random_shift_by_seed", judge="moved by seed"),
        error_case("three axes", (small[0],), ShapeError,
                   rf"{name}: images must have shape \(n, c, h, w\)", options(1)),
        error_case("integers", (np.ones((2, 1, 3, 3), dtype=np.int64),), DtypeError,
                   f"{name}: images must hold floats", options(1)),
        error_case("max_shift=-1", (small,), ValueError,
                   f"{name}: max_shift must be an integer >= 0", options(-1)),
        error_case("training=None", (small,), DtypeError,
                   f"{name}: training must be True or False", options(1) | {"training": None}),
        error_case("a seed for rng", (small,), DtypeError,
                   f"{name}: rng must be a .*Generator in training, got int",
                   options(1) | {"rng": 3}),
    ]


def _mixup(rng: np.random.Generator) -> list[Case]:
    name = "mixup"

    def draw(n: int, *shape: int, k: int = 3, dtype: type = np.float64) -> tuple[Any, ...]:
        x: np.ndarray = rng.normal(size=(n, *shape)).astype(dtype)
        labels = rng.permutation(np.arange(n) % k)
        return x, np.eye(k)[labels].astype(dtype)

    def blend(n: int, dtype: type = np.float64) -> dict[str, Any]:
        # A cycle: nobody is their own partner, and nobody has theirs as partner.
        order = rng.permutation(n)
        partners = np.empty(n, dtype=np.int64)
        partners[order] = np.roll(order, 1)
        return {"shares": rng.uniform(0.05, 0.95, size=n).astype(dtype), "partners": partners}

    def case(label: str, prop: str, n: int, *shape: int, k: int = 3, dtype: type = np.float64,
             **change: Any) -> Case:
        return Case(label, prop, draw(n, *shape, k=k, dtype=dtype), blend(n, dtype) | change)

    x, y = draw(4, 2)
    good = blend(4)
    return [
        case("7 rows of 4 columns", "values", 7, 4),
        case("images", "values", 6, 1, 3, 4, k=4),
        case("float32", "values", 5, 4, dtype=np.float32),
        # Shares along the wrong axis fit here, and give other numbers.
        case("as many columns and classes as rows", "values", 5, 5, k=5),
        case("shares of 0 and 1", "edge sizes", 4, 3, shares=np.array([0.0, 1.0, 1.0, 0.0])),
        case("each its own partner", "edge sizes", 4, 3, partners=np.arange(4)),
        case("one partner for all", "edge sizes", 5, 3, partners=np.full(5, 2)),
        case("a number for each row", "edge sizes", 5),
        case("one row", "edge sizes", 1, 3, partners=np.array([0])),
        case("no rows", "edge sizes", 0, 3, partners=np.zeros(0, dtype=np.int64)),
        error_case("y as class numbers", (x, np.array([0.0, 1.0, 2.0, 0.0])), ShapeError,
                   rf"{name}: y must have shape \(4, k\)", good),
        error_case("one share", (x, y), ShapeError, rf"{name}: shares must have shape \(4,\)",
                   good | {"shares": np.array([0.5])}),
        error_case("a partner that does not exist", (x, y), ValueError,
                   f"{name}: partners must lie from 0 to 3, got 4",
                   good | {"partners": np.array([1, 2, 3, 4])}),
        error_case("partners as floats", (x, y), DtypeError,
                   f"{name}: partners must hold integers", good | {"partners": np.ones(4)}),
    ]


register(
    Operation("random_shift", "(images, *, max_shift, training, rng) -> images", CHAPTER,
              "random-shift", ("images",), _random_shift, weights={"options": 3.0}),
    Operation("mixup", "(x, y, *, shares, partners) -> (x, y)", CHAPTER, "mixup", ("x", "y"),
              _mixup),
)
