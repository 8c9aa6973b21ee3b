"""Release, grade and report the course's assignments, on top of nbgrader.

Importing this package is cheap: nothing heavy (nbgrader, jupytext, a kernel) is loaded before a
command needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograder.grade_one import grade_notebook
    from autograder.result import Result

__all__ = ["Result", "grade_notebook"]
_HOMES = {"Result": "autograder.result", "grade_notebook": "autograder.grade_one"}


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
