"""The networks after AlexNet by name, and the nets that the paper cites: what each is, what was published about it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinyalex.devices.dry import DryDevice
from tinyalex.errors import ShapeError, require_bool, require_choice, require_float, require_int, show
from tinyalex.layers import Sequential
from tinyalex.models.build import places_of
from tinyalex.models.later.before import column, columns, jarrett
from tinyalex.models.later.cifar_resnet import cifar_resnet
from tinyalex.models.later.densenet import densenet
from tinyalex.models.later.googlenet import googlenet
from tinyalex.models.later.inception_v3 import inception_v3
from tinyalex.models.later.inception_v4 import inception_resnet_v2, inception_v4
from tinyalex.models.later.names import near_name
from tinyalex.models.later.resnet import preactivation, resnet
from tinyalex.models.later.rows import build_net, narrow
from tinyalex.models.later.squeezenet import squeezenet
from tinyalex.models.later.vgg import vgg
from tinyalex.models.later.zfnet import zfnet
from tinyalex.models.rows import Rows


@dataclass(frozen=True)
class Later:
    """A network after AlexNet, or one that the paper cites.

    rows: classes -> its rows. size: height and width of an image. origin: the paper, and where this net differs from another of its name.
    parameters, macs: for `classes` and images of `size`, auxiliary heads included: as published, or where only a rounded number was
        published, derived from the paper's table by arithmetic.
    channels: of an image. heads: the weights of the losses of auxiliary heads, in the order in which `Both` gives them.
    """

    rows: Callable[[int], Rows]
    size: int
    origin: str
    parameters: int
    macs: int
    classes: int = 1000
    channels: int = 3
    heads: tuple[float, ...] = ()


def _residual() -> dict[str, Later]:
    he = "ResNet, He et al. 2015, https://arxiv.org/abs/1512.03385"
    identity = "ResNet with identity mappings, He et al. 2016, https://arxiv.org/abs/1603.05027: normalization and ReLU in front"
    counts = {  # by depth: parameters, multiply-adds, and those of v1 and of pre-activation where they differ
        18: (11_689_512, 1_814_073_344, 0, 11_687_720),
        34: (21_797_672, 3_663_761_408, 0, 21_795_880),
        50: (25_557_032, 4_089_184_256, 3_857_973_248, 25_549_352),
        101: (44_549_160, 7_801_405_440, 7_570_194_432, 44_541_480),
        152: (60_192_808, 11_513_626_624, 11_282_415_616, 60_185_128),
    }
    nets = {}
    for depth, (parameters, macs, macs_v1, parameters_pre) in counts.items():
        kind = f"{he}; the stride of a bottleneck is in its 3x3 (v1.5, as in fb.resnet.torch)" if macs_v1 else he
        nets[f"resnet{depth}"] = Later(partial(resnet, depth), 224, kind, parameters, macs)
        if macs_v1:
            first = f"{he}; the stride of a bottleneck is in its first 1x1 (v1, as in the paper)"
            nets[f"resnet{depth}-v1"] = Later(partial(resnet, depth, first=True), 224, first, parameters, macs_v1)
        nets[f"preresnet{depth}"] = Later(partial(preactivation, depth), 224, identity, parameters_pre, macs)
    without = f"{he}; shortcuts without parameters (option A), new channels of zeros behind"
    nets["resnet34-a"] = Later(partial(resnet, 34, option="A"), 224, without, 21_623_848, 3_644_493_824)
    wide = "Wide ResNet, Zagoruyko and Komodakis 2016, https://arxiv.org/abs/1605.07146: the 3x3 of ResNet-50 twice as wide"
    se = "ResNet-50 with squeeze-and-excitation, Hu et al. 2017, https://arxiv.org/abs/1709.01507; the stride is in"
    nets["wide-resnet50-2"] = Later(partial(resnet, 50, wide=2), 224, wide, 68_883_240, 11_398_021_120)
    nets["se-resnet50"] = Later(partial(resnet, 50, se=16), 224, f"{se} the 3x3", 28_088_024, 4_091_699_200)
    nets["se-resnet50-v1"] = Later(partial(resnet, 50, se=16, first=True), 224, f"{se} the first 1x1", 28_088_024, 3_860_488_192)
    return nets


def _vgg() -> dict[str, Later]:
    simonyan = "VGG, Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556, column"
    counts = {  # by depth: the paper's column, parameters, those with batch normalization, multiply-adds
        11: ("A", 132_863_336, 132_868_840, 7_609_090_048),
        13: ("B", 133_047_848, 133_053_736, 11_308_466_176),
        16: ("D", 138_357_544, 138_365_992, 15_470_264_320),
        19: ("E", 143_667_240, 143_678_248, 19_632_062_464),
    }
    nets = {}
    for depth, (letter, parameters, parameters_bn, macs) in counts.items():
        nets[f"vgg{depth}"] = Later(partial(vgg, depth), 224, f"{simonyan} {letter}", parameters, macs)
        with_bn = f"{simonyan} {letter}, with batch normalization behind each convolution, which keeps its biases, as in torchvision"
        nets[f"vgg{depth}-bn"] = Later(partial(vgg, depth, bn=True), 224, with_bn, parameters_bn, macs)
    return nets


def _googlenet() -> dict[str, Later]:
    szegedy = "GoogLeNet, Szegedy et al. 2014, https://arxiv.org/abs/1409.4842"
    head_macs = 8_372_224  # of both heads: two 1x1 convolutions on 4x4, and their fully connected layers
    kinds: dict[str, tuple[dict[str, bool], str, int, int, int]] = {
        "googlenet": ({}, "response normalization, 5x5", 6_998_552, 6_379_728, 1_582_671_872),
        "googlenet-bn": ({"bn": True}, "batch normalization and no biases, 5x5", 7_005_832, 6_379_984, 1_582_671_872),
        "googlenet-torchvision": (
            {"torchvision": True},
            "as in torchvision: batch normalization, 3x3 where the paper has 5x5, the last pooling 2x2",
            6_624_904,
            6_379_984,
            1_498_376_192,
        ),
    }
    nets = {}
    for name, (settings, words, parameters, of_heads, macs) in kinds.items():
        nets[name] = Later(partial(googlenet, **settings), 224, f"{szegedy}: {words}; without auxiliary heads", parameters, macs)
        origin = f"{szegedy}: {words}; with two auxiliary heads that read means of 5x5 with stride 3"
        both = partial(googlenet, heads=True, **settings)
        nets[f"{name}-heads"] = Later(both, 224, origin, parameters + of_heads, macs + head_macs, heads=(0.3, 0.3))
    return nets


def _inception() -> dict[str, Later]:
    v3 = "Inception-v3, Szegedy et al. 2015, https://arxiv.org/abs/1512.00567, as in the authors' program; means count the padding"
    v4 = "Szegedy et al. 2016, https://arxiv.org/abs/1602.07261; means do not count the padding"
    head_macs = 25 * 768 * 128 + 25 * 128 * 768 + 768 * 1000
    return {
        "inception-v3": Later(inception_v3, 299, f"{v3}; without auxiliary head", 23_834_568, 5_713_216_096),
        "inception-v3-heads": Later(
            partial(inception_v3, heads=True), 299, f"{v3}; with its auxiliary head", 27_161_264, 5_713_216_096 + head_macs, heads=(0.4,)
        ),
        "inception-v4": Later(inception_v4, 299, f"Inception-v4, {v4}", 42_679_816, 12_253_974_624),
        "inception-resnet-v2": Later(inception_resnet_v2, 299, f"Inception-ResNet-v2, {v4}", 55_843_464, 13_155_794_016),
    }


def _others() -> dict[str, Later]:
    zeiler = "ZFNet, Zeiler and Fergus 2013, https://arxiv.org/abs/1311.2901"
    paper = f"{zeiler}, figure 3; its response normalization has AlexNet's constants, as the paper gives none"
    lecture = f"{zeiler}, with 512, 1024 and 512 filters in conv3 to conv5, which a lecture of 2019 shows as the paper's"
    huang = "DenseNet, Huang et al. 2016, https://arxiv.org/abs/1608.06993"
    squeeze = "SqueezeNet, Iandola et al. 2016, https://arxiv.org/abs/1602.07360, version"
    return {
        "zfnet": Later(zfnet, 224, paper, 62_357_608, 1_168_032_896),
        "zfnet-lecture": Later(partial(zfnet, filters=(512, 1024, 512)), 224, lecture, 107_627_624, 2_476_704_896),
        "densenet121": Later(partial(densenet, 121), 224, huang, 7_978_856, 2_834_161_664),
        "densenet169": Later(partial(densenet, 169), 224, huang, 14_149_480, 3_359_843_328),
        "squeezenet1.0": Later(partial(squeezenet, "1.0"), 224, f"{squeeze} 1.0, the paper's", 1_248_424, 818_924_576),
        "squeezenet1.1": Later(partial(squeezenet, "1.1"), 224, f"{squeeze} 1.1, which pools earlier", 1_235_496, 349_151_936),
    }


def _cifar() -> dict[str, Later]:
    he = "for CIFAR-10, He et al. 2015, https://arxiv.org/abs/1512.03385, section 4.2"
    counts = {
        20: (269_722, 40_551_040),
        32: (464_154, 68_862_592),
        44: (658_586, 97_174_144),
        56: (853_018, 125_485_696),
        110: (1_727_962, 252_887_680),
    }
    more, more_macs = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64, 16 * 16 * 16 * 32 + 8 * 8 * 32 * 64  # of both projections
    nets = {}
    for depth, (parameters, macs) in counts.items():
        option_a = f"ResNet {he}; shortcuts without parameters (option A), new channels of zeros behind"
        nets[f"resnet{depth}"] = Later(partial(cifar_resnet, depth), 32, option_a, parameters, macs, 10)
        option_b, net_b = f"ResNet {he}, but with projections (option B)", partial(cifar_resnet, depth, option="B")
        nets[f"resnet{depth}-b"] = Later(net_b, 32, option_b, parameters + more, macs + more_macs, 10)
        nets[f"plain{depth}"] = Later(partial(cifar_resnet, depth, plain=True), 32, f"a plain net {he}", parameters, macs, 10)
    return nets


def _before() -> dict[str, Later]:
    ciresan = "Ciresan et al. 2012, https://arxiv.org/abs/1202.2745, CIFAR-10"
    mean = "the mean of the columns' outputs, where the paper takes that of their probabilities, and trains each column alone"
    caltech = (
        "Jarrett et al. 2009, https://doi.org/10.1109/ICCV.2009.5459469: two stages for Caltech-101, without the gains behind tanh; "
        "the 16 maps that a filter of the second stage reads are a fixed quarter, in the paper they are drawn"
    )
    return {
        "ciresan-column": Later(column, 32, f"one column of {ciresan}", 1_660_710, 99_661_000, 10),
        "ciresan-columns": Later(partial(columns, 8), 32, f"eight columns of {ciresan}: {mean}", 13_285_680, 797_288_000, 10),
        "jarrett": Later(jarrett, 143, caltech, 755_174, 202_391_616, 102, 1),
    }


GROUPS: Mapping[str, Mapping[str, Later]] = {
    "after AlexNet": _others() | _vgg() | _googlenet() | _residual() | _inception(),
    "for CIFAR-10": _cifar(),
    "cited by the paper": _before(),
}
LATER: Mapping[str, Later] = {name: net for group in GROUPS.values() for name, net in group.items()}


def near_later(name: object, known: Collection[str]) -> str | None:
    """The remedy for a name that is not among `known`: the depths of its family, or the most similar name; None if nothing is similar."""
    return near_name(name, known, GROUPS["for CIFAR-10"])


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
    input_gradient: bool = False,
) -> Sequential:
    """The network called `name`.

    Parameters
    ----------
    num_classes: outputs, at least 2; None for those of the paper. input_size: height and width of an image; None for the paper's.
    seed: of the initial weights and of the dropout masks. devices: one device; None for "cpu". towers: 1, these nets have no towers.
    width: a factor of all filters and hidden units, above 0 and at most 4; the products are rounded.
    input_gradient: whether backward returns the gradient of the images.

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
        raise ShapeError(f"net: NAME must be one of {', '.join(LATER)}, got {show(name)}", near_later(name, LATER))
    net = LATER[name]
    require_choice(name, "towers", towers, (1,))
    classes = net.classes if num_classes is None else require_int(name, "num_classes", num_classes, least=2)
    size = net.size if input_size is None else require_int(name, "input_size", input_size)
    factor = require_float(name, "width", width, "a number above 0 and at most 4", lambda v: 0 < v <= 4)
    rows = net.rows(classes)
    if factor != 1:
        rows = narrow(rows, factor)
    (device,) = places_of(name, 1, devices)
    seed, wanted = require_int(name, "seed", seed, least=0), require_bool(name, "input_gradient", input_gradient)
    try:
        return build_net(rows, (net.channels, size, size), name, device, seed=seed, dtype=dtype, input_gradient=wanted)
    except ShapeError as error:
        least = _least_size(rows, net, size)
        if least is None:
            raise
        raise ShapeError(f"{name}: input_size must be at least {least}, got {size} ({error})") from None


def _least_size(rows: Rows, net: Later, size: int) -> int | None:
    """The least height and width above `size` of images that all layers fit, up to the paper's; None if that does not fit either."""

    def fits(side: int) -> bool:
        try:
            build_net(rows, (net.channels, side, side), "net", DryDevice())
        except ShapeError:
            return False
        return True

    if size >= net.size or not fits(net.size):
        return None
    too_small, enough = size, net.size
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        too_small, enough = (too_small, middle) if fits(middle) else (middle, enough)
    return enough
