"""Known mistakes of chapter 9's PyTorch exercises: schedules, clipping, groups, a range test."""

import torch
from torch import nn
from torch.optim import lr_scheduler

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- train_with_schedule


@mistake("train_with_schedule", hint="""
    The scheduler steps before the optimizer, so the first update already uses the second rate and
    the first one is never used. First `optimizer.step()`, then `scheduler.step()`.""")
def scheduler_before_optimizer(model, batches, loss_fn, schedule, *, learning_rate, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    scheduler = lr_scheduler.LambdaLR(optimizer, schedule)
    rates = []
    for _ in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            scheduler.step()
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
    return rates


@mistake("train_with_schedule", hint="""
    The scheduler steps once an epoch. Here `schedule` counts updates, so `scheduler.step()` belongs
    into the inner loop, after each `optimizer.step()`.""", anchor="schedules-failures")
def scheduler_once_an_epoch(model, batches, loss_fn, schedule, *, learning_rate, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    scheduler = lr_scheduler.LambdaLR(optimizer, schedule)
    rates = []
    for _ in range(epochs):
        for x, y in batches:
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        scheduler.step()
    return rates


@mistake("train_with_schedule", hint="""
    Training is right; the list is one step ahead. You read the rate after `scheduler.step()`, when
    it is that of the next update.""")
def rate_read_too_late(model, batches, loss_fn, schedule, *, learning_rate, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    scheduler = lr_scheduler.LambdaLR(optimizer, schedule)
    rates = []
    for _ in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
            scheduler.step()
            rates.append(scheduler.get_last_lr()[0])
    return rates


@mistake("train_with_schedule", hint="""
    The rate never changes: the scheduler is made and then not asked to step.""")
def scheduler_never_stepped(model, batches, loss_fn, schedule, *, learning_rate, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    scheduler = lr_scheduler.LambdaLR(optimizer, schedule)
    rates = []
    for _ in range(epochs):
        for x, y in batches:
            rates.append(scheduler.get_last_lr()[0])
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
    return rates


@mistake("train_with_schedule", hint="""
    `schedule` returns a factor, and you use it as the rate itself. LambdaLR multiplies it with the
    optimizer's `lr`, so that one schedule serves every learning rate.""")
def factor_used_as_rate(model, batches, loss_fn, schedule, *, learning_rate, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = lr_scheduler.LambdaLR(optimizer, schedule)
    rates = []
    for _ in range(epochs):
        for x, y in batches:
            rates.append(scheduler.get_last_lr()[0])
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
            scheduler.step()
    return rates


@mistake("train_with_schedule", hint="""
    The schedule begins anew in every epoch, because optimizer and scheduler are made inside the
    loop. Make them once, before it: steps count through all epochs.""")
def made_anew_in_every_epoch(model, batches, loss_fn, schedule, *, learning_rate, epochs):
    rates = []
    for _ in range(epochs):
        optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
        scheduler = lr_scheduler.LambdaLR(optimizer, schedule)
        for x, y in batches:
            rates.append(scheduler.get_last_lr()[0])
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
            scheduler.step()
    return rates


@mistake("train_with_schedule", hint="""
    The rates are right, the parameters are not: gradients of earlier batches are still there.
    `.grad` adds up until it is cleared.""")
def gradients_not_cleared(model, batches, loss_fn, schedule, *, learning_rate, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    scheduler = lr_scheduler.LambdaLR(optimizer, schedule)
    rates = []
    for _ in range(epochs):
        for x, y in batches:
            rates.append(scheduler.get_last_lr()[0])
            loss_fn(model(x), y).backward()
            optimizer.step()
            scheduler.step()
    return rates


# ---------------------------------------------------------------- clipped_step


@mistake("clipped_step", hint="""
    Every parameter is clipped by its own norm, so the step turns. Pass all parameters in one call
    of `clip_grad_norm_`.""", anchor="gradient-clipping")
def each_parameter_by_itself(model, x, y, loss_fn, *, learning_rate, max_norm):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    optimizer.zero_grad()
    loss_fn(model(x), y).backward()
    squares = [p.grad.norm() ** 2 for p in model.parameters()]
    norm = torch.stack(squares).sum().sqrt()
    for p in model.parameters():
        nn.utils.clip_grad_norm_([p], max_norm)
    if torch.isfinite(norm):
        optimizer.step()
    return norm.item()


@mistake("clipped_step", hint="""
    `clip_grad_value_` cuts off each entry, which turns the step. Wanted is one factor for all:
    `clip_grad_norm_`.""", anchor="gradient-clipping")
def entries_cut_off(model, x, y, loss_fn, *, learning_rate, max_norm):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    optimizer.zero_grad()
    loss_fn(model(x), y).backward()
    norm = torch.stack([p.grad.norm() ** 2 for p in model.parameters()]).sum().sqrt()
    nn.utils.clip_grad_value_(model.parameters(), max_norm)
    if torch.isfinite(norm):
        optimizer.step()
    return norm.item()


@mistake("clipped_step", hint="""
    You clip after the step, when the long gradient has been used already. The order is backward,
    clip, step.""")
def clipped_after_the_step(model, x, y, loss_fn, *, learning_rate, max_norm):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    optimizer.zero_grad()
    loss = loss_fn(model(x), y)
    loss.backward()
    if torch.isfinite(loss):
        optimizer.step()
    return nn.utils.clip_grad_norm_(model.parameters(), max_norm).item()


@mistake("clipped_step", hint="""
    An infinite input leaves a model full of nan. Clipping can't repair a gradient that is not
    finite: skip the step then.""", anchor="schedules-failures")
def steps_with_nan(model, x, y, loss_fn, *, learning_rate, max_norm):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    optimizer.zero_grad()
    loss_fn(model(x), y).backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return norm.item()


@mistake("clipped_step", hint="""
    You return the norm after clipping. `clip_grad_norm_` returns the one before, and that is the
    one to record.""")
def norm_after_clipping(model, x, y, loss_fn, *, learning_rate, max_norm):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    optimizer.zero_grad()
    loss_fn(model(x), y).backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    if torch.isfinite(norm):
        optimizer.step()
    return torch.stack([p.grad.norm() ** 2 for p in model.parameters()]).sum().sqrt().item()


@mistake("clipped_step", hint="""
    Gradients that were there before have been added. Clear them before `backward()`.""")
def old_gradients_added(model, x, y, loss_fn, *, learning_rate, max_norm):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    loss_fn(model(x), y).backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    if torch.isfinite(norm):
        optimizer.step()
    return norm.item()


@mistake("clipped_step", hint="""
    Short gradients are made longer: every gradient gets the length `max_norm`. Clipping only ever
    shortens.""", anchor="gradient-clipping")
def always_of_full_length(model, x, y, loss_fn, *, learning_rate, max_norm):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    optimizer.zero_grad()
    loss_fn(model(x), y).backward()
    norm = torch.stack([p.grad.norm() ** 2 for p in model.parameters()]).sum().sqrt()
    for p in model.parameters():
        p.grad *= max_norm / norm
    if torch.isfinite(norm):
        optimizer.step()
    return norm.item()


# ---------------------------------------------------------------- train_body_and_head


@mistake("train_body_and_head", hint="""
    The head warms up too. LambdaLR takes a list with one function for each group: the head's is
    always 1.""")
def both_warm_up(
    model, batches, loss_fn, *, body_learning_rate, head_learning_rate, warmup_steps
):
    optimizer = torch.optim.SGD([
        {"params": model.body.parameters(), "lr": body_learning_rate},
        {"params": model.head.parameters(), "lr": head_learning_rate}])
    scheduler = lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / (warmup_steps + 1)))
    rates = []
    for x, y in batches:
        rates.append(tuple(scheduler.get_last_lr()))
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()
        scheduler.step()
    return rates


@mistake("train_body_and_head", hint="""
    The functions are in the wrong order: the head warms up and the body doesn't. LambdaLR assigns
    them in the order of the groups.""")
def warm_up_of_the_head(
    model, batches, loss_fn, *, body_learning_rate, head_learning_rate, warmup_steps
):
    optimizer = torch.optim.SGD([
        {"params": model.body.parameters(), "lr": body_learning_rate},
        {"params": model.head.parameters(), "lr": head_learning_rate}])
    scheduler = lr_scheduler.LambdaLR(
        optimizer, [lambda step: 1.0, lambda step: min(1.0, (step + 1) / (warmup_steps + 1))])
    rates = []
    for x, y in batches:
        rates.append(tuple(scheduler.get_last_lr()))
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()
        scheduler.step()
    return rates


@mistake("train_body_and_head", hint="""
    The body's first rate is 0. The warm-up starts at the first of warmup_steps + 1 equal parts, so
    that no update is wasted.""", anchor="warm-up")
def body_starts_at_zero(
    model, batches, loss_fn, *, body_learning_rate, head_learning_rate, warmup_steps
):
    optimizer = torch.optim.SGD([
        {"params": model.body.parameters(), "lr": body_learning_rate},
        {"params": model.head.parameters(), "lr": head_learning_rate}])
    scheduler = lr_scheduler.LambdaLR(
        optimizer,
        [lambda step: min(1.0, step / warmup_steps) if warmup_steps else 1.0, lambda step: 1.0])
    rates = []
    for x, y in batches:
        rates.append(tuple(scheduler.get_last_lr()))
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()
        scheduler.step()
    return rates


@mistake("train_body_and_head", hint="""
    The body's rate goes on rising after the warm-up. Bound the factor by 1.""", anchor="warm-up")
def warm_up_without_end(
    model, batches, loss_fn, *, body_learning_rate, head_learning_rate, warmup_steps
):
    optimizer = torch.optim.SGD([
        {"params": model.body.parameters(), "lr": body_learning_rate},
        {"params": model.head.parameters(), "lr": head_learning_rate}])
    scheduler = lr_scheduler.LambdaLR(
        optimizer, [lambda step: (step + 1) / (warmup_steps + 1), lambda step: 1.0])
    rates = []
    for x, y in batches:
        rates.append(tuple(scheduler.get_last_lr()))
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()
        scheduler.step()
    return rates


@mistake("train_body_and_head", hint="""
    The two rates are exchanged: the body trains with the head's and the head with the body's.""")
def rates_exchanged(
    model, batches, loss_fn, *, body_learning_rate, head_learning_rate, warmup_steps
):
    optimizer = torch.optim.SGD([
        {"params": model.body.parameters(), "lr": head_learning_rate},
        {"params": model.head.parameters(), "lr": body_learning_rate}])
    scheduler = lr_scheduler.LambdaLR(
        optimizer, [lambda step: min(1.0, (step + 1) / (warmup_steps + 1)), lambda step: 1.0])
    rates = []
    for x, y in batches:
        rates.append(tuple(scheduler.get_last_lr()))
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()
        scheduler.step()
    return rates


@mistake("train_body_and_head", hint="""
    The rates you report are right, but the body's parameters never change. Does the optimizer know
    both groups, or was the body frozen for its warm-up?""")
def body_left_out(
    model, batches, loss_fn, *, body_learning_rate, head_learning_rate, warmup_steps
):
    optimizer = torch.optim.SGD(model.head.parameters(), lr=head_learning_rate)
    rates = []
    for step, (x, y) in enumerate(batches):
        factor = min(1.0, (step + 1) / (warmup_steps + 1))
        rates.append((body_learning_rate * factor, head_learning_rate))
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()
    return rates
