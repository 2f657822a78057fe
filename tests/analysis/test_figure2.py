"""What the picture of a network shows; how it looks is for eyes."""

from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib.colors import to_hex, to_rgba

from tests.contract import rng
from tinyalex.analysis.figure2 import CROSSING, INK, OBLIQUE, WINDOW, Stage, _lay_out, figure, stages
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import ShapeError
from tinyalex.layers import Conv2d, Flatten, Linear, MaxPool2d, Sequential, SpatialResponseNorm
from tinyalex.models import alexnet, build, figure1_net


def two(**settings):
    return alexnet(towers=2, devices=[DryDevice("cpu:0"), DryDevice("cpu:1")], **settings)


def texts(picture):
    return [text.get_text() for text in picture.axes[0].texts]


def test_columns_of_the_paper():
    columns = stages(two())
    assert [column.name for column in columns] == ["image", "conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
    assert [column.shape for column in columns[:3]] == [(3, 224, 224), (48, 55, 55), (128, 27, 27)]
    assert [column.halves for column in columns] == [1, 2, 2, 2, 2, 2, 2, 2, 1]
    assert [column.crossing for column in columns] == [0, 0, 0, 86_528, 0, 0, 18_432, 8_192, 8_192]
    assert columns[1].window == ((11, 11), (4, 4)) and columns[1].pools == (("max", (3, 3), (2, 2)),)


def test_picture_of_two_towers_says_what_crosses():
    said = texts(figure(two()))
    assert [text for text in said if text.endswith("B\neach way")] == ["86,528 B\neach way", "18,432 B\neach way", "8,192 B\neach way"]
    assert "tower a\non cpu:0" in said and "tower b\non cpu:1" in said
    assert any("234,496 bytes an image in forward" in text for text in said)
    assert {"2 × 48 maps\n55×55", "11×11\nstride 4", "max pool 3×3\nstride 2", "1000"} <= set(said)


def test_picture_of_one_tower_shows_groups():
    said = texts(figure(alexnet(devices=DryDevice())))
    assert "5×5\n2 groups" in said and "96 maps\n55×55" in said
    assert not any("tower" in text for text in said)


def test_other_networks():
    assert "mean pool 3×3\nstride 2" in texts(figure(figure1_net(device=DryDevice())))


def arrows(picture, color):
    """Start and end of the arrows of that color."""
    drawn = [text for text in picture.axes[0].texts if getattr(text, "arrow_patch", None) is not None]
    return [(text.xyann, text.xy) for text in drawn if text.arrow_patch.get_edgecolor() == to_rgba(color)]


def test_arrows_lead_from_tower_to_tower_and_along_them():
    picture = figure(two())
    crossing, along = arrows(picture, CROSSING), arrows(picture, INK)
    assert len(crossing) == 7 and len(along) == 5  # conv3, fc6, fc7 both ways, fc8 one way; fc6 and fc7 in each tower, fc8 from a
    for start, end in (*crossing, *along):
        assert start[0] < end[0]
    for start, end in crossing[:6]:
        assert start[1] * end[1] < 0
    assert sorted(start[1] < 0 for start, _ in crossing[:6]) == [False] * 3 + [True] * 3
    assert crossing[6][0][1] < crossing[6][1][1] < 0  # from tower b up to the layer in the middle
    assert [(start[1] > 0, end[1] > 0) for start, end in along[:4]] == [(True, True), (False, False)] * 2


def test_arrows_of_one_tower_cross_nothing():
    picture = figure(alexnet(devices=DryDevice()))
    assert arrows(picture, CROSSING) == [] and len(arrows(picture, INK)) == 3


def test_crossings_of_other_links_are_theirs():
    assert len(arrows(figure(two(exchange=())), CROSSING)) == 1
    assert len(arrows(figure(two(sixth=True)), CROSSING)) == 9


def test_every_pooling_layer_is_told():
    every = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
    net = alexnet(devices=DryDevice(), remove=every)
    assert stages(net)[0].pools == (("max", (3, 3), (2, 2)),) * 3
    assert "max pool 3×3\nstride 2, 3 times" in texts(figure(net))


@pytest.mark.parametrize("settings", [{}, {"sixth": True}, {"remove": ("conv2", "conv3", "conv4")}], ids=str)
def test_texts_lie_inside_and_apart(settings):
    picture = figure(two(**settings))
    picture.canvas.draw()
    whole = picture.bbox
    boxes = {text: text.get_window_extent() for text in picture.axes[0].texts if text.get_text()}
    for text, box in boxes.items():
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1, text.get_text()
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        assert not a.padded(6).overlaps(b), (one.get_text(), other.get_text())


def test_input_that_is_no_image_raises():
    with pytest.raises(ShapeError, match=r"net: in_shape must be \(C, H, W\) to be drawn, got \(4,\)"):
        stages(Sequential([Flatten()], in_shape=(4,)))


def test_kernel_on_maps_that_were_pooled_unequally_has_the_size_of_what_it_reads():
    layers = [
        Conv2d(3, 4, 3, padding=1, name="conv1", rng=rng()),
        MaxPool2d((4, 1), stride=(4, 1), name="pool1"),
        Conv2d(4, 4, 3, padding=1, name="conv2", rng=rng()),
        Flatten(name="flat"),
        Linear(4 * 10 * 40, 2, name="fc", rng=rng()),
    ]
    (panel,) = figure(Sequential(layers, in_shape=(3, 40, 40))).axes
    kernels = [box.get_xy() for box in panel.patches if to_hex(box.get_edgecolor()) == WINDOW.lower()]
    assert len(kernels) == 2
    faces = [abs(kernel[3, 1] - kernel[0, 1]) / abs(kernel[1, 0] - kernel[0, 0]) for kernel in kernels]
    assert faces[0] == pytest.approx(1 / OBLIQUE[0])  # 3 of 40 pixels both ways, drawn as the least that can be seen
    assert faces[1] == pytest.approx(3 * 4 / 40 / 0.16 / OBLIQUE[0])


def test_picture_has_room_for_every_line_about_pooling():
    def lowest(*strides):
        pools = [MaxPool2d(2, stride=stride, name=f"pool{i}") for i, stride in enumerate(strides)]
        layers = [Conv2d(3, 4, 3, padding=1, name="conv1", rng=rng()), *pools]
        (panel,) = figure(Sequential(layers, in_shape=(3, 60, 60))).axes
        return panel.get_ylim()[0]

    assert lowest() == lowest(2) == lowest(2, 2)  # equal ones share a line
    assert [lowest(2) - lowest(2, 3), lowest(2) - lowest(2, 3, 1)] == pytest.approx([0.6, 1.2])


def test_box_of_a_fully_connected_layer_grows_up_to_4096_units():
    columns = [Stage("image", (3, 8, 8), 1), *(Stage(f"fc{units}", (units,), 1) for units in (1024, 4096, 8192))]
    assert [box.high for (box,) in _lay_out(columns)[1:]] == pytest.approx([1.1, 1.45, 1.45])


def test_windows_of_normalization_are_no_pooling():
    layers = [Conv2d(3, 4, 3, padding=1, name="conv1", rng=rng()), SpatialResponseNorm(3, name="rnorm1"), MaxPool2d(2, name="pool1")]
    assert stages(Sequential(layers, in_shape=(3, 8, 8)))[-1].pools == (("max", (2, 2), (2, 2)),)


def names_of(net):
    return [(stage.name, stage.merged) for stage in stages(build(net, devices=DryDevice()))]


def test_blocks_of_one_size_share_a_box_and_heads_are_not_drawn():
    wanted = [("conv1", 1), ("conv2.reduce", 1), ("conv2", 1), ("3a\nto 3b", 2), ("4a\nto 4e", 5), ("5a\nto 5b", 2), ("fc", 1)]
    assert names_of("googlenet-heads")[1:] == names_of("googlenet")[1:] == wanted
    assert names_of("resnet20")[2:] == [(f"stage{i}.1\nto stage{i}.3", 3) for i in (1, 2, 3)] + [("fc", 1)]


def test_convolutions_of_one_size_share_a_box_only_where_there_are_many():
    assert names_of("plain110")[1:] == [
        ("conv1\nto stage1.18", 37), ("stage2.1\nto stage2.18", 36), ("stage3.1\nto stage3.18", 36), ("fc", 1),
    ]  # fmt: skip
    assert len(names_of("vgg16-bn")) == 17 and all(merged == 1 for _, merged in names_of("vgg16-bn"))
