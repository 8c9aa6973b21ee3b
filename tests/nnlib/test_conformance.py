"""The contract table: every operation, track and type within its bounds, and none forgotten."""

from typing import Any

import numpy as np
import pytest
import torch

import nnlib.numpy_track
import nnlib.torch_track
from nnlib.checks import conformance as table
from nnlib.checks import oracle
from nnlib.contract import Case, operations

#: Cases whose inputs are so close together that rounding them changes the answer.
ILL_CONDITIONED = {
    ("standardize", "values near 10000 that differ by 0.01"),
    ("batch_norm", "mean 1e4, variance 1"),
    ("layer_norm", "mean 1e4, variance 1"),
    ("group_norm", "mean 1e4, variance 1"),
    ("conv2d", "up to 1e4"),
    ("conv2d_naive", "up to 1e4"),
    ("avg_pool2d", "up to 1e4"),
}
TABLE = table.families()


@pytest.mark.parametrize("name", TABLE)
def test_every_row_is_within_its_bounds(name: str) -> None:
    rows = table.conformance(only=[name])
    assert rows
    for row in rows:
        assert row.passes, row
        assert row.cases > 2
        assert {(name, case) for case in row.ill_conditioned} <= ILL_CONDITIONED, row


def test_bounds_are_those_that_the_course_promises() -> None:
    assert table.FORWARD == {"float64": 1e-12, "float32": 2e-6}
    assert table.BACKWARD["float64"] == 1e-10
    assert table.FORWARD_DEVICE["float32"] == 1e-5


def test_no_operation_is_forgotten() -> None:
    forgotten = [op.name for op in operations()
                 if oracle.family(op.name) not in oracle.COUNTERPARTS
                 and not oracle.reason_without(op)]
    assert not forgotten, "give it a counterpart in nnlib.checks.oracle, or say why it has none"


def test_every_counterpart_is_compared_with_something() -> None:
    assert set(oracle.COUNTERPARTS) == set(TABLE)
    assert not set(oracle.WITHOUT) & set(oracle.COUNTERPARTS)


@pytest.mark.parametrize("track", [nnlib.numpy_track, nnlib.torch_track], ids=["numpy", "torch"])
def test_every_layer_of_the_tracks_has_cases(track: Any) -> None:
    named = {op.name for op in operations()}
    pairs = {name for name in track.__all__
             if name.endswith(("_forward", "_backward", "_init", "_update"))}
    assert pairs <= named


def test_both_tracks_and_both_types_are_there() -> None:
    rows = table.conformance(only=["linear", "adam_update", "cosine"])
    assert [(r.operation, r.track, r.dtype) for r in rows if r.operation == "linear"] == [
        ("linear", "numpy", "float64"), ("linear", "torch", "float64"),
        ("linear", "numpy", "float32"), ("linear", "torch", "float32")]
    # Numbers only: there is no float32 to speak of.
    assert {r.dtype for r in rows if r.operation == "cosine"} == {"float64"}
    assert all((r.backward is None) == (r.operation != "linear") for r in rows)


# --- the table itself can fail --------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [
    lambda dy, cache: dy * (cache.x >= 0),
    lambda dy, cache: np.zeros_like(dy),
    lambda dy, cache: dy.reshape(-1),
    lambda dy, cache: np.full_like(dy, np.nan),
], ids=["slope 1 at 0", "zeros", "flat", "nan"])
def test_a_wrong_gradient_is_seen(monkeypatch: pytest.MonkeyPatch, wrong: Any) -> None:
    monkeypatch.setattr(nnlib.numpy_track, "relu_backward", wrong)
    (row,) = table.conformance(tracks=["numpy"], dtypes=["float64"], only=["relu"])
    assert not row.passes
    assert row.backward is not None
    assert row.backward > 0.1
    assert row.worst


def test_a_wrong_value_is_seen_and_not_excused_as_ill_conditioned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = nnlib.numpy_track.batch_norm_forward

    def forward(*args: Any, **options: Any) -> Any:
        return right(*args, **{**options, "eps": 2 * options.get("eps", 1e-5)})

    monkeypatch.setattr(nnlib.numpy_track, "batch_norm_forward", forward)
    (row,) = table.conformance(tracks=["numpy"], dtypes=["float64"], only=["batch_norm"])
    assert not row.passes
    assert row.forward > 1e-7
    assert len(row.ill_conditioned) <= 1


def test_a_missing_gradient_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = nnlib.numpy_track.linear_backward
    monkeypatch.setattr(nnlib.numpy_track, "linear_backward",
                        lambda dy, cache: right(dy, cache)._replace(db=None))
    (row,) = table.conformance(tracks=["numpy"], dtypes=["float64"], only=["linear"])
    assert row.backward == np.inf


def test_a_wrong_dropout_mask_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = nnlib.numpy_track.dropout_forward

    def not_rescaled(x: Any, *, drop_prob: float, training: bool, rng: Any) -> Any:
        y, cache = right(x, drop_prob=drop_prob, training=training, rng=rng)
        if cache.mask is None:
            return y, cache
        return y * (1 - drop_prob), cache._replace(mask=cache.mask * (1 - drop_prob))

    monkeypatch.setattr(nnlib.numpy_track, "dropout_forward", not_rescaled)
    (row,) = table.conformance(tracks=["numpy"], dtypes=["float64"], only=["dropout"])
    assert not row.passes


def test_sensitivity_tells_hard_inputs_from_easy_ones() -> None:
    setting = table.Setting("numpy", "float64")
    near = 1e4 + 0.01 * np.random.default_rng(0).normal(size=(6, 1))
    hard = Case("near", "values", (near, near))
    easy = Case("far", "values", (near - 1e4, near - 1e4))
    assert table.sensitivity("standardize", hard, setting).forward > 1e-11
    assert table.sensitivity("standardize", easy, setting).forward < 1e-14


def test_errors_are_measured_as_stated() -> None:
    assert table.error(np.array([0.5]), np.array([0.25])) == 0.25
    assert table.error(np.array([200.0]), np.array([100.0])) == 1.0
    assert table.error(np.array([np.nan]), np.array([1.0])) == np.inf
    assert table.error(np.array([1.0]), np.array([np.nan])) == np.inf
    assert table.error(np.array([np.inf, np.nan]), np.array([np.inf, np.nan])) == 0.0
    assert table.error(np.array([-np.inf]), np.array([np.inf])) == np.inf
    assert table.error(np.zeros((2, 1)), np.zeros(2)) == np.inf
    assert table.error(np.zeros((0, 2)), torch.zeros(0, 2)) == 0.0
    assert table.largest_error({"a": 1.0}, {"b": 1.0}) == np.inf
    assert table.largest_error([1.0, 2.0], (1.0, 4.0)) == 0.5
    assert table.largest_error(None, 1.0) == np.inf


# --- devices --------------------------------------------------------------------------------------


def test_autocast_has_wider_bounds_and_needs_them() -> None:
    (row,) = table.conformance(tracks=["torch"], dtypes=["float32"], only=["linear"],
                               autocast=True)
    assert row.passes
    assert row.forward > table.FORWARD["float32"]


def test_the_device_reaches_every_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    right = nnlib.torch_track.linear_forward

    def forward(x: Any, w: Any, b: Any) -> Any:
        seen.append(x.device.type)
        return right(*(None if a is None else torch.zeros_like(a, device="cpu")
                       for a in (x, w, b)))

    monkeypatch.setattr(nnlib.torch_track, "linear_forward", forward)
    with pytest.raises(ValueError, match="must be on one device, got meta and cpu"):
        table.conformance(tracks=["torch"], dtypes=["float32"], only=["linear"], device="meta")
    assert set(seen) == {"meta"}
