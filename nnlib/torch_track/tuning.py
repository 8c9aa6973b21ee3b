"""Tuning: cross-validation, searches over hyper-parameters, checkpoints.

The searches call a function with settings and know nothing of tensors; they stand in
`nnlib.search`, what they draw from in `nnlib.sampling`.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlib.checkpoint import read_checkpoint, write_checkpoint
from nnlib.contract.caches import SplitIndices
from nnlib.contract.caches_train import Checkpoint
from nnlib.errors import (
    check_array,
    check_count,
    check_integers,
    check_shape,
)
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
from nnlib.torch_track.batches import check_rng

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
    n: int, *, k: int, rng: torch.Generator, labels: Tensor | None = None
) -> list[SplitIndices]:
    """Cut the row numbers 0 to n - 1 into ``k`` folds, each once the test part.

    Parameters
    ----------
    n : int
        Number of rows.
    k : int
        From 2 to ``n``.
    rng : torch.Generator
        Shuffles the rows first.
    labels : tensor (n,) of integers, optional
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
    >>> folds = kfold_indices(5, k=2, rng=torch.Generator().manual_seed(0))
    >>> [len(fold.test) for fold in folds], sorted(int(i) for f in folds for i in f.test)
    ([3, 2], [0, 1, 2, 3, 4])
    """
    caller = "kfold_indices"
    check_count(caller, "n", n, minimum=2)
    check_count(caller, "k", k, minimum=2)
    if k > n:
        raise ValueError(f"{caller}: k must be at most n, got k={k} for {n} rows.")
    check_rng(caller, rng)
    order = torch.randperm(n, generator=rng, device=rng.device)
    if labels is not None:
        check_array(caller, "labels", labels)
        check_shape(caller, "labels", labels, (n,), "One class number for each row.")
        check_integers(caller, "labels", labels)
        order = order[torch.argsort(labels.to(order.device)[order], stable=True)]
    tests = [order[fold::k] for fold in range(k)]
    return [
        SplitIndices(train=torch.cat(tests[:fold] + tests[fold + 1 :]), test=tests[fold])
        for fold in range(k)
    ]


def save_checkpoint(
    path: str | os.PathLike[str],
    *,
    params: Mapping[str, Tensor],
    state: Mapping[str, Any] | None = None,
    rng: torch.Generator | None = None,
    step: int = 0,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write everything that training needs to go on exactly where it is.

    Parameters
    ----------
    path : path
        Taken as it is; an existing file is replaced in one step, so that a crash while writing
        leaves the old one.
    params : dict of tensors
    state : dict, optional
        The optimizer's state: numbers, strings, tensors, and dicts and lists of them.
    rng : torch.Generator, optional
        The one that shuffles. Without its state the batches after a restart are others.
    step : int
        Number of updates so far; schedules depend on it.
    metadata : dict, optional
        Plain data for JSON, for example ``{"history": history.to_dict()}``.

    Raises
    ------
    DtypeError, ValueError
        If something cannot be stored as plain data or tensors of numbers.

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
    >>> rng = torch.Generator().manual_seed(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "run.npz"
    ...     save_checkpoint(path, params={"w": torch.ones(2)}, rng=rng, step=7)
    ...     found = load_checkpoint(path)
    >>> found.step, found.params["w"].tolist()
    (7, [1.0, 1.0])
    >>> torch.equal(torch.rand(2, generator=found.rng), torch.rand(2, generator=rng))
    True
    """
    plain_rng, rng_array = None, None
    if rng is not None:
        check_rng("save_checkpoint", rng)
        plain_rng, rng_array = {"device": str(rng.device)}, rng.get_state().numpy()
    write_checkpoint(
        path, track="torch", params=params, state=state, rng=(plain_rng, rng_array),
        step=step, metadata=metadata, to_numpy=_to_numpy,
    )


def load_checkpoint(
    path: str | os.PathLike[str], *, device: torch.device | str = "cpu"
) -> Checkpoint:
    """Read what `save_checkpoint` has written.

    Parameters
    ----------
    path : path
    device : torch.device or str
        Where the tensors go. The generator stays on the kind of device it came from.

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
        path, track="torch", from_numpy=lambda x, dtype: _from_numpy(x, dtype).to(device),
        make_rng=_make_rng,
    )


def _to_numpy(x: Tensor) -> tuple[npt.NDArray[Any], str]:
    """Return a tensor as an array; NumPy has no bfloat16, so its bits travel as integers."""
    x = x.detach().cpu()
    if x.dtype == torch.bfloat16:
        return x.view(torch.int16).numpy(), "bfloat16"
    return x.numpy(), ""


def _from_numpy(x: npt.NDArray[Any], dtype: str) -> Tensor:
    tensor = torch.from_numpy(x)
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor


def _make_rng(plain: Any, state: npt.NDArray[Any] | None) -> torch.Generator:
    rng = torch.Generator(device=plain["device"])
    rng.set_state(torch.from_numpy(np.asarray(state)))
    return rng
