"""`tinyalex explore`: a net and what it does with your pictures, unit by unit, forward and backward, as one web page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.analysis.inside import without_heads
from tinyalex.analysis.predictions import percent
from tinyalex.commands.saved import CHECKPOINT, require_place
from tinyalex.commands.shared import path, tell, tell_expected
from tinyalex.data.own_pictures import Picture, find_pictures, label_of, read_pictures
from tinyalex.errors import DataError, ShapeError, did_you_mean
from tinyalex.explore.collect import described, numbers_of, weights_of
from tinyalex.explore.page import MOST, written
from tinyalex.explore.passes import Pass, passes_of
from tinyalex.explore.selection import parse_channels, selected
from tinyalex.files.atomic import write_bytes
from tinyalex.files.tensors import kind_of
from tinyalex.formats.files import is_foreign
from tinyalex.layers import Sequential
from tinyalex.models.saved_net import printable
from tinyalex.training.checkpoint import latest_checkpoint
from tinyalex.training.expected import least_seconds
from tinyalex.training.report import WEIGHTS
from tinyalex.training.saved_net import SHIPPED, SavedNet, is_shipped, load_net

HELP = "a net on your pictures, unit by unit, forward and backward: one page that opens anywhere"
EXAMPLE = "tinyalex explore figure1 cat.jpeg --label cat --out cat.html"
MOST_PICTURES = 16  # even the smallest net would fill the page with more


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.usage = "tinyalex explore [-h] [CKPT] PICTURE ... [--out FILE] [--channels LAYER=N,...] [--label NAME]"
    what = f"pictures, or folders of them; before them may stand a CKPT: {CHECKPOINT} (default: {SHIPPED[0]})"
    parser.add_argument("words", nargs="+", metavar="PICTURE", help=what)
    parser.add_argument("--out", type=path, default=Path("explore.html"), metavar="FILE", help="the page (default: explore.html)")
    chosen = "for a large net: the channels that the page holds, such as conv1=0,5,conv2=7 (default: all)"
    parser.add_argument("--channels", metavar="LAYER=N,...", help=chosen)
    right = "the class whose loss goes backward (default: the picture's folder, where its name is a class, else the most probable one)"
    parser.add_argument("--label", metavar="NAME", help=right)


def run(args: argparse.Namespace) -> int:
    """Compute both passes, write the page, say where it is, and return 0."""
    chosen = {} if args.channels is None else parse_channels(args.channels)
    require_place("explore", args.out, "--out")
    checkpoint, words = _divided(args.words)
    pictures = find_pictures("explore", [path(word) for word in words])
    if len(pictures) > MOST_PICTURES:
        raise DataError(f"explore: pictures must be at most {MOST_PICTURES}, got {len(pictures):,}; name the files instead of their folder")
    net, saved = load_net(checkpoint if checkpoint in SHIPPED else str(path(checkpoint)), tell=tell)
    net = without_heads(net)
    channels = selected(net, chosen)
    own = None if args.label is None else _label(args.label, checkpoint, saved)
    read = _read(pictures, saved)
    arrays, shown, seconds = weights_of(net, channels), [], 0.0
    for at, picture in enumerate(read):
        label = label_of(picture.path.absolute().parent.name, saved.classes) if own is None else own
        x = net.device.asarray(saved.prepare(picture.image[None]), net.dtype)
        if at == 0:
            seconds = 4 * len(read) * least_seconds(lambda x=x: net.forward(x), 1) + 2  # type: ignore[misc]
            tell_expected(f"computes {_count(len(read))} forward and backward with {checkpoint} and writes {args.out}", seconds)
        one = passes_of(net, x, label)
        arrays |= numbers_of(net, channels, one, at)
        shown.append(_about(picture, one, "given" if own is not None else "folder" if label is not None else "guess"))
    page = written(_content(checkpoint, net, saved, channels, shown), arrays)
    write_bytes(args.out, page)
    print(f"{args.out}: {len(page):,} of at most {MOST:,} bytes, {len(net.layers)} layers, {_count(len(read))}; open it in a browser")
    for about in shown:
        (best, probability), label = about["top"][0], saved.classes[about["label"]]
        print(f"  {about['name']}: {best}, {percent(probability)}; loss {about['loss']:.4g} for {label}")
    print(f"next: tinyalex predict {checkpoint} {printable([str(pictures[0])])[0]} --png bars.png, the five most probable classes as bars")
    return 0


def _divided(words: list[str]) -> tuple[str, list[str]]:
    """The checkpoint and the pictures: the first of several words is the checkpoint, unless it is a picture too."""
    first = path(words[0])
    if is_shipped(words[0]) or first.suffix == ".safetensors":
        is_net = True
    elif first.is_dir():
        is_net = (first / WEIGHTS).is_file() or latest_checkpoint(first) is not None
    else:
        is_net = is_foreign(words[0]) or (first.is_file() and kind_of(first) is not None)
    if is_net and len(words) == 1:
        raise DataError(f"explore: PICTURE must be named after the checkpoint, got only {words[0]}; for example: {EXAMPLE}")
    return (words[0], words[1:]) if is_net else (SHIPPED[0], words)


def _label(name: str, checkpoint: str, saved: SavedNet) -> int:
    found = label_of(name, saved.classes)
    if found is None:
        known = ", ".join(saved.classes) if len(saved.classes) <= 20 else f"{', '.join(saved.classes[:3])} ..."
        rule = f"explore: --label must be one of the {len(saved.classes):,} classes of {checkpoint}, {known}"
        raise ShapeError(f"{rule}, got {name!r}", did_you_mean(name, saved.classes))
    return found


def _read(files: list[Path], saved: SavedNet) -> list[Picture]:
    """The pictures as images; DataError for the first file that is none."""
    read = []
    for one in read_pictures(files, saved.image_shape, saved.warp, "explore"):
        if not isinstance(one, Picture):
            raise DataError(f"explore: PICTURE must be a picture file, got {printable([f'{one.path}: {one.reason}'])[0]}; leave it out")
        read.append(one)
    return read


def _about(picture: Picture, one: Pass, why: str) -> dict[str, Any]:
    """What the page says of a picture. The classes in `top` are numbers until `_content` names them."""
    order: list[int] = np.argsort(-one.probabilities, kind="stable")[:5].tolist()
    top = [[k, float(one.probabilities[k])] for k in order]
    name = printable([picture.path.name])[0]
    return {"name": name, "size": [picture.width, picture.height], "label": one.label, "why": why, "loss": one.loss, "top": top}


def _content(
    checkpoint: str, net: Sequential, saved: SavedNet, channels: list[npt.NDArray[np.int64]], shown: list[dict[str, Any]]
) -> dict[str, Any]:
    """All that the page holds apart from arrays."""
    for one in shown:
        one["top"] = [[saved.classes[k], probability] for k, probability in one["top"]]
    return {
        "title": f"{saved.net}, unit by unit",
        "net": saved.net,
        "file": printable([Path(checkpoint).name])[0],
        "note": saved.note,
        "classes": list(saved.classes),
        "input": list(net.in_shape or ()),
        "layers": described(net, channels),
        "pictures": shown,
    }


def _count(pictures: int) -> str:
    return f"{pictures} picture{'s' * (pictures != 1)}"
