"""The look of the book, and the figures that more than one page uses.

`import nnlib.viz` imports no matplotlib; the functions do when they run.

Examples
--------
>>> from nnlib import viz
>>> viz.COLORS["w"]
'#D55E00'
"""

from nnlib.viz.graphs import draw_graph
from nnlib.viz.grids import GridBox, grid_sign, matrix_grid
from nnlib.viz.networks import draw_network
from nnlib.viz.neurons import draw_neuron
from nnlib.viz.nodes import draw_node
from nnlib.viz.plots import decision_regions, plot_with_band, scatter_classes
from nnlib.viz.slider import Slider, slider
from nnlib.viz.style import (
    COLORS,
    CYCLE,
    LINESTYLES,
    MARKERS,
    SVG_METADATA,
    TEXT_COLORS,
    style_parameters,
    styled,
    use_style,
)

__all__ = [
    "COLORS",
    "CYCLE",
    "LINESTYLES",
    "MARKERS",
    "SVG_METADATA",
    "TEXT_COLORS",
    "GridBox",
    "Slider",
    "decision_regions",
    "draw_graph",
    "draw_network",
    "draw_neuron",
    "draw_node",
    "grid_sign",
    "matrix_grid",
    "plot_with_band",
    "scatter_classes",
    "slider",
    "style_parameters",
    "styled",
    "use_style",
]
