"""Right answers written differently: each must earn full points."""

import copy

import numpy as np
import torch
from torch import nn

from nnlib.contract import BatchNormCache, BatchNormGrads, LayerNormCache, LayerNormGrads

# ---------------------------------------------------------------- NumPy


def batch_norm_forward__flattened(x, gamma, beta, running_mean, running_var, *, training,
                                  momentum=0.1, eps=1e-5):
    channels_last = np.moveaxis(x, 1, -1)
    rows = channels_last.reshape(-1, x.shape[1])
    count = len(rows)
    new_mean, new_var = running_mean.copy(), running_var.copy()
    if training and count:
        mean = rows.sum(axis=0) / count
        var = np.square(rows - mean).sum(axis=0) / count
        new_mean += momentum * (mean - new_mean)
        new_var += momentum * (np.var(rows, axis=0, ddof=1) - new_var)
    else:
        mean, var = running_mean, running_var
    inv_std = (var + eps) ** -0.5
    y = (rows - mean) * inv_std * gamma + beta
    centred = np.moveaxis((rows - mean).reshape(channels_last.shape), -1, 1)
    y = np.moveaxis(y.reshape(channels_last.shape), -1, 1)
    return y, (new_mean, new_var), BatchNormCache(centred, inv_std, gamma, training)


def batch_norm_forward__channels(x, gamma, beta, running_mean, running_var, *, training,
                                 momentum=0.1, eps=1e-5):
    y, centred, inv_std = np.empty_like(x), np.empty_like(x), np.empty_like(gamma)
    means, variances = running_mean.copy(), running_var.copy()
    for k in range(x.shape[1]):
        values = x[:, k]
        mean, var = running_mean[k], running_var[k]
        if training and values.size > 0:
            mean, var = values.mean(), values.var()
            means[k] = running_mean[k] + momentum * (mean - running_mean[k])
            sample = var * values.size / (values.size - 1)
            variances[k] = running_var[k] + momentum * (sample - running_var[k])
        centred[:, k] = values - mean
        inv_std[k] = 1 / np.sqrt(var + eps)
        y[:, k] = gamma[k] * centred[:, k] * inv_std[k] + beta[k]
    return y, (means, variances), BatchNormCache(centred, inv_std, gamma, training)


def batch_norm_backward__paths(dy, cache):
    """Line by line, as derived."""
    centred, inv_std, gamma, training = cache
    if dy.ndim == 4:
        inv_std, gamma = inv_std[:, None, None], gamma[:, None, None]
    axes = (0,) if dy.ndim == 2 else (0, 2, 3)
    m = dy.size // dy.shape[1]
    g = gamma * dy
    dx = g * inv_std
    if training and m:
        dvar = -0.5 * inv_std**3 * (g * centred).sum(axis=axes, keepdims=True)
        dmean = -(g * inv_std).sum(axis=axes, keepdims=True)
        dx = dx + (dvar * 2 * centred + dmean) / m
    return BatchNormGrads(dx, (dy * centred * inv_std).sum(axis=axes), dy.sum(axis=axes))


def batch_norm_backward__channels(dy, cache):
    """Channel by channel: take out the parts along the constant and along x_hat."""
    dx, dgamma, dbeta = np.zeros_like(dy), np.zeros_like(cache.gamma), np.zeros_like(cache.gamma)
    for k in range(dy.shape[1]):
        up = dy[:, k]
        x_hat = cache.centred[:, k] * cache.inv_std[k]
        dgamma[k], dbeta[k] = np.vdot(up, x_hat), up.sum()
        rest = up
        if cache.training and up.size:
            rest = up - dbeta[k] / up.size - x_hat * dgamma[k] / up.size
        dx[:, k] = rest * cache.gamma[k] * cache.inv_std[k]
    return BatchNormGrads(dx, dgamma, dbeta)


def layer_norm_forward__rows(x, gamma, beta, *, eps=1e-5):
    x_hat, inv_std = np.empty_like(x), np.empty_like(x[..., :1])
    for place in np.ndindex(x.shape[:-1]):
        row = x[place]
        inv_std[place] = 1 / np.sqrt(row.var() + eps)
        x_hat[place] = (row - row.mean()) * inv_std[place]
    return x_hat * gamma + beta, LayerNormCache(x_hat, inv_std, gamma)


def layer_norm_forward__var(x, gamma, beta, *, eps=1e-5):
    mean = np.mean(x, axis=-1)[..., np.newaxis]
    inv_std = (np.var(x, axis=-1, keepdims=True) + eps) ** -0.5
    x_hat = np.multiply(np.subtract(x, mean), inv_std)
    y = np.multiply(x_hat, gamma)
    y += beta
    return y, LayerNormCache(x_hat, inv_std, gamma)


def layer_norm_backward__rows(dy, cache):
    x_hat, inv_std, gamma = cache
    dx, dgamma, dbeta = np.empty_like(dy), np.zeros_like(gamma), np.zeros_like(gamma)
    for place in np.ndindex(dy.shape[:-1]):
        g = gamma * dy[place]
        dx[place] = (g - g.mean() - x_hat[place] * np.mean(g * x_hat[place])) * inv_std[place]
        dgamma += dy[place] * x_hat[place]
        dbeta += dy[place]
    return LayerNormGrads(dx, dgamma, dbeta)


def layer_norm_backward__einsum(dy, cache):
    g = dy * cache.gamma
    d = dy.shape[-1]
    along = np.einsum("...d,...d->...", g, cache.x_hat)[..., None] / d
    dx = (g - g.sum(axis=-1, keepdims=True) / d - along * cache.x_hat) * cache.inv_std
    others = tuple(range(dy.ndim - 1))
    return LayerNormGrads(dx, np.sum(dy * cache.x_hat, axis=others), np.sum(dy, axis=others))


def group_norm__loops(x, gamma, beta, *, groups, eps=1e-5):
    y = np.empty_like(x)
    size = x.shape[1] // groups
    for i in range(x.shape[0]):
        for k in range(groups):
            part = slice(k * size, (k + 1) * size)
            values = x[i, part]
            y[i, part] = (values - values.mean()) / np.sqrt(values.var() + eps)
    return y * gamma.reshape(-1, 1, 1) + beta.reshape(-1, 1, 1)


def group_norm__five_axes(x, gamma, beta, *, groups, eps=1e-5):
    n, c, h, w = x.shape
    parts = x.reshape((n, groups, c // groups, h, w))
    mean = parts.mean(axis=(2, 3, 4), keepdims=True)
    std = np.sqrt(parts.var(axis=(2, 3, 4), keepdims=True) + eps)
    y = ((parts - mean) / std).reshape(n, c, h, w)
    return np.einsum("nchw,c->nchw", y, gamma) + beta[np.newaxis, :, np.newaxis, np.newaxis]


# ---------------------------------------------------------------- PyTorch


class BatchNorm1d__torch__functional(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        for name, start in [("running_mean", 0.0), ("running_var", 1.0)]:
            self.register_buffer(name, torch.full((num_features,), start))
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.long))
        self.options = {"eps": eps, "momentum": momentum}

    def forward(self, x):
        if self.training:
            self.num_batches_tracked.add_(1)
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight,
                                        self.bias, training=self.training, **self.options)


class BatchNorm1d__torch__new_buffers(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.register_parameter("weight", nn.Parameter(torch.ones(num_features)))
        self.register_parameter("bias", nn.Parameter(torch.zeros(num_features)))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.int64))

    def forward(self, x):
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            return x * scale + (self.bias - self.running_mean * scale)
        if x.shape[0] == 1:
            raise ValueError("a single row has no variance")
        keep, mean = 1 - self.momentum, x.sum(0) / x.shape[0]
        centred = x - mean
        new = centred.detach().pow(2).sum(0) / (x.shape[0] - 1)
        self.running_mean = keep * self.running_mean + self.momentum * mean.detach()
        self.running_var = keep * self.running_var + self.momentum * new
        self.num_batches_tracked = self.num_batches_tracked + 1
        std = (centred.pow(2).mean(0) + self.eps).sqrt()
        return self.weight * (centred / std) + self.bias


class LayerNorm__torch__functional(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        self.shape = torch.Size([normalized_shape] if isinstance(normalized_shape, int)
                                else normalized_shape)
        self.eps = eps
        for name, start in [("weight", 1.0), ("bias", 0.0)]:
            value = nn.Parameter(torch.full(self.shape, start)) if elementwise_affine else None
            self.register_parameter(name, value)

    def forward(self, x):
        return nn.functional.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


class LayerNorm__torch__flattened(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        sizes = normalized_shape if isinstance(normalized_shape, tuple) else (normalized_shape,)
        self.sizes, self.eps = sizes, eps
        self.weight = nn.Parameter(torch.ones(sizes)) if elementwise_affine else None
        self.bias = nn.Parameter(torch.zeros(sizes)) if elementwise_affine else None

    def forward(self, x):
        rows = x.flatten(start_dim=x.ndim - len(self.sizes))
        centred = rows - rows.mean(dim=-1, keepdim=True)
        inv_std = torch.rsqrt((centred * centred).mean(dim=-1, keepdim=True) + self.eps)
        y = (centred * inv_std).reshape(x.shape)
        if self.weight is not None:
            y = y * self.weight + self.bias
        return y


def recalibrate__torch__named(model, batches):
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    before = {name: part.training for name, part in model.named_modules()}
    old = {}
    model.eval()
    for name, part in model.named_modules():
        if isinstance(part, kinds):
            old[name] = part.momentum
            part.reset_running_stats()
            part.momentum = None
            part.training = True
    for x in batches:
        with torch.inference_mode():
            model(x)
    for name, part in model.named_modules():
        part.training = before[name]
        if name in old:
            part.momentum = old[name]


def recalibrate__torch__shrinking_momentum(model, batches):
    """A mean that goes along: the k-th batch has the weight 1 / k."""
    norms = [part for part in model.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    before = [part.training for part in model.modules()]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.train()
    with torch.no_grad():
        for k, x in enumerate(batches, start=1):
            for norm in norms:
                norm.momentum = 1 / k
            model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for part, mode in zip(model.modules(), before, strict=True):
        part.training = mode


def fold_batch_norm__torch__new_layer(layer, norm):
    with torch.no_grad():
        if isinstance(layer, nn.Linear):
            folded = nn.Linear(layer.in_features, layer.out_features)
        else:
            folded = nn.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size,
                               stride=layer.stride, padding=layer.padding,
                               dilation=layer.dilation, groups=layer.groups,
                               padding_mode=layer.padding_mode)
        folded = folded.to(layer.weight.dtype)
        factor = norm.weight.div((norm.running_var + norm.eps).sqrt())
        folded.weight.copy_(torch.einsum("o,o...->o...", factor, layer.weight))
        shift = norm.bias - factor * norm.running_mean
        folded.bias.copy_(shift if layer.bias is None else shift + factor * layer.bias)
    return folded


def fold_batch_norm__torch__by_filters(layer, norm):
    folded = copy.deepcopy(layer)
    std = torch.sqrt(norm.running_var + norm.eps)
    start = torch.zeros_like(std) if layer.bias is None else layer.bias
    rows = [w * g / s for w, g, s in zip(layer.weight, norm.weight, std, strict=True)]
    folded.weight = nn.Parameter(torch.stack(rows).detach())
    folded.bias = nn.Parameter(
        (norm.weight * (start - norm.running_mean) / std + norm.bias).detach())
    return folded


def freeze_norms__torch__kinds(model):
    model.train(True)
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    for part in model.modules():
        if isinstance(part, kinds):
            part.train(False)
            for p in part.parameters():
                p.requires_grad = False


def freeze_norms__torch__mode_by_mode(model):
    for part in model.modules():
        is_norm = isinstance(part, nn.modules.batchnorm._BatchNorm)
        part.training = not is_norm
        if is_norm:
            part.weight.requires_grad = part.bias.requires_grad = False
