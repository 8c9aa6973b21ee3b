"""The figures that move: their arithmetic against NumPy, and their controls by keyboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

STATIC = Path(__file__).parents[2] / "book" / "_static"

# One worker, one browser.
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">
<title>knobs</title><link rel="stylesheet" href="{static}/course.css">
<body class="bd-content"><article class="bd-article">{body}</article>{scripts}</body></html>"""


def show(browser: Any, folder: Path, body: str, *scripts: str) -> None:
    """Open a page made of `body` and the book's own scripts."""
    tags = "".join(f'<script src="{(STATIC / name).as_uri()}"></script>' for name in scripts)
    page = folder / "page.html"
    page.write_text(PAGE.format(static=STATIC.as_uri(), body=body, scripts=tags), encoding="utf-8")
    browser.open(page)
    assert browser.exceptions == []


def network(p: dict[str, float]) -> tuple[float, float, float, float]:
    """Return z, h, yhat and the loss of the network with one hidden unit."""
    z = p["w1"] * p["x"] + p["b1"]
    h = float(np.tanh(z))
    yhat = p["w2"] * h + p["b2"]
    return z, h, yhat, 0.5 * (yhat - p["t"]) ** 2


def test_hidden_unit_forward_and_backward(browser: Any, tmp_path: Path) -> None:
    """Values equal NumPy's, and every gradient equals a central difference of the loss."""
    show(browser, tmp_path, "", "knobs/hidden-unit.js")
    rng = np.random.default_rng(5)
    for _ in range(5):
        drawn = rng.uniform(-2, 2, size=6)
        p = {k: float(v) for k, v in zip(("x", "w1", "b1", "w2", "b2", "t"), drawn, strict=True)}
        got = browser.evaluate(f"nnKnobs.hiddenUnit.compute({json.dumps(p)})")
        expected = network(p)
        np.testing.assert_allclose(
            [got[k] for k in ("z", "h", "yhat", "loss")], expected, rtol=1e-12
        )
        eps = 1e-6
        for name in ("x", "w1", "b1", "w2", "b2"):
            up, down = ({**p, name: p[name] + sign * eps} for sign in (1, -1))
            slope = (network(up)[3] - network(down)[3]) / (2 * eps)
            np.testing.assert_allclose(got["d" + name], slope, rtol=1e-5, atol=1e-8)


def test_hidden_unit_step_goes_against_the_gradient(browser: Any, tmp_path: Path) -> None:
    """One step changes the four parameters, leaves x and t, and lowers the loss."""
    show(browser, tmp_path, "", "knobs/hidden-unit.js")
    p = {"x": 1.5, "w1": 0.8, "b1": -0.4, "w2": -1.2, "b2": 0.3, "t": 1.0}
    gradients = browser.evaluate(f"nnKnobs.hiddenUnit.compute({json.dumps(p)})")
    after = browser.evaluate(f"nnKnobs.hiddenUnit.step({json.dumps(p)}, 0.1)")
    for name in ("w1", "b1", "w2", "b2"):
        assert after[name] == pytest.approx(p[name] - 0.1 * gradients["d" + name], rel=1e-12)
    assert (after["x"], after["t"]) == (p["x"], p["t"])
    assert network(after)[3] < network(p)[3]


def test_hidden_unit_shows_what_it_computes(browser: Any, tmp_path: Path) -> None:
    """The gradients drawn are the gradients computed, and the button takes a step."""
    start = {"x": 2, "w1": 0.5, "b1": 0, "w2": 1, "b2": 0, "t": 0, "lr": 0.1}
    body = f"<div class='nn-knob' data-knob='hidden-unit' data-params='{json.dumps(start)}'></div>"
    show(browser, tmp_path, body, "course.js")
    shown = browser.evaluate(
        "Object.fromEntries(Array.from(document.querySelectorAll('[data-gradient]')).map("
        "(e) => [e.dataset.gradient, Number(e.textContent.replace('−', '-'))]))"
    )
    computed = browser.evaluate(f"nnKnobs.hiddenUnit.compute({json.dumps(start)})")
    assert set(shown) == {"dx", "dw1", "db1", "dz", "dh", "dw2", "db2", "dyhat"}
    for name, value in shown.items():
        assert value == pytest.approx(computed[name], abs=5e-4)
    loss = "Number(document.querySelector('.nn-knob').dataset.loss)"
    before = browser.evaluate(loss)
    browser.evaluate("document.querySelector('.nn-knob button').click()")
    assert browser.evaluate(loss) < before


def perceptron_errors(params: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the indices of the points that the neuron gets wrong."""
    z = points[:, :2] @ params[:2] + params[2]
    return np.flatnonzero((z >= 0).astype(float) != points[:, 2])


def test_neuron_follows_the_perceptron_rule(browser: Any, tmp_path: Path) -> None:
    """Every update equals NumPy's, and on the built-in points the rule ends without errors."""
    show(browser, tmp_path, "", "knobs/neuron.js")
    points = np.array(browser.evaluate("nnKnobs.neuron.points"), dtype=float)
    assert points.shape == (20, 3)
    assert set(points[:, 2]) == {0.0, 1.0}
    params = np.array([-1.0, 1.5, 1.0])
    for _step in range(200):
        wrong = perceptron_errors(params, points)
        state = dict(zip(("w1", "w2", "b"), params.tolist(), strict=True))
        call = f"nnKnobs.neuron.update({json.dumps(state)}, nnKnobs.neuron.points)"
        got = browser.evaluate(call)
        if wrong.size == 0:
            assert got["index"] is None
            break
        x1, x2, target = points[wrong[0]]
        output = float(params[0] * x1 + params[1] * x2 + params[2] >= 0)
        params = params + (target - output) * np.array([x1, x2, 1.0])
        assert got["index"] == wrong[0]
        np.testing.assert_allclose([got["params"][k] for k in ("w1", "w2", "b")], params)
    assert perceptron_errors(params, points).size == 0


def test_neuron_counts_a_sum_of_zero_as_one(browser: Any, tmp_path: Path) -> None:
    """The threshold belongs to class 1."""
    show(browser, tmp_path, "", "knobs/neuron.js")
    call = "nnKnobs.neuron.compute({w1: 1, w2: -1, b: 0}, [2, 2, 1])"
    assert browser.evaluate(call) == {"z": 0, "y": 1}


def test_neuron_controls_work(browser: Any, tmp_path: Path) -> None:
    """The arrow keys move a weight, the button learns, dragging the line changes only the bias."""
    show(browser, tmp_path, '<div class="nn-knob" data-knob="neuron"></div>', "course.js")
    values = (
        "Array.from(document.querySelectorAll('.nn-knob output')).map((e) => Number(e.textContent))"
    )
    before = browser.evaluate(values)
    browser.evaluate("document.querySelector('.nn-knob input').focus()")
    browser.press("ArrowRight")
    after = browser.evaluate(values)
    assert after[0] > before[0]
    assert after[1:] == before[1:]
    browser.evaluate(
        """(() => {
          const line = document.querySelector('line.nn-handle');
          line.setPointerCapture = () => {};
          const box = document.querySelector('.nn-knob svg').getBoundingClientRect();
          const at = (type) => line.dispatchEvent(new PointerEvent(type, {bubbles: true,
            pointerId: 1, clientX: box.left + box.width / 2, clientY: box.top + box.height / 4}));
          at('pointerdown'); at('pointermove'); at('pointerup');
        })()"""
    )
    dragged = browser.evaluate(values)
    assert dragged[:2] == after[:2]
    assert dragged[2] == pytest.approx(-1.5 * after[1], abs=0.02)
    browser.evaluate(
        "for (let i = 0; i < 200; i += 1) document.querySelector('.nn-knob button').click()"
    )
    assert browser.evaluate("document.querySelector('.nn-knob').dataset.errors") == "0"
    assert browser.evaluate("document.querySelector('.nn-knob button').disabled") is True


CELLS = "".join(
    f'<div class="cell tag_track-{track} container"><pre>{track}</pre></div>'
    for track in ("numpy", "torch", "torch")
)


def test_track_tabs_answer_the_keyboard(browser: Any, tmp_path: Path) -> None:
    """Adjacent cells become one tab set with the roles and keys that assistive software expects."""
    show(browser, tmp_path, CELLS + "<p>between</p>" + CELLS, "tracks.js")
    browser.evaluate("localStorage.clear(); nnTracks.show('numpy')")
    state = (
        "Array.from(document.querySelectorAll('[role=tabpanel]')).filter((p) => !p.hidden)"
        ".map((p) => p.textContent)"
    )
    assert browser.evaluate("document.querySelectorAll('[role=tablist]').length") == 2
    assert browser.evaluate(state) == ["numpy", "numpy"]
    browser.evaluate("document.querySelector('[role=tab][aria-selected=true]').focus()")
    browser.press("ArrowRight")
    assert browser.evaluate(state) == ["torchtorch", "torchtorch"]
    assert browser.evaluate("document.activeElement.dataset.track") == "torch"
    browser.press("Home")
    assert browser.evaluate(state) == ["numpy", "numpy"]
    labelled = (
        "Array.from(document.querySelectorAll('[role=tabpanel]')).every((p) => "
        "document.getElementById(p.getAttribute('aria-labelledby')).getAttribute('aria-controls')"
        " === p.id)"
    )
    assert browser.evaluate(labelled) is True


def test_a_lone_track_keeps_its_label(browser: Any, tmp_path: Path) -> None:
    """A cell of one track without its counterpart is no tab set and stays visible."""
    body = '<div class="cell tag_track-torch container"><pre>torch</pre></div>'
    show(browser, tmp_path, body, "tracks.js")
    assert browser.evaluate("document.querySelectorAll('[role=tablist]').length") == 0
    label = "getComputedStyle(document.querySelector('.cell'), '::before').content"
    assert browser.evaluate(label) == '"PyTorch"'


def test_self_test_explains_and_keeps_the_first_try(browser: Any, tmp_path: Path) -> None:
    """A wrong choice is explained; correcting it changes the verdict, not the score."""
    options = "".join(
        f'<div class="nn-option" data-correct="{right}"><div class="nn-option-text">{text}</div>'
        f'<details class="nn-why"><summary>?</summary><div>why {text}</div></details></div>'
        for text, right in (("six", "true"), ("nine", "false"))
    )
    body = (
        '<section class="nn-selftest"><div class="nn-question" data-name="q" data-shuffle="true">'
        f'<div class="nn-prompt">Q</div>{options}</div></section>'
    )
    show(browser, tmp_path, body, "selftest.js")
    pick = "document.querySelector('.nn-option[data-correct={}] input').click();"
    verdict = "document.querySelector('.nn-verdict').textContent"
    score = "document.querySelector('.nn-score').textContent"
    assert browser.evaluate(pick.format("false") + verdict) == "why nine"
    assert browser.evaluate(score) == "0 of 1 right at the first try."
    assert browser.evaluate(pick.format("true") + verdict) == "why six"
    assert browser.evaluate(score) == "0 of 1 right at the first try."
    assert browser.evaluate("document.querySelector('.nn-why').hidden") is True
