"""Judging hand-made logic gates: every choice of weights with the right truth table is right."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlib.checks.compare import Difference, describe
from nnlib.checks.drivers import Trial, driver
from nnlib.checks.judges import judge
from nnlib.checks.tracks import to_plain
from nnlib.contract import Case

#: Gate name to its outputs for the inputs (0, 0), (0, 1), (1, 0), (1, 1).
TRUTH_TABLES: Mapping[str, str] = {"and": "0001", "or": "0111", "nand": "1110"}
_INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float64)


@driver("gates")
def gates(implementation: Any, case: Case, track: str) -> Trial:
    """The student hands in a dict from gate names to ``(w, b)``; each gate is one output."""
    plain = to_plain(implementation)
    entries = plain if isinstance(plain, dict) else {}
    return Trial(outputs=tuple(entries.get(name) for name in TRUTH_TABLES))


@judge("truth table", free_form=True)
def truth_table(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """The neuron ``(w, b)`` gives the gate's output on all four inputs."""
    if got is None:
        return Difference("none", f"there is no entry {field!r} with a pair (w, b)")
    try:
        w, b = got
        weights, bias = np.asarray(w, dtype=np.float64), np.asarray(b, dtype=np.float64)
    except (TypeError, ValueError):
        return Difference("type", f"expected a pair (w, b) of numbers, got {describe(got)}")
    if weights.shape != (2,) or bias.size != 1:
        return Difference("shape", f"w must hold 2 numbers and b one, got shapes "
                                   f"{weights.shape} and {bias.shape}")
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        return Difference("nan", "nan or inf among the numbers")
    fires = _INPUTS @ weights + bias.item() >= 0
    table = "".join("1" if fire else "0" for fire in fires)
    if table == TRUTH_TABLES[field]:
        return None
    return Difference(table, f"gives {' '.join(table)} for the inputs 00 01 10 11, "
                             f"must give {' '.join(TRUTH_TABLES[field])}")
