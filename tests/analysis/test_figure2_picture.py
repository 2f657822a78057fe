"""Figure 2 is the picture that was looked at: every box, line, arrow and text lies where it lay, in the same color.

How a picture should look is for eyes, so the eyes' approval is kept in `pictures.json`. Who changes the picture on purpose
looks at it and writes the file anew: `PYTHONPATH=. python tests/analysis/test_figure2_picture.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.colors import to_hex

from tinyalex.analysis.figure2 import figure
from tinyalex.devices.dry import DryDevice
from tinyalex.models import alexnet, figure1_net

SEEN = Path(__file__).with_name("pictures.json")
NETS = {
    "two towers": lambda: alexnet(towers=2, devices=[DryDevice("cpu:0"), DryDevice("cpu:1")]),
    "one tower": lambda: alexnet(devices=DryDevice()),
    "without convolutions 2 to 4": lambda: alexnet(devices=DryDevice(), remove=("conv2", "conv3", "conv4")),
    "figure 1": lambda: figure1_net(device=DryDevice()),
}


def drawn(net):
    """By a name for each artist: (its numbers, its words), to a thousandth of a unit."""
    picture = figure(net)
    (panel,) = picture.axes
    found = {"page": ([*picture.get_size_inches(), *panel.get_xlim(), *panel.get_ylim()], [str(panel.axison), str(panel.get_aspect())])}
    for i, box in enumerate(panel.patches):
        look = [box.get_linewidth(), box.get_zorder()]
        found[f"face {i}"] = ([*box.get_xy().ravel(), *look], [to_hex(box.get_facecolor()), to_hex(box.get_edgecolor())])
    for i, line in enumerate(panel.lines):
        found[f"line {i}"] = ([*line.get_xydata().ravel(), line.get_linewidth(), line.get_zorder()], [to_hex(line.get_color())])
    for i, text in enumerate(panel.texts):
        arrow = getattr(text, "arrow_patch", None)
        numbers = [*text.get_position(), text.get_fontsize(), text.get_zorder()]
        words = [text.get_text(), text.get_ha(), text.get_va(), to_hex(text.get_color()), str(text.get_weight())]
        words += [str(text._linespacing)] if "\n" in text.get_text() else []
        if arrow is not None:
            numbers += [*text.xyann, *text.xy, arrow.get_linewidth(), arrow.shrinkA, arrow.shrinkB]
            words += [to_hex(arrow.get_edgecolor()), str(arrow.get_linestyle()), type(arrow.get_arrowstyle()).__name__]
        found[f"text {i}"] = (numbers, words)
    return {name: ([round(float(number), 3) for number in numbers], words) for name, (numbers, words) in found.items()}


@pytest.mark.parametrize("name", NETS)
def test_picture_is_the_one_that_was_looked_at(name):
    seen, found = json.loads(SEEN.read_text("utf-8"))[name], drawn(NETS[name]())
    assert list(found) == list(seen)
    for artist, (numbers, words) in seen.items():
        assert found[artist][0] == pytest.approx(numbers, abs=0.002) and found[artist][1] == words, artist


if __name__ == "__main__":
    pictures = {name: drawn(make()) for name, make in NETS.items()}
    SEEN.write_text(json.dumps(pictures, separators=(",", ":")).replace(']],"', ']],\n"') + "\n", "utf-8")
