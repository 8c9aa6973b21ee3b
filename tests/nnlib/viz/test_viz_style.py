"""The style: readable colours on both grounds, deterministic SVG, no matplotlib at import."""

from __future__ import annotations

import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from nnlib import viz
from nnlib.viz.svg import figure_to_svg

LIGHT, DARK = "#fdfcf9", "#14181d"


def rgb(color):
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def inverted(color):
    """What the book's filter makes of a colour in dark mode."""
    c = rgb(color)
    c = c * (1 - 2 * 0.92) + 0.92  # invert(.92)
    rows = [[0.213, 0.715, 0.072]] * 3
    grey = np.array(rows)
    turned = 2 * grey - np.eye(3)  # hue-rotate(180deg)
    c = np.clip(turned @ c, 0, 1)
    c = np.clip(c * 1.12, 0, 1)  # brightness
    return np.clip((grey + 1.15 * (np.eye(3) - grey)) @ c, 0, 1)  # saturate


def luminance(c):
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize("name", viz.TEXT_COLORS)
def test_text_is_readable_in_light_and_dark(name):
    assert contrast(rgb(viz.TEXT_COLORS[name]), rgb(LIGHT)) >= 4.5
    assert contrast(inverted(viz.TEXT_COLORS[name]), rgb(DARK)) >= 4.5


@pytest.mark.parametrize("color", sorted({*viz.COLORS.values(), *viz.CYCLE}))
def test_lines_are_visible_in_light_and_dark(color):
    # Okabe and Ito's sky and orange are pale by design: they come with a marker or a dash.
    assert contrast(rgb(color), rgb(LIGHT)) >= 2.0
    assert contrast(inverted(color), rgb(DARK)) >= 3.0


def test_symbols_have_their_own_colours():
    symbols = ("x", "w", "b", "y", "gradient", "hidden", "ink")
    assert viz.COLORS.keys() == viz.TEXT_COLORS.keys()
    assert len({viz.COLORS[name] for name in symbols}) == len(symbols)
    assert len(set(viz.CYCLE)) == len(viz.CYCLE) == len(viz.MARKERS) == len(set(viz.MARKERS))
    with pytest.raises(TypeError):
        viz.COLORS["x"] = "red"


def test_import_needs_no_matplotlib():
    out, _ = run(
        "import sys, nnlib, nnlib.viz; nnlib.viz.COLORS['x']; "
        "print([m for m in ('matplotlib', 'IPython', 'torch', 'sklearn') if m in sys.modules])"
    )
    assert out == "[]"


@pytest.mark.parametrize(
    "call", ["viz.use_style()", "viz.slider(print, [1, 2], label='l', alt='a')"]
)
def test_missing_matplotlib_says_how_to_get_it(call):
    _, err = run(f"import sys; sys.modules['matplotlib'] = None; from nnlib import viz; {call}")
    assert re.search(r"ImportError: (use_style|slider): matplotlib must be installed", err)
    assert 'pip install "nncourse[viz]"' in err


def test_use_style_is_transparent_or_white():
    with matplotlib.rc_context():
        viz.use_style()
        fig = Figure()
        fig.subplots().plot([0, 1])
        assert fig.get_facecolor() == (0, 0, 0, 0)
        assert "#ffffff" not in figure_to_svg(fig)
        viz.use_style(transparent=False)
        assert Figure().get_facecolor() == (1, 1, 1, 1)


def test_styled_leaves_the_settings_as_they_were():
    # A context of its own: another test may have called use_style() in this process.
    with matplotlib.rc_context():
        matplotlib.rcParams.update(matplotlib.rcParamsDefault)
        before = dict(matplotlib.rcParams)
        with viz.styled():
            assert matplotlib.rcParams["svg.hashsalt"] == "nnlib"
            assert dict(matplotlib.rcParams) != before
        assert dict(matplotlib.rcParams) == before


def test_curves_differ_by_more_than_colour():
    with viz.styled():
        ax = Figure().subplots()
        lines = [ax.plot([0, 1])[0] for _ in range(4)]
    looks = {(line.get_linestyle(), str(line._unscaled_dash_pattern)) for line in lines}
    assert len(looks) == 4


def test_svg_bytes_do_not_depend_on_the_process():
    code = (
        "from nnlib import viz; from nnlib.viz.svg import figure_to_svg; "
        "from matplotlib.figure import Figure; import hashlib\n"
        "with viz.styled():\n"
        "    fig = Figure(); ax = fig.subplots(); ax.plot([0, 1], marker='o', label='a'); "
        "ax.legend(); ax.set_xlabel('$x_1$')\n"
        "    svg = figure_to_svg(fig)\n"
        "print(hashlib.sha256(svg.encode()).hexdigest(), 'dc:date' in svg, 'Matplotlib v' in svg)"
    )
    first, second = run(code)[0], run(code)[0]
    assert first == second
    assert first.endswith("False False")


def test_notebook_figures_are_svg():
    code = """
import nbformat, nbclient
cell = nbformat.v4.new_code_cell(
    "from nnlib import viz\\nviz.use_style()\\nimport matplotlib.pyplot as plt\\n"
    "fig, ax = plt.subplots()\\nax.plot([0, 1]);"
)
book = nbformat.v4.new_notebook(cells=[cell])
nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
[output] = [o for o in cell.outputs if o.output_type == "display_data"]
svg = output.data["image/svg+xml"]
print(sorted(output.data), "#ffffff" in svg, "dc:date" in svg)
"""
    pytest.importorskip("nbclient")
    out, err = run(code)
    assert out == "['image/svg+xml', 'text/plain'] False False", err
