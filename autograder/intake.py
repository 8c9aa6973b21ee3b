"""Look at what students handed in before anything runs, and say what is wrong in plain words.

`look_at` works on bytes alone: it touches no disk, so that it runs wherever the notebook is graded.
It keeps only the notebooks that can be graded, re-encoded and with valid cell ids. nbgrader then
never meets a broken file, and a student's other files (``numpy.py``, say) never sit beside the
notebook when it runs.
"""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.course import Course, hash_text
from autograder.notebooks import grade_id, join_text, nbgrader_meta, read_notebook, stable_ids
from autograder.submission import (
    STAMP,
    Submission,
    UnreadableError,
    file_trouble,
    read_file,
    shown,
)

# A notebook belongs to an assignment if it has at least this share of its ids.
BELONGS = 0.5
DEEP = "is nested too deeply to be a notebook"
ASK = "ask for the notebook as Jupyter saves it"
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,60}")


@dataclass(frozen=True)
class Expected:
    """What a released notebook holds: all its grade ids, and which of them are graded.

    Attributes
    ----------
    assignment, name : str
        Which notebook.
    ids : frozenset of str
        All its grade ids.
    graded : tuple of str
        Those that earn points, in order.
    locked : frozenset of str
        Fingerprints of its locked cells, see `fingerprint`.
    """

    assignment: str
    name: str
    ids: frozenset[str]
    graded: tuple[str, ...]
    locked: frozenset[str]

    def share(self, data: dict[str, Any]) -> float:
        """Share of this notebook's ids that another one has."""
        have = {grade_id(c) for c in data["cells"]}
        return len(have & self.ids) / len(self.ids) if self.ids else 0.0

    def fit(self, data: dict[str, Any]) -> float:
        """How much another notebook looks like this one, from 0 to 1.

        The two tracks of an assignment can share their ids; the text of locked cells differs.
        """
        have = {fingerprint(c) for c in data["cells"] if grade_id(c)}
        same = len(have & self.locked) / len(self.locked) if self.locked else 0.0
        return (self.share(data) + same) / 2

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "assignment": self.assignment, "name": self.name, "ids": sorted(self.ids),
            "graded": list(self.graded), "locked": sorted(self.locked),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Expected:
        """Rebuild from `to_dict`."""
        return cls(
            data["assignment"], data["name"], frozenset(data["ids"]), tuple(data["graded"]),
            frozenset(data["locked"]),
        )  # fmt: skip


def fingerprint(cell: Any) -> str:
    """A short hash of a cell's id and text."""
    return hash_text(grade_id(cell), join_text(cell["source"]).strip())[:16]


def expect(assignment: str, name: str, cells: list[Any]) -> Expected:
    """What a released notebook holds."""
    return Expected(
        assignment, name,
        frozenset(filter(None, map(grade_id, cells))),
        tuple(grade_id(c) for c in cells if nbgrader_meta(c).get("grade")),
        frozenset(fingerprint(c) for c in cells if nbgrader_meta(c).get("locked")),
    )  # fmt: skip


@dataclass
class Intake:
    """One student's submission, looked at.

    Attributes
    ----------
    attention : list of str
        What a person has to look at.
    notes : list of str
        What is good to know and needs no action.
    staged : dict
        Notebooks that can be graded: name -> the notebook, valid and without outputs.
    timestamp : str
        When it was handed in, "" where nobody says.
    """

    attention: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    staged: dict[str, dict[str, Any]] = field(default_factory=dict)
    timestamp: str = ""


def expected_notebooks(course: Course) -> list[Expected]:
    """All released notebooks of the course."""
    found = []
    for assignment in course.assignments():
        for name in course.notebooks(assignment):
            path = course.source / assignment / f"{name}.ipynb"
            if not path.is_file():
                continue
            found.append(expect(assignment, name, read_notebook(path)["cells"]))
    return found


def read_submitted(path: Path) -> dict[str, Any]:
    """Read a file that may be anything.

    Raises
    ------
    UnreadableError
        With a message for people.
    """
    return parse(read_file(path))


def parse(raw: bytes) -> dict[str, Any]:
    """Take a notebook out of bytes that may be anything; raises UnreadableError."""
    if trouble := file_trouble(len(raw)):
        raise UnreadableError(trouble)
    text = _decode(raw)
    if not text.strip():
        raise UnreadableError("is empty: the upload failed, ask for it again")
    try:
        data = json.loads(text)
    except RecursionError as error:
        raise UnreadableError(DEEP) from error
    except json.JSONDecodeError as error:
        raise UnreadableError(_json_trouble(text, error)) from error
    except ValueError as error:  # a number with more digits than Python converts
        raise UnreadableError(f"holds a number too long to be read: {ASK}") from error
    cells = data.get("cells", data.get("worksheets")) if isinstance(data, dict) else None
    if not isinstance(cells, list) or not isinstance(data, dict):
        raise UnreadableError("is JSON, but no Jupyter notebook: it has no cells")
    return data


def _decode(raw: bytes) -> str:
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
    ):  # fmt: skip
        if raw.startswith(mark):
            try:
                return raw.decode(encoding)
            except UnicodeDecodeError:
                break
    if raw.startswith(b"PK\x03\x04"):
        raise UnreadableError("is a zip archive: unpack it, then grade again")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UnreadableError(
            f"is not UTF-8 text (line {line}, byte {error.start}): ask for the notebook as Jupyter "
            "saves it, or convert its encoding"
        ) from error


def _json_trouble(text: str, error: json.JSONDecodeError) -> str:
    if text.lstrip()[:1] == "<":
        return "is a web page, not a notebook: the download was saved instead of the file"
    conflict = re.search(r"^(<<<<<<<|>>>>>>>) ", text, re.MULTILINE)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        return f"holds an unresolved merge conflict in line {line}: ask for a clean copy"
    where = f"is not valid JSON at line {error.lineno}"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return f"{where}: it ends there, the upload was cut off, ask for it again"
    return f"{where}, column {error.colno}: {error.msg.lower()}"


def normalise(data: dict[str, Any]) -> dict[str, Any]:
    """Bring a notebook of any version to a valid nbformat 4.5.

    Raises
    ------
    UnreadableError
        Where that isn't possible.
    """
    import nbformat

    from autograder.wire import whole_text

    try:
        cells = [whole_text(_clean_cell(cell)) for cell in _cells(data)]
    except RecursionError as error:
        raise UnreadableError(DEEP) from error
    for cell, name in zip(cells, stable_ids([grade_id(c) for c in cells]), strict=True):
        cell["id"] = name
    notebook = {
        "cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    try:
        nbformat.validate(nbformat.from_dict(notebook))
    except nbformat.ValidationError as error:
        what = str(error).splitlines()[0][:100]
        raise UnreadableError(f"isn't a valid notebook ({what}): {ASK}") from error
    return notebook


def _cells(data: dict[str, Any]) -> list[Any]:
    """The cells of a notebook of any version, each with a type."""
    import nbformat

    cells = data.get("cells")
    if not isinstance(cells, list):
        # Before 2015, cells stood in worksheets.
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cells = nbformat.convert(nbformat.from_dict(data), 4)["cells"]
        except Exception as error:
            raise UnreadableError(
                "has an old format that can't be brought up to date: open it in Jupyter, save it, "
                "and hand it in again"
            ) from error
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
            raise UnreadableError(f"is damaged: no. {number} of its cells is no cell; {ASK}")
    return cells


def _clean_cell(cell: dict[str, Any]) -> dict[str, Any]:
    """Keep what grading needs: outputs and the metadata of tools are not graded."""
    kind = cell["cell_type"] if cell["cell_type"] in ("code", "markdown") else "raw"
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    kept = {}
    if isinstance(metadata.get("nbgrader"), dict):
        kept["nbgrader"] = metadata["nbgrader"]
    tags = metadata.get("tags")
    if isinstance(tags, list) and tags:
        kept["tags"] = [tag for tag in tags if isinstance(tag, str) and TAG.fullmatch(tag)]
    new = {"cell_type": kind, "metadata": kept, "source": join_text(cell.get("source"))}
    attachments = cell.get("attachments")
    if kind != "code" and isinstance(attachments, dict):
        new["attachments"] = {
            name: {kind: data for kind, data in files.items() if _is_data(data)}
            for name, files in attachments.items() if isinstance(files, dict)
        }  # fmt: skip
    return new | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _is_data(value: Any) -> bool:
    """Whether an attachment holds what nbformat allows: text, or lines of it."""
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(line, str) for line in value)
    )


def look_at(submission: Submission, assignment: str, expected: list[Expected]) -> Intake:
    """Check one submission and take what can be graded out of it.

    Parameters
    ----------
    submission : Submission
        What was handed in.
    assignment : str
        For what.
    expected : list of Expected
        All released notebooks of the course, from `expected_notebooks`.
    """
    intake = Intake()
    wanted = {e.name: e for e in expected if e.assignment == assignment}
    read, spare, failed = _read_all(submission, wanted, intake)
    for name, want in wanted.items():
        data = read.pop(name, None)
        if data is None:
            data = _renamed(want, spare, failed, expected, intake)
        if data is None or not _belongs(data, want, expected, intake):
            continue
        _check_cells(data, want, intake)
        intake.staged[name] = data
    for file in spare:
        intake.notes.append(f"{shown(file)} is not part of the assignment and was ignored")
    if STAMP in submission.files:
        text = submission.files[STAMP][:200].decode("utf-8", "replace").strip()
        if _is_time(text):
            intake.timestamp = text
        else:
            intake.notes.append(f"{STAMP} doesn't hold a time and was ignored")
    return intake


def _is_time(text: str) -> bool:
    from nbgrader.utils import parse_utc

    try:
        return parse_utc(text) is not None
    except (ValueError, OverflowError, TypeError):
        return False


def _read_all(
    submission: Submission, wanted: dict[str, Expected], intake: Intake
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]], set[str]]:
    """Read every notebook of a submission: expected ones, other ones, names that failed."""
    read: dict[str, dict[str, Any]] = {}
    spare: dict[str, dict[str, Any]] = {}
    failed: set[str] = set()
    if submission.trouble:
        intake.attention.append(f"{submission.trouble}. Scored 0")
    for file in sorted({*submission.files, *submission.refused, *submission.ignored}):
        if file == STAMP and file in submission.files:
            continue
        if file in submission.ignored:
            intake.notes.append(f"{shown(file)} is not part of the assignment and was ignored")
            continue
        stem = file.removesuffix(".ipynb")
        try:
            if file in submission.refused:
                raise UnreadableError(submission.refused[file])
            data = normalise(parse(submission.files[file]))
        except UnreadableError as error:
            if stem in wanted:
                failed.add(stem)
                intake.attention.append(f"{shown(file)}: notebook {error}. Scored 0")
            else:
                intake.notes.append(f"{shown(file)} {error}; it was ignored")
            continue
        if stem in wanted:
            read[stem] = data
        else:
            spare[file] = data
    return read, spare, failed


def _renamed(
    want: Expected,
    spare: dict[str, dict[str, Any]],
    failed: set[str],
    expected: list[Expected],
    intake: Intake,
) -> dict[str, Any] | None:
    """Find a notebook under another name, as a download or an upload renames it."""
    fits = [
        file
        for file, data in spare.items()
        if want.share(data) >= BELONGS and _best(data, want, expected) is want
    ]
    if len(fits) == 1:
        intake.notes.append(f"{shown(fits[0])} was graded as {want.name}.ipynb")
        if want.name in failed:
            broken = f"{want.name}.ipynb: "
            intake.attention[:] = [a for a in intake.attention if not a.startswith(broken)]
        return spare.pop(fits[0])
    if want.name not in failed:
        names = " and ".join(map(shown, fits))
        hint = f"; {names} could be it: keep one, rename it" if fits else ""
        intake.attention.append(f"{want.name}.ipynb is missing{hint}. Scored 0")
    return None


def _best(data: dict[str, Any], want: Expected, expected: list[Expected]) -> Expected:
    """The released notebook that this one looks like most; `want` unless another is clearly it."""
    best = max(expected, key=lambda e: e.fit(data))
    return best if best.fit(data) > want.fit(data) + 0.1 else want


def _belongs(
    data: dict[str, Any], want: Expected, expected: list[Expected], intake: Intake
) -> bool:
    """Whether a notebook of the right name is the right notebook."""
    best = _best(data, want, expected)
    if best is not want:
        of = "" if best.assignment == want.assignment else f" of assignment {best.assignment}"
        intake.attention.append(
            f"{want.name}.ipynb is the notebook {best.name}{of}. Scored 0: ask for the right file"
        )
        return False
    if want.share(data) == 0:
        intake.attention.append(
            f"{want.name}.ipynb has none of the assignment's cells: it isn't the released "
            "notebook. Scored 0: ask for the released notebook, filled in"
        )
        return False
    return True


def _check_cells(data: dict[str, Any], want: Expected, intake: Intake) -> None:
    """Deleted and duplicated cells."""
    counts = Counter(filter(None, (grade_id(c) for c in data["cells"])))
    for name in want.graded:
        if name not in counts:
            intake.attention.append(
                f"{want.name}.ipynb: cell {name} was deleted: scored 0. If that was an accident, "
                "copy the cell back from the released notebook and grade again"
            )
    for name, count in sorted(counts.items()):
        if count > 1 and name in want.ids:
            words = "two" if count == 2 else str(count)
            intake.attention.append(
                f"{want.name}.ipynb: {words} cells share grade_id {name}: the first one counts. "
                "Compare them, and delete what doesn't belong if the score looks wrong"
            )
