"""Every layer with parameters, options or a mode: backward, parity, training and evaluation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnlib.numpy_track.layers
import nnlib.torch_track.layers
from nnlib.errors import DtypeError, ShapeError

TRACKS: dict[str, Any] = {"numpy": nnlib.numpy_track, "torch": nnlib.torch_track}
Maker = Callable[[Any, Any, Any], Any]

IMAGES, SEQUENCES = (3, 4, 7, 6), (3, 5, 4)
IDS = np.array([[0, 3, 3], [6, 0, 3]])

#: How to make a layer from a track's layers, a generator and a dtype; the shape of its input.
CASES: dict[str, tuple[Maker, tuple[int, ...] | np.ndarray]] = {
    "Linear": (lambda L, r, t: L.Linear(4, 3, rng=r, dtype=t), (5, 4)),
    "Linear on sequences": (lambda L, r, t: L.Linear(4, 3, rng=r, dtype=t), SEQUENCES),
    "Conv2d": (lambda L, r, t: L.Conv2d(4, 6, 3, rng=r, dtype=t), IMAGES),
    "Conv2d with options": (lambda L, r, t: L.Conv2d(
        4, 6, (3, 2), stride=(1, 2), padding=(0, 1), dilation=(2, 1), groups=2, bias=False,
        scheme="xavier", rng=r, dtype=t), IMAGES),
    "MaxPool2d": (lambda L, r, t: L.MaxPool2d(2), IMAGES),
    "MaxPool2d overlapping": (lambda L, r, t: L.MaxPool2d((3, 2), stride=1, padding=1), IMAGES),
    "AvgPool2d": (lambda L, r, t: L.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
                  IMAGES),
    "GlobalAvgPool2d": (lambda L, r, t: L.GlobalAvgPool2d(), IMAGES),
    "BatchNorm": (lambda L, r, t: L.BatchNorm(4, dtype=t), (5, 4)),
    "BatchNorm of images": (lambda L, r, t: L.BatchNorm(4, eps=1e-3, dtype=t), IMAGES),
    "LayerNorm": (lambda L, r, t: L.LayerNorm(4, eps=1e-3, dtype=t), SEQUENCES),
    "Dropout": (lambda L, r, t: L.Dropout(0.3, rng=r), (5, 4)),
    "Embedding": (lambda L, r, t: L.Embedding(7, 4, rng=r, std=0.5, dtype=t), IDS),
    "RNN": (lambda L, r, t: L.RNN(4, 3, rng=r, dtype=t), SEQUENCES),
    "LSTM": (lambda L, r, t: L.LSTM(4, 3, rng=r, dtype=t), SEQUENCES),
    "GRU": (lambda L, r, t: L.GRU(4, 3, rng=r, dtype=t), SEQUENCES),
    "RNN last": (lambda L, r, t: L.RNN(4, 3, rng=r, return_sequences=False, dtype=t), SEQUENCES),
    "LSTM last": (lambda L, r, t: L.LSTM(4, 3, rng=r, return_sequences=False, dtype=t), SEQUENCES),
    "GRU last": (lambda L, r, t: L.GRU(4, 3, rng=r, return_sequences=False, dtype=t), SEQUENCES),
    "Attention": (lambda L, r, t: L.Attention(4, rng=r, dtype=t), SEQUENCES),
    "Attention causal": (lambda L, r, t: L.Attention(4, 2, causal=True, bias=False, rng=r, dtype=t),
                         SEQUENCES),
    "Residual": (lambda L, r, t: L.Residual(L.Sequential(L.Linear(4, 4, rng=r, dtype=t), L.Tanh())),
                 (5, 4)),
    "Residual with shortcut": (lambda L, r, t: L.Residual(
        L.Sequential(L.Conv2d(4, 3, 3, padding=1, stride=2, rng=r, dtype=t), L.Tanh()),
        L.Conv2d(4, 3, 1, stride=2, rng=r, dtype=t)), IMAGES),
}


def generator(track: str, seed: int = 0) -> Any:
    return (np.random.default_rng(seed) if track == "numpy"
            else torch.Generator().manual_seed(seed))


def dtype_of(track: str, name: str = "float64") -> Any:
    return getattr(np if track == "numpy" else torch, name)


def array(track: str, x: np.ndarray) -> Any:
    return x if track == "numpy" else torch.from_numpy(x.copy())


def plain(x: Any) -> np.ndarray:
    """Copy an array or tensor to NumPy."""
    return x.copy() if isinstance(x, np.ndarray) else x.detach().numpy().copy()


def make(track: str, name: str, dtype: str = "float64") -> Any:
    """Make the layer with no parameter at a special value such as 0 or 1."""
    layer = CASES[name][0](TRACKS[track].layers, generator(track), dtype_of(track, dtype))
    rng = np.random.default_rng(5)
    layer.params = {key: array(track, (0.6 * rng.normal(size=tuple(p.shape))).astype(dtype))
                    for key, p in layer.params.items()}
    return layer


def example(track: str, name: str, dtype: str = "float64") -> Any:
    given = CASES[name][1]
    if isinstance(given, np.ndarray):
        return array(track, given)
    return array(track, np.random.default_rng(7).normal(size=given).astype(dtype))


def upstream(track: str, y: Any) -> Any:
    return array(track, np.random.default_rng(9).normal(size=tuple(y.shape)).astype(
        str(y.dtype).removeprefix("torch.")))


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", CASES)
def test_backward_is_the_numerical_gradient(name: str, track: str) -> None:
    layer, x = make(track, name), example(track, name)
    before = plain(x)
    y = layer(x)
    dy = upstream(track, y)
    dx, grads = layer.backward(dy), layer.grads
    assert (plain(x) == before).all()
    assert list(grads) == list(layer.params)
    vjp = TRACKS[track].numerical_vjp
    if not isinstance(CASES[name][1], np.ndarray):
        # A new layer each time: the same mask of Dropout, no memory of earlier calls.
        want = vjp(lambda v: make(track, name)(v), x, dy)
        np.testing.assert_allclose(plain(dx), plain(want), rtol=1e-6, atol=1e-8)

    for key, value in layer.params.items():
        def f(v: Any, key: str = key) -> Any:
            other = make(track, name)
            other.params = {**other.params, key: v}
            return other(x)

        np.testing.assert_allclose(plain(grads[key]), plain(vjp(f, value, dy)),
                                   rtol=1e-6, atol=1e-8, err_msg=key)


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", CASES)
def test_the_gradients_of_the_parameters_alone_are_the_same(name: str, track: str) -> None:
    first, second, x = make(track, name), make(track, name), example(track, name)
    with pytest.raises(ValueError, match=r"backward(_params)?: call forward first"):
        first.backward_params(x)
    dy = upstream(track, first(x))
    second(x)
    first.backward(dy)
    assert second.backward_params(dy) is None
    assert list(first.grads) == list(second.grads)
    for key, value in first.grads.items():
        np.testing.assert_allclose(plain(second.grads[key]), plain(value), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("track", TRACKS)
def test_a_chain_goes_back_as_far_as_there_are_parameters(track: str) -> None:
    L, rng = TRACKS[track].layers, generator(track)
    model = L.Sequential(L.Flatten(), L.Sequential(L.Tanh(), L.Linear(4, 3, rng=rng)), L.Tanh(),
                         L.Linear(3, 2, rng=rng))
    x = example(track, "Linear")
    dy = upstream(track, model(x))
    model.backward(dy)
    want = model.grads
    model.backward_params(dy)
    for key, value in model.grads.items():
        np.testing.assert_allclose(plain(value), plain(want[key]), rtol=1e-13, atol=1e-13)
    bare = L.Sequential(L.Tanh())
    bare(x)
    assert bare.backward_params(x) is None
    assert bare.grads == {}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [name for name in CASES if name != "Dropout"])
def test_both_tracks_agree_with_one_state(name: str, dtype: str, tmp_path: Path) -> None:
    ours = make("numpy", name, dtype)
    other = CASES[name][0](TRACKS["torch"].layers, generator("torch", 3), dtype_of("torch", dtype))
    ours.save(tmp_path / "state")
    other.load(tmp_path / "state")
    x = example("numpy", name, dtype)
    y, same = ours(x), other(example("torch", name, dtype))
    assert y.dtype == same.numpy().dtype
    rtol, atol = (1e-12, 1e-12) if dtype == "float64" else (2e-5, 2e-5)
    np.testing.assert_allclose(y, same.numpy(), rtol=rtol, atol=atol)
    dx, same_dx = ours.backward(upstream("numpy", y)), other.backward(upstream("torch", same))
    if dx is not None:
        np.testing.assert_allclose(dx, same_dx.numpy(), rtol=rtol, atol=atol)
    for kind in ("grads", "buffers", "params"):
        left, right = getattr(ours, kind), getattr(other, kind)
        assert list(left) == list(right)
        for key in left:
            assert left[key].dtype == dtype, key
            np.testing.assert_allclose(left[key], right[key].numpy(), rtol=rtol, atol=10 * atol)


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", CASES)
def test_shapes_are_told_before_anything_runs(name: str, track: str) -> None:
    layer, x = make(track, name), example(track, name)
    shape = tuple(x.shape)[1:]
    assert layer.output_shape(shape) == tuple(layer(x).shape)[1:]
    assert layer.multiply_adds(shape) >= 0


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", CASES)
def test_an_empty_batch_and_a_single_example(name: str, track: str) -> None:
    for n in (0, 1):
        layer, x = make(track, name), example(track, name)[:n]
        if name.startswith("BatchNorm"):
            layer.eval()
        y = layer(x)
        dx = layer.backward(y)
        assert dx is None or tuple(dx.shape) == tuple(x.shape)
        assert all(tuple(layer.grads[k].shape) == tuple(p.shape) for k, p in layer.params.items())


# --- against torch's own layers -------------------------------------------------------------------


def torch_recurrent(name: str, p: dict[str, torch.Tensor]) -> Any:
    kind = {"RNN": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}[name]
    theirs = kind(4, 3, batch_first=True).double()
    b_x = p["b_x"] if name == "GRU" else p["b"]
    b_h = p["b_h"] if name == "GRU" else torch.zeros_like(b_x)
    theirs.load_state_dict({"weight_ih_l0": p["w_xh"].T, "weight_hh_l0": p["w_hh"].T,
                            "bias_ih_l0": b_x, "bias_hh_l0": b_h})
    return theirs


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers_equal_torch(name: str) -> None:
    layer, x = make("torch", name), example("torch", name).requires_grad_()
    theirs = torch_recurrent(name, layer.params)
    y, state = theirs(x)
    dy = upstream("torch", y)
    y.backward(dy)
    torch.testing.assert_close(layer(x.detach()), y, rtol=0, atol=1e-12)
    torch.testing.assert_close(layer.backward(dy), x.grad, rtol=0, atol=1e-10)
    torch.testing.assert_close(layer.grads["w_hh"].T, theirs.weight_hh_l0.grad, rtol=0, atol=1e-10)
    torch.testing.assert_close(layer.grads["w_xh"].T, theirs.weight_ih_l0.grad, rtol=0, atol=1e-10)
    mine = layer.state if name == "LSTM" else (layer.state,)
    for a, b in zip(mine, state if name == "LSTM" else (state,), strict=True):
        torch.testing.assert_close(a, b[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_equals_torch(heads: int) -> None:
    layer = TRACKS["torch"].layers.Attention(4, heads, rng=generator("torch"))
    theirs = torch.nn.MultiheadAttention(4, heads, batch_first=True).double()
    p = layer.params
    theirs.load_state_dict({"in_proj_weight": p["w_qkv"].T, "in_proj_bias": p["b_qkv"],
                            "out_proj.weight": p["w_o"].T, "out_proj.bias": p["b_o"]})
    x = example("torch", "Attention").requires_grad_()
    y, weights = theirs(x, x, x, average_attn_weights=False)
    dy = upstream("torch", y)
    y.backward(dy)
    torch.testing.assert_close(layer(x.detach()), y, rtol=0, atol=1e-12)
    torch.testing.assert_close(layer.weights, weights, rtol=0, atol=1e-12)
    torch.testing.assert_close(layer.backward(dy), x.grad, rtol=0, atol=1e-10)
    torch.testing.assert_close(layer.grads["w_qkv"].T, theirs.in_proj_weight.grad,
                               rtol=0, atol=1e-10)


@pytest.mark.parametrize("track", TRACKS)
def test_a_causal_layer_does_not_see_the_future(track: str) -> None:
    layer, x = make(track, "Attention causal"), example(track, "Attention causal")
    y = plain(layer(x))
    changed = plain(x)
    changed[:, 3:] += 1
    other = plain(layer(array(track, changed)))
    np.testing.assert_array_equal(y[:, :3], other[:, :3])
    assert (y[:, 3:] != other[:, 3:]).all()


# --- modes and memories ---------------------------------------------------------------------------


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", ["BatchNorm", "BatchNorm of images"])
def test_batch_norm_keeps_running_statistics(name: str, track: str) -> None:
    layer, x = make(track, name), example(track, name)
    theirs = (torch.nn.BatchNorm1d(4) if name == "BatchNorm"
              else torch.nn.BatchNorm2d(4, eps=1e-3)).double()
    theirs.load_state_dict({
        "weight": torch.from_numpy(plain(layer.params["gamma"])),
        "bias": torch.from_numpy(plain(layer.params["beta"])),
        "running_mean": torch.zeros(4), "running_var": torch.ones(4),
        "num_batches_tracked": torch.tensor(0)})
    for scale in (1.0, 2.0, -3.0):
        layer(scale * x + 1)
        theirs(torch.from_numpy(plain(scale * x + 1)))
    learned = {key: plain(b) for key, b in layer.buffers.items()}
    for key, value in learned.items():
        np.testing.assert_allclose(value, getattr(theirs, key).numpy(), rtol=1e-12, atol=1e-12)
    layer.eval()
    theirs.eval()
    want = theirs(torch.from_numpy(plain(x))).detach().numpy()
    np.testing.assert_allclose(plain(layer(x)), want, rtol=1e-12, atol=1e-12)
    for key, value in learned.items():
        np.testing.assert_array_equal(plain(layer.buffers[key]), value)


@pytest.mark.parametrize("track", TRACKS)
def test_dropout_draws_in_training_only(track: str) -> None:
    layer, x = make(track, "Dropout"), array(track, np.ones((50, 40)))
    first, second = plain(layer(x)), plain(layer(x))
    assert (first != second).any()
    assert set(first.ravel()) == {0.0, 1 / 0.7}
    assert abs((first == 0).mean() - 0.3) < 0.05
    assert (plain(layer.backward(x)) == second).all()
    assert (plain(layer.eval()(x)) == 1).all()
    assert (plain(layer.backward(x)) == 1).all()
    again = make(track, "Dropout")
    assert (plain(again(x)) == first).all()
    assert repr(layer) == "Dropout(drop_prob=0.3)"


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_a_text_can_be_read_in_pieces(name: str, track: str) -> None:
    layer, x = make(track, name), example(track, name)
    whole = plain(layer(x))
    first = plain(layer(x[:, :2]))
    layer.initial_state = layer.state
    rest = plain(layer(x[:, 2:]))
    np.testing.assert_allclose(np.concatenate([first, rest], axis=1), whole, rtol=0, atol=1e-14)
    layer.initial_state = None
    np.testing.assert_array_equal(plain(layer(x)), whole)


@pytest.mark.parametrize("track", TRACKS)
def test_the_forget_gate_starts_open(track: str) -> None:
    b = plain(TRACKS[track].layers.LSTM(2, 3, rng=generator(track)).params["b"])
    assert b.tolist() == [0] * 3 + [1] * 3 + [0] * 6


REFUSED: dict[str, tuple[Callable[[Any, Any], Any], type[Exception], str]] = {
    "kernel": (lambda L, r: L.Conv2d(1, 2, 0, rng=r), ValueError,
               "Conv2d: kernel_size must be an integer >= 1 or a pair of them, got 0"),
    "groups": (lambda L, r: L.Conv2d(3, 2, 1, groups=2, rng=r), ValueError,
               "Conv2d: groups must divide c_in 3 and c_out 2, got 2"),
    "scheme": (lambda L, r: L.Conv2d(1, 2, 3, scheme="best", rng=r), ValueError,
               "Conv2d: scheme must be 'he', "),
    "pool padding": (lambda L, r: L.MaxPool2d(2, padding=2), ValueError,
                     "MaxPool2d: padding must be at most half of kernel_size"),
    "drop_prob": (lambda L, r: L.Dropout(1.0, rng=r), ValueError,
                  "Dropout: drop_prob must be a finite number >= 0 and < 1, got 1.0"),
    "heads": (lambda L, r: L.Attention(4, 3, rng=r), ValueError,
              "Attention: num_heads must divide d 4, got 3"),
    "weights": (lambda L, r: L.Attention(4, rng=r).weights, ValueError,
                "Attention.weights: call forward first"),
    "momentum": (lambda L, r: L.BatchNorm(3, momentum=2), ValueError,
                 "BatchNorm: momentum must be a finite number >= 0 and <= 1, got 2"),
    "features": (lambda L, r: L.LayerNorm(0), ValueError, "LayerNorm: d must be an integer >= 1"),
    "symbols": (lambda L, r: L.Embedding(2.5, 3, rng=r), DtypeError,
                "Embedding: num_symbols must be an integer >= 1, got 2.5"),
    "flag": (lambda L, r: L.GRU(2, 3, rng=r, return_sequences="no"), DtypeError,
             "GRU: return_sequences must be True or False, got 'no'"),
    "not a layer": (lambda L, r: L.Residual(L.ReLU(), abs), TypeError,
                    "Residual: layer shortcut must be a Layer, got builtin_function_or_method"),
}


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", REFUSED)
def test_bad_options_are_refused_when_the_layer_is_made(name: str, track: str) -> None:
    call, error, match = REFUSED[name]
    with pytest.raises(error, match=match):
        call(TRACKS[track].layers, generator(track))


@pytest.mark.parametrize("track", TRACKS)
def test_bad_inputs_are_refused(track: str) -> None:
    layers, x = TRACKS[track].layers, array(track, np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"Residual: body and shortcut must have the same shape"):
        layers.Residual(layers.Linear(3, 1, rng=generator(track)))(x)
    for name in ("RNN", "LSTM", "GRU", "Attention"):
        layer = make(track, name)
        with pytest.raises(ShapeError, match=rf"{name}.forward: x must have shape \(n, t, 4\)"):
            layer(x)
        with pytest.raises(DtypeError, match=rf"{name}.forward: x and w_.* must have one dtype"):
            layer(example(track, name, "float32"))
    last = make(track, "RNN last")
    last(example(track, "RNN last"))
    with pytest.raises(ShapeError, match=r"RNN.backward: dy must have shape \(3, 3\), got"):
        last.backward(x)
    attention = make(track, "Attention")
    attention(example(track, "Attention"))
    with pytest.raises(ShapeError, match=r"Attention.backward: dy must have shape \(3, 5, 4\)"):
        attention.backward(x)
