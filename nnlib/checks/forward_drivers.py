"""Drivers for chapter 3: predicting in batches, and a network that is built from points."""

import math
from typing import Any

import numpy as np

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import reference, to_plain, to_track
from nnlib.contract import Case


@driver("in_batches")
def in_batches(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(forward, x, batch_size=...)`` for ``case.args = (x, w)``.

    ``forward`` is ``tanh(rows @ w)`` and keeps count. The outputs are the result, whether any
    call had too many rows, and the number of calls.
    """
    x, w = to_track(tuple(case.args), track)
    batch_size = case.options["batch_size"]
    tanh = reference(track).tanh_forward
    sizes: list[int] = []

    def forward(rows: Any) -> Any:
        if rows.ndim != 2:
            raise ValueError(f"forward takes a batch (rows, {len(w)}), "
                             f"got shape {tuple(rows.shape)}")
        sizes.append(len(rows))
        return tanh(rows @ w)[0]

    def run(rows: Any, **options: Any) -> tuple[Any, ...]:
        y = implementation(forward, rows, **options)
        largest = max(sizes, default=0)
        memory = (f"at most {batch_size} rows at once" if largest <= batch_size
                  else f"{largest} rows at once")
        return y, memory, f"{len(sizes)} calls"

    return guarded(run, (x,), {"batch_size": batch_size}, tuple)


@driver("network_on_points")
def network_on_points(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(knots, values)`` builds a network, which is evaluated at ``points``.

    ``case.args = (knots, values, points)``. Any parameters with the right outputs are right.
    """
    knots, values = to_track(tuple(case.args[:2]), track)
    points = case.args[2]

    def run(knots: Any, values: Any) -> np.ndarray:
        params = _two_layers(to_plain(implementation(knots, values)))
        dtype = np.result_type(*(array for layer in params for array in layer))
        exact = [(w.astype(dtype), b.astype(dtype)) for w, b in params]
        y: np.ndarray = reference("numpy").mlp_forward(points.astype(dtype), exact)[0]
        return y

    return guarded(run, (knots, values), {})


def _two_layers(params: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Refuse what is no network of one hidden layer, with one input and one output."""
    if not isinstance(params, tuple | list) or len(params) != 2 or not all(
            isinstance(layer, tuple | list) and len(layer) == 2
            and all(isinstance(array, np.ndarray) for array in layer) for layer in params):
        raise TypeError("the function must return [(w1, b1), (w2, b2)], four arrays")
    (w1, b1), (w2, b2) = params
    shapes = tuple(array.shape for array in (w1, b1, w2, b2))
    units = b1.size
    if shapes != ((1, units), (units,), (units, 1), (1,)):
        raise ValueError("the shapes must be w1 (1, m), b1 (m,), w2 (m, 1), b2 (1,), got "
                         + ", ".join(map(str, shapes)))
    if not all(math.isfinite(array.sum()) for layer in params for array in layer):
        raise ValueError("nan or inf among the parameters")
    return [(w1, b1), (w2, b2)]
