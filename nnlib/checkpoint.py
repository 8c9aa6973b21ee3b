"""How a training is laid down in a file and taken up again; what both tracks share.

Parameters and the optimizer's state go into one npz (`nnlib.npz_store`) as plain arrays:
``params/0.w``, ``state/m/0.w``. How they nest, the numbers among them, the generator and the
metadata stand in its header.
"""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nnlib.contract.caches_train import Checkpoint
from nnlib.errors import DtypeError, check_count, check_params
from nnlib.npz_store import read_npz, write_npz

__all__ = ["FORMAT", "VERSION", "read_checkpoint", "write_checkpoint"]

FORMAT, VERSION = "nnlib-checkpoint", 1

#: Turns an array into one of NumPy and the name of a dtype that NumPy lacks, or "".
ToNumpy = Callable[[Any], tuple[npt.NDArray[Any], str]]
FromNumpy = Callable[[npt.NDArray[Any], str], Any]


def write_checkpoint(
    path: str | os.PathLike[str],
    *,
    track: str,
    params: Mapping[str, Any],
    state: Mapping[str, Any] | None,
    rng: tuple[Any, npt.NDArray[Any] | None],
    step: int,
    metadata: Mapping[str, Any] | None,
    to_numpy: ToNumpy,
) -> None:
    """Write a checkpoint: see `save_checkpoint` of the tracks.

    ``rng`` is the generator as plain data, and as an array where it needs one.
    """
    caller = "save_checkpoint"
    check_params(caller, params)
    check_count(caller, "step", step)
    arrays: dict[str, npt.NDArray[Any]] = {}
    plain_rng, rng_array = rng
    if rng_array is not None:
        arrays["rng"] = rng_array
    header = {
        "format": FORMAT, "version": VERSION, "track": track, "step": int(step),
        "params": _pack(caller, "params", dict(params), arrays, to_numpy),
        "state": _pack(caller, "state", state, arrays, to_numpy),
        "rng": plain_rng, "metadata": dict(metadata or {}),
    }
    try:
        json.dumps(header["metadata"])
    except (TypeError, ValueError) as error:
        raise DtypeError(
            f"{caller}: metadata must be plain data (dicts, lists, strings, numbers), got "
            f"{metadata!r}: {error}."
        ) from None
    write_npz(path, header, arrays)


def read_checkpoint(
    path: str | os.PathLike[str],
    *,
    track: str,
    from_numpy: FromNumpy,
    make_rng: Callable[[Any, npt.NDArray[Any] | None], Any],
) -> Checkpoint:
    """Read a checkpoint: see `load_checkpoint` of the tracks."""
    caller = "load_checkpoint"
    header, arrays = read_npz(caller, path, format=FORMAT, version=VERSION)
    if header.get("track") != track:
        raise ValueError(
            f"{caller}: {os.fspath(path)} must come from the {track} track, got "
            f"{header.get('track')!r}. Load it with nnlib.{header.get('track')}_track."
        )
    try:
        rng = header["rng"]
        return Checkpoint(
            params=_unpack(header["params"], arrays, from_numpy),
            state=_unpack(header["state"], arrays, from_numpy),
            rng=None if rng is None else make_rng(rng, arrays.get("rng")),
            step=int(header["step"]),
            metadata=header["metadata"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{caller}: {os.fspath(path)} must be a whole checkpoint, but {error} is missing or "
            f"wrong."
        ) from error


def _pack(
    caller: str, place: str, value: Any, arrays: dict[str, npt.NDArray[Any]], to_numpy: ToNumpy
) -> Any:
    """Turn a nested value into plain data; its arrays go into ``arrays`` by their place."""
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise DtypeError(f"{caller}: the keys of {place} must be strings, got {list(value)}.")
        return {"dict": {key: _pack(caller, f"{place}/{key}", item, arrays, to_numpy)
                         for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return {"list": [_pack(caller, f"{place}/{k}", item, arrays, to_numpy)
                         for k, item in enumerate(value)]}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        if place in arrays:
            raise ValueError(f"{caller}: two arrays would have the name {place!r} in the file.")
        arrays[place], dtype = to_numpy(value)
        return {"array": place, "dtype": dtype}
    raise DtypeError(
        f"{caller}: {place} must hold arrays, numbers, strings, dicts and lists, got "
        f"{type(value).__name__}."
    )


def _unpack(packed: Any, arrays: Mapping[str, npt.NDArray[Any]], from_numpy: FromNumpy) -> Any:
    """Undo `_pack`."""
    if "dict" in packed:
        return {key: _unpack(item, arrays, from_numpy) for key, item in packed["dict"].items()}
    if "list" in packed:
        return [_unpack(item, arrays, from_numpy) for item in packed["list"]]
    if "array" in packed:
        return from_numpy(arrays[packed["array"]], packed["dtype"])
    return packed["value"]


def plain_generator(rng: np.random.Generator) -> dict[str, Any]:
    """Return a NumPy generator's state as plain data.

    Examples
    --------
    >>> plain_generator(np.random.default_rng(0))["bit_generator"]
    'PCG64'
    """
    return _plain(rng.bit_generator.state)


def generator_from_plain(state: Any) -> np.random.Generator:
    """Return a generator that goes on where `plain_generator` has read the state.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> twin = generator_from_plain(plain_generator(rng))
    >>> bool(rng.random() == twin.random())
    True
    """
    # Named one by one: a file must not choose which object is made.
    kinds = {kind.__name__: kind for kind in (
        np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox,
        np.random.SFC64,
    )}
    bits = kinds[state["bit_generator"]](0)
    bits.state = _arrays_again(state)
    return np.random.Generator(bits)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.name}
    return value.item() if isinstance(value, np.generic) else value


def _arrays_again(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"array", "dtype"}:
        return np.array(value["array"], dtype=value["dtype"])
    if isinstance(value, dict):
        return {key: _arrays_again(item) for key, item in value.items()}
    return value
