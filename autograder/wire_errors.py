"""Exceptions across the two sides: by the names of their classes, with a bounded message.

The other side gets the nearest class that it knows. Nothing of the original but text crosses.
"""

from __future__ import annotations

import builtins
import functools
import traceback
from typing import Any

MESSAGE_LIMIT = 2000
"""Characters of an exception's message that cross."""
KNOWN_EXCEPTIONS: dict[str, type[Exception]] = {}
"""Exception classes besides the built-in ones that both sides know, by qualified name."""
NEVER_RAISED = (
    "KeyboardInterrupt", "SystemExit", "GeneratorExit", "BaseException", "StopIteration",
    "StopAsyncIteration", "BaseExceptionGroup", "ExceptionGroup",
)  # fmt: skip


def exception_names(cls: type) -> list[str]:
    """Names of a class and its bases, nearest first."""
    names = []
    for base in cls.__mro__:
        if base.__module__ == "builtins":
            names.append(str(base.__name__))
        else:
            names.append(f"{base.__module__}.{base.__name__}")
    return names[:12]


def describe_error(error: BaseException, *, quoting: bool = True) -> dict[str, Any]:
    """An exception as plain data: names of its classes, its message, where it came from."""
    try:
        text = str(error)
    except Exception:
        text = "(its message can't be shown)"
    try:
        last = traceback.extract_tb(error.__traceback__)[-1:]
        where = [[str(frame.filename)[-80:], frame.lineno or 0, str(frame.line or "")[:200]]
                 for frame in last]  # fmt: skip
    except Exception:
        where = []
    return {
        "names": exception_names(type(error)),
        "text": text[:MESSAGE_LIMIT].encode("utf-8", "replace").decode("utf-8"),
        "where": where if quoting else [],
    }


def error_class(names: list[str]) -> type[Exception]:
    """The nearest class of this side: a known one, else one made under the first known base."""
    for place, name in enumerate(names):
        base = KNOWN_EXCEPTIONS.get(name)
        if base is None and name.isidentifier() and name not in NEVER_RAISED:
            found = getattr(builtins, name, None)
            if isinstance(found, type) and issubclass(found, Exception):
                base = found
        if base is not None:
            if place == 0:
                return base
            return _made_class(names[0].rpartition(".")[2], base)  # type: ignore[arg-type]
    return _made_class(names[0].rpartition(".")[2] if names else "Exception", Exception)


@functools.lru_cache(maxsize=256)
def _made_class(name: str, base: type[Exception]) -> type[Exception]:
    label = name if name.isidentifier() and len(name) <= 60 else "StudentError"

    def start(self: Any, *args: Any) -> None:
        Exception.__init__(self, *args)

    def text(self: Any) -> str:
        return str(self.args[0] if self.args else "")

    return type(label, (base,), {"__init__": start, "__str__": text, "__module__": "student"})


def rebuild_error(content: Any) -> Exception:
    """The exception that the other side described."""
    names = [str(name)[:200] for name in content["names"]][:12]
    text = str(content["text"])[:MESSAGE_LIMIT]
    cls = error_class(names)
    try:
        error = cls(text)
    except Exception:  # UnicodeDecodeError and its like want more than a message
        error = _made_class(cls.__name__, Exception)(text)
    error.remote_where = content.get("where", [])  # type: ignore[attr-defined]
    return error
