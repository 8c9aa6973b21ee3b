"""Right answers written differently: each must earn full points."""

import copy
import math

import numpy as np
import torch
from torch import nn
from torch.optim import lr_scheduler

# ---------------------------------------------------------------- NumPy


def noise_ball__fixed_point(learning_rate, *, curvature, noise_std, batch_size=1):
    kept = (1 - learning_rate * curvature) ** 2
    added = learning_rate**2 * noise_std**2 / batch_size
    return added / (1 - kept) if learning_rate * curvature < 2 else np.inf


def noise_ball__with_numpy(learning_rate, *, curvature, noise_std, batch_size=1):
    limit = 2 / curvature
    if learning_rate >= limit:
        return float("inf")
    variance = np.square(noise_std / np.sqrt(batch_size))
    return variance * learning_rate / curvature**2 / (limit - learning_rate)


def step_decay__loop(step, *, learning_rate, step_size, gamma=0.1):
    rate = learning_rate
    while step >= step_size:
        rate, step = rate * gamma, step - step_size
    return rate


def step_decay__floor(step, *, learning_rate, step_size, gamma=0.1):
    return learning_rate * np.power(gamma, np.floor(step / step_size))


def warmup_cosine__numpy(
    step, *, learning_rate, warmup_steps, total_steps, min_learning_rate=0.0
):
    if step < warmup_steps:
        return np.linspace(0, learning_rate, warmup_steps + 2)[step + 1]
    way = np.clip((step - warmup_steps) / (total_steps - warmup_steps), 0, 1)
    half = np.cos(np.pi * way / 2) ** 2
    return half * learning_rate + (1 - half) * min_learning_rate


def warmup_cosine__cases(
    step, *, learning_rate, warmup_steps, total_steps, min_learning_rate=0.0
):
    if step >= total_steps:
        return min_learning_rate
    if step >= warmup_steps:
        angle = math.pi * (step - warmup_steps) / (total_steps - warmup_steps)
        middle = (learning_rate + min_learning_rate) / 2
        return middle + (learning_rate - min_learning_rate) / 2 * math.cos(angle)
    return learning_rate - learning_rate * (warmup_steps - step) / (warmup_steps + 1)


def plateau_rates__index_of_best(
    losses, *, learning_rate, factor=0.1, patience=10, min_learning_rate=0.0
):
    best, since, rate, rates = math.inf, -1, learning_rate, []
    for k, loss in enumerate(losses):
        if loss < best:
            best, since = loss, k
        elif k - since > patience:
            rate, since = max(rate * factor, min_learning_rate), k
        rates.append(rate)
    return rates


def plateau_rates__array(
    losses, *, learning_rate, factor=0.1, patience=10, min_learning_rate=0.0
):
    rates = np.empty(len(losses))
    rate, waited, best = learning_rate, 0, np.inf
    for k, loss in enumerate(losses):
        waited = 0 if loss < best else waited + 1
        best = np.fmin(best, loss)
        if waited == patience + 1:
            rate, waited = np.maximum(min_learning_rate, factor * rate), 0
        rates[k] = rate
    return rates


def clip_grad_norm__concatenate(grads, *, max_norm):
    norm = np.linalg.norm(np.concatenate([g.ravel() for g in grads.values()]))
    scale = 1.0 if norm <= max_norm else max_norm / norm.item()
    return {name: g * scale for name, g in grads.items()}, norm


def clip_grad_norm__loop(grads, *, max_norm):
    total = 0.0
    for g in grads.values():
        total += np.vdot(g, g)
    norm = np.sqrt(total)
    clipped = {}
    for name, g in grads.items():
        copied = g.copy()
        if norm > max_norm:
            copied *= float(max_norm / norm)
        clipped[name] = copied
    return clipped, norm


def range_test_rates__geomspace(low, high, *, steps):
    return np.geomspace(low, high, steps)


def range_test_rates__one_after_the_other(low, high, *, steps):
    rates = [low]
    while len(rates) < steps:
        rates.append(rates[-1] * (high / low) ** (1 / (steps - 1)))
    return tuple(rates)


def range_test_rates__logspace(low, high, *, steps):
    return np.logspace(np.log10(low), np.log10(high), steps).tolist()


def pick_learning_rate__weights(rates, losses, *, smoothing=0.9, margin=10.0):
    losses = np.array(losses)
    broken = np.flatnonzero(~np.isfinite(losses))
    losses = losses[: broken[0]] if len(broken) else losses
    smoothed = []
    for k in range(1, len(losses) + 1):
        weights = smoothing ** np.arange(k - 1, -1, -1.0)
        smoothed.append(weights @ losses[:k] / weights.sum())
    return rates[int(np.argmin(smoothed))] / margin


def pick_learning_rate__two_sums(rates, losses, *, smoothing=0.9, margin=10.0):
    total = weight = 0.0
    smoothed = []
    for loss in losses:
        if math.isnan(loss) or math.isinf(loss):
            break
        total, weight = smoothing * total + loss, smoothing * weight + 1
        smoothed.append(total / weight)
    return rates[smoothed.index(min(smoothed))] / margin


# ---------------------------------------------------------------- PyTorch


def train_with_schedule__torch__rate_by_hand(
    model, batches, loss_fn, schedule, *, learning_rate, epochs
):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    rates = []
    for _ in range(epochs):
        for x, y in batches:
            rate = learning_rate * schedule(len(rates))
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
            rates.append(rate)
    return rates


def train_with_schedule__torch__without_optimizer(
    model, batches, loss_fn, schedule, *, learning_rate, epochs
):
    rates = []
    for _ in range(epochs):
        for x, y in batches:
            rate = learning_rate * schedule(len(rates))
            model.zero_grad()
            loss_fn(model(x), y).backward()
            with torch.no_grad():
                for p in model.parameters():
                    p -= rate * p.grad
            rates.append(rate)
    return rates


def clipped_step__torch__by_hand(model, x, y, loss_fn, *, learning_rate, max_norm):
    model.zero_grad()
    loss_fn(model(x), y).backward()
    grads = [p.grad for p in model.parameters()]
    norm = torch.cat([g.flatten() for g in grads]).norm()
    if torch.isfinite(norm):
        factor = min(1.0, max_norm / norm.item())
        with torch.no_grad():
            for p, g in zip(model.parameters(), grads, strict=True):
                p -= learning_rate * factor * g
    return float(norm)


def clipped_step__torch__total_norm(model, x, y, loss_fn, *, learning_rate, max_norm):
    params = list(model.parameters())
    optimizer = torch.optim.SGD(params, lr=learning_rate)
    optimizer.zero_grad(set_to_none=False)
    loss_fn(model(x), y).backward()
    norm = nn.utils.get_total_norm([p.grad for p in params])
    if norm.isnan() or norm.isinf():
        return norm.item()
    nn.utils.clip_grads_with_norm_(params, max_norm, norm)
    optimizer.step()
    return norm.item()


def train_body_and_head__torch__rate_by_hand(
    model, batches, loss_fn, *, body_learning_rate, head_learning_rate, warmup_steps
):
    body = {"params": list(model.body.parameters()), "lr": body_learning_rate}
    head = {"params": list(model.head.parameters())}
    optimizer = torch.optim.SGD([body, head], lr=head_learning_rate)
    rates = []
    for step, (x, y) in enumerate(batches):
        part = (step + 1) / (warmup_steps + 1)
        optimizer.param_groups[0]["lr"] = body_learning_rate * min(part, 1.0)
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()
        rates.append([group["lr"] for group in optimizer.param_groups])
    return rates


def train_body_and_head__torch__two_optimizers(
    model, batches, loss_fn, *, body_learning_rate, head_learning_rate, warmup_steps
):
    body = torch.optim.SGD(model.body.parameters(), lr=body_learning_rate)
    head = torch.optim.SGD(model.head.parameters(), lr=head_learning_rate)
    warmup = lr_scheduler.LinearLR(
        body, start_factor=1 / (warmup_steps + 1), total_iters=warmup_steps)
    rates = []
    for x, y in batches:
        rates.append((body.param_groups[0]["lr"], head_learning_rate))
        model.zero_grad()
        loss_fn(model(x), y).backward()
        body.step()
        head.step()
        warmup.step()
    return rates


def learning_rate_range_test__torch__deepcopied_state(model, batches, loss_fn, *, low, high):
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=low)
    planned = torch.logspace(
        math.log10(low), math.log10(high), len(batches), dtype=torch.float64).tolist()
    rates, losses = [], []
    for rate, (x, y) in zip(planned, batches, strict=True):
        loss = loss_fn(model(x), y)
        if not math.isfinite(loss.item()):
            break
        rates.append(rate)
        losses.append(loss.item())
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.load_state_dict(before)
    return rates, losses


def learning_rate_range_test__torch__lambda(model, batches, loss_fn, *, low, high):
    kept = {name: value.detach().clone() for name, value in model.state_dict().items()}
    growth = math.log(high / low) / (len(batches) - 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=low)
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda step: math.exp(growth * step))
    history = []
    for x, y in batches:
        loss = loss_fn(model(x), y)
        if loss.isnan() or loss.isinf():
            break
        history.append((optimizer.param_groups[0]["lr"], loss.item()))
        model.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    model.load_state_dict(kept)
    return [rate for rate, _ in history], [loss for _, loss in history]


class ResumableRun__torch__lambda:
    def __init__(self, w, *, learning_rate, total_steps):
        self.layer = nn.Parameter(w.detach().clone())
        self.optimizer = torch.optim.SGD([self.layer], lr=learning_rate, momentum=0.9)
        self.scheduler = lr_scheduler.LambdaLR(
            self.optimizer, lambda step: (1 + math.cos(math.pi * step / total_steps)) / 2)

    def step(self, x, y):
        loss = (x @ self.layer - y).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    def learning_rate(self):
        return self.optimizer.param_groups[0]["lr"]

    def weights(self):
        return self.layer.data.clone()

    def state_dict(self):
        return {"weights": self.layer.data, "parts": [self.optimizer.state_dict(),
                                                      self.scheduler.state_dict()]}

    def load_state_dict(self, state):
        self.layer.data.copy_(state["weights"])
        self.optimizer.load_state_dict(state["parts"][0])
        self.scheduler.load_state_dict(state["parts"][1])


class ResumableRun__torch__by_hand:
    def __init__(self, w, *, learning_rate, total_steps):
        self.w, self.velocity, self.done = w.detach().clone(), torch.zeros_like(w), 0
        self.highest, self.total = learning_rate, total_steps

    def step(self, x, y):
        error = x @ self.w - y
        grad = 2 * x.T @ error / error.numel()
        self.velocity = 0.9 * self.velocity + grad
        self.w = self.w - self.learning_rate() * self.velocity
        self.done += 1
        return error.square().mean().item()

    def learning_rate(self):
        return self.highest * (1 + math.cos(math.pi * self.done / self.total)) / 2

    def weights(self):
        return self.w.clone()

    def state_dict(self):
        return {"w": self.w, "velocity": self.velocity, "done": self.done}

    def load_state_dict(self, state):
        self.w, self.velocity, self.done = state["w"], state["velocity"], state["done"]
