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
    ScaledBy,
    SigmoidCache,
    SiluCache,
    SoftmaxCache,
    SoftplusCache,
    SplitIndices,
    Standardized,
    TanhCache,
)
from nnlib.contract.caches_cnns import ResidualBlockCache, ResidualBlockGrads
from nnlib.contract.caches_convolution import (
    AvgPool2dCache,
    Conv2dCache,
    Conv2dGrads,
    GlobalAvgPool2dCache,
    MaxPool2dCache,
)
from nnlib.contract.caches_init import LayerStatistics
from nnlib.contract.caches_normalization import (
    BatchNormCache,
    BatchNormGrads,
    DropoutCache,
    LayerNormCache,
    LayerNormGrads,
)
from nnlib.contract.caches_sequences import (
    AttentionCache,
    AttentionGrads,
    EmbeddingCache,
    GruCache,
    GruCellCache,
    GruGrads,
    LstmCache,
    LstmCellCache,
    LstmGrads,
    RnnCache,
    RnnCellCache,
    RnnGrads,
)
from nnlib.contract.caches_train import (
    Checkpoint,
    Optimizer,
    PlateauState,
    SearchResult,
    SearchTrial,
    StepResult,
)
from nnlib.contract.case import PROPERTIES, Case, Operation, Question, Rng
from nnlib.contract.registry import find, operations, questions

__all__ = [
    "PROPERTIES",
    "AttentionCache",
    "AttentionGrads",
    "AvgPool2dCache",
    "BatchNormCache",
    "BatchNormGrads",
    "Case",
    "Checkpoint",
    "Conv2dCache",
    "Conv2dGrads",
    "DropoutCache",
    "EluCache",
    "EmbeddingCache",
    "FlattenCache",
    "GeluCache",
    "GlobalAvgPool2dCache",
    "GruCache",
    "GruCellCache",
    "GruGrads",
    "IdentityCache",
    "LayerNormCache",
    "LayerNormGrads",
    "LayerStatistics",
    "LeakyReluCache",
    "LinearCache",
    "LinearGrads",
    "LogSoftmaxCache",
    "LstmCache",
    "LstmCellCache",
    "LstmGrads",
    "MaxPool2dCache",
    "MlpCache",
    "Operation",
    "Optimizer",
    "PerceptronFit",
    "PlateauState",
    "Question",
    "ReluCache",
    "ResidualBlockCache",
    "ResidualBlockGrads",
    "Rng",
    "RnnCache",
    "RnnCellCache",
    "RnnGrads",
    "ScaledBy",
    "SearchResult",
    "SearchTrial",
    "SigmoidCache",
    "SiluCache",
    "SoftmaxCache",
    "SoftplusCache",
    "SplitIndices",
    "Standardized",
    "StepResult",
    "TanhCache",
    "find",
    "operations",
    "questions",
]

# Registers every case table; last, because the tables import from this package.
import nnlib.contract.cases  # noqa: F401
