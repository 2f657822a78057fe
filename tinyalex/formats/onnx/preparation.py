"""How images become the input of a network, kept in the `metadata_props` of an ONNX file, so that the file alone can be used.

The entry `tinyalex.preparation` is JSON:

    version      1; a file with another version is read without the entry
    channels     "RGB": the order of the channels of an image, whose pixels are 0 to 255; "any" for other numbers of channels than three
    image_shape  [C, H, W] of the images that are prepared; pictures of another shape become such images first
    warp         whether pictures are squeezed to H x W; false scales them and cuts out the center
    prepare      the steps, the outermost first, by their names, such as CropAndFlip with its size, and Standardize inside of it
    arrays       of the steps, by name, such as "prepare.mean" and "prepare.std", a number for each channel: (pixel - mean) / std. Each has
                 its "shape", and its "values", or in place of many values "float32", their bytes in base64
    classes      the name of each output; folders: other names, those of the folders of pictures, or []
    note         what the network was trained on

It can only name preparations that tinyalex has, so reading it executes nothing. The entry `tinyalex.heads` is a JSON list: by how much the
losses of auxiliary heads count, which are the further outputs.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.data.prepare import prepare_from_state, prepare_state
from tinyalex.errors import TinyalexError, show
from tinyalex.formats.imported import Imported
from tinyalex.formats.saved import in_registry
from tinyalex.models.saved_net import SavedNet, printable

KEY, VERSION, HEADS = "tinyalex.preparation", 1, "tinyalex.heads"
FEW = 64  # values of an array that are written one by one
LONGEST = 2**25  # characters of an entry: the mean image of 1,400 x 1,400 pixels
LARGEST = 2048  # pixels of a side of an array
COLORS = 3
DAMAGED = TinyalexError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError, MemoryError


def text_of(about: SavedNet) -> dict[str, str]:
    """The entry of a file for the network that `about` describes."""
    prepare, arrays = prepare_state(about.prepare)
    found = {
        "version": VERSION,
        "channels": "RGB" if about.image_shape[0] == COLORS else "any",
        "image_shape": about.image_shape,
        "warp": about.warp,
        "prepare": prepare,
        "arrays": {name: _written(array) for name, array in arrays.items()},
        "classes": about.classes,
        "folders": about.folders,
        "note": about.note,
    }
    return {KEY: json.dumps(found, allow_nan=False)}


def heads_of(entries: Sequence[Any], count: int) -> tuple[float, ...]:
    """The weights of the losses of so many auxiliary heads, () where the entries do not say them. entries: the values of `HEADS`."""
    try:
        found = json.loads(entries[0]) if len(entries) == 1 and len(entries[0]) <= LONGEST else None
        weights = tuple(float(weight) for weight in found) if isinstance(found, list) and len(found) == count else ()
    except DAMAGED:
        return ()
    return weights if all(0 <= weight < math.inf for weight in weights) else ()


def described(net: Imported, entries: Sequence[Any]) -> Imported:
    """The network with what the entries of its file say, or with the sentence why they are not used. entries: the values of `KEY`."""
    if not entries:
        return net
    try:
        if len(entries) > 1:
            raise ValueError(f"{len(entries)} entries")
        (text,) = entries
        if not isinstance(text, str) or len(text) > LONGEST:
            raise ValueError(f"more than {LONGEST:,} characters" if isinstance(text, str) else "other bytes than text")
        found = json.loads(text)
        if found["version"] != VERSION or found["channels"] != ("RGB" if net.in_shape and net.in_shape[0] == COLORS else "any"):
            raise ValueError(f"version {show(found['version'])} with channels {show(found['channels'])}")
        arrays = {name: _read(value) for name, value in found["arrays"].items()}
        classes, folders = (tuple(found[key]) if isinstance(found[key], list) else found[key] for key in ("classes", "folders"))
        about = SavedNet(
            net.name,
            classes,
            prepare=prepare_from_state(found["prepare"], arrays),
            image_shape=found["image_shape"],
            warp=found["warp"],
            note=found["note"],
            rows=net.rows,
            takes=net.in_shape or (),
            folders=folders,
            heads=net.heads,
        )
    except DAMAGED as error:
        got = error.sentence if isinstance(error, TinyalexError) else f"no {error}" if isinstance(error, KeyError) else str(error)
        return replace(net, notes=(*net.notes, f"{KEY} in the file is not used: {printable([got])[0][:160]}"))
    return replace(net, about=replace(about, rows=(), takes=(), heads=()) if in_registry(net) else about)


def _written(array: npt.NDArray[Any]) -> dict[str, Any]:
    values = np.asarray(array, "<f4")
    if values.size <= FEW:
        return {"shape": values.shape, "values": [float(value) for value in values.reshape(-1)]}
    return {"shape": values.shape, "float32": base64.b64encode(values.tobytes()).decode("ascii")}


def _read(value: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    """The array of an entry. ValueError and the like: it is of another form."""
    shape = tuple(value["shape"])
    if len(shape) > COLORS or not all(type(side) is int and 1 <= side <= LARGEST for side in shape):
        raise ValueError(f"an array of shape {show(shape)}")
    if "values" in value:
        values = np.array(value["values"], np.float32)
    else:
        values = np.frombuffer(base64.b64decode(value["float32"], validate=True), "<f4").astype(np.float32)
    if values.ndim != 1 or values.size != math.prod(shape):
        raise ValueError(f"{values.size:,} values in an array of shape {show(shape)}")
    return values.reshape(shape)
