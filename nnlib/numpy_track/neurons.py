"""Where a neuron's decision line lies, and the neurons of the logic gates as data."""

import numpy as np

from nnlib.errors import check_floats, check_number, check_shape
from nnlib.numpy_track._types import Array
from nnlib.numpy_track.perceptron import gate_weights

__all__ = ["gate_neurons", "signed_distance"]

#: Gate name to ``(w, b)``: one valid choice among many.
gate_neurons: dict[str, tuple[Array, float]] = {
    name: gate_weights(name) for name in ("and", "or", "nand")
}


def signed_distance(x: Array, w: Array, b: float) -> Array:
    """Compute ``(x @ w + b) / norm(w)``, the distance of each row from the decision line.

    Parameters
    ----------
    x : array (n, d) of floats
    w : array (d,)
        Not zero: without a direction there is no line.
    b : float

    Returns
    -------
    r : array (n,)
        In the unit of ``x``; positive on the side to which ``w`` points.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError
        If an array does not hold floats, or the dtypes differ.
    ValueError
        If ``w`` is zero.

    References
    ----------
    Chapter 1, "Neurons", section "The line that a neuron draws".

    Examples
    --------
    >>> signed_distance(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([3.0, 4.0]), -10.0).tolist()
    [-2.0, 3.0]
    """
    check_floats("signed_distance", x=x, w=w)
    check_shape("signed_distance", "w", w, ("d",))
    check_shape("signed_distance", "x", x, ("n", w.shape[0]), "Rows are examples.")
    check_number("signed_distance", "b", b)
    length = np.sqrt((w * w).sum())
    if not length > 0:
        raise ValueError("signed_distance: w must not be zero, got zeros. "
                         "A zero vector has no direction: no line belongs to it.")
    return (x @ w + float(b)) / length
