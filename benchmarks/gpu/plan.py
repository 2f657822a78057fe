"""The stages in the order of their value, each with its share of the time, and what each reports."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinyalex.errors import ShapeError, did_you_mean, show


@dataclass(frozen=True)
class Stage:
    """A stage. name: also that of its module. title: for the table. share: of the whole time; what it leaves goes to the next stages."""

    name: str
    title: str
    share: float


STAGES = (
    Stage("suite", "tests of the package on the card", 0.25),
    Stage("parity", "a training step on the card and on the CPU", 0.15),
    Stage("oracles", "each layer of AlexNet against the CPU in float64", 0.12),
    Stage("rival", "AlexNet beside PyTorch", 0.16),
    Stage("shares", "each layer's share of the card's own speed", 0.10),
    Stage("figure1", "Figure 1 to 25 % training error", 0.22),
)


@dataclass(frozen=True)
class Finding:
    """One result of a stage.

    name: what was looked at. said: the result in words, for the table. ok: whether a check passed; None where nothing was checked.
    numbers: everything that was measured, for the JSON file.
    """

    name: str
    said: str
    ok: bool | None = None
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What a stage is given. devices: names, one or two. quick: tiny inputs. stub: no card, NumPy in its place. ends: see `left`."""

    devices: tuple[str, ...]
    quick: bool
    stub: bool
    ends: float

    def left(self) -> float:
        """Seconds until this stage is ended."""
        return self.ends - time.monotonic()

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Where two towers may be: both on the first card, and one on each of two if there are two."""
        yield self.devices[0], self.devices[0]
        if len(self.devices) > 1:
            yield self.devices[0], self.devices[1]


def choose(names: Sequence[str] | None) -> list[Stage]:
    """The stages with these names, in the order of `STAGES`; all for None. ShapeError: there is no such stage."""
    known = [stage.name for stage in STAGES]
    for name in names or ():
        if name not in known:
            rule = f"gpu: --only must be of {', '.join(known)}, got {show(name)}"
            raise ShapeError(rule, did_you_mean(name, known))
    return [stage for stage in STAGES if names is None or stage.name in names]


def deadlines(stages: Sequence[Stage], seconds: float) -> list[float]:
    """When each stage must end, in seconds from the start. A stage that is done early leaves its time to those after it."""
    whole, ends, so_far = sum(stage.share for stage in stages), [], 0.0
    for stage in stages:
        so_far += stage.share / whole
        ends.append(seconds * so_far)
    return ends
