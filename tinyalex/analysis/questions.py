"""Five questions about the networks after AlexNet, each answered by a table that is counted from layers. No network is run.

They are those of a lecture of 2019 on this history (University of Michigan, EECS 498), in whose slides some numbers slipped.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinyalex.analysis.compare import cost
from tinyalex.analysis.count import Row, count
from tinyalex.analysis.receptive import receptive_fields
from tinyalex.devices.dry import DryDevice
from tinyalex.layers import Sequential
from tinyalex.models.later import build_later
from tinyalex.models.later.cifar_resnet import DEPTHS as CIFAR_DEPTHS
from tinyalex.models.later.resnet import DEPTHS, basic, block, bottleneck
from tinyalex.models.later.rows import build_net, conv
from tinyalex.models.later.vgg import DEPTHS as VGG_DEPTHS
from tinyalex.models.rows import Rows

MIB = 2**20
LINE = 130  # characters of a line of text
PRINTED_STEM, PRINTED_VGG = 418, 13.6  # of the lecture: millions, billions of multiply-adds


@dataclass(frozen=True)
class Answer:
    """A table and what follows from it.

    title: the question. head: the names of the columns. lines: a value for each column; "" where there is none.
    sentences: what the table says, and the lecture's slips.
    """

    title: str
    head: tuple[str, ...]
    lines: tuple[tuple[Any, ...], ...]
    sentences: tuple[str, ...]


def equal_work() -> Answer:
    """VGG's rule: maps of half the height and width, twice the filters, and so equal work for each convolution."""
    rows = _rows("vgg16")
    lines: list[tuple[Any, ...]] = []
    full = max(row.macs for row in rows if row.convolves)
    for row in rows:
        if row.convolves:
            c, (k, h, w) = row.in_shape[0], row.out_shape
            lines.append((row.name, f"{h}x{w}", c, k, f"{h} x {w} x {k} x 9 x {c}", row.macs, round(row.macs / full, 4)))
    work = {stage: sum(line[5] for line in lines if line[0].startswith(f"conv{stage}_")) for stage in range(1, 6)}
    lines += [(f"stage {i}", "", "", "", f"{VGG_DEPTHS[16][i - 1]} convolutions", n, round(n / full, 4)) for i, n in work.items()]
    whole, without = cost(rows).macs, cost(row for row in rows if row.name != "conv3_3").macs
    return Answer(
        "does VGG-16 do equal work in each stage?",
        ("layer", "maps", "reads", "filters", "height x width x filters x 9 x reads", "multiply-adds", "of a full one"),
        tuple(lines),
        (
            "Half the height and width is a quarter of the places; twice the filters that read twice the maps have four times the weights. "
            f"So conv1_2, conv2_2, conv3_2, conv3_3, conv4_2 and conv4_3 do the same work, {full:,} multiply-adds each.",
            "The rule does not hold for the first convolution of a stage. It reads the maps of the stage before, which are half as many, "
            "and so does half of the work; conv1_1 reads 3 colors and does 3/64.",
            "It does not hold for stage 5 either. Its filters stay at 512, so each of its convolutions does a quarter.",
            f"The stages as a whole do {', '.join(f'{n / full:.4g}' for n in work.values())} times the work of a full convolution.",
            f"The lecture's list has two convolutions in stage 3. VGG-16 has three, and {sum(VGG_DEPTHS[16])} in all: {whole / 1e9:.2f} "
            f"billion multiply-adds. Without conv3_3 they are {without / 1e9:.2f} billion, which is the lecture's {PRINTED_VGG}.",
        ),
    )


def stem() -> Answer:
    """From 224x224 to 28x28: GoogLeNet's first layers beside VGG-16's."""
    google = [row for row in _before("googlenet", "3a.1x1") if _counts(row)]
    vgg = [row for row in _before("vgg16", "conv4_1") if _counts(row)]
    lines: list[tuple[Any, ...]] = []
    for name, rows in (("GoogLeNet", google), ("VGG-16", vgg)):
        lines += [(name, row.name, _show(row), row.parameters, _mib(row), row.macs, row.comparisons, _sum_of(row)) for row in rows]
        lines.append((name, "sum", "", *_four(rows), ""))
    own, theirs = cost(google), cost(vgg)
    compared, pools = sum(row.comparisons for row in google), [row.comparisons for row in google if row.comparisons]
    terms = [row.macs for row in google if row.macs]
    norms = cost(row for row in _before("googlenet", "3a.1x1") if row.kind == "LocalResponseNorm").activation_bytes / MIB
    six, convolutions = cost(row for row in vgg if row.convolves and row.name != "conv3_3"), cost(row for row in vgg if row.convolves)
    return Answer(
        "what does it cost to come from 224x224 to 28x28?",
        ("net", "layer", "output", "parameters", "output MiB", "multiply-adds", "comparisons", "height x width x filters x kernel x reads"),
        tuple(lines),
        (
            f"{' + '.join(f'{n:,}' for n in terms)} = {own.macs:,} multiply-adds, so {own.macs / 1e6:.0f} million. With the elements that "
            f"the two poolings compare, {' + '.join(f'{n:,}' for n in pools)}, they are {own.macs + compared:,}, so "
            f"{(own.macs + compared) / 1e6:.0f} million. The lecture prints {PRINTED_STEM}, which has the digits of 481 in another order.",
            f"VGG-16's first seven convolutions need {theirs.macs / own.macs:.1f} times the multiply-adds, "
            f"{theirs.parameters / own.parameters:.1f} times the parameters and {theirs.activation_bytes / own.activation_bytes:.1f} times "
            f"the memory. The convolutions alone give {convolutions.activation_bytes / MIB:.1f} MiB.",
            f"The lecture prints 42.9 MB, 1.1 million parameters and 7485 million multiply-adds for VGG-16. These are the numbers without "
            f"conv3_3: {six.activation_bytes / MIB:.3f} MiB, {six.parameters:,} and {six.macs:,}.",
            f"ReLUs work in place. GoogLeNet's two response normalizations, which the lecture leaves out, add {norms:.2f} MiB of outputs.",
        ),
    )


def small_kernels(channels: int = 64, size: int = 56) -> Answer:
    """One 5x5 (the lecture's option 1) against two 3x3 (option 2), and one 7x7 against three 3x3."""
    lines: list[tuple[Any, ...]] = []
    for kernels in ((5,), (3, 3), (7,), (3, 3, 3)):
        rows = tuple(conv(f"conv{i}", channels, kernel, bias=False) for i, kernel in enumerate(kernels, 1))
        net = build_net(rows, (channels, size, size), "kernels", DryDevice())
        counts, field = cost(count(net)), receptive_fields(net)[f"conv{len(kernels)}"].size[0]
        words = f"one {kernels[0]}x{kernels[0]}" if len(kernels) == 1 else f"{'two' if len(kernels) == 2 else 'three'} 3x3"
        each = sum(kernel**2 for kernel in kernels)
        outputs = round(counts.activation_bytes / MIB, 3)
        lines.append((words, f"{each} C^2", counts.parameters, counts.macs, f"{field}x{field}", len(kernels), outputs))
    five, two, seven, three = (line[2] for line in lines)
    return Answer(
        f"one large kernel or several of 3x3? ({channels} channels in and out, maps of {size}x{size}, no biases)",
        ("convolutions", "weights", "parameters", "multiply-adds", "field", "ReLUs", "outputs MiB"),
        tuple(lines),
        (
            f"Two of 3x3 see 5x5, as one of 5x5 does, with {100 * two / five:.0f} % of its weights and multiply-adds; three of 3x3 see 7x7 "
            f"with {100 * three / seven:.0f} %. The lecture's 25 C^2 and 18 C^2 are right.",
            "A ReLU stands behind each convolution, so several small ones are less linear than a large one.",
            "The small kernels are not better in everything: backward needs the output of each convolution, so the memory for outputs is "
            "two and three times as large.",
        ),
    )


def bottlenecks(channels: int = 64, size: int = 56) -> Answer:
    """A basic block on C channels beside a bottleneck on 4 C, alone and in whole nets."""
    makes: dict[str, tuple[Callable[[str], Rows], int]] = {
        "basic block": (lambda name: block(name, basic(name, channels, 1), channels, 1, False), channels),
        "bottleneck": (lambda name: block(name, bottleneck(name, channels, 1), 4 * channels, 1, False), 4 * channels),
    }
    lines: list[tuple[Any, ...]] = []
    for kind, (make, wide) in makes.items():
        for times in (1, 2):
            rows = tuple(row for i in range(1, times + 1) for row in make(f"block{i}"))
            net = build_net(rows, (wide, size, size), kind, DryDevice(), input_gradient=True)
            lines.append(_line(f"{times} {kind}{'s' * (times > 1)}", wide, net, f"block{times}.relu"))
    for depth in (34, 50):
        net = build_later(f"resnet{depth}", devices=DryDevice())
        lines.append(_line(f"ResNet-{depth}", 512 if depth == 34 else 2048, net, f"stage4.{DEPTHS[depth][1][-1]}.relu"))
    of_basic, _, of_bottleneck, of_two, whole, whole_narrow = (line[4] for line in lines)
    return Answer(
        f"does a bottleneck keep the receptive field? (C = {channels}, maps of {size}x{size}, stride 1; and two whole nets)",
        ("what", "channels", "parameters", "multiply-adds", "field", "outputs MiB"),
        tuple(lines),
        (
            "A basic block does 2 x 9 C^2 = 18 C^2 multiply-adds at each place. A bottleneck on four times the channels does 4 C^2 + 9 C^2 "
            "+ 4 C^2 = 17 C^2. The cost is about equal, and the maps that are summed are four times as many.",
            f'"A bottleneck keeps the receptive field" is false. It has one 3x3, so a unit sees {of_bottleneck}. A basic block has '
            f"two, so a unit sees {of_basic}. Two bottlenecks see {of_two}, for about twice the cost.",
            f"ResNet-34 and ResNet-50 both have 16 blocks. A unit of the last block sees {whole} in ResNet-34 and {whole_narrow} in "
            "ResNet-50. Both are larger than an image of 224x224, so in both a unit in the middle sees all of it.",
            "The four times as many maps are kept for backward, so a bottleneck needs more memory.",
        ),
    )


def shortcuts() -> Answer:
    """Where a block changes the shape: a shortcut without parameters (option A, the lecture's 1) or a projection (B, the lecture's 2)."""
    lines: list[tuple[Any, ...]] = []
    for depth in CIFAR_DEPTHS:
        a, b = (cost(_rows(name)) for name in (f"resnet{depth}", f"resnet{depth}-b"))
        lines.append(_options(f"ResNet-{depth}, CIFAR-10", 2, a.parameters, a.macs, b.parameters, b.macs))
    for depth in DEPTHS:
        rows = _rows(f"resnet{depth}")
        a, b = cost(row for row in rows if ".project" not in row.name), cost(rows)
        number = sum(row.name.endswith(".project") for row in rows)
        lines.append(_options(f"ResNet-{depth}, ImageNet", number, a.parameters, a.macs, b.parameters, b.macs))
    return Answer(
        "what do projections cost? (A: every second pixel and new channels of zeros; B: a convolution of 1x1 with batch normalization)",
        ("net", "changes", "parameters A", "parameters B", "more in B, %", "multiply-adds A", "multiply-adds B", "of these more, %"),
        tuple(lines),
        (
            "A block whose output has another shape than its input cannot add the two. Option A (1) costs nothing; option B (2) learns a "
            "projection. All other shortcuts are the same in both.",
            "The nets for CIFAR-10 have two such blocks, so B costs about 1 % of the parameters or less. Bottlenecks project to four times "
            "as many channels, and in the first stage too; so B costs much more in ResNet-50, 101 and 152.",
            "The A of the ImageNet nets is counted by leaving the projections out of the net with B. The paper's nets for CIFAR-10 have A, "
            "its ResNet-50, 101 and 152 have B.",
        ),
    )


QUESTIONS: Mapping[str, Callable[[], Answer]] = {
    "equal-work": equal_work,
    "stem": stem,
    "small-kernels": small_kernels,
    "bottleneck": bottlenecks,
    "shortcuts": shortcuts,
}


def text(answer: Answer) -> list[str]:
    """The title, the table and the sentences, as lines."""
    shown = [tuple(map(_shown, line)) for line in answer.lines]
    right = [any(isinstance(line[i], (int, float)) for line in answer.lines) for i in range(len(answer.head))]
    sentences = [line for sentence in answer.sentences for line in textwrap.wrap(sentence, LINE, subsequent_indent="  ")]
    return [answer.title, "", *aligned((answer.head, *shown), right), "", *sentences]


def aligned(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Lines of cells as text, in columns as wide as their widest cell. right: for each column, whether its cells stand at the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(f"{cell:{'>' if at_right else '<'}{width}}" for cell, width, at_right in zip(line, widths, right, strict=True)).rstrip()
        for line in lines
    ]


def _shown(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rows(name: str) -> list[Row]:
    return count(build_later(name, devices=DryDevice()))


def _before(name: str, layer: str) -> list[Row]:
    """The layers of a net that come before `layer`."""
    rows = _rows(name)
    return rows[: [row.name for row in rows].index(layer)]


def _counts(row: Row) -> bool:
    """Whether the lecture counts the layer: convolution and pooling."""
    return row.convolves or row.comparisons > 0


def _show(row: Row) -> str:
    return "x".join(map(str, row.out_shape))


def _mib(row: Row) -> float:
    return round(row.activation_bytes / MIB, 3)


def _four(rows: Iterable[Row]) -> tuple[int, float, int, int]:
    rows = tuple(rows)
    sums = cost(rows)
    return sums.parameters, round(sums.activation_bytes / MIB, 3), sums.macs, sum(row.comparisons for row in rows)


def _sum_of(row: Row) -> str:
    """The product that gives the multiply-adds of a convolution."""
    if not row.convolves:
        return ""
    k, h, w = row.out_shape
    kernel = round((row.weights / k / row.in_shape[0]) ** 0.5)
    return f"{h} x {w} x {k} x {kernel} x {kernel} x {row.in_shape[0]}"


def _line(words: str, channels: int, net: Sequential, last: str) -> tuple[Any, ...]:
    counts, (height, width) = cost(count(net)), receptive_fields(net)[last].size
    return words, channels, counts.parameters, counts.macs, f"{height}x{width}", round(counts.activation_bytes / MIB, 3)


def _options(name: str, changes: int, parameters_a: int, macs_a: int, parameters_b: int, macs_b: int) -> tuple[Any, ...]:
    more, more_macs = (round(100 * (b / a - 1), 2) for a, b in ((parameters_a, parameters_b), (macs_a, macs_b)))
    return name, changes, parameters_a, parameters_b, more, macs_a, macs_b, more_macs
