"""Known mistakes of chapter 9: the range test."""

import math

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- range_test_rates


@mistake("range_test_rates", hint="""
    Your rates lie equally far apart, so nearly all are near `high`. Learning rates are compared by
    quotients: each should be the same *factor* larger than the one before.""")
def equal_distances(low, high, *, steps):
    return np.linspace(low, high, steps)


@mistake("range_test_rates", hint="""
    The last rate falls short of `high`. Between n rates there are n - 1 factors.""")
def last_rate_missing(low, high, *, steps):
    return [low * (high / low) ** (k / steps) for k in range(steps)]


@mistake("range_test_rates", hint="""
    The first rate is larger than `low`. At k = 0 no factor has been applied yet.""")
def first_rate_missing(low, high, *, steps):
    return [low * (high / low) ** (k / steps) for k in range(1, steps + 1)]


@mistake("range_test_rates", hint="""
    The rates overshoot `high`: each one is `high / low` times the one before. That is the quotient
    of the two ends. Which root of it leads from one rate to the next?""")
def whole_quotient_each_time(low, high, *, steps):
    return [low * (high / low) ** k for k in range(steps)]


@mistake("range_test_rates", hint="""
    The rates fall. A range test begins with the smallest, so that the network is still intact when
    the large ones come.""")
def from_high_to_low(low, high, *, steps):
    return np.geomspace(high, low, steps)


@mistake("range_test_rates", hint="""
    You return the exponents. `logspace` and `exp` lead back from them to rates.""")
def logarithms_returned(low, high, *, steps):
    return np.linspace(np.log10(low), np.log10(high), steps)


# ---------------------------------------------------------------- pick_learning_rate


@mistake("pick_learning_rate", hint="""
    The running mean starts at 0 and is not corrected, so the first smoothed losses are far too low
    and the first rate wins. Divide by the sum of the weights so far.""")
def no_bias_correction(rates, losses, *, smoothing=0.9, margin=10.0):
    mean, lowest, best = 0.0, math.inf, None
    for rate, loss in zip(rates, losses, strict=True):
        if not math.isfinite(loss):
            break
        mean = smoothing * mean + (1 - smoothing) * loss
        if mean < lowest:
            lowest, best = mean, rate
    return best / margin


@mistake("pick_learning_rate", hint="""
    The losses are not smoothed: one lucky batch decides. Take a running mean first.""")
def not_smoothed(rates, losses, *, smoothing=0.9, margin=10.0):
    lowest, best = math.inf, None
    for rate, loss in zip(rates, losses, strict=True):
        if not math.isfinite(loss):
            break
        if loss < lowest:
            lowest, best = loss, rate
    return best / margin


@mistake("pick_learning_rate", hint="""
    You return the rate with the lowest loss itself. There the loss is about to rise; step back by
    the factor `margin`.""")
def no_margin(rates, losses, *, smoothing=0.9, margin=10.0):
    mean, lowest, best = 0.0, math.inf, None
    for k, (rate, loss) in enumerate(zip(rates, losses, strict=True), start=1):
        if not math.isfinite(loss):
            break
        mean = smoothing * mean + (1 - smoothing) * loss
        if mean / (1 - smoothing**k) < lowest:
            lowest, best = mean / (1 - smoothing**k), rate
    return best


@mistake("pick_learning_rate", hint="""
    The two weights of the running mean are exchanged: `smoothing` belongs to the past, the rest to
    the new loss.""")
def weights_exchanged(rates, losses, *, smoothing=0.9, margin=10.0):
    mean, lowest, best = 0.0, math.inf, None
    for k, (rate, loss) in enumerate(zip(rates, losses, strict=True), start=1):
        if not math.isfinite(loss):
            break
        mean = (1 - smoothing) * mean + smoothing * loss
        if mean / (1 - (1 - smoothing) ** k) < lowest:
            lowest, best = mean / (1 - (1 - smoothing) ** k), rate
    return best / margin


@mistake("pick_learning_rate", hint="""
    A loss that is not finite is skipped, and the test goes on. What comes after nan says nothing:
    the network is gone. Stop there.""")
def goes_on_after_nan(rates, losses, *, smoothing=0.9, margin=10.0):
    mean, lowest, best, k = 0.0, math.inf, None, 0
    for rate, loss in zip(rates, losses, strict=True):
        if not math.isfinite(loss):
            continue
        k += 1
        mean = smoothing * mean + (1 - smoothing) * loss
        if mean / (1 - smoothing**k) < lowest:
            lowest, best = mean / (1 - smoothing**k), rate
    return best / margin


@mistake("pick_learning_rate", hint="""
    You take the rate where the loss falls fastest. That is another rule, and a good one; here the
    rate with the lowest smoothed loss is asked for.""")
def steepest_descent_instead(rates, losses, *, smoothing=0.9, margin=10.0):
    mean, before, steepest, best = 0.0, None, math.inf, rates[0]
    for k, (rate, loss) in enumerate(zip(rates, losses, strict=True), start=1):
        if not math.isfinite(loss):
            break
        mean = smoothing * mean + (1 - smoothing) * loss
        smoothed = mean / (1 - smoothing**k)
        if before is not None and smoothed - before < steepest:
            steepest, best = smoothed - before, rate
        before = smoothed
    return best / margin
