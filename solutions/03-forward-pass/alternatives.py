"""Right answers written differently: each must earn full points."""

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from nnlib.contract import LinearCache, MlpCache, ReluCache

# ---------------------------------------------------------------- NumPy


def linear_forward__einsum(x, w, b):
    y = np.einsum("ni,io->no", x, w)
    if b is not None:
        y = y + b[np.newaxis, :]
    return y, LinearCache(x, w, b)


def linear_forward__loop(x, w, b):
    y = np.zeros((x.shape[0], w.shape[1]), dtype=x.dtype)
    for i in range(x.shape[0]):
        for j in range(w.shape[1]):
            for k in range(w.shape[0]):
                y[i, j] += x[i, k] * w[k, j]
            if b is not None:
                y[i, j] += b[j]
    return y, LinearCache(x, w, b)


def linear_forward__bias_as_a_weight(x, w, b):
    if b is None:
        return np.dot(x, w), LinearCache(x, w, b)
    x1 = np.hstack([x, np.ones((len(x), 1), dtype=x.dtype)])
    return np.dot(x1, np.vstack([w, b])), LinearCache(x, w, b)


def mlp_forward__last_layer_apart(x, params):
    linear, relu = [], []
    *hidden, (w_last, b_last) = params
    for w, b in hidden:
        linear.append(LinearCache(x, w, b))
        z = x @ w + (0 if b is None else b)
        relu.append(ReluCache(z))
        x = z * (z > 0)
    linear.append(LinearCache(x, w_last, b_last))
    y = x @ w_last + (0 if b_last is None else b_last)
    return y, MlpCache(tuple(linear), tuple(relu))


def mlp_forward__recursive(x, params):
    w, b = params[-1]
    if len(params) == 1:
        y = x @ w if b is None else x @ w + b
        return y, MlpCache((LinearCache(x, w, b),), ())
    z, cache = mlp_forward__recursive(x, params[:-1])
    h = np.where(z > 0, z, np.zeros_like(z))
    y = h @ w if b is None else h @ w + b
    return y, MlpCache((*cache.linear, LinearCache(h, w, b)), (*cache.relu, ReluCache(z)))


def count_parameters__shapes(params):
    total = 0
    for w, b in params:
        d_in, d_out = w.shape
        total += d_in * d_out
        if b is not None:
            total += d_out
    return total


def count_parameters__joined(params):
    arrays = [array.ravel() for layer in params for array in layer if array is not None]
    return len(np.concatenate(arrays))


def predict_proba__pad_with_zero(logits):
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    logits = logits - logits.max(axis=1, keepdims=True)
    e = np.exp(logits)
    return e / e.sum(axis=1, keepdims=True)


def predict_proba__logarithms(logits):
    if logits.shape[1] == 1:
        half = np.tanh(logits / 2) / 2
        return np.hstack([0.5 - half, 0.5 + half])
    return np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def predict__sort(logits):
    if logits.shape[1] == 1:
        return np.where(logits.ravel() < 0, 0, 1)
    return np.argsort(logits, axis=1)[:, -1]


def predict__loop(logits):
    labels = np.zeros(len(logits), dtype=np.int64)
    for i, row in enumerate(logits):
        labels[i] = int(row[0] >= 0) if len(row) == 1 else int(np.argmax(row))
    return labels


def predict_in_batches__filled(forward, x, *, batch_size):
    first = forward(x[:batch_size])
    y = np.empty((len(x), *first.shape[1:]), dtype=first.dtype)
    y[:batch_size] = first
    for start in range(batch_size, len(x), batch_size):
        y[start:start + batch_size] = forward(x[start:start + batch_size])
    return y


def predict_in_batches__even_pieces(forward, x, *, batch_size):
    pieces = max(-(-len(x) // batch_size), 1)
    return np.vstack([forward(rows) for rows in np.array_split(x, pieces)])


def interpolation_params__hats(knots, values):
    left = np.concatenate([knots[:1] - 1, knots[:-1]])
    right = np.concatenate([knots[1:], knots[-1:] + 1])
    up, down = 1 / (knots - left), 1 / (right - knots)
    bias = -np.concatenate([left, knots, right])
    out = np.concatenate([values * up, -values * (up + down), values * down])
    ones = np.ones((1, len(bias)), dtype=knots.dtype)
    return [(ones, bias), (out[:, np.newaxis], np.zeros(1, dtype=knots.dtype))]


def interpolation_params__from_the_right(knots, values):
    slopes = np.diff(values) / np.diff(knots)
    out = np.append(np.diff(slopes), -slopes[-1])
    hidden = (-np.ones((1, len(slopes)), dtype=knots.dtype), knots[1:].copy())
    return [hidden, (out.reshape(-1, 1), values[-1:].copy())]


def interpolation_params__loop(knots, values):
    m = len(knots) - 1
    w1, b1 = np.zeros((1, m), knots.dtype), np.zeros(m, knots.dtype)
    w2, slope = np.zeros((m, 1), knots.dtype), 0.0
    for j in range(m):
        new = (values[j + 1] - values[j]) / (knots[j + 1] - knots[j])
        w1[0, j], b1[j] = 2, -2 * knots[j]
        w2[j, 0] = (new - slope) / 2
        slope = new
    return ((w1, b1), (w2, values[:1].copy()))


# ---------------------------------------------------------------- PyTorch


def apply_linear__torch__functional(x, weight, bias=None):
    return nn.functional.linear(x, weight, bias)


def apply_linear__torch__einsum(x, weight, bias=None):
    y = torch.einsum("...i,oi->...o", x, weight)
    return y + bias if bias is not None else y


def apply_linear__torch__sum(x, weight, bias=None):
    y = (x.unsqueeze(-2) * weight).sum(dim=-1)
    return y if bias is None else y.add(bias)


def numpy_to_state_dict__torch__as_tensor(params):
    state = {}
    for i, (w, b) in enumerate(params):
        state[str(2 * i) + ".weight"] = torch.as_tensor(w).t().contiguous()
        if b is not None:
            state[str(2 * i) + ".bias"] = torch.as_tensor(b).clone()
    return state


def numpy_to_state_dict__torch__through_a_model(params):
    layers = []
    for w, b in params:
        layer = nn.Linear(*w.shape, bias=b is not None).to(torch.from_numpy(w).dtype)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(w).mT)
            if b is not None:
                layer.bias.copy_(torch.from_numpy(b))
        layers += [layer, nn.ReLU()]
    return dict(nn.Sequential(*layers[:-1]).state_dict())


class DeepNet__torch__last_one_apart(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList()
        for i in range(len(sizes) - 1):
            self.layers.append(nn.Linear(sizes[i], sizes[i + 1]))

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i < len(self.layers) - 1:
                x = x.clamp(min=0)
        return x


class DeepNet__torch__sequential_of_layers(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(sizes)))

    def forward(self, x):
        y = self.layers[0](x)
        for layer in self.layers[1:]:
            y = layer(nn.functional.relu(y))
        return y


def count_trainable__torch__loop(model):
    total = 0
    for _, parameter in model.named_parameters():
        if parameter.requires_grad:
            size = 1
            for length in parameter.shape:
                size *= length
            total += size
    return total


def count_trainable__torch__filter(model):
    return int(sum(map(torch.numel, filter(lambda p: p.requires_grad, model.parameters()))))


def class_probabilities__torch__inference_mode(model, x):
    mode = model.training
    model.train(False)
    with torch.inference_mode():
        p = nn.functional.softmax(model(x), -1)
    if mode:
        model.train()
    return p


def class_probabilities__torch__by_hand(model, x):
    mode = model.training
    with torch.set_grad_enabled(False):
        logits = model.eval()(x)
    model.train(mode)
    e = (logits - logits.amax(dim=-1, keepdim=True)).exp()
    return e / e.sum(dim=-1, keepdim=True)
