"""`tinyalex net`."""

from __future__ import annotations

import json
import re

import pytest

from tinyalex import cli
from tinyalex.models.registry import MODELS


def test_two_towers_of_the_paper(capsys):
    assert cli.main(["net", "alexnet", "--towers", "2", "--batch", "128", "--memory"]) == 0
    out = capsys.readouterr().out
    for words in ("60,965,224 parameters", "724,406,816", "659,272 neurons", "234,496 bytes an image", "30,015,488", "cpu:0 + cpu:1"):
        assert words in out
    assert "cpu:1: " in out and "at the peak, in the backward of" in out


@pytest.mark.parametrize("name", MODELS)
def test_every_name(name, capsys):
    assert cli.main(["net", name]) == 0
    out = capsys.readouterr().out
    assert "\ntotal " in out
    assert ("differences from the paper's net:" in out) == name.startswith("alexnet-")


def test_variant_as_option_is_the_name(capsys):
    assert cli.main(["net", "alexnet", "--variant", "caffe"]) == 0
    by_option = capsys.readouterr().out
    assert cli.main(["net", "alexnet-caffe"]) == 0
    assert capsys.readouterr().out == by_option


def test_options_of_alexnet_change_the_net(capsys):
    options = ["--exchange", "conv4", "--remove", "conv3", "--no-lrn", "--no-dropout", "--num-classes", "10", "--input-size", "131"]
    assert cli.main(["net", "alexnet", "--towers", "2", *options]) == 0
    out = capsys.readouterr().out
    assert "conv4_link" in out and "images of 3x131x131" in out
    for gone in ("conv3", "norm", "drop", "fc6_link"):
        assert f"\n{gone}" not in out


def test_no_exchange_at_all(capsys):
    assert cli.main(["net", "alexnet", "--towers", "2", "--exchange", "none"]) == 0
    assert "8,192 bytes an image go between the devices in forward (fc8_link 8,192)" in capsys.readouterr().out


def test_card_plans_and_fails_in_small(capsys):
    assert cli.main(["net", "alexnet-authors", "--card", "3GiB"]) == 0
    out = capsys.readouterr().out
    assert "one card of 3.00 GiB: the largest batch that trains is " in out and "2 cards of 3.00 GiB" in out
    assert "the code of 2012 kept 2.98 GiB for it, and up to 129 images fit" in out
    assert "sim:0: an array of" in out and "two cards: the step is done" in out


def test_card_of_a_net_for_one_device(capsys):
    assert cli.main(["net", "alexnet-torchvision", "--card", "3GiB"]) == 0
    assert "this net is for one device, so there is no plan for two cards" in capsys.readouterr().out


def test_json_is_one_document(capsys):
    assert cli.main(["net", "alexnet", "--towers", "2", "--memory", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["totals"]["parameters"] == 60_965_224 and document["totals"]["forward_bytes"] == 234_496
    assert document["layers"][1]["name"] == "conv1a" and document["layers"][1]["field"]["size"] == [11, 11]
    assert set(document["memory"]) == {"cpu:0", "cpu:1"}


def test_algorithms(capsys):
    assert cli.main(["net", "alexnet", "--batch", "128", "--algorithms"]) == 0
    out = capsys.readouterr().out
    assert "algorithms for 128 images; multiplications of an image in forward" in out
    assert re.search(r"conv1 +im2col +none +- +105,415,200 +105,415,200 +1.0x", out)
    assert re.search(r"conv2 +winograd +winograd +49 of 4x4 +223,948,800 +38,535,168 +5.8x", out)
    assert cli.main(["net", "alexnet", "--batch", "1", "--algorithms", "--json"]) == 0
    chosen = json.loads(capsys.readouterr().out)["algorithms"]
    assert [(row["layer"], row["algorithm"]) for row in chosen] == [(f"conv{i}", "im2col") for i in range(1, 6)]
    assert {row["input_gradient"] for row in chosen} == {"none", "turned weights", "col2im"}


def test_pictures(tmp_path, capsys):
    png, svg = tmp_path / "figure2.png", tmp_path / "figure2.svg"
    assert cli.main(["net", "alexnet", "--towers", "2", "--png", str(png), "--svg", str(svg)]) == 0
    assert png.read_bytes().startswith(b"\x89PNG") and b"<svg" in svg.read_bytes()
    assert f"drew {png}\ndrew {svg}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["lexnet"], "net: NAME must be one of alexnet, "),
        (["alexnet", "--towers", "3"], "alexnet: towers must be one of 1, 2, got 3"),
        (["alexnet-caffe", "--towers", "2"], "towers must be 1 for the variant 'caffe'"),
        (["alexnet", "--variant", "vgg"], "variant must be one of 'paper'"),
        (["alexnet-caffe", "--variant", "paper"], "net: NAME must be alexnet where --variant is given, got 'alexnet-caffe'"),
        (["alexnet", "--exchange", "conv9"], "exchange must"),
        (["alexnet", "--remove", "fc8"], "remove must"),
        (["alexnet", "--input-size", "20"], "input_size must be at least"),
        (["alexnet", "--input-size", "1000000000"], "input_size, num_classes and widths must give at most 4,294,967,296 parameters, got "),
        (["alexnet", "--batch", "0"], "net: --batch must be an integer of at least 1, got 0"),
        (["alexnet", "--card", "big"], "net: memory must be a number with one of"),
        (["figure1", "--towers", "2"], "figure1: towers must be one of 1, got 2"),
        (["figure1", "--no-lrn", "--num-classes", "3"], "net: NAME must be an alexnet for --num-classes, --no-lrn, got 'figure1'"),
        (["alexnet", "--png", "/nowhere/figure2.png"], "/nowhere/figure2.png"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_option_exits_2(options, text, capsys):
    assert cli.main(["net", *options]) == 2
    assert text in capsys.readouterr().err
