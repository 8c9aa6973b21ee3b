"""Generated data sets: small, seen at a glance, and different with every `rng`.

Every generator takes a numpy.random.Generator first and returns ``(x, y)`` with x float64 of
shape (n, d). Class labels are int64 of shape (n,), as balanced as n allows and in random order;
regression targets are float64 of shape (n, 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnlib.data._checks import balanced_labels, check_start
from nnlib.errors import ShapeError, check_choice, check_count, check_number

Labelled = tuple[NDArray[np.float64], NDArray[np.int64]]

_GATES = {"and": (0, 0, 0, 1), "or": (0, 1, 1, 1), "nand": (1, 1, 1, 0), "xor": (0, 1, 1, 0)}


def make_blobs(
    rng: np.random.Generator,
    n: int,
    *,
    centers: int | ArrayLike = 3,
    spread: float = 0.5,
) -> Labelled:
    """Draw round clouds, one per class: ``x = center[y] + spread * noise``.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Number of examples.
    centers : int or array, shape (classes, d)
        A number places that many centers evenly on a circle of radius 2 in the plane.
    spread : float
        Standard deviation of each cloud, in the unit of x.

    Returns
    -------
    x : ndarray of float64, shape (n, d)
    y : ndarray of int64, shape (n,)

    Raises
    ------
    ShapeError
        If `centers` is an array without two axes.
    DtypeError, ValueError
        If an argument has the wrong type or range.

    Examples
    --------
    >>> x, y = make_blobs(np.random.default_rng(0), 30, centers=3)
    >>> x.shape, np.bincount(y).tolist()
    ((30, 2), [10, 10, 10])
    """
    caller = "make_blobs"
    check_start(caller, rng, n)
    check_number(caller, "spread", spread, low=0)
    if np.ndim(centers) == 0:
        check_count(caller, "centers", centers, minimum=1)
        count = int(np.asarray(centers))
        angles = np.pi / 2 + 2 * np.pi * np.arange(count) / count
        places = 2.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    else:
        places = np.asarray(centers, dtype=np.float64)
        if places.ndim != 2 or 0 in places.shape:
            raise ShapeError(
                f"{caller}: centers must be a number or have shape (classes, d), got shape "
                f"{places.shape}. One row is one center: did you forget the outer brackets?"
            )
    y = balanced_labels(rng, n, len(places))
    return places[y] + spread * rng.standard_normal((n, places.shape[1])), y


def make_moons(rng: np.random.Generator, n: int, *, noise: float = 0.1) -> Labelled:
    """Draw two half circles that reach into each other: no line separates them.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Number of examples.
    noise : float
        Standard deviation around the half circles, whose radius is 1.

    Returns
    -------
    x : ndarray of float64, shape (n, 2)
        Centred: the two moons turn into each other by a half turn about the origin.
    y : ndarray of int64, shape (n,)
        0 for the upper moon, 1 for the lower.

    Raises
    ------
    DtypeError, ValueError
        If an argument has the wrong type or range.

    Examples
    --------
    >>> x, y = make_moons(np.random.default_rng(0), 100, noise=0.0)
    >>> bool((x[y == 0, 1] >= -0.25).all())
    True
    """
    check_start("make_moons", rng, n)
    check_number("make_moons", "noise", noise, low=0)
    y = balanced_labels(rng, n, 2)
    angle = rng.uniform(0.0, np.pi, size=n)
    upper = np.stack([np.cos(angle) - 0.5, np.sin(angle) - 0.25], axis=1)
    x = np.where(y[:, None] == 0, upper, -upper)
    return x + noise * rng.standard_normal((n, 2)), y


def make_spirals(
    rng: np.random.Generator,
    n: int,
    *,
    classes: int = 2,
    turns: float = 1.25,
    noise: float = 0.03,
) -> Labelled:
    """Draw interleaved spiral arms, one per class, from near the origin to radius 1.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Number of examples.
    classes : int
        Number of arms.
    turns : float
        How often each arm winds around the origin; more turns are harder.
    noise : float
        Standard deviation around the arms, in the unit of x.

    Returns
    -------
    x : ndarray of float64, shape (n, 2)
    y : ndarray of int64, shape (n,)

    Raises
    ------
    DtypeError, ValueError
        If an argument has the wrong type or range.

    Examples
    --------
    >>> x, y = make_spirals(np.random.default_rng(0), 90, classes=3, noise=0.0)
    >>> bool((np.linalg.norm(x, axis=1) <= 1.0).all()), np.unique(y).tolist()
    (True, [0, 1, 2])
    """
    check_start("make_spirals", rng, n)
    check_count("make_spirals", "classes", classes, minimum=1)
    check_number("make_spirals", "turns", turns, low=0)
    check_number("make_spirals", "noise", noise, low=0)
    y = balanced_labels(rng, n, classes)
    # The square root spreads the points evenly along the arm instead of crowding the centre.
    radius = 0.1 + 0.9 * np.sqrt(rng.uniform(size=n))
    angle = 2 * np.pi * (turns * radius + y / classes)
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return x + noise * rng.standard_normal((n, 2)), y


def make_sine(
    rng: np.random.Generator,
    n: int,
    *,
    low: float = -np.pi,
    high: float = np.pi,
    frequency: float = 1.0,
    noise: float = 0.1,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw a noisy sine to fit: ``y = sin(frequency * x) + noise``.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Number of examples.
    low, high : float
        x is uniform between them.
    frequency : float
        In radians per unit of x.
    noise : float
        Standard deviation of y about the curve.

    Returns
    -------
    x : ndarray of float64, shape (n, 1)
    y : ndarray of float64, shape (n, 1)

    Raises
    ------
    DtypeError, ValueError
        If an argument has the wrong type or range.

    Examples
    --------
    >>> x, y = make_sine(np.random.default_rng(0), 50, noise=0.0)
    >>> y.shape, bool(np.allclose(y, np.sin(x)))
    ((50, 1), True)
    """
    check_start("make_sine", rng, n)
    check_number("make_sine", "noise", noise, low=0)
    if not low < high:
        raise ValueError(
            f"make_sine: low must be smaller than high, got low = {low:g} and high = {high:g}. "
            "Did you swap them?"
        )
    x = rng.uniform(low, high, size=(n, 1))
    return x, np.sin(frequency * x) + noise * rng.standard_normal((n, 1))


def make_xor(rng: np.random.Generator, n: int, *, noise: float = 0.2) -> Labelled:
    """Draw four clouds at the corners (±1, ±1); opposite corners share a class.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Number of examples.
    noise : float
        Standard deviation of each cloud, in the unit of x.

    Returns
    -------
    x : ndarray of float64, shape (n, 2)
    y : ndarray of int64, shape (n,)
        1 where the two corner coordinates differ in sign.

    Raises
    ------
    DtypeError, ValueError
        If an argument has the wrong type or range.

    Examples
    --------
    >>> x, y = make_xor(np.random.default_rng(0), 40, noise=0.0)
    >>> bool((y == (x[:, 0] * x[:, 1] < 0)).all())
    True
    """
    check_start("make_xor", rng, n)
    check_number("make_xor", "noise", noise, low=0)
    corner = balanced_labels(rng, n, 4)
    signs = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    x = signs[corner] + noise * rng.standard_normal((n, 2))
    return x, np.array(_GATES["xor"], dtype=np.int64)[corner]


def make_linearly_separable(
    rng: np.random.Generator,
    n: int,
    *,
    margin: float = 0.2,
    w: ArrayLike | None = None,
    b: float = 0.0,
) -> Labelled:
    """Draw two classes that a line separates, with at least `margin` to spare on both sides.

    Every example satisfies ``(2 * y - 1) * (x @ w + b) / norm(w) >= margin``: the gap is built
    in, not hoped for.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Number of examples.
    margin : float
        Smallest distance of an example from the separating line, in the unit of x.
    w : array, shape (d,), optional
        Normal of the separating line (plane). None draws a direction in the plane.
    b : float
        Bias of the separating line.

    Returns
    -------
    x : ndarray of float64, shape (n, d)
    y : ndarray of int64, shape (n,)
        1 on the side to which `w` points, 0 on the other.

    Raises
    ------
    ShapeError
        If `w` is not one-dimensional.
    DtypeError, ValueError
        If an argument has the wrong type or range, or `w` is zero.

    Notes
    -----
    Points are drawn uniformly in [-1, 1]^d, moved to their side of the line by reflection, and
    pushed `margin` away from it.

    References
    ----------
    Chapter 01-neurons; A. B. J. Novikoff, "On convergence proofs on perceptrons", 1962, bounds
    the perceptron's mistakes by (radius / margin)^2.

    Examples
    --------
    >>> x, y = make_linearly_separable(np.random.default_rng(0), 100, margin=0.3, w=[3, 4], b=1)
    >>> distance = (x @ [3, 4] + 1) / 5
    >>> bool(((2 * y - 1) * distance >= 0.3).all())
    True
    """
    caller = "make_linearly_separable"
    check_start(caller, rng, n)
    check_number(caller, "margin", margin, low=0)
    if w is None:
        turn = rng.uniform(0.0, 2 * np.pi)
        normal = np.array([np.cos(turn), np.sin(turn)])
    else:
        normal = np.asarray(w, dtype=np.float64)
        if normal.ndim != 1 or normal.size == 0:
            raise ShapeError(
                f"{caller}: w must have shape (d,), got {normal.shape}. "
                "One normal vector: did you mean w.ravel()?"
            )
    length = float(np.linalg.norm(normal))
    if not np.isfinite(length) or length == 0.0:
        raise ValueError(
            f"{caller}: w must be finite and not zero, got {normal.tolist()}. "
            "A zero vector has no direction: no line belongs to it."
        )
    normal, offset = normal / length, float(b) / length
    y = balanced_labels(rng, n, 2)
    side = 2.0 * y - 1.0
    x = rng.uniform(-1.0, 1.0, size=(n, normal.size))
    distance = x @ normal + offset
    # A hair more than the margin, so that rounding never eats into the promise.
    wanted = side * (np.abs(distance) + margin * (1 + 1e-9) + 1e-12)
    return x + (wanted - distance)[:, None] * normal, y


def logic_gate(name: str) -> Labelled:
    """Return the truth table of a logic gate with two inputs.

    Parameters
    ----------
    name : {"and", "or", "nand", "xor"}

    Returns
    -------
    x : ndarray of float64, shape (4, 2)
        The inputs (0, 0), (0, 1), (1, 0), (1, 1).
    y : ndarray of int64, shape (4,)
        The gate's output, 0 or 1.

    Raises
    ------
    ValueError
        If there is no gate of that name.

    References
    ----------
    Chapter 01-neurons.

    Examples
    --------
    >>> x, y = logic_gate("xor")
    >>> x.tolist(), y.tolist()
    ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    check_choice("logic_gate", "name", name, tuple(_GATES))
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float64)
    return x, np.array(_GATES[name], dtype=np.int64)
