"""Running the contract's cases against any implementation: compare, diagnose, score."""

# These register drivers and judges that case tables name.
from nnlib.checks import (
    array_checks,
    gate_judges,
    layer_drivers,
    split_judges,
    train_drivers,
    tuning_drivers,
)
from nnlib.checks.api import check, check_all, grade, score
from nnlib.checks.report import Report, Row

__all__ = [
    "Report",
    "Row",
    "array_checks",
    "check",
    "check_all",
    "gate_judges",
    "grade",
    "layer_drivers",
    "score",
    "split_judges",
    "train_drivers",
    "tuning_drivers",
]
