"""What every layer object is, in both tracks: parameters, gradients, a forward and a backward.

No arithmetic here: the tracks' `layers` call the functions of their track.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from nnlib.errors import format_shape, size_of
from nnlib.layer_state import check_same_keys, check_state, copy_array, load_state, save_state
from nnlib.layer_summary import SummaryRow, check_input_shape, format_summary

Array = Any
Shape = tuple[int, ...]
Self = TypeVar("Self", bound="Layer")


class Layer:
    """A function with parameters that remembers its last call, so that it can go backward.

    Attributes
    ----------
    params : dict of str to array
        What is learned. Assign a whole dict to update it.
    buffers : dict of str to array
        What is kept but not learned by gradients, such as running statistics.
    grads : dict of str to array
        Gradients from the last `backward`, with the keys of ``params``; empty before.
    training : bool
        True while training, False in evaluation. Layers that behave alike ignore it.

    Notes
    -----
    A subclass implements `_forward`, which returns ``(y, cache)``, and `_backward`, which takes
    ``(dy, cache)`` and returns ``(dx, grads)``. For `summary` it also implements
    ``_output_shape(caller, shape)`` and, where it multiplies matrices, ``_multiply_adds(shape)``.
    """

    def __init__(self) -> None:
        self.training = True
        self._params: dict[str, Array] = {}
        self._buffers: dict[str, Array] = {}
        self._grads: dict[str, Array] = {}
        self._cache: Any = None

    @property
    def params(self) -> dict[str, Array]:
        """The parameters by name."""
        return dict(self._params)

    @params.setter
    def params(self, values: Mapping[str, Array]) -> None:
        check_same_keys(type(self).__name__, self.params, values)
        self._assign_params(values, "")

    @property
    def buffers(self) -> dict[str, Array]:
        """What is kept but not learned, by name."""
        return dict(self._buffers)

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

    def backward_params(self, dy: Array) -> None:
        """Compute the gradients of the parameters only, where ``dx`` has no reader.

        So it is in a network's first layer while it trains: nobody learns the input. A layer
        whose ``dx`` is a large product of its own leaves it out.
        """
        if self._cache is None:
            raise ValueError(f"{type(self).__name__}.backward_params: call forward first.")
        self._grads = self._param_grads(dy, self._cache)

    def train(self: Self) -> Self:
        """Switch to training and return the layer."""
        self._set_training(True)
        return self

    def eval(self: Self) -> Self:
        """Switch to evaluation and return the layer."""
        self._set_training(False)
        return self

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all parameters and buffers by name.

        Copies, so that training on changes none of them. The generator of a `Dropout` is not
        part of the state.
        """
        return {name: copy_array(x) for name, x in {**self.params, **self.buffers}.items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take over copies of parameters and buffers from `state_dict` of such a layer.

        Parameters
        ----------
        state : dict of str to array
            Exactly the names, shapes and dtypes of this layer; else nothing changes.

        Raises
        ------
        ValueError
            If names are missing or unexpected; all are named.
        ShapeError, DtypeError
            If an array has another shape or dtype.
        """
        check_state(f"{type(self).__name__}.load_state_dict", {**self.params, **self.buffers},
                    state)
        self._assign({name: copy_array(x) for name, x in state.items()})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and buffers to a file: an npz with a header, no pickle.

        The file is whole or not there at all. Either track reads what the other wrote.

        Parameters
        ----------
        path : path
            Taken as it is: no ending is added. An existing file is replaced.
        """
        save_state(path, {**self.params, **self.buffers}, description=repr(self))

    def load(self: Self, path: str | os.PathLike[str]) -> Self:
        """Take over parameters and buffers that `save` of such a layer wrote; return the layer.

        Parameters
        ----------
        path : path

        Raises
        ------
        FileNotFoundError
            If there is no file.
        ValueError
            If the file is damaged or no such file, or names are missing or unexpected.
        ShapeError, DtypeError
            If an array has another shape or dtype.
        """
        caller = f"{type(self).__name__}.load"
        self._assign(load_state(caller, path, {**self.params, **self.buffers}))
        return self

    def output_shape(self, input_shape: Sequence[int]) -> Shape:
        """Return the shape of one example's output, from that of one example's input.

        Parameters
        ----------
        input_shape : sequence of int
            Without the batch axis: ``(1, 28, 28)``.

        Raises
        ------
        ShapeError
            If the layer does not take such inputs.
        """
        caller = f"{type(self).__name__}.output_shape"
        return self._output_shape(caller, check_input_shape(caller, input_shape))

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Count the multiplications, each with its addition, in `forward` of one example.

        Those of matrix products and convolutions; everything else is small beside them and
        counts 0. `backward` takes about twice as many.
        """
        caller = f"{type(self).__name__}.multiply_adds"
        shape = check_input_shape(caller, input_shape)
        self._output_shape(caller, shape)
        return self._multiply_adds(shape)

    def summary(self, input_shape: Sequence[int]) -> str:
        """Return a table with the output shape, parameters and multiply-adds of each layer.

        Computed from shapes alone: nothing is run.

        Parameters
        ----------
        input_shape : sequence of int
            Shape of one example, without the batch axis: ``(1, 28, 28)``.

        Returns
        -------
        str
            To be printed. Multiply-adds are those of one example, see `multiply_adds`; "n" is
            the size of the batch.

        Raises
        ------
        ShapeError
            If a layer does not take what the one before it gives.
        """
        caller = f"{type(self).__name__}.summary"
        shape = check_input_shape(caller, input_shape)
        self._output_shape(caller, shape)
        return format_summary(self._summary_rows("", shape), shape)

    def __call__(self, x: Array) -> Array:
        """Compute `forward`."""
        return self.forward(x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._describe()})"

    def _describe(self) -> str:
        return ", ".join(f"{k}: {format_shape(p.shape)}" for k, p in self._params.items())

    def _set_training(self, training: bool) -> None:
        self.training = training

    def _assign(self, state: Mapping[str, Array]) -> None:
        """Take over a checked state."""
        self._assign_params(state, "")
        self._assign_buffers(state, "")

    def _assign_params(self, values: Mapping[str, Array], prefix: str) -> None:
        self._params = {name: values[prefix + name] for name in self._params}

    def _assign_buffers(self, values: Mapping[str, Array], prefix: str) -> None:
        self._buffers = {name: values[prefix + name] for name in self._buffers}

    def _summary_rows(self, name: str, shape: Shape) -> list[SummaryRow]:
        parameters = sum(size_of(p) for p in self._params.values())
        output = self._output_shape(f"{type(self).__name__}.summary", shape)
        kind = type(self).__name__
        return [SummaryRow(name, kind, output, parameters, self._multiply_adds(shape))]

    def _forward(self, x: Array) -> tuple[Array, Any]:
        raise TypeError(f"{type(self).__name__} must define _forward.")

    def _backward(self, dy: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        raise TypeError(f"{type(self).__name__} must define _backward.")

    def _param_grads(self, dy: Array, cache: Any) -> dict[str, Array]:
        return self._backward(dy, cache)[1]

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        raise TypeError(f"{type(self).__name__} must define _output_shape, from shape to shape.")

    def _multiply_adds(self, shape: Shape) -> int:
        return 0
