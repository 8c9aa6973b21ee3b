"""What the data functions share: argument checks in the words of the course, and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnlib.errors import DtypeError, ShapeError, check_count


def require_rng(caller: str, rng: Any) -> None:
    """Raise DtypeError unless `rng` is a numpy.random.Generator.

    Examples
    --------
    >>> require_rng("make_moons", np.random.default_rng(0))
    """
    if isinstance(rng, np.random.Generator):
        return
    came = f"{type(rng).__name__} {rng!r}" if isinstance(rng, int) else type(rng).__name__
    seed = rng if isinstance(rng, int) else 0
    raise DtypeError(
        f"{caller}: rng must be a numpy.random.Generator, got {came}. "
        f"Randomness is always passed in: use np.random.default_rng({seed})."
    )


def require_same_length(caller: str, x: Any, y: Any) -> int:
    """Return the number of rows of `x`; raise ShapeError unless `y` has as many (or is None).

    Examples
    --------
    >>> require_same_length("iterate_batches", np.zeros((4, 2)), np.zeros(4))
    4
    """
    for argument, value in (("x", x), ("y", y)):
        if value is None and argument == "y":
            continue
        if not hasattr(value, "shape"):
            raise DtypeError(
                f"{caller}: {argument} must be an array, got {type(value).__name__}. "
                f"Wrap it first: np.asarray({argument})."
            )
        if len(value.shape) == 0:
            raise ShapeError(
                f"{caller}: {argument} must have at least one axis, got shape (). "
                "Rows are examples: its first axis counts them."
            )
    n = int(x.shape[0])
    if y is not None and int(y.shape[0]) != n:
        raise ShapeError(
            f"{caller}: x and y must have the same number of rows, got {n} rows in x with shape "
            f"{tuple(x.shape)} and {int(y.shape[0])} in y with shape {tuple(y.shape)}. "
            "Rows are examples: did you slice or transpose only one of them?"
        )
    return n


def check_start(caller: str, rng: Any, n: Any) -> None:
    """Check the two arguments that every generator has.

    Examples
    --------
    >>> check_start("make_moons", np.random.default_rng(0), 10)
    """
    require_rng(caller, rng)
    check_count(caller, "n", n, minimum=1)


def check_dtype(caller: str, dtype: DTypeLike, choices: tuple[str, ...]) -> np.dtype[Any]:
    """Return the dtype; raise DtypeError unless it is one of `choices`.

    Examples
    --------
    >>> check_dtype("make_glyphs", np.float32, ("float32", "float64"))
    dtype('float32')
    """
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.name not in choices:
        *most, last = choices
        raise DtypeError(
            f"{caller}: dtype must be {', '.join(most)} or {last}, got {dtype!r}. "
            f"Convert the arrays afterwards if you need another one."
        )
    return found


def balanced_labels(rng: np.random.Generator, n: int, classes: int) -> NDArray[np.int64]:
    """Return labels 0..classes-1 in random order, each as often as the others or once more.

    Examples
    --------
    >>> np.bincount(balanced_labels(np.random.default_rng(0), 10, 3)).tolist()
    [4, 3, 3]
    """
    return rng.permutation(np.arange(n, dtype=np.int64) % classes)
