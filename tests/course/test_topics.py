"""The back matter agrees with the chapters: topics, glossary."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.course.test_book_extensions import load

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [entry["file"].removeprefix("book/") for part in TOC["parts"] for entry in part["chapters"]]
CHAPTERS = [page for page in PAGES if re.match(r"\d\d-", page)]
TERM = re.compile(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`")


def text_of(page: str) -> str:
    return (BOOK / f"{page}.md").read_text(encoding="utf-8")


# ---- Topics ---------------------------------------------------------------------------------


TOPICS = load("topics").read_topics(BOOK / "topics.yml")


def test_every_chapter_is_in_the_table_once() -> None:
    assert CHAPTERS
    assert list(TOPICS) == CHAPTERS


@pytest.mark.parametrize("slug", TOPICS)
def test_every_topic_has_its_section(slug: str) -> None:
    """Each label stands in the chapter's own page, and each kind of topic is there."""
    titles = load("topics").section_titles(text_of(slug))
    assert len(titles) > 10
    missing = {topic.name: label for topic in TOPICS[slug]
               for label in topic.labels if not titles.get(label)}
    assert missing == {}
    assert {topic.kind for topic in TOPICS[slug]} == set(load("topics").KINDS)
    names = [topic.name.casefold() for topic in TOPICS[slug] if topic.kind == "taught"]
    assert len(names) == len(set(names))
    assert all(len(set(topic.labels)) == len(topic.labels) for topic in TOPICS[slug])


def test_a_label_has_one_place() -> None:
    """Sphinx would send every link to one of two places, and only says so in a whole build."""
    defined = re.compile(r"^\(([\w-]+)\)=$|^:label: ([\w-]+)$|[ {]name: ((?:fig|tab)-[\w-]+)", re.M)
    places: dict[str, list[str]] = {}
    for path in sorted(BOOK.rglob("*.md")):
        for names in defined.findall(path.read_text(encoding="utf-8")):
            places.setdefault("".join(names), []).append(path.name)
    assert len(places) > 500
    assert {label: pages for label, pages in places.items() if len(pages) > 1} == {}


@pytest.mark.parametrize(("body", "message"), [
    ("a:\n  taught:\n    x: l\n    x: m\n", "twice"),
    ("a:\n  taught: {x: l}\na:\n  taught: {y: l}\n", "twice"),
    ("a:\n  taught: {x: []}\n", "has no label"),
    ("a:\n  told: {x: l}\n", "unknown kind"),
])
def test_bad_data_are_refused(tmp_path: Path, body: str, message: str) -> None:
    path = tmp_path / "topics.yml"
    path.write_text(body, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load("topics").read_topics(path)


def test_labels_in_code_are_no_labels() -> None:
    page = "# T\n\n```python\n(a)=\n```\n\n(b)=\n## S\n\n:::x\n(c)=\n"
    assert load("topics").section_titles(page) == {"b": "S", "c": "S"}


# ---- Glossary -------------------------------------------------------------------------------


def glossary() -> dict[str, str]:
    """Every term with its definition."""
    body = text_of("glossary").split("```{glossary}\n")[1].split("\n```")[0]
    entries = [block.split("\n") for block in body.strip().split("\n\n")]
    assert all(len(entry) == 2 and entry[1].startswith("  ") for entry in entries)
    return {term: definition.strip() for term, definition in entries}


def test_the_glossary_is_in_order_and_says_one_sentence_each() -> None:
    text = text_of("glossary")
    terms = [line for line in text.split("```{glossary}\n")[1].split("\n```")[0].splitlines()
             if line and not line.startswith(" ")]
    assert len(terms) > 80
    assert terms == sorted(set(terms), key=str.casefold)
    for term, definition in glossary().items():
        assert re.fullmatch(r"[A-Z].* \(\{ref\}`[^`]+ <[a-z0-9-]+>`\)\.", definition), term
        assert not re.search(r"\. [A-Z]", definition), f"{term}: more than one sentence"


def test_a_definition_leads_to_the_chapter_that_it_names() -> None:
    for term, definition in glossary().items():
        for number, label in re.findall(r"\{ref\}`chapter (\d+) <([a-z0-9-]+)>`", definition):
            (slug,) = [page for page in CHAPTERS if int(page[:2]) == int(number)]
            assert f"\n({label})=\n" in text_of(slug), f"{term}: {label} is not in {slug}"


def test_every_term_is_linked_and_every_link_has_its_term() -> None:
    used: set[str] = set()
    for slug in CHAPTERS:
        here = TERM.findall(text_of(slug))
        assert len(here) >= 10, slug
        twice = {term for term in here if here.count(term) > 1}
        assert twice == set(), f"{slug}: only the first use is linked"
        used |= set(here)
    assert used == set(glossary())
