"""The case tables, one file a topic. Importing this package registers them all."""

from nnlib.contract.cases import (
    activations,
    arrays,
    backprop_torch,
    dense,
    engine,
    gradcheck,
    init,
    losses,
    neurons_torch,
    optim,
    perceptron,
)

__all__ = [
    "activations",
    "arrays",
    "backprop_torch",
    "dense",
    "engine",
    "gradcheck",
    "init",
    "losses",
    "neurons_torch",
    "optim",
    "perceptron",
]
