"""Computational graphs: the vector-Jacobian products of a few operations, and how they combine.

A graph is a dict from each node's name to the names of its parents, the nodes it is computed
from. A node without an entry is an input. `autograd.Tensor` builds such a graph as it computes.
"""

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from nnlib.errors import ShapeError, check_floats, check_same_shape, check_shape, format_shape
from nnlib.numpy_track._types import Array

__all__ = [
    "add_vjp",
    "backpropagate",
    "matmul_vjp",
    "mul_vjp",
    "relu_vjp",
    "sum_vjp",
    "topological_order",
    "unbroadcast",
]

Node = TypeVar("Node", bound=Hashable)
Parents = Mapping[Node, Sequence[Node]]
Vjp = Callable[[Array], Sequence[Array]]


def unbroadcast(grad: Array, shape: Sequence[int]) -> Array:
    """Sum ``grad`` over the axes along which an array of shape ``shape`` was broadcast.

    Parameters
    ----------
    grad : array of floats
        Gradient with respect to the broadcast array.
    shape : sequence of int
        The array's own shape.

    Returns
    -------
    array of shape ``shape``
        Gradient with respect to the array itself.

    Raises
    ------
    ShapeError
        If ``shape`` does not broadcast to the shape of ``grad``.

    Notes
    -----
    Broadcasting copies an entry; each copy contributes to the loss, so the contributions add.
    An axis was broadcast if it is missing on the left or has size 1.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> unbroadcast(np.ones((4, 3)), (3,)).tolist()
    [4.0, 4.0, 4.0]
    >>> unbroadcast(np.ones((4, 3)), (4, 1)).shape
    (4, 1)
    """
    check_floats("unbroadcast", grad=grad)
    shape = tuple(shape)
    added = len(grad.shape) - len(shape)
    pairs = itertools.zip_longest(reversed(shape), reversed(grad.shape), fillvalue=1)
    if added < 0 or any(own not in (1, copied) for own, copied in pairs):
        raise ShapeError(
            f"unbroadcast: shape must broadcast to {format_shape(grad.shape)}, got "
            f"{format_shape(shape)}."
        )
    stretched = [added + axis for axis, size in enumerate(shape) if size == 1]
    axes = (*range(added), *stretched)
    return grad.sum(axis=axes).reshape(shape) if axes else grad


def add_vjp(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Return the gradients of ``y = a + b``: ``da = dy`` and ``db = dy``.

    Parameters
    ----------
    dy, a, b : arrays of floats, same shape

    Returns
    -------
    da, db : arrays, shape of ``dy``

    Raises
    ------
    ShapeError
        If the shapes differ. `unbroadcast` takes care of broadcasting.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> da, db = add_vjp(np.array([3.0]), np.array([1.0]), np.array([2.0]))
    >>> da.tolist(), db.tolist()
    ([3.0], [3.0])
    """
    check_floats("add_vjp", dy=dy, a=a, b=b)
    check_same_shape("add_vjp", dy=dy, a=a, b=b)
    return dy, dy


def mul_vjp(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Return the gradients of ``y = a * b``: ``da = dy * b`` and ``db = dy * a``.

    Parameters
    ----------
    dy, a, b : arrays of floats, same shape

    Returns
    -------
    da, db : arrays, shape of ``dy``

    Raises
    ------
    ShapeError
        If the shapes differ. `unbroadcast` takes care of broadcasting.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> da, db = mul_vjp(np.array([3.0]), np.array([5.0]), np.array([2.0]))
    >>> da.tolist(), db.tolist()
    ([6.0], [15.0])
    """
    check_floats("mul_vjp", dy=dy, a=a, b=b)
    check_same_shape("mul_vjp", dy=dy, a=a, b=b)
    return dy * b, dy * a


def matmul_vjp(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Return the gradients of ``y = a @ b``: ``da = dy @ b.T`` and ``db = a.T @ dy``.

    Parameters
    ----------
    dy : array (n, m) of floats
    a : array (n, k)
    b : array (k, m)

    Returns
    -------
    da : array (n, k)
    db : array (k, m)

    Raises
    ------
    ShapeError
        If the shapes do not fit together.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> a, b = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])
    >>> da, db = matmul_vjp(np.array([[10.0]]), a, b)
    >>> da.tolist(), db.tolist()
    ([[30.0, 40.0]], [[10.0], [20.0]])
    """
    check_floats("matmul_vjp", dy=dy, a=a, b=b)
    check_shape("matmul_vjp", "a", a, ("n", "k"))
    check_shape("matmul_vjp", "b", b, (a.shape[1], "m"))
    check_shape("matmul_vjp", "dy", dy, (a.shape[0], b.shape[1]))
    return dy @ b.T, a.T @ dy


def relu_vjp(dy: Array, a: Array) -> Array:
    """Return the gradient of ``y = max(a, 0)``: ``dy`` where ``a > 0`` and 0 elsewhere.

    Parameters
    ----------
    dy, a : arrays of floats, same shape

    Returns
    -------
    da : array, shape of ``a``

    Raises
    ------
    ShapeError
        If the shapes differ.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> relu_vjp(np.array([5.0, 5.0, 5.0]), np.array([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 5.0]
    """
    check_floats("relu_vjp", dy=dy, a=a)
    check_same_shape("relu_vjp", dy=dy, a=a)
    return np.where(a > 0, dy, 0)


def sum_vjp(
    dy: Array, a: Array, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Array:
    """Return the gradient of ``y = a.sum(axis, keepdims)``: ``dy``, copied along the axis.

    Parameters
    ----------
    dy : array of floats, shape of the sum
    a : array
    axis : int, tuple of int, or None for all axes
    keepdims : bool
        Whether the sum kept the axis with size 1.

    Returns
    -------
    da : array, shape of ``a``

    Raises
    ------
    ShapeError
        If ``dy`` does not have the shape of the sum.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> sum_vjp(np.array([1.0, 2.0]), np.zeros((2, 3)), axis=1).tolist()
    [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    """
    check_floats("sum_vjp", dy=dy, a=a)
    ndim = len(a.shape)
    axes = range(ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    summed = {number % ndim for number in axes} if ndim else set()
    kept = tuple(1 if number in summed else size for number, size in enumerate(a.shape))
    dropped = tuple(size for number, size in enumerate(a.shape) if number not in summed)
    check_shape("sum_vjp", "dy", dy, kept if keepdims else dropped)
    return np.broadcast_to(dy.reshape(kept), a.shape).copy()


def topological_order(parents: Parents[Node], output: Node) -> list[Node]:
    """List the nodes that ``output`` needs so that every node comes after its parents.

    Parameters
    ----------
    parents : dict from node to sequence of nodes
        A node without an entry is an input.
    output : node
        Comes last.

    Returns
    -------
    list of nodes
        Each once. Nodes that ``output`` does not need are left out.

    Raises
    ------
    ValueError
        If the graph has a cycle.

    Notes
    -----
    Depth-first search with its own stack: Python's recursion would end at a depth of about
    1,000. A node is listed when the search leaves it, after all its parents. It is "open"
    from entering to leaving; meeting an open node again means a cycle.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> topological_order({"y": ("h", "x"), "h": ("x",)}, "y")
    ['x', 'h', 'y']
    """
    order: list[Node] = []
    is_open: dict[Node, bool] = {output: True}
    stack = [(output, iter(parents.get(output, ())))]
    while stack:
        node, waiting = stack[-1]
        parent = next((p for p in waiting if is_open.get(p, True)), None)
        if parent is None:
            stack.pop()
            is_open[node] = False
            order.append(node)
        elif parent in is_open:
            raise ValueError(f"topological_order: the graph has a cycle through {parent!r}.")
        else:
            is_open[parent] = True
            stack.append((parent, iter(parents.get(parent, ()))))
    return order


def backpropagate(
    parents: Parents[Node], vjps: Mapping[Node, Vjp], output: Node, dy: Array
) -> dict[Node, Array]:
    """Carry ``dy`` from the output to every node that it needs.

    Parameters
    ----------
    parents : dict from node to sequence of nodes
        A node without an entry is an input.
    vjps : dict from node to callable
        For each node with parents, a function from the node's gradient to a tuple with one
        gradient for each parent.
    output : node
    dy : array of floats
        Gradient of the loss with respect to ``output``.

    Returns
    -------
    dict from node to array
        The gradient with respect to each node. Contributions of several uses add up, also
        when a node lists one parent twice.

    Raises
    ------
    ValueError
        If the graph has a cycle, or a function returns too few or too many gradients.

    Notes
    -----
    The nodes are visited in reverse topological order, so a node's gradient is complete before
    it is handed on. Sums make new arrays: two nodes may share one gradient array.

    References
    ----------
    Chapter 5, "Backpropagation". S. Linnainmaa, "Taylor expansion of the accumulated rounding
    error", BIT 16 (1976), for reverse mode.

    Examples
    --------
    >>> parents = {"y": ("x", "x")}  # y = x * x at x = 3
    >>> grads = backpropagate(parents, {"y": lambda dy: (3 * dy, 3 * dy)}, "y", np.array(1.0))
    >>> float(grads["x"])
    6.0
    """
    grads = {output: dy}
    for node in reversed(topological_order(parents, output)):
        node_parents = parents.get(node, ())
        if not node_parents:
            continue
        contributions = vjps[node](grads[node])
        if len(contributions) != len(node_parents):
            raise ValueError(
                f"backpropagate: the function of {node!r} must return {len(node_parents)} "
                f"gradients, one for each parent, got {len(contributions)}."
            )
        for parent, grad in zip(node_parents, contributions, strict=True):
            grads[parent] = grads[parent] + grad if parent in grads else grad
    return grads
