"""`tinyalex filters --images`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import tinyalex as ta
from tests.commands.test_evaluate import DATA, PREPARE, write
from tests.data.imagenet.making import class_folders
from tinyalex import cli
from tinyalex.commands import excited
from tinyalex.data import ArraySource, find, synthetic
from tinyalex.training import load_net


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """An empty working folder, few synthetic images, and a net for them."""
    draw = synthetic.synthetic_dataset
    monkeypatch.setattr(find, "synthetic_dataset", lambda train, test, seed: draw(30, 60, seed))
    monkeypatch.delenv("TINYALEX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write("net")


def test_outputs_are_those_of_the_layer(capsys):
    assert cli.main(["filters", "net", "--layer", "conv3", "--images", "20", "--data", "synthetic", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    net, _ = load_net("net")
    kept = np.arange(20) * 3  # of 60, evenly spaced
    out = ta.Sequential(net.layers[:9], net.in_shape).forward(PREPARE(DATA.test_images[kept], None))
    assert out.shape[1] == len(found["outputs"]) == 128
    largest = out.max(axis=(2, 3)).T  # (K, N)
    order = np.argsort(-largest, axis=1)[:, :8]
    assert np.array(found["outputs"]) == pytest.approx(np.take_along_axis(largest, order, 1), rel=1e-4, abs=1e-5)
    assert (found["looked_at"], found["layer"]) == (20, "conv3") and (np.array(found["images"]) == order).mean() > 0.99


def test_report_and_picture(capsys):
    assert cli.main(["filters", "--layer", "conv2", "--images", "10"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("computes conv2 of figure1 for 10 images of synthetic; about ")
    assert out.startswith("conv2 of figure1: 32 filters, 10 test images of synthetic\n")
    assert out.endswith("filters.png shows the parts that excite them most; next: tinyalex features figure1 PICTURE\n")
    with Image.open("filters.png") as picture:
        assert picture.format == "PNG"


def test_lines_are_the_filters_of_each_tower(capsys):
    write("net")
    from argparse import Namespace

    from tinyalex.commands.saved import Loaded

    net, saved = load_net("net")
    loaded, source = Loaded("net", net, saved), ArraySource(DATA.test_images[:9], DATA.test_labels[:9])
    until = ta.Sequential(net.layers[:5], net.in_shape)
    found = excited.search(Namespace(layer="conv2"), loaded, DATA.sources(), source, until)
    ((a, b),) = excited.panels_of("conv2", loaded, source, found, 2)
    assert (a.title, b.title) == ("tower a: first 16 of 32 filters", "tower b: first 16 of 32 filters")
    assert a.notes == tuple(map(str, range(16))) and b.notes == tuple(map(str, range(32, 48))) and a.image.shape == b.image.shape


def test_center_of_an_image_is_what_the_net_reads():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), np.uint8)
    seen = excited.as_seen(images, 24, 24).transpose(0, 3, 1, 2) * 255
    mean, std = (np.array(values, float).reshape(3, 1, 1) for values in ((120, 121, 122), (60, 61, 62)))
    assert (seen - mean) / std == pytest.approx(PREPARE(images, None), abs=1e-4)
    assert excited.as_seen(np.linspace(-1, 1, 8).reshape(2, 1, 2, 2), 2, 2).shape == (2, 2, 2, 3)


def test_large_parts_are_made_smaller():
    assert excited.smaller(np.zeros((195, 195, 3))).shape == (65, 65, 3) and excited.smaller(np.zeros((96, 96, 3))).shape == (96, 96, 3)


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--images", "61"], "synthetic: number of test images must be an integer from 1 to 60, got 61"),
        (["--images", "0"], "synthetic: number of test images must be an integer from 1 to 60, got 0"),
        (["--images", "5", "--data", "folders"], "filters: images of --data must be 3x32x32, which net was trained on, got "),
        (["--images", "5", "--data", "nowhere"], "data must be auto, cifar10, synthetic or a folder that is there, got 'nowhere'"),
    ],
)
def test_bad_input_is_one_sentence(argv, text, capsys, tmp_path):
    class_folders(tmp_path / "folders")
    assert cli.main(["filters", "net", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1].startswith("tinyalex: error: ") and text in err
