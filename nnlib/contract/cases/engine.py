"""Cases for the parts of a small automatic-differentiation engine.

Functions in the arguments are written so that they work on arrays and tensors alike.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlib.contract.caches import ScaledBy
from nnlib.contract.case import Case, Operation
from nnlib.contract.registry import register

CHAPTER = "05-backprop"
Graph = dict[str, tuple[str, ...]]


def _draw(rng: np.random.Generator, *shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(rng.normal(size=shape)) for shape in shapes)


def _same_shape(rng: np.random.Generator, arrays: int) -> list[Case]:
    """Cases for the gradients of ``a + b``, ``a * b`` and ``relu(a)``: dy first."""
    single = tuple(a.astype(np.float32) for a in _draw(rng, *[(2, 3)] * arrays))
    return [
        Case("2 rows, 3 columns", "values", _draw(rng, *[(2, 3)] * arrays)),
        Case("one axis", "values", _draw(rng, *[(5,)] * arrays)),
        Case("float32", "values", single),
        Case("single numbers", "edge sizes", _draw(rng, *[()] * arrays)),
        Case("no rows", "edge sizes", _draw(rng, *[(0, 3)] * arrays)),
    ]


def _relu_vjp(rng: np.random.Generator) -> list[Case]:
    (dy,) = _draw(rng, (4,))
    return [*_same_shape(rng, 2),
            Case("exactly 0", "kinks", (dy, np.array([-1.0, 0.0, -0.0, 1.0])))]


def _matmul_vjp(rng: np.random.Generator) -> list[Case]:
    def draw(n: int, k: int, m: int) -> tuple[np.ndarray, ...]:
        return _draw(rng, (n, m), (n, k), (k, m))

    return [
        Case("(2, 3) @ (3, 4)", "values", draw(2, 3, 4)),
        # Square on purpose: here a forgotten transpose gives a right shape and wrong numbers.
        Case("(3, 3) @ (3, 3)", "values", draw(3, 3, 3)),
        Case("float32", "values", tuple(a.astype(np.float32) for a in draw(2, 3, 4))),
        Case("a row times a column", "edge sizes", draw(1, 4, 1)),
        Case("a column times a row", "edge sizes", draw(4, 1, 3)),
        Case("no rows", "edge sizes", draw(0, 3, 2)),
    ]


def _sum_vjp(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, dy: tuple[int, ...], a: tuple[int, ...], **options: Any) -> Case:
        return Case(name, prop, _draw(rng, dy, a), options)

    dy, a = _draw(rng, (), (2, 3))
    return [
        case("all elements", "values", (), (2, 3)),
        Case("float32", "values", (dy.astype(np.float32), a.astype(np.float32))),
        case("axis=0", "options", (3,), (2, 3), axis=0),
        case("axis=1", "options", (2,), (2, 3), axis=1),
        # Square on purpose: here the wrong axis gives a right shape and wrong numbers.
        case("axis=1 of (3, 3)", "options", (3,), (3, 3), axis=1),
        case("axis=-1, keepdims", "options", (2, 1), (2, 3), axis=-1, keepdims=True),
        case("keepdims of all axes", "options", (1, 1), (2, 3), keepdims=True),
        case("a single number", "edge sizes", (), ()),
        case("one element", "edge sizes", (), (1, 1)),
    ]


def _unbroadcast(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, grad: tuple[int, ...], shape: tuple[int, ...]) -> Case:
        return Case(name, prop, (*_draw(rng, grad), shape))

    (grad,) = _draw(rng, (4, 3))
    return [
        case("(3,) was copied to (4, 3)", "values", (4, 3), (3,)),
        case("(4, 1) was copied to (4, 3)", "values", (4, 3), (4, 1)),
        case("(3, 1) was copied to (3, 3)", "values", (3, 3), (3, 1)),
        case("(1, 3) was copied to (3, 3)", "values", (3, 3), (1, 3)),
        case("(3, 1) was copied to (2, 3, 4)", "values", (2, 3, 4), (3, 1)),
        Case("float32", "values", (grad.astype(np.float32), (3,))),
        case("nothing was copied", "edge sizes", (4, 3), (4, 3)),
        case("a number was copied to (4, 3)", "edge sizes", (4, 3), ()),
        case("two single numbers", "edge sizes", (), ()),
        case("(1,) was copied to (0,)", "edge sizes", (0,), (1,)),
    ]


def chain(length: int) -> Graph:
    """Build ``n0 -> n1 -> … -> n<length>``."""
    return {f"n{i}": (f"n{i - 1}",) for i in range(1, length + 1)}


def one_order(rng: np.random.Generator, size: int) -> tuple[Graph, str]:
    """Draw a graph that has a single topological order: a chain with random short cuts.

    The names are shuffled, so that sorting them is no answer, and parents come in any order.
    """
    names = [f"v{i}" for i in rng.permutation(size)]
    parents: Graph = {}
    for place in range(1, size):
        earlier = [names[i] for i in range(place - 1) if rng.random() < 0.5]
        chosen = [*earlier, names[place - 1]]
        parents[names[place]] = tuple(chosen[i] for i in rng.permutation(len(chosen)))
    # Dicts keep their order, so the entries are shuffled too.
    entries = list(parents.items())
    return dict(entries[i] for i in rng.permutation(len(entries))), names[-1]


def _topological_order(rng: np.random.Generator) -> list[Case]:
    # Every graph here has one right order, so that answers can be compared item by item.
    diamond: Graph = {"y": ("b", "a"), "b": ("a",), "a": ("x",)}
    unused = {**diamond, "z": ("y", "q"), "q": ("x",)}
    return [
        Case("y needs b and a, b needs a", "values", (diamond, "y")),
        Case("6 nodes with short cuts", "values", one_order(rng, 6)),
        Case("9 nodes with short cuts", "values", one_order(rng, 9)),
        Case("a parent listed twice", "values", ({"y": ("x", "x")}, "y")),
        Case("nodes that the output does not need", "values", (unused, "y")),
        Case("an input alone", "edge sizes", ({}, "x")),
        Case("an entry without parents", "edge sizes", ({"x": (), "y": ("x",)}, "y")),
        Case("a chain of 5,000 nodes", "stability", (chain(5000), "n5000")),
    ]


def scale(*factors: float) -> ScaledBy:
    """Make a node's backward: data, so that it costs no call across processes in grading."""
    return ScaledBy(factors)


def _weighted(rng: np.random.Generator, parents: Graph) -> dict[str, ScaledBy]:
    """Give each edge of a graph a random factor."""
    return {
        node: scale(*(float(f) for f in rng.uniform(0.5, 1.5, size=len(own))))
        for node, own in parents.items()
    }


def _backpropagate(rng: np.random.Generator) -> list[Case]:
    def case(name: str, prop: str, graph: Graph, output: str, shape: Sequence[int] = ()) -> Case:
        dy = np.asarray(rng.normal(size=tuple(shape)))
        return Case(name, prop, (graph, _weighted(rng, graph), output, dy))

    a, b = (float(value) for value in rng.uniform(1.0, 2.0, size=2))
    diamond: Graph = {"y": ("b", "a"), "b": ("a",), "a": ("x",)}
    first, first_output = one_order(rng, 6)
    second, second_output = one_order(rng, 9)
    long = chain(5000)
    return [
        case("y needs b and a, b needs a", "values", diamond, "y", (2, 3)),
        case("6 nodes with short cuts", "values", first, first_output, (3,)),
        case("9 nodes with short cuts", "values", second, second_output, (2, 2)),
        Case("y = x + a x: a parent listed twice", "values",
             ({"y": ("x", "x")}, {"y": scale(a, b)}, "y", np.asarray(rng.normal(size=3)))),
        # As in y = a + b, whose two gradients are one array: adding into it changes both.
        Case("gradients that share one array", "values",
             ({"y": ("a", "b"), "b": ("a",), "a": ("x",)},
              {"y": lambda dy: (dy, dy), "b": scale(a), "a": scale(b)},
              "y", np.asarray(rng.normal(size=3)))),
        case("nodes that the output does not need", "values",
             {**diamond, "z": ("y", "q"), "q": ("x",)}, "y", (2,)),
        case("a single number", "edge sizes", diamond, "y"),
        Case("an input alone", "edge sizes", ({}, {}, "x", np.asarray(rng.normal(size=2)))),
        Case("a chain of 5,000 nodes", "stability",
             (long, {node: scale(1.0) for node in long}, "n5000", np.asarray(rng.normal())),
             drive="both_ends"),
    ]


register(
    Operation("unbroadcast", "(grad, shape) -> grad", CHAPTER, "broadcasting-backward", ("grad",),
              _unbroadcast),
    Operation("add_vjp", "(dy, a, b) -> (da, db)", CHAPTER, "autodiff-engine", ("da", "db"),
              lambda rng: _same_shape(rng, 3)),
    Operation("mul_vjp", "(dy, a, b) -> (da, db)", CHAPTER, "autodiff-engine", ("da", "db"),
              lambda rng: _same_shape(rng, 3)),
    Operation("matmul_vjp", "(dy, a, b) -> (da, db)", CHAPTER, "linear-backward", ("da", "db"),
              _matmul_vjp),
    Operation("relu_vjp", "(dy, a) -> da", CHAPTER, "relu-backward", ("da",),
              _relu_vjp),
    Operation("sum_vjp", "(dy, a, *, axis=None, keepdims=False) -> da", CHAPTER,
              "broadcasting-backward", ("da",), _sum_vjp),
    Operation("topological_order", "(parents, output) -> list of names", CHAPTER,
              "topological-order", ("order",), _topological_order),
    Operation("backpropagate", "(parents, vjps, output, dy) -> dict of gradients", CHAPTER,
              "accumulation", ("grads",), _backpropagate),
)
