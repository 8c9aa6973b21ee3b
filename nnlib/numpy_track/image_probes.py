"""Where a shift of an image shows in the output, and how far an output sees, both measured."""

from collections.abc import Callable, Sequence

import numpy as np

from nnlib.errors import check_count, check_shape
from nnlib.numpy_track._types import Array
from nnlib.numpy_track.convolution import conv2d_backward, conv2d_forward

__all__ = ["gradient_reach", "shift_difference"]


def shift_difference(f: Callable[[Array], Array], image: Array, *, shift: int, step: int) -> Array:
    """Compare f of a shifted image with the shifted output of f.

    Two windows are cut from the image, ``shift`` columns apart, so that real pixels come in at
    the side and no zeros.

    Parameters
    ----------
    f : callable
        Images (1, 1, h, v) to maps (1, c, h', v / step).
    image : array (h, w)
    shift : int, >= 0
        Pixels to the left. The windows are v = w - shift columns wide, less what ``step`` leaves.
    step : int, >= 1
        Product of the strides in ``f``.

    Returns
    -------
    array (h', v')
        At each place the root mean square over the channels of what differs, in units of the
        output's own standard deviation. 0 where f is equivariant.

    Raises
    ------
    ShapeError
        If the image is no matrix.
    ValueError
        If the shift is negative, or the step below 1.

    References
    ----------
    Chapter 13, equation (13.14).

    Examples
    --------
    >>> float(shift_difference(lambda x: 2 * x, np.eye(4), shift=1, step=1).max())
    0.0
    """
    check_shape("shift_difference", "image", image, ("h", "w"))
    check_count("shift_difference", "shift", shift, minimum=0)
    check_count("shift_difference", "step", step, minimum=1)
    width = (image.shape[1] - shift) // step * step
    still, moved = (f(image[None, None, :, t : t + width]) for t in (0, shift))
    places = round(shift / step)
    kept, back = still[..., places:], moved[..., : moved.shape[-1] - places]
    found: Array = np.sqrt(((kept - back) ** 2).mean(axis=(0, 1)) / still.var())
    return found


def gradient_reach(
    layers: Sequence[tuple[int, int, int]], *, seed: int, size: int = 97, channels: int = 4
) -> Array:
    """Send a gradient into the middle output of random convolutions, and see where it arrives.

    Parameters
    ----------
    layers : sequence of (kernel size, stride, dilation)
        Kernel sizes are odd. There is no activation between the layers.
    seed : int
        Of the filters and of the gradient.
    size : int
        Height and width of the image, larger than the receptive field.
    channels : int
        Of every layer's output.

    Returns
    -------
    array (size, size)
        The gradient of the one input channel, in size. It is 0 outside the receptive field.

    Raises
    ------
    ValueError
        If a number is below 1.

    References
    ----------
    Chapter 13, equation (13.15); Luo et al., 2016.

    Examples
    --------
    >>> np.flatnonzero(gradient_reach([(3, 1, 1)], seed=0, size=9).any(axis=1))
    array([3, 4, 5])
    """
    check_count("gradient_reach", "size", size, minimum=1)
    check_count("gradient_reach", "channels", channels, minimum=1)
    rng, x, caches = np.random.default_rng(seed), np.zeros((1, 1, size, size)), []
    for k, s, d in layers:
        w = rng.normal(size=(channels, x.shape[1], k, k)) / np.sqrt(k * k * x.shape[1])
        x, cache = conv2d_forward(x, w, None, stride=s, dilation=d, padding=d * (k // 2))
        caches.append(cache)
    dx = np.zeros_like(x)
    dx[:, :, x.shape[2] // 2, x.shape[3] // 2] = rng.normal(size=channels)
    for cache in reversed(caches):
        dx = conv2d_backward(dx, cache).dx
    return abs(dx[0, 0])
