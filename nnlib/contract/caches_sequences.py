"""Caches and gradients of embeddings, recurrent cells, whole sequences, and attention."""

from typing import Any, NamedTuple

Array = Any


class EmbeddingCache(NamedTuple):
    """Row numbers ``ids``, any shape, and the table ``w (v, d)`` they point into."""

    ids: Array
    w: Array


class RnnCellCache(NamedTuple):
    """Inputs of `rnn_cell_forward`, and its output ``h_new (n, k)``."""

    x: Array
    h: Array
    w_xh: Array
    w_hh: Array
    h_new: Array


class LstmCellCache(NamedTuple):
    """Inputs of `lstm_cell_forward`, its four gates, and ``tanh_c``, all gates ``(n, k)``.

    ``i``, ``f``, ``g``, ``o`` are the values after sigmoid and (``g``) tanh; ``tanh_c`` is the
    hyperbolic tangent of the new cell state.
    """

    x: Array
    h: Array
    c: Array
    w_xh: Array
    w_hh: Array
    i: Array
    f: Array
    g: Array
    o: Array
    tanh_c: Array


class GruCellCache(NamedTuple):
    """Inputs of `gru_cell_forward`, its gates, and the state's share of the candidate.

    ``r``, ``z``, ``n`` are the values after sigmoid and (``n``) tanh. ``h_n`` is ``h @ w + b``
    for the candidate, before ``r`` multiplies it. All ``(n, k)``.
    """

    x: Array
    h: Array
    w_xh: Array
    w_hh: Array
    r: Array
    z: Array
    n: Array
    h_n: Array


class RnnGrads(NamedTuple):
    """Gradients of a plain recurrent cell, or of a whole sequence, in the order of the inputs."""

    dx: Array
    dh: Array
    dw_xh: Array
    dw_hh: Array
    db: Array


class LstmGrads(NamedTuple):
    """Gradients of an LSTM cell, or of a whole sequence, in the order of the inputs."""

    dx: Array
    dh: Array
    dc: Array
    dw_xh: Array
    dw_hh: Array
    db: Array


class GruGrads(NamedTuple):
    """Gradients of a GRU cell, or of a whole sequence, in the order of the inputs."""

    dx: Array
    dh: Array
    dw_xh: Array
    dw_hh: Array
    db_x: Array
    db_h: Array


class RnnCache(NamedTuple):
    """One cell's cache for each step of the sequence, in order of time."""

    steps: tuple[RnnCellCache, ...]


class LstmCache(NamedTuple):
    """One cell's cache for each step of the sequence, in order of time."""

    steps: tuple[LstmCellCache, ...]


class GruCache(NamedTuple):
    """One cell's cache for each step of the sequence, in order of time."""

    steps: tuple[GruCellCache, ...]


class AttentionCache(NamedTuple):
    """Inputs ``q (..., t, d)``, ``k (..., s, d)``, ``v (..., s, d_v)`` and the attention weights.

    ``weights (..., t, s)``: row ``i`` says how much position ``i`` takes from each of the ``s``
    positions; it sums to 1.
    """

    q: Array
    k: Array
    v: Array
    weights: Array


class AttentionGrads(NamedTuple):
    """Gradients of attention: ``dq (..., t, d)``, ``dk (..., s, d)``, ``dv (..., s, d_v)``."""

    dq: Array
    dk: Array
    dv: Array
