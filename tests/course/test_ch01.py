"""Chapter 1: what the text derives and no cell of the page checks."""

import math
from itertools import pairwise
from pathlib import Path

import jupytext
import numpy as np
import pytest
import torch

import nnlib.numpy_track as nn_numpy
import nnlib.torch_track as nn_torch
from nnlib import data
from nnlib.checks import grade
from nnlib.contract import find, questions
from nnlib.errors import ShapeError

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = "01-neurons"
SEEDS = range(8)


def separable(seed: int, margin: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return data.make_linearly_separable(rng, 40, margin=margin, w=[1.0, -2.0], b=0.5)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("learning_rate", [1.0, 0.25, 3.0])
def test_an_update_moves_z_by_the_derived_amount(seed: int, learning_rate: float) -> None:
    rng = np.random.default_rng(seed)
    x, w, b = rng.normal(size=4), rng.normal(size=4), float(rng.normal())
    before = x @ w + b
    t = int(before < 0)  # always wrong
    new_w, new_b = nn_numpy.perceptron_update(x, t, w, b, learning_rate=learning_rate)
    step = learning_rate * (2 * t - 1) * (x @ x + 1)  # eq-perceptron-gain
    assert x @ new_w + new_b == pytest.approx(before + step, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_from_zero_the_learning_rate_only_scales(seed: int) -> None:
    x, t = separable(seed)
    one = nn_numpy.perceptron_fit(x, t, epochs=500)
    eighth = nn_numpy.perceptron_fit(x, t, epochs=500, learning_rate=0.125)  # exact in binary
    assert eighth.errors == one.errors
    np.testing.assert_array_equal(eighth.w, 0.125 * one.w)
    assert eighth.b == 0.125 * one.b


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("margin", [0.05, 0.4])
def test_updates_stay_under_the_bound(seed: int, margin: float) -> None:
    x, t = separable(seed, margin)
    augmented = np.column_stack([x, np.ones(len(x))])
    u = np.array([1.0, -2.0, 0.5])
    u /= np.linalg.norm(u)
    gamma = ((2 * t - 1) * (augmented @ u)).min()
    radius = np.linalg.norm(augmented, axis=1).max()
    errors = nn_numpy.perceptron_fit(x, t, epochs=2000).errors
    assert gamma > 0
    assert errors[-1] == 0
    assert 0 < sum(errors) <= (radius / gamma) ** 2


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4])
def test_growth_and_progress_at_every_update(seed: int) -> None:
    """The two halves of the proof, not only its conclusion."""
    x, t = separable(seed, 0.01)
    u = np.array([1.0, -2.0, 0.5]) / np.linalg.norm([1.0, -2.0, 0.5])
    augmented = np.column_stack([x, np.ones(len(x))])
    gamma = ((2 * t - 1) * (augmented @ u)).min()
    v, updates = np.zeros(3), 0
    for _ in range(200):
        for row, target in zip(augmented, t, strict=True):
            w, b = nn_numpy.perceptron_update(row[:2], int(target), v[:2], float(v[2]))
            new = np.append(w, b)
            if not np.array_equal(new, v):
                updates += 1
                assert u @ new - u @ v >= gamma - 1e-12
                assert new @ new - v @ v <= row @ row + 1e-12
            v = new
    assert updates > 1


@pytest.mark.parametrize("seed", SEEDS)
def test_distance_leads_to_the_line_along_w(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w, b = rng.normal(size=(5, 3)), rng.normal(size=3), float(rng.normal())
    r = nn_numpy.signed_distance(x, w, b)
    foot = x - r[:, None] * w / np.linalg.norm(w)
    np.testing.assert_allclose(foot @ w + b, 0.0, atol=1e-12)
    np.testing.assert_array_equal(r >= 0, nn_numpy.neuron_forward(x, w, b) == 1)
    twin = nn_torch.signed_distance(torch.from_numpy(x), torch.from_numpy(w), b)
    np.testing.assert_allclose(twin.numpy(), r, rtol=1e-12)
    # Scaling w and b alike moves nothing.
    np.testing.assert_allclose(nn_numpy.signed_distance(x, 7 * w, 7 * b), r, rtol=1e-12)


@pytest.mark.parametrize("track", [nn_numpy, nn_torch])
def test_distance_refuses_a_zero_vector_and_a_transposed_batch(track) -> None:
    make = np.zeros if track is nn_numpy else lambda shape: torch.zeros(shape).double()
    with pytest.raises(ValueError, match="w must not be zero"):
        track.signed_distance(make((2, 3)), make((3,)), 1.0)
    with pytest.raises(ShapeError, match=r"x must have shape \(n, 2\), got \(2, 3\)"):
        track.signed_distance(make((2, 3)), make((2,)) + 1.0, 1.0)


def test_the_four_xor_sums_contradict_each_other() -> None:
    """The proof adds the sums in pairs: both pairs give the same total for every neuron."""
    rng = np.random.default_rng(0)
    corners, xor = data.logic_gate("xor")
    z = corners @ rng.normal(size=(2, 1000)) + rng.normal(size=1000)
    np.testing.assert_allclose(z[0] + z[3], z[1] + z[2], atol=1e-12)
    right = ((z >= 0) == (xor[:, None] == 1)).sum(axis=0)
    assert right.max() == 3


def test_both_tracks_agree() -> None:
    x, t = separable(1)
    fit = nn_numpy.perceptron_fit(x, t)
    twin = nn_torch.perceptron_fit(torch.from_numpy(x), torch.from_numpy(t))
    np.testing.assert_allclose(twin.w.numpy(), fit.w, rtol=1e-12)
    assert twin.errors == fit.errors
    for name, (w, b) in nn_numpy.gate_neurons.items():
        assert nn_torch.gate_neurons[name][0].tolist() == w.tolist()
        assert nn_torch.gate_neurons[name][1] == b


def test_perceptron_step_is_the_rule() -> None:
    rng = np.random.default_rng(2)
    neuron = nn_torch.LinearNeuron(3).double()
    w, b, changed = np.zeros(3), 0.0, 0
    for _ in range(60):
        x, t = rng.normal(size=3), int(rng.integers(2))
        w, b = nn_numpy.perceptron_update(x, t, w, b, learning_rate=0.5)
        changed += nn_torch.perceptron_step(neuron, torch.from_numpy(x), t, learning_rate=0.5)
    assert changed > 5
    np.testing.assert_allclose(neuron.weight.detach().numpy(), w, rtol=1e-12)
    assert neuron.bias.item() == pytest.approx(b)
    assert neuron.weight.requires_grad


def test_xor_net_keeps_its_numbers_and_learns_none() -> None:
    net = nn_torch.XorNet()
    assert not list(net.parameters())
    assert len(net.state_dict()) == 4
    corners, xor = data.logic_gate("xor")
    out = net.double()(torch.from_numpy(corners))
    assert out.dtype == torch.float64
    assert out.tolist() == xor.tolist()


def test_the_logistic_neuron_starts_at_log_2_and_settles_on_overlapping_data() -> None:
    x, t = data.make_blobs(np.random.default_rng(0), 60, centers=[[-1, 0], [1, 0]], spread=1.0)
    w, b, losses = nn_torch.train_logistic_neuron(
        torch.from_numpy(x), torch.from_numpy(t), steps=3000, learning_rate=1.0)
    assert losses[0] == pytest.approx(math.log(2))
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(losses))
    assert losses[-2] - losses[-1] < 1e-9, "it settles"
    error = 1 / (1 + np.exp(-(x @ w.numpy() + b.item()))) - t
    np.testing.assert_allclose(x.T @ error / len(x), 0.0, atol=1e-4)
    assert nn_numpy.perceptron_fit(x, t, epochs=200).errors[-1] > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_every_valid_gate_is_accepted_and_no_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners, _ = data.logic_gate("and")
    verdicts = []
    for _ in range(80):
        w, b = rng.uniform(-2, 2, size=2), float(rng.uniform(-3, 3))
        table = nn_numpy.neuron_forward(corners, w, b).tolist()
        for name in ("and", "or", "nand"):
            gates = dict(nn_numpy.gate_neurons) | {name: (w, b)}
            full = grade("gate_neurons", gates).points_fraction == 1.0
            if table == data.logic_gate(name)[1].tolist():
                assert full, (name, w, b)
                verdicts.append(name)
                break
        else:
            gates = dict(nn_numpy.gate_neurons) | {"and": (w, b)}
            assert grade("gate_neurons", gates).points_fraction < 1.0
    assert verdicts


@pytest.mark.parametrize("handed_in", [
    None, 5, [], {}, {"and": 1}, {"and": (np.ones(3), 0.0)}, {"and": ([1, math.nan], -1)},
    {"and": ("one", 2)}, {"AND": ([1, 1], -1.5)}, {"and": ([1, 1], [1, 2])},
])
def test_gates_of_a_wrong_kind_get_no_points_and_no_exception(handed_in: object) -> None:
    report = grade("gate_neurons", handed_in)
    assert report.points_fraction == 0.0
    assert str(report)


def test_each_gate_earns_its_third() -> None:
    gates = dict(nn_numpy.gate_neurons) | {"nand": ([1.0, 1.0], -1.5)}
    report = grade("gate_neurons", gates)
    assert report.points_fraction == pytest.approx(2 / 3)
    assert report.mistake == "nand_is_and"


def test_number_questions_are_answered_by_computation() -> None:
    x = np.array([3.0, -1.0, 1.0])
    w = 1.5 * x / (x @ x)
    new_w, new_b = nn_numpy.perceptron_update(x, 0, w, 0.0, learning_rate=0.5)
    assert find("answer_update_change").answer == pytest.approx(x @ new_w + new_b)
    layer = torch.nn.Linear(10, 3)
    assert find("answer_linear_numbers").answer == sum(p.numel() for p in layer.parameters())
    corners, xor = data.logic_gate("xor")
    errors = nn_numpy.perceptron_fit(corners, xor, epochs=1000).errors
    assert len(errors) == 1000
    assert min(errors) > 0
    assert find("answer_xor_epochs").answer == "c"


def test_the_notebooks_print_the_questions_options() -> None:
    for track in ("numpy", "torch"):
        notebook = jupytext.read(ROOT / "solutions" / CHAPTER / f"neurons_{track}.md")
        text = "\n".join(cell.source for cell in notebook.cells).replace("`", "")
        own = list(questions(track=track, chapter=CHAPTER))
        assert len(own) == 2
        for question in own:
            assert set(question.why).isdisjoint({question.answer})
            for letter, option in question.options.items():
                assert f"**{letter}** {option}" in text
