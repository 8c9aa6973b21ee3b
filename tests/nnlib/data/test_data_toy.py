"""The generated data sets keep their promises: shapes, balance, margin, and dependence on rng."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlib import data
from nnlib.errors import DtypeError, ShapeError

GENERATORS = {
    "make_blobs": data.make_blobs,
    "make_moons": data.make_moons,
    "make_spirals": data.make_spirals,
    "make_sine": data.make_sine,
    "make_xor": data.make_xor,
    "make_linearly_separable": data.make_linearly_separable,
}
CLASSES = {"make_blobs": 3, "make_moons": 2, "make_spirals": 2, "make_linearly_separable": 2}
each_generator = pytest.mark.parametrize("name", GENERATORS)


@each_generator
def test_shapes_and_dtypes(name):
    x, y = GENERATORS[name](np.random.default_rng(0), 31)
    assert x.dtype == np.float64
    assert np.isfinite(x).all()
    if name == "make_sine":
        assert x.shape == y.shape == (31, 1)
        assert y.dtype == np.float64
    else:
        assert x.shape == (31, 2)
        assert y.shape == (31,)
        assert y.dtype == np.int64


@each_generator
def test_same_rng_same_data_other_rng_other_data(name):
    make = GENERATORS[name]
    first, again, other = (make(np.random.default_rng(seed), 40) for seed in (3, 3, 4))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[1], other[1])
    assert len(np.unique(first[0], axis=0)) == 40, "the examples must differ from each other"


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_balanced_and_in_random_order(name):
    _, y = GENERATORS[name](np.random.default_rng(1), 61)
    counts = np.bincount(y)
    assert len(counts) == CLASSES[name]
    assert counts.max() - counts.min() <= 1
    assert (np.diff(y) < 0).any()
    assert (np.diff(y) > 0).any()


@each_generator
def test_one_example(name):
    x, y = GENERATORS[name](np.random.default_rng(0), 1)
    assert len(x) == len(y) == 1


@each_generator
@pytest.mark.parametrize("rng", [0, None, np.random, np.random.RandomState(0)])
def test_rng_must_be_a_generator(name, rng):
    with pytest.raises(DtypeError, match=rf"{name}: rng must be a numpy.random.Generator, got"):
        GENERATORS[name](rng, 10)


@each_generator
def test_n_must_be_a_positive_int(name):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=rf"{name}: n must be an integer >= 1, got 0"):
        GENERATORS[name](rng, 0)
    with pytest.raises(DtypeError, match=rf"{name}: n must be an integer >= 1, got 10.0"):
        GENERATORS[name](rng, 10.0)


@pytest.mark.parametrize("noise", [-0.1, np.nan, np.inf])
def test_noise_must_be_a_distance(noise):
    with pytest.raises(ValueError, match=r"make_moons: noise must be a finite number >= 0, got"):
        data.make_moons(np.random.default_rng(0), 10, noise=noise)
    with pytest.raises(
        DtypeError, match=r"make_moons: noise must be a finite number >= 0, got '0.1'"
    ):
        data.make_moons(np.random.default_rng(0), 10, noise="0.1")


@given(
    seed=st.integers(0, 2**32 - 1),
    margin=st.floats(0.0, 2.0),
    b=st.floats(-3.0, 3.0),
    d=st.integers(1, 5),
)
def test_linearly_separable_keeps_its_margin(seed, margin, b, d):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(d)
    x, y = data.make_linearly_separable(rng, 50, margin=margin, w=w, b=b)
    distance = (x @ w + b) / np.linalg.norm(w)
    assert x.shape == (50, d)
    assert y.sum() == 25
    assert ((2 * y - 1) * distance >= margin - 1e-15 * np.abs(x).max()).all()


def test_linearly_separable_in_a_drawn_direction():
    directions = set()
    for seed in range(5):
        x, y = data.make_linearly_separable(np.random.default_rng(seed), 200, margin=0.5)
        angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
        normals = np.stack([np.cos(angles), np.sin(angles)])
        gaps = ((2 * y - 1)[:, None] * (x @ normals)).min(axis=0)
        # The closest of 720 directions is within 0.25 degrees of the true one.
        assert gaps.max() > 0.48
        directions.add(int(gaps.argmax()))
    assert len(directions) > 1


def test_linearly_separable_refuses_a_zero_or_square_normal():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="w must be finite and not zero"):
        data.make_linearly_separable(rng, 4, w=[0.0, 0.0])
    with pytest.raises(ShapeError, match=r"w must have shape \(d,\), got \(2, 1\)"):
        data.make_linearly_separable(rng, 4, w=[[1.0], [2.0]])


def test_moons_have_radius_one_and_mirror_each_other():
    x, y = data.make_moons(np.random.default_rng(0), 400, noise=0.0)
    upper = x[y == 0] - [-0.5, -0.25]
    lower = -x[y == 1] - [-0.5, -0.25]
    for moon in (upper, lower):
        assert np.allclose(np.linalg.norm(moon, axis=1), 1.0)
        assert (moon[:, 1] >= -1e-12).all()


def test_moons_are_not_linearly_separable_in_the_mean():
    x, y = data.make_moons(np.random.default_rng(0), 400, noise=0.0)
    design = np.column_stack([x, np.ones(len(x))])
    fitted = design @ np.linalg.lstsq(design, 2.0 * y - 1, rcond=None)[0]
    assert 0.6 < ((fitted > 0) == y).mean() < 0.95


def test_blobs_sit_on_their_centers():
    centers = np.array([[0.0, 0.0, 5.0], [4.0, -4.0, 0.0]])
    x, y = data.make_blobs(np.random.default_rng(0), 4000, centers=centers, spread=0.5)
    for label in (0, 1):
        assert np.allclose(x[y == label].mean(axis=0), centers[label], atol=0.06)
        assert np.allclose(x[y == label].std(axis=0), 0.5, atol=0.04)
    with pytest.raises(ShapeError, match=r"centers must be a number or have shape"):
        data.make_blobs(np.random.default_rng(0), 4, centers=[1.0, 2.0])


def test_spirals_wind_as_often_as_asked():
    x, y = data.make_spirals(np.random.default_rng(0), 900, classes=3, turns=1.5, noise=0.0)
    radius = np.linalg.norm(x, axis=1)
    expected = 2 * np.pi * (1.5 * radius + y / 3)
    assert np.allclose(x, radius[:, None] * np.stack([np.cos(expected), np.sin(expected)], 1))
    assert radius.min() < 0.2
    assert 0.97 < radius.max() <= 1.0


def test_sine_range_and_noise():
    x, y = data.make_sine(np.random.default_rng(0), 3000, low=0, high=2, frequency=3.0, noise=0.2)
    assert 0 <= x.min() < 0.05
    assert 1.95 < x.max() <= 2
    assert np.std(y - np.sin(3.0 * x)) == pytest.approx(0.2, rel=0.1)
    with pytest.raises(ValueError, match="low must be smaller than high"):
        data.make_sine(np.random.default_rng(0), 3, low=1, high=1)


def test_xor_has_all_four_corners():
    x, y = data.make_xor(np.random.default_rng(0), 40, noise=0.0)
    corners, counts = np.unique(x, axis=0, return_counts=True)
    assert corners.tolist() == [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    assert set(counts) == {10}
    assert np.array_equal(y, (x[:, 0] != x[:, 1]).astype(int))


@pytest.mark.parametrize(
    ("name", "gate"),
    [
        ("and", lambda a, b: a and b),
        ("or", lambda a, b: a or b),
        ("nand", lambda a, b: not (a and b)),
        ("xor", lambda a, b: a != b),
    ],
)
def test_logic_gates(name, gate):
    x, y = data.logic_gate(name)
    assert x.dtype == np.float64
    assert y.dtype == np.int64
    assert len(np.unique(x, axis=0)) == 4
    assert y.tolist() == [int(gate(bool(a), bool(b))) for a, b in x]


def test_unknown_gate_is_named():
    with pytest.raises(ValueError, match=r"'and', 'or', 'nand' or 'xor', got 'nor'"):
        data.logic_gate("nor")
