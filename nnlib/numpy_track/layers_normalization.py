"""Layers that behave differently in training and evaluation, and layer norm, which does not."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nnlib.errors import check_count, check_number
from nnlib.layer import Layer, Shape
from nnlib.layer_summary import require_axes, require_last
from nnlib.numpy_track import dropout, normalization
from nnlib.numpy_track._types import Array

__all__ = ["BatchNorm", "Dropout", "LayerNorm"]


class BatchNorm(Layer):
    """Batch norm of ``(n, d)`` or of the channels of ``(n, d, h, w)``, see `batch_norm_forward`.

    Parameters "gamma" and "beta" ``(d,)``, buffers "running_mean" and "running_var" ``(d,)``.
    Each `forward` in training moves the buffers; in evaluation they are used and stay.

    Parameters
    ----------
    d : int
        Number of columns or channels.
    momentum : float
        The weight of the newest batch in the running statistics.
    eps : float
    dtype : dtype of parameters and buffers

    Examples
    --------
    >>> layer, x = BatchNorm(1, momentum=0.5), np.array([[1.0], [3.0]])
    >>> layer(x).round().tolist(), layer.buffers["running_mean"].tolist()
    ([[-1.0], [1.0]], [1.0])
    >>> layer.eval()(np.ones((1, 1))).tolist()
    [[0.0]]
    """

    def __init__(
        self,
        d: int,
        *,
        momentum: float = 0.1,
        eps: float = 1e-5,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        check_count("BatchNorm", "d", d, minimum=1)
        check_number("BatchNorm", "momentum", momentum, low=0, high=1)
        check_number("BatchNorm", "eps", eps, above=0)
        self._params = {"gamma": np.ones(d, dtype=dtype), "beta": np.zeros(d, dtype=dtype)}
        self._buffers = {
            "running_mean": np.zeros(d, dtype=dtype), "running_var": np.ones(d, dtype=dtype),
        }
        self._options: dict[str, Any] = {"momentum": momentum, "eps": eps}

    def _forward(self, x: Array) -> tuple[Array, Any]:
        y, (mean, var), cache = normalization.batch_norm_forward(
            x, **self._params, **self._buffers, training=self.training, **self._options
        )
        self._buffers = {"running_mean": mean, "running_var": var}
        return y, cache

    def _backward(self, dy: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        dx, dgamma, dbeta = normalization.batch_norm_backward(dy, cache)
        return dx, {"gamma": dgamma, "beta": dbeta}

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        d = len(self._params["gamma"])
        require_axes(caller, shape, (d, "h", "w") if len(shape) == 3 else (d,))
        return shape


class LayerNorm(Layer):
    """Layer norm over the last axis, with "gamma" and "beta" ``(d,)``, see `layer_norm_forward`.

    Parameters
    ----------
    d : int
        Size of the last axis.
    eps : float
    dtype : dtype of the parameters

    Examples
    --------
    >>> LayerNorm(2)(np.array([[1.0, 3.0], [10.0, 30.0]])).round().tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    def __init__(
        self, d: int, *, eps: float = 1e-5, dtype: npt.DTypeLike = np.float64
    ) -> None:
        super().__init__()
        check_count("LayerNorm", "d", d, minimum=1)
        check_number("LayerNorm", "eps", eps, above=0)
        self._params = {"gamma": np.ones(d, dtype=dtype), "beta": np.zeros(d, dtype=dtype)}
        self._eps = eps

    def _forward(self, x: Array) -> tuple[Array, Any]:
        return normalization.layer_norm_forward(x, **self._params, eps=self._eps)

    def _backward(self, dy: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        dx, dgamma, dbeta = normalization.layer_norm_backward(dy, cache)
        return dx, {"gamma": dgamma, "beta": dbeta}

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        require_last(caller, shape, len(self._params["gamma"]))
        return shape


class Dropout(Layer):
    """Set entries to 0 at random in training, do nothing in evaluation, see `dropout_forward`.

    Parameters
    ----------
    drop_prob : float, at least 0 and less than 1
    rng : numpy.random.Generator
        Draws a new mask in each `forward` in training.

    Examples
    --------
    >>> layer = Dropout(0.5, rng=np.random.default_rng(0))
    >>> sorted(set(layer(np.ones(100)).tolist())), layer.eval()(np.ones(2)).tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """

    def __init__(self, drop_prob: float = 0.5, *, rng: np.random.Generator) -> None:
        super().__init__()
        check_number("Dropout", "drop_prob", drop_prob, low=0, below=1)
        self._drop_prob, self._rng = drop_prob, rng

    def _forward(self, x: Array) -> tuple[Array, Any]:
        return dropout.dropout_forward(
            x, drop_prob=self._drop_prob, training=self.training, rng=self._rng
        )

    def _backward(self, dy: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        return dropout.dropout_backward(dy, cache), {}

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        return shape

    def _describe(self) -> str:
        return f"drop_prob={self._drop_prob}"
