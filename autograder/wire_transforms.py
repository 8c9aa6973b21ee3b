"""Calls across the two sides from within ``torch.func``'s transforms (vjp, grad, jacrev)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from autograder import wire_torch


class TransformedCall(torch.autograd.Function):
    """A call from within ``torch.func``'s transforms, whose tensors have no numbers to send.

    PyTorch calls `forward` with the plain tensors inside; the call then records a graph of its
    own, which `backward` walks.
    """

    @staticmethod
    def forward(run: Any, *tensors: Tensor) -> Tensor:  # type: ignore[override]
        """Make the call with leaves in the place of the tensors."""
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_(t.is_floating_point()) for t in tensors]
            result = run(leaves)
        if not isinstance(result, Tensor):
            raise TypeError("a function under torch.func must return one tensor")
        run.made = (result, leaves)
        return result.detach()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the graph of the call."""
        ctx.result, ctx.leaves = inputs[0].made

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:  # type: ignore[override]
        """Gradients of the call's own graph."""
        if not ctx.result.requires_grad:
            return (None, *[None] * len(ctx.leaves))
        found = iter(torch.autograd.grad(
            ctx.result, [t for t in ctx.leaves if t.requires_grad], dy, allow_unused=True))
        return (None, *[next(found) if t.requires_grad else None for t in ctx.leaves])


class _Run:
    """A call that waits for the tensors of its arguments."""

    def __init__(self, peer: Any, proxy: Any, args: Any, kwargs: Any) -> None:
        self._call = (peer, proxy, args, kwargs)
        self.made: Any = None

    def __call__(self, tensors: list[Tensor]) -> Any:
        peer, proxy, args, kwargs = self._call
        rest = iter(tensors)
        plain = tuple(next(rest) if isinstance(a, Tensor) else a for a in args)
        return wire_torch.call(peer, proxy, plain, kwargs)


def call(peer: Any, proxy: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the other side with tensors that a transform has wrapped."""
    tensors = [value for value in args if isinstance(value, Tensor)]
    return TransformedCall.apply(_Run(peer, proxy, args, kwargs), *tensors)
