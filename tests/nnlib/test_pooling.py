"""Pooling in both tracks against PyTorch, at ties, at borders, and on unusual inputs."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from test_convolution import LAYOUTS, upstream
from test_oracle import BACKWARD, FORWARD, TRACKS, assert_close, plain, to

import nnlib.numpy_track as ops
from nnlib.errors import DtypeError, ShapeError

POOLS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "2x2": ((2, 3, 6, 8), {"kernel_size": 2}),
    "a rest": ((2, 3, 7, 9), {"kernel_size": 2}),
    "overlap": ((2, 3, 6, 8), {"kernel_size": 3, "stride": 1}),
    "overlap, stride 2": ((2, 3, 7, 8), {"kernel_size": 3, "stride": 2}),
    "gaps": ((2, 3, 9, 11), {"kernel_size": 2, "stride": (3, 4)}),
    "pairs": ((2, 3, 7, 8), {"kernel_size": (3, 2), "stride": (2, 1)}),
    "padding": ((2, 3, 7, 8), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "padding of half the kernel": ((2, 3, 5, 6), {"kernel_size": (2, 4), "padding": (1, 2)}),
    "padding of columns": ((2, 3, 5, 6), {"kernel_size": 4, "stride": 1, "padding": (0, 2)}),
    "the whole image": ((2, 3, 4, 5), {"kernel_size": (4, 5)}),
    "more than the image": ((2, 3, 2, 3), {"kernel_size": (4, 5), "padding": (2, 2)}),
    "one pixel": ((2, 3, 1, 1), {"kernel_size": 1}),
    "one example": ((1, 1, 4, 4), {"kernel_size": 2}),
    "empty batch": ((0, 3, 4, 4), {"kernel_size": 2}),
}
KINDS = {
    "max": (F.max_pool2d, {}),
    "avg": (F.avg_pool2d, {}),
    "avg without padding": (F.avg_pool2d, {"count_include_pad": False}),
}


def pool(track: str, kind: str, x: np.ndarray, options: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Return y, dy and dx."""
    name = kind.split()[0]
    options = options | KINDS[kind][1]
    y, cache = getattr(TRACKS[track], f"{name}_pool2d_forward")(to(track, x), **options)
    dy = upstream(y)
    return y, dy, getattr(TRACKS[track], f"{name}_pool2d_backward")(to(track, dy), cache)


def check_against_torch(track: str, kind: str, x: np.ndarray, options: dict[str, Any]) -> None:
    y, dy, dx = pool(track, kind, x, options)
    leaf = torch.tensor(x.copy(), requires_grad=True)
    if len(x):
        want = KINDS[kind][0](leaf, **options, **KINDS[kind][1])
        want.backward(torch.tensor(dy))
        assert_close(y, want, FORWARD)
        assert_close(dx, leaf.grad, BACKWARD)
    assert tuple(dx.shape) == x.shape
    assert plain(y).dtype == plain(dx).dtype == x.dtype


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("track", TRACKS)
def test_pool2d(track: str, kind: str, name: str, dtype: str) -> None:
    shape, options = POOLS[name]
    x = np.random.default_rng(16).normal(size=shape).astype(dtype)
    assert len(np.unique(x)) == x.size
    check_against_torch(track, kind, x, options)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("track", TRACKS)
def test_pool2d_of_any_memory_layout(track: str, kind: str, layout: str) -> None:
    x = LAYOUTS[layout](np.random.default_rng(17).normal(size=(2, 3, 6, 6)))
    before = x.copy()
    check_against_torch(track, kind, x, {"kernel_size": 3, "stride": 2, "padding": 1})
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("track", TRACKS)
def test_ties_go_to_the_first(track: str, name: str) -> None:
    shape, options = POOLS[name]
    for values in (np.zeros(shape), np.random.default_rng(18).integers(0, 2, shape).astype(float)):
        check_against_torch(track, "max", values, options)


@pytest.mark.parametrize("track", TRACKS)
def test_each_upstream_gradient_is_given_once(track: str) -> None:
    _, dy, dx = pool(track, "max", np.zeros((2, 3, 6, 6)), {"kernel_size": 3, "stride": 2})
    np.testing.assert_allclose(plain(dx).sum(), dy.sum(), rtol=1e-12)


@pytest.mark.parametrize("name", ["2x2", "padding", "padding of half the kernel"])
@pytest.mark.parametrize("track", TRACKS)
def test_infinite_pixels(track: str, name: str) -> None:
    """Padding never wins, not even against minus infinity: the gradient goes to a pixel."""
    shape, options = POOLS[name]
    for x in (np.full(shape, -np.inf), np.full(shape, np.inf)):
        check_against_torch(track, "max", x, options)


@pytest.mark.parametrize("track", TRACKS)
def test_nan_wins_and_passes_a_finite_gradient(track: str) -> None:
    x = np.random.default_rng(19).normal(size=(2, 3, 4, 4))
    x[1, 2, 1, 1] = np.nan
    y, dy, dx = pool(track, "max", x, {"kernel_size": 2})
    np.testing.assert_array_equal(plain(y), F.max_pool2d(torch.tensor(x), 2).numpy())
    np.testing.assert_allclose(plain(dx)[1, 2, :2, :2].sum(), dy[1, 2, 0, 0], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 1), (3, 2, 28, 28), (0, 3, 2, 2)])
@pytest.mark.parametrize("track", TRACKS)
def test_global_avg_pool2d(track: str, shape: tuple[int, ...], dtype: str) -> None:
    x = np.random.default_rng(20).normal(size=shape).astype(dtype)
    y, cache = TRACKS[track].global_avg_pool2d_forward(to(track, x))
    dy = upstream(y)
    dx = TRACKS[track].global_avg_pool2d_backward(to(track, dy), cache)
    leaf = torch.tensor(x, requires_grad=True)
    want = leaf.mean(dim=(2, 3))
    want.backward(torch.tensor(dy))
    assert_close(y, want, FORWARD)
    assert_close(dx, leaf.grad, BACKWARD)
    plain(dx)[...] = 0  # memory of its own: an expanded view could not be written to


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_large_values_and_short_floats(dtype: str) -> None:
    x = (1e4 * np.random.default_rng(21).uniform(-1, 1, size=(2, 2, 4, 4))).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for forward, backward, options in (
            (ops.max_pool2d_forward, ops.max_pool2d_backward, {"kernel_size": 2}),
            (ops.avg_pool2d_forward, ops.avg_pool2d_backward, {"kernel_size": 2}),
            (ops.global_avg_pool2d_forward, ops.global_avg_pool2d_backward, {}),
        ):
            y, cache = forward(x, **options)
            dx = backward(y, cache)
            assert np.isfinite(y).all()
            assert y.dtype == dx.dtype == dtype


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "global_avg_pool2d"])
def test_backward_refuses_a_wrong_gradient(name: str, track: str) -> None:
    mine = TRACKS[track]
    options = {} if name.startswith("global") else {"kernel_size": 2}
    x = to(track, np.random.default_rng(22).normal(size=(2, 3, 4, 4)))
    y, cache = getattr(mine, f"{name}_forward")(x, **options)
    backward = getattr(mine, f"{name}_backward")
    with pytest.raises(ShapeError, match=rf"{name}_backward: dy must have shape \(2, 3"):
        backward(to(track, np.ones((2, 3, 4, 4))), cache)
    with pytest.raises(DtypeError, match=rf"{name}_backward: dy must hold floats, got int64"):
        backward(to(track, np.ones(tuple(y.shape), np.int64)), cache)


def test_padding_is_limited_as_in_torch() -> None:
    x = np.ones((1, 1, 6, 6))
    for kernel, padding in ((2, 1), (3, 1), (5, 2)):
        ops.max_pool2d_forward(x, kernel_size=kernel, padding=padding)
        with pytest.raises(RuntimeError):
            F.max_pool2d(torch.tensor(x), kernel, padding=padding + 1)
        with pytest.raises(ValueError, match="padding must be at most half of kernel_size"):
            ops.max_pool2d_forward(x, kernel_size=kernel, padding=padding + 1)
