"""Judging random shifts, where many answers are right, and blending examples.

A shift is right if every image is *some* allowed shift of its own input, and if over many images
all allowed distances occur. So the shifts are read off the result instead of being compared.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnlib.checks.compare import Difference, compare
from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.judges import judge
from nnlib.checks.tracks import to_track
from nnlib.contract import Case, Rng

Array = np.ndarray
#: From so many images on, every distance must have occurred.
MANY = 100


@driver("random_shift_by_seed")
def random_shift_by_seed(implementation: Any, case: Case, track: str) -> Trial:
    """Shift with one seed, with the same seed again, and with another; the output is all three."""
    found: list[Any] = []
    modified: list[str] = []
    for more in (0, 0, 1):
        options = to_track(
            {**case.options, "rng": Rng(case.options["rng"].seed + more)}, track)
        trial = guarded(implementation, to_track(tuple(case.args), track), options)
        if trial.error is not None:
            return trial
        found.append(trial.outputs[0])
        modified += trial.modified
    return Trial(outputs=(tuple(found),), modified=tuple(modified))


@judge("moved by seed", free_form=True)
def moved_by_seed(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """Same seed, same shifts; another seed, others."""
    first, same, other = got
    if not all(isinstance(images, Array) and images.shape == np.shape(first) for images in got):
        return Difference("type", "expected an array")
    if not np.array_equal(first, same):
        return Difference("not repeatable", "the same seed must give the same shifts: draw from "
                                            "the generator that is passed in, and from no other")
    if np.array_equal(first, other):
        return Difference("fixed", "another seed must give other shifts: draw from the generator")
    return None


@judge("shifted", free_form=True)
def shifted(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """Each image moved by itself, zeros coming in, all distances up to the largest."""
    images, reach = np.asarray(case.args[0]), int(case.options["max_shift"])
    if not isinstance(got, Array) or got.shape != images.shape:
        return compare(got, images) or Difference("type", "expected an array")
    found = _distances(got, images, reach + 2, _moved)
    if found is None:
        return _no_shift(got, images, reach)
    if abs(found).max() > reach:
        return Difference("too far", f"an image moved by {abs(found).max()}, "
                                     f"allowed are at most {reach}")
    return _draws(found, reach) if len(images) >= MANY else None


def _draws(found: Array, reach: int) -> Difference | None:
    """Judge the distances (n, 2) of many images."""
    if (found == found[0]).all():
        return Difference("together", "all images of the batch moved alike: each has its own draw")
    for axis, name in enumerate(("down or up", "right or left")):
        if not found[:, axis].any():
            return Difference(f"axis {axis}", f"no image moved {name}")
    if (found[:, 0] == found[:, 1]).all():
        return Difference("tied", "down and right are always equal: they are two draws")
    low, high = found.min(axis=0), found.max(axis=0)
    if (low == 0).all() or (high == 0).all():
        return Difference("one side", "images move to one side only: distances lie from "
                                      f"{-reach} to {reach}")
    if (low > -reach).any() or (high < reach).any():
        return Difference("ends", f"among {len(found)} images the distances lie from {low.min()} "
                                  f"to {high.max()}, expected {-reach} to {reach}")
    share = 1 / (2 * reach + 1)
    counts = np.array([(found == distance).sum(axis=0) for distance in range(-reach, reach + 1)])
    spread = np.sqrt(len(found) * share * (1 - share))
    if (abs(counts - share * len(found)) > 6 * spread).any():
        return Difference("uneven", "some distances are drawn far more often than others")
    return None


def _no_shift(got: Array, images: Array, reach: int) -> Difference:
    """Say what else than a shift with zeros happened."""
    rolled = _distances(got, images, reach, lambda x, down, right: np.roll(
        x, (down, right), axis=(2, 3)))
    if rolled is not None:
        return Difference("wrapped", "what leaves an image on one side comes in on the other; "
                                     "zeros must come in")
    apart = [_distances(got[:, [c]], images[:, [c]], reach, _moved)
             for c in range(images.shape[1])]
    if len(apart) > 1 and all(distances is not None for distances in apart):
        return Difference("channels apart", "the channels of an image must move together")
    return Difference("values", "an image is no shifted copy of its input, with zeros where "
                                "nothing came in")


def _moved(images: Array, down: int, right: int) -> Array:
    h, w = images.shape[2:]
    result = np.zeros_like(images)
    if abs(down) < h and abs(right) < w:
        result[:, :, max(down, 0) : h + min(down, 0), max(right, 0) : w + min(right, 0)] = images[
            :, :, max(-down, 0) : h - max(down, 0), max(-right, 0) : w - max(right, 0)]
    return result


def _distances(got: Array, images: Array, reach: int, move: Callable[[Array, int, int], Array]
               ) -> Array | None:
    """Find the shift (n, 2) of every image, or None where some image is no shift of its input."""
    found = np.full((len(images), 2), reach + 1)
    left = np.ones(len(images), dtype=bool)
    # Near distances first: an image that left the frame fits several far ones.
    places = [(d, r) for d in range(-reach, reach + 1) for r in range(-reach, reach + 1)]
    for down, right in sorted(places, key=lambda place: max(map(abs, place))):
        same = left & np.isclose(got, move(images, down, right)).all(axis=(1, 2, 3))
        found[same] = down, right
        left &= ~same
        if not left.any():
            return found
    return None if left.any() else found
