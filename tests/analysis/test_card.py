"""Plans for cards, and the failure in small."""

from __future__ import annotations

from functools import partial

import pytest

from tinyalex.analysis.card import SCALED, SCALED_BATCH, fail_in_small, kept_2012, parse_bytes, plan_cards
from tinyalex.analysis.memory import training_needs
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import ShapeError
from tinyalex.models import alexnet, figure1_net

GIB = 2**30


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("3GiB", 3 * GIB),
        ("1.5 GiB", 3 * GIB // 2),
        ("500MB", 500_000_000),
        ("1000B", 1000),
        ("1 B", 1),
        ("8 KiB", 8192),
        ("7B", 7),
        ("2KB", 2000),
        ("3 GB", 3 * 10**9),
        ("2MiB", 2**21),
        ("2 GiB", 2**31),
        ("2 MB", 2 * 10**6),
    ],
)
def test_bytes_in_words(text, nbytes):
    assert parse_bytes("net", text) == nbytes


@pytest.mark.parametrize("text", ["", "GiB", "3 giga", "-1GiB", "0", "nan", "1e999", "1e20GiB", "3TiB", "3", " 1000 ", "1e9", 5, None])
def test_bad_bytes_raise(text):
    rule = "a number with one of B, KB, MB, GB, KiB, MiB, GiB, such as 3GiB, from 1B to 1,073,741,824GiB"
    with pytest.raises(ShapeError, match=f"net: memory must be {rule}, got {text!r}"):
        parse_bytes("net", text)


@pytest.mark.parametrize("text", ["3", " 1.5"])
def test_a_number_alone_is_refused_with_the_unit_it_likely_lacks(text):
    with pytest.raises(ShapeError, match=f"; write the unit too, {text.strip()}GiB$"):
        parse_bytes("net", text)


def test_two_cards_take_about_twice_the_batch():
    one = plan_cards(lambda places: alexnet(devices=places), 1, 3 * GIB, 128)
    two = plan_cards(lambda places: alexnet(towers=2, devices=places), 2, 3 * GIB, 128)
    assert [(plan.cards, plan.memory, plan.batch) for plan in (one, two)] == [(1, 3 * GIB, 128), (2, 3 * GIB, 128)]
    assert one.largest < two.largest < 2.2 * one.largest
    assert one.fullest.peak <= 3 * GIB and two.fullest.peak < 0.6 * one.fullest.peak
    assert two.fullest.device == "card 0"  # fc8 is there


def test_code_of_2012_filled_one_card_with_the_paper_batch():
    net = alexnet("authors", devices=DryDevice())
    (kept,) = kept_2012(net, 128).values()
    assert kept["parameters, gradients, velocities"] == 3 * 4 * 60_965_224
    assert kept["partial sums of gradients"] == 4 * (605 * 34_848 + 243 * 307_200 + 13 * (884_736 + 663_552 + 442_368))
    assert kept["outputs"] == kept["gradients of outputs"]
    plan = plan_cards(lambda places: alexnet("authors", devices=places), 1, 3 * GIB, 128)
    assert sum(plan.kept_2012.values()) == sum(kept.values()) and 128 <= plan.largest_2012 < 132


def test_failure_names_layer_and_bytes_and_two_cards_do_it():
    failure = fail_in_small(partial(alexnet, "paper"))
    assert failure.message.startswith(("conv", "relu", "norm", "pool"))
    assert failure.message.split(":")[0][-1].isdigit()  # a layer of the net with one tower: those of two towers end with a and b
    assert failure.settings == {"width": 0.125, "num_classes": 10, "input_size": 115}
    for words in ("sim:0: an array of ", " bytes does not fit, ", f" of {failure.memory:,} bytes are left; use a smaller batch or split"):
        assert words in failure.message
    assert set(failure.peaks) == {"sim:0", "sim:1"} and max(failure.peaks.values()) <= failure.memory


def test_code_of_2012_held_a_copy_of_the_other_half_at_each_link():
    def outputs(**settings):
        net = alexnet(towers=2, devices=[DryDevice("a"), DryDevice("b")], **settings)
        kept = kept_2012(net, 10)
        assert all(parts["outputs"] == parts["gradients of outputs"] for parts in kept.values())
        return kept["a"]["outputs"], kept["b"]["outputs"]

    (a, b), (alone_a, alone_b) = outputs(), outputs(exchange=())
    of_links = 4 * 10 * (128 * 13 * 13 + 128 * 6 * 6 + 2048)  # in front of conv3, fc6 and fc7, on both cards
    assert a - alone_a == b - alone_b == of_links
    assert a - b == alone_a - alone_b == 4 * 10 * (2048 + 1000)  # the link in front of fc8, and fc8, on the first alone


def test_code_of_2012_had_no_batch_for_a_card_that_does_not_hold_the_parameters():
    assert plan_cards(lambda places: alexnet(devices=places), 1, 2**20, 1).largest_2012 == 0


def test_failure_is_on_cards_halfway_between_what_one_and_what_two_need():
    def peak(towers):
        devices = [DryDevice(name, "sim") for name in "ab"][:towers]
        needs = training_needs(alexnet(towers=towers, devices=devices, **SCALED), SCALED_BATCH)
        return max(need.peak for need in needs.values())

    failure = fail_in_small(partial(alexnet, "paper"))
    assert failure.memory == (peak(1) + peak(2)) // 2 and failure.settings == SCALED and failure.batch == SCALED_BATCH
    assert max(failure.peaks.values()) == pytest.approx(peak(2), rel=0.03)  # the step of two cards was made


def test_net_of_one_card_is_made_on_one_device():
    given = []
    plan_cards(lambda places: given.append(places) or figure1_net("relu", "fan-in", device=places), 1, 2**30, 1)
    assert [place.name for place in given] == ["card 0"]
