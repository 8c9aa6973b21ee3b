"""Convolutional networks in functions: see `nnlib.cnns`."""

from nnlib.cnns import (
    class_activation_maps,
    cnn_train_step,
    grad_cam,
    lenet_scores,
    residual_block_backward,
    residual_block_forward,
)

__all__ = [
    "class_activation_maps",
    "cnn_train_step",
    "grad_cam",
    "lenet_scores",
    "residual_block_backward",
    "residual_block_forward",
]
