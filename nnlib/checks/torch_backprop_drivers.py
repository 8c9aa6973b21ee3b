"""Drivers for the PyTorch exercises of chapter 5.

A case names functions by a key, because the case tables import no torch; here the keys get
their functions. Some of them have a wrong backward on purpose: a gradient check must find it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import to_plain, to_track
from nnlib.contract import Case


def _with_backward(
    forward: Callable[[Tensor], Tensor], backward: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """Make a function whose backward is ``backward(x, dy)``, right or wrong."""

    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return forward(x)

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> Tensor:
            return backward(ctx.saved_tensors[0], dy)

    return Custom.apply  # type: ignore[no-any-return]


def _all_but_the_last(x: Tensor, dy: Tensor) -> Tensor:
    dx = 2 * x * dy
    dx[-1] = 0
    return dx


#: Functions of one tensor.
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "square": lambda x: x * x,
    "tanh": torch.tanh,
    "softmax": lambda x: torch.softmax(x, -1),
    "running sum": lambda x: torch.cumsum(x * x, 0),
    "row sums": lambda x: (x**3).sum(-1),
    "outer product": lambda x: x[:, None] * x.exp()[None, :],
    "custom square": _with_backward(torch.square, lambda x, dy: 2 * x * dy),
    "custom tanh": _with_backward(torch.tanh, lambda x, dy: dy * (1 - x.tanh() ** 2)),
    "factor missing": _with_backward(torch.square, lambda x, dy: x * dy),
    "two per cent too much": _with_backward(torch.square, lambda x, dy: 2.04 * x * dy),
    "upstream ignored": _with_backward(torch.square, lambda x, dy: 2 * x),
    "last entry missing": _with_backward(torch.square, _all_but_the_last),
    "softmax with zeros": _with_backward(
        lambda x: torch.softmax(x, -1), lambda x, dy: torch.zeros_like(x)),
    "half detached": lambda x: x * x.detach(),
}

#: Mean losses of predictions and targets.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": nn.functional.mse_loss,
    "cross entropy": nn.functional.cross_entropy,
}


def _state(value: Any) -> Any:
    """What a call must leave alone in a tensor besides its numbers."""
    if isinstance(value, Tensor):
        grad = value.grad
        return value.requires_grad, value.is_leaf, None if grad is None else grad.clone()
    if isinstance(value, Mapping):
        return {key: _state(item) for key, item in value.items()}
    return None


def _same_state(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return all(map(_same_state, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_same_state(one[key], other.get(key)) for key in one)
    return bool(one is other or one == other)


def _watched(function: Callable[..., Any], value: Any, name: str, *args: Any, **options: Any
             ) -> Trial:
    """Call ``function`` and report also a changed ``.grad`` or ``requires_grad`` of ``value``."""
    before = _state(value)
    trial = guarded(function, args, options)
    if _same_state(before, _state(value)):
        return trial
    return replace(trial, modified=(*trial.modified, f"the .grad or requires_grad of {name}"))


@driver("torch_vjp")
def torch_vjp(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(f, x, dy)`` for ``case.args = (key, x, dy)``.

    With the option ``used`` x is a leaf that requires gradients and holds one already.
    """
    key, x, dy = to_track(tuple(case.args), track)
    if case.options.get("used"):
        x.requires_grad_()
        x.grad = torch.full_like(x, 0.5)
    return _watched(implementation, x, "x", FUNCTIONS[key], x, dy)


@driver("torch_gradients_agree")
def torch_gradients_agree(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(f, x)`` for ``case.args = (key, x)``."""
    key, x = to_track(tuple(case.args), track)
    return _watched(implementation, x, "x", FUNCTIONS[key], x)


@driver("torch_accumulate")
def torch_accumulate(implementation: Any, case: Case, track: str) -> Trial:
    """Build a two-layer model and let the implementation fill its gradients.

    ``case.args = (key of the loss, parameter arrays, x, y)``; ``case.options`` holds
    ``micro_batch_size`` and perhaps ``stale``: gradients are there already. The outputs are the
    loss, the gradients, and the largest number of rows that went through the model at once.
    """
    key, arrays, x, y = to_track(tuple(case.args), track)
    w1, b1, w2, b2 = arrays
    model = nn.Sequential(nn.Linear(*w1.shape), nn.Tanh(), nn.Linear(*w2.shape)).to(x.dtype)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), (w1.T, b1, w2.T, b2), strict=True):
            parameter.copy_(value)
            if case.options.get("stale"):
                parameter.grad = torch.ones_like(parameter)
    rows: list[int] = []
    model.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    before = to_plain(dict(model.named_parameters()))

    def run(x: Tensor, y: Tensor) -> tuple[Any, ...]:
        size = case.options["micro_batch_size"]
        loss = implementation(model, LOSSES[key], x, y, micro_batch_size=size)
        grads = {name: torch.zeros_like(p) if p.grad is None else p.grad
                 for name, p in model.named_parameters()}
        return loss, grads, max(rows, default=0)

    trial = guarded(run, (x, y), {}, tuple)
    after = to_plain(dict(model.named_parameters()))
    if all((before[name] == after[name]).all() for name in before):
        return trial
    return replace(trial, modified=(*trial.modified, "the model's parameters"))


@driver("torch_gradient_step")
def torch_gradient_step(implementation: Any, case: Case, track: str) -> Trial:
    """Take ``steps`` steps on the mean squared error of a linear model, each from the last.

    ``case.args = (params, x, t)``; ``case.options`` holds ``learning_rate`` and ``steps``. The
    outputs are the last parameters, the last loss, which parameters are fresh leaves, and what
    happened to the old ones.
    """
    params, x, t = to_track(tuple(case.args), track)
    numbers = to_plain(params)
    for value in params.values():
        value.requires_grad_()

    def loss_fn(given: Mapping[str, Tensor]) -> Tensor:
        pred = x @ given["w"] + given.get("b", 0.0)
        return ((pred - t) ** 2).mean()

    def run(given: Mapping[str, Tensor]) -> tuple[Any, ...]:
        loss: Any = None
        for _ in range(case.options.get("steps", 1)):
            given, loss = implementation(
                given, loss_fn, learning_rate=case.options["learning_rate"])
        fresh = {name: bool(p.is_leaf and p.requires_grad) for name, p in given.items()}
        changed = any((to_plain(p) != numbers[name]).any() for name, p in params.items())
        filled = any(p.grad is not None for p in params.values())
        old = "numbers changed" if changed else ".grad filled" if filled else "left alone"
        return given, loss, fresh, old

    return guarded(run, (dict(params),), {}, tuple)
