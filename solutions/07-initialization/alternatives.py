"""Right answers written differently: each must earn full points."""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from nnlib.contract import LayerStatistics

# ---------------------------------------------------------------- NumPy


def fans__loop(shape):
    fan_in, fan_out = (shape[0], shape[1]) if len(shape) == 2 else (shape[1], shape[0])
    for side in shape[2:]:
        fan_in, fan_out = fan_in * side, fan_out * side
    return fan_in, fan_out


def fans__products(shape):
    if len(shape) == 2:
        return tuple(shape)
    return int(np.prod(shape[1:])), int(np.prod(shape) // shape[1])


def xavier_uniform__stretched(rng, shape, *, gain=1.0):
    positions = int(np.prod(shape[2:]))
    std = gain * np.sqrt(2 / ((shape[0] + shape[1]) * positions))
    return np.sqrt(3) * std * (2 * rng.random(shape) - 1)


def xavier_uniform__other_order(rng, shape, *, gain=1.0):
    bound = gain * np.sqrt(6 / ((shape[0] + shape[1]) * np.prod(shape[2:])))
    return rng.uniform(-bound, bound, size=shape[::-1]).transpose()


def he_normal__scaled(rng, shape, *, negative_slope=0.0):
    fan_in = shape[0] if len(shape) == 2 else np.prod(shape[1:])
    return rng.standard_normal(shape) * np.sqrt(2 / (1 + negative_slope**2) / fan_in)


def he_normal__number_by_number(rng, shape, *, negative_slope=0.0):
    fan_in = shape[0] if len(shape) == 2 else math.prod(shape[1:])
    std = (2 / ((1 + negative_slope**2) * fan_in)) ** 0.5
    return np.array([rng.normal(0, std) for _ in range(math.prod(shape))]).reshape(shape)


def init_params__by_index(rng, sizes, *, scheme="he"):
    params = []
    for k in range(len(sizes) - 1):
        shape = (sizes[k], sizes[k + 1])
        w = np.zeros(shape)
        if scheme == "he":
            w = rng.standard_normal(shape) * np.sqrt(2 / shape[0])
        if scheme == "xavier":
            w = (2 * rng.random(shape) - 1) * np.sqrt(6 / sum(shape))
        params.append((w, np.zeros(shape[1])))
    return params


def init_params__table(rng, sizes, *, scheme="he"):
    draws = {
        "zeros": lambda d_in, d_out: np.zeros((d_in, d_out)),
        "he": lambda d_in, d_out: rng.normal(scale=(2 / d_in) ** 0.5, size=(d_in, d_out)),
        "xavier": lambda d_in, d_out: rng.uniform(
            -((6 / (d_in + d_out)) ** 0.5), (6 / (d_in + d_out)) ** 0.5, size=(d_in, d_out)),
    }
    backwards = [(draws[scheme](d_in, d_out), np.zeros(d_out))
                 for d_in, d_out in list(pairwise(sizes))[::-1]]
    return backwards[::-1]


def predict_mean_squares__riemann_sum(activation, mean_square, sizes, weight_variances):
    # A sum of thin slices under the density.
    t = np.linspace(-10, 10, 20_001)
    density = np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)
    q = []
    for d_in, variance in zip(sizes[:-1], weight_variances, strict=True):
        h = activation(np.sqrt(d_in * variance * mean_square) * t)
        mean_square = float((h**2 * density).sum() * (t[1] - t[0]))
        q.append(mean_square)
    return np.array(q)


def predict_mean_squares__quantiles(activation, mean_square, sizes, weight_variances):
    # Midpoints between equally likely values, from the normal distribution summed up.
    t = np.linspace(-8, 8, 160_001)
    share = np.cumsum(np.exp(-(t**2) / 2))
    share /= share[-1]
    nodes = np.interp((np.arange(100_000) + 0.5) / 100_000, share, t)
    q = np.empty(len(weight_variances))
    for k, variance in enumerate(weight_variances):
        std = math.sqrt(sizes[k] * variance * (q[k - 1] if k else mean_square))
        q[k] = np.square(activation(std * nodes)).mean()
    return q


def layer_statistics__two_sweeps(x, params, dy, *, activation="relu"):
    hs, zs = [x], []
    for w, b in params:
        zs.append(hs[-1] @ w + b)
        hs.append({"relu": np.maximum(zs[-1], 0), "tanh": np.tanh(zs[-1]),
                   "identity": zs[-1]}[activation])
    if activation == "relu":
        slopes = [(z > 0).astype(x.dtype) for z in zs]
    elif activation == "tanh":
        slopes = [1 - h**2 for h in hs[1:]]
    else:
        slopes = [np.ones_like(z) for z in zs]
    grads = [dy]
    for (w, _), slope in zip(params[:0:-1], slopes[:0:-1], strict=True):
        grads.insert(0, np.einsum("nj,ij->ni", grads[0] * slope, w))
    return LayerStatistics(
        np.array([((z - z.mean()) ** 2).mean() for z in zs]),
        np.array([np.square(h).mean() for h in hs[1:]]),
        np.array([(abs(s).max(axis=0) == 0).mean() for s in slopes]).astype(x.dtype),
        np.array([np.square(g).mean() for g in grads]),
    )


def layer_statistics__recursive(x, params, dy, *, activation="relu"):
    def visit(h, rest):
        if not rest:
            return [], dy
        (w, b), *others = rest
        z = h @ w + b
        if activation == "relu":
            out, slope = np.where(z > 0, z, 0), np.where(z > 0, 1, 0).astype(z.dtype)
        elif activation == "tanh":
            out, slope = np.tanh(z), 1 / np.cosh(z) ** 2
        else:
            out, slope = z, np.ones_like(z)
        rows, dh = visit(out, others)
        row = (np.var(z), np.mean(out * out), 1 - np.mean(np.any(slope != 0, axis=0)),
               np.mean(dh * dh))
        return [row, *rows], (dh * slope) @ w.T

    rows, _ = visit(x, list(params))
    return LayerStatistics(*np.array(rows).astype(x.dtype).T)


# ---------------------------------------------------------------- PyTorch


@torch.no_grad()
def init_model__torch__by_hand(model, *, generator):
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            fan_in = module.weight[0].numel()
            module.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)):
            for name, parameter in module.named_parameters():
                parameter.fill_(1.0 if name == "weight" else 0.0)


def init_model__torch__apply(model, *, generator):
    def init(module):
        match module:
            case nn.Linear() | nn.Conv2d():
                nn.init.kaiming_normal_(module.weight, a=0, generator=generator)
                if module.bias is not None:
                    nn.init.constant_(module.bias, 0.0)
            case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.LayerNorm():
                if module.weight is not None:
                    nn.init.constant_(module.weight, 1.0)
                    nn.init.constant_(module.bias, 0.0)

    model.apply(init)


def output_mean_squares__torch__exit_stack(model, x):
    from contextlib import ExitStack

    found = {}
    with ExitStack() as stack, torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                def hook(m, inputs, y, name=name):
                    found[name] = y.square().mean().item()
                stack.callback(module.register_forward_hook(hook).remove)
        model(x)
    return found


def output_mean_squares__torch__by_module(model, x):
    names = {module: name for name, module in model.named_modules()
             if type(module) in (nn.Linear, nn.Conv2d)}
    outputs = {}
    handles = [module.register_forward_hook(
        lambda module, inputs, y: outputs.update({module: y.detach()})) for module in names]
    try:
        with torch.inference_mode():
            model(x)
    finally:
        [handle.remove() for handle in handles]
    return {names[module]: (y.pow(2).sum() / y.numel()).item() for module, y in outputs.items()}


def weight_gradient_norms__torch__restored(model, loss_fn, x, y):
    kept = [p.grad for p in model.parameters()]
    for p in model.parameters():
        p.grad = None
    loss_fn(model(x), y).backward()
    norms = {name: 0.0 if p.grad is None else p.grad.square().sum().sqrt().item()
             for name, p in model.named_parameters() if p.requires_grad and p.dim() > 1}
    for p, grad in zip(model.parameters(), kept, strict=True):
        p.grad = grad
    return norms


def weight_gradient_norms__torch__one_by_one(model, loss_fn, x, y):
    norms = {}
    for name, p in model.named_parameters():
        if p.requires_grad and p.ndim >= 2:
            (grad,) = torch.autograd.grad(loss_fn(model(x), y), p, allow_unused=True)
            norms[name] = 0.0 if grad is None else torch.linalg.vector_norm(grad).item()
    return norms


def count_twins__torch__rows_as_tuples(first, second):
    rows = zip(first.weight.tolist(), second.weight.T.tolist(),
               [0.0] * first.out_features if first.bias is None else first.bias.tolist(),
               strict=True)
    units = [(*incoming, *outgoing, bias) for incoming, outgoing, bias in rows]
    return len(units) - len(set(units))


def count_twins__torch__pairwise(first, second):
    parts = [first.weight, second.weight.T]
    if first.bias is not None:
        parts.append(first.bias.unsqueeze(1))
    units = torch.cat(parts, dim=1).detach()
    same = (units[:, None, :] == units[None, :, :]).all(dim=2)
    return int(same.tril(diagonal=-1).any(dim=1).sum())


def scale_to_unit_variance__torch__nn_init(model, x):
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
                layer.weight.copy_(layer.weight / layer(x).var().sqrt())
            x = layer(x)


def scale_to_unit_variance__torch__hooks(model, x):
    def scale(layer, inputs, y):
        if layer.bias is not None:
            y = y - layer.bias
            layer.bias.data.zero_()
        std = y.std(correction=0)
        layer.weight.data.div_(std)
        return y / std

    handles = [layer.register_forward_hook(scale) for layer in model
               if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()


def orthogonal__torch__svd(shape, *, gain=1.0, generator):
    rows, columns = shape[0], math.prod(shape[1:])
    u, _, vh = torch.linalg.svd(torch.randn(rows, columns, generator=generator),
                                full_matrices=False)
    return gain * (u @ vh).reshape(shape)


def orthogonal__torch__nn_init(shape, *, gain=1.0, generator):
    w = torch.empty(shape)
    nn.init.orthogonal_(w, gain=gain, generator=generator)
    return w
