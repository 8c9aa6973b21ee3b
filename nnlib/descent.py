"""The training loop in functions: one step, and epochs that keep the best parameters.

The same for arrays of either track. `train` does it for model objects, with more options.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

from nnlib.errors import check_count, check_number

__all__ = ["fit_epochs", "mini_batch_step"]

Array = Any
Params = dict[str, Array]


def mini_batch_step(
    params: Params,
    x: Array,
    y: Array,
    *,
    forward: Callable[[Params, Array], tuple[Array, Any]],
    loss: Callable[[Array, Array], tuple[float, Array]],
    backward: Callable[[Array, Any], Params],
    learning_rate: float,
) -> tuple[Params, float]:
    """Make one step of gradient descent: ``p - learning_rate * dp`` for every parameter ``p``.

    Parameters
    ----------
    params : dict of str to array
        Left as they are.
    x, y : arrays with one row for each example
        A mini-batch.
    forward : callable
        ``forward(params, x) -> (predictions, cache)``.
    loss : callable
        ``loss(predictions, y) -> (value, dpredictions)``, a mean over the rows.
    backward : callable
        ``backward(dpredictions, cache) -> grads``, with the keys of ``params``.
    learning_rate : float
        Positive.

    Returns
    -------
    params : dict of str to array
        New arrays.
    value : float
        The loss before the step.

    Raises
    ------
    ValueError
        If the learning rate is not positive.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> import numpy as np
    >>> new, value = mini_batch_step(
    ...     {"w": np.array([1.0])}, np.array([[2.0]]), np.array([3.0]),
    ...     forward=lambda params, x: (x @ params["w"], x),
    ...     loss=lambda pred, y: (((pred - y) ** 2).mean(), 2 * (pred - y) / len(y)),
    ...     backward=lambda dpred, x: {"w": x.T @ dpred}, learning_rate=0.1)
    >>> new["w"].tolist(), float(value)
    ([1.4], 1.0)
    """
    check_number("mini_batch_step", "learning_rate", learning_rate, above=0)
    predictions, cache = forward(params, x)
    value, dpredictions = loss(predictions, y)
    grads = backward(dpredictions, cache)
    return {name: p - learning_rate * grads[name] for name, p in params.items()}, float(value)


def fit_epochs(
    params: Params,
    *,
    batches: Callable[[], Iterable[tuple[Array, Array]]],
    step: Callable[[Params, Array, Array], tuple[Params, float]],
    validate: Callable[[Params], float],
    epochs: int,
    patience: int,
) -> tuple[Params, dict[str, list[float]]]:
    """Train for some epochs and return the parameters with the lowest validation loss.

    Parameters
    ----------
    params : dict of str to array
        Where to start.
    batches : callable
        ``batches()`` gives the mini-batches of one epoch, shuffled anew at every call.
    step : callable
        ``step(params, x, y) -> (params, value)``, as `mini_batch_step`.
    validate : callable
        ``validate(params)`` is the loss on the validation part.
    epochs : int
        At most so many.
    patience : int
        At least 1: stop when so many epochs in a row brought no lower validation loss.

    Returns
    -------
    params : dict of str to array
        Those after the epoch with the lowest validation loss, the first of equals; the given
        ones where ``epochs`` is 0.
    history : dict of str to list of float
        ``"loss"``, the mean over all examples of the epoch, and ``"validation_loss"``.

    Raises
    ------
    DtypeError, ValueError
        If ``epochs`` or ``patience`` is no integer or too small.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> import numpy as np
    >>> best, history = fit_epochs(
    ...     {"w": np.array(4.0)}, batches=lambda: [(np.ones(2), None)],
    ...     step=lambda params, x, y: ({"w": params["w"] - 1}, 0.5),
    ...     validate=lambda params: float((params["w"] - 2) ** 2), epochs=9, patience=2)
    >>> float(best["w"]), history["validation_loss"]
    (2.0, [1.0, 0.0, 1.0, 4.0])
    """
    check_count("fit_epochs", "epochs", epochs)
    check_count("fit_epochs", "patience", patience, minimum=1)
    history: dict[str, list[float]] = {"loss": [], "validation_loss": []}
    best, lowest, waited = params, math.inf, 0
    for _ in range(epochs):
        total, rows = 0.0, 0
        for x_batch, y_batch in batches():
            params, value = step(params, x_batch, y_batch)
            total += len(x_batch) * value
            rows += len(x_batch)
        history["loss"].append(total / rows)
        history["validation_loss"].append(validate(params))
        if history["validation_loss"][-1] < lowest:
            best, lowest, waited = params, history["validation_loss"][-1], 0
        else:
            waited += 1
        if waited == patience:
            break
    return best, history
