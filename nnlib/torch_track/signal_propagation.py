"""How signals grow or shrink on their way through a deep network, measured and predicted."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nnlib.contract import LayerStatistics
from nnlib.errors import (
    ShapeError,
    check_choice,
    check_floats,
    check_number,
    check_shape,
    check_upstream,
)

__all__ = ["SLOPES", "layer_statistics", "normal_mean", "predict_mean_squares"]

#: Name to ``(activation, slope at z)``.
SLOPES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "identity": (lambda z: z, torch.ones_like),
    "relu": (torch.relu, lambda z: (z > 0).to(z.dtype)),
    "tanh": (torch.tanh, lambda z: 1 - torch.tanh(z) ** 2),
}


def layer_statistics(
    x: Tensor,
    params: Sequence[tuple[Tensor, Tensor]],
    dy: Tensor,
    *,
    activation: str = "relu",
) -> LayerStatistics:
    """Measure what a stack of layers ``h = activation(h @ w + b)`` does to signals, both ways.

    Parameters
    ----------
    x : tensor (n, d_0) of floats, n >= 1
    params : list of (w (d_in, d_out), b (d_out,))
        At least one layer. The activation follows every layer, the last one too.
    dy : tensor (n, d_last)
        Gradient with respect to the last layer's output.
    activation : "relu", "tanh" or "identity"

    Returns
    -------
    LayerStatistics
        Four arrays with one entry for each layer: ``variance`` of all entries of ``z``,
        ``mean_square`` of all entries of ``h``, ``dead``, the share of units whose slope is 0
        for every row, and ``gradient_mean_square`` of the gradient with respect to ``h``.

    Raises
    ------
    ShapeError
        If there is no row or no layer, or if the shapes do not fit together.
    DtypeError
        If a tensor holds no floats, or the dtypes differ.
    ValueError
        If the activation is unknown.

    Notes
    -----
    The last entry of ``gradient_mean_square`` is the mean square of ``dy`` itself.

    References
    ----------
    Chapter 7, "Initialization".

    Examples
    --------
    >>> x, w = torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    >>> found = layer_statistics(x, [(w, torch.zeros(2))], torch.tensor([[1.0, 2.0]]))
    >>> [float(value[0]) for value in found]
    [9.0, 8.0, 0.5, 2.5]
    """
    check_choice("layer_statistics", "activation", activation, tuple(SLOPES))
    check_shape("layer_statistics", "x", x, ("n", "d_in"))
    if not len(params) or not len(x):
        raise ShapeError("layer_statistics: there must be at least one layer and one row, got "
                         f"{len(params)} layers and {len(x)} rows.")
    forward, slope_at = SLOPES[activation]
    h, slopes, rows = x, [], []
    for w, b in params:
        check_floats("layer_statistics", x=x, w=w, b=b)
        check_shape("layer_statistics", "w", w, (h.shape[1], "d_out"))
        check_shape("layer_statistics", "b", b, (w.shape[1],))
        z = h @ w + b
        h, slope = forward(z), slope_at(z)
        slopes.append(slope)
        dead = (slope == 0).all(dim=0).to(z.dtype)
        rows.append((z.var(correction=0), (h**2).mean(), dead.mean()))
    check_floats("layer_statistics", x=x, dy=dy)
    check_upstream("layer_statistics", dy, h)
    dh, squares = dy, []
    for (w, _), slope in zip(reversed(params), reversed(slopes), strict=True):
        squares.append((dh**2).mean())
        dh = (dh * slope) @ w.T
    columns = [*zip(*rows, strict=True), squares[::-1]]
    return LayerStatistics(*(torch.stack(list(column)) for column in columns))


def normal_mean(f: Callable[[Tensor], Tensor]) -> float:
    """Compute the mean of ``f(t)`` for a standard normal ``t``, on a fine grid.

    Parameters
    ----------
    f : callable
        Takes an tensor (m,) and returns one. It may have kinks, and must not grow faster than a
        power.

    Returns
    -------
    float

    Notes
    -----
    Below -9 and above 9 the normal density is less than 1e-17. No point of the grid is 0, so that a
    function may jump there.

    References
    ----------
    Chapter 7, "Initialization".

    Examples
    --------
    >>> round(normal_mean(lambda t: t**2), 6), round(normal_mean(lambda t: torch.relu(t)), 6)
    (1.0, 0.398942)
    """
    t = torch.linspace(-9, 9, 6000, dtype=torch.float64)
    weight = torch.exp(-(t**2) / 2)
    return float(weight @ f(t) / weight.sum())


def predict_mean_squares(
    activation: Callable[[Tensor], Tensor],
    mean_square: float,
    sizes: Sequence[int],
    weight_variances: Sequence[float],
) -> Tensor:
    """Predict the mean square of each layer's output, ``E[activation(sqrt(v) t)^2]``.

    ``v = d_in * weight_variance * (mean square of the layer's input)`` is the variance of the
    layer's sums, and ``t`` is standard normal.

    Parameters
    ----------
    activation : callable
        Takes a tensor and returns one of the same shape; follows every layer.
    mean_square : float
        Of the network's input; at least 0.
    sizes : sequence of int
        Number of inputs, then of units in each layer: one more than there are layers.
    weight_variances : sequence of float
        One for each layer; at least 0. Weights have mean 0, biases are 0.

    Returns
    -------
    q : tensor (layers,)

    Raises
    ------
    ShapeError
        If there is not exactly one variance for each layer.
    ValueError
        If a variance or ``mean_square`` is negative.

    References
    ----------
    Chapter 7, "Initialization".

    Examples
    --------
    >>> predict_mean_squares(torch.relu, 1.0, (4, 8, 8), (1 / 2, 1 / 4)).round(decimals=3).tolist()
    [1.0, 1.0]
    """
    caller = "predict_mean_squares"
    if len(sizes) != len(weight_variances) + 1 or len(sizes) < 2:
        raise ShapeError(f"{caller}: sizes must hold one more number than weight_variances, and "
                         f"at least 2, got {len(sizes)} and {len(weight_variances)}.")
    check_number(caller, "mean_square", mean_square, low=0)
    predicted = []
    for d_in, variance in zip(sizes[:-1], weight_variances, strict=True):
        check_number(caller, "each of weight_variances", variance, low=0)
        std = float(d_in * variance * mean_square) ** 0.5
        mean_square = normal_mean(_squared(activation, std))
        predicted.append(mean_square)
    return torch.tensor(predicted, dtype=torch.float64)


def _squared(
    activation: Callable[[Tensor], Tensor], std: float
) -> Callable[[Tensor], Tensor]:
    return lambda t: activation(std * t) ** 2
