"""One problem for all searches of chapter 12, with a meter that counts every epoch.

A small network learns 300 digits in 16 epochs. Four of its hyper-parameters can be chosen, all by
order of magnitude; a setting's score is the loss on 300 other digits. The training exists twice:
in NumPy, quick, and in PyTorch, where the score can be differentiated by the settings.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnlib.errors import check_count
from nnlib.sampling import LogUniform

__all__ = ["SPACE", "BudgetSpent", "Meter", "TuningProblem"]

#: What can be chosen. ``forgetting`` is 1 - momentum; ``init_scale`` multiplies Xavier's.
SPACE: dict[str, LogUniform] = {
    "learning_rate": LogUniform(1e-3, 3.0),
    "forgetting": LogUniform(0.01, 1.0),
    "weight_decay": LogUniform(1e-5, 0.3),
    "init_scale": LogUniform(0.03, 30.0),
}
#: The score of a training that diverged, and of every worse one.
WORST = 5.0


class TuningProblem:
    """Digits, split by a seed, and a network that is trained on them.

    Parameters
    ----------
    seed : int
        Of the split, the initial weights and the batches: one seed, one landscape.
    epochs : int
        Length of a full training.
    train_rows, validation_rows : int
        All other rows are the test part.

    Examples
    --------
    >>> problem = TuningProblem(0)
    >>> settings = {name: kind(0.5) for name, kind in SPACE.items()}
    >>> problem.train(settings)["validation_loss"] < problem.train(settings, epochs=1)[
    ...     "validation_loss"]
    True
    """

    def __init__(self, seed: int, *, epochs: int = 16, train_rows: int = 300,
                 validation_rows: int = 300, hidden: int = 24, batch_size: int = 50) -> None:
        from nnlib.data import load_digits

        check_count("TuningProblem", "epochs", epochs, minimum=1)
        digits, rng = load_digits(), np.random.default_rng(seed)
        order, x = rng.permutation(len(digits.y)), digits.x / 16
        cuts = np.split(order, [train_rows, train_rows + validation_rows])
        self.parts = {name: (x[rows], digits.y[rows])
                      for name, rows in zip(("train", "validation", "test"), cuts, strict=True)}
        self.epochs = epochs
        sizes = (x.shape[1], hidden, 10)
        self._start = [rng.normal(size=pair) * np.sqrt(2 / sum(pair))
                       for pair in itertools.pairwise(sizes)]
        # The same batches for every setting, so that settings differ in nothing else.
        self._batches = [rows for _ in range(64) for rows in
                         np.split(rng.permutation(train_rows), train_rows // batch_size)]
        self._per_epoch = train_rows // batch_size

    def train(self, settings: Mapping[str, float], epochs: int | None = None) -> dict[str, Any]:
        """Train from the start; returns losses, and which digits of each part are wrong.

        Parameters
        ----------
        settings : mapping
            One value for each name in `SPACE`.
        epochs : int, optional
            Default: a full training.
        """
        epochs = self.epochs if epochs is None else epochs
        params = self._descend(settings, epochs)
        found: dict[str, Any] = {}
        for name in ("validation", "test"):
            x, y = self.parts[name]
            with np.errstate(all="ignore"):
                logits = np.tanh(x @ params[0] + params[1]) @ params[2] + params[3]
                logits = logits - logits.max(axis=1, keepdims=True)
                losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]
            loss = float(losses.mean())
            found[f"{name}_loss"] = min(loss, WORST) if np.isfinite(loss) else WORST
            guess = logits.argmax(axis=1) if np.isfinite(loss) else np.full(len(y), -1)
            found[f"{name}_wrong"] = guess != y
        return found

    def _descend(self, settings: Mapping[str, float], epochs: int) -> list[Any]:
        rate, keep = settings["learning_rate"], 1 - settings["forgetting"]
        decay, scale = settings["weight_decay"], settings["init_scale"]
        x, y = self.parts["train"]
        targets = np.eye(10)[y]
        first, second = (scale * w for w in self._start)
        params = [first, np.zeros(first.shape[1]), second, np.zeros(10)]
        velocity = [np.zeros_like(p) for p in params]
        with np.errstate(all="ignore"):
            for rows in self._batches[: epochs * self._per_epoch]:
                z, t = x[rows], targets[rows]
                h = np.tanh(z @ params[0] + params[1])
                logits = h @ params[2] + params[3]
                p = np.exp(logits - logits.max(axis=1, keepdims=True))
                ds = (p / p.sum(axis=1, keepdims=True) - t) / len(rows)
                dh = (ds @ params[2].T) * (1 - h * h)
                grads = [z.T @ dh + decay * params[0], dh.sum(axis=0),
                         h.T @ ds + decay * params[2], ds.sum(axis=0)]
                for k in range(4):
                    velocity[k] = keep * velocity[k] + grads[k]
                    params[k] = params[k] - rate * velocity[k]
        return params

    def hypergradient(self, settings: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        """Return the validation loss and its derivative by the logarithm of every setting.

        The same training in PyTorch, all updates recorded, and one pass back through them.
        """
        import torch

        def tensor(value: Any) -> Any:
            return torch.tensor(value, dtype=torch.float64)

        logs = {name: tensor(np.log(settings[name])).requires_grad_() for name in SPACE}
        values = {name: torch.exp(value) for name, value in logs.items()}
        x, y = (torch.from_numpy(part) for part in self.parts["train"])
        first, second = (values["init_scale"] * torch.from_numpy(w) for w in self._start)
        params = [first, tensor(np.zeros(first.shape[1])).requires_grad_(), second,
                  tensor(np.zeros(10)).requires_grad_()]
        velocity = [torch.zeros_like(p) for p in params]
        for rows in self._batches[: self.epochs * self._per_epoch]:
            z, t = x[rows], y[rows]
            logits = torch.tanh(z @ params[0] + params[1]) @ params[2] + params[3]
            loss = torch.nn.functional.cross_entropy(logits, t)
            grads = list(torch.autograd.grad(loss, params, create_graph=True))
            for k in (0, 2):
                grads[k] = grads[k] + values["weight_decay"] * params[k]
            velocity = [(1 - values["forgetting"]) * v + g
                        for v, g in zip(velocity, grads, strict=True)]
            params = [p - values["learning_rate"] * v
                      for p, v in zip(params, velocity, strict=True)]
        x, y = (torch.from_numpy(part) for part in self.parts["validation"])
        loss = torch.nn.functional.cross_entropy(
            torch.tanh(x @ params[0] + params[1]) @ params[2] + params[3], y)
        slopes = torch.autograd.grad(loss, list(logs.values()))
        return loss.item(), {name: g.item() for name, g in zip(logs, slopes, strict=True)}


class BudgetSpent(Exception):  # noqa: N818 - an end, not an error
    """The epochs are used up."""


class Meter:
    """Scores settings and counts the epochs: the purse of one search.

    Parameters
    ----------
    problem : TuningProblem
    budget : int
        Epochs in all. A training that no longer fits raises `BudgetSpent`.

    Examples
    --------
    >>> meter = Meter(TuningProblem(0), budget=32)
    >>> score = meter({name: kind(0.5) for name, kind in SPACE.items()})
    >>> meter.spent, meter.best(32) == score
    (16, True)
    """

    def __init__(self, problem: TuningProblem, budget: int) -> None:
        self.problem, self.budget, self.spent = problem, budget, 0
        #: For each full training: epochs spent until its end, score, settings, all numbers.
        self.log: list[tuple[int, float, dict[str, float], dict[str, Any]]] = []

    def __call__(self, settings: Mapping[str, float], epochs: int | None = None) -> float:
        """Train and return the validation loss; only full trainings are noted."""
        epochs = self.problem.epochs if epochs is None else epochs
        self.pay(epochs)
        found = self.problem.train(settings, epochs)
        if epochs == self.problem.epochs:
            self.log.append((self.spent, found["validation_loss"], dict(settings), found))
        return found["validation_loss"]

    def pay(self, epochs: int) -> None:
        """Take epochs from the budget, or raise `BudgetSpent`."""
        if self.spent + epochs > self.budget:
            raise BudgetSpent
        self.spent += epochs

    def best(self, spent: float) -> float:
        """Return the best score of a full training that had ended by then, nan before the first."""
        return min((score for end, score, *_ in self.log if end <= spent), default=float("nan"))
