"""Fetch files once, check them, and keep them: what the loaders of published data sets share.

A file counts as there only when its checksum is right. It is written under another name and
renamed when complete, so that a killed download never looks like a finished one; what has arrived
is kept, and the next call asks the server for the rest.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nnlib.data.progress import progress_bar

#: Environment variables: where files are kept, and a mirror with a folder for each data set.
FOLDER_VARIABLE = "NNLIB_DATA"
MIRROR_VARIABLE = "NNLIB_DATA_URL"

_ATTEMPTS = 4  # in a row without a single new byte
_PAUSE = 0.5  # seconds before the second attempt; doubles each time
_TIMEOUT = 30.0  # seconds of silence
_CHUNK = 1 << 18
_TRY_AGAIN = frozenset({408, 425, 429})
_ALGORITHMS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}  # and their hex digits


class DownloadError(OSError):
    """A file of a data set is not there and can't be fetched. The message says what to do."""


class RemoteFile(NamedTuple):
    """A published file.

    Attributes
    ----------
    name : str
        Its name on the server and on disk.
    checksum : str
        ``"md5:..."``, ``"sha256:..."``: the digest that its publisher states.
    """

    name: str
    checksum: str


class _InterruptedError(Exception):
    """The transfer broke off; another attempt may bring the rest."""


class _RefusedError(Exception):
    """The server can't be reached or doesn't have the file; trying again at once is no use."""


def data_directory(root: str | os.PathLike[str] | None = None) -> Path:
    r"""Return the folder that holds the downloaded data sets, one folder for each.

    Parameters
    ----------
    root : path, optional
        Used as it is. Otherwise the environment variable NNLIB_DATA counts, and without it the
        platform's folder for caches: ``~/.cache/nnlib`` (or XDG_CACHE_HOME) on Linux,
        ``~/Library/Caches/nnlib`` on macOS, ``%LOCALAPPDATA%\nnlib`` on Windows.

    Returns
    -------
    pathlib.Path
        The folder need not exist yet.

    Examples
    --------
    >>> data_directory("somewhere").name
    'somewhere'
    """
    chosen = root if root is not None else os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        base = Path(local) if local else Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "nnlib"


def with_checksums(
    caller: str, files: Sequence[RemoteFile], checksums: Mapping[str, str] | None
) -> list[RemoteFile]:
    """Return the files with the checksums that the caller's table gives in place of their own.

    Examples
    --------
    >>> files = [RemoteFile("a", "md5:" + 32 * "0"), RemoteFile("b", "md5:" + 32 * "1")]
    >>> with_checksums("load_mnist", files, {"a": "md5:" + 32 * "f"})[0].checksum[-4:]
    'ffff'
    """
    table = dict(checksums or {})
    names = [file.name for file in files]
    for name, checksum in table.items():
        algorithm, _, digits = str(checksum).partition(":")
        if name not in names:
            raise ValueError(
                f"{caller}: checksums must name files of the data set, got {name!r}. "
                f"There are: {', '.join(names)}."
            )
        wanted = _ALGORITHMS.get(algorithm)
        if wanted is None or not re.fullmatch(rf"[0-9a-fA-F]{{{wanted}}}", digits):
            raise ValueError(
                f"{caller}: checksums must look like 'sha256:' and 64 hexadecimal digits (or "
                f"md5, sha1, sha512), got {checksum!r} for {name}. sha256sum prints them."
            )
    return [RemoteFile(name, table.get(name, checksum).lower()) for name, checksum in files]


def fetch_files(
    caller: str,
    files: Sequence[RemoteFile],
    folder: Path,
    *,
    base_url: str,
    download: bool = True,
    progress: bool = True,
) -> list[Path]:
    """Return the paths of the files, all of them complete and checked; fetch those that are not.

    Parameters
    ----------
    caller : str
        Named in errors.
    files : sequence of RemoteFile
    folder : pathlib.Path
        Where they are, or will be.
    base_url : str
        Folder on a server, http or https.
    download : bool
        False fetches nothing and raises if a file is missing or damaged.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    DownloadError
        If a file is not there and can't be fetched.
    ValueError
        If `base_url` is no http or https address.
    """
    if not re.match(r"https?://[^/]", str(base_url)):
        raise ValueError(
            f"{caller}: base_url must begin with http:// or https://, got {base_url!r}. "
            "For files on a disk, pass the folder as root."
        )
    paths = [folder / file.name for file in files]
    if all(map(_is_right, paths, files)):
        return paths
    if download:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _alone_in(folder):
                for path, file in zip(paths, files, strict=True):
                    if not _is_right(path, file):  # another process may have fetched it meanwhile
                        url = f"{base_url.rstrip('/')}/{file.name}"
                        _fetch(caller, file, path, url, progress=progress)
        except _RefusedError as error:
            raise _help(caller, files, folder, base_url, str(error)) from error.__cause__
        except DownloadError:
            raise
        except OSError as error:  # of the disk: those of the network became _RefusedError
            raise DownloadError(
                f"{caller}: {folder} must be a folder that can be written to, but writing failed "
                f"({error}). Choose another with root= or {FOLDER_VARIABLE}."
            ) from error
    else:
        raise _help(caller, files, folder, base_url, "download=False forbids fetching them")
    return paths


def _is_right(path: Path, file: RemoteFile) -> bool:
    return path.is_file() and _digest(path, file.checksum) == file.checksum


def _digest(path: Path, like: str) -> str:
    """Return the digest of a file, by the algorithm of the checksum `like`."""
    algorithm = like.partition(":")[0]
    with path.open("rb") as stream:
        # MD5 is what the publishers state. It finds damage; it would not stop a forger.
        digest = hashlib.file_digest(
            stream, lambda: hashlib.new(algorithm, usedforsecurity=False)
        )
    return f"{algorithm}:{digest.hexdigest()}"


def _fetch(caller: str, file: RemoteFile, path: Path, url: str, *, progress: bool) -> None:
    """Download one file, going on where an earlier attempt stopped."""
    part = path.with_name(f"{path.name}.part")
    failures = 0
    furthest = _size(part)
    began_anew = False
    while True:
        before = _size(part)
        try:
            _transfer(url, part, file.name, progress=progress)
        except _InterruptedError as error:
            failures = 0 if _size(part) > furthest else failures + 1
            furthest = max(furthest, _size(part))
            if failures >= _ATTEMPTS:
                raise _RefusedError(f"{error}, {_ATTEMPTS} times in a row") from error.__cause__
            time.sleep(_PAUSE * 2 ** max(failures - 1, 0))
            continue
        found = _digest(part, file.checksum)
        if found == file.checksum:
            os.replace(part, path)
            return
        page = _looks_like_a_page(part)
        size = _size(part)
        part.unlink()
        if before and not began_anew:
            began_anew = True  # the earlier part may have been of another version
            continue
        raise DownloadError(
            f"{caller}: {file.name} must have the checksum {file.checksum}, but {url} sent "
            f"{size} bytes with {found}. "
            + (
                "They begin like a web page: does your network ask you to log in first? "
                if page
                else "The copy on that server is damaged or another version. "
            )
            + f"Try another server with base_url= or {MIRROR_VARIABLE}."
        )


def _transfer(url: str, part: Path, label: str, *, progress: bool) -> None:
    """Append what `part` lacks of the file at `url`; return when the server has no more."""
    offset = _size(part)
    headers = {"User-Agent": "nnlib", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and offset:
            return  # the part is complete, or not of this file: the checksum tells
        said = f"the server answered {error.code} {error.reason}"
        again = error.code in _TRY_AGAIN or error.code >= 500
        raise (_InterruptedError if again else _RefusedError)(said) from error
    except urllib.error.URLError as error:
        reason = error.reason
        again = isinstance(reason, TimeoutError | ConnectionResetError)
        said = getattr(reason, "strerror", None) or str(reason)
        raise (_InterruptedError if again else _RefusedError)(said) from error
    except (OSError, http.client.HTTPException) as error:
        raise _InterruptedError(str(error) or type(error).__name__) from error
    with response:
        if offset and response.status == 206:
            sent = response.headers.get("Content-Range", "")
            if not sent.startswith(f"bytes {offset}-"):
                part.unlink()
                raise _InterruptedError(f"the server sent the range {sent!r}, not from {offset}")
        else:
            offset = 0  # this server sends the whole file always
        length = response.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdecimal() else None
        with (
            part.open("ab" if offset else "wb") as out,
            progress_bar(label, total, offset, show=progress) as bar,
        ):
            for chunk in _chunks(response):
                out.write(chunk)
                bar.update(len(chunk))
    if total is not None and _size(part) < total:
        raise _InterruptedError(f"the connection ended after {_size(part)} of {total} bytes")


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield what arrives. A broken connection is reported after the last byte that came."""
    while True:
        try:
            chunk = response.read(_CHUNK)
        except http.client.IncompleteRead as error:
            yield error.partial
            raise _InterruptedError("the connection ended early") from error
        except (OSError, http.client.HTTPException) as error:
            raise _InterruptedError(str(error) or type(error).__name__) from error
        if not chunk:
            return
        yield chunk


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process downloads into the folder, where the system has such locks."""
    try:
        import fcntl
    except ImportError:  # Windows: the checksum still catches two writers in one file
        yield
        return
    with (folder / ".lock").open("a", encoding="utf-8") as handle:
        with contextlib.suppress(OSError):  # some network drives have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _looks_like_a_page(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(64).lstrip()[:1] == b"<"


def _help(
    caller: str, files: Sequence[RemoteFile], folder: Path, base_url: str, reason: str
) -> DownloadError:
    """Say which files are missing and the three ways to get them."""
    missing = [file for file in files if not _is_right(folder / file.name, file)]
    wanted = "\n".join(
        f"    {file.name}  ({file.checksum}{', there is a damaged one' if there else ''})"
        for file in missing
        for there in [(folder / file.name).is_file()]
    )
    return DownloadError(
        f"{caller}: these files must be fetched once from {base_url.rstrip('/')}/, but {reason}.\n"
        f"{wanted}\n"
        "Do one of these:\n"
        f"  - with a network, call {caller}() again: what has arrived is kept;\n"
        f"  - put the files into {folder} yourself, or into another folder and name its parent "
        f"with root= or the environment variable {FOLDER_VARIABLE};\n"
        f"  - name a mirror with base_url=, or with {MIRROR_VARIABLE} one that has a folder "
        f"{folder.name}/.\n"
        "load_digits() and make_glyphs() need no download."
    )
