"""Fully connected networks as pictures: one circle per neuron, one colour per symbol."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nnlib.viz.nodes import Point, draw_node, frame_axes, shorten, within
from nnlib.viz.style import COLORS, TEXT_COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_network(
    ax: Axes,
    sizes: Sequence[int],
    *,
    weights: Sequence[ArrayLike] | None = None,
    labels: Sequence[Sequence[str]] | None = None,
    layer_names: Sequence[str] | None = None,
    max_nodes: int = 7,
    highlight: tuple[int, int] | None = None,
) -> None:
    """Draw a fully connected network, one circle per neuron.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    sizes : sequence of int
        Neurons per layer from input to output: ``(2, 3, 1)``.
    weights : sequence of arrays, shapes (sizes[k], sizes[k + 1]), optional
        Edge width shows the size of a weight; solid is positive, dashed is negative.
    labels : sequence of sequences of str, optional
        A label for each neuron. By default x, h and y with their numbers.
    layer_names : sequence of str, optional
        Written above the layers. By default input, hidden and output, with the sizes.
    max_nodes : int
        A larger layer is drawn with its middle left out.
    highlight : (layer, neuron), optional
        Draw this neuron's incoming edges strongly and all others faintly. Counted from 0.

    Raises
    ------
    ValueError
        If there are fewer than two layers, an empty layer, or `weights` of other shapes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> draw_network(ax, (2, 3, 1))
    >>> "$h_{3}$" in [text.get_text() for text in ax.texts]
    True
    """
    sizes = [int(size) for size in sizes]
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"draw_network: sizes must name at least two layers of one neuron or more, got {sizes}."
            " The first is the number of inputs."
        )
    matrices = None if weights is None else [np.asarray(m, dtype=np.float64) for m in weights]
    shapes = list(pairwise(sizes))
    if matrices is not None and [m.shape for m in matrices] != shapes:
        raise ValueError(
            f"draw_network: weights must have shapes {shapes}, got {[m.shape for m in matrices]}. "
            "A weight matrix is (d_in, d_out): did you pass its transpose?"
        )
    largest = max((float(np.abs(m).max()) for m in matrices or ()), default=1.0) or 1.0
    gap = 2.15 if max(sizes) > 4 else 1.85
    places = [_column(size, gap * k, max_nodes) for k, size in enumerate(sizes)]
    top = max(y for column in places for _, y in column.values())
    unit = frame_axes(ax, (-0.75, gap * (len(sizes) - 1) + 0.75), (-top - 0.4, top + 1.15))
    letter = within(0.26 * unit, 8, 16)
    for k, (before, after) in enumerate(pairwise(places)):
        for i, start in before.items():
            for j, end in after.items():
                strong = highlight is None or highlight == (k + 1, j)
                weight = None if matrices is None else float(matrices[k][i, j])
                _edge(ax, start, end, weight, largest, strong=strong)
    for k, column in enumerate(places):
        color = "x" if k == 0 else "y" if k == len(sizes) - 1 else "hidden"
        for j, center in column.items():
            text = labels[k][j] if labels is not None else _neuron_name(k, j, sizes)
            long = text.count("(") and text.startswith("$")
            draw_node(
                ax, center, text, color=color, radius=0.3, fontsize=(0.85 if long else 1) * letter
            )
        if len(column) < sizes[k]:
            middle = np.mean([y for _, y in column.values()])
            for dy in (-0.17, 0.0, 0.17):
                ax.plot(gap * k, middle + dy, ".", color=COLORS["muted"], markersize=4)
    names = layer_names if layer_names is not None else _layer_names(sizes)
    for k, name in enumerate(names):
        ax.text(
            gap * k,
            top + 0.5,
            name,
            ha="center",
            va="bottom",
            fontsize=within(0.2 * unit, 8, 11),
            linespacing=1.35,
            color=TEXT_COLORS["muted"],
        )


def _column(size: int, x: float, max_nodes: int) -> dict[int, Point]:
    """Where the neurons of a layer stand: index -> place, the middle left out if too many."""
    if size <= max_nodes:
        return {j: (x, 0.85 * ((size - 1) / 2 - j)) for j in range(size)}
    half = max(1, (max_nodes - 1) // 2)
    slots = 2 * half + 1
    shown = [*range(half), *range(size - half, size)]
    rows = [*range(half), *range(half + 1, slots)]
    return {j: (x, 0.85 * ((slots - 1) / 2 - r)) for j, r in zip(shown, rows, strict=True)}


def _neuron_name(layer: int, j: int, sizes: Sequence[int]) -> str:
    if layer == 0:
        return f"$x_{{{j + 1}}}$"
    if layer == len(sizes) - 1:
        return "$y$" if sizes[-1] == 1 else f"$y_{{{j + 1}}}$"
    if len(sizes) == 3:
        return f"$h_{{{j + 1}}}$"
    return f"$h^{{({layer})}}_{{{j + 1}}}$"


def _layer_names(sizes: Sequence[int]) -> list[str]:
    hidden = ["hidden"] if len(sizes) == 3 else [f"hidden {k}" for k in range(1, len(sizes) - 1)]
    names = ["input", *hidden, "output"]
    return [f"{name}\n{size}" for name, size in zip(names, sizes, strict=True)]


def _edge(
    ax: Axes, start: Point, end: Point, weight: float | None, largest: float, *, strong: bool
) -> None:
    (x0, y0), (x1, y1) = shorten(start, end, 0.3, 0.3)
    share = 0.45 if weight is None else abs(weight) / largest
    ax.plot(
        [x0, x1],
        [y0, y1],
        color=COLORS["w"],
        alpha=(0.9 if weight is not None else 0.75) if strong else 0.16,
        linewidth=0.5 + 2.6 * share if weight is not None else 1.3,
        linestyle="-" if weight is None or weight >= 0 else (0, (3, 2)),
        solid_capstyle="butt",
        dash_capstyle="butt",
        zorder=1,
    )
