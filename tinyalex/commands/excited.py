"""`tinyalex filters --images`: each filter by the parts of images that excite it most."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.analysis.excite import Strongest, seen_part
from tinyalex.analysis.inside import given_by, layers_until
from tinyalex.analysis.panels import Panel, draw_panels, mosaic
from tinyalex.analysis.receptive import receptive_fields
from tinyalex.commands.codes import BATCH, blocks_of
from tinyalex.commands.look import file_name, net_words
from tinyalex.commands.saved import Loaded
from tinyalex.commands.shared import tell_expected
from tinyalex.data.dataset import Sources, take
from tinyalex.data.source import Source, Subset
from tinyalex.errors import DataError
from tinyalex.layers import Sequential
from tinyalex.training.expected import least_seconds
from tinyalex.training.inputs import check_input

PARTS = 8  # parts of images for each filter
FILTERS = 16  # filters that are drawn, for each tower
LARGEST = 96  # pixels of the side of a part in the picture


def run_images(args: argparse.Namespace, loaded: Loaded, sources: Sources, towers: int) -> int:
    """Find the parts, draw them and say how large the outputs are. The exit code is 0."""
    source = part_of(args, sources, loaded)
    layers = layers_until(loaded.net.layers, args.layer)
    assert layers is not None  # `filters_of` has found it
    found = search(args, loaded, sources, source, Sequential(layers, loaded.net.in_shape, name=loaded.net.name))
    draw_panels(
        panels_of(args.layer, loaded, source, found, towers), f"{args.layer} of {file_name(loaded)}", caption_of(sources, source), args.png
    )
    if args.json:
        print(json.dumps(document_of(args, loaded, sources, found), indent=1, allow_nan=False))
    else:
        print(f"{args.layer} of {loaded.name}: {len(found.values)} filters, {found.seen:,} {sources.val_name} images of {sources.name}")
        silent = int((found.values[:, 0] <= 0).sum())
        if silent:
            print(f"{silent} of the filters have no output above 0 on any of them")
        print(f"{args.png} shows the parts that excite them most; next: tinyalex features {net_words(args)} PICTURE")
    return 0


def part_of(args: argparse.Namespace, sources: Sources, loaded: Loaded) -> Source:
    """The images to look at.

    Raises
    ------
    DataError: they do not fit the net, or there are fewer than were asked for.
    """
    source = sources.val
    if source.image_shape != loaded.saved.image_shape:
        there, here = ("x".join(map(str, shape)) for shape in (loaded.saved.image_shape, source.image_shape))
        rule = f"filters: images of --data must be {there}, which {loaded.name} was trained on"
        raise DataError(f"{rule}, got {here} in {sources.name}; name its data with --data")
    n = take(sources.name, "test", args.images, len(source))
    return Subset(source, np.arange(n) * len(source) // n)


def search(args: argparse.Namespace, loaded: Loaded, sources: Sources, source: Source, until: Sequential) -> Strongest:
    """The strongest outputs of the layer, with a bar. until: the net up to the layer."""
    from tqdm import tqdm

    def outputs(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        x = loaded.saved.prepare(images, None)
        check_input("filters", loaded.net, x)
        return given_by("filters", until, x)

    some = source.read(np.arange(min(len(source), BATCH)))
    seconds = least_seconds(lambda: outputs(some), 1) * len(source) / len(some)
    tell_expected(f"computes {args.layer} of {loaded.name} for {len(source):,} images of {sources.name}", seconds)
    strongest = Strongest(min(PARTS, len(source)))
    with tqdm(total=len(source), unit=" images", disable=None, leave=False, dynamic_ncols=True) as bar:
        for images in blocks_of(source):
            strongest.add(outputs(images))
            bar.update(len(images))
    return strongest


def panels_of(layer: str, loaded: Loaded, source: Source, found: Strongest, towers: int) -> list[list[Panel]]:
    """A panel for each tower, in which each line is a filter with its parts of images, the strongest first."""
    field, (_, h, w) = receptive_fields(loaded.net)[layer], loaded.saved.in_shape
    panels, each = [], len(found.values) // towers
    for tower in range(towers):
        chosen = range(tower * each, tower * each + min(FILTERS, each))
        tiles = []
        for k in chosen:
            for image, place in zip(as_seen(source.read(found.images[k]), h, w), found.places[k].tolist(), strict=True):
                tiles.append(smaller(seen_part(image, field, (place[0], place[1]))))
        count = f"{each}" if len(chosen) == each else f"first {len(chosen)} of {each}"
        title = f"{count} filters" if towers == 1 else f"tower {'ab'[tower]}: {count} filters"
        notes = tuple(str(k) for k in chosen)
        panels.append(Panel(title, mosaic(np.stack(tiles), found.values.shape[1], max(1, tiles[0].shape[0] // 12)), notes))
    return [panels]


def as_seen(images: npt.NDArray[Any], h: int, w: int) -> npt.NDArray[np.float64]:
    """The centers of images (N, C, H, W), as a net reads them in testing, as colors from 0 to 1: (N, h, w, 3)."""
    top, left = (images.shape[2] - h) // 2, (images.shape[3] - w) // 2
    cut = images[:, :, top : top + h, left : left + w].transpose(0, 2, 3, 1).astype(np.float64)
    if images.dtype == np.uint8:
        cut /= 255
    else:
        cut = (cut - cut.min()) / ((cut.max() - cut.min()) or 1)
    return cut if cut.shape[3] == 3 else np.repeat(cut[..., :1], 3, axis=3)


def smaller(part: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A part without most of its pixels, if it has more than the picture can show."""
    k = -(-max(part.shape[:2]) // LARGEST)
    return part[::k, ::k]


def caption_of(sources: Sources, source: Source) -> str:
    """What the parts are."""
    data = f"{sources.name} (synthetic)" if sources.synthetic else sources.name
    which = f"each line is a filter, by its number, with the parts of {len(source):,} images of {data} that excite it most"
    return f"{which}, at most one of an image; a part is all that a unit sees, white beyond the edge of the image"


def document_of(args: argparse.Namespace, loaded: Loaded, sources: Sources, found: Strongest) -> dict[str, Any]:
    """The result as JSON values. Images count those that were looked at."""
    return {
        "net": {"file": loaded.name, "net": loaded.saved.net, "note": loaded.saved.note},
        "data": {"name": sources.name, "note": sources.note, "synthetic": sources.synthetic, "part": sources.val_name},
        "layer": args.layer,
        "looked_at": found.seen,
        "outputs": found.values.tolist(),
        "images": found.images.tolist(),
        "places": found.places.tolist(),
        "png": str(args.png),
    }
