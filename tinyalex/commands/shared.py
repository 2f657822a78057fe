"""Where a command that trains writes to."""

from __future__ import annotations

import time
from pathlib import Path

from tinyalex.errors import ShapeError


def out_folder(who: str, given: str | None, name: str) -> Path:
    """The folder of --out; without it a new one, called after `name` and the time."""
    if given is None:
        return Path("tinyalex-runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    if not given.strip():
        raise ShapeError(f"{who}: --out must be the name of a folder, got {given!r}; use . for the current one")
    return Path(given)
