"""The real data sets: shapes, units, and what happens without scikit-learn."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from nnlib import data

SETS = {
    "load_digits": (1797, 64, 10),
    "load_iris": (150, 4, 3),
    "load_breast_cancer": (569, 30, 2),
    "load_wine": (178, 13, 3),
    "load_diabetes": (442, 10, 0),
}


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )


@pytest.mark.parametrize("loader", SETS)
def test_shapes_names_and_dtypes(loader):
    n, d, classes = SETS[loader]
    loaded = getattr(data, loader)()
    assert loaded.x.shape == (n, d)
    assert loaded.x.dtype == np.float64
    assert len(loaded.feature_names) == d == len(set(loaded.feature_names))
    assert all(type(name) is str for name in (*loaded.feature_names, *loaded.class_names))
    assert len(loaded.description) > 80
    if classes:
        assert loaded.y.shape == (n,)
        assert loaded.y.dtype == np.int64
        assert np.unique(loaded.y).tolist() == list(range(classes))
        assert len(loaded.class_names) == classes
    else:
        assert loaded.y.shape == (n, 1)
        assert loaded.y.dtype == np.float64
        assert loaded.class_names == ()


def test_digits_images_are_the_same_pixels_in_nchw():
    digits = data.load_digits()
    assert digits.images.shape == (1797, 1, 8, 8)
    assert np.array_equal(digits.images.reshape(1797, 64), digits.x)
    assert digits.x.min() == 0
    assert digits.x.max() == 16
    # The first example is a zero: dark ring, empty middle.
    assert digits.y[0] == 0
    assert digits.images[0, 0, 3:5, 3:5].sum() < 20


def test_diabetes_is_not_prescaled():
    age = data.load_diabetes().x[:, 0]
    assert age.min() >= 18
    assert age.max() < 80
    assert age.mean() > 40


def test_loaded_arrays_are_fresh_and_the_record_is_frozen():
    first = data.load_iris()
    first.x[:] = 0
    assert data.load_iris().x.std() > 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.x = None


def test_import_needs_numpy_alone():
    code = (
        "import sys, nnlib.data; "
        "print([m for m in ('sklearn', 'scipy', 'matplotlib', 'torch') if m in sys.modules])"
    )
    assert run(code).stdout.strip() == "[]"


def test_missing_scikit_learn_says_how_to_get_it():
    code = "import sys; sys.modules['sklearn'] = None; import nnlib.data as d; d.load_iris()"
    done = run(code)
    assert done.returncode == 1
    assert "load_iris: scikit-learn must be installed" in done.stderr
    assert 'pip install "nncourse[data]"' in done.stderr
