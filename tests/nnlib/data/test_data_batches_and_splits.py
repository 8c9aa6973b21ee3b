"""Batches and splits: every example exactly once, x and y never torn apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlib.data import iterate_batches, train_validation_test_split
from nnlib.errors import DtypeError, ShapeError


def paired(n):
    """Rows that carry their own number, so that a torn pair shows."""
    return np.stack([np.arange(n), 10.0 * np.arange(n)], axis=1), np.arange(n)


@given(
    n=st.integers(0, 40),
    batch_size=st.integers(1, 50),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
)
def test_each_example_once_and_pairs_kept(n, batch_size, shuffle, drop_last):
    x, y = paired(n)
    batches = list(
        iterate_batches(
            x,
            y,
            batch_size=batch_size,
            rng=np.random.default_rng(n),
            shuffle=shuffle,
            drop_last=drop_last,
        )
    )
    assert all(np.array_equal(xb[:, 0], yb) for xb, yb in batches)
    seen = [int(label) for _, yb in batches for label in yb]
    sizes = [len(yb) for _, yb in batches]
    assert len(set(seen)) == len(seen)
    if drop_last:
        assert sizes == [batch_size] * (n // batch_size)
    else:
        assert sorted(seen) == list(range(n))
        assert all(size == batch_size for size in sizes[:-1])
        assert 0 not in sizes
    if not shuffle:
        assert seen == sorted(seen)


def test_examples_are_shuffled_not_only_batches():
    x, y = paired(100)
    rng = np.random.default_rng(0)
    epochs = [[yb for _, yb in iterate_batches(x, y, batch_size=10, rng=rng)] for _ in range(2)]
    assert all(np.ptp(batch) > 9 for batch in epochs[0]), "a batch must mix distant rows"
    assert not np.array_equal(np.concatenate(epochs[0]), np.concatenate(epochs[1]))


def test_same_rng_gives_the_same_epoch():
    x, y = paired(20)
    first, second = (
        np.concatenate([yb for _, yb in iterate_batches(x, y, batch_size=3, rng=rng)])
        for rng in (np.random.default_rng(5), np.random.default_rng(5))
    )
    assert np.array_equal(first, second)


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_are_copies(shuffle):
    x, y = paired(6)
    rng = np.random.default_rng(0)
    for xb, yb in iterate_batches(x, y, batch_size=4, rng=rng, shuffle=shuffle):
        xb[:] = -1
        yb[:] = -1
    assert np.array_equal(x, paired(6)[0])
    assert np.array_equal(y, paired(6)[1])


def test_without_labels():
    batches = list(iterate_batches(np.zeros((5, 2)), None, batch_size=2, shuffle=False))
    assert [xb.shape for xb, _ in batches] == [(2, 2), (2, 2), (1, 2)]
    assert all(yb is None for _, yb in batches)


def test_batch_errors_come_at_the_call():
    x, y = paired(4)
    rng = np.random.default_rng(0)
    with pytest.raises(ShapeError, match=r"iterate_batches: x and y must have the same number"):
        iterate_batches(x, y[:3], batch_size=2, rng=rng)
    with pytest.raises(ValueError, match=r"rng must be given when shuffle=True.*shuffle=False"):
        iterate_batches(x, y, batch_size=2)
    with pytest.raises(ValueError, match=r"batch_size must be an integer >= 1, got 0"):
        iterate_batches(x, y, batch_size=0, rng=rng)
    with pytest.raises(DtypeError, match=r"batch_size must be an integer >= 1, got 2.0"):
        iterate_batches(x, y, batch_size=2.0, rng=rng)
    with pytest.raises(DtypeError, match=r"rng must be a numpy.random.Generator, got int 7"):
        iterate_batches(x, y, batch_size=2, rng=7)
    with pytest.raises(DtypeError, match=r"x must be an array, got list"):
        iterate_batches([[1.0]], y, batch_size=2, rng=rng)


@given(n=st.integers(20, 200), seed=st.integers(0, 1000), stratify=st.booleans())
def test_split_is_a_partition_with_pairs_kept(n, seed, stratify):
    x, _ = paired(n)
    y = np.arange(n) % 3
    rng = np.random.default_rng(seed)
    split = train_validation_test_split(x, y, rng=rng, stratify=stratify)
    rows = np.concatenate([part.rows for part in split])
    assert np.array_equal(np.sort(rows), np.arange(n))
    for part, fraction in zip(split, (0.7, 0.15, 0.15), strict=True):
        assert np.array_equal(part.x[:, 0], part.rows)
        assert np.array_equal(part.y, part.rows % 3)
        assert abs(len(part.y) - fraction * n) < 1


@given(counts=st.lists(st.integers(5, 60), min_size=2, max_size=6), seed=st.integers(0, 1000))
def test_stratify_keeps_proportions(counts, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    x = y[:, None].astype(float)
    split = train_validation_test_split(
        x, y, fractions=(0.6, 0.2, 0.2), rng=np.random.default_rng(seed), stratify=True
    )
    for part, fraction in zip(split, (0.6, 0.2, 0.2), strict=True):
        got = np.bincount(part.y, minlength=len(counts))
        assert np.abs(got - fraction * np.array(counts)).max() < 2.5


def test_stratify_does_what_chance_does_not():
    y = (np.arange(1000) < 20).astype(int)
    x = y[:, None].astype(float)
    shares = {
        stratify: [
            train_validation_test_split(
                x, y, rng=np.random.default_rng(seed), stratify=stratify
            ).test.y.sum()
            for seed in range(20)
        ]
        for stratify in (True, False)
    }
    assert set(shares[True]) == {3}
    assert np.ptp(shares[False]) >= 3


def test_split_depends_on_rng_alone_and_is_shuffled():
    x, y = paired(60)
    first, again, other = (
        train_validation_test_split(x, y, rng=np.random.default_rng(seed)).test.rows
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    ordered = train_validation_test_split(
        x, y % 2, rng=np.random.default_rng(0), stratify=True
    ).train.y
    assert (np.diff(ordered) == 0).any(), "stratified rows must not alternate by class"


def test_split_parts_are_copies_and_may_be_empty():
    x, y = paired(10)
    split = train_validation_test_split(
        x, y, fractions=(0.8, 0.0, 0.2), rng=np.random.default_rng(0)
    )
    assert split.validation.x.shape == (0, 2)
    split.train.x[:] = -1
    assert np.array_equal(x, paired(10)[0])


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((0.8, 0.2), r"must be three numbers"),
        ((0.7, 0.2, 0.2), r"add up to 1, got .* sum 1.1"),
        ((1.2, -0.1, -0.1), r"non-negative"),
        ((70, 15, 15), r"counts or percentages"),
        ((0.98, 0.01, 0.01), r"parts of \[10, 0, 0\]"),
    ],
)
def test_bad_fractions(fractions, message):
    x, y = paired(10)
    with pytest.raises(ValueError, match=message):
        train_validation_test_split(x, y, fractions=fractions, rng=np.random.default_rng(0))


def test_split_errors():
    x, y = paired(10)
    rng = np.random.default_rng(0)
    with pytest.raises(ShapeError, match="same number of rows"):
        train_validation_test_split(x, y[1:], rng=rng)
    with pytest.raises(ShapeError, match=r"y must have shape \(n,\) when stratify=True"):
        train_validation_test_split(x, x, rng=rng, stratify=True)
    with pytest.raises(ShapeError, match="got None"):
        train_validation_test_split(x, None, rng=rng)
    with pytest.raises(DtypeError, match=r"rng must be a numpy\.random\.Generator, got int 0"):
        train_validation_test_split(x, y, rng=0)
