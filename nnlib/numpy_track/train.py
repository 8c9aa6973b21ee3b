"""Training: one step, many epochs, and measuring how good the result is.

The loop itself, which is the same for both tracks, is `nnlib.training.fit_model`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnlib import training
from nnlib.contract.caches_train import Optimizer, StepResult
from nnlib.data.batches import iterate_batches
from nnlib.early_stopping import EarlyStopping
from nnlib.errors import DtypeError, check_count, check_number
from nnlib.history import History
from nnlib.numpy_track._types import Array
from nnlib.numpy_track.metrics import accuracy, confusion_matrix
from nnlib.numpy_track.optim import get_optimizer
from nnlib.numpy_track.regularization import clip_grad_norm
from nnlib.training import Loss, Metrics, Run

__all__ = [
    "History",
    "accuracy",
    "confusion_matrix",
    "evaluate",
    "fit",
    "iterate_batches",
    "train_step",
]

Penalty = Callable[[dict[str, Array]], tuple[Array, dict[str, Array]]]


def train_step(
    model: Any,
    x: Array,
    y: Array,
    *,
    loss: Loss,
    optimizer: Optimizer,
    state: dict[str, Any],
    learning_rate: float,
    penalty: Penalty | None = None,
    max_grad_norm: float | None = None,
) -> StepResult:
    """Make one step of training: forward, loss, backward, update.

    Parameters
    ----------
    model : object with ``params``, ``grads``, ``forward`` and ``backward``
        Gets new parameters.
    x, y : arrays with one row for each example
        A mini-batch.
    loss : callable
        ``loss(predictions, y) -> (value, gradient)``.
    optimizer : Optimizer
        The pair ``(init, update)``, see `get_optimizer`.
    state : dict
        From ``optimizer.init(model.params)`` or the last step.
    learning_rate : float
        Positive.
    penalty : callable, optional
        ``penalty(params) -> (value, grads)``, added to the loss; gradients may be missing for
        parameters that are not penalised.
    max_grad_norm : float, optional
        Clip the gradients, see `clip_grad_norm`.

    Returns
    -------
    StepResult
        ``loss`` and ``predictions`` from before the update, and the new ``state``.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> from nnlib.numpy_track import get_optimizer, mse
    >>> from nnlib.numpy_track.model import mlp
    >>> model, adam = mlp(np.random.default_rng(0), (2, 1)), get_optimizer("adam")
    >>> x, y, state = np.ones((4, 2)), np.ones((4, 1)), adam.init(model.params)
    >>> losses = []
    >>> for _ in range(2):
    ...     value, _, state = train_step(
    ...         model, x, y, loss=mse, optimizer=adam, state=state, learning_rate=0.1
    ...     )
    ...     losses.append(float(value))
    >>> losses[1] < losses[0]
    True
    """
    predictions = model.forward(x)
    value, dpredictions = loss(predictions, y)
    # Without the gradient of x where the model can leave it out: nobody learns the input.
    getattr(model, "backward_params", model.backward)(dpredictions)
    params, grads = model.params, model.grads
    if penalty is not None:
        extra, extra_grads = penalty(params)
        value = value + extra
        grads = {k: g + extra_grads[k] if k in extra_grads else g for k, g in grads.items()}
    if max_grad_norm is not None:
        grads, _ = clip_grad_norm(grads, max_norm=max_grad_norm)
    model.params, state = optimizer.update(params, grads, state, learning_rate=learning_rate)
    return StepResult(value, predictions, state)


def fit(
    model: Any,
    x: Array,
    y: Array,
    *,
    loss: Loss,
    optimizer: str | Optimizer = "adam",
    learning_rate: float | Callable[[int], float] = 1e-3,
    epochs: int,
    batch_size: int = 32,
    rng: np.random.Generator,
    validation: Sequence[Array] | None = None,
    metrics: Metrics | None = None,
    early_stopping: EarlyStopping | None = None,
    callbacks: Sequence[Callable[[Run], Any]] = (),
    penalty: Penalty | None = None,
    max_grad_norm: float | None = None,
    progress: bool = False,
    history: History | None = None,
) -> History:
    """Train a model on mini-batches for a number of epochs.

    Parameters
    ----------
    model : object with ``params``, ``grads``, ``forward``, ``backward``, ``train``, ``eval``
        For example `Sequential`. Its parameters are replaced step by step.
    x, y : arrays with one row for each example
        The training part.
    loss : callable
        ``loss(predictions, y) -> (value, gradient)``; the value a mean over the examples.
    optimizer : str or Optimizer
        A name, see `get_optimizer`, or a pair ``(init, update)``.
    learning_rate : float or callable
        A number, or a schedule ``step -> number`` with steps counted from 0.
    epochs : int
        How often to go through all examples; with ``history``, how often more.
    batch_size : int
        The last batch of an epoch may be smaller.
    rng : numpy.random.Generator
        Shuffles the examples anew in every epoch. The same generator, parameters and data give
        the same result to the last bit, on the same machine.
    validation : pair of arrays, optional
        Examples and targets that are only measured, after each epoch and in evaluation mode.
    metrics : dict of str to callable, optional
        ``metric(predictions, y) -> float``, for example ``{"accuracy": accuracy}``.
    early_stopping : EarlyStopping, optional
        Watches the validation loss, unless its ``monitor`` names something else. In the end the
        model gets its best weights back.
    callbacks : sequence of callables
        Called after each epoch with a `Run`: ``model``, ``history``, ``epoch``, ``step`` and
        ``learning_rate``. One that returns True ends the training.
    penalty, max_grad_norm : see `train_step`
    progress : bool
        Show a line with the epoch and its numbers.
    history : History, optional
        What an earlier `fit` returned: training goes on from there, with the optimizer's state
        and the number of steps.

    Returns
    -------
    History
        "loss" and every metric, averaged over the epoch while the parameters change, the same
        of the validation part after it, and "learning_rate".

    Raises
    ------
    ShapeError
        If ``x`` and ``y`` differ in their number of rows, or have none.
    DtypeError, ValueError
        If an argument is of the wrong kind or out of range.

    Notes
    -----
    Training ends early when the loss is no longer finite: nan never becomes a number again.
    ``history.stopped`` says so. Afterwards the model is in the mode in which it was before.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> from nnlib.numpy_track import softmax_cross_entropy
    >>> from nnlib.numpy_track.model import mlp
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2))
    >>> labels = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    >>> history = fit(mlp(rng, (2, 16, 2)), x, labels, loss=softmax_cross_entropy,
    ...               learning_rate=0.02, epochs=30, rng=rng, metrics={"accuracy": accuracy})
    >>> history["accuracy"][-1] > 0.9
    True
    """
    chosen = get_optimizer(optimizer) if isinstance(optimizer, str) else optimizer
    training.check_fit(
        "fit", model, x, y, loss=loss, optimizer=chosen, learning_rate=learning_rate,
        epochs=epochs, validation=validation, metrics=metrics,
    )
    check_count("fit", "batch_size", batch_size, minimum=1)
    if max_grad_norm is not None:
        check_number("fit", "max_grad_norm", max_grad_norm, above=0)
    if not isinstance(rng, np.random.Generator):
        raise DtypeError(
            f"fit: rng must be a numpy.random.Generator, got {type(rng).__name__}. "
            f"Use np.random.default_rng(0)."
        )
    chosen = Optimizer(*chosen)

    def step(x_batch: Array, y_batch: Array, state: dict[str, Any], rate: float) -> StepResult:
        return train_step(
            model, x_batch, y_batch, loss=loss, optimizer=chosen, state=state,
            learning_rate=rate, penalty=penalty, max_grad_norm=max_grad_norm,
        )

    return training.fit_model(
        model, step=step,
        batches=lambda: iterate_batches(x, y, batch_size=batch_size, rng=rng),
        evaluate=lambda x_part, y_part: evaluate(
            model, x_part, y_part, loss=loss, metrics=metrics
        ),
        optimizer=chosen, learning_rate=learning_rate, epochs=epochs, validation=validation,
        metrics=metrics, early_stopping=early_stopping, callbacks=callbacks, progress=progress,
        history=history,
    )


def evaluate(
    model: Any,
    x: Array,
    y: Array,
    *,
    loss: Loss,
    metrics: Metrics | None = None,
    batch_size: int = 256,
) -> dict[str, float]:
    """Measure a model without changing it.

    Parameters
    ----------
    model : object with ``forward``, ``train`` and ``eval``
        Switched to evaluation mode, and back to the mode in which it was.
    x, y : arrays with one row for each example
    loss : callable
        ``loss(predictions, y) -> (value, gradient)``; the value a mean over the examples.
    metrics : dict of str to callable, optional
        ``metric(predictions, y) -> float``, a mean over the examples.
    batch_size : int
        How many examples to pass through the model at once: a question of memory only.

    Returns
    -------
    dict of str to float
        "loss" and every metric, averaged over all examples.

    Raises
    ------
    ShapeError
        If ``x`` and ``y`` differ in their number of rows, or have none.
    DtypeError, ValueError
        If an argument is of the wrong kind or out of range.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> from nnlib.numpy_track import mse
    >>> from nnlib.numpy_track.layers import Identity
    >>> x = np.array([[1.0], [2.0], [3.0]])
    >>> evaluate(Identity(), x, np.zeros((3, 1)), loss=mse, batch_size=2)["loss"]
    4.666666666666667
    """
    training.check_model("evaluate", model)
    training.check_examples("evaluate", x, y)
    training.check_loss("evaluate", loss, metrics)
    check_count("evaluate", "batch_size", batch_size, minimum=1)
    batches = iterate_batches(x, y, batch_size=batch_size, shuffle=False)
    return training.evaluate_model(model, batches, loss=loss, metrics=metrics)
