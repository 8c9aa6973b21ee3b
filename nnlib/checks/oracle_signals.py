"""The oracle's counterpart of `layer_statistics`: PyTorch's functions and its autograd."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

__all__ = ["layer_statistics"]


def layer_statistics(
    x: Tensor, params: Sequence[tuple[Tensor, Tensor]], dy: Tensor, *, activation: str = "relu"
) -> tuple[Tensor, ...]:
    """Gradients by autograd; a unit is dead where none reaches it for any row."""
    function = {"relu": torch.relu, "tanh": torch.tanh, "identity": torch.clone}[activation]
    with torch.enable_grad():
        h, sums, outputs = x.detach().requires_grad_(), [], []
        for w, b in params:
            sums.append(F.linear(h, w.T, b))
            h = function(sums[-1])
            outputs.append(h)
        grads = torch.autograd.grad(h, outputs, dy, retain_graph=True)
        slopes = [torch.autograd.grad(y.sum(), z, retain_graph=True)[0]
                  for y, z in zip(outputs, sums, strict=True)]
    return (
        torch.stack([z.var(correction=0) for z in sums]),
        torch.stack([y.square().mean() for y in outputs]),
        torch.stack([(s == 0).all(dim=0).to(x.dtype).mean() for s in slopes]),
        torch.stack([g.square().mean() for g in grads]),
    )
