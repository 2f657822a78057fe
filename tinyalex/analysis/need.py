"""What one device needs in memory while a step is imitated, and the objects that stand for arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

KINDS = ("parameters", "gradients", "velocities", "input", "outputs", "caches", "gradients of outputs", "scratch")


@dataclass
class Need:
    """The memory that one device needs during a training step.

    peak: the most bytes at one moment. at: that moment, such as "backward of norm1".
    parts: bytes at that moment for each of `KINDS`. "outputs" are the outputs that backward still needs or a layer is reading;
        "caches" are the other arrays that layers keep for backward.
    now, moment: the bytes and the moment of the step that is being imitated.
    outer: the peaks that were noted before `begin`, which `end` has not brought back yet.
    """

    device: str
    peak: int = 0
    at: str = "the start"
    parts: dict[str, int] = field(default_factory=dict)
    now: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    moment: str = "the start"
    outer: list[tuple[int, str, dict[str, int]]] = field(default_factory=list)

    def change(self, kind: str, nbytes: int) -> None:
        """Count an array of `nbytes` bytes that was made; negative bytes are those of an array that was freed."""
        self.now[kind] += nbytes
        self.note(self.now, self.moment)

    def note(self, parts: dict[str, int], at: str) -> None:
        """Take these bytes as the peak if they are more than the peak so far."""
        if sum(parts.values()) > self.peak:
            self.peak, self.at, self.parts = sum(parts.values()), at, dict(parts)

    def begin(self) -> dict[str, int]:
        """Note the peak from now on by itself, until `end`; return the bytes that are there now."""
        self.outer.append((self.peak, self.at, self.parts))
        self.peak, self.at, self.parts = sum(self.now.values()), "", dict(self.now)
        return dict(self.now)

    def end(self) -> tuple[dict[str, int], str]:
        """Bring back the peak from before `begin`; return the one since then and its moment, "" if it was the beginning."""
        parts, at = self.parts, self.at
        self.peak, self.at, self.parts = self.outer.pop()
        return parts, at


class Ghost:
    """Stands for an array, without its elements. Its bytes count on its device until the object is freed."""

    def __init__(self, need: Need, kind: str, nbytes: int) -> None:
        self.need, self.kind, self.nbytes = need, kind, nbytes
        need.change(kind, nbytes)

    def __del__(self) -> None:
        self.need.change(self.kind, -self.nbytes)
