"""Layers as objects: each holds its parameters and calls the functions of this track."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nnlib.errors import check_count, check_shape
from nnlib.layer import Layer, Shape
from nnlib.layer_summary import require_last
from nnlib.numpy_track import activations, dense
from nnlib.numpy_track._types import Array
from nnlib.numpy_track.init import init_params
from nnlib.numpy_track.layers_attention import Attention
from nnlib.numpy_track.layers_composite import Residual, Sequential
from nnlib.numpy_track.layers_images import AvgPool2d, Conv2d, GlobalAvgPool2d, MaxPool2d
from nnlib.numpy_track.layers_normalization import BatchNorm, Dropout, LayerNorm
from nnlib.numpy_track.layers_sequences import GRU, LSTM, RNN, Embedding

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "Attention",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool2d",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]


class Linear(Layer):
    """The layer ``y = x @ w + b`` with parameters "w" ``(d_in, d_out)`` and "b" ``(d_out,)``.

    Parameters
    ----------
    d_in, d_out : int
    rng : numpy.random.Generator
        Draws the weights; the bias starts at 0.
    scheme : str
        See `init_params`.
    bias : bool
    dtype : dtype of the parameters

    Notes
    -----
    Of an input with more axes, ``(n, t, d_in)``, every row along the last one is mapped alike.

    Examples
    --------
    >>> layer = Linear(3, 2, rng=np.random.default_rng(0))
    >>> layer(np.ones((4, 3))).shape
    (4, 2)
    >>> layer.backward(np.ones((4, 2))).shape, sorted(layer.grads)
    ((4, 3), ['b', 'w'])
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        *,
        rng: np.random.Generator,
        scheme: str = "he",
        bias: bool = True,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        check_count("Linear", "d_in", d_in, minimum=1)
        check_count("Linear", "d_out", d_out, minimum=1)
        ((w, b),) = init_params(rng, (d_in, d_out), scheme=scheme, dtype=dtype)
        self._params = {"w": w, "b": b} if bias else {"w": w}

    def _forward(self, x: Array) -> tuple[Array, Any]:
        # A list has no shape; linear_forward says what is wrong with it.
        leading = tuple(getattr(x, "shape", ()))[:-1]
        rows = x.reshape(math.prod(leading), x.shape[-1]) if len(leading) > 1 else x
        y, cache = dense.linear_forward(rows, self._params["w"], self._params.get("b"))
        return (y.reshape(*leading, y.shape[-1]) if len(leading) > 1 else y), (leading, cache)

    def _backward(
        self, dy: Array, cache: Any, *, input_grad: bool = True
    ) -> tuple[Array, dict[str, Array]]:
        leading, cache = cache
        d_in, d_out = self._params["w"].shape
        if len(leading) > 1:
            check_shape("Linear.backward", "dy", dy, (*leading, d_out))
            dy = dy.reshape(math.prod(leading), d_out)
        dx, dw, db = dense.linear_backward(dy, cache, input_grad=input_grad)
        if len(leading) > 1 and input_grad:
            dx = dx.reshape(*leading, d_in)
        return dx, {"w": dw} if db is None else {"w": dw, "b": db}

    def _param_grads(self, dy: Array, cache: Any) -> dict[str, Array]:
        return self._backward(dy, cache, input_grad=False)[1]

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        d_in, d_out = self._params["w"].shape
        hint = "Does a Flatten belong in front?" if math.prod(shape) == d_in else ""
        require_last(caller, shape, d_in, hint)
        return (*shape[:-1], d_out)

    def _multiply_adds(self, shape: Shape) -> int:
        return math.prod(shape[:-1]) * math.prod(self._params["w"].shape)


class Activation(Layer):
    """A layer without parameters, made from a forward and its backward.

    Parameters
    ----------
    forward, backward : callables
        ``forward(x, **options) -> (y, cache)`` and ``backward(dy, cache) -> dx``.
    **options
        Keyword arguments of the forward.

    Examples
    --------
    >>> layer = Activation(activations.elu_forward, activations.elu_backward, alpha=0.5)
    >>> layer(np.array([1.0])).tolist()
    [1.0]
    """

    def __init__(
        self,
        forward: Callable[..., tuple[Array, Any]],
        backward: Callable[[Array, Any], Array],
        **options: Any,
    ) -> None:
        super().__init__()
        self._functions = forward, backward
        self._options = options

    def _forward(self, x: Array) -> tuple[Array, Any]:
        return self._functions[0](x, **self._options)

    def _backward(self, dy: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        return self._functions[1](dy, cache), {}

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        return shape

    def _describe(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self._options.items())


class Identity(Activation):
    """The identity, see `identity_forward`."""

    def __init__(self) -> None:
        super().__init__(activations.identity_forward, activations.identity_backward)


class Sigmoid(Activation):
    """The logistic sigmoid, see `sigmoid_forward`."""

    def __init__(self) -> None:
        super().__init__(activations.sigmoid_forward, activations.sigmoid_backward)


class Tanh(Activation):
    """The hyperbolic tangent, see `tanh_forward`."""

    def __init__(self) -> None:
        super().__init__(activations.tanh_forward, activations.tanh_backward)


class ReLU(Activation):
    """The rectified linear unit, see `relu_forward`.

    Examples
    --------
    >>> ReLU()(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self) -> None:
        super().__init__(activations.relu_forward, activations.relu_backward)


class LeakyReLU(Activation):
    """The leaky ReLU, see `leaky_relu_forward`."""

    def __init__(self, *, negative_slope: float = 0.01) -> None:
        super().__init__(
            activations.leaky_relu_forward, activations.leaky_relu_backward,
            negative_slope=negative_slope,
        )


class ELU(Activation):
    """The exponential linear unit, see `elu_forward`."""

    def __init__(self, *, alpha: float = 1.0) -> None:
        super().__init__(activations.elu_forward, activations.elu_backward, alpha=alpha)


class Softplus(Activation):
    """The smooth ReLU, see `softplus_forward`."""

    def __init__(self, *, beta: float = 1.0) -> None:
        super().__init__(activations.softplus_forward, activations.softplus_backward, beta=beta)


class SiLU(Activation):
    """``x * sigmoid(x)``, see `silu_forward`."""

    def __init__(self) -> None:
        super().__init__(activations.silu_forward, activations.silu_backward)


class GELU(Activation):
    """The Gaussian error linear unit, see `gelu_forward`."""

    def __init__(self, *, approximate: str = "none") -> None:
        super().__init__(
            activations.gelu_forward, activations.gelu_backward, approximate=approximate
        )


class Softmax(Activation):
    """Probabilities along one axis, see `softmax_forward`."""

    def __init__(self, *, axis: int = -1) -> None:
        super().__init__(activations.softmax_forward, activations.softmax_backward, axis=axis)


class LogSoftmax(Activation):
    """Logarithms of probabilities along one axis, see `log_softmax_forward`."""

    def __init__(self, *, axis: int = -1) -> None:
        super().__init__(
            activations.log_softmax_forward, activations.log_softmax_backward, axis=axis
        )


class Flatten(Activation):
    """One row for each example, see `flatten_forward`."""

    def __init__(self) -> None:
        super().__init__(dense.flatten_forward, dense.flatten_backward)

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        return (math.prod(shape),)
