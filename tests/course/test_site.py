"""The built book: nothing foreign, nothing broken, nothing too wide, nothing unrendered.

The tests read ``_build/html``; ``make book`` builds it. What needs no browser carries only the
marker ``book``. The rest also carries ``browser`` and skips where no Chromium is installed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"

pytestmark = pytest.mark.book


def toc_pages() -> list[str]:
    """Return every page of the table of contents, as paths in the built site."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    return [f"{name}.html" for name in [toc["root"], *chapters]]


PAGES = toc_pages()


@pytest.fixture(scope="session")
def site() -> Path:
    """The built site, or a failure that says how to build it."""
    missing = [page for page in PAGES if not (SITE / page).is_file()]
    if missing:
        pytest.fail(f"_build/html lacks {', '.join(missing)}: run `make book` first", pytrace=False)
    return SITE


@dataclass
class Page:
    """What the tests ask of one HTML file."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    images: list[dict[str, str | None]] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)


class PageParser(HTMLParser):
    """Collect ids, links, images and everything that a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        values = dict(attrs)
        page = self.page
        if values.get("id"):
            page.ids.add(str(values["id"]))
        if tag == "a" and values.get("href"):
            page.links.append(str(values["href"]))
        if tag == "img":
            page.images.append(values)
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev", "index"):
            page.loads.append(values.get("href") or "")
        for name in ("src", "srcset", "poster", "data"):
            if values.get(name) and tag != "a":
                page.loads.append(str(values[name]))
        if values.get("style"):
            page.styles.append(str(values["style"]))
        self._in_style = tag == "style"

    def handle_data(self, data: str) -> None:
        """Note style sheets in the page."""
        if self._in_style:
            self.page.styles.append(data)


@cache
def parsed(path: Path) -> Page:
    """Parse one built page."""
    parser = PageParser()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser.page


def foreign(address: str) -> bool:
    """Whether an address names another host.

    >>> foreign("//cdn.example/x.js"), foreign("../_static/x.js"), foreign("data:image/png;base64,")
    (True, False, False)
    """
    parts = urlsplit(address.strip())
    return bool(parts.netloc) or parts.scheme in ("http", "https", "ftp", "ws", "wss")


def styles_load(css: str) -> list[str]:
    """Return the addresses that a style sheet would load."""
    urls = re.findall(r"url\(\s*['\"]?(?!data:)([^'\")]+)", css)
    return urls + re.findall(r"@import\s+['\"]([^'\"]+)", css)


@pytest.mark.parametrize("page", PAGES)
def test_page_names_no_load_from_another_host(site: Path, page: str) -> None:
    """Scripts, styles, fonts and images all come from the site itself."""
    content = parsed(site / page)
    loads = content.loads + [url for css in content.styles for url in styles_load(css)]
    assert content.loads, "the page loads nothing at all: the parser is blind"
    assert [url for url in loads if foreign(url)] == []


def test_style_sheets_load_nothing_from_another_host(site: Path) -> None:
    """The theme's style sheets hold no web fonts and no remote images."""
    sheets = list(site.rglob("*.css"))
    assert len(sheets) > 3
    found = {
        sheet.name: bad
        for sheet in sheets
        if (bad := [u for u in styles_load(sheet.read_text(encoding="utf-8")) if foreign(u)])
    }
    assert found == {}


@pytest.mark.parametrize("page", PAGES)
def test_internal_links_resolve(site: Path, page: str) -> None:
    """Each link leads to a file of the site, and each fragment to an element in it."""
    here = site / page
    broken = []
    for link in parsed(here).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (here.parent / unquote(parts.path)).resolve() if parts.path else here
        if not target.is_file():
            broken.append(link)
        elif target.suffix == ".html" and parts.fragment:
            known = parsed(target).ids
            broken += [] if unquote(parts.fragment) in known else [link]
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_every_image_has_an_alternative_text(site: Path, page: str) -> None:
    """An image without alt text says nothing to a reader who can't see it."""
    bare = [
        image.get("src")
        for image in parsed(site / page).images
        if not (image.get("alt") or "").strip()
    ]
    assert bare == []


def test_every_chapter_is_complete(site: Path) -> None:
    """Each chapter has objectives, a prediction, a failure, tabs, a self-test and its card."""
    chapters = [page for page in PAGES if re.match(r"book/\d\d-", page)]
    assert chapters
    parts = {
        "objectives": "objectives admonition",
        "prediction": "predict admonition",
        "failure": "failure admonition",
        "NumPy tab": "tag_track-numpy",
        "PyTorch tab": "tag_track-torch",
        "self-test": 'class="nn-selftest"',
        "assignment card": "assignment-card",
        "figure": "nn-figure",
    }
    missing = {}
    for page in chapters:
        text = (site / page).read_text(encoding="utf-8")
        source = (ROOT / page).with_suffix(".md").read_text(encoding="utf-8")
        tabs = {"NumPy tab", "PyTorch tab"} if ":tracks: torch" in source else set()
        lacking = [
            name
            for name, sign in parts.items()
            if name not in tabs
            and sign not in text
            and " ".join(reversed(sign.split())) not in text
        ]
        if lacking:
            missing[page] = lacking
    assert missing == {}


def test_every_chapter_says_how_long_it_took(site: Path) -> None:
    """Each chapter states the time of its cells: under 40 s, or three times that while busy."""
    for page in PAGES:
        if re.match(r"book/\d\d-", page):
            text = (site / page).read_text(encoding="utf-8")
            stated = re.findall(r'class="nn-runtime">Executed in ([\d.]+) s on \d+ cores?\.<', text)
            assert len(stated) == 1, page
            assert 0 < float(stated[0]) < 120, page


# ---- With a browser -------------------------------------------------------------------------


VISIBLE_TEXT = """
(() => {
  const skip = 'script, style, pre, code, noscript, mjx-container, .nn-slider svg, textarea';
  const main = document.querySelector('.bd-main');
  const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (parent && !parent.closest(skip)) texts.push(walker.currentNode.textContent);
  }
  return texts.join(' ');
})()
"""

# Elements that stick out, for the message of a failing test.
WIDE = """
(() => {
  const limit = document.documentElement.clientWidth;
  const inside = (e) => { for (let p = e.parentElement; p; p = p.parentElement)
    if (['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(p).overflowX)) return true;
    return false; };
  return Array.from(document.querySelectorAll('.bd-main *'))
    .filter((e) => e.getBoundingClientRect().right > limit + 1 && !inside(e))
    .slice(0, 5).map((e) => e.tagName + '.' + e.className);
})()
"""

RAW_MARKUP = {
    "inline mathematics": r"\$[^$\s][^$\n]*\$",
    "TeX delimiters": r"\\[()\[\]]",
    "a role": r"\{[a-z:]+\}`",
    "a directive": r":::|```",
    "emphasis": r"\*\*\w",
}


def raw_markup(text: str) -> list[str]:
    """Return the kinds of unrendered markup in a page's visible text.

    >>> raw_markup("see {doc}`x` and $y$"), raw_markup("costs $5 or so")
    (['inline mathematics', 'a role'], [])
    """
    return [kind for kind, pattern in RAW_MARKUP.items() if re.search(pattern, text)]


OUTPUTS = """
Array.from(document.querySelectorAll('.cell_output pre')).map((e) => e.textContent)
"""

# What a cell shows when its last line returns something that nobody meant to show.
STRAY_OUTPUT = re.compile(
    r"<(matplotlib|Figure|Axes|IPython)\b|at 0x[0-9a-f]{6,}|Traceback|Warning:"
)

SLABS = """
Array.from(document.querySelectorAll(
  '.cell_output .text_html, .cell_output img, figure img, .nn-slider svg, .nn-knob, table, pre'
)).filter((e) => {
  const found = getComputedStyle(e).backgroundColor.match(/[\\d.]+/g).map(Number);
  const [r, g, b, a = 1] = found;
  return a > 0.3 && (r + g + b) / 3 > 140;
}).map((e) => e.tagName + '.' + e.className)
"""

MATHEMATICS = """
({left: Array.from(document.querySelectorAll('.math'))
    .filter((e) => !e.querySelector('mjx-container')).map((e) => e.textContent),
  errors: Array.from(document.querySelectorAll('mjx-merror, [data-mjx-error]'))
    .map((e) => e.textContent),
  wide: innerWidth < 1000 ? [] : Array.from(document.querySelectorAll('div.math'))
    .filter((e) => e.scrollWidth > e.clientWidth + 2).map((e) => e.id),
  unknown: /Math input error|Undefined control sequence/.test(document.body.innerText)})
"""

THEME_AFTER_A_MOMENT = """
(async () => {
  const theme = () => document.documentElement.dataset.theme;
  for (let i = 0; i < 100 && theme() !== 'dark'; i += 1) {
    await new Promise((done) => setTimeout(done, 10));
  }
  return theme();
})()
"""

BROKEN_IMAGES = """
Array.from(document.images).filter(
  (i) => i.loading !== 'lazy' && i.complete && i.naturalWidth === 0).map((i) => i.src)
"""


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("width", [390, 1400], ids=["phone", "wide"])
@pytest.mark.parametrize("page", PAGES)
def test_page_renders(site: Path, browser: Any, page: str, width: int) -> None:
    """No overflow, no raw markup, no error in mathematics or scripts, no foreign request.

    Then the same page in the dark: no overflow, and no light slab behind outputs and figures.
    """
    browser.set_page(width=width)
    browser.open(site / page)
    assert browser.evaluate("document.documentElement.dataset.theme") == "light"
    scroll = browser.evaluate("document.scrollingElement.scrollWidth")
    assert scroll <= width, browser.evaluate(WIDE)
    assert raw_markup(browser.evaluate(VISIBLE_TEXT)) == []
    found = browser.evaluate(MATHEMATICS)
    assert found == {"left": [], "errors": [], "wide": [], "unknown": False}
    stray = [text for text in browser.evaluate(OUTPUTS) if STRAY_OUTPUT.search(text)]
    assert stray == []
    assert browser.exceptions == []
    assert [url for url in browser.requests if foreign(url)] == []
    assert browser.evaluate(BROKEN_IMAGES) == []

    browser.set_page(width=width, dark=True)
    assert browser.evaluate(THEME_AFTER_A_MOMENT) == "dark"
    assert browser.evaluate("document.scrollingElement.scrollWidth") <= width
    assert browser.evaluate(SLABS) == []


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("page", [page for page in PAGES if re.match(r"book/\d\d-", page)])
def test_self_tests_answer(site: Path, browser: Any, page: str) -> None:
    """Choosing each correct answer explains it and fills the score line."""
    browser.set_page(width=1400)
    browser.open(site / page)
    result = browser.evaluate(
        """(() => {
          const blocks = Array.from(document.querySelectorAll('.nn-question'));
          const verdicts = blocks.map((block) => {
            block.querySelector('.nn-option[data-correct=true] input').click();
            return block.querySelector('.nn-verdict').textContent.trim();
          });
          return {verdicts, scores: Array.from(document.querySelectorAll('.nn-score')).map(
            (e) => e.textContent)};
        })()"""
    )
    assert result["verdicts"]
    assert all(re.match(r"Correct\. *\S", verdict) for verdict in result["verdicts"]), result
    assert all(re.fullmatch(r"(\d+) of \1 right at the first try\.", s) for s in result["scores"])


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_a_chosen_track_holds_on_the_next_page(site: Path, browser: Any) -> None:
    """The tabs of one page remember the choice for another."""
    pages = [
        page for page in PAGES if "tag_track-torch" in (site / page).read_text(encoding="utf-8")
    ]
    assert len(pages) >= 2
    browser.set_page(width=1400)
    browser.open(site / pages[0])
    browser.evaluate("document.querySelector('.nn-tab[data-track=torch]').click()")
    browser.open(site / pages[1])
    chosen = browser.evaluate(
        "Array.from(document.querySelectorAll('.nn-tab[aria-selected=true]')).map("
        "(tab) => tab.dataset.track)"
    )
    browser.evaluate("localStorage.clear()")
    assert chosen
    assert set(chosen) == {"torch"}
