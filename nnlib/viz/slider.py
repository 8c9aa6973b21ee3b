"""A knob for the page: one precomputed picture per value, no server, no external file."""

from __future__ import annotations

import hashlib
import html
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnlib.viz.style import require_matplotlib, styled
from nnlib.viz.svg import compact_svgs, figure_to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_BYTES = 2_000_000

# Colours come from the page, so that light and dark both work. The two `filter` rules do for the
# frames what the book's style sheet does for img.nn-figure.
_CSS = """
.nn-slider{margin:1rem auto;max-width:100%}
.nn-slider-frame{margin:0}.nn-slider-frame[hidden]{display:none}
.nn-slider-frame svg{display:block;margin:0 auto;max-width:100%;height:auto;\
stroke-linejoin:round;stroke-linecap:butt}
.nn-slider-control{display:flex;align-items:center;gap:.8rem;max-width:34rem;margin:.4rem auto 0;\
padding:0 .25rem}
.nn-slider-control label{flex:none}
.nn-slider-control input{flex:1 1 6rem;min-width:6rem;height:1.75rem;margin:0;cursor:pointer;\
accent-color:#0072b2}
.nn-slider-value{flex:none;text-align:right;font-variant-numeric:tabular-nums;font-weight:600}
.nn-slider-defs{position:absolute;width:0;height:0;overflow:hidden}
html[data-theme="dark"] .nn-slider svg.nn-figure,\
body[data-jp-theme-light="false"] .nn-slider svg.nn-figure{\
filter:invert(.92) hue-rotate(180deg) brightness(1.12) saturate(1.15)}
html[data-theme="dark"] .nn-slider-control input{accent-color:#56b4e9}
@media print{.nn-slider-control input{display:none}}
"""

# An event attribute needs no id, no global and no script element, so it also works where the page
# clones its nodes (tabs, JupyterLab).
_ON_INPUT = (
    "var s=this.closest('.nn-slider'),i=+this.value,f=s.querySelectorAll('.nn-slider-frame');"
    "for(var k=0;k<f.length;k++)f[k].hidden=k!==i;"
    "var t=f[i].getAttribute('data-value');this.setAttribute('aria-valuetext',t);"
    "s.querySelector('.nn-slider-value').textContent=t"
)


@dataclass(frozen=True)
class Slider:
    """A finished slider; a notebook shows it when it is a cell's last expression.

    Attributes
    ----------
    html : str
        Self-contained markup.
    label : str
    values : tuple of str
        The values as shown to the reader.

    Examples
    --------
    >>> Slider("<div></div>", "slope", ("0", "1"))
    <Slider 'slope': 2 frames, 0 kB>
    """

    html: str
    label: str
    values: tuple[str, ...]

    def __repr__(self) -> str:
        """Short text for consoles."""
        return f"<Slider {self.label!r}: {len(self.values)} frames, {len(self.html) // 1000} kB>"

    def _repr_html_(self) -> str:
        return self.html


def slider(
    draw: Callable[[Any, Any], object],
    values: Sequence[Any],
    *,
    label: str,
    alt: str | Callable[[Any], str],
    start: int | None = None,
    format: str | Callable[[Any], str] = "{:g}",
    figsize: tuple[float, float] = (6.4, 3.8),
    decimals: int = 2,
) -> Slider:
    """Draw one picture per value and put a slider under them.

    Parameters
    ----------
    draw : callable
        ``draw(ax, value)`` draws one picture on fresh axes. If its first parameter is named
        ``fig`` or ``figure`` it gets an empty figure instead. Set the axis limits in it, so that
        nothing jumps when the reader moves the slider.
    values : sequence
        What the slider runs through, at least two.
    label : str
        What the slider changes, in plain text: ``"weight w"``. It names the control for screen
        readers too.
    alt : str or callable
        Describes the picture for those who can't see it. ``"{value}"`` in it becomes the value
        as shown; a callable gets the value itself.
    start : int, optional
        Index of the value shown first; the middle one by default. Without JavaScript this picture
        stays.
    format : str or callable
        How a value is written: ``"{:.2f}"``, ``"w = {:+.1f}"``, or a function of the value.
    figsize : pair of float
        Size of a picture in inches.
    decimals : int
        Digits of coordinates, in points. Fewer make a smaller page.

    Returns
    -------
    Slider
        Its ``_repr_html_`` is self-contained: pictures, style, control, script.

    Raises
    ------
    ValueError
        If there are fewer than two values, `start` is no index of them, or the markup is larger
        than 2 MB.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> slider(lambda ax, w: ax.plot([0, 1], [0, w]), [0.5, 1, 2], label="slope w",
    ...        alt="A line of slope {value} through the origin.")  # doctest: +ELLIPSIS
    <Slider 'slope w': 3 frames, ... kB>
    """
    require_matplotlib("slider")
    values = list(values)
    if len(values) < 2:
        raise ValueError(
            f"slider: values must hold at least two values to move between, got {len(values)}. "
            "For a single picture draw a plain figure."
        )
    shown = len(values) // 2 if start is None else start
    if not 0 <= shown < len(values):
        raise ValueError(
            f"slider: start must be an index of values, 0 to {len(values) - 1}, got {start}. "
            "It counts positions: did you pass the value itself?"
        )
    texts = [format(v) if callable(format) else format.format(v) for v in values]
    alts = [
        alt(v) if callable(alt) else alt.replace("{value}", text)
        for v, text in zip(values, texts, strict=True)
    ]
    svgs = _draw_frames(draw, values, figsize)
    # Deterministic, and different for different sliders of one page.
    key = hashlib.sha256("\0".join([label, *texts, *svgs]).encode()).hexdigest()[:8]
    definitions, bodies = compact_svgs(svgs, prefix=f"nn{key}", decimals=decimals)
    markup = _page(label, texts, alts, shown, definitions, bodies)
    size = len(markup.encode())
    if size > MAX_BYTES:
        raise ValueError(
            f"slider: the markup must stay under {MAX_BYTES / 1e6:g} MB, got {size / 1e6:.1f} MB "
            f"for {len(values)} frames of {label!r}. Use fewer values or fewer points per curve, "
            "set rasterized=True on dense artists, or lower decimals."
        )
    return Slider(markup, label, tuple(texts))


def _draw_frames(
    draw: Callable[[Any, Any], object], values: Sequence[Any], figsize: tuple[float, float]
) -> list[str]:
    """Draw each value; hold the axes still from frame to frame."""
    from matplotlib.figure import Figure

    first = next(iter(inspect.signature(draw).parameters), "ax")
    with styled():
        figures = []
        for value in values:
            fig = Figure(figsize=figsize)
            draw(fig if first in ("fig", "figure") else fig.subplots(), value)
            fig.draw_without_rendering()
            figures.append(fig)
        _hold_axes_still(figures)
        return [figure_to_svg(fig) for fig in figures]


def _hold_axes_still(figures: Sequence[Figure]) -> None:
    """Give axes the same place in every frame, large enough for all of their labels."""
    if len({len(fig.axes) for fig in figures}) != 1:
        return
    for fig in figures:
        fig.set_layout_engine("none")
    for same in zip(*(fig.axes for fig in figures), strict=True):
        boxes = [ax.get_position(original=True) for ax in same]
        left, bottom = max(box.x0 for box in boxes), max(box.y0 for box in boxes)
        right, top = min(box.x1 for box in boxes), min(box.y1 for box in boxes)
        if right > left and top > bottom:
            for ax in same:
                ax.set_position((left, bottom, right - left, top - bottom))


def _page(
    label: str,
    texts: Sequence[str],
    alts: Sequence[str],
    shown: int,
    definitions: str,
    bodies: Sequence[tuple[str, str]],
) -> str:
    frames = []
    for index, (text, alt, (view_box, body)) in enumerate(zip(texts, alts, bodies, strict=True)):
        width, height = (float(length) * 96 / 72 for length in view_box.split()[2:])
        hidden = "" if index == shown else " hidden"
        frames.append(
            f'<div class="nn-slider-frame" data-value="{html.escape(text)}"{hidden}>'
            f'<svg class="nn-figure" xmlns="http://www.w3.org/2000/svg" role="img" '
            f'aria-label="{html.escape(alt)}" viewBox="{view_box}" '
            f'width="{width:.0f}" height="{height:.0f}">{body}</svg></div>'
        )
    name, text = html.escape(label), html.escape(texts[shown])
    widest = max(len(value) for value in texts)
    return (
        f'<div class="nn-slider"><style>{_CSS.strip()}</style>'
        f'<svg class="nn-slider-defs" aria-hidden="true" focusable="false">{definitions}</svg>'
        f"{''.join(frames)}"
        f'<div class="nn-slider-control"><label><span>{name}</span></label>'
        f'<input type="range" min="0" max="{len(texts) - 1}" step="1" value="{shown}" '
        f'aria-label="{name}" aria-valuetext="{text}" autocomplete="off" oninput="{_ON_INPUT}">'
        f'<span class="nn-slider-value" style="min-width:{widest}ch" aria-hidden="true">{text}'
        f"</span></div>"
        f"<noscript><style>.nn-slider-control input{{display:none}}</style></noscript></div>"
    )
