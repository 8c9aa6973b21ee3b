"""Generated sounds and spectrograms: right frequencies, real differences, one seed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlib import data
from nnlib.data import tones
from nnlib.data.tones import SAMPLE_RATE
from nnlib.errors import DtypeError, ShapeError


def rng(seed=0):
    return np.random.default_rng(seed)


def ridge(images):
    """Row of the strongest frequency in each column: (n, t)."""
    return images[:, 0].argmax(axis=1)


# ---------------------------------------------------------------------------------- spectrogram


@given(k=st.integers(2, 62), amplitude=st.floats(0.01, 10), phase=st.floats(0, 6.3))
def test_a_sine_in_a_band_shows_its_amplitude_there(k, amplitude, phase):
    s = np.arange(640)
    m = data.spectrogram(amplitude * np.sin(2 * np.pi * k * s / 128 + phase))
    assert m.shape == (65, 9)
    assert np.allclose(m[k], amplitude, rtol=1e-9)
    assert np.allclose(m[[k - 1, k + 1]], amplitude / 2, rtol=1e-9)  # Hann's two side bands
    others = np.delete(m, [k - 1, k, k + 1], axis=0)
    assert others.max() < 1e-9 * amplitude


def test_spectrogram_is_the_formula():
    signal = rng().standard_normal((2, 3, 50))
    length, hop = 16, 7
    s = np.arange(length)
    window = (1 - np.cos(2 * np.pi * s / length)) / 2
    m = data.spectrogram(signal, frame_length=length, hop_length=hop)
    assert m.shape == (2, 3, 9, 5)
    for j in range(5):
        for k in range(9):
            wave = np.exp(-2j * np.pi * k * s / length)
            expected = abs((window * signal[..., j * hop : j * hop + length] * wave).sum(axis=-1))
            assert np.allclose(m[..., k, j], 2 * expected / window.sum())


def test_spectrogram_keeps_dtype_and_input_and_reads_views():
    signal = rng().standard_normal(400)
    kept = signal.copy()
    assert data.spectrogram(signal.astype(np.float32)).dtype == np.float32
    assert np.array_equal(
        data.spectrogram(signal[::-1][::2]), data.spectrogram(signal[::-1][::2].copy())
    )
    assert np.array_equal(signal, kept)
    assert data.spectrogram(np.zeros((0, 200))).shape == (0, 65, 2)


def test_spectrogram_errors():
    with pytest.raises(ShapeError, match=r"signal must have at least frame_length = 128 samples"):
        data.spectrogram(np.zeros((500, 3)))
    with pytest.raises(DtypeError, match=r"spectrogram: signal must hold floats, got int64"):
        data.spectrogram(np.zeros(500, dtype=np.int64))
    with pytest.raises(ShapeError, match=r"signal must have at least 1 axis"):
        data.spectrogram(np.float64(1.0))
    with pytest.raises(ValueError, match=r"hop_length must be an integer >= 1, got 0"):
        data.spectrogram(np.zeros(500), hop_length=0)
    with pytest.raises(ValueError, match=r"frame_length must be an integer >= 2, got 1"):
        data.spectrogram(np.zeros(500), frame_length=1)


# ---------------------------------------------------------------------------------------- tones


def test_shapes_ranges_and_balance():
    tones = data.make_tones(rng(), 130)
    assert tones.x.shape == (130, 1, 65, 64)
    assert tones.x.dtype == np.float32
    assert tones.x.min() == 0
    assert 0.7 < tones.x.max() <= 1
    assert tones.y.dtype == np.int64
    assert tones.class_names == data.TONE_KINDS
    counts = np.bincount(tones.y)
    assert counts.max() - counts.min() <= 1
    assert (np.diff(tones.y) < 0).any()
    x, y = tones
    assert x is tones.x
    assert y is tones.y
    assert len(np.unique(x.reshape(130, -1), axis=0)) == 130


@pytest.mark.parametrize("make", [data.make_tones, data.make_tone_waves])
def test_same_seed_same_bytes_other_seed_other_bytes(make):
    first, again, other = (make(rng(seed), 70) for seed in (1, 1, 2))
    assert first.x.tobytes() == again.x.tobytes()
    assert first.y.tobytes() == again.y.tobytes()
    assert first.x.tobytes() != other.x.tobytes()
    assert first.y.tobytes() != other.y.tobytes()
    assert make(rng(), 1).x.shape[0] == 1
    assert make(rng(), 3, dtype=np.float64).x.dtype == np.float64


def test_waves_are_what_the_pictures_show():
    options = {"frames": 20, "frame_length": 256, "hop_length": 100}
    pictures = data.make_tones(rng(), 70, **options)
    waves = data.make_tone_waves(rng(), 70, samples=256 + 19 * 100)
    assert pictures.x.shape == (70, 1, 129, 20)
    m = data.spectrogram(waves.x, frame_length=256, hop_length=100)
    expected = np.clip(1 + 20 * np.log10(np.maximum(m, 1e-6)) / 60, 0, 1)
    assert np.allclose(pictures.x[:, 0], expected, atol=1e-6)
    assert abs(waves.x).max() < 1.2
    assert (waves.x.std(axis=1) > 0.03).all()


def test_a_thousand_in_seconds():
    start = time.process_time()
    data.make_tones(rng(), 1000)
    assert time.process_time() - start < 10


def test_tones_have_steady_pitches_in_the_range():
    x, _ = data.make_tones(rng(), 60, kinds=["tone"], noise=0.0)
    rows = ridge(x)[:, 20:60]
    assert (np.ptp(rows, axis=1) <= 1).all()
    hertz = np.median(rows, axis=1) * SAMPLE_RATE / 128
    assert 190 < hertz.min() < 350
    assert 600 < hertz.max() < 900
    assert len(np.unique(np.median(rows, axis=1))) > 5


def test_glides_go_their_way():
    tones = data.make_tones(rng(), 200, kinds=["falling", "rising"], noise=0.0)
    rows = ridge(tones.x)
    way = rows[:, 52:58].mean(axis=1) - rows[:, 12:18].mean(axis=1)
    assert (way[tones.y == 0] < 0).all()
    assert (way[tones.y == 1] > 0).all()


def test_chords_have_three_notes():
    waves = data.make_tone_waves(rng(), 60, kinds=["tone", "chord"], samples=16384, noise=0.0)
    m = data.spectrogram(waves.x, frame_length=8192, hop_length=8192)[:, :, 0]
    peaks = (m[:, 1:-1] > m[:, :-2]) & (m[:, 1:-1] > m[:, 2:])
    strong = peaks & (m[:, 1:-1] > 0.4 * m.max(axis=1, keepdims=True))
    row = np.arange(1, m.shape[1] - 1)
    majors = set()
    for label, found in zip(waves.y, strong, strict=True):
        low = row[found] / row[found].min()
        fifth, third = (abs(low - 1.5) < 0.01).any(), (abs(low - 1.2) < 0.01).any()
        major = (abs(low - 1.25) < 0.01).any()
        assert (fifth and (third or major)) == (label == 1)
        if label == 1:
            majors.add(bool(major))
    assert majors == {True, False}


def test_vibrato_sways_and_pulses_pause():
    tones = data.make_tones(rng(), 240, kinds=["tone", "vibrato", "pulses"], noise=0.0)
    columns = tones.x[:, 0, :, 12:58]
    # Mean row of the power in each column, (n, t): vibrato moves it up and down.
    power = 10 ** (6 * columns[tones.y < 2].astype(np.float64))
    middle = np.einsum("nft,f->nt", power, np.arange(65)) / power.sum(axis=1)
    sway = np.ptp(middle, axis=1)
    label = tones.y[tones.y < 2]
    assert np.median(sway[label == 1]) > 3 * np.median(sway[label == 0])
    loudness = columns.max(axis=1)
    sounding = loudness > loudness.max(axis=1, keepdims=True) - 0.2
    pauses = (np.diff(sounding.astype(int), axis=1) < 0).sum(axis=1)
    assert (pauses[tones.y == 2] >= 2).all()
    depth = np.ptp(loudness, axis=1)
    assert np.median(depth[tones.y == 2]) > 2 * np.median(depth[tones.y == 0])


def test_overtones_are_sines_of_multiples():
    frequency = np.full((1, 4000), 300.0)
    strength = np.array([[0.4, 0.3, 0.2, 0.1]])
    turns = 300.0 * np.arange(1, 4001) / SAMPLE_RATE + 0.25
    expected = sum(a * np.sin(2 * np.pi * k * turns) for k, a in enumerate(strength[0], start=1))
    found = tones._add_overtones(frequency, np.array([0.25]), strength)
    assert np.allclose(found[0], expected, atol=1e-4)


def test_overtones_never_fold_back():
    x, _ = data.make_tones(rng(), 300, kinds=["rising"], noise=0.0)
    # A folded overtone of a rising tone would fall, so its row would be met from above.
    highest = 64 - (x[:, 0, ::-1, 20:60] > 0.35).argmax(axis=1)
    assert (np.diff(highest, axis=1) > -40).all()
    assert x[:, 0, 64].max() < 0.75


def test_noise_fills_the_dark():
    quiet, _ = data.make_tones(rng(), 60, noise=0.0)
    loud, _ = data.make_tones(rng(), 60, noise=0.1)
    assert (quiet == 0).mean() > 0.3
    assert (loud == 0).mean() < 0.02
    w0, w1 = (data.make_tone_waves(rng(), 60, noise=noise).x for noise in (0.0, 0.1))
    assert np.std(w1 - w0) == pytest.approx(0.1, rel=0.01)


def test_labels_follow_the_order_of_kinds():
    tones = data.make_tones(rng(), 20, kinds=("pulses", "tone"))
    assert tones.class_names == ("pulses", "tone")
    assert set(tones.y) == {0, 1}


def test_a_linear_model_hears_the_difference():
    train, test = data.make_tones(rng(0), 1500), data.make_tones(rng(1), 300)

    def features(x):  # of each row its mean and its changes in time: simple, so it must really help
        rows = x[:, 0].astype(np.float64)
        changes = abs(np.diff(rows, axis=2)).mean(axis=2)
        return np.concatenate([rows.mean(axis=2), changes, np.ones((len(x), 1))], axis=1)

    weights = np.linalg.lstsq(features(train.x), np.eye(6)[train.y], rcond=None)[0]
    accuracy = ((features(test.x) @ weights).argmax(axis=1) == test.y).mean()
    assert 0.4 < accuracy < 1.0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kinds": "tone"}, DtypeError, r"kinds must be a list of names, got the string 'tone'"),
        ({"kinds": []}, ValueError, r"kinds must name at least one class"),
        ({"kinds": ["tone", "tone"]}, ValueError, r"kinds must name .* none twice"),
        ({"kinds": ["song"]}, ValueError, r"each of kinds must be 'tone', .* got 'song'"),
        ({"noise": -1}, ValueError, r"noise must be a finite number >= 0, got -1"),
        ({"dtype": np.int8}, DtypeError, r"dtype must be float32 or float64"),
    ],
)
@pytest.mark.parametrize("make", [data.make_tones, data.make_tone_waves])
def test_bad_options(make, options, error, message):
    with pytest.raises(error, match=f"{make.__name__}: {message}"):
        make(rng(), 4, **options)
    with pytest.raises(DtypeError, match=f"{make.__name__}: rng must be a numpy.random.Generator"):
        make(0, 4)


def test_bad_sizes():
    for name in ("frames", "frame_length", "hop_length"):
        with pytest.raises(ValueError, match=f"make_tones: {name} must be an integer >= "):
            data.make_tones(rng(), 4, **{name: 0})
    with pytest.raises(ValueError, match="make_tone_waves: samples must be an integer >= 2, got 1"):
        data.make_tone_waves(rng(), 4, samples=1)
