"""The library for student code: the parts of `nnlib` and `autograder` that the sandbox shows.

A student's cells run where there is no reference implementation, no case, no known mistake and no
check to read or to call. What they do have is listed here, file by file.
"""

from __future__ import annotations

import ast
import hashlib
import os
import runpy
import shutil
import tempfile
from pathlib import Path

AUTOGRADER_FILES = (
    "bounds.py",
    "channel.py",
    "errors.py",
    "mirrors.py",
    "peer.py",
    "proxies.py",
    "shell.py",
    "warm.py",
    "wire.py",
    "wire_errors.py",
    "wire_modules.py",
    "wire_torch.py",
    "wire_transforms.py",
    "worker.py",
)
"""The student side and the protocol it speaks: code that decides nothing about grades."""

NNLIB_FILES = ("__init__.py", "errors.py", "py.typed")
NNLIB_FOLDERS = ("data", "viz")
CACHES = "caches*.py"
"""The files of `nnlib.contract` that only say what a cache or a result holds."""

STUDENT_SIDE = '"""The student side of the autograder: it runs cells and decides nothing."""\n'

CONTRACT = '''"""The types that functions return; the rest of the contract is the grader's."""

{imports}

__all__ = [
{names}
]
'''

CHECKS = '''"""Stands in for the checks, which run in the grader: nothing here knows an answer."""

__all__ = ["check", "check_all", "grade", "score"]

_SAID = "{name} runs in the grader, in its own cells: in your own code it does nothing here."


def check(*arguments, **options):
    """Say where checks run."""
    print(_SAID.format(name="check"))


def check_all(*arguments, **options):
    """Say where checks run."""
    print(_SAID.format(name="check_all"))


def grade(*arguments, **options):
    """Say where checks run."""
    print(_SAID.format(name="grade"))


def score(*arguments, **options):
    """Say where checks run."""
    print(_SAID.format(name="score"))
'''


def build_library(root: Path, target: Path) -> Path:
    """Assemble the library for student code, unless that has been done.

    Parameters
    ----------
    root : Path
        The folder that holds the packages `nnlib` and `autograder`: a checkout of the course, or
        the folder of installed packages.
    target : Path
        Where libraries are kept, each in a folder named after its content.

    Returns
    -------
    Path
        The library's folder; it appears with all of its files or not at all.
    """
    files = library_files(root)
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    library = target / f"library-{digest.hexdigest()[:32]}"
    if library.is_dir():
        return library
    target.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=target, prefix=".library-"))
    try:
        for name, content in files.items():
            path = building / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        # The sandbox's user is not the one who builds.
        for folder, _, names in os.walk(building):
            os.chmod(folder, 0o755)
            for name in names:
                os.chmod(os.path.join(folder, name), 0o644)
        try:
            building.rename(library)
        except OSError:  # another process was faster
            if not library.is_dir():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return library


def library_files(root: Path) -> dict[str, bytes]:
    """Return the library's files by name, relative to its folder."""
    files = {
        f"autograder/{name}": (root / "autograder" / name).read_bytes()
        for name in AUTOGRADER_FILES
    }
    files["autograder/__init__.py"] = STUDENT_SIDE.encode("utf-8")
    nnlib = root / "nnlib"
    if not nnlib.is_dir():  # another course: only the student side
        return files
    for name in NNLIB_FILES:
        files[f"nnlib/{name}"] = (nnlib / name).read_bytes()
    for folder in NNLIB_FOLDERS:
        for path in sorted((nnlib / folder).glob("*.py")):
            files[f"nnlib/{folder}/{path.name}"] = path.read_bytes()
    for name, text in _prose(root).items():
        files[f"nnlib/data/book_text/{name}"] = text
    types: dict[str, list[str]] = {}
    for path in sorted((nnlib / "contract").glob(CACHES)):
        content = path.read_bytes()
        files[f"nnlib/contract/{path.name}"] = content
        types[path.stem] = named_tuples(content.decode("utf-8"))
    files["nnlib/contract/__init__.py"] = _contract(types).encode("utf-8")
    files["nnlib/checks/__init__.py"] = CHECKS.encode("utf-8")
    return files


def named_tuples(source: str) -> list[str]:
    """Names of the public NamedTuple classes that a file defines, sorted."""
    return sorted(
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and any(isinstance(base, ast.Name) and base.id == "NamedTuple" for base in node.bases)
    )


def _contract(types: dict[str, list[str]]) -> str:
    imports = "\n".join(
        f"from nnlib.contract.{module} import {', '.join(names)}"
        for module, names in types.items()
        if names
    )
    exported = sorted(name for names in types.values() for name in names)
    return CONTRACT.format(imports=imports, names="\n".join(f'    "{n}",' for n in exported))


def _prose(root: Path) -> dict[str, bytes]:
    """Return the book's prose as `nnlib.data.book_text` reads it from an installed package."""
    packaged = sorted((root / "nnlib" / "data" / "book_text").glob("*.txt"))
    if packaged:
        return {path.name: path.read_bytes() for path in packaged}
    if not (root / "book").is_dir():
        return {}
    # Run by its path: the nnlib that this process would import may be another one.
    write_prose = runpy.run_path(str(root / "nnlib" / "data" / "prose.py"))["write_prose"]
    with tempfile.TemporaryDirectory() as folder:
        write_prose(root / "book", Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.txt"))}
