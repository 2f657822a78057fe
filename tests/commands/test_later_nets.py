"""The commands that take a trained net, with networks after AlexNet: batch normalization, paths, auxiliary heads."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tinyalex import cli
from tinyalex.data import find, synthetic
from tinyalex.data.prepare import Standardize
from tinyalex.data.synthetic import CLASSES
from tinyalex.models import build
from tinyalex.models.saved_net import SavedNet
from tinyalex.models.weights import save_weights

NETS = {
    "resnet20": {"width": 1 / 8},
    "vgg11-bn": {"width": 1 / 64, "input_size": 32},
    "se-resnet50": {"width": 1 / 32, "input_size": 32},
    "densenet121": {"width": 1 / 16, "input_size": 32},
    "googlenet-heads": {"width": 1 / 16, "input_size": 80},
}
FIRST = {"vgg11-bn": "conv1_1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The nets, whose running statistics one batch has moved, and a picture."""
    place = tmp_path_factory.mktemp("nets")
    for name, options in NETS.items():
        net = build(name, num_classes=10, **options)
        net.forward(np.random.default_rng(0).standard_normal((4, *net.in_shape)).astype(np.float32), train=True)
        net.reset()
        about = SavedNet(name, CLASSES, Standardize((120.0,) * 3, (64.0,) * 3), net.in_shape, options)
        save_weights(place / name, net, about=about)
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 100, 3), np.uint8)).save(place / "cat.png")
    return place


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    draw = synthetic.synthetic_dataset
    monkeypatch.setattr(find, "synthetic_dataset", lambda train, test, seed: draw(40, 40, seed))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("command", ["explore", "filters", "features", "predict"])
def test_commands_that_show_a_net(command, name, folder, tmp_path, capsys):
    picture = [] if command == "filters" else [str(folder / "cat.png")]
    chosen = ["--layer", "fc" if "vgg" not in name else "fc8"] if command == "features" else []
    out = "--out" if command == "explore" else "--png"
    assert cli.main([command, str(folder / name), *picture, *chosen, out, str(tmp_path / "page")]) == 0
    said = capsys.readouterr().out
    assert (tmp_path / "page").stat().st_size > 1000
    if command == "filters":
        assert said.startswith(f"{FIRST.get(name, 'conv1')} of ")


@pytest.mark.parametrize("name", [name for name in NETS if name != "googlenet-heads"])  # the synthetic images have 32 pixels
@pytest.mark.parametrize("command", ["neighbors", "evaluate"])
def test_commands_that_read_data(command, name, folder, tmp_path, capsys):
    assert cli.main([command, str(folder / name), "--data", "synthetic", "--images", "20", "--png", str(tmp_path / "a.png")]) == 0
    assert "synthetic" in capsys.readouterr().out


def test_convolution_inside_of_a_path_by_what_excites_it(folder, tmp_path, capsys):
    given = ["filters", str(folder / "resnet20"), "--layer", "stage2.1.conv2", "--images", "8", "--data", "synthetic"]
    assert cli.main([*given, "--png", str(tmp_path / "a.png")]) == 0
    assert capsys.readouterr().out.startswith("stage2.1.conv2 of ")


def test_a_convolution_that_is_not_there_is_refused_without_a_hundred_names(folder, capsys):
    assert cli.main(["filters", str(folder / "densenet121"), "--layer", "conv9"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "must be one of the net's convolutions, conv1, block1.1.conv1" in said and "(120 in all), got 'conv9'; did you mean" in said


@pytest.mark.parametrize("name", ["resnet20", "vgg11-bn"])
def test_training_starts_from_a_file_and_goes_on(name, folder, tmp_path, capsys):
    options = NETS[name]
    given = ["train", "--net", name, "--data", "synthetic", "--out", str(tmp_path / "run"), "--width", str(options["width"])]
    given += ["--batch-size", "20", "--schedule", "constant"]
    if "input_size" in options:
        given += ["--input-size", str(options["input_size"])]
    assert cli.main([*given, "--from", str(folder / name), "--epochs", "1"]) == 0
    capsys.readouterr()
    assert cli.main([*given, "--from", str(folder / name), "--epochs", "2"]) == 0
    assert "epoch" in capsys.readouterr().out
