"""Run one notebook: the student's cells in the sandbox, the locked cells here.

The result is a record of outputs, as `executed` keeps it: which cells ran, what each showed, and
what went wrong in words. The verdict on a graded cell is computed in this process only.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from autograder.bounds import Bounds
from autograder.notebooks import cell_label
from autograder.own_limits import GraderTimeoutError, computing_limit, memory_limit
from autograder.peer import RemoteStopped
from autograder.roles import (
    BOTH,
    GRADER,
    SHELL_NAMES,
    STUDENT,
    asked_of_student,
    bound_names,
    role_of,
)
from autograder.shell import Collector, make_shell, merge, run_cell
from autograder.student_side import GRACE, Process, StudentSide, checked_output
from autograder.verdicts import no_verdict
from autograder.wire import WireError, whole_text

OWN_MEMORY = 2**30
"""Bytes that a locked cell may take in the grader's process, besides two messages' arrays."""


class Run:
    """One notebook on its way through both processes.

    Parameters
    ----------
    cells : list of dict
        Sanitised cells.
    spawn : callable
        Starts a student's side.
    bounds : Bounds
        Limits.
    isolation : {"split", "shared"}
        "shared" runs every cell on the student's side.
    student_names : frozenset of str
        Names that the instructor's solution cells define.
    locked_names : frozenset of str
        Names that the instructor's locked cells bind.
    imports : sequence of str
        Import statements of the instructor's version, which hold for locked cells.
    keep_files : bool
        Whether to hand back the files that the notebook wrote.
    """

    def __init__(
        self, cells: list[Any], spawn: Callable[[], Process], bounds: Bounds, *,
        isolation: str = "split", student_names: frozenset[str] = frozenset(),
        locked_names: frozenset[str] = frozenset(), imports: Sequence[str] = (),
        keep_files: bool = False,
    ) -> None:  # fmt: skip
        self.cells = cells
        self.bounds = bounds
        self.isolation = isolation
        self.student_names = student_names
        self.locked_names = locked_names
        self.imports = imports
        self.keep_files = keep_files
        self.files: dict[str, str] = {}
        self.side = StudentSide(spawn, bounds)
        self.outputs: dict[int, list[dict[str, Any]]] = {}
        self.executed: list[int] = []
        self.incidents: list[dict[str, str]] = []
        self.stopped = ""
        self._grader: GraderCells | None = None

    def record(self) -> dict[str, Any]:
        """Run everything; returns the record."""
        try:
            for index, cell in enumerate(self.cells):
                role = role_of(cell)
                if not role or self.stopped:
                    continue
                if time.monotonic() > self.side.deadline:
                    text = f"the notebook ran longer than {self.bounds.notebook_seconds:g} s"
                    self._stop("notebook-timeout", f"{text} before {self._label(index)}")
                    continue
                self._one(index, cell["source"], STUDENT if self.isolation == "shared" else role)
            if self.keep_files:
                self.files = self.side.files()
        except RemoteStopped as error:
            self._stop("kernel", str(error))
        finally:
            self.side.end()
        count = 0
        found = []
        for index, cell in enumerate(self.cells):
            if cell["cell_type"] != "code":
                continue
            ran = index in self.outputs
            count += ran
            found.append({
                "outputs": self._numbered(index, count),
                "execution_count": count if ran else None,
            })  # fmt: skip
        record: dict[str, Any] = whole_text({
            "executed": self.executed,
            "incidents": self.incidents,
            "why_not": self.stopped or "it has no code",
            "cells": found,
        })
        return record | ({"files": self.files} if self.keep_files else {})

    def _numbered(self, index: int, count: int) -> list[dict[str, Any]]:
        outputs = self.outputs.get(index, [])
        for output in outputs:
            if output["output_type"] == "execute_result":
                output["execution_count"] = count
        return outputs

    def _label(self, index: int) -> str:
        return cell_label(self.cells, index)

    def _stop(self, kind: str, text: str) -> None:
        self.stopped = text
        self.incidents.append({"kind": kind, "text": text})

    def _one(self, index: int, source: str, role: str) -> None:
        if role in (STUDENT, BOTH):
            self._on_student_side(index, source)
        if role in (GRADER, BOTH):
            self._on_grader_side(index, source)

    def _on_student_side(self, index: int, source: str) -> None:
        renew_results()
        try:
            with computing_limit(self.bounds.cell_seconds + GRACE):
                status, outputs = self.side.run(source)
        except GraderTimeoutError:
            status, outputs = "gone", []
        label = self._label(index)
        if status == "timeout":
            text = f"timeout in {label}: endless loop? Stopped after {self.bounds.cell_seconds:g} s"
            self.incidents.append({"kind": "timeout", "text": text})
            outputs = [o for o in outputs if o["output_type"] != "error"]
            outputs.append(dict(no_verdict(text, "CellTimeoutError")))
        elif status == "error" and not any(o["output_type"] == "error" for o in outputs):
            # A notebook can switch the display of errors off; the error still counts.
            outputs.append(dict(no_verdict("an error occurred and was not shown", "HiddenError")))
        elif status == "gone":
            text = self._gone_text(label)
            outputs.append(dict(no_verdict(text, "ProcessStopped")))
        if status != "gone":
            self.executed.append(index)
        self.outputs[index] = outputs

    def _gone_text(self, label: str) -> str:
        reason = self.side.why_gone()
        if "answer in time" in reason:
            text = f"timeout in {label}: endless loop? It could not be interrupted and was killed"
            self.incidents.append({"kind": "timeout", "text": text})
        else:
            text = f"{reason} (in {label})"
            self.incidents.append({"kind": "killed", "text": text})
        return text

    def _on_grader_side(self, index: int, source: str) -> None:
        if self._grader is None:
            renew_results()
            self._grader = GraderCells(
                self.bounds, self.student_names, self.locked_names, self.imports
            )
        try:
            with computing_limit(2 * self.bounds.cell_seconds), memory_limit(
                OWN_MEMORY + 2 * self.bounds.array_bytes
            ):
                outputs = self._grader.run(self.side, source)
        except (RemoteStopped, WireError, GraderTimeoutError) as error:
            text = f"{error} (before {self._label(index)})"
            self.incidents.append({"kind": "killed", "text": text})
            outputs = [dict(no_verdict(text, "ProcessStopped"))]
        peer = self.side.peer
        if peer is not None and peer.broken:
            self._gone_text(self._label(index))
        if index not in self.executed:
            self.executed.append(index)
        self.outputs[index] = outputs


def renew_results() -> None:
    """Let the checks forget what they know of the student's functions: code has run since.

    Between a `check` and the `score` that follows no student cell runs, and the public cases need
    not be tried twice.
    """
    api = sys.modules.get("nnlib.checks.api")
    if api is not None:
        api.keep_results(True)


class GraderCells:
    """The locked cells' namespace and shell on the grader's side."""

    _shell: Any = None

    def __init__(
        self, bounds: Bounds, student_names: frozenset[str] = frozenset(),
        locked_names: frozenset[str] = frozenset(), imports: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._bounds = bounds
        self._student_names = student_names
        self._locked_names = locked_names
        if GraderCells._shell is None:
            GraderCells._shell = make_shell(Collector(0, lambda output: None))
        self.shell = GraderCells._shell
        # Not shell.reset(), which collects garbage each time.
        self.shell.user_ns.clear()
        self.shell.user_ns_hidden.clear()
        # Cells are counted from one again, and earlier notebooks' inputs and results are gone.
        history = self.shell.history_manager
        history.reset(new_session=False)
        history.input_hist_parsed[:] = history.input_hist_raw[:] = [""]
        self.shell.execution_count = 1
        self.shell.init_user_ns()
        self.shell.user_ns["__name__"] = "__main__"
        self._plain = set(self.shell.user_ns)
        self._seed()
        for line in imports:
            # What isn't installed here is a locked cell's own affair.
            with suppress(Exception):
                exec(line, self.shell.user_ns)

    @staticmethod
    def _seed() -> None:
        """Every notebook starts alike: what a locked cell draws doesn't depend on earlier ones."""
        import random

        import numpy as np

        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 - other courses' locked cells may draw from it
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(0)

    @property
    def _owned(self) -> dict[str, Any]:
        space = self.shell.user_ns
        return {name: value for name, value in space.items()
                if name not in self._plain and not SHELL_NAMES.fullmatch(name)}  # fmt: skip

    def run(self, side: StudentSide, source: str) -> list[dict[str, Any]]:
        """Run one locked cell against the student's process; returns its outputs."""
        side.ready()
        asked = asked_of_student(source, self._owned, self._student_names, self._locked_names)
        space = self.shell.user_ns
        given = side.names(asked)
        before = {name: space[name] for name in given if name in space}
        space.update(given)
        outputs: list[dict[str, Any]] = []
        collector = Collector(self._bounds.output_bytes, lambda output: merge(outputs, output))
        self.shell.collector = collector
        side.on_output = lambda output: self._from_student(output, collector)
        assert side.peer is not None
        here, environment = os.getcwd(), dict(os.environ)
        end = time.monotonic() + self._bounds.cell_seconds
        side.peer.deadline = min(side.deadline, end)
        try:
            with computing_limit(self._bounds.cell_seconds):
                error = run_cell(self.shell, source)
            if error is not None and not any(o["output_type"] == "error" for o in outputs):
                # An error that couldn't be shown still counts.
                outputs.append(dict(no_verdict("an error occurred and was not shown")))
        except GraderTimeoutError:
            outputs.append(dict(no_verdict("the locked cell computed for too long",
                                           "CellTimeoutError")))  # fmt: skip
        finally:
            side.on_output = lambda output: None
            if side.peer is not None:
                side.peer.deadline = side.deadline
            os.chdir(here)
            if dict(os.environ) != environment:
                os.environ.clear()
                os.environ.update(environment)
            bound = bound_names(source)
            for name, value in given.items():
                if name in space and space[name] is value and name not in bound:
                    del space[name]
                    if name in before:
                        space[name] = before[name]
            side.forget()
        return outputs

    @staticmethod
    def _from_student(output: dict[str, Any], collector: Collector) -> None:
        """What a student's function prints or shows while a locked cell calls it."""
        good = checked_output(output)
        if good is None:
            return
        if good["output_type"] == "stream":
            # Through sys.stdout, so that a check that silences its calls silences this, too.
            sys.stdout.write(good["text"])
        elif good["output_type"] == "display_data":
            collector.show(good)
