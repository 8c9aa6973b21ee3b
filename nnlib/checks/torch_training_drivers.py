"""Drivers for the PyTorch exercises of chapter 6: data sets, batches, devices, epochs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import to_track
from nnlib.contract import Case

#: What a data set may do to each image; the second does not commute with scaling.
TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "mirror": lambda image: image.flip(-1),
    "brighter": lambda image: image + 0.25,
}


class Network(nn.Sequential):
    """Linear, batch normalization, tanh, linear; or without the first and the third.

    With ``watch`` a forward pass that would record gradients is refused.
    """

    def __init__(self, arrays: dict[str, Tensor], *, watch: bool = False) -> None:
        w = arrays["w"]
        first, last = [], nn.Linear(*w.shape)
        if "v" in arrays:
            first = [nn.Linear(*arrays["v"].shape)]
        super().__init__(*first, nn.BatchNorm1d(len(w)), *[nn.Tanh() for _ in first], last)
        self.to(w.dtype)
        self.watch = watch
        with torch.no_grad():
            for layer, name in zip((last, *first), ("w", "v"), strict=False):
                layer.weight.copy_(arrays[name].T)
                layer.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores of a batch."""
        if self.watch and torch.is_grad_enabled():
            raise RuntimeError("the forward pass recorded gradients that nobody needs")
        result: Tensor = super().forward(x)
        return result


LOSSES: dict[str, nn.Module] = {"mse": nn.MSELoss(), "cross entropy": nn.CrossEntropyLoss()}


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Copy parameters and buffers."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


@driver("torch_dataset")
def torch_dataset(implementation: Any, case: Case, track: str) -> Trial:
    """Build a data set from images and labels and ask it for its length and some items."""
    options = dict(case.options)
    if "transform" in options:
        options["transform"] = TRANSFORMS[options["transform"]]
    indices = options.pop("indices")

    def run(images: Tensor, labels: Tensor) -> tuple[Any, ...]:
        built = implementation(images, labels, **options)
        items = [built[index] for index in indices]
        return len(built), [image for image, _ in items], [label for _, label in items]

    return guarded(run, to_track(tuple(case.args), track), {}, tuple)


@driver("torch_shuffled_epochs")
def torch_shuffled_epochs(implementation: Any, case: Case, track: str) -> Trial:
    """Facts that every right shuffling shares, from two calls with one seed and one with another.

    The first column of x numbers the rows; y is that column.
    """
    def epochs(x: Tensor, y: Tensor, seed: int) -> list[list[tuple[Tensor, Tensor]]]:
        found = implementation(x, y, seed=seed, **case.options)
        return [[(x_batch, y_batch) for x_batch, y_batch in epoch] for epoch in found]

    def order(epoch: list[tuple[Tensor, Tensor]]) -> list[float]:
        return [row for x_batch, _ in epoch for row in x_batch[:, 0].tolist()]

    def run(x: Tensor, y: Tensor) -> tuple[Any, ...]:
        start = x[:, 0].tolist()
        one, same, other = (epochs(x, y, seed) for seed in (case.seed, case.seed, case.seed + 1))
        orders = [order(epoch) for epoch in one]
        ranks = [[start.index(row) for row in x_batch[:, 0].tolist()]
                 for epoch in one for x_batch, _ in epoch]
        whole = all(len(rows) == len(start) for rows in orders)
        facts = {
            "as in x": any(rows == start[: len(rows)] for rows in orders),
            "the same in two epochs": any(
                a == b for k, a in enumerate(orders) for b in orders[:k]),
            "the same for the same seed": orders == [order(epoch) for epoch in same],
            "the same for another seed": orders == [order(epoch) for epoch in other],
            "neighbours stay together": all(
                part == list(range(part[0], part[0] + len(part))) for part in ranks),
        }
        return (
            [[len(x_batch) for x_batch, _ in epoch] for epoch in one],
            [sorted(rows) if whole else len(set(rows)) for rows in orders],
            facts,
            all(torch.equal(x_batch[:, 0], y_batch) for epoch in one for x_batch, y_batch in epoch),
        )

    return guarded(run, to_track(tuple(case.args), track), {}, tuple)


def _description(value: Any) -> Any:
    """Say what a batch holds, and where its tensors are."""
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)} on {value.device}"
    if isinstance(value, dict):
        return {key: _description(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [type(value).__name__, *map(_description, value)]
    return value


@driver("torch_move")
def torch_move(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(batch, device)``; the device "meta" holds shapes but no numbers."""
    device = case.options["device"]
    (batch,) = to_track(tuple(case.args), track)

    def run() -> tuple[Any, ...]:
        moved = implementation(batch, torch.device(device))
        return _description(moved), moved if device == "cpu" else None, _description(batch)

    # Tensors without numbers stay out of guarded's arguments: they cannot be compared.
    return guarded(run, (), {}, tuple)


@driver("torch_train_epoch")
def torch_train_epoch(implementation: Any, case: Case, track: str) -> Trial:
    """Build a network and let the implementation train it for one epoch.

    ``case.args = (key of the loss, arrays, batches)``. With ``used`` the network comes in
    evaluation mode and holds gradients already.
    """
    key, arrays, batches = to_track(tuple(case.args), track)
    options = dict(case.options)
    model = Network(arrays)
    if options.pop("used", False):
        model.eval()
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)

    def run(batches: Any) -> tuple[Any, ...]:
        loss = implementation(model, batches, LOSSES[key], **options)
        return loss, _state(model)

    return guarded(run, (batches,), {}, tuple)


@driver("torch_evaluate")
def torch_evaluate(implementation: Any, case: Case, track: str) -> Trial:
    """Measure a network: the outputs are loss, accuracy, the state and the mode afterwards."""
    arrays, batches = to_track(tuple(case.args), track)
    model = Network(arrays, watch=case.options.get("watch", False))
    model.train(case.options.get("training", True))

    def run(batches: Any) -> tuple[Any, ...]:
        loss, accuracy = implementation(model, batches)
        return loss, accuracy, _state(model), "train" if model.training else "eval"

    return guarded(run, (batches,), {}, tuple)


@driver("torch_fit_best")
def torch_fit_best(implementation: Any, case: Case, track: str) -> Trial:
    """Train a network: the outputs are both curves, the state and the mode afterwards.

    ``case.args = (arrays, training batches, validation batches)``.
    """
    arrays, train, validation = to_track(tuple(case.args), track)
    model = Network(arrays)

    def run(train: Any, validation: Any) -> tuple[Any, ...]:
        history = implementation(model, train, validation, LOSSES["mse"], **case.options)
        return (list(history["loss"]), list(history["validation_loss"]), _state(model),
                "train" if model.training else "eval")

    return guarded(run, (train, validation), {}, tuple)
