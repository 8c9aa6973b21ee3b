"""Typeset glyphs: images of digits and letters in many typefaces, distorted at random.

The set plays the part of MNIST where there is no network: 28 x 28 pixels, light ink on a dark
ground, as many examples as you like.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnlib.data._checks import balanced_labels, check_dtype, check_start
from nnlib.data.dataset import Dataset
from nnlib.data.typefaces import FINER, FONT_FILES, fonts_with, glyph_raster
from nnlib.errors import DtypeError, check_choice, check_count, check_number

#: Images warped at a time: enough to keep NumPy busy, few enough to stay in the cache.
_BATCH = 256


def glyph_fonts(characters: str = "0123456789") -> tuple[str, ...]:
    """Name the typefaces that have every one of the characters.

    Parameters
    ----------
    characters : str

    Returns
    -------
    tuple of str
        Names for the option `fonts` of `make_glyphs`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> len(glyph_fonts()), glyph_fonts()[0]
    (20, 'DejaVu Sans')
    >>> "Computer Modern Roman" in glyph_fonts("αβγ")
    False
    """
    characters = _check_characters("glyph_fonts", characters)
    names = tuple(FONT_FILES)
    for character in characters:
        names = fonts_with("glyph_fonts", character, names)
    return names


def make_glyphs(
    rng: np.random.Generator,
    n: int,
    *,
    characters: str = "0123456789",
    size: int = 28,
    rotation: float = 15.0,
    shift: float = 2.0,
    scale: float = 0.15,
    noise: float = 0.05,
    fonts: Sequence[str] | None = None,
    dtype: DTypeLike = np.float32,
) -> Dataset:
    """Draw images of typeset characters, each turned, moved, scaled and made noisy at random.

    A pixel p of the image, measured from its centre, shows the glyph at
    ``R(-angle) @ (p - move) / factor``.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Number of examples.
    characters : str
        The classes, each character once: ``characters[y[i]]`` is what image i shows.
    size : int
        Height and width of the images in pixels, at least 8.
    rotation : float
        Largest angle in degrees, 0 to 180; angles are uniform between its negative and itself.
    shift : float
        Largest move in pixels along each axis, 0 to ``size / 2``; uniform to both sides.
    scale : float
        Sizes are uniform from ``1 - scale`` to ``1 + scale``, with ``0 <= scale < 1``.
    noise : float
        Standard deviation of the noise added to each pixel before it is cut to [0, 1].
    fonts : sequence of str, optional
        Names from `glyph_fonts`; all by default. Train on some and test on others to see
        whether a network has learnt the characters or the typefaces.
    dtype : {numpy.float32, numpy.float64}

    Returns
    -------
    Dataset
        x (n, 1, size, size) in [0, 1], 0 where there is no ink; y (n,) int64, balanced and in
        random order; class_names are the characters. ``x, y = make_glyphs(...)`` works too.

    Raises
    ------
    ImportError
        If matplotlib, which ships the fonts, is not installed.
    DtypeError, ValueError
        If an argument has the wrong type or range, or no typeface has one of the characters.

    Notes
    -----
    Each glyph is drawn once in fine resolution and kept; batches of it are then resampled with
    bilinear interpolation. The same seed gives the same bytes with the same version of
    matplotlib; another version may draw outlines slightly differently. Setting a distortion to
    0 leaves the others as they were.

    References
    ----------
    Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998, made the
    size of 28 x 28 pixels and the distortions common.

    Examples
    --------
    >>> glyphs = make_glyphs(np.random.default_rng(0), 100)
    >>> glyphs
    Dataset(glyphs: x (100, 1, 28, 28) float32, y (100,) int64, 10 classes)
    >>> x, y = make_glyphs(np.random.default_rng(0), 6, characters="xyz", size=16)
    >>> x.shape, sorted(y.tolist())
    ((6, 1, 16, 16), [0, 0, 1, 1, 2, 2])
    """
    caller = "make_glyphs"
    check_start(caller, rng, n)
    characters = _check_characters(caller, characters)
    check_count(caller, "size", size, minimum=8)
    check_number(caller, "rotation", rotation, low=0, high=180)
    check_number(caller, "shift", shift, low=0, high=size / 2)
    check_number(caller, "scale", scale, low=0, below=1)
    check_number(caller, "noise", noise, low=0)
    kind = check_dtype(caller, dtype, ("float32", "float64"))
    choices = [_fonts_for(caller, character, fonts) for character in characters]

    y = balanced_labels(rng, n, len(characters))
    # All of a distortion's numbers are drawn whatever its strength: turning one off changes
    # nothing else.
    pick, angle, right, down, growth = rng.uniform(-1, 1, size=(5, n))
    rasters, which = _rasters(caller, characters, choices, y, (pick + 1) / 2, size)
    x = np.empty((n, size * size), dtype=np.float32)
    turn, move = np.deg2rad(rotation) * angle, shift * np.stack([right, down], axis=1)
    factor = 1 + scale * growth
    for start in range(0, n, _BATCH):
        rows = slice(start, start + _BATCH)
        _warp(rasters, which[rows], size, turn[rows], move[rows], factor[rows], out=x[rows])
        if noise:
            x[rows] += noise * rng.standard_normal(x[rows].shape, dtype=np.float32)
            np.clip(x[rows], 0, 1, out=x[rows])
    images = x.reshape(n, 1, size, size).astype(kind, copy=False)
    return Dataset(
        "glyphs",
        images,
        y,
        (),
        tuple(characters),
        f"Typeset characters, {size} x {size} pixels, from the typefaces that matplotlib ships, "
        f"turned by up to {rotation:g} degrees, moved by up to {shift:g} pixels, scaled by up to "
        f"{100 * scale:g} per cent, with noise of standard deviation {noise:g}.",
        images,
    )


def _check_characters(caller: str, characters: Any) -> str:
    if not isinstance(characters, str):
        raise DtypeError(
            f"{caller}: characters must be a string, got {type(characters).__name__}. "
            'Join them: "".join(characters).'
        )
    blank = [c for c in characters if c.isspace() or not c.isprintable()]
    if not characters or blank:
        raise ValueError(
            f"{caller}: characters must hold at least one character and no blanks, got "
            f"{characters!r}. Each character is a class, and a blank leaves no ink."
        )
    twice = sorted({c for c in characters if characters.count(c) > 1})
    if twice:
        raise ValueError(
            f"{caller}: characters must not repeat, got {characters!r} with {twice[0]!r} twice. "
            "Each character is one class."
        )
    return characters


def _fonts_for(caller: str, character: str, fonts: Any) -> tuple[str, ...]:
    """Return the typefaces to draw a character with; raise ValueError if there are none."""
    if isinstance(fonts, str):
        raise DtypeError(
            f"{caller}: fonts must be a list of names, got the string {fonts!r}. "
            f"Put it in brackets: [{fonts!r}]."
        )
    names = tuple(FONT_FILES) if fonts is None else tuple(fonts)
    for name in names:
        check_choice(caller, "each of fonts", name, tuple(FONT_FILES))
    found = fonts_with(caller, character, names)
    if not found:
        asked = "no typeface that matplotlib ships has" if fonts is None else "none of fonts has"
        raise ValueError(
            f"{caller}: characters must exist in a typeface, got {character!r}, which {asked}. "
            f"glyph_fonts({character!r}) lists the typefaces that have it."
        )
    return found


def _rasters(
    caller: str,
    characters: str,
    choices: list[tuple[str, ...]],
    y: NDArray[np.int64],
    pick: NDArray[np.float64],
    size: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw the glyphs that occur: rasters (g, s, s) and which of them each example shows (n,).

    `pick` in [0, 1) chooses among the typefaces that have the example's character.
    """
    first = np.cumsum([0, *(len(names) for names in choices)])
    counts = np.diff(first)
    wanted = first[y] + np.minimum((pick * counts[y]).astype(np.int64), counts[y] - 1)
    used, which = np.unique(wanted, return_inverse=True)
    pairs = [(name, c) for c, names in zip(characters, choices, strict=True) for name in names]
    rasters = [glyph_raster(caller, *pairs[index], size) for index in used]
    return np.stack(rasters), which


def _warp(
    rasters: NDArray[np.float32],
    which: NDArray[np.int64],
    size: int,
    turn: NDArray[np.float64],
    move: NDArray[np.float64],
    factor: NDArray[np.float64],
    *,
    out: NDArray[np.float32],
) -> None:
    """Resample ``rasters[which]`` (m, s, s) into `out` (m, size * size), bilinearly.

    All pixels of all images of the batch are looked up at once. A place outside its raster is
    moved to the raster's border, which is empty.
    """
    side = rasters.shape[1]
    offsets = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    across = np.tile(offsets, size) - move[:, :1].astype(np.float32)  # (m, size * size)
    down = np.repeat(offsets, size) - move[:, 1:].astype(np.float32)
    cosine = (FINER * np.cos(turn) / factor).astype(np.float32)[:, None]
    sine = (FINER * np.sin(turn) / factor).astype(np.float32)[:, None]
    middle = np.float32((side - 1) / 2)
    # Rows are counted downwards, so this turns counter-clockwise for a positive angle.
    column = np.clip(cosine * across - sine * down + middle, 0, side - 1)
    row = np.clip(sine * across + cosine * down + middle, 0, side - 1)
    left = np.minimum(column.astype(np.intp), side - 2)
    top = np.minimum(row.astype(np.intp), side - 2)
    column -= left
    row -= top
    corner = top
    corner *= side
    corner += left
    corner += which[:, None] * (side * side)
    flat = rasters.reshape(-1)
    upper = flat[corner]
    upper += column * (flat[corner + 1] - upper)
    corner += side
    lower = flat[corner]
    lower += column * (flat[corner + 1] - lower)
    lower -= upper
    lower *= row
    np.add(upper, lower, out=out)
