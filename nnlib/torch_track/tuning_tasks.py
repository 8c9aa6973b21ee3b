"""What tuning needs around PyTorch: draws, loaders, an honest report, resuming, hypergradients."""

import io
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from nnlib.errors import check_count, check_number

__all__ = [
    "ResumableTraining",
    "Training",
    "fold_loaders",
    "hypergradient",
    "log_uniform",
    "select_and_report",
]

Pair = tuple[Tensor, Tensor]


def log_uniform(low: float, high: float, size: int, *, generator: torch.Generator) -> Tensor:
    """Draw numbers whose logarithms are uniform between those of ``low`` and ``high``.

    Parameters
    ----------
    low, high : float
        ``0 < low < high``.
    size : int
    generator : torch.Generator

    Returns
    -------
    tensor (size,)

    Raises
    ------
    ValueError
        If the ends are not positive and in order.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> draws = log_uniform(1e-4, 1.0, 1000, generator=torch.Generator().manual_seed(0))
    >>> 0.4 < float((draws < 0.01).float().mean()) < 0.6
    True
    """
    check_number("log_uniform", "low", low, above=0)
    check_number("log_uniform", "high", high, above=low)
    check_count("log_uniform", "size", size)
    places = torch.rand(size, generator=generator)
    return torch.exp(math.log(low) + places * math.log(high / low))


def fold_loaders(
    x: Tensor, y: Tensor, train: Tensor, test: Tensor, *, batch_size: int,
    generator: torch.Generator,
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Make the two loaders of a fold.

    Parameters
    ----------
    x, y : tensors (n, d), (n, ...)
    train, test : tensors of row numbers
    batch_size : int
    generator : torch.Generator
        Shuffles the training part anew in every epoch.

    Returns
    -------
    train_loader, test_loader : DataLoader
        Batches ``(x, y)``. The test part keeps its order. A last, smaller batch is kept.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> x, rows = torch.arange(6.0).reshape(6, 1), torch.arange(6)
    >>> _, test = fold_loaders(x, x, rows[:4], rows[4:], batch_size=2,
    ...                        generator=torch.Generator().manual_seed(0))
    >>> [batch.flatten().tolist() for batch, _ in test]
    [[4.0, 5.0]]
    """
    check_count("fold_loaders", "batch_size", batch_size, minimum=1)
    data = TensorDataset(x, y)
    return (
        DataLoader(Subset(data, train.tolist()), batch_size, shuffle=True, generator=generator),
        DataLoader(Subset(data, test.tolist()), batch_size),
    )


def _accuracy(model: nn.Module, part: Pair) -> float:
    x, y = part
    before = model.training
    model.eval()
    with torch.inference_mode():
        share = float((model(x).argmax(dim=1) == y).double().mean())
    model.train(before)
    return share


def select_and_report(
    models: Sequence[nn.Module], validation: Pair, test: Pair
) -> tuple[int, list[float], float]:
    """Choose a model by the validation part and measure that one on the test part.

    Parameters
    ----------
    models : sequence of nn.Module
        Map ``(n, d)`` to logits ``(n, classes)``. Left as they are, their mode included.
    validation, test : (x, y)
        ``x`` (n, d), ``y`` (n,) class numbers.

    Returns
    -------
    best : int
        The place of the model with the highest validation accuracy; of equal ones the first.
    validation_accuracies : list of float
    test_accuracy : float
        Of the chosen model.

    Raises
    ------
    ValueError
        If there are no models.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> x, y = torch.eye(2), torch.tensor([0, 1])
    >>> select_and_report([nn.Identity()], (x, y), (x, 1 - y))
    (0, [1.0], 0.0)
    """
    if len(models) == 0:
        raise ValueError("select_and_report: models must hold at least one, got none.")
    accuracies = [_accuracy(model, validation) for model in models]
    best = accuracies.index(max(accuracies))
    return best, accuracies, _accuracy(models[best], test)


class Training:
    """A training that can be run an epoch at a time: the part that the notebook gives.

    Parameters
    ----------
    x, y : tensors (n, d), (n, k)
    seed : int
        Of the generator that draws the weights and shuffles.
    learning_rate : float
        Falls along a cosine over ``epochs`` epochs.
    epochs : int

    Examples
    --------
    >>> training = Training(torch.ones(4, 2), torch.zeros(4, 1), seed=0)
    >>> training.run_epoch() > training.run_epoch()
    True
    """

    def __init__(self, x: Tensor, y: Tensor, *, seed: int, learning_rate: float = 0.05,
                 epochs: int = 10) -> None:
        self.x, self.y = x, y
        self.generator = torch.Generator().manual_seed(seed)
        self.model = nn.Linear(x.shape[1], y.shape[1], dtype=x.dtype)
        nn.init.normal_(self.model.weight, generator=self.generator)
        nn.init.zeros_(self.model.bias)
        self.optimizer = torch.optim.SGD(self.model.parameters(), learning_rate, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs)
        self.epoch = 0

    def run_epoch(self) -> float:
        """Train for one epoch in batches of 4; returns the mean loss of the batches."""
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

    def weights(self) -> list[Tensor]:
        """Return copies of the parameters."""
        return [p.detach().clone() for p in self.model.parameters()]


class ResumableTraining(Training):
    """A `Training` that another process can take up: bit for bit the same.

    References
    ----------
    Chapter 12, "Tuning".

    Examples
    --------
    >>> x = torch.arange(12.0).reshape(6, 2) / 12
    >>> one, other = ResumableTraining(x, x, seed=0), ResumableTraining(x, x, seed=1)
    >>> _ = one.run_epoch()
    >>> other.load(one.save())
    >>> one.run_epoch() == other.run_epoch()
    True
    """

    def save(self) -> bytes:
        """Return everything that the next epoch depends on, as the bytes of a file."""
        file = io.BytesIO()
        torch.save({
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "generator": self.generator.get_state(),
            "epoch": self.epoch,
        }, file)
        return file.getvalue()

    def load(self, data: bytes) -> None:
        """Take up a training from what `save` has returned."""
        saved = torch.load(io.BytesIO(data), weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved["scheduler"])
        self.generator.set_state(saved["generator"])
        self.epoch = saved["epoch"]


def hypergradient(
    w: Tensor, log_rate: Tensor, train: Pair, validation: Pair, *, steps: int
) -> tuple[Tensor, Tensor]:
    """Differentiate the validation loss after some steps with respect to the learning rate.

    Parameters
    ----------
    w : tensor (d, k)
        Where the descent starts. Left as it is.
    log_rate : tensor ()
        Logarithm of the learning rate.
    train, validation : (x, y)
        ``x`` (n, d), ``y`` (n, k).
    steps : int
        Steps of gradient descent on the mean squared error of the training part, all rows at once.

    Returns
    -------
    loss : tensor ()
        Mean squared error of the validation part at the end, without a graph.
    gradient : tensor ()
        Its derivative with respect to ``log_rate``.

    References
    ----------
    Chapter 12, "Tuning". D. Maclaurin, D. Duvenaud and R. Adams, "Gradient-based hyperparameter
    optimization through reversible learning", ICML 2015.

    Examples
    --------
    >>> x = y = torch.ones(1, 1, dtype=torch.float64)
    >>> w, log_rate = torch.zeros(1, 1, dtype=torch.float64), torch.tensor(0.25).double().log()
    >>> [round(float(each), 6) for each in hypergradient(w, log_rate, (x, y), (x, y), steps=1)]
    [0.25, -0.5]
    """
    check_count("hypergradient", "steps", steps)
    log_rate = log_rate.detach().clone().requires_grad_()
    w = w.detach().clone().requires_grad_()
    for _ in range(steps):
        loss = nn.functional.mse_loss(train[0] @ w, train[1])
        (gradient,) = torch.autograd.grad(loss, w, create_graph=True)
        w = w - torch.exp(log_rate) * gradient
    loss = nn.functional.mse_loss(validation[0] @ w, validation[1])
    if steps == 0:
        return loss.detach(), torch.zeros_like(log_rate.detach())
    (result,) = torch.autograd.grad(loss, log_rate)
    return loss.detach(), result
