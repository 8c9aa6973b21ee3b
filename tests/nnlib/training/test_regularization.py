"""Penalties and clipping against torch; early stopping step by step."""

from typing import Any

import numpy as np
import pytest
import torch
from train_helpers import Track, plain, same_bits


def draw(scale: float = 1.0, dtype: str = "float64") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = {"w": (4, 3), "b": (3,), "scalar": (), "nothing": (0, 2)}
    return {k: np.asarray(scale * rng.normal(size=s), dtype=dtype) for k, s in shapes.items()}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["l1_penalty", "l2_penalty"])
def test_penalty_equals_autograd(name: str, track: Track, dtype: str) -> None:
    start = draw(dtype=dtype)
    value, grads = getattr(track.ops, name)({k: track.array(p) for k, p in start.items()},
                                            strength=0.3)
    leaves = {k: torch.tensor(p, requires_grad=True) for k, p in start.items()}
    parts = [p.abs().sum() if name == "l1_penalty" else 0.5 * p.square().sum()
             for p in leaves.values()]
    want = 0.3 * sum(parts)
    want.backward()
    close = {"rtol": 1e-12 if dtype == "float64" else 2e-6}
    np.testing.assert_allclose(float(value), float(want.detach()), **close)
    assert plain(value).dtype == dtype
    for k, leaf in leaves.items():
        assert plain(grads[k]).dtype == dtype
        assert plain(grads[k]).shape == start[k].shape
        np.testing.assert_allclose(plain(grads[k]), leaf.grad.numpy(), **close)


def test_l2_penalty_is_weight_decay(track: Track) -> None:
    ops, params = track.ops, {k: track.array(p) for k, p in draw().items()}
    grads = {k: track.array(g) for k, g in draw(0.7).items()}
    one, _ = ops.sgd_update(params, grads, {}, learning_rate=0.1, weight_decay=0.4)
    _, extra = ops.l2_penalty(params, strength=0.4)
    other, _ = ops.sgd_update(params, {k: grads[k] + extra[k] for k in grads}, {},
                              learning_rate=0.1)
    for k in one:
        np.testing.assert_allclose(plain(one[k]), plain(other[k]), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("max_norm", [0.1, 1.0, 3.0, 1e3])
def test_clip_grad_norm_equals_torch(
    max_norm: float, scale: float, dtype: str, track: Track
) -> None:
    start = draw(scale, dtype)
    given = {k: track.array(g) for k, g in start.items()}
    grads, norm = track.ops.clip_grad_norm(given, max_norm=max_norm)
    leaves = [torch.zeros(g.shape, dtype=getattr(torch, dtype), requires_grad=True)
              for g in start.values()]
    for leaf, g in zip(leaves, start.values(), strict=True):
        leaf.grad = torch.tensor(g)
    want = torch.nn.utils.clip_grad_norm_(leaves, max_norm)
    close = {"rtol": 1e-12 if dtype == "float64" else 2e-6}
    np.testing.assert_allclose(float(norm), float(want), **close)
    assert plain(norm).dtype == dtype
    for (k, g), leaf in zip(grads.items(), leaves, strict=True):
        assert plain(g).dtype == dtype
        np.testing.assert_allclose(plain(g), leaf.grad.numpy(), **close)
        assert not np.shares_memory(plain(g), plain(given[k]))
        np.testing.assert_array_equal(plain(given[k]), start[k])


class Model:
    """Holds weights; an optimizer that works in place changes them."""

    def __init__(self, w: Any) -> None:
        self.params = {"w": w}


class ModelWithState(Model):
    def __init__(self, w: Any) -> None:
        super().__init__(w)
        self.running = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"params": self.params, "running": self.running}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.params, self.running = state["params"], state["running"]


def follow(stopping: Any, model: Any, values: list[float]) -> int:
    for epoch, value in enumerate(values):
        model.params["w"] *= 0
        model.params["w"] += epoch
        if isinstance(model, ModelWithState):
            model.running = float(epoch)
        if stopping.observe(value, model):
            return epoch
    return len(values)


@pytest.mark.parametrize(("patience", "last"), [(1, 2), (2, 5), (3, 9)])
def test_patience_counts_epochs_in_a_row(patience: int, last: int, track: Track) -> None:
    values = [1.0, 0.8, 0.9, 0.7, 0.8, 0.75, 0.6, 0.65, 0.65, 0.65, 0.65]
    model = Model(track.array(np.zeros(2)))
    stopping = track.ops.EarlyStopping(patience=patience)
    assert follow(stopping, model, values) == last
    best = {2: 1, 5: 3, 9: 6}[last]
    assert (stopping.best_epoch, stopping.best) == (best, values[best])
    stopping.restore(model)
    assert plain(model.params["w"]).tolist() == [best, best]
    # What was restored is a copy: going on must not change what is kept.
    model.params["w"] += 100
    stopping.restore(model)
    assert plain(model.params["w"]).tolist() == [best, best]


def test_everything_in_the_state_dict_is_restored(track: Track) -> None:
    model = ModelWithState(track.array(np.zeros(2)))
    stopping = track.ops.EarlyStopping(patience=2, mode="max")
    assert follow(stopping, model, [0.1, 0.4, 0.3, 0.2]) == 3
    stopping.restore(model)
    assert (model.running, plain(model.params["w"]).tolist()) == (1.0, [1.0, 1.0])


def test_without_a_best_value_nothing_is_restored(track: Track) -> None:
    model = Model(track.array(np.ones(2)))
    stopping = track.ops.EarlyStopping(patience=2)
    assert [stopping.observe(float("nan"), model) for _ in range(2)] == [False, True]
    before = {"w": track.array(np.array(plain(model.params["w"])))}
    stopping.restore(model)
    assert stopping.best_weights is None
    assert same_bits(model.params, before)


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"patience": 0}, ValueError, "EarlyStopping: patience must be an integer >= 1, got 0"),
    ({"patience": 1.5}, TypeError, "EarlyStopping: patience must be an integer"),
    ({"min_delta": -1}, ValueError, "EarlyStopping: min_delta must be a finite number >= 0"),
    ({"mode": "least"}, ValueError, "EarlyStopping: mode must be 'min' or 'max', got 'least'"),
])
def test_early_stopping_refuses(
    options: dict[str, Any], error: type[Exception], message: str, track: Track
) -> None:
    with pytest.raises(error, match=message):
        track.ops.EarlyStopping(**options)


def test_an_infinite_norm_as_in_torch(track: Track) -> None:
    grads = {"w": track.array(np.array([np.inf, 1.0]))}
    with np.errstate(invalid="ignore"):
        clipped, norm = track.ops.clip_grad_norm(grads, max_norm=1.0)
    assert float(norm) == np.inf
    np.testing.assert_array_equal(plain(clipped["w"]), [np.nan, 0.0])
    with pytest.raises(ValueError, match="clip_grad_norm: the norm of grads must be finite"):
        track.ops.clip_grad_norm(grads, max_norm=1.0, error_if_nonfinite=True)
