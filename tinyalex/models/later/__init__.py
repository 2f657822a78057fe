"""The networks after AlexNet, each a screen of rows: see `tinyalex.models.later.table`."""

from tinyalex.models.later.table import GROUPS, LATER, build_later, near_later

__all__ = ["GROUPS", "LATER", "build_later", "near_later"]
