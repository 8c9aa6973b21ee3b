"""Caches and gradients of batch norm, layer norm and dropout."""

from typing import Any, NamedTuple

Array = Any


class BatchNormCache(NamedTuple):
    """Input minus mean, 1 / standard deviation, scale, and the mode that was used.

    ``centred`` has the shape of ``x``; ``inv_std (d,)`` and ``gamma (d,)`` one entry for each
    column, or for each channel of images. ``x_hat = centred * inv_std`` is the
    normalized input. ``training`` tells where mean and variance came from: from the batch
    (True), so that they depend on ``x``, or from the running statistics (False).
    """

    centred: Array
    inv_std: Array
    gamma: Array
    training: bool


class BatchNormGrads(NamedTuple):
    """Gradients of batch norm: ``dx`` of the shape of ``x``, ``dgamma (d,)``, ``dbeta (d,)``."""

    dx: Array
    dgamma: Array
    dbeta: Array


class LayerNormCache(NamedTuple):
    """Normalized input ``(..., d)``, 1 / standard deviation ``(..., 1)``, scale ``(d,)``."""

    x_hat: Array
    inv_std: Array
    gamma: Array


class LayerNormGrads(NamedTuple):
    """Gradients of layer norm: ``dx (..., d)``, ``dgamma (d,)``, ``dbeta (d,)``."""

    dx: Array
    dgamma: Array
    dbeta: Array


class DropoutCache(NamedTuple):
    """What each entry was multiplied by: 0, or ``1 / (1 - drop_prob)``; None in evaluation."""

    mask: Array | None
