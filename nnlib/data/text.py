"""The book's own prose as a text to learn from, and the characters of a text as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnlib.data.prose import book_prose
from nnlib.errors import DtypeError

#: Where `setup.py` puts the chapters' prose when it builds the package.
_PACKAGED = Path(__file__).parent / "book_text"
_CHECKOUT = Path(__file__).parents[2]


def book_text(*, chapters: Sequence[str] | None = None) -> str:
    """Return the prose of this course's book: a text that a small language model can learn.

    Code, display formulas, tables and markup are left out; formulas within sentences are written
    in ASCII.

    Parameters
    ----------
    chapters : sequence of str, optional
        Slugs such as ``"01-neurons"``; all chapters in their order by default. Keep one for
        validation, so that no sentence of it was seen in training.

    Returns
    -------
    str
        The chapters, an empty line between them.

    Raises
    ------
    FileNotFoundError
        If the book is neither next to `nnlib`, as in a checkout, nor packaged with it.
    DtypeError, ValueError
        If `chapters` is a string, or names a chapter that does not exist.

    Notes
    -----
    In a checkout this reads the book's source as it stands, so the text changes whenever a chapter
    does. An installed package holds the text as it was when the package was built.

    Examples
    --------
    >>> text = book_text()
    >>> "What can a single neuron decide" in text, "import numpy" in text
    (True, False)
    >>> book_text(chapters=["01-neurons"]).splitlines()[0]
    'Neurons'
    """
    caller = "book_text"
    if isinstance(chapters, str):
        raise DtypeError(
            f"{caller}: chapters must be a list of slugs, got the string {chapters!r}. "
            f"Put it in brackets: [{chapters!r}]."
        )
    found = _chapters(caller)
    wanted = list(found) if chapters is None else list(chapters)
    for slug in wanted:
        if slug not in found:
            raise ValueError(
                f"{caller}: chapters must name chapters of the book, got {slug!r}. "
                f"There are: {', '.join(found)}."
            )
    return "\n".join(found[slug] for slug in wanted)


def _chapters(caller: str) -> dict[str, str]:
    """Return each chapter's prose by slug: from the checkout, else from the package."""
    source = _CHECKOUT / "book"
    if (_CHECKOUT / "_toc.yml").is_file() and source.is_dir():
        chapters = book_prose(source)
        if chapters:
            return chapters
    files = sorted(_PACKAGED.glob("*.txt"))
    if not files:
        raise FileNotFoundError(
            f"{caller}: the book must lie next to nnlib, as in a checkout, or inside the installed "
            f"package, but neither {source} nor {_PACKAGED} holds a chapter. Install again from a "
            "checkout of the course with pip install --force-reinstall --no-deps . or use a text "
            "of your own: CharacterVocabulary takes any string."
        )
    return {path.stem: path.read_text(encoding="utf-8") for path in files}


class CharacterVocabulary:
    """The characters of a text, numbered from 0 in the order of their code points.

    Parameters
    ----------
    text : str
        Every character that occurs in it becomes a member.

    Attributes
    ----------
    characters : str
        ``characters[i]`` is the character with the number i. ``len(vocabulary)`` counts them.

    Raises
    ------
    DtypeError, ValueError
        If `text` is no string, or empty.

    References
    ----------
    Chapter 18-attention.

    Examples
    --------
    >>> vocabulary = CharacterVocabulary("a neuron")
    >>> vocabulary.characters, len(vocabulary)
    (' aenoru', 7)
    >>> vocabulary.encode("near")
    array([3, 2, 1, 5])
    >>> vocabulary.decode([3, 4, 0, 5, 6, 3])
    'no run'
    """

    def __init__(self, text: str) -> None:
        points = _code_points("CharacterVocabulary", text)
        if points.size == 0:
            raise ValueError(
                "CharacterVocabulary: text must not be empty, got ''. A model needs at least one "
                "character to predict."
            )
        self._points = np.unique(points)
        self.characters = "".join(map(chr, self._points.tolist()))

    def __len__(self) -> int:
        return len(self.characters)

    def __repr__(self) -> str:
        return f"CharacterVocabulary({self.characters!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CharacterVocabulary):
            return NotImplemented
        return self.characters == other.characters

    def __hash__(self) -> int:
        return hash(self.characters)

    def encode(self, text: str) -> NDArray[np.int64]:
        """Return the number of each character: int64 of shape ``(len(text),)``.

        Parameters
        ----------
        text : str

        Returns
        -------
        ndarray of int64, shape (t,)

        Raises
        ------
        DtypeError, ValueError
            If `text` is no string, or has a character that the vocabulary lacks.

        Examples
        --------
        >>> CharacterVocabulary("abc").encode("cab")
        array([2, 0, 1])
        """
        caller = "CharacterVocabulary.encode"
        points = _code_points(caller, text)
        ids = np.searchsorted(self._points, points)
        known = self._points[np.minimum(ids, len(self) - 1)] == points
        if not known.all():
            at = int(np.argmin(known))
            raise ValueError(
                f"{caller}: text must hold only the {len(self)} characters of the vocabulary, got "
                f"{text[at]!r} at position {at}. Make the vocabulary from all the text, before it "
                "is split, or leave such characters out."
            )
        return ids.astype(np.int64, copy=False)

    def decode(self, ids: ArrayLike) -> str:
        """Return the text whose characters have the given numbers.

        Parameters
        ----------
        ids : array of integers, shape (t,)

        Returns
        -------
        str

        Raises
        ------
        DtypeError, ValueError
            If `ids` holds no integers, has more than one axis, or a number is out of range.

        Examples
        --------
        >>> CharacterVocabulary("abc").decode(np.array([2, 0, 1]))
        'cab'
        """
        caller = "CharacterVocabulary.decode"
        array = np.asarray(ids)
        if array.size == 0 and array.ndim == 1:
            return ""
        if array.dtype.kind not in "iu":
            raise DtypeError(
                f"{caller}: ids must hold integers, got {array.dtype}. Pick a character first: "
                "decode takes numbers of characters, not scores or probabilities."
            )
        if array.ndim != 1:
            raise ValueError(
                f"{caller}: ids must have shape (t,), got {array.shape}. Decode one row at a time."
            )
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >= len(self):
            raise ValueError(
                f"{caller}: ids must lie from 0 to {len(self) - 1}, got "
                f"{low if low < 0 else high}. Was the text encoded with another vocabulary?"
            )
        return "".join(map(chr, self._points[array].tolist()))


def _code_points(caller: str, text: Any) -> NDArray[np.uint32]:
    """Return the Unicode code point of each character."""
    if not isinstance(text, str):
        raise DtypeError(
            f"{caller}: text must be a string, got {type(text).__name__}. "
            'Join a list of strings first: "".join(texts).'
        )
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
