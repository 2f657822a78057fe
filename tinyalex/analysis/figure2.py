"""The paper's Figure 2, drawn from a network. Boxes are the outputs of layers, dashed arrows are copies between two towers.

The colors are those of Okabe and Ito. The copies are dashed, so that they can be seen without colors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from tinyalex.analysis.count import sent_bytes
from tinyalex.analysis.walk import Visit, input_shape, visit
from tinyalex.errors import ShapeError, show_pair
from tinyalex.layers import Both, Branches, Layer, Sequential
from tinyalex.shown import layer_of

TOWERS = ("#56B4E9", "#E69F00")  # sky blue and orange
DARK_TOWERS = ("#0072B2", "#9A6700")  # for text
SHARED, WINDOW, CROSSING, INK = "#BBBBBB", "#00795A", "#B84A00", "#222222"  # green and vermilion, dark enough for text on white
DASHES = (0, (4, 2))
MOST = 24  # stages that are drawn one by one
WIDTH, UNIT, FONT = 12.0, 0.735, 12  # least width in inches, least size of a unit in inches, points
OBLIQUE = (0.42, 0.30)  # the direction in which the width of a map is drawn; its height is drawn along (0, 1)
CENTERS = (1.72, -1.72)  # heights of tower a and tower b

Point = tuple[float, float]
Pool = tuple[str, tuple[int, int], tuple[int, int]]  # "max" or "mean", kernel, stride


@dataclass(frozen=True)
class Stage:
    """One box of the picture, or one for each tower: the image, or the output of a layer with weights.

    shape: of the output; with two towers, of one half. halves: for how many towers it is drawn, 1 or 2.
    window: kernel and stride of the layer; None if it is fully connected. pools: the pooling layers after it.
    crossing: bytes an image that each tower sends to the other in front of it. groups: the groups of the layer.
    merged: how many layers or `Branches` share the box, because all their maps have one size.
    """

    name: str
    shape: tuple[int, ...]
    halves: int
    window: tuple[tuple[int, int], tuple[int, int]] | None = None
    pools: tuple[Pool, ...] = ()
    crossing: int = 0
    groups: int = 1
    merged: int = 1

    @property
    def flat(self) -> bool:
        """Whether the layer is fully connected."""
        return len(self.shape) == 1


def stages(net: Layer) -> list[Stage]:
    """The stages of a net, in order. ShapeError: the input of the net is not an image.

    `Branches` are one stage, and those that follow each other with maps of one height and width share it; of auxiliary heads only the main
    path is drawn. So do convolutions that follow each other, if there are more than `MOST` stages.
    """
    shape = input_shape(net)
    if len(shape) != 3:
        raise ShapeError(f"{net.name}: in_shape must be (C, H, W) to be drawn, got {shape}")
    columns = [Stage("image", shape, 1)]
    link: Visit | None = None
    for at in _straight(net, shape):
        if isinstance(at.layer, Branches):
            columns.append(Stage(at.layer.name, at.out_shape, 1, merged=0))
            continue
        layer, facts = at.layer, at.layer.facts(at.in_shape)
        if len(layer.takes) == 2:
            link = at
        elif at.tower == 1:
            continue
        elif layer.params and facts.macs:
            window = None if facts.windows is None else (facts.windows.kernel, facts.windows.stride)
            each = 0 if link is None else sent_bytes(link.layer, link.in_shape) // len(link.layer.gives)
            halves, name = (2, layer_of(layer.name)) if at.tower == 0 else (1, layer.name)
            columns.append(Stage(name, at.out_shape, halves, window, (), each, getattr(layer, "groups", 1)))
            link = None
        elif facts.draws is not None and facts.windows is not None:
            pool = facts.draws, facts.windows.kernel, facts.windows.stride
            columns[-1] = replace(columns[-1], pools=(*columns[-1].pools, pool))
    return _merged(columns)


def _straight(net: Layer, shape: Any) -> Iterator[Visit]:
    """The layers of a net in order, and `Branches` as a whole; of auxiliary heads only the main path."""
    if isinstance(net, Sequential):
        for layer in net.layers:
            yield from _straight(layer, shape)
            shape = layer.output_shape(shape)
    elif isinstance(net, Branches) and isinstance(net.merge, Both) and net.paths[0] is not None:
        yield from _straight(net.paths[0], shape)
    elif isinstance(net, Branches):
        yield Visit(net, shape, net.output_shape(shape))
    else:
        yield from visit(net, shape)


def _merged(columns: Sequence[Stage]) -> list[Stage]:
    """The stages, of which those that share a box are one: it has the shape of the last of them and the names of the first and the last."""
    many, found = len(columns) > MOST, list(columns[:1])
    for stage in columns[1:]:
        last, block = found[-1], stage.merged == 0
        alike = len(stage.shape) == 3 and stage.shape[1:] == last.shape[1:] and not last.pools and len(found) > 1
        if alike and (block and last.window is None or many and not block and last.window is not None and stage.shape == last.shape):
            first = last.name.split("\n")[0].rpartition(".conv")[0] or last.name.split("\n")[0]
            name = f"{first}\nto {stage.name.rpartition('.conv')[0] or stage.name}"
            found[-1] = replace(last, name=name, shape=stage.shape, merged=last.merged + 1, pools=stage.pools)
        else:
            found.append(replace(stage, merged=1))
    return found


@dataclass(frozen=True)
class Box:
    """A box in the picture. at: its near lower left corner. thick: grows with the number of maps. high, wide: the size of a map."""

    at: Point
    thick: float
    high: float
    wide: float

    def corner(self, x: float, y: float, z: float) -> Point:
        """The point at the fractions x of the thickness, y of the height and z of the width."""
        return (
            self.at[0] + x * self.thick + z * self.wide * OBLIQUE[0],
            self.at[1] + y * self.high + z * self.wide * OBLIQUE[1],
        )

    @property
    def right(self) -> float:
        """The largest x of the box."""
        return self.at[0] + self.thick + self.wide * OBLIQUE[0]


def figure(net: Layer) -> Any:
    """The Matplotlib figure of a network that reads images, with one tower or two. ShapeError: it does not read images."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = stages(net)
    towers = max(column.halves for column in columns)
    boxes = _lay_out(columns)
    left, right = -0.35, boxes[-1][0].right + 0.85
    with rc_context({"font.size": FONT}):
        canvas = Figure(figsize=(max(WIDTH, UNIT * (right - left)), 6.3 if towers == 2 else 4.0), layout="constrained")
        FigureCanvasAgg(canvas)
        panel = canvas.subplots()
        panel.set_axis_off()
        panel.set_aspect("equal")
        for column, halves in zip(columns, boxes, strict=True):
            split = column.halves == 2 or (towers == 1 and column is not columns[0])
            for tower, box in enumerate(halves):
                _draw_box(panel, box, TOWERS[tower] if split else SHARED)
        for i in range(1, len(columns)):
            _draw_windows(panel, columns[i - 1], boxes[i - 1], columns[i], boxes[i])
            _draw_crossing(panel, columns[i], boxes[i - 1], boxes[i])
        _write_labels(panel, columns, boxes)
        if towers == 2:
            _write_towers(panel, net, boxes)
        low, top = _edges(boxes)
        lines = max(len(_pooling(column)) for column in columns)
        panel.set_xlim(left, right)
        above = 0.45 * (1 + max(column.name.count("\n") for column in columns))
        panel.set_ylim(low - (2.3 if towers == 2 else 1.75) - 0.6 * max(0, lines - 1), top + above)
    return canvas


def _lay_out(columns: Sequence[Stage]) -> list[list[Box]]:
    """The boxes of each stage, tower a's first. Their sides are square roots of sizes, so that 6 and 224 pixels fit on one page."""
    boxes, x = [], 0.0
    largest = max(columns[0].shape[1:])
    for column in columns:
        if column.flat:
            thick, high, wide = 0.16, 0.75 + 0.7 * min(1.0, column.shape[0] / 4096) ** 0.5, 0.3
        else:
            maps, height, width = column.shape
            thick, high, wide = 0.052 * maps**0.5, 2.5 * (height / largest) ** 0.5, 2.5 * (width / largest) ** 0.5
        centers = CENTERS if column.halves == 2 else (0.0,)
        boxes.append([Box((x, center - (high + wide * OBLIQUE[1]) / 2), thick, high, wide) for center in centers])
        x = boxes[-1][0].right + (1.25 if column.flat else 1.0)
    return boxes


def _draw_box(panel: Any, box: Box, color: str) -> None:
    """Draw the front, the top and the right side of a box. The right side shows a map."""
    for face, light in (
        (((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)), 0.45),
        (((0, 1, 0), (1, 1, 0), (1, 1, 1), (0, 1, 1)), 0.7),
        (((1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0)), 0.0),
    ):
        points = [box.corner(*corner) for corner in face]
        panel.fill(*zip(*points, strict=True), facecolor=_lighter(color, light), edgecolor=INK, linewidth=0.9, zorder=3)


def _lighter(color: str, by: float) -> tuple[float, ...]:
    rgb = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return tuple(c + (1 - c) * by for c in rgb)


def _draw_windows(panel: Any, before: Stage, froms: list[Box], now: Stage, tos: list[Box]) -> None:
    """Draw the kernel on the maps that it reads, with lines to the unit that it computes. A fully connected layer gets an arrow."""
    for tower, to in enumerate(tos):
        box = froms[min(tower, len(froms) - 1)]
        if now.window is None:
            _draw_arrow(panel, box.corner(1, 0.5, 0.5), to.corner(0, 0.5, 0.5), INK, "-")
            continue
        steps = [math.prod(pool[2][axis] for pool in before.pools) for axis in (0, 1)]
        h, w = (min(0.6, max(0.16, k * s / n)) for k, s, n in zip(now.window[0], steps, before.shape[1:], strict=True))
        y, z = (min(0.58, 0.9 - h) if tower == 0 else 0.12), min(0.32, 0.9 - w)
        corners = [box.corner(1, y, z), box.corner(1, y, z + w), box.corner(1, y + h, z + w), box.corner(1, y + h, z)]
        tip = to.corner(0, 0.72 if tower == 0 else 0.28, 0)
        for corner in corners:
            panel.plot(*zip(corner, tip, strict=True), color=WINDOW, linewidth=0.9, zorder=4)
        panel.fill(*zip(*corners, strict=True), facecolor=_lighter(WINDOW, 0.55), edgecolor=WINDOW, linewidth=1.3, zorder=4)
        if tower == 0:
            (kernel, step), x = now.window, (box.right + to.at[0]) / 2
            text = _times(kernel) + ("" if step == (1, 1) else f"\nstride {show_pair(step)}")
            text += f"\n{now.groups} groups" if now.groups > 1 else ""
            peak = max(tip[1], *(corner[1] for corner in corners if corner[0] > box.right - 0.3), box.corner(1, 0.75, 1)[1])
            panel.text(x, peak + 0.12, text, ha="center", va="bottom", color=WINDOW, fontsize=FONT - 1, linespacing=1.1, zorder=6)


def _draw_crossing(panel: Any, now: Stage, froms: list[Box], tos: list[Box]) -> None:
    """Draw the copies to the other tower, with their bytes for one image."""
    if not now.crossing:
        return
    if len(tos) == 2:
        for source, target in ((1, 0), (0, 1)):
            start = froms[source].corner(1, 0.25 if source == 0 else 0.75, 0.5)
            _draw_arrow(panel, start, tos[target].corner(0, 1.0 if source == 0 else 0.0, 0), CROSSING, DASHES)
        place, text = ((froms[0].right + tos[0].at[0]) / 2 + 0.2, 0.0), f"{now.crossing:,} B\neach way"
    else:
        start, end = froms[1].corner(1, 0.75, 0.5), tos[0].corner(0.5, 0, 0)
        _draw_arrow(panel, start, end, CROSSING, DASHES)
        place, text = (end[0] - 0.1, (start[1] + end[1]) / 2 - 0.2), f"{now.crossing:,} B"
    panel.text(*place, text, ha="left", va="center", color=CROSSING, fontsize=FONT - 1, linespacing=1.1, zorder=6)


def _draw_arrow(panel: Any, start: Point, end: Point, color: str, style: Any) -> None:
    look = {"arrowstyle": "-|>", "color": color, "linewidth": 1.4 if color == INK else 2.0, "linestyle": style, "shrinkA": 0, "shrinkB": 0}
    panel.annotate("", end, start, arrowprops=look, zorder=5)


def _write_labels(panel: Any, columns: Sequence[Stage], boxes: Sequence[list[Box]]) -> None:
    """Write the name of each layer above its box, and its size and pooling below."""
    low, top = _edges(boxes)
    for column, halves in zip(columns, boxes, strict=True):
        x = (halves[0].at[0] + halves[0].right) / 2
        panel.text(x, top + 0.1, column.name, ha="center", va="bottom", weight="bold", fontsize=FONT + 1)
        text = "2 × " * (column.halves == 2) + str(column.shape[0])
        text += "" if column.flat else f" maps\n{_times(column.shape[1:])}"
        panel.text(x, low - 0.2, text, ha="center", va="top", linespacing=1.3)
        panel.text(x, low - 0.92, "\n".join(_pooling(column)), ha="center", va="top", color="0.35", linespacing=1.2)


def _pooling(column: Stage) -> list[str]:
    """How many share the stage, and the pooling layers after it in words. Equal layers share a line."""
    counted = [(pool, len(list(alike))) for pool, alike in groupby(column.pools)]
    shared = [f"{column.merged} {'blocks' if column.window is None else 'layers'}"] if column.merged > 1 else []
    pools = [f"{kind} pool {_times(kernel)}\nstride {show_pair(step)}{f', {n} times' * (n > 1)}" for (kind, kernel, step), n in counted]
    return shared + pools


def _write_towers(panel: Any, net: Layer, boxes: Sequence[list[Box]]) -> None:
    """Write the name and device of each tower, and how many bytes the towers exchange in total."""
    devices = [next(at.layer.device.name for at in visit(net, input_shape(net)) if at.tower == tower) for tower in (0, 1)]
    for tower, device in enumerate(devices):
        text = f"tower {'ab'[tower]}\non {device}"
        x = boxes[-1][0].at[0] - 0.15
        panel.text(x, 1.15 * CENTERS[tower], text, va="center", weight="bold", color=DARK_TOWERS[tower], linespacing=1.3)
    sent = sum(sent_bytes(at.layer, at.in_shape) for at in visit(net, input_shape(net)))
    said = f"dashed: copies between the devices, {sent:,} bytes an image in forward and as many in backward"
    panel.text(boxes[-1][0].right, _edges(boxes)[0] - 1.85, said, ha="right", va="top", color=CROSSING)


def _edges(boxes: Sequence[list[Box]]) -> tuple[float, float]:
    """The lowest and the highest point of all boxes."""
    every = [box for halves in boxes for box in halves]
    return min(box.at[1] for box in every), max(box.corner(0, 1, 1)[1] for box in every)


def _times(size: Sequence[int]) -> str:
    return f"{size[0]}×{size[1]}"
