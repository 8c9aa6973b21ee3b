"""What the student's side may do with an object that the grader lent to it.

A locked cell passes functions and instances to the student's code; these stay on the grader's side
and the student's side asks for each use. Whoever can read attributes at will reaches everything
(a generator's frame, a figure's ``savefig``, an array's ``tofile``, ``str.format``), so attributes
are given only of instances of a few kinds: classes that locked cells themselves define, and some
that are known to do no harm. Everything else can be called, measured, indexed and walked through.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

NOTEBOOK = "__main__"
OPEN_MODULES = frozenset((NOTEBOOK, "collections", "random", "re"))
"""Modules whose classes' instances can be looked into, besides those of `nnlib.checks`."""
CALL_ONLY = (
    type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType,
)  # fmt: skip


def _call(peer: Any, target: Any, args: Any, kwargs: Any, records: Any = None) -> Any:
    keywords = {str(name): value for name, value in kwargs}
    if records is not None:
        from autograder import wire_torch

        return wire_torch.serve_call(peer, target, args, keywords, records)
    return target(*args, **keywords)


def public(name: Any) -> str:
    """A name that an attribute may be asked by."""
    if not isinstance(name, str) or name.startswith("_"):
        raise AttributeError(f"{str(name)[:60]!r} can't be reached from here")
    return name


def opened(target: Any, name: str) -> Any:
    """An instance whose attribute may be read or set.

    Raises
    ------
    AttributeError
        For anything else.
    """
    module = str(type(target).__module__)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(target, torch.nn.Module):
        # What every module inherits acts on this process; the student's side has its own.
        if not hasattr(torch.nn.Module, name):
            return target
    elif module in OPEN_MODULES or module.startswith("nnlib.checks."):
        return target
    raise AttributeError(
        f"{name[:60]!r} of a {type(target).__name__[:60]} of the grader's can't be reached from "
        "the student's code: pass plain data, or use the isolation 'shared'"
    )


def _attr(peer: Any, target: Any, name: Any) -> Any:
    return getattr(opened(target, public(name)), name)


def _setattr(peer: Any, target: Any, name: Any, value: Any) -> None:
    setattr(opened(target, public(name)), name, value)


def _container(target: Any) -> Any:
    """An instance that can be measured and indexed: no class, no function."""
    if isinstance(target, CALL_ONLY):
        raise AttributeError("a function of the grader's can only be called")
    return target


def _next(peer: Any, target: Any) -> Any:
    try:
        return False, next(target)
    except StopIteration:
        return True, None


def _vjp(peer: Any, number: Any, keys: Any, dy: Any, again: Any) -> Any:
    from autograder import wire_torch

    return wire_torch.serve_vjp(peer, number, keys, dy, again)


SERVED: dict[str, Callable[..., Any]] = {
    "call": _call,
    "vjp": _vjp,
    "next": _next,
    "attr": _attr,
    "setattr": _setattr,
    "item": lambda peer, target, key: _container(target)[key],
    "setitem": lambda peer, target, key, value: _container(target).__setitem__(key, value),
    "len": lambda peer, target: len(_container(target)),
    "iter": lambda peer, target: iter(_container(target)),
    "contains": lambda peer, target, item: item in _container(target),
}
"""The student's side can use what a call handed to it, and nothing else."""
