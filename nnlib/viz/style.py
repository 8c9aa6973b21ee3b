"""The look of every figure: one colour per symbol, readable in light and dark.

Figures are drawn in dark ink on a transparent ground; the book's style sheet inverts them in dark
mode. Nothing here imports matplotlib before a function that needs it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

# Okabe and Ito's palette: told apart with every common kind of colour blindness.
COLORS = MappingProxyType(
    {
        "x": "#0072B2",  # blue: inputs
        "w": "#D55E00",  # vermilion: weights
        "b": "#009E73",  # bluish green: biases
        "y": "#CC79A7",  # reddish purple: outputs and targets
        "gradient": "#E69F00",  # orange: everything that flows backwards
        "hidden": "#56B4E9",  # sky: hidden activations
        "sky": "#56B4E9",
        "loss": "#1B1F24",  # near black
        "ink": "#1B1F24",
        "muted": "#6B7280",  # guides, notes, faded copies
    }
)

# The same hues, darkened until small text in them reaches a contrast of 4.5 on the book's light
# ground and, inverted, on its dark one.
TEXT_COLORS = MappingProxyType(
    {
        **COLORS,
        "w": "#B94F00",
        "b": "#007A59",
        "y": "#A8467E",
        "gradient": "#946300",
        "hidden": "#1F74A8",
        "sky": "#1F74A8",
        "muted": "#566170",
    }
)

# For curves and classes that are no symbol. Use them together with MARKERS or LINESTYLES.
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#1B1F24")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINESTYLES = ("-", (0, (6, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 1.5)), "-", "-")

# Bytes must not depend on the day or on the process: no date, a fixed salt for ids.
SVG_METADATA = MappingProxyType({"Date": None, "Creator": None, "Format": None, "Type": None})
_HASH_SALT = "nnlib"


def style_parameters(*, transparent: bool = True) -> dict[Any, Any]:
    """Return the matplotlib rcParams of the course.

    Parameters
    ----------
    transparent : bool
        False draws on white, for places that don't invert figures in dark mode.

    Returns
    -------
    dict
        rcParams names and values.

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> style_parameters()["savefig.transparent"]
    True
    """
    require_matplotlib("style_parameters")
    from cycler import cycler

    ink, ground = COLORS["ink"], "none" if transparent else "white"
    return {
        "figure.figsize": (6.4, 3.8),
        "figure.dpi": 110,
        "figure.facecolor": ground,
        "figure.constrained_layout.use": True,
        "savefig.transparent": transparent,
        "savefig.format": "svg",
        "savefig.facecolor": ground,
        "svg.fonttype": "path",
        "svg.hashsalt": _HASH_SALT,
        "font.family": ["DejaVu Sans"],
        "font.size": 10.5,
        # Serif italics, as in the formulas of the page, as large and dark as the text around them.
        "mathtext.fontset": "dejavuserif",
        "text.color": ink,
        "axes.facecolor": "none",
        "axes.edgecolor": "#8A9099",
        "axes.linewidth": 0.9,
        "axes.labelcolor": ink,
        "axes.labelsize": 10.5,
        "axes.labelpad": 5.0,
        "axes.titlesize": 11.5,
        "axes.titlelocation": "left",
        "axes.titlepad": 9.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.prop_cycle": cycler(color=CYCLE) + cycler(linestyle=LINESTYLES),
        # Only numbers far from one need a power of ten.
        "axes.formatter.limits": (-4, 5),
        "axes.formatter.use_mathtext": True,
        "grid.color": ink,
        "grid.alpha": 0.11,
        "grid.linewidth": 0.7,
        "xtick.color": "#8A9099",
        "ytick.color": "#8A9099",
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "xtick.labelsize": 9.5,
        "ytick.labelsize": 9.5,
        "xtick.major.size": 3.0,
        "ytick.major.size": 3.0,
        "xtick.minor.size": 0.0,
        "ytick.minor.size": 0.0,
        "lines.linewidth": 2.0,
        "lines.markersize": 6.0,
        "lines.solid_capstyle": "round",
        "legend.frameon": False,
        "legend.fontsize": 9.5,
        "legend.handlelength": 2.6,
        "image.cmap": "cividis",
        "image.interpolation": "nearest",
    }


def use_style(*, transparent: bool = True) -> None:
    """Make every figure of this process look like the course's; in notebooks, draw SVG.

    Call it once, right after the imports. Calling it again changes nothing more.

    Parameters
    ----------
    transparent : bool
        False draws on white: use it in a notebook whose theme is dark.

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Notes
    -----
    Two runs give the same SVG bytes: no date, ids from a fixed salt, glyphs as paths. Elsewhere
    save with ``fig.savefig(path, metadata=dict(viz.SVG_METADATA))``.

    Examples
    --------
    >>> use_style()
    >>> import matplotlib
    >>> matplotlib.rcParams["svg.hashsalt"]
    'nnlib'
    """
    require_matplotlib("use_style")
    import matplotlib

    matplotlib.rcParams.update(style_parameters(transparent=transparent))
    _draw_svg_in_notebooks()


@contextmanager
def styled(*, transparent: bool = True) -> Iterator[None]:
    """Apply the course's style inside a ``with`` block only.

    Parameters
    ----------
    transparent : bool
        False draws on white.

    Examples
    --------
    >>> import matplotlib
    >>> before = matplotlib.rcParams["svg.hashsalt"]
    >>> with styled():
    ...     inside = matplotlib.rcParams["svg.hashsalt"]
    >>> inside, matplotlib.rcParams["svg.hashsalt"] == before
    ('nnlib', True)
    """
    require_matplotlib("styled")
    import matplotlib

    with matplotlib.rc_context(style_parameters(transparent=transparent)):
        yield


def require_matplotlib(caller: str) -> None:
    """Raise an ImportError that says how to install matplotlib, if it is missing.

    Examples
    --------
    >>> require_matplotlib("use_style")
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller}: matplotlib must be installed to draw figures, but importing it failed "
            f'({error}). Install it with: pip install "nncourse[viz]"'
        ) from error


def _draw_svg_in_notebooks() -> None:
    """Switch IPython's inline figures to deterministic SVG; do nothing outside a kernel."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return
    try:
        from matplotlib_inline.config import InlineBackend
    except ImportError:
        return
    # Importing pyplot first lets the inline backend set itself up; done later, it would go back
    # to PNG.
    import matplotlib.pyplot  # noqa: F401

    backend: Any = InlineBackend.instance(parent=shell)
    backend.print_figure_kwargs = {**backend.print_figure_kwargs, "metadata": dict(SVG_METADATA)}
    backend.figure_formats = {"svg"}


def number_text(value: Any, format: str | Callable[[Any], str]) -> str:
    r"""Write a number for a figure, with a true minus sign.

    Examples
    --------
    >>> number_text(-2.5, "{:g}") == "\N{MINUS SIGN}2.5"
    True
    """
    text = format(value) if callable(format) else format.format(value)
    return text if "$" in text else text.replace("-", "\N{MINUS SIGN}")
