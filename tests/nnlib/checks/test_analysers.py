"""Slips that no known mistake covers are still described in words."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnlib import numpy_track as reference
from nnlib.checks.analysers import analyse
from nnlib.checks.compare import compare
from nnlib.checks.run import draw_cases, run_cases
from nnlib.contract import find


def hint_for(implementation: Callable[..., Any], name: str = "relu_backward") -> str:
    operation = find(name)
    return analyse(
        operation, run_cases(operation, implementation, draw_cases(operation), track="numpy")
    )


def spoil(change: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda dy, cache: change(reference.relu_backward(dy, cache))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda dx: -dx, "wrong sign"),
        (lambda dx: 3 * dx, "3 times"),
        (lambda dx: dx + 0.5, "same constant"),
        (lambda dx: dx * np.nan, "nan"),
        (lambda dx: None, "returned None"),
        (lambda dx: dx[..., None], "right number of elements"),
        (lambda dx: dx.sum(), "too many axes"),
        (lambda dx: "text", "kind of result"),
        (lambda dx: (dx, dx), "kind of result"),
    ],
)
def test_general_slips(change: Callable[[Any], Any], words: str) -> None:
    assert words in hint_for(spoil(change))


def test_a_right_function_gets_no_hint() -> None:
    assert hint_for(reference.relu_backward) == ""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NotImplementedError(), "Not written yet"),
        (NameError("name 'mask' is not defined"), "mask"),
        (ValueError("operands could not be broadcast"), "broadcast"),
    ],
)
def test_errors_are_explained(error: Exception, words: str) -> None:
    def failing(dy: Any, cache: Any) -> Any:
        raise error

    assert words in hint_for(failing)


def test_wrong_signature_is_explained() -> None:
    assert "signature" in hint_for(lambda dy: dy)


@pytest.mark.parametrize(
    ("got", "expected", "code"),
    [
        (None, 1.0, "none"),
        (np.zeros(3), np.zeros((3, 1)), "shape"),
        (np.array([1.0, np.nan]), np.ones(2), "nan"),
        (np.array([1.0, np.inf]), np.ones(2), "inf"),
        (np.array([1.0, 1.1]), np.ones(2), "values"),
        ({"a": 1.0}, {"b": 1.0}, "keys"),
        ((1.0,), (1.0, 2.0), "length"),
        ("a", "b", "values"),
        ([1.0], 1.0, "type"),
        (np.array([1 + 2j]), np.array([1.0]), "type"),
        (np.array([None]), np.array([1.0]), "type"),
        (np.array([1, 2]), np.array([1, 3]), "values"),
    ],
)
def test_compare_names_the_difference(got: Any, expected: Any, code: str) -> None:
    difference = compare(got, expected)
    assert difference is not None
    assert difference.code == code


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (1.0, np.array(1.0)),
        ([1.0, 2.0], (1.0, 2.0)),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (np.float32(1 / 3), np.array(1 / 3)),
        (None, None),
        (np.array([np.nan]), np.array([np.nan])),
    ],
)
def test_compare_accepts_what_is_equal(got: Any, expected: Any) -> None:
    assert compare(got, expected) is None
