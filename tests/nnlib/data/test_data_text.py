"""The book as a text: prose without markup, in a checkout and installed; characters as numbers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlib import data
from nnlib.data import text as text_module
from nnlib.data.prose import book_prose, page_prose, write_prose
from nnlib.errors import DtypeError

ROOT = Path(__file__).resolve().parents[3]


# ------------------------------------------------------------------------------------ book_text


def test_the_book_is_prose():
    text = data.book_text()
    assert len(text) > 30_000
    for sentence in (
        "What can a single neuron decide, and what can it never decide, however long it learns?",
        "Contributions add. If u is used twice, changing u changes the loss along both paths.",
    ):
        assert sentence in text
    assert "\n\n\n" not in text
    assert text.endswith("\n")
    for mark in ("```", ":::", "{code-cell}", "import numpy", "](", "**", "$", "\\", "\0", "<div"):
        assert mark not in text, mark
    assert not re.search(r"\{[a-z:]+\}`|^\(.*\)=$|^#|^:label:|^\|", text, flags=re.MULTILINE)


def test_the_book_has_few_characters_and_they_vary():
    text = data.book_text()
    vocabulary = data.CharacterVocabulary(text)
    assert 60 < len(vocabulary) < 130
    assert vocabulary.decode(vocabulary.encode(text)) == text
    letters = np.bincount(vocabulary.encode(text))
    assert letters.min() >= 1
    assert vocabulary.characters[int(letters.argmax())] == " "


def test_chapters_can_be_chosen():
    neurons = data.book_text(chapters=["01-neurons"])
    assert neurons.startswith("Neurons\n\nWhat can a single neuron")
    both = data.book_text(chapters=["05-backprop", "01-neurons"])
    assert both.endswith(neurons)
    assert len(both) > 1.5 * len(neurons)
    assert neurons in data.book_text()
    assert data.book_text(chapters=[]) == ""
    with pytest.raises(ValueError, match=r"book_text: chapters must .* '99-x'. There are:"):
        data.book_text(chapters=["99-x"])
    with pytest.raises(DtypeError, match=r"chapters must be a list of slugs, got the string"):
        data.book_text(chapters="01-neurons")


def installed(tmp_path):
    """A copy of the package away from the checkout, and what book_text says there."""
    site = tmp_path / "site"
    shutil.copytree(
        ROOT / "nnlib", site / "nnlib", ignore=shutil.ignore_patterns("__pycache__", "book_text")
    )
    return site


def ask(site):
    code = "from nnlib import data; print(data.__file__); print(data.book_text(), end='')"
    return subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code],
        capture_output=True,
        encoding="utf-8",
        cwd=site,
        env={"PYTHONPATH": str(site), "PATH": ""},
        check=False,
    )


def test_an_installed_package_holds_the_text(tmp_path):
    site = installed(tmp_path)
    write_prose(ROOT / "book", site / "nnlib" / "data" / "book_text")
    done = ask(site)
    assert done.returncode == 0, done.stderr
    origin, _, text = done.stdout.partition("\n")
    assert origin.startswith(str(site))
    assert text == data.book_text()


def test_an_installed_package_without_it_says_what_to_do(tmp_path):
    done = ask(installed(tmp_path))
    assert done.returncode == 1
    assert "FileNotFoundError: book_text: the book must lie next to nnlib" in done.stderr
    assert "pip install --force-reinstall --no-deps ." in done.stderr


def test_a_stranger_called_book_is_not_the_book(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "01-other.md").write_text("# Other", encoding="utf-8")
    monkeypatch.setattr(text_module, "_CHECKOUT", tmp_path)
    monkeypatch.setattr(text_module, "_PACKAGED", tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="holds a chapter"):
        data.book_text()
    (tmp_path / "_toc.yml").write_text("", encoding="utf-8")
    assert data.book_text() == "Other\n"


def test_the_build_writes_the_text(tmp_path):
    pytest.importorskip("setuptools")
    for name in ("nnlib", "autograder", "book"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "LICENSE-CC-BY-4.0"):
        shutil.copy(ROOT / name, tmp_path / name)
    code = (
        "import runpy, sys; sys.modules['numpy'] = None; "  # a build has no NumPy
        "sys.argv[0] = 'setup.py'; runpy.run_path('setup.py', run_name='__main__')"
    )
    old = tmp_path / "lib" / "nnlib" / "data" / "book_text" / "77-gone.txt"
    old.parent.mkdir(parents=True)
    old.write_text("of an earlier build", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", code, "-q", "build_py", "--build-lib", "lib"],
        capture_output=True, encoding="utf-8", cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = {path.stem: path.read_text(encoding="utf-8") for path in old.parent.glob("*.txt")}
    assert written == book_prose(ROOT / "book")


# ----------------------------------------------------------------------------------- page_prose


@pytest.mark.parametrize(
    ("source", "prose"),
    [
        ("", ""),
        ("---\nkernel: python\n---\n\n# Title\n\nText.", "Title\n\nText.\n"),
        ("One\nline.\nSame paragraph.\n\nNext.", "One line. Same paragraph.\n\nNext.\n"),
        ("- a\n- b\n  more\n\nText", "- a\n- b more\n\nText\n"),
        ("1. one\n2. two", "1. one\n2. two\n"),
        ("A **bold *and slanted* text** with snake_case and 2 * 3 * 4.",
         "A bold and slanted text with snake_case and 2 * 3 * 4.\n"),
        ("Code `a * b * c` and `x`, ``a ` b``.", "Code a * b * c and x, a ` b.\n"),
        ("**`bold code`**: *x*.", "bold code: x.\n"),
        ("[a link](https://x.y/z) and <https://x.y>.", "a link and https://x.y.\n"),
        ("Seen ![alt](a.png)here.", "Seen here.\n"),
        ("Text<sup>2</sup> <br/>end, 1 < 2 and 3 > 2.", "Text2 end, 1 < 2 and 3 > 2.\n"),
        ("Before\n```{code-cell} ipython3\n---\ntags: [x]\n---\nx = 1\n```\nafter.",
         "Before\n\nafter.\n"),
        ("````{note}\nInner.\n```python\nx\n```\nOuter.\n````\nEnd.", "Inner.\n\nOuter.\n\nEnd.\n"),
        (":::{admonition} Predict *first*\n:class: predict\n\nHow many?\n:::",
         "Predict first\n\nHow many?\n"),
        ("```{tip}\n---\nclass: x\n---\nA tip.\n```", "A tip.\n"),
        ("::::{div} wide\n:::{div}\nIn.\n:::\n::::\nOut.", "In.\n\nOut.\n"),
        ("```{math}\n:label: eq\nx = 1\n```\nText.", "Text.\n"),
        ("$$\nx\n$$\nText.\n\n$$ y $$\n\nMore.", "Text.\n\nMore.\n"),
        ("(label)=\n## Head\n% comment\n+++\n| a | b |\n|---|---|\nText", "Head\n\nText\n"),
        ("<!-- one -->\nA.\n<!--\ntwo\n-->\nB.", "A. B.\n"),
        ("Term\n: its meaning", "Term its meaning\n"),
        ("> quoted\n> text", "quoted text\n"),
        ("See {eq}`eq-a` and {numref}`fig-b`. {eq}`eq-c` says.",
         "See the equation and the figure. The equation says.\n"),
        ("By {cite:t}`mcculloch1943,hinton2006` {cite:p}`x2000`.",
         "By McCulloch (1943) and Hinton (2006).\n"),
        ("{doc}`01-x`, {doc}`text <01-x>`, {doc}`02-y`, {ref}`sec`, {ref}`that <sec>`.",
         "Ex, text, 02 y, Section, that.\n"),
        ("It took {glue:text}`t:.1f` s at {kbd}`Ctrl-C`, {math}`\\eta`.",
         "It took ... s at Ctrl-C, eta.\n"),
        (r"Costs \$5 and \*this\*.", "Costs $5 and *this*.\n"),
    ],
)  # fmt: skip
def test_markup_goes_and_words_stay(source, prose):
    assert page_prose(source, {"01-x": "Ex", "sec": "Section"}) == prose


@pytest.mark.parametrize(
    ("tex", "ascii_text"),
    [
        (r"\xin{x} \in \R^d", "x in R^d"),
        (r"\wgt{w}\cdot\xin{x} + \bia{b}", "w * x + b"),
        (r"\eta\gamma", "eta gamma"),
        (r"2\eta x", "2 eta x"),
        (r"\tfrac12 + \frac1n + \frac{a}{b} + \frac{a+1}{2b}", "1/2 + 1/n + a/b + (a+1)/2b"),
        (r"\sqrt{M}\,R", "sqrt(M) R"),
        (r"\norm{\tilde w}^2", "|w|^2"),
        (r"e^{s_{ij}} / 10^{-16}", "e^(s_ij) / 10^-16"),
        (r"d_\text{in} \times d_{\text{out}}", "d_in x d_out"),
        (r"\{0, 1\}", "{0, 1}"),
        (r"64{,}000", "64,000"),
        (r"\sum_i x_i \le \max_j y_j", "sum_i x_i <= max_j y_j"),
        (r"\dd{L}{w}", "d(L)/d(w)"),
        (r"\partial L / \partial z", "dL / dz"),
        (r"x\transpose dy", "x^T dy"),
        (r"f'(x) = [\,x > 0\,]", "f'(x) = [x > 0]"),
    ],
)
def test_formulas_are_written_in_ascii(tex, ascii_text):
    assert page_prose(f"So ${tex}$ holds.") == f"So {ascii_text} holds.\n"


@given(st.text(alphabet="ab#`:{}$*_\\|[]()<>-\n 1.~", max_size=60))
def test_any_page_gives_a_text(source):
    prose = page_prose(source)
    assert "\0" not in prose
    assert "\n\n\n" not in prose
    assert prose == "" or prose.endswith("\n")


# ------------------------------------------------------------------------- CharacterVocabulary


@given(st.text(min_size=1))
def test_encoding_is_undone_by_decoding(text):
    vocabulary = data.CharacterVocabulary(text)
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int64
    assert ids.shape == (len(text),)
    assert vocabulary.decode(ids) == text
    assert set(ids.tolist()) == set(range(len(vocabulary)))
    assert "".join(sorted(set(text))) == vocabulary.characters


def test_numbers_follow_the_characters_not_the_text():
    a, b = data.CharacterVocabulary("hello"), data.CharacterVocabulary("oellh")
    assert a == b
    assert hash(a) == hash(b)
    assert a != data.CharacterVocabulary("help")
    assert a != "ehlo"
    assert repr(a) == "CharacterVocabulary('ehlo')"
    assert a.encode("").shape == (0,)
    assert a.encode("").dtype == np.int64
    assert a.decode([]) == ""
    assert a.decode(np.array([1, 0], dtype=np.uint8)) == "he"
    assert a.decode(np.array([3, 2, 1])[::-1]) == "hlo"


def test_encode_gives_an_array_of_ones_own():
    vocabulary = data.CharacterVocabulary("ab")
    ids = vocabulary.encode("abab")
    ids[:] = 0
    assert vocabulary.encode("abab").tolist() == [0, 1, 0, 1]


def test_vocabulary_errors():
    vocabulary = data.CharacterVocabulary("abc")
    with pytest.raises(ValueError, match=r"CharacterVocabulary: text must not be empty"):
        data.CharacterVocabulary("")
    with pytest.raises(DtypeError, match=r"CharacterVocabulary: text must be a string, got list"):
        data.CharacterVocabulary(["a"])
    with pytest.raises(ValueError, match=r"encode: text must hold only .* got 'd' at posit.* 2"):
        vocabulary.encode("abd")
    with pytest.raises(ValueError, match=r"got '!' at position 0"):
        vocabulary.encode("!")
    with pytest.raises(DtypeError, match=r"encode: text must be a string, got bytes"):
        vocabulary.encode(b"a")
    with pytest.raises(ValueError, match=r"decode: ids must lie from 0 to 2, got 3"):
        vocabulary.decode([0, 3])
    with pytest.raises(ValueError, match=r"decode: ids must lie from 0 to 2, got -1"):
        vocabulary.decode([-1])
    with pytest.raises(DtypeError, match=r"decode: ids must hold integers, got float64"):
        vocabulary.decode([0.0, 1.0])
    with pytest.raises(ValueError, match=r"decode: ids must have shape \(t,\), got \(1, 2\)"):
        vocabulary.decode([[0, 1]])
