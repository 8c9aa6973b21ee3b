"""The nbgrader preprocessor that takes the place of Execute: student code runs confined.

Any course uses it with one line in its ``nbgrader_config.py``::

    c.Autograde.autograde_preprocessors = autograder.execute.PREPROCESSORS

(There is no effective ``Autograde.preprocessors``, and ``Execute.kernel_manager_class`` is
ignored.) Whatever a submission does (dies, loops, floods), `ConfinedExecute` returns: with outputs
that nbgrader scores as meant, and with what went wrong in words in the notebook's metadata.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import fnmatch
from pathlib import Path
from typing import Any

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    Execute,
    IgnorePattern,
    LimitOutput,
    SaveAutoGrades,
)
from traitlets import Bool, Dict, Enum, Float, Integer, Unicode

from autograder import executed
from autograder.bounds import Bounds
from autograder.course import Course, find_course
from autograder.engine_client import GRACE, Engine
from autograder.errors import CourseError
from autograder.executed import INCIDENTS
from autograder.roles import instructors_parts
from autograder.sanitize_html import clean_outputs
from autograder.settings import combine
from autograder.verdicts import enforce_verdicts

_DEFAULTS = Bounds()
_ENGINES: dict[str, Engine] = {}


def shared_engine(path: str = "") -> Engine:
    """The engine of this process for a course's root; it lives until the process ends."""
    if path not in _ENGINES:
        _ENGINES[path] = Engine(path=path)
        atexit.register(_ENGINES[path].close)
    return _ENGINES[path]


class ConfinedExecute(Execute):  # type: ignore[misc]
    """Execute a submission in a sandbox so that every graded cell ends in a verdict.

    It inherits ``timeout`` and ``enabled`` from nbgrader's Execute, so that ``c.Execute.timeout``
    and ``--no-execute`` keep their meaning; ``timeout`` is the limit of a cell unless
    ``cell_seconds`` is set.
    """

    isolation = Enum(
        ["split", "shared"], "split",
        help="split: locked cells run in another process than the student's code, and grades are "
        "tamper-proof. shared: all cells run in one confined process, for locked cells that need "
        "the student's own; its grades are not tamper-proof.",
    ).tag(config=True)  # fmt: skip
    cell_seconds = Float(None, allow_none=True, help="Seconds for a cell").tag(config=True)
    call_seconds = Float(
        _DEFAULTS.call_seconds, help="Seconds for one call of a student's function"
    ).tag(config=True)
    notebook_seconds = Float(
        _DEFAULTS.notebook_seconds, help="Seconds for a whole notebook"
    ).tag(config=True)
    memory_bytes = Integer(
        _DEFAULTS.memory_bytes, help="Memory of the student's processes together"
    ).tag(config=True)
    processes = Integer(_DEFAULTS.processes, help="Processes and threads").tag(config=True)
    open_files = Integer(_DEFAULTS.open_files, help="Descriptors of a process").tag(config=True)
    file_bytes = Integer(_DEFAULTS.file_bytes, help="Size of files").tag(config=True)
    output_bytes = Integer(_DEFAULTS.output_bytes, help="Output kept per cell").tag(config=True)
    array_bytes = Integer(
        _DEFAULTS.array_bytes, help="Arrays in one message between the two sides"
    ).tag(config=True)
    per_assignment = Dict(
        help="Assignment name to a dict of the settings above that differ there"
    ).tag(config=True)
    hidden_packages = Dict(
        help='Notebook name pattern to packages that its code must not import: {"*_numpy": '
        '["torch"]}'
    ).tag(config=True)
    trust_submissions = Bool(
        False, help="Run without confinement where this machine has none"
    ).tag(config=True)
    keep_files = Bool(
        False, help="Copy files that a notebook wrote beside the autograded notebook"
    ).tag(config=True)
    refresh = Bool(False, help="Execute even where the outputs are known").tag(config=True)
    course_root = Unicode("", help="Root of the course; found from the working directory if empty")
    course_root.tag(config=True)

    def preprocess(self, nb: Any, resources: Any = None, km: Any = None) -> tuple[Any, Any]:
        """Execute a notebook, or take its outputs from the cache.

        Raises
        ------
        CourseError
            Where student code can't be confined on this machine (unless it is trusted), or the
            notebook isn't Python.
        """
        where = (resources or {}).get("nbgrader", {})
        folder = Path((resources or {}).get("metadata", {}).get("path") or ".")
        require_python(nb)
        course = self._course()
        assignment = str(where.get("assignment", "") or ".")
        settings = self._settings(assignment, str(where.get("notebook", "")))
        settings |= self._instructors(course, where)
        record, name = None, ""
        if course is not None:
            name = executed.key(course, nb.cells, folder, settings)
            record = None if self.refresh else executed.load(course, name)
        if record is None:
            record = self._run(nb, folder, settings, course, assignment)
            if course is not None and not _is_the_graders(record):
                executed.keep(course, name, record)
        executed.apply(record, nb.cells)
        # Before anybody shows them: the formgrader renders this notebook.
        clean_outputs(nb.cells)
        if self.keep_files:
            _write_files(record.get("files", {}), folder)
        sentences = enforce_verdicts(nb.cells, set(record["executed"]), record["why_not"])
        nb.metadata[INCIDENTS] = {
            "incidents": record["incidents"], "no_verdict": sentences,
            "isolation": settings["isolation"],
        }  # fmt: skip
        nb.metadata["language_info"] = {"name": "python"}
        return nb, resources

    def _course(self) -> Course | None:
        root = self.course_root or self.config.get("CourseDirectory", {}).get("root", "")
        if root:
            return Course(Path(str(root)))
        with contextlib.suppress(CourseError):
            return find_course()
        return None

    def _instructors(self, course: Course | None, where: Any) -> dict[str, list[str]]:
        """What the source notebook, where it is found, says about whom a name belongs to."""
        from autograder.notebooks import read_notebook

        names = str(where.get("assignment", "")), f"{where.get('notebook', '')}.ipynb"
        folders = [course.source] if course is not None else []
        directory = getattr(self.parent, "coursedir", None)
        if directory is not None:
            folders.append(Path(directory.root) / directory.source_directory)
        for folder in folders:
            with contextlib.suppress(OSError, ValueError):
                return instructors_parts(read_notebook(folder.joinpath(*names))["cells"])
        return {}

    def _settings(self, assignment: str, notebook: str) -> dict[str, Any]:
        limits = {name: getattr(self, name) for name in _DEFAULTS.to_dict()}
        if limits["cell_seconds"] is None:
            limits["cell_seconds"] = float(self.timeout or self.notebook_seconds)
        section = {**limits, "isolation": self.isolation, "per_assignment": self.per_assignment}
        bounds, isolation = combine(section, assignment)
        return {
            "bounds": bounds.to_dict(), "isolation": isolation,
            "hidden": hidden_for(self.hidden_packages, notebook),
            "trust": bool(self.trust_submissions), "keep_files": bool(self.keep_files),
        }  # fmt: skip

    def _run(
        self, nb: Any, folder: Path, settings: dict[str, Any], course: Course | None,
        assignment: str,
    ) -> dict[str, Any]:  # fmt: skip
        request = {
            "do": "execute", **settings,
            "cells": [plain_cell(cell) for cell in nb.cells],
            "files": files_beside(folder),
            "given": files_beside(course.source / assignment) if course is not None else {},
            "secret": course.secret() if course is not None else "",
        }  # fmt: skip
        seconds = settings["bounds"]["notebook_seconds"] + GRACE
        path = str(course.root) if course is not None else ""
        return shared_engine(path).request(request, seconds)


def plain_cell(cell: Any) -> dict[str, Any]:
    """What the engine needs of a cell."""
    return {
        "cell_type": cell["cell_type"], "source": cell["source"],
        "metadata": {key: cell["metadata"][key] for key in ("nbgrader", "tags")
                     if key in cell["metadata"]},
    }  # fmt: skip


def hidden_for(patterns: Any, notebook: str) -> list[str]:
    """Packages that a notebook's code must not import."""
    return sorted({
        package
        for pattern, packages in dict(patterns).items()
        if fnmatch.fnmatchcase(notebook, pattern)
        for package in packages
    })  # fmt: skip


def files_beside(folder: Path) -> dict[str, str]:
    """Files beside a notebook that its code may read, as base64."""
    return {
        path.name: base64.b64encode(path.read_bytes()).decode("ascii")
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.is_symlink() and path.suffix != ".ipynb"
        and path.stat().st_size < executed.BESIDE_LIMIT
    } if folder.is_dir() else {}  # fmt: skip


def _write_files(files: dict[str, str], folder: Path) -> None:
    """Put what a notebook wrote beside it: plain names only, and nothing that is there already."""
    for name, data in files.items():
        target = folder / Path(name).name
        if target.suffix != ".ipynb" and not target.exists() and not target.is_symlink():
            with contextlib.suppress(OSError), open(target, "xb") as stream:
                stream.write(base64.b64decode(data))


def _is_the_graders(record: dict[str, Any]) -> bool:
    """Whether a run ended for a reason that isn't the submission's, so that it isn't kept."""
    return any(incident["kind"] == "kernel" for incident in record["incidents"])


def require_python(nb: Any) -> None:
    """Refuse a notebook in another language."""
    spec = nb.metadata.get("kernelspec", {})
    name = str(spec.get("name", "python3"))
    if str(spec.get("language", "")).lower() == "python" or name.lower().startswith("python"):
        return
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        language = KernelSpecManager().get_kernel_spec(name).language
    except NoSuchKernel:
        raise CourseError(
            f"The notebook asks for the kernel {name[:60]!r}, which isn't installed here. "
            "ConfinedExecute grades Python notebooks."
        ) from None
    if language.lower() != "python":
        raise CourseError(
            f"The notebook is written for {language}; ConfinedExecute grades Python notebooks."
        )


# nbgrader's default autograde_preprocessors with Execute replaced.
PREPROCESSORS = [
    ConfinedExecute,
    IgnorePattern,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
