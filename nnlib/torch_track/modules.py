"""The forms that PyTorch programs use: modules, autograd functions, optimizers and schedulers.

The rest of this track writes every backward by hand. Here torch's autograd does that work, or is
told by a `torch.autograd.Function` how to.
"""

from nnlib.torch_track.modules_functions import (
    AttentionFunction,
    BatchNormFunction,
    Conv2dFunction,
    LinearFunction,
    ReLUFunction,
    SoftmaxCrossEntropyFunction,
)
from nnlib.torch_track.modules_networks import (
    MLP,
    LeNet,
    MultiHeadAttention,
    Neuron,
    ResidualBlock,
)
from nnlib.torch_track.modules_optim import (
    SGD,
    Adam,
    AdamW,
    CosineLR,
    ExponentialDecayLR,
    Momentum,
    StepDecayLR,
    WarmupCosineLR,
)

__all__ = [
    "MLP",
    "SGD",
    "Adam",
    "AdamW",
    "AttentionFunction",
    "BatchNormFunction",
    "Conv2dFunction",
    "CosineLR",
    "ExponentialDecayLR",
    "LeNet",
    "LinearFunction",
    "Momentum",
    "MultiHeadAttention",
    "Neuron",
    "ReLUFunction",
    "ResidualBlock",
    "SoftmaxCrossEntropyFunction",
    "StepDecayLR",
    "WarmupCosineLR",
]
