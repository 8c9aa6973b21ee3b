"""Chapter 6: what the page claims and no cell of it checks."""

import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jupytext
import numpy as np
import pytest

import nnlib.numpy_track as nn
from nnlib.checks import grade
from nnlib.contract import operations, questions
from nnlib.mistakes import for_exercise

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "06-training.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "solutions" / "06-training").glob("*.md"))
LABELS = ("step", "updates", "epoch-loss", "accuracy", "confusion", "standard-error", "noise")
EXERCISES = {
    "numpy": ("iterate_batches", "mini_batch_step", "fit_epochs", "accuracy", "confusion_matrix"),
    "torch": ("GreyImages", "shuffled_epochs", "collate_sequences", "move_to_device",
              "train_epoch", "evaluate_classifier", "fit_best"),
}


def every_hint() -> list[str]:
    hints = [hint for q in questions(chapter="06-training") for hint in q.why.values()]
    for track, names in EXERCISES.items():
        hints += [mistake.hint for name in names for mistake in for_exercise(name, track)]
    return hints


def test_equations_are_numbered_as_code_and_hints_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-06-([\w-]+)", PAGE)) == LABELS
    texts = [PAGE, *every_hint(), *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    cited = {int(k) for text in texts for k in re.findall(r"quations? \(6\.(\d+)\)", text)}
    assert {1, 2, 3, 4, 5, 7} <= cited
    assert max(cited) <= len(LABELS)
    assert not [text for text in texts[1:] if "eq-06-" in text]
    spots = {1: "w - learning_rate * g.dw", 3: "total / len(x)", 7: "(n - sizes) / (n - 1)"}
    for number, words in spots.items():
        assert any(words in line and f"(6.{number})" in line for line in PAGE.splitlines()), words


def test_every_anchor_is_a_label_of_the_page() -> None:
    labels = set(re.findall(r"^\(([\w-]+)\)=$", PAGE, flags=re.MULTILINE))
    wanted = {entry.anchor for entry in operations(chapter="06-training")}
    wanted |= {entry.anchor for entry in questions(chapter="06-training")}
    for track, names in EXERCISES.items():
        wanted |= {mistake.anchor for name in names for mistake in for_exercise(name, track)}
    assert wanted <= labels, wanted - labels


def test_sections_that_notebooks_name_are_on_the_page() -> None:
    headings = set(re.findall(r"^#+ (.+)$", PAGE, flags=re.MULTILINE))
    for path in NOTEBOOKS:
        for name in re.findall(r'[Ss]ection "([^"]+)"', path.read_text(encoding="utf-8")):
            assert name in headings, (path.name, name)


def test_every_section_has_a_label_and_the_page_keeps_its_limits() -> None:
    lines = PAGE.splitlines()
    fence = False
    for before, line in zip(["", *lines], lines, strict=False):
        fence ^= line.startswith("```")
        if re.match(r"#{1,3} ", line) and not fence:
            assert re.fullmatch(r"\([\w-]+\)=", before), line
    notebook = jupytext.reads(PAGE, fmt="md:myst")
    cells = [cell.source.splitlines() for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) <= 25
    assert max(map(len, cells)) <= 15
    assert max(len(line) for cell in cells for line in cell) <= 100
    prose = " ".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    assert len(re.findall(r"[A-Za-z]{2,}", prose)) <= 3800  # markup included; 3,000 words of text


def test_counts_in_the_text() -> None:
    from nnlib import data

    parts = data.train_validation_test_split(
        np.zeros((1797, 1)), np.arange(1797) % 10, rng=np.random.default_rng(0), stratify=True)
    n = len(parts.train.x)
    assert (n, len(parts.test.x)) == (1258, 269)
    assert f"$n = {n}$ and $m = 32$: {math.ceil(n / 32)} updates" in PAGE
    assert f"{64 * math.ceil(n / 32):,} in all" in PAGE
    small, large = (20 * math.ceil(n / m) for m in (16, 1024))
    assert f"{large} updates in place of {small:,}" in PAGE
    assert round(math.sqrt(0.97 * 0.03 / 269), 3) == 0.010
    assert math.ceil(5000 / 128) * 10 == 400
    assert math.log(10) == pytest.approx(2.30, abs=0.005)


def test_thirteen_people_wrote_the_digits() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    about = " ".join(datasets.load_digits().DESCR.split())
    assert "13 people wrote all 1,797" in PAGE
    assert "different 13 to the test set" in about
    assert "copy of the test set" in about


def test_the_table_by_hand() -> None:
    x = np.array([1.0, 2.0, 3.0, -1.0])

    def row(w: float, part: np.ndarray) -> tuple[float, float, float]:
        loss, dy = nn.mse(w * part, 2 * part)
        dw = float(part @ dy)
        return float(loss), dw, w - 0.05 * dw

    assert row(0.0, x) == pytest.approx((15, -15, 0.75))
    assert row(0.0, x[:2]) == pytest.approx((10, -10, 0.5))
    assert row(0.5, x[2:]) == pytest.approx((11.25, -15, 1.25))


def test_noise_of_a_mini_batch_is_as_derived() -> None:
    """Every subset of a small set, without drawing: the formula is exact."""
    from itertools import combinations

    values = np.random.default_rng(0).normal(size=7)
    n, sigma = len(values), values.std()
    for m in range(1, n):
        means = [values[list(rows)].mean() for rows in combinations(range(n), m)]
        expected = sigma / math.sqrt(m) * math.sqrt((n - m) / (n - 1))
        assert np.std(means) == pytest.approx(expected)


def test_the_proportional_rate_at_512_kills_most_units() -> None:
    """What the text says of the rate 3.2: the network guesses because its units are silent."""
    pytest.importorskip("sklearn")
    from nnlib import data
    from nnlib.numpy_track.model import mlp

    assert "At 512 the rate is 3.2: the first steps overshoot, most units {ref}`die" in PAGE
    for seed in (100, 101):
        rng, digits = np.random.default_rng(seed), data.load_digits()
        part, _, _ = data.train_validation_test_split(digits.x / 16, digits.y, rng=rng,
                                                      stratify=True)
        network = mlp(rng, (64, 128, 10))
        history = nn.fit(network, part.x, part.y, loss=nn.softmax_cross_entropy, optimizer="sgd",
                         learning_rate=3.2, epochs=20, batch_size=512, rng=rng)
        assert history["loss"][-1] > 2
        assert (network.layers[0].forward(part.x) <= 0).all(axis=0).mean() > 0.7


def test_patience_as_in_the_text() -> None:
    """0.8, 0.5, 0.6, 0.7 with a patience of 2: stop after the fourth, return the second."""
    values = [0.8, 0.5, 0.6, 0.7, 0.1]
    stopping, model = nn.EarlyStopping(patience=2), SimpleNamespace(params={"w": 0})
    stops = []
    for epoch, value in enumerate(values, start=1):
        model.params = {"w": epoch}
        stops.append(stopping.observe(value, model))
        if stops[-1]:
            break
    stopping.restore(model)
    assert len(stops) == 4
    assert model.params == {"w": 2}
    best, history = nn.fit_epochs(
        {"w": 0}, batches=lambda: [(np.zeros(1), np.zeros(1))],
        step=lambda params, x, y: ({"w": params["w"] + 1}, 0.0),
        validate=lambda params: values[params["w"] - 1], epochs=5, patience=2)
    assert best == {"w": 2}
    assert history["validation_loss"] == values[:4]


def test_the_functions_train_like_fit() -> None:
    """`mini_batch_step` and `fit_epochs` against the model objects of `train.fit`."""
    from nnlib.numpy_track.model import mlp

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(23, 3)), rng.normal(size=(23, 2))
    model = mlp(rng, (3, 2))
    batch_rng = np.random.default_rng(1)

    def step(params: Any, x_batch: Any, y_batch: Any) -> Any:
        return nn.mini_batch_step(
            params, x_batch, y_batch, loss=nn.mse, learning_rate=0.1,
            forward=lambda p, rows: (rows @ p["0.w"] + p["0.b"], rows),
            backward=lambda dy, rows: {"0.w": rows.T @ dy, "0.b": dy.sum(axis=0)})

    values = iter([4.0, 3.0, 2.0, 1.0])  # always better: the last parameters are the best
    params, history = nn.fit_epochs(
        model.params, step=step, validate=lambda p: next(values), epochs=4, patience=9,
        batches=lambda: nn.iterate_batches(x, y, batch_size=10, rng=batch_rng))
    theirs = nn.fit(model, x, y, loss=nn.mse, optimizer="sgd", learning_rate=0.1, epochs=4,
                    batch_size=10, rng=np.random.default_rng(1))
    assert np.allclose(history["loss"], theirs["loss"], rtol=1e-12)
    for name, value in model.params.items():
        np.testing.assert_allclose(params[name], value, rtol=1e-12)


def test_answers_of_the_questions_are_what_the_code_does() -> None:
    rng = np.random.default_rng(0)
    x = np.zeros((1000, 1))
    updates = sum(1 for _ in range(20) for _ in nn.iterate_batches(x, x, batch_size=64, rng=rng))
    assert grade("updates_of_a_training", updates).passed
    labels = np.repeat([0, 0, 1, 1], [950, 20, 12, 18])
    predictions = np.repeat([0, 1, 0, 1], [950, 20, 12, 18])
    counts = nn.confusion_matrix(predictions, labels, num_classes=2)
    assert counts.tolist() == [[950, 20], [12, 18]]
    assert grade("share_of_sick_found", counts[1, 1] / counts[1].sum()).passed
    assert nn.accuracy(predictions, labels) == pytest.approx(0.968)  # as the notebook says
    assert nn.accuracy(np.zeros(1000, dtype=int), labels) == pytest.approx(0.97)


def test_torch_answers_of_the_questions() -> None:
    torch = pytest.importorskip("torch")
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.zeros(1000, 1)), batch_size=64, shuffle=True,
        drop_last=True, generator=torch.Generator().manual_seed(0))
    steps = sum(len(list(loader)) for _ in range(20))
    assert grade("steps_with_drop_last", steps, track="torch").passed
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1))
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    before = model(x)
    model.eval()
    assert not torch.equal(before, model(x))  # "b"
    assert model(x).requires_grad  # not "a"
    assert all(p.requires_grad for p in model.parameters())  # not "c"
    assert model(x).dtype == torch.float32  # not "d"


def test_a_state_dict_holds_the_tensors_themselves() -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 1)
    kept, copied = model.state_dict(), {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        model.weight.add_(1)
    assert torch.equal(kept["weight"], model.weight)
    assert not torch.equal(copied["weight"], model.weight)


def test_the_best_epoch_of_fit_best_lies_inside() -> None:
    """Otherwise the last weights, or the best by the training loss, would pass."""
    pytest.importorskip("torch")
    from nnlib.checks.run import draw_cases, expect
    from nnlib.contract import find

    operation = find("fit_best")
    for secret in ("public", "one", "two", "three"):
        for case in draw_cases(operation, secret=secret):
            losses, values = expect(operation, case, "torch").outputs[:2]
            if case.options["epochs"] > 1:
                assert int(np.argmin(values)) not in (len(values) - 1, int(np.argmin(losses)))


def test_students_are_not_held_to_the_wording_of_errors() -> None:
    from nnlib.checks.run import draw_cases, graded_cases
    from nnlib.contract import find

    operation = find("accuracy")
    assert any(case.raises for case in draw_cases(operation))
    assert not any(case.match for case in graded_cases(operation))

    def accuracy(predictions: Any, labels: Any) -> float:
        classes = predictions.argmax(axis=1) if predictions.ndim == 2 else predictions
        return float((classes == labels).mean())

    assert grade("accuracy", accuracy).passed
