"""What the experiments share: the folder of a work, and a work that is stopped says how to go on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tinyalex.errors import CheckpointError, DiskFull, Interrupted
from tinyalex.files.atomic import make_folder
from tinyalex.training.checkpoint import checkpoint_files
from tinyalex.training.signals import NAMES, Terminated, sigterm_raises


def open_folder(who: str, folder: Path, files: Iterable[str], ours: Callable[[], Any]) -> None:
    """Make the folder of a work.

    who: the name of the command. files: the names of its results. ours: () -> whether the folder holds runs of the command.

    Raises
    ------
    CheckpointError: the folder holds files of something else, or a folder is in the place of a result.
    """
    there = [folder / name for name in files if (folder / name).exists()]
    strange = [*checkpoint_files(folder), *(there if there and not ours() else ())]  # the checkpoints of its runs are in their folders
    if strange:
        got = f"files of something else, such as {strange[0].name}"
        raise CheckpointError(f"{folder}: --out must be a new folder or one of tinyalex {who}, got {got}; name another")
    for path in there:
        if not path.is_file():
            raise CheckpointError(f"{path}: the place of a result must be free or a file's, got a folder; move it away")
    make_folder(folder)


@contextlib.contextmanager
def resumable(who: str, folder: Path, command: str) -> Iterator[None]:
    """While entered, every error that stops the work names the command that continues it. SIGTERM stops the work as Ctrl-C does.

    who: the name of the command. folder: where the work is. command: the command line that continues it.
    """
    try:
        with sigterm_raises():
            yield
    except Interrupted as stop:  # it came during a run, and the run is saved
        text, code = stop.sentence, stop.exit_code
    except KeyboardInterrupt as stop:
        number = 15 if isinstance(stop, Terminated) else 2
        text, code = f"{who}: the work was stopped by {NAMES[number]}", 128 + number
    except DiskFull as full:
        raise DiskFull(full.sentence, f"make room and go on with: {command}") from None
    else:
        return
    raise Interrupted(text, code, folder, f"go on with: {command}")
