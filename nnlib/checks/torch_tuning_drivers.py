"""Drivers for the PyTorch exercises of chapter 12: draws, loaders, a choice, resuming."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnlib.checks.drivers import Trial, driver, guarded
from nnlib.checks.tracks import to_plain, to_track
from nnlib.contract import Case


def _share(count: int, size: int) -> str:
    """Name a share roughly, so that every right draw earns the same word."""
    share = count / size
    return "few" if share < 0.35 else "most" if share > 0.65 else "half"


@driver("torch_log_uniform")
def torch_log_uniform(implementation: Any, case: Case, track: str) -> Trial:
    """Facts about the draws, the same for every right answer."""
    low, high, size = case.args

    def once(seed: int) -> np.ndarray:
        return to_plain(implementation(low, high, size,
                                       generator=torch.Generator().manual_seed(seed)))

    def run() -> dict[str, Any]:
        one, same, other = once(1), once(1), once(2)
        facts: dict[str, Any] = {
            "shape": list(one.shape),
            "inside": bool(((one >= low * (1 - 1e-5)) & (one <= high * (1 + 1e-5))).all()),
            "one seed, one result": bool(np.array_equal(one, same)),
        }
        if size > 100:
            with np.errstate(invalid="ignore"):
                places = np.log(one / low) / np.log(high / low)
            facts["below the geometric mean"] = _share(int((places < 0.5).sum()), size)
            facts["in the middle half"] = _share(int((abs(places - 0.5) < 0.25).sum()),
                                                 size)
            facts["all different"] = len(np.unique(one)) > 0.95 * size
            facts["another seed, another result"] = not np.array_equal(one, other)
        return facts

    return guarded(run, (), {})


@driver("torch_fold_loaders")
def torch_fold_loaders(implementation: Any, case: Case, track: str) -> Trial:
    """Facts about what the two loaders give; the first feature numbers the rows."""
    n, train, test = case.args
    x = torch.stack([torch.arange(n), torch.arange(n) ** 2], dim=1).double()
    y = 3.0 * torch.arange(n).double() + 1

    def once(seed: int) -> tuple[Any, Any]:
        loaders = implementation(x.clone(), y.clone(), torch.tensor(train), torch.tensor(test),
                                 generator=torch.Generator().manual_seed(seed), **case.options)
        first, second = loaders
        return first, second

    def epoch(loader: Any) -> tuple[list[int], list[int], bool]:
        rows, sizes, fits = [], [], True
        for x_batch, y_batch in loader:
            numbers = x_batch[:, 0].round().long().tolist()
            rows += numbers
            sizes.append(len(numbers))
            fits &= y_batch.tolist() == [3.0 * row + 1 for row in numbers]
        return rows, sizes, fits

    def run() -> tuple[Any, ...]:
        (one, test_loader), (same, _), (other, _) = once(3), once(3), once(4)
        first, again = epoch(one), epoch(one)
        twin, stranger = (epoch(same), epoch(same)), epoch(other)
        many = len(train) >= 10
        seen = {
            "rows": sorted(first[0]),
            "batch sizes": first[1],
            "x and y belong together": first[2],
            "shuffled": not many or first[0] != list(train),
            "another order in the next epoch": not many or first[0] != again[0],
            "the same rows in the next epoch": sorted(first[0]) == sorted(again[0]),
            "one seed, one result": (first[0], again[0]) == (twin[0][0], twin[1][0]),
            "another seed, another result": not many or first[0] != stranger[0],
        }
        rows, sizes, fits = epoch(test_loader)
        # Three rows are in order by chance too often to tell anything.
        few = len(test) < 6
        return seen, {"rows": sorted(rows), "in the order given": few or rows == list(test),
                      "batch sizes": sizes, "x and y belong together": fits,
                      "the next epoch is the same": few or epoch(test_loader)[0] == rows}

    return guarded(run, (), {}, tuple)


def _candidate_model(weights: Tensor, shift: Tensor, training: bool) -> nn.Module:
    """Make a linear classifier with a batch norm, whose running statistics matter."""
    d = weights.shape[0]
    norm = nn.BatchNorm1d(d, dtype=weights.dtype)
    layer = nn.Linear(d, weights.shape[1], bias=False, dtype=weights.dtype)
    with torch.no_grad():
        norm.running_mean.copy_(shift)  # type: ignore[union-attr]
        layer.weight.copy_(weights.T)
    return nn.Sequential(norm, layer).train(training)


@driver("torch_select")
def torch_select(implementation: Any, case: Case, track: str) -> Trial:
    """Choose among models: the outputs are the place, both kinds of accuracy, what is left."""
    weights, shifts, validation, test = to_track(tuple(case.args), track)
    modes = case.options.get("modes", [True] * len(weights))
    models = [_candidate_model(w, shift, training)
              for w, shift, training in zip(weights, shifts, modes, strict=True)]
    before = [{name: value.clone() for name, value in model.state_dict().items()}
              for model in models]

    def run() -> tuple[Any, ...]:
        best, accuracies, accuracy = implementation(models, validation, test)
        kept = all(torch.equal(old[name], value) for old, model in zip(before, models, strict=True)
                   for name, value in model.state_dict().items())
        left = {"modes": [model.training for model in models], "states as they were": kept}
        return int(best), [float(each) for each in accuracies], float(accuracy), left

    return guarded(run, (), {}, tuple)


@driver("torch_resume_training")
def torch_resume_training(implementation: Any, case: Case, track: str) -> Trial:
    """Train, save, go on; a second training with another seed loads and goes on as well."""
    x, y = to_track(tuple(case.args), track)
    options = dict(case.options)
    stop, seed = options.pop("stop"), options.pop("seed")
    rest = options["epochs"] - stop

    def run(x: Tensor, y: Tensor) -> tuple[Any, ...]:
        first = implementation(x, y, seed=seed, **options)
        for _ in range(stop):
            first.run_epoch()
        data = first.save()
        if not isinstance(data, bytes):
            raise TypeError(f"save must return bytes, got {type(data).__name__}")
        straight = [float(first.run_epoch()) for _ in range(rest)]
        second = implementation(x, y, seed=seed + 1, **options)
        second.load(data)
        counter = int(second.epoch)
        resumed = [float(second.run_epoch()) for _ in range(rest)]
        return straight, resumed, [each.clone() for each in second.weights()], counter

    return guarded(run, (x, y), {}, tuple)


@driver("torch_hypergradient")
def torch_hypergradient(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(w, log_rate, train, validation, steps=...)``: loss and derivative."""
    w, log_rate, train, validation = to_track(tuple(case.args), track)
    if case.options.get("watched"):
        w.requires_grad_()
        log_rate.requires_grad_()
    steps = case.options["steps"]

    def run(w: Tensor, log_rate: Tensor, train: Any, validation: Any) -> tuple[Any, ...]:
        loss, gradient = implementation(w, log_rate, train, validation, steps=steps)
        clean = w.grad is None and log_rate.grad is None
        return loss, gradient, "no .grad left behind" if clean else "a .grad was left behind"

    return guarded(run, (w, log_rate, train, validation), {}, tuple)
