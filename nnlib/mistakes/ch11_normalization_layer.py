"""Known mistakes of chapter 11: layer norm, forward and backward, and group norm."""

import numpy as np

from nnlib.contract import LayerNormCache, LayerNormGrads
from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- layer_norm_forward


@mistake("layer_norm_forward", hint="""
    You normalise down the columns, over the batch. That is batch norm; layer norm takes each
    example by itself, along its features.""")
def columns_normalized(x, gamma, beta, *, eps=1e-5):
    if x.shape[0] == 0:
        return x.copy(), LayerNormCache(x, x[..., :1], gamma)
    centred = x - x.mean(axis=0)
    inv_std = 1 / np.sqrt((centred**2).mean(axis=0) + eps)
    x_hat = centred * inv_std
    return gamma * x_hat + beta, LayerNormCache(x_hat, inv_std, gamma)


@mistake("layer_norm_forward", hint="""
    There is one mean for the whole array. Then the examples of a batch depend on each other, which
    layer norm is meant to avoid: one mean for each row.""")
def one_mean_for_everything(x, gamma, beta, *, eps=1e-5):
    if x.size == 0:
        return x.copy(), LayerNormCache(x, x[..., :1], gamma)
    centred = x - x.mean()
    inv_std = 1 / np.sqrt((centred**2).mean() + eps)
    x_hat = (centred * inv_std).astype(x.dtype)
    return gamma * x_hat + beta, LayerNormCache(x_hat, inv_std, gamma)


@mistake("layer_norm_forward", hint="""
    Right for tables; in sequences you take all positions of a sequence together. Each position is
    normalised by itself: the mean goes along the last axis only.""")
def positions_taken_together(x, gamma, beta, *, eps=1e-5):
    axes = tuple(range(1, x.ndim)) or (0,)
    centred = x - x.mean(axis=axes, keepdims=True)
    inv_std = 1 / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + eps)
    x_hat = centred * inv_std
    return gamma * x_hat + beta, LayerNormCache(x_hat, inv_std, gamma)


@mistake("layer_norm_forward", hint="""
    You divide by d - 1 in the variance. These d features are not a sample from which something is
    estimated: divide by d.""", anchor="two-variances")
def unbiased_variance_of_the_features(x, gamma, beta, *, eps=1e-5):
    d = x.shape[-1]
    centred = x - x.mean(axis=-1, keepdims=True)
    inv_std = 1 / np.sqrt((centred**2).sum(axis=-1, keepdims=True) / max(d - 1, 1) + eps)
    x_hat = centred * inv_std
    return gamma * x_hat + beta, LayerNormCache(x_hat, inv_std, gamma)


@mistake("layer_norm_forward", hint="""
    Your epsilon is added to the standard deviation. It belongs to the variance, under the root.""")
def epsilon_beside_the_row_root(x, gamma, beta, *, eps=1e-5):
    centred = x - x.mean(axis=-1, keepdims=True)
    inv_std = 1 / (np.sqrt((centred**2).mean(axis=-1, keepdims=True)) + eps)
    x_hat = centred * inv_std
    return gamma * x_hat + beta, LayerNormCache(x_hat, inv_std, gamma)


@mistake("layer_norm_forward", hint="""
    You divide by the variance itself. Its root, the standard deviation, has the unit of x: only
    dividing by that gives variance 1.""")
def root_of_the_variance_forgotten(x, gamma, beta, *, eps=1e-5):
    centred = x - x.mean(axis=-1, keepdims=True)
    inv_std = 1 / ((centred**2).mean(axis=-1, keepdims=True) + eps)
    x_hat = centred * inv_std
    return gamma * x_hat + beta, LayerNormCache(x_hat, inv_std, gamma)


@mistake("layer_norm_forward", hint="""
    You return the normalised values as they are. gamma and beta, one entry for each feature, scale
    and shift them afterwards.""")
def row_scale_and_shift_forgotten(x, gamma, beta, *, eps=1e-5):
    centred = x - x.mean(axis=-1, keepdims=True)
    inv_std = 1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    x_hat = centred * inv_std
    return x_hat, LayerNormCache(x_hat, inv_std, gamma)


# ---------------------------------------------------------------- layer_norm_backward


@mistake("layer_norm_backward", hint="""
    `gamma` is multiplied after the means, as in batch norm. There it is one number for the whole
    column; along a row it differs from feature to feature, so it must be inside the means.""")
def gamma_outside_the_means(dy, cache):
    x_hat, inv_std, gamma = cache
    along = (dy * x_hat).mean(axis=-1, keepdims=True)
    dx = gamma * inv_std * (dy - dy.mean(axis=-1, keepdims=True) - x_hat * along)
    d = dy.shape[-1]
    return LayerNormGrads(dx, (dy * x_hat).reshape(-1, d).sum(axis=0),
                          dy.reshape(-1, d).sum(axis=0))


@mistake("layer_norm_backward", hint="""
    `dx` ignores that mean and variance of the row are computed from x. Two more paths lead back
    through them, as in batch norm.""", anchor="batch-norm-paths")
def row_mean_and_variance_as_constants(dy, cache):
    x_hat, inv_std, gamma = cache
    dx = dy * gamma * inv_std
    d = dy.shape[-1]
    return LayerNormGrads(dx, (dy * x_hat).reshape(-1, d).sum(axis=0),
                          dy.reshape(-1, d).sum(axis=0))


@mistake("layer_norm_backward", hint="""
    The path through the variance is missing: dx still has a part along x_hat, as if stretching a
    row could change its output.""", anchor="batch-norm-paths")
def row_variance_path_forgotten(dy, cache):
    x_hat, inv_std, gamma = cache
    g = dy * gamma
    dx = inv_std * (g - g.mean(axis=-1, keepdims=True))
    d = dy.shape[-1]
    return LayerNormGrads(dx, (dy * x_hat).reshape(-1, d).sum(axis=0),
                          dy.reshape(-1, d).sum(axis=0))


@mistake("layer_norm_backward", hint="""
    The path through the mean is missing: dx of a row doesn't add up to 0, as if shifting a row
    could change its output.""", anchor="batch-norm-paths")
def row_mean_path_forgotten(dy, cache):
    x_hat, inv_std, gamma = cache
    g = dy * gamma
    dx = inv_std * (g - x_hat * (g * x_hat).mean(axis=-1, keepdims=True))
    d = dy.shape[-1]
    return LayerNormGrads(dx, (dy * x_hat).reshape(-1, d).sum(axis=0),
                          dy.reshape(-1, d).sum(axis=0))


@mistake("layer_norm_backward", hint="""
    The means in dx go over the batch. The forward took mean and variance along the features, and
    the gradient returns along the same axis.""")
def means_over_the_batch(dy, cache):
    x_hat, inv_std, gamma = cache
    g = dy * gamma
    dx = g.copy()
    if dy.shape[0]:
        dx = inv_std * (g - g.mean(axis=0) - x_hat * (g * x_hat).mean(axis=0))
    d = dy.shape[-1]
    return LayerNormGrads(dx, (dy * x_hat).reshape(-1, d).sum(axis=0),
                          dy.reshape(-1, d).sum(axis=0))


@mistake("layer_norm_backward", hint="""
    `dx` lacks gamma: what comes back from y reaches the normalised values multiplied by it, feature
    by feature.""")
def row_gamma_forgotten(dy, cache):
    x_hat, inv_std, _ = cache
    along = (dy * x_hat).mean(axis=-1, keepdims=True)
    dx = inv_std * (dy - dy.mean(axis=-1, keepdims=True) - x_hat * along)
    d = dy.shape[-1]
    return LayerNormGrads(dx, (dy * x_hat).reshape(-1, d).sum(axis=0),
                          dy.reshape(-1, d).sum(axis=0))


@mistake("layer_norm_backward", hint="""
    `dgamma` and dbeta are summed over the first axis alone. In sequences every position uses the
    same gamma and beta: sum over all axes but the last.""")
def positions_not_summed(dy, cache):
    x_hat, inv_std, gamma = cache
    g = dy * gamma
    along = (g * x_hat).mean(axis=-1, keepdims=True)
    dx = inv_std * (g - g.mean(axis=-1, keepdims=True) - x_hat * along)
    return LayerNormGrads(dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0))


@mistake("layer_norm_backward", hint="""
    `dgamma` and dbeta are summed along the features, so they have one entry for each example. gamma
    has one for each feature: sum over the examples.""")
def summed_along_the_features(dy, cache):
    x_hat, inv_std, gamma = cache
    g = dy * gamma
    along = (g * x_hat).mean(axis=-1, keepdims=True)
    dx = inv_std * (g - g.mean(axis=-1, keepdims=True) - x_hat * along)
    return LayerNormGrads(dx, (dy * x_hat).sum(axis=-1), dy.sum(axis=-1))


# ---------------------------------------------------------------- group_norm


@mistake("group_norm", hint="""
    Your groups hold every second or third channel. A group is made of neighbours: with 6 channels
    and 2 groups, channels 0, 1, 2 and 3, 4, 5.""")
def channels_dealt_like_cards(x, gamma, beta, *, groups, eps=1e-5):
    n, c, h, w = x.shape
    together = x.reshape(n, c // groups, groups, h, w)
    centred = together - together.mean(axis=(1, 3, 4), keepdims=True)
    var = (centred**2).mean(axis=(1, 3, 4), keepdims=True)
    x_hat = (centred / np.sqrt(var + eps)).reshape(x.shape)
    return x_hat * gamma[:, None, None] + beta[:, None, None]


@mistake("group_norm", hint="""
    You make groups of `groups` channels each. The argument is how many groups there are, not how
    many channels one of them has.""")
def number_taken_for_size(x, gamma, beta, *, groups, eps=1e-5):
    n, c, h, w = x.shape
    together = x.reshape(n, c // groups, groups, h, w)
    centred = together - together.mean(axis=(2, 3, 4), keepdims=True)
    var = (centred**2).mean(axis=(2, 3, 4), keepdims=True)
    x_hat = (centred / np.sqrt(var + eps)).reshape(x.shape)
    return x_hat * gamma[:, None, None] + beta[:, None, None]


@mistake("group_norm", hint="""
    The images of the batch are taken together. Group norm never looks at another example: that is
    its point. Each image has its own means.""")
def images_taken_together(x, gamma, beta, *, groups, eps=1e-5):
    n, c, h, w = x.shape
    if n == 0:
        return x.copy()
    together = x.reshape(n, groups, c // groups, h, w)
    centred = together - together.mean(axis=(0, 2, 3, 4), keepdims=True)
    var = (centred**2).mean(axis=(0, 2, 3, 4), keepdims=True)
    x_hat = (centred / np.sqrt(var + eps)).reshape(x.shape)
    return x_hat * gamma[:, None, None] + beta[:, None, None]


@mistake("group_norm", hint="""
    Every position is normalised by itself, over the channels of the group alone. Mean and variance
    of a group go over its positions, too.""")
def each_position_by_itself(x, gamma, beta, *, groups, eps=1e-5):
    n, c, h, w = x.shape
    together = x.reshape(n, groups, c // groups, h, w)
    centred = together - together.mean(axis=2, keepdims=True)
    var = (centred**2).mean(axis=2, keepdims=True)
    x_hat = (centred / np.sqrt(var + eps)).reshape(x.shape)
    return x_hat * gamma[:, None, None] + beta[:, None, None]


@mistake("group_norm", hint="""
    Each channel is normalised by itself, whatever the number of groups. That is instance norm, the
    case of as many groups as channels.""")
def every_channel_its_own_group(x, gamma, beta, *, groups, eps=1e-5):
    centred = x - x.mean(axis=(2, 3), keepdims=True)
    var = (centred**2).mean(axis=(2, 3), keepdims=True)
    return centred / np.sqrt(var + eps) * gamma[:, None, None] + beta[:, None, None]


@mistake("group_norm", hint="""
    `gamma` and beta are applied group by group: all channels of a group get the same numbers. The
    statistics are shared by the group, scale and shift are not.""")
def scale_shared_by_the_group(x, gamma, beta, *, groups, eps=1e-5):
    n, c, h, w = x.shape
    together = x.reshape(n, groups, c // groups * h * w)
    centred = together - together.mean(axis=-1, keepdims=True)
    x_hat = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    first = slice(None, None, c // groups)
    return (x_hat * gamma[first, None] + beta[first, None]).reshape(x.shape)


@mistake("group_norm", hint="""
    The variance divides by the number of values minus 1. It is no estimate of something larger:
    divide by the number of values.""", anchor="two-variances")
def unbiased_variance_of_the_group(x, gamma, beta, *, groups, eps=1e-5):
    n, c, h, w = x.shape
    together = x.reshape(n, groups, c // groups * h * w)
    centred = together - together.mean(axis=-1, keepdims=True)
    m = max(together.shape[-1] - 1, 1)
    x_hat = centred / np.sqrt((centred**2).sum(axis=-1, keepdims=True) / m + eps)
    return x_hat.reshape(x.shape) * gamma[:, None, None] + beta[:, None, None]


@mistake("group_norm", hint="""
    Your epsilon is added to the standard deviation. It belongs to the variance, under the root.""")
def epsilon_beside_the_group_root(x, gamma, beta, *, groups, eps=1e-5):
    n, c, h, w = x.shape
    together = x.reshape(n, groups, c // groups * h * w)
    centred = together - together.mean(axis=-1, keepdims=True)
    x_hat = centred / (np.sqrt((centred**2).mean(axis=-1, keepdims=True)) + eps)
    return x_hat.reshape(x.shape) * gamma[:, None, None] + beta[:, None, None]
