"""Known mistakes of chapter 6: batches, one step, many epochs."""

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- iterate_batches


@mistake("iterate_batches", hint="""
    `x` and `y` come in different orders: one is shuffled and the other not, or each on its own.
    Every example then gets somebody else's label, and no network can learn that. Draw one order
    and use it for both.""")
def x_shuffled_without_y(x, y, *, batch_size, rng=None, shuffle=True, drop_last=False):
    order = rng.permutation(len(x)) if shuffle else np.arange(len(x))
    stop = len(x) - len(x) % batch_size if drop_last else len(x)
    for start in range(0, stop, batch_size):
        yield x[order[start : start + batch_size]], y[start : start + batch_size]


@mistake("iterate_batches", hint="""
    The last, smaller batch never comes, although `drop_last` is False. Those examples would not be
    trained on in this epoch. Do your starts go up to n?""", anchor="epochs-and-iterations")
def last_batch_dropped(x, y, *, batch_size, rng=None, shuffle=True, drop_last=False):
    order = rng.permutation(len(x)) if shuffle else np.arange(len(x))
    for k in range(len(x) // batch_size):
        rows = order[k * batch_size : (k + 1) * batch_size]
        yield x[rows], y[rows]


@mistake("iterate_batches", hint="""
    Only the order of the batches changes: rows that were neighbours in the data stay in one batch
    for ever. If the data are sorted by class, each batch then holds one class. Shuffle the rows,
    then cut.""")
def batch_starts_shuffled_only(x, y, *, batch_size, rng=None, shuffle=True, drop_last=False):
    stop = len(x) - len(x) % batch_size if drop_last else len(x)
    starts = np.arange(0, stop, batch_size)
    if shuffle:
        starts = rng.permutation(starts[:-1]).tolist() + starts[-1:].tolist()
    for start in starts:
        yield x[start : start + batch_size], y[start : start + batch_size]


@mistake("iterate_batches", hint="""
    Rows are drawn with replacement: in one epoch some come twice and some not at all. An epoch
    visits each example exactly once.""", anchor="epochs-and-iterations")
def drawn_with_replacement(x, y, *, batch_size, rng=None, shuffle=True, drop_last=False):
    n = len(x)
    order = rng.integers(max(n, 1), size=n) if shuffle else np.arange(n)
    stop = n - n % batch_size if drop_last else n
    for start in range(0, stop, batch_size):
        rows = order[start : start + batch_size]
        yield x[rows], y[rows]


@mistake("iterate_batches", hint="""
    The order is the same whatever generator is passed, so it is the same in every epoch too. Let
    the caller's `rng` decide; a generator that you make inside begins anew at each call.""")
def own_generator_inside(x, y, *, batch_size, rng=None, shuffle=True, drop_last=False):
    order = np.random.default_rng(0).permutation(len(x)) if shuffle else np.arange(len(x))
    stop = len(x) - len(x) % batch_size if drop_last else len(x)
    for start in range(0, stop, batch_size):
        rows = order[start : start + batch_size]
        yield x[rows], y[rows]


@mistake("iterate_batches", hint="""
    `drop_last` plays no part: the smaller last batch comes although the caller asked to leave it
    out.""", anchor="epochs-and-iterations")
def drop_last_ignored(x, y, *, batch_size, rng=None, shuffle=True, drop_last=False):
    order = rng.permutation(len(x)) if shuffle else np.arange(len(x))
    for start in range(0, len(x), batch_size):
        rows = order[start : start + batch_size]
        yield x[rows], y[rows]


@mistake("iterate_batches", hint="""
    The caller's own array comes back shuffled: `rng.shuffle` works in place. Shuffle row numbers
    instead, and index with them.""")
def shuffled_in_place(x, y, *, batch_size, rng=None, shuffle=True, drop_last=False):
    order = rng.permutation(len(x)) if shuffle else np.arange(len(x))
    x[:], y[:] = x[order], y[order]
    stop = len(x) - len(x) % batch_size if drop_last else len(x)
    for start in range(0, stop, batch_size):
        yield x[start : start + batch_size].copy(), y[start : start + batch_size].copy()


# ---------------------------------------------------------------- mini_batch_step


@mistake("mini_batch_step", hint="""
    The step goes uphill: the loss grows. The gradient points to where the loss increases, so move
    against it.""")
def step_uphill(params, x, y, *, forward, loss, backward, learning_rate):
    pred, cache = forward(params, x)
    value, dpred = loss(pred, y)
    grads = backward(dpred, cache)
    return {name: p + learning_rate * grads[name] for name, p in params.items()}, value


@mistake("mini_batch_step", hint="""
    The numbers are right, but the caller's arrays are changed: `p -= ...` writes into them. Then
    nobody can keep the best parameters of an earlier epoch. Make new arrays.""",
         anchor="early-stopping")
def parameters_changed_in_place(params, x, y, *, forward, loss, backward, learning_rate):
    pred, cache = forward(params, x)
    value, dpred = loss(pred, y)
    grads = backward(dpred, cache)
    for name in params:
        params[name] -= learning_rate * grads[name]
    return params, value


@mistake("mini_batch_step", hint="""
    The returned loss is that of the new parameters, which costs a second forward pass. Return the
    value that you have already, from before the step.""")
def loss_after_the_step(params, x, y, *, forward, loss, backward, learning_rate):
    pred, cache = forward(params, x)
    grads = backward(loss(pred, y)[1], cache)
    new = {name: p - learning_rate * grads[name] for name, p in params.items()}
    return new, loss(forward(new, x)[0], y)[0]


@mistake("mini_batch_step", hint="""
    The gradients are divided by the number of rows once more. The loss is a mean, so its 1/n is in
    the gradient already: with batches of 64 your steps would be 64 times too short.""")
def divided_by_the_batch_size_again(params, x, y, *, forward, loss, backward, learning_rate):
    pred, cache = forward(params, x)
    value, dpred = loss(pred, y)
    grads = backward(dpred, cache)
    return {name: p - learning_rate * grads[name] / len(x) for name, p in params.items()}, value


@mistake("mini_batch_step", hint="""
    The learning rate plays no part: you subtract the whole gradient. See equation (6.1).""")
def learning_rate_left_out(params, x, y, *, forward, loss, backward, learning_rate):
    pred, cache = forward(params, x)
    value, dpred = loss(pred, y)
    grads = backward(dpred, cache)
    return {name: p - grads[name] for name, p in params.items()}, value


@mistake("mini_batch_step", hint="""
    The biases stay where they are. They are parameters like the weights: update every entry of
    `params`.""")
def biases_left_out(params, x, y, *, forward, loss, backward, learning_rate):
    pred, cache = forward(params, x)
    value, dpred = loss(pred, y)
    grads = backward(dpred, cache)
    return {name: p - learning_rate * grads[name] if p.ndim > 1 else p.copy()
            for name, p in params.items()}, value


@mistake("mini_batch_step", hint="""
    The predictions themselves go into `backward`. What must go back is the gradient of the loss by
    the predictions, the second result of `loss`.""")
def predictions_passed_back(params, x, y, *, forward, loss, backward, learning_rate):
    pred, cache = forward(params, x)
    value, _ = loss(pred, y)
    grads = backward(pred, cache)
    return {name: p - learning_rate * grads[name] for name, p in params.items()}, value


# ---------------------------------------------------------------- fit_epochs


@mistake("fit_epochs", hint="""
    You return the parameters of the last epoch. The ones to return are those of the epoch with the
    lowest validation loss: keep them when you meet them.""", anchor="early-stopping")
def last_parameters_returned(params, *, batches, step, validate, epochs, patience):
    history = {"loss": [], "validation_loss": []}
    lowest, waited = np.inf, 0
    for _ in range(epochs):
        total = rows = 0
        for x, y in batches():
            params, value = step(params, x, y)
            total, rows = total + len(x) * value, rows + len(x)
        history["loss"].append(total / rows)
        history["validation_loss"].append(validate(params))
        waited = 0 if history["validation_loss"][-1] < lowest else waited + 1
        lowest = min(lowest, history["validation_loss"][-1])
        if waited >= patience:
            break
    return params, history


@mistake("fit_epochs", hint="""
    All epochs see the same batches in the same order: `batches` is called once, before the loop.
    Call it in each epoch, so that the rows are shuffled anew.""", anchor="epochs-and-iterations")
def batches_drawn_once(params, *, batches, step, validate, epochs, patience):
    history = {"loss": [], "validation_loss": []}
    best, lowest, waited = params, np.inf, 0
    same = list(batches())
    for _ in range(epochs):
        total = rows = 0
        for x, y in same:
            params, value = step(params, x, y)
            total, rows = total + len(x) * value, rows + len(x)
        history["loss"].append(total / rows)
        history["validation_loss"].append(validate(params))
        waited += 1
        if history["validation_loss"][-1] < lowest:
            best, lowest, waited = params, history["validation_loss"][-1], 0
        if waited >= patience:
            break
    return best, history


@mistake("fit_epochs", hint="""
    Your `loss` is the mean of the batches' means. The last batch is smaller, so its examples count
    for more than the others. Weight each mean by its number of rows: equation (6.3).""",
         anchor="monitoring")
def mean_of_batch_means(params, *, batches, step, validate, epochs, patience):
    history = {"loss": [], "validation_loss": []}
    best, lowest, waited = params, np.inf, 0
    for _ in range(epochs):
        values = []
        for x, y in batches():
            params, value = step(params, x, y)
            values.append(value)
        history["loss"].append(sum(values) / len(values))
        history["validation_loss"].append(validate(params))
        waited += 1
        if history["validation_loss"][-1] < lowest:
            best, lowest, waited = params, history["validation_loss"][-1], 0
        if waited >= patience:
            break
    return best, history


@mistake("fit_epochs", hint="""
    Your `loss` is that of the last batch alone, which is mostly noise. It must be the mean over
    all examples of the epoch: equation (6.3).""", anchor="monitoring")
def loss_of_the_last_batch(params, *, batches, step, validate, epochs, patience):
    history = {"loss": [], "validation_loss": []}
    best, lowest, waited = params, np.inf, 0
    for _ in range(epochs):
        for x, y in batches():
            params, value = step(params, x, y)
        history["loss"].append(value)
        history["validation_loss"].append(validate(params))
        waited += 1
        if history["validation_loss"][-1] < lowest:
            best, lowest, waited = params, history["validation_loss"][-1], 0
        if waited >= patience:
            break
    return best, history


@mistake("fit_epochs", hint="""
    The training loss decides which parameters are kept. It nearly always falls; what tells whether
    new examples are predicted better is the validation loss.""", anchor="early-stopping")
def best_by_the_training_loss(params, *, batches, step, validate, epochs, patience):
    history = {"loss": [], "validation_loss": []}
    best, lowest, waited = params, np.inf, 0
    for _ in range(epochs):
        total = rows = 0
        for x, y in batches():
            params, value = step(params, x, y)
            total, rows = total + len(x) * value, rows + len(x)
        history["loss"].append(total / rows)
        history["validation_loss"].append(validate(params))
        waited += 1
        if history["loss"][-1] < lowest:
            best, lowest, waited = params, history["loss"][-1], 0
        if waited >= patience:
            break
    return best, history


@mistake("fit_epochs", hint="""
    `patience` plays no part: training always runs to the last epoch. Stop when that many epochs in
    a row brought no lower validation loss.""", anchor="early-stopping")
def patience_ignored(params, *, batches, step, validate, epochs, patience):
    history = {"loss": [], "validation_loss": []}
    best, lowest = params, np.inf
    for _ in range(epochs):
        total = rows = 0
        for x, y in batches():
            params, value = step(params, x, y)
            total, rows = total + len(x) * value, rows + len(x)
        history["loss"].append(total / rows)
        history["validation_loss"].append(validate(params))
        if history["validation_loss"][-1] < lowest:
            best, lowest = params, history["validation_loss"][-1]
    return best, history


@mistake("fit_epochs", hint="""
    Epochs without improvement are added up over the whole training. Patience means that many in a
    *row*: a better epoch starts the count anew.""", anchor="early-stopping")
def waiting_never_reset(params, *, batches, step, validate, epochs, patience):
    history = {"loss": [], "validation_loss": []}
    best, lowest, waited = params, np.inf, 0
    for _ in range(epochs):
        total = rows = 0
        for x, y in batches():
            params, value = step(params, x, y)
            total, rows = total + len(x) * value, rows + len(x)
        history["loss"].append(total / rows)
        history["validation_loss"].append(validate(params))
        if history["validation_loss"][-1] < lowest:
            best, lowest = params, history["validation_loss"][-1]
        else:
            waited += 1
        if waited >= patience:
            break
    return best, history


@mistake("fit_epochs", hint="""
    Training stops one epoch too late: with patience 1 the first epoch without improvement is the
    last one.""", anchor="early-stopping")
def one_epoch_too_patient(params, *, batches, step, validate, epochs, patience):
    history = {"loss": [], "validation_loss": []}
    best, lowest, waited = params, np.inf, 0
    for _ in range(epochs):
        total = rows = 0
        for x, y in batches():
            params, value = step(params, x, y)
            total, rows = total + len(x) * value, rows + len(x)
        history["loss"].append(total / rows)
        history["validation_loss"].append(validate(params))
        waited += 1
        if history["validation_loss"][-1] < lowest:
            best, lowest, waited = params, history["validation_loss"][-1], 0
        if waited > patience:
            break
    return best, history


@mistake("fit_epochs", hint="""
    Every epoch starts from the parameters that were passed in, so nothing adds up over the epochs.
    Carry on with what the last step returned.""")
def every_epoch_from_the_start(params, *, batches, step, validate, epochs, patience):
    history = {"loss": [], "validation_loss": []}
    best, lowest, waited = params, np.inf, 0
    for _ in range(epochs):
        current, total, rows = params, 0, 0
        for x, y in batches():
            current, value = step(current, x, y)
            total, rows = total + len(x) * value, rows + len(x)
        history["loss"].append(total / rows)
        history["validation_loss"].append(validate(current))
        waited += 1
        if history["validation_loss"][-1] < lowest:
            best, lowest, waited = current, history["validation_loss"][-1], 0
        if waited >= patience:
            break
    return best, history


@mistake("fit_epochs", hint="""
    An *equal* validation loss counts as better. Then a training that stands still never runs out
    of patience. Only a lower value is an improvement.""", anchor="early-stopping")
def equal_counts_as_better(params, *, batches, step, validate, epochs, patience):
    history = {"loss": [], "validation_loss": []}
    best, lowest, waited = params, np.inf, 0
    for _ in range(epochs):
        total = rows = 0
        for x, y in batches():
            params, value = step(params, x, y)
            total, rows = total + len(x) * value, rows + len(x)
        history["loss"].append(total / rows)
        history["validation_loss"].append(validate(params))
        waited += 1
        if history["validation_loss"][-1] <= lowest:
            best, lowest, waited = params, history["validation_loss"][-1], 0
        if waited >= patience:
            break
    return best, history
