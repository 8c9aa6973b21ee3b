"""Convolution in both tracks against PyTorch, and what it promises about memory and work."""

import gc
import itertools
import math
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.lib.array_utils import byte_bounds
from test_oracle import TRACKS, assert_close, plain, read_only, to

import nnlib.numpy_track as ops
from nnlib.contract import Conv2dCache
from nnlib.errors import DtypeError, ShapeError
from nnlib.numpy_track import _columns
from nnlib.windows import lay_windows

# A sum of k products: errors relative to the size of the terms, not of what is left of them.
FORWARD = {"float64": (1e-12, 1e-12), "float32": (2e-6, 1e-5)}
GRADIENT = {"float64": (1e-10, 1e-10), "float32": (2e-5, 1e-4)}

# (n, c_in, h, w), (c_out, c_in/groups, kh, kw), options
CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((2, 3, 7, 6), (4, 3, 3, 3), {}),
    "same size": ((3, 3, 12, 11), (4, 3, 3, 3), {"padding": 1}),
    "whole rows": ((3, 3, 8, 12), (4, 3, 5, 3), {}),
    "1x1": ((2, 3, 5, 6), (4, 3, 1, 1), {}),
    "1x1 with padding and stride": ((2, 3, 5, 6), (4, 3, 1, 1), {"padding": 2, "stride": 2}),
    "1x1 with padding": ((2, 3, 2, 2), (4, 3, 1, 1), {"padding": (3, 4)}),
    "stride": ((2, 3, 9, 8), (4, 3, 3, 3), {"stride": 2}),
    "stride of rows": ((2, 3, 9, 12), (4, 3, 3, 3), {"stride": (3, 1), "padding": 1}),
    "stride of columns": ((2, 3, 9, 12), (4, 3, 3, 3), {"stride": (1, 3), "padding": 1}),
    "stride larger than kernel": ((2, 2, 11, 9), (3, 2, 2, 2), {"stride": (4, 3)}),
    "asymmetric kernel": ((2, 3, 8, 9), (4, 3, 2, 5), {"padding": (1, 0)}),
    "even kernel": ((2, 3, 8, 9), (4, 3, 4, 4), {"padding": 2}),
    "padding beyond the kernel": ((2, 2, 3, 4), (3, 2, 2, 2), {"padding": (5, 4)}),
    "wide padding, wide image": ((2, 2, 3, 30), (3, 2, 2, 3), {"padding": (4, 2)}),
    "kernel of the padded size": ((2, 2, 3, 4), (3, 2, 5, 8), {"padding": (1, 2)}),
    "dilation": ((2, 3, 12, 20), (4, 3, 3, 3), {"dilation": (2, 3), "padding": (2, 3)}),
    "dilation without padding": ((2, 3, 12, 20), (4, 3, 3, 3), {"dilation": (3, 2)}),
    "groups": ((2, 4, 9, 8), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
    "depthwise": ((2, 4, 9, 8), (4, 1, 3, 3), {"groups": 4, "padding": 1}),
    "depthwise, more filters": ((2, 3, 9, 8), (6, 1, 3, 3), {"groups": 3}),
    "all": ((3, 4, 11, 13), (6, 2, 3, 2),
            {"stride": (2, 3), "padding": (3, 1), "dilation": (2, 3), "groups": 2}),
    "one image": ((1, 3, 7, 6), (4, 3, 3, 3), {"padding": 1}),
    "empty batch": ((0, 3, 7, 6), (4, 3, 3, 3), {"padding": 1}),
    "empty batch, groups": ((0, 4, 7, 6), (4, 2, 3, 3), {"groups": 2}),
    "one number": ((1, 1, 1, 1), (1, 1, 1, 1), {}),
}
LAYOUTS = {
    "plain": lambda x: x,
    "channels last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1, ::-1, ::-1])[::-1, ::-1, ::-1, ::-1],
    "read only": lambda x: read_only(x),
}


def drawn(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], dtype: str = "float64", *, bias: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    rng = np.random.default_rng(13)
    x, w, b = (rng.normal(size=s).astype(dtype) for s in (x_shape, w_shape, w_shape[0]))
    return x, w, b if bias else None


def upstream(y: Any) -> np.ndarray:
    have = plain(y)
    return np.random.default_rng(14).normal(size=have.shape).astype(have.dtype)


def check_against_torch(track: str, arrays: Any, options: dict[str, Any],
                        layout: Any = lambda x: x) -> None:
    x, w, b = arrays
    mine = TRACKS[track]
    y, cache = mine.conv2d_forward(
        to(track, layout(x)), to(track, layout(w)), None if b is None else to(track, b), **options
    )
    dy = upstream(y)
    dx, dw, db = mine.conv2d_backward(to(track, layout(dy)), cache)

    leaves = [None if a is None else torch.tensor(a.copy(), requires_grad=True) for a in (x, w, b)]
    want = F.conv2d(*leaves, **options)
    want.backward(torch.tensor(dy))
    assert_close(y, want, FORWARD)
    assert_close(dx, leaves[0].grad, GRADIENT)
    assert_close(dw, leaves[1].grad, GRADIENT)
    if b is None:
        assert db is None
    else:
        assert_close(db, leaves[2].grad, GRADIENT)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("track", TRACKS)
def test_conv2d(track: str, name: str, dtype: str, bias: bool) -> None:
    x_shape, w_shape, options = CONVOLUTIONS[name]
    check_against_torch(track, drawn(x_shape, w_shape, dtype, bias=bias), options)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["plain", "same size", "stride", "groups"])
@pytest.mark.parametrize("track", TRACKS)
def test_conv2d_of_any_memory_layout(track: str, name: str, layout: str) -> None:
    x_shape, w_shape, options = CONVOLUTIONS[name]
    arrays = drawn(x_shape, w_shape)
    before = [a.copy() for a in arrays if a is not None]
    check_against_torch(track, arrays, options, LAYOUTS[layout])
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)


def test_conv2d_on_many_random_options() -> None:
    rng = np.random.default_rng(15)
    seen = set()
    for _ in range(150):
        kernel, stride, dilation, padding = (
            tuple(int(v) for v in rng.integers(low, high, size=2))
            for low, high in ((1, 4), (1, 4), (1, 3), (0, 4))
        )
        groups, n = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        size = [max(int(rng.integers(1, 14)), d * (k - 1) + 1 - 2 * p)
                for k, d, p in zip(kernel, dilation, padding, strict=True)]
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        arrays = drawn((n, 2 * groups, *size), (groups, 2, *kernel))
        check_against_torch("numpy", arrays, options)
        seen.add((stride, padding, dilation, groups))
    assert len(seen) > 120


@pytest.mark.parametrize("examples", [0, 1, 2, 5])
@pytest.mark.parametrize("name", ["same size", "stride", "groups", "whole rows"])
def test_blocks_of_examples_change_nothing(
    name: str, examples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, *image), w_shape, options = CONVOLUTIONS[name]
    x, w, b = drawn((7, *image), w_shape)
    y, cache = ops.conv2d_forward(x, w, b, **options)
    grads = ops.conv2d_backward(upstream(y), cache)
    windows = lay_windows("test", image[1:], kernel_size=w_shape[2:],
                          **{k: v for k, v in options.items() if k != "groups"})
    one = 8 * image[0] * math.prod(w_shape[2:]) * math.prod(windows.output)
    monkeypatch.setattr(_columns, "BLOCK_BYTES", examples * one)
    blocks = [block for block, _ in _columns.column_blocks(x, windows, options.get("groups", 1))]
    assert blocks[0] == slice(0, max(1, examples))
    assert [i for block in blocks for i in range(7)[block]] == list(range(7))
    again, _ = ops.conv2d_forward(x, w, b, **options)
    np.testing.assert_allclose(again, y, rtol=1e-13, atol=1e-13)
    for grad, right in zip(ops.conv2d_backward(upstream(y), cache), grads, strict=True):
        np.testing.assert_allclose(grad, right, rtol=1e-12, atol=1e-12)


def test_each_way_to_copy_windows_is_tried() -> None:
    """Whole images, whole rows, and windows one by one are all among the tested shapes."""
    ways = set()
    for (n, _, *image), w_shape, options in CONVOLUTIONS.values():
        windows = lay_windows("test", image, kernel_size=w_shape[2:],
                              **{k: v for k, v in options.items() if k != "groups"})
        copied = _columns.copied_places(windows)
        if n > 1:
            ways.add(tuple(a > b for a, b in zip(copied, windows.output, strict=True)))
        assert math.prod(copied) <= _columns.WASTE * math.prod(windows.output)
    assert ways == {(False, False), (False, True), (True, True)}


def test_no_window_reaches_beyond_its_buffer() -> None:
    """A strided view is not checked by NumPy: one entry too far would read foreign memory."""
    rng = np.random.default_rng(23)
    ways = set()
    for _ in range(400):
        kernel, stride, dilation, padding = (
            tuple(int(v) for v in rng.integers(low, high, size=2))
            for low, high in ((1, 5), (1, 3), (1, 4), (0, 6))
        )
        image = tuple(max(1, int(rng.integers(1, 30)), d * (k - 1) + 1 - 2 * p)
                      for k, d, p in zip(kernel, dilation, padding, strict=True))
        windows = lay_windows("test", image, kernel_size=kernel, stride=stride,
                              padding=padding, dilation=dilation)
        columns = _columns.Columns(2, 2, windows, 1, np.dtype("float32"))
        low, high = byte_bounds(columns._pixels)
        first, last = byte_bounds(columns._windows)
        assert low <= first < last <= high
        copied = _columns.copied_places(windows)
        ways.add(tuple(a > b for a, b in zip(copied, windows.output, strict=True)))
    assert ways == {(a, b) for a in (False, True) for b in (False, True)}


@pytest.mark.parametrize("name", ["same size", "whole rows", "stride", "padding beyond the kernel"])
def test_nan_stays_in_its_example(name: str) -> None:
    (_, *image), w_shape, options = CONVOLUTIONS[name]
    x, w, b = drawn((3, *image), w_shape)
    want, cache = ops.conv2d_forward(x, w, b, **options)
    dy = upstream(want)
    dx = ops.conv2d_backward(dy, cache).dx
    x[1, :, -1, -1] = np.nan
    y, _ = ops.conv2d_forward(x, w, b, **options)
    np.testing.assert_array_equal(y[[0, 2]], want[[0, 2]])
    assert np.isnan(y[1]).any() or name == "stride"
    dy[1] = np.nan
    np.testing.assert_array_equal(ops.conv2d_backward(dy, cache).dx[[0, 2]], dx[[0, 2]])


def test_large_values_give_no_warning() -> None:
    x, w, b = drawn((2, 3, 8, 8), (4, 3, 3, 3), "float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, cache = ops.conv2d_forward(1e4 * x, 1e4 * w, b, padding=1)
        assert np.isfinite(y).all()
        grads = ops.conv2d_backward(1e4 * y, cache)
    assert all(np.isfinite(grad).all() for grad in grads)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtype_is_kept(dtype: str) -> None:
    x, w, b = drawn((2, 3, 5, 5), (4, 3, 3, 3), dtype)
    y, cache = ops.conv2d_forward(x, w, b)
    assert {a.dtype.name for a in (y, *ops.conv2d_backward(y, cache))} == {dtype}


@pytest.mark.parametrize("track", TRACKS)
def test_cache_holds_inputs_and_pairs(track: str) -> None:
    x, w, b = (to(track, a) for a in drawn((2, 2, 5, 5), (4, 1, 3, 3)))  # type: ignore[arg-type]
    _, cache = TRACKS[track].conv2d_forward(x, w, b, stride=2, padding=(1, 0), groups=2)
    assert isinstance(cache, Conv2dCache)
    assert cache.x is x
    assert cache[3:] == ((2, 2), (1, 0), (1, 1), 2)


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("track", TRACKS)
def test_naive_loops_agree(track: str, name: str) -> None:
    x_shape, w_shape, options = CONVOLUTIONS[name]
    x, w, b = (to(track, a) for a in drawn(x_shape, w_shape))  # type: ignore[arg-type]
    want, _ = TRACKS[track].conv2d_forward(x, w, b, **options)
    got = TRACKS[track].conv2d_naive(x, w, b, **options)
    np.testing.assert_allclose(plain(got), plain(want), rtol=1e-12, atol=1e-12)
    assert plain(got).dtype == plain(want).dtype


@pytest.mark.parametrize("track", TRACKS)
def test_a_training_step_is_repeatable_bit_for_bit(track: str) -> None:
    x, w, b = (to(track, a) for a in drawn((9, 3, 12, 12), (4, 3, 3, 3), "float32"))  # type: ignore[arg-type]
    runs = []
    for _ in range(2):
        y, cache = TRACKS[track].conv2d_forward(x, w, b, padding=1)
        grads = TRACKS[track].conv2d_backward(to(track, upstream(y)), cache)
        runs.append([plain(a).tobytes() for a in (y, *grads)])
    assert runs[0] == runs[1]


@pytest.mark.parametrize("track", TRACKS)
def test_backward_refuses_a_wrong_gradient(track: str) -> None:
    mine = TRACKS[track]
    x, w, b = (to(track, a) for a in drawn((2, 3, 5, 5), (4, 3, 3, 3)))  # type: ignore[arg-type]
    y, cache = mine.conv2d_forward(x, w, b)
    right = upstream(y)
    with pytest.raises(ShapeError, match=r"conv2d_backward: dy must have shape \(2, 4, 3, 3\), "
                                         r"got \(2, 4, 5, 5\)"):
        mine.conv2d_backward(to(track, np.ones((2, 4, 5, 5))), cache)
    with pytest.raises(DtypeError, match="conv2d_backward: dy must hold floats, got int64"):
        mine.conv2d_backward(to(track, np.ones((2, 4, 3, 3), np.int64)), cache)
    with pytest.raises(DtypeError, match="conv2d_backward: dy and x must have one dtype"):
        mine.conv2d_backward(to(track, right.astype(np.float32)), cache)


# --- memory and time ------------------------------------------------------------------------------


def peak_bytes(n: int, image: tuple[int, ...], w_shape: tuple[int, ...], **options: Any) -> int:
    """Peak of forward and backward together, inputs not counted, results and cache counted."""
    x, w, b = drawn((n, *image), w_shape, "float32")
    dy = upstream(ops.conv2d_forward(x, w, b, **options)[0])
    gc.collect()
    tracemalloc.start()
    try:
        _, cache = ops.conv2d_forward(x, w, b, **options)
        ops.conv2d_backward(dy, cache)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("n", "image", "w_shape", "options"), [
    (64, (16, 14, 14), (32, 16, 3, 3), {"padding": 1}),
    (1, (16, 60, 60), (32, 16, 3, 3), {"padding": 1}),
    (8, (16, 30, 30), (16, 16, 3, 3), {"stride": 2}),
    (16, (8, 40, 40), (8, 1, 3, 3), {"padding": 1, "groups": 8}),
    (64, (6, 14, 14), (16, 6, 5, 5), {}),
], ids=str)
def test_peak_memory_is_below_3_im2col_matrices(
    n: int, image: tuple[int, ...], w_shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    places = [ops.output_size(size, kernel_size=k, stride=options.get("stride", 1),
                              padding=options.get("padding", 0))
              for size, k in zip(image[1:], w_shape[2:], strict=True)]
    im2col = 4 * n * image[0] * math.prod(w_shape[2:]) * math.prod(places)
    assert peak_bytes(n, image, w_shape, **options) < 3 * im2col


def test_blocks_keep_memory_below_one_im2col_matrix() -> None:
    """Beyond the results, a larger batch needs no more memory than a smaller one."""
    n, im2col = 256, 4 * 256 * 16 * 9 * 14 * 14
    peak = peak_bytes(n, (16, 14, 14), (32, 16, 3, 3), padding=1)
    results = 4 * n * 14 * 14 * (16 + 32)
    assert peak - results < 0.25 * im2col
    assert peak < im2col


@pytest.mark.parametrize("name", ["same size", "whole rows", "stride", "groups"])
def test_work_is_linear_in_the_batch(name: str) -> None:
    """Counted in columns, of which each costs the same, and not in seconds: those depend on load.

    Few of them belong to no window.
    """
    (_, c, *image), w_shape, options = CONVOLUTIONS[name]
    windows = lay_windows("test", image, kernel_size=w_shape[2:],
                          **{k: v for k, v in options.items() if k != "groups"})

    def columns(n: int) -> int:
        blocks = _columns.column_blocks(np.zeros((n, c, *image)), windows, options.get("groups", 1))
        return sum(block.matrix.shape[2] for _, block in blocks)

    assert columns(1000) == 1000 * columns(1)
    assert math.prod(windows.output) <= columns(1) <= _columns.WASTE * math.prod(windows.output)


# --- sizes ----------------------------------------------------------------------------------------


def test_output_size_is_that_of_torch() -> None:
    tried = 0
    for size, k, s, p, d in itertools.product((1, 5, 8), (1, 2, 3), (1, 2, 5), (0, 1, 3), (1, 2)):
        options = {"stride": s, "padding": p, "dilation": d}
        if d * (k - 1) + 1 > size + 2 * p:
            with pytest.raises(ShapeError, match="output_size: the kernel must fit"):
                ops.output_size(size, kernel_size=k, **options)
            continue
        want = F.conv1d(torch.zeros(1, 1, size), torch.zeros(1, 1, k), **options).shape[-1]
        assert ops.output_size(size, kernel_size=k, **options) == want
        tried += 1
    assert tried > 100


@pytest.mark.parametrize("layers", [
    [(3, 1), (3, 1)], [(3, 2), (3, 1)], [(5, 1), (2, 2), (5, 1), (2, 2)],
    [(3, 1, 1), (3, 1, 2), (3, 1, 4)], [(2, 3), (1, 2), (3, 1, 2)]], ids=str)
def test_receptive_field_is_where_the_gradient_is_not_zero(layers: list[tuple[int, ...]]) -> None:
    y = np.ones((1, 1, 1, 100))
    caches = []
    for layer in layers:
        kernel_size, stride, dilation = (*layer, 1)[:3]
        w = np.ones((1, 1, 1, kernel_size))
        y, cache = ops.conv2d_forward(y, w, None, stride=(1, stride), dilation=(1, dilation))
        caches.append(cache)
    dx = np.zeros_like(y)
    dx[..., 2] = 1
    for cache in reversed(caches):
        dx = ops.conv2d_backward(dx, cache).dx
    reached = np.flatnonzero(dx)
    assert reached[-1] - reached[0] + 1 == ops.receptive_field(layers)


def test_meetings_leave_nothing_out() -> None:
    """Every pair of a kernel entry and an output meets the pixel that the definition names."""
    tried = 0
    for k, s, p, d, size in itertools.product((1, 2, 3), (1, 2, 4), (0, 1, 3), (1, 3), (1, 4, 7)):
        if d * (k - 1) + 1 > size + 2 * p:
            continue
        windows = lay_windows("test", (size, 1), kernel_size=(k, 1), stride=(s, 1),
                              padding=(p, 0), dilation=(d, 1))
        for i, (pixels, outputs) in enumerate(windows.meetings()):
            found = list(zip(range(size)[pixels[1]], range(windows.output[0])[outputs[1]],
                             strict=True))
            right = [(o * s + i * d - p, o) for o in range(windows.output[0])
                     if 0 <= o * s + i * d - p < size]
            assert found == right
            tried += 1
    assert tried > 150
