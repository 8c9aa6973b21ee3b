"""Drivers for the PyTorch exercises of chapter 8: optimizers, groups of parameters, a loop.

A case names functions and models by a key, because the case tables import no torch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import to_track
from nnlib.contract import Case

#: What a loop may have to minimise.
LANDSCAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "ravine": lambda w: (w * w * torch.arange(1, w.numel() + 1).view_as(w)).sum() / 2,
    "curved valley": lambda w: (1 - w[0]) ** 2 + 5 * (w[1] - w[0] ** 2) ** 2,
    "saddle": lambda w: (w[0] ** 2 - w[1] ** 2) / 2,
}


class Offset(nn.Module):
    """A vector and a number, both without "bias" in their names."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(3))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift."""
        return x * self.scale + self.shift


def _frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    return model


def _tied() -> nn.Module:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5))
    model[1].weight = model[0].weight
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    "perceptron": lambda: nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)),
    "images": lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(),
        nn.Linear(8, 3, bias=False)),
    "words": lambda: nn.Sequential(nn.Embedding(5, 3), Offset(), nn.LayerNorm(3), nn.Linear(3, 5)),
    "frozen": _frozen,
    "tied": _tied,
    "weights alone": lambda: nn.Linear(3, 2, bias=False),
}


@driver("torch_optimizer")
def torch_optimizer(implementation: Any, case: Case, track: str) -> Trial:
    """Build an optimizer and let it take some steps.

    ``case.args = (arrays, steps)``: the parameters' numbers, and for each step the gradients,
    None where a parameter has none. ``case.options`` may hold ``init``, keyword arguments of the
    class; ``groups``, a list of ``(indices, options)``; and ``cleared``: then `zero_grad` and one
    more step follow. The outputs are the numbers after the first step and after the later ones.
    """
    arrays, steps = to_track(tuple(case.args), track)
    options = dict(case.options)

    def run() -> tuple[Any, ...]:
        parameters = [nn.Parameter(array) for array in arrays]
        given: list[Any] = parameters
        if "groups" in options:
            given = [{"params": [parameters[i] for i in members], **own}
                     for members, own in options["groups"]]
        built = implementation(given, **options.get("init", {}))
        seen = []
        for grads in steps:
            for parameter, grad in zip(parameters, grads, strict=True):
                parameter.grad = grad
            built.step()
            seen.append([parameter.detach().clone() for parameter in parameters])
        if options.get("cleared"):
            built.zero_grad()
            built.step()
            seen.append([parameter.detach().clone() for parameter in parameters])
        return seen[0], seen[1:]

    return guarded(run, (), {}, tuple)


@driver("torch_parameter_groups")
def torch_parameter_groups(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model, weight_decay=…)`` for a model named by a key.

    The outputs are the numbers of the parameters in both groups, and both decays.
    """
    key, weight_decay = case.args
    rng = np.random.default_rng(case.seed)
    model = MODELS[key]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(size=tuple(parameter.shape))))

    def run() -> tuple[Any, ...]:
        decayed, others = implementation(model, weight_decay=weight_decay)
        members = [list(group["params"]) for group in (decayed, others)]
        if not all(isinstance(member, nn.Parameter) for group in members for member in group):
            raise TypeError("the groups must hold the model's own parameters")
        # Without a number of its own a group takes the optimizer's default.
        return (*members, [group.get("weight_decay", "missing") for group in (decayed, others)])

    return guarded(run, (), {}, tuple)


@driver("torch_descent")
def torch_descent(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(f, start, …)`` for ``case.args = (key of f, start)``.

    With the option ``watched`` the start requires gradients. The outputs are the path and what
    became of autograd's flags.
    """
    key, start = to_track(tuple(case.args), track)
    options = dict(case.options)
    if options.pop("watched", False):
        start.requires_grad_()

    def run(start: Tensor) -> tuple[Any, ...]:
        path = implementation(LANDSCAPES[key], start, **options)
        if not isinstance(path, Tensor):
            raise TypeError(f"the path must be one tensor, got {type(path).__name__}")
        facts = ("the path records gradients" if path.requires_grad else "no graph",
                 "start has a .grad" if start.grad is not None else "start as it was")
        return path, ", ".join(facts)

    return guarded(run, (start,), {}, tuple)
