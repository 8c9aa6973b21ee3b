"""Answers to prediction questions: letters, numbers, and what people type instead."""

from typing import Any

import numpy as np
import pytest

from nnlib.checks.answers import grade_answer
from nnlib.contract import Question

CHOICE = Question("which", "Which?", "b", {"a": "No: a is the other one, look again at the sum."},
                  "05-backprop", "backprop", options={"a": "first", "b": "second"})
NUMBER = Question("how_many", "How many?", 12.0, {"6": "You counted each pair once, not twice."},
                  "05-backprop", "backprop", tolerance=0.01)


@pytest.mark.parametrize("answer", ["b", "B", " b ", "(b)", '"b"', "b."])
def test_a_letter_is_read_as_people_write_it(answer: str) -> None:
    assert grade_answer(CHOICE, answer, "numpy").passed


@pytest.mark.parametrize(("answer", "words"), [
    (None, "Not answered yet"), ("c", "one of"), (2, "one of"), ("", "one of"),
    ("a", "a is the other one"),
])
def test_other_choices_earn_nothing_and_say_why(answer: Any, words: str) -> None:
    report = grade_answer(CHOICE, answer, "numpy")
    assert report.points_fraction == 0.0
    assert words in report.hint


@pytest.mark.parametrize("answer", [12, 12.0, 12.05, np.float32(12), np.array(12.0)])
def test_a_number_within_tolerance_is_right(answer: Any) -> None:
    assert grade_answer(NUMBER, answer, "numpy").passed


@pytest.mark.parametrize(("answer", "words"), [
    (6, "each pair once"), (13, "not the number"), ("12", "must be a number"),
    (True, "must be a number"), (float("nan"), "must be a number"),
    (np.array([1.0, 2.0]), "must be a number"),
])
def test_other_numbers_earn_nothing_and_say_why(answer: Any, words: str) -> None:
    report = grade_answer(NUMBER, answer, "numpy")
    assert report.points_fraction == 0.0
    assert words in report.hint
