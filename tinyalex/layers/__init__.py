"""The layers. Each file has one idea: the derivation, the plain functions that compute it, and the layer class."""

from tinyalex.layers.activation import AbsTanh, ReLU, Sigmoid, Tanh
from tinyalex.layers.base import Layer
from tinyalex.layers.batch_norm import BatchNorm2d
from tinyalex.layers.branches import Branches
from tinyalex.layers.contrast import LocalContrastNorm
from tinyalex.layers.conv import Conv2d
from tinyalex.layers.dropout import Dropout
from tinyalex.layers.group_norm import GroupNorm
from tinyalex.layers.linear import Flatten, Linear
from tinyalex.layers.local import LocallyConnected2d
from tinyalex.layers.lrn import LocalResponseNorm
from tinyalex.layers.merge import Both, Concat, Product, Sum
from tinyalex.layers.pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from tinyalex.layers.scale import Scale
from tinyalex.layers.sequential import Sequential
from tinyalex.layers.shortcut import ZeroShortcut
from tinyalex.layers.spatial import SpatialResponseNorm

__all__ = [
    "AbsTanh",
    "AvgPool2d",
    "BatchNorm2d",
    "Both",
    "Branches",
    "Concat",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
    "GroupNorm",
    "Layer",
    "Linear",
    "LocalContrastNorm",
    "LocalResponseNorm",
    "LocallyConnected2d",
    "MaxPool2d",
    "Product",
    "ReLU",
    "Scale",
    "Sequential",
    "Sigmoid",
    "SpatialResponseNorm",
    "Sum",
    "Tanh",
    "ZeroShortcut",
]
