"""The grading benchmark runs, and its table has a row for everything that it measures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autograder import sandbox

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY))

from benchmarks import grading_scale, phases  # noqa: E402

pytestmark = pytest.mark.skipif(
    bool(sandbox.available()), reason="the benchmark needs confinement"
)


@pytest.mark.kernel
@pytest.mark.timeout(900)  # 20 s of work, on a machine that others use, too
def test_a_quick_run_measures_all_rows(tmp_path: Path) -> None:
    output = tmp_path / "grading.json"
    subprocess.run(
        [sys.executable, "benchmarks/grading.py", "--quick", "--submissions", "2",
         "--output", str(output)],
        cwd=REPOSITORY, check=True, timeout=800, capture_output=True,
    )  # fmt: skip
    table = output.with_suffix(".md").read_text(encoding="utf-8")
    for row in (
        "stock `nbgrader autograde`", "`nncourse grade --workers 2 --no-feedback`",
        "stock `autograde`, then `generate_feedback`", "`nncourse grade --workers 2` |",
        "`otter run`", "cold: `grade_notebook`", "cold: `nncourse grade`",
        "| nncourse | record |", "| student cells |", "| locked cells |", "| feedback |",
        "| spawn |", "| intake |",
    ):  # fmt: skip
        assert row in table, row
    (result,) = json.loads(output.read_text(encoding="utf-8"))["notebooks"]
    # The phases belong to this run: each submission was executed, scored and recorded once.
    calls = {(p["process"].split()[0], p["phase"]): p["calls"] for p in result["phases"]}
    assert calls["engine", "restore"] == calls["engine", "scoring"] == 1
    assert calls["engine", "feedback"] == 1
    assert result["differ"] == {}
    assert {"stock", "nncourse"} <= set(result["runs"])


def test_exclusive_times_add_up() -> None:
    clock = phases.Clock("engine")
    inner = clock.wrap(lambda: sum(range(200_000)), "inner", "student cells")
    outer = clock.wrap(lambda: [inner() for _ in range(3)], "outer", "scoring")
    outer()
    assert clock.phases["student cells"][2] == 3
    assert clock.phases["scoring"][2] == 1
    # The outer function does nothing itself: its own time is the smaller part.
    assert clock.phases["scoring"][0] < clock.phases["student cells"][0]


def test_a_phase_can_depend_on_where_it_is_called_from() -> None:
    clock = phases.Clock("engine")
    asked = clock.wrap(lambda: None, "ask", {phases.LOCKED: phases.WAITING})
    clock.wrap(asked, "locked", phases.LOCKED)()
    clock.wrap(asked, "student", phases.STUDENT)()
    assert clock.phases[phases.WAITING][2] == 1


def test_slower_groups_and_growing_memory_are_seen() -> None:
    marks = [[0.1 * k * (1 + k / 400), 100 * 2**20 + 2**20 * k] for k in range(400)]
    groups = grading_scale.groups_of(marks, 100)
    assert [g["last"] for g in groups] == [100, 200, 300, 400]
    assert grading_scale.slope([g["ms"] for g in groups]) > 0.5
    assert grading_scale.growth(groups) == pytest.approx(1000)
    steady = grading_scale.groups_of([[0.1 * k, 2**27] for k in range(400)], 100)
    assert grading_scale.slope([g["ms"] for g in steady]) == pytest.approx(0, abs=1e-9)
    assert grading_scale.growth(steady) == pytest.approx(0)
