"""Put a submission's nbgrader metadata right before nbgrader reads it.

Students copy cells (two then share an id), delete them, and tools damage metadata. nbgrader keeps
the last of two cells with one id, refuses a notebook whose metadata doesn't validate, and keeps an
earlier score for a graded cell that a later submission lacks. Here the gradebook's record of the
assignment decides instead.
"""

from __future__ import annotations

from typing import Any

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearOutput,
    DeduplicateIds,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
)

from autograder.restore import restore_metadata, template_of


class RestoreMetadata(NbGraderPreprocessor):  # type: ignore[misc]
    """Rewrite nbgrader metadata from the gradebook; the first cell with an id counts."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Restore one notebook's metadata and score its deleted cells 0."""
        where = resources["nbgrader"]
        with Gradebook(where["db_url"]) as book:
            record = book.find_notebook(where["notebook"], where["assignment"])
            deleted = restore_metadata(nb.cells, template_of(record))
            self._zero_deleted(book, where, deleted)
        return nb, resources

    def _zero_deleted(self, book: Any, where: Any, deleted: list[str]) -> None:
        for name in deleted:
            try:
                grade = book.find_grade(
                    name, where["notebook"], where["assignment"], where["student"]
                )
            except MissingEntry:
                continue
            self.log.warning("Cell %s was deleted: scored 0", name)
            grade.auto_score = 0
            grade.needs_manual_grade = False
        book.db.commit()


SANITIZERS = [
    ClearOutput,
    RestoreMetadata,
    DeduplicateIds,
    OverwriteKernelspec,
    OverwriteCells,
    CheckCellMetadata,
]
