"""Running the cases of an operation against an implementation."""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnlib.checks.compare import Difference
from nnlib.checks.drivers import Trial, perform
from nnlib.checks.judges import JUDGES
from nnlib.checks.tracks import device, reference
from nnlib.contract import Case, Operation

#: Seeds the public cases, and the hidden ones where no course secret is set.
PUBLIC_SEED = "public"

#: How many operations' cases are kept with their results.
PREPARED_LIMIT = 100
_PREPARED: dict[tuple[Any, ...], tuple[list[Case], list[Trial]]] = {}


@dataclass(frozen=True)
class Result:
    """One case, performed by a candidate and by the reference, and judged.

    Parameters
    ----------
    case, hidden
        The case, and whether its numbers must not be shown.
    trial, expected
        What the candidate and the reference did.
    outputs
        Output name to the candidate's plain result; empty after an error or where the number
        of results is wrong.
    differences
        Output name to difference; empty where everything agrees. An exception counts as a
        difference in every output.
    dtype
        What is wrong with the types of the results, or "".
    """

    case: Case
    hidden: bool
    trial: Trial
    expected: Trial
    outputs: dict[str, Any] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)
    dtype: str = ""


def draw_cases(operation: Operation, *, secret: str = PUBLIC_SEED) -> list[Case]:
    """Draw the operation's cases from a seed that only ``secret`` and its name determine."""
    digest = hashlib.sha256(f"{secret}|{operation.name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    return list(operation.make_cases(rng))


def graded_cases(operation: Operation, *, secret: str = PUBLIC_SEED) -> list[Case]:
    """Draw the cases that a student's work is held to.

    All but those that ask for the wording of an error or for an option of the library's own:
    no docstring of an assignment states them.
    """
    return [case for case in draw_cases(operation, secret=secret)
            if not (case.match or case.library)]


def prepare(operation: Operation, *, secret: str, track: str) -> tuple[list[Case], list[Trial]]:
    """Draw the cases of a student's work and perform them with the reference.

    Both are kept, since a class shares them: the reference runs once for a whole class, and what
    is left for a submission is the student's own work.
    """
    function = getattr(reference(track), operation.name)
    key = (operation.name, operation.make_cases, id(function), secret, track, device())
    if key not in _PREPARED:
        cases = graded_cases(operation, secret=secret)
        while len(_PREPARED) >= PREPARED_LIMIT:
            del _PREPARED[next(iter(_PREPARED))]
        _PREPARED[key] = cases, [expect(operation, case, track) for case in cases]
    return _PREPARED[key]


def course_secret() -> str:
    """Return the course secret from the environment, or "" where none is set."""
    return os.environ.get("NNCOURSE_SECRET", "")


def run_cases(
    operation: Operation,
    implementation: Any,
    cases: Iterable[Case],
    *,
    track: str,
    hidden: bool = False,
    expected: Sequence[Trial] | None = None,
) -> list[Result]:
    """Run cases against an implementation; after a timeout the rest are not tried.

    ``expected`` saves computing the reference again when several candidates meet the same
    cases.
    """
    results: list[Result] = []
    stopped: BaseException | None = None
    for index, case in enumerate(cases):
        want = expected[index] if expected is not None else expect(operation, case, track)
        trial = Trial(error=stopped) if stopped else perform(implementation, case, track)
        if trial.error is not None and type(trial.error).__name__ == "CallTimeout":
            stopped = trial.error
        results.append(judged(operation, case, trial, want, hidden))
    return results


def expect(operation: Operation, case: Case, track: str) -> Trial:
    """Perform the case with the reference implementation.

    Raises
    ------
    RuntimeError
        If the reference itself fails: then the case table or the library is wrong, and no
        student must pay for it.
    """
    if case.raises is not None:
        return Trial()
    trial = perform(getattr(reference(track), operation.name), case, track)
    if trial.error is not None:
        raise RuntimeError(f"the reference {operation.name} ({track}) fails on its own case "
                           f"{case.name!r}: {trial.error!r}") from trial.error
    return trial


def judged(operation: Operation, case: Case, trial: Trial, want: Trial, hidden: bool) -> Result:
    """Compare a candidate's trial with the reference's, output by output."""
    if case.raises is not None:
        difference = _judge_error(case, trial)
        found = dict.fromkeys(operation.outputs, difference) if difference else {}
        return Result(case, hidden, trial, want, differences=found)
    if trial.error is not None:
        difference = Difference("error", error_message(trial.error))
        return Result(case, hidden, trial, want,
                      differences=dict.fromkeys(operation.outputs, difference))
    outputs = trial.outputs
    if len(want.outputs) > 1 and len(outputs) == 1 and isinstance(outputs[0], list):
        outputs = tuple(outputs[0])  # a list of the right results is as good as a tuple
    if len(outputs) != len(want.outputs):
        difference = _wrong_count(operation, outputs, want.outputs)
        return Result(case, hidden, trial, want,
                      differences=dict.fromkeys(operation.outputs, difference))
    named = dict(zip(operation.outputs, outputs, strict=True))
    differences, types = {}, []
    for (name, got), right in zip(named.items(), want.outputs, strict=True):
        found_difference = JUDGES[case.judge](got, right, case, name)
        if found_difference:
            differences[name] = found_difference
        types += _type_faults(got, right, name if len(named) > 1 else "result")
    return Result(case, hidden, trial, want, named, differences, "; ".join(types))


def error_message(error: BaseException) -> str:
    """Say in one line what was raised, with the first line of its message."""
    if isinstance(error, NotImplementedError):
        return "not written yet"
    text = str(error).strip().splitlines()
    detail = f": {text[0][:160]}" if text else ""
    if type(error).__name__ == "CallTimeout":
        return f"stopped{detail}: an endless loop?"
    return f"raised {type(error).__name__}{detail}"


def _judge_error(case: Case, trial: Trial) -> Difference | None:
    assert case.raises is not None
    if trial.error is None:
        return Difference("no error", f"must raise {case.raises.__name__}, raised nothing")
    if not isinstance(trial.error, case.raises):
        return Difference("error", f"must raise {case.raises.__name__}, "
                                   f"{error_message(trial.error)}")
    if case.match and not re.search(case.match, str(trial.error)):
        return Difference("message", f"the message must match {case.match!r}, "
                                     f"got {str(trial.error)!r}")
    return None


def _wrong_count(operation: Operation, got: tuple, want: tuple) -> Difference:
    if len(got) == 1 and got[0] is None:
        return Difference("none", "got None: is the `return` missing?")
    return Difference("length", f"expected {len(want)} results "
                                f"({', '.join(operation.outputs)}), got {len(got)}")


def _type_faults(got: Any, right: Any, name: str) -> list[str]:
    """List wrong element types, in nested results too."""
    if isinstance(right, tuple | list) and isinstance(got, tuple | list):
        return [fault for one, other in zip(got, right, strict=False)
                for fault in _type_faults(one, other, name)][:1]
    if isinstance(right, dict) and isinstance(got, dict):
        return [fault for key in right if key in got
                for fault in _type_faults(got[key], right[key], name)][:1]
    if not (isinstance(right, np.ndarray) and isinstance(got, np.ndarray)):
        return []
    if right.dtype.kind == "f" and got.dtype != right.dtype:
        return [f"{name} must be {right.dtype}, got {got.dtype}"]
    if right.dtype.kind in "iu" and got.dtype.kind not in "iub":
        return [f"{name} must be of an integer type, got {got.dtype}"]
    return []
