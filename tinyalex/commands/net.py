"""`tinyalex net`: counts a network layer by layer, before it runs."""

from __future__ import annotations

import argparse
import json
import shlex
from functools import partial
from pathlib import Path
from typing import Any

from tinyalex.analysis.algorithms import algorithms
from tinyalex.analysis.card import SCALED, Failure, Plan, fail_in_small, parse_bytes, plan_cards
from tinyalex.analysis.count import count
from tinyalex.analysis.figures import PAPER_BATCH
from tinyalex.analysis.memory import training_needs
from tinyalex.analysis.predict import predict
from tinyalex.analysis.predict_cards import CARDS, CHECKS, Card, Timing, parse_cards
from tinyalex.analysis.predict_report import PAPERS_CARD, Story
from tinyalex.analysis.receptive import receptive_fields
from tinyalex.commands.files import builder_of, is_file, net_in, shape_in
from tinyalex.commands.net_report import Counted, document_of_net, text_of_net
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

HELP = "count a network before it runs: parameters, operations, memory, bytes between two cards"
EXAMPLE = "tinyalex net alexnet --towers 2 --batch 128 --memory --png figure2.png"
PIXELS = 1600  # width of a PNG
MOST_IMAGES = 2**40  # in a batch
SWITCHES = {"half": "half", "no_lrn": "lrn", "no_overlap": "overlapping", "no_dropout": "dropout", "sixth": "sixth"}


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
    parser.add_argument("--in-shape", metavar="C,H,W", help="of a file: the size of an image, where the file leaves it open")
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
    shape = shape_in("net", args.in_shape)
    foreign = None if not is_file(args.name) else net_in("net", args.name, shape)
    if shape is not None and foreign is None:
        raise ShapeError(f"net: NAME must be a file where --in-shape is given, got {args.name!r}; use --input-size N")
    make = partial(build, args.name, **settings) if foreign is None else builder_of(foreign)
    net = make(towers=args.towers, devices=_places(args.towers))
    needs = training_needs(net, batch, workers=max(1, cores() // args.towers)) if args.memory else None
    large = args.name.startswith("alexnet") and foreign is None
    plans = ([], "", None) if card is None else _cards(make, card, args.batch or PAPER_BATCH, SCALED if large else {})
    apart, published = _compared(args, settings) if large else ([], ())
    choices = algorithms(net, batch) if args.algorithms else []
    story = None if cards is None else _story(args, make, settings, *cards)
    later = LATER.get(args.name)
    origin = later.origin if later is not None else "" if foreign is None else f"from {foreign.source}"
    rows, fields, of_table = count(net), receptive_fields(net), None if settings else later
    counted = Counted(net, apart, published, batch, rows, fields, needs, *plans, choices, story, origin, of_table)
    if args.json:
        print(json.dumps(document_of_net(counted), indent=1, allow_nan=False))
    else:
        print("\n".join(text_of_net(counted)))
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
    if args.name in LATER or is_file(args.name):
        shape = [] if args.in_shape is None else ["--in-shape", args.in_shape]
        command = shlex.join(["tinyalex", "compare", args.name, "alexnet", *shape, "--by", "stage"])
        return f"{command}, where in the net the numbers come from"
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
    return Story(predict(net, card, batch), needs, args.name in MODELS and args.name.startswith("alexnet"), papers, one, checks)


def predicted_seconds(timing: Timing) -> float:
    """The predicted time of the two passes of a published timing."""
    net = build(timing.net, devices=DryDevice("cuda:0", stands_for="cuda"), **timing.settings)
    found = predict(net, CARDS[timing.card], timing.batch)
    return found.forward + found.backward


def draw(net: Sequential, picture: Path, kind: str) -> None:
    """Write the drawing of the net to the file `picture`; kind is "png" or "svg"."""
    from matplotlib import rc_context

    from tinyalex.analysis.figure2 import figure

    drawing = figure(net)
    with rc_context({"svg.fonttype": "none"}):  # text in an SVG can be searched and copied
        write_picture(picture, lambda file: drawing.savefig(file, format=kind, dpi=PIXELS / drawing.get_figwidth()))
