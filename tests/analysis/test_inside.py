"""What a net computes inside, and the panels that show it."""

from __future__ import annotations

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tinyalex.analysis.inside import (
    features_of,
    filters_of,
    first_convolution,
    last_hidden,
    layers_until,
    outputs,
    some_of,
    towers_of,
    without_heads,
)
from tinyalex.analysis.panels import Panel, figure_of_panels, in_color, mosaic
from tinyalex.errors import DataError, ShapeError
from tinyalex.layers import Sequential
from tinyalex.models import build


def test_outputs_are_those_of_the_layers():
    net, x = build("cifar-alexnet"), np.random.default_rng(0).standard_normal((2, 3, 24, 24)).astype(np.float32)
    found = [(layer.name, out.shape[1:]) for layer, out in outputs(net, x)]
    assert found == [(layer.name, shape) for layer, shape in zip(net, net.shapes, strict=True)]
    *_, (_, last) = outputs(net, x)
    assert last == pytest.approx(net.forward(x), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("name", "layer", "towers"), [("cifar-alexnet", "relu6", 2), ("figure1", "pool3", 1)])
def test_last_hidden_layer_is_what_the_last_linear_reads(name, layer, towers):
    net = build(name)
    hidden, found = last_hidden("neighbors", net)
    assert found == layer and towers_of(net) == towers
    x = np.random.default_rng(0).standard_normal((2, *net.in_shape)).astype(np.float32)
    features = features_of("neighbors", hidden, x)
    (linear,) = [leaf for leaf in net.leaves() if leaf is net.layers[-1]]
    factor = 0.5 if name == "cifar-alexnet" else 1  # dropout in testing
    given = factor * features @ linear.params["weight"].T + linear.params["bias"]
    assert given == pytest.approx(net.forward(x), rel=1e-4, abs=1e-5)


def test_a_net_without_a_hidden_layer_is_refused():
    with refuses(ShapeError, "got none before the last Linear"):
        last_hidden("neighbors", ta.Sequential([ta.Flatten(), ta.Linear(3)], in_shape=(3, 2, 2)))
    with refuses(ShapeError, "got no Linear at all"):
        last_hidden("neighbors", ta.Sequential([ta.Conv2d(4, 3)], in_shape=(3, 8, 8)))


def test_a_net_that_overflows_is_refused():
    net = build("figure1")
    net.params["conv1.weight"][...] = 1e38
    with refuses(DataError, "neighbors: the outputs of the net must be finite, got a NaN or an infinity"):
        features_of("neighbors", last_hidden("neighbors", net)[0], np.ones((1, 3, 32, 32), np.float32))


def test_filters_are_found_by_the_name_of_their_convolution():
    net = build("figure1")
    assert filters_of("filters", net, "conv2") is not None and filters_of("filters", net, "conv2").shape == (32, 32, 5, 5)
    with refuses(ShapeError, "--layer must be one of the net's convolutions, conv1, conv2, conv3, got 'fc10'"):
        filters_of("filters", net, "fc10")
    with refuses(ShapeError, "must be a convolution, of which this net has none, got 'conv1'"):
        filters_of("filters", ta.Sequential([ta.Flatten(), ta.Linear(3)], in_shape=(3, 2, 2)), "conv1")


def test_heads_and_paths_of_networks_after_alexnet():
    net = build("googlenet-heads", width=1 / 16, input_size=80)
    main = without_heads(net)
    assert main.layers[-1].name == "fc" and not any(leaf.name.startswith("aux") for leaf in main.leaves())
    x = values((1, 3, 80, 80), dtype=np.float32)
    np.testing.assert_allclose(main.forward(x), net.forward(x), rtol=1e-5)
    assert without_heads(build("figure1")).name == "figure1-relu"
    hidden, name = last_hidden("neighbors", net)
    assert name == "pool5" and hidden.shapes[-1] == main.params["fc.weight"].shape[1:]
    inside = Sequential(layers_until(net.layers, "4e.3x3"), in_shape=net.in_shape)  # behind both heads, in a path
    assert inside.layers[-1] is net["4e.3x3"] and inside.forward(x).shape[1] == len(net.params["4e.3x3.bias"])
    assert layers_until(net.layers, "nothing") is None


def test_first_convolution_and_a_long_list_of_names():
    assert first_convolution(build("vgg11-bn", width=1 / 32, input_size=32)) == "conv1_1"
    assert first_convolution(ta.Sequential([ta.Flatten(), ta.Linear(3)], in_shape=(3, 2, 2))) == "conv1"
    assert some_of(["a", "b"]) == "a, b" and some_of(map(str, range(30))).endswith("19 ... (30 in all)")


def test_mosaic_places_tiles_line_by_line():
    tiles = np.arange(5).reshape(5, 1, 1, 1) / 10 * np.ones((5, 2, 3, 3))
    sheet = mosaic(tiles, 3, gap=1)
    assert sheet.shape == (5, 11, 3)
    assert [float(sheet[y, x, 0]) for y, x in ((0, 0), (1, 4), (0, 8), (3, 0), (4, 6), (3, 9), (2, 0), (0, 3))] == pytest.approx(
        [0, 0.1, 0.2, 0.3, 0.4, 1, 1, 1]
    )


def test_colors_have_white_at_zero_and_one_scale():
    colored = in_color(np.array([[[-2.0, 0.0, 2.0, 1.0]]]))[0, 0]
    assert colored[1].min() > 0.95 and colored[0][2] > colored[0][0] and colored[2][0] > colored[2][2]
    assert colored[3].sum() > colored[2].sum()
    assert (in_color(np.zeros((1, 2, 2))) > 0.95).all()


def test_panels_have_titles_and_notes():
    panel = Panel("maps of $x^2$", np.zeros((4, 8, 3)), ("one", "two"))
    figure = figure_of_panels([[panel, panel], [panel]], "title", "caption")
    assert len(figure.axes) == 3 and figure.get_suptitle() == "title" and figure.get_supxlabel() == "caption"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["one", "two"]
    assert figure.axes[0].get_title(loc="left") == "maps of $x^2$"
