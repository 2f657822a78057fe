"""How torchvision, timm and others name the arrays of the nets that the engine has: rules that turn a layer's name into theirs.

The arrays of a layer are called as in PyTorch: weight, bias, running_mean, running_var. So a table only needs the names of layers. Where
another library has a 1x1 convolution in the place of a fully connected layer, its weights have two axes more, and the same order:
PyTorch flattens (C, H, W) as the engine does, so a fully connected layer behind a convolution reads the same row of numbers. (Keras and
TensorFlow flatten (H, W, C); their weights must be permuted.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tinyalex.models.later.rows import each_layer, flat
from tinyalex.models.later.table import LATER
from tinyalex.models.rows import Row, Rows

Rule = tuple[str, str]  # a pattern for the whole name of a layer, and what becomes of it

RGB = "the first layer reads RGB; {0}'s own weights want pixels from 0 to 1, less (0.485, 0.456, 0.406) and over (0.229, 0.224, 0.225)"
FLATTENED = "the first fully connected layer reads the maps in the order C, H, W, as PyTorch and the engine flatten them"
TRANSFORMED = (
    "torchvision's own weights of this net come from TensorFlow and want pixels from -1 to 1 (its transform_input); "
    "prepare images with mean 0.5 and standard deviation 0.5"
)
HEADS_POOL = "torchvision's auxiliary heads average to 4x4, those here average 5x5 with stride 3; only training sees the difference"


@dataclass(frozen=True)
class Table:
    """The names that a library gives to the layers of one net.

    Parameters
    ----------
    library: torchvision, timm or akamaster. named: rows -> the library's name of each layer with arrays.
    kernels: the height and width of the fully connected layers that are convolutions there, by the engine's names.
    edit: makes the library's net of that of the registry, and leaves its own as it is. notes: what a user should know.
    """

    library: str
    named: Callable[[Rows], Mapping[str, str]]
    kernels: Callable[[Rows], Mapping[str, tuple[int, int]]] = lambda rows: {}
    edit: Callable[[Rows], Rows] = lambda rows: rows
    notes: tuple[str, ...] = ()


def by_rules(*rules: Rule) -> Callable[[Rows], Mapping[str, str]]:
    """The names that the first matching rule makes of each layer's name."""

    def named(rows: Rows) -> dict[str, str]:
        return {row.name: _ruled(row.name, rules) for row in flat(rows) if row.kind in WITH_ARRAYS}

    return named


def _ruled(name: str, rules: Sequence[Rule]) -> str:
    for pattern, theirs in rules:
        found = re.fullmatch(pattern, name)
        if found:
            return found.expand(LESS_ONE.sub(partial(_less_one, found), theirs))
    raise KeyError(name)


LESS_ONE = re.compile(r"\{(\d)-1\}")  # {2-1}: the number in group 2, less 1, because others count from 0


def _less_one(found: re.Match[str], which: re.Match[str]) -> str:
    return str(int(found[int(which[1])]) - 1)


WITH_ARRAYS = ("conv", "linear", "bn", "gn", "local")


def in_sequences(rows: Rows, *, classifier: str = "flatten") -> dict[str, str]:
    """The names in two `nn.Sequential`: features.0, features.1, ... up to the row of the kind `classifier`, then classifier.0, ..."""
    names: dict[str, str] = {}
    part, i = "features", 0
    for row in rows:
        if row.kind == classifier and part == "features":
            part, i = "classifier", 0 if classifier == "flatten" else 1
            continue
        if row.kind in WITH_ARRAYS:
            names[row.name] = f"{part}.{i}"
        i += 1
    return names


def _squeezenet(rows: Rows) -> dict[str, str]:
    """A fire module is one element of the sequence."""
    flat_rows: list[Row] = []
    names: dict[str, str] = {}
    for row in rows:
        fire = re.fullmatch(r"(fire\d+)(\.squeeze)?(\.relu)?", row.name)
        if not fire or fire[2] and not fire[3]:
            flat_rows.append(replace(row, name=fire[1]) if fire else row)
    for name, theirs in in_sequences(tuple(flat_rows), classifier="dropout").items():
        if name.startswith("fire"):
            names |= {f"{name}.squeeze": f"{theirs}.squeeze"}
            names |= {f"{name}.{kernel}": f"{theirs}.expand{kernel}" for kernel in ("1x1", "3x3")}
        else:
            names[name] = theirs
    return names


def _vgg_timm(rows: Rows) -> dict[str, str]:
    own = {"fc6": "pre_logits.fc1", "fc7": "pre_logits.fc2", "fc8": "head.fc"}
    return {name: own.get(name, theirs) for name, theirs in in_sequences(rows).items()}


def _with_units(rules: Sequence[Rule]) -> Iterator[Rule]:
    """Rules for modules of convolution and batch normalization, which torchvision calls NAME.conv and NAME.bn."""
    for pattern, theirs in rules:
        yield pattern, f"{theirs}.conv"
        yield rf"{pattern}\.bn", f"{theirs}.bn"


GOOGLENET = (
    ("fc", "fc"),
    (r"(aux\d)\.(fc\d)", r"\1.\2"),
    *_with_units((
        ("conv1", "conv1"),
        (r"conv2\.reduce", "conv2"),
        ("conv2", "conv3"),
        (r"(aux\d)\.conv", r"\1.conv"),
        (r"(\d.)\.1x1", r"inception\1.branch1"),
        (r"(\d.)\.3x3\.reduce", r"inception\1.branch2.0"),
        (r"(\d.)\.3x3", r"inception\1.branch2.1"),
        (r"(\d.)\.5x5\.reduce", r"inception\1.branch3.0"),
        (r"(\d.)\.5x5", r"inception\1.branch3.1"),
        (r"(\d.)\.project", r"inception\1.branch4.1"),
    )),
)  # fmt: skip
INCEPTION_V3 = (
    ("fc", "fc"),
    (r"aux\.fc", "AuxLogits.fc"),
    *_with_units((
        ("conv1", "Conv2d_1a_3x3"),
        ("conv2", "Conv2d_2a_3x3"),
        ("conv3", "Conv2d_2b_3x3"),
        ("conv4", "Conv2d_3b_1x1"),
        ("conv5", "Conv2d_4a_3x3"),
        (r"aux\.conv(\d)", r"AuxLogits.conv{1-1}"),
        (r"(\d.)\.1x1", r"Mixed_\1.branch1x1"),
        (r"(\d.)\.project", r"Mixed_\1.branch_pool"),
        (r"(5.)\.5x5\.reduce", r"Mixed_\1.branch5x5_1"),
        (r"(5.)\.5x5", r"Mixed_\1.branch5x5_2"),
        (r"(5.|6a)\.3x3\.reduce", r"Mixed_\1.branch3x3dbl_1"),
        (r"(5.|6a)\.3x3a", r"Mixed_\1.branch3x3dbl_2"),
        (r"(5.|6a)\.3x3b", r"Mixed_\1.branch3x3dbl_3"),
        (r"6a\.3x3", "Mixed_6a.branch3x3"),
        (r"(6.)\.7x7\.reduce", r"Mixed_\1.branch7x7_1"),
        (r"(6.)\.1x7", r"Mixed_\1.branch7x7_2"),
        (r"(6.)\.7x1", r"Mixed_\1.branch7x7_3"),
        (r"(6.)\.twice\.reduce", r"Mixed_\1.branch7x7dbl_1"),
        (r"(6.)\.7x1a", r"Mixed_\1.branch7x7dbl_2"),
        (r"(6.)\.1x7a", r"Mixed_\1.branch7x7dbl_3"),
        (r"(6.)\.7x1b", r"Mixed_\1.branch7x7dbl_4"),
        (r"(6.)\.1x7b", r"Mixed_\1.branch7x7dbl_5"),
        (r"7a\.3x3\.reduce", "Mixed_7a.branch3x3_1"),
        (r"7a\.3x3", "Mixed_7a.branch3x3_2"),
        (r"7a\.7x7\.reduce", "Mixed_7a.branch7x7x3_1"),
        (r"7a\.1x7", "Mixed_7a.branch7x7x3_2"),
        (r"7a\.7x1", "Mixed_7a.branch7x7x3_3"),
        (r"7a\.3x3b", "Mixed_7a.branch7x7x3_4"),
        (r"(7[bc])\.3x3\.reduce", r"Mixed_\1.branch3x3_1"),
        (r"(7[bc])\.3x3\.1x3", r"Mixed_\1.branch3x3_2a"),
        (r"(7[bc])\.3x3\.3x1", r"Mixed_\1.branch3x3_2b"),
        (r"(7[bc])\.twice\.reduce", r"Mixed_\1.branch3x3dbl_1"),
        (r"(7[bc])\.3x3a", r"Mixed_\1.branch3x3dbl_2"),
        (r"(7[bc])\.3x3b\.1x3", r"Mixed_\1.branch3x3dbl_3a"),
        (r"(7[bc])\.3x3b\.3x1", r"Mixed_\1.branch3x3dbl_3b"),
    )),
)  # fmt: skip
RESIDUAL = (
    (r"conv(\d)", r"conv\1"),
    (r"conv(\d)\.bn", r"bn\1"),
    (r"stage(\d)\.(\d+)\.conv(\d)", r"layer\1.{2-1}.conv\3"),
    (r"stage(\d)\.(\d+)\.conv(\d)\.bn", r"layer\1.{2-1}.bn\3"),
)
RESNET = (
    *RESIDUAL,
    (r"stage(\d)\.(\d+)\.project", r"layer\1.{2-1}.downsample.0"),
    (r"stage(\d)\.(\d+)\.project\.bn", r"layer\1.{2-1}.downsample.1"),
    ("fc", "fc"),
)
CIFAR_RESNET = (
    *RESIDUAL,
    (r"stage(\d)\.(\d+)\.project", r"layer\1.{2-1}.shortcut.0"),
    (r"stage(\d)\.(\d+)\.project\.bn", r"layer\1.{2-1}.shortcut.1"),
    ("fc", "linear"),
)
SE_RESNET = (
    *RESNET,
    (r"stage(\d)\.(\d+)\.reduce", r"layer\1.{2-1}.se.fc1"),
    (r"stage(\d)\.(\d+)\.excite", r"layer\1.{2-1}.se.fc2"),
)
LEGACY_SE_RESNET = (
    ("conv1", "layer0.conv1"),
    (r"conv1\.bn", "layer0.bn1"),
    ("fc", "last_linear"),
    (r"stage(\d)\.(\d+)\.reduce", r"layer\1.{2-1}.se_module.fc1"),
    (r"stage(\d)\.(\d+)\.excite", r"layer\1.{2-1}.se_module.fc2"),
    *RESNET,
)
PREACTIVATION = (
    ("conv1", "stem.conv"),
    ("bn5", "norm"),
    ("fc", "head.fc"),
    (r"stage(\d)\.(\d+)\.conv(\d)", r"stages.{1-1}.blocks.{2-1}.conv\3"),
    (r"stage(\d)\.(\d+)\.bn(\d)", r"stages.{1-1}.blocks.{2-1}.norm\3"),
    (r"stage(\d)\.(\d+)\.project", r"stages.{1-1}.blocks.{2-1}.downsample.conv"),
)
DENSENET = (
    ("conv1", "features.conv0"),
    ("bn1", "features.norm0"),
    ("bn5", "features.norm5"),
    (r"block(\d)\.(\d+)\.conv(\d)", r"features.denseblock\1.denselayer\2.conv\3"),
    (r"block(\d)\.(\d+)\.bn(\d)", r"features.denseblock\1.denselayer\2.norm\3"),
    (r"transition(\d)\.conv", r"features.transition\1.conv"),
    (r"transition(\d)\.bn", r"features.transition\1.norm"),
    ("fc", "classifier"),
)
OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12])(\..*)")  # names of torchvision before 0.3: norm.1 for norm1


def _gates(rows: Rows) -> dict[str, tuple[int, int]]:
    """The fully connected layers of squeeze-and-excitation."""
    return {row.name: (1, 1) for row in flat(rows) if row.name.endswith((".reduce", ".excite")) and row.kind == "linear"}


def _zeros_around(rows: Rows) -> Rows:
    """The rows, in which shortcuts without parameters have half of the new channels of zeros in front of the others."""
    return each_layer(rows, lambda row: replace(row, settings={**row.settings, "zeros": "around"}) if row.kind == "shortcut" else row)


def _pooled_as_caffe(rows: Rows) -> Rows:
    """The rows, in which the first pooling has no padding and a last window that reaches over the edge: of 112x112 it leaves 56x56, too."""
    found = []
    for row in rows:
        if row.name == "pool1" and (row.settings.get("padding", 0) not in (0, (0, 0, 0, 0)) or not row.settings.get("ceil_mode", False)):
            row = replace(row, settings={**row.settings, "padding": 0, "ceil_mode": True})
        found.append(row)
    return tuple(found)


def tables_of(net: str) -> tuple[Table, ...]:
    """The tables of the network called `net`, a name of the registry; the first is the one that is written."""
    rgb = RGB.format("torchvision")
    if net == "alexnet-torchvision":
        return (Table("torchvision", in_sequences, notes=(rgb, FLATTENED)),)
    if net not in LATER:
        return ()
    if net.startswith("vgg"):
        as_convolutions = {"fc6": (7, 7), "fc7": (1, 1)}
        return (
            Table("torchvision", in_sequences, notes=(rgb, FLATTENED)),
            Table("timm", _vgg_timm, lambda rows: as_convolutions, notes=(RGB.format("timm"), FLATTENED)),
        )
    if net.startswith("squeezenet"):
        return (Table("torchvision", _squeezenet, notes=(rgb,)),)
    if net.startswith("googlenet-torchvision"):
        heads = (HEADS_POOL,) if net.endswith("-heads") else ()
        return (Table("torchvision", by_rules(*GOOGLENET), notes=(TRANSFORMED, *heads)),)
    if net in ("inception-v3", "inception-v3-heads"):
        return (Table("torchvision", by_rules(*INCEPTION_V3), notes=(TRANSFORMED,)),)
    if net.startswith("densenet"):
        return (Table("torchvision", by_rules(*DENSENET), notes=(rgb,)),)
    if net.startswith("se-resnet"):
        notes = (RGB.format("timm"),)
        if net.endswith("-v1"):
            return (Table("timm", by_rules(*LEGACY_SE_RESNET), _gates, _pooled_as_caffe, notes),)
        return (Table("timm", by_rules(*SE_RESNET), _gates, notes=notes),)
    if net.startswith("preresnet"):
        return (Table("timm", by_rules(*PREACTIVATION), lambda rows: {"fc": (1, 1)}, notes=(RGB.format("timm"),)),)
    if LATER[net].size == 32 and net.startswith(("resnet", "plain")):
        return (Table("akamaster", by_rules(*CIFAR_RESNET), edit=_zeros_around, notes=(RGB.format("akamaster"),)),)
    if net.startswith(("resnet", "wide-resnet")):
        return (Table("torchvision", by_rules(*RESNET), notes=(rgb,)),)
    return ()
