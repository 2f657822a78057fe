"""What the functions that turn rows into layers share: messages of layers, fillers, factors of the rate, blobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from tinyalex.errors import CheckpointError
from tinyalex.formats.caffe.fillers import filler_of
from tinyalex.formats.caffe.message import Message
from tinyalex.formats.caffe.schema import BY_NAME
from tinyalex.formats.free_names import FreeNames
from tinyalex.geometry import Windows
from tinyalex.init import Gaussian, zeros
from tinyalex.models.rows import Row, Shape

Array = npt.NDArray[Any]
Settings = Sequence[tuple[str, Any]]
REMEDY = "write the net to another format, such as ONNX"


def layer(kind: str, name: str, bottoms: Sequence[str], tops: Sequence[str] = (), **parts: Settings) -> Message:
    """A layer. tops: the values that it gives; its name if none are named. parts: the fields of its messages of parameters."""
    found = Message("Layer")
    found.add("name", name)
    found.add("type", kind)
    for bottom in bottoms:
        found.add("bottom", bottom)
    for top in tops or (name,):
        found.add("top", top)
    for field, settings in parts.items():
        part = Message(BY_NAME["Layer"][field].kind)
        for key, value in settings:
            part.add(key, value)
        if settings:
            found.add(field, part)
    return found


class Maker:
    """What the functions below share.

    multipliers: the factors of the rate and the decay, by the names of arrays. arrays: of the net, None if no blobs are written.
    shapes: of the values, as the engine has them. square: the values that have two more axes of length 1 in Caffe. taken: names.
    """

    def __init__(self, multipliers: Mapping[str, tuple[float, float]], arrays: Mapping[str, Array] | None = None) -> None:
        self.multipliers, self.arrays = multipliers, arrays
        self.shapes: dict[str, Shape] = {}
        self.square: set[str] = set()
        self.names = FreeNames()

    def free(self, wanted: str) -> str:
        """A name that no row and no value has, which is then taken."""
        return self.names.free(wanted)

    def refuse(self, row: Row, rule: str, got: object) -> CheckpointError:
        """The error that Caffe cannot do what a row says."""
        return CheckpointError(f"caffe: {row.name} must be {rule}, got {got}; {REMEDY}")

    def array(self, name: str, shape: Shape) -> Array:
        """An array of the net. CheckpointError: it is not there, or has another shape."""
        found = (self.arrays or {}).get(name)
        if found is None or tuple(found.shape) != tuple(shape):
            got = "none" if found is None else found.shape
            raise CheckpointError(f"caffe: the array {name} must be there with the shape {shape}, got {got}; import the weights too")
        return found

    def learns(self, found: Message, row: str, keys: Sequence[str]) -> None:
        """Add the factors of the rate and the decay, if one is not 1."""
        pairs = [self.multipliers.get(f"{row}.{key}", (1.0, 1.0)) for key in keys]
        if any(pair != (1, 1) for pair in pairs):
            fixed(found, pairs)

    def blobs(self, found: Message, *arrays: Array | tuple[Array, Array | None]) -> None:
        """Add blobs, each an array, or one in float32 and the same in float64."""
        for each in arrays:
            array, exact = each if isinstance(each, tuple) else (each, None)
            blob, shape = Message("Blob"), Message("Shape")
            for side in array.shape:
                shape.add("dim", side)
            blob.add("shape", shape)
            blob.add("data", array)
            if exact is not None:
                blob.add("double_data", exact)
            found.add("blobs", blob)


def fixed(found: Message, pairs: Sequence[tuple[float, float]]) -> None:
    """Add the factors of the rate and the decay of each blob."""
    for rate, decay in pairs:
        param = Message("Param")
        param.add("lr_mult", rate)
        param.add("decay_mult", decay)
        found.add("param", param)


def both(name: str, pair: tuple[int, int], high: str, wide: str, default: int | None = None) -> list[tuple[str, int]]:
    """A setting of height and width: one field if they are equal, none if they are the default."""
    if pair[0] != pair[1]:
        return [(high, pair[0]), (wide, pair[1])]
    return [] if pair[0] == default else [(name, pair[0])]


def geometry(windows: Windows, pad: tuple[int, int]) -> list[tuple[str, int]]:
    """Kernel, stride and padding."""
    return [
        *both("kernel_size", windows.kernel, "kernel_h", "kernel_w"),
        *both("pad", pad, "pad_h", "pad_w", 0),
        *both("stride", windows.stride, "stride_h", "stride_w", 1),
    ]


def fillers(row: Row, shape: Shape, bias: bool) -> list[tuple[str, Any]]:
    """The initial values of weight and bias, as far as Caffe has their distributions."""
    found = [("weight_filler", filler_of(row.settings.get("weight_init", Gaussian()), shape))]
    if bias:
        found.append(("bias_filler", filler_of(row.settings.get("bias_init", zeros), shape)))
    return [(name, filler) for name, filler in found if filler is not None]


def images(maker: Maker, row: Row, value: str) -> tuple[int, int, int]:
    """The shape of a value that must be (C, H, W)."""
    shape = maker.shapes[value]
    if len(shape) != 3:
        raise maker.refuse(row, "behind images (C, H, W)", f"a vector {shape}")
    return shape[0], shape[1], shape[2]
