"""Known mistakes of chapter 9: noise, schedules, plateaus."""

import math

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- noise_ball


@mistake("noise_ball", hint="""
    This is the approximation for small learning rates. Near the limit it is far too small: keep
    the term with the square of the shrinkage when you solve for the fixed point.""")
def only_for_small_rates(learning_rate, *, curvature, noise_std, batch_size=1):
    if learning_rate * curvature >= 2:
        return math.inf
    return learning_rate * noise_std**2 / batch_size / (2 * curvature)


@mistake("noise_ball", hint="""
    For a large learning rate the result is negative or divides by 0. From which learning rate on
    does every step make the weight larger? There is no steady state then.""")
def negative_where_it_diverges(learning_rate, *, curvature, noise_std, batch_size=1):
    shrinkage = learning_rate * curvature
    if shrinkage == 2:
        return -math.inf
    return learning_rate * noise_std**2 / batch_size / (curvature * (2 - shrinkage))


@mistake("noise_ball", hint="""
    You return a standard deviation. Asked for is the variance, its square.""")
def standard_deviation_for_variance(learning_rate, *, curvature, noise_std, batch_size=1):
    shrinkage = learning_rate * curvature
    if shrinkage >= 2:
        return math.inf
    return math.sqrt(learning_rate * noise_std**2 / batch_size / (curvature * (2 - shrinkage)))


@mistake("noise_ball", hint="""
    `noise_std` enters without a square. It is a standard deviation, and variances add up.""")
def noise_not_squared(learning_rate, *, curvature, noise_std, batch_size=1):
    shrinkage = learning_rate * curvature
    if shrinkage >= 2:
        return math.inf
    return learning_rate * noise_std / batch_size / (curvature * (2 - shrinkage))


@mistake("noise_ball", hint="""
    A mean over m examples has 1/m of the *variance* of one. You divided the standard deviation by
    m, which makes it 1/m^2.""")
def batch_size_squared(learning_rate, *, curvature, noise_std, batch_size=1):
    shrinkage = learning_rate * curvature
    if shrinkage >= 2:
        return math.inf
    return learning_rate * (noise_std / batch_size) ** 2 / (curvature * (2 - shrinkage))


@mistake("noise_ball", hint="""
    The batch size has no effect. The noise of a batch's mean gradient is smaller than that of a
    single example.""", anchor="batch-size-and-rate")
def batch_size_ignored(learning_rate, *, curvature, noise_std, batch_size=1):
    shrinkage = learning_rate * curvature
    if shrinkage >= 2:
        return math.inf
    return learning_rate * noise_std**2 / (curvature * (2 - shrinkage))


@mistake("noise_ball", hint="""
    This is the variance that one step adds. The steps before it have left some too: solve
    v = (1 - learning_rate * curvature)^2 v + what one step adds.""")
def noise_of_one_step(learning_rate, *, curvature, noise_std, batch_size=1):
    if learning_rate * curvature >= 2:
        return math.inf
    return learning_rate**2 * noise_std**2 / batch_size


# ---------------------------------------------------------------- step_decay


@mistake("step_decay", hint="""
    The stairs have become a smooth curve: `/` gives fractions. The exponent counts how many whole
    stairs have been passed.""")
def exponent_not_rounded(step, *, learning_rate, step_size, gamma=0.1):
    return learning_rate * gamma ** (step / step_size)


@mistake("step_decay", hint="""
    The first stair is one step too short. Steps count from 0, so steps 0 to step_size - 1 belong
    to it, and step number `step_size` is the first on the second one.""")
def stair_one_step_early(step, *, learning_rate, step_size, gamma=0.1):
    return learning_rate * gamma ** ((step + 1) // step_size)


@mistake("step_decay", hint="""
    Step number `step_size` still has the rate of the stair before. Steps count from 0, so there
    `step_size` updates have been made already.""")
def stair_one_step_late(step, *, learning_rate, step_size, gamma=0.1):
    return learning_rate * gamma ** (max(step - 1, 0) // step_size)


@mistake("step_decay", hint="""
    The rate shrinks at every step, so `step_size` has no effect. This is what a schedule meant for
    epochs does when it is fed with steps.""", anchor="schedules-failures")
def decays_at_every_step(step, *, learning_rate, step_size, gamma=0.1):
    return learning_rate * gamma**step


@mistake("step_decay", hint="""
    There is a single drop. The rate is multiplied by `gamma` again after every `step_size` steps.
    """)
def one_drop_only(step, *, learning_rate, step_size, gamma=0.1):
    return learning_rate * (gamma if step >= step_size else 1.0)


@mistake("step_decay", hint="""
    The second stair is right, the third is not: you multiply `gamma` by the number of stairs.
    Each stair multiplies the rate anew, so the factors form a power.""")
def gamma_times_stairs(step, *, learning_rate, step_size, gamma=0.1):
    stairs = step // step_size
    return learning_rate * (gamma * stairs if stairs else 1.0)


# ---------------------------------------------------------------- warmup_cosine


@mistake("warmup_cosine", hint="""
    The first update has a learning rate of 0: it computes a gradient and does nothing with it.
    The line starts at the first of warmup_steps + 1 equal parts.""", anchor="warm-up")
def first_rate_zero(
    step, *, learning_rate, warmup_steps, total_steps, min_learning_rate=0.0
):
    if step < warmup_steps:
        return learning_rate * step / warmup_steps
    way = min((step - warmup_steps) / (total_steps - warmup_steps), 1)
    half = (1 + math.cos(math.pi * way)) / 2
    return min_learning_rate + (learning_rate - min_learning_rate) * half


@mistake("warmup_cosine", hint="""
    The full rate is reached one step too early, at the last step of the warm-up. Step number
    `warmup_steps` is the first to have it: the line rises in warmup_steps + 1 equal parts.""",
         anchor="warm-up")
def full_rate_one_step_early(
    step, *, learning_rate, warmup_steps, total_steps, min_learning_rate=0.0
):
    if step < warmup_steps:
        return learning_rate * (step + 1) / warmup_steps
    way = min((step - warmup_steps) / (total_steps - warmup_steps), 1)
    half = (1 + math.cos(math.pi * way)) / 2
    return min_learning_rate + (learning_rate - min_learning_rate) * half


@mistake("warmup_cosine", hint="""
    The rate jumps down where the warm-up ends: the cosine was running from step 0 already. Its way
    begins with the first step after the warm-up.""")
def cosine_runs_during_warmup(
    step, *, learning_rate, warmup_steps, total_steps, min_learning_rate=0.0
):
    if step < warmup_steps:
        return learning_rate * (step + 1) / (warmup_steps + 1)
    half = (1 + math.cos(math.pi * min(step / total_steps, 1))) / 2
    return min_learning_rate + (learning_rate - min_learning_rate) * half


@mistake("warmup_cosine", hint="""
    The cosine ends `warmup_steps` steps too late: `total_steps` counts the warm-up too. How many
    steps are left for the cosine?""")
def total_without_warmup(
    step, *, learning_rate, warmup_steps, total_steps, min_learning_rate=0.0
):
    if step < warmup_steps:
        return learning_rate * (step + 1) / (warmup_steps + 1)
    half = (1 + math.cos(math.pi * min((step - warmup_steps) / total_steps, 1))) / 2
    return min_learning_rate + (learning_rate - min_learning_rate) * half


@mistake("warmup_cosine", hint="""
    After `total_steps` the rate rises again: the cosine goes on. From there on it must stay at the
    minimum.""")
def rises_after_the_end(
    step, *, learning_rate, warmup_steps, total_steps, min_learning_rate=0.0
):
    if step < warmup_steps:
        return learning_rate * (step + 1) / (warmup_steps + 1)
    way = (step - warmup_steps) / (total_steps - warmup_steps)
    half = (1 + math.cos(math.pi * way)) / 2
    return min_learning_rate + (learning_rate - min_learning_rate) * half


@mistake("warmup_cosine", hint="""
    The minimum cuts the curve off. The cosine should be squeezed between `min_learning_rate` and
    `learning_rate`, so that it gets there only at the end.""")
def minimum_cuts_off(
    step, *, learning_rate, warmup_steps, total_steps, min_learning_rate=0.0
):
    if step < warmup_steps:
        return learning_rate * (step + 1) / (warmup_steps + 1)
    way = min((step - warmup_steps) / (total_steps - warmup_steps), 1)
    return max(learning_rate * (1 + math.cos(math.pi * way)) / 2, min_learning_rate)


@mistake("warmup_cosine", hint="""
    The rate goes down in a straight line. Between its ends it should follow half a cosine, which
    leaves and arrives gently.""")
def straight_line_down(
    step, *, learning_rate, warmup_steps, total_steps, min_learning_rate=0.0
):
    if step < warmup_steps:
        return learning_rate * (step + 1) / (warmup_steps + 1)
    way = min((step - warmup_steps) / (total_steps - warmup_steps), 1)
    return learning_rate + (min_learning_rate - learning_rate) * way


# ---------------------------------------------------------------- plateau_rates


@mistake("plateau_rates", hint="""
    The rate falls one epoch too early. `patience` epochs in a row may bring nothing better; only
    the one after them reduces.""")
def patience_one_too_short(
    losses, *, learning_rate, factor=0.1, patience=10, min_learning_rate=0.0
):
    best, waited, rate, rates = math.inf, 0, learning_rate, []
    for loss in losses:
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited >= patience and waited > 0:
            rate, waited = max(rate * factor, min_learning_rate), 0
        rates.append(rate)
    return rates


@mistake("plateau_rates", hint="""
    After the first reduction the rate falls at every epoch. A reduction deserves time to work:
    begin to count anew.""")
def wait_not_reset(losses, *, learning_rate, factor=0.1, patience=10, min_learning_rate=0.0):
    best, waited, rate, rates = math.inf, 0, learning_rate, []
    for loss in losses:
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited > patience:
            rate = max(rate * factor, min_learning_rate)
        rates.append(rate)
    return rates


@mistake("plateau_rates", hint="""
    Each loss is compared with the one before. A loss that falls from a peak can be far above the
    best so far: compare with the best.""")
def compared_with_the_last(
    losses, *, learning_rate, factor=0.1, patience=10, min_learning_rate=0.0
):
    last, waited, rate, rates = math.inf, 0, learning_rate, []
    for loss in losses:
        waited = 0 if loss < last else waited + 1
        last = loss
        if waited > patience:
            rate, waited = max(rate * factor, min_learning_rate), 0
        rates.append(rate)
    return rates


@mistake("plateau_rates", hint="""
    An equal loss counts as better, so a loss that stands still never reduces the rate. A plateau
    is just that: only a *lower* loss is better.""")
def equal_counts_as_better(
    losses, *, learning_rate, factor=0.1, patience=10, min_learning_rate=0.0
):
    best, waited, rate, rates = math.inf, 0, learning_rate, []
    for loss in losses:
        best, waited = (loss, 0) if loss <= best else (best, waited + 1)
        if waited > patience:
            rate, waited = max(rate * factor, min_learning_rate), 0
        rates.append(rate)
    return rates


@mistake("plateau_rates", hint="""
    Epochs without a lower loss add up over the whole training. Patience means so many *in a row*:
    a lower loss sets the count back to 0.""")
def not_in_a_row(losses, *, learning_rate, factor=0.1, patience=10, min_learning_rate=0.0):
    best, waited, rate, rates = math.inf, 0, learning_rate, []
    for loss in losses:
        if loss < best:
            best = loss
        else:
            waited += 1
        if waited > patience:
            rate, waited = max(rate * factor, min_learning_rate), 0
        rates.append(rate)
    return rates


@mistake("plateau_rates", hint="""
    Your list runs one epoch late: it holds the rate that was in force when a loss was measured.
    Asked for is the rate that the next epoch will use.""")
def rate_before_the_decision(
    losses, *, learning_rate, factor=0.1, patience=10, min_learning_rate=0.0
):
    best, waited, rate, rates = math.inf, 0, learning_rate, []
    for loss in losses:
        rates.append(rate)
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited > patience:
            rate, waited = max(rate * factor, min_learning_rate), 0
    return rates


@mistake("plateau_rates", hint="""
    The rate falls below `min_learning_rate`. Bound it from below at each reduction.""")
def minimum_ignored(losses, *, learning_rate, factor=0.1, patience=10, min_learning_rate=0.0):
    best, waited, rate, rates = math.inf, 0, learning_rate, []
    for loss in losses:
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited > patience:
            rate, waited = rate * factor, 0
        rates.append(rate)
    return rates


@mistake("plateau_rates", hint="""
    One nan switches the schedule off: it became the best loss, and nothing is lower than nan. How
    does `loss >= best` answer when one of them is nan?""")
def nan_becomes_the_best(
    losses, *, learning_rate, factor=0.1, patience=10, min_learning_rate=0.0
):
    best, waited, rate, rates = math.inf, 0, learning_rate, []
    for loss in losses:
        if loss >= best:
            waited += 1
        else:
            best, waited = loss, 0
        if waited > patience:
            rate, waited = max(rate * factor, min_learning_rate), 0
        rates.append(rate)
    return rates


# ---------------------------------------------------------------- clip_grad_norm


@mistake("clip_grad_norm", hint="""
    Every array is clipped by its own norm. A long one shrinks and a short one stays, so the step
    turns. One norm over all arrays together gives one factor for all.""")
def each_array_by_itself(grads, *, max_norm):
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    clipped = {}
    for name, g in grads.items():
        own = float(np.sqrt((g**2).sum()))
        clipped[name] = np.asarray(g * min(1.0, max_norm / (own + 1e-6)))
    return clipped, norm


@mistake("clip_grad_norm", hint="""
    A gradient shorter than `max_norm` is made longer. Clipping only ever shortens: what is the
    largest factor that is allowed?""")
def short_gradients_scaled_up(grads, *, max_norm):
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    factor = max_norm / (float(norm) + 1e-6)
    return {name: np.asarray(g * factor) for name, g in grads.items()}, norm


@mistake("clip_grad_norm", hint="""
    You cut off each entry at `max_norm`. That is clipping by value: large entries shrink, small
    ones stay, and the direction turns. Here one factor multiplies all entries.""")
def each_entry_cut_off(grads, *, max_norm):
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    return {name: np.clip(g, -max_norm, max_norm) for name, g in grads.items()}, norm


@mistake("clip_grad_norm", hint="""
    The second result is the norm *after* clipping. Return the one before: it is what you want to
    see in a log, since it tells how often the bound was met.""")
def norm_after_clipping(grads, *, max_norm):
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    factor = min(1.0, max_norm / (float(norm) + 1e-6))
    return {name: np.asarray(g * factor) for name, g in grads.items()}, factor * norm


@mistake("clip_grad_norm", hint="""
    The caller's arrays are changed. Write the result into new ones: `*=` works in place.""")
def clipped_in_place(grads, *, max_norm):
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    factor = min(1.0, max_norm / (float(norm) + 1e-6))
    for g in grads.values():
        g *= factor
    return grads, norm


@mistake("clip_grad_norm", hint="""
    Norms of the parts don't add up; their squares do. Add the squares of all entries of all
    arrays, then take one root.""")
def norms_added_up(grads, *, max_norm):
    norm = sum(np.sqrt((g**2).sum()) for g in grads.values())
    factor = min(1.0, max_norm / (float(norm) + 1e-6))
    return {name: np.asarray(g * factor) for name, g in grads.items()}, norm


@mistake("clip_grad_norm", hint="""
    The root is missing: you compare `max_norm` with the sum of squares, the norm's square.""")
def root_forgotten(grads, *, max_norm):
    norm = sum((g**2).sum() for g in grads.values())
    factor = min(1.0, max_norm / (float(norm) + 1e-6))
    return {name: np.asarray(g * factor) for name, g in grads.items()}, norm
