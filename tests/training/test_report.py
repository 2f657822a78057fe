"""`result.json` and the curve."""

from __future__ import annotations

import json

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from tests.training.small_run import make_trainer
from tinyalex.files.atomic import write_json
from tinyalex.training import Evaluation
from tinyalex.training.report import document_of, draw_curve, figure_of

CONFIG = {
    "net": {"name": "small", "seed": 0},
    "data": {"name": "patterns", "note": "drawn here", "synthetic": True},
    "val": "test images",
}


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """The document of a run of two epochs, after the first of which the rate falls."""
    folder = tmp_path_factory.mktemp("result")
    results = make_trainer(folder, config=CONFIG, evaluate_train=False).run(2)
    return document_of(folder, "tinyalex train", results, Evaluation(1.5, 0.5, 0.25, 20))


def test_document_goes_through_json(document, tmp_path):
    write_json(tmp_path / "result.json", document)
    assert json.loads((tmp_path / "result.json").read_text()) == document
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_document_has_the_curves_that_were_measured(document):
    assert document["epochs"] == 2 and document["curves"]["epoch"] == [1, 2] and document["curves"]["lr"] == [0.001, 0.0005]
    assert "train_error" not in document["curves"] and len(document["curves"]["val_error"]) == 2
    assert document["wall_s"] == document["curves"]["wall_s"][-1] and document["config"]["net"] == CONFIG["net"]


def test_figure_shows_both_errors_in_percent_and_where_the_rate_fell(document):
    (panel,) = figure_of(document).axes
    training, validation, drop = panel.get_lines()
    assert list(training.get_ydata()) == [100 * error for error in document["curves"]["running_error"]]
    assert list(validation.get_ydata()) == [100 * error for error in document["curves"]["val_error"]]
    assert list(drop.get_xdata()) == [1.5, 1.5] and [text.get_text() for text in panel.texts] == ["rate 0.0005"]
    assert panel.get_title() == "small: test error 50.00 % after epoch 2"
    highest = max(*training.get_ydata(), *validation.get_ydata())
    assert panel.get_xlim() == (0.5, 2.5) and panel.get_ylim() == pytest.approx((0, min(100, highest + 10)))


def shown(document):
    """The drawn figure, its panel's frame and the frames of its texts and its legend, in pixels."""
    figure = figure_of(document)
    FigureCanvasAgg(figure).draw()
    (panel,), (legend,) = figure.axes, figure.legends
    return panel, panel.get_window_extent(), [text.get_window_extent() for text in panel.texts], legend


@pytest.mark.parametrize("epochs", [2, 6, 20])
def test_legend_and_labels_of_the_curve_cover_no_curve_and_stay_in_the_frame(document, epochs):
    curve = {"epoch": list(range(1, epochs + 1)), "lr": [0.01] * (epochs - 1) + [0.000123], "running_error": [0.9] * epochs}
    _, frame, labels, legend = shown(document | {"curves": curve | {"val_error": [0.91] * epochs}})
    assert len(labels) == 1 and frame.x0 <= labels[0].x0 and labels[0].x1 <= frame.x1
    assert legend.get_window_extent().y1 < frame.y0


@pytest.mark.parametrize("kinds", [["Conv2d"], ["Conv2d", "Dropout"], None])
def test_legend_names_dropout_only_where_the_net_has_it(document, kinds):
    trainer = {"layers": {kind.lower(): {"type": kind} for kind in kinds}} if kinds else {}
    *_, legend = shown(document | {"config": CONFIG | {"trainer": trainer}})
    words = legend.get_texts()[0].get_text()
    assert words == "training images, before each update" + (", with dropout" if kinds and "Dropout" in kinds else "")


def test_curve_is_a_picture(document, tmp_path):
    draw_curve(document, tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as image:
        image.load()
        assert image.size == (1200, 810)


def test_axes_of_a_longer_run_end_with_it_and_leave_room_above_its_errors(document):
    epochs = list(range(1, 6))
    longer = {"epoch": epochs, "running_error": [0.5, 0.4, 0.3, 0.2, 0.1], "val_error": [0.55, 0.4, 0.3, 0.2, 0.1], "lr": [0.1] * 5}
    (panel,) = figure_of({**document, "curves": longer}).axes
    assert panel.get_xlim() == (0.5, 5.5) and panel.get_ylim() == pytest.approx((0, 65))
    assert len(panel.get_lines()) == 2 and [text.get_text() for text in panel.texts] == []  # the rate never fell
    assert panel.get_xlabel() == "epochs\npatterns: drawn here; seed 0" and panel.get_ylabel() == "error, %"
