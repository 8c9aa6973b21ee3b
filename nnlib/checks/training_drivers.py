"""How the exercises of chapter 6 are called: functions go in, parameters and numbers come out."""

from typing import Any

import numpy as np

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import reference, to_track
from nnlib.contract import Case

Params = dict[str, Any]


def _forward(params: Params, x: Any) -> tuple[Any, Any]:
    """Compute a linear model ``x @ w + b``."""
    return x @ params["w"] + params["b"], (x, params["w"])


def _backward(dy: Any, cache: Any) -> Params:
    """Compute the gradients of the linear model's parameters."""
    return {"w": cache[0].T @ dy, "b": dy.sum(0)}


@driver("mini_batch_step")
def mini_batch_step(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(params, x, y, forward=, loss=, backward=, learning_rate=)``."""
    args = to_track(tuple(case.args), track)
    options = dict(case.options)
    options["loss"] = getattr(reference(track), options["loss"])

    def run(params: Params, x: Any, y: Any) -> tuple[Any, ...]:
        new, value = implementation(
            params, x, y, forward=_forward, backward=_backward, **options)
        return new, value

    return guarded(run, args, {}, tuple)


@driver("fit_epochs")
def fit_epochs(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(params, batches=, step=, validate=, epochs=, patience=)``.

    ``case.args = (x, y, params, validation losses)``. The steps are real. The validation losses are
    given, one for each time that all rows were seen, so that a case decides where they are lowest:
    the parameters count the rows that made them.
    """
    x, y, params, curve = to_track(tuple(case.args[:3]), track) + case.args[3:]
    options = dict(case.options)
    size, rate = options.pop("batch_size"), 0.1
    rng = np.random.default_rng(case.seed)

    def batches() -> list[tuple[Any, Any]]:
        order = rng.permutation(len(x))
        return [(x[rows], y[rows])
                for rows in (order[k : k + size] for k in range(0, len(x), size))]

    def step(params: Params, x_batch: Any, y_batch: Any) -> tuple[Params, float]:
        pred, cache = _forward(params, x_batch)
        value, dpred = reference(track).mse(pred, y_batch)
        new = {name: params[name] - rate * dp for name, dp in _backward(dpred, cache).items()}
        return {**new, "rows": params["rows"] + len(x_batch)}, float(value)

    def validate(params: Params) -> float:
        return float(np.interp(float(params["rows"]) / len(x), np.arange(1, len(curve) + 1), curve))

    def run(params: Params) -> tuple[Any, ...]:
        best, history = implementation(
            params, batches=batches, step=step, validate=validate, **options)
        return best, list(history["loss"]), list(history["validation_loss"])

    return guarded(run, (params,), {}, tuple)
