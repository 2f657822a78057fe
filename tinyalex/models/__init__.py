"""Networks: one file a family."""

from tinyalex.models.cifar import ACTIVATIONS, SETUPS, figure1_net

__all__ = ["ACTIVATIONS", "SETUPS", "figure1_net"]
