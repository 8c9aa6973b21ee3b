"""Computational graphs: values forward above each edge, gradients backward below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlib.viz.nodes import Point, draw_node, frame_axes, within
from nnlib.viz.style import COLORS, TEXT_COLORS, number_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Edge = tuple[str, str]

_RADIUS = 0.36
_STEP = (1.9, 1.25)
# How operations are written in their circles.
_SIGNS = {"add": "$+$", "sub": "$-$", "mul": r"$\times$", "matmul": "@", "square": "$(\\;)^2$"}


def draw_graph(
    ax: Axes,
    edges: Sequence[Edge],
    *,
    values: Mapping[str, Any] | None = None,
    gradients: Mapping[Any, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    colors: Mapping[str, str] | None = None,
    positions: Mapping[str, Point] | None = None,
    format: str | Callable[[Any], str] = "{:.3g}",
    highlight: Sequence[Edge] = (),
) -> dict[str, Point]:
    """Draw a computational graph from left to right.

    Above each edge stands the value that flows forward along it, below it, in orange, the
    gradient that flows back. A node that nothing leaves is the result: its value and gradient
    stand on a short arrow out of it.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    edges : sequence of (from, to)
        Nodes are named by strings. Where one node feeds another twice, name a copy.
    values : mapping, optional
        Node -> forward value, a number or text; shown on the edges that leave the node.
    gradients : mapping, optional
        Node or edge -> gradient. Give edges where a node is used more than once: each carries its
        own part of the sum.
    labels : mapping, optional
        Node -> text or mathtext. By default a leaf ``x1`` is written $x_1$, and an operation
        ``add``, ``sub``, ``mul``, ``matmul``, ``square`` by its sign; ``mul2`` means a second
        ``mul``.
    colors : mapping, optional
        Node -> a name in ``COLORS``. By default leaves by their first letter: x, w, b, y.
    positions : mapping, optional
        Node -> (column, row), rows counted upwards, for some or all nodes.
    format : str or callable
        How numbers are written.
    highlight : sequence of (from, to)
        Edges drawn strongly in the gradient's colour: a path to talk about.

    Returns
    -------
    dict
        Node -> place in data units, for notes of one's own.

    Raises
    ------
    ValueError
        If the edges form a cycle, or `values`, `gradients` or `highlight` name unknown nodes or
        edges.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> edges = [("x", "mul"), ("w", "mul")]
    >>> places = draw_graph(ax, edges, values={"x": 3, "w": 2, "mul": 6}, gradients={"mul": 1})
    >>> sorted(places)
    ['mul', 'w', 'x']
    """
    edges = [(str(a), str(b)) for a, b in edges]
    nodes = list(dict.fromkeys(node for edge in edges for node in edge))
    values, gradients = values or {}, gradients or {}
    known = {*nodes, *edges}
    for argument, given in (("values", values), ("gradients", gradients), ("highlight", highlight)):
        unknown = [key for key in given if key not in known]
        if unknown:
            raise ValueError(
                f"draw_graph: {argument} must name nodes or edges of the graph, got {unknown[0]!r}."
                f" Nodes are {nodes}."
            )
    places = _places(nodes, edges, positions or {})
    sources = {node for node in nodes if all(end != node for _, end in edges)}
    results = [node for node in nodes if all(start != node for start, _ in edges)]
    xs, ys = zip(*places.values(), strict=True)
    out = 1.45 if any(node in values or node in gradients for node in results) else 0.55
    unit = frame_axes(ax, (min(xs) - 0.55, max(xs) + out), (min(ys) - 0.6, max(ys) + 0.6))
    letter, number = within(0.27 * unit, 9, 18), within(0.21 * unit, 8, 13)

    for node in nodes:
        text = (labels or {}).get(node) or _label(node, leaf=node in sources)
        color = (colors or {}).get(node) or _color(node, leaf=node in sources)
        long = len(text) > 12 and "$" not in text
        size = 1.25 * letter if text in _SIGNS.values() and "(" not in text else letter
        draw_node(
            ax,
            places[node],
            text,
            color=color,
            radius=_RADIUS,
            fontsize=0.7 * letter if long else size,
        )
    for edge in edges:
        gradient = gradients.get(edge, gradients.get(edge[0]))
        _flow(
            ax,
            places[edge[0]],
            places[edge[1]],
            _text(values.get(edge[0]), format),
            _text(gradient, format),
            strong=edge in highlight,
            gap=_RADIUS,
            fontsize=number,
        )
    for node in results:
        x, y = places[node]
        if node in values or node in gradients:
            _flow(
                ax,
                (x, y),
                (x + 1.35, y),
                _text(values.get(node), format),
                _text(gradients.get(node), format),
                strong=False,
                gap=0.0,
                fontsize=number,
            )
    return places


def _places(
    nodes: Sequence[str], edges: Sequence[Edge], given: Mapping[str, Point]
) -> dict[str, Point]:
    """Put each node into a column left of all that use it, operations on a straight line."""
    columns = _columns(nodes, edges)
    before = {node: [a for a, b in edges if b == node] for node in nodes}
    rows: dict[str, float] = {}
    for column in range(max(columns.values()) + 1):
        here = [node for node in nodes if columns[node] == column]
        wished: dict[str, float] = {}
        for order, node in enumerate(here):
            chained = [rows[a] for a in before[node] if before[a]]
            feeding = [rows[a] for a in before[node]]
            if feeding:
                wished[node] = float(np.mean(chained or feeding))
            elif any(before[other] for other in here):
                wished[node] = -1.0  # a leaf beside operations goes below them
            else:
                wished[node] = (len(here) - 1) / 2 - order  # leaves alone spread evenly
        rows.update(_spread(here, wished))
    return {
        node: (
            _STEP[0] * float(given.get(node, (columns[node], rows[node]))[0]),
            _STEP[1] * float(given.get(node, (columns[node], rows[node]))[1]),
        )
        for node in nodes
    }


def _spread(here: Sequence[str], wished: Mapping[str, float]) -> dict[str, float]:
    """Keep a distance of one row between neighbours; the first wishes win."""
    rows: dict[str, float] = {}
    for node in sorted(here, key=lambda name: -wished[name]):
        lowest = min(rows.values(), default=np.inf)
        rows[node] = min(wished[node], lowest - 1.0)
    return rows


def _columns(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Longest distance to a result, counted from the right, so that leaves stand near their use."""
    depth = dict.fromkeys(nodes, 0)
    for _ in range(len(nodes) + 1):
        changed = False
        for start, end in edges:
            if depth[start] < depth[end] + 1:
                depth[start] = depth[end] + 1
                changed = True
        if not changed:
            last = max(depth.values())
            return {node: last - depth[node] for node in nodes}
    raise ValueError(
        f"draw_graph: edges must not form a cycle, got {list(edges)}. "
        "A computational graph runs from inputs to a result: is an edge reversed?"
    )


def _label(node: str, *, leaf: bool) -> str:
    name = node.rstrip("0123456789")
    number = node[len(name) :]
    if not leaf and name in _SIGNS:
        return _SIGNS[name]
    if len(name) == 1:
        return f"${name}_{{{number}}}$" if number else f"${name}$"
    return node


def _color(node: str, *, leaf: bool) -> str:
    return node[0] if leaf and node[0] in ("x", "w", "b", "y") else "ink"


def _text(value: Any, format: str | Callable[[Any], str]) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return number_text(value, format)


def _flow(
    ax: Axes,
    start: Point,
    end: Point,
    value: str | None,
    gradient: str | None,
    *,
    strong: bool,
    gap: float,
    fontsize: float,
) -> None:
    """An arrow with the value above it and the gradient below it, both along its direction."""
    (x0, y0), (x1, y1) = start, end
    length = float(np.hypot(x1 - x0, y1 - y0))
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    tail = (x0 + _RADIUS * dx, y0 + _RADIUS * dy)
    tip = (x1 - (gap + 0.03) * dx, y1 - (gap + 0.03) * dy)
    ax.annotate(
        "",
        xy=tip,
        xytext=tail,
        arrowprops={
            "arrowstyle": "-|>,head_length=0.5,head_width=0.2",
            "color": COLORS["gradient"] if strong else "#8A9099",
            "linewidth": 2.6 if strong else 1.5,
            "shrinkA": 0,
            "shrinkB": 0,
        },
        zorder=2,
    )
    middle = ((tail[0] + tip[0]) / 2 - 0.04 * dx, (tail[1] + tip[1]) / 2 - 0.04 * dy)
    angle = float(np.degrees(np.arctan2(dy, dx)))
    for text, side, color in ((value, 1.0, "ink"), (gradient, -1.0, "gradient")):
        if text is None:
            continue
        ax.text(
            middle[0] - side * 0.08 * dy,
            middle[1] + side * 0.08 * dx,
            text,
            ha="center",
            va="bottom" if side > 0 else "top",
            rotation=angle,
            rotation_mode="anchor",
            fontsize=fontsize,
            color=TEXT_COLORS[color],
            fontweight="bold" if color == "gradient" else "normal",
            zorder=5,
        )
