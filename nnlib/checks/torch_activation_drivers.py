"""Drivers for the PyTorch exercises of chapter 2: layers handed in, a module that watches."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nnlib.checks.drivers import Trial, driver, guarded, upstream
from nnlib.checks.tracks import to_track
from nnlib.contract import Case

#: What a layer may end in, by the key that a case uses.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda z: z,
    "sigmoid": torch.sigmoid,
    "softmax": lambda z: torch.softmax(z, dim=-1),
    "softplus": nn.functional.softplus,
    "tanh": torch.tanh,
}


def _layer(key: str, w: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda h: ACTIVATIONS[key](h @ w)


@driver("torch_gradient_norms")
def torch_gradient_norms(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(layers, x, dy)`` for ``case.args = (keys, weights, x, dy)``."""
    keys, weights, x, dy = to_track(tuple(case.args), track)
    layers = [_layer(key, w) for key, w in zip(keys, weights, strict=True)]
    # A tuple of norms would count as several outputs: one output, whatever kind of sequence.
    return guarded(lambda x, dy: implementation(layers, x, dy), (x, dy), {},
                   lambda norms: (list(norms) if isinstance(norms, tuple) else norms,))


@driver("torch_monitor")
def torch_monitor(implementation: Any, case: Case, track: str) -> Trial:
    """Send batches through a module of the candidate's class and ask what it saw.

    ``case.args = (batches,)``; ``case.options`` may hold ``reset_after``, a number of batches,
    and ``rules``. The outputs are the last batch as it came out, its gradient, the number of
    dead units after each batch, and the module's buffers.
    """
    (batches,) = to_track(tuple(case.args), track)
    leaves = [batch.requires_grad_() for batch in batches]

    def run(*given: Tensor) -> tuple[Any, ...]:
        made = implementation(given[0].shape[1])
        if not isinstance(made, nn.Module):
            raise TypeError("the class must inherit from torch.nn.Module")
        built: Any = made
        dead: list[Any] = []
        for count, leaf in enumerate(given, start=1):
            # Like the output of a layer: no leaf, with a graph behind it.
            y = built(leaf * 1)
            dead.append(built.dead())
            if case.options.get("reset_after") == count:
                built.reset()
        if y.requires_grad:
            y.backward(upstream(y, case, track))
        dh = torch.zeros_like(given[-1]) if given[-1].grad is None else given[-1].grad
        if case.options.get("rules"):
            _check_rules(built)
        return y, dh, dead, dict(built.named_buffers())

    return guarded(run, tuple(leaves), {}, tuple)


def _check_rules(built: nn.Module) -> None:
    if list(built.named_parameters()):
        raise RuntimeError("an optimiser would train what only watches")
    if not built.state_dict():
        raise RuntimeError("state_dict() is empty: what was seen would not be saved")
