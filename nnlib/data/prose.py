"""From the source of a book page to its prose: sentences without code, formulas and markup.

This file imports nothing but the standard library, since the build of the package runs it where
NumPy is not installed: `setup.py` writes the chapters' prose into the wheel, so that
`nnlib.data.book_text` works without the book's source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

#: Directives that hold prose. The content of every other one is left out.
_CONTAINERS = frozenset({
    "admonition", "attention", "caution", "danger", "div", "dropdown", "epigraph", "error",
    "grid", "grid-item", "grid-item-card", "hint", "important", "margin", "note", "pull-quote",
    "seealso", "sidebar", "tab-item", "tab-set", "tip", "topic", "warning",
})
#: Containers whose argument is a title that the reader sees.
_TITLED = frozenset({
    "admonition", "dropdown", "grid-item-card", "sidebar", "tab-item", "topic",
})

_FENCE = re.compile(r"(?P<marks>`{3,}|:{3,}|~{3,})(?:\{(?P<directive>[^}]*)\})?(?P<rest>.*)")
_ITEM = re.compile(r"(?:[-*+]|\d+[.)])\s+")
_SKIPPED = re.compile(r"\([\w:-]+\)=$|%|\+\+\+|\||\[[^\]]+\]:\s")
_INLINE = re.compile(
    r"\{(?P<role>[\w:+.-]+)\}(?P<rticks>`+)(?P<body>.+?)(?P=rticks)"
    r"|(?P<ticks>`+)(?P<code>.+?)(?P=ticks)(?!`)"
    r"|(?<!\\)\$(?P<math>[^$]+)\$"
    r"|\\(?P<escaped>[^\w\s])"
    r"|<(?P<link>https?://[^>]+)>"
    r"|</?[A-Za-z][^>]*>"
)
_EMPHASIS = re.compile(r"(\*\*|__|(?<!\w)_(?!_)|\*)(?=\S)(.+?)(?<=\S)\1(?!\w)")

_OPERATORS = {
    "cdot": " * ", "times": " x ", "odot": " * ", "pm": "+-", "le": " <= ", "leq": " <= ",
    "ge": " >= ", "geq": " >= ", "ne": " != ", "neq": " != ", "approx": " ~ ", "sim": " ~ ",
    "in": " in ", "to": " -> ", "mapsto": " -> ", "leftarrow": " <- ", "rightarrow": " -> ",
    "cdots": "...", "dots": "...", "ldots": "...", "mid": " | ", "lVert": "|", "rVert": "|",
    "Vert": "|", "transpose": "^T\1", "quad": " ", "qquad": " ", "infty": "\1infinity\1",
    "partial": "d", "ell": "l",
}  # fmt: skip
_STRUCTURE = frozenset({"frac", "tfrac", "dfrac", "cfrac", "dd", "sqrt", "norm"})
#: Commands that change how something looks; what they apply to stays.
_DROPPED = frozenset({
    "left", "right", "big", "Big", "bigl", "bigr", "Bigl", "Bigr", "text", "mathrm", "mathsf",
    "mathbf", "mathbb", "operatorname", "hat", "tilde", "bar", "vect", "wgt", "xin", "bia",
    "out", "grad", "underbrace", "textstyle", "displaystyle", "limits",
})


def chapter_files(book: Path) -> list[Path]:
    """Return the chapters of the book's folder, ``NN-slug.md``, in their order.

    Examples
    --------
    >>> chapter_files(Path("no such folder"))
    []
    """
    return sorted(book.glob("[0-9][0-9]-*.md"))


def book_prose(book: Path) -> dict[str, str]:
    """Return the prose of every chapter in the book's folder, by slug, in order.

    Examples
    --------
    >>> book_prose(Path("no such folder"))
    {}
    """
    sources = {path.stem: path.read_text(encoding="utf-8") for path in chapter_files(book)}
    titles: dict[str, str] = {}
    for slug, source in sources.items():
        names = [slug]
        for line in source.splitlines():
            if label := re.fullmatch(r"\(([\w:-]+)\)=", line):
                names.append(label[1])
            elif heading := re.match(r"#+ +(.+)", line):
                titles.update(dict.fromkeys(names, heading[1].strip()))
                names = []
    return {slug: page_prose(source, titles) for slug, source in sources.items()}


def write_prose(book: Path, target: Path) -> list[Path]:
    """Write each chapter's prose to ``target/<slug>.txt`` and return the files.

    Texts of chapters that are no longer there, left by an earlier build, are removed.
    """
    written = []
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("*.txt"):
        old.unlink()
    for slug, text in book_prose(book).items():
        path = target / f"{slug}.txt"
        path.write_text(text, encoding="utf-8", newline="\n")
        written.append(path)
    return written


def page_prose(source: str, titles: Mapping[str, str] | None = None) -> str:
    r"""Return the prose of one page: paragraphs and headings, an empty line between them.

    Parameters
    ----------
    source : str
        MyST Markdown.
    titles : mapping of str to str, optional
        What a reference to a page or a label shows: the heading there.

    Returns
    -------
    str
        Ends with one newline unless empty. Code, display formulas, tables, figures and labels are
        gone; formulas within a sentence are written out in ASCII.

    Examples
    --------
    >>> page_prose("(here)=\n# A *title*\n\nThe weight $\\wgt{w_1}$\nis `w[0]`.\n\n```\n1 / 0\n```")
    'A title\n\nThe weight w_1 is w[0].\n'
    """
    blocks = [_inline(block, titles or {}) for block in _blocks(source.splitlines())]
    text = ""
    for block in filter(None, blocks):
        both_items = _ITEM.match(block) and _ITEM.match(text.rsplit("\n", 1)[-1])
        text += ("\n" if both_items else "\n\n" if text else "") + block
    return text + "\n" if text else ""


def _blocks(lines: list[str]) -> Iterator[str]:
    """Yield paragraphs, headings and list items, each as one line."""
    paragraph: list[str] = []
    for line in _prose_lines(lines):
        starts = line.startswith("#") or bool(_ITEM.match(line))
        if paragraph and (not line or starts):
            yield " ".join(paragraph)
            paragraph = []
        if line.startswith("#"):
            yield line.lstrip("#").strip()
        elif line:
            paragraph.append(line)
    if paragraph:
        yield " ".join(paragraph)


def _prose_lines(lines: list[str]) -> Iterator[str]:
    """Yield the lines that hold prose, without indentation; "" ends a paragraph."""
    rest = iter(lines)
    _skip_front_matter(lines, rest)
    open_fences: list[str] = []
    options_may_follow = False
    for raw in rest:
        line = re.sub(r"^(?:>\s?)+", "", raw.strip())
        if options_may_follow and re.match(r":[\w-]+:", line):
            continue
        if options_may_follow and line == "---":
            _skip_until(rest, lambda text: text == "---")
            continue
        options_may_follow = False
        if open_fences and line == open_fences[-1]:
            open_fences.pop()
            yield ""
        elif fence := _FENCE.match(line):
            yield ""
            name = fence["directive"] or ""
            if name in _CONTAINERS:
                open_fences.append(fence["marks"])
                options_may_follow = True
                if name in _TITLED:
                    yield fence["rest"].strip()
                    yield ""
            elif fence["marks"][0] not in fence["rest"]:
                closing = re.compile(fence["marks"] + fence["marks"][0] + "*")
                _skip_until(rest, closing.fullmatch)
        elif line.startswith("$$"):
            if line == "$$" or "$$" not in line[2:]:
                _skip_until(rest, lambda text: "$$" in text)
            yield ""
        elif line.startswith("<!--"):
            if "-->" not in line:
                _skip_until(rest, lambda text: "-->" in text)
        elif _SKIPPED.match(line):
            yield ""
        else:
            yield re.sub(r"^:\s+", "", line)


def _skip_front_matter(lines: list[str], rest: Iterator[str]) -> None:
    if lines and lines[0].strip() == "---":
        next(rest)
        _skip_until(rest, lambda text: text == "---")


def _skip_until(rest: Iterator[str], ends: Callable[[str], object]) -> None:
    """Consume lines up to and including the one that `ends` accepts."""
    for line in rest:
        if ends(line.strip()):
            return


def _inline(text: str, titles: Mapping[str, str]) -> str:
    """Remove the markup within a paragraph."""
    kept: list[str] = []

    def put_aside(found: re.Match[str]) -> str:
        if found["role"]:
            kept.append(_role(found["role"], found["body"], titles))
        elif found["code"] is not None:
            kept.append(found["code"].strip())
        elif found["math"] is not None:
            kept.append(_formula(found["math"]))
        else:
            kept.append(found["escaped"] or found["link"] or "")
        return f"\0{len(kept) - 1}\0"

    text = re.sub(r"\s*\{cite(?::p)?\}`[^`]*`", "", text)
    # What stands in code and formulas is no emphasis: it is put aside first, put back last.
    text = _INLINE.sub(put_aside, text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\[\^[^\]]+\]", "", text)
    for _ in range(2):  # bold within italics
        text = _EMPHASIS.sub(r"\2", text)
    text = re.sub(r"\0(\d+)\0", lambda found: kept[int(found[1])], text)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"(?:^|(?<=[.:?!] ))the (?=equation|figure)", "The ", text)


def _role(role: str, body: str, titles: Mapping[str, str]) -> str:
    """Return what the reader would see in place of a role, as far as plain text can say it."""
    titled = re.fullmatch(r"(.+?)\s*<[^>]*>", body)
    if role == "math":
        return _formula(body)
    if role.startswith("glue"):
        return "..."  # a number that the page's code measures
    if role == "cite:t":
        keys = [re.fullmatch(r"([a-z-]+)(\d{4})\w*", key.strip()) for key in body.split(",")]
        return " and ".join(f"{_surname(key[1])} ({key[2]})" for key in keys if key)
    if titled:
        return titled[1]
    if role == "eq":
        return "the equation"
    if role == "numref":
        return "the figure"
    if role == "doc":
        return titles.get(body.strip("/").split("/")[-1], body.replace("-", " "))
    return titles.get(body, body.replace("-", " ")) if role == "ref" else body


def _surname(name: str) -> str:
    return re.sub(r"^Mc(\w)", lambda found: "Mc" + found[1].upper(), name.capitalize())


def _formula(tex: str) -> str:
    """Write a formula within a sentence in ASCII, much as one would in code."""
    tex = re.sub(r"\\[{}]", lambda found: _SET[found[0]], tex.replace("~", " "))
    tex = re.sub(r"\\[tdc]?frac\s*(\d)\s*(\w)", r"\1/\2", tex)
    tex = re.sub(r"\\([A-Za-z]+)(\s*)", _command, tex)
    argument = r"\s*\{([^{}]*)\}"
    before = ""
    while before != tex:  # from the innermost braces outwards
        before = tex
        tex = re.sub(rf"\\[tdc]?frac{argument}{argument}", _fraction, tex)
        tex = re.sub(rf"\\dd{argument}{argument}", r"d(\1)/d(\2)", tex)
        tex = re.sub(rf"\\sqrt{argument}", r"sqrt(\1)", tex)
        tex = re.sub(rf"\\norm{argument}", r"|\1|", tex)
        tex = re.sub(rf"([_^]){argument}", _script, tex)
        tex = re.sub(r"(?<!sqrt)(?<!norm)(?<!frac)(?<!dd)(?<![\^_}])\{([^{}]*)\}", r"\1", tex)
    tex = re.sub(r"\\[,;:!> ]", " ", tex)
    tex = re.sub(r"\\([|%$#&_])", r"\1", tex)
    # Names stand apart from letters and digits, and only from those.
    tex = re.sub(rf"(?<=[^\W_]){_EDGE}+(?=[A-Za-z])|(?<=[A-Za-z]){_EDGE}+(?=[^\W_])", " ", tex)
    tex = re.sub(rf"[{{}}\\{_EDGE}]", "", tex)
    tex = re.sub(r"[\2\3]", lambda found: _UNSET[found[0]], tex)
    tex = re.sub(r"\s+", " ", tex).strip()
    return re.sub(r"(?<=[(\[]) | (?=[)\],])", "", tex)


#: A mark at both ends of a name, where a letter next to it would run into it.
_EDGE = "\1"
#: Braces that the reader sees, kept apart from those that group.
_SET = {r"\{": "\2", r"\}": "\3"}
_UNSET = {"\2": "{", "\3": "}"}


def _command(found: re.Match[str]) -> str:
    name = found[1]
    if name in _STRUCTURE:
        return found[0]
    if name in _DROPPED:
        return ""
    if name in _OPERATORS:
        return _OPERATORS[name]
    return f"{_EDGE}{name}{_EDGE}{found[2]}"


def _fraction(found: re.Match[str]) -> str:
    top, bottom = (text if text.isalnum() else f"({text})" for text in found.groups())
    return f"{top}/{bottom}"


def _script(found: re.Match[str]) -> str:
    """Put a sub- or superscript in parentheses, unless it is one word or number."""
    text = found[2].replace(_EDGE, "").strip()
    return found[1] + (text if re.fullmatch(r"-?[A-Za-z0-9]*", text) else f"({found[2].strip()})")
