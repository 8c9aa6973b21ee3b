"""The book's own Sphinx extensions: self-tests, cards, chapter numbers, freshness, runtime."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXTENSIONS = Path(__file__).parents[2] / "book" / "_ext"


def load(name: str) -> ModuleType:
    """Import one extension from its file; the folder is no package."""
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location(f"book_ext_{name}", EXTENSIONS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


GOOD = """\
- question: What is $2 + 2$?
  options:
    - {text: "$4$", correct: true, why: Count.}
    - text: $5$
      why: One too many.
- question: |
    Two lines,
    one question.
  shuffle: false
  options:
    - {text: a, why: x}
    - {text: b, correct: true, why: y}
"""


def test_a_self_test_is_parsed() -> None:
    first, second = load("selftest").parse_self_test(GOOD)
    assert first.text == "What is $2 + 2$?"
    assert [option.text for option in first.options] == ["$4$", "$5$"]
    assert [option.correct for option in first.options] == [True, False]
    assert (first.shuffle, second.shuffle) == (True, False)
    assert second.text == "Two lines,\none question."


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("", 0, "list of questions"),
        ("question: Q", 0, "list of questions"),
        ("- question: Q\n  options: [{text: a", 1, "not valid YAML"),
        ("- question: a: b", 0, "quote text"),
        (GOOD.replace("why: Count.", "because: Count."), 2, "unknown key 'because'"),
        (GOOD.replace(", why: Count.", ""), 2, "question 1, option 1 needs 'why'"),
        (GOOD.replace("correct: true, why: Count.", "why: Count."), 0, "at least one correct"),
        (GOOD.replace("{text: a, why: x}", "{text: a, correct: true, why: x}"), 5, "one wrong"),
        (GOOD.replace("correct: true, why: y", "correct: yes, why: y"), 11, "true or false"),
        (GOOD.replace("shuffle: false", "shuffle: false\n  shuffle: true"), 9, "twice"),
        (GOOD.replace("{text: a, why: x}", "just text"), 10, "must be a mapping"),
    ],
)
def test_a_malformed_self_test_names_its_line(body: str, line: int, message: str) -> None:
    selftest = load("selftest")
    with pytest.raises(selftest.SelfTestError, match=message) as caught:
        selftest.parse_self_test(body)
    assert caught.value.line == line


def notebook(points: list[float]) -> str:
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "# Title"}]
    cells += [
        {"cell_type": "code", "metadata": {"nbgrader": {"grade": True, "points": p}}, "source": ""}
        for p in points
    ]
    return json.dumps({"cells": cells})


def test_a_card_reads_points_from_the_notebook(tmp_path: Path) -> None:
    path = tmp_path / "backprop_torch.ipynb"
    path.write_text(notebook([3, 1.5]), encoding="utf-8")
    read = load("assignment").read_notebook(path)
    assert (read.track, read.graded, read.points) == ("torch", 2, 4.5)


@pytest.mark.parametrize("text", ["not json", "[]", '{"cells": [{}]}'])
def test_a_card_refuses_what_is_no_notebook(tmp_path: Path, text: str) -> None:
    path = tmp_path / "backprop_numpy.ipynb"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="is not a released notebook"):
        load("assignment").read_notebook(path)


def test_chapters_are_numbered_by_their_name() -> None:
    number = load("chapter_numbers").chapter_number
    assert number("book/00-start-here") == 0
    assert number("book/18-attention") == 18
    assert number("book/part-1-the-machine") is None
    assert number("book/5-backprop") is None


def test_the_digest_follows_the_code(tmp_path: Path) -> None:
    digest = load("freshness").code_digest
    (tmp_path / "nnlib").mkdir()
    source = tmp_path / "nnlib" / "dense.py"
    source.write_text("a = 1\n", encoding="utf-8")
    before = digest(tmp_path)
    (tmp_path / "nnlib" / "notes.txt").write_text("not code", encoding="utf-8")
    assert digest(tmp_path) == before
    source.write_text("a = 2\n", encoding="utf-8")
    changed = digest(tmp_path)
    source.rename(source.with_name("other.py"))
    assert len({before, changed, digest(tmp_path)}) == 3


PAGE = """\
# Page

A sentence.

```{self-test}
- question: Is $x$ **in** `code`?
  options:
    - {text: "yes, $x$", correct: true, why: "because *so*."}
    - {text: no, why: look again}
```
"""


def build(folder: Path, page: str, builder: str) -> tuple[str, str]:
    """Build one page with the real directive; return its output and Sphinx's warnings."""
    import io

    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    source, out = folder / "source", folder / builder
    source.mkdir(exist_ok=True)
    (source / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(EXTENSIONS)!r})\n"
        "extensions = ['myst_parser', 'selftest', 'assignment']\n"
        "myst_enable_extensions = ['dollarmath']\n",
        encoding="utf-8",
    )
    (source / "index.md").write_text(page, encoding="utf-8")
    warnings = io.StringIO()
    with docutils_namespace():
        app = Sphinx(
            source,
            source,
            out,
            out / "trees",
            builder,
            status=None,
            warning=warnings,
            freshenv=True,
        )
        app.build()
    suffix = "txt" if builder == "text" else "html"
    return (out / f"index.{suffix}").read_text(encoding="utf-8"), warnings.getvalue()


@pytest.mark.book
def test_a_self_test_reads_well_without_javascript(tmp_path: Path) -> None:
    html, warnings = build(tmp_path, PAGE, "html")
    assert warnings == ""
    assert html.count('<details class="nn-why">') == 2
    assert "<strong>Correct.</strong> because <em>so</em>." in html
    assert 'class="math notranslate nohighlight">\\(x\\)' in html
    assert 'data-correct="true"' in html


@pytest.mark.book
def test_a_self_test_degrades_to_text(tmp_path: Path) -> None:
    text, warnings = build(tmp_path, PAGE, "text")
    assert warnings == ""
    for part in ("Is x **in**", "yes", "**Correct.** because", "**Not quite.** look again"):
        assert part in text


@pytest.mark.book
def test_a_fault_is_a_warning_with_file_and_line(tmp_path: Path) -> None:
    _, warnings = build(tmp_path, PAGE.replace("why: look again", "wyh: look again"), "html")
    assert "index.md:9: WARNING: self-test: question 1, option 2 has the unknown key" in warnings


@pytest.mark.book
def test_a_card_without_notebooks_is_a_warning(tmp_path: Path) -> None:
    page = "# P\n\n```{assignment-card}\n:slug: 99-none\n:minutes: 5\n```\n"
    _, warnings = build(tmp_path, page, "html")
    assert "index.md:3: WARNING: assignment-card: exercises/99-none has no *_numpy" in warnings


@pytest.mark.book
def test_a_card_of_one_track_misses_no_other(tmp_path: Path) -> None:
    page = "# P\n\n```{assignment-card}\n:slug: 99-none\n:minutes: 5\n:tracks: torch\n```\n"
    _, warnings = build(tmp_path, page, "html")
    assert "has no *_torch" in warnings
    assert "has no *_numpy" not in warnings


@pytest.mark.parametrize(("seconds", "cores", "text"), [
    (12.34, 2, "Executed in 12 s on 2 cores."),
    (9.96, 2, "Executed in 10 s on 2 cores."),
    (0.42, 1, "Executed in 0.4 s on 1 core."),
])
def test_the_runtime_reads_well(seconds: float, cores: int, text: str) -> None:
    assert load("runtime").sentence(seconds, cores) == text


def test_only_a_page_that_ran_has_a_runtime() -> None:
    from types import SimpleNamespace

    seconds = load("runtime").execution_seconds
    ran = {"exec_data": {"runtime": 3.5, "succeeded": True}}
    env = SimpleNamespace(nb_metadata={
        "ran": ran, "plain": {}, "failed": {"exec_data": {"runtime": 1.0, "succeeded": False}},
        "unknown": {"exec_data": {"runtime": None, "succeeded": True}}})
    assert seconds(env, "ran") == 3.5
    assert [seconds(env, page) for page in ("plain", "failed", "unknown", "new")] == [None] * 4
    assert seconds(SimpleNamespace(), "ran") is None


@pytest.mark.book
def test_the_runtime_stands_at_the_end_of_the_page(tmp_path: Path) -> None:
    """With MyST-NB itself, so that a change of where it keeps the time is noticed."""
    import io

    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(EXTENSIONS)!r})\n"
        "extensions = ['myst_nb', 'runtime']\nnb_execution_mode = 'force'\n"
        "source_suffix = {'.md': 'myst-nb'}\n", encoding="utf-8")
    header = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}\n---\n"
    (tmp_path / "index.md").write_text(
        header + "# P\n\n```{code-cell} ipython3\n1 + 1\n```\n\n## Last\n\n"
        "```{toctree}\nplain\n```\n",
        encoding="utf-8")
    (tmp_path / "plain.md").write_text("# Plain\n", encoding="utf-8")
    with docutils_namespace():
        out = tmp_path / "out"
        Sphinx(tmp_path, tmp_path, out, out / "trees", "html", status=None, warning=io.StringIO(),
               freshenv=True).build()
    stated = r'<p class="nn-runtime">Executed in \d+(\.\d)? s on \d+ cores?\.</p>'
    page = (out / "index.html").read_text(encoding="utf-8")
    assert re.search(stated, page)
    assert page.index("nn-runtime") > page.index("Last")
    assert "nn-runtime" not in (out / "plain.html").read_text(encoding="utf-8")
