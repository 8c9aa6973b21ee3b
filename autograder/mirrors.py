"""Objects that live on both sides of a call and stay equal: a function's changes reach its caller.

A plain call by value would hide from the grader that a function modified its argument, and from a
student's loop that a generator moved on. So the mutable arguments of a call are mirrored: each
side keeps its own object under a common key, and every message first says which of them changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograder.wire import Decoder, Encoder, WireError, encode_array, raw, read_array

SCALARS = (bool, int, float, complex, str, bytes, type(None))


@dataclass
class Kind:
    """How one kind of object is mirrored.

    Parameters
    ----------
    name : str
        Its tag on the wire.
    lasting : bool
        Whether it outlives a call: an object of the student's may hold it.
    encode, create : callable
        ``encode(obj, encoder) -> node`` and ``create(node, decoder) -> obj``.
    state : callable
        ``state(obj)``: what later tells whether it changed.
    changed : callable
        ``changed(obj, state) -> bool``.
    update, apply : callable
        ``update(obj, encoder, state) -> node`` and ``apply(obj, node, decoder)``.
    """

    name: str
    lasting: bool
    encode: Callable[[Any, Encoder], Any]
    create: Callable[[Any, Decoder], Any]
    state: Callable[[Any], Any]
    changed: Callable[[Any, Any], bool]
    update: Callable[[Any, Encoder, Any], Any]
    apply: Callable[[Any, Any, Decoder], None]

    @property
    def always(self) -> bool:
        """Whether every message looks at it: few there are, and calls change them."""
        return self.lasting or self.name == "namespace"


@dataclass
class Mirror:
    """One object under a key."""

    obj: Any
    kind: Kind
    state: Any = None


class Mirrors:
    """All mirrors of one side.

    Parameters
    ----------
    first : int
        0 or 1: each side draws its own keys, even or odd.
    """

    def __init__(self, first: int) -> None:
        self._next = first
        self._parity = first % 2
        self._named: set[int] = set()
        self._by_key: dict[int, Mirror] = {}
        self._keys: dict[int, int] = {}

    def key_of(self, obj: Any) -> int | None:
        """Key of an object that is mirrored already."""
        key = self._keys.get(id(obj))
        if key is not None:
            self._named.add(key)
        return key

    def get(self, key: Any) -> Any:
        """The object under a key."""
        mirror = self._by_key.get(key) if type(key) is int else None
        if mirror is None:
            raise WireError("a message names an object that isn't shared")
        return mirror.obj

    def objects(self, kind: Kind) -> list[tuple[int, Any]]:
        """Keys and objects of one kind."""
        return [(key, m.obj) for key, m in self._by_key.items() if m.kind is kind]

    def view_node(self, array: Any, out: Encoder) -> Any:
        """A node for an array that lies in the memory of an argument; None for one that doesn't."""
        if array.base is None or not array.size or array.dtype.kind == "O":
            return None
        start, end = np.lib.array_utils.byte_bounds(array)
        for key, other in self.objects(ARRAY):
            first, last = np.lib.array_utils.byte_bounds(other)
            if first <= start and end <= last:
                # Where the array's first element lies; strides can be negative.
                place = array.__array_interface__["data"][0] - first
                # The numbers go along, for a base that is laid out differently over there.
                return {"view": [key, list(array.strides), place, encode_array(array, out)]}
        return None

    def read_view(self, content: Any, wire: Decoder) -> Any:
        """The view of an argument that a node describes."""
        key, strides, place, node = content
        base, data = self.get(key), read_array(node["array"], wire)
        if not isinstance(base, np.ndarray) or not base.flags.c_contiguous:
            return data
        # ndarray checks that offset, strides and shape stay within the buffer.
        return np.ndarray(data.shape, data.dtype, base, int(place), strides)

    def export(self, obj: Any, kind: Kind, out: Encoder) -> Any:
        """Share an object from now on; returns its first node."""
        key = self._next
        self._next += 2
        self._keep(key, obj, kind)
        node = kind.encode(obj, out)
        self._note(key)
        return {"new": [key, kind.name, node]}

    def adopt(self, key: int, kind: Kind, node: Any, wire: Decoder) -> Any:
        """Create this side's object for a key of the other side."""
        if type(key) is not int or key in self._by_key or key % 2 == self._parity:
            raise WireError("a message shares an object under a key that it can't have")
        obj = kind.create(node, wire)
        self._keep(key, obj, kind)
        self._note(key)
        return obj

    def register(self, key: int, obj: Any, kind: Kind) -> None:
        """Enter an object that its creator has to enter before its content is complete."""
        self._keep(key, obj, kind)

    def new_key(self) -> int:
        """Draw a key."""
        key = self._next
        self._next += 2
        return key

    def note(self, obj: Any) -> None:
        """Take an object's present state as known to the other side."""
        key = self._keys.get(id(obj))
        if key is not None:
            self._note(key)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Forget what was shared within the block if it fails: the other side never heard of it."""
        before = self._next
        try:
            yield
        except BaseException:
            for key in range(before, self._next, 2):
                mirror = self._by_key.pop(key, None)
                if mirror is not None:
                    self._keys.pop(id(mirror.obj), None)
            raise

    def _keep(self, key: int, obj: Any, kind: Kind) -> None:
        if len(self._by_key) > 200_000:
            raise WireError("more than 200,000 objects are shared in one cell")
        self._by_key[key] = Mirror(obj, kind)
        self._keys[id(obj)] = key

    def _note(self, key: int) -> None:
        mirror = self._by_key[key]
        mirror.state = mirror.kind.state(mirror.obj)

    def _reachable(self, keys: set[int]) -> set[int]:
        """These keys, and those of what their containers hold."""
        found: set[int] = set()
        waiting = list(keys)
        while waiting:
            key = waiting.pop()
            mirror = self._by_key.get(key)
            if key in found or mirror is None:
                continue
            found.add(key)
            if mirror.kind in (LIST, DICT, SET, NAMESPACE):
                inner = (self._keys.get(id(item)) for item in _contents(mirror.obj))
                waiting += [one for one in inner if one is not None]
        return found

    def updates(self, out: Encoder, *, everything: bool) -> list[Any]:
        """Nodes for what changed since the last message.

        A question (``everything`` False) looks only at what its arguments name and at what lasts:
        a function that calls back thousands of times must not search all arguments each time.
        """
        nodes = []
        if everything:
            keys = list(self._by_key)
        else:
            named = {key for key, m in self._by_key.items() if m.kind.always} | self._named
            keys = list(self._reachable(named))
        self._named = set()
        for key in keys:
            mirror = self._by_key[key]
            if mirror.kind.changed(mirror.obj, mirror.state):
                nodes.append([key, mirror.kind.update(mirror.obj, out, mirror.state)])
                self._note(key)
        return nodes

    def apply(self, nodes: Any, wire: Decoder) -> None:
        """Repeat here what changed there."""
        for key, node in nodes:
            mirror = self._by_key.get(key) if type(key) is int else None
            if mirror is None:
                continue  # dropped on this side: nobody looks at it any more
            mirror.kind.apply(mirror.obj, node, wire)
            self._note(key)

    def clear(self) -> None:
        """Drop everything."""
        self._by_key.clear()
        self._keys.clear()


def _array_changed(array: Any, state: Any) -> bool:
    shape, data = state
    if array.shape != shape:
        return True
    return bool(memoryview(raw(np.ascontiguousarray(array))) != memoryview(data))


def _apply_array(array: Any, node: Any, wire: Decoder) -> None:
    new = read_array(node["array"], wire)
    if new.shape == array.shape and new.dtype == array.dtype:
        if not array.flags.writeable:
            raise WireError("an array that is read-only was changed")
        np.copyto(array, new)


ARRAY = Kind(
    "ndarray", False,
    encode=encode_array,
    create=lambda node, wire: read_array(node["array"], wire),
    state=lambda array: (array.shape, bytes(raw(np.ascontiguousarray(array)))),
    changed=_array_changed,
    update=lambda array, out, state: encode_array(array, out),
    apply=_apply_array,
)  # fmt: skip


def _same(one: Any, other: Any) -> bool:
    return one is other or (
        type(one) is type(other) and type(one) in SCALARS
        and (one == other or (one != one and other != other))
    )  # fmt: skip


def _contents(value: Any) -> list[Any]:
    """A shallow copy, for comparing: keys and values of a dict, items of others."""
    if isinstance(value, SimpleNamespace):
        value = vars(value)
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return list(value)


def _contents_changed(value: Any, before: list[Any]) -> bool:
    now = _contents(value)
    return len(now) != len(before) or not all(map(_same, now, before))


def _encode_items(value: Any, out: Encoder) -> Any:
    if isinstance(value, SimpleNamespace):
        value = vars(value)
    if isinstance(value, dict):
        return [[out.encode(k), out.encode(v)] for k, v in value.items()]
    return out.items(value)


def _fill_list(value: list[Any], node: Any, wire: Decoder) -> None:
    value[:] = [wire.decode(item) for item in node]


def _fill_dict(value: dict[Any, Any], node: Any, wire: Decoder) -> None:
    new = {wire.decode(k): wire.decode(v) for k, v in node}
    value.clear()
    value.update(new)


def _fill_set(value: set[Any], node: Any, wire: Decoder) -> None:
    new = {wire.decode(item) for item in node}
    value.clear()
    value.update(new)


def _fill_namespace(value: SimpleNamespace, node: Any, wire: Decoder) -> None:
    new = {str(wire.decode(k)): wire.decode(v) for k, v in node}
    vars(value).clear()
    vars(value).update(new)


def _container(name: str, empty: type, fill: Callable[[Any, Any, Decoder], None]) -> Kind:
    def create(node: Any, wire: Decoder) -> Any:
        value = empty()
        fill(value, node, wire)
        return value

    return Kind(
        name, False,
        encode=_encode_items, create=create, state=_contents, changed=_contents_changed,
        update=lambda value, out, state: _encode_items(value, out), apply=fill,
    )  # fmt: skip


LIST = _container("list", list, _fill_list)
DICT = _container("map", dict, _fill_dict)
SET = _container("aset", set, _fill_set)
NAMESPACE = _container("namespace", SimpleNamespace, _fill_namespace)


def _generator_state(rng: Any) -> Any:
    return rng.bit_generator.state


def _encode_generator(rng: Any, out: Encoder) -> Any:
    state = rng.bit_generator.state
    inner = state["state"]
    return [hex(inner["state"]), hex(inner["inc"]), state["has_uint32"], state["uinteger"]]


def _apply_generator(rng: Any, node: Any, wire: Decoder) -> None:
    state, inc, has, value = node
    if type(has) is not int or has not in (0, 1) or type(value) is not int:
        raise WireError("the state of a random generator is malformed")
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": int(state, 16) % 2**128, "inc": int(inc, 16) % 2**128},
        "has_uint32": has,
        "uinteger": value % 2**32,
    }


def _create_generator(node: Any, wire: Decoder) -> Any:
    rng = np.random.Generator(np.random.PCG64(0))
    _apply_generator(rng, node, wire)
    return rng


GENERATOR = Kind(
    "generator", True,
    encode=_encode_generator, create=_create_generator, state=_generator_state,
    changed=lambda rng, state: bool(rng.bit_generator.state != state),
    update=lambda rng, out, state: _encode_generator(rng, out), apply=_apply_generator,
)  # fmt: skip

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (ARRAY, LIST, DICT, SET, NAMESPACE, GENERATOR)
}
PER_CALL: dict[type, Kind] = {
    np.ndarray: ARRAY, list: LIST, dict: DICT, set: SET, SimpleNamespace: NAMESPACE,
}  # fmt: skip


def lasting_kind(value: Any) -> Kind | None:
    """The kind of an object that both sides share for longer than a call, or None."""
    if isinstance(value, np.random.Generator) and type(value.bit_generator) is np.random.PCG64:
        return GENERATOR
    return None
