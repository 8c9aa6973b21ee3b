"""Normalization as modules of PyTorch, and what a finished network needs done to them."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nnlib.errors import ShapeError, check_count, check_floats, check_number, format_shape

__all__ = ["BatchNorm1d", "LayerNorm", "fold_batch_norm", "freeze_norms", "recalibrate"]


class BatchNorm1d(nn.Module):
    """Batch norm of the columns of ``(n, d)``, with the names of `torch.nn.BatchNorm1d`.

    Parameters ``weight`` and ``bias``; buffers ``running_mean``, ``running_var`` and
    ``num_batches_tracked``. A state dict of either class can be loaded into the other.

    Parameters
    ----------
    num_features : int
        Number of columns.
    eps : float
        Positive.
    momentum : float from 0 to 1
        The weight of the newest batch in the running statistics.

    References
    ----------
    Chapter 11, "Normalization".

    Examples
    --------
    >>> norm = BatchNorm1d(1, momentum=0.5)
    >>> norm(torch.tensor([[1.0], [3.0]])).detach().round().tolist()
    [[-1.0], [1.0]]
    >>> norm.running_mean.tolist(), norm.running_var.tolist(), int(norm.num_batches_tracked)
    ([1.0], [1.5], 1)
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        check_count("BatchNorm1d", "num_features", num_features, minimum=1)
        check_number("BatchNorm1d", "eps", eps, above=0)
        check_number("BatchNorm1d", "momentum", momentum, low=0, high=1)
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise with the batch's statistics in training, with the running ones otherwise."""
        check_floats("BatchNorm1d", x=x)
        if x.ndim != 2 or x.shape[1] != len(self.weight):
            raise ShapeError(f"BatchNorm1d: x must have shape (n, {len(self.weight)}), got "
                             f"{format_shape(x.shape)}.")
        mean, var = self.running_mean, self.running_var
        if self.training:
            n = len(x)
            if n < 2:
                raise ValueError(f"BatchNorm1d: training needs at least 2 rows, got {n}.")
            mean = x.mean(dim=0)
            var = (x - mean).square().mean(dim=0)
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var * (n / (n - 1)), self.momentum)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


class LayerNorm(nn.Module):
    """Layer norm over the last axes, with the names of `torch.nn.LayerNorm`.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Sizes of the last axes, over which mean and variance are taken together.
    eps : float
        Positive.
    elementwise_affine : bool
        Whether there are parameters ``weight`` and ``bias`` of that shape; without, both names
        are None.

    References
    ----------
    Chapter 11, "Normalization".

    Examples
    --------
    >>> LayerNorm(2)(torch.tensor([[1.0, 3.0], [10.0, 30.0]])).detach().round().tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, normalized_shape: int | Sequence[int], eps: float = 1e-5,
                 elementwise_affine: bool = True) -> None:
        super().__init__()
        sizes = ((normalized_shape,) if isinstance(normalized_shape, int)
                 else tuple(normalized_shape))
        for size in sizes:
            check_count("LayerNorm", "normalized_shape", size, minimum=1)
        check_number("LayerNorm", "eps", eps, above=0)
        self.normalized_shape, self.eps = sizes, eps
        self.weight = nn.Parameter(torch.ones(sizes)) if elementwise_affine else None
        self.bias = nn.Parameter(torch.zeros(sizes)) if elementwise_affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every example by itself, in training and evaluation alike."""
        check_floats("LayerNorm", x=x)
        sizes = self.normalized_shape
        if tuple(x.shape[x.ndim - len(sizes):]) != sizes:
            raise ShapeError(f"LayerNorm: the last axes of x must have shape "
                             f"{format_shape(sizes)}, got x of shape {format_shape(x.shape)}.")
        axes = tuple(range(-len(sizes), 0))
        centred = x - x.mean(dim=axes, keepdim=True)
        var = centred.square().mean(dim=axes, keepdim=True)
        x_hat = centred / torch.sqrt(var + self.eps)
        if self.weight is None or self.bias is None:
            return x_hat
        return x_hat * self.weight + self.bias


def _batch_norms(model: nn.Module) -> list[_BatchNorm]:
    return [part for part in model.modules() if isinstance(part, _BatchNorm)]


@torch.no_grad()
def recalibrate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Compute the running statistics of every batch norm anew, in place.

    Afterwards they are the plain means, over the batches, of the batches' means and unbiased
    variances. Everything else is as it was: parameters, the mode of every module.

    Parameters
    ----------
    model : nn.Module
        While it runs, its batch norms are in training and everything else in evaluation.
    batches : iterable of tensors
        Inputs of the model.

    References
    ----------
    Chapter 11, "Normalization".

    Examples
    --------
    >>> model = nn.Sequential(nn.BatchNorm1d(1))
    >>> recalibrate(model, [torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0], [7.0]])])
    >>> model[0].running_mean.tolist(), model[0].running_var.tolist()
    ([4.0], [2.0])
    """
    norms = _batch_norms(model)
    modes = [(part, part.training) for part in model.modules()]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches since the reset
        norm.train()
    for x in batches:
        model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for part, training in modes:
        part.training = training


@torch.no_grad()
def fold_batch_norm(layer: nn.Linear | nn.Conv2d, norm: _BatchNorm) -> nn.Linear | nn.Conv2d:
    """Return one layer that does what ``layer`` and then ``norm`` do in evaluation.

    Parameters
    ----------
    layer : nn.Linear or nn.Conv2d
        With or without bias. Not modified.
    norm : nn.BatchNorm1d or nn.BatchNorm2d
        Of as many features as ``layer`` puts out. Not modified.

    Returns
    -------
    nn.Linear or nn.Conv2d
        New, with a bias; other options as in ``layer``.

    References
    ----------
    Chapter 11, "Normalization".

    Examples
    --------
    >>> linear, norm = nn.Linear(3, 2), nn.BatchNorm1d(2).eval()
    >>> x = torch.ones(4, 3)
    >>> torch.allclose(fold_batch_norm(linear, norm)(x), norm(linear(x)))
    True
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight = layer.weight
    folded: nn.Linear | nn.Conv2d
    if isinstance(layer, nn.Conv2d):
        folded = nn.Conv2d(
            layer.in_channels, layer.out_channels, layer.kernel_size,  # type: ignore[arg-type]
            layer.stride, layer.padding, layer.dilation, layer.groups,  # type: ignore[arg-type]
            padding_mode=layer.padding_mode, device=weight.device, dtype=weight.dtype)
    else:
        folded = nn.Linear(layer.in_features, layer.out_features, device=weight.device,
                           dtype=weight.dtype)
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = torch.zeros_like(scale) if layer.bias is None else layer.bias
    folded.weight.copy_(weight * scale.reshape(-1, *[1] * (weight.ndim - 1)))
    folded.bias.copy_((bias - norm.running_mean) * scale + norm.bias)  # type: ignore[union-attr]
    return folded


def freeze_norms(model: nn.Module) -> None:
    """Put a model into training, all but its batch norms, in place.

    Their running statistics are used and stay, and their parameters require no gradients.

    Parameters
    ----------
    model : nn.Module

    References
    ----------
    Chapter 11, "Normalization".

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    >>> freeze_norms(model)
    >>> model[0].training, model[1].training, model[1].weight.requires_grad
    (True, False, False)
    """
    model.train()
    for norm in _batch_norms(model):
        norm.eval()
        norm.requires_grad_(False)
