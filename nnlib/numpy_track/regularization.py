"""Regularization that is not a layer: penalties on weights, clipped gradients, early stopping.

Penalties return ``(value, gradients)`` like a loss; both are added to those of the data.
"""

from collections.abc import Mapping

import numpy as np

from nnlib.early_stopping import EarlyStopping
from nnlib.errors import check_number, check_params
from nnlib.numpy_track._types import Array

__all__ = ["EarlyStopping", "clip_grad_norm", "l1_penalty", "l2_penalty"]


def l1_penalty(
    params: Mapping[str, Array], *, strength: float
) -> tuple[Array, dict[str, Array]]:
    """Compute ``strength * sum |p|`` and its gradients ``strength * sign(p)`` (lasso).

    Parameters
    ----------
    params : dict of arrays of floats
        Only what is to be penalised: usually the weights, not the biases.
    strength : float
        At least 0.

    Returns
    -------
    value : scalar array
    grads : dict of arrays, shapes of ``params``

    Raises
    ------
    DtypeError, ValueError
        If ``params`` is not a dict of arrays of floats, or empty, or ``strength`` is negative.

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
    >>> value, grads = l1_penalty({"w": np.array([3.0, 0.0, -1.0])}, strength=0.5)
    >>> float(value), grads["w"].tolist()
    (2.0, [0.5, 0.0, -0.5])
    """
    strength = _check_penalty("l1_penalty", params, strength)
    value = strength * _total([np.abs(p).sum() for p in params.values()])
    return value, {name: np.asarray(strength * np.sign(p)) for name, p in params.items()}


def l2_penalty(
    params: Mapping[str, Array], *, strength: float
) -> tuple[Array, dict[str, Array]]:
    """Compute ``strength / 2 * sum p^2`` and its gradients ``strength * p`` (ridge).

    Parameters
    ----------
    params : dict of arrays of floats
        Only what is to be penalised: usually the weights, not the biases.
    strength : float
        At least 0.

    Returns
    -------
    value : scalar array
    grads : dict of arrays, shapes of ``params``

    Raises
    ------
    DtypeError, ValueError
        If ``params`` is not a dict of arrays of floats, or empty, or ``strength`` is negative.

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
    >>> value, grads = l2_penalty({"w": np.array([3.0, 0.0, -1.0])}, strength=0.5)
    >>> float(value), grads["w"].tolist()
    (2.5, [1.5, 0.0, -0.5])
    """
    strength = _check_penalty("l2_penalty", params, strength)
    value = 0.5 * strength * _total([np.square(p).sum() for p in params.values()])
    return value, {name: np.asarray(strength * p) for name, p in params.items()}


def clip_grad_norm(
    grads: Mapping[str, Array], *, max_norm: float, error_if_nonfinite: bool = False
) -> tuple[dict[str, Array], Array]:
    """Scale all gradients by one factor so that their common norm is at most ``max_norm``.

    The norm is ``sqrt(sum g^2)`` over the elements of all gradients together; the factor is
    ``min(1, max_norm / (norm + 1e-6))``.

    Parameters
    ----------
    grads : dict of arrays of floats
    max_norm : float
        Positive.
    error_if_nonfinite : bool
        Raise where the norm is nan or infinite; otherwise the gradients become nan or 0.

    Returns
    -------
    grads : dict of arrays
        New arrays. Gradients with a smaller norm are never scaled up.
    norm : scalar array
        Before clipping.

    Raises
    ------
    DtypeError
        If ``grads`` is not a dict of arrays of floats.
    ValueError
        If it is empty, ``max_norm`` is not positive, or the norm is not finite and
        ``error_if_nonfinite`` is set.

    Notes
    -----
    One factor for all keeps the direction of the step; clipping every array by itself would turn
    it.

    References
    ----------
    Chapter 9, "Schedules". R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training
    recurrent neural networks", ICML 2013.

    Examples
    --------
    >>> grads = {"w": np.array([3.0]), "b": np.array([4.0])}
    >>> clipped, norm = clip_grad_norm(grads, max_norm=1.0)
    >>> float(norm), clipped["w"].round(4).tolist(), clipped["b"].round(4).tolist()
    (5.0, [0.6], [0.8])
    """
    caller = "clip_grad_norm"
    check_params(caller, grads, name="grads")
    check_number(caller, "max_norm", max_norm, above=0)
    norm = np.sqrt(_total([np.square(g).sum() for g in grads.values()]))
    if error_if_nonfinite and not np.isfinite(norm):
        raise ValueError(
            f"{caller}: the norm of grads must be finite, got {float(norm)}. "
            f"Lower the learning rate, or look for a division by 0."
        )
    # A plain number, so that it keeps every array's dtype.
    factor = min(float(max_norm) / (float(norm) + 1e-6), 1.0)
    return {name: np.asarray(factor * g) for name, g in grads.items()}, norm


def _check_penalty(caller: str, params: Mapping[str, Array], strength: float) -> float:
    check_params(caller, params)
    check_number(caller, "strength", strength, low=0)
    return float(strength)


def _total(parts: list[Array]) -> Array:
    """Add up one number for each array, in their dtype."""
    return np.asarray(sum(parts[1:], start=parts[0]))
