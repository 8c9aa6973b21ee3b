"""Models: layers put together.

A model is a layer too. It can be trained with `Sequential.fit`, written with ``save(path)``, read
with ``load(path)``, and described with ``print(model.summary(input_shape))``.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nnlib.errors import ShapeError
from nnlib.numpy_track.layers import Layer, Linear, ReLU, Residual, Sequential

__all__ = ["Residual", "Sequential", "mlp"]


def mlp(
    rng: np.random.Generator,
    sizes: Sequence[int],
    *,
    scheme: str = "he",
    dtype: npt.DTypeLike = np.float64,
) -> Sequential:
    """Build a multi-layer perceptron: linear layers with ReLU between them.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the weights.
    sizes : sequence of int
        Number of inputs, of units in each hidden layer, and of outputs.
    scheme : str
        See `init_params`.
    dtype : dtype of the parameters

    Returns
    -------
    Sequential

    Raises
    ------
    ShapeError
        If there are fewer than 2 sizes.

    Examples
    --------
    >>> mlp(np.random.default_rng(0), (4, 8, 3))
    Sequential(Linear(w: (4, 8), b: (8,)), ReLU(), Linear(w: (8, 3), b: (3,)))
    """
    if len(sizes) < 2:
        raise ShapeError(f"mlp: sizes must hold at least inputs and outputs, got {list(sizes)}.")
    layers: list[Layer] = []
    for d_in, d_out in itertools.pairwise(sizes):
        layers += [Linear(d_in, d_out, rng=rng, scheme=scheme, dtype=dtype), ReLU()]
    return Sequential(*layers[:-1])
