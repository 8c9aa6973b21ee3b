"""Known mistakes of chapter 1 in PyTorch, continued: XorNet and training with autograd."""

import torch
from torch import nn

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- XorNet


@mistake("XorNet", anchor="neuron-pytorch", hint="""
    It works in float32 only: the weights are plain attributes, so double(), to(device) and
    state_dict() pass them by. Register them as buffers.""")
class XorWithPlainAttributes(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.tensor([[1.0, -1.0], [1.0, -1.0]])
        self.b = torch.tensor([-0.5, 1.5])
        self.v = torch.tensor([1.0, 1.0])

    def forward(self, x):
        h = (x @ self.w + self.b >= 0).to(x.dtype)
        return (h @ self.v - 1.5 >= 0).to(x.dtype)


@mistake("XorNet", anchor="neuron-pytorch", hint="""
    The outputs are right, but the weights are parameters, so an optimiser would change them.
    Fixed numbers are buffers (or parameters with requires_grad=False).""")
class XorWithTrainableWeights(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[1.0, -1.0], [1.0, -1.0]]))
        self.b = nn.Parameter(torch.tensor([-0.5, 1.5]))
        self.v = nn.Parameter(torch.tensor([1.0, 1.0]))

    def forward(self, x):
        h = (x @ self.w + self.b >= 0).to(x.dtype)
        return (h @ self.v - 1.5 >= 0).to(x.dtype)


@mistake("XorNet", hint="""
    Your network computes OR: it also fires for (1, 1). One hidden neuron must fall silent
    there.""")
class XorThatIsOr(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("w", torch.ones(2, 2))
        self.register_buffer("b", torch.tensor([-0.5, -0.5]))

    def forward(self, x):
        h = (x @ self.w + self.b >= 0).to(x.dtype)
        return (h.sum(dim=1) - 1.5 >= 0).to(x.dtype)


@mistake("XorNet", hint="""
    The output is always 0, as happens when the hidden sums go on without their step. Turn them
    into 0 or 1 first.""")
class XorWithoutHiddenStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("w", torch.tensor([[1.0, -1.0], [1.0, -1.0]]))
        self.register_buffer("b", torch.tensor([-0.5, 1.5]))

    def forward(self, x):
        h = x @ self.w + self.b
        return (h.sum(dim=1) - 1.5 >= 0).to(x.dtype)


@mistake("XorNet", hint="""
    The output is always 1. OR and NAND are each right in three rows: the output neuron must ask
    for both, not for one of them.""")
class XorWithOrAtTheEnd(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("w", torch.tensor([[1.0, -1.0], [1.0, -1.0]]))
        self.register_buffer("b", torch.tensor([-0.5, 1.5]))

    def forward(self, x):
        h = (x @ self.w + self.b >= 0).to(x.dtype)
        return (h.sum(dim=1) - 0.5 >= 0).to(x.dtype)


@mistake("XorNet", hint="""
    Every output is turned round: you compute "both or neither". Look at the output neuron.""")
class XorTurnedRound(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("w", torch.tensor([[1.0, -1.0], [1.0, -1.0]]))
        self.register_buffer("b", torch.tensor([-0.5, 1.5]))

    def forward(self, x):
        h = (x @ self.w + self.b >= 0).to(x.dtype)
        return (1.5 - h.sum(dim=1) >= 0).to(x.dtype)


# ---------------------------------------------------------------- train_logistic_neuron


@mistake("train_logistic_neuron", hint="""
    The first step is right, the later ones are too long: backward() adds to .grad. Empty it
    before each step.""")
def gradients_never_reset(x, t, *, steps, learning_rate):
    w = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    b = torch.zeros((), dtype=x.dtype, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = nn.functional.binary_cross_entropy_with_logits(x @ w + b, t.to(x.dtype))
        loss.backward()
        with torch.no_grad():
            w -= learning_rate * w.grad
            b -= learning_rate * b.grad
        losses.append(loss.item())
    return w.detach(), b.detach(), losses


@mistake("train_logistic_neuron", hint="""
    The bias stays at 0. It is a parameter like the weights: it needs a gradient and a step.""")
def bias_not_trained(x, t, *, steps, learning_rate):
    w = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = nn.functional.binary_cross_entropy_with_logits(x @ w, t.to(x.dtype))
        (dw,) = torch.autograd.grad(loss, (w,))
        with torch.no_grad():
            w -= learning_rate * dw
        losses.append(loss.item())
    return w.detach(), torch.zeros((), dtype=x.dtype), losses


@mistake("train_logistic_neuron", hint="""
    The loss is n times too large: you sum over the rows where the docstring asks for the mean,
    so every step is n times too long as well.""")
def loss_summed(x, t, *, steps, learning_rate):
    w = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    b = torch.zeros((), dtype=x.dtype, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = nn.functional.binary_cross_entropy_with_logits(
            x @ w + b, t.to(x.dtype), reduction="sum")
        dw, db = torch.autograd.grad(loss, (w, b))
        with torch.no_grad():
            w -= learning_rate * dw
            b -= learning_rate * db
        losses.append(loss.item())
    return w.detach(), b.detach(), losses


@mistake("train_logistic_neuron", hint="""
    The loss rises: you step along the gradient, which points uphill. Subtract it.""")
def steps_uphill(x, t, *, steps, learning_rate):
    w = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    b = torch.zeros((), dtype=x.dtype, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = nn.functional.binary_cross_entropy_with_logits(x @ w + b, t.to(x.dtype))
        dw, db = torch.autograd.grad(loss, (w, b))
        with torch.no_grad():
            w += learning_rate * dw
            b += learning_rate * db
        losses.append(loss.item())
    return w.detach(), b.detach(), losses


@mistake("train_logistic_neuron", hint="""
    The sigmoid acts twice: binary_cross_entropy_with_logits applies it itself and wants the
    weighted sum.""")
def sigmoid_applied_twice(x, t, *, steps, learning_rate):
    w = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    b = torch.zeros((), dtype=x.dtype, requires_grad=True)
    losses = []
    for _ in range(steps):
        p = torch.sigmoid(x @ w + b)
        loss = nn.functional.binary_cross_entropy_with_logits(p, t.to(x.dtype))
        dw, db = torch.autograd.grad(loss, (w, b))
        with torch.no_grad():
            w -= learning_rate * dw
            b -= learning_rate * db
        losses.append(loss.item())
    return w.detach(), b.detach(), losses


@mistake("train_logistic_neuron", hint="""
    Both w and b are right; losses holds each loss after its update. The docstring asks for the loss
    before it, so the first entry is log 2.""")
def losses_after_the_update(x, t, *, steps, learning_rate):
    w = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    b = torch.zeros((), dtype=x.dtype, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = nn.functional.binary_cross_entropy_with_logits(x @ w + b, t.to(x.dtype))
        dw, db = torch.autograd.grad(loss, (w, b))
        with torch.no_grad():
            w -= learning_rate * dw
            b -= learning_rate * db
            after = nn.functional.binary_cross_entropy_with_logits(x @ w + b, t.to(x.dtype))
        losses.append(after.item())
    return w.detach(), b.detach(), losses


@mistake("train_logistic_neuron", hint="""
    You minimise the squared error of the probabilities. The docstring asks for the binary
    cross-entropy.""")
def squared_error_minimised(x, t, *, steps, learning_rate):
    w = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    b = torch.zeros((), dtype=x.dtype, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = ((torch.sigmoid(x @ w + b) - t.to(x.dtype)) ** 2).mean()
        dw, db = torch.autograd.grad(loss, (w, b))
        with torch.no_grad():
            w -= learning_rate * dw
            b -= learning_rate * db
        losses.append(loss.item())
    return w.detach(), b.detach(), losses
