"""What the tests of training share: the two tracks, and carrying arrays between them."""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch

import nnlib.numpy_track
import nnlib.numpy_track.model
import nnlib.torch_track
import nnlib.torch_track.model


class Track(NamedTuple):
    name: str
    ops: ModuleType
    model: ModuleType

    def array(self, x: np.ndarray) -> Any:
        """Copy into an array of the track; layouts that torch lacks become plain."""
        return x if self.name == "numpy" else torch.from_numpy(np.array(x, order="C"))

    def rng(self, seed: int = 0) -> Any:
        if self.name == "numpy":
            return np.random.default_rng(seed)
        return torch.Generator().manual_seed(seed)


TRACKS = {
    "numpy": Track("numpy", nnlib.numpy_track, nnlib.numpy_track.model),
    "torch": Track("torch", nnlib.torch_track, nnlib.torch_track.model),
}


def plain(x: Any) -> np.ndarray:
    return x.detach().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


def same_bits(one: Any, other: Any) -> bool:
    """Compare nested values with arrays bit for bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_bits(one[k], other[k]) for k in one)
    if hasattr(one, "shape"):
        a, b = plain(one), plain(other)
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return bool(one == other)
