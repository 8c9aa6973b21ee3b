"""Chapter 11: what the page claims and no cell of it checks."""

import re
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pytest

import nnlib.numpy_track as nn
from nnlib.checks import grade
from nnlib.contract import operations, questions
from nnlib.mistakes import for_exercise

ROOT = Path(__file__).parents[2]
SLUG = "11-normalization"
PAGE = (ROOT / "book" / f"{SLUG}.md").read_text(encoding="utf-8")
CELLS = [cell.source for cell in jupytext.reads(PAGE, fmt="md:myst").cells
         if cell.cell_type == "code"]
NOTEBOOKS = sorted((ROOT / "solutions" / SLUG).glob("*.md"))
LABELS = ("statistics", "normalise", "scale", "running", "dgamma", "g", "dvar", "dmean", "dx",
          "insert", "backward", "eval", "layer", "layer-backward", "fold")
EXERCISES = {
    "numpy": ("batch_norm_forward", "batch_norm_backward", "layer_norm_forward",
              "layer_norm_backward", "group_norm"),
    "torch": ("BatchNorm1d", "LayerNorm", "recalibrate", "fold_batch_norm", "freeze_norms"),
}


def every_hint() -> list[str]:
    hints = [hint for q in questions(chapter=SLUG) for hint in q.why.values()]
    for track, names in EXERCISES.items():
        hints += [mistake.hint for name in names for mistake in for_exercise(name, track)]
    return hints


# ---------------------------------------------------------------- the page holds together


def test_equations_are_numbered_as_code_and_notebooks_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-11-([\w-]+)", PAGE)) == LABELS
    texts = [PAGE, *every_hint(), *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    cited = {int(k) for text in texts for k in re.findall(r"\(11\.(\d+)\)", text)}
    assert cited
    assert max(cited) <= len(LABELS)
    assert not [text for text in texts[1:] if "eq-11-" in text]
    number = {name: k for k, name in enumerate(LABELS, start=1)}
    tasks = [task for path in NOTEBOOKS
             for task in path.read_text(encoding="utf-8").split("\n## ")]
    for task, names in [("1. Batch norm, forward", ["statistics", "running"]),
                        ("2. Batch norm, b", ["dgamma", "backward", "eval"]),
                        ("3. Layer norm, f", ["layer"]), ("4. Layer norm, b", ["layer-backward"]),
                        ("1. Batch norm, as", ["statistics", "running"]),
                        ("2. Layer norm, as", ["layer"]), ("4. Fold", ["fold"])]:
        (text,) = [t for t in tasks if t.startswith(task)]
        assert re.findall(r"\(11\.(\d+)\)", text) == [str(number[name]) for name in names], task
    for words, name in [("rows.mean(axis=0), rows.var", "statistics"),
                        ("x_hat = (rows", "normalise"),
                        ("gamma * s * dy, nn", "eval"), ("dx = cache.inv_std", "layer-backward"),
                        ("folded = fold", "fold")]:
        assert any(words in line and f"(11.{number[name]})" in line
                   for line in PAGE.splitlines()), words
    for name in ("dgamma", "g", "dvar", "dmean", "dx", "insert", "backward"):
        assert f'"11.{number[name]}"' in PAGE, "checked line by line"


def test_sections_that_notebooks_and_hints_name_exist() -> None:
    headings = set(re.findall(r"^#{2,3} (.+)$", PAGE, flags=re.MULTILINE))
    texts = [*every_hint(), *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    named = {name for text in texts
             for match in re.findall(r'[Ss]ections? ("[^"]+"(?: and "[^"]+")?)', text)
             for name in re.findall(r'"([^"]+)"', match)}
    assert len(named) > 8
    assert named <= headings, named - headings


def test_every_anchor_is_a_label_of_the_page() -> None:
    labels = set(re.findall(r"^\(([\w-]+)\)=$", PAGE, flags=re.MULTILINE))
    wanted = {entry.anchor for entry in operations(chapter=SLUG)}
    wanted |= {entry.anchor for entry in questions(chapter=SLUG)}
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


# ---------------------------------------------------------------- formulas


def batch(rng: np.random.Generator, m: int, d: int = 50) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(m, d)), rng.normal(size=(m, d))


def normalised(x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ones, zeros = np.ones(x.shape[1]), np.zeros(x.shape[1])
    y, _, cache = nn.batch_norm_forward(x, ones, zeros, zeros, ones, training=True, eps=1e-15)
    return y, nn.batch_norm_backward(dy, cache).dx


@pytest.mark.parametrize("m", [3, 10])
def test_what_the_backward_removes(m: int) -> None:
    x, dy = batch(np.random.default_rng(m), m)
    y, dx = normalised(x, dy)
    np.testing.assert_allclose(dx.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose((dx * y).sum(axis=0), 0, atol=1e-9)


def test_batches_of_two_keep_the_order_alone_and_no_gradient() -> None:
    x, dy = batch(np.random.default_rng(0), 2)
    y, dx = normalised(x, dy)
    np.testing.assert_allclose(y, np.where(x > x[::-1], 1.0, -1.0), atol=1e-6)
    assert abs(dx * x.std(axis=0)).max() < 1e-6 < abs(dy).max()


@pytest.mark.parametrize("m", [2, 3, 8, 30])
def test_no_value_comes_out_beyond_the_root_of_m_minus_one(m: int) -> None:
    """The furthest is one value far from all others, which agree."""
    x = np.zeros((m, 1))
    x[0] = 7.0
    y, _ = normalised(x, x)
    assert y[0, 0] == pytest.approx(np.sqrt(m - 1))
    many, _ = normalised(*batch(np.random.default_rng(m), m, 5000))
    assert abs(many).max() <= np.sqrt(m - 1) + 1e-9


def test_the_gradient_of_weights_before_a_batch_norm() -> None:
    """Perpendicular to each unit's weights, and a times shorter at a times the weights."""
    rng = np.random.default_rng(1)
    x, w, dy = rng.normal(size=(12, 5)), rng.normal(size=(5, 4)), rng.normal(size=(12, 4))
    grads = []
    for a in (1.0, 10.0):
        _, dx = normalised(x @ (a * w), dy)
        grads.append(x.T @ dx)
        np.testing.assert_allclose((grads[-1] * w).sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(grads[0], 10 * grads[1])


def test_a_bias_before_a_batch_norm_does_nothing() -> None:
    x, dy = batch(np.random.default_rng(2), 6)
    for one, other in zip(normalised(x, dy), normalised(x + 5.0, dy), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_group_norm_between_layer_norm_and_instance_norm() -> None:
    rng = np.random.default_rng(3)
    x, ones, zeros = rng.normal(size=(2, 4, 3, 5)), np.ones(4), np.zeros(4)
    rows = x.reshape(2, -1)
    layer, _ = nn.layer_norm_forward(rows, np.ones(60), np.zeros(60))
    np.testing.assert_allclose(nn.group_norm(x, ones, zeros, groups=1).reshape(2, -1), layer)
    instance = (x - x.mean(axis=(2, 3), keepdims=True)) / np.sqrt(
        x.var(axis=(2, 3), keepdims=True) + 1e-5)
    np.testing.assert_allclose(nn.group_norm(x, ones, zeros, groups=4), instance)


def test_group_norm_is_that_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    import nnlib.torch_track as tt

    x, gamma, beta = torch.randn(3, 6, 2, 4), torch.randn(6), torch.randn(6)
    x.requires_grad_()
    for groups in (1, 2, 3, 6):
        ours = tt.group_norm(x, gamma, beta, groups=groups, eps=0.01)
        theirs = torch.nn.functional.group_norm(x, groups, gamma, beta, eps=0.01)
        torch.testing.assert_close(ours, theirs)
        (mine,), (right,) = (torch.autograd.grad((y**3).sum(), x) for y in (ours, theirs))
        torch.testing.assert_close(mine, right, rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------- modules


def test_state_dicts_are_pytorchs_own_both_ways() -> None:
    torch = pytest.importorskip("torch")
    import nnlib.torch_track as tt

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(7, 3, generator=generator)
    for ours, theirs in [(tt.BatchNorm1d(3, momentum=0.3), torch.nn.BatchNorm1d(3, momentum=0.3)),
                         (tt.LayerNorm(3), torch.nn.LayerNorm(3))]:
        torch.testing.assert_close(ours(x), theirs(x))
        assert [*ours.state_dict()] == [*theirs.state_dict()]
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
        assert str(ours.load_state_dict(theirs.state_dict())) == "<All keys matched successfully>"
        assert str(theirs.load_state_dict(ours.state_dict())) == "<All keys matched successfully>"


def test_recalibrate_puts_momentum_and_modes_back() -> None:
    torch = pytest.importorskip("torch")
    import nnlib.torch_track as tt

    model = torch.nn.Sequential(torch.nn.BatchNorm1d(2, momentum=0.4), torch.nn.Dropout()).eval()
    model[1].train()
    tt.recalibrate(model, [torch.randn(5, 2), torch.randn(5, 2)])
    assert model[0].momentum == 0.4
    assert [part.training for part in model.modules()] == [False, False, True]
    assert model[0].running_mean.grad_fn is None


def test_buffers_outside_no_grad_keep_the_graphs() -> None:
    """As the section on buffers says: the graph of the last batch, and through it those before."""
    torch = pytest.importorskip("torch")
    from nnlib.mistakes import ch11_normalization_torch as wrong

    norm = wrong.GraphKeptInTheBuffers(2)
    inputs = [torch.randn(4, 2, requires_grad=True) for _ in range(3)]
    for x in inputs:
        norm(x)
    found = torch.autograd.grad(norm.running_mean.sum(), inputs)
    assert all(float(abs(grad).sum()) > 0 for grad in found)


def test_an_untouched_module_earns_nothing() -> None:
    torch = pytest.importorskip("torch")

    class Untouched(torch.nn.Module):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__()
            raise NotImplementedError

    for name in ("BatchNorm1d", "LayerNorm"):
        assert grade(name, Untouched, track="torch").points_fraction == 0.0


# ---------------------------------------------------------------- experiments


@pytest.fixture(scope="module")
def cells() -> dict[str, Any]:
    """What the page's own cells define: networks and their training."""
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    pytest.importorskip("torch")
    names: dict[str, Any] = {}
    for cell in CELLS:
        if any(word in cell for word in ("import nnlib.numpy_track", "def train(", "def batches_of",
                                         "class Shaken", "def drift")):
            kept = [line for line in cell.splitlines() if "viz.use_style" not in line]
            text = "\n".join(kept).split("for norm in (\"none\"")[0]
            exec(text, names)
    return names


def mean_accuracy(cells: dict[str, Any], norm: str, rate: float, **options: Any) -> float:
    """From seeds that the page does not use."""
    runs = []
    with np.errstate(all="ignore"):
        for seed in range(100, 105):
            model, _, valid = cells["train"](norm, rate, seed, **options)
            runs.append(cells["accuracy"](model, valid))
    return float(np.mean(runs))


def test_claims_about_learning_rates(cells: dict[str, Any]) -> None:
    for rate in (0.3, 1):
        assert mean_accuracy(cells, "batch norm", rate) > 0.9
        assert mean_accuracy(cells, "none", rate) < 0.8
        assert mean_accuracy(cells, "shaken", rate) > 0.88
    assert mean_accuracy(cells, "batch norm", 3) > 0.75  # thirty times 0.1
    assert mean_accuracy(cells, "none", 3) < 0.15
    assert mean_accuracy(cells, "layer norm", 0.1) > 0.85


def test_claims_about_batch_sizes(cells: dict[str, Any]) -> None:
    def at(norm: str, size: int) -> float:
        return mean_accuracy(cells, norm, 0.1, depth=2, size=size, steps=300)

    assert at("batch norm", 2) < min(at("none", 2), at("layer norm", 2)) - 0.2
    assert at("batch norm", 8) > max(at("none", 8), at("layer norm", 8))


def test_shaken_means_move_more_than_without_norm(cells: dict[str, Any]) -> None:
    still, none, shaken = (np.mean([cells["drift"](norm, seed) for seed in (100, 101)])
                           for norm in ("batch norm", "none", "shaken"))
    assert still < none < shaken
