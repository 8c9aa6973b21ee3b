"""Say at the end of each executed page how long its cells took.

MyST-NB times every notebook and keeps the seconds; for a page that comes from the cache, those of
the run that filled it. No number stands in the source, so none can be out of date. A page whose
cells run on every build, or a page without cells, gets a line only where there is a time to show.
"""

from __future__ import annotations

import os
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def usable_cores() -> int:
    """Return how many processor cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def sentence(seconds: float, cores: int) -> str:
    """Return what the page says.

    >>> sentence(12.34, 2), sentence(0.42, 1)
    ('Executed in 12 s on 2 cores.', 'Executed in 0.4 s on 1 core.')
    """
    number = f"{seconds:.0f}" if seconds >= 9.95 else f"{seconds:.1f}"
    return f"Executed in {number} s on {cores} core{'s' if cores != 1 else ''}."


def execution_seconds(env: Any, docname: str) -> float | None:
    """Return the seconds that MyST-NB noted for a page, or None where it ran nothing."""
    noted = getattr(env, "nb_metadata", {}).get(docname, {}).get("exec_data") or {}
    seconds = noted.get("runtime")
    return float(seconds) if noted.get("succeeded") and seconds is not None else None


def state_runtime(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Append the line to a page that was executed."""
    seconds = execution_seconds(app.env, docname)
    if seconds is not None:
        text = sentence(seconds, usable_cores())
        doctree.append(nodes.paragraph("", text, classes=["nn-runtime"]))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.connect("doctree-resolved", state_runtime)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
