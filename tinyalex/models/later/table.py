"""The networks after AlexNet by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinyalex.errors import ShapeError, did_you_mean, require_choice, require_float, require_int, show
from tinyalex.layers import Sequential
from tinyalex.models.build import places_of
from tinyalex.models.later.resnet import preactivation, resnet
from tinyalex.models.later.rows import build_net, narrow
from tinyalex.models.rows import Rows


@dataclass(frozen=True)
class Later:
    """A network after AlexNet.

    rows: classes -> its rows. size: height and width of an image. origin: the paper, and where this net differs from another of its name.
    parameters, macs: what was published for 1,000 classes and images of `size`; 0 where nothing was.
    """

    rows: Callable[[int], Rows]
    size: int
    origin: str
    parameters: int
    macs: int
    classes: int = 1000


HE = "He et al. 2015, https://arxiv.org/abs/1512.03385; the stride of a bottleneck is in "
IDENTITY, WIDE = "He et al. 2016, https://arxiv.org/abs/1603.05027", "Zagoruyko and Komodakis 2016, https://arxiv.org/abs/1605.07146"
SQUEEZE = "Hu et al. 2017, https://arxiv.org/abs/1709.01507; the stride is in the 3x3"
RESNETS = {  # by depth: parameters, multiply-adds, and those of v1 and of pre-activation where they differ
    18: (11_689_512, 1_814_073_344, 0, 11_687_720),
    34: (21_797_672, 3_663_761_408, 0, 21_795_880),
    50: (25_557_032, 4_089_184_256, 3_857_973_248, 25_549_352),
    101: (44_549_160, 7_801_405_440, 7_570_194_432, 44_541_480),
    152: (60_192_808, 11_513_626_624, 11_282_415_616, 60_185_128),
}


def _residual() -> dict[str, Later]:
    nets = {}
    for depth, (parameters, macs, macs_v1, parameters_pre) in RESNETS.items():
        nets[f"resnet{depth}"] = Later(partial(resnet, depth), 224, f"{HE}its 3x3 (v1.5)", parameters, macs)
        if macs_v1:
            nets[f"resnet{depth}-v1"] = Later(partial(resnet, depth, first=True), 224, f"{HE}its first 1x1 (v1)", parameters, macs_v1)
        nets[f"preresnet{depth}"] = Later(partial(preactivation, depth), 224, IDENTITY, parameters_pre, macs)
    return nets


LATER: Mapping[str, Later] = _residual() | {
    "wide-resnet50-2": Later(partial(resnet, 50, wide=2), 224, WIDE, 68_883_240, 11_398_021_120),
    "se-resnet50": Later(partial(resnet, 50, se=16), 224, SQUEEZE, 28_088_024, 4_091_699_200),
}


def build_later(
    name: str,
    num_classes: int | None = None,
    *,
    seed: int = 0,
    devices: Any = None,
    towers: int = 1,
    input_size: int | None = None,
    width: float = 1,
    dtype: Any = np.float32,
) -> Sequential:
    """The network after AlexNet called `name`.

    Parameters
    ----------
    num_classes: outputs, at least 2; None for those of the paper. input_size: height and width of an image; None for the paper's.
    seed: of the initial weights and of the dropout masks. devices: one device; None for "cpu". towers: 1, these nets have no towers.
    width: a factor of all filters and hidden units, rounded to multiples of 8, above 0 and at most 4.

    Raises
    ------
    ShapeError: an unknown name, a setting outside its range, an image so small that a window does not fit. DeviceError: no such device.

    Example
    -------
    >>> net = build_later("resnet18", 10, width=1 / 8, input_size=64)
    >>> net.shapes[-1]
    (10,)
    """
    if name not in LATER:
        raise ShapeError(f"net: NAME must be one of {', '.join(LATER)}, got {show(name)}", did_you_mean(name, LATER))
    net = LATER[name]
    require_choice(name, "towers", towers, (1,))
    classes = net.classes if num_classes is None else require_int(name, "num_classes", num_classes, least=2)
    size = net.size if input_size is None else require_int(name, "input_size", input_size)
    factor = require_float(name, "width", width, "a number above 0 and at most 4", lambda v: 0 < v <= 4)
    rows = net.rows(classes)
    if factor != 1:
        rows = (*narrow(rows[:-1], factor), rows[-1])
    (device,) = places_of(name, 1, devices)
    return build_net(rows, (3, size, size), name, device, seed=require_int(name, "seed", seed, least=0), dtype=dtype)
