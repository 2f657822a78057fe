"""`tinyalex features`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands.test_evaluate import write
from tests.commands.test_predict import MODES, any_mode, boat
from tinyalex import cli
from tinyalex.commands import features
from tinyalex.models import build
from tinyalex.models.weights import save_weights
from tinyalex.training import load_net, trained_figure1


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """An empty working folder with a drawn boat and a net of two towers."""
    monkeypatch.delenv("TINYALEX_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    boat((90, 60)).save("boat.png")
    write("net")


def answer(capsys, *argv):
    assert cli.main(["features", *argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_help_is_the_line_of_the_table_and_the_example_works(capsys):
    assert features.HELP == cli.COMMANDS["features"][1]
    assert cli.main(["features", "--help"]) == 0
    assert f"example:\n  {features.EXAMPLE}" in capsys.readouterr().out
    boat((50, 50)).save("cat.jpeg")
    assert cli.main(features.EXAMPLE.split()[1:]) == 0
    with Image.open("features.png") as picture:
        assert picture.format == "PNG"


def test_a_picture_alone_is_enough(capsys):
    assert cli.main(["features", "boat.png", "--layer", "relu3", "conv1"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("draws 2 layers of figure1 for boat.png; about ")
    says, one, two, last = out.splitlines()
    assert says.startswith("figure1 says ") and one.split()[:2] == ["conv1", "32x32x32"] and two.split()[0] == "relu3"
    assert last == "features.png shows them; next: tinyalex neighbors figure1" and os.path.exists("features.png")


def test_next_command_asks_for_the_data_of_an_own_net(capsys):
    assert cli.main(["features", "net", "boat.png", "--layer", "conv1"]) == 0
    assert capsys.readouterr().out.endswith("next: tinyalex neighbors net --data DATA\n")


def test_values_are_those_of_the_layers(capsys):
    found = answer(capsys, "net", "boat.png")
    net, saved = load_net("net")
    pixels = np.asarray(boat((90, 60)).resize((48, 32), Image.Resampling.BOX))[:, 8:40].transpose(2, 0, 1)[None]
    x = saved.prepare(np.ascontiguousarray(pixels), None)
    (best,) = net.forward(x).argmax(axis=1)
    assert found["guess"]["class"] == saved.classes[best]
    assert [one["layer"] for one in found["layers"]] == [layer.name for layer in net if layer.name not in ("flatten5", "drop6")]
    there = {one["layer"]: one for one in found["layers"]}
    for layer in net:
        x = layer.forward(x)
        if layer.name in there:
            one = there[layer.name]
            assert one["shape"] == list(x.shape[1:])
            assert (one["least"], one["most"]) == pytest.approx((x.min(), x.max()), rel=1e-4)
            assert one["zeros"] == pytest.approx((x == 0).mean())


def test_towers_are_apart_and_share_the_scale_of_the_layer():
    values = np.zeros((8, 3, 3))
    values[:4], values[4:] = 1, 4
    a, b = features.panels_of("conv1", values, 2)
    assert a.title == "conv1, tower a: 4 maps, 3x3" and b.title == "tower b: 4 maps; 1 to 4"
    assert a.image.shape == b.image.shape == (3, 15, 3)
    assert b.image[0, 0].sum() < a.image[0, 0].sum()  # the larger value has the darker color
    (one,) = features.panels_of("conv1", np.repeat(values, 20, axis=0), 1)
    assert one.title == "conv1: first 64 of 160 maps of 3x3, 1 to 4"
    (vector,) = features.panels_of("fc6", np.arange(70.0), 1)
    assert vector.title == "fc6: 70 values, 0 to 69" and vector.image.shape == (16, 512, 3)


@pytest.mark.parametrize("mode", MODES)
def test_any_mode_and_size(mode, capsys):
    name = f"odd.{'tiff' if mode in ('CMYK', 'I;16', 'LA') else 'png'}"
    any_mode((7, 41), mode).save(name)
    assert answer(capsys, name, "--layer", "conv1")["layers"][0]["shape"] == [32, 32, 32]


def test_a_net_that_gives_zeros_everywhere_is_drawn(capsys):
    net, saved = load_net("net")
    for array in net.params.values():
        array[...] = 0
    save_weights("zero", net, about=saved)
    assert all(one["zeros"] == 1 for one in answer(capsys, "zero", "boat.png")["layers"])


def test_a_constant_picture_has_a_constant_input():
    assert not features.as_picture(np.full((3, 2, 2), 7.0))[:, :2].any()
    assert trained_figure1().classes[0] == "airplane"


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["nowhere", "boat.png"], "nowhere: the checkpoint must be a file or the folder of a run, got nothing of that name"),
        (["figure1", "nowhere.png"], "features: PICTURE must be one picture file, got no file 'nowhere.png'; correct the name"),
        (["figure1", "void"], "features: PICTURE must be one picture file, got a folder"),
        (["notes.txt"], "features: PICTURE notes.txt must be a picture, got one that cannot be read: not a picture"),
        (["boat.png", "--layer", "conv1", "relu9"], "features: --layer must be among conv1, pool1, relu1, conv2, relu2, pool2, conv3"),
        (["boat.png", "--png", "none/a.png"], "features: --png must name a file in a folder that can be written, got no folder"),
        (["old", "boat.png"], "old: the file must describe its network, got weights alone"),
    ],
)
def test_bad_input_is_one_sentence(argv, text, capsys):
    os.mkdir("void")
    Path("notes.txt").write_text("no picture")
    save_weights("old", build("cifar-alexnet"))
    assert cli.main(["features", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1].startswith("tinyalex: error: ") and text in err


def test_towers_of_the_net_are_drawn_apart_and_the_classes_are_not(monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(features, "draw_panels", lambda rows, title, caption, path: drawn.extend(rows))
    assert cli.main(["features", "net", "boat.png", "--layer", "conv1", "fc6", "fc8"]) == 0
    titles = [[panel.title for panel in row] for row in drawn]
    assert titles[0] == ["input, 24x24 pixels as the net sees them"]
    assert [title.split(":")[0] for title in titles[1]] == ["conv1, tower a", "tower b"]
    assert [len(row) for row in titles[2:]] == [1, 1]


@pytest.mark.parametrize("command", ["predict", "features", "filters", "explore", "neighbors", "evaluate"])
def test_help_says_that_files_of_other_programs_are_taken_and_what_data_are_for(command, capsys):
    assert cli.main([command, "--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "or a file of ONNX, PyTorch, safetensors, or Caffe, as deploy.prototxt,net.caffemodel" in words
    if command != "explore":
        assert "--net NAME the network, for a CKPT that does not say it, such as an old one or a .pth: " in words
    if command in ("predict", "features"):
        names = "the data that name the classes of a CKPT which has no names, such as a file of another program;"
        assert f"--data DATA {names} an old CKPT with --net needs them" in words
