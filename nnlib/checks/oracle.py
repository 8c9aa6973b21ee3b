"""What PyTorch computes for every operation that it has too: the oracle of the conformance table.

One map serves the tests, the book's contract table and the run on a GPU. Each entry takes the
arguments of nnlib's operation as tensors, in nnlib's layout (rows are examples, weights
``(d_in, d_out)``), and calls PyTorch's own function. Gradients then come from PyTorch's autograd,
never from the formulas in nnlib. Importing this file imports torch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from nnlib.checks import oracle_signals as signals
from nnlib.checks import oracle_steps as steps
from nnlib.contract import Operation


class Counterpart(NamedTuple):
    """How PyTorch computes a family of operations.

    Parameters
    ----------
    function
        Takes the arguments and options of nnlib's operation, arrays as tensors; returns a tensor,
        a number, or a tuple or dict of them.
    kind
        ``"pair"``: ``<name>_forward`` and ``<name>_backward``; ``"loss"``: one function that
        returns ``(loss, gradient)``; ``"function"``: results only.
    gradients
        For a pair whose backward does not return its gradients in the order of the forward's
        arrays: turns what it returns into that order.
    from_cache
        Whether ``function`` also takes nnlib's cache, as keyword ``cache``: for operations that
        draw at random.
    """

    function: Callable[..., Any]
    kind: str = "function"
    gradients: Callable[[Any], Sequence[Any]] = lambda grads: leaves(grads, keep_none=True)
    from_cache: bool = False


def leaves(value: Any, *, keep_none: bool = False) -> list[Any]:
    """List what a nest of tuples, lists and dicts holds, in order; dicts in order of their keys.

    Examples
    --------
    >>> leaves(((1, None), {"b": 3, "a": [2]}))
    [1, 2, 3]
    """
    return list(_leaves(value, keep_none))


def _leaves(value: Any, keep_none: bool) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = [value[key] for key in sorted(value)]
    if isinstance(value, tuple | list):
        for item in value:
            yield from _leaves(item, keep_none)
    elif value is not None or keep_none:
        yield value


# --- layers, written with PyTorch's functions -----------------------------------------------------


def softplus(x: Tensor, *, beta: float = 1.0) -> Tensor:
    """F.softplus is linear above a threshold; this is the function itself."""
    return torch.logaddexp(beta * x, torch.zeros_like(x)) / beta


def linear(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    """PyTorch stores the weights as ``(d_out, d_in)``."""
    return F.linear(x, w.T, b)


def mlp(x: Tensor, params: Sequence[tuple[Tensor, Tensor | None]]) -> Tensor:
    """Linear layers with ReLU between them."""
    for layer, (w, b) in enumerate(params):
        x = linear(F.relu(x) if layer else x, w, b)
    return x


def max_pool2d(
    x: Tensor, *, kernel_size: Any, stride: Any = None, padding: Any = 0
) -> Tensor:
    """PyTorch refuses some empty inputs that have a clear answer: no images, no maxima."""
    if x.numel() == 0 and x.shape[2] and x.shape[3]:
        one = F.max_pool2d(x.new_zeros(1, 1, *x.shape[2:]), kernel_size, stride, padding)
        return x.sum() + x.new_zeros(*x.shape[:2], *one.shape[2:])
    return F.max_pool2d(x, kernel_size, stride, padding)


def batch_norm(
    x: Tensor, gamma: Tensor, beta: Tensor, running_mean: Tensor, running_var: Tensor, *,
    training: bool, momentum: float = 0.1, eps: float = 1e-5,
) -> tuple[Tensor, Tensor, Tensor]:
    """PyTorch changes the running statistics in place; nnlib returns new ones."""
    mean, var = running_mean.detach().clone(), running_var.detach().clone()
    if x.numel() == 0:  # refused by PyTorch; nnlib learns nothing from an empty batch
        return x * gamma.reshape(-1, *[1] * (x.ndim - 2)) + beta.reshape(
            -1, *[1] * (x.ndim - 2)), mean, var
    y = F.batch_norm(x, mean, var, gamma, beta, training=training, momentum=momentum, eps=eps)
    return y, mean, var


def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Over the last axis."""
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


def dropout(x: Tensor, *, drop_prob: float, training: bool, rng: Any, cache: Any) -> Tensor:
    """F.dropout takes no generator, so the mask is the one that nnlib drew.

    Its entries must be 0 or ``1 / (1 - drop_prob)``, otherwise the result is NaN.
    """
    if not training:
        return F.dropout(x, drop_prob, training=False)
    mask = torch.as_tensor(cache.mask).to(x)
    right = (mask == 0) | ((mask * (1 - drop_prob) - 1).abs() < 1e-6)
    return x * torch.where(right, mask, torch.nan)


def rnn_cell(x: Tensor, h: Tensor, w_xh: Tensor, w_hh: Tensor, b: Tensor) -> Tensor:
    """One bias; PyTorch adds two."""
    return torch.rnn_tanh_cell(x, h, w_xh.T, w_hh.T, b, torch.zeros_like(b))


def lstm_cell(
    x: Tensor, h: Tensor, c: Tensor, w_xh: Tensor, w_hh: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """Gates in the order i, f, g, o; one bias, where PyTorch adds two."""
    return torch.lstm_cell(x, [h, c], w_xh.T, w_hh.T, b, torch.zeros_like(b))


def gru_cell(
    x: Tensor, h: Tensor, w_xh: Tensor, w_hh: Tensor, b_x: Tensor, b_h: Tensor
) -> Tensor:
    """Gates in the order r, z, n."""
    return torch.gru_cell(x, h, w_xh.T, w_hh.T, b_x, b_h)


def rnn(x: Tensor, h: Tensor, *weights: Tensor) -> Tensor:
    """The cell along the second axis; all its outputs."""
    states = []
    for t in range(x.shape[1]):
        h = rnn_cell(x[:, t], h, *weights)
        states.append(h)
    return torch.stack(states, 1)


def lstm(x: Tensor, h: Tensor, c: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
    """The cell along the second axis; all its outputs and the last cell state."""
    states = []
    for t in range(x.shape[1]):
        h, c = lstm_cell(x[:, t], h, c, *weights)
        states.append(h)
    return torch.stack(states, 1), c


def gru(x: Tensor, h: Tensor, *weights: Tensor) -> Tensor:
    """The cell along the second axis; all its outputs."""
    states = []
    for t in range(x.shape[1]):
        h = gru_cell(x[:, t], h, *weights)
        states.append(h)
    return torch.stack(states, 1)


def attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """The reference form of PyTorch's fused attention."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def huber(pred: Tensor, target: Tensor, *, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """The same, with keywords."""
    return F.huber_loss(pred, target, delta=delta, reduction=reduction)


def cross_entropy(
    logits: Tensor, labels: Tensor, *, reduction: str = "mean", label_smoothing: float = 0.0
) -> Tensor:
    """PyTorch wants 64-bit labels."""
    return F.cross_entropy(logits, labels.long(), reduction=reduction,
                           label_smoothing=label_smoothing)


# --- the engine of chapter 5: vector-Jacobian products by autograd --------------------------------


def vjp(function: Callable[..., Tensor]) -> Callable[..., Any]:
    """Turn a function into ``(dy, *inputs) -> gradients``, by autograd."""

    def products(dy: Tensor, *inputs: Tensor, **options: Any) -> Any:
        inputs = tuple(x.detach().requires_grad_() for x in inputs)
        with torch.enable_grad():
            grads = torch.autograd.grad(function(*inputs, **options), inputs, dy)
        return grads[0] if len(grads) == 1 else grads

    return products


def sum_over(a: Tensor, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Sum over one axis, several, or all."""
    if axis is None:
        axis = tuple(range(a.ndim))
    return a.sum() if axis == () and not a.ndim else a.sum(dim=axis, keepdim=keepdims)


def unbroadcast(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The gradient of broadcasting."""
    leaf = grad.new_zeros(shape).requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(leaf.expand(grad.shape), leaf, grad)[0]


# --- arrays ---------------------------------------------------------------------------------------


def one_hot(labels: Tensor, num_classes: int, *, dtype: Any = None) -> Tensor:
    """PyTorch returns integers."""
    return F.one_hot(labels.long(), num_classes).double()


def standardize(x_train: Tensor, x_test: Tensor) -> tuple[Tensor, ...]:
    """Mean and population standard deviation of the training part; 1 for constant columns."""
    train = x_train.double() if not x_train.is_floating_point() else x_train
    test = x_test.double() if not x_test.is_floating_point() else x_test
    std, mean = torch.std_mean(train, dim=0, correction=0)
    constant = (train == train[:1]).all(dim=0)
    std = torch.where(constant, 1.0, std)
    mean = torch.where(constant, train[0], mean)
    return (train - mean) / std, (test - mean) / std, mean, std


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Without the products that cancel."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()


def neuron(x: Tensor, w: Tensor, b: float) -> Tensor:
    """A step function behind a linear layer."""
    return torch.heaviside(F.linear(x, w[None]).squeeze(1) + b, x.new_ones(())).long()


def signed_distance(x: Tensor, w: Tensor, b: float) -> Tensor:
    """Distance of each row from the line ``x @ w + b = 0``."""
    return (F.linear(x, w[None]).squeeze(1) + b) / torch.linalg.vector_norm(w)


def confusion_matrix(predictions: Tensor, labels: Tensor, *, num_classes: int) -> Tensor:
    """Pairs (label, prediction) as one number each, counted."""
    classes = predictions.argmax(1) if predictions.ndim == 2 else predictions
    pairs = labels.long() * num_classes + classes.long()
    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Share of equal class numbers."""
    classes = predictions.argmax(1) if predictions.ndim == 2 else predictions
    return float((classes == labels).double().mean())


def _elementwise(**functions: Callable[..., Any]) -> dict[str, Counterpart]:
    return {name: Counterpart(function, "pair") for name, function in functions.items()}


#: Family to counterpart; a pair's family is its name without ``_forward`` and ``_backward``.
COUNTERPARTS: dict[str, Counterpart] = {
    **_elementwise(
        identity=torch.clone, sigmoid=torch.sigmoid, tanh=torch.tanh, relu=F.relu,
        softplus=softplus, silu=F.silu, gelu=F.gelu, leaky_relu=F.leaky_relu, elu=F.elu,
        softmax=lambda x, *, axis=-1: F.softmax(x, axis),
        log_softmax=lambda x, *, axis=-1: F.log_softmax(x, axis),
        linear=linear,
        flatten=lambda x: torch.flatten(x, 1),
        conv2d=F.conv2d,
        max_pool2d=max_pool2d,
        avg_pool2d=lambda x, *, kernel_size, stride=None, padding=0, count_include_pad=True:
            F.avg_pool2d(x, kernel_size, stride, padding, count_include_pad=count_include_pad),
        global_avg_pool2d=lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
        batch_norm=batch_norm, layer_norm=layer_norm,
        embedding=lambda ids, w: F.embedding(ids.long(), w),
        rnn_cell=rnn_cell, lstm_cell=lstm_cell, gru_cell=gru_cell,
        rnn=rnn, lstm=lstm, gru=gru, attention=attention,
    ),
    "dropout": Counterpart(dropout, "pair", from_cache=True),
    "mlp": Counterpart(
        mlp, "pair",
        lambda grads: [grads[0].dx, *(g for layer in grads for g in (layer.dw, layer.db))],
    ),
    "conv2d_naive": Counterpart(F.conv2d),
    "group_norm": Counterpart(
        lambda x, gamma, beta, *, groups, eps=1e-5: F.group_norm(x, groups, gamma, beta, eps)),
    "mse": Counterpart(F.mse_loss, "loss"),
    "mae": Counterpart(F.l1_loss, "loss"),
    "huber": Counterpart(huber, "loss"),
    "binary_cross_entropy_with_logits": Counterpart(F.binary_cross_entropy_with_logits, "loss"),
    "softmax_cross_entropy": Counterpart(cross_entropy, "loss"),
    "log_sum_exp": Counterpart(lambda x, *, axis=-1: torch.logsumexp(x, axis)),
    "add_vjp": Counterpart(vjp(torch.add)),
    "mul_vjp": Counterpart(vjp(torch.mul)),
    "matmul_vjp": Counterpart(vjp(torch.matmul)),
    "relu_vjp": Counterpart(vjp(F.relu)),
    "sum_vjp": Counterpart(vjp(sum_over)),
    "unbroadcast": Counterpart(unbroadcast),
    "one_hot": Counterpart(one_hot),
    "standardize": Counterpart(standardize),
    "pairwise_squared_distances": Counterpart(squared_distances),
    "neuron_forward": Counterpart(neuron),
    "signed_distance": Counterpart(signed_distance),
    "accuracy": Counterpart(accuracy),
    "confusion_matrix": Counterpart(confusion_matrix),
    "layer_statistics": Counterpart(signals.layer_statistics),
    **{name: Counterpart(function) for name, function in steps.COUNTERPARTS.items()},
}

_RANDOM = "draws at random: compared with torch.nn.init by its moments, in the tests"
_OWN = "PyTorch has no such function"

#: Operations of the contract without a counterpart, and why.
WITHOUT: dict[str, str] = {
    **dict.fromkeys(("normal", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal",
                     "init_params"), _RANDOM),
    **dict.fromkeys(("split_indices", "kfold_indices", "iterate_batches", "random_shift"),
                    "draws at random: its properties are tested"),
    **dict.fromkeys(("zeros", "fans", "count_parameters", "relative_error", "output_size",
                     "receptive_field", "sgd_init", "momentum_init", "adagrad_init",
                     "rmsprop_init", "adam_init", "adamw_init", "get_optimizer"),
                    "a definition: nothing to compute that could differ"),
    **dict.fromkeys(("numerical_vjp", "topological_order", "backpropagate", "perceptron_update",
                     "perceptron_fit", "predict", "predict_proba", "predict_in_batches",
                     "predict_mean_squares",
                     "interpolation_params", "gate_weights", "xor_weights", "xor_forward",
                     "grid_search", "random_search", "successive_halving", "evolutionary_search",
                     "train_step", "fit", "evaluate", "save_checkpoint", "load_checkpoint",
                     "balanced_class_weights", "mixup", "cross_validate", "checkpoint_to_bytes",
                     "checkpoint_from_bytes"), _OWN),
}


def reason_without(operation: Operation) -> str:
    """Say why an operation has no counterpart; "" where it has one, or where it is forgotten."""
    if len(operation.tracks) == 1 or operation.kind != "function":
        return "an exercise of one track: the code is PyTorch's, or there is nothing to compute"
    return WITHOUT.get(operation.name, "")


def family(operation: str) -> str:
    """Return the key of `COUNTERPARTS` for an operation's name, whether it is there or not.

    Examples
    --------
    >>> family("linear_backward"), family("mse"), family("sgd_update")
    ('linear', 'mse', 'sgd_update')
    """
    if operation in COUNTERPARTS:
        return operation
    return operation.removesuffix("_forward").removesuffix("_backward")
