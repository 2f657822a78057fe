"""A network that is split over two devices (paper 3.2): two towers compute at the same time, and exchange channels at a few links.

Between `Split` and `Gather` every value is a pair (a, b), with one array on each device. `Pair` computes on both devices at the same
time. Only `Split`, `Exchange` and `Gather` copy between devices, and the device that receives a copy logs its bytes.
"""

from tinyalex.towers.crossing import Crossing, Exchange, Gather, Split
from tinyalex.towers.pair import Pair, two_devices

__all__ = ["Crossing", "Exchange", "Gather", "Pair", "Split", "two_devices"]
