"""`result.json` and the curve."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from PIL import Image

from tests.training.small_run import make_trainer
from tinyalex.files.atomic import write_json
from tinyalex.training import EpochResult, Evaluation, report
from tinyalex.training.report import bar_of, document_of, draw_curve, epoch_line, figure_of

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
    assert (document["format"], document["format_version"]) == ("tinyalex-run", 1)
    assert document["epochs"] == 2 and document["curves"]["epoch"] == [1, 2] and document["curves"]["lr"] == [0.001, 0.0005]
    assert "train_error" not in document["curves"] and len(document["curves"]["val_error"]) == 2
    assert document["wall_s"] == document["curves"]["wall_s"][-1] and document["config"]["net"] == CONFIG["net"]


def test_run_of_one_epoch_has_a_document(tmp_path):
    (result,) = make_trainer(tmp_path, config=CONFIG, evaluate_train=False).run(1)
    document = document_of(tmp_path, "tinyalex train", [result], Evaluation(1.5, 0.5, 0.25, 20))
    assert document["epochs"] == 1 and document["curves"]["loss"] == [result.loss] and "train_error" not in document["curves"]


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


LOOKED_AT = {
    "page": (8, 5.4),
    "training": ("#d55e00", "--", "s", 2.4, 5.0),
    "validation": ("#0072b2", "-", "o", 2.4, 5.0),
    "falls": [([1.5, 1.5], "#999999", ":", 1.0), ([9.5, 9.5], "#999999", ":", 1.0)],
    "rates": [("rate 0.05", (1.5, 0.02), (4, 0), "left", 10.0, "#595959"), ("rate 0.01", (9.5, 0.02), (-4, 0), "right", 10.0, "#595959")],
    "frame": ((0.5, 10.5), (0.0, 70.0)),
    "grid": ["#e6e6e6"],
    "words": (13.0, 15.6, 11.0, 2),
}


def test_curve_looks_as_it_did_when_it_was_looked_at(document, monkeypatch, tmp_path):
    """Colors, marks, widths and places were chosen by eye; who changes them looks at the picture and writes them here."""
    made, figures = report.figure_of, []
    monkeypatch.setattr(report, "figure_of", lambda document: figures.append(made(document)) or figures[-1])
    errors = {"running_error": [0.6] * 10, "val_error": [0.5] * 10}
    draw_curve(document | {"curves": {"epoch": list(range(1, 11)), "lr": [0.1] + [0.05] * 8 + [0.01], **errors}}, tmp_path / "curve.png")
    (figure,) = figures
    (panel,), (legend,) = figure.axes, figure.legends
    training, validation, *falls = panel.get_lines()

    def look(line):
        return to_hex(line.get_color()), line.get_linestyle(), line.get_marker(), line.get_linewidth(), line.get_markersize()

    assert {
        "page": tuple(figure.get_size_inches()),
        "training": look(training),
        "validation": look(validation),
        "falls": [(list(line.get_xdata()), to_hex(line.get_color()), line.get_linestyle(), line.get_linewidth()) for line in falls],
        "rates": [
            (text.get_text(), text.xy, text.get_position(), text.get_ha(), text.get_fontsize(), to_hex(text.get_color()))
            for text in panel.texts
        ],
        "frame": (panel.get_xlim(), panel.get_ylim()),
        "grid": sorted({to_hex(line.get_color()) for line in panel.get_ygridlines() if line.get_visible()}),
        "words": (panel.xaxis.label.get_fontsize(), panel.title.get_fontsize(), legend.get_texts()[0].get_fontsize(), legend._ncols),
    } == LOOKED_AT
    assert not any(line.get_visible() for line in panel.get_xgridlines())
    assert all(float(tick).is_integer() for tick in panel.get_xticks())


@pytest.mark.parametrize(("errors", "top"), [([0.85, 0.2], 95), ([0.95, 0.97], 100)])
def test_axis_of_errors_ends_ten_percent_above_the_worst_and_at_100(document, errors, top):
    curves = {"epoch": [1, 2], "lr": [0.1, 0.1], "running_error": errors, "val_error": [0.1, 0.1]}
    assert figure_of(document | {"curves": curves}).axes[0].get_ylim() == pytest.approx((0, top))


def test_line_of_an_epoch_says_what_was_measured():
    result = EpochResult(
        epoch=3, loss=1.23456, running_error=0.5, train_error=0.25, val_error=0.125, lr=0.01, wall_s=75.0, images_per_s=1.0
    )
    assert epoch_line(result, 10) == "epoch 3 of 10: loss 1.2346, training error 25.00 %, validation error 12.50 %, rate 0.01, 75 s"
    assert epoch_line(replace(result, train_error=None, val_error=None), 10).startswith(
        "epoch 3 of 10: loss 1.2346, training error 50.00 %, r"
    )


@pytest.mark.parametrize(("progress", "hidden"), [(True, False), (False, True), (None, True)])
def test_bar_begins_where_the_run_is_and_counts_images(progress, hidden, capsys):
    bar = bar_of(20, 100, progress)  # stderr is no terminal here
    assert (bar.n, bar.total, bar.disable) == (20, 100, hidden)
    assert hidden or bar.dynamic_ncols  # as wide as the terminal, also after its size was changed
    bar.close()
    assert ("20.0/100" in capsys.readouterr().err) is not hidden
