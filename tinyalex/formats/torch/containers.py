"""The two forms of a PyTorch file: an archive (since 1.6), and pickles followed by raw storages (before). Both are read as they lie.

**The archive** is a zip file without compression. In one folder, whose name is free, are `data.pkl`, one file `data/KEY` for each storage,
and `byteorder`. Nothing is unpacked to the disk, and a storage is a view of the file's bytes in memory.

**The older form** is five pickles: a magic number, a version, what machine wrote it, the object, and the list of the storages' keys. Then
follow the storages in this order, each with its length, 8 bytes, little-endian.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tinyalex.errors import CheckpointError, said, show
from tinyalex.files.atomic import require_path
from tinyalex.files.pickle_machine import load_pickle_at
from tinyalex.formats.torch.pickled import BFLOAT16, REMEDY, Raw, Storage, state_dict

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
MOST_FILES = 100_000
MOST_TIMES = 20  # how many times as large as the whole file its compressed parts may be; torch compresses nothing
KEY = re.compile(r"[A-Za-z0-9_]{1,64}")
AGAIN = "it is another file, or damaged"


def read_bytes(path: Path | str) -> tuple[Path, bytes]:
    """The path of a file and all of its bytes, read once. CheckpointError: it cannot be read."""
    path = require_path(path)
    try:
        if path.exists() and not path.is_file():
            raise CheckpointError(f"{path}: the file must be a plain one, got a {'folder' if path.is_dir() else 'device'}")
        return path, path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: the file must be readable, got {error.strerror or error}") from None


def read_object(path: Path, data: bytes) -> tuple[Any, Raw]:
    """The object that a PyTorch file holds, in which tensors are `Tensor`, and the function that gives the elements of a storage.

    Raises
    ------
    CheckpointError: the file is of another kind, damaged, or holds more than a state dict may hold.
    """
    if data[:4] == b"PK\x03\x04":
        return _Archive(path, data).read()
    if _is_tar(data):
        rule = f"{path}: the file must be of PyTorch 0.1.10 or newer"
        raise CheckpointError(f"{rule}, got a tar file of an older one; load it there and save it again")
    return _read_legacy(path, data)


def is_torch(data: bytes) -> bool:
    """Whether a file that begins with these bytes, of which there are at least 64, may be one of PyTorch."""
    return data[:4] == b"PK\x03\x04" or data[:2] == b"\x80\x02" and MAGIC.to_bytes(10, "little") in data[:64]


def _is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"


class _Archive:
    """The zip form."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data = path, data
        self.kept: dict[tuple[str, str], np.ndarray[Any, Any]] = {}
        self.may_inflate = MOST_TIMES * len(data)
        try:
            entries = zipfile.ZipFile(io.BytesIO(data)).infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, struct.error, OverflowError, EOFError, OSError) as error:
            self.fail("the file must be a whole zip archive", f"{type(error).__name__}: {error}")
        if len(entries) > MOST_FILES:
            self.fail(f"the archive must hold at most {MOST_FILES:,} files", f"{len(entries):,}")
        self.entries = {entry.filename: entry for entry in entries}
        if len(self.entries) != len(entries):
            self.fail("the archive must hold each name once", f"{len(entries) - len(self.entries)} names twice")
        pickles = [name for name in self.entries if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(pickles) != 1:
            self.fail("the archive must hold one data.pkl", f"{len(pickles)} of them")
        self.folder = pickles[0].removesuffix("data.pkl")
        if any(name.startswith(f"{self.folder}code/") for name in self.entries) or f"{self.folder}constants.pkl" in self.entries:
            self.fail("the file must hold a state dict", "a program of TorchScript", REMEDY)
        order = bytes(self.bytes_of(f"{self.folder}byteorder")) if f"{self.folder}byteorder" in self.entries else b"little"
        if order not in (b"little", b"big"):
            self.fail("byteorder must be little or big", show(order[:20]))
        self.order = "<" if order == b"little" else ">"

    def fail(self, rule: str, got: str, remedy: str = AGAIN) -> NoReturn:
        raise CheckpointError(f"{self.path}: {rule}, got {got[:200]}; {remedy}")

    def read(self) -> tuple[Any, Raw]:
        name = f"{self.folder}data.pkl"
        return load_pickle_at(bytes(self.bytes_of(name)), 0, f"{self.path}: {said(name)}", state_dict({}))[0], self.elements

    def bytes_of(self, name: str) -> memoryview:
        """The bytes of a file of the archive: a view, or a new object where it is compressed."""
        entry = self.entries[name]
        at = entry.header_offset
        header = self.data[at : at + 30]
        if len(header) != 30 or header[:4] != b"PK\x03\x04" or entry.flag_bits & 1:
            self.fail(f"{show(name)} must have a header and not be encrypted", "another")
        begin = at + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        if begin + entry.compress_size > len(self.data):
            self.fail(f"{show(name)} must lie within the file of {len(self.data):,} bytes", f"{entry.compress_size:,} bytes at {begin:,}")
        packed = memoryview(self.data)[begin : begin + entry.compress_size]
        if entry.compress_type == zipfile.ZIP_STORED:
            if entry.file_size != entry.compress_size:
                self.fail(f"{show(name)} must have {entry.compress_size:,} bytes", f"{entry.file_size:,}")
            return packed
        if entry.compress_type != zipfile.ZIP_DEFLATED:
            self.fail(f"{show(name)} must be stored or deflated", f"method {entry.compress_type}")
        self.may_inflate -= entry.file_size
        if self.may_inflate < 0:
            got = f"{show(name)} of {entry.file_size:,}"
            self.fail(f"compressed files must together have at most {MOST_TIMES} times the archive's bytes", got)
        try:
            whole = zlib.decompressobj(-15).decompress(packed, entry.file_size + 1)
        except zlib.error as error:
            self.fail(f"{show(name)} must be deflated data", str(error))
        if len(whole) != entry.file_size:
            self.fail(f"{show(name)} must have {entry.file_size:,} bytes", "more" if len(whole) > entry.file_size else f"{len(whole):,}")
        return memoryview(whole)

    def elements(self, storage: Storage) -> np.ndarray[Any, Any]:
        kept = self.kept.get((storage.key, storage.type.code))
        if kept is None:
            name = f"{self.folder}data/{storage.key}"
            if not KEY.fullmatch(storage.key) or name not in self.entries:
                self.fail("each storage must be a file of the archive", f"none called {show(storage.key)}")
            kept = _elements(self.path, storage, self.bytes_of(name), self.order)
            self.kept[storage.key, storage.type.code] = kept
        if len(kept) < storage.whole:
            self.fail(f"storage {storage.key} must have {storage.whole:,} elements", f"{len(kept):,}")
        return kept


def _elements(path: Path, storage: Storage, data: memoryview, order: str = "<") -> np.ndarray[Any, Any]:
    """The elements in the bytes of a storage, which must be exactly as many as it says; those of bfloat16 become float32."""
    wanted = storage.whole * storage.type.itemsize
    if len(data) != wanted:
        raise CheckpointError(f"{path}: storage {show(storage.key)} must have {wanted:,} bytes, got {len(data):,}; {AGAIN}")
    code = storage.type.code
    if code == BFLOAT16:
        return (np.frombuffer(data, f"{order}u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, np.dtype(code if code == "?" else order + code))


def _read_legacy(path: Path, data: bytes) -> tuple[Any, Raw]:
    """The form of before 1.6."""
    sizes: dict[str, int] = {}
    heads: list[Any] = []
    who, at, allowed = str(path), 0, state_dict(sizes)
    for _ in range(3):  # the magic number, the version, the machine
        found, at = load_pickle_at(data, at, who, allowed)
        if not heads and not (isinstance(found, int) and found == MAGIC):
            raise CheckpointError(f"{path}: the file must be one of torch.save, got a pickle without its magic number; {REMEDY}")
        heads.append(found)
    if heads[1] != VERSION:
        raise CheckpointError(f"{path}: the version of the file must be {VERSION}, got {show(heads[1])}; {AGAIN}")
    found, at = load_pickle_at(data, at, who, allowed)
    keys, at = load_pickle_at(data, at, who, allowed)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
        raise CheckpointError(f"{path}: the keys of the storages must be a list of texts, each once, got {show(keys)}; {AGAIN}")
    view, places = memoryview(data), {}
    for key in keys:
        if key not in sizes:
            raise CheckpointError(f"{path}: each storage must be one that the object names, got {show(key)}; {AGAIN}")
        count = int.from_bytes(data[at : at + 8], "little")
        end = at + 8 + count * sizes[key]
        if len(data) - at < 8 or end > len(data):
            rule = f"{path}: storage {show(key)} must lie within the {len(data):,} bytes of the file"
            raise CheckpointError(f"{rule}, got an end at {end:,}; {AGAIN}")
        places[key] = view[at + 8 : end]
        at = end
    if at != len(data):
        raise CheckpointError(f"{path}: the file must end with its last storage at {at:,}, got {len(data):,} bytes; {AGAIN}")

    kept: dict[tuple[str, str], np.ndarray[Any, Any]] = {}

    def elements(storage: Storage) -> np.ndarray[Any, Any]:
        if storage.key not in places:
            raise CheckpointError(f"{path}: each storage must be in the file, got none called {show(storage.key)}; {AGAIN}")
        name = storage.key, storage.type.code
        if name not in kept or len(kept[name]) != storage.whole:  # a storage of two lengths is refused
            kept[name] = _elements(path, storage, places[storage.key])
        return kept[name]

    return found, elements
