"""Counts of a network against the paper's, and against what the layers really keep and send."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex.analysis.count import cache_bytes, count, totals
from tinyalex.analysis.figure2 import figure
from tinyalex.analysis.receptive import receptive_fields
from tinyalex.analysis.walk import Visit, visit
from tinyalex.devices import CpuDevice
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import ShapeError
from tinyalex.layers import (
    AbsTanh,
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    LocalContrastNorm,
    LocallyConnected2d,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sequential,
    SpatialResponseNorm,
)
from tinyalex.models import alexnet, figure1_net

DRY = DryDevice("cpu")
LAYERS = {  # parameters, MACs, connections, neurons, bytes of the output
    "conv1": (34_944, 105_415_200, 105_705_600, 290_400, 1_161_600),
    "conv2": (307_456, 223_948_800, 224_135_424, 186_624, 746_496),
    "conv3": (885_120, 149_520_384, 149_585_280, 64_896, 259_584),
    "conv4": (663_936, 112_140_288, 112_205_184, 64_896, 259_584),
    "conv5": (442_624, 74_760_192, 74_803_456, 43_264, 173_056),
    "fc6": (37_752_832, 37_748_736, 37_752_832, 4_096, 16_384),
    "fc7": (16_781_312, 16_777_216, 16_781_312, 4_096, 16_384),
    "fc8": (4_097_000, 4_096_000, 4_097_000, 1_000, 4_000),
}


@pytest.fixture(scope="module")
def paper():
    return count(alexnet(devices=DRY))


@pytest.fixture(scope="module")
def split():
    return count(alexnet(towers=2, devices=[DryDevice("cpu:0"), DryDevice("cpu:1")]))


def test_layers_of_the_paper(paper):
    with_weights = {row.name: row for row in paper if row.weights}
    assert list(with_weights) == list(LAYERS)
    for name, row in with_weights.items():
        assert (row.parameters, row.macs, row.connections, row.neurons, row.activation_bytes) == LAYERS[name]


def test_totals_of_the_paper(paper):
    every = totals(paper)
    assert (every.weights, every.biases, every.parameters) == (60_954_656, 10_568, 60_965_224)
    assert (every.macs, every.neurons, every.connections) == (724_406_816, 659_272, 725_066_088)
    assert every.forward_bytes == every.backward_bytes == 0


def test_arrays_between_the_layers_of_the_paper(paper):
    blobs = sum(row.activation_bytes for row in paper if row.kind not in ("ReLU", "Dropout")) + 224 * 224 * 3 * 4
    assert round(blobs / 2**20, 3) == 5.376


def test_two_towers_have_the_counts_of_one_and_send_234496_bytes(paper, split):
    one, two = totals(paper), totals(split)
    assert (two.parameters, two.macs, two.neurons, two.connections) == (one.parameters, one.macs, one.neurons, one.connections)
    assert two.forward_bytes == two.backward_bytes == 234_496
    sent = {row.name: row.forward_bytes for row in split if row.forward_bytes}
    assert sent == {"conv3_link": 173_056, "fc6_link": 36_864, "fc7_link": 16_384, "fc8_link": 8_192}


def test_towers_on_one_device_send_nothing():
    place = DryDevice("cpu:0")
    assert totals(count(alexnet(towers=2, width=1 / 16, devices=[place, place]))).forward_bytes == 0


@pytest.mark.parametrize(
    ("settings", "parameters", "macs"),
    [
        ({"exchange": ("conv2", "conv3", "conv4", "conv5", "fc6", "fc7")}, 62_378_344, 1_135_256_096),
        ({"variant": "torchvision"}, 61_100_840, 714_188_480),
        ({"half": True}, 59_798_312, 391_514_384),
        ({"sixth": True}, 61_555_304, 724_406_816 + 21_233_664),
        ({"variant": "authors"}, 60_965_224, 724_406_816),
        ({"variant": "caffe"}, 60_965_224, 724_406_816),
    ],
    ids=str,
)
def test_other_networks(settings, parameters, macs):
    every = totals(count(alexnet(devices=DRY, **settings)))
    assert (every.parameters, every.macs) == (parameters, macs)


def test_figure1_net():
    every = totals(count(figure1_net(device=DRY)))
    assert (every.parameters, every.macs) == (89_578, 12_298_240)


def nbytes_in(cache):
    """Bytes of the arrays of a slot, also of those in tuples."""
    inside = sum(nbytes_in(entry) for entry in cache or () if isinstance(entry, tuple))
    return inside + sum(entry.nbytes for entry in cache or () if isinstance(entry, np.ndarray))


RNG = np.random.default_rng(0)
ALONE = [
    (Conv2d(4, 6, 3, groups=2, padding=1, rng=RNG), (4, 9, 7)),
    (LocallyConnected2d(4, 2, 3, in_size=(9, 7), rng=RNG), (4, 9, 7)),
    (ReLU(), (4, 9, 7)),
    (AbsTanh(), (4, 9, 7)),
    (LocalResponseNorm(), (4, 9, 7)),
    (SpatialResponseNorm(), (4, 9, 7)),
    (LocalContrastNorm(3), (4, 9, 7)),
    (MaxPool2d(3, stride=2, ceil_mode=True), (4, 9, 8)),
    (MaxPool2d((2, 3), stride=(1, 2), padding=1), (4, 9, 8)),
    (AvgPool2d(3, stride=2), (4, 9, 7)),
    (Flatten(), (4, 9, 7)),
    (Linear(12, 5, rng=RNG), (12,)),
    (Linear(12, 4, groups=2, rng=RNG), (12,)),
    (Dropout(0.5), (12,)),
]


@pytest.mark.parametrize(("layer", "shape"), ALONE, ids=[type(layer).__name__ for layer, _ in ALONE])
def test_cache_bytes_are_those_of_the_real_cache(layer, shape):
    sizes = []
    for n in (2, 5):  # a difference, as AvgPool2d keeps the shares of its windows once a batch
        layer.forward(np.ones((n, *shape), np.float32), train=True)
        sizes.append(nbytes_in(layer._cache))
    assert (sizes[1] - sizes[0]) / 3 == cache_bytes(Visit(layer, shape, layer.output_shape(shape)))


def small(**settings):
    return alexnet(width=1 / 16, num_classes=10, input_size=67, **settings)


def test_caches_and_outputs_of_a_whole_network():
    net = small(devices=CpuDevice(workers=1))
    x = np.random.default_rng(0).standard_normal((2, 3, 67, 67)).astype(np.float32)
    net.forward(x, train=True)
    for row, leaf in zip(count(net), net.leaves(), strict=True):
        assert row.name == leaf.name
        assert 2 * row.cache_bytes == nbytes_in(leaf._cache)
    for at in visit(net, (3, 67, 67)):
        x = at.layer.forward(x)
        assert x.shape[1:] == at.out_shape


def test_bytes_sent_are_those_of_a_real_step():
    a, b = CpuDevice("cpu:0", workers=1), CpuDevice("cpu:1", workers=1)
    net = small(towers=2, devices=[a, b])
    every = totals(count(net))
    out = net.forward(np.zeros((3, 3, 67, 67), np.float32), train=True)
    forward = a.received.nbytes + b.received.nbytes
    net.backward(out)
    assert forward == 3 * every.forward_bytes > 0
    assert a.received.nbytes + b.received.nbytes - forward == 3 * every.backward_bytes


def test_network_without_input_shape_raises():
    with pytest.raises(ShapeError, match="net: in_shape must be given to a network that is to be counted, got None"):
        count(Sequential([Flatten()]))


@pytest.mark.parametrize("function", [count, receptive_fields, figure, lambda net: count(net, (3, 8, 8))])
@pytest.mark.parametrize("net", [None, "net"])
def test_what_is_no_network_raises(function, net):
    with refuses(ShapeError, f"net: what is to be counted must be a layer or a network, got {net!r}; see tinyalex.models.build"):
        function(net)


def test_input_shape_that_is_none_raises():
    with refuses(ShapeError, "conv: in_shape must be a tuple of sizes, such as (3, 224, 224), got 5"):
        count(Conv2d(3, 4, 3, rng=RNG), 5)


def test_layer_of_ones_own_is_counted_without_being_entered_anywhere():
    class Mine(Layer):
        def output_shape(self, in_shape):
            return (2, *in_shape)

    mine = Mine("mine")
    mine.add_param("weight", np.ones(7))
    (row,) = count(Sequential([mine], in_shape=(3,)))
    assert (row.kind, row.out_shape, row.weights, row.macs, row.neurons) == ("Mine", (2, 3), 7, 7, 6)
    assert (row.activation_bytes, row.cache_bytes) == (24, 12)  # by default a layer keeps its input


@pytest.mark.parametrize(("size", "convolves"), [(5, False), (6, True)])
def test_convolution_whose_kernel_covers_the_whole_map_does_not_convolve(size, convolves):
    (row,) = count(Sequential([Conv2d(3, 4, 5, rng=RNG)], in_shape=(3, size, 5)))
    assert row.convolves is convolves
