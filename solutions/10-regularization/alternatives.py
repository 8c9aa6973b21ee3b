"""Right answers written differently: each must earn full points."""

import copy
import math

import numpy as np
import torch
from torch import nn

from nnlib.contract import DropoutCache

# ---------------------------------------------------------------- NumPy


def l1_penalty__dot_with_the_sign(params, *, strength):
    grads = {name: strength * np.sign(p) for name, p in params.items()}
    return sum((grads[name] * p).sum() for name, p in params.items()), grads


def l1_penalty__copies(params, *, strength):
    value, grads = 0.0, {}
    for name, p in params.items():
        grad = np.zeros_like(p)
        grad[p > 0] = strength
        grad[p < 0] = -strength
        grads[name] = grad
        value = value + strength * np.maximum(p, -p).sum()
    return value, grads


def l2_penalty__half_the_dot(params, *, strength):
    grads = {name: strength * p for name, p in params.items()}
    return sum((grads[name] * p).sum() for name, p in params.items()) / 2, grads


def l2_penalty__loop(params, *, strength):
    value, grads = 0.0, {}
    for name in params:
        flat = params[name].ravel()
        value = value + 0.5 * strength * (flat @ flat)
        grads[name] = np.multiply(params[name], strength, dtype=params[name].dtype)
    return value, grads


def dropout_forward__where(x, *, drop_prob, training, rng):
    if not training:
        return x.copy(), DropoutCache(None)
    scale = x.dtype.type(1 / (1 - drop_prob))
    mask = np.where(rng.uniform(size=x.shape) < drop_prob, x.dtype.type(0), scale)
    return mask * x, DropoutCache(mask)


def dropout_forward__binomial(x, *, drop_prob, training, rng):
    y, mask = x, None
    if training:
        mask = rng.binomial(1, 1 - drop_prob, size=x.shape).astype(x.dtype)
        mask /= 1 - drop_prob
        y = x * mask
    return y, DropoutCache(mask)


def dropout_backward__copy(dy, cache):
    dx = dy.copy()
    if cache.mask is not None:
        dx *= cache.mask
    return dx


def dropout_backward__where(dy, cache):
    if cache.mask is None:
        return dy
    return np.where(cache.mask == 0, dy.dtype.type(0), dy * cache.mask)


class EarlyStopping__signed:
    def __init__(self, *, patience=10, min_delta=0.0, mode="min"):
        self.patience, self.min_delta, self.mode = patience, min_delta, mode
        self.best = math.inf if mode == "min" else -math.inf
        self.since, self.kept = 0, {}

    def observe(self, value, model):
        if self.mode == "min":
            better = value < self.best - self.min_delta
        else:
            better = value > self.best + self.min_delta
        self.since = 0 if better else self.since + 1
        if better:
            self.best = value
            self.kept = {name: p.copy() for name, p in model.params.items()}
        return self.since == self.patience

    def restore(self, model):
        if self.kept:
            model.params = self.kept


class EarlyStopping__history:
    def __init__(self, *, patience=10, min_delta=0.0, mode="min"):
        self.patience, self.min_delta, self.sign = patience, min_delta, -1 if mode == "max" else 1
        self.values, self.best_at, self.snapshot = [], -1, None

    @property
    def best(self):
        return self.values[self.best_at] if self.best_at >= 0 else self.sign * math.inf

    def observe(self, value, model):
        better = self.sign * (self.best - value) > self.min_delta
        self.values.append(value)
        if better:
            self.best_at = len(self.values) - 1
            self.snapshot = copy.deepcopy(model.params)
        return len(self.values) - 1 - self.best_at >= self.patience

    def restore(self, model):
        if self.snapshot is not None:
            model.params = copy.deepcopy(self.snapshot)


def random_shift__slices(images, *, max_shift, training, rng):
    if not training:
        return images
    h, w = images.shape[2:]
    result = np.zeros_like(images)
    for image, moved in zip(images, result, strict=True):
        down, right = (int(rng.integers(-max_shift, max_shift, endpoint=True)) for _ in range(2))
        moved[:, max(down, 0) : h + min(down, 0), max(right, 0) : w + min(right, 0)] = image[
            :, max(-down, 0) : h - max(down, 0), max(-right, 0) : w - max(right, 0)]
    return result


def random_shift__windows(images, *, max_shift, training, rng):
    if not training:
        return images.copy()
    n, _, h, w = images.shape
    m = max_shift
    padded = np.pad(images, ((0, 0), (0, 0), (m, m), (m, m)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (h, w), axis=(2, 3))
    at = rng.integers(0, 2 * m + 1, size=(2, n))
    return windows[np.arange(n), :, at[0], at[1]].copy()


def mixup__step_to_the_partner(x, y, *, shares, partners):
    def blend(a):
        rest = 1 - shares.reshape((len(a),) + (1,) * (a.ndim - 1))
        return a + rest * (a[partners] - a)

    return blend(x), blend(y)


def mixup__rows(x, y, *, shares, partners):
    new_x, new_y = np.empty_like(x), np.empty_like(y)
    for i, (s, j) in enumerate(zip(shares, partners, strict=True)):
        new_x[i] = s * x[i] + (1 - s) * x[j]
        new_y[i] = s * y[i] + (1 - s) * y[j]
    return new_x, new_y


# ---------------------------------------------------------------- PyTorch


class DropoutModule__torch__bernoulli(nn.Module):
    def __init__(self, drop_prob=0.5, *, generator):
        super().__init__()
        self.keep_prob, self.generator = 1 - drop_prob, generator

    def forward(self, x):
        if self.training:
            mask = torch.empty_like(x, requires_grad=False).bernoulli_(
                self.keep_prob, generator=self.generator)
            x = x * mask.div_(self.keep_prob)
        return x


class DropoutModule__torch__masked(nn.Module):
    def __init__(self, drop_prob=0.5, *, generator):
        super().__init__()
        self.p, self.generator = drop_prob, generator

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        dropped = torch.rand(x.shape, generator=self.generator, device=x.device) < self.p
        return x.masked_fill(dropped, 0) / (1 - self.p)


class RandomShift__torch__gathered(nn.Module):
    def __init__(self, max_shift, *, generator):
        super().__init__()
        self.max_shift, self.generator = max_shift, generator

    def forward(self, images):
        if not self.training:
            return images
        n, c, h, w = images.shape
        m = self.max_shift
        padded = nn.functional.pad(images, (m, m, m, m))
        top, left = torch.randint(0, 2 * m + 1, (2, n), generator=self.generator)
        rows = (top[:, None] + torch.arange(h))[:, None, :, None]
        columns = (left[:, None] + torch.arange(w))[:, None, None, :]
        return padded[torch.arange(n)[:, None, None, None], torch.arange(c)[:, None, None],
                      rows, columns]


class RandomShift__torch__slices(nn.Module):
    def __init__(self, max_shift, *, generator):
        super().__init__()
        self.reach, self.generator = max_shift, generator

    def forward(self, images):
        if not self.training:
            return images
        h, w = images.shape[-2:]
        result = torch.zeros_like(images)
        draws = torch.randint(2 * self.reach + 1, (len(images), 2), generator=self.generator)
        for i, (a, b) in enumerate((draws - self.reach).tolist()):
            result[i, :, max(a, 0) : h + min(a, 0), max(b, 0) : w + min(b, 0)] = images[
                i, :, max(-a, 0) : h - max(a, 0), max(-b, 0) : w - max(b, 0)]
        return result


def weight_penalty__torch__one_vector(model, *, l1=0.0, l2=0.0):
    w = torch.cat([p.flatten() for p in model.parameters() if p.requires_grad and p.dim() > 1])
    return l1 * w.abs().sum() + l2 / 2 * w.dot(w)


def weight_penalty__torch__norms(model, *, l1=0.0, l2=0.0):
    total = 0.0
    for _, p in model.named_parameters():
        if not p.requires_grad or len(p.shape) < 2:
            continue
        total = total + l1 * torch.linalg.vector_norm(p, 1) + 0.5 * l2 * (p**2).sum()
    return total


def mixup_loss__torch__soft_targets(logits, labels, partner_labels, shares):
    k = logits.shape[1]
    own, other = (nn.functional.one_hot(y, k).to(logits.dtype) for y in (labels, partner_labels))
    targets = shares[:, None] * own + (1 - shares)[:, None] * other
    return nn.functional.cross_entropy(logits, targets)


def mixup_loss__torch__log_probabilities(logits, labels, partner_labels, shares):
    logs = logits.log_softmax(dim=1)
    own = logs.gather(1, labels[:, None]).squeeze(1)
    other = logs.gather(1, partner_labels[:, None]).squeeze(1)
    return -(other + shares * (own - other)).mean()


def fit_with_patience__torch__break(model, train_batches, validation_batches, loss_fn, *,
                                    max_epochs, patience, learning_rate, weight_decay):
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.SGD(
        [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}], lr=learning_rate,
        weight_decay=weight_decay)
    losses, best_epoch, best = [], -1, None
    for epoch in range(max_epochs):
        model.train()
        for x, y in train_batches:
            loss = loss_fn(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        total = rows = 0
        with torch.inference_mode():
            for x, y in validation_batches:
                total, rows = total + float(loss_fn(model(x), y)) * len(y), rows + len(y)
        losses.append(total / rows)
        if best is None or losses[-1] < losses[best_epoch]:
            best_epoch = epoch
            best = {name: value.detach().clone() for name, value in model.state_dict().items()}
        if epoch - best_epoch >= patience:
            break
    model.load_state_dict(best)
    return losses


def fit_with_patience__torch__decay_by_hand(model, train_batches, validation_batches, loss_fn, *,
                                            max_epochs, patience, learning_rate, weight_decay):
    losses, lowest, bad = [], math.inf, 0
    while len(losses) < max_epochs and bad < patience:
        model.train()
        for x, y in train_batches:
            model.zero_grad()
            loss_fn(model(x), y).backward()
            with torch.no_grad():
                for p in model.parameters():
                    if p.grad is not None:
                        pull = weight_decay * p if p.ndim >= 2 else 0.0
                        p -= learning_rate * (p.grad + pull)
        model.eval()
        with torch.no_grad():
            sums = [(loss_fn(model(x), y) * len(x)).item() for x, y in validation_batches]
        losses.append(sum(sums) / sum(len(x) for x, _ in validation_batches))
        bad += 1
        if losses[-1] < lowest:
            lowest, bad, best = losses[-1], 0, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return losses
