"""Arrays as labelled grids, for pictures of shapes and broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nnlib.errors import ShapeError
from nnlib.viz.style import COLORS, TEXT_COLORS, number_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class GridBox(NamedTuple):
    """Where a grid stands in its axes, in data units (one cell is 1 x 1).

    Attributes
    ----------
    left, right, bottom, top : float

    Examples
    --------
    >>> GridBox(0, 3, -2, 0).right
    3
    """

    left: float
    right: float
    bottom: float
    top: float


def matrix_grid(
    ax: Axes,
    array: ArrayLike,
    *,
    origin: tuple[float, float] = (0.0, 0.0),
    color: str = "x",
    label: str | None = None,
    show_shape: bool = True,
    format: str | Callable[[Any], str] = "{:g}",
    highlight_rows: Collection[int] = (),
    highlight_columns: Collection[int] = (),
    broadcast_to: tuple[int, int] | None = None,
    row_name: str | None = None,
    column_name: str | None = None,
    fontsize: float = 11,
) -> GridBox:
    """Draw an array as a grid of cells with its values and its shape.

    Call it several times on one axes, with `origin` to the right of the box that the call before
    returned, to picture an operation.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    array : array, shape (), (d,) or (n, d)
        A one-dimensional array is drawn as a row: that is how it broadcasts.
    origin : pair of float
        Top left corner. A cell is 1 x 1, rows run downwards.
    color : str
        A name in ``COLORS`` or any matplotlib colour.
    label : str, optional
        Written above: ``"$x$"``.
    show_shape : bool
        Write the shape below.
    format : str or callable
        How a value is written; ``""`` leaves the cells empty.
    highlight_rows, highlight_columns : collection of int
        Cells in these rows or columns are filled strongly.
    broadcast_to : (rows, columns), optional
        Draw the copies that broadcasting makes up, faded and dashed.
    row_name, column_name : str, optional
        What the rows and the columns are: ``"examples"``, ``"features"``.
    fontsize : float
        Of the values, in points.

    Returns
    -------
    GridBox
        The corners of the whole grid, copies included.

    Raises
    ------
    ShapeError
        If `array` has more than two axes, or doesn't broadcast to `broadcast_to`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> matrix_grid(ax, [1, 2, 3], broadcast_to=(2, 3))
    GridBox(left=0.0, right=3.0, bottom=-2.0, top=0.0)
    """
    from matplotlib.patches import Rectangle

    values = np.asarray(array)
    if values.ndim > 2:
        raise ShapeError(
            f"matrix_grid: array must have at most two axes, got shape {values.shape}. "
            "Draw one slice: array[0]."
        )
    cells = np.atleast_2d(values)
    rows, columns = cells.shape if broadcast_to is None else broadcast_to
    try:
        shown = np.broadcast_to(cells, (rows, columns))
    except ValueError:
        raise ShapeError(
            f"matrix_grid: array of shape {values.shape} must broadcast to {(rows, columns)}, but "
            "an axis is neither 1 nor equal. Axes are compared from the right."
        ) from None
    left, top = (float(v) for v in origin)
    line, ink = COLORS.get(color, color), TEXT_COLORS.get(color, color)
    for i in range(rows):
        for j in range(columns):
            copy = i >= cells.shape[0] or j >= cells.shape[1]
            strong = not copy and (i in highlight_rows or j in highlight_columns)
            corner = (left + j, top - i - 1)
            tint = 0.04 if copy else 0.42 if strong else 0.13
            ax.add_patch(Rectangle(corner, 1, 1, facecolor=line, alpha=tint, linewidth=0, zorder=1))
            ax.add_patch(
                Rectangle(
                    corner,
                    1,
                    1,
                    facecolor="none",
                    edgecolor=line,
                    alpha=0.5 if copy else 1.0,
                    linewidth=0.8 if copy else 1.3,
                    linestyle=(0, (2.5, 2)) if copy else "-",
                    # A copy's dashes must not run over a real cell's line.
                    zorder=1.5 if copy else 2,
                )
            )
            value = shown[i, j]
            ax.text(
                corner[0] + 0.5,
                corner[1] + 0.48,
                number_text(value, format),
                ha="center",
                va="center",
                fontsize=fontsize,
                color=TEXT_COLORS["muted"] if copy else TEXT_COLORS["ink"],
                alpha=0.75 if copy else 1.0,
                zorder=3,
            )
    box = GridBox(left, left + columns, top - rows, top)
    middle = left + columns / 2
    note = TEXT_COLORS["muted"]
    above = top + 0.22
    if column_name is not None:
        ax.text(middle, above, f"{column_name} →", ha="center", va="bottom", fontsize=9, color=note)
        above += 0.5
    if label is not None:
        size = 15 if "$" in label else 11.5
        ax.text(middle, above, label, ha="center", va="bottom", fontsize=size, color=ink)
        above += 0.75
    if row_name is not None:
        ax.text(
            left - 0.22,
            top - rows / 2,
            f"← {row_name}",
            ha="right",
            va="center",
            rotation=90,
            fontsize=9,
            color=note,
        )
    below = box.bottom
    if show_shape:
        text = str(values.shape)
        if broadcast_to is not None and values.shape != (rows, columns):
            text += f" → ({rows}, {columns})"
        ax.text(middle, below - 0.22, text, ha="center", va="top", fontsize=10, color=ink)
        below -= 0.75
    ax.update_datalim(
        [(left - (0.7 if row_name else 0.15), below), (box.right + 0.15, max(above, top + 0.15))]
    )
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.autoscale_view()
    return box


def grid_sign(ax: Axes, x: float, y: float, sign: str, *, fontsize: float = 18) -> None:
    """Write an operator between two grids.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    x, y : float
        Its middle, in the units of the grids.
    sign : str
        Text or mathtext: ``"+"``, ``"@"``, ``"="``.
    fontsize : float
        In points.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> grid_sign(ax, 3.5, -1, "+")
    >>> ax.texts[0].get_text()
    '+'
    """
    ax.text(x, y, sign, ha="center", va="center", fontsize=fontsize, color=TEXT_COLORS["ink"])
