"""Data: real sets, generated ones, the book's text, and the rows of a batch or a split.

Everything but the loaders of MNIST, Fashion-MNIST and CIFAR-10 works offline. Those fetch their
files once and keep them.

Examples
--------
>>> import numpy as np
>>> from nnlib import data
>>> x, y = data.make_moons(np.random.default_rng(0), 200)
>>> x.shape, y.shape
((200, 2), (200,))
>>> data.make_glyphs(np.random.default_rng(0), 50, characters="abc")
Dataset(glyphs: x (50, 1, 28, 28) float32, y (50,) int64, 3 classes)
"""

from nnlib.data.batches import iterate_batches
from nnlib.data.dataset import Dataset
from nnlib.data.download import DownloadError, data_directory
from nnlib.data.glyphs import glyph_fonts, make_glyphs
from nnlib.data.idx import FormatError, read_idx
from nnlib.data.published import load_cifar10, load_fashion_mnist, load_mnist
from nnlib.data.scenes import SHAPE_KINDS, Scenes, make_scenes
from nnlib.data.sklearn_sets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from nnlib.data.splits import Part, Split, train_validation_test_split
from nnlib.data.text import CharacterVocabulary, book_text
from nnlib.data.tones import SAMPLE_RATE, TONE_KINDS, make_tone_waves, make_tones, spectrogram
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
    "SAMPLE_RATE",
    "SHAPE_KINDS",
    "TONE_KINDS",
    "CharacterVocabulary",
    "Dataset",
    "DownloadError",
    "FormatError",
    "Part",
    "Scenes",
    "Split",
    "book_text",
    "data_directory",
    "glyph_fonts",
    "iterate_batches",
    "load_breast_cancer",
    "load_cifar10",
    "load_diabetes",
    "load_digits",
    "load_fashion_mnist",
    "load_iris",
    "load_mnist",
    "load_wine",
    "logic_gate",
    "make_blobs",
    "make_glyphs",
    "make_linearly_separable",
    "make_moons",
    "make_scenes",
    "make_sine",
    "make_spirals",
    "make_tone_waves",
    "make_tones",
    "make_xor",
    "read_idx",
    "spectrogram",
    "train_validation_test_split",
]
