"""Execute submissions side by side, ahead of the gradebook's only writer.

A worker runs nbgrader's own Autograde for one student, against a private copy of the gradebook and
a scratch folder. What stays is the execution cache; the parent then grades from it, one by one.
"""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from autograder.course import Course
from autograder.intake import STAGED

SCRATCH = "warm-"


@dataclass(frozen=True)
class Job:
    """One student's submission to execute."""

    root: str
    assignment: str
    student: str
    template: str
    refresh: bool = False


def execute(job: Job) -> str:
    """Fill the execution cache for one student; returns "" or what went wrong."""
    from nbgrader.converters.base import NbGraderException

    from autograder.nbgrader_bridge import course_directory, quiet_nbgrader, run_converter

    course = Course(Path(job.root))
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=course.cache))
    try:
        database = scratch / "gradebook.db"
        shutil.copyfile(job.template, database)
        directory = course_directory(
            course, job.assignment, job.student,
            db_url=f"sqlite:///{database}",
            submitted_directory=STAGED,
            autograded_directory=scratch.relative_to(course.root).as_posix(),
        )  # fmt: skip
        with quiet_nbgrader(course) as tail:
            try:
                extra = {"CourseExecute": {"refresh": job.refresh}}
                run_converter("Autograde", course, directory, extra)
            except NbGraderException:
                return tail.reason()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return ""


def execute_all(jobs: list[Job], workers: int) -> Iterator[Job]:
    """Execute jobs in worker processes; yields each as it is done, whatever its outcome.

    A worker that dies (out of memory) takes its pool along. The jobs left are then yielded as they
    are: the parent executes them itself.
    """
    if workers <= 1 or len(jobs) <= 1:
        yield from jobs
        return
    remaining = dict.fromkeys(jobs)
    context = multiprocessing.get_context("spawn")
    count = min(workers, len(jobs))
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_ignore_interrupt)
    try:
        futures = {pool.submit(execute, job): job for job in jobs}
        for future in as_completed(futures):
            future.exception()
            job = futures[future]
            remaining.pop(job)
            yield job
    except BrokenProcessPool:
        pass
    except BaseException:
        # Kernels notice that their worker is gone and end by themselves.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown(wait=True, cancel_futures=True)
    yield from remaining


def _ignore_interrupt() -> None:
    """Workers leave the keyboard's interrupt to the parent, which stops them."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
