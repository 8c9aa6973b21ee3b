"""Every schedule against its counterpart in torch.optim.lr_scheduler."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler
from train_helpers import Track

from nnlib.contract import PlateauState


def torch_rates(make: Callable[[torch.optim.Optimizer], Any], steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    schedule, rates = make(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def warm_up(optimizer: torch.optim.Optimizer) -> Any:
    rise = lr_scheduler.LinearLR(optimizer, start_factor=1 / 8, total_iters=7)
    fall = lr_scheduler.CosineAnnealingLR(optimizer, T_max=23, eta_min=0.01)
    return lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[7])


SCHEDULES: dict[str, tuple[str, dict[str, Any], Callable[..., Any]]] = {
    "constant": ("constant", {}, lambda o: lr_scheduler.LambdaLR(o, lambda step: 1.0)),
    "step_decay": ("step_decay", {"step_size": 7, "gamma": 0.6},
                   lambda o: lr_scheduler.StepLR(o, 7, gamma=0.6)),
    "step_decay, default": ("step_decay", {"step_size": 4}, lambda o: lr_scheduler.StepLR(o, 4)),
    "exponential_decay": ("exponential_decay", {"gamma": 0.93},
                          lambda o: lr_scheduler.ExponentialLR(o, 0.93)),
    "cosine": ("cosine", {"total_steps": 30},
               lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=30)),
    "cosine, eta_min": ("cosine", {"total_steps": 30, "min_learning_rate": 0.02},
                        lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=30, eta_min=0.02)),
    "warmup_cosine": ("warmup_cosine", {"warmup_steps": 7, "total_steps": 30,
                                        "min_learning_rate": 0.01}, warm_up),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_equals_torch(name: str, track: Track) -> None:
    function, options, make = SCHEDULES[name]
    want = torch_rates(make, 31)
    got = [getattr(track.ops, function)(step, learning_rate=0.3, **options) for step in range(31)]
    assert all(type(rate) is float for rate in got)
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


PLATEAUS: list[dict[str, Any]] = [
    {},
    {"patience": 0},
    {"patience": 3, "factor": 0.5},
    {"patience": 2, "threshold": 0.05},
    {"patience": 2, "threshold": 0.05, "threshold_mode": "abs"},
    {"patience": 1, "cooldown": 4},
    {"patience": 1, "min_learning_rate": 0.004},
    {"patience": 1, "eps": 0.02},
]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("options", PLATEAUS, ids=str)
def test_plateau_equals_torch(options: dict[str, Any], mode: str, track: Track) -> None:
    rng = np.random.default_rng(4)
    losses = 1 + 0.3 * np.exp(-np.arange(60) / 8) + 0.05 * rng.normal(size=60)
    losses[20:23] = math.nan
    values = losses if mode == "min" else 3 - losses
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    renamed = {{"min_learning_rate": "min_lr"}.get(k, k): v for k, v in options.items()}
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, mode=mode, **renamed)
    state, rates = PlateauState(0.3), set()
    for value in values:
        schedule.step(float(value))
        kept = state
        state = track.ops.reduce_on_plateau(float(value), state, mode=mode, **options)
        assert kept is not state
        rates.add(state.learning_rate)
        assert state.learning_rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        assert state.waited == schedule.num_bad_epochs
    assert len(rates) > 1


def test_cosine_stays_at_its_minimum(track: Track) -> None:
    options = {"learning_rate": 0.3, "min_learning_rate": 0.01}
    for step in (30, 31, 45, 60, 10**6):
        assert track.ops.cosine(step, total_steps=30, **options) == 0.01
        assert track.ops.warmup_cosine(step, warmup_steps=5, total_steps=30, **options) == 0.01


def test_no_warm_up_is_the_cosine(track: Track) -> None:
    for step in range(12):
        one = track.ops.warmup_cosine(step, learning_rate=0.3, warmup_steps=0, total_steps=10)
        assert one == track.ops.cosine(step, learning_rate=0.3, total_steps=10)


def test_steps_may_be_numpy_integers(track: Track) -> None:
    rate = track.ops.step_decay(np.int64(7), learning_rate=np.float64(0.8), step_size=2, gamma=0.5)
    assert rate == 0.1
    assert type(rate) is float
