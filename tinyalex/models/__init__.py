"""Networks: one file a family."""

from tinyalex.models.alexnet import alexnet
from tinyalex.models.built import as_built
from tinyalex.models.cifar import ACTIVATIONS, SETUPS, figure1_net
from tinyalex.models.cifar_alexnet import cifar_alexnet
from tinyalex.models.registry import MODELS, build
from tinyalex.models.variants import VARIANTS, differences
from tinyalex.models.weights import join_state, match_state, split_state

__all__ = [
    "ACTIVATIONS",
    "MODELS",
    "SETUPS",
    "VARIANTS",
    "alexnet",
    "as_built",
    "build",
    "cifar_alexnet",
    "differences",
    "figure1_net",
    "join_state",
    "match_state",
    "split_state",
]
