"""``nncourse doctor``: what this machine has, what it lacks, and how to get it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.course import Course, package_version

STUDENT, TORCH, INSTRUCTOR, AUTHOR = "student", "PyTorch track", "instructor", "author"
CLUSTER = "grading on a cluster"


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Attributes
    ----------
    what : str
        The thing looked for.
    who : str
        Who needs it.
    found : str
        What is there; "" if it is missing.
    how : str
        How to get it.
    required : bool
        Whether student work is impossible without it.
    """

    what: str
    who: str
    found: str
    how: str = ""
    required: bool = False


# distribution, module, who, extra, required
PACKAGES = (
    ("numpy", "numpy", STUDENT, "learn", True),
    ("matplotlib", "matplotlib", STUDENT, "learn", True),
    ("ipykernel", "ipykernel", STUDENT, "learn", True),
    ("nbclient", "nbclient", STUDENT, "learn", True),
    ("nbformat", "nbformat", STUDENT, "learn", True),
    ("jupyterlab", "jupyterlab", STUDENT, "learn", False),
    ("torch", "torch", TORCH, "torch", False),
    ("scikit-learn", "sklearn", STUDENT, "data", False),
    ("nbgrader", "nbgrader", INSTRUCTOR, "grade", False),
    ("jupytext", "jupytext", INSTRUCTOR, "grade", False),
    ("rich", "rich", INSTRUCTOR, "grade", False),
    ("nh3", "nh3", INSTRUCTOR, "grade", False),
    ("distributed", "distributed", CLUSTER, "cluster", False),
    ("jupyter-book", "jupyter_book", AUTHOR, "book", False),
)


def examine(course: Course | None) -> list[Finding]:
    """Look at this machine, and at the course if there is one here."""
    version = ".".join(map(str, sys.version_info[:3]))
    findings = [
        Finding(
            "Python >= 3.11", STUDENT, version if sys.version_info >= (3, 11) else "",
            f"this is Python {version}: install a newer one from python.org", True,
        ),
        _nnlib(),
        *(_package(course, *row) for row in PACKAGES),
        _kernel(), _fonts(), _bubblewrap(), _chromium(),
    ]  # fmt: skip
    return findings + (_course(course) if course else [])


def _install(course: Course | None, extra: str) -> str:
    return f"pip install -e '.[{extra}]'" if course else f"pip install 'nncourse[{extra}]'"


def _package(
    course: Course | None, name: str, module: str, who: str, extra: str, required: bool
) -> Finding:
    there = importlib.util.find_spec(module) is not None
    found = (package_version(name) or "installed") if there else ""
    return Finding(name, who, found, _install(course, extra), required)


def _nnlib() -> Finding:
    spec = importlib.util.find_spec("nnlib")
    where = str(Path(spec.origin).parent) if spec and spec.origin else ""
    return Finding("nnlib", STUDENT, where, "in the course's folder: pip install -e .", True)


def _kernel() -> Finding:
    how = "python -m ipykernel install --sys-prefix"
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        spec = KernelSpecManager().get_kernel_spec("python3")
    except Exception:
        return Finding("Jupyter kernel python3", STUDENT, "", how, True)
    return Finding("Jupyter kernel python3", STUDENT, str(spec.resource_dir), how, True)


def _fonts() -> Finding:
    spec = importlib.util.find_spec("matplotlib")
    count = 0
    if spec and spec.origin:
        count = len(list((Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf").glob("*.ttf")))
    return Finding(
        "matplotlib's fonts", AUTHOR, f"{count} files" if count else "",
        "reinstall matplotlib with pip: your copy comes without its fonts",
    )  # fmt: skip


def _bubblewrap() -> Finding:
    if sys.platform != "linux":
        how = "only Linux has it: grade on a Linux machine, or in a virtual one"
    else:
        how = "sudo apt install bubblewrap (Fedora: sudo dnf install bubblewrap)"
    return Finding("bubblewrap", INSTRUCTOR, shutil.which("bwrap") or "", how)


def _chromium() -> Finding:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next((path for name in names if (path := shutil.which(name))), "")
    return Finding(
        "Chromium", AUTHOR, found, "for screenshots of the book: sudo apt install chromium"
    )


def _course(course: Course) -> list[Finding]:
    gradebook = course.root / "gradebook.db"
    secret = "set" if course.secret() else ""
    count = len(list(course.exercises.glob("*/*.ipynb")))
    return [
        Finding(
            "exercises", STUDENT, f"{count} notebooks" if count else "",
            "git checkout exercises, or: nncourse release", True,
        ),
        Finding(
            "gradebook writable", INSTRUCTOR, _writable(gradebook),
            f"make {gradebook} and its folder writable, or restore a backup",
        ),
        Finding(
            "course secret", INSTRUCTOR, secret,
            "one line of text in .course_secret, or the variable NNCOURSE_SECRET; without it "
            "hidden cases are the public default",
        ),
    ]  # fmt: skip


def _writable(path: Path) -> str:
    if not path.exists():
        return "will be created" if os.access(path.parent, os.W_OK) else ""
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        return ""
    try:
        connection = sqlite3.connect(path)
        try:
            connection.execute("select count(*) from sqlite_master").fetchone()
        finally:
            connection.close()
    except sqlite3.Error:
        return ""
    return str(path)


def show(findings: list[Finding]) -> bool:
    """Print the table; True if nothing required is missing."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _show_plain(findings)
    else:
        console = Console()
        console = console if console.is_terminal else Console(width=130)
        table: Any = Table(title="nncourse doctor")
        for column in ("", "what", "for", "found", "how to get it"):
            table.add_column(column, overflow="fold")
        for f in findings:
            mark = "[green]ok[/]" if f.found else ("[red]MISSING[/]" if f.required else "missing")
            table.add_row(mark, f.what, f.who, f.found, "" if f.found else _escape(f.how))
        console.print(table)
    missing = [f.what for f in findings if f.required and not f.found]
    if missing:
        print(f"Student work needs: {', '.join(missing)}.")
    else:
        print("Everything that student work needs is here.")
    return not missing


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _show_plain(findings: list[Finding]) -> None:
    for f in findings:
        state = "ok" if f.found else ("MISSING" if f.required else "missing")
        print(f"{state:8}{f.what:24}{f.who:15}{f.found or f.how}")
