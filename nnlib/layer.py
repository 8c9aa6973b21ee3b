"""What every layer object is, in both tracks: parameters, gradients, a forward and a backward.

No arithmetic here: the tracks' `layers` call the functions of their track.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from nnlib.errors import ShapeError, format_shape

Array = Any
Self = TypeVar("Self", bound="Layer")


class Layer:
    """A function with parameters that remembers its last call, so that it can go backward.

    Attributes
    ----------
    params : dict of str to array
        What is learned. Assign a whole dict to update it.
    grads : dict of str to array
        Gradients from the last `backward`, with the keys of ``params``; empty before.
    training : bool
        True while training, False in evaluation. Layers that behave alike ignore it.

    Notes
    -----
    A subclass implements `_forward`, which returns ``(y, cache)``, and `_backward`, which takes
    ``(dy, cache)`` and returns ``(dx, grads)``.
    """

    def __init__(self) -> None:
        self.training = True
        self._params: dict[str, Array] = {}
        self._grads: dict[str, Array] = {}
        self._cache: Any = None

    @property
    def params(self) -> dict[str, Array]:
        """The parameters by name."""
        return dict(self._params)

    @params.setter
    def params(self, values: Mapping[str, Array]) -> None:
        check_same_keys(type(self).__name__, self.params, values)
        self._params = dict(values)

    @property
    def grads(self) -> dict[str, Array]:
        """The gradients of the last `backward` by name of the parameter."""
        return dict(self._grads)

    def forward(self, x: Array) -> Array:
        """Compute the output and remember what `backward` needs."""
        y, self._cache = self._forward(x)
        return y

    def backward(self, dy: Array) -> Array:
        """Compute ``dx`` from ``dy`` for the last `forward`, and the gradients of the parameters.

        Raises
        ------
        ValueError
            If there was no `forward`.
        """
        if self._cache is None:
            raise ValueError(f"{type(self).__name__}.backward: call forward first.")
        dx, self._grads = self._backward(dy, self._cache)
        return dx

    def train(self: Self) -> Self:
        """Switch to training and return the layer."""
        self._set_training(True)
        return self

    def eval(self: Self) -> Self:
        """Switch to evaluation and return the layer."""
        self._set_training(False)
        return self

    def __call__(self, x: Array) -> Array:
        """Compute `forward`."""
        return self.forward(x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._describe()})"

    def _describe(self) -> str:
        return ", ".join(f"{k}: {format_shape(p.shape)}" for k, p in self._params.items())

    def _set_training(self, training: bool) -> None:
        self.training = training

    def _forward(self, x: Array) -> tuple[Array, Any]:
        raise TypeError(f"{type(self).__name__} must define _forward.")

    def _backward(self, dy: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        raise TypeError(f"{type(self).__name__} must define _backward.")


class Chain(Layer):
    """Layers one after the other, itself a layer.

    Its parameters are those of the layers, with the layer's number in front: ``"0.w"``.

    Parameters
    ----------
    *layers : Layer
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        for place, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(
                    f"{type(self).__name__}: layer {place} must be a Layer, got "
                    f"{type(layer).__name__}."
                )
        if len({id(layer) for layer in layers}) < len(layers):
            raise ValueError(
                f"{type(self).__name__}: a layer may appear only once. Its memory of the last "
                f"call would be overwritten: make a second one."
            )
        self.layers = layers

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, place: int) -> Layer:
        return self.layers[place]

    @property
    def params(self) -> dict[str, Array]:
        """The parameters of all layers: ``"<number of the layer>.<name>"``."""
        return {
            f"{place}.{name}": value
            for place, layer in enumerate(self.layers)
            for name, value in layer.params.items()
        }

    @params.setter
    def params(self, values: Mapping[str, Array]) -> None:
        check_same_keys(type(self).__name__, self.params, values)
        for place, layer in enumerate(self.layers):
            layer.params = {name: values[f"{place}.{name}"] for name in layer.params}

    @property
    def grads(self) -> dict[str, Array]:
        """The gradients of all layers, with the keys of `params`; empty before `backward`."""
        return {
            f"{place}.{name}": value
            for place, layer in enumerate(self.layers)
            for name, value in layer.grads.items()
        }

    def forward(self, x: Array) -> Array:
        """Pass ``x`` through the layers in order."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: Array) -> Array:
        """Pass ``dy`` through the layers in reverse order."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    def _set_training(self, training: bool) -> None:
        super()._set_training(training)
        for layer in self.layers:
            layer._set_training(training)

    def _describe(self) -> str:
        return ", ".join(map(repr, self.layers))


def check_same_keys(caller: str, params: Mapping[str, Array], values: Mapping[str, Array]) -> None:
    """Require new values for exactly the parameters there are, of the same shapes."""
    if params.keys() != values.keys():
        raise ValueError(
            f"{caller}.params: the keys must be {sorted(params)}, got {sorted(values)}."
        )
    for name, value in values.items():
        if tuple(value.shape) != tuple(params[name].shape):
            raise ShapeError(
                f"{caller}.params: {name} must have shape {format_shape(params[name].shape)}, "
                f"got {format_shape(value.shape)}."
            )
