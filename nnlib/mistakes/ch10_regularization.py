"""Known mistakes of chapter 10: penalties and dropout."""

import numpy as np

from nnlib.contract import DropoutCache
from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- l1_penalty


@mistake("l1_penalty", hint="""
    Your gradient always pushes down, also where a weight is negative: there it pushes away from 0.
    The derivative of |p| has a sign.""")
def sign_forgotten(params, *, strength):
    value = strength * sum(np.abs(p).sum() for p in params.values())
    return value, {name: strength * np.ones_like(p) for name, p in params.items()}


@mistake("l1_penalty", hint="""
    The value adds up the weights themselves, so negative ones pay for positive ones. L1 adds up
    their sizes.""")
def sizes_forgotten(params, *, strength):
    value = strength * sum(p.sum() for p in params.values())
    return value, {name: strength * np.sign(p) for name, p in params.items()}


@mistake("l1_penalty", hint="""
    You wrote the L2 penalty: squares, and a gradient that grows with the weight. L1 pulls at every
    weight with the same force.""")
def squares_instead_of_sizes(params, *, strength):
    value = strength / 2 * sum(np.square(p).sum() for p in params.values())
    return value, {name: strength * p for name, p in params.items()}


@mistake("l1_penalty", hint="""
    The strength multiplies the value and not the gradient. They then belong to two different
    penalties, and training follows the gradient.""")
def strength_missing_in_the_gradient(params, *, strength):
    value = strength * sum(np.abs(p).sum() for p in params.values())
    return value, {name: np.sign(p) for name, p in params.items()}


@mistake("l1_penalty", hint="""
    A weight that is exactly 0 gets a pull. At the kink the penalty has its minimum, and the
    gradient there counts as 0: a weight that has arrived may stay.""")
def pull_at_zero(params, *, strength):
    value = strength * sum(np.abs(p).sum() for p in params.values())
    grads = {name: strength * np.where(p >= 0, 1, -1).astype(p.dtype)
             for name, p in params.items()}
    return value, grads


@mistake("l1_penalty", hint="""
    You take the mean of the sizes. Then a layer with more weights is penalised less for each of
    them. The penalty is a sum.""")
def mean_of_the_sizes(params, *, strength):
    value = strength * sum(np.abs(p).mean() for p in params.values())
    return value, {name: strength * np.sign(p) / p.size for name, p in params.items()}


# ---------------------------------------------------------------- l2_penalty


@mistake("l2_penalty", hint="""
    The factor 1/2 is missing: value and gradient are both twice too large. With the half the
    gradient is strength times weight, and that is what weight decay in an optimizer means.""")
def half_forgotten(params, *, strength):
    value = strength * sum(np.square(p).sum() for p in params.values())
    return value, {name: 2 * strength * p for name, p in params.items()}


@mistake("l2_penalty", hint="""
    Your value lacks the factor 1/2 and your gradient has it. They belong to two different
    penalties: differentiate the value that you return.""")
def value_without_the_half(params, *, strength):
    value = strength * sum(np.square(p).sum() for p in params.values())
    return value, {name: strength * p for name, p in params.items()}


@mistake("l2_penalty", hint="""
    Your gradient still carries the factor 1/2 of the value. What does differentiating a square
    bring down to the front?""")
def half_kept_in_the_gradient(params, *, strength):
    value = strength / 2 * sum(np.square(p).sum() for p in params.values())
    return value, {name: strength / 2 * p for name, p in params.items()}


@mistake("l2_penalty", hint="""
    You take the length of the weights, the root of the sum of squares. The penalty has no root:
    its gradient would no longer be proportional to the weight.""")
def root_of_the_squares(params, *, strength):
    length = np.sqrt(sum(np.square(p).sum() for p in params.values()))
    return strength / 2 * length, {name: strength * p for name, p in params.items()}


@mistake("l2_penalty", hint="""
    The strength multiplies the value and not the gradient. They then belong to two different
    penalties, and training follows the gradient.""")
def strength_not_in_the_gradient(params, *, strength):
    value = strength / 2 * sum(np.square(p).sum() for p in params.values())
    return value, {name: p.copy() for name, p in params.items()}


@mistake("l2_penalty", hint="""
    You take the mean of the squares. Then a layer with more weights is penalised less for each of
    them. The penalty is a sum.""")
def mean_of_the_squares(params, *, strength):
    value = strength / 2 * sum(np.square(p).mean() for p in params.values())
    return value, {name: strength * p / p.size for name, p in params.items()}


# ---------------------------------------------------------------- dropout_forward


@mistake("dropout_forward", hint="""
    What stays is not rescaled. In training the next layer then gets less than in evaluation, by
    the share that was dropped. Divide by the probability to stay.""")
def not_rescaled(x, *, drop_prob, training, rng):
    if not training:
        return x, DropoutCache(None)
    mask = (rng.random(x.shape) >= drop_prob).astype(x.dtype)
    return x * mask, DropoutCache(mask)


@mistake("dropout_forward", hint="""
    Your dropout is active in evaluation as well. Ask a trained network twice and it gives two
    answers. Look at `training` first.""", anchor="regularization-failures")
def active_in_evaluation(x, *, drop_prob, training, rng):
    rng = np.random.default_rng(0) if rng is None else rng
    mask = (rng.random(x.shape) >= drop_prob).astype(x.dtype) / x.dtype.type(1 - drop_prob)
    return x * mask, DropoutCache(mask)


@mistake("dropout_forward", hint="""
    One mask for all rows: a feature is dropped for the whole batch, or for nobody. Every entry of
    x needs its own draw, so the mask has the shape of x.""")
def one_mask_per_feature(x, *, drop_prob, training, rng):
    if not training:
        return x, DropoutCache(None)
    kept = rng.random(x.shape[1:]) >= drop_prob
    mask = np.broadcast_to(kept / (1 - drop_prob), x.shape).astype(x.dtype)
    return x * mask, DropoutCache(mask)


@mistake("dropout_forward", hint="""
    One draw for each row: an example is dropped whole, or kept whole. Every entry of x needs its
    own draw, so the mask has the shape of x.""")
def one_draw_per_row(x, *, drop_prob, training, rng):
    if not training:
        return x, DropoutCache(None)
    kept = rng.random((len(x),) + (1,) * (x.ndim - 1)) >= drop_prob
    mask = np.broadcast_to(kept / (1 - drop_prob), x.shape).astype(x.dtype)
    return x * mask, DropoutCache(mask)


@mistake("dropout_forward", hint="""
    You keep entries with the probability with which they should be dropped. At 0.5 nobody
    notices; at 0.2 four fifths of the entries are gone.""")
def kept_instead_of_dropped(x, *, drop_prob, training, rng):
    if not training:
        return x, DropoutCache(None)
    mask = (rng.random(x.shape) < drop_prob).astype(x.dtype) / x.dtype.type(1 - drop_prob)
    return x * mask, DropoutCache(mask)


@mistake("dropout_forward", hint="""
    You multiply what stays by the probability to stay: the mean falls twice. It has to grow, to
    make up for what was dropped.""")
def rescaled_the_wrong_way(x, *, drop_prob, training, rng):
    if not training:
        return x, DropoutCache(None)
    mask = (rng.random(x.shape) >= drop_prob).astype(x.dtype) * x.dtype.type(1 - drop_prob)
    return x * mask, DropoutCache(mask)


@mistake("dropout_forward", hint="""
    You rescale in evaluation instead of in training. That works too, and was the first form of
    dropout, but then every use of the network has to know about it. Here evaluation changes
    nothing.""")
def rescaled_in_evaluation(x, *, drop_prob, training, rng):
    if not training:
        return x * x.dtype.type(1 - drop_prob), DropoutCache(None)
    mask = (rng.random(x.shape) >= drop_prob).astype(x.dtype)
    return x * mask, DropoutCache(mask)


@mistake("dropout_forward", hint="""
    You make a generator of your own, with a fixed seed: every call drops the same entries, and
    nobody can repeat or vary a run. Draw from the `rng` that is passed in.""")
def own_generator(x, *, drop_prob, training, rng):
    if not training:
        return x, DropoutCache(None)
    kept = np.random.default_rng(0).random(x.shape) >= drop_prob
    mask = kept.astype(x.dtype) / x.dtype.type(1 - drop_prob)
    return x * mask, DropoutCache(mask)


# ---------------------------------------------------------------- dropout_backward


@mistake("dropout_backward", hint="""
    The gradient passes as if nothing had been dropped. An entry that was set to 0 had no influence
    on the loss, so its gradient is 0.""")
def gradient_passes_everywhere(dy, cache):
    return dy.copy()


@mistake("dropout_backward", hint="""
    Dropped entries get no gradient, right. But what stayed was multiplied by a factor on the way
    forward, and the gradient takes the same factor. The mask holds it.""")
def factor_forgotten(dy, cache):
    if cache.mask is None:
        return dy
    return dy * (cache.mask > 0)


@mistake("dropout_backward", hint="""
    You apply the mask twice: the factor that it holds is squared. Once is right, as in the
    forward.""")
def mask_applied_twice(dy, cache):
    if cache.mask is None:
        return dy
    return dy * cache.mask * cache.mask


@mistake("dropout_backward", hint="""
    In evaluation there is no mask: `cache.mask` is None. The forward changed nothing there, so the
    gradient passes as it is.""")
def evaluation_forgotten(dy, cache):
    return dy * cache.mask


@mistake("dropout_backward", hint="""
    `*=` works in the memory of dy, which belongs to the caller. Where two paths share a gradient,
    the other one now gets yours. Make a new array.""")
def gradient_changed_in_place(dy, cache):
    if cache.mask is not None:
        dy *= cache.mask
    return dy
