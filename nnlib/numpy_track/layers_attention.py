"""Self-attention as a layer: every position of a sequence looks at the others."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nnlib.errors import check_count, check_flag, check_floats, check_shape
from nnlib.layer import Layer, Shape
from nnlib.layer_summary import require_axes
from nnlib.numpy_track import attention, dense
from nnlib.numpy_track._types import Array
from nnlib.numpy_track.init import xavier_uniform

__all__ = ["Attention"]


class Attention(Layer):
    """Self-attention with one or more heads over ``x (n, t, d)``, see `attention_forward`.

    Parameters "w_qkv" ``(d, 3d)`` and "b_qkv" ``(3d,)`` make queries, keys and values, side by
    side in this order; "w_o" ``(d, d)`` and "b_o" ``(d,)`` mix what the heads have found.

    Parameters
    ----------
    d : int
        Features of input and output.
    num_heads : int
        Divides ``d``. Each head attends with ``d / num_heads`` features of its own.
    causal : bool
        True lets a position see itself and those before it only.
    rng : numpy.random.Generator
        Draws the weights; the biases start at 0.
    bias : bool
    dtype : dtype of the parameters

    Notes
    -----
    One product with ``w_qkv`` takes the place of three. Head ``i`` uses the columns
    ``i * d / num_heads`` and following of queries, keys and values.

    References
    ----------
    Chapter 18, "Attention". A. Vaswani et al., "Attention is all you need", NeurIPS 2017.

    Examples
    --------
    >>> layer = Attention(8, 2, causal=True, rng=np.random.default_rng(0))
    >>> y = layer(np.ones((1, 3, 8)))
    >>> y.shape, layer.weights.shape
    ((1, 3, 8), (1, 2, 3, 3))
    """

    def __init__(
        self,
        d: int,
        num_heads: int = 1,
        *,
        rng: np.random.Generator,
        causal: bool = False,
        bias: bool = True,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        check_count("Attention", "d", d, minimum=1)
        check_count("Attention", "num_heads", num_heads, minimum=1)
        check_flag("Attention", "causal", causal)
        if d % num_heads:
            raise ValueError(f"Attention: num_heads must divide d {d}, got {num_heads}.")
        w_q, w_k, w_v, w_o = (xavier_uniform(rng, (d, d), dtype=dtype) for _ in range(4))
        self._params = {"w_qkv": np.concatenate([w_q, w_k, w_v], axis=1), "w_o": w_o}
        if bias:
            self._params["b_qkv"] = np.zeros_like(self._params["w_qkv"][0])
            self._params["b_o"] = np.zeros_like(w_o[0])
        self._num_heads, self._causal = num_heads, causal

    @property
    def weights(self) -> Array:
        """How much each position took from each other in the last `forward`, (n, heads, t, t)."""
        if self._cache is None:
            raise ValueError("Attention.weights: call forward first.")
        return self._cache[1].weights

    def _forward(self, x: Array) -> tuple[Array, Any]:
        p, heads = self._params, self._num_heads
        d = p["w_o"].shape[0]
        check_floats("Attention.forward", x=x, w_qkv=p["w_qkv"])
        check_shape("Attention.forward", "x", x, ("n", "t", d), "Axes: example, time, feature.")
        n, t, _ = x.shape
        qkv, in_cache = dense.linear_forward(x.reshape(n * t, d), p["w_qkv"], p.get("b_qkv"))
        # (n, t, 3, heads, d / heads) to (3, n, heads, t, d / heads): a view, nothing is copied.
        q, k, v = qkv.reshape(n, t, 3, heads, d // heads).transpose(2, 0, 3, 1, 4)
        found, cache = attention.attention_forward(q, k, v, causal=self._causal)
        rows = found.transpose(0, 2, 1, 3).reshape(n * t, d)
        y, out_cache = dense.linear_forward(rows, p["w_o"], p.get("b_o"))
        return y.reshape(n, t, d), (in_cache, cache, out_cache)

    def _backward(self, dy: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        in_cache, cache, out_cache = cache
        n, heads, t, e = cache.q.shape
        d = heads * e
        check_shape("Attention.backward", "dy", dy, (n, t, d))
        dfound, dw_o, db_o = dense.linear_backward(dy.reshape(n * t, d), out_cache)
        dfound = dfound.reshape(n, t, heads, e).transpose(0, 2, 1, 3)
        grads = attention.attention_backward(dfound, cache)
        dqkv = np.stack(grads, axis=0).transpose(1, 3, 0, 2, 4).reshape(n * t, 3 * d)
        dx, dw_qkv, db_qkv = dense.linear_backward(dqkv, in_cache)
        named = {"w_qkv": dw_qkv, "w_o": dw_o, "b_qkv": db_qkv, "b_o": db_o}
        return dx.reshape(n, t, d), {name: named[name] for name in self._params}

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        require_axes(caller, shape, ("t", self._params["w_o"].shape[0]))
        return shape

    def _multiply_adds(self, shape: Shape) -> int:
        t, d = shape
        # Three projections and one back, then scores and averages, each t x t x d.
        return 4 * t * d * d + 2 * t * t * d

    def _describe(self) -> str:
        causal = ", causal=True" if self._causal else ""
        return f"{super()._describe()}, num_heads={self._num_heads}{causal}"
