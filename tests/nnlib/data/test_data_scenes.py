"""Generated scenes: boxes and masks agree with the pixels."""

import numpy as np
import pytest

from nnlib import data
from nnlib.data.scenes import _overlap
from nnlib.errors import DtypeError


def scenes(seed=0, n=60, **options):
    return data.make_scenes(np.random.default_rng(seed), n, **options)


def test_shapes_types_and_repeatability():
    one, same, other = scenes(), scenes(), scenes(1)
    assert one.x.shape == (60, 1, 32, 32)
    assert one.x.dtype == np.float32
    assert one.masks.shape == (60, 32, 32)
    assert one.masks.dtype == np.int64
    assert np.array_equal(one.x, same.x)
    assert not np.array_equal(one.x, other.x)
    assert scenes(dtype=np.float64).boxes[0].dtype == np.float64
    assert repr(one).startswith("Scenes(x (60, 1, 32, 32) float32, ")


def test_number_and_kinds_of_objects_vary():
    many = scenes(n=300)
    counts = np.bincount([len(labels) for labels in many.labels], minlength=4)
    assert counts[0] == 0
    assert (counts[1:] > 60).all()
    kinds = np.bincount(np.concatenate(many.labels), minlength=3)
    assert (kinds > 120).all()
    assert max(len(labels) for labels in scenes(most=1).labels) == 1


def test_a_single_object_fills_its_box_and_no_more():
    lonely = scenes(n=200, most=1, noise=0.0)
    shares = {0: np.pi / 4, 1: 1.0, 2: 0.5}
    for (box,), (label,), mask in zip(lonely.boxes, lonely.labels, lonely.masks, strict=True):
        rows, columns = np.nonzero(mask)
        assert set(mask[rows, columns]) == {label + 1}
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(np.array(edges) - box).max() <= 1.6  # a triangle's tip is thin
        area = (box[2] - box[0]) * (box[3] - box[1])
        assert len(rows) / area == pytest.approx(shares[label], abs=0.2)


def test_objects_differ_from_the_ground_and_hardly_overlap():
    clear = scenes(n=100, noise=0.0)
    for image, mask, boxes in zip(clear.x[:, 0], clear.masks, clear.boxes, strict=True):
        ground = np.median(image[mask == 0])
        assert np.abs(image[mask > 0] - ground).min() > 0.05
        assert ((boxes >= 0) & (boxes <= 32)).all()
        assert all(_overlap(a, b) <= 0.1 + 1e-6 for k, a in enumerate(boxes) for b in boxes[:k])


def test_bad_arguments_are_refused():
    with pytest.raises(DtypeError, match="rng must be"):
        data.make_scenes(0, 3)
    with pytest.raises(ValueError, match="size must be an integer >= 16"):
        scenes(size=8)
    with pytest.raises(ValueError, match="most must be"):
        scenes(most=0)
    with pytest.raises(ValueError, match="noise must be"):
        scenes(noise=-1.0)
