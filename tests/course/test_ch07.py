"""Chapter 7: what the page claims and no cell of it checks, and the formulas on fresh seeds."""

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pytest

import nnlib.numpy_track as nn
from nnlib.checks import grade
from nnlib.contract import Question, find, operations, questions
from nnlib.mistakes import for_exercise

ROOT = Path(__file__).parents[2]
CHAPTER = "07-initialization"
PAGE = (ROOT / "book" / f"{CHAPTER}.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "solutions" / CHAPTER).glob("*.md"))
LABELS = ("forward", "half", "he", "backward", "xavier", "uniform", "fans", "recursion", "spread",
          "dead")
EXERCISES = {
    "numpy": ("fans", "xavier_uniform", "he_normal", "init_params", "predict_mean_squares",
              "layer_statistics"),
    "torch": ("init_model", "output_mean_squares", "weight_gradient_norms", "count_twins",
              "scale_to_unit_variance", "orthogonal"),
}


def mistakes() -> list[Any]:
    return [m for track, names in EXERCISES.items() for name in names
            for m in for_exercise(name, track)]


def test_equations_are_numbered_as_code_and_hints_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-07-([\w-]+)", PAGE)) == LABELS
    texts = [PAGE, *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    cited = {int(k) for text in texts for k in re.findall(r"\(7\.(\d+)\)", text)}
    assert {1, 2, 3, 4, 5, 6, 7, 8, 10} <= cited <= set(range(1, 11))
    spots = {1: "v = d_in * variance * q", 4: "d_out * variance / 2 * g", 6: "(3 / d) ** 0.5",
             7: "nn.fans(w.shape)", 8: "gain**2 * np.concatenate", 10: "1 - (1 - 0.5**d) ** 50"}
    for number, words in spots.items():
        assert any(words in line and f"7.{number})" in line for line in PAGE.splitlines()), words


def test_sections_named_in_hints_exist() -> None:
    headings = set(re.findall(r"^#{2,3} (.+)$", PAGE, flags=re.MULTILINE))
    texts = [p.read_text(encoding="utf-8") for p in NOTEBOOKS]
    named = {name for text in texts
             for name in re.findall(r'[Ss]ections? "([^"]+)"', text)}
    named |= {name for text in texts for name in re.findall(r'" and "([^"]+)"', text)}
    assert len(named) >= 8
    assert named <= headings, named - headings


def test_every_anchor_is_a_label_of_the_page() -> None:
    labels = set(re.findall(r"^\(([\w-]+)\)=$", PAGE, flags=re.MULTILINE))
    wanted = {entry.anchor for entry in operations(chapter=CHAPTER)}
    wanted |= {entry.anchor for entry in questions(chapter=CHAPTER)}
    wanted |= {m.anchor for m in mistakes()}
    assert wanted <= labels, wanted - labels


def test_every_section_has_a_label_and_the_page_keeps_its_limits() -> None:
    lines, fence = PAGE.splitlines(), False
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


# ---------------------------------------------------------------- the derivation


def network(rng: np.random.Generator, gain: float, d: int, depth: int) -> list[tuple]:
    bound = gain * math.sqrt(3 / d)
    return [(rng.uniform(-bound, bound, size=(d, d)).astype(np.float32), np.zeros(d, np.float32))
            for _ in range(depth)]


def measured(name: str, gain: float, seeds: range, d: int, depth: int = 50
             ) -> tuple[np.ndarray, np.ndarray]:
    """Return variances and gradients, (networks, layers) each."""
    found = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        x, dy = rng.standard_normal((2, 8, d), dtype=np.float32)
        found.append(nn.layer_statistics(x, network(rng, gain, d, depth), dy, activation=name))
    return (np.array([f.variance for f in found]),
            np.array([f.gradient_mean_square for f in found]))


def derived(name: str, gain: float, depth: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Equation (7.8), with integrals of its own: a sum over a million normal quantiles."""
    share = np.linspace(-10, 10, 400_000)
    weight = np.exp(-(share**2) / 2)
    weight /= weight.sum()
    phi, slope = {"tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
                  "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float))}[name]
    q, variances, factors = 1.0, [], []
    for _ in range(depth):
        variances.append(gain**2 * q)
        z = math.sqrt(variances[-1]) * share
        q = float(weight @ phi(z) ** 2)
        factors.append(gain**2 * float(weight @ slope(z) ** 2))
    return np.array(variances), np.array([np.prod(factors[k + 1:]) for k in range(depth)])


@pytest.mark.parametrize(("name", "gain", "seeds", "d"), [
    ("tanh", 1.0, range(1000, 1016), 384),
    ("relu", math.sqrt(2), range(1000, 1200), 192),
])
def test_variances_through_fifty_layers_are_within_ten_percent(
        name: str, gain: float, seeds: range, d: int) -> None:
    """Other seeds and widths than the page's: the claim is not about those."""
    for values, want in zip(measured(name, gain, seeds, d), derived(name, gain), strict=True):
        mean = values.mean(axis=0)
        # From each layer to the next ...
        factors = (values[:, 1:] / values[:, :-1]).mean(axis=0)
        assert (abs(factors / (want[1:] / want[:-1]) - 1) < 0.10).all()
        # ... and all of them together, as well as so many networks can tell.
        error = values.std(axis=0, ddof=1) / mean / math.sqrt(len(values))
        assert (abs(mean / want - 1) < np.maximum(0.10, 3 * error)).all()
        assert error.max() < 0.12


def test_one_input_of_a_relu_network_keeps_its_mean_and_scatters_as_derived() -> None:
    rng, q, d = np.random.default_rng(7), np.ones((8000, 1), dtype=np.float32), 256
    for layer in range(1, 51):
        z = np.sqrt(2 * q) * rng.standard_normal((8000, d), dtype=np.float32)
        q = (np.maximum(z, 0) ** 2).mean(axis=1, keepdims=True)
        assert abs(float(q.mean()) - 1) < 0.10
        spread = float(np.log(q).std())
        assert spread == pytest.approx(math.sqrt(5 * layer / d), rel=0.06)


def test_drawing_sums_directly_is_drawing_a_network() -> None:
    """The page replaces h @ w by independent normal sums: same law of the next mean square."""
    rng, d = np.random.default_rng(3), 16
    h = np.maximum(rng.normal(size=d), 0)
    w = rng.normal(size=(20_000, d, d)) * math.sqrt(2 / d)
    one = (np.maximum(np.einsum("k,nkj->nj", h, w), 0) ** 2).mean(axis=1)
    z = math.sqrt(2 * float((h**2).mean())) * rng.normal(size=(20_000, d))
    other = (np.maximum(z, 0) ** 2).mean(axis=1)
    assert one.mean() == pytest.approx(other.mean(), rel=0.03)
    assert one.std() == pytest.approx(other.std(), rel=0.05)


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_half_of_relu_and_of_its_leaky_relative(slope: float) -> None:
    kept = nn.normal_mean(lambda t: np.where(t > 0, t, slope * t) ** 2)
    assert kept == pytest.approx((1 + slope**2) / 2, rel=1e-6)
    assert nn.normal_mean(lambda t: (t > 0).astype(float)) == pytest.approx(0.5, abs=1e-12)
    # Variance of max(z, 0)^2 relative to the square of its mean: the 5 of equation (7.9).
    second = nn.normal_mean(lambda t: np.maximum(t, 0) ** 4)
    assert second / 0.25 - 1 == pytest.approx(5.0, rel=1e-6)


def test_xavier_and_tanh_fall_like_one_over_twice_the_layer() -> None:
    q = nn.predict_mean_squares(np.tanh, 1.0, [1] * 2001, [1.0] * 2000)
    assert q[-1] * 2 * 2000 == pytest.approx(1.0, abs=0.01)
    assert q[49] == pytest.approx(0.01, rel=0.05)


def test_tanh_gradients_vanish_below_a_gain_of_one_and_explode_above() -> None:
    def factor(gain: float) -> float:
        q = nn.predict_mean_squares(np.tanh, 1.0, [1] * 401, [gain**2] * 400)[-1]
        return gain**2 * nn.normal_mean(
            lambda t: (1 - np.tanh(gain * math.sqrt(q) * t) ** 2) ** 2)

    assert factor(0.9) < 0.95
    assert all(factor(gain) > 1.02 for gain in (1.2, math.sqrt(2), 2.0, 5.0))


def test_widths_cancel_on_the_way_back() -> None:
    sizes = [40, 70, 20, 90, 30]
    product = math.prod(d_out / d_in for d_in, d_out in pairwise(sizes))
    assert product == pytest.approx(30 / 40)


def test_numbers_of_the_text() -> None:
    for gain, power in ((0.5, -45), (1.0, -15), (2.0, 15)):
        assert round(50 * math.log10(gain**2 / 2)) == power
        assert f"10^{{{power}}}" in PAGE
    for gain, power in ((0.5, -18), (1.0, -6), (2.0, 6)):
        assert round(20 * math.log10(gain**2 / 2)) == power
    assert math.sqrt(5 * 20 / 64) == 1.25


def test_answers_of_the_self_test() -> None:
    assert math.sqrt(2 / 300) == pytest.approx(0.082, abs=5e-4)
    assert 0.1 / math.sqrt(3) == pytest.approx(0.058, abs=5e-4)
    assert nn.fans((64, 32, 3, 3)) == (288, 576)
    assert round(30 * math.log10(0.5)) == -9
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(6, 4)), np.full((4, 3), 0.3), rng.normal(size=3)
    h, cache = nn.linear_forward(x, w, b)
    active, relu = nn.relu_forward(h)
    dw = nn.linear_backward(nn.relu_backward(np.ones_like(active), relu), cache).dw
    assert len(np.unique(dw, axis=1).T) > 1, "different biases part the units"


# ---------------------------------------------------------------- the grader of random draws


def test_right_draws_pass_for_every_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def stretched(rng: np.random.Generator, shape: tuple, *, gain: float = 1.0) -> np.ndarray:
        total = (shape[0] + shape[1]) * math.prod(shape[2:])
        return gain * math.sqrt(6 / total) * (1 - 2 * rng.random(shape))

    def scaled(rng: np.random.Generator, shape: tuple, *, negative_slope: float = 0.0
               ) -> np.ndarray:
        fan_in = shape[0] if len(shape) == 2 else math.prod(shape[1:])
        return math.sqrt(2 / ((1 + negative_slope**2) * fan_in)) * rng.standard_normal(shape)

    for secret in range(60):
        monkeypatch.setenv("NNCOURSE_SECRET", f"term {secret}")
        for name, right in (("xavier_uniform", stretched), ("he_normal", scaled)):
            report = grade(name, right)
            assert report.passed, str(report)


@pytest.mark.parametrize("name", ["xavier_uniform", "he_normal"])
def test_randomness_must_come_from_the_rng(name: str) -> None:
    right = getattr(nn, name)
    own = np.random.default_rng(5)
    assert not grade(name, lambda rng, shape, **options: right(own, shape, **options)).passed
    assert not grade(name, lambda rng, shape, **options: right(
        np.random.default_rng(5), shape, **options)).passed


def test_equal_layers_are_no_network() -> None:
    def copied(rng: np.random.Generator, sizes: tuple, *, scheme: str = "he") -> list:
        params = nn.init_params(rng, sizes, scheme=scheme)
        known: dict[tuple, tuple] = {}
        return [known.setdefault(w.shape, (w, b)) for w, b in params]

    report = grade("init_params", copied)
    assert not report.passed
    assert "the same weights" in str(report)


# ---------------------------------------------------------------- PyTorch


def test_initialisers_agree_with_torch_in_scale() -> None:
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    pairs = {"he_normal": "kaiming_normal_", "he_uniform": "kaiming_uniform_",
             "xavier_normal": "xavier_normal_", "xavier_uniform": "xavier_uniform_"}
    for ours, theirs in pairs.items():
        options = {"nonlinearity": "relu"} if "kaiming" in theirs else {}
        w = getattr(torch.nn.init, theirs)(torch.empty(300, 200), generator=generator, **options)
        mine = getattr(nn, ours)(rng, (200, 300))
        assert mine.std() == pytest.approx(w.std().item(), rel=0.02)
        filters = getattr(torch.nn.init, theirs)(
            torch.empty(40, 20, 5, 5), generator=generator, **options)
        mine = getattr(nn, ours)(rng, (40, 20, 5, 5))
        assert mine.std() == pytest.approx(filters.std().item(), rel=0.03)


def test_default_of_linear_and_conv_is_a_third_of_one_over_fan_in() -> None:
    torch = pytest.importorskip("torch")
    for layer, fan_in in ((torch.nn.Linear(300, 400), 300), (torch.nn.Conv2d(20, 60, 5), 500)):
        bound = layer.weight.abs().max().item()
        assert bound <= 1 / math.sqrt(fan_in)
        assert bound == pytest.approx(1 / math.sqrt(fan_in), rel=0.01)
        assert layer.weight.var().item() == pytest.approx(1 / (3 * fan_in), rel=0.03)


def test_answers_of_the_questions_are_what_the_code_does() -> None:
    torch = pytest.importorskip("torch")
    question = find("halved_ten_times")
    assert isinstance(question, Question)
    q = nn.predict_mean_squares(lambda z: np.maximum(z, 0), 1.0, [256] * 11, [1 / 256] * 10)
    assert question.answer == pytest.approx(q[-1], rel=1e-6)
    generator = torch.Generator().manual_seed(1)
    w = torch.nn.init.kaiming_normal_(torch.empty(100, 400), nonlinearity="relu",
                                      generator=generator)
    other = find("kaiming_on_our_layout")
    assert isinstance(other, Question)
    assert w.var().item() == pytest.approx(other.answer, rel=0.05)


def test_equal_units_stay_one_and_the_network_learns_little() -> None:
    from nnlib.numpy_track.layers import Linear, ReLU
    from nnlib.numpy_track.model import Sequential

    rng = np.random.default_rng(11)
    x = rng.normal(size=(200, 64))
    labels = rng.integers(10, size=200)
    model = Sequential(Linear(64, 100, rng=rng), ReLU(), Linear(100, 10, rng=rng))
    model.params = {name: np.full_like(p, 0.1 * (p.ndim == 2)) for name, p in model.params.items()}
    start = {name: p.copy() for name, p in model.params.items()}
    model.fit(x, labels, loss=nn.softmax_cross_entropy, optimizer="sgd", learning_rate=0.1,
              epochs=5, rng=rng)
    w = model.params["0.w"]
    assert not np.allclose(w, start["0.w"]), "they do learn"
    np.testing.assert_allclose(w, np.broadcast_to(w[:, :1], w.shape), atol=1e-9)
    assert grade("constant_start", 1).passed


def test_weight_gradients_shrink_alike_where_signal_and_gradient_do() -> None:
    """Why the page says: look at the size, not at the course from layer to layer."""
    rng, d, rows, first, last = np.random.default_rng(0), 200, [], 0, 15
    for _ in range(8):
        h, forward = rng.normal(size=(20, d)), []
        for _ in range(16):
            w = rng.normal(size=(d, d)) * 0.5 / math.sqrt(d)
            z = h @ w
            forward.append((h, w, z))
            h = np.maximum(z, 0)
        dh, norms = rng.normal(size=h.shape), []
        for before, w, z in forward[::-1]:
            dz = dh * (z > 0)
            norms.insert(0, np.linalg.norm(before.T @ dz))
            dh = dz @ w.T
        rows.append(norms)
    mean = np.mean(rows, axis=0)
    assert 0.1 < mean[first] / mean[last] < 10


# ---------------------------------------------------------------- references of both tracks


def test_layer_statistics_agree_with_autograd() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    params = [(rng.normal(size=(5, 6)), rng.normal(size=6)), (rng.normal(size=(6, 4)),
                                                              rng.normal(size=4))]
    x, dy = rng.normal(size=(7, 5)), rng.normal(size=(7, 4))
    for name in ("relu", "tanh"):
        h, kept = torch.tensor(x, requires_grad=True), []
        for w, b in params:
            h = getattr(torch, name)(h @ torch.tensor(w) + torch.tensor(b))
            kept.append(h)
        grads = torch.autograd.grad(h, kept, torch.tensor(dy))
        found = nn.layer_statistics(x, params, dy, activation=name)
        np.testing.assert_allclose(found.gradient_mean_square,
                                   [g.square().mean().item() for g in grads])
        np.testing.assert_allclose(found.mean_square, [k.square().mean().item() for k in kept])


def test_orthogonal_weights_are_drawn_evenly_and_keep_lengths() -> None:
    torch = pytest.importorskip("torch")
    from nnlib.errors import ShapeError
    from nnlib.torch_track import orthogonal

    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([orthogonal((3, 3), generator=generator) for _ in range(4000)])
    assert draws.mean(dim=0).abs().max() < 0.05, "no entry has a favourite sign"
    x = torch.randn(10, 8, generator=generator)
    w = orthogonal((8, 8), gain=2.0, generator=generator)
    torch.testing.assert_close((x @ w.T).norm(dim=1), 2 * x.norm(dim=1))
    with pytest.raises(ShapeError, match="orthogonal: shape must have at least 2 axes"):
        orthogonal((4,), generator=generator)
    with pytest.raises(ValueError, match="orthogonal: gain must be"):
        orthogonal((4, 4), gain=0.0, generator=generator)


def test_torch_references_refuse_bad_input() -> None:
    torch = pytest.importorskip("torch")
    from torch import nn as torch_nn

    from nnlib.errors import ShapeError
    from nnlib.torch_track import count_twins, scale_to_unit_variance

    with pytest.raises(ShapeError, match="count_twins: second must take 4 inputs"):
        count_twins(torch_nn.Linear(3, 4), torch_nn.Linear(5, 2))
    layer = torch_nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.zero_()
    with pytest.raises(ValueError, match="scale_to_unit_variance: the outputs"):
        scale_to_unit_variance(torch_nn.Sequential(layer), torch.ones(4, 3))
