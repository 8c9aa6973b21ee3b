"""Typeset glyphs: what is drawn, what each distortion does, and that the seed decides all."""

from __future__ import annotations

import string
import subprocess
import sys
import time

import numpy as np
import pytest

from nnlib import data
from nnlib.data import glyphs, typefaces
from nnlib.data.typefaces import FONT_FILES, glyph_raster
from nnlib.errors import DtypeError

STILL = {"rotation": 0.0, "shift": 0.0, "scale": 0.0, "noise": 0.0}
PRINTABLE = string.digits + string.ascii_letters + string.punctuation


def rng(seed=0):
    return np.random.default_rng(seed)


def centre(images):
    """Centre of the ink of each image (n, 2): right, down, from the middle, in pixels."""
    ink = images[:, 0].astype(np.float64)
    offsets = np.arange(ink.shape[1]) - (ink.shape[1] - 1) / 2
    total = ink.sum(axis=(1, 2))
    return np.stack([ink.sum(axis=1) @ offsets, ink.sum(axis=2) @ offsets], axis=1) / total[:, None]


def spread(images):
    """Mean distance of the ink from its centre, for each image (n,)."""
    ink = images[:, 0].astype(np.float64)
    offsets = np.arange(ink.shape[1]) - (ink.shape[1] - 1) / 2
    middle = centre(images)
    across = (offsets[None, :] - middle[:, :1])[:, None, :]
    down = (offsets[None, :] - middle[:, 1:])[:, :, None]
    return (ink * np.hypot(across, down)).sum(axis=(1, 2)) / ink.sum(axis=(1, 2))


def test_shapes_ranges_and_names():
    glyphs = data.make_glyphs(rng(), 64)
    assert glyphs.x.shape == (64, 1, 28, 28)
    assert glyphs.x.dtype == np.float32
    assert glyphs.x.flags.c_contiguous
    assert glyphs.images is glyphs.x
    assert (glyphs.x.min(), glyphs.x.max()) == (0, 1)
    assert glyphs.y.shape == (64,)
    assert glyphs.y.dtype == np.int64
    assert glyphs.class_names == tuple("0123456789")
    counts = np.bincount(glyphs.y)
    assert counts.max() - counts.min() == 1
    assert (np.diff(glyphs.y) < 0).any()
    x, y = glyphs
    assert x is glyphs.x
    assert y is glyphs.y


def test_no_two_images_are_alike():
    x, _ = data.make_glyphs(rng(), 1000, noise=0.0)
    assert len(np.unique(x.reshape(1000, -1), axis=0)) == 1000
    assert 0.08 < x.mean() < 0.25
    assert (x.std(axis=0) > 0.1).mean() > 0.3


@pytest.mark.parametrize("n", [1, 300])
def test_same_seed_same_bytes_other_seed_other_bytes(n):
    first, again, other = (data.make_glyphs(rng(seed), n) for seed in (5, 5, 6))
    assert first.x.tobytes() == again.x.tobytes()
    assert first.y.tobytes() == again.y.tobytes()
    assert first.x.tobytes() != other.x.tobytes()


def test_same_bytes_in_another_process():
    code = (
        "import hashlib, numpy as np; from nnlib import data; "
        "x, y = data.make_glyphs(np.random.default_rng(3), 50); "
        "print(hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
        )
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.strip()) == 64


def test_ten_thousand_in_seconds():
    start = time.process_time()
    x, _ = data.make_glyphs(rng(), 10_000)
    assert time.process_time() - start < 10
    assert len(x) == 10_000


def test_float64_holds_the_same_numbers():
    single, double = (data.make_glyphs(rng(), 20, dtype=kind).x for kind in ("float32", "float64"))
    assert double.dtype == np.float64
    assert np.array_equal(single, double)


def test_undistorted_glyphs_repeat_and_lie_in_the_middle():
    glyphs = data.make_glyphs(rng(), 400, fonts=["DejaVu Sans"], **STILL)
    assert len(np.unique(glyphs.x.reshape(400, -1), axis=0)) == 10
    rows, columns = (glyphs.x[:, 0] > 0.2).any(axis=2), (glyphs.x[:, 0] > 0.2).any(axis=1)
    for lines in (rows, columns):
        first, last = lines.argmax(axis=1), 27 - lines[:, ::-1].argmax(axis=1)
        assert (abs(first + last - 27) <= 1).all()
    height = rows.sum(axis=1)
    assert 18 <= height.min() <= height.max() <= 20


def test_a_distortion_of_zero_leaves_the_others_as_they_were():
    every = {"rotation": 20.0, "shift": 3.0, "scale": 0.2, "noise": 0.0}
    x, _ = data.make_glyphs(rng(), 200, **every)
    still, _ = data.make_glyphs(rng(), 200, **(every | {"shift": 0.0}))
    # Undo the shift: the ink's centre moves, its extent does not.
    moved = centre(x) - centre(still)
    assert abs(moved).max() == pytest.approx(3.0, abs=0.15)
    assert np.allclose(spread(x), spread(still), atol=0.15)


def test_shift_moves_by_whole_pixels_of_the_image():
    plain, _ = data.make_glyphs(rng(), 500, **STILL)
    moved, _ = data.make_glyphs(rng(), 500, **(STILL | {"shift": 3.0}))
    way = centre(moved) - centre(plain)
    assert np.allclose(way.mean(axis=0), 0, atol=0.3)
    assert np.allclose(way.std(axis=0), 3 / np.sqrt(3), atol=0.15)
    assert abs(way).max() <= 3.05


def test_scale_changes_the_size():
    plain, _ = data.make_glyphs(rng(), 500, **STILL)
    scaled, _ = data.make_glyphs(rng(), 500, **(STILL | {"scale": 0.25}))
    ratio = spread(scaled) / spread(plain)
    assert 0.72 < ratio.min() < 0.8
    assert 1.2 < ratio.max() < 1.28


def test_rotation_turns_counter_clockwise_and_both_ways():
    bar = {"characters": "|", "fonts": ["DejaVu Sans"]}
    x, _ = data.make_glyphs(rng(), 300, **bar, **(STILL | {"rotation": 40.0}))
    ink = x[:, 0].astype(np.float64)
    offsets = np.arange(28) - 13.5
    mixed = np.einsum("nij,i,j->n", ink, -offsets, offsets)  # up times right
    upright = np.einsum("nij,i->n", ink, offsets**2)
    across = np.einsum("nij,j->n", ink, offsets**2)
    # The angle of the main axis from the vertical: positive to the left is counter-clockwise.
    angle = np.rad2deg(0.5 * np.arctan2(-2 * mixed, upright - across))
    assert angle.max() == pytest.approx(40, abs=1.5)
    assert angle.min() == pytest.approx(-40, abs=1.5)
    drawn = rng()
    drawn.permutation(300)
    expected = 40 * drawn.uniform(-1, 1, size=(5, 300))[1]
    assert np.allclose(angle, expected, atol=1.0)


def test_no_rotation_beyond_half_a_turn_and_a_half_turn_is_one():
    x, _ = data.make_glyphs(rng(), 60, characters="8", **(STILL | {"rotation": 180.0}))
    assert x.max() > 0.9
    with pytest.raises(ValueError, match="rotation must be a finite number >= 0 and <= 180"):
        data.make_glyphs(rng(), 1, rotation=181)


def test_resampling_is_bilinear():
    rasters = rng().uniform(size=(2, 18, 18)).astype(np.float32)
    rasters[:, [0, -1]] = rasters[:, :, [0, -1]] = 0
    turn, factor = np.array([0.3, -2.0, 0.0]), np.array([1.1, 0.8, 0.4])
    move = np.array([[1.5, -0.5], [0.2, 2.0], [0.0, 0.0]])
    which, out = np.array([1, 0, 1]), np.empty((3, 64), dtype=np.float32)
    glyphs._warp(rasters, which, 8, turn, move, factor, out=out)
    for i in range(3):
        back = np.array([[np.cos(turn[i]), -np.sin(turn[i])], [np.sin(turn[i]), np.cos(turn[i])]])
        for at in range(64):
            place = np.array([at % 8 - 3.5, at // 8 - 3.5]) - move[i]
            column, row = np.clip(2 * back @ place / factor[i] + 8.5, 0, 17)
            # Each raster pixel counts by its distance, in both directions.
            weights = np.clip(1 - abs(row - np.arange(18)), 0, 1)[:, None] * np.clip(
                1 - abs(column - np.arange(18)), 0, 1
            )
            assert out[i, at] == pytest.approx((weights * rasters[which[i]]).sum(), abs=2e-5)


def test_noise_has_its_strength():
    plain, _ = data.make_glyphs(rng(), 300, **STILL)
    noisy, _ = data.make_glyphs(rng(), 300, **(STILL | {"noise": 0.1}))
    grey = (plain > 0.4) & (plain < 0.6)
    assert np.std(noisy[grey] - plain[grey]) == pytest.approx(0.1, rel=0.05)
    assert 0.4 < (noisy[plain == 0] > 0).mean() < 0.6


def test_the_typefaces_all_occur_and_differ():
    assert len(data.glyph_fonts()) == len(FONT_FILES) == 20
    pictures = {
        name: data.make_glyphs(rng(), 1, characters="5", fonts=[name], **STILL).x.tobytes()
        for name in FONT_FILES
    }
    assert len(set(pictures.values())) == 20
    drawn, _ = data.make_glyphs(rng(), 600, characters="5", **STILL)
    assert {image.tobytes() for image in drawn} == set(pictures.values())


def test_only_glyphs_that_a_typeface_has():
    assert "Computer Modern Roman" in data.glyph_fonts("Ab3")
    # The TeX fonts keep other glyphs in the places of these.
    assert not [name for name in data.glyph_fonts("<") if name.startswith("Computer")]
    assert data.glyph_fonts("ж√")
    glyphs = data.make_glyphs(rng(), 40, characters="aж", fonts=["STIX", "Computer Modern Roman"])
    assert np.bincount(glyphs.y).tolist() == [20, 20]
    assert data.glyph_fonts("中") == ()
    with pytest.raises(ValueError, match=r"characters must exist in a typeface, got '中'"):
        data.make_glyphs(rng(), 1, characters="中")
    with pytest.raises(ValueError, match=r"got 'ж', which none of fonts has. glyph_fonts\('ж'\)"):
        data.make_glyphs(rng(), 1, characters="ж", fonts=["Computer Modern Roman"])


@pytest.mark.parametrize("size", [8, 28, 61])
def test_every_character_of_every_typeface_fits(size):
    for character in PRINTABLE + "Œ∑ШÅ":
        for name in data.glyph_fonts(character):
            raster = glyph_raster("test", name, character, size)
            assert raster.shape == (2 * size + 2,) * 2
            assert 0 <= raster.min() < 0.01
            assert raster.max() <= 1
            assert raster.sum() > (0.3 if character in "-.,'`_:;~^\"*" else 0.02 * size**2)
            border = np.ones_like(raster, dtype=bool)
            ring = 2 if size > 8 else 1
            border[ring:-ring, ring:-ring] = False
            assert raster[border].max() == 0
            assert not raster.flags.writeable


def test_sizes_and_heights_tell_characters_apart():
    def rows(character):
        return np.flatnonzero(glyph_raster("test", "DejaVu Sans", character, 28).max(axis=1) > 0.3)

    assert len(rows("o")) < 0.85 * len(rows("O"))
    assert rows("'").max() < rows(",").min()
    assert rows("p").max() > rows("o").max()


@pytest.mark.parametrize("size", [8, 32])
def test_other_sizes(size):
    x, y = data.make_glyphs(rng(), 50, size=size, characters="OI", noise=0.0, shift=1)
    assert x.shape == (50, 1, size, size)
    middle = x[:, 0, size // 2 - 1 : size // 2 + 1, size // 2 - 1 : size // 2 + 1].mean(axis=(1, 2))
    assert middle[y == 1].mean() > middle[y == 0].mean() + 0.15


def test_neighbours_can_tell_the_digits_apart():
    train, test = data.make_glyphs(rng(0), 3000), data.make_glyphs(rng(1), 300)
    a, b = test.x.reshape(300, -1), train.x.reshape(3000, -1)
    nearest = (np.square(b).sum(axis=1) - 2 * a @ b.T).argmin(axis=1)
    accuracy = (train.y[nearest] == test.y).mean()
    assert accuracy > 0.9


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"characters": ""}, ValueError, "characters must hold at least one character"),
        ({"characters": "a b"}, ValueError, "characters must hold .* no blanks, got 'a b'"),
        ({"characters": "\u200b"}, ValueError, "characters must hold .* no blanks"),
        ({"characters": "\u2800"}, ValueError, "characters must leave ink on the paper, got"),
        ({"characters": "abca"}, ValueError, "characters must not repeat, got 'abca' with 'a'"),
        ({"characters": ["a"]}, DtypeError, "characters must be a string, got list"),
        ({"size": 7}, ValueError, "size must be an integer >= 8, got 7"),
        ({"rotation": -1}, ValueError, "rotation must be a finite number >= 0 and <= 180, got -1"),
        ({"shift": 15}, ValueError, "shift must be a finite number >= 0 and <= 14, got 15"),
        ({"scale": 1.0}, ValueError, "scale must be a finite number >= 0 and < 1, got 1.0"),
        ({"noise": np.nan}, ValueError, "noise must be a finite number >= 0, got nan"),
        ({"noise": "much"}, DtypeError, "noise must be a finite number >= 0, got 'much'"),
        ({"fonts": "STIX"}, DtypeError, r"fonts must be a list of names, got the string 'STIX'"),
        ({"fonts": ["Arial"]}, ValueError, "each of fonts must be 'DejaVu Sans', .* got 'Arial'"),
        ({"dtype": np.int64}, DtypeError, "dtype must be float32 or float64, got .*int64"),
        ({"dtype": "nonsense"}, DtypeError, "dtype must be float32 or float64, got 'nonsense'"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=f"make_glyphs: {message}"):
        data.make_glyphs(rng(), 4, **options)


def test_rng_and_n_are_checked():
    with pytest.raises(DtypeError, match=r"make_glyphs: rng must be a numpy.random.Generator"):
        data.make_glyphs(0, 4)
    with pytest.raises(ValueError, match="make_glyphs: n must be an integer >= 1, got 0"):
        data.make_glyphs(rng(), 0)


def test_missing_matplotlib_says_how_to_get_it():
    code = (
        "import sys; sys.modules['matplotlib'] = None; import numpy as np; import nnlib.data as d; "
        "d.make_glyphs(np.random.default_rng(0), 1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 1
    assert "make_glyphs: matplotlib must be installed" in done.stderr
    assert 'pip install "nncourse[viz]"' in done.stderr


def test_a_missing_font_file_is_left_out(monkeypatch):
    typefaces._code_points.cache_clear()
    monkeypatch.setitem(FONT_FILES, "STIX", "absent.ttf")
    assert "STIX" not in data.glyph_fonts()
    assert len(data.glyph_fonts()) == 19
    typefaces._code_points.cache_clear()
