"""Chapter 0: the claims of its text and questions that no cell of the page checks."""

from pathlib import Path

import numpy as np
import pytest

from nnlib.checks import grade
from nnlib.checks.array_checks import never_negative
from nnlib.checks.diagnose import candidate
from nnlib.checks.split_judges import drawn_by_rng, partition
from nnlib.contract import Case, find, questions
from nnlib.errors import ShapeError
from nnlib.mistakes import for_exercise
from nnlib.numpy_track import mse, pairwise_squared_distances

CASE = Case("10 rows", "values", (10,), {}, judge="partition")
EXPECTED = (np.arange(7), np.arange(7, 10))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_column_minus_row_loss_is_lowest_where_every_prediction_is_the_mean_target(rng):
    target = rng.normal(size=50)
    at_mean = np.full((50, 1), target.mean())

    def loss(pred):
        return np.mean((pred - target) ** 2)

    assert loss(at_mean) == pytest.approx(target.var())
    for _ in range(20):
        assert loss(at_mean + 0.1 * rng.normal(size=(50, 1))) > loss(at_mean)


def test_losses_of_nnlib_refuse_a_column_against_a_row(rng):
    with pytest.raises(ShapeError, match="same shape"):
        mse(rng.normal(size=(5, 1)), rng.normal(size=5))


def test_subtracting_a_common_mean_cures_the_cancellation(rng):
    a, b = (rng.normal(size=(2, 30, 8)) + 1000).astype(np.float32)

    def by_product(a, b):
        return (a * a).sum(axis=1)[:, None] - 2 * (a @ b.T) + (b * b).sum(axis=1)

    def error(got):
        truth = pairwise_squared_distances(a.astype(np.float64), b.astype(np.float64))
        return np.mean(abs(got - truth) / truth)

    mean = a.mean(axis=0)
    assert error(by_product(a - mean, b - mean)) < 1e-4 * error(by_product(a, b))


def test_answers_of_the_numpy_questions_are_what_numpy_does():
    shape = (np.ones(5) - np.ones((5, 1))).shape
    question = find("shape_of_difference")
    assert str(shape) in question.options[question.answer]
    a, b = np.ones((10, 64), np.float32), np.ones((5, 64), np.float32)
    block = a[:, None, :] - b[None, :, :]
    assert block.nbytes * 100 * 100 / 1e6 == find("megabytes_of_differences").answer


def test_answers_of_the_torch_questions_are_what_torch_does():
    torch = pytest.importorskip("torch")
    a = np.ones(3)
    torch.from_numpy(a).mul_(5)
    question = find("shared_by_from_numpy")
    assert str(a.astype(int).tolist()) in question.options[question.answer]
    x = torch.arange(16.0).reshape(4, 4).square()
    got = x - x.mean(dim=1)
    for j in range(4):
        assert torch.equal(got[:, j], x[:, j] - x[j].mean())
    assert find("mean_without_keepdim").answer == "c"


def test_numbers_of_the_self_test():
    assert np.broadcast_shapes((8, 1, 6), (7, 1)) == (8, 7, 6)
    assert 20_000**2 * 100 * 4 == 160e9
    assert 20_000**2 * 4 == 1.6e9


def test_any_random_partition_is_right(rng):
    for _ in range(50):
        order = rng.permutation(10)
        assert partition((order[:7], order[7:]), EXPECTED, CASE, "split") is None


@pytest.mark.parametrize(
    ("train", "test", "code"),
    [
        ([0, 1, 2, 3, 4, 5, 6], [6, 8, 9], "overlap"),
        ([0, 1, 2, 3, 4, 5], [7, 8, 9], "missing"),
        ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9], "size"),
        ([0, 1, 2, 3, 4, 5, 6], [7, 8, 8], "repeated"),
        ([1, 2, 3, 4, 5, 6, 7], [8, 9, 10], "range"),
        ([-1, 1, 2, 3, 4, 5, 6], [7, 8, 9], "range"),
        ([[0, 1, 2, 3, 4, 5, 6]], [7, 8, 9], "shape"),
        ([0.0, 1, 2, 3, 4, 5, 6], [7, 8, 9], "type"),
        ([True] * 7, [7, 8, 9], "mask"),
    ],
)
def test_partition_names_what_is_wrong(train, test, code):
    fault = partition((np.array(train), np.array(test)), EXPECTED, CASE, "split")
    assert fault is not None
    assert fault.code == code


def test_drawn_by_rng_names_what_is_wrong(rng):
    def judged(*parts):
        expected = [EXPECTED] * len(parts)
        fault = drawn_by_rng(list(parts), expected, CASE, "split")
        return fault and fault.code

    def drawn():
        order = rng.permutation(40)
        return order[10:], order[:10]

    one, two, three = drawn(), drawn(), drawn()
    block = np.arange(10, 40), np.arange(10)
    assert judged(one, one, two, three) is None
    assert judged(one, two, three, one) == "not repeatable"
    assert judged(one, one, one, one) == "fixed"
    assert judged(block, block, block, block) == "not shuffled"


def test_never_negative_sees_what_lies_within_tolerance():
    case = Case("", "stability", atol=1e-6)
    assert never_negative(np.array([1e-9]), np.array([0.0]), case, "") is None
    assert never_negative(np.array([-1e-9]), np.array([0.0]), case, "").code == "negative"


@pytest.mark.parametrize("secret", ["a", "b", "c", "d", "e"])
@pytest.mark.parametrize(
    ("exercise", "name"),
    [("pairwise_squared_distances", "negative_numbers_left"),
     ("split_indices", "parts_drawn_separately"), ("split_indices", "drawn_with_replacement"),
     ("split_indices", "own_generator")],
)
def test_mistakes_that_depend_on_chance_are_named_for_any_secret(
    exercise, name, secret, monkeypatch
):
    monkeypatch.setenv("NNCOURSE_SECRET", secret)
    (wrong,) = [entry for entry in for_exercise(exercise) if entry.name == name]
    report = grade(exercise, candidate(wrong, find(exercise), "numpy"))
    assert report.mistake == name
    assert report.points_fraction < 1


def test_an_array_that_stays_shared_is_noticed():
    torch = pytest.importorskip("torch")

    def shared(images):
        x = torch.from_numpy(images).float()[:, None]
        return x / 255 if images.dtype == np.uint8 else x

    def as_array(images):
        return images.astype(np.float32)[:, None] / (255 if images.dtype == np.uint8 else 1)

    rows = {row.property: row.passed for row in grade("as_model_input", shared, track="torch").rows}
    assert rows["values"]
    assert not rows["own memory"]
    # A NumPy array with the right numbers is no tensor.
    assert grade("as_model_input", as_array, track="torch").points_fraction == 0


def test_the_wrong_split_of_the_page_earns_part_of_the_points():
    def in_order(n, *, test_fraction, rng):
        rows = np.arange(n)
        n_train = n - round(n * test_fraction)
        return rows[:n_train], rows[n_train:]

    report = grade("split_indices", in_order)
    assert report.mistake == "not_shuffled"
    assert [row.property for row in report.rows if not row.passed] == ["repeatable"]
    assert 0 < report.points_fraction < 1


def test_a_block_refuses_a_shape_that_does_not_stretch():
    figure = pytest.importorskip("matplotlib.figure")
    from nnlib.viz.boxes import block

    with pytest.raises(ShapeError, match=r"block: shape \(4, 2, 2\) must broadcast"):
        block(figure.Figure().subplots(), (4, 2, 2), broadcast_to=(4, 3, 2))


@pytest.mark.parametrize("track", ["numpy", "torch"])
def test_notebooks_offer_the_options_that_the_questions_grade(track):
    folder = Path(__file__).parents[2] / "solutions" / "00-start-here"
    text = (folder / f"start_here_{track}.md").read_text(encoding="utf-8").replace("`", "")
    found = list(questions(track=track, chapter="00-start-here"))
    assert len(found) == 2
    for question in found:
        for letter, option in question.options.items():
            assert f'- "{letter}": {option}' in text
        assert question.options.keys() - {question.answer} == question.why.keys() or (
            not question.options)
