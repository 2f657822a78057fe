"""What `tinyalex evaluate` and `tinyalex predict` share: the checkpoints that the user names, and a look at the picture's place."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tinyalex.commands.shared import path, tell
from tinyalex.data.dataset import Sources
from tinyalex.errors import CheckpointError, ShapeError, require_choice, require_int
from tinyalex.formats.saved import is_unnamed, named_by
from tinyalex.layers import Sequential
from tinyalex.models.registry import NAMES, require_name
from tinyalex.training.saved_net import SHIPPED, SavedNet, describe_old, load_net

VIEWS = (1, 10)
OF_NET = "the network, for a CKPT that does not say it, such as an old one or a .pth"  # the help of --net
OF_DATA = (
    "the data that name the classes of a CKPT which has no names, such as a file of another program; an old CKPT with --net needs them"
)
NET_OPTIONS = {"views": 1, "devices": None, "batch-size": 128, "net": None, "png": None}  # of `add_net_arguments`


@dataclass(frozen=True)
class Loaded:
    """A network that the user named: the name as it was typed, the network, and its description."""

    name: str
    net: Sequential
    saved: SavedNet


def add_net_arguments(parser: argparse.ArgumentParser) -> None:
    """The options about networks."""
    views = "1, the center, or 10, whose probabilities are averaged, section 4.1 (default: 1)"
    parser.add_argument("--views", type=int, default=1, metavar="N", help=views)
    devices = "one device, or two for a net in two towers, such as cpu:0,cpu:1 (default: cpu)"
    parser.add_argument("--devices", metavar="NAMES", help=devices)
    parser.add_argument("--batch-size", type=int, default=128, metavar="N", help="inputs that a net reads together (default: 128)")
    parser.add_argument("--net", metavar="NAME", help=f"{OF_NET}: {NAMES}")
    parser.add_argument("--png", type=path, metavar="FILE", help="draw the result into this file")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the lines")


CHECKPOINT = (
    f"a checkpoint, a file of weights, the folder of a run, or {' or '.join(SHIPPED)}, a trained net that comes with tinyalex; "
    "or a file of ONNX, PyTorch, safetensors, or Caffe, as deploy.prototxt,net.caffemodel"
)


def check_net_arguments(who: str, args: argparse.Namespace) -> None:
    """Refuse wrong options before anything is read."""
    require_choice(who, "--views", args.views, VIEWS)
    require_int(who, "--batch-size", args.batch_size)
    if args.net is not None:
        require_name(args.net)
    if args.png is not None:
        require_place(who, args.png)


def require_place(who: str, png: Path, option: str = "--png") -> None:
    """Raise CheckpointError unless a file can be written at `png`, the value of `option`: the run must not end in that after hours."""
    folder = png.absolute().parent
    if png.is_dir():
        got = "a folder"
    elif not folder.is_dir():
        got = f"no folder {folder}"
    elif not os.access(folder, os.W_OK):
        got = f"the folder {folder}, in which nothing may be written"
    else:
        return
    raise CheckpointError(f"{who}: {option} must name a file in a folder that can be written, got {got}; choose another place")


def load(who: str, args: argparse.Namespace, name: str, sources: Callable[[], Sources] | None) -> Loaded:
    """The network of one checkpoint. sources: opens the data of --data, for a file that does not describe its network."""
    given = name if name in SHIPPED else str(path(name))

    def old() -> SavedNet:
        assert sources is not None
        tell(f"{name} does not say how its images are prepared; taken is what `tinyalex train --net {args.net}` does")
        return describe_old(args.net, sources())

    about = old if args.net is not None and sources is not None else None
    net, saved = load_net(given, args.devices, about=about, net=args.net, tell=tell)
    if sources is not None and is_unnamed(saved):
        saved = named_by(saved, sources().classes, sources().folders)
    if args.net not in (None, saved.net):
        raise ShapeError(f"{who}: --net must be {saved.net}, which {name} says that it is, got {args.net}; leave --net out")
    if args.views > saved.most_views:
        size = "x".join(map(str, saved.image_shape))
        rule = f"{who}: --views must be 1 for {name}, which reads whole images of {size}"
        raise ShapeError(f"{rule}, got {args.views}", "use --views 1; ten views are crops of a larger image")
    return Loaded(name, net, saved)


def views_in_words(views: int) -> str:
    """The number of views as words: one view, or ten views."""
    return "ten views" if views == 10 else "one view"
