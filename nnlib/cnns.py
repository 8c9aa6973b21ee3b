"""Convolutional networks in functions: LeNet, a residual block, and maps of where a network looks.

The same for arrays of either track; convolution and pooling are passed in.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from nnlib.contract.caches_cnns import ResidualBlockCache, ResidualBlockGrads
from nnlib.errors import (
    ShapeError,
    check_count,
    check_floats,
    check_labels,
    check_number,
    check_same_shape,
    check_shape,
    check_upstream,
)

__all__ = [
    "class_activation_maps",
    "cnn_train_step",
    "grad_cam",
    "lenet_scores",
    "residual_block_backward",
    "residual_block_forward",
]

Array = Any
Operation = Callable[..., Any]


def lenet_scores(
    x: Array, params: Mapping[str, Array], *, conv2d: Operation, max_pool2d: Operation
) -> Array:
    """Compute the scores of a LeNet: two rounds of convolution and pooling, three linear layers.

    Parameters
    ----------
    x : array (n, c, h, w) of floats
    params : dict of str to array
        Filters "conv1.w" and "conv2.w" ``(c_out, c_in, 5, 5)``, weights "fc1.w", "fc2.w" and
        "fc3.w" ``(d_in, d_out)``, and a bias ``(c_out,)`` or ``(d_out,)`` for each.
    conv2d : callable
        ``conv2d(x, w, b, padding=0) -> y``.
    max_pool2d : callable
        ``max_pool2d(x, kernel_size=2) -> y``.

    Returns
    -------
    scores : array (n, k)

    Raises
    ------
    ShapeError
        If the images are of a size that does not lead to the inputs of "fc1.w".

    References
    ----------
    Chapter 14, "Convolutional networks". Y. LeCun et al., "Gradient-based learning applied to
    document recognition", Proceedings of the IEEE, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from nnlib.numpy_track import conv2d_forward, max_pool2d_forward
    >>> rng = np.random.default_rng(0)
    >>> shapes = {"conv1": (2, 1, 5, 5), "conv2": (3, 2, 5, 5), "fc1": (12, 5), "fc2": (5, 4),
    ...           "fc3": (4, 3)}
    >>> params = {f"{name}.w": rng.normal(size=shape) for name, shape in shapes.items()}
    >>> params |= {f"{name}.b": np.zeros(shape["f" in name]) for name, shape in shapes.items()}
    >>> lenet_scores(np.ones((6, 1, 16, 16)), params,
    ...              conv2d=lambda x, w, b, padding=0: conv2d_forward(x, w, b, padding=padding)[0],
    ...              max_pool2d=lambda x, kernel_size: max_pool2d_forward(
    ...                  x, kernel_size=kernel_size)[0]).shape
    (6, 3)
    """
    check_floats("lenet_scores", x=x)
    check_shape("lenet_scores", "x", x, ("n", "c", "h", "w"))
    h = x
    for name, padding in (("conv1", 2), ("conv2", 0)):
        z = conv2d(h, params[f"{name}.w"], params[f"{name}.b"], padding=padding)
        h = max_pool2d(_relu(z), kernel_size=2)
    h = h.reshape((len(x), math.prod(h.shape[1:])))  # channel, then row, then column
    check_shape("lenet_scores", "the flattened features", h, ("n", params["fc1.w"].shape[0]))
    for name in ("fc1", "fc2"):
        h = _relu(h @ params[f"{name}.w"] + params[f"{name}.b"])
    return h @ params["fc3.w"] + params["fc3.b"]


def residual_block_forward(
    x: Array, w1: Array, b1: Array, w2: Array, b2: Array, w_skip: Array | None = None, *,
    stride: int = 1, conv2d_forward: Operation,
) -> tuple[Array, ResidualBlockCache]:
    """Compute ``y = relu(conv(relu(conv(x))) + shortcut(x))``.

    Parameters
    ----------
    x : array (n, c_in, h, w) of floats
    w1 : array (c_out, c_in, 3, 3)
        Applied with the stride and padding 1.
    b1 : array (c_out,)
    w2 : array (c_out, c_out, 3, 3)
        Applied with stride 1 and padding 1.
    b2 : array (c_out,)
    w_skip : array (c_out, c_in, 1, 1) or None
        A 1x1 convolution without bias, with the stride, on the shortcut; None for the identity.
    stride : int, at least 1
    conv2d_forward : callable
        ``conv2d_forward(x, w, b, stride=1, padding=0) -> (y, cache)``.

    Returns
    -------
    y : array (n, c_out, oh, ow)
        ``oh`` is ``h / stride``, rounded up.
    cache : ResidualBlockCache

    Raises
    ------
    ShapeError
        If body and shortcut do not give the same shape.

    References
    ----------
    Chapter 14, "Convolutional networks". K. He et al., "Deep residual learning for image
    recognition", CVPR 2016.

    Examples
    --------
    A body of zeros is no obstacle:

    >>> import numpy as np
    >>> from nnlib.numpy_track import conv2d_forward
    >>> x, w, b = np.array([[[[1.0, -2.0]]]]), np.zeros((1, 1, 3, 3)), np.zeros(1)
    >>> y, cache = residual_block_forward(x, w, b, w, b, conv2d_forward=conv2d_forward)
    >>> y.tolist()
    [[[[1.0, 0.0]]]]
    """
    check_floats("residual_block_forward", x=x)
    check_shape("residual_block_forward", "x", x, ("n", "c_in", "h", "w"))
    check_count("residual_block_forward", "stride", stride, minimum=1)
    a, conv1 = conv2d_forward(x, w1, b1, stride=stride, padding=1)
    body, conv2 = conv2d_forward(_relu(a), w2, b2, padding=1)
    way, skip = x, None
    if w_skip is not None:
        way, skip = conv2d_forward(x, w_skip, None, stride=stride)
    check_same_shape("residual_block_forward", body=body, shortcut=way,
                     hint="Where the body changes the shape, the shortcut needs w_skip.")
    z = body + way
    return _relu(z), ResidualBlockCache(conv1, a, conv2, skip, z)


def residual_block_backward(
    dy: Array, cache: ResidualBlockCache, *, conv2d_backward: Operation
) -> ResidualBlockGrads:
    """Compute the gradients of `residual_block_forward`: ``dx`` is the sum from both ways.

    Parameters
    ----------
    dy : array (n, c_out, oh, ow)
    cache : ResidualBlockCache
    conv2d_backward : callable
        ``conv2d_backward(dy, cache) -> (dx, dw, db)``.

    Returns
    -------
    ResidualBlockGrads
        ``dx, dw1, db1, dw2, db2, dw_skip``; the last is None with the identity as shortcut.

    Raises
    ------
    ShapeError, DtypeError
        If ``dy`` does not fit the output.

    References
    ----------
    Chapter 14, "Convolutional networks".

    Examples
    --------
    >>> import numpy as np
    >>> from nnlib.numpy_track import conv2d_backward, conv2d_forward
    >>> x, w, b = np.array([[[[1.0, -2.0]]]]), np.zeros((1, 1, 3, 3)), np.zeros(1)
    >>> _, cache = residual_block_forward(x, w, b, w, b, conv2d_forward=conv2d_forward)
    >>> grads = residual_block_backward(np.array([[[[5.0, 7.0]]]]), cache,
    ...                                 conv2d_backward=conv2d_backward)
    >>> grads.dx.tolist()
    [[[[5.0, 0.0]]]]
    """
    check_upstream("residual_block_backward", dy, cache.z)
    dz = dy * (cache.z > 0)
    dh, dw2, db2 = conv2d_backward(dz, cache.conv2)
    dx, dw1, db1 = conv2d_backward(dh * (cache.a > 0), cache.conv1)
    if cache.skip is None:
        return ResidualBlockGrads(dx + dz, dw1, db1, dw2, db2, None)
    dx_skip, dw_skip, _ = conv2d_backward(dz, cache.skip)
    return ResidualBlockGrads(dx + dx_skip, dw1, db1, dw2, db2, dw_skip)


def class_activation_maps(features: Array, w: Array, labels: Array) -> Array:
    """Compute ``M[n,p,q] = sum_c w[c, labels[n]] features[n,c,p,q]``: where a class gets its score.

    Parameters
    ----------
    features : array (n, c, h, w) of floats
        What goes into global average pooling.
    w : array (c, k)
        Weights of the linear layer behind it.
    labels : array (n,) of integers
        The class to explain, for each image.

    Returns
    -------
    maps : array (n, h, w)
        Their mean over the places, plus the bias, is the score of the class.

    Raises
    ------
    ShapeError, DtypeError, ValueError
        If the shapes do not fit together or a label is no class.

    References
    ----------
    Chapter 14, "Convolutional networks".

    Examples
    --------
    >>> import numpy as np
    >>> features = np.array([[[[1.0, 2.0]], [[10.0, 0.0]]]])
    >>> class_activation_maps(features, np.array([[1.0, 0.0], [0.5, 2.0]]), np.array([0])).tolist()
    [[[6.0, 2.0]]]
    """
    check_floats("class_activation_maps", features=features, w=w)
    check_shape("class_activation_maps", "features", features, ("n", "c", "h", "w"))
    check_shape("class_activation_maps", "w", w, (features.shape[1], "k"))
    check_labels("class_activation_maps", labels, w.shape[1], n=len(features))
    weights = w.T[labels]  # (n, c)
    return (weights[:, :, None, None] * features).sum(axis=1)


def grad_cam(features: Array, grads: Array) -> Array:
    """Compute ``relu(sum_c a_c features_c)``, where ``a_c`` is the mean of ``grads_c`` over places.

    Parameters
    ----------
    features : array (n, c, h, w) of floats
        Feature maps of some layer.
    grads : array (n, c, h, w)
        Gradient of the score of the class to explain with respect to them.

    Returns
    -------
    maps : array (n, h, w)
        At least 0; large where the features speak for the class.

    Raises
    ------
    ShapeError, DtypeError
        If the two do not fit together.

    References
    ----------
    Chapter 14, "Convolutional networks". R. R. Selvaraju et al., "Grad-CAM: visual explanations
    from deep networks via gradient-based localization", ICCV 2017.

    Examples
    --------
    >>> import numpy as np
    >>> features = np.array([[[[1.0, 2.0]], [[10.0, 0.0]]]])
    >>> grads = np.array([[[[3.0, 1.0]], [[-1.0, 0.0]]]])
    >>> grad_cam(features, grads).tolist()
    [[[0.0, 4.0]]]
    """
    check_floats("grad_cam", features=features, grads=grads)
    check_shape("grad_cam", "features", features, ("n", "c", "h", "w"))
    check_same_shape("grad_cam", features=features, grads=grads)
    if 0 in features.shape[1:]:
        raise ShapeError("grad_cam: features must have at least one channel and one pixel, got "
                         f"shape {tuple(features.shape)}.")
    weights = grads.mean(axis=(2, 3))  # (n, c)
    return _relu((weights[:, :, None, None] * features).sum(axis=1))


def cnn_train_step(
    params: Mapping[str, Array], x: Array, labels: Array, *, learning_rate: float,
    conv2d_forward: Operation, conv2d_backward: Operation, softmax_cross_entropy: Operation,
) -> tuple[Array, dict[str, Array]]:
    """Make one step of a network of convolution, ReLU, global average pooling, and a linear layer.

    Parameters
    ----------
    params : dict of str to array
        "conv.w" ``(c, c_in, 3, 3)``, "conv.b" ``(c,)``, "head.w" ``(c, k)``, "head.b" ``(k,)``.
    x : array (n, c_in, h, w) of floats
    labels : array (n,) of integers
    learning_rate : float
        Positive.
    conv2d_forward : callable
        ``conv2d_forward(x, w, b, padding=0) -> (y, cache)``; the network uses padding 1.
    conv2d_backward : callable
        ``conv2d_backward(dy, cache) -> (dx, dw, db)``.
    softmax_cross_entropy : callable
        ``softmax_cross_entropy(scores, labels) -> (loss, dscores)``.

    Returns
    -------
    loss : number
        Before the step.
    params : dict of str to array
        New arrays.

    Raises
    ------
    ValueError
        If the learning rate is not positive.

    References
    ----------
    Chapter 14, "Convolutional networks".

    Examples
    --------
    >>> import numpy as np
    >>> from nnlib import numpy_track as nn
    >>> params = {"conv.w": np.zeros((1, 1, 3, 3)), "conv.b": np.ones(1),
    ...           "head.w": np.zeros((1, 2)), "head.b": np.zeros(2)}
    >>> loss, new = cnn_train_step(
    ...     params, np.ones((1, 1, 2, 2)), np.array([0]), learning_rate=1.0,
    ...     conv2d_forward=nn.conv2d_forward, conv2d_backward=nn.conv2d_backward,
    ...     softmax_cross_entropy=nn.softmax_cross_entropy)
    >>> round(float(loss), 3), new["head.w"].tolist()
    (0.693, [[0.5, -0.5]])
    """
    check_number("cnn_train_step", "learning_rate", learning_rate, above=0)
    z, cache = conv2d_forward(x, params["conv.w"], params["conv.b"], padding=1)
    height, width = z.shape[2:]
    pooled = _relu(z).mean(axis=(2, 3))  # (n, c)
    scores = pooled @ params["head.w"] + params["head.b"]
    loss, dscores = softmax_cross_entropy(scores, labels)
    dpooled = dscores @ params["head.w"].T
    dz = dpooled[:, :, None, None] / (height * width) * (z > 0)
    _, dw, db = conv2d_backward(dz, cache)
    grads = {"conv.w": dw, "conv.b": db, "head.w": pooled.T @ dscores, "head.b": dscores.sum(0)}
    return loss, {name: p - learning_rate * grads[name] for name, p in params.items()}


def _relu(z: Array) -> Array:
    return z.clip(0)
