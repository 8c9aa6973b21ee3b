"""Right answers written differently: each must earn full points."""

import io
import json
import math
import zipfile

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from nnlib.contract import Checkpoint, SearchResult, SearchTrial, SplitIndices

# ---------------------------------------------------------------- NumPy


def kfold_indices__numbers_of_folds(n, *, k, rng, labels=None):
    number = np.empty(n, dtype=int)
    if labels is None:
        number[rng.permutation(n)] = np.arange(n) % k
    else:
        start = 0
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero(labels == label))
            number[rows] = (start + np.arange(len(rows))) % k
            start += len(rows)
    rows = np.arange(n)
    return [SplitIndices(rows[number != fold], rows[number == fold]) for fold in range(k)]


def kfold_indices__array_split(n, *, k, rng, labels=None):
    if labels is None:
        tests = np.array_split(rng.permutation(n), k)
    else:
        order = rng.permutation(n)
        order = order[np.argsort(labels[order], kind="stable")]
        tests = [[] for _ in range(k)]
        for place, row in enumerate(order):
            tests[place % k].append(row)
        tests = [np.array(test) for test in tests]
    return [(np.concatenate(tests[:i] + tests[i + 1 :]), tests[i]) for i in range(k)]


def cross_validate__columns(x, y, folds, evaluate):
    scores = np.zeros(len(folds))
    for place, (train, test) in enumerate(folds):
        parts = np.empty((len(train), x.shape[1])), np.empty((len(test), x.shape[1]))
        for j in range(x.shape[1]):
            column = x[train, j]
            middle = column.sum() / len(column)
            width = np.sqrt(((column - middle) ** 2).mean())
            for part, rows in zip(parts, (train, test), strict=True):
                part[:, j] = (x[rows, j] - middle) / (width if width > 0 else 1.0)
        scores[place] = evaluate(parts[0], y[train], parts[1], y[test])
    return scores


def cross_validate__all_rows_transformed(x, y, folds, evaluate):
    def one(train, test):
        std = np.std(x[train], axis=0)
        z = (x - np.mean(x[train], axis=0)) / np.where(std > 0, std, 1.0)
        return evaluate(z[train], y[train], z[test], y[test])

    return np.array([one(train, test) for train, test in folds])


def grid_search__recursion(space, evaluate, *, mode="min"):
    names, sign = list(space), 1 if mode == "min" else -1

    def combine(names):
        if not names:
            yield {}
            return
        for value in space[names[0]]:
            for rest in combine(names[1:]):
                yield {names[0]: value, **rest}

    trials, best = [], None
    for settings in combine(names):
        score = float(evaluate(dict(settings)))
        key = math.inf if math.isnan(score) else sign * score
        if best is None or key < best[0]:
            best = (key, settings, score)
        trials.append(SearchTrial(settings, score, best[2]))
    (chosen,) = [trial for trial in trials if trial.settings is best[1]]
    return SearchResult(trials, chosen)


def grid_search__counter(space, evaluate, *, mode="min"):
    sizes = [len(values) for values in space.values()]
    trials, place = [], 0
    for indices in np.ndindex(*sizes):
        settings = {name: space[name][i] for name, i in zip(space, indices, strict=True)}
        score = evaluate(settings)
        worse = np.isnan(score) or (trials and not np.isnan(trials[place].score) and not (
            score < trials[place].score if mode == "min" else score > trials[place].score))
        if not worse:
            place = len(trials)
        trials.append(SearchTrial(settings, score, score if not worse or not trials
                                  else trials[place].score))
    return trials, trials[place]


def random_search__all_drawn_first(space, evaluate, *, trials, rng, mode="min"):
    places = rng.random((trials, len(space)))
    drawn = [{name: at(float(place)) for (name, at), place in zip(space.items(), row, strict=True)}
             for row in places]
    scores = [evaluate(settings) for settings in drawn]
    ranks = np.array(scores) if mode == "min" else -np.array(scores)
    best = [scores[int(np.argmin(ranks[: k + 1]))] for k in range(trials)]
    found = [SearchTrial(*each) for each in zip(drawn, scores, best, strict=True)]
    return SearchResult(found, found[int(np.argmin(ranks))])


def random_search__best_kept(space, evaluate, *, trials, rng, mode="min"):
    found, chosen = [], None
    while len(found) < trials:
        settings = {}
        for name in space:
            settings[name] = space[name](rng.uniform())
        score = evaluate(settings)
        wins = chosen is None or (score < chosen.score if mode == "min" else score > chosen.score)
        trial = SearchTrial(settings, score, score if wins else chosen.score)
        chosen = trial if wins else chosen
        found.append(trial)
    return SearchResult(found, chosen)


def successive_halving__recursion(space, evaluate, *, candidates, min_budget=1, factor=2, rng,
                                  mode="min"):
    sign, found = 1 if mode == "min" else -1, []

    def play(field, budget):
        group = []
        for settings in field:
            score = evaluate(dict(settings), budget)
            before = [found[-1].best] if found else []
            best = sign * min(sign * value for value in [*before, score])
            found.append(SearchTrial(settings, score, best, budget))
            group.append(found[-1])
        if len(group) == 1:
            return group[0]
        group = sorted(group, key=lambda trial: sign * trial.score)
        return play([trial.settings for trial in group[: max(1, len(group) // factor)]],
                    budget * factor)

    field = [{name: at(rng.random()) for name, at in space.items()} for _ in range(candidates)]
    return SearchResult(found, play(field, min_budget))


def successive_halving__argsort(space, evaluate, *, candidates, min_budget=1, factor=2, rng,
                                mode="min"):
    drawn = [{name: at(rng.random()) for name, at in space.items()} for _ in range(candidates)]
    alive, budget, rows = np.arange(candidates), min_budget, []
    while len(alive):
        scores = np.array([evaluate(drawn[i], budget) for i in alive])
        rows += [(drawn[i], float(score), budget) for i, score in zip(alive, scores, strict=True)]
        if len(alive) == 1:
            break
        order = np.argsort(scores if mode == "min" else -scores, kind="stable")
        alive = alive[order[: max(1, len(alive) // factor)]]
        budget = budget * factor
    best = (np.minimum if mode == "min" else np.maximum).accumulate([row[1] for row in rows])
    trials = [SearchTrial(s, score, float(b), budget)
              for (s, score, budget), b in zip(rows, best, strict=True)]
    return SearchResult(trials, trials[-1])


def checkpoint_to_bytes__compressed(params, state, rng, *, step):
    memories = {key: value for key, value in state.items() if isinstance(value, dict)}
    numbers = {key: value for key, value in state.items() if key not in memories}
    arrays = {"params/" + name: p for name, p in params.items()}
    arrays |= {"/".join(("state", key, name)): a for key in memories
               for name, a in memories[key].items()}
    header = {"numbers": numbers, "step": step, "rng": dict(rng.bit_generator.state)}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays, header=json.dumps(header, indent=1))
    return file.getvalue()


def checkpoint_to_bytes__zip_by_hand(params, state, rng, *, step):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:

        def add(name, array):
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)

        for name, p in params.items():
            add(f"params/{name}", p)
        numbers = {}
        for key, value in state.items():
            if hasattr(value, "items"):
                for name, array in value.items():
                    add(f"state/{key}/{name}", array)
            else:
                numbers[key] = value
        add("header", np.array(json.dumps(
            {"step": step, "rng": rng.bit_generator.state, "numbers": numbers})))
    return file.getvalue()


def checkpoint_from_bytes__generator_set(data):
    archive = np.load(io.BytesIO(data))
    content = {key: archive[key] for key in archive.files}
    header = json.loads(content.pop("header").item())
    params = {key[len("params/") :]: a for key, a in content.items() if key.startswith("params/")}
    state = {}
    for key, array in content.items():
        if key.startswith("state/"):
            memory, name = key[len("state/") :].split("/", 1)
            state[memory] = {**state.get(memory, {}), name: array}
    rng = np.random.default_rng()
    rng.bit_generator.state = header["rng"]
    return Checkpoint(params, {**header["numbers"], **state}, rng, header["step"], {})


def checkpoint_from_bytes__patterns(data):
    params, state = {}, {}
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        text = str(archive["header"][()])
        for key, array in archive.items():
            match key.split("/"):
                case ["params", *name]:
                    params["/".join(name)] = array
                case ["state", memory, *name]:
                    state.setdefault(memory, {})["/".join(name)] = array
    header = json.loads(text)
    state.update(header["numbers"])
    rng = np.random.Generator(np.random.PCG64(1))
    rng.bit_generator.state = header["rng"]
    return Checkpoint(params=params, state=state, rng=rng, step=int(header["step"]), metadata={})


# ---------------------------------------------------------------- PyTorch


class Training:
    """What the notebook's setup cell gives."""

    def __init__(self, x, y, *, seed, learning_rate=0.05, epochs=10):
        self.x, self.y = x, y
        self.generator = torch.Generator().manual_seed(seed)
        self.model = nn.Linear(x.shape[1], y.shape[1], dtype=x.dtype)
        nn.init.normal_(self.model.weight, generator=self.generator)
        nn.init.zeros_(self.model.bias)
        self.optimizer = torch.optim.SGD(self.model.parameters(), learning_rate, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs)
        self.epoch = 0

    def run_epoch(self):
        losses = []
        for rows in torch.randperm(len(self.x), generator=self.generator).split(4):
            loss = nn.functional.mse_loss(self.model(self.x[rows]), self.y[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        self.scheduler.step()
        self.epoch += 1
        return sum(losses) / len(losses)

    def weights(self):
        return [p.detach().clone() for p in self.model.parameters()]


def log_uniform__torch__uniform_in_place(low, high, size, *, generator):
    draws = torch.empty(size, dtype=torch.float64)
    return draws.uniform_(math.log(low), math.log(high), generator=generator).exp_()


def log_uniform__torch__powers_of_ten(low, high, size, *, generator):
    ends = torch.tensor([low, high]).log10()
    return 10 ** torch.lerp(ends[0], ends[1], torch.rand(size, generator=generator))


def fold_loaders__torch__subsets(x, y, train, test, *, batch_size, generator):
    data = TensorDataset(x, y)
    return [DataLoader(Subset(data, train.tolist()), batch_size, shuffle=True,
                       generator=generator),
            DataLoader(Subset(data, test.tolist()), batch_size, shuffle=False)]


def fold_loaders__torch__sampler(x, y, train, test, *, batch_size, generator):
    part = TensorDataset(x[train], y[train])
    sampler = torch.utils.data.RandomSampler(part, generator=generator)
    return (DataLoader(part, batch_size, sampler=sampler),
            DataLoader(TensorDataset(x[test], y[test]), batch_size))


def select_and_report__torch__no_grad(models, validation, test):
    shares, modes = [], [model.training for model in models]
    for model in models:
        model.train(False)
        with torch.no_grad():
            guess = model(validation[0]).max(dim=1).indices
        shares.append(float((guess == validation[1]).sum()) / len(guess))
    best = max(range(len(models)), key=lambda place: (shares[place], -place))
    with torch.no_grad():
        guess = models[best](test[0]).max(dim=1).indices
    for model, mode in zip(models, modes, strict=True):
        model.train(mode)
    return best, shares, float((guess == test[1]).sum()) / len(guess)


def select_and_report__torch__strictly_better(models, validation, test):
    @torch.inference_mode()
    def measure(model, part):
        training = model.training
        try:
            model.eval()
            return torch.mean((torch.argmax(model(part[0]), -1) == part[1]).double()).item()
        finally:
            model.train(training)

    best, shares = 0, []
    for place, model in enumerate(models):
        shares.append(measure(model, validation))
        if shares[place] > shares[best]:
            best = place
    return best, shares, measure(models[best], test)


class ResumableTraining__torch__one_by_one(Training):
    def save(self):
        file = io.BytesIO()
        torch.save([self.model.state_dict(), self.optimizer.state_dict(),
                    self.scheduler.state_dict(), self.generator.get_state(), self.epoch], file)
        return file.getvalue()

    def load(self, data):
        model, optimizer, scheduler, generator, self.epoch = torch.load(
            io.BytesIO(data), weights_only=True)
        self.scheduler.load_state_dict(scheduler)
        self.generator.set_state(generator)
        self.optimizer.load_state_dict(optimizer)
        self.model.load_state_dict(model)


class ResumableTraining__torch__generator_replaced(Training):
    def save(self):
        file = io.BytesIO()
        torch.save({"weights": [p.detach() for p in self.model.parameters()],
                    "optimizer": self.optimizer.state_dict(),
                    "scheduler": self.scheduler.state_dict(),
                    "draws": self.generator.get_state(), "count": torch.tensor(self.epoch)}, file)
        return file.getvalue()

    def load(self, data):
        found = torch.load(io.BytesIO(data), weights_only=True)
        with torch.no_grad():
            for p, value in zip(self.model.parameters(), found["weights"], strict=True):
                p.copy_(value)
        self.optimizer.load_state_dict(found["optimizer"])
        self.scheduler.load_state_dict(found["scheduler"])
        self.generator = torch.Generator()
        self.generator.set_state(found["draws"])
        self.epoch = int(found["count"])


def hypergradient__torch__backward(w, log_rate, train, validation, *, steps):
    rate_log = torch.tensor(log_rate.item(), dtype=log_rate.dtype, requires_grad=True)
    point = w.detach().clone()
    x, y = train
    for _ in range(steps):
        gradient = 2 * x.T @ (x @ point - y) / y.numel()  # by hand, so nothing to record twice
        point = point - rate_log.exp() * gradient
    loss = ((validation[0] @ point - validation[1]) ** 2).mean()
    loss.backward()
    return loss.detach(), rate_log.grad


def hypergradient__torch__forward_mode(w, log_rate, train, validation, *, steps):
    """Carry the derivative along with the weights."""
    point, rate = w.detach().clone(), log_rate.detach().exp()
    moved = torch.zeros_like(point)
    (x, y), (x_new, y_new) = train, validation
    for _ in range(steps):
        gradient = 2 * x.T @ (x @ point - y) / y.numel()
        change = 2 * x.T @ (x @ moved) / y.numel()
        moved = moved - rate * gradient - rate * change
        point = point - rate * gradient
    fault = x_new @ point - y_new
    return (fault**2).mean(), (2 * fault * (x_new @ moved)).mean()


