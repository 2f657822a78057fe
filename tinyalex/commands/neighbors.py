"""`tinyalex neighbors`: the training images that a net takes for most similar to a test image, as Figure 4 (right) shows them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.analysis.inside import features_of, last_hidden
from tinyalex.analysis.nearest import Nearest, chance, interval, same_class
from tinyalex.analysis.panels import Panel, draw_panels, mosaic
from tinyalex.analysis.predictions import short
from tinyalex.commands.codes import BATCH, CODED, Vectors, bits_of, blocks_of, flat, run_codes
from tinyalex.commands.look import DATA, add_checkpoint, add_output, file_name, net_words, open_net
from tinyalex.commands.saved import Loaded
from tinyalex.commands.shared import tell, tell_expected
from tinyalex.data.dataset import Sources, take
from tinyalex.data.source import Source, Subset
from tinyalex.errors import DataError, ShapeError, require_int
from tinyalex.models.saved_net import printable
from tinyalex.training.expected import least_seconds
from tinyalex.training.inputs import check_input

HELP = "the training images nearest to a test image, by the last hidden layer and by pixels, as Figure 4; binary codes"
EXAMPLE = "tinyalex neighbors figure1 --data synthetic --queries 50 --images 2000 --png neighbors.png"

DRAWN = 5  # queries in the picture, as in Figure 4
SIDE = 64  # pixels of the side of an image in the picture
FRAME = 4  # pixels of the frame around an image
SAME, OTHER = (0.0, 0.447, 0.698), (1.0, 1.0, 1.0)  # colors of the frame: the query's class, another one


@dataclass(frozen=True)
class Found:
    """The neighbors of the queries, by the last hidden layer and by pixels. layer: the name of the last hidden layer."""

    layer: str
    queries: Source
    gallery: Source
    hidden: Nearest
    pixels: Nearest

    def both(self) -> tuple[tuple[str, Nearest], tuple[str, Nearest]]:
        """The two ways with their names."""
        return (self.layer, self.hidden), ("pixels", self.pixels)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_checkpoint(parser)
    parser.add_argument("--data", default="auto", metavar="DATA", help=f"{DATA} (default: auto)")
    parser.add_argument("--queries", type=int, metavar="N", help="test images, evenly spaced, whose neighbors are searched (default: 100)")
    parser.add_argument("--nearest", type=int, default=6, metavar="K", help="neighbors of each (default: 6)")
    parser.add_argument(
        "--images", type=int, metavar="N", help="training images, evenly spaced, that are searched (default: all; with --codes 5,000)"
    )
    codes = "train autoencoders of so many bits, such as 16,32,64, and draw how many neighbors their codes find"
    parser.add_argument("--codes", metavar="BITS", help=codes)
    add_output(parser, "neighbors.png, with --codes codes.png")
    parser.set_defaults(png=None)


def run(args: argparse.Namespace) -> int:
    """Find the neighbors, draw them and say how many have the same class. The exit code is 0."""
    require_int("neighbors", "--nearest", args.nearest)
    bits = None if args.codes is None else bits_of(args.codes)
    if args.png is None:
        args.png = Path("neighbors.png" if bits is None else "codes.png")
    loaded, opened = open_net("neighbors", args)
    hidden, layer = last_hidden("neighbors", loaded.net)
    sources = opened()
    queries, gallery = parts_of(args, sources, loaded, None if bits is None else CODED)
    if printable(sources.classes) != loaded.saved.classes:
        tell(f"{loaded.name} was trained on other classes than those of {sources.name}; its features are compared all the same")

    def features(images: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        x = loaded.saved.prepare(images, None)
        check_input("neighbors", loaded.net, x)
        return features_of("neighbors", hidden, x)

    if bits is not None:
        return run_codes(args, loaded, sources, Vectors.of(queries, gallery, features, layer), bits)
    found = search(loaded.name, sources, queries, gallery, features, args.nearest, layer)
    draw(loaded, sources, found, args)
    if args.json:
        print(json.dumps(document_of(args, loaded, sources, found), indent=1, allow_nan=False))
    else:
        print("\n".join(report(sources, found)))
        print(f"{args.png} shows {min(DRAWN, len(queries))} of them; next: tinyalex predict {net_words(args)} PICTURE")
    return 0


def parts_of(args: argparse.Namespace, sources: Sources, loaded: Loaded, most: int | None) -> tuple[Source, Source]:
    """The queries, of the test part, and the images that are searched, of the training part; of these at most `most` without --images.

    Raises
    ------
    DataError, ShapeError: the images do not fit the net, or there are fewer than were asked for.
    """
    if sources.train.image_shape != loaded.saved.image_shape:
        there, here = ("x".join(map(str, shape)) for shape in (loaded.saved.image_shape, sources.train.image_shape))
        rule = f"neighbors: images of --data must be {there}, which {loaded.name} was trained on"
        raise DataError(f"{rule}, got {here} in {sources.name}; name its data with --data")
    wanted = min(100, len(sources.val)) if args.queries is None else args.queries
    queries = _spaced(sources.val, take(sources.name, "test", wanted, len(sources.val)))
    searched = min(most or len(sources.train), len(sources.train)) if args.images is None else args.images
    gallery = _spaced(sources.train, take(sources.name, "training", searched, len(sources.train)))
    if args.nearest > len(gallery):
        rule = f"neighbors: --nearest must be at most {len(gallery):,}, the images that are searched"
        raise ShapeError(f"{rule}, got {args.nearest:,}; ask for fewer")
    return queries, gallery


def _spaced(source: Source, n: int) -> Source:
    """`n` images of a source, evenly spaced."""
    return source if n == len(source) else Subset(source, np.arange(n) * len(source) // n)


def search(
    name: str,
    sources: Sources,
    queries: Source,
    gallery: Source,
    features: Callable[[npt.NDArray[Any]], npt.NDArray[np.float64]],
    most: int,
    layer: str,
) -> Found:
    """The nearest images of the gallery to each query, with a bar. features: of images (N, C, H, W), an array (N, F)."""
    from tqdm import tqdm

    some = queries.read(np.arange(min(len(queries), BATCH)))
    seconds = least_seconds(lambda: features(some), 1) * (len(gallery) + len(queries)) / len(some)
    words = f"searches {len(gallery):,} training images of {sources.name} for neighbors of {len(queries):,} others, by {layer} of {name}"
    tell_expected(words, 1.2 * seconds)
    blocks = list(blocks_of(queries))
    hidden = Nearest(np.concatenate([features(images) for images in blocks]), most)
    pixels = Nearest(np.concatenate([flat(images) for images in blocks]), most)
    with tqdm(total=len(gallery), unit=" images", disable=None, leave=False, dynamic_ncols=True) as bar:
        for images in blocks_of(gallery):
            hidden.add(features(images))
            pixels.add(flat(images))
            bar.update(len(images))
    return Found(layer, queries, gallery, hidden, pixels)


def report(sources: Sources, found: Found) -> list[str]:
    """The lines of the report."""
    kind = f"{sources.name} ({sources.note})"
    count = f"{len(found.queries):,} {sources.val_name} image{'s' * (len(found.queries) > 1)}"
    lines = [f"{kind}: {count}, {len(found.gallery):,} training images are searched"]
    lines.append(f"share of the {found.hidden.most} nearest that have the class of the image, with its 95 % interval:")
    for name, nearest in found.both():
        mean, half = interval(same_class(nearest.places, found.gallery.labels, found.queries.labels))
        around = "" if half == np.inf else f" +- {100 * half:.1f}"
        lines.append(f"  {'by ' + name:<12}{100 * mean:6.1f}{around} %")
    lines.append(f"  {'by chance':<12}{100 * chance(found.gallery.labels, found.queries.labels):6.1f} %")
    return lines


def draw(loaded: Loaded, sources: Sources, found: Found, args: argparse.Namespace) -> None:
    """Draw some queries, each with its neighbors of both kinds."""
    chosen = np.unique(np.linspace(0, len(found.queries) - 1, min(DRAWN, len(found.queries))).astype(int))
    own = found.queries.labels[chosen]
    most = min(args.nearest, 8)
    first = mosaic(np.stack([tile(image, None) for image in found.queries.read(chosen)]), 1, 3)
    row = [Panel("image", first, tuple(short(printable([sources.classes[label]])[0], 14) for label in own))]
    for name, nearest in found.both():
        places = nearest.places[chosen, :most]
        images = found.gallery.read(places.reshape(-1))
        same = (found.gallery.labels[places] == own[:, None]).reshape(-1)
        tiles = np.stack([tile(image, bool(one)) for image, one in zip(images, same, strict=True)])
        row.append(Panel(f"nearest by {name}", mosaic(tiles, most, 3)))
    data = f"{sources.name} (synthetic)" if sources.synthetic else sources.name
    caption = f"blue frame: the class of the image on the left; {len(found.gallery):,} training images of {data}"
    draw_panels([row], f"Neighbors by {found.layer} of {file_name(loaded)}, and by pixels", caption, args.png)


def tile(image: npt.NDArray[Any], same: bool | None) -> npt.NDArray[np.float64]:
    """An image (C, H, W) as a tile of colors with a frame, (SIDE + 2 FRAME, SIDE + 2 FRAME, 3). same: whether its class is the query's."""
    from PIL import Image

    if image.dtype != np.uint8:
        least, most = float(image.min()), float(image.max())
        image = np.round((image - least) * 255 / ((most - least) or 1)).astype(np.uint8)
    image = image if len(image) == 3 else np.repeat(image[:1], 3, axis=0)
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    way = Image.Resampling.NEAREST if max(picture.size) <= SIDE else Image.Resampling.BOX
    shown = np.asarray(picture.resize((SIDE, SIDE), way)) / 255
    framed = np.full((SIDE + 2 * FRAME, SIDE + 2 * FRAME, 3), SAME if same else OTHER)
    framed[FRAME:-FRAME, FRAME:-FRAME] = shown
    return framed


def document_of(args: argparse.Namespace, loaded: Loaded, sources: Sources, found: Found) -> dict[str, Any]:
    """The result as JSON values. Places count the images that were searched."""
    ways = {}
    for name, nearest in zip(("hidden", "pixels"), (found.hidden, found.pixels), strict=True):
        mean, half = interval(same_class(nearest.places, found.gallery.labels, found.queries.labels))
        ways[name] = {
            "same_class": mean,
            "half_interval_95": None if half == np.inf else half,
            "places": nearest.places.tolist(),
            "distances": np.sqrt(nearest.squares).tolist(),
        }
    return {
        "net": {"file": loaded.name, "net": loaded.saved.net, "note": loaded.saved.note},
        "data": {"name": sources.name, "note": sources.note, "synthetic": sources.synthetic, "part": sources.val_name},
        "layer": found.layer,
        "queries": len(found.queries),
        "searched": len(found.gallery),
        "nearest": found.hidden.most,
        **ways,
        "chance": chance(found.gallery.labels, found.queries.labels),
        "labels": found.queries.labels.tolist(),
        "png": str(args.png),
    }
