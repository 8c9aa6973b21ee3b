"""Linear layers, flattening, and the multi-layer perceptron built from them."""

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from nnlib.contract.caches import (
    FlattenCache,
    LinearCache,
    LinearGrads,
    MlpCache,
    ReluCache,
)
from nnlib.errors import (
    ShapeError,
    check_floats,
    check_min_axes,
    check_shape,
    format_shape,
    size_of,
)
from nnlib.torch_track.activations import relu_backward, relu_forward

__all__ = [
    "count_parameters",
    "flatten_backward",
    "flatten_forward",
    "linear_backward",
    "linear_forward",
    "mlp_backward",
    "mlp_forward",
]


def linear_forward(x: Tensor, w: Tensor, b: Tensor | None) -> tuple[Tensor, LinearCache]:
    """Compute ``y = x @ w + b``, one row for each example.

    Parameters
    ----------
    x : tensor (n, d_in) of floats
    w : tensor (d_in, d_out)
    b : tensor (d_out,) or None
        None leaves the bias out.

    Returns
    -------
    y : tensor (n, d_out)
    cache : LinearCache

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> import torch
    >>> x, w, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0], [10.0]]), torch.tensor([0.5])
    >>> y, cache = linear_forward(x, w, b)
    >>> y.tolist()
    [[21.5]]
    """
    check_floats("linear_forward", x=x, w=w, b=b)
    check_shape("linear_forward", "w", w, ("d_in", "d_out"))
    check_shape(
        "linear_forward", "x", x, ("n", w.shape[0]), "Rows are examples: did you pass x.T?"
    )
    if b is None:
        return x @ w, LinearCache(x, w, None)
    check_shape("linear_forward", "b", b, (w.shape[1],), "One bias for each output.")
    return x @ w + b, LinearCache(x, w, b)


def linear_backward(
    dy: Tensor, cache: LinearCache, *, input_grad: bool = True
) -> LinearGrads:
    """Compute ``dx = dy @ w.T``, ``dw = x.T @ dy`` and ``db``, the sum of ``dy`` over rows.

    Parameters
    ----------
    dy : tensor (n, d_out)
    cache : LinearCache
        Holds the inputs ``x (n, d_in)``, ``w (d_in, d_out)`` and ``b``.
    input_grad : bool
        False leaves ``dx`` out: nobody learns the input of a network's first layer, and there
        it costs a third of all products.

    Returns
    -------
    LinearGrads
        ``dx (n, d_in)``, ``dw (d_in, d_out)``, ``db (d_out,)``; ``db`` is None without a bias,
        ``dx`` is None without `input_grad`.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Notes
    -----
    Weights and bias serve every row, so their gradients are sums over the rows. No division by
    ``n`` here: a mean over examples belongs to the loss.

    References
    ----------
    Chapter 5, "Backpropagation".

    Examples
    --------
    >>> import torch
    >>> x, w, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0], [10.0]]), torch.tensor([0.5])
    >>> _, cache = linear_forward(x, w, b)
    >>> dx, dw, db = linear_backward(torch.tensor([[3.0]]), cache)
    >>> dx.tolist(), dw.tolist(), db.tolist()
    ([[3.0, 30.0]], [[3.0], [6.0]], [3.0])
    """
    x, w, b = cache
    check_floats("linear_backward", dy=dy, x=x, w=w, b=b)
    check_shape("linear_backward", "dy", dy, (x.shape[0], w.shape[1]))
    return LinearGrads(
        dx=dy @ w.T if input_grad else None,
        dw=x.T @ dy,
        db=None if b is None else dy.sum(dim=0),
    )


def flatten_forward(x: Tensor) -> tuple[Tensor, FlattenCache]:
    """Turn each example into one row: ``(n, ...) -> (n, d)``.

    Parameters
    ----------
    x : tensor of floats with at least 2 axes
        The first axis counts the examples.

    Returns
    -------
    y : tensor (n, d)
        A view of ``x`` where its memory allows it.
    cache : FlattenCache

    Raises
    ------
    ShapeError
        If ``x`` has fewer than 2 axes.
    DtypeError
        If ``x`` is not a tensor of floats.

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> import torch
    >>> y, cache = flatten_forward(torch.zeros((5, 1, 28, 28)))
    >>> y.shape
    torch.Size([5, 784])
    """
    check_floats("flatten_forward", x=x)
    check_min_axes("flatten_forward", "x", x, 2, "The first axis counts the examples.")
    # Not -1 for the second size: with no rows it would be undefined.
    return x.reshape(x.shape[0], math.prod(x.shape[1:])), FlattenCache(tuple(x.shape))


def flatten_backward(dy: Tensor, cache: FlattenCache) -> Tensor:
    """Give the gradient the shape of the input again.

    Parameters
    ----------
    dy : tensor (n, d)
    cache : FlattenCache

    Returns
    -------
    dx : tensor, shape of the input

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    Examples
    --------
    >>> import torch
    >>> _, cache = flatten_forward(torch.zeros((5, 1, 28, 28)))
    >>> flatten_backward(torch.ones((5, 784)), cache).shape
    torch.Size([5, 1, 28, 28])
    """
    n, *sizes = cache.shape
    check_floats("flatten_backward", dy=dy)
    check_shape("flatten_backward", "dy", dy, (n, math.prod(sizes)))
    return dy.reshape(cache.shape)


def mlp_forward(
    x: Tensor, params: Sequence[tuple[Tensor, Tensor | None]]
) -> tuple[Tensor, MlpCache]:
    """Compute a multi-layer perceptron: linear, ReLU, linear, …, ReLU, linear.

    Parameters
    ----------
    x : tensor (n, d_in)
    params : sequence of (w, b)
        Weights ``(d_in, d_hidden)``, …, ``(d_hidden, d_out)``, each with its bias or None.

    Returns
    -------
    logits : tensor (n, d_out)
        Nothing follows the last linear layer; the loss takes the scores as they are.
    cache : MlpCache
        The caches of the layers in forward order.

    Raises
    ------
    ShapeError
        If ``params`` is empty or the shapes of two neighbours do not fit.
    DtypeError
        If a tensor does not hold floats, or the dtypes differ.

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> import torch
    >>> hidden = (torch.tensor([[1.0, -1.0]]), torch.zeros(2))
    >>> last = (torch.ones((2, 1)), torch.zeros(1))
    >>> logits, cache = mlp_forward(torch.tensor([[3.0], [-4.0]]), [hidden, last])
    >>> logits.tolist()
    [[3.0], [4.0]]
    """
    _check_layers("mlp_forward", params)
    linear_caches, relu_caches = [], []
    for layer, (w, b) in enumerate(params):
        if layer > 0:
            x, relu_cache = relu_forward(x)
            relu_caches.append(relu_cache)
        x, linear_cache = linear_forward(x, w, b)
        linear_caches.append(linear_cache)
    return x, MlpCache(tuple(linear_caches), tuple(relu_caches))


def mlp_backward(
    dlogits: Tensor,
    cache: MlpCache,
    *,
    linear_backward: Callable[[Tensor, LinearCache], LinearGrads] = linear_backward,
    relu_backward: Callable[[Tensor, ReluCache], Tensor] = relu_backward,
) -> list[LinearGrads]:
    """Walk the layers of `mlp_forward` backwards; each step hands its ``dx`` to the one before.

    Parameters
    ----------
    dlogits : tensor (n, d_out)
        Gradient of the loss with respect to the logits.
    cache : MlpCache
    linear_backward, relu_backward : callables
        The backward functions of the two kinds of layer. In the exercise of chapter 5 they are
        given, so that this answer does not depend on others.

    Returns
    -------
    list of LinearGrads
        In the order of the layers, first layer first.

    Raises
    ------
    ShapeError, DtypeError
        If ``dlogits`` does not fit the logits.

    References
    ----------
    Chapter 5, "Backpropagation". D. Rumelhart, G. Hinton and R. Williams, "Learning
    representations by back-propagating errors", Nature 323 (1986).

    Examples
    --------
    >>> import torch
    >>> hidden = (torch.tensor([[1.0, -1.0]]), torch.zeros(2))
    >>> last = (torch.ones((2, 1)), torch.zeros(1))
    >>> _, cache = mlp_forward(torch.tensor([[3.0]]), [hidden, last])
    >>> first, second = mlp_backward(torch.tensor([[1.0]]), cache)
    >>> first.dw.tolist(), second.dw.tolist()
    ([[3.0, 0.0]], [[3.0], [0.0]])
    """
    grads = [linear_backward(dlogits, cache.linear[-1])]
    for linear_cache, relu_cache in zip(
        reversed(cache.linear[:-1]), reversed(cache.relu), strict=True
    ):
        dy = relu_backward(grads[-1].dx, relu_cache)
        grads.append(linear_backward(dy, linear_cache))
    return grads[::-1]


def count_parameters(params: Sequence[tuple[Tensor, Tensor | None]]) -> int:
    """Count weights and biases: the sum of ``d_in * d_out + d_out`` over the layers.

    Parameters
    ----------
    params : sequence of (w, b)
        ``w (d_in, d_out)`` and ``b (d_out,)`` or None.

    Returns
    -------
    int

    Raises
    ------
    ShapeError
        If ``params`` is empty or a tensor has the wrong rank.
    DtypeError
        If a tensor does not hold floats.

    References
    ----------
    Chapter 3, "The forward pass".

    Examples
    --------
    >>> import torch
    >>> count_parameters([(torch.zeros((784, 10)), torch.zeros(10))])
    7850
    """
    _check_layers("count_parameters", params)
    return sum(size_of(w) + (0 if b is None else size_of(b)) for w, b in params)


def _check_layers(caller: str, params: Sequence[tuple[Tensor, Tensor | None]]) -> None:
    """Require at least one layer, and neighbours whose sizes fit."""
    if len(params) == 0:
        raise ShapeError(f"{caller}: params must hold at least one (w, b), got none.")
    for layer, (w, b) in enumerate(params):
        check_floats(caller, **{f"w of layer {layer}": w, f"b of layer {layer}": b})
        check_shape(caller, f"w of layer {layer}", w, ("d_in", "d_out"))
        if b is not None:
            check_shape(caller, f"b of layer {layer}", b, (w.shape[1],))
        before = params[layer - 1][0] if layer > 0 else None
        if before is not None and before.shape[1] != w.shape[0]:
            raise ShapeError(
                f"{caller}: w of layer {layer} must have shape ({before.shape[1]}, d_out), "
                f"got {format_shape(w.shape)}. Layer {layer - 1} has "
                f"{before.shape[1]} outputs."
            )
