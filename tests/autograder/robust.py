"""What the tests of robustness share: the command itself, and all that it leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import REPOSITORY
from test_record import dump

from autograder.course import Course

LAUNCHER = Path(__file__).with_name("launcher.py")
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
    "PYTHONPATH": str(REPOSITORY), "NNCOURSE_SECRET": "a secret", "PYTHONUTF8": "1",
    "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "200",
}  # fmt: skip
DEADLINE = 400.0
"""Seconds after which a run counts as hung; far more than any takes."""
PATIENCE = 30.0
"""Seconds for what a run started to end after it; on an idle machine it takes 0.1 s."""


@dataclass(frozen=True)
class Ended:
    """A run of the command that is over.

    Attributes
    ----------
    code : int
        Exit status; -9 where it was killed.
    output : str
        What it printed.
    times : list of float
        Seconds from the start to each line of it.
    seconds : float
        How long it ran.
    finished : bool
        Whether it was over before the moment at which it should have been ended.
    hung : bool
        Whether it had to be killed in the end.
    below : list of str
        Command lines of the processes below it at that moment.
    left : list of str
        Those that outlived it.
    lingered : float
        Seconds until all of them had ended.
    """

    code: int
    output: str
    times: list[float]
    seconds: float
    finished: bool
    hung: bool
    below: list[str]
    left: list[str]
    lingered: float


def launch(
    course: Course, *arguments: str, lines: int | None = None, delay: float = 0.0,
    sent: signal.Signals = signal.SIGKILL, patience: float = PATIENCE,
    nursery: Nursery | None = None, **environment: str,
) -> Ended:  # fmt: skip
    """Run ``nncourse grade`` in a course, from start to end or to a chosen moment.

    Parameters
    ----------
    course : Course
        Where.
    *arguments : str
        Of the command.
    lines, delay : int, float
        Send the signal so many seconds after so many lines of output.
    sent : signal.Signals
        Which signal.
    patience : float
        How long processes may outlive the command.
    nursery : Nursery, optional
        Saves the run its imports.
    **environment : str
        Further environment variables.
    """
    order = {
        "arguments": ["grade", *arguments], "cwd": str(course.root), "lines": lines,
        "delay": delay, "signal": int(sent), "deadline": DEADLINE, "patience": patience,
        "environment": {**ENVIRONMENT, **environment},
    }  # fmt: skip
    if nursery is not None:
        return Ended(**nursery.ask(order))
    done = subprocess.run(
        [sys.executable, str(LAUNCHER), json.dumps(order)], stdout=subprocess.PIPE, check=True,
        timeout=DEADLINE + patience + 30, env=ENVIRONMENT,
    )  # fmt: skip
    return Ended(**json.loads(done.stdout))


class Nursery:
    """A process that has everything imported, from which runs are forked.

    Parameters
    ----------
    folder : Path
        For its socket.
    """

    def __init__(self, folder: Path) -> None:
        self._path = str(folder / "nursery")
        self._process = subprocess.Popen(
            [sys.executable, str(LAUNCHER), "--serve", self._path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Have one run made; from any thread."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE + PATIENCE + 30)
            connection.connect(self._path)
            with connection.makefile("rw", encoding="utf-8") as stream:
                stream.write(json.dumps(order) + "\n")
                stream.flush()
                answer: dict[str, Any] = json.load(stream)
        return answer

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=PATIENCE)


def copy_of(course: Course, target: Path) -> Course:
    """The same course elsewhere, special files and links included."""
    shutil.copytree(course.root, target, symlinks=True)
    return Course(target)


def written(course: Course) -> dict[str, str]:
    """Every file that a run writes for people: its rights and its hash."""
    return {
        path.relative_to(course.root).as_posix():
        f"{path.stat().st_mode & 0o777:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for base in (course.autograded, course.feedback, course.reports)
        for path in sorted(base.rglob("*"))
        if path.is_file()
    }  # fmt: skip


def everything(course: Course) -> dict[str, Any]:
    """All tables of the gradebook, apart from ids, and all files for people."""
    return {**dump(course), **written(course)}


def differing(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What is not the same in two of `everything`."""
    names = sorted(one.keys() | other.keys())
    return {n: (one.get(n), other.get(n)) for n in names if one.get(n) != other.get(n)}
