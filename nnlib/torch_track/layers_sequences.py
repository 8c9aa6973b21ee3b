"""Layers for sequences ``(n, t, d)``: embedding and recurrent layers."""

from typing import Any

import torch
from torch import Tensor

from nnlib.errors import check_count, check_flag, check_floats, check_number, check_shape
from nnlib.layer import Layer, Shape
from nnlib.layer_summary import require_axes
from nnlib.torch_track import embedding, sequences
from nnlib.torch_track.init import normal, xavier_uniform

__all__ = ["GRU", "LSTM", "RNN", "Embedding"]


class Embedding(Layer):
    """Look up a row of "w" ``(num_symbols, d)`` for each id, see `embedding_forward`.

    Integers have no gradient: `backward` returns None, so this layer comes first.

    Parameters
    ----------
    num_symbols, d : int
    rng : torch.Generator
        Draws the rows from the normal distribution.
    std : float
        Its standard deviation.
    dtype : dtype of the parameters

    Examples
    --------
    >>> layer = Embedding(10, 3, rng=torch.Generator().manual_seed(0))
    >>> layer(torch.tensor([[1, 2, 1, 0]])).shape
    torch.Size([1, 4, 3])
    """

    def __init__(
        self,
        num_symbols: int,
        d: int,
        *,
        rng: torch.Generator,
        std: float = 1.0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        check_count("Embedding", "num_symbols", num_symbols, minimum=1)
        check_count("Embedding", "d", d, minimum=1)
        check_number("Embedding", "std", std, low=0)
        self._params = {"w": normal(rng, (num_symbols, d), std=std, dtype=dtype)}

    def _forward(self, x: Tensor) -> tuple[Tensor, Any]:
        return embedding.embedding_forward(x, self._params["w"])

    def _backward(self, dy: Tensor, cache: Any) -> tuple[Any, dict[str, Tensor]]:
        return None, {"w": embedding.embedding_backward(dy, cache)}

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        return (*shape, self._params["w"].shape[1])


class _Recurrent(Layer):
    """What the recurrent layers have in common: weights, the state, whole or last output."""

    gates = 1

    def __init__(
        self,
        d: int,
        k: int,
        *,
        rng: torch.Generator,
        return_sequences: bool,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        kind = type(self).__name__
        check_count(kind, "d", d, minimum=1)
        check_count(kind, "k", k, minimum=1)
        check_flag(kind, "return_sequences", return_sequences)
        # Gate by gate: side by side they would look like one layer with four times the outputs.
        self._params = {
            name: torch.cat(
                [xavier_uniform(rng, (rows, k), dtype=dtype) for _ in range(self.gates)], dim=1
            )
            for name, rows in (("w_xh", d), ("w_hh", k))
        }
        self._return_sequences = return_sequences
        #: Where the next `forward` starts; None for zeros.
        self.initial_state: Any = None
        #: Where the last `forward` ended. As next `initial_state` it carries a text on.
        self.state: Any = None

    def _zeros(self, x: Tensor) -> Tensor:
        """Check ``x (n, t, d)`` and return a state of zeros for it."""
        caller, w_xh = f"{type(self).__name__}.forward", self._params["w_xh"]
        check_floats(caller, x=x, w_xh=w_xh)
        check_shape(caller, "x", x, ("n", "t", w_xh.shape[0]), "Axes: example, time, feature.")
        return x.new_zeros((len(x), self._params["w_hh"].shape[0]))

    def _finish(self, y: Tensor, cache: Any) -> tuple[Tensor, Any]:
        return (y if self._return_sequences else y[:, -1]), (y.shape, cache)

    def _begin(self, dy: Tensor, shape: Shape) -> Tensor:
        """Return the gradient with respect to the state after every step."""
        if self._return_sequences:
            return dy
        n, _, k = shape
        check_floats(f"{type(self).__name__}.backward", dy=dy)
        check_shape(f"{type(self).__name__}.backward", "dy", dy, (n, k))
        every = dy.new_zeros(shape)
        every[:, -1] = dy
        return every

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        require_axes(caller, shape, ("t", self._params["w_xh"].shape[0]))
        k = self._params["w_hh"].shape[0]
        return (shape[0], k) if self._return_sequences else (k,)

    def _multiply_adds(self, shape: Shape) -> int:
        w_xh, w_hh = self._params["w_xh"], self._params["w_hh"]
        return shape[0] * (w_xh.shape[0] + w_hh.shape[0]) * w_xh.shape[1]


class RNN(_Recurrent):
    """A plain recurrent layer over ``x (n, t, d)``, see `rnn_forward`.

    Parameters "w_xh" ``(d, k)``, "w_hh" ``(k, k)``, "b" ``(k,)``.

    Parameters
    ----------
    d, k : int
        Features of the input and of the state.
    rng : torch.Generator
        Draws the weights; the bias starts at 0.
    return_sequences : bool
        True returns the state after each step, ``(n, t, k)``; False the last one, ``(n, k)``.
    dtype : dtype of the parameters

    Notes
    -----
    Each `forward` starts from zeros, or from ``initial_state (n, k)`` where that is set. It
    leaves its last state in ``state``. For truncated backpropagation through time, set the one
    to the other between two pieces of a text.

    Examples
    --------
    >>> layer = RNN(3, 5, rng=torch.Generator().manual_seed(0))
    >>> layer(torch.zeros((2, 7, 3)).double()).shape, layer.state.shape
    (torch.Size([2, 7, 5]), torch.Size([2, 5]))
    """

    def __init__(
        self,
        d: int,
        k: int,
        *,
        rng: torch.Generator,
        return_sequences: bool = True,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__(d, k, rng=rng, return_sequences=return_sequences, dtype=dtype)
        self._params["b"] = torch.zeros_like(self._params["w_hh"][0])

    def _forward(self, x: Tensor) -> tuple[Tensor, Any]:
        zeros = self._zeros(x)
        h = zeros if self.initial_state is None else self.initial_state
        y, cache = sequences.rnn_forward(x, h, **self._params)
        self.state = y[:, -1]
        return self._finish(y, cache)

    def _backward(self, dy: Tensor, cache: Any) -> tuple[Tensor, dict[str, Tensor]]:
        shape, cache = cache
        grads = sequences.rnn_backward(self._begin(dy, shape), cache)
        return grads.dx, {"w_xh": grads.dw_xh, "w_hh": grads.dw_hh, "b": grads.db}


class LSTM(_Recurrent):
    """A long short-term memory over ``x (n, t, d)``, see `lstm_forward`.

    Parameters "w_xh" ``(d, 4k)``, "w_hh" ``(k, 4k)``, "b" ``(4k,)``: the gates i, f, g, o.

    Parameters
    ----------
    d, k : int
        Features of the input and of the state.
    rng : torch.Generator
        Draws the weights; the bias starts at 0, that of the forget gate at `forget_bias`.
    return_sequences : bool
        True returns the state after each step, ``(n, t, k)``; False the last one, ``(n, k)``.
    forget_bias : float
        With 1 the gate starts open, so that the cell remembers before it has learned to.
    dtype : dtype of the parameters

    Notes
    -----
    ``initial_state`` and ``state`` are pairs ``(h, c)`` of tensors ``(n, k)``, see `RNN`.

    Examples
    --------
    >>> layer = LSTM(3, 5, rng=torch.Generator().manual_seed(0), return_sequences=False)
    >>> layer(torch.zeros((2, 7, 3)).double()).shape
    torch.Size([2, 5])
    """

    gates = 4

    def __init__(
        self,
        d: int,
        k: int,
        *,
        rng: torch.Generator,
        return_sequences: bool = True,
        forget_bias: float = 1.0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__(d, k, rng=rng, return_sequences=return_sequences, dtype=dtype)
        check_number("LSTM", "forget_bias", forget_bias)
        b = torch.zeros_like(self._params["w_hh"][0])
        b[k : 2 * k] = forget_bias
        self._params["b"] = b

    def _forward(self, x: Tensor) -> tuple[Tensor, Any]:
        zeros = self._zeros(x)
        h, c = (zeros, zeros) if self.initial_state is None else self.initial_state
        (y, c_last), cache = sequences.lstm_forward(x, h, c, **self._params)
        self.state = y[:, -1], c_last
        return self._finish(y, cache)

    def _backward(self, dy: Tensor, cache: Any) -> tuple[Tensor, dict[str, Tensor]]:
        shape, cache = cache
        dy = self._begin(dy, shape)
        dc = dy.new_zeros((shape[0], shape[2]))  # nobody reads the last cell state
        grads = sequences.lstm_backward((dy, dc), cache)
        return grads.dx, {"w_xh": grads.dw_xh, "w_hh": grads.dw_hh, "b": grads.db}


class GRU(_Recurrent):
    """A gated recurrent unit over ``x (n, t, d)``, see `gru_forward`.

    Parameters "w_xh" ``(d, 3k)``, "w_hh" ``(k, 3k)``, "b_x" and "b_h" ``(3k,)``: the gates r, z
    and the candidate n.

    Parameters
    ----------
    d, k : int
        Features of the input and of the state.
    rng : torch.Generator
        Draws the weights; the biases start at 0.
    return_sequences : bool
        True returns the state after each step, ``(n, t, k)``; False the last one, ``(n, k)``.
    dtype : dtype of the parameters

    Notes
    -----
    ``initial_state`` and ``state`` are tensors ``(n, k)``, see `RNN`.

    Examples
    --------
    >>> layer = GRU(3, 5, rng=torch.Generator().manual_seed(0))
    >>> layer(torch.zeros((2, 7, 3)).double()).shape
    torch.Size([2, 7, 5])
    """

    gates = 3

    def __init__(
        self,
        d: int,
        k: int,
        *,
        rng: torch.Generator,
        return_sequences: bool = True,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__(d, k, rng=rng, return_sequences=return_sequences, dtype=dtype)
        self._params["b_x"] = torch.zeros_like(self._params["w_hh"][0])
        self._params["b_h"] = torch.zeros_like(self._params["w_hh"][0])

    def _forward(self, x: Tensor) -> tuple[Tensor, Any]:
        zeros = self._zeros(x)
        h = zeros if self.initial_state is None else self.initial_state
        y, cache = sequences.gru_forward(x, h, **self._params)
        self.state = y[:, -1]
        return self._finish(y, cache)

    def _backward(self, dy: Tensor, cache: Any) -> tuple[Tensor, dict[str, Tensor]]:
        shape, cache = cache
        grads = sequences.gru_backward(self._begin(dy, shape), cache)
        return grads.dx, {"w_xh": grads.dw_xh, "w_hh": grads.dw_hh,
                          "b_x": grads.db_x, "b_h": grads.db_h}
