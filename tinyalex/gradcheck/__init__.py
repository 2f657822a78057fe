"""The numerical check of every gradient. The theory is in `difference`, the checks are in `check`, and the cases in `table`."""

from tinyalex.gradcheck.check import NETWORK_STEPS, STEP, check_directions, check_layer, check_loss, check_network
from tinyalex.gradcheck.difference import TOLERANCE, Check, compare, kink_free, numerical_gradient

__all__ = [
    "NETWORK_STEPS",
    "STEP",
    "TOLERANCE",
    "Check",
    "check_directions",
    "check_layer",
    "check_loss",
    "check_network",
    "compare",
    "kink_free",
    "numerical_gradient",
]
