"""Optimizers that give every parameter a step of its own: AdaGrad and RMSProp.

Both divide the gradient by a measure of how large it usually is. They differ in how they
remember that; Adam, in `optim_adam`, does so for the gradient too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlib.errors import check_flag, check_grads, check_number, check_params, check_state
from nnlib.numpy_track._blocks import decayed, update_each
from nnlib.numpy_track._types import Array

Arrays = dict[str, Array]


def adagrad_init(
    params: Mapping[str, Array], *, initial_accumulator_value: float = 0.0
) -> dict[str, Any]:
    """Return the state of `adagrad_update`: no step taken, every sum of squares at its start.

    Parameters
    ----------
    params : dict of arrays of floats
    initial_accumulator_value : float
        At least 0. Where the sums of squares start.

    Returns
    -------
    state : dict
        ``"step"``, the number of updates, and ``"square_sum"``, a dict of arrays like ``params``.

    Raises
    ------
    DtypeError, ValueError
        If ``params`` is not a dict of arrays of floats, or empty, or the start is negative.

    Examples
    --------
    >>> adagrad_init({"b": np.ones(2)})["square_sum"]["b"].tolist()
    [0.0, 0.0]
    """
    check_params("adagrad_init", params)
    check_number(
        "adagrad_init", "initial_accumulator_value", initial_accumulator_value, low=0
    )
    start = float(initial_accumulator_value)
    return {"step": 0, "square_sum": {k: np.full_like(p, start) for k, p in params.items()}}


def adagrad_update(
    params: Mapping[str, Array],
    grads: Mapping[str, Array],
    state: Mapping[str, Any],
    *,
    learning_rate: float = 1e-2,
    learning_rate_decay: float = 0.0,
    weight_decay: float = 0.0,
    eps: float = 1e-10,
) -> tuple[Arrays, dict[str, Any]]:
    """Compute ``square_sum + g^2`` and ``p - learning_rate * g / (sqrt(square_sum) + eps)``.

    Parameters
    ----------
    params, grads : dicts of arrays of floats
        Same keys, shapes and dtypes.
    state : dict
        From `adagrad_init` or the last update.
    learning_rate : float
        Positive.
    learning_rate_decay : float
        At least 0. In update number t, counted from 0, the learning rate is divided by
        ``1 + t * learning_rate_decay``.
    weight_decay : float
        At least 0; ``weight_decay * p`` is added to ``g`` before anything else.
    eps : float
        At least 0; outside the root.

    Returns
    -------
    params : dict of arrays
        New arrays.
    state : dict

    Raises
    ------
    ShapeError, DtypeError
        If a gradient or a sum differs from its parameter in shape or dtype.
    ValueError
        If ``params`` is empty, the keys differ, or an option is out of range.

    Notes
    -----
    A parameter that rarely gets a gradient keeps a large step. The sum only grows, so every step
    shrinks like 1 over the root of the number of updates.

    References
    ----------
    Chapter 8, "Optimizers". J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for
    online learning and stochastic optimization", JMLR 12 (2011).

    Examples
    --------
    The first step has the length ``learning_rate``, whatever the size of the gradient:

    >>> params, grads = {"w": np.array([1.0, 1.0])}, {"w": np.array([50.0, -0.02])}
    >>> params, state = adagrad_update(params, grads, adagrad_init(params), learning_rate=0.25)
    >>> params["w"].round(6).tolist()
    [0.75, 1.25]
    """
    caller = "adagrad_update"
    check_grads(caller, params, grads)
    check_number(caller, "learning_rate", learning_rate, above=0)
    check_number(caller, "learning_rate_decay", learning_rate_decay, low=0)
    check_number(caller, "weight_decay", weight_decay, low=0)
    check_number(caller, "eps", eps, low=0)
    check_state(caller, params, state, "square_sum")
    rate = float(learning_rate) / (1 + state["step"] * float(learning_rate_decay))
    decay, small = float(weight_decay), float(eps)

    def rule(inputs: list[Array], out: list[Array], scratch: Array) -> None:
        (p, g, before), (new, square_sum) = inputs, out
        g = decayed(g, p, decay, scratch)
        np.multiply(g, g, out=square_sum)
        square_sum += before
        # new = p - rate * g / (sqrt(square_sum) + small)
        np.sqrt(square_sum, out=new)
        new += small
        np.divide(g, new, out=new)
        new *= rate
        np.subtract(p, new, out=new)

    updated, square_sum = update_each(rule, params, grads, state["square_sum"], results=2)
    return updated, {"step": state["step"] + 1, "square_sum": square_sum}


def rmsprop_init(params: Mapping[str, Array]) -> dict[str, Any]:
    """Return the state of `rmsprop_update`: no step taken, every mean 0.

    Parameters
    ----------
    params : dict of arrays of floats

    Returns
    -------
    state : dict
        ``"step"``, the number of updates, and ``"square_mean"``, a dict of arrays like
        ``params``. The update adds ``"grad_mean"`` and ``"velocity"`` where its options need
        them.

    Raises
    ------
    DtypeError, ValueError
        If ``params`` is not a dict of arrays of floats, or empty.

    Examples
    --------
    >>> rmsprop_init({"b": np.ones(2)})["square_mean"]["b"].tolist()
    [0.0, 0.0]
    """
    check_params("rmsprop_init", params)
    return {"step": 0, "square_mean": _zeros(params)}


def rmsprop_update(
    params: Mapping[str, Array],
    grads: Mapping[str, Array],
    state: Mapping[str, Any],
    *,
    learning_rate: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> tuple[Arrays, dict[str, Any]]:
    """Compute ``p - learning_rate * g / (sqrt(square_mean) + eps)``.

    Here ``square_mean = alpha * square_mean + (1 - alpha) * g^2``.

    Parameters
    ----------
    params, grads : dicts of arrays of floats
        Same keys, shapes and dtypes.
    state : dict
        From `rmsprop_init` or the last update.
    learning_rate : float
        Positive.
    alpha : float
        At least 0 and below 1: how much of the running mean is kept.
    eps : float
        At least 0; outside the root.
    weight_decay : float
        At least 0; ``weight_decay * p`` is added to ``g`` before anything else.
    momentum : float
        At least 0 and below 1. Above 0, the scaled gradients are gathered in a velocity, and the
        step goes along that.
    centered : bool
        Divide by the root of the variance, ``square_mean - grad_mean^2``, instead.

    Returns
    -------
    params : dict of arrays
        New arrays.
    state : dict

    Raises
    ------
    ShapeError, DtypeError
        If a gradient or a memory differs from its parameter in shape or dtype.
    ValueError
        If ``params`` is empty, the keys differ, or an option is out of range.

    Notes
    -----
    Unlike AdaGrad's sum the mean forgets, so the steps do not die out. It starts at 0 and is not
    corrected for that: the first steps are up to ``1 / sqrt(1 - alpha)`` times too long.

    References
    ----------
    Chapter 8, "Optimizers". T. Tieleman and G. Hinton, "Lecture 6.5: RMSProp", Neural networks
    for machine learning, Coursera 2012.

    Examples
    --------
    >>> params, grads = {"w": np.array([1.0])}, {"w": np.array([50.0])}
    >>> state = rmsprop_init(params)
    >>> params, state = rmsprop_update(params, grads, state, learning_rate=0.1, alpha=0.75)
    >>> params["w"].round(6).tolist(), state["square_mean"]["w"].tolist()
    ([0.8], [625.0])
    """
    caller = "rmsprop_update"
    check_grads(caller, params, grads)
    check_number(caller, "learning_rate", learning_rate, above=0)
    check_number(caller, "alpha", alpha, low=0, below=1)
    check_number(caller, "eps", eps, low=0)
    check_number(caller, "weight_decay", weight_decay, low=0)
    check_number(caller, "momentum", momentum, low=0, below=1)
    check_flag(caller, "centered", centered)
    names = ["square_mean", *["grad_mean"] * bool(centered), *["velocity"] * (momentum > 0)]
    state = {**{name: _zeros(params) for name in names[1:]}, **state}
    check_state(caller, params, state, *names)
    rate, keep, small = float(learning_rate), float(alpha), float(eps)
    decay, inertia = float(weight_decay), float(momentum)

    def rule(inputs: list[Array], out: list[Array], scratch: Array) -> None:
        (p, g, *memories), (new, *renewed) = inputs, out
        before = dict(zip(names, memories, strict=True))
        now = dict(zip(names, renewed, strict=True))
        g = decayed(g, p, decay, scratch)
        np.multiply(g, g, out=new)
        new *= 1 - keep
        spread = np.multiply(before["square_mean"], keep, out=now["square_mean"])
        spread += new
        if centered:
            np.multiply(g, 1 - keep, out=new)
            mean = np.multiply(before["grad_mean"], keep, out=now["grad_mean"])
            mean += new
            np.multiply(mean, mean, out=new)
            # Rounding may push a variance of 0 below it.
            spread = np.maximum(np.subtract(spread, new, out=new), 0, out=new)
        # step = g / (sqrt(spread) + small)
        np.sqrt(spread, out=new)
        new += small
        np.divide(g, new, out=new)
        if inertia:
            velocity = np.multiply(before["velocity"], inertia, out=now["velocity"])
            velocity += new
            np.multiply(velocity, rate, out=new)
        else:
            new *= rate
        np.subtract(p, new, out=new)

    updated, *memories = update_each(
        rule, params, grads, *(state[name] for name in names), results=1 + len(names)
    )
    return updated, {
        **state, **dict(zip(names, memories, strict=True)), "step": state["step"] + 1
    }


def _zeros(params: Mapping[str, Array]) -> Arrays:
    return {name: np.zeros_like(p) for name, p in params.items()}
