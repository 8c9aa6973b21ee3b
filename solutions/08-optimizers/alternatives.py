"""Right answers written differently: each must earn full points."""

import numpy as np
import torch
from torch import nn

# ---------------------------------------------------------------- NumPy


def sgd_update__comprehension(params, grads, state, *, learning_rate=1e-2, weight_decay=0.0):
    keep = 1 - learning_rate * weight_decay
    return {k: keep * params[k] - learning_rate * grads[k] for k in params}, dict(state)


def sgd_update__copy_first(params, grads, state, *, learning_rate=1e-2, weight_decay=0.0):
    new = {name: np.copy(p) for name, p in params.items()}
    for name in new:
        new[name] -= learning_rate * grads[name]
        new[name] -= learning_rate * weight_decay * params[name]
    return new, {}


def momentum_update__both_branches(params, grads, state, *, learning_rate=1e-2, momentum=0.9,
                                   nesterov=False):
    velocity = {k: grads[k] + momentum * v for k, v in state["velocity"].items()}
    if nesterov:
        new = {k: p - learning_rate * grads[k] - learning_rate * momentum * velocity[k]
               for k, p in params.items()}
    else:
        new = {k: p - learning_rate * velocity[k] for k, p in params.items()}
    return new, dict(state, step=state["step"] + 1, velocity=velocity)


def momentum_update__copies(params, grads, state, *, learning_rate=1e-2, momentum=0.9,
                            nesterov=False):
    new, velocity = {}, {}
    for name in params:
        v = state["velocity"][name].copy()
        v *= momentum
        v += grads[name]
        step = v.copy()
        if nesterov:
            step *= momentum
            step += grads[name]
        new[name], velocity[name] = params[name] - learning_rate * step, v
    return new, {"velocity": velocity, "step": 1 + state["step"]}


def adagrad_update__comprehensions(params, grads, state, *, learning_rate=1e-2, eps=1e-10):
    sums = {k: np.square(g) + state["square_sum"][k] for k, g in grads.items()}
    rates = {k: learning_rate / (s**0.5 + eps) for k, s in sums.items()}
    new = {k: p - rates[k] * grads[k] for k, p in params.items()}
    return new, {"step": state["step"] + 1, "square_sum": sums}


def adagrad_update__entries(params, grads, state, *, learning_rate=1e-2, eps=1e-10):
    new = {k: p.copy() for k, p in params.items()}
    sums = {k: s.copy() for k, s in state["square_sum"].items()}
    for name, p in new.items():
        for place in np.ndindex(p.shape):
            g = grads[name][place]
            sums[name][place] += g * g
            p[place] -= learning_rate * g / (np.sqrt(sums[name][place]) + eps)
    return new, {"step": state["step"] + 1, "square_sum": sums}


def rmsprop_update__towards_the_square(params, grads, state, *, learning_rate=1e-2, alpha=0.99,
                                       eps=1e-8):
    new, means = {}, {}
    for name, p in params.items():
        old = state["square_mean"][name]
        means[name] = old + (1 - alpha) * (grads[name] ** 2 - old)
        new[name] = p - learning_rate * np.divide(grads[name], np.sqrt(means[name]) + eps)
    return new, {"step": state["step"] + 1, "square_mean": means}


def rmsprop_update__average(params, grads, state, *, learning_rate=1e-2, alpha=0.99, eps=1e-8):
    new, means = {}, {}
    for name, p in params.items():
        pair = np.stack([state["square_mean"][name], np.square(grads[name])])
        means[name] = np.tensordot(np.array([alpha, 1 - alpha], dtype=p.dtype), pair, axes=1)
        new[name] = p - learning_rate * grads[name] / (np.sqrt(means[name]) + eps)
    return new, {**state, "step": state["step"] + 1, "square_mean": means}


def adam_update__corrected_rate(params, grads, state, *, learning_rate=1e-3, beta1=0.9,
                                beta2=0.999, eps=1e-8, weight_decay=0.0):
    t = state["step"] + 1
    root = (1 - beta2**t) ** 0.5
    rate = learning_rate * root / (1 - beta1**t)
    new, state = {}, {"step": t, "m": dict(state["m"]), "v": dict(state["v"])}
    for name, p in params.items():
        g = grads[name] + weight_decay * p
        m = state["m"][name] = state["m"][name] + (1 - beta1) * (g - state["m"][name])
        v = state["v"][name] = state["v"][name] + (1 - beta2) * (g * g - state["v"][name])
        new[name] = p - rate * m / (np.sqrt(v) + eps * root)  # epsilon corrected as well
    return new, state


def adam_update__comprehensions(params, grads, state, *, learning_rate=1e-3, beta1=0.9,
                                beta2=0.999, eps=1e-8, weight_decay=0.0):
    t = 1 + state["step"]
    g = {k: weight_decay * params[k] + grads[k] for k in params}
    m = {k: beta1 * state["m"][k] + (1 - beta1) * g[k] for k in params}
    v = {k: beta2 * state["v"][k] + (1 - beta2) * np.square(g[k]) for k in params}
    step = {k: m[k] / (1 - beta1**t) / ((v[k] / (1 - beta2**t)) ** 0.5 + eps) for k in params}
    return {k: params[k] - learning_rate * step[k] for k in params}, {"step": t, "m": m, "v": v}


def adamw_update__decay_subtracted(params, grads, state, *, learning_rate=1e-3, beta1=0.9,
                                   beta2=0.999, eps=1e-8, weight_decay=1e-2):
    t = state["step"] + 1
    new, ms, vs = {}, {}, {}
    for name, p in params.items():
        ms[name] = beta1 * state["m"][name] + (1 - beta1) * grads[name]
        vs[name] = beta2 * state["v"][name] + (1 - beta2) * grads[name] ** 2
        adam = ms[name] / (1 - beta1**t) / (np.sqrt(vs[name] / (1 - beta2**t)) + eps)
        new[name] = p - learning_rate * (adam + weight_decay * p)
    return new, {"step": t, "m": ms, "v": vs}


def adamw_update__copy_first(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999,
                             eps=1e-8, weight_decay=1e-2):
    t = state["step"] + 1
    new = {k: p.copy() for k, p in params.items()}
    m = {k: a.copy() for k, a in state["m"].items()}
    v = {k: a.copy() for k, a in state["v"].items()}
    for k in new:
        m[k] *= beta1
        m[k] += (1 - beta1) * grads[k]
        v[k] *= beta2
        v[k] += (1 - beta2) * grads[k] * grads[k]
        new[k] *= 1 - learning_rate * weight_decay
        new[k] -= learning_rate * (m[k] / (1 - beta1**t)) / (np.sqrt(v[k] / (1 - beta2**t)) + eps)
    return new, {"step": t, "m": m, "v": v}


# ---------------------------------------------------------------- PyTorch


class Momentum__torch__rate_inside(torch.optim.Optimizer):
    """With a constant rate the rate may as well stand inside the velocity."""

    def __init__(self, params, lr=1e-3, *, momentum=0.9, nesterov=False):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})

    def step(self):
        with torch.no_grad():
            for group in self.param_groups:
                lr, keep = group["lr"], group["momentum"]
                for p in (p for p in group["params"] if p.grad is not None):
                    v = self.state[p]["v"] = lr * p.grad + keep * self.state[p].get("v", 0.0)
                    p.sub_(lr * p.grad + keep * v if group["nesterov"] else v)


class Momentum__torch__data(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, momentum=0.9, nesterov=False):
        super().__init__(params, defaults={"lr": lr, "momentum": momentum, "nesterov": nesterov})
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["v"] = torch.zeros_like(p.data)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    v = group["momentum"] * self.state[p]["v"] + p.grad
                    self.state[p]["v"] = v
                    if group["nesterov"]:
                        v = torch.add(p.grad, v, alpha=group["momentum"])
                    p.data = p.data - group["lr"] * v


class Adam__torch__addcdiv(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (b1, b2), eps = group["betas"], group["eps"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state["t"], state["m"], state["v"] = 0, torch.zeros_like(p), torch.zeros_like(p)
                state["t"] += 1
                g = p.grad.add(p, alpha=group["weight_decay"])
                state["m"].lerp_(g, 1 - b1)
                state["v"].mul_(b2).addcmul_(g, g, value=1 - b2)
                root = state["v"].div(1 - b2 ** state["t"]).sqrt_().add_(eps)
                p.addcdiv_(state["m"], root, value=-group["lr"] / (1 - b1 ** state["t"]))


class Adam__torch__products(torch.optim.Optimizer):
    """Keeps the powers of the betas instead of a count."""

    def __init__(self, params, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                m, v, power1, power2 = self.state[p].get("all", (0.0, 0.0, 1.0, 1.0))
                g = p.grad + group["weight_decay"] * p
                m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g.square()
                power1, power2 = power1 * beta1, power2 * beta2
                self.state[p]["all"] = m, v, power1, power2
                p -= group["lr"] * m / (1 - power1) / (
                    torch.sqrt(v / (1 - power2)) + group["eps"])


class AdamW__torch__one_expression(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                t = state["t"] = state.get("t", 0) + 1
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * p.grad
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * p.grad**2
                adam = m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + group["eps"])
                p.copy_(p - group["lr"] * (adam + group["weight_decay"] * p))


class AdamW__torch__inherited(torch.optim.Adam):
    """PyTorch's Adam without decay, after the parameters have shrunk."""

    def __init__(self, params, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def step(self):
        decays = [group["weight_decay"] for group in self.param_groups]
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.mul_(1 - group["lr"] * group["weight_decay"])
        for group in self.param_groups:
            group["weight_decay"] = 0.0
        super().step()
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = decay


def parameter_groups__torch__named(model, *, weight_decay):
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    vectors = {name for name, p in trained.items() if len(p.shape) <= 1}
    return [
        {"params": [p for n, p in trained.items() if n not in vectors],
         "weight_decay": weight_decay},
        {"params": [trained[n] for n in trained if n in vectors], "weight_decay": 0.0},
    ]


def parameter_groups__torch__filter(model, *, weight_decay):
    trained = list(filter(lambda p: p.requires_grad, model.parameters()))
    return [
        {"weight_decay": weight_decay, "params": list(filter(lambda p: p.dim() > 1, trained))},
        {"weight_decay": 0, "params": list(filter(lambda p: p.dim() < 2, trained))},
    ]


def descent_path__torch__parameter(f, start, *, optimizer, steps, **options):
    w = nn.Parameter(start.detach().clone())
    rule = vars(torch.optim)[optimizer](params=[w], **options)
    path = torch.empty((steps + 1, *start.shape), dtype=start.dtype)
    path[0] = w.data
    for k in range(1, steps + 1):
        f(w).backward()
        rule.step()
        rule.zero_grad()
        path[k] = w.data
    return path


def descent_path__torch__explicit_gradient(f, start, *, optimizer, steps, **options):
    w = torch.empty_like(start, requires_grad=True)
    w.data.copy_(start.data)
    rule = getattr(torch.optim, optimizer)([{"params": w, **options}])
    path = [start.detach().clone()]
    for _ in range(steps):
        (w.grad,) = torch.autograd.grad(f(w), w)
        rule.step()
        path += [w.detach().clone()]
    return torch.stack(path)
