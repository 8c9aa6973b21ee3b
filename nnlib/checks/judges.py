"""How the result of a case is judged, given the reference's result for the same inputs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnlib.checks.compare import Difference, compare
from nnlib.contract import Case

#: ``judge(got, expected, case, field) -> Difference | None`` for one output.
Judge = Callable[[Any, Any, Case, str], Difference | None]
JUDGES: dict[str, Judge] = {}
#: Judges of random or free-form results. There, two implementations behave alike when they
#: earn the same verdict; everywhere else, when their numbers agree.
FREE_FORM: set[str] = set()


def judge(name: str, *, free_form: bool = False) -> Callable[[Judge], Judge]:
    """Register a judge under the name that cases use."""

    def register(function: Judge) -> Judge:
        JUDGES[name] = function
        if free_form:
            FREE_FORM.add(name)
        return function

    return register


@judge("close")
def close(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """Equal within tolerance."""
    return compare(got, expected, rtol=case.rtol, atol=case.atol)


@judge("moments", free_form=True)
def moments(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """Random draws: same shape, and mean, spread and range as the reference's.

    Meant for some thousands of draws. The bounds are about five standard errors of the mean
    and ten per cent of the spread, so that a right implementation with another order of
    draws passes for every seed in practice.
    """
    want = np.asarray(expected)
    if not isinstance(got, np.ndarray) or got.shape != want.shape:
        return compare(got, expected) or Difference("type", "expected an array")
    if not np.isfinite(got).all():
        return Difference("nan", "nan or inf among the draws")
    spread = float(want.std())
    if spread == 0.0:
        return compare(got, expected)
    if abs(float(got.mean() - want.mean())) > 7.5 * spread / np.sqrt(want.size):
        return Difference("mean", f"expected a mean near {want.mean():.3g}, got {got.mean():.3g}")
    if abs(float(got.std()) / spread - 1.0) > 0.1:
        return Difference("spread", f"expected a standard deviation near {spread:.3g}, "
                                    f"got {got.std():.3g}")
    ends = np.abs(want).max()
    if abs(float(np.abs(got).max()) / ends - 1.0) > 0.5:
        return Difference("range", f"expected values up to about {ends:.3g}, "
                                   f"got up to {np.abs(got).max():.3g}")
    return None
