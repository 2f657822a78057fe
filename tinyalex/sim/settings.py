"""What the simulated card does beside running kernels: it looks for races, and it counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinyalex.sim.ptx.count import Profile


@dataclass
class Settings:
    """races: whether accesses are logged, which makes a kernel up to three times as slow. profile: where to count, or None."""

    races: bool = True
    profile: Profile | None = None
    launches: int = 0
    instructions: int = 0


_thread = threading.local()


def current() -> Settings:
    """The settings of the calling thread."""
    if not hasattr(_thread, "settings"):
        _thread.settings = Settings()
    found: Settings = _thread.settings
    return found


def count(launch: Any) -> None:
    """Count a launch."""
    now = current()
    now.launches += 1
    now.instructions += launch.instructions


@contextmanager
def races(on: bool) -> Iterator[None]:
    """Look for races inside of the `with` block, or do not. Otherwise the card looks for them."""
    now = current()
    before, now.races = now.races, on
    try:
        yield
    finally:
        now.races = before


@contextmanager
def profile() -> Iterator[Profile]:
    """Count what kernels do inside of the `with` block; `print(profile)` is a table.

    Example
    -------
        with sim.profile() as counts:
            kernel((8,), (128,), (x, y, np.int32(1000)))
        print(counts)
    """
    from tinyalex.sim.ptx.count import Profile

    now, counts = current(), Profile()
    before, now.profile = now.profile, counts
    try:
        yield counts
    finally:
        now.profile = before
