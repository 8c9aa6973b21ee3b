"""What goes wrong with inputs, and the checks that say so.

Every message has one form: caller, argument, rule, what came, and the likely fix, as in
``linear_forward: x must have shape (n, 3), got (3, 5). Rows are examples: did you pass x.T?``

The checks read only ``shape``, ``dtype`` and ``device``, so they serve NumPy arrays and PyTorch
tensors alike, and this file imports neither library.
"""

import functools
import math
import sys
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

#: Sizes (integers) and names of free sizes, for example ``("n", 3)``.
Pattern = Sequence[int | str]

_FLOATS = ("float16", "bfloat16", "float32", "float64", "float96", "float128")
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class ShapeError(ValueError):
    """An array has the wrong number of axes or the wrong size along one of them."""


class DtypeError(TypeError):
    """An argument is not an array, or an array of the wrong kind of number."""


def dtype_name(x: Any) -> str:
    """Return the name of the dtype without the library's name: ``"float32"``.

    Examples
    --------
    >>> import numpy as np
    >>> dtype_name(np.zeros(3, dtype=np.float32))
    'float32'
    """
    return _name(x.dtype)


@functools.cache
def _name(dtype: Any) -> str:
    # Cached, since NumPy takes longer to write a dtype's name than to add two small arrays.
    return str(dtype).removeprefix("torch.")


def size_of(x: Any) -> int:
    """Return the number of elements of an array or tensor.

    Examples
    --------
    >>> import numpy as np
    >>> size_of(np.zeros((2, 3)))
    6
    """
    return math.prod(x.shape)


def check_array(caller: str, name: str, x: Any) -> None:
    """Refuse lists, numbers and everything else that has no shape and dtype."""
    if not (hasattr(x, "shape") and hasattr(x, "dtype")):
        raise DtypeError(
            f"{caller}: {name} must be an array, got {type(x).__name__}. "
            f"Make an array or tensor of floats from it first."
        )


def check_floats(caller: str, **arrays: Any) -> None:
    """Require floating-point arrays of one dtype on one device; None is skipped.

    Examples
    --------
    >>> import numpy as np
    >>> check_floats("linear_forward", x=np.zeros((2, 3)), w=np.zeros((3, 4)), b=None)
    >>> check_floats("linear_forward", x=np.arange(3))
    Traceback (most recent call last):
    nnlib.errors.DtypeError: linear_forward: x must hold floats, got int64. Convert it to float32 \
or float64 first.
    """
    first: str = ""
    known: Any = None  # the first array that is given
    for name, x in arrays.items():
        if x is None:
            continue
        # Runs in every call of every operation, hence the care for microseconds: an array that is
        # like the first one needs no closer look.
        if type(x) is type(known) and x.dtype is known.dtype and x.device == known.device:
            continue
        check_array(caller, name, x)
        if _name(x.dtype) not in _FLOATS:
            raise DtypeError(
                f"{caller}: {name} must hold floats, got {dtype_name(x)}. "
                f"Convert it to float32 or float64 first."
            )
        if known is None:
            first, known = name, x
        elif x.dtype != known.dtype and not _autocasts(x):
            raise DtypeError(
                f"{caller}: {first} and {name} must have one dtype, got {known.dtype} and "
                f"{x.dtype}. Convert one of them."
            )
        elif getattr(x, "device", None) != getattr(known, "device", None):
            raise ValueError(
                f"{caller}: {first} and {name} must be on one device, got {known.device} and "
                f"{x.device}. Move one of them with .to(device)."
            )


def _holds_floats(x: Any) -> bool:
    """Whether ``x`` is an array of floats."""
    return hasattr(x, "shape") and hasattr(x, "dtype") and _name(x.dtype) in _FLOATS


def _alike(x: Any, other: Any) -> bool:
    """Whether two arrays agree in everything but their numbers, ``x`` being one of floats."""
    return (
        type(x) is type(other)
        and x.dtype is other.dtype
        and x.shape == other.shape
        and x.device == other.device
    )


def _autocasts(x: Any) -> bool:
    """Whether PyTorch picks the dtypes here: under `torch.autocast` they differ on purpose."""
    torch = sys.modules.get("torch")
    return (
        torch is not None
        and isinstance(x, torch.Tensor)
        and bool(torch.is_autocast_enabled(x.device.type))
    )


def check_integers(caller: str, name: str, x: Any) -> None:
    """Require an array of integers; booleans and floats are refused."""
    check_array(caller, name, x)
    if dtype_name(x) not in _INTEGERS:
        raise DtypeError(f"{caller}: {name} must hold integers, got {dtype_name(x)}.")


def check_shape(caller: str, name: str, x: Any, pattern: Pattern, hint: str = "") -> None:
    """Require a shape; a string in the pattern stands for any size.

    Examples
    --------
    >>> import numpy as np
    >>> check_shape("linear_forward", "x", np.zeros((5, 3)), ("n", 3))
    >>> check_shape("linear_forward", "x", np.zeros((3, 5)), ("n", 3), "Did you pass x.T?")
    Traceback (most recent call last):
    nnlib.errors.ShapeError: linear_forward: x must have shape (n, 3), got (3, 5). \
Did you pass x.T?
    """
    shape = tuple(x.shape)
    if len(shape) == len(pattern):
        for want, size in zip(pattern, shape, strict=True):
            if want != size and not isinstance(want, str):
                break
        else:
            return
    text = f"{caller}: {name} must have shape {format_shape(pattern)}, "
    raise ShapeError(f"{text}got {format_shape(shape)}. {hint}".rstrip())


def check_same_shape(caller: str, *, hint: str = "", **arrays: Any) -> None:
    """Require equal shapes, so that nothing is broadcast in silence."""
    (first, x), *rest = arrays.items()
    for name, other in rest:
        if tuple(x.shape) != tuple(other.shape):
            text = f"{caller}: {first} and {name} must have the same shape, "
            raise ShapeError(
                f"{text}got {format_shape(x.shape)} and {format_shape(other.shape)}. "
                f"{hint}".rstrip()
            )


def check_upstream(caller: str, dy: Any, like: Any, *, name: str = "dy") -> None:
    """Require of the gradient ``dy`` the shape and dtype of the output it belongs to."""
    check_floats(caller, **{name: dy, "the cached array": like})
    check_shape(
        caller, name, dy, tuple(like.shape),
        "The gradient with respect to an output has the output's shape.",
    )


def check_min_axes(caller: str, name: str, x: Any, minimum: int, hint: str = "") -> None:
    """Require at least ``minimum`` axes."""
    if len(x.shape) < minimum:
        axes = "axis" if minimum == 1 else "axes"
        raise ShapeError(
            f"{caller}: {name} must have at least {minimum} {axes}, got shape "
            f"{format_shape(x.shape)}. {hint}".rstrip()
        )


def check_axis(caller: str, x: Any, axis: Any) -> None:
    """Require one existing axis of ``x`` with at least one entry along it."""
    check_min_axes(caller, "x", x, 1)
    ndim = len(x.shape)
    if isinstance(axis, bool) or not isinstance(axis, Integral) or not -ndim <= int(axis) < ndim:
        raise ValueError(
            f"{caller}: axis must be an integer from {-ndim} to {ndim - 1} for x of shape "
            f"{format_shape(x.shape)}, got {axis!r}."
        )
    if x.shape[int(axis)] == 0:
        raise ShapeError(
            f"{caller}: x must have at least one entry along axis {axis}, got shape "
            f"{format_shape(x.shape)}."
        )


def check_labels(
    caller: str, labels: Any, num_classes: int, *, n: int | None = None, name: str = "labels"
) -> None:
    """Require class numbers: integers of shape ``(n,)`` from 0 to ``num_classes - 1``."""
    check_array(caller, name, labels)
    check_shape(
        caller, name, labels, ("n" if n is None else n,),
        "Give one class number for each row, not a one-hot row.",
    )
    check_integers(caller, name, labels)
    _check_range(caller, name, labels, num_classes, "Classes are counted from 0.")


def check_indices(caller: str, name: str, x: Any, size: int, hint: str = "") -> None:
    """Require integers from 0 to ``size - 1``, in an array of any shape.

    Examples
    --------
    >>> import numpy as np
    >>> check_indices("embedding_forward", "ids", np.array([[0, 5]]), 5)
    Traceback (most recent call last):
    ValueError: embedding_forward: ids must lie from 0 to 4, got 5.
    """
    check_integers(caller, name, x)
    _check_range(caller, name, x, size, hint)


def _check_range(caller: str, name: str, x: Any, size: int, hint: str) -> None:
    """Require integers from 0 to ``size - 1``; an empty array holds none that could be wrong."""
    if size_of(x) == 0:
        return
    low, high = int(x.min()), int(x.max())
    if low < 0 or high >= size:
        raise ValueError(
            f"{caller}: {name} must lie from 0 to {size - 1}, got "
            f"{low if low < 0 else high}. {hint}".rstrip()
        )


def check_flag(caller: str, name: str, value: Any) -> None:
    """Require True or False, not something that merely counts as one of them.

    Examples
    --------
    >>> check_flag("dropout_forward", "training", "no")
    Traceback (most recent call last):
    nnlib.errors.DtypeError: dropout_forward: training must be True or False, got 'no'.
    """
    if type(value).__name__ not in ("bool", "bool_"):  # Python's and NumPy's
        raise DtypeError(f"{caller}: {name} must be True or False, got {value!r}.")


def check_choice(caller: str, name: str, value: Any, choices: Collection[str]) -> None:
    """Require one of the named choices.

    Examples
    --------
    >>> check_choice("mse", "reduction", "average", ("mean", "sum", "none"))
    Traceback (most recent call last):
    ValueError: mse: reduction must be 'mean', 'sum' or 'none', got 'average'.
    """
    if not isinstance(value, str) or value not in choices:
        *most, last = [repr(choice) for choice in choices]
        listed = f"{', '.join(most)} or {last}" if most else last
        raise ValueError(f"{caller}: {name} must be {listed}, got {value!r}.")


def check_number(
    caller: str,
    name: str,
    value: Any,
    *,
    above: float | None = None,
    low: float | None = None,
    high: float | None = None,
    below: float | None = None,
) -> None:
    """Require a finite number within bounds; `above` and `below` are excluded, the others not.

    Examples
    --------
    >>> check_number("sgd_update", "learning_rate", 0.1, above=0)
    >>> check_number("sgd_update", "learning_rate", -0.1, above=0)
    Traceback (most recent call last):
    ValueError: sgd_update: learning_rate must be a finite number > 0, got -0.1.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if is_number:
        number = float(value)
        if (
            math.isfinite(number)
            and (above is None or number > above)
            and (low is None or number >= low)
            and (high is None or number <= high)
            and (below is None or number < below)
        ):
            return
    rules = [
        f"{sign} {bound:g}"
        for sign, bound in ((">", above), (">=", low), ("<=", high), ("<", below))
        if bound is not None
    ]
    rule = " ".join(["a finite number", " and ".join(rules)]).rstrip()
    if is_number:
        raise ValueError(f"{caller}: {name} must be {rule}, got {value!r}.")
    raise DtypeError(
        f"{caller}: {name} must be {rule}, got {value!r} of type {type(value).__name__}."
    )


def check_count(caller: str, name: str, value: Any, *, minimum: int = 0) -> None:
    """Require an integer of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise DtypeError(
            f"{caller}: {name} must be an integer >= {minimum}, got {value!r} of type "
            f"{type(value).__name__}."
        )
    if value < minimum:
        raise ValueError(f"{caller}: {name} must be an integer >= {minimum}, got {value!r}.")


def check_params(caller: str, params: Mapping[str, Any], *, name: str = "params") -> None:
    """Require a dict with at least one array of floats."""
    if not isinstance(params, Mapping):
        raise DtypeError(
            f"{caller}: {name} must be a dict of arrays, got {type(params).__name__}."
        )
    if not params:
        raise ValueError(f"{caller}: {name} must not be empty. There is nothing to learn.")
    for key, value in params.items():
        if not _holds_floats(value):
            check_floats(caller, **{f"{name}[{key!r}]": value})


def check_grads(caller: str, params: Mapping[str, Any], grads: Mapping[str, Any]) -> None:
    """Require one gradient for each parameter, of its shape and dtype."""
    check_params(caller, params)
    if not isinstance(grads, Mapping):
        raise DtypeError(
            f"{caller}: grads must be a dict of arrays, got {type(grads).__name__}."
        )
    if params.keys() != grads.keys():
        missing = sorted(params.keys() - grads.keys())
        extra = sorted(grads.keys() - params.keys())
        raise ValueError(
            f"{caller}: grads must have the keys of params. Missing: {missing}; "
            f"not in params: {extra}."
        )
    for key, value in params.items():
        if _alike(value, grads[key]):  # so nearly always; writing names takes longer than this
            continue
        check_floats(caller, **{f"params[{key!r}]": value, f"grads[{key!r}]": grads[key]})
        check_shape(caller, f"grads[{key!r}]", grads[key], tuple(value.shape))


def check_state(
    caller: str, params: Mapping[str, Any], state: Mapping[str, Any], *memories: str
) -> None:
    """Require the state of an optimizer: ``step``, and for each memory one array a parameter."""
    start = f"Start with {caller.replace('_update', '_init')}(params)."
    wanted = " and ".join(map(repr, ("step", *memories)))
    if not isinstance(state, Mapping) or not {"step", *memories} <= state.keys():
        came = sorted(state) if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(f"{caller}: state must be a dict with {wanted}, got {came}. {start}")
    check_count(caller, "state['step']", state["step"])
    for memory in memories:
        if state[memory].keys() != params.keys():
            raise ValueError(
                f"{caller}: state[{memory!r}] must have the keys of params, "
                f"got {sorted(state[memory])}. {start}"
            )
        for key, value in params.items():
            if _alike(value, state[memory][key]):
                continue
            name = f"state[{memory!r}][{key!r}]"
            check_floats(caller, **{f"params[{key!r}]": value, name: state[memory][key]})
            check_shape(caller, name, state[memory][key], tuple(value.shape))


def format_shape(shape: Pattern) -> str:
    """Write a shape as Python does, with names for free sizes.

    Examples
    --------
    >>> format_shape(("n", 3)), format_shape((4,)), format_shape(())
    ('(n, 3)', '(4,)', '()')
    """
    entries = [str(size) for size in shape]
    return f"({entries[0]},)" if len(entries) == 1 else f"({', '.join(entries)})"
