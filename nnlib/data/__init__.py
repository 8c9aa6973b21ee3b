"""Data that works offline: real sets, generated ones, batches and splits.

Examples
--------
>>> import numpy as np
>>> from nnlib import data
>>> x, y = data.make_moons(np.random.default_rng(0), 200)
>>> x.shape, y.shape
((200, 2), (200,))
"""

from nnlib.data.batches import iterate_batches
from nnlib.data.sklearn_sets import (
    Dataset,
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from nnlib.data.splits import Part, Split, train_validation_test_split
from nnlib.data.toy import (
    logic_gate,
    make_blobs,
    make_linearly_separable,
    make_moons,
    make_sine,
    make_spirals,
    make_xor,
)

__all__ = [
    "Dataset",
    "Part",
    "Split",
    "iterate_batches",
    "load_breast_cancer",
    "load_diabetes",
    "load_digits",
    "load_iris",
    "load_wine",
    "logic_gate",
    "make_blobs",
    "make_linearly_separable",
    "make_moons",
    "make_sine",
    "make_spirals",
    "make_xor",
    "train_validation_test_split",
]
