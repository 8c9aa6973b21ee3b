"""Re-execute the book's cells when the code they import changes.

jupyter-cache compares only a page's own cells. A page whose text is unchanged would go on showing
what an older ``nnlib`` computed. So the cache directory carries a digest of the code, and pages are
read again when that digest differs from the last build's. The pages that report on the assignments
are also read again when an assignment changed.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

WATCHED = ("nnlib", "autograder")
REPORTS = {"book/report-card"}
KEEP = 3


def code_digest(root: Path) -> str:
    """Return a short digest of every Python file that a page may import."""
    return files_digest(root, WATCHED, "*.py")


def files_digest(root: Path, folders: tuple[str, ...], pattern: str) -> str:
    """Return a short digest of the names and contents of matching files."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((root / folder).rglob(pattern)):
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def choose_cache(app: Sphinx, config: Config) -> None:
    """Point jupyter-cache at a directory of its own for this state of the code."""
    root = Path(app.srcdir)
    store = root / ".cache" / "book"
    current = store / code_digest(root)
    current.mkdir(parents=True, exist_ok=True)
    current.touch()
    config.nb_execution_cache_path = str(current)  # type: ignore[attr-defined]
    by_age = sorted(store.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in by_age[KEEP:]:
        shutil.rmtree(old, ignore_errors=True)


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Name the pages whose sources, other than their text, changed since the last build."""
    code = Path(app.config.nb_execution_cache_path).name
    assignments = files_digest(Path(app.srcdir), ("solutions", "exercises"), "*")
    before = getattr(env, "nncourse_digests", (code, assignments))
    env.nncourse_digests = (code, assignments)  # type: ignore[attr-defined]
    pages = set(env.found_docs) - removed
    if before[0] != code:
        return sorted(pages)
    return sorted(pages & REPORTS) if before[1] != assignments else []


def forget_failed_build(app: Sphinx, exception: Exception | None) -> None:
    """After a build with warnings, make the next one read every page again.

    Sphinx warns about a page only when it reads the page. Without this, running a failed build a
    second time would succeed.
    """
    if exception is not None or app._warncount:
        (Path(app.doctreedir) / "environment.pickle").unlink(missing_ok=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.connect("config-inited", choose_cache)
    app.connect("env-get-outdated", outdated)
    app.connect("build-finished", forget_failed_build)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
