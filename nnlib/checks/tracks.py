"""Moving data between the case tables (NumPy) and the track under test."""

import contextlib
import contextvars
import copy
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from nnlib.contract import Rng

ATOMS = frozenset((str, float, int, bool, type(None)))


def reference(track: str) -> ModuleType:
    """Return the reference implementation of a track; PyTorch is imported only when asked for."""
    if track == "numpy":
        import nnlib.numpy_track

        return nnlib.numpy_track
    if track == "torch":
        import nnlib.torch_track

        return nnlib.torch_track
    raise ValueError(f'reference: track must be "numpy" or "torch", got {track!r}.')


_DEVICE = contextvars.ContextVar("_DEVICE", default="cpu")


def device() -> str:
    """Name the device that `to_track` uses."""
    return _DEVICE.get()


@contextlib.contextmanager
def on_device(device: str) -> Iterator[None]:
    """Let `to_track` put tensors and generators on ``device`` for as long as this lasts."""
    token = _DEVICE.set(device)
    try:
        yield
    finally:
        _DEVICE.reset(token)


def to_track(value: Any, track: str) -> Any:
    """Copy ``value`` for one call: fresh arrays (tensors for PyTorch), fresh generators."""
    if type(value) in ATOMS:
        return value
    if isinstance(value, Rng):
        if track == "torch":
            import torch

            return torch.Generator(_DEVICE.get()).manual_seed(value.seed)
        return np.random.default_rng(value.seed)
    if isinstance(value, np.ndarray):
        if track == "torch":
            import torch

            # ascontiguousarray because torch has no negative strides; 0-d arrays keep their rank.
            return torch.from_numpy(np.array(value, order="C")).to(_DEVICE.get())
        return value.copy()
    if isinstance(value, tuple):
        items = [to_track(item, track) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [to_track(item, track) for item in value]
    if isinstance(value, Mapping):
        return {key: to_track(item, track) for key, item in value.items()}
    return value


def is_tensor(value: Any) -> bool:
    """Tell a torch tensor without importing torch."""
    return type(value).__module__.split(".")[0] == "torch" and hasattr(value, "detach")


def to_plain(value: Any) -> Any:
    """Turn a result into built-in containers and NumPy arrays that nobody else holds.

    NamedTuples become tuples, tensors arrays. A tensor that NumPy has no type for (bfloat16)
    is widened to float32. Anything unknown is returned as it is.
    """
    if is_tensor(value):
        tensor = value.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            tensor = tensor.float()
        return np.array(tensor.numpy())
    if isinstance(value, np.ndarray):
        return np.array(value)
    if isinstance(value, np.generic):
        return np.array(value)
    if isinstance(value, tuple | list):
        return type_of_sequence(value)(to_plain(item) for item in value)
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def type_of_sequence(value: tuple | list) -> type:
    """Return ``list`` for lists and ``tuple`` for every kind of tuple."""
    return list if isinstance(value, list) else tuple


def through_numpy(function: Any) -> Any:
    """Make a function on tensors out of one on NumPy arrays, for mutants and their diagnosis.

    The result is detached from autograd: use it only where no gradient is asked for.
    """

    def on_tensors(*args: Any, **kwargs: Any) -> Any:
        plain_args = [_to_numpy(arg) for arg in args]
        plain_kwargs = {key: _to_numpy(arg) for key, arg in kwargs.items()}
        before = copy.deepcopy((plain_args, plain_kwargs))
        result = function(*plain_args, **plain_kwargs)
        _write_back(args, plain_args, before[0])
        return to_track(result, "torch") if not _is_scalar(result) else _scalar(result)

    on_tensors.__name__ = getattr(function, "__name__", "on_tensors")
    return on_tensors


def _to_numpy(value: Any) -> Any:
    """Like `to_plain`, but keeps NamedTuples (a mistake reads ``cache.x``) and wraps callables."""
    if is_tensor(value):
        return value.detach().cpu().numpy().copy()
    if type(value).__name__ == "Generator" and type(value).__module__.startswith("torch"):
        return np.random.default_rng(value.initial_seed())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_to_numpy, value))
    if isinstance(value, tuple | list):
        return type(value)(map(_to_numpy, value))
    if isinstance(value, Mapping):
        return {key: _to_numpy(item) for key, item in value.items()}
    if callable(value) and not isinstance(value, type):
        return lambda *args, **kwargs: _to_numpy(
            value(*to_track(list(args), "torch"), **to_track(kwargs, "torch"))
        )
    return value


def _write_back(tensors: Any, arrays: Any, before: Any) -> None:
    """Repeat on the caller's tensors what the NumPy function did to its copies."""
    for tensor, array, old in zip(tensors, arrays, before, strict=True):
        if is_tensor(tensor) and isinstance(array, np.ndarray):
            if array.shape == old.shape and not np.array_equal(array, old, equal_nan=True):
                tensor.data.copy_(to_track(array, "torch"))
        elif isinstance(tensor, tuple | list) and isinstance(array, tuple | list):
            _write_back(tensor, array, old)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, np.generic)


def _scalar(value: Any) -> Any:
    import torch

    return torch.from_numpy(np.array(value))
