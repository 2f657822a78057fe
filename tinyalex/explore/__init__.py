"""A network as one web page: every number of a forward and a backward pass, unit by unit, computed here and shown there."""

from tinyalex.explore.passes import Pass, passes_of
from tinyalex.explore.selection import selected

__all__ = ["Pass", "passes_of", "selected"]
