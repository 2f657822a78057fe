"""The sizes that are quoted of AlexNet."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from tinyalex.analysis.count import count
from tinyalex.analysis.figures import figures
from tinyalex.devices.dry import DryDevice
from tinyalex.models import alexnet, figure1_net


def of(towers, batch=128, **settings):
    return figures(count(alexnet(towers=towers, devices=[DryDevice(f"cpu:{i}") for i in range(towers)], **settings)), batch)


@pytest.mark.parametrize("towers", [1, 2])
def test_figures_of_the_paper(towers):
    these = of(towers)
    assert these.flops == 2 * 724_406_816 and these.parameter_bytes == 243_860_896 and these.convolutions == (2_334_080, 665_784_864)
    assert {name: round(100 * share, 3) for name, share in these.shares.items()} == {
        "conv1": 0.057, "conv2": 0.504, "conv3": 1.452, "conv4": 1.089, "conv5": 0.726, "fc6": 61.925, "fc7": 27.526, "fc8": 6.72,
    }  # fmt: skip
    assert these.image_numbers == 150_528 and these.comparisons == {"pool1": 629_856, "pool2": 389_376, "pool5": 82_944}
    assert round(these.parameter_bytes / 2**20, 1) == 232.6 and round(these.blob_bytes / 2**20, 3) == 5.376
    assert these.batch_blob_bytes == 128 * these.blob_bytes and round(these.batch_blob_bytes / 2**20) == 688


def test_bytes_over_the_link():
    these = of(2)
    assert (these.sent_forward, these.sent_in_all) == (30_015_488, 60_030_976)
    assert (these.sent_forward / 2**20, these.sent_in_all / 2**20) == (28.625, 57.25)
    assert of(2, batch=32).sent_forward == 32 * 234_496
    assert of(1).sent_in_all == 0


def test_columnar_net_of_equal_size():
    these = of(2, exchange=(), widths={"conv2": 320, "fc6": 8192})
    assert these.parameter_bytes == 4 * 60_714_408 and these.sent_forward == 128 * 8_192


def test_224_pixels_are_602112_bytes_and_227_are_618348():
    assert [4 * of(1, input_size=size).image_numbers for size in (224, 227)] == [602_112, 618_348]


def test_mean_pooling_compares_nothing():
    assert set(asdict(figures(count(figure1_net(device=DryDevice()))))["comparisons"]) == {"pool1"}


def test_a_first_convolution_is_one_of_the_convolutions():
    rows = count(figure1_net(device=DryDevice("cpu")))
    weights = [row for row in rows if row.parameters and row.name != "fc10"]
    assert figures(rows).convolutions == (sum(row.parameters for row in weights), sum(row.macs for row in weights)) == (79_328, 12_288_000)
