"""Preprocessors of the release: what takes a solution's place in the student notebook."""

from __future__ import annotations

from typing import Any

from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    IncludeHeaderFooter,
    LockCells,
    SaveCells,
)

STUB = "raise NotImplementedError"


class ClearCourseSolutions(ClearSolutions):  # type: ignore[misc]
    """nbgrader's ClearSolutions with a stub of the cell's own, where it names one.

    A cell that asks for a value needs one that the notebook can run with: ``answer = None``.
    """

    def preprocess_cell(self, cell: Any, resources: Any, cell_index: int) -> tuple[Any, Any]:
        """Replace the solution regions of one cell."""
        own = cell.metadata.pop("nn", {}).get("stub")
        if own is None:
            return super().preprocess_cell(cell, resources, cell_index)  # type: ignore[no-any-return]
        usual: dict[str, str] = dict(self.code_stub)  # type: ignore[has-type]
        self.code_stub = {**usual, "python": own}
        try:
            return super().preprocess_cell(cell, resources, cell_index)  # type: ignore[no-any-return]
        finally:
            self.code_stub = usual


# nbgrader's own list, except that nothing starts a kernel to fill in tests (InstantiateTests).
RELEASE_PREPROCESSORS = [
    IncludeHeaderFooter,
    LockCells,
    ClearCourseSolutions,
    ClearOutput,
    CheckCellMetadata,
    ComputeChecksums,
    SaveCells,
    ClearHiddenTests,
    ClearMarkScheme,
    ComputeChecksums,
    CheckCellMetadata,
]
