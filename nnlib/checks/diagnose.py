"""Recognising what went wrong: first among the known mistakes, then by general analysis."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnlib.checks.analysers import analyse
from nnlib.checks.compare import compare
from nnlib.checks.judges import FREE_FORM
from nnlib.checks.run import Result, run_cases
from nnlib.checks.tracks import through_numpy
from nnlib.contract import Operation
from nnlib.mistakes import Mistake, for_exercise


def diagnose(
    operation: Operation, results: Sequence[Result], track: str
) -> tuple[str, str | None, str]:
    """Return ``(hint, name of the recognised mistake or None, anchor)`` for judged cases.

    A known mistake is recognised by behaviour, not by text: it must give the student's
    results on every case, at least in one of the outputs that are wrong. Among several the
    one that explains most outputs wins.
    """
    if not any(_failed(result) for result in results):
        return "", None, operation.anchor
    best: tuple[int, Mistake] | None = None
    if not any(_unfinished(result) for result in results):
        expected = [result.expected for result in results]
        cases = [result.case for result in results]
        for mistake in for_exercise(operation.name, track):
            theirs = _results_of(mistake, operation, cases, expected, track)
            strength = _explains(operation, results, theirs)
            if strength and (best is None or strength > best[0]):
                best = (strength, mistake)
    if best is not None:
        mistake = best[1]
        return mistake.hint, mistake.name, mistake.anchor
    return analyse(operation, results), None, operation.anchor


#: What known mistakes give on cases that a class shares: they run once, not once a student.
_KNOWN: dict[tuple[Any, ...], tuple[Sequence[Any], Sequence[Result]]] = {}
_KNOWN_LIMIT = 2000


def _results_of(
    mistake: Mistake, operation: Operation, cases: Sequence[Any], expected: Sequence[Any],
    track: str,
) -> Sequence[Result]:
    """Run a mistake on the cases, or take what it gave before."""
    key = (id(mistake.function), track, *map(id, expected), *map(id, cases))
    if key not in _KNOWN:
        while len(_KNOWN) >= _KNOWN_LIMIT:
            del _KNOWN[next(iter(_KNOWN))]
        implementation = candidate(mistake, operation, track)
        found = run_cases(operation, implementation, cases, track=track, expected=expected)
        # The cases are kept along, so that their ids stay theirs.
        _KNOWN[key] = ((mistake, *cases, *expected), found)
    return _KNOWN[key][1]


def candidate(mistake: Mistake, operation: Operation, track: str) -> Any:
    """Make a mistake runnable in a track: values are produced, NumPy code gets tensors through."""
    if operation.kind == "value":
        return mistake.function()
    if track == "torch" and "torch" not in mistake.source_tracks:
        return through_numpy(mistake.function)
    return mistake.function


def _failed(result: Result) -> bool:
    return bool(result.differences or result.dtype or result.trial.modified)


def _unfinished(result: Result) -> bool:
    error = result.trial.error
    return isinstance(error, NotImplementedError) or type(error).__name__ == "CallTimeout"


def _explains(operation: Operation, mine: Sequence[Result], theirs: Sequence[Result]) -> int:
    """Count how well a mistake's results explain a student's; 0 for not at all.

    An output is explained when both behave alike in it on *every* case. A perfect match in
    outputs, types and modified arguments outranks any partial one.
    """
    explained = 0
    alike_everywhere = True
    for output in operation.outputs:
        pairs = [_alike(one, other, output) for one, other in zip(mine, theirs, strict=True)]
        alike = all(pairs)
        # Errors alone prove little, since many slips end in the same exception.
        solid = any(strong == 2 and output in one.differences
                    for strong, one in zip(pairs, mine, strict=True))
        alike_everywhere = alike_everywhere and alike
        if alike and solid:
            explained += 1
    same_conduct = all(
        bool(one.dtype) == bool(other.dtype)
        and bool(one.trial.modified) == bool(other.trial.modified)
        for one, other in zip(mine, theirs, strict=True))
    wrong = [output for output in operation.outputs if any(output in r.differences for r in mine)]
    if alike_everywhere and same_conduct and (explained or not wrong):
        return 1000 + explained
    return explained


def _alike(one: Result, other: Result, output: str) -> int:
    """Compare two candidates' behaviour in one output: 0 unlike, 1 weakly, 2 surely alike."""
    mine, theirs = one.trial, other.trial
    if mine.error is not None or theirs.error is not None:
        if mine.error is None or theirs.error is None:
            return 0
        same_text = str(mine.error) == str(theirs.error)
        # By name: an error that comes from another process is rebuilt from its name.
        same_type = type(mine.error).__name__ == type(theirs.error).__name__
        return 2 if same_type and same_text else 1
    differences = (one.differences.get(output), other.differences.get(output))
    if one.case.judge in FREE_FORM:
        codes = [difference.code if difference else "" for difference in differences]
        return 2 if codes[0] == codes[1] else 0
    if output not in one.outputs or output not in other.outputs:
        same = compare(list(mine.outputs), list(theirs.outputs)) is None
        return 2 if same else 0
    got, reference = one.outputs[output], other.outputs[output]
    if all(isinstance(item, np.ndarray) and item.size == 0 for item in (got, reference)):
        return 1
    return 2 if compare(got, reference, rtol=1e-5, atol=1e-8) is None else 0
