"""The safetensors format, read by code of our own, for places without the library's wheel, such as a browser.

Eight bytes with the length of the header, little-endian; the header, a JSON object with the type, the shape and the two offsets of each
array, and "__metadata__" with texts; then the bytes of all arrays without a gap. It refuses what the library refuses, and two keys of
one name as well. Nothing in a file is executed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import CheckpointError, show

LONGEST_HEADER = 100_000_000  # bytes, the limit of the format
DTYPES = {
    "BOOL": np.dtype("?"), "U8": np.dtype("u1"), "I8": np.dtype("i1"), "U16": np.dtype("<u2"), "I16": np.dtype("<i2"),
    "U32": np.dtype("<u4"), "I32": np.dtype("<i4"), "U64": np.dtype("<u8"), "I64": np.dtype("<i8"),
    "F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8"),
}  # fmt: skip
MOST_AXES = 64  # of an array of NumPy
LARGEST = 2**63 - 1


BFLOAT16 = {"BF16": np.dtype([("upper", "<u2")])}  # the upper half of a float32; a type of its own, so that it is not taken for U16


def read_safetensors(path: Path, *, bfloat16: bool = False) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file by name, in the order of their bytes; each has memory of its own.

    bfloat16: whether arrays of BF16, a type that NumPy does not have, are read as float32; False refuses them, as the library does.

    Raises
    ------
    CheckpointError: the file breaks a rule of the format, or an array has a type that is not read.
    OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(LONGEST_HEADER, size - 8):
            raise CheckpointError(f"{path}: the header must end within the file of {size:,} bytes, got a length of {length:,} bytes")
        entries = _entries(path, file.read(length), DTYPES | BFLOAT16 if bfloat16 else DTYPES)
        end = max((end for *_, end in entries), default=0)
        if size != 8 + length + end:
            raise CheckpointError(f"{path}: the file must have {8 + length + end:,} bytes by its header, got {size:,}")
        arrays = {}
        for name, dtype, shape, begin, end in entries:
            try:
                array = np.empty(shape, dtype)
            except (ValueError, MemoryError) as error:
                raise CheckpointError(f"{path}: the array {show(name)} must fit into memory, got {error}") from None
            if file.readinto(array.reshape(-1).view(np.uint8).data) != end - begin:
                raise CheckpointError(f"{path}: the file must keep its size while it is read, got fewer bytes for {show(name)}")
            arrays[name] = _float32(array) if dtype is BFLOAT16["BF16"] else array
    return arrays


def texts(path: Path) -> dict[str, str]:
    """The texts in the header of a file that `read_safetensors` has read. OSError: it cannot be read."""
    with open(path, "rb") as file:
        found: dict[str, str] = json.loads(file.read(int.from_bytes(file.read(8), "little"))).get("__metadata__", {})
    return found


def _float32(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Numbers of bfloat16 as float32: the lower half of each is zero."""
    return (array["upper"].astype(np.uint32) << 16).view(np.float32)


Entry = tuple[str, "np.dtype[Any]", tuple[int, ...], int, int]


def _entries(path: Path, encoded: bytes, dtypes: Mapping[str, np.dtype[Any]]) -> list[Entry]:
    """The arrays of a header: name, type, shape, first byte and end, in the order of their bytes."""
    try:
        header = json.loads(encoded.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: the header must be JSON in UTF-8, got {type(error).__name__}: {error}") from None
    if not isinstance(header, dict) or not encoded.startswith(b"{"):
        raise CheckpointError(f"{path}: the header must be a JSON object from its first byte on, got {show(header)}")
    text = header.pop("__metadata__", {})
    if not isinstance(text, dict) or not all(isinstance(value, str) for value in text.values()):
        raise CheckpointError(f"{path}: __metadata__ must hold texts alone, got {show(text)}")
    entries = sorted((_entry(path, name, value, dtypes) for name, value in header.items()), key=lambda entry: entry[3:])
    at = 0
    for name, _, _, begin, end in entries:
        if begin != at:
            raise CheckpointError(f"{path}: the bytes of {show(name)} must begin at {at:,}, where the array before ends, got {begin:,}")
        at = end
    return entries


def _entry(path: Path, name: str, value: Any, dtypes: Mapping[str, np.dtype[Any]]) -> Entry:
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"{path}: {show(name)} must have dtype, shape and data_offsets, got {show(value)}")
    dtype = dtypes.get(value["dtype"]) if isinstance(value["dtype"], str) else None
    if dtype is None:
        raise CheckpointError(f"{path}: the dtype of {show(name)} must be one of {', '.join(dtypes)}, got {show(value['dtype'])}")
    shape, offsets = value["shape"], value["data_offsets"]
    if not _counts(shape) or len(shape) > MOST_AXES:
        rule = f"{path}: the shape of {show(name)} must be at most {MOST_AXES} whole numbers of at least 0"
        raise CheckpointError(f"{rule}, got {show(shape)}")
    if not _counts(offsets) or len(offsets) != 2:
        raise CheckpointError(f"{path}: the data_offsets of {show(name)} must be two whole numbers of at least 0, got {show(offsets)}")
    begin, end = offsets
    if math.prod(shape) * dtype.itemsize != end - begin:
        rule = f"{path}: the data_offsets of {show(name)} must span {math.prod(shape) * dtype.itemsize:,} bytes, as its dtype and shape say"
        raise CheckpointError(f"{rule}, got {show(offsets)}")
    return name, dtype, tuple(shape), begin, end


def _counts(value: Any) -> bool:
    """Whether `value` is a list of whole numbers from 0 on. A bool is none, though Python counts it as an int."""
    return isinstance(value, list) and all(type(number) is int and 0 <= number <= LARGEST for number in value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {show(name)} stands there twice")
        found[name] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
