"""The rows of the contract test, each a layer in one configuration, and `refuses`, with which every test checks an error message."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tinyalex as ta

SENTENCE = re.compile(r"^\S.*: .+ must .+, got .+", re.DOTALL)  # <who>: <quantity> must <rule>, got <value>


@contextmanager
def refuses(error: type[Exception], text: str) -> Iterator[None]:
    """Assert that the block raises `error`, that `text` is in its message, and that the message has the form of every message."""
    with pytest.raises(error, match=re.escape(text)) as caught:
        yield
    assert SENTENCE.match(str(caught.value.args[0])), caught.value


def rng(seed: int = 0) -> np.random.Generator:
    """A new generator for each use."""
    return np.random.default_rng(seed)


def values(shape: tuple[int, ...], seed: int = 0, dtype: Any = np.float64) -> np.ndarray[Any, Any]:
    """An array of standard normal values, in which no two are equal."""
    return rng(seed).standard_normal(shape).astype(dtype)


@dataclass(frozen=True)
class Row:
    """A layer in one configuration.

    make: (device, dtype) -> the layer; each call makes the same weights.
    in_shape: the shape of one image. text: the `repr` of the layer on the CPU.
    foreign: shapes of batches that the layer refuses, each with the text of its message.
    """

    label: str
    make: Callable[..., ta.Layer]
    in_shape: tuple[int, ...]
    text: str
    foreign: tuple[tuple[tuple[int, ...], str], ...] = ()

    def __str__(self) -> str:
        return self.label

    def build(self, device: Any = "cpu", dtype: Any = np.float64) -> ta.Layer:
        return self.make(device=device, dtype=dtype)

    def x(self, n: int = 3, dtype: Any = np.float64, seed: int = 1) -> np.ndarray[Any, Any]:
        return values((n, *self.in_shape), seed, dtype)

    def dout(self, n: int = 3, dtype: Any = np.float64, seed: int = 2) -> np.ndarray[Any, Any]:
        return values((n, *self.build().output_shape(self.in_shape)), seed, dtype)


RANK_4 = ((2, 4, 6), "x must have 4 axes (N, C, H, W), got float64 array of shape (2, 4, 6)")
RANK_2 = ((2, 3, 4), "x must have 2 axes (N, F), got float64 array of shape (2, 3, 4)")
NO_BATCH = ((7,), "x must have at least 2 axes and no axis of length 0, got float64 array of shape (7,)")


def conv(*args: Any, **kw: Any) -> Callable[..., ta.Layer]:
    return lambda **where: ta.Conv2d(*args, weight_init=ta.Gaussian(0.5), bias_init=ta.Gaussian(0.5), rng=rng(), **kw, **where)


def local(*args: Any, **kw: Any) -> Callable[..., ta.Layer]:
    return lambda **where: ta.LocallyConnected2d(*args, weight_init=ta.Gaussian(0.5), bias_init=ta.Gaussian(0.5), rng=rng(), **kw, **where)


def small_net(device: Any, dtype: Any) -> ta.Layer:
    """A net for images of 8x8 with every kind of layer that AlexNet has."""
    where: dict[str, Any] = {"device": device, "dtype": dtype}
    features = ta.Sequential(
        [
            conv(2, 4, 3, padding=1, name="conv1")(**where),
            ta.ReLU(name="relu1", **where),
            ta.LocalResponseNorm(3, alpha=0.1, name="norm1", **where),
            ta.MaxPool2d(3, stride=2, name="pool1", **where),
            conv(4, 4, 3, padding=1, groups=2, name="conv2")(**where),
            ta.Tanh(name="tanh2", **where),
        ],
        name="features",
    )
    head = [ta.Flatten(name="flatten", **where), ta.Linear(36, 5, rng=rng(3), weight_init=ta.Gaussian(0.3), name="fc", **where)]
    return ta.Sequential([features, *head], in_shape=(2, 8, 8))


def residual_block(device: Any = "cpu", dtype: Any = np.float64) -> ta.Layer:
    """A residual block whose shortcut passes x on."""
    where: dict[str, Any] = {"device": device, "dtype": dtype}
    path = [
        conv(3, 4, 3, padding=1, bias=False, name="conv1")(**where),
        ta.BatchNorm2d(4, rng=rng(), name="bn1", **where),
        ta.ReLU(name="relu1", **where),
        conv(4, 3, 1, name="conv2")(**where),
    ]
    return ta.Sequential([ta.Branches([path, []], ta.Sum(**where))], in_shape=(3, 6, 5))


def two_paths(device: Any = "cpu", dtype: Any = np.float64) -> ta.Layer:
    """A module of two convolutions and a pooling, side by side."""
    where: dict[str, Any] = {"device": device, "dtype": dtype}
    pooling = [ta.MaxPool2d(3, stride=1, padding=1, **where), conv(3, 1, 1, name="conv3")(**where)]
    paths = [[conv(3, 2, 1, name="conv1")(**where), ta.ReLU(**where)], [conv(3, 2, 3, padding=1, name="conv2")(**where)], pooling]
    return ta.Sequential([ta.Branches(paths, ta.Concat(**where))], in_shape=(3, 6, 5))


ROWS = [
    Row("conv", conv(4, 6, 3), (4, 7, 6), "Conv2d('conv', 4->6, kernel 3, stride 1, cpu)",
        (RANK_4, ((2, 3, 7, 6), "x must have 4 channels on axis 1 of (N, C, H, W), got ('N', 3, 7, 6)"),
         ((2, 4, 2, 6), "input height with padding must be at least 3, the kernel's, got 2"))),
    Row("conv-groups", conv(4, 6, (3, 2), padding="same", groups=2), (4, 5, 6),
        "Conv2d('conv', 4->6, kernel 3x2, stride 1, padding same, groups 2, cpu)", (RANK_4,)),
    Row("conv-strided", conv(3, 4, 5, stride=(2, 3), padding=(1, 2, 0, 3)), (3, 9, 10),
        "Conv2d('conv', 3->4, kernel 5, stride 2x3, padding (1, 2, 0, 3), cpu)", (RANK_4,)),
    Row("conv-ceil", conv(3, 4, 3, stride=2, ceil_mode=True), (3, 6, 8), "Conv2d('conv', 3->4, kernel 3, stride 2, ceil, cpu)", (RANK_4,)),
    Row("conv-1x1", conv(5, 2, 1), (5, 4, 4), "Conv2d('conv', 5->2, kernel 1, stride 1, cpu)", (RANK_4,)),
    Row("conv-winograd-strided", conv(4, 6, (3, 5), stride=(1, 2), padding=(2, 0, 1, 3), groups=2, algorithm="winograd"), (4, 8, 7),
        "Conv2d('conv', 4->6, kernel 3x5, stride 1x2, padding (2, 0, 1, 3), groups 2, winograd, cpu)", (RANK_4,)),
    Row("conv-winograd", conv(4, 6, (3, 5), padding=(2, 0, 1, 3), groups=2, algorithm="winograd"), (4, 8, 7),
        "Conv2d('conv', 4->6, kernel 3x5, stride 1, padding (2, 0, 1, 3), groups 2, winograd, cpu)", (RANK_4,)),
    Row("conv-strips", conv(4, 6, (3, 5), stride=(1, 2), padding=(2, 0, 1, 3), groups=2, algorithm="strips"), (4, 8, 7),
        "Conv2d('conv', 4->6, kernel 3x5, stride 1x2, padding (2, 0, 1, 3), groups 2, strips, cpu)", (RANK_4,)),
    Row("conv-plain", conv(4, 6, (3, 5), stride=(1, 2), padding=(2, 0, 1, 3), groups=2, algorithm="plain"), (4, 8, 7),
        "Conv2d('conv', 4->6, kernel 3x5, stride 1x2, padding (2, 0, 1, 3), groups 2, plain, cpu)", (RANK_4,)),
    Row("conv-lines", conv(3, 4, (3, 5), stride=(2, 1), padding=(1, 0, 2, 3), algorithm="lines", input_gradient=False), (3, 8, 7),
        "Conv2d('conv', 3->4, kernel 3x5, stride 2x1, padding (1, 0, 2, 3), lines, cpu)", (RANK_4,)),
    Row("local", local(3, 4, (3, 2), in_size=(6, 5), stride=(1, 2), padding=(1, 1, 0, 1)), (3, 6, 5),
        "LocallyConnected2d('local', 3->4, input 6x5, kernel 3x2, stride 1x2, padding (1, 1, 0, 1), cpu)",
        (RANK_4, ((2, 4, 6, 5), "x must have shape ('N', 3, 6, 5), got ('N', 4, 6, 5)"))),
    Row("local-ceil", local(2, 3, 3, in_size=6, stride=2, ceil_mode=True), (2, 6, 6),
        "LocallyConnected2d('local', 2->3, input 6x6, kernel 3, stride 2, ceil, cpu)", (RANK_4,)),
    Row("linear", lambda **w: ta.Linear(7, 5, rng=rng(), weight_init=ta.Gaussian(0.5), bias_init=ta.Gaussian(0.5), **w), (7,),
        "Linear('linear', 7->5, cpu)",
        (RANK_2, ((2, 6), "x must have shape (N, 7), got ('N', 6)"))),
    Row("linear-groups", lambda **w: ta.Linear(6, 4, groups=2, rng=rng(), weight_init=ta.Gaussian(0.5), **w), (6,),
        "Linear('linear', 6->4, groups 2, cpu)", (RANK_2, ((2, 5), "x must have shape (N, 6), got ('N', 5)"))),
    Row("linear-plain", lambda **w: ta.Linear(7, 5, rng=rng(), weight_init=ta.Gaussian(0.5), algorithm="plain", **w), (7,),
        "Linear('linear', 7->5, plain, cpu)", (RANK_2,)),
    Row("flatten", ta.Flatten, (3, 4, 2), "Flatten('flatten', cpu)", (NO_BATCH,)),
    Row("relu", ta.ReLU, (3, 4, 5), "ReLU('relu', cpu)", (NO_BATCH,)),
    Row("relu-flat", ta.ReLU, (6,), "ReLU('relu', cpu)", (NO_BATCH,)),
    Row("tanh", ta.Tanh, (3, 4, 5), "Tanh('tanh', cpu)", (NO_BATCH,)),
    Row("tanh-scaled", lambda **w: ta.Tanh(1.7159, -2 / 3, **w), (9,), "Tanh('tanh', a 1.7159, b -0.666667, cpu)", (NO_BATCH,)),
    Row("abstanh", lambda **w: ta.AbsTanh(-1.5, 0.5, **w), (3, 4, 5), "AbsTanh('abstanh', a -1.5, b 0.5, cpu)", (NO_BATCH,)),
    Row("sigmoid", ta.Sigmoid, (3, 4, 5), "Sigmoid('sigmoid', cpu)", (NO_BATCH,)),
    Row("norm", ta.LocalResponseNorm, (7, 4, 3), "LocalResponseNorm('norm', n 5, k 2, alpha 0.0001, beta 0.75, cpu)", (RANK_4,)),
    Row("norm-groups", lambda **w: ta.LocalResponseNorm(4, 1, 1, 0.6, groups=2, alpha_over_n=True, **w), (6, 4, 3),
        "LocalResponseNorm('norm', n 4, k 1, alpha 1/n, beta 0.6, groups 2, cpu)",
        (RANK_4, ((2, 7, 4, 3), "channels must be a multiple of groups=2 on axis 1 of (N, C, H, W), got ('N', 7, 4, 3)"))),
    Row("rnorm", lambda **w: ta.SpatialResponseNorm(alpha=1, **w), (3, 5, 4),
        "SpatialResponseNorm('rnorm', n 3, k 1, alpha 1/n^2, beta 0.75, cpu)", (RANK_4,)),
    Row("rnorm-even", lambda **w: ta.SpatialResponseNorm(4, 2, 0.5, 0.6, alpha_over_area=False, **w), (2, 3, 6),
        "SpatialResponseNorm('rnorm', n 4, k 2, alpha 0.5, beta 0.6, cpu)", (RANK_4,)),
    Row("contrast", lambda **w: ta.LocalContrastNorm(3, **w), (3, 5, 4), "LocalContrastNorm('lcn', kernel 3, sigma 0.75, cpu)", (RANK_4,)),
    Row("contrast-wide", lambda **w: ta.LocalContrastNorm(7, 1.5, **w), (2, 4, 6),
        "LocalContrastNorm('lcn', kernel 7, sigma 1.5, cpu)", (RANK_4,)),
    Row("dropout", ta.Dropout, (12,), "Dropout('dropout', p 0.5, cpu)", (NO_BATCH,)),
    Row("dropout-inverted", lambda **w: ta.Dropout(0.25, scale="train", seed=7, **w), (3, 4, 5),
        "Dropout('dropout', p 0.25, scale train, cpu)", (NO_BATCH,)),
    Row("dropout-part", lambda **w: ta.Dropout(part=(1, 2), **w), (6,), "Dropout('dropout', p 0.5, part 1 of 2, cpu)", (NO_BATCH,)),
    Row("max-pool", lambda **w: ta.MaxPool2d(3, stride=2, **w), (3, 7, 9), "MaxPool2d('pool', kernel 3, stride 2, cpu)",
        (RANK_4, ((2, 3, 2, 9), "input height with padding must be at least 3, the kernel's, got 2"))),
    Row("max-pool-ceil", lambda **w: ta.MaxPool2d((2, 3), stride=(3, 2), padding=1, ceil_mode=True, **w), (2, 6, 8),
        "MaxPool2d('pool', kernel 2x3, stride 3x2, padding 1, ceil, cpu)", (RANK_4,)),
    Row("avg-pool", lambda **w: ta.AvgPool2d(2, **w), (3, 7, 6), "AvgPool2d('pool', kernel 2, stride 2, cpu)",
        (RANK_4, ((2, 3, 7, 1), "input width with padding must be at least 2, the kernel's, got 1"))),
    Row("avg-pool-ceil", lambda **w: ta.AvgPool2d(3, stride=2, padding=(0, 1, 2, 0), ceil_mode=True, **w), (2, 6, 8),
        "AvgPool2d('pool', kernel 3, stride 2, padding (0, 1, 2, 0), ceil, cpu)", (RANK_4,)),
    Row("avg-pool-counts", lambda **w: ta.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_padding=True, **w), (2, 6, 8),
        "AvgPool2d('pool', kernel 3, stride 2, padding 1, ceil, padding counts, cpu)", (RANK_4,)),
    Row("max-pool-plain", lambda **w: ta.MaxPool2d(3, stride=2, padding=1, algorithm="plain", **w), (3, 7, 9),
        "MaxPool2d('pool', kernel 3, stride 2, padding 1, plain, cpu)", (RANK_4,)),
    Row("avg-pool-plain", lambda **w: ta.AvgPool2d(3, stride=2, padding=1, algorithm="plain", **w), (3, 7, 6),
        "AvgPool2d('pool', kernel 3, stride 2, padding 1, plain, cpu)", (RANK_4,)),
    Row("gap", ta.GlobalAvgPool2d, (3, 4, 5), "GlobalAvgPool2d('gap', cpu)", (RANK_4,)),
    Row("scale", lambda **w: ta.Scale(-0.25, **w), (3, 4, 5), "Scale('scale', factor -0.25, cpu)", (NO_BATCH,)),
    Row("shortcut", lambda **w: ta.ZeroShortcut(7, stride=2, **w), (4, 5, 6),
        "ZeroShortcut('shortcut', 7 channels, stride 2, zeros behind, cpu)",
        (RANK_4, ((2, 8, 5, 6), "x must have at most 7 channels on axis 1 of (N, C, H, W), got ('N', 8, 5, 6)"))),
    Row("shortcut-around", lambda **w: ta.ZeroShortcut(7, stride=3, zeros="around", **w), (4, 5, 7),
        "ZeroShortcut('shortcut', 7 channels, stride 3, zeros around, cpu)", (RANK_4,)),
    Row("bn", lambda **w: ta.BatchNorm2d(3, rng=rng(), weight_init=ta.Gaussian(0.5), bias_init=ta.Gaussian(0.5), **w), (3, 4, 5),
        "BatchNorm2d('bn', 3 channels, eps 1e-05, momentum 0.1 as in pytorch, cpu)",
        (RANK_4, ((2, 4, 4, 5), "x must have 3 channels on axis 1 of (N, C, H, W), got ('N', 4, 4, 5)"))),
    Row("bn-running", lambda **w: ta.BatchNorm2d(3, rng=rng(), convention="caffe", statistics="running", **w), (3, 4, 5),
        "BatchNorm2d('bn', 3 channels, eps 1e-05, momentum 0.999 as in caffe, running statistics, cpu)", (RANK_4,)),
    Row("gn", lambda **w: ta.GroupNorm(2, 6, rng=rng(), weight_init=ta.Gaussian(0.5), bias_init=ta.Gaussian(0.5), **w), (6, 4, 5),
        "GroupNorm('gn', 2 groups of 6 channels, eps 1e-05, cpu)",
        (RANK_4, ((2, 4, 4, 5), "x must have 6 channels on axis 1 of (N, C, H, W), got ('N', 4, 4, 5)"))),
    Row("branches", residual_block, (3, 6, 5), "", (RANK_4,)),
    Row("branches-side-by-side", two_paths, (3, 6, 5), "", (RANK_4,)),
    Row("net", small_net, (2, 8, 8), "", (RANK_4, ((2, 3, 8, 8), "net: x must hold images of the net's in_shape (2, 8, 8), got"),
                                         ((2, 2, 9, 8), "crop or resize them, or make the net with in_shape=(2, 9, 8)"))),
]  # fmt: skip
