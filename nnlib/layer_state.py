"""The state of a layer or model as plain arrays: checked, copied, written to a file and read.

A state is a dict from names to arrays: the parameters, which are learned, and the buffers, such
as running statistics, which are not. Nothing here imports PyTorch: a tensor brings the methods
that are needed.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nnlib.errors import DtypeError, ShapeError, check_array, dtype_name, format_shape
from nnlib.npz_store import read_npz, write_npz

Array = Any

#: What the header of a file with a state says.
FORMAT, VERSION = "nnlib-model", 1

#: Shape and name of the dtype.
Kind = tuple[tuple[int, ...], str]


def check_same_keys(caller: str, params: Mapping[str, Array], values: Mapping[str, Array]) -> None:
    """Require new values for exactly the parameters there are, of the same shapes."""
    if params.keys() != values.keys():
        raise ValueError(
            f"{caller}.params: the keys must be {sorted(params)}, got {sorted(values)}."
        )
    for name, value in values.items():
        if tuple(value.shape) != tuple(params[name].shape):
            raise ShapeError(
                f"{caller}.params: {name} must have shape {format_shape(params[name].shape)}, "
                f"got {format_shape(value.shape)}."
            )


def copy_array(x: Array) -> Array:
    """Copy an array or tensor; the copy of a tensor is not part of a graph."""
    return x.detach().clone() if hasattr(x, "detach") else x.copy()


def check_state(caller: str, current: Mapping[str, Array], state: Any) -> None:
    """Require a state with the names, shapes, dtypes and device of the current one."""
    if not isinstance(state, Mapping):
        raise DtypeError(f"{caller}: state must be a dict of arrays, got {type(state).__name__}.")
    for name, value in state.items():
        check_array(caller, f"state[{name!r}]", value)
    _check_kinds(caller, _kinds(current), _kinds(state))
    for name, value in state.items():
        here, there = _home(current[name]), _home(value)
        if here != there:
            raise DtypeError(
                f"{caller}: {name} must be {here}, got {there}. Convert it first."
            )


def save_state(
    path: str | os.PathLike[str], state: Mapping[str, Array], *, description: str
) -> None:
    """Write a state to a file of the format "nnlib-model", which both tracks read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.npz")
    ...     save_state(path, {"w": np.ones(2)}, description="two ones")
    ...     load_state("load", path, {"w": np.zeros(2)})
    {'w': array([1., 1.])}
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        "description": description,
        "dtypes": {name: dtype_name(value) for name, value in state.items()},
    }
    write_npz(path, header, {name: _to_numpy(value) for name, value in state.items()})


def load_state(
    caller: str, path: str | os.PathLike[str], current: Mapping[str, Array]
) -> dict[str, Array]:
    """Read a state that fits the current one, as arrays of its library on its device."""
    header, arrays = read_npz(caller, path, format=FORMAT, version=VERSION)
    dtypes = header.get("dtypes")
    if not isinstance(dtypes, dict) or dtypes.keys() != arrays.keys():
        raise ValueError(
            f"{caller}: {os.fspath(path)} must list the dtypes of its arrays, but the list does "
            f"not fit them. Is it damaged?"
        )
    for name, array in arrays.items():
        # NumPy has no bfloat16: such values lie in the file as float32, which holds them all.
        stored = "float32" if dtypes[name] == "bfloat16" else dtypes[name]
        if stored != str(array.dtype):
            raise ValueError(
                f"{caller}: {os.fspath(path)} must hold {name} as {stored}, got {array.dtype}. "
                f"Is it damaged?"
            )
    came = {name: (array.shape, dtypes[name]) for name, array in arrays.items()}
    _check_kinds(f"{caller}: {os.fspath(path)}", _kinds(current), came)
    return {name: _like(array, current[name]) for name, array in arrays.items()}


def _check_kinds(caller: str, current: Mapping[str, Kind], came: Mapping[str, Kind]) -> None:
    """Require the same names, then the same shapes, then the same dtypes; name all that differ."""
    question = "Does the state belong to a model with the same layers?"
    if current.keys() != came.keys():
        raise ValueError(
            f"{caller}: state must have the names of the model's arrays. Missing: "
            f"{sorted(current.keys() - came.keys())}; unexpected: "
            f"{sorted(came.keys() - current.keys())}. {question}"
        )
    shapes = [
        f"{name} must have shape {format_shape(kind[0])}, got {format_shape(came[name][0])}"
        for name, kind in current.items() if kind[0] != came[name][0]
    ]
    if shapes:
        raise ShapeError(f"{caller}: {'; '.join(shapes)}. {question}")
    dtypes = [
        f"{name} must be {kind[1]}, got {came[name][1]}"
        for name, kind in current.items() if kind[1] != came[name][1]
    ]
    if dtypes:
        raise DtypeError(f"{caller}: {'; '.join(dtypes)}. Make the model with that dtype.")


def _kinds(state: Mapping[str, Array]) -> dict[str, Kind]:
    return {name: (tuple(x.shape), dtype_name(x)) for name, x in state.items()}


def _home(x: Array) -> str:
    """Say whose array this is and where it lies."""
    library = type(x).__module__.partition(".")[0]
    return f"a {library} array on {getattr(x, 'device', 'cpu')}"


def _to_numpy(x: Array) -> npt.NDArray[Any]:
    if isinstance(x, np.ndarray):
        return x
    x = x.detach().cpu()
    return (x.float() if dtype_name(x) == "bfloat16" else x).numpy()


def _like(array: npt.NDArray[Any], like: Array) -> Array:
    """Turn an array into one of the library and dtype, and on the device, of another."""
    return array if isinstance(like, np.ndarray) else like.new_tensor(array)
