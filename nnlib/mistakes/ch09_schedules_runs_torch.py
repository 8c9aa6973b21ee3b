"""Known mistakes of chapter 9's PyTorch exercises: the range test and resuming."""

import torch
from torch import nn
from torch.optim import lr_scheduler

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- learning_rate_range_test


@mistake("learning_rate_range_test", hint="""
    The model is left as the test has made it, usually ruined. Load a copy of its state back at the
    end; `state_dict()` alone is no copy, it holds the very tensors that training changes.""")
def model_left_ruined(model, batches, loss_fn, *, low, high):
    optimizer = torch.optim.SGD(model.parameters(), lr=low)
    scheduler = lr_scheduler.ExponentialLR(optimizer, (high / low) ** (1 / (len(batches) - 1)))
    rates, losses = [], []
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        if not torch.isfinite(loss):
            break
        rates.append(scheduler.get_last_lr()[0])
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        scheduler.step()
    return rates, losses


@mistake("learning_rate_range_test", hint="""
    The parameters are restored, the buffers are not: the running statistics of batch normalization
    have seen the test. `state_dict()` holds both.""")
def buffers_not_restored(model, batches, loss_fn, *, low, high):
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=low)
    scheduler = lr_scheduler.ExponentialLR(optimizer, (high / low) ** (1 / (len(batches) - 1)))
    rates, losses = [], []
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        if not torch.isfinite(loss):
            break
        rates.append(scheduler.get_last_lr()[0])
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        for p, value in zip(model.parameters(), before, strict=True):
            p.copy_(value)
    return rates, losses


@mistake("learning_rate_range_test", hint="""
    The rates lie equally far apart, so nearly all are large. Each should be the same *factor*
    larger than the one before.""")
def rates_equally_far_apart(model, batches, loss_fn, *, low, high):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=low)
    rates, losses = [], []
    linear = torch.linspace(low, high, len(batches)).tolist()
    for rate, (x, y) in zip(linear, batches, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        if not torch.isfinite(loss):
            break
        rates.append(rate)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    model.load_state_dict(before)
    return rates, losses


@mistake("learning_rate_range_test", hint="""
    The last rate falls short of `high`. Between n batches there are n - 1 factors.""")
def last_rate_missing(model, batches, loss_fn, *, low, high):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=low)
    scheduler = lr_scheduler.ExponentialLR(optimizer, (high / low) ** (1 / len(batches)))
    rates, losses = [], []
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        if not torch.isfinite(loss):
            break
        rates.append(scheduler.get_last_lr()[0])
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        scheduler.step()
    model.load_state_dict(before)
    return rates, losses


@mistake("learning_rate_range_test", hint="""
    The test goes on after a loss that is not finite and records it. Nothing after it means
    anything: stop before you record.""")
def nan_recorded(model, batches, loss_fn, *, low, high):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=low)
    scheduler = lr_scheduler.ExponentialLR(optimizer, (high / low) ** (1 / (len(batches) - 1)))
    rates, losses = [], []
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        rates.append(scheduler.get_last_lr()[0])
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        scheduler.step()
    model.load_state_dict(before)
    return rates, losses


@mistake("learning_rate_range_test", hint="""
    You record the loss after the update, on the batch that was just fitted: it looks better than
    it is. Record the loss that gave the gradient, before the step.""")
def loss_after_the_update(model, batches, loss_fn, *, low, high):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=low)
    scheduler = lr_scheduler.ExponentialLR(optimizer, (high / low) ** (1 / (len(batches) - 1)))
    rates, losses = [], []
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        if not torch.isfinite(loss):
            break
        rates.append(scheduler.get_last_lr()[0])
        loss.backward()
        optimizer.step()
        losses.append(loss_fn(model(x), y).item())
        scheduler.step()
    model.load_state_dict(before)
    return rates, losses


# ---------------------------------------------------------------- ResumableRun


@mistake("ResumableRun", hint="""
    After resuming, the schedule begins anew: the scheduler's state is missing. Save and load the
    `state_dict()` of the scheduler too.""")
class SchedulerForgotten:
    def __init__(self, w, *, learning_rate, total_steps):
        self.w = w.detach().clone().requires_grad_()
        self.optimizer = torch.optim.SGD([self.w], lr=learning_rate, momentum=0.9)
        self.scheduler = lr_scheduler.CosineAnnealingLR(self.optimizer, total_steps)

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(x @ self.w, y)
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    def learning_rate(self):
        return self.scheduler.get_last_lr()[0]

    def weights(self):
        return self.w.detach().clone()

    def state_dict(self):
        return {"w": self.weights(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        with torch.no_grad():
            self.w.copy_(state["w"])
        self.optimizer.load_state_dict(state["optimizer"])


@mistake("ResumableRun", hint="""
    Rates are right, but after resuming the weights drift apart from the uninterrupted run: the
    optimizer's memory, here the momentum, starts from zero. Save its `state_dict()` too.""")
class OptimizerForgotten:
    def __init__(self, w, *, learning_rate, total_steps):
        self.w = w.detach().clone().requires_grad_()
        self.optimizer = torch.optim.SGD([self.w], lr=learning_rate, momentum=0.9)
        self.scheduler = lr_scheduler.CosineAnnealingLR(self.optimizer, total_steps)

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(x @ self.w, y)
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    def learning_rate(self):
        return self.scheduler.get_last_lr()[0]

    def weights(self):
        return self.w.detach().clone()

    def state_dict(self):
        return {"w": self.weights(), "scheduler": self.scheduler.state_dict(),
                "lr": self.learning_rate()}

    def load_state_dict(self, state):
        with torch.no_grad():
            self.w.copy_(state["w"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.optimizer.param_groups[0]["lr"] = state["lr"]


@mistake("ResumableRun", hint="""
    The new run keeps the weights that it was made with: `load_state_dict` leaves them out.""")
class WeightsForgotten:
    def __init__(self, w, *, learning_rate, total_steps):
        self.w = w.detach().clone().requires_grad_()
        self.optimizer = torch.optim.SGD([self.w], lr=learning_rate, momentum=0.9)
        self.scheduler = lr_scheduler.CosineAnnealingLR(self.optimizer, total_steps)

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(x @ self.w, y)
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    def learning_rate(self):
        return self.scheduler.get_last_lr()[0]

    def weights(self):
        return self.w.detach().clone()

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])


@mistake("ResumableRun", hint="""
    After loading, the weights stand still: you put a new tensor in the place of the parameter, and
    the optimizer goes on changing the old one. Copy the numbers *into* the parameter.""")
class ParameterReplaced:
    def __init__(self, w, *, learning_rate, total_steps):
        self.w = w.detach().clone().requires_grad_()
        self.optimizer = torch.optim.SGD([self.w], lr=learning_rate, momentum=0.9)
        self.scheduler = lr_scheduler.CosineAnnealingLR(self.optimizer, total_steps)

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(x @ self.w, y)
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    def learning_rate(self):
        return self.scheduler.get_last_lr()[0]

    def weights(self):
        return self.w.detach().clone()

    def state_dict(self):
        return {"w": self.weights(), "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state):
        self.w = state["w"].clone().requires_grad_()
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])


@mistake("ResumableRun", hint="""
    The optimizer itself stands in the state, not its `state_dict()`. Such a file needs pickle to
    load, breaks with the next version, and can run code: save plain data and tensors.""")
class OptimizerItselfSaved:
    def __init__(self, w, *, learning_rate, total_steps):
        self.w = w.detach().clone().requires_grad_()
        self.optimizer = torch.optim.SGD([self.w], lr=learning_rate, momentum=0.9)
        self.scheduler = lr_scheduler.CosineAnnealingLR(self.optimizer, total_steps)

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(x @ self.w, y)
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    def learning_rate(self):
        return self.scheduler.get_last_lr()[0]

    def weights(self):
        return self.w.detach().clone()

    def state_dict(self):
        return {"w": self.weights(), "optimizer": self.optimizer,
                "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state):
        with torch.no_grad():
            self.w.copy_(state["w"])
        self.optimizer.load_state_dict(state["optimizer"].state_dict())
        self.scheduler.load_state_dict(state["scheduler"])


@mistake("ResumableRun", anchor="schedules-pytorch", hint="""
    The scheduler steps before the optimizer, so the rate of step 0 is never used. First
    `optimizer.step()`, then `scheduler.step()`.""")
class SchedulerBeforeOptimizer:
    def __init__(self, w, *, learning_rate, total_steps):
        self.w = w.detach().clone().requires_grad_()
        self.optimizer = torch.optim.SGD([self.w], lr=learning_rate, momentum=0.9)
        self.scheduler = lr_scheduler.CosineAnnealingLR(self.optimizer, total_steps)

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(x @ self.w, y)
        loss.backward()
        self.scheduler.step()
        self.optimizer.step()
        return loss.item()

    def learning_rate(self):
        return self.scheduler.get_last_lr()[0]

    def weights(self):
        return self.w.detach().clone()

    def state_dict(self):
        return {"w": self.weights(), "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state):
        with torch.no_grad():
            self.w.copy_(state["w"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
