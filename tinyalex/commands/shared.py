"""What the commands share: paths as the user types them, the output folder, what to expect, and the command that goes on."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tinyalex.analysis.card import parse_bytes
from tinyalex.devices import Device
from tinyalex.errors import ShapeError
from tinyalex.units import time_in_words


def path(text: str | os.PathLike[str]) -> Path:
    """A path of the command line. `~` becomes the home folder, because not every shell replaces it."""
    return Path(os.path.expanduser(text))


def tell(line: str) -> None:
    """Write a line to stderr at once, above a progress bar where there is one."""
    try:
        from tqdm import tqdm
    except ImportError:  # `tinyalex doctor` says so; without tqdm there are no bars
        print(line, file=sys.stderr, flush=True)
        return
    tqdm.write(line, file=sys.stderr)
    sys.stderr.flush()


def tell_expected(work: str, seconds: float | None = None) -> None:
    """Say on stderr what the command does and how long it will take; it is the first line that a command prints."""
    tell(work if seconds is None else f"{work}; about {time_in_words(seconds)}")


def add_card_options(add: Callable[..., Any]) -> None:
    """The options about GPUs of a command that trains; `add` is the `add_argument` of its parser."""
    add("--memory-limit", metavar="SIZE", help="let each GPU, real or simulated, use only SIZE of its memory, such as 3GiB in 2012")
    add("--tf32", action="store_true", help="let real GPUs round the factors of matrix products to TF32 (default: float32 throughout)")


def set_cards(who: str, devices: Iterable[Device], args: argparse.Namespace) -> None:
    """Do what the options about GPUs ask for, before anything is made on the devices. Raises DeviceError, ShapeError."""
    for device in dict.fromkeys(devices):
        if args.memory_limit is not None:
            device.limit_memory(parse_bytes(f"{who}: --memory-limit", args.memory_limit))
        if args.tf32:
            device.use_tf32()


def go_on(command: str) -> str:
    """The end of a message about work that can be stopped and continued by `command`."""
    return f"go on with: {command}"


def out_folder(who: str, given: str | None, name: str) -> Path:
    """The folder of --out. Without --out it is a new folder, called after `name` and the time."""
    if given is None:
        return Path("tinyalex-runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    if not given.strip():
        raise ShapeError(f"{who}: --out must be the name of a folder, got {given!r}; use . for the current one")
    return path(given)


def command_of(name: str, args: argparse.Namespace, defaults: Mapping[str, Any], folder: Path | None, **changed: Any) -> str:
    """The command line `tinyalex NAME ...` that gives `args` again: options that differ from `defaults`, then --out `folder`.

    An option of yes or no that `defaults` does not name is a flag, False unless it is given.
    `changed` holds values that replace those of `args` and come last; None leaves an option out.
    """
    words = ["tinyalex", name]
    for key, value in ({key: value for key, value in vars(args).items() if key not in changed} | changed).items():
        option, default = key.replace("_", "-"), defaults.get(key, False if isinstance(value, bool) else None)
        if key in ("out", "json") or value is None or value == default:
            continue
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join([*words, *(["--out", str(folder)] if folder else [])])
