"""Chapter 13: what the page claims and no cell of it checks, and its code on other numbers."""

import base64
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
from nnlib.numpy_track.image_probes import shift_difference

ROOT = Path(__file__).parents[2]
CHAPTER = "13-convolution"
PAGE = (ROOT / "book" / f"{CHAPTER}.md").read_text(encoding="utf-8")
CELLS = [cell.source for cell in jupytext.reads(PAGE, fmt="md:myst").cells
         if cell.cell_type == "code"]
STATIC = ROOT / "book" / "_static"
NOTEBOOKS = sorted((ROOT / "solutions" / CHAPTER).glob("*.md"))
LABELS = ("single", "forward", "size", "im2col", "db", "dw", "dcolumns", "col2im", "turned",
          "max", "max-back", "avg", "excess", "equivariance", "field")
EXERCISES = {
    "numpy": ("output_size", "conv2d_naive", "conv2d_forward", "conv2d_backward",
              "max_pool2d_forward", "max_pool2d_backward", "avg_pool2d_backward",
              "receptive_field"),
    "torch": ("conv_by_unfold", "ConvFunction", "SeparableConv2d", "measure_receptive_field",
              "pad_same", "FixedFilter"),
}


# ---------------------------------------------------------------- form


def test_equations_are_numbered_as_code_and_hints_cite_them() -> None:
    assert tuple(re.findall(r":label: eq-13-([\w-]+)", PAGE)) == LABELS
    texts = [PAGE, *(p.read_text(encoding="utf-8") for p in NOTEBOOKS)]
    cited = {int(k) for text in texts for k in re.findall(r"\(13\.(\d+)\)", text)}
    assert {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15} <= cited <= set(range(1, 16))
    spots = {3: "sizes = [", 4: "@ columns + b", 5: "dproducts.sum", 6: "dproducts @ columns.T",
             7: "-1).T @ dproducts"}
    for number, words in spots.items():
        assert any(words in line for line in PAGE.splitlines())
        assert f"equation (13.{number})" in PAGE


def test_sections_named_in_hints_exist() -> None:
    headings = set(re.findall(r"^#{2,3} (.+)$", PAGE, flags=re.MULTILINE))
    named: set[str] = set()
    for path in NOTEBOOKS:
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"[Ss]ections? \"", line):
                named |= set(re.findall(r'"([A-Z][^"]+)"', line[line.lower().index("section"):]))
    assert len(named) >= 14
    assert named <= headings, named - headings


def test_every_anchor_is_a_label_of_the_page() -> None:
    labels = set(re.findall(r"^\(([\w-]+)\)=$", PAGE, flags=re.MULTILINE))
    wanted = {entry.anchor for entry in operations(chapter=CHAPTER)}
    wanted |= {entry.anchor for entry in questions(chapter=CHAPTER)}
    wanted |= {m.anchor for track, names in EXERCISES.items() for name in names
               for m in for_exercise(name, track)}
    assert len(wanted) > 15
    assert wanted <= labels, wanted - labels


def test_every_section_has_a_label_and_the_page_keeps_its_limits() -> None:
    lines, fence = PAGE.splitlines(), False
    for before, line in zip(["", *lines], lines, strict=False):
        fence ^= line.startswith("```")
        if re.match(r"#{1,3} ", line) and not fence:
            assert re.fullmatch(r"\([\w-]+\)=", before), line
    cells = [cell.splitlines() for cell in CELLS]
    assert len(cells) <= 25
    assert max(map(len, cells)) <= 15
    assert max(len(line) for cell in cells for line in cell) <= 100
    notebook = jupytext.reads(PAGE, fmt="md:myst")
    prose = " ".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    assert len(re.findall(r"[A-Za-z]{2,}", prose)) <= 3800  # markup included; 3,000 words of text


def test_the_notebooks_grade_what_the_chapter_lists() -> None:
    for track, names in EXERCISES.items():
        text = next(p for p in NOTEBOOKS if p.stem.endswith(track)).read_text(encoding="utf-8")
        assert [name for name in re.findall(r'^score\("(\w+)"', text, flags=re.MULTILINE)
                if name not in {q.name for q in questions()}] == list(names)
        points = sum(map(int, re.findall(r"points: (\d+)\}", text)))
        assert f"**Points:** {points}." in text
        assert 15 <= points <= 25


def test_options_that_no_assignment_names_bind_the_library_alone() -> None:
    for name, own in [("conv2d_forward", {"stride", "padding"}),
                      ("conv2d_backward", {"stride", "padding"}),
                      ("conv2d_naive", {"stride", "padding", "dilation", "groups"}),
                      ("max_pool2d_forward", {"kernel_size", "stride", "padding"}),
                      ("avg_pool2d_backward", {"kernel_size", "stride", "padding"})]:
        graded = graded_cases(find(name))
        assert {option for case in graded for option in case.options} == own, name
        every = {option for case in draw_cases(find(name)) for option in case.options}
        assert own <= every
    assert any(case.library for case in draw_cases(find("conv2d_backward")))


# ---------------------------------------------------------------- the page's own code


@pytest.fixture(scope="module")
def cells() -> dict[str, Any]:
    """What the page's cells define, without their figures and timings."""
    for name in ("sklearn", "PIL", "matplotlib", "torch", "myst_nb", "threadpoolctl"):
        pytest.importorskip(name)
    names: dict[str, Any] = {}
    for cell in CELLS:
        if "import matplotlib" in cell:
            exec("\n".join(line for line in cell.splitlines() if "use_style" not in line), names)
    names["sobel"] = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    for cell in CELLS:
        if re.match(r"def (im2col|backward|network)|pieces =", cell):
            exec(cell.split("\nw = np.random")[0].split("\nruns =")[0], names)
    return names


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_forward_and_backward_of_the_page_are_pytorchs(cells: dict[str, Any], stride: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(10 + stride)
    x, w, b = (rng.normal(size=s) for s in [(3, 2, 8, 7), (4, 2, 3, 2), (4,)])
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    y = torch.nn.functional.conv2d(*leaves, stride=stride)
    np.testing.assert_allclose(cells["forward"](x, w, b, stride), y.detach(), atol=1e-12)
    dy = rng.normal(size=tuple(y.shape))
    y.backward(torch.tensor(dy))
    for ours, leaf in zip(cells["backward"](dy, x, w, stride), leaves, strict=True):
        np.testing.assert_allclose(ours, leaf.grad, atol=1e-12)


def test_the_photographs_are_what_the_page_says(cells: dict[str, Any]) -> None:
    assert cells["china"].shape == cells["flower"].shape == (427, 640)
    assert 0 <= cells["china"].min() < cells["china"].max() <= 1


def test_claims_about_sharing_hold_for_other_seeds(cells: dict[str, Any]) -> None:
    assert 64 / (321 - 65) == 9 / 36
    assert "at $m = 321$" in PAGE
    sigma, amounts = cells["sigma"], cells["amounts"]
    runs = np.array([cells["excess"](seed) for seed in range(100, 105)])
    middle = np.median(runs, axis=0) / sigma**2
    far = amounts >= 512
    ratio = middle[far, 0] / (64 / (amounts[far] - 65))
    assert max(ratio.max(), 1 / ratio.min()) < 1.5
    ratio = middle[3:, 1] * 36 * amounts[3:] / 9  # each the median of five sums of nine squares
    assert max(ratio.max(), 1 / ratio.min()) < 3
    assert 0.6 < ratio.mean() < 1.4
    at = {int(m): k for k, m in enumerate(amounts)}
    assert middle[at[48], 0] > middle[at[16], 0] > middle[at[512], 0]  # worse before 64 than at 16


def test_claims_about_equivariance_hold_for_other_seeds(cells: dict[str, Any]) -> None:
    network, window = cells["network"], cells["china"][150:246, 250:348]
    kinds = {"plain": ({}, 1), "stride": ({"stride": 2}, 2),
             "max": ({"pool": nn.max_pool2d_forward}, 2),
             "average": ({"pool": nn.avg_pool2d_forward}, 2)}
    odd = {}
    for name, (options, step) in kinds.items():
        even, uneven = [], []
        for seed in range(100, 105):
            f = network(seed, **options)
            place = shift_difference(f, window, shift=2, step=step)
            even.append(place[:, 2:-2].max())
            assert place[:, [0, -1]].max() > 1e-3  # the borders
            uneven.append(shift_difference(f, window, shift=1, step=step)[:, 2:-2].mean())
        assert max(even) < 1e-9, name
        odd[name] = np.mean(uneven)
    assert odd["plain"] < 1e-9
    assert odd["stride"] > odd["average"] > 0.05


def test_fields_of_the_page() -> None:
    assert nn.receptive_field([(3, 2), (3, 1), (3, 1)]) == 11  # the self-test
    assert nn.output_size(32, kernel_size=5, padding=2, stride=2) == 16
    assert nn.receptive_field([(3, 1)] * 15) == 31


# ---------------------------------------------------------------- the knob


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_the_knob_computes_what_nnlib_computes(browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    script = (STATIC / "knobs" / "convolution.js").as_uri()
    page.write_text(f"<!doctype html><body><script src='{script}'></script></body>",
                    encoding="utf-8")
    browser.open(page)
    assert browser.exceptions == []
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(9, 11)), rng.normal(size=(3, 3))
    for stride, dilation in [(1, 1), (2, 1), (3, 2), (1, 4)]:
        call = (f"(() => {{ const y = nnKnobs.convolution.filter({x.ravel().tolist()}, 11, 9, "
                f"{w.ravel().tolist()}, {stride}, {dilation}); "
                f"return [y.height, y.width, Array.from(y.values)]; }})()")
        height, width, values = browser.evaluate(call)
        y, _ = nn.conv2d_forward(x[None, None], w[None, None], None, stride=stride,
                                 dilation=dilation)
        np.testing.assert_allclose(np.reshape(values, (height, width)), y[0, 0], atol=1e-12)


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_the_knob_answers_its_controls(browser: Any, tmp_path: Path) -> None:
    x = np.random.default_rng(1).integers(0, 256, size=(20, 30), dtype=np.uint8)
    params = json.dumps({"width": 30, "height": 20,
                         "pixels": base64.b64encode(x.tobytes()).decode()})
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><body><div class='nn-knob' data-knob='convolution' "
                    f"data-params='{params}'></div>"
                    f"<script src='{(STATIC / 'course.js').as_uri()}'></script></body>",
                    encoding="utf-8")
    browser.open(page)
    assert browser.exceptions == []
    size = "JSON.parse(document.querySelector('.nn-knob').dataset.size)"
    total = "Number(document.querySelector('.nn-knob').dataset.sum)"
    first = ("Array.from(document.querySelector('canvas').getContext('2d')"
             ".getImageData(0, 0, 1, 1).data)")
    assert browser.evaluate(size) == [18, 28]
    assert browser.evaluate(total) == 0
    press = "Array.from(document.querySelectorAll('button')).find((b) => b.textContent === '{}')"
    browser.evaluate(press.format("nothing") + ".click()")
    assert browser.evaluate(first) == [int(x[1, 1])] * 3 + [255]
    browser.evaluate(press.format("blur") + ".click()")
    assert browser.evaluate(total) == pytest.approx(1)
    assert browser.evaluate(first)[0] == pytest.approx(x[:3, :3].mean(), abs=0.51)
    # By keyboard: a larger stride makes a smaller picture, a typed weight another sum.
    browser.evaluate("document.querySelector('input[aria-label=\"stride\"]').focus()")
    browser.press("ArrowRight")
    assert browser.evaluate(size) == [nn.output_size(n, kernel_size=3, stride=2) for n in (20, 30)]
    browser.evaluate("(() => { const e = document.querySelector('input[type=number]'); "
                     "e.value = '2'; e.dispatchEvent(new Event('input')); })()")
    assert browser.evaluate(total) == pytest.approx(2 + 8 / 9)


# ---------------------------------------------------------------- exercises


def test_answers_of_the_questions_are_what_the_code_does() -> None:
    torch = pytest.importorskip("torch")

    def count(*layers: Any) -> int:
        return sum(p.numel() for layer in layers for p in layer.parameters())

    conv = torch.nn.Conv2d
    assert grade("convolution_parameters", count(conv(16, 32, 3))).passed
    separable = count(conv(64, 64, 3, groups=64, bias=False), conv(64, 128, 1, bias=False))
    assert grade("separable_parameters", separable, track="torch").passed
    with pytest.raises(ValueError, match="padding='same' is not supported for strided"):
        conv(3, 8, 3, stride=2, padding="same")
    assert grade("same_with_stride", "c", track="torch").passed


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_padding_is_that_of_pytorch_where_pytorch_has_it() -> None:
    torch = pytest.importorskip("torch")
    from nnlib.torch_track import pad_same

    x = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    for kernel, dilation in [((3, 3), (1, 1)), ((4, 2), (1, 1)), ((2, 3), (3, 2))]:
        w = torch.ones(1, 3, *kernel)
        padded = pad_same(x, kernel_size=kernel, dilation=dilation)
        ours = torch.nn.functional.conv2d(padded, w, dilation=dilation)
        theirs = torch.nn.functional.conv2d(x, w, padding="same", dilation=dilation)
        torch.testing.assert_close(ours, theirs)
    for size in range(1, 12):
        for stride in range(1, 5):
            y = torch.nn.functional.max_pool2d(
                pad_same(torch.ones(1, 1, size, size), kernel_size=(3, 4), stride=(stride, 1)),
                (3, 4), (stride, 1))
            assert y.shape[2:] == (-(-size // stride), size)


def test_a_mixture_of_fold_and_unfold_is_no_identity() -> None:
    """Folding what was unfolded counts each pixel once for every window that holds it."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x = torch.ones(1, 1, 4, 4)
    twice = functional.fold(functional.unfold(x, 3), (4, 4), 3)
    assert twice[0, 0, :2, :2].tolist() == [[1.0, 2.0], [2.0, 4.0]]


def test_references_of_the_pytorch_exercises_refuse_bad_input() -> None:
    torch = pytest.importorskip("torch")
    from nnlib import torch_track as tt
    from nnlib.errors import DtypeError, ShapeError

    x, w = torch.ones(1, 2, 5, 5), torch.ones(3, 2, 3, 3)
    with pytest.raises(ShapeError, match=r"conv_by_unfold: w must have shape \(c_out, 2, kh, kw\)"):
        tt.conv_by_unfold(x, torch.ones(3, 1, 3, 3), None)
    with pytest.raises(DtypeError, match="conv_by_unfold: x must hold floats"):
        tt.conv_by_unfold(x.long(), w, None)
    with pytest.raises(ShapeError, match="measure_receptive_field: x must have shape"):
        tt.measure_receptive_field(torch.nn.Conv2d(2, 1, 3), x[0])
    with pytest.raises(ShapeError, match="measure_receptive_field: the output must have shape"):
        tt.measure_receptive_field(torch.nn.Flatten(), x)
    constant = torch.nn.Conv2d(2, 1, 3)
    torch.nn.init.zeros_(constant.weight)
    with pytest.raises(ShapeError, match="must depend on a pixel"):
        tt.measure_receptive_field(constant, x)
    assert constant.training
    with pytest.raises(ValueError, match="pad_same: stride must be an integer >= 1"):
        tt.pad_same(x, kernel_size=(3, 3), stride=(1, 0))
    with pytest.raises(ShapeError, match=r"FixedFilter: kernel must have shape \(kh, kw\)"):
        tt.FixedFilter(w)
    with pytest.raises(ValueError, match="SeparableConv2d: in_channels must be"):
        tt.SeparableConv2d(0, 3, 3)


def test_a_second_derivative_goes_through_the_function() -> None:
    torch = pytest.importorskip("torch")
    from nnlib.torch_track import ConvFunction

    generator = torch.Generator().manual_seed(1)
    x, w, b = (torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_()
               for s in [(2, 2, 5, 4), (3, 2, 3, 2), (3,)])
    assert torch.autograd.gradcheck(lambda *a: ConvFunction.apply(*a, 2, 1), (x, w, b))
    assert torch.autograd.gradgradcheck(lambda *a: ConvFunction.apply(*a, 2, 1), (x, w, b))
