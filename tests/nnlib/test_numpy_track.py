"""What the NumPy track promises beyond agreement with PyTorch."""

import math
import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlib.numpy_track as ops
from nnlib.contract import LinearCache
from nnlib.numpy_track import activations
from nnlib.numpy_track._erf import erf

ACTIVATIONS = sorted(name.removesuffix("_forward") for name in activations.__all__
                     if name.endswith("_forward"))
SMOOTH = [name for name in ACTIVATIONS if name not in ("relu", "leaky_relu", "elu")]
FLOATS = st.floats(-50, 50, allow_nan=False, width=64)


def matrices(min_side: int = 1, max_side: int = 5) -> st.SearchStrategy[np.ndarray]:
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=min_side, max_side=max_side)
    return hnp.arrays(np.float64, shapes, elements=FLOATS)


def test_all_activations_are_found() -> None:
    assert set(ACTIVATIONS) == {"identity", "sigmoid", "tanh", "relu", "softplus", "silu", "gelu",
                                "leaky_relu", "elu", "softmax", "log_softmax"}


# --- erf ------------------------------------------------------------------------------------------


def test_erf_equals_the_standard_library() -> None:
    x = np.concatenate([np.linspace(-8, 8, 20_001), np.logspace(-300, 3, 500), [0.0, -0.0]])
    want = np.array([math.erf(value) for value in x])
    np.testing.assert_allclose(erf(x), want, rtol=1e-14, atol=1e-300)
    assert erf(x.astype(np.float32)).dtype == np.float32


def test_erf_is_odd_and_keeps_nan() -> None:
    x = np.random.default_rng(0).normal(size=100)
    np.testing.assert_array_equal(erf(-x), -erf(x))
    assert np.isnan(erf(np.array([np.nan]))).all()


# --- activations ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_warning_and_no_nan_for_huge_input(name: str, dtype: type) -> None:
    x = np.array([-1e30, -1e4, -100.0, 0.0, 100.0, 1e4, 1e30], dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, cache = getattr(ops, f"{name}_forward")(x)
        dx = getattr(ops, f"{name}_backward")(np.ones_like(x), cache)
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    assert y.dtype == dx.dtype == dtype


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_half_precision_stays_half_precision(name: str) -> None:
    x = np.linspace(-3, 3, 12, dtype=np.float16).reshape(3, 4)
    y, cache = getattr(ops, f"{name}_forward")(x)
    assert y.dtype == getattr(ops, f"{name}_backward")(y, cache).dtype == np.float16


@pytest.mark.parametrize(("name", "option"), [
    ("softplus", "beta"), ("leaky_relu", "negative_slope"), ("elu", "alpha")])
def test_a_numpy_scalar_as_option_does_not_widen_float32(name: str, option: str) -> None:
    x = np.linspace(-1, 1, 5, dtype=np.float32)
    y, cache = getattr(ops, f"{name}_forward")(x, **{option: np.float64(0.3)})
    assert y.dtype == getattr(ops, f"{name}_backward")(x, cache).dtype == np.float32


@given(x=matrices(), shift=st.floats(-1e3, 1e3))
def test_softmax_ignores_a_shift(x: np.ndarray, shift: float) -> None:
    y, _ = ops.softmax_forward(x)
    moved, _ = ops.softmax_forward(x + shift)
    np.testing.assert_allclose(moved, y, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(y.sum(axis=-1), 1.0, rtol=1e-12)
    logs, _ = ops.log_softmax_forward(x)
    np.testing.assert_allclose(np.exp(logs), y, rtol=1e-9, atol=1e-12)


@given(x=matrices())
def test_softmax_gradient_of_a_constant_upstream_is_0(x: np.ndarray) -> None:
    _, cache = ops.softmax_forward(x)
    np.testing.assert_allclose(ops.softmax_backward(np.ones_like(x), cache), 0.0, atol=1e-14)


@settings(deadline=None)
@given(data=st.data(), name=st.sampled_from(SMOOTH))
def test_vjp_of_smooth_activations(data: st.DataObject, name: str) -> None:
    elements = st.floats(-4, 4, allow_nan=False)
    x = data.draw(hnp.arrays(np.float64, (2, 3), elements=elements))
    dy = data.draw(hnp.arrays(np.float64, (2, 3), elements=elements))
    forward = getattr(ops, f"{name}_forward")
    _, cache = forward(x)
    want = ops.numerical_vjp(lambda x: forward(x)[0], x, dy)
    np.testing.assert_allclose(getattr(ops, f"{name}_backward")(dy, cache), want, atol=2e-8)


@given(x=hnp.arrays(np.float64, 6, elements=st.floats(0.001, 30)), sign=st.sampled_from([-1, 1]))
def test_vjp_of_kinked_activations_away_from_0(x: np.ndarray, sign: int) -> None:
    for name in ("relu", "leaky_relu", "elu"):
        forward = getattr(ops, f"{name}_forward")
        _, cache = forward(sign * x)
        dy = np.arange(1.0, 7.0)
        want = ops.numerical_vjp(lambda x, forward=forward: forward(x)[0], sign * x, dy)
        np.testing.assert_allclose(getattr(ops, f"{name}_backward")(dy, cache), want, atol=1e-6)


# --- linear layer ---------------------------------------------------------------------------------


@settings(deadline=None)
@given(data=st.data(), n=st.integers(0, 4), d_in=st.integers(1, 4), d_out=st.integers(1, 4))
def test_linear_vjp_equals_finite_differences(
    data: st.DataObject, n: int, d_in: int, d_out: int
) -> None:
    elements = st.floats(-3, 3)
    x, w, b, dy = (data.draw(hnp.arrays(np.float64, shape, elements=elements))
                   for shape in ((n, d_in), (d_in, d_out), d_out, (n, d_out)))
    grads = ops.linear_backward(dy, LinearCache(x, w, b))
    for got, at, f in (
        (grads.dx, x, lambda v: ops.linear_forward(v, w, b)[0]),
        (grads.dw, w, lambda v: ops.linear_forward(x, v, b)[0]),
        (grads.db, b, lambda v: ops.linear_forward(x, w, v)[0]),
    ):
        np.testing.assert_allclose(got, ops.numerical_vjp(f, at, dy), atol=1e-7)


def test_flatten_shares_memory_where_it_can() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    y, cache = ops.flatten_forward(x)
    assert np.shares_memory(x, y)
    assert np.array_equal(ops.flatten_backward(y, cache), x)
    strided = np.arange(48.0).reshape(2, 3, 8)[:, ::-1, ::2]
    y, cache = ops.flatten_forward(strided)
    assert np.array_equal(ops.flatten_backward(y, cache), strided)


# --- losses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_cross_entropy_gradient_equals_finite_differences(
    reduction: str, label_smoothing: float
) -> None:
    rng = np.random.default_rng(4)
    logits, labels = rng.normal(size=(5, 3)), rng.integers(3, size=5)
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    loss, dlogits = ops.softmax_cross_entropy(logits, labels, **options)
    want = ops.numerical_vjp(
        lambda z: ops.softmax_cross_entropy(z, labels, **options)[0], logits, np.ones(loss.shape),
        eps=1e-5,
    )
    assert ops.relative_error(dlogits, want) < 1e-7
    np.testing.assert_allclose(dlogits.sum(axis=1), 0, atol=1e-15)


@pytest.mark.parametrize("loss", ["mse", "softmax_cross_entropy"])
def test_a_loss_is_a_number(loss: str) -> None:
    x = np.zeros((2, 3), np.float32)
    target = x if loss == "mse" else np.array([0, 1])
    value, _ = getattr(ops, loss)(x, target)
    assert value.shape == ()
    assert value.dtype == np.float32
    assert isinstance(float(value), float)


# --- initialisers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["zeros", "normal", "xavier_uniform", "xavier_normal",
                                  "he_uniform", "he_normal"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initialisers_are_repeatable_and_typed(name: str, dtype: type) -> None:
    draw = getattr(ops, name)
    one, same = (draw(np.random.default_rng(3), (4, 5), dtype=dtype) for _ in range(2))
    other = draw(np.random.default_rng(4), (4, 5), dtype=dtype)
    assert one.dtype == dtype
    assert np.array_equal(one, same)
    assert np.array_equal(one, other) == (name == "zeros")


@pytest.mark.parametrize("scheme", ["he", "xavier", "normal", "he_uniform", "xavier_normal"])
def test_init_params_draws_each_layer_anew(scheme: str) -> None:
    params = ops.init_params(np.random.default_rng(0), (5, 5, 5), scheme=scheme)
    (w1, b1), (w2, b2) = params
    assert not np.array_equal(w1, w2)
    assert len(np.unique(w1)) == 25
    assert not b1.any()
    assert not b2.any()
    assert ops.count_parameters(params) == 60


def test_variance_survives_50_layers_with_he() -> None:
    rng = np.random.default_rng(0)
    x, _ = ops.mlp_forward(rng.normal(size=(64, 200)), ops.init_params(rng, [200] * 51))
    assert 0.05 < np.mean(x**2) / 2 < 20


# --- optimizer ------------------------------------------------------------------------------------


def test_sgd_modifies_nothing() -> None:
    params, grads = {"w": np.ones(3)}, {"w": np.full(3, 2.0)}
    state = ops.sgd_init(params)
    new, new_state = ops.sgd_update(params, grads, state, learning_rate=np.float64(0.5))
    assert params["w"].tolist() == [1.0] * 3
    assert grads["w"].tolist() == [2.0] * 3
    assert new["w"].tolist() == [0.0] * 3
    assert new_state is not state


def test_float32_parameters_stay_float32() -> None:
    params = {"w": np.ones(3, np.float32)}
    new, _ = ops.sgd_update(params, params, {}, learning_rate=np.float64(0.5))
    assert new["w"].dtype == np.float32


# --- finite differences ---------------------------------------------------------------------------


def test_numerical_vjp_sees_a_function_that_changes_its_argument() -> None:
    def double_in_place(x: np.ndarray) -> np.ndarray:
        x *= 2
        return x

    x = np.arange(3.0)
    dx = ops.numerical_vjp(double_in_place, x, np.array([1.0, 10.0, 100.0]))
    np.testing.assert_allclose(dx, [2.0, 20.0, 200.0], rtol=1e-8)
    assert x.tolist() == [0.0, 1.0, 2.0]


def test_numerical_vjp_of_a_number() -> None:
    dx = ops.numerical_vjp(lambda x: float(np.sum(x**3)), np.array([1.0, 2.0]), 1.0)
    np.testing.assert_allclose(dx, [3.0, 12.0], rtol=1e-8)


def test_error_of_finite_differences_is_a_u_curve() -> None:
    x, dy = np.array([1.0]), np.array([1.0])
    errors = [abs(ops.numerical_vjp(np.exp, x, dy, eps=eps)[0] - math.e)
              for eps in (1e-1, 1e-5, 1e-13)]
    assert errors[1] < 1e-9 < errors[0]
    assert errors[1] < 1e-9 < errors[2]


def test_relative_error() -> None:
    a = np.array([1.0, 0.0])
    assert ops.relative_error(a, a) == 0.0
    assert ops.relative_error(a, -a) == 1.0
    assert ops.relative_error(np.array([1e-12]), np.array([0.0])) == pytest.approx(1e-4)
    assert math.isnan(ops.relative_error(a, np.array([1.0, np.nan])))
    assert ops.relative_error(np.zeros((0, 2)), np.zeros((0, 2))) == 0.0


# --- arrays ---------------------------------------------------------------------------------------


def test_standardize_uses_the_training_part_only() -> None:
    rng = np.random.default_rng(0)
    train, test = 3 + 2 * rng.normal(size=(50, 4)), rng.normal(size=(20, 4))
    parts = ops.standardize(train, test)
    np.testing.assert_allclose(parts.x_train.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(parts.x_train.std(axis=0), 1, rtol=1e-14)
    np.testing.assert_allclose(parts.x_test * parts.std + parts.mean, test)
    assert not np.array_equal(ops.standardize(train, test + 1).x_test, parts.x_test)
    assert np.array_equal(ops.standardize(train, test + 1).mean, parts.mean)


def test_standardize_centres_constant_columns() -> None:
    # The mean of ten times 0.1 is not exactly 0.1.
    parts = ops.standardize(np.full((10, 1), 0.1), np.array([[0.6]]))
    assert parts.std.tolist() == [1.0]
    np.testing.assert_allclose(parts.x_train, 0, atol=1e-15)
    np.testing.assert_allclose(parts.x_test, 0.5)


def test_standardize_turns_integers_into_floats() -> None:
    parts = ops.standardize(np.array([[1], [4]]), np.array([[2]], dtype=np.uint8))
    assert parts.x_train.tolist() == [[-1.0], [1.0]]
    assert parts.x_test.dtype == np.float64
    with pytest.raises(ValueError, match="standardize: x_train must have at least one row"):
        ops.standardize(np.zeros((0, 2)), np.zeros((1, 2)))


@given(a=matrices(), m=st.integers(1, 4))
def test_distances(a: np.ndarray, m: int) -> None:
    b = np.random.default_rng(m).normal(size=(m, a.shape[1]))
    d = ops.pairwise_squared_distances(a, b)
    want = [[sum((p - q) ** 2 for p, q in zip(r, s, strict=True)) for s in b] for r in a]
    np.testing.assert_allclose(d, want, rtol=1e-12)
    own = ops.pairwise_squared_distances(a, a)
    assert (own >= 0).all()
    assert not own.diagonal().any()
    assert np.array_equal(own, own.T)


@given(n=st.integers(0, 60), fraction=st.floats(0, 1), seed=st.integers(0, 5))
def test_split_indices(n: int, fraction: float, seed: int) -> None:
    train, test = ops.split_indices(n, test_fraction=fraction, rng=np.random.default_rng(seed))
    assert len(test) == round(n * fraction)
    assert sorted([*train, *test]) == list(range(n))


def test_split_indices_shuffles_and_repeats() -> None:
    def draw(seed: int) -> list[int]:
        return ops.split_indices(50, test_fraction=0.2, rng=np.random.default_rng(seed))[1].tolist()

    assert draw(1) == draw(1) != draw(2)
    assert draw(1) != sorted(draw(1))


def test_bad_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="one_hot: labels must lie from 0 to 2, got 3"):
        ops.one_hot(np.array([3]), 3)
    with pytest.raises(ValueError, match="one_hot: num_classes must be an integer >= 1, got 0"):
        ops.one_hot(np.array([0]), 0)
    with pytest.raises(TypeError, match="standardize: x_train must hold floats, got complex128"):
        ops.standardize(np.zeros((2, 2), complex), np.zeros((2, 2)))
    with pytest.raises(TypeError, match="standardize: x_test must be an array, got list"):
        ops.standardize(np.zeros((2, 2)), [[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"standardize: x_test must have shape \(m, 2\)"):
        ops.standardize(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"pairwise_squared_distances: b must have shape \(m, 2\)"):
        ops.pairwise_squared_distances(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="split_indices: test_fraction must be a finite number"):
        ops.split_indices(3, test_fraction=1.5, rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match=r"split_indices: n must be an integer >= 0, got 3\.0"):
        ops.split_indices(3.0, test_fraction=0.5, rng=np.random.default_rng(0))


# --- perceptron -----------------------------------------------------------------------------------

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TABLES = {"and": [0, 0, 0, 1], "or": [0, 1, 1, 1], "nand": [1, 1, 1, 0], "nor": [1, 0, 0, 0]}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gate", TABLES)
def test_gates_and_learning_them(gate: str, dtype: type) -> None:
    w, b = ops.gate_weights(gate)
    assert ops.neuron_forward(CORNERS, w, b).tolist() == TABLES[gate]
    fit = ops.perceptron_fit(CORNERS.astype(dtype), np.array(TABLES[gate]))
    assert fit.errors[-1] == 0
    assert fit.w.dtype == dtype
    assert ops.neuron_forward(CORNERS.astype(dtype), fit.w, fit.b).tolist() == TABLES[gate]


def test_not_and_xor() -> None:
    w, b = ops.gate_weights("not")
    assert ops.neuron_forward(np.array([[0.0], [1.0]]), w, b).tolist() == [1, 0]
    assert ops.xor_forward(CORNERS).tolist() == [0, 1, 1, 0]
    assert ops.xor_forward(CORNERS.astype(np.float32)).tolist() == [0, 1, 1, 0]
    fit = ops.perceptron_fit(CORNERS, np.array([0, 1, 1, 0]), epochs=50)
    assert len(fit.errors) == 50
    assert min(fit.errors) > 0
    with pytest.raises(ValueError, match="gate_weights: name must be 'and', 'or'"):
        ops.gate_weights("xor")


@given(x=hnp.arrays(np.float64, 3, elements=FLOATS), t=st.sampled_from([0, 1]),
       rate=st.floats(0.1, 10))
def test_an_update_moves_the_score_towards_the_target(x: np.ndarray, t: int, rate: float) -> None:
    w, b = np.array([0.5, -1.0, 2.0]), 0.25
    kept = w.copy()
    new_w, new_b = ops.perceptron_update(x, t, w, b, learning_rate=rate)
    assert np.array_equal(w, kept)
    assert new_w is not w
    y = int(ops.neuron_forward(x[None], w, b)[0])
    if y == t:
        assert np.array_equal(new_w, w)
        assert new_b == b
    else:
        assert np.sign((x @ new_w + new_b) - (x @ w + b)) == np.sign(t - y)
        assert new_b == pytest.approx(b + rate * (t - y))


def test_the_boundary_belongs_to_1() -> None:
    assert ops.neuron_forward(np.array([[1.0]]), np.array([1.0]), -1.0).tolist() == [1]


def test_bad_perceptron_input_is_refused() -> None:
    x, w = np.ones((2, 3)), np.ones(3)
    with pytest.raises(ValueError, match=r"neuron_forward: x must have shape \(n, 3\), got \(3,\)"):
        ops.neuron_forward(x[0], w, 0.0)
    with pytest.raises(ValueError, match="perceptron_update: t must be 0 or 1, got -1"):
        ops.perceptron_update(x[0], -1, w, 0.0)
    with pytest.raises(ValueError, match="perceptron_update: learning_rate must be"):
        ops.perceptron_update(x[0], 1, w, 0.0, learning_rate=0)
    with pytest.raises(ValueError, match="perceptron_fit: t must lie from 0 to 1, got -1"):
        ops.perceptron_fit(x, np.array([-1, 1]))
    with pytest.raises(ValueError, match=r"perceptron_fit: t must have shape \(2,\)"):
        ops.perceptron_fit(x, np.array([1]))
    with pytest.raises(ValueError, match="perceptron_fit: epochs must be an integer >= 1"):
        ops.perceptron_fit(x, np.array([0, 1]), epochs=0)
