"""Make matplotlib's SVG small and safe to put several times into one page."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from nnlib.viz.style import SVG_METADATA

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
# A reference to a shared part takes about this many characters.
_WORTH_SHARING = 60
# How far, in points, a dropped point may lie from the line that replaces it.
_STRAIGHT = 0.02
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
# Lengths and places, in points.
_ROUNDED = ("d", "points", "x", "y", "x1", "x2", "y1", "y2", "width", "height")


def figure_to_svg(fig: Figure) -> str:
    """Draw `fig` as SVG text, the same bytes every time.

    Parameters
    ----------
    fig : matplotlib.figure.Figure

    Returns
    -------
    str
        An SVG document as matplotlib writes it, without date.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> figure_to_svg(Figure(figsize=(1, 1))).rstrip().endswith("</svg>")
    True
    """
    import matplotlib

    buffer = io.StringIO()
    ground = fig.get_facecolor()
    with matplotlib.rc_context({"svg.hashsalt": "nnlib", "svg.fonttype": "path"}):
        fig.savefig(buffer, format="svg", facecolor=ground, metadata=dict(SVG_METADATA))
    return buffer.getvalue()


def compact_svgs(
    svgs: Sequence[str], *, prefix: str, decimals: int = 2
) -> tuple[str, list[tuple[str, str]]]:
    """Shrink several SVG documents and pull what they share into one block of definitions.

    Numbers are rounded, metadata and unused ids removed, and each glyph and marker is stored once
    for all documents. Every id that is left starts with `prefix`, so that figures with different
    prefixes never collide in one page.

    Parameters
    ----------
    svgs : sequence of str
        Documents as matplotlib's SVG backend writes them.
    prefix : str
        Start of every id, unique in the page.
    decimals : int
        Digits after the point of coordinates, in points (1/72 inch).

    Returns
    -------
    definitions : str
        ``<defs>`` with all shared parts; put it once into an SVG of the same page.
    bodies : list of (view box, inner markup)
        One per document.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> definitions, bodies = compact_svgs([figure_to_svg(Figure(figsize=(1, 1)))], prefix="a")
    >>> bodies[0][0]
    '0 0 72 72'
    """
    shared: dict[str, str] = {}  # markup without its id -> new id
    view_boxes, documents = [], []
    for svg in svgs:
        root = ET.fromstring(svg)
        view_boxes.append(root.get("viewBox", ""))
        documents.append(_compact(root, shared, prefix, decimals))
    # Axes, ticks and examples that stay the same from picture to picture are stored once too.
    count = Counter(part for document in documents for part in set(document))
    bodies = []
    for view_box, document in zip(view_boxes, documents, strict=True):
        parts = []
        for part in document:
            if count[part] > 1 and len(part) > _WORTH_SHARING:
                part = f'<use href="#{shared.setdefault(part, f"{prefix}-{len(shared)}")}"/>'
            parts.append(part)
        bodies.append((view_box, "".join(parts)))
    definitions = "".join(
        re.sub(r"^<(\w+)", rf'<\1 id="{name}"', markup) for markup, name in shared.items()
    )
    return f"<defs>{definitions}</defs>", bodies


def _compact(root: ET.Element, shared: dict[str, str], prefix: str, decimals: int) -> list[str]:
    """Return the parts of one document as markup; add its definitions to `shared`."""
    new_ids: dict[str, str] = {}
    definitions: list[ET.Element] = []
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{_SVG}defs":
                definitions.extend(child)
                parent.remove(child)
            elif not str(child.tag).startswith(_SVG) or child.tag == f"{_SVG}metadata":
                parent.remove(child)
    for element in definitions:
        if element.tag == f"{_SVG}style":
            continue  # matplotlib's global line-join rule; it would leak into the whole page
        old = element.attrib.pop("id", None)
        # Glyphs are outlined in font units: whole numbers are exact enough.
        _clean(element, new_ids, decimals)
        markup = _markup(element)
        if old is not None:
            new_ids[old] = shared.setdefault(markup, f"{prefix}-{len(shared)}")
    _clean(root, new_ids, decimals)
    _unwrap(root)
    return [_markup(child) for child in root]


def _clean(element: ET.Element, new_ids: dict[str, str], decimals: int) -> None:
    """Round numbers, rename references, and drop ids and styles that say nothing."""
    for node in element.iter():
        node.text = node.text.strip() if node.text and node.text.strip() else None
        node.tail = None
        node.attrib.pop("id", None)
        reference = node.attrib.pop(_HREF, None)
        if reference is not None:
            name = reference[1:]
            node.set("href", f"#{new_ids[name]}" if name in new_ids else reference)
        for key, value in list(node.attrib.items()):
            if key in _ROUNDED:
                if key == "d":
                    value = _straighten(value)
                value = _NUMBER.sub(lambda match: _short(match.group(), decimals), value)
                if key == "d":
                    value = _short_path(value)
            elif key == "transform":
                # A shift is a coordinate; a scale, less than one, needs its digits.
                value = _NUMBER.sub(
                    lambda m: _short(m.group(), decimals if abs(float(m.group())) > 1 else 5), value
                )
            elif key == "style":
                value = _short_style(value, decimals)
            value = _REFERENCE.sub(
                lambda match: f"url(#{new_ids.get(match.group(1), match.group(1))})", value
            )
            if value:
                node.set(key, value)
            else:
                del node.attrib[key]


def _short(number: str, decimals: int) -> str:
    """Write a number in as few characters as its rounded value needs."""
    text = f"{float(number):.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text in ("-0", ""):
        return "0"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _straighten(path: str) -> str:
    """Drop the points of a polyline that lie on a straight stretch of it."""
    tokens = path.split()
    if not tokens or set(tokens[::3]) - {"M", "L", "z"} or "z" in tokens[:-1]:
        return path  # curves, several closed pieces: leave them alone
    closed = tokens[-1:] == ["z"]
    points = [
        (tokens[i], float(tokens[i + 1]), float(tokens[i + 2]))
        for i in range(0, len(tokens) - closed, 3)
    ]
    kept = points[:1]
    for middle, after in pairwise(points[1:]):
        (_, ax, ay), (_, bx, by), (next_command, cx, cy) = kept[-1], middle, after
        dx, dy = cx - ax, cy - ay
        length = max((dx * dx + dy * dy) ** 0.5, 1e-9)
        off = abs((bx - ax) * dy - (by - ay) * dx) / length
        along = ((bx - ax) * dx + (by - ay) * dy) / length
        between = 0.0 <= along <= length
        if middle[0] == "M" or next_command == "M" or off > _STRAIGHT or not between:
            kept.append(middle)
    kept.extend(points[1:][-1:])
    return " ".join(f"{command} {x} {y}" for command, x, y in kept) + (" z" if closed else "")


def _short_path(path: str) -> str:
    path = re.sub(r"\s+", " ", path.strip())
    return re.sub(r" ?([A-Za-z]) ?", r"\1", path)


def _short_style(style: str, decimals: int) -> str:
    parts = []
    for part in style.split(";"):
        part = part.strip().replace(": ", ":")
        if not part or part == "opacity:1":
            continue
        name, _, value = part.partition(":")
        if name in ("stroke-width", "stroke-dasharray", "opacity", "stroke-opacity"):
            value = _NUMBER.sub(lambda match: _short(match.group(), decimals), value)
        parts.append(f"{name}:{value}")
    return ";".join(parts)


def _unwrap(root: ET.Element) -> None:
    """Take away groups without attributes, and groups left empty."""
    for parent in list(root.iter()):
        children: list[ET.Element] = []
        for child in parent:
            _flatten(child, children)
        parent[:] = children


def _flatten(child: ET.Element, out: list[ET.Element]) -> None:
    if child.tag == f"{_SVG}g" and not child.attrib:
        for grandchild in child:
            _flatten(grandchild, out)
    elif child.tag != f"{_SVG}g" or len(child):
        out.append(child)


def _markup(element: ET.Element) -> str:
    """Serialise without namespace prefixes: inside HTML, SVG needs none."""
    for node in element.iter():
        node.tag = str(node.tag).removeprefix(_SVG)
    return ET.tostring(element, encoding="unicode")
