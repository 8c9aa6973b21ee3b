"""Known mistakes of chapter 11's PyTorch exercises: layer norm as a module."""

import torch
from torch import nn

from nnlib.mistakes.registry import mistake


@mistake("LayerNorm", hint="""
    Mean and variance go along the last axis whatever `normalized_shape` says. With two sizes they
    go over the last two axes together.""")
class LastAxisAlone(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        if isinstance(normalized_shape, int):
            normalized_shape = (normalized_shape,)
        self.axes = (-1,)
        self.eps = eps
        if elementwise_affine:
            self.weight = nn.Parameter(torch.ones(normalized_shape))
            self.bias = nn.Parameter(torch.zeros(normalized_shape))
        else:
            self.weight = self.bias = None

    def forward(self, x):
        mean = x.mean(dim=self.axes, keepdim=True)
        var = x.var(dim=self.axes, correction=0, keepdim=True)
        x_hat = (x - mean) / torch.sqrt(var + self.eps)
        return x_hat if self.weight is None else x_hat * self.weight + self.bias


@mistake("LayerNorm", hint="""
    `x.var()` divides by d - 1 unless told otherwise. Layer norm divides by d.""",
         anchor="two-variances")
class VarDividesByOneLess(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        if isinstance(normalized_shape, int):
            normalized_shape = (normalized_shape,)
        self.axes = tuple(range(-len(normalized_shape), 0))
        self.eps = eps
        if elementwise_affine:
            self.weight = nn.Parameter(torch.ones(normalized_shape))
            self.bias = nn.Parameter(torch.zeros(normalized_shape))
        else:
            self.weight = self.bias = None

    def forward(self, x):
        mean = x.mean(dim=self.axes, keepdim=True)
        var = x.var(dim=self.axes, keepdim=True)
        x_hat = (x - mean) / torch.sqrt(var + self.eps)
        return x_hat if self.weight is None else x_hat * self.weight + self.bias


@mistake("LayerNorm", hint="""
    Mean and variance go over the examples. That is batch norm; layer norm takes each example by
    itself, in training and in evaluation.""")
class OverTheBatch(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        if isinstance(normalized_shape, int):
            normalized_shape = (normalized_shape,)
        self.axes = tuple(range(-len(normalized_shape), 0))
        self.eps = eps
        if elementwise_affine:
            self.weight = nn.Parameter(torch.ones(normalized_shape))
            self.bias = nn.Parameter(torch.zeros(normalized_shape))
        else:
            self.weight = self.bias = None

    def forward(self, x):
        mean = x.mean(dim=0, keepdim=True)
        var = x.var(dim=0, correction=0, keepdim=True)
        x_hat = (x - mean) / torch.sqrt(var + self.eps)
        return x_hat if self.weight is None else x_hat * self.weight + self.bias


@mistake("LayerNorm", hint="""
    Mean and variance go over all axes but the first. In a sequence each position is normalised by
    itself: only the axes that `normalized_shape` names count.""")
class AllButTheBatch(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        if isinstance(normalized_shape, int):
            normalized_shape = (normalized_shape,)
        self.eps = eps
        if elementwise_affine:
            self.weight = nn.Parameter(torch.ones(normalized_shape))
            self.bias = nn.Parameter(torch.zeros(normalized_shape))
        else:
            self.weight = self.bias = None

    def forward(self, x):
        axes = tuple(range(1, x.ndim))
        mean = x.mean(dim=axes, keepdim=True)
        var = x.var(dim=axes, correction=0, keepdim=True)
        x_hat = (x - mean) / torch.sqrt(var + self.eps)
        return x_hat if self.weight is None else x_hat * self.weight + self.bias


@mistake("LayerNorm", hint="""
    Your epsilon is added to the standard deviation. It belongs to the variance, under the root.""")
class EpsilonBesideTheRoot(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        if isinstance(normalized_shape, int):
            normalized_shape = (normalized_shape,)
        self.axes = tuple(range(-len(normalized_shape), 0))
        self.eps = eps
        if elementwise_affine:
            self.weight = nn.Parameter(torch.ones(normalized_shape))
            self.bias = nn.Parameter(torch.zeros(normalized_shape))
        else:
            self.weight = self.bias = None

    def forward(self, x):
        mean = x.mean(dim=self.axes, keepdim=True)
        var = x.var(dim=self.axes, correction=0, keepdim=True)
        x_hat = (x - mean) / (torch.sqrt(var) + self.eps)
        return x_hat if self.weight is None else x_hat * self.weight + self.bias


@mistake("LayerNorm", hint="""
    With `elementwise_affine=False` there must be no parameters: yours has them all the same, and
    an optimizer would change them.""")
class AlwaysAffine(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        if isinstance(normalized_shape, int):
            normalized_shape = (normalized_shape,)
        self.axes = tuple(range(-len(normalized_shape), 0))
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(normalized_shape))
        self.bias = nn.Parameter(torch.zeros(normalized_shape))

    def forward(self, x):
        mean = x.mean(dim=self.axes, keepdim=True)
        var = x.var(dim=self.axes, correction=0, keepdim=True)
        x_hat = (x - mean) / torch.sqrt(var + self.eps)
        return x_hat * self.weight + self.bias


@mistake("LayerNorm", hint="""
    `weight` and `bias` are plain tensors: no optimizer finds them and no state dict saves them.
    Wrap them in `nn.Parameter`.""",
         anchor="normalization-pytorch")
class WeightsAsPlainTensors(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        if isinstance(normalized_shape, int):
            normalized_shape = (normalized_shape,)
        self.axes = tuple(range(-len(normalized_shape), 0))
        self.eps = eps
        if elementwise_affine:
            self.weight = torch.ones(normalized_shape)
            self.bias = torch.zeros(normalized_shape)
        else:
            self.weight = self.bias = None

    def forward(self, x):
        mean = x.mean(dim=self.axes, keepdim=True)
        var = x.var(dim=self.axes, correction=0, keepdim=True)
        x_hat = (x - mean) / torch.sqrt(var + self.eps)
        return x_hat if self.weight is None else x_hat * self.weight + self.bias


@mistake("LayerNorm", hint="""
    Mean and variance are computed without gradients, so autograd takes them for constants. The
    outputs are right and the gradient of x is not.""",
         anchor="layer-norm-backward")
class RowStatisticsDetached(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        if isinstance(normalized_shape, int):
            normalized_shape = (normalized_shape,)
        self.axes = tuple(range(-len(normalized_shape), 0))
        self.eps = eps
        if elementwise_affine:
            self.weight = nn.Parameter(torch.ones(normalized_shape))
            self.bias = nn.Parameter(torch.zeros(normalized_shape))
        else:
            self.weight = self.bias = None

    def forward(self, x):
        mean = x.detach().mean(dim=self.axes, keepdim=True)
        var = x.detach().var(dim=self.axes, correction=0, keepdim=True)
        x_hat = (x - mean) / torch.sqrt(var + self.eps)
        return x_hat if self.weight is None else x_hat * self.weight + self.bias
