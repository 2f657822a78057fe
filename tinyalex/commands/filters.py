"""`tinyalex filters`: the filters of a convolution as a picture, as Figure 3 shows those of conv1."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.analysis.inside import filters_of, first_convolution, towers_of
from tinyalex.analysis.panels import Panel, draw_panels, in_color, mosaic
from tinyalex.analysis.specialization import Specialization, gray_shares, specialization
from tinyalex.commands.excited import run_images
from tinyalex.commands.look import DATA, add_checkpoint, add_output, file_name, net_words, open_net
from tinyalex.commands.saved import Loaded
from tinyalex.commands.shared import tell_expected

HELP = "the filters of a convolution as a picture, as Figure 3 of the paper; of two towers, how differently they treat color"
EXAMPLE = "tinyalex filters figure1 --layer conv1 --png filters.png"

COLUMNS = 16  # filters in a line, as in Figure 3
MOST_FILTERS, MOST_CHANNELS = 32, 48  # of a deeper convolution that are drawn, for each tower
MEANING = "1 is blind to color, 0 sees nothing but color, random weights have 0.333"
NARROW = 24  # channels up to which the panels of two towers stand side by side


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_checkpoint(parser)
    parser.add_argument("--layer", metavar="NAME", help="the convolution (default: the net's first)")
    scale = "each: every filter has its own scale, so weak ones are seen too; all: one scale for the layer (default: each)"
    parser.add_argument("--scale", choices=("each", "all"), default="each", help=scale)
    images = "in place of weights, draw the parts of N test images of --data, evenly spaced, that excite each filter most"
    parser.add_argument("--images", type=int, metavar="N", help=images)
    parser.add_argument("--data", metavar="DATA", help=f"for --images, and for an old CKPT with --net: {DATA} (default: auto)")
    add_output(parser, "filters.png")


def run(args: argparse.Namespace) -> int:
    """Draw the filters and print their sizes. The exit code is 0."""
    if args.images is not None and args.data is None:
        args.data = "auto"
    loaded, opened = open_net("filters", args)
    args.layer = args.layer or first_convolution(loaded.net)
    filters = filters_of("filters", loaded.net, args.layer)
    towers = towers_of(loaded.net)
    if args.images is None:
        tell_expected(f"draws the {len(filters)} filters of {args.layer} in {loaded.name}; takes seconds")
    colored = filters.shape[1] == 3
    differ = specialization(filters) if colored and towers == 2 and all(tower.any() for tower in np.split(filters, 2)) else None
    if args.images is not None:
        return run_images(args, loaded, opened(), towers)
    draw_panels(
        panels_of(filters, towers, args.scale), f"{args.layer} of {file_name(loaded)}", caption_of(loaded, filters, args.scale), args.png
    )
    if args.json:
        print(json.dumps(document_of(args, loaded, filters, towers, differ), indent=1, allow_nan=False))
    else:
        print("\n".join(report(args, loaded, filters, towers, differ)))
    return 0


def panels_of(filters: npt.NDArray[Any], towers: int, scale: str) -> list[list[Panel]]:
    """A panel for each tower. Filters of three channels are colors; of others each line of tiles is a filter, each tile a channel."""
    k, channels, h, w = filters.shape
    if scale == "each":
        most = np.abs(filters).reshape(k, -1).max(axis=1)
        filters = filters / np.where(most > 0, most, 1)[:, None, None, None]
    filters = filters / (np.abs(filters).max() or 1)
    panels = []
    for at, own in enumerate(np.split(filters, towers)):
        title = "" if towers == 1 else f"tower {'ab'[at]}: "
        if channels == 3:
            image = mosaic(0.5 + 0.5 * own.transpose(0, 2, 3, 1), min(COLUMNS, len(own)))
            title += f"{len(own)} filters of {h}x{w} in color"
        else:
            drawn = own[:MOST_FILTERS, :MOST_CHANNELS]
            image = mosaic(in_color(drawn.reshape(-1, h, w)), drawn.shape[1])
            title += f"{_first(drawn.shape[0], len(own))} filters in lines; {_first(drawn.shape[1], channels)} channels of {h}x{w}"
        panels.append(Panel(title, image))
    return [panels] if 3 < channels <= NARROW else [[panel] for panel in panels]


def _first(drawn: int, there: int) -> str:
    return str(there) if drawn == there else f"the first {drawn} of {there}"


def caption_of(loaded: Loaded, filters: npt.NDArray[Any], scale: str) -> str:
    """How the values became colors, and what the net was trained on."""
    zero = "middle gray is 0" if filters.shape[1] == 3 else "white is 0, red positive, blue negative"
    most = "each filter by its own largest magnitude" if scale == "each" else f"all by their largest magnitude, {np.abs(filters).max():.3g}"
    return f"{zero}; weights are scaled, {most}. {loaded.saved.net}, {loaded.saved.note}"


def report(args: argparse.Namespace, loaded: Loaded, filters: npt.NDArray[Any], towers: int, differ: Specialization | None) -> list[str]:
    """The lines of the report."""
    k, channels, h, w = filters.shape
    apart = ", in two towers" if towers == 2 else ""
    lines = [f"{args.layer} of {loaded.name} ({loaded.saved.net}): {k} filters of {channels} channels, {h}x{w}{apart}"]
    if channels == 3 and differ is None:
        lines.append(f"gray share: {_mean(gray_shares(filters)):.3f} ({MEANING})")
    if differ is not None:
        lines.append(f"gray share of the filters ({MEANING}):")
        lines.append(f"  tower a {differ.a:.3f}, tower b {differ.b:.3f}, difference {differ.difference:.3f}")
        lines.append(f"  of {differ.splits:,} random splits into two halves, 95 % differ by at most {differ.null:.3f}; p = {differ.p:.2g}")
        words = "seen; chance alone does this in one net of twenty" if differ.seen else "not seen"
        lines.append(f"  specialization as in section 6.1: {words}")
    lines.append(f"{args.png} shows them; next: tinyalex features {net_words(args)} PICTURE")
    return lines


def _mean(shares: npt.NDArray[np.float64]) -> float:
    known = shares[~np.isnan(shares)]
    return float(known.mean()) if known.size else 0.0


def document_of(
    args: argparse.Namespace, loaded: Loaded, filters: npt.NDArray[Any], towers: int, differ: Specialization | None
) -> dict[str, Any]:
    """The report as JSON values."""
    shares = None
    if filters.shape[1] == 3:
        shares = [None if np.isnan(share) else share for share in gray_shares(filters).tolist()]
    apart = None
    if differ is not None:
        apart = {"a": differ.a, "b": differ.b, "difference": differ.difference, "null_95": differ.null, "p": differ.p,
                 "splits": differ.splits, "seen": differ.seen}  # fmt: skip
    return {
        "net": {"file": loaded.name, "net": loaded.saved.net, "note": loaded.saved.note},
        "layer": args.layer,
        "shape": list(filters.shape),
        "towers": towers,
        "gray_shares": shares,
        "specialization": apart,
        "png": str(args.png),
    }
