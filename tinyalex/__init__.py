"""tinyalex: AlexNet in NumPy, every derivative by hand.

    import tinyalex as ta

Layers, loss, optimizer and schedules are here; networks are in `tinyalex.models`, data in `tinyalex.data`, training in
`tinyalex.training`, the numerical proof of every gradient in `tinyalex.gradcheck`.
"""

from tinyalex.devices import CpuDevice, Device, get_device
from tinyalex.errors import (
    CallOrderError,
    CheckpointError,
    DataError,
    DeviceError,
    DiskFull,
    DivergedError,
    Interrupted,
    OutOfMemory,
    ShapeError,
    TinyalexError,
)
from tinyalex.init import Constant, FanIn, Gaussian
from tinyalex.layers import (
    AbsTanh,
    AvgPool2d,
    Conv2d,
    Dropout,
    Exchange,
    Flatten,
    Gather,
    Layer,
    Linear,
    LocalContrastNorm,
    LocallyConnected2d,
    LocalResponseNorm,
    MaxPool2d,
    Pair,
    ReLU,
    Sequential,
    Sigmoid,
    SpatialResponseNorm,
    Split,
    Tanh,
)
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.optim import SGD
from tinyalex.schedule import Dexp, Plateau, Schedule, Steps

__version__ = "0.1.0"

__all__ = [
    "AbsTanh",
    "AvgPool2d",
    "CallOrderError",
    "CheckpointError",
    "Constant",
    "Conv2d",
    "CpuDevice",
    "DataError",
    "Device",
    "DeviceError",
    "Dexp",
    "DiskFull",
    "DivergedError",
    "Dropout",
    "Exchange",
    "FanIn",
    "Flatten",
    "Gather",
    "Gaussian",
    "Interrupted",
    "Layer",
    "Linear",
    "LocalContrastNorm",
    "LocalResponseNorm",
    "LocallyConnected2d",
    "MaxPool2d",
    "OutOfMemory",
    "Pair",
    "Plateau",
    "ReLU",
    "SGD",
    "Schedule",
    "Sequential",
    "ShapeError",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "SpatialResponseNorm",
    "Split",
    "Steps",
    "Tanh",
    "TinyalexError",
    "get_device",
]
