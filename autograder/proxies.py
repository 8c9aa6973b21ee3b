"""Stand-ins for functions, classes and instances that live on the other side.

A proxy never lets the other side decide a comparison. What crosses as data is compared as data;
an instance can be asked for its attributes, its items and its methods' results, but ``==``, ``<``
and ``bool()`` are answered here, and arithmetic is passed on only for instances that this side
itself made from the other's class. Otherwise a function could return an object that claims to be
equal to everything.
"""

from __future__ import annotations

import functools
import inspect
import types
from typing import Any

from autograder.wire import WireError

#: What an instance must define for its proxy to offer it.
ABILITIES = ("__call__", "__len__", "__iter__", "__getitem__", "__setitem__", "__contains__",
             "__next__", "__enter__", "__exit__", "__delitem__")  # fmt: skip
OPERATORS = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor",
    "lshift", "rshift",
)  # fmt: skip
UNARY = ("neg", "pos", "abs", "invert")
DIFFERENCES = ("__sub__", "__rsub__")
READABLE_SPECIALS = ("__name__", "__doc__", "__qualname__")


def traits_of(value: Any) -> list[Any]:
    """``[kind, name, abilities]`` of an object that crosses as a handle."""
    if isinstance(value, type):
        return ["class", value.__name__[:200], []]
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType
                  | functools.partial | types.MethodWrapperType | types.WrapperDescriptorType
                  | types.MethodDescriptorType):  # fmt: skip
        return ["function", str(getattr(value, "__name__", "function"))[:200], []]
    cls = type(value)
    found = [name for name in ABILITIES if getattr(cls, name, None) is not None]
    return ["object", cls.__name__[:200], found]


class Remote:
    """Base of all proxies."""

    def __init__(self, peer: Any, handle: int, name: str, own: bool = False) -> None:
        set_slot = object.__setattr__
        set_slot(self, "_peer", peer)
        set_slot(self, "_handle", handle)
        set_slot(self, "_name", name)
        set_slot(self, "_own", own)
        set_slot(self, "_gap", False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in READABLE_SPECIALS:
            raise AttributeError(name)
        return _mark(self, ask(self, "attr", name))

    def __setattr__(self, name: str, value: Any) -> None:
        ask(self, "setattr", name, value)

    def __repr__(self) -> str:
        return f"<{_get(self, '_name')}: an object of the other side>"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Remote)
            and _get(self, "_peer") is _get(other, "_peer")
            and _get(self, "_handle") == _get(other, "_handle")
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((id(_get(self, "_peer")), _get(self, "_handle")))

    def __bool__(self) -> bool:
        return True

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __reduce__(self) -> Any:
        raise TypeError(f"{_get(self, '_name')} is an object of the other side: it can't be copied")


def _get(proxy: Any, name: str) -> Any:
    return object.__getattribute__(proxy, name)


def ask(proxy: Remote, operation: str, *arguments: Any) -> Any:
    """Send one use of a proxy to where the object lives."""
    return _get(proxy, "_peer").ask(operation, proxy, *arguments)


def _mark(parent: Any, value: Any) -> Any:
    """What comes from an instance that this side made can be calculated with, too."""
    if isinstance(value, RemoteObject) and _get(parent, "_own"):
        object.__setattr__(value, "_own", True)
        object.__setattr__(value, "_gap", _get(parent, "_gap"))
    return value


class RemoteFunction(Remote):
    """A function of the other side."""

    def __init__(self, peer: Any, handle: int, name: str, own: bool = False) -> None:
        super().__init__(peer, handle, name, own)
        object.__setattr__(self, "__name__", name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function where it lives."""
        return _mark(self, call(self, args, kwargs))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)


def call(proxy: Remote, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the object behind a proxy; gradients flow through where torch is loaded."""
    from autograder.peer import torch_extension

    peer = _get(proxy, "_peer")
    torch_side = torch_extension()
    if torch_side is not None:
        return torch_side.call(peer, proxy, args, kwargs)
    return peer.ask("call", proxy, args, dict_items(kwargs))


def dict_items(kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Keyword arguments as pairs: they are no container that both sides share."""
    return tuple(kwargs.items())


class RemoteClass(Remote):
    """A class of the other side: call it to make an instance there."""

    def __init__(self, peer: Any, handle: int, name: str, own: bool = False) -> None:
        super().__init__(peer, handle, name, own)
        object.__setattr__(self, "__name__", name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make an instance over there, which operators then work on."""
        made = call(self, args, kwargs)
        if isinstance(made, RemoteObject):
            object.__setattr__(made, "_own", True)
        return made

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, RemoteObject) and bool(ask(self, "isinstance", instance))


class RemoteObject(Remote):
    """An instance of the other side; abilities come from `object_class`."""

    def __iter_values__(self) -> Any:
        iterator = ask(self, "iter")
        while True:
            done, value = ask(iterator, "next")
            if done:
                return
            yield _mark(self, value)


def _calculate(name: str) -> Any:
    def operator(self: Any, other: Any) -> Any:
        _must_be_own(self, name)
        # A difference to data is a comparison: what comes of it must not be a verdict.
        gap = _get(self, "_gap") or (name in DIFFERENCES and not isinstance(other, Remote))
        return _calculated(self, name, ask(self, "operator", name, other), gap)

    return operator


def _calculate_alone(name: str) -> Any:
    def operator(self: Any) -> Any:
        _must_be_own(self, name)
        return _calculated(self, name, ask(self, "unary", name), _get(self, "_gap"))

    return operator


def _calculated(parent: Any, name: str, value: Any, gap: bool) -> Any:
    if gap and not isinstance(value, RemoteObject):
        raise TypeError(
            f"an object of class {_get(parent, '_name')} can't be compared here by {name}: "
            "compare its numbers"
        )
    value = _mark(parent, value)
    if gap:
        object.__setattr__(value, "_gap", True)
    return value


def _must_be_own(proxy: Any, name: str) -> None:
    if not _get(proxy, "_own"):
        raise TypeError(
            f"an object of class {_get(proxy, '_name')} came back where a number or an array is "
            f"needed ({name}): return plain data"
        )


def _no_order(self: Any, other: Any) -> Any:
    raise TypeError(
        f"an object of class {_get(self, '_name')} can't be compared here: compare its numbers"
    )


for _name in OPERATORS:
    setattr(RemoteObject, f"__{_name}__", _calculate(f"__{_name}__"))
    setattr(RemoteObject, f"__r{_name}__", _calculate(f"__r{_name}__"))
for _name in UNARY:
    setattr(RemoteObject, f"__{_name}__", _calculate_alone(f"__{_name}__"))
for _name in ("lt", "le", "gt", "ge"):
    setattr(RemoteObject, f"__{_name}__", _no_order)

_ABILITY_METHODS: dict[str, Any] = {
    "__call__": lambda self, *args, **kwargs: _mark(self, call(self, args, kwargs)),
    "__len__": lambda self: ask(self, "len"),
    "__iter__": RemoteObject.__iter_values__,
    "__getitem__": lambda self, key: _mark(self, ask(self, "item", key)),
    "__setitem__": lambda self, key, value: ask(self, "setitem", key, value),
    "__delitem__": lambda self, key: ask(self, "delitem", key),
    "__enter__": lambda self: _mark(self, ask(self, "enter")),
}


def _contains(self: Any, item: Any) -> bool:
    """A result's items are compared here; a container that this side made is asked."""
    if _get(self, "_own"):
        return bool(ask(self, "contains", item))
    return any(value is item or value == item for value in self.__iter_values__())


def _exit(self: Any, *error: Any) -> bool:
    """A context manager of the student's must not swallow a failed assertion."""
    swallowed = bool(ask(self, "exit"))
    kind = error[0] if error else None
    return swallowed and kind is not None and (
        issubclass(kind, Exception) and not issubclass(kind, AssertionError)
    )


_ABILITY_METHODS["__contains__"] = _contains
_ABILITY_METHODS["__exit__"] = _exit


def _next(self: Any) -> Any:
    done, value = ask(self, "next")
    if done:
        raise StopIteration
    return _mark(self, value)


_ABILITY_METHODS["__next__"] = _next


@functools.lru_cache(maxsize=256)
def object_class(abilities: frozenset[str]) -> type[RemoteObject]:
    """The proxy class whose instances can do just this much."""
    methods = {name: _ABILITY_METHODS[name] for name in ABILITIES if name in abilities}
    return type("RemoteObject", (RemoteObject,), methods)


def make_proxy(peer: Any, handle: Any, kind: Any, name: Any, abilities: Any) -> Remote:
    """Build the stand-in that a handle describes."""
    if type(handle) is not int or not isinstance(abilities, list):
        raise WireError("a handle is malformed")
    label = str(name)[:200]
    if kind == "function":
        return RemoteFunction(peer, handle, label)
    if kind == "class":
        return RemoteClass(peer, handle, label)
    if kind != "object":
        raise WireError(f"a handle has the unknown kind {str(kind)[:40]!r}")
    cls = object_class(frozenset(str(item) for item in abilities) & frozenset(ABILITIES))
    return cls(peer, handle, label)


def signature_text(function: Any) -> str:
    """A function's signature for people, or ""."""
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return ""
