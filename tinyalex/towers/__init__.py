"""A network split over two devices (paper 3.2): two towers that work at the same time and exchange channels at a few links.

Between `Split` and `Gather` every value is a pair (a, b), one array on each device. `Pair` computes with both at once;
only `Split`, `Exchange` and `Gather` copy between devices, and the device that receives a copy logs its bytes.
"""

from tinyalex.towers.crossing import Crossing, Exchange, Gather, Split
from tinyalex.towers.pair import Pair, two_devices

__all__ = ["Crossing", "Exchange", "Gather", "Pair", "Split", "two_devices"]
