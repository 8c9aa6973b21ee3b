"""What executing a notebook gave, kept by content: the same code never runs twice.

The key covers everything that decides the outputs: the code of the sanitised notebook, the
library that checks it, the secret, the limits, the interpreter and the files beside it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from autograder.course import (
    Course,
    hash_files,
    hash_package,
    hash_text,
    package_version,
    read_json,
    write_json,
)
from autograder.notebooks import nbgrader_meta

INCIDENTS = "nncourse"
"""Notebook metadata key that holds ``{"incidents": [...], "no_verdict": [...]}``."""

# Everything of this package that a verdict can depend on; helpers that only record or show a
# result are not among it.
BYSTANDERS = (
    "__init__.py", "__main__.py", "classrun.py", "cli.py", "console.py", "course.py", "doctor.py",
    "edits.py", "errors.py", "export.py", "feedback.py", "grade.py", "grade_one.py", "intake.py",
    "job.py", "lean.py", "lint.py", "nbgrader_bridge.py", "outcomes.py", "plan.py", "progress.py",
    "record.py", "release.py", "report.py", "reportcard.py", "restore.py", "result.py",
    "sample_class.py", "sanitize.py", "sanitize_html.py", "sanitize_svg.py", "schedule.py",
    "settings.py", "store.py", "studentcheck.py", "submission.py",
)  # fmt: skip
LIBRARIES = ("ipython", "matplotlib", "nbformat", "numpy", "torch", "traitlets")
BESIDE_LIMIT = 50_000_000


def code_hash(course: Course) -> str:
    """Hash of the code and libraries that execute a notebook, the same on every machine."""
    return hash_text(
        hash_package("nnlib", course),
        hash_package("autograder", course, without=BYSTANDERS),
        ".".join(map(str, sys.version_info[:3])),
        *(package_version(name) for name in LIBRARIES),
    )


def environment_hash(course: Course) -> str:
    """Hash of all code, other than the student's, that decides about a verdict."""
    return hash_text(code_hash(course), course.secret())


def key(course: Course, cells: list[Any], folder: Path | None, settings: dict[str, Any]) -> str:
    """Cache key of one sanitised notebook."""
    beside = ""
    if folder is not None and folder.is_dir():
        files = [
            p for p in folder.iterdir()
            if p.is_file() and p.suffix != ".ipynb" and p.stat().st_size < BESIDE_LIMIT
        ]  # fmt: skip
        beside = hash_files(files, folder)
    return content_key(cells, beside, settings, environment_hash(course))


def content_key(
    cells: list[Any], beside: str, settings: dict[str, Any], environment: str
) -> str:
    """Hash of a sanitised notebook's code and of all that it is executed with.

    Parameters
    ----------
    cells : list
        Sanitised cells; only code counts.
    beside : str
        Hash of the files beside the notebook.
    settings : dict
        Bounds and isolation.
    environment : str
        From `environment_hash`.
    """
    code = [
        [
            cell["source"], cell["metadata"].get("tags", []),
            {k: v for k, v in nbgrader_meta(cell).items() if k != "checksum"},
        ]
        for cell in cells
        if cell["cell_type"] == "code"
    ]  # fmt: skip
    text = json.dumps([code, settings], sort_keys=True, ensure_ascii=True)
    return hash_text("2", text, beside, environment)


def store_path(course: Course, name: str) -> Path:
    """File that holds the outputs for a key."""
    return course.cache / "executed" / f"{name}.json"


def load(course: Course, name: str) -> dict[str, Any] | None:
    """A kept execution, None where there is none (or it is damaged)."""
    record = read_json(store_path(course, name))
    return record if isinstance(record, dict) and "cells" in record else None


def keep(course: Course, name: str, record: dict[str, Any]) -> None:
    """Keep an execution's record under its key."""
    write_json(store_path(course, name), record)


def store(
    course: Course, name: str, cells: list[Any], state: dict[str, Any], *, keep: bool = True
) -> dict[str, Any]:
    """Keep an execution (unless told not to); returns it as `load` would."""
    record = {
        **state,
        "cells": [
            {"outputs": cell["outputs"], "execution_count": cell["execution_count"]}
            for cell in cells
            if cell["cell_type"] == "code"
        ],
    }
    if keep:
        write_json(store_path(course, name), record)
    plain: dict[str, Any] = json.loads(json.dumps(record))
    return plain


def apply(record: dict[str, Any], cells: list[Any]) -> None:
    """Put kept outputs into a notebook's code cells."""
    import nbformat

    code = [cell for cell in cells if cell["cell_type"] == "code"]
    for cell, kept in zip(code, record["cells"], strict=True):
        cell["outputs"] = [nbformat.from_dict(output) for output in kept["outputs"]]
        cell["execution_count"] = kept["execution_count"]
