"""Every optimizer against torch.optim over 100 steps, and what its arrays go through."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from train_helpers import Track, plain

import nnlib.numpy_track
from nnlib.contract import Optimizer
from nnlib.numpy_track import _blocks


class Oracle(NamedTuple):
    name: str
    torch_class: Callable[..., torch.optim.Optimizer]
    options: dict[str, Any]
    torch_options: dict[str, Any] | None = None
    init: dict[str, Any] = {}


def adam(name: str, torch_class: Callable[..., torch.optim.Optimizer]) -> list[Oracle]:
    return [
        Oracle(name, torch_class, {}),
        Oracle(name, torch_class, {"learning_rate": 0.1}),
        Oracle(name, torch_class, {"beta1": 0.7, "beta2": 0.95},
               {"betas": (0.7, 0.95)}),
        Oracle(name, torch_class, {"beta1": 0.0, "beta2": 0.0, "eps": 1e-3},
               {"betas": (0.0, 0.0), "eps": 1e-3}),
        Oracle(name, torch_class, {"eps": 1e-2}),
        Oracle(name, torch_class, {"weight_decay": 0.3}),
        Oracle(name, torch_class, {"amsgrad": True, "learning_rate": 0.05}),
        Oracle(name, torch_class, {"amsgrad": True, "weight_decay": 0.1}),
    ]


SGD, RMS, ADA = torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adagrad
ORACLES = [
    Oracle("sgd", SGD, {}),
    Oracle("sgd", SGD, {"learning_rate": 0.05, "weight_decay": 0.1}),
    Oracle("momentum", SGD, {}, {"momentum": 0.9}),
    Oracle("momentum", SGD, {"momentum": 0.5, "weight_decay": 0.1}),
    Oracle("momentum", SGD, {"momentum": 0.8, "dampening": 0.4}),
    Oracle("momentum", SGD, {"momentum": 0.8, "nesterov": True}),
    Oracle("momentum", SGD, {"momentum": 0.7, "nesterov": True, "weight_decay": 0.05}),
    Oracle("momentum", SGD, {"momentum": 0.0}),
    Oracle("adagrad", ADA, {}),
    Oracle("adagrad", ADA, {"learning_rate": 0.3, "learning_rate_decay": 0.1},
           {"lr_decay": 0.1, "lr": 0.3}),
    Oracle("adagrad", ADA, {"weight_decay": 0.1, "eps": 1e-3}),
    Oracle("adagrad", ADA, {}, {"initial_accumulator_value": 0.7},
           {"initial_accumulator_value": 0.7}),
    Oracle("rmsprop", RMS, {}),
    Oracle("rmsprop", RMS, {"alpha": 0.8, "eps": 1e-3}),
    Oracle("rmsprop", RMS, {"weight_decay": 0.1}),
    Oracle("rmsprop", RMS, {"momentum": 0.6}),
    Oracle("rmsprop", RMS, {"centered": True}),
    Oracle("rmsprop", RMS, {"centered": True, "momentum": 0.9, "weight_decay": 0.01}),
    *adam("adam", torch.optim.Adam),
    *adam("adamw", torch.optim.AdamW),
]
RENAMED = {"learning_rate": "lr"}
SHAPES = {"w": (4, 3), "b": (3,), "scalar": (), "nothing": (0, 2)}


def torch_options(oracle: Oracle) -> dict[str, Any]:
    if oracle.torch_options is not None:
        options = dict(oracle.torch_options)
    else:
        options = {RENAMED.get(name, name): value for name, value in oracle.options.items()}
    if oracle.name in ("sgd", "momentum"):
        options.setdefault("lr", oracle.options.get("learning_rate", 1e-2))
    return options


def problem(seed: int = 9) -> tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
    """Draw parameters, and for each of 100 steps a gradient that does not depend on them."""
    rng = np.random.default_rng(seed)
    start = {name: np.asarray(rng.normal(size=shape)) for name, shape in SHAPES.items()}
    grads = [{name: np.asarray(rng.normal(size=shape) * 10 ** rng.uniform(-2, 1))
              for name, shape in SHAPES.items()} for _ in range(100)]
    return start, grads


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda o: f"{o.name}-{o.options}{o.init}")
def test_100_steps_equal_torch(oracle: Oracle, track: Track) -> None:
    start, grads = problem()
    leaves = {name: torch.tensor(p, requires_grad=True) for name, p in start.items()}
    optimizer = oracle.torch_class(list(leaves.values()), **torch_options(oracle))
    params = {name: track.array(p) for name, p in start.items()}
    update = getattr(track.ops, f"{oracle.name}_update")
    state = getattr(track.ops, f"{oracle.name}_init")(params, **oracle.init)
    for step in grads:
        for name, leaf in leaves.items():
            # Half of the gradient pulls to 0, so that the parameters matter too.
            leaf.grad = torch.tensor(step[name]) + 0.5 * leaf.detach()
        optimizer.step()
        given = {name: track.array(g) + 0.5 * params[name] for name, g in step.items()}
        params, state = update(params, given, state, **oracle.options)
    for name, leaf in leaves.items():
        assert tuple(params[name].shape) == SHAPES[name]
        np.testing.assert_allclose(plain(params[name]), leaf.detach().numpy(), rtol=1e-10,
                                   atol=1e-10)
    assert not np.allclose(plain(params["w"]), start["w"])


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda o: f"{o.name}-{o.options}{o.init}")
def test_float32_stays_and_inputs_are_kept(oracle: Oracle, track: Track) -> None:
    start, grads = problem()
    params = {name: track.array(p.astype(np.float32)) for name, p in start.items()}
    given = {name: track.array(g.astype(np.float32)) for name, g in grads[0].items()}
    update = getattr(track.ops, f"{oracle.name}_update")
    state = getattr(track.ops, f"{oracle.name}_init")(params, **oracle.init)
    params, state = update(params, given, state, **oracle.options)

    def copied(value: Any) -> Any:
        return ({k: copied(v) for k, v in value.items()} if isinstance(value, dict)
                else np.array(plain(value)) if hasattr(value, "shape") else value)

    def arrays(value: Any) -> list[Any]:
        return ([a for v in value.values() for a in arrays(v)] if isinstance(value, dict)
                else [value] if hasattr(value, "shape") else [])

    before = copied(params), copied(given), copied(state)
    after, new_state = update(params, given, state, **oracle.options)
    np.testing.assert_equal((copied(params), copied(given), copied(state)), before)
    old = {id(a) for a in arrays(params) + arrays(given) + arrays(state)}
    for a in arrays(after) + arrays(new_state):
        assert plain(a).dtype == np.float32
        assert id(a) not in old
        for b in arrays(params) + arrays(given) + arrays(state):
            assert not np.shares_memory(plain(a), plain(b))
    assert new_state.get("step", 2) == 2


@pytest.mark.parametrize("name", ["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("layout", ["plain", "transposed", "reversed", "every second"])
def test_large_arrays_in_blocks_equal_small_ones(name: str, layout: str) -> None:
    """More than one block, the last one short, in any layout, give the bits of one formula."""
    ops = nnlib.numpy_track
    rng = np.random.default_rng(0)
    size = 2 * _blocks.BLOCK + 17
    change = {"plain": lambda x: x, "transposed": lambda x: x.reshape(-1, 3).T if x.size % 3 == 0
              else x, "reversed": lambda x: x[::-1], "every second": lambda x: x[::2]}[layout]
    p, g = (change(rng.normal(size=size + (-size) % 3).astype(np.float32)) for _ in range(2))
    init, update = ops.get_optimizer(name)
    whole = {"w": p}
    state = init(whole)
    for _ in range(2):
        whole, state = update(whole, {"w": g}, state)
    rows = [slice(k, k + 1000) for k in range(0, p.reshape(-1).size, 1000)]
    parts = {str(k): p.reshape(-1)[row] for k, row in enumerate(rows)}
    part_grads = {str(k): g.reshape(-1)[row] for k, row in enumerate(rows)}
    state = init(parts)
    for _ in range(2):
        parts, state = update(parts, part_grads, state)
    assert whole["w"].shape == p.shape
    assert whole["w"].dtype == np.float32
    np.testing.assert_array_equal(whole["w"].reshape(-1), np.concatenate(list(parts.values())))


def test_no_step_is_skipped_by_a_gradient_of_zero(track: Track) -> None:
    """With m above 0, Adam goes on although the gradient is 0."""
    params = {"w": track.array(np.array([1.0]))}
    state = track.ops.adam_init(params)
    params, state = track.ops.adam_update(params, {"w": track.array(np.array([1.0]))}, state)
    after, state = track.ops.adam_update(params, {"w": track.array(np.array([0.0]))}, state)
    assert float(after["w"][0]) < float(params["w"][0])
    assert state["step"] == 2


def test_get_optimizer(track: Track) -> None:
    chosen = track.ops.get_optimizer("adamw", weight_decay=0.5)
    assert isinstance(chosen, Optimizer)
    params = {"w": track.array(np.array([2.0]))}
    zero = {"w": track.array(np.array([0.0]))}
    params, _ = chosen.update(params, zero, chosen.init(params), learning_rate=0.5)
    assert float(params["w"][0]) == 1.5
    with pytest.raises(ValueError, match=r"get_optimizer: name must be 'sgd', .* or 'adamw', got"):
        track.ops.get_optimizer("sdg")
