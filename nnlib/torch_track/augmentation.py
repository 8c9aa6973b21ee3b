"""Data augmentation: changed copies of the training examples, drawn anew for every epoch."""

import torch
from torch import Tensor

from nnlib.errors import (
    DtypeError,
    check_count,
    check_flag,
    check_floats,
    check_indices,
    check_min_axes,
    check_shape,
)

__all__ = ["mixup", "random_shift"]


def random_shift(
    images: Tensor, *, max_shift: int, training: bool, rng: torch.Generator | None
) -> Tensor:
    """Move each image by whole pixels, down or up and right or left; zeros come in.

    Parameters
    ----------
    images : tensor of floats (n, c, h, w)
    max_shift : int
        Both distances are drawn from ``-max_shift, ..., max_shift``, for each image by itself.
        All channels of an image move together.
    training : bool
        False returns ``images`` itself, not a copy.
    rng : torch.Generator
        On the device of ``images``. May be None in evaluation.

    Returns
    -------
    tensor (n, c, h, w), dtype and device of ``images``

    Raises
    ------
    ShapeError, DtypeError, ValueError
        If ``images`` is not a tensor of floats with four axes, ``max_shift`` no integer >= 0, or
        ``rng`` no generator.

    References
    ----------
    Chapter 10, "Regularization".

    Examples
    --------
    >>> images, rng = torch.ones(100, 1, 3, 3), torch.Generator().manual_seed(0)
    >>> moved = random_shift(images, max_shift=1, training=True, rng=rng)
    >>> sorted({int(image.sum()) for image in moved})
    [4, 6, 9]
    """
    caller = "random_shift"
    check_floats(caller, images=images)
    check_shape(caller, "images", images, ("n", "c", "h", "w"))
    check_count(caller, "max_shift", max_shift)
    check_flag(caller, "training", training)
    if not training:
        return images
    if not isinstance(rng, torch.Generator):
        raise DtypeError(
            f"{caller}: rng must be a torch.Generator in training, got "
            f"{type(rng).__name__}. Make one with torch.Generator().manual_seed(seed)."
        )
    n, c, h, w = images.shape
    where = images.device
    down, right = torch.randint(
        -max_shift, max_shift + 1, (2, n, 1), generator=rng, device=where)
    padded = images.new_zeros((n, c, h + 2 * max_shift, w + 2 * max_shift))
    padded[:, :, max_shift : max_shift + h, max_shift : max_shift + w] = images
    rows = torch.arange(h, device=where) + max_shift - down  # (n, h): where each row comes from
    columns = torch.arange(w, device=where) + max_shift - right  # (n, w)
    image = torch.arange(n, device=where)[:, None, None, None]
    channel = torch.arange(c, device=where)[:, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def mixup(x: Tensor, y: Tensor, *, shares: Tensor, partners: Tensor) -> tuple[Tensor, Tensor]:
    """Blend each example, and its target, with another: ``s x_i + (1 - s) x_j``.

    Parameters
    ----------
    x : tensor of floats (n, ...)
    y : tensor of floats (n, k)
        Targets: a probability for each class, one-hot at first.
    shares : tensor of floats (n,)
        How much of itself each example keeps, from 0 to 1.
    partners : tensor of integers (n,)
        The row that each example is blended with.

    Returns
    -------
    x, y : tensors, shapes as before

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
    >>> x, y = torch.tensor([[0.0], [8.0]]), torch.eye(2)
    >>> blend = mixup(x, y, shares=torch.tensor([0.75, 0.5]), partners=torch.tensor([1, 0]))
    >>> [part.tolist() for part in blend]
    [[[2.0], [4.0]], [[0.75, 0.25], [0.5, 0.5]]]
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
