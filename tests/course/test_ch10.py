"""Chapter 10: what the page claims and no cell of it checks."""

import re
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pytest

import nnlib.numpy_track as nn
from nnlib.checks import grade
from nnlib.contract import Rng, find, operations, questions
from nnlib.contract.case import Case
from nnlib.mistakes import for_exercise

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "10-regularization.md").read_text(encoding="utf-8")
CELLS = [cell.source for cell in jupytext.reads(PAGE, fmt="md:myst").cells
         if cell.cell_type == "code"]
NOTEBOOKS = sorted((ROOT / "solutions" / "10-regularization").glob("*.md"))
LABELS = ("decomposition", "penalised", "l2", "l2-step", "ridge", "l1", "lasso", "dropout",
          "dropout-backward", "mixup", "mixup-loss", "interval")
EXERCISES = {
    "numpy": ("l1_penalty", "l2_penalty", "dropout_forward", "dropout_backward", "EarlyStopping",
              "random_shift", "mixup"),
    "torch": ("DropoutModule", "RandomShift", "weight_penalty", "mixup_loss", "fit_with_patience"),
}


def every_hint() -> list[str]:
    hints = [hint for q in questions(chapter="10-regularization") for hint in q.why.values()]
    for track, names in EXERCISES.items():
        hints += [mistake.hint for name in names for mistake in for_exercise(name, track)]
    return hints


# ---------------------------------------------------------------- the page holds together


def test_equations_are_numbered_as_code_and_notebooks_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-10-([\w-]+)", PAGE)) == LABELS
    number = {name: k for k, name in enumerate(LABELS, start=1)}
    texts = [p.read_text(encoding="utf-8") for p in NOTEBOOKS]
    tasks = [task for text in texts for task in text.split("\n## ")[1:]]
    for start, names in [("1. The L1", ["l1", "lasso"]), ("2. The L2", ["l2", "l2-step"]),
                         ("3. Dropout, for", ["dropout"]), ("4. Dropout", ["dropout-backward"]),
                         ("7. Mixup", ["mixup"]), ("1. Dropout, as", ["dropout"]),
                         ("3. A penalty", ["l2", "l1"]), ("4. A loss", ["mixup-loss"])]:
        (task,) = [text for text in tasks if text.startswith(start)]
        cited = re.findall(r"\(10\.(\d+)\)", task)
        assert cited == [str(number[name]) for name in names], start
    for words, name in [("total = sigma**2 + bias2", "decomposition"), ("fits = np", "penalised"),
                        ("rate * forces, 0)", "lasso"), ("shrunk, ridge", "ridge"),
                        ("nn.dropout_backward(dy", "dropout-backward"), ("if alpha:", "mixup"),
                        ("def blended_loss", "mixup-loss"), ("half = 2.776", "interval"),
                        ("def price", "l1")]:
        lines = [line for line in PAGE.splitlines() if words in line or (
            name == "ridge" and "vectors @ shrunk" in line)]
        assert any(f"(10.{number[name]})" in line for line in lines), words


def test_sections_that_notebooks_and_hints_name_exist() -> None:
    headings = set(re.findall(r"^#{2,3} (.+)$", PAGE, flags=re.MULTILINE))
    texts = [*every_hint(), *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    named = {name for text in texts
             for match in re.findall(r'[Ss]ections? ("[^"]+"(?: and "[^"]+")?)', text)
             for name in re.findall(r'"([^"]+)"', match)}
    assert len(named) > 5
    assert named <= headings, named - headings


def test_every_anchor_is_a_label_of_the_page() -> None:
    labels = set(re.findall(r"^\(([\w-]+)\)=$", PAGE, flags=re.MULTILINE))
    wanted = {entry.anchor for entry in operations(chapter="10-regularization")}
    wanted |= {entry.anchor for entry in questions(chapter="10-regularization")}
    for track, names in EXERCISES.items():
        wanted |= {mistake.anchor for name in names for mistake in for_exercise(name, track)}
    assert wanted <= labels, wanted - labels


def test_every_section_has_a_label_and_the_page_keeps_its_limits() -> None:
    lines = PAGE.splitlines()
    fence = False
    for before, line in zip(["", *lines], lines, strict=False):
        fence ^= line.startswith("```")
        if re.match(r"#{1,3} ", line) and not fence:
            assert re.fullmatch(r"\([\w-]+\)=", before), line
    assert len(CELLS) <= 25
    assert max(len(cell.splitlines()) for cell in CELLS) <= 15
    assert max(len(line) for cell in CELLS for line in cell.splitlines()) <= 100
    prose = " ".join(c.source for c in jupytext.reads(PAGE, fmt="md:myst").cells
                     if c.cell_type == "markdown")
    assert len(re.findall(r"[A-Za-z]{2,}", prose)) <= 3800  # markup included; 3,000 words of text


def test_the_lead_counts_right() -> None:
    layers = nn.init_params(np.random.default_rng(0), (64, 128, 10))
    assert f"A network with {nn.count_parameters(layers):,} numbers" in PAGE


# ---------------------------------------------------------------- formulas


def test_where_penalties_settle() -> None:
    """Equations (10.5) and (10.7), by search on a fine grid."""
    w = np.linspace(-3, 3, 600_001)
    for a, strength, curvature in [(2.0, 0.5, 1.0), (0.3, 0.5, 1.0), (-1.2, 0.7, 1.0),
                                   (1.5, 0.4, 3.0)]:
        data = curvature / 2 * (w - a) ** 2
        ridge = w[np.argmin(data + strength / 2 * w**2)]
        assert ridge == pytest.approx(curvature / (curvature + strength) * a, abs=2e-5)
        if curvature == 1.0:
            lasso = w[np.argmin(data + strength * abs(w))]
            assert lasso == pytest.approx(np.sign(a) * max(abs(a) - strength, 0), abs=2e-5)


def test_l2_is_weight_decay_in_sgd_and_not_in_adam() -> None:
    rng = np.random.default_rng(0)
    params, grads = {"w": rng.normal(size=5)}, {"w": rng.normal(size=5)}
    _, pull = nn.l2_penalty(params, strength=0.3)
    both = {"w": grads["w"] + pull["w"]}
    for rule, equal in (("sgd", True), ("adamw", False)):
        init, update = nn.get_optimizer(rule)
        plain = {} if rule == "sgd" else {"weight_decay": 0.0}
        one, _ = update(params, both, init(params), learning_rate=0.1, **plain)
        other, _ = update(params, grads, init(params), learning_rate=0.1, weight_decay=0.3)
        assert np.allclose(one["w"], other["w"]) is equal
    new, _ = nn.sgd_update(params, grads, {}, learning_rate=0.1, weight_decay=0.3)
    np.testing.assert_allclose(new["w"], (1 - 0.03) * params["w"] - 0.1 * grads["w"])  # (10.4)


def test_moments_of_dropout() -> None:
    for p in (0.2, 0.5, 0.9):
        values, chances = np.array([0.0, 3 / (1 - p)]), np.array([p, 1 - p])
        mean = values @ chances
        assert mean == pytest.approx(3.0)
        assert values**2 @ chances - mean**2 == pytest.approx(9 * p / (1 - p))


def test_factors_of_the_intervals() -> None:
    stats = pytest.importorskip("scipy.stats")
    assert stats.t.ppf(0.975, 4) == pytest.approx(2.776, abs=5e-4)
    assert stats.t.ppf(0.975, 9) == pytest.approx(2.262, abs=5e-4)
    assert stats.t.ppf(0.975, 7) == pytest.approx(2.365, abs=5e-4)
    # Eleven techniques without effect, five seeds, all against the same runs of "nothing".
    runs = np.random.default_rng(0).normal(size=(20_000, 12, 5))
    gain = runs[:, 1:] - runs[:, :1]
    half = 2.776 * gain.std(axis=2, ddof=1) / np.sqrt(5)
    assert (abs(gain.mean(axis=2)) > half).any(axis=1).mean() == pytest.approx(1 / 3, abs=0.03)
    assert "about one in three such panels" in PAGE


def test_share_of_wrong_labels() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=200_000)
    noisy = np.where(rng.random(labels.size) < 0.2, rng.integers(10, size=labels.size), labels)
    share = (noisy != labels).mean()
    assert share == pytest.approx(0.18, abs=0.005)
    assert grade("share_of_wrong_labels", 0.18).passed
    assert "18 % for $q = 0.2$" in PAGE


# ---------------------------------------------------------------- the experiment


@pytest.fixture(scope="module")
def cells() -> dict[str, Any]:
    """What the page's own cells define: augmentations and training."""
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    pytest.importorskip("torch")
    names: dict[str, Any] = {}
    for cell in CELLS:
        wanted = ("one_hot = data", "def random_flip", "def augment(", "def two_hundred",
                  "def price", "def train(")
        if "def network" in cell:
            exec("\n".join(cell.splitlines()[:3]), names)
        elif any(word in cell for word in wanted):
            exec("\n".join(line for line in cell.splitlines() if "use_style" not in line), names)
    return names


def test_claims_about_the_techniques_hold_for_other_seeds(cells: dict[str, Any]) -> None:
    train, seeds = cells["train"], range(200, 204)

    def accuracy(noisy: float, **options: Any) -> np.ndarray:
        return 100 * np.array([train(seed, noisy, **options)[0] for seed in seeds])

    plain, noisy = accuracy(0.0), accuracy(0.2)
    assert plain.mean() - noisy.mean() > 8
    for options in ({"l2": 1e-2}, {"drop_prob": 0.5}, {"std": 0.3}, {"patience": 10}):
        assert (accuracy(0.2, **options) - noisy).mean() > 2, options
        assert (accuracy(0.0, **options) - plain).mean() < 2, options
    assert (accuracy(0.0, flip=True) - plain).mean() < -0.5
    every = {"l1": 1e-3, "l2": 1e-2, "drop_prob": 0.5, "shift": 1, "degrees": 15, "std": 0.3,
             "alpha": 0.4, "patience": 10}
    assert (accuracy(0.0, **every) - plain).mean() < -10


def test_paired_runs_share_digits_and_starting_weights(cells: dict[str, Any]) -> None:
    starts = []
    for drop_prob in (0.0, 0.5):
        rng, x, *_ = cells["two_hundred"](3, 0.2)
        model = cells["network"](rng, drop_prob)
        starts.append((x, list(model.params.values())))
    assert np.array_equal(starts[0][0], starts[1][0])
    assert all(map(np.array_equal, starts[0][1], starts[1][1]))


def test_the_rotation_of_the_page_turns(cells: dict[str, Any]) -> None:
    """A right angle is `rot90`, and 0 degrees change nothing."""
    class Fixed:
        def __init__(self, degrees: float) -> None:
            self.degrees = degrees

        def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
            return np.full(shape, self.degrees)

    images = np.random.default_rng(0).uniform(size=(3, 1, 8, 8))
    turn = cells["random_rotation"]
    np.testing.assert_allclose(turn(images, 0, Fixed(0.0)), images, atol=1e-12)
    turned = turn(images, 90, Fixed(90.0))
    quarter = [np.rot90(images, k, axes=(2, 3)) for k in (1, 3)]
    assert any(np.allclose(turned, q, atol=1e-9) for q in quarter)


# ---------------------------------------------------------------- exercises


def test_answers_of_the_questions_are_what_the_code_does() -> None:
    torch = pytest.importorskip("torch")
    w = np.linspace(-1, 1, 2_000_001)
    at = w[np.argmin((w - 0.3) ** 2 / 2 + 0.5 * abs(w))]
    assert at == pytest.approx(0, abs=1e-6)
    assert grade("lasso_of_a_small_weight", "b").passed
    layers = torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.Dropout(0.5))
    largest = float(layers(torch.ones(1000)).max())
    assert grade("two_dropouts_in_a_row", largest, track="torch").passed

    class Shifted(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return 200

        def __getitem__(self, index: int) -> float:
            return index + float(torch.rand(()))

    _, valid = torch.utils.data.random_split(Shifted(), [160, 40])
    assert list(valid) != list(valid)  # drawn anew each time
    assert grade("split_after_augmenting", "c", track="torch").passed


def test_the_modules_are_those_of_pytorch() -> None:
    """`nn.Dropout` fails in one thing alone: it can't take a generator."""
    torch = pytest.importorskip("torch")

    class Theirs(torch.nn.Dropout):
        def __init__(self, drop_prob=0.5, *, generator):  # type: ignore[no-untyped-def]
            super().__init__(drop_prob)

    report = grade("DropoutModule", Theirs, track="torch")
    assert [row.property for row in report.rows if not row.passed] == ["repeatable"]
    assert report.mistake == "GlobalGenerator"


@pytest.mark.parametrize("secret", ["one", "two", "three"])
def test_the_loop_is_tried_where_patience_matters(secret: str) -> None:
    """Under every secret: stops before the end, a bad epoch before the best one, best not last."""
    pytest.importorskip("torch")
    from nnlib.checks.run import draw_cases, expect

    operation = find("fit_with_patience")
    cases = draw_cases(operation, secret=secret)
    for case in cases[:2]:
        losses = [float(v) for v in expect(operation, case, "torch").outputs[0]]
        best, patience = int(np.argmin(losses)), case.options["patience"]
        assert len(losses) == best + 1 + patience < case.options["max_epochs"]
        bad = [k for k in range(1, best) if losses[k] >= min(losses[:k])]
        assert bad, losses


def test_references_refuse_bad_input() -> None:
    torch = pytest.importorskip("torch")
    from nnlib import torch_track as tt
    from nnlib.errors import ShapeError

    generator = torch.Generator()
    with pytest.raises(ValueError, match="DropoutModule: drop_prob must be"):
        tt.DropoutModule(1.0, generator=generator)
    with pytest.raises(ValueError, match="RandomShift: max_shift must be"):
        tt.RandomShift(-1, generator=generator)
    with pytest.raises(ValueError, match="weight_penalty: l1 must be"):
        tt.weight_penalty(torch.nn.Linear(2, 1), l1=-1.0)
    with pytest.raises(ValueError, match="weight_penalty: model must have"):
        tt.weight_penalty(torch.nn.LayerNorm(3), l2=1.0)
    labels = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ShapeError, match="mixup_loss: shares must have shape"):
        tt.mixup_loss(torch.zeros(2, 3), labels, labels, torch.tensor([0.5]))
    with pytest.raises(ValueError, match="fit_with_patience: patience must be"):
        tt.fit_with_patience(torch.nn.Linear(1, 1), [], [], torch.nn.MSELoss(), max_epochs=1,
                             patience=0, learning_rate=0.1, weight_decay=0.0)


def test_the_judge_of_shifts_finds_what_it_is_for() -> None:
    from nnlib.checks.judges import JUDGES

    rng = np.random.default_rng(0)
    images = 0.1 + rng.uniform(size=(200, 2, 5, 5))
    case = Case("", "values", (images,), {"max_shift": 1, "training": True, "rng": Rng(0)})

    def code(result: Any) -> str:
        found = JUDGES["shifted"](result, images, case, "images")
        return found.code if found else ""

    right = nn.random_shift(images, max_shift=1, training=True, rng=rng)
    far = nn.random_shift(images, max_shift=2, training=True, rng=rng)
    apart = np.concatenate([nn.random_shift(images[:, [c]], max_shift=1, training=True, rng=rng)
                            for c in range(2)], axis=1)
    assert code(right) == ""
    assert code(images) == "together"
    assert code(far) == "too far"
    assert code(apart) == "channels apart"
    assert code(right + 0.1) == "values"
    assert code(right[:, :1]) == "shape"
    assert code(np.roll(images, 1, axis=2)) == "wrapped"
