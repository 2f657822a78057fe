"""A net that the user names by its file, where the commands take a name of the registry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tinyalex.commands.shared import path, tell
from tinyalex.errors import ShapeError, require_choice, show
from tinyalex.formats.files import read, suffixes
from tinyalex.formats.imported import Imported
from tinyalex.formats.saved import imported_from, require_whole
from tinyalex.layers import Sequential
from tinyalex.models.build import places_of
from tinyalex.models.later.rows import build_net
from tinyalex.models.registry import MODELS
from tinyalex.models.rows import Rows
from tinyalex.training.saved_net import is_shipped, read_saved, wrote


def is_file(name: str | None) -> bool:
    """Whether a name is that of a file rather than of a net: there is such a file or folder, or it ends as one does."""
    if name is None or name in MODELS:
        return False
    return any(part.lower().endswith(tuple(suffixes())) for part in name.split(",")) or Path(path(name)).exists()


def numbers(who: str, option: str, text: str, kind: Callable[[str], Any], counts: tuple[int, ...]) -> tuple[Any, ...]:
    """The numbers of an option such as --in-shape 3,32,32. counts: how many there may be. Raises ShapeError."""
    try:
        found = tuple(kind(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) not in counts:
        raise ShapeError(f"{who}: {option} must be {' or '.join(map(str, counts))} numbers with commas between, got {show(text)}")
    return found


def shape_in(who: str, text: str | None) -> tuple[int, ...] | None:
    """(C, H, W) of --in-shape; None where it is not given. Raises ShapeError."""
    return None if text is None else numbers(who, "--in-shape", text, int, (3,))


def net_in(who: str, name: str, in_shape: tuple[int, ...] | None = None) -> Imported:
    """The net that a file holds, a checkpoint or one of another program; sentences about it are told.

    in_shape: (C, H, W) of an image, where the file of another program leaves it open.

    Raises
    ------
    CheckpointError, DataError: it cannot be read, or holds what the engine cannot do.
    """
    given = name if is_shipped(name) else str(path(name))
    if wrote(given):
        file, params, saved = read_saved(given)
        if saved is None:
            raise ShapeError(f"{who}: NAME must be a file that describes its network, got {name}; name the network of its weights")
        return imported_from(saved, params, str(file))
    found = read(given, in_shape=in_shape)
    for note in found.notes:
        tell(note)
    return found


def builder_of(net: Imported) -> Callable[..., Sequential]:
    """The function that builds the net, with the arguments that builders of the registry have and that suit any net of rows."""
    return partial(_build, net.rows, require_whole(net), net.name or "net")


def _build(
    rows: Rows, shape: tuple[int, ...], name: str, *, towers: int = 1, seed: int = 0, devices: Any = None
) -> Sequential:
    require_choice(name, "towers", towers, (1,))
    return build_net(rows, shape, name, places_of(name, 1, devices)[0], seed=seed)
