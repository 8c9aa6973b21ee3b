"""Models in training: they learn by heart, obey their generator, and stop when told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_layers_backward import TRACKS, array, dtype_of, generator, plain
from test_model_summary import lenet

from nnlib.data import make_glyphs
from nnlib.early_stopping import EarlyStopping
from nnlib.errors import DtypeError
from nnlib.history import History


@pytest.fixture(scope="module")
def glyphs() -> tuple[np.ndarray, np.ndarray]:
    x, labels = make_glyphs(np.random.default_rng(0), 32)
    return np.asarray(x, dtype=np.float32), np.asarray(labels)


@pytest.mark.parametrize("track", TRACKS)
def test_a_convolutional_network_learns_32_glyphs_by_heart(
    track: str, glyphs: tuple[np.ndarray, np.ndarray]
) -> None:
    ops, (x, labels) = TRACKS[track], (array(track, part) for part in glyphs)
    model = lenet(track, "float32")
    history = model.fit(
        x, labels, loss=ops.softmax_cross_entropy, learning_rate=3e-3, epochs=60, batch_size=16,
        rng=generator(track), metrics={"accuracy": ops.accuracy},
    )
    assert isinstance(history, History)
    assert history["loss"][0] > 2
    assert history["loss"][-1] < 0.05
    assert history["accuracy"][-1] == 1
    assert all(p.dtype == dtype_of(track, "float32") for p in model.params.values())


def small(track: str, seed: int = 0) -> Any:
    layers, rng = TRACKS[track].layers, generator(track, seed)
    return layers.Sequential(
        layers.Linear(3, 8, rng=rng), layers.BatchNorm(8), layers.Tanh(),
        layers.Dropout(0.2, rng=rng), layers.Linear(8, 2, rng=rng))


def task(track: str, n: int = 60) -> tuple[Any, Any]:
    x = np.random.default_rng(4).normal(size=(n, 3))
    return array(track, x), array(track, (x[:, 0] * x[:, 1] > 0).astype(np.int64))


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
def test_the_same_generator_gives_the_same_bits(optimizer: str, track: str) -> None:
    def run(seed: int) -> tuple[dict[str, bytes], dict[str, list[float]]]:
        model, (x, y) = small(track), task(track)
        history = model.fit(
            x, y, loss=TRACKS[track].softmax_cross_entropy, optimizer=optimizer, epochs=4,
            learning_rate=0.01, batch_size=16, rng=generator(track, seed),
            validation=(x[:20], y[:20]))
        return ({name: plain(value).tobytes() for name, value in model.state_dict().items()},
                history.values)

    first, again, other = run(1), run(1), run(2)
    assert first == again
    assert all(first[0][name] != other[0][name] for name in ("0.w", "1.running_mean"))
    assert first[1]["loss"] != other[1]["loss"]


@pytest.mark.parametrize("track", TRACKS)
def test_fit_passes_its_options_on(track: str, capsys: pytest.CaptureFixture[str]) -> None:
    ops, model, (x, y) = TRACKS[track], small(track), task(track)
    seen = []
    model.eval()
    history = model.fit(
        x[:40], y[:40], loss=ops.softmax_cross_entropy, epochs=3, rng=generator(track),
        validation=(x[40:], y[40:]), metrics={"accuracy": ops.accuracy}, progress=True,
        callbacks=[lambda run: seen.append(run.epoch) or run.epoch == 1])
    assert seen == [0, 1]
    assert history.names == ["loss", "accuracy", "validation_loss", "validation_accuracy",
                             "learning_rate"]
    assert "epoch 2/3" in capsys.readouterr().out
    assert not model.training
    assert not model[3].training
    axes = history.plot()
    assert {line.get_label() for line in axes.get_lines()} == {"loss", "validation loss"}
    import matplotlib.pyplot as plt

    plt.close(axes.figure)


@pytest.mark.parametrize("track", TRACKS)
def test_early_stopping_brings_the_buffers_back_too(track: str) -> None:
    ops, model, (x, y) = TRACKS[track], small(track), task(track)
    states = []
    # One batch an epoch, so one value an epoch: the first is the best.
    values = iter([0.9, 0.8, 0.7])
    stopping = EarlyStopping(patience=2, mode="max", monitor="score")
    history = model.fit(
        x, y, loss=ops.softmax_cross_entropy, epochs=9, rng=generator(track), batch_size=60,
        metrics={"score": lambda predictions, labels: next(values)}, early_stopping=stopping,
        callbacks=[lambda run: states.append(run.model.state_dict())])
    assert history.epochs == 3
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(plain(value), plain(states[0][name]), err_msg=name)
        if name != "4.b":
            assert (plain(value) != plain(states[2][name])).any(), name


@pytest.mark.parametrize("track", TRACKS)
def test_evaluation_leaves_the_model_alone(track: str) -> None:
    ops, model, (x, y) = TRACKS[track], small(track), task(track)
    before = model.state_dict()
    first = ops.evaluate(model, x, y, loss=ops.softmax_cross_entropy)
    assert first == ops.evaluate(model, x, y, loss=ops.softmax_cross_entropy)
    assert model.training
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(plain(value), plain(before[name]))


@pytest.mark.parametrize("track", TRACKS)
def test_training_goes_on_from_a_file(track: str, tmp_path: Path) -> None:
    ops, (x, y) = TRACKS[track], task(track)
    options = {"loss": ops.softmax_cross_entropy, "optimizer": "sgd", "epochs": 1,
               "learning_rate": 0.1}
    model, other = (ops.layers.Sequential(ops.layers.Linear(3, 2, rng=generator(track, seed)))
                    for seed in (0, 1))
    model.fit(x, y, rng=generator(track), **options)
    model.save(tmp_path / "m")
    other.load(tmp_path / "m")
    for one in (model, other):
        one.fit(x, y, rng=generator(track, 5), **options)
    np.testing.assert_array_equal(plain(model.params["0.w"]), plain(other.params["0.w"]))


@pytest.mark.parametrize("track", TRACKS)
def test_a_character_model_learns_a_round(track: str) -> None:
    ops, layers, rng = TRACKS[track], TRACKS[track].layers, generator(track)
    model = layers.Sequential(
        layers.Embedding(5, 8, rng=rng), layers.GRU(8, 16, rng=rng),
        layers.Residual(layers.Sequential(layers.LayerNorm(16),
                                          layers.Attention(16, 2, causal=True, rng=rng))),
        layers.Linear(16, 5, rng=rng))
    text = np.arange(40 * 9).reshape(40, 9) % 5

    def loss(logits: Any, labels: Any) -> tuple[Any, Any]:
        value, dlogits = ops.softmax_cross_entropy(logits.reshape(-1, 5), labels.reshape(-1))
        return value, dlogits.reshape(logits.shape)

    history = model.fit(array(track, text[:, :-1]), array(track, text[:, 1:]), loss=loss,
                        learning_rate=0.01, epochs=25, rng=rng)
    assert history["loss"][0] > 0.5
    assert history["loss"][-1] < 0.05


def test_the_wrong_generator_is_refused() -> None:
    x, y = task("numpy")
    with pytest.raises(DtypeError, match=r"fit: rng must be a numpy\.random\.Generator"):
        small("numpy").fit(x, y, loss=TRACKS["numpy"].softmax_cross_entropy, epochs=1,
                           rng=torch.Generator())
