"""Parts of tuning that stand alone: scores of the folds, checkpoints as bytes."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnlib.contract.caches_train import Checkpoint
from nnlib.errors import check_array, check_count, check_params
from nnlib.torch_track.batches import check_rng

__all__ = ["checkpoint_from_bytes", "checkpoint_to_bytes", "cross_validate"]


def cross_validate(
    x: Tensor,
    y: Tensor,
    folds: Sequence[tuple[Tensor, Tensor]],
    evaluate: Callable[[Tensor, Tensor, Tensor, Tensor], float],
) -> Tensor:
    """Score every fold, its features standardised by its own training part.

    Parameters
    ----------
    x : tensor (n, d)
    y : tensor (n, ...)
    folds : sequence of (train, test)
        Row numbers, as `kfold_indices` returns them.
    evaluate : callable
        ``evaluate(x_train, y_train, x_test, y_test) -> score``.

    Returns
    -------
    tensor (k,)
        One score for each fold, float64.

    Raises
    ------
    DtypeError
        If ``x`` is not a tensor.
    ValueError
        If there are no folds.

    Notes
    -----
    Mean and standard deviation come from the training part alone; both parts are transformed with
    them. A feature that is constant there is only centred.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> x, y = torch.tensor([[0.0], [2.0], [4.0], [6.0]]), torch.zeros(4)
    >>> folds = [(torch.tensor([0, 1]), torch.tensor([2, 3]))]
    >>> cross_validate(x, y, folds, lambda a, b, c, d: float(c.sum())).tolist()
    [8.0]
    """
    check_array("cross_validate", "x", x)
    if len(folds) == 0:
        raise ValueError("cross_validate: folds must hold at least one pair, got none.")
    scores = []
    for train, test in folds:
        mean, std = x[train].mean(dim=0), x[train].std(dim=0, correction=0)
        std = torch.where(std == 0, torch.ones_like(std), std)
        scores.append(float(evaluate((x[train] - mean) / std, y[train],
                                     (x[test] - mean) / std, y[test])))
    return torch.tensor(scores, dtype=torch.float64)


def checkpoint_to_bytes(
    params: Mapping[str, Tensor], state: Mapping[str, Any], rng: torch.Generator, *, step: int
) -> bytes:
    """Lay down a training as the bytes of an npz, without pickle.

    Parameters
    ----------
    params : dict of tensors
    state : dict
        The optimizer's: numbers, and dicts of tensors such as ``{"step": 3, "m": {...}}``.
    rng : torch.Generator
        The one that shuffles. It is not advanced.
    step : int
        Number of updates so far.

    Returns
    -------
    bytes
        As in the NumPy track; "rng" in the header is the generator's state as a list of bytes.

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong kind.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> rng = torch.Generator().manual_seed(0)
    >>> data = checkpoint_to_bytes({"w": torch.ones(2)}, {"step": 3}, rng, step=3)
    >>> checkpoint_from_bytes(data).params["w"].tolist()
    [1.0, 1.0]
    """
    caller = "checkpoint_to_bytes"
    check_params(caller, params)
    check_count(caller, "step", step)
    check_rng(caller, rng)
    arrays: dict[str, Any] = {f"params/{name}": p for name, p in params.items()}
    numbers = {}
    for key, value in state.items():
        if isinstance(value, Mapping):
            arrays |= {f"state/{key}/{name}": a for name, a in value.items()}
        else:
            numbers[key] = value
    header = {"step": step, "rng": rng.get_state().tolist(), "numbers": numbers}
    file = io.BytesIO()
    plain = {key: value.detach().cpu().numpy() for key, value in arrays.items()}
    np.savez(file, header=np.array(json.dumps(header)), **plain)
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
    >>> rng = torch.Generator().manual_seed(0)
    >>> found = checkpoint_from_bytes(checkpoint_to_bytes({"w": torch.ones(2)}, {}, rng, step=3))
    >>> found.step, torch.equal(torch.rand(2, generator=found.rng), torch.rand(2, generator=rng))
    (3, True)
    """
    params: dict[str, Tensor] = {}
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        header = json.loads(str(archive["header"]))
        state: dict[str, Any] = dict(header["numbers"])
        for key in archive.files:
            kind, _, name = key.partition("/")
            if kind == "params":
                params[name] = torch.from_numpy(archive[key])
            elif kind == "state":
                memory, _, name = name.partition("/")
                state.setdefault(memory, {})[name] = torch.from_numpy(archive[key])
    rng = torch.Generator()
    rng.set_state(torch.tensor(header["rng"], dtype=torch.uint8))
    return Checkpoint(params, state, rng, header["step"], {})
