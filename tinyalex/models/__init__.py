"""Networks as lists of rows: `alexnet.py` and `cifar.py` hold the lists, `rows.py` has the edits, `build.py` turns rows into layers."""

from tinyalex.models.build import build_rows
from tinyalex.models.cifar import ACTIVATIONS, SETUPS, figure1_net
from tinyalex.models.cifar_alexnet import cifar_alexnet
from tinyalex.models.options import alexnet, as_built
from tinyalex.models.registry import MODELS, build, rows_of
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
    "build_rows",
    "cifar_alexnet",
    "differences",
    "figure1_net",
    "join_state",
    "match_state",
    "rows_of",
    "split_state",
]
