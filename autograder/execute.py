"""The one seam where student code runs: the preprocessor that takes the place of Execute.

`PREPROCESSORS` goes into ``Autograde.autograde_preprocessors`` (there is no effective
``Autograde.preprocessors``, and ``Execute.kernel_manager_class`` is ignored). `CourseExecute` runs
a submission in an ordinary kernel. Whatever the code does (dies, loops, floods), it returns: with
outputs that nbgrader scores as meant, and with the incidents in words in the notebook's metadata.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    Execute,
    IgnorePattern,
    LimitOutput,
    SaveAutoGrades,
)
from traitlets import Bool, Integer, Unicode

from autograder import executed
from autograder.course import SECRET_ENV, Course, find_course
from autograder.notebooks import cell_label, last_call
from autograder.verdicts import enforce_verdicts, no_verdict

START_TRIES = 3
"""How often a kernel is started that dies before the first cell: that is never the student's doing
(two kernels that start at once can draw the same port)."""

INCIDENTS = "nncourse"
"""Notebook metadata key that holds ``{"incidents": [...], "no_verdict": [...]}``."""


class CourseExecute(Execute):  # type: ignore[misc]
    """Execute a submission so that it always ends in a verdict for every graded cell."""

    course_root = Unicode("", help="Root of the course; found from the working directory if empty")
    course_root.tag(config=True)
    locked_timeout = Integer(
        60, help="Seconds for a cell that ends in check() or score(), which limit each call"
    ).tag(config=True)
    notebook_timeout = Integer(600, help="Seconds for a whole notebook").tag(config=True)
    output_limit = Integer(200_000, help="Characters of output kept per cell").tag(config=True)
    refresh = Bool(False, help="Execute even where the outputs are known").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.timeout_func = self._seconds_for
        self.record_timing = False
        self.shutdown_kernel = "immediate"
        # A tag that a student sets must not exempt a cell from execution.
        self.skip_cells_with_tag = "\0never"
        self._executed: set[int] = set()
        self._incidents: list[dict[str, str]] = []
        self._stopped = ""
        self._begun = False
        self._deadline = 0.0
        self._printed = 0

    @property
    def course(self) -> Course:
        """The course that this execution belongs to."""
        return Course(Path(self.course_root)) if self.course_root else find_course()

    def preprocess(self, nb: Any, resources: Any = None, km: Any = None) -> tuple[Any, Any]:
        """Execute a notebook, or take its outputs from the cache."""
        course = self.course
        path = (resources or {}).get("metadata", {}).get("path")
        settings = {
            "timeouts": [self.timeout, self.locked_timeout, self.notebook_timeout],
            "output": self.output_limit,
        }
        name = executed.key(course, nb.cells, Path(path) if path else None, settings)
        record = None if self.refresh else executed.load(course, name)
        if record is None:
            state = self._run(nb, resources, km)
            # What went wrong before the first cell may go right next time: not worth keeping.
            record = executed.store(course, name, nb.cells, state, keep=self._begun)
        executed.apply(record, nb.cells)
        sentences = enforce_verdicts(nb.cells, set(record["executed"]), record["why_not"])
        nb.metadata[INCIDENTS] = {"incidents": record["incidents"], "no_verdict": sentences}
        nb.metadata["language_info"] = {"name": "python"}
        return nb, resources

    def _run(self, nb: Any, resources: Any, km: Any) -> dict[str, Any]:
        self._executed, self._incidents, self._stopped = set(), [], ""
        self._begun = False
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        for attempt in range(1, START_TRIES + 1):
            self._deadline = time.monotonic() + self.notebook_timeout
            try:
                super().preprocess(nb, resources, km)
                break
            except Exception as error:  # a kernel that didn't start, or whose end went wrong
                if self._stopped:
                    break
                text = f"the Python kernel failed: {type(error).__name__}: {error}"
                if self._begun or attempt == START_TRIES:
                    self._stop("kernel", text)
                    break
                self.log.warning("%s; starting another (%d of %d)", text, attempt, START_TRIES)
                time.sleep(attempt)
        return {
            "executed": sorted(self._executed),
            "incidents": self._incidents,
            "why_not": self._stopped or "it has no code",
        }

    def _stop(self, kind: str, text: str) -> None:
        self._stopped = text
        self._incidents.append({"kind": kind, "text": text})

    def setup_kernel(self, **kwargs: Any) -> AbstractContextManager[None]:
        """Start the kernel with the environment that the checks need."""
        kwargs.setdefault("env", self.kernel_environment())
        # What the kernel process itself writes (its warnings, a crash) is no cell's output.
        kwargs.setdefault("stdout", subprocess.DEVNULL)
        kwargs.setdefault("stderr", subprocess.DEVNULL)
        return super().setup_kernel(**kwargs)  # type: ignore[no-any-return]

    def kernel_environment(self) -> dict[str, str]:
        """Environment of the kernel: the course's library, its secret, one thread."""
        course = self.course
        paths = [str(course.root), os.environ.get("PYTHONPATH", "")]
        profile = course.cache / "ipython"
        profile.mkdir(parents=True, exist_ok=True)
        return {
            **os.environ,
            SECRET_ENV: course.secret(),
            "PYTHONPATH": os.pathsep.join(p for p in paths if p),
            "PYTHONHASHSEED": "0",
            "PYTHONUTF8": "1",
            # The instructor's own IPython start-up files must not run here.
            "IPYTHONDIR": str(profile),
            # Submissions run side by side: more threads than cores only get in each other's way.
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def _seconds_for(self, cell: Any) -> int:
        locked = last_call(cell.source, "check") or last_call(cell.source, "score")
        seconds = self.locked_timeout if locked else (self.timeout or 30)
        return max(1, min(seconds, int(self._deadline - time.monotonic()) + 1))

    def preprocess_cell(self, cell: Any, resources: Any, index: int) -> tuple[Any, Any]:
        """Execute one cell; after a fatal incident, leave the rest alone."""
        if cell.cell_type != "code" or self._stopped or not cell.source.strip():
            return cell, resources
        label = cell_label(self.nb.cells, index)
        if time.monotonic() > self._deadline:
            self._stop(
                "notebook-timeout",
                f"the notebook ran longer than {self.notebook_timeout} s before {label}",
            )
            return cell, resources
        self._printed = 0
        self._begun = True
        try:
            super().preprocess_cell(cell, resources, index)
        except DeadKernelError:
            self._stop("kernel-died", f"the kernel died in {label}")
        except CellTimeoutError:
            self._stop(
                "unresponsive",
                f"{label} ran longer than {self._seconds_for(cell)} s and could not be interrupted",
            )
        else:
            self._executed.add(index)
            self._note_timeout(cell, label)
            return cell, resources
        cell.outputs = [*cell.outputs, no_verdict(self._stopped)]
        return cell, resources

    def _note_timeout(self, cell: Any, label: str) -> None:
        errors = [o.ename for o in cell.outputs if o.output_type == "error"]
        if "CellTimeoutError" not in errors:
            return
        text = f"{label} ran longer than {self._seconds_for(cell)} s and was stopped"
        self._incidents.append({"kind": "timeout", "text": text})
        kept = [o for o in cell.outputs if o.output_type in ("stream", "display_data")]
        error = no_verdict(f"{text}: does a loop in it never end?", "CellTimeoutError")
        cell.outputs = [*kept, error]

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """Take one message from the kernel; drop output beyond the limit."""
        if msg["msg_type"] == "stream":
            text = msg["content"]["text"]
            room = self.output_limit - self._printed
            self._printed += len(text)
            if room <= 0:
                return None
            if len(text) > room:
                msg["content"]["text"] = text[:room] + "\n... output cut here\n"
        return super().process_message(msg, cell, cell_index)


# nbgrader's default autograde_preprocessors with Execute replaced.
PREPROCESSORS = [
    CourseExecute,
    IgnorePattern,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
