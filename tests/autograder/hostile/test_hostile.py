"""Hostile submissions: none gains a point, reads, writes or stops what it must not."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import exhausting
import forging
import notebooks
import pytest
import reading
import rewriting
import showing
from attack import NUMPY, STOCK, TORCH, Attack
from page_dangers import dangers

import nnlib.numpy_track
from autograder import sandbox
from autograder.engine_client import Engine
from autograder.feedback import render_feedback
from autograder.result import Result

pytestmark = [
    pytest.mark.xdist_group("hostile"),
    pytest.mark.skipif(bool(sandbox.available()), reason="confinement isn't available here"),
]

CLASSES = {
    "rewriting": [*rewriting.ATTACKS, *forging.ATTACKS], "reading": reading.READING,
    "writing": reading.WRITING, "exhausting": exhausting.ATTACKS, "showing": showing.ATTACKS,
}  # fmt: skip
ALL = [(group, attack) for group, attacks in CLASSES.items() for attack in attacks]
SLOWEST = notebooks.BOUNDS.notebook_seconds + 15
ENVIRONMENT = "canary-environment-1d09"
GRADEBOOK = "canary-gradebook-77ab"
PLACES = ("/tmp", "/dev/shm", "/var/tmp", "/", str(Path.home()), os.getcwd(), *sys.path,
          str(Path.home() / ".ipython/profile_default/startup"))  # fmt: skip


class Grader:
    """One engine for all attacks, beside a course with canaries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "engine.log"
        self.engine = Engine(self.log)
        self.known: dict[str, Result] = {}
        self.attacks = 0

    def grade(self, kind: str, notebook: Any) -> Result:
        request = {"do": "grade", "job": notebooks.job(kind, notebook).to_dict()}
        return Result.from_dict(self.engine.request(request, SLOWEST + 30))

    def honest(self, kind: str) -> Result:
        return self.grade(kind, notebooks.honest(kind))

    def twin(self, kind: str) -> Result:
        if kind not in self.known:
            self.known[kind] = self.grade(kind, notebooks.twin(kind))
        return self.known[kind]

    def processes(self) -> int:
        """How many processes the engine has below it."""
        assert self.engine._process is not None
        parents = {}
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError, ValueError):
                text = Path("/proc", entry, "stat").read_text(encoding="ascii", errors="replace")
                parents[int(entry)] = int(text.rpartition(")")[2].split()[1])
        below = {self.engine._process.pid}
        while more := {pid for pid, up in parents.items() if up in below} - below:
            below |= more
        return len(below) - 1


@pytest.fixture(scope="module")
def grader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grader]:
    folder = tmp_path_factory.mktemp("course")
    (folder / "gradebook.db").write_text(GRADEBOOK, encoding="utf-8")
    (folder / "submitted").mkdir()
    (folder / "submitted" / "other.ipynb").write_text(notebooks.NEIGHBOUR, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANARY", ENVIRONMENT)
        patch.setenv("COURSE", str(folder))
        one = Grader(folder)
        with one.engine:
            one.engine.start()
            yield one


@pytest.fixture(scope="module")
def normal(grader: Grader) -> dict[str, tuple[Result, int]]:
    """What honest submissions earn before any attack, and how many processes are left then."""
    for kind in (NUMPY, TORCH, STOCK):
        grader.twin(kind)  # what is slow for the first time
    grader.known.clear()
    found = {kind: grader.honest(kind) for kind in (NUMPY, TORCH, STOCK)}
    for kind in found:
        grader.twin(kind)
    time.sleep(0.3)
    count = grader.processes()
    return {kind: (result, count) for kind, result in found.items()}


def points(result: Result) -> dict[str, float]:
    return {cell.name: cell.score or 0.0 for cell in result.tasks}


def reference_lines() -> list[str]:
    """Lines of the references that no student's text here holds."""
    found = []
    for name in ("linear_backward", "standardize", "relu_forward", "mlp_backward"):
        lines = inspect.getsource(getattr(nnlib.numpy_track, name)).split('"""')[-1].splitlines()
        found += [line.strip() for line in lines if len(line.strip()) > 24]
    mine = json.dumps([notebooks.RIGHT, notebooks.HALF])
    return [line for line in found if line not in mine]


def shown(result: Result) -> str:
    """All that a result says or shows, without the cells' own source."""
    parts: list[str] = [str(result), *result.reasons, *result.notes]
    for sheet in result.sheets:
        parts += [cell.message for cell in sheet.cells]
        if sheet.text:
            notebook = json.loads(sheet.text)
            for cell in notebook["cells"]:
                parts.append(json.dumps(cell.get("outputs", [])))
            parts.append(json.dumps(notebook["metadata"]))
    return "\n".join(parts)


def state_of(folder: Path) -> dict[str, str]:
    """Names and hashes of the files of a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file() else "folder"
        for path in sorted(folder.rglob("*")) if path.name != "engine.log"
    }  # fmt: skip


def marks() -> list[str]:
    """What attacks left on the host."""
    left = []
    for place in PLACES:
        with contextlib.suppress(OSError):
            left += [f"{place}/{name}" for name in os.listdir(place) if reading.MARK in name]
    return left


def test_the_honest_work_earns_what_it_should(
    grader: Grader, normal: dict[str, tuple[Result, int]]
) -> None:
    for kind, (result, _) in normal.items():
        assert result.status == "graded"
        assert result.score == result.max_score, str(result)
        half = grader.twin(kind)
        assert 0 < half.score < half.max_score


@pytest.mark.parametrize(("group", "attack"), ALL, ids=[f"{g}-{a.name}" for g, a in ALL])
def test_an_attack_gains_nothing(
    group: str, attack: Attack, grader: Grader, normal: dict[str, tuple[Result, int]]
) -> None:
    before, began = state_of(grader.folder), time.monotonic()
    result = grader.grade(attack.kind, notebooks.hostile(attack))
    took = time.monotonic() - began
    honest = points(grader.twin(attack.kind))
    for name, earned in points(result).items():
        assert earned <= honest[name], f"{name} earns {earned}, the honest work {honest[name]}"
        assert attack.less or earned == honest[name]
    assert set(points(result)) == set(honest)
    assert took < SLOWEST
    said = " ".join([*result.reasons, *result.notes])
    assert result.lasting
    assert "grading failed" not in said
    assert attack.says in said + shown(result)
    text = shown(result)
    for canary in (notebooks.SECRET, notebooks.NEIGHBOUR, ENVIRONMENT, GRADEBOOK, *REFERENCE):
        assert canary not in text, f"{canary!r} leaked"
    text.encode("utf-8")
    assert state_of(grader.folder) == before
    assert not marks()
    if group == "showing":
        assert not page_dangers_of(result)
    # The next submission meets the same grader.
    grader.attacks += 1
    if group in ("exhausting", "writing") or grader.attacks % 4 == 0:
        again = grader.honest(attack.kind)
        assert again.to_dict() == normal[attack.kind][0].to_dict()


REFERENCE = reference_lines()


def page_dangers_of(result: Result) -> list[str]:
    """Dangers in the autograded notebook's outputs, and in its feedback page."""
    found = []
    for sheet in result.sheets:
        for cell in json.loads(sheet.text)["cells"]:
            for output in cell.get("outputs", []):
                data = output.get("data", {})
                for kind in ("text/html", "image/svg+xml", "text/markdown"):
                    found += dangers("".join(data.get(kind, "")))
        given = {
            "grades": {c.name: (c.score, c.max_score) for c in sheet.cells},
            "comments": dict.fromkeys(GRADED_AND_WRITTEN, ""), "score": result.score,
            "max_score": result.max_score, "late_penalty": 0,
        }  # fmt: skip
        found += dangers(render_feedback(sheet.text, sheet.name, given))
    return found


GRADED_AND_WRITTEN = [
    cell["metadata"]["nbgrader"]["grade_id"]
    for kind in (NUMPY, TORCH, STOCK) for cell in notebooks.build(kind, notebooks.RIGHT)["cells"]
    if "nbgrader" in cell["metadata"]
]  # fmt: skip


def test_no_process_is_left_over(
    grader: Grader, normal: dict[str, tuple[Result, int]]
) -> None:
    expected = normal[NUMPY][1]
    deadline = time.monotonic() + 5
    while grader.processes() > expected and time.monotonic() < deadline:
        time.sleep(0.1)
    assert grader.processes() <= expected


def test_there_are_enough_attacks() -> None:
    assert len(ALL) >= 60
    assert len({(group, a.name) for group, a in ALL}) == len(ALL)
    assert all(attack.tries for _, attack in ALL)
    kinds = {attack.kind for _, attack in ALL}
    assert kinds == {NUMPY, TORCH, STOCK}


def test_what_a_student_can_claim_is_worth_little(grader: Grader) -> None:
    """Only the student's side knows whether its copy of an argument was changed."""
    careless = "honest_relu = relu_forward\ndef relu_forward(x):\n    y, cache = honest_relu(x)\n" \
               "    x[...] = 0\n    return y, cache"  # fmt: skip
    hide = "from autograder.mirrors import Mirrors\n" \
           "Mirrors.updates = lambda self, out, everything: []"  # fmt: skip
    earned = [
        points(grader.grade(NUMPY, notebooks.hostile(Attack("claim", "claims", code=code))))
        for code in (careless, careless + "\n" + hide)
    ]
    gained = earned[1]["score_relu_forward"] - earned[0]["score_relu_forward"]
    assert 0 < gained <= 0.1 * 2
