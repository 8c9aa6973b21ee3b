"""Drivers for the PyTorch exercises of chapter 4: losses, alone and as modules."""

from typing import Any

import torch

from nnlib.checks.drivers import Trial, driver, guarded, upstream
from nnlib.checks.tracks import to_track
from nnlib.contract import Case


def _scores(args: tuple[Any, ...]) -> torch.Tensor:
    """Let the first tensor of floats, the network's output, record gradients."""
    scores = next(a for a in args if isinstance(a, torch.Tensor) and a.is_floating_point())
    return scores.requires_grad_(True)


def _gradient(loss: Any, scores: torch.Tensor, case: Case, track: str) -> torch.Tensor:
    if not isinstance(loss, torch.Tensor):
        raise TypeError(f"the loss must be a tensor, got {type(loss).__name__}")
    if not loss.requires_grad:
        raise RuntimeError("the loss has no graph behind it: nothing could be trained with it")
    loss.backward(upstream(loss, case, track))
    return torch.zeros_like(scores) if scores.grad is None else scores.grad


@driver("loss_gradient")
def loss_gradient(implementation: Any, case: Case, track: str) -> Trial:
    """``loss = implementation(*args, **options)`` and its gradient by the first float tensor."""
    args = to_track(tuple(case.args), track)
    scores = _scores(args)

    def run(*inputs: Any, **keywords: Any) -> tuple[Any, ...]:
        loss = implementation(*inputs, **keywords)
        return loss, _gradient(loss, scores, case, track)

    return guarded(run, args, to_track(dict(case.options), track), tuple)


@driver("loss_module")
def loss_module(implementation: Any, case: Case, track: str) -> Trial:
    """Build ``implementation(**init)``, convert it to the dtype of the logits, call it.

    ``case.args`` are the arguments of its forward. The outputs are the loss, its gradient by the
    logits, the buffers, and the names of what an optimiser would train.
    """
    args = to_track(tuple(case.args), track)
    scores, init = _scores(args), to_track(dict(case.options["init"]), track)

    def run(*inputs: Any) -> tuple[Any, ...]:
        built = implementation(**init)
        if not isinstance(built, torch.nn.Module):
            raise TypeError("the class must inherit from torch.nn.Module")
        built = built.to(scores.dtype)
        loss = built(*inputs)
        trained = [name for name, value in built.named_parameters() if value.requires_grad]
        buffers = dict(built.named_buffers())
        return loss, _gradient(loss, scores, case, track), buffers, ", ".join(trained) or "nothing"

    return guarded(run, args, {}, tuple)


@driver("loss_report")
def loss_report(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(*args)`` for logits that require gradients; none may be recorded."""
    args = to_track(tuple(case.args), track)
    _scores(args)

    def run(*inputs: Any) -> tuple[Any, ...]:
        values = implementation(*inputs)
        if not isinstance(values, torch.Tensor):
            raise TypeError(f"the result must be a tensor, got {type(values).__name__}")
        return values, "a graph" if values.requires_grad else "no graph"

    return guarded(run, args, {}, tuple)
