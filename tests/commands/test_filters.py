"""`tinyalex filters`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.commands.test_evaluate import write
from tinyalex import cli
from tinyalex.analysis.specialization import gray_shares, specialization
from tinyalex.commands import filters
from tinyalex.data import find, synthetic
from tinyalex.models import build
from tinyalex.models.weights import save_weights
from tinyalex.training import load_net, trained_figure1


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """An empty working folder with a net of two towers."""
    monkeypatch.delenv("TINYALEX_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    write("net", seed=1)


def answer(capsys, *argv):
    assert cli.main(["filters", *argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_help_is_the_line_of_the_table_and_the_example_works(capsys):
    assert filters.HELP == cli.COMMANDS["filters"][1]
    assert cli.main(["filters", "--help"]) == 0
    assert f"example:\n  {filters.EXAMPLE}" in capsys.readouterr().out
    assert cli.main(filters.EXAMPLE.split()[1:]) == 0


def test_without_arguments_the_shipped_net_is_drawn(capsys):
    assert cli.main(["filters"]) == 0
    out, err = capsys.readouterr()
    assert err == "draws the 32 filters of conv1 in figure1; takes seconds\n"
    assert out.startswith("conv1 of figure1 (figure1): 32 filters of 3 channels, 5x5\ngray share: 0.5")
    assert out.endswith("filters.png shows them; next: tinyalex features figure1 PICTURE\n")
    with Image.open("filters.png") as picture:
        assert picture.format == "PNG" and picture.width == 1200


def test_towers_are_apart_and_compared(capsys):
    found = answer(capsys, "net", "--png", "two.png")
    weight = load_net("net")[0].params["conv1.weight"]
    differ = specialization(weight)
    assert found["towers"] == 2 and found["shape"] == [32, 3, 5, 5] and found["png"] == "two.png"
    assert found["gray_shares"] == pytest.approx(gray_shares(weight).tolist())
    assert found["specialization"]["a"] == differ.a and found["specialization"]["p"] == differ.p
    assert cli.main(["filters", "net"]) == 0
    out = capsys.readouterr().out
    assert f"  tower a {differ.a:.3f}, tower b {differ.b:.3f}, difference {differ.difference:.3f}\n" in out
    assert "  specialization as in section 6.1: not seen\n" in out  # the net is not trained


def test_panels_show_every_filter_of_conv1():
    weight = np.arange(1, 2 * 18 * 3 * 2 * 2 + 1, dtype=float).reshape(36, 3, 2, 2)
    (a,), (b,) = filters.panels_of(weight, 2, "all")
    assert a.title == "tower a: 18 filters of 2x2 in color" and b.title.startswith("tower b: ")
    assert a.image.shape == (5, 16 * 3 - 1, 3)
    assert b.image[4, 4] == pytest.approx(0.5 + 0.5 * weight[-1, :, 1, 1] / weight.max())
    (each,), _ = filters.panels_of(weight, 2, "each")
    assert each.image[0, 0] == pytest.approx(0.5 + 0.5 * weight[0, :, 0, 0] / weight[0].max())


def test_deeper_filters_are_tiles_of_channels_and_say_what_is_left_out():
    weight = np.random.default_rng(0).standard_normal((80, 60, 3, 3))
    ((a,), (b,)) = filters.panels_of(weight, 2, "each")
    assert a.title == "tower a: the first 32 of 40 filters in lines; the first 48 of 60 channels of 3x3"
    assert a.image.shape == b.image.shape == (32 * 4 - 1, 48 * 4 - 1, 3)
    ((left, right),) = filters.panels_of(weight[:, :12], 2, "each")
    assert left.image.shape == right.image.shape == (32 * 4 - 1, 12 * 4 - 1, 3)


def test_filters_of_zeros_are_drawn():
    ((only,),) = filters.panels_of(np.zeros((4, 3, 2, 2)), 1, "each")
    assert only.image[0, 0] == pytest.approx(0.5)


def test_a_tower_of_zeros_is_drawn_and_not_compared(capsys):
    net, saved = load_net("net")
    net.params["conv1.weight"][:16] = 0
    save_weights("half", net, about=saved)
    found = answer(capsys, "half")
    assert found["specialization"] is None and found["gray_shares"][:16] == [None] * 16 and None not in found["gray_shares"][16:]


def test_deeper_layer_has_no_gray_share(capsys):
    found = answer(capsys, "figure1", "--layer", "conv3", "--scale", "all")
    assert found["gray_shares"] is None and found["shape"] == list(trained_figure1().net.params["conv3.weight"].shape)


def test_an_old_file_needs_its_net_and_data(capsys, monkeypatch):
    draw = synthetic.synthetic_dataset
    monkeypatch.setattr(find, "synthetic_dataset", lambda train, test, seed: draw(30, 60, seed))
    save_weights("old", build("cifar-alexnet"))
    assert cli.main(["filters", "old", "--net", "cifar-alexnet", "--data", "synthetic"]) == 0
    out, err = capsys.readouterr()
    assert "old does not say how its images are prepared" in err and out.startswith("conv1 of old (cifar-alexnet): 32 filters")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["nowhere"], "nowhere: the checkpoint must be a file or the folder of a run, got nothing of that name"),
        (
            ["figure1", "--layer", "conv"],
            "filters: --layer must be one of the net's convolutions, conv1, conv2, conv3, got 'conv'; did you",
        ),
        (["--png", "none/a.png"], "filters: --png must name a file in a folder that can be written, got no folder"),
        (["old"], "old: the file must describe its network, got weights alone"),
        (
            ["old", "--net", "cifar-alexnet"],
            "filters: --data must name the data that the net was trained on where --net is given, got none",
        ),
        (["old", "--net", "alexnett"], "got 'alexnett'; did you mean"),
    ],
)
def test_bad_input_is_one_sentence(argv, text, capsys):
    save_weights("old", build("cifar-alexnet"))
    assert cli.main(["filters", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1].startswith("tinyalex: error: ") and text in err
