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

EXECUTORS = ("execute.py", "executed.py", "notebooks.py", "verdicts.py")
LIBRARIES = ("ipykernel", "ipython", "matplotlib", "nbclient", "numpy", "torch")
BESIDE_LIMIT = 50_000_000


def environment_hash(course: Course) -> str:
    """Hash of all code, other than the student's, that decides about a verdict."""
    return hash_text(
        hash_package("nnlib", course),
        hash_package("autograder", course, EXECUTORS),
        course.secret(),
        sys.version,
        *(package_version(name) for name in LIBRARIES),
    )


def key(course: Course, cells: list[Any], folder: Path | None, settings: dict[str, Any]) -> str:
    """Cache key of one sanitised notebook."""
    code = [
        [cell["source"], {k: v for k, v in nbgrader_meta(cell).items() if k != "checksum"}]
        for cell in cells
        if cell["cell_type"] == "code"
    ]
    beside = ""
    if folder is not None and folder.is_dir():
        files = [
            p for p in folder.iterdir()
            if p.is_file() and p.suffix != ".ipynb" and p.stat().st_size < BESIDE_LIMIT
        ]  # fmt: skip
        beside = hash_files(files, folder)
    text = json.dumps([code, settings], sort_keys=True, ensure_ascii=True)
    return hash_text("1", text, beside, environment_hash(course))


def store_path(course: Course, name: str) -> Path:
    """File that holds the outputs for a key."""
    return course.cache / "executed" / f"{name}.json"


def load(course: Course, name: str) -> dict[str, Any] | None:
    """A kept execution, None where there is none (or it is damaged)."""
    record = read_json(store_path(course, name))
    return record if isinstance(record, dict) and "cells" in record else None


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
