"""Drivers for the PyTorch exercises of chapter 9: schedules, clipping, groups, resuming."""

import io
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import to_track
from nnlib.contract import Case

LOSSES: dict[str, nn.Module] = {"mse": nn.MSELoss()}

#: Factors for steps from 0.
SCHEDULES: dict[str, Callable[[int], float]] = {
    "constant": lambda step: 1.0,
    "stair": lambda step: 0.3 ** (step // 2),
    "warm-up": lambda step: min(1.0, (step + 1) / 4),
    "halving": lambda step: 0.5**step,
}


def _linear(w: Tensor) -> nn.Linear:
    """Make a layer that computes ``x @ w``, with a bias of 0."""
    layer = nn.Linear(w.shape[0], w.shape[1], dtype=w.dtype)
    with torch.no_grad():
        layer.weight.copy_(w.T)
        layer.bias.zero_()
    return layer


def _body_and_head(arrays: dict[str, Tensor]) -> nn.Module:
    """Make a network of two parts that are named body and head."""
    body = nn.Sequential(_linear(arrays["v"]), nn.Tanh())
    return nn.Sequential(OrderedDict(body=body, head=_linear(arrays["w"])))


def _plain(arrays: dict[str, Tensor]) -> nn.Module:
    return nn.Sequential(_linear(arrays["v"]), nn.Tanh(), _linear(arrays["w"]))


def _normalized(arrays: dict[str, Tensor]) -> nn.Module:
    """Make a network with buffers: running statistics that every batch changes."""
    v, w = arrays["v"], arrays["w"]
    norm = nn.BatchNorm1d(v.shape[1], dtype=v.dtype)
    return nn.Sequential(_linear(v), norm, nn.Tanh(), _linear(w))


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Copy parameters and buffers."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


@driver("torch_schedule")
def torch_schedule(implementation: Any, case: Case, track: str) -> Trial:
    """Train with a schedule: the outputs are the rates and the parameters afterwards."""
    key, arrays, batches = to_track(tuple(case.args), track)
    options = dict(case.options)
    schedule, model = SCHEDULES[options.pop("schedule")], _plain(arrays)

    def run(batches: Any) -> tuple[Any, ...]:
        rates = implementation(model, batches, LOSSES[key], schedule, **options)
        return [float(rate) for rate in rates], _state(model)

    return guarded(run, (batches,), {}, tuple)


@driver("torch_clipped_step")
def torch_clipped_step(implementation: Any, case: Case, track: str) -> Trial:
    """One step: the outputs are the norm and the parameters afterwards.

    With ``used`` the model holds gradients already.
    """
    key, arrays, x, y = to_track(tuple(case.args), track)
    options = dict(case.options)
    model = _plain(arrays)
    if options.pop("used"):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)

    def run(x: Tensor, y: Tensor) -> tuple[Any, ...]:
        norm = implementation(model, x, y, LOSSES[key], **options)
        return float(norm), _state(model)

    return guarded(run, (x, y), {}, tuple)


@driver("torch_groups")
def torch_groups(implementation: Any, case: Case, track: str) -> Trial:
    """Train body and head: the outputs are pairs of rates and the parameters afterwards."""
    key, arrays, batches = to_track(tuple(case.args), track)
    model = _body_and_head(arrays)

    def run(batches: Any) -> tuple[Any, ...]:
        rates = implementation(model, batches, LOSSES[key], **case.options)
        return [[float(rate) for rate in pair] for pair in rates], _state(model)

    return guarded(run, (batches,), {}, tuple)


@driver("torch_range_test")
def torch_range_test(implementation: Any, case: Case, track: str) -> Trial:
    """A range test: the outputs are rates, losses and the model's state afterwards."""
    key, arrays, batches = to_track(tuple(case.args), track)
    model = _normalized(arrays)

    def run(batches: Any) -> tuple[Any, ...]:
        rates, losses = implementation(model, batches, LOSSES[key], **case.options)
        return [float(rate) for rate in rates], [float(loss) for loss in losses], _state(model)

    return guarded(run, (batches,), {}, tuple)


def _require_plain(state: Any) -> None:
    """Refuse a state that only pickle could store."""
    if isinstance(state, Mapping):
        for key, value in state.items():
            _require_plain(key)
            _require_plain(value)
    elif isinstance(state, list | tuple):
        for value in state:
            _require_plain(value)
    elif not (state is None or isinstance(state, bool | int | float | str | Tensor)):
        raise TypeError("the state holds an object: a file of it needs pickle. Plain numbers, "
                        "text, lists, dicts and tensors can be loaded safely")


@driver("torch_resumable")
def torch_resumable(implementation: Any, case: Case, track: str) -> Trial:
    """Train, write the state to a file, load it into a new run with other weights, go on.

    ``case.args = (weights, other weights, batches)``. The outputs are the losses of both parts, the
    rates before each step of the second and at the end, and the weights.
    """
    start, other, batches = to_track(tuple(case.args), track)
    options = dict(case.options)
    stop = options.pop("stop")

    def run(start: Tensor, other: Tensor, batches: Any) -> tuple[Any, ...]:
        first = implementation(start, **options)
        losses = [float(first.step(x, y)) for x, y in batches[:stop]]
        state = first.state_dict()
        _require_plain(state)
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        second = implementation(other, **options)
        second.load_state_dict(torch.load(file, weights_only=True))
        after, rates = [], [float(second.learning_rate())]
        for x, y in batches[stop:]:
            after.append(float(second.step(x, y)))
            rates.append(float(second.learning_rate()))
        return losses, after, rates, second.weights()

    return guarded(run, (start, other, batches), {}, tuple)
