"""Batch norm, layer norm and dropout in both tracks against PyTorch, and what they promise."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from test_oracle import BACKWARD, FORWARD, TRACKS, assert_close, plain, read_only, to

from nnlib.errors import DtypeError, ShapeError

IMAGES = (5, 3, 4, 2)
BATCHES = {"rows": (6, 4), "two rows": (2, 3), "images": IMAGES, "one image": (1, 3, 4, 2),
           "one position": (7, 3, 1, 1), "one column": (5, 1)}


def batch(shape: tuple[int, ...], dtype: str, scale: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(11)
    d = shape[1]
    arrays = {
        "x": scale * (rng.normal(size=shape) + rng.normal(size=(d,) + (1,) * (len(shape) - 2))),
        "gamma": rng.normal(size=d), "beta": rng.normal(size=d),
        "running_mean": rng.normal(size=d), "running_var": rng.uniform(0.5, 2, size=d),
        "dy": rng.normal(size=shape),
    }
    return {name: a.astype(dtype) for name, a in arrays.items()}


def torch_batch_norm(a: dict[str, np.ndarray], **options: Any) -> dict[str, torch.Tensor]:
    x, gamma, beta = (torch.tensor(a[k].copy(), requires_grad=True) for k in ("x", "gamma", "beta"))
    mean, var = torch.tensor(a["running_mean"]), torch.tensor(a["running_var"])
    y = F.batch_norm(x, mean, var, gamma, beta, **options)
    y.backward(torch.tensor(a["dy"].copy()))
    return {"y": y, "mean": mean, "var": var, "dx": x.grad, "dgamma": gamma.grad,
            "dbeta": beta.grad}


def our_batch_norm(track: str, a: dict[str, np.ndarray], **options: Any) -> dict[str, Any]:
    ops = TRACKS[track]
    args = [to(track, a[k]) for k in ("x", "gamma", "beta", "running_mean", "running_var")]
    y, (mean, var), cache = ops.batch_norm_forward(*args, **options)
    dx, dgamma, dbeta = ops.batch_norm_backward(to(track, a["dy"]), cache)
    return {"y": y, "mean": mean, "var": var, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}


def assert_all_close(got: dict[str, Any], want: dict[str, torch.Tensor]) -> None:
    for name, right in want.items():
        assert_close(got[name], right, BACKWARD if name.startswith("d") else FORWARD)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"eps": 0.1}, {"momentum": 0.0},
                                     {"momentum": 1.0, "eps": 1e-3}], ids=str)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("track", TRACKS)
def test_batch_norm(
    track: str, shape: tuple[int, ...], training: bool, options: dict[str, float], dtype: str
) -> None:
    a = {name: read_only(array) for name, array in batch(shape, dtype).items()}
    want = torch_batch_norm(a, training=training, **options)
    if dtype == "float32" and shape[0] == 2 and training:
        # Two values a column: the output is +-1 whatever x is, and dx a difference that vanishes.
        want.pop("dx")
    assert_all_close(our_batch_norm(track, a, training=training, **options), want)


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_of_large_values(track: str, training: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for shape in ((6, 4), IMAGES):
            a = batch(shape, "float64", scale=1e4)
            assert_all_close(our_batch_norm(track, a, training=training),
                             torch_batch_norm(a, training=training))
            single = our_batch_norm(track, batch(shape, "float32", 1e4), training=training)
            assert all(np.isfinite(plain(value)).all() for value in single.values())


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("layout", ["reversed", "channels last", "every second"])
def test_batch_norm_reads_any_layout(track: str, layout: str) -> None:
    a = batch(IMAGES, "float64")
    want = torch_batch_norm(a, training=True)
    for name in ("x", "dy"):
        x = a[name]
        a[name] = {
            "reversed": np.ascontiguousarray(x[::-1, :, ::-1])[::-1, :, ::-1],
            "channels last": np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
            "every second": np.repeat(x, 2, axis=3)[..., ::2],
        }[layout]
        assert np.array_equal(a[name], x)
        assert not a[name].flags.c_contiguous
    assert_all_close(our_batch_norm(track, a, training=True), want)


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 2, 2), (4, 3, 0, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_an_empty_batch_teaches_nothing(
    track: str, shape: tuple[int, ...], training: bool
) -> None:
    a = batch(shape, "float32")
    got = {k: plain(v) for k, v in our_batch_norm(track, a, training=training).items()}
    assert got["y"].shape == got["dx"].shape == shape
    assert np.array_equal(got["mean"], a["running_mean"])
    assert np.array_equal(got["var"], a["running_var"])
    assert not got["dgamma"].any()
    assert not got["dbeta"].any()
    assert {value.dtype for value in got.values()} == {np.dtype("float32")}


@pytest.mark.parametrize("track", TRACKS)
def test_training_needs_two_values_for_each_channel(track: str) -> None:
    for shape in ((1, 3), (1, 3, 1, 1)):
        a = batch(shape, "float64")
        with pytest.raises(ShapeError, match="batch_norm_forward: training needs more than one"):
            our_batch_norm(track, a, training=True)
        with pytest.raises(ValueError, match="Expected more than 1 value"):
            torch_batch_norm(a, training=True)
        assert_all_close(our_batch_norm(track, a, training=False),
                         torch_batch_norm(a, training=False))


@pytest.mark.parametrize("track", TRACKS)
def test_a_constant_column_becomes_beta(track: str) -> None:
    a = batch((5, 2), "float64")
    a["x"][:, 0] = 7.25
    got = our_batch_norm(track, a, training=True)
    np.testing.assert_array_equal(plain(got["y"])[:, 0], a["beta"][0])
    assert_all_close(got, torch_batch_norm(a, training=True))


@pytest.mark.parametrize("track", TRACKS)
def test_a_numpy_scalar_as_option_does_not_widen_float32(track: str) -> None:
    got = our_batch_norm(track, batch(IMAGES, "float32"), training=np.True_,
                         momentum=np.float64(0.3), eps=np.float64(1e-3))
    assert {plain(value).dtype for value in got.values()} == {np.dtype("float32")}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 5), (2, 1, 3, 7), (4,), (1, 6), (0, 3), (5, 1)])
@pytest.mark.parametrize("track", TRACKS)
def test_layer_norm(track: str, shape: tuple[int, ...], eps: float, dtype: str) -> None:
    ops, rng = TRACKS[track], np.random.default_rng(12)
    x, dy = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    x += np.asarray(3, dtype)
    gamma, beta = (rng.normal(size=shape[-1]).astype(dtype) for _ in range(2))
    args = [to(track, read_only(a)) for a in (x, gamma, beta)]
    y, cache = ops.layer_norm_forward(*args, eps=eps)
    grads = ops.layer_norm_backward(to(track, dy), cache)

    # A single feature is always its own mean; in float32 PyTorch misses the 0 by a rounding.
    precise = "float64" if shape[-1] == 1 else dtype
    leaves = [torch.tensor(a.astype(precise), requires_grad=True) for a in (x, gamma, beta)]
    want = F.layer_norm(leaves[0], shape[-1:], *leaves[1:], eps=eps)
    want.backward(torch.tensor(dy.astype(precise)))
    assert_close(y, want.to(getattr(torch, dtype)), FORWARD)
    for grad, leaf in zip(grads, leaves, strict=True):
        assert_close(grad, leaf.grad.to(getattr(torch, dtype)), BACKWARD)


@pytest.mark.parametrize("track", TRACKS)
def test_layer_norm_of_large_values_and_views(track: str) -> None:
    rng = np.random.default_rng(13)
    x = 1e4 * rng.normal(size=(4, 6))
    gamma, beta = rng.normal(size=6), rng.normal(size=6)
    want = F.layer_norm(torch.tensor(x), (6,), torch.tensor(gamma), torch.tensor(beta))
    view = np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    y, _ = TRACKS[track].layer_norm_forward(*(to(track, a) for a in (view, gamma, beta)))
    assert_close(y, want, FORWARD)


@pytest.mark.parametrize("track", TRACKS)
def test_bad_input_is_refused(track: str) -> None:
    ops, a = TRACKS[track], batch((4, 3), "float64")

    def forward(change: dict[str, Any] | None = None, **options: Any) -> None:
        given = a | (change or {})
        args = [to(track, given[k])
                for k in ("x", "gamma", "beta", "running_mean", "running_var")]
        ops.batch_norm_forward(*args, **({"training": True} | options))

    name = "batch_norm_forward: "
    forward()
    with pytest.raises(ShapeError, match=rf"{name}x must have shape \(n, d\) or .* got \(4,\)"):
        forward({"x": a["x"][:, 0].copy()})
    for key in ("gamma", "beta", "running_mean", "running_var"):
        with pytest.raises(ShapeError, match=rf"{name}{key} must have shape \(3,\), got \(1,\)"):
            forward({key: a[key][:1].copy()})
        with pytest.raises(DtypeError, match=f"{name}x and {key} must have one dtype"):
            forward({key: a[key].astype("float32")})
    with pytest.raises(DtypeError, match=f"{name}x must hold floats, got int64"):
        forward({"x": np.ones((4, 3), np.int64)})
    with pytest.raises(ValueError, match=f"{name}momentum must be a finite number >= 0 and <= 1"):
        forward(momentum=1.5)
    for eps in (0.0, -1e-5, float("nan")):
        with pytest.raises(ValueError, match=f"{name}eps must be a finite number > 0"):
            forward(eps=eps)
    for flag in (1, None, "eval"):
        with pytest.raises(DtypeError, match=f"{name}training must be True or False, got"):
            forward(training=flag)


# --- dropout --------------------------------------------------------------------------------------


def generator(track: str, seed: int) -> Any:
    if track == "torch":
        return torch.Generator().manual_seed(seed)
    return np.random.default_rng(seed)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("drop_prob", [0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("track", TRACKS)
def test_dropout_drops_the_share_that_torch_drops(
    track: str, drop_prob: float, dtype: str
) -> None:
    ops, rng = TRACKS[track], np.random.default_rng(5)
    x, dy = (rng.normal(size=(200, 300)).astype(dtype) for _ in range(2))
    y, cache = ops.dropout_forward(
        to(track, x), drop_prob=drop_prob, training=True, rng=generator(track, 1))
    y, dx = plain(y), plain(ops.dropout_backward(to(track, dy), cache))
    assert y.dtype == dx.dtype == dtype
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / (1 - drop_prob), rtol=1e-6)
    np.testing.assert_allclose(dx, np.where(kept, dy / (1 - drop_prob), 0), rtol=1e-6)
    spread = np.sqrt(drop_prob * (1 - drop_prob) / x.size)
    assert abs((~kept).mean() - drop_prob) <= 5 * spread
    # Entries fall by themselves: the shares of rows and columns scatter as those of coins do.
    for axis in (0, 1):
        shares = (~kept).mean(axis=axis)
        expected = np.sqrt(drop_prob * (1 - drop_prob) / x.shape[axis])
        assert shares.std() == pytest.approx(expected, rel=0.25)
    torch.manual_seed(0)
    want = F.dropout(torch.tensor(x), drop_prob, training=True).numpy()
    assert (want == 0).mean() == pytest.approx((~kept).mean(), abs=8 * spread + 1e-12)
    assert np.abs(want).max() == pytest.approx(np.abs(y).max(), rel=0.2)


@pytest.mark.parametrize("track", TRACKS)
def test_dropout_repeats_with_its_generator(track: str) -> None:
    ops, x = TRACKS[track], to(track, np.ones((20, 30)))

    def draw(rng: Any) -> bytes:
        return plain(ops.dropout_forward(x, drop_prob=0.5, training=True, rng=rng)[0]).tobytes()

    assert draw(generator(track, 3)) == draw(generator(track, 3)) != draw(generator(track, 4))
    rng = generator(track, 3)
    assert draw(rng) != draw(rng)
    single = to(track, np.ones((20, 30), "float32"))
    y, _ = ops.dropout_forward(single, drop_prob=0.5, training=True, rng=generator(track, 3))
    assert plain(y).astype("float64").tobytes() == draw(generator(track, 3))


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 3, 4)])
def test_dropout_in_evaluation_changes_nothing(track: str, shape: tuple[int, ...]) -> None:
    ops = TRACKS[track]
    x = to(track, np.asarray(np.random.default_rng(2).normal(size=shape)))
    y, cache = ops.dropout_forward(x, drop_prob=0.7, training=False, rng=None)
    assert y is x
    assert ops.dropout_backward(x, cache) is x
    y, cache = ops.dropout_forward(x, drop_prob=0.7, training=True, rng=generator(track, 0))
    assert tuple(y.shape) == tuple(ops.dropout_backward(x, cache).shape) == shape


@pytest.mark.parametrize("track", TRACKS)
def test_dropout_refuses_bad_options(track: str) -> None:
    ops, x = TRACKS[track], to(track, np.ones(3))
    name = "dropout_forward: "
    for drop_prob in (1, 1.0, -0.1, 2.0, float("nan")):
        with pytest.raises(ValueError, match=f"{name}drop_prob must be a finite number >= 0 and <"):
            ops.dropout_forward(x, drop_prob=drop_prob, training=False, rng=None)
    with pytest.raises(DtypeError, match=f"{name}drop_prob must be .* got '0.5' of type str"):
        ops.dropout_forward(x, drop_prob="0.5", training=True, rng=generator(track, 0))
    with pytest.raises(DtypeError, match=f"{name}training must be True or False, got 1"):
        ops.dropout_forward(x, drop_prob=0.5, training=1, rng=generator(track, 0))
    for rng in (None, 0, generator("torch" if track == "numpy" else "numpy", 0)):
        with pytest.raises(DtypeError, match=rf"{name}rng must be a \w+.*Generator in training"):
            ops.dropout_forward(x, drop_prob=0.5, training=True, rng=rng)


def test_dropout_wants_its_generator_on_the_device_of_x() -> None:
    ops = TRACKS["torch"]
    with pytest.raises(ValueError, match="dropout_forward: rng must be on the device of x"):
        ops.dropout_forward(torch.ones(3, device="meta"), drop_prob=0.5, training=True,
                            rng=torch.Generator())


@pytest.mark.parametrize("name", ["batch_norm", "layer_norm", "dropout"])
def test_tracks_return_the_same_kinds(name: str) -> None:
    a = batch((4, 3), "float64")
    kinds = []
    for track, ops in TRACKS.items():
        if name == "dropout":
            cache = ops.dropout_forward(to(track, a["x"]), drop_prob=0.5, training=True,
                                        rng=generator(track, 0))[1]
        elif name == "layer_norm":
            cache = ops.layer_norm_forward(*(to(track, a[k]) for k in ("x", "gamma", "beta")))[1]
        else:
            args = [to(track, v) for v in itertools.islice(a.values(), 5)]
            cache = ops.batch_norm_forward(*args, training=True)[2]
        grads = getattr(ops, f"{name}_backward")(to(track, a["dy"]), cache)
        kinds.append((type(cache), type(grads) if isinstance(grads, tuple) else None))
    assert kinds[0] == kinds[1]
