"""A small reverse-mode automatic-differentiation engine, as built in chapter 5.

A `Tensor` remembers which tensors it was computed from and how to turn the gradient with respect
to itself into gradients with respect to them: its vector-Jacobian product (vjp). `backward`
walks the graph from the output to the inputs with the functions of `graph`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnlib.errors import ShapeError, check_floats, check_number, check_shape
from nnlib.numpy_track._types import Array
from nnlib.numpy_track.graph import (
    add_vjp,
    backpropagate,
    matmul_vjp,
    mul_vjp,
    relu_vjp,
    sum_vjp,
    unbroadcast,
)

__all__ = ["Tensor"]

Vjp = Callable[[Array], tuple[Array, ...]]


class Tensor:
    """An array that records the operations it takes part in.

    Parameters
    ----------
    data : array of floats, or a number
        Kept, not copied. Numbers and arrays of integers become float64.
    requires_grad : bool
        Whether `backward` computes a gradient with respect to this tensor.

    Attributes
    ----------
    data : array
        The values. Assign to it to update a parameter.
    grad : array or None
        Sum of the gradients of all `backward` calls since the last `zero_grad`.
    parents : tuple of Tensor
        What the tensor was computed from; empty for inputs.

    Notes
    -----
    Arithmetic broadcasts as in NumPy; each gradient is summed back to its parent's shape.
    Operations on tensors that need no gradient record nothing.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> x = Tensor(3.0, requires_grad=True)
    >>> y = x * x + 2.0 * x
    >>> y.backward()
    >>> float(y.data), float(x.grad)
    (15.0, 8.0)
    """

    # Makes `array * tensor` call Tensor.__rmul__ instead of multiplying element by element.
    __array_ufunc__ = None

    def __init__(self, data: Array | float, *, requires_grad: bool = False) -> None:
        values = np.asarray(data)
        self.data: Array = values.astype(np.float64) if values.dtype.kind in "iub" else values
        check_floats("Tensor", data=self.data)
        self.grad: Array | None = None
        self.requires_grad = requires_grad
        self.parents: tuple[Tensor, ...] = ()
        self.vjp: Vjp | None = None

    def __repr__(self) -> str:
        suffix = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({self.data!r}{suffix})"

    def __len__(self) -> int:
        return len(self.data)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return self.data.shape

    @property
    def T(self) -> Tensor:  # noqa: N802 - NumPy's name
        """The tensor with its axes in reverse order."""
        return self.transpose()

    def detach(self) -> Tensor:
        """Return a tensor of the same data that is an input: no gradient flows through it."""
        return Tensor(self.data)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def backward(self, dy: Array | float | None = None) -> None:
        """Add to ``grad`` of every tensor that this one needs the gradient of ``sum(self * dy)``.

        Parameters
        ----------
        dy : array of the shape of this tensor, or None
            Upstream gradient; None means 1 and is allowed for a single number.

        Raises
        ------
        ShapeError
            If ``dy`` has another shape, or is left out for more than one number.
        ValueError
            If the tensor does not depend on one with ``requires_grad=True``.
        """
        if not self.requires_grad:
            raise ValueError(
                "Tensor.backward: the tensor must depend on one with requires_grad=True."
            )
        if dy is None:
            if self.data.size != 1:
                raise ShapeError(
                    f"Tensor.backward: dy must be given for shape {self.shape}. "
                    f"Reduce the tensor to one number, for example with sum()."
                )
            dy = np.ones_like(self.data)
        upstream = np.asarray(dy, dtype=self.data.dtype)
        check_shape("Tensor.backward", "dy", upstream, self.shape)

        parents: dict[Tensor, tuple[Tensor, ...]] = {}
        found = [self]
        while found:
            node = found.pop()
            if node not in parents:
                parents[node] = node.parents
                found.extend(node.parents)
        vjps = {node: node.vjp for node in parents if node.vjp is not None}
        for node, grad in backpropagate(parents, vjps, self, upstream).items():
            if node.requires_grad:
                node.grad = grad if node.grad is None else node.grad + grad

    # --- arithmetic with broadcasting ---------------------------------------------------------

    def __add__(self, other: Any) -> Tensor:
        return _elementwise(np.add, add_vjp, self, other)

    def __mul__(self, other: Any) -> Tensor:
        return _elementwise(np.multiply, mul_vjp, self, other)

    def __truediv__(self, other: Any) -> Tensor:
        return self * as_tensor(other, like=self) ** -1

    def __pow__(self, exponent: float) -> Tensor:
        check_number("Tensor.__pow__", "exponent", exponent)
        power = float(exponent)
        a = self.data
        return _record(a**power, (self,), lambda dy: (dy * power * a ** (power - 1),))

    def __neg__(self) -> Tensor:
        return _record(-self.data, (self,), lambda dy: (-dy,))

    def __sub__(self, other: Any) -> Tensor:
        return self + (-as_tensor(other, like=self))

    def __radd__(self, other: Any) -> Tensor:
        return self + other

    def __rmul__(self, other: Any) -> Tensor:
        return self * other

    def __rsub__(self, other: Any) -> Tensor:
        return -self + other

    def __rtruediv__(self, other: Any) -> Tensor:
        return as_tensor(other, like=self) / self

    # --- matrix products, sums, shapes --------------------------------------------------------

    def __matmul__(self, other: Any) -> Tensor:
        """Multiply two matrices; other ranks raise ShapeError."""
        other = as_tensor(other, like=self)
        check_shape("Tensor.__matmul__", "the left factor", self, ("n", "k"))
        check_shape("Tensor.__matmul__", "the right factor", other, (self.shape[1], "m"))
        a, b = self.data, other.data
        return _record(a @ b, (self, other), lambda dy: matmul_vjp(dy, a, b))

    def __rmatmul__(self, other: Any) -> Tensor:
        return as_tensor(other, like=self) @ self

    def sum(
        self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False
    ) -> Tensor:
        """Sum over one axis, several, or all."""
        a = self.data
        value = a.sum(axis=axis, keepdims=keepdims)
        return _record(
            value, (self,), lambda dy: (sum_vjp(dy, a, axis=axis, keepdims=keepdims),)
        )

    def mean(
        self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False
    ) -> Tensor:
        """Average over one axis, several, or all."""
        total = self.sum(axis, keepdims=keepdims)
        if self.data.size == 0:
            raise ShapeError(f"Tensor.mean: nothing to average in shape {self.shape}.")
        return total * (total.data.size / self.data.size)

    def reshape(self, *shape: int) -> Tensor:
        """Arrange the same numbers in another shape."""
        before = self.shape
        return _record(self.data.reshape(shape), (self,), lambda dy: (dy.reshape(before),))

    def transpose(self, *axes: int) -> Tensor:
        """Permute the axes; without arguments reverse them."""
        order = axes or tuple(reversed(range(self.data.ndim)))
        inverse = tuple(int(i) for i in np.argsort(order))
        return _record(
            self.data.transpose(order), (self,), lambda dy: (dy.transpose(inverse),)
        )

    def __getitem__(self, index: Any) -> Tensor:
        """Select entries; an entry selected twice gets both contributions."""
        a = self.data

        def vjp(dy: Array) -> tuple[Array]:
            da = np.zeros_like(a)
            np.add.at(da, index, dy)
            return (da,)

        return _record(np.asarray(a[index]), (self,), vjp)

    # --- functions, element by element --------------------------------------------------------

    def exp(self) -> Tensor:
        """Compute ``exp(x)``."""
        y = np.exp(self.data)
        return _record(y, (self,), lambda dy: (dy * y,))

    def log(self) -> Tensor:
        """Compute the natural logarithm."""
        a = self.data
        return _record(np.log(a), (self,), lambda dy: (dy / a,))

    def tanh(self) -> Tensor:
        """Compute ``tanh(x)``."""
        y = np.tanh(self.data)
        return _record(y, (self,), lambda dy: (dy * (1 - y * y),))

    def relu(self) -> Tensor:
        """Compute ``max(x, 0)``; the slope at 0 is 0."""
        a = self.data
        return _record(np.maximum(a, 0), (self,), lambda dy: (relu_vjp(dy, a),))


def as_tensor(value: Any, *, like: Tensor) -> Tensor:
    """Return a tensor; plain numbers take the dtype of ``like``."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, int | float):
        return Tensor(np.asarray(value, dtype=like.data.dtype))
    return Tensor(value)


def _record(value: Array, parents: tuple[Tensor, ...], vjp: Vjp) -> Tensor:
    """Make the result of an operation; without a parent that needs a gradient it is an input."""
    result = Tensor(value, requires_grad=any(parent.requires_grad for parent in parents))
    if result.requires_grad:
        result.parents, result.vjp = parents, vjp
    return result


def _elementwise(
    function: Callable[[Array, Array], Array],
    vjp: Callable[[Array, Array, Array], tuple[Array, Array]],
    left: Tensor,
    right: Any,
) -> Tensor:
    """Apply a function of two tensors with broadcasting."""
    right = as_tensor(right, like=left)
    check_floats("Tensor", left=left.data, right=right.data)
    a, b = left.data, right.data
    if a.shape != b.shape:
        a, b = np.broadcast_arrays(a, b)

    def summed_vjp(dy: Array) -> tuple[Array, Array]:
        da, db = vjp(dy, a, b)
        return unbroadcast(da, left.shape), unbroadcast(db, right.shape)

    return _record(function(a, b), (left, right), summed_vjp)
