"""How folds, searches and checkpoints are made, and which facts are kept of them.

As in `train_drivers`, the facts are those that every right answer shares.
"""

import itertools
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import reference, to_plain, to_track
from nnlib.contract import Case, Checkpoint, Rng
from nnlib.sampling import Choice, IntUniform, LogIntUniform, LogUniform, Uniform


@driver("kfold")
def kfold(implementation: Any, case: Case, track: str) -> Trial:
    """Facts about the folds, the same for every right answer."""
    n, options = int(case.args[0]), dict(case.options)
    labels = options.get("labels")

    def once(seed: int) -> list[tuple[Any, Any]]:
        given = to_track({**options, "rng": Rng(seed)}, track)
        return [(to_plain(train), to_plain(test)) for train, test in implementation(n, **given)]

    def run() -> dict[str, Any]:
        folds, same, other = once(3), once(3), once(4)
        tests = [test.tolist() for _, test in folds]
        sizes = [len(test) for test in tests]
        facts = {
            "folds": len(folds),
            "test rows": sorted(row for test in tests for row in test),
            "train and test are all rows": all(
                sorted([*train.tolist(), *test.tolist()]) == list(range(n))
                for train, test in folds),
            "sizes differ by more than 1": max(sizes) - min(sizes) > (
                1 if labels is None else len(np.unique(labels))),
            "one seed, one result": all(
                sorted(a[1].tolist()) == sorted(b[1].tolist())
                for a, b in zip(folds, same, strict=True)),
            "another seed, another result": n < 10 or any(
                sorted(a[1].tolist()) != sorted(b[1].tolist())
                for a, b in zip(folds, other, strict=True)),
        }
        if labels is not None:
            counts = [np.bincount(labels[test], minlength=labels.max() + 1) for _, test in folds]
            facts["the same share of every class"] = bool(
                (np.max(counts, axis=0) - np.min(counts, axis=0) <= 1).all())
        return facts

    return guarded(run, (), {})


def _inside(space: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Tell whether settings hold one value of the right kind for every name."""
    if settings.keys() != space.keys():
        return False
    for name, kind in space.items():
        value = settings[name]
        if isinstance(kind, Choice):
            if value not in kind.options:
                return False
            continue
        whole = isinstance(kind, IntUniform | LogIntUniform)
        if not kind.low <= value <= kind.high or (whole and not isinstance(value, int)):
            return False
    return True


def _search_facts(
    space: dict[str, Any], evaluate: Any, result: Any, *, mode: str, budgets: bool = False
) -> dict[str, Any]:
    """Collect what is true of every right search."""
    trials, best = result
    better = min if mode == "min" else max
    scores = [trial.score for trial in trials]
    facts: dict[str, Any] = {
        "trials": len(trials),
        "all in the space": all(_inside(space, trial.settings) for trial in trials),
        "scores belong to settings": all(
            trial.score == evaluate(dict(trial.settings), *([trial.budget] if budgets else []))
            for trial in trials),
        "best so far": all(trial.best == better(scores[: k + 1])
                           for k, trial in enumerate(trials)),
    }
    if not budgets:
        facts["best is the best"] = best == min(
            trials, key=lambda trial: trial.score if mode == "min" else -trial.score)
    for name, kind in space.items():
        if isinstance(kind, LogUniform) and len(trials) >= 200 and not budgets:
            middle = math.sqrt(kind.low * kind.high)
            below = sum(trial.settings[name] < middle for trial in trials) / len(trials)
            facts[f"half of {name} below the geometric mean"] = 0.35 < below < 0.65
    return facts


@driver("search")
def search(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(space, evaluate, rng=..., ...)``: facts about the trials."""
    space, evaluate = case.args
    mode = case.options.get("mode", "min")

    def run() -> dict[str, Any]:
        one, same, other = (
            implementation(space, evaluate, rng=to_track(Rng(seed), track), **case.options)
            for seed in (5, 5, 6)
        )
        facts = _search_facts(space, evaluate, one, mode=mode)
        if case.drive == "search":  # children take their values from parents
            facts |= _spread_facts(space, one.trials)
        facts["one seed, one result"] = one == same
        facts["another seed, another result"] = one != other
        return facts

    return guarded(run, (), {})


def _spread_facts(space: dict[str, Any], trials: Any) -> dict[str, Any]:
    """Collect what is true of settings that are drawn trial by trial and name by name."""
    smooth = [name for name, kind in space.items() if isinstance(kind, Uniform | LogUniform)]
    columns = [[trial.settings[name] for trial in trials] for name in smooth]
    orders = [sorted(range(len(column)), key=column.__getitem__) for column in columns]
    return {
        "every trial is new": all(len(set(column)) == len(trials) for column in columns),
        "names are drawn apart": len(trials) < 10 or all(
            one != other for one, other in itertools.combinations(orders, 2)),
    }


@driver("evolution")
def evolution(implementation: Any, case: Case, track: str) -> Trial:
    """The same, and that later generations are better than the first."""
    trial = search(implementation, case, track)
    if trial.error is not None:
        return trial
    space, evaluate = case.args
    size, sign = case.options["population"], 1 if case.options.get("mode") != "max" else -1

    def run() -> dict[str, Any]:
        trials, _ = implementation(space, evaluate, rng=to_track(Rng(7), track), **case.options)
        scores = [sign * trial.score for trial in trials]
        first, last = scores[:size], scores[-size:]
        return {**trial.outputs[0],
                "later generations are better": sum(last) < sum(first)
                or case.options["generations"] == 1}

    return guarded(run, (), {})


@driver("halving")
def halving(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(space, evaluate, rng=..., ...)`` with budgets: facts about the rounds."""
    space, evaluate = case.args
    mode = case.options.get("mode", "min")

    def run() -> dict[str, Any]:
        one, same = (
            implementation(space, evaluate, rng=to_track(Rng(5), track), **case.options)
            for _ in range(2)
        )
        facts = _search_facts(space, evaluate, one, mode=mode, budgets=True)
        rounds: dict[int, list[Any]] = {}
        for trial in one.trials:
            rounds.setdefault(trial.budget, []).append(trial)
        facts["budgets and sizes"] = [[budget, len(group)] for budget, group in rounds.items()]
        sign, kept = 1 if mode == "min" else -1, True
        for group, following in itertools.pairwise(rounds.values()):
            ranking = sorted(group, key=lambda trial: sign * trial.score)
            chosen = [trial.settings for trial in ranking[: len(following)]]
            kept &= all(trial.settings in chosen for trial in following)
        facts["the best go on"] = kept
        facts["nobody joins later"] = all(
            trial.settings in [before.settings for before in group]
            for group, following in itertools.pairwise(rounds.values()) for trial in following)
        facts["best is from the last round"] = one.best == min(
            list(rounds.values())[-1], key=lambda trial: sign * trial.score)
        facts["one seed, one result"] = one == same
        return facts

    return guarded(run, (), {})


@driver("checkpoint")
def checkpoint(implementation: Any, case: Case, track: str) -> Trial:
    """Save with the candidate and load with the reference, or the other way round.

    The candidate is known by its name in the contract: ``case.forward`` says which one it is.
    """
    ops = reference(track)
    content = to_track(dict(case.options), track)
    rng = content.get("rng")

    def run(**content: Any) -> tuple[Any, ...]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.npz"
            loads = case.forward == "load_checkpoint"
            (ops.save_checkpoint if loads else implementation)(path, **content)
            names = sorted(entry.name for entry in Path(folder).iterdir())
            found: Checkpoint = (implementation if loads else ops.load_checkpoint)(path)
        return (found.params, found.state, _draws(found.rng) == _draws(rng), found.step,
                dict(found.metadata), names)

    return guarded(run, (), content, tuple)


@driver("checkpoint_error")
def checkpoint_error(implementation: Any, case: Case, track: str) -> Trial:
    """Load a file that holds the given bytes; no bytes stand for no file."""
    def run() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.npz"
            if case.args[0]:
                path.write_bytes(case.args[0])
            return implementation(path)

    return guarded(run, (), {})


def _draws(rng: Any) -> Any:
    """Draw some numbers from a copy of a generator, or return None for None."""
    if rng is None:
        return None
    if hasattr(rng, "bit_generator"):
        state = rng.bit_generator.state
        numbers = rng.random(5).tolist()
        rng.bit_generator.state = state
        return numbers
    import torch

    before = rng.get_state()
    numbers = torch.rand(5, generator=rng).tolist()
    rng.set_state(before)
    return numbers
