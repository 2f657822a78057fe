"""A network of a foreign file as one that the engine saves, and the reverse.

A foreign file seldom says how images become the input of its network. So the description takes what is usual for the family of files that
it belongs to, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinyalex.data.prepare import CropAndFlip, Prepare, Standardize
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import CheckpointError, ShapeError, show
from tinyalex.formats.imported import Imported
from tinyalex.models.later.rows import build_net
from tinyalex.models.options import keywords_of
from tinyalex.models.registry import MODELS, build, heads_of
from tinyalex.models.rows import Shape
from tinyalex.models.rows_of_net import rows_of_net
from tinyalex.models.saved_net import COUNTS, SavedNet
from tinyalex.models.weights import arrays_of, match_state

UNNAMED = "class "  # and a number: the name of a class that no file names
IMAGES = {224: 256, 227: 256, 299: 342}  # from which side of images a crop of this side is usually cut
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Pixels:
    """How pixels of 0 to 255 become the input of a net: less `mean`, over `std`, a number a channel. words: whose way this is."""

    mean: Numbers
    std: Numbers
    words: str


CAFFE = Pixels((123.0, 117.0, 104.0), (1.0, 1.0, 1.0), "the mean color of ImageNet is subtracted, as for Caffe's nets")
AUTHORS = Pixels((127.3, 119.72, 104.91), (1.0, 1.0, 1.0), "the mean color of the authors' images is subtracted")
TORCH = Pixels((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "pixels are standardized as torchvision does for ImageNet")
INCEPTION = Pixels((127.5,) * 3, (127.5,) * 3, "pixels become -1 to 1, as for nets that come from TensorFlow")
GRAY = Pixels((0.0,), (255.0,), "pixels become 0 to 1")
FAMILIES: Mapping[str, Pixels] = {"prototxt": CAFFE, "caffemodel": CAFFE, "net": CAFFE, "cfg": AUTHORS}
FROM_TENSORFLOW = ("inception-v3", "inception-v4", "inception-resnet-v2", "googlenet-torchvision")  # beginnings of names


def has_data(net: Imported) -> bool:
    """Whether the file is a prototxt whose data layer says how pixels become the input."""
    data = getattr(net, "data", {})
    return bool(data.get("mean_value")) or "scale" in data


def pixels_of(net: Imported, kind: str) -> Pixels:
    """What is usual for nets in files of this format."""
    channels, data = (net.in_shape or (3,))[0], getattr(net, "data", {})
    if has_data(net):  # in the order blue, green, red
        mean, scale = tuple(data.get("mean_value") or (0.0,))[::-1], data.get("scale") or 1.0
        mean = mean * channels if len(mean) == 1 else mean
        by = f", then multiplies by {scale:g}" if scale != 1 else ""
        return Pixels(mean, (1 / scale,) * channels, f"its data layer subtracts {', '.join(f'{value:g}' for value in mean)}{by}")
    if channels != 3:
        return replace(GRAY, mean=GRAY.mean * channels, std=GRAY.std * channels)
    if net.name.startswith(FROM_TENSORFLOW) and kind not in FAMILIES:
        return INCEPTION
    return FAMILIES.get(kind, TORCH)


def describe_imported(
    net: Imported,
    kind: str,
    *,
    pixels: Pixels | None = None,
    images: int | None = None,
    classes: Sequence[str] = (),
    folders: Sequence[str] = (),
    warp: bool = False,
) -> tuple[SavedNet, tuple[str, ...]]:
    """The description of a network of a foreign file, and sentences that say what was taken for granted.

    Parameters
    ----------
    kind: the format's name. pixels: how pixels become the input; None for what is usual for the format.
    images: height and width of the images from which the center is cut; None for what is usual for the size of the input.
    classes, folders: the names of the outputs, and of the folders of their pictures. warp: whether pictures are squeezed to squares.

    Raises
    ------
    CheckpointError: the file does not hold the layers of the net. ShapeError: the layers do not fit, or the net has no classes.
    """
    takes = require_whole(net)
    if net.about is not None and pixels is None and images is None and not classes and not warp:
        return net.about, ()
    said = []
    if pixels is None:
        pixels = pixels_of(net, kind)
        said.append(pixels.words if has_data(net) else f"how images are prepared is not in the file: {pixels.words}")
    side = takes[1] if takes[1] == takes[2] else 0
    whole: Shape = takes if images is None and side not in IMAGES else (takes[0], images or IMAGES[side], images or IMAGES[side])
    prepare: Prepare = Standardize(pixels.mean, pixels.std)
    if whole != takes:
        if not side or side > whole[1]:
            least = "at least as large as the net's input" if side else "exactly as large as a net's input that is no square"
            rule = f"{net.source}: images must be {least}, {takes[1]}x{takes[2]}"
            raise ShapeError(f"{rule}, got {show(whole[1])}")
        prepare = CropAndFlip(prepare, side)
        said.append(f"the center of {side}x{side} is cut out of images of {whole[1]}x{whole[2]}")
    names = tuple(classes) or usual_classes(outputs_of(net), takes)
    if not classes:
        given = "those of CIFAR-10" if names == CIFAR10 else "numbers"
        said.append(f"the names of the classes are {given}, as the file has none")
    (channels, height, width), known = whole, in_registry(net)
    about = SavedNet(
        net.name or "net",
        names,
        prepare,
        (channels, height, width),
        warp=warp,
        note=f"from {net.source}",
        folders=tuple(folders),
        rows=() if known else net.rows,
        takes=() if known else takes,
        heads=() if known else net.heads,
    )
    return about, tuple(said)


def in_registry(net: Imported) -> bool:
    """Whether the net has the name of one of the registry, and its layers."""
    if net.name not in MODELS:
        return False
    here = build_net(net.rows, require_whole(net), net.name, DryDevice("cpu"))
    counts = [key for key in COUNTS if key in keywords_of(MODELS[net.name])]
    try:
        there = build(net.name, devices=DryDevice("cpu"), **dict.fromkeys(counts, here.shapes[-1][0]))
        return there.in_shape == here.in_shape and rows_of_net(there) == rows_of_net(here)
    except ShapeError:
        return False


def require_whole(net: Imported) -> Shape:
    """(C, H, W) of the net's input. CheckpointError: the file has arrays alone, or its net does not read images."""
    if net.rows and net.in_shape is not None and len(net.in_shape) != 3:
        raise CheckpointError(f"{net.source}: the input of the net must be images (C, H, W), got {show(tuple(net.in_shape))}")
    if not net.rows or net.in_shape is None:
        rule = f"{net.source}: the file must hold the layers of its network, and the size of its images"
        remedy = "give its prototxt with it, as deploy.prototxt,net.caffemodel, or convert it with --in-shape C,H,W"
        why = net.notes[0].removeprefix(f"{net.source}: ") if net.notes else ""
        raise CheckpointError(f"{rule}, got arrays alone" + (f" ({why})" if why else ""), remedy)
    return net.in_shape


def outputs_of(net: Imported) -> int:
    """How many classes the net tells apart. ShapeError: its output is no list of classes."""
    shape = build_net(net.rows, require_whole(net), net.name or "net", DryDevice("cpu")).shapes[-1]
    if len(shape) != 1:
        raise ShapeError(f"{net.source}: the output must be one number for each class, got one of shape {shape}; name another output")
    return shape[0]


def usual_classes(count: int, takes: Shape) -> tuple[str, ...]:
    """The names of CIFAR-10's classes for a net of ten that reads its images, else numbers."""
    return CIFAR10 if count == len(CIFAR10) and takes == (3, 32, 32) else tuple(f"{UNNAMED}{i}" for i in range(count))


def is_unnamed(saved: SavedNet) -> bool:
    """Whether the classes have numbers in the place of names."""
    return saved.classes[0] == f"{UNNAMED}0"


def named_by(saved: SavedNet, classes: Sequence[str], folders: Sequence[str]) -> SavedNet:
    """The description with names for classes that have numbers, where there are as many."""
    if not is_unnamed(saved) or len(classes) != len(saved.classes):
        return saved
    return replace(saved, classes=tuple(classes), folders=tuple(folders))


def imported_from(saved: SavedNet, arrays: Mapping[str, np.ndarray[Any, Any]], source: str) -> Imported:
    """A network that the engine saved, as a writer of another format takes it; two towers become one."""
    dry = saved.dry()
    rows, heads = saved.rows or rows_of_net(dry), saved.heads if saved.rows else heads_of(saved.net)
    return Imported(saved.net, source, rows, saved.in_shape, match_state(arrays, arrays_of(dry)), heads=heads)
