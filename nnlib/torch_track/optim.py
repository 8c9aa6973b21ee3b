"""Optimizers: rules that turn gradients into new parameters.

`<name>_init` makes the state that a rule remembers from step to step; `<name>_update` returns
new parameters and a new state. Parameters and gradients are dicts of tensors with the same keys;
no input is modified. Here are the rules with one learning rate for all; those that give every
parameter its own are in `optim_adaptive` and `optim_adam`.
"""

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nnlib.contract.caches_train import Optimizer
from nnlib.errors import (
    check_choice,
    check_flag,
    check_grads,
    check_number,
    check_params,
    check_state,
)
from nnlib.torch_track._each import update_each
from nnlib.torch_track.optim_adam import adam_init, adam_update, adamw_init, adamw_update
from nnlib.torch_track.optim_adaptive import (
    adagrad_init,
    adagrad_update,
    rmsprop_init,
    rmsprop_update,
)

__all__ = [
    "adagrad_init",
    "adagrad_update",
    "adam_init",
    "adam_update",
    "adamw_init",
    "adamw_update",
    "get_optimizer",
    "momentum_init",
    "momentum_update",
    "rmsprop_init",
    "rmsprop_update",
    "sgd_init",
    "sgd_update",
]


def sgd_init(params: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the state of `sgd_update`: empty, since plain gradient descent remembers nothing.

    Parameters
    ----------
    params : dict of tensors of floats

    Returns
    -------
    state : dict

    Raises
    ------
    DtypeError, ValueError
        If ``params`` is not a dict of tensors of floats, or empty.

    Examples
    --------
    >>> import torch
    >>> sgd_init({"w": torch.zeros(3)})
    {}
    """
    check_params("sgd_init", params)
    return {}


def sgd_update(
    params: Mapping[str, Tensor],
    grads: Mapping[str, Tensor],
    state: Mapping[str, Any],
    *,
    learning_rate: float = 1e-2,
    weight_decay: float = 0.0,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Compute ``p - learning_rate * (g + weight_decay * p)`` for every parameter.

    Parameters
    ----------
    params, grads : dicts of tensors of floats
        Same keys, shapes and dtypes. The gradients usually come from a mini-batch, hence
        "stochastic".
    state : dict
        From `sgd_init` or the last update.
    learning_rate : float
        Positive.
    weight_decay : float
        At least 0; pulls every parameter towards 0.

    Returns
    -------
    params : dict of tensors
        New tensors.
    state : dict

    Raises
    ------
    ShapeError, DtypeError
        If a gradient differs from its parameter in shape or dtype.
    ValueError
        If ``params`` is empty, the keys differ, or an option is out of range.

    References
    ----------
    Chapter 8, "Optimizers". H. Robbins and S. Monro, "A stochastic approximation method",
    Annals of Mathematical Statistics 22 (1951).

    Examples
    --------
    >>> import torch
    >>> params, grads = {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([10.0, -10.0])}
    >>> params, state = sgd_update(params, grads, sgd_init(params), learning_rate=0.1)
    >>> params["w"].tolist()
    [0.0, 3.0]
    """
    check_grads("sgd_update", params, grads)
    check_number("sgd_update", "learning_rate", learning_rate, above=0)
    check_number("sgd_update", "weight_decay", weight_decay, low=0)
    rate, decay = float(learning_rate), float(weight_decay)

    def rule(p: Tensor, g: Tensor) -> tuple[Tensor, ...]:
        return (p - rate * (g + decay * p if decay else g),)

    (updated,) = update_each(rule, params, grads)
    return updated, dict(state)


def momentum_init(params: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the state of `momentum_update`: no step taken, every velocity 0.

    Parameters
    ----------
    params : dict of tensors of floats

    Returns
    -------
    state : dict
        ``"step"``, the number of updates, and ``"velocity"``, a dict of tensors like ``params``.

    Raises
    ------
    DtypeError, ValueError
        If ``params`` is not a dict of tensors of floats, or empty.

    Examples
    --------
    >>> momentum_init({"b": torch.ones(2)})["velocity"]["b"].tolist()
    [0.0, 0.0]
    """
    check_params("momentum_init", params)
    return {"step": 0, "velocity": {name: torch.zeros_like(p) for name, p in params.items()}}


def momentum_update(
    params: Mapping[str, Tensor],
    grads: Mapping[str, Tensor],
    state: Mapping[str, Any],
    *,
    learning_rate: float = 1e-2,
    momentum: float = 0.9,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Compute ``velocity = momentum * velocity + g`` and ``p - learning_rate * velocity``.

    Parameters
    ----------
    params, grads : dicts of tensors of floats
        Same keys, shapes and dtypes.
    state : dict
        From `momentum_init` or the last update.
    learning_rate : float
        Positive.
    momentum : float
        At least 0 and below 1: the share of the velocity that is kept.
    dampening : float
        ``velocity`` takes up only ``(1 - dampening) * g``, except in the first step.
    weight_decay : float
        At least 0; ``weight_decay * p`` is added to ``g`` before anything else.
    nesterov : bool
        Step along ``g + momentum * velocity`` instead: the gradient counts once more, as if it
        had been taken where the velocity leads.

    Returns
    -------
    params : dict of tensors
        New tensors.
    state : dict

    Raises
    ------
    ShapeError, DtypeError
        If a gradient or a velocity differs from its parameter in shape or dtype.
    ValueError
        If ``params`` is empty, the keys differ, or an option is out of range; if ``nesterov`` is
        asked for without momentum or with dampening.

    Notes
    -----
    The sign is that of `torch.optim.SGD`: the velocity points along the gradient and is
    subtracted. Under a constant gradient the step grows to ``1 / (1 - momentum)`` times that of
    plain descent.

    References
    ----------
    Chapter 8, "Optimizers". B. Polyak, "Some methods of speeding up the convergence of iteration
    methods", USSR Computational Mathematics and Mathematical Physics 4 (1964). I. Sutskever et
    al., "On the importance of initialization and momentum in deep learning", ICML 2013.

    Examples
    --------
    >>> params, grads = {"w": torch.tensor([1.0])}, {"w": torch.tensor([1.0])}
    >>> state = momentum_init(params)
    >>> for _ in range(2):
    ...     params, state = momentum_update(params, grads, state, learning_rate=0.1, momentum=0.5)
    >>> round(float(params["w"][0]), 4), state["velocity"]["w"].tolist()
    (0.75, [1.5])
    """
    caller = "momentum_update"
    check_grads(caller, params, grads)
    check_number(caller, "learning_rate", learning_rate, above=0)
    check_number(caller, "momentum", momentum, low=0, below=1)
    check_number(caller, "dampening", dampening, low=0, high=1)
    check_number(caller, "weight_decay", weight_decay, low=0)
    check_flag(caller, "nesterov", nesterov)
    if nesterov and (momentum == 0 or dampening != 0):
        raise ValueError(
            f"{caller}: nesterov must go with momentum > 0 and dampening 0, got "
            f"momentum={momentum!r} and dampening={dampening!r}."
        )
    check_state(caller, params, state, "velocity")
    rate, keep, decay = float(learning_rate), float(momentum), float(weight_decay)
    take = 1.0 if state["step"] == 0 else 1.0 - float(dampening)

    def rule(p: Tensor, g: Tensor, velocity: Tensor) -> tuple[Tensor, ...]:
        if decay:
            g = g + decay * p
        velocity = keep * velocity
        velocity += take * g if take != 1.0 else g
        direction = g + keep * velocity if nesterov else velocity
        return p - rate * direction, velocity

    updated, velocity = update_each(rule, params, grads, state["velocity"])
    return updated, {"step": state["step"] + 1, "velocity": velocity}


_RULES = {
    "sgd": Optimizer(sgd_init, sgd_update),
    "momentum": Optimizer(momentum_init, momentum_update),
    "adagrad": Optimizer(adagrad_init, adagrad_update),
    "rmsprop": Optimizer(rmsprop_init, rmsprop_update),
    "adam": Optimizer(adam_init, adam_update),
    "adamw": Optimizer(adamw_init, adamw_update),
}


def get_optimizer(name: str, **options: Any) -> Optimizer:
    """Return the two functions of an optimizer, with its options filled in.

    Parameters
    ----------
    name : "sgd", "momentum", "adagrad", "rmsprop", "adam" or "adamw"
    **options
        Keyword arguments of its update, for example ``weight_decay=0.1``.

    Returns
    -------
    Optimizer
        ``init(params) -> state`` and ``update(params, grads, state, learning_rate=...)``.

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> init, update = get_optimizer("momentum", momentum=0.5)
    >>> params = {"w": torch.ones(1)}
    >>> params, state = update(params, params, init(params), learning_rate=0.25)
    >>> params["w"].tolist()
    [0.75]
    """
    check_choice("get_optimizer", "name", name, tuple(_RULES))
    init, update = _RULES[name]
    return Optimizer(init, functools.partial(update, **options) if options else update)
