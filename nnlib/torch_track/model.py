"""Models: layers put together."""

import itertools
from collections.abc import Sequence

import torch

from nnlib.errors import ShapeError
from nnlib.layer import Chain, Layer
from nnlib.torch_track.layers import Linear, ReLU

__all__ = ["Sequential", "mlp"]


class Sequential(Chain):
    """Layers one after the other; ``params`` and ``grads`` have keys such as ``"0.w"``.

    Parameters
    ----------
    *layers : Layer

    Examples
    --------
    One step of gradient descent on random data:

    >>> from nnlib.torch_track import sgd_init, sgd_update, softmax_cross_entropy
    >>> rng = torch.Generator().manual_seed(0)
    >>> model = Sequential(Linear(4, 8, rng=rng), ReLU(), Linear(8, 3, rng=rng))
    >>> x = torch.randn(10, 4, generator=rng, dtype=torch.float64)
    >>> labels = torch.randint(3, (10,), generator=rng)
    >>> state = sgd_init(model.params)
    >>> before, dlogits = softmax_cross_entropy(model(x), labels)
    >>> dx = model.backward(dlogits)
    >>> model.params, state = sgd_update(model.params, model.grads, state, learning_rate=0.1)
    >>> after, _ = softmax_cross_entropy(model(x), labels)
    >>> bool(after < before)
    True
    """


def mlp(
    rng: torch.Generator,
    sizes: Sequence[int],
    *,
    scheme: str = "he",
    dtype: torch.dtype = torch.float64,
) -> Sequential:
    """Build a multi-layer perceptron: linear layers with ReLU between them.

    Parameters
    ----------
    rng : torch.Generator
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
    >>> mlp(torch.Generator().manual_seed(0), (4, 8, 3))
    Sequential(Linear(w: (4, 8), b: (8,)), ReLU(), Linear(w: (8, 3), b: (3,)))
    """
    if len(sizes) < 2:
        raise ShapeError(f"mlp: sizes must hold at least inputs and outputs, got {list(sizes)}.")
    layers: list[Layer] = []
    for d_in, d_out in itertools.pairwise(sizes):
        layers += [Linear(d_in, d_out, rng=rng, scheme=scheme, dtype=dtype), ReLU()]
    return Sequential(*layers[:-1])
