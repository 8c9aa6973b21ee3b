"""The training loop in functions: see `nnlib.descent`."""

from nnlib.descent import fit_epochs, mini_batch_step

__all__ = ["fit_epochs", "mini_batch_step"]
