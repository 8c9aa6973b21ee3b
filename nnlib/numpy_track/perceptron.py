"""The perceptron: a neuron with a step, its learning rule, and what one and two layers can do."""

import numpy as np

from nnlib.contract.caches import PerceptronFit
from nnlib.errors import (
    check_choice,
    check_count,
    check_floats,
    check_labels,
    check_number,
    check_shape,
)
from nnlib.numpy_track._types import Array

__all__ = [
    "gate_weights",
    "neuron_forward",
    "perceptron_fit",
    "perceptron_update",
    "xor_forward",
    "xor_weights",
]

#: For each gate the weights and the bias of one neuron. Inputs and outputs are 0 and 1.
_GATES = {
    "and": ((1.0, 1.0), -1.5),
    "or": ((1.0, 1.0), -0.5),
    "nand": ((-1.0, -1.0), 1.5),
    "nor": ((-1.0, -1.0), 0.5),
    "not": ((-1.0,), 0.5),
}


def neuron_forward(x: Array, w: Array, b: float) -> Array:
    """Compute ``y = 1`` where ``x @ w + b >= 0``, else 0: one neuron with a step activation.

    Parameters
    ----------
    x : array (n, d) of floats
    w : array (d,)
    b : float

    Returns
    -------
    y : array (n,) of int64
        0 or 1. The boundary itself, ``x @ w + b = 0``, belongs to 1.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError
        If an array does not hold floats, or the dtypes differ.

    References
    ----------
    Chapter 1, "Neurons". W. McCulloch and W. Pitts, "A logical calculus of the ideas immanent
    in nervous activity", Bulletin of Mathematical Biophysics 5 (1943).

    Examples
    --------
    >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    >>> neuron_forward(x, np.array([1.0, 1.0]), -1.0).tolist()
    [0, 1, 1]
    """
    check_floats("neuron_forward", x=x, w=w)
    check_shape("neuron_forward", "w", w, ("d",))
    check_shape("neuron_forward", "x", x, ("n", w.shape[0]), "Rows are examples.")
    check_number("neuron_forward", "b", b)
    return (x @ w + float(b) >= 0).astype(np.int64)


def perceptron_update(
    x: Array, t: int, w: Array, b: float, *, learning_rate: float = 1.0
) -> tuple[Array, float]:
    """Compute ``w + learning_rate (t - y) x`` and ``b + learning_rate (t - y)`` for one example.

    Parameters
    ----------
    x : array (d,) of floats
    t : 0 or 1
        The target. ``y`` is the neuron's output for ``x``.
    w : array (d,)
    b : float
    learning_rate : float
        Positive.

    Returns
    -------
    w : array (d,)
        A new array; the values are unchanged if the output was right.
    b : float

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError
        If an array does not hold floats, or the dtypes differ.
    ValueError
        If ``t`` is neither 0 nor 1, or ``learning_rate`` not positive.

    References
    ----------
    Chapter 1, "Neurons". F. Rosenblatt, "The perceptron: a probabilistic model for information
    storage and organization in the brain", Psychological Review 65 (1958).

    Examples
    --------
    >>> w, b = perceptron_update(np.array([1.0, 2.0]), 0, np.array([1.0, 0.0]), 0.0)
    >>> w.tolist(), b
    ([0.0, -2.0], -1.0)
    """
    check_floats("perceptron_update", x=x, w=w)
    check_shape("perceptron_update", "w", w, ("d",))
    check_shape("perceptron_update", "x", x, (w.shape[0],), "One example, not a batch.")
    check_number("perceptron_update", "b", b)
    check_number("perceptron_update", "learning_rate", learning_rate, above=0)
    if t not in (0, 1):
        raise ValueError(f"perceptron_update: t must be 0 or 1, got {t!r}.")
    y = int(neuron_forward(x[np.newaxis], w, b)[0])
    step = float(learning_rate) * (int(t) - y)
    return w + step * x, float(b) + step


def perceptron_fit(
    x: Array, t: Array, *, epochs: int = 100, learning_rate: float = 1.0
) -> PerceptronFit:
    """Apply `perceptron_update` row by row until an epoch passes without an error.

    Parameters
    ----------
    x : array (n, d) of floats
        The rows are visited in this order.
    t : array (n,) of integers 0 and 1
    epochs : int
        Passes over the data, at most.
    learning_rate : float
        Positive.

    Returns
    -------
    PerceptronFit
        ``w (d,)`` and ``b``, which start at 0, and ``errors``: the number of updates in each
        epoch. The last entry is 0 exactly if the data were separated.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError
        If ``x`` does not hold floats or ``t`` no integers.
    ValueError
        If a target is neither 0 nor 1, or an option is out of range.

    Notes
    -----
    If a line separates the classes, the number of updates is finite. If none does, the rule
    never settles and all ``epochs`` run.

    References
    ----------
    Chapter 1, "Neurons". A. Novikoff, "On convergence proofs on perceptrons", 1962.

    Examples
    --------
    >>> x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> fit = perceptron_fit(x, np.array([0, 1, 1, 1]))
    >>> fit.w.tolist(), fit.b, fit.errors
    ([1.0, 1.0], -1.0, [2, 2, 1, 0])
    """
    check_floats("perceptron_fit", x=x)
    check_shape("perceptron_fit", "x", x, ("n", "d"), "Rows are examples.")
    check_labels("perceptron_fit", t, 2, n=x.shape[0], name="t")
    check_count("perceptron_fit", "epochs", epochs, minimum=1)
    check_number("perceptron_fit", "learning_rate", learning_rate, above=0)
    w, b = np.zeros_like(x, shape=x.shape[1]), 0.0
    targets = [int(target) for target in t]
    errors: list[int] = []
    for _ in range(epochs):
        errors.append(0)
        for row, target in zip(x, targets, strict=True):
            if int(neuron_forward(row[np.newaxis], w, b)[0]) != target:
                w, b = perceptron_update(row, target, w, b, learning_rate=learning_rate)
                errors[-1] += 1
        if errors[-1] == 0:
            break
    return PerceptronFit(w, b, errors)


def gate_weights(name: str) -> tuple[Array, float]:
    """Return weights and bias that make one neuron a logic gate.

    Parameters
    ----------
    name : "and", "or", "nand", "nor" or "not"

    Returns
    -------
    w : array (2,) of float64, or (1,) for "not"
    b : float

    Raises
    ------
    ValueError
        If the gate is unknown. "xor" is: no single neuron computes it.

    References
    ----------
    Chapter 1, "Neurons".

    Examples
    --------
    >>> w, b = gate_weights("and")
    >>> neuron_forward(np.array([[0.0, 1.0], [1.0, 1.0]]), w, b).tolist()
    [0, 1]
    """
    check_choice("gate_weights", "name", name, tuple(_GATES))
    w, b = _GATES[name]
    return np.array(w), b


def xor_weights() -> tuple[tuple[Array, Array], tuple[Array, float]]:
    """Return the weights of two layers that compute XOR as ``and(or(x), nand(x))``.

    Returns
    -------
    hidden : (w (2, 2), b (2,))
        Column ``j`` belongs to hidden neuron ``j``: first "or", then "nand".
    output : (w (2,), b)
        The neuron "and".

    References
    ----------
    Chapter 1, "Neurons". M. Minsky and S. Papert, "Perceptrons", 1969, for why one layer
    cannot.

    Examples
    --------
    >>> (w_hidden, b_hidden), (w_output, b_output) = xor_weights()
    >>> w_hidden.shape, b_hidden.shape, w_output.shape
    ((2, 2), (2,), (2,))
    """
    (w_or, b_or), (w_nand, b_nand) = gate_weights("or"), gate_weights("nand")
    return (np.stack([w_or, w_nand], axis=1), np.array([b_or, b_nand])), gate_weights("and")


def xor_forward(x: Array) -> Array:
    """Compute "one of the two, not both" with two layers of neurons.

    Parameters
    ----------
    x : array (n, 2) of floats 0 and 1

    Returns
    -------
    y : array (n,) of int64

    Raises
    ------
    ShapeError
        If ``x`` does not have two columns.
    DtypeError
        If ``x`` is not an array of floats.

    References
    ----------
    Chapter 1, "Neurons".

    Examples
    --------
    >>> xor_forward(np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])).tolist()
    [0, 1, 1, 0]
    """
    check_floats("xor_forward", x=x)
    check_shape("xor_forward", "x", x, ("n", 2))
    (w_hidden, b_hidden), (w_output, b_output) = xor_weights()
    neurons = zip(w_hidden.T, b_hidden, strict=True)
    hidden = [neuron_forward(x, w.astype(x.dtype), float(b)) for w, b in neurons]
    return neuron_forward(
        np.stack(hidden, axis=1).astype(x.dtype), w_output.astype(x.dtype), b_output
    )
