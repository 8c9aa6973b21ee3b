"""How the exercises of chapter 9 are called that return a list of numbers."""

from typing import Any

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import to_track
from nnlib.contract import Case


@driver("rates")
def rates(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(*args, **options)``: a list, a tuple or an array of numbers."""
    args, options = to_track(tuple(case.args), track), to_track(dict(case.options), track)

    def run(*args: Any, **options: Any) -> list[float]:
        found = implementation(*args, **options)
        if found is None:
            raise TypeError("got None: is the `return` missing?")
        return [float(rate) for rate in found]

    return guarded(run, args, options)
