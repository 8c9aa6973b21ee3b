"""Known mistakes of chapter 7: fans, initialisers, a network's first parameters."""

import math
from itertools import pairwise

import numpy as np

from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- fans


@mistake("fans", hint="""
    The two fans are exchanged for a linear layer. Weights are stored as (d_in, d_out) here:
    which of the two numbers says how many terms one output adds up?""")
def fans_of_a_linear_layer_exchanged(shape):
    if len(shape) == 2:
        return shape[1], shape[0]
    positions = math.prod(shape[2:])
    return shape[1] * positions, shape[0] * positions


@mistake("fans", hint="""
    The two fans are exchanged for filters. Their first axis counts the *output* channels, unlike
    the weights of a linear layer.""")
def fans_of_filters_exchanged(shape):
    if len(shape) == 2:
        return shape[0], shape[1]
    positions = math.prod(shape[2:])
    return shape[0] * positions, shape[1] * positions


@mistake("fans", hint="""
    For filters you count channels alone. One output of a 3 x 5 kernel adds up 15 products for
    each input channel, and each input is used as often.""")
def kernel_positions_forgotten(shape):
    if len(shape) == 2:
        return shape[0], shape[1]
    return shape[1], shape[0]


@mistake("fans", hint="""
    The kernel's positions are in fan_in only. On the way back one input value meets every
    position of the kernel as well: they count in both fans.""")
def positions_in_one_fan_only(shape):
    if len(shape) == 2:
        return shape[0], shape[1]
    return shape[1] * math.prod(shape[2:]), shape[0]


@mistake("fans", hint="""
    You take one side of the kernel for both. A kernel is kh x kw, and the two may differ.""")
def kernel_taken_for_square(shape):
    if len(shape) == 2:
        return shape[0], shape[1]
    return shape[1] * shape[2] ** 2, shape[0] * shape[2] ** 2


@mistake("fans", hint="""
    You read the shape of filters as if it were that of a linear layer: its first axis as inputs,
    the second as outputs. What do the four axes of filters mean?""")
def filters_read_as_a_linear_layer(shape):
    return shape[0], shape[1]


# ---------------------------------------------------------------- xavier_uniform


@mistake("xavier_uniform", hint="""
    You use the standard deviation as the bound. A uniform distribution on (-a, a) has a smaller
    standard deviation than a: by which factor?""", anchor="uniform-bound")
def bound_without_root_three(rng, shape, *, gain=1.0):
    if len(shape) == 2:
        total = shape[0] + shape[1]
    else:
        total = (shape[0] + shape[1]) * math.prod(shape[2:])
    a = gain * math.sqrt(2 / total)
    return rng.uniform(-a, a, size=shape)


@mistake("xavier_uniform", hint="""
    Your numbers are far too small: the formula gives a *variance*, and you use it where a
    standard deviation belongs. A root is missing.""", anchor="uniform-bound")
def variance_used_as_standard_deviation(rng, shape, *, gain=1.0):
    if len(shape) == 2:
        total = shape[0] + shape[1]
    else:
        total = (shape[0] + shape[1]) * math.prod(shape[2:])
    a = math.sqrt(3) * gain**2 * 2 / total
    return rng.uniform(-a, a, size=shape)


@mistake("xavier_uniform", hint="""
    Only fan_in enters your scale. Glorot's scheme is a compromise between the way forward and the
    way back: it takes both fans.""")
def fan_in_alone(rng, shape, *, gain=1.0):
    fan_in = shape[0] if len(shape) == 2 else math.prod(shape[1:])
    a = gain * math.sqrt(3 / fan_in)
    return rng.uniform(-a, a, size=shape)


@mistake("xavier_uniform", hint="""
    The variance is half of what it should be: 2 over the *sum* of the fans, which is 1 over their
    mean.""")
def factor_two_missing(rng, shape, *, gain=1.0):
    if len(shape) == 2:
        total = shape[0] + shape[1]
    else:
        total = (shape[0] + shape[1]) * math.prod(shape[2:])
    a = gain * math.sqrt(3 / total)
    return rng.uniform(-a, a, size=shape)


@mistake("xavier_uniform", hint="""
    All your weights are positive: their mean is not 0. Draw on both sides of 0, from -a to a.""")
def one_side_of_zero(rng, shape, *, gain=1.0):
    if len(shape) == 2:
        total = shape[0] + shape[1]
    else:
        total = (shape[0] + shape[1]) * math.prod(shape[2:])
    return rng.uniform(0, gain * math.sqrt(6 / total), size=shape)


@mistake("xavier_uniform", hint="""
    The spread is right, the distribution is not: some of your numbers are far outside of
    (-a, a). This scheme is uniform.""", anchor="uniform-bound")
def normal_distribution(rng, shape, *, gain=1.0):
    if len(shape) == 2:
        total = shape[0] + shape[1]
    else:
        total = (shape[0] + shape[1]) * math.prod(shape[2:])
    return rng.normal(0, gain * math.sqrt(2 / total), size=shape)


@mistake("xavier_uniform", hint="""
    Right for linear layers, too wide for filters: each fan of a filter counts every position of
    its kernel.""", anchor="fans")
def channels_alone_for_filters(rng, shape, *, gain=1.0):
    a = gain * math.sqrt(6 / (shape[0] + shape[1]))
    return rng.uniform(-a, a, size=shape)


@mistake("xavier_uniform", hint="""
    `gain` changes nothing in your function. It multiplies every weight.""")
def gain_ignored(rng, shape, *, gain=1.0):
    if len(shape) == 2:
        total = shape[0] + shape[1]
    else:
        total = (shape[0] + shape[1]) * math.prod(shape[2:])
    a = math.sqrt(6 / total)
    return rng.uniform(-a, a, size=shape)


@mistake("xavier_uniform", hint="""
    The numbers are fine, but they don't come from the `rng` that was passed in: the same seed
    gives others each time. An experiment that can't be repeated can't be debugged.""")
def generator_of_its_own(rng, shape, *, gain=1.0):
    if len(shape) == 2:
        total = shape[0] + shape[1]
    else:
        total = (shape[0] + shape[1]) * math.prod(shape[2:])
    a = gain * math.sqrt(6 / total)
    return np.random.default_rng().uniform(-a, a, size=shape)


# ---------------------------------------------------------------- he_normal


@mistake("he_normal", hint="""
    You take fan_out for fan_in. Going forward, an output adds up fan_in terms, and that is what
    the scale has to make up for.""", anchor="fans")
def fan_out_for_fan_in(rng, shape, *, negative_slope=0.0):
    fan_out = shape[1] if len(shape) == 2 else shape[0] * math.prod(shape[2:])
    return rng.normal(0, math.sqrt(2 / ((1 + negative_slope**2) * fan_out)), size=shape)


@mistake("he_normal", hint="""
    You hand the variance to `rng.normal`, whose second argument is the standard deviation. A root
    is missing.""")
def variance_passed_as_scale(rng, shape, *, negative_slope=0.0):
    fan_in = shape[0] if len(shape) == 2 else math.prod(shape[1:])
    return rng.normal(0, 2 / ((1 + negative_slope**2) * fan_in), size=shape)


@mistake("he_normal", hint="""
    The variance is half of what it should be. ReLU throws away half of the mean square; which
    factor makes up for it?""", anchor="half-of-relu")
def half_of_relu_forgotten(rng, shape, *, negative_slope=0.0):
    fan_in = shape[0] if len(shape) == 2 else math.prod(shape[1:])
    return rng.normal(0, math.sqrt(1 / ((1 + negative_slope**2) * fan_in)), size=shape)


@mistake("he_normal", hint="""
    This is Glorot's scale, from both fans. He's scheme takes fan_in alone.""")
def both_fans(rng, shape, *, negative_slope=0.0):
    if len(shape) == 2:
        total = shape[0] + shape[1]
    else:
        total = (shape[0] + shape[1]) * math.prod(shape[2:])
    return rng.normal(0, math.sqrt(4 / ((1 + negative_slope**2) * total)), size=shape)


@mistake("he_normal", hint="""
    Right for linear layers, wrong for filters: there fan_in is the number of products in one
    output, input channels times kernel positions.""", anchor="fans")
def first_axis_for_filters(rng, shape, *, negative_slope=0.0):
    return rng.normal(0, math.sqrt(2 / ((1 + negative_slope**2) * shape[0])), size=shape)


@mistake("he_normal", hint="""
    `negative_slope` changes nothing in your function. What a leaky ReLU lets through on the left
    counts in the mean square, so less has to be made up for.""", anchor="half-of-relu")
def slope_ignored(rng, shape, *, negative_slope=0.0):
    fan_in = shape[0] if len(shape) == 2 else math.prod(shape[1:])
    return rng.normal(0, math.sqrt(2 / fan_in), size=shape)


@mistake("he_normal", hint="""
    The spread is right, the distribution is uniform. This scheme draws from a normal
    distribution.""")
def uniform_distribution(rng, shape, *, negative_slope=0.0):
    fan_in = shape[0] if len(shape) == 2 else math.prod(shape[1:])
    a = math.sqrt(6 / ((1 + negative_slope**2) * fan_in))
    return rng.uniform(-a, a, size=shape)


@mistake("he_normal", hint="""
    Your function makes a generator with a fixed seed, so every call draws the same numbers. Two
    layers of one shape would start as copies. Draw from the `rng` that was passed in.""")
def fixed_seed(rng, shape, *, negative_slope=0.0):
    fan_in = shape[0] if len(shape) == 2 else math.prod(shape[1:])
    own = np.random.default_rng(0)
    return own.normal(0, math.sqrt(2 / ((1 + negative_slope**2) * fan_in)), size=shape)


# ---------------------------------------------------------------- init_params


@mistake("init_params", hint="""
    Your biases are random. Random weights break the symmetry already, and a bias of 0 adds
    nothing to the variance that the scheme has balanced.""", anchor="zeros")
def random_biases(rng, sizes, *, scheme="he"):
    params = []
    for d_in, d_out in pairwise(sizes):
        std = {"zeros": 0.0, "he": (2 / d_in) ** 0.5, "xavier": (2 / (d_in + d_out)) ** 0.5}[scheme]
        draw = rng.normal if scheme == "he" else rng.uniform
        low, high = (0, std) if scheme == "he" else (-(3**0.5) * std, 3**0.5 * std)
        params.append((draw(low, high, size=(d_in, d_out)), rng.normal(0, 0.1, size=d_out)))
    return params


@mistake("init_params", hint="""
    The weights have the shape (d_out, d_in), PyTorch's. This course computes x @ w + b: which
    shape must w have?""")
def weights_transposed(rng, sizes, *, scheme="he"):
    params = []
    for d_in, d_out in pairwise(sizes):
        if scheme == "zeros":
            w = np.zeros((d_out, d_in))
        elif scheme == "he":
            w = rng.normal(0, (2 / d_in) ** 0.5, size=(d_out, d_in))
        else:
            a = (6 / (d_in + d_out)) ** 0.5
            w = rng.uniform(-a, a, size=(d_out, d_in))
        params.append((w, np.zeros(d_out)))
    return params


@mistake("init_params", hint="""
    Layers of one shape start with the same weights. Make no new generator for each layer: draw
    all of them from the one that was passed in, which moves on with every draw.""")
def generator_restarted_for_each_layer(rng, sizes, *, scheme="he"):
    params, seed = [], int(rng.integers(2**31))
    for d_in, d_out in pairwise(sizes):
        rng = np.random.default_rng(seed)
        if scheme == "zeros":
            w = np.zeros((d_in, d_out))
        elif scheme == "he":
            w = rng.normal(0, (2 / d_in) ** 0.5, size=(d_in, d_out))
        else:
            a = (6 / (d_in + d_out)) ** 0.5
            w = rng.uniform(-a, a, size=(d_in, d_out))
        params.append((w, np.zeros(d_out)))
    return params


@mistake("init_params", hint="""
    Every layer gets the scale of the first one. The number of inputs differs from layer to layer,
    and with it the scale.""", anchor="forward-variance")
def scale_of_the_first_layer(rng, sizes, *, scheme="he"):
    params = []
    for d_in, d_out in pairwise(sizes):
        if scheme == "zeros":
            w = np.zeros((d_in, d_out))
        elif scheme == "he":
            w = rng.normal(0, (2 / sizes[0]) ** 0.5, size=(d_in, d_out))
        else:
            a = (6 / (sizes[0] + sizes[1])) ** 0.5
            w = rng.uniform(-a, a, size=(d_in, d_out))
        params.append((w, np.zeros(d_out)))
    return params


@mistake("init_params", hint="""
    `scheme` changes nothing: all networks start with He's weights.""")
def scheme_ignored(rng, sizes, *, scheme="he"):
    return [(rng.normal(0, (2 / d_in) ** 0.5, size=(d_in, d_out)), np.zeros(d_out))
            for d_in, d_out in pairwise(sizes)]


@mistake("init_params", hint="""
    The scale of He's scheme comes from the number of outputs. Forward, a unit adds up d_in terms:
    that number belongs under the 2.""", anchor="he")
def outputs_in_the_scale(rng, sizes, *, scheme="he"):
    params = []
    for d_in, d_out in pairwise(sizes):
        if scheme == "zeros":
            w = np.zeros((d_in, d_out))
        elif scheme == "he":
            w = rng.normal(0, (2 / d_out) ** 0.5, size=(d_in, d_out))
        else:
            a = (6 / (d_in + d_out)) ** 0.5
            w = rng.uniform(-a, a, size=(d_in, d_out))
        params.append((w, np.zeros(d_out)))
    return params


@mistake("init_params", hint="""
    The last layer is missing. Between k sizes there are k - 1 layers, and the one that gives the
    outputs needs weights too.""")
def last_layer_missing(rng, sizes, *, scheme="he"):
    params = []
    for d_in, d_out in pairwise(sizes[:-1]):
        if scheme == "zeros":
            w = np.zeros((d_in, d_out))
        elif scheme == "he":
            w = rng.normal(0, (2 / d_in) ** 0.5, size=(d_in, d_out))
        else:
            a = (6 / (d_in + d_out)) ** 0.5
            w = rng.uniform(-a, a, size=(d_in, d_out))
        params.append((w, np.zeros(d_out)))
    return params


@mistake("init_params", hint="""
    The bias has the shape (1, d_out). It is one number for each unit: a vector (d_out,), which
    broadcasting adds to every row.""")
def bias_as_a_row(rng, sizes, *, scheme="he"):
    params = []
    for d_in, d_out in pairwise(sizes):
        if scheme == "zeros":
            w = np.zeros((d_in, d_out))
        elif scheme == "he":
            w = rng.normal(0, (2 / d_in) ** 0.5, size=(d_in, d_out))
        else:
            a = (6 / (d_in + d_out)) ** 0.5
            w = rng.uniform(-a, a, size=(d_in, d_out))
        params.append((w, np.zeros((1, d_out))))
    return params
