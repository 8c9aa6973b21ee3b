"""Partial credit, the table, and what `score` promises nbgrader."""

import math
import warnings
from typing import Any

import numpy as np
import pytest

from nnlib import numpy_track as reference
from nnlib.checks import check, check_all, grade, score
from nnlib.contract import LinearGrads


def right(dy: Any, cache: Any) -> Any:
    return reference.linear_backward(dy, cache)


def test_reference_is_full() -> None:
    assert score("linear_backward", right, points=3) == 3.0


def test_a_right_output_beside_a_wrong_one_earns_its_part() -> None:
    def wrong_bias(dy: Any, cache: Any) -> LinearGrads:
        dx, dw, db = right(dy, cache)
        return LinearGrads(dx, dw, None if db is None else 2 * db)

    report = grade("linear_backward", wrong_bias)
    assert 0.4 < report.points_fraction < 0.8
    labels = {row.label: row.passed for row in report.rows}
    assert labels["values dx"]
    assert labels["values dw"]
    assert not labels["values db"]


@pytest.mark.parametrize(
    "nothing",
    [
        lambda dy, cache: None,
        lambda dy, cache: LinearGrads(0 * cache.x, 0 * cache.w, None),
        lambda dy, cache: LinearGrads(
            np.zeros_like(cache.x),
            np.zeros_like(cache.w),
            None if cache.b is None else np.zeros_like(cache.b),
        ),
        lambda dy, cache: 1 / 0,
        lambda: None,
        "not a function",
        np.zeros(3),
        None,
    ],
)
def test_no_work_earns_nothing(nothing: Any) -> None:
    assert score("linear_backward", nothing, points=3) == 0.0


def not_written(dy: Any, cache: Any) -> Any:
    raise NotImplementedError


def test_untouched_exercise_scores_zero_and_says_so(capsys: pytest.CaptureFixture) -> None:
    assert score("linear_backward", not_written, points=3) == 0.0
    out, err = capsys.readouterr()
    assert "Not written yet" in out
    assert err == ""


def test_score_is_a_plain_float_in_range() -> None:
    for points in (1, 2.5, 3):
        for implementation in (right, not_written):
            earned = score("linear_backward", implementation, points=points)
            assert type(earned) is float
            assert 0.0 <= earned <= points
            assert math.isfinite(earned)


def test_noise_of_the_student_reaches_no_stream(capsys: pytest.CaptureFixture) -> None:
    import sys

    def noisy(dy: Any, cache: Any) -> Any:
        print("debugging", file=sys.stderr)
        print("debugging")
        warnings.warn("careful", stacklevel=1)
        return right(dy, cache)

    assert score("linear_backward", noisy, points=3) == 3.0
    out, err = capsys.readouterr()
    assert err == ""
    assert "debugging" not in out


def test_endless_loop_is_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("nnlib.checks.guard.CALL_SECONDS", 0.2)

    def endless(dy: Any, cache: Any) -> Any:
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue

    assert score("linear_backward", endless, points=3) == 0.0
    assert "did not finish" in capsys.readouterr().out


def test_exit_and_recursion_are_reported() -> None:
    def leave(dy: Any, cache: Any) -> Any:
        raise SystemExit

    def deep(dy: Any, cache: Any) -> Any:
        return deep(dy, cache)

    assert "SystemExit" in str(grade("linear_backward", leave))
    assert "RecursionError" in str(grade("linear_backward", deep))


def test_modified_inputs_are_seen() -> None:
    def in_place(dy: Any, cache: Any) -> Any:
        result = right(dy, cache)
        dy *= 2
        return result

    report = grade("linear_backward", in_place)
    assert not report.passed
    assert {row.label: row.passed for row in report.rows}["inputs kept"] is False
    assert "caller's array" in report.hint


def test_wrong_type_is_seen() -> None:
    def widened(dy: Any, cache: Any) -> Any:
        dx, dw, db = right(dy, cache)
        return LinearGrads(
            dx.astype(np.float64),
            dw.astype(np.float64),
            None if db is None else db.astype(np.float64),
        )

    report = grade("linear_backward", widened)
    failed = [row.label for row in report.rows if not row.passed]
    assert failed == ["dtype kept"]
    assert report.points_fraction > 0.9


def test_plain_tuples_and_lists_are_as_good_as_named_ones() -> None:
    assert grade("linear_backward", lambda dy, cache: tuple(right(dy, cache))).passed
    assert grade("linear_backward", lambda dy, cache: list(right(dy, cache))).passed


def test_hidden_numbers_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that knows only the public answers fails, and learns nothing about the rest."""
    monkeypatch.setenv("NNCOURSE_SECRET", "s3cret")
    known: dict[bytes, Any] = {}

    def record(dy: Any, cache: Any) -> Any:
        known[dy.tobytes()] = right(dy, cache)
        return known[dy.tobytes()]

    check("linear_backward", record)
    report = grade(
        "linear_backward",
        lambda dy, cache: known.get(
            dy.tobytes(), LinearGrads(0 * cache.x, 0 * cache.w, 0 * cache.b)
        ),
    )
    assert report.points_fraction < 0.5
    text = " ".join(row.message for row in report.rows)
    assert "hidden" in text
    assert "expected" not in text


def test_secrets_draw_different_cases() -> None:
    from nnlib.checks.run import draw_cases
    from nnlib.contract import find

    one, other = (draw_cases(find("linear_backward"), secret=s)[0].args[0] for s in ("a", "b"))
    assert one.shape == other.shape
    assert not np.allclose(one, other)


@pytest.mark.parametrize("points", [0, -1, math.nan, math.inf, True, "3", None])
def test_score_refuses_senseless_points(points: Any) -> None:
    with pytest.raises(ValueError, match="score: points must be a positive number"):
        score("linear_backward", right, points=points)


def test_unknown_name_suggests_the_right_one() -> None:
    with pytest.raises(KeyError, match="linear_backward"):
        grade("linear_bakward", right)


def test_wrong_track_is_explained() -> None:
    with pytest.raises(ValueError, match="track"):
        grade("linear_backward", right, track="tensorflow")


def test_a_namespace_is_checked_as_a_whole() -> None:
    from types import SimpleNamespace

    reports = check_all(SimpleNamespace(linear_backward=right, something_else=3))
    assert list(reports) == ["linear_backward"]
    assert reports["linear_backward"].passed


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_a_coarse_type_buys_no_tolerance(dtype: type) -> None:
    """Rounded away, the error of a one-sided difference must not pass for rounding."""

    def one_sided(f: Any, x: Any, dy: Any, *, eps: float = 1e-6) -> Any:
        dx = np.zeros_like(x)
        for index in np.ndindex(x.shape):
            moved = x.copy()
            moved[index] += eps
            dx[index] = np.sum((f(moved) - f(x.copy())) * dy) / eps
        return dx.astype(dtype)

    assert grade("numerical_vjp", one_sided).points_fraction == 0.0


def test_a_right_result_rounded_to_float32_loses_only_its_type() -> None:
    def rounded(dy: Any, cache: Any) -> LinearGrads:
        return LinearGrads(*(None if g is None else g.astype(np.float32) for g in right(dy, cache)))

    report = grade("linear_backward", rounded)
    assert [row.label for row in report.rows if not row.passed] == ["dtype kept"]
