"""What every loader returns: a data set in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A data set in memory. ``x, y = dataset`` unpacks it.

    Attributes
    ----------
    name : str
    x : ndarray, shape (n, d), or (n, c, h, w) for sets of images and spectrograms
        Examples in rows. Tables hold float64 in the units of the source, images float32 in
        [0, 1] unless asked otherwise.
    y : ndarray
        int64 class labels of shape (n,), or float64 targets of shape (n, 1) for regression: the
        shape that a network with one output produces.
    feature_names : tuple of str, length d
        Empty where the features have no names of their own, as for pixels.
    class_names : tuple of str, length c
        ``class_names[y[i]]`` names the class of example i. Empty for regression.
    description : str
        One paragraph: what was measured, where it comes from.
    images : ndarray, shape (n, c, h, w), or None
        The same features as images (NCHW), where the examples are images.

    Examples
    --------
    >>> import numpy as np
    >>> d = Dataset("two", np.zeros((2, 1)), np.array([0, 1]), ("size",), ("no", "yes"), "Made up.")
    >>> d
    Dataset(two: x (2, 1) float64, y (2,) int64, 2 classes)
    >>> x, y = d
    >>> x is d.x, y.tolist()
    (True, [0, 1])
    """

    name: str
    x: NDArray[Any]
    y: NDArray[Any]
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    description: str
    images: NDArray[Any] | None = None

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield x, then y, so that a data set unpacks like the pair of a generator."""
        return iter((self.x, self.y))

    def __repr__(self) -> str:
        kind = f"{len(self.class_names)} classes" if self.class_names else "regression"
        return (
            f"Dataset({self.name}: x {self.x.shape} {self.x.dtype}, "
            f"y {self.y.shape} {self.y.dtype}, {kind})"
        )
