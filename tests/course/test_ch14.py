"""Chapter 14: what the page claims and no cell of it checks."""

import re
from pathlib import Path

import jupytext
import numpy as np
import pytest

import nnlib.numpy_track as nn
from nnlib.checks import grade
from nnlib.checks.drivers import perform
from nnlib.checks.run import draw_cases
from nnlib.contract import find, operations, questions
from nnlib.mistakes import for_exercise

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "14-cnns.md").read_text(encoding="utf-8")
CELLS = [cell.source for cell in jupytext.reads(PAGE, fmt="md:myst").cells
         if cell.cell_type == "code"]
NOTEBOOKS = sorted((ROOT / "solutions" / "14-cnns").glob("*.md"))
LABELS = ("parameters", "flatten", "saliency", "cam", "grad-cam", "stack", "bottleneck",
          "residual", "residual-backward", "batch-norm")
EXERCISES = {
    "numpy": ("lenet_scores", "cnn_train_step", "residual_block_forward",
              "residual_block_backward", "class_activation_maps", "grad_cam"),
    "torch": ("vgg_block", "ResidualBlock", "InceptionBlock", "small_resnet", "saliency_map",
              "grad_cam_with_hooks"),
}


def every_hint() -> list[str]:
    hints = [hint for q in questions(chapter="14-cnns") for hint in q.why.values()]
    for track, names in EXERCISES.items():
        hints += [mistake.hint for name in names for mistake in for_exercise(name, track)]
    return hints


# ---------------------------------------------------------------- the page holds together


def test_equations_are_numbered_as_code_and_notebooks_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-14-([\w-]+)", PAGE)) == LABELS
    number = {name: k for k, name in enumerate(LABELS, start=1)}
    numpy_text, torch_text = (path.read_text(encoding="utf-8") for path in NOTEBOOKS)
    for text, task, name in [
            (numpy_text, "1. LeNet", "flatten"), (numpy_text, "3. A res", "residual"),
            (numpy_text, "4. The res", "residual-backward"), (numpy_text, "5. Class", "cam"),
            (numpy_text, "6. Grad", "grad-cam"), (torch_text, "2. A res", "residual"),
            (torch_text, "3. An Inc", "bottleneck"), (torch_text, "5. Sal", "saliency"),
            (torch_text, "6. Grad", "grad-cam")]:
        (found,) = [part for part in text.split("\n## ") if part.startswith(task)]
        assert re.findall(r"\(14\.(\d+)\)", found) == [str(number[name])], task
    for words, name in [("max(axis=1)", "saliency"), ("b[k] + M.mean(axis=(1, 2)))", "cam"),
                        ("nn.grad_cam(A, grads)", "grad-cam"), ("if self.shortcut", "residual")]:
        assert any(words in line and f"(14.{number[name]})" in line
                   for line in PAGE.splitlines()), words


def test_sections_that_notebooks_and_hints_name_exist() -> None:
    headings = set(re.findall(r"^#{2,3} (.+)$", PAGE, flags=re.MULTILINE))
    texts = [*every_hint(), *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    named = {name for text in texts
             for match in re.findall(r'[Ss]ections? ("[^"]+"(?: and "[^"]+")?)', text)
             for name in re.findall(r'"([^"]+)"', match)}
    assert len(named) > 7
    assert named <= headings, named - headings


def test_every_anchor_is_a_label_of_the_page() -> None:
    labels = set(re.findall(r"^\(([\w-]+)\)=$", PAGE, flags=re.MULTILINE))
    wanted = {entry.anchor for entry in operations(chapter="14-cnns")}
    wanted |= {entry.anchor for entry in questions(chapter="14-cnns")}
    for track, names in EXERCISES.items():
        wanted |= {mistake.anchor for name in names for mistake in for_exercise(name, track)}
    assert wanted <= labels, wanted - labels


def test_every_section_has_a_label_and_the_page_keeps_its_limits() -> None:
    lines, fence = PAGE.splitlines(), False
    for before, line in zip(["", *lines], lines, strict=False):
        fence ^= line.startswith("```")
        if re.match(r"#{1,3} ", line) and not fence:
            assert re.fullmatch(r"\([\w-]+\)=", before), line
    assert len(CELLS) <= 25
    assert max(len(cell.splitlines()) for cell in CELLS) <= 15
    assert max(len(line) for cell in CELLS for line in cell.splitlines()) <= 100


# ---------------------------------------------------------------- formulas and numbers


def count(model: object) -> int:
    return sum(p.size for p in model.params.values())  # type: ignore[attr-defined]


def networks() -> dict[str, object]:
    """The page's own LeNet and MLP."""
    from nnlib.numpy_track import layers

    names = {name: getattr(layers, name) for name in layers.__all__}
    names |= {"np": np, "nn": nn}
    (cell,) = [cell for cell in CELLS if "def lenet(rng)" in cell]
    exec(cell, names)
    return names


def test_parameters_of_both_networks() -> None:
    names = networks()
    rng = np.random.default_rng(0)
    lenet, mlp = names["lenet"](rng), names["mlp"](rng)  # type: ignore[operator]
    assert f"The MLP has {count(mlp):,} parameters, LeNet {count(lenet):,}" in PAGE
    for layer, (c_out, c_in, k) in [("0", (6, 1, 5)), ("3", (16, 6, 5))]:  # equation (14.1)
        own = sum(lenet.params[f"{layer}.{name}"].size for name in "wb")
        assert own == c_out * (c_in * k**2 + 1)


def test_order_of_flattening() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    rows, _ = nn.flatten_forward(x)
    for (i, c, p, q), value in np.ndenumerate(x):
        assert rows[i, c * 4 * 5 + p * 5 + q] == value  # equation (14.2)


def test_weights_of_stacks_and_bottlenecks() -> None:
    for depth in (1, 2, 3):
        assert nn.receptive_field([(3, 1)] * depth) == 2 * depth + 1
    assert [9 * depth for depth in (2, 3)] == [18, 27]
    assert [(2 * depth + 1) ** 2 for depth in (2, 3)] == [25, 49]
    assert f"{25 * 256 * 256:,} weights become {256 * 32 + 25 * 32 * 256:,}" in PAGE
    assert find("bottleneck_weights").answer == 256 * 64 + 9 * 64 * 64 + 64 * 256


def test_receptive_fields_of_the_hierarchy() -> None:
    assert nn.receptive_field([(5, 1)]) == 5
    assert nn.receptive_field([(5, 1), (2, 2), (5, 1)]) == 14
    # Place (p, q) of the second convolution sees rows 2p - 2 to 2p + 11: its middle is 2p + 4.5.
    names = networks()
    model = names["lenet"](np.random.default_rng(0))  # type: ignore[operator]
    x = np.random.default_rng(1).normal(size=(1, 1, 28, 28)).astype(np.float32)

    def maps(x: np.ndarray) -> np.ndarray:
        for layer in model.layers[:4]:
            x = layer.forward(x)
        return x

    seen = []
    for row in range(28):
        other = x.copy()
        other[0, 0, row] += 10
        if abs(maps(other) - maps(x))[0, :, 4].max() > 1e-6:
            seen.append(row)
    assert (seen[0], seen[-1]) == (2 * 4 - 2, 2 * 4 + 11)


def test_a_body_of_zeros_passes_activations_on() -> None:
    x = np.random.default_rng(0).random((2, 3, 4, 4))
    w, b = np.zeros((3, 3, 3, 3)), np.zeros(3)
    y, cache = nn.residual_block_forward(x, w, b, w, b, conv2d_forward=nn.conv2d_forward)
    np.testing.assert_array_equal(y, x)
    grads = nn.residual_block_backward(x, cache, conv2d_backward=nn.conv2d_backward)
    np.testing.assert_array_equal(grads.dx, x)


def test_batch_norm_takes_each_channel_over_examples_and_places() -> None:
    x = np.random.default_rng(0).normal(2, 3, size=(4, 3, 5, 6))
    y, (mean, _), _ = nn.batch_norm_forward(x, np.ones(3), np.zeros(3), np.zeros(3), np.ones(3),
                                            training=True, momentum=1.0)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 2, 3)))  # equation (14.10)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-12)


# ---------------------------------------------------------------- the exercises


@pytest.mark.parametrize("secret", [f"class {k}" for k in range(12)])
def test_the_training_step_reads_bars_for_every_secret(secret: str) -> None:
    (case,) = [case for case in draw_cases(find("cnn_train_step"), secret=secret)
               if "bars" in case.name]
    assert perform(nn.cnn_train_step, case, "numpy").outputs[2] == "95 % or more"


def test_block_and_maps_agree_with_autograd() -> None:
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    rng = np.random.default_rng(3)
    shapes = [(2, 2, 5, 7), (4, 2, 3, 3), (4,), (4, 4, 3, 3), (4,), (4, 2, 1, 1)]
    arrays = [rng.normal(size=shape) for shape in shapes]
    y, cache = nn.residual_block_forward(*arrays, stride=2, conv2d_forward=nn.conv2d_forward)
    dy = rng.normal(size=y.shape)
    grads = nn.residual_block_backward(dy, cache, conv2d_backward=nn.conv2d_backward)
    x, w1, b1, w2, b2, w_skip = leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
    h = torch.relu(functional.conv2d(x, w1, b1, stride=2, padding=1))
    z = functional.conv2d(h, w2, b2, padding=1) + functional.conv2d(x, w_skip, stride=2)
    torch.relu(z).backward(torch.tensor(dy))
    np.testing.assert_allclose(y, torch.relu(z).detach().numpy(), atol=1e-12)
    for got, leaf in zip(grads, leaves, strict=True):
        np.testing.assert_allclose(got, leaf.grad.numpy(), atol=1e-11)


def test_both_tracks_share_the_functions() -> None:
    torch = pytest.importorskip("torch")
    from nnlib import torch_track as tt

    rng = np.random.default_rng(4)
    features, grads = rng.normal(size=(2, 3, 4, 5, 6)), rng.normal(size=(3, 4, 5, 6))
    theirs = tt.grad_cam(torch.tensor(features[0]), torch.tensor(grads))
    np.testing.assert_allclose(theirs.numpy(), nn.grad_cam(features[0], grads))
    w, labels = rng.normal(size=(4, 7)), np.array([6, 0, 2])
    maps = tt.class_activation_maps(torch.tensor(features[1]), torch.tensor(w),
                                    torch.tensor(labels))
    np.testing.assert_allclose(maps.numpy(), nn.class_activation_maps(features[1], w, labels))


def test_grad_cam_with_hooks_is_grad_cam() -> None:
    torch = pytest.importorskip("torch")
    from nnlib import torch_track as tt
    from nnlib.torch_track.modules import LeNet

    model, x = LeNet(), torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([3, 1, 9])
    maps = tt.grad_cam_with_hooks(model, "features.4", x, labels)
    features = model.features[:5](x)
    scores = model.classifier(model.features[5:](features))
    (grads,) = torch.autograd.grad(scores.gather(1, labels[:, None]).sum(), features)
    want = nn.grad_cam(features.detach().numpy(), grads.numpy())
    np.testing.assert_allclose(maps.numpy(), want, atol=1e-6)


@pytest.mark.parametrize("track", EXERCISES)
def test_an_untouched_exercise_earns_nothing(track: str) -> None:
    def untouched(*args: object, **options: object) -> None:
        raise NotImplementedError

    for name in EXERCISES[track]:
        assert grade(name, untouched, track=track).points_fraction == 0.0, name


def test_what_is_refused() -> None:
    from nnlib.errors import ShapeError

    x, w, b = np.ones((1, 2, 4, 4)), np.ones((3, 2, 3, 3)), np.ones(3)
    with pytest.raises(ShapeError, match="the shortcut needs w_skip"):
        nn.residual_block_forward(x, w, b, np.ones((3, 3, 3, 3)), b,
                                  conv2d_forward=nn.conv2d_forward)
    with pytest.raises(ShapeError, match="at least one channel"):
        nn.grad_cam(x[:, :0], x[:, :0])
    with pytest.raises(ValueError, match="labels must lie from 0 to 4"):
        nn.class_activation_maps(x, np.ones((2, 5)), np.array([5]))
