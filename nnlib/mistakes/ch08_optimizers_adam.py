"""Known mistakes of chapter 8: Adam and AdamW."""

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- adam_update


@mistake("adam_update", hint="""
    The bias correction is missing. Both means start at 0 and are too small at first, the one under
    the root more so: the early steps become several times too long.""", anchor="bias-correction")
def no_bias_correction(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999,
                       eps=1e-8, weight_decay=0.0):
    new, ms, vs = {}, {}, {}
    for k, p in params.items():
        g = grads[k] + weight_decay * p
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * g
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * g**2
        new[k] = p - learning_rate * m / (np.sqrt(v) + eps)
    return new, {"step": state["step"] + 1, "m": ms, "v": vs}


@mistake("adam_update", hint="""
    You take the number of updates before this one. In the first update that is 0, and 1 - beta**0
    is 0: a division by zero. Count from 1.""", anchor="bias-correction")
def step_counted_from_zero(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999,
                           eps=1e-8, weight_decay=0.0):
    new, ms, vs, t = {}, {}, {}, np.float64(state["step"])
    with np.errstate(all="ignore"):
        for k, p in params.items():
            g = grads[k] + weight_decay * p
            m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * g
            v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * g**2
            m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
            new[k] = (p - learning_rate * m_hat / (np.sqrt(v_hat) + eps)).astype(p.dtype)
    return new, {"step": state["step"] + 1, "m": ms, "v": vs}


@mistake("adam_update", hint="""
    Your epsilon stands inside the root. There 1e-8 counts as 1e-4, ten thousand times as much,
    and parameters with small gradients hardly move. It belongs outside.""", anchor="epsilon")
def epsilon_inside_adams_root(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999,
                              eps=1e-8, weight_decay=0.0):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        g = grads[k] + weight_decay * p
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * g
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        new[k] = p - learning_rate * m_hat / np.sqrt(v_hat + eps)
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adam_update", hint="""
    You fold both corrections into the learning rate and add epsilon to the uncorrected root. That
    short form gives epsilon another weight in the early steps. Correct first, then add it.""",
         anchor="epsilon")
def epsilon_added_before_the_correction(params, grads, state, *, learning_rate=1e-3, beta1=0.9,
                                        beta2=0.999, eps=1e-8, weight_decay=0.0):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    rate = learning_rate * (1 - beta2**t) ** 0.5 / (1 - beta1**t)
    for k, p in params.items():
        g = grads[k] + weight_decay * p
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * g
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * g**2
        new[k] = p - rate * m / (np.sqrt(v) + eps)
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adam_update", hint="""
    Only the mean of the gradients is corrected, not the mean of their squares. The root stays too
    small at first, and the first step is 1 / sqrt(1 - beta2), about 32 times too long.""",
         anchor="bias-correction")
def second_moment_not_corrected(params, grads, state, *, learning_rate=1e-3, beta1=0.9,
                                beta2=0.999, eps=1e-8, weight_decay=0.0):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        g = grads[k] + weight_decay * p
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * g
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * g**2
        new[k] = p - learning_rate * (m / (1 - beta1**t)) / (np.sqrt(v) + eps)
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adam_update", hint="""
    The two betas are swapped: the gradient gets the long memory and its square the short one.
    beta1 belongs to m, beta2 to v.""")
def betas_swapped(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8,
                  weight_decay=0.0):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        g = grads[k] + weight_decay * p
        m = ms[k] = beta2 * state["m"][k] + (1 - beta2) * g
        v = vs[k] = beta1 * state["v"][k] + (1 - beta1) * g**2
        m_hat, v_hat = m / (1 - beta2**t), v / (1 - beta1**t)
        new[k] = p - learning_rate * m_hat / (np.sqrt(v_hat) + eps)
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adam_update", hint="""
    You feed v the square of m. It is to average the squares of the gradients themselves: gradients
    of both signs cancel in m, and then the steps become far too long.""")
def square_of_the_mean_averaged(params, grads, state, *, learning_rate=1e-3, beta1=0.9,
                                beta2=0.999, eps=1e-8, weight_decay=0.0):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        g = grads[k] + weight_decay * p
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * g
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * m**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        new[k] = p - learning_rate * m_hat / (np.sqrt(v_hat) + eps)
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adam_update", hint="""
    The corrected means are stored in the state, so that the next step corrects them again. Keep
    the raw means; the corrected ones serve this one step.""", anchor="bias-correction")
def corrected_means_stored(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999,
                           eps=1e-8, weight_decay=0.0):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        g = grads[k] + weight_decay * p
        ms[k] = (beta1 * state["m"][k] + (1 - beta1) * g) / (1 - beta1**t)
        vs[k] = (beta2 * state["v"][k] + (1 - beta2) * g**2) / (1 - beta2**t)
        new[k] = p - learning_rate * ms[k] / (np.sqrt(vs[k]) + eps)
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adam_update", hint="""
    The weight decay shrinks the parameter directly. That is AdamW. In Adam it is added to the
    gradient before the means see it.""", anchor="adamw")
def decay_decoupled(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8,
                    weight_decay=0.0):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        g = grads[k]
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * g
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        new[k] = (1 - learning_rate * weight_decay) * p - learning_rate * m_hat / (
            np.sqrt(v_hat) + eps)
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adam_update", hint="""
    `state["step"]` is returned as it came. Every later update then believes to be the first one
    and corrects far too much. Return it one larger.""", anchor="optimizer-state")
def step_not_counted(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999,
                     eps=1e-8, weight_decay=0.0):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        g = grads[k] + weight_decay * p
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * g
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        new[k] = p - learning_rate * m_hat / (np.sqrt(v_hat) + eps)
    return new, {"step": state["step"], "m": ms, "v": vs}


@mistake("adam_update", hint="""
    One count for all parameters, please: your t grows with every parameter of the dict, so the
    second one is corrected as if it were at the next step.""", anchor="optimizer-state")
def step_counted_for_each_parameter(params, grads, state, *, learning_rate=1e-3, beta1=0.9,
                                    beta2=0.999, eps=1e-8, weight_decay=0.0):
    new, ms, vs, t = {}, {}, {}, state["step"]
    for k, p in params.items():
        t += 1
        g = grads[k] + weight_decay * p
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * g
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        new[k] = p - learning_rate * m_hat / (np.sqrt(v_hat) + eps)
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adam_update", hint="""
    The means in the given state are overwritten. Return a new state with new arrays, and leave the
    given one as it is.""", anchor="optimizer-state")
def means_changed_in_place(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999,
                           eps=1e-8, weight_decay=0.0):
    new, t = {}, state["step"] + 1
    for k, p in params.items():
        g, m, v = grads[k] + weight_decay * p, state["m"][k], state["v"][k]
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        new[k] = p - learning_rate * m_hat / (np.sqrt(v_hat) + eps)
    return new, {"step": t, "m": state["m"], "v": state["v"]}


# ---------------------------------------------------------------- adamw_update


@mistake("adamw_update", hint="""
    The decay is coupled: it goes through the means and is divided by the root like the gradient,
    so weights with large gradients hardly decay. That is Adam with a penalty. In AdamW the decay
    acts on the parameter itself.""")
def decay_coupled(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8,
                  weight_decay=1e-2):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        g = grads[k] + weight_decay * p
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * g
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        new[k] = p - learning_rate * m_hat / (np.sqrt(v_hat) + eps)
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adamw_update", hint="""
    The decay is not multiplied by the learning rate. With a decay of 0.01 every step would then
    take one per cent of each weight, whatever the learning rate is.""")
def decay_not_scaled_by_the_rate(params, grads, state, *, learning_rate=1e-3, beta1=0.9,
                                 beta2=0.999, eps=1e-8, weight_decay=1e-2):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * grads[k]
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * grads[k] ** 2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        new[k] = (1 - weight_decay) * p - learning_rate * m_hat / (np.sqrt(v_hat) + eps)
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adamw_update", hint="""
    You take Adam's step first and shrink the result, the step included. The decay refers to the
    parameter as it came in.""")
def step_decays_too(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8,
                    weight_decay=1e-2):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * grads[k]
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * grads[k] ** 2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        moved = p - learning_rate * m_hat / (np.sqrt(v_hat) + eps)
        new[k] = (1 - learning_rate * weight_decay) * moved
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adamw_update", hint="""
    There is no decay at all: that is plain Adam. The docstring's default for `weight_decay` is not
    0.""")
def decay_forgotten(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8,
                    weight_decay=1e-2):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * grads[k]
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * grads[k] ** 2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        new[k] = p - learning_rate * m_hat / (np.sqrt(v_hat) + eps)
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adamw_update", hint="""
    The weights grow by the decay instead of shrinking. Look at its sign.""")
def weights_grow(params, grads, state, *, learning_rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8,
                 weight_decay=1e-2):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * grads[k]
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * grads[k] ** 2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        new[k] = (1 + learning_rate * weight_decay) * p - learning_rate * m_hat / (
            np.sqrt(v_hat) + eps)
    return new, {"step": t, "m": ms, "v": vs}


@mistake("adamw_update", hint="""
    The decay is right, but the bias correction is missing. The means start at 0 as in Adam, and
    are corrected in the same way.""", anchor="bias-correction")
def decoupled_without_correction(params, grads, state, *, learning_rate=1e-3, beta1=0.9,
                                 beta2=0.999, eps=1e-8, weight_decay=1e-2):
    new, ms, vs = {}, {}, {}
    for k, p in params.items():
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * grads[k]
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * grads[k] ** 2
        new[k] = (1 - learning_rate * weight_decay) * p - learning_rate * m / (np.sqrt(v) + eps)
    return new, {"step": state["step"] + 1, "m": ms, "v": vs}


@mistake("adamw_update", hint="""
    The decay is right, but epsilon stands inside the root, where it counts as its own root. It
    belongs outside.""", anchor="epsilon")
def decoupled_with_epsilon_inside(params, grads, state, *, learning_rate=1e-3, beta1=0.9,
                                  beta2=0.999, eps=1e-8, weight_decay=1e-2):
    new, ms, vs, t = {}, {}, {}, state["step"] + 1
    for k, p in params.items():
        m = ms[k] = beta1 * state["m"][k] + (1 - beta1) * grads[k]
        v = vs[k] = beta2 * state["v"][k] + (1 - beta2) * grads[k] ** 2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        new[k] = (1 - learning_rate * weight_decay) * p - learning_rate * m_hat / np.sqrt(
            v_hat + eps)
    return new, {"step": t, "m": ms, "v": vs}
