"""Writes the archive of `torch.save`, which `torch.load(weights_only=True)` reads, without torch.

The pickle of a state dict is a few instructions for each array, and its numbers lie in files of their own, at multiples of 64 bytes.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.errors import CheckpointError
from tinyalex.files.atomic import write_atomically
from tinyalex.files.tensors import raw_bytes
from tinyalex.formats.imported import Imported
from tinyalex.formats.torch.match import described, named
from tinyalex.formats.torch.pickled import TYPES
from tinyalex.formats.torch.state import ABOUT

STORAGES = {code: name for name, code in TYPES.items()}
FOLDER = "archive"
ALIGNED = 64
PADDING = b"FB"  # of an extra field of a zip header, which torch fills up with its own writer as well
CHANGED = (1980, 1, 1, 0, 0, 0)  # a fixed date: equal nets give equal files
VERSION = b"3\n"


def write_pth(path: Path | str, net: Imported, names: str | None = None) -> None:
    """Write the weights of a net as a state dict, to a file that `torch.load(path, weights_only=True)` reads.

    `model.load_state_dict` takes the result for the model of the library whose names the file has.

    Parameters
    ----------
    names: "torchvision", "timm", "akamaster" or "tinyalex"; None for those of the first library that has the net, else "tinyalex".

    Raises
    ------
    ShapeError: the library has no such net. CheckpointError: the file cannot be written, or an array has a type that PyTorch lacks.
    DiskFull: there is no room.
    """
    library, arrays = named(str(path), net, names)
    for key, array in arrays.items():
        if array.dtype.str[1:] not in STORAGES and array.dtype.str != "|b1":
            raise CheckpointError(f"{path}: {key} must be of a type that PyTorch has, got {array.dtype}; convert it to float32")
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w") as archive:
        _add(archive, pieces, "data.pkl", _pickle(arrays, described(net, library)))
        _add(archive, pieces, "byteorder", b"little")
        for i, array in enumerate(arrays.values()):
            _add(archive, pieces, f"data/{i}", raw_bytes(array))
        _add(archive, pieces, "version", VERSION)
    write_atomically(path, pieces.written, pieces.tell())


class _Pieces(io.RawIOBase):
    """A file that keeps what is written to it, without a copy."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written.append(data)
        self.at += len(data)
        return len(data)

    def tell(self) -> int:
        return self.at


def _add(archive: zipfile.ZipFile, pieces: _Pieces, name: str, data: Any) -> None:
    """Add a file whose bytes begin at a multiple of 64."""
    entry = zipfile.ZipInfo(f"{FOLDER}/{name}", CHANGED)
    begin = pieces.tell() + 30 + len(entry.filename) + 4
    fill = -begin % ALIGNED
    entry.extra = PADDING + struct.pack("<H", fill) + b"\0" * fill
    archive.writestr(entry, data)


def _pickle(arrays: Mapping[str, np.ndarray[Any, Any]], about: str) -> bytes:
    """The pickle, of protocol 2, of an OrderedDict whose values are calls of `_rebuild_tensor_v2`.

    about: a text for `_metadata`, an attribute of the OrderedDict in which PyTorch keeps the versions of modules.
    """
    ordered = b"ccollections\nOrderedDict\n)R"
    code = [b"\x80\x02", ordered, b"("]
    for i, (name, array) in enumerate(arrays.items()):
        strides: list[int] = []
        step = 1
        for size in reversed(array.shape):
            strides.insert(0, step)
            step *= max(size, 1)
        storage = STORAGES["?" if array.dtype.kind == "b" else array.dtype.str[1:]].encode()
        code += [_text(name), b"ctorch._utils\n_rebuild_tensor_v2\n", b"("]
        code += [b"(", _text("storage"), b"ctorch\n" + storage + b"\n", _text(str(i)), _text("cpu"), _integer(array.size), b"tQ"]
        code += [_integer(0), _integers(array.shape), _integers(strides), b"\x89", ordered, b"tR"]
    code += [b"u", b"}", _text("_metadata"), ordered, _text(ABOUT), _text(about), b"ssb."]
    return b"".join(code)


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value) if value < 2**31 else b"\x8a\x08" + struct.pack("<q", value)


def _integers(values: Any) -> bytes:
    return b"(" + b"".join(_integer(int(value)) for value in values) + b"t"
