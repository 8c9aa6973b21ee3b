"""Tuning: cross-validation, searches over hyper-parameters, checkpoints.

The searches call a function with settings and know nothing of arrays; they stand in
`nnlib.search`, what they draw from in `nnlib.sampling`.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlib.checkpoint import (
    generator_from_plain,
    plain_generator,
    read_checkpoint,
    write_checkpoint,
)
from nnlib.contract.caches import SplitIndices
from nnlib.contract.caches_train import Checkpoint
from nnlib.errors import (
    DtypeError,
    check_array,
    check_count,
    check_integers,
    check_shape,
)
from nnlib.numpy_track._types import Array
from nnlib.search import (
    Choice,
    IntUniform,
    LogIntUniform,
    LogUniform,
    Uniform,
    evolutionary_search,
    grid_search,
    random_search,
    successive_halving,
)

__all__ = [
    "Choice",
    "IntUniform",
    "LogIntUniform",
    "LogUniform",
    "Uniform",
    "evolutionary_search",
    "grid_search",
    "kfold_indices",
    "load_checkpoint",
    "random_search",
    "save_checkpoint",
    "successive_halving",
]


def kfold_indices(
    n: int, *, k: int, rng: np.random.Generator, labels: Array | None = None
) -> list[SplitIndices]:
    """Cut the row numbers 0 to n - 1 into ``k`` folds, each once the test part.

    Parameters
    ----------
    n : int
        Number of rows.
    k : int
        From 2 to ``n``.
    rng : numpy.random.Generator
        Shuffles the rows first.
    labels : array (n,) of integers, optional
        With labels the folds are stratified: of every class, each fold has the same number of
        rows, or one more.

    Returns
    -------
    list of SplitIndices
        ``k`` pairs ``train (n - m,)``, ``test (m,)``; the test parts are disjoint, together all
        rows, and their sizes differ by at most 1.

    Raises
    ------
    ShapeError
        If the labels are not ``(n,)``.
    DtypeError
        If ``n`` or ``k`` is not an integer, the labels are not, or ``rng`` is no Generator.
    ValueError
        If ``k`` is not from 2 to ``n``.

    Notes
    -----
    The shuffled rows are dealt to the folds in turn, like cards. Sorted by class before, the
    rows of a class lie next to each other and are shared out evenly.

    References
    ----------
    Chapter 12, "Tuning". R. Kohavi, "A study of cross-validation and bootstrap for accuracy
    estimation and model selection", IJCAI 1995.

    Examples
    --------
    >>> folds = kfold_indices(5, k=2, rng=np.random.default_rng(0))
    >>> [len(fold.test) for fold in folds], sorted(int(i) for f in folds for i in f.test)
    ([3, 2], [0, 1, 2, 3, 4])
    """
    caller = "kfold_indices"
    check_count(caller, "n", n, minimum=2)
    check_count(caller, "k", k, minimum=2)
    if k > n:
        raise ValueError(f"{caller}: k must be at most n, got k={k} for {n} rows.")
    if not isinstance(rng, np.random.Generator):
        raise DtypeError(
            f"{caller}: rng must be a numpy.random.Generator, got {type(rng).__name__}. "
            f"Use np.random.default_rng(0)."
        )
    order = rng.permutation(n)
    if labels is not None:
        check_array(caller, "labels", labels)
        check_shape(caller, "labels", labels, (n,), "One class number for each row.")
        check_integers(caller, "labels", labels)
        order = order[np.argsort(labels[order], kind="stable")]
    tests = [order[fold::k] for fold in range(k)]
    return [
        SplitIndices(train=np.concatenate(tests[:fold] + tests[fold + 1 :]), test=tests[fold])
        for fold in range(k)
    ]


def save_checkpoint(
    path: str | os.PathLike[str],
    *,
    params: Mapping[str, Array],
    state: Mapping[str, Any] | None = None,
    rng: np.random.Generator | None = None,
    step: int = 0,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write everything that training needs to go on exactly where it is.

    Parameters
    ----------
    path : path
        Taken as it is; an existing file is replaced in one step, so that a crash while writing
        leaves the old one.
    params : dict of arrays
    state : dict, optional
        The optimizer's state: numbers, strings, arrays, and dicts and lists of them.
    rng : numpy.random.Generator, optional
        The one that shuffles. Without its state the batches after a restart are others.
    step : int
        Number of updates so far; schedules depend on it.
    metadata : dict, optional
        Plain data for JSON, for example ``{"history": history.to_dict()}``.

    Raises
    ------
    DtypeError, ValueError
        If something cannot be stored as plain data or arrays of numbers.

    Notes
    -----
    The file is an npz with a header in JSON, format "nnlib-checkpoint", version 1. Nothing is
    pickled: reading one runs no code that the file brings along.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "run.npz"
    ...     save_checkpoint(path, params={"w": np.ones(2)}, rng=rng, step=7)
    ...     found = load_checkpoint(path)
    >>> found.step, found.params["w"].tolist(), bool(found.rng.random() == rng.random())
    (7, [1.0, 1.0], True)
    """
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise DtypeError(
            f"save_checkpoint: rng must be a numpy.random.Generator, got {type(rng).__name__}."
        )
    write_checkpoint(
        path, track="numpy", params=params, state=state,
        rng=(None if rng is None else plain_generator(rng), None),
        step=step, metadata=metadata, to_numpy=lambda x: (np.asarray(x), ""),
    )


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read what `save_checkpoint` has written.

    Parameters
    ----------
    path : path

    Returns
    -------
    Checkpoint
        ``params``, ``state`` (None if there was none), ``rng`` (a new generator in the same
        state, or None), ``step`` and ``metadata``.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If the file is damaged, is no checkpoint, comes from the other track or from a newer
        nnlib.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> load_checkpoint("missing.npz")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'missing.npz'
    """
    return read_checkpoint(
        path, track="numpy", from_numpy=lambda x, _: x,
        make_rng=lambda state, _: generator_from_plain(state),
    )
