"""Choosing a learning rate: see `nnlib.learning_rates`."""

from nnlib.learning_rates import (
    noise_ball,
    pick_learning_rate,
    plateau_rates,
    range_test_rates,
)

__all__ = ["noise_ball", "pick_learning_rate", "plateau_rates", "range_test_rates"]
