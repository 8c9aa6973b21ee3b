"""Chapter 5: what the page claims and no cell of it checks."""

import json
import re
from pathlib import Path

import jupytext
import numpy as np
import pytest

import nnlib.numpy_track as nn
from nnlib.checks import grade
from nnlib.contract import operations, questions
from nnlib.mistakes import for_exercise

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "05-backprop.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "solutions" / "05-backprop").glob("*.md"))
LABELS = ("forward", "chain", "vjp", "linear", "activation", "cross-entropy", "softmax", "central",
          "error", "best-step")
EXERCISES = {
    "numpy": ("numerical_vjp", "linear_backward", "relu_backward", "mlp_backward", "mul_vjp",
              "matmul_vjp", "unbroadcast", "backpropagate"),
    "torch": ("SquaredReLU", "vjp", "gradients_agree", "accumulate_gradients", "gradient_step"),
}


def every_hint() -> list[str]:
    hints = [hint for q in questions(chapter="05-backprop") for hint in q.why.values()]
    for track, names in EXERCISES.items():
        hints += [mistake.hint for name in names for mistake in for_exercise(name, track)]
    return hints


def test_equations_are_numbered_as_code_and_hints_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-05-([\w-]+)", PAGE)) == LABELS
    texts = [PAGE, *every_hint(), *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    cited = {int(k) for text in texts for k in re.findall(r"quation \(5\.(\d+)\)", text)}
    assert cited
    assert max(cited) <= len(LABELS)
    # A label is invisible to readers of a hint; they see numbers.
    assert not [text for text in texts[1:] if "eq-05-" in text]
    # The lines that cite, spot by spot.
    spots = {4: "ds @ w2.T", 7: "ds /=", 6: "np.log(p", 5: "1 - h**2", 2: "+ contri"}
    for number, words in spots.items():
        assert any(words in line and f"(5.{number})" in line for line in PAGE.splitlines()), words


def test_every_anchor_is_a_label_of_the_page() -> None:
    labels = set(re.findall(r"^\(([\w-]+)\)=$", PAGE, flags=re.MULTILINE))
    wanted = {entry.anchor for entry in operations(chapter="05-backprop")}
    wanted |= {entry.anchor for entry in questions(chapter="05-backprop")}
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


def test_the_knob_starts_with_the_numbers_of_the_text_but_for_one() -> None:
    """The reader predicts signs for w2 = -1.2; the knob must not show them before."""
    start = json.loads(re.search(r"data-params='({[^']+})'", PAGE).group(1))
    p = start | {"w2": -start["w2"]}
    z = p["w1"] * p["x"] + p["b1"]
    h = np.tanh(z)
    y_hat = p["w2"] * h + p["b2"]
    dz = (y_hat - p["t"]) * p["w2"] * (1 - h**2)
    text = PAGE[PAGE.index("Take $"):PAGE.index("```{code-cell}", PAGE.index("Take $"))]
    for number in (z, h, y_hat, 0.5 * (y_hat - p["t"]) ** 2, (y_hat - p["t"]) * h, dz,
                   dz * p["x"], dz * p["w1"]):
        assert f"{number:.4f}".rstrip("0") in text, number
    script = (ROOT / "book" / "_static" / "knobs" / "hidden-unit.js").read_text(encoding="utf-8")
    alone = re.search(r"START = {([^}]*)}", script).group(1)
    assert dict(re.findall(r"(\w+): ([-\d.]+)", alone)) == {k: f"{v:g}" for k, v in start.items()}


def test_linear_backward_is_the_product_with_the_whole_jacobian() -> None:
    rng = np.random.default_rng(0)
    x, w, dy = rng.normal(size=(3, 2)), rng.normal(size=(2, 4)), rng.normal(size=(3, 4))
    b = rng.normal(size=4)
    grads = nn.linear_backward(dy, nn.linear_forward(x, w, b)[1])
    for value, grad, forward in (
        (x, grads.dx, lambda v: v @ w + b),
        (w, grads.dw, lambda v: x @ v + b),
        (b, grads.db, lambda v: x @ w + v),
    ):
        columns = []
        for unit in np.eye(value.size):  # the map is affine: a difference of size 1 is exact
            step = unit.reshape(value.shape)
            columns.append((forward(value + step) - forward(value)).ravel())
        jacobian = np.array(columns).T  # (outputs, inputs)
        np.testing.assert_allclose(grad.ravel(), jacobian.T @ dy.ravel(), atol=1e-12)


def test_size_of_the_jacobian_that_nobody_builds() -> None:
    outputs, weights = 64 * 1000, 1000 * 1000
    assert "64{,}000 \\times 1{,}000{,}000" in PAGE
    assert outputs * weights * np.dtype(np.float64).itemsize == 512e9


class Counting(np.ndarray):
    """Counts the multiplications of matrix products."""

    total = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):  # type: ignore[no-untyped-def]
        plain = [np.asarray(value) for value in inputs]
        if ufunc is np.matmul:
            Counting.total += plain[0].shape[0] * plain[0].shape[1] * plain[1].shape[1]
        if "out" in kwargs:
            kwargs["out"] = tuple(np.asarray(value) for value in kwargs["out"])
        result = getattr(ufunc, method)(*plain, **kwargs)
        return result.view(Counting) if isinstance(result, np.ndarray) else result


def test_backward_multiplies_twice_as_much_as_forward() -> None:
    rng = np.random.default_rng(0)
    params = [(w.view(Counting), b) for w, b in nn.init_params(rng, (20, 30, 30, 10))]
    x = rng.normal(size=(16, 20)).view(Counting)
    Counting.total = 0
    _, cache = nn.mlp_forward(x, params)
    forward = Counting.total
    assert forward == 16 * (20 * 30 + 30 * 30 + 30 * 10)
    nn.mlp_backward(np.ones((16, 10)).view(Counting), cache)
    assert Counting.total == 3 * forward


def test_softmax_formulas() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(4, 3)), np.array([0, 2, 1, 2])
    p, cache = nn.softmax_forward(scores)
    loss, ds = nn.softmax_cross_entropy(scores, labels)
    np.testing.assert_allclose(ds, (p - np.eye(3)[labels]) / 4, atol=1e-15)  # equation (5.7)
    log_sum = np.log(np.exp(scores).sum(axis=1))
    assert loss == pytest.approx((log_sum - scores[range(4), labels]).mean())  # equation (5.6)
    np.testing.assert_allclose(ds.sum(axis=1), 0, atol=1e-15)
    dy = rng.normal(size=(4, 3))
    expected = p * (dy - (dy * p).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(nn.softmax_backward(dy, cache), expected, atol=1e-15)
    assert abs(nn.softmax_backward(np.ones((4, 3)), cache)).max() < 1e-15
    assert abs(expected).max() > 1e-2


def test_best_steps_minimise_the_predicted_error() -> None:
    steps = 10.0 ** np.arange(-16, 0, 0.01)
    for dtype in (np.float32, np.float64):
        eps = float(np.finfo(dtype).eps)
        forward = steps[np.argmin(steps / 2 + eps / steps)]
        central = steps[np.argmin(steps**2 / 6 + eps / steps)]
        assert 0.5 < forward / eps ** (1 / 2) < 2
        assert 0.5 < central / eps ** (1 / 3) < 2
    assert np.float32(1) + np.float32(1e-8) == np.float32(1)


def test_a_kink_between_the_points_gives_one_half() -> None:
    numeric = nn.numerical_vjp(lambda x: np.maximum(x, 0), np.array([0.0]), np.array([1.0]))
    assert numeric[0] == pytest.approx(0.5)
    assert nn.relu_backward(np.array([1.0]), nn.relu_forward(np.array([0.0]))[1])[0] == 0


def test_answers_of_the_questions_are_what_the_code_does() -> None:
    torch = pytest.importorskip("torch")
    w = torch.tensor(2.0, requires_grad=True)
    for _ in range(2):
        (w**3).backward()
    assert grade("grad_after_two_calls", w.grad.item(), track="torch").passed
    x = torch.tensor(3.0, requires_grad=True)
    (x * x.detach() + x).backward()
    assert grade("detached_factor", x.grad.item(), track="torch").passed

    def error(step: float) -> float:
        points = np.linspace(0.5, 1.5, 101)
        return float(np.median(abs((np.exp(points + step) - np.exp(points - step))
                                   / (2 * step * np.exp(points)) - 1)))

    steps = {"a": 1e-1, "b": 1e-3, "c": 1e-5, "d": 1e-8, "e": 1e-12}
    best = min(steps, key=lambda letter: error(steps[letter]))
    assert grade("gradient_check_step", best).passed


def test_keys_of_the_gradient_check_are_right_or_wrong_as_named() -> None:
    torch = pytest.importorskip("torch")
    from nnlib.checks.torch_backprop_drivers import FUNCTIONS
    from nnlib.torch_track import gradients_agree

    wrong = {"factor missing", "two per cent too much", "upstream ignored", "last entry missing",
             "softmax with zeros", "half detached"}
    x = torch.tensor([0.7, -1.1, 0.9], dtype=torch.float64)
    for key, function in FUNCTIONS.items():
        assert gradients_agree(function, x) is (key not in wrong), key


def test_references_of_the_pytorch_exercises_refuse_bad_input() -> None:
    torch = pytest.importorskip("torch")
    from nnlib import torch_track as tt
    from nnlib.errors import DtypeError, ShapeError

    x = torch.ones(3, 2)
    with pytest.raises(ShapeError, match=r"vjp: dy must have shape \(3, 2\), got \(2,\)"):
        tt.vjp(torch.tanh, x, torch.ones(2))
    with pytest.raises(DtypeError, match="gradients_agree: x must hold floats"):
        tt.gradients_agree(torch.tanh, torch.ones(2, dtype=torch.int64))
    model, loss = torch.nn.Linear(2, 1), torch.nn.functional.mse_loss
    with pytest.raises(ValueError, match="micro_batch_size must be"):
        tt.accumulate_gradients(model, loss, x, x[:, :1], micro_batch_size=0)
    with pytest.raises(ValueError, match="at least one row"):
        tt.accumulate_gradients(model, loss, x[:0], x[:0, :1], micro_batch_size=2)
    with pytest.raises(ShapeError, match=r"y must have shape \(3, 1\), got \(2, 1\)"):
        tt.accumulate_gradients(model, loss, x, x[:2, :1], micro_batch_size=2)
    params = {"w": torch.tensor(1.0, requires_grad=True)}
    with pytest.raises(ValueError, match="learning_rate must be"):
        tt.gradient_step(params, lambda p: p["w"] ** 2, learning_rate=0.0)


def test_the_drivers_see_what_a_call_leaves_behind() -> None:
    torch = pytest.importorskip("torch")

    def leaves_a_gradient(f, x, dy):  # type: ignore[no-untyped-def]
        x.requires_grad_()
        f(x).backward(dy)
        return x.grad.clone()

    report = grade("vjp", leaves_a_gradient, track="torch")
    row = next(row for row in report.rows if row.property == "inputs kept")
    assert not row.passed
    assert ".grad" in row.message

    def moves_the_model(model, loss_fn, x, y, *, micro_batch_size):  # type: ignore[no-untyped-def]
        from nnlib.torch_track import accumulate_gradients

        loss = accumulate_gradients(model, loss_fn, x, y, micro_batch_size=micro_batch_size)
        with torch.no_grad():
            next(model.parameters()).add_(1)
        return loss

    report = grade("accumulate_gradients", moves_the_model, track="torch")
    assert not next(row for row in report.rows if row.property == "inputs kept").passed
