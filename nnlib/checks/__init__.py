"""Running the contract's cases against any implementation: compare, diagnose, score."""

# These register drivers and judges that case tables name.
from nnlib.checks import (
    array_checks,
    augmentation_drivers,
    cnn_drivers,
    forward_drivers,
    gate_judges,
    init_judges,
    layer_drivers,
    schedule_drivers,
    split_judges,
    train_drivers,
    training_drivers,
    tuning_drivers,
    tuning_step_drivers,
)
from nnlib.checks.api import check, check_all, grade, score
from nnlib.checks.report import Report, Row

__all__ = [
    "Report",
    "Row",
    "array_checks",
    "augmentation_drivers",
    "check",
    "check_all",
    "cnn_drivers",
    "forward_drivers",
    "gate_judges",
    "grade",
    "init_judges",
    "layer_drivers",
    "schedule_drivers",
    "score",
    "split_judges",
    "train_drivers",
    "training_drivers",
    "tuning_drivers",
    "tuning_step_drivers",
]
