"""Learning-rate schedules: numbers in, numbers out. Both tracks use those of `nnlib.schedules`."""

from nnlib.schedules import (
    constant,
    cosine,
    exponential_decay,
    reduce_on_plateau,
    step_decay,
    warmup_cosine,
)

__all__ = [
    "constant",
    "cosine",
    "exponential_decay",
    "reduce_on_plateau",
    "step_decay",
    "warmup_cosine",
]
