"""What the PyTorch track promises: same results, tensors only, no autograd, any device."""

import ast
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlib.numpy_track as numpy_ops
import nnlib.torch_track as ops
from nnlib.torch_track import activations
from nnlib.torch_track.modules import MLP, LinearFunction, Neuron, ReLUFunction

HERE = Path(ops.__file__).parent
HAND_WRITTEN = ["activations", "activations_smooth", "softmax", "dense", "losses", "init", "optim",
                "gradcheck", "arrays", "perceptron", "graph", "layers", "model", "normalization",
                "dropout", "embedding", "recurrent", "sequences", "attention",
                "convolution", "pooling", "losses_elementwise", "optim_adaptive", "optim_adam",
                "regularization", "metrics", "batches", "train"]
UNARY = sorted(name.removesuffix("_forward") for name in [*activations.__all__, "flatten_forward"]
               if name.endswith("_forward"))


def test_every_numpy_function_is_here() -> None:
    assert set(numpy_ops.__all__) <= set(ops.__all__)
    assert len(UNARY) == 12


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_no_numpy_and_no_autograd(name: str) -> None:
    text = (HERE / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
                for alias in node.names}
    assert "numpy" not in imported
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not called & {"numpy", "autograd", "requires_grad_", "functional", "cpu", "cuda"}


@settings(deadline=None, max_examples=150)
@given(data=st.data(), name=st.sampled_from(UNARY))
def test_both_tracks_compute_the_same(data: st.DataObject, name: str) -> None:
    x, dy = (data.draw(hnp.arrays(np.float64, (3, 4), elements=st.floats(-1e4, 1e4)))
             for _ in range(2))
    y, cache = getattr(ops, f"{name}_forward")(torch.tensor(x))
    dx = getattr(ops, f"{name}_backward")(torch.tensor(dy), cache)
    want_y, want_cache = getattr(numpy_ops, f"{name}_forward")(x)
    want_dx = getattr(numpy_ops, f"{name}_backward")(dy, want_cache)
    np.testing.assert_allclose(y.numpy(), want_y, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dx.numpy(), want_dx, rtol=1e-10, atol=1e-9)
    assert type(cache) is type(want_cache)


@pytest.mark.parametrize("name", UNARY)
def test_input_is_not_modified_and_not_tracked(name: str) -> None:
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    kept = x.clone()
    y, cache = getattr(ops, f"{name}_forward")(x)
    dx = getattr(ops, f"{name}_backward")(y.clone(), cache)
    assert torch.equal(x, kept)
    assert not y.requires_grad
    assert not dx.requires_grad


@pytest.mark.parametrize("name", ["relu", "sigmoid", "softmax", "gelu", "softplus"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_half_precision(name: str, dtype: torch.dtype) -> None:
    x = torch.linspace(-3, 3, 12).reshape(3, 4).to(dtype)
    y, cache = getattr(ops, f"{name}_forward")(x)
    dx = getattr(ops, f"{name}_backward")(y, cache)
    assert y.dtype == dx.dtype == dtype
    assert torch.isfinite(dx).all()


def test_results_can_be_printed_and_carried_on() -> None:
    loss, dpred = ops.mse(torch.zeros(2, 3), torch.ones(2, 3))
    assert loss.shape == ()
    assert float(loss) == 1.0
    assert dpred.dtype == torch.float32


def test_numerical_vjp_of_a_leaf_records_nothing() -> None:
    x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    dx = ops.numerical_vjp(lambda x: x**3, x, torch.tensor([1.0, 10.0]))
    torch.testing.assert_close(dx, torch.tensor([3.0, 120.0], dtype=torch.float64))
    assert not dx.requires_grad
    assert x.requires_grad


# --- randomness -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["normal", "xavier_uniform", "xavier_normal", "he_uniform",
                                  "he_normal"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_come_from_the_given_generator_only(name: str, dtype: torch.dtype) -> None:
    draw = getattr(ops, name)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one, same = (draw(torch.Generator().manual_seed(3), (4, 5), dtype=dtype) for _ in range(2))
    other = draw(torch.Generator().manual_seed(4), (4, 5), dtype=dtype)
    assert torch.equal(state, torch.get_rng_state())
    assert one.dtype == dtype
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_split_indices() -> None:
    train, test = ops.split_indices(10, test_fraction=0.25, rng=torch.Generator().manual_seed(0))
    again = ops.split_indices(10, test_fraction=0.25, rng=torch.Generator().manual_seed(0))
    assert len(test) == 2
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(10))
    assert torch.equal(again.test, test)


# --- arrays and perceptron ------------------------------------------------------------------------


def test_arrays_agree_with_numpy() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(9, 3)), rng.normal(size=(4, 3))
    train[:, 1] = 0.1
    got = ops.standardize(torch.tensor(train), torch.tensor(test))
    for mine, want in zip(got, numpy_ops.standardize(train, test), strict=True):
        np.testing.assert_allclose(mine.numpy(), want, atol=1e-14)
    whole = ops.standardize(torch.tensor([[1], [4]]), torch.tensor([[2]], dtype=torch.uint8))
    assert whole.x_test.dtype == torch.float64
    distances = ops.pairwise_squared_distances(torch.tensor(train), torch.tensor(test))
    want = numpy_ops.pairwise_squared_distances(train, test)
    np.testing.assert_allclose(distances.numpy(), want, rtol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_perceptron_agrees_with_numpy(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3)).astype(str(dtype).removeprefix("torch."))
    t = (x @ np.array([1.0, -2.0, 0.5]) > 0.2).astype(np.int64)
    assert 5 < t.sum() < 25
    fit = ops.perceptron_fit(torch.tensor(x), torch.tensor(t), learning_rate=0.5)
    want = numpy_ops.perceptron_fit(x, t, learning_rate=0.5)
    np.testing.assert_allclose(fit.w.numpy(), want.w, rtol=1e-5)
    assert fit.w.dtype == dtype
    assert fit.b == pytest.approx(want.b)
    assert fit.errors == want.errors
    assert fit.errors[-1] == 0
    corners = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=dtype)
    assert ops.xor_forward(corners).tolist() == [0, 1, 1, 0]
    with pytest.raises(ValueError, match="t must be 0 or 1, got 2"):
        ops.perceptron_update(corners[0], 2, corners[0], 0.0)


# --- modules --------------------------------------------------------------------------------------


def leaf(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()


@pytest.mark.parametrize(("function", "inputs"), [
    (ReLUFunction, (leaf(4, 3),)),
    (LinearFunction, (leaf(4, 3), leaf(3, 2), leaf(2))),
    (LinearFunction, (leaf(4, 3), leaf(3, 2), None)),
])
def test_autograd_functions(function: Any, inputs: tuple[Any, ...]) -> None:
    assert torch.autograd.gradcheck(function.apply, inputs)
    assert torch.autograd.gradgradcheck(function.apply, inputs)


def test_relu_function_takes_the_slope_0_at_0() -> None:
    x = torch.tensor([0.0, -0.0], requires_grad=True)
    ReLUFunction.apply(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 0.0]


def test_neuron_is_a_linear_layer_with_one_output() -> None:
    neuron = Neuron(3).double()
    x = leaf(5, 3)
    y = neuron(x)
    assert y.shape == (5,)
    assert neuron(x[:1]).shape == (1,)
    w, b = neuron.linear.weight[0], neuron.linear.bias[0]
    torch.testing.assert_close(y, torch.sigmoid(x @ w + b))
    with pytest.raises(ValueError, match="Neuron: d_in must be an integer >= 1, got 0"):
        Neuron(0)


def test_mlp_module_equals_the_functions() -> None:
    module = MLP((4, 5, 3)).double()
    params = [(layer.weight.T, layer.bias) for layer in module.layers
              if isinstance(layer, torch.nn.Linear)]
    x, dy = leaf(6, 4), leaf(6, 3).detach()
    with torch.no_grad():
        logits, cache = ops.mlp_forward(x, params)
        want = ops.mlp_backward(dy, cache)
    y = module(x)
    y.backward(dy)
    torch.testing.assert_close(y, logits)
    torch.testing.assert_close(x.grad, want[0].dx)
    torch.testing.assert_close(module.layers[0].weight.grad.T, want[0].dw)
    with pytest.raises(ValueError, match="MLP: sizes must hold at least inputs and outputs"):
        MLP((4,))


# --- devices --------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_training_step_stays_on_the_gpu() -> None:
    from nnlib.torch_track.model import mlp

    rng = torch.Generator(device="cuda").manual_seed(0)
    model = mlp(rng, (4, 8, 3), dtype=torch.float32)
    x = torch.randn(10, 4, device="cuda", generator=rng)
    labels = torch.randint(3, (10,), device="cuda", generator=rng)
    state = ops.sgd_init(model.params)
    before, dlogits = ops.softmax_cross_entropy(model(x), labels)
    model.backward(dlogits)
    model.params, _ = ops.sgd_update(model.params, model.grads, state, learning_rate=0.1)
    after, _ = ops.softmax_cross_entropy(model(x), labels)
    assert after < before
    assert all(p.device.type == "cuda" for p in model.params.values())
    for name in UNARY:
        y, cache = getattr(ops, f"{name}_forward")(x)
        assert getattr(ops, f"{name}_backward")(y, cache).device.type == "cuda"
    assert ops.one_hot(labels, 3).device.type == "cuda"
    assert ops.standardize(x, x).x_test.device.type == "cuda"
    w = ops.numerical_vjp(lambda v: v * v, x[0].double(), x[0].double())
    assert w.device.type == "cuda"
    assert ops.perceptron_fit(x, (labels > 0).long(), epochs=2).w.device.type == "cuda"
