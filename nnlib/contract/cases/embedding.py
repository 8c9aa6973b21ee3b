"""Cases for embeddings."""

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import Inputs, backward_cases, error_case, forward_cases
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "17-sequences"


def _draw(
    rng: np.random.Generator, *shape: int, v: int = 5, d: int = 3, dtype: type = np.float64
) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(rng.integers(v, size=shape)), rng.normal(size=(v, d)).astype(dtype)


def _embedding(rng: np.random.Generator) -> list[Inputs]:
    ids, w = _draw(rng, 4)
    return [
        Inputs("2 sequences of 4 ids", "values", _draw(rng, 2, 4)),
        Inputs("every row once", "values", (rng.permutation(5), w)),
        # Many more ids than rows, so that ids repeat: their gradients add.
        Inputs("40 ids of 5 rows", "values", _draw(rng, 40)),
        Inputs("as many rows as columns", "values", _draw(rng, 4, v=3, d=3)),
        Inputs("float32", "values", _draw(rng, 2, 4, dtype=np.float32)),
        Inputs("one id, all the time", "values", (np.full((3, 4), int(ids[0])), w)),
        Inputs("small integers", "options", (ids.astype(np.uint8), w)),
        Inputs("a single id", "edge sizes", (np.asarray(ids[0]), w)),
        Inputs("no ids", "edge sizes", (np.zeros((0, 4), np.int64), w)),
        Inputs("one row", "edge sizes", _draw(rng, 3, v=1)),
    ]


def _embedding_forward(rng: np.random.Generator) -> list[Case]:
    name = "embedding_forward"
    ids, w = _draw(rng, 4)
    return [
        *forward_cases(rng, _embedding),
        error_case("an id too large", (np.array([0, 5]), w), ValueError,
                   f"{name}: ids must lie from 0 to 4, got 5"),
        error_case("a negative id", (np.array([0, -1]), w), ValueError,
                   f"{name}: ids must lie from 0 to 4, got -1"),
        error_case("ids as floats", (ids.astype(float), w), DtypeError,
                   f"{name}: ids must hold integers, got float64"),
        error_case("w with one axis", (ids, w[0].copy()), ShapeError,
                   rf"{name}: w must have shape \(v, d\), got \(3,\)"),
        error_case("w of integers", (ids, np.ones((5, 3), int)), DtypeError,
                   f"{name}: w must hold floats, got int"),
    ]


def _embedding_backward(rng: np.random.Generator) -> list[Case]:
    return backward_cases(rng, _embedding, "embedding_forward")


register(
    Operation("embedding_forward", "(ids, w) -> (y, cache)", CHAPTER, "embedding-forward", ("y",),
              _embedding_forward),
    Operation("embedding_backward", "(dy, cache) -> dw", CHAPTER, "embedding-backward", ("dw",),
              _embedding_backward),
)
