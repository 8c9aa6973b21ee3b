"""Generated scenes: grey images with discs, squares and triangles, their boxes and their masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnlib.data._checks import check_dtype, check_start
from nnlib.errors import check_count, check_number

#: What there is to find, in the order of the labels; in a mask class k is written as k + 1.
SHAPE_KINDS = ("disc", "square", "triangle")
_ATTEMPTS = 20
_LARGEST_OVERLAP = 0.1  # intersection over union of two boxes of a scene


@dataclass(frozen=True, eq=False, repr=False)
class Scenes:
    """Images with everything that is in them.

    Attributes
    ----------
    x : ndarray (n, 1, size, size)
        Grey images, about 0 to 1.
    boxes : list of n ndarrays (m, 4) of the dtype of x
        ``(x1, y1, x2, y2)`` of each object, in pixels: pixel k reaches from k to k + 1.
    labels : list of n int64 ndarrays (m,)
        ``SHAPE_KINDS[label]``.
    masks : int64 ndarray (n, size, size)
        0 for the ground, label + 1 for a pixel of an object.
    """

    x: NDArray[Any]
    boxes: list[NDArray[Any]]
    labels: list[NDArray[np.int64]]
    masks: NDArray[np.int64]

    def __repr__(self) -> str:
        objects = sum(map(len, self.labels))
        return f"Scenes(x {self.x.shape} {self.x.dtype}, {objects} objects)"


def make_scenes(
    rng: np.random.Generator,
    n: int,
    *,
    size: int = 32,
    most: int = 3,
    noise: float = 0.1,
    dtype: DTypeLike = np.float32,
) -> Scenes:
    """Draw scenes with 1 to ``most`` discs, squares and triangles, of any place, size and grey.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Number of scenes.
    size : int
        Height and width in pixels, at least 16.
    most : int
        Objects in a scene: a number from 1 to this, all equally likely. Where there is no room
        (two boxes may overlap with an IoU of 0.1 at most), there are fewer.
    noise : float
        Standard deviation of the noise of each pixel.
    dtype : {numpy.float32, numpy.float64}

    Returns
    -------
    Scenes

    Raises
    ------
    DtypeError, ValueError
        If an argument has the wrong type or range.

    Notes
    -----
    An object is 7 pixels to 0.45 `size` wide and at least 0.25 brighter or darker than the ground,
    whose grey slopes. A later object covers an earlier one. Boxes enclose the object's outline,
    covered or not.

    Examples
    --------
    >>> scenes = make_scenes(np.random.default_rng(0), 5)
    >>> scenes.x.shape, scenes.masks.shape, scenes.boxes[0].shape[1], len(scenes.labels)
    ((5, 1, 32, 32), (5, 32, 32), 4, 5)
    """
    caller = "make_scenes"
    check_start(caller, rng, n)
    check_count(caller, "size", size, minimum=16)
    check_count(caller, "most", most, minimum=1)
    check_number(caller, "noise", noise, low=0)
    kind = check_dtype(caller, dtype, ("float32", "float64"))
    row, column = np.mgrid[:size, :size] + 0.5  # the middles of the pixels
    x = np.empty((n, 1, size, size), dtype=kind)
    masks = np.zeros((n, size, size), dtype=np.int64)
    boxes, labels = [], []
    for index in range(n):
        ground = rng.uniform(0.3, 0.7)
        slope = rng.uniform(-0.15, 0.15, size=2)
        image = ground + slope[0] * (row / size - 0.5) + slope[1] * (column / size - 0.5)
        own = _places(rng, size, int(rng.integers(1, most + 1)))
        kinds = rng.integers(len(SHAPE_KINDS), size=len(own))
        for box, label in zip(own, kinds, strict=True):
            inside = _inside(SHAPE_KINDS[label], box, row, column)
            image[inside] = ground + rng.choice([-1, 1]) * rng.uniform(0.25, 0.45)
            masks[index][inside] = label + 1
        x[index, 0] = image + noise * rng.standard_normal(image.shape)
        boxes.append(own.astype(kind))
        labels.append(kinds.astype(np.int64))
    return Scenes(x, boxes, labels, masks)


def _places(rng: np.random.Generator, size: int, count: int) -> NDArray[np.float64]:
    """Draw boxes (m, 4), m <= count, of which no two overlap much."""
    kept: list[NDArray[np.float64]] = []
    for _ in range(count):
        for _attempt in range(_ATTEMPTS):
            side = rng.uniform(7, 0.45 * size)
            corner = rng.uniform(0, size - side, size=2)
            box = np.concatenate([corner, corner + side])
            if all(_overlap(box, other) <= _LARGEST_OVERLAP for other in kept):
                kept.append(box)
                break
    return np.stack(kept)


def _overlap(box: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    both = float(np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2]))
    return shared / (both - shared)


def _inside(
    shape: str, box: NDArray[np.float64], row: NDArray[np.float64], column: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which pixels have their middle in the shape that fills a square box."""
    left, top, right, bottom = box
    if shape == "disc":
        centre, radius = ((left + right) / 2, (top + bottom) / 2), (right - left) / 2
        found = (column - centre[0]) ** 2 + (row - centre[1]) ** 2 <= radius**2
    else:
        found = (column >= left) & (column <= right) & (row >= top) & (row <= bottom)
    if shape == "triangle":
        # Point upwards: at height h above the base only the middle (1 - h) of the width is left.
        share = (row - top) / (bottom - top)
        found &= abs(column - (left + right) / 2) <= share * (right - left) / 2
    return np.asarray(found)
