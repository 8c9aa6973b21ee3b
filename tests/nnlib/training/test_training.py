"""Training from end to end: the loop against torch's, reproducibility, resuming, digits."""

import functools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from train_helpers import TRACKS, Track, plain, same_bits

from nnlib.data import load_digits
from nnlib.history import History
from nnlib.layer import Layer


def data(track: Track, n: int = 60, dtype: str = "float64") -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 4)).astype(dtype)
    return track.array(x), track.array((x[:, 0] * x[:, 1] > 0).astype(np.int64))


def unseen(track: Track) -> tuple[Any, Any]:
    """Draw other rows, a fifth of them with the wrong label: overfitting costs there."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 4))
    wrong = rng.uniform(size=40) < 0.2
    return track.array(x), track.array(((x[:, 0] * x[:, 1] > 0) ^ wrong).astype(np.int64))


def small(track: Track, seed: int = 0, **options: Any) -> Any:
    return track.model.mlp(track.rng(seed), (4, 8, 2), **options)


def run(track: Track, model: Any, x: Any, y: Any, **options: Any) -> History:
    given = {"loss": track.ops.softmax_cross_entropy, "epochs": 3, "batch_size": 16,
             "rng": track.rng(5), "learning_rate": 0.01, **options}
    return track.ops.fit(model, x, y, **given)


def test_fit_equals_a_loop_in_torch() -> None:
    """The same batches, the same start, torch.nn and torch.optim: the same weights."""
    track = TRACKS["torch"]
    x, y = data(track)
    model = small(track)
    layers = [torch.nn.Linear(4, 8).double(), torch.nn.Linear(8, 2).double()]
    with torch.no_grad():
        for layer, place in zip(layers, (0, 2), strict=True):
            layer.weight.copy_(model.params[f"{place}.w"].T)
            layer.bias.copy_(model.params[f"{place}.b"])
    net = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.1)
    rng, losses = track.rng(5), []
    for _ in range(3):
        total = 0.0
        for xb, yb in track.ops.iterate_batches(x, y, batch_size=16, rng=rng):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(xb), yb)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 0.3)
            optimizer.step()
            total += loss.item() * len(xb)
        losses.append(total / len(x))
    history = run(track, model, x, y, max_grad_norm=0.3,
                  optimizer=track.ops.get_optimizer("adamw", weight_decay=0.1))
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-10)
    for layer, place in zip(layers, (0, 2), strict=True):
        np.testing.assert_allclose(plain(model.params[f"{place}.w"]), plain(layer.weight).T,
                                   rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"])
def test_one_rng_gives_one_result_bit_for_bit(track: Track, optimizer: str, dtype: str) -> None:
    kind = getattr(np if track.name == "numpy" else torch, dtype)

    def once(seed: int) -> tuple[Any, History]:
        x, y = data(track, dtype=dtype)
        model = small(track, dtype=kind)
        history = run(track, model, x, y, optimizer=optimizer, rng=track.rng(seed),
                      metrics={"accuracy": track.ops.accuracy}, validation=data(track, 20, dtype))
        return model.params, history

    (one, history), (same, again), (other, _) = once(1), once(1), once(2)
    assert same_bits(one, same)
    assert history.values == again.values
    assert same_bits(history.state, again.state)
    assert not same_bits(one, other)
    assert all(plain(p).dtype == dtype for p in one.values())


def test_the_global_generators_are_not_touched(track: Track) -> None:
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    run(track, small(track), *data(track))
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_5_epochs_and_5_more_are_10(track: Track, optimizer: str, tmp_path: Path) -> None:
    """Save, load into a new model, go on: the same bits as without the break."""
    x, y = data(track)
    schedule = functools.partial(track.ops.warmup_cosine, learning_rate=0.05, warmup_steps=5,
                                 total_steps=40)
    options = {"optimizer": optimizer, "learning_rate": schedule, "batch_size": 16,
               "validation": data(track, 20)}
    whole, rng = small(track), track.rng(3)
    history = run(track, whole, x, y, epochs=10, rng=rng, **options)

    first, rng = small(track), track.rng(3)
    half = run(track, first, x, y, epochs=5, rng=rng, **options)
    path = tmp_path / "run.npz"
    track.ops.save_checkpoint(path, params=first.params, state=half.state, rng=rng,
                              step=half.step, metadata={"history": half.to_dict()})
    found = track.ops.load_checkpoint(path)
    second = small(track, seed=99)
    second.params = found.params
    past = History.from_dict(found.metadata["history"], state=found.state)
    assert past.step == found.step == 20
    resumed = run(track, second, x, y, epochs=5, rng=found.rng, history=past, **options)
    assert same_bits(whole.params, second.params)
    assert resumed.values == history.values
    assert (resumed.step, resumed.epochs) == (40, 10)
    assert same_bits(resumed.state, history.state)

    # Each part of the checkpoint matters: without any one of them the result is another.
    for missing in ("state", "rng", "step"):
        third = small(track)
        third.params = found.params
        other = History.from_dict(found.metadata["history"], state=found.state)
        other.state = None if missing == "state" else other.state
        other.step = 0 if missing == "step" else other.step
        again = track.ops.load_checkpoint(path).rng if missing != "rng" else track.rng(3)
        run(track, third, x, y, epochs=5, rng=again, history=other, **options)
        forgotten = missing == "state" and optimizer == "sgd"
        assert same_bits(whole.params, third.params) == forgotten, missing


class Spy(Layer):
    """A layer that notes in which mode it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[tuple[bool, int]] = []

    def _forward(self, x: Any) -> tuple[Any, Any]:
        self.modes.append((self.training, len(x)))
        return x, True

    def _backward(self, dy: Any, cache: Any) -> tuple[Any, dict[str, Any]]:
        return dy, {}


@pytest.mark.parametrize("training", [True, False])
def test_modes(track: Track, training: bool) -> None:
    spy = Spy()
    model = track.model.Sequential(spy, *small(track))
    model.train() if training else model.eval()
    x, y = data(track)
    run(track, model, x, y, epochs=2, batch_size=25, validation=data(track, 7))
    assert spy.modes == 2 * [(True, 25), (True, 25), (True, 10), (False, 7)]
    assert model.training == spy.training == training
    track.ops.evaluate(model, x, y, loss=track.ops.softmax_cross_entropy, batch_size=50)
    assert spy.modes[-2:] == [(False, 50), (False, 10)]
    assert model.training == training


def test_the_mode_returns_after_an_error(track: Track) -> None:
    model, (x, y) = small(track), data(track)

    def broken(predictions: Any, labels: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        track.ops.evaluate(model, x, y, loss=broken)
    assert model.training


def test_evaluate_does_not_depend_on_the_batches(track: Track) -> None:
    model, (x, y) = small(track), data(track, 61)
    measured = [track.ops.evaluate(model, x, y, loss=track.ops.softmax_cross_entropy,
                                   metrics={"accuracy": track.ops.accuracy}, batch_size=size)
                for size in (1, 7, 61, 1000)]
    for one in measured[1:]:
        assert one == pytest.approx(measured[0], rel=1e-12)


def test_history(track: Track) -> None:
    x, y = data(track)
    history = run(track, small(track), x, y, metrics={"accuracy": track.ops.accuracy},
                  validation=data(track, 20))
    assert history.names == ["loss", "accuracy", "validation_loss", "validation_accuracy",
                             "learning_rate"]
    assert all(len(history[name]) == 3 for name in history)
    assert len(history.seconds) == len(history) == history.epochs == 3
    assert history.step == 3 * 4
    assert history.stopped == ""
    assert "loss" in history
    assert repr(history).startswith("History(3 epochs: loss ")
    again = History.from_dict(history.to_dict())
    assert again.values == history.values
    with pytest.raises(KeyError, match=r"there is no 'los'\. There are: \['accuracy'"):
        history["los"]


def test_history_best_never_takes_nan() -> None:
    history = History({"loss": [float("nan"), 2.0, 1.0, 1.0], "accuracy": [0.5, 0.9, 0.1, 0.2]})
    assert history.best("loss") == (2, 1.0)
    assert history.best("accuracy", mode="max") == (1, 0.9)
    assert repr(History()) == "History(0 epochs)"


def test_history_plot() -> None:
    from matplotlib.figure import Figure

    history = History({"loss": [3.0, 2.0], "validation_loss": [3.5, 2.5], "accuracy": [0.1, 0.2]})
    ax = history.plot(ax=Figure().subplots())
    assert [line.get_label() for line in ax.lines] == ["loss", "validation loss"]
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    assert ax.lines[0].get_color() == ax.lines[1].get_color()
    assert list(ax.lines[1].get_ydata()) == [3.5, 2.5]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")
    both = history.plot(["loss", "accuracy"], ax=Figure().subplots())
    assert both.lines[0].get_color() != both.lines[1].get_color()
    with pytest.raises(KeyError, match="there is no 'x'"):
        history.plot(["x"], ax=Figure().subplots())


def test_early_stopping_restores_the_best_weights(track: Track) -> None:
    x, y = data(track)
    stopping = track.ops.EarlyStopping(patience=3)
    model, kept = small(track), []
    history = run(track, model, x, y, epochs=200, learning_rate=0.1, early_stopping=stopping,
                  validation=unseen(track), callbacks=[lambda r: kept.append(r.model.params)])
    column = history["validation_loss"]
    best, value = history.best("validation_loss")
    assert stopping.best == value
    assert len(column) == best + 1 + 3 < 200
    assert history.stopped == "no better validation_loss for 3 epochs"
    assert same_bits(model.params, kept[best])
    assert not same_bits(model.params, kept[-1])


def test_early_stopping_monitors_what_it_is_told(track: Track) -> None:
    x, y = data(track)
    options = {"metrics": {"accuracy": track.ops.accuracy}, "epochs": 40}
    stopping = track.ops.EarlyStopping(patience=2, mode="max", monitor="accuracy")
    history = run(track, small(track), x, y, early_stopping=stopping, **options)
    assert stopping.best == max(history["accuracy"])
    with pytest.raises(ValueError, match=r"early_stopping must monitor one of .* got 'acc'"):
        run(track, small(track), x, y, early_stopping=track.ops.EarlyStopping(monitor="acc"))


def test_callbacks(track: Track) -> None:
    x, y = data(track)
    seen = []

    def stop_at_1(r: Any) -> bool:
        seen.append((r.epoch, r.step, r.learning_rate, len(r.history["loss"])))
        return r.epoch == 1

    history = run(track, small(track), x, y, epochs=9, callbacks=[stop_at_1])
    assert seen == [(0, 4, 0.01, 1), (1, 8, 0.01, 2)]
    assert history.stopped == "stop_at_1 said so"


def test_training_ends_when_the_loss_is_no_number(track: Track) -> None:
    x, y = data(track)

    def diverging(predictions: Any, labels: Any) -> Any:
        loss, d = track.ops.softmax_cross_entropy(predictions, labels)
        return loss * float("nan"), d

    history = run(track, small(track), x, y, epochs=9, loss=diverging)
    assert history.epochs == 1
    assert history.stopped == "the loss is not finite"


def test_progress_is_shown_on_standard_output(
    track: Track, capsys: pytest.CaptureFixture[str]
) -> None:
    run(track, small(track), *data(track), progress=True)
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = shown.out.rstrip("\n").split("\r")
    assert [line.split(" [")[0] for line in lines[1:]] == [f"epoch {k}/3" for k in (1, 2, 3)]
    run(track, small(track), *data(track))
    assert capsys.readouterr().out == ""


def test_a_penalty_moves_the_weights_only(track: Track) -> None:
    ops, (x, y) = track.ops, data(track)

    def on_weights(params: dict[str, Any]) -> Any:
        return ops.l2_penalty({k: p for k, p in params.items() if k.endswith("w")}, strength=10.0)

    free, held = small(track), small(track)
    plain_history = run(track, free, x, y, epochs=10)
    history = run(track, held, x, y, epochs=10, penalty=on_weights)
    assert history["loss"][0] > plain_history["loss"][0] + 1
    for name in free.params:
        size = float(abs(plain(held.params[name])).sum())
        if name.endswith("w"):
            assert size < 0.9 * float(abs(plain(free.params[name])).sum())


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "loss": ({"loss": "mse"}, TypeError, "fit: loss must be a function"),
    "optimizer": ({"optimizer": "adamm"}, ValueError, "get_optimizer: name must be"),
    "no pair": ({"optimizer": (1, 2)}, TypeError, "fit: optimizer must be a name or the pair"),
    "rng": ({"rng": 0}, TypeError, "fit: rng must be a .*Generator, got int"),
    "metrics": ({"metrics": [len]}, TypeError, "fit: metrics must be a dict"),
    "epochs": ({"epochs": 1.5}, TypeError, "fit: epochs must be an integer"),
    "rate": ({"learning_rate": "fast"}, TypeError, "fit: learning_rate must be"),
}


@pytest.mark.parametrize("name", BAD)
def test_fit_refuses(name: str, track: Track) -> None:
    options, error, message = BAD[name]
    with pytest.raises(error, match=message):
        run(track, small(track), *data(track), **options)


def test_fit_refuses_other_objects(track: Track) -> None:
    x, y = data(track)
    with pytest.raises(TypeError, match=r"fit: model must have params.* dict lacks params"):
        run(track, {}, x, y)
    with pytest.raises(TypeError, match=r"fit: x must be an array .* got list"):
        run(track, small(track), [[1.0]], y)
    with pytest.raises(ValueError, match="the validation x and the validation y must have"):
        run(track, small(track), x, y, validation=(x, y[:3]))


def test_batches_of_the_torch_track_cover_every_row_once() -> None:
    track = TRACKS["torch"]
    x, y = torch.arange(23.0)[:, None], torch.arange(23)
    rng = track.rng(0)
    epochs = [list(track.ops.iterate_batches(x, y, batch_size=5, rng=rng)) for _ in range(2)]
    for epoch in epochs:
        assert [len(a) for a, _ in epoch] == [5, 5, 5, 5, 3]
        assert sorted(torch.cat([b for _, b in epoch]).tolist()) == list(range(23))
        assert all(torch.equal(a[:, 0], b.float()) for a, b in epoch)
    assert epochs[0][0][1].tolist() != epochs[1][0][1].tolist()
    (first, nothing), *_ = track.ops.iterate_batches(x, None, batch_size=5, shuffle=False)
    assert nothing is None
    first += 100
    assert float(x.max()) == 22


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_digits_in_seconds(track: Track, dtype: str) -> None:
    """An mlp with Adam reads handwritten digits: at least 97 % of unseen ones."""
    pytest.importorskip("sklearn")
    kind = getattr(np if track.name == "numpy" else torch, dtype)
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.x))
    x, y = (digits.x[order] / 16).astype(dtype), digits.y[order]
    train, test = slice(0, 1437), slice(1437, None)
    model = track.model.mlp(track.rng(0), (64, 128, 10), dtype=kind)
    started = time.process_time()
    history = track.ops.fit(
        model, track.array(x[train]), track.array(y[train]), epochs=15, batch_size=32,
        loss=track.ops.softmax_cross_entropy, optimizer="adam", learning_rate=3e-3,
        rng=track.rng(1), metrics={"accuracy": track.ops.accuracy},
    )
    seconds = time.process_time() - started
    found = track.ops.evaluate(model, track.array(x[test]), track.array(y[test]),
                               loss=track.ops.softmax_cross_entropy,
                               metrics={"accuracy": track.ops.accuracy})
    assert found["accuracy"] >= 0.97
    assert history["accuracy"][-1] > 0.99
    assert seconds < 20
    counts = track.ops.confusion_matrix(model.eval()(track.array(x[test])),
                                        track.array(y[test]), num_classes=10)
    assert int(plain(counts).sum()) == 360
    assert int(plain(counts).trace()) == round(found["accuracy"] * 360)
