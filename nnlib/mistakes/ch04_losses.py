"""Known mistakes of chapter 4: losses for regression, and what losses are made of."""

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- mse


@mistake("mse", hint="""
    With reduction="mean" you return the sum. The mean divides it by the number of elements, and
    so does its gradient: section "What a loss is for".""", anchor="loss-reduction")
def sum_for_mean(pred, target, *, reduction="mean"):
    error = pred - target
    loss = error**2 if reduction == "none" else (error**2).sum()
    return loss, 2 * error


@mistake("mse", hint="""
    The loss is a mean, but its gradient lacks the 1/n. What divides the loss divides the gradient:
    with this one, a batch twice as large would take steps twice as long.""",
         anchor="loss-reduction")
def gradient_without_the_mean(pred, target, *, reduction="mean"):
    error = pred - target
    square = error**2
    loss = square if reduction == "none" else (
        square.sum() if reduction == "sum" else square.mean())
    return loss, 2 * error


@mistake("mse", hint="""
    The gradient is half of what it should be: the square brings its exponent down as a factor.
    Some books write e**2 / 2 to get rid of it; this course, like PyTorch, does not.""")
def factor_two_missing(pred, target, *, reduction="mean"):
    error = pred - target
    if reduction == "none":
        return error**2, error
    if reduction == "sum":
        return (error**2).sum(), error
    return (error**2).mean(), error / error.size


@mistake("mse", hint="""
    Loss and gradient are both half of what they should be: that is e**2 / 2, the form of Huber's
    inner piece. The mean squared error has no 1/2.""")
def half_of_the_square(pred, target, *, reduction="mean"):
    error = pred - target
    if reduction == "none":
        return error**2 / 2, error
    if reduction == "sum":
        return (error**2).sum() / 2, error
    return (error**2).mean() / 2, error / error.size


@mistake("mse", hint="""
    The mean is taken twice: the gradient is divided by the number of elements two times. Each mean
    in the loss gives one division, and there is one.""", anchor="loss-reduction")
def mean_taken_twice(pred, target, *, reduction="mean"):
    error = pred - target
    if reduction == "none":
        return error**2, 2 * error
    if reduction == "sum":
        return (error**2).sum(), 2 * error
    return (error**2).mean(), 2 * error / error.size**2


@mistake("mse", hint="""
    You divide by the number of rows, `len(pred)`. The mean is over all elements: with 4 rows of 3
    columns there are 12.""", anchor="loss-reduction")
def divided_by_the_rows_alone(pred, target, *, reduction="mean"):
    error = pred - target
    if reduction == "none":
        return error**2, 2 * error
    n = len(pred) if reduction == "mean" else 1
    return (error**2).sum() / n, 2 * error / n


@mistake("mse", hint="""
    The gradient points the wrong way. If the prediction is too high, raising it further makes the
    loss grow, so `dpred` is positive there.""")
def gradient_sign_reversed(pred, target, *, reduction="mean"):
    error = pred - target
    if reduction == "none":
        return error**2, -2 * error
    if reduction == "sum":
        return (error**2).sum(), -2 * error
    return (error**2).mean(), -2 * error / error.size


@mistake("mse", hint="""
    The gradient has its 1/n whatever `reduction` says. With "sum", and with "none", where it is
    the gradient of the sum, nothing is divided.""", anchor="loss-reduction")
def gradient_always_divided(pred, target, *, reduction="mean"):
    error = pred - target
    loss = error**2
    loss = {"none": loss, "sum": loss.sum()}.get(reduction, loss.sum() / max(loss.size, 1))
    return loss, 2 * error / max(error.size, 1)


# ---------------------------------------------------------------- mae


@mistake("mae", hint="""
    With reduction="mean" you return the sum. The mean divides it by the number of elements, and
    so does its gradient.""", anchor="loss-reduction")
def absolute_errors_summed(pred, target, *, reduction="mean"):
    error = pred - target
    size = np.abs(error)
    return (size if reduction == "none" else size.sum()), np.sign(error)


@mistake("mae", hint="""
    The gradient is the error itself, as for a square. The slope of |e| is 1 or -1, however large
    the error is; that is why a far point pulls no harder than a near one.""")
def gradient_grows_with_the_error(pred, target, *, reduction="mean"):
    error = pred - target
    size = np.abs(error)
    if reduction == "none":
        return size, error
    if reduction == "sum":
        return size.sum(), error
    return size.mean(), error / error.size


@mistake("mae", hint="""
    Where prediction and target are equal your gradient is not 0. At the kink of |e| the slope lies
    between -1 and 1; the docstring, like PyTorch, takes 0.""")
def kink_counted_as_positive(pred, target, *, reduction="mean"):
    error = pred - target
    size, sign = np.abs(error), np.where(error >= 0, 1.0, -1.0).astype(error.dtype)
    if reduction == "none":
        return size, sign
    if reduction == "sum":
        return size.sum(), sign
    return size.mean(), sign / error.size


@mistake("mae", hint="""
    The sign is computed as e / |e|, which is 0 / 0 where the prediction is exact. NumPy has a
    function for the sign that knows what to do at 0.""")
def divided_by_the_absolute_error(pred, target, *, reduction="mean"):
    error = pred - target
    size = np.abs(error)
    with np.errstate(invalid="ignore", divide="ignore"):
        sign = error / size
    if reduction == "none":
        return size, sign
    if reduction == "sum":
        return size.sum(), sign
    return size.mean(), sign / error.size


@mistake("mae", hint="""
    The loss is a mean, but its gradient lacks the 1/n. What divides the loss divides the
    gradient.""", anchor="loss-reduction")
def sign_without_the_mean(pred, target, *, reduction="mean"):
    error = pred - target
    size = np.abs(error)
    loss = {"none": size, "sum": size.sum()}.get(reduction, size.sum() / max(size.size, 1))
    return loss, np.sign(error)


@mistake("mae", hint="""
    Errors of different sign cancel in your loss: the absolute value is missing. The mean of the
    plain errors can be 0 although every prediction is wrong.""")
def errors_cancel(pred, target, *, reduction="mean"):
    error = pred - target
    if reduction == "none":
        return error, np.sign(error)
    if reduction == "sum":
        return error.sum(), np.sign(error)
    return error.mean(), np.sign(error) / error.size


@mistake("mae", hint="""
    The gradient has the wrong sign: it belongs to target - pred. A prediction that is too high
    must get a positive gradient.""")
def sign_of_the_wrong_difference(pred, target, *, reduction="mean"):
    error = target - pred
    size = np.abs(error)
    if reduction == "none":
        return size, np.sign(error)
    if reduction == "sum":
        return size.sum(), np.sign(error)
    return size.mean(), np.sign(error) / error.size


# ---------------------------------------------------------------- huber


@mistake("huber", hint="""
    Your two pieces don't meet: at |e| = delta the inner one gives delta**2 / 2, the outer one
    delta**2. The line must be shifted down to touch the parabola: equation (4.4).""")
def line_not_shifted(pred, target, *, delta=1.0, reduction="mean"):
    error = pred - target
    size = np.abs(error)
    loss = np.where(size <= delta, error**2 / 2, delta * size)
    slope = np.clip(error, -delta, delta)
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return loss.sum(), slope
    return loss.mean(), slope / loss.size


@mistake("huber", hint="""
    The inner piece is e**2 without its 1/2. Then its slope at delta is 2 delta, and the line
    outside has slope delta: the pieces join with a kink and a jump.""")
def inner_piece_without_its_half(pred, target, *, delta=1.0, reduction="mean"):
    error = pred - target
    size = np.abs(error)
    loss = np.where(size <= delta, error**2, delta * (size - delta / 2))
    slope = np.where(size <= delta, 2 * error, delta * np.sign(error))
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return loss.sum(), slope
    return loss.mean(), slope / loss.size


@mistake("huber", hint="""
    Outside, your slope is 1 or -1 for every delta. The line has slope delta, so that it leaves the
    parabola without a kink. With delta = 1 nobody notices.""")
def outer_slope_without_delta(pred, target, *, delta=1.0, reduction="mean"):
    error = pred - target
    size = np.abs(error)
    loss = np.where(size <= delta, error**2 / 2, delta * (size - delta / 2))
    slope = np.where(size <= delta, error, np.sign(error))
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return loss.sum(), slope
    return loss.mean(), slope / loss.size


@mistake("huber", hint="""
    The shift of the line is a fixed 1/2. It depends on delta: ask for equal values of both pieces
    at |e| = delta.""")
def shift_without_delta(pred, target, *, delta=1.0, reduction="mean"):
    error = pred - target
    size = np.abs(error)
    loss = np.where(size <= delta, error**2 / 2, delta * (size - 0.5))
    slope = np.clip(error, -delta, delta)
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return loss.sum(), slope
    return loss.mean(), slope / loss.size


@mistake("huber", hint="""
    This is the smooth L1 loss, Huber's divided by delta: its outer slope is 1. PyTorch has both,
    `smooth_l1_loss` and `huber_loss`; here the outer slope is delta.""")
def smooth_l1_for_huber(pred, target, *, delta=1.0, reduction="mean"):
    error = pred - target
    size = np.abs(error)
    loss = np.where(size <= delta, error**2 / (2 * delta), size - delta / 2)
    slope = np.clip(error / delta, -1, 1)
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return loss.sum(), slope
    return loss.mean(), slope / loss.size


@mistake("huber", hint="""
    Large negative errors are still squared: your condition compares e with delta, not |e|. Draw
    the loss from -3 to 3; it must be symmetric.""")
def negative_errors_squared(pred, target, *, delta=1.0, reduction="mean"):
    error = pred - target
    loss = np.where(error <= delta, error**2 / 2, delta * (error - delta / 2))
    slope = np.where(error <= delta, error, delta)
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return loss.sum(), slope
    return loss.mean(), slope / loss.size


@mistake("huber", hint="""
    The pieces are swapped: small errors get the line, large ones the parabola. Huber's loss is
    the other way round, so that far points pull with a limited force.""")
def pieces_swapped(pred, target, *, delta=1.0, reduction="mean"):
    error = pred - target
    size = np.abs(error)
    loss = np.where(size > delta, error**2 / 2, delta * (size - delta / 2))
    slope = np.where(size > delta, error, delta * np.sign(error))
    if reduction == "none":
        return loss, slope
    if reduction == "sum":
        return loss.sum(), slope
    return loss.mean(), slope / loss.size


@mistake("huber", hint="""
    The loss is a mean, but its gradient lacks the 1/n. What divides the loss divides the
    gradient.""", anchor="loss-reduction")
def slope_without_the_mean(pred, target, *, delta=1.0, reduction="mean"):
    error = pred - target
    size = np.abs(error)
    loss = np.where(size <= delta, error**2 / 2, delta * (size - delta / 2))
    slope = np.clip(error, -delta, delta)
    total = {"none": loss, "sum": loss.sum()}
    return total.get(reduction, loss.sum() / max(loss.size, 1)), slope


# ---------------------------------------------------------------- log_sum_exp


@mistake("log_sum_exp", hint="""
    For large entries the exponential overflows, and for very negative ones the sum is 0 and its
    logarithm -inf. Take a number out of the sum before you exponentiate: equation (4.12).""")
def exponentials_overflow(x, *, axis=-1):
    with np.errstate(over="ignore", divide="ignore"):
        return np.log(np.exp(x).sum(axis=axis))


@mistake("log_sum_exp", hint="""
    The largest entry is taken out of the sum and never comes back. What leaves as a factor e**m
    returns from the logarithm as + m.""")
def largest_not_added_back(x, *, axis=-1):
    return np.log(np.exp(x - x.max(axis=axis, keepdims=True)).sum(axis=axis))


@mistake("log_sum_exp", hint="""
    You take out the largest entry of the whole array. A row that lies far below it still becomes
    all zeros, and log(0) is -inf. Each row needs its own.""")
def one_largest_for_all_rows(x, *, axis=-1):
    largest = x.max()
    with np.errstate(divide="ignore"):
        return largest + np.log(np.exp(x - largest).sum(axis=axis))


@mistake("log_sum_exp", hint="""
    You sum over the last axis whatever `axis` says.""")
def always_the_last_axis(x, *, axis=-1):
    largest = x.max(axis=-1, keepdims=True)
    return (largest + np.log(np.exp(x - largest).sum(axis=-1, keepdims=True)))[..., 0]


@mistake("log_sum_exp", hint="""
    The axis that you sum over is still there, with size 1. `keepdims` helps while you subtract;
    the result must have lost that axis.""")
def summed_axis_kept(x, *, axis=-1):
    largest = x.max(axis=axis, keepdims=True)
    return largest + np.log(np.exp(x - largest).sum(axis=axis, keepdims=True))


@mistake("log_sum_exp", hint="""
    The result is too small by the logarithm of the number of terms: a mean stands where the sum
    belongs.""")
def mean_of_the_exponentials(x, *, axis=-1):
    largest = x.max(axis=axis, keepdims=True)
    rest = np.log(np.exp(x - largest).mean(axis=axis, keepdims=True))
    return (largest + rest).squeeze(axis)


@mistake("log_sum_exp", hint="""
    You return the largest entry alone. It is close where one entry stands out; where several are
    alike, the others add up to log(number of terms) more.""")
def largest_entry_alone(x, *, axis=-1):
    return x.max(axis=axis)


# ---------------------------------------------------------------- balanced_class_weights


@mistake("balanced_class_weights", hint="""
    Your weights grow with the count: frequent classes count even more than before. A rare class
    needs the larger weight.""")
def frequent_classes_count_more(labels, *, num_classes):
    return np.bincount(labels, minlength=num_classes) / len(labels)


@mistake("balanced_class_weights", hint="""
    The proportions are right, the size is not: 1 / n_c alone makes the loss, and with it every
    step, smaller by orders of magnitude. The weights of all n labels must sum to n.""")
def not_scaled_to_the_data(labels, *, num_classes):
    counts = np.bincount(labels, minlength=num_classes)
    return np.where(counts > 0, 1 / np.maximum(counts, 1), 0.0)


@mistake("balanced_class_weights", hint="""
    The number of classes is missing in the denominator: your weights of all n labels sum to a
    multiple of n. Add them up for one small example.""")
def number_of_classes_left_out(labels, *, num_classes):
    counts = np.bincount(labels, minlength=num_classes)
    return np.where(counts > 0, len(labels) / np.maximum(counts, 1), 0.0)


@mistake("balanced_class_weights", hint="""
    The result is too short when the last classes do not occur: counting stops at the largest label
    in the data. `np.bincount` can be told a minimum length.""")
def missing_classes_dropped(labels, *, num_classes):
    counts = np.bincount(labels)
    present = counts > 0
    share = len(labels) / (present.sum() * np.maximum(counts, 1))
    return np.where(present, share, 0.0)


@mistake("balanced_class_weights", hint="""
    A class that does not occur gets the weight inf: a division by its count of 0. No row has that
    class; the docstring gives it the weight 0.""")
def division_by_a_count_of_zero(labels, *, num_classes):
    counts = np.bincount(labels, minlength=num_classes)
    with np.errstate(divide="ignore"):
        return len(labels) / (np.count_nonzero(counts) * counts)


@mistake("balanced_class_weights", hint="""
    You divide by all `num_classes`, also by those that do not occur. Then the weights of the
    labels no longer sum to n. Only classes with an example share the total.""")
def absent_classes_counted(labels, *, num_classes):
    counts = np.bincount(labels, minlength=num_classes)
    share = len(labels) / (num_classes * np.maximum(counts, 1))
    return np.where(counts > 0, share, 0.0)


@mistake("balanced_class_weights", hint="""
    The weights are rounded down to whole numbers: `//` cuts off what stands behind the point. Most
    of them end up as 0 or 1.""")
def whole_number_division(labels, *, num_classes):
    counts = np.bincount(labels, minlength=num_classes)
    share = len(labels) // (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, share, 0).astype(float)
