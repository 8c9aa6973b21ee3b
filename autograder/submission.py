"""Read a student's folder as bytes: bounded, following no link, waiting for nothing.

A submission is whatever a stranger put into an archive: links to the instructor's files, pipes
that never end, devices, folders that are called ``x.ipynb``, names with newlines. Only regular
files are read, through a descriptor of the folder, so that nothing can be swapped in between.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SIZE_LIMIT = 50_000_000
TOTAL_LIMIT = 4 * SIZE_LIMIT
COUNT_LIMIT = 500
NAME_LIMIT = 128  # the gradebook's column
STAMP = "timestamp.txt"
IGNORED = (".ipynb_checkpoints", "__pycache__", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX")

# Without these (Windows) the check of the opened file below still holds.
READ = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)  # fmt: skip
KINDS = (
    (stat.S_ISLNK, "a link"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip


class UnreadableError(Exception):
    """A file isn't a notebook; the message says what it is instead."""


@dataclass(frozen=True)
class Submission:
    """What a student handed in for one assignment, as bytes.

    Attributes
    ----------
    files : mapping
        Notebooks and the time stamp: name -> content.
    refused : mapping
        Notebooks that were not read: name -> why, as the end of a sentence.
    ignored : tuple of str
        Names of everything else.
    trouble : str
        Why the folder itself could not be read, "" if it could.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def key(self) -> str:
        """Hash of everything in it."""
        digest = hashlib.sha256()
        for part in self._parts():
            digest.update(b"%d:" % len(part) + part)
        return digest.hexdigest()

    def _parts(self) -> Iterable[bytes]:
        for name in sorted(self.files):
            yield from (b"file", _bytes(name), self.files[name])
        for name in sorted(self.refused):
            yield from (b"refused", _bytes(name), _bytes(self.refused[name]))
        for name in sorted(self.ignored):
            yield from (b"ignored", _bytes(name))
        yield _bytes(self.trouble)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def shown(name: str, limit: int = 80) -> str:
    r"""A file's name as it can stand in a sentence, whatever it holds.

    Examples
    --------
    >>> shown("notes.txt"), shown("a\nb.ipynb")
    ('notes.txt', 'a\\nb.ipynb')
    """
    parts = [
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii")
        for c in name
    ]
    text = "".join(parts)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def name_trouble(name: str) -> str:
    """Why a student's folder can't stand in the gradebook under its name, "" if it can."""
    if any("\udc80" <= c <= "\udcff" for c in name):
        return "its name is not UTF-8"
    if not name.isprintable():
        return "its name has characters that can't be printed"
    if len(name) > NAME_LIMIT:
        return f"its name has more than {NAME_LIMIT} characters"
    if name != name.strip() or "\\" in name or "/" in name:
        return "its name begins or ends with a space, or has a slash in it"
    return ""


def file_trouble(size: int) -> str:
    """Why a file of this size isn't read, "" if it is."""
    if size <= SIZE_LIMIT:
        return ""
    return (
        f"has {size / 1e6:.0f} MB, more than {SIZE_LIMIT / 1e6:.0f}: ask for a copy with its "
        "outputs cleared"
    )


def read_file(name: str | Path, folder: int | None = None) -> bytes:
    """Read a regular file, through its folder's descriptor where there is one.

    Raises
    ------
    UnreadableError
        Where it is anything else, or too large.
    """
    if not hasattr(os, "O_NOFOLLOW") and stat.S_ISLNK(os.lstat(name).st_mode):
        raise UnreadableError(_kind(stat.S_IFLNK))
    try:
        descriptor = os.open(name, READ, dir_fd=folder)
    except OSError as error:
        raise UnreadableError(_why_not(name, folder, error)) from error
    try:
        # Asked of what was opened: the name may mean something else by now.
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise UnreadableError(_kind(state.st_mode))
        if trouble := file_trouble(state.st_size):
            raise UnreadableError(trouble)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise UnreadableError(f"can't be read: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _why_not(name: str | Path, folder: int | None, error: OSError) -> str:
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except OSError:
        mode = stat.S_IFREG
    if stat.S_ISREG(mode):
        return f"can't be opened: {error.strerror}"
    return _kind(mode)


def _kind(mode: int) -> str:
    kind = next((words for test, words in KINDS if test(mode)), "no regular file")
    return f"is {kind}, not a file: it was not followed, ask for the notebook itself"


def read_submission(folder: Path) -> Submission:
    """Read what a student handed in for one assignment.

    Parameters
    ----------
    folder : Path
        ``submitted/<student>/<assignment>``.
    """
    where = f"the folder {shown(folder.parent.name)}/{shown(folder.name)}"
    if folder.is_symlink() or folder.parent.is_symlink():
        return Submission(trouble=f"{where} is a link: it was not followed")
    flags = READ | getattr(os, "O_DIRECTORY", 0)
    descriptor: int | None = None
    try:
        if os.open in os.supports_dir_fd and os.listdir in os.supports_fd:
            descriptor = os.open(folder, flags)
        names = sorted(os.listdir(folder if descriptor is None else descriptor))
        return _read_names(folder, descriptor, names)
    except OSError as error:
        return Submission(trouble=f"{where} can't be read: {error.strerror}")
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _read_names(folder: Path, descriptor: int | None, names: list[str]) -> Submission:
    files: dict[str, bytes] = {}
    refused: dict[str, str] = {}
    ignored: list[str] = []
    room = TOTAL_LIMIT
    for name in names:
        if name in IGNORED:
            continue
        if name != STAMP and not name.endswith(".ipynb"):
            ignored.append(name)
        elif len(files) + len(refused) >= COUNT_LIMIT:
            refused[name] = f"was not read: the submission has more than {COUNT_LIMIT} notebooks"
        else:
            try:
                data = read_file(folder / name if descriptor is None else name, descriptor)
                if len(data) > room:
                    raise UnreadableError("was not read: the submission as a whole is too large")
                room -= len(data)
                files[name] = data
            except UnreadableError as error:
                refused[name] = str(error)
    return Submission(files, refused, tuple(ignored[:COUNT_LIMIT]))
