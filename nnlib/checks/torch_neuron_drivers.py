"""Drivers for the PyTorch exercises of chapter 1: modules handed in, devices, buffers."""

from typing import Any

import torch
from torch import Tensor, nn

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import to_track
from nnlib.contract import Case


class ProbeNeuron(nn.Module):
    """The model that an exercise gets handed: ``x @ weight + bias``.

    ``weight`` is ``(d,)`` with ``bias ()``, or ``(d, k)`` with ``bias (k,)``. With ``watch`` a
    forward pass that would record gradients is refused.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, watch: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)
        self._watch = watch  # private: no code that gets the model can switch it off

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighted sums of a batch."""
        if x.ndim != 2:
            raise ValueError(f"the model takes a batch (n, {len(self.weight)}), "
                             f"got shape {tuple(x.shape)}")
        if self._watch and torch.is_grad_enabled():
            raise RuntimeError("the forward pass recorded gradients that nobody needs")
        return x @ self.weight + self.bias


def _probe(options: dict[str, Any]) -> ProbeNeuron:
    return ProbeNeuron(options.pop("weight"), options.pop("bias"),
                       watch=options.pop("watch", False))


@driver("predict")
def predict(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model, x)`` for a model with the given weight and bias."""
    model = _probe(to_track(dict(case.options), track))
    (x,) = to_track(tuple(case.args), track)
    return guarded(lambda batch: implementation(model, batch), (x,), {})


@driver("module_step")
def module_step(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(neuron, x, t, **options)`` changes the neuron's own parameters.

    The outputs are the parameters that the neuron had from the start, as they are afterwards,
    and the returned value: a parameter that was replaced counts as unchanged, because an
    optimiser that knows the old one would see no change.
    """
    options = to_track(dict(case.options), track)
    model = _probe(options)
    weight, bias = model.weight, model.bias
    x, t = to_track(tuple(case.args), track)

    def run(example: Tensor, target: int, **keywords: Any) -> tuple[Any, ...]:
        changed = implementation(model, example, target, **keywords)
        if not (weight.requires_grad and bias.requires_grad):
            raise RuntimeError("the parameters no longer require gradients")
        return weight, bias, changed

    return guarded(run, (x, t), options, tuple)


@driver("fixed_module")
def fixed_module(implementation: Any, case: Case, track: str) -> Trial:
    """Build a module without arguments, convert it to the dtype of x, call it.

    With the option ``rules`` it must hold its numbers as buffers, and train nothing.
    """
    (x,) = to_track(tuple(case.args), track)

    def run(batch: Tensor) -> Any:
        built = implementation()
        if not isinstance(built, nn.Module):
            raise TypeError("the class must inherit from torch.nn.Module")
        if case.options.get("rules"):
            _check_fixed(built)
        return built.to(batch.dtype)(batch)

    return guarded(run, (x,), {})


def _check_fixed(built: nn.Module) -> None:
    trained = [name for name, value in built.named_parameters() if value.requires_grad]
    if trained:
        raise RuntimeError(f"an optimiser would train {', '.join(trained)}")
    if not built.state_dict():
        raise RuntimeError("state_dict() is empty: saving the network would save no weights")


@driver("follows_x")
def follows_x(implementation: Any, case: Case, track: str) -> Trial:
    """Call with x on the "meta" device, which holds shapes but no numbers.

    A tensor that the code creates on the CPU cannot be combined with it, just as on a machine
    with a GPU. The first output says where the result is; there is no second.
    """
    x = to_track(case.args[0], track).to("meta")

    def run(batch: Tensor) -> tuple[Any, ...]:
        y = implementation(batch)
        return f"{tuple(y.shape)} on {y.device}", ""

    # The tensor without numbers stays out of guarded's arguments: it cannot be compared.
    return guarded(lambda: run(x), (), {}, tuple)
