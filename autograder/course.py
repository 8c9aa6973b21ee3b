"""Where things are: the course root, its directories, its secret, and hashes of its code."""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.errors import CourseError

CONFIG_NAME = "nbgrader_config.py"
SECRET_ENV = "NNCOURSE_SECRET"
SECRET_FILE = ".course_secret"
SAMPLE_PREFIX = "sample-"


@dataclass(frozen=True)
class Course:
    """A course on disk: the directory that holds ``nbgrader_config.py``."""

    root: Path

    @property
    def solutions(self) -> Path:
        """Instructor notebooks as text, the source of truth."""
        return self.root / "solutions"

    @property
    def source(self) -> Path:
        """Nbgrader's instructor notebooks, generated."""
        return self.root / "source"

    @property
    def exercises(self) -> Path:
        """Student notebooks, generated and committed."""
        return self.root / "exercises"

    @property
    def submitted(self) -> Path:
        """What students handed in: ``submitted/<student>/<assignment>/``."""
        return self.root / "submitted"

    @property
    def autograded(self) -> Path:
        """Executed and scored submissions."""
        return self.root / "autograded"

    @property
    def feedback(self) -> Path:
        """HTML feedback to hand back."""
        return self.root / "feedback"

    @property
    def reports(self) -> Path:
        """Class summaries."""
        return self.root / "reports"

    @property
    def cache(self) -> Path:
        """Everything that can be deleted at any time."""
        return self.root / ".cache"

    def relative(self, path: Path) -> str:
        """Path as people read it: relative to the root, with forward slashes."""
        try:
            return path.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            return str(path)

    def assignments(self) -> list[str]:
        """Names of all assignments that have sources, sorted."""
        if not self.solutions.is_dir():
            return []
        return sorted(p.name for p in self.solutions.iterdir() if any(p.glob("*.md")))

    def notebooks(self, assignment: str) -> list[str]:
        """Names of an assignment's notebooks (without suffix), sorted."""
        return sorted(p.stem for p in (self.solutions / assignment).glob("*.md"))

    def resolve(self, names: Iterable[str]) -> list[str]:
        """Turn what a person typed (``05``, ``05-backprop``, a path) into assignment names."""
        known = self.assignments()
        chosen: list[str] = []
        for name in names:
            slug = Path(name).name
            hits = [k for k in known if k == slug] or [k for k in known if k.startswith(slug)]
            if len(hits) != 1 or not slug:
                near = difflib.get_close_matches(slug, known, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise CourseError(
                    f"There is no single assignment called {name!r}.{hint} "
                    f"Assignments here: {', '.join(known) or 'none'}."
                )
            if hits[0] not in chosen:
                chosen.append(hits[0])
        return chosen or known

    def secret(self) -> str:
        """The secret that hidden cases are drawn from; empty means the public default."""
        value = os.environ.get(SECRET_ENV, "")
        if not value and (self.root / SECRET_FILE).is_file():
            value = (self.root / SECRET_FILE).read_text(encoding="utf-8")
        return value.strip()


def find_course(start: Path | None = None) -> Course:
    """Find the course that `start` (default: the current directory) lies in."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / CONFIG_NAME).is_file():
            return Course(folder)
    raise CourseError(
        f"{here} is not inside a course: no {CONFIG_NAME} here or above. "
        "Go to the folder that you cloned, then run the command again."
    )


def hash_text(*parts: str) -> str:
    """SHA-256 of some strings; where one ends and the next begins counts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(str(len(data)).encode("ascii") + b":" + data)
    return digest.hexdigest()


def hash_files(paths: Iterable[Path], base: Path) -> str:
    """SHA-256 of names (relative to `base`) and contents of files, in sorted order."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        data = path.read_bytes()
        name = path.relative_to(base).as_posix().encode("utf-8")
        digest.update(b"%d:%s%d:" % (len(name), name, len(data)) + data)
    return digest.hexdigest()


def hash_package(
    name: str, course: Course, only: Iterable[str] | None = None, *, without: Iterable[str] = ()
) -> str:
    """Hash of a Python package's sources: the course's own copy, else the installed one."""
    folder = course.root / name
    if not folder.is_dir():
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            return "absent"
        folder = Path(next(iter(spec.submodule_search_locations)))
    files = [folder / n for n in only] if only is not None else list(folder.rglob("*.py"))
    left_out = {folder / n for n in without}
    return hash_files((p for p in files if p.is_file() and p not in left_out), folder)


def package_version(name: str) -> str:
    """Installed version of a distribution, or ``""``."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def write_atomic(path: Path, text: str | bytes, mode: int = 0o644) -> None:
    """Write bytes, or UTF-8 text with line feeds, so that no reader ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-", suffix=path.suffix)
    # Half a character, which JSON can bring, must not end a run: it becomes a question mark.
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write JSON that diffs well."""
    write_atomic(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; None where the file is missing or damaged (caches only)."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
