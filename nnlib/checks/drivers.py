"""How a case is performed. Every driver serves reference, candidate and mistake alike.

A driver takes ``(implementation, case, track)`` and returns a `Trial`. Inputs are made afresh
for every call, so that one candidate's changes never reach another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnlib.checks import guard
from nnlib.checks.tracks import reference, to_plain, to_track
from nnlib.contract import Case

Driver = Callable[[Any, Case, str], "Trial"]
DRIVERS: dict[str, Driver] = {}


@dataclass(frozen=True)
class Trial:
    """What one call did.

    Parameters
    ----------
    outputs
        The plain results, in the order of `Operation.outputs`; empty after an error.
    error
        The exception that the candidate raised, or None.
    modified
        Names of the arguments whose arrays the candidate changed.
    """

    outputs: tuple[Any, ...] = ()
    error: BaseException | None = None
    modified: tuple[str, ...] = ()


def driver(name: str) -> Callable[[Driver], Driver]:
    """Register a driver under the name that cases use."""

    def register(function: Driver) -> Driver:
        DRIVERS[name] = function
        return function

    return register


def perform(implementation: Any, case: Case, track: str) -> Trial:
    """Run one case against one implementation with the driver that the case names."""
    if case.drive not in DRIVERS and track == "torch":
        import nnlib.checks.torch_drivers  # noqa: F401 - registers the drivers of modules
    return DRIVERS[case.drive](implementation, case, track)


def guarded(function: Callable[..., Any], args: tuple, options: dict[str, Any],
            unpack: Callable[[Any], tuple] | None = None) -> Trial:
    """Call ``function(*args, **options)`` and report what it did to its arguments.

    ``unpack`` turns the raw result into the tuple of outputs (default: one output). It runs
    under the same guard, because a student's result can be any object.
    """
    before = to_plain([list(args), options])
    outcome = guard.call(lambda: to_plain_tuple(function(*args, **options), unpack))
    after = to_plain([list(args), options])
    modified = _changed(before, after)
    if outcome.error is not None:
        return Trial(error=outcome.error, modified=modified)
    return Trial(outputs=outcome.value, modified=modified)


def to_plain_tuple(result: Any, unpack: Callable[[Any], tuple] | None) -> tuple[Any, ...]:
    """Apply ``unpack`` and copy everything into plain values."""
    outputs = unpack(result) if unpack else (result,)
    return tuple(to_plain(item) for item in outputs)


def spread(result: Any) -> tuple[Any, ...]:
    """Treat a tuple (not a list) result as several outputs, anything else as one."""
    return tuple(result) if isinstance(result, tuple) else (result,)


@driver("call")
def call(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(*args, **options)``; a tuple result is several outputs."""
    args, options = to_track(tuple(case.args), track), to_track(dict(case.options), track)
    return guarded(implementation, args, options, spread)


@driver("value")
def value(implementation: Any, case: Case, track: str) -> Trial:
    """The student handed in data, not a function: there is nothing to call."""
    return Trial(outputs=(to_plain(implementation),))


@driver("forward")
def forward(implementation: Any, case: Case, track: str) -> Trial:
    """A forward returns ``(y, cache)``; y is the output that is compared."""
    args, options = to_track(tuple(case.args), track), to_track(dict(case.options), track)
    return guarded(implementation, args, options, _first_of_pair)


def _first_of_pair(result: Any) -> tuple[Any, ...]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError("the function must return the pair (y, cache)")
    return (result[0],)


def upstream(y: Any, case: Case, track: str) -> Any:
    """Draw a random upstream gradient of y's shape and dtype: never all ones."""
    plain = to_plain(y)
    dy = np.random.default_rng(case.seed).normal(size=plain.shape).astype(plain.dtype)
    return to_track(dy, track)


@driver("backward")
def backward(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(dy, cache)`` with the cache of a correct forward."""
    run_forward = getattr(reference(track), case.forward)
    args, options = to_track(tuple(case.args), track), to_track(dict(case.options), track)
    y, cache = run_forward(*args, **options)
    return guarded(implementation, (upstream(y, case, track), cache), {}, spread)


@driver("mlp_backward")
def mlp_backward(implementation: Any, case: Case, track: str) -> Trial:
    """A network's backward gets correct layer backwards passed in: it is judged alone."""
    ops = reference(track)
    x, params = to_track(tuple(case.args), track)
    logits, cache = ops.mlp_forward(x, params)
    parts = {"linear_backward": ops.linear_backward, "relu_backward": ops.relu_backward}
    return guarded(implementation, (upstream(logits, case, track), cache), parts)


@driver("both_ends")
def both_ends(implementation: Any, case: Case, track: str) -> Trial:
    """``implementation(parents, vjps, output, dy)`` on a long chain, of which two nodes count.

    Only the gradients of the output and of the inputs are kept: comparing thousands of single
    numbers takes longer than computing them.
    """
    parents, vjps, output, dy = to_track(tuple(case.args), track)
    inputs = {parent for own in parents.values() for parent in own if parent not in parents}

    def run() -> dict[str, Any]:
        grads = implementation(parents, vjps, output, dy)
        return {node: grads[node] for node in sorted({output, *inputs})}

    return guarded(run, (), {})


def _changed(before: Any, after: Any) -> tuple[str, ...]:
    """Name the arguments whose numbers differ between two plain copies of them."""
    args_before, options_before = before
    args_after, options_after = after
    names = [f"argument {i + 1}" for i, (one, other)
             in enumerate(zip(args_before, args_after, strict=True)) if not _same(one, other)]
    names += [key for key in options_before if not _same(options_before[key], options_after[key])]
    return tuple(names)


def _same(one: Any, other: Any) -> bool:
    """Compare plain values bit for bit; objects that are no data are not looked into."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return (one.shape == other.shape and one.dtype == other.dtype
                and one.tobytes() == other.tobytes())
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool | int | float | str):
        both_nan = one != one and other != other
        return type(one) is type(other) and (one == other or both_nan)
    return True
