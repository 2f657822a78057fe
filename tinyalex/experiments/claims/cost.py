"""What the net of a variant costs: its parameters and the multiply-adds of one image."""

from __future__ import annotations

from functools import cache

from tinyalex.analysis.count import count, totals
from tinyalex.devices.dry import DryDevice
from tinyalex.experiments.claims.plan import VARIANTS

CLASSES = 10


@cache
def cost_of(name: str) -> tuple[int, int]:
    """Parameters and multiply-adds of a variant for ten classes, of an ensemble the sums over its members. No array is made.

    Example
    -------
    >>> cost_of("resnet-20"), cost_of("bottleneck-29")
    ((269722, 40551040), (270234, 41863680))
    """
    variant = VARIANTS[name]
    if variant.build is None:
        costs = [cost_of(member) for member in variant.members]
        return sum(parameters for parameters, _ in costs), sum(macs for _, macs in costs)
    found = totals(count(variant.build(0, CLASSES, DryDevice())))
    return found.parameters, found.macs
