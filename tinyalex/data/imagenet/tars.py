"""Where the pictures of a tar lie: byte offsets in it, so that any of them is read at once and nothing is unpacked to the disk.

The publisher's training tar holds a tar for each class. Both are uncompressed, so a picture of an inner tar lies as it is in the outer
one, and its place is one number.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tinyalex.errors import DataError

BLOCK = 512  # bytes of a tar's header; contents are filled up to a multiple of it


@dataclass(frozen=True)
class Member:
    """A file of a tar, or of a tar inside of it.

    Parameters
    ----------
    inner: the name of the inner tar without its folder and ending, "" outside of one.
    name: the path in its tar. offset: of the first byte of its contents in the outer tar. size: of its contents, in bytes.
    """

    inner: str
    name: str
    offset: int
    size: int


def members_of(path: Path) -> Iterator[Member]:
    """All plain files of an uncompressed tar in its order. A file whose name ends in .tar is opened as an inner tar.

    Raises
    ------
    DataError: the file is no uncompressed tar, or it ends too early. The message says at which byte.
    """
    with open(path, "rb") as file:
        size = path.stat().st_size
        for outer in _members(path, file, 0, size, ""):
            if outer.name.lower().endswith(".tar"):
                inner = outer.name.rpartition("/")[2][:-4]
                yield from _members(path, file, outer.offset, outer.offset + outer.size, inner)
            else:
                yield outer


def _members(path: Path, file: BinaryIO, start: int, end: int, inner: str) -> Iterator[Member]:
    """The files of the tar that lies at `start` to `end` in an open file. A link has no contents: its size is 0."""
    where = f"{path}" + (f": {inner}.tar" if inner else "")
    file.seek(start)
    first = file.read(BLOCK)
    file.seek(start)
    if first[:2] == b"\x1f\x8b" or first[:3] == b"BZh" or first[:6] == b"\xfd7zXZ\0":
        raise DataError(f"{where}: the tar must be uncompressed, got a compressed one; unpack it first, as with gunzip")
    try:
        tar = tarfile.TarFile(fileobj=file, mode="r")
        while (member := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep a kilobyte for each of a million files
            if member.offset_data + member.size > end:
                raise _cut(where, end, f"inside of {member.name}")
            if not member.isdir():
                yield Member(inner, member.name, member.offset_data, member.size if member.isreg() else 0)
    except tarfile.TarError as error:
        if start == 0 and first[257:262] != b"ustar":
            rule = f"{where}: the file must be a tar, got {str(error) or 'another file'}"
            raise DataError(rule, "name the publisher's tar, or a folder of class folders") from None
        raise _cut(where, end, "inside of a file") from None
    # tarfile ends without an error at a header that is cut off or damaged; a whole tar ends with a block of zeros.
    file.seek(tar.offset)
    block = file.read(min(BLOCK, end - tar.offset))
    if block != bytes(BLOCK):
        raise _cut(where, end, f"with a damaged header at byte {tar.offset:,}" if len(block) == BLOCK else "before its last block")


def _cut(where: str, end: int, how: str) -> DataError:
    return DataError(f"{where}: the tar must be whole, got one of {end:,} bytes that stops {how}; finish its download")
