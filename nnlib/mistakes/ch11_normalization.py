"""Known mistakes of chapter 11: batch norm, forward and backward."""

import numpy as np

from nnlib.contract import BatchNormCache, BatchNormGrads
from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- batch_norm_forward


@mistake("batch_norm_forward", hint="""
    The batch is normalised with the variance that divides by m - 1. That one belongs to the
    running variance alone; y needs the one that divides by m.""", anchor="two-variances")
def unbiased_variance_in_the_batch(x, gamma, beta, running_mean, running_var, *, training,
                                   momentum=0.1, eps=1e-5):
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    shape = (-1,) if x.ndim == 2 else (-1, 1, 1)
    mean, var, m = running_mean, running_var, x[:, :1].size
    if training and m:
        mean, var = x.mean(axis=axes), x.var(axis=axes, ddof=1)
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var
    centred, inv_std = x - mean.reshape(shape), 1 / np.sqrt(var + eps)
    y = centred * (gamma * inv_std).reshape(shape) + beta.reshape(shape)
    return y, (running_mean, running_var), BatchNormCache(centred, inv_std, gamma, training)


@mistake("batch_norm_forward", hint="""
    The running variance takes up the variance that divides by m. It is an estimate for all data,
    of which the batch is a sample, and divides by m - 1.""", anchor="two-variances")
def biased_running_variance(x, gamma, beta, running_mean, running_var, *, training,
                            momentum=0.1, eps=1e-5):
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    shape = (-1,) if x.ndim == 2 else (-1, 1, 1)
    mean, var, m = running_mean, running_var, x[:, :1].size
    if training and m:
        mean, var = x.mean(axis=axes), x.var(axis=axes)
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var
    centred, inv_std = x - mean.reshape(shape), 1 / np.sqrt(var + eps)
    y = centred * (gamma * inv_std).reshape(shape) + beta.reshape(shape)
    return y, (running_mean, running_var), BatchNormCache(centred, inv_std, gamma, training)


@mistake("batch_norm_forward", hint="""
    The momentum is reversed: nine tenths of every new batch enter the running statistics. Here,
    as in PyTorch, momentum is the weight of the batch, not of the past.""",
         anchor="running-statistics")
def momentum_reversed(x, gamma, beta, running_mean, running_var, *, training,
                      momentum=0.1, eps=1e-5):
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    shape = (-1,) if x.ndim == 2 else (-1, 1, 1)
    mean, var, m = running_mean, running_var, x[:, :1].size
    if training and m:
        mean, var = x.mean(axis=axes), x.var(axis=axes)
        running_mean = momentum * running_mean + (1 - momentum) * mean
        running_var = momentum * running_var + (1 - momentum) * var * m / (m - 1)
    centred, inv_std = x - mean.reshape(shape), 1 / np.sqrt(var + eps)
    y = centred * (gamma * inv_std).reshape(shape) + beta.reshape(shape)
    return y, (running_mean, running_var), BatchNormCache(centred, inv_std, gamma, training)


@mistake("batch_norm_forward", hint="""
    The running statistics move in evaluation too. Then every prediction changes the model, and
    test data leak into it. In evaluation return them as they came.""", anchor="train-and-eval")
def running_statistics_moved_in_evaluation(x, gamma, beta, running_mean, running_var, *, training,
                                           momentum=0.1, eps=1e-5):
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    shape = (-1,) if x.ndim == 2 else (-1, 1, 1)
    mean, var, m = running_mean, running_var, x[:, :1].size
    if m:
        batch_mean, batch_var = x.mean(axis=axes), x.var(axis=axes)
        if training:
            mean, var = batch_mean, batch_var
        running_mean = (1 - momentum) * running_mean + momentum * batch_mean
        running_var = (1 - momentum) * running_var + momentum * batch_var * m / max(m - 1, 1)
    centred, inv_std = x - mean.reshape(shape), 1 / np.sqrt(var + eps)
    y = centred * (gamma * inv_std).reshape(shape) + beta.reshape(shape)
    return y, (running_mean, running_var), BatchNormCache(centred, inv_std, gamma, training)


@mistake("batch_norm_forward", hint="""
    In evaluation, too, you normalise with the statistics of the batch. Then the answer for one
    example depends on its neighbours. Evaluation takes the running statistics.""",
         anchor="train-and-eval")
def batch_statistics_in_evaluation(x, gamma, beta, running_mean, running_var, *, training,
                                   momentum=0.1, eps=1e-5):
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    shape = (-1,) if x.ndim == 2 else (-1, 1, 1)
    mean, var, m = running_mean, running_var, x[:, :1].size
    if m:
        mean, var = x.mean(axis=axes), x.var(axis=axes)
    if training and m:
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var * m / (m - 1)
    centred, inv_std = x - mean.reshape(shape), 1 / np.sqrt(var + eps)
    y = centred * (gamma * inv_std).reshape(shape) + beta.reshape(shape)
    return y, (running_mean, running_var), BatchNormCache(centred, inv_std, gamma, training)


@mistake("batch_norm_forward", hint="""
    In training you normalise with the running statistics. They lag behind; the batch's own mean
    and variance are what makes every column come out with mean 0 and variance 1.""",
         anchor="train-and-eval")
def running_statistics_used_in_training(x, gamma, beta, running_mean, running_var, *, training,
                                        momentum=0.1, eps=1e-5):
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    shape = (-1,) if x.ndim == 2 else (-1, 1, 1)
    m = x[:, :1].size
    if training and m:
        running_mean = (1 - momentum) * running_mean + momentum * x.mean(axis=axes)
        running_var = (1 - momentum) * running_var + momentum * x.var(axis=axes) * m / (m - 1)
    centred, inv_std = x - running_mean.reshape(shape), 1 / np.sqrt(running_var + eps)
    y = centred * (gamma * inv_std).reshape(shape) + beta.reshape(shape)
    return y, (running_mean, running_var), BatchNormCache(centred, inv_std, gamma, training)


@mistake("batch_norm_forward", hint="""
    Right for tables; for images every pixel gets a mean of its own. A filter looks for the same
    thing everywhere, so a channel has one mean, over images and positions.""",
         anchor="batch-norm-images")
def every_pixel_by_itself(x, gamma, beta, running_mean, running_var, *, training,
                          momentum=0.1, eps=1e-5):
    shape = (-1,) if x.ndim == 2 else (-1, 1, 1)
    mean, var, n = running_mean.reshape(shape), running_var.reshape(shape), len(x)
    if training and n:
        mean, var = x.mean(axis=0), x.var(axis=0)
        new = var * n / max(n - 1, 1)
        both = [a if x.ndim == 2 else a.mean(axis=(1, 2)) for a in (mean, new)]
        running_mean = (1 - momentum) * running_mean + momentum * both[0]
        running_var = (1 - momentum) * running_var + momentum * both[1]
    centred, inv_std = x - mean, 1 / np.sqrt(var + eps)
    y = centred * inv_std * gamma.reshape(shape) + beta.reshape(shape)
    return y, (running_mean, running_var), BatchNormCache(centred, inv_std, gamma, training)


@mistake("batch_norm_forward", hint="""
    Right for tables; for images you take mean and variance within each image. Batch norm takes
    them over the images of the batch, too: three of the four axes.""", anchor="batch-norm-images")
def every_image_by_itself(x, gamma, beta, running_mean, running_var, *, training,
                          momentum=0.1, eps=1e-5):
    shape = (-1,) if x.ndim == 2 else (-1, 1, 1)
    mean, var, n = running_mean.reshape(shape), running_var.reshape(shape), len(x)
    if training and n:
        axes = 0 if x.ndim == 2 else (2, 3)
        mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
        m = n if x.ndim == 2 else x[0, 0].size
        both = [a.reshape(-1, len(gamma)).mean(axis=0) for a in (mean, var * m / (m - 1))]
        running_mean = (1 - momentum) * running_mean + momentum * both[0]
        running_var = (1 - momentum) * running_var + momentum * both[1]
    centred, inv_std = x - mean, 1 / np.sqrt(var + eps)
    y = centred * inv_std * gamma.reshape(shape) + beta.reshape(shape)
    return y, (running_mean, running_var), BatchNormCache(centred, inv_std, gamma, training)


@mistake("batch_norm_forward", hint="""
    You normalise each row. That is layer norm; batch norm goes down the columns, over the
    examples, and every column gets its own mean.""", anchor="what-it-normalizes")
def rows_instead_of_columns(x, gamma, beta, running_mean, running_var, *, training,
                            momentum=0.1, eps=1e-5):
    shape = (-1,) if x.ndim == 2 else (-1, 1, 1)
    mean, var = running_mean.reshape(shape), running_var.reshape(shape)
    if training and x.size:
        mean, var = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
        m = x.shape[1]
        running_mean = (1 - momentum) * running_mean + momentum * mean.mean()
        running_var = (1 - momentum) * running_var + momentum * var.mean() * m / max(m - 1, 1)
    centred, inv_std = x - mean, 1 / np.sqrt(var + eps)
    y = centred * inv_std * gamma.reshape(shape) + beta.reshape(shape)
    return y, (running_mean, running_var), BatchNormCache(centred, inv_std, gamma, training)


@mistake("batch_norm_forward", hint="""
    Your epsilon is added to the standard deviation. It belongs to the variance, under the root:
    with the usual 1e-5 that is hardly seen, with a larger one it is.""",
         anchor="batch-norm-forward")
def epsilon_beside_the_root(x, gamma, beta, running_mean, running_var, *, training,
                            momentum=0.1, eps=1e-5):
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    shape = (-1,) if x.ndim == 2 else (-1, 1, 1)
    mean, var, m = running_mean, running_var, x[:, :1].size
    if training and m:
        mean, var = x.mean(axis=axes), x.var(axis=axes)
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var * m / (m - 1)
    centred, inv_std = x - mean.reshape(shape), 1 / (np.sqrt(var) + eps)
    y = centred * (gamma * inv_std).reshape(shape) + beta.reshape(shape)
    return y, (running_mean, running_var), BatchNormCache(centred, inv_std, gamma, training)


@mistake("batch_norm_forward", hint="""
    You return the normalised values as they are. gamma and beta scale and shift them afterwards,
    each column by its own two numbers.""", anchor="batch-norm-forward")
def scale_and_shift_forgotten(x, gamma, beta, running_mean, running_var, *, training,
                              momentum=0.1, eps=1e-5):
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    shape = (-1,) if x.ndim == 2 else (-1, 1, 1)
    mean, var, m = running_mean, running_var, x[:, :1].size
    if training and m:
        mean, var = x.mean(axis=axes), x.var(axis=axes)
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var * m / (m - 1)
    centred, inv_std = x - mean.reshape(shape), 1 / np.sqrt(var + eps)
    y = centred * inv_std.reshape(shape)
    return y, (running_mean, running_var), BatchNormCache(centred, inv_std, gamma, training)


@mistake("batch_norm_forward", hint="""
    The running statistics that came in are changed in place. They belong to the caller, who may
    want to go back: compute new arrays and return those.""", anchor="running-statistics")
def running_statistics_changed_in_place(x, gamma, beta, running_mean, running_var, *, training,
                                        momentum=0.1, eps=1e-5):
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    shape = (-1,) if x.ndim == 2 else (-1, 1, 1)
    mean, var, m = running_mean, running_var, x[:, :1].size
    if training and m:
        mean, var = x.mean(axis=axes), x.var(axis=axes)
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (var * m / (m - 1) - running_var)
    centred, inv_std = x - mean.reshape(shape), 1 / np.sqrt(var + eps)
    y = centred * (gamma * inv_std).reshape(shape) + beta.reshape(shape)
    return y, (running_mean, running_var), BatchNormCache(centred, inv_std, gamma, training)


# ---------------------------------------------------------------- batch_norm_backward


@mistake("batch_norm_backward", hint="""
    `dx` ignores that mean and variance are computed from x: each x moves them, and through them all
    other outputs. Two more paths lead back, one through the mean, one through the variance.""",
         anchor="batch-norm-paths")
def mean_and_variance_as_constants(dy, cache):
    shape = (-1,) if dy.ndim == 2 else (-1, 1, 1)
    axes = (0,) if dy.ndim == 2 else (0, 2, 3)
    centred, inv_std, gamma, _ = cache
    x_hat = centred * inv_std.reshape(shape)
    dx = dy * (gamma * inv_std).reshape(shape)
    return BatchNormGrads(dx, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes))


@mistake("batch_norm_backward", hint="""
    The path through the variance is missing: dx still has a part along x_hat, as if stretching
    the column could change y. Subtract that part, too.""", anchor="batch-norm-paths")
def path_through_the_variance_forgotten(dy, cache):
    shape = (-1,) if dy.ndim == 2 else (-1, 1, 1)
    axes = (0,) if dy.ndim == 2 else (0, 2, 3)
    centred, inv_std, gamma, training = cache
    x_hat = centred * inv_std.reshape(shape)
    dx = dy * (gamma * inv_std).reshape(shape)
    if training and dy.size:
        dx = dx - dx.mean(axis=axes, keepdims=True)
    return BatchNormGrads(dx, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes))


@mistake("batch_norm_backward", hint="""
    The path through the mean is missing: dx of a column doesn't add up to 0, as if shifting the
    column could change y. Subtract its mean, too.""", anchor="batch-norm-paths")
def path_through_the_mean_forgotten(dy, cache):
    shape = (-1,) if dy.ndim == 2 else (-1, 1, 1)
    axes = (0,) if dy.ndim == 2 else (0, 2, 3)
    centred, inv_std, gamma, training = cache
    x_hat = centred * inv_std.reshape(shape)
    dx = dy * (gamma * inv_std).reshape(shape)
    if training and dy.size:
        dx = dx - x_hat * (dx * x_hat).mean(axis=axes, keepdims=True)
    return BatchNormGrads(dx, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes))


@mistake("batch_norm_backward", hint="""
    In evaluation mean and variance are running statistics, which don't depend on x. The two terms
    that you subtract belong to training alone; the cache says which mode it was.""",
         anchor="batch-norm-backward-eval")
def evaluation_treated_as_training(dy, cache):
    shape = (-1,) if dy.ndim == 2 else (-1, 1, 1)
    axes = (0,) if dy.ndim == 2 else (0, 2, 3)
    centred, inv_std, gamma, _ = cache
    x_hat = centred * inv_std.reshape(shape)
    dx = dy * (gamma * inv_std).reshape(shape)
    if dy.size:
        along = (dx * x_hat).mean(axis=axes, keepdims=True)
        dx = dx - dx.mean(axis=axes, keepdims=True) - x_hat * along
    return BatchNormGrads(dx, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes))


@mistake("batch_norm_backward", hint="""
    `dx` lacks the factor gamma: what comes back from y reaches the normalised values multiplied by
    it.""", anchor="batch-norm-backward")
def gamma_forgotten_in_dx(dy, cache):
    shape = (-1,) if dy.ndim == 2 else (-1, 1, 1)
    axes = (0,) if dy.ndim == 2 else (0, 2, 3)
    centred, inv_std, _, training = cache
    x_hat = centred * inv_std.reshape(shape)
    dx = dy * inv_std.reshape(shape)
    if training and dy.size:
        along = (dx * x_hat).mean(axis=axes, keepdims=True)
        dx = dx - dx.mean(axis=axes, keepdims=True) - x_hat * along
    return BatchNormGrads(dx, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes))


@mistake("batch_norm_backward", hint="""
    `dx` lacks the division by the standard deviation. What a column was divided by on the way up
    divides its gradient on the way down.""", anchor="batch-norm-backward")
def standard_deviation_forgotten_in_dx(dy, cache):
    shape = (-1,) if dy.ndim == 2 else (-1, 1, 1)
    axes = (0,) if dy.ndim == 2 else (0, 2, 3)
    centred, inv_std, gamma, training = cache
    x_hat = centred * inv_std.reshape(shape)
    dx = dy * gamma.reshape(shape)
    if training and dy.size:
        along = (dx * x_hat).mean(axis=axes, keepdims=True)
        dx = dx - dx.mean(axis=axes, keepdims=True) - x_hat * along
    return BatchNormGrads(dx, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes))


@mistake("batch_norm_backward", hint="""
    `dgamma` is computed from the centred values. gamma multiplies the normalised ones, which are
    divided by the standard deviation as well.""", anchor="batch-norm-scale-shift")
def dgamma_from_centred_values(dy, cache):
    shape = (-1,) if dy.ndim == 2 else (-1, 1, 1)
    axes = (0,) if dy.ndim == 2 else (0, 2, 3)
    centred, inv_std, gamma, training = cache
    x_hat = centred * inv_std.reshape(shape)
    dx = dy * (gamma * inv_std).reshape(shape)
    if training and dy.size:
        along = (dx * x_hat).mean(axis=axes, keepdims=True)
        dx = dx - dx.mean(axis=axes, keepdims=True) - x_hat * along
    return BatchNormGrads(dx, (dy * centred).sum(axis=axes), dy.sum(axis=axes))


@mistake("batch_norm_backward", hint="""
    `dgamma` and dbeta are means over the batch. Each example uses the same gamma and beta, so their
    gradients add up; dividing by the batch size is the loss's business.""",
         anchor="batch-norm-scale-shift")
def means_instead_of_sums(dy, cache):
    shape = (-1,) if dy.ndim == 2 else (-1, 1, 1)
    axes = (0,) if dy.ndim == 2 else (0, 2, 3)
    centred, inv_std, gamma, training = cache
    x_hat = centred * inv_std.reshape(shape)
    dx = dy * (gamma * inv_std).reshape(shape)
    m = max(dy[:, :1].size, 1)
    if training and dy.size:
        along = (dx * x_hat).mean(axis=axes, keepdims=True)
        dx = dx - dx.mean(axis=axes, keepdims=True) - x_hat * along
    return BatchNormGrads(dx, (dy * x_hat).sum(axis=axes) / m, dy.sum(axis=axes) / m)


@mistake("batch_norm_backward", hint="""
    Right for tables; for images you divide the sums by the number of images. A channel's mean is
    over images and positions: count all of these.""", anchor="batch-norm-images")
def only_images_counted(dy, cache):
    shape = (-1,) if dy.ndim == 2 else (-1, 1, 1)
    axes = (0,) if dy.ndim == 2 else (0, 2, 3)
    centred, inv_std, gamma, training = cache
    x_hat = centred * inv_std.reshape(shape)
    dx = dy * (gamma * inv_std).reshape(shape)
    if training and dy.size:
        along = (dx * x_hat).sum(axis=axes, keepdims=True) / len(dy)
        dx = dx - dx.sum(axis=axes, keepdims=True) / len(dy) - x_hat * along
    return BatchNormGrads(dx, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes))


@mistake("batch_norm_backward", hint="""
    Right for tables; for images you sum over the images alone, and gamma's gradient comes out
    with one entry for each pixel. It has one for each channel.""", anchor="batch-norm-images")
def pixels_not_summed(dy, cache):
    shape = (-1,) if dy.ndim == 2 else (-1, 1, 1)
    centred, inv_std, gamma, training = cache
    x_hat = centred * inv_std.reshape(shape)
    dx = dy * (gamma * inv_std).reshape(shape)
    if training and dy.size:
        dx = dx - dx.mean(axis=0) - x_hat * (dx * x_hat).mean(axis=0)
    return BatchNormGrads(dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0))
