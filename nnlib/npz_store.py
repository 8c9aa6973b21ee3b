"""Arrays and a few facts about them in one file: npz with a header, written whole or not at all.

The file is an ordinary npz, which `numpy.load` opens without pickle. One of its arrays is text, a
JSON object with the keys "format" and "version"; the reader refuses other formats and versions
that are newer than itself.
"""

import contextlib
import json
import os
import uuid
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["HEADER", "read_npz", "write_npz"]

#: Name of the array that holds the header.
HEADER = "header.json"


def write_npz(
    path: str | os.PathLike[str],
    header: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
) -> None:
    """Write a header and arrays to a file, so that the file is never seen half written.

    Parameters
    ----------
    path : path
        Taken as it is: no ending is added. An existing file is replaced.
    header : mapping
        Plain data for JSON with the keys "format" (str) and "version" (int).
    arrays : mapping of str to array
        Arrays of numbers; their names become the names in the npz.

    Raises
    ------
    ValueError
        If the header lacks a key or a name is taken by the header.
    TypeError
        If an array holds Python objects, or the header is not plain data.

    Notes
    -----
    Everything goes to a temporary file in the same directory, is flushed to the disk, and only
    then takes the place of ``path`` in one step of the file system. A crash leaves the old file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "two.npz"
    ...     write_npz(path, {"format": "example", "version": 1}, {"w": np.ones(2)})
    ...     header, arrays = read_npz("read", path, format="example", version=1)
    >>> header["version"], arrays["w"].tolist()
    (1, [1.0, 1.0])
    """
    if not {"format", "version"} <= header.keys():
        raise ValueError(f"write_npz: header must have format and version, got {sorted(header)}.")
    if HEADER in arrays:
        raise ValueError(f"write_npz: no array may be called {HEADER!r}.")
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise TypeError(f"write_npz: {name!r} must hold numbers, got dtype object.")
    text = np.array(json.dumps(header))
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                for name, array in {HEADER: text, **arrays}.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def read_npz(
    caller: str, path: str | os.PathLike[str], *, format: str, version: int
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read what `write_npz` has written.

    Parameters
    ----------
    caller : str
        Named in errors.
    path : path
    format : str
        What the header's "format" must be.
    version : int
        The newest version that the caller understands.

    Returns
    -------
    header : dict
    arrays : dict of str to array

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If the file is damaged, of another format, or of a newer version.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            content = {name: archive[name] for name in archive.files}
        header = json.loads(str(content.pop(HEADER)[()]))
        found = header["format"], int(header["version"])
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except (OSError, EOFError, KeyError, TypeError, ValueError, AttributeError, IndexError,
            zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise ValueError(
            f"{caller}: {os.fspath(path)} must be a whole file of format {format!r}, but it "
            f"cannot be read ({type(error).__name__}). Is it damaged, or not such a file?"
        ) from error
    if found[0] != format:
        raise ValueError(
            f"{caller}: {os.fspath(path)} must be of format {format!r}, got {found[0]!r}."
        )
    if not 1 <= found[1] <= version:
        raise ValueError(
            f"{caller}: {os.fspath(path)} must be of version {version} or older, got {found[1]}. "
            f"Was it written by a newer nnlib?"
        )
    return header, content
