"""The forms that PyTorch programs use: modules that own parameters, and autograd functions.

The rest of this track writes every backward by hand. Here torch's autograd does that work, or is
told by a `torch.autograd.Function` how to.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnlib.contract.caches import LinearCache, ReluCache
from nnlib.errors import ShapeError, check_count
from nnlib.torch_track.activations import relu_backward, relu_forward
from nnlib.torch_track.dense import linear_backward, linear_forward

__all__ = ["MLP", "LinearFunction", "Neuron", "ReLUFunction"]


class Neuron(nn.Module):
    """One neuron: ``y = activation(x @ w + b)``.

    Parameters
    ----------
    d_in : int
        Number of inputs.
    activation : callable
        From a tensor to a tensor, element by element.

    Notes
    -----
    ``forward`` maps ``x (n, d_in)`` to ``y (n,)``. A step has derivative 0 wherever it has one,
    so a neuron that learns by gradients gets a smooth activation.

    References
    ----------
    Chapter 1, "Neurons".

    Examples
    --------
    >>> Neuron(3)(torch.zeros((5, 3))).shape
    torch.Size([5])
    """

    def __init__(
        self, d_in: int, *, activation: Callable[[Tensor], Tensor] = torch.sigmoid
    ) -> None:
        super().__init__()
        check_count("Neuron", "d_in", d_in, minimum=1)
        self.linear = nn.Linear(d_in, 1)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (n, d_in)`` to ``y (n,)``."""
        # squeeze(1), not squeeze(): a batch of one must stay a batch.
        return self.activation(self.linear(x).squeeze(1))


class MLP(nn.Module):
    """A multi-layer perceptron: linear layers with ReLU between them.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, of units in each hidden layer, and of outputs.

    References
    ----------
    Chapter 1, "Neurons"; chapter 3, "The forward pass".

    Examples
    --------
    >>> MLP((784, 128, 10))(torch.zeros((5, 784))).shape
    torch.Size([5, 10])
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        if len(sizes) < 2:
            raise ShapeError(
                f"MLP: sizes must hold at least inputs and outputs, got {list(sizes)}."
            )
        layers: list[nn.Module] = []
        for d_in, d_out in itertools.pairwise(sizes):
            layers += [nn.Linear(d_in, d_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (n, d_in)`` to scores ``(n, d_out)``."""
        return self.layers(x)


class ReLUFunction(torch.autograd.Function):
    """ReLU with its own backward: call ``ReLUFunction.apply(x)``.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> x = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    >>> ReLUFunction.apply(x).sum().backward()
    >>> x.grad.tolist()
    [0.0, 0.0, 1.0]
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Compute ``max(x, 0)``."""
        y, cache = relu_forward(x)
        ctx.save_for_backward(*cache)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Turn the gradient of the output into that of the input."""
        (dy,) = grads
        return relu_backward(dy, ReluCache(*ctx.saved_tensors))


class LinearFunction(torch.autograd.Function):
    """A linear layer with its own backward: call ``LinearFunction.apply(x, w, b)``.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> x = torch.ones((2, 3))
    >>> w, b = torch.ones((3, 1), requires_grad=True), torch.zeros(1, requires_grad=True)
    >>> LinearFunction.apply(x, w, b).sum().backward()
    >>> w.grad.tolist(), b.grad.tolist()
    ([[2.0], [2.0], [2.0]], [2.0])
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        """Compute ``x @ w + b``."""
        y, cache = linear_forward(x, w, b)
        ctx.save_for_backward(*cache)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Turn the gradient of the output into those of the inputs."""
        (dy,) = grads
        return tuple(linear_backward(dy, LinearCache(*ctx.saved_tensors)))
