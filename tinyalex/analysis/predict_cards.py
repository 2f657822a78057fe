"""The published peaks of some graphics cards, and the published timing from which the one efficiency of `predict` comes.

None of the figures was measured here. They are published ones, but for those that `source` says were not found, the rates of PCIe, and
whether the Titans and the 1080 Ti read each other's memory: these are what the authors know of such cards. Each peak is computed from two
facts (cores and clock, width and rate of the memory) and compared with the peak that is published as one number, so a wrong unit in the
table cannot stay unnoticed.

Where a card raises its clock by itself, its highest published clock counts, as in the makers' own peaks. The choice matters: by the lower
clock of the Titan Black, 889 MHz, the efficiency would be 0.399, and the paper's 5 to 6 days 1.08 to 1.30 times the prediction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tinyalex.errors import DataError, ShapeError, did_you_mean, show

GIB = 2**30
PCIE2, PCIE3, PCIE4, PCIE5 = 8.0e9, 15.75e9, 31.5e9, 63.0e9  # bytes in a second in one direction, 16 lanes, without the line code
CLOSE = 0.02  # how far two published figures of one peak may differ, because makers round
LEAST_MEMORY, MOST_MEMORY = GIB, 1024 * GIB
LEAST_PER_BYTE, MOST_PER_BYTE = 5, 50  # operations for each byte of memory traffic: outside of these, bits were taken for bytes


@dataclass(frozen=True)
class Card:
    """A graphics card with the figures that its maker published.

    name: the name for `--predict`. title: the name of the maker.
    cores, clock: how many float32 units there are, and their highest published clock in Hz. Each unit multiplies and adds in one clock.
    pins, rate: the width of the memory in bits, and the bits that each pin carries in a second.
    memory: bytes. bus: bytes that the bus to the host carries in a second in one direction.
    link: bytes that go to another such card in a second in one direction.
    direct: whether one card reads the memory of another. If not, a copy goes to the host and from there to the other card.
    operations, traffic: the peaks as they are published: float32 operations and bytes of the card's memory in a second.
    source: where the figures are published.

    Raises
    ------
    DataError: a published peak differs from the one that its parts give, or the two peaks cannot be those of one card.
    """

    name: str
    title: str
    cores: int
    clock: float
    pins: int
    rate: float
    memory: int
    bus: float
    link: float
    direct: bool
    operations: float
    traffic: float
    source: str

    def __post_init__(self) -> None:
        of_parts = {"operations": 2 * self.cores * self.clock, "traffic": self.pins * self.rate / 8}
        for peak, expected in of_parts.items():
            given = getattr(self, peak)
            if abs(given - expected) > CLOSE * given:
                rule = f"the peak of {peak} must be {expected:.4g} in a second, as its parts give"
                raise DataError(f"{self.name}: {rule}, got {given:.4g}; one of them has a wrong unit")
        ratio = self.operations / self.traffic
        if not LEAST_PER_BYTE <= ratio <= MOST_PER_BYTE:
            rule = f"operations for each byte must be {LEAST_PER_BYTE} to {MOST_PER_BYTE}"
            raise DataError(f"{self.name}: {rule}, got {ratio:.4g}; a unit is wrong")
        if not LEAST_MEMORY <= self.memory <= MOST_MEMORY:
            raise DataError(f"{self.name}: memory must be {LEAST_MEMORY:,} to {MOST_MEMORY:,} bytes, got {self.memory:,}")
        if not PCIE2 <= self.bus <= self.link < self.traffic:
            rule = "the memory must be faster than the link, that at least as fast as the bus, and that at least PCIe 2"
            got = f"{self.traffic:.4g}, {self.link:.4g} and {self.bus:.4g} bytes a second"
            raise DataError(f"{self.name}: {rule}, got {got}")


CARDS = {
    card.name: card
    for card in (
        Card(
            "gtx580", "GeForce GTX 580", 512, 1544e6, 384, 4.008e9, 3 * GIB, PCIE2, PCIE2, True, 1.581e12, 192.4e9,
            "cores and clock: bit-tech.net, GeForce GTX 580 review; memory: grafikkartentest.net, GeForce GTX 580; "
            "3 GiB and cards that read each other's memory: sections 2 and 3.2 of the paper",
        ),
        Card(
            "titanblack", "GeForce GTX Titan Black", 2880, 980e6, 384, 7.0e9, 6 * GIB, PCIE3, PCIE3, True, 5.645e12, 336e9,
            "cores and memory: guru3d.com, GTX Titan Black review; the boost clock and the memory's rate were not found in a source",
        ),
        Card(
            "titanx", "GeForce GTX Titan X (Maxwell)", 3072, 1075e6, 384, 7.01e9, 12 * GIB, PCIE3, PCIE3, True, 6.605e12, 336.5e9,
            "hothardware.com, GeForce GTX Titan X review (boost clock)",
        ),
        Card(
            "gtx1080ti", "GeForce GTX 1080 Ti", 3584, 1582e6, 352, 11.01e9, 11 * GIB, PCIE3, PCIE3, True, 11.34e12, 484e9,
            "vortez.net, GTX 1080 Ti review (boost clock)",
        ),
        Card(
            "rtx3090", "GeForce RTX 3090", 10496, 1695e6, 384, 19.5e9, 24 * GIB, PCIE4, PCIE4, False, 35.58e12, 936e9,
            "fudzilla.net, RTX 30 series specifications; not found in a source: the boost clock, and that no card reads another's memory",
        ),
        Card(
            "h100", "H100 SXM5", 16896, 1980e6, 5120, 5.234e9, 80 * GIB, PCIE5, 450e9, True, 66.9e12, 3.35e12,
            "glennklockwood.com, H100 (NVIDIA's whitepaper): float32 outside of tensor cores, NVLink 4",
        ),
        Card(
            "h200", "H200 SXM", 16896, 1980e6, 6144, 6.25e9, 141 * 10**9, PCIE5, 450e9, True, 66.9e12, 4.8e12,
            "glennklockwood.com, H100 and H200 (NVIDIA's data sheet): float32 outside of tensor cores, NVLink 4",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Timing:
    """A published time of one forward and one backward pass, in seconds, without the update of the parameters."""

    card: str
    net: str
    settings: dict[str, bool]
    batch: int
    forward: float
    backward: float
    software: str
    source: str

    @property
    def seconds(self) -> float:
        """Seconds of both passes."""
        return self.forward + self.backward


_NET = ("alexnet-torchvision", {"dropout": False}, 128)  # one tower, 64 filters in conv1: the net of these benchmarks
_SOURCE = "github.com/soumith/convnet-benchmarks, README"
REFERENCE = Timing("titanblack", *_NET, 88e-3, 187e-3, "cuda-convnet2", f"{_SOURCE} at commit 7aa9cf9 of 2014-12-19")
CHECKS = (
    Timing("titanx", *_NET, 42e-3, 135e-3, "cuda-convnet2", f"{_SOURCE} at its newest commit"),
    Timing("titanx", *_NET, 27e-3, 53e-3, "cuDNN R4", f"{_SOURCE} at its newest commit"),
)


def parse_cards(text: str) -> tuple[Card, int]:
    """The card and how many of them, 1 or 2, that a text such as `gtx580` or `gtx580x2` names.

    Raises
    ------
    ShapeError: there is no such card in the table, or not one or two of them.

    Example
    -------
    >>> card, number = parse_cards("gtx580x2")
    >>> card.title, number
    ('GeForce GTX 580', 2)
    """
    found = re.fullmatch(r"(.+?)(?:x([12]))?", text.strip().lower().replace(" ", "").replace("-", ""))
    name, number = (found[1], int(found[2] or 1)) if found else ("", 1)
    if name not in CARDS:
        rule = f"--predict must be one of {', '.join(CARDS)}, or two of one, such as gtx580x2"
        near = did_you_mean(re.sub(r"x\d+$", "", name), CARDS)
        raise ShapeError(f"net: {rule}, got {show(text)}", near)
    return CARDS[name], number
