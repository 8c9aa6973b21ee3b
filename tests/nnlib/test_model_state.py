"""The state of a model: copied, loaded, saved, refused when it does not fit."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_layers_backward import TRACKS, array, dtype_of, generator, plain

from nnlib.errors import DtypeError, ShapeError
from nnlib.npz_store import HEADER, read_npz, write_npz


def build(track: str, seed: int = 0, dtype: str = "float64") -> Any:
    layers, rng, kind = TRACKS[track].layers, generator(track, seed), dtype_of(track, dtype)
    return layers.Sequential(
        layers.Conv2d(1, 3, 3, padding=1, rng=rng, dtype=kind),
        layers.BatchNorm(3, dtype=kind),
        layers.Residual(
            layers.Sequential(layers.Conv2d(3, 3, 3, padding=1, rng=rng, dtype=kind),
                              layers.BatchNorm(3, dtype=kind)),
            layers.Conv2d(3, 3, 1, rng=rng, dtype=kind)),
        layers.GlobalAvgPool2d(), layers.LayerNorm(3, dtype=kind), layers.Dropout(0.2, rng=rng),
        layers.Linear(3, 2, rng=rng, dtype=kind),
    )


def images(track: str, dtype: str = "float64") -> Any:
    x = np.random.default_rng(2).normal(1.0, 2.0, size=(4, 1, 5, 5))
    return array(track, x.astype(dtype))


NAMES = [
    "0.w", "0.b", "1.gamma", "1.beta", "2.body.0.w", "2.body.0.b", "2.body.1.gamma",
    "2.body.1.beta", "2.shortcut.w", "2.shortcut.b", "4.gamma", "4.beta", "6.w", "6.b",
]
BUFFERS = ["1.running_mean", "1.running_var", "2.body.1.running_mean", "2.body.1.running_var"]


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("way", ["dict", "file"])
def test_a_state_makes_the_trip_bit_for_bit(
    way: str, dtype: str, track: str, tmp_path: Path
) -> None:
    model, other = build(track, 0, dtype), build(track, 1, dtype)
    model(images(track, dtype))  # moves the running statistics
    state = model.state_dict()
    assert list(state) == [*NAMES, *BUFFERS]
    assert any((plain(state[k]) != plain(v)).any() for k, v in other.state_dict().items())
    if way == "dict":
        assert other.load_state_dict(state) is None
    else:
        model.save(tmp_path / "model.npz")
        assert other.load(tmp_path / "model.npz") is other
    for name, value in other.state_dict().items():
        assert plain(value).tobytes() == plain(state[name]).tobytes(), name
        assert value.dtype == dtype_of(track, dtype)
    x = images(track, dtype)
    np.testing.assert_array_equal(plain(other.eval()(x)), plain(model.eval()(x)))


@pytest.mark.parametrize("track", TRACKS)
def test_a_state_is_a_copy_both_ways(track: str) -> None:
    model = build(track)
    state = model.state_dict()
    state["0.w"][...] = 7
    assert (plain(model.params["0.w"]) != 7).all()
    model.load_state_dict(state)
    state["0.w"][...] = 8
    assert (plain(model.params["0.w"]) == 7).all()
    before = plain(model.buffers["1.running_mean"])
    kept = model.state_dict()
    model(images(track))
    assert (plain(model.buffers["1.running_mean"]) != before).any()
    np.testing.assert_array_equal(plain(kept["1.running_mean"]), before)


def test_a_file_serves_both_tracks(tmp_path: Path) -> None:
    for source, target in (("numpy", "torch"), ("torch", "numpy")):
        model, other = build(source, 0, "float32"), build(target, 1, "float32")
        model(images(source, "float32"))
        model.save(tmp_path / source)
        other.load(tmp_path / source)
        for name, value in model.state_dict().items():
            assert plain(value).tobytes() == plain(other.state_dict()[name]).tobytes(), name


def test_bfloat16_makes_the_trip(tmp_path: Path) -> None:
    layers = TRACKS["torch"].layers
    model, other = (layers.Linear(5, 4, rng=generator("torch", seed), dtype=torch.bfloat16)
                    for seed in (0, 1))
    model.save(tmp_path / "b")
    other.load(tmp_path / "b")
    assert other.params["w"].dtype == torch.bfloat16
    assert (model.params["w"] == other.params["w"]).all()
    wider = layers.Linear(5, 4, rng=generator("torch"), dtype=torch.float32)
    with pytest.raises(DtypeError, match="w must be float32, got bfloat16"):
        wider.load(tmp_path / "b")


@pytest.mark.parametrize("track", TRACKS)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(
    track: str, tmp_path: Path
) -> None:
    model = build(track)
    good, x = model.state_dict(), images(track)

    def refused(state: Any, error: type[Exception], match: str) -> None:
        with pytest.raises(error, match=rf"Sequential.load_state_dict: {match}"):
            model.load_state_dict(state)
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(plain(value), plain(good[name]))

    less = {name: value for name, value in good.items() if name not in ("0.b", "1.running_var")}
    refused(less, ValueError, r"state must have the names of the model's arrays. Missing: "
            r"\['0.b', '1.running_var'\]; unexpected: \[\]. Does the state belong to a model")
    refused({**less, "9.w": good["0.b"]}, ValueError,
            r".*Missing: \['0.b', '1.running_var'\]; unexpected: \['9.w'\]")
    refused({**good, "0.b": good["6.b"], "6.w": good["6.w"][:1]}, ShapeError,
            r"0.b must have shape \(3,\), got \(2,\); 6.w must have shape \(3, 2\), got \(1, 2\)")
    single = build(track, 0, "float32").state_dict()
    refused({**good, "6.b": single["6.b"]}, DtypeError, "6.b must be float64, got float32")
    refused([good], DtypeError, "state must be a dict of arrays, got list")
    refused({**good, "6.b": [1.0, 2.0]}, DtypeError, r"state\['6.b'\] must be an array, got list")
    foreign = build("torch" if track == "numpy" else "numpy").state_dict()
    refused(foreign, DtypeError, f"0.w must be a {track} array on cpu, got a ")

    TRACKS[track].layers.Linear(3, 2, rng=generator(track)).save(tmp_path / "other")
    with pytest.raises(ValueError, match=r"Sequential.load: .*other: state must have the names"):
        model.load(tmp_path / "other")
    build(track, 0, "float32").save(tmp_path / "single")
    with pytest.raises(DtypeError, match=r"0.w must be float64, got float32; 0.b must be"):
        model.load(tmp_path / "single")
    assert plain(model(x)).shape == (4, 2)


class Trap:
    """Would run code when unpickled."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('unpickled')",)


def damaged(kind: str, whole: bytes, path: Path) -> None:
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "garbage":
        path.write_bytes(b"no such file" * 50)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Trap()))
    elif kind == "object array":
        np.savez(path, **{"w": np.array([Trap()], dtype=object)})
    elif kind == "no header":
        np.savez(path, w=np.ones((3, 2)), b=np.ones(2))
    elif kind == "flipped bits":
        place = whole.index(b"b.npy") + 150
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1:])


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("kind", ["truncated", "garbage", "empty", "pickle", "object array",
                                  "no header", "flipped bits"])
def test_a_damaged_file_is_refused(kind: str, track: str, tmp_path: Path) -> None:
    model = TRACKS[track].layers.Linear(3, 2, rng=generator(track))
    model.save(tmp_path / "whole")
    path = tmp_path / "damaged.npz"
    damaged(kind, (tmp_path / "whole").read_bytes(), path)
    before = plain(model.params["w"])
    with pytest.raises(ValueError, match=r"Linear.load: .*damaged.npz must be a whole file of "
                                         r"format 'nnlib-model', but it cannot be read"):
        model.load(path)
    np.testing.assert_array_equal(plain(model.params["w"]), before)


@pytest.mark.parametrize("track", TRACKS)
def test_another_schema_is_refused(track: str, tmp_path: Path) -> None:
    model, path = TRACKS[track].layers.Linear(3, 2, rng=generator(track)), tmp_path / "m"
    model.save(path)
    header, arrays = read_npz("test", path, format="nnlib-model", version=1)
    assert header["version"] == 1
    assert header["description"] == "Linear(w: (3, 2), b: (2,))"
    for change, match in (
        ({"format": "nnlib-checkpoint"}, "must be of format 'nnlib-model', got 'nnlib-checkpoint'"),
        ({"version": 2}, "must be of version 1 or older, got 2. Was it written by a newer nnlib?"),
        ({"dtypes": {"w": "float64"}}, "must list the dtypes of its arrays"),
        ({"dtypes": None}, "must list the dtypes of its arrays"),
        ({"dtypes": {"w": "float64", "b": "int64"}}, "must hold b as int64, got float64"),
    ):
        write_npz(path, {**header, **change}, arrays)
        with pytest.raises(ValueError, match=f"Linear.load: .*{match}"):
            model.load(path)
    with pytest.raises(FileNotFoundError):
        model.load(tmp_path / "nowhere")


def test_the_file_is_an_npz_that_needs_no_pickle(tmp_path: Path) -> None:
    model = build("numpy")
    model.save(tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == sorted([*NAMES, *BUFFERS, HEADER])
        assert json.loads(str(archive[HEADER]))["format"] == "nnlib-model"
