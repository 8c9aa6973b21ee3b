"""Folds, searches, and checkpoints that survive what can happen to a file."""

import itertools
import json
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from train_helpers import TRACKS, Track, plain, same_bits

from nnlib import npz_store
from nnlib.checkpoint import generator_from_plain, plain_generator
from nnlib.checks.run import draw_cases, expect
from nnlib.contract import find
from nnlib.numpy_track import Choice, IntUniform, LogIntUniform, LogUniform, Uniform
from nnlib.sampling import unit_draws

# --- folds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [6, 60, 101])
@pytest.mark.parametrize("k", [2, 3, 6])
@pytest.mark.parametrize("stratified", [False, True])
def test_folds(track: Track, n: int, k: int, stratified: bool) -> None:
    labels = np.random.default_rng(n).choice(4, size=n, p=[0.6, 0.2, 0.15, 0.05])
    folds = track.ops.kfold_indices(n, k=k, rng=track.rng(1),
                                    labels=track.array(labels) if stratified else None)
    tests = [plain(fold.test) for fold in folds]
    assert sorted(np.concatenate(tests).tolist()) == list(range(n))
    sizes = [len(test) for test in tests]
    assert len(folds) == k
    assert max(sizes) - min(sizes) <= 1
    for fold, test in zip(folds, tests, strict=True):
        assert sorted([*plain(fold.train).tolist(), *test.tolist()]) == list(range(n))
    if stratified:
        counts = np.array([np.bincount(labels[test], minlength=4) for test in tests])
        assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()


# --- sampling -------------------------------------------------------------------------------------

KINDS = [Uniform(-2.0, 5.0), LogUniform(1e-6, 10.0), IntUniform(-3, 4), LogIntUniform(1, 1000),
         Choice(["a", "b", "c"])]


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_values_stay_inside_and_reach_both_ends(kind: Any) -> None:
    values = [kind.at(float(place)) for place in np.linspace(0, 1, 5001)]
    low, high = ("a", "c") if isinstance(kind, Choice) else (kind.low, kind.high)
    assert min(values) == low
    assert max(values) == high
    assert all(type(v) is type(low) for v in values)
    assert values == sorted(values)


@pytest.mark.parametrize("kind", KINDS[:4], ids=repr)
def test_place_undoes_at(kind: Any) -> None:
    for place in np.linspace(0.001, 0.999, 57):
        value = kind.at(float(place))
        assert 0 <= kind.place(value) <= 1
        again = kind.at(kind.place(value))
        assert again == pytest.approx(value, rel=1e-12) if isinstance(value, float) else (
            again == value)


def test_integers_are_equally_likely(track: Track) -> None:
    draw = unit_draws("test", track.rng(0))
    counts = np.bincount([IntUniform(0, 3).at(draw()) for _ in range(4000)])
    assert len(counts) == 4
    assert (abs(counts - 1000) < 150).all()


def test_log_uniform_is_uniform_in_the_logarithm(track: Track) -> None:
    draw = unit_draws("test", track.rng(0))
    kind = LogUniform(1e-4, 1.0)
    exponents = np.log10([kind.at(draw()) for _ in range(4000)])
    counts, _ = np.histogram(exponents, bins=[-4, -3, -2, -1, 0])
    assert (abs(counts - 1000) < 150).all()


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Uniform(1, 1), "Uniform: high must be a finite number > 1, got 1"),
    (lambda: LogUniform(0.0, 1), "LogUniform: low must be a finite number > 0"),
    (lambda: IntUniform(3, 2), "IntUniform: high must be an integer >= 4, got 2"),
    (lambda: LogIntUniform(0, 2), "LogIntUniform: low must be an integer >= 1"),
    (lambda: Choice([]), "Choice: options must hold at least one"),
    (lambda: IntUniform(0.5, 2), "IntUniform: low must be an integer"),
])
def test_impossible_ranges_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


# --- searches -------------------------------------------------------------------------------------

SPACE = {"rate": LogUniform(1e-5, 1.0), "width": IntUniform(1, 64), "kind": Choice(["a", "b"])}


def score(settings: dict[str, Any], budget: int = 1) -> float:
    away = (math.log10(settings["rate"]) + 2) ** 2 + (settings["width"] - 40) ** 2 / 400
    return away + (settings["kind"] == "b") + 1 / budget


def search(track: Track, name: str, seed: int = 0, **options: Any) -> Any:
    given = {"random_search": {"trials": 60},
             "successive_halving": {"candidates": 32},
             "evolutionary_search": {"population": 10, "generations": 6}}[name]
    function = getattr(track.ops, name)
    return function(SPACE, options.pop("evaluate", score), rng=track.rng(seed),
                    **{**given, **options})


SEARCHES = ["random_search", "successive_halving", "evolutionary_search"]


@pytest.mark.parametrize("name", SEARCHES)
def test_search_finds_and_records(track: Track, name: str) -> None:
    result = search(track, name)
    assert result == search(track, name)
    assert result != search(track, name, seed=1)
    best = [trial.best for trial in result.trials]
    assert best == sorted(best, reverse=True)
    assert result.best in result.trials
    assert result.best.score < 1.6 + 1 / (result.best.budget or 1)
    assert result.best.settings["kind"] == "a"


@pytest.mark.parametrize("name", SEARCHES)
def test_the_largest_score_is_found_too(track: Track, name: str) -> None:
    least = search(track, name)
    most = search(track, name, mode="max", evaluate=lambda *args: -score(*args))
    assert most.best.settings == least.best.settings
    assert [t.settings for t in most.trials] == [t.settings for t in least.trials]


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("mode", ["min", "max"])
def test_nan_never_wins(track: Track, name: str, mode: str) -> None:
    def often_nan(settings: dict[str, Any], budget: int = 1) -> float:
        return math.nan if settings["width"] % 2 else score(settings, budget)

    result = search(track, name, mode=mode, evaluate=often_nan)
    assert any(math.isnan(trial.score) for trial in result.trials)
    assert not math.isnan(result.best.score)


@pytest.mark.parametrize("name", SEARCHES)
def test_evaluate_gets_a_copy_of_the_settings(track: Track, name: str) -> None:
    def careless(settings: dict[str, Any], budget: int = 1) -> float:
        value = score(settings, budget)
        settings.clear()
        return value

    assert search(track, name, evaluate=careless) == search(track, name)


@pytest.mark.parametrize(("options", "rounds"), [
    ({"candidates": 8}, [(1, 8), (2, 4), (4, 2), (8, 1)]),
    ({"candidates": 11, "min_budget": 3}, [(3, 11), (6, 5), (12, 2), (24, 1)]),
    ({"candidates": 27, "factor": 3}, [(1, 27), (3, 9), (9, 3), (27, 1)]),
    ({"candidates": 5, "factor": 4}, [(1, 5), (4, 1)]),
    ({"candidates": 1, "min_budget": 2}, [(2, 1)]),
])
def test_halving_keeps_the_best(
    track: Track, options: dict[str, Any], rounds: list[tuple[int, int]]
) -> None:
    result = search(track, "successive_halving", **options)
    groups = [[t for t in result.trials if t.budget == budget] for budget, _ in rounds]
    assert [(g[0].budget, len(g)) for g in groups] == rounds
    assert len(result.trials) == sum(size for _, size in rounds)
    for group, following in itertools.pairwise(groups):
        ranking = sorted(group, key=lambda t: t.score)[: len(following)]
        assert [t.settings for t in following] == [t.settings for t in ranking]
    assert result.best == groups[-1][0]


DRAWN = ["kfold_indices", "random_search", "successive_halving", "evolutionary_search"]


@pytest.mark.parametrize("name", DRAWN)
def test_the_facts_of_the_contract_hold_for_the_reference(track: Track, name: str) -> None:
    """The tables compare facts with the reference's: here they must be true in themselves."""
    operation, checked = find(name), 0
    for case in draw_cases(operation):
        if case.raises is not None:
            continue
        (facts,) = expect(operation, case, track.name).outputs
        for fact, value in facts.items():
            if isinstance(value, bool | np.bool_):
                one_setting = case.name in ("one trial", "one candidate")
                assert value != fact.startswith("sizes differ") or one_setting, (case.name, fact)
                checked += 1
    assert checked > 10


def test_evolution_beats_chance_on_average(track: Track) -> None:
    def mean(name: str, **options: Any) -> float:
        return float(np.mean([search(track, name, seed, **options).best.score
                              for seed in range(20)]))

    assert mean("evolutionary_search") < mean("random_search", trials=60)


# --- checkpoints ----------------------------------------------------------------------------------


def content(track: Track) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    params = {"0.w": track.array(rng.normal(size=(5, 4))),
              "0.b": track.array(rng.normal(size=4).astype(np.float32)),
              "count": track.array(np.array(1.5)), "none": track.array(np.zeros((0, 2)))}
    return {"params": params, "state": track.ops.adam_init(params), "rng": track.rng(3),
            "step": 7, "metadata": {"note": "größer", "losses": [0.5, 1e-300]}}


def test_round_trip(track: Track, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint without ending"
    given = content(track)
    track.ops.save_checkpoint(path, **given)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    found = track.ops.load_checkpoint(str(path))
    assert same_bits(found.params, given["params"])
    assert same_bits(found.state, given["state"])
    assert (found.step, found.metadata) == (7, given["metadata"])
    for p in found.params.values():
        assert isinstance(p, np.ndarray if track.name == "numpy" else torch.Tensor)
    # Writeable, and no longer tied to the file.
    path.unlink()
    found.params["0.w"] += 1


def test_the_file_is_an_npz_that_numpy_opens_without_pickle(track: Track, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    track.ops.save_checkpoint(path, **content(track))
    with np.load(path, allow_pickle=False) as archive:
        assert {"params/0.w", "state/m/0.b", npz_store.HEADER} <= set(archive.files)
        header = json.loads(str(archive[npz_store.HEADER]))
    assert (header["format"], header["version"]) == ("nnlib-checkpoint", 1)
    assert path.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("bits", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_generator_of_numpy_goes_on(bits: str) -> None:
    rng = np.random.Generator(getattr(np.random, bits)(5))
    # An odd number of 32-bit draws leaves half a word behind, which is part of the state too.
    rng.integers(10, size=3, dtype=np.int32)
    twin = generator_from_plain(json.loads(json.dumps(plain_generator(rng))))
    assert twin is not rng
    for draw in ("random", "standard_normal"):
        assert getattr(rng, draw)(7).tolist() == getattr(twin, draw)(7).tolist()
    assert rng.integers(10, size=9, dtype=np.int32).tolist() == twin.integers(
        10, size=9, dtype=np.int32).tolist()


def test_bfloat16_survives(tmp_path: Path) -> None:
    ops, path = TRACKS["torch"].ops, tmp_path / "run.npz"
    params = {"w": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).bfloat16()}
    ops.save_checkpoint(path, params=params)
    found = ops.load_checkpoint(path).params["w"]
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, params["w"])


def test_a_crash_while_writing_leaves_the_old_file(
    track: Track, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    track.ops.save_checkpoint(path, **content(track))
    before = path.read_bytes()

    def full(*args: Any, **options: Any) -> None:
        raise OSError("no space left on device")

    for step in ("os.replace", "os.fsync", "numpy.lib.format.write_array"):
        with monkeypatch.context() as patch:
            patch.setattr(step, full)
            with pytest.raises(OSError, match="no space left"):
                track.ops.save_checkpoint(path, **{**content(track), "step": 8})
        assert path.read_bytes() == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["run.npz"]
    track.ops.save_checkpoint(path, **{**content(track), "step": 8})
    assert track.ops.load_checkpoint(path).step == 8


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(track: Track, tmp_path: Path, keep: float) -> None:
    path = tmp_path / "run.npz"
    track.ops.save_checkpoint(path, **content(track))
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(ValueError, match=r"load_checkpoint: .*run\.npz must be a whole file"):
        track.ops.load_checkpoint(path)


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    ops, path = TRACKS["numpy"].ops, tmp_path / "run.npz"
    w = np.random.default_rng(0).normal(size=1000)
    ops.save_checkpoint(path, params={"w": w})
    data = bytearray(path.read_bytes())
    place = bytes(data).index(w.tobytes()) + 4000
    data[place] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"must be a whole file .*BadZipFile"):
        ops.load_checkpoint(path)


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the header of a file that is otherwise right."""
    header, arrays = npz_store.read_npz("test", path, format="nnlib-checkpoint", version=1)
    change(header)
    npz_store.write_npz(path, header, arrays)


@pytest.mark.parametrize(("change", "message"), [
    (lambda h: h.update(version=2), "must be of version 1 or older, got 2"),
    (lambda h: h.update(format="nnlib-model"), "must be of format 'nnlib-checkpoint', got 'nnlib-"),
    (lambda h: h.update(track="another"), "must come from the .* track, got 'another'"),
    (lambda h: h.pop("params"), "must be a whole checkpoint, but 'params' is missing"),
    (lambda h: h["params"]["dict"]["0.w"].update(array="gone"), "'gone' is missing or wrong"),
])
def test_other_files_are_refused(
    track: Track, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = tmp_path / "run.npz"
    track.ops.save_checkpoint(path, **content(track))
    rewritten(path, change)
    with pytest.raises(ValueError, match=f"load_checkpoint: .*{message}"):
        track.ops.load_checkpoint(path)


def test_the_tracks_do_not_mix(tmp_path: Path) -> None:
    for one, other in (("numpy", "torch"), ("torch", "numpy")):
        path = tmp_path / f"{one}.npz"
        TRACKS[one].ops.save_checkpoint(path, **content(TRACKS[one]))
        with pytest.raises(ValueError, match=f"must come from the {other} track, got '{one}'"):
            TRACKS[other].ops.load_checkpoint(path)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    path, flag = tmp_path / "run.npz", tmp_path / "run by the file"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (flag,)

    np.savez(path, **{npz_store.HEADER: np.array([Trap()], dtype=object)}, allow_pickle=True)
    with pytest.raises(ValueError, match="must be a whole file"):
        TRACKS["numpy"].ops.load_checkpoint(path)
    assert not flag.exists()


def test_write_npz_refuses_what_it_could_not_read_back(tmp_path: Path) -> None:
    path, good = tmp_path / "a.npz", {"format": "x", "version": 1}
    with pytest.raises(ValueError, match="write_npz: header must have format and version"):
        npz_store.write_npz(path, {"format": "x"}, {})
    with pytest.raises(ValueError, match=r"no array may be called 'header\.json'"):
        npz_store.write_npz(path, good, {"header.json": np.ones(2)})
    with pytest.raises(TypeError, match="'a' must hold numbers, got dtype object"):
        npz_store.write_npz(path, good, {"a": np.array([None])})
    assert not path.exists()
    npz_store.write_npz(path, good, {"a": np.ones(2)})
    assert zipfile.ZipFile(path).testzip() is None


def test_two_names_that_would_meet_are_refused(track: Track, tmp_path: Path) -> None:
    w = track.array(np.ones(2))
    with pytest.raises(ValueError, match="two arrays would have the name 'state/a/b'"):
        track.ops.save_checkpoint(tmp_path / "a.npz", params={"w": w},
                                  state={"a": {"b": w}, "a/b": w})
    with pytest.raises(TypeError, match="the keys of state must be strings"):
        track.ops.save_checkpoint(tmp_path / "a.npz", params={"w": w}, state={1: w})
