"""Drivers for what exists only in PyTorch: modules, autograd functions, gradients through both.

Gradients are computed where the candidate's code runs and come back as data.
"""

from typing import Any

import torch

from nnlib.checks.drivers import Trial, driver, guarded, upstream
from nnlib.checks.tracks import to_track
from nnlib.contract import Case


def _as_leaf(value: Any) -> Any:
    """Let floating-point tensors record gradients."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.requires_grad_(True)
    return value


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    """Return the accumulated gradient; zeros where the output doesn't depend on the tensor."""
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


@driver("gradient")
def gradient(implementation: Any, case: Case, track: str) -> Trial:
    """``y = implementation(*args, **options)`` and the gradient of each float tensor in args.

    The outputs are ``(y, gradient of the first, of the second, ...)`` under a random upstream
    gradient. A non-scalar y works too.
    """
    args = [_as_leaf(value) for value in to_track(tuple(case.args), track)]
    options = to_track(dict(case.options), track)

    def run(*inputs: Any, **keywords: Any) -> tuple[Any, ...]:
        y = implementation(*inputs, **keywords)
        y.backward(upstream(y, case, track))
        return (y, *(_gradient(value) for value in inputs if _records(value)))

    return guarded(run, tuple(args), options, tuple)


@driver("autograd_function")
def autograd_function(implementation: Any, case: Case, track: str) -> Trial:
    """The same through ``implementation.apply``, for a `torch.autograd.Function`."""
    args = [_as_leaf(value) for value in to_track(tuple(case.args), track)]

    def run(*inputs: Any) -> tuple[Any, ...]:
        y = implementation.apply(*inputs)
        y.backward(upstream(y, case, track))
        return (y, *(_gradient(value) for value in inputs if _records(value)))

    return guarded(run, tuple(args), {}, tuple)


@driver("module")
def module(implementation: Any, case: Case, track: str) -> Trial:
    """Build a module, set its parameters, call it, and take every gradient.

    ``case.args`` are the inputs of ``forward``. ``case.options`` may hold ``init`` (keyword
    arguments of the class), ``parameters`` (name to array, copied into the module's parameters
    and buffers of that name) and ``training`` (default True). The outputs are
    ``(y, {parameter name: gradient})``.
    """
    options = dict(case.options)
    inputs = to_track(tuple(case.args), track)

    def run(*arrays: Any) -> tuple[Any, ...]:
        built = implementation(**to_track(dict(options.get("init", {})), track))
        if not isinstance(built, torch.nn.Module):
            raise TypeError("the class must inherit from torch.nn.Module")
        if "parameters" in options:
            _set_parameters(built, to_track(dict(options["parameters"]), track))
        built.train(options.get("training", True))
        y = built(*arrays)
        if y.requires_grad:
            y.backward(upstream(y, case, track))
        return y, {name: _gradient(value) for name, value in built.named_parameters()}

    return guarded(run, tuple(inputs), {}, tuple)


def _records(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.requires_grad


def _set_parameters(built: torch.nn.Module, values: dict[str, torch.Tensor]) -> None:
    """Copy values into parameters and buffers; a missing or misshapen name is an error."""
    slots = dict(built.named_parameters()) | dict(built.named_buffers())
    for name, value in values.items():
        if name not in slots:
            raise AttributeError(f"the module has no parameter {name!r}, "
                                 f"it has {sorted(slots) or 'none'}")
        if slots[name].shape != value.shape:
            raise ValueError(f"parameter {name!r} must have shape {tuple(value.shape)}, "
                             f"got {tuple(slots[name].shape)}")
        with torch.no_grad():
            # Keep the dtype of the given values, so that float64 cases compute in float64.
            slots[name].data = value.clone()


# Registers the drivers of other chapters; last, because all share the helpers of `drivers`.
import nnlib.checks.torch_activation_drivers  # noqa: E402
import nnlib.checks.torch_backprop_drivers  # noqa: E402
import nnlib.checks.torch_cnn_drivers  # noqa: E402
import nnlib.checks.torch_convolution_drivers  # noqa: E402
import nnlib.checks.torch_forward_drivers  # noqa: E402
import nnlib.checks.torch_init_drivers  # noqa: E402
import nnlib.checks.torch_loss_drivers  # noqa: E402
import nnlib.checks.torch_neuron_drivers  # noqa: E402
import nnlib.checks.torch_normalization_drivers  # noqa: E402
import nnlib.checks.torch_optimizer_drivers  # noqa: E402
import nnlib.checks.torch_regularization_drivers  # noqa: E402
import nnlib.checks.torch_schedule_drivers  # noqa: E402
import nnlib.checks.torch_training_drivers  # noqa: E402
import nnlib.checks.torch_transfer_drivers  # noqa: E402
import nnlib.checks.torch_tuning_drivers  # noqa: E402, F401
