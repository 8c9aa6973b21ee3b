"""Feedback pages: nbgrader's own, made safe to open and complete without a network.

nbgrader's template loads MathJax from a content delivery network. Here the page loads the copy
that the repository ships, from ``feedback/_static/``, and a content security policy forbids
everything else. What students write and display passes through `autograder.sanitize_html` before
it stands on a page; the policy is the second lock.

`feedback_request` renders pages anywhere, with grades and comments that the caller has read from
the gradebook; ``nbgrader generate_feedback`` uses the same exporter.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import html
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.widgetsdatatypefilter import WidgetsDataTypeFilter
from traitlets import Unicode

from autograder.course import Course, write_atomic

MATHJAX = Path("book/_static/vendor/mathjax/tex-svg-full.js")
STATIC = "_static"
MATHJAX_BLOCK = re.compile(
    r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL
)
# Without the packages that make links, styles and elements of TeX, or load further ones.
MATHJAX_SETTINGS = (
    'window.MathJax = {tex: {inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]], '
    'displayMath: [["$$", "$$"], ["\\\\[", "\\\\]"]], processEscapes: true, tags: "ams", '
    'packages: {"[-]": ["html", "require", "autoload"]}}, options: {enableMenu: false}};'
)
PICTURE_WITHOUT_TEXT = re.compile(r"<img(?![^>]*\salt=)")
PICTURE_WITH_TEXT = '<img alt="No description has been provided for this image"'
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
        from autograder.sanitize_html import clean_outputs

        # Once more: the notebook may have been made by another executor.
        clean_outputs(nb.cells)
        resources = self._init_resources(resources)
        self._register_filters(nb, resources)
        # Not HTMLExporter's: it parses the page, style sheets included, and writes it anew to give
        # pictures a text, which takes as long as everything else together.
        page, resources = super(HTMLExporter, self).from_notebook_node(nb, resources, **kw)
        return self.localise(PICTURE_WITHOUT_TEXT.sub(PICTURE_WITH_TEXT, page)), resources

    def _register_filters(self, nb: Any, resources: Any) -> None:
        """What HTMLExporter does before it renders."""
        language = nb.metadata.get("language_info", {})
        lexer = language.get("pygments_lexer", language.get("name"))
        if "highlight_code" not in self.filters:
            highlight = Highlight2HTML(pygments_lexer=lexer, parent=self)
            self.register_filter("highlight_code", highlight)
        metadata = getattr(self, "_nb_metadata", {})
        data_type = WidgetsDataTypeFilter(
            notebook_metadata=metadata, parent=self, resources=resources
        )
        self.register_filter("filter_data_type", data_type)

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Render what a student or a grader wrote, without raw HTML of theirs."""
        from autograder.sanitize_html import render_markdown

        return render_markdown(source, context.get("cell", {}).get("attachments", {}))

    def localise(self, page: str) -> str:
        """Replace the remote MathJax by the local one and forbid everything else."""
        # The same page gets the same bytes. No script in the page can hold this value: it would
        # have to contain the hash of itself.
        nonce = hashlib.sha256(page.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        block = (
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY.format(nonce=nonce)}"/>\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
            f'<script nonce="{nonce}">{MATHJAX_SETTINGS}</script>\n'
            f'<script nonce="{nonce}" src="{self.local_mathjax}" async="async"></script>'
        )
        # Drop it wherever it stands; the policy must come first in the head to cover everything.
        page = MATHJAX_BLOCK.sub("", page)
        return re.sub(r"<head>", lambda _: f"<head>\n{block}", page, count=1)


@functools.lru_cache(maxsize=4)
def _exporter(settings: str) -> tuple[Any, Any]:
    """Nbgrader's exporter of feedback pages, and the preprocessor that puts grades in.

    Making them costs more than a page, so they stay.
    """
    from nbgrader.converters import GenerateFeedback
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import GetGrades
    from traitlets.config import Config

    class GivenGrades(GetGrades):  # type: ignore[misc]
        """nbgrader's GetGrades with grades that are handed over instead of looked up."""

        def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
            """Put one notebook's grades and comments into its cells."""
            given = resources["nbgrader"]["given"]
            grades, comments = given["grades"], given["comments"]
            self.notebook_id = self.assignment_id = self.student_id = ""
            self.gradebook = SimpleNamespace(
                find_grade=lambda name, *_: SimpleNamespace(
                    score=grades[name][0], max_score=grades[name][1]
                ),
                find_comment=lambda name, *_: SimpleNamespace(comment=comments[name]),
            )
            for index, cell in enumerate(nb.cells):
                nb.cells[index], resources = self.preprocess_cell(cell, resources, index)
            resources["nbgrader"] |= {
                "score": given["score"] - given["late_penalty"],
                "max_score": given["max_score"],
                "late_penalty": given["late_penalty"],
            }
            return nb, resources

    config = Config()
    for section, values in json.loads(settings).items():
        for name, text in values.items():
            config[section][name] = ast.literal_eval(text)
    converter = GenerateFeedback(coursedir=CourseDirectory(config=config), config=config)
    exporter = FeedbackExporter(parent=converter, config=converter.config)
    for kind in converter.preprocessors:
        exporter.register_preprocessor(GivenGrades if kind is GetGrades else kind)
    return exporter, converter


def render_feedback(
    text: str, name: str, given: Mapping[str, Any], *, settings: str = "{}", remark: str = ""
) -> str:
    """Render one autograded notebook as ``nbgrader generate_feedback`` does.

    Parameters
    ----------
    text : str
        The autograded notebook.
    name : str
        Its name.
    given : mapping
        Grades and comments, from `autograder.record.View.to_dict`.
    settings : str
        Configuration of the exporter, from `feedback_settings`.
    remark : str
        A sentence to put above the page.
    """
    import nbformat

    notebook = nbformat.reads(text, as_version=4)
    resources = {
        "unique_key": name, "output_files_dir": f"{name}_files",
        "nbgrader": {"notebook": name, "given": given},
    }  # fmt: skip
    page, _ = _exporter(settings)[0].from_notebook_node(notebook, resources)
    return with_remark(str(page), remark)


def with_remark(page: str, remark: str) -> str:
    """A page with a sentence at its top."""
    if not remark:
        return page
    block = f'<body>\n<p class="container">{html.escape(remark)}</p>'
    return re.sub(r"<body>", lambda _: block, page, count=1)


def feedback_settings(config: Any) -> str:
    """The part of a course's configuration that decides about feedback pages, as JSON."""
    sections = ("FeedbackExporter", "HTMLExporter", "TemplateExporter", "Exporter",
                "CSSHTMLHeaderPreprocessor", "LimitOutput")  # fmt: skip
    found: dict[str, dict[str, str]] = {}
    for section in sections:
        for name, value in config.get(section, {}).items():
            literal = repr(value)
            try:
                ast.literal_eval(literal)
            except (ValueError, SyntaxError):
                continue
            found.setdefault(section, {})[name] = literal
    return json.dumps(found, sort_keys=True)


def feedback_request(request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer ``{"do": "feedback", "notebooks": …}`` with pages by name."""
    pages = {
        name: render_feedback(
            item["text"], name, item["given"], settings=request["settings"],
            remark=request["remark"],
        )
        for name, item in sorted(request["notebooks"].items())
    }  # fmt: skip
    return {"pages": pages}


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
