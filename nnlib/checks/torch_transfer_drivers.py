"""Drivers for the exercises of chapter 15: freezing, heads, groups, a step of fine-tuning.

A case names a model by its key here. All models are built from layers of torch.nn, so that code
that asks what kind of layer it sees gets an answer in every process.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import to_track
from nnlib.contract import Case


def _named(**parts: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict(parts))


def _frozen(module: nn.Module) -> nn.Module:
    return module.requires_grad_(False)


def _partly_frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    model[0].bias.requires_grad_(False)
    return model


def _body() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh())


#: Fresh models by key.
MODELS: dict[str, Callable[[], nn.Module]] = {
    # To freeze.
    "plain": lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU()),
    "nested": lambda: nn.Sequential(
        nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)),
        nn.Sequential(nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5)), nn.Dropout(0.5))),
    "images": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout2d(0.2)),
    "half frozen": lambda: nn.Sequential(_frozen(nn.Linear(3, 4)), nn.BatchNorm1d(4)),
    "no parameters": lambda: nn.Sequential(nn.Flatten(), nn.Dropout(0.5)),
    # With a head.
    "named": lambda: _named(body=_body(), fc=nn.Linear(4, 7)),
    "classifier": lambda: _named(
        features=_body(), classifier=nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 7))),
    "sequence": lambda: nn.Sequential(
        nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)),
    "frozen": lambda: _frozen(_named(body=_body(), fc=nn.Linear(4, 7))),
    # In parts.
    "three parts": lambda: _named(
        early=_body(), late=nn.Sequential(nn.Linear(4, 4), nn.Tanh()), head=nn.Linear(4, 2)),
    "first frozen": lambda: _named(
        stem=_frozen(nn.Linear(3, 3)), early=_frozen(nn.Linear(3, 4)), late=nn.Linear(4, 4),
        head=nn.Linear(4, 2)),
    "partly frozen": _partly_frozen,
    "head alone": lambda: nn.Sequential(nn.Flatten(), nn.Linear(3, 2)),
}

#: For a step: the frozen body comes first.
STEPS: dict[str, Callable[[], nn.Module]] = {
    "all learns": lambda: nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)),
    "frozen body": lambda: nn.Sequential(_frozen(_body()), nn.Linear(4, 3)),
    "two norms": lambda: nn.Sequential(
        _frozen(_body()), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)),
    "images": lambda: nn.Sequential(
        _frozen(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU())), nn.Flatten(),
        nn.Linear(12, 3)),
}


class Sgd(torch.optim.SGD):
    """PyTorch's own, under a name that a student's process may ask about."""


def _filled(model: nn.Module, seed: int, dtype: str = "float32") -> nn.Module:
    """Give every parameter and running statistic numbers that no initialiser gives."""
    model.to(getattr(torch, dtype))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                low = 0.4 if name.endswith("running_var") else -0.8
                value.uniform_(low, 1.2, generator=generator)
    return model


def _with_gradients(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)


def _modes(model: nn.Module) -> dict[str, str]:
    """Name the mode of each part; the model itself is called "whole"."""
    return {name or "whole": "training" if part.training else "evaluation"
            for name, part in model.named_modules()}


@driver("torch_freeze_body")
def torch_freeze_body(implementation: Any, case: Case, track: str) -> Trial:
    """Freeze a model: the outputs say what still learns, the modes, and who holds a gradient."""
    model = _filled(MODELS[case.args[0]](), case.seed).train()
    if case.options.get("used"):
        _with_gradients(model)

    def run() -> tuple[Any, ...]:
        implementation(model)
        return ({name: "learns" if p.requires_grad else "frozen"
                 for name, p in model.named_parameters()},
                _modes(model),
                {name: "None" if p.grad is None else "numbers" if p.grad.any() else "zeros"
                 for name, p in model.named_parameters()})

    return guarded(run, (), {}, tuple)


@driver("torch_replace_head")
def torch_replace_head(implementation: Any, case: Case, track: str) -> Trial:
    """Replace a head: the outputs are facts about it, and all other parameters."""
    key, name, classes = case.args
    model = _filled(MODELS[key](), case.seed, case.options["dtype"])

    def run() -> tuple[Any, ...]:
        implementation(model, name, classes)
        found = dict(model.named_parameters())
        # Facts, not numbers: random initial values would be different ones each time.
        head = {kind: [list(p.shape), str(p.dtype), "zeros" if not p.any() else "not zeros",
                       "learns" if p.requires_grad else "frozen"]
                for kind in ("weight", "bias")
                if (p := found.pop(f"{name}.{kind}", None)) is not None}
        return head, found

    return guarded(run, (), {}, tuple)


@driver("torch_discriminative_groups")
def torch_discriminative_groups(implementation: Any, case: Case, track: str) -> Trial:
    """Make groups: the outputs are the parameters of each and the learning rates."""
    model = _filled(MODELS[case.args[0]](), case.seed)

    def run() -> tuple[Any, ...]:
        groups = list(implementation(model, **case.options))
        members = [list(group["params"]) for group in groups]
        if not all(isinstance(p, nn.Parameter) for group in members for p in group):
            raise TypeError("the groups must hold the model's own parameters")
        # Without a number under "lr" a group takes the optimizer's default.
        return members, [group.get("lr", "missing") for group in groups]

    return guarded(run, (), {}, tuple)


@driver("torch_fine_tune_step")
def torch_fine_tune_step(implementation: Any, case: Case, track: str) -> Trial:
    """Take one or more steps with SGD, which is given all parameters.

    The outputs are the losses, all parameters, the running statistics, and the modes.
    """
    options = dict(case.options)
    used, steps = options.pop("used", False), options.pop("steps", 1)
    key, x, labels = to_track(tuple(case.args), track)
    model = _filled(STEPS[key](), case.seed, options.pop("dtype", "float64")).eval()
    if used:
        _with_gradients(model)
    optimizer = Sgd(model.parameters(), lr=0.2, **options)

    def run(x: Tensor, labels: Tensor) -> tuple[Any, ...]:
        losses = []
        for _ in range(steps):
            loss = implementation(model, optimizer, x, labels)
            losses.append(loss if isinstance(loss, int | float) else "a tensor")
        buffers = {name: value for name, value in model.named_buffers() if "num" not in name}
        return losses, dict(model.named_parameters()), buffers, _modes(model)

    return guarded(run, (x, labels), {}, tuple)
