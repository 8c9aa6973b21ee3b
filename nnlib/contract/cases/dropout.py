"""Cases for dropout. Forward draws are judged by what dropping means, not number by number."""

from dataclasses import replace
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Rng
from nnlib.contract.cases._pairs import Inputs, backward_cases, error_case
from nnlib.contract.registry import register
from nnlib.errors import DtypeError

CHAPTER = "10-regularization"


def _options(rng: np.random.Generator, drop_prob: float, training: bool = True) -> dict[str, Any]:
    return {"drop_prob": drop_prob, "training": training, "rng": Rng(int(rng.integers(2**31)))}


def _draw(rng: np.random.Generator, *shape: int, dtype: type = np.float64) -> tuple[np.ndarray]:
    return (rng.normal(size=shape).astype(dtype),)


def _train(rng: np.random.Generator) -> list[Inputs]:
    return [
        Inputs("a half", "values", _draw(rng, 60, 80), _options(rng, 0.5)),
        Inputs("a fifth", "values", _draw(rng, 60, 80), _options(rng, 0.2)),
        Inputs("float32", "values", _draw(rng, 60, 80, dtype=np.float32), _options(rng, 0.3)),
        Inputs("images", "values", _draw(rng, 40, 3, 6, 6), _options(rng, 0.4)),
        Inputs("nine tenths", "options", _draw(rng, 60, 80), _options(rng, 0.9)),
        Inputs("nothing", "options", _draw(rng, 6, 8), _options(rng, 0.0)),
        Inputs("no rows", "edge sizes", _draw(rng, 0, 3), _options(rng, 0.5)),
    ]


def _eval(rng: np.random.Generator) -> list[Inputs]:
    return [
        Inputs("evaluation", "values", _draw(rng, 6, 8), _options(rng, 0.5, False)),
        Inputs("evaluation, float32", "values", _draw(rng, 6, 8, dtype=np.float32),
               _options(rng, 0.5, False)),
        Inputs("evaluation without a generator", "options", _draw(rng, 6, 8),
               {"drop_prob": 0.5, "training": False, "rng": None}),
    ]


def _dropout_forward(rng: np.random.Generator) -> list[Case]:
    name = "dropout_forward"
    (x,) = _draw(rng, 4, 3)

    def refused(text: str, error: type[Exception], match: str, **change: Any) -> Case:
        return error_case(text, (x,), error, f"{name}: {match}", _options(rng, 0.5) | change)

    return [
        *(Case(i.name, i.property, i.args, i.options, drive="forward",
               judge="close" if i.name == "no rows" else "dropout") for i in _train(rng)),
        *(Case(i.name, i.property, i.args, i.options, drive="forward") for i in _eval(rng)),
        Case("one seed, one result", "repeatable", _draw(rng, 20, 30), _options(rng, 0.5),
             drive="dropout_by_seed", judge="dropout by seed"),
        refused("drop_prob=1", ValueError,
                "drop_prob must be a finite number >= 0 and < 1, got 1", drop_prob=1),
        refused("drop_prob=1 in evaluation", ValueError, "drop_prob must be a finite number",
                drop_prob=1.0, training=False),
        refused("drop_prob=-0.1", ValueError, "drop_prob must be a finite number",
                drop_prob=-0.1),
        refused("drop_prob as text", DtypeError, "drop_prob must be .* of type str",
                drop_prob="0.5"),
        refused("training=None", DtypeError, "training must be True or False, got None",
                training=None),
        refused("a seed for rng", DtypeError, "rng must be a .*Generator in training, got int",
                rng=3),
        error_case("integers", (np.arange(3),), DtypeError, f"{name}: x must hold floats, got int",
                   _options(rng, 0.5)),
    ]


def _dropout_backward(rng: np.random.Generator) -> list[Case]:
    # The mask comes from the track's own generator, so the tracks' gradients differ.
    return [
        *(replace(case, judge="own cache")
          for case in backward_cases(rng, _train, "dropout_forward")),
        *backward_cases(rng, _eval, "dropout_forward"),
    ]


register(
    Operation("dropout_forward", "(x, *, drop_prob, training, rng) -> (y, cache)", CHAPTER,
              "dropout-forward", ("y",), _dropout_forward),
    Operation("dropout_backward", "(dy, cache) -> dx", CHAPTER, "dropout-backward", ("dx",),
              _dropout_backward),
)
