"""``nncourse``: the course's command line."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import click

from autograder.course import Course, find_course
from autograder.errors import CourseError

EXTRA = "pip install 'nncourse[grade]'"
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EACCES)
"""Errors that the machine's owner puts right, not the course's authors."""


class Commands(click.Group):
    """Shows a user's errors as messages, in the order in which commands are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order of their definition."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; a CourseError or a missing package ends it with a message."""
        try:
            return super().invoke(ctx)
        except CourseError as error:
            click.echo(f"nncourse: {error}", err=True)
            ctx.exit(2)
        except ModuleNotFoundError as error:
            package = (error.name or "").split(".")[0]
            if package in ("", "autograder", "nnlib"):
                raise
            click.echo(f"nncourse: the package {package} is missing: run {EXTRA}", err=True)
            ctx.exit(2)
        except Exception as error:
            trouble = machine_trouble(error)
            if not trouble:
                raise
            click.echo(
                f"nncourse: {trouble}\nNothing is lost: put it right, then run the command again "
                "(`nncourse grade` with --resume).", err=True,
            )  # fmt: skip
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("\nnncourse: stopped. Run the command again to continue.", err=True)
            ctx.exit(130)


def machine_trouble(error: Exception) -> str:
    """What is wrong with the disk or the gradebook's file, "" where it is something else."""
    if isinstance(error, OSError) and error.errno in DISK:
        where = f" ({error.filename})" if error.filename else ""
        return f"{os.strerror(error.errno)}{where}"
    # By name: most commands don't need SQLAlchemy, and importing it takes a while.
    if type(error).__name__ == "OperationalError" and hasattr(error, "orig"):
        return f"the gradebook can't be used: {error.orig}. Does another program hold it?"
    return ""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nncourse")
def main() -> None:
    """The course's tools for students, instructors and authors.

    Run from anywhere inside the course. Assignments may be shortened: 05 means 05-backprop.
    Without an ASSIGNMENT, a command works on all of them.
    """


@main.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--timeout", default=60, show_default=True, help="Seconds per cell.")
def check(notebook: Path, timeout: int) -> None:
    """Student: run NOTEBOOK from top to bottom and show its verdicts."""
    from autograder.studentcheck import check_notebook

    sys.exit(0 if check_notebook(notebook, timeout=timeout) else 1)


@main.command()
def doctor() -> None:
    """Say what is missing on this machine and how to get it."""
    from autograder.doctor import examine, show

    try:
        course: Course | None = find_course()
    except CourseError:
        course = None
    sys.exit(0 if show(examine(course)) else 1)


@main.command()
@click.argument("assignments", nargs=-1, metavar="[ASSIGNMENT]...")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; fail on differences.")
@click.option("--replace", is_flag=True, help="Drop an older version's submissions from the "
              "gradebook where they stand in the way.")  # fmt: skip
def release(assignments: tuple[str, ...], only_check: bool, replace: bool) -> None:
    """Author: turn solutions/ into the student notebooks in exercises/."""
    from autograder import release as releasing

    course = find_course()
    names = course.resolve(assignments)
    if not names:
        raise CourseError("There are no assignments: solutions/ has no folder with .md files.")
    if only_check:
        found = releasing.check_release(course, names)
        if found:
            lines = "\n".join(f"  {line}" for line in found)
            raise CourseError(
                "exercises/ doesn't match solutions/:\n" + lines
                + "\nNotebooks in exercises/ are generated. Run `nncourse release` and commit them."
            )  # fmt: skip
        click.echo(f"exercises/ matches solutions/ ({len(names)} assignments).")
        return
    for done in releasing.release(course, names, replace=replace):
        what = "unchanged" if done.reused or not done.changed else f"wrote {len(done.changed)}"
        click.echo(f"{done.assignment}: {what}")


@main.command("sample-class")
@click.argument("assignments", nargs=-1, metavar="[ASSIGNMENT]...")
def sample_class(assignments: tuple[str, ...]) -> None:
    """Instructor: write a sample class to submitted/sample-*/."""
    from autograder.release import prepare_sources
    from autograder.sample_class import write_class

    course = find_course()
    names = course.resolve(assignments)
    prepare_sources(course, names)
    for name in names:
        made = write_class(course, name)
        click.echo(f"{name}: {len(made.students)} students{' (unchanged)' if made.reused else ''}")


@main.command()
@click.argument("assignments", nargs=-1, metavar="[ASSIGNMENT]...")
@click.option("--students", default="*", show_default=True, help="Only names that match (glob).")
@click.option("--workers", default=os.cpu_count() or 1, show_default="one per processor",
              type=click.IntRange(1, 256), help="Notebooks to execute side by side.")
@click.option("--cluster", metavar="ADDRESS", default="",
              help="Use the workers of this Dask scheduler (tcp://host:8786) instead.")
@click.option("--resume", is_flag=True, help="Continue an interrupted run: believe its stamps and "
              "don't read finished submissions again.")
@click.option("--trust-submissions", is_flag=True, help="Where student code can't be confined, "
              "run it all the same, with your rights.")
@click.option("--force", is_flag=True, help="Execute and grade again what has not changed.")
@click.option("--no-feedback", is_flag=True, help="Write no feedback pages.")  # fmt: skip
def grade(
    assignments: tuple[str, ...], students: str, workers: int, cluster: str, resume: bool,
    trust_submissions: bool, force: bool, no_feedback: bool,
) -> None:  # fmt: skip
    """Instructor: grade submitted/<student>/<assignment>/ and write feedback and reports.

    What is graded already and has not changed is kept, after an interruption, too; run the command
    again to continue. The exit status is 0 when the run completed, even if some submissions need
    attention.
    """
    from autograder.lean import skip_slow_imports

    skip_slow_imports()
    from autograder import grade as grading
    from autograder.console import show_runs
    from autograder.release import release as run_release
    from autograder.report import write_reports

    course = find_course()
    names = course.resolve(assignments)
    if force and resume:
        raise CourseError("--force grades everything again and --resume what is left: choose one.")
    if not assignments:
        names = [n for n in names if grading.students_with(course, n, students)] or names
    run_release(course, names)
    if not course.secret():
        click.echo(
            "Note: no course secret is set, so hidden cases are the public default. Put one line "
            "of text into .course_secret (git ignores it) or into NNCOURSE_SECRET."
        )
    runs = grading.grade(
        course, names, students=students, workers=workers, cluster=cluster, resume=resume,
        trust=trust_submissions, force=force, feedback=not no_feedback,
    )  # fmt: skip
    reports = [path for run in runs if run.outcomes for path in write_reports(course, run)]
    show_runs(course, runs, reports)


@main.command()
@click.argument("assignments", nargs=-1, metavar="[ASSIGNMENT]...")
@click.option("--output", type=click.Path(path_type=Path), help="File; default: standard output.")
def export(assignments: tuple[str, ...], output: Path | None) -> None:
    """Instructor: all grades in the gradebook as CSV."""
    from autograder.course import write_atomic
    from autograder.export import grades_csv

    course = find_course()
    text = grades_csv(course, course.resolve(assignments))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomic(output, text)
        click.echo(f"wrote {output}")


@main.command("report-card")
def report_card_command() -> None:
    """Author: hold the grader against its own references, mistakes and alternatives."""
    from autograder.console import show_report_card
    from autograder.reportcard import report_card

    sys.exit(0 if show_report_card(report_card(find_course())) else 1)


if __name__ == "__main__":
    main()
