"""Chapter 4: what the page claims and no cell of it checks."""

import re
from pathlib import Path
from statistics import NormalDist
from typing import Any

import jupytext
import numpy as np
import pytest

import nnlib.numpy_track as nn
from nnlib.checks import grade
from nnlib.contract import operations, questions
from nnlib.mistakes import for_exercise

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "04-losses.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "solutions" / "04-losses").glob("*.md"))
LABELS = ("mean", "mse", "mae", "huber", "likelihood", "gaussian", "laplace", "binary",
          "binary-logits", "binary-gradient", "categorical", "log-sum-exp", "cross-entropy",
          "softmax", "smoothing", "weighted", "shift")
EXERCISES = {
    "numpy": ("mse", "mae", "huber", "log_sum_exp", "binary_cross_entropy_with_logits",
              "softmax_cross_entropy", "balanced_class_weights"),
    "torch": ("task_loss", "BalancedCrossEntropy", "masked_cross_entropy", "binary_focal_loss",
              "loss_by_class"),
}


def every_hint() -> list[str]:
    hints = [hint for q in questions(chapter="04-losses") for hint in q.why.values()]
    for track, names in EXERCISES.items():
        hints += [mistake.hint for name in names for mistake in for_exercise(name, track)]
    return hints


def test_equations_are_numbered_as_code_and_hints_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-04-([\w-]+)", PAGE)) == LABELS
    texts = [PAGE, *every_hint(), *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    cited = {int(k) for text in texts for k in re.findall(r"\(4\.(\d+)\)", text)}
    assert cited
    assert max(cited) <= len(LABELS)
    assert not [text for text in texts[1:] if "eq-04-" in text]
    number = {name: LABELS.index(name) + 1 for name in LABELS}
    # The numbers that hints and notebooks print, spot by spot.
    for words, name in [("line must be shifted", "huber"), ("needs no clip", "binary-logits"),
                        ("Take a number out of the sum", "log-sum-exp"),
                        ("as a difference", "cross-entropy")]:
        (hint,) = {h for h in every_hint() if words in h}
        assert f"(4.{number[name]})" in hint, words


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
    wanted = {entry.anchor for entry in operations(chapter="04-losses")}
    wanted |= {entry.anchor for entry in questions(chapter="04-losses")}
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
    notebook = jupytext.reads(PAGE, fmt="md:myst")
    cells = [cell.source.splitlines() for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) <= 25
    assert max(map(len, cells)) <= 15
    assert max(len(line) for cell in cells for line in cell) <= 100
    prose = " ".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    assert len(re.findall(r"[A-Za-z]{2,}", prose)) <= 3800  # markup included; 3,000 words of text


def test_the_knob_fits_the_lines_that_the_losses_ask_for(browser: Any, tmp_path: Path) -> None:
    """At each fitted line the slopes of the loss balance, or no line is better."""
    static = ROOT / "book" / "_static"
    page = tmp_path / "page.html"
    script = (static / "knobs" / "outlier.js").as_uri()
    page.write_text(f"<!doctype html><body><div class='nn-knob' data-knob='outlier'></div>"
                    f"<script src='{script}'></script></body>", encoding="utf-8")
    browser.open(page)
    assert browser.exceptions == []
    x = np.array(browser.evaluate("nnKnobs.outlier.x"), dtype=float)
    near = browser.evaluate("nnKnobs.outlier.near")
    assert len(x) == 9
    rng = np.random.default_rng(0)
    for height, delta in [(8.0, 1.0), (-2.0, 0.4), (3.0, 5.0)]:
        t = np.array([*near, height])
        fits = browser.evaluate(f"nnKnobs.outlier.fit({t.tolist()}, {delta})")
        b, a = np.polyfit(x, t, 1)
        np.testing.assert_allclose(fits["squared"], [a, b], atol=1e-9)
        line = np.array(fits["huber"])
        slopes = nn.huber(line[0] + line[1] * x, t, delta=delta, reduction="none")[1]
        assert abs(slopes.sum()) < 1e-4
        assert abs((slopes * x).sum()) < 1e-4
        line = np.array(fits["absolute"])
        best = nn.mae(line[0] + line[1] * x, t)[0]
        for step in 0.3 * rng.normal(size=(200, 2)):
            other = line + step
            assert nn.mae(other[0] + other[1] * x, t)[0] >= best - 1e-12
    text = browser.evaluate(
        "nnKnobs.outlier.mount(document.querySelector('.nn-knob')), "
        "document.querySelector('.nn-knob-status').textContent")
    assert "2.31" in text
    # The small points alone: the claim of the status line.
    assert abs(np.polyfit(x[:8], near, 1)[0] - 1) < 0.1


def test_table_by_hand() -> None:
    t = np.array([0.0, 1.0, 2.0, 9.0])
    losses = {"squared": nn.mse, "absolute": nn.mae,
              "Huber": lambda p, t, **o: nn.huber(p, t, delta=2.0, **o)}
    for name, loss in losses.items():
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {name}, $")
                  and line.count("|") >= 6]
        cells = [cell.strip() for cell in row.replace("\\lvert", "").replace("\\rvert", "")
                 .replace("−", "-").strip("|").split("|")]
        single, slopes = loss(np.full(4, 3.0), t, reduction="none")
        assert [float(v) for v in cells[1].split(",")] == single.tolist()
        assert float(cells[2]) == single.mean()
        assert [float(v) for v in cells[3].split(",")] == slopes.tolist()
        assert float(cells[4].split(":")[0]) == slopes.sum()
    for c in (1.0, 1.3, 2.0):  # every median is as good
        assert nn.mae(np.full(4, c), t)[0] == pytest.approx(nn.mae(np.full(4, 1.5), t)[0])


def test_likelihoods_are_the_losses() -> None:
    rng = np.random.default_rng(0)
    pred, t = rng.normal(size=(2, 6))
    sigma = 0.7
    gauss = np.array([-np.log(NormalDist(m, sigma).pdf(v)) for m, v in zip(pred, t, strict=True)])
    rest = gauss - nn.mse(pred, t, reduction="none")[0] / (2 * sigma**2)  # equation (4.6)
    np.testing.assert_allclose(rest, np.log(sigma * np.sqrt(2 * np.pi)))
    laplace = -np.log(np.exp(-abs(t - pred) / sigma) / (2 * sigma))
    rest = laplace - nn.mae(pred, t, reduction="none")[0] / sigma  # equation (4.7)
    np.testing.assert_allclose(rest, np.log(2 * sigma))
    coin = (rng.uniform(size=6) < 0.5).astype(float)
    p = nn.sigmoid_forward(pred)[0]
    bernoulli = -np.log(p**coin * (1 - p) ** (1 - coin))
    np.testing.assert_allclose(
        nn.binary_cross_entropy_with_logits(pred, coin, reduction="none")[0], bernoulli)
    # Two classes with logits (0, z) are a coin with logit z.
    pair = np.stack([np.zeros(6), pred], axis=1)
    np.testing.assert_allclose(
        nn.softmax_cross_entropy(pair, coin.astype(int), reduction="none")[0], bernoulli)
    # The vanishing factor of a squared error behind a sigmoid.
    sure = nn.sigmoid_forward(np.array([10.0]))[0][0]
    assert f"{sure * (1 - sure):.5f}" == "0.00005"
    assert 1 - 2 / np.pi == pytest.approx(0.36, abs=0.005)  # data thrown away


def test_smoothing_has_its_minimum_where_the_text_says() -> None:
    for alpha, lead in [(0.1, 4.51), (0.2, 3.71)]:
        assert np.log((1 - alpha) * 10 / alpha + 1) == pytest.approx(lead, abs=0.005)
        assert f"{lead} at $\\alpha = {alpha}$" in PAGE
        logits = np.zeros((1, 10))
        logits[0, 3] = np.log((1 - alpha) * 10 / alpha + 1)
        gradient = nn.softmax_cross_entropy(logits, np.array([3]), label_smoothing=alpha)[1]
        assert abs(gradient).max() < 1e-12


def test_predictions_of_the_rare_class() -> None:
    normal = NormalDist()
    prior = np.log(0.95 / 0.05)
    plain, weighted = (1.5**2 / 2 + prior) / 1.5, 1.5 / 2
    assert round(plain, 2) == 2.71
    assert weighted == 0.75
    for cut, accuracy, found in [(plain, 0.952, 0.11), (weighted, 0.773, 0.773)]:
        recall, false = 1 - normal.cdf(cut - 1.5), 1 - normal.cdf(cut)
        assert recall == pytest.approx(found, abs=0.005)
        assert 0.05 * recall + 0.95 * (1 - false) == pytest.approx(accuracy, abs=0.0006)
    # Equation (4.17): weights shift the best logit.
    p, w1, w0 = 0.2, 3.0, 0.5
    z = np.linspace(-6, 6, 120_001)
    q = 1 / (1 + np.exp(-z))
    best = z[np.argmin(-w1 * p * np.log(q) - w0 * (1 - p) * np.log(1 - q))]
    assert best == pytest.approx(np.log(p / (1 - p)) + np.log(w1 / w0), abs=1e-3)


def test_weights_of_the_labels_sum_to_n() -> None:
    labels = np.array([0, 0, 3, 0, 3, 1])
    weights = nn.balanced_class_weights(labels, num_classes=5)
    assert weights[labels].sum() == pytest.approx(len(labels))
    totals = np.bincount(labels, weights=weights[labels])
    assert np.ptp(totals[totals > 0]) < 1e-12


def test_numbers_of_the_failure_section() -> None:
    for k, shown in [(3, 0.55), (10, 1.46)]:
        assert np.log(np.e + k - 1) - 1 == pytest.approx(shown, abs=0.005)
    t = np.array([1.0, 2.0, 6.0])
    pred = np.linspace(-2, 8, 1001)
    # Broadcast, each output meets every target: the best is the mean, the loss the variance.
    cost = ((pred[:, np.newaxis] - t) ** 2).mean(axis=1)
    assert pred[cost.argmin()] == pytest.approx(t.mean())
    assert cost.min() == pytest.approx(t.var())


def test_answers_of_the_questions_are_what_the_code_does() -> None:
    torch = pytest.importorskip("torch")
    t = np.array([1.0, 2, 3, 4, 90])
    grid = np.linspace(0, 100, 10_001)
    best = grid[np.argmin([nn.mae(np.full(5, c), t)[0] for c in grid])]
    assert grade("best_constant", best).passed
    first = nn.softmax_cross_entropy(np.zeros((7, 10)), np.arange(7))[0]
    assert grade("untrained_loss", first).passed
    assert grade("untrained_loss", 2.303).passed
    assert not grade("untrained_loss", 2.2).passed
    floor = torch.nn.functional.cross_entropy(torch.eye(3), torch.arange(3)).item()
    assert floor == pytest.approx(np.log(np.e + 2) - 1, rel=1e-6)
    logit = torch.zeros((), requires_grad=True)
    targets = (torch.arange(10) == 0).float()
    loss = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(9.0))
    for _ in range(300):
        (slope,) = torch.autograd.grad(loss(logit.expand(10), targets), logit)
        logit = (logit - slope).detach().requires_grad_()
    assert grade("pos_weight_shift", torch.sigmoid(logit).item(), track="torch").passed


def test_references_of_the_pytorch_exercises_refuse_bad_input() -> None:
    torch = pytest.importorskip("torch")
    from nnlib import torch_track as tt
    from nnlib.errors import DtypeError, ShapeError

    with pytest.raises(ValueError, match="task_loss: task must be"):
        tt.task_loss("ranking", torch.zeros(2, 1), torch.zeros(2))
    with pytest.raises(ShapeError, match=r"task_loss: target must have shape \(3,\)"):
        tt.task_loss("binary", torch.zeros(3, 1), torch.zeros(3, 1))
    with pytest.raises(ValueError, match="counts must be at least 1, got 0"):
        tt.BalancedCrossEntropy(torch.tensor([3, 0]))
    with pytest.raises(ShapeError, match=r"labels must have shape \(2, 3\)"):
        tt.masked_cross_entropy(torch.zeros(2, 3, 4), torch.zeros(2, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="binary_focal_loss: gamma must be"):
        tt.binary_focal_loss(torch.zeros(2), torch.zeros(2), gamma=-1.0)
    with pytest.raises(DtypeError, match="loss_by_class: labels must hold integers"):
        tt.loss_by_class(torch.zeros(2, 3), torch.zeros(2))


@pytest.mark.parametrize("track", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["log_sum_exp", "balanced_class_weights"])
def test_parts_of_losses_keep_their_whole_table(name: str, track: str) -> None:
    """Errors too: they bind the library, not the assignment."""
    from nnlib.checks.run import draw_cases, run_cases
    from nnlib.checks.tracks import reference
    from nnlib.contract import find

    cases = draw_cases(find(name))
    assert any(case.raises for case in cases)
    results = run_cases(find(name), getattr(reference(track), name), cases, track=track)
    assert {r.case.name: r.differences for r in results if r.differences or r.dtype} == {}


def test_log_sum_exp_of_nothing_possible() -> None:
    x = np.array([[-np.inf, -np.inf], [-np.inf, 1.0], [np.inf, 0.0]])
    assert nn.log_sum_exp(x).tolist() == [-np.inf, 1.0, np.inf]


def test_a_loss_without_a_graph_is_refused() -> None:
    pytest.importorskip("torch")

    def detached(logits, targets, *, gamma=2.0):  # type: ignore[no-untyped-def]
        from nnlib.torch_track import binary_focal_loss

        return binary_focal_loss(logits.detach(), targets, gamma=gamma)

    report = grade("binary_focal_loss", detached, track="torch")
    assert report.points_fraction == 0.0
    assert "no graph" in report.hint
