"""The by-hand sheet as two printable pages, and the same pages filled in: HTML that needs nothing from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from lessons.sheet.net import HALF, IMAGE, Answers, Array, Net, drawn, solved
from tinyalex.files.atomic import make_folder, write_bytes

HERE = Path(__file__).parent
TOWERS = ("A", "B")


def write_sheet(seed: int, out: Path) -> tuple[Path, Path]:
    """Write the sheet of a seed and its answers into the folder `out`, and return both paths. Raises ShapeError for a negative seed."""
    net = drawn(seed).exact()
    answers = solved(net)
    make_folder(out)
    paths = out / f"sheet-{seed}.html", out / f"sheet-{seed}-answers.html"
    for path, filled in zip(paths, (False, True), strict=True):
        write_bytes(path, _page(seed, net, answers, filled).encode())
    return paths


def to_fill() -> int:
    """How many numbers a student writes into a sheet, whatever its seed."""
    pen, net = _Pen(False), drawn(0)
    _both_pages(pen, net, solved(net))
    return pen.blanks


def of_the_image() -> int:
    """How many of these belong to the last step, the gradient of the image: a part of each tower, and their sum."""
    return 3 * math.prod(IMAGE)


def written(number: Any) -> str:
    """A number as it stands on a sheet: "−3", "2½". Raises ValueError for any that is not a whole number or a half."""
    value = Fraction(number)
    whole, rest = divmod(abs(value), 1)
    if rest not in (0, Fraction(1, 2)):
        raise ValueError(f"sheet: number must be whole or a half, got {value}; draw other weights")
    digits = "½" if rest and not whole else f"{whole}{'½' if rest else ''}"
    return ("\u2212" if value < 0 else "") + digits


class _Pen:
    """Draws grids of cells: given numbers, and empty ones, which the answers fill. blanks: how many empty cells were drawn."""

    def __init__(self, filled: bool) -> None:
        self.filled, self.blanks = filled, 0

    def given(self, label: str, numbers: Any, cut: int = 0) -> str:
        """A grid whose numbers are printed."""
        return _grid(label, _rows(numbers), "given", cut)

    def blank(self, label: str, numbers: Any, cut: int = 0, wins: Any = None, check: bool = True) -> str:
        """A grid to be filled in. Below it stands the sum of its numbers, by which a mistake is found where it was made."""
        rows = _rows(numbers)
        self.blanks += rows.size
        total = f'<p class="check">sum {written(rows.sum())}</p>' if check and rows.size > 1 else ""
        return _grid(label, rows if self.filled else np.full(rows.shape, None), "blank", cut, wins if self.filled else None, total)


def _rows(numbers: Any) -> Array:
    """A matrix of one row, or of the last two axes where there are more."""
    array = np.asarray(numbers)
    return array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)


def _grid(label: str, rows: Array, kind: str, cut: int, wins: Any = None, below: str = "") -> str:
    times = np.zeros(rows.shape, int) if wins is None else _rows(wins)
    made = []
    for row, won in zip(rows, times, strict=True):
        cells = (
            f'<td class="{"cut " if cut and at == cut else ""}{"won" if n else ""}">{"" if one is None else written(one)}'
            f"{f'<sup>{n}</sup>' if n else ''}</td>"
            for at, (one, n) in enumerate(zip(row, won, strict=True))
        )
        made.append(f"<tr>{''.join(cells)}</tr>")
    return f'<figure class="{kind}"><figcaption>{label}</figcaption><table>{"".join(made)}</table>{below}</figure>'


def _step(number: int, title: str, rule: str, *rows: str) -> str:
    return f'<section><h2>{number}. {title}</h2><p class="rule">{rule}</p>{"".join(rows)}</section>'


def _both(of: Sequence[str]) -> str:
    """What tower A does on the left, and what tower B does on the right."""
    parts = (f'<div class="tower"><b>{name}</b>{one}</div>' for name, one in zip(TOWERS, of, strict=True))
    return f'<div class="towers">{"".join(parts)}</div>'


def _row(*grids: str) -> str:
    return f'<div class="row">{"".join(grids)}</div>'


def _forward(pen: _Pen, net: Net, a: Answers) -> str:
    return "".join([
        f'<section><h2>The image</h2>{_row(pen.given("channel 0", net.x[0, 0]), pen.given("channel 1", net.x[0, 1]))}</section>',
        _step(
            1, "Convolution (paper 3.5)",
            "Lay the filter over a window of 3 x 3 pixels, part 0 over channel 0 and part 1 over channel 1. Multiply cell by cell; add the "
            "18 products and the bias. The stride is 1, and the filter is not turned.",
            _both([
                pen.given("filter, part 0", net.filters[t][0, 0]) + pen.given("part 1", net.filters[t][0, 1])
                + pen.given("bias", net.conv_bias[t]) + pen.blank("conv", a.conv[t])
                for t in (0, 1)
            ]),
        ),
        _step(
            2, "ReLU (3.1), and 3. overlapping pooling (3.4)",
            "Negative numbers become 0. Then write down the largest number of each window of 2 x 2, stride 1. Mark each winner with a "
            "stroke for each window that it wins: you need the strokes in step 12.",
            _both([pen.blank("relu", a.relu[t], wins=a.wins[t]) + pen.blank("pool", a.pool[t]) for t in (0, 1)]),
        ),
        _step(
            4, "The link (3.2)", "Now both towers read the same eight numbers: the four of A, line by line, and then the four of B.",
            _row(pen.blank("what A reads, and what B reads", a.both, HALF)),
        ),
        _step(
            5, "Hidden units, as in fc6",
            "Each unit has one line of weights. Multiply it with the eight numbers; add the products and the bias. Then ReLU.",
            _both([
                pen.given("weights", net.hidden[t], HALF) + pen.given("bias", net.hidden_bias[t][:, None])
                + pen.blank("before", a.before[t].T, check=False) + pen.blank("after", a.after[t].T, check=False)
                for t in (0, 1)
            ]),
        ),
        _step(
            6, "Outputs and 7. loss",
            "Two outputs read all four units: the two of A, then the two of B. The loss is half the sum of the two squares "
            "(out \u2212 target)².",
            _row(
                pen.given("weights", net.weight, 2), pen.given("bias", net.bias[:, None]), pen.blank("out", a.out.T, check=False),
                pen.given("target", net.target.T), pen.blank("loss", a.loss),
            ),
        ),
    ])  # fmt: skip


def _backward(pen: _Pen, a: Answers) -> str:
    return "".join([
        _step(
            8, "Loss, and 9. outputs",
            "d out = out \u2212 target. d weight: the d out of its line times the unit of its column. d bias = d out. d unit: add, over "
            "both outputs, d out times the weight.",
            _row(
                pen.blank("d out", a.dout.T, check=False), pen.blank("d weights", a.dweight, 2),
                pen.blank("d bias", a.dbias[:, None], check=False), pen.blank("d unit (after ReLU)", a.dafter, 2),
            ),
        ),
        _step(
            10, "Hidden units",
            "Where a unit was below 0 before ReLU, d before is 0. Elsewhere it is the d unit of step 9. d weight: the d before of its line "
            "times the number of its column in step 4. d bias = d before.",
            _both([
                pen.blank("d before", a.dbefore[t].T, check=False) + pen.blank("d weights", a.dhidden[t], HALF)
                + pen.blank("d bias", a.dhidden_bias[t][:, None], check=False)
                for t in (0, 1)
            ]),
        ),
        _step(
            11, "Back over the link",
            "Each tower computes the gradient of all eight numbers that it read: add, over its two units, d before times the weight. "
            "Half of it goes back over the link, and is added there to what the other tower has: d pool.",
            _both([
                pen.blank("own half | to B" if t == 0 else "to A | own half", a.dboth[t], HALF) + pen.blank("d pool", a.dpool[t])
                for t in (0, 1)
            ]),
        ),
        _step(
            12, "Pooling and ReLU, and 13. the filter",
            "Each of the four numbers goes to the winner of its window; who won twice gets the sum. All winners were above 0, so ReLU lets "
            "them through. d filter: add, over the nine windows, the d conv of the window times what it saw. d bias = the sum of d conv.",
            _both([
                pen.blank("d conv", a.dconv[t], check=False) + pen.blank("d filter, part 0", a.dfilters[t][0, 0])
                + pen.blank("part 1", a.dfilters[t][0, 1]) + pen.blank("d bias", a.dconv_bias[t])
                for t in (0, 1)
            ]),
        ),
        _step(
            14, "The image",
            "Begin with zeros. Each number of d conv lays the filter, times this number, on its window; all that lies there is added. Both "
            "towers read the image, so at the end their two sheets are added.",
            _both([
                pen.blank("channel 0", a.dx_part[t][0, 0]) + pen.blank("channel 1", a.dx_part[t][0, 1]) for t in (0, 1)
            ]),
            _row(pen.blank("d image, channel 0", a.dx[0, 0]), pen.blank("d image, channel 1", a.dx[0, 1])),
        ),
    ])  # fmt: skip


ADDED = """<section><h2>Where gradients were added, because a number was used more than once</h2><p class="rule">Step 9: a unit is read by
two outputs. Step 11: a number is read by two units, and by both towers. Step 12: a cell wins in two windows. Step 13: a weight of a filter
is used in nine windows. Step 14: a pixel lies in several windows, and both towers read it.</p></section>"""


def _both_pages(pen: _Pen, net: Net, answers: Answers) -> tuple[str, str]:
    return _forward(pen, net, answers), _backward(pen, answers)


def _page(seed: int, net: Net, answers: Answers, filled: bool) -> str:
    forward, backward = _both_pages(_Pen(filled), net, answers)
    return Template((HERE / "sheet.html").read_text("utf-8")).substitute(
        kind="answers" if filled else "sheet", title=f"AlexNet on paper, sheet {seed}{': answers' if filled else ''}",
        name="" if filled else "Name:", forward=forward, backward=backward + (ADDED if filled else ""),
    )  # fmt: skip
