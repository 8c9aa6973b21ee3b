"""The oracle's optimizers, schedules, penalties and clipping: PyTorch's, called in nnlib's way."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]

#: What nnlib's state calls a memory, and what PyTorch's optimizer calls it.
MEMORIES = {
    "momentum": {"velocity": "momentum_buffer"},
    "adagrad": {"square_sum": "sum"},
    "rmsprop": {"square_mean": "square_avg", "velocity": "momentum_buffer",
                "grad_mean": "grad_avg"},
    "adam": {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"},
    "adamw": {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"},
    "sgd": {},
}
_CLASSES: dict[str, Any] = {
    "sgd": torch.optim.SGD, "momentum": torch.optim.SGD, "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 1e-2}, "momentum": {"lr": 1e-2, "momentum": 0.9}, "adagrad": {},
    "rmsprop": {}, "adam": {}, "adamw": {},
}
_NAMES = {"learning_rate": "lr", "learning_rate_decay": "lr_decay"}


def torch_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the options of nnlib's update for the class in `torch.optim`."""
    translated = {**_DEFAULTS[name], **{_NAMES.get(k, k): v for k, v in options.items()}}
    if "beta1" in translated or "beta2" in translated:
        translated["betas"] = (translated.pop("beta1", 0.9), translated.pop("beta2", 0.999))
    return {**translated, "foreach": False}


def optimizer(name: str, params: list[Tensor], options: Mapping[str, Any]) -> Any:
    """Make the optimizer of `torch.optim` that nnlib's ``<name>_update`` must agree with."""
    return _CLASSES[name](params, **torch_options(name, options))


def update(name: str) -> Callable[..., tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]]:
    """Return one step of an optimizer of `torch.optim`, from nnlib's state."""

    def step(
        params: Tensors, grads: Tensors, state: Mapping[str, Any], **options: Any
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        new = {key: p.detach().clone().requires_grad_() for key, p in params.items()}
        torch_optimizer = optimizer(name, list(new.values()), options)
        moving = torch_options(name, options).get("momentum", 0) != 0
        memories = {ours: theirs for ours, theirs in MEMORIES[name].items()
                    if ours in state and (moving or ours != "velocity")}
        for key, p in new.items():
            p.grad = grads[key].detach().clone()
            if not memories or (name == "momentum" and state["step"] == 0):
                continue
            known = torch_optimizer.state[p]
            if name != "momentum":
                known["step"] = torch.tensor(float(state["step"]))
            for ours, theirs in MEMORIES[name].items():
                if ours in state:
                    known[theirs] = state[ours][key].detach().clone()
                else:  # nnlib starts these when an option first asks for them
                    known[theirs] = torch.zeros_like(p)
        with torch.enable_grad():
            torch_optimizer.step()
        after = {ours: {key: torch_optimizer.state[p].get(theirs) for key, p in new.items()}
                 for ours, theirs in memories.items()}
        return {key: p.detach() for key, p in new.items()}, after

    return step


def schedule(make: Callable[..., Any]) -> Callable[..., float]:
    """Return the rate at a step, from a scheduler that is stepped that often."""

    def rate(step: int, *, learning_rate: float, **options: Any) -> float:
        sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=learning_rate)
        scheduler = make(sgd, learning_rate=learning_rate, **options)
        for _ in range(step):
            sgd.step()
            scheduler.step()
        return float(sgd.param_groups[0]["lr"])

    return rate


def _constant(sgd: Any, *, learning_rate: float) -> Any:
    return torch.optim.lr_scheduler.ConstantLR(sgd, factor=1.0)


def _stair(sgd: Any, *, learning_rate: float, step_size: int, gamma: float = 0.1) -> Any:
    return torch.optim.lr_scheduler.StepLR(sgd, step_size, gamma)


def _exponential(sgd: Any, *, learning_rate: float, gamma: float) -> Any:
    return torch.optim.lr_scheduler.ExponentialLR(sgd, gamma)


def cosine(
    step: int, *, learning_rate: float, total_steps: int, min_learning_rate: float = 0.0
) -> float:
    """PyTorch's cosine rises again behind its last step; nnlib's stays where it is."""
    def make(sgd: Any, *, learning_rate: float) -> Any:
        return torch.optim.lr_scheduler.CosineAnnealingLR(sgd, total_steps, min_learning_rate)

    return schedule(make)(min(step, total_steps), learning_rate=learning_rate)


def warmup_cosine(
    step: int, *, learning_rate: float, warmup_steps: int, total_steps: int,
    min_learning_rate: float = 0.0,
) -> float:
    """A linear rise that starts at ``1 / (warmup_steps + 1)``, then the cosine."""
    if step >= warmup_steps:
        if total_steps == warmup_steps:
            return min_learning_rate
        return cosine(step - warmup_steps, learning_rate=learning_rate,
                      total_steps=total_steps - warmup_steps, min_learning_rate=min_learning_rate)

    def make(sgd: Any, *, learning_rate: float) -> Any:
        return torch.optim.lr_scheduler.LinearLR(
            sgd, start_factor=1 / (warmup_steps + 1), total_iters=warmup_steps
        )

    return schedule(make)(step, learning_rate=learning_rate)


def reduce_on_plateau(
    values: list[float], rate: float, *, min_learning_rate: float = 0.0, **options: Any
) -> tuple[list[float]]:
    """Feed values one after the other; the learning rate after each."""
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        sgd, min_lr=min_learning_rate, **options
    )
    rates = []
    for value in values:
        scheduler.step(value)
        rates.append(float(sgd.param_groups[0]["lr"]))
    return (rates,)


def _penalty(value: Callable[[Tensor], Tensor]) -> Callable[..., tuple[Tensor, Any]]:
    """Return a penalty and, by autograd, its gradients."""

    def penalty(params: Tensors, *, strength: float) -> tuple[Tensor, Any]:
        inputs = {key: p.detach().clone().requires_grad_() for key, p in params.items()}
        with torch.enable_grad():
            total = strength * torch.stack([value(p) for p in inputs.values()]).sum()
            grads = torch.autograd.grad(total, list(inputs.values()))
        return total.detach(), dict(zip(inputs, grads, strict=True))

    return penalty


def clip_grad_norm(
    grads: Tensors, *, max_norm: float, error_if_nonfinite: bool = False
) -> tuple[dict[str, Tensor], Tensor]:
    """PyTorch clips in place."""
    holders = {key: torch.zeros_like(g).requires_grad_() for key, g in grads.items()}
    for key, holder in holders.items():
        holder.grad = grads[key].detach().clone()
    norm = torch.nn.utils.clip_grad_norm_(list(holders.values()), max_norm,
                                          error_if_nonfinite=error_if_nonfinite)
    return {key: holder.grad for key, holder in holders.items()}, norm  # type: ignore[misc]


COUNTERPARTS: dict[str, Callable[..., Any]] = {
    **{f"{name}_update": update(name) for name in _CLASSES},
    "constant": schedule(_constant),
    "step_decay": schedule(_stair),
    "exponential_decay": schedule(_exponential),
    "cosine": cosine,
    "warmup_cosine": warmup_cosine,
    "reduce_on_plateau": reduce_on_plateau,
    "l1_penalty": _penalty(lambda p: p.abs().sum()),
    "l2_penalty": _penalty(lambda p: 0.5 * p.square().sum()),
    "clip_grad_norm": clip_grad_norm,
}
