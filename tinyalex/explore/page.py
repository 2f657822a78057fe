"""Writes the page: its text, style and program in one file, and the arrays as compressed bytes inside of it."""

from __future__ import annotations

import base64
import html
import json
import zlib
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import ShapeError

MOST = 8_000_000  # bytes of a page
SCRIPTS = ("data.js", "draw.js", "forward.js", "backward.js", "maps.js", "net.js", "page.js")
KINDS = {np.dtype(np.float32): "f4", np.dtype(np.uint8): "u1", np.dtype(np.uint16): "u2"}
REMEDY = "name fewer channels with --channels, such as conv1=0,1,conv2=0, or fewer pictures"


def packed(array: npt.NDArray[Any]) -> dict[str, Any]:
    """An array without any loss: its bytes, all first bytes before all second ones, compressed, in base64.

    Example
    -------
    >>> packed(np.zeros(3, np.uint8))["shape"]
    [3]
    """
    array = np.ascontiguousarray(array)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    planes = little.reshape(-1, 1).view(np.uint8).T  # floats near each other share their first bytes, so these compress
    data = zlib.compress(np.ascontiguousarray(planes).tobytes(), 9)
    return {"kind": KINDS[array.dtype], "shape": list(array.shape), "data": base64.b64encode(data).decode()}


def written(about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], most: int = MOST) -> bytes:
    """The page as bytes.

    Parameters
    ----------
    about: JSON values: the net, its layers, its classes, the pictures. arrays: by name, see `collect`. most: bytes of the page.

    Raises
    ------
    ShapeError: the page would have more than `most` bytes.
    """
    raw = Counter({name: array.nbytes for name, array in arrays.items()})
    if raw.total() > 4 * most:  # no array compresses so well, and a net of gigabytes would take minutes
        _refuse(raw.total(), "bytes before they are compressed", 4 * most, raw)
    packs = {name: packed(array) for name, array in arrays.items()}
    text = _page({**about, "arrays": packs}).encode()
    if len(text) > most:
        _refuse(len(text), "bytes", most, Counter({name: len(pack["data"]) for name, pack in packs.items()}))
    return text


def _refuse(size: int, unit: str, most: int, sizes: Counter[str]) -> None:
    ((name, largest),) = sizes.most_common(1)
    got = f"{size:,}, of which the largest array, {spelled(name)}, takes {largest:,}"
    raise ShapeError(f"explore: the page must have at most {most:,} {unit}, got {got}; {REMEDY}")


def spelled(name: str) -> str:
    """The name of an array in words.

    Example
    -------
    >>> spelled("p0:dw:fc6")
    'the gradient of the weights of fc6'
    """
    *_, kind, layer = ("", *name.split(":"))
    words = {"w": "the weights of", "b": "the biases of", "dw": "the gradient of the weights of", "db": "the gradient of the biases of"}
    words |= {"g": "the weights of", "dg": "the gradient of the weights of", "m": "the running means of", "v": "the running variances of"}
    words |= {"win": "the winners of", "s": "the scales of", "rest": "the other channels of"}
    if kind in words:
        return f"{words[kind]} {layer}"
    return f"{'the output' if layer[0] == 'v' else 'the gradient'} of layer {layer[1:]}"


def _page(content: Mapping[str, Any]) -> str:
    """The page with this content. The content stands in a script that is no program, where only the sign < must be hidden."""
    here = files("tinyalex.explore")
    text = here.joinpath("page.html").read_text("utf-8")
    parts = {
        "TITLE": html.escape(str(content["title"])),
        "STYLE": here.joinpath("page.css").read_text("utf-8"),
        "SCRIPT": "\n".join(here.joinpath(name).read_text("utf-8") for name in SCRIPTS),
        "CONTENT": json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    }
    first, *rest = text.split("@@")  # the parts of the page and the names of what stands between them take turns
    return first + "".join(parts[part] if k % 2 == 0 else part for k, part in enumerate(rest))
