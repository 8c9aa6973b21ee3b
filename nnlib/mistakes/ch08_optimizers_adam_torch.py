"""Known mistakes of chapter 8's PyTorch exercises: Adam and AdamW as optimizers."""

import torch

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- Adam


@mistake("Adam", hint="""
    The bias correction is missing. Both means start at 0 and are too small at first, the one under
    the root more so: the early steps become several times too long.""", anchor="bias-correction")
class NoCorrection(torch.optim.Optimizer):
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
                state, g = self.state[p], p.grad + group["weight_decay"] * p
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                p -= group["lr"] * m / (v.sqrt() + group["eps"])


@mistake("Adam", hint="""
    Your count is still 0 in the first step, and 1 - beta**0 is 0: a division by zero. Raise it
    before you use it.""", anchor="bias-correction")
class CountRaisedTooLate(torch.optim.Optimizer):
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
                state, g = self.state[p], p.grad + group["weight_decay"] * p
                t = state.get("t", torch.zeros(()))
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                p -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])
                state["t"] = t + 1


@mistake("Adam", hint="""
    One count serves all parameters and grows with each of them: the second is corrected as if it
    were at its next step. Keep a count in the state of each parameter.""",
         anchor="optimizer-state")
class CountSharedByParameters(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)
        self.t = 0

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                self.t += 1
                state, g = self.state[p], p.grad + group["weight_decay"] * p
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**self.t), v / (1 - beta2**self.t)
                p -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])


@mistake("Adam", hint="""
    You count calls of `step`. A parameter whose gradients come later has then means that are young
    and a count that is old, and is corrected too little. Count in the state of each parameter.""",
         anchor="optimizer-state")
class CallsCounted(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)
        self.t = 0

    @torch.no_grad()
    def step(self):
        self.t += 1
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state, g = self.state[p], p.grad + group["weight_decay"] * p
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**self.t), v / (1 - beta2**self.t)
                p -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])


@mistake("Adam", hint="""
    All parameters share the same two means. Where the shapes agree they mix, where they don't you
    see an error. Keep them in `self.state[p]`, one state for each parameter.""",
         anchor="optimizer-state")
class MeansSharedByParameters(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)
        self.m, self.v, self.t = 0, 0, 0

    @torch.no_grad()
    def step(self):
        self.t += 1
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                g = p.grad + group["weight_decay"] * p
                self.m = beta1 * self.m + (1 - beta1) * g
                self.v = beta2 * self.v + (1 - beta2) * g**2
                m_hat, v_hat = self.m / (1 - beta1**self.t), self.v / (1 - beta2**self.t)
                p -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])


@mistake("Adam", hint="""
    Your epsilon stands inside the root. There 1e-8 counts as 1e-4, ten thousand times as much. It
    belongs outside.""", anchor="epsilon")
class EpsilonInside(torch.optim.Optimizer):
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
                state, g = self.state[p], p.grad + group["weight_decay"] * p
                t = state["t"] = state.get("t", 0) + 1
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                p -= group["lr"] * m_hat / (v_hat + group["eps"]).sqrt()


@mistake("Adam", hint="""
    The options come from `self.defaults`. A group may bring its own learning rate, betas, epsilon
    and decay: read them from the group, each time.""", anchor="parameter-groups")
class DefaultsForAllGroups(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self):
        beta1, beta2 = self.defaults["betas"]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state, g = self.state[p], p.grad + self.defaults["weight_decay"] * p
                t = state["t"] = state.get("t", 0) + 1
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                p -= self.defaults["lr"] * m_hat / (v_hat.sqrt() + self.defaults["eps"])


@mistake("Adam", hint="""
    The weight decay shrinks the parameter directly. That is AdamW. In `torch.optim.Adam` it is
    added to the gradient before the means see it.""", anchor="adamw")
class DecayDecoupled(torch.optim.Optimizer):
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
                state, g = self.state[p], p.grad
                t = state["t"] = state.get("t", 0) + 1
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                p *= 1 - group["lr"] * group["weight_decay"]
                p -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])


# ---------------------------------------------------------------- AdamW


@mistake("AdamW", hint="""
    The decay is coupled: it is added to the gradient, goes through the means and is divided by the
    root, so that weights with large gradients hardly decay. In AdamW it acts on the parameter
    itself.""")
class DecayCoupled(torch.optim.Optimizer):
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
                state, g = self.state[p], p.grad + group["weight_decay"] * p
                t = state["t"] = state.get("t", 0) + 1
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                p -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])


@mistake("AdamW", hint="""
    The decay is not multiplied by the learning rate. A schedule that lowers the rate would then
    not lower the decay, and 0.01 would take one per cent of each weight in every step.""")
class DecayWithoutTheRate(torch.optim.Optimizer):
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
                state, g = self.state[p], p.grad
                t = state["t"] = state.get("t", 0) + 1
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                p *= 1 - group["weight_decay"]
                p -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])


@mistake("AdamW", hint="""
    You take Adam's step first and then shrink the result, the step included. The decay refers to
    the parameter as it was before.""")
class StepShrunkToo(torch.optim.Optimizer):
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
                state, g = self.state[p], p.grad
                t = state["t"] = state.get("t", 0) + 1
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                p -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])
                p *= 1 - group["lr"] * group["weight_decay"]


@mistake("AdamW", hint="""
    A parameter without a gradient is shrunk all the same. `torch.optim.AdamW` leaves it alone
    altogether: it took no part in the loss.""", anchor="optimizers-pytorch")
class DecayWithoutGradient(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                p *= 1 - group["lr"] * group["weight_decay"]
                if p.grad is None:
                    continue
                state, g = self.state[p], p.grad
                t = state["t"] = state.get("t", 0) + 1
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                p -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])


@mistake("AdamW", hint="""
    The decay of all groups is the one that the class was built with. A group that states its own,
    such as 0 for biases, must get it.""", anchor="parameter-groups")
class OneDecayForAllGroups(torch.optim.Optimizer):
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
                state, g = self.state[p], p.grad
                t = state["t"] = state.get("t", 0) + 1
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                p *= 1 - group["lr"] * self.defaults["weight_decay"]
                p -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])


@mistake("AdamW", hint="""
    The decay is right, but the bias correction is missing. The means start at 0 as in Adam and are
    corrected in the same way.""", anchor="bias-correction")
class DecoupledUncorrected(torch.optim.Optimizer):
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
                state, g = self.state[p], p.grad
                m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
                p *= 1 - group["lr"] * group["weight_decay"]
                p -= group["lr"] * m / (v.sqrt() + group["eps"])
