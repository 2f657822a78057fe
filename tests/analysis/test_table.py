"""The table of counts."""

from __future__ import annotations

from tinyalex.analysis.count import count
from tinyalex.analysis.receptive import receptive_fields
from tinyalex.analysis.table import notes, own_channels, table, together
from tinyalex.devices.dry import DryDevice
from tinyalex.models import alexnet


def counted(**settings):
    places = [DryDevice("cpu:0"), DryDevice("cpu:1")][: settings.get("towers", 1)]
    net = alexnet(devices=places, **settings)
    return count(net), receptive_fields(net)


def test_halves_share_a_line():
    rows, fields = counted(towers=2)
    lines = table(rows, fields, batch=128)
    (conv1,) = [line for line in lines if line.startswith("conv1")]
    assert conv1.split() == (
        "conv1a,b 2 x 48x55x55 11 4 34,944 105,415,200 105,705,600 148,684,800 154,140,672 . cpu:0 + cpu:1".split()
    )
    assert "30,015,488" in lines[-1]
    assert len(lines) == 2 + len(list(together(rows)))


def test_one_tower_has_a_line_a_layer():
    rows, fields = counted()
    assert len(table(rows, fields)) == 2 + len(rows)


def test_notes_tell_where_the_paper_slips():
    rows, _ = counted()
    said = "\n".join(notes(rows))
    for words in ("60,965,224 parameters", "724,406,816", "725,066,088", "659,272 neurons"):
        assert words in said
    for words in ("253,440", "290,400", "650,080", "conv3 1.45%, conv4 1.09%"):
        assert words in said


def test_notes_of_another_net_say_nothing_of_the_paper():
    rows, _ = counted(variant="torchvision")
    assert "the paper" not in "\n".join(notes(rows))


def test_why_layers_are_split():
    rows, _ = counted(towers=2)
    assert own_channels(rows) == {"conv2": 279_936, "conv4": 259_584, "conv5": 259_584}
    assert "it would be 1,033,600 bytes, 4.41 times as many" in "\n".join(notes(rows))
