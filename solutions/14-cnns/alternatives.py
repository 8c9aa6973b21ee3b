"""Right answers written differently: each must earn full points."""

import numpy as np
import torch
from torch import nn

from nnlib.contract import ResidualBlockCache, ResidualBlockGrads

# ---------------------------------------------------------------- NumPy


def lenet_scores__relu_after_pooling(x, params, *, conv2d, max_pool2d):
    # The largest entry stays the largest: ReLU and max pooling may change places.
    h = max_pool2d(conv2d(x, params["conv1.w"], params["conv1.b"], padding=2), kernel_size=2)
    h = conv2d(np.maximum(h, 0), params["conv2.w"], params["conv2.b"])
    h = np.maximum(max_pool2d(h, kernel_size=2), 0)
    h = h.reshape(h.shape[0], h.shape[1] * h.shape[2] * h.shape[3])
    h = np.maximum(h @ params["fc1.w"] + params["fc1.b"], 0)
    h = np.maximum(h @ params["fc2.w"] + params["fc2.b"], 0)
    return h @ params["fc3.w"] + params["fc3.b"]


def lenet_scores__no_flattening(x, params, *, conv2d, max_pool2d):
    h = x
    for name, padding in (("conv1", 2), ("conv2", 0)):
        h = conv2d(h, params[f"{name}.w"], params[f"{name}.b"], padding=padding)
        h = max_pool2d(np.where(h > 0, h, 0), kernel_size=2)
    w = params["fc1.w"].reshape(*h.shape[1:], -1)  # a weight for each channel and place
    z = np.einsum("nchw,chwd->nd", h, w) + params["fc1.b"]
    z = np.einsum("nd,de->ne", np.where(z > 0, z, 0), params["fc2.w"]) + params["fc2.b"]
    return np.einsum("nd,de->ne", np.where(z > 0, z, 0), params["fc3.w"]) + params["fc3.b"]


def residual_block_forward__branches(x, w1, b1, w2, b2, w_skip=None, *, stride=1, conv2d_forward):
    if w_skip is None:
        z, skip = x.copy(), None
    else:
        zeros = np.zeros(len(w_skip), dtype=x.dtype)
        z, skip = conv2d_forward(x, w_skip, zeros, stride=stride)
    a, conv1 = conv2d_forward(x, w1, b1, stride=stride, padding=1)
    body, conv2 = conv2d_forward(a * (a > 0), w2, b2, stride=1, padding=1)
    z = z + body
    return np.where(z > 0, z, 0), ResidualBlockCache(conv1, a, conv2, skip, z)


def residual_block_forward__picked_pixels(x, w1, b1, w2, b2, w_skip=None, *, stride=1,
                                          conv2d_forward):
    # A 1x1 convolution with a stride: pick pixels, then mix their channels.
    way, skip = x, None
    if w_skip is not None:
        way = np.einsum("nchw,oc->nohw", x[:, :, ::stride, ::stride], w_skip[:, :, 0, 0])
        _, skip = conv2d_forward(x, w_skip, None, stride=stride)
    a, conv1 = conv2d_forward(x, w1, b1, stride=stride, padding=1)
    h = np.maximum(a, 0)
    body, conv2 = conv2d_forward(h, w2, b2, padding=1)
    z = np.add(body, way)
    return np.maximum(z, 0), ResidualBlockCache(conv1, a, conv2, skip, z)


def residual_block_backward__where(dy, cache, *, conv2d_backward):
    dz = np.where(cache.z > 0, dy, 0)
    inner = conv2d_backward(dz, cache.conv2)
    outer = conv2d_backward(np.where(cache.a > 0, inner[0], 0), cache.conv1)
    dx, dw_skip = dz, None
    if cache.skip is not None:
        dx, dw_skip = conv2d_backward(dz, cache.skip)[:2]
    return ResidualBlockGrads(outer[0] + dx, outer[1], outer[2], inner[1], inner[2], dw_skip)


def residual_block_backward__own_projection(dy, cache, *, conv2d_backward):
    dz = np.array(dy)
    dz[cache.z <= 0] = 0
    dh, dw2, db2 = conv2d_backward(dz, cache.conv2)
    dh = np.array(dh)
    dh[cache.a <= 0] = 0
    dx, dw1, db1 = conv2d_backward(dh, cache.conv1)
    dx, dw_skip = np.array(dx), None
    if cache.skip is None:
        dx += dz
    else:
        x, w, s = cache.skip.x, cache.skip.w, cache.skip.stride[0]
        dx[:, :, ::s, ::s] += np.einsum("nohw,oc->nchw", dz, w[:, :, 0, 0])
        dw_skip = np.einsum("nohw,nchw->oc", dz, x[:, :, ::s, ::s])[:, :, None, None]
    return ResidualBlockGrads(dx, dw1, db1, dw2, db2, dw_skip)


def class_activation_maps__loop(features, w, labels):
    n, c, height, width = features.shape
    maps = np.zeros((n, height, width), dtype=features.dtype)
    for i in range(n):
        for channel in range(c):
            maps[i] += w[channel, labels[i]] * features[i, channel]
    return maps


def class_activation_maps__all_classes(features, w, labels):
    every = np.einsum("nchw,ck->nkhw", features, w)
    return every[np.arange(len(labels)), labels]


def grad_cam__loop(features, grads):
    maps = []
    for one, slope in zip(features, grads, strict=True):
        total = np.zeros(one.shape[1:], dtype=one.dtype)
        for channel, weight in zip(one, slope, strict=True):
            total = total + weight.mean() * channel
        maps.append(np.maximum(total, 0))
    return np.array(maps, dtype=features.dtype).reshape(len(features), *features.shape[2:])


def grad_cam__matrix_product(features, grads):
    n, c, height, width = features.shape
    weights = grads.reshape(n, c, height * width).mean(axis=2)
    maps = weights[:, None] @ features.reshape(n, c, height * width)
    return np.where(maps > 0, maps, 0).reshape(n, height, width)


def cnn_train_step__spread(params, x, labels, *, learning_rate, conv2d_forward, conv2d_backward,
                           softmax_cross_entropy):
    z, cache = conv2d_forward(x, params["conv.w"], params["conv.b"], padding=1)
    n, c, height, width = z.shape
    h = np.where(z > 0, z, 0)
    pooled = h.reshape(n, c, height * width).sum(axis=2) / (height * width)
    loss, ds = softmax_cross_entropy(pooled @ params["head.w"] + params["head.b"], labels)
    dpooled = np.einsum("nk,ck->nc", ds, params["head.w"])
    dh = np.repeat(dpooled / (height * width), height * width, axis=1).reshape(z.shape)
    dh[z <= 0] = 0
    grads = conv2d_backward(dh, cache)
    return loss, {"conv.w": params["conv.w"] - learning_rate * grads[1],
                  "conv.b": params["conv.b"] - learning_rate * grads[2],
                  "head.w": params["head.w"] - learning_rate * np.einsum("nc,nk->ck", pooled, ds),
                  "head.b": params["head.b"] - learning_rate * np.sum(ds, axis=0)}


def cnn_train_step__copies(params, x, labels, *, learning_rate, conv2d_forward, conv2d_backward,
                           softmax_cross_entropy):
    new = {name: np.copy(p) for name, p in params.items()}
    z, cache = conv2d_forward(x, new["conv.w"], new["conv.b"], padding=1)
    pooled = np.mean(np.maximum(z, 0), axis=(2, 3))
    loss, ds = softmax_cross_entropy(pooled @ new["head.w"] + new["head.b"], labels)
    dh = np.ones_like(z) * (ds @ new["head.w"].T)[..., None, None] / z[0, 0].size
    _, dw, db = conv2d_backward(dh * (z > 0), cache)
    new["conv.w"] -= learning_rate * dw
    new["conv.b"] -= learning_rate * db
    new["head.w"] -= learning_rate * pooled.T @ ds
    new["head.b"] -= learning_rate * ds.sum(axis=0)
    return loss, new


# ---------------------------------------------------------------- PyTorch


def vgg_block__torch__appended(c_in, c_out, num_convs):
    block = nn.Sequential()
    for _ in range(num_convs):
        block.append(nn.Conv2d(c_in, c_out, kernel_size=(3, 3), padding="same"))
        block.append(nn.ReLU(inplace=True))
        c_in = c_out
    block.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return block


def vgg_block__torch__nested(c_in, c_out, num_convs):
    sizes = [c_in] + [c_out] * num_convs
    rounds = [nn.Sequential(nn.Conv2d(sizes[k], sizes[k + 1], 3, 1, 1), nn.ReLU())
              for k in range(num_convs)]
    return nn.Sequential(*rounds, nn.MaxPool2d(2))


class ResidualBlock__torch__functional(nn.Module):
    def __init__(self, c_in, c_out, *, stride=1):
        super().__init__()
        self.shortcut = nn.Sequential()  # the identity, too
        if c_in != c_out or stride > 1:
            self.shortcut.append(nn.Conv2d(c_in, c_out, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(c_out))
        self.body = nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        y = self.body(x)
        y = y + self.shortcut(x)
        return nn.functional.relu(y)


class ResidualBlock__torch__layer_by_layer(nn.Module):
    def __init__(self, c_in, c_out, *, stride=1):
        super().__init__()
        convs = [nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
                 nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)]
        self.body = nn.ModuleList(
            [convs[0], nn.BatchNorm2d(c_out), nn.ReLU(), convs[1], nn.BatchNorm2d(c_out)])
        if stride == 1 and c_in == c_out:
            self.shortcut = None
        else:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride=stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        y = x
        for layer in self.body:
            y = layer(y)
        way = x if self.shortcut is None else self.shortcut(x)
        return torch.clamp(y + way, min=0)


class InceptionBlock__torch__helper(nn.Module):
    def __init__(self, c_in, c1, c3, c5, c_pool):
        super().__init__()

        def conv(a, b, size):
            return [nn.Conv2d(a, b, size, padding=size // 2), nn.ReLU()]

        self.branch1 = nn.Sequential(*conv(c_in, c1, 1))
        self.branch3 = nn.Sequential(*conv(c_in, c3[0], 1), *conv(*c3, 3))
        self.branch5 = nn.Sequential(*conv(c_in, c5[0], 1), *conv(*c5, 5))
        self.branch_pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), *conv(c_in, c_pool, 1))

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.children()], dim=1)


class InceptionBlock__torch__written_into(nn.Module):
    def __init__(self, c_in, c1, c3, c5, c_pool):
        super().__init__()
        relu = nn.ReLU()
        self.branch1 = nn.Sequential(nn.Conv2d(c_in, c1, 1), relu)
        self.branch3 = nn.Sequential(nn.Conv2d(c_in, c3[0], 1), relu,
                                     nn.Conv2d(c3[0], c3[1], 3, padding="same"), relu)
        self.branch5 = nn.Sequential(nn.Conv2d(c_in, c5[0], 1), relu,
                                     nn.Conv2d(c5[0], c5[1], 5, padding="same"), relu)
        self.branch_pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(c_in, c_pool, 1), relu)

    def forward(self, x):
        parts = [self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)]
        y = x.new_zeros(len(x), sum(part.shape[1] for part in parts), *x.shape[2:])
        start = 0
        for part in parts:
            y[:, start : start + part.shape[1]] = part
            start += part.shape[1]
        return y


def small_resnet__torch__appended(block, *, c_in, widths, blocks, num_classes):
    net = nn.Sequential(nn.Conv2d(c_in, widths[0], 3, padding=1, bias=False),
                        nn.BatchNorm2d(widths[0]), nn.ReLU())
    previous = [widths[0], *widths]
    for stage, width in enumerate(widths):
        net.append(block(previous[stage], width, stride=1 if stage == 0 else 2))
        for _ in range(blocks - 1):
            net.append(block(width, width))
    net.append(nn.AdaptiveAvgPool2d((1, 1)))
    net.append(nn.Flatten())
    net.append(nn.Linear(widths[-1], num_classes))
    return net


def small_resnet__torch__stages(block, *, c_in, widths, blocks, num_classes):
    def stage(one, other, stride):
        rest = [block(other, other, stride=1) for _ in range(blocks - 1)]
        return first(one, other, stride, rest)

    def first(one, other, stride, rest):
        return nn.Sequential(block(one, other, stride=stride), *rest)

    stem = nn.Sequential(nn.Conv2d(c_in, widths[0], 3, 1, 1, bias=False),
                         nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
    pairs = zip([widths[0], *widths[:-1]], widths, strict=True)
    stages = [stage(one, other, 1 + (k > 0)) for k, (one, other) in enumerate(pairs)]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1),
                         nn.Linear(widths[-1], num_classes))
    return nn.Sequential(stem, *stages, head)


def saliency_map__torch__one_by_one(model, x, labels):
    was = model.training
    model.eval()
    maps = []
    for image, label in zip(x, labels, strict=True):
        pixels = image[None].clone().requires_grad_(True)
        score = model(pixels)[0, label]
        maps.append(torch.autograd.grad(score, pixels)[0].abs().max(dim=1).values)
    model.train(was)
    return torch.cat(maps)


def saliency_map__torch__one_hot(model, x, labels):
    mode = model.training
    model.eval()
    try:
        pixels = x.detach().clone()
        pixels.requires_grad = True
        scores = model(pixels)
        upstream = nn.functional.one_hot(labels, scores.shape[1]).to(scores.dtype)
        (grads,) = torch.autograd.grad(scores, pixels, grad_outputs=upstream)
    finally:
        model.train(mode)
    return torch.maximum(grads, -grads).amax(1)


def grad_cam_with_hooks__torch__einsum(model, layer, x, labels):
    mode, kept = model.training, {}

    def hook(module, inputs, output):
        kept["features"] = output

    handle = dict(model.named_modules())[layer].register_forward_hook(hook)
    try:
        model.eval()
        scores = model(x.clone().requires_grad_())
    finally:
        handle.remove()
        model.train(mode)
    chosen = scores[torch.arange(len(x)), labels].sum()
    grads = torch.autograd.grad(chosen, kept["features"])[0]
    maps = torch.einsum("nc,nchw->nhw", grads.mean((2, 3)), kept["features"].detach())
    return maps.clamp(min=0)


def grad_cam_with_hooks__torch__cut(model, layer, x, labels):
    was, leaves = model.training, []

    def cut(module, inputs, output):
        leaves.append(output.detach().requires_grad_())  # nothing below the layer is needed
        return leaves[0]

    handle = model.get_submodule(layer).register_forward_hook(cut)
    model.eval()
    try:
        score = model(x).gather(1, labels.unsqueeze(1)).sum()
    finally:
        handle.remove()
        model.train(was)
    (features,) = leaves
    (slopes,) = torch.autograd.grad(score, features)
    weights = slopes.flatten(2).mean(2)[:, :, None, None]
    return nn.functional.relu((weights * features).sum(1)).detach()
