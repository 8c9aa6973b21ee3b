"""Errors that the command line shows as a message, never as a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class CourseError(Exception):
    """Something a person can put right: the message says what and how."""


@dataclass(frozen=True, order=True)
class Problem:
    """One finding of the release linter.

    Attributes
    ----------
    file : str
        Path relative to the course root.
    where : str
        The cell, in words (``cell 7, score_linear_backward, line 120``).
    rule : str
        Short name of the broken rule.
    text : str
        What is wrong.
    fix : str
        The likely fix.
    """

    file: str
    where: str
    rule: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        place = f"{self.file}: {self.where}" if self.where else self.file
        fix = f"\n      fix: {self.fix}" if self.fix else ""
        return f"{place}\n      {self.rule}: {self.text}{fix}"


class ReleaseError(CourseError):
    """An assignment can't be released; `problems` holds every reason, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        count = len(self.problems)
        head = f"{count} problem{'s' if count != 1 else ''} in the assignment sources:"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))
