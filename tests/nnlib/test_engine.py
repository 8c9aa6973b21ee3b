"""The automatic-differentiation engine against PyTorch's, on graphs nobody wrote by hand."""

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlib.numpy_track as ops
import nnlib.torch_track as torch_ops
from nnlib.errors import DtypeError, ShapeError
from nnlib.numpy_track.autograd import Tensor


def draw(*shape: int, seed: int = 0, low: float = 0.5, high: float = 1.5) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).uniform(low, high, size=shape))


EXPRESSIONS = {
    "sum of two": lambda a, b: a + b,
    "broadcast row": lambda a, b: a + b[0],
    "broadcast column": lambda a, b: a * b[:, 0:1],
    "difference and quotient": lambda a, b: (a - b) / (b + 2.0),
    "numbers on the left": lambda a, b: 1.0 - 2.0 * a + 3.0 / b,
    "powers": lambda a, b: a**3 + b**-2 + a**0.5,
    "negation": lambda a, b: -a * -b,
    "matrix product": lambda a, b: a @ b,
    "transposed product": lambda a, b: a.T @ (b @ a),
    "exp and log": lambda a, b: (a.exp() + b.exp()).log(),
    "tanh and relu": lambda a, b: (a - 1.0).relu() + (b - 1.0).tanh(),
    "means": lambda a, b: a.mean() + b.mean(0) * a.mean(1),
    "sums": lambda a, b: a.sum(0) + b.sum(1) * a.sum(),
    "indexing": lambda a, b: a[0] * b[:, 1] + a[1, 2],
    "an index twice": lambda a, b: a[[0, 0, 2]] + b,
    "used often": lambda a, b: a * a + a * b + a + (a * b) * (a * b),
    "diamond": lambda a, b: (a * b) * (a * b + a) - (a * b),
    "one input unused": lambda a, b: a * 2.0,
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expression_against_torch(name: str, dtype: str) -> None:
    arrays = [draw(3, 3, seed=s).astype(dtype) for s in (1, 2)]
    leaves = [torch.tensor(x, requires_grad=True) for x in arrays]
    mine = [Tensor(x, requires_grad=True) for x in arrays]
    want, got = EXPRESSIONS[name](*leaves), EXPRESSIONS[name](*mine)
    dy = np.random.default_rng(3).normal(size=tuple(want.shape)).astype(dtype)
    want.backward(torch.tensor(dy))
    got.backward(dy)
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    assert got.data.dtype == dtype
    np.testing.assert_allclose(got.data, want.detach().numpy(), rtol=tolerance)
    for tensor, leaf in zip(mine, leaves, strict=True):
        if leaf.grad is None:
            assert tensor.grad is None
        else:
            assert np.asarray(tensor.grad).dtype == dtype
            np.testing.assert_allclose(tensor.grad, leaf.grad.numpy(), rtol=tolerance,
                                       atol=tolerance)


SHAPES = ((3, 3), (1, 3), (3, 1), (3,), (1,), ())


@st.composite
def programs(make: st.DrawFn) -> tuple[list[tuple[int, ...]], list[tuple[str, int, int]], int]:
    """Shapes of the inputs, then steps: an operation and the numbers of its operands."""
    shapes = make(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
    steps = []
    for count in range(make(st.integers(1, 12))):
        known = len(shapes) + count
        operation = make(st.sampled_from(["add", "mul", "sub", "div", "tanh", "relu", "neg",
                                          "exp", "square", "mean"]))
        steps.append((operation, make(st.integers(0, known - 1)), make(st.integers(0, known - 1))))
    return shapes, steps, make(st.integers(0, 100))


def execute(inputs: list[Any], steps: list[tuple[str, int, int]]) -> Any:
    values = list(inputs)
    for operation, i, j in steps:
        a, b = values[i], values[j]
        values.append({
            "add": lambda a=a, b=b: a + b,
            "sub": lambda a=a, b=b: a - b,
            "mul": lambda a=a, b=b: a.tanh() * b,
            "div": lambda a=a, b=b: a / (b * b + 1.0),
            "tanh": lambda a=a: a.tanh(),
            "relu": lambda a=a: a.relu(),
            "neg": lambda a=a: -a,
            "exp": lambda a=a: a.tanh().exp(),
            "square": lambda a=a: a.tanh() ** 2,
            "mean": lambda a=a: a.mean(),
        }[operation]())
    return values[-1]


@settings(deadline=None, max_examples=60)
@given(program=programs())
def test_random_programs_against_torch(program: Any) -> None:
    shapes, steps, seed = program
    arrays = [draw(*shape, seed=seed + i, low=-2, high=2) for i, shape in enumerate(shapes)]
    leaves = [torch.tensor(x, requires_grad=True) for x in arrays]
    mine = [Tensor(x, requires_grad=True) for x in arrays]
    want, got = execute(leaves, steps), execute(mine, steps)
    dy = np.asarray(np.random.default_rng(seed).normal(size=tuple(want.shape)))
    want.backward(torch.tensor(dy))
    got.backward(dy)
    np.testing.assert_allclose(got.data, want.detach().numpy(), rtol=1e-10, atol=1e-10)
    for tensor, leaf in zip(mine, leaves, strict=True):
        assert (tensor.grad is None) == (leaf.grad is None)
        if leaf.grad is not None:
            np.testing.assert_allclose(tensor.grad, leaf.grad.numpy(), rtol=1e-9, atol=1e-9)


@given(data=st.data())
def test_unbroadcast_undoes_broadcasting(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=4))
    full = data.draw(hnp.broadcastable_shapes(shape, min_dims=len(shape), max_dims=4, max_side=4))
    full = np.broadcast_shapes(shape, full)
    grad = np.random.default_rng(0).normal(size=full)
    leaf = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    torch.broadcast_to(leaf, full).backward(torch.tensor(grad))
    for got in (ops.unbroadcast(grad, shape), torch_ops.unbroadcast(torch.tensor(grad), shape)):
        assert tuple(got.shape) == shape
        np.testing.assert_allclose(np.asarray(got), leaf.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (-1, 0), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_sum_over_any_axes(axis: Any, keepdims: bool) -> None:
    x = draw(2, 3, 4)
    tensor = Tensor(x, requires_grad=True)
    y = tensor.sum(axis, keepdims=keepdims)
    dy = draw(*y.shape, seed=5)
    y.backward(dy)
    want = np.broadcast_to(
        dy if keepdims or axis is None else np.expand_dims(dy, axis) if axis != () else dy, x.shape
    )
    np.testing.assert_allclose(y.data, x.sum(axis=axis, keepdims=keepdims))
    np.testing.assert_allclose(tensor.grad, want)


@pytest.mark.parametrize("axes", [(), (2, 0, 1), (0, 1, 2), (1, 0, 2)])
def test_transpose_and_reshape(axes: tuple[int, ...]) -> None:
    tensor = Tensor(draw(2, 3, 4), requires_grad=True)
    y = tensor.transpose(*axes).reshape(4, 6)
    dy = draw(4, 6, seed=2)
    y.backward(dy)
    leaf = torch.tensor(tensor.data, requires_grad=True)
    leaf.permute(*(axes or (2, 1, 0))).reshape(4, 6).backward(torch.tensor(dy))
    np.testing.assert_array_equal(tensor.grad, leaf.grad.numpy())


def test_gradients_accumulate_over_uses_and_over_calls() -> None:
    x = Tensor(3.0, requires_grad=True)
    y = x * x + x
    y.backward()
    assert float(x.grad) == 7.0
    (x * 2.0).backward()
    assert float(x.grad) == 9.0
    x.zero_grad()
    assert x.grad is None


def test_no_gradient_array_is_shared_with_the_caller() -> None:
    x = Tensor(np.ones(3), requires_grad=True)
    dy = np.ones(3)
    y = x + x
    y.backward(dy)
    y.backward(dy)
    assert dy.tolist() == [1.0] * 3
    assert x.grad.tolist() == [4.0] * 3


def test_inputs_without_gradient_record_nothing() -> None:
    x, y = Tensor(1.0), Tensor(2.0, requires_grad=True)
    assert (x * x).parents == ()
    assert (x * y).requires_grad
    (x * y).backward()
    assert x.grad is None
    assert not y.detach().requires_grad
    with pytest.raises(ValueError, match="must depend on one with requires_grad=True"):
        (x * x).backward()


def test_numpy_on_the_left() -> None:
    x = Tensor(draw(2, 2), requires_grad=True)
    a = draw(2, 2, seed=1)
    for result, want in ((a + x, a + x.data), (a - x, a - x.data), (a * x, a * x.data),
                         (a / x, a / x.data), (a @ x, a @ x.data)):
        assert isinstance(result, Tensor)
        np.testing.assert_allclose(result.data, want)


def test_a_chain_of_100_000_nodes() -> None:
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert float(x.grad) == 100_001.0
    del y  # taking the graph apart must not recurse either


@pytest.mark.parametrize("track", [ops, torch_ops])
def test_long_chains_of_names(track: Any) -> None:
    parents = {i: (i - 1,) for i in range(1, 100_001)}
    order = track.topological_order(parents, 100_000)
    assert order == list(range(100_001))
    grads = track.backpropagate(parents, dict.fromkeys(parents, lambda dy: (dy,)), 100_000, 1.0)
    assert grads[0] == 1.0


@settings(max_examples=50)
@given(data=st.data(), size=st.integers(1, 12))
def test_topological_order_of_random_graphs(data: st.DataObject, size: int) -> None:
    names = data.draw(st.permutations(range(size)))
    parents = {
        names[i]: tuple(data.draw(st.lists(st.sampled_from(names[:i]), max_size=3)))
        for i in range(1, size)
    }
    order = ops.topological_order(parents, names[-1])
    assert len(set(order)) == len(order)
    assert order[-1] == names[-1]
    place = {name: i for i, name in enumerate(order)}
    for name in order:
        assert all(place[p] < place[name] for p in parents.get(name, ()))
    needed, queue = {names[-1]}, [names[-1]]
    while queue:
        for p in parents.get(queue.pop(), ()):
            if p not in needed:
                needed.add(p)
                queue.append(p)
    assert set(order) == needed


def test_tensor_refuses_what_it_cannot_do() -> None:
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    assert Tensor(np.arange(3)).data.dtype == np.float64
    with pytest.raises(DtypeError, match="Tensor: data must hold floats, got complex128"):
        Tensor(np.ones(2, complex))
    with pytest.raises(DtypeError, match="left and right must have one dtype"):
        x * np.ones(3, np.float32)
    with pytest.raises(ShapeError, match=r"Tensor\.backward: dy must be given for shape \(2, 3\)"):
        x.backward()
    with pytest.raises(ShapeError, match=r"Tensor\.backward: dy must have shape \(2, 3\)"):
        x.backward(np.ones(3))
    with pytest.raises(ShapeError, match=r"the right factor must have shape \(3, m\)"):
        x @ x
    with pytest.raises(ShapeError, match="the left factor must have shape"):
        x[0] @ x
    with pytest.raises(DtypeError, match="exponent must be a finite number"):
        x ** x
    with pytest.raises(ShapeError, match=r"Tensor\.mean: nothing to average"):
        Tensor(np.zeros((0, 2))).mean()


def test_an_mlp_step_equals_the_functions() -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(6, 4)), rng.integers(3, size=6)
    params = ops.init_params(rng, (4, 5, 3))
    logits, cache = ops.mlp_forward(x, params)
    loss, dlogits = ops.softmax_cross_entropy(logits, labels)
    want = ops.mlp_backward(dlogits, cache)

    (w1, b1), (w2, b2) = [[Tensor(p, requires_grad=True) for p in pair] for pair in params]
    z = (x @ w1 + b1).relu() @ w2 + b2
    z = z - z.data.max(axis=1, keepdims=True)
    log_p = z - z.exp().sum(1, keepdims=True).log()
    got = -log_p[np.arange(6), labels].mean()
    got.backward()
    assert float(got.data) == pytest.approx(float(loss), rel=1e-13)
    for tensor, right in ((w1, want[0].dw), (b1, want[0].db), (w2, want[1].dw), (b2, want[1].db)):
        np.testing.assert_allclose(tensor.grad, right, atol=1e-14)
    assert repr(b2).startswith("Tensor(array(")
    assert len(w1) == 4
