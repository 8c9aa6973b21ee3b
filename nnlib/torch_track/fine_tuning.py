"""The loop around `fine_tune_step`, and the examples to start from."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nnlib.errors import check_count
from nnlib.torch_track.augmentation import random_shift
from nnlib.torch_track.transfer import fine_tune_step

__all__ = ["draw_per_class", "train_steps"]


def train_steps(
    model: nn.Module, groups: Sequence[dict[str, Any]], x: Tensor, y: Tensor, *, steps: int,
    batch_size: int, seed: int, shift: int = 0, step: Callable[..., Any] = fine_tune_step,
) -> nn.Module:
    """Take steps with Adam on shuffled batches, at rates that fall along a cosine to 0.

    Parameters
    ----------
    model : nn.Module
        Changed in place. Afterwards in evaluation mode.
    groups : list of dicts
        For the optimizer; each with "params" and "lr".
    x, y : tensors with n rows
    steps, batch_size : int
        At least 1.
    seed : int
        Of the shuffling and the shifts.
    shift : int
        Pixels by which each image of a batch is moved at random; what comes in has the smallest
        value of x.
    step : callable
        ``step(model, optimizer, x_batch, y_batch)``.

    Returns
    -------
    nn.Module
        The model.

    References
    ----------
    Chapter 15, "Transfer".

    Examples
    --------
    >>> model, x = nn.Linear(1, 2), torch.linspace(-1, 1, 40)[:, None]
    >>> groups = [{"params": model.parameters(), "lr": 0.1}]
    >>> _ = train_steps(model, groups, x, (x[:, 0] > 0).long(), steps=60, batch_size=8, seed=0)
    >>> bool(model(x).argmax(dim=1).eq(x[:, 0] > 0).float().mean() > 0.9)
    True
    """
    check_count("train_steps", "steps", steps, minimum=1)
    check_count("train_steps", "batch_size", batch_size, minimum=1)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(groups, fused=True)  # one loop in C for all parameters
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    low, order = x.min(), torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(order) < min(batch_size, len(x)):
            order = torch.randperm(len(x), generator=generator)  # a new epoch
        rows, order = order[:batch_size], order[batch_size:]
        batch = x[rows]
        if shift:  # zeros come in: let the ground be zero
            batch = low + random_shift(batch - low, max_shift=shift, training=True, rng=generator)
        step(model, optimizer, batch, y[rows])
        schedule.step()
    return model.eval()


def draw_per_class(
    labels: npt.NDArray[Any], rows: npt.NDArray[Any], count: int, *, seed: int
) -> npt.NDArray[Any]:
    """Draw ``count`` examples of every class, from some rows of a data set.

    Parameters
    ----------
    labels : ndarray (n,)
        Of the whole set.
    rows : ndarray (m,)
        Numbers of the rows that may be drawn.
    count : int
    seed : int

    Returns
    -------
    ndarray (count * classes,)
        Row numbers; those for a smaller count begin the same way within each class.

    Examples
    --------
    >>> labels = np.array([0, 1, 0, 1, 0, 1])
    >>> sorted(labels[draw_per_class(labels, np.arange(6), 2, seed=0)].tolist())
    [0, 0, 1, 1]
    """
    order = np.random.default_rng(seed).permutation(rows)
    return np.concatenate([order[labels[order] == k][:count] for k in np.unique(labels)])
