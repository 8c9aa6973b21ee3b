"""Known mistakes of chapter 8's PyTorch exercises: momentum, groups of parameters, the loop."""

import torch

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- Momentum


@mistake("Momentum", hint="""
    The step is not wrapped in `torch.no_grad()`. Autograd wants to record your update, and refuses
    to change a leaf that requires gradients in place.""")
class StepRecordedByAutograd(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, momentum=0.9, nesterov=False):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                v = state["v"] = group["momentum"] * state.get("v", 0) + p.grad
                if group["nesterov"]:
                    v = p.grad + group["momentum"] * v
                p -= group["lr"] * v


@mistake("Momentum", hint="""
    `p = p - ...` makes a new tensor and calls it p. The model still holds the old one, which has
    not moved. Change the parameter in place.""")
class NameRebound(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, momentum=0.9, nesterov=False):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                v = state["v"] = group["momentum"] * state.get("v", 0) + p.grad
                if group["nesterov"]:
                    v = p.grad + group["momentum"] * v
                p = p - group["lr"] * v


@mistake("Momentum", hint="""
    The velocity is computed and then forgotten: each step starts again from 0, and that is plain
    descent. Keep it in `self.state[p]`.""", anchor="optimizer-state")
class VelocityForgotten(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, momentum=0.9, nesterov=False):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                v = group["momentum"] * self.state[p].get("v", 0) + p.grad
                if group["nesterov"]:
                    v = p.grad + group["momentum"] * v
                p -= group["lr"] * v


@mistake("Momentum", hint="""
    All parameters share one velocity. Where the shapes agree they push each other around, where
    they don't you see an error. Each parameter has a state of its own: `self.state[p]`.""",
         anchor="optimizer-state")
class OneVelocityForAll(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, momentum=0.9, nesterov=False):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})
        self.velocity = 0

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                v = self.velocity = group["momentum"] * self.velocity + p.grad
                if group["nesterov"]:
                    v = p.grad + group["momentum"] * v
                p -= group["lr"] * v


@mistake("Momentum", hint="""
    The velocity gathers gradients with a minus and is then subtracted: two minus signs, and the
    parameters climb. Turn one of them.""", anchor="momentum")
class SignOfTheVelocity(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, momentum=0.9, nesterov=False):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                v = state["v"] = group["momentum"] * state.get("v", 0) - p.grad
                if group["nesterov"]:
                    v = group["momentum"] * v - p.grad
                p -= group["lr"] * v


@mistake("Momentum", hint="""
    The gradient enters the velocity with the share 1 - momentum. That is a running mean; here, as
    in `torch.optim.SGD`, it enters whole.""", anchor="effective-step")
class VelocityIsAMean(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, momentum=0.9, nesterov=False):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state, g = self.state[p], (1 - group["momentum"]) * p.grad
                v = state["v"] = group["momentum"] * state.get("v", 0) + g
                if group["nesterov"]:
                    v = g + group["momentum"] * v
                p -= group["lr"] * v


@mistake("Momentum", hint="""
    You read the options from `self.defaults`. Those are what the class was built with; a group may
    bring options of its own. Read them from the group.""", anchor="parameter-groups")
class GroupsIgnored(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, momentum=0.9, nesterov=False):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})

    @torch.no_grad()
    def step(self):
        options = self.defaults
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                v = state["v"] = options["momentum"] * state.get("v", 0) + p.grad
                if options["nesterov"]:
                    v = p.grad + options["momentum"] * v
                p -= options["lr"] * v


@mistake("Momentum", hint="""
    A parameter without a gradient has `p.grad` None, for example after `zero_grad()` or where it
    took no part in the loss. Leave it alone, its state included.""")
class MissingGradientNotSkipped(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, momentum=0.9, nesterov=False):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                v = state["v"] = group["momentum"] * state.get("v", 0) + p.grad
                if group["nesterov"]:
                    v = p.grad + group["momentum"] * v
                p -= group["lr"] * v


@mistake("Momentum", hint="""
    Right without Nesterov; with it nothing changes. The direction of the step is then another,
    while the velocity stays as it is.""", anchor="nesterov")
class NesterovIgnored(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, *, momentum=0.9, nesterov=False):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                state["v"] = group["momentum"] * state.get("v", 0) + p.grad
                p -= group["lr"] * state["v"]


# ---------------------------------------------------------------- parameter_groups


@mistake("parameter_groups", hint="""
    Everything decays, biases and the factors of normalization too. They hold few numbers and set
    scales and thresholds; pulling them to 0 does harm and prevents nothing.""")
def everything_decays(model, *, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [{"params": trained, "weight_decay": weight_decay}, {"params": [], "weight_decay": 0.0}]


@mistake("parameter_groups", hint="""
    You go by the name "bias". The factors of a normalization are called "weight", and a model may
    call its vectors anything. Look at the number of axes.""")
def chosen_by_the_name(model, *, weight_decay):
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [{"params": [p for n, p in trained if "bias" not in n], "weight_decay": weight_decay},
            {"params": [p for n, p in trained if "bias" in n], "weight_decay": 0.0}]


@mistake("parameter_groups", hint="""
    The two groups are swapped: your vectors decay and your matrices don't.""")
def groups_swapped(model, *, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [{"params": [p for p in trained if p.ndim < 2], "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": 0.0}]


@mistake("parameter_groups", hint="""
    Parameters that do not require gradients are in your groups. Someone froze them; leave them
    out, so that the optimizer does not even hold them.""")
def frozen_included(model, *, weight_decay):
    every = list(model.parameters())
    return [{"params": [p for p in every if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in every if p.ndim < 2], "weight_decay": 0.0}]


@mistake("parameter_groups", hint="""
    The second group states no decay. It then gets the optimizer's default, which for AdamW is not
    0. Write the 0 down.""")
def zero_not_stated(model, *, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [{"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim < 2]}]


@mistake("parameter_groups", hint="""
    Filters of a convolution have four axes, and you ask for exactly two. They are weights like
    those of a linear layer, and decay.""")
def exactly_two_axes(model, *, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [{"params": [p for p in trained if p.ndim == 2], "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim != 2], "weight_decay": 0.0}]


# ---------------------------------------------------------------- descent_path


@mistake("descent_path", hint="""
    The gradients are never cleared, so each step uses the sum of all gradients so far. It looks
    like a momentum that forgets nothing.""", anchor="optimizer-failures")
def gradients_not_cleared(f, start, *, optimizer, steps, **options):
    w = start.detach().clone().requires_grad_()
    rule = getattr(torch.optim, optimizer)([w], **options)
    path = [w.detach().clone()]
    for _ in range(steps):
        f(w).backward()
        rule.step()
        path.append(w.detach().clone())
    return torch.stack(path)


@mistake("descent_path", hint="""
    Every row of your path is the last point. You stored the same tensor again and again, and the
    optimizer changed it afterwards. Store a copy.""")
def same_tensor_stored(f, start, *, optimizer, steps, **options):
    w = start.detach().clone().requires_grad_()
    rule = getattr(torch.optim, optimizer)([w], **options)
    path = [w.detach()]
    for _ in range(steps):
        rule.zero_grad()
        f(w).backward()
        rule.step()
        path.append(w.detach())
    return torch.stack(path)


@mistake("descent_path", hint="""
    A new optimizer is made for every step. Its memory starts at 0 each time: momentum never builds
    up, and Adam takes its first step again and again.""", anchor="optimizer-state")
def optimizer_made_anew(f, start, *, optimizer, steps, **options):
    w = start.detach().clone().requires_grad_()
    path = [w.detach().clone()]
    for _ in range(steps):
        rule = getattr(torch.optim, optimizer)([w], **options)
        rule.zero_grad()
        f(w).backward()
        rule.step()
        path.append(w.detach().clone())
    return torch.stack(path)


@mistake("descent_path", hint="""
    The optimizer works on the caller's tensor: after the call, `start` is the end. `detach()`
    alone shares its memory; make a copy first.""")
def start_moved(f, start, *, optimizer, steps, **options):
    w = start.detach().requires_grad_()
    rule = getattr(torch.optim, optimizer)([w], **options)
    path = [w.detach().clone()]
    for _ in range(steps):
        rule.zero_grad()
        f(w).backward()
        rule.step()
        path.append(w.detach().clone())
    return torch.stack(path)


@mistake("descent_path", hint="""
    The start is missing. A path of so many steps has one point more than steps.""")
def start_missing(f, start, *, optimizer, steps, **options):
    w = start.detach().clone().requires_grad_()
    rule = getattr(torch.optim, optimizer)([w], **options)
    path = []
    for _ in range(steps):
        rule.zero_grad()
        f(w).backward()
        rule.step()
        path.append(w.detach().clone())
    return torch.stack(path) if path else w.detach().new_zeros((0, *w.shape))


@mistake("descent_path", hint="""
    The path still hangs on autograd's graph: `clone()` is recorded like any operation. Detach each
    point that you store.""")
def path_keeps_the_graph(f, start, *, optimizer, steps, **options):
    w = start.detach().clone().requires_grad_()
    rule = getattr(torch.optim, optimizer)([w], **options)
    path = [w.clone()]
    for _ in range(steps):
        rule.zero_grad()
        f(w).backward()
        rule.step()
        path.append(w.clone())
    return torch.stack(path)


@mistake("descent_path", hint="""
    The gradients are cleared between `backward()` and `step()`. Nothing is left to step along, and
    the path stays where it started.""", anchor="optimizer-failures")
def cleared_before_the_step(f, start, *, optimizer, steps, **options):
    w = start.detach().clone().requires_grad_()
    rule = getattr(torch.optim, optimizer)([w], **options)
    path = [w.detach().clone()]
    for _ in range(steps):
        f(w).backward()
        rule.zero_grad()
        rule.step()
        path.append(w.detach().clone())
    return torch.stack(path)
