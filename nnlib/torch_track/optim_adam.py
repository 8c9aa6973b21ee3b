"""Adam and AdamW: a running mean of the gradients, divided by the root of that of their squares."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nnlib.errors import check_flag, check_grads, check_number, check_params, check_state
from nnlib.torch_track._each import update_each

Tensors = dict[str, Tensor]


def adam_init(params: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the state of `adam_update`: no step taken, every mean 0.

    Parameters
    ----------
    params : dict of tensors of floats

    Returns
    -------
    state : dict
        ``"step"``, the number of updates; ``"m"`` and ``"v"``, running means of the gradients and
        of their squares, dicts of tensors like ``params``. The update adds ``"v_max"`` under
        ``amsgrad``.

    Raises
    ------
    DtypeError, ValueError
        If ``params`` is not a dict of tensors of floats, or empty.

    Examples
    --------
    >>> state = adam_init({"b": torch.ones(2)})
    >>> state["step"], state["m"]["b"].tolist()
    (0, [0.0, 0.0])
    """
    check_params("adam_init", params)
    return {"step": 0, "m": _zeros(params), "v": _zeros(params)}


def adam_update(
    params: Mapping[str, Tensor],
    grads: Mapping[str, Tensor],
    state: Mapping[str, Any],
    *,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
) -> tuple[Tensors, dict[str, Any]]:
    """Compute ``p - learning_rate * m_hat / (sqrt(v_hat) + eps)`` for every parameter.

    Here ``m = beta1 * m + (1 - beta1) * g`` and ``v = beta2 * v + (1 - beta2) * g^2``; in update
    number t, counted from 1, ``m_hat = m / (1 - beta1^t)`` and ``v_hat = v / (1 - beta2^t)``.

    Parameters
    ----------
    params, grads : dicts of tensors of floats
        Same keys, shapes and dtypes.
    state : dict
        From `adam_init` or the last update.
    learning_rate : float
        Positive. About the length of a step, whatever the size of the gradients.
    beta1, beta2 : float
        At least 0 and below 1: how much of the running means is kept.
    eps : float
        At least 0; outside the root.
    weight_decay : float
        At least 0; ``weight_decay * p`` is added to ``g`` before anything else.
    amsgrad : bool
        Divide by the largest ``v`` so far instead of the present one.

    Returns
    -------
    params : dict of tensors
        New tensors.
    state : dict

    Raises
    ------
    ShapeError, DtypeError
        If a gradient or a memory differs from its parameter in shape or dtype.
    ValueError
        If ``params`` is empty, the keys differ, or an option is out of range.

    Notes
    -----
    The means start at 0 and are too small at first; dividing by ``1 - beta^t`` makes up for
    that. Without it, the first step would be about three times too long.

    References
    ----------
    Chapter 8, "Optimizers". D. Kingma and J. Ba, "Adam: a method for stochastic optimization",
    ICLR 2015. S. Reddi, S. Kale and S. Kumar, "On the convergence of Adam and beyond", ICLR 2018,
    for ``amsgrad``.

    Examples
    --------
    >>> params, grads = {"w": torch.tensor([1.0, 1.0])}, {"w": torch.tensor([50.0, -0.02])}
    >>> params, state = adam_update(params, grads, adam_init(params), learning_rate=0.25)
    >>> params["w"].round(decimals=4).tolist(), state["step"]
    ([0.75, 1.25], 1)
    """
    return _adam("adam_update", params, grads, state, learning_rate, beta1, beta2, eps,
                 weight_decay, amsgrad, decoupled=False)


def adamw_init(params: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the state of `adamw_update`, which is that of `adam_update`.

    Parameters
    ----------
    params : dict of tensors of floats

    Returns
    -------
    state : dict
        ``"step"``, ``"m"`` and ``"v"``, see `adam_init`.

    Raises
    ------
    DtypeError, ValueError
        If ``params`` is not a dict of tensors of floats, or empty.

    Examples
    --------
    >>> sorted(adamw_init({"b": torch.ones(2)}))
    ['m', 'step', 'v']
    """
    check_params("adamw_init", params)
    return adam_init(params)


def adamw_update(
    params: Mapping[str, Tensor],
    grads: Mapping[str, Tensor],
    state: Mapping[str, Any],
    *,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
) -> tuple[Tensors, dict[str, Any]]:
    """Shrink ``p`` by ``1 - learning_rate * weight_decay``, then take Adam's step without decay.

    Parameters
    ----------
    params, grads, state, learning_rate, beta1, beta2, eps, amsgrad
        As in `adam_update`; the state is from `adamw_init` or the last update.
    weight_decay : float
        At least 0. It does not enter the running means, so it pulls on every parameter alike.

    Returns
    -------
    params : dict of tensors
        New tensors.
    state : dict

    Raises
    ------
    ShapeError, DtypeError
        If a gradient or a memory differs from its parameter in shape or dtype.
    ValueError
        If ``params`` is empty, the keys differ, or an option is out of range.

    References
    ----------
    Chapter 8, "Optimizers". I. Loshchilov and F. Hutter, "Decoupled weight decay regularization",
    ICLR 2019.

    Examples
    --------
    >>> params, grads = {"w": torch.tensor([2.0])}, {"w": torch.tensor([0.0])}
    >>> state = adamw_init(params)
    >>> params, state = adamw_update(params, grads, state, learning_rate=0.5, weight_decay=0.5)
    >>> params["w"].tolist()
    [1.5]
    """
    return _adam("adamw_update", params, grads, state, learning_rate, beta1, beta2, eps,
                 weight_decay, amsgrad, decoupled=True)


def _adam(
    caller: str,
    params: Mapping[str, Tensor],
    grads: Mapping[str, Tensor],
    state: Mapping[str, Any],
    learning_rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    *,
    decoupled: bool,
) -> tuple[Tensors, dict[str, Any]]:
    """Take the step that Adam and AdamW share; they differ in where the decay goes."""
    check_grads(caller, params, grads)
    check_number(caller, "learning_rate", learning_rate, above=0)
    check_number(caller, "beta1", beta1, low=0, below=1)
    check_number(caller, "beta2", beta2, low=0, below=1)
    check_number(caller, "eps", eps, low=0)
    check_number(caller, "weight_decay", weight_decay, low=0)
    check_flag(caller, "amsgrad", amsgrad)
    names = ["m", "v", *["v_max"] * bool(amsgrad)]
    state = {"v_max": _zeros(params), **state} if amsgrad else state
    check_state(caller, params, state, *names)
    keep1, keep2, small, decay = float(beta1), float(beta2), float(eps), float(weight_decay)
    t = state["step"] + 1
    # The corrections are numbers, so they are kept out of the work on tensors:
    # m_hat / (sqrt(v_hat) + eps) = m / (1 - beta1^t) / (sqrt(v) * scale + eps).
    rate = float(learning_rate) / (1 - keep1**t)
    scale = 1 / math.sqrt(1 - keep2**t)
    shrink = 1 - float(learning_rate) * decay

    def rule(p: Tensor, g: Tensor, m: Tensor, v: Tensor, *v_max: Tensor) -> tuple[Tensor, ...]:
        if decay and decoupled:
            p = shrink * p
        elif decay:
            g = g + decay * p
        m = torch.lerp(m, g, 1 - keep1)
        v = torch.addcmul(keep2 * v, g, g, value=1 - keep2)
        v_max = tuple(torch.maximum(largest, v) for largest in v_max)
        root = torch.sqrt(v_max[0] if v_max else v).mul_(scale).add_(small)
        return torch.addcdiv(p, m, root, value=-rate), m, v, *v_max

    updated, *memories = update_each(rule, params, grads, *(state[name] for name in names))
    return updated, {**state, "step": t, **dict(zip(names, memories, strict=True))}


def _zeros(params: Mapping[str, Tensor]) -> Tensors:
    return {name: torch.zeros_like(p) for name, p in params.items()}
