"""Grading the answers to prediction questions."""

import math
from typing import Any

from nnlib.checks.report import Report, Row
from nnlib.contract import Question


def grade_answer(question: Question, answer: Any, track: str) -> Report:
    """Compare an answer with the right one; a wrong one gets the hint made for it."""
    if answer is None:
        return _report(question, track, False, "Not answered yet: it is still None.", None)
    if question.options:
        given = answer.strip().lower().strip("()\"'.") if isinstance(answer, str) else answer
        if given not in question.options:
            letters = ", ".join(f'"{letter}"' for letter in question.options)
            return _report(question, track, False,
                           f"The answer must be one of {letters}, got {answer!r}.", None)
        if given == question.answer:
            return _report(question, track, True, "", None)
        return _report(question, track, False, question.why[given], f"{question.name}_{given}")
    number = _number(answer)
    if number is None:
        return _report(question, track, False, f"The answer must be a number, got {answer!r}.",
                       None)
    if math.isclose(number, float(question.answer), rel_tol=question.tolerance, abs_tol=1e-12):
        return _report(question, track, True, "", None)
    for wrong, why in question.why.items():
        if math.isclose(number, float(wrong), rel_tol=question.tolerance, abs_tol=1e-12):
            return _report(question, track, False, why, f"{question.name}_{wrong}")
    return _report(question, track, False, "That is not the number. Work it out on the smallest "
                   "example on paper, then compare.", None)


def _number(answer: Any) -> float | None:
    if isinstance(answer, bool) or not hasattr(type(answer), "__float__"):
        return None
    try:
        number = float(answer)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _report(question: Question, track: str, passed: bool, hint: str, mistake: str | None
            ) -> Report:
    row = Row("answer", "", passed, 0, "right" if passed else "not right yet", 1.0)
    return Report(question.name, track, (row,), float(passed), hint, mistake, question.chapter,
                  question.anchor)
