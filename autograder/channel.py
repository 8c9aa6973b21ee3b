"""Messages between the two sides over a stream socket, bounded in size and time."""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

from autograder.wire import Disconnected, TooSlow, WireError

HEAD = struct.Struct("<II")
HEADER_LIMIT = 64 * 2**20
"""Bytes of a message's JSON part."""
MAX_BUFFERS = 100_000


class Channel:
    """Messages over a stream socket, bounded in size and time.

    Parameters
    ----------
    sock : socket.socket
        A connected stream socket.
    array_bytes : int
        Limit for the buffers of one message.
    """

    def __init__(self, sock: socket.socket, array_bytes: int) -> None:
        self.sock = sock
        self.array_bytes = array_bytes

    def send(self, header: Any, buffers: list[Any], deadline: float | None = None) -> None:
        """Send one message.

        Raises
        ------
        Disconnected, TooSlow
            When the other side is gone, or doesn't read.
        """
        sizes = [len(buffer) for buffer in buffers]
        text = json.dumps([header, sizes], separators=(",", ":")).encode("ascii")
        if len(text) > HEADER_LIMIT:
            raise WireError(f"a message has more than {HEADER_LIMIT // 2**20} MiB of plain values")
        data = b"".join([HEAD.pack(len(text), sum(sizes)), text, *buffers])
        try:
            self.sock.settimeout(_left(deadline))
            self.sock.sendall(data)
        except TimeoutError:
            raise TooSlow("the other side doesn't read its messages") from None
        except OSError as error:
            raise Disconnected(f"the other side is gone ({error.strerror})") from None

    def receive(self, deadline: float | None = None) -> tuple[Any, list[memoryview]]:
        """Wait for one message; returns its header and buffers."""
        size, total = HEAD.unpack(self._exactly(HEAD.size, deadline))
        if size > HEADER_LIMIT or total > self.array_bytes:
            raise WireError(
                f"a message of {(size + total) / 2**20:.0f} MiB came, more than "
                f"{self.array_bytes // 2**20} MiB of arrays are never read"
            )
        text = self._exactly(size, deadline)
        data = memoryview(self._exactly(total, deadline))
        try:
            header, sizes = json.loads(text)
            counts = [int(count) for count in sizes]
        except (ValueError, TypeError, RecursionError):
            raise WireError("a message isn't JSON with a list of sizes") from None
        if len(counts) > MAX_BUFFERS or min(counts, default=0) < 0 or sum(counts) != total:
            raise WireError("a message's buffers don't have the sizes that it names")
        buffers, start = [], 0
        for count in counts:
            buffers.append(data[start : start + count])
            start += count
        return header, buffers

    def _exactly(self, count: int, deadline: float | None) -> bytearray:
        data = bytearray()
        while len(data) < count:
            try:
                self.sock.settimeout(_left(deadline))
                part = self.sock.recv(min(count - len(data), 2**20))
            except TimeoutError:
                raise TooSlow("no answer came in time") from None
            except OSError as error:
                raise Disconnected(f"the other side is gone ({error.strerror})") from None
            if not part:
                raise Disconnected("the other side is gone")
            data += part
        return data


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:  # also where data keeps coming: a flood of messages is no answer
        raise TimeoutError
    return left
