"""Sounds made from sines, and their spectrograms: audio to classify without recordings.

A spectrogram turns a sound into an image: time runs along its columns, pitch along its rows.
So a convolutional network reads it, and a recurrent network reads its columns one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import DTypeLike, NDArray

from nnlib.data._checks import balanced_labels, check_dtype, check_start
from nnlib.data.dataset import Dataset
from nnlib.errors import (
    DtypeError,
    ShapeError,
    check_choice,
    check_count,
    check_floats,
    check_min_axes,
    check_number,
)

#: The classes, in the order of their labels unless `kinds` says otherwise.
TONE_KINDS = ("tone", "chord", "rising", "falling", "vibrato", "pulses")
#: Samples per second of every sound.
SAMPLE_RATE = 8000

_OVERTONES = 4
_LOWEST, _HIGHEST = 220.0, 880.0  # Hz, of the middle pitch
_RANGE = 60.0  # decibels from black to white
_BATCH = 64


def make_tones(
    rng: np.random.Generator,
    n: int,
    *,
    kinds: Sequence[str] = TONE_KINDS,
    frames: int = 64,
    frame_length: int = 128,
    hop_length: int = 64,
    noise: float = 0.02,
    dtype: DTypeLike = np.float32,
) -> Dataset:
    """Draw spectrograms of sounds: tones, chords, rising and falling glides, vibrato, pulses.

    With the magnitude m of `spectrogram`, ``x = 1 + 20 * log10(m) / 60``, cut to [0, 1]: a sine of
    amplitude 1 is white, anything 60 decibels below it is black.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Number of examples.
    kinds : sequence of str
        The classes, some of `TONE_KINDS`: ``kinds[y[i]]`` is what example i sounds like.
    frames : int
        Columns of the spectrogram, t.
    frame_length : int
        Samples per frame. There are ``f = frame_length // 2 + 1`` rows; row k lies at
        ``k * 8000 / frame_length`` Hz. Longer frames resolve pitch better and time worse.
    hop_length : int
        Samples from one frame to the next.
    noise : float
        Standard deviation of the noise added to the sound, whose amplitudes add up to 0.3 to 1.
    dtype : {numpy.float32, numpy.float64}

    Returns
    -------
    Dataset
        x (n, 1, f, t) in [0, 1], row 0 the lowest frequency; y (n,) int64, balanced and in random
        order. ``x, y = make_tones(...)`` works too.

    Raises
    ------
    DtypeError, ValueError
        If an argument has the wrong type or range.

    Notes
    -----
    Pitch, overtones, loudness, onset and decay are random within every class, so no single one of
    them gives the class away. To hear the sounds, call `make_tone_waves` with the same seed,
    number and kinds, and ``samples = frame_length + (frames - 1) * hop_length``.

    Show an example with ``ax.imshow(x[0, 0], origin="lower")``.

    Examples
    --------
    >>> make_tones(np.random.default_rng(0), 12)
    Dataset(tones: x (12, 1, 65, 64) float32, y (12,) int64, 6 classes)
    """
    caller = "make_tones"
    check_start(caller, rng, n)
    names = _check_kinds(caller, kinds)
    check_count(caller, "frames", frames, minimum=1)
    check_count(caller, "frame_length", frame_length, minimum=2)
    check_count(caller, "hop_length", hop_length, minimum=1)
    check_number(caller, "noise", noise, low=0)
    kind = check_dtype(caller, dtype, ("float32", "float64"))
    y = balanced_labels(rng, n, len(names))
    samples = frame_length + (frames - 1) * hop_length
    x = np.empty((n, 1, frame_length // 2 + 1, frames), dtype=kind)
    for rows, waves in _waves(rng, names, y, samples, noise):
        magnitude = spectrogram(waves, frame_length=frame_length, hop_length=hop_length)
        decibels = 20 * np.log10(np.maximum(magnitude, 1e-6))
        x[rows, 0] = np.clip(1 + decibels / _RANGE, 0, 1)
    return Dataset(
        "tones", x, y, (), names,
        f"Spectrograms of {samples / SAMPLE_RATE:.2f} s of sound made from sines, "
        f"{SAMPLE_RATE} samples per second, from 0 Hz in row 0 to {SAMPLE_RATE // 2} Hz in the "
        f"last; black is {_RANGE:g} decibels below white.",
        x,
    )


def make_tone_waves(
    rng: np.random.Generator,
    n: int,
    *,
    kinds: Sequence[str] = TONE_KINDS,
    samples: int = 4160,
    noise: float = 0.02,
    dtype: DTypeLike = np.float32,
) -> Dataset:
    """Draw the sounds themselves that `make_tones` shows as spectrograms.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Number of examples.
    kinds : sequence of str
        The classes, some of `TONE_KINDS`.
    samples : int
        Length of each sound; 8000 are one second.
    noise : float
        Standard deviation of the noise added to the sound, whose amplitudes add up to 0.3 to 1.
    dtype : {numpy.float32, numpy.float64}

    Returns
    -------
    Dataset
        x (n, samples), y (n,) int64.

    Raises
    ------
    DtypeError, ValueError
        If an argument has the wrong type or range.

    Notes
    -----
    In a notebook, ``IPython.display.Audio(x[0], rate=8000)`` plays the first.

    Examples
    --------
    >>> waves = make_tone_waves(np.random.default_rng(0), 12)
    >>> pictures = make_tones(np.random.default_rng(0), 12)
    >>> waves.x.shape, bool((waves.y == pictures.y).all())
    ((12, 4160), True)
    """
    caller = "make_tone_waves"
    check_start(caller, rng, n)
    names = _check_kinds(caller, kinds)
    check_count(caller, "samples", samples, minimum=2)
    check_number(caller, "noise", noise, low=0)
    kind = check_dtype(caller, dtype, ("float32", "float64"))
    y = balanced_labels(rng, n, len(names))
    x = np.empty((n, samples), dtype=kind)
    for rows, waves in _waves(rng, names, y, samples, noise):
        x[rows] = waves
    return Dataset(
        "tone waves", x, y, (), names,
        f"{samples / SAMPLE_RATE:.2f} s of sound made from sines, {SAMPLE_RATE} samples per "
        "second.",
    )


def spectrogram(
    signal: NDArray[Any], *, frame_length: int = 128, hop_length: int = 64
) -> NDArray[Any]:
    """Measure how much of each frequency a signal holds, frame by frame.

    ``m[k, j] = 2 / sum(w) * |sum_s w[s] * signal[j * hop_length + s] * exp(-2 pi i k s / L)|`` with
    the Hann window ``w[s] = (1 - cos(2 pi s / L)) / 2`` and L the frame length: the short-time
    Fourier transform.

    Parameters
    ----------
    signal : ndarray of floats, shape (..., samples)
    frame_length : int
        Samples per frame, L.
    hop_length : int
        Samples from one frame to the next.

    Returns
    -------
    ndarray, shape (..., f, t), dtype of `signal`
        ``f = L // 2 + 1`` frequencies from 0 to half the sample rate and
        ``t = 1 + (samples - L) // hop_length`` frames. A sine of amplitude a in the middle of a
        row's band gives that row the value a. Samples after the last whole frame are left out.

    Raises
    ------
    ShapeError
        If `signal` is shorter than one frame.
    DtypeError, ValueError
        If an argument has the wrong type or range.

    Examples
    --------
    >>> s = np.arange(512)
    >>> m = spectrogram(0.7 * np.sin(2 * np.pi * s * 16 / 128))
    >>> m.shape, int(m[:, 0].argmax()), round(float(m[16, 0]), 6)
    ((65, 7), 16, 0.7)
    """
    caller = "spectrogram"
    check_floats(caller, signal=signal)
    check_min_axes(caller, "signal", signal, 1, "Its last axis is time.")
    check_count(caller, "frame_length", frame_length, minimum=2)
    check_count(caller, "hop_length", hop_length, minimum=1)
    if signal.shape[-1] < frame_length:
        raise ShapeError(
            f"{caller}: signal must have at least frame_length = {frame_length} samples along its "
            f"last axis, got shape {signal.shape}. Did you pass the transpose?"
        )
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame_length) / frame_length)
    window = (window * (2 / window.sum())).astype(signal.dtype)
    parts = sliding_window_view(signal, frame_length, axis=-1)[..., ::hop_length, :]
    return np.ascontiguousarray(np.abs(np.fft.rfft(parts * window)).swapaxes(-1, -2))


class _Notes(NamedTuple):
    """What distinguishes one sound from another: arrays of shape (m,), one entry per sound."""

    pitch: NDArray[Any]  # Hz
    glide: NDArray[Any]  # octaves from beginning to end, negative for falling
    wobble: NDArray[Any]  # octaves to either side
    wobble_rate: NDArray[Any]  # Hz
    gate_rate: NDArray[Any]  # Hz, 0 for a sound without pauses
    chord: NDArray[Any]  # 0 none, 1 minor, 2 major
    overtones: NDArray[Any]  # (m, _OVERTONES), amplitudes that add up to the loudness
    onset: NDArray[Any]  # part of the duration
    decay: NDArray[Any]  # 1 / duration
    phase: NDArray[Any]  # turns


def _waves(
    rng: np.random.Generator,
    names: tuple[str, ...],
    y: NDArray[np.int64],
    samples: int,
    noise: float,
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield the sounds of labels `y` in batches: their rows and waves (m, samples)."""
    notes = _draw_notes(rng, np.array(names)[y])
    for start in range(0, len(y), _BATCH):
        rows = slice(start, start + _BATCH)
        waves = _play(_Notes(*(field[rows] for field in notes)), samples)
        if noise:
            waves += np.float32(noise) * rng.standard_normal(waves.shape, dtype=np.float32)
        yield rows, waves


def _draw_notes(rng: np.random.Generator, kind: NDArray[np.str_]) -> _Notes:
    n = len(kind)
    pitch = _LOWEST * (_HIGHEST / _LOWEST) ** rng.uniform(size=n)
    way = np.where(kind == "rising", 1.0, np.where(kind == "falling", -1.0, 0.0))
    glide = way * rng.uniform(0.7, 1.5, size=n)
    wobble = np.where(kind == "vibrato", rng.uniform(0.12, 0.25, size=n), 0.0)
    wobble_rate = rng.uniform(5, 9, size=n)
    gate_rate = np.where(kind == "pulses", rng.uniform(7, 14, size=n), 0.0)
    chord = np.where(kind == "chord", rng.integers(1, 3, size=n), 0)
    strength = rng.uniform(size=(n, _OVERTONES)) / np.arange(1, _OVERTONES + 1)
    strength[:, 0] = 1.0
    loudness = rng.uniform(0.3, 1.0, size=(n, 1))
    return _Notes(
        pitch, glide, wobble, wobble_rate, gate_rate, chord,
        loudness * strength / strength.sum(axis=1, keepdims=True),
        rng.uniform(0.0, 0.15, size=n), rng.uniform(0.0, 3.0, size=n), rng.uniform(size=n),
    )


def _play(notes: _Notes, samples: int) -> NDArray[np.float32]:
    """Turn m descriptions into waves (m, samples)."""
    part = np.linspace(0.0, 1.0, samples)  # of the duration
    seconds = np.arange(samples) / SAMPLE_RATE
    swing = np.sin(2 * np.pi * (notes.wobble_rate[:, None] * seconds + notes.phase[:, None]))
    octaves = notes.glide[:, None] * (part - 0.5) + notes.wobble[:, None] * swing
    frequency = notes.pitch[:, None] * np.exp2(octaves)  # (m, samples), of the lowest note

    # A chord is three notes, every other sound one: play all notes, then add up each sound's.
    count = np.where(notes.chord > 0, 3, 1)
    first = np.cumsum(count) - count
    owner = np.repeat(np.arange(len(count)), count)
    ratios = np.array([[1.0, 1.0, 1.0], [1.0, 6 / 5, 3 / 2], [1.0, 5 / 4, 3 / 2]])
    ratio = ratios[notes.chord[owner], np.arange(len(owner)) - first[owner]]
    strength = notes.overtones[owner] / count[owner, None]
    played = _add_overtones(frequency[owner] * ratio[:, None], notes.phase[owner], strength)
    waves = np.add.reduceat(played, first, axis=0)

    begin = part - notes.onset[:, None]
    envelope = np.clip(begin / 0.04, 0, 1) * np.clip((1 - part) / 0.04, 0, 1)
    envelope *= np.exp(-notes.decay[:, None] * np.maximum(begin, 0))
    turns = notes.gate_rate[:, None] * seconds + notes.phase[:, None]
    gate = 0.5 + 0.5 * np.tanh(6 * np.cos(2 * np.pi * turns))
    envelope *= np.where(notes.gate_rate[:, None] > 0, gate, 1.0)
    return waves * envelope.astype(np.float32)


def _add_overtones(
    frequency: NDArray[np.float64], phase: NDArray[np.float64], strength: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Sum ``strength[:, k - 1] * sin(k * angle)`` over k, where the angle's rate is `frequency`.

    Two sines are computed, the others by ``sin(k a) = 2 cos(a) sin((k - 1) a) - sin((k - 2) a)``.
    Overtones fade out towards half the sample rate: above it they would fold back as false
    tones.
    """
    turns = np.cumsum(frequency, axis=1) / SAMPLE_RATE + phase[:, None]
    turns -= np.floor(turns)  # before the step to float32, so that no precision is lost
    angle = (2 * np.pi * turns).astype(np.float32)
    before, now = np.zeros_like(angle), np.sin(angle)
    twice_cosine = 2 * np.cos(angle)
    total = np.zeros_like(angle)
    for k in range(1, _OVERTONES + 1):
        room = np.clip((0.5 - k * frequency / SAMPLE_RATE) / 0.05, 0, 1)
        total += (strength[:, k - 1 : k] * room).astype(np.float32) * now
        before, now = now, twice_cosine * now - before
    return total


def _check_kinds(caller: str, kinds: Any) -> tuple[str, ...]:
    if isinstance(kinds, str):
        raise DtypeError(
            f"{caller}: kinds must be a list of names, got the string {kinds!r}. "
            f"Put it in brackets: [{kinds!r}]."
        )
    names = tuple(kinds)
    for name in names:
        check_choice(caller, "each of kinds", name, TONE_KINDS)
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"{caller}: kinds must name at least one class and none twice, got {names!r}. "
            "Each name is one class."
        )
    return names
