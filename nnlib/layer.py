"""Layers made of layers, in both tracks. `Layer`, what each of them is, comes from `layer_base`.

No arithmetic here: the tracks' `layers` call the functions of their track.
"""

from collections.abc import Iterator, Mapping

from nnlib.layer_base import Array, Layer, Shape
from nnlib.layer_state import check_same_keys
from nnlib.layer_summary import SummaryRow

__all__ = ["Array", "Chain", "Container", "Layer", "Shape", "check_same_keys"]


class Container(Layer):
    """A layer made of layers, each with a name.

    Its parameters and buffers are those of the layers, with the layer's name in front:
    ``"body.w"``. A subclass implements `forward`, `backward` and `_output_shape`.

    Parameters
    ----------
    **layers : Layer
    """

    def __init__(self, **layers: Layer) -> None:
        super().__init__()
        for name, layer in layers.items():
            if not isinstance(layer, Layer):
                raise TypeError(
                    f"{type(self).__name__}: layer {name} must be a Layer, got "
                    f"{type(layer).__name__}."
                )
        self.children = layers
        inside = [id(layer) for layer in self._all_layers()]
        if len(set(inside)) < len(inside):
            raise ValueError(
                f"{type(self).__name__}: a layer may appear only once. Its memory of the last "
                f"call would be overwritten: make a second one."
            )

    @property
    def params(self) -> dict[str, Array]:
        """The parameters of all layers: ``"<name of the layer>.<name>"``."""
        return {f"{child}.{name}": value for child, layer in self.children.items()
                for name, value in layer.params.items()}

    @params.setter
    def params(self, values: Mapping[str, Array]) -> None:
        check_same_keys(type(self).__name__, self.params, values)
        self._assign_params(values, "")

    @property
    def buffers(self) -> dict[str, Array]:
        """The buffers of all layers: ``"<name of the layer>.<name>"``."""
        return {f"{child}.{name}": value for child, layer in self.children.items()
                for name, value in layer.buffers.items()}

    @property
    def grads(self) -> dict[str, Array]:
        """The gradients of all layers, with the keys of `params`; empty before `backward`."""
        return {f"{child}.{name}": value for child, layer in self.children.items()
                for name, value in layer.grads.items()}

    def backward_params(self, dy: Array) -> None:
        """Compute the gradients of the parameters; see `Layer.backward_params`."""
        self.backward(dy)

    def _all_layers(self) -> Iterator[Layer]:
        for layer in self.children.values():
            yield layer
            if isinstance(layer, Container):
                yield from layer._all_layers()

    def _set_training(self, training: bool) -> None:
        super()._set_training(training)
        for layer in self.children.values():
            layer._set_training(training)

    def _assign_params(self, values: Mapping[str, Array], prefix: str) -> None:
        for name, layer in self.children.items():
            layer._assign_params(values, f"{prefix}{name}.")

    def _assign_buffers(self, values: Mapping[str, Array], prefix: str) -> None:
        for name, layer in self.children.items():
            layer._assign_buffers(values, f"{prefix}{name}.")

    def _inputs(self, shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
        """For each layer its name and the shape of its input; all get the same by default."""
        for name, layer in self.children.items():
            yield name, layer, shape

    def _multiply_adds(self, shape: Shape) -> int:
        return sum(layer._multiply_adds(given) for _, layer, given in self._inputs(shape))

    def _summary_rows(self, name: str, shape: Shape) -> list[SummaryRow]:
        output = self._output_shape(f"{type(self).__name__}.summary", shape)
        # The outermost container is the table itself.
        rows = [SummaryRow(name, type(self).__name__, output, None, None)] if name else []
        for child, layer, given in self._inputs(shape):
            rows += layer._summary_rows(f"{name}.{child}" if name else child, given)
        return rows

    def _describe(self) -> str:
        return ", ".join(f"{name}={layer!r}" for name, layer in self.children.items())


class Chain(Container):
    """Layers one after the other, itself a layer.

    Its parameters are those of the layers, with the layer's number in front: ``"0.w"``.

    Parameters
    ----------
    *layers : Layer
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__(**{str(place): layer for place, layer in enumerate(layers)})
        self.layers = layers

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, place: int) -> Layer:
        return self.layers[place]

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

    def backward_params(self, dy: Array) -> None:
        """Pass ``dy`` back as far as there are parameters; see `Layer.backward_params`."""
        learning = [place for place, layer in enumerate(self.layers) if layer.params]
        for layer in reversed(self.layers[learning[0] + 1 :] if learning else ()):
            dy = layer.backward(dy)
        if learning:
            self.layers[learning[0]].backward_params(dy)

    def _inputs(self, shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
        for name, layer in self.children.items():
            yield name, layer, shape
            shape = layer._output_shape(f"{type(layer).__name__}.output_shape", shape)

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        for name, layer in self.children.items():
            # The place matters where a model has ten layers of a kind.
            shape = layer._output_shape(f"{caller}: layer {name}, {type(layer).__name__}", shape)
        return shape

    def _describe(self) -> str:
        return ", ".join(map(repr, self.layers))


