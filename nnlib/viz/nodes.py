"""Circles and arrows: the parts of which the pictures of networks and graphs are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnlib.viz.style import COLORS, TEXT_COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]


def draw_node(
    ax: Axes,
    center: Point,
    label: str,
    *,
    color: str = "ink",
    radius: float = 0.32,
    fontsize: float = 14,
    value: str | None = None,
) -> None:
    """Draw one circle with a label in it, the building block of the other pictures.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    center : pair of float
    label : str
        Text or mathtext: ``"$x_1$"``.
    color : str
        A name in ``COLORS`` or any matplotlib colour.
    radius : float
        In data units.
    fontsize : float
        In points.
    value : str, optional
        A number written in small type under the label.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> draw_node(ax, (0, 0), "$x_1$", color="x")
    >>> len(ax.patches)
    2
    """
    from matplotlib.patches import Circle

    line, ink = COLORS.get(color, color), TEXT_COLORS.get(color, color)
    # A tint of the same colour: on a transparent ground it works in light and dark.
    tint = 0.06 if line == COLORS["ink"] else 0.13
    ax.add_patch(Circle(center, radius, facecolor=line, alpha=tint, linewidth=0, zorder=3))
    ax.add_patch(Circle(center, radius, facecolor="none", edgecolor=line, linewidth=1.9, zorder=4))
    x, y = center
    lift = 0.0 if value is None else 0.26 * radius
    ax.text(x, y + lift, label, ha="center", va="center", fontsize=fontsize, color=ink, zorder=5)
    if value is not None:
        ax.text(
            x,
            y - 0.5 * radius,
            value,
            ha="center",
            va="center",
            fontsize=0.56 * fontsize,
            color=ink,
            zorder=5,
        )


def draw_arrow(
    ax: Axes, start: Point, end: Point, *, gaps: tuple[float, float], color: str
) -> None:
    """Draw an arrow between two circles whose radii are `gaps`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> draw_arrow(ax, (0, 0), (2, 0), gaps=(0.3, 0.3), color="w")
    >>> len(ax.texts)
    1
    """
    tail, tip = shorten(start, end, gaps[0], gaps[1] + 0.03)
    ax.annotate(
        "",
        xy=tip,
        xytext=tail,
        arrowprops={
            "arrowstyle": "-|>,head_length=0.5,head_width=0.22",
            "color": COLORS[color],
            "linewidth": 1.7,
            "shrinkA": 0,
            "shrinkB": 0,
        },
        zorder=2,
    )


def draw_edge_label(
    ax: Axes, start: Point, end: Point, text: str, *, color: str, at: float, fontsize: float
) -> None:
    """Write above a straight edge, along it, at a share `at` of its length.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> draw_edge_label(ax, (0, 0), (1, 1), "$w$", color="w", at=0.5, fontsize=12)
    >>> round(ax.texts[0].get_rotation())
    45
    """
    (x0, y0), (x1, y1) = start, end
    angle = np.arctan2(y1 - y0, x1 - x0)
    x = x0 + at * (x1 - x0) - 0.13 * np.sin(angle)
    y = y0 + at * (y1 - y0) + 0.13 * np.cos(angle)
    ax.text(
        x,
        y,
        text,
        ha="center",
        va="center" if "$" not in text else "baseline",
        rotation=np.degrees(angle),
        rotation_mode="anchor",
        fontsize=fontsize if "$" in text else 0.9 * fontsize,
        color=TEXT_COLORS[color],
        zorder=5,
    )


def shorten(start: Point, end: Point, at_start: float, at_end: float) -> tuple[Point, Point]:
    """Let an edge begin and end at the rims of its circles.

    Examples
    --------
    >>> shorten((0.0, 0.0), (4.0, 0.0), 1.0, 0.5)
    ((1.0, 0.0), (3.5, 0.0))
    """
    (x0, y0), (x1, y1) = start, end
    length = float(np.hypot(x1 - x0, y1 - y0)) or 1.0
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    return (x0 + at_start * dx, y0 + at_start * dy), (x1 - at_end * dx, y1 - at_end * dy)


def frame_axes(ax: Axes, xlim: Point, ylim: Point) -> float:
    """Fix the limits, hide the axes, and return about how many points one data unit gets.

    Circles grow with the figure and text does not, unless its size is taken from here.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure(figsize=(5, 5)).add_axes((0, 0, 1, 1))
    >>> frame_axes(ax, (0, 10), (0, 5))
    36.0
    """
    ax.set(xlim=xlim, ylim=ylim, aspect="equal")
    ax.set_axis_off()
    root = ax.get_figure(root=True)
    width, height = (4.8, 3.6) if root is None else root.get_size_inches()
    # The layout engine has not run yet; alone in its figure an axes will get all of the place.
    box, alone = ax.get_position(), root is None or len(root.axes) == 1
    across, up = (1.0, 1.0) if alone else (box.width, box.height)
    return float(72 * min(across * width / (xlim[1] - xlim[0]), up * height / (ylim[1] - ylim[0])))


def within(value: float, low: float, high: float) -> float:
    """Return the value, or the bound that it passes.

    Examples
    --------
    >>> within(12, 8, 11)
    11
    """
    return min(max(value, low), high)
