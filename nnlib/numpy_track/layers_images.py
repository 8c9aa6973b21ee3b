"""Layers for images ``(n, c, h, w)``: convolution and pooling."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nnlib.errors import check_choice, check_count, format_shape
from nnlib.layer import Layer, Shape
from nnlib.layer_summary import require_axes
from nnlib.numpy_track import convolution, pooling
from nnlib.numpy_track._types import Array
from nnlib.numpy_track.init import SCHEMES
from nnlib.windows import Pair, lay_windows

__all__ = ["AvgPool2d", "Conv2d", "GlobalAvgPool2d", "MaxPool2d"]


class Conv2d(Layer):
    """A convolution with parameters "w" ``(c_out, c_in/groups, kh, kw)`` and "b" ``(c_out,)``.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    kernel_size : int or pair
    stride, padding, dilation, groups
        As in `conv2d_forward`.
    rng : numpy.random.Generator
        Draws the filters; the bias starts at 0.
    scheme : str
        See `init_params`.
    bias : bool
    dtype : dtype of the parameters

    Examples
    --------
    >>> layer = Conv2d(1, 6, 5, padding=2, rng=np.random.default_rng(0))
    >>> layer(np.zeros((2, 1, 28, 28))).shape, layer.multiply_adds((1, 28, 28))
    ((2, 6, 28, 28), 117600)
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel_size: Pair,
        *,
        rng: np.random.Generator,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        scheme: str = "he",
        bias: bool = True,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        for name, size in (("c_in", c_in), ("c_out", c_out), ("groups", groups)):
            check_count("Conv2d", name, size, minimum=1)
        check_choice("Conv2d", "scheme", scheme, tuple(SCHEMES))
        if c_in % groups or c_out % groups:
            raise ValueError(
                f"Conv2d: groups must divide c_in {c_in} and c_out {c_out}, got {groups}."
            )
        # An image of any size will do to check the options: no kernel spans more than this one.
        windows = lay_windows(
            "Conv2d", (10**9, 10**9),
            kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation,
        )
        shape = (c_out, c_in // groups, *windows.kernel)
        self._params = {"w": SCHEMES[scheme](rng, shape, dtype=dtype)}
        if bias:
            self._params["b"] = np.zeros(c_out, dtype=dtype)
        self._options: dict[str, Any] = {
            "stride": windows.stride, "padding": windows.padding, "dilation": windows.dilation,
        }
        self._groups = groups

    def _forward(self, x: Array) -> tuple[Array, Any]:
        return convolution.conv2d_forward(
            x, self._params["w"], self._params.get("b"), groups=self._groups, **self._options
        )

    def _backward(
        self, dy: Array, cache: Any, *, input_grad: bool = True
    ) -> tuple[Array, dict[str, Array]]:
        dx, dw, db = convolution.conv2d_backward(dy, cache, input_grad=input_grad)
        return dx, {"w": dw} if db is None else {"w": dw, "b": db}

    def _param_grads(self, dy: Array, cache: Any) -> dict[str, Array]:
        return self._backward(dy, cache, input_grad=False)[1]

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        c_out, c_group, *kernel_size = self._params["w"].shape
        require_axes(caller, shape, (c_group * self._groups, "h", "w"))
        windows = lay_windows(caller, shape[1:], kernel_size=kernel_size, **self._options)
        return (c_out, *windows.output)

    def _multiply_adds(self, shape: Shape) -> int:
        c_out, c_group, kh, kw = self._params["w"].shape
        _, oh, ow = self._output_shape("Conv2d.multiply_adds", shape)
        return c_out * oh * ow * c_group * kh * kw

    def _describe(self) -> str:
        usual = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
        options = [f"{name}={format_shape(value)}" for name, value in self._options.items()
                   if value != usual[name]]
        groups = [f"groups={self._groups}"] if self._groups > 1 else []
        return ", ".join([super()._describe(), *options, *groups])


class _Pool2d(Layer):
    """What max and average pooling have in common: their options and shapes."""

    def __init__(self, kernel_size: Pair, stride: Pair | None, padding: Pair) -> None:
        super().__init__()
        kind = type(self).__name__
        windows = lay_windows(
            kind, (10**9, 10**9), kernel_size=kernel_size,
            stride=kernel_size if stride is None else stride, padding=padding, most_padding=True,
        )
        self._options: dict[str, Any] = {
            "kernel_size": windows.kernel, "stride": windows.stride, "padding": windows.padding,
        }

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        require_axes(caller, shape, ("c", "h", "w"))
        return (shape[0], *lay_windows(caller, shape[1:], **self._options).output)

    def _describe(self) -> str:
        kernel_size, stride, padding = self._options.values()
        shown = {"kernel_size": kernel_size}
        if stride != kernel_size:
            shown["stride"] = stride
        if padding != (0, 0):
            shown["padding"] = padding
        return ", ".join(f"{name}={format_shape(value)}" for name, value in shown.items())


class MaxPool2d(_Pool2d):
    """The largest entry of each window, see `max_pool2d_forward`.

    Parameters
    ----------
    kernel_size : int or pair
    stride : int, pair or None
        None means `kernel_size`.
    padding : int or pair

    Examples
    --------
    >>> MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    def __init__(
        self, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0
    ) -> None:
        super().__init__(kernel_size, stride, padding)

    def _forward(self, x: Array) -> tuple[Array, Any]:
        return pooling.max_pool2d_forward(x, **self._options)

    def _backward(self, dy: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        return pooling.max_pool2d_backward(dy, cache), {}


class AvgPool2d(_Pool2d):
    """The mean of each window, see `avg_pool2d_forward`.

    Parameters
    ----------
    kernel_size : int or pair
    stride : int, pair or None
        None means `kernel_size`.
    padding : int or pair
    count_include_pad : bool

    Examples
    --------
    >>> AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """

    def __init__(
        self,
        kernel_size: Pair,
        *,
        stride: Pair | None = None,
        padding: Pair = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        self._count_include_pad = count_include_pad

    def _forward(self, x: Array) -> tuple[Array, Any]:
        return pooling.avg_pool2d_forward(
            x, count_include_pad=self._count_include_pad, **self._options
        )

    def _backward(self, dy: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        return pooling.avg_pool2d_backward(dy, cache), {}


class GlobalAvgPool2d(Layer):
    """The mean of each channel, ``(n, c, h, w)`` to ``(n, c)``, see `global_avg_pool2d_forward`.

    Examples
    --------
    >>> GlobalAvgPool2d()(np.arange(4.0).reshape(1, 1, 2, 2)).tolist()
    [[1.5]]
    """

    def _forward(self, x: Array) -> tuple[Array, Any]:
        return pooling.global_avg_pool2d_forward(x)

    def _backward(self, dy: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        return pooling.global_avg_pool2d_backward(dy, cache), {}

    def _output_shape(self, caller: str, shape: Shape) -> Shape:
        require_axes(caller, shape, ("c", "h", "w"))
        return shape[:1]
