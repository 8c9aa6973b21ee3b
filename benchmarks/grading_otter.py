"""The same notebooks and tests in otter-grader, from a virtual environment of its own.

The folder that ``--otter-env`` names is made where there is none, with
``python -m venv DIR && DIR/bin/pip install otter-grader``. It finds PyTorch and the course in the
environment that runs this script, so that both grade with the same libraries.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

from benchmarks.grading_course import ROOT, Bench, environment

TEST = """OK_FORMAT = True

test = {{
    "name": {name!r},
    "points": {points!r},
    "suites": [{{
        "cases": [{{
            "code": {code!r},
            "hidden": False,
            "locked": False,
        }}],
        "scored": True, "setup": "", "teardown": "", "type": "doctest",
    }}],
}}
"""
LINK = "nncourse-benchmark.pth"


def install(folder: Path) -> str:
    """Make the environment; returns why that is impossible, or ``""``."""
    python = folder / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True,
                           capture_output=True, timeout=300)  # fmt: skip
        if not (folder / "bin" / "otter").exists():
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", "otter-grader"],
                           check=True, capture_output=True, timeout=900)  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", b"") or b""
        lines = detail.decode("utf-8", "replace").strip().splitlines()
        return f"not installed: {lines[-1] if lines else error}"
    (site,) = folder.glob("lib/python*/site-packages")
    # Behind its own packages on the path: what both have, otter takes from its own.
    paths = [sysconfig.get_paths()["purelib"], str(ROOT)]
    (site / LINK).write_text("\n".join(paths) + "\n", encoding="utf-8")
    return ""


def version(folder: Path) -> str:
    """Which otter-grader is installed there."""
    code = "import importlib.metadata as m; print(m.version('otter-grader'))"
    done = subprocess.run([str(folder / "bin" / "python"), "-c", code], capture_output=True,
                          check=True, timeout=60)  # fmt: skip
    return done.stdout.decode("ascii").strip()


def prepare(bench: Bench, folder: Path) -> Path:
    """Write a test for each graded cell; returns otter's zip of them.

    A test passes where `nnlib.checks.grade`, which the locked cell calls, gives full points.
    """
    from autograder.notebooks import grade_id, read_notebook, score_call

    base = bench.root / "otter"
    tests = base / "tests"
    shutil.rmtree(base, ignore_errors=True)
    tests.mkdir(parents=True)
    source = bench.folder("ours") / "source" / bench.assignment / f"{bench.notebook}.ipynb"
    for cell in read_notebook(source)["cells"]:
        call = score_call(cell["source"]) if cell["cell_type"] == "code" else None
        if call is None:
            continue
        code = (
            ">>> from nnlib.checks import grade\n"
            f">>> bool(grade({call.exercise!r}, {call.impl}, track={call.track!r}).passed)\n"
            "True"
        )
        name = grade_id(cell)
        text = TEST.format(name=name, points=call.points, code=code)
        (tests / f"{name}.py").write_text(text, encoding="utf-8")
    # Otherwise each run would ask whether to install packages.
    (base / "otter_config.json").write_text("{}", encoding="utf-8")
    subprocess.run(
        [str(folder / "bin" / "otter"), "generate", "-t", "tests", "-o", "autograder.zip",
         "-c", "otter_config.json", "--no-requirements", "--no-environment"],
        cwd=base, env=_environment(folder), check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return base / "autograder.zip"


def _environment(folder: Path) -> dict[str, str]:
    values = environment()
    return values | {"PATH": f"{folder / 'bin'}:{values['PATH']}", "MPLBACKEND": "agg"}


def run(bench: Bench, folder: Path, students: list[str]) -> dict[str, Any]:
    """Grade some notebooks, one command each, as ``otter run`` does.

    Returns
    -------
    dict
        ``seconds`` for each, and ``points`` as otter counts them: all or nothing for each task.
    """
    try:
        tests = prepare(bench, folder)
        seconds, points = [], {}
        for student in students:
            name = _without_tests(bench, student)
            start = time.perf_counter()
            subprocess.run(
                [str(folder / "bin" / "otter"), "run", "--no-logo", "-a", str(tests), name],
                cwd=tests.parent, env=_environment(folder), check=True, capture_output=True,
                timeout=600,
            )  # fmt: skip
            seconds.append(time.perf_counter() - start)
            results = json.loads((tests.parent / "results.json").read_text(encoding="utf-8"))
            points[student] = sum(float(test.get("score", 0)) for test in results["tests"])
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        detail = b"".join(getattr(error, part, b"") or b"" for part in ("stdout", "stderr"))
        lines = detail.decode("utf-8", "replace").strip().splitlines()
        return {"why_not": f"{type(error).__name__}: {lines[-1] if lines else error}"[:300]}
    return {"seconds": seconds, "median": statistics.median(seconds), "points": points}


def _without_tests(bench: Bench, student: str) -> str:
    """A submission without its graded cells, whose place otter's tests take."""
    notebook = json.loads(bench.submission("ours", student).read_text(encoding="utf-8"))
    notebook["cells"] = [
        c for c in notebook["cells"] if not c["metadata"].get("nbgrader", {}).get("grade")
    ]
    name = f"{student}.ipynb"
    (bench.root / "otter" / name).write_text(json.dumps(notebook), encoding="utf-8")
    return name
