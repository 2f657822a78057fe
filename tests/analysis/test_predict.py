"""The cost model: counts against arithmetic by hand, units, towers, and what it says about the paper's own training."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex import cli
from tinyalex.analysis.count import count, totals
from tinyalex.analysis.predict import (
    EFFICIENCY,
    LAUNCH,
    Kernel,
    LayerTime,
    Pass,
    _end,
    backward_kernels,
    forward_kernels,
    predict,
    update_kernels,
)
from tinyalex.analysis.predict_cards import CARDS, CHECKS, REFERENCE, Card, parse_cards
from tinyalex.analysis.walk import visit
from tinyalex.commands.net import predicted_seconds
from tinyalex.devices.dry import DryDevice
from tinyalex.devices.sim import SimDevice
from tinyalex.errors import DataError, ShapeError
from tinyalex.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from tinyalex.models import alexnet
from tinyalex.models.cifar_alexnet import cifar_alexnet

GTX = CARDS["gtx580"]


def on(number, **settings):
    places = [DryDevice(f"cuda:{i}", "cuda") for i in range(number)]
    return alexnet(towers=number, devices=places if number > 1 else places[0], **settings)


@pytest.fixture(scope="module")
def two():
    return predict(on(2), GTX, 128)


@pytest.fixture(scope="module")
def half():
    return predict(on(1, half=True), GTX, 128)


def small():
    """6 filters of 3x3 on 4 images of 2x8x8, padding 1; then ReLU, pooling 2x2 and 10 units."""
    conv = Conv2d(2, 6, 3, padding=1, name="conv", input_gradient=True)
    return Sequential([conv, ReLU(name="relu"), MaxPool2d(2, name="pool"), Flatten(name="flat"), Linear(10, name="fc")], in_shape=(2, 8, 8))


def test_kernels_of_a_convolution_by_hand():
    conv, *_ = visit(small(), (2, 8, 8))
    macs = 4 * 6 * 8 * 8 * 2 * 3 * 3  # images, filters, places, weights of a filter
    x, out, weight, bias = 4 * 2 * 64 * 4, 4 * 6 * 64 * 4, 6 * 2 * 9 * 4, 6 * 4  # bytes
    assert list(forward_kernels(conv, 4)) == [Kernel(2 * macs, x + out + weight + bias)]
    assert list(backward_kernels(conv, 4)) == [
        Kernel(2 * macs, x + out + 2 * weight),  # of the weights
        Kernel(4 * 6 * 64, out + 2 * bias),
        Kernel(2 * macs, out + weight + x),  # of the images
    ]
    assert list(update_kernels(conv.layer)) == [Kernel(4 * 108, 6 * weight), Kernel(4 * 6, 6 * bias)]


def test_a_first_layer_computes_no_gradient_of_the_images():
    first = next(iter(visit(on(1), (3, 224, 224))))
    assert first.layer.name == "conv1" and len(list(backward_kernels(first, 128))) == 2
    (kernel,) = forward_kernels(first, 128)
    assert kernel == Kernel(2 * 128 * 105_415_200, 4 * (128 * (150_528 + 290_400) + 34_848 + 96))


def test_kernels_without_weights_by_hand():
    _, relu, pool, flat, _ = visit(small(), (2, 8, 8))
    elements, pooled = 4 * 6 * 64, 4 * 6 * 16
    assert list(forward_kernels(relu, 4)) == [Kernel(0, 2 * 4 * elements)]
    assert list(backward_kernels(relu, 4)) == [Kernel(0, 3 * 4 * elements)]  # dout and what was kept are read, dx is written
    (forward,), (backward,) = forward_kernels(pool, 4), backward_kernels(pool, 4)
    kept = 4 * pool.layer.facts(pool.in_shape, 4).keeps.own
    assert kept and forward == Kernel(4 * pooled, 4 * (elements + pooled) + kept)
    assert backward == Kernel(0, 4 * (pooled + elements) + kept)
    assert not list(forward_kernels(flat, 4)) and not list(backward_kernels(flat, 4)) and not list(update_kernels(flat.layer))


def test_a_kernel_takes_the_longest_of_three_times():
    assert Kernel(int(1.581e12), 0).times(GTX, 1)["operations"] == pytest.approx(1)
    assert Kernel(0, int(192.4e9)).times(GTX, 1)["memory"] == pytest.approx(1)
    assert Kernel(int(1.581e12), 0).times(GTX, 0.25)["operations"] == pytest.approx(4)
    found = {layer.name: layer for layer in predict(small(), GTX, 4).layers}
    assert (found["fc"].forward.limit, found["fc"].forward.seconds) == ("launch", LAUNCH)
    large = {layer.name: layer for layer in predict(on(1), GTX, 128).layers}
    conv1 = large["conv1"].forward
    assert conv1.limit == "operations" and conv1.seconds == pytest.approx(2 * 128 * 105_415_200 / (EFFICIENCY * 1.581e12))
    relu1 = large["relu1"].forward
    assert relu1.limit == "memory" and relu1.seconds == pytest.approx(2 * 128 * 4 * 290_400 / (EFFICIENCY * 192.4e9))


def test_operations_of_a_step_are_those_that_are_counted():
    net = on(1)
    found, counted = predict(net, GTX, 128), totals(count(net))
    forward = sum(layer.forward.operations for layer in found.layers if layer.update.kernels)
    backward = sum(k.operations for layer in found.layers if layer.update.kernels for k in layer.backward.kernels if k.operations > 1e9)
    assert forward == 2 * 128 * counted.macs
    assert backward == 2 * forward - 2 * 128 * 105_415_200  # conv1 has no dx
    assert sum(layer.update.nbytes for layer in found.layers) == 6 * 4 * 60_965_224


def test_the_efficiency_is_that_of_the_published_timing_and_of_nothing_else():
    assert predicted_seconds(REFERENCE) == pytest.approx(REFERENCE.seconds, rel=2e-3)
    assert (REFERENCE.card, REFERENCE.forward, REFERENCE.backward) == ("titanblack", 0.088, 0.187)
    factors = [predicted_seconds(timing) / timing.seconds for timing in CHECKS]
    assert factors == pytest.approx([1.34, 2.97], abs=0.01)  # what is printed: other software uses a card better


def test_by_the_lower_clock_of_the_reference_the_prediction_is_shorter(monkeypatch):
    slower = replace(CARDS["titanblack"], clock=889e6, operations=5.121e12)
    monkeypatch.setitem(CARDS, "titanblack", slower)
    efficiency = EFFICIENCY * predicted_seconds(REFERENCE) / REFERENCE.seconds
    assert efficiency == pytest.approx(0.399, abs=1e-3)
    least, most = (days / predict(on(2), GTX, 128, efficiency=efficiency).days() for days in (5, 6))
    assert (f"{least:.2f}", f"{most:.2f}") == ("1.08", "1.30")


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.name)
@pytest.mark.parametrize("factor", [1e-3, 1 / 8, 8, 1e3])
def test_a_wrong_unit_is_noticed(card, factor):
    for field in fields(Card):
        value = getattr(card, field.name)
        if field.type in ("int", "float") and not (field.name in ("memory", "bus", "link") and factor in (1 / 8, 8)):
            with refuses(DataError, f"{card.name}: "):
                replace(card, **{field.name: type(value)(value * factor)})
    for pair in (("clock", "operations"), ("rate", "traffic")):  # the same wrong unit in both
        with refuses(DataError, "operations for each byte must be 5 to 50"):
            replace(card, **{name: getattr(card, name) * factor for name in pair})


def test_one_link_by_hand(two):
    link = {layer.name: layer for layer in two.layers}["conv3_link"]
    assert link.sent == 11_075_584 and link.link == pytest.approx(11_075_584 / (EFFICIENCY * 8e9))
    (copy,) = link.forward.kernels
    assert copy == Kernel(0, 2 * 2 * 11_075_584)  # each card reads and writes both halves
    assert link.backward.kernels == (Kernel(11_075_584 // 4, 3 * 11_075_584),)
    last = {layer.name: layer for layer in two.layers}["fc8_link"]
    assert last.sent == 1_048_576 and not last.backward.kernels
    assert two.linked == pytest.approx(60_030_976 / 2 / (EFFICIENCY * 8e9) + 1_048_576 / (EFFICIENCY * 8e9))
    staged = predict(on(2), replace(GTX, direct=False), 128)
    assert staged.linked == pytest.approx(2 * two.linked)


def test_the_bytes_of_the_links_are_those_that_simulated_cards_copy():
    cards = [SimDevice(0), SimDevice(1)]
    net = cifar_alexnet(towers=2, devices=cards, seed=0)
    net.backward(net.forward(np.zeros((4, *net.in_shape), np.float32), train=True))
    copied = [sum(entry.nbytes for entry in card.received.entries if entry.source.startswith("sim")) for card in cards]
    sent = {layer.name: layer.sent for layer in predict(net, GTX, 4).layers if layer.sent}  # of one direction in one pass
    assert list(sent) == ["conv3_link", "fc6_link", "fc8_link"]
    assert sum(copied) == 2 * (2 * sent["conv3_link"] + 2 * sent["fc6_link"] + sent["fc8_link"]) > 0


def test_each_card_has_its_own_clock(two):
    """One card's layers in a row, because the halves are equal; fc8 is on card 0 alone."""
    mine = [layer for layer in two.layers if "cuda:0" in layer.devices]
    assert two.forward == pytest.approx(sum(layer.forward.seconds + layer.link for layer in mine))
    assert two.backward == pytest.approx(sum(layer.backward.seconds + layer.link for layer in mine))
    place = DryDevice("cuda:0", "cuda")
    both = predict(alexnet(towers=2, devices=[place, place]), GTX, 128)
    assert both.cards == 1 and both.linked == 0 and 1.9 < both.forward / two.forward < 2
    assert [len(layer.backward.kernels) for layer in both.layers if layer.name == "fc6_link"] == [2]


def test_a_link_waits_for_the_later_card():
    def layer(name, cards, seconds, link=0.0):
        return LayerTime(name, None, cards, Pass(seconds=seconds), Pass(), Pass(), link)

    a, b = "cuda:0", "cuda:1"
    layers = [layer("short", (a,), 1.0), layer("long", (b,), 3.0), layer("link", (a, b), 0.5, 1.0), layer("last", (b,), 2.0)]
    assert _end(layers, "forward", (a, b)) == 3 + 1.5 + 2 and _end(layers[:2], "forward", (a, b)) == 3


def test_what_the_paper_reports_within_the_printed_factor(two, half):
    assert two.step == pytest.approx(0.5184, rel=1e-3) and half.step == pytest.approx(0.5537, rel=1e-3)  # stays as it was
    assert 5 < two.days() < 6 and two.days() == pytest.approx(843_750 * two.step / 86400)
    assert 0.9 < two.step / half.step < 1  # "slightly less time to train than the one-GPU net"


def test_readme_has_the_predictions_of_today(two, half):
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| (\d+) ms \| (\d+) ms \| ([\d.]+) days", readme, re.MULTILINE)
    assert [row[0] for row in rows] == [card.title for card in CARDS.values() if card.name[:5] != "titan"]
    cards = {card.title: card for card in CARDS.values()}
    for title, one, both, days in rows:
        found = predict(on(2), cards[title], 128)
        assert (one, both) == (f"{predict(on(1), cards[title], 128).step * 1e3:.0f}", f"{found.step * 1e3:.0f}"), title
        assert days == f"{found.days():.2f}", title
    assert f"efficiency of {EFFICIENCY:g}" in readme.replace("\n", " ")
    least, most = (days / two.days() for days in (5, 6))
    assert f"is {least:.2f} to {most:.2f} times the prediction" in readme
    assert f"predicted to take {100 * (1 - two.step / half.step):.1f} % less" in readme.replace("\n", " ")


def test_a_faster_card_is_predicted_to_be_faster():
    steps = [predict(on(1), card, 128).step for card in CARDS.values()]
    assert steps == sorted(steps, reverse=True) and steps[-1] > 0.01


def test_an_upload_longer_than_the_step_decides():
    slow = replace(GTX, bus=8e9, link=8e9)
    found = predict(Sequential([Flatten(), Linear(1)], in_shape=(3, 224, 224)), slow, 128)
    assert found.step == found.upload > found.forward + found.backward + found.update


@pytest.mark.parametrize(
    ("text", "name", "number"), [("gtx580", "gtx580", 1), ("GTX 580x2", "gtx580", 2), ("titanx", "titanx", 1), ("titanxx2", "titanx", 2)]
)
def test_names_of_cards(text, name, number):
    assert parse_cards(text) == (CARDS[name], number)


@pytest.mark.parametrize("text", ["", "gtx580x3", "gtx680", "x2", "rtx 4090"])
def test_an_unknown_card_is_one_sentence(text, capsys):
    with refuses(ShapeError, "net: --predict must be one of gtx580, titanblack, "):
        parse_cards(text)
    assert cli.main(["net", "alexnet", "--predict", text]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_tells_the_whole_story(capsys):
    assert cli.main(["net", "alexnet", "--predict", "gtx580x2"]) == 0
    out = capsys.readouterr().out
    for words in (
        "predicted, not measured: a training step of 128 images on two GeForce GTX 580",
        "efficiency: 0.364 of each peak, with which one pass each way of alexnet-torchvision at batch 128 with cuda-convnet2 on a GeForce",
        "conv1a,b          23.45  operations        24.51  operations",
        "step: 518 ms = forward 181 + backward 326 + update 11.19, 247 images a second",
        "90 epochs of 1,200,000 images, 843,750 steps: 5.06 days",
        "the paper reports 5 to 6 days on two GeForce GTX 580, which is 0.99 to 1.19 times the prediction",
        "the net on two cards takes 6.4% less time (the paper:",
        "cuDNN R4 on a GeForce GTX Titan X (Maxwell): predicted 238 ms, 3.0 times the published 80 ms",
        "234,496 bytes an image go between the devices in forward",
    ):
        assert words in out


def test_other_nets_and_cards_say_less(capsys):
    assert cli.main(["net", "figure1", "--predict", "h200", "--batch", "1"]) == 0
    out = capsys.readouterr().out
    assert "a training step of 1 image on one H200 SXM" in out and "launch" in out and "epochs" not in out and "link ms" in out
    assert cli.main(["net", "alexnet", "--predict", "rtx3090x2", "--no-lrn"]) == 0
    out = capsys.readouterr().out
    assert "through the host, one copy there and one back" in out and "footnote 2" not in out and "the paper reports" not in out
    assert cli.main(["net", "figure1", "--predict", "h100x2"]) == 2
    assert "figure1: towers must be 1, got 2" in capsys.readouterr().err


def test_json_has_the_prediction(capsys):
    assert cli.main(["net", "alexnet", "--predict", "gtx580x2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["prediction"]
    assert found["step_s"] == pytest.approx(0.5184, rel=1e-3) and found["two_over_one"] == pytest.approx(0.936, abs=1e-3)
    assert found["paper_over_predicted"] == pytest.approx([0.988, 1.185], abs=2e-3) and found["card"]["name"] == "gtx580"
    assert found["layers"][1]["forward"]["limit"] == "operations" and set(found["memory"]) == {"cuda:0", "cuda:1"}


def test_help_has_an_example(capsys):
    assert cli.main(["net", "--help"]) == 0
    assert "--predict gtx580x2" in " ".join(capsys.readouterr().out.split())
