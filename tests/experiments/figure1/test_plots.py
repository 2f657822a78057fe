"""The pictures: what is drawn where."""

from __future__ import annotations

import pytest
from matplotlib import rc_context
from PIL import Image

from tests.experiments.figure1.fakes import make_document, make_plan, make_run
from tinyalex.experiments.figure1.plots import ASIDE, FONT, STYLES, draw_factor, draw_figure, figure_of_curves, figure_of_factors

PLAN = make_plan(seeds=(0, 1, 2))
CURVES = ([0.6, 0.4, 0.2], [0.5, 0.3, 0.1], [0.7, 0.5, 0.3, 0.2])


@pytest.fixture
def runs():
    runs = [make_run(curve, seed=seed) for seed, curve in enumerate(CURVES)]
    runs += [make_run([0.8, 0.7, 0.5], activation="tanh", seed=seed) for seed in range(3)]
    return [*runs, make_run([0.9, 0.9], lr=0.02), make_run([], activation="tanh", lr=0.02, diverged="nan")]


def lines(panel):
    """Points by label."""
    return {line.get_label(): [tuple(map(float, point)) for point in line.get_xydata()] for line in panel.lines}  # others: _child0, ...


def test_median_band_and_each_seed_are_drawn(runs):
    panel = figure_of_curves(make_document(runs, [PLAN])).axes[0]
    drawn = lines(panel)
    assert drawn["ReLU"] == [(0, 0.9), (1, 0.6), (2, 0.4), (3, 0.2)]
    assert drawn["tanh"] == [(0, 0.9), (1, 0.8), (2, 0.7), (3, 0.5)]
    assert [(0, 0.9), (1, 0.7), (2, 0.5), (3, 0.3), (4, 0.2)] in drawn.values()
    corners = panel.collections[0].get_paths()[0].vertices
    assert corners[corners[:, 0] == 2][:, 1].min() == 0.3 and corners[corners[:, 0] == 2][:, 1].max() == 0.5
    assert [text.get_text() for text in panel.texts] == ["ReLU: 2.8 epochs", "tanh: not in 3"] and panel.get_legend() is None
    assert [(2.75, 0), (2.75, 0.25)] in drawn.values()


def test_target_is_a_level_line(runs):
    panel = figure_of_curves(make_document(runs, [PLAN])).axes[0]
    assert [(0, 0.25), (1, 0.25)] in lines(panel).values()


def test_labels_lie_below_the_target_and_inside_the_panel(runs):
    names = ("relu", "tanh", "sigmoid", "abstanh")
    all_four = [*runs, *(make_run([0.6, 0.3, 0.2], activation=name) for name in names[2:])]
    figure = figure_of_curves(make_document(all_four, [make_plan(activations=names, seeds=(0, 1, 2))]))
    figure.canvas.draw()
    (panel,) = figure.axes
    boxes = [text.get_window_extent() for text in panel.texts]
    frame = panel.get_window_extent()
    level = panel.transData.transform((0, 0.25))[1]
    assert len(boxes) == 4 and all(frame.x0 < box.x0 < box.x1 < frame.x1 and frame.y0 < box.y0 < box.y1 < level for box in boxes)
    assert all(above.y0 > below.y0 for above, below in zip(boxes, boxes[1:], strict=False))


@pytest.mark.parametrize("needed", [2, 5, 6, 7, 8, 9, 13])
def test_label_stays_inside_its_panel_wherever_the_crossing_is(needed):
    runs = [make_run([0.8] * (epochs - 1) + [0.25], setup=setup, activation=name)
            for setup in ("2012", "fan-in") for name, epochs in (("relu", needed), ("tanh", 14))]  # fmt: skip
    document = make_document(runs, [make_plan("2012"), make_plan("fan-in")])
    with rc_context(FONT):
        figure = figure_of_curves(document)
        figure.canvas.draw()
    for panel in figure.axes:
        frame = panel.get_window_extent()
        assert all(frame.x0 < text.get_window_extent().x0 and text.get_window_extent().x1 < frame.x1 for text in panel.texts)


def test_activations_differ_in_color_and_dash_and_relu_is_solid():
    assert STYLES["relu"]["linestyle"] == "-"
    for key in ("color", "linestyle"):
        assert len({str(style[key]) for style in STYLES.values()}) == len(STYLES)


def test_each_setup_has_a_panel_on_the_same_scale(runs):
    both = [*runs, *(make_run([0.5, 0.2], setup="fan-in", activation=name) for name in ("relu", "tanh"))]
    figure = figure_of_curves(make_document(both, [PLAN, make_plan("fan-in")]))
    left, right = figure.axes
    assert [panel.get_title() for panel in (left, right)] == [
        "setup 2012: raw pixels\ntanh needs over 1.1 times the epochs",
        "setup fan-in: scaled inputs\ntanh needs 1.0 times the epochs",
    ]
    assert left.get_ylim() == right.get_ylim() and left.get_xlim() == right.get_xlim()


@pytest.mark.parametrize(("synthetic", "title"), [(True, "384 synthetic images, not photographs"), (False, "384 images of synthetic")])
def test_data_stands_in_the_picture(runs, synthetic, title):
    for draw in (figure_of_curves, figure_of_factors):
        figure = draw(make_document(runs, [PLAN], synthetic))
        assert figure.get_suptitle() == title and "synthetic shapes, seed 0;" in figure.get_supxlabel()


def test_sweep_of_the_record_is_called_so(runs):
    document = make_document(runs, [PLAN])
    document["setups"]["2012"]["activations"]["tanh"]["sweep_from"] = "record"
    assert "; rates other than the best: from the shipped record; " in figure_of_factors(document).get_supxlabel()


def test_every_rate_of_the_sweep_is_drawn_and_the_best_marked(runs):
    runs += [make_run([0.8, 0.7, 0.6], lr=0.04), make_run([0.8] * 6 + [0.25], activation="tanh", lr=0.04)]
    plan = make_plan(rates=(0.01, 0.02, 0.04), seeds=(0, 1, 2))
    (panel,) = figure_of_factors(make_document(runs, [plan])).axes
    drawn, first = lines(panel), pytest.approx(2.75)
    assert drawn["ReLU, reached"] == [(0.01, first)] and drawn["ReLU, stopped"] == [(0.02, 2), (0.04, 3)]
    assert drawn["tanh, reached"] == [(0.04 * ASIDE, 7)] and drawn["tanh, stopped"] == [(0.01 * ASIDE, 3)]
    assert [lr for lr, _ in drawn["tanh, diverged"]] == [0.02 * ASIDE] and drawn["ReLU, diverged"] == []
    rings = [tuple(map(float, line.get_xydata()[0])) for line in panel.lines if line.get_markersize() == 18]
    assert rings == [(0.01, first), (0.04 * ASIDE, 7)]
    assert [text.get_text() for text in panel.texts if text.get_text()] == ["ReLU: 2.8", "tanh: 7.0"]
    assert panel.get_ylim()[0] < 2 and panel.get_ylim()[1] > 7 and panel.get_legend() is None


def test_line_leads_only_through_runs_that_have_ended(runs):
    (panel,) = figure_of_factors(make_document(runs[:3] + [make_run([0.8], lr=0.02)], [PLAN])).axes
    dashes = [[tuple(map(float, point)) for point in line.get_xydata()] for line in panel.lines if line.get_linestyle() != "None"]
    assert [(0.01, pytest.approx(2.75))] in dashes and [(0.02, 1)] not in dashes


def test_labels_of_the_best_rates_are_inside_their_panel(runs):
    others = [make_run([0.5, 0.2], setup="fan-in", lr=0.02), make_run([0.5, 0.3, 0.2], setup="fan-in", activation="tanh", lr=0.02)]
    figure = figure_of_factors(make_document([*runs, *others], [PLAN, make_plan("fan-in")]))
    figure.canvas.draw()
    for panel in figure.axes:
        frame = panel.get_window_extent()
        for text in panel.texts:
            box = text.get_window_extent()
            assert frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0 and box.y1 < frame.y1, text.get_text()


def test_first_activation_without_runs_leaves_the_others_drawn(tmp_path):
    others = [make_run([0.5, 0.25], activation=name) for name in ("tanh", "sigmoid")]
    document = make_document(others, [make_plan(activations=("relu", "tanh", "sigmoid"))])
    assert document["setups"]["2012"]["factor"] == {}
    for draw in (draw_figure, draw_factor):
        draw(document, tmp_path / "a.png")


def test_signs_of_mathematics_in_a_note_are_text(runs, tmp_path):
    document = make_document(runs, [PLAN])
    document["dataset"]["note"] = r"a $\nothing$ of TeX"
    draw_figure(document, tmp_path / "a.png")


@pytest.mark.parametrize(("draw", "height"), [(draw_figure, 840), (draw_factor, 990)])
def test_pictures_are_png_of_a_known_size(runs, draw, height, tmp_path):
    draw(make_document(runs, [PLAN]), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert (image.format, image.size) == ("PNG", (1200, height))


def test_run_that_has_only_begun_can_be_drawn(tmp_path):
    document = make_document([make_run([])], [PLAN])
    for draw in (draw_figure, draw_factor):
        draw(document, tmp_path / "a.png")
