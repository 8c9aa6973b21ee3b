"""Chapter 9 and the page "My network does not learn": what they claim and no cell checks."""

import json
import math
import re
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pytest

import nnlib.numpy_track as nn
from nnlib.checks import grade
from nnlib.contract import operations, questions
from nnlib.contract.caches_train import PlateauState
from nnlib.errors import DtypeError
from nnlib.mistakes import for_exercise

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "09-schedules.md").read_text(encoding="utf-8")
HELP = (ROOT / "book" / "my-network-does-not-learn.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "solutions" / "09-schedules").glob("*.md"))
STATIC = ROOT / "book" / "_static"
LABELS = ("step", "recursion", "ball", "floor", "stair", "exponential", "cosine", "warm-up",
          "smoothing", "clip", "scaling")
EXERCISES = {
    "numpy": ("noise_ball", "step_decay", "warmup_cosine", "plateau_rates", "clip_grad_norm",
              "range_test_rates", "pick_learning_rate"),
    "torch": ("train_with_schedule", "clipped_step", "train_body_and_head",
              "learning_rate_range_test", "ResumableRun"),
}


def every_hint() -> list[str]:
    hints = [hint for q in questions(chapter="09-schedules") for hint in q.why.values()]
    for track, names in EXERCISES.items():
        hints += [mistake.hint for name in names for mistake in for_exercise(name, track)]
    return hints


# ---------------------------------------------------------------- the page holds together


def test_equations_are_numbered_as_code_and_hints_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-09-([\w-]+)", PAGE)) == LABELS
    texts = [PAGE, *every_hint(), *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    cited = {int(k) for text in texts for k in re.findall(r"\(9\.(\d+)\)", text)}
    assert cited
    assert max(cited) <= len(LABELS)
    number = {name: k for k, name in enumerate(LABELS, start=1)}
    (hint,) = [h for h in every_hint() if "Which quotient does equation" in h]
    assert f"(9.{number['scaling']})" in hint
    tasks = {path.stem: path.read_text(encoding="utf-8").split("\n## ") for path in NOTEBOOKS}
    for task, names in [("1. How far", ["recursion", "ball"]), ("2. A stair", ["stair"]),
                        ("3. Warm-up", ["cosine", "warm-up"]), ("5. A step", ["clip"]),
                        ("7. Pick", ["smoothing"])]:
        (text,) = [t for t in tasks["schedules_numpy"] if t.startswith(task)]
        assert re.findall(r"\(9\.(\d+)\)", text) == [str(number[name]) for name in names], task


def test_sections_that_notebooks_name_exist() -> None:
    headings = set(re.findall(r"^#{2,3} (.+)$", PAGE, flags=re.MULTILINE))
    headings |= {name.strip(".") for name in re.findall(r"^\*\*([^*]+)\*\*", PAGE, re.MULTILINE)}
    texts = [*every_hint(), *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    named = {name for text in texts for name in re.findall(r'[Ss]ection "([^"]+)"', text)}
    assert len(named) > 5
    assert named <= headings, named - headings


def test_every_anchor_is_a_label_of_the_page() -> None:
    labels = set(re.findall(r"^\(([\w-]+)\)=$", PAGE, flags=re.MULTILINE))
    wanted = {entry.anchor for entry in operations(chapter="09-schedules")}
    wanted |= {entry.anchor for entry in questions(chapter="09-schedules")}
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
    assert len(re.findall(r"[A-Za-z]{2,}", prose)) <= 3600  # markup included; 3,000 words of text


def test_enough_mistakes_and_alternatives_for_each_function() -> None:
    source = (ROOT / "solutions" / "09-schedules" / "alternatives.py").read_text(encoding="utf-8")
    for track, names in EXERCISES.items():
        for name in names:
            assert len(for_exercise(name, track)) >= 4, name
            mark = f"{name}__torch__" if track == "torch" else f"{name}__"
            assert len(re.findall(rf"^(?:def|class) {mark}", source, flags=re.MULTILINE)) >= 2, name


# ---------------------------------------------------------------- what the text says


def test_table_of_the_first_section() -> None:
    w, path = 0.0, []
    for t in (1, -1, -1, 1):
        w -= 0.5 * (w - t)
        path.append(w)
    assert path == [1 / 2, -1 / 4, -5 / 8, 3 / 16]
    assert r"0 \to \frac12 \to -\frac14 \to -\frac58 \to \frac3{16}" in PAGE


def test_recursion_ends_at_the_noise_ball() -> None:
    for rate, curvature, std, m in [(0.1, 1.0, 1.0, 1), (0.7, 2.5, 0.3, 4), (1.0, 1.9, 2.0, 8)]:
        v = 5.0
        for _ in range(2000):
            v = (1 - rate * curvature) ** 2 * v + rate**2 * std**2 / m  # equation (9.2)
        ball = nn.noise_ball(rate, curvature=curvature, noise_std=std, batch_size=m)
        assert v == pytest.approx(ball)
        # Keeping the quotient of rate and batch size keeps the ball, while the rate is small.
        small = nn.noise_ball(1e-4, curvature=curvature, noise_std=std, batch_size=m)
        large = nn.noise_ball(4e-4, curvature=curvature, noise_std=std, batch_size=4 * m)
        assert small == pytest.approx(large, rel=2e-3)
    assert nn.noise_ball(2.0, curvature=1.0, noise_std=1.0) == math.inf
    # "shrinks by a factor e in about 1 / (2 eta lambda) updates"
    left = (1 - 0.01) ** (2 / (2 * 0.01))
    assert left == pytest.approx(math.exp(-1), rel=0.02)


def test_floor_is_the_sum_over_directions() -> None:
    rng = np.random.default_rng(0)
    curvatures, variances = rng.uniform(0.1, 3, size=9), rng.uniform(0.1, 2, size=9)
    eta, m = 1e-3, 8
    exact = sum(lam / 2 * nn.noise_ball(eta, curvature=lam, noise_std=math.sqrt(s2), batch_size=m)
                for lam, s2 in zip(curvatures, variances, strict=True))
    assert exact == pytest.approx(eta / (4 * m) * variances.sum(), rel=3e-3)  # equation (9.4)


def test_exponential_reaches_the_share_that_the_text_promises() -> None:
    gamma = 0.01 ** (1 / 300)
    assert nn.exponential_decay(300, learning_rate=0.5, gamma=gamma) == pytest.approx(0.005)
    stairs = [nn.step_decay(k, learning_rate=0.5, step_size=1, gamma=gamma) for k in range(9)]
    smooth = [nn.exponential_decay(k, learning_rate=0.5, gamma=gamma) for k in range(9)]
    np.testing.assert_allclose(stairs, smooth)  # "a stair with steps of one"


def test_plateau_rates_are_those_of_pytorch_and_of_the_state_machine() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for patience in (0, 1, 3):
        losses = (np.exp(-np.arange(60) / 15) + 0.1 * rng.normal(size=60)).tolist()
        ours = nn.plateau_rates(losses, learning_rate=0.4, factor=0.5, patience=patience)
        sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            sgd, factor=0.5, patience=patience, threshold=0, eps=0)
        state, theirs, third = PlateauState(0.4), [], []
        for loss in losses:
            scheduler.step(loss)
            theirs.append(sgd.param_groups[0]["lr"])
            state = nn.reduce_on_plateau(loss, state, factor=0.5, patience=patience, threshold=0.0,
                                         eps=0.0)
            third.append(state.learning_rate)
        assert ours == theirs == third
        assert len(set(ours)) > 2


def test_adam_moves_every_weight_by_the_rate_in_its_first_update() -> None:
    grads = {"w": np.array([1e-6, -3.0, 500.0])}
    params = {"w": np.zeros(3)}
    new, _ = nn.adam_update(params, grads, nn.adam_init(params), learning_rate=0.1)
    np.testing.assert_allclose(new["w"], [-0.1, 0.1, -0.1], rtol=0.02)


def test_smoothing_weights_add_up() -> None:
    beta, j = 0.9, 7
    assert sum((1 - beta) * beta**k for k in range(j)) == pytest.approx(1 - beta**j)
    # A constant loss stays what it is, so the first rate is as good as any.
    assert nn.pick_learning_rate([0.1, 0.2, 0.4], [2.0, 2.0, 2.0]) == pytest.approx(0.01)


def test_gradients_of_the_chain() -> None:
    def gradient(w: float) -> float:
        return (w**12 - 0.5) * 12 * w**11

    assert gradient(1.0) == 6
    assert round(gradient(1.5), -3) == 134_000
    numeric = nn.numerical_vjp(lambda w: 0.5 * (w**12 - 0.5) ** 2, np.array(1.1), 1.0)
    assert numeric == pytest.approx(gradient(1.1), rel=1e-6)


def test_clipping_is_the_nearest_point_of_the_ball() -> None:
    rng = np.random.default_rng(0)
    g = {"w": rng.normal(size=(3, 2)), "b": 0.1 * rng.normal(size=2)}
    clipped, norm = nn.clip_grad_norm(g, max_norm=0.7)
    whole = np.concatenate([v.ravel() for v in g.values()])
    near = np.concatenate([v.ravel() for v in clipped.values()])
    assert norm == pytest.approx(np.linalg.norm(whole))
    assert np.linalg.norm(near) == pytest.approx(0.7, rel=1e-5)
    for _ in range(500):
        u = rng.normal(size=8)
        u *= 0.7 * rng.uniform() / np.linalg.norm(u)
        assert np.linalg.norm(whole - u) >= np.linalg.norm(whole - near) - 1e-5
    assert nn.clip_grad_norm({"w": np.array([3.0]), "b": np.array([4.0])}, max_norm=2.5)[0][
        "w"] == pytest.approx(1.5, rel=1e-5)  # the self-test


def test_answers_of_the_questions_are_what_the_code_does() -> None:
    torch = pytest.importorskip("torch")
    assert grade("linear_scaling", 0.1 * 256 / 32).passed
    rate = nn.cosine(49, learning_rate=0.1, total_steps=5000)
    assert 0.0999 < rate < 0.1
    assert grade("epoch_for_step", "c").passed

    w = torch.ones(1, requires_grad=True)
    w.sum().backward()
    sgd = torch.optim.SGD([w], lr=0.8)
    scheduler = torch.optim.lr_scheduler.LambdaLR(sgd, lambda step: 0.5**step)
    with pytest.warns(UserWarning, match="lr_scheduler.step"):
        scheduler.step()
    assert grade("scheduler_first", sgd.param_groups[0]["lr"], track="torch").passed

    a, b = torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)
    (30 * a.sum() + 2 * b.sum()).backward()
    before = torch.nn.utils.clip_grad_norm_([a, b], max_norm=1.0)
    assert before > 30
    after = torch.nn.utils.get_total_norm([a.grad, b.grad]).item()
    assert grade("norm_after_clipping", after, track="torch").passed

    for total, works in [(1200, True), (1199, False)]:
        sgd = torch.optim.SGD([w], lr=0.1, momentum=0.9)
        sgd.step()
        scheduler = torch.optim.lr_scheduler.OneCycleLR(sgd, max_lr=1.0, total_steps=total)
        calls = 0
        try:
            for _ in range(10 * 120):
                sgd.step()
                scheduler.step()
                calls += 1
        except ValueError:
            pass
        assert (calls == 1200) is works
    assert grade("one_cycle_steps", 1200, track="torch").passed


def test_references_refuse_bad_input() -> None:
    with pytest.raises(ValueError, match="noise_ball: curvature must be"):
        nn.noise_ball(0.1, curvature=0.0, noise_std=1.0)
    with pytest.raises(DtypeError, match="noise_ball: batch_size must be an integer"):
        nn.noise_ball(0.1, curvature=1.0, noise_std=1.0, batch_size=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="range_test_rates: high must be"):
        nn.range_test_rates(1.0, 0.1, steps=5)
    with pytest.raises(ValueError, match="range_test_rates: steps must be"):
        nn.range_test_rates(0.1, 1.0, steps=1)
    with pytest.raises(ValueError, match="equally many, got 2 and 3"):
        nn.pick_learning_rate([0.1, 0.2], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="must begin with a finite number"):
        nn.pick_learning_rate([0.1], [math.nan])
    with pytest.raises(ValueError, match="factor must be"):
        nn.plateau_rates([1.0], learning_rate=0.1, factor=1.0)


def test_references_of_the_pytorch_exercises_refuse_bad_input() -> None:
    torch = pytest.importorskip("torch")
    from nnlib import torch_track as tt

    model, loss = torch.nn.Linear(2, 1), torch.nn.MSELoss()
    batch = (torch.ones(3, 2), torch.ones(3, 1))
    with pytest.raises(ValueError, match="train_with_schedule: learning_rate must be"):
        tt.train_with_schedule(model, [batch], loss, lambda k: 1.0, learning_rate=0.0, epochs=1)
    with pytest.raises(ValueError, match="clipped_step: max_norm must be"):
        tt.clipped_step(model, *batch, loss, learning_rate=0.1, max_norm=0.0)
    with pytest.raises(ValueError, match="the number of batches must be"):
        tt.learning_rate_range_test(model, [batch], loss, low=0.1, high=1.0)
    with pytest.raises(ValueError, match="total_steps must be"):
        tt.ResumableRun(torch.ones(1, 1), learning_rate=0.1, total_steps=0)


def test_the_drivers_see_a_model_that_is_not_restored_and_a_run_that_forgets() -> None:
    pytest.importorskip("torch")
    from nnlib.checks.diagnose import candidate
    from nnlib.contract import find

    for name, wrong, row in [
        ("learning_rate_range_test", "buffers_not_restored", "values state"),
        ("ResumableRun", "SchedulerForgotten", "values rates"),
        ("ResumableRun", "WeightsForgotten", "values losses_after"),
    ]:
        (mistake,) = [m for m in for_exercise(name, "torch") if m.name == wrong]
        report = grade(name, candidate(mistake, find(name), "torch"), track="torch")  # type: ignore[arg-type]
        (found,) = [r for r in report.rows if r.label == row]
        assert not found.passed
    (early,) = [m for m in for_exercise("step_decay") if m.name == "stair_one_step_early"]
    report = grade("step_decay", early.function)
    assert 0.5 < report.points_fraction < 0.85, "an off-by-one at the boundary must cost something"


def test_nan_in_a_list_of_losses_is_no_change_of_the_argument() -> None:
    report = grade("plateau_rates", nn.plateau_rates)
    assert report.passed, str(report)


# ---------------------------------------------------------------- the knob


def test_the_knob_computes_the_schedules_and_the_exact_mean(browser: Any, tmp_path: Path) -> None:
    script = (STATIC / "knobs" / "schedule.js").as_uri()
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><body><div class='nn-knob' data-knob='schedule'></div>"
                    f"<script src='{script}'></script></body>", encoding="utf-8")
    browser.open(page)
    assert browser.exceptions == []

    def rates(**p: Any) -> np.ndarray:
        return np.array(browser.evaluate(f"nnKnobs.schedule.rates({json.dumps(p)})"))

    k, total = np.arange(600), 600
    np.testing.assert_allclose(
        rates(shape="cosine", peak=0.5, last=0.1, warmup=50),
        [nn.warmup_cosine(int(i), learning_rate=0.5, warmup_steps=50, total_steps=total,
                          min_learning_rate=0.05)
         if i >= 50 else 0.5 * (i + 1) / 51 for i in k], rtol=1e-12)
    np.testing.assert_allclose(
        rates(shape="stair", peak=0.4, last=0.01, warmup=0),
        [nn.step_decay(int(i), learning_rate=0.4, step_size=200, gamma=0.1) for i in k])
    np.testing.assert_allclose(
        rates(shape="exponential", peak=0.4, last=0.01, warmup=0),
        [nn.exponential_decay(int(i), learning_rate=0.4, gamma=0.01 ** (1 / 600)) for i in k])
    constant = {"shape": "constant", "peak": 0.5, "last": 1, "warmup": 0}
    losses = browser.evaluate(
        f"nnKnobs.schedule.expected(nnKnobs.schedule.rates({json.dumps(constant)}))")
    std = math.sqrt(browser.evaluate("nnKnobs.schedule.noise"))
    floor = sum(c / 2 * nn.noise_ball(0.5, curvature=c, noise_std=std)
                for c in browser.evaluate("nnKnobs.schedule.curvatures"))
    assert losses[0] == pytest.approx(20)
    assert losses[-1] == pytest.approx(floor, rel=1e-6)
    # The dilemma that the page opens with: neither a low nor a high constant rate ends lowest.
    ends = {}
    for shape in ("constant", "cosine"):
        for peak in (0.02, 0.1, 0.3, 0.5, 1.0):
            p = json.dumps({"shape": shape, "peak": peak, "last": 0.01, "warmup": 0})
            ends[shape, peak] = browser.evaluate(
                f"nnKnobs.schedule.expected(nnKnobs.schedule.rates({p}))")[-1]
    best = min(value for (shape, _), value in ends.items() if shape == "constant")
    assert best == ends["constant", 0.3]
    assert ends["cosine", 0.5] < best / 3
    browser.evaluate("nnKnobs.schedule.mount(document.querySelector('.nn-knob'))")
    text = browser.evaluate(
        "document.querySelectorAll('.nn-knob button')[3].click(), "
        "document.querySelector('.nn-knob-status').textContent")
    assert "0.0013" in text
    assert browser.exceptions == []


# ---------------------------------------------------------------- "My network does not learn"

LEAF = re.compile(r"<details><summary>([^<]+)</summary>(.*?)</details>", re.DOTALL)


def leaves() -> list[tuple[str, str]]:
    """Return summary and body of every innermost <details> of the tree."""
    tree = HELP[HELP.index('<div class="nn-tree">') : HELP.index("</div>")]
    return LEAF.findall(tree)


def test_every_leaf_says_how_to_see_the_cause_the_cure_and_where() -> None:
    found = leaves()
    assert len(found) >= 30
    for symptom, body in found:
        for word in ("**See it.**", "```python", "**What it tells.**", "**Cure.**", "**More:**"):
            assert word in body, (symptom, word)
        assert re.search(r"\{ref\}`[^`<]+<[\w-]+>`", body), symptom
        # The list for print and search holds the same leaves.
        row = [line for line in HELP.splitlines() if line.startswith(f"| {symptom} |")]
        assert len(row) == 1, symptom
        assert re.findall(r"<([\w-]+)>`", row[0]) == re.findall(r"<([\w-]+)>`", body)
    assert HELP.count("<details") == HELP.count("</details>") == len(found) + 9


def test_every_link_of_the_tree_is_a_section_of_a_chapter() -> None:
    labels: dict[str, str] = {}
    for path in sorted((ROOT / "book").glob("[0-9][0-9]-*.md")):
        for label in re.findall(r"^\(([\w-]+)\)=$", path.read_text(encoding="utf-8"), re.MULTILINE):
            labels[label] = path.stem[:2]
    used = set(re.findall(r"\{ref\}`[^<`]*<([\w-]+)>`", HELP))
    assert used <= set(labels), used - set(labels)
    # Every chapter from 00 to 12 has a say in what goes wrong.
    assert {labels[label] for label in used} == {f"{k:02}" for k in range(13)}


def test_every_line_of_code_in_the_tree_runs() -> None:
    notebook = jupytext.reads(HELP, fmt="md:myst")
    names: dict[str, Any] = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, "page", "exec"), names)
    model = __import__("nnlib.numpy_track.model", fromlist=["mlp"]).mlp(
        np.random.default_rng(0), (64, 128, 10))
    names["history"] = nn.fit(
        model, names["x"], names["y"], loss=nn.softmax_cross_entropy, epochs=1,
        rng=np.random.default_rng(0), validation=(names["valid"].x, names["valid"].y))
    params, cache, d = names["params"], names["cache"], names["dscores"]
    grads = nn.mlp_backward(d, cache)
    names |= {
        "predict": lambda rows: nn.mlp_forward(rows, params)[0],
        "grads": {f"{k}": g.dw for k, g in enumerate(grads)},
        "after": [(w - 0.1 * g.dw, b - 0.1 * g.db)
                  for (w, b), g in zip(params, grads, strict=True)],
        "run_with": lambda rate: [2.3 - rate * k for k in range(10)],
        "learning_rate": 0.1, "predictions": np.zeros((3, 1)), "targets": np.zeros((3, 1)),
    }
    for symptom, body in leaves():
        (code,) = re.findall(r"```python\n(.*?)```", body, re.DOTALL)
        try:
            exec(compile(code, "leaf", "exec"), names)
        except Exception as error:
            pytest.fail(f"{symptom}: {code!r} raises {error!r}")
