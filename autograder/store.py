"""What a run leaves behind so that no work is done twice: results by content, and stamps.

A result is kept as soon as it arrives, under the hash of all that decided about it. A stamp says
that a submission is finished: its gradebook entry, its files and its outcome. It is written last,
so that whenever a run is killed, the next one does again what has no stamp, from kept results.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autograder.course import Course, read_json, write_json
from autograder.result import Result


class Store:
    """The results and stamps of one assignment.

    Parameters
    ----------
    course : Course
        The course.
    assignment : str
        Its name.
    """

    def __init__(self, course: Course, assignment: str) -> None:
        self._results = course.cache / "results"
        self._stamps = course.cache / "graded" / assignment

    def result(self, key: str) -> Result | None:
        """A kept result; None where there is none, or it is damaged."""
        record = read_json(self._path(key))
        try:
            return Result.from_dict(record) if record else None
        except (KeyError, TypeError, ValueError):
            return None

    def keep(self, key: str, result: Result) -> None:
        """Keep a result, unless another run might do better."""
        if result.lasting:
            write_json(self._path(key), result.to_dict())

    def forget(self, key: str) -> None:
        """Drop a result that nothing refers to any more."""
        self._path(key).unlink(missing_ok=True)

    def executions(self, student: str) -> dict[str, Any]:
        """Executions of a student's last result, by content."""
        result = self.result(self.stamp(student).get("result", ""))
        sheets = result.sheets if result else ()
        return {sheet.execution: dict(sheet.record) for sheet in sheets if sheet.execution}

    def stamp(self, student: str) -> dict[str, Any]:
        """A student's stamp, {} where there is none."""
        record = read_json(self._stamps / f"{student}.json")
        return record if isinstance(record, dict) else {}

    def finish(self, student: str, stamp: dict[str, Any]) -> None:
        """Write a stamp: the submission is finished."""
        write_json(self._stamps / f"{student}.json", stamp)

    def reopen(self, student: str) -> None:
        """Say that a submission isn't finished, before anything of it is touched."""
        stamp = self.stamp(student)
        if stamp.get("complete"):
            # What it refers to is still of use.
            self.finish(student, {**stamp, "complete": False})

    def _path(self, key: str) -> Path:
        return self._results / f"{key or 'none'}.json"
