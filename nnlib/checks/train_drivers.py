"""How the functions around training are called, and what is kept of what they do.

Many answers are right: batches in any order, folds in any order, other draws. So the drivers keep
what every right answer shares, as plain facts: sizes, counts, which rows were seen, whether two
runs with one seed agree. Facts can be compared like numbers.
"""

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import reference, to_plain, to_track
from nnlib.contract import Case, Rng
from nnlib.contract.caches_train import PlateauState


class Probe:
    """A linear model that remembers what passed through it and in which mode."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = dict(params)
        self.grads: dict[str, Any] = {}
        self.training = True
        self.seen: list[tuple[bool, list[float]]] = []
        self._x: Any = None

    def forward(self, x: Any) -> Any:
        """Compute ``x @ w + b`` and note the first column, which numbers the rows."""
        self._x = x
        self.seen.append((self.training, to_plain(x)[:, 0].tolist()))
        return x @ self.params["w"] + self.params["b"]

    __call__ = forward

    def backward(self, dy: Any) -> Any:
        """Compute the gradients."""
        self.grads = {"w": self._x.T @ dy, "b": dy.sum(0)}
        return dy @ self.params["w"].T

    def train(self) -> "Probe":
        """Switch to training."""
        self.training = True
        return self

    def eval(self) -> "Probe":
        """Switch to evaluation."""
        self.training = False
        return self


def _options(case: Case, track: str, **more: Any) -> dict[str, Any]:
    """Return the case's options with loss, optimizer and metrics for their names."""
    ops = reference(track)
    options = {**to_track(dict(case.options), track), **more}
    if "loss" in options:
        options["loss"] = getattr(ops, options["loss"])
    if options.get("optimizer") and "update" not in options:
        options["optimizer"] = ops.get_optimizer(options["optimizer"])
    if "metrics" in options:
        options["metrics"] = {name: getattr(ops, name) for name in options["metrics"]}
    return options


@driver("plateau")
def plateau(implementation: Any, case: Case, track: str) -> Trial:
    """Feed values one after the other; the output is the learning rate after each."""
    values, rate = case.args

    def run() -> list[float]:
        state, rates = PlateauState(rate), []
        for value in values:
            state = implementation(value, state, **case.options)
            rates.append(float(state.learning_rate))
        return rates

    return guarded(run, (), {})


@driver("early_stopping")
def early_stopping(implementation: Any, case: Case, track: str) -> Trial:
    """Feed values with changing weights; the outputs are decisions, best value, weights."""
    values, weights = to_track(tuple(case.args), track)

    def run() -> tuple[Any, ...]:
        stopping, model, stops = implementation(**case.options), SimpleNamespace(), []
        for value, w in zip(values, weights, strict=True):
            model.params = {"w": w}
            stops.append(bool(stopping.observe(value, model)))
            if stops[-1]:
                break
            # The next step of a careless optimizer: a kept reference would change along.
            model.params["w"] *= 0
        stopping.restore(model)
        return stops, float(stopping.best), model.params["w"]

    return guarded(run, (), {}, tuple)


@driver("train_step")
def train_step(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model, x, y, ...)``: loss, predictions, new state, new parameters."""
    x, y, params = to_track(tuple(case.args), track)
    model, options = Probe(params), _options(case, track)
    state = options["optimizer"].init(params)

    def run(x: Any, y: Any, params: Any) -> tuple[Any, ...]:
        value, predictions, after = implementation(model, x, y, state=state, **options)
        return value, predictions, after, model.params

    return guarded(run, (x, y, params), {}, tuple)


@driver("fit")
def fit(implementation: Any, case: Case, track: str) -> Trial:
    """Fit with whole batches, where the order of the rows cannot matter."""
    x, y, params = to_track(tuple(case.args), track)
    model, options = Probe(params), _options(case, track, rng=to_track(Rng(0), track))

    def run(x: Any, y: Any, params: Any) -> tuple[Any, ...]:
        history = implementation(model, x, y, **options)
        return {name: history[name] for name in sorted(history)}, model.params

    return guarded(run, (x, y, params), {}, tuple)


@driver("fit_batches")
def fit_batches(implementation: Any, case: Case, track: str) -> Trial:
    """Fit, and keep which rows passed through the model in each epoch, and in which mode.

    The outputs are facts about the batches and whether one seed gives one result.
    """
    def once(seed: int) -> tuple[Probe, Any]:
        x, y, params = to_track(tuple(case.args), track)
        model = Probe(params)
        implementation(model, x, y, **_options(case, track, rng=to_track(Rng(seed), track)))
        return model, to_plain(model.params)

    def run() -> tuple[Any, ...]:
        (model, one), (_, same) = once(1), once(1)
        epochs = case.options["epochs"]
        train = [rows for training, rows in model.seen if training]
        other = [rows for training, rows in model.seen if not training]
        count = len(train) // max(epochs, 1)
        parts = [train[k * count : (k + 1) * count] for k in range(epochs)]
        flat = [[row for batch in part for row in batch] for part in parts]
        facts = {
            "batch sizes of an epoch": [[len(batch) for batch in part] for part in parts],
            "rows of an epoch": [sorted(rows) for rows in flat],
            "shuffled anew": all(a != b for a, b in itertools.pairwise(flat)),
            "rows in evaluation mode": sorted(row for rows in other for row in rows),
        }
        return facts, all(np.array_equal(one[name], same[name]) for name in one)

    return guarded(run, (), {}, tuple)


@driver("evaluate")
def evaluate(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model, x, y, ...)``: the numbers, and the modes of the model."""
    x, y, params = to_track(tuple(case.args), track)
    model, options = Probe(params), _options(case, track)

    def run(x: Any, y: Any, params: Any) -> tuple[Any, ...]:
        found = implementation(model, x, y, **options)
        modes = {"training while measured": any(mode for mode, _ in model.seen),
                 "training afterwards": model.training}
        return dict(found), modes

    return guarded(run, (x, y, params), {}, tuple)


@driver("batches")
def batches(implementation: Any, case: Case, track: str) -> Trial:
    """One epoch of batches, the same again, and one with another seed: facts about them."""
    args = to_track(tuple(case.args), track)

    def epoch(x: Any, y: Any, more: int = 0) -> list[Any]:
        options = dict(case.options)
        if isinstance(options.get("rng"), Rng):
            options["rng"] = Rng(options["rng"].seed + more)
        return [(to_plain(a), to_plain(b))
                for a, b in implementation(x, y, **to_track(options, track))]

    def order(epoch: list[Any]) -> list[float]:
        return [row for x, _ in epoch for row in x[:, 0].tolist()]

    def run(x: Any, y: Any) -> tuple[Any, ...]:
        one = epoch(x, y)
        same, other = (epoch(to_track(case.args[0], track), to_track(case.args[1], track), more)
                       for more in (0, 1000))
        shuffled = case.options.get("shuffle", True)
        start = case.args[0][:, 0].tolist()
        whole = len(order(one)) == len(start)
        ranks = [[start.index(row) for row in x[:, 0].tolist()] for x, _ in one]
        facts = {
            "as in x": order(one) == start[: len(order(one))],
            "the same for another seed": order(one) == order(other),
            "the same for the same seed": order(one) == order(same),
            "neighbours stay together": all(
                part == list(range(part[0], part[0] + len(part))) for part in ranks),
        }
        return (
            [len(x) for x, _ in one],
            sorted(order(one)) if whole or not shuffled else len(set(order(one))),
            facts,
            all(y is None or np.array_equal(x[:, 0], y) for x, y in one),
        )

    return guarded(run, args, {}, tuple)
