"""The slider: one visible frame, accessible control, no colliding ids, bounded size."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest

from nnlib import viz
from nnlib.viz.svg import _short, _straighten, compact_svgs, figure_to_svg


def draw_line(ax, slope):
    ax.plot([0, 1], [0, slope], marker="o")
    ax.set(xlim=(0, 1), ylim=(-2, 2), xlabel="$x$ (m)")


@cache
def make(**options):
    options = {"label": "slope", "alt": "A line of slope {value}."} | options
    return viz.slider(draw_line, [-1, 0, 0.5, 2], **options)


class Tags(HTMLParser):
    """Collects every start tag with its attributes."""

    def __init__(self, markup):
        super().__init__()
        self.found = []
        self.feed(markup)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, tag, css=None):
        return [a for t, a in self.found if t == tag and (css is None or a.get("class") == css)]


def test_one_frame_is_visible_and_the_middle_one_by_default():
    frames = Tags(make().html).of("div", "nn-slider-frame")
    assert [frame["data-value"] for frame in frames] == ["-1", "0", "0.5", "2"]
    assert ["hidden" in frame for frame in frames] == [True, True, False, True]
    frames = Tags(make(start=0).html).of("div", "nn-slider-frame")
    assert ["hidden" in frame for frame in frames] == [False, True, True, True]


def test_control_is_named_and_says_its_value():
    [control] = Tags(make(label='slope "m" & more', start=3).html).of("input")
    assert control["type"] == "range"
    assert (control["min"], control["max"], control["value"]) == ("0", "3", "3")
    assert control["aria-label"] == 'slope "m" & more'
    assert control["aria-valuetext"] == "2"


def test_every_picture_is_described():
    pictures = Tags(make().html).of("svg", "nn-figure")
    assert [p["aria-label"] for p in pictures] == [
        f"A line of slope {value}." for value in ("-1", "0", "0.5", "2")
    ]
    assert all(p["role"] == "img" for p in pictures)
    described = Tags(make(alt=lambda v: f"rising {v > 0}", format="{:+.2f}").html)
    assert [p["aria-label"] for p in described.of("svg", "nn-figure")][2] == "rising True"
    assert described.of("div", "nn-slider-frame")[2]["data-value"] == "+0.50"


def test_frames_differ_and_ids_never_collide():
    first, second = make(), make(label="other")
    ids = [re.findall(r' id="([^"]+)"', s.html) for s in (first, second)]
    for one in ids:
        assert one
        assert len(one) == len(set(one))
    assert not set(ids[0]) & set(ids[1])
    for s, known in zip((first, second), ids, strict=True):
        used = set(re.findall(r'href="#([^"]+)"', s.html)) | set(
            re.findall(r"url\(#([^)]+)\)", s.html)
        )
        assert used <= set(known)
        assert used
    bodies = re.findall(r'<div class="nn-slider-frame".*?</svg>', first.html)
    assert len(bodies) == len({re.sub("<svg[^>]*>|<div[^>]*>", "", body) for body in bodies}) == 4


def test_it_is_self_contained_and_deterministic():
    html = make().html
    make.cache_clear()
    assert html == make().html
    # Names of XML dialects are no loads.
    bare = html.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|src=|@import|<script|<link", bare)
    assert "nn-figure" in html
    assert 'html[data-theme="dark"]' in html
    assert make()._repr_html_() == html


def test_svg_markup_is_well_formed():
    for svg in re.findall(r"<svg.*?</svg>", make().html, re.S):
        ET.fromstring(svg.replace("hidden>", ">"))


def test_shared_parts_are_stored_once():
    def crowd(ax, value):
        rng = np.random.default_rng(0)
        ax.scatter(*rng.normal(size=(2, 300)))
        ax.axvline(value)
        ax.set(xlim=(-3, 3), ylim=(-3, 3))

    two, ten = (
        len(viz.slider(crowd, np.linspace(-1, 1, n), label="l", alt="a").html) for n in (2, 10)
    )
    assert ten < 1.5 * two


def test_compact_is_much_smaller_than_matplotlib_writes():
    with viz.styled():
        from matplotlib.figure import Figure

        fig = Figure()
        draw_line(fig.subplots(), 1.0)
        svg = figure_to_svg(fig)
    definitions, [(box, body)] = compact_svgs([svg], prefix="p")
    assert box == "0 0 460.8 273.6"
    assert len(definitions) + len(body) < 0.65 * len(svg)
    assert "metadata" not in body
    assert "<style" not in definitions + body


def test_axes_stay_where_they_are_while_labels_change():
    def wide(ax, value):
        ax.plot([0, 1], [0, value])

    html = viz.slider(wide, [1, 100_000], label="l", alt="a").html
    # The clip path is the rectangle of the axes: one for both frames.
    assert html.count("<clipPath") == 1


def test_draw_may_ask_for_the_figure():
    def pair(fig, value):
        left, right = fig.subplots(1, 2)
        left.plot([0, value])
        right.plot([value, 0])

    assert len(viz.slider(pair, [1, 2], label="l", alt="a").values) == 2


def test_global_style_is_untouched():
    import matplotlib

    before = dict(matplotlib.rcParams)
    make()
    assert dict(matplotlib.rcParams) == before


def test_errors():
    with pytest.raises(ValueError, match=r"slider: values must hold at least two .* got 1"):
        viz.slider(draw_line, [1], label="l", alt="a")
    with pytest.raises(ValueError, match=r"start must be an index of values, 0 to 3, got 4"):
        make(start=4)
    rng = np.random.default_rng(0)

    def dense(ax, _):
        ax.scatter(*rng.normal(size=(2, 20_000)))

    with pytest.raises(ValueError, match=r"must stay under 2 MB, got .* fewer points per curve"):
        viz.slider(dense, [1, 2, 3], label="l", alt="a")


@pytest.mark.parametrize(
    ("number", "short"),
    [("1.000", "1"), ("-0.001", "0"), ("0.5", ".5"), ("-0.25", "-.25"), ("12.345", "12.35"),
     ("100", "100"), ("10.0", "10"), ("1e-3", "0")],
)  # fmt: skip
def test_numbers_are_short(number, short):
    assert _short(number, 2) == short


def test_straight_points_are_dropped_and_corners_kept():
    assert _straighten("M 0 0 L 1 1 L 2 2 L 3 0") == "M 0.0 0.0 L 2.0 2.0 L 3.0 0.0"
    assert _straighten("M 0 0 L 1 1 L 2 2 L 2 0 z") == "M 0.0 0.0 L 2.0 2.0 L 2.0 0.0 z"
    # There and back again along one line is no straight stretch.
    assert _straighten("M 0 0 L 5 0 L 1 0").count("L") == 2
    # A jump, a curve, and two closed pieces stay as they are.
    assert _straighten("M 0 0 L 1 0 M 2 0 L 3 0").count("M") == 2
    for path in ("M 0 0 Q 1 1 2 2", "M 0 0 L 1 1 z M 5 5 L 6 6 z"):
        assert _straighten(path) == path
