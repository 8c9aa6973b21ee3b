"""Drivers for the PyTorch exercises of chapter 11. A case names a model by its key here.

Models are made of `torch.nn` modules alone: these are rebuilt where the student's code runs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nnlib.checks.drivers import Trial, driver, guarded, upstream
from nnlib.checks.tracks import to_track
from nnlib.contract import Case

MODELS: dict[str, Callable[[], nn.Module]] = {
    "perceptron": lambda: nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)),
    "nested": lambda: nn.Sequential(
        nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh()),
        nn.Sequential(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, momentum=0.4)),
                      nn.Linear(4, 2))),
    "images": lambda: nn.Sequential(
        nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4),
        nn.BatchNorm1d(4)),
    # A dropout that shows without chance whether it was at work: it drops everything.
    "dropout": lambda: nn.Sequential(
        nn.Linear(3, 4), nn.Dropout(1.0), nn.BatchNorm1d(4), nn.Linear(4, 2)),
    "norm alone": lambda: nn.BatchNorm1d(3),
    "no norms": lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(1.0)),
    "other norms": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 2), nn.GroupNorm(2, 4), nn.BatchNorm2d(4), nn.Dropout(1.0), nn.Flatten(),
        nn.Linear(16, 3), nn.LayerNorm(3)),
    "volumes": lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2)),
    "a frozen layer": lambda: nn.Sequential(
        nn.Linear(3, 4).requires_grad_(False), nn.BatchNorm1d(4), nn.Linear(4, 2)),
}


def _filled(key: str, seed: int) -> nn.Module:
    """Build a model in float64 and fill parameters and running statistics."""
    model = MODELS[key]().double()
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, slot in model.state_dict().items():
            low = 0.5 if name.endswith("running_var") else -1.0
            if name.endswith("num_batches_tracked"):
                slot.fill_(7)
            else:
                slot.copy_(torch.from_numpy(rng.uniform(low, 1.5, size=tuple(slot.shape))))
    return model


def _set_numbers(built: nn.Module, numbers: dict[str, Tensor]) -> None:
    """Copy numbers into parameters and buffers; a missing or misshapen name is an error."""
    slots = dict(built.named_parameters()) | dict(built.named_buffers())
    for name, value in numbers.items():
        if name not in slots:
            raise AttributeError(f"the module has no parameter and no buffer {name!r}")
        if slots[name].shape != value.shape:
            raise ValueError(f"{name} must have shape {tuple(value.shape)}, "
                             f"got {tuple(slots[name].shape)}")
        slots[name].data = value.clone()


@driver("torch_norm_module")
def torch_norm_module(implementation: Any, case: Case, track: str) -> Trial:
    """Build a normalization, let batches pass in training, then one in evaluation.

    ``case.args = (batches, x)``. ``case.options`` may hold ``init``, keyword arguments of the
    class, and ``numbers``, name to array. The outputs are the batches' outputs, all gradients,
    the state with the names of the parameters, and the output for x.
    """
    batches, x = to_track(tuple(case.args), track)
    options = to_track(dict(case.options), track)

    def run(batches: list[Tensor], x: Tensor) -> tuple[Any, ...]:
        built = implementation(**options.get("init", {}))
        if not isinstance(built, nn.Module):
            raise TypeError("the class must inherit from torch.nn.Module")
        _set_numbers(built, options.get("numbers", {}))
        outputs = []
        for batch in batches:
            batch.requires_grad_(True)
            outputs.append(built(batch))
            # The graph is kept: a later gradient that comes back to this batch is seen below.
            outputs[-1].backward(upstream(outputs[-1], case, track), retain_graph=True)
        built.eval()
        x.requires_grad_(True)
        y = built(x)
        y.backward(upstream(y, case, track))
        gradients: dict[str, Any] = {name: p.grad for name, p in built.named_parameters()}
        gradients["x"] = [item.grad for item in (*batches, x)]
        state = {name: value.detach().clone() for name, value in built.state_dict().items()}
        names = sorted(name for name, _ in built.named_parameters())
        return outputs, gradients, {"state": state, "parameters": names}, y

    return guarded(run, (batches, x), {}, tuple)


def _modes(model: nn.Module) -> dict[str, str]:
    return {name or "model": "training" if part.training else "evaluation"
            for name, part in model.named_modules()}


@driver("torch_recalibrate")
def torch_recalibrate(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model, batches)``: the running statistics, and all that was to stay.

    ``case.options`` may hold ``training`` and ``still``, the name of a part in evaluation.
    """
    key, batches = to_track(tuple(case.args), track)
    model = _filled(key, case.seed)
    model.train(case.options.get("training", True))
    if "still" in case.options:
        model.get_submodule(case.options["still"]).eval()

    def run(batches: list[Tensor]) -> tuple[Any, ...]:
        implementation(model, batches)
        # How many batches there were is not asked: statistics can be had without that buffer.
        statistics = {name: value for name, value in model.named_buffers() if "num_" not in name}
        rest = {"parameters": dict(model.named_parameters()), "modes": _modes(model),
                "gradients": sum(p.grad is not None for p in model.parameters())}
        return statistics, rest

    return guarded(run, (batches,), {}, tuple)


@driver("torch_fold")
def torch_fold(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(layer, norm)``: its output for x, its parameters, what became of both.

    ``case.args = (weight, bias or None, the norm's four arrays by name, x)``;
    ``case.options`` are those of the layer, with ``eps`` for the norm.
    """
    weight, bias, numbers, x = to_track(tuple(case.args), track)
    options = dict(case.options)
    eps, training = options.pop("eps", 1e-5), options.pop("training", False)
    features, fan_in = weight.shape[:2]
    layer: nn.Module
    norm: nn.Module
    if weight.ndim == 2:
        layer = nn.Linear(fan_in, features, bias=bias is not None)
        norm = nn.BatchNorm1d(features, eps=eps)
    else:
        layer = nn.Conv2d(fan_in * options.get("groups", 1), features, tuple(weight.shape[2:]),
                          bias=bias is not None, **options)
        norm = nn.BatchNorm2d(features, eps=eps)
    _set_numbers(layer, {"weight": weight} | ({} if bias is None else {"bias": bias}))
    _set_numbers(norm, numbers)
    norm.train(training)

    def run(x: Tensor) -> tuple[Any, ...]:
        folded = implementation(layer, norm)
        if not isinstance(folded, nn.Module):
            raise TypeError(f"expected a layer, got {type(folded).__name__}")
        given = {"layer": dict(layer.named_parameters()), "norm": dict(norm.state_dict())}
        return folded(x), dict(folded.named_parameters()), given

    return guarded(run, (x,), {}, tuple)


@driver("torch_freeze")
def torch_freeze(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model)``: every module's mode, and which parameters still train."""
    (key,) = case.args
    model = _filled(key, case.seed)
    model.train(case.options.get("training", True))

    def run() -> tuple[Any, ...]:
        implementation(model)
        norms = {name or "model" for name, part in model.named_modules()
                 if isinstance(part, _BatchNorm)}
        modes = _modes(model)
        trained = {name: p.requires_grad for name, p in model.named_parameters()}
        return ({name: mode for name, mode in modes.items() if name in norms},
                {name: mode for name, mode in modes.items() if name not in norms}, trained)

    return guarded(run, (), {}, tuple)
