"""Every operation of the contract against PyTorch: worst error by track, dtype and device.

    for row in conformance():
        print(row.operation, row.track, row.dtype, row.cases, row.forward, row.backward)

The cases are those of the contract, so whatever a case table probes is compared here too. The
oracle (`nnlib.checks.oracle`) always computes in float64 on the CPU, from the same inputs: for
float32 the inputs are rounded to float32 first. What is left is nnlib's own rounding.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from nnlib.checks.drivers import perform
from nnlib.checks.oracle import COUNTERPARTS, family, leaves
from nnlib.checks.run import draw_cases
from nnlib.checks.tracks import is_tensor, on_device, reference, to_plain, to_track
from nnlib.contract import Case, Operation, operations

#: Largest error allowed, by dtype: ``|got - want| / max(1, |want|)`` of any element.
FORWARD = {"float64": 1e-12, "float32": 2e-6}
BACKWARD = {"float64": 1e-10, "float32": 2e-5}
#: On an accelerator, for float32 with TF32 switched off; sums are added up in another order there.
FORWARD_DEVICE = {"float64": 1e-12, "float32": 1e-5}
BACKWARD_DEVICE = {"float64": 1e-10, "float32": 2e-5}
#: A wider error is the problem's, not nnlib's, where it is below this many times the change that
#: rounding the inputs brings about.
ILL_CONDITIONED = 16.0
#: Under bfloat16 autocast, whose numbers have 8 significant bits (half a unit is 0.002): errors
#: relative to the largest entry. Where products follow each other, the errors add up.
AUTOCAST = (0.03, 0.03)
AUTOCAST_CHAIN = (0.06, 0.2)
CHAINS = ("mlp", "rnn_cell", "rnn", "lstm_cell", "lstm", "gru_cell", "gru")

TRACKS = ("numpy", "torch")
DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Row:
    """How far one operation of one track is from PyTorch.

    Parameters
    ----------
    operation, track, dtype, device
        Which; a forward and its backward share a row.
    cases
        Number of contract cases that were compared.
    forward, backward
        Worst error of the results and of the gradients; None where there are no gradients.
    bounds
        What they must not exceed.
    worst
        Name of the case with the largest error, measured by its bound.
    ill_conditioned
        Names of the cases that are left out of the errors: there, rounding the inputs once
        changes PyTorch's own result by more than the bound (see `sensitivity`). nnlib's error
        stays below `ILL_CONDITIONED` times that change.
    """

    operation: str
    track: str
    dtype: str
    device: str
    cases: int
    forward: float
    backward: float | None
    bounds: tuple[float, float]
    worst: str
    ill_conditioned: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether both errors are within their bounds; a NaN is not."""
        return self.forward <= self.bounds[0] and (
            self.backward is None or self.backward <= self.bounds[1]
        )


class Errors(NamedTuple):
    """Errors of one case: of the results, and of the gradients where there are any."""

    forward: float
    backward: float | None

    def within(self, bounds: tuple[float, float]) -> bool:
        """Whether neither exceeds its bound; NaN does."""
        return self.forward <= bounds[0] and (self.backward or 0.0) <= bounds[1]


Measure = Callable[[Any, Any], float]


def conformance(
    *,
    tracks: Sequence[str] = TRACKS,
    dtypes: Sequence[str] = DTYPES,
    device: str = "cpu",
    autocast: bool = False,
    only: Iterable[str] | None = None,
) -> list[Row]:
    """Compare every operation that PyTorch has too, over all cases of its table.

    Parameters
    ----------
    tracks, dtypes
        Which to compare. Operations on numbers alone have a float64 row only.
    device
        Where the PyTorch track computes; the NumPy track has no choice.
    autocast
        Whether the PyTorch track computes under bfloat16 autocast; errors are then relative to
        the largest entry, since single small ones lose all digits.
    only
        Families to compare, such as ``["conv2d", "mse"]``; all where None.

    Returns
    -------
    list of Row
        In the order of the contract.

    Examples
    --------
    >>> row, *_ = conformance(tracks=["numpy"], dtypes=["float64"], only=["relu"])
    >>> row.operation, row.forward, row.backward, row.passes
    ('relu', 0.0, 0.0, True)
    """
    wanted = None if only is None else set(only)
    rows: list[Row] = []
    for name, members in families().items():
        if wanted is None or name in wanted:
            for dtype in dtypes:
                rows += _rows(name, members, tracks, dtype, device, autocast)
    return rows


def families() -> dict[str, list[Operation]]:
    """Group the contract's operations: a forward and its backward have one counterpart."""
    found: dict[str, list[Operation]] = {}
    for operation in operations():
        name = family(operation.name)
        if name in COUNTERPARTS:
            found.setdefault(name, []).append(operation)
    return found


def _rows(
    name: str, members: list[Operation], tracks: Sequence[str], dtype: str, device: str,
    autocast: bool,
) -> Iterator[Row]:
    cases = [case for operation in members for case in draw_cases(operation)
             if case.raises is None]
    if dtype != "float64" and not any(_has_floats((c.args, dict(c.options))) for c in cases):
        return
    bounds = _bounds(name, dtype, device, autocast)
    for track in tracks:
        if all(track not in operation.tracks for operation in members):
            continue
        setting = Setting(track, dtype, device, autocast)
        compared: dict[str, Errors] = {}
        hard: dict[str, Errors] = {}
        for number, case in enumerate(cases):
            found = compare_case(name, case, setting)
            if found.within(bounds) or not sensitive(name, case, setting, found):
                compared[f"{number} {case.name}"] = found
            else:
                hard[case.name] = found
        worst = max(compared, key=lambda key: _size(compared[key], bounds), default="")
        backward = [e.backward for e in compared.values() if e.backward is not None]
        yield Row(name, track, dtype, device, len(cases),
                  _worst([e.forward for e in compared.values()]),
                  _worst(backward) if backward else None, bounds,
                  worst.partition(" ")[2], tuple(hard))


def _bounds(name: str, dtype: str, device: str, autocast: bool) -> tuple[float, float]:
    if autocast:
        return AUTOCAST_CHAIN if name in CHAINS else AUTOCAST
    if device == "cpu":
        return FORWARD[dtype], BACKWARD[dtype]
    return FORWARD_DEVICE[dtype], BACKWARD_DEVICE[dtype]


def _worst(errors: Sequence[float]) -> float:
    """The largest; NaN, which is never the larger of two, counts as infinite."""
    return max((np.inf if np.isnan(e) else e for e in errors), default=0.0)


def _size(errors: Errors, bounds: tuple[float, float]) -> float:
    return _worst([errors.forward / bounds[0], (errors.backward or 0.0) / bounds[1]])


# --- one case -------------------------------------------------------------------------------------


class Setting(NamedTuple):
    """Which track computes, in which type, where, and whether under bfloat16 autocast."""

    track: str
    dtype: str
    device: str = "cpu"
    autocast: bool = False


class Answer(NamedTuple):
    """Results and gradients of one case, ours or the oracle's; gradients None without a backward.

    ``dy`` and ``cache`` are what the oracle takes over from our computation.
    """

    results: Any
    gradients: Any
    dy: Any = None
    cache: Any = None


def compare_case(name: str, case: Case, setting: Setting) -> Errors:
    """Compute one case with nnlib and with PyTorch, and measure how far they are apart."""
    args, options = cast(tuple(case.args), setting.dtype), cast(dict(case.options), setting.dtype)
    ours = answer(name, case, setting)
    return _errors(ours, _oracle(name, args, options, ours), setting)


def sensitive(name: str, case: Case, setting: Setting, found: Errors) -> bool:
    """Whether the error of a case is what rounding its inputs explains."""
    if not np.isfinite([found.forward, found.backward or 0.0]).all():
        return False
    change = sensitivity(name, case, setting)
    return found.within((ILL_CONDITIONED * change.forward,
                         ILL_CONDITIONED * (change.backward or 0.0)))


def sensitivity(name: str, case: Case, setting: Setting) -> Errors:
    """Measure how PyTorch's answer changes with half a unit in the last place of each input.

    No computation in that type can be expected to be closer than this to the truth: an input
    that differs so little is the same number as far as the type can tell.
    """
    args, options = cast(tuple(case.args), setting.dtype), cast(dict(case.options), setting.dtype)
    ours = answer(name, case, setting)
    want = _oracle(name, args, options, ours)
    rng = np.random.default_rng(0)
    half_a_unit = float(np.finfo(setting.dtype).eps) / 2

    def nudge(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return value.astype(np.float64) * (1 + half_a_unit * rng.choice([-1, 1], value.shape))
        if isinstance(value, tuple | list):
            return type(value)(nudge(item) for item in value)
        return value

    moved = _oracle(name, nudge(args), options, ours)
    return _errors(want, moved, setting)


def answer(name: str, case: Case, setting: Setting) -> Answer:
    """Compute one case with nnlib: results, and gradients under a random upstream gradient."""
    track, dtype, device, autocast = setting
    args, options = cast(tuple(case.args), dtype), cast(dict(case.options), dtype)
    counterpart, ops = COUNTERPARTS[name], reference(track)
    device = "cpu" if track == "numpy" else device
    context = torch.autocast(device, torch.bfloat16) if autocast else contextlib.nullcontext()
    with torch.no_grad(), on_device(device), context:
        inputs, keywords = to_track(args, track), to_track(options, track)
        if counterpart.kind == "function":
            if case.drive != "call":  # the case says how, in more than one call
                moved = replace(case, args=args, options=options)
                return Answer(perform(getattr(ops, name), moved, track).outputs, None)
            return Answer(getattr(ops, name)(*inputs, **keywords), None)
        if counterpart.kind == "loss":
            loss, gradient = getattr(ops, name)(*inputs, **keywords)
            return Answer([loss], [gradient], np.ones(tuple(loss.shape)))
        *outputs, cache = getattr(ops, f"{name}_forward")(*inputs, **keywords)
        dy = _upstream(to_plain(outputs[0]), case.seed, dtype)
        gradients = getattr(ops, f"{name}_backward")(to_track(dy, track), cache)
    return Answer(leaves(outputs), list(counterpart.gradients(gradients)), dy, cache)


def _oracle(name: str, args: tuple[Any, ...], options: dict[str, Any], ours: Answer) -> Answer:
    """Return PyTorch's results, and its gradients: one for each array of floats, None for None."""
    counterpart, inputs, keywords = COUNTERPARTS[name], _exact(args), _exact(options)
    if counterpart.kind == "function":
        return Answer(counterpart.function(*inputs, **keywords), None)
    if counterpart.from_cache:
        keywords["cache"] = to_plain_tuple(ours.cache)
    slots = [x for x in leaves(inputs, keep_none=True)
             if x is None or (is_tensor(x) and x.is_floating_point())]
    floats = [x.requires_grad_() for x in slots if x is not None]
    with torch.enable_grad():
        results = leaves(counterpart.function(*inputs, **keywords))
        upstream = [torch.from_numpy(np.asarray(d, np.float64)) for d in leaves(ours.dy)]
        found = iter(torch.autograd.grad(results[: len(upstream)], floats, upstream,
                                         allow_unused=True))
    gradients = [None if x is None else next(found) for x in slots]
    if counterpart.kind == "loss":  # with respect to the predictions only
        gradients = gradients[:1]
    return Answer(results, gradients)


def _errors(got: Answer, want: Answer, setting: Setting) -> Errors:
    measure = scaled_error if setting.autocast else error
    forward = largest_error(got.results, want.results, measure)
    if got.gradients is None:
        return Errors(forward, None)
    return Errors(forward, largest_error(*_paired(got.gradients, want.gradients), measure))


def to_plain_tuple(cache: Any) -> Any:
    """Turn the tensors of a cache into arrays, but keep the names of its fields."""
    return type(cache)(*(to_plain(item) for item in cache))


def _paired(ours: list[Any], oracles: list[Any]) -> tuple[list[Any], list[Any]]:
    """Align our gradients with the oracle's; None stands for no gradient on either side.

    Arrays without influence on the output, such as running statistics, come last and have no
    gradient in nnlib.
    """
    if len(ours) < len(oracles) and all(grad is None for grad in oracles[len(ours):]):
        oracles = oracles[: len(ours)]
    zeros = [None if mine is None else np.zeros(tuple(mine.shape)) for mine in ours]
    filled = [zero if grad is None else grad for zero, grad in zip(zeros, oracles, strict=False)]
    return ours, filled + oracles[len(ours):]


def _upstream(y: Any, seed: int, dtype: str) -> Any:
    """Draw a random upstream gradient for each output: never all ones."""
    rng = np.random.default_rng(seed)

    def draw(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return tuple(draw(item) for item in value)
        return np.asarray(rng.normal(size=value.shape), dtype=dtype)

    return draw(y)


def cast(value: Any, dtype: str) -> Any:
    """Copy a nest of arguments with every array of floats in ``dtype``."""
    if isinstance(value, np.ndarray | np.floating):
        return np.asarray(value, dtype) if value.dtype.kind == "f" else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(cast(item, dtype) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(cast(item, dtype) for item in value)
    if isinstance(value, Mapping):
        return {key: cast(item, dtype) for key, item in value.items()}
    return value


def _exact(value: Any) -> Any:
    """Turn arguments into float64 tensors on the CPU, for the oracle."""
    with on_device("cpu"):
        return to_track(cast(value, "float64"), "torch")


def _has_floats(value: Any) -> bool:
    return any(isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in leaves(value))


# --- errors ---------------------------------------------------------------------------------------


def error(got: Any, want: Any) -> float:
    """Return the largest ``|got - want| / max(1, |want|)``; infinite for another shape.

    Examples
    --------
    >>> error(np.array([1.0, 200.0]), np.array([1.0, 100.0])), error(np.zeros(2), np.zeros(3))
    (1.0, inf)
    """
    have, right = np.asarray(to_plain(got)), np.asarray(to_plain(want))
    if have.shape != right.shape:
        return np.inf
    size = np.abs(right.astype(np.float64))
    scale = np.where(np.isfinite(size), np.maximum(1.0, size), 1.0)
    return float(np.max(_gap(have, right) / scale, initial=0.0))


def scaled_error(got: Any, want: Any) -> float:
    """Return the largest ``|got - want|``, divided by the largest ``|want|`` (at least 1).

    Examples
    --------
    >>> scaled_error(np.array([1.5, 100.0]), np.array([1.0, 100.0]))
    0.005
    """
    have, right = np.asarray(to_plain(got)), np.asarray(to_plain(want))
    if have.shape != right.shape:
        return np.inf
    scale = np.nanmax(np.abs(right.astype(np.float64)), initial=1.0)
    return float(np.max(_gap(have, right), initial=0.0) / scale)


def _gap(have: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Distances; 0 between equal infinities and between two NaN, infinite to a single NaN."""
    one, other = have.astype(np.float64), right.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        distance = np.abs(one - other)
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))


def largest_error(got: Any, want: Any, measure: Measure = error) -> float:
    """Return the largest error over a nest of results; entries that ``want`` lacks don't count.

    Examples
    --------
    >>> largest_error({"w": np.ones(2), "step": 1}, {"w": np.ones(2)}), largest_error(1.0, (1.0,))
    (0.0, inf)
    """
    if isinstance(want, Mapping):
        if not isinstance(got, Mapping) or not want.keys() <= got.keys():
            return np.inf
        return _worst([largest_error(got[key], item, measure) for key, item in want.items()])
    if isinstance(want, tuple | list):
        if not isinstance(got, tuple | list) or len(got) != len(want):
            return np.inf
        return _worst([largest_error(a, b, measure) for a, b in zip(got, want, strict=True)])
    if want is None or got is None:
        return 0.0 if want is got else np.inf
    return measure(got, want)
