"""Known mistakes of chapter 8: rules with one learning rate for all, AdaGrad and RMSProp."""

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- sgd_update


@mistake("sgd_update", hint="""
    Your step goes up the hill. The gradient points to where the loss grows fastest, and we want
    the other way.""", anchor="gradient-descent")
def step_goes_uphill(params, grads, state, *, learning_rate=1e-2, weight_decay=0.0):
    new = {k: p + learning_rate * (grads[k] + weight_decay * p) for k, p in params.items()}
    return new, dict(state)


@mistake("sgd_update", hint="""
    `-=` on an array works in its own memory, and that memory is the caller's: the old parameters
    are gone. Compute a new array for each parameter and leave the given ones alone.""",
         anchor="optimizer-state")
def parameters_changed_in_place(params, grads, state, *, learning_rate=1e-2, weight_decay=0.0):
    for k in params:
        params[k] -= learning_rate * (grads[k] + weight_decay * params[k])
    return params, dict(state)


@mistake("sgd_update", hint="""
    Your weight decay pushes the parameters away from 0. Its pull is the gradient of a penalty that
    grows with the weight, so it enters with the sign of the weight.""", anchor="adamw")
def decay_pushes_outwards(params, grads, state, *, learning_rate=1e-2, weight_decay=0.0):
    new = {k: p - learning_rate * (grads[k] - weight_decay * p) for k, p in params.items()}
    return new, dict(state)


@mistake("sgd_update", hint="""
    The weight decay is not multiplied by the learning rate. Here it is part of the gradient, so
    that it takes part in the step like everything else there.""", anchor="adamw")
def decay_without_the_rate(params, grads, state, *, learning_rate=1e-2, weight_decay=0.0):
    new = {k: p * (1 - weight_decay) - learning_rate * grads[k] for k, p in params.items()}
    return new, dict(state)


@mistake("sgd_update", hint="""
    Right without weight decay, but the option does nothing. The docstring says what is added to
    the gradient.""", anchor="adamw")
def decay_ignored(params, grads, state, *, learning_rate=1e-2, weight_decay=0.0):
    return {k: p - learning_rate * grads[k] for k, p in params.items()}, dict(state)


@mistake("sgd_update", hint="""
    You scale the gradient to length 1 before the step. Plain descent doesn't: where the slope is
    gentle its steps become short, and only so it comes to rest.""", anchor="gradient-descent")
def gradient_normalised(params, grads, state, *, learning_rate=1e-2, weight_decay=0.0):
    new = {}
    for k, p in params.items():
        g = grads[k] + weight_decay * p
        new[k] = p - learning_rate * g / np.sqrt((g * g).sum())
    return new, dict(state)


# ---------------------------------------------------------------- momentum_update


@mistake("momentum_update", hint="""
    The sign of the momentum is reversed. Here the velocity gathers gradients, with a plus, and is
    subtracted at the end. Where both signs are turned, as in some books, the state turns too.""")
def velocity_points_downhill(params, grads, state, *, learning_rate=1e-2, momentum=0.9,
                             nesterov=False):
    new, velocity = {}, {}
    for k, p in params.items():
        g = grads[k]
        v = velocity[k] = momentum * state["velocity"][k] - g
        new[k] = p + learning_rate * (momentum * v - g if nesterov else v)
    return new, {"step": state["step"] + 1, "velocity": velocity}


@mistake("momentum_update", hint="""
    Your velocity is a running mean: the gradient enters with the share 1 - momentum. In this rule,
    as in PyTorch, it enters whole. The steps are longer by the factor 1 / (1 - momentum).""",
         anchor="effective-step")
def velocity_is_a_mean(params, grads, state, *, learning_rate=1e-2, momentum=0.9, nesterov=False):
    new, velocity = {}, {}
    for k, p in params.items():
        g = (1 - momentum) * grads[k]
        v = velocity[k] = momentum * state["velocity"][k] + g
        new[k] = p - learning_rate * (g + momentum * v if nesterov else v)
    return new, {"step": state["step"] + 1, "velocity": velocity}


@mistake("momentum_update", hint="""
    The learning rate is inside your velocity. With a constant rate that gives the same steps from
    rest, but the state means something else, and a change of the rate would come late. Multiply
    when you step.""")
def learning_rate_in_the_velocity(params, grads, state, *, learning_rate=1e-2, momentum=0.9,
                                  nesterov=False):
    new, velocity = {}, {}
    for k, p in params.items():
        g = learning_rate * grads[k]
        v = velocity[k] = momentum * state["velocity"][k] + g
        new[k] = p - (g + momentum * v if nesterov else v)
    return new, {"step": state["step"] + 1, "velocity": velocity}


@mistake("momentum_update", hint="""
    The velocity is computed and stored, but the step follows the gradient alone. Nothing of the
    past reaches the parameters.""")
def velocity_not_used(params, grads, state, *, learning_rate=1e-2, momentum=0.9, nesterov=False):
    new, velocity = {}, {}
    for k, p in params.items():
        velocity[k] = momentum * state["velocity"][k] + grads[k]
        new[k] = p - learning_rate * grads[k]
    return new, {"step": state["step"] + 1, "velocity": velocity}


@mistake("momentum_update", hint="""
    You step along the velocity from before this gradient. First bring the velocity up to date,
    then step along it.""")
def old_velocity_used(params, grads, state, *, learning_rate=1e-2, momentum=0.9, nesterov=False):
    new, velocity = {}, {}
    for k, p in params.items():
        g, old = grads[k], state["velocity"][k]
        velocity[k] = momentum * old + g
        new[k] = p - learning_rate * (g + momentum * old if nesterov else old)
    return new, {"step": state["step"] + 1, "velocity": velocity}


@mistake("momentum_update", hint="""
    Right without Nesterov, but `nesterov=True` changes nothing. Only the direction of the step
    differs then; the velocity stays.""", anchor="nesterov")
def nesterov_ignored(params, grads, state, *, learning_rate=1e-2, momentum=0.9, nesterov=False):
    velocity = {k: momentum * state["velocity"][k] + grads[k] for k in params}
    new = {k: p - learning_rate * velocity[k] for k, p in params.items()}
    return new, {"step": state["step"] + 1, "velocity": velocity}


@mistake("momentum_update", hint="""
    Your Nesterov step follows the velocity, shortened once more by the momentum, and leaves the
    present gradient out. It counts once more on its own.""", anchor="nesterov")
def nesterov_without_the_gradient(params, grads, state, *, learning_rate=1e-2, momentum=0.9,
                                  nesterov=False):
    new, velocity = {}, {}
    for k, p in params.items():
        v = velocity[k] = momentum * state["velocity"][k] + grads[k]
        new[k] = p - learning_rate * (momentum * v if nesterov else v)
    return new, {"step": state["step"] + 1, "velocity": velocity}


@mistake("momentum_update", hint="""
    The velocities in the given state are overwritten. A caller who keeps an old state, to go back
    to it or to compare, finds it changed. Build new arrays.""", anchor="optimizer-state")
def velocity_changed_in_place(params, grads, state, *, learning_rate=1e-2, momentum=0.9,
                              nesterov=False):
    new, velocity = {}, state["velocity"]
    for k, p in params.items():
        velocity[k] *= momentum
        velocity[k] += grads[k]
        new[k] = p - learning_rate * (
            grads[k] + momentum * velocity[k] if nesterov else velocity[k])
    return new, {"step": state["step"] + 1, "velocity": velocity}


# ---------------------------------------------------------------- adagrad_update


@mistake("adagrad_update", hint="""
    You divide by the size of the present gradient alone: every step then has the length of the
    learning rate. AdaGrad adds this square to all earlier ones.""")
def earlier_squares_forgotten(params, grads, state, *, learning_rate=1e-2, eps=1e-10):
    squares = {k: grads[k] ** 2 for k in params}
    new = {k: p - learning_rate * grads[k] / (np.sqrt(squares[k]) + eps)
           for k, p in params.items()}
    return new, {"step": state["step"] + 1, "square_sum": squares}


@mistake("adagrad_update", hint="""
    You divide by the sum of the squares itself. Its root has the unit of a gradient; without it
    the steps shrink far too fast, and a scaled loss gives scaled steps.""")
def root_of_the_sum_forgotten(params, grads, state, *, learning_rate=1e-2, eps=1e-10):
    squares = {k: state["square_sum"][k] + grads[k] ** 2 for k in params}
    new = {k: p - learning_rate * grads[k] / (squares[k] + eps) for k, p in params.items()}
    return new, {"step": state["step"] + 1, "square_sum": squares}


@mistake("adagrad_update", hint="""
    Your epsilon stands inside the root. There its root is added, a number many times larger:
    the root of 1e-10 is 1e-5. It belongs outside.""", anchor="epsilon")
def epsilon_inside_adagrads_root(params, grads, state, *, learning_rate=1e-2, eps=1e-10):
    squares = {k: state["square_sum"][k] + grads[k] ** 2 for k in params}
    new = {k: p - learning_rate * grads[k] / np.sqrt(squares[k] + eps) for k, p in params.items()}
    return new, {"step": state["step"] + 1, "square_sum": squares}


@mistake("adagrad_update", hint="""
    You divide by the root of the sum before this gradient was added. In the first step that sum
    is 0, and the step becomes enormous. First add, then divide.""")
def old_sum_used(params, grads, state, *, learning_rate=1e-2, eps=1e-10):
    squares = {k: state["square_sum"][k] + grads[k] ** 2 for k in params}
    new = {k: p - learning_rate * grads[k] / (np.sqrt(state["square_sum"][k]) + eps)
           for k, p in params.items()}
    return new, {"step": state["step"] + 1, "square_sum": squares}


@mistake("adagrad_update", hint="""
    Your sum runs over all entries of a parameter, so that they share one number and one step size.
    Each entry has a sum of its own; that is what makes the rule adaptive.""")
def one_sum_for_the_whole_array(params, grads, state, *, learning_rate=1e-2, eps=1e-10):
    squares = {k: state["square_sum"][k] + (grads[k] ** 2).sum() for k in params}
    new = {k: p - learning_rate * grads[k] / (np.sqrt(squares[k]) + eps)
           for k, p in params.items()}
    return new, {"step": state["step"] + 1, "square_sum": squares}


@mistake("adagrad_update", hint="""
    The sums in the given state are overwritten. Return a new state with new arrays, and leave the
    given one as it is.""", anchor="optimizer-state")
def sum_changed_in_place(params, grads, state, *, learning_rate=1e-2, eps=1e-10):
    new, squares = {}, state["square_sum"]
    for k, p in params.items():
        squares[k] += grads[k] ** 2
        new[k] = p - learning_rate * grads[k] / (np.sqrt(squares[k]) + eps)
    return new, {"step": state["step"] + 1, "square_sum": squares}


# ---------------------------------------------------------------- rmsprop_update


@mistake("rmsprop_update", hint="""
    The two shares of the running mean are swapped. With alpha = 0.99 nearly all of the old mean is
    kept, and the new square gets the small share.""")
def shares_swapped(params, grads, state, *, learning_rate=1e-2, alpha=0.99, eps=1e-8):
    means = {k: (1 - alpha) * state["square_mean"][k] + alpha * grads[k] ** 2 for k in params}
    new = {k: p - learning_rate * grads[k] / (np.sqrt(means[k]) + eps) for k, p in params.items()}
    return new, {"step": state["step"] + 1, "square_mean": means}


@mistake("rmsprop_update", hint="""
    You keep the share alpha of the old mean but add the whole new square: that grows to 1 / (1 -
    alpha) times the mean. The two shares of a mean add up to 1.""")
def new_square_enters_whole(params, grads, state, *, learning_rate=1e-2, alpha=0.99, eps=1e-8):
    means = {k: alpha * state["square_mean"][k] + grads[k] ** 2 for k in params}
    new = {k: p - learning_rate * grads[k] / (np.sqrt(means[k]) + eps) for k, p in params.items()}
    return new, {"step": state["step"] + 1, "square_mean": means}


@mistake("rmsprop_update", hint="""
    Your epsilon stands inside the root, where it counts as its own root: 1e-8 becomes 1e-4. It
    belongs outside.""", anchor="epsilon")
def epsilon_inside_rmsprops_root(params, grads, state, *, learning_rate=1e-2, alpha=0.99, eps=1e-8):
    means = {k: alpha * state["square_mean"][k] + (1 - alpha) * grads[k] ** 2 for k in params}
    new = {k: p - learning_rate * grads[k] / np.sqrt(means[k] + eps) for k, p in params.items()}
    return new, {"step": state["step"] + 1, "square_mean": means}


@mistake("rmsprop_update", hint="""
    You divide by the mean square itself. Its root has the unit of a gradient: only then does the
    length of a step not depend on the scale of the loss.""")
def root_of_the_mean_forgotten(params, grads, state, *, learning_rate=1e-2, alpha=0.99, eps=1e-8):
    means = {k: alpha * state["square_mean"][k] + (1 - alpha) * grads[k] ** 2 for k in params}
    new = {k: p - learning_rate * grads[k] / (means[k] + eps) for k, p in params.items()}
    return new, {"step": state["step"] + 1, "square_mean": means}


@mistake("rmsprop_update", hint="""
    You correct the mean for its start at 0. That is Adam's idea; RMSProp, here as in PyTorch,
    doesn't, and its first steps are long.""", anchor="bias-correction")
def corrected_like_adam(params, grads, state, *, learning_rate=1e-2, alpha=0.99, eps=1e-8):
    step = state["step"] + 1
    means = {k: alpha * state["square_mean"][k] + (1 - alpha) * grads[k] ** 2 for k in params}
    new = {k: p - learning_rate * grads[k] / (np.sqrt(means[k] / (1 - alpha**step)) + eps)
           for k, p in params.items()}
    return new, {"step": step, "square_mean": means}


@mistake("rmsprop_update", hint="""
    You average the gradients and square the mean. Gradients of both signs then cancel, and the
    steps explode. Square first, then average.""")
def square_of_the_mean(params, grads, state, *, learning_rate=1e-2, alpha=0.99, eps=1e-8):
    means = {k: (alpha * np.sqrt(state["square_mean"][k]) + (1 - alpha) * grads[k]) ** 2
             for k in params}
    new = {k: p - learning_rate * grads[k] / (np.sqrt(means[k]) + eps) for k, p in params.items()}
    return new, {"step": state["step"] + 1, "square_mean": means}


@mistake("rmsprop_update", hint="""
    The means in the given state are overwritten. Return a new state with new arrays, and leave the
    given one as it is.""", anchor="optimizer-state")
def mean_changed_in_place(params, grads, state, *, learning_rate=1e-2, alpha=0.99, eps=1e-8):
    new, means = {}, state["square_mean"]
    for k, p in params.items():
        means[k] *= alpha
        means[k] += (1 - alpha) * grads[k] ** 2
        new[k] = p - learning_rate * grads[k] / (np.sqrt(means[k]) + eps)
    return new, {"step": state["step"] + 1, "square_mean": means}
