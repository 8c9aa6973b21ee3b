"""Optimizers: rules that turn gradients into new parameters.

`<name>_init` makes the state that a rule remembers from step to step; `<name>_update` returns
new parameters and a new state. Parameters and gradients are dicts of arrays with the same keys;
no input is modified.
"""

from collections.abc import Mapping
from typing import Any

from nnlib.errors import check_grads, check_number, check_params
from nnlib.numpy_track._types import Array

__all__ = ["sgd_init", "sgd_update"]


def sgd_init(params: Mapping[str, Array]) -> dict[str, Any]:
    """Return the state of `sgd_update`: empty, since plain gradient descent remembers nothing.

    Parameters
    ----------
    params : dict of arrays of floats

    Returns
    -------
    state : dict

    Raises
    ------
    DtypeError, ValueError
        If ``params`` is not a dict of arrays of floats, or empty.

    Examples
    --------
    >>> import numpy as np
    >>> sgd_init({"w": np.zeros(3)})
    {}
    """
    check_params("sgd_init", params)
    return {}


def sgd_update(
    params: Mapping[str, Array],
    grads: Mapping[str, Array],
    state: Mapping[str, Any],
    *,
    learning_rate: float = 1e-2,
    weight_decay: float = 0.0,
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Compute ``p - learning_rate * (g + weight_decay * p)`` for every parameter.

    Parameters
    ----------
    params, grads : dicts of arrays of floats
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
    params : dict of arrays
        New arrays.
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
    >>> import numpy as np
    >>> params, grads = {"w": np.array([1.0, 2.0])}, {"w": np.array([10.0, -10.0])}
    >>> params, state = sgd_update(params, grads, sgd_init(params), learning_rate=0.1)
    >>> params["w"].tolist()
    [0.0, 3.0]
    """
    check_grads("sgd_update", params, grads)
    check_number("sgd_update", "learning_rate", learning_rate, above=0)
    check_number("sgd_update", "weight_decay", weight_decay, low=0)
    rate, decay = float(learning_rate), float(weight_decay)
    updated = {name: p - rate * (grads[name] + decay * p) for name, p in params.items()}
    return updated, dict(state)
