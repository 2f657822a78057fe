"""`tinyalex net`: counts a network layer by layer, before it runs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tinyalex.analysis.algorithms import Choice, algorithms, lines_of
from tinyalex.analysis.card import SCALED, SCALED_BATCH, Failure, Plan, fail_in_small, parse_bytes, plan_cards
from tinyalex.analysis.count import Row, count, totals
from tinyalex.analysis.figures import PAPER_BATCH, figures
from tinyalex.analysis.memory import training_needs
from tinyalex.analysis.need import KINDS, Need
from tinyalex.analysis.predict import predict
from tinyalex.analysis.predict_cards import CARDS, CHECKS, Card, Timing, parse_cards
from tinyalex.analysis.predict_report import PAPERS_CARD, Story, document_of, text_of
from tinyalex.analysis.receptive import Field, receptive_fields
from tinyalex.analysis.table import notes, table, windows_in
from tinyalex.commands.files import builder_of, is_file, net_in
from tinyalex.commands.shared import path
from tinyalex.devices.dry import DryDevice
from tinyalex.devices.workers import cores
from tinyalex.errors import ShapeError, require_int, show
from tinyalex.files.atomic import write_picture
from tinyalex.layers import Sequential
from tinyalex.models.later import LATER
from tinyalex.models.options import as_built
from tinyalex.models.registry import GROUPS, MODELS, NAMES, ORIGINS, SHORT, build
from tinyalex.models.variants import VARIANTS, Published, differences
from tinyalex.units import bytes_in_words

HELP = "count a network before it runs: parameters, operations, memory, bytes between two cards"
EXAMPLE = "tinyalex net alexnet --towers 2 --batch 128 --memory --png figure2.png"
PIXELS = 1600  # width of a PNG
MOST_IMAGES = 2**40  # in a batch
SWITCHES = {"half": "half", "no_lrn": "lrn", "no_overlap": "overlapping", "no_dropout": "dropout", "sixth": "sixth"}


@dataclass(frozen=True)
class Counted:
    """All that the command knows about a network.

    differences: between an AlexNet and the paper's. published: errors that the makers report, if no option changed their net.
    rows, fields: counts and receptive fields of the layers. needs: the memory of each device, with --memory.
    plans, failure: with --card. one_card: why there is no plan for two cards, "" if there is one. choices: with --algorithms.
    story: with --predict. origin: what a net after AlexNet is.
    """

    net: Sequential
    differences: list[str]
    published: tuple[Published, ...]
    batch: int
    rows: list[Row]
    fields: dict[str, Field]
    needs: dict[str, Need] | None
    plans: list[Plan]
    one_card: str
    failure: Failure | None
    choices: list[Choice]
    story: Story | None
    origin: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    files = "or a file of ONNX, Caffe, cuda-convnet, PyTorch, or of this program, such as deploy.prototxt"
    parser.add_argument("name", metavar="NAME", nargs="?", help=f"{NAMES}; {files}")
    parser.add_argument("--list", action="store_true", help="print what each NAME is, and count nothing")
    parser.add_argument("--towers", type=int, default=1, help="1, or 2 for a net split over two devices (default: 1)")
    parser.add_argument("--batch", type=int, help=f"images that are counted (default: 1; {PAPER_BATCH} with --card and --predict)")
    parser.add_argument("--variant", help=f"of alexnet: {', '.join(VARIANTS)} (default: paper)")
    parser.add_argument("--exchange", metavar="LAYERS", help="of alexnet: layers that read both towers, such as conv3,fc6,fc7, or none")
    parser.add_argument("--num-classes", type=int, help="outputs of the last layer of alexnet or a later net (default: the paper's)")
    parser.add_argument("--input-size", type=int, help="height and width of the images of alexnet or a later net (default: the paper's)")
    parser.add_argument("--remove", metavar="LAYERS", help="of alexnet: layers to leave out, such as conv3 or conv3,conv4")
    parser.add_argument("--widths", metavar="LAYER=N,...", help="of alexnet: numbers of filters or units, such as conv2=320,fc6=8192")
    parser.add_argument("--half", action="store_true", help="of alexnet: the half-size net of the paper's footnote 2")
    parser.add_argument("--no-lrn", action="store_true", help="of alexnet: without response normalization")
    parser.add_argument("--no-overlap", action="store_true", help="of alexnet: pooling 2x2 with stride 2")
    parser.add_argument("--no-dropout", action="store_true", help="of alexnet: without dropout")
    parser.add_argument("--sixth", action="store_true", help="of alexnet: with a sixth convolution on the last pooling layer")
    parser.add_argument("--memory", action="store_true", help="print the memory that a training step of the batch needs")
    parser.add_argument("--algorithms", action="store_true", help="print by which algorithm each layer is computed on a CPU, for the batch")
    parser.add_argument("--card", metavar="SIZE", help="print the largest batch that trains on cards of SIZE, such as 3GiB, and a failure")
    parser.add_argument(
        "--predict", metavar="CARD",
        help=f"predict the time of a training step, layer by layer, on a card: {', '.join(CARDS)}; or on two, as in --predict gtx580x2",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--png", type=path, metavar="FILE", help=f"draw the network as the paper's Figure 2, {PIXELS} pixels wide")
    parser.add_argument("--svg", type=path, metavar="FILE", help="the same drawing as SVG")


def run(args: argparse.Namespace) -> int:
    """Count the network, print the table, draw the pictures, and return 0."""
    if args.list:
        print("\n".join(_names()))
        return 0
    if args.name is None:
        raise ShapeError(f"net: NAME must be one of {SHORT}, got none; `tinyalex net --list` says what each is")
    batch = 1 if args.batch is None else require_int("net", "--batch", args.batch)
    if batch > MOST_IMAGES:
        raise ShapeError(f"net: --batch must be at most {MOST_IMAGES:,}, got {show(batch)}")
    card = None if args.card is None else parse_bytes("net", args.card)
    cards = None if args.predict is None else parse_cards(args.predict)
    if cards is not None:
        args.towers = max(args.towers, cards[1])
    settings = _settings(args)
    foreign = None if not is_file(args.name) else net_in("net", args.name)
    make = partial(build, args.name, **settings) if foreign is None else builder_of(foreign)
    net = make(towers=args.towers, devices=_places(args.towers))
    needs = training_needs(net, batch, workers=max(1, cores() // args.towers)) if args.memory else None
    large = args.name.startswith("alexnet") and foreign is None
    plans = ([], "", None) if card is None else _cards(make, card, args.batch or PAPER_BATCH, SCALED if large else {})
    apart, published = _compared(args, settings) if large else ([], ())
    choices = algorithms(net, batch) if args.algorithms else []
    story = None if cards is None else _story(args, make, settings, *cards)
    origin = LATER[args.name].origin if args.name in LATER else "" if foreign is None else f"from {foreign.source}"
    counted = Counted(net, apart, published, batch, count(net), receptive_fields(net), needs, *plans, choices, story, origin)
    if args.json:
        print(json.dumps(_document(counted), indent=1, allow_nan=False))
    else:
        print("\n".join(_text(counted)))
    for picture, kind in ((args.png, "png"), (args.svg, "svg")):
        if picture is not None:
            draw(net, picture, kind)
            if not args.json:
                print(f"wrote {picture}")
    if not args.json:
        print(f"next: {_next(args)}")
    return 0


def _names() -> list[str]:
    """A line for each network, and a line with the next command."""
    width = max(map(len, MODELS))
    lines = []
    for group, names in GROUPS.items():
        lines += [f"{group}:", *(f"  {name:<{width}}  {ORIGINS[name]}" for name in names)]
    return [*lines, "next: tinyalex net alexnet, its layers and their counts"]


def _next(args: argparse.Namespace) -> str:
    """The next command to try: it shows something that this call did not show."""
    if args.towers == 1 and args.card is None and (args.png or args.svg or not args.name.startswith("alexnet")):
        return "tinyalex net alexnet --towers 2 --png towers.png, the split net"
    if args.towers == 1 and args.card is None:
        return "tinyalex net alexnet --png figure2.png, the same as a picture"
    if args.card is None:
        return "tinyalex net alexnet --towers 2 --card 3GiB, what fits one card and two"
    return "tinyalex train --net cifar-alexnet, a small AlexNet to be trained"


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of `alexnet` that the options give. ShapeError if another net is counted with such an option."""
    settings: dict[str, Any] = {key: getattr(args, key) for key in ("variant", "num_classes", "input_size")}
    settings = {key: value for key, value in settings.items() if value is not None}
    for key in ("exchange", "remove"):
        names = getattr(args, key)
        if names is not None:
            settings[key] = () if names == "none" else tuple(name.strip() for name in names.split(","))
    if args.widths is not None:
        settings["widths"] = _widths(args.widths)
    for option, key in SWITCHES.items():
        if getattr(args, option):
            settings[key] = not option.startswith("no_")
    of_others = {"num_classes", "input_size"} if args.name in LATER else set()
    if settings.keys() - of_others and (is_file(args.name) or (args.name in MODELS and not args.name.startswith("alexnet"))):
        options = {key: option for option, key in SWITCHES.items()}
        given = ", ".join("--" + options.get(key, key).replace("_", "-") for key in settings if key not in of_others)
        raise ShapeError(f"net: NAME must be an alexnet for {given}, got {args.name!r}")
    if "variant" in settings and args.name.startswith("alexnet-"):
        raise ShapeError(f"net: NAME must be alexnet where --variant is given, got {args.name!r}")
    return settings


def _widths(text: str) -> dict[str, int]:
    try:
        return {layer.strip(): int(k) for layer, k in (part.split("=") for part in text.split(","))}
    except ValueError:
        raise ShapeError(f"net: --widths must be LAYER=N with commas between, such as conv2=320,fc6=8192, got {show(text)}") from None


def _compared(args: argparse.Namespace, settings: dict[str, Any]) -> tuple[list[str], tuple[Published, ...]]:
    """The differences from the paper's net, and the errors that the makers report, unless an option has changed their net."""
    variant = settings.get("variant") or args.name.partition("-")[2] or "paper"
    built = as_built(**settings | {"variant": variant, "towers": args.towers})
    return differences(built), VARIANTS[variant].published if built == VARIANTS[variant] else ()


def _places(towers: int) -> Any:
    return DryDevice("cpu") if towers == 1 else [DryDevice("cpu:0"), DryDevice("cpu:1")]


def _cards(make: Any, memory: int, batch: int, scaled: dict[str, Any]) -> tuple[list[Plan], str, Failure | None]:
    """Plans for one card and for two, and the failure in small. If the net cannot be split: a plan for one card, and the reason."""
    plans = [plan_cards(lambda places: make(towers=1, devices=places), 1, memory, batch)]
    try:
        plans.append(plan_cards(lambda places: make(towers=2, devices=places), 2, memory, batch))
    except ShapeError as error:
        return plans, str(error), None
    return plans, "", fail_in_small(make, scaled)


def _story(args: argparse.Namespace, make: Any, settings: dict[str, Any], card: Card, number: int) -> Story:
    """The prediction for one card or two; for the paper's net on two, also that for the paper's smaller net on one."""
    batch, places = args.batch or PAPER_BATCH, [DryDevice(f"cuda:{i}", stands_for="cuda") for i in range(number)]
    net = make(towers=args.towers, devices=[places[0], places[-1]] if args.towers > 1 else places[0])
    needs = {name: need.peak for name, need in training_needs(net, batch).items()}
    papers_net = args.name in ("alexnet", "alexnet-authors") and not settings and number == 2
    papers = papers_net and batch == PAPER_BATCH and card.name == PAPERS_CARD
    one = predict(build(args.name, half=True, devices=places[0]), card, batch) if papers_net else None
    checks = tuple((timing, predicted_seconds(timing)) for timing in CHECKS)
    return Story(predict(net, card, batch), needs, args.name.startswith("alexnet"), papers, one, checks)


def predicted_seconds(timing: Timing) -> float:
    """The predicted time of the two passes of a published timing."""
    net = build(timing.net, devices=DryDevice("cuda:0", stands_for="cuda"), **timing.settings)
    found = predict(net, CARDS[timing.card], timing.batch)
    return found.forward + found.backward


def _text(of: Counted) -> list[str]:
    lines = [f"{of.net.name}, images of {'x'.join(map(str, of.net.in_shape or ()))}", *([of.origin] if of.origin else [])]
    if of.story is not None:
        lines += ["", *text_of(of.story)]
    for plan in of.plans:
        lines += ["", *_plan(plan)]
    if of.one_card:
        lines += ["", f"there is no plan for two cards: {of.one_card}"]
    if of.failure:
        lines += ["", *_failure(of.failure)]
    lines += ["", *table(of.net, of.rows, of.fields, of.batch), "", *notes(of.rows, of.batch)]
    if of.published:
        errors = "; ".join(f"{each.top1} and {each.top5} % ({each.images}, {each.crops})" for each in of.published)
        lines.append(f"published top-1 and top-5 errors, not measured here: {errors}")
    if of.differences:
        lines += ["", "differences from the paper's net:", *(f"  {line}" for line in of.differences)]
    if of.choices:
        lines += ["", *lines_of(of.choices, of.batch)]
    if of.needs is not None:
        images = f"{of.batch} image{'s' * (of.batch > 1)}"
        lines += ["", f"a training step of {images} with momentum needs this memory, beside that of Python and its libraries:"]
        for need in of.needs.values():
            lines += ["", *_need(need)]
    return lines


def _need(need: Need) -> list[str]:
    lines = [f"{need.device}: {bytes_in_words(need.peak)} at the peak, in the {need.at}"]
    return lines + [f"  {kind:<21} {need.parts[kind]:>15,} B" for kind in KINDS] + [f"  {'total':<21} {need.peak:>15,} B"]


def _plan(plan: Plan) -> list[str]:
    cards = "one card" if plan.cards == 1 else f"{plan.cards} cards"
    fullest, kept = plan.fullest, bytes_in_words(sum(plan.kept_2012.values()))
    kept += " for that batch" + " on its fuller card" * (plan.cards > 1)
    lines = [
        f"{cards} of {bytes_in_words(plan.memory)}: the largest batch that trains is {plan.largest:,}",
        f"  a batch of {plan.batch} takes {bytes_in_words(fullest.peak)} of {fullest.device}, at the peak in the {fullest.at}",
        f"  the code of 2012 kept {kept}, and up to {plan.largest_2012:,} images fit:",
    ]
    lines += [f"    {kind:<36} {nbytes:>15,} B" for kind, nbytes in plan.kept_2012.items()]
    if plan.cards == 1:
        lines.append("  that code never gave back the gradients of outputs, the partial sums of gradients and two batches of images;")
        lines.append("  here they are freed after use, and a pooling layer keeps two bytes for each output instead of its input")
        lines.append("  both counts leave out the memory that the driver, its context and a screen take on a real card")
    return lines


def _failure(failure: Failure) -> list[str]:
    peaks = " and ".join(f"{name} {peak:,} B" for name, peak in failure.peaks.items())
    size = failure.settings
    scaled = f"{size['width']:g} of the width, {size['num_classes']} classes, images of {size['input_size']} pixels, " if size else ""
    said = failure.message or "the step succeeds: one card needs hardly more memory for this net than each of two, so no failure is shown"
    return [
        f"the failure itself, in small: the same net, {scaled}a batch of {SCALED_BATCH}, on simulated cards of {failure.memory:,} B:",
        f"  one card: {said}",
        f"  two cards: the step succeeds, at most {peaks} in use",
    ]


def _document(of: Counted) -> dict[str, Any]:
    """The JSON document of --json. Bytes are those of one image, except under "memory", "cards" and "figures"."""
    windows = windows_in(of.net)
    layers = [
        asdict(row)
        | {"parameters": row.parameters, "connections": row.connections, "field": asdict(of.fields[row.name])}
        | dict(zip(("kernel", "stride", "padding"), windows.get(row.name, ()), strict=False))
        for row in of.rows
    ]
    document: dict[str, Any] = {"net": of.net.name, "in_shape": of.net.in_shape, "layers": layers, "totals": asdict(totals(of.rows))}
    sizes = figures(of.rows, of.batch if of.batch > 1 else PAPER_BATCH)
    document |= {"figures": asdict(sizes), "notes": notes(of.rows), "batch": of.batch}
    document |= {"differences": of.differences, "published": [asdict(each) for each in of.published], "origin": of.origin}
    if of.choices:
        document["algorithms"] = [asdict(choice) for choice in of.choices]
    if of.needs is not None:
        document["memory"] = {name: {"peak": need.peak, "at": need.at, "parts": need.parts} for name, need in of.needs.items()}
    if of.story is not None:
        document["prediction"] = document_of(of.story)
    if of.plans:
        document["cards"] = [
            {
                "cards": plan.cards,
                "memory": plan.memory,
                "largest_batch": plan.largest,
                "batch": plan.batch,
                "peak": plan.fullest.peak,
                "at": plan.fullest.at,
                "kept_2012": plan.kept_2012,
                "largest_batch_2012": plan.largest_2012,
            }
            for plan in of.plans
        ]
        document["one_card"] = of.one_card
    return document | ({"failure_in_small": asdict(of.failure)} if of.failure else {})


def draw(net: Sequential, picture: Path, kind: str) -> None:
    """Write the drawing of the net to the file `picture`; kind is "png" or "svg"."""
    from matplotlib import rc_context

    from tinyalex.analysis.figure2 import figure

    drawing = figure(net)
    with rc_context({"svg.fonttype": "none"}):  # text in an SVG can be searched and copied
        write_picture(picture, lambda file: drawing.savefig(file, format=kind, dpi=PIXELS / drawing.get_figwidth()))
