"""Known mistakes of chapter 12: random search and successive halving."""

import numpy as np

from nnlib.contract import SearchResult, SearchTrial
from nnlib.mistakes.registry import mistake

NUMPY = ("numpy",)

# ---------------------------------------------------------------- random_search


@mistake("random_search", tracks=NUMPY, hint="""
    The settings are drawn once, before the loop: all trials are the same. Draw inside.""")
def same_settings_every_time(space, evaluate, *, trials, rng, mode="min"):
    settings = {name: at(rng.random()) for name, at in space.items()}
    found, better = [], min if mode == "min" else max
    for _ in range(trials):
        score = float(evaluate(settings))
        best = better(found[-1].best, score) if found else score
        found.append(SearchTrial(settings, score, best))
    return SearchResult(found, better(found, key=lambda trial: trial.score))


@mistake("random_search", tracks=NUMPY, hint="""
    One random number serves all names of a trial, so the settings lie on a diagonal: a high
    learning rate always comes with a high dropout. Every name needs a number of its own.""")
def one_number_for_all_names(space, evaluate, *, trials, rng, mode="min"):
    found, better = [], min if mode == "min" else max
    for _ in range(trials):
        place = rng.random()
        settings = {name: at(place) for name, at in space.items()}
        score = float(evaluate(settings))
        best = better(found[-1].best, score) if found else score
        found.append(SearchTrial(settings, score, best))
    return SearchResult(found, better(found, key=lambda trial: trial.score))


@mistake("random_search", tracks=NUMPY, hint="""
    The generator that you get is not used; you make one with a fixed seed. Every search then tries
    the same settings, and a spread over seeds is 0.""")
def generator_of_its_own(space, evaluate, *, trials, rng, mode="min"):
    rng = np.random.default_rng(0)
    found, better = [], min if mode == "min" else max
    for _ in range(trials):
        settings = {name: at(rng.random()) for name, at in space.items()}
        score = float(evaluate(settings))
        best = better(found[-1].best, score) if found else score
        found.append(SearchTrial(settings, score, best))
    return SearchResult(found, better(found, key=lambda trial: trial.score))


@mistake("random_search", tracks=NUMPY, hint="""
    `best` of a trial is its own score. It should be the best score up to and including this trial:
    a curve that never gets worse.""", anchor="best-so-far")
def best_so_far_is_the_score(space, evaluate, *, trials, rng, mode="min"):
    found, better = [], min if mode == "min" else max
    for _ in range(trials):
        settings = {name: at(rng.random()) for name, at in space.items()}
        score = float(evaluate(settings))
        found.append(SearchTrial(settings, score, score))
    return SearchResult(found, better(found, key=lambda trial: trial.score))


@mistake("random_search", tracks=NUMPY, hint="""
    You return the last trial as the best. Which one has the best score?""")
def last_trial_returned(space, evaluate, *, trials, rng, mode="min"):
    found, better = [], min if mode == "min" else max
    for _ in range(trials):
        settings = {name: at(rng.random()) for name, at in space.items()}
        score = float(evaluate(settings))
        best = better(found[-1].best, score) if found else score
        found.append(SearchTrial(settings, score, best))
    return SearchResult(found, found[-1])


@mistake("random_search", tracks=NUMPY, hint="""
    The smallest score always wins. With `mode="max"`, for an accuracy, that is the worst.""")
def smallest_always_wins(space, evaluate, *, trials, rng, mode="min"):
    found = []
    for _ in range(trials):
        settings = {name: at(rng.random()) for name, at in space.items()}
        score = float(evaluate(settings))
        best = min(found[-1].best, score) if found else score
        found.append(SearchTrial(settings, score, best))
    return SearchResult(found, min(found, key=lambda trial: trial.score))


@mistake("random_search", tracks=NUMPY, hint="""
    The settings that you note are not those that you tried: they are drawn a second time. Keep the
    dict and use it for both.""")
def noted_other_settings(space, evaluate, *, trials, rng, mode="min"):
    found, better = [], min if mode == "min" else max
    for _ in range(trials):
        score = float(evaluate({name: at(rng.random()) for name, at in space.items()}))
        settings = {name: at(rng.random()) for name, at in space.items()}
        best = better(found[-1].best, score) if found else score
        found.append(SearchTrial(settings, score, best))
    return SearchResult(found, better(found, key=lambda trial: trial.score))


# ---------------------------------------------------------------- successive_halving


@mistake("successive_halving", tracks=NUMPY, hint="""
    The budget stays what it was. Those who go on should get `factor` times as much, or the later
    rounds tell nothing new.""")
def budget_never_grows(space, evaluate, *, candidates, min_budget=1, factor=2, rng, mode="min"):
    sign, found = 1 if mode == "min" else -1, []
    field = [{name: at(rng.random()) for name, at in space.items()} for _ in range(candidates)]
    while True:
        group = []
        for settings in field:
            score = float(evaluate(settings, min_budget))
            best = sign * min(sign * score, sign * found[-1].best) if found else score
            found.append(SearchTrial(settings, score, best, min_budget))
            group.append(found[-1])
        group.sort(key=lambda trial: sign * trial.score)
        if len(field) == 1:
            return SearchResult(found, group[0])
        field = [trial.settings for trial in group[: max(1, len(field) // factor)]]


@mistake("successive_halving", tracks=NUMPY, hint="""
    The worst go on, the best are dropped. Look at the direction in which you sort.""")
def worst_go_on(space, evaluate, *, candidates, min_budget=1, factor=2, rng, mode="min"):
    sign, found, budget = 1 if mode == "min" else -1, [], min_budget
    field = [{name: at(rng.random()) for name, at in space.items()} for _ in range(candidates)]
    while True:
        group = []
        for settings in field:
            score = float(evaluate(settings, budget))
            best = sign * min(sign * score, sign * found[-1].best) if found else score
            found.append(SearchTrial(settings, score, best, budget))
            group.append(found[-1])
        group.sort(key=lambda trial: -sign * trial.score)
        if len(field) == 1:
            return SearchResult(found, group[0])
        field = [trial.settings for trial in group[: max(1, len(field) // factor)]]
        budget *= factor


@mistake("successive_halving", tracks=NUMPY, hint="""
    Every round draws new settings, so nobody ever gets the larger budget that they have earned.
    Those who go on come from the round before.""")
def drawn_anew_each_round(space, evaluate, *, candidates, min_budget=1, factor=2, rng,
                          mode="min"):
    sign, found, budget, count = 1 if mode == "min" else -1, [], min_budget, candidates
    while True:
        group = []
        for _ in range(count):
            settings = {name: at(rng.random()) for name, at in space.items()}
            score = float(evaluate(settings, budget))
            best = sign * min(sign * score, sign * found[-1].best) if found else score
            found.append(SearchTrial(settings, score, best, budget))
            group.append(found[-1])
        if count == 1:
            return SearchResult(found, group[0])
        count = max(1, count // factor)
        budget *= factor


@mistake("successive_halving", tracks=NUMPY, hint="""
    The best of all trials is returned, whatever its budget. Scores of different budgets don't
    compare; the winner is the one that is left.""")
def best_of_all_rounds(space, evaluate, *, candidates, min_budget=1, factor=2, rng, mode="min"):
    sign, found, budget = 1 if mode == "min" else -1, [], min_budget
    field = [{name: at(rng.random()) for name, at in space.items()} for _ in range(candidates)]
    while True:
        group = []
        for settings in field:
            score = float(evaluate(settings, budget))
            best = sign * min(sign * score, sign * found[-1].best) if found else score
            found.append(SearchTrial(settings, score, best, budget))
            group.append(found[-1])
        group.sort(key=lambda trial: sign * trial.score)
        if len(field) == 1:
            return SearchResult(found, min(found, key=lambda trial: sign * trial.score))
        field = [trial.settings for trial in group[: max(1, len(field) // factor)]]
        budget *= factor


@mistake("successive_halving", tracks=NUMPY, hint="""
    The number that goes on is rounded up. Of 11 with factor 2, five go on.""")
def rounded_up(space, evaluate, *, candidates, min_budget=1, factor=2, rng, mode="min"):
    sign, found, budget = 1 if mode == "min" else -1, [], min_budget
    field = [{name: at(rng.random()) for name, at in space.items()} for _ in range(candidates)]
    while True:
        group = []
        for settings in field:
            score = float(evaluate(settings, budget))
            best = sign * min(sign * score, sign * found[-1].best) if found else score
            found.append(SearchTrial(settings, score, best, budget))
            group.append(found[-1])
        group.sort(key=lambda trial: sign * trial.score)
        if len(field) == 1:
            return SearchResult(found, group[0])
        field = [trial.settings for trial in group[: -(-len(field) // factor)]]
        budget *= factor


@mistake("successive_halving", tracks=NUMPY, hint="""
    The last one left is never trained with the largest budget. The loop stops one round too
    early.""")
def last_round_missing(space, evaluate, *, candidates, min_budget=1, factor=2, rng, mode="min"):
    sign, found, budget = 1 if mode == "min" else -1, [], min_budget
    field = [{name: at(rng.random()) for name, at in space.items()} for _ in range(candidates)]
    while True:
        group = []
        for settings in field:
            score = float(evaluate(settings, budget))
            best = sign * min(sign * score, sign * found[-1].best) if found else score
            found.append(SearchTrial(settings, score, best, budget))
            group.append(found[-1])
        group.sort(key=lambda trial: sign * trial.score)
        if len(field) // factor <= 1:
            return SearchResult(found, group[0])
        field = [trial.settings for trial in group[: len(field) // factor]]
        budget *= factor


@mistake("successive_halving", tracks=NUMPY, hint="""
    Half of them go on and the budget doubles, whatever `factor` says.""")
def factor_ignored(space, evaluate, *, candidates, min_budget=1, factor=2, rng, mode="min"):
    sign, found, budget = 1 if mode == "min" else -1, [], min_budget
    field = [{name: at(rng.random()) for name, at in space.items()} for _ in range(candidates)]
    while True:
        group = []
        for settings in field:
            score = float(evaluate(settings, budget))
            best = sign * min(sign * score, sign * found[-1].best) if found else score
            found.append(SearchTrial(settings, score, best, budget))
            group.append(found[-1])
        group.sort(key=lambda trial: sign * trial.score)
        if len(field) == 1:
            return SearchResult(found, group[0])
        field = [trial.settings for trial in group[: max(1, len(field) // 2)]]
        budget *= 2
