"""What the grader's side asks of one child: its files and limits, as bytes in a descriptor.

The zygote passes the descriptor on without reading it, so that nothing of one submission is in
the memory that the next one is born with.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

CHUNK = 1 << 20


class Limits(NamedTuple):
    """What a child may use; the fields mean what they mean in `autograder.bounds.Bounds`."""

    memory_bytes: int
    processes: int
    open_files: int
    file_bytes: int
    processor_seconds: int


class Order(NamedTuple):
    """One child as ordered.

    Attributes
    ----------
    limits : Limits
        What it may use.
    files : tuple of (str, int)
        Names, relative to the working directory, and sizes of the files it finds there.
    without : frozenset of str
        Defences to leave out: empty but in the tests that show what each defence is for.
    """

    limits: Limits
    files: tuple[tuple[str, int], ...] = ()
    without: frozenset[str] = frozenset()


def check_name(name: str) -> str:
    """Return a file's name if it is one below the working directory, else raise ValueError."""
    parts = name.split("/")
    if "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"a file's name must be relative, without '..' in it, got {name!r}")
    return name


def write_order(order: Order, contents: Mapping[str, bytes]) -> int:
    """Return a descriptor that holds an order and its files."""
    header = json.dumps({
        "limits": order.limits._asdict(),
        "files": order.files,
        "without": sorted(order.without),
    }).encode()
    descriptor = os.memfd_create("order", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        stream.write(struct.pack("<Q", len(header)))
        stream.write(header)
        for name, _ in order.files:
            stream.write(contents[name])
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def read_order(descriptor: int) -> Order:
    """Read an order; the descriptor is left at the first byte of the first file."""
    (length,) = struct.unpack("<Q", os.read(descriptor, 8))
    values: dict[str, Any] = json.loads(_read_exactly(descriptor, length))
    return Order(
        limits=Limits(**values["limits"]),
        files=tuple((check_name(name), int(size)) for name, size in values["files"]),
        without=frozenset(values["without"]),
    )


def write_files(order: Order, descriptor: int, folder: str) -> None:
    """Create an order's files below a folder."""
    for name, size in order.files:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            while size:
                chunk = os.read(descriptor, min(size, CHUNK))
                if not chunk:
                    raise OSError("the order ended within a file")
                stream.write(chunk)
                size -= len(chunk)


def _read_exactly(descriptor: int, count: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < count:
        chunk = os.read(descriptor, count - len(chunks))
        if not chunk:
            raise OSError("the order ended within its header")
        chunks += chunk
    return bytes(chunks)
