"""Feedback pages: nbgrader's own, made safe to open and complete without a network.

nbgrader's template loads MathJax from a content delivery network. Here the page loads the copy
that the repository ships, from ``feedback/_static/``, and a content security policy forbids
everything else: student output can carry markup, but no script of it runs and nothing is loaded.
"""

from __future__ import annotations

import html
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

from nbconvert.exporters import HTMLExporter
from traitlets import Unicode

from autograder.course import Course, write_atomic

MATHJAX = Path("book/_static/vendor/mathjax/tex-svg-full.js")
STATIC = "_static"
MATHJAX_BLOCK = re.compile(
    r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL
)
MATHJAX_SETTINGS = (
    'window.MathJax = {tex: {inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]], '
    'displayMath: [["$$", "$$"], ["\\\\[", "\\\\]"]], processEscapes: true, tags: "ams"}, '
    "options: {enableMenu: false}};"
)
POLICY = (
    "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; "
    "script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'"
)


class FeedbackExporter(HTMLExporter):  # type: ignore[misc]
    """nbgrader's feedback page without anything that is loaded from elsewhere."""

    local_mathjax = Unicode(
        f"../../{STATIC}/{MATHJAX.name}",
        help="MathJax as the page loads it, relative to feedback/<student>/<assignment>/",
    ).tag(config=True)

    def from_notebook_node(  # type: ignore[override]
        self, nb: Any, resources: Any = None, **kw: Any
    ) -> tuple[str, Any]:
        """Convert an autograded notebook."""
        page, resources = super().from_notebook_node(nb, resources, **kw)
        return self.localise(page), resources

    def localise(self, page: str) -> str:
        """Replace the remote MathJax by the local one and forbid everything else."""
        nonce = secrets.token_hex(12)
        block = (
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY.format(nonce=nonce)}"/>\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
            f'<script nonce="{nonce}">{MATHJAX_SETTINGS}</script>\n'
            f'<script nonce="{nonce}" src="{self.local_mathjax}" async="async"></script>'
        )
        # Drop it wherever it stands; the policy must come first in the head to cover everything.
        page = MATHJAX_BLOCK.sub("", page)
        return re.sub(r"<head>", lambda _: f"<head>\n{block}", page, count=1)


def install_mathjax(course: Course) -> bool:
    """Put the shipped MathJax beside the feedback; False where the repository has none."""
    source, target = course.root / MATHJAX, course.feedback / STATIC / MATHJAX.name
    if not source.is_file():
        return False
    if not target.is_file() or target.stat().st_size != source.stat().st_size:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return True


def after_generate_feedback(**_: Any) -> None:
    """Hook of `nbgrader_config.py`; nbgrader runs it in the course's root."""
    install_mathjax(Course(Path.cwd()))


def write_notice(path: Path, title: str, sentences: list[str]) -> None:
    """Write a page that says why a notebook has no feedback."""
    items = "\n".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    write_atomic(
        path,
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8"/>\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "style-src 'unsafe-inline'\"/>\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f"<title>{html.escape(title)}</title>\n"
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;"
        "padding:0 1rem}</style></head>\n"
        f"<body><h1>{html.escape(title)}</h1>\n<ul>\n{items}\n</ul></body></html>\n",
    )
