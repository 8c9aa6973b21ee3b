"""Regularization that is not a layer: penalties on weights, clipped gradients, early stopping.

Penalties return ``(value, gradients)`` like a loss; both are added to those of the data.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from nnlib.early_stopping import EarlyStopping
from nnlib.errors import check_number, check_params

__all__ = ["EarlyStopping", "clip_grad_norm", "l1_penalty", "l2_penalty"]


def l1_penalty(
    params: Mapping[str, Tensor], *, strength: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute ``strength * sum |p|`` and its gradients ``strength * sign(p)`` (lasso).

    Parameters
    ----------
    params : dict of tensors of floats
        Only what is to be penalised: usually the weights, not the biases.
    strength : float
        At least 0.

    Returns
    -------
    value : scalar tensor
    grads : dict of tensors, shapes of ``params``

    Raises
    ------
    DtypeError, ValueError
        If ``params`` is not a dict of tensors of floats, or empty, or ``strength`` is negative.

    Notes
    -----
    At 0, the kink, the gradient is 0. Elsewhere it does not shrink with the weight, which is why
    small weights are driven all the way to 0.

    References
    ----------
    Chapter 10, "Regularization". R. Tibshirani, "Regression shrinkage and selection via the
    lasso", Journal of the Royal Statistical Society B 58 (1996).

    Examples
    --------
    >>> value, grads = l1_penalty({"w": torch.tensor([3.0, 0.0, -1.0])}, strength=0.5)
    >>> float(value), grads["w"].tolist()
    (2.0, [0.5, 0.0, -0.5])
    """
    strength = _check_penalty("l1_penalty", params, strength)
    value = strength * _total([torch.abs(p).sum() for p in params.values()])
    return value, {name: strength * torch.sign(p) for name, p in params.items()}


def l2_penalty(
    params: Mapping[str, Tensor], *, strength: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute ``strength / 2 * sum p^2`` and its gradients ``strength * p`` (ridge).

    Parameters
    ----------
    params : dict of tensors of floats
        Only what is to be penalised: usually the weights, not the biases.
    strength : float
        At least 0.

    Returns
    -------
    value : scalar tensor
    grads : dict of tensors, shapes of ``params``

    Raises
    ------
    DtypeError, ValueError
        If ``params`` is not a dict of tensors of floats, or empty, or ``strength`` is negative.

    Notes
    -----
    With the factor 1/2 this is the same as ``weight_decay=strength`` in every optimizer but
    AdamW, which keeps the decay out of its running means.

    References
    ----------
    Chapter 10, "Regularization". A. Hoerl and R. Kennard, "Ridge regression: biased estimation
    for nonorthogonal problems", Technometrics 12 (1970).

    Examples
    --------
    >>> value, grads = l2_penalty({"w": torch.tensor([3.0, 0.0, -1.0])}, strength=0.5)
    >>> float(value), grads["w"].tolist()
    (2.5, [1.5, 0.0, -0.5])
    """
    strength = _check_penalty("l2_penalty", params, strength)
    value = 0.5 * strength * _total([torch.square(p).sum() for p in params.values()])
    return value, {name: strength * p for name, p in params.items()}


def clip_grad_norm(
    grads: Mapping[str, Tensor], *, max_norm: float, error_if_nonfinite: bool = False
) -> tuple[dict[str, Tensor], Tensor]:
    """Scale all gradients by one factor so that their common norm is at most ``max_norm``.

    The norm is ``sqrt(sum g^2)`` over the elements of all gradients together; the factor is
    ``min(1, max_norm / (norm + 1e-6))``.

    Parameters
    ----------
    grads : dict of tensors of floats
    max_norm : float
        Positive.
    error_if_nonfinite : bool
        Raise where the norm is nan or infinite; otherwise the gradients become nan or 0.

    Returns
    -------
    grads : dict of tensors
        New tensors. Gradients with a smaller norm are never scaled up.
    norm : scalar tensor
        Before clipping.

    Raises
    ------
    DtypeError
        If ``grads`` is not a dict of tensors of floats.
    ValueError
        If it is empty, ``max_norm`` is not positive, or the norm is not finite and
        ``error_if_nonfinite`` is set.

    Notes
    -----
    One factor for all keeps the direction of the step; clipping every tensor by itself would turn
    it.

    References
    ----------
    Chapter 9, "Schedules". R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training
    recurrent neural networks", ICML 2013.

    Examples
    --------
    >>> grads = {"w": torch.tensor([3.0]), "b": torch.tensor([4.0])}
    >>> clipped, norm = clip_grad_norm(grads, max_norm=1.0)
    >>> float(norm), round(float(clipped["w"]), 4), round(float(clipped["b"]), 4)
    (5.0, 0.6, 0.8)
    """
    caller = "clip_grad_norm"
    check_params(caller, grads, name="grads")
    check_number(caller, "max_norm", max_norm, above=0)
    norm = torch.sqrt(_total([torch.square(g).sum() for g in grads.values()]))
    if error_if_nonfinite and not torch.isfinite(norm):
        raise ValueError(
            f"{caller}: the norm of grads must be finite, got {float(norm)}. "
            f"Lower the learning rate, or look for a division by 0."
        )
    factor = torch.clamp(float(max_norm) / (norm + 1e-6), max=1.0)
    return {name: factor * g for name, g in grads.items()}, norm


def _check_penalty(caller: str, params: Mapping[str, Tensor], strength: float) -> float:
    check_params(caller, params)
    check_number(caller, "strength", strength, low=0)
    return float(strength)


def _total(parts: list[Tensor]) -> Tensor:
    """Add up one number for each tensor, in their dtype."""
    return sum(parts[1:], start=parts[0])
