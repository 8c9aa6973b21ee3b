"""Drivers for the PyTorch exercises of chapter 3. A case names a model by its key here."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnlib.checks.drivers import Trial, driver, guarded, upstream
from nnlib.checks.torch_drivers import _as_leaf, _gradient, _records
from nnlib.checks.tracks import to_track
from nnlib.contract import Case


@driver("torch_linear")
def torch_linear(implementation: Any, case: Case, track: str) -> Trial:
    """``y = implementation(x, weight, bias)``; the outputs are y and the gradients of all."""
    args = [_as_leaf(value) for value in to_track(tuple(case.args), track)]

    def run(*inputs: Any) -> tuple[Any, ...]:
        y = implementation(*inputs)
        y.backward(upstream(y, case, track))
        names = ("x", "weight", "bias")
        return y, {name: _gradient(value) for name, value in zip(names, inputs, strict=True)
                   if _records(value)}

    return guarded(run, tuple(args), {}, tuple)


@driver("torch_from_numpy")
def torch_from_numpy(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(params)`` gets NumPy arrays and must return a dict of tensors."""
    (params,) = to_track(tuple(case.args), "numpy")

    def run(params: Any) -> Any:
        state = implementation(params)
        if isinstance(state, dict):
            for name, value in state.items():
                if not isinstance(value, Tensor):
                    raise TypeError(f"load_state_dict takes tensors, but {name!r} is of type "
                                    f"{type(value).__name__}")
        return state

    return guarded(run, (params,), {})


@driver("torch_on_meta")
def torch_on_meta(implementation: Any, case: Case, track: str) -> Trial:
    """Build a module, move it to the "meta" device, call it there.

    A layer that the module does not know of stays on the CPU, just as on a machine with a GPU.
    """
    x = to_track(case.args[0], track).to("meta")

    def run() -> tuple[Any, ...]:
        built = implementation(**to_track(dict(case.options["init"]), track))
        if not isinstance(built, nn.Module):
            raise TypeError("the class must inherit from torch.nn.Module")
        y = built.to("meta")(x)
        return f"{tuple(y.shape)} on {y.device}", ""

    return guarded(run, (), {}, tuple)


def _frozen(first: nn.Module, *rest: nn.Module) -> nn.Module:
    return nn.Sequential(first.requires_grad_(False), *rest)


def _nested(a: int, b: int, c: int) -> nn.Module:
    return nn.Sequential(nn.Sequential(nn.Linear(a, b), nn.ReLU()), nn.Linear(b, c))


#: Models of three sizes.
MODELS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "one layer": lambda a, b, c: nn.Linear(a, b),
    "two layers": lambda a, b, c: nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, c)),
    "a network in a network": _nested,
    "no biases": lambda a, b, c: nn.Sequential(
        nn.Linear(a, b, bias=False), nn.ReLU(), nn.Linear(b, c, bias=False)),
    "first layer frozen": lambda a, b, c: _frozen(
        nn.Linear(a, b), nn.ReLU(), nn.Linear(b, c)),
    "batch norm, which has buffers": lambda a, b, c: nn.Sequential(
        nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU(), nn.Linear(b, c)),
    "nothing to train": lambda a, b, c: nn.Sequential(nn.ReLU(), nn.Flatten()),
    "all frozen": lambda a, b, c: _frozen(nn.Linear(a, b)),
}


@driver("torch_count")
def torch_count(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model)`` for ``case.args = (key, three sizes)``."""
    key, sizes = case.args
    model = MODELS[key](*sizes)
    return guarded(lambda: implementation(model), (), {})


class ProbeClassifier(nn.Module):
    """A linear classifier that behaves differently in training mode, as dropout does.

    With ``watch`` a forward pass that would record gradients is refused.
    """

    def __init__(self, layers: Sequence[Tensor], *, watch: bool) -> None:
        super().__init__()
        weight, bias = layers
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.watch = watch

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits; in training mode those of inputs with every other one dropped."""
        if self.watch and torch.is_grad_enabled():
            raise RuntimeError("the forward pass recorded gradients that nobody needs")
        if self.training:
            keep = torch.arange(x.shape[-1], device=x.device) % 2
            x = 2 * keep.to(x.dtype) * x
        return x @ self.weight + self.bias


@driver("torch_probabilities")
def torch_probabilities(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model, x)`` for ``case.args = (x, weight, bias)``.

    The outputs are the probabilities and the mode in which the model is afterwards.
    """
    x, *layers = to_track(tuple(case.args), track)
    model = ProbeClassifier(layers, watch=case.options.get("watch", False))
    model.train(case.options["training"])

    def run(batch: Tensor) -> tuple[Any, ...]:
        p = implementation(model, batch)
        return p, "training mode" if model.training else "evaluation mode"

    return guarded(run, (x,), {}, tuple)
