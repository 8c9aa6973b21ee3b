"""The contract that every implementation fulfils: names, signatures, caches, cases. Data only.

`nnlib.checks` runs the cases of this package against any namespace that holds the names:
`nnlib.numpy_track`, `nnlib.torch_track`, or ``SimpleNamespace(**student_functions)``.
"""

from nnlib.contract.caches import (
    EluCache,
    FlattenCache,
    GeluCache,
    IdentityCache,
    LeakyReluCache,
    LinearCache,
    LinearGrads,
    LogSoftmaxCache,
    MlpCache,
    PerceptronFit,
    ReluCache,
    SigmoidCache,
    SiluCache,
    SoftmaxCache,
    SoftplusCache,
    SplitIndices,
    Standardized,
    TanhCache,
)
from nnlib.contract.case import PROPERTIES, Case, Operation, Question, Rng
from nnlib.contract.registry import find, operations, questions

__all__ = [
    "PROPERTIES",
    "Case",
    "EluCache",
    "FlattenCache",
    "GeluCache",
    "IdentityCache",
    "LeakyReluCache",
    "LinearCache",
    "LinearGrads",
    "LogSoftmaxCache",
    "MlpCache",
    "Operation",
    "PerceptronFit",
    "Question",
    "ReluCache",
    "Rng",
    "SigmoidCache",
    "SiluCache",
    "SoftmaxCache",
    "SoftplusCache",
    "SplitIndices",
    "Standardized",
    "TanhCache",
    "find",
    "operations",
    "questions",
]

# Registers every case table; last, because the tables import from this package.
import nnlib.contract.cases  # noqa: F401
