"""The way of each submission of a class through engines, gradebook and files.

The order is: kept result, gradebook, ``autograded/``, ``feedback/``, stamp. Each step can be
repeated, and the stamp comes last: wherever a run is killed, doing a submission again gives the
same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from autograder.course import Course, write_atomic
from autograder.engine_client import GRACE
from autograder.feedback import feedback_settings, write_notice
from autograder.job import Job, failed
from autograder.outcomes import ATTENTION, SHARED, Outcome, hints_of, outcome_of
from autograder.plan import Plan
from autograder.progress import Progress
from autograder.record import Recorder, SubmissionView
from autograder.result import Result
from autograder.schedule import Answer, Failure, Task
from autograder.store import Store
from autograder.submission import STAMP, Submission, read_submission

NOTICE = "needs-attention.html"
PAGE_SECONDS = 120.0
READ_ONLY = 0o444


@dataclass
class Open:
    """A submission that is recorded and waits for its pages."""

    outcome: Outcome
    stamp: dict[str, Any]
    refreshed: bool = False


class Grading:
    """One assignment of a class on its way.

    Parameters
    ----------
    course : Course
        The course.
    plan : Plan
        The assignment.
    version : str
        Hash of all that decides about what is written, other than the submission.
    recorder : Recorder
        The open gradebook.
    options : autograder.grade.Options
        How the run is made.

    Attributes
    ----------
    done : dict
        Outcomes by student.
    """

    def __init__(
        self, course: Course, plan: Plan, version: str, recorder: Recorder, options: Any
    ) -> None:
        from autograder.nbgrader_bridge import load_config

        self.course, self.plan, self.version = course, plan, version
        self.recorder, self.options = recorder, options
        self.store = Store(course, plan.assignment)
        self.done: dict[str, Outcome] = {}
        self.progress: Progress | None = None
        self._settings = feedback_settings(load_config(course))
        self._open: dict[str, Open] = {}
        self._ready: deque[Task] = deque()
        self._under_way: dict[str, Job] = {}
        self._refresh: list[str] = []

    # What is finished already

    def look(self, names: list[str]) -> list[str]:
        """Take finished submissions from their stamps; returns the others."""
        todo = []
        for name in names:
            stamp = {} if self.options.force else self.store.stamp(name)
            if self._finished(name, stamp):
                self.done[name] = Outcome.from_dict(stamp["outcome"])
            else:
                todo.append(name)
        return todo

    def _finished(self, name: str, stamp: dict[str, Any]) -> bool:
        if not stamp.get("complete") or stamp.get("version") != self.version:
            return False
        if self.options.feedback and not stamp["feedback"]:
            return False
        folder = self._folder(self.course.autograded, name)
        files = [folder / file for file in stamp["autograded"]]
        files += [self.course.root / page for page in stamp["outcome"]["feedback"]]
        if not all(path.is_file() for path in files):
            return False
        if self.options.resume:
            return True
        if self._read(name).key != stamp["submission"]:
            return False
        view = self.recorder.view(name)
        if view is None:
            return False
        if view.state != stamp["gradebook"]:
            # A person has given grades or comments since: only the pages are made again.
            self._refresh.append(name)
        return True

    def _read(self, name: str) -> Submission:
        return read_submission(self.course.submitted / name / self.plan.assignment)

    def _folder(self, base: Path, name: str) -> Path:
        return base / name / self.plan.assignment

    # What goes to the engines

    def tasks(self, todo: list[str]) -> Iterator[Task | None]:
        """Requests, as there is room for them; pages first, so that little is held open."""
        for name in self._refresh:
            self._begin_refresh(name)
        names = iter(todo)
        while True:
            if self._ready:
                yield self._ready.popleft()
                continue
            for name in names:
                task = self._begin(name)
                if task is not None:
                    yield task
                break
            else:
                if not self._open and not self._under_way:
                    return
                yield None

    def _begin(self, name: str) -> Task | None:
        submission = self._read(name)
        job = Job(self.plan.text, self.plan.key, submission)
        self.store.reopen(name)
        result = None if self.options.force else self.store.result(job.key)
        if result is not None:
            self._record(name, job, result)
            return None
        known = {} if self.options.force else self.store.executions(name)
        job = Job(self.plan.text, self.plan.key, submission, known)
        self._under_way[name] = Job("", self.plan.key, submission)
        notebooks = max(1, len(self.plan.templates))
        seconds = notebooks * (self.plan.bounds["notebook_seconds"] + GRACE) + GRACE
        return Task(("grade", name), {"do": "grade", "job": job.to_dict()}, seconds)

    def _begin_refresh(self, name: str) -> None:
        stamp = self.store.stamp(name)
        view = self.recorder.view(name)
        assert view is not None, "it was read a moment ago"
        self.store.reopen(name)
        outcome = self.done.pop(name)
        result = self.store.result(stamp["result"])
        hints: Any = hints_of(result) if result else {
            (task.notebook, task.name): task.hints for task in outcome.tasks
        }  # fmt: skip
        outcome.fill(view, self.plan.order(), hints)
        folder = self._folder(self.course.autograded, name)
        texts = {
            file.removesuffix(".ipynb"): (folder / file).read_text(encoding="utf-8")
            for file in stamp["autograded"]
        }
        self._pages(name, Open(outcome, {**stamp, "gradebook": view.state}, True), texts, view)

    # What comes back

    def take(self, task: Task, answer: Answer) -> None:
        """Go on with a submission when an engine has answered."""
        kind, name = task.tag
        if kind == "feedback":
            self._take_pages(name, answer)
            return
        job = self._under_way.pop(name)
        if isinstance(answer, Failure):
            result = failed(self.plan, f"the grader's process failed: {answer.text}")
        else:
            result = Result.from_dict(answer)
            self.store.keep(job.key, result)
        self._record(name, job, result)

    def _record(self, name: str, job: Job, result: Result) -> None:
        try:
            view = self.recorder.record(name, result)
        except OperationalError:
            raise  # a locked gradebook, a full disk: the machine's failure, no submission's
        except Exception as error:
            reason = f"it could not be recorded: {type(error).__name__}: {str(error)[:300]}"
            result = failed(self.plan, reason)
            # If this fails, too, it is the gradebook that is broken, and the run ends.
            view = self.recorder.record(name, result)
        outcome = outcome_of(name, result)
        outcome.fill(view, self.plan.order(), hints_of(result))
        texts = {sheet.name: sheet.text for sheet in result.sheets if sheet.text}
        self._write_autograded(name, texts, result.timestamp)
        stamp = {
            "version": self.version, "submission": job.submission.key, "gradebook": view.state,
            "result": job.key, "autograded": [f"{sheet}.ipynb" for sheet in sorted(texts)],
            "complete": result.lasting,
        }  # fmt: skip
        self._pages(name, Open(outcome, stamp), texts, view)

    def _write_autograded(self, name: str, texts: dict[str, str], timestamp: str) -> None:
        folder = self._folder(self.course.autograded, name)
        files: dict[str, str | bytes] = {}
        if texts:
            files |= self.plan.files
            files |= {f"{notebook}.ipynb": text for notebook, text in texts.items()}
            if timestamp:
                files[STAMP] = timestamp + "\n"
        for file, content in files.items():
            write_atomic(folder / file, content, READ_ONLY)
        _keep_only(folder, set(files))

    def _pages(
        self, name: str, item: Open, texts: dict[str, str], view: SubmissionView
    ) -> None:
        """Ask for feedback pages, or finish where there are none to make."""
        item.stamp["feedback"] = self.options.feedback
        self._open[name] = item
        if not texts or not self.options.feedback:
            self._finish(name, {})
            return
        notebooks = {
            notebook: {"text": text, "given": view.notebooks[notebook].to_dict()}
            for notebook, text in texts.items()
        }
        remark = SHARED if item.outcome.isolation == "shared" else ""
        request = {
            "do": "feedback", "notebooks": notebooks, "settings": self._settings,
            "remark": remark,
        }  # fmt: skip
        self._ready.append(Task(("feedback", name), request, PAGE_SECONDS))

    def _take_pages(self, name: str, answer: Answer) -> None:
        if isinstance(answer, Failure):
            item = self._open[name]
            item.outcome.attend(f"the feedback page could not be made: {answer.text}")
            item.stamp["complete"] = False
            self._finish(name, {})
        else:
            self._finish(name, answer["pages"])

    def _finish(self, name: str, pages: dict[str, str]) -> None:
        """Write pages and the stamp: the submission is finished."""
        item = self._open.pop(name)
        outcome = item.outcome
        folder = self._folder(self.course.feedback, name)
        written = []
        for notebook in sorted(pages):
            write_atomic(folder / f"{notebook}.html", pages[notebook])
            written.append(folder / f"{notebook}.html")
        if outcome.status == ATTENTION and self.options.feedback:
            title = f"{outcome.assignment}: please look at your submission"
            write_notice(folder / NOTICE, title, outcome.reasons)
            written.append(folder / NOTICE)
        _keep_only(folder, {path.name for path in written})
        outcome.feedback = [self.course.relative(path) for path in written]
        before = self.store.stamp(name).get("result", "")
        self.store.finish(name, {**item.stamp, "outcome": outcome.to_dict()})
        if before and before != item.stamp["result"]:
            self.store.forget(before)
        self.done[name] = outcome
        if self.progress is not None and not item.refreshed:
            text = f"{outcome.score:g}/{outcome.max_score:g} {outcome.status}"
            self.progress.advance(name, text, attention=outcome.status == ATTENTION)


def _keep_only(folder: Path, names: set[str]) -> None:
    """Remove what an earlier grading wrote, so that nothing stale is left beside the new."""
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in names:
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
