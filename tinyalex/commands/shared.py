"""What the commands share: paths as the user types them, the output folder, what to expect, and the command that goes on."""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinyalex.analysis.card import parse_bytes
from tinyalex.devices import Device
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import ShapeError
from tinyalex.layers import Sequential
from tinyalex.units import bytes_in_words, time_in_words


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


def set_cards(who: str, devices: Sequence[Device], args: argparse.Namespace, build: Callable[[Any], Sequential]) -> None:
    """Do what the options about GPUs ask for, before anything is made on the devices. Raises DeviceError, ShapeError.

    build: makes the net that will be trained, on a device without memory that it gets, or on a list of two.
    """
    if args.memory_limit is not None:
        limit = parse_bytes(f"{who}: --memory-limit", args.memory_limit)
        if all(device.kind != "cpu" for device in devices):
            _check_limit(who, limit, args.memory_limit, devices, build)
    for device in dict.fromkeys(devices):
        if args.memory_limit is not None:
            device.limit_memory(limit)
        if args.tf32:
            device.use_tf32()


def _check_limit(who: str, limit: int, got: str, devices: Sequence[Device], build: Callable[[Any], Sequential]) -> None:
    """Raise ShapeError if a device could not even hold what training needs without an image."""
    places: dict[Device, Device] = {device: DryDevice(device.name, device.kind) for device in devices}
    net = build([places[device] for device in devices] if len(devices) > 1 else places[devices[0]])
    for place in places.values():
        own = [array for leaf in net.leaves() if leaf.device is place for array in leaf.params.values()]
        least = 3 * sum(math.prod(array.shape) * array.dtype.itemsize for array in own)
        if limit < least:
            rule = f"{who}: --memory-limit must be at least {least}B ({bytes_in_words(least)})"
            what = f"what the parameters, their gradients and velocities take on {place.name} before the first image"
            raise ShapeError(f"{rule}, {what}, got {got}", "use a higher limit; a smaller batch does not change this")


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
