"""Known mistakes of chapter 14: the residual block, forward and backward."""

import numpy as np

from nnlib.contract import ResidualBlockCache, ResidualBlockGrads
from nnlib.mistakes.registry import mistake

# ---------------------------------------------------------------- residual_block_forward


@mistake("residual_block_forward", hint="""
    You add the shortcut after the last ReLU. The output can then be negative and grows from block
    to block; the sum comes first, and one ReLU bends it.""")
def shortcut_added_after_the_relu(x, w1, b1, w2, b2, w_skip=None, *, stride=1, conv2d_forward):
    a, conv1 = conv2d_forward(x, w1, b1, stride=stride, padding=1)
    body, conv2 = conv2d_forward(np.maximum(a, 0), w2, b2, padding=1)
    way, skip = (x, None) if w_skip is None else conv2d_forward(x, w_skip, None, stride=stride)
    return np.maximum(body, 0) + way, ResidualBlockCache(conv1, a, conv2, skip, body)


@mistake("residual_block_forward", hint="""
    The body ends in a ReLU of its own before the addition. So it can only add, never take away
    from what the shortcut brings. The only ReLU behind the second convolution comes after the
    sum.""")
def relu_before_the_addition(x, w1, b1, w2, b2, w_skip=None, *, stride=1, conv2d_forward):
    a, conv1 = conv2d_forward(x, w1, b1, stride=stride, padding=1)
    body, conv2 = conv2d_forward(np.maximum(a, 0), w2, b2, padding=1)
    way, skip = (x, None) if w_skip is None else conv2d_forward(x, w_skip, None, stride=stride)
    z = np.maximum(body, 0) + way
    return np.maximum(z, 0), ResidualBlockCache(conv1, a, conv2, skip, z)


@mistake("residual_block_forward", hint="""
    The shortcut is missing: what you compute are two convolutions in a row. Add what came in,
    through the projection where there is one.""")
def no_shortcut_at_all(x, w1, b1, w2, b2, w_skip=None, *, stride=1, conv2d_forward):
    a, conv1 = conv2d_forward(x, w1, b1, stride=stride, padding=1)
    z, conv2 = conv2d_forward(np.maximum(a, 0), w2, b2, padding=1)
    return np.maximum(z, 0), ResidualBlockCache(conv1, a, conv2, None, z)


@mistake("residual_block_forward", hint="""
    There is no ReLU after the addition. The block ends in one, so that the next block gets what
    every layer gets: activations.""")
def no_relu_after_the_addition(x, w1, b1, w2, b2, w_skip=None, *, stride=1, conv2d_forward):
    a, conv1 = conv2d_forward(x, w1, b1, stride=stride, padding=1)
    body, conv2 = conv2d_forward(np.maximum(a, 0), w2, b2, padding=1)
    way, skip = (x, None) if w_skip is None else conv2d_forward(x, w_skip, None, stride=stride)
    return body + way, ResidualBlockCache(conv1, a, conv2, skip, body + way)


@mistake("residual_block_forward", hint="""
    The ReLU between the two convolutions is missing. Two convolutions without a bend between them
    are one.""")
def no_relu_inside(x, w1, b1, w2, b2, w_skip=None, *, stride=1, conv2d_forward):
    a, conv1 = conv2d_forward(x, w1, b1, stride=stride, padding=1)
    body, conv2 = conv2d_forward(a, w2, b2, padding=1)
    way, skip = (x, None) if w_skip is None else conv2d_forward(x, w_skip, None, stride=stride)
    z = body + way
    return np.maximum(z, 0), ResidualBlockCache(conv1, a, conv2, skip, z)


@mistake("residual_block_forward", hint="""
    Your projection has no stride. Where the body halves the image, the shortcut must halve it,
    too: otherwise the two don't fit together.""", anchor="projection-shortcut")
def projection_without_the_stride(x, w1, b1, w2, b2, w_skip=None, *, stride=1, conv2d_forward):
    a, conv1 = conv2d_forward(x, w1, b1, stride=stride, padding=1)
    body, conv2 = conv2d_forward(np.maximum(a, 0), w2, b2, padding=1)
    way, skip = (x, None) if w_skip is None else conv2d_forward(x, w_skip, None)
    z = body + way
    return np.maximum(z, 0), ResidualBlockCache(conv1, a, conv2, skip, z)


@mistake("residual_block_forward", hint="""
    The stride is in the wrong convolution of the body. The first one takes it; the second keeps
    the size.""", anchor="projection-shortcut")
def stride_in_the_second_convolution(x, w1, b1, w2, b2, w_skip=None, *, stride=1, conv2d_forward):
    a, conv1 = conv2d_forward(x, w1, b1, padding=1)
    body, conv2 = conv2d_forward(np.maximum(a, 0), w2, b2, stride=stride, padding=1)
    way, skip = (x, None) if w_skip is None else conv2d_forward(x, w_skip, None, stride=stride)
    z = body + way
    return np.maximum(z, 0), ResidualBlockCache(conv1, a, conv2, skip, z)


@mistake("residual_block_forward", hint="""
    The projection is left out where the shapes agree without it. It belongs to the block whenever
    `w_skip` is given: its weights are learnt like all others.""", anchor="projection-shortcut")
def projection_only_where_shapes_differ(x, w1, b1, w2, b2, w_skip=None, *, stride=1,
                                        conv2d_forward):
    a, conv1 = conv2d_forward(x, w1, b1, stride=stride, padding=1)
    body, conv2 = conv2d_forward(np.maximum(a, 0), w2, b2, padding=1)
    same = body.shape == x.shape
    way, skip = (x, None) if same else conv2d_forward(x, w_skip, None, stride=stride)
    z = body + way
    return np.maximum(z, 0), ResidualBlockCache(conv1, a, conv2, skip, z)


# ---------------------------------------------------------------- residual_block_backward


@mistake("residual_block_backward", hint="""
    `dx` lacks what comes back along the shortcut. The input goes two ways, so its gradient is the
    sum of both.""")
def shortcut_forgotten_on_the_way_back(dy, cache, *, conv2d_backward):
    dz = dy * (cache.z > 0)
    dh, dw2, db2 = conv2d_backward(dz, cache.conv2)
    dx, dw1, db1 = conv2d_backward(dh * (cache.a > 0), cache.conv1)
    dw_skip = None if cache.skip is None else conv2d_backward(dz, cache.skip)[1]
    return ResidualBlockGrads(dx, dw1, db1, dw2, db2, dw_skip)


@mistake("residual_block_backward", hint="""
    `dx` lacks what comes back through the body: you return the shortcut's part alone. The input
    goes two ways, so its gradient is the sum of both.""")
def body_forgotten_in_dx(dy, cache, *, conv2d_backward):
    dz = dy * (cache.z > 0)
    dh, dw2, db2 = conv2d_backward(dz, cache.conv2)
    _, dw1, db1 = conv2d_backward(dh * (cache.a > 0), cache.conv1)
    if cache.skip is None:
        return ResidualBlockGrads(dz, dw1, db1, dw2, db2, None)
    dx, dw_skip, _ = conv2d_backward(dz, cache.skip)
    return ResidualBlockGrads(dx, dw1, db1, dw2, db2, dw_skip)


@mistake("residual_block_backward", hint="""
    The gradient reaches body and shortcut without passing the last ReLU. Both are added *before*
    it, so both get `dy` only where the sum was positive.""")
def last_relu_skipped(dy, cache, *, conv2d_backward):
    dh, dw2, db2 = conv2d_backward(dy, cache.conv2)
    dx, dw1, db1 = conv2d_backward(dh * (cache.a > 0), cache.conv1)
    if cache.skip is None:
        return ResidualBlockGrads(dx + dy, dw1, db1, dw2, db2, None)
    dx_skip, dw_skip, _ = conv2d_backward(dy, cache.skip)
    return ResidualBlockGrads(dx + dx_skip, dw1, db1, dw2, db2, dw_skip)


@mistake("residual_block_backward", hint="""
    The body is right, but the shortcut gets `dy` as it came: the last ReLU stands behind the sum,
    so it is on the shortcut's way, too.""")
def shortcut_past_the_relu(dy, cache, *, conv2d_backward):
    dz = dy * (cache.z > 0)
    dh, dw2, db2 = conv2d_backward(dz, cache.conv2)
    dx, dw1, db1 = conv2d_backward(dh * (cache.a > 0), cache.conv1)
    if cache.skip is None:
        return ResidualBlockGrads(dx + dy, dw1, db1, dw2, db2, None)
    dx_skip, dw_skip, _ = conv2d_backward(dy, cache.skip)
    return ResidualBlockGrads(dx + dx_skip, dw1, db1, dw2, db2, dw_skip)


@mistake("residual_block_backward", hint="""
    The ReLU between the two convolutions is missing on the way back: where its input was not
    positive, nothing passes to the first one.""")
def inner_relu_skipped(dy, cache, *, conv2d_backward):
    dz = dy * (cache.z > 0)
    dh, dw2, db2 = conv2d_backward(dz, cache.conv2)
    dx, dw1, db1 = conv2d_backward(dh, cache.conv1)
    if cache.skip is None:
        return ResidualBlockGrads(dx + dz, dw1, db1, dw2, db2, None)
    dx_skip, dw_skip, _ = conv2d_backward(dz, cache.skip)
    return ResidualBlockGrads(dx + dx_skip, dw1, db1, dw2, db2, dw_skip)


@mistake("residual_block_backward", hint="""
    The two ReLUs have changed places: the mask of the inner one belongs between the convolutions,
    that of the outer one to `dy`.""")
def masks_exchanged(dy, cache, *, conv2d_backward):
    dz = dy * (cache.a > 0)
    dh, dw2, db2 = conv2d_backward(dz, cache.conv2)
    dx, dw1, db1 = conv2d_backward(dh * (cache.z > 0), cache.conv1)
    if cache.skip is None:
        return ResidualBlockGrads(dx + dz, dw1, db1, dw2, db2, None)
    dx_skip, dw_skip, _ = conv2d_backward(dz, cache.skip)
    return ResidualBlockGrads(dx + dx_skip, dw1, db1, dw2, db2, dw_skip)
