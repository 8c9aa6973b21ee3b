"""Regularization the PyTorch way: modules that switch themselves off, penalties, a loop."""

import copy
import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from nnlib.errors import check_count, check_labels, check_number, check_shape
from nnlib.torch_track.augmentation import random_shift
from nnlib.torch_track.dropout import dropout_forward

__all__ = ["DropoutModule", "RandomShift", "fit_with_patience", "mixup_loss", "weight_penalty"]

Batches = Iterable[tuple[Tensor, Tensor]]
LossFunction = Callable[[Tensor, Tensor], Tensor]


class DropoutModule(nn.Module):
    """Dropout that draws from a generator of its own; nothing happens in evaluation mode.

    Parameters
    ----------
    drop_prob : float, at least 0 and less than 1
    generator : torch.Generator
        Draws a new mask in each call in training mode.

    References
    ----------
    Chapter 10, "Regularization".

    Examples
    --------
    >>> layer = DropoutModule(0.5, generator=torch.Generator().manual_seed(0))
    >>> sorted(set(layer(torch.ones(100)).tolist())), layer.eval()(torch.ones(2)).tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """

    def __init__(self, drop_prob: float = 0.5, *, generator: torch.Generator) -> None:
        super().__init__()
        check_number("DropoutModule", "drop_prob", drop_prob, low=0, below=1)
        self.drop_prob, self.generator = drop_prob, generator

    def forward(self, x: Tensor) -> Tensor:
        """Drop in training mode, return x otherwise; the gradient takes the same way."""
        y, _ = dropout_forward(
            x, drop_prob=self.drop_prob, training=self.training, rng=self.generator)
        return y


class RandomShift(nn.Module):
    """Move each image of a batch by whole pixels; nothing happens in evaluation mode.

    Parameters
    ----------
    max_shift : int
        Both distances are drawn from ``-max_shift, ..., max_shift``, for each image by itself.
    generator : torch.Generator
        Draws anew in each call in training mode.

    References
    ----------
    Chapter 10, "Regularization".

    Examples
    --------
    >>> layer, images = RandomShift(1, generator=torch.Generator()), torch.ones(2, 1, 3, 3)
    >>> layer(images).shape, layer.eval()(images).equal(images)
    (torch.Size([2, 1, 3, 3]), True)
    """

    def __init__(self, max_shift: int, *, generator: torch.Generator) -> None:
        super().__init__()
        check_count("RandomShift", "max_shift", max_shift)
        self.max_shift, self.generator = max_shift, generator

    def forward(self, images: Tensor) -> Tensor:
        """Return the images (n, c, h, w), moved in training mode."""
        return random_shift(images, max_shift=self.max_shift, training=self.training,
                            rng=self.generator)


def weight_penalty(model: nn.Module, *, l1: float = 0.0, l2: float = 0.0) -> Tensor:
    """Add up ``l1 * sum |w| + l2 / 2 * sum w^2`` over a model's weights.

    Parameters
    ----------
    model : nn.Module
        Its trainable parameters with two or more axes count, each once: no biases, no factors of
        normalization.
    l1, l2 : float
        At least 0.

    Returns
    -------
    tensor ()
        Part of the graph: add it to the loss before `backward`.

    Raises
    ------
    ValueError
        If a strength is negative, or the model has no weights.

    References
    ----------
    Chapter 10, "Regularization".

    Examples
    --------
    >>> layer = nn.Linear(2, 1)
    >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, -1.0]]))
    >>> weight_penalty(layer, l1=0.5).item(), weight_penalty(layer, l2=0.5).item()
    (2.0, 2.5)
    """
    check_number("weight_penalty", "l1", l1, low=0)
    check_number("weight_penalty", "l2", l2, low=0)
    weights = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    if not weights:
        raise ValueError("weight_penalty: model must have a trainable parameter with two or more "
                         "axes, got none. Biases and normalization are not penalised.")
    parts = [l1 * w.abs().sum() + l2 / 2 * w.square().sum() for w in weights]
    return torch.stack(parts).sum()


def mixup_loss(logits: Tensor, labels: Tensor, partner_labels: Tensor, shares: Tensor) -> Tensor:
    """Compute the cross-entropy of blended examples: each label counts with its share.

    Parameters
    ----------
    logits : tensor (n, k)
    labels, partner_labels : tensors (n,) of integers
        The classes of the two examples that were blended.
    shares : tensor (n,)
        The share of the first, from 0 to 1.

    Returns
    -------
    tensor ()
        The mean over the rows.

    Raises
    ------
    ShapeError, DtypeError, ValueError
        If shapes do not fit, or labels are no class numbers.

    References
    ----------
    Chapter 10, "Regularization".

    Examples
    --------
    >>> logits = torch.tensor([[2.0, 0.0]])
    >>> loss = mixup_loss(logits, torch.tensor([0]), torch.tensor([1]), torch.tensor([0.75]))
    >>> round(loss.item(), 4)  # 0.75 * 0.1269 + 0.25 * 2.1269
    0.6269
    """
    n, k = logits.shape
    check_labels("mixup_loss", labels, k, n=n)
    check_labels("mixup_loss", partner_labels, k, n=n, name="partner_labels")
    check_shape("mixup_loss", "shares", shares, (n,))
    own, other = (nn.functional.cross_entropy(logits, classes, reduction="none")
                  for classes in (labels, partner_labels))
    return (shares * own + (1 - shares) * other).mean()


def fit_with_patience(
    model: nn.Module, train_batches: Batches, validation_batches: Batches,
    loss_fn: LossFunction, *, max_epochs: int, patience: int, learning_rate: float,
    weight_decay: float,
) -> list[float]:
    """Train with weight decay until the validation loss stops falling, then go back to its best.

    Parameters
    ----------
    model : nn.Module
        Afterwards in evaluation mode, with the parameters and buffers of the best epoch.
    train_batches, validation_batches : iterables of (x, y)
        Gone through once in each epoch.
    loss_fn : callable
        ``loss_fn(predictions, y)``, the mean over the rows.
    max_epochs, patience : int
        At least 1. Training ends after ``patience`` epochs in a row without a lower validation
        loss.
    learning_rate, weight_decay : float
        Of `torch.optim.SGD`. Only parameters with two or more axes decay.

    Returns
    -------
    list of float
        The validation loss, a mean over all rows, after each epoch.

    References
    ----------
    Chapter 10, "Regularization".

    Examples
    --------
    >>> x = torch.linspace(-1, 1, 8)[:, None]
    >>> losses = fit_with_patience(
    ...     nn.Linear(1, 1), [(x, 3 * x)], [(x, 3 * x)], nn.MSELoss(), max_epochs=5, patience=2,
    ...     learning_rate=0.1, weight_decay=0.0)
    >>> len(losses), losses == sorted(losses, reverse=True)
    (5, True)
    """
    caller = "fit_with_patience"
    check_count(caller, "max_epochs", max_epochs, minimum=1)
    check_count(caller, "patience", patience, minimum=1)
    check_number(caller, "learning_rate", learning_rate, above=0)
    check_number(caller, "weight_decay", weight_decay, low=0)
    optimizer = torch.optim.SGD([
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ], lr=learning_rate)
    losses: list[float] = []
    lowest, best, waited = math.inf, copy.deepcopy(model.state_dict()), 0
    while len(losses) < max_epochs and waited < patience:
        model.train()
        for x, y in train_batches:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            parts = [(loss_fn(model(x), y).item(), len(x)) for x, y in validation_batches]
        losses.append(sum(loss * n for loss, n in parts) / sum(n for _, n in parts))
        waited += 1
        if losses[-1] < lowest:
            # A copy: state_dict() holds the tensors that the optimizer goes on changing.
            lowest, best, waited = losses[-1], copy.deepcopy(model.state_dict()), 0
    model.load_state_dict(best)
    return losses
