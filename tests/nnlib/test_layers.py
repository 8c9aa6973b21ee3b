"""Layer objects and models in both tracks."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnlib.numpy_track
import nnlib.numpy_track.layers
import nnlib.numpy_track.model
import nnlib.torch_track
import nnlib.torch_track.layers
import nnlib.torch_track.model
from nnlib.errors import ShapeError
from nnlib.layer import Layer


class Track:
    """What the tests need of a track, under the same names."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ops: Any = nnlib.numpy_track if name == "numpy" else nnlib.torch_track
        self.layers: Any = (nnlib.numpy_track if name == "numpy" else nnlib.torch_track).layers
        self.model: Any = (nnlib.numpy_track if name == "numpy" else nnlib.torch_track).model

    def rng(self, seed: int = 0) -> Any:
        return np.random.default_rng(seed) if self.name == "numpy" else (
            torch.Generator().manual_seed(seed))

    def array(self, x: np.ndarray) -> Any:
        return x if self.name == "numpy" else torch.from_numpy(x)


@pytest.fixture(params=["numpy", "torch"])
def track(request: pytest.FixtureRequest) -> Track:
    return Track(request.param)


X = np.random.default_rng(0).normal(size=(6, 4))
DY = np.random.default_rng(1).normal(size=(6, 3))


def test_linear_equals_its_functions(track: Track) -> None:
    layer = track.layers.Linear(4, 3, rng=track.rng())
    x, dy = track.array(X), track.array(DY)
    y, cache = track.ops.linear_forward(x, layer.params["w"], layer.params["b"])
    want = track.ops.linear_backward(dy, cache)
    assert (layer(x) == y).all()
    assert (layer.backward(dy) == want.dx).all()
    assert (layer.grads["w"] == want.dw).all()
    assert (layer.grads["b"] == want.db).all()
    assert repr(layer) == "Linear(w: (4, 3), b: (3,))"


def test_linear_without_bias(track: Track) -> None:
    layer = track.layers.Linear(4, 3, rng=track.rng(), bias=False, scheme="xavier")
    layer(track.array(X))
    layer.backward(track.array(DY))
    assert list(layer.params) == list(layer.grads) == ["w"]


ACTIVATIONS = {
    "Identity": ("identity", {}), "Sigmoid": ("sigmoid", {}), "Tanh": ("tanh", {}),
    "ReLU": ("relu", {}), "LeakyReLU": ("leaky_relu", {"negative_slope": 0.2}),
    "ELU": ("elu", {"alpha": 0.5}), "Softplus": ("softplus", {"beta": 2.0}), "SiLU": ("silu", {}),
    "GELU": ("gelu", {"approximate": "tanh"}), "Softmax": ("softmax", {"axis": 0}),
    "LogSoftmax": ("log_softmax", {"axis": 0}), "Flatten": ("flatten", {}),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_layers_without_parameters_equal_their_functions(track: Track, name: str) -> None:
    function, options = ACTIVATIONS[name]
    layer = getattr(track.layers, name)(**options)
    x, dy = track.array(X), track.array(X[::-1].copy())
    y, cache = getattr(track.ops, f"{function}_forward")(x, **options)
    assert (layer(x) == y).all()
    assert (layer.backward(dy) == getattr(track.ops, f"{function}_backward")(dy, cache)).all()
    assert layer.params == layer.grads == {}
    assert repr(layer).startswith(f"{name}(")


def test_every_layer_is_tested(track: Track) -> None:
    from test_layers_backward import CASES

    tested = {kind.split()[0] for kind in CASES}
    assert set(track.layers.__all__) == {
        *ACTIVATIONS, *tested, "Layer", "Activation", "Sequential"}


def test_linear_maps_every_row_of_more_axes(track: Track) -> None:
    layer = track.layers.Linear(4, 3, rng=track.rng())
    x, dy = track.array(X.reshape(2, 3, 4)), track.array(DY.reshape(2, 3, 3))
    y, dx, grads = layer(x), layer.backward(dy), layer.grads
    assert (y.reshape(6, 3) == layer(track.array(X))).all()
    assert (dx.reshape(6, 4) == layer.backward(track.array(DY))).all()
    assert all((grads[name] == layer.grads[name]).all() for name in ("w", "b"))
    empty = layer(x[:0])
    assert tuple(empty.shape) == (0, 3, 3)
    assert tuple(layer.backward(empty).shape) == (0, 3, 4)
    layer(x)
    with pytest.raises(ShapeError, match=r"Linear.backward: dy must have shape \(2, 3, 3\), got"):
        layer.backward(track.array(DY))
    with pytest.raises(TypeError, match="linear_forward: x must be an array, got list"):
        layer([[1.0] * 4])


def test_mlp_equals_the_functions(track: Track) -> None:
    model = track.model.mlp(track.rng(), (4, 5, 5, 3))
    params = track.ops.init_params(track.rng(), (4, 5, 5, 3))
    x, dy = track.array(X), track.array(DY)
    logits, cache = track.ops.mlp_forward(x, params)
    assert (model(x) == logits).all()
    dx = model.backward(dy)
    want = track.ops.mlp_backward(dy, cache)
    assert (dx == want[0].dx).all()
    assert list(model.params) == ["0.w", "0.b", "2.w", "2.b", "4.w", "4.b"]
    assert model.params.keys() == model.grads.keys()
    for place, grads in zip((0, 2, 4), want, strict=True):
        assert (model.grads[f"{place}.w"] == grads.dw).all()
        assert (model.grads[f"{place}.b"] == grads.db).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_training_learns_a_circle(track: Track, dtype: str) -> None:
    data = np.random.default_rng(0).normal(size=(200, 2)).astype(dtype)
    x, labels = track.array(data), track.array((np.sum(data**2, axis=1) > 1.4).astype(np.int64))
    kind = getattr(np if track.name == "numpy" else torch, dtype)
    model = track.model.mlp(track.rng(1), (2, 16, 16, 2), dtype=kind)
    state = track.ops.sgd_init(model.params)
    losses = []
    for _ in range(150):
        loss, dlogits = track.ops.softmax_cross_entropy(model(x), labels)
        model.backward(dlogits)
        model.params, state = track.ops.sgd_update(
            model.params, model.grads, state, learning_rate=0.5
        )
        losses.append(float(loss))
    assert losses[0] > 0.5
    assert losses[-1] < 0.2
    right = (model(x).argmax(1) == labels)
    assert float(right.sum()) / 200 > 0.93
    assert all(p.dtype == kind for p in model.params.values())


def test_train_and_eval_reach_every_layer(track: Track) -> None:
    inner = track.model.Sequential(track.layers.ReLU())
    model = track.model.Sequential(track.layers.Linear(4, 4, rng=track.rng()), inner)
    assert model.eval() is model
    assert not any(part.training for part in (model, inner, model[0], inner[0]))
    assert model.train() is model
    assert all(part.training for part in (model, inner, model[0], inner[0]))


def test_models_nest(track: Track) -> None:
    inner = track.model.mlp(track.rng(1), (4, 5, 4))
    model = track.model.Sequential(track.layers.Linear(4, 4, rng=track.rng()), inner)
    assert list(model.params) == ["0.w", "0.b", "1.0.w", "1.0.b", "1.2.w", "1.2.b"]
    assert len(model) == 2
    assert list(model)[1] is inner
    model(track.array(X))
    model.backward(track.array(X))
    new = {name: 2 * value for name, value in model.params.items()}
    model.params = new
    assert (inner.params["2.w"] == new["1.2.w"]).all()
    assert "Sequential(Linear(" in repr(model)


def test_params_cannot_be_changed_behind_the_back(track: Track) -> None:
    model = track.model.mlp(track.rng(), (4, 3))
    model.params["0.w"] = None  # a copy of the dict
    assert model.params["0.w"] is not None


def test_bad_use_is_refused(track: Track) -> None:
    Linear, Sequential = track.layers.Linear, track.model.Sequential
    layer = Linear(4, 3, rng=track.rng())
    with pytest.raises(ValueError, match=r"Linear.backward: call forward first"):
        layer.backward(track.array(DY))
    with pytest.raises(ValueError, match=r"Linear.params: the keys must be \['b', 'w'\], got"):
        layer.params = {"w": layer.params["w"]}
    with pytest.raises(ShapeError, match=r"Linear.params: w must have shape \(4, 3\), got \(3,\)"):
        layer.params = {"w": layer.params["b"], "b": layer.params["b"]}
    with pytest.raises(ValueError, match=r"Sequential.params: the keys must be"):
        Sequential(layer).params = {}
    with pytest.raises(TypeError, match="Sequential: layer 1 must be a Layer, got function"):
        Sequential(layer, track.ops.relu_forward)
    with pytest.raises(ValueError, match="Sequential: a layer may appear only once"):
        Sequential(layer, layer)
    with pytest.raises(ValueError, match="Sequential: a layer may appear only once"):
        Sequential(layer, Sequential(layer))
    with pytest.raises(ShapeError, match="mlp: sizes must hold at least inputs and outputs"):
        track.model.mlp(track.rng(), (4,))
    with pytest.raises(ValueError, match="Linear: d_in must be an integer >= 1, got 0"):
        Linear(0, 3, rng=track.rng())
    with pytest.raises(ShapeError, match="linear_forward: x must have shape"):
        layer(track.array(X.T.copy()))


def test_a_subclass_must_say_what_it_computes() -> None:
    with pytest.raises(TypeError, match="Layer must define _forward"):
        Layer()(X)
    with pytest.raises(TypeError, match="Layer must define _backward"):
        Layer()._backward(X, None)
    with pytest.raises(TypeError, match="Layer must define _output_shape"):
        Layer().summary((3,))


def test_the_layers_of_the_torch_track_know_neither_numpy_nor_autograd() -> None:
    files = sorted(Path(nnlib.torch_track.__file__).parent.glob("layers*.py"))
    foreign = re.compile(r"\bnumpy\b|\bnp\.|autograd|requires_grad|functional|\.cpu\(")
    assert len(files) >= 6
    for file in files:
        assert not foreign.search(file.read_text(encoding="utf-8")), file


def test_both_tracks_have_the_same_layers_with_the_same_arguments() -> None:
    numpy, torch_ = nnlib.numpy_track.layers, nnlib.torch_track.layers
    assert numpy.__all__ == torch_.__all__
    for name in numpy.__all__:
        ours, other = (list(inspect.signature(getattr(track, name)).parameters)
                       for track in (numpy, torch_))
        assert ours == [argument for argument in other if argument != "device"], name


REPR: dict[str, Callable[[Any, Any], Any]] = {
    "Conv2d(w: (2, 1, 3, 3), b: (2,))": lambda L, r: L.Conv2d(1, 2, 3, rng=r),
    "Conv2d(w: (4, 1, 3, 2), stride=(2, 1), padding=(1, 1), groups=2)": lambda L, r: L.Conv2d(
        2, 4, (3, 2), stride=(2, 1), padding=1, groups=2, bias=False, rng=r),
    "MaxPool2d(kernel_size=(2, 2))": lambda L, r: L.MaxPool2d(2),
    "AvgPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))": lambda L, r: L.AvgPool2d(
        3, stride=2, padding=1),
    "Attention(w_qkv: (4, 12), w_o: (4, 4), num_heads=2, causal=True)": lambda L, r: L.Attention(
        4, 2, causal=True, bias=False, rng=r),
    "LeakyReLU(negative_slope=0.2)": lambda L, r: L.LeakyReLU(negative_slope=0.2),
    "Residual(body=ReLU(), shortcut=Tanh())": lambda L, r: L.Residual(L.ReLU(), L.Tanh()),
}


@pytest.mark.parametrize("text", REPR)
def test_a_layer_says_what_it_is(track: Track, text: str) -> None:
    assert repr(REPR[text](track.layers, track.rng())) == text
