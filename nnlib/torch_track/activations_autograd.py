"""Activations the PyTorch way: a learnable one, a stable branch, gradients, a watching module."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nnlib.errors import (
    check_count,
    check_floats,
    check_labels,
    check_number,
    check_shape,
)

__all__ = [
    "ActivityMonitor",
    "LearnableSwish",
    "gradient_norms",
    "log_probability",
    "stable_elu",
]


class LearnableSwish(nn.Module):
    """Compute ``y = x * sigmoid(beta * x)`` with one learned ``beta`` for each feature.

    Parameters
    ----------
    num_features : int
        Size of the last axis of the input. ``beta (num_features,)`` starts at 1, where the
        function is SiLU. At 0 it is the straight line ``x / 2``, for large values ReLU.

    References
    ----------
    Chapter 2, "Activations". P. Ramachandran, B. Zoph and Q. V. Le, "Searching for activation
    functions", 2017.

    Examples
    --------
    >>> swish = LearnableSwish(2)
    >>> swish(torch.tensor([[1.0, -1.0]])).detach().numpy().round(4).tolist()
    [[0.7311000227928162, -0.2689000070095062]]
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        check_count("LearnableSwish", "num_features", num_features, minimum=1)
        self.beta = nn.Parameter(torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``y``, of the shape of ``x (..., num_features)``."""
        return x * torch.sigmoid(self.beta * x)


def stable_elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Compute ELU with autograd, finite in value and gradient for every finite ``x``.

    Parameters
    ----------
    x : tensor of floats, any shape
    alpha : float
        The negative side approaches ``-alpha``.

    Returns
    -------
    y : tensor, shape and dtype of ``x``
        ``x`` where ``x > 0``, else ``alpha * (exp(x) - 1)``. Gradients flow back to ``x``.

    Raises
    ------
    DtypeError
        If ``x`` holds no floats.
    ValueError
        If ``alpha`` is no finite number.

    Notes
    -----
    ``torch.where`` evaluates both branches, and its backward multiplies the gradient of the
    branch not taken by 0. For large ``x`` that branch is ``exp(x) = inf``, and ``0 * inf`` is
    nan. So the exponential gets an input that never is positive.

    References
    ----------
    Chapter 2, "Activations".

    Examples
    --------
    >>> x = torch.tensor([-1.0, 1e4], requires_grad=True)
    >>> stable_elu(x).sum().backward()
    >>> x.grad.numpy().round(4).tolist()
    [0.367900013923645, 1.0]
    """
    check_floats("stable_elu", x=x)
    check_number("stable_elu", "alpha", alpha)
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


def gradient_norms(
    layers: Sequence[Callable[[Tensor], Tensor]], x: Tensor, dy: Tensor
) -> list[float]:
    """Return the length of the gradient with respect to the input of each layer.

    Parameters
    ----------
    layers : sequence of callables
        Applied one after the other, at least one.
    x : tensor of floats
        Input of the first layer; left as it is.
    dy : tensor
        Gradient with respect to the output of the last layer, of its shape.

    Returns
    -------
    list of float
        Frobenius norms, first layer first.

    Raises
    ------
    ValueError
        If there are no layers.
    ShapeError
        If ``dy`` does not have the shape of the output.
    DtypeError
        If ``x`` holds no floats.

    References
    ----------
    Chapter 2, "Activations", section "Through twenty layers".

    Examples
    --------
    >>> double = lambda h: 2 * h
    >>> gradient_norms([double, double], torch.ones(1, 1), torch.ones(1, 1))
    [4.0, 2.0]
    """
    check_floats("gradient_norms", x=x)
    if not len(layers):
        raise ValueError("gradient_norms: layers must hold at least one layer, got none.")
    values = [x.detach().requires_grad_()]
    for layer in layers:
        values.append(layer(values[-1]))
    check_shape("gradient_norms", "dy", dy, tuple(values[-1].shape), "It is that of the output.")
    grads = torch.autograd.grad(values[-1], values[:-1], grad_outputs=dy)
    return [grad.norm().item() for grad in grads]


class ActivityMonitor(nn.Module):
    """Pass the outputs of a layer through and remember which units have ever been positive.

    Parameters
    ----------
    num_features : int
        Number of units. The buffer ``alive (num_features,)`` is True for those that were
        positive at least once since the start or the last `reset`.

    Notes
    -----
    A buffer moves with ``to`` and is saved with the model, but no optimiser trains it.

    References
    ----------
    Chapter 2, "Activations", section "Dead units".

    Examples
    --------
    >>> monitor = ActivityMonitor(3)
    >>> _ = monitor(torch.tensor([[0.0, 2.0, 0.0]]))
    >>> _ = monitor(torch.tensor([[0.0, 0.0, 1.0]]))
    >>> monitor.dead(), monitor.alive.tolist()
    (1, [False, True, True])
    """

    alive: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        check_count("ActivityMonitor", "num_features", num_features, minimum=1)
        self.register_buffer("alive", torch.zeros(num_features, dtype=torch.bool))

    def forward(self, h: Tensor) -> Tensor:
        """Return ``h (n, num_features)`` as it is."""
        check_shape("ActivityMonitor", "h", h, ("n", self.alive.shape[0]), "Rows are examples.")
        self.alive |= (h > 0).any(dim=0)
        return h

    def dead(self) -> int:
        """Return how many units have never been positive."""
        return int((~self.alive).sum())

    def reset(self) -> None:
        """Forget everything seen so far."""
        self.alive.zero_()


def log_probability(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the log-probability that softmax gives to each label; axis 1 holds the classes.

    Parameters
    ----------
    scores : tensor (n, k, ...) of floats
        One score for each class, for each example or each pixel of it.
    labels : tensor (n, ...) of integers
        Class numbers from 0.

    Returns
    -------
    tensor (n, ...)
        At most 0. Gradients flow back to ``scores``.

    Raises
    ------
    ShapeError
        If ``labels`` does not have the shape of ``scores`` without axis 1.
    DtypeError
        If ``scores`` holds no floats or ``labels`` no integers.
    ValueError
        If a label is not a class number.

    Notes
    -----
    The logarithm of a probability that has rounded to 0 would be -inf; ``log_softmax`` never
    forms the probability.

    References
    ----------
    Chapter 2, "Activations", section "Softmax".

    Examples
    --------
    >>> scores = torch.tensor([[0.0, 0.0], [0.0, -1e4]])
    >>> log_probability(scores, torch.tensor([0, 1])).numpy().round(4).tolist()
    [-0.6930999755859375, -10000.0]
    """
    check_floats("log_probability", scores=scores)
    check_shape("log_probability", "scores", scores,
                ("n", "k", *(str(size) for size in scores.shape[2:])), "Axis 1 is the classes.")
    check_shape("log_probability", "labels", labels, (scores.shape[0], *scores.shape[2:]))
    check_labels("log_probability", labels.flatten(), scores.shape[1])
    logs = torch.log_softmax(scores, dim=1)
    return logs.gather(1, labels.unsqueeze(1)).squeeze(1)
