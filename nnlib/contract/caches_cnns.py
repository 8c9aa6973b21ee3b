"""Cache and gradients of a residual block."""

from typing import Any, NamedTuple

from nnlib.contract.caches_convolution import Conv2dCache

Array = Any


class ResidualBlockCache(NamedTuple):
    """What the backward of ``y = relu(conv(relu(conv(x))) + shortcut(x))`` needs.

    ``conv1``, ``conv2`` and ``skip`` are the caches of the convolutions, ``skip`` None where the
    shortcut is the identity. ``a`` is what went into the inner ReLU and ``z`` into the outer one,
    both ``(n, c_out, oh, ow)``.
    """

    conv1: Conv2dCache
    a: Array
    conv2: Conv2dCache
    skip: Conv2dCache | None
    z: Array


class ResidualBlockGrads(NamedTuple):
    """Gradients of a residual block, each in the shape of its array.

    ``dw_skip`` is None where the shortcut was the identity.
    """

    dx: Array
    dw1: Array
    db1: Array
    dw2: Array
    db2: Array
    dw_skip: Array | None
