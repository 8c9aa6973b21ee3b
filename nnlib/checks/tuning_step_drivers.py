"""Drivers for the parts of tuning: scores of the folds, checkpoints as bytes.

Bytes from a student's side are read here with a reader that takes little and allows no pickle.
"""

import io
import json
import zipfile
from typing import Any

import numpy as np

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import reference, to_plain, to_track
from nnlib.checks.tuning_drivers import _draws
from nnlib.contract import Case, Rng

#: More than any case needs.
LARGEST = 2**20


def _ridge(x_train: Any, y_train: Any, x_test: Any, y_test: Any) -> float:
    """Score a ridge regression without intercept; depends on all four arrays and their order."""
    x_train, y_train, x_test, y_test = map(to_plain, (x_train, y_train, x_test, y_test))
    w = np.linalg.solve(x_train.T @ x_train + np.eye(x_train.shape[1]), x_train.T @ y_train)
    weights = np.arange(1, len(y_test) + 1)
    return float(np.mean(weights * (x_test @ w - y_test) ** 2) + 0.01 * np.sum(np.abs(x_test)))


@driver("cross_validate")
def cross_validate(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(x, y, folds, evaluate)``: the scores of the folds."""
    x, y, folds = to_track(tuple(case.args), track)

    def run(x: Any, y: Any, folds: Any) -> Any:
        return implementation(x, y, folds, _ridge)

    return guarded(run, (x, y, folds), {}, lambda result: (to_plain(result),))


def read_bytes(data: Any) -> dict[str, Any]:
    """Read the arrays and the header of a checkpoint; ValueError for anything unsafe or too big."""
    if not isinstance(data, bytes):
        raise TypeError(f"the result must be bytes, got {type(data).__name__}")
    if len(data) > LARGEST:
        raise ValueError("the checkpoint is far too large")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise ValueError("the checkpoint is far too large")
    except zipfile.BadZipFile:
        raise ValueError("the bytes are no npz") from None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            found = {key: archive[key] for key in archive.files}
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ValueError("the npz holds objects that only pickle can read") from None
    header = json.loads(str(found.pop("header"))) if "header" in found else {}
    return {"arrays": found, "header": header if isinstance(header, dict) else {}}


@driver("checkpoint_bytes")
def checkpoint_bytes(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(params, state, rng, step=...)``: what the bytes hold.

    The outputs are the parameters, the arrays and numbers of the state, whether the generator's
    state is there and as it was, and the step.
    """
    params, state, rng = to_track(tuple(case.args), track)

    def run(params: Any, state: Any) -> tuple[Any, ...]:
        before = _draws(rng)
        found = read_bytes(implementation(params, state, rng, **case.options))
        arrays, header = found["arrays"], found["header"]
        groups = {kind: {key.partition("/")[2]: value for key, value in arrays.items()
                         if key.partition("/")[0] == kind} for kind in ("params", "state")}
        if "rng" not in header:
            generator = "missing"
        else:
            same = header["rng"] == _plain_rng(to_track(case.args[2], track))
            generator = "as it was" if same else "another state"
        if _draws(rng) != before:
            generator += ", and the caller's has moved"
        return (groups["params"], [groups["state"], header.get("numbers", "missing")], generator,
                header.get("step", "missing"))

    return guarded(run, (params, state), {}, tuple)


def _plain_rng(rng: Any) -> Any:
    """Return what the header holds of a generator."""
    if hasattr(rng, "bit_generator"):
        return json.loads(json.dumps(rng.bit_generator.state))
    return rng.get_state().tolist()


@driver("checkpoint_read")
def checkpoint_read(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(data)`` for bytes that the reference has written."""
    params, state, rng = to_track(tuple(case.args), track)
    data = reference(track).checkpoint_to_bytes(params, state, rng, **case.options)

    def run() -> tuple[Any, ...]:
        found = implementation(data)
        draws = None if found.rng is None else found.rng
        same = "missing" if draws is None else (
            "as it was" if _draws(draws) == _draws(rng) else "draws other numbers")
        return dict(found.params), dict(found.state), same, found.step

    return guarded(run, (), {}, tuple)


@driver("checkpoint_pickled")
def checkpoint_pickled(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(data)`` for an npz with an array that only pickle can read."""
    file = io.BytesIO()
    header = {"step": 1, "numbers": {}, "rng": _plain_rng(to_track(Rng(0), track))}
    arrays: dict[str, Any] = {
        "header": np.array(json.dumps(header)), "params/w": np.ones(2),
        "state/m/w": np.array([None, 1], dtype=object)}
    np.savez(file, **arrays)
    return guarded(lambda: implementation(file.getvalue()), (), {}, lambda result: (None,) * 4)
