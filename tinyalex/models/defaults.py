"""What a row means where it does not name a setting: the defaults of the layers' classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinyalex.init import Gaussian, zeros

_DRAWN: Mapping[str, Any] = {"weight_init": Gaussian(0.01), "bias_init": zeros}
_WINDOWS: Mapping[str, Any] = {"padding": 0, "ceil_mode": False}
_LOCAL: Mapping[str, Any] = {**_WINDOWS, **_DRAWN, "stride": 1, "input_gradient": True}
_POOL: Mapping[str, Any] = {**_WINDOWS, "stride": None}  # None: the size of the window
DEFAULTS: Mapping[str, Mapping[str, Any]] = {  # by kind; a test compares them with the classes
    "conv": {**_LOCAL, "groups": 1, "bias": True},
    "local": _LOCAL,
    "linear": {**_DRAWN, "groups": 1, "input_gradient": True},
    "pool": _POOL,
    "mean_pool": {**_POOL, "count_padding": False},
    "norm": {"n": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75, "alpha_over_n": False, "groups": 1},
    "dropout": {"p": 0.5, "scale": "test", "seed": 0, "part": (0, 1)},
    "shortcut": {"stride": 1, "zeros": "behind"},
}
