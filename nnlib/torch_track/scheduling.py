"""Schedules and clipping the PyTorch way: schedulers, parameter groups, a range test, resuming."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from nnlib.errors import check_count, check_number

__all__ = [
    "ResumableRun",
    "clipped_step",
    "learning_rate_range_test",
    "train_body_and_head",
    "train_with_schedule",
]

Batches = Iterable[tuple[Tensor, Tensor]]
LossFunction = Callable[[Tensor, Tensor], Tensor]


def train_with_schedule(
    model: nn.Module,
    batches: Batches,
    loss_fn: LossFunction,
    schedule: Callable[[int], float],
    *,
    learning_rate: float,
    epochs: int,
) -> list[float]:
    """Train with SGD whose learning rate is ``learning_rate * schedule(step)``.

    Parameters
    ----------
    model : nn.Module
        Trained in place.
    batches : iterable of (x, y)
        One epoch; visited ``epochs`` times.
    loss_fn : callable
        ``loss_fn(model(x), y)``, a mean over the rows.
    schedule : callable
        ``schedule(step)`` is a factor; steps count updates from 0, through all epochs.
    learning_rate : float
        Positive.
    epochs : int

    Returns
    -------
    list of float
        The learning rate that each update used.

    Raises
    ------
    ValueError
        If ``learning_rate`` is not positive or ``epochs`` is negative.

    References
    ----------
    Chapter 9, "Schedules".

    Examples
    --------
    >>> model = nn.Linear(2, 1)
    >>> batches = [(torch.ones(4, 2), torch.ones(4, 1))] * 2
    >>> rates = train_with_schedule(model, batches, nn.MSELoss(), lambda step: 0.5**step,
    ...                             learning_rate=0.8, epochs=2)
    >>> [round(rate, 3) for rate in rates]
    [0.8, 0.4, 0.2, 0.1]
    """
    caller = "train_with_schedule"
    check_number(caller, "learning_rate", learning_rate, above=0)
    check_count(caller, "epochs", epochs)
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    scheduler = lr_scheduler.LambdaLR(optimizer, schedule)
    rates: list[float] = []
    for _ in range(epochs):
        for x, y in batches:
            rates.append(float(scheduler.get_last_lr()[0]))
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
            scheduler.step()
    return rates


def clipped_step(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    loss_fn: LossFunction,
    *,
    learning_rate: float,
    max_norm: float,
) -> float:
    """Make one SGD step whose gradient, all parameters together, is no longer than ``max_norm``.

    Parameters
    ----------
    model : nn.Module
        Changed in place, unless the norm is not finite: then it stays as it is.
    x, y : tensors
        A mini-batch.
    loss_fn : callable
    learning_rate, max_norm : float
        Positive.

    Returns
    -------
    float
        The norm before clipping.

    Raises
    ------
    ValueError
        If ``learning_rate`` or ``max_norm`` is not positive.

    References
    ----------
    Chapter 9, "Schedules".

    Examples
    --------
    >>> model = nn.Linear(1, 1, bias=False)
    >>> nn.init.ones_(model.weight)
    Parameter containing:
    tensor([[1.]], requires_grad=True)
    >>> clipped_step(model, torch.ones(1, 1), torch.full((1, 1), 3.0), nn.MSELoss(),
    ...              learning_rate=0.5, max_norm=1.0)
    4.0
    >>> round(model.weight.item(), 4)
    1.5
    """
    caller = "clipped_step"
    check_number(caller, "learning_rate", learning_rate, above=0)
    check_number(caller, "max_norm", max_norm, above=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    optimizer.zero_grad()
    loss_fn(model(x), y).backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    if torch.isfinite(norm):
        optimizer.step()
    return norm.item()


def train_body_and_head(
    model: nn.Module,
    batches: Batches,
    loss_fn: LossFunction,
    *,
    body_learning_rate: float,
    head_learning_rate: float,
    warmup_steps: int,
) -> list[tuple[float, float]]:
    """Train ``model.body`` with a warm-up and ``model.head`` at once, each at its own rate.

    The body's rate at step ``k`` is ``body_learning_rate * min(1, (k + 1) / (warmup_steps + 1))``.

    Parameters
    ----------
    model : nn.Module
        Has the modules ``body`` and ``head``; trained in place with SGD.
    batches : iterable of (x, y)
    loss_fn : callable
    body_learning_rate, head_learning_rate : float
        Positive.
    warmup_steps : int

    Returns
    -------
    list of (float, float)
        The rates of body and head that each update used.

    Raises
    ------
    ValueError
        If a rate is not positive or ``warmup_steps`` is negative.

    References
    ----------
    Chapter 9, "Schedules".

    Examples
    --------
    >>> model = nn.Sequential()
    >>> model.add_module("body", nn.Linear(2, 2))
    >>> model.add_module("head", nn.Linear(2, 1))
    >>> batches = [(torch.ones(4, 2), torch.ones(4, 1))] * 3
    >>> train_body_and_head(model, batches, nn.MSELoss(), body_learning_rate=0.25,
    ...                     head_learning_rate=0.5, warmup_steps=1)
    [(0.125, 0.5), (0.25, 0.5), (0.25, 0.5)]
    """
    caller = "train_body_and_head"
    check_number(caller, "body_learning_rate", body_learning_rate, above=0)
    check_number(caller, "head_learning_rate", head_learning_rate, above=0)
    check_count(caller, "warmup_steps", warmup_steps)
    optimizer = torch.optim.SGD([
        {"params": model.body.parameters(), "lr": body_learning_rate},  # type: ignore[union-attr]
        {"params": model.head.parameters(), "lr": head_learning_rate},  # type: ignore[union-attr]
    ])
    scheduler = lr_scheduler.LambdaLR(
        optimizer, [lambda step: min(1.0, (step + 1) / (warmup_steps + 1)), lambda step: 1.0])
    rates = []
    for x, y in batches:
        body, head = scheduler.get_last_lr()
        rates.append((float(body), float(head)))
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()
        scheduler.step()
    return rates


def learning_rate_range_test(
    model: nn.Module,
    batches: Sequence[tuple[Tensor, Tensor]],
    loss_fn: LossFunction,
    *,
    low: float,
    high: float,
) -> tuple[list[float], list[float]]:
    """Train one SGD step a batch, at rates from ``low`` to ``high``, then undo it all.

    Parameters
    ----------
    model : nn.Module
        Afterwards its parameters and buffers are what they were.
    batches : sequence of (x, y)
        At least 2, one for each rate.
    loss_fn : callable
    low, high : float
        ``0 < low < high``: the rates of the first and the last batch. Each rate is the same factor
        larger than the one before.

    Returns
    -------
    rates : list of float
    losses : list of float
        The loss of each batch before its update. The first loss that is not finite ends the test;
        it and its rate are left out.

    Raises
    ------
    ValueError
        If a rate is out of range or there are fewer than two batches.

    References
    ----------
    Chapter 9, "Schedules".

    Examples
    --------
    >>> batches = [(torch.ones(4, 2), torch.ones(4, 1))] * 3
    >>> rates, losses = learning_rate_range_test(nn.Linear(2, 1), batches, nn.MSELoss(),
    ...                                          low=0.01, high=1.0)
    >>> [round(rate, 4) for rate in rates], len(losses)
    ([0.01, 0.1, 1.0], 3)
    """
    caller = "learning_rate_range_test"
    check_number(caller, "low", low, above=0)
    check_number(caller, "high", high, above=low)
    check_count(caller, "the number of batches", len(batches), minimum=2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=low)
    growth = (high / low) ** (1 / (len(batches) - 1))
    scheduler = lr_scheduler.ExponentialLR(optimizer, growth)
    rates: list[float] = []
    losses: list[float] = []
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        if not torch.isfinite(loss):
            break
        rates.append(float(scheduler.get_last_lr()[0]))
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        scheduler.step()
    model.load_state_dict(before)
    return rates, losses


class ResumableRun:
    """Fit ``x @ w`` to targets by SGD with momentum 0.9 and a cosine schedule; can be resumed.

    Parameters
    ----------
    w : tensor (d, k) of floats
        Where to start. The caller's tensor stays as it is.
    learning_rate : float
        Positive. The rate of the first update.
    total_steps : int
        The cosine reaches 0 after so many updates.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Chapter 9, "Schedules".

    Examples
    --------
    >>> run = ResumableRun(torch.zeros(1, 1), learning_rate=0.5, total_steps=2)
    >>> run.step(torch.ones(1, 1), torch.ones(1, 1)), run.weights().item()
    (1.0, 1.0)
    >>> other = ResumableRun(torch.zeros(1, 1), learning_rate=0.5, total_steps=2)
    >>> other.load_state_dict(run.state_dict())
    >>> round(other.learning_rate(), 4), other.weights().item()
    (0.25, 1.0)
    """

    def __init__(self, w: Tensor, *, learning_rate: float, total_steps: int) -> None:
        check_number("ResumableRun", "learning_rate", learning_rate, above=0)
        check_count("ResumableRun", "total_steps", total_steps, minimum=1)
        self.w = w.detach().clone().requires_grad_()
        self.optimizer = torch.optim.SGD([self.w], lr=learning_rate, momentum=0.9)
        self.scheduler = lr_scheduler.CosineAnnealingLR(self.optimizer, total_steps)

    def step(self, x: Tensor, y: Tensor) -> float:
        """Make one update and return the mean squared error before it."""
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(x @ self.w, y)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    def learning_rate(self) -> float:
        """Return the rate of the next update."""
        return float(self.scheduler.get_last_lr()[0])

    def weights(self) -> Tensor:
        """Return a copy of the weights that records nothing."""
        return self.w.detach().clone()

    def state_dict(self) -> dict[str, Any]:
        """Return all that a new run needs to go on: plain data and tensors."""
        return {"w": self.weights(), "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of another run."""
        with torch.no_grad():
            self.w.copy_(state["w"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
