"""Drop what the theme would load from other hosts.

The built pages must read the same from a disk without a network, so nothing on them may come from
another host. ``tests/course/test_site.py`` checks the result.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def drop_foreign_files(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Remove script and style files that live on another host."""
    for key in ("script_files", "css_files"):
        files = context.get(key)
        if files:
            context[key] = [f for f in files if "//" not in str(getattr(f, "filename", f) or "")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    # Jupyter Book always sets this option of sphinx_comments, which the book leaves out.
    app.add_config_value("comments_config", {}, "html")
    app.connect("html-page-context", drop_foreign_files, priority=990)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
