"""What `tinyalex filters`, `features` and `neighbors` share: the net, which may be the shipped one, and where the picture goes."""

from __future__ import annotations

import argparse
import functools
import shlex
from collections.abc import Callable
from pathlib import Path

from tinyalex.commands.saved import CHECKPOINT, OF_NET, Loaded, load, require_place
from tinyalex.commands.shared import path
from tinyalex.data.dataset import Sources
from tinyalex.data.find import open_data
from tinyalex.errors import DataError
from tinyalex.models.registry import NAMES, require_name
from tinyalex.models.saved_net import printable
from tinyalex.training.saved_net import SHIPPED, wrote

DEFAULT = SHIPPED[0]
DATA = "auto, cifar10, synthetic, a folder with CIFAR-10, of `tinyalex data imagenet`, or with one folder of pictures for each class"


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """The argument CKPT, which may be left out."""
    parser.add_argument("checkpoint", nargs="?", default=DEFAULT, metavar="CKPT", help=f"{CHECKPOINT} (default: {DEFAULT})")


def add_output(parser: argparse.ArgumentParser, png: str) -> None:
    """The options about an old file and the output. png: the default file."""
    parser.add_argument("--net", metavar="NAME", help=f"{OF_NET}: {NAMES}")
    parser.add_argument("--png", type=path, default=Path(png), metavar="FILE", help=f"the picture that is written (default: {png})")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the lines")
    parser.set_defaults(devices=None, views=1)  # `load` asks for them; the nets here are on one CPU


def open_net(who: str, args: argparse.Namespace) -> tuple[Loaded, Callable[[], Sources]]:
    """The net, after a look at the options, and the function that opens the data of --data."""
    if args.net is not None:
        require_name(args.net)
    require_place(who, args.png)
    if args.net is not None and args.data is None and wrote(str(path(args.checkpoint))):
        raise DataError(f"{who}: --data must name the data that the net was trained on where --net is given, got none")
    opened = functools.cache(lambda: open_data(args.data))
    return load(who, args, args.checkpoint, None if args.data is None else opened), opened


def net_words(args: argparse.Namespace) -> str:
    """The argument CKPT for a command that is shown."""
    return shlex.quote(args.checkpoint)


def data_words(args: argparse.Namespace) -> str:
    """The option --data for a command that is shown; the shipped net needs none."""
    if args.data is not None:
        return f" --data {shlex.quote(str(args.data))}"
    return "" if args.checkpoint in SHIPPED else " --data DATA"


def file_name(loaded: Loaded) -> str:
    """The name of the checkpoint without its folders, for the title of a picture."""
    return printable([Path(loaded.name).name])[0]
