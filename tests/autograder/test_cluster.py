"""Grading on a Dask cluster: a scheduler and worker processes on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY
from launcher import descendants
from robust import ENVIRONMENT, copy_of, differing, everything
from test_fuzz import ASSIGNMENT, FILE, real_course

from autograder.course import Course
from autograder.errors import CourseError
from autograder.grade import ClassRun, grade
from autograder.progress import Progress
from autograder.report import write_reports
from autograder.sample_class import load_sheets
from autograder.sandbox import available

pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.xdist_group("grading"),
    pytest.mark.skipif(bool(available()), reason="student code can't be confined here"),
    pytest.mark.filterwarnings("ignore"),  # distributed's, about ports and loops
    pytest.mark.timeout(600),
]

PATIENCE = 120.0
CLASS = 10


@dataclass
class Cluster:
    """A scheduler and its workers, each a process of its own."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    address: str = ""

    def _start(self, kind: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{kind}-{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**ENVIRONMENT, **environment}, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def start_scheduler(self) -> None:
        """On any free port of this machine."""
        file = self.folder / "scheduler.json"
        process = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                              "--scheduler-file", str(file))  # fmt: skip
        _wait_for(lambda: file.is_file() and file.stat().st_size > 0, process)
        self.address = json.loads(file.read_text(encoding="utf-8"))["address"]

    def start_worker(self, name: str, path: str = "") -> subprocess.Popen[bytes]:
        """A worker with one thread that nobody restarts; `path` comes first where it imports."""
        from distributed import Client

        where = os.pathsep.join(filter(None, (path, ENVIRONMENT["PYTHONPATH"])))
        process = self._start(
            "worker", self.address, "--host", "127.0.0.1", "--nworkers", "1", "--nthreads", "1",
            "--no-dashboard", "--no-nanny", "--name", name,
            "--local-directory", str(self.folder), PYTHONPATH=where,
        )  # fmt: skip
        with Client(self.address, timeout=PATIENCE, set_as_default=False) as client:
            _wait_for(lambda: name in {
                w["name"] for w in client.scheduler_info()["workers"].values()
            }, process)  # fmt: skip
        return process

    def end(self) -> None:
        """End each process by its id, and the engines below it."""
        for process in reversed(self.processes):
            below = descendants(process.pid)
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            # Engines end when the worker is gone.
            limit = time.monotonic() + PATIENCE
            while time.monotonic() < limit and any(Path(f"/proc/{p}").exists() for p in below):
                time.sleep(0.05)
            assert not [p for p in below if Path(f"/proc/{p}").exists()]


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, "it ended"
        assert time.monotonic() < limit, "it takes too long"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and two workers."""
    made = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        made.start_scheduler()
        made.start_worker("one")
        made.start_worker("two")
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A class with a real notebook, which some did well."""
    course = real_course(tmp_path_factory.mktemp("cluster") / "course")
    sheet = load_sheets(course, ASSIGNMENT)[0]
    for number in range(CLASS):
        keep = list(sheet.solved)[number % 4 :]
        cells = {name: f"{sheet.solved[name]}\n# {number}" for name in keep}
        folder = course.submitted / f"student-{number}" / ASSIGNMENT
        folder.mkdir(parents=True)
        text = sheet.fill(cells)
        (folder / FILE).write_text(text[:900] if number == 5 else text, encoding="utf-8")
    return course


def graded(course: Course, **options: Any) -> ClassRun:
    run = grade(course, [ASSIGNMENT], **options)[0]
    write_reports(course, run)
    return run


@pytest.fixture(scope="module")
def local(pristine: Course, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What grading on this machine alone leaves."""
    course = copy_of(pristine, tmp_path_factory.mktemp("local") / "course")
    run = graded(course, workers=1)
    assert len({outcome.score for outcome in run.outcomes}) >= 4
    return everything(course)


def test_a_cluster_writes_the_same(
    pristine: Course, local: dict[str, Any], cluster: Cluster, tmp_path: Path
) -> None:
    course = copy_of(pristine, tmp_path / "course")
    run = graded(course, cluster=cluster.address)
    assert run.fresh == CLASS
    assert differing(everything(course), local) == {}
    worked = [p for p in cluster.processes[1:] if descendants(p.pid)]
    assert len(worked) == 2, "both workers have engines"


def test_a_killed_worker_costs_nothing_but_time(
    pristine: Course, local: dict[str, Any], cluster: Cluster, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    course = copy_of(pristine, tmp_path / "course")
    victim = cluster.start_worker("three")
    advance = Progress.advance
    done: list[str] = []
    below: list[int] = []

    def kill_at_third(progress: Progress, name: str, *args: Any, **more: Any) -> None:
        done.append(name)
        if len(done) == 3:
            below.extend(descendants(victim.pid))
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()
        advance(progress, name, *args, **more)

    monkeypatch.setattr(Progress, "advance", kill_at_third)
    run = graded(course, cluster=cluster.address)
    assert sorted(done) == sorted(o.student for o in run.outcomes)
    assert victim.returncode == -signal.SIGKILL
    assert differing(everything(course), local) == {}
    assert all(process.poll() is None for process in cluster.processes[:3])
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit and any(Path(f"/proc/{p}").exists() for p in below):
        time.sleep(0.05)
    assert below, "it had an engine"
    assert not [p for p in below if Path(f"/proc/{p}").exists()], "which ended with it"


def test_a_worker_with_other_code_is_refused(
    pristine: Course, cluster: Cluster, tmp_path: Path
) -> None:
    from distributed import Client

    course = copy_of(pristine, tmp_path / "course")
    other = tmp_path / "other"
    for package in ("autograder", "nnlib"):
        shutil.copytree(REPOSITORY / package, other / package,
                        ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    with (other / "nnlib" / "checks" / "api.py").open("a", encoding="utf-8") as file:
        file.write("\n# Another version.\n")
    stray = cluster.start_worker("stray", str(other))
    try:
        with pytest.raises(CourseError, match="have another version of nnlib, autograder") as error:
            graded(course, cluster=cluster.address)
        assert "Install the same checkout" in str(error.value)
        assert "tcp://127.0.0.1" in str(error.value)
        assert not course.autograded.exists()
        with Client(cluster.address, timeout=PATIENCE, set_as_default=False) as client:
            left = client.run_on_scheduler(lambda dask_scheduler: sorted(dask_scheduler.clients))
            assert set(left) <= {client.id, "fire-and-forget"}, "the refused run has disconnected"
        assert not [t for t in threading.enumerate() if "engine_work" in t.name]
    finally:
        stray.terminate()
        stray.wait(PATIENCE)


def test_a_worker_that_joins_later_with_other_code_is_refused_too(
    pristine: Course, cluster: Cluster
) -> None:
    from autograder.schedule import on_worker, pack

    with pytest.raises(CourseError, match="have another version"):
        on_worker(pack({"do": "ping"}), 5.0, "other code")
