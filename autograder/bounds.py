"""What a submission may use: every limit of grading in one place, with its default."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from autograder.errors import CourseError

MEBI = 2**20
GIBI = 2**30


@dataclass(frozen=True)
class Bounds:
    """Limits of one notebook's grading; an instructor can override them per assignment.

    Parameters
    ----------
    cell_seconds, call_seconds, notebook_seconds
        Wall time of one cell, of one call of a student's function, of a whole notebook.
    memory_bytes
        Memory of the student's processes together.
    processes, open_files
        How many of them, and how many descriptors each may hold.
    file_bytes
        Size of the largest file, and of all files in the private folders together.
    output_bytes
        Text and pictures kept per cell.
    array_bytes
        Arrays in one message between the student's side and the grader's.
    """

    cell_seconds: float = 30.0
    call_seconds: float = 10.0
    notebook_seconds: float = 300.0
    memory_bytes: int = 2 * GIBI
    processes: int = 64
    open_files: int = 256
    file_bytes: int = 64 * MEBI
    output_bytes: int = MEBI
    array_bytes: int = 256 * MEBI

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise CourseError(
                    f"Bounds: {name} must be a positive number, got {value!r}. "
                    "Look at the settings of this assignment in nbgrader_config.py."
                )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for messages and for content keys."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Bounds:
        """Bounds with some values replaced; an unknown name is an error that lists the known."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise CourseError(
                f"Bounds: there is no limit called {', '.join(unknown)}. "
                f"The limits are {', '.join(sorted(known))}."
            )
        return cls(**values)


def size_text(count: int) -> str:
    """A number of bytes as people read it: ``2 GiB``, ``64 MiB``, ``1500 bytes``."""
    for unit, name in ((GIBI, "GiB"), (MEBI, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"
