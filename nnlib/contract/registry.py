"""Where operations and questions are looked up by name."""

import difflib
from collections.abc import Iterable, Iterator
from typing import TypeVar

from nnlib.contract.case import Operation, Question

OPERATIONS: dict[str, Operation] = {}
QUESTIONS: dict[str, Question] = {}

_Entry = TypeVar("_Entry", Operation, Question)


def register(*entries: Operation | Question) -> None:
    """Add operations or questions; a name can be taken only once."""
    for entry in entries:
        if entry.name in OPERATIONS or entry.name in QUESTIONS:
            raise ValueError(f"register: the name {entry.name!r} is taken already.")
        if isinstance(entry, Operation):
            OPERATIONS[entry.name] = entry
        else:
            QUESTIONS[entry.name] = entry


def find(name: str) -> Operation | Question:
    """Return the operation or question called ``name``.

    Raises
    ------
    KeyError
        With the nearest names, so that a typing slip is seen at once.
    """
    if name in OPERATIONS:
        return OPERATIONS[name]
    if name in QUESTIONS:
        return QUESTIONS[name]
    near = difflib.get_close_matches(str(name), [*OPERATIONS, *QUESTIONS], n=3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise KeyError(f"find: no operation or question is called {name!r}.{hint}")


def operations(*, track: str | None = None, chapter: str | None = None) -> Iterator[Operation]:
    """Iterate over the operations of one track, of one chapter, or all."""
    return _select(OPERATIONS.values(), track, chapter)


def questions(*, track: str | None = None, chapter: str | None = None) -> Iterator[Question]:
    """Iterate over the questions of one track, of one chapter, or all."""
    return _select(QUESTIONS.values(), track, chapter)


def _select(
    entries: Iterable[_Entry], track: str | None, chapter: str | None
) -> Iterator[_Entry]:
    for entry in entries:
        if (track is None or track in entry.tracks) and (chapter in (None, entry.chapter)):
            yield entry
