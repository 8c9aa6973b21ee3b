"""What the functions around initialisation return."""

from typing import Any, NamedTuple

Array = Any


class LayerStatistics(NamedTuple):
    """What `layer_statistics` measures: one number for each layer, the first layer first.

    The variance of the sums ``z``, the mean square of the outputs ``h``, the share of dead units,
    and the mean square of the gradient with respect to ``h``.
    """

    variance: Array
    mean_square: Array
    dead: Array
    gradient_mean_square: Array
