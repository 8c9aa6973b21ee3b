"""Backpropagation the PyTorch way: own functions, vector-Jacobian products, accumulation."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nnlib.errors import (
    check_count,
    check_floats,
    check_number,
    check_shape,
)

__all__ = [
    "SquaredReLU",
    "accumulate_gradients",
    "gradient_step",
    "gradients_agree",
    "vjp",
]


class SquaredReLU(torch.autograd.Function):
    """Compute ``y = max(x, 0)^2`` with its own backward ``dx = dy * 2 max(x, 0)``.

    Notes
    -----
    The derivative is continuous: at 0 both sides give 0.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> x = torch.tensor([-1.0, 3.0], requires_grad=True)
    >>> y = SquaredReLU.apply(x)
    >>> y.sum().backward()
    >>> y.tolist(), x.grad.tolist()
    ([0.0, 9.0], [0.0, 6.0])
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Save what the backward needs and return ``y``, of the shape of ``x``."""
        positive = x.clamp(min=0)
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Return ``dx``, of the shape of ``dy``."""
        (positive,) = ctx.saved_tensors
        return 2 * positive * dy


def vjp(f: Callable[[Tensor], Tensor], x: Tensor, dy: Tensor) -> Tensor:
    """Compute ``dx_i = sum_j dy_j * df_j/dx_i`` with autograd; ``x`` stays as it is.

    Parameters
    ----------
    f : callable
        Takes a tensor of the shape of ``x``.
    x : tensor of floats, any shape
        Its ``requires_grad`` and ``.grad`` are left alone.
    dy : tensor, shape of ``f(x)``
        Upstream gradient.

    Returns
    -------
    dx : tensor, shape of ``x``
        Without a graph behind it.

    Raises
    ------
    ShapeError
        If ``dy`` has another shape than ``f(x)``.
    DtypeError
        If ``x`` holds no floats.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> vjp(lambda x: x**2, torch.tensor([1.0, 3.0]), torch.tensor([1.0, 10.0])).tolist()
    [2.0, 60.0]
    """
    check_floats("vjp", x=x)
    leaf = x.detach().requires_grad_()
    y = f(leaf)
    check_shape("vjp", "dy", dy, tuple(y.shape), "It must have the shape of f(x).")
    (dx,) = torch.autograd.grad(y, leaf, grad_outputs=dy)
    return dx


def gradients_agree(f: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    """Tell whether the gradient of ``f`` at ``x`` agrees with central differences in float64.

    Parameters
    ----------
    f : callable
        Takes a tensor of the shape of ``x``, keeps its dtype.
    x : tensor of floats, any shape
        Converted to float64; itself left alone.

    Returns
    -------
    bool
        False where they disagree, never an exception for it.

    Raises
    ------
    DtypeError
        If ``x`` holds no floats.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> gradients_agree(torch.tanh, torch.tensor([0.5, -1.0]))
    True
    >>> gradients_agree(lambda x: x * x.detach(), torch.tensor([0.5, -1.0]))
    False
    """
    check_floats("gradients_agree", x=x)
    leaf = x.detach().to(torch.float64).requires_grad_()
    return bool(torch.autograd.gradcheck(f, (leaf,), raise_exception=False))


def accumulate_gradients(
    model: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    micro_batch_size: int,
) -> float:
    """Fill ``.grad`` with the gradient of the mean loss, a few rows at a time.

    Parameters
    ----------
    model : torch.nn.Module
    loss_fn : callable
        ``loss_fn(model(rows), targets)`` is the mean loss of these rows.
    x : tensor (n, ...)
    y : tensor (n, ...)
    micro_batch_size : int
        Rows that go through the model at once; the last piece may be smaller.

    Returns
    -------
    float
        The mean loss over all n rows.

    Raises
    ------
    ShapeError
        If ``y`` does not have n rows.
    ValueError
        If there are no rows, or ``micro_batch_size`` is less than 1.

    Notes
    -----
    The mean over n rows is the sum of the pieces' means, each weighted by its share of the
    rows. Earlier gradients are dropped. The graph of a piece is freed before the next begins,
    so memory is that of one piece.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.ones_(model.weight)
    >>> x = torch.tensor([[1.0], [2.0], [3.0]])
    >>> loss = accumulate_gradients(model, nn.functional.mse_loss, x, 0 * x, micro_batch_size=2)
    >>> round(loss, 4)
    4.6667
    >>> round(model.weight.grad.item(), 4)
    9.3333
    """
    check_count("accumulate_gradients", "micro_batch_size", micro_batch_size, minimum=1)
    n = len(x)
    if n == 0:
        raise ValueError("accumulate_gradients: x must have at least one row, got none.")
    check_shape("accumulate_gradients", "y", y, (n, *y.shape[1:]), "One target for each row of x.")
    model.zero_grad()
    mean_loss = 0.0
    for rows, targets in zip(x.split(micro_batch_size), y.split(micro_batch_size), strict=True):
        loss = loss_fn(model(rows), targets) * (len(rows) / n)
        loss.backward()
        mean_loss += loss.item()
    return mean_loss


def gradient_step(
    params: Mapping[str, Tensor],
    loss_fn: Callable[[Mapping[str, Tensor]], Tensor],
    *,
    learning_rate: float,
) -> tuple[dict[str, Tensor], float]:
    """Take one step of gradient descent, ``p - learning_rate * dp``, without changing ``params``.

    Parameters
    ----------
    params : dict from name to tensor
        Leaves that require gradients.
    loss_fn : callable
        Takes ``params``, returns the loss as a tensor ().
    learning_rate : float
        Positive.

    Returns
    -------
    new_params : dict from name to tensor
        New leaves that require gradients. No graph connects them with the old ones.
    loss : float
        The loss before the step.

    Raises
    ------
    ValueError
        If ``learning_rate`` is not positive.

    Notes
    -----
    The update is computed under ``torch.no_grad``. Recorded, it would chain every step to the
    one before, and memory would grow with the number of steps.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> params = {"w": torch.tensor(3.0, requires_grad=True)}
    >>> new_params, loss = gradient_step(params, lambda p: p["w"] ** 2, learning_rate=0.1)
    >>> round(new_params["w"].item(), 4), loss
    (2.4, 9.0)
    """
    check_number("gradient_step", "learning_rate", learning_rate, above=0)
    loss = loss_fn(params)
    grads = torch.autograd.grad(loss, list(params.values()))
    with torch.no_grad():
        moved = {
            name: value - learning_rate * grad
            for (name, value), grad in zip(params.items(), grads, strict=True)
        }
    return {name: value.requires_grad_() for name, value in moved.items()}, loss.item()
