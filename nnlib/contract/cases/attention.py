"""Cases for scaled dot-product attention."""

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import Inputs, backward_cases, error_case, forward_cases
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "18-attention"
CAUSAL = {"causal": True}


def _draw(
    rng: np.random.Generator,
    *leading: int,
    t: int = 4,
    s: int | None = None,
    d: int = 3,
    d_v: int | None = None,
    dtype: type = np.float64,
) -> tuple[np.ndarray, ...]:
    """Draw q, k, v; self-attention with values as long as keys unless told otherwise."""
    s, d_v = t if s is None else s, d if d_v is None else d_v
    shapes = ((*leading, t, d), (*leading, s, d), (*leading, s, d_v))
    return tuple(rng.normal(size=shape).astype(dtype) for shape in shapes)


def _attention(rng: np.random.Generator) -> list[Inputs]:
    q, k, v = _draw(rng, 2)
    return [
        Inputs("4 positions, 3 features", "values", _draw(rng)),
        # Square on purpose: a forgotten transpose gives a right shape and wrong numbers.
        Inputs("all sizes 3", "values", _draw(rng, 3, t=3)),
        Inputs("2 examples, 3 heads", "values", _draw(rng, 2, 3)),
        Inputs("float32", "values", _draw(rng, 2, dtype=np.float32)),
        Inputs("causal", "options", _draw(rng, 2), CAUSAL),
        Inputs("causal, 2 examples, 3 heads, float32", "options",
               _draw(rng, 2, 3, dtype=np.float32), CAUSAL),
        Inputs("3 queries, 5 keys", "options", _draw(rng, 2, t=3, s=5)),
        Inputs("values of another length", "options", _draw(rng, 2, d_v=5)),
        Inputs("causal, 3 queries, 5 keys", "options", _draw(rng, 2, t=3, s=5), CAUSAL),
        Inputs("one position", "edge sizes", _draw(rng, 2, t=1), CAUSAL),
        Inputs("one feature", "edge sizes", _draw(rng, 2, d=1)),
        Inputs("no examples", "edge sizes", _draw(rng, 0)),
        Inputs("up to 1e4", "stability", (1e4 * q, k, v)),
        Inputs("causal, up to 1e4, float32", "stability",
               tuple(a.astype(np.float32) for a in (1e4 * q, k, v)), CAUSAL),
    ]


def _attention_forward(rng: np.random.Generator) -> list[Case]:
    name = "attention_forward"
    q, k, v = args = _draw(rng, 2)
    return [
        *forward_cases(rng, _attention),
        error_case("one axis", (q[0, 0], k, v), ShapeError, f"{name}: q must have at least 2 axes"),
        error_case("keys of another length", (q, k[:, :, :2].copy(), v), ShapeError,
                   rf"{name}: k must have shape \(2, s, 3\), got \(2, 4, 2\)"),
        error_case("keys of one example", (q, k[:1].copy(), v), ShapeError,
                   rf"{name}: k must have shape \(2, s, 3\), got \(1, 4, 3\)"),
        error_case("too few values", (q, k, v[:, :3].copy()), ShapeError,
                   rf"{name}: v must have shape \(2, 4, d_v\), got \(2, 3, 3\)"),
        error_case("nothing to attend to", (q, k[:, :0].copy(), v[:, :0].copy()), ShapeError,
                   f"{name}: k must have at least one position"),
        error_case("integers", (np.ones((2, 4, 3), int), k, v), DtypeError,
                   f"{name}: q must hold floats, got int"),
        error_case("two dtypes", (q, k.astype(np.float32), v), DtypeError,
                   f"{name}: q and k must have one dtype"),
        error_case("causal=1", args, DtypeError,
                   f"{name}: causal must be True or False, got 1", {"causal": 1}),
    ]


def _attention_backward(rng: np.random.Generator) -> list[Case]:
    return backward_cases(rng, _attention, "attention_forward")


register(
    Operation("attention_forward", "(q, k, v, *, causal=False) -> (y, cache)", CHAPTER,
              "attention-forward", ("y",), _attention_forward),
    Operation("attention_backward", "(dy, cache) -> AttentionGrads", CHAPTER,
              "attention-backward", ("dq", "dk", "dv"), _attention_backward),
)
