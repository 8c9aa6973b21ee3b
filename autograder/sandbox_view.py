"""What the sandbox shows of this machine and shuts off: the arguments of bubblewrap.

The rule is to start from nothing and to show what running Python takes: the system's read-only
directories, the folders of this Python installation and its virtual environment, the library for
student code. Not shown are homes, the course, other submissions, services' sockets, temporary
files.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from autograder.confine import child, zygote

BUBBLEWRAP = "bwrap"
CONFINE = "/confine"
"""Where the code of the zygote lies inside; not importable for student code."""

SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC = ("ld.so.cache", "ld.so.conf", "alternatives", "fonts", "localtime")
PYTHON = ("bin", "lib", "lib64", "share", "pyvenv.cfg")
"""What is needed of a folder that Python is installed in. The folder itself may be a course."""
DEVICES = ("null", "random", "urandom")
"""Not ``zero``: mapped shared, it is memory that no limit counts."""
MOVED = "/moved"
OWN_PACKAGES = ("autograder", "nnlib")
"""Installed copies are always hidden: the library has the parts that student code may see."""

ABSENT = "raise ModuleNotFoundError(f'No module named {__name__!r}', name=__name__)\n"
"""Source that takes the place of a hidden package: an empty folder could still be imported."""
ACCOUNT = f"student:x:{child.UID}:{child.GID}:student:{child.HOME}:/bin/sh\n"
GROUP = f"student:x:{child.GID}:\n"
NAMES = "passwd: files\ngroup: files\nhosts: files\n"


class View:
    """Arguments of bubblewrap, and the descriptors that they refer to.

    Parameters
    ----------
    library : Path
        The folder shown at ``/library``.
    hidden : sequence of str
        Top-level packages of this environment that must not be importable inside.
    covered : sequence of Path
        Folders to cover should they lie within a folder that is shown.
    without : frozenset of str
        Defences to leave out: ``"view"``, ``"read-only"``, ``"hidden"``.
    """

    def __init__(
        self,
        library: Path,
        hidden: Sequence[str] = (),
        covered: Sequence[Path] = (),
        without: frozenset[str] = frozenset(),
    ) -> None:
        self.arguments: list[str] = []
        self.descriptors: list[int] = []
        self._bind = "--bind" if "read-only" in without else "--ro-bind"
        self._made: set[str] = set()
        self._shown: list[str] = []
        self._empties = ["/"]
        try:
            if "view" in without:
                self.arguments += ["--ro-bind", "/", "/host"]
            self._show_system()
            for path in covered:
                self._cover(path.resolve())
            for prefix in prefixes():
                for name in PYTHON:
                    self._show(prefix / name)
            if "hidden" not in without:
                for folder in site_folders():
                    self._hide(folder, {*hidden, *OWN_PACKAGES})
            self._show_as(library, zygote.LIBRARY)
            self._show_as(Path(child.__file__).parent, f"{CONFINE}/confine")
            self._make_private()
            # Last: until here, bubblewrap had to create what to mount on. Where an ordinary user
            # grades, that user owns these folders, and one child could leave files for the next.
            for name in self._empties:
                self.arguments += ["--remount-ro", name]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the descriptors, once bubblewrap has inherited them."""
        while self.descriptors:
            os.close(self.descriptors.pop())

    def _show_system(self) -> None:
        self._show(Path("/usr"))
        for name in SYSTEM:
            path = Path(name)
            if path.is_symlink():  # into /usr
                self.arguments += ["--symlink", os.readlink(path), name]
            else:
                self._show(path)
        for name in ETC:
            self._show(Path("/etc", name))
        self._write("/etc/passwd", ACCOUNT)
        self._write("/etc/group", GROUP)
        self._write("/etc/nsswitch.conf", NAMES)
        for name in DEVICES:
            self._folder(Path("/dev"))
            self.arguments += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
        self.arguments += ["--proc", "/proc"]

    def _make_private(self) -> None:
        """Give the zygote folders to write to. A child covers those that it may write to."""
        for name in (*child.PRIVATE, child.CACHE):
            self._folder(Path(name).parent)
            self.arguments += ["--perms", "1777", "--tmpfs", name]

    def _show(self, path: Path) -> None:
        shown = placed(path)
        if not path.exists() or self._is_shown(shown):
            return
        target = os.readlink(path) if path.is_symlink() else "/"
        if "/" not in target:
            # A link to a neighbour (lib64) stays one: shown twice, a folder would have a second
            # name by which to reach what is hidden under the first.
            self._folder(shown.parent)
            self.arguments += ["--symlink", target, str(shown)]
        else:
            self._show_as(path, str(shown))
            if path.is_dir():
                self._shown.append(str(shown))

    def _show_as(self, source: Path, name: str) -> None:
        self._folder(Path(name).parent)
        self.arguments += [self._bind, str(source), name]

    def _write(self, name: str, text: str) -> None:
        self._folder(Path(name).parent)
        descriptor = os.memfd_create("file", 0)
        self.descriptors.append(descriptor)
        os.write(descriptor, text.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        self.arguments += ["--perms", "0444", "--ro-bind-data", str(descriptor), name]

    def _folder(self, path: Path) -> None:
        """Create a folder and those above it; bubblewrap's own would be readable by root only."""
        for folder in (*reversed(path.parents), path):
            name = str(folder)
            if name != "/" and name not in self._made and not self._is_shown(folder):
                self._made.add(name)
                self.arguments += ["--perms", "0755", "--dir", name]

    def _is_shown(self, path: Path) -> bool:
        return any(path.is_relative_to(shown) for shown in self._shown)

    def _cover(self, path: Path) -> None:
        if self._is_shown(path) and path.is_dir():
            self._empty(path)
            self._shown = [s for s in self._shown if not Path(s).is_relative_to(path)]

    def _empty(self, path: Path) -> None:
        """Put an empty folder in the place of one, for good."""
        self.arguments += ["--perms", "0755", "--tmpfs", str(path)]
        self._empties.append(str(path))

    def _hide(self, folder: Path, names: set[str]) -> None:
        """Put something that fails to import, or nothing, in the place of what is hidden."""
        for path in sorted(folder.iterdir()):
            shown = placed(path)
            if path.name.startswith("__editable__"):  # points to folders that aren't shown
                self._write(str(shown), "" if path.suffix == ".pth" else ABSENT)
            elif path.suffix in (".dist-info", ".egg-info") and path.is_dir():
                if _provides(path) & names:
                    self._empty(shown)
            elif path.name.split(".")[0] in names:
                if path.is_dir():
                    self._empty(shown)
                    self._write(str(shown / "__init__.py"), ABSENT)
                else:
                    self._write(str(shown), ABSENT)


def placed(path: Path) -> Path:
    """Where a folder is shown: under its own name, unless a private folder will lie there.

    A course that was checked out in ``/tmp`` would else lose its environment inside.
    """
    if any(path.is_relative_to(private) for private in (*child.PRIVATE, child.CACHE)):
        return Path(MOVED, *path.parts[1:])
    return path


def environment() -> dict[str, str]:
    """The environment of everything inside: nothing of the grader's."""
    return {
        "HOME": child.HOME,
        "PATH": f"{placed(Path(sys.executable)).parent}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Submissions run side by side: more threads than cores only get in each other's way.
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        # Written by the zygote's import, read by its children.
        "MPLCONFIGDIR": f"{child.CACHE}/matplotlib",
        "IPYTHONDIR": f"{child.HOME}/.ipython",
    }


def isolation_arguments(without: frozenset[str] = frozenset()) -> list[str]:
    """Arguments of bubblewrap for everything but the file system."""
    arguments = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if "network" not in without:
        arguments.append("--unshare-net")
    # The zygote is process 1: its end is the end of all children.
    arguments += ["--as-pid-1", "--new-session"]
    if os.geteuid() == 0:
        # Root makes namespaces as root, since the folders to show may lie in root's home. The
        # zygote then becomes an ordinary user, whom limits on processes bind, unlike root.
        arguments += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        if "user" in without:  # root that stays root may map itself only with this
            arguments += ["--cap-add", "CAP_SETFCAP"]
    else:
        user = str(child.UNPRIVILEGED)
        arguments += ["--unshare-user", "--uid", user, "--gid", user]
    if threading.current_thread() is threading.main_thread():
        # The kernel means the parent's thread, so that this would end a sandbox that another
        # thread started, when that thread ends. The zygote also watches the grader's process.
        arguments.append("--die-with-parent")
    if "environment" not in without:
        arguments.append("--clearenv")
    for name, value in environment().items():
        arguments += ["--setenv", name, value]
    return arguments


def prefixes() -> Iterator[Path]:
    """Folders outside of ``/usr`` that this Python and its environment are installed in."""
    found = [Path(p) for p in (sys.base_prefix, sys.base_exec_prefix, sys.prefix, sys.exec_prefix)]
    found += [path.resolve() for path in found]
    # The interpreter of a virtual environment is a link to another, often by way of others.
    hop = Path(sys.executable)
    for _ in range(40):
        found.append(hop.parent.parent)
        if not hop.is_symlink():
            break
        hop = Path(os.path.normpath(hop.parent / os.readlink(hop)))
    for path in dict.fromkeys(found):
        if path != Path("/") and not path.is_relative_to("/usr"):
            yield path


def site_folders() -> list[Path]:
    """Every folder of installed packages that is shown, under each name that it is shown by."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    system = [Path("/usr"), Path("/usr/local")]
    found = [Path("/usr/lib/python3/dist-packages")]
    for prefix in (*prefixes(), *system):
        for library in ("lib", "lib64"):
            if not (prefix / library).is_symlink():
                folder = prefix / library / version
                found += [folder / "site-packages", folder / "dist-packages"]
    return [folder for folder in found if folder.is_dir()]


def _provides(metadata: Path) -> set[str]:
    """Names of a distribution and of the top-level packages that it installed."""
    names = {metadata.name.split("-")[0].lower()}
    with contextlib.suppress(OSError):
        names |= set((metadata / "top_level.txt").read_text(encoding="utf-8").split())
    return names
