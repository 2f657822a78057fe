"""SqueezeNet as Deep Compression stores it (Han, Mao and Dally 2015, https://arxiv.org/abs/1510.00149): pruned and quantized.

The file has no names and no shapes, so the prototxt is needed. First comes, for each layer with weights in the prototxt's order, how many
weights are stored, as uint32. Then for each layer: a codebook of 256 float32; the biases; one byte a stored weight, its place in the
codebook; and half a byte a stored weight, the lower half first: how many weights of 0 come before it. A run of more than 15 zeros is cut by
stored zeros. All numbers are little-endian.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import CheckpointError, require_bool, show
from tinyalex.files.atomic import require_path
from tinyalex.formats.caffe.blobs import turned_colors
from tinyalex.formats.caffe.net import CaffeNet, Wanted, net_of
from tinyalex.formats.caffe.slots import Slot
from tinyalex.formats.caffe.text import read_text
from tinyalex.formats.caffe.wire import LARGEST, whole_file

BOOK = 256  # numbers in a codebook


def read_deep_compression(path: Path | str, prototxt: Path | str, *, rgb: bool = False, **wanted: Any) -> CaffeNet:
    """The net of a prototxt with the weights of a file of Deep Compression.

    rgb, wanted: as in `tinyalex.formats.caffe.read_prototxt`.

    Raises
    ------
    CheckpointError: the file cannot be read, or is not of this net. DataError: the prototxt is one that the engine cannot do.
    """
    require_bool("deep compression", "rgb", rgb)
    path, text = require_path(path), require_path(prototxt)
    net, graph = net_of(read_text(text, "Net"), str(text), Wanted(**wanted))
    arrays = arrays_in(whole_file(path), graph.slots, str(path))
    notes = (*net.notes, f"{path} has rounded weights: at most {BOOK} different ones a layer")
    if rgb:
        arrays = turned_colors(net.rows, net.in_shape or (), arrays)
        notes = (*notes, "the first layer was turned from BGR to RGB")
    return replace(net, source=f"{text} and {path}", arrays=arrays, notes=notes)


def arrays_in(data: bytes, slots: list[Slot], who: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of all layers. CheckpointError: the bytes are not those of these layers."""
    other = next((slot for slot in slots if slot.kind not in ("conv", "linear") or not slot.bias), None)
    if other is not None:
        rule = f"{who}: a layer with weights must be a convolution or fully connected with biases"
        raise CheckpointError(f"{rule}, got {show(other.row)}; this form has no other layers")
    header = 4 * len(slots)
    counts = [int(count) for count in np.frombuffer(data[:header], "<u4")] if len(data) >= header else []
    size = header + sum(4 * BOOK + 4 * slot.shape[0] + count + (count + 1) // 2 for slot, count in zip(slots, counts, strict=False))
    if len(counts) != len(slots) or size != len(data):
        rule = f"{who}: the file must have {size:,} bytes, as its first {len(slots)} numbers say"
        raise CheckpointError(f"{rule}, got {len(data):,}; it is truncated, or not of this net")
    arrays: dict[str, npt.NDArray[Any]] = {}
    position = header
    for slot, count in zip(slots, counts, strict=True):
        book = np.frombuffer(data, "<f4", BOOK, position)
        bias = np.frombuffer(data, "<f4", slot.shape[0], position := position + 4 * BOOK)
        codes = np.frombuffer(data, np.uint8, count, position := position + 4 * slot.shape[0])
        pairs = np.frombuffer(data, np.uint8, (count + 1) // 2, position := position + count)
        position += (count + 1) // 2
        runs = np.stack([pairs & 15, pairs >> 4], axis=1).reshape(-1)[:count]
        at = np.cumsum(runs + np.int64(1)) - 1
        total = math.prod(slot.shape)
        if total > LARGEST:
            raise CheckpointError(f"{who}: the weights of {show(slot.row)} must be at most {LARGEST:,}, as in Caffe, got {total:,}")
        if count and at[-1] >= total:
            raise CheckpointError(f"{who}: the weights of {show(slot.row)} must be {total:,}, got {at[-1] + 1:,} by the runs of zeros")
        stored = book[codes]
        if not (np.isfinite(stored).all() and np.isfinite(bias).all()):
            raise CheckpointError(f"{who}: the weights of {show(slot.row)} must be finite, got a NaN or an infinity; the file is altered")
        try:
            weight = np.zeros(total, np.float32)
        except MemoryError:
            raise CheckpointError(f"{who}: the weights of {show(slot.row)} must fit into memory, got {total:,}") from None
        weight[at] = stored
        arrays |= {f"{slot.row}.weight": weight.reshape(slot.shape), f"{slot.row}.bias": bias}
    return arrays
