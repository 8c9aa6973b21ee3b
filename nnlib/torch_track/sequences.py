"""Whole sequences through a recurrent cell, and backpropagation through time.

The input is ``x (n, t, d)``: ``n`` sequences of ``t`` steps. The same cell, with the same
weights, takes every step. So the weights' gradients are sums over time, and the gradient of the
state runs backwards through all steps. To train on a long text in pieces (truncated
backpropagation through time), hand the last state of one piece to the next and let its gradient
go.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nnlib.contract.caches_sequences import (
    GruCache,
    GruGrads,
    LstmCache,
    LstmGrads,
    RnnCache,
    RnnGrads,
)
from nnlib.errors import ShapeError, check_floats, check_shape, format_shape
from nnlib.torch_track.recurrent import (
    _check_cell,
    _pair,
    gru_cell_backward,
    gru_cell_forward,
    lstm_cell_backward,
    lstm_cell_forward,
    rnn_cell_backward,
    rnn_cell_forward,
)

__all__ = [
    "gru_backward",
    "gru_forward",
    "lstm_backward",
    "lstm_forward",
    "rnn_backward",
    "rnn_forward",
]


def rnn_forward(
    x: Tensor, h: Tensor, w_xh: Tensor, w_hh: Tensor, b: Tensor
) -> tuple[Tensor, RnnCache]:
    """Apply `rnn_cell_forward` to each step in turn.

    Parameters
    ----------
    x : tensor (n, t, d) of floats, at least one step
    h : tensor (n, k)
        State before the first step.
    w_xh, w_hh, b : tensors (d, k), (k, k), (k,)

    Returns
    -------
    y : tensor (n, t, k)
        The state after each step; the last one is ``y[:, -1]``.
    cache : RnnCache

    Raises
    ------
    ShapeError
        If the shapes do not fit together, or there is no step.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.

    References
    ----------
    Chapter 17, "Sequences".

    Examples
    --------
    >>> x, h, w = torch.zeros((1, 3, 1)), torch.ones((1, 1)), torch.ones((1, 1))
    >>> y, cache = rnn_forward(x, h, w, w, torch.zeros(1))
    >>> [round(state, 3) for state in y[0, :, 0].tolist()]
    [0.762, 0.642, 0.566]
    """
    times = _steps("rnn_forward", 1, x, w_xh, w_hh, states={"h": h}, biases={"b": b})
    states, steps = [], []
    for step in times:
        h, cache = rnn_cell_forward(x[:, step], h, w_xh, w_hh, b)
        states.append(h)
        steps.append(cache)
    return torch.stack(states, dim=1), RnnCache(tuple(steps))


def rnn_backward(dy: Tensor, cache: RnnCache) -> RnnGrads:
    """Walk the steps of `rnn_forward` backwards in time.

    Parameters
    ----------
    dy : tensor (n, t, k)
        Gradient with respect to the state after each step.
    cache : RnnCache

    Returns
    -------
    RnnGrads
        ``dx (n, t, d)``, ``dh (n, k)`` with respect to the state before the first step, and the
        weights' gradients summed over time.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Examples
    --------
    >>> x, h, w = torch.zeros((1, 3, 1)), torch.zeros((1, 1)), torch.ones((1, 1))
    >>> _, cache = rnn_forward(x, h, w, w, torch.zeros(1))
    >>> grads = rnn_backward(torch.ones((1, 3, 1)), cache)
    >>> grads.dx.tolist(), grads.db.tolist()
    ([[[3.0], [2.0], [1.0]]], [6.0])
    """
    _check_steps("rnn_backward", dy, cache.steps)
    return _through_time(rnn_cell_backward, dy, cache.steps)


def lstm_forward(
    x: Tensor, h: Tensor, c: Tensor, w_xh: Tensor, w_hh: Tensor, b: Tensor
) -> tuple[tuple[Tensor, Tensor], LstmCache]:
    """Apply `lstm_cell_forward` to each step in turn.

    Parameters
    ----------
    x : tensor (n, t, d) of floats, at least one step
    h, c : tensors (n, k)
        State and cell state before the first step.
    w_xh, w_hh, b : tensors (d, 4k), (k, 4k), (4k,)

    Returns
    -------
    (y, c_last) : tensors (n, t, k), (n, k)
        The state after each step, and the cell state after the last.
    cache : LstmCache

    Raises
    ------
    ShapeError
        If the shapes do not fit together, or there is no step.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.

    References
    ----------
    Chapter 17, "Sequences".

    Examples
    --------
    >>> x, h, c = torch.zeros((1, 2, 1)), torch.zeros((1, 1)), torch.tensor([[4.0]])
    >>> w, b = torch.zeros((1, 4)), torch.zeros(4)
    >>> (y, c_last), cache = lstm_forward(x, h, c, w, w, b)
    >>> [round(state, 3) for state in y[0, :, 0].tolist()], c_last.tolist()
    ([0.482, 0.381], [[1.0]])
    """
    times = _steps("lstm_forward", 4, x, w_xh, w_hh, states={"h": h, "c": c}, biases={"b": b})
    states, steps = [], []
    for step in times:
        (h, c), cache = lstm_cell_forward(x[:, step], h, c, w_xh, w_hh, b)
        states.append(h)
        steps.append(cache)
    return (torch.stack(states, dim=1), c), LstmCache(tuple(steps))


def lstm_backward(dyc: tuple[Tensor, Tensor], cache: LstmCache) -> LstmGrads:
    """Walk the steps of `lstm_forward` backwards in time.

    Parameters
    ----------
    dyc : (dy, dc), tensors (n, t, k), (n, k)
        Gradients with respect to the state after each step, and to the last cell state.
    cache : LstmCache

    Returns
    -------
    LstmGrads
        ``dx (n, t, d)``, ``dh`` and ``dc (n, k)`` with respect to the states before the first
        step, and the weights' gradients summed over time.

    Raises
    ------
    ShapeError, DtypeError
        If ``dyc`` is no pair of tensors that fit the outputs.

    Examples
    --------
    >>> x, h = torch.zeros((1, 2, 1)), torch.zeros((1, 1))
    >>> w, b = torch.zeros((1, 4)), torch.zeros(4)
    >>> _, cache = lstm_forward(x, h, h, w, w, b)
    >>> lstm_backward((x, torch.tensor([[8.0]])), cache).dc.tolist()
    [[2.0]]
    """
    dy, dc = _pair("lstm_backward", dyc)
    _check_steps("lstm_backward", dy, cache.steps)
    check_floats("lstm_backward", dy=dy, dc=dc)
    check_shape("lstm_backward", "dc", dc, tuple(cache.steps[0].c.shape))

    def step_backward(dh: Tensor, step: Any) -> LstmGrads:
        # The cell state's gradient runs along the steps, beside the state's.
        nonlocal dc
        grads = lstm_cell_backward((dh, dc), step)
        dc = grads.dc
        return grads

    return _through_time(step_backward, dy, cache.steps)


def gru_forward(
    x: Tensor, h: Tensor, w_xh: Tensor, w_hh: Tensor, b_x: Tensor, b_h: Tensor
) -> tuple[Tensor, GruCache]:
    """Apply `gru_cell_forward` to each step in turn.

    Parameters
    ----------
    x : tensor (n, t, d) of floats, at least one step
    h : tensor (n, k)
        State before the first step.
    w_xh, w_hh, b_x, b_h : tensors (d, 3k), (k, 3k), (3k,), (3k,)

    Returns
    -------
    y : tensor (n, t, k)
        The state after each step; the last one is ``y[:, -1]``.
    cache : GruCache

    Raises
    ------
    ShapeError
        If the shapes do not fit together, or there is no step.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.

    References
    ----------
    Chapter 17, "Sequences".

    Examples
    --------
    >>> x, h = torch.zeros((1, 2, 1)), torch.tensor([[4.0]])
    >>> w, b = torch.zeros((1, 3)), torch.zeros(3)
    >>> y, cache = gru_forward(x, h, w, w, b, b)
    >>> y.tolist()
    [[[2.0], [1.0]]]
    """
    biases = {"b_x": b_x, "b_h": b_h}
    times = _steps("gru_forward", 3, x, w_xh, w_hh, states={"h": h}, biases=biases)
    states, steps = [], []
    for step in times:
        h, cache = gru_cell_forward(x[:, step], h, w_xh, w_hh, b_x, b_h)
        states.append(h)
        steps.append(cache)
    return torch.stack(states, dim=1), GruCache(tuple(steps))


def gru_backward(dy: Tensor, cache: GruCache) -> GruGrads:
    """Walk the steps of `gru_forward` backwards in time.

    Parameters
    ----------
    dy : tensor (n, t, k)
        Gradient with respect to the state after each step.
    cache : GruCache

    Returns
    -------
    GruGrads
        ``dx (n, t, d)``, ``dh (n, k)`` with respect to the state before the first step, and the
        weights' gradients summed over time.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Examples
    --------
    >>> x, h = torch.zeros((1, 2, 1)), torch.zeros((1, 1))
    >>> w, b = torch.zeros((1, 3)), torch.zeros(3)
    >>> _, cache = gru_forward(x, h, w, w, b, b)
    >>> gru_backward(torch.tensor([[[0.0], [8.0]]]), cache).dh.tolist()
    [[2.0]]
    """
    _check_steps("gru_backward", dy, cache.steps)
    return _through_time(gru_cell_backward, dy, cache.steps)


def _through_time(
    cell_backward: Callable[[Tensor, Any], Any], dy: Tensor, steps: tuple[Any, ...]
) -> Any:
    """Go backwards: each step's ``dh`` joins the gradient of the step before."""
    dx = dy.new_empty((*dy.shape[:2], steps[0].x.shape[1]))
    sums: dict[str, Tensor] = {}  # of the weights' gradients
    grads: Any = None  # of the step after
    for step in reversed(range(dy.shape[1])):
        dh = dy[:, step] if grads is None else dy[:, step] + grads.dh
        grads = cell_backward(dh, steps[step])
        dx[:, step] = grads.dx
        for name in (name for name in grads._fields if name.startswith(("dw", "db"))):
            if name in sums:
                sums[name] += getattr(grads, name)
            else:
                sums[name] = getattr(grads, name)
    return grads._replace(dx=dx, **sums)


def _steps(
    caller: str,
    gates: int,
    x: Tensor,
    w_xh: Tensor,
    w_hh: Tensor,
    *,
    states: dict[str, Tensor],
    biases: dict[str, Tensor],
) -> range:
    """Check the arguments once for all steps; return the steps' numbers, at least one."""
    check_floats(caller, x=x, w_xh=w_xh)
    check_shape(caller, "w_xh", w_xh, ("d", "k" if gates == 1 else f"{gates}k"))
    check_shape(
        caller, "x", x, ("n", "t", w_xh.shape[0]), "Each sequence has its steps as rows."
    )
    if x.shape[1] == 0:
        raise ShapeError(
            f"{caller}: x must have at least one time step, got shape {format_shape(x.shape)}."
        )
    _check_cell(caller, gates, x[:, 0], w_xh, w_hh, states=states, biases=biases)
    return range(x.shape[1])


def _check_steps(caller: str, dy: Tensor, steps: tuple[Any, ...]) -> None:
    """Require of ``dy`` one gradient for each state of `steps`."""
    n, k = steps[0].h.shape
    check_floats(caller, dy=dy, h=steps[0].h)
    check_shape(caller, "dy", dy, (n, len(steps), k))
