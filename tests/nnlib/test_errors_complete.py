"""No bad input passes in silence: every check has a case, every operation refuses what it must."""

import ast
import inspect
import re
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from test_errors import F64, FAILURES, NUMBERS
from test_oracle import TRACKS, to

from nnlib import errors
from nnlib.checks import conformance as table
from nnlib.checks.oracle import COUNTERPARTS
from nnlib.checks.run import draw_cases
from nnlib.errors import DtypeError, ShapeError

track = pytest.mark.parametrize("track", TRACKS)

# --- every check has a case -----------------------------------------------------------------------

STEP = {"step": 0, "m": {"w": F64}}
MORE: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no array": (lambda: errors.check_array("f", "x", (1.0,)), DtypeError,
                 "f: x must be an array, got tuple."),
    "index as float": (lambda: errors.check_indices("f", "ids", F64, 5), DtypeError,
                       "f: ids must hold integers, got float64."),
    "index too large": (lambda: errors.check_indices("f", "ids", np.array([[5]]), 5), ValueError,
                        "f: ids must lie from 0 to 4, got 5."),
    "index below 0": (lambda: errors.check_indices("f", "ids", np.array(-1), 5, "Count from 0."),
                      ValueError, "f: ids must lie from 0 to 4, got -1. Count from 0."),
    "flag": (lambda: errors.check_flag("f", "training", 1), DtypeError,
             "f: training must be True or False, got 1."),
    "state as a list": (lambda: errors.check_state("adam_update", {"w": F64}, [], "m"), ValueError,
                        "adam_update: state must be a dict with 'step' and 'm', got list. "
                        "Start with adam_init(params)."),
    "state without a memory": (
        lambda: errors.check_state("adam_update", {"w": F64}, {"step": 0}, "m"), ValueError,
        "adam_update: state must be a dict with 'step' and 'm', got ['step']."),
    "memory of other parameters": (
        lambda: errors.check_state("adam_update", {"v": F64}, STEP, "m"), ValueError,
        "adam_update: state['m'] must have the keys of params, got ['w']."),
    "memory of another shape": (
        lambda: errors.check_state("adam_update", {"w": F64[0]}, STEP, "m"), ShapeError,
        "adam_update: state['m']['w'] must have shape (3,), got (2, 3)."),
    "memory of another dtype": (
        lambda: errors.check_state("adam_update", {"w": F64.astype(np.float32)}, STEP, "m"),
        DtypeError, "params['w'] and state['m']['w'] must have one dtype"),
    "step as text": (
        lambda: errors.check_state("adam_update", {"w": F64}, {**STEP, "step": "1"}, "m"),
        DtypeError, "adam_update: state['step'] must be an integer >= 0, got '1' of type str."),
    "two devices": (
        lambda: errors.check_floats("f", x=torch.zeros(2), w=torch.zeros(2, device="meta")),
        ValueError, "f: x and w must be on one device, got cpu and meta. Move one of them"),
}


@pytest.mark.parametrize("name", MORE)
def test_check(name: str) -> None:
    check, error, message = MORE[name]
    with pytest.raises(error, match=re.escape(message)):
        check()


def raised_at(check: Callable[[], Any]) -> set[int]:
    """Line numbers of errors.py in the traceback of a failing check."""
    try:
        check()
    except (TypeError, ValueError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        return {f.lineno or 0 for f in frames if f.filename == errors.__file__}
    raise AssertionError("the case does not fail")


def test_every_raise_of_the_checks_has_a_case() -> None:
    reached = set().union(
        *(raised_at(lambda check=check: check(np.asarray)) for check, *_ in FAILURES.values()),
        *(raised_at(check) for check, *_ in (*NUMBERS.values(), *MORE.values())),
    )
    tree = ast.parse(inspect.getsource(errors))
    raises = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    assert len(raises) > 20
    missed = [node.lineno for node in raises
              if not reached & set(range(node.lineno, (node.end_lineno or 0) + 1))]
    assert not missed, f"errors.py, lines {missed}: no case raises these"


def test_every_check_is_used_by_the_library() -> None:
    checks = {name for name in vars(errors) if name.startswith("check_")}
    assert len(checks) >= 15
    cases = inspect.getsource(inspect.getmodule(test_check))  # type: ignore[arg-type]
    cases += inspect.getsource(__import__("test_errors"))
    assert not [name for name in checks if f"errors.{name}(" not in cases]


# --- every operation refuses arrays of the wrong kind ---------------------------------------------

PAIRS = [name for name in table.families() if COUNTERPARTS[name].kind == "pair"]
LOSSES = [name for name in table.families() if COUNTERPARTS[name].kind == "loss"]
#: Operations that take any shape, so that no rank is wrong.
ANY_SHAPE = {"identity", "sigmoid", "tanh", "relu", "softplus", "silu", "gelu", "leaky_relu",
             "elu", "softmax", "log_softmax", "dropout", "flatten", "layer_norm", "mse", "mae",
             "huber", "binary_cross_entropy_with_logits"}


def first_case(name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Good arguments: those of the table's first case."""
    case = draw_cases(table.families()[name][0])[0]
    return tuple(case.args), dict(case.options)


def float_slots(args: tuple[Any, ...]) -> list[int]:
    return [i for i, x in enumerate(args) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]


def call(track: str, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    from nnlib.checks.tracks import to_track

    ops = TRACKS[track]
    function = getattr(ops, name if name in LOSSES else f"{name}_forward")
    function(*to_track(args, track), **to_track(options, track))


def assert_refused(
    track: str, name: str, args: tuple[Any, ...], options: dict[str, Any],
    error: type[Exception] | tuple[type[Exception], ...],
) -> None:
    """The message names the caller, says what must be, and says what came."""
    caller = name if name in LOSSES else f"{name}_forward"
    with pytest.raises(error) as raised:
        call(track, name, args, options)
    message = str(raised.value)
    assert re.match(rf"({caller}|linear_forward|mlp_forward|\w+_cell_forward): ", message), message
    assert " must " in message, message
    assert ", got " in message, message
    assert message.endswith((".", "?")), message


@track
@pytest.mark.parametrize("kind", [np.int64, np.complex128, np.bool_])
@pytest.mark.parametrize("name", [n for n in (*PAIRS, *LOSSES) if n != "mlp"])
def test_numbers_of_the_wrong_kind_are_refused(name: str, kind: type, track: str) -> None:
    args, options = first_case(name)
    slots = float_slots(args)
    assert slots
    for slot in slots:
        bad = np.ones(args[slot].shape, kind)
        assert_refused(track, name, (*args[:slot], bad, *args[slot + 1 :]), options, DtypeError)


@pytest.mark.parametrize("name", [n for n in (*PAIRS, *LOSSES) if n != "mlp"])
def test_object_arrays_and_lists_are_refused(name: str) -> None:
    args, options = first_case(name)
    for slot in float_slots(args):
        for bad in (args[slot].astype(object), args[slot].tolist()):
            assert_refused("numpy", name, (*args[:slot], bad, *args[slot + 1 :]), options,
                           DtypeError)
        assert_refused("torch", name, (*args[:slot], args[slot].tolist(), *args[slot + 1 :]),
                       options, DtypeError)


@track
@pytest.mark.parametrize("name", [n for n in (*PAIRS, *LOSSES) if n != "mlp"])
def test_two_dtypes_are_refused(name: str, track: str) -> None:
    args, options = first_case(name)
    slots = float_slots(args)
    if len(slots) > 1:
        for slot in slots:
            bad = args[slot].astype(np.float32)
            assert_refused(track, name, (*args[:slot], bad, *args[slot + 1 :]), options,
                           DtypeError)


@track
@pytest.mark.parametrize("name", [n for n in (*PAIRS, *LOSSES) if n not in (*ANY_SHAPE, "mlp")])
def test_a_wrong_rank_is_refused(name: str, track: str) -> None:
    args, options = first_case(name)
    for slot in float_slots(args):
        x = args[slot]
        for bad in (x[np.newaxis], x[..., np.newaxis], np.array(x[0])):
            assert_refused(track, name, (*args[:slot], bad, *args[slot + 1 :]), options,
                           ShapeError)


# --- the list of bad inputs -----------------------------------------------------------------------


def a(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


LABELS = np.array([0, 1, 2])
IMAGES, FILTERS = a(2, 4, 5, 5), a(6, 4, 3, 3)
OPTIMIZERS = ("sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw")
SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": {}, "step_decay": {"step_size": 2}, "exponential_decay": {"gamma": 0.9},
    "cosine": {"total_steps": 9}, "warmup_cosine": {"warmup_steps": 2, "total_steps": 9},
}
#: Caller, arguments, options, error, what the message says.
BAD: list[tuple[str, tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    # No silent broadcast: each of these would compute something in plain NumPy.
    ("linear_forward", (a(4, 3), a(3, 2), a(1)), {}, ShapeError, r"b must have shape \(2,\)"),
    ("linear_forward", (a(4, 3), a(3, 2), a(4, 2)), {}, ShapeError, r"b must have shape \(2,\)"),
    ("conv2d_forward", (IMAGES, FILTERS, a(1)), {}, ShapeError, r"b must have shape \(6,\)"),
    ("batch_norm_forward", (a(4, 3), a(1), a(3), a(3), a(3)), {"training": True}, ShapeError,
     r"gamma must have shape \(3,\), got \(1,\)"),
    ("batch_norm_forward", (a(4, 3), a(3), a(3), a(3), a(1)), {"training": True}, ShapeError,
     r"running_var must have shape \(3,\), got \(1,\)"),
    ("layer_norm_forward", (a(4, 3), a(3), a(1)), {}, ShapeError, r"beta must have shape \(3,\)"),
    ("mse", (a(4, 1), a(4)), {}, ShapeError, "the same shape"),
    ("mae", (a(4, 1), a(1, 4)), {}, ShapeError, "the same shape"),
    ("huber", (a(4, 1), a(4)), {}, ShapeError, "the same shape"),
    ("binary_cross_entropy_with_logits", (a(4, 1), np.ones(4)), {}, ShapeError, "the same shape"),
    ("attention_forward", (a(2, 4, 3), a(1, 4, 3), a(1, 4, 3)), {}, ShapeError, "k must have"),
    ("attention_forward", (a(2, 4, 3), a(2, 5, 3), a(2, 4, 3)), {}, ShapeError, "v must have"),
    ("rnn_cell_forward", (a(4, 3), a(1, 2), a(3, 2), a(2, 2), a(2)), {}, ShapeError, "h must"),
    ("lstm_cell_forward", (a(4, 3), a(4, 2), a(1, 2), a(3, 8), a(2, 8), a(8)), {}, ShapeError,
     "c must have"),
    ("gru_cell_forward", (a(4, 3), a(4, 2), a(3, 6), a(2, 6), a(6), a(1)), {}, ShapeError, "b_h"),
    # Wrong sizes.
    ("linear_forward", (a(3, 4), a(3, 2), None), {}, ShapeError,
     r"x must have shape \(n, 3\), got \(3, 4\). Rows are examples: did you pass x.T\?"),
    ("conv2d_forward", (IMAGES, a(6, 3, 3, 3), None), {}, ShapeError, "w must have shape"),
    ("conv2d_forward", (a(2, 5, 5, 4), FILTERS, None), {}, ShapeError, "w must have shape"),
    ("conv2d_forward", (IMAGES, FILTERS, None), {"groups": 3}, ValueError, "groups must divide"),
    ("rnn_cell_forward", (a(4, 3), a(4, 2), a(2, 3), a(2, 2), a(2)), {}, ShapeError, "w_xh must"),
    # A kernel larger than the padded input; strides and other options that make no sense.
    ("conv2d_forward", (IMAGES, a(6, 4, 6, 3), None), {}, ShapeError,
     r"the kernel must fit into the padded input, got a kernel that spans 6 entries"),
    ("conv2d_forward", (IMAGES, FILTERS, None), {"dilation": 3}, ShapeError, "spans 7 entries"),
    ("max_pool2d_forward", (IMAGES,), {"kernel_size": 6}, ShapeError, "spans 6 entries"),
    ("avg_pool2d_forward", (IMAGES,), {"kernel_size": (2, 6)}, ShapeError, "spans 6 entries"),
    ("output_size", (4,), {"kernel_size": 5}, ShapeError, "spans 5 entries"),
    ("max_pool2d_forward", (IMAGES,), {"kernel_size": 2, "padding": 2}, ValueError,
     "padding must be at most half"),
    *((f"{name}_forward", (IMAGES, *more), {**base, option: value}, error, f"{option} must be")
      for name, more, base in (("conv2d", (FILTERS, None), {}),
                               ("max_pool2d", (), {"kernel_size": 2}),
                               ("avg_pool2d", (), {"kernel_size": 2}))
      for option, value, error in (
          ("stride", -1, ValueError), ("stride", 0, ValueError), ("stride", (1, -2), ValueError),
          ("stride", 1.5, DtypeError), ("stride", (1, 2, 3), DtypeError),
          ("padding", -1, ValueError), ("padding", "same", DtypeError))),
    ("conv2d_forward", (IMAGES, FILTERS, None), {"dilation": 0}, ValueError, "dilation must be"),
    ("conv2d_forward", (IMAGES, FILTERS, None), {"groups": 0}, ValueError, "groups must be"),
    ("max_pool2d_forward", (IMAGES,), {"kernel_size": 0}, ValueError, "kernel_size must be"),
    # Labels.
    ("softmax_cross_entropy", (a(3, 3), np.array([0.0, np.nan, 1.0])), {}, DtypeError,
     "labels must hold integers, got float64"),
    ("softmax_cross_entropy", (a(3, 3), LABELS + 1), {}, ValueError,
     r"labels must lie from 0 to 2, got 3. Classes are counted from 0"),
    ("softmax_cross_entropy", (a(3, 3), LABELS - 1), {}, ValueError, "from 0 to 2, got -1"),
    ("softmax_cross_entropy", (a(3, 3), LABELS > 0), {}, DtypeError, "got bool"),
    ("embedding_forward", (LABELS + 1, a(3, 2)), {}, ValueError, "ids must lie from 0 to 2, got 3"),
    ("embedding_forward", (LABELS.astype(float), a(3, 2)), {}, DtypeError, "ids must hold int"),
    ("one_hot", (LABELS, 2), {}, ValueError, "labels must lie from 0 to 1, got 2"),
    ("accuracy", (LABELS, LABELS[:2].copy()), {}, ShapeError, "labels must have shape"),
    ("confusion_matrix", (LABELS, LABELS), {"num_classes": 2}, ValueError, "must lie from 0 to 1"),
    # Nothing to compute with.
    ("softmax_cross_entropy", (a(3, 0), LABELS), {}, ShapeError, "at least one column"),
    ("standardize", (a(0, 3), a(2, 3)), {}, ShapeError, "at least one row"),
    ("signed_distance", (a(4, 2), np.zeros(2), 1.0), {}, ValueError, "w must not be zero"),
    ("grid_search", ([1, 2], float), {}, DtypeError, "space must be a dict, got list"),
    ("grid_search", ({}, float), {}, ValueError, "space must not be empty"),
    ("random_search", ([1, 2], float), {"trials": 2, "rng": None}, DtypeError,
     "space must be a dict, got list"),
    # Options out of range.
    *(("dropout_forward", (a(3),), {"drop_prob": p, "training": True, "rng": None}, ValueError,
       "drop_prob must be a finite number >= 0 and < 1") for p in (1, 1.0, -0.1, np.nan)),
    ("batch_norm_forward", (a(1, 3), a(3), a(3), a(3), a(3)), {"training": True}, ShapeError,
     r"training needs more than one value for each channel, got x of shape \(1, 3\)"),
    ("layer_norm_forward", (a(4, 3), a(3), a(3)), {"eps": -1.0}, ValueError, "eps must be"),
    ("huber", (a(3), a(3)), {"delta": 0.0}, ValueError, "delta must be a finite number > 0"),
    ("mse", (a(3), a(3)), {"reduction": "average"}, ValueError, "reduction must be 'mean'"),
    ("clip_grad_norm", ({"w": a(3)},), {"max_norm": -1.0}, ValueError, "max_norm must be"),
    *((f"{name}_penalty", ({},), {"strength": 0.1}, ValueError, "must not be empty")
      for name in ("l1", "l2")),
    *((f"{name}_penalty", ({"w": a(3)},), {"strength": -0.1}, ValueError, "strength must be")
      for name in ("l1", "l2")),
    # Optimizers and schedules.
    *((f"{name}_init", ({},), {}, ValueError, "params must not be empty") for name in OPTIMIZERS),
    *((name, (0,), {**options, "learning_rate": rate}, ValueError,
       "learning_rate must be a finite number > 0")
      for name, options in SCHEDULES.items() for rate in (0, -0.1, np.inf, np.nan)),
    *((name, (step,), {**options, "learning_rate": 0.1}, error, "step must be an integer >= 0")
      for name, options in SCHEDULES.items()
      for step, error in ((-1, ValueError), (0.5, DtypeError))),
]


def moved(value: Any, track: str) -> Any:
    if isinstance(value, np.ndarray):
        return to(track, value.copy())
    if isinstance(value, tuple):
        return tuple(moved(item, track) for item in value)
    return {k: moved(v, track) for k, v in value.items()} if isinstance(value, dict) else value


@track
@pytest.mark.parametrize("bad", BAD, ids=lambda b: f"{b[0]}-{b[4]}"[:60])
def test_bad_input_is_refused(bad: Any, track: str) -> None:
    name, args, options, error, rule = bad
    with pytest.raises(error, match=rule) as raised:
        getattr(TRACKS[track], name)(*moved(args, track), **options)
    message = str(raised.value)
    caller = r"(\w+)" if name.startswith(("dropout", "rnn", "lstm", "gru")) else name
    assert re.match(rf"{caller}: .+ (must|needs) .+", message), message


@track
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_refuses_what_it_cannot_use(name: str, track: str) -> None:
    ops = TRACKS[track]
    init, update = ops.get_optimizer(name)
    params = {"w": to(track, a(3, 2))}
    state = init(params)
    caller = f"{name}_update"
    for rate in (0, 0.0, -0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"{caller}: learning_rate must be a finite number > "):
            update(params, params, state, learning_rate=rate)
    with pytest.raises(DtypeError, match=f"{caller}: learning_rate must be .* of type str"):
        update(params, params, state, learning_rate="0.1")
    with pytest.raises(ValueError, match=f"{caller}: params must not be empty"):
        update({}, {}, state)
    with pytest.raises(ValueError, match=f"{caller}: grads must have the keys of params"):
        update(params, {}, state)
    with pytest.raises(ShapeError, match=rf"{caller}: grads\['w'\] must have shape \(3, 2\)"):
        update(params, {"w": to(track, a(3, 1))}, state)  # would broadcast
    with pytest.raises(DtypeError, match=rf"{caller}: params\['w'\] and grads\['w'\] must have"):
        update(params, {"w": to(track, a(3, 2).astype(np.float32))}, state)
    with pytest.raises(DtypeError, match=rf"{caller}: .*\['w'\] must hold floats, got int64"):
        update(params, {"w": to(track, np.ones((3, 2), np.int64))}, state)
    if name != "sgd":
        with pytest.raises(ValueError, match=f"{caller}: state must be a dict with 'step'"):
            update(params, params, {})


@track
def test_negative_strides_in_memory_are_no_error(track: str) -> None:
    # Views are welcome; only the option stride must be positive.
    x = a(4, 3)[::-1, ::-1]
    y, _ = TRACKS[track].linear_forward(to(track, x), to(track, a(3, 2)), None)
    want = x @ a(3, 2)
    np.testing.assert_allclose(np.asarray(y), want)
