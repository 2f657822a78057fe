"""Geometries for Hypothesis: sizes, windows and padding are drawn, values never."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """A batch of n images (C, H, W) and windows on them; `padding` as a layer takes it, `sides` as four numbers."""

    n: int
    channels: int
    size: Pair
    kernel: Pair
    stride: Pair
    padding: Any
    sides: tuple[int, int, int, int]
    ceil: bool
    groups: int = 1
    out_channels: int = 1

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return (self.n, self.channels, *self.size)

    @property
    def windows(self) -> dict[str, Any]:
        """What the oracles are told. "same" has a number of windows of its own, with or without ceil."""
        return {"stride": self.stride, "padding": self.sides, "ceil": self.ceil and self.padding != "same"}

    @property
    def settings(self) -> dict[str, Any]:
        """What the layers are told."""
        return {"stride": self.stride, "padding": self.padding, "ceil_mode": self.ceil}


def same_sides(size: Pair, kernel: Pair, stride: Pair) -> tuple[int, int, int, int]:
    """The least padding with ceil(size / stride) windows that cover the image, the odd one last."""
    sides: list[int] = []
    for n, k, s in zip(size, kernel, stride, strict=True):
        count, total = (n + s - 1) // s, 0
        while 1 + (n + total - k) // s < count:
            total += 1
        sides += [total // 2, total - total // 2]
    return (sides[0], sides[1], sides[2], sides[3])


@st.composite
def geometries(draw: st.DrawFn, pooling: bool = False, groups: bool = False) -> Geometry:
    """Windows of 1 to 4, strides of 1 to 4, padding of every kind; for pooling it is smaller than the window."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    most = (kernel[0] - 1, kernel[1] - 1) if pooling else (4, 4)
    kind = draw(st.sampled_from(["number", "sides", "same", "valid"]))
    padding: Any = kind
    sides = (0, 0, 0, 0)
    if kind == "number":
        padding = draw(st.integers(0, min(most)))
        sides = (padding,) * 4
    elif kind == "sides":
        padding = sides = draw(st.tuples(*(st.integers(0, most[axis]) for axis in (0, 0, 1, 1))))
    least = (1, 1) if kind == "same" else (max(1, kernel[0] - sum(sides[:2])), max(1, kernel[1] - sum(sides[2:])))
    size = (draw(st.integers(least[0], least[0] + 5)), draw(st.integers(least[1], least[1] + 5)))
    if kind == "same":
        sides = same_sides(size, kernel, stride)
    g = draw(st.integers(1, 3)) if groups else 1
    return Geometry(
        n=draw(st.integers(1, 3)),
        channels=g * draw(st.integers(1, 2)),
        size=size,
        kernel=kernel,
        stride=stride,
        padding=padding,
        sides=sides,
        ceil=draw(st.booleans()),
        groups=g,
        out_channels=g * draw(st.integers(1, 3)),
    )
