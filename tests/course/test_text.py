"""The prose: spelled right, in one spelling, with links that can be links."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [path for path in sorted((ROOT / "book").rglob("*.md")) if "_static" not in path.parts]
PAGES += sorted((ROOT / "solutions").rglob("*.md"))
PAGES += [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
CODE = ("nnlib", "autograder", "book/_ext", "book/_static/knobs", "benchmarks")
SOURCES = [path for folder in CODE for path in sorted((ROOT / folder).rglob("*"))
           if path.suffix in (".py", ".js")]

# Words that codespell takes for misspelt ones.
RIGHT = "regrading,nd,gool,winn"
# American forms that stay: the field's own names, and words that are right in some other meaning.
NAMES = {
    "normalization", "regularization", "initialization", "optimization", "optimizer", "optimizers",
    "check", "checks", "draft", "license", "meter", "meters", "practice", "program", "programs",
    "story", "stories", "tire", "tired", "analog", "curb", "maneuver",
}


def prose(text: str) -> str:
    """Return a page without code, mathematics, roles' targets, addresses and HTML.

    >>> prose("A `color` in $gray$, {ref}`the centre <center>` <b class='gray'>red</b>.").split()
    ['A', 'in', ',', 'the', 'centre', 'red', '.']
    """
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^```\{(code-cell|math|raw|bibliography)\}.*?^```", "", text,
                  flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^```[a-z]+\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^ *(`{3,}|:{3,}).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\([\w-]+\)=$|^:[\w-]+:.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\{(?:ref|doc|term|numref)\}`([^`<]*?)\s*<[^`>]*>`", r"\1", text)
    text = re.sub(r"\{term\}`([^`]*)`", r"\1", text)
    text = re.sub(r"\{[a-z:]+\}`[^`]*`|`[^`]*`|https?://\S+", " ", text)
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", " ", text, flags=re.DOTALL)
    return re.sub(r"<[a-z/][^>]*>", " ", text)


def misspelt(paths: list[Path]) -> str:
    """Return what codespell says about files, empty where it says nothing."""
    codespell = pytest.importorskip("codespell_lib")
    import contextlib
    import io

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        codespell.main("--builtin", "clear,rare", "--ignore-words-list", RIGHT,
                       *(str(path) for path in paths))
    return said.getvalue().replace(f"{ROOT}/", "")


def test_the_text_is_spelled_right() -> None:
    bib = ROOT / "book" / "references.bib"
    assert len(PAGES) > 20
    assert len(SOURCES) > 50
    assert misspelt([*PAGES, *SOURCES, bib]) == ""


def test_the_spelling_check_finds_a_mistake(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("The gradeint is recieved.\n", encoding="utf-8")
    assert "recieved ==> received" in misspelt([page])


def american() -> dict[str, str]:
    """American forms and their British ones, from codespell's own list."""
    library = pytest.importorskip("codespell_lib")
    path = Path(library.__file__).parent / "data" / "dictionary_en-GB_to_en-US.txt"
    pairs = (line.split("->") for line in path.read_text(encoding="utf-8").splitlines() if line)
    found = {us.strip().rstrip(","): gb for gb, us in pairs}
    assert found["initialize"] == "initialise"
    return {us: gb for us, gb in found.items() if us not in NAMES}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_spelling_is_british(path: Path) -> None:
    british = american()
    words = set(re.findall(r"[a-z]+", prose(path.read_text(encoding="utf-8")).casefold()))
    assert {word: british[word] for word in sorted(words & british.keys())} == {}


def bad_addresses(text: str) -> list[str]:
    """Return the addresses of other sites that can't be right. No site is asked.

    >>> bad_addresses("https://example.org/a, [x](https://example) and http:/example.org")
    ['https://example', 'http:/example.org']
    """
    found = [a.rstrip(".,;:") for a in re.findall(r"https?:/[^\s)>\"'`\]]*", text)]
    hosts = [(address, urlsplit(address).hostname or "") for address in found]
    return [address for address, host in hosts
            if host != "localhost" and not re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", host)]


def test_addresses_can_be_addresses() -> None:
    wrong = "https://example.org/a, [x](https://example) and http:/example.org"
    assert bad_addresses(wrong) == ["https://example", "http:/example.org"]
    for path in [*PAGES, ROOT / "book" / "references.bib"]:
        assert bad_addresses(path.read_text(encoding="utf-8")) == [], path.name


CHAPTERS = [path for path in PAGES if re.fullmatch(r"book/\d\d-[^/]*\.md",
                                                   path.relative_to(ROOT).as_posix())]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_cited_equations_exist(path: Path) -> None:
    """Code and self-tests cite equations by number, which nothing else would check."""
    text = path.read_text(encoding="utf-8")
    count = len(re.findall(r"^:label: eq-|^\$\$ \(eq-", text, flags=re.MULTILINE))
    cited = re.findall(r"(?i)\bequations? \((\d+)\.(\d+)\)|#.*[ (]\((\d+)\.(\d+)\)", text)
    numbers = [(int(a or c), int(b or d)) for a, b, c, d in cited]
    assert numbers
    assert all(chapter == int(path.name[:2]) and 1 <= number <= count
               for chapter, number in numbers), (count, sorted(set(numbers)))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapters_have_one_form(path: Path) -> None:
    """The same words open the same parts, and every chapter leads to the next one."""
    text = path.read_text(encoding="utf-8")
    assert "{admonition} After this chapter you can" in text
    assert re.search(r"^\*\*You need\*\* .*", text, flags=re.MULTILINE)
    minutes = r"\*\*Time:\*\* \d+ minutes\s+to\s+read, \d+.*\s+for\s+(each|the)\s+assignment"
    assert re.search(minutes, text)
    later = [other.stem for other in CHAPTERS if other.name > path.name]
    assert not later or re.search(rf"Next: .*\{{doc\}}`{later[0]}`", text), later[0]


def test_sources_are_complete() -> None:
    """Each entry says who, what, when and where, and its DOI has a DOI's form."""
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    entries = re.findall(r"^@(\w+)\{(\w+),\n(.*?)\n\}", text, flags=re.DOTALL | re.MULTILINE)
    assert len(entries) == text.count("\n@") + text.startswith("@") > 20
    assert len({key for _, key, _ in entries}) == len(entries)
    for kind, key, body in entries:
        fields = dict(re.findall(r"^\s*(\w+)\s*=\s*\{(.*)\},?$", body, flags=re.MULTILINE))
        where = {"article": "journal", "book": "publisher", "inproceedings": "booktitle",
                 "incollection": "booktitle"}.get(kind, "howpublished")
        assert {"author", "title", "year", where} <= fields.keys(), key
        assert re.search(r"\d{4}", key)[0] == fields["year"], key  # type: ignore[index]
        if "doi" in fields:
            assert re.fullmatch(r"10\.\d{4,9}/\S+", fields["doi"]), key
