"""Networks and their parts as `nn.Module`: they own their parameters, autograd does the rest."""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from nnlib.errors import ShapeError, check_count

__all__ = ["MLP", "LeNet", "MultiHeadAttention", "Neuron", "ResidualBlock"]


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

class LeNet(nn.Module):
    """A small convolutional network for images of 28 by 28 pixels, after LeNet-5.

    Two rounds of convolution, ReLU and max pooling, then three linear layers.

    Parameters
    ----------
    c_in : int
        Channels of the images.
    num_classes : int

    Notes
    -----
    ``forward`` maps ``x (n, c_in, 28, 28)`` to scores ``(n, num_classes)``. With one channel and
    ten classes it has 61,706 parameters.

    References
    ----------
    Chapter 14, "Convolutional networks". Y. LeCun et al., "Gradient-based learning applied to
    document recognition", Proceedings of the IEEE, 1998.

    Examples
    --------
    >>> LeNet()(torch.zeros((2, 1, 28, 28))).shape
    torch.Size([2, 10])
    """

    def __init__(self, c_in: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        check_count("LeNet", "c_in", c_in, minimum=1)
        check_count("LeNet", "num_classes", num_classes, minimum=1)
        self.features = nn.Sequential(
            nn.Conv2d(c_in, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120), nn.ReLU(),
            nn.Linear(120, 84), nn.ReLU(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(n, c_in, 28, 28)`` to scores ``(n, num_classes)``."""
        return self.classifier(self.features(x))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a way around them; ReLU after the addition.

    Parameters
    ----------
    c_in, c_out : int
        Channels.
    stride : int
        Of the first convolution; 2 halves the image.

    Notes
    -----
    Where the shape changes, the way around is a 1x1 convolution with batch norm; else it is the
    identity. The convolutions have no bias, since batch norm would subtract it again.

    References
    ----------
    Chapter 14, "Convolutional networks". K. He et al., "Deep residual learning for image
    recognition", CVPR 2016.

    Examples
    --------
    >>> ResidualBlock(3, 8, stride=2)(torch.zeros((2, 3, 28, 28))).shape
    torch.Size([2, 8, 14, 14])
    """

    def __init__(self, c_in: int, c_out: int, *, stride: int = 1) -> None:
        super().__init__()
        for name, size in (("c_in", c_in), ("c_out", c_out), ("stride", stride)):
            check_count("ResidualBlock", name, size, minimum=1)
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(c_out), nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride=stride, bias=False), nn.BatchNorm2d(c_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (n, c_in, h, w)`` to ``(n, c_out, h/stride, w/stride)``, rounded up."""
        return torch.relu(self.body(x) + self.shortcut(x))


class MultiHeadAttention(nn.Module):
    """Self-attention with several heads over ``x (n, t, d)``.

    Parameters
    ----------
    d : int
        Features of input and output.
    num_heads : int
        Divides ``d``.
    causal : bool
        True lets a position see itself and those before it only.

    Notes
    -----
    Equal to `torch.nn.MultiheadAttention` with ``batch_first=True`` and the same weights.

    References
    ----------
    Chapter 18, "Attention". A. Vaswani et al., "Attention is all you need", NeurIPS 2017.

    Examples
    --------
    >>> MultiHeadAttention(8, 2, causal=True)(torch.zeros((1, 3, 8))).shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, d: int, num_heads: int, *, causal: bool = False) -> None:
        super().__init__()
        check_count("MultiHeadAttention", "d", d, minimum=1)
        check_count("MultiHeadAttention", "num_heads", num_heads, minimum=1)
        if d % num_heads:
            raise ValueError(
                f"MultiHeadAttention: num_heads must divide d {d}, got {num_heads}."
            )
        self.num_heads, self.causal = num_heads, causal
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (n, t, d)`` to ``(n, t, d)``."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (n, heads, t, d / heads)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).flatten(2))
