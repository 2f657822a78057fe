"""The pictures, from results that nobody measured."""

import pytest

from benchmarks import charts
from benchmarks.charts import draw, figure_of_ratios, figure_of_roofs
from benchmarks.document import Document
from benchmarks.measure import Settings
from benchmarks.results import Pair
from benchmarks.scaling_charts import figure_of_curves
from tests.benchmarks.fakes import PAIRS, curve, finished

LAYERS = [
    finished(workload=f"layer-{layer}-{way}", flops=10.0 * size, settings=Settings())
    for size, layer in enumerate(("conv1", "fc6"), 1)
    for way in ("forward", "backward")
]
SLOWER = [Pair("rival", [1.0], [2.0], [1.0])]


def texts(figure):
    return [text.get_text() for panel in figure.axes for text in panel.texts]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(charts, "DPI", 30)


@pytest.mark.usefixtures("small")
def test_draw_writes_what_there_are_numbers_for(tmp_path):
    results = {result.workload: result for result in LAYERS}
    folder = tmp_path / "new" / "folder"
    written = draw(Document(results, {"batch-figure1": curve()}), folder)
    assert [path.name for path in written] == ["speed.png", "roofline.png", "scaling.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    assert draw(Document({"a": finished([Pair(None, [1.0], [1.0])])}), folder) == []
    assert [path.name for path in draw(Document({"a": finished(copy_s=[])}), folder)] == ["speed.png"]


def test_bars_show_ratio_and_side_of_one():
    figure = figure_of_ratios([finished(), finished(SLOWER, "lrn-55")])
    (panel,) = figure.axes
    assert texts(figure) == ["2.00", "0.50"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["figure1-epoch", "lrn-55"]
    first, second = panel.patches
    assert (first.get_width(), second.get_width()) == (1.0, -0.5)
    assert first.get_facecolor() != second.get_facecolor()


def test_tinyalex_beside_itself_is_no_bar(tmp_path):
    assert draw(Document({"towers-two-128": finished(PAIRS, "towers-two-128")}), tmp_path) == []


def test_roofs_are_sgemm_and_copy_and_layers_are_numbered():
    figure = figure_of_roofs(LAYERS)
    assert texts(figure) == ["sgemm 0 GFLOP/s", "copy 15 GB/s", "1", "6", "1", "6"]
    (panel,) = figure.axes
    assert [line.get_label() for line in panel.lines[1:]] == ["forward", "backward"]
    assert panel.lines[1].get_xdata().tolist() == [2.5, 5.0]  # 10 and 20 operations for 4 bytes
    assert panel.lines[1].get_ydata().tolist() == pytest.approx([5e-9, 10e-9])


def test_curves_have_a_row_each_and_a_fitted_line_for_batches():
    figure = figure_of_curves([curve(), curve("width-figure1", "width")])
    assert len(figure.axes) == 4 and texts(figure) == ["2000.0 ms + 5e+02 ms\nan image"]
    time, memory = figure.axes[:2]
    assert list(time.lines[0].get_ydata()) == [2.5, 3.0, 4.0] and list(memory.lines[0].get_ydata()) == [1.0, 2.0]


def test_tiny_inputs_are_marked_as_such():
    figure = figure_of_ratios([finished()])
    assert figure.get_suptitle() == "tiny inputs: these times mean nothing"
    assert figure_of_ratios([LAYERS[0]]).get_suptitle() == ""
