"""Layers made of layers: one after the other, or side by side around a skip connection."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nnlib.errors import ShapeError, check_same_shape, format_shape
from nnlib.history import History
from nnlib.layer import Chain, Container, Layer, Shape
from nnlib.torch_track import train

__all__ = ["Residual", "Sequential"]


class Sequential(Chain):
    """Layers one after the other; ``params`` and ``grads`` have keys such as ``"0.w"``.

    Parameters
    ----------
    *layers : Layer

    Examples
    --------
    One step of gradient descent on random data:

    >>> from nnlib.torch_track import sgd_init, sgd_update, softmax_cross_entropy
    >>> from nnlib.torch_track.layers import Linear, ReLU
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

    def fit(
        self,
        x: Tensor,
        y: Tensor,
        *,
        loss: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        epochs: int,
        rng: torch.Generator,
        **options: Any,
    ) -> History:
        """Train on mini-batches for a number of epochs: `train.fit` with this model.

        Parameters
        ----------
        x, y : tensors with one row for each example
        loss : callable
            ``loss(predictions, y) -> (value, gradient)``.
        epochs : int
        rng : torch.Generator
            Shuffles the examples.
        **options
            ``optimizer``, ``learning_rate``, ``batch_size``, ``validation``, ``metrics``,
            ``early_stopping``, ``callbacks``, ``progress`` and the others of `train.fit`.

        Returns
        -------
        History
            One list of numbers for each quantity; ``plot()`` draws them.
        """
        return train.fit(self, x, y, loss=loss, epochs=epochs, rng=rng, **options)


class Residual(Container):
    """A body and a way around it: ``y = body(x) + shortcut(x)``.

    Parameters
    ----------
    body : Layer
    shortcut : Layer, optional
        The identity unless given. A 1x1 convolution or a linear layer where the body changes
        the shape.

    Notes
    -----
    The upstream gradient goes both ways, and ``dx`` is the sum of what comes back. So a gradient
    reaches the layers below even where that of the body vanishes.

    References
    ----------
    Chapter 14, "Convolutional networks". K. He et al., "Deep residual learning for image
    recognition", CVPR 2016.

    Examples
    --------
    >>> from nnlib.torch_track.layers import Linear
    >>> block = Residual(Linear(2, 2, rng=torch.Generator().manual_seed(0), scheme="zeros"))
    >>> block(torch.tensor([[1.0, 2.0]]).double()).tolist(), sorted(block.params)
    ([[1.0, 2.0]], ['body.b', 'body.w'])
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        super().__init__(**({"body": body} if shortcut is None
                            else {"body": body, "shortcut": shortcut}))
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``body(x) + shortcut(x)``."""
        way = x if self.shortcut is None else self.shortcut.forward(x)
        y = self.body.forward(x)
        check_same_shape(
            "Residual", body=y, shortcut=way,
            hint="Give a shortcut that makes the shape of the body's output.",
        )
        return y + way

    def backward(self, dy: Tensor) -> Tensor:
        """Compute ``dx``, the sum of the gradients from both ways."""
        way = dy if self.shortcut is None else self.shortcut.backward(dy)
        return self.body.backward(dy) + way

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        body, way = self.body._output_shape(f"{caller}: body", shape), shape
        if self.shortcut is not None:
            way = self.shortcut._output_shape(f"{caller}: shortcut", shape)
        if body != way:
            raise ShapeError(
                f"{caller}: body and shortcut must give the same shape, got "
                f"{format_shape(body)} and {format_shape(way)}."
            )
        return body
