"""Networks side by side: the sums, the sizes of the maps, memory, time, and the chart."""

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

import tinyalex as ta
from tests.contract import refuses
from tinyalex.analysis import compare_chart, count, totals
from tinyalex.analysis.compare import Cost, compared, cost, expected_seconds, inference_bytes, size_of, time_forward
from tinyalex.analysis.compare_chart import BANDS, CAPTION, SLIPS, TIMES, band_of, draw, figure_of
from tinyalex.devices.dry import DryDevice
from tinyalex.models.later import LATER, build_later
from tinyalex.models.registry import build


def of(name, batch=2):
    return compared(name, build_later(name, devices=DryDevice()), batch)


@pytest.mark.parametrize("name", ["vgg16", "googlenet-heads", "se-resnet50", "resnet20", "jarrett"])
def test_stages_add_up_to_the_net_and_the_net_is_the_published_one(name):
    net = of(name)
    assert (net.cost.parameters, net.cost.macs) == (LATER[name].parameters, LATER[name].macs)
    for quantity in ("parameters", "macs", "activation_bytes"):
        assert sum(getattr(stage.cost, quantity) for stage in net.stages) == getattr(net.cost, quantity)
    assert sum(stage.layers for stage in net.stages) == len(net.rows) == len(net.layers())


def test_stages_of_alexnet_are_those_of_the_paper():
    net = compared("alexnet", build("alexnet", devices=DryDevice()), 1)
    assert [stage.size for stage in net.stages] == [(55, 55), (27, 27), (13, 13), (6, 6), (1, 1)]
    assert [stage.cost.macs for stage in net.stages] == [105_415_200, 223_948_800, 336_420_864, 0, 58_621_952]
    assert net.stages[0].cost.activation_bytes == 2 * 55 * 55 * 96 * 4  # conv1 and norm1; the ReLU works in place
    assert net.image == (3, 224, 224) and net.cost.parameters == 60_965_224


def test_outputs_of_vgg_are_those_of_its_table():
    sizes = [64 * 224**2, 64 * 224**2, 128 * 112**2, 128 * 112**2, *[256 * 56**2] * 3, *[512 * 28**2] * 3, *[512 * 14**2] * 3]
    pools = [64 * 112**2, 128 * 56**2, 256 * 28**2, 512 * 14**2, 512 * 7**2]
    assert of("vgg16").cost.activation_bytes == 4 * (sum(sizes) + sum(pools) + 4096 + 4096 + 1000)


def test_training_step_grows_with_the_batch():
    small, large = (of("squeezenet1.1", batch).training.peak for batch in (1, 8))
    assert 0 < small < large
    with refuses(ta.ShapeError, "compare: batch must be an integer of at least 1, got 0"):
        of("squeezenet1.1", 0)


def test_layers_without_maps_and_several_outputs():
    assert size_of((4096,)) == (1, 1) and size_of((96, 55, 57)) == (55, 57)
    assert size_of(((8, 4, 5), (10,))) == (4, 5)
    assert [band_of(height) for height in (224, 100, 99, 50, 49, 25, 24, 12, 11, 2, 1)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert cost([]) == Cost(0, 0, 0)


def test_time_is_of_the_frozen_net_and_needs_less_than_the_bound(monkeypatch):
    net = build_later("resnet20", width=0.25)
    monkeypatch.setattr("tinyalex.analysis.compare.time.perf_counter", iter(np.cumsum([0, 9, 0, 9, 0, 5, 0, 1, 0, 3])).__next__)
    timing = time_forward(net, runs=3)  # the two that warm up take 9 s each
    assert (timing.median, timing.least, timing.most, timing.runs) == (3, 1, 5, 3)
    assert all(leaf.frozen for leaf in net.leaves())
    assert inference_bytes(net) > 2 * 4 * totals(count(net)).parameters
    with refuses(ta.ShapeError, "compare: runs must be an integer of at least 1, got 0"):
        time_forward(net, runs=0)


def test_expected_time_grows_with_parameters_and_work():
    assert 0 < expected_seconds([10**6], [0]) < 50 and 0 < expected_seconds([0], [10**8]) < 50
    assert expected_seconds([], []) == 0


def words_of(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


@pytest.fixture(scope="module")
def several():
    return [of(name) for name in ("squeezenet1.0", "squeezenet1.1", "zfnet", "resnet20")]


def test_chart_has_each_net_its_sums_and_the_slips(several, tmp_path):
    figure = figure_of(several)
    words = words_of(figure)
    for net in several:
        assert words.count(net.name) >= 2  # beside its bubble and beside its bars
        assert f"{net.cost.parameters / 1e6:.3g}" in words and f"{net.cost.macs / 1e9:.3g}" in words
    caption = figure.get_supxlabel().replace("\n", " ")
    assert caption == f"{CAPTION} {SLIPS}" and TIMES.strip() not in caption
    draw(several, tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as picture:
        assert picture.width == 1600 and picture.height > 1200
    assert (tmp_path / "chart.png").stat().st_size < 200_000


def test_bars_are_the_stages_of_the_nets(several):
    axes = figure_of(several).subfigs[1].axes
    assert len(axes) == 3
    for panel, (title, quantity) in zip(axes, compare_chart.QUANTITIES, strict=True):
        assert panel.get_title(loc="left") == title
        for place, net in enumerate(several):
            widths = [bars.patches[place].get_width() for bars in panel.containers]
            assert len(widths) == len(BANDS) and np.isclose(sum(widths), quantity(net.cost))
            for band, width in enumerate(widths):
                assert np.isclose(width, sum(quantity(stage.cost) for stage in net.stages if band_of(stage.size[0]) == band))


def test_names_do_not_cover_each_other(several):
    figure = figure_of([*several, *[of(name) for name in ("resnet18", "preresnet18", "vgg11", "vgg11-bn")]])
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(label) for label in figure.subfigs[0].axes[0].texts]  # without the line to the bubble
    shared = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    assert len(boxes) == 8 and not shared
