"""Drivers for the PyTorch exercises of chapter 10: modules with two modes, penalties, a loop."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnlib.checks.compare import Difference, compare
from nnlib.checks.drivers import Trial, driver, guarded, upstream
from nnlib.checks.judges import JUDGES, judge
from nnlib.checks.torch_optimizer_drivers import MODELS as OPTIMIZED
from nnlib.checks.tracks import to_track
from nnlib.contract import Case

LOSSES: dict[str, nn.Module] = {"mse": nn.MSELoss()}
#: Plain modules only, which are rebuilt wherever the candidate runs.
MODELS: dict[str, Callable[[], nn.Module]] = {
    **{key: OPTIMIZED[key] for key in ("perceptron", "images", "frozen", "tied", "weights alone")},
    "words": lambda: nn.Sequential(nn.Embedding(5, 3), nn.LayerNorm(3), nn.Linear(3, 5)),
}


def _built(implementation: Any, value: Any, seed: int) -> Any:
    """Make a module that draws from a seeded generator."""
    layer = implementation(value, generator=torch.Generator().manual_seed(seed))
    if not isinstance(layer, nn.Module):
        raise TypeError("the class must inherit from torch.nn.Module")
    return layer


@driver("torch_dropout_module")
def torch_dropout_module(implementation: Any, case: Case, track: str) -> Trial:
    """One call: the outputs are y, and how far the gradient is from taking the same way.

    The gradient of an entry is ``dy`` times its factor, so ``gradient * x / dy - y`` is 0.
    """
    (x,) = to_track(tuple(case.args), track)
    x.requires_grad_()

    def run(x: Tensor) -> tuple[Any, ...]:
        layer = _built(implementation, case.options["drop_prob"], case.seed)
        layer.train(case.options["training"])
        y = layer(x)
        dy = upstream(y, case, track)
        if y.requires_grad:
            y.backward(dy)
        gradient = torch.zeros_like(x) if x.grad is None else x.grad
        return y, gradient * x.detach() / dy - y.detach()

    return guarded(run, (x,), {}, tuple)


@judge("dropout module", free_form=True)
def dropout_module(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """The result as dropout's; the gradient by its numbers."""
    if field == "y":
        return JUDGES["dropout"](got, expected, case, field)
    return compare(got, np.zeros_like(expected))


@driver("torch_module_calls")
def torch_module_calls(implementation: Any, case: Case, track: str) -> Trial:
    """Facts about several calls of modules with one seed and with another.

    ``case.args = (x, first argument of the class)``; the option ``outputs`` is the number of
    outputs of the operation, the facts being the first.
    """
    x, value = to_track(tuple(case.args), track)

    def run(x: Tensor) -> tuple[Any, ...]:
        layer, same, other = (_built(implementation, value, seed)
                              for seed in (case.seed, case.seed, case.seed + 1))
        one, two = layer(x), layer(x)
        facts: dict[str, Any] = {
            "two calls give the same": torch.equal(one, two),
            "the same seed gives the same": torch.equal(one, same(x)),
            "another seed gives the same": torch.equal(one, other(x)),
        }
        layer.eval()
        facts["x itself in evaluation mode"] = torch.equal(layer(x), x)
        layer.train()
        facts["x itself in training mode again"] = torch.equal(layer(x), x)
        facts["parameters"] = sum(1 for _ in layer.named_parameters())
        return facts, *[{} for _ in range(case.options["outputs"] - 1)]

    return guarded(run, (x,), {}, tuple)


@driver("torch_random_shift")
def torch_random_shift(implementation: Any, case: Case, track: str) -> Trial:
    """One call of a module that moves images."""
    (images,) = to_track(tuple(case.args), track)

    def run(images: Tensor) -> Tensor:
        layer = _built(implementation, case.options["max_shift"], case.seed)
        layer.train(case.options["training"])
        result: Tensor = layer(images)
        return result

    return guarded(run, (images,), {})


@driver("torch_weight_penalty")
def torch_weight_penalty(implementation: Any, case: Case, track: str) -> Trial:
    """The penalty of a model named by a key, and the gradient of every parameter."""
    (key,) = case.args
    rng = np.random.default_rng(case.seed)
    model = MODELS[key]()
    options = dict(case.options)
    model.to(torch.float32 if options.pop("single", False) else torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(size=tuple(parameter.shape))))

    def run() -> tuple[Any, ...]:
        value = implementation(model, **options)
        if not isinstance(value, Tensor):
            raise TypeError("the penalty must be a tensor, so that backward() can start from it; "
                            f"got {type(value).__name__}")
        if value.requires_grad:
            value.backward()
        return value, {name: torch.zeros_like(p) if p.grad is None else p.grad
                       for name, p in model.named_parameters()}

    return guarded(run, (), {}, tuple)


@driver("torch_mixup_loss")
def torch_mixup_loss(implementation: Any, case: Case, track: str) -> Trial:
    """The loss, and the gradient of the logits."""
    logits, *others = to_track(tuple(case.args), track)
    logits.requires_grad_()

    def run(logits: Tensor, *others: Any) -> tuple[Any, ...]:
        loss = implementation(logits, *others)
        if isinstance(loss, Tensor) and loss.requires_grad:
            loss.sum().backward()
        return loss, torch.zeros_like(logits) if logits.grad is None else logits.grad

    return guarded(run, (logits, *others), {}, tuple)


def scaled_line(scales: Tensor) -> nn.Sequential:
    """Make a linear model of standardised inputs with fixed factors; it starts at 0."""
    norm = nn.BatchNorm1d(len(scales), momentum=0.5, dtype=scales.dtype)
    line = nn.Linear(len(scales), 1, dtype=scales.dtype)
    with torch.no_grad():
        norm.weight.copy_(scales)
        line.weight.zero_()
        line.bias.zero_()
    norm.requires_grad_(False)
    return nn.Sequential(norm, line)


@driver("torch_fit_with_patience")
def torch_fit_with_patience(implementation: Any, case: Case, track: str) -> Trial:
    """Train a linear model: the outputs are the validation losses, the state and the mode.

    ``case.args = (factors of the inputs, training batches, validation batches)``.
    """
    scales, train, validation = to_track(tuple(case.args), track)
    model = scaled_line(scales)

    def run(train: Any, validation: Any) -> tuple[Any, ...]:
        losses = implementation(model, train, validation, LOSSES["mse"], **case.options)
        state = {name: value.detach().clone() for name, value in model.state_dict().items()}
        return [float(loss) for loss in losses], state, "train" if model.training else "eval"

    return guarded(run, (train, validation), {}, tuple)
