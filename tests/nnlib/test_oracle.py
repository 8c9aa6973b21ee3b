"""Both tracks against PyTorch's own functions and its autograd, under random upstream gradients."""

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

import nnlib.numpy_track
import nnlib.torch_track
from nnlib.checks.oracle import COUNTERPARTS

TRACKS = {"numpy": nnlib.numpy_track, "torch": nnlib.torch_track}
FORWARD = {"float64": (1e-12, 1e-12), "float32": (2e-6, 2e-6)}  # relative, absolute
BACKWARD = {"float64": (1e-10, 1e-10), "float32": (2e-5, 2e-5)}


class Oracle(NamedTuple):
    name: str
    options: dict[str, Any] = {}

    @property
    def torch_function(self) -> Callable[..., torch.Tensor]:
        return COUNTERPARTS[self.name].function


ELEMENTWISE = [
    Oracle("identity"), Oracle("sigmoid"), Oracle("tanh"), Oracle("relu"), Oracle("softplus"),
    Oracle("softplus", {"beta": 0.3}), Oracle("silu"), Oracle("gelu"),
    Oracle("gelu", {"approximate": "tanh"}), Oracle("leaky_relu"),
    Oracle("leaky_relu", {"negative_slope": 0.25}), Oracle("elu"), Oracle("elu", {"alpha": 1.7}),
    Oracle("softmax"), Oracle("softmax", {"axis": 0}), Oracle("log_softmax"),
    Oracle("log_softmax", {"axis": 1}),
]
LAYOUTS = {
    "plain": lambda x: x,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "every second": lambda x: np.repeat(x, 2, axis=0)[::2],
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "read only": lambda x: read_only(x),
}


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def to(track: str, x: np.ndarray) -> Any:
    """Keep the layout where torch has it: negative strides and read-only arrays it has not."""
    if track == "numpy":
        return x
    if any(stride < 0 for stride in x.strides) or not x.flags.writeable:
        return torch.from_numpy(x.copy())
    return torch.from_numpy(x)


def plain(x: Any) -> np.ndarray:
    return x.detach().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


def assert_close(got: Any, want: torch.Tensor, tolerances: dict[str, tuple[float, float]]) -> None:
    have, right = plain(got), plain(want)
    assert have.dtype == right.dtype
    assert have.shape == right.shape
    rtol, atol = tolerances[have.dtype.name]
    np.testing.assert_allclose(have, right, rtol=rtol, atol=atol)


def draws(dtype: str) -> np.ndarray:
    """Ordinary values, values near 0, and large ones; none at a kink."""
    rng = np.random.default_rng(7)
    x = np.concatenate(
        [rng.normal(size=(6, 5)), 1e-6 * rng.normal(size=(2, 5)), 30 * rng.normal(size=(4, 5)),
         rng.uniform(-1e4, 1e4, size=(4, 5))]
    )
    assert len(np.unique(x)) == x.size
    return x.astype(dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("oracle", ELEMENTWISE, ids=lambda o: f"{o.name}-{o.options}")
def test_activation(oracle: Oracle, track: str, dtype: str, layout: str) -> None:
    ops = TRACKS[track]
    x = LAYOUTS[layout](draws(dtype))
    dy = np.random.default_rng(8).normal(size=x.shape).astype(dtype)
    before = x.copy()

    y, cache = getattr(ops, f"{oracle.name}_forward")(to(track, x), **oracle.options)
    dx = getattr(ops, f"{oracle.name}_backward")(to(track, dy), cache)

    leaf = torch.tensor(x.copy(), requires_grad=True)
    want = oracle.torch_function(leaf, **oracle.options)
    want.backward(torch.tensor(dy))
    assert_close(y, want, FORWARD)
    assert_close(dx, leaf.grad, BACKWARD)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("track", TRACKS)
def test_softplus_agrees_with_torch_up_to_its_threshold(track: str) -> None:
    x = np.linspace(-50, 50, 401)
    y, _ = TRACKS[track].softplus_forward(to(track, x))
    np.testing.assert_allclose(plain(y), F.softplus(torch.tensor(x)).numpy(), atol=3e-9, rtol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 0), (2, 1, 3, 1)])
@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("oracle", ELEMENTWISE[:13], ids=lambda o: f"{o.name}-{o.options}")
def test_activation_on_any_shape(
    oracle: Oracle, track: str, shape: tuple[int, ...], dtype: str
) -> None:
    x = np.asarray(np.random.default_rng(3).normal(size=shape), dtype=dtype)
    ops = TRACKS[track]
    y, cache = getattr(ops, f"{oracle.name}_forward")(to(track, x), **oracle.options)
    dx = getattr(ops, f"{oracle.name}_backward")(to(track, np.asarray(x + 1, dtype=dtype)), cache)
    assert tuple(y.shape) == tuple(dx.shape) == shape
    assert plain(y).dtype == plain(dx).dtype == dtype


@pytest.mark.parametrize("oracle", ELEMENTWISE[:13], ids=lambda o: f"{o.name}-{o.options}")
@pytest.mark.parametrize("track", TRACKS)
def test_slope_at_the_kink_is_that_of_torch(oracle: Oracle, track: str) -> None:
    x = np.array([0.0, -0.0])
    ops = TRACKS[track]
    _, cache = getattr(ops, f"{oracle.name}_forward")(to(track, x), **oracle.options)
    dx = getattr(ops, f"{oracle.name}_backward")(to(track, np.array([2.0, -3.0])), cache)
    leaf = torch.tensor(x, requires_grad=True)
    oracle.torch_function(leaf, **oracle.options).backward(torch.tensor([2.0, -3.0]).double())
    assert_close(dx, leaf.grad, BACKWARD)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("sizes", [(4, 3, 2), (3, 3, 3), (1, 3, 2), (0, 3, 2), (5, 1, 1)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("track", TRACKS)
def test_linear(track: str, bias: bool, sizes: tuple[int, int, int], dtype: str) -> None:
    n, d_in, d_out = sizes
    rng = np.random.default_rng(1)
    x, w, dy = (rng.normal(size=s).astype(dtype) for s in ((n, d_in), (d_in, d_out), (n, d_out)))
    b = rng.normal(size=d_out).astype(dtype) if bias else None
    ops = TRACKS[track]
    y, cache = ops.linear_forward(to(track, x), to(track, w), None if b is None else to(track, b))
    dx, dw, db = ops.linear_backward(to(track, dy), cache)

    tx, tw = (torch.tensor(a, requires_grad=True) for a in (x, w))
    tb = None if b is None else torch.tensor(b, requires_grad=True)
    want = F.linear(tx, tw.T, tb)
    want.backward(torch.tensor(dy))
    assert_close(y, want, FORWARD)
    assert_close(dx, tx.grad, BACKWARD)
    assert_close(dw, tw.grad, BACKWARD)
    if tb is None:
        assert db is None
    else:
        assert_close(db, tb.grad, BACKWARD)


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("sizes", [(4, 7, 5, 3), (3, 3), (3, 3, 3, 3, 3)])
def test_mlp(track: str, sizes: tuple[int, ...]) -> None:
    ops = TRACKS[track]
    rng = np.random.default_rng(2)
    x = rng.normal(size=(6, sizes[0]))
    arrays = [(rng.normal(size=(i, o)), rng.normal(size=o))
              for i, o in itertools.pairwise(sizes)]
    logits, cache = ops.mlp_forward(
        to(track, x), [(to(track, w), to(track, b)) for w, b in arrays]
    )
    dy = rng.normal(size=(6, sizes[-1]))
    grads = ops.mlp_backward(to(track, dy), cache)

    leaves = [(torch.tensor(w, requires_grad=True), torch.tensor(b, requires_grad=True))
              for w, b in arrays]
    h = tx = torch.tensor(x, requires_grad=True)
    for place, (w, b) in enumerate(leaves):
        h = h @ w + b
        if place < len(leaves) - 1:
            h = torch.relu(h)
    h.backward(torch.tensor(dy))
    assert_close(logits, h, FORWARD)
    assert_close(grads[0].dx, tx.grad, BACKWARD)
    for grad, (w, b) in zip(grads, leaves, strict=True):
        assert_close(grad.dw, w.grad, BACKWARD)
        assert_close(grad.db, b.grad, BACKWARD)
    assert ops.count_parameters(cache_params(cache)) == sum(
        p.numel() for pair in leaves for p in pair
    )


def cache_params(cache: Any) -> list[tuple[Any, Any]]:
    return [(layer.w, layer.b) for layer in cache.linear]


def test_mlp_backward_uses_the_functions_it_is_given() -> None:
    ops = nnlib.numpy_track
    x, w = np.ones((2, 3)), np.ones((3, 3))
    _, cache = ops.mlp_forward(x, [(w, None), (w, None)])
    called = []

    def linear(dy: np.ndarray, cache: Any) -> Any:
        called.append("linear")
        return ops.linear_backward(dy, cache)

    def relu(dy: np.ndarray, cache: Any) -> Any:
        called.append("relu")
        return ops.relu_backward(dy, cache)

    ops.mlp_backward(x, cache, linear_backward=linear, relu_backward=relu)
    assert called == ["linear", "relu", "linear"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(4, 3), (5,), (1, 1), ()])
@pytest.mark.parametrize("track", TRACKS)
def test_mse(track: str, shape: tuple[int, ...], reduction: str, dtype: str) -> None:
    rng = np.random.default_rng(5)
    pred, target = (np.asarray(rng.normal(size=shape), dtype=dtype) for _ in range(2))
    loss, dpred = TRACKS[track].mse(to(track, pred), to(track, target), reduction=reduction)
    leaf = torch.tensor(pred, requires_grad=True)
    want = F.mse_loss(leaf, torch.tensor(target), reduction=reduction)
    want.sum().backward()
    assert_close(loss, want, FORWARD)
    assert_close(dpred, leaf.grad, BACKWARD)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("track", TRACKS)
def test_softmax_cross_entropy(
    track: str, scale: float, label_smoothing: float, reduction: str, dtype: str
) -> None:
    rng = np.random.default_rng(6)
    logits = (scale * rng.normal(size=(7, 4))).astype(dtype)
    labels = rng.integers(4, size=7)
    assert len(set(labels.tolist())) > 1
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    loss, dlogits = TRACKS[track].softmax_cross_entropy(
        to(track, logits), to(track, labels), **options
    )
    leaf = torch.tensor(logits, requires_grad=True)
    want = F.cross_entropy(leaf, torch.tensor(labels), **options)
    want.sum().backward()
    assert_close(loss, want, FORWARD)
    assert_close(dlogits, leaf.grad, BACKWARD)
    assert float(np.sum(plain(loss))) >= 0


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("integer", ["int8", "int16", "int32", "int64", "uint8"])
def test_labels_of_any_integer_type(track: str, integer: str) -> None:
    ops, labels = TRACKS[track], np.array([2, 0, 1], dtype=integer)
    logits = np.random.default_rng(0).normal(size=(3, 3))
    want, _ = ops.softmax_cross_entropy(to(track, logits), to(track, labels.astype("int64")))
    loss, _ = ops.softmax_cross_entropy(to(track, logits), to(track, labels))
    assert float(loss) == float(want)
    rows = ops.one_hot(to(track, labels), 3)
    np.testing.assert_array_equal(plain(rows), np.eye(3)[[2, 0, 1]])


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.03])
def test_100_steps_of_sgd(track: str, weight_decay: float) -> None:
    ops: ModuleType = TRACKS[track]
    rng = np.random.default_rng(9)
    start = rng.normal(size=(4, 3))
    target = torch.tensor(rng.normal(size=(4, 3)))
    leaf = torch.tensor(start, requires_grad=True)
    optimizer = torch.optim.SGD([leaf], lr=0.05, weight_decay=weight_decay)
    params = {"w": to(track, start)}
    state = ops.sgd_init(params)
    for _ in range(100):
        optimizer.zero_grad()
        F.mse_loss(leaf, target).backward()
        optimizer.step()
        _, grad = ops.mse(params["w"], to(track, target.numpy()))
        params, state = ops.sgd_update(
            params, {"w": grad}, state, learning_rate=0.05, weight_decay=weight_decay
        )
    assert_close(params["w"], leaf, BACKWARD)
    assert not np.allclose(plain(params["w"]), start)


INITIALISERS = {
    "xavier_uniform": (torch.nn.init.xavier_uniform_, {"gain": 1.5}, {"gain": 1.5}),
    "xavier_normal": (torch.nn.init.xavier_normal_, {"gain": 1.5}, {"gain": 1.5}),
    "he_uniform": (torch.nn.init.kaiming_uniform_, {"negative_slope": 0.5}, {"a": 0.5}),
    "he_normal": (torch.nn.init.kaiming_normal_, {"negative_slope": 0.5}, {"a": 0.5}),
}


@pytest.mark.parametrize("name", INITIALISERS)
@pytest.mark.parametrize("shape", [(300, 100), (64, 16, 5, 5)])
@pytest.mark.parametrize("track", TRACKS)
def test_initialisers_have_the_spread_of_torch(
    track: str, shape: tuple[int, ...], name: str
) -> None:
    function, options, torch_options = INITIALISERS[name]
    rng = np.random.default_rng(0) if track == "numpy" else torch.Generator().manual_seed(0)
    w = plain(getattr(TRACKS[track], name)(rng, shape, **options))
    # torch stores a linear layer's weights as (d_out, d_in).
    other = torch.empty(shape if len(shape) == 4 else shape[::-1], dtype=torch.float64)
    want = function(other, generator=torch.Generator().manual_seed(1), **torch_options).numpy()
    assert w.shape == shape
    assert w.std() == pytest.approx(want.std(), rel=0.02)
    assert abs(w.mean()) < 5 * w.std() / np.sqrt(w.size)
    assert np.abs(w).max() == pytest.approx(np.abs(want).max(), rel=0.3)
    if name.endswith("uniform"):
        assert np.abs(w).max() <= w.std() * np.sqrt(3) * 1.02
