"""`tinyalex net`: a network counted layer by layer before it runs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tinyalex.analysis.algorithms import Choice, algorithms, lines_of
from tinyalex.analysis.card import SCALED_BATCH, Failure, Plan, fail_in_small, parse_bytes, plan_cards
from tinyalex.analysis.count import Row, count, totals
from tinyalex.analysis.memory import KINDS, Need, training_needs
from tinyalex.analysis.receptive import Field, receptive_fields
from tinyalex.analysis.table import notes, table
from tinyalex.devices.cpu import cores
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import ShapeError, require_int
from tinyalex.layers import Sequential
from tinyalex.models.registry import MODELS, build
from tinyalex.models.variants import VARIANTS, differences
from tinyalex.training.files import write_picture

HELP = "count a network before it runs: parameters, operations, memory, what two cards exchange"
EXAMPLE = "tinyalex net alexnet --towers 2 --batch 128 --memory --png figure2.png"
SWITCHES = {"half": "half", "no_lrn": "lrn", "no_overlap": "overlapping", "no_dropout": "dropout", "sixth": "sixth"}


@dataclass(frozen=True)
class Counted:
    """What is known of a network: `needs` by device with --memory, `plans` and `failure` with --card, `choices` with --algorithms."""

    net: Sequential
    variant: str
    batch: int
    rows: list[Row]
    fields: dict[str, Field]
    needs: dict[str, Need] | None
    plans: list[Plan]
    failure: Failure | None
    choices: list[Choice]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("name", metavar="NAME", help=", ".join(MODELS))
    parser.add_argument("--towers", type=int, default=1, help="1, or 2 for a net split over two devices (default: 1)")
    parser.add_argument("--batch", type=int, default=1, help="images that bytes and memory are counted for (default: 1)")
    parser.add_argument("--variant", help=f"of alexnet: {', '.join(VARIANTS)} (default: paper)")
    parser.add_argument("--exchange", metavar="LAYERS", help="of alexnet: layers that see both towers, such as conv3,fc6,fc7, or none")
    parser.add_argument("--num-classes", type=int, help="outputs of the last layer of alexnet (default: 1000)")
    parser.add_argument("--input-size", type=int, help="height and width of alexnet's images (default: the variant's)")
    parser.add_argument("--remove", metavar="LAYERS", help="of alexnet: layers to leave out, such as conv3 or conv3,conv4")
    parser.add_argument("--half", action="store_true", help="of alexnet: the half-size net of the paper's footnote 2")
    parser.add_argument("--no-lrn", action="store_true", help="of alexnet: without response normalization")
    parser.add_argument("--no-overlap", action="store_true", help="of alexnet: pooling 2x2 with stride 2")
    parser.add_argument("--no-dropout", action="store_true", help="of alexnet: without dropout")
    parser.add_argument("--sixth", action="store_true", help="of alexnet: a sixth convolution over the last pooling layer")
    parser.add_argument("--memory", action="store_true", help="what a training step of the batch needs")
    parser.add_argument("--algorithms", action="store_true", help="how each convolution is computed for the batch, on a CPU")
    parser.add_argument("--card", metavar="SIZE", help="the largest batch that trains on cards of SIZE, such as 3GiB, and the failure")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw the network as the paper's Figure 2, 1600 pixels wide")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="the same drawing as SVG")


def run(args: argparse.Namespace) -> int:
    """Count, print, draw, and return 0."""
    batch = require_int("net", "--batch", args.batch)
    card = None if args.card is None else parse_bytes("net", args.card)
    settings = _settings(args)
    make = partial(build, args.name, **settings)
    net = make(towers=args.towers, devices=_places(args.towers))
    needs = training_needs(net, batch, workers=max(1, cores() // args.towers)) if args.memory else None
    plans, failure = ([], None) if card is None else _cards(make, card, 128 if batch == 1 else batch)
    variant = settings.get("variant") or args.name.partition("-")[2]
    choices = algorithms(net, batch) if args.algorithms else []
    counted = Counted(net, variant, batch, count(net), receptive_fields(net), needs, plans, failure, choices)
    if args.json:
        print(json.dumps(_document(counted), indent=1, allow_nan=False))
    else:
        print("\n".join(_text(counted)))
    for path, kind in ((args.png, "png"), (args.svg, "svg")):
        if path is not None:
            draw(net, path, kind)
            if not args.json:
                print(f"drew {path}")
    return 0


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """What the options say to the builder of an AlexNet; other nets have none of them."""
    settings: dict[str, Any] = {key: getattr(args, key) for key in ("variant", "num_classes", "input_size")}
    settings = {key: value for key, value in settings.items() if value is not None}
    for key in ("exchange", "remove"):
        names = getattr(args, key)
        if names is not None:
            settings[key] = () if names == "none" else tuple(name.strip() for name in names.split(","))
    for option, key in SWITCHES.items():
        if getattr(args, option):
            settings[key] = not option.startswith("no_")
    if args.name in MODELS and settings and not args.name.startswith("alexnet"):
        options = {key: option for option, key in SWITCHES.items()}
        given = ", ".join("--" + options.get(key, key).replace("_", "-") for key in settings)
        raise ShapeError(f"net: NAME must be an alexnet for {given}, got {args.name!r}")
    if "variant" in settings and args.name.startswith("alexnet-"):
        raise ShapeError(f"net: NAME must be alexnet where --variant is given, got {args.name!r}")
    return settings


def _places(towers: int) -> Any:
    return DryDevice("cpu") if towers == 1 else [DryDevice("cpu:0"), DryDevice("cpu:1")]


def _cards(make: Any, memory: int, batch: int) -> tuple[list[Plan], Failure | None]:
    """Plans for one card and, where the net can be split, for two, with the failure in small."""
    plans = [plan_cards(lambda places: make(towers=1, devices=places), 1, memory, batch)]
    try:
        plans.append(plan_cards(lambda places: make(towers=2, devices=places), 2, memory, batch))
    except ShapeError:  # a net for one device
        return plans, None
    return plans, fail_in_small(make)


def _text(of: Counted) -> list[str]:
    lines = [f"{of.net.name}, images of {'x'.join(map(str, of.net.in_shape or ()))}", ""]
    lines += [*table(of.rows, of.fields, of.batch), "", *notes(of.rows, of.batch)]
    if of.variant in VARIANTS and of.variant != "paper":
        lines += ["", "differences from the paper's net:", *(f"  {line}" for line in differences(of.variant))]
    if of.choices:
        lines += ["", *lines_of(of.choices, of.batch)]
    if of.needs is not None:
        images = f"{of.batch} image{'s' * (of.batch > 1)}"
        lines += ["", f"a training step of {images} with momentum will hold, beside Python and its libraries:"]
        for need in of.needs.values():
            lines += ["", *_need(need)]
    for plan in of.plans:
        lines += ["", *_plan(plan)]
    if len(of.plans) == 1:
        lines += ["", "this net is for one device, so there is no plan for two cards"]
    return lines + (["", *_failure(of.failure)] if of.failure else [])


def _need(need: Need) -> list[str]:
    lines = [f"{need.device}: {mib(need.peak)} at the peak, in the {need.at}"]
    return lines + [f"  {kind:<21} {need.parts[kind]:>15,} B" for kind in KINDS] + [f"  {'total':<21} {need.peak:>15,} B"]


def _plan(plan: Plan) -> list[str]:
    cards = "one card" if plan.cards == 1 else f"{plan.cards} cards"
    fullest, kept = plan.fullest, mib(sum(plan.kept_2012.values())) + " for it" + " on its fuller card" * (plan.cards > 1)
    lines = [
        f"{cards} of {mib(plan.memory)}: the largest batch that trains is {plan.largest:,}",
        f"  a batch of {plan.batch} takes {mib(fullest.peak)} of {fullest.device}, at the peak in the {fullest.at}",
        f"  the code of 2012 kept {kept}, and up to {plan.largest_2012:,} images fit:",
    ]
    lines += [f"    {kind:<36} {nbytes:>15,} B" for kind, nbytes in plan.kept_2012.items()]
    if plan.cards == 1:
        lines.append("  it kept the gradient of every output and the partial sums of gradients for life, and two batches of images; here")
        lines.append("  those are dropped when read, and a pooling layer keeps two bytes a place in place of its input")
        lines.append("  neither count has the driver, the context and a screen, which also took their part of a card")
    return lines


def _failure(failure: Failure) -> list[str]:
    width = failure.settings["width"]
    peaks = " and ".join(f"{name} {peak:,} B" for name, peak in failure.peaks.items())
    return [
        f"the failure itself, in small: the same net with {width:g} of the width, {failure.settings['num_classes']} classes, images of "
        f"{failure.settings['input_size']} pixels, a batch of {SCALED_BATCH}, on simulated cards of {failure.memory:,} B:",
        f"  one card: {failure.message}",
        f"  two cards: the step is done, at most {peaks} in use",
    ]


def mib(nbytes: int) -> str:
    """Bytes in MiB or GiB."""
    return f"{nbytes / 2**30:.2f} GiB" if nbytes >= 2**30 else f"{nbytes / 2**20:.1f} MiB"


def _document(of: Counted) -> dict[str, Any]:
    """What --json prints; bytes are those of one image but under "memory" and "cards"."""
    layers = [
        asdict(row) | {"parameters": row.parameters, "connections": row.connections, "field": asdict(of.fields[row.name])}
        for row in of.rows
    ]
    document: dict[str, Any] = {"net": of.net.name, "in_shape": of.net.in_shape, "layers": layers, "totals": asdict(totals(of.rows))}
    document |= {"notes": notes(of.rows), "batch": of.batch}
    if of.choices:
        document["algorithms"] = [asdict(choice) for choice in of.choices]
    if of.needs is not None:
        document["memory"] = {name: {"peak": need.peak, "at": need.at, "parts": need.parts} for name, need in of.needs.items()}
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
    return document | ({"failure_in_small": asdict(of.failure)} if of.failure else {})


def draw(net: Sequential, path: Path, kind: str) -> None:
    """Write the drawing of the net, as PNG or SVG."""
    from tinyalex.analysis.figure2 import figure

    write_picture(path, lambda file: figure(net).savefig(file, format=kind, dpi=1600 / 12))
