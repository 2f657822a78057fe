"""The by-hand sheet: its answers in fractions, in float64, by the layers of two towers, by hand and by measured slopes; its pages."""

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from lessons.__main__ import main
from lessons.sheet import net as sheet
from lessons.sheet.net import HALF, LARGEST, drawn, solved
from lessons.sheet.page import to_fill, write_sheet, written
from tests.lessons.browser import CHROMIUM, run
from tinyalex.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from tinyalex.loss import SquaredError
from tinyalex.towers import Exchange, Gather, Pair, Split

SEEDS = range(6)


@pytest.fixture(scope="module")
def nets():
    return {seed: drawn(seed) for seed in SEEDS}


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_in_fractions_are_those_of_float64(nets, seed):
    exact, rounded = solved(nets[seed].exact()), solved(nets[seed])
    for (name, one), (_, other) in zip(exact.arrays(), rounded.arrays(), strict=True):
        assert one.shape == other.shape and (one == other).all(), name
    assert isinstance(exact.loss, Fraction) and {type(one) for one in exact.dfilters[0].flat} == {Fraction}


def test_three_cells_by_hand(nets):
    """The numbers stand here as they are printed on sheet 0."""
    net, answers = nets[0], solved(nets[0].exact())
    assert net.x[0, 0, :3, :3].tolist() == [[3, 3, 1], [1, 3, 1], [3, 2, 1]]
    assert net.x[0, 1, :3, :3].tolist() == [[0, 1, 2], [1, 3, 1], [0, 2, 1]]
    assert net.filters[0].tolist() == [[[[-1, 1, 0], [1, 1, 0], [1, -1, 0]], [[-1, 1, 0], [0, 1, 0], [-1, -1, 0]]]]
    assert answers.conv[0][0, 0, 0, 0] == (-3 + 3 + 1 + 3 + 3 - 2) + (0 + 1 + 3 - 0 - 2) - 1 == 6

    assert answers.dconv[0][0, 0].tolist() == [[0, 0, 0], [-4, 0, 2], [0, 0, -3]]
    assert (net.x[0, 1, 2, 1], net.x[0, 1, 2, 3], net.x[0, 1, 3, 3]) == (2, 3, 0)  # what the middle of the filter sees in these windows
    assert answers.dfilters[0][0, 1, 1, 1] == -4 * 2 + 2 * 3 - 3 * 0 == -2

    assert answers.dboth[0][0, HALF:].tolist() == [1, -1, 1, -1] and answers.dboth[1][0, HALF:].tolist() == [-3, 4, -2, 3]
    assert answers.dpool[1][0, 0].tolist() == [[1 - 3, -1 + 4], [1 - 2, -1 + 3]]


def test_every_gradient_is_the_measured_slope_exactly(nets):
    """Away from its kinks the loss is a polynomial of degree 2 in each number, so a centered difference is its slope, without rounding."""
    net, h = nets[1].exact(), Fraction(1, 1000)
    answers = solved(net)
    gradients = {
        "x": answers.dx, "filters": answers.dfilters, "conv_bias": answers.dconv_bias, "hidden": answers.dhidden,
        "hidden_bias": answers.dhidden_bias, "weight": answers.dweight, "bias": answers.dbias,
    }  # fmt: skip
    for name, gradient in gradients.items():
        pair = isinstance(gradient, tuple)
        for tower, slopes in enumerate(gradient if pair else (gradient,)):
            for at in np.ndindex(slopes.shape):
                losses = []
                for step in (h, -h):
                    numbers = getattr(net, name)
                    moved = (numbers[tower] if pair else numbers).copy()
                    moved[at] += step
                    changed = tuple(moved if other == tower else numbers[other] for other in (0, 1)) if pair else moved
                    losses.append(solved(replace(net, **{name: changed})).loss)
                assert (losses[0] - losses[1]) / (2 * h) == slopes[at], (name, tower, at)


def test_layers_of_two_towers_give_the_same(nets):
    """Split, Exchange and Gather of the engine, on two devices, where the sheet calls plain functions."""
    net, answers, devices = nets[2], solved(nets[2]), ("cpu:0", "cpu:1")

    def tower(t, *layers):
        return Sequential(list(layers), name=f"tower{t}")

    def layer(kind, t, weight, bias, *sizes, **settings):
        made = kind(*sizes, rng=np.random.default_rng(0), dtype=np.float64, device=devices[t], **settings)
        made.params["weight"][...], made.params["bias"][...] = weight, bias
        return made

    def own(kind, t, *sizes, **settings):
        return kind(*sizes, dtype=np.float64, device=devices[t], **settings)

    convs = [layer(Conv2d, t, net.filters[t], net.conv_bias[t], 2, 1, 3) for t in (0, 1)]
    units = [layer(Linear, t, net.hidden[t], net.hidden_bias[t], 2 * HALF, 2) for t in (0, 1)]
    last = layer(Linear, 0, net.weight, net.bias, 4, 2)
    first = Pair(*(tower(t, convs[t], own(ReLU, t), own(MaxPool2d, t, 2, stride=1), own(Flatten, t)) for t in (0, 1)))
    second = Pair(*(tower(t, units[t], own(ReLU, t)) for t in (0, 1)))
    steps = [
        Split(devices, dtype=np.float64), first, Exchange(devices, dtype=np.float64), second, Gather(devices, dtype=np.float64), last,
    ]  # fmt: skip
    value = net.x
    for step in steps:
        value = step.forward(value, train=True)
    loss = SquaredError(dtype=np.float64)
    assert (value == answers.out).all() and loss.forward(value, net.target, train=True) == answers.loss
    gradient = loss.backward()
    for step in reversed(steps):
        gradient = step.backward(gradient)
    assert (gradient == answers.dx).all() and (last.grads["weight"] == answers.dweight).all()
    for t in (0, 1):
        assert (convs[t].grads["weight"] == answers.dfilters[t]).all() and (convs[t].grads["bias"] == answers.dconv_bias[t]).all()
        assert (units[t].grads["weight"] == answers.dhidden[t]).all() and (units[t].grads["bias"] == answers.dhidden_bias[t]).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_sheet_has_something_to_show_and_no_ugly_number(nets, seed):
    answers = solved(nets[seed].exact())
    for name, numbers in answers.arrays():
        assert all(Fraction(one).denominator <= (2 if name == "loss" else 1) and abs(one) <= LARGEST for one in numbers.flat), name
    assert [wins.max() for wins in answers.wins] == [2, 2] and [wins.sum() for wins in answers.wins] == [HALF, HALF]
    assert sum(int((one < 0).sum()) for one in answers.before) == 1
    assert answers.dboth[0][0, HALF:].any() and answers.dboth[1][0, :HALF].any()  # both towers send something back
    assert all(2 <= (conv < 0).sum() <= 4 and (conv != 0).all() for conv in answers.conv)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_two_mistakes_of_the_lessons_give_other_numbers(nets, seed):
    """`=` for `+=` at a winner, and a half that is not sent back: whoever makes one of them finds other sums on the sheet."""
    net, answers = nets[seed], solved(nets[seed])
    assert (abs(net.weight[0]) != abs(net.weight[1])).any() or 0 < (net.weight[0] == net.weight[1]).sum() < 4
    for t in (0, 1):
        own = answers.dboth[t][0, t * HALF : (t + 1) * HALF]
        assert (own != answers.dpool[t].ravel()).any()
        _, won = sheet.max_pool(answers.relu[t], sheet.POOL)
        overwritten = np.zeros((3, 3))
        for y, z in np.ndindex(2, 2):
            j, i = divmod(int(won[0, 0, y, z]), 2)
            overwritten[y + i, z + j] = answers.dpool[t][0, 0, y, z]
        assert (overwritten != answers.dconv[t][0, 0]).any() and overwritten.sum() != answers.dconv[t].sum()


@pytest.mark.parametrize(
    ("conv", "shows"),
    [
        ([[6, 1, -1], [7, -5, 5], [1, 3, 8]], True),
        ([[6, 1, -1], [7, -5, 5], [7, 3, 8]], False),  # two winners in one window
        ([[6, 0, -1], [7, -5, 5], [1, 3, 8]], False),  # a zero, where it is not clear what ReLU's slope is
        ([[6, 1, -1], [-7, -5, 5], [-1, -3, 8]], False),  # too few that are above 0
        ([[6, 1, -1], [5, -5, 4], [7, 3, 8]], False),  # a winner in each window, and none that wins twice
        ([[6, 1, -1], [7, -5, 5], [1, 3, 9]], False),  # larger than a number of a map may be
    ],
)
def test_maps_that_show_nothing_are_drawn_again(conv, shows):
    assert sheet._map_shows(np.array(conv, float)[None, None]) == shows


@pytest.mark.parametrize(("number", "text"), [(Fraction(-3), "\u22123"), (Fraction(5, 2), "2½"), (Fraction(-1, 2), "\u2212½"), (0, "0")])
def test_numbers_as_they_are_printed(number, text):
    assert written(number) == text


def test_ugly_number_is_refused():
    with pytest.raises(ValueError, match="sheet: number must be whole or a half, got 1/3"):
        written(Fraction(1, 3))


def cells(page, kind):
    return [
        [[re.sub(r"<sup>.*?</sup>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", figure)], *re.findall("sum ([^<]*)", figure)]
        for figure in re.findall(rf'<figure class="{kind}">(.*?)</figure>', page)
    ]


def test_pages(tmp_path):
    blank, filled = (path.read_text("utf-8") for path in write_sheet(3, tmp_path))
    assert cells(blank, "given") == cells(filled, "given") and len(cells(blank, "blank")) == len(cells(filled, "blank"))
    for (empty, *printed), (numbers, *again) in zip(cells(blank, "blank"), cells(filled, "blank"), strict=True):
        assert set(empty) == {""} and "" not in numbers and printed == again
        if printed:
            assert written(sum(Fraction(one.replace("\u2212", "-")) for one in numbers)) == printed[0]
    assert sum(len(one[0]) for one in cells(blank, "blank")) == to_fill()
    assert "<sup>2</sup>" in filled and "<sup>" not in blank and "gradients were added" not in blank
    assert not re.search(r"(?:src|href)=\"(?!data:)|url\(|https?:", blank + filled)
    first = tmp_path / "again"
    assert [path.read_text("utf-8") for path in write_sheet(3, first)] == [blank, filled]
    assert write_sheet(4, first)[0].read_text("utf-8") != blank


def test_command(tmp_path, capsys):
    assert main(["sheet", "--seed", "7", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'sheet-7.html'}\nwrote {tmp_path / 'sheet-7-answers.html'}\n"
    assert main(["sheet", "--seed", "-1", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: sheet: seed must be an integer of at least 0, got -1\n"


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")
def test_each_is_two_pages_of_paper(tmp_path):
    for path in write_sheet(0, tmp_path):
        run(tmp_path, path, f"--print-to-pdf={tmp_path / 'sheet.pdf'}", "--no-pdf-header-footer")
        assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "sheet.pdf").read_bytes())) == 2, path.name
