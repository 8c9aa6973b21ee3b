"""Initialising and inspecting models the PyTorch way: `nn.init`, hooks, autograd.

The exercises of chapter 7's PyTorch notebook; they exist in PyTorch only.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nnlib.errors import ShapeError, check_number, format_shape

__all__ = [
    "count_twins",
    "init_model",
    "orthogonal",
    "output_mean_squares",
    "scale_to_unit_variance",
    "weight_gradient_norms",
]

WEIGHTED = (nn.Linear, nn.Conv2d)
NORMALIZING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)


@torch.no_grad()
def init_model(model: nn.Module, *, generator: torch.Generator) -> None:
    """Initialise a model in place, by the type of each layer.

    Linear and Conv2d: weights normal with variance ``2 / fan_in``, biases 0. BatchNorm1d,
    BatchNorm2d and LayerNorm: weight 1, bias 0. Every other module is left as it is.

    Parameters
    ----------
    model : torch.nn.Module
        Its layers may be nested.
    generator : torch.Generator
        The only source of randomness.

    References
    ----------
    Chapter 7, "Initialization".

    Examples
    --------
    >>> layer = nn.Linear(3, 2)
    >>> init_model(layer, generator=torch.Generator().manual_seed(0))
    >>> layer.bias.tolist()
    [0.0, 0.0]
    """
    for module in model.modules():
        if isinstance(module, WEIGHTED):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, NORMALIZING) and module.weight is not None:
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


@torch.no_grad()
def output_mean_squares(model: nn.Module, x: Tensor) -> dict[str, float]:
    """Measure the mean square of what each Linear and Conv2d layer puts out.

    Parameters
    ----------
    model : torch.nn.Module
        Called once; no hook remains, even where the call fails.
    x : tensor
        A batch of inputs.

    Returns
    -------
    dict of str to float
        Name of the layer, as in ``named_modules``, to mean square.

    References
    ----------
    Chapter 7, "Initialization".

    Examples
    --------
    >>> layer = nn.Linear(1, 2, bias=False)
    >>> layer.weight.data = torch.tensor([[1.0], [3.0]])
    >>> output_mean_squares(nn.Sequential(layer, nn.ReLU()), torch.tensor([[2.0]]))
    {'0': 20.0}
    """
    found: dict[str, float] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, y: Tensor) -> None:
            found[name] = float((y**2).mean())

        return hook

    handles = [module.register_forward_hook(watch(name))
               for name, module in model.named_modules() if isinstance(module, WEIGHTED)]
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found


def weight_gradient_norms(
    model: nn.Module, loss_fn: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor
) -> dict[str, float]:
    """Measure the gradient of the loss for each weight array that is trained.

    Parameters
    ----------
    model : torch.nn.Module
        The ``.grad`` of its parameters stays as it is.
    loss_fn : callable
        ``loss_fn(model(x), y)`` is a tensor without axes.
    x, y : tensors

    Returns
    -------
    dict of str to float
        Name of the parameter, as in ``named_parameters``, to the norm of its gradient: for the
        parameters with at least 2 axes that require gradients. 0 where the loss does not depend
        on it.

    References
    ----------
    Chapter 7, "Initialization".

    Examples
    --------
    >>> layer = nn.Linear(2, 1)
    >>> x, y = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0]])
    >>> weight_gradient_norms(layer, lambda out, y: out.sum(), x, y)
    {'weight': 5.0}
    """
    weights = {name: p for name, p in model.named_parameters() if p.requires_grad and p.ndim >= 2}
    loss = loss_fn(model(x), y)
    grads = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    return {name: 0.0 if grad is None else float(grad.norm())
            for name, grad in zip(weights, grads, strict=True)}


@torch.no_grad()
def count_twins(first: nn.Linear, second: nn.Linear) -> int:
    """Count the hidden units between two layers that are copies of another one.

    Units are twins when they have the same incoming weights, the same bias and the same outgoing
    weights: they compute the same and get the same gradient, so that training never parts them.

    Parameters
    ----------
    first : torch.nn.Linear
        Its outputs are the hidden units; it may have no bias.
    second : torch.nn.Linear
        Its inputs are the hidden units.

    Returns
    -------
    int
        Number of units less the number of different ones.

    Raises
    ------
    ShapeError
        If the second layer does not take what the first one puts out.

    References
    ----------
    Chapter 7, "Initialization".

    Examples
    --------
    >>> first, second = nn.Linear(3, 4), nn.Linear(4, 2)
    >>> for p in (*first.parameters(), *second.parameters()):
    ...     _ = nn.init.constant_(p, 0.5)
    >>> count_twins(first, second)
    3
    """
    if first.out_features != second.in_features:
        raise ShapeError(f"count_twins: second must take {first.out_features} inputs, the outputs "
                         f"of first, got {second.in_features}.")
    parts = [first.weight, second.weight.T]
    if first.bias is not None:
        parts.append(first.bias[:, None])
    units = torch.cat(parts, dim=1)
    return len(units) - len(torch.unique(units, dim=0))


@torch.no_grad()
def scale_to_unit_variance(model: nn.Sequential, x: Tensor) -> None:
    """Scale each Linear layer, first to last, so that its outputs on ``x`` have variance 1.

    The bias is set to 0, then the weight is divided by the standard deviation of all the layer's
    outputs. Later layers see what the scaled ones before them put out.

    Parameters
    ----------
    model : torch.nn.Sequential
        Linear layers and activations; changed in place.
    x : tensor (n, d)
        A batch of typical inputs.

    Raises
    ------
    ValueError
        If a layer puts out the same number everywhere.

    References
    ----------
    Chapter 7, "Initialization". D. Mishkin and J. Matas, "All you need is a good init",
    ICLR 2016.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(1, 2))
    >>> model[0].weight.data = torch.tensor([[1.0], [-1.0]])
    >>> scale_to_unit_variance(model, torch.tensor([[5.0]]))
    >>> model[0].weight.tolist()
    [[0.20000000298023224], [-0.20000000298023224]]
    """
    for layer in model:
        if isinstance(layer, nn.Linear):
            if layer.bias is not None:
                layer.bias.zero_()
            std = layer(x).std(correction=0)
            if not std > 0:
                raise ValueError("scale_to_unit_variance: the outputs of each layer must differ, "
                                 f"got a standard deviation of {float(std)}.")
            layer.weight /= std
        x = layer(x)


def orthogonal(
    shape: Sequence[int],
    *,
    gain: float = 1.0,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Draw a weight whose rows, or columns where there are fewer, are orthogonal of length gain.

    Parameters
    ----------
    shape : sequence of int
        ``(d_out, d_in)``, or ``(c_out, c_in, kh, kw)``: filters count as rows.
    gain : float
        Positive.
    generator : torch.Generator
        The only source of randomness.
    dtype : dtype of the result

    Returns
    -------
    w : tensor of the given shape

    Raises
    ------
    ShapeError
        If the shape has fewer than 2 axes.
    ValueError
        If ``gain`` is not positive.

    Notes
    -----
    QR of a normal matrix, with the signs of R's diagonal taken into Q, so that every orthogonal
    matrix is equally likely.

    References
    ----------
    Chapter 7, "Initialization". A. M. Saxe, J. L. McClelland and S. Ganguli, "Exact solutions to
    the nonlinear dynamics of learning in deep linear neural networks", ICLR 2014.

    Examples
    --------
    >>> w = orthogonal((2, 5), generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(w @ w.T, torch.eye(2), atol=1e-6)
    True
    """
    check_number("orthogonal", "gain", gain, above=0)
    if len(shape) < 2:
        raise ShapeError("orthogonal: shape must have at least 2 axes, got "
                         f"{format_shape(shape)}.")
    rows, columns = shape[0], math.prod(shape[1:])
    tall = torch.empty(max(rows, columns), min(rows, columns), dtype=dtype,
                       device=generator.device).normal_(generator=generator)
    q, r = torch.linalg.qr(tall)
    q = q * r.diagonal().sign()
    w = q if rows >= columns else q.T
    return gain * w.reshape(tuple(shape))
