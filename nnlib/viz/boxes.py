"""Arrays with three axes as blocks of cells, for pictures of how axes are stretched and summed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnlib.errors import ShapeError, format_shape
from nnlib.viz.grids import GridBox, grid_sign, matrix_grid
from nnlib.viz.style import COLORS, TEXT_COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: How far one step along the last axis moves a cell to the right and up.
DEPTH = (0.42, 0.34)

_Corners = list[tuple[float, float]]


def block(
    ax: Axes,
    shape: tuple[int, int, int],
    *,
    broadcast_to: tuple[int, int, int] | None = None,
    origin: tuple[float, float] = (0.0, 0.0),
    color: str = "x",
    label: str | None = None,
    axis_names: Sequence[str] | None = None,
) -> GridBox:
    """Draw an array with three axes as a block: rows down, columns right, last axis backwards.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    shape : three int
    broadcast_to : three int, optional
        Draw the copies that broadcasting makes up, pale and dashed.
    origin : pair of float
        Top left corner of the front. A cell is 1 x 1.
    color : str
        A name in ``COLORS`` or any matplotlib colour.
    label : str, optional
        Written below, above the shape.
    axis_names : three str, optional
        Written along the three axes.

    Returns
    -------
    GridBox
        The corners of all that is drawn, without the texts.

    Raises
    ------
    ShapeError
        If `shape` does not broadcast to `broadcast_to`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> box = block(ax, (4, 1, 2), broadcast_to=(4, 3, 2))
    >>> round(box.right, 2), box.bottom
    (3.84, -4.0)
    """
    full = shape if broadcast_to is None else broadcast_to
    fits = len(shape) == len(full) == 3 and all(
        size in (1, wide) for size, wide in zip(shape, full, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"block: shape {format_shape(shape)} must broadcast to {format_shape(full)}, but an "
            "axis is neither 1 nor equal."
        )
    rows, columns, depth = full
    left, top = origin
    for (i, j, k), corners in _visible_faces(full, left, top):
        copy = i >= shape[0] or j >= shape[1] or k >= shape[2]
        _draw_face(ax, corners, COLORS.get(color, color), copy)
    box = GridBox(left, left + columns + depth * DEPTH[0], top - rows, top + depth * DEPTH[1])
    ink, note = TEXT_COLORS.get(color, color), TEXT_COLORS["muted"]
    text = format_shape(shape) + ("" if full == shape else f" → {format_shape(full)}")
    middle = left + columns / 2
    if label is not None:
        ax.text(middle, box.bottom - 0.25, label, ha="center", va="top", fontsize=11, color=ink)
    ax.text(middle, box.bottom - (0.85 if label else 0.25), text, ha="center", va="top",
            fontsize=9.5, color=ink)  # fmt: skip
    if axis_names is not None:
        ax.text(left - 0.2, top - rows / 2, axis_names[0], ha="right", va="center", rotation=90,
                fontsize=9, color=note)  # fmt: skip
        ax.text(middle + depth * DEPTH[0], box.top + 0.15, axis_names[1], ha="center",
                va="bottom", fontsize=9, color=note)  # fmt: skip
        ax.text(left + depth * DEPTH[0] / 2 - 0.15, top + depth * DEPTH[1] / 2 + 0.1,
                axis_names[2], ha="right", va="bottom", fontsize=9, color=note)  # fmt: skip
    ax.update_datalim([(left - 0.7, box.bottom - 1.5), (box.right + 0.1, box.top + 0.6)])
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.autoscale_view()
    return box


def draw_sum(ax: Axes, left: Sequence[int], right: Sequence[int]) -> None:
    """Draw the sum of two arrays 1, 2, 3, … with their copies, or that they do not fit.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    left, right : shapes with at most two axes and sizes up to 4

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> draw_sum(ax, (3,), (4,))
    >>> ax.texts[-1].get_text()
    'ValueError'
    """
    a, b = (np.arange(1, 1 + math.prod(shape)).reshape(shape) for shape in (left, right))
    try:
        total = a + b
    except ValueError:
        total = None
    full = None if total is None else np.atleast_2d(total).shape
    matrix_grid(ax, a, label="$a$", broadcast_to=full)
    matrix_grid(ax, b, origin=(5.5, 0), color="b", label="$b$", broadcast_to=full)
    grid_sign(ax, 4.75, -1.5, "+")
    grid_sign(ax, 10.25, -1.5, "=")
    if total is None:
        ax.text(13, -1.5, "ValueError", ha="center", va="center", color=TEXT_COLORS["w"])
    else:
        matrix_grid(ax, total, origin=(11, 0), color="y", label="$a + b$")
    # The same window for every pair, so that nothing jumps.
    ax.set(xlim=(-0.3, 15.3), ylim=(-4.1, 1.3))


def _visible_faces(
    shape: tuple[int, int, int], left: float, top: float
) -> list[tuple[tuple[int, int, int], _Corners]]:
    """Return cell and corners of each face that is seen from the front, above and right."""
    rows, columns, depth = shape

    def at(i: float, j: float, k: float) -> tuple[float, float]:
        return left + j + k * DEPTH[0], top - i + k * DEPTH[1]

    front = [
        ((i, j, 0), [at(i, j, 0), at(i, j + 1, 0), at(i + 1, j + 1, 0), at(i + 1, j, 0)])
        for i in range(rows) for j in range(columns)
    ]  # fmt: skip
    above = [
        ((0, j, k), [at(0, j, k), at(0, j + 1, k), at(0, j + 1, k + 1), at(0, j, k + 1)])
        for j in range(columns) for k in range(depth)
    ]  # fmt: skip
    right = [
        ((i, columns - 1, k), [at(i, columns, k), at(i, columns, k + 1),
                               at(i + 1, columns, k + 1), at(i + 1, columns, k)])
        for i in range(rows) for k in range(depth)
    ]  # fmt: skip
    return front + above + right


def _draw_face(ax: Axes, corners: _Corners, color: str, copy: bool) -> None:
    from matplotlib.patches import Polygon

    ax.add_patch(Polygon(corners, facecolor=color, alpha=0.05 if copy else 0.32, linewidth=0))
    ax.add_patch(
        Polygon(
            corners,
            facecolor="none",
            edgecolor=color,
            alpha=0.55 if copy else 1.0,
            linewidth=0.8 if copy else 1.3,
            linestyle=(0, (2.5, 2)) if copy else "-",
            joinstyle="round",
            zorder=1.5 if copy else 2,
        )
    )
