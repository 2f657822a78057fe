"""A net of a foreign file as one that is saved here: how images become its input, the names of its classes, its place in the registry."""

from dataclasses import replace

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex.data import CropAndFlip, Standardize
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import CheckpointError, ShapeError
from tinyalex.formats.imported import Imported
from tinyalex.formats.saved import (
    AUTHORS,
    CAFFE,
    CIFAR10,
    GRAY,
    INCEPTION,
    TORCH,
    Pixels,
    describe_imported,
    imported_from,
    in_registry,
    is_unnamed,
    named_by,
    pixels_of,
)
from tinyalex.models.later.rows import conv, linear, row
from tinyalex.models.registry import build
from tinyalex.models.rows_of_net import rows_of_net
from tinyalex.models.saved_net import SavedNet
from tinyalex.models.weights import state_on_host


def net(side=32, classes=10, channels=3, name="strange", **changed):
    rows = (conv("c", 4, 3), row("relu", "r"), row("global_pool", "g"), linear("fc", classes))
    return replace(Imported(name, "net.onnx", rows, (channels, side, side)), **changed)


@pytest.mark.parametrize(
    ("found", "kind", "pixels"),
    [
        (net(), "onnx", TORCH),
        (net(), "pth", TORCH),
        (net(), "caffemodel", CAFFE),
        (net(), "net", CAFFE),
        (net(), "cfg", AUTHORS),
        (net(name="inception-v3"), "pth", INCEPTION),
        (net(name="googlenet-torchvision"), "safetensors", INCEPTION),
        (net(name="googlenet"), "caffemodel", CAFFE),
        (net(channels=1), "onnx", GRAY),
        (net(channels=2), "cfg", replace(GRAY, mean=(0.0, 0.0), std=(255.0, 255.0))),
    ],
)
def test_pixels_are_those_that_are_usual_for_the_format(found, kind, pixels):
    assert pixels_of(found, kind) == pixels


def test_what_the_file_of_caffe_says_comes_first():
    class WithData(Imported):
        data = {"mean_value": [1.0, 2.0, 3.0], "scale": 0.5}

    found = pixels_of(WithData("n", "p", net().rows, (3, 8, 8)), "prototxt")
    assert found.mean == (3.0, 2.0, 1.0) and found.std == (2.0, 2.0, 2.0)
    WithData.data = {"scale": 1 / 256}
    assert pixels_of(WithData("n", "p", net().rows, (3, 8, 8)), "prototxt").mean == (0.0, 0.0, 0.0)
    WithData.data = {"mean_value": [1.0], "scale": 0.5}
    said = describe_imported(WithData("n", "p", net().rows, (3, 8, 8)), "prototxt")[1]
    assert said[0] == "its data layer subtracts 1, 1, 1, then multiplies by 0.5"  # and no word that the file does not say it


@pytest.mark.parametrize(("side", "images"), [(224, 256), (227, 256), (299, 342), (32, 32), (128, 128)])
def test_images_have_the_size_from_which_such_an_input_is_usually_cut(side, images):
    saved, said = describe_imported(net(side), "onnx")
    assert saved.image_shape == (3, images, images) and saved.in_shape == (3, side, side)
    assert isinstance(saved.prepare, CropAndFlip) == (images > side) == any("is cut out" in sentence for sentence in said)


def test_what_was_taken_for_granted_is_said_and_what_was_given_is_not():
    saved, said = describe_imported(net(classes=3), "onnx")
    assert said == (
        "how images are prepared is not in the file: pixels are standardized as torchvision does for ImageNet",
        "the names of the classes are numbers, as the file has none",
    )
    assert saved.classes == ("class 0", "class 1", "class 2") and is_unnamed(saved) and saved.note == "from net.onnx"
    pixels = Pixels((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "")
    saved, said = describe_imported(net(classes=2), "onnx", pixels=pixels, images=40, classes=("a", "b"), folders=("x", "y"), warp=True)
    assert said == ("the center of 32x32 is cut out of images of 40x40",)
    assert saved.warp and saved.folders == ("x", "y") and not is_unnamed(saved)
    one = saved.prepare(np.full((1, 3, 40, 40), 9, np.uint8))
    assert np.allclose(one[0, :, 0, 0], [8 / 4, 7 / 5, 6 / 6])


def test_ten_classes_of_small_images_are_those_of_cifar():
    saved, said = describe_imported(net(), "pth")
    assert saved.classes == CIFAR10 and "the names of the classes are those of CIFAR-10, as the file has none" in said
    assert is_unnamed(describe_imported(net(64), "pth")[0])


def test_data_name_the_classes_that_have_numbers():
    saved = describe_imported(net(classes=3), "onnx")[0]
    named = named_by(saved, ("a", "b", "c"), ("n1", "n2", "n3"))
    assert named.classes == ("a", "b", "c") and named.folders == ("n1", "n2", "n3")
    assert named_by(saved, ("a", "b"), ()) is saved and named_by(named, ("x", "y", "z"), ()) is named


def test_a_net_of_the_registry_is_saved_under_its_name():
    dry = build("squeezenet1.1", num_classes=7, devices=DryDevice())
    found = Imported("squeezenet1.1", "s.pth", rows_of_net(dry), (3, 224, 224))
    assert in_registry(found)
    saved = describe_imported(found, "pth")[0]
    assert saved.rows == () and saved.net == "squeezenet1.1" and len(saved.classes) == 7 and saved.dry().shapes == dry.shapes
    for other in (replace(found, name="squeezenet1.0"), replace(found, name="mine"), replace(found, in_shape=(3, 256, 256))):
        assert not in_registry(other)
        assert describe_imported(other, "pth")[0].rows == found.rows


@pytest.mark.parametrize(
    ("found", "options", "error", "text"),
    [
        (net(rows=()), {}, CheckpointError, "hold the layers of its network, and the size of its images, got arrays alone"),
        (net(in_shape=None), {}, CheckpointError, "the file must hold the layers of its network"),
        (net(in_shape=(10,)), {}, CheckpointError, "net.onnx: the input of the net must be images (C, H, W), got (10,)"),
        (net(rows=net().rows[:2]), {}, ShapeError, "the output must be one number for each class, got one of shape (4, 32, 32)"),
        (net(), {"images": 31}, ShapeError, "net.onnx: images must be at least as large as the net's input, 32x32, got 31"),
        (net(in_shape=(3, 32, 40)), {"images": 50}, ShapeError, "exactly as large as a net's input that is no square, 32x40, got 50"),
        (net(), {"classes": ("a",)}, ShapeError, "classes must be as many as the outputs of strange, (10,), got 1"),
    ],
)
def test_what_cannot_be_described_is_refused(found, options, error, text):
    with refuses(error, text):
        describe_imported(found, "onnx", **options)


def test_two_towers_become_one_net():
    saved = SavedNet("cifar-alexnet", ("a", "b"), CropAndFlip(Standardize((0,) * 3, (1,) * 3), 24), (3, 32, 32))
    two, one = saved.build(towers=2), saved.build()
    found = imported_from(saved, state_on_host(two), "run")
    assert found.rows == rows_of_net(one) and found.in_shape == (3, 24, 24)
    assert {name: array.shape for name, array in found.arrays.items()} == {name: array.shape for name, array in one.params.items()}
