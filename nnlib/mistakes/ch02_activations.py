"""Known mistakes of chapter 2: activations forward and backward."""

import numpy as np

from nnlib.contract import (
    ReluCache,
    SigmoidCache,
    SoftmaxCache,
)
from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- relu_forward


@mistake("relu_forward", hint="""
    The values are right, but your function writes them into the caller's array. Whoever called it
    still needs the old numbers, the backward for one. Make a new array.""", anchor="in-place")
def written_into_the_input(x):
    x[x < 0] = 0
    return x, ReluCache(x)


@mistake("relu_forward", hint="""
    `np.max(x, 0)` is the largest entry along axis 0: the second argument names an axis. You want
    the larger of two numbers, element by element, and NumPy has another function for it.""")
def maximum_along_an_axis(x):
    return np.max(x, 0), ReluCache(x)


@mistake("relu_forward", hint="""
    You keep the negative side and cut the positive one. Which of x and 0 is ReLU, the larger or
    the smaller?""")
def positive_side_cut(x):
    return np.minimum(x, 0), ReluCache(x)


@mistake("relu_forward", hint="""
    Negative inputs come out positive: this is the absolute value. For them ReLU says 0.""")
def absolute_value(x):
    return np.abs(x), ReluCache(x)


@mistake("relu_forward", hint="""
    You return 1 where x is positive. That is the derivative of ReLU; the function itself returns
    x there.""")
def derivative_returned(x):
    return (x > 0).astype(x.dtype), ReluCache(x)


@mistake("relu_forward", hint="""
    The values stop at 1. ReLU has no upper end: cut the negative side alone.""")
def cut_at_one(x):
    return np.clip(x, 0, 1), ReluCache(x)


@mistake("relu_forward", hint="""
    The function returns the values alone. A forward returns a pair, the values and a cache with
    what the backward will need.""")
def cache_forgotten(x):
    return np.maximum(x, 0)


# ---------------------------------------------------------------- leaky_relu_backward


@mistake("leaky_relu_backward", hint="""
    At exactly 0 your slope is 1. The course, like PyTorch, counts 0 to the flat side: the slope
    is 1 only where x > 0.""", anchor="kink-at-zero")
def slope_of_one_at_zero(dy, cache):
    return np.where(cache.x >= 0, dy, dy * dy.dtype.type(cache.negative_slope))


@mistake("leaky_relu_backward", hint="""
    Your slope is 0.01 whatever the forward used. It is in the cache, as `negative_slope`.""")
def slope_fixed(dy, cache):
    return np.where(cache.x > 0, dy, dy * dy.dtype.type(0.01))


@mistake("leaky_relu_backward", hint="""
    Nothing passes where x is negative: this is the backward of plain ReLU. A leaky one lets a
    small part through, which is its purpose.""")
def nothing_leaks(dy, cache):
    return dy * (cache.x > 0)


@mistake("leaky_relu_backward", hint="""
    You look at the sign of `dy`. The slope depends on where the *input* was: `cache.x`.""")
def sign_of_the_upstream_gradient(dy, cache):
    return np.where(dy > 0, dy, dy * dy.dtype.type(cache.negative_slope))


@mistake("leaky_relu_backward", hint="""
    You return the slope and leave `dy` out. A backward multiplies the slope by what arrives from
    above.""", anchor="activation-derivative")
def slope_alone(dy, cache):
    return np.where(cache.x > 0, 1.0, cache.negative_slope).astype(dy.dtype)


@mistake("leaky_relu_backward", hint="""
    On the negative side you multiply by x once more, as the forward does. The derivative of
    a constant times x is the constant.""")
def forward_repeated(dy, cache):
    return np.where(cache.x > 0, dy, dy * dy.dtype.type(cache.negative_slope) * cache.x)


@mistake("leaky_relu_backward", hint="""
    The numbers are right, but they are written into `dy`, which belongs to the caller. Another
    branch of the network may still need it.""", anchor="in-place")
def upstream_gradient_overwritten(dy, cache):
    dy *= np.where(cache.x > 0, 1, cache.negative_slope).astype(dy.dtype)
    return dy


# ---------------------------------------------------------------- sigmoid_forward


@mistake("sigmoid_forward", hint="""
    For large positive x both exponentials are infinite, and inf / inf is nan. The sigmoid can be
    written with exp(x) or with exp(-x): take the one whose exponent is not positive.""",
         anchor="stable-sigmoid")
def exponential_of_a_large_number(x):
    exponential = np.exp(x)
    y = exponential / (1 + exponential)
    return y, SigmoidCache(y)


@mistake("sigmoid_forward", hint="""
    Your curve falls instead of rising: large inputs give 0. Look at the sign in the exponent.""")
def sign_of_the_exponent(x):
    y = 1 / (1 + np.exp(x))
    return y, SigmoidCache(y)


@mistake("sigmoid_forward", hint="""
    Your values run from -1 to 1: this is tanh. The sigmoid runs from 0 to 1, and is 1/2 at 0.""")
def tanh_taken_for_sigmoid(x):
    y = np.tanh(x)
    return y, SigmoidCache(y)


@mistake("sigmoid_forward", hint="""
    The positive side is right, the negative is its mirror image. With |x| in the exponent nothing
    overflows, but the two signs need two formulas: equation (2.5).""", anchor="stable-sigmoid")
def both_signs_alike(x):
    y = 1 / (1 + np.exp(-np.abs(x)))
    return y, SigmoidCache(y)


@mistake("sigmoid_forward", hint="""
    You cut x to a small range before the exponential. That avoids overflow and changes the
    result: far out on the left it must go on falling. Rearrange the formula instead.""",
         anchor="stable-sigmoid")
def input_cut_too_early(x):
    y = 1 / (1 + np.exp(-np.clip(x, -10, 10)))
    return y, SigmoidCache(y)


@mistake("sigmoid_forward", hint="""
    Your outputs add up to 1, so each depends on all the others: this is a softmax. A sigmoid
    looks at one number at a time.""")
def softmax_taken_for_sigmoid(x):
    exponentials = np.exp(x - np.max(x, initial=-np.inf))
    y = exponentials / exponentials.sum()
    return y, SigmoidCache(y)


# ---------------------------------------------------------------- sigmoid_backward


@mistake("sigmoid_backward", hint="""
    The cache holds the *output* y. You put it through the sigmoid once more, as if it were the
    input. From y the derivative needs no exponential: equation (2.3).""",
         anchor="activation-derivative")
def output_taken_for_the_input(dy, cache):
    s = 1 / (1 + np.exp(-cache.y))
    return dy * s * (1 - s)


@mistake("sigmoid_backward", hint="""
    The expression 1 - y**2 is the slope of tanh. The slope of the sigmoid has another form:
    equation (2.3).""",
         anchor="activation-derivative")
def slope_of_tanh(dy, cache):
    return dy * (1 - cache.y**2)


@mistake("sigmoid_backward", hint="""
    You return the slope and leave `dy` out. A backward multiplies the slope by what arrives from
    above.""", anchor="activation-derivative")
def slope_without_upstream(dy, cache):
    return cache.y * (1 - cache.y)


@mistake("sigmoid_backward", hint="""
    Your slope is y itself, which is largest where the curve is flat on top. A factor is missing
    that makes it small there too.""")
def one_factor_missing(dy, cache):
    return dy * cache.y


@mistake("sigmoid_backward", hint="""
    The result has the wrong sign. The sigmoid rises everywhere, so its slope is positive: which of
    the two factors did you turn round?""")
def bracket_turned_round(dy, cache):
    return dy * cache.y * (cache.y - 1)


@mistake("sigmoid_backward", hint="""
    The numbers are right, but they are written into `dy`, which belongs to the caller. Another
    branch of the network may still need it.""", anchor="in-place")
def written_into_dy(dy, cache):
    dy *= cache.y * (1 - cache.y)
    return dy


# ---------------------------------------------------------------- silu_backward


@mistake("silu_backward", hint="""
    SiLU is a product, x times sigmoid(x), and you differentiate its first factor only. The product
    rule has two terms.""")
def second_term_missing(dy, cache):
    return dy / (1 + np.exp(-cache.x))


@mistake("silu_backward", hint="""
    SiLU is a product, x times sigmoid(x), and you differentiate its second factor only. The
    product rule has two terms.""")
def first_term_missing(dy, cache):
    s = 1 / (1 + np.exp(-cache.x))
    return dy * cache.x * s * (1 - s)


@mistake("silu_backward", hint="""
    You multiply the derivatives of the two factors. The derivative of a product is a sum: each
    factor's derivative times the *other* factor.""")
def derivatives_multiplied(dy, cache):
    s = 1 / (1 + np.exp(-cache.x))
    return dy * s * (1 - s)


@mistake("silu_backward", hint="""
    For large x you divide infinity by infinity. Compute the sigmoid first, in its stable form,
    and write the slope with it: no other exponential is needed.""", anchor="stable-sigmoid")
def exponential_overflows(dy, cache):
    e = np.exp(cache.x)
    return dy * e * (1 + e + cache.x) / (1 + e) ** 2


@mistake("silu_backward", hint="""
    Inside the bracket a sign is wrong: for large x your slope leaves 1 on the wrong side. Write
    down the derivative of the sigmoid, with its sign, before you collect terms.""")
def sign_inside_the_bracket(dy, cache):
    s = 1 / (1 + np.exp(-cache.x))
    return dy * s * (1 - cache.x * (1 - s))


@mistake("silu_backward", hint="""
    You return the slope and leave `dy` out. A backward multiplies the slope by what arrives from
    above.""", anchor="activation-derivative")
def upstream_left_out(dy, cache):
    s = 1 / (1 + np.exp(-cache.x))
    return s * (1 + cache.x * (1 - s))


# ---------------------------------------------------------------- softmax_forward


@mistake("softmax_forward", hint="""
    Scores of a thousand make exp overflow, and inf / inf is nan. The result doesn't change when
    the same number is subtracted from all scores of a row: choose it so that no exponent is
    positive.""", anchor="stable-softmax")
def no_shift(x, *, axis=-1):
    exponentials = np.exp(x)
    y = exponentials / exponentials.sum(axis=axis, keepdims=True)
    return y, SoftmaxCache(y, axis)


@mistake("softmax_forward", hint="""
    You subtract one maximum for the whole array. In a row that lies far below it every exponential
    rounds to 0, and 0 / 0 is nan. Each row needs its own.""", anchor="stable-softmax")
def one_maximum_for_all_rows(x, *, axis=-1):
    exponentials = np.exp(x - np.max(x, initial=-np.inf))
    y = exponentials / exponentials.sum(axis=axis, keepdims=True)
    return y, SoftmaxCache(y, axis)


@mistake("softmax_forward", hint="""
    The option `axis` is ignored: the probabilities always sum to 1 along the last axis.""",
         anchor="softmax-axis")
def always_the_last_axis(x, *, axis=-1):
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    y = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return y, SoftmaxCache(y, axis)


@mistake("softmax_forward", hint="""
    Your columns sum to 1, not your rows: each class is shared out among the examples. A square
    batch hides this from a look at the shapes.""", anchor="softmax-axis")
def always_the_first_axis(x, *, axis=-1):
    exponentials = np.exp(x - x.max(axis=0, keepdims=True))
    y = exponentials / exponentials.sum(axis=0, keepdims=True)
    return y, SoftmaxCache(y, axis)


@mistake("softmax_forward", hint="""
    The whole array sums to 1. Every row is a question of its own and needs its own sum.""",
         anchor="softmax-axis")
def sum_over_everything(x, *, axis=-1):
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    y = exponentials / exponentials.sum()
    return y, SoftmaxCache(y, axis)


@mistake("softmax_forward", hint="""
    The sums lost their axis, so (n,) is divided into (n, k): with n = k it runs and mixes up the
    rows, else it fails. Keep the axis with size 1.""", anchor="softmax-axis")
def axis_dropped(x, *, axis=-1):
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    y = exponentials / exponentials.sum(axis=axis)
    return y, SoftmaxCache(y, axis)


@mistake("softmax_forward", hint="""
    You apply a sigmoid to each score. Then the probabilities of a row don't sum to 1: softmax
    compares the scores with each other.""")
def sigmoid_of_each_score(x, *, axis=-1):
    z = np.exp(-np.abs(x))
    y = np.where(x >= 0, 1, z) / (1 + z)
    return y, SoftmaxCache(y, axis)


@mistake("softmax_forward", hint="""
    The exponential is missing: you divide the scores by their sum. Scores can be negative, and
    then so are your probabilities.""")
def no_exponential(x, *, axis=-1):
    y = x / x.sum(axis=axis, keepdims=True)
    return y, SoftmaxCache(y, axis)


# ---------------------------------------------------------------- softmax_backward


@mistake("softmax_backward", hint="""
    The elementwise p(1 - p) is only the diagonal of the derivative. Each probability depends on
    *every* score of its row, because they share one sum: see equation (2.7).""")
def elementwise_derivative(dy, cache):
    return dy * cache.y * (1 - cache.y)


@mistake("softmax_backward", hint="""
    You add up `dy` itself. In equation (2.8) each entry is weighted by its probability before
    the sum.""")
def sum_not_weighted(dy, cache):
    return cache.y * (dy - dy.sum(axis=cache.axis, keepdims=True))


@mistake("softmax_backward", hint="""
    You always sum along the last axis. The forward may have used another: it is in the cache.""",
         anchor="softmax-axis")
def axis_ignored(dy, cache):
    return cache.y * (dy - (dy * cache.y).sum(axis=-1, keepdims=True))


@mistake("softmax_backward", hint="""
    The sum runs over the whole array. Rows don't influence each other: each has a sum of its
    own.""", anchor="softmax-axis")
def summed_over_all_rows(dy, cache):
    return cache.y * (dy - (dy * cache.y).sum())


@mistake("softmax_backward", hint="""
    The sum lost its axis, so (n,) is subtracted from (n, k): with n = k it runs and mixes up the
    rows, else it fails. Keep the axis with size 1.""", anchor="softmax-axis")
def sum_dropped_its_axis(dy, cache):
    return cache.y * (dy - (dy * cache.y).sum(axis=cache.axis))


@mistake("softmax_backward", hint="""
    You subtract one from the other, as if `dy` were the labels. That shortcut belongs to softmax
    *with* cross-entropy; here any gradient can arrive.""")
def shortcut_of_cross_entropy(dy, cache):
    return cache.y - dy


@mistake("softmax_backward", hint="""
    The outer factor is missing: what you have still has to be multiplied by the probability of
    the entry itself, equation (2.8).""")
def outer_factor_missing(dy, cache):
    return dy - (dy * cache.y).sum(axis=cache.axis, keepdims=True)
