"""What must hold for every input: laws of the operations, drawn by Hypothesis, in both tracks."""

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_oracle import TRACKS, plain, to

from nnlib.checks import conformance as table
from nnlib.checks.oracle import COUNTERPARTS, leaves
from nnlib.checks.run import draw_cases
from nnlib.checks.tracks import to_plain, to_track
from nnlib.contract import Case
from nnlib.numpy_track import numerical_vjp

SEEDS = st.integers(0, 2**31)
track = pytest.mark.parametrize("track", TRACKS)
few = settings(deadline=None, max_examples=25)
NAMES = table.families()
PAIRS = [name for name in NAMES if COUNTERPARTS[name].kind == "pair"]
LOSSES = [name for name in NAMES if COUNTERPARTS[name].kind == "loss"]


def draws(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def cases_of(name: str, seed: int, *properties: str) -> list[Case]:
    """The cases of the contract's table with numbers that nobody has seen."""
    return [case for op in NAMES[name] for case in draw_cases(op, secret=str(seed))
            if case.raises is None and case.property in properties]


# --- convolution and pooling ----------------------------------------------------------------------


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Shapes of images and filters that fit together, and options."""
    groups, n = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    c_in, c_out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = draw(pair), draw(pair), draw(pair)
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    size = [max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 4))
            for k, d, p in zip(kernel, dilation, padding, strict=True)]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (n, c_in, *size), (c_out, c_in // groups, *kernel), options


@track
@few
@given(shapes=convolutions(), seed=SEEDS, scale=st.floats(-3, 3))
def test_convolution_is_linear_in_images_and_in_filters(
    track: str, shapes: Any, seed: int, scale: float
) -> None:
    of_x, of_w, options = shapes
    x, other_x, w, other_w, b = draws(seed, of_x, of_x, of_w, of_w, of_w[:1])

    def conv(x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
        bias = None if b is None else to(track, b)
        return plain(TRACKS[track].conv2d_forward(to(track, x), to(track, w), bias, **options)[0])

    np.testing.assert_allclose(conv(x + scale * other_x, w), conv(x, w) + scale * conv(other_x, w),
                               atol=1e-12)
    np.testing.assert_allclose(conv(x, w + scale * other_w), conv(x, w) + scale * conv(x, other_w),
                               atol=1e-12)
    np.testing.assert_allclose(conv(x, w, b), conv(x, w) + b[:, np.newaxis, np.newaxis],
                               atol=1e-12)


@track
@few
@given(shapes=convolutions(), seed=SEEDS)
def test_the_backward_of_a_convolution_is_its_adjoint(track: str, shapes: Any, seed: int) -> None:
    of_x, of_w, options = shapes
    x, w = draws(seed, of_x, of_w)
    ops = TRACKS[track]
    y, cache = ops.conv2d_forward(to(track, x), to(track, w), None, **options)
    (dy,) = draws(seed + 1, tuple(y.shape))
    dx, dw, _ = ops.conv2d_backward(to(track, dy), cache)
    product = float(np.sum(plain(y) * dy))
    assert float(np.sum(plain(dx) * x)) == pytest.approx(product, abs=1e-9)
    assert float(np.sum(plain(dw) * w)) == pytest.approx(product, abs=1e-9)


@track
@few
@given(seed=SEEDS, down=st.integers(0, 5), right=st.integers(0, 5), stride=st.integers(1, 3),
       kernel=st.integers(1, 3), dilation=st.integers(1, 2))
def test_a_shifted_image_gives_a_shifted_answer(
    track: str, seed: int, down: int, right: int, stride: int, kernel: int, dilation: int
) -> None:
    blob, w, b = draws(seed, (2, 3, 5, 4), (4, 3, kernel, kernel), (4,))
    ops, margin = TRACKS[track], 9

    def canvas(top: int, left: int) -> Any:
        image = np.zeros((2, 3, 5 + 2 * margin + 15, 4 + 2 * margin + 15))
        image[:, :, margin + top : margin + top + 5, margin + left : margin + left + 4] = blob
        return to(track, image)

    moved = canvas(down * stride, right * stride)
    for forward, args, options in (
        (ops.conv2d_forward, (to(track, w), to(track, b)), {"dilation": dilation}),
        (ops.max_pool2d_forward, (), {"kernel_size": kernel}),
        (ops.avg_pool2d_forward, (), {"kernel_size": kernel}),
    ):
        still = plain(forward(canvas(0, 0), *args, stride=stride, **options)[0])
        after = plain(forward(moved, *args, stride=stride, **options)[0])
        rows, columns = still.shape[2] - down, still.shape[3] - right
        np.testing.assert_allclose(after[:, :, down:, right:], still[:, :, :rows, :columns],
                                   atol=1e-13)
        assert np.ptp(still) > 0


@track
@few
@given(shapes=convolutions(), seed=SEEDS)
def test_what_pooling_returns_lies_between_the_pixels(track: str, shapes: Any, seed: int) -> None:
    of_x, (_, _, *kernel), options = shapes
    assume(of_x[0] > 0)
    padding = tuple(min(p, k // 2) for p, k in zip(options["padding"], kernel, strict=True))
    assume(all(size + 2 * p >= k for size, p, k in zip(of_x[2:], padding, kernel, strict=True)))
    (x,) = draws(seed, of_x)
    window = {"kernel_size": tuple(kernel), "stride": options["stride"], "padding": padding}
    ops = TRACKS[track]
    high, cache = ops.max_pool2d_forward(to(track, x), **window)
    mean, _ = ops.avg_pool2d_forward(to(track, x), count_include_pad=False, **window)
    assert (plain(high) >= plain(mean) - 1e-12).all()
    assert np.isin(plain(high), x).all()
    (dy,) = draws(seed + 1, tuple(high.shape))
    dx = plain(ops.max_pool2d_backward(to(track, dy), cache))
    assert dx.sum() == pytest.approx(dy.sum(), abs=1e-10)


# --- softmax and its losses -----------------------------------------------------------------------


@track
@few
@given(x=hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=4),
                    elements=st.floats(-50, 50)),
       shift=st.floats(-1e4, 1e4), data=st.data())
def test_softmax_ignores_a_shift_along_any_axis(
    track: str, x: np.ndarray, shift: float, data: st.DataObject
) -> None:
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    ops = TRACKS[track]
    y = plain(ops.softmax_forward(to(track, x), axis=axis)[0])
    moved = plain(ops.softmax_forward(to(track, x + shift), axis=axis)[0])
    logs = plain(ops.log_softmax_forward(to(track, x), axis=axis)[0])
    np.testing.assert_allclose(moved, y, atol=1e-11)
    np.testing.assert_allclose(y.sum(axis=axis), 1, atol=1e-12)
    np.testing.assert_allclose(np.exp(logs), y, atol=1e-12)


@track
@few
@given(seed=SEEDS, n=st.integers(1, 5), k=st.integers(1, 6), shift=st.floats(-1e4, 1e4),
       smoothing=st.floats(0, 1))
def test_cross_entropy_ignores_a_shift_of_a_row(
    track: str, seed: int, n: int, k: int, shift: float, smoothing: float
) -> None:
    (z,) = draws(seed, (n, k))
    labels = np.random.default_rng(seed).integers(k, size=n)
    ops = TRACKS[track]
    rows = np.zeros((n, 1))
    rows[0] = shift
    loss, dz = ops.softmax_cross_entropy(to(track, z), to(track, labels),
                                         label_smoothing=smoothing)
    moved, dmoved = ops.softmax_cross_entropy(to(track, z + rows), to(track, labels),
                                              label_smoothing=smoothing)
    assert float(moved) == pytest.approx(float(loss), abs=1e-10)
    np.testing.assert_allclose(plain(dmoved), plain(dz), atol=1e-11)
    np.testing.assert_allclose(plain(dz).sum(axis=1), 0, atol=1e-14)


@track
@few
@given(seed=SEEDS, t=st.integers(1, 5), s=st.integers(1, 5), order=st.randoms())
def test_attention_is_a_mean_that_ignores_the_order_of_the_keys(
    track: str, seed: int, t: int, s: int, order: Any
) -> None:
    q, k, v = draws(seed, (2, t, 3), (2, s, 3), (2, s, 4))
    places = list(range(s))
    order.shuffle(places)
    ops = TRACKS[track]
    y, cache = ops.attention_forward(to(track, q), to(track, k), to(track, v))
    mixed, _ = ops.attention_forward(to(track, q), to(track, k[:, places]), to(track, v[:, places]))
    np.testing.assert_allclose(plain(mixed), plain(y), atol=1e-12)
    np.testing.assert_allclose(plain(cache.weights).sum(axis=-1), 1, atol=1e-12)
    assert (plain(y).max(axis=1) <= v.max(axis=1) + 1e-12).all()
    assert (plain(y).min(axis=1) >= v.min(axis=1) - 1e-12).all()


# --- normalization --------------------------------------------------------------------------------


@track
@few
@given(seed=SEEDS, n=st.integers(2, 6), d=st.integers(1, 4), spatial=st.sampled_from([(), (3, 2)]),
       scale=st.floats(0.1, 100), shift=st.floats(-100, 100))
def test_batch_norm_returns_the_moments_that_it_is_given(
    track: str, seed: int, n: int, d: int, spatial: tuple[int, ...], scale: float, shift: float
) -> None:
    x, gamma, beta = draws(seed, (n, d, *spatial), (d,), (d,))
    x, eps = shift + scale * x, 1e-5
    axes = (0, *range(2, x.ndim))
    args = [to(track, a) for a in (x, gamma, beta, np.zeros(d), np.ones(d))]
    y, (mean, var), _ = TRACKS[track].batch_norm_forward(*args, training=True, momentum=1.0,
                                                         eps=eps)
    spread = x.std(axis=axes)
    np.testing.assert_allclose(plain(y).mean(axis=axes), beta, atol=1e-9)
    np.testing.assert_allclose(plain(y).std(axis=axes),
                               np.abs(gamma) * spread / np.sqrt(spread**2 + eps), atol=1e-9)
    np.testing.assert_allclose(plain(mean), x.mean(axis=axes), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(plain(var), x.var(axis=axes, ddof=1), rtol=1e-9)
    # In evaluation these statistics give back nearly the same output.
    again, _, _ = TRACKS[track].batch_norm_forward(
        *args[:3], mean, to(track, x.var(axis=axes)), training=False, eps=eps)
    np.testing.assert_allclose(plain(again), plain(y), atol=1e-8)


@track
@few
@given(seed=SEEDS, d=st.integers(2, 6), scale=st.floats(0.1, 100), shift=st.floats(-100, 100))
def test_layer_norm_ignores_scale_and_shift_of_a_row(
    track: str, seed: int, d: int, scale: float, shift: float
) -> None:
    x, gamma, beta = draws(seed, (3, d), (d,), (d,))
    assume(x.std(axis=1).min() > 0.1)
    args = to(track, gamma), to(track, beta)
    y, cache = TRACKS[track].layer_norm_forward(to(track, x), *args, eps=1e-12)
    moved, _ = TRACKS[track].layer_norm_forward(to(track, shift + scale * x), *args, eps=1e-12)
    np.testing.assert_allclose(plain(moved), plain(y), atol=1e-7)
    np.testing.assert_allclose(plain(cache.x_hat).mean(axis=1), 0, atol=1e-10)
    np.testing.assert_allclose(plain(cache.x_hat).std(axis=1), 1, rtol=1e-8)


# --- every differentiable operation ---------------------------------------------------------------


def vector_jacobian_products(name: str, case: Case) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs (our gradient, the same by finite differences), one for each array of floats."""
    setting = table.Setting("numpy", "float64")
    got, ops = table.answer(name, case, setting), TRACKS["numpy"]
    dy = leaves(got.dy)
    inputs = leaves(case.args, keep_none=True)
    slots = [i for i, x in enumerate(inputs)
             if x is None or (isinstance(x, np.ndarray) and x.dtype.kind == "f")]
    forward = getattr(ops, name if name in LOSSES else f"{name}_forward")
    pairs = []
    for slot, mine in zip(slots, got.gradients, strict=False):
        if mine is None:
            assert inputs[slot] is None
            continue

        def along(value: np.ndarray, slot: int = slot) -> float:
            values = iter([*inputs[:slot], value, *inputs[slot + 1 :]])
            args = to_track(_filled(case.args, values), "numpy")
            result = forward(*args, **to_track(dict(case.options), "numpy"))[0]
            return float(sum(np.sum(y * d) for y, d in zip(leaves(result), dy, strict=True)))

        pairs.append((mine, numerical_vjp(along, inputs[slot].astype(np.float64), 1.0, eps=1e-5)))
    return pairs


def _filled(nest: Any, values: Any) -> Any:
    """The same nest of tuples and lists with other leaves."""
    if isinstance(nest, tuple | list):
        return type(nest)(_filled(item, values) for item in nest)
    return next(values)


def near_a_kink(name: str, arrays: list[np.ndarray]) -> bool:
    return name in ("relu", "leaky_relu", "elu") and bool((np.abs(arrays[0]) < 1e-4).any())


@pytest.mark.parametrize("name", [*PAIRS, *LOSSES])
@settings(deadline=None, max_examples=4)
@given(seed=SEEDS)
def test_gradients_equal_finite_differences(name: str, seed: int) -> None:
    compared = 0
    for case in cases_of(name, seed, "values", "options", "edge sizes"):
        arrays = [x for x in leaves(case.args) if isinstance(x, np.ndarray)]
        # In float64, small enough for finite differences, and not where a kink is in reach.
        small = sum(x.size for x in arrays) <= 400
        if not small or any(x.dtype == np.float32 for x in arrays) or near_a_kink(name, arrays):
            continue
        for mine, numeric in vector_jacobian_products(name, replace(case, seed=seed)):
            assert mine.shape == numeric.shape
            scale = max(1.0, float(np.abs(numeric).max(initial=0.0)))
            np.testing.assert_allclose(mine, numeric, rtol=0, atol=2e-7 * scale,
                                       err_msg=case.name)
            compared += 1
    assert compared > 2


@pytest.mark.parametrize("name", [name for name in NAMES if name != "dropout"])
@settings(deadline=None, max_examples=3)
@given(seed=SEEDS, dtype=st.sampled_from(["float64", "float32"]))
def test_both_tracks_give_one_answer(name: str, seed: int, dtype: str) -> None:
    both = [all(track in op.tracks for op in NAMES[name]) for track in TRACKS]
    assert all(both)
    bounds = (1e-11, 1e-9) if dtype == "float64" else (1e-5, 1e-4)
    for case in cases_of(name, seed, "values", "options", "edge sizes", "kinks"):
        one, other = (table.answer(name, replace(case, seed=seed), table.Setting(t, dtype))
                      for t in TRACKS)
        assert table.largest_error(to_plain(other.results), to_plain(one.results)) <= bounds[0], \
            case.name
        if one.gradients is not None:
            assert table.largest_error(to_plain(other.gradients),
                                       to_plain(one.gradients)) <= bounds[1], case.name


# --- round trips ----------------------------------------------------------------------------------


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, np.ndarray]:
    names = draw(st.lists(st.text(st.characters(categories=["L", "N"], include_characters="._"),
                                  min_size=1, max_size=8), min_size=1, max_size=4, unique=True))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    finite = st.floats(-1e6, 1e6, width=32)
    return {name: draw(hnp.arrays(dtype, shapes, elements=finite)) for name in names}


@track
@few
@given(params=parameters(), seed=SEEDS, step=st.integers(0, 10**6))
def test_a_checkpoint_makes_the_trip_bit_for_bit(
    track: str, params: dict[str, np.ndarray], seed: int, step: int
) -> None:
    ops = TRACKS[track]
    ours = {name: to(track, p) for name, p in params.items()}
    state = ops.adam_init(ours)
    ours, state = ops.adam_update(ours, ours, state)
    rng = np.random.default_rng(seed) if track == "numpy" else torch.Generator().manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        ops.save_checkpoint(path, params=ours, state=state, rng=rng, step=step,
                            metadata={"seed": seed})
        back = ops.load_checkpoint(path)
    assert back.step == step
    assert dict(back.metadata) == {"seed": seed}
    assert back.state["step"] == 1
    for kept, found in ((ours, back.params), (state["m"], back.state["m"]),
                        (state["v"], back.state["v"])):
        assert list(found) == list(kept)
        for name in kept:
            assert found[name].dtype == kept[name].dtype
            assert np.array_equal(plain(found[name]), plain(kept[name]))
            assert plain(found[name]).shape == plain(kept[name]).shape
    draw = "random" if track == "numpy" else "initial_seed"
    assert getattr(back.rng, draw)() == getattr(rng, draw)()


@track
@settings(deadline=None, max_examples=10)
@given(seed=SEEDS, stop=st.integers(1, 4),
       name=st.sampled_from(["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"]))
def test_an_interrupted_training_ends_where_the_other_does(
    track: str, seed: int, stop: int, name: str
) -> None:
    ops, (init, update) = TRACKS[track], TRACKS[track].get_optimizer(name)
    w, *grads = ({"w": to(track, a)} for a in draws(seed, *[(3, 2)] * 6))

    def train(params: Any, state: Any, steps: list[Any]) -> tuple[Any, Any]:
        for g in steps:
            params, state = update(params, g, state, learning_rate=0.1)
        return params, state

    whole, _ = train(w, init(w), grads)
    params, state = train(w, init(w), grads[:stop])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        ops.save_checkpoint(path, params=params, state=state)
        back = ops.load_checkpoint(path)
    rest, _ = train(back.params, back.state, grads[stop:])
    assert np.array_equal(plain(rest["w"]), plain(whole["w"]))


# --- schedules, penalties, clipping ---------------------------------------------------------------


@track
@given(rate=st.floats(1e-6, 10), total=st.integers(1, 200), low=st.floats(0, 1),
       warmup=st.integers(0, 50), step=st.integers(0, 300))
def test_a_schedule_stays_between_its_ends(
    track: str, rate: float, total: int, low: float, warmup: int, step: int
) -> None:
    ops, low = TRACKS[track], low * rate
    assume(warmup < total)
    at = ops.cosine(step, learning_rate=rate, total_steps=total, min_learning_rate=low)
    after = ops.cosine(step + 1, learning_rate=rate, total_steps=total, min_learning_rate=low)
    assert low * (1 - 1e-12) <= after <= at * (1 + 1e-12) <= rate * (1 + 1e-9)
    warm = ops.warmup_cosine(step, learning_rate=rate, warmup_steps=warmup, total_steps=total,
                             min_learning_rate=low)
    assert 0 <= warm <= rate * (1 + 1e-12)
    assert ops.warmup_cosine(warmup, learning_rate=rate, warmup_steps=warmup, total_steps=total,
                             min_learning_rate=low) == pytest.approx(rate)


@track
@few
@given(seed=SEEDS, max_norm=st.floats(1e-3, 1e3), scale=st.floats(1e-3, 1e3))
def test_clipping_keeps_the_direction(
    track: str, seed: int, max_norm: float, scale: float
) -> None:
    grads = {str(i): to(track, np.asarray(scale * g))
             for i, g in enumerate(draws(seed, (3, 2), (4,), ()))}
    clipped, norm = TRACKS[track].clip_grad_norm(grads, max_norm=max_norm)
    flat, after = (np.concatenate([plain(g).ravel() for g in nest.values()])
                   for nest in (grads, clipped))
    length = math.sqrt(float(flat @ flat))
    assert float(norm) == pytest.approx(length)
    # As in PyTorch, one millionth is added to the norm before dividing.
    np.testing.assert_allclose(after, flat * min(1.0, max_norm / (length + 1e-6)), rtol=1e-10)
