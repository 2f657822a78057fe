"""The table of counts."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from tinyalex.analysis.count import count
from tinyalex.analysis.receptive import receptive_fields
from tinyalex.analysis.table import notes, own_channels, table, together, windows_in
from tinyalex.devices.dry import DryDevice
from tinyalex.layers import Conv2d, Flatten, Linear, Sequential
from tinyalex.models import alexnet


def counted(**settings):
    places = [DryDevice("cpu:0"), DryDevice("cpu:1")][: settings.get("towers", 1)]
    net = alexnet(devices=places, **settings)
    return net, count(net), receptive_fields(net)


def test_halves_share_a_line():
    net, rows, fields = counted(towers=2)
    lines = table(net, rows, fields, batch=128)
    (conv1,) = [line for line in lines if line.startswith("conv1")]
    assert conv1.split() == (
        "conv1a,b 2 x 48x55x55 11 4 0 11 4 34,944 0.057 105,415,200 105,705,600 148,684,800 154,140,672 . cpu:0 + cpu:1".split()
    )
    assert "30,015,488" in lines[-1]
    assert len(lines) == 2 + len(list(together(rows)))


def test_kernel_stride_and_padding_stand_in_the_table():
    net, rows, fields = counted(variant="torchvision")
    words = [line.split() for line in table(net, rows, fields)]
    assert words[0][:5] == ["layer", "output", "kernel", "stride", "padding"]
    found = {line[0]: line[2:5] for line in words if line[0].startswith(("conv", "pool"))}
    assert found == {
        "conv1": ["11", "4", "2"], "pool1": ["3", "2", "0"], "conv2": ["5", "1", "2"], "pool2": ["3", "2", "0"],
        "conv3": ["3", "1", "1"], "conv4": ["3", "1", "1"], "conv5": ["3", "1", "1"], "pool5": ["3", "2", "0"],
    }  # fmt: skip
    assert set(windows_in(net)) == set(found)  # no other layer has a window


def test_unequal_windows_are_written_out():
    rng = np.random.default_rng(0)
    net = Sequential(
        [
            Conv2d(3, 4, (3, 5), stride=(1, 2), padding=(0, 1, 2, 3), rng=rng, name="wide"),
            Conv2d(4, 4, 3, padding="same", rng=rng, name="same"),
        ],
        in_shape=(3, 9, 9),
    )
    assert windows_in(net) == {"wide": ("3x5", "1x2", "0,1,2,3"), "same": ("3", "1", "same")}


def test_one_tower_has_a_line_a_layer():
    net, rows, fields = counted()
    assert len(table(net, rows, fields)) == 2 + len(rows)


def test_notes_tell_where_the_paper_slips():
    _, rows, _ = counted()
    said = "\n".join(notes(rows))
    for words in ("60,965,224 parameters", "724,406,816", "725,066,088", "659,272 neurons"):
        assert words in said
    for words in ("253,440", "290,400", "650,080", "conv3 1.45%, conv4 1.09%"):
        assert words in said


def test_share_of_each_layer():
    net, rows, fields = counted(towers=2)
    found = [match.groups() for line in table(net, rows, fields) if (match := re.match(r"(\w+\d)\S* .* (\d+\.\d{3}) ", line))]
    convolutions = [("conv1", "0.057"), ("conv2", "0.504"), ("conv3", "1.452"), ("conv4", "1.089"), ("conv5", "0.726")]
    assert found == [*convolutions, ("fc6", "61.925"), ("fc7", "27.526"), ("fc8", "6.720")]


def test_notes_hold_the_sizes_that_are_quoted():
    said = "\n".join(notes(counted(towers=2)[1]))
    for words in (
        *("232.6 MiB as float32", "1.449 GFLOP", "2,334,080 of the parameters, 3.83%", "665,784,864 of the MACs", "150,528 elements"),
        *("5.376 MiB, and 688.1 MiB for a batch of 128", "629,856 elements in pool1, 389,376 elements in pool2, 82,944 elements in pool5"),
        *("30,015,488 bytes (28.62 MiB) forward, 60,030,976 (57.25 MiB) forward and backward", "243,860,896 bytes", "622,312"),
    ):
        assert words in said
    assert "a batch of 32 sends 7,503,872 bytes" in "\n".join(notes(counted(towers=2)[1], batch=32))


def test_both_ways_to_use_two_devices_are_counted_for_both_devices():
    """The towers' bytes are those of both devices. So are those of two whole nets: each of the two sends all of its gradients."""
    (line,) = (line for line in notes(counted(towers=2)[1]) if line.startswith("a batch of 128 sends"))
    assert "60,030,976 (57.25 MiB) forward and backward, both devices together" in line
    assert "would each send all gradients, 243,860,896 bytes, so 487,721,792 together, 8.12 times as many" in line


def test_notes_of_a_net_without_convolutions_and_pooling():
    net = Sequential([Flatten(), Linear(12, 3, rng=np.random.default_rng(0))], in_shape=(3, 2, 2))
    said = "\n".join(notes(count(net)))
    assert "39 parameters" in said and "convolutions" not in said and "pooling" not in said


def test_notes_of_another_net_say_nothing_of_the_paper():
    _, rows, _ = counted(variant="torchvision")
    assert "the paper" not in "\n".join(notes(rows))


def test_notes_of_a_net_with_the_papers_parameters_but_other_maps_say_nothing_of_the_paper():
    _, rows, _ = counted(overlapping=False)
    said = "\n".join(notes(rows))
    assert "60,965,224 parameters" in said and "the paper" not in said


def test_layer_whose_units_all_see_the_same_has_no_jump():
    net, rows, fields = counted()
    head, *lines = table(net, rows, fields)
    end = head.index("jump") + len("jump")
    jumps = {line.split()[0]: line[end - 4 : end].strip() for line in lines}
    assert (jumps["pool5"], jumps["fc6"], jumps["fc8"]) == ("32", "", "")


def test_unequal_halves_have_a_line_each():
    _, rows, _ = counted(towers=2)
    a, b = next(halves for halves in together(rows) if len(halves) == 2)
    assert list(together([a, replace(b, out_shape=(1, 2, 3))])) == [(a,), (replace(b, out_shape=(1, 2, 3)),)]


def test_why_layers_are_split():
    _, rows, _ = counted(towers=2)
    assert own_channels(rows) == {"conv2": 279_936, "conv4": 259_584, "conv5": 259_584}
    assert "if they read both towers, all links would send 1,033,600 bytes, 4.41 times as many" in "\n".join(notes(rows))


def test_words_begin_and_numbers_end_where_the_head_of_their_column_does():
    net, rows, fields = counted(towers=2)
    head, *lines = table(net, rows, fields)
    for words in ("layer", "output ", "device"):
        start = head.index(words)
        assert all(line[start : start + 1] not in ("", " ") for line in lines[:-1]) and (start == 0 or head[start - 1] == " ")
    for words in ("kernel", "stride", "parameters", "MACs"):
        end = head.index(words) + len(words)
        assert all(line[end : end + 1] == " " for line in lines) and sum(line[end - 1] != " " for line in lines) > 5


def test_notes_are_for_the_batch_that_is_asked_for_from_two_images_on():
    rows = counted(towers=2)[1]
    for batch, told in ((1, 128), (2, 2), (3, 3)):
        said = notes(rows, batch)
        assert any(f" MiB for a batch of {told}" in line for line in said) and any(f"a batch of {told} sends " in line for line in said)
        assert (f"bytes in the table are for a batch of {batch}" in said) == (batch > 1)


def test_notes_say_what_each_link_sends_and_that_one_tower_sends_nothing():
    said = "\n".join(notes(counted(towers=2)[1]))
    links = "conv3_link 173,056, fc6_link 36,864, fc7_link 16,384, fc8_link 8,192"
    assert f"234,496 bytes an image go between the devices in forward ({links}), and as many in backward" in said
    assert [line for line in notes(counted()[1]) if "between" in line] == ["0 bytes go between devices"]
    assert "0 bytes go between devices" not in said and "0 bytes go between devices" in "\n".join(notes(counted()[1]))
