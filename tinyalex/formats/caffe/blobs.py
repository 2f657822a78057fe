"""The arrays of Caffe's layers as those of the engine, and the reverse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import CheckpointError, DataError, show
from tinyalex.formats.caffe.message import Message, layers_of
from tinyalex.formats.caffe.slots import Slot, fixed_weight
from tinyalex.formats.caffe.wire import array_of, read_wire
from tinyalex.models.later.rows import flat
from tinyalex.models.rows import Rows, Shape

Array = npt.NDArray[Any]
Blobs = Mapping[str, list[Array]]  # the arrays of a layer by its name


def blobs_of(net: Any, source: str) -> dict[str, list[Array]]:
    """The blobs of the layers of a net, by the name of the layer. CheckpointError: two layers with blobs have one name."""
    found: dict[str, list[Array]] = {}
    for layer in layers_of(net, source):
        arrays = [array_of(blob, f"{layer.where}: {show(layer.name)}") for blob in layer.message.all("blobs")]
        if not arrays:
            continue
        if layer.name in found:
            raise CheckpointError(f"{layer.where}: the name of a layer with weights must be its own, got {show(layer.name)} twice")
        found[layer.name] = arrays
    return found


def arrays_of(slots: Iterable[Slot], fixed: Iterable[Slot], blobs: Blobs, source: str) -> tuple[dict[str, Array], list[str]]:
    """The arrays by the engine's names, and what a user should know.

    fixed: the layers that only add zeros; their weights are checked.
    Raises CheckpointError: a blob has another shape or is missing, or no layer has blobs.
    """
    fixed = tuple(fixed)
    found: dict[str, Array] = {}
    slots, without = tuple(slots), []
    for slot in slots:
        layers = [layer for layer in (slot.statistics, slot.layer) if layer]
        if not any(layer in blobs for layer in layers):
            without.append(slot.row)
            continue
        if slot.kind == "bn":
            found |= _statistics(slot, blobs.get(slot.statistics), source)
        elif slot.kind == "scale":
            found[f"{slot.row}.running_mean"] = np.zeros(slot.shape, np.float32)
            found[f"{slot.row}.running_var"] = np.ones(slot.shape, np.float32)
        if slot.kind == "bn" and slot.layer not in blobs:
            found |= {f"{slot.row}.weight": np.ones(slot.shape, np.float32), f"{slot.row}.bias": np.zeros(slot.shape, np.float32)}
            continue
        own = blobs[slot.layer]
        if len(own) != 1 + slot.bias:
            rule = f"{source}: the blobs of {show(slot.layer)} must be {1 + slot.bias}"
            raise CheckpointError(f"{rule}, got {len(own)}; the net and the weights are not of one model")
        turned = slot.kind == "turned"
        weight = _shaped(own[0], slot.shape[::-1] if turned else slot.shape, f"{source}: the weight of {show(slot.layer)}")
        found[f"{slot.row}.weight"] = weight.T if turned else weight
        if slot.bias:
            found[f"{slot.row}.bias"] = _shaped(own[1], slot.shape[:1], f"{source}: the bias of {show(slot.layer)}")
        elif slot.kind != "conv":
            found[f"{slot.row}.bias"] = np.zeros(slot.shape[:1], np.float32)
    for slot in fixed:
        who = f"{source}: the weight of {show(slot.layer)}"
        if slot.layer in blobs and not np.array_equal(_shaped(blobs[slot.layer][0], slot.shape, who), fixed_weight(slot.kind, slot.shape)):
            raise CheckpointError(f"{who} must be 1 where it copies and 0 elsewhere, as its name says, got other values")
    used = {layer for slot in (*slots, *fixed) for layer in (slot.layer, slot.statistics)}
    others = [name for name in blobs if name not in used]
    if len(without) == len(slots) and slots:
        names = f"{', '.join(map(show, list(blobs)[:3]))}{' ...' if len(blobs) > 3 else ''}" if blobs else "none"
        rule = f"{source}: a layer with weights must be one of the net, such as {show(slots[0].layer or slots[0].statistics)}"
        raise CheckpointError(f"{rule}, got {names}; the net and the weights are not of one model")
    notes = [f"{source} has no weights for {_listed(without)}, so initial values stay"] if without else []
    return found, notes + ([f"{source} has weights of {_listed(others)}, which the net does not have"] if others else [])


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _shaped(blob: Array, shape: tuple[int, ...], who: str) -> Array:
    """The blob in this shape, in which it may have more axes of length 1. It is not copied."""
    if [side for side in blob.shape if side != 1] != [side for side in shape if side != 1]:
        raise CheckpointError(f"{who} must have the shape {shape}, got {blob.shape}; the net and the weights are not of one model")
    return _single(blob.reshape(shape), who)


def _single(array: Array, who: str, finite: bool = False) -> Array:
    """The array as float32; float32 is not copied. CheckpointError: a number is too large, or, if `finite`, not finite."""
    with np.errstate(all="ignore"):
        single = array.astype(np.float32, copy=False)
    if (finite or single is not array) and not np.isfinite(single).all():
        raise CheckpointError(f"{who} must be finite in float32, got a larger number or a NaN; the file is altered or of another kind")
    return single


def _statistics(slot: Slot, blobs: list[Array] | None, source: str) -> dict[str, Array]:
    """The running mean and variance, which Caffe keeps times a factor, and this factor: the sum of the weights of all batches."""
    if blobs is None or len(blobs) != 3 or blobs[2].size != 1:
        got = "none" if blobs is None else f"{len(blobs)} blobs"
        raise CheckpointError(f"{source}: the blobs of {show(slot.statistics)} must be a mean, a variance and a factor, got {got}")
    mean, var = (_shaped(blob, slot.shape, f"{source}: a statistic of {show(slot.statistics)}") for blob in blobs[:2])
    factor = blobs[2].reshape(-1)[0]
    with np.errstate(all="ignore"):
        mean, var = (mean / factor, var / factor) if factor else (0 * mean, 1 + 0 * var)  # without a batch, the engine's initial ones
    found = {"running_mean": mean, "running_var": var, "batches": np.full(slot.shape, factor)}
    who = f"{source}: a statistic of {show(slot.statistics)}"
    return {f"{slot.row}.{key}": _single(value, who, finite=True) for key, value in found.items()}


def statistics_blobs(mean: Array, var: Array, batches: Array | None) -> list[tuple[Array, Array | None]]:
    """The three blobs of BatchNorm, each in float32 and, where products with the factor do not fit exactly, in float64 as well.

    Caffe reads float64 where it is there. So the running statistics come back to the bit, and other programs, which read float32 alone,
    are off by one rounding.
    """
    factor = np.float32(1 if batches is None else batches.reshape(-1)[0])
    if factor == 0 and (np.any(mean != 0) or np.any(var != 1)):
        factor = np.float32(1)
    found: list[tuple[Array, Array | None]] = []
    for array in (mean, var if factor else 0 * var):
        product = array.astype(np.float64) * np.float64(factor if factor else 1)
        found.append((product.astype(np.float32), None if np.array_equal(product, product.astype(np.float32)) else product))
    return [*found, (np.array([factor], np.float32), None)]


def turned_colors(rows: Rows, in_shape: Shape, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of the net that computes the same of images whose channels are in the reversed order: BGR becomes RGB, and the reverse.

    Raises
    ------
    DataError: the first layer with weights reads groups of channels.
    """
    found = dict(arrays)
    channels = in_shape[0]
    for row in rows if channels > 1 else ():
        name = f"{row.name}.weight"
        if row.kind == "branches":
            for path in row["paths"]:
                found = turned_colors(path, in_shape, found)
            if not all(any(each.kind in ("conv", "linear") for each in flat(path)) for path in row["paths"]):
                raise DataError(f"caffe: every path of {row.name} must have a convolution to turn BGR into RGB, got one without")
            return found
        if row.kind == "conv":
            if row.settings.get("groups", 1) != 1:
                raise DataError(f"caffe: {row.name} must read all channels to turn BGR into RGB, got {row['groups']} groups")
            if name in found:
                found[name] = np.ascontiguousarray(found[name][:, ::-1])
            return found
        if row.kind == "linear":
            if name in found:
                weight = found[name]
                found[name] = np.ascontiguousarray(weight.reshape(len(weight), channels, -1)[:, ::-1]).reshape(weight.shape)
            return found
        if row.kind == "bn":
            found |= {key: array[::-1].copy() for key, array in found.items() if key.rpartition(".")[0] == row.name}
    return found


def read_mean(path: Path | str, *, rgb: bool = False) -> Array:
    """The mean image in a mean.binaryproto, (C, H, W) float32. rgb: whether its channels, BGR, are reversed.

    Raises
    ------
    CheckpointError: it cannot be read, or does not hold one image.
    """
    return mean_of(read_wire(Path(path), "Blob"), str(path), rgb)


def mean_of(blob: Message, path: str, rgb: bool = False) -> Array:
    """The mean image in a blob; `path` is named in errors."""
    array = array_of(blob, path)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or not array.size or not np.isfinite(array).all():
        raise CheckpointError(f"{path}: the mean must be one image (C, H, W) of finite numbers, got the shape {array.shape}")
    return np.ascontiguousarray(array[::-1] if rgb else array, np.float32)
