"""Drivers for the PyTorch exercises of chapter 13. A case names a model by its key here."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nnlib.checks.drivers import Trial, driver, guarded, upstream
from nnlib.checks.torch_drivers import _as_leaf, _gradient, _records, _set_parameters
from nnlib.checks.tracks import to_track
from nnlib.contract import Case


@driver("torch_convolution")
def torch_convolution(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(x, w, b, ...)``; the outputs are y and the gradients of x, w and b.

    With the option ``apply`` it is an autograd function, and the options go by position. The
    gradient of a bias that is None is None.
    """
    args = [_as_leaf(value) for value in to_track(tuple(case.args), track)]
    options = dict(case.options)
    numbers = options.pop("apply", None)

    def run(*inputs: Any) -> tuple[Any, ...]:
        y = (implementation(*inputs, **options) if numbers is None
             else implementation.apply(*inputs, *numbers))
        if y.requires_grad:
            y.backward(upstream(y, case, track))
        return (y, *(_gradient(value) if _records(value) else None for value in inputs))

    return guarded(run, tuple(args), {}, tuple)


@driver("torch_separable")
def torch_separable(implementation: Any, case: Case, track: str) -> Trial:
    """Build a module, set its parameters, call it; outputs are y and all gradients by name.

    A parameter that the case does not know of gets the value 1/2, so that results repeat.
    """
    options = dict(case.options)
    sizes, keywords = options["init"]
    (x,) = to_track(tuple(case.args), track)

    def run(x: Tensor) -> tuple[Any, ...]:
        built = implementation(*sizes, **keywords)
        if not isinstance(built, nn.Module):
            raise TypeError("the class must inherit from torch.nn.Module")
        given = to_track(dict(options["parameters"]), track)
        _set_parameters(built, given)
        for name, value in built.named_parameters():
            if name not in given:
                value.data = torch.full(tuple(value.shape), 0.5, dtype=x.dtype)
        y = built(x)
        if y.requires_grad:
            y.backward(upstream(y, case, track))
        return y, {name: _gradient(value) for name, value in built.named_parameters()}

    return guarded(run, (x,), {}, tuple)


def _with_norm() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(),
                         nn.Conv2d(3, 2, 3, padding=1), nn.Dropout(0.5))


#: Models from images of 2 channels to images.
MODELS: dict[str, Callable[[], nn.Module]] = {
    "one filter": lambda: nn.Conv2d(2, 3, 3, padding=1),
    "two layers": lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, 2, 5, padding=2)),
    "max pooling": lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 3, padding=1)),
    "wide pooling": lambda: nn.Sequential(nn.MaxPool2d(5, stride=1), nn.Conv2d(2, 2, 1)),
    "dilation": lambda: nn.Conv2d(2, 2, 3, padding=3, dilation=3),
    "wide filters": lambda: nn.Sequential(
        nn.Conv2d(2, 3, (1, 5), padding=(0, 2)), nn.Conv2d(3, 1, (3, 3), padding=1)),
    "stride": lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Conv2d(3, 2, 3, padding=1)),
    "1x1 filters": lambda: nn.Sequential(nn.Conv2d(2, 3, 1), nn.Tanh(), nn.Conv2d(3, 2, 1)),
    "batch norm and dropout": _with_norm,
}


@driver("torch_receptive_field")
def torch_receptive_field(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model, x)`` for ``case.args = (key, x)``.

    The outputs are the size and what became of the model's mode and gradients.
    """
    key, x = to_track(tuple(case.args), track)
    model = MODELS[key]().to(x.dtype)
    generator = torch.Generator().manual_seed(case.seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=x.dtype))
    model.train(case.options.get("training", False))

    def run(x: Tensor) -> tuple[Any, ...]:
        size = implementation(model, x)
        facts = ("training mode" if model.training else "evaluation mode",
                 "gradients in the parameters" if any(p.grad is not None
                                                      for p in model.parameters())
                 else "no gradients left")
        # A tuple of numbers is one output, in whatever sequence it comes.
        return list(size), ", ".join(facts)

    return guarded(run, (x,), {}, tuple)


@driver("torch_fixed_filter")
def torch_fixed_filter(implementation: Any, case: Case, track: str) -> Trial:
    """Build a module from a kernel and call it: outputs y, the gradient of x, what is stored.

    ``case.args = (kernel, x)``; with the option ``loaded`` another kernel is put into the buffer
    first, as `load_state_dict` does. With ``double`` the module is built in float32 and moved.
    """
    kernel, x = to_track(tuple(case.args), track)
    options = to_track(dict(case.options), track)
    if options.get("double"):
        kernel = kernel.float()

    def run(kernel: Tensor, x: Tensor) -> tuple[Any, ...]:
        built = implementation(kernel)
        if not isinstance(built, nn.Module):
            raise TypeError("the class must inherit from torch.nn.Module")
        if options.get("double"):
            built.double()
        if "loaded" in options:
            _set_parameters(built, {"kernel": options["loaded"]})
        y = built(x)
        if y.requires_grad:
            y.backward(upstream(y, case, track))
        stored = (f"trained: {sorted(name for name, _ in built.named_parameters())}",
                  f"saved: {sorted(built.state_dict())}")
        return y, _gradient(x), ", ".join(stored)

    return guarded(run, (kernel, x.requires_grad_()), {}, tuple)
