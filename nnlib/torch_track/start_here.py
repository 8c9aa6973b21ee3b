"""From NumPy data to what a PyTorch model takes."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnlib.errors import DtypeError, check_array, check_shape, dtype_name

__all__ = ["as_model_input"]


def as_model_input(images: npt.NDArray[np.generic]) -> Tensor:
    """Turn a NumPy stack of grey images into a float32 batch with a channel axis.

    Parameters
    ----------
    images : array (n, h, w)
        uint8 from 0 to 255, or floats that are on the scale from 0 to 1 already.

    Returns
    -------
    x : tensor (n, 1, h, w), float32
        On the scale from 0 to 1: bytes are divided by 255, floats kept. It shares no memory
        with ``images``.

    Raises
    ------
    ShapeError
        If ``images`` does not have three axes.
    DtypeError
        If it holds neither uint8 nor floats.

    Notes
    -----
    ``torch.from_numpy`` shares memory and ``Tensor.to`` copies only where the dtype or the
    device changes. Without ``copy=True`` a float32 array would stay shared.

    References
    ----------
    Chapter 0, "Start here".

    Examples
    --------
    >>> x = as_model_input(np.array([[[0, 255]]], dtype=np.uint8))
    >>> x.shape, x.tolist()
    (torch.Size([1, 1, 1, 2]), [[[[0.0, 1.0]]]])
    """
    check_array("as_model_input", "images", images)
    check_shape("as_model_input", "images", images, ("n", "h", "w"),
                "One grey image is images[None].")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DtypeError(f"as_model_input: images must hold uint8 or floats, "
                         f"got {dtype_name(images)}.")
    x = torch.from_numpy(images).to(torch.float32, copy=True).unsqueeze(1)
    return x / 255 if images.dtype == np.uint8 else x
