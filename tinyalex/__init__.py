"""tinyalex: AlexNet in NumPy, every derivative by hand.

    import tinyalex as ta

Layers, loss, optimizer, schedules and `Trainer`, `evaluate`, `load_dataset` are here. Networks are in `ta.models`, data in `ta.data`,
training in `ta.training`, the numerical proof of every gradient in `ta.gradcheck`, what is raised in `ta.errors`.
"""

import importlib
import sys
from typing import TYPE_CHECKING

from tinyalex import errors
from tinyalex.devices import CpuDevice, Device, get_device
from tinyalex.errors import (
    CallOrderError as CallOrderError,
    CheckpointError as CheckpointError,
    DataError as DataError,
    DeviceError as DeviceError,
    DiskFull as DiskFull,
    DivergedError as DivergedError,
    Interrupted as Interrupted,
    OutOfMemory as OutOfMemory,
    ShapeError as ShapeError,
    TinyalexError as TinyalexError,
)
from tinyalex.init import Constant, FanIn, Gaussian
from tinyalex.layers import (
    AbsTanh,
    AvgPool2d,
    BatchNorm2d,
    Both,
    Branches,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GroupNorm,
    Layer,
    Linear,
    LocalContrastNorm,
    LocallyConnected2d,
    LocalResponseNorm,
    MaxPool2d,
    Product,
    ReLU,
    Scale,
    Sequential,
    Sigmoid,
    SpatialResponseNorm,
    Sum,
    Tanh,
    ZeroShortcut,
)
from tinyalex.loss import SoftmaxCrossEntropy, WeightedHeads
from tinyalex.optim import SGD
from tinyalex.schedule import Dexp, Plateau, Schedule, Steps
from tinyalex.towers import Exchange, Gather, Pair, Split

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tinyalex import data, gradcheck, models, training
    from tinyalex.data import load_dataset
    from tinyalex.training import Trainer
    from tinyalex.training.evaluate import evaluate

_LAZY = {  # loaded when first asked for, so that `import tinyalex` stays light
    "Trainer": "tinyalex.training",
    "data": "",
    "evaluate": "tinyalex.training",
    "gradcheck": "",
    "load_dataset": "tinyalex.data",
    "models": "",
    "training": "",
}

__all__ = [
    "AbsTanh",
    "AvgPool2d",
    "BatchNorm2d",
    "Both",
    "Branches",
    "Concat",
    "Constant",
    "Conv2d",
    "CpuDevice",
    "Device",
    "Dexp",
    "Dropout",
    "Exchange",
    "FanIn",
    "Flatten",
    "Gather",
    "Gaussian",
    "GlobalAvgPool2d",
    "GroupNorm",
    "Layer",
    "Linear",
    "LocalContrastNorm",
    "LocalResponseNorm",
    "LocallyConnected2d",
    "MaxPool2d",
    "Pair",
    "Plateau",
    "Product",
    "ReLU",
    "SGD",
    "Scale",
    "Schedule",
    "Sequential",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "SpatialResponseNorm",
    "Split",
    "Steps",
    "Sum",
    "Tanh",
    "Trainer",
    "WeightedHeads",
    "ZeroShortcut",
    "data",
    "errors",
    "evaluate",
    "get_device",
    "gradcheck",
    "load_dataset",
    "models",
    "training",
]


if not TYPE_CHECKING:  # for a type checker every misspelled name would exist

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            here = sys.modules[__name__]  # with it Python's traceback names the attribute that was probably meant
            raise AttributeError(f"module 'tinyalex' has no attribute {name!r}", name=name, obj=here)
        home = importlib.import_module(_LAZY[name] or f"tinyalex.{name}")
        value = getattr(home, name) if _LAZY[name] else home
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
