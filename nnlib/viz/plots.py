"""Plots that several chapters share: decision regions, and curves with their spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnlib.errors import ShapeError
from nnlib.viz.style import COLORS, CYCLE, MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def scatter_classes(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    size: float = 34.0,
) -> None:
    """Scatter two-dimensional examples, each class with its own colour and marker.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    x : array, shape (n, 2)
    y : array of labels, shape (n,)
    class_names : sequence of str, optional
        Names for a legend, in the order of the sorted labels.
    size : float
        Marker area in points squared.

    Raises
    ------
    ShapeError
        If `x` is not (n, 2) or `y` not (n,).

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> scatter_classes(ax, [[0, 0], [1, 1]], [0, 1])
    >>> len(ax.collections)
    2
    """
    points, labels = _points("scatter_classes", x, y)
    for index, label in enumerate(np.unique(labels)):
        chosen = labels == label
        ax.scatter(
            points[chosen, 0],
            points[chosen, 1],
            s=size,
            marker=MARKERS[index % len(MARKERS)],
            color=CYCLE[index % len(CYCLE)],
            # A light rim, dark where the page is dark, parts points that overlap.
            edgecolors="white",
            linewidths=0.7,
            zorder=3,
            label=None if class_names is None else class_names[index],
        )
    if class_names is not None:
        ax.legend()


def decision_regions(
    ax: Axes,
    predict: Callable[[NDArray[np.float64]], Any],
    x: ArrayLike,
    y: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    pad: float = 0.5,
    limits: tuple[float, float, float, float] | None = None,
    resolution: int = 250,
    size: float = 34.0,
) -> None:
    """Colour the plane by predicted class, with the examples on top.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    predict : callable
        Takes points (m, 2). Returns labels (m,), or scores (m, classes), the largest winning, or
        for two classes the probability of the second as floats (m,) or (m, 1).
    x : array, shape (n, 2)
    y : array of labels, shape (n,)
    class_names : sequence of str, optional
        Names for a legend, in the order of the sorted labels.
    pad : float
        Room around the examples, in the unit of x.
    limits : (x1 low, x1 high, x2 low, x2 high), optional
        What to show instead; use it when pictures must not jump.
    resolution : int
        Grid points per side.
    size : float
        Marker area in points squared.

    Raises
    ------
    ShapeError
        If `x` is not (n, 2), `y` not (n,), or `predict` returns another number of rows.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> decision_regions(ax, lambda p: (p[:, 0] > 0).astype(int), [[-1, 0], [1, 0]], [0, 1])
    >>> [float(edge) for edge in ax.get_xlim()]
    [-1.5, 1.5]
    """
    points, labels = _points("decision_regions", x, y)
    if limits is None:
        low, high = points.min(axis=0) - pad, points.max(axis=0) + pad
        limits = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    across = np.linspace(limits[0], limits[1], resolution)
    up = np.linspace(limits[2], limits[3], resolution)
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    leads = _leads(np.asarray(predict(grid)), np.unique(labels), len(grid))
    for index, lead in enumerate(leads):
        surface = _without_stairs(lead.reshape(resolution, resolution))
        if surface.max() <= 0:
            continue
        color = CYCLE[index % len(CYCLE)]
        top = max(float(surface.max()), 1e-9)
        ax.contourf(across, up, surface, levels=[0.0, top], colors=[color], alpha=0.16, zorder=0)
        # Two classes share one boundary: draw it once.
        if surface.min() < 0 and not (len(leads) == 2 and index == 1):
            ax.contour(
                across, up, surface, levels=[0.0], colors=[COLORS["ink"]], linewidths=1.3, zorder=1
            )
    scatter_classes(ax, points, labels, class_names=class_names, size=size)
    ax.set(xlim=limits[:2], ylim=limits[2:])
    ax.grid(False)


def plot_with_band(
    ax: Axes,
    x: ArrayLike,
    runs: ArrayLike,
    *,
    label: str | None = None,
    color: str = CYCLE[0],
    band: str = "minmax",
    linestyle: Any = "-",
    marker: str | None = None,
    center: str = "mean",
) -> None:
    """Plot the mean of several runs as a line, and their spread as a band around it.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    x : array, shape (points,)
    runs : array, shape (runs, points)
        One row per seed.
    label : str, optional
        Name in the legend.
    color : str
        A name in ``COLORS`` or any matplotlib colour.
    band : {"minmax", "std"}
        From the smallest to the largest run, or one standard deviation to both sides.
    linestyle, marker
        As in matplotlib; vary them from curve to curve, so that colour is not the only sign.
    center : {"mean", "median"}
        What the line shows.

    Raises
    ------
    ShapeError
        If `runs` is not (runs, points).
    ValueError
        If `band` or `center` is unknown.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> plot_with_band(ax, [1, 2], [[1.0, 2.0], [3.0, 4.0]])
    >>> ax.lines[0].get_ydata().tolist()
    [2.0, 3.0]
    """
    places, table = np.asarray(x), np.asarray(runs, dtype=np.float64)
    if places.ndim != 1 or table.ndim != 2 or table.shape[1] != places.size:
        raise ShapeError(
            f"plot_with_band: runs must have shape (runs, {places.size}), one row per seed, got "
            f"{table.shape}. Did you pass runs.T, or a single run without runs[None]?"
        )
    if center not in ("mean", "median"):
        raise ValueError(f"plot_with_band: center must be 'mean' or 'median', got {center!r}.")
    middle = table.mean(axis=0) if center == "mean" else np.median(table, axis=0)
    if band == "minmax":
        low, high = table.min(axis=0), table.max(axis=0)
    elif band == "std":
        spread = table.std(axis=0, ddof=1 if len(table) > 1 else 0)
        low, high = middle - spread, middle + spread
    else:
        raise ValueError(f"plot_with_band: band must be 'minmax' or 'std', got {band!r}.")
    paint = COLORS.get(color, color)
    ax.fill_between(places, low, high, color=paint, alpha=0.2, linewidth=0, zorder=1)
    ax.plot(
        places, middle, color=paint, linestyle=linestyle, marker=marker, label=label, zorder=2.5
    )


def _points(caller: str, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[Any]]:
    points, labels = np.asarray(x, dtype=np.float64), np.asarray(y)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ShapeError(
            f"{caller}: x must have shape (n, 2), got {points.shape}. "
            "Only two features fit a plane: pick two columns, x[:, [0, 1]]."
        )
    if labels.shape != (len(points),):
        raise ShapeError(
            f"{caller}: y must have shape ({len(points)},), one label per example, got "
            f"{labels.shape}. Did you pass one-hot rows or a column?"
        )
    return points, labels


def _leads(out: NDArray[Any], classes: NDArray[Any], m: int) -> list[NDArray[np.float64]]:
    """How far each class is ahead of the best other one: positive where it wins."""
    if out.shape == (m, 1):
        out = out[:, 0]
    if out.ndim not in (1, 2) or len(out) != m:
        raise ShapeError(
            f"decision_regions: predict must return ({m},) or ({m}, classes) for {m} points, got "
            f"{out.shape}. Does it average over its rows?"
        )
    if out.ndim == 2:
        scores = out.astype(np.float64)
    elif out.dtype.kind == "f" and set(classes.tolist()) <= {0, 1}:
        scores = np.stack([1.0 - out, out], axis=1)
    else:
        known = np.union1d(classes, np.unique(out))
        scores = (out[:, None] == known).astype(np.float64)
    if scores.shape[1] == 1:
        return [np.ones(m)]
    leads = []
    for k in range(scores.shape[1]):
        rest = np.delete(scores, k, axis=1).max(axis=1)
        leads.append(scores[:, k] - rest)
    return leads


def _without_stairs(surface: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth a surface of hard decisions over two cells, so that its contour has no stairs."""
    if not np.isin(surface, (-1.0, 0.0, 1.0)).all():
        return surface
    for _ in range(4):
        for axis in (0, 1):
            pad = [(1, 1) if a == axis else (0, 0) for a in (0, 1)]
            wide = np.moveaxis(np.pad(surface, pad, mode="edge"), axis, 0)
            surface = np.moveaxis(0.25 * wide[:-2] + 0.5 * wide[1:-1] + 0.25 * wide[2:], 0, axis)
    return surface
