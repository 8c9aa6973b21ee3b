"""What an instructor sets for one assignment: its limits, and how its locked cells are run.

In ``nbgrader_config.py``, for all assignments and then for one of them::

    c.ConfinedExecute.cell_seconds = 60
    c.ConfinedExecute.per_assignment = {
        "05-backprop": {"isolation": "shared", "call_seconds": 20},
    }
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from autograder.bounds import Bounds
from autograder.course import Course
from autograder.errors import CourseError

SECTION = "ConfinedExecute"
ISOLATIONS = ("split", "shared")

def for_assignment(
    course: Course, assignment: str, config: Any = None
) -> tuple[Bounds, str]:
    """Limits and isolation of an assignment.

    Parameters
    ----------
    course : Course
        The course, whose ``nbgrader_config.py`` is read.
    assignment : str
        Its name.
    config : traitlets.config.Config, optional
        That configuration, where it has been read already.

    Returns
    -------
    tuple
        ``(Bounds, "split" or "shared")``.

    Raises
    ------
    CourseError
        Where a setting has an unknown name or an impossible value.
    """
    if config is None:
        from autograder.nbgrader_bridge import load_config

        config = load_config(course)
    combine(dict(config.get(SECTION, {})), assignment, course.assignments())
    return from_config(config, assignment)


def from_config(config: Any, assignment: str) -> tuple[Bounds, str]:
    """Limits and isolation as `ConfinedExecute` reads them from a configuration."""
    from traitlets import TraitError

    from autograder.execute import ConfinedExecute

    try:
        settings = ConfinedExecute(config=config)._settings(assignment, "")
    except TraitError as error:
        raise CourseError(f"nbgrader_config.py: c.{SECTION}: {error}") from error
    return Bounds.from_dict(settings["bounds"]), str(settings["isolation"])


def combine(
    section: Mapping[str, Any], assignment: str, known: list[str] | None = None
) -> tuple[Bounds, str]:
    """Put the settings for all assignments and those for one together."""
    limits = {field.name for field in dataclasses.fields(Bounds)}
    values = {name: section[name] for name in limits if name in section}
    isolation = section.get("isolation", "split")
    table = section.get("per_assignment", {})
    if not isinstance(table, Mapping):
        raise CourseError(f"c.{SECTION}.per_assignment must be a dict of dicts, got {table!r}.")
    stray = sorted(set(table) - set(known)) if known else []
    if stray:
        raise CourseError(
            f"c.{SECTION}.per_assignment names {', '.join(map(repr, stray))}, which is no "
            f"assignment of this course. Assignments here: {', '.join(known or [])}."
        )
    own = table.get(assignment, {})
    if not isinstance(own, Mapping):
        raise CourseError(
            f"c.{SECTION}.per_assignment[{assignment!r}] must be a dict, got {own!r}."
        )
    unknown = sorted(set(own) - limits - {"isolation"})
    if unknown:
        raise CourseError(
            f"c.{SECTION}.per_assignment[{assignment!r}] has an unknown setting "
            f"{', '.join(map(repr, unknown))}. Settings: isolation, {', '.join(sorted(limits))}."
        )
    values |= {name: value for name, value in own.items() if name != "isolation"}
    isolation = own.get("isolation", isolation)
    if isolation not in ISOLATIONS:
        raise CourseError(
            f"isolation of {assignment} must be 'split' or 'shared', got {isolation!r}. "
            f"Look at c.{SECTION} in nbgrader_config.py."
        )
    return Bounds.from_dict(values), str(isolation)
