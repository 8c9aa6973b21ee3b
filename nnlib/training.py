"""The training loop, the same for arrays of either track.

No arithmetic on arrays here: the model, the loss, the optimizer and the batches bring it. The
tracks' `train` files give these functions their batches and their public names.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnlib.contract.caches_train import Optimizer, StepResult
from nnlib.early_stopping import EarlyStopping
from nnlib.errors import DtypeError, ShapeError, check_count, check_number
from nnlib.history import History
from nnlib.progress import ProgressLine

Array = Any
Loss = Callable[[Array, Array], tuple[Array, Array]]
Metrics = Mapping[str, Callable[[Array, Array], float]]


@dataclass(frozen=True)
class Run:
    """What a callback sees after each epoch.

    Parameters
    ----------
    model
        The model in training. A callback may read it and evaluate it.
    history : History
        Everything up to and with this epoch.
    epoch : int
        Number of the epoch, from 0.
    step : int
        Number of updates so far.
    learning_rate : float
        Of the last update.
    """

    model: Any
    history: History
    epoch: int
    step: int
    learning_rate: float


def evaluate_model(
    model: Any,
    batches: Iterable[tuple[Array, Array]],
    *,
    loss: Loss,
    metrics: Metrics | None = None,
) -> dict[str, float]:
    """Average loss and metrics over batches, in evaluation mode."""
    totals = Totals()
    training = getattr(model, "training", True)
    model.eval()
    try:
        for x, y in batches:
            predictions = model.forward(x)
            totals.add(len(x), {"loss": loss(predictions, y)[0],
                                **measure(metrics, predictions, y)})
    finally:
        if training:
            model.train()
    return totals.means()


def fit_model(
    model: Any,
    *,
    step: Callable[[Array, Array, dict[str, Any], float], StepResult],
    batches: Callable[[], Iterable[tuple[Array, Array]]],
    evaluate: Callable[[Array, Array], dict[str, float]],
    optimizer: Optimizer,
    learning_rate: float | Callable[[int], float],
    epochs: int,
    validation: Sequence[Array] | None,
    metrics: Metrics | None,
    early_stopping: EarlyStopping | None,
    callbacks: Sequence[Callable[[Run], Any]],
    progress: bool,
    history: History | None,
) -> History:
    """Train for some epochs: see `fit` of the tracks."""
    history = History() if history is None else history
    history.stopped = ""
    state = optimizer.init(model.params) if history.state is None else history.state
    line = ProgressLine(history.epochs + epochs) if progress else None
    training = getattr(model, "training", True)
    try:
        for epoch in range(history.epochs, history.epochs + epochs):
            started = time.perf_counter()
            totals, rate = Totals(), 0.0
            model.train()
            for x_batch, y_batch in batches():
                rate = _rate(learning_rate, history.step)
                result = step(x_batch, y_batch, state, rate)
                state = history.state = result.state
                history.step += 1
                totals.add(len(x_batch), {"loss": result.loss,
                                          **measure(metrics, result.predictions, y_batch)})
            entries = totals.means()
            if validation is not None:
                found = evaluate(*validation)
                entries |= {f"validation_{name}": value for name, value in found.items()}
            history.append(**entries, learning_rate=rate)
            history.seconds.append(time.perf_counter() - started)
            if line is not None:
                line.show(history.epochs, entries)
            run = Run(model, history, epoch, history.step, rate)
            history.stopped = _reason_to_stop(run, entries, early_stopping, callbacks)
            if history.stopped:
                break
    finally:
        if not training:
            model.eval()
        if line is not None:
            line.close()
    if early_stopping is not None:
        early_stopping.restore(model)
    return history


class Totals:
    """Running sums over batches of different sizes.

    Examples
    --------
    >>> totals = Totals()
    >>> totals.add(3, {"loss": 1.0})
    >>> totals.add(1, {"loss": 5.0})
    >>> totals.means()
    {'loss': 2.0}
    """

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._values: dict[str, list[Any]] = {}

    def add(self, n: int, values: Mapping[str, Any]) -> None:
        """Add the means over a batch of ``n`` examples."""
        self._sizes.append(n)
        for name, value in values.items():
            self._values.setdefault(name, []).append(value)

    def means(self) -> dict[str, float]:
        """Return the means over all examples."""
        # Only now to numbers: on a GPU every conversion waits for all work before it.
        found = {}
        for name, values in self._values.items():
            parts = [n * float(v) for n, v in zip(self._sizes, values, strict=True)]
            # fsum, because it does not depend on the order; it refuses inf - inf, sum does not.
            add = math.fsum if all(map(math.isfinite, parts)) else sum
            found[name] = add(parts) / sum(self._sizes)
        return found


def measure(metrics: Metrics | None, predictions: Array, y: Array) -> dict[str, float]:
    """Compute every metric on one batch."""
    return {name: metric(predictions, y) for name, metric in (metrics or {}).items()}


def check_fit(
    caller: str,
    model: Any,
    x: Array,
    y: Array,
    *,
    loss: Any,
    optimizer: Any,
    learning_rate: Any,
    epochs: Any,
    validation: Any,
    metrics: Any,
) -> None:
    """Check before the first step what would otherwise fail in the middle of training."""
    check_model(caller, model)
    check_examples(caller, x, y)
    check_loss(caller, loss, metrics)
    check_count(caller, "epochs", epochs)
    if not callable(learning_rate):
        check_number(caller, "learning_rate", learning_rate, above=0)
    if not (isinstance(optimizer, tuple) and len(optimizer) == 2 and all(map(callable, optimizer))):
        raise DtypeError(
            f"{caller}: optimizer must be a name or the pair (init, update), got "
            f"{optimizer!r}. get_optimizer('adam', beta1=0.8) makes one."
        )
    if validation is not None:
        if not isinstance(validation, tuple | list) or len(validation) != 2:
            raise DtypeError(
                f"{caller}: validation must be the pair (x, y), got {type(validation).__name__}."
            )
        x_part, y_part = validation
        check_examples(caller, x_part, y_part, names=("the validation x", "the validation y"))


def check_model(caller: str, model: Any) -> None:
    """Require what the loop calls."""
    missing = [name for name in ("params", "grads", "forward", "backward", "train", "eval")
               if not hasattr(model, name)]
    if missing:
        raise DtypeError(
            f"{caller}: model must have params, grads, forward, backward, train and eval, but "
            f"{type(model).__name__} lacks {', '.join(missing)}."
        )


def check_loss(caller: str, loss: Any, metrics: Any) -> None:
    """Require functions where functions belong."""
    if not callable(loss):
        raise DtypeError(
            f"{caller}: loss must be a function (predictions, y) -> (loss, gradient), got "
            f"{loss!r}."
        )
    if metrics is not None and not (
        isinstance(metrics, Mapping) and all(map(callable, metrics.values()))
    ):
        raise DtypeError(
            f"{caller}: metrics must be a dict from names to functions, got {metrics!r}. "
            f"For example {{'accuracy': accuracy}}."
        )


def check_examples(
    caller: str, x: Array, y: Array, names: tuple[str, str] = ("x", "y")
) -> None:
    """Require at least one example, and as many targets as examples."""
    for name, value in zip(names, (x, y), strict=True):
        if not hasattr(value, "shape") or len(value.shape) == 0:
            raise DtypeError(
                f"{caller}: {name} must be an array with one row for each example, got "
                f"{type(value).__name__}."
            )
    if len(x) != len(y):
        raise ShapeError(
            f"{caller}: {names[0]} and {names[1]} must have the same number of rows, got "
            f"{len(x)} and {len(y)}."
        )
    if len(x) == 0:
        raise ShapeError(f"{caller}: {names[0]} must have at least one row, got none.")


def _rate(learning_rate: float | Callable[[int], float], step: int) -> float:
    """Return the learning rate of a step."""
    if not callable(learning_rate):
        return float(learning_rate)
    rate = learning_rate(step)
    if not rate > 0:
        raise ValueError(
            f"fit: the schedule must return a number > 0 at step {step}, got {rate!r}. Does its "
            f"total_steps count all updates, batches times epochs?"
        )
    return float(rate)


def _reason_to_stop(
    run: Run,
    entries: dict[str, float],
    early_stopping: EarlyStopping | None,
    callbacks: Sequence[Callable[[Run], Any]],
) -> str:
    """Ask everyone who may end the training; all are asked, so that each sees every epoch."""
    reasons = []
    if not math.isfinite(entries["loss"]):
        # nan never becomes a number again: every further step would be wasted.
        reasons.append("the loss is not finite")
    if early_stopping is not None:
        default = "validation_loss" if "validation_loss" in entries else "loss"
        name = early_stopping.monitor or default
        if name not in entries:
            raise ValueError(
                f"fit: early_stopping must monitor one of {sorted(entries)}, got {name!r}."
            )
        if early_stopping.observe(entries[name], run.model):
            reasons.append(f"no better {name} for {early_stopping.waited} epochs")
    for callback in callbacks:
        if callback(run) is True:
            reasons.append(f"{getattr(callback, '__name__', type(callback).__name__)} said so")
    return "; ".join(reasons)
