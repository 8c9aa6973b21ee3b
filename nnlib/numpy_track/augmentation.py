"""Data augmentation: changed copies of the training examples, drawn anew for every epoch."""

import numpy as np

from nnlib.errors import (
    DtypeError,
    check_count,
    check_flag,
    check_floats,
    check_indices,
    check_min_axes,
    check_shape,
)
from nnlib.numpy_track._types import Array

__all__ = ["mixup", "random_shift"]


def random_shift(
    images: Array, *, max_shift: int, training: bool, rng: np.random.Generator | None
) -> Array:
    """Move each image by whole pixels, down or up and right or left; zeros come in.

    Parameters
    ----------
    images : array of floats (n, c, h, w)
    max_shift : int
        Both distances are drawn from ``-max_shift, ..., max_shift``, for each image by itself.
        All channels of an image move together.
    training : bool
        False returns ``images`` itself, not a copy.
    rng : numpy.random.Generator
        May be None in evaluation.

    Returns
    -------
    array (n, c, h, w), dtype of ``images``

    Raises
    ------
    ShapeError, DtypeError, ValueError
        If ``images`` is not an array of floats with four axes, ``max_shift`` no integer >= 0, or
        ``rng`` no generator.

    References
    ----------
    Chapter 10, "Regularization".

    Examples
    --------
    >>> images, rng = np.ones((1, 1, 3, 3)), np.random.default_rng(11)
    >>> random_shift(images, max_shift=1, training=True, rng=rng)[0, 0].tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    caller = "random_shift"
    check_floats(caller, images=images)
    check_shape(caller, "images", images, ("n", "c", "h", "w"))
    check_count(caller, "max_shift", max_shift)
    check_flag(caller, "training", training)
    if not training:
        return images
    if not isinstance(rng, np.random.Generator):
        raise DtypeError(
            f"{caller}: rng must be a numpy.random.Generator in training, got "
            f"{type(rng).__name__}. Make one with np.random.default_rng(seed)."
        )
    n, c, h, w = images.shape
    down, right = rng.integers(-max_shift, max_shift + 1, size=(2, n, 1))
    padded = np.pad(images, [(0, 0), (0, 0), (max_shift, max_shift), (max_shift, max_shift)])
    rows = np.arange(h) + max_shift - down  # (n, h): where each row comes from
    columns = np.arange(w) + max_shift - right  # (n, w)
    image, channel = np.arange(n)[:, None, None, None], np.arange(c)[:, None, None]
    shifted: Array = padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
    return shifted


def mixup(x: Array, y: Array, *, shares: Array, partners: Array) -> tuple[Array, Array]:
    """Blend each example, and its target, with another: ``s x_i + (1 - s) x_j``.

    Parameters
    ----------
    x : array of floats (n, ...)
    y : array of floats (n, k)
        Targets: a probability for each class, one-hot at first.
    shares : array of floats (n,)
        How much of itself each example keeps, from 0 to 1.
    partners : array of integers (n,)
        The row that each example is blended with.

    Returns
    -------
    x, y : arrays, shapes as before

    Raises
    ------
    ShapeError, DtypeError, ValueError
        If shapes or types do not fit, or a partner is no row of ``x``.

    References
    ----------
    Chapter 10, "Regularization". H. Zhang, M. Cisse, Y. Dauphin and D. Lopez-Paz, "mixup: Beyond
    empirical risk minimization", ICLR 2018.

    Examples
    --------
    >>> x, y = np.array([[0.0], [10.0]]), np.eye(2)
    >>> blend = mixup(x, y, shares=np.array([0.9, 0.5]), partners=np.array([1, 0]))
    >>> [part.round(3).tolist() for part in blend]
    [[[1.0], [5.0]], [[0.9, 0.1], [0.5, 0.5]]]
    """
    caller = "mixup"
    check_floats(caller, x=x, y=y, shares=shares)
    check_min_axes(caller, "x", x, 1)
    n = len(x)
    check_shape(caller, "y", y, (n, "k"), "One row of probabilities for each example.")
    check_shape(caller, "shares", shares, (n,))
    check_indices(caller, "partners", partners, n)
    check_shape(caller, "partners", partners, (n,))
    own_x, own_y = shares.reshape(n, *[1] * (x.ndim - 1)), shares[:, None]
    return own_x * x + (1 - own_x) * x[partners], own_y * y + (1 - own_y) * y[partners]
