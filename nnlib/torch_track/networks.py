"""Networks the PyTorch way: the layout of `nn.Linear`, modules in modules, probabilities out."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from nnlib.errors import ShapeError, check_floats, check_min_axes, check_shape

__all__ = [
    "DeepNet",
    "apply_linear",
    "class_probabilities",
    "count_trainable",
    "numpy_to_state_dict",
]


def apply_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute ``y = x @ weight.T + bias``, the layer of PyTorch's layout, for any leading shape.

    Parameters
    ----------
    x : tensor (..., d_in) of floats
    weight : tensor (d_out, d_in)
        One row for each output: the transpose of the course's ``w (d_in, d_out)``.
    bias : tensor (d_out,) or None

    Returns
    -------
    y : tensor (..., d_out)
        Gradients flow back to all three.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> apply_linear(torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 10.0]]), torch.tensor([0.5]))
    tensor([21.5000])
    """
    check_floats("apply_linear", x=x, weight=weight, bias=bias)
    check_shape("apply_linear", "weight", weight, ("d_out", "d_in"), "One row for each output.")
    check_min_axes("apply_linear", "x", x, 1)
    check_shape("apply_linear", "x", x, (*x.shape[:-1], weight.shape[1]),
                "The last axis holds the features.")
    y = x @ weight.T
    if bias is None:
        return y
    check_shape("apply_linear", "bias", bias, (weight.shape[0],), "One bias for each output.")
    return y + bias


def numpy_to_state_dict(
    params: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any] | None]]
) -> dict[str, Tensor]:
    """Turn the course's ``(w, b)`` into the state of ``nn.Sequential(Linear, ReLU, Linear, …)``.

    Parameters
    ----------
    params : sequence of (w, b)
        NumPy arrays ``w (d_in, d_out)`` and ``b (d_out,)``, or None for a layer without bias.

    Returns
    -------
    state : dict from name to tensor
        ``"0.weight" (d_out, d_in)``, ``"0.bias" (d_out,)``, ``"2.weight"``, …; the odd places
        are ReLUs, which have no state. dtypes are kept.

    Raises
    ------
    ShapeError
        If ``params`` is empty or an array has the wrong shape.
    DtypeError
        If an array does not hold floats, or the dtypes differ.

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> import numpy as np
    >>> state = numpy_to_state_dict([(np.zeros((2, 3)), np.zeros(3)), (np.ones((3, 1)), None)])
    >>> {name: tuple(value.shape) for name, value in state.items()}
    {'0.weight': (3, 2), '0.bias': (3,), '2.weight': (1, 3)}
    """
    if len(params) == 0:
        raise ShapeError("numpy_to_state_dict: params must hold at least one (w, b), got none.")
    state = {}
    for layer, (w, b) in enumerate(params):
        check_floats("numpy_to_state_dict", **{f"w of layer {layer}": w, f"b of layer {layer}": b})
        check_shape("numpy_to_state_dict", f"w of layer {layer}", w, ("d_in", "d_out"))
        # A copy: training the network must not change the caller's arrays.
        state[f"{2 * layer}.weight"] = torch.from_numpy(w.T.copy())
        if b is not None:
            check_shape("numpy_to_state_dict", f"b of layer {layer}", b, (w.shape[1],))
            state[f"{2 * layer}.bias"] = torch.from_numpy(b.copy())
    return state


class DeepNet(nn.Module):
    """A multi-layer perceptron whose linear layers stand in a list.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, of units in each hidden layer, and of outputs.

    Raises
    ------
    ShapeError
        If there are fewer than two sizes.

    Notes
    -----
    ``layers`` is an `nn.ModuleList`. A plain Python list would hide the layers from
    `parameters`, `to` and `state_dict`.

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> net = DeepNet((4, 8, 3))
    >>> net(torch.zeros((2, 5, 4))).shape, len(list(net.parameters()))
    (torch.Size([2, 5, 3]), 4)
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        if len(sizes) < 2:
            raise ShapeError(
                f"DeepNet: sizes must hold at least inputs and outputs, got {list(sizes)}."
            )
        self.layers = nn.ModuleList(
            nn.Linear(d_in, d_out) for d_in, d_out in itertools.pairwise(sizes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (..., d_in)`` to scores ``(..., d_out)``; ReLU between the layers."""
        *hidden, last = self.layers
        for layer in hidden:
            x = layer(x).relu()
        y: Tensor = last(x)
        return y


def count_trainable(model: nn.Module) -> int:
    """Count the numbers that an optimiser may change.

    Parameters
    ----------
    model : nn.Module
        Frozen parameters (``requires_grad`` is False) and buffers don't count.

    Returns
    -------
    int

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> count_trainable(nn.Linear(784, 10))
    7850
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def class_probabilities(model: nn.Module, x: Tensor) -> Tensor:
    """Ask a model for probabilities: evaluation mode, no gradients, softmax over the last axis.

    Parameters
    ----------
    model : nn.Module
        ``model(x)`` gives logits ``(..., k)``. Afterwards it is in the mode it had.
    x : tensor

    Returns
    -------
    p : tensor (..., k)
        Sums to 1 along the last axis; requires no gradients.

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> model = nn.Sequential(nn.Dropout(0.5), nn.Flatten())
    >>> class_probabilities(model, torch.zeros((1, 2))), model.training
    (tensor([[0.5000, 0.5000]]), True)
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return torch.softmax(model(x), dim=-1)
    finally:
        model.train(was_training)
