"""Neurons the PyTorch way: parameters, buffers, `no_grad`, and training with autograd.

`signed_distance` and `gate_neurons` are the twins of `nnlib.numpy_track.neurons`; the rest
exists in PyTorch only.
"""

import torch
from torch import Tensor, nn

from nnlib.errors import (
    check_count,
    check_floats,
    check_labels,
    check_number,
    check_shape,
)
from nnlib.torch_track.perceptron import gate_weights, xor_weights

__all__ = [
    "LinearNeuron",
    "XorNet",
    "append_ones",
    "gate_neurons",
    "perceptron_step",
    "predict_classes",
    "signed_distance",
    "train_logistic_neuron",
]

#: Gate name to ``(w, b)``: one valid choice among many.
gate_neurons: dict[str, tuple[Tensor, float]] = {
    name: gate_weights(name) for name in ("and", "or", "nand")
}


def signed_distance(x: Tensor, w: Tensor, b: float) -> Tensor:
    """Compute ``(x @ w + b) / norm(w)``, the distance of each row from the decision line.

    Parameters
    ----------
    x : tensor (n, d) of floats
    w : tensor (d,)
        Not zero: without a direction there is no line.
    b : float

    Returns
    -------
    r : tensor (n,)
        In the unit of ``x``; positive on the side to which ``w`` points.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError
        If a tensor holds no floats, or the dtypes differ.
    ValueError
        If ``w`` is zero.

    References
    ----------
    Chapter 1, "Neurons", section "The line that a neuron draws".

    Examples
    --------
    >>> signed_distance(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([3.0, 4.0]), -10.0)
    tensor([-2.,  3.])
    """
    check_floats("signed_distance", x=x, w=w)
    check_shape("signed_distance", "w", w, ("d",))
    check_shape("signed_distance", "x", x, ("n", w.shape[0]), "Rows are examples.")
    check_number("signed_distance", "b", b)
    length = (w * w).sum().sqrt()
    if not float(length) > 0:
        raise ValueError("signed_distance: w must not be zero, got zeros. "
                         "A zero vector has no direction: no line belongs to it.")
    return (x @ w + float(b)) / length


def append_ones(x: Tensor) -> Tensor:
    """Append a column of ones, ``(x, 1)``, so that the bias becomes one more weight.

    Parameters
    ----------
    x : tensor (n, d) of floats

    Returns
    -------
    tensor (n, d + 1)
        On the device and of the dtype of ``x``; gradients flow back to ``x``.

    Raises
    ------
    ShapeError
        If ``x`` does not have two axes.
    DtypeError
        If ``x`` is no tensor of floats.

    References
    ----------
    Chapter 1, "Neurons", section "Epoch after epoch".

    Examples
    --------
    >>> append_ones(torch.tensor([[2.0, 3.0]])).tolist()
    [[2.0, 3.0, 1.0]]
    """
    check_floats("append_ones", x=x)
    check_shape("append_ones", "x", x, ("n", "d"), "Rows are examples.")
    return torch.cat([x, x.new_ones(x.shape[0], 1)], dim=1)


class LinearNeuron(nn.Module):
    """One neuron without its step: ``x (n, in_features) -> x @ weight + bias (n,)``.

    Parameters
    ----------
    in_features : int
        Number of inputs. ``weight (in_features,)`` and ``bias ()`` are learnable and start at 0.

    References
    ----------
    Chapter 1, "Neurons".

    Examples
    --------
    >>> neuron = LinearNeuron(3)
    >>> sorted(name for name, _ in neuron.named_parameters()), neuron(torch.ones(2, 3)).shape
    (['bias', 'weight'], torch.Size([2]))
    """

    def __init__(self, in_features: int) -> None:
        super().__init__()
        check_count("LinearNeuron", "in_features", in_features, minimum=1)
        self.weight = nn.Parameter(torch.zeros(in_features))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighted sums ``(n,)``."""
        check_shape("LinearNeuron", "x", x, ("n", self.weight.shape[0]), "Rows are examples.")
        return x @ self.weight + self.bias


def predict_classes(model: nn.Module, x: Tensor) -> Tensor:
    """Return the class of each row without recording gradients.

    Parameters
    ----------
    model : torch.nn.Module
        ``model(x)`` is ``(n,)``, one sum a row, or ``(n, k)``, one for each class.
    x : tensor (n, d)

    Returns
    -------
    classes : tensor (n,) of int64
        1 where a single sum is >= 0, else 0; with ``k`` sums the index of the largest.

    Raises
    ------
    ShapeError
        If ``model(x)`` has neither one axis nor two.

    References
    ----------
    Chapter 1, "Neurons", section "Input, hidden and output layers".

    Examples
    --------
    >>> predict_classes(nn.Identity(), torch.tensor([-1.0, 0.0, 2.0])).tolist()
    [0, 1, 1]
    """
    with torch.no_grad():
        z = model(x)
    if z.ndim == 1:
        return (z >= 0).to(torch.int64)
    check_shape("predict_classes", "model(x)", z, ("n", "k"), "One sum a row, or one a class.")
    return z.argmax(dim=1)


def perceptron_step(
    neuron: nn.Module, x: Tensor, t: int, *, learning_rate: float = 1.0
) -> bool:
    """Apply the perceptron rule to a module's own parameters, in place.

    Parameters
    ----------
    neuron : torch.nn.Module
        With parameters ``weight (d,)`` and ``bias ()``; ``neuron(x (n, d))`` is ``(n,)``.
    x : tensor (d,)
        One example.
    t : 0 or 1
    learning_rate : float
        Positive.

    Returns
    -------
    bool
        Whether the neuron was wrong, so that it changed.

    Raises
    ------
    ValueError
        If ``t`` is neither 0 nor 1, or ``learning_rate`` not positive.

    References
    ----------
    Chapter 1, "Neurons", section "Learning from a mistake".

    Examples
    --------
    >>> neuron = LinearNeuron(2)
    >>> perceptron_step(neuron, torch.tensor([1.0, 2.0]), 0), neuron.weight.tolist()
    (True, [-1.0, -2.0])
    """
    check_number("perceptron_step", "learning_rate", learning_rate, above=0)
    if t not in (0, 1):
        raise ValueError(f"perceptron_step: t must be 0 or 1, got {t!r}.")
    weight, bias = neuron.get_parameter("weight"), neuron.get_parameter("bias")
    with torch.no_grad():
        step = int(t) - int(neuron(x[None])[0] >= 0)
        weight.add_(x, alpha=learning_rate * step)
        bias.add_(learning_rate * step)
    return step != 0


class XorNet(nn.Module):
    """XOR from two layers of neurons whose weights are fixed: ``x (n, 2) -> y (n,)``.

    The weights are buffers: they move and are saved with the module, and nothing trains them.

    References
    ----------
    Chapter 1, "Neurons", section "XOR from two layers".

    Examples
    --------
    >>> XorNet()(torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """

    def __init__(self) -> None:
        super().__init__()
        (w_hidden, b_hidden), (w_output, b_output) = xor_weights()
        self.register_buffer("w_hidden", w_hidden.float())
        self.register_buffer("b_hidden", b_hidden.float())
        self.register_buffer("w_output", w_output.float())
        self.register_buffer("b_output", torch.tensor(b_output))

    def forward(self, x: Tensor) -> Tensor:
        """Return 0. or 1. for each row of zeros and ones, in the dtype of ``x``."""
        check_shape("XorNet", "x", x, ("n", 2))
        h = (x @ self.get_buffer("w_hidden") + self.get_buffer("b_hidden") >= 0).to(x.dtype)
        z = h @ self.get_buffer("w_output") + self.get_buffer("b_output")
        return (z >= 0).to(x.dtype)


def train_logistic_neuron(
    x: Tensor, t: Tensor, *, steps: int, learning_rate: float
) -> tuple[Tensor, Tensor, list[float]]:
    """Minimise the mean binary cross-entropy of ``sigmoid(x @ w + b)`` by gradient descent.

    Parameters
    ----------
    x : tensor (n, d) of floats
    t : tensor (n,) of integers 0 and 1
    steps : int
        Updates; each uses all rows.
    learning_rate : float
        Positive.

    Returns
    -------
    w : tensor (d,)
    b : tensor ()
        Both start at 0.
    losses : list of float
        The loss before each update.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError
        If ``x`` holds no floats or ``t`` no integers.
    ValueError
        If a target is neither 0 nor 1, or an option is out of range.

    References
    ----------
    Chapter 1, "Neurons", section "A neuron that PyTorch can train by itself".

    Examples
    --------
    >>> x, t = torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1])
    >>> w, b, losses = train_logistic_neuron(x, t, steps=2, learning_rate=1.0)
    >>> bool(w > 0), [round(loss, 3) for loss in losses]
    (True, [0.693, 0.474])
    """
    check_floats("train_logistic_neuron", x=x)
    check_shape("train_logistic_neuron", "x", x, ("n", "d"), "Rows are examples.")
    check_labels("train_logistic_neuron", t, 2, n=x.shape[0], name="t")
    check_count("train_logistic_neuron", "steps", steps)
    check_number("train_logistic_neuron", "learning_rate", learning_rate, above=0)
    w = x.new_zeros(x.shape[1]).requires_grad_()
    b = x.new_zeros(()).requires_grad_()
    losses = []
    for _ in range(steps):
        loss = nn.functional.binary_cross_entropy_with_logits(x @ w + b, t.to(x.dtype))
        dw, db = torch.autograd.grad(loss, (w, b))
        with torch.no_grad():
            w -= learning_rate * dw
            b -= learning_rate * db
        losses.append(loss.item())
    return w.detach(), b.detach(), losses
