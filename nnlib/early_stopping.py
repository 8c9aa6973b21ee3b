"""Early stopping: stop when the validation loss no longer gets better, and go back to the best."""

import copy
import math
from typing import Any

from nnlib.errors import check_choice, check_count, check_number

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Watch one value over the epochs, keep the best weights, and say when to stop.

    Parameters
    ----------
    patience : int
        At least 1. Stop when this many epochs in a row brought nothing better.
    min_delta : float
        At least 0. Better means better by more than this.
    mode : "min" or "max"
        Whether smaller or larger is better: "min" for a loss, "max" for an accuracy.
    monitor : str or None
        Name of the value in `History` that `fit` watches; None takes "validation_loss" where
        there is a validation part, else "loss".

    Attributes
    ----------
    best : float
        Best value so far; infinity of the bad sign before the first.
    best_epoch : int or None
        Number of the epoch of the best value, from 0.
    waited : int
        Epochs in a row without a better value.

    Notes
    -----
    nan is never better. The weights are copied whenever there is a better value, with
    ``model.state_dict()`` where the model has one (running statistics included), else
    ``model.params``.

    References
    ----------
    Chapter 10, "Regularization". L. Prechelt, "Early stopping, but when?", in "Neural networks:
    tricks of the trade", 1998.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> model, stopping = SimpleNamespace(params={"w": 0}), EarlyStopping(patience=2)
    >>> for epoch, loss in enumerate([0.9, 0.5, 0.6, 0.7, 0.4]):
    ...     model.params = {"w": epoch}
    ...     if stopping.observe(loss, model):
    ...         break
    >>> epoch, stopping.best
    (3, 0.5)
    >>> stopping.restore(model)
    >>> model.params
    {'w': 1}
    """

    def __init__(
        self,
        *,
        patience: int = 10,
        min_delta: float = 0.0,
        mode: str = "min",
        monitor: str | None = None,
    ) -> None:
        check_count("EarlyStopping", "patience", patience, minimum=1)
        check_number("EarlyStopping", "min_delta", min_delta, low=0)
        check_choice("EarlyStopping", "mode", mode, ("min", "max"))
        self.patience, self.min_delta, self.mode = patience, float(min_delta), mode
        self.monitor = monitor
        self.best = math.inf if mode == "min" else -math.inf
        self.best_epoch: int | None = None
        self.waited = 0
        self._epoch = 0
        self._weights: Any = None

    @property
    def best_weights(self) -> Any:
        """The weights at the best value; None before there is one."""
        return self._weights

    def observe(self, value: float, model: Any) -> bool:
        """Take note of one epoch's value and return True when it is time to stop.

        Parameters
        ----------
        value : float
        model : object with ``params``, or with ``state_dict`` and ``load_state_dict``
            Its weights are copied when ``value`` is the best so far.

        Returns
        -------
        bool
        """
        value = float(value)
        gain = self.best - value if self.mode == "min" else value - self.best
        if gain > self.min_delta:
            self.best, self.best_epoch, self.waited = value, self._epoch, 0
            self._weights = copy.deepcopy(_weights(model))
        else:
            self.waited += 1
        self._epoch += 1
        return self.waited >= self.patience

    def restore(self, model: Any) -> None:
        """Give the model the best weights; without any yet it keeps its own.

        Parameters
        ----------
        model : object with ``params``, or with ``state_dict`` and ``load_state_dict``
        """
        if self._weights is None:
            return
        weights = copy.deepcopy(self._weights)
        if _has_state_dict(model):
            model.load_state_dict(weights)
        else:
            model.params = weights

    def __repr__(self) -> str:
        return (f"EarlyStopping(patience={self.patience}, min_delta={self.min_delta}, "
                f"mode={self.mode!r}, best={self.best}, best_epoch={self.best_epoch})")


def _has_state_dict(model: Any) -> bool:
    return hasattr(model, "state_dict") and hasattr(model, "load_state_dict")


def _weights(model: Any) -> Any:
    return model.state_dict() if _has_state_dict(model) else model.params
