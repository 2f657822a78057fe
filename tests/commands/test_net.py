"""`tinyalex net`."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import replace

import pytest

from tinyalex import cli
from tinyalex.commands import train
from tinyalex.models.later import LATER
from tinyalex.models.registry import GROUPS, MODELS
from tinyalex.models.variants import differences


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
    assert ("; the counts above equal both\n" in out) == (name in LATER)  # the numbers of the table of published counts
    assert out.endswith(f"next: tinyalex compare {name} alexnet --by stage, where in the net the numbers come from\n") == (name in LATER)


def test_counts_that_differ_from_the_published_are_named(monkeypatch, capsys):
    entry = LATER["resnet20"]
    monkeypatch.setitem(LATER, "resnet20", replace(entry, parameters=entry.parameters + 3, macs=entry.macs - 1000))
    assert cli.main(["net", "resnet20"]) == 0
    said = capsys.readouterr().out
    assert "269,725 parameters and 40,550,040 multiply-adds; the net above has 3 parameters fewer and 1,000 multiply-adds more\n" in said
    assert cli.main(["net", "resnet20", "--num-classes", "5"]) == 0
    assert "published" not in capsys.readouterr().out
    assert cli.main(["net", "resnet20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["as_published"] == {"parameters": 269_725, "macs": 40_550_040}


def test_paths_are_indented_behind_their_number_and_meet_further_left(capsys):
    assert cli.main(["net", "googlenet", "--json"]) == 0
    layers = {layer["name"]: layer for layer in json.loads(capsys.readouterr().out)["layers"]}
    assert layers["conv1"]["path"] == layers["3a.concat"]["path"] == [] and layers["3a.5x5"]["path"] == [3]
    assert cli.main(["net", "googlenet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == LATER["googlenet"].origin and "max pooling compares 12,757,248 elements in 13 layers" in lines
    for start in ("conv1 ", "   3: 3a.5x5.reduce.relu ", "   4: 3a.project ", "3a.concat ", "fc "):
        assert sum(line.startswith(start) for line in lines) == 1


def test_memory_and_picture_of_a_net_with_paths(capsys, tmp_path):
    picture = tmp_path / "net.svg"
    assert cli.main(["net", "resnet50", "--batch", "32", "--memory", "--svg", str(picture)]) == 0
    out, drawn = capsys.readouterr().out, picture.read_text(encoding="utf-8")
    assert "4,089,184,256 multiply-adds" in out and "cpu: " in out and "at the peak" in out
    assert all(words in drawn for words in ("stage3.1", "to stage3.6", "6 blocks", "2048 maps"))


def test_size_and_classes_of_a_later_net(capsys):
    assert cli.main(["net", "resnet18", "--input-size", "97", "--num-classes", "5"]) == 0
    out = capsys.readouterr().out
    assert "images of 3x97x97" in out and "512x4x4" in out and "\nfc " in out
    assert cli.main(["net", "vgg16", "--input-size", "15"]) == 2
    assert "pool5: input height with padding must be at least 2, the kernel's, got" in capsys.readouterr().err.replace("pool4", "pool5")
    assert cli.main(["net", "vgg16", "--half", "--input-size", "64"]) == 2
    assert "net: NAME must be an alexnet for --half, got 'vgg16'" in capsys.readouterr().err


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
    assert "the code of 2012 kept 2.98 GiB for that batch, and up to 129 images fit" in out
    assert "sim:0: an array of" in out and "two cards: the step succeeds" in out


ONE_TOWER = ("alexnet-caffe", "alexnet-caffenet", "alexnet-torchvision", "figure1", "resnet20")  # nets that two devices cannot share


@pytest.mark.parametrize("name", [*GROUPS["AlexNet and small nets"], "resnet20"])
def test_card_of_every_name(name, capsys):
    assert cli.main(["net", name, "--card", "3GiB"]) == 0
    out = capsys.readouterr().out
    assert "one card of 3.00 GiB: the largest batch that trains is " in out and "a batch of 128 takes" in out
    if name not in ONE_TOWER:
        assert re.search(r"cards of [\d,]+ B:\n  one card: \w+: sim:0: .* does not fit, .*\n  two cards: the step succeeds", out)
        scaled = "0.125 of the width, 10 classes, images of 115 pixels, " if name.startswith("alexnet") else ""
        assert f"the failure itself, in small: the same net, {scaled}a batch of 16, on simulated cards" in out
    else:
        assert re.search("there is no plan for two cards: .*: towers must be .*, got 2", out)


def test_card_that_nothing_fits_and_a_batch_of_one(capsys):
    assert cli.main(["net", "alexnet", "--card", "1B", "--batch", "1"]) == 0
    out = capsys.readouterr().out
    assert "one card of 1 B: the largest batch that trains is 0\n  a batch of 1 takes" in out and "a batch of 128 takes" not in out


def test_story_of_the_cards_comes_before_the_table(capsys):
    assert cli.main(["net", "alexnet", "--towers", "2", "--card", "3GiB"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (table,) = (i for i, line in enumerate(lines) if line.startswith("layer "))
    for words in ("one card of 3.00 GiB", "2 cards of 3.00 GiB", "  two cards: the step succeeds"):
        assert [i < table for i, line in enumerate(lines) if line.startswith(words)] == [True]
    assert lines[2].startswith("one card of 3.00 GiB: the largest batch that trains is ")


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ("alexnet", "tinyalex net alexnet --png figure2.png, the same as a picture"),
        ("figure1", "tinyalex net alexnet --towers 2 --png towers.png, the split net"),
        ("alexnet --towers 2", "tinyalex net alexnet --towers 2 --card 3GiB, what fits one card and two"),
        ("alexnet --card 3GiB", "tinyalex train --net cifar-alexnet, a small AlexNet to be trained"),
        ("--list", "tinyalex net alexnet, its layers and their counts"),
    ],
)
def test_last_line_is_the_next_command_and_that_command_exists(options, command, capsys, tmp_path, monkeypatch):
    assert cli.main(["net", *options.split()]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"next: {command}"
    _, *words = command.partition(",")[0].split()
    monkeypatch.chdir(tmp_path)
    if words[0] == "net":
        assert cli.main(words) == 0
    else:
        parser = argparse.ArgumentParser()
        train.add_arguments(parser)
        assert words[0] == "train" and parser.parse_args(words[1:]).net in MODELS


def test_list_says_what_each_net_is(capsys):
    assert cli.main(["net", "--list"]) == 0
    out = capsys.readouterr().out.splitlines()[:-1]
    lines = [line for line in out if line.startswith("  ")]
    assert [line[:-1] for line in out if not line.startswith("  ")] == list(GROUPS)
    assert [line.split()[0] for line in lines] == list(MODELS)
    assert all(len(line.split()) > 5 for line in lines) and "Krizhevsky" in lines[0] and "Figure 1" in lines[list(MODELS).index("figure1")]


def test_net_that_two_cards_cannot_share_says_why(capsys):
    assert cli.main(["net", "alexnet", "--card", "3GiB", "--remove", "conv1,conv2,conv3,conv4,conv5,fc6,fc7"]) == 0
    assert "there is no plan for two cards: alexnet: remove must leave a layer that two towers can share, got" in capsys.readouterr().out


def test_net_without_a_failure_to_show_says_so(capsys):
    assert cli.main(["net", "alexnet", "--card", "3GiB", "--remove", "conv1,conv2,conv3,conv4,conv5"]) == 0
    out = capsys.readouterr().out
    assert "  one card: the step succeeds: one card needs hardly more memory for this net than each of two" in out
    assert "two cards: the step succeeds, at most" in out


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--half", "59,798,312 parameters"),
        ("--sixth", "61,555,304 parameters"),
        ("--no-overlap", " 96x28x28 "),
        ("--exchange conv2,conv3,conv4,conv5,fc6,fc7", "62,378,344 parameters"),
        ("--exchange none --widths conv2=320,fc6=8192", "60,714,408 parameters"),
    ],
)
def test_each_switch_gives_its_own_net(option, words, capsys):
    assert cli.main(["net", "alexnet", *option.split()]) == 0
    assert words in capsys.readouterr().out


def differences_said(capsys, *options):
    assert cli.main(["net", *options]) == 0
    return [line for line in capsys.readouterr().out.partition("differences from the paper's net:\n")[2].splitlines() if line[:2] == "  "]


def test_differences_are_those_of_the_net_with_its_options(capsys):
    authors = differences_said(capsys, "alexnet-authors", "--no-lrn")
    assert "  k of response normalization: none (paper: 2.0)" in authors
    assert "  after conv1: pool, relu (paper: relu, norm, pool)" in authors
    assert not any("within a channel" in line for line in authors)
    linked = differences_said(capsys, "alexnet-torchvision", "--exchange", "conv3,fc6,fc7")
    assert linked and not any("that see both halves" in line for line in linked)
    assert differences_said(capsys, "alexnet", "--num-classes", "10") == ["  classes: 10 (paper: 1000)"]
    assert differences_said(capsys, "alexnet") == []


def test_published_errors_are_of_the_net_as_it_was(capsys):
    for options, there in (([], True), (["--towers", "2"], True), (["--no-dropout"], False)):
        assert cli.main(["net", "alexnet", *options]) == 0
        assert ("37.5 and 17.0 % (ILSVRC-2010 test, ten crops)" in capsys.readouterr().out) == there


def test_json_is_one_document(capsys):
    assert cli.main(["net", "alexnet", "--towers", "2", "--memory", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["totals"]["parameters"] == 60_965_224 and document["totals"]["forward_bytes"] == 234_496
    assert [document["layers"][1][key] for key in ("kernel", "stride", "padding")] == ["11", "4", "0"] and "kernel" not in document[
        "layers"
    ][0]
    assert document["layers"][1]["name"] == "conv1a" and document["layers"][1]["field"]["size"] == [11, 11]
    assert set(document["memory"]) == {"cpu:0", "cpu:1"}
    assert document["figures"]["flops"] == 2 * 724_406_816 and document["figures"]["sent_in_all"] == 60_030_976
    assert document["differences"] == [] and document["published"][0]["top1"] == 37.5


def test_json_has_the_differences_and_why_there_is_one_card(capsys):
    assert cli.main(["net", "alexnet-caffe", "--card", "3GiB", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["differences"] == differences("caffe") and document["published"][0]["top5"] == 19.8
    assert "towers must be 1 for the variant 'caffe'" in document["one_card"]


def test_algorithms(capsys):
    assert cli.main(["net", "alexnet", "--batch", "128", "--algorithms"]) == 0
    out = capsys.readouterr().out
    assert "algorithms for 128 images; multiplications of an image in forward" in out
    assert re.search(r"conv1 +winograd +none +121 of 5x5 +105,415,200 +27,320,832 +3.9x", out)
    assert re.search(r"conv2 +winograd +winograd +49 of 4x4 +223,948,800 +38,535,168 +5.8x", out)
    assert re.search(r"conv3 +winograd +winograd +9 up to 5x5 +149,520,384 +35,487,744 +4.2x", out)
    assert cli.main(["net", "alexnet", "--batch", "1", "--algorithms", "--json"]) == 0
    chosen = json.loads(capsys.readouterr().out)["algorithms"]
    convolutions = [row for row in chosen if row["operation"] == "convolution"]
    assert [row["layer"] for row in convolutions] == [f"conv{i}" for i in range(1, 6)]
    assert [row["algorithm"] for row in convolutions] == ["strips", "winograd", "few", "few", "few"]
    assert {row["input_gradient"] for row in convolutions} == {"none", "winograd", "turned weights"}
    others = {row["layer"]: row["algorithm"] for row in chosen if row["operation"] != "convolution"}
    assert others == {"pool1": "runs", "pool2": "runs", "pool5": "runs", "fc6": "blocks", "fc7": "blocks", "fc8": "blocks"}
    assert cli.main(["net", "figure1", "--batch", "128", "--algorithms", "--json"]) == 0
    chosen = {row["layer"]: row["algorithm"] for row in json.loads(capsys.readouterr().out)["algorithms"]}
    assert (chosen["conv1"], chosen["pool1"], chosen["pool2"]) == ("lines", "innermost", "matrices")


def test_pictures(tmp_path, capsys):
    png, svg = tmp_path / "figure2.png", tmp_path / "figure2.svg"
    assert cli.main(["net", "alexnet", "--towers", "2", "--png", str(png), "--svg", str(svg)]) == 0
    assert png.read_bytes().startswith(b"\x89PNG") and b"<svg" in svg.read_bytes()
    assert svg.read_bytes().count(b"<text") > 20  # words, not outlines of letters
    assert f"wrote {png}\nwrote {svg}\nnext: tinyalex net alexnet --towers 2 --card 3GiB, " in capsys.readouterr().out


def test_picture_of_one_tower_leads_to_two(tmp_path, capsys):
    assert cli.main(["net", "figure1", "--svg", str(tmp_path / "one.svg")]) == 0
    assert capsys.readouterr().out.endswith("one.svg\nnext: tinyalex net alexnet --towers 2 --png towers.png, the split net\n")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["lexnet"], "net: NAME must be one of alexnet, "),
        ([], "net: NAME must be one of alexnet, "),
        (["--towers", "2"], "got none; `tinyalex net --list` says what each is"),
        (["alexnet", "--towers", "3"], "alexnet: towers must be 1 or 2, got 3"),
        (["alexnet-caffe", "--towers", "2"], "towers must be 1 for the variant 'caffe'"),
        (["alexnet", "--variant", "vgg"], "variant must be paper, "),
        (["alexnet-caffe", "--variant", "paper"], "net: NAME must be alexnet where --variant is given, got 'alexnet-caffe'"),
        (["alexnet", "--exchange", "conv9"], "exchange must"),
        (["alexnet", "--remove", "fc8"], "remove must"),
        (["alexnet", "--input-size", "20"], "input_size must be at least"),
        (["alexnet", "--input-size", "1000000000"], "input_size, num_classes and widths must give at most 4,294,967,296 parameters, got "),
        (["alexnet", "--batch", "0"], "net: --batch must be an integer of at least 1, got 0"),
        (["alexnet", "--batch", "1" + 400 * "0", "--memory"], "--batch must be at most 1,099,511,627,776, got an integer of 1329 bits"),
        (["alexnet", "--batch", str(2**40 + 1), "--card", "3GiB"], "net: --batch must be at most 1,099,511,627,776, got 1099511627777"),
        (["alexnet", "--num-classes", "1" + 400 * "0"], "for input_size 224 and num_classes an integer of 1329 bits"),
        (["alexnet", "--card", "1e200GiB"], "net: memory must be a number with one of"),
        (["alexnet", "--widths", "conv2"], "net: --widths must be LAYER=N with commas between, such as conv2=320,fc6=8192, got 'conv2'"),
        (["alexnet", "--widths", "conv2=3"], "alexnet: the width of conv2 must be even, got 3"),
        (["figure1", "--widths", "conv2=4"], "net: NAME must be an alexnet for --widths, got 'figure1'"),
        (["alexnet", "--png", ""], "file: path must be a str or a Path that ends in the name of a file, got "),
        (["alexnet", "--svg", "/dev/full"], "/dev/full: the file must be a new or a plain one, got a device"),
        (["alexnet", "--card", "big"], "net: memory must be a number with one of"),
        (["figure1", "--towers", "2"], "figure1: towers must be 1, got 2"),
        (["alexnet", "--in-shape", "3,8,8"], "net: NAME must be a file where --in-shape is given, got 'alexnet'; use --input-size N"),
        (["alexnet", "--in-shape", "3,8"], "net: --in-shape must be 3 numbers with commas between, got '3,8'"),
        (["figure1", "--no-lrn", "--num-classes", "3"], "net: NAME must be an alexnet for --num-classes, --no-lrn, got 'figure1'"),
        (["alexnet", "--png", "/nowhere/figure2.png"], "/nowhere/figure2.png"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_option_exits_2(options, text, capsys):
    assert cli.main(["net", *options]) == 2
    assert text in capsys.readouterr().err
