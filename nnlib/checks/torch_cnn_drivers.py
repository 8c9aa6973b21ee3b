"""Drivers for the PyTorch exercises of chapter 14: blocks, a small ResNet, where a network looks.

A case names a network by its key here. What a module of the candidate's holds is reached through
`named_parameters` and `named_buffers` alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnlib.checks.drivers import Trial, driver, guarded, upstream
from nnlib.checks.torch_drivers import _gradient, _set_parameters
from nnlib.checks.tracks import to_track
from nnlib.contract import Case


def _require_module(built: Any) -> None:
    if not isinstance(built, nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {type(built).__name__}")


def _fill(module: nn.Module, seed: int, dtype: torch.dtype) -> None:
    """Set every parameter, in order, to numbers that only the seed and the shapes decide."""
    rng = np.random.default_rng(seed)
    for _, parameter in module.named_parameters():
        shape = tuple(parameter.shape)
        fan_in = float(np.prod(shape[1:])) if len(shape) > 1 else 1.0
        values = rng.normal(0.1, fan_in**-0.5, size=shape)
        parameter.data = torch.from_numpy(np.asarray(values)).to(dtype)
    for _, buffer in module.named_buffers():
        if buffer.is_floating_point():
            buffer.data = buffer.data.to(dtype)


@driver("torch_block")
def torch_block(implementation: Any, case: Case, track: str) -> Trial:
    """Build a block, set its parameters by name, call it, take every gradient.

    The outputs are y, the gradients of the parameters and of x, and the buffers afterwards.
    """
    options = dict(case.options)
    (x,) = to_track(tuple(case.args), track)
    x.requires_grad_()

    def run(x: Tensor) -> tuple[Any, ...]:
        built = implementation(**options["init"])
        _require_module(built)
        expected = options["parameters"]
        _set_parameters(built, to_track(dict(expected), track))
        for name, value in built.named_parameters():
            if name not in expected:  # such as a bias: it is 0, and shows among the gradients
                value.data = torch.zeros(value.shape, dtype=x.dtype)
        built.train(options.get("training", True))
        y = built(x)
        y.backward(upstream(y, case, track))
        gradients = {name: _gradient(value) for name, value in built.named_parameters()}
        buffers = {name: value for name, value in built.named_buffers()
                   if not name.endswith("num_batches_tracked")}
        return y, {**gradients, "x": _gradient(x)}, buffers

    return guarded(run, (x,), {}, tuple)


@driver("torch_built")
def torch_built(implementation: Any, case: Case, track: str) -> Trial:
    """A function that builds a network: the parameters are filled in their order."""
    (x,) = to_track(tuple(case.args), track)

    def run(x: Tensor) -> tuple[Any, ...]:
        built = implementation(*case.options["args"])
        _require_module(built)
        _fill(built, case.seed, x.dtype)
        y = built(x)
        y.backward(upstream(y, case, track))
        return y, [_gradient(value) for _, value in built.named_parameters()]

    return guarded(run, (x,), {}, tuple)


@driver("torch_small_resnet")
def torch_small_resnet(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(block, …)`` with a block that is one convolution and notes its arguments.

    The outputs are these arguments, sorted, the scores, and the gradients of the parameters, in
    their order.
    """
    (x,) = to_track(tuple(case.args), track)
    options = dict(case.options)
    training = options.pop("training")

    def run(x: Tensor) -> tuple[Any, ...]:
        asked: list[tuple[int, int, int]] = []

        def block(c_in: int, c_out: int, stride: int = 1) -> nn.Module:
            asked.append((int(c_in), int(c_out), int(stride)))
            return nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1)

        built = implementation(block, **options)
        _require_module(built)
        _fill(built, case.seed, x.dtype)
        built.train(training)
        y = built(x)
        y.backward(upstream(y, case, track))
        return sorted(asked), y, [_gradient(value) for _, value in built.named_parameters()]

    return guarded(run, (x,), {}, tuple)


#: Networks for images (n, 2, 6, 6) and 4 classes; their modules are standard ones, so that hooks
#: work on either side of a process boundary.
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(144, 4)),
    "pooled": lambda: nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh()), nn.MaxPool2d(2), nn.Identity(),
        nn.Sequential(nn.Conv2d(3, 5, 2, padding=1), nn.Softplus()), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(5, 4)),
    "normed": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(),
        nn.Linear(64, 4)),
}


def _network(key: str, seed: int, dtype: torch.dtype) -> nn.Module:
    model = NETWORKS[key]()
    _fill(model, seed, dtype)
    rng = np.random.default_rng(seed + 1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            size = module.num_features
            module.running_mean = torch.from_numpy(rng.normal(size=size)).to(dtype)
            module.running_var = torch.from_numpy(rng.uniform(0.5, 2.0, size)).to(dtype)
    return model


def _traces(model: nn.Module, x: Tensor, maps: Any, buffers: dict[str, Tensor]) -> dict[str, Any]:
    """Say what a look at a model left behind: in the model, in the input, in the result."""
    hooks = sum(len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks)
                for part in model.modules())
    moved = [name for name, value in model.named_buffers() if not torch.equal(value, buffers[name])]
    return {
        "hooks": hooks, "mode": "training" if model.training else "evaluation",
        "gradients": [None if p.grad is None else p.grad for p in model.parameters()],
        "statistics": "moved" if moved else "as they were",
        "input": "with a .grad" if x.grad is not None or x.requires_grad else "as it was",
        "result": "with a graph" if maps.requires_grad else "without a graph",
        "trains": [p.requires_grad for p in model.parameters()],
    }


def _look(implementation: Any, case: Case, track: str, layer: tuple[str, ...],
          key: str) -> Trial:
    _, x, labels = case.args
    x, labels = to_track((x, labels), track)
    options = case.options
    model = _network(key, case.seed, x.dtype)
    model.train(options.get("training", True))
    for parameter in model.parameters():
        if options.get("used"):
            parameter.grad = torch.full_like(parameter, 0.5)
        parameter.requires_grad_(not options.get("frozen", False))
    buffers = {name: value.clone() for name, value in model.named_buffers()}

    def run(x: Tensor, labels: Tensor) -> tuple[Any, ...]:
        maps = implementation(model, *layer, x, labels)
        if not isinstance(maps, Tensor):
            raise TypeError(f"the maps must be one tensor, got {type(maps).__name__}")
        return maps, _traces(model, x, maps, buffers)

    return guarded(run, (x, labels), {}, tuple)


@driver("torch_saliency")
def torch_saliency(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model, x, labels)``; the outputs are the maps and what was left behind."""
    return _look(implementation, case, track, (), case.args[0])


@driver("torch_grad_cam")
def torch_grad_cam(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model, layer, x, labels)`` for ``case.args[0] = "key layer"``."""
    key, layer = case.args[0].split()
    return _look(implementation, case, track, (layer,), key)
