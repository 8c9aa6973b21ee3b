"""The two measurements of chapter 13: what a shift changes, and where a gradient arrives."""

from __future__ import annotations

import numpy as np
import pytest

import nnlib.numpy_track as nn
from nnlib.errors import ShapeError
from nnlib.numpy_track.image_probes import gradient_reach, shift_difference

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(20, 26))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_convolution_is_equivariant_at_multiples_of_its_stride(stride: int) -> None:
    w = np.random.default_rng(1).normal(size=(5, 1, 3, 3))

    def f(x: np.ndarray) -> np.ndarray:
        return nn.conv2d_forward(x, w, None, stride=stride, padding=1)[0]

    for shift in range(5):
        found = shift_difference(f, IMAGE, shift=shift, step=stride)
        inside = found[:, 2:-2].max()
        assert (inside < 1e-12) == (shift % stride == 0), shift
        assert found[:, 0].max() > 1e-3 or shift == 0  # the border, where zeros are


def test_the_difference_by_hand() -> None:
    # The only column that can change is the one that is not there before the shift.
    image = np.array([[1.0, 2.0, 4.0], [0.0, 1.0, 3.0]])
    found = shift_difference(lambda x: x - x.mean(), image, shift=1, step=1)
    still, moved = image[:, :2] - image[:, :2].mean(), image[:, 1:] - image[:, 1:].mean()
    np.testing.assert_allclose(found, abs(still[:, 1:] - moved[:, :1]) / still.std())


@pytest.mark.parametrize("layers", [
    [(3, 1, 1)], [(3, 1, 1)] * 3, [(5, 2, 1), (3, 1, 1)], [(3, 1, 2), (3, 2, 1), (1, 1, 1)]])
def test_the_gradient_fills_the_receptive_field(layers: list[tuple[int, int, int]]) -> None:
    for seed in range(3):
        reach = gradient_reach(layers, seed=seed, size=41)
        assert reach.shape == (41, 41)
        for axis in (0, 1):
            seen = np.flatnonzero(reach.any(axis=axis))
            assert seen[-1] - seen[0] + 1 == nn.receptive_field(layers)


def test_bad_input_is_named() -> None:
    with pytest.raises(ShapeError, match="shift_difference: image must have shape"):
        shift_difference(np.copy, np.zeros(3), shift=1, step=1)
    with pytest.raises(ValueError, match="shift_difference: step must be"):
        shift_difference(np.copy, np.zeros((3, 3)), shift=1, step=0)
    with pytest.raises(ValueError, match="gradient_reach: size must be"):
        gradient_reach([(3, 1, 1)], seed=0, size=0)
