"""Data and the training loop the PyTorch way: Dataset, DataLoader, devices, modes."""

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from nnlib.errors import check_count, check_number

__all__ = [
    "GreyImages",
    "collate_sequences",
    "evaluate_classifier",
    "fit_best",
    "move_to_device",
    "shuffled_epochs",
    "train_epoch",
]

Batches = Iterable[tuple[Tensor, Tensor]]
LossFunction = Callable[[Tensor, Tensor], Tensor]


class GreyImages(Dataset):
    """Images and their labels, one pair for each index.

    Parameters
    ----------
    images : tensor (n, h, w) of uint8
        Grey values from 0 to 255.
    labels : tensor (n,) of integers
    transform : callable, optional
        Applied to the finished image, each time that it is asked for.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> images = GreyImages(torch.full((4, 8, 8), 51, dtype=torch.uint8), torch.arange(4))
    >>> image, label = images[2]
    >>> len(images), image.shape, round(image.max().item(), 3), int(label)
    (4, torch.Size([1, 8, 8]), 0.2, 2)
    """

    def __init__(
        self, images: Tensor, labels: Tensor, *,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return the image (1, h, w), float32 in [0, 1], and its label."""
        image = self.images[index].float().div(255).unsqueeze(0)
        if self.transform is not None:
            image = self.transform(image)
        return image, self.labels[index]


def shuffled_epochs(
    x: Tensor, y: Tensor, *, batch_size: int, epochs: int, seed: int, drop_last: bool = False
) -> list[list[tuple[Tensor, Tensor]]]:
    """List the mini-batches of some epochs, each shuffled anew; the seed decides everything.

    Parameters
    ----------
    x, y : tensors with one row for each example
    batch_size, epochs : int
        At least 1.
    seed : int
        Of the generator that shuffles.
    drop_last : bool
        Leave out a last batch with fewer rows.

    Returns
    -------
    list of list of (x_batch, y_batch)

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> x = torch.arange(5)
    >>> (one, two) = shuffled_epochs(x, x, batch_size=2, epochs=2, seed=0)
    >>> [len(x_batch) for x_batch, _ in one]
    [2, 2, 1]
    """
    check_count("shuffled_epochs", "batch_size", batch_size, minimum=1)
    check_count("shuffled_epochs", "epochs", epochs, minimum=1)
    loader = DataLoader(
        TensorDataset(x, y), batch_size=batch_size, shuffle=True, drop_last=drop_last,
        generator=torch.Generator().manual_seed(seed))
    return [[(x_batch, y_batch) for x_batch, y_batch in loader] for _ in range(epochs)]


def collate_sequences(batch: Sequence[tuple[Tensor, int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Make one batch of sequences of different lengths: zeros fill up the shorter ones.

    Parameters
    ----------
    batch : list of (sequence, label)
        Sequences (t_i, d) of floats, all of one dtype; labels int.

    Returns
    -------
    padded : tensor (n, t, d)
        ``t`` is the length of the longest.
    lengths : tensor (n,) of int64
    labels : tensor (n,) of int64

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> padded, lengths, labels = collate_sequences([(torch.ones(3, 2), 7), (torch.ones(1, 2), 4)])
    >>> padded[1].tolist(), lengths.tolist(), labels.tolist()
    ([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]], [3, 1], [7, 4])
    """
    sequences = [sequence for sequence, _ in batch]
    device = sequences[0].device
    return (nn.utils.rnn.pad_sequence(sequences, batch_first=True),
            torch.tensor([len(sequence) for sequence in sequences], device=device),
            torch.tensor([label for _, label in batch], device=device))


def move_to_device(batch: Any, device: torch.device | str) -> Any:
    """Copy a batch to a device: every tensor in nested tuples, lists and dicts.

    Parameters
    ----------
    batch : tensor, tuple, list, dict, or anything else
        Anything that is none of these stays as it is.
    device : torch.device or str

    Returns
    -------
    The same structure with tensors on ``device``; the given containers are not changed.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> moved = move_to_device({"image": torch.zeros(2, 3), "files": ["a", "b"]}, "meta")
    >>> moved["image"].device.type, moved["files"]
    ('meta', ['a', 'b'])
    """
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {key: move_to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(move_to_device(value, device) for value in batch)
    return batch


def train_epoch(
    model: nn.Module, batches: Batches, loss_fn: LossFunction, *, learning_rate: float
) -> float:
    """Train for one epoch with gradient descent.

    Parameters
    ----------
    model : torch.nn.Module
        Its parameters are changed; in training mode afterwards.
    batches : iterable of (x, y)
    loss_fn : callable
        ``loss_fn(predictions, y)``, the mean over the rows.
    learning_rate : float

    Returns
    -------
    float
        The mean loss over all rows, each measured before its step.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> model, x = nn.Linear(1, 1), torch.linspace(-1, 1, 8)[:, None]
    >>> losses = [train_epoch(model, [(x, 3 * x)], nn.MSELoss(), learning_rate=0.5)
    ...           for _ in range(20)]
    >>> losses[-1] < 0.01
    True
    """
    check_number("train_epoch", "learning_rate", learning_rate, above=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    return _one_epoch(model, batches, loss_fn, optimizer)


def _one_epoch(
    model: nn.Module, batches: Batches, loss_fn: LossFunction, optimizer: torch.optim.Optimizer
) -> float:
    model.train()
    total, rows = 0.0, 0
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x)
        rows += len(x)
    return total / rows


@torch.no_grad()
def evaluate_classifier(model: nn.Module, batches: Batches) -> tuple[float, float]:
    """Measure a classifier without changing it.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode while it is measured; afterwards in the mode in which it came.
    batches : iterable of (x, labels)

    Returns
    -------
    loss : float
        The mean cross-entropy over all rows.
    accuracy : float
        The share of all rows whose largest score is that of their label.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> x = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
    >>> loss, accuracy = evaluate_classifier(nn.Identity(), [(x, torch.tensor([0, 1, 1]))])
    >>> round(loss, 3), round(accuracy, 3)
    (0.794, 0.667)
    """
    was_training = model.training
    model.eval()
    total, right, rows = 0.0, 0, 0
    for x, labels in batches:
        scores = model(x)
        total += nn.functional.cross_entropy(scores, labels, reduction="sum").item()
        right += int((scores.argmax(dim=1) == labels).sum())
        rows += len(x)
    model.train(was_training)
    return total / rows, right / rows


def fit_best(
    model: nn.Module, train_batches: Batches, validation_batches: Batches, loss_fn: LossFunction,
    *, epochs: int, learning_rate: float,
) -> dict[str, list[float]]:
    """Train with momentum 0.9 and give the model its best weights back.

    Parameters
    ----------
    model : torch.nn.Module
        Afterwards in evaluation mode, with the parameters and buffers that it had after the epoch
        with the lowest validation loss, the first of equals.
    train_batches, validation_batches : iterables of (x, y)
        Gone through once in each epoch.
    loss_fn : callable
        ``loss_fn(predictions, y)``, the mean over the rows.
    epochs : int
        At least 1.
    learning_rate : float

    Returns
    -------
    dict of str to list of float
        ``"loss"`` and ``"validation_loss"``, means over all rows of an epoch.

    References
    ----------
    Chapter 6, "Training".

    Examples
    --------
    >>> x = torch.linspace(-1, 1, 8)[:, None]
    >>> history = fit_best(nn.Linear(1, 1), [(x, 3 * x)], [(x, x)], nn.MSELoss(), epochs=4,
    ...                    learning_rate=0.1)
    >>> len(history["validation_loss"])
    4
    """
    check_count("fit_best", "epochs", epochs, minimum=1)
    check_number("fit_best", "learning_rate", learning_rate, above=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    history: dict[str, list[float]] = {"loss": [], "validation_loss": []}
    lowest, best = math.inf, model.state_dict()
    for _ in range(epochs):
        history["loss"].append(_one_epoch(model, train_batches, loss_fn, optimizer))
        model.eval()
        with torch.no_grad():
            parts = [(loss_fn(model(x), y).item(), len(x)) for x, y in validation_batches]
        value = sum(loss * n for loss, n in parts) / sum(n for _, n in parts)
        history["validation_loss"].append(value)
        if value < lowest:
            # A copy: state_dict() holds the tensors that the optimizer goes on changing.
            lowest, best = value, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return history
