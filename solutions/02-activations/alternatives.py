"""Right answers written differently: each must earn full points."""

import numpy as np
import torch
from torch import nn

from nnlib.contract import ReluCache, SigmoidCache, SoftmaxCache

# ---------------------------------------------------------------- NumPy


def relu_forward__mask(x):
    return x * (x > 0), ReluCache(x)


def relu_forward__copy(x):
    y = np.array(x)
    y[y < 0] = 0
    return y, ReluCache(x.copy())


def relu_forward__half_sum(x):
    return (x + np.abs(x)) / 2, ReluCache(x)


def leaky_relu_backward__factor(dy, cache):
    slope = np.full_like(dy, cache.negative_slope)
    slope[cache.x > 0] = 1
    return dy * slope


def leaky_relu_backward__two_parts(dy, cache):
    positive = cache.x > 0
    return dy * positive + cache.negative_slope * dy * ~positive


def sigmoid_forward__tanh(x):
    y = (1 + np.tanh(x / 2)) / 2
    return y, SigmoidCache(y)


def sigmoid_forward__two_masks(x):
    y = np.empty_like(x)
    right = x >= 0
    y[right] = 1 / (1 + np.exp(-x[right]))
    exponential = np.exp(x[~right])
    y[~right] = exponential / (1 + exponential)
    return y, SigmoidCache(y)


def sigmoid_forward__logaddexp(x):
    y = np.exp(-np.logaddexp(x.dtype.type(0), -x))
    return y, SigmoidCache(y)


def sigmoid_backward__expanded(dy, cache):
    return dy * (cache.y - cache.y * cache.y)


def sigmoid_backward__through_tanh(dy, cache):
    t = 2 * cache.y - 1
    return dy * (1 - t**2) / 4


def silu_backward__two_terms(dy, cache):
    x = cache.x
    z = np.exp(-np.abs(x))
    s = np.where(x >= 0, 1, z) / (1 + z)
    return dy * s + dy * x * (z / (1 + z) ** 2)


def silu_backward__through_tanh(dy, cache):
    s = (1 + np.tanh(cache.x / 2)) / 2
    y = cache.x * s
    return dy * (y + s * (1 - y))


def softmax_forward__moved_axis(x, *, axis=-1):
    rows = np.moveaxis(x, axis, -1)
    rows = np.exp(rows - rows.max(axis=-1, keepdims=True))
    rows = rows / rows.sum(axis=-1, keepdims=True)
    y = np.ascontiguousarray(np.moveaxis(rows, -1, axis))
    return y, SoftmaxCache(y, axis)


def softmax_forward__log_sum(x, *, axis=-1):
    shifted = x - np.max(x, axis=axis, keepdims=True)
    y = np.exp(shifted - np.logaddexp.reduce(shifted, axis=axis, keepdims=True))
    return y, SoftmaxCache(y, axis)


def softmax_backward__jacobian(dy, cache):
    y = np.moveaxis(cache.y, cache.axis, -1)
    upstream = np.moveaxis(dy, cache.axis, -1)
    jacobian = y[..., :, None] * (np.eye(y.shape[-1], dtype=y.dtype) - y[..., None, :])
    return np.moveaxis(np.einsum("...ij,...i->...j", jacobian, upstream), -1, cache.axis)


def softmax_backward__weighted(dy, cache):
    weighted = cache.y * dy
    return weighted - cache.y * np.sum(weighted, axis=cache.axis, keepdims=True)


# ---------------------------------------------------------------- PyTorch


class LearnableSwish__torch__logsigmoid(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.register_parameter("beta", nn.Parameter(torch.full((num_features,), 1.0)))

    def forward(self, x):
        return x * nn.functional.logsigmoid(x.mul(self.beta)).exp()


class LearnableSwish__torch__tanh(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(num_features))

    def forward(self, x):
        return 0.5 * x * (1 + torch.tanh(self.beta * x / 2))


def stable_elu__torch__functional(x, *, alpha=1.0):
    return nn.functional.elu(x, alpha=alpha)


def stable_elu__torch__two_parts(x, *, alpha=1.0):
    return torch.relu(x) - alpha * -torch.expm1(-torch.relu(-x))


def stable_elu__torch__masked(x, *, alpha=1.0):
    y = x.clone()
    negative = x <= 0
    y[negative] = alpha * (torch.exp(x[negative]) - 1)
    return y


def gradient_norms__torch__retain_grad(layers, x, dy):
    values = [x.detach().clone().requires_grad_()]
    for layer in layers:
        values.append(layer(values[-1]))
    for value in values[1:-1]:
        value.retain_grad()
    values[-1].backward(dy)
    return [float(torch.linalg.vector_norm(value.grad)) for value in values[:-1]]


def gradient_norms__torch__hooks(layers, x, dy):
    norms = []
    value = x.detach().requires_grad_()
    for layer in layers:
        value.register_hook(lambda grad: norms.append(grad.norm().item()))
        value = layer(value)
    value.backward(dy)
    return norms[::-1]


def gradient_norms__torch__layer_by_layer(layers, x, dy):
    inputs = [x.detach()]
    with torch.no_grad():
        for layer in layers:
            inputs.append(layer(inputs[-1]))
    norms = []
    for layer, value in zip(reversed(layers), reversed(inputs[:-1]), strict=True):
        leaf = value.detach().requires_grad_()
        (dy,) = torch.autograd.grad(layer(leaf), leaf, dy)
        norms.insert(0, dy.square().sum().sqrt().item())
    return norms


class ActivityMonitor__torch__counts_down(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.register_buffer("alive", torch.zeros(num_features, dtype=torch.bool))

    @torch.no_grad()
    def note(self, h):
        for row in h:
            self.alive = torch.logical_or(self.alive, row > 0)

    def forward(self, h):
        self.note(h)
        return h

    def dead(self):
        return self.alive.numel() - self.alive.count_nonzero().item()

    def reset(self):
        self.alive = torch.zeros_like(self.alive)


class ActivityMonitor__torch__sums(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.num_features = num_features
        self.register_buffer("alive", torch.zeros(num_features).bool())

    def forward(self, h):
        self.alive[h.detach().clamp(min=0).sum(dim=0) > 0] = True
        return h.clone()

    def dead(self):
        return sum(not flag for flag in self.alive.tolist())

    def reset(self):
        self.alive[:] = False


def log_probability__torch__cross_entropy(scores, labels):
    return -nn.functional.cross_entropy(scores, labels, reduction="none")


def log_probability__torch__logsumexp(scores, labels):
    chosen = torch.take_along_dim(scores, labels.unsqueeze(1), dim=1).squeeze(1)
    return chosen - torch.logsumexp(scores, dim=1)
