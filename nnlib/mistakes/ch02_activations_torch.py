"""Known mistakes of chapter 2's PyTorch exercises."""

import torch
from torch import nn

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- LearnableSwish


@mistake("LearnableSwish", hint="""
    `beta` is a plain tensor. `parameters()` doesn't list it, so no optimiser will train it. Wrap
    it in nn.Parameter.""")
class BetaIsNoParameter(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.beta = torch.ones(num_features)

    def forward(self, x):
        return x * torch.sigmoid(self.beta * x)


@mistake("LearnableSwish", hint="""
    `beta` multiplies the result. It belongs inside the sigmoid, where it makes the bend sharper
    or softer.""")
class BetaOutside(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(num_features))

    def forward(self, x):
        return self.beta * x * torch.sigmoid(x)


@mistake("LearnableSwish", hint="""
    `beta` starts at 0, where the function is a straight line, x / 2: the network would begin
    without any non-linearity. The docstring says where it starts.""", anchor="linear-collapse")
class BetaStartsAtZero(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(num_features))

    def forward(self, x):
        return x * torch.sigmoid(self.beta * x)


@mistake("LearnableSwish", hint="""
    There is one `beta` for all features. Each feature has its own: its shape is
    (num_features,).""")
class OneBetaForAll(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x * torch.sigmoid(self.beta * x)


@mistake("LearnableSwish", hint="""
    The values are right, but `beta` gets no gradient: `.detach()` and `.data` take it out of the
    graph. Use the parameter itself.""")
class BetaDetached(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(num_features))

    def forward(self, x):
        return x * torch.sigmoid(self.beta.detach() * x)


@mistake("LearnableSwish", hint="""
    The factor x is missing: this is a sigmoid with a slope. Swish is x times it.""")
class FactorXMissing(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(num_features))

    def forward(self, x):
        return torch.sigmoid(self.beta * x)


@mistake("LearnableSwish", hint="""
    You write into x. The gradient of `beta` needs the old x, so autograd refuses ("modified by an
    inplace operation"), and the caller's tensor is changed. Make a new tensor.""",
         anchor="in-place")
class InputOverwritten(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(num_features))

    def forward(self, x):
        x *= torch.sigmoid(self.beta * x)
        return x


@mistake("LearnableSwish", hint="""
    The values are right, but `beta` gets nan where beta * x is far below 0: there exp(-beta * x)
    is infinite, and its backward multiplies that by 0. torch.sigmoid is stable both ways.""",
         anchor="where-trap")
class ExponentialWrittenOut(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(num_features))

    def forward(self, x):
        return x / (1 + torch.exp(-self.beta * x))


# ---------------------------------------------------------------- stable_elu


@mistake("stable_elu", hint="""
    The values are right and the gradient is nan for large x. torch.where computes both branches,
    and in backward the one not taken gives 0 * inf. Keep its *input* in range, before the
    exponential.""")
def exponential_of_the_branch_not_taken(x, *, alpha=1.0):
    return torch.where(x > 0, x, alpha * (torch.exp(x) - 1))


@mistake("stable_elu", hint="""
    `alpha` plays no part: the negative side must approach -alpha, not -1.""", anchor="elu")
def alpha_ignored(x, *, alpha=1.0):
    return torch.where(x > 0, x, torch.expm1(x.clamp(max=0)))


@mistake("stable_elu", hint="""
    `alpha` stands in the exponent. It scales the negative side as a whole: the
    formula stands in the recall.""", anchor="elu")
def alpha_in_the_exponent(x, *, alpha=1.0):
    return torch.where(x > 0, x, torch.expm1(alpha * x.clamp(max=0)))


@mistake("stable_elu", hint="""
    The negative side ends at 0 on the left and jumps at x = 0: the -1 of exp(x) - 1 is
    missing.""", anchor="elu")
def minus_one_missing(x, *, alpha=1.0):
    return torch.where(x > 0, x, alpha * torch.exp(x.clamp(max=0)))


@mistake("stable_elu", hint="""
    Where x is negative no gradient comes back: the exponential is computed from a detached copy.
    Then ELU learns no better there than ReLU.""")
def negative_side_detached(x, *, alpha=1.0):
    return torch.where(x > 0, x, alpha * torch.expm1(x.detach().clamp(max=0)))


@mistake("stable_elu", hint="""
    You write into x. Autograd refuses that for a tensor that was given to you with
    requires_grad, and the caller still needs the old numbers. Make a new tensor.""",
         anchor="in-place")
def input_overwritten(x, *, alpha=1.0):
    x[x < 0] = alpha * torch.expm1(x[x < 0])
    return x


# ---------------------------------------------------------------- gradient_norms


@mistake("gradient_norms", hint="""
    The `.grad` of a value between two layers is None: backward fills it for leaves only. Ask for
    it with retain_grad() before the backward, or use torch.autograd.grad.""",
         anchor="gradient-hooks")
def grad_of_a_value_that_is_no_leaf(layers, x, dy):
    values = [x.detach().requires_grad_()]
    for layer in layers:
        values.append(layer(values[-1]))
    values[-1].backward(dy)
    return [value.grad.norm().item() for value in values[:-1]]


@mistake("gradient_norms", hint="""
    The list runs from the last layer to the first, in the order of the backward pass. The
    docstring asks for the first layer first.""")
def last_layer_first(layers, x, dy):
    values = [x.detach().requires_grad_()]
    for layer in layers:
        values.append(layer(values[-1]))
    grads = torch.autograd.grad(values[-1], values[:-1], dy)
    return [grad.norm().item() for grad in grads[::-1]]


@mistake("gradient_norms", hint="""
    You differentiate the sum of the outputs and leave `dy` out. With a softmax at the end that
    gradient is 0.""")
def upstream_of_ones(layers, x, dy):
    values = [x.detach().requires_grad_()]
    for layer in layers:
        values.append(layer(values[-1]))
    grads = torch.autograd.grad(values[-1].sum(), values[:-1])
    return [grad.norm().item() for grad in grads]


@mistake("gradient_norms", hint="""
    These are the gradients with respect to the *outputs* of the layers: the last one is the norm
    of `dy`, and the first layer's input is missing.""")
def outputs_of_the_layers(layers, x, dy):
    values = [x.detach().requires_grad_()]
    for layer in layers:
        values.append(layer(values[-1]))
    grads = torch.autograd.grad(values[-1], values[1:], dy)
    return [grad.norm().item() for grad in grads]


@mistake("gradient_norms", hint="""
    These are squared norms: the root of the sum of squares is missing.""")
def norms_squared(layers, x, dy):
    values = [x.detach().requires_grad_()]
    for layer in layers:
        values.append(layer(values[-1]))
    grads = torch.autograd.grad(values[-1], values[:-1], dy)
    return [grad.square().sum().item() for grad in grads]


@mistake("gradient_norms", hint="""
    Each value is detached before the next layer, so a gradient stops after one layer. The chain
    must stay connected from x to the output.""")
def chain_cut_between_layers(layers, x, dy):
    norms, value = [], x.detach()
    for layer in layers:
        leaf = value.detach().requires_grad_()
        value = layer(leaf)
        upstream = dy if layer is layers[-1] else torch.ones_like(value)
        norms.append(torch.autograd.grad(value, leaf, upstream)[0].norm().item())
    return norms


# ---------------------------------------------------------------- ActivityMonitor


@mistake("ActivityMonitor", hint="""
    `alive` is a plain attribute. It would not be saved with the model nor move to another device.
    Register it as a buffer.""")
class AliveIsNoBuffer(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.alive = torch.zeros(num_features, dtype=torch.bool)

    def forward(self, h):
        self.alive = self.alive | (h > 0).any(dim=0)
        return h

    def dead(self):
        return int((~self.alive).sum())

    def reset(self):
        self.alive = torch.zeros_like(self.alive)


@mistake("ActivityMonitor", hint="""
    Each batch overwrites what the earlier ones showed. A unit that fired once, in any batch, is
    alive.""")
class LastBatchOnly(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.register_buffer("alive", torch.zeros(num_features, dtype=torch.bool))

    def forward(self, h):
        self.alive = (h > 0).any(dim=0)
        return h

    def dead(self):
        return int((~self.alive).sum())

    def reset(self):
        self.alive = torch.zeros_like(self.alive)


@mistake("ActivityMonitor", hint="""
    You call a unit alive only if it fires for *every* row of a batch. One row is enough: a dead
    unit is silent for all of them.""")
class EveryRowMustFire(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.register_buffer("alive", torch.zeros(num_features, dtype=torch.bool))

    def forward(self, h):
        self.alive |= (h > 0).all(dim=0)
        return h

    def dead(self):
        return int((~self.alive).sum())

    def reset(self):
        self.alive.zero_()


@mistake("ActivityMonitor", hint="""
    `dead()` counts the units that are alive.""")
class AliveCounted(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.register_buffer("alive", torch.zeros(num_features, dtype=torch.bool))

    def forward(self, h):
        self.alive |= (h > 0).any(dim=0)
        return h

    def dead(self):
        return int(self.alive.sum())

    def reset(self):
        self.alive.zero_()


@mistake("ActivityMonitor", hint="""
    You ask whether an output differs from 0. The outputs of a leaky ReLU are negative on its
    small slope; only a positive one counts as active here.""")
class NegativeCountsAsActive(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.register_buffer("alive", torch.zeros(num_features, dtype=torch.bool))

    def forward(self, h):
        self.alive |= (h != 0).any(dim=0)
        return h

    def dead(self):
        return int((~self.alive).sum())

    def reset(self):
        self.alive.zero_()


@mistake("ActivityMonitor", hint="""
    The output is detached: no gradient passes the monitor any more, and the layers below would
    stop learning. Detach what you look at, never what you hand on.""")
class OutputDetached(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.register_buffer("alive", torch.zeros(num_features, dtype=torch.bool))

    def forward(self, h):
        h = h.detach()
        self.alive |= (h > 0).any(dim=0)
        return h

    def dead(self):
        return int((~self.alive).sum())

    def reset(self):
        self.alive.zero_()


@mistake("ActivityMonitor", hint="""
    `reset` sets every unit to alive. After it nothing has been seen, so no unit has fired yet.""")
class ResetToAlive(nn.Module):
    def __init__(self, num_features):
        super().__init__()
        self.register_buffer("alive", torch.zeros(num_features, dtype=torch.bool))

    def forward(self, h):
        self.alive |= (h > 0).any(dim=0)
        return h

    def dead(self):
        return int((~self.alive).sum())

    def reset(self):
        self.alive.fill_(True)


# ---------------------------------------------------------------- log_probability


@mistake("log_probability", hint="""
    A probability that rounds to 0 has the logarithm -inf, and nan as gradient. Take softmax and
    logarithm in one step; PyTorch has a function for the two.""")
def logarithm_of_softmax(scores, labels):
    p = torch.softmax(scores, dim=1)
    return torch.log(p).gather(1, labels.unsqueeze(1)).squeeze(1)


@mistake("log_probability", hint="""
    You normalise over the last axis. With images that is the width; the classes are axis 1.""",
         anchor="softmax-axis")
def over_the_last_axis(scores, labels):
    logs = torch.log_softmax(scores, dim=-1)
    return logs.gather(1, labels.unsqueeze(1)).squeeze(1)


@mistake("log_probability", hint="""
    You normalise over axis 0: the examples of the batch compete with each other. The classes are
    axis 1.""", anchor="softmax-axis")
def over_the_batch(scores, labels):
    logs = torch.log_softmax(scores, dim=0)
    return logs.gather(1, labels.unsqueeze(1)).squeeze(1)


@mistake("log_probability", hint="""
    The sign is turned: this is the loss, minus the log-probability. A logarithm of a probability
    is at most 0.""")
def loss_returned(scores, labels):
    return nn.functional.cross_entropy(scores, labels, reduction="none")


@mistake("log_probability", hint="""
    These are probabilities, not their logarithms.""")
def logarithm_missing(scores, labels):
    return torch.softmax(scores, dim=1).gather(1, labels.unsqueeze(1)).squeeze(1)


@mistake("log_probability", hint="""
    You return the scores of the labels as they came. Without the log of the row's sum they are
    no log-probabilities.""")
def not_normalised(scores, labels):
    return scores.gather(1, labels.unsqueeze(1)).squeeze(1)


@mistake("log_probability", hint="""
    An axis of size 1 is left over: the result must have the shape of `labels`.""")
def axis_left_over(scores, labels):
    return torch.log_softmax(scores, dim=1).gather(1, labels.unsqueeze(1))
