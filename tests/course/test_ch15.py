"""Chapter 15: what the page claims and no cell of it checks."""

import itertools
import re
from pathlib import Path

import jupytext
import numpy as np
import pytest
import torch
from torch import nn

import nnlib.torch_track as ops
from nnlib.checks import grade
from nnlib.contract import operations, questions
from nnlib.mistakes import for_exercise

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "15-transfer.md").read_text(encoding="utf-8")
CELLS = [cell.source for cell in jupytext.reads(PAGE, fmt="md:myst").cells
         if cell.cell_type == "code"]
NOTEBOOK = (ROOT / "solutions" / "15-transfer" / "transfer_torch.md").read_text(encoding="utf-8")
LABELS = ("inputs", "head", "rates", "intersection", "iou", "masks")
EXERCISES = ("preprocess", "freeze", "replace_head", "discriminative_groups", "fine_tune_step",
             "box_iou", "non_maximum_suppression", "class_iou")


def every_hint() -> list[str]:
    hints = [hint for q in questions(chapter="15-transfer") for hint in q.why.values()]
    return hints + [m.hint for name in EXERCISES for m in for_exercise(name, "torch")]


# ---------------------------------------------------------------- the page holds together


def test_the_chapter_is_in_pytorch_only() -> None:
    assert [op.name for op in operations(chapter="15-transfer")] == list(EXERCISES)
    assert {op.tracks for op in operations(chapter="15-transfer")} == {("torch",)}
    files = sorted(path.name for path in (ROOT / "solutions" / "15-transfer").glob("*.md"))
    assert files == ["transfer_torch.md"]


def test_equations_are_numbered_as_code_and_notebook_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-15-([\w-]+)", PAGE)) == LABELS
    number = {name: k for k, name in enumerate(LABELS, start=1)}
    cited = {int(k) for text in (PAGE, NOTEBOOK, *every_hint())
             for k in re.findall(r"\(15\.(\d+)\)", text)}
    assert cited == set(number.values())
    tasks = NOTEBOOK.split("\n## ")
    for task, names in [("1. As", ["inputs"]), ("3. A new", ["head"]), ("4. A rate", ["rates"]),
                        ("6. How much", ["intersection", "iou"]), ("8. How good", ["masks"])]:
        (text,) = [t for t in tasks if t.startswith(task)]
        assert re.findall(r"\(15\.(\d+)\)", text) == [str(number[name]) for name in names], task


def test_sections_and_anchors_exist() -> None:
    headings = set(re.findall(r"^#{2,3} (.+)$", PAGE, flags=re.MULTILINE)) | {"Freezing"}
    named = {name for text in (NOTEBOOK, *every_hint())
             for match in re.findall(r'[Ss]ections? ("[^"]+"(?: and "[^"]+")?)', text)
             for name in re.findall(r'"([^"]+)"', match)}
    assert len(named) > 5
    assert named <= headings, named - headings
    labels = set(re.findall(r"^\(([\w-]+)\)=$", PAGE, flags=re.MULTILINE))
    wanted = {entry.anchor for entry in operations(chapter="15-transfer")}
    wanted |= {entry.anchor for entry in questions(chapter="15-transfer")}
    wanted |= {m.anchor for name in EXERCISES for m in for_exercise(name, "torch")}
    assert wanted <= labels, wanted - labels


def test_every_section_has_a_label_and_the_page_keeps_its_limits() -> None:
    lines, fence = PAGE.splitlines(), False
    for before, line in zip(["", *lines], lines, strict=False):
        fence ^= line.startswith("```")
        if re.match(r"#{1,3} ", line) and not fence:
            assert re.fullmatch(r"\([\w-]+\)=", before), line
    assert len(CELLS) <= 25
    assert max(len(cell.splitlines()) for cell in CELLS) <= 16
    assert max(len(line) for cell in CELLS for line in cell.splitlines()) <= 100
    prose = " ".join(c.source for c in jupytext.reads(PAGE, fmt="md:myst").cells
                     if c.cell_type == "markdown")
    assert len(re.findall(r"[A-Za-z]{2,}", prose)) <= 3600  # markup included


# ---------------------------------------------------------------- numbers in the text


def vgg16() -> int:
    widths = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    filters = sum(9 * a * b + b for a, b in zip([3, *widths], widths, strict=False))
    sizes = (512 * 7 * 7, 4096, 4096, 1000)
    return filters + sum(a * b + b for a, b in itertools.pairwise(sizes))


def resnet50() -> int:
    """Convolutions without biases, two numbers for each normalized channel, one linear layer."""
    def conv(a: int, b: int, k: int) -> int:
        return a * b * k * k + 2 * b

    total, width = conv(3, 64, 7), 64
    for blocks, inner in ((3, 64), (4, 128), (6, 256), (3, 512)):
        total += conv(width, 4 * inner, 1)  # the shortcut of the first block
        for _ in range(blocks):
            total += conv(width, inner, 1) + conv(inner, inner, 3) + conv(inner, 4 * inner, 1)
            width = 4 * inner
    return total + width * 1000 + 1000


def test_sizes_of_networks() -> None:
    assert f"{vgg16() / 1e6:.1f} million" in PAGE
    assert f"{resnet50() / 1e6:.1f} million" in PAGE
    assert vgg16() == 138_357_544
    assert resnet50() == 25_557_032


def test_zero_gradients_still_move_a_parameter() -> None:
    for options in ({"weight_decay": 0.1}, {"momentum": 0.9}):
        p = nn.Parameter(torch.ones(3))
        optimizer = torch.optim.SGD([p], lr=0.1, **options)
        p.grad = torch.ones(3)
        optimizer.step()
        before = p.detach().clone()
        p.requires_grad_(False)
        p.grad = torch.zeros(3)
        optimizer.step()
        assert not torch.equal(before, p)
        p.grad, before = None, p.detach().clone()
        optimizer.step()
        assert torch.equal(before, p)


def test_a_head_of_zeros_starts_at_log_k_and_leaves_the_body_alone() -> None:
    rng = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 9))
    ops.init_model(model, generator=rng)
    ops.replace_head(model, "2", 7)
    before = model[0].weight.detach().clone()
    x, labels = torch.randn(6, 3, generator=rng), torch.randint(7, (6,), generator=rng)
    loss = ops.fine_tune_step(model, torch.optim.SGD(model.parameters(), lr=0.1), x, labels)
    assert loss == pytest.approx(np.log(7), rel=1e-6)
    assert torch.equal(model[0].weight, before)
    assert model[2].weight.any()
    ops.fine_tune_step(model, torch.optim.SGD(model.parameters(), lr=0.1), x, labels)
    assert not torch.equal(model[0].weight, before)


def test_self_test_numbers() -> None:
    iou = ops.box_iou(torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([[2.0, 2, 6, 6]]))
    assert iou.item() == pytest.approx(1 / 7)
    assert np.log(20) == pytest.approx(3.0, abs=0.01)


def test_the_prediction_is_as_asked() -> None:
    """In training mode a frozen norm uses the batch, and its running statistics move."""
    norm = nn.BatchNorm1d(1).requires_grad_(False)
    fixed = torch.tensor([[1.0]])
    old = norm.eval()(fixed).item()
    norm.train()
    one, other = (norm(torch.cat([fixed, torch.tensor([[v]])]))[0].item() for v in (0.0, 9.0))
    assert one != other
    assert norm.eval()(fixed).item() != old
    assert grade("frozen_but_training", "c", track="torch").passed
