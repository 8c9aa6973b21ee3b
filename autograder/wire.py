"""The plain-data protocol between the student's side and the grader's.

A message is a JSON header and the raw bytes of its arrays. Nothing in it can name code to run:
there is no pickle, a type is named only to be looked up in a short list, and every size is checked
before memory is taken for it. What the grader reads is rebuilt as exact built-in types, base
arrays and base tensors, whatever class it had on the other side.

A header value is JSON's null, true, number, string or list for Python's None, bool, int or float,
str and list; anything else is an object with one key, the tag that says how to read it.
"""

from __future__ import annotations

import builtins
import functools
import math
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from types import EllipsisType
from typing import Any

import numpy as np

MAX_DEPTH = 100
INT_DIGITS = 250_000
RANGE_LIMIT = 10_000_000
DECIMAL_EXPONENT = 10_000
DTYPE = re.compile(r"[<>|=]?[?bBhHiIlLqQefdgFDGSUMmuc]\d{0,6}(\[\w{1,12}\])?")
KINDS = "biufcSUMm"
PLAIN_TYPES = (
    "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object",
    "set", "str", "tuple",
)  # fmt: skip


class WireError(Exception):
    """A value that can't cross, or a message that breaks the rules."""


class Disconnected(WireError):  # noqa: N818 - what happened, not what is wrong
    """The other side is gone."""


class TooSlow(WireError):  # noqa: N818 - what happened, not what is wrong
    """The other side did not answer in time."""


class Encoder:
    """Turns one message's values into header nodes and buffers.

    Parameters
    ----------
    array_bytes : int
        Limit for all buffers together.
    foreign : callable
        ``foreign(value, encoder) -> node`` for what is no plain data (functions, instances).
    """

    def __init__(
        self, array_bytes: int, foreign: Callable[[Any, Encoder], Any] | None = None
    ) -> None:
        self.buffers: list[Any] = []
        self.room = array_bytes
        self.limit = array_bytes
        self.peer: Any = None
        self.reply = False
        self.sources: dict[int, Any] = {}
        self._foreign = foreign
        self._depth = 0

    def add(self, data: Any) -> int:
        """Append a buffer; returns its number."""
        view = memoryview(data)
        self.room -= view.nbytes
        if self.room < 0:
            raise WireError(
                f"the arrays of one message hold more than {self.limit // 2**20} MiB: "
                "return less data at once"
            )
        self.buffers.append(view.cast("B") if view.nbytes else b"")
        return len(self.buffers) - 1

    def encode(self, value: Any) -> Any:
        """Turn a value into a node."""
        kind = type(value)
        if value is None or kind is bool or kind is str or kind is float:
            return value
        if kind is int:
            return value if -(2**63) <= value < 2**64 else {"int": hex(value)}
        if kind is tuple and all(type(item) in ATOMS for item in value):
            return {"tuple": list(value)}
        if named_fields(kind) and all(type(item) in ATOMS for item in value):  # type: ignore[arg-type]
            return {"named": [kind.__name__, list(kind._fields), list(value)]}  # type: ignore[attr-defined]
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise WireError(f"a value is nested deeper than {MAX_DEPTH} levels, or holds itself")
        try:
            return self._encode(value, kind)
        finally:
            self._depth -= 1

    def _encode(self, value: Any, kind: type) -> Any:
        if self._foreign is not None:
            node = self._foreign(value, self)
            if node is not None:
                return node
        return encode_plain(value, self)

    def items(self, values: Any) -> list[Any]:
        """Nodes of some values."""
        return [self.encode(value) for value in values]


NUMBERS: dict[Any, str] = {kind: np.dtype(kind).str for kind in (
    np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, np.bool_,
)}  # fmt: skip
ATOMS = (str, float, bool, type(None))
PLAIN = (
    bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, range,
    slice, EllipsisType, Fraction, Decimal, PurePath, np.ndarray, np.generic, np.dtype,
)  # fmt: skip


def is_plain(value: Any) -> bool:
    """Whether `encode_plain` takes a value (or refuses it with a reason of its own)."""
    if isinstance(value, type):
        known = value.__module__ == "builtins" and value.__name__ in PLAIN_TYPES
        return known or (issubclass(value, np.generic) and np.dtype(value).kind in KINDS)
    return isinstance(value, PLAIN)


@functools.lru_cache(maxsize=256)
def named_fields(kind: Any) -> bool:
    """Whether a type is a named tuple."""
    return issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple)


def encode_plain(value: Any, out: Encoder) -> Any:
    """Node of a value of a plain type or a subclass of one; WireError for others."""
    if isinstance(value, np.ndarray):
        return encode_array(value, out)
    if isinstance(value, np.generic):
        if type(value) in NUMBERS:
            return {"number": [NUMBERS[type(value)], value.item()]}
        array = np.asarray(value)
        if array.dtype.kind in KINDS:
            return {"scalar": [array.dtype.str, out.add(array.tobytes())]}
    elif isinstance(value, bool | int):
        return out.encode(int.__index__(value))
    elif isinstance(value, float):
        return float.__float__(value)
    elif isinstance(value, str):
        return str.__str__(value)
    elif isinstance(value, list):
        return out.items(list.__iter__(value))
    elif isinstance(value, tuple):
        return _encode_tuple(value, out)
    elif isinstance(value, dict):
        return {"dict": [[out.encode(k), out.encode(v)] for k, v in dict.items(value)]}
    else:
        return _encode_rarer(value, out)
    raise WireError(f"a value of type {type(value).__name__} can't cross as plain data")


def _encode_tuple(value: tuple[Any, ...], out: Encoder) -> Any:
    items = out.items(tuple.__iter__(value))
    names = getattr(type(value), "_fields", None)
    if isinstance(names, tuple) and len(names) == len(items):
        return {"named": [type(value).__name__, [str(name) for name in names], items]}
    return {"tuple": items}


def _encode_rarer(value: Any, out: Encoder) -> Any:
    if isinstance(value, bytes | bytearray):
        return {type(value).__mro__[-2].__name__: out.add(bytes(value))}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, set | frozenset):
        name = "set" if isinstance(value, set) else "frozenset"
        return {name: out.items(value)}
    if isinstance(value, range):
        return {"range": out.items([value.start, value.stop, value.step])}
    if isinstance(value, slice):
        return {"slice": out.items([value.start, value.stop, value.step])}
    if isinstance(value, EllipsisType):
        return {"ellipsis": 0}
    if isinstance(value, Fraction):
        return {"fraction": out.items([value.numerator, value.denominator])}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, PurePath):
        return {"path": str(value)}
    if isinstance(value, np.dtype) and value.kind in KINDS:
        return {"dtype": value.str}
    if isinstance(value, type):
        if value.__module__ == "builtins" and value.__name__ in PLAIN_TYPES:
            return {"type": value.__name__}
        if issubclass(value, np.generic) and np.dtype(value).kind in KINDS:
            return {"numpy type": np.dtype(value).str}
    raise WireError(f"a value of type {type(value).__name__} can't cross as plain data")


def encode_array(value: Any, out: Encoder) -> Any:
    """Node of an array; what a subclass adds to it is dropped."""
    if value.dtype.kind == "O":
        return {"objects": [list(value.shape), out.items(value.ravel().tolist())]}
    if value.dtype.kind not in KINDS:
        raise WireError(f"an array of dtype {value.dtype} can't cross: numbers and text can")
    base = np.ascontiguousarray(value.view(np.ndarray))
    number = out.add(raw(base))
    out.sources[number] = value
    return {"array": [value.dtype.str, list(value.shape), number]}


def raw(array: Any) -> Any:
    """The bytes of a contiguous array, without a copy where NumPy allows it."""
    return array.reshape(-1).view(np.uint8).data if array.size and array.itemsize else b""


class Decoder:
    """Turns the nodes of one message back into values.

    Parameters
    ----------
    buffers : list
        The message's buffers.
    foreign : callable
        ``foreign(tag, content, decoder) -> value`` for tags that are no plain data.
    named : callable
        ``named(name, fields) -> class or None`` finds the class of a named tuple.
    """

    def __init__(
        self,
        buffers: list[memoryview],
        foreign: Callable[[str, Any, Decoder], Any] | None = None,
        named: Callable[[str, list[str]], Any] | None = None,
    ) -> None:
        self.buffers = buffers
        self.made: dict[int, tuple[int, Any]] = {}
        self._foreign = foreign
        self._named = named

    def decode(self, node: Any) -> Any:
        """Turn a node into a value.

        Raises
        ------
        WireError
            For anything that `Encoder` would not have written.
        """
        kind = type(node)
        if kind is list:
            return [self.decode(item) for item in node]
        if kind is not dict:
            return node
        if len(node) != 1:
            raise WireError("a node must have exactly one tag")
        ((tag, content),) = node.items()
        try:
            reader = READERS.get(tag)
            if reader is not None:
                return reader(content, self)
            if tag == "named":
                return self._read_named(content)
            if self._foreign is not None:
                return self._foreign(tag, content, self)
        except WireError:
            raise
        except (TypeError, ValueError, IndexError, KeyError, OverflowError, ArithmeticError,
                AttributeError) as error:  # fmt: skip
            raise WireError(f"a {tag!r} node is malformed: {str(error)[:200]}") from None
        raise WireError(f"there is no tag {str(tag)[:40]!r}")

    def buffer(self, number: Any) -> memoryview:
        """Buffer by number."""
        if type(number) is not int or not 0 <= number < len(self.buffers):
            raise WireError("a node names a buffer that isn't there")
        return self.buffers[number]

    def _read_named(self, content: Any) -> Any:
        name, fields, items = content
        values = [self.decode(item) for item in items]
        plain = [str(field) for field in fields]
        if len(plain) != len(values) or len(plain) > 64:
            raise WireError("a named tuple must have as many names as values, at most 64")
        cls = self._named(str(name), plain) if self._named is not None else None
        return tuple(values) if cls is None else cls(*values)


def read_array(content: Any, wire: Decoder) -> Any:
    """A fresh, writable base array."""
    dtype, (shape, number) = read_dtype(content[0], wire), content[1:]
    data = wire.buffer(number)
    if len(shape) > 32 or any(type(size) is not int or size < 0 for size in shape):
        raise WireError("an array's shape must be at most 32 counts")
    if math.prod(shape) * dtype.itemsize != data.nbytes:
        raise WireError(f"an array of shape {tuple(shape)} and dtype {dtype} doesn't fit its bytes")
    if not data.nbytes:
        if math.prod(shape):
            raise WireError("an array of empty text can't cross")
        return np.empty(shape, dtype)
    array = np.frombuffer(data, dtype).reshape(shape).copy()
    wire.made[id(array)] = (number, array)
    return array


def read_dtype(content: Any, wire: Decoder) -> Any:
    """A dtype of numbers, text or times."""
    if not isinstance(content, str) or not DTYPE.fullmatch(content):
        raise WireError(f"{str(content)[:40]!r} is no dtype that can cross")
    dtype = np.dtype(content)
    if dtype.kind not in KINDS:
        raise WireError(f"{content!r} is no dtype that can cross")
    return dtype


def _read_scalar(content: Any, wire: Decoder) -> Any:
    dtype = read_dtype(content[0], wire)
    return np.frombuffer(wire.buffer(content[1]), dtype, count=1)[0]


def _read_number(content: Any, wire: Decoder) -> Any:
    name, value = content
    kind = NUMBER_TYPES.get(name)
    if kind is None or not isinstance(value, bool | int | float):
        raise WireError("a number is malformed")
    return kind(value)


def _read_objects(content: Any, wire: Decoder) -> Any:
    shape, items = content
    values = np.empty(len(items), object)
    for place, item in enumerate(items):
        values[place] = wire.decode(item)
    return values.reshape([int(size) for size in shape])


def _read_int(content: Any, wire: Decoder) -> int:
    if len(content) > INT_DIGITS:
        raise WireError("an integer is too large")
    return int(content, 16)


def _read_range(content: Any, wire: Decoder) -> range:
    # sum() and list() of a longer one can't be interrupted.
    found = range(*wire.decode(content))
    if (found.stop - found.start) // found.step > RANGE_LIMIT:
        raise WireError(f"a range has more than {RANGE_LIMIT} numbers")
    return found


def _read_fraction(content: Any, wire: Decoder) -> Fraction:
    numerator, denominator = wire.decode(content)
    if type(numerator) is not int or type(denominator) is not int:
        raise WireError("a fraction must have two integers")  # text could say 1e999999999
    return Fraction(numerator, denominator)


def _read_decimal(content: Any, wire: Decoder) -> Decimal:
    found = Decimal(str(content)[:1000])
    if found.is_finite() and abs(found.adjusted()) > DECIMAL_EXPONENT:
        raise WireError("a decimal number is too large or too small")  # int() would write it out
    return found


NUMBER_TYPES = {name: kind for kind, name in NUMBERS.items()}
READERS: dict[str, Callable[[Any, Decoder], Any]] = {
    "int": _read_int,
    "array": read_array,
    "objects": _read_objects,
    "number": _read_number,
    "scalar": _read_scalar,
    "dtype": read_dtype,
    "numpy type": lambda content, wire: read_dtype(content, wire).type,
    "tuple": lambda content, wire: tuple(wire.decode(item) for item in content),
    "dict": lambda content, wire: {wire.decode(k): wire.decode(v) for k, v in content},
    "bytes": lambda content, wire: bytes(wire.buffer(content)),
    "bytearray": lambda content, wire: bytearray(wire.buffer(content)),
    "complex": lambda content, wire: complex(float(content[0]), float(content[1])),
    "set": lambda content, wire: {wire.decode(item) for item in content},
    "frozenset": lambda content, wire: frozenset(wire.decode(item) for item in content),
    "range": _read_range,
    "slice": lambda content, wire: slice(*wire.decode(content)),
    "ellipsis": lambda content, wire: ...,
    "fraction": _read_fraction,
    "decimal": _read_decimal,
    "path": lambda content, wire: PurePath(str(content)[:4096]),
    "type": lambda content, wire: getattr(
        builtins, content if content in PLAIN_TYPES else "-"),
}  # fmt: skip


def whole_text(value: Any) -> Any:
    """The same plain value with text that can be written as UTF-8: no half of a character."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [whole_text(item) for item in value]
    if isinstance(value, dict):
        return {whole_text(key): whole_text(item) for key, item in value.items()}
    return value
