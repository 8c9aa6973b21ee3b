"""What a submission earned, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

GRADED = "graded"
ATTENTION = "needs attention"


@dataclass(frozen=True)
class Cell:
    """One graded cell.

    Attributes
    ----------
    name : str
        Its grade id.
    score : float or None
        What it earned; None where a person has to grade it.
    max_score : float
        Most that it earns.
    hints : tuple of str
        What would help, where points are missing.
    message : str
        What the cell printed: the table of properties, or the error.
    """

    name: str
    score: float | None
    max_score: float
    hints: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class Sheet:
    """One graded notebook.

    Attributes
    ----------
    name : str
        Its name, without suffix.
    text : str
        The executed notebook, as it goes into ``autograded/``; "" where there is none.
    cells : tuple of Cell
        Its graded cells, in the order in which the template lists them.
    deleted : tuple of str
        Graded cells that the student removed.
    execution, record
        Content key and outputs of the execution, to be kept.
    """

    name: str
    text: str = ""
    cells: tuple[Cell, ...] = ()
    deleted: tuple[str, ...] = ()
    execution: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What one submission earned, before a person grades by hand.

    Attributes
    ----------
    assignment : str
        Of which assignment.
    sheets : tuple of Sheet
        Its notebooks.
    reasons : tuple of str
        What a person has to look at.
    notes : tuple of str
        What is good to know and needs no action.
    timestamp : str
        When it was handed in, "" where nobody says.
    isolation : str
        How it was executed.
    lasting : bool
        Whether another run would give the same; not so where the grader itself failed.
    """

    assignment: str
    sheets: tuple[Sheet, ...] = ()
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    timestamp: str = ""
    isolation: str = "split"
    lasting: bool = True

    @property
    def status(self) -> str:
        """``"graded"`` or ``"needs attention"``."""
        return ATTENTION if self.reasons else GRADED

    @property
    def tasks(self) -> list[Cell]:
        """All graded cells in order."""
        return [cell for sheet in self.sheets for cell in sheet.cells]

    @property
    def score(self) -> float:
        """Points earned."""
        return sum(cell.score or 0.0 for cell in self.tasks)

    @property
    def max_score(self) -> float:
        """Most that can be earned."""
        return sum(cell.max_score for cell in self.tasks)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """Rebuild from `to_dict`."""
        sheets = tuple(
            Sheet(**{
                **sheet,
                "cells": tuple(
                    Cell(**{**cell, "hints": tuple(cell["hints"])}) for cell in sheet["cells"]
                ),
                "deleted": tuple(sheet["deleted"]),
            })
            for sheet in data["sheets"]
        )  # fmt: skip
        return cls(**{
            **data, "sheets": sheets, "reasons": tuple(data["reasons"]),
            "notes": tuple(data["notes"]),
        })  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{self.assignment}: {self.score:g} of {self.max_score:g} points, {self.status}"]
        lines += [f"  ! {reason}" for reason in self.reasons]
        lines += [f"  note: {note}" for note in self.notes]
        for sheet in self.sheets:
            lines.append(f"  {sheet.name}")
            for cell in sheet.cells:
                score = "to be graded" if cell.score is None else f"{cell.score:g}"
                lines.append(f"    {cell.name}: {score} of {cell.max_score:g}")
                lines += [f"      hint: {hint}" for hint in cell.hints]
        return "\n".join(lines)
