"""nbgrader's own tests of `nbgrader autograde` pass with this course's executor in its place."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SUITE = "nbgrader.tests.apps.test_nbgrader_autograde"
# What nbgrader 0.9.6 itself passes here; two more tests skip themselves.
STOCK_PASSES = 40


@pytest.mark.kernel
@pytest.mark.timeout(900)
def test_nbgraders_own_suite_passes_with_this_executor(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE / "nbgrader_suite")]),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    environment.pop("PYTEST_XDIST_WORKER", None)
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--pyargs", SUITE, "-q", "-n", "2", "-W", "ignore",
         "-p", "confined_plugin", "-p", "no:cacheprovider"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8",
        check=False,
    )  # fmt: skip
    tail = done.stdout[-6000:] + done.stderr[-2000:]
    assert done.returncode == 0, tail
    found = re.search(r"(\d+) passed", done.stdout)
    assert found, tail
    assert int(found[1]) >= STOCK_PASSES, tail
