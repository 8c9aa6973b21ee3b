"""What the functions around training return: optimizers, schedules, training steps, searches."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Array = Any


class Optimizer(NamedTuple):
    """The two functions of an optimizer.

    ``init(params)`` returns a state; ``update(params, grads, state, learning_rate=...)`` returns
    new parameters and a new state.
    """

    init: Callable[..., dict[str, Any]]
    update: Callable[..., tuple[dict[str, Array], dict[str, Any]]]


class PlateauState(NamedTuple):
    """What `reduce_on_plateau` remembers.

    The learning rate in force, the best value so far (None before the first), for how many
    calls there was no better one, and for how many more calls waiting is not counted.
    """

    learning_rate: float
    best: float | None = None
    waited: int = 0
    cooling: int = 0


class StepResult(NamedTuple):
    """The loss of one batch before the update, its predictions, and the optimizer's new state."""

    loss: Array
    predictions: Array
    state: dict[str, Any]


class SearchTrial(NamedTuple):
    """One trial of a search: what was tried, how it did, the best score up to here.

    ``budget`` is what the trial was given to spend, None where the search has no budgets.
    """

    settings: dict[str, Any]
    score: float
    best: float
    budget: int | None = None


class SearchResult(NamedTuple):
    """All trials of a search in the order in which they ran, and the one to choose."""

    trials: list[SearchTrial]
    best: SearchTrial


class Checkpoint(NamedTuple):
    """What `load_checkpoint` reads: all that is needed to go on as if nothing had happened."""

    params: dict[str, Array]
    state: dict[str, Any]
    rng: Any
    step: int
    metadata: Mapping[str, Any]
