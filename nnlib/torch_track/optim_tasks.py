"""Tasks around `torch.optim`: a loop that records its path, and groups of parameters."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nnlib.errors import check_choice, check_count, check_floats, check_number

__all__ = ["descent_path", "parameter_groups"]

_CLASSES = ("SGD", "Adagrad", "RMSprop", "Adam", "AdamW")


def descent_path(
    f: Callable[[Tensor], Tensor], start: Tensor, *, optimizer: str, steps: int, **options: Any
) -> Tensor:
    """Minimise a function with an optimizer of `torch.optim` and return every point on the way.

    Parameters
    ----------
    f : callable
        Takes a tensor like ``start`` and returns a tensor with one number.
    start : tensor of floats
        Left as it is.
    optimizer : "SGD", "Adagrad", "RMSprop", "Adam" or "AdamW"
        Name of a class in `torch.optim`.
    steps : int
        At least 0.
    **options
        Keyword arguments of that class, for example ``lr=0.1``.

    Returns
    -------
    path : tensor (steps + 1, *start.shape)
        The first row is ``start``. Records no gradients.

    Raises
    ------
    DtypeError, ValueError
        If ``start`` holds no floats, the name is unknown, or ``steps`` is no integer >= 0.

    References
    ----------
    Chapter 8, "Optimizers".

    Examples
    --------
    >>> start = torch.tensor([1.0])
    >>> descent_path(lambda w: (w**2).sum(), start, optimizer="SGD", steps=2, lr=0.25).tolist()
    [[1.0], [0.5], [0.25]]
    """
    check_floats("descent_path", start=start)
    check_choice("descent_path", "optimizer", optimizer, _CLASSES)
    check_count("descent_path", "steps", steps)
    w = start.detach().clone().requires_grad_()
    rule = getattr(torch.optim, optimizer)([w], **options)
    path = [w.detach().clone()]
    for _ in range(steps):
        rule.zero_grad()
        f(w).backward()
        rule.step()
        path.append(w.detach().clone())
    return torch.stack(path)


def parameter_groups(model: nn.Module, *, weight_decay: float) -> list[dict[str, Any]]:
    """Split a model's parameters for an optimizer: matrices decay, vectors don't.

    Parameters
    ----------
    model : nn.Module
        Parameters that do not require gradients are left out.
    weight_decay : float
        At least 0.

    Returns
    -------
    groups : list of two dicts
        Each with ``"params"``, a list in the order of ``model.parameters()``, and
        ``"weight_decay"``. The first holds the parameters with two or more axes; the second those
        with fewer, such as biases and the factors of normalization, with a decay of 0.

    Raises
    ------
    ValueError
        If ``weight_decay`` is negative or not finite.

    References
    ----------
    Chapter 8, "Optimizers".

    Examples
    --------
    >>> groups = parameter_groups(nn.Linear(3, 2), weight_decay=0.1)
    >>> [(len(group["params"]), group["weight_decay"]) for group in groups]
    [(1, 0.1), (1, 0.0)]
    """
    check_number("parameter_groups", "weight_decay", weight_decay, low=0)
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
