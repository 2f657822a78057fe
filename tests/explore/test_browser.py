"""The page in a browser: a click on a unit shows the engine's numbers, nothing is asked for, and it is as narrow as a phone."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.explore.browser import clicked
from tests.explore.pages import page_of
from tests.lessons.browser import CHROMIUM
from tinyalex.explore.selection import selected
from tinyalex.layers.activation import Activation

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")
LAYERS = ("conv1", "pool1", "conv2", "norm2", "relu4", "fc6", "fc8")


LATER = ("conv1", "rnorm1", "conv2", "bn2", "mean", "fc3")


def clicks_on(explored, passes, seed, layers=LAYERS):
    """For each layer and direction two units at random, one of them with a gradient that is not 0."""
    rng, clicks = np.random.default_rng(seed), []
    names = [layer.name for layer in explored.net.layers]
    for layer in layers:
        at = names.index(layer) + 1
        for mode in ("forward", "backward"):
            for lively in (True, False):
                picture = int(rng.integers(len(passes)))
                one = passes[picture]
                places = np.argwhere(one.douts[at] != 0) if lively else np.argwhere(np.isfinite(one.douts[at]))
                c, y, x = (*rng.choice(places).tolist(), 0, 0)[:3]
                shape = one.values[at].shape
                if len(shape) == 1:
                    w = int(np.ceil(np.sqrt(shape[0])))
                    here = {"channel": "", "y": c // w, "x": c % w, "h": -(-shape[0] // w), "w": w}
                else:
                    here = {"channel": str(c), "y": y, "x": x, "h": shape[1], "w": shape[2]}
                unit = {"picture": picture, "mode": mode, "layer": layer, "at": at, "unit": [c, y, x][: len(shape)]}
                clicks.append(unit | here)
    return clicks


@pytest.fixture(scope="module")
def narrow(explored, tmp_path_factory):
    clicks = clicks_on(explored, explored.passes, 0)
    return clicks, *clicked(explored.page, clicks, tmp_path_factory.mktemp("narrow"), 400)


@pytest.fixture(scope="module")
def dark(explored, tmp_path_factory):
    clicks = clicks_on(explored, explored.passes, 1)
    flag = "--blink-settings=preferredColorScheme=0"
    return clicks, *clicked(explored.page, clicks, tmp_path_factory.mktemp("dark"), 1300, flag)


def shown(value):
    """A number as the page shows it: with six significant digits."""
    return float(f"{float(value):.6g}")


def wrong(explored, clicks, answers):
    """Where the page says something other than the engine, as (layer, direction, what, said, right)."""
    faults = []
    for click, answer in zip(clicks, answers["found"], strict=True):
        one, unit, at, said = explored.passes[click["picture"]], tuple(click["unit"]), click["at"], answer["said"]
        layer = explored.net.layers[at - 1]
        right = {}
        if click["mode"] == "forward":
            right["value"] = one.values[at][unit]
            if layer.name in one.scales:
                right["scale"] = one.scales[layer.name][unit]
            if "bias" in layer.params:
                right["bias"] = layer.params["bias"][unit[0]]
            if layer.name == "bn2":
                right |= {"mean": layer.running_mean[unit[0]], "variance": layer.running_var[unit[0]], "weight": layer.weight[unit[0]]}
            if at < len(explored.net.layers) and isinstance(explored.net.layers[at], Activation):
                right["next"] = one.values[at + 1][unit]
        else:
            right["dout"] = one.douts[at][unit]
            if "bias" in layer.params:
                right["dbias"] = one.grads[f"{layer.name}.bias"][unit[0]]
                if layer.name == "bn2":
                    right |= {"dx": one.douts[at - 1][unit], "dweight": one.grads["bn2.weight"][unit[0]]}
                    faults += [(layer.name, key, said.get(key), value) for key, value in right.items() if said.get(key) != shown(value)]
                    continue
                _, group = said["dweight"][0].split() if "channel" in said["dweight"][0] else ("", None)
                if group is not None and layer.name.startswith("conv"):
                    place = int(group) % layer.params["weight"].shape[1]  # a filter has the channels of its own group
                    wanted = one.grads[f"{layer.name}.weight"][unit[0], place].ravel()
                    faults += [(layer.name, "dweight", a, b) for a, b in zip(said["dweight"][1], wanted, strict=True) if a != shown(b)]
            elif "weight" in layer.params:  # a convolution without biases
                assert "dbias" not in said
            elif layer.name == "pool1":
                right["dx"] = dx_of_winner(explored, one, at, unit)
            else:
                right["dx"] = one.douts[at - 1][unit if layer.name != "mean" else (unit[0], 0, 0)]
        faults += [(layer.name, click["mode"], key, said.get(key), value) for key, value in right.items() if said.get(key) != shown(value)]
    return faults


def dx_of_winner(explored, one, at, unit):
    """The gradient at the largest cell of a pooling window, found here by itself."""
    layer, (c, y, x) = explored.net.layers[at - 1], unit
    windows = layer.windows(one.values[at - 1].shape)
    top, left = y * windows.stride[0] - windows.before[0], x * windows.stride[1] - windows.before[1]
    window = one.values[at - 1][c, top : top + windows.kernel[0], left : left + windows.kernel[1]]
    j, i = np.unravel_index(np.argmax(window.T), window.T.shape)  # of equal cells the leftmost
    return one.douts[at - 1][c, top + i, left + j]


@pytest.mark.parametrize("which", ["narrow", "dark"])
def test_page_says_what_the_engine_computed(explored, which, request):
    clicks, answers, _ = request.getfixturevalue(which)
    assert len(clicks) == 28 and not wrong(explored, clicks, answers)


SUMS = (
    ("sum of these lines", "output that"), ("a / s^", "output that"), ("direct \u2212 cross", "gradient of the input"),
    ("weight \u00d7 that + bias", "output that"), ("dout \u00d7 this factor", "gradient of the input"), ("quotient", "output that"),
)  # fmt: skip


def counted_sums(clicks, answers):
    """How many sums the page adds by itself; each must agree with the engine's number beside it."""
    counted = 0
    for click, answer in zip(clicks, answers["found"], strict=True):
        for own, engine in SUMS:
            found = [next((value for words, value in answer["rows"] if words.startswith(start)), None) for start in (own, engine)]
            if None not in found:
                assert found[0] == pytest.approx(found[1], rel=2e-4, abs=2e-6), click
                counted += 1
    return counted


def test_sums_that_the_page_adds_agree_with_the_engine(narrow, dark):
    assert counted_sums(*narrow[:2]) + counted_sums(*dark[:2]) >= 20


def test_normalization_within_a_channel_over_a_batch_and_the_mean_of_a_map_are_taken_apart(normalized, tmp_path):
    clicks = clicks_on(normalized, normalized.passes, 0, LATER)
    answers, _ = clicked(normalized.page, clicks, tmp_path, 400)
    assert not wrong(normalized, clicks, answers)
    assert counted_sums(clicks, answers) == 2 * (3 + 2 + 2 + 1)  # conv1, conv2, fc3; rnorm1 and bn2 both ways; mean
    assert all(answer["scroll"] <= 400 for answer in answers["found"])


@pytest.mark.slow
def test_page_with_other_numbers_is_seen(explored, tmp_path):
    """The check can fail: a page in which one layer's outputs, gradients or weights' gradients are a little larger."""

    def change(arrays):
        for name in ("p0:v5", "p1:v5", "p0:d7", "p1:d7", "p0:dw:conv1", "p1:dw:conv1", "p0:s:norm2", "p1:s:norm2"):
            arrays[name] = arrays[name] * np.float32(1.0001)

    clicks = clicks_on(explored, explored.passes, 0)
    answers, _ = clicked(page_of(explored.net, explored.passes, explored.channels, change), clicks, tmp_path, 1300)
    faults = {(fault[0], fault[1] if fault[1] == "dweight" else fault[2]) for fault in wrong(explored, clicks, answers)}
    assert {("conv2", "value"), ("norm2", "dout"), ("conv1", "dweight"), ("norm2", "scale")} <= faults


def test_edges_of_towers_and_of_images(explored, tmp_path):
    """Channels beside the border between the towers, where a window of normalization ends, and units whose windows reach padding."""
    one, clicks = explored.passes[0], []
    for layer, at, channel in (("norm1", 3, 15), ("norm1", 3, 16), ("norm2", 7, 32), ("conv2", 5, 31), ("conv2", 5, 32), ("conv3", 9, 127)):
        _, h, w = one.values[at].shape
        y, x = (0, w - 1) if layer.startswith("conv") else np.argwhere(one.values[at][channel - 1 : channel + 1].all(axis=0))[0].tolist()
        place = {"picture": 0, "layer": layer, "at": at, "unit": [channel, y, x], "channel": str(channel), "y": y, "x": x, "h": h, "w": w}
        clicks += [place | {"mode": mode} for mode in ("forward", "backward")]
    answers, _ = clicked(explored.page, clicks, tmp_path, 1300)
    assert not wrong(explored, clicks, answers) and counted_sums(clicks, answers) == 9  # a convolution has a sum in one direction


def test_page_of_chosen_channels_adds_what_it_does_not_hold(explored, tmp_path):
    channels = selected(explored.net, {"conv1": (0, 1, 20), "conv2": (3, 40), "conv3": (7,), "conv5": (0, 33), "fc6": (1, 200)})
    clicks = [
        {"picture": 0, "mode": mode, "layer": layer, "channel": channel, "y": 0, "x": 1, "h": h, "w": w}
        for layer, channel, h, w in (
            ("conv2", "3", 12, 12),
            ("conv2", "40", 12, 12),
            ("norm2", "3", 12, 12),
            ("fc6", "", 1, 2),
            ("fc8", "", 3, 4),
        )
        for mode in ("forward", "backward")
    ]
    answers, _ = clicked(page_of(explored.net, explored.passes[:1], channels), clicks, tmp_path, 400)
    for click, answer in zip(clicks, answers["found"], strict=True):
        rows = dict(answer["rows"])
        if click["mode"] == "forward" and click["layer"] != "norm2":
            assert rows["the channels that this page does not hold"] != 0
            assert rows["sum of these lines"] == pytest.approx(rows["output that the engine computed"], rel=2e-4, abs=2e-6), click
        assert answer["scroll"] <= 400
    said = answers["found"][0]["said"]
    assert said["name"] == "conv2, channel 3, row 0, column 1" and said["value"] == shown(explored.passes[0].values[5][3, 0, 1])
    assert answers["found"][6]["said"]["name"] == "fc6, unit 200"


def test_nothing_is_asked_for(narrow, dark):
    assert narrow[2] == dark[2] == []


@pytest.mark.parametrize(("which", "width"), [("narrow", 400), ("dark", 1300)])
def test_no_view_is_wider_than_the_window(which, width, request):
    for click, answer in zip(request.getfixturevalue(which)[0], request.getfixturevalue(which)[1]["found"], strict=True):
        assert answer["width"] == width and answer["scroll"] <= width, click


def test_controls_have_names_and_words_from_a_file_stay_words(narrow):
    assert all(answer["unnamed"] == 0 for answer in narrow[1]["found"])
    assert narrow[1]["bold"] == 0


def test_arrow_keys_fields_and_buttons_move_the_choice(explored, tmp_path):
    click = {"picture": 0, "mode": "forward", "layer": "conv2", "channel": "5", "y": 3, "x": 4, "h": 12, "w": 12}
    answers, _ = clicked(explored.page, [click], tmp_path, 1300)
    assert answers["found"][0]["said"]["name"] == "conv2, channel 5, row 3, column 4"
    assert answers["clamped"] == ["63", "conv2, channel 63, row 4, column 5"]
    largest = max(explored.passes[0].values[5].ravel(), key=abs)
    assert re.fullmatch(r"conv2, channel \d+, row \d+, column \d+\. Value: (\S+)", answers["most"])[1] == f"{shown(largest)}".replace(
        "-", "\u2212"
    )
    assert answers["part"] == answers["opened"] and answers["part"].startswith("channel ")
    assert answers["keys"] == [f"conv2, channel {c}, row {y}, column 5" for c, y in ((5, 3), (5, 4), (4, 4))]


def test_dark_and_light(narrow, dark):
    assert (narrow[1]["background"], dark[1]["background"]) == ("rgb(255, 255, 255)", "rgb(21, 24, 28)")
