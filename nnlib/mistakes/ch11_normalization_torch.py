"""Known mistakes of chapter 11's PyTorch exercises: batch norm as a module."""

import torch
from torch import nn

from nnlib.mistakes.registry import mistake


@mistake("BatchNorm1d", hint="""
    The running statistics are plain attributes. They are in no state dict, so a saved model forgets
    them, and `model.to(device)` leaves them behind. Register them as buffers.""",
         anchor="buffers")
class StatisticsAsPlainAttributes(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.running_mean = torch.zeros(num_features)
        self.running_var = torch.ones(num_features)
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            n = len(x)
            if n < 2:
                raise ValueError("one row")
            mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean += self.momentum * (mean - self.running_mean)
                self.running_var += self.momentum * (var * n / (n - 1) - self.running_var)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


@mistake("BatchNorm1d", hint="""
    The running statistics are parameters. The state dict looks right, but `parameters()` hands
    them to the optimizer, whose weight decay changes them. They are buffers.""",
         anchor="buffers")
class StatisticsAsParameters(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.running_mean = nn.Parameter(torch.zeros(num_features), requires_grad=False)
        self.running_var = nn.Parameter(torch.ones(num_features), requires_grad=False)
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            n = len(x)
            if n < 2:
                raise ValueError("one row")
            mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean += self.momentum * (mean - self.running_mean)
                self.running_var += self.momentum * (var * n / (n - 1) - self.running_var)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


@mistake("BatchNorm1d", hint="""
    There is no buffer `num_batches_tracked`, or it isn't counted up. PyTorch's own state dict has
    it: without, neither can load the other's.""",
         anchor="buffers")
class BatchesNotCounted(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            n = len(x)
            if n < 2:
                raise ValueError("one row")
            mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
            with torch.no_grad():
                self.running_mean += self.momentum * (mean - self.running_mean)
                self.running_var += self.momentum * (var * n / (n - 1) - self.running_var)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


@mistake("BatchNorm1d", hint="""
    The momentum is reversed: nine tenths of every new batch enter the running statistics. In
    PyTorch momentum is the weight of the batch.""",
         anchor="running-statistics")
class MomentumReversed(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            n = len(x)
            if n < 2:
                raise ValueError("one row")
            mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean += (1 - self.momentum) * (mean - self.running_mean)
                self.running_var += (1 - self.momentum) * (var * n / (n - 1) - self.running_var)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


@mistake("BatchNorm1d", hint="""
    The running variance takes up the variance that divides by n. It is an estimate for all data
    and divides by n - 1.""",
         anchor="two-variances")
class BiasedRunningVariance(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            n = len(x)
            if n < 2:
                raise ValueError("one row")
            mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean += self.momentum * (mean - self.running_mean)
                self.running_var += self.momentum * (var - self.running_var)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


@mistake("BatchNorm1d", hint="""
    The batch is normalised with what `x.var(dim=0)` returns, and that divides by n - 1. y needs
    the variance that divides by n; the other one belongs to the running statistics.""",
         anchor="two-variances")
class TorchVarAsItIs(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            n = len(x)
            if n < 2:
                raise ValueError("one row")
            mean, var = x.mean(dim=0), x.var(dim=0)
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean += self.momentum * (mean - self.running_mean)
                self.running_var += self.momentum * (var - self.running_var)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


@mistake("BatchNorm1d", hint="""
    The batch's statistics are used in evaluation, too, and the running ones go on moving. Look at
    `self.training`, which `train()` and `eval()` set.""",
         anchor="train-and-eval")
class ModeIgnored(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        n = len(x)
        if n < 2:
            raise ValueError("one row")
        mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var * n / (n - 1) - self.running_var)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


@mistake("BatchNorm1d", hint="""
    In evaluation the running statistics are used, as they should be, but they also go on moving:
    every prediction changes the model. Update them in training alone.""",
         anchor="train-and-eval")
class StatisticsMovedInEvaluation(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            if len(x) < 2:
                raise ValueError("one row")
            mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
        n, new, spread = len(x), x.mean(dim=0), x.var(dim=0, correction=0)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean += self.momentum * (new - self.running_mean)
            self.running_var += self.momentum * (spread * n / max(n - 1, 1) - self.running_var)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


@mistake("BatchNorm1d", hint="""
    Mean and variance of the batch are computed without gradients, so autograd takes them for
    constants. The outputs are right and the gradient of x is not. Only the update of the buffers
    needs `no_grad`.""",
         anchor="batch-norm-paths")
class StatisticsDetached(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            n = len(x)
            if n < 2:
                raise ValueError("one row")
            mean, var = x.detach().mean(dim=0), x.detach().var(dim=0, correction=0)
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean += self.momentum * (mean - self.running_mean)
                self.running_var += self.momentum * (var * n / (n - 1) - self.running_var)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


@mistake("BatchNorm1d", hint="""
    The update of the running statistics is recorded by autograd. Every batch's graph stays alive
    in the buffers, and later gradients run back into it. Update them under `no_grad`.""",
         anchor="buffers")
class GraphKeptInTheBuffers(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            n = len(x)
            if n < 2:
                raise ValueError("one row")
            mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
            self.num_batches_tracked += 1
            m = self.momentum
            self.running_mean = (1 - m) * self.running_mean + m * mean
            self.running_var = (1 - m) * self.running_var + m * var * n / (n - 1)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


@mistake("BatchNorm1d", hint="""
    Mean and variance are those of the rows, and that is layer norm. Batch norm goes over the
    examples, axis 0.""",
         anchor="what-it-normalizes")
class RowsInsteadOfColumns(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            n = len(x)
            if n < 2:
                raise ValueError("one row")
            mean, var = x.mean(dim=1, keepdim=True), x.var(dim=1, correction=0, keepdim=True)
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean += self.momentum * (mean.mean() - self.running_mean)
                self.running_var += self.momentum * (var.mean() * n / (n - 1) - self.running_var)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias
