"""Parts of tuning that stand alone: scores of the folds, checkpoints as bytes."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnlib.contract.caches_train import Checkpoint
from nnlib.errors import DtypeError, check_array, check_count, check_params
from nnlib.numpy_track._types import Array

__all__ = ["checkpoint_from_bytes", "checkpoint_to_bytes", "cross_validate"]


def cross_validate(
    x: Array,
    y: Array,
    folds: Sequence[tuple[Array, Array]],
    evaluate: Callable[[Array, Array, Array, Array], float],
) -> Array:
    """Score every fold, its features standardised by its own training part.

    Parameters
    ----------
    x : array (n, d)
    y : array (n, ...)
    folds : sequence of (train, test)
        Row numbers, as `kfold_indices` returns them.
    evaluate : callable
        ``evaluate(x_train, y_train, x_test, y_test) -> score``.

    Returns
    -------
    array (k,)
        One score for each fold.

    Raises
    ------
    DtypeError
        If ``x`` is not an array.
    ValueError
        If there are no folds.

    Notes
    -----
    Mean and standard deviation come from the training part alone; both parts are transformed with
    them. A feature that is constant there is only centred. Statistics of all rows would tell the
    training about the test part.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> x, y = np.array([[0.0], [2.0], [4.0], [6.0]]), np.zeros(4)
    >>> folds = [(np.array([0, 1]), np.array([2, 3]))]
    >>> cross_validate(x, y, folds, lambda a, b, c, d: float(c.sum())).tolist()
    [8.0]
    """
    check_array("cross_validate", "x", x)
    if len(folds) == 0:
        raise ValueError("cross_validate: folds must hold at least one pair, got none.")
    scores = []
    for train, test in folds:
        mean, std = x[train].mean(axis=0), x[train].std(axis=0)
        std = np.where(std == 0, 1, std)
        scores.append(evaluate((x[train] - mean) / std, y[train],
                               (x[test] - mean) / std, y[test]))
    return np.array(scores, dtype=float)


def checkpoint_to_bytes(
    params: Mapping[str, Array],
    state: Mapping[str, Any],
    rng: np.random.Generator,
    *,
    step: int,
) -> bytes:
    """Lay down a training as the bytes of an npz, without pickle.

    Parameters
    ----------
    params : dict of arrays
    state : dict
        The optimizer's: numbers, and dicts of arrays such as ``{"step": 3, "m": {...}}``.
    rng : numpy.random.Generator
        The one that shuffles. It is not advanced.
    step : int
        Number of updates so far.

    Returns
    -------
    bytes
        An npz with an array ``params/NAME`` for each parameter, ``state/MEMORY/NAME`` for each
        array of the state, and ``header``: JSON text with the keys "step", "rng" (the state of
        the bit generator) and "numbers" (the state's numbers).

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong kind.

    Notes
    -----
    `save_checkpoint` stores more kinds of state, and replaces the file in one step.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> data = checkpoint_to_bytes({"w": np.ones(2)}, {"step": 3}, np.random.default_rng(0), step=3)
    >>> checkpoint_from_bytes(data).params["w"].tolist()
    [1.0, 1.0]
    """
    caller = "checkpoint_to_bytes"
    check_params(caller, params)
    check_count(caller, "step", step)
    if not isinstance(rng, np.random.Generator):
        raise DtypeError(f"{caller}: rng must be a numpy.random.Generator, got "
                         f"{type(rng).__name__}.")
    arrays: dict[str, Any] = {f"params/{name}": p for name, p in params.items()}
    numbers = {}
    for key, value in state.items():
        if isinstance(value, Mapping):
            arrays |= {f"state/{key}/{name}": a for name, a in value.items()}
        else:
            numbers[key] = value
    header = {"step": step, "rng": rng.bit_generator.state, "numbers": numbers}
    file = io.BytesIO()
    np.savez(file, header=np.array(json.dumps(header)), **arrays)
    return file.getvalue()


def checkpoint_from_bytes(data: bytes) -> Checkpoint:
    """Read what `checkpoint_to_bytes` has written.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    Checkpoint
        ``params``, ``state``, ``rng`` (a new generator in the same state), ``step``, and empty
        ``metadata``.

    Raises
    ------
    ValueError
        If the data hold objects that only pickle could read, or no npz at all.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = checkpoint_from_bytes(checkpoint_to_bytes({"w": np.ones(2)}, {}, rng, step=3))
    >>> found.step, bool(found.rng.random() == rng.random())
    (3, True)
    """
    params: dict[str, Array] = {}
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        header = json.loads(str(archive["header"]))
        state: dict[str, Any] = dict(header["numbers"])
        for key in archive.files:
            kind, _, name = key.partition("/")
            if kind == "params":
                params[name] = archive[key]
            elif kind == "state":
                memory, _, name = name.partition("/")
                state.setdefault(memory, {})[name] = archive[key]
    bits = np.random.PCG64()
    bits.state = header["rng"]
    return Checkpoint(params, state, np.random.Generator(bits), header["step"], {})
