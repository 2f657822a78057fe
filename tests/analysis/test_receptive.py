"""Receptive fields against footprints: the pixels that have a gradient for one output."""

from __future__ import annotations

import numpy as np
import pytest

from tinyalex.analysis.receptive import Field, receptive_fields
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import ShapeError
from tinyalex.init import Constant
from tinyalex.layers import (
    AvgPool2d,
    Branches,
    Concat,
    Conv2d,
    Flatten,
    Linear,
    LocalContrastNorm,
    LocallyConnected2d,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sequential,
    SpatialResponseNorm,
    Sum,
)
from tinyalex.models import alexnet
from tinyalex.towers import Pair, Split

IMAGES = 400  # of noise: in some image each place of a pooling window wins


def conv(c, k, size, name, **settings):
    return Conv2d(c, k, size, name=name, rng=np.random.default_rng(0), weight_init=Constant(0.1), dtype=np.float64, **settings)


NETS = {
    "conv": lambda: [conv(1, 1, (3, 2), "conv1", stride=(2, 1), padding=1)],
    "ceil and uneven padding": lambda: [
        conv(1, 1, 4, "conv1", stride=3, ceil_mode=True),
        conv(1, 1, 3, "conv2", padding=(2, 0, 1, 1)),
    ],
    "stages": lambda: [
        conv(1, 2, 4, "conv1", stride=2),
        ReLU(name="relu1", dtype=np.float64),
        LocalResponseNorm(name="norm1", alpha=0.1, dtype=np.float64),
        MaxPool2d(3, stride=2, name="pool1", dtype=np.float64),
        conv(2, 1, 3, "conv2", padding=1),
    ],
    "mean, local and spatial": lambda: [
        AvgPool2d(2, name="pool0", dtype=np.float64),
        SpatialResponseNorm(4, alpha=5.0, name="rnorm", dtype=np.float64),
        LocallyConnected2d(1, 1, 3, in_size=10, stride=2, name="local", rng=np.random.default_rng(0),
                           weight_init=Constant(0.1), dtype=np.float64),
    ],
}  # fmt: skip


def footprints(layers, shape, unit):
    """Pixels that have a gradient for `unit` of the last layer, in any of the images."""
    net = Sequential(layers, in_shape=shape)
    x = np.random.default_rng(1).random((IMAGES, *shape)) + 0.5
    out = net.forward(x, train=True)
    dout = np.zeros_like(out)
    dout[(slice(None), 0, *unit)] = 1
    return np.abs(net.backward(dout)).sum(axis=(0, 1)) > 0, out.shape[2:]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("corner", [0, 1, -1])
def test_field_is_the_footprint(name, corner):
    shape = (1, 20, 20)
    layers = NETS[name]()
    field = receptive_fields(Sequential(layers, in_shape=shape))[layers[-1].name]
    unit = tuple(min(corner, n - 1) % n for n in field.grid)
    seen, grid = footprints(layers, shape, unit)
    assert grid == field.grid
    expected = np.zeros((20, 20), bool)
    expected[field.inside(unit, (20, 20))] = True
    assert expected.any()
    np.testing.assert_array_equal(seen, expected)


def test_layers_that_see_everything():
    linear = Linear(4, 1, rng=np.random.default_rng(0))
    net = Sequential([LocalContrastNorm(3, name="lcn"), conv32(), Flatten(), linear], in_shape=(1, 4, 4))
    fields = receptive_fields(net)
    for name in ("lcn", "conv1", "flatten", "linear"):
        assert fields[name].inside((0, 0), (4, 4)) == (slice(0, 4), slice(0, 4))
        assert (fields[name].size, fields[name].grid) == ((4, 4), (1, 1))


def conv32():
    return Conv2d(1, 1, 3, name="conv1", rng=np.random.default_rng(0))


def test_fields_of_the_paper():
    fields = receptive_fields(alexnet(devices=DryDevice()))
    sizes = {name: (field.size[0], field.jump[0]) for name, field in fields.items() if name.startswith(("conv", "pool"))}
    assert sizes == {
        "conv1": (11, 4), "pool1": (19, 8), "conv2": (51, 8), "pool2": (67, 16),
        "conv3": (99, 16), "conv4": (131, 16), "conv5": (163, 16), "pool5": (195, 32),
    }  # fmt: skip
    assert fields["fc6"].size == (355, 355) and fields["fc8"].grid == (1, 1)


def test_two_towers_see_what_one_sees():
    one = receptive_fields(alexnet(devices=DryDevice()))
    two = receptive_fields(alexnet(towers=2, devices=[DryDevice("a"), DryDevice("b")]))
    for name in ("conv1", "conv3", "pool5", "fc6"):
        assert two[name + "a"] == two[name + "b"] == one[name]
    assert two["fc8"] == one["fc8"]


def test_input_that_is_no_image_raises():
    with pytest.raises(ShapeError, match=r"net: in_shape must be \(C, H, W\) for receptive fields, got \(4,\)"):
        receptive_fields(Sequential([Linear(4, 1, rng=np.random.default_rng(0))], in_shape=(4,)))


def test_padding_around_a_single_unit_is_part_of_its_field():
    layers = [Conv2d(1, 1, size, padding=padding, name=f"conv{size}", rng=np.random.default_rng(0)) for size, padding in ((4, 0), (3, 1))]
    fields = receptive_fields(Sequential(layers, in_shape=(1, 4, 4)))
    assert (fields["conv4"].size, fields["conv4"].start) == ((4, 4), (0, 0))
    assert (fields["conv3"].size, fields["conv3"].start) == ((6, 6), (-1, -1))


def test_part_of_an_image_beyond_its_edges_is_empty():
    field = Field((-5, 7), (3, 3), (1, 1), (1, 1))
    assert field.inside((0, 0), (8, 8)) == (slice(0, 0), slice(7, 8)) and field.inside((6, 0), (8, 9)) == (slice(1, 4), slice(7, 9))


def test_field_of_a_layer_that_sees_all_ends_with_the_last_unit():
    layers = [Conv2d(1, 1, 3, stride=2, name="conv1", rng=np.random.default_rng(0)), Flatten(name="flat")]
    layers.append(Linear(9, 2, name="fc", rng=np.random.default_rng(0)))
    fc = receptive_fields(Sequential(layers, in_shape=(1, 7, 7)))["fc"]
    assert (fc.start, fc.size, fc.jump, fc.grid) == ((0, 0), (7, 7), (2, 2), (1, 1))


def test_units_of_unequal_towers_see_what_their_own_tower_sees():
    a, b = DryDevice("a"), DryDevice("b")

    def pair(left, right, name):
        layers = (
            Conv2d(c, k, size, padding=size // 2, device=device, name=f"{name}{device.name}", rng=np.random.default_rng(0))
            for device, (c, k, size) in ((a, left), (b, right))
        )
        return Pair(*layers, name=name)

    net = Sequential([Split(devices=(a, b)), pair((3, 4, 3), (3, 6, 5), "conv1"), pair((4, 2, 3), (6, 2, 1), "conv2")], in_shape=(3, 8, 8))
    sizes = {name: field.size for name, field in receptive_fields(net).items() if name.startswith("conv")}
    assert sizes == {"conv1a": (3, 3), "conv1b": (5, 5), "conv2a": (5, 5), "conv2b": (5, 5)}


def test_layer_that_sees_all_of_an_image_sees_its_height_and_its_width():
    layers = [Flatten(name="flat"), Linear(3 * 6 * 7, 2, name="fc", rng=np.random.default_rng(0))]
    assert receptive_fields(Sequential(layers, in_shape=(3, 6, 7)))["fc"].size == (6, 7)


def test_paths_that_meet_see_what_any_of_them_sees():
    wide, narrow = [Conv2d(2, 5, padding=2, name="wide")], [Conv2d(2, 1, name="narrow")]
    net = Sequential([Conv2d(2, 3, stride=2, name="first"), Branches([narrow, wide], Concat())], in_shape=(1, 31, 31))
    fields = receptive_fields(net)
    assert fields["narrow"].size == (3, 3) and fields["wide"].size == fields["concat"].size == (11, 11)
    assert fields["concat"].start == (-4, -4) and fields["concat"].jump == (2, 2)


def test_bottleneck_sees_less_than_two_convolutions_of_3():
    def net(*kernels):
        path = [Conv2d(2, k, padding=k // 2) for k in kernels]
        return receptive_fields(Sequential([Branches([path, []], Sum())], in_shape=(2, 9, 9)))["sum"].size

    assert net(3, 3) == (5, 5) and net(1, 3, 1) == (3, 3)
