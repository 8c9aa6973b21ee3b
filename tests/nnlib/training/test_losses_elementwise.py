"""mae, huber and binary cross-entropy against PyTorch's, and against finite differences."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from train_helpers import Track, plain

FORWARD = {"float64": 1e-12, "float32": 2e-6}
BACKWARD = {"float64": 1e-10, "float32": 2e-5}


class Oracle(NamedTuple):
    name: str
    torch_function: Callable[..., torch.Tensor]
    options: dict[str, Any] = {}


ORACLES = [
    Oracle("mae", F.l1_loss),
    Oracle("huber", F.huber_loss),
    Oracle("huber", F.huber_loss, {"delta": 0.3}),
    Oracle("huber", F.huber_loss, {"delta": 250.0}),
    Oracle("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits),
]
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": lambda x: x,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "reversed": lambda x: np.ascontiguousarray(x[::-1])[::-1],
}


def draws(oracle: Oracle, shape: tuple[int, ...], scale: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    pred = np.asarray(scale * rng.normal(size=shape))
    if oracle.name.startswith("binary"):
        return pred, np.asarray(rng.uniform(size=shape))
    return pred, np.asarray(scale * rng.normal(size=shape))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("oracle", ORACLES, ids=lambda o: f"{o.name}-{o.options}")
def test_equals_torch(
    oracle: Oracle, track: Track, scale: float, reduction: str, dtype: str, layout: str
) -> None:
    pred, target = (LAYOUTS[layout](a.astype(dtype)) for a in draws(oracle, (7, 5), scale))
    kept = pred.copy(), target.copy()
    loss, dpred = getattr(track.ops, oracle.name)(
        track.array(pred), track.array(target), reduction=reduction, **oracle.options
    )
    leaf = torch.tensor(pred.copy(), requires_grad=True)
    want = oracle.torch_function(
        leaf, torch.tensor(target.copy()), reduction=reduction, **oracle.options
    )
    want.sum().backward()
    assert plain(loss).dtype == plain(dpred).dtype == dtype
    assert plain(loss).shape == tuple(want.shape)
    np.testing.assert_allclose(plain(loss), want.detach().numpy(), rtol=FORWARD[dtype],
                               atol=FORWARD[dtype])
    np.testing.assert_allclose(plain(dpred), leaf.grad.numpy(), rtol=BACKWARD[dtype],
                               atol=BACKWARD[dtype])
    assert np.array_equal(pred, kept[0])
    assert np.array_equal(target, kept[1])


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (0, 3), (2, 0)])
@pytest.mark.parametrize("oracle", ORACLES, ids=lambda o: f"{o.name}-{o.options}")
def test_any_shape(oracle: Oracle, track: Track, shape: tuple[int, ...]) -> None:
    pred, target = (track.array(a) for a in draws(oracle, shape, 1.0))
    function = getattr(track.ops, oracle.name)
    loss, dpred = function(pred, target, reduction="sum", **oracle.options)
    leaf = torch.tensor(plain(pred), requires_grad=True)
    want = oracle.torch_function(leaf, torch.tensor(plain(target)), reduction="sum",
                                 **oracle.options)
    want.backward()
    np.testing.assert_allclose(float(loss), float(want.detach()), rtol=1e-12)
    assert plain(dpred).shape == shape
    np.testing.assert_allclose(plain(dpred), leaf.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda o: f"{o.name}-{o.options}")
def test_gradient_by_finite_differences(oracle: Oracle, track: Track) -> None:
    pred, target = (track.array(a) for a in draws(oracle, (3, 4), 1.0))
    function = getattr(track.ops, oracle.name)
    _, dpred = function(pred, target, **oracle.options)
    want = track.ops.numerical_vjp(lambda x: function(x, target, **oracle.options)[0], pred,
                                   track.array(np.array(1.0)))
    np.testing.assert_allclose(plain(dpred), plain(want), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("oracle", ORACLES[:4], ids=lambda o: f"{o.name}-{o.options}")
def test_slope_at_the_kinks_is_that_of_torch(oracle: Oracle, track: Track) -> None:
    delta = oracle.options.get("delta", 1.0)
    pred = np.array([0.0, -0.0, delta, -delta])
    _, dpred = getattr(track.ops, oracle.name)(
        track.array(pred), track.array(np.zeros(4)), reduction="sum", **oracle.options
    )
    leaf = torch.tensor(pred, requires_grad=True)
    oracle.torch_function(leaf, torch.zeros(4).double(), reduction="sum",
                          **oracle.options).backward()
    np.testing.assert_array_equal(plain(dpred), leaf.grad.numpy())


def test_binary_cross_entropy_is_cross_entropy_of_two_classes(track: Track) -> None:
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=20), rng.integers(2, size=20)
    one, dz = track.ops.binary_cross_entropy_with_logits(
        track.array(z), track.array(labels.astype(float))
    )
    logits = np.stack([np.zeros(20), z], axis=1)
    other, dlogits = track.ops.softmax_cross_entropy(track.array(logits), track.array(labels))
    assert float(one) == pytest.approx(float(other), rel=1e-14)
    np.testing.assert_allclose(plain(dz), plain(dlogits)[:, 1], rtol=1e-12)
