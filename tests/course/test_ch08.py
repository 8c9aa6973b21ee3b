"""Chapter 8: what the page claims and no cell of it checks."""

import json
import re
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pytest

import nnlib.numpy_track as nn
from nnlib.checks import grade
from nnlib.checks.run import draw_cases, graded_cases
from nnlib.contract import find, operations, questions
from nnlib.mistakes import for_exercise

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "08-optimizers.md").read_text(encoding="utf-8")
CELLS = [cell.source for cell in jupytext.reads(PAGE, fmt="md:myst").cells
         if cell.cell_type == "code"]
NOTEBOOKS = sorted((ROOT / "solutions" / "08-optimizers").glob("*.md"))
STATIC = ROOT / "book" / "_static"
LABELS = ("descent", "quadratic", "factor", "limit", "best", "floor", "momentum", "filter",
          "effective", "best-momentum", "nesterov", "adagrad", "rmsprop", "adam-means", "bias",
          "adam", "adamw", "saddle")
EXERCISES = {
    "numpy": ("sgd_update", "momentum_update", "adagrad_update", "rmsprop_update", "adam_update",
              "adamw_update"),
    "torch": ("Momentum", "Adam", "AdamW", "parameter_groups", "descent_path"),
}
KNOB = {"sgd": "sgd", "momentum": "momentum", "nesterov": "momentum", "adagrad": "adagrad",
        "rmsprop": "rmsprop", "adam": "adam"}


def every_hint() -> list[str]:
    hints = [hint for q in questions(chapter="08-optimizers") for hint in q.why.values()]
    for track, names in EXERCISES.items():
        hints += [mistake.hint for name in names for mistake in for_exercise(name, track)]
    return hints


# ---------------------------------------------------------------- the page holds together


def test_equations_are_numbered_as_code_and_notebooks_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-08-([\w-]+)", PAGE)) == LABELS
    texts = [PAGE, *every_hint(), *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    cited = {int(k) for text in texts for k in re.findall(r"\(8\.(\d+)\)", text)}
    assert cited
    assert max(cited) <= len(LABELS)
    assert not [text for text in texts[1:] if "eq-08-" in text]
    number = {name: k for k, name in enumerate(LABELS, start=1)}
    tasks = NOTEBOOKS[0].read_text(encoding="utf-8").split("\n## ")
    for task, names in [("1. Gradient", ["descent"]), ("2. Mom", ["momentum", "nesterov"]),
                        ("3. AdaGrad", ["adagrad"]), ("4. RMSProp", ["rmsprop"]),
                        ("5. Adam", ["adam-means", "adam"]), ("6. AdamW", ["adamw"])]:
        (text,) = [t for t in tasks if t.startswith(task)]
        assert re.findall(r"\(8\.(\d+)\)", text) == [str(number[name]) for name in names], task
    for words, name in [("w - rate * curvature * w for", "descent"), ("2 / curvature[-1]", "limit"),
                        ("rate / (2 - rate)", "floor"), ("v = beta * v + curv", "momentum"),
                        ("2 / (1 + kappa), 0.0", "best"), ("if momentum:", "best-momentum"),
                        ("theta - rate * beta * v, rtol", "nesterov"),
                        ("(1 - beta) * row", "adam-means")]:
        assert any(words in line and f"(8.{number[name]})" in line
                   for line in PAGE.splitlines()), words


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
    wanted = {entry.anchor for entry in operations(chapter="08-optimizers")}
    wanted |= {entry.anchor for entry in questions(chapter="08-optimizers")}
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


# ---------------------------------------------------------------- formulas


def radius(rate: float, beta: float, curvature: float, *, nesterov: bool = False) -> float:
    """Largest factor per step of one direction: eigenvalues of what a step does to (w, v)."""
    def step(w: float, v: float) -> list[float]:
        params, state = nn.momentum_update(
            {"w": np.array(w)}, {"w": np.array(curvature * w)},
            {"step": 1, "velocity": {"w": np.array(v)}}, learning_rate=rate, momentum=beta,
            nesterov=nesterov)
        return [float(params["w"]), float(state["velocity"]["w"])]

    matrix = np.array([step(1.0, 0.0), step(0.0, 1.0)]).T
    return float(abs(np.linalg.eigvals(matrix)).max())


@pytest.mark.parametrize(("beta", "nesterov", "limit"), [
    (0.0, False, 2.0), (0.9, False, 2 * 1.9), (0.9, True, 3.8 / 2.8), (0.5, True, 3 / 2)])
def test_limits_of_the_learning_rate(beta: float, nesterov: bool, limit: float) -> None:
    for curvature in (1.0, 25.0):
        assert radius(0.999 * limit / curvature, beta, curvature, nesterov=nesterov) < 1
        assert radius(1.001 * limit / curvature, beta, curvature, nesterov=nesterov) > 1


@pytest.mark.parametrize("kappa", [10.0, 400.0])
def test_best_rate_and_best_momentum(kappa: float) -> None:
    best = 2 / (1 + kappa)
    factor = max(abs(1 - best), abs(1 - best * kappa))
    assert factor == pytest.approx((kappa - 1) / (kappa + 1))
    for rate in (0.97 * best, 1.03 * best):
        assert max(abs(1 - rate), abs(1 - rate * kappa)) > factor
    root = (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)
    rate, beta = 4 / (1 + np.sqrt(kappa)) ** 2, root**2

    def slowest(rate: float, beta: float) -> float:
        return max(radius(rate, beta, c) for c in np.geomspace(1, kappa, 9))

    found = slowest(rate, beta)
    assert found == pytest.approx(root, rel=1e-5)
    for other in ((0.97 * rate, beta), (1.03 * rate, beta), (rate, beta - 0.02),
                  (rate, beta + 0.02 * (1 - beta))):
        assert slowest(*other) > found


def test_effective_step() -> None:
    params = {"w": np.zeros(2)}
    state = nn.momentum_init(params)
    for t in range(400):
        before = params
        params, state = nn.momentum_update(params, {"w": np.array([1.0, (-1.0) ** t])}, state,
                                           learning_rate=0.1)
    lengths = abs(params["w"] - before["w"])
    np.testing.assert_allclose(lengths, [0.1 / (1 - 0.9), 0.1 / (1 + 0.9)])  # equation (8.9)


def test_steps_under_a_constant_gradient() -> None:
    t = np.arange(1, 101)
    moved: dict[str, Any] = {}
    for name in ("adagrad", "rmsprop", "adam"):
        init, update = nn.get_optimizer(name)
        params, places = {"w": np.zeros(1)}, [0.0]
        state = init(params)
        for _ in t:
            params, state = update(params, {"w": np.full(1, 7.0)}, state, learning_rate=0.1)
            places.append(float(params["w"][0]))
        moved[name] = abs(np.diff(places))
    np.testing.assert_allclose(moved["adagrad"], 0.1 / np.sqrt(t), rtol=1e-7)
    np.testing.assert_allclose(moved["rmsprop"], 0.1 / np.sqrt(1 - 0.99**t), rtol=1e-7)
    np.testing.assert_allclose(moved["adam"], 0.1, rtol=1e-7)


def test_length_of_steps_without_bias_correction() -> None:
    t = np.arange(1, 100_000)
    length = (1 - 0.9**t) / np.sqrt(1 - 0.999**t)
    assert length[0] == pytest.approx(0.1 / np.sqrt(0.001)) == pytest.approx(3.2, abs=0.05)
    assert t[length.argmax()] == 12
    assert length.max() == pytest.approx(6.6, abs=0.05)
    assert length[-1] == pytest.approx(1)
    assert "step 12 is 6.6 times too long" in PAGE


def test_curvature_of_the_valley() -> None:
    hessian = np.array([[41.0, -20.0], [-20.0, 10.0]])  # of (1-x)^2/2 + 5(y-x^2)^2 at (1, 1)
    assert 2 / np.linalg.eigvalsh(hessian)[-1] == pytest.approx(0.04, abs=0.001)


def test_number_of_parameters() -> None:
    layers = nn.init_params(np.random.default_rng(0), (64, 32, 10))
    assert f"{nn.count_parameters(layers):,} parameters" in PAGE


# ---------------------------------------------------------------- experiments


@pytest.fixture(scope="module")
def cells() -> dict[str, Any]:
    """What the page's own cells define: rules, training, valley."""
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    pytest.importorskip("torch")
    names: dict[str, Any] = {}
    for cell in CELLS:
        if any(word in cell for word in ("RULES = {name", "def loss_and_grads", "def train(")):
            kept = [line for line in cell.splitlines() if "viz.use_style" not in line]
            exec("\n".join(kept), names)
    return names


def test_claims_about_the_sweep(cells: dict[str, Any]) -> None:
    """The three answers below the table, from seeds that the page does not use."""
    rates = (1, 0.3, 0.1, 0.03, 0.01, 0.003)
    seeds = range(100, 105)
    loss, right = {}, {}
    with np.errstate(all="ignore"):
        for rule in cells["RULES"]:
            runs = np.array([[cells["train"](rule, rate, seed)[:2] for seed in seeds]
                             for rate in rates])
            loss[rule], right[rule] = runs[:, :, 0].mean(axis=1), runs[:, :, 1].mean(axis=1)
    # 1. Momentum at a rate is SGD at ten times the rate, where both are small.
    ratios = loss["momentum"][4:] / loss["SGD"][2:4]
    assert abs(ratios - 1).max() < 0.1
    assert abs(loss["momentum"][4] / loss["SGD"][4] - 1) > 0.5
    # 2. No rule is good at most of the rates. A step of the grid is a factor of 3.
    good = [(values >= 0.9).sum() for values in right.values()]
    assert min(good) >= 2
    assert max(good) <= 4
    # 3. Each at its best they are close, at one rate they are not.
    best = {rule: values.max() for rule, values in right.items()}
    assert "with other seeds SGD falls further behind" in PAGE
    assert sorted(best.values())[1] - best.pop("SGD") > 0.02
    assert max(best.values()) - min(best.values()) < 0.025
    assert min(best.values()) > 0.93
    common = [values[4] for values in right.values()]
    assert max(common) - min(common) > 0.3
    # The valleys lie elsewhere: SGD furthest right, RMSProp and Adam furthest left.
    place = {rule: rates[int(values.argmin())] for rule, values in loss.items()}
    assert place["SGD"] == max(place.values())
    assert max(place["RMSProp"], place["Adam"], place["AdamW"]) < place["momentum"]


def test_the_scale_of_the_loss_does_not_move_adam(cells: dict[str, Any]) -> None:
    train = cells["train"]
    with np.errstate(all="ignore"):
        sgd = [train("SGD", 0.3, 100, factor)[1] for factor in (0.01, 1, 100)]
        adam = [train("Adam", 0.01, 100, factor)[1] for factor in (0.01, 1, 100)]
    assert sgd[1] > 0.9
    assert max(sgd[0], sgd[2]) < 0.5
    assert max(adam) - min(adam) < 0.02
    assert min(adam) > 0.9


# ---------------------------------------------------------------- the knob


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_the_knob_computes_what_nnlib_computes(browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    script = (STATIC / "knobs" / "optimizer.js").as_uri()
    page.write_text(f"<!doctype html><body><div class='nn-knob' data-knob='optimizer'></div>"
                    f"<script src='{script}'></script></body>", encoding="utf-8")
    browser.open(page)
    assert browser.exceptions == []
    rng = np.random.default_rng(0)
    for landscape in browser.evaluate("Object.keys(nnKnobs.optimizer.landscapes)"):
        place = f"nnKnobs.optimizer.landscapes['{landscape}']"
        for point in rng.uniform(-1, 1, size=(4, 2)):  # the gradients are those of the losses
            steps = [point + 1e-6 * s * e for e in np.eye(2) for s in (1, -1)]
            up_x, down_x, up_y, down_y = (
                browser.evaluate(f"{place}.loss(...{p.tolist()})") for p in steps)
            slope = [(up_x - down_x) / 2e-6, (up_y - down_y) / 2e-6]
            np.testing.assert_allclose(
                browser.evaluate(f"{place}.gradient(...{point.tolist()})"), slope, atol=1e-6)
        for best in browser.evaluate(f"{place}.best"):
            slope = browser.evaluate(f"{place}.gradient(...{json.dumps(best)})")
            np.testing.assert_allclose(slope, 0, atol=1e-3)
        for rule, name in KNOB.items():
            options = {"nesterov": True} if rule == "nesterov" else {}
            init, update = nn.get_optimizer(name, **options)
            params = {"w": np.array([-1.1, 0.4])}
            state, expected = init(params), [params["w"]]
            call = f"nnKnobs.optimizer.path('{landscape}', '{rule}', [-1.1, 0.4], 0.01, 25)"
            for point in (found := browser.evaluate(call))[:-1]:
                grads = {"w": np.array(browser.evaluate(f"{place}.gradient(...{point})"))}
                params, state = update(params, grads, state, learning_rate=0.01)
                expected.append(params["w"])
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_the_knob_shows_what_the_text_says(browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><body><div class='nn-knob' data-knob='optimizer'></div>"
                    f"<script src='{(STATIC / 'course.js').as_uri()}'></script></body>",
                    encoding="utf-8")
    browser.open(page)
    losses = "JSON.parse(document.querySelector('.nn-knob').dataset.losses)"
    found = browser.evaluate(losses)
    assert "Nesterov diverges at 0.07" in PAGE
    assert found["nesterov"] is None
    assert found["momentum"] < 0.1
    press = "Array.from(document.querySelectorAll('button')).find((b) => b.textContent === '{}')"
    browser.evaluate(press.format("two basins") + ".click()")
    found = browser.evaluate(losses)
    assert "only one of the six leaves the shallow basin" in PAGE
    assert [rule for rule, loss in found.items() if loss < 0] == ["momentum"]
    # By keyboard: a higher rate changes every path, and Play runs and stops.
    browser.evaluate("document.querySelector('input[aria-label=\"learning rate\"]').focus()")
    browser.press("ArrowRight")
    assert browser.evaluate(losses)["sgd"] != found["sgd"]
    browser.evaluate("document.querySelector('button.nn-primary').click()")
    assert browser.evaluate("document.querySelector('button.nn-primary').textContent") == "Stop"
    browser.evaluate("document.querySelector('button.nn-primary').click()")
    assert browser.evaluate("document.querySelector('button.nn-primary').textContent") == "Play"


# ---------------------------------------------------------------- exercises


def test_answers_of_the_questions_are_what_the_code_does() -> None:
    torch = pytest.importorskip("torch")

    def converges(rate: float) -> bool:
        w = np.ones(3)
        for _ in range(4000):
            w = np.clip(w - rate * np.array([0.5, 4.0, 20.0]) * w, -1e9, 1e9)
        return bool(abs(w).max() < 1e-3)

    low, high = 0.01, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if converges(middle) else (low, middle)
    assert grade("largest_stable_rate", round(low, 3)).passed
    params = {"w": np.zeros(2)}
    new, _ = nn.adam_update(params, {"w": np.array([1000.0, 0.001])}, nn.adam_init(params),
                            learning_rate=0.01)
    np.testing.assert_allclose(abs(new["w"]), 0.01, rtol=1e-4)
    assert grade("first_adam_step", "b").passed
    w = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.AdamW([w], lr=0.01, weight_decay=0.1)
    for _ in range(100):
        w.grad = torch.zeros(1)
        optimizer.step()
    assert grade("decay_without_gradient", w.item(), track="torch").passed
    assert grade("decay_without_gradient", round(w.item(), 3), track="torch").passed

    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    optimizer = torch.optim.Adam(model.parameters())
    model[1] = torch.nn.Linear(2, 3)
    before = [p.detach().clone() for p in model.parameters()]
    model(torch.ones(1, 2)).square().sum().backward()
    optimizer.step()
    moved = [not torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True)]
    assert moved == [True, True, False, False]
    assert grade("replaced_layer", "c", track="torch").passed


def test_the_optimizers_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")

    class Heavy(torch.optim.SGD):
        def __init__(self, params, lr=1e-3, *, momentum=0.9, nesterov=False):  # type: ignore[no-untyped-def]
            super().__init__(params, lr=lr, momentum=momentum, nesterov=nesterov)

    for name, theirs in [("Momentum", Heavy), ("Adam", torch.optim.Adam),
                         ("AdamW", torch.optim.AdamW)]:
        assert grade(name, theirs, track="torch").passed, name
    assert not grade("Adam", torch.optim.AdamW, track="torch").passed
    assert not grade("AdamW", torch.optim.Adam, track="torch").passed


def test_options_that_no_assignment_names_bind_the_library_alone() -> None:
    for name in ("momentum_update", "adagrad_update", "rmsprop_update", "adam_update"):
        every, graded = draw_cases(find(name)), graded_cases(find(name))
        assert any(case.library for case in every)
        text = NOTEBOOKS[0].read_text(encoding="utf-8")
        signature = re.search(rf"def {name}\((.*?)\):", text, re.DOTALL).group(1)
        named = set(re.findall(r"(\w+)=", signature))
        used = {option for case in graded for option in case.options}
        assert used == named, name


def test_references_of_the_pytorch_exercises_refuse_bad_input() -> None:
    torch = pytest.importorskip("torch")
    from nnlib import torch_track as tt
    from nnlib.errors import DtypeError

    def f(w: Any) -> Any:
        return (w * w).sum()

    with pytest.raises(DtypeError, match="descent_path: start must hold floats"):
        tt.descent_path(f, torch.arange(2), optimizer="SGD", steps=1)
    with pytest.raises(ValueError, match="descent_path: optimizer must be"):
        tt.descent_path(f, torch.ones(2), optimizer="sgd", steps=1)
    with pytest.raises(ValueError, match="descent_path: steps must be"):
        tt.descent_path(f, torch.ones(2), optimizer="SGD", steps=-1)
    with pytest.raises(ValueError, match="parameter_groups: weight_decay must be"):
        tt.parameter_groups(torch.nn.Linear(2, 1), weight_decay=-0.1)
    with pytest.raises(ValueError, match="Adam: lr must be"):
        tt.Adam([torch.nn.Parameter(torch.ones(1))], lr=0.0)


def test_groups_that_are_no_parameters_are_refused() -> None:
    torch = pytest.importorskip("torch")

    def copies(model, *, weight_decay):  # type: ignore[no-untyped-def]
        from nnlib.torch_track import parameter_groups

        groups = parameter_groups(model, weight_decay=weight_decay)
        return [{**g, "params": [p.detach().clone() for p in g["params"]]} for g in groups]

    report = grade("parameter_groups", copies, track="torch")
    assert report.points_fraction == 0.0
    assert "own parameters" in str(report)
    assert torch.is_grad_enabled()
