"""The cases of the layers that train and evaluate differently, remember, or draw: who is caught."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnlib.numpy_track as ops
from nnlib.checks.run import Result, draw_cases, run_cases
from nnlib.contract import BatchNormGrads, LstmGrads, Operation, find


def results(name: str, implementation: Callable[..., Any]) -> list[Result]:
    operation = find(name)
    assert isinstance(operation, Operation)
    return run_cases(operation, implementation, draw_cases(operation), track="numpy")


def failed(name: str, implementation: Callable[..., Any]) -> dict[str, str]:
    """Case name to the first message about it."""
    return {r.case.name: next(iter(r.differences.values())).message
            for r in results(name, implementation) if r.differences}


def batch_norm(**change: Callable[..., Any]) -> Callable[..., Any]:
    def forward(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray,
                var: np.ndarray, **options: Any) -> Any:
        y, (new_mean, new_var), cache = ops.batch_norm_forward(
            x, gamma, beta, mean, var, **options)
        if options["training"] and x.ndim == 2 and len(x):
            if "biased" in change:
                weight = options.get("momentum", 0.1)
                new_var = (1 - weight) * var + weight * x.var(axis=0)
            if "reversed" in change:
                weight = options.get("momentum", 0.1)
                new_mean = weight * mean + (1 - weight) * x.mean(axis=0)
        if "always" in change and not options["training"] and x.ndim == 2 and len(x):
            new_mean = 0.9 * mean + 0.1 * x.mean(axis=0)
        return y, (new_mean, new_var), cache

    return forward


@pytest.mark.parametrize(("mistake", "output", "case"), [
    ("biased", "new_running_var", "6 rows, 3 columns, training"),
    ("reversed", "new_running_mean", "momentum=0.7"),
    ("always", "new_running_mean", "6 rows, 3 columns, evaluation"),
])
def test_wrong_running_statistics_cost_their_output_only(
    mistake: str, output: str, case: str
) -> None:
    found = {r.case.name: set(r.differences)
             for r in results("batch_norm_forward", batch_norm(**{mistake: bool}))
             if r.differences}
    assert found[case] == {output}
    assert set().union(*found.values()) == {output}


def test_batch_norm_of_rows_does_for_images_only_by_luck() -> None:
    def over_rows(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray,
                  var: np.ndarray, **options: Any) -> Any:
        y, running, cache = ops.batch_norm_forward(x, gamma, beta, mean, var, **options)
        if x.ndim == 4 and options["training"] and len(x) > 1:
            y = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
            y = y * gamma[:, None, None] + beta[:, None, None]
        return y, running, cache

    assert "images, training" in failed("batch_norm_forward", over_rows)


def test_a_backward_that_takes_the_statistics_for_constants() -> None:
    def constant(dy: np.ndarray, cache: Any) -> BatchNormGrads:
        return ops.batch_norm_backward(dy, cache._replace(training=False))

    found = {r.case.name: set(r.differences) for r in results("batch_norm_backward", constant)
             if r.differences}
    assert found["images, training"] == {"dx"}
    assert not any("evaluation" in name for name in found)


def test_a_forward_without_its_cache_is_told_so() -> None:
    def only_y(*args: Any, **options: Any) -> Any:
        return ops.batch_norm_forward(*args, **options)[0]

    message = failed("batch_norm_forward", only_y)["images, training"]
    assert "must return its results and the cache, as one tuple" in message


def test_an_lstm_that_confuses_its_gates() -> None:
    def other_order(x: Any, h: Any, c: Any, w_xh: Any, w_hh: Any, b: Any) -> Any:
        def swap(a: np.ndarray) -> np.ndarray:
            i, f, g, o = np.split(a, 4, axis=-1)
            return np.concatenate([i, f, o, g], axis=-1)

        return ops.lstm_cell_forward(x, h, c, swap(w_xh), swap(w_hh), swap(b))

    found = {r.case.name: set(r.differences)
             for r in results("lstm_cell_forward", other_order) if r.differences}
    assert found["4 rows, 3 inputs, 2 units"] == {"h", "c"}


def test_an_lstm_backward_gets_a_pair_and_must_use_both() -> None:
    def forgets_dc(dhc: Any, cache: Any) -> LstmGrads:
        dh, dc = dhc
        assert dh.shape == dc.shape
        assert not np.array_equal(dh, dc) or dh.size == 0
        return ops.lstm_cell_backward((dh, np.zeros_like(dc)), cache)

    found = {r.case.name: set(r.differences)
             for r in results("lstm_cell_backward", forgets_dc) if r.differences}
    assert "dc" in found["all sizes 3"]


def test_an_rnn_that_keeps_the_last_steps_gradient_only() -> None:
    def last(dy: np.ndarray, cache: Any) -> Any:
        grads = ops.rnn_backward(dy, cache)
        return grads._replace(dw_xh=ops.rnn_cell_backward(dy[:, -1], cache.steps[-1]).dw_xh)

    found = {r.case.name: set(r.differences) for r in results("rnn_backward", last)
             if r.differences}
    assert found["4 rows of 5 steps"] == {"dw_xh"}
    assert "one step" not in found


# --- dropout --------------------------------------------------------------------------------------


def dropout(mask_of: Callable[[tuple[int, ...], float, Any], np.ndarray]) -> Callable[..., Any]:
    def forward(x: np.ndarray, *, drop_prob: float, training: bool, rng: Any) -> Any:
        if not training:
            return x, None
        return x * mask_of(x.shape, drop_prob, rng), None

    return forward


RIGHT = {
    "float64 draws": lambda s, p, rng: (rng.random(s) >= p) / (1 - p),
    "coins": lambda s, p, rng: rng.binomial(1, 1 - p, size=s) / (1 - p),
    "choice": lambda s, p, rng: rng.choice([0.0, 1 / (1 - p)], p=[p, 1 - p], size=s),
}
WRONG = {
    "not rescaled": (lambda s, p, rng: (rng.random(s) >= p) * 1.0, "a half"),
    "rescaled by the drop probability":
        (lambda s, p, rng: (rng.random(s) >= p) / max(p, 0.1), "a fifth"),
    "kept for dropped": (lambda s, p, rng: (rng.random(s) < p) / (1 - p), "a fifth"),
    "one mask for all rows": (lambda s, p, rng: (rng.random(s[1:]) >= p) / (1 - p), "a half"),
    "whole rows": (lambda s, p, rng: (rng.random((s[0],) + (1,) * (len(s) - 1)) >= p) / (1 - p),
                   "a half"),
    "own generator": (lambda s, p, rng: (np.random.default_rng().random(s) >= p) / (1 - p),
                      "one seed, one result"),
    "own seed": (lambda s, p, rng: (np.random.default_rng(0).random(s) >= p) / (1 - p),
                 "one seed, one result"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_any_way_to_draw_passes(name: str) -> None:
    found = [r.case.name for r in results("dropout_forward", dropout(RIGHT[name]))
             if r.differences and r.case.property != "errors"]
    assert found == []


@pytest.mark.parametrize("name", WRONG)
def test_wrong_dropout_is_caught(name: str) -> None:
    mask_of, case = WRONG[name]
    assert case in failed("dropout_forward", dropout(mask_of))


def test_dropout_in_evaluation_is_caught() -> None:
    def always(x: np.ndarray, *, drop_prob: float, training: bool, rng: Any) -> Any:
        return ops.dropout_forward(x, drop_prob=drop_prob, training=True,
                                   rng=rng or np.random.default_rng(0))

    found = failed("dropout_forward", always)
    assert {"evaluation", "evaluation without a generator"} <= set(found)
    assert "a half" not in found


def test_the_messages_say_what_is_wrong() -> None:
    rows = failed("dropout_forward", dropout(WRONG["whole rows"][0]))
    assert "each by itself" in rows["a half"]
    assert "same seed" in failed("dropout_forward", dropout(WRONG["own generator"][0]))[
        "one seed, one result"]
    assert "another seed" in failed("dropout_forward", dropout(WRONG["own seed"][0]))[
        "one seed, one result"]
    more = dropout(lambda s, p, rng: (rng.random(s) >= p / 2) / (1 - p))
    assert "share" in failed("dropout_forward", more)["a half"]


def test_embedding_that_keeps_one_gradient_of_a_repeated_id() -> None:
    def assigns(dy: np.ndarray, cache: Any) -> np.ndarray:
        dw = np.zeros_like(cache.w)
        dw[cache.ids] += dy
        return dw

    found = failed("embedding_backward", assigns)
    assert {"40 ids of 5 rows", "one id, all the time"} <= set(found)
    assert "every row once" not in found


def test_attention_mistakes_are_caught() -> None:
    def scaled_by_d(q: Any, k: Any, v: Any, **options: Any) -> Any:
        return ops.attention_forward(q / np.sqrt(q.shape[-1]), k, v, **options)

    def masked_after_softmax(q: Any, k: Any, v: Any, *, causal: bool = False) -> Any:
        _, cache = ops.attention_forward(q, k, v)
        weights = np.tril(cache.weights) if causal else cache.weights
        return weights @ v, cache

    def off_by_one(q: Any, k: Any, v: Any, *, causal: bool = False) -> Any:
        if not causal:
            return ops.attention_forward(q, k, v)
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        scores = np.where(np.tri(*scores.shape[-2:], k=1, dtype=bool), scores, -np.inf)
        return ops.softmax_forward(scores)[0] @ v, None

    assert "2 examples, 3 heads" in failed("attention_forward", scaled_by_d)
    for mistake in (masked_after_softmax, off_by_one):
        found = failed("attention_forward", mistake)
        assert "causal" in found
        assert "2 examples, 3 heads" not in found
