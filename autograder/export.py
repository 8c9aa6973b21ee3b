"""Grades out of the gradebook, as CSV that spreadsheets and learning platforms read."""

from __future__ import annotations

import csv
import io

from autograder.course import Course
from autograder.nbgrader_bridge import course_directory, gradebook, students_of
from autograder.report import spreadsheet_safe


def grades_csv(course: Course, assignments: list[str]) -> str:
    """One line a student and assignment: scores, and whether a person still has to grade."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["student", "assignment", "score", "max_score", "needs_manual_grade"])
    for assignment in assignments:
        directory = course_directory(course, assignment)
        if not students_of(directory, assignment):
            continue
        with gradebook(directory) as book:
            submissions = book.find_assignment(assignment).submissions
            for item in sorted(submissions, key=lambda s: str(s.student.id)):
                writer.writerow([
                    spreadsheet_safe(item.student.id), assignment, f"{item.score:g}",
                    f"{item.max_score:g}", "yes" if item.needs_manual_grade else "no",
                ])  # fmt: skip
    return buffer.getvalue()
