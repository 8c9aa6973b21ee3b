"""The shared figures show what they are given, and refuse what they can't show."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from nnlib import viz
from nnlib.errors import ShapeError

MINUS = "\N{MINUS SIGN}"


@pytest.fixture
def ax():
    with viz.styled():
        yield Figure().subplots()


def texts(ax):
    return [text.get_text() for text in ax.texts]


def rims(ax):
    """Circles drawn as outlines: one per node."""
    return [p for p in ax.patches if isinstance(p, Circle) and p.get_linewidth() > 0]


# --- neurons and networks ---------------------------------------------------------------------


def test_neuron_computes_what_it_shows(ax):
    viz.draw_neuron(ax, x=[1, 2], w=[0.5, -1], b=0.25, activation="relu")
    shown = texts(ax)
    assert f"$z=${MINUS}1.25" in shown
    assert {"0.5", f"{MINUS}1", "0.25", "$x_{2}$"} <= set(shown)
    assert "0" in shown, "relu(-1.25)"


@pytest.mark.parametrize(
    ("activation", "y"),
    [("step", "1"), ("identity", "2"), ("sigmoid", "0.881"), ("tanh", "0.964"), ("relu", "2")],
)
def test_neuron_output(ax, activation, y):
    viz.draw_neuron(ax, x=[1.5], w=[1], b=0.5, activation=activation)
    assert y in texts(ax)


def test_neuron_without_numbers_has_letters_only(ax):
    viz.draw_neuron(ax, 4, bias=False)
    assert [f"$x_{{{i}}}$" in texts(ax) for i in range(1, 6)] == [True] * 4 + [False]
    assert "$b$" not in texts(ax)
    assert not any(char.isdigit() for text in texts(ax) for char in text.split("_")[0])


def test_neuron_errors(ax):
    with pytest.raises(ValueError, match=r"activation must be one of 'step', .* got 'gelu'"):
        viz.draw_neuron(ax, activation="gelu")
    with pytest.raises(ValueError, match=r"x and w must have the same length, got 2 and 3"):
        viz.draw_neuron(ax, x=[1, 2], w=[1, 2, 3])


def test_network_has_a_circle_per_neuron_and_a_line_per_weight(ax):
    viz.draw_network(ax, (3, 4, 2))
    assert len(rims(ax)) == 9
    assert len(ax.lines) == 3 * 4 + 4 * 2
    colors = [to_hex(rim.get_edgecolor()).upper() for rim in rims(ax)]
    names = ["x"] * 3 + ["hidden"] * 4 + ["y"] * 2
    assert colors == [viz.COLORS[name] for name in names]


def test_large_layers_leave_out_their_middle(ax):
    viz.draw_network(ax, (64, 3), max_nodes=7)
    assert "$x_{1}$" in texts(ax)
    assert "$x_{64}$" in texts(ax)
    assert "$x_{32}$" not in texts(ax)
    assert len(rims(ax)) == 6 + 3


def test_weights_set_width_and_dashes(ax):
    viz.draw_network(ax, (2, 1), weights=[[[2.0], [-1.0]]])
    strong, weak = ax.lines
    assert strong.get_linewidth() > weak.get_linewidth()
    assert strong.get_linestyle() == "-"
    assert weak.get_linestyle() == "--"


def test_highlight_picks_the_edges_into_one_neuron(ax):
    viz.draw_network(ax, (3, 2, 1), highlight=(1, 0))
    alphas = [line.get_alpha() for line in ax.lines]
    assert sum(alpha > 0.5 for alpha in alphas) == 3


def test_network_errors(ax):
    with pytest.raises(ValueError, match="at least two layers"):
        viz.draw_network(ax, (3,))
    with pytest.raises(ValueError, match=r"weights must have shapes \[\(2, 3\)\].*transpose"):
        viz.draw_network(ax, (2, 3), weights=[np.ones((3, 2))])


# --- computational graphs -----------------------------------------------------------------------

LINE = [("x", "mul"), ("w", "mul"), ("mul", "add"), ("b", "add"), ("add", "sub"), ("y", "sub")]


def test_graph_runs_from_left_to_right_without_overlap(ax):
    places = viz.draw_graph(ax, LINE)
    for start, end in LINE:
        assert places[start][0] < places[end][0]
    points = np.array(list(places.values()))
    distances = np.linalg.norm(points[:, None] - points, axis=-1) + 9 * np.eye(len(points))
    assert distances.min() > 0.8
    assert places["mul"][1] == places["add"][1] == places["sub"][1], "the chain is straight"
    assert places["b"][1] == places["y"][1] < places["mul"][1], "leaves hang below it"
    assert {"$x$", "$b$", r"$\times$", "$+$", "$-$"} <= set(texts(ax))


def test_leaves_hang_below_however_the_edges_are_ordered(ax):
    places = viz.draw_graph(ax, [("b", "add"), ("mul", "add"), ("x", "mul"), ("w", "mul")])
    assert places["b"][1] < places["mul"][1] == places["add"][1]


def test_graph_puts_values_above_and_gradients_below(ax):
    viz.draw_graph(
        ax,
        [("x", "square")],
        values={"x": -3, "square": 9},
        gradients={"x": -6, "square": 1},
    )
    where = {t.get_text(): t for t in ax.texts}
    assert where[f"{MINUS}3"].get_position()[1] > 0 > where[f"{MINUS}6"].get_position()[1]
    assert where["9"].get_position()[1] > 0 > where["1"].get_position()[1]
    assert where[f"{MINUS}6"].get_color() == viz.TEXT_COLORS["gradient"]
    assert where[f"{MINUS}3"].get_color() == viz.TEXT_COLORS["ink"]


def test_gradients_may_differ_by_edge(ax):
    edges = [("x", "mul"), ("x", "add"), ("mul", "add")]
    viz.draw_graph(ax, edges, gradients={("x", "mul"): 31, ("x", "add"): 32, "mul": 33})
    assert {"31", "32", "33"} <= set(texts(ax))


def test_graph_takes_positions_labels_and_colours(ax):
    places = viz.draw_graph(
        ax,
        [("a", "f")],
        positions={"f": (2, 1)},
        labels={"a": "alpha"},
        colors={"f": "b"},
    )
    assert places["f"] == (2 * 1.9, 1.25)
    assert "alpha" in texts(ax)
    assert viz.COLORS["b"].lower() in [to_hex(r.get_edgecolor()) for r in rims(ax)]


def test_graph_errors(ax):
    with pytest.raises(ValueError, match="must not form a cycle"):
        viz.draw_graph(ax, [("a", "f"), ("f", "a")])
    with pytest.raises(ValueError, match=r"gradients must name nodes or edges .* got 'z'"):
        viz.draw_graph(ax, [("a", "f")], gradients={"z": 1})
    with pytest.raises(ValueError, match=r"highlight must name"):
        viz.draw_graph(ax, [("a", "f")], highlight=[("f", "a")])


# --- plots --------------------------------------------------------------------------------------

POINTS = np.array([[-1.0, 0.0], [-2.0, 1.0], [1.0, 0.5], [2.0, -1.0]])
LABELS = np.array([0, 0, 1, 1])


def region_colors(ax):
    return [to_hex(c) for s in ax.collections for c in s.get_facecolor()[:1] if s.get_alpha()]


@pytest.mark.parametrize(
    "predict",
    [
        lambda p: (p[:, 0] > 0).astype(int),
        lambda p: (p[:, 0] > 0).astype(float),
        lambda p: 1 / (1 + np.exp(-p[:, 0])),
        lambda p: 1 / (1 + np.exp(-p[:, :1])),
        lambda p: np.stack([-p[:, 0], p[:, 0]], axis=1),
    ],
    ids=["labels", "float labels", "probability", "column", "scores"],
)
def test_decision_boundary_is_where_the_prediction_changes(ax, predict):
    viz.decision_regions(ax, predict, POINTS, LABELS, limits=(-3, 3, -2, 2))
    # Filled region, line, filled region, and one scatter per class.
    boundary = ax.collections[1].get_paths()[0].vertices
    assert np.abs(boundary[:, 0]).max() < 6 / 249
    left, right = (ax.collections[i].get_paths()[0].vertices[:, 0] for i in (0, 2))
    # The fills meet at the boundary: no overlap, no gap.
    assert abs(left.max()) < 0.03
    assert abs(right.min()) < 0.03
    assert region_colors(ax) == [viz.CYCLE[0].lower(), viz.CYCLE[1].lower()]


def test_classes_have_their_own_colour_and_marker(ax):
    viz.scatter_classes(ax, POINTS, ["a", "a", "b", "b"], class_names=("first", "second"))
    one, two = ax.collections
    assert to_hex(one.get_facecolor()[0]) != to_hex(two.get_facecolor()[0])
    assert not np.array_equal(one.get_paths()[0].vertices[:4], two.get_paths()[0].vertices[:4])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["first", "second"]
    assert one.get_offsets().tolist() == POINTS[:2].tolist()


def test_a_constant_prediction_has_no_boundary(ax):
    viz.decision_regions(ax, lambda p: np.zeros(len(p), dtype=int), POINTS, LABELS)
    assert region_colors(ax) == [viz.CYCLE[0].lower()]


def test_plus_minus_labels_work(ax):
    viz.decision_regions(ax, lambda p: np.where(p[:, 0] > 0, 1.0, -1.0), POINTS, 2 * LABELS - 1)
    assert len(region_colors(ax)) == 2


def test_region_errors(ax):
    with pytest.raises(ShapeError, match=r"x must have shape \(n, 2\), got \(4, 1\)"):
        viz.decision_regions(ax, len, POINTS[:, :1], LABELS)
    with pytest.raises(ShapeError, match=r"y must have shape \(4,\).*one-hot"):
        viz.decision_regions(ax, len, POINTS, np.eye(4))
    with pytest.raises(ShapeError, match=r"predict must return .* got \(\)"):
        viz.decision_regions(ax, np.mean, POINTS, LABELS)


def test_band_spans_the_runs(ax):
    runs = np.array([[1.0, 5.0], [2.0, 7.0], [6.0, 9.0]])
    viz.plot_with_band(ax, [0, 1], runs, label="adam", color="w")
    assert ax.lines[0].get_ydata().tolist() == [3.0, 7.0]
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (1.0, 9.0)
    assert ax.lines[0].get_color() == viz.COLORS["w"]
    viz.plot_with_band(ax, [0, 1], runs, band="std", center="median")
    assert ax.lines[1].get_ydata().tolist() == [2.0, 7.0]
    assert ax.collections[1].get_paths()[0].vertices[:, 1].max() == pytest.approx(9.0)


def test_band_errors(ax):
    with pytest.raises(ShapeError, match=r"runs must have shape \(runs, 2\).*got \(2, 3\)"):
        viz.plot_with_band(ax, [0, 1], np.ones((2, 3)))
    with pytest.raises(ValueError, match="band must be 'minmax' or 'std', got 'sem'"):
        viz.plot_with_band(ax, [0, 1], np.ones((3, 2)), band="sem")
    with pytest.raises(ValueError, match="center must be"):
        viz.plot_with_band(ax, [0, 1], np.ones((3, 2)), center="mode")


# --- grids --------------------------------------------------------------------------------------


def test_grid_shows_values_shape_and_label(ax):
    box = viz.matrix_grid(ax, [[1, -2, 3], [4, 5, 6]], label="$x$", origin=(2, 1))
    assert box == (2, 5, -1, 1)
    assert {"1", f"{MINUS}2", "6", "(2, 3)", "$x$"} <= set(texts(ax))
    cells = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_linewidth() > 0]
    assert len(cells) == 6
    # Row 0 is on top.
    where = {t.get_text(): t.get_position() for t in ax.texts}
    assert where["1"][1] > where["4"][1]
    assert where["1"][0] < where["3"][0]


@pytest.mark.parametrize(
    ("array", "solid"), [([1, 2, 3], 3), ([[1], [2]], 2), (7, 1), (np.ones((2, 3)), 6)]
)
def test_broadcast_copies_are_dashed(ax, array, solid):
    box = viz.matrix_grid(ax, array, broadcast_to=(2, 3))
    assert (box.right - box.left, box.top - box.bottom) == (3, 2)
    cells = [p for p in ax.patches if p.get_linewidth() > 0]
    assert len(cells) == 6
    assert sum(cell.get_linestyle() in ("-", "solid") for cell in cells) == solid


def test_highlight_fills_rows_and_columns(ax):
    viz.matrix_grid(ax, np.zeros((3, 4)), highlight_rows=[0], highlight_columns=[1])
    tints = [p.get_alpha() for p in ax.patches if p.get_linewidth() == 0]
    assert sum(tint > 0.3 for tint in tints) == 4 + 2


def test_grids_side_by_side_all_fit(ax):
    first = viz.matrix_grid(ax, np.ones((2, 2)))
    last = viz.matrix_grid(ax, np.ones((2, 5)), origin=(first.right + 2, 0))
    low, high = ax.get_xlim()
    assert low < first.left
    assert high > last.right


def test_grid_errors(ax):
    with pytest.raises(ShapeError, match=r"at most two axes, got shape \(1, 2, 3\)"):
        viz.matrix_grid(ax, np.ones((1, 2, 3)))
    with pytest.raises(ShapeError, match=r"\(2,\) must broadcast to \(2, 3\).*from the right"):
        viz.matrix_grid(ax, [1, 2], broadcast_to=(2, 3))
