"""Known mistakes of chapter 12: folds, scores of the folds, grids."""

import itertools

import numpy as np

from nnlib.contract import SearchResult, SearchTrial, SplitIndices
from nnlib.mistakes.registry import mistake

NUMPY = ("numpy",)

# ---------------------------------------------------------------- kfold_indices


@mistake("kfold_indices", tracks=NUMPY, hint="""
    The rows are shuffled anew for every fold, so some rows are tested twice and others never.
    Shuffle once, then share the rows out.""")
def folds_overlap(n, *, k, rng, labels=None):
    folds = []
    for fold in range(k):
        order = rng.permutation(n)
        if labels is not None:
            order = order[np.argsort(labels[order], kind="stable")]
        test = order[fold::k]
        folds.append(SplitIndices(np.setdiff1d(order, test), test))
    return folds


@mistake("kfold_indices", tracks=NUMPY, hint="""
    The training part holds all rows, those of the test part too. The score then says how well the
    model remembers.""", anchor="leak-in-folds")
def train_holds_the_test_rows(n, *, k, rng, labels=None):
    order = rng.permutation(n)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    return [SplitIndices(order, order[fold::k]) for fold in range(k)]


@mistake("kfold_indices", tracks=NUMPY, hint="""
    The labels are not used, so the classes are shared out by chance. A rare class can be missing
    from a whole fold.""", anchor="stratified")
def stratification_lost(n, *, k, rng, labels=None):
    order = rng.permutation(n)
    tests = [order[fold::k] for fold in range(k)]
    return [SplitIndices(np.setdiff1d(order, test), test) for test in tests]


@mistake("kfold_indices", tracks=NUMPY, hint="""
    The rows are not shuffled. Data often come sorted, by class or by day; then a fold is a class,
    or a day.""")
def rows_not_shuffled(n, *, k, rng, labels=None):
    order = np.arange(n)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    tests = [order[fold::k] for fold in range(k)]
    return [SplitIndices(np.setdiff1d(order, test), test) for test in tests]


@mistake("kfold_indices", tracks=NUMPY, hint="""
    The size of a fold is rounded down and the rest forgotten: where k does not divide n, some rows
    are never tested.""")
def rest_forgotten(n, *, k, rng, labels=None):
    order = rng.permutation(n)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    size = n // k
    tests = [order[: size * k][fold::k] for fold in range(k)]
    return [SplitIndices(np.setdiff1d(order, test), test) for test in tests]


@mistake("kfold_indices", tracks=NUMPY, hint="""
    The last fold takes all rows that are left over, and grows. The rest of the division should be
    shared out, one row each.""")
def rest_in_the_last_fold(n, *, k, rng, labels=None):
    order = rng.permutation(n)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
        tests = [order[fold::k] for fold in range(k)]
    else:
        size = n // k
        tests = [order[fold * size : (fold + 1) * size if fold < k - 1 else n]
                 for fold in range(k)]
    return [SplitIndices(np.setdiff1d(order, test), test) for test in tests]


@mistake("kfold_indices", tracks=NUMPY, hint="""
    Training and test part are swapped: you train on one fold and test on all others.""")
def parts_swapped(n, *, k, rng, labels=None):
    order = rng.permutation(n)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    tests = [order[fold::k] for fold in range(k)]
    return [SplitIndices(test, np.setdiff1d(order, test)) for test in tests]


# ---------------------------------------------------------------- cross_validate


@mistake("cross_validate", tracks=NUMPY, hint="""
    Mean and standard deviation are those of all rows. So the training part knows something about
    the test part: a leak. Take the statistics inside the loop.""")
def statistics_of_all_rows(x, y, folds, evaluate):
    std = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(std == 0, 1, std)
    return np.array([evaluate(z[train], y[train], z[test], y[test]) for train, test in folds])


@mistake("cross_validate", tracks=NUMPY, hint="""
    The test part is standardised by its own statistics. The same raw number then means something
    else in the two parts; and a single new row would always become 0.""")
def test_part_by_its_own(x, y, folds, evaluate):
    scores = []
    for train, test in folds:
        parts = []
        for rows in (train, test):
            std = x[rows].std(axis=0)
            parts.append((x[rows] - x[rows].mean(axis=0)) / np.where(std == 0, 1, std))
        scores.append(evaluate(parts[0], y[train], parts[1], y[test]))
    return np.array(scores)


@mistake("cross_validate", tracks=NUMPY, hint="""
    The features reach `evaluate` as they are. They should be standardised first, by the training
    part of each fold.""")
def not_standardised(x, y, folds, evaluate):
    return np.array([evaluate(x[train], y[train], x[test], y[test]) for train, test in folds])


@mistake("cross_validate", tracks=NUMPY, hint="""
    You return the mean. The scores of the folds are asked for: without them nobody knows how far
    they scatter.""", anchor="cross-validation")
def mean_returned(x, y, folds, evaluate):
    scores = []
    for train, test in folds:
        mean, std = x[train].mean(axis=0), x[train].std(axis=0)
        std = np.where(std == 0, 1, std)
        scores.append(evaluate((x[train] - mean) / std, y[train], (x[test] - mean) / std, y[test]))
    return np.mean(scores)


@mistake("cross_validate", tracks=NUMPY, hint="""
    The model is scored on the part that it was trained on. The test part comes third and
    fourth.""")
def scored_on_the_training_part(x, y, folds, evaluate):
    scores = []
    for train, _ in folds:
        mean, std = x[train].mean(axis=0), x[train].std(axis=0)
        z = (x[train] - mean) / np.where(std == 0, 1, std)
        scores.append(evaluate(z, y[train], z, y[train]))
    return np.array(scores)


@mistake("cross_validate", tracks=NUMPY, hint="""
    One number for all features: mean and standard deviation belong to each column. Which axis runs
    over the rows?""")
def one_number_for_all_features(x, y, folds, evaluate):
    scores = []
    for train, test in folds:
        mean, std = x[train].mean(), x[train].std() or 1.0
        scores.append(evaluate((x[train] - mean) / std, y[train], (x[test] - mean) / std, y[test]))
    return np.array(scores)


# ---------------------------------------------------------------- grid_search


@mistake("grid_search", tracks=NUMPY, hint="""
    The lists are walked through side by side, so each value is tried once. A grid tries every
    value with every other.""")
def lists_side_by_side(space, evaluate, *, mode="min"):
    trials, best = [], None
    for values in zip(*space.values(), strict=False):
        settings = dict(zip(space, values, strict=True))
        score = float(evaluate(settings))
        rank = np.inf if np.isnan(score) else score if mode == "min" else -score
        if best is None or rank < best[0]:
            best = (rank, len(trials), score)
        trials.append(SearchTrial(settings, score, best[2]))
    return SearchResult(trials, trials[best[1]])


@mistake("grid_search", tracks=NUMPY, hint="""
    Only one name changes at a time, the others keep their first value. The best pair of two names
    is never tried together.""")
def one_name_at_a_time(space, evaluate, *, mode="min"):
    start = {name: values[0] for name, values in space.items()}
    tried = [start] + [{**start, name: value} for name, values in space.items()
                       for value in values[1:]]
    trials, best = [], None
    for settings in tried:
        score = float(evaluate(settings))
        rank = np.inf if np.isnan(score) else score if mode == "min" else -score
        if best is None or rank < best[0]:
            best = (rank, len(trials), score)
        trials.append(SearchTrial(settings, score, best[2]))
    return SearchResult(trials, trials[best[1]])


@mistake("grid_search", tracks=NUMPY, hint="""
    The settings come in another order: the *last* name should change fastest, as the digits of a
    counter do.""")
def first_name_fastest(space, evaluate, *, mode="min"):
    trials, best = [], None
    for values in itertools.product(*reversed(list(space.values()))):
        settings = dict(zip(space, values[::-1], strict=True))
        score = float(evaluate(settings))
        rank = np.inf if np.isnan(score) else score if mode == "min" else -score
        if best is None or rank < best[0]:
            best = (rank, len(trials), score)
        trials.append(SearchTrial(settings, score, best[2]))
    return SearchResult(trials, trials[best[1]])


@mistake("grid_search", tracks=NUMPY, hint="""
    The smallest score always wins. With `mode="max"`, for an accuracy, that is the worst.""")
def mode_ignored(space, evaluate, *, mode="min"):
    trials, best = [], None
    for values in itertools.product(*space.values()):
        settings = dict(zip(space, values, strict=True))
        score = float(evaluate(settings))
        rank = np.inf if np.isnan(score) else score
        if best is None or rank < best[0]:
            best = (rank, len(trials), score)
        trials.append(SearchTrial(settings, score, best[2]))
    return SearchResult(trials, trials[best[1]])


@mistake("grid_search", tracks=NUMPY, hint="""
    A nan that comes first stays the best for ever, because no number is smaller than nan. A
    training that ended in nan is the worst of all.""", anchor="tuning-failures")
def nan_stays_the_best(space, evaluate, *, mode="min"):
    trials, best = [], None
    for values in itertools.product(*space.values()):
        settings = dict(zip(space, values, strict=True))
        score = float(evaluate(settings))
        rank = score if mode == "min" else -score
        if best is None or rank < best[0]:
            best = (rank, len(trials), score)
        trials.append(SearchTrial(settings, score, best[2]))
    return SearchResult(trials, trials[best[1]])


@mistake("grid_search", tracks=NUMPY, hint="""
    All trials hold the same dict, which the loop changes: in the end each shows the last settings.
    Make a new dict for every trial.""")
def settings_overwritten(space, evaluate, *, mode="min"):
    trials, best, settings = [], None, {}
    for values in itertools.product(*space.values()):
        settings.update(zip(space, values, strict=True))
        score = float(evaluate(settings))
        rank = np.inf if np.isnan(score) else score if mode == "min" else -score
        if best is None or rank < best[0]:
            best = (rank, len(trials), score)
        trials.append(SearchTrial(settings, score, best[2]))
    return SearchResult(trials, trials[best[1]])


@mistake("grid_search", tracks=NUMPY, hint="""
    Of equal scores the last one wins. The first should: a later setting must be better, not as
    good.""")
def last_of_equals(space, evaluate, *, mode="min"):
    trials, best = [], None
    for values in itertools.product(*space.values()):
        settings = dict(zip(space, values, strict=True))
        score = float(evaluate(settings))
        rank = np.inf if np.isnan(score) else score if mode == "min" else -score
        if best is None or rank <= best[0]:
            best = (rank, len(trials), score)
        trials.append(SearchTrial(settings, score, best[2]))
    return SearchResult(trials, trials[best[1]])
