"""Named arrays and texts in one safetensors file, which contains its own SHA-256, so that a single altered byte is noticed.

The format: eight bytes with the length of the JSON header; the header, with the type, shape and offsets of each array; the bytes of
the arrays. Nothing in the file is executed. The header contains the digest. The digest is computed over the whole file, in which
zeros stand for the digest itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import CheckpointError, show
from tinyalex.files.atomic import write_atomically
from tinyalex.files.safetensors_format import DTYPES, LONGEST_HEADER, read_safetensors

Tensor = npt.NDArray[Any]
TYPES = {"float16": "F16", "float32": "F32", "float64": "F64"}
NO_DIGEST = "0" * 64
CHUNK = 1 << 20


def write_tensors(path: Path | str, tensors: Mapping[str, Tensor], kind: str, version: int, text: Mapping[str, str]) -> None:
    """Write `tensors` (float16, float32 or float64) and `text` atomically to a file of this kind and format version."""
    header: dict[str, Any] = {"__metadata__": {"format": kind, "format_version": str(version), "sha256": NO_DIGEST, **text}}
    pieces: list[memoryview] = []
    end = 0
    for name, tensor in tensors.items():
        piece = raw_bytes(tensor)
        begin, end = end, end + piece.nbytes
        header[name] = {"dtype": TYPES[tensor.dtype.name], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        pieces.append(piece)
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)  # the arrays start at a multiple of eight
    encoded = len(encoded).to_bytes(8, "little") + encoded
    digest = hashlib.sha256(encoded)
    for data in pieces:
        digest.update(data)
    encoded = _with_digest(encoded, digest.hexdigest())
    write_atomically(path, [encoded, *pieces], len(encoded) + end)


def raw_bytes(tensor: Tensor) -> memoryview:
    """The bytes of an array in C order, little-endian. They are copied only if they are in another order."""
    return np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data


def kind_of(path: Path) -> str | None:
    """The kind of a file that `write_tensors` wrote, by its header alone; None if it has none. CheckpointError: it cannot be read."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            kind = json.loads(file.read(length))["__metadata__"]["format"] if length <= LONGEST_HEADER else None
    except OSError as error:
        raise CheckpointError(f"{path}: the file must be readable, got {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return kind if isinstance(kind, str) else None


def read_tensors(path: Path, kind: str, version: int, least: int | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the texts of a file that `write_tensors` wrote, in the format `version`, or in one of `least` to `version`.

    Raises
    ------
    CheckpointError: the file does not exist, is of another kind or format version, is truncated, or even one byte was altered.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(LONGEST_HEADER, size - 8):
                raise CheckpointError(f"{path}: the file must be a whole {kind} file, got {size:,} bytes; it is truncated or another file")
            encoded = file.read(length)
            text, end = _header(path, encoded, kind, version, version if least is None else least)
            if size != 8 + length + end:
                raise CheckpointError(f"{path}: the file must have {8 + length + end:,} bytes, got {size:,}; it is truncated or altered")
            digest = hashlib.sha256(length.to_bytes(8, "little"))
            digest.update(_with_digest(encoded, NO_DIGEST, text["sha256"]))
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise CheckpointError(f"{path}: the file must be readable, got {error.strerror or error}") from None
    if digest.hexdigest() != text["sha256"]:
        raise CheckpointError(f"{path}: SHA-256 must be {show(text['sha256'])}, got {digest.hexdigest()}; the file was altered")
    return _load(path), text


def _header(path: Path, encoded: bytes, kind: str, version: int, least: int) -> tuple[dict[str, str], int]:
    """The texts in the header, and how many bytes of arrays follow it."""
    try:
        header = json.loads(encoded)
        text = header.pop("__metadata__")
        found, number, digest = text["format"], int(text["format_version"]), text["sha256"]
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError):
        raise CheckpointError(f"{path}: the file must be a {kind} file, got another or an altered header") from None
    if found != kind:
        raise CheckpointError(f"{path}: the file must be of format {kind!r}, got {show(found)}")
    if not least <= number <= version:
        remedy = "install the tinyalex that wrote it" if number > version else "the file was altered"
        known = f"{version}" if least == version else f"from {least} to {version}"
        raise CheckpointError(f"{path}: format_version must be {known}, got {number}; {remedy}")
    if not isinstance(digest, str) or not isinstance(end, int):
        raise CheckpointError(f"{path}: the header must hold a digest and whole offsets, got {show(digest)} and {show(end)}")
    return text, end


def _load(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:  # in a browser there may be no wheel of it
        return read_safetensors(path)
    try:
        found = load_file(path)
    except (SafetensorError, TypeError, ValueError, AttributeError) as error:  # the last three: of types that NumPy lacks
        raise CheckpointError(f"{path}: the file must be valid safetensors, got {error}") from None
    for name, array in found.items():
        if array.dtype not in DTYPES.values():  # a package that is loaded may have taught NumPy others
            raise CheckpointError(f"{path}: the file must be valid safetensors of {', '.join(DTYPES)}, got {array.dtype} for {show(name)}")
    return found


def _with_digest(encoded: bytes, digest: str, instead_of: str = NO_DIGEST) -> bytes:
    return encoded.replace(f'"sha256":"{instead_of}"'.encode(), f'"sha256":"{digest}"'.encode(), 1)
