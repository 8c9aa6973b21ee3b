"""``nncourse check``: a notebook from top to bottom in a fresh kernel, and what it earns.

Needs nbformat, nbclient and ipykernel, not nbgrader.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autograder.errors import CourseError
from autograder.intake import UnreadableError, normalise, read_submitted
from autograder.notebooks import cell_label, last_call, output_text, score_call
from autograder.verdicts import NO_VERDICT, enforce_verdicts, hints, parse_verdict

MISSING = (
    "To run notebooks, {name} is needed and isn't installed: pip install 'nncourse[learn]' "
    "(inside the course's folder: pip install -e '.[learn]')."
)


def run_notebook(notebook: Any, folder: Path, timeout: int) -> tuple[set[int], str]:
    """Execute a notebook in place, in its own folder.

    Returns
    -------
    tuple
        Indices of the cells that were executed, and why the others were not.
    """
    try:
        from nbclient import NotebookClient
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
    except ImportError as error:
        raise CourseError(MISSING.format(name=error.name)) from error
    client = NotebookClient(
        notebook, timeout=timeout, allow_errors=True, kernel_name="python3", record_timing=False,
        resources={"metadata": {"path": str(folder)}}, shutdown_kernel="immediate",
    )  # fmt: skip
    executed: set[int] = set()
    try:
        with client.setup_kernel(
            env={**os.environ, "PYTHONUTF8": "1"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ):  # fmt: skip
            for index, cell in enumerate(notebook["cells"]):
                if cell["cell_type"] != "code" or not cell["source"].strip():
                    continue
                label = cell_label(notebook["cells"], index)
                try:
                    client.execute_cell(cell, index)
                except DeadKernelError:
                    return executed, f"the kernel died in {label}"
                except CellTimeoutError:
                    return executed, f"{label} ran longer than {timeout} s: a loop without end?"
                executed.add(index)
    except RuntimeError as error:
        raise CourseError(f"The Python kernel didn't start: {error}") from error
    return executed, ""


def check_notebook(
    path: Path, *, timeout: int = 60, say: Callable[[str], None] = print
) -> bool:
    """Run a notebook and print its verdicts.

    Parameters
    ----------
    path : Path
        A student notebook.
    timeout : int
        Seconds a cell may take.
    say : callable
        Where lines go.

    Returns
    -------
    bool
        True if every task has full points and no cell failed.
    """
    if not path.is_file():
        raise CourseError(f"There is no file {path}. Give the path of a notebook (.ipynb).")
    try:
        import nbformat

        notebook = nbformat.from_dict(normalise(read_submitted(path)))
    except ImportError as error:
        raise CourseError(MISSING.format(name=error.name)) from error
    except UnreadableError as error:
        raise CourseError(f"{path.name} {error}.") from error
    executed, stopped = run_notebook(notebook, path.resolve().parent, timeout)
    cells = notebook["cells"]
    enforce_verdicts(cells, executed, stopped or "it was skipped")
    scored = {call.exercise for cell in cells if (call := score_call(cell["source"]))}
    fine = not stopped
    earned = total = 0.0
    for index, cell in enumerate(cells):
        if cell["cell_type"] != "code":
            continue
        call = score_call(cell["source"])
        if call is not None:
            points = _earned(cell, call.points)
            earned, total = earned + points, total + call.points
            fine &= points == call.points
            say(f"\n{output_text(cell) or cell_label(cells, index)}")
        elif last_call(cell["source"], "check") is not None:
            fine &= not hints(cell) and not _errors(cell)
            if not any(f'"{name}"' in cell["source"] for name in scored):
                say(f"\n{output_text(cell)}")
        elif _errors(cell):
            fine = False
            say(f"\n{cell_label(cells, index)} failed: {_errors(cell)}")
    if stopped:
        say(f"\nStopped: {stopped}. The cells after it were not executed.")
    say(f"\n{path.name}: {earned:g} of {total:g} points with the public cases.")
    return bool(fine)


def _errors(cell: Any) -> str:
    found = [o for o in cell["outputs"] if o["output_type"] == "error"]
    return f"{found[-1]['ename']}: {found[-1]['evalue']}" if found else ""


def _earned(cell: Any, points: float) -> float:
    if _errors(cell).startswith(NO_VERDICT):
        return 0.0
    values = [o for o in cell["outputs"] if o["output_type"] == "execute_result"]
    if len(values) != 1 or _errors(cell):
        return 0.0
    return parse_verdict(str(values[0]["data"].get("text/plain", "")), points)[0] or 0.0
