"""Reads struct arrays from MATLAB's files of level 5, without SciPy: the devkit of ImageNet keeps its list of classes in one.

A file is a header of 128 bytes and then elements. An element is a tag (its type and its number of bytes) and the bytes, filled up to a
multiple of 8. An element of at most 4 bytes may stand inside of its tag. An array is an element whose bytes are elements again: flags,
dimensions, name, contents. A compressed element holds one element, packed by zlib.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyalex.errors import DataError

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
ARRAY, COMPRESSED = 14, 15  # types of elements
CELL, STRUCT, CHAR = 1, 2, 4  # classes of arrays; 6 to 15 are arrays of numbers
MOST_BYTES = 2**26  # unpacked; the devkit's file unpacks to 2 MB
DEEPEST = 8  # arrays inside of arrays

Value = Any  # str, a NumPy array of numbers, a list of dicts for a struct array, None for any other class


def read_matlab(data: bytes, who: str) -> dict[str, Value]:
    """The variables of a MATLAB file of level 5, by name.

    Text becomes a str, numbers become an array, and a struct array becomes a list with a dict for each of its elements, in MATLAB's
    order. Other classes become None.

    Parameters
    ----------
    data: all bytes of the file. who: the name of the file in messages.

    Raises
    ------
    DataError: the bytes are no such file, or end too early.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        got = "one of level 7.3" if data[:19] == b"MATLAB 7.3 MAT-file" else f"{len(data):,} bytes that begin with {data[:6]!r}"
        raise DataError(f"{who}: the file must be a MATLAB file of level 5, got {got}; take the file of the devkit")
    reader = _Reader(order, who)
    try:
        return dict(reader.array(contents, 0) for kind, contents in reader.elements(data[128:]) if kind == ARRAY)
    except (struct.error, ValueError, IndexError, zlib.error, UnicodeDecodeError):
        raise reader.damaged() from None


class _Reader:
    """Reads elements in one order of bytes, "<" or ">"."""

    def __init__(self, order: str, who: str) -> None:
        self.order, self.who = order, who

    def damaged(self) -> DataError:
        return DataError(f"{self.who}: the MATLAB file must be whole, got one that is damaged or cut off; take it from the devkit again")

    def elements(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The type and the bytes of each element; a compressed one is unpacked."""
        at = 0
        while at + 8 <= len(data):
            kind, size = struct.unpack_from(self.order + "II", data, at)
            if kind >> 16:  # the small form: 2 bytes of size, 2 bytes of type, up to 4 bytes of contents
                kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            else:
                start = at + 8
                end = start + size + (0 if kind == COMPRESSED else -size % 8)
            if size > len(data) - start:
                raise self.damaged()
            contents = data[start : start + size]
            if kind == COMPRESSED:
                unpacker = zlib.decompressobj()
                unpacked = unpacker.decompress(contents, MOST_BYTES)
                if not unpacker.eof:
                    raise self.damaged()
                yield from self.elements(unpacked)
            else:
                yield kind, contents
            at = end

    def array(self, data: bytes, depth: int) -> tuple[str, Value]:
        """The name and the value of an array."""
        if not data or depth > DEEPEST:
            return "", None
        parts = self.elements(data)
        flags, shape, name = (self.part(parts) for _ in range(3))
        kind = int(np.frombuffer(flags[1], self.order + "u4")[0]) & 0xFF
        dimensions = np.frombuffer(shape[1], self.order + "i4")
        return name[1].decode("ascii"), self.value(kind, [int(n) for n in dimensions], parts, depth)

    def part(self, parts: Iterator[tuple[int, bytes]]) -> tuple[int, bytes]:
        """The next element; it must be there."""
        found = next(parts, None)
        if found is None:
            raise self.damaged()
        return found

    def value(self, kind: int, shape: list[int], parts: Iterator[tuple[int, bytes]], depth: int) -> Value:
        """The contents of an array of class `kind`."""
        if kind == STRUCT:
            length = int(np.frombuffer(self.part(parts)[1], self.order + "i4")[0])
            names = self.part(parts)[1]
            if length < 1:
                raise self.damaged()
            fields = [names[k : k + length].split(b"\0")[0].decode("ascii") for k in range(0, len(names), length)]
            if any(n < 0 for n in shape):
                raise self.damaged()
            count = int(np.prod(shape, dtype=np.float64))
            cells = [self.array(contents, depth + 1)[1] for _, contents in parts]
            if len(cells) != count * len(fields):
                raise self.damaged()
            return [dict(zip(fields, cells[k * len(fields) :], strict=False)) for k in range(count)]
        if kind == CHAR:
            form, contents = next(parts, (2, b""))
            code = TEXTS.get(form, "latin-1")
            return contents.decode(code + {"<": "-le", ">": "-be"}[self.order] if code in ("utf-16", "utf-32") else code)
        if 6 <= kind <= 15:
            form, contents = next(parts, (2, b""))
            if form not in NUMBERS:
                raise self.damaged()
            numbers = np.frombuffer(contents, self.order + NUMBERS[form])
            return numbers.reshape(shape, order="F") if numbers.size == np.prod(shape) else numbers
        return None
