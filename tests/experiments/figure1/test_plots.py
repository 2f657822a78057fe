"""The pictures: what is drawn where."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.experiments.figure1.fakes import make_document, make_plan, make_run
from tinyalex.experiments.figure1.plots import STYLES, draw_factor, draw_figure, figure_of_curves, figure_of_factors

PLAN = make_plan(seeds=(0, 1, 2))
CURVES = ([0.6, 0.4, 0.2], [0.5, 0.3, 0.1], [0.7, 0.5, 0.3, 0.2])


@pytest.fixture
def runs():
    runs = [make_run(curve, seed=seed) for seed, curve in enumerate(CURVES)]
    runs += [make_run([0.8, 0.7, 0.5], activation="tanh", seed=seed) for seed in range(3)]
    return [*runs, make_run([0.9, 0.9], lr=0.02), make_run([], activation="tanh", lr=0.02, diverged="nan")]


def lines(panel):
    """Points by label."""
    return {line.get_label(): [tuple(map(float, point)) for point in line.get_xydata()] for line in panel.lines}


def test_median_band_and_each_seed_are_drawn(runs):
    panel = figure_of_curves(make_document(runs, [PLAN])).axes[0]
    drawn = lines(panel)
    assert drawn["ReLU: 2.8"] == [(0, 0.9), (1, 0.6), (2, 0.4), (3, 0.2)]
    assert drawn["tanh: over 3"] == [(0, 0.9), (1, 0.8), (2, 0.7), (3, 0.5)]
    assert [(0, 0.9), (1, 0.7), (2, 0.5), (3, 0.3), (4, 0.2)] in drawn.values()
    corners = panel.collections[0].get_paths()[0].vertices
    assert corners[corners[:, 0] == 2][:, 1].min() == 0.3 and corners[corners[:, 0] == 2][:, 1].max() == 0.5
    assert panel.get_legend().get_title().get_text() == "epochs to 25 %"


def test_target_is_a_level_line(runs):
    panel = figure_of_curves(make_document(runs, [PLAN])).axes[0]
    assert [(0, 0.25), (1, 0.25)] in lines(panel).values()


def test_activations_differ_in_color_and_dash_and_relu_is_solid():
    assert STYLES["relu"]["linestyle"] == "-"
    for key in ("color", "linestyle"):
        assert len({str(style[key]) for style in STYLES.values()}) == len(STYLES)


def test_each_setup_has_a_panel_on_the_same_scale(runs):
    both = [*runs, *(make_run([0.5, 0.2], setup="fan-in", activation=name) for name in ("relu", "tanh"))]
    figure = figure_of_curves(make_document(both, [PLAN, make_plan("fan-in")]))
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("setup 2012", "setup fan-in") and left.get_ylim() == right.get_ylim()


@pytest.mark.parametrize(("synthetic", "title"), [(True, "384 synthetic images, not photographs"), (False, "384 images of synthetic")])
def test_data_stands_in_the_picture(runs, synthetic, title):
    for draw in (figure_of_curves, figure_of_factors):
        figure = draw(make_document(runs, [PLAN], synthetic))
        assert figure.get_suptitle() == title and figure.get_supxlabel().startswith("synthetic shapes, seed 0;")


def test_sweep_of_the_record_is_called_so(runs):
    document = make_document(runs, [PLAN])
    document["setups"]["2012"]["activations"]["tanh"]["sweep_from"] = "record"
    assert "; sweep of the shipped record; " in figure_of_factors(document).get_supxlabel()


def test_sweep_factors_and_diverged_runs_are_drawn(runs):
    runs.append(make_run([0.9, 0.9], activation="tanh", lr=0.04))
    runs.append(make_run([0.8, 0.7], lr=0.04))
    plan = make_plan(rates=(0.01, 0.02, 0.04), seeds=(0, 1, 2))
    sweep, factors = figure_of_factors(make_document(runs, [plan])).axes
    assert lines(sweep)["ReLU"] == [(0.01, 0.5), (0.02, 0.9), (0.04, 0.7)] and lines(sweep)["tanh"] == [(0.01, 0.7), (0.04, 0.9)]
    assert lines(sweep)["tanh diverged"] == [(0.02, 0.9)]
    assert lines(factors)["same rate, to the slower's\nerror after 2 epochs"] == [(0.01, pytest.approx(2 / 1))]
    assert [lr for lr, _ in lines(factors)["same rate: a net\nlearned nothing"]] == [0.02, 0.04]
    assert lines(factors)["own rates, to 25 %: over 1.1"][0][1] == pytest.approx(3 / 2.75)
    assert lines(factors)["the paper's 6, to 25 %"][0][1] == 6


def test_factors_of_each_setup_and_activation_are_inside_the_panel(runs):
    slow = [make_run([0.8, 0.8, 0.25], setup="fan-in", lr=0.01), make_run([0.26, 0.25], setup="fan-in", activation="tanh", lr=0.01)]
    slow.append(make_run([0.3] * 59 + [0.25], setup="fan-in", activation="sigmoid", lr=0.01))
    plan = make_plan("fan-in", ("relu", "tanh", "sigmoid"), (0.01,))
    *_, factors, other = figure_of_factors(make_document([*runs, *slow], [PLAN, plan])).axes
    low, high = other.get_ylim()
    assert factors.get_ylim() == (low, high)
    shown = {label: line for label, line in lines(other).items() if "," in label}
    assert {label.partition(",")[0] for label in shown} == {"tanh", "sigmoid", "the paper's 6"}
    assert all(low < factor < high for line in shown.values() for _, factor in line)


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


@pytest.mark.parametrize(("draw", "height"), [(draw_figure, 840), (draw_factor, 1500)])
def test_pictures_are_png_of_a_known_size(runs, draw, height, tmp_path):
    draw(make_document(runs, [PLAN]), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert (image.format, image.size) == ("PNG", (1200, height))


def test_run_that_has_only_begun_can_be_drawn(tmp_path):
    document = make_document([make_run([])], [PLAN])
    for draw in (draw_figure, draw_factor):
        draw(document, tmp_path / "a.png")
