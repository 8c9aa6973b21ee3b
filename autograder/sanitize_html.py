"""Make what a student's code displays safe to show: no script, no handler, nothing loaded.

`clean_outputs` runs once, as outputs enter the autograded notebook, so that the formgrader, which
renders that notebook, and the feedback pages show the same harmless thing. HTML passes through nh3
(the Ammonia sanitizer); Markdown is rendered first; an SVG is rebuilt from the elements and
attributes that draw; every other kind of output is dropped in favour of its plain text.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable
from typing import Any

from autograder.notebooks import join_text


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


TAGS = words(
    "a abbr b blockquote br caption code col colgroup dd del details div dl dt em figcaption "
    "figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub "
    "summary sup table tbody td tfoot th thead tr tt u ul var"
)
# These go with everything inside them; of any other unknown tag, the text stays.
DROPPED = words(
    "script style iframe object embed applet form select textarea button noscript template math "
    "svg title audio video canvas frameset xmp plaintext noembed noframes head"
)
ATTRIBUTES = {
    "*": {"style", "class", "title", "dir", "lang"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", "align", "valign", "headers"},
    "th": {"colspan", "rowspan", "align", "valign", "scope"},
    "table": {"border", "align"},
    "col": {"span"},
    "colgroup": {"span"},
    "ol": {"start", "type"},
    "details": {"open"},
}
# Nothing that moves a box out of its place, covers others or fetches: no position, no url().
STYLES = words(
    "background-color border border-bottom border-collapse border-color border-left border-right "
    "border-spacing border-style border-top border-width color font-family font-size font-style "
    "font-variant-numeric font-weight line-height list-style-type max-width min-width padding "
    "padding-bottom padding-left padding-right padding-top text-align text-decoration "
    "text-transform vertical-align white-space width"
)
# The page's own style sheets give meaning to classes (navbar-fixed-top): only these are kept.
CLASSES = frozenset({"dataframe", "docutils", "highlight"})
FETCHES = re.compile(r"url|expression|image|@|\\|var\s*\(|javascript", re.IGNORECASE)
PICTURE = re.compile(
    r"data:image/(png|jpeg|gif|svg\+xml);base64,[A-Za-z0-9+/=\s]*", re.IGNORECASE
)
LINK = re.compile(r"(https?://|mailto:)[^\s]*", re.IGNORECASE)
# TeX commands with which MathJax makes links, styles and elements, or loads more of itself.
TEX = re.compile(r"\\(href|url|style|class|cssId|require|data)(?![A-Za-z])")
SIGNATURES = {
    "image/png": (b"\x89PNG\r\n\x1a\n",), "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
}  # fmt: skip
OPENED = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
CLOSE_THEMSELVES = words(
    "area base br col dd dt embed hr img input li link meta option p param path rect circle line "
    "source tbody td tfoot th thead tr track use wbr"
)
DEEPEST = 256
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
TEXT_LIMIT = 2**20


@functools.cache
def _token_classes() -> frozenset[str]:
    """Class names of highlighted code, one to three letters each."""
    from pygments.token import STANDARD_TYPES

    return CLASSES | frozenset(STANDARD_TYPES.values())


def _attribute(tag: str, name: str, value: str) -> str | None:
    """Decide about one attribute that the tables above let through."""
    if name == "class":
        kept = [word for word in value.split() if word in _token_classes()]
        return " ".join(kept) or None
    if name == "style":
        parts = [part for part in value.split(";") if not FETCHES.search(part)]
        return ";".join(parts) or None
    if name == "src":
        return value if PICTURE.fullmatch(value.strip()) else None
    if name == "href":
        return value if LINK.fullmatch(value.strip()) else None
    if name in ("width", "height") and not re.fullmatch(r"\d{1,4}%?", value.strip()):
        return None
    return value


def clean_html(html: str) -> str:
    """HTML without anything that runs, loads, submits, or leaves its place on the page.

    Examples
    --------
    >>> clean_html('<b onclick="steal()">bold</b><script>steal()</script>')
    '<b>bold</b>'
    """
    import nh3

    if nested(html, DEEPEST):
        return f"<p>(HTML nested deeper than {DEEPEST} levels, not shown)</p>"
    cleaned = nh3.clean(
        html[: TEXT_LIMIT * 8],
        tags=set(TAGS),
        clean_content_tags=set(DROPPED),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        attribute_filter=_attribute,
        filter_style_properties=set(STYLES),
        # `data` only for pictures: the filter above has decided.
        url_schemes={"http", "https", "mailto", "data"},
        url_relative="deny",
        strip_comments=True,
        link_rel="noopener noreferrer nofollow",
    )
    return clean_tex(str(cleaned))


def nested(html: str, limit: int) -> bool:
    """Whether elements are opened within each other to more than some depth.

    Parsing takes time that grows with depth times length: hours for a megabyte of ``<div>``.
    """
    depth = 0
    for end, name in OPENED.findall(html):
        if name.lower() not in CLOSE_THEMSELVES:
            depth = max(0, depth - 1) if end else depth + 1
            if depth > limit:
                return True
    return False


def clean_tex(text: str) -> str:
    r"""TeX whose links and styles are shown as words.

    Examples
    --------
    >>> clean_tex(r"\href{javascript:steal()}{x^2}")
    '\\text{href}{javascript:steal()}{x^2}'
    """
    return TEX.sub(r"\\text{\1}", text)


def render_markdown(source: str, attachments: dict[str, Any] | None = None) -> str:
    """Markdown as HTML that is safe to show; pictures come from the cell's attachments only."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    renderer = IPythonRenderer(
        escape=False, attachments=_Attachments(clean_attachments(attachments or {})),
        exclude_anchor_links=True,
    )  # fmt: skip
    return clean_html(MarkdownWithMath(renderer=renderer).render(source))


class _Attachments(dict[str, Any]):
    """A reference to a picture that isn't there must not stop the page from being made."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> dict[str, str]:
        return {"image/png": ""}


def clean_attachments(attachments: dict[str, Any]) -> dict[str, Any]:
    """Attached pictures that are what they say they are."""
    kept: dict[str, Any] = {}
    for name, bundle in attachments.items():
        if isinstance(bundle, dict):
            pictures = {
                mime: text
                for mime, data in bundle.items()
                if mime in SIGNATURES and (text := clean_picture(mime, data))
            }
            if pictures:
                kept[name] = pictures
    return kept


def clean_picture(mime: str, data: Any) -> str:
    """Base64 of a picture of that kind, "" where it is something else."""
    text = re.sub(r"\s+", "", join_text(data))
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return text if raw.startswith(SIGNATURES[mime]) else ""


def clean_text(text: str) -> str:
    """Text without control characters other than tab, newline, return and ANSI's escape."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _clean_data(data: dict[str, Any]) -> dict[str, Any]:
    """One MIME bundle."""
    from autograder.sanitize_svg import clean_svg

    kept: dict[str, Any] = {}
    if "text/plain" in data:
        kept["text/plain"] = clean_text(join_text(data["text/plain"]))
    if "text/html" in data:
        kept["text/html"] = clean_html(join_text(data["text/html"]))
    elif "text/markdown" in data:
        # Rendered here: whoever shows the notebook would let its raw HTML through.
        kept["text/html"] = render_markdown(join_text(data["text/markdown"])[:TEXT_LIMIT])
    if "text/latex" in data:
        kept["text/latex"] = clean_tex(clean_text(join_text(data["text/latex"])))
    if "image/svg+xml" in data and (svg := clean_svg(join_text(data["image/svg+xml"]))):
        kept["image/svg+xml"] = svg
    for mime in SIGNATURES:
        if mime in data and (picture := clean_picture(mime, data[mime])):
            kept[mime] = picture
    if not kept:
        names = ", ".join(sorted(clean_text(str(name))[:60] for name in data)[:5])
        kept["text/plain"] = f"(output of kind {names}, not shown)" if names else ""
    return kept


def _clean_metadata(metadata: Any) -> dict[str, Any]:
    """Of an output's metadata, the sizes of pictures."""
    kept: dict[str, Any] = {}
    for mime, values in (metadata if isinstance(metadata, dict) else {}).items():
        if mime in SIGNATURES and isinstance(values, dict):
            sizes = {
                name: values[name] for name in ("width", "height")
                if isinstance(values.get(name), int) and 0 < values[name] < 10_000
            }  # fmt: skip
            if sizes:
                kept[mime] = sizes
    return kept


def clean_output(output: Any) -> dict[str, Any]:
    """One output of a code cell, rebuilt from what is safe to show."""
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return {"output_type": "stream", "name": name,
                "text": clean_text(join_text(output.get("text")))}  # fmt: skip
    if kind == "error":
        return {
            "output_type": "error",
            "ename": clean_text(str(output.get("ename", "")))[:200],
            "evalue": clean_text(str(output.get("evalue", "")))[:TEXT_LIMIT],
            "traceback": [clean_text(join_text(line)) for line in output.get("traceback", [])],
        }
    data = output.get("data")
    clean: dict[str, Any] = {
        "output_type": "execute_result" if kind == "execute_result" else "display_data",
        "metadata": _clean_metadata(output.get("metadata")),
        "data": _clean_data(data if isinstance(data, dict) else {}),
    }
    if kind == "execute_result":
        clean["execution_count"] = output.get("execution_count")
    return clean


def clean_outputs(cells: list[Any]) -> None:
    """Clean the outputs and attachments of a notebook's cells in place."""
    import nbformat

    for cell in cells:
        if cell["cell_type"] == "code":
            cell["outputs"] = [nbformat.from_dict(clean_output(o)) for o in cell["outputs"]]
        elif cell.get("attachments"):
            cell["attachments"] = nbformat.from_dict(clean_attachments(cell["attachments"]))


def _markdown_filter() -> Callable[..., str]:
    from jinja2 import pass_context

    @pass_context
    def markdown2html(context: Any, source: str) -> str:
        cell = context.get("cell", {})
        return render_markdown(source, cell.get("attachments", {}))

    return markdown2html


def filters() -> dict[str, Callable[..., str]]:
    """For ``c.HTMLExporter.filters``: pages render what students write in Markdown safely."""
    return {"markdown2html": _markdown_filter()}
