"""Number chapters, figures and equations from the chapter's file name.

``book/05-backprop.md`` is chapter 5 whatever else exists, so its figures are 5.1, 5.2, … and do
not change when a chapter is added in front. Sphinx numbers by position, which would call it 3.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector

CHAPTER = re.compile(r"(\d\d)-[a-z0-9-]+")


def chapter_number(docname: str) -> int | None:
    """Return the chapter's number, or None for a page that is no chapter.

    >>> chapter_number("book/05-backprop"), chapter_number("book/notation")
    (5, None)
    """
    match = CHAPTER.fullmatch(PurePosixPath(docname).name)
    return int(match.group(1)) if match else None


def number_chapters(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Give each chapter its number, then let Sphinx number figures and equations by it."""
    chapters = {doc: number for doc in env.all_docs if (number := chapter_number(doc)) is not None}
    for docname, number in chapters.items():
        section = (number,)
        env.toc_secnumbers[docname] = {"": section}
        env.titles[docname]["secnumber"] = section
        for reference in list(env.tocs[docname].findall(nodes.reference))[:1]:
            reference["secnumber"] = section
    # Sphinx counted the figures before the chapters had numbers: count again.
    TocTreeCollector().assign_figure_numbers(env)
    # Headings inside a chapter carry no number of their own.
    for docname in chapters:
        for reference in list(env.tocs[docname].findall(nodes.reference))[1:]:
            none: Any = None  # Sphinx reads it as "no number", though its types don't say so
            env.toc_secnumbers[docname][reference["anchorname"]] = none
    return []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.connect("env-get-updated", number_chapters, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
