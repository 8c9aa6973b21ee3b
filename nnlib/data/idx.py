"""The IDX format, in which MNIST is published: a short header, then numbers."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_LARGEST = 1 << 32  # bytes: a header that asks for more is wrong


class FormatError(ValueError):
    """A file does not hold what its format says it must."""


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an array from an IDX file, gzipped or not.

    The file begins with two zero bytes, a byte for the type and one for the number of axes; then
    come the sizes as 32-bit integers and the numbers, the most significant byte first.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    ndarray
        uint8, int8, int16, int32, float32 or float64, in the machine's byte order.

    Raises
    ------
    FormatError
        If the header is not that of an IDX file, or the file has too few or too many bytes.
    OSError
        If the file can't be read.

    References
    ----------
    Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits", 1998.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "a.idx")
    ...     _ = file.write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + b"abcdef")
    ...     read_idx(file)
    array([[ 97,  98,  99],
           [100, 101, 102]], dtype=uint8)
    """
    file = Path(path)
    with file.open("rb") as plain:
        zipped = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        try:
            return _parse(gzip.GzipFile(fileobj=plain) if zipped else plain, file)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FormatError(
                f"read_idx: {file} must be a whole gzip file, but {error}. "
                "Delete it and fetch it again."
            ) from error


def _parse(stream: IO[bytes] | gzip.GzipFile, file: Path) -> NDArray[Any]:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or head[3] == 0:
        raise FormatError(
            f"read_idx: {file} must begin with two zero bytes, a type and a number of axes, got "
            f"the bytes {head.hex(' ') or 'of an empty file'}. Is it an IDX file?"
        )
    sizes = stream.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise FormatError(
            f"read_idx: {file} must hold {head[3]} sizes, but it ends after {len(sizes) // 4}. "
            "Delete it and fetch it again."
        )
    shape = tuple(np.frombuffer(sizes, dtype=">u4").tolist())
    dtype = np.dtype(_TYPES[head[2]])
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > _LARGEST:
        raise FormatError(
            f"read_idx: {file} must hold at most 4 GiB, but its header asks for shape {shape}. "
            "Is it an IDX file?"
        )
    body = bytearray()
    # In pieces, and one byte further: the header's word for the size is not trusted.
    while len(body) <= wanted and (piece := stream.read(min(1 << 20, wanted + 1 - len(body)))):
        body += piece
    if len(body) != wanted:
        came = f"ends after {len(body)}" if len(body) < wanted else "has more"
        raise FormatError(
            f"read_idx: {file} must hold {wanted} bytes for shape {shape}, but it {came}. "
            "Delete it and fetch it again."
        )
    array = np.frombuffer(body, dtype=dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)
