"""Networks as lists of rows: `alexnet.py` and `cifar.py` hold the lists, `rows.py` has the edits, `build.py` turns rows into layers."""

import importlib
from typing import TYPE_CHECKING

from tinyalex.models.build import build_rows
from tinyalex.models.cifar import ACTIVATIONS, SETUPS, figure1_net
from tinyalex.models.cifar_alexnet import cifar_alexnet
from tinyalex.models.options import alexnet, as_built
from tinyalex.models.registry import MODELS, build, rows_of
from tinyalex.models.variants import VARIANTS, differences

if TYPE_CHECKING:
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


if not TYPE_CHECKING:  # reading and writing files of weights is imported when it is first asked for: `import tinyalex` stays light

    def __getattr__(name: str) -> object:
        if name not in ("join_state", "match_state", "split_state"):
            raise AttributeError(f"module 'tinyalex.models' has no attribute {name!r}", name=name)
        return getattr(importlib.import_module("tinyalex.models.weights"), name)
