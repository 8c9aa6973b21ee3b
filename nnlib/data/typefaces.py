"""The typefaces of `make_glyphs`, and how a character of one becomes a small grey raster.

matplotlib ships these fonts inside its package, so they are on every machine that draws the
figures of the course. It is imported when a glyph is drawn, not before.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Name of each typeface and its file in matplotlib's font folder.
FONT_FILES = {
    "DejaVu Sans": "DejaVuSans.ttf",
    "DejaVu Sans Bold": "DejaVuSans-Bold.ttf",
    "DejaVu Sans Oblique": "DejaVuSans-Oblique.ttf",
    "DejaVu Sans Bold Oblique": "DejaVuSans-BoldOblique.ttf",
    "DejaVu Sans Mono": "DejaVuSansMono.ttf",
    "DejaVu Sans Mono Bold": "DejaVuSansMono-Bold.ttf",
    "DejaVu Sans Mono Oblique": "DejaVuSansMono-Oblique.ttf",
    "DejaVu Sans Mono Bold Oblique": "DejaVuSansMono-BoldOblique.ttf",
    "DejaVu Serif": "DejaVuSerif.ttf",
    "DejaVu Serif Bold": "DejaVuSerif-Bold.ttf",
    "DejaVu Serif Italic": "DejaVuSerif-Italic.ttf",
    "DejaVu Serif Bold Italic": "DejaVuSerif-BoldItalic.ttf",
    "STIX": "STIXGeneral.ttf",
    "STIX Bold": "STIXGeneralBol.ttf",
    "STIX Italic": "STIXGeneralItalic.ttf",
    "STIX Bold Italic": "STIXGeneralBolIta.ttf",
    "Computer Modern Roman": "cmr10.ttf",
    "Computer Modern Bold": "cmb10.ttf",
    "Computer Modern Sans": "cmss10.ttf",
    "Computer Modern Typewriter": "cmtt10.ttf",
}

#: Height of the capital H, and the part of the frame that holds all ink.
CAP_HEIGHT = 0.66
LARGEST = 0.92
#: Pixels of the raster per pixel of the image, so that the distortion samples a finer picture.
FINER = 2
#: Pixels of the first drawing per pixel of the raster, along each axis.
OVERSAMPLING = 4


def fonts_with(caller: str, character: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the named typefaces that are installed and really have the character.

    Parameters
    ----------
    caller : str
        Named in the error if matplotlib is missing.
    character : str
        One character.
    names : tuple of str
        Keys of `FONT_FILES`.

    Examples
    --------
    >>> fonts_with("make_glyphs", "ж", ("DejaVu Sans", "Computer Modern Roman"))
    ('DejaVu Sans',)
    """
    return tuple(name for name in names if ord(character) in _code_points(caller, name))


@functools.lru_cache(maxsize=8192)
def glyph_raster(caller: str, name: str, character: str, size: int) -> NDArray[np.float32]:
    """Draw one glyph upright and centred, `FINER` times finer than an image of `size` pixels.

    Parameters
    ----------
    caller : str
    name : str
        A key of `FONT_FILES` whose typeface has the character.
    character : str
    size : int
        Side of the image in pixels.

    Returns
    -------
    ndarray of float32, shape (FINER * size + 2, FINER * size + 2)
        Ink from 0 to 1 with an empty border one pixel wide. Kept in memory, and read-only.

    Notes
    -----
    Glyphs keep their size relative to the capital H of their typeface, and their height above
    the line of writing: "o" is smaller than "O", and "'" stands higher than ",". Horizontally
    the ink is centred. What would not fit into the frame is moved up or made smaller.

    Examples
    --------
    >>> raster = glyph_raster("make_glyphs", "STIX", "8", 28)
    >>> raster.shape, bool(raster.max() > 0.9), float(raster[0].max())
    ((58, 58), True, 0.0)
    """
    fine = FINER * OVERSAMPLING * size  # side of the frame in pixels of the first drawing
    pixels = CAP_HEIGHT * fine / _cap_height(caller, name)
    ink, rise = _draw(caller, name, character, pixels)
    largest = int(LARGEST * fine)
    if max(ink.shape) > largest:
        ink, rise = _draw(caller, name, character, pixels * largest / (max(ink.shape) + 2))
    height, width = ink.shape
    # The middle of a capital lies in the middle of the frame. What hangs below its edge, as the
    # tail of "p" does, is pulled up.
    margin = (fine - largest) // 2
    top = round(fine / 2 + CAP_HEIGHT * fine / 2 - rise)
    top = min(max(top, margin), fine - margin - height)
    left = (fine - width) // 2
    frame = np.zeros((fine, fine), dtype=np.float32)
    frame[top : top + height, left : left + width] = ink
    side = FINER * size
    raster = frame.reshape(side, OVERSAMPLING, side, OVERSAMPLING).mean(axis=(1, 3))
    raster = _soften(np.pad(raster, 1))
    raster[[0, -1]] = 0
    raster[:, [0, -1]] = 0
    raster.flags.writeable = False
    return raster


def _soften(x: NDArray[Any]) -> NDArray[Any]:
    """Blur by [1, 2, 1] / 4 along both axes.

    A pixel of the image covers `FINER` pixels of the raster. Without the blur, edges between
    the sampled points would appear and vanish at random: aliasing.
    """
    for axis in (0, 1):
        x = (np.roll(x, 1, axis) + 2 * x + np.roll(x, -1, axis)) / 4
    return x


def _draw(caller: str, name: str, character: str, pixels: float) -> tuple[NDArray[Any], float]:
    """Draw a character at `pixels` per em: its ink in [0, 1], and its rise.

    The rise is the height of the ink's upper edge above the line of writing.
    """
    font = _open(caller, name)
    font.set_size(pixels, 72)
    font.set_text(character, 0.0)
    font.draw_glyphs_to_bitmap(antialiased=True)
    ink = np.asarray(font.get_image(), dtype=np.float32) / 255
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if rows.size == 0:
        raise ValueError(
            f"{caller}: characters must leave ink on the paper, got {character!r}, which is "
            f"blank in {name}. Leave it out."
        )
    rise = ink.shape[0] - font.get_descent() / 64 - rows[0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], rise


@functools.cache
def _cap_height(caller: str, name: str) -> float:
    """Height of the capital H as a part of the em."""
    ink, _ = _draw(caller, name, "H", 400.0)
    return ink.shape[0] / 400.0


@functools.cache
def _code_points(caller: str, name: str) -> frozenset[int]:
    """Unicode code points that the typeface has glyphs for; none if its file is missing."""
    if not _path(caller, name).is_file():
        return frozenset()
    points = frozenset(_open(caller, name).get_charmap())
    if FONT_FILES[name].startswith("cm"):
        # Fonts made for TeX: outside letters and digits, their slots hold other glyphs than
        # the code point says ("<" shows an inverted exclamation mark).
        points = frozenset(p for p in points if p < 128 and chr(p).isalnum())
    return points


def _open(caller: str, name: str) -> Any:
    # Opened anew each time (0.1 ms): a font object carries the state of its last drawing.
    _matplotlib(caller)
    return importlib.import_module("matplotlib.ft2font").FT2Font(str(_path(caller, name)))


def _path(caller: str, name: str) -> Path:
    return Path(_matplotlib(caller).get_data_path(), "fonts", "ttf", FONT_FILES[name])


def _matplotlib(caller: str) -> Any:
    try:
        return importlib.import_module("matplotlib")
    except ImportError as error:
        raise ImportError(
            f"{caller}: matplotlib must be installed, it ships the fonts, but importing it "
            f'failed ({error}). Install it with: pip install "nncourse[viz]"'
        ) from error
