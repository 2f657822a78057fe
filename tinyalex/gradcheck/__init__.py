"""The numerical proof of every gradient: the theory is in `difference`, the checks in `check`, the cases in `table`."""

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
