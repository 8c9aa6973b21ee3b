"""Searching for good hyper-parameters: grid, random, successive halving, evolution.

No arrays here: a search calls ``evaluate(settings) -> score`` and keeps a record of every trial,
so one file serves both tracks. Judge by a validation part or by cross-validation, never by the
test part: the best of many trials looks better than it is.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnlib.contract.caches_train import SearchResult, SearchTrial
from nnlib.errors import DtypeError, check_choice, check_count, check_number
from nnlib.sampling import (
    Choice,
    Distribution,
    IntUniform,
    LogIntUniform,
    LogUniform,
    Uniform,
    check_space,
    draw_settings,
    mutate_settings,
    unit_draws,
)

__all__ = [
    "Choice",
    "IntUniform",
    "LogIntUniform",
    "LogUniform",
    "Uniform",
    "evolutionary_search",
    "grid_search",
    "random_search",
    "successive_halving",
]

Settings = dict[str, Any]


def grid_search(
    space: Mapping[str, Sequence[Any]],
    evaluate: Callable[[Settings], float],
    *,
    mode: str = "min",
) -> SearchResult:
    """Try every combination of the given values.

    Parameters
    ----------
    space : dict of str to sequence
        The values to try, by name. The last name changes fastest.
    evaluate : callable
        ``evaluate(settings) -> score``; ``settings`` is a dict with one value for each name.
    mode : "min" or "max"
        Whether a smaller or a larger score is better. nan is worst.

    Returns
    -------
    SearchResult
        ``trials``, one `SearchTrial` for each combination, and the ``best`` of them; of several
        equal ones the first.

    Raises
    ------
    DtypeError, ValueError
        If the space is not a dict of sequences, or empty, or ``mode`` is unknown.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> result = grid_search({"a": [1, 2], "b": [0, 5]}, lambda s: s["a"] * s["b"], mode="max")
    >>> len(result.trials), result.best.settings, result.best.score
    (4, {'a': 2, 'b': 5}, 10.0)
    """
    if not isinstance(space, Mapping):
        raise DtypeError(f"grid_search: space must be a dict, got {type(space).__name__}.")
    if not space:
        raise ValueError("grid_search: space must not be empty. There is nothing to search.")
    for name, values in space.items():
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise DtypeError(
                f"grid_search: space[{name!r}] must be a list of values, got "
                f"{type(values).__name__}."
            )
        if len(values) == 0:
            raise ValueError(f"grid_search: space[{name!r}] must hold at least one value.")
    record = _Record("grid_search", mode)
    for values in itertools.product(*space.values()):
        settings = dict(zip(space, values, strict=True))
        record.add(settings, evaluate(dict(settings)))
    return record.result()


def random_search(
    space: Mapping[str, Distribution],
    evaluate: Callable[[Settings], float],
    *,
    trials: int,
    rng: Any,
    mode: str = "min",
) -> SearchResult:
    """Try settings drawn at random.

    Parameters
    ----------
    space : dict of str to `Uniform`, `LogUniform`, `IntUniform`, `LogIntUniform` or `Choice`
    evaluate : callable
        ``evaluate(settings) -> score``.
    trials : int
        At least 1.
    rng : numpy.random.Generator or torch.Generator
        Draws the settings. All are drawn before the first is tried, so that ``evaluate`` may use
        the same generator.
    mode : "min" or "max"
        Whether a smaller or a larger score is better. nan is worst.

    Returns
    -------
    SearchResult
        ``trials`` in the order in which they ran, and the ``best`` of them.

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong kind or out of range.

    Notes
    -----
    Where only a few of many settings matter, every trial tries a new value of each of them, while
    a grid tries the same few values again and again.

    References
    ----------
    Chapter 12, "Tuning". J. Bergstra and Y. Bengio, "Random search for hyper-parameter
    optimization", JMLR 13 (2012).

    Examples
    --------
    >>> import numpy as np
    >>> result = random_search({"rate": LogUniform(1e-4, 1.0)}, lambda s: abs(s["rate"] - 0.01),
    ...                        trials=50, rng=np.random.default_rng(0))
    >>> 0.005 < result.best.settings["rate"] < 0.02
    True
    """
    check_space("random_search", space)
    check_count("random_search", "trials", trials, minimum=1)
    draw = unit_draws("random_search", rng)
    record = _Record("random_search", mode)
    for settings in [draw_settings(space, draw) for _ in range(trials)]:
        record.add(settings, evaluate(dict(settings)))
    return record.result()


def successive_halving(
    space: Mapping[str, Distribution],
    evaluate: Callable[[Settings, int], float],
    *,
    candidates: int,
    min_budget: int = 1,
    factor: int = 2,
    rng: Any,
    mode: str = "min",
) -> SearchResult:
    """Give many settings a small budget, the best of them more, until one is left.

    Parameters
    ----------
    space : dict of str to `Uniform`, `LogUniform`, `IntUniform`, `LogIntUniform` or `Choice`
    evaluate : callable
        ``evaluate(settings, budget) -> score``; the budget is an int, for example a number of
        epochs.
    candidates : int
        At least 1. How many settings start.
    min_budget : int
        Budget of the first round.
    factor : int
        At least 2. After each round the best ``n // factor`` of the ``n`` in it go on (at least
        one), with ``factor`` times the budget.
    rng : numpy.random.Generator or torch.Generator
        Draws the candidates, all before the first is tried.
    mode : "min" or "max"
        Whether a smaller or a larger score is better. nan is worst.

    Returns
    -------
    SearchResult
        ``trials`` of all rounds, each with its ``budget``; ``best`` is the winner of the last
        round, since scores of different budgets do not compare.

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong kind or out of range.

    References
    ----------
    Chapter 12, "Tuning". K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification
    and hyperparameter optimization", AISTATS 2016.

    Examples
    --------
    >>> import numpy as np
    >>> result = successive_halving({"x": Uniform(0, 1)}, lambda s, budget: s["x"] / budget,
    ...                             candidates=8, rng=np.random.default_rng(0))
    >>> [trial.budget for trial in result.trials]
    [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 8]
    """
    caller = "successive_halving"
    check_space(caller, space)
    check_count(caller, "candidates", candidates, minimum=1)
    check_count(caller, "min_budget", min_budget, minimum=1)
    check_count(caller, "factor", factor, minimum=2)
    draw = unit_draws(caller, rng)
    record = _Record(caller, mode)
    field = [draw_settings(space, draw) for _ in range(candidates)]
    budget = int(min_budget)
    while True:
        tried = [record.add(s, evaluate(dict(s), budget), budget) for s in field]
        # sorted keeps the order of equal ones, so that the result depends on nothing else.
        ranking = sorted(tried, key=lambda trial: record.rank(trial.score))
        if len(field) == 1:
            return record.result(best=ranking[0])
        field = [trial.settings for trial in ranking[: max(1, len(field) // factor)]]
        budget *= factor


def evolutionary_search(
    space: Mapping[str, Distribution],
    evaluate: Callable[[Settings], float],
    *,
    population: int,
    generations: int,
    rng: Any,
    mutation_prob: float = 0.3,
    mutation_scale: float = 0.2,
    mode: str = "min",
) -> SearchResult:
    """Breed settings: the better half has children, which differ a little from their parents.

    Parameters
    ----------
    space : dict of str to `Uniform`, `LogUniform`, `IntUniform`, `LogIntUniform` or `Choice`
    evaluate : callable
        ``evaluate(settings) -> score``.
    population : int
        At least 2. How many settings a generation has.
    generations : int
        At least 1. The first is drawn at random.
    rng : numpy.random.Generator or torch.Generator
        Draws, crosses and mutates; not to be used by ``evaluate``.
    mutation_prob : float from 0 to 1
        Probability with which each value of a child changes.
    mutation_scale : float
        Positive. Standard deviation of a change, as a share of the range; on the scale of the
        logarithm where the range has one. A `Choice` is drawn anew.
    mode : "min" or "max"
        Whether a smaller or a larger score is better. nan is worst.

    Returns
    -------
    SearchResult
        ``trials`` of all generations, and the ``best`` of them.

    Raises
    ------
    DtypeError, ValueError
        If an argument is of the wrong kind or out of range.

    Notes
    -----
    Parents are the best ``population // 2`` of all trials so far. A child takes each value from
    one of two parents (crossover), then some values change (mutation).

    References
    ----------
    Chapter 12, "Tuning". E. Real et al., "Large-scale evolution of image classifiers", ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> result = evolutionary_search({"x": Uniform(-5, 5)}, lambda s: (s["x"] - 1) ** 2,
    ...                              population=8, generations=6, rng=np.random.default_rng(0))
    >>> len(result.trials), result.best.score < 0.1
    (48, True)
    """
    caller = "evolutionary_search"
    check_space(caller, space)
    check_count(caller, "population", population, minimum=2)
    check_count(caller, "generations", generations, minimum=1)
    check_number(caller, "mutation_prob", mutation_prob, low=0, high=1)
    check_number(caller, "mutation_scale", mutation_scale, above=0)
    draw = unit_draws(caller, rng)
    record = _Record(caller, mode)
    children = [draw_settings(space, draw) for _ in range(population)]
    for _ in range(generations):
        for settings in children:
            record.add(settings, evaluate(dict(settings)))
        ranking = sorted(record.trials, key=lambda trial: record.rank(trial.score))
        parents = [trial.settings for trial in ranking[: population // 2]]
        children = []
        for _ in range(population):
            one, other = (parents[int(draw() * len(parents))] for _ in range(2))
            child = {name: (one if draw() < 0.5 else other)[name] for name in space}
            children.append(mutate_settings(space, child, draw, mutation_prob=mutation_prob,
                                            mutation_scale=mutation_scale))
    return record.result()


class _Record:
    """The trials so far."""

    def __init__(self, caller: str, mode: str) -> None:
        check_choice(caller, "mode", mode, ("min", "max"))
        self._caller, self._sign = caller, 1 if mode == "min" else -1
        self.trials: list[SearchTrial] = []

    def rank(self, score: float) -> float:
        """Return a number by which trials sort, the best first; nan comes last."""
        return math.inf if math.isnan(score) else self._sign * score

    def add(self, settings: Settings, score: float, budget: int | None = None) -> SearchTrial:
        """Note one trial and return it."""
        try:
            number = float(score)
        except (TypeError, ValueError):
            raise DtypeError(
                f"{self._caller}: evaluate must return a number, got {type(score).__name__} for "
                f"{settings}."
            ) from None
        before = [self.trials[-1].best] if self.trials else []
        best = min([*before, number], key=self.rank)
        self.trials.append(SearchTrial(settings, number, best, budget))
        return self.trials[-1]

    def result(self, best: SearchTrial | None = None) -> SearchResult:
        """Return all trials and the one to choose."""
        chosen = min(self.trials, key=lambda trial: self.rank(trial.score))
        return SearchResult(self.trials, chosen if best is None else best)
