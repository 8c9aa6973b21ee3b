"""Fine-tuning in five small functions: prepare, freeze, new head, rates, one step."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.nn.modules.batchnorm import _BatchNorm

from nnlib.errors import DtypeError, check_array, check_count, check_number, check_shape

__all__ = ["discriminative_groups", "fine_tune_step", "freeze", "preprocess", "replace_head"]


def preprocess(
    images: Tensor, *, mean: Sequence[float], std: Sequence[float], size: int
) -> Tensor:
    """Turn photographs into what a pre-trained network was trained on.

    ``(resized / 255 - mean) / std``, channel by channel, with the statistics of the *pre-training*
    data.

    Parameters
    ----------
    images : tensor (n, h, w, c) of uint8
        Channels last, as image files are read.
    mean, std : sequences of c numbers
        Of the pre-training images, with grey values from 0 to 1.
    size : int
        Height and width of the result. Bilinear, with ``align_corners=False``.

    Returns
    -------
    x : tensor (n, c, size, size) of float32

    Raises
    ------
    DtypeError, ShapeError, ValueError
        If images are not bytes, a shape doesn't fit, or a number is out of range.

    References
    ----------
    Chapter 15, "Transfer".

    Examples
    --------
    >>> images = torch.full((1, 4, 4, 1), 255, dtype=torch.uint8)
    >>> preprocess(images, mean=[0.5], std=[0.25], size=2)[0, 0].tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    check_array("preprocess", "images", images)
    if images.dtype != torch.uint8:
        raise DtypeError(f"preprocess: images must hold bytes from 0 to 255 (uint8), got "
                         f"{images.dtype}. Images in [0, 1] would be divided by 255 once more.")
    check_shape("preprocess", "images", images, ("n", "h", "w", len(mean)),
                "Channels come last, one mean for each.")
    check_count("preprocess", "size", size, minimum=1)
    for value in std:
        check_number("preprocess", "each of std", value, above=0)
    x = images.permute(0, 3, 1, 2).float() / 255  # (n, c, h, w)
    x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    shift, scale = (torch.tensor(v, dtype=x.dtype, device=x.device).view(1, -1, 1, 1)
                    for v in (mean, std))
    return (x - shift) / scale


def freeze(module: nn.Module) -> None:
    """Make a module a fixed function: nothing in it learns, and nothing in it depends on the batch.

    Parameters
    ----------
    module : nn.Module
        Afterwards no parameter requires a gradient or holds one, and every part is in evaluation
        mode, so that batch normalization neither uses nor updates the statistics of a batch.

    Notes
    -----
    An optimizer that holds a parameter still moves it where ``.grad`` is a tensor, even zeros:
    weight decay and momentum do. It skips a parameter whose ``.grad`` is None.

    A later ``train()`` of the whole network takes the evaluation mode back: see `fine_tune_step`.

    References
    ----------
    Chapter 15, "Transfer".

    Examples
    --------
    >>> body = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    >>> freeze(body)
    >>> any(p.requires_grad for p in body.parameters()), body[1].training
    (False, False)
    """
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    module.eval()


def replace_head(model: nn.Module, name: str, classes: int) -> None:
    """Put a new linear layer of zeros in the place of a network's last one.

    Parameters
    ----------
    model : nn.Module
        Changed in place.
    name : str
        Where the old layer is: ``"fc"``, or ``"classifier.6"`` for a part of a part.
    classes : int
        Outputs of the new layer. It has the inputs, dtype and device of the old one, and a bias.

    Raises
    ------
    DtypeError, ValueError
        If there is no linear layer of that name, or ``classes`` is no integer >= 1.

    Notes
    -----
    With zeros all classes get the same score, so the first loss is ``log(classes)`` whatever the
    body does. Symmetry is no problem: the rows get different gradients from different labels.

    References
    ----------
    Chapter 15, "Transfer".

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1000))
    >>> replace_head(model, "2", 10)
    >>> model(torch.ones(1, 2)).tolist() == [[0.0] * 10]
    True
    """
    check_count("replace_head", "classes", classes, minimum=1)
    old = dict(model.named_modules()).get(name)
    if not isinstance(old, nn.Linear) or not name:
        linear = [key for key, part in model.named_modules() if isinstance(part, nn.Linear) and key]
        raise ValueError(f"replace_head: name must be that of a linear layer in the model, got "
                         f"{name!r}. There are: {', '.join(linear) or 'none'}.")
    head = nn.Linear(old.in_features, classes, device=old.weight.device, dtype=old.weight.dtype)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, head)


def discriminative_groups(
    model: nn.Module, *, learning_rate: float, factor: float
) -> list[dict[str, Any]]:
    """Give each part of a network its own learning rate, falling from the head to the input.

    Parameters
    ----------
    model : nn.Module
        Its children are the parts, in order; the last is the head. Parts without parameters that
        require gradients don't count.
    learning_rate : float
        Of the head.
    factor : float
        Each part gets ``factor`` times the rate of the part after it; above 0, at most 1.

    Returns
    -------
    groups : list of dicts with "params" and "lr"
        For an optimizer, in the order of the children. ``"params"`` holds the parameters that
        require gradients.

    Raises
    ------
    DtypeError, ValueError
        If a number is out of range.

    References
    ----------
    Chapter 15, "Transfer". J. Howard and S. Ruder, "Universal language model fine-tuning for text
    classification", 2018.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4), nn.Linear(4, 2))
    >>> [g["lr"] for g in discriminative_groups(model, learning_rate=1.0, factor=0.5)]
    [0.25, 0.5, 1.0]
    """
    check_number("discriminative_groups", "learning_rate", learning_rate, above=0)
    check_number("discriminative_groups", "factor", factor, above=0, high=1)
    parts = [[p for p in child.parameters() if p.requires_grad] for child in model.children()]
    parts = [part for part in parts if part]
    return [{"params": part, "lr": learning_rate * factor ** (len(parts) - 1 - k)}
            for k, part in enumerate(parts)]


def fine_tune_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, labels: Tensor
) -> float:
    """Take one step on a batch; what is frozen stays as it is.

    Parameters
    ----------
    model : nn.Module
        ``model(x)`` gives scores (n, k). Afterwards in training mode, but for the batch
        normalizations whose weights require no gradient: they are in evaluation mode, as they
        were during the step.
    optimizer : torch.optim.Optimizer
    x : tensor (n, ...)
    labels : tensor (n,) of int64

    Returns
    -------
    float
        The mean cross-entropy of the batch before the step.

    References
    ----------
    Chapter 15, "Transfer".

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    >>> freeze(model[:2])
    >>> optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    >>> loss = fine_tune_step(model, optimizer, torch.ones(4, 2), torch.tensor([0, 1, 0, 1]))
    >>> model[1].running_mean.tolist(), model[1].training, model.training
    ([0.0, 0.0, 0.0], False, True)
    """
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm) and not any(
                p.requires_grad for p in module.parameters()):
            module.eval()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), labels)
    loss.backward()
    optimizer.step()
    return loss.item()
