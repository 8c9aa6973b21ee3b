"""Optimizers and schedules in the form that PyTorch programs use.

The arithmetic is that of `optim` and `schedules`. Here it changes the parameters of a module in
place, and every parameter has its own state, so that one without a gradient is left out. Names of
arguments are PyTorch's (``lr``, ``betas``), so that these classes and those of `torch.optim` can
take each other's place.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from nnlib import schedules
from nnlib.contract.caches_train import Optimizer as Rule
from nnlib.errors import check_number
from nnlib.torch_track import optim

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineLR",
    "ExponentialDecayLR",
    "Momentum",
    "StepDecayLR",
    "WarmupCosineLR",
]

Params = Iterable[Tensor] | Iterable[dict[str, Any]]


class _RuleOptimizer(Optimizer):
    """An optimizer that applies a rule of this track to each parameter."""

    rule: ClassVar[Rule]
    #: Names of the options in a group of parameters; schedulers and torch itself add others.
    options: ClassVar[tuple[str, ...]]

    def __init__(self, params: Params, **defaults: Any) -> None:
        check_number(type(self).__name__, "lr", defaults["lr"], above=0)
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Update every parameter that has a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss anew, gradients included.

        Returns
        -------
        What ``closure`` returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            options = self._options(group)
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad, group["lr"], options)
        return loss

    def _update(self, p: Tensor, grad: Tensor, lr: float, options: dict[str, Any]) -> None:
        # The rules take dicts of parameters; here the dict has one entry. A state's own entries
        # are numbers (the step) or again such dicts.
        state = self.state[p]
        old = ({name: value if name == "step" else {"p": value} for name, value in state.items()}
               if state else self.rule.init({"p": p}))
        new, old = self.rule.update({"p": p}, {"p": grad}, old, learning_rate=lr, **options)
        p.copy_(new["p"])
        state.update({name: value["p"] if isinstance(value, Mapping) else value
                      for name, value in old.items()})

    def _options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {name: group[name] for name in self.options}


class SGD(_RuleOptimizer):
    """Plain gradient descent, see `sgd_update`; equal to `torch.optim.SGD` without momentum.

    References
    ----------
    Chapter 8, "Optimizers".

    Examples
    --------
    >>> w = torch.ones(1, requires_grad=True)
    >>> optimizer = SGD([w], lr=0.25)
    >>> (2 * w).sum().backward()
    >>> optimizer.step()
    >>> w.tolist()
    [0.5]
    """

    rule = Rule(optim.sgd_init, optim.sgd_update)
    options = ("weight_decay",)

    def __init__(self, params: Params, lr: float = 1e-3, *, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay)


class Momentum(_RuleOptimizer):
    """Gradient descent with momentum, see `momentum_update`; `torch.optim.SGD` with momentum.

    References
    ----------
    Chapter 8, "Optimizers".
    """

    rule = Rule(optim.momentum_init, optim.momentum_update)
    options = ("momentum", "dampening", "weight_decay", "nesterov")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        *,
        momentum: float = 0.9,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, dampening=dampening,
                         weight_decay=weight_decay, nesterov=nesterov)


class Adam(_RuleOptimizer):
    """Adam, see `adam_update`; equal to `torch.optim.Adam`.

    References
    ----------
    Chapter 8, "Optimizers".

    Examples
    --------
    >>> w = torch.ones(2, requires_grad=True)
    >>> optimizer = Adam([w], lr=0.25)
    >>> (w * torch.tensor([50.0, -0.02])).sum().backward()
    >>> optimizer.step()
    >>> w.detach().round(decimals=4).tolist()
    [0.75, 1.25]
    """

    rule = Rule(optim.adam_init, optim.adam_update)
    options = ("betas", "eps", "weight_decay", "amsgrad")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
                         amsgrad=amsgrad)

    def _options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        options = super()._options(group)
        options["beta1"], options["beta2"] = options.pop("betas")
        return options


class AdamW(Adam):
    """Adam with decoupled weight decay, see `adamw_update`; equal to `torch.optim.AdamW`.

    References
    ----------
    Chapter 8, "Optimizers".
    """

    rule = Rule(optim.adamw_init, optim.adamw_update)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay,
                         amsgrad=amsgrad)


class _ScheduleLR(LRScheduler):
    """A scheduler that reads its rates from a schedule of this track.

    Call ``step()`` after each update of the optimizer: a step is an update, not an epoch.
    """

    schedule: ClassVar[Callable[..., float]]

    def __init__(self, optimizer: Optimizer, last_epoch: int, **options: Any) -> None:
        self.options = options
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        """Return the learning rate of each group of parameters."""
        return [type(self).schedule(self.last_epoch, learning_rate=rate, **self.options)
                for rate in self.base_lrs]


class StepDecayLR(_ScheduleLR):
    """The stair of `step_decay`; equal to `torch.optim.lr_scheduler.StepLR`.

    References
    ----------
    Chapter 9, "Schedules".

    Examples
    --------
    >>> optimizer = SGD([torch.ones(1, requires_grad=True)], lr=0.5)
    >>> scheduler, rates = StepDecayLR(optimizer, step_size=2, gamma=0.5), []
    >>> for _ in range(4):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.5, 0.5, 0.25, 0.25]
    """

    schedule = staticmethod(schedules.step_decay)

    def __init__(
        self, optimizer: Optimizer, *, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        super().__init__(optimizer, last_epoch, step_size=step_size, gamma=gamma)


class ExponentialDecayLR(_ScheduleLR):
    """The schedule `exponential_decay`; equal to `torch.optim.lr_scheduler.ExponentialLR`.

    References
    ----------
    Chapter 9, "Schedules".
    """

    schedule = staticmethod(schedules.exponential_decay)

    def __init__(self, optimizer: Optimizer, *, gamma: float, last_epoch: int = -1) -> None:
        super().__init__(optimizer, last_epoch, gamma=gamma)


class CosineLR(_ScheduleLR):
    """The schedule `cosine`: `torch.optim.lr_scheduler.CosineAnnealingLR` that stays at its end.

    References
    ----------
    Chapter 9, "Schedules".
    """

    schedule = staticmethod(schedules.cosine)

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        min_learning_rate: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        super().__init__(optimizer, last_epoch, total_steps=total_steps,
                         min_learning_rate=min_learning_rate)


class WarmupCosineLR(_ScheduleLR):
    """The schedule `warmup_cosine`.

    References
    ----------
    Chapter 9, "Schedules".
    """

    schedule = staticmethod(schedules.warmup_cosine)

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        warmup_steps: int,
        total_steps: int,
        min_learning_rate: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        super().__init__(optimizer, last_epoch, warmup_steps=warmup_steps,
                         total_steps=total_steps, min_learning_rate=min_learning_rate)
