"""`tinyalex features`: what each layer of a net makes of a picture, as maps."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.analysis.inside import outputs, some_of, towers_of, without_heads
from tinyalex.analysis.panels import Panel, draw_panels, in_color, mosaic
from tinyalex.analysis.predictions import percent, short
from tinyalex.commands.look import add_checkpoint, add_output, data_words, file_name, net_words, open_net
from tinyalex.commands.saved import OF_DATA, Loaded
from tinyalex.commands.shared import path, tell_expected
from tinyalex.data.own_pictures import Picture, read_pictures
from tinyalex.errors import DataError, ShapeError, did_you_mean
from tinyalex.layers import Dropout, Flatten, Sequential
from tinyalex.models.saved_net import printable
from tinyalex.training.expected import least_seconds
from tinyalex.training.probabilities import ask

HELP = "what each layer of a net makes of your picture, as maps"
EXAMPLE = "tinyalex features figure1 cat.jpeg --layer conv1 relu3 --png features.png"

COLUMNS = 16  # maps in a line, of both towers together
MOST = 64  # maps of a layer that are drawn, for each tower
CELLS = 64  # values in a line, where a layer has no maps

Maps = npt.NDArray[np.float64]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_checkpoint(parser)
    parser.add_argument("picture", type=path, metavar="PICTURE", help="a picture file of any size")
    layers = "the layers that are drawn, by name (default: all but those that only copy)"
    parser.add_argument("--layer", nargs="+", metavar="NAME", help=layers)
    parser.add_argument("--data", metavar="DATA", help=OF_DATA)
    add_output(parser, "features.png")


def run(args: argparse.Namespace) -> int:
    """Draw what the layers compute for the picture. The exit code is 0."""
    loaded, _ = open_net("features", args)
    net = without_heads(loaded.net)
    names = chosen(net, args.layer)
    picture = read(args.picture, loaded)
    saved = loaded.saved
    seconds = least_seconds(lambda: ask((loaded.net, saved.prepare), picture.image[None]), 1)
    tell_expected(f"draws {len(names)} layers of {loaded.name} for {printable([str(args.picture)])[0]}", 2 * seconds + 0.5 * len(names))
    x = saved.prepare(picture.image[None], None)
    found = {
        layer.name: loaded.net.device.to_numpy(out)[0].astype(np.float64)
        for layer, out in outputs(net, loaded.net.device.asarray(x, loaded.net.dtype))
        if layer.name in names
    }
    (given,) = ask((loaded.net, saved.prepare), picture.image[None])
    best = int(given.argmax())
    towers = towers_of(loaded.net)
    rows = [[Panel(f"input, {saved.in_shape[1]}x{saved.in_shape[2]} pixels as the net sees them", as_picture(x[0]))]]
    rows += [panels_of(name, values, towers) for name, values in found.items()]
    guess = f"{short(saved.classes[best])}, {percent(float(given[best]))}"
    title = f"{printable([args.picture.name])[0]} in {file_name(loaded)}: {guess}"
    draw_panels(rows, title, caption_of(loaded), args.png)
    if args.json:
        print(json.dumps(document_of(args, loaded, found, saved.classes[best], float(given[best])), indent=1, allow_nan=False))
    else:
        print("\n".join([f"{loaded.name} says {guess}", *lines_of(found)]))
        print(f"{args.png} shows them; next: tinyalex neighbors {net_words(args)}{data_words(args)}")
    return 0


def chosen(net: Sequential, names: Sequence[str] | None) -> list[str]:
    """The names of the layers to draw, in the net's order.

    Raises
    ------
    ShapeError: the net has no layer of such a name.
    """
    known = [layer.name for layer in net.layers]
    for name in names or ():
        if name not in known:
            raise ShapeError(f"features: --layer must be among {some_of(known)}, got {name!r}", did_you_mean(name, known))
    if names:
        return [name for name in known if name in names]
    return [layer.name for layer in net.layers if not isinstance(layer, (Dropout, Flatten))]


def read(file: Path, loaded: Loaded) -> Picture:
    """The picture as an image for the net.

    Raises
    ------
    DataError: there is no such file, or it is no picture.
    """
    if not file.is_file():
        got = "a folder" if file.is_dir() else f"no file {printable([str(file)])[0]!r}"
        raise DataError(f"features: PICTURE must be one picture file, got {got}; correct the name")
    (found,) = read_pictures([file], loaded.saved.image_shape, loaded.saved.warp, who="features")
    if isinstance(found, Picture):
        return found
    raise DataError(f"features: PICTURE {printable([str(file)])[0]} must be a picture, got one that cannot be read: {found.reason}")


def as_picture(x: npt.NDArray[Any]) -> Maps:
    """The net's input (3, H, W) as colors: from the smallest value of all channels, black, to the largest, white.

    White space to its right makes it a third of the picture's width.
    """
    least, most = float(x.min()), float(x.max())
    shown = (x.transpose(1, 2, 0) - least) / ((most - least) or 1)
    return np.pad(shown, ((0, 0), (0, 2 * shown.shape[1]), (0, 0)), constant_values=1)


def panels_of(name: str, values: Maps, towers: int) -> list[Panel]:
    """A panel for each tower of a layer with maps (C, H, W); one for a layer of values (F,). All have the layer's one scale."""
    span = f"{values.min():.3g} to {values.max():.3g}"
    colored = in_color(values if values.ndim == 3 else values[:, None, None])
    if values.ndim == 1:
        return [Panel(f"{name}: {len(values):,} values, {span}", mosaic(_cells(colored), min(CELLS, len(values)), 0))]
    c, h, w = values.shape
    panels, columns = [], min(COLUMNS // towers, c // towers)
    for at, own in enumerate(np.split(colored, towers)):
        drawn = own[:MOST]
        count = f"{len(own)}" if len(drawn) == len(own) else f"first {len(drawn)} of {len(own)}"
        title = f"{name}: {count} maps of {h}x{w}, {span}" if towers == 1 else f"{name}, tower {'ab'[at]}: {count} maps, {h}x{w}"
        gap = max(1, min(h, w) // 12)
        panels.append(Panel(title if at == 0 or towers == 1 else f"tower b: {count} maps; {span}", mosaic(drawn, columns, gap)))
    return panels


def _cells(colored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Tiles of one value, enlarged to a square of 8 pixels with a border, and blank ones up to the end of the line."""
    tiles = np.ones((len(colored), 8, 8, 3))
    tiles[:, :7, :7] = colored
    return tiles


def caption_of(loaded: Loaded) -> str:
    """How the values became colors, and what the net was trained on."""
    scale = "white is 0, red positive, blue negative; full color is the largest magnitude of the layer, so layers have scales of their own"
    return f"{scale}. {loaded.saved.net}, {loaded.saved.note}"


def lines_of(found: dict[str, Maps]) -> list[str]:
    """A line for each layer: the shape of its output, the range of its values, and the share that is 0."""
    width = max(map(len, found))
    return [
        f"  {name:<{width}}  {'x'.join(map(str, values.shape)):>12}  {values.min():10.3g} to {values.max():8.3g}"
        f"  {percent(float((values == 0).mean())):>7} are 0"
        for name, values in found.items()
    ]


def document_of(args: argparse.Namespace, loaded: Loaded, found: dict[str, Maps], guess: str, probability: float) -> dict[str, Any]:
    """The report as JSON values."""
    layers = [
        {"layer": name, "shape": list(values.shape), "least": values.min(), "most": values.max(), "zeros": float((values == 0).mean())}
        for name, values in found.items()
    ]
    return {
        "net": {"file": loaded.name, "net": loaded.saved.net, "note": loaded.saved.note},
        "picture": str(args.picture),
        "guess": {"class": guess, "probability": probability},
        "layers": layers,
        "png": str(args.png),
    }
