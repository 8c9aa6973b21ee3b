"""Known wrong implementations, kept as code so that a student's can be recognised.

Each mistake is three things at once: a hint for the student whose outputs match it, a mutant
that the checks must catch and name, and an edit from which the sample class is made. Its
function therefore stands alone: it uses NumPy (or torch) and its arguments, nothing else.
"""

import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nnlib.contract import find


@dataclass(frozen=True)
class Mistake:
    """A wrong implementation of one exercise.

    Parameters
    ----------
    exercise
        The operation that it gets wrong.
    name
        The function's name: what was done wrong, in words.
    function
        The implementation; for an exercise of kind "value", a function without arguments
        that returns the wrong value.
    hint
        What the student reads: names the mistake, points the way, shows no solution.
    anchor
        Section of the chapter to reread; defaults to the operation's.
    tracks
        Tracks in which it is looked for.
    source_tracks
        Tracks in whose notebook its source can be pasted (a NumPy function is looked for in
        both tracks, but only array-agnostic source runs on tensors).
    """

    exercise: str
    name: str
    function: Any
    hint: str
    anchor: str
    tracks: tuple[str, ...]
    source_tracks: tuple[str, ...]

    def source(self) -> str:
        """Return the source, renamed to the exercise, ready to paste into its cell."""
        return source_as(self.function, self.exercise)


MISTAKES: dict[str, list[Mistake]] = {}


def mistake(
    exercise: str,
    *,
    hint: str,
    anchor: str = "",
    tracks: tuple[str, ...] | None = None,
    source_tracks: tuple[str, ...] | None = None,
) -> Callable[[Any], Any]:
    """Register the decorated function or class as a known mistake of ``exercise``.

    ``tracks`` defaults to those of the operation, ``source_tracks`` to NumPy alone where the
    operation is in the NumPy track, else to PyTorch.
    """

    def register(function: Any) -> Any:
        operation = find(exercise)
        where = operation.tracks if tracks is None else tracks
        paste = source_tracks or (("numpy",) if "numpy" in where else ("torch",))
        MISTAKES.setdefault(exercise, []).append(
            Mistake(exercise, function.__name__, function, " ".join(hint.split()),
                    anchor or operation.anchor, tuple(where), tuple(paste)))
        return function

    return register


def source_as(function: Any, name: str) -> str:
    """Return the source of a function or class without decorators, renamed to ``name``."""
    text = textwrap.dedent(inspect.getsource(function))
    start = re.search(r"^(def|class)\s", text, flags=re.MULTILINE)
    if start is None:
        raise ValueError(f"source_as: {function!r} is neither a function nor a class.")
    old = re.escape(function.__name__)
    # Every use as a name, so that a recursive function or super(Old, self) still works.
    return re.sub(rf"\b{old}\b", name, text[start.start():])
