"""Cases for gradients by finite differences. The functions work on arrays and tensors alike."""

from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

# Finite differences are right to about 1e-9 for values near 1, not to the last digit.
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-7}


def _numerical_vjp(rng: np.random.Generator) -> list[Case]:
    a, b, c = (float(value) for value in rng.uniform(0.5, 1.5, size=3))

    def draw(*shape: int) -> np.ndarray:
        return np.asarray(rng.normal(size=shape))

    return [
        Case("elementwise", "values", (lambda x: a * x**2, draw(5), draw(5)), **CLOSE),
        # Every output depends on several inputs, so the upstream gradient must be summed.
        Case("matrix product", "values", (lambda x: x @ x, draw(3, 3), draw(3, 3)), **CLOSE),
        Case("cubic with every term", "values",
             (lambda x: a * x**3 - b * x**2 + c * x, draw(2, 3), draw(2, 3)), **CLOSE),
        Case("sum over rows", "values", (lambda x: (x * x).sum(0), draw(4, 3), draw(3)), **CLOSE),
        # Shifting x itself and calling f twice would compare an array with itself here.
        Case("a function that returns its argument", "edge sizes",
             (lambda x: x, draw(2, 2), draw(2, 2)), **CLOSE),
        Case("a number in, a number out", "edge sizes",
             (lambda x: a * x * x, draw(), draw()), **CLOSE),
        Case("four axes", "edge sizes",
             (lambda x: (x**3).sum(-1), draw(2, 1, 2, 2), draw(2, 1, 2)), **CLOSE),
        Case("no elements", "edge sizes", (lambda x: x * x, np.zeros((0, 3)), np.zeros((0, 3)))),
        # A central difference is exact for a parabola at any step; a one-sided one is not.
        Case("eps=0.1 on a parabola", "options", (lambda x: a * x * x, draw(4), draw(4)),
             {"eps": 0.1}, **CLOSE),
        # Here the error of the central difference is a known number: another step shows.
        Case("eps=0.1 on a cubic", "options", (lambda x: a * x**3, draw(4), draw(4)),
             {"eps": 0.1}, **CLOSE),
    ]


def _relative_error(rng: np.random.Generator) -> list[Case]:
    a = rng.normal(size=(3, 4))
    off = a.copy()
    off[1, 2] *= 1.01
    name = "relative_error"
    return [
        Case("one element is off by 1 %", "values", (a, off)),
        Case("random arrays", "values", (a, rng.normal(size=(3, 4)))),
        Case("equal", "edge sizes", (a, a)),
        Case("empty", "edge sizes", (np.zeros(0), np.zeros(0))),
        Case("both 0", "stability", (np.zeros(3), np.zeros(3))),
        Case("floor=1", "options", (a, off), {"floor": 1.0}),
        error_case("two shapes", (a, a[0]), ShapeError,
                   rf"{name}: a and b must have the same shape, got \(3, 4\) and \(4,\)"),
        error_case("integers", (np.ones(2, int), np.ones(2, int)), DtypeError,
                   f"{name}: a must hold floats"),
        error_case("floor=0", (a, a), ValueError, f"{name}: floor must be", {"floor": 0.0}),
    ]


register(
    Operation("numerical_vjp", "(f, x, dy, *, eps=1e-6) -> dx", "05-backprop",
              "gradient-check", ("dx",), _numerical_vjp),
    Operation("relative_error", "(a, b, *, floor=1e-8) -> float", "05-backprop",
              "gradient-check", ("error",), _relative_error),
)
