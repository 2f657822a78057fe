"""Which row computes which layer, and what that saves."""

from __future__ import annotations

import numpy as np
import pytest

from tinyalex.analysis.algorithms import Choice, algorithms, lines_of
from tinyalex.devices.dry import DryDevice
from tinyalex.layers import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Sequential
from tinyalex.models import alexnet, figure1_net


def chosen(net, batch):
    return {choice.layer: choice for choice in algorithms(net, batch)}


def test_rows_of_the_papers_net_with_what_they_multiply():
    many, one = (chosen(alexnet(devices=DryDevice()), batch) for batch in (128, 1))
    assert many["conv1"] == Choice("conv1", "convolution", "winograd", "none", (5, 5), False, 121, 105_415_200, 27_320_832)
    assert many["conv3"] == Choice("conv3", "convolution", "winograd", "winograd", (5, 5), True, 9, 149_520_384, 35_487_744)
    assert many["pool1"] == Choice("pool1", "max pooling", "runs", "runs", None, False, 0, 0, 0)
    assert many["fc8"] == Choice("fc8", "product", "blocks", "blocks", None, False, 0, 4_096_000, 4_096_000)
    assert one["conv1"] == Choice("conv1", "convolution", "strips", "none", None, False, 0, 105_415_200, 105_415_200)
    assert one["conv5"] == Choice("conv5", "convolution", "few", "turned weights", None, False, 0, 74_760_192, 74_760_192)


def test_images_lie_innermost_for_the_pooling_right_after_lines_alone():
    found = chosen(figure1_net(device=DryDevice()), 128)
    assert [found[name].algorithm for name in ("conv1", "pool1", "conv2")] == ["lines", "innermost", "winograd"]
    assert found["pool2"] == Choice("pool2", "average pooling", "matrices", "matrices", None, False, 0, 0, 0)


def net_of(*layers, in_shape):
    return Sequential([*layers, Flatten(), Linear(2)], in_shape=in_shape)


def test_first_layer_may_be_a_pool_and_dx_may_come_by_col2im_or_by_the_plain_function():
    pools = chosen(net_of(MaxPool2d(2, name="max"), AvgPool2d(2, name="mean"), in_shape=(1, 8, 8)), 4)
    assert (pools["max"].algorithm, pools["mean"].operation) == ("runs", "average pooling")
    narrow = {"stride": 2, "rng": np.random.default_rng(0), "name": "conv"}
    by = {row: chosen(net_of(Conv2d(3, 2, 3, algorithm=row, **narrow), in_shape=(3, 9, 9)), 2)["conv"] for row in ("im2col", "plain")}
    assert by["im2col"] == Choice("conv", "convolution", "im2col", "col2im", None, False, 0, 16 * 54, 16 * 54)
    assert by["plain"] == Choice("conv", "convolution", "plain", "plain", None, False, 0, 16 * 54, 16 * 54)


@pytest.mark.parametrize("batch", [1, 128])
def test_fields_have_their_types_since_json_tells_false_from_0(batch):
    for choice in algorithms(alexnet(devices=DryDevice()), batch):
        assert [type(value) for value in (choice.uneven, choice.tiles, choice.direct, choice.products)] == [bool, int, int, int]


def test_table_has_a_line_a_layer():
    head, names, *lines = lines_of(algorithms(alexnet(devices=DryDevice()), 128), 128)
    assert head == "algorithms for 128 images; multiplications of an image in forward, by the definition and as computed:"
    assert names.split() == ["layer", "forward,", "dweight", "dx", "tiles", "direct", "computed", "saved"] and len(lines) == 11
    assert lines[0].split() == ["conv1", "winograd", "none", "121", "of", "5x5", "105,415,200", "27,320,832", "3.9x"]
    assert lines[1].split() == ["pool1", "runs", "runs", "-", "-", "-", "-"]
    assert lines[4].split()[3:6] == ["9", "up", "to"] and lines[-1].split()[3:] == ["-", "4,096,000", "4,096,000", "1.0x"]
    assert lines_of([], 1)[0].startswith("algorithms for 1 image; ")
