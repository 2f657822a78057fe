"""`tinyalex compare`: networks side by side, counted from the models; their times on this machine; five questions about them."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from functools import cache, partial
from typing import Any

from tinyalex.analysis.compare import Compared, Timing, compared, expected_seconds, inference_bytes, time_forward
from tinyalex.analysis.compare_chart import draw
from tinyalex.analysis.questions import QUESTIONS, aligned, text
from tinyalex.commands.doctor import free_memory
from tinyalex.commands.files import builder_of, is_file, net_in, shape_in
from tinyalex.commands.shared import path, tell_expected
from tinyalex.devices.dry import DryDevice
from tinyalex.devices.workers import cores
from tinyalex.errors import ShapeError, require_choice, require_int, show
from tinyalex.layers import Sequential
from tinyalex.models.later import near_later
from tinyalex.models.registry import MODELS, build
from tinyalex.units import bytes_in_words

HELP = "networks side by side: parameters, multiply-adds, memory, time on this machine; as a chart; five questions about them"
EXAMPLE = "tinyalex compare alexnet vgg16 resnet50 --png chart.png"
MORE = """\
questions, each answered by a table that is counted from the layers:
  equal-work     does VGG-16 do equal work in each stage?
  stem           what does it cost to come from 224x224 to 28x28? GoogLeNet beside VGG-16
  small-kernels  one 5x5 or two 3x3?
  bottleneck     does a bottleneck keep the receptive field of a basic block?
  shortcuts      what do projections cost? Option A beside option B
"""
LECTURE = (  # the networks of the lecture from AlexNet to DenseNet
    "alexnet", "zfnet", "vgg16", "vgg19", "googlenet", "resnet50", "resnet152", "wide-resnet50-2",
    "inception-v4", "inception-resnet-v2", "se-resnet50", "densenet121",
)  # fmt: skip
BATCH, MOST_IMAGES = 32, 2**40
BY = ("sum", "stage", "layer")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    names = f"networks that `tinyalex net --list` prints, or files of nets (default: {', '.join(LECTURE)})"
    add("names", metavar="NET", nargs="*", help=names)
    add("--by", default=BY[0], help="sum, stage or layer: a line for each net, for each size of its maps, or for each layer (default: sum)")
    add("--batch", type=int, default=BATCH, help=f"images in the training step whose memory is computed (default: {BATCH})")
    add("--time", action="store_true", help="also measure how long one image takes on this machine, which takes some seconds for each net")
    add("--in-shape", metavar="C,H,W", help="of files: the size of an image, where a file leaves it open")
    add("--png", type=path, metavar="FILE", help="draw the chart: work against parameters, and where in each net they are")
    add("--question", metavar="NAME", help=f"answer {', '.join(QUESTIONS)} with a table, and compare nothing else")
    add("--json", action="store_true", help="print one JSON document instead of tables")
    parser.epilog = f"{parser.epilog}\n\n{MORE}"


def run(args: argparse.Namespace) -> int:
    """Count the networks, time them, print the table, draw the chart, and return 0."""
    if args.question is not None:
        return _answer(args)
    require_choice("compare", "--by", args.by, BY)
    batch = require_int("compare", "--batch", args.batch, most=MOST_IMAGES)
    names, shape = _names(args.names), shape_in("compare", args.in_shape)
    if shape is not None and not any(map(is_file, names)):
        raise ShapeError(f"compare: NET must be a file where --in-shape is given, got {', '.join(names)}; leave it out")
    nets = [compared(name, _make(name, shape)(devices=DryDevice("cpu")), batch, workers=cores()) for name in names]
    if args.time:
        nets = _timed(nets, shape)
    if args.png is not None:
        draw(nets, args.png)
    if args.json:
        print(json.dumps({"format": 1, "nets": [_document(net, args.by) for net in nets]}, indent=1, allow_nan=False))
        return 0
    print("\n".join(_text(nets, args.by)))
    if args.png is not None:
        print(f"wrote {args.png}")
    print(f"next: {_next(args)}")
    return 0


@cache
def _make(name: str, in_shape: tuple[int, ...] | None) -> Callable[..., Sequential]:
    """The function that builds a network of the registry, or that of a file."""
    return builder_of(net_in("compare", name, in_shape)) if is_file(name) else partial(build, name)


def _names(given: list[str]) -> list[str]:
    """The networks to compare. ShapeError: one that does not exist, or that is named twice."""
    for i, name in enumerate(given):
        if name not in MODELS and not is_file(name):
            near = near_later(name, MODELS)
            remedy = "`tinyalex net --list` prints all names"
            if near:
                remedy = f"{near}{'' if near.endswith('?') else ','} {remedy}"
            raise ShapeError(f"compare: NET must be a network, got {show(name)}", remedy)
        if name in given[:i]:
            raise ShapeError(f"compare: NET must be different networks, got {name} twice", "name it once")
    return given or list(LECTURE)


def _answer(args: argparse.Namespace) -> int:
    question = require_choice("compare", "--question", args.question, tuple(QUESTIONS))
    others = {"NET": args.names, "--png": args.png, "--time": args.time, "--by": args.by != BY[0], "--batch": args.batch != BATCH}
    others["--in-shape"] = args.in_shape
    given = [option for option, value in others.items() if value]
    if given:
        raise ShapeError(f"compare: --question must stand alone or with --json, got it with {' and '.join(given)}", "leave that out")
    answer = QUESTIONS[question]()
    if args.json:
        print(json.dumps({"format": 1, "question": question, **asdict(answer)}, indent=1, allow_nan=False))
        return 0
    print("\n".join(text(answer)))
    following = [*QUESTIONS, ""][list(QUESTIONS).index(question) + 1]
    print(f"next: {f'tinyalex compare --question {following}' if following else EXAMPLE}")
    return 0


def _next(args: argparse.Namespace) -> str:
    """A command that shows something which this call did not show."""
    shape = [] if args.in_shape is None else ["--in-shape", args.in_shape]
    names = shlex.join(["tinyalex", "compare", *args.names, *shape])
    if args.by == BY[0]:
        return f"{names} --by stage, where in the nets the numbers come from"
    return f"{names} --png chart.png, the same as a picture" if args.png is None else "tinyalex compare --question stem"


def _timed(nets: list[Compared], in_shape: tuple[int, ...] | None) -> list[Compared]:
    """The nets with the time of one image. ShapeError, before anything is run, if one of them needs more memory than is free."""
    free = free_memory()
    for net in nets:
        need = inference_bytes(_make(net.name, in_shape)(devices=DryDevice("cpu")))
        if free is not None and need > free:
            got = f"{bytes_in_words(need)} for {net.name} where {bytes_in_words(free)} are free"
            raise ShapeError(f"compare: nets with --time must fit the memory, got {got}", "leave it out, or end other programs")
    seconds = expected_seconds((net.cost.parameters for net in nets), (net.cost.macs for net in nets))
    tell_expected(f"compare times {len(nets)} net{'s' * (len(nets) > 1)}", seconds)
    from tqdm import tqdm

    found = []
    with tqdm(nets, disable=not sys.stderr.isatty(), leave=False, unit="net", dynamic_ncols=True) as bar:
        for net in bar:
            bar.set_postfix_str(net.name)
            found.append(replace(net, timing=time_forward(_make(net.name, in_shape)(devices="cpu"))))
    return found


def _text(nets: list[Compared], by: str) -> list[str]:
    timed = nets[0].timing is not None
    head = ("net", "image", "parameters", "multiply-adds", "outputs, MiB", f"training step of {nets[0].batch}, GiB")
    lines = [(head + ("time of an image",) * timed)]
    for net in nets:
        cells = (net.name, _shape(net.image), f"{net.cost.parameters:,}", f"{net.cost.macs:,}", _mib(net.cost.activation_bytes))
        lines.append((*cells, f"{net.training.peak / 2**30:.2f}", *([] if net.timing is None else [_ms(net.timing)])))
    found = aligned(lines, (False, False, *[True] * (len(lines[0]) - 2)))
    if by != BY[0]:
        for net in nets:
            found += ["", net.name, *_parts(net, by)]
    found += [
        "",
        "parameters and multiply-adds: of one image, convolutions and fully connected layers; parameters of normalization count too",
        "outputs: memory for the outputs of all layers for one image; ReLU and dropout work in place",
        f"training step of {nets[0].batch}: memory at the peak of a step with momentum on a CPU with {cores()} workers",
    ]
    if nets[0].timing is not None:
        found.append(
            f"time of an image: median of {nets[0].timing.runs} (least to most), batch 1, float32, random weights that are frozen, "
            f"{cores()} workers, measured on this machine"
        )
    return found


def _parts(net: Compared, by: str) -> list[str]:
    """A line for each stage or each layer that costs something, with its share of the net."""
    head = (("maps", "layers") if by == "stage" else ("layer", "output")) + ("parameters", "%", "multiply-adds", "%", "outputs, MiB", "%")
    lines = [head]
    if by == "stage":
        parts: Iterable[Any] = ((_size(stage.size), str(stage.layers), stage.cost) for stage in net.stages)
    else:
        parts = ((row.name, _shape(row.out_shape), layer_cost) for row, layer_cost in net.layers() if any(asdict(layer_cost).values()))
    whole = net.cost
    for first, second, part in parts:
        cells = []
        for value, of, shown in (
            (part.parameters, whole.parameters, f"{part.parameters:,}"),
            (part.macs, whole.macs, f"{part.macs:,}"),
            (part.activation_bytes, whole.activation_bytes, _mib(part.activation_bytes)),
        ):
            cells += [shown, f"{100 * value / of:.1f}" if of else "."]
        lines.append((first, second, *cells))
    return [f"  {line}" for line in aligned(lines, (False, by == "stage", *[True] * 6))]


def _size(size: tuple[int, int]) -> str:
    return "none" if size == (1, 1) else f"{size[0]}x{size[1]}"


def _shape(shape: tuple[Any, ...]) -> str:
    return " | ".join(map(_shape, shape)) if shape and isinstance(shape[0], tuple) else "x".join(map(str, shape))


def _mib(nbytes: int) -> str:
    return f"{nbytes / 2**20:.2f}"


def _ms(timing: Timing) -> str:
    return f"{1e3 * timing.median:.0f} ms ({1e3 * timing.least:.0f} to {1e3 * timing.most:.0f})"


def _document(net: Compared, by: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": net.name,
        "image": list(net.image),
        **asdict(net.cost),
        "batch": net.batch,
        "training_bytes": net.training.peak,
        "training_peak": net.training.at,
        "stages": [{"size": list(stage.size), "layers": stage.layers, **asdict(stage.cost)} for stage in net.stages],
        "seconds": None if net.timing is None else asdict(net.timing),
    }
    if by == "layer":
        document["layers"] = [{"name": row.name, "kind": row.kind, "output": row.out_shape, **asdict(own)} for row, own in net.layers()]
    return document
