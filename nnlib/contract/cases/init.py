"""Cases for the initialisers. Draws are judged by their moments, not one by one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlib.contract.case import Case, Operation, Rng
from nnlib.contract.cases._pairs import error_case
from nnlib.contract.registry import register
from nnlib.errors import ShapeError

CHAPTER = "07-initialization"
# Fans far apart, so that fan_in for fan_out shows in the spread.
WIDE, TALL, FILTERS = (60, 180), (180, 60), (48, 6, 5, 5)


def _scheme(
    rng: np.random.Generator,
    name: str,
    options: Sequence[dict[str, Any]],
    refused: Sequence[tuple[dict[str, Any], str]],
) -> list[Case]:
    def draw(label: str, prop: str, shape: tuple[int, ...], **chosen: Any) -> Case:
        return Case(label, prop, (Rng(int(rng.integers(2**31))), shape), chosen, judge="draws")

    cases = [
        draw("60 inputs, 180 outputs", "values", WIDE),
        draw("180 inputs, 60 outputs", "values", TALL),
        draw("filters", "values", FILTERS),
        Case("twice with one seed", "repeatable", ((3, 5),), drive="repeat_draws",
             seed=int(rng.integers(1000))),
    ]
    for chosen in options:
        text = ", ".join(f"{key}={value!r}" for key, value in chosen.items())
        cases.append(draw(text, "options", WIDE, **chosen))
    for chosen, match in refused:
        text = ", ".join(f"{key}={value!r}" for key, value in chosen.items())
        cases.append(error_case(text, (Rng(0), WIDE), ValueError, f"{name}: {match}", chosen))
    if name != "normal":
        cases.append(error_case("one axis", (Rng(0), (4,)), ShapeError,
                                "fans: shape must have at least 2 axes"))
    return cases


def _zeros(rng: np.random.Generator) -> list[Case]:
    return [
        Case("a bias", "values", (Rng(0), (5,))),
        Case("a matrix", "values", (Rng(0), (3, 4))),
        Case("no rng", "options", (None, (3,))),
        Case("no elements", "edge sizes", (Rng(0), (0, 4))),
    ]


def _fans(rng: np.random.Generator) -> list[Case]:
    # All different, so that no two can be exchanged unnoticed.
    d_in, d_out, c_out, c_in = (int(n) for n in rng.permutation(np.arange(2, 40))[:4])
    return [
        Case("a linear layer", "values", ((d_in, d_out),)),
        Case("filters", "values", ((c_out, c_in, 3, 5),)),
        Case("a kernel of one position", "edge sizes", ((c_out, c_in, 1, 1),)),
        error_case("a bias", ((d_out,),), ShapeError,
                   rf"fans: shape must have at least 2 axes, got \({d_out},\)"),
    ]


def _init_params(rng: np.random.Generator) -> list[Case]:
    name = "init_params"

    def draws(label: str, sizes: tuple[int, ...], scheme: str) -> Case:
        return Case(label, "values", (Rng(int(rng.integers(2**31))), sizes), {"scheme": scheme},
                    judge="network_draws")

    return [
        # Two layers of one shape: nothing but chance may tell them apart.
        draws("he, 4 layers", (60, 150, 150, 150, 40), "he"),
        draws("xavier, 3 layers", (150, 60, 60, 150), "xavier"),
        Case("twice with one seed", "repeatable", ((4, 6, 6, 2),), drive="repeat_draws",
             seed=int(rng.integers(1000))),
        Case("one hidden layer of zeros", "options", (Rng(0), (6, 8, 4)), {"scheme": "zeros"}),
        Case("three hidden layers of zeros", "options", (Rng(0), (2, 3, 4, 5, 6)),
             {"scheme": "zeros"}),
        Case("no hidden layer", "edge sizes", (Rng(0), (5, 2)), {"scheme": "zeros"}),
        error_case("unknown scheme", (Rng(0), (5, 2)), ValueError,
                   f"{name}: scheme must be 'he', 'xavier'", {"scheme": "kaiming"}),
        error_case("one size", (Rng(0), (5,)), ShapeError,
                   f"{name}: sizes must hold at least inputs and outputs"),
        error_case("a size of 0", (Rng(0), (5, 0)), ValueError,
                   f"{name}: each of sizes must be an integer >= 1, got 0"),
        error_case("a size of 2.5", (Rng(0), (5, 2.5)), TypeError,
                   f"{name}: each of sizes must be an integer >= 1, got 2.5"),
    ]


def _register(
    name: str,
    arguments: str,
    options: Sequence[dict[str, Any]],
    refused: Sequence[tuple[dict[str, Any], str]],
) -> None:
    register(
        Operation(name, f"(rng, shape, *, {arguments}, dtype=float64) -> w", CHAPTER,
                  name.replace("_", "-"), ("w",),
                  lambda rng: _scheme(rng, name, options, refused),
                  weights={"options": 2.0, "repeatable": 3.0}),
    )


_register("normal", "mean=0.0, std=0.01", ({"std": 2.0}, {"mean": 3.0, "std": 0.5}),
          (({"std": -1.0}, "std must be a finite number >= 0"),))
for _name in ("xavier_uniform", "xavier_normal"):
    _register(_name, "gain=1.0", ({"gain": 5 / 3},),
              (({"gain": 0.0}, "gain must be a finite number > 0"),))
for _name in ("he_uniform", "he_normal"):
    _register(_name, "negative_slope=0.0", ({"negative_slope": 1.0},),
              (({"negative_slope": float("inf")}, "negative_slope must be"),))

register(
    Operation("zeros", "(rng, shape, *, dtype=float64) -> w", CHAPTER, "zeros", ("w",), _zeros),
    Operation("fans", "(shape) -> (fan_in, fan_out)", CHAPTER, "fans", ("fan_in", "fan_out"),
              _fans),
    Operation("init_params", '(rng, sizes, *, scheme="he", dtype=float64) -> params', CHAPTER,
              "init-params", ("params",), _init_params),
)
