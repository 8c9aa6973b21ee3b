"""Known mistakes of chapter 5: layer backwards, the gradient check, the parts of an engine."""

import numpy as np

from nnlib.contract import LinearGrads
from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- linear_backward


@mistake("linear_backward", hint="""
    `db` still has one row per example. The bias enters every row of the batch, so its gradient
    collects a contribution from each of them: see the last line of equation (5.4).""")
def bias_gradient_not_summed(dy, cache):
    return LinearGrads(dy @ cache.w.T, cache.x.T @ dy, None if cache.b is None else dy)


@mistake("linear_backward", hint="""
    `db` is an average over the rows. The bias adds to every row, so the contributions add up.
    If the loss is a mean, its 1/n is in `dy` already.""")
def bias_gradient_averaged(dy, cache):
    db = None if cache.b is None else dy.mean(axis=0)
    return LinearGrads(dy @ cache.w.T, cache.x.T @ dy, db)


@mistake("linear_backward", hint="""
    `db` is summed over the wrong axis: it has one entry per example. It must have the shape of
    `b`, one entry per output.""")
def bias_gradient_summed_over_outputs(dy, cache):
    db = None if cache.b is None else dy.sum(axis=1)
    return LinearGrads(dy @ cache.w.T, cache.x.T @ dy, db)


@mistake("linear_backward", hint="""
    In `dx` the weights are not transposed. Write the shapes under the product: (n, d_out) times
    what gives (n, d_in)? With a square `w` the shapes fit either way, the numbers don't.""")
def weights_not_transposed(dy, cache):
    return LinearGrads(dy @ cache.w, cache.x.T @ dy, None if cache.b is None else dy.sum(axis=0))


@mistake("linear_backward", hint="""
    `dw` comes out transposed: it must have the shape of `w`, (d_in, d_out). Which of the two
    factors has d_in rows once it is transposed?""")
def weight_gradient_transposed(dy, cache):
    db = None if cache.b is None else dy.sum(axis=0)
    return LinearGrads(dy @ cache.w.T, dy.T @ cache.x, db)


@mistake("linear_backward", hint="""
    `dw` and `db` are divided by the number of rows. The 1/n of a mean loss belongs to the loss
    and arrives in `dy`; a layer that divides again takes the mean twice.""")
def divided_by_the_batch_size(dy, cache):
    n = max(len(dy), 1)
    db = None if cache.b is None else dy.sum(axis=0) / n
    return LinearGrads(dy @ cache.w.T, cache.x.T @ dy / n, db)


@mistake("linear_backward", hint="""
    The upstream gradient `dy` plays no part beyond its shape. Each gradient is the layer's own
    derivative *times* what arrives from above: see equation (5.3).""",
         anchor="vector-jacobian-products")
def upstream_gradient_ignored(dy, cache):
    ones = np.ones_like(dy)
    db = None if cache.b is None else ones.sum(axis=0)
    return LinearGrads(ones @ cache.w.T, cache.x.T @ ones, db)


@mistake("linear_backward", hint="""
    The layer had no bias (`cache.b` is None), yet you return a gradient for it. There `db` is
    None.""")
def gradient_for_a_missing_bias(dy, cache):
    return LinearGrads(dy @ cache.w.T, cache.x.T @ dy, dy.sum(axis=0))


# ---------------------------------------------------------------- relu_backward


@mistake("relu_backward", hint="""
    At exactly 0 your gradient passes. The course, like PyTorch, takes relu'(0) = 0: compare with
    a strict inequality.""")
def kink_lets_the_gradient_pass(dy, cache):
    return np.where(cache.x >= 0, dy, 0)


@mistake("relu_backward", hint="""
    The mask looks at the sign of `dy`. What decides is where the *input* of the forward was
    positive; a negative gradient passes there too.""")
def mask_taken_from_the_upstream(dy, cache):
    return np.where(dy > 0, dy, 0)


@mistake("relu_backward", hint="""
    You return the derivative of ReLU, 0 or 1. The backward multiplies it by the upstream
    gradient: equation (5.5) has both factors.""")
def upstream_left_out(dy, cache):
    return (cache.x > 0).astype(dy.dtype)


@mistake("relu_backward", hint="""
    You multiply by the output max(x, 0). The chain rule asks for the *derivative* of ReLU, which
    is 0 or 1.""")
def multiplied_by_the_output(dy, cache):
    return dy * np.maximum(cache.x, 0)


@mistake("relu_backward", hint="""
    The gradient passes everywhere, as if there were no ReLU. Where the input was negative the
    output is constant, so nothing may pass.""")
def nothing_blocked(dy, cache):
    return dy.copy()


@mistake("relu_backward", hint="""
    The numbers are right, but you write zeros into the caller's `dy`. Another layer may still
    need that array: build a new one.""", anchor="accumulation")
def upstream_overwritten_in_place(dy, cache):
    dy[cache.x <= 0] = 0
    return dy


# ---------------------------------------------------------------- numerical_vjp




@mistake("numerical_vjp", hint="""
    This is a one-sided difference: f(x + eps) - f(x). Its error falls only with eps. Step to both
    sides, as in equation (5.8), and it falls with eps**2.""", anchor="u-curve")
def one_sided_difference(f, x, dy, *, eps=1e-6):
    dx = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        moved = x.copy()
        moved[index] += eps
        dx[index] = np.sum((f(moved) - f(x.copy())) * dy) / eps
    return dx


@mistake("numerical_vjp", hint="""
    The result is twice too large. The two points lie 2 eps apart, one step to each side: divide by
    that distance.""")
def distance_not_doubled(f, x, dy, *, eps=1e-6):
    dx = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        plus, minus = x.copy(), x.copy()
        plus[index] += eps
        minus[index] -= eps
        dx[index] = np.sum((f(plus) - f(minus)) * dy) / eps
    return dx


@mistake("numerical_vjp", hint="""
    The outputs are summed with weight 1: the upstream gradient `dy` is ignored. That is the check
    with all ones, which softmax passes with zeros. Weight each output by its entry of `dy`.""",
         anchor="all-ones-upstream")
def upstream_replaced_by_ones(f, x, dy, *, eps=1e-6):
    dx = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        plus, minus = x.copy(), x.copy()
        plus[index] += eps
        minus[index] -= eps
        dx[index] = np.sum(f(plus) - f(minus)) / (2 * eps)
    return dx


@mistake("numerical_vjp", hint="""
    You step `x` in place and don't step it back. Every later entry is then taken at another point,
    and the caller's array is changed. Work on a copy for each index.""")
def input_not_restored(f, x, dy, *, eps=1e-6):
    dx = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        x[index] += eps
        plus = np.array(f(x))
        x[index] -= 2 * eps
        dx[index] = np.sum((plus - f(x)) * dy) / (2 * eps)
    return dx


@mistake("numerical_vjp", tracks=("numpy",), hint="""
    You call `f` twice on one array that changes in between. A function may return its argument
    itself; then both results are the same array and the difference is 0. Give each call an array
    of its own.""")
def both_calls_share_one_array(f, x, dy, *, eps=1e-6):
    x = x.copy()
    dx = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        x[index] += eps
        plus = f(x)
        x[index] -= 2 * eps
        minus = f(x)
        x[index] += eps
        dx[index] = np.sum((plus - minus) * dy) / (2 * eps)
    return dx


@mistake("numerical_vjp", hint="""
    All entries of `x` move at once. That works only while each output depends on one input. For
    the derivative by one entry, move that entry alone.""")
def all_entries_moved_at_once(f, x, dy, *, eps=1e-6):
    return (f(x + eps) - f(x - eps)) * dy / (2 * eps)


@mistake("numerical_vjp", hint="""
    The step is a fixed number: the argument `eps` has no effect.""", anchor="u-curve")
def step_hard_coded(f, x, dy, *, eps=1e-6):
    dx = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-6
        dx[index] = np.sum((f(x + step) - f(x - step)) * dy) / 2e-6
    return dx


# ---------------------------------------------------------------- mlp_backward


@mistake("mlp_backward", hint="""
    The gradient goes from one linear layer straight into the one below, past the ReLU between
    them. Every step of the forward has its step in the backward.""")
def relu_skipped(dlogits, cache, *, linear_backward, relu_backward):
    grads, dy = [], dlogits
    for layer in reversed(cache.linear):
        grads.append(linear_backward(dy, layer))
        dy = grads[-1].dx
    return grads[::-1]


@mistake("mlp_backward", hint="""
    The gradients are right, but listed from the last layer to the first. The result is in the
    order of the layers: turn it round at the end.""")
def listed_from_the_last_layer(dlogits, cache, *, linear_backward, relu_backward):
    grads = [linear_backward(dlogits, cache.linear[-1])]
    for layer, relu in zip(cache.linear[-2::-1], cache.relu[::-1], strict=True):
        grads.append(linear_backward(relu_backward(grads[-1].dx, relu), layer))
    return grads


@mistake("mlp_backward", hint="""
    The ReLU caches are taken from the first to the last while the layers run from the last to the
    first. With one hidden layer nobody notices. Walk both lists backward.""")
def relu_caches_in_forward_order(dlogits, cache, *, linear_backward, relu_backward):
    grads = [linear_backward(dlogits, cache.linear[-1])]
    for layer, relu in zip(cache.linear[-2::-1], cache.relu, strict=True):
        grads.append(linear_backward(relu_backward(grads[-1].dx, relu), layer))
    return grads[::-1]


@mistake("mlp_backward", hint="""
    Every layer gets `dlogits`. Only the last one does: each layer below gets the `dx` of the
    layer above it, after the ReLU between them.""")
def same_upstream_for_every_layer(dlogits, cache, *, linear_backward, relu_backward):
    return [linear_backward(dlogits, layer) for layer in cache.linear]


@mistake("mlp_backward", hint="""
    What goes down to the next layer is the weight gradient `dw`. The layer below produced this
    layer's *input*, so it needs the gradient with respect to that input.""")
def weight_gradient_passed_down(dlogits, cache, *, linear_backward, relu_backward):
    grads = [linear_backward(dlogits, cache.linear[-1])]
    for layer, relu in zip(cache.linear[-2::-1], cache.relu[::-1], strict=True):
        grads.append(linear_backward(relu_backward(grads[-1].dw, relu), layer))
    return grads[::-1]


@mistake("mlp_backward", hint="""
    Each layer divides by the number of rows once more. The 1/n of the mean is in `dlogits`
    already; the layers pass on what they get.""", anchor="softmax-cross-entropy-backward")
def mean_taken_in_every_layer(dlogits, cache, *, linear_backward, relu_backward):
    grads = [linear_backward(dlogits / len(dlogits), cache.linear[-1])]
    for layer, relu in zip(cache.linear[-2::-1], cache.relu[::-1], strict=True):
        dy = relu_backward(grads[-1].dx, relu) / len(dlogits)
        grads.append(linear_backward(dy, layer))
    return grads[::-1]
