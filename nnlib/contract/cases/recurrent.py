"""Cases for the recurrent cells and for whole sequences: one table serves all three kinds."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nnlib.contract.case import Case, Operation
from nnlib.contract.cases._pairs import Inputs, backward_cases, error_case, forward_cases
from nnlib.contract.registry import register
from nnlib.errors import DtypeError, ShapeError

CHAPTER = "17-sequences"
Make = Callable[[np.random.Generator], list[Inputs]]


@dataclass(frozen=True)
class Kind:
    """What tells the three cells apart: blocks of weights, names of states and of biases."""

    name: str
    gates: int
    states: tuple[str, ...]
    biases: tuple[str, ...]
    grads: str

    @property
    def arguments(self) -> str:
        """The arguments as the signature writes them."""
        return ", ".join(("x", *self.states, "w_xh", "w_hh", *self.biases))

    @property
    def gradients(self) -> tuple[str, ...]:
        """The fields of the backward's result."""
        return tuple(f"d{name}" for name in self.arguments.split(", "))


KINDS = (
    Kind("rnn", 1, ("h",), ("b",), "RnnGrads"),
    Kind("lstm", 4, ("h", "c"), ("b",), "LstmGrads"),
    Kind("gru", 3, ("h",), ("b_x", "b_h"), "GruGrads"),
)


def draw(
    rng: np.random.Generator,
    kind: Kind,
    n: int,
    d: int,
    k: int,
    *,
    t: int | None = None,
    dtype: type = np.float64,
) -> tuple[np.ndarray, ...]:
    """Draw the arguments of a cell, or with ``t`` of a whole sequence, in their order."""
    width = kind.gates * k
    shapes = [(n, d) if t is None else (n, t, d), *[(n, k)] * len(kind.states),
              (d, width), (k, width), *[(width,)] * len(kind.biases)]
    return tuple(rng.normal(size=shape).astype(dtype) for shape in shapes)


def _cell_inputs(kind: Kind) -> Make:
    def make(rng: np.random.Generator) -> list[Inputs]:
        x, *rest = draw(rng, kind, 4, 3, 2)
        return [
            Inputs("4 rows, 3 inputs, 2 units", "values", draw(rng, kind, 4, 3, 2)),
            # Square on purpose: a forgotten transpose gives a right shape and wrong numbers.
            Inputs("all sizes 3", "values", draw(rng, kind, 3, 3, 3)),
            Inputs("float32", "values", draw(rng, kind, 4, 3, 2, dtype=np.float32)),
            Inputs("a batch of one", "edge sizes", draw(rng, kind, 1, 3, 2)),
            Inputs("no rows", "edge sizes", draw(rng, kind, 0, 3, 2)),
            Inputs("one input, one unit", "edge sizes", draw(rng, kind, 5, 1, 1)),
            Inputs("up to 1e4", "stability", (1e4 * x, *rest)),
            Inputs("up to 1e4, float32", "stability",
                   tuple(a.astype(np.float32) for a in (1e4 * x, *rest))),
        ]

    return make


def _sequence_inputs(kind: Kind) -> Make:
    def make(rng: np.random.Generator) -> list[Inputs]:
        x, *rest = draw(rng, kind, 2, 3, 2, t=4)
        return [
            Inputs("4 rows of 5 steps", "values", draw(rng, kind, 4, 3, 2, t=5)),
            Inputs("all sizes 3", "values", draw(rng, kind, 3, 3, 3, t=3)),
            Inputs("float32", "values", draw(rng, kind, 4, 3, 2, t=5, dtype=np.float32)),
            Inputs("one step", "edge sizes", draw(rng, kind, 4, 3, 2, t=1)),
            Inputs("a batch of one", "edge sizes", draw(rng, kind, 1, 3, 2, t=4)),
            Inputs("no rows", "edge sizes", draw(rng, kind, 0, 3, 2, t=4)),
            Inputs("up to 1e4", "stability", (1e4 * x, *rest)),
        ]

    return make


def _cell_errors(rng: np.random.Generator, kind: Kind) -> list[Case]:
    name, width, states = f"{kind.name}_cell_forward", 2 * kind.gates, len(kind.states)
    args = draw(rng, kind, 4, 3, 2)

    def swap(place: int, value: np.ndarray) -> tuple[np.ndarray, ...]:
        return (*args[:place], value, *args[place + 1:])

    cases = [
        error_case("x transposed", swap(0, args[0].T.copy()), ShapeError,
                   rf"{name}: x must have shape \(n, 3\), got \(3, 4\)"),
        error_case("one state for all rows", swap(1, args[1][:1].copy()), ShapeError,
                   rf"{name}: h must have shape \(4, 2\), got \(1, 2\)"),
        error_case("w_xh of another width", swap(states + 1, args[states + 1][:, 1:].copy()),
                   ShapeError, rf"{name}: w_xh must have shape \(d, {width}\)"),
        error_case("w_hh of another width", swap(states + 2, args[states + 2][:, 1:].copy()),
                   ShapeError, rf"{name}: w_hh must have shape \(2, {width}\)"),
        error_case("integers", swap(0, np.ones((4, 3), int)), DtypeError,
                   f"{name}: x must hold floats, got int"),
        error_case("two dtypes", swap(1, args[1].astype(np.float32)), DtypeError,
                   f"{name}: x and h must have one dtype"),
    ]
    for place, bias in enumerate(kind.biases, start=states + 3):
        cases.append(error_case(f"{bias} of size 1", swap(place, args[place][:1].copy()),
                                ShapeError, rf"{name}: {bias} must have shape \({width},\)"))
    return cases


def _sequence_errors(rng: np.random.Generator, kind: Kind) -> list[Case]:
    name = f"{kind.name}_forward"
    x, *rest = draw(rng, kind, 4, 3, 2, t=5)
    return [
        error_case("a single step without its axis", (x[:, 0].copy(), *rest), ShapeError,
                   rf"{name}: x must have shape \(n, t, 3\), got \(4, 3\)"),
        error_case("one state for all rows", (x, rest[0][:1].copy(), *rest[1:]), ShapeError,
                   rf"{name}: h must have shape \(4, 2\), got \(1, 2\)"),
        error_case("no steps", (x[:, :0].copy(), *rest), ShapeError,
                   f"{name}: x must have at least one time step"),
        error_case("integers", (np.ones((4, 5, 3), int), *rest), DtypeError,
                   f"{name}: x must hold floats, got int"),
    ]


def _register(
    kind: Kind,
    stem: str,
    make_inputs: Make,
    make_errors: Callable[[np.random.Generator, Kind], list[Case]],
    outputs: tuple[str, ...],
) -> None:
    forward, backward = f"{stem}_forward", f"{stem}_backward"
    result = f"({', '.join(outputs)})" if len(outputs) > 1 else outputs[0]
    upstream = f"({', '.join(f'd{o}' for o in outputs)})" if len(outputs) > 1 else f"d{outputs[0]}"

    def make_forward(rng: np.random.Generator) -> list[Case]:
        cases = [replace(c, drive="forward_parts") for c in forward_cases(rng, make_inputs)]
        return cases + make_errors(rng, kind)

    def make_backward(rng: np.random.Generator) -> list[Case]:
        return [replace(c, drive="backward_parts")
                for c in backward_cases(rng, make_inputs, forward)]

    anchor = stem.replace("_", "-")
    register(
        Operation(forward, f"({kind.arguments}) -> ({result}, cache)", CHAPTER,
                  f"{anchor}-forward", outputs, make_forward),
        Operation(backward, f"({upstream}, cache) -> {kind.grads}", CHAPTER,
                  f"{anchor}-backward", kind.gradients, make_backward),
    )


for _kind in KINDS:
    _lstm = _kind.name == "lstm"
    _register(_kind, f"{_kind.name}_cell", _cell_inputs(_kind), _cell_errors,
              ("h", "c") if _lstm else ("h",))
    _register(_kind, _kind.name, _sequence_inputs(_kind), _sequence_errors,
              ("y", "c") if _lstm else ("y",))
