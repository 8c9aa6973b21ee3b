"""A judge of distances, and drivers that pass NumPy arrays to both tracks."""

from typing import Any

import numpy as np

from nnlib.checks.compare import Difference, compare
from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.judges import judge
from nnlib.checks.tracks import is_tensor, to_plain
from nnlib.contract import Case


@judge("never_negative")
def never_negative(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """Equal within tolerance, and no number below 0, however small."""
    difference = compare(got, expected, rtol=case.rtol, atol=case.atol)
    if difference is not None:
        return difference
    low = float(np.min(got, initial=0.0))
    if low < 0.0:
        return Difference("negative", f"{int(np.sum(np.asarray(got) < 0))} of {np.size(got)} "
                                      f"numbers are negative, the lowest is {low:.2g}")
    return None


def _own_kind(result: Any, track: str) -> tuple[Any, ...]:
    """Insist on a tensor in the PyTorch track: the arguments here are arrays."""
    if track == "torch" and not is_tensor(result):
        raise TypeError(f"the function must return a torch.Tensor, got {type(result).__name__}")
    return (result,)


@driver("array")
def array(implementation: Any, case: Case, track: str) -> Trial:
    """Pass a NumPy array as it is, to PyTorch code too."""
    return guarded(implementation, (np.array(case.args[0]),), {},
                   lambda result: _own_kind(result, track))


@driver("array_then_overwritten")
def array_then_overwritten(implementation: Any, case: Case, track: str) -> Trial:
    """The same, and overwrite the array after the call.

    A result that shares the array's memory changes with it and so differs from the reference's.
    """

    def run(given: np.ndarray) -> tuple[Any, ...]:
        (result,) = _own_kind(implementation(given), track)
        before = given.copy()
        given[...] = 0
        kept = to_plain(result)
        given[...] = before
        return (kept,)

    return guarded(run, (np.array(case.args[0]),), {}, lambda outputs: outputs)
