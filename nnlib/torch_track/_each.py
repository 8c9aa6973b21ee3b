"""How an update rule is applied to a dict of parameters."""

from collections.abc import Callable, Mapping

from torch import Tensor

Rule = Callable[..., tuple[Tensor, ...]]


def update_each(
    rule: Rule, params: Mapping[str, Tensor], *others: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], ...]:
    """Apply an element-by-element rule to every parameter.

    Parameters
    ----------
    rule : callable
        Takes the parameter and its entry in each of ``others``; returns a tuple of new tensors.
    params, *others : dicts of tensors
        The same keys and shapes: parameters, gradients, what the optimizer remembers.

    Returns
    -------
    tuple of dicts of tensors
        One dict for each result of the rule.

    Examples
    --------
    >>> import torch
    >>> params, grads = {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([10.0, -10.0])}
    >>> (stepped,) = update_each(lambda p, g: (p - 0.1 * g,), params, grads)
    >>> stepped["w"].tolist()
    [0.0, 3.0]
    """
    rows = [rule(p, *(other[name] for other in others)) for name, p in params.items()]
    return tuple(
        dict(zip(params, column, strict=True)) for column in zip(*rows, strict=True)
    )
