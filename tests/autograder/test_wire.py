"""The wire: plain data survives the crossing exactly, and nothing else gets through."""

import contextlib
import json
import math
import socket
import threading
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from autograder.channel import Channel
from autograder.wire import Decoder, Encoder, TooSlow, WireError

LIMIT = 2**20

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.binary(max_size=20) | st.complex_numbers() | st.fractions() | st.just(...)
    | npst.arrays(npst.scalar_dtypes() | npst.unicode_string_dtypes(min_len=1, max_len=5),
                  npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=4)
    | st.lists(inner, max_size=4).map(tuple) | st.sets(st.integers(), max_size=4),
    max_leaves=12,
)  # fmt: skip


def cross(value: Any) -> Any:
    out = Encoder(LIMIT)
    node = json.loads(json.dumps(out.encode(value)))
    return Decoder([memoryview(bytes(b)) for b in out.buffers]).decode(node)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return (type(other) is np.ndarray and one.shape == other.shape
                and one.dtype == other.dtype and one.tobytes() == other.tobytes())
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(
            map(same, one, other))
    if isinstance(one, dict):
        return type(other) is dict and list(one) == list(other) and all(
            same(one[k], other[k]) for k in one)
    if isinstance(one, float):
        return type(other) is float and (one == other or (math.isnan(one) and math.isnan(other)))
    if isinstance(one, complex):
        return type(other) is complex and same(one.real, other.real) and same(
            one.imag, other.imag)
    return type(one) is type(other) and bool(one == other)


@given(plain)
def test_what_goes_in_comes_out(value: Any) -> None:
    assert same(value, cross(value))


@pytest.mark.parametrize("value", [
    np.float32(0.1), np.int64(-3), np.bool_(True), np.float16(2), np.complex64(1j),
    np.datetime64("2020-01-02"), np.str_("text"), Decimal("1.10"), Fraction(1, 3), range(2, 9, 3),
    slice(None, 3), 10**400, -(2**70), np.dtype("float32"), np.float64, int, "\ud800",
])  # fmt: skip
def test_rarer_values_cross(value: Any) -> None:
    back = cross(value)
    assert back == value
    assert type(back) is type(value)


class LoudArray(np.ndarray):
    """Claims to be equal to everything."""

    def __eq__(self, other: object) -> Any:
        return True

    __hash__ = None  # type: ignore[assignment]


class Agreeable(int):
    """An int that agrees with everybody."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


def test_subclasses_arrive_as_their_base() -> None:
    array = cross(np.arange(3).view(LoudArray))
    assert type(array) is np.ndarray
    assert array.tolist() == [0, 1, 2]
    number = cross(Agreeable(3))
    assert type(number) is int
    assert number != 4


@pytest.mark.parametrize("value", [object(), len, Exception("x"), np.array([object()]), type])
def test_what_is_no_data_does_not_cross(value: Any) -> None:
    with pytest.raises(WireError, match="can't cross"):
        cross(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(WireError, match=r"nested deeper|holds itself"):
        cross(loop)


def test_a_message_has_room_for_so_many_bytes() -> None:
    with pytest.raises(WireError, match="more than 1 MiB"):
        cross(np.zeros(LIMIT))


@pytest.mark.parametrize("node", [
    {"array": ["<f8", [2], 0]},                   # too few bytes
    {"array": ["<f8", [-1], 0]}, {"array": ["<f8", [2**62, 2**62], 0]},
    {"array": ["|O", [1], 0]}, {"array": ["|V8", [1], 0]}, {"array": ["<f8,<f8", [1], 0]},
    {"array": ["<f8", "11", 0]}, {"array": ["<f8", [1], 7]}, {"array": ["<f8", [1], -1]},
    {"array": ["<f8", [1], True]}, {"array": []}, {"array": None}, {"dtype": "O"},
    {"numpy type": "V"}, {"type": "eval"}, {"type": "__import__"}, {"type": ["int"]},
    {"dict": [[[], 1]]}, {"dict": [1]}, {"set": [[]]}, {"int": "zz"}, {"int": 3},
    {"named": ["x", ["a"], []]}, {"unknown": 1}, {}, {"tuple": [1], "dict": []}, {"tuple": 1},
    {"handle": [1, "function", "f", []]}, {"module": "os"}, {"number": ["<f8", "nan"]},
    {"number": ["|O", 1]}, {"bytes": "a"}, {"range": [1, 2, 0]}, {"complex": ["a", 1]},
    {"decimal": "x"}, {"fraction": [1, 0]}, {"objects": [[2], [1]]},
])  # fmt: skip
def test_a_malformed_node_is_refused(node: Any) -> None:
    with pytest.raises(WireError):
        Decoder([memoryview(b"12345678")]).decode(node)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["array", "tuple", "dict", "scalar", "named", "int", "set",
                                       "objects", "slice", "range", "bytes", "number", "type"]),
                      inner, max_size=1),
    max_leaves=10,
)  # fmt: skip


@given(json_values)
def test_any_json_is_read_or_refused(node: Any) -> None:
    with contextlib.suppress(WireError):
        Decoder([memoryview(b"\0" * 8)]).decode(node)


def pair(array_bytes: int = LIMIT) -> tuple[socket.socket, Channel]:
    ours, theirs = socket.socketpair()
    return ours, Channel(theirs, array_bytes)


def test_a_channel_carries_messages() -> None:
    one, other = socket.socketpair()
    sender, receiver = Channel(one, LIMIT), Channel(other, LIMIT)
    data = np.arange(1000.0)
    thread = threading.Thread(target=sender.send, args=({"a": 1}, [b"xy", memoryview(data)
                                                                   .cast("B")]))
    thread.start()
    header, buffers = receiver.receive()
    thread.join()
    assert header == {"a": 1}
    assert bytes(buffers[0]) == b"xy"
    assert np.frombuffer(buffers[1]).tolist() == data.tolist()


@pytest.mark.parametrize("data", [
    b"\xff\xff\xff\xff\x00\x00\x00\x00",            # 4 GiB of JSON announced
    b"\x02\x00\x00\x00\xff\xff\xff\x7f[]",          # 2 GiB of arrays announced
    b"\x02\x00\x00\x00\x00\x00\x00\x00{}",
    b"\x06\x00\x00\x00\x01\x00\x00\x00[1,[]]x",     # sizes don't add up
    b"\x0a\x00\x00\x00\x00\x00\x00\x00[1,[1,-1]]",
    b"\x03\x00\x00\x00\x00\x00\x00\x00\xff\xfe\xfd",
])  # fmt: skip
def test_a_forged_message_is_refused_before_it_is_stored(data: bytes) -> None:
    raw, channel = pair()
    raw.sendall(data)
    raw.close()
    with pytest.raises(WireError):
        channel.receive()


def test_silence_ends() -> None:
    import time

    raw, channel = pair()
    with pytest.raises(TooSlow):
        channel.receive(time.monotonic() + 0.05)
    raw.close()


def test_a_slow_drip_does_not_extend_the_deadline() -> None:
    import time

    raw, channel = pair()

    def drip() -> None:
        for byte in b"\x10\x00\x00\x00\x00\x00\x00\x00":
            time.sleep(0.05)
            try:
                raw.sendall(bytes([byte]))
            except OSError:
                return

    thread = threading.Thread(target=drip)
    start = time.monotonic()
    thread.start()
    with pytest.raises(TooSlow):
        channel.receive(start + 0.15)
    assert time.monotonic() - start < 0.35
    channel.sock.close()
    thread.join()
    raw.close()
