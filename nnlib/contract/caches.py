"""What a forward hands to its backward, and what a backward with several gradients returns.

Caches are returned, never hidden: a student can print one, and a check can build one with a
correct forward and pass it to the student's backward. Arrays are NumPy arrays in the NumPy track
and tensors in the PyTorch track, hence `Any`.
"""

from typing import Any, NamedTuple

Array = Any


class LinearCache(NamedTuple):
    """Inputs of `linear_forward`: ``x (n, d_in)``, ``w (d_in, d_out)``, ``b (d_out,)`` or None."""

    x: Array
    w: Array
    b: Array | None


class LinearGrads(NamedTuple):
    """Gradients of a linear layer: ``dx (n, d_in)``, ``dw (d_in, d_out)``, ``db (d_out,)``.

    ``db`` is None where the layer had no bias.
    """

    dx: Array
    dw: Array
    db: Array | None


class FlattenCache(NamedTuple):
    """The shape that `flatten_backward` restores."""

    shape: tuple[int, ...]


class IdentityCache(NamedTuple):
    """The identity needs nothing on its way back."""


class SigmoidCache(NamedTuple):
    """``y = sigmoid(x)``: the derivative is ``y (1 - y)``."""

    y: Array


class TanhCache(NamedTuple):
    """``y = tanh(x)``: the derivative is ``1 - y**2``."""

    y: Array


class ReluCache(NamedTuple):
    """The input ``x``: the derivative is 1 where ``x > 0`` and 0 elsewhere, 0 included."""

    x: Array


class LeakyReluCache(NamedTuple):
    """Input and slope of the negative side."""

    x: Array
    negative_slope: float


class EluCache(NamedTuple):
    """Input and the value ``-alpha`` that the negative side approaches."""

    x: Array
    alpha: float


class SoftplusCache(NamedTuple):
    """Input and sharpness ``beta``."""

    x: Array
    beta: float


class SiluCache(NamedTuple):
    """Input of ``x * sigmoid(x)``."""

    x: Array


class GeluCache(NamedTuple):
    """Input and which formula was used, ``"none"`` (exact) or ``"tanh"``."""

    x: Array
    approximate: str


class SoftmaxCache(NamedTuple):
    """Output probabilities and the axis along which they sum to 1."""

    y: Array
    axis: int


class LogSoftmaxCache(NamedTuple):
    """Output log-probabilities and the axis along which their exponentials sum to 1."""

    y: Array
    axis: int


class MlpCache(NamedTuple):
    """One linear cache a layer and one ReLU cache between two layers, in forward order."""

    linear: tuple[LinearCache, ...]
    relu: tuple[ReluCache, ...]


class Standardized(NamedTuple):
    """Both parts on the scale of the training part, and the statistics that define it.

    ``x_train (n, d)``, ``x_test (m, d)``, ``mean (d,)``, ``std (d,)``; ``std`` is 1 where the
    training column is constant.
    """

    x_train: Array
    x_test: Array
    mean: Array
    std: Array


class SplitIndices(NamedTuple):
    """Row numbers of the training and of the test part: disjoint, together all rows."""

    train: Array
    test: Array


class ScaledBy(NamedTuple):
    """Backward of a sum of parents times factors: ``dy`` to one gradient for each parent.

    It is called like a function and, holding only numbers, can be sent like data.
    """

    factors: tuple[float, ...]

    def __call__(self, dy: Array) -> tuple[Array, ...]:
        """Return the vector-Jacobian products with ``dy``."""
        return tuple(factor * dy for factor in self.factors)


class PerceptronFit(NamedTuple):
    """Weights ``w (d,)`` and bias after training, and the number of updates in each epoch."""

    w: Array
    b: float
    errors: list[int]
