"""Where grading spends its time: a clock around functions of the grader, in each of its processes.

A run is traced by `traced`, which puts a ``sitecustomize`` on the path of ``nncourse grade`` and of
the engines that it starts. There, `install` wraps the functions below as their modules are loaded.
Times are exclusive: what a wrapped function calls counts for the inner one. When a process ends, it
writes its sums into a file.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.abc
import importlib.util
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

FOLDER = "NNCOURSE_PHASES"
SAVE_SECONDS = 0.3
ROOT = Path(__file__).resolve().parents[1]

IDLE = "idle"
START = "start-up"
IMPORTS = "imports"
STUDENT = "student cells"
LOCKED = "locked cells"
WAITING = "locked cells: the student's functions"

# module: function -> phase; a dict names the phase by the one that it is called from.
TARGETS: dict[str, dict[str, Any]] = {
    "autograder.engine_client": {
        "_exactly": IDLE, "send": "messages", "receive": "messages",
    },
    "autograder.engine": {
        "handler": START, "answer": "job", "Confinement.spawn": "spawn",
        "Confinement.close": "close",
    },
    "autograder.sandbox": {"Zygote.__init__": START},
    "autograder.plan": {"parse_plan": "plan"},
    "autograder.intake": {"look_at": "intake"},
    "autograder.restore": {"restore": "restore"},
    "autograder.split": {"GraderCells.run": LOCKED, "GraderCells.__init__": LOCKED},
    "autograder.student_side": {
        "StudentSide.ready": "spawn", "StudentSide.run": STUDENT, "StudentSide.end": "end",
    },
    "autograder.peer": {"Peer._answer": {LOCKED: WAITING}},
    "autograder.job": {"run_job": "scoring", "json_ready": "messages"},
    "autograder.feedback": {"feedback_request": "feedback"},
    "autograder.schedule": {
        "LocalPool.wait": IDLE, "LocalPool.submit": "hand out", "Shelf.__exit__": "close",
    },
    "autograder.classrun": {
        "Grading._read": "intake", "Grading._begin": "hand out", "Grading._record": "record",
        "Grading._pages": "hand out", "Grading._take_pages": "finish", "Grading._finish": "finish",
        "Grading.look": "look for finished ones",
    },
    "autograder.record": {"Recorder.record": "record", "Recorder.view": "record"},
    "autograder.store": {"Store.keep": "keep result", "Store.executions": "hand out"},
    "autograder.course": {"write_atomic": "write files"},
    "autograder.report": {"write_reports": "reports"},
    "autograder.console": {"show_runs": "reports"},
}  # fmt: skip
# The first call of it ends a process's start-up.
READY = {"nncourse": "LocalPool.submit", "engine": "answer"}
# After each call of it, time and resident memory are noted.
MARKED = {"nncourse": "Grading._finish", "engine": "answer"}
# Before it, the sums are saved: the process may be killed while it ends.
LAST = {"nncourse": "write_reports", "engine": "Confinement.close"}


class Clock:
    """Sums of exclusive time, by phase.

    Parameters
    ----------
    role : {"nncourse", "engine"}
        What this process is.
    """

    def __init__(self, role: str) -> None:
        self.role = role
        self.phases: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        self.marks: list[tuple[float, int]] = []
        self.ready: float | None = None
        self._local = threading.local()
        self._main = threading.main_thread()
        self._saved = 0.0

    def wrap(self, function: Callable[..., Any], name: str, phase: Any) -> Callable[..., Any]:
        """The same function, with its time added to a phase."""
        ready, marked = READY[self.role] == name, MARKED[self.role] == name
        last = LAST[self.role] == name

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if threading.current_thread() is not self._main:
                return function(*args, **kwargs)
            stack = self._local.__dict__.setdefault("stack", [])
            top = stack[-1][0] if stack else ""
            chosen = phase.get(top) if isinstance(phase, dict) else phase
            if chosen is None:
                return function(*args, **kwargs)
            if ready and self.ready is None:
                self.ready = age()
                self.phases.clear()
            if last:
                self.save(Path(os.environ[FOLDER]))
            now, cpu = time.perf_counter(), time.thread_time()
            self._add(stack, now, cpu)
            stack.append([chosen, now, cpu])
            try:
                return function(*args, **kwargs)
            finally:
                now, cpu = time.perf_counter(), time.thread_time()
                self._add(stack, now, cpu)
                stack.pop()
                self.phases[chosen][2] += 1
                if stack:
                    stack[-1][1:] = now, cpu
                if marked:
                    self.mark()

        return timed

    def _add(self, stack: list[list[Any]], now: float, cpu: float) -> None:
        """Give the time since the last change to the phase on top."""
        if stack:
            phase, since, since_cpu = stack[-1]
            self.phases[phase][0] += now - since
            self.phases[phase][1] += cpu - since_cpu
            stack[-1][1:] = now, cpu

    def mark(self) -> None:
        """Note the memory in use, and now and then save: a process may be killed at its end."""
        now = time.monotonic()
        self.marks.append((now, resident()))
        if now > self._saved + SAVE_SECONDS:
            self.save(Path(os.environ[FOLDER]))
            self._saved = now

    def save(self, folder: Path) -> None:
        """Write the sums."""
        value = {
            "role": self.role, "ready": self.ready, "age": age(), "cpu": time.process_time(),
            "phases": dict(self.phases), "marks": self.marks,
        }  # fmt: skip
        path = folder / f"{self.role}-{os.getpid()}.json"
        half = path.with_suffix(".tmp")
        half.write_text(json.dumps(value), encoding="utf-8")
        half.replace(path)


def age() -> float:
    """Seconds since this process began, its imports included."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    began = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began


def resident() -> int:
    """Bytes of memory that this process has in use."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf(
        "SC_PAGE_SIZE"
    )


class Finder(importlib.abc.MetaPathFinder):
    """Wraps functions of a module right after it was loaded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """The usual spec, with a loader that takes the time and wraps."""
        for finder in [f for f in sys.meta_path if f is not self]:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        if spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return spec
        load = self._clock.wrap(spec.loader.exec_module, "exec_module", IMPORTS)

        def execute(module: Any) -> None:
            load(module)
            for place, phase in TARGETS.get(name, {}).items():
                self._wrap(module, place, phase)

        with contextlib.suppress(AttributeError):  # built-in modules
            spec.loader.exec_module = execute  # type: ignore[method-assign]
        return spec

    def _wrap(self, module: Any, place: str, phase: Any) -> None:
        *owners, attribute = place.split(".")
        owner = functools.reduce(getattr, owners, module)
        function = owner.__dict__[attribute]
        setattr(owner, attribute, self._clock.wrap(function, place, phase))


def install() -> None:
    """Start the clock, in the processes that matter."""
    command = sys.orig_argv
    if "autograder.engine" in command:
        role = "engine"
    elif any(Path(part).name == "nncourse" for part in command[:3]):
        role = "nncourse"
    else:
        return
    clock = Clock(role)
    sys.meta_path.insert(0, Finder(clock))
    atexit.register(clock.save, Path(os.environ[FOLDER]))


HOOK = f"""import sys
sys.path.append({str(ROOT)!r})
from benchmarks.phases import install
install()
sys.path.remove({str(ROOT)!r})
"""


@contextlib.contextmanager
def traced(folder: Path) -> Iterator[dict[str, str]]:
    """Environment variables under which a run of ``nncourse grade`` writes its times."""
    hook, times = folder / "hook", folder / "times"
    for path in (hook, times):
        path.mkdir(parents=True, exist_ok=True)
    for stale in times.glob("*.json"):
        stale.unlink()
    (hook / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    yield {"PYTHONPATH": str(hook), FOLDER: str(times)}


def read(folder: Path) -> list[dict[str, Any]]:
    """What the processes of a traced run wrote."""
    paths = sorted((folder / "times").glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def summarise(processes: Sequence[dict[str, Any]], submissions: int) -> list[dict[str, Any]]:
    """Milliseconds for each submission, by kind of process and phase.

    Returns
    -------
    list of dict
        ``process, phase, wall, cpu, calls``; the engines are summed up. Start-up is the wall time
        before a process's first work, and in an engine the time to make sandboxes' zygotes, too.
    """
    rows = []
    for role in ("nncourse", "engine"):
        own = [p for p in processes if p["role"] == role]
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        for process in own:
            sums[START][0] += process["ready"] or 0.0
            known = process["ready"] or 0.0
            for phase, values in process["phases"].items():
                known += values[0]
                sums[phase] = [a + b for a, b in zip(sums[phase], values, strict=True)]
            sums["other"][0] += max(0.0, process["age"] - known)
        ordered = sorted(sums.items(), key=lambda item: (item[0] == IDLE, -item[1][0]))
        rows += [
            {
                "process": role if role == "nncourse" else f"engine ({len(own)})", "phase": phase,
                "wall": 1e3 * wall / submissions, "cpu": 1e3 * cpu / submissions,
                "calls": calls / submissions,
            }
            for phase, (wall, cpu, calls) in ordered
        ]  # fmt: skip
    return rows
