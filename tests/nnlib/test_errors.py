"""Every check names caller, argument, rule, what came, and where it can the fix."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nnlib.numpy_track
import nnlib.torch_track
from nnlib import errors
from nnlib.contract import operations
from nnlib.errors import DtypeError, ShapeError
from nnlib.numpy_track import activations

TRACKS = {"numpy": nnlib.numpy_track, "torch": nnlib.torch_track}
LIBRARIES: dict[str, Callable[[Any], Any]] = {"numpy": np.asarray, "torch": torch.as_tensor}


def test_errors_are_what_python_programmers_expect() -> None:
    assert issubclass(ShapeError, ValueError)
    assert issubclass(DtypeError, TypeError)


F64 = np.zeros((2, 3))
F32 = F64.astype(np.float32)

FAILURES = {
    "list": (lambda a: errors.check_floats("f", x=[1.0]), DtypeError,
             "f: x must be an array, got list. Make an array or tensor of floats from it first."),
    "number": (lambda a: errors.check_floats("f", x=1.0), DtypeError,
               "f: x must be an array, got float."),
    "integers": (lambda a: errors.check_floats("f", x=a(np.arange(3))), DtypeError,
                 "f: x must hold floats, got int64. Convert it to float32 or float64 first."),
    "booleans": (lambda a: errors.check_floats("f", x=a(np.ones(3, bool))), DtypeError,
                 "f: x must hold floats, got bool."),
    "complex": (lambda a: errors.check_floats("f", x=a(np.ones(3, complex))), DtypeError,
                "f: x must hold floats, got complex128."),
    "second array": (lambda a: errors.check_floats("f", x=a(F64), w=a(np.arange(3))), DtypeError,
                     "f: w must hold floats, got int64."),
    "two dtypes": (lambda a: errors.check_floats("f", x=a(F64), w=a(F32)), DtypeError,
                   "f: x and w must have one dtype, got "),
    "floats for integers": (lambda a: errors.check_integers("f", "n", a(F64)), DtypeError,
                            "f: n must hold integers, got float64."),
    "booleans for integers": (lambda a: errors.check_integers("f", "n", a(F64 > 0)), DtypeError,
                              "f: n must hold integers, got bool."),
    "rank": (lambda a: errors.check_shape("f", "x", a(F64), ("n",)), ShapeError,
             "f: x must have shape (n,), got (2, 3)."),
    "size with a hint": (
        lambda a: errors.check_shape("f", "x", a(F64), ("n", 2), "Did you pass x.T?"), ShapeError,
        "f: x must have shape (n, 2), got (2, 3). Did you pass x.T?"),
    "two shapes": (lambda a: errors.check_same_shape("f", x=a(F64), y=a(F64[0])), ShapeError,
                   "f: x and y must have the same shape, got (2, 3) and (3,)."),
    "two shapes with a hint": (
        lambda a: errors.check_same_shape("f", hint="Fix it.", x=a(F64), y=a(F64[0])), ShapeError,
        "got (2, 3) and (3,). Fix it."),
    "upstream shape": (lambda a: errors.check_upstream("f", a(F64[0]), a(F64)), ShapeError,
                       "f: dy must have shape (2, 3), got (3,). The gradient with respect to"),
    "upstream dtype": (lambda a: errors.check_upstream("f", a(F32), a(F64)), DtypeError,
                       "f: dy and the cached array must have one dtype"),
    "too few axes": (lambda a: errors.check_min_axes("f", "x", a(F64), 3, "NCHW."), ShapeError,
                     "f: x must have at least 3 axes, got shape (2, 3). NCHW."),
    "axis of a number": (lambda a: errors.check_axis("f", a(np.array(1.0)), 0), ShapeError,
                         "f: x must have at least 1 axis, got shape ()."),
    "axis too large": (lambda a: errors.check_axis("f", a(F64), 2), ValueError,
                       "f: axis must be an integer from -2 to 1 for x of shape (2, 3), got 2."),
    "axis too small": (lambda a: errors.check_axis("f", a(F64), -3), ValueError, "got -3."),
    "axis as float": (lambda a: errors.check_axis("f", a(F64), 1.0), ValueError, "got 1.0."),
    "axis as bool": (lambda a: errors.check_axis("f", a(F64), True), ValueError, "got True."),
    "empty axis": (lambda a: errors.check_axis("f", a(F64[:, :0]), 1), ShapeError,
                   "f: x must have at least one entry along axis 1, got shape (2, 0)."),
    "label list": (lambda a: errors.check_labels("f", [0, 1], 2), DtypeError,
                   "f: labels must be an array, got list."),
    "one-hot": (lambda a: errors.check_labels("f", a(np.eye(2, dtype=int)), 2), ShapeError,
                "f: labels must have shape (n,), got (2, 2). Give one class number for each row"),
    "number of labels": (lambda a: errors.check_labels("f", a(np.arange(2)), 2, n=3), ShapeError,
                         "f: labels must have shape (3,), got (2,)."),
    "float labels": (lambda a: errors.check_labels("f", a(np.zeros(2)), 2), DtypeError,
                     "f: labels must hold integers, got float64."),
    "nan labels": (lambda a: errors.check_labels("f", a(np.full(2, np.nan)), 2), DtypeError,
                   "f: labels must hold integers, got float64."),
    "label too large": (lambda a: errors.check_labels("f", a(np.array([0, 5])), 3), ValueError,
                        "f: labels must lie from 0 to 2, got 5. Classes are counted from 0."),
    "negative label": (lambda a: errors.check_labels("f", a(np.array([-1, 5])), 3), ValueError,
                       "f: labels must lie from 0 to 2, got -1."),
    "id list": (lambda a: errors.check_indices("f", "ids", [0, 1], 2), DtypeError,
                "f: ids must be an array, got list."),
    "float ids": (lambda a: errors.check_indices("f", "ids", a(F64), 2), DtypeError,
                  "f: ids must hold integers, got float64."),
    "id too large": (lambda a: errors.check_indices("f", "ids", a(np.array([[0, 2]])), 2, "Why."),
                     ValueError, "f: ids must lie from 0 to 1, got 2. Why."),
    "negative id": (lambda a: errors.check_indices("f", "ids", a(np.array(-3)), 2), ValueError,
                    "f: ids must lie from 0 to 1, got -3."),
    "params as a list": (lambda a: errors.check_params("f", [a(F64)]), DtypeError,
                         "f: params must be a dict of arrays, got list."),
    "no params": (lambda a: errors.check_params("f", {}), ValueError,
                  "f: params must not be empty. There is nothing to learn."),
    "integer params": (lambda a: errors.check_params("f", {"w": a(np.arange(2))}), DtypeError,
                       "f: params['w'] must hold floats, got int64."),
    "grads as a list": (lambda a: errors.check_grads("f", {"w": a(F64)}, [a(F64)]), DtypeError,
                        "f: grads must be a dict of arrays, got list."),
    "keys": (lambda a: errors.check_grads("f", {"w": a(F64)}, {"v": a(F64)}), ValueError,
             "f: grads must have the keys of params. Missing: ['w']; not in params: ['v']."),
    "grad shape": (lambda a: errors.check_grads("f", {"w": a(F64)}, {"w": a(F64.T)}), ShapeError,
                   "f: grads['w'] must have shape (2, 3), got (3, 2)."),
    "grad dtype": (lambda a: errors.check_grads("f", {"w": a(F64)}, {"w": a(F32)}), DtypeError,
                   "f: params['w'] and grads['w'] must have one dtype"),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", FAILURES)
def test_check_of_arrays(name: str, library: str) -> None:
    check, error, message = FAILURES[name]
    with pytest.raises(error, match=re.escape(message)):
        check(LIBRARIES[library])


def test_object_arrays_are_refused() -> None:
    with pytest.raises(DtypeError, match="x must hold floats, got object"):
        errors.check_floats("f", x=np.array([1.0, None]))


def test_arrays_and_tensors_do_not_mix() -> None:
    with pytest.raises(DtypeError, match=r"got torch.float64 and float64"):
        errors.check_floats("f", x=torch.zeros(2).double(), w=np.zeros(2))


def test_devices_do_not_mix() -> None:
    with pytest.raises(ValueError, match=r"f: x and w must be on one device, got cpu and meta"):
        errors.check_floats("f", x=torch.zeros(2), w=torch.zeros(2, device="meta"))


NUMBERS = {
    "choice": (lambda: errors.check_choice("f", "mode", "c", ("a", "b")), ValueError,
               "f: mode must be 'a' or 'b', got 'c'."),
    "choice of one": (lambda: errors.check_choice("f", "mode", None, ("a",)), ValueError,
                      "f: mode must be 'a', got None."),
    "unhashable choice": (lambda: errors.check_choice("f", "mode", ["a"], ("a",)), ValueError,
                          "got ['a']."),
    "flag": (lambda: errors.check_flag("f", "training", 1), DtypeError,
             "f: training must be True or False, got 1."),
    "flag as text": (lambda: errors.check_flag("f", "training", "no"), DtypeError, "got 'no'."),
    "text": (lambda: errors.check_number("f", "p", "1"), DtypeError,
             "f: p must be a finite number, got '1' of type str."),
    "bool": (lambda: errors.check_number("f", "p", True, low=0), DtypeError,
             "f: p must be a finite number >= 0, got True of type bool."),
    "nan": (lambda: errors.check_number("f", "p", float("nan")), ValueError, "got nan."),
    "inf": (lambda: errors.check_number("f", "p", float("inf"), low=0), ValueError, "got inf."),
    "above": (lambda: errors.check_number("f", "p", 0, above=0), ValueError,
              "f: p must be a finite number > 0, got 0."),
    "low": (lambda: errors.check_number("f", "p", -0.1, low=0, below=1), ValueError,
            "f: p must be a finite number >= 0 and < 1, got -0.1."),
    "below": (lambda: errors.check_number("f", "p", 1, low=0, below=1), ValueError, "got 1."),
    "high": (lambda: errors.check_number("f", "p", 1.5, low=0, high=1), ValueError,
             "f: p must be a finite number >= 0 and <= 1, got 1.5."),
    "count as float": (lambda: errors.check_count("f", "n", 2.0), DtypeError,
                       "f: n must be an integer >= 0, got 2.0 of type float."),
    "count as bool": (lambda: errors.check_count("f", "n", True), DtypeError, "got True"),
    "count": (lambda: errors.check_count("f", "n", 0, minimum=1), ValueError,
              "f: n must be an integer >= 1, got 0."),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_check_of_numbers(name: str) -> None:
    check, error, message = NUMBERS[name]
    with pytest.raises(error, match=re.escape(message)):
        check()


@pytest.mark.parametrize("library", LIBRARIES)
def test_good_input_passes(library: str) -> None:
    a = LIBRARIES[library]
    errors.check_floats("f", x=a(F64), w=a(F64), b=None)
    errors.check_floats("f", x=None)
    errors.check_shape("f", "x", a(F64), ("n", 3))
    errors.check_same_shape("f", x=a(F64), y=a(F64))
    errors.check_axis("f", a(F64), np.int64(-2))
    errors.check_labels("f", a(np.array([0, 2])), 3, n=2)
    errors.check_labels("f", a(np.zeros(0, int)), 3)
    errors.check_indices("f", "ids", a(np.array([[0, 2], [1, 0]])), 3)
    errors.check_indices("f", "ids", a(np.zeros((0, 2), int)), 0)
    for flag in (True, False, np.True_):
        errors.check_flag("f", "training", flag)
    errors.check_grads("f", {"w": a(F64)}, {"w": a(F64)})
    errors.check_number("f", "p", np.float32(0.5), above=0, high=1)
    errors.check_count("f", "n", np.int32(3), minimum=3)
    assert errors.size_of(a(F64)) == 6


BACKWARDS = sorted(name for name in [*activations.__all__, "linear_backward", "flatten_backward"]
                   if name.endswith("_backward"))


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", BACKWARDS)
def test_backward_refuses_a_gradient_of_another_shape_or_dtype(name: str, track: str) -> None:
    ops, array = TRACKS[track], LIBRARIES[track]
    forward = getattr(ops, name.replace("_backward", "_forward"))
    args = (F64, F64.T.copy(), np.zeros(2)) if name.startswith("linear") else (F64,)
    y, cache = forward(*map(array, args))
    backward = getattr(ops, name)
    with pytest.raises(DtypeError, match=rf"{name}: dy must hold floats, got int64"):
        backward(array(np.ones(tuple(y.shape), np.int64)), cache)
    if name == "identity_backward":  # its cache knows nothing of the output
        return
    with pytest.raises(ShapeError, match=rf"{name}: dy must have shape"):
        backward(array(np.ones(7)), cache)
    if name != "flatten_backward":
        with pytest.raises(DtypeError, match=rf"{name}: dy and .* must have one dtype"):
            backward(array(np.ones(tuple(y.shape), np.float32)), cache)


ENGINE = {
    "add_vjp": (lambda ops, a: ops.add_vjp(a(F64), a(F64), a(F64[0])), ShapeError,
                "add_vjp: dy and b must have the same shape"),
    "mul_vjp": (lambda ops, a: ops.mul_vjp(a(F64[0]), a(F64), a(F64)), ShapeError,
                "mul_vjp: dy and a must have the same shape"),
    "relu_vjp": (lambda ops, a: ops.relu_vjp(a(F64[0]), a(F64)), ShapeError,
                 "relu_vjp: dy and a must have the same shape"),
    "matmul_vjp": (lambda ops, a: ops.matmul_vjp(a(F64), a(F64), a(F64)), ShapeError,
                   r"matmul_vjp: b must have shape \(3, m\), got \(2, 3\)"),
    "matmul_vjp dy": (lambda ops, a: ops.matmul_vjp(a(F64), a(F64), a(F64.T)), ShapeError,
                      r"matmul_vjp: dy must have shape \(2, 2\), got \(2, 3\)"),
    "sum_vjp": (lambda ops, a: ops.sum_vjp(a(F64[0]), a(F64), axis=1), ShapeError,
                r"sum_vjp: dy must have shape \(2,\), got \(3,\)"),
    "unbroadcast size": (lambda ops, a: ops.unbroadcast(a(F64), (2,)), ShapeError,
                         r"unbroadcast: shape must broadcast to \(2, 3\), got \(2,\)"),
    "unbroadcast rank": (lambda ops, a: ops.unbroadcast(a(F64[0]), (2, 3)), ShapeError,
                         r"unbroadcast: shape must broadcast to \(3,\), got \(2, 3\)"),
    "unbroadcast leading 1": (lambda ops, a: ops.unbroadcast(a(F64[0]), (1, 3)), ShapeError,
                              r"unbroadcast: shape must broadcast to \(3,\), got \(1, 3\)"),
    "cycle": (lambda ops, a: ops.topological_order({"a": ("b",), "b": ("a",)}, "a"), ValueError,
              "topological_order: the graph has a cycle through 'a'"),
    "own parent": (lambda ops, a: ops.topological_order({"a": ("a",)}, "a"), ValueError, "cycle"),
    "too few gradients": (
        lambda ops, a: ops.backpropagate({"y": ("a", "b")}, {"y": lambda dy: (dy,)}, "y", a(F64)),
        ValueError, "backpropagate: the function of 'y' must return 2 gradients.* got 1"),
    "float32": (lambda ops, a: ops.numerical_vjp(lambda x: x, a(F32), a(F32)), DtypeError,
                "numerical_vjp: x must be float64, got float32"),
    "upstream of another shape": (
        lambda ops, a: ops.numerical_vjp(lambda x: x, a(F64), a(F64[0])), ShapeError,
        r"numerical_vjp: dy must have shape \(2, 3\), got \(3,\)"),
    "eps": (lambda ops, a: ops.numerical_vjp(lambda x: x, a(F64), a(F64), eps=0), ValueError,
            "numerical_vjp: eps must be a finite number > 0, got 0"),
}


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", ENGINE)
def test_errors_of_the_graph_functions(name: str, track: str) -> None:
    call, error, match = ENGINE[name]
    with pytest.raises(error, match=match):
        call(TRACKS[track], LIBRARIES[track])


def test_the_case_tables_probe_errors_too() -> None:
    probed = [case for op in operations() for case in op.make_cases(np.random.default_rng(0))
              if case.property == "errors"]
    assert len(probed) > 80
    assert all(case.raises for case in probed)
    # In these the words are PyTorch's and NumPy's own.
    assert {case.name for case in probed if not case.match} == {
        "one row in training", "an array that only pickle can read"}
