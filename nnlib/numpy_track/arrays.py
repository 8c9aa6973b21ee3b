"""Array work that comes before any network: encode, scale, measure, split."""

import numpy as np
import numpy.typing as npt

from nnlib.contract.caches import SplitIndices, Standardized
from nnlib.errors import (
    ShapeError,
    check_array,
    check_count,
    check_floats,
    check_labels,
    check_number,
    check_shape,
)
from nnlib.numpy_track._types import Array

__all__ = ["one_hot", "pairwise_squared_distances", "split_indices", "standardize"]


def one_hot(labels: Array, num_classes: int, *, dtype: npt.DTypeLike = np.float64) -> Array:
    """Turn class numbers into rows with ``y[i, labels[i]] = 1`` and 0 elsewhere.

    Parameters
    ----------
    labels : array (n,) of integers from 0 to num_classes - 1
    num_classes : int
    dtype : dtype of the result

    Returns
    -------
    y : array (n, num_classes)

    Raises
    ------
    ShapeError
        If ``labels`` does not have one axis.
    DtypeError
        If ``labels`` does not hold integers.
    ValueError
        If a label is out of range.

    References
    ----------
    Chapter 0, "Start here".

    Examples
    --------
    >>> one_hot(np.array([2, 0]), 3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    check_count("one_hot", "num_classes", num_classes, minimum=1)
    check_labels("one_hot", labels, num_classes)
    y = np.zeros((len(labels), num_classes), dtype=dtype)
    y[np.arange(len(labels)), labels] = 1
    return y


def standardize(x_train: Array, x_test: Array) -> Standardized:
    """Compute ``(x - mean) / std`` by column, with the statistics of the training part.

    Parameters
    ----------
    x_train : array (n, d) with at least one row
    x_test : array (m, d)
        Scaled with the training part's mean and standard deviation: the test part stands for
        data that nobody has seen yet.

    Returns
    -------
    Standardized
        ``x_train (n, d)``, ``x_test (m, d)``, ``mean (d,)``, ``std (d,)``. Integers become
        float64.

    Raises
    ------
    ShapeError
        If the parts have different columns, or there is no training row.
    DtypeError
        If an array does not hold real numbers, or the dtypes differ.

    Notes
    -----
    The standard deviation is that of the population: the sum of squares is divided by ``n``.
    A constant column has no spread to divide by, so it is only centred and its ``std`` is 1.

    References
    ----------
    Chapter 0, "Start here".

    Examples
    --------
    >>> parts = standardize(np.array([[1.0], [3.0]]), np.array([[5.0]]))
    >>> parts.x_train.tolist(), parts.x_test.tolist()
    ([[-1.0], [1.0]], [[3.0]])
    """
    x_train, x_test = _to_floats("standardize", x_train=x_train, x_test=x_test)
    check_shape("standardize", "x_train", x_train, ("n", "d"))
    check_shape("standardize", "x_test", x_test, ("m", x_train.shape[1]))
    if len(x_train) == 0:
        raise ShapeError("standardize: x_train must have at least one row, got none.")
    mean = x_train.mean(axis=0)
    # Compared directly, since the computed std of a constant column may round to 1e-17.
    constant = x_train.max(axis=0) == x_train.min(axis=0)
    std = np.where(constant, 1, x_train.std(axis=0))
    return Standardized((x_train - mean) / std, (x_test - mean) / std, mean, std)


def pairwise_squared_distances(a: Array, b: Array) -> Array:
    """Compute ``d[i, j] = sum_k (a[i, k] - b[j, k])^2`` without a loop.

    Parameters
    ----------
    a : array (n, d) of floats
    b : array (m, d)

    Returns
    -------
    distances : array (n, m)
        Squared Euclidean distances, never negative.

    Raises
    ------
    ShapeError
        If the arrays do not have rows of one length.
    DtypeError
        If an array does not hold floats, or the dtypes differ.

    Notes
    -----
    The differences have shape ``(n, m, d)``, which takes memory. The expansion
    ``|a|^2 + |b|^2 - 2 a.b`` needs only ``(n, m)``, but loses the digits of small distances and
    can fall below 0.

    References
    ----------
    Chapter 0, "Start here".

    Examples
    --------
    >>> a, b = np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 4.0]])
    >>> pairwise_squared_distances(a, b).tolist()
    [[16.0], [25.0]]
    """
    check_floats("pairwise_squared_distances", a=a, b=b)
    check_shape("pairwise_squared_distances", "a", a, ("n", "d"))
    check_shape("pairwise_squared_distances", "b", b, ("m", a.shape[1]))
    differences = a[:, np.newaxis, :] - b[np.newaxis, :, :]
    return np.square(differences).sum(axis=2)


def split_indices(n: int, *, test_fraction: float, rng: np.random.Generator) -> SplitIndices:
    """Shuffle the row numbers 0 to n - 1 and cut them into a training and a test part.

    Parameters
    ----------
    n : int
        Number of rows.
    test_fraction : float from 0 to 1
        The test part gets ``round(n * test_fraction)`` rows.
    rng : numpy.random.Generator
        The only source of randomness: the same state gives the same split.

    Returns
    -------
    SplitIndices
        ``train`` and ``test``, arrays of integers, disjoint, together all rows.

    Raises
    ------
    DtypeError
        If ``n`` is not an integer.
    ValueError
        If ``n`` is negative or ``test_fraction`` out of range.

    References
    ----------
    Chapter 0, "Start here".

    Examples
    --------
    >>> split = split_indices(5, test_fraction=0.4, rng=np.random.default_rng(0))
    >>> len(split.train), len(split.test), sorted([*split.train.tolist(), *split.test.tolist()])
    (3, 2, [0, 1, 2, 3, 4])
    """
    check_count("split_indices", "n", n)
    check_number("split_indices", "test_fraction", test_fraction, low=0, high=1)
    order = rng.permutation(n)
    n_test = round(n * test_fraction)
    return SplitIndices(train=order[n_test:], test=order[:n_test])


def _to_floats(caller: str, **arrays: Array) -> list[Array]:
    """Turn integers and booleans into float64; leave floats as they are."""
    for name, x in arrays.items():
        check_array(caller, name, x)
    floats = {
        name: x.astype(np.float64) if x.dtype.kind in "iub" else x for name, x in arrays.items()
    }
    check_floats(caller, **floats)
    return list(floats.values())
