"""Known mistakes of chapter 1: the neuron, its line, and the perceptron rule."""

import numpy as np

from nnlib.contract import PerceptronFit
from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- neuron_forward


@mistake("neuron_forward", hint="""
    Your outputs are those of a neuron without a bias: its line passes through the origin.
    Where does b enter the weighted sum?""")
def bias_forgotten(x, w, b):
    return (x @ w >= 0).astype(np.int64)


@mistake("neuron_forward", anchor="decision-line", hint="""
    The bias has the wrong sign: the line shifts to the other side. In this course the sum is
    w . x plus b, so a large b makes the neuron fire more easily.""")
def bias_subtracted(x, w, b):
    return (x @ w - b >= 0).astype(np.int64)


@mistake("neuron_forward", hint="""
    Only rows exactly on the line differ. Read the definition of y again: to which side does
    z = 0 belong?""", source_tracks=("numpy",))
def threshold_excluded(x, w, b):
    return (x @ w + b > 0).astype(np.int64)


@mistake("neuron_forward", hint="""
    You compare the sum with 0.5. The threshold of this neuron is 0; the bias does the
    shifting.""")
def threshold_at_one_half(x, w, b):
    return (x @ w + b >= 0.5).astype(np.int64)


@mistake("neuron_forward", hint="""
    That is the weighted sum z. The neuron still has to turn it into 0 or 1.""")
def step_forgotten(x, w, b):
    return x @ w + b


@mistake("neuron_forward", hint="""
    Your outputs are -1 and 1. This neuron answers 0 and 1, and the learning rule counts on
    that.""")
def outputs_minus_one_and_one(x, w, b):
    return np.where(x @ w + b >= 0, 1, -1)


# ---------------------------------------------------------------- signed_distance


@mistake("signed_distance", hint="""
    That is the weighted sum z. It grows when w gets longer, although the line stays where it
    is: by what must it be divided?""")
def not_divided(x, w, b):
    return x @ w + b


@mistake("signed_distance", hint="""
    Only the part w . x is divided. The bias belongs to the sum, and the whole sum is divided by
    the length of w.""")
def bias_not_divided(x, w, b):
    return x @ w / np.sqrt(np.sum(w * w)) + b


@mistake("signed_distance", hint="""
    The divisor is the squared length of w. The walk goes along the unit vector: divide by the
    length itself.""")
def divided_by_squared_length(x, w, b):
    return (x @ w + b) / np.sum(w * w)


@mistake("signed_distance", hint="""
    The sizes are right, the signs are lost. Rows on the side that w points away from have
    negative distances.""")
def sign_lost(x, w, b):
    return np.abs(x @ w + b) / np.sqrt(np.sum(w * w))


@mistake("signed_distance", hint="""
    You counted b into the length. Only w gives the line its direction; b shifts it.""")
def length_includes_the_bias(x, w, b):
    return (x @ w + b) / np.sqrt(np.sum(w * w) + b * b)


@mistake("signed_distance", hint="""
    Your line passes through the origin: the bias is missing from the sum.""")
def distance_without_bias(x, w, b):
    return x @ w / np.sqrt(np.sum(w * w))


@mistake("signed_distance", hint="""
    You divide by the sum of the absolute weights. The length of w is the square root of the
    sum of squares.""")
def divided_by_sum_of_sizes(x, w, b):
    return (x @ w + b) / np.sum(np.abs(w))


# ---------------------------------------------------------------- perceptron_update


@mistake("perceptron_update", hint="""
    The step goes the wrong way: for a missed 1 the sum must rise. Look at the order of t and y
    in the rule.""")
def sign_of_the_update(x, t, w, b, *, learning_rate=1.0):
    step = learning_rate * (int(x @ w + b >= 0) - t)
    return w + step * x, b + step


@mistake("perceptron_update", hint="""
    Your function changes the weights of an example that was right. What is t - y then?""")
def update_on_correct_points(x, t, w, b, *, learning_rate=1.0):
    step = learning_rate * (2 * t - 1)
    return w + step * x, b + step


@mistake("perceptron_update", hint="""
    The weights learn, the bias does not. It follows the same rule, with an input of 1.""")
def bias_not_updated(x, t, w, b, *, learning_rate=1.0):
    step = learning_rate * (t - int(x @ w + b >= 0))
    return w + step * x, b


@mistake("perceptron_update", hint="""
    Only the examples with a sum of exactly 0 differ. There the neuron answers 1.""",
    anchor="neuron-forward")
def update_with_threshold_excluded(x, t, w, b, *, learning_rate=1.0):
    step = learning_rate * (t - int(x @ w + b > 0))
    return w + step * x, b + step


@mistake("perceptron_update", hint="""
    You decide whether the example is wrong from w . x alone. The output also depends on b.""",
    anchor="neuron-forward")
def output_without_bias(x, t, w, b, *, learning_rate=1.0):
    step = learning_rate * (t - int(x @ w >= 0))
    return w + step * x, b + step


@mistake("perceptron_update", hint="""
    The step ignores learning_rate: it is right for the default 1 only.""")
def learning_rate_ignored(x, t, w, b, *, learning_rate=1.0):
    step = t - int(x @ w + b >= 0)
    return w + step * x, b + step


@mistake("perceptron_update", hint="""
    You subtract the sum z from the target. The rule uses the output y, which is 0 or 1: apply
    the step first.""")
def sum_in_place_of_output(x, t, w, b, *, learning_rate=1.0):
    step = learning_rate * (t - (x @ w + b))
    return w + step * x, b + step


@mistake("perceptron_update", hint="""
    The numbers are right, but the caller's w has changed too: += writes into the array that
    was passed in. Make a new one.""")
def weights_changed_in_place(x, t, w, b, *, learning_rate=1.0):
    step = learning_rate * (t - int(x @ w + b >= 0))
    w += step * x
    return w, b + step


# ---------------------------------------------------------------- perceptron_fit


@mistake("perceptron_fit", anchor="neuron-failures", hint="""
    The bias stays 0, so every line passes through the origin, and data that need a shift never
    settle. Update b as well as w.""")
def fit_without_bias(x, t, *, epochs=100, learning_rate=1.0):
    w, errors = np.zeros_like(x[0]), []
    for _ in range(epochs):
        errors.append(0)
        for row, target in zip(x, t, strict=True):
            step = int(target) - int(row @ w >= 0)
            w, errors[-1] = w + learning_rate * step * row, errors[-1] + abs(step)
        if errors[-1] == 0:
            break
    return PerceptronFit(w, 0.0, errors)


@mistake("perceptron_fit", anchor="perceptron-rule", hint="""
    The updates go the wrong way, so errors never reaches 0. For a missed 1 the sum must
    rise.""")
def fit_with_wrong_sign(x, t, *, epochs=100, learning_rate=1.0):
    w, b, errors = np.zeros_like(x[0]), 0.0, []
    for _ in range(epochs):
        errors.append(0)
        for row, target in zip(x, t, strict=True):
            step = int(row @ w + b >= 0) - int(target)
            w, b = w + learning_rate * step * row, b + learning_rate * step
            errors[-1] += abs(step)
        if errors[-1] == 0:
            break
    return PerceptronFit(w, b, errors)


@mistake("perceptron_fit", hint="""
    You compute all outputs of an epoch with the weights from its start. The rule updates at
    once: the next row already meets the new weights.""")
def updates_collected_over_the_epoch(x, t, *, epochs=100, learning_rate=1.0):
    w, b, errors = np.zeros_like(x[0]), 0.0, []
    for _ in range(epochs):
        step = (t - (x @ w + b >= 0)).astype(x.dtype)
        w, b = w + learning_rate * step @ x, b + learning_rate * float(step.sum())
        errors.append(int(np.abs(step).sum()))
        if errors[-1] == 0:
            break
    return PerceptronFit(w, b, errors)


@mistake("perceptron_fit", hint="""
    The error-free epoch is missing from errors: the list of a run that settles ends with 0.
    Record the count first, then decide whether to stop.""")
def last_epoch_not_recorded(x, t, *, epochs=100, learning_rate=1.0):
    w, b, errors = np.zeros_like(x[0]), 0.0, []
    for _ in range(epochs):
        wrong = 0
        for row, target in zip(x, t, strict=True):
            step = int(target) - int(row @ w + b >= 0)
            w, b, wrong = (w + learning_rate * step * row, b + learning_rate * step,
                           wrong + abs(step))
        if wrong == 0:
            break
        errors.append(wrong)
    return PerceptronFit(w, b, errors)


@mistake("perceptron_fit", hint="""
    Both w and b are right, but the loop runs on after an epoch without errors. Stop there: nothing
    can change any more.""")
def never_stops_early(x, t, *, epochs=100, learning_rate=1.0):
    w, b, errors = np.zeros_like(x[0]), 0.0, []
    for _ in range(epochs):
        errors.append(0)
        for row, target in zip(x, t, strict=True):
            step = int(target) - int(row @ w + b >= 0)
            w, b = w + learning_rate * step * row, b + learning_rate * step
            errors[-1] += abs(step)
    return PerceptronFit(w, b, errors)


@mistake("perceptron_fit", hint="""
    Your errors say how many rows are wrong at the end of each epoch. The docstring asks for the
    updates made during it, and the two differ.""")
def errors_counted_after_the_epoch(x, t, *, epochs=100, learning_rate=1.0):
    w, b, errors = np.zeros_like(x[0]), 0.0, []
    for _ in range(epochs):
        for row, target in zip(x, t, strict=True):
            step = int(target) - int(row @ w + b >= 0)
            w, b = w + learning_rate * step * row, b + learning_rate * step
        errors.append(int(((x @ w + b >= 0) != t).sum()))
        if errors[-1] == 0:
            break
    return PerceptronFit(w, b, errors)


@mistake("perceptron_fit", hint="""
    The count of errors goes on from epoch to epoch. Start each epoch at 0, or the stopping rule
    never sees a clean one.""")
def errors_never_reset(x, t, *, epochs=100, learning_rate=1.0):
    w, b, errors, wrong = np.zeros_like(x[0]), 0.0, [], 0
    for _ in range(epochs):
        for row, target in zip(x, t, strict=True):
            step = int(target) - int(row @ w + b >= 0)
            w, b = w + learning_rate * step * row, b + learning_rate * step
            wrong += abs(step)
        errors.append(wrong)
        if wrong == 0:
            break
    return PerceptronFit(w, b, errors)


@mistake("perceptron_fit", hint="""
    Each epoch ends at its first mistake. A break inside the inner loop leaves the rest of the
    rows unseen.""")
def one_update_an_epoch(x, t, *, epochs=100, learning_rate=1.0):
    w, b, errors = np.zeros_like(x[0]), 0.0, []
    for _ in range(epochs):
        errors.append(0)
        for row, target in zip(x, t, strict=True):
            step = int(target) - int(row @ w + b >= 0)
            if step != 0:
                w, b = w + learning_rate * step * row, b + learning_rate * step
                errors[-1] += 1
                break
        if errors[-1] == 0:
            break
    return PerceptronFit(w, b, errors)


@mistake("perceptron_fit", anchor="neuron-forward", hint="""
    You treat a sum of exactly 0 as an output of 0. The weights start at zero, so the very first
    row shows the difference: there the neuron answers 1.""")
def fit_with_threshold_excluded(x, t, *, epochs=100, learning_rate=1.0):
    w, b, errors = np.zeros_like(x[0]), 0.0, []
    for _ in range(epochs):
        errors.append(0)
        for row, target in zip(x, t, strict=True):
            step = int(target) - int(row @ w + b > 0)
            w, b = w + learning_rate * step * row, b + learning_rate * step
            errors[-1] += abs(step)
        if errors[-1] == 0:
            break
    return PerceptronFit(w, b, errors)


@mistake("perceptron_fit", anchor="perceptron-rule", hint="""
    The learning_rate is ignored. From zero weights it changes no output, but it scales w and
    b.""")
def fit_ignores_learning_rate(x, t, *, epochs=100, learning_rate=1.0):
    w, b, errors = np.zeros_like(x[0]), 0.0, []
    for _ in range(epochs):
        errors.append(0)
        for row, target in zip(x, t, strict=True):
            step = int(target) - int(row @ w + b >= 0)
            w, b, errors[-1] = w + step * row, b + step, errors[-1] + abs(step)
        if errors[-1] == 0:
            break
    return PerceptronFit(w, b, errors)


@mistake("perceptron_fit", hint="""
    You return the pair (w, b). The docstring asks for a PerceptronFit with errors as its third
    entry.""")
def errors_not_returned(x, t, *, epochs=100, learning_rate=1.0):
    w, b = np.zeros_like(x[0]), 0.0
    for _ in range(epochs):
        before = w
        for row, target in zip(x, t, strict=True):
            step = int(target) - int(row @ w + b >= 0)
            w, b = w + learning_rate * step * row, b + learning_rate * step
        if w is before:
            break
    return w, b
