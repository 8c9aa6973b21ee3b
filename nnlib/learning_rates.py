"""Choosing a learning rate: the noise ball, a rate from recorded losses, rates on a plateau.

Plain arithmetic with numbers, so one file serves both tracks. The schedules themselves are in
`nnlib.schedules`.
"""

import math
from collections.abc import Iterable, Sequence

from nnlib.contract.caches_train import PlateauState
from nnlib.errors import check_count, check_number
from nnlib.schedules import reduce_on_plateau

__all__ = ["noise_ball", "pick_learning_rate", "plateau_rates", "range_test_rates"]


def noise_ball(
    learning_rate: float, *, curvature: float, noise_std: float, batch_size: int = 1
) -> float:
    """Return the variance of a weight that SGD settles at on a quadratic.

    For the loss ``curvature / 2 * w^2`` and gradients with noise of variance
    ``noise_std^2 / batch_size`` it is
    ``learning_rate * noise_std^2 / batch_size / (curvature * (2 - learning_rate * curvature))``.

    Parameters
    ----------
    learning_rate : float
        Positive.
    curvature : float
        Positive. The second derivative of the loss.
    noise_std : float
        At least 0. The standard deviation of the gradient of a single example.
    batch_size : int
        Examples of a batch, drawn independently.

    Returns
    -------
    float
        ``inf`` where ``learning_rate * curvature >= 2``: no steady state exists.

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Chapter 9, "Schedules". L. Bottou, F. Curtis and J. Nocedal, "Optimization methods for
    large-scale machine learning", SIAM Review 60 (2018).

    Examples
    --------
    >>> round(noise_ball(0.5, curvature=1.0, noise_std=1.0), 4)
    0.3333
    >>> noise_ball(2.0, curvature=1.0, noise_std=1.0)
    inf
    """
    caller = "noise_ball"
    check_number(caller, "learning_rate", learning_rate, above=0)
    check_number(caller, "curvature", curvature, above=0)
    check_number(caller, "noise_std", noise_std, low=0)
    check_count(caller, "batch_size", batch_size, minimum=1)
    shrinkage = learning_rate * curvature
    if shrinkage >= 2:
        return math.inf
    return float(learning_rate * noise_std**2 / batch_size / (curvature * (2 - shrinkage)))


def plateau_rates(
    losses: Iterable[float],
    *,
    learning_rate: float,
    factor: float = 0.1,
    patience: int = 10,
    min_learning_rate: float = 0.0,
) -> list[float]:
    """Return the learning rate after each loss when plateaus reduce it.

    The rules are those of `reduce_on_plateau`, where every lower loss counts as better.

    Parameters
    ----------
    losses : floats
        One for each epoch. nan is not better.
    learning_rate : float
        Positive. The rate of the first epoch.
    factor : float
        Above 0 and below 1.
    patience : int
        So many losses in a row may bring no lower one; the next one reduces the rate.
    min_learning_rate : float
        At least 0.

    Returns
    -------
    list of float
        One for each loss: the rate of the epoch after it.

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Chapter 9, "Schedules".

    Examples
    --------
    >>> plateau_rates([1.0, 0.6, 0.6, 0.7, 0.5], learning_rate=0.4, factor=0.5, patience=1)
    [0.4, 0.4, 0.4, 0.2, 0.2]
    """
    state, rates = PlateauState(learning_rate), []
    for loss in losses:
        state = reduce_on_plateau(
            loss, state, factor=factor, patience=patience, threshold=0.0, eps=0.0,
            min_learning_rate=min_learning_rate)
        rates.append(state.learning_rate)
    return rates


def range_test_rates(low: float, high: float, *, steps: int) -> list[float]:
    """Return ``steps`` learning rates from ``low`` to ``high``, each the same factor larger.

    Parameters
    ----------
    low, high : float
        ``0 < low < high``. Both are among the rates.
    steps : int
        At least 2.

    Returns
    -------
    list of float

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Chapter 9, "Schedules". L. Smith, "Cyclical learning rates for training neural networks",
    WACV 2017.

    Examples
    --------
    >>> [round(rate, 6) for rate in range_test_rates(0.001, 1.0, steps=4)]
    [0.001, 0.01, 0.1, 1.0]
    """
    caller = "range_test_rates"
    check_number(caller, "low", low, above=0)
    check_number(caller, "high", high, above=low)
    check_count(caller, "steps", steps, minimum=2)
    growth = math.log(high / low) / (steps - 1)
    inner = [float(low * math.exp(growth * k)) for k in range(1, steps - 1)]
    return [float(low), *inner, float(high)]


def pick_learning_rate(
    rates: Sequence[float],
    losses: Sequence[float],
    *,
    smoothing: float = 0.9,
    margin: float = 10.0,
) -> float:
    """Pick a learning rate from the losses of a range test.

    The losses are smoothed by a running mean with bias correction; the result is the rate at
    which the smoothed loss is lowest, divided by ``margin``.

    Parameters
    ----------
    rates : floats
        In the order in which they were tried.
    losses : floats
        One for each rate. The first loss that is not finite ends the test; what follows is left
        out.
    smoothing : float
        At least 0 and below 1; 0 means no smoothing.
    margin : float
        At least 1.

    Returns
    -------
    float

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong type or out of range, or the first loss is not finite.

    Notes
    -----
    The running mean is ``m = smoothing * m + (1 - smoothing) * loss`` from ``m = 0``. After ``k``
    losses its weights add up to ``1 - smoothing^k``, by which it is divided.

    References
    ----------
    Chapter 9, "Schedules".

    Examples
    --------
    >>> pick_learning_rate([0.1, 1.0, 10.0], [2.0, 1.0, 5.0], smoothing=0.0)
    0.1
    """
    caller = "pick_learning_rate"
    check_number(caller, "smoothing", smoothing, low=0, below=1)
    check_number(caller, "margin", margin, low=1)
    if len(rates) != len(losses):
        raise ValueError(f"{caller}: rates and losses must be equally many, "
                         f"got {len(rates)} and {len(losses)}.")
    mean, lowest, best = 0.0, math.inf, math.nan
    for k, (rate, loss) in enumerate(zip(rates, losses, strict=True), start=1):
        if not math.isfinite(loss):
            break
        mean = smoothing * mean + (1 - smoothing) * float(loss)
        if mean / (1 - smoothing**k) < lowest:
            lowest, best = mean / (1 - smoothing**k), float(rate)
    if math.isnan(best):
        raise ValueError(f"{caller}: losses must begin with a finite number, "
                         f"got {list(losses[:1])}. Begin the test with a smaller rate.")
    return best / float(margin)
