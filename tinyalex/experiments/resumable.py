"""What the experiments share: a work that is stopped says how to go on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tinyalex.errors import DiskFull, Interrupted
from tinyalex.training.signals import NAMES, Terminated, sigterm_raises


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
