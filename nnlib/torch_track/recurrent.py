"""Recurrent cells: one step of a network that reads a sequence and remembers in a state.

A cell takes the input ``x (n, d)`` of one time step and the state ``h (n, k)``, and returns the
next state. Cells with several gates keep their weights side by side in one matrix, one block of
``k`` columns for each gate. `sequences` applies a cell step by step.
"""

import torch
from torch import Tensor

from nnlib.contract.caches_sequences import (
    GruCellCache,
    GruGrads,
    LstmCellCache,
    LstmGrads,
    RnnCellCache,
    RnnGrads,
)
from nnlib.errors import DtypeError, check_floats, check_shape, check_upstream
from nnlib.torch_track.activations import sigmoid_forward

__all__ = [
    "gru_cell_backward",
    "gru_cell_forward",
    "lstm_cell_backward",
    "lstm_cell_forward",
    "rnn_cell_backward",
    "rnn_cell_forward",
]


def rnn_cell_forward(
    x: Tensor, h: Tensor, w_xh: Tensor, w_hh: Tensor, b: Tensor
) -> tuple[Tensor, RnnCellCache]:
    """Compute the next state ``h_new = tanh(x @ w_xh + h @ w_hh + b)``.

    Parameters
    ----------
    x : tensor (n, d) of floats
        Input of this time step.
    h : tensor (n, k)
        State after the last step.
    w_xh : tensor (d, k)
    w_hh : tensor (k, k)
    b : tensor (k,)

    Returns
    -------
    h_new : tensor (n, k)
    cache : RnnCellCache

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.

    References
    ----------
    Chapter 17, "Sequences". J. Elman, "Finding structure in time", Cognitive Science 14 (1990).

    Examples
    --------
    >>> one = torch.ones((1, 1))
    >>> h_new, cache = rnn_cell_forward(one, one, one, -one, torch.zeros(1))
    >>> h_new.tolist()
    [[0.0]]
    """
    _check_cell("rnn_cell_forward", 1, x, w_xh, w_hh, states={"h": h}, biases={"b": b})
    h_new = torch.tanh(x @ w_xh + h @ w_hh + b)
    return h_new, RnnCellCache(x, h, w_xh, w_hh, h_new)


def rnn_cell_backward(dh: Tensor, cache: RnnCellCache) -> RnnGrads:
    """Compute the gradients of one step: through tanh, then as in two linear layers.

    Parameters
    ----------
    dh : tensor (n, k)
        Gradient with respect to ``h_new``: from the loss at this step, plus what the next step
        hands back.
    cache : RnnCellCache

    Returns
    -------
    RnnGrads
        ``dx (n, d)``, ``dh (n, k)`` with respect to the state before, ``dw_xh (d, k)``,
        ``dw_hh (k, k)``, ``db (k,)``.

    Raises
    ------
    ShapeError, DtypeError
        If ``dh`` does not fit the state.

    Examples
    --------
    >>> one = torch.ones((1, 1))
    >>> _, cache = rnn_cell_forward(one, one, one, -one, torch.zeros(1))
    >>> grads = rnn_cell_backward(torch.tensor([[3.0]]), cache)
    >>> grads.dx.tolist(), grads.dh.tolist(), grads.db.tolist()
    ([[3.0]], [[-3.0]], [3.0])
    """
    x, h, w_xh, w_hh, h_new = cache
    check_upstream("rnn_cell_backward", dh, h_new, name="dh")
    da = dh * (1 - h_new * h_new)  # (n, k), before tanh
    return RnnGrads(da @ w_xh.T, da @ w_hh.T, x.T @ da, h.T @ da, da.sum(dim=0))


def lstm_cell_forward(
    x: Tensor, h: Tensor, c: Tensor, w_xh: Tensor, w_hh: Tensor, b: Tensor
) -> tuple[tuple[Tensor, Tensor], LstmCellCache]:
    """Compute ``c_new = f * c + i * g`` and ``h_new = o * tanh(c_new)``.

    The gates are ``i, f, o = sigmoid(...)`` and the candidate ``g = tanh(...)`` of
    ``x @ w_xh + h @ w_hh + b``, each from its own block of ``k`` columns.

    Parameters
    ----------
    x : tensor (n, d) of floats
        Input of this time step.
    h, c : tensors (n, k)
        State and cell state after the last step.
    w_xh : tensor (d, 4k)
        Blocks in the order input gate ``i``, forget gate ``f``, candidate ``g``, output gate
        ``o``, as in PyTorch.
    w_hh : tensor (k, 4k)
    b : tensor (4k,)
        PyTorch has two biases here, which add up to this one.

    Returns
    -------
    (h_new, c_new) : tensors (n, k)
    cache : LstmCellCache

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.

    Notes
    -----
    The cell state is carried by a sum, not through a matrix and a tanh: where ``f`` is near 1
    its gradient survives many steps.

    References
    ----------
    Chapter 17, "Sequences". S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural
    Computation 9 (1997); the forget gate is from F. Gers et al., Neural Computation 12 (2000).

    Examples
    --------
    >>> x = h = torch.zeros((1, 1))
    >>> w, c = torch.zeros((1, 4)), torch.tensor([[2.0]])
    >>> (h_new, c_new), cache = lstm_cell_forward(x, h, c, w, w, torch.zeros(4))
    >>> c_new.tolist(), round(h_new.item(), 4)
    ([[1.0]], 0.3808)
    """
    _check_cell(
        "lstm_cell_forward", 4, x, w_xh, w_hh, states={"h": h, "c": c}, biases={"b": b}
    )
    a_i, a_f, a_g, a_o = torch.chunk(x @ w_xh + h @ w_hh + b, 4, dim=1)
    i, f, o = _sigmoid(a_i), _sigmoid(a_f), _sigmoid(a_o)
    g = torch.tanh(a_g)
    c_new = f * c + i * g
    tanh_c = torch.tanh(c_new)
    cache = LstmCellCache(x, h, c, w_xh, w_hh, i, f, g, o, tanh_c)
    return (o * tanh_c, c_new), cache


def lstm_cell_backward(dhc: tuple[Tensor, Tensor], cache: LstmCellCache) -> LstmGrads:
    """Compute the gradients of one step of an LSTM.

    Parameters
    ----------
    dhc : (dh, dc), tensors (n, k)
        Gradients with respect to ``h_new`` and to ``c_new``.
    cache : LstmCellCache

    Returns
    -------
    LstmGrads
        ``dx (n, d)``, ``dh (n, k)`` and ``dc (n, k)`` with respect to the states before,
        ``dw_xh (d, 4k)``, ``dw_hh (k, 4k)``, ``db (4k,)``.

    Raises
    ------
    ShapeError, DtypeError
        If ``dhc`` is no pair of tensors that fit the states.

    Notes
    -----
    ``c_new`` reaches the loss by two ways, directly and through ``h_new``; its gradients add.

    Examples
    --------
    >>> x = h = c = torch.zeros((1, 1))
    >>> w = torch.zeros((1, 4))
    >>> _, cache = lstm_cell_forward(x, h, c, w, w, torch.zeros(4))
    >>> grads = lstm_cell_backward((torch.tensor([[8.0]]), torch.tensor([[4.0]])), cache)
    >>> grads.dc.tolist(), grads.db.tolist()
    ([[4.0]], [0.0, 0.0, 4.0, 0.0])
    """
    x, h, c, w_xh, w_hh, i, f, g, o, tanh_c = cache
    dh, dc = _pair("lstm_cell_backward", dhc)
    check_upstream("lstm_cell_backward", dh, tanh_c, name="dh")
    check_upstream("lstm_cell_backward", dc, tanh_c, name="dc")
    dc = dc + dh * o * (1 - tanh_c * tanh_c)
    da = torch.cat(
        [
            dc * g * i * (1 - i),
            dc * c * f * (1 - f),
            dc * i * (1 - g * g),
            dh * tanh_c * o * (1 - o),
        ],
        dim=1,
    )  # (n, 4k), before sigmoid and tanh
    return LstmGrads(da @ w_xh.T, da @ w_hh.T, dc * f, x.T @ da, h.T @ da, da.sum(dim=0))


def gru_cell_forward(
    x: Tensor, h: Tensor, w_xh: Tensor, w_hh: Tensor, b_x: Tensor, b_h: Tensor
) -> tuple[Tensor, GruCellCache]:
    """Compute ``h_new = (1 - z) * n + z * h``.

    The reset gate is ``r = sigmoid(x_r + h_r)``, the update gate ``z = sigmoid(x_z + h_z)``, the
    candidate ``n = tanh(x_n + r * h_n)``, with ``x_r, x_z, x_n`` the blocks of ``x @ w_xh + b_x``
    and ``h_r, h_z, h_n`` those of ``h @ w_hh + b_h``.

    Parameters
    ----------
    x : tensor (n, d) of floats
        Input of this time step.
    h : tensor (n, k)
        State after the last step.
    w_xh : tensor (d, 3k)
        Blocks in the order reset gate ``r``, update gate ``z``, candidate ``n``, as in PyTorch.
    w_hh : tensor (k, 3k)
    b_x, b_h : tensors (3k,)
        Two biases, since ``r`` multiplies one of them and not the other.

    Returns
    -------
    h_new : tensor (n, k)
    cache : GruCellCache

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.

    Notes
    -----
    As in PyTorch, and other than in the paper, ``r`` multiplies ``h @ w`` and not ``h``, so that
    one matrix product serves all gates; and ``z = 1`` keeps the old state.

    References
    ----------
    Chapter 17, "Sequences". K. Cho et al., "Learning phrase representations using RNN
    encoder-decoder for statistical machine translation", EMNLP 2014.

    Examples
    --------
    >>> x, h = torch.zeros((1, 1)), torch.tensor([[2.0]])
    >>> w, b = torch.zeros((1, 3)), torch.zeros(3)
    >>> h_new, cache = gru_cell_forward(x, h, w, w, b, b)
    >>> h_new.tolist()
    [[1.0]]
    """
    _check_cell(
        "gru_cell_forward", 3, x, w_xh, w_hh, states={"h": h}, biases={"b_x": b_x, "b_h": b_h}
    )
    x_r, x_z, x_n = torch.chunk(x @ w_xh + b_x, 3, dim=1)
    h_r, h_z, h_n = torch.chunk(h @ w_hh + b_h, 3, dim=1)
    r, z = _sigmoid(x_r + h_r), _sigmoid(x_z + h_z)
    n = torch.tanh(x_n + r * h_n)
    return (1 - z) * n + z * h, GruCellCache(x, h, w_xh, w_hh, r, z, n, h_n)


def gru_cell_backward(dh: Tensor, cache: GruCellCache) -> GruGrads:
    """Compute the gradients of one step of a GRU.

    Parameters
    ----------
    dh : tensor (n, k)
        Gradient with respect to ``h_new``.
    cache : GruCellCache

    Returns
    -------
    GruGrads
        ``dx (n, d)``, ``dh (n, k)`` with respect to the state before, ``dw_xh (d, 3k)``,
        ``dw_hh (k, 3k)``, ``db_x (3k,)``, ``db_h (3k,)``.

    Raises
    ------
    ShapeError, DtypeError
        If ``dh`` does not fit the state.

    Notes
    -----
    The old state reaches the new one by two ways, directly with the factor ``z`` and through
    the gates; its gradients add.

    Examples
    --------
    >>> x, h = torch.zeros((1, 1)), torch.tensor([[2.0]])
    >>> w, b = torch.zeros((1, 3)), torch.zeros(3)
    >>> _, cache = gru_cell_forward(x, h, w, w, b, b)
    >>> grads = gru_cell_backward(torch.tensor([[4.0]]), cache)
    >>> grads.dh.tolist(), grads.db_x.tolist(), grads.db_h.tolist()
    ([[2.0]], [0.0, 2.0, 2.0], [0.0, 2.0, 1.0])
    """
    x, h, w_xh, w_hh, r, z, n, h_n = cache
    check_upstream("gru_cell_backward", dh, n, name="dh")
    da_n = dh * (1 - z) * (1 - n * n)
    da_z = dh * (h - n) * z * (1 - z)
    da_r = da_n * h_n * r * (1 - r)
    da_x = torch.cat([da_r, da_z, da_n], dim=1)  # (n, 3k)
    da_h = torch.cat([da_r, da_z, da_n * r], dim=1)
    return GruGrads(
        dx=da_x @ w_xh.T,
        dh=dh * z + da_h @ w_hh.T,
        dw_xh=x.T @ da_x,
        dw_hh=h.T @ da_h,
        db_x=da_x.sum(dim=0),
        db_h=da_h.sum(dim=0),
    )


def _sigmoid(a: Tensor) -> Tensor:
    return sigmoid_forward(a)[0]


def _pair(caller: str, dhc: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Require the two gradients that an LSTM's two states need."""
    if not isinstance(dhc, tuple) or len(dhc) != 2:
        raise DtypeError(
            f"{caller}: the gradient must be a pair (dh, dc), got {type(dhc).__name__}. "
            f"Give zeros for a state that the loss does not use."
        )
    return dhc


def _check_cell(
    caller: str,
    gates: int,
    x: Tensor,
    w_xh: Tensor,
    w_hh: Tensor,
    *,
    states: dict[str, Tensor],
    biases: dict[str, Tensor],
) -> None:
    """Require shapes that fit ``gates`` blocks of ``k`` columns; ``w_hh`` defines ``k``."""
    check_floats(caller, x=x, **states, w_xh=w_xh, w_hh=w_hh, **biases)
    width = "k" if gates == 1 else f"{gates}k"
    check_shape(caller, "w_hh", w_hh, ("k", width))
    k = w_hh.shape[0]
    check_shape(caller, "w_hh", w_hh, (k, gates * k), "One block of k columns for each gate.")
    check_shape(caller, "w_xh", w_xh, ("d", gates * k), "Its columns are those of w_hh.")
    check_shape(caller, "x", x, ("n", w_xh.shape[0]), "Rows are examples.")
    for name, state in states.items():
        check_shape(caller, name, state, (x.shape[0], k), "One state for each row of x.")
    for name, bias in biases.items():
        check_shape(caller, name, bias, (gates * k,), "One bias for each column of the weights.")
