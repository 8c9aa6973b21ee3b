"""One neuron as a picture: from inputs and weights to the output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from nnlib.viz.nodes import Point, draw_arrow, draw_edge_label, draw_node, frame_axes, within
from nnlib.viz.style import COLORS, TEXT_COLORS, number_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The functions, and their curves squeezed into a circle: z in [-3, 3], height in [0, 1].
_FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "step": lambda z: (z >= 0) * 1.0,
    "identity": lambda z: z * 1.0,
    "sigmoid": lambda z: 0.5 + 0.5 * np.tanh(0.5 * z),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
}
_CURVES: Mapping[str, Callable[[Any], Any]] = {
    "step": _FUNCTIONS["step"],
    "identity": lambda z: 0.5 + z / 6,
    "sigmoid": lambda z: _FUNCTIONS["sigmoid"](2 * z),
    "tanh": lambda z: 0.5 + 0.5 * np.tanh(1.5 * z),
    "relu": lambda z: np.maximum(z, 0) / 3,
}


def draw_neuron(
    ax: Axes,
    n_inputs: int = 3,
    *,
    x: ArrayLike | None = None,
    w: ArrayLike | None = None,
    b: float | None = None,
    activation: str = "step",
    bias: bool = True,
    format: str = "{:.3g}",
) -> None:
    """Draw one neuron: inputs, weights, weighted sum, bias, activation, output.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    n_inputs : int
        Number of inputs; taken from `x` or `w` where given.
    x, w : arrays, shape (n_inputs,), optional
        Numbers to show at the inputs and on the edges. With both and `b` the sum z and the output
        y are shown too.
    b : float, optional
        The bias as a number.
    activation : {"step", "identity", "sigmoid", "tanh", "relu"}
        Whose curve is drawn in the activation.
    bias : bool
        False leaves the bias out.
    format : str
        How numbers are written.

    Raises
    ------
    ValueError
        If there is no such activation, or `x` and `w` differ in length.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> draw_neuron(ax, x=[1, 2], w=[0.5, -1], b=0.25)
    >>> any("1.25" in text.get_text() for text in ax.texts)
    True
    """
    if activation not in _CURVES:
        known = ", ".join(repr(name) for name in _CURVES)
        raise ValueError(f"draw_neuron: activation must be one of {known}, got {activation!r}.")
    xs = None if x is None else np.asarray(x, dtype=np.float64).ravel()
    ws = None if w is None else np.asarray(w, dtype=np.float64).ravel()
    if xs is not None and ws is not None and xs.size != ws.size:
        raise ValueError(
            f"draw_neuron: x and w must have the same length, got {xs.size} and {ws.size}. "
            "One weight belongs to each input."
        )
    n_inputs = xs.size if xs is not None else ws.size if ws is not None else n_inputs
    rows = [1.0 * ((n_inputs - 1) / 2 - i) for i in range(n_inputs)]
    z: float | None = None
    if xs is not None and ws is not None and (b is not None or not bias):
        z = float(xs @ ws) + (b if bias and b is not None else 0.0)
    # A number on the arrow to the activation needs more room than the letter z.
    total, curve, out = (
        ((2.9, 0.0), (4.55, 0.0), (5.75, 0.0))
        if z is None
        else ((2.9, 0.0), (5.0, 0.0), (6.2, 0.0))
    )
    place = (total[0], -1.35 if n_inputs < 4 else rows[-1] * 0.5 - 1.2)
    bottom = min(rows[-1] - 0.45, place[1] - 0.4 if bias else -0.5)
    unit = frame_axes(ax, (-0.5, out[0] + 0.45), (bottom, max(rows[0], 0.45) + 0.95))
    letter, note = within(0.27 * unit, 9, 17), within(0.2 * unit, 8, 11)
    for i, row in enumerate(rows):
        shown = None if xs is None else number_text(xs[i], format)
        draw_node(ax, (0.0, row), f"$x_{{{i + 1}}}$", color="x", fontsize=letter, value=shown)
        draw_arrow(ax, (0.0, row), total, gaps=(0.32, 0.42), color="w")
        name = f"$w_{{{i + 1}}}$" if ws is None else number_text(ws[i], format)
        draw_edge_label(
            ax, (0.32, row), (2.48, 0.0), name, color="w", at=0.4, fontsize=0.85 * letter
        )
    draw_node(ax, total, r"$\Sigma$", color="ink", radius=0.42, fontsize=1.35 * letter)
    if bias:
        shown = None if b is None else number_text(b, format)
        draw_node(ax, place, "$b$", color="b", fontsize=letter, value=shown)
        draw_arrow(ax, place, total, gaps=(0.32, 0.42), color="b")
    draw_arrow(ax, total, curve, gaps=(0.42, 0.42), color="ink")
    name = "$z$" if z is None else f"$z=${number_text(z, format)}"
    draw_edge_label(
        ax,
        (total[0] + 0.42, 0.0),
        (curve[0] - 0.42, 0.0),
        name,
        color="ink",
        at=0.48,
        fontsize=0.85 * letter,
    )
    _activation(ax, curve, activation)
    shown = None if z is None else number_text(float(_FUNCTIONS[activation](z)), format)
    draw_arrow(ax, curve, out, gaps=(0.42, 0.32), color="y")
    draw_node(ax, out, "$y$", color="y", fontsize=letter, value=shown)
    for x_at, y_at, text in (
        (0.0, rows[0] + 0.55, "inputs"),
        (1.4, rows[0] + 0.55, "weights"),
        (total[0], 0.72, "weighted sum"),
        (curve[0], 0.72, "activation"),
        (out[0], 0.72, "output"),
    ):
        ax.text(
            x_at, y_at, text, ha="center", va="bottom", fontsize=note, color=TEXT_COLORS["muted"]
        )
    if bias:
        ax.text(
            place[0] + 0.45,
            place[1],
            "bias",
            ha="left",
            va="center",
            fontsize=note,
            color=TEXT_COLORS["muted"],
        )


def _activation(ax: Axes, center: Point, name: str) -> None:
    """A circle with the curve of the activation in it."""
    draw_node(ax, center, "", color="ink", radius=0.42)
    z = np.linspace(-3, 3, 121)
    x, y = center
    xs, ys = x + 0.08 * z, y - 0.18 + 0.36 * _CURVES[name](z)
    ax.plot([x - 0.27, x + 0.27], [y - 0.18] * 2, color=COLORS["muted"], lw=0.7, ls="-", zorder=4)
    ax.plot(xs, ys, color=COLORS["ink"], linewidth=1.9, linestyle="-", zorder=5)
