"""Chapter 3: what the page claims and no cell of it checks, and what its new functions refuse."""

import re
from itertools import pairwise
from pathlib import Path

import jupytext
import numpy as np
import pytest

import nnlib.numpy_track as nn
from nnlib.checks import grade
from nnlib.contract import operations, questions
from nnlib.errors import DtypeError, ShapeError
from nnlib.mistakes import for_exercise

ROOT = Path(__file__).parents[2]
SLUG = "03-forward-pass"
PAGE = (ROOT / "book" / f"{SLUG}.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "solutions" / SLUG).glob("*.md"))
LABELS = ("linear", "entry", "network", "count", "softmax", "sigmoid", "interpolation", "bound",
          "tent")
EXERCISES = {
    "numpy": ("linear_forward", "mlp_forward", "count_parameters", "predict_proba", "predict",
              "predict_in_batches", "interpolation_params"),
    "torch": ("apply_linear", "numpy_to_state_dict", "DeepNet", "count_trainable",
              "class_probabilities"),
}


def every_hint() -> list[str]:
    hints = [hint for q in questions(chapter=SLUG) for hint in q.why.values()]
    for track, names in EXERCISES.items():
        hints += [mistake.hint for name in names for mistake in for_exercise(name, track)]
    return hints


def test_equations_are_numbered_as_code_and_hints_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-03-([\w-]+)", PAGE)) == LABELS
    texts = [PAGE, *every_hint(), *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    cited = {int(k) for text in texts for k in re.findall(r"\(3\.(\d+)\)", text)}
    assert cited == set(range(1, len(LABELS) + 1))
    assert not [text for text in texts[1:] if "eq-03-" in text]
    spots = {1: "x @ w1 + b1", 2: "y[i, j] = b[j]", 4: "count_parameters", 5: "predict_proba",
             6: "predict_proba(difference)", 7: "points[:, np.newaxis]", 8: "bound =", 9: "fold"}
    for number, words in spots.items():
        assert any(words in line and f"(3.{number})" in line for line in PAGE.splitlines()), words


def test_every_anchor_is_a_label_of_the_page() -> None:
    labels = set(re.findall(r"^\(([\w-]+)\)=$", PAGE, flags=re.MULTILINE))
    wanted = {entry.anchor for entry in operations(chapter=SLUG)}
    wanted |= {entry.anchor for entry in questions(chapter=SLUG)}
    for track, names in EXERCISES.items():
        wanted |= {mistake.anchor for name in names for mistake in for_exercise(name, track)}
    assert wanted <= labels, wanted - labels


def test_sections_that_the_notebooks_name_exist() -> None:
    headings = set(re.findall(r"^#{1,3} (.+)$", PAGE, flags=re.MULTILINE))
    named = {name for path in NOTEBOOKS for name in re.findall(
        r'[Ss]ections? "([^"]+)"', path.read_text(encoding="utf-8"))}
    assert len(named) >= 9
    assert named <= headings, named - headings


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


def test_the_layer_of_loops_is_the_contracts() -> None:
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=2)
    entries = [[sum(x[i, k] * w[k, j] for k in range(4)) + b[j] for j in range(2)]
               for i in range(3)]  # equation (3.2)
    np.testing.assert_allclose(nn.linear_forward(x, w, b)[0], entries, rtol=1e-14)
    assert 16 * 64 * 64 == 65536
    assert "65,536" in PAGE


@pytest.mark.parametrize("sizes", [(784, 128, 10), (20, 50, 3), (4, 3)])
def test_the_count_is_the_formulas(sizes: tuple[int, ...]) -> None:
    params = nn.init_params(np.random.default_rng(0), sizes)
    formula = sum(a * b + b for a, b in pairwise(sizes))  # equation (3.4)
    assert nn.count_parameters(params) == formula
    assert grade("answer_parameter_count", formula).passed is (sizes == (784, 128, 10))
    if sizes == (20, 50, 3):  # the self-test's
        assert f"{formula:,}" == "1,203"
        assert '"1,203", correct: true' in PAGE


def test_twice_the_width_is_four_times_the_parameters() -> None:
    def count(width: int) -> int:
        sizes = (20, *[width] * 5, 10)
        return nn.count_parameters(nn.init_params(np.random.default_rng(0), sizes))

    assert 3.8 < count(600) / count(300) < 4
    assert grade("answer_double_width", "c").passed


def test_each_wrong_count_is_the_slip_that_its_hint_names() -> None:
    (question,) = [q for q in questions(chapter=SLUG) if q.name == "answer_parameter_count"]
    first, last = 784 * 128 + 128, 128 * 10 + 10
    slips = {first + last - 138, first, 138, 784 + 128 + 10, first + last + 784,
             first + last - 10, first + last - 128}
    assert {int(number) for number in question.why} == slips


def test_the_first_grid_of_parameters_says_what_the_text_does() -> None:
    def count(depth: int, width: int) -> int:
        sizes = (64, *[width] * depth, 10)
        return nn.count_parameters(nn.init_params(np.random.default_rng(0), sizes))

    for width in (64, 128, 256):
        for depth in (2, 4):
            assert 1.85 < count(2 * depth, width) / count(depth, width) < 2.6
    for width in (64, 128):
        assert 3.3 < count(8, 2 * width) / count(8, width) < 4
        assert 1.9 < count(1, 2 * width) / count(1, width) < 2.1


def test_softmax_of_two_is_the_sigmoid_and_ignores_a_shift() -> None:
    s = np.linspace(-30, 30, 61)[:, np.newaxis]
    pair = nn.softmax_forward(np.hstack([np.zeros_like(s), s]))[0]
    np.testing.assert_allclose(nn.predict_proba(s), pair, atol=1e-15)  # equation (3.6)
    np.testing.assert_allclose(pair[:, 1], 1 / (1 + np.exp(-s[:, 0])), atol=1e-15)
    logits = np.random.default_rng(0).normal(size=(50, 4))
    np.testing.assert_allclose(nn.predict_proba(logits - 77), nn.predict_proba(logits))
    assert np.array_equal(nn.predict(logits), nn.predict_proba(logits).argmax(axis=1))
    assert np.array_equal(nn.predict(s), (nn.predict_proba(s)[:, 1] >= 0.5))
    assert nn.predict(logits).shape == nn.predict(s[:50]).shape == (50,)


def test_the_built_network_is_numpys_interpolation_and_keeps_the_bound() -> None:
    rng = np.random.default_rng(0)
    knots = np.cumsum(rng.uniform(0.2, 1.0, size=9))
    values = rng.normal(size=9)
    x = np.linspace(knots[0], knots[-1], 401)
    y = nn.mlp_forward(x[:, np.newaxis], nn.interpolation_params(knots, values))[0][:, 0]
    np.testing.assert_allclose(y, np.interp(x, knots, values), atol=1e-12)
    errors = []
    for m in (8, 16, 32, 64):
        t = np.linspace(0, np.pi, m + 1)
        grid = np.linspace(0, np.pi, 4001)
        y = nn.mlp_forward(grid[:, np.newaxis], nn.interpolation_params(t, np.sin(t)))[0][:, 0]
        errors.append(abs(y - np.sin(grid)).max())
        assert errors[-1] <= (np.pi / m) ** 2 / 8 * (1 + 1e-9)  # equation (3.8), |f''| <= 1
    assert all(3.9 < one / other < 4.1 for one, other in pairwise(errors))


def test_tents_in_a_row_have_two_to_the_depth_pieces() -> None:
    x = np.arange(2**12 + 1) / 2**12
    y = x
    for depth in range(1, 8):
        y = 2 * np.maximum(y, 0) - 4 * np.maximum(y - 0.5, 0)  # equation (3.9)
        assert y.min() == 0
        assert y.max() == 1
        assert 1 + (np.diff(y, 2) != 0).sum() == 2**depth


def test_a_column_against_a_row_costs_what_the_text_says() -> None:
    t = np.random.default_rng(0).normal(size=500)
    assert ((t[:, np.newaxis] - t) ** 2).mean() == pytest.approx(2 * t.var())
    constant = np.full((500, 1), t.mean())
    assert ((constant - t) ** 2).mean() == pytest.approx(t.var())
    better = constant + 0.1 * np.random.default_rng(1).normal(size=(500, 1))
    assert ((better - t) ** 2).mean() > t.var()


def test_answers_of_the_questions_are_what_pytorch_does() -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(20, 5)
    shapes = f"{tuple(layer.weight.shape)} and {tuple(layer(torch.zeros(8, 10, 20)).shape)}"
    for question in questions(chapter=SLUG, track="torch"):
        if question.name == "answer_linear_shape":
            assert question.options[str(question.answer)] == shapes
    model = torch.nn.Dropout(0.5)
    x = torch.ones(1000)
    with torch.no_grad():
        assert not torch.equal(model(x), model(x))
        assert torch.equal(model.eval()(x), x)
    assert grade("answer_no_grad", "c", track="torch").passed




@pytest.mark.parametrize("track", ["numpy", "torch"])
def test_the_references_refuse_bad_input(track: str) -> None:
    ops, to = nn, np.asarray
    if track == "torch":
        torch = pytest.importorskip("torch")
        from nnlib import torch_track

        ops, to = torch_track, torch.as_tensor
    row = to(np.ones(3))
    for name in ("predict", "predict_proba"):
        with pytest.raises(ShapeError, match=rf"{name}: logits must have shape \(n, k\), got \(3,"):
            getattr(ops, name)(row)
        with pytest.raises(DtypeError, match=f"{name}: logits must hold floats"):
            getattr(ops, name)(to(np.ones((3, 2), int)))
    with pytest.raises(ValueError, match="batch_size must be"):
        ops.predict_in_batches(lambda x: x, to(np.ones((3, 2))), batch_size=0)
    with pytest.raises(ValueError, match="knots must be strictly increasing"):
        ops.interpolation_params(to(np.array([0.0, 0.0, 1.0])), row)
    with pytest.raises(ShapeError, match="knots and values must have the same shape"):
        ops.interpolation_params(to(np.array([0.0, 1.0])), row)
    with pytest.raises(ShapeError, match="knots must hold at least 2 numbers, got 1"):
        ops.interpolation_params(row[:1], row[:1])


def test_the_pytorch_exercises_references_refuse_bad_input() -> None:
    torch = pytest.importorskip("torch")
    from nnlib import torch_track as tt

    x = torch.ones(2, 3)
    with pytest.raises(ShapeError, match=r"x must have shape \(2, 4\), got \(2, 3\)"):
        tt.apply_linear(x, torch.ones(5, 4))
    with pytest.raises(ShapeError, match=r"bias must have shape \(5,\), got \(5, 1\)"):
        tt.apply_linear(x, torch.ones(5, 3), torch.ones(5, 1))
    with pytest.raises(ShapeError, match="numpy_to_state_dict: params must hold at least one"):
        tt.numpy_to_state_dict([])
    with pytest.raises(ShapeError, match="DeepNet: sizes must hold at least"):
        tt.DeepNet((3,))


def test_the_state_loads_and_computes_the_same() -> None:
    torch = pytest.importorskip("torch")
    from nnlib import torch_track as tt

    rng = np.random.default_rng(0)
    params = nn.init_params(rng, (3, 3, 3, 2))  # square layers: shapes alone don't tell
    layers = [torch.nn.Linear(3, 3), torch.nn.ReLU(), torch.nn.Linear(3, 3), torch.nn.ReLU(),
              torch.nn.Linear(3, 2)]
    model = torch.nn.Sequential(*layers).double()
    model.load_state_dict(tt.numpy_to_state_dict(params))
    x = rng.normal(size=(5, 3))
    got = model(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(got, nn.mlp_forward(x, params)[0], atol=1e-14)


def test_the_drivers_see_memory_calls_and_modes() -> None:
    def greedy(forward, x, *, batch_size):  # type: ignore[no-untyped-def]
        return nn.predict_in_batches(forward, x, batch_size=batch_size + 1)

    report = grade("predict_in_batches", greedy)
    wrong = {row.output for row in report.rows if not row.passed and row.property == "values"}
    assert "memory" in wrong
    assert "y" not in wrong
    assert 0 < report.points_fraction < 1

    def no_network(knots, values):  # type: ignore[no-untyped-def]
        return values

    assert "four arrays" in grade("interpolation_params", no_network).rows[0].message
    torch = pytest.importorskip("torch")

    def noisy(model, x):  # type: ignore[no-untyped-def]
        with torch.no_grad():
            return torch.softmax(model.train()(x), dim=-1)

    report = grade("class_probabilities", noisy, track="torch")
    assert not [row for row in report.rows if row.property == "values" and row.passed]
