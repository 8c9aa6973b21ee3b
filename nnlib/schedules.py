"""Learning-rate schedules: from the number of an update to its learning rate.

A schedule is plain arithmetic with numbers, so one file serves both tracks. Steps count updates
from 0; what is meant in epochs is multiplied by the number of batches in an epoch. Give `fit` a
schedule as ``functools.partial(cosine, learning_rate=0.1, total_steps=1000)``.
"""

import math
from typing import Any

from nnlib.contract.caches_train import PlateauState
from nnlib.errors import check_choice, check_count, check_number

__all__ = [
    "constant",
    "cosine",
    "exponential_decay",
    "reduce_on_plateau",
    "step_decay",
    "warmup_cosine",
]


def constant(step: int, *, learning_rate: float) -> float:
    """Return ``learning_rate`` at every step.

    Parameters
    ----------
    step : int
        Number of updates before this one, from 0.
    learning_rate : float
        Positive.

    Returns
    -------
    float

    Raises
    ------
    DtypeError, ValueError
        If ``step`` is no integer from 0 or ``learning_rate`` is not positive.

    References
    ----------
    Chapter 9, "Schedules".

    Examples
    --------
    >>> constant(500, learning_rate=0.1)
    0.1
    """
    return _start("constant", step, learning_rate)


def step_decay(step: int, *, learning_rate: float, step_size: int, gamma: float = 0.1) -> float:
    """Return ``learning_rate * gamma^floor(step / step_size)``: a stair.

    Parameters
    ----------
    step : int
        Number of updates before this one, from 0.
    learning_rate : float
        Positive. The rate at step 0.
    step_size : int
        Length of a stair; step number ``step_size`` is the first on the second one.
    gamma : float
        Above 0 and at most 1.

    Returns
    -------
    float

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Chapter 9, "Schedules".

    Examples
    --------
    >>> [step_decay(step, learning_rate=0.8, step_size=2, gamma=0.5) for step in range(5)]
    [0.8, 0.8, 0.4, 0.4, 0.2]
    """
    rate = _start("step_decay", step, learning_rate)
    check_count("step_decay", "step_size", step_size, minimum=1)
    check_number("step_decay", "gamma", gamma, above=0, high=1)
    return rate * float(gamma) ** int(step // step_size)


def exponential_decay(step: int, *, learning_rate: float, gamma: float) -> float:
    """Return ``learning_rate * gamma^step``.

    Parameters
    ----------
    step : int
        Number of updates before this one, from 0.
    learning_rate : float
        Positive. The rate at step 0.
    gamma : float
        Above 0 and at most 1. To halve the rate every ``k`` steps take ``0.5 ** (1 / k)``.

    Returns
    -------
    float

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Chapter 9, "Schedules".

    Examples
    --------
    >>> exponential_decay(2, learning_rate=0.4, gamma=0.5)
    0.1
    """
    rate = _start("exponential_decay", step, learning_rate)
    check_number("exponential_decay", "gamma", gamma, above=0, high=1)
    return rate * float(gamma) ** int(step)


def cosine(
    step: int, *, learning_rate: float, total_steps: int, min_learning_rate: float = 0.0
) -> float:
    """Go from ``learning_rate`` down to ``min_learning_rate`` along half a cosine.

    The rate is ``low + (learning_rate - low) * (1 + cos(pi * step / total_steps)) / 2`` with
    ``low = min_learning_rate``.

    Parameters
    ----------
    step : int
        Number of updates before this one, from 0.
    learning_rate : float
        Positive. The rate at step 0.
    total_steps : int
        Step number ``total_steps`` is the first at ``min_learning_rate``.
    min_learning_rate : float
        From 0 to ``learning_rate``.

    Returns
    -------
    float

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    After ``total_steps`` the rate stays at its minimum. PyTorch's ``CosineAnnealingLR`` is equal
    up to there, then rises again.

    References
    ----------
    Chapter 9, "Schedules". I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with
    warm restarts", ICLR 2017.

    Examples
    --------
    >>> [round(cosine(step, learning_rate=0.2, total_steps=4), 4) for step in range(6)]
    [0.2, 0.1707, 0.1, 0.0293, 0.0, 0.0]
    """
    rate = _start("cosine", step, learning_rate)
    check_count("cosine", "total_steps", total_steps, minimum=1)
    check_number("cosine", "min_learning_rate", min_learning_rate, low=0, high=rate)
    return _half_cosine(min(step / total_steps, 1.0), rate, float(min_learning_rate))


def warmup_cosine(
    step: int,
    *,
    learning_rate: float,
    warmup_steps: int,
    total_steps: int,
    min_learning_rate: float = 0.0,
) -> float:
    """Rise in a straight line for ``warmup_steps`` steps, then go down as `cosine` does.

    During warm-up the rate is ``learning_rate * (step + 1) / (warmup_steps + 1)``, which is never
    0; step number ``warmup_steps`` has the full rate.

    Parameters
    ----------
    step : int
        Number of updates before this one, from 0.
    learning_rate : float
        Positive. The highest rate.
    warmup_steps : int
        At least 0.
    total_steps : int
        More than ``warmup_steps``; step number ``total_steps`` is the first at the minimum.
    min_learning_rate : float
        From 0 to ``learning_rate``; does not bound the warm-up.

    Returns
    -------
    float

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    In PyTorch: ``LinearLR(start_factor=1 / (warmup_steps + 1), total_iters=warmup_steps)``, then
    ``CosineAnnealingLR(T_max=total_steps - warmup_steps)``, joined by ``SequentialLR``.

    References
    ----------
    Chapter 9, "Schedules". P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in
    1 hour", 2017, for the warm-up.

    Examples
    --------
    >>> options = {"learning_rate": 0.3, "warmup_steps": 2, "total_steps": 6}
    >>> [round(warmup_cosine(step, **options), 3) for step in range(7)]
    [0.1, 0.2, 0.3, 0.256, 0.15, 0.044, 0.0]
    """
    caller = "warmup_cosine"
    rate = _start(caller, step, learning_rate)
    check_count(caller, "warmup_steps", warmup_steps)
    check_count(caller, "total_steps", total_steps, minimum=warmup_steps + 1)
    check_number(caller, "min_learning_rate", min_learning_rate, low=0, high=rate)
    if step < warmup_steps:
        return rate * int(step + 1) / int(warmup_steps + 1)
    way = (step - warmup_steps) / (total_steps - warmup_steps)
    return _half_cosine(min(way, 1.0), rate, float(min_learning_rate))


def reduce_on_plateau(
    value: float,
    state: PlateauState,
    *,
    mode: str = "min",
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_learning_rate: float = 0.0,
    eps: float = 1e-8,
) -> PlateauState:
    """Multiply the learning rate by ``factor`` when ``value`` has not got better for a while.

    Parameters
    ----------
    value : float
        What is watched, once an epoch: a validation loss, an accuracy. nan is not better.
    state : PlateauState
        ``PlateauState(0.1)`` to start with a learning rate of 0.1, then what the last call
        returned.
    mode : "min" or "max"
        Whether smaller or larger is better.
    factor : float
        Above 0 and below 1.
    patience : int
        This many calls in a row may bring no better value; the next one reduces.
    threshold : float
        At least 0. How much better counts: ``value < best * (1 - threshold)``, or, with
        ``threshold_mode="abs"``, ``value < best - threshold``; mirrored for ``"max"``.
    threshold_mode : "rel" or "abs"
    cooldown : int
        Calls after a reduction in which waiting is not counted.
    min_learning_rate : float
        At least 0.
    eps : float
        At least 0. A reduction by no more than this is not made.

    Returns
    -------
    PlateauState
        ``learning_rate, best, waited, cooling``.

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Chapter 9, "Schedules".

    Examples
    --------
    >>> state = PlateauState(0.5)
    >>> for loss in (1.0, 0.6, 0.6, 0.7):
    ...     state = reduce_on_plateau(loss, state, factor=0.5, patience=1)
    >>> state.learning_rate, state.best
    (0.25, 0.6)

    In training, a callback looks at the losses and the schedule reads the state:

    >>> def rate(step):
    ...     return state.learning_rate
    >>> def watch(run):
    ...     global state
    ...     state = reduce_on_plateau(run.history["validation_loss"][-1], state)
    """
    caller = "reduce_on_plateau"
    _check_plateau(caller, state)
    check_choice(caller, "mode", mode, ("min", "max"))
    check_choice(caller, "threshold_mode", threshold_mode, ("rel", "abs"))
    check_number(caller, "factor", factor, above=0, below=1)
    check_count(caller, "patience", patience)
    check_count(caller, "cooldown", cooldown)
    for name, number in (("threshold", threshold), ("eps", eps),
                         ("min_learning_rate", min_learning_rate)):
        check_number(caller, name, number, low=0)
    value = float(value)
    rate, best, waited, cooling = state
    rate = float(rate)

    sign = 1 if mode == "min" else -1
    if best is None:
        better = sign * value < math.inf
    else:
        margin = threshold * best if threshold_mode == "rel" else threshold
        better = sign * value < sign * best - margin
    best, waited = (value, 0) if better else (best, waited + 1)
    if cooling > 0:
        cooling, waited = cooling - 1, 0
    if waited > patience:
        lower = max(rate * float(factor), float(min_learning_rate))
        rate = lower if rate - lower > eps else rate
        cooling, waited = int(cooldown), 0
    return PlateauState(rate, best, waited, cooling)


def _start(caller: str, step: int, learning_rate: float) -> float:
    """Check what every schedule takes and return the learning rate as a float."""
    check_count(caller, "step", step)
    check_number(caller, "learning_rate", learning_rate, above=0)
    return float(learning_rate)


def _half_cosine(way: float, high: float, low: float) -> float:
    """Go from ``high`` to ``low`` as ``way`` goes from 0 to 1."""
    return low if way == 1 else low + (high - low) * (1 + math.cos(math.pi * way)) / 2


def _check_plateau(caller: str, state: Any) -> None:
    if not isinstance(state, PlateauState):
        raise TypeError(
            f"{caller}: state must be a PlateauState, got {type(state).__name__}. "
            f"Start with PlateauState(learning_rate)."
        )
    check_number(caller, "state.learning_rate", state.learning_rate, above=0)
