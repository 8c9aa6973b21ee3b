"""`grade`, `check`, `score`: the three ways to hold an implementation against the contract."""

import math
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np

from nnlib.checks.answers import grade_answer
from nnlib.checks.diagnose import diagnose
from nnlib.checks.report import Report, Row, tabulate
from nnlib.checks.run import PUBLIC_SEED, Result, course_secret, prepare, run_cases
from nnlib.contract import Operation, Question, find, operations


def grade(
    name: str, implementation: Any, *, track: str = "numpy", hidden: bool = True
) -> Report:
    """Probe one implementation and report what is right, what is wrong, and why.

    Parameters
    ----------
    name
        An operation or a question of the contract.
    implementation
        The function, class or value to probe.
    track
        ``"numpy"`` or ``"torch"``.
    hidden
        Whether to add the cases drawn from the course secret.

    Raises
    ------
    KeyError
        If the contract has no such name.
    ValueError
        If the operation does not exist in that track.
    """
    entry = find(name)
    if track not in entry.tracks:
        raise ValueError(f"grade: {name} exists in the tracks {entry.tracks}, got {track!r}. "
                         'A PyTorch notebook passes track="torch".')
    if isinstance(entry, Question):
        return grade_answer(entry, implementation, track)
    unfit = _unfit(entry, implementation)
    if unfit:
        return Report(name, track, (Row("values", "", False, 0, unfit, 1.0),), 0.0, unfit, None,
                      entry.chapter, entry.anchor)
    results = _public_results(entry, implementation, track)
    if hidden and not any(_timed_out(result.trial.error) for result in results):
        secret = course_secret() or PUBLIC_SEED + " score"
        cases, expected = prepare(entry, secret=secret, track=track)
        results += run_cases(entry, implementation, cases, track=track, expected=expected,
                             hidden=True)
    rows, fraction = tabulate(entry, results)
    hint, mistake, anchor = ("", None, entry.anchor)
    if fraction < 1.0:
        hint, mistake, anchor = diagnose(entry, results, track)
    return Report(name, track, rows, fraction, hint, mistake, entry.chapter, anchor)


#: Public results of this process's last checks, for a `score` that follows; None keeps none.
_KEPT: dict[tuple[Any, ...], list[Result]] | None = None


def keep_results(enabled: bool) -> None:
    """Let `score` use what `check` has found out about the same object, from now on.

    A grader switches it on anew whenever other code has run that could change the object's
    behaviour; each call forgets what was kept.
    """
    global _KEPT
    _KEPT = {} if enabled else None


def _public_results(entry: Operation, implementation: Any, track: str) -> list[Result]:
    """Run the public cases, or take what they gave a moment ago."""
    key = (entry.name, track, implementation)
    if _KEPT is not None and callable(implementation) and key in _KEPT:
        return list(_KEPT[key])
    cases, expected = prepare(entry, secret=PUBLIC_SEED, track=track)
    results = run_cases(entry, implementation, cases, track=track, expected=expected)
    if _KEPT is not None and callable(implementation):
        _KEPT[key] = list(results)
    return results


def check(name: str, implementation: Any, *, track: str = "numpy") -> None:
    """Print a table of what is right and, if something is not, a hint. Never raises for it.

    Uses the public cases only.
    """
    print(grade(name, implementation, track=track, hidden=False))
    sys.stdout.flush()


def score(name: str, implementation: Any, *, points: float, track: str = "numpy") -> float:
    """Return the earned points: the last expression of a graded cell.

    Prints the same table as `check`, over the public cases and those of the course secret.

    Parameters
    ----------
    points
        The cell's maximum, a positive finite number.

    Returns
    -------
    float
        A built-in float in ``[0, points]``, and nothing on stderr: nbgrader gives 0 for any
        text there, and *full* points for False, nan, a negative number or a NumPy scalar.
    """
    if isinstance(points, bool) or not isinstance(points, int | float) or not (
            0 < points < math.inf):
        raise ValueError(f"score: points must be a positive number, got {points!r}.")
    report = grade(name, implementation, track=track)
    earned = float(points) if report.passed else round(float(points * report.points_fraction), 2)
    # Rounding must never turn an almost right answer into full points.
    earned = max(0.0, min(earned, float(points) if report.passed else float(points) - 0.01))
    print(report)
    print(f"Score: {earned:g} of {float(points):g} points")
    sys.stdout.flush()
    return earned


def check_all(
    implementation: Any, *, track: str = "numpy", chapter: str | None = None
) -> dict[str, Report]:
    """Grade every operation that a namespace provides, a whole track or some functions.

    Parameters
    ----------
    implementation
        A module or namespace (``SimpleNamespace(linear_backward=mine)``) or a dict.

    Returns
    -------
    dict
        Operation name to report, for the names that the namespace holds.
    """
    if isinstance(implementation, dict):
        implementation = SimpleNamespace(**implementation)
    return {
        operation.name: grade(operation.name, getattr(implementation, operation.name), track=track)
        for operation in operations(track=track, chapter=chapter)
        if hasattr(implementation, operation.name)
    }


def _unfit(operation: Operation, implementation: Any) -> str:
    """Say why something can't be probed at all, or return ""."""
    if operation.kind == "value":
        return "Not answered yet: it is still None." if implementation is None else ""
    if not callable(implementation):
        shown = np.shape(implementation) if isinstance(implementation, np.ndarray) else ""
        return (f"{operation.name} must be a {operation.kind}, got "
                f"{type(implementation).__name__} {shown}".rstrip() + ". Pass the function "
                "itself, without calling it.")
    return ""


def _timed_out(error: BaseException | None) -> bool:
    return type(error).__name__ == "CallTimeout"
