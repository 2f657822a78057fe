"""What the commands share: paths as the user types them, and lines for the terminal."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from tinyalex.errors import ShapeError


def path(text: str | os.PathLike[str]) -> Path:
    """A path of the command line, in which `~` is the home folder also where no shell has put it in."""
    return Path(os.path.expanduser(text))


def tell(line: str) -> None:
    """Write a line to stderr at once, above a progress bar where there is one."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)
    sys.stderr.flush()


def out_folder(who: str, given: str | None, name: str) -> Path:
    """The folder of --out; without it a new one, called after `name` and the time."""
    if given is None:
        return Path("tinyalex-runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    if not given.strip():
        raise ShapeError(f"{who}: --out must be the name of a folder, got {given!r}; use . for the current one")
    return path(given)
