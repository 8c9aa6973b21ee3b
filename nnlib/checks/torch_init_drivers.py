"""Drivers for the PyTorch exercises of chapter 7. A case names a model by its key here."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nnlib.checks.compare import Difference, compare
from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.init_judges import draw_facts, draws_difference
from nnlib.checks.judges import judge
from nnlib.checks.tracks import to_plain, to_track
from nnlib.contract import Case, Rng


class TwoHeads(nn.Module):
    """A network with a layer that its output does not depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 5), nn.Tanh())
        self.head = nn.Linear(5, 2)
        self.spare = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the first head's output."""
        y: Tensor = self.head(self.body(x))
        return y


#: Fresh models by key.
MODELS: dict[str, Callable[[], nn.Module]] = {
    "linear layers": lambda: nn.Sequential(
        nn.Linear(60, 150), nn.ReLU(), nn.Linear(150, 40)),
    "filters": lambda: nn.Sequential(
        nn.Conv2d(6, 32, 5), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 24, 3)),
    "nested": lambda: nn.Sequential(
        nn.Sequential(nn.Linear(70, 90), nn.LayerNorm(90)),
        nn.Sequential(nn.Sequential(nn.Linear(90, 60), nn.BatchNorm1d(60)))),
    "grouped filters": lambda: nn.Sequential(nn.Conv2d(48, 64, 5, groups=4)),
    "others": lambda: nn.Sequential(
        nn.Embedding(50, 80), nn.Linear(80, 70), nn.PReLU(70), nn.Linear(70, 60)),
    "alone": lambda: nn.Linear(80, 90),
    "absent": lambda: nn.Sequential(
        nn.Linear(60, 90, bias=False), nn.BatchNorm1d(90, affine=False),
        nn.LayerNorm(90, elementwise_affine=False), nn.Linear(90, 60)),
    "small": lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 6)),
    "two layers": lambda: nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 4)),
    "deep and nested": lambda: nn.Sequential(
        nn.Linear(3, 5), nn.Tanh(),
        nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Sequential(nn.Linear(6, 2)))),
    "convolutional": lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4)),
    "frozen": lambda: nn.Sequential(
        nn.Linear(3, 5).requires_grad_(False), nn.Tanh(), nn.Linear(5, 2)),
    "two heads": TwoHeads,
}
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": nn.functional.mse_loss,
    "sum of squares": lambda out, y: ((out - y) ** 2).sum(),
}


def filled(key: str, seed: int, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Build a model and fill every parameter with numbers that no initialiser gives."""
    model = MODELS[key]().to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.9, 1.3, generator=generator)
    return model


def _drawn(model: nn.Module) -> dict[str, Tensor]:
    return {name: p for name, p in model.named_parameters()
            if isinstance(model.get_submodule(name.rpartition(".")[0]), nn.Linear | nn.Conv2d)
            and name.endswith("weight")}


@driver("torch_init_model")
def torch_init_model(implementation: Any, case: Case, track: str) -> Trial:
    """Initialise a model: the outputs are its random weights, the rest, and what still trains."""
    (key,) = case.args

    def run() -> tuple[Any, ...]:
        model = filled(key, case.seed)
        implementation(model, generator=to_track(Rng(case.seed), track))
        draws = _drawn(model)
        rest = {name: p for name, p in model.named_parameters() if name not in draws}
        return draws, rest, {name: p.requires_grad for name, p in model.named_parameters()}

    return guarded(run, (), {}, tuple)


@judge("model_draws", free_form=True)
def model_draws(got: Any, expected: Any, case: Case, field: str) -> Difference | None:
    """Random weights by name; other outputs by their numbers."""
    if field != "draws" or not isinstance(got, dict) or set(got) != set(expected):
        return compare(got, expected)
    for name, want in expected.items():
        found = draws_difference(got[name], want)
        if found:
            return Difference(f"{name} {found.code}", f"{name}: {found.message}")
    return None


@driver("torch_repeat_init")
def torch_repeat_init(implementation: Any, case: Case, track: str) -> Trial:
    """The same model with one seed twice, and with another."""
    (key,) = case.args

    def draw(seed: int) -> Any:
        model = filled(key, case.seed)
        implementation(model, generator=to_track(Rng(seed), track))
        return to_plain(list(_drawn(model).values()))

    return guarded(lambda: (draw_facts(draw, case.seed), {}, {}), (), {}, tuple)


def left_behind(model: nn.Module) -> dict[str, Any]:
    """Say what a look at a model changed: hooks, mode, gradients."""
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
                for m in model.modules())
    return {"hooks": hooks, "mode": "training" if model.training else "evaluation",
            "gradients": sum(p.grad is not None for p in model.parameters())}


@driver("torch_mean_squares")
def torch_mean_squares(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model, x)``; with ``fails`` the model can't take x and raises."""
    key, x = case.args
    (x,) = to_track((x,), track)
    model = filled(key, case.seed, x.dtype)
    model.train(case.options.get("training", True))

    def run(x: Tensor) -> tuple[Any, ...]:
        try:
            found = implementation(model, x)
        except RuntimeError as error:
            if not case.options.get("fails") or isinstance(error, NotImplementedError):
                raise
            found = "raised"
        return found, left_behind(model)

    return guarded(run, (x,), {}, tuple)


@driver("torch_weight_gradients")
def torch_weight_gradients(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model, loss_fn, x, y)``; the outputs are the norms and every ``.grad``."""
    key, loss, x, y = case.args
    x, y = to_track((x, y), track)
    model = filled(key, case.seed, x.dtype)
    if case.options.get("used"):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 0.5)

    def run(x: Tensor, y: Tensor) -> tuple[Any, ...]:
        norms = implementation(model, LOSSES[loss], x, y)
        return norms, {name: p.grad for name, p in model.named_parameters()}

    return guarded(run, (x, y), {}, tuple)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None).to(weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


@driver("torch_twins")
def torch_twins(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(first, second)`` for ``case.args = (weight, bias or None, weight)``."""
    weight, bias, outgoing = to_track(tuple(case.args), track)
    first, second = _linear(weight, bias), _linear(outgoing, None)
    return guarded(lambda: implementation(first, second), (), {})


@driver("torch_scale")
def torch_scale(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(model, x)``: the outputs are the weights and the biases afterwards.

    ``case.args = (x, activation, list of (weight, bias or None))``.
    """
    x, name, layers = case.args
    x, layers = to_track((x, layers), track)
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[name]
    model = nn.Sequential()
    for weight, bias in layers:
        model.extend([_linear(weight, bias), activation()])

    def run(x: Tensor) -> tuple[Any, ...]:
        implementation(model, x)
        parts = list(model)[::2]
        return ([layer.weight for layer in parts], [layer.bias for layer in parts],
                [p.requires_grad for p in model.parameters()])

    return guarded(run, (x,), {}, tuple)


@driver("torch_orthogonal")
def torch_orthogonal(implementation: Any, case: Case, track: str) -> Trial:
    """The output is the table of products of the rows, or of the columns if there are fewer."""
    (shape,) = case.args

    def run() -> Any:
        w = implementation(shape, generator=to_track(Rng(case.seed), track), **case.options)
        if not isinstance(w, Tensor):
            raise TypeError("the function must return a tensor")
        if tuple(w.shape) != tuple(shape):
            raise ValueError(f"the shape must be {tuple(shape)}, got {tuple(w.shape)}")
        rows = w.reshape(shape[0], math.prod(shape[1:]))
        return rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows

    return guarded(run, (), {})


@driver("torch_repeat_orthogonal")
def torch_repeat_orthogonal(implementation: Any, case: Case, track: str) -> Trial:
    """The same shape with one seed twice, and with another."""
    (shape,) = case.args

    def draw(seed: int) -> Any:
        return to_plain(implementation(shape, generator=to_track(Rng(seed), track)))

    return guarded(lambda: draw_facts(draw, case.seed), (), {})
